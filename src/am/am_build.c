/*-------------------------------------------------------------------------
 *
 * am_build.c
 *	  CREATE INDEX: heap to codes, codes to segments.
 *
 * As many vectors as maintenance_work_mem holds become one segment; if the
 * table has more, the build seals it and starts the next.
 *
 * A team (build_team.h) takes the table range by range: whoever is done with
 * one claims the next.  Each encodes what it reads; then the team makes the
 * segment together.  A backend alone reads the table in one scan, as any
 * access method does.  Both end a segment with the same heap page, and so the
 * index does not depend on how many have built it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/build_team.h"
#include "src/am/segment_builder.h"
#include "src/storage/metapage.h"
#include "src/storage/segment_writer.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/bufmgr.h"
#include "storage/spin.h"
#include "utils/memutils.h"

/* A build leaves room in the directory for what comes later. */
#define MAX_BUILD_SEGMENTS (OMEN_MAX_SEGMENTS * 3 / 5)

/* A segment is not made smaller than this, however little memory there is. */
#define MIN_SEGMENT_ROWS 1000

/*
 * What a build takes besides its rows: the processes themselves, and the
 * searches that run.  Not more than an eighth of maintenance_work_mem is set
 * aside for that.
 */
#define OVERHEAD_BYTES (8 * 1024 * 1024)

/* The table is claimed in about so many ranges, of so many blocks. */
#define WANTED_RANGES 512
#define MIN_RANGE_BLOCKS 16
#define MAX_RANGE_BLOCKS 1024

/* What the members of a team share. */
typedef struct BuildJob
{
	Oid			heap;
	Oid			index;
	bool		concurrent;
	BlockNumber n_blocks;		/* of the table */
	BlockNumber range_blocks;
	uint32		n_ranges;
	pg_atomic_uint32 next_range;
	pg_atomic_uint32 ranges_done;

	slock_t		mutex;			/* of what follows */
	OmenRowTotals totals;		/* rows read for the segment in hand */

	/* what each member adds at its end */
	double		heap_tuples;
	bool		broken_hot_chain;
} BuildJob;

typedef struct BuildState
{
	Relation	heap;
	Relation	index;
	IndexInfo  *index_info;
	OmenMeta   *meta;
	OmenEncoder encoder;
	OmenBuildTeam team;
	BuildJob   *job;			/* NULL without workers */
	OmenSegmentBuilder *builder;
	MemoryContext value_context;	/* reset after each row */
	BlockNumber n_blocks;		/* of the table */
	int			n_segments;
	OmenRowTotals first;		/* of the first segment */
	double		heap_tuples;
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

/* ---- segments ---- */

/*
 * As many rows as memory admits, but not more segments than the directory
 * likes, whatever the memory: each takes its share of the table.
 */
static OmenSegmentLimit
segment_limit(const BuildState *state)
{
	size_t		memory = (size_t) maintenance_work_mem * 1024;
	OmenSegmentLimit limit = {
		.row_bytes = omen_builder_row_bytes(state->index, state->meta, &state->encoder.codec),
		.max_bytes = memory - Min(memory / 8, OVERHEAD_BYTES),
		.min_rows = MIN_SEGMENT_ROWS,
		.min_last_block = state->n_blocks / MAX_BUILD_SEGMENTS,
		.max_rows = OMEN_MAX_NODES / 4
	};

	return limit;
}

/* Say once that the table does not fit into memory, and what would do. */
static void
report_split(const BuildState *state)
{
	const OmenRowTotals *first = &state->first;
	double		rows = (double) first->n * state->n_blocks / (first->last_block + 1.0);
	double		row_bytes = (double) first->n_bytes / first->n;
	int			wanted_mb = (int) ((rows * 1.05 * row_bytes + OVERHEAD_BYTES) / (1024 * 1024)) + 1;

	rows = Max(rows, first->n + 1.0);
	ereport(NOTICE,
			(errmsg("index \"%s\" is built in several segments", RelationGetRelationName(state->index)),
			 errdetail("%llu vectors fit into maintenance_work_mem; the table has about %.0f.",
					   (unsigned long long) first->n, rows),
			 errhint("With maintenance_work_mem = '%dMB' it would be one segment, which is faster to search.",
					 wanted_mb)));
}

/* The rows gathered become a segment.  Collective. */
static void
write_segment(BuildState *state)
{
	OmenSegmentBuilder *builder = state->builder;
	const OmenRowSet *rows = &builder->rows;
	bool		leads = omen_team_leads(&state->team.team);
	uint32		segment_id;

	if (state->n_segments == 0)
		state->first = (OmenRowTotals) {rows->n, rows->n_bytes, rows->last_block};
	else if (state->n_segments == 1 && leads)
		report_split(state);
	state->n_indexed += rows->n + rows->nulls.n + rows->undirected.n;
	state->n_segments++;

	if (omen_builder_write(builder, &segment_id))
		omen_segment_publish(state->index, segment_id, NULL, 0);
	else if (leads)
		elog(ERROR, "directory of a new index is full");
	builder->collector.limit.row_bytes = omen_builder_row_bytes(state->index, state->meta, &state->encoder.codec);
	builder->collector.limit.min_last_block = rows->last_block + state->n_blocks / MAX_BUILD_SEGMENTS;
}

/*
 * Gather what has been read and write it.  False if the segment has to be
 * started anew, by the leader.  Collective.
 */
static bool
finish_segment(BuildState *state, bool more)
{
	OmenSegmentBuilder *builder = state->builder;

	if (!omen_builder_gather(builder, more))
		return false;
	if (state->job && omen_team_leads(&state->team.team))
		state->job->totals = builder->collector.totals; /* nobody reads the table now */
	if (builder->rows.empty)
		omen_row_set_release(&state->team, &builder->rows);
	else
		write_segment(state);
	return true;
}

/* ---- reading the table ---- */

static void
add_row(BuildState *state, ItemPointer tid, const Datum *values, const bool *isnull)
{
	OmenSegmentBuilder *builder = state->builder;
	OmenEncoder *encoder = &state->encoder;
	MemoryContext old_context = MemoryContextSwitchTo(state->value_context);
	OmenValueClass value_class = omen_encoder_encode(encoder, values[0], isnull[0]);

	omen_builder_add_attributes(builder, tid, values + 1, isnull + 1);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->value_context);
	switch (value_class)
	{
		case OMEN_VALUE_CODED:
			omen_builder_add(builder, tid, encoder->factors, encoder->code, encoder->n_code_bytes,
							 encoder->refine);
			break;
		case OMEN_VALUE_NULL:
			omen_builder_add_null(builder, tid);
			break;
		case OMEN_VALUE_UNDIRECTED:
			omen_builder_add_undirected(builder, tid);
			break;
	}
}

static void
add_row_of_range(Relation index, ItemPointer tid, Datum *values, bool *isnull,
				 bool tupleIsAlive, void *arg)
{
	add_row(arg, tid, values, isnull);
}

/* A backend alone finishes the segment in the middle of its scan. */
static void
add_row_alone(Relation index, ItemPointer tid, Datum *values, bool *isnull,
			  bool tupleIsAlive, void *arg)
{
	BuildState *state = arg;
	const OmenRowCollector *collector = &state->builder->collector;

	if (ItemPointerGetBlockNumber(tid) != collector->totals.last_block &&
		omen_limit_reached(&collector->limit, &collector->totals))
	{
		(void) finish_segment(state, true);
		omen_builder_report_phase(state->builder, OMEN_PHASE_LOAD, 0);
	}
	add_row(state, tid, values, isnull);
}

/* Read the table from a block on, alone. */
static void
scan_alone(BuildState *state, BlockNumber from)
{
	BlockNumber n_blocks = from == 0 ? InvalidBlockNumber : state->n_blocks - from;

	/* no synchronised scan: the order of the rows decides the segments */
	state->heap_tuples += table_index_build_range_scan(state->heap, state->index, state->index_info,
													   false, false, true, from, n_blocks,
													   add_row_alone, state, NULL);
	(void) finish_segment(state, false);
}

/* Read a range of the table, as a member of a team. */
static void
scan_range(BuildState *state, uint32 range)
{
	BuildJob   *job = state->job;
	BlockNumber from = range * job->range_blocks;
	OmenRowTotals *totals = &state->builder->collector.totals;
	OmenRowTotals before = *totals;
	OmenRowTotals added;

	state->heap_tuples += table_index_build_range_scan(state->heap, state->index, state->index_info,
													   false, false, false, from,
													   Min(job->range_blocks, state->n_blocks - from),
													   add_row_of_range, state, NULL);
	added = (OmenRowTotals) {totals->n - before.n, totals->n_bytes - before.n_bytes, totals->last_block};
	SpinLockAcquire(&job->mutex);
	omen_totals_add(&job->totals, &added);
	SpinLockRelease(&job->mutex);
	pg_atomic_fetch_add_u32(&job->ranges_done, 1);
}

static bool
segment_is_full(const BuildState *state)
{
	OmenRowTotals totals;

	SpinLockAcquire(&state->job->mutex);
	totals = state->job->totals;
	SpinLockRelease(&state->job->mutex);
	return omen_limit_reached(&state->builder->collector.limit, &totals);
}

static void
report_ranges(const BuildState *state)
{
	uint64		done = (uint64) pg_atomic_read_u32(&state->job->ranges_done) * state->job->range_blocks;

	if (state->builder->report_progress)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, Min(done, state->n_blocks));
}

/* Read ranges until the segment is full or the table read.  True if there are any left. */
static bool
scan_ranges(BuildState *state)
{
	BuildJob   *job = state->job;

	while (!segment_is_full(state))
	{
		uint32		range = pg_atomic_fetch_add_u32(&job->next_range, 1);

		if (range >= job->n_ranges)
			break;
		CHECK_FOR_INTERRUPTS();
		scan_range(state, range);
		report_ranges(state);
	}
	return pg_atomic_read_u32(&job->next_range) < job->n_ranges;
}

/*
 * Read and build as a member of a team, segment by segment.  If shared memory
 * runs out before a segment's rows have been brought together, the leader
 * reads them again, and the rest, alone.
 */
static void
build_together(BuildState *state)
{
	BlockNumber from = 0;		/* of the segment in hand */
	bool		more = true;

	while (more && !state->team.left)
	{
		/* rows already here come from beyond the block, and would be counted twice */
		double		tuples_before = state->heap_tuples - omen_collector_n_rows(&state->builder->collector);

		omen_builder_report_phase(state->builder, OMEN_PHASE_LOAD, 0);
		if (!finish_segment(state, scan_ranges(state)))
		{
			state->heap_tuples = tuples_before;
			if (!state->team.left)
				scan_alone(state, from);
			return;
		}
		more = state->builder->rows.more;
		from = state->builder->rows.last_block + 1;
	}
}

/* ---- the team ---- */

/*
 * How many workers to ask for: by the rules of plan_create_index_workers(),
 * which PostgreSQL before 17 applies to btree alone, but that vectors which
 * have been moved out of the table count as its size.
 */
static int
plan_workers(Relation heap, Relation index)
{
	PlannerInfo *root = makeNode(PlannerInfo);
	RelOptInfo *rel = makeNode(RelOptInfo);
	BlockNumber n_blocks = RelationGetNumberOfBlocks(heap);

	root->glob = makeNode(PlannerGlobal);
	if (!IsUnderPostmaster || max_parallel_maintenance_workers == 0 || IsInParallelMode() ||
		heap->rd_tableam != GetHeapamTableAmRoutine() ||
		heap->rd_rel->relpersistence == RELPERSISTENCE_TEMP ||
		!is_parallel_safe(root, (Node *) RelationGetIndexExpressions(index)) ||
		!is_parallel_safe(root, (Node *) RelationGetIndexPredicate(index)))
		return 0;

	if (OidIsValid(heap->rd_rel->reltoastrelid))
	{
		Relation	toast = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);

		n_blocks += RelationGetNumberOfBlocks(toast);
		table_close(toast, AccessShareLock);
	}
	rel->reloptkind = RELOPT_BASEREL;
	rel->rel_parallel_workers = RelationGetParallelWorkers(heap, -1);
	return compute_parallel_worker(rel, n_blocks, -1, max_parallel_maintenance_workers);
}

/* An OmenJobInit. */
static void
init_job(void *memory, void *arg)
{
	BuildJob   *job = memory;
	const BuildState *state = arg;

	memset(job, 0, sizeof(*job));
	job->heap = RelationGetRelid(state->heap);
	job->index = RelationGetRelid(state->index);
	job->concurrent = state->index_info->ii_Concurrent;
	job->n_blocks = state->n_blocks;
	job->range_blocks = Max(MIN_RANGE_BLOCKS, Min(job->n_blocks / WANTED_RANGES, MAX_RANGE_BLOCKS));
	job->n_ranges = job->n_blocks / job->range_blocks + (job->n_blocks % job->range_blocks != 0);
	pg_atomic_init_u32(&job->next_range, 0);
	pg_atomic_init_u32(&job->ranges_done, 0);
	SpinLockInit(&job->mutex);
}

/* The table and the index. */
static void
set_relations(BuildState *state, Relation heap, Relation index, IndexInfo *index_info, BlockNumber n_blocks)
{
	state->heap = heap;
	state->index = index;
	state->index_info = index_info;
	state->n_blocks = n_blocks;
}

/* What a member needs besides them, the team, the job and the metapage's content. */
static void
init_state(BuildState *state, bool leads)
{
	Relation	index = state->index;
	OmenSegmentLimit limit;

	state->value_context = AllocSetContextCreate(CurrentMemoryContext, "omenvec build value",
												 ALLOCSET_DEFAULT_SIZES);
	omen_encoder_init(&state->encoder, index, state->meta);
	limit = segment_limit(state);
	state->builder = omen_builder_create(index, state->meta, &state->encoder.codec, &state->team,
										 &limit, leads);
	if (omen_am_graph_options_are_auto(index))
		state->builder->open_meta = state->meta;
}

/* Add what this member has seen to the job. */
static void
add_results(const BuildState *state)
{
	BuildJob   *job = state->job;

	SpinLockAcquire(&job->mutex);
	job->heap_tuples += state->heap_tuples;
	job->broken_hot_chain |= state->index_info->ii_BrokenHotChain;
	SpinLockRelease(&job->mutex);
}

/* Where a worker begins. */
void
omen_am_build_worker(dsm_segment *seg, shm_toc *toc)
{
	BuildState	state;
	BuildJob   *job;
	LOCKMODE	heap_lock;
	LOCKMODE	index_lock;
	Relation	heap;
	Relation	index;
	IndexInfo  *index_info;

	memset(&state, 0, sizeof(state));
	omen_build_team_join(&state.team, toc);
	job = state.job = omen_build_team_job(&state.team);

	/* the locks that the leader has, as index.c has taken them */
	heap_lock = job->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	index_lock = job->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	heap = table_open(job->heap, heap_lock);
	index = index_open(job->index, index_lock);
	index_info = BuildIndexInfo(index);
	index_info->ii_Concurrent = job->concurrent;

	state.meta = palloc(sizeof(OmenMeta));
	omen_meta_read(index, state.meta);
	set_relations(&state, heap, index, index_info, job->n_blocks);
	init_state(&state, false);
	build_together(&state);
	add_results(&state);

	omen_build_team_leave(&state.team);
	index_close(index, index_lock);
	table_close(heap, heap_lock);
}

/* The whole, as the leader. */
static void
build_as_leader(BuildState *state, Relation heap, Relation index, IndexInfo *index_info)
{
	set_relations(state, heap, index, index_info, RelationGetNumberOfBlocks(heap));
	omen_build_team_alone(&state->team);
	omen_build_team_start(&state->team, "omen_am_build_worker", plan_workers(heap, index),
						  sizeof(BuildJob), init_job, state);
	init_state(state, true);
	if (state->team.shared)
	{
		state->job = omen_build_team_job(&state->team);
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, state->n_blocks);
		build_together(state);
		omen_build_team_dissolve(&state->team);
		add_results(state);
		state->heap_tuples = state->job->heap_tuples;
		index_info->ii_BrokenHotChain |= state->job->broken_hot_chain;
	}
	else
	{
		omen_builder_report_phase(state->builder, OMEN_PHASE_LOAD, 0);
		scan_alone(state, 0);
	}
	omen_build_team_end(&state->team);
}

IndexBuildResult *
omen_am_build(Relation heap, Relation index, IndexInfo *indexInfo)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec build",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	BuildState	state;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	memset(&state, 0, sizeof(state));
	state.meta = palloc(sizeof(OmenMeta));
	omen_am_describe(index, state.meta);
	omen_meta_create(index, MAIN_FORKNUM, state.meta);
	build_as_leader(&state, heap, index, indexInfo);

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	result->heap_tuples = state.heap_tuples;
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
