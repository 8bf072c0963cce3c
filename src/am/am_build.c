/*-------------------------------------------------------------------------
 *
 * am_build.c
 *	  CREATE INDEX: heap to codes, codes to segments.
 *
 * As many vectors as maintenance_work_mem holds become one segment; if the
 * table has more, the build seals it and starts the next.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/segment_builder.h"
#include "src/storage/metapage.h"
#include "src/storage/segment_writer.h"

#include "access/tableam.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

/* A build leaves room in the directory for what comes later. */
#define MAX_BUILD_SEGMENTS (OMEN_MAX_SEGMENTS * 3 / 5)

/* A segment is not made smaller than this, however little memory there is. */
#define MIN_SEGMENT_ROWS 1000

typedef struct BuildState
{
	Relation	index;
	OmenMeta   *meta;
	OmenEncoder encoder;
	OmenSegmentBuilder *builder;
	MemoryContext value_context;	/* reset after each row */
	double		estimated_rows;
	uint32		max_rows;		/* of a segment */
	int			n_segments;
	double		n_indexed;
} BuildState;

char *
omen_am_buildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case OMEN_PHASE_LOAD:
			return "encoding vectors";
		case OMEN_PHASE_ORDER:
			return "numbering nodes";
		case OMEN_PHASE_LINK:
			return "linking nodes";
		case OMEN_PHASE_WRITE:
			return "writing segment";
		default:
			return NULL;
	}
}

/* Rows of the table: what the statistics say, or as many as its size admits. */
static double
estimate_rows(Relation heap)
{
	BlockNumber pages;
	double		tuples;
	double		allvisfrac;

	table_relation_estimate_size(heap, NULL, &pages, &tuples, &allvisfrac);
	return tuples;
}

static void
start_segment(BuildState *state)
{
	double		expected = Min(state->estimated_rows * 1.05 + 64, state->max_rows);

	state->builder = omen_builder_create(state->index, state->meta, &state->encoder.codec,
										 (uint32) expected, true);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, OMEN_PHASE_LOAD);
}

static void
finish_segment(BuildState *state)
{
	uint32		segment_id;

	if (!omen_builder_is_empty(state->builder))
	{
		if (!omen_builder_write(state->builder, &segment_id))
			elog(ERROR, "directory of a new index is full");
		omen_segment_publish(state->index, segment_id, NULL, 0);
		state->n_segments++;
	}
	omen_builder_destroy(state->builder);
	state->builder = NULL;
}

/* Has the segment as many rows as memory admits?  (The last one the directory likes takes them all.) */
static bool
segment_is_full(const BuildState *state)
{
	const OmenSegmentBuilder *builder = state->builder;

	if (state->n_segments >= MAX_BUILD_SEGMENTS)
		return false;
	if (builder->n >= state->max_rows)
		return true;
	return state->encoder.codec.variable && builder->n >= MIN_SEGMENT_ROWS &&
		omen_builder_bytes(builder) >= (size_t) maintenance_work_mem * 1024 &&
		builder->n >= state->estimated_rows / MAX_BUILD_SEGMENTS;
}

/* Say once that the table does not fit into memory, and what would do. */
static void
report_split(BuildState *state)
{
	uint32		n_fit = state->builder->n;
	size_t		row_bytes = omen_builder_bytes(state->builder) / n_fit;
	double		rows = Max(state->estimated_rows, (double) n_fit + 1);
	int			wanted_mb = (int) (rows * 1.1 * row_bytes / (1024 * 1024)) + 1;

	ereport(NOTICE,
			(errmsg("index \"%s\" is built in several segments", RelationGetRelationName(state->index)),
			 errdetail("%u vectors fit into maintenance_work_mem; the table has about %.0f.",
					   n_fit, rows),
			 errhint("With maintenance_work_mem = '%dMB' it would be one segment, which is faster to search.",
					 wanted_mb)));
}

static void
build_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull,
			   bool tupleIsAlive, void *arg)
{
	BuildState *state = arg;
	MemoryContext old_context;
	OmenValueClass value_class;

	if (segment_is_full(state))
	{
		if (state->n_segments == 0)
			report_split(state);
		finish_segment(state);
		start_segment(state);
	}

	old_context = MemoryContextSwitchTo(state->value_context);
	value_class = omen_encoder_encode(&state->encoder, values[0], isnull[0]);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->value_context);

	switch (value_class)
	{
		case OMEN_VALUE_CODED:
			omen_builder_add(state->builder, tid, state->encoder.factors,
							 state->encoder.code, state->encoder.n_code_bytes);
			break;
		case OMEN_VALUE_NULL:
			omen_builder_add_null(state->builder, tid);
			break;
		case OMEN_VALUE_UNDIRECTED:
			omen_builder_add_undirected(state->builder, tid);
			break;
	}
	state->n_indexed++;
}

/* How many rows a segment may have. */
static uint32
segment_capacity(BuildState *state)
{
	size_t		row_bytes = omen_builder_row_bytes(state->meta, &state->encoder.codec);
	double		fit = (double) maintenance_work_mem * 1024 / row_bytes;

	/* not more segments than the directory likes, whatever the memory */
	fit = Max(fit, state->estimated_rows / MAX_BUILD_SEGMENTS);
	fit = Max(fit, MIN_SEGMENT_ROWS);
	return (uint32) Min(fit, OMEN_MAX_NODES / 4);
}

IndexBuildResult *
omen_am_build(Relation heap, Relation index, IndexInfo *indexInfo)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	BuildState	state;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	memset(&state, 0, sizeof(state));
	state.index = index;
	state.meta = palloc(sizeof(OmenMeta));
	omen_am_describe(index, state.meta);
	omen_encoder_init(&state.encoder, index, state.meta);
	omen_meta_create(index, MAIN_FORKNUM, state.meta);

	state.value_context = AllocSetContextCreate(CurrentMemoryContext, "omenvec build value",
												ALLOCSET_DEFAULT_SIZES);
	state.estimated_rows = estimate_rows(heap);
	state.max_rows = segment_capacity(&state);
	start_segment(&state);

	/* no synchronised scan: the order of the rows decides the segments */
	result->heap_tuples = table_index_build_scan(heap, index, indexInfo, false, true,
												 build_callback, &state, NULL);
	finish_segment(&state);
	MemoryContextDelete(state.value_context);
	result->index_tuples = state.n_indexed;
	return result;
}

void
omen_am_buildempty(Relation index)
{
	OmenMeta	meta;

	omen_am_describe(index, &meta);
	omen_meta_create(index, INIT_FORKNUM, &meta);
}
