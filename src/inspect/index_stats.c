/*-------------------------------------------------------------------------
 *
 * index_stats.c
 *	  omenvec_index_stats(): what an index consists of.
 *
 * A row for each entry of the directory.  What the directory does not know
 * is read from the pages: links from NODES, rows from the pages of a tail.
 * The pages of retired entries may be used again at any time and those of
 * entries being built are not valid yet, so these are left alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am_api.h"
#include "src/graph/graph_search.h"
#include "src/storage/index_relation.h"
#include "src/storage/page_reader.h"
#include "src/storage/tail.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(omen_inspect_index_stats);

/* Result columns, as in the SQL declaration. */
enum
{
	STATS_SEGMENT_ID,
	STATS_KIND,
	STATS_STATE,
	STATS_VECTORS,
	STATS_ROWS,
	STATS_DEAD_ROWS,
	STATS_MEAN_DEGREE,
	STATS_CODES_BYTES,
	STATS_REFINE_BYTES,
	STATS_SKETCHES_BYTES,
	STATS_NODES_BYTES,
	STATS_TIDS_BYTES,
	STATS_DEAD_BYTES,
	STATS_ROUTING_BYTES,
	STATS_TOTAL_BYTES,
	STATS_BLOCKS,
	STATS_M,
	STATS_EF_CONSTRUCTION,
	STATS_QUANTIZATION,
	STATS_REFINE,
	STATS_EF_SEARCH,
	STATS_PREDICTED_RECALL,
	STATS_RECALL_CURVE,
	N_STATS
};

typedef struct StatsRow
{
	Datum		values[N_STATS];
	bool		nulls[N_STATS];
} StatsRow;

static inline void
set_value(StatsRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static const char *
kind_name(uint8 kind)
{
	switch (kind)
	{
		case OMEN_SEGMENT_GRAPH:
			return "graph";
		case OMEN_SEGMENT_TAIL:
			return "tail";
		default:
			return "unknown";
	}
}

static const char *
state_name(uint8 state)
{
	switch (state)
	{
		case OMEN_STATE_BUILDING:
			return "building";
		case OMEN_STATE_OPEN:
			return "open";
		case OMEN_STATE_LIVE:
			return "live";
		case OMEN_STATE_RETIRED:
			return "retired";
		default:
			return "unknown";
	}
}

static uint32
count_links(const uint32 *links, uint32 max_links)
{
	uint32		n = 0;

	while (n < max_links && links[n] != OMEN_NO_NODE)
		n++;
	return n;
}

/* Links of a node on average; walks the NODES column. */
static double
mean_degree(Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	OmenReader	reader;
	OmenColumnView nodes;
	double		n_links = 0;

	omen_reader_init(&reader, index);
	reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	omen_column_view(&nodes, index, meta, segment, OMEN_COLUMN_NODES);
	for (uint32 node = 0; node < nodes.n_records; node++)
	{
		const void *head;
		const void *links;

		if (node % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		omen_reader_one(&reader, &nodes, node, &head, &links);
		n_links += count_links(links, nodes.shape.body_bytes / sizeof(uint32));
	}
	omen_reader_release(&reader);
	FreeAccessStrategy(reader.strategy);
	return n_links / segment->n_nodes;
}

static int64
column_bytes(const OmenSegment *segment, OmenColumnId column)
{
	return (int64) segment->columns[column - 1].n_blocks * BLCKSZ;
}

/* What was measured: a row for each class of queries, a column for each width of the beam. */
static Datum
recall_curve_array(const OmenRecallCurve *curve)
{
	Datum		values[OMEN_CURVE_CLASSES * OMEN_CURVE_RUNGS];
	int			dims[] = {OMEN_CURVE_CLASSES, OMEN_CURVE_RUNGS};
	int			lower_bounds[] = {1, 1};
	int			n = 0;

	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
		for (int rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
			values[n++] = Float4GetDatum(omen_curve_recall(curve, class, omen_curve_rungs[rung]));
	return PointerGetDatum(construct_md_array(values, NULL, 2, dims, lower_bounds, FLOAT4OID,
											  sizeof(float4), true, TYPALIGN_INT));
}

/* How the segment is searched under the settings of the session, and what is found so. */
static void
describe_search(StatsRow *row, const OmenSegment *segment)
{
	OmenRecallCurve curve;
	uint32		ef[OMEN_CURVE_CLASSES];
	Datum		values[OMEN_CURVE_CLASSES];
	double		recall = omen_am_segment_beams(segment, ef);

	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
		values[class] = Int32GetDatum(ef[class]);
	set_value(row, STATS_EF_SEARCH,
			  PointerGetDatum(construct_array(values, OMEN_CURVE_CLASSES, INT4OID,
											  sizeof(int32), true, TYPALIGN_INT)));
	omen_am_segment_curve(segment, &curve);
	if (!omen_curve_is_known(&curve))
		return;
	set_value(row, STATS_PREDICTED_RECALL, Float8GetDatum(recall));
	set_value(row, STATS_RECALL_CURVE, recall_curve_array(&curve));
}

static void
describe_graph(StatsRow *row, Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	bool		sketched = segment->sketches.kind != 0;

	set_value(row, STATS_VECTORS, Int64GetDatum(segment->n_nodes));
	set_value(row, STATS_ROWS, Int64GetDatum(segment->n_rows));
	set_value(row, STATS_DEAD_ROWS, Int64GetDatum(segment->n_dead));
	set_value(row, STATS_CODES_BYTES,
			  Int64GetDatum(column_bytes(segment, OMEN_COLUMN_CODES) +
							(sketched ? 0 : column_bytes(segment, OMEN_COLUMN_BYTES))));
	set_value(row, STATS_REFINE_BYTES, Int64GetDatum(column_bytes(segment, OMEN_COLUMN_REFINE)));
	set_value(row, STATS_SKETCHES_BYTES,
			  Int64GetDatum(column_bytes(segment, OMEN_COLUMN_SKETCHES) +
							(sketched ? column_bytes(segment, OMEN_COLUMN_BYTES) : 0)));
	set_value(row, STATS_NODES_BYTES, Int64GetDatum(column_bytes(segment, OMEN_COLUMN_NODES)));
	set_value(row, STATS_TIDS_BYTES, Int64GetDatum(column_bytes(segment, OMEN_COLUMN_TIDS)));
	set_value(row, STATS_DEAD_BYTES, Int64GetDatum(column_bytes(segment, OMEN_COLUMN_DEAD)));
	set_value(row, STATS_ROUTING_BYTES,
			  Int64GetDatum(column_bytes(segment, OMEN_COLUMN_CENTRES) +
							column_bytes(segment, OMEN_COLUMN_SAMPLES) +
							column_bytes(segment, OMEN_COLUMN_TERMS)));
	set_value(row, STATS_M, Int32GetDatum(meta->m));
	set_value(row, STATS_EF_CONSTRUCTION, Int32GetDatum(meta->ef_construction));
	set_value(row, STATS_QUANTIZATION, CStringGetTextDatum(omen_am_quantization_name(meta->code_kind, segment->sketches.kind)));
	set_value(row, STATS_REFINE, CStringGetTextDatum(omen_am_refine_name(segment->refine)));
	describe_search(row, segment);
	if (segment->state == OMEN_STATE_LIVE && segment->n_nodes > 0)
		set_value(row, STATS_MEAN_DEGREE, Float8GetDatum(mean_degree(index, meta, segment)));
}

/* Its rows are counted in its pages. */
static void
describe_tail(StatsRow *row, Relation index, const OmenMeta *meta, const OmenSegment *tail)
{
	OmenTailReader *reader;
	int64		n_vectors = 0;
	int64		n_rows = 0;
	int64		n_dead = 0;

	if (tail->state != OMEN_STATE_OPEN && tail->state != OMEN_STATE_LIVE)
		return;
	reader = palloc(sizeof(OmenTailReader));
	omen_tail_reader_init(reader, index, meta, tail);
	while (omen_tail_reader_next(reader))
	{
		for (int i = 0; i < reader->n_rows; i++)
		{
			uint16		flags = omen_tail_row(reader, i).header.flags;

			n_vectors += (flags & (OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED)) == 0;
			n_dead += (flags & OMEN_ROW_DEAD) != 0;
		}
		n_rows += reader->n_rows;
		omen_tail_reader_release(reader);
		CHECK_FOR_INTERRUPTS();
	}
	pfree(reader);
	set_value(row, STATS_VECTORS, Int64GetDatum(n_vectors));
	set_value(row, STATS_ROWS, Int64GetDatum(n_rows));
	set_value(row, STATS_DEAD_ROWS, Int64GetDatum(n_dead));
}

static void
describe_segment(StatsRow *row, Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	memset(row->nulls, true, sizeof(row->nulls));
	set_value(row, STATS_SEGMENT_ID, Int64GetDatum(segment->id));
	set_value(row, STATS_KIND, CStringGetTextDatum(kind_name(segment->kind)));
	set_value(row, STATS_STATE, CStringGetTextDatum(state_name(segment->state)));
	set_value(row, STATS_TOTAL_BYTES, Int64GetDatum((int64) segment->n_blocks * BLCKSZ));
	set_value(row, STATS_BLOCKS, Int64GetDatum(segment->n_blocks));
	if (segment->kind == OMEN_SEGMENT_GRAPH)
		describe_graph(row, index, meta, segment);
	else if (segment->kind == OMEN_SEGMENT_TAIL)
		describe_tail(row, index, meta, segment);
}

/* omenvec_index_stats(index regclass) RETURNS SETOF record, see the SQL declaration */
Datum
omen_inspect_index_stats(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	OmenIndexRelation opened;

	omen_index_check_permission(index_oid, ROLE_PG_STAT_SCAN_TABLES);
	InitMaterializedSRF(fcinfo, 0);
	omen_index_open(&opened, index_oid, AccessShareLock, AccessShareLock);
	omen_meta_read(opened.index, meta);
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		StatsRow	row;

		describe_segment(&row, opened.index, meta, &meta->segments[i]);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
	omen_index_close(&opened);
	return (Datum) 0;
}
