/*-------------------------------------------------------------------------
 *
 * am_quantization.c
 *	  omenvec_quantization_stats(): what the codes and sketches of an index
 *	  take, and how well they tell distances.
 *
 * A few nodes of each segment, spread over it, serve as queries.  The segment is
 * read once, and each node compared with all of them, by its code and, if it has
 * one, its sketch.  So it is known which ten nodes are nearest by the one and by
 * the other, whatever the graph finds; and by how much distances are off: those
 * of sketches from those of codes, those of codes from what they may be at least.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_api.h"
#include "src/am/graph_host.h"
#include "src/am/segment_sketch.h"
#include "src/storage/index_relation.h"
#include "src/storage/metapage.h"
#include "src/storage/page_reader.h"
#include "src/storage/stored_model.h"

#include <math.h>

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(omen_am_quantization_stats);

/* Nodes that serve as queries. */
#define MAX_QUERIES 32

/* Each query's distances to so many nodes, spread over the segment, are looked at for their error. */
#define ERROR_NODES 2000

/* Nodes compared between two looks at interrupts. */
#define PIECE_NODES 32

/* Result columns, as in the SQL declaration. */
enum
{
	STATS_SEGMENT_ID,
	STATS_QUANTIZATION,
	STATS_VECTORS,
	STATS_BITS_PER_DIMENSION,
	STATS_COMPARED_BYTES,
	STATS_SAVED_BYTES,
	STATS_COMPRESSION,
	STATS_MEAN_ERROR,
	STATS_P99_ERROR,
	STATS_RECALL,
	STATS_RECALL_UNRANKED,
	N_STATS
};

/* The nearest so far, ascending. */
typedef struct Nearest
{
	int			n;
	OmenCandidate best[OMEN_CURVE_K];
} Nearest;

typedef struct Sample
{
	uint32		node;
	OmenQuery  *query;
	OmenSketchQuery *sketch_query;
	Nearest		by_code;
	Nearest		by_sketch;
} Sample;

/* A segment being measured. */
typedef struct Measurement
{
	const OmenSegment *segment;
	OmenCodec	codec;
	OmenSketch	sketch;			/* kind NONE: codes are what searches compare */
	OmenReader	code_reader;
	OmenReader	sketch_reader;
	OmenColumnView codes;
	OmenColumnView sketches;
	int			n_queries;
	Sample		queries[MAX_QUERIES];
	double	   *errors;
	int			n_errors;
} Measurement;

static void
keep_nearest(Nearest *nearest, float key, uint32 node)
{
	int			at = nearest->n;

	if (at == OMEN_CURVE_K && !(key < nearest->best[at - 1].key))
		return;
	if (at == OMEN_CURVE_K)
		at--;
	else
		nearest->n++;
	for (; at > 0 && nearest->best[at - 1].key > key; at--)
		nearest->best[at] = nearest->best[at - 1];
	nearest->best[at] = (OmenCandidate) {.key = key,.node = node};
}

/* What the operator would say of a key. */
static double
key_distance(OmenMetric metric, double key)
{
	return metric == OMEN_METRIC_L2 ? sqrt(Max(key, 0)) : key;
}

static void
note_error(Measurement *m, double distance, double other)
{
	double		error = fabs(other - distance) / fabs(distance);

	if (distance != 0 && isfinite(error))
		m->errors[m->n_errors++] = error;
}

/* Compare a node with a query; for_error: and note by how much the distance is off. */
static void
compare(Measurement *m, Sample *query, uint32 node, const void *factors, const void *code,
		const void *sketch, bool for_error)
{
	const uint8 *record = sketch;
	const uint8 *bytes = code;
	OmenMetric	metric = m->codec.metric;
	float		key;
	float		estimate;

	if (node == query->node)
		return;
	m->codec.keys(&m->codec, query->query, 1, &factors, &bytes, &key);
	keep_nearest(&query->by_code, key, node);
	if (query->sketch_query == NULL)
	{
		if (for_error)
			note_error(m, key_distance(metric, key),
					   m->codec.lower_bound(&m->codec, query->query, factors, bytes));
		return;
	}
	m->sketch.keys(&m->sketch, query->sketch_query, 1, &record, &estimate);
	keep_nearest(&query->by_sketch, estimate, node);
	if (for_error)
		note_error(m, key_distance(metric, key), key_distance(metric, estimate));
}

/* The queries are nodes spread evenly, as their codes decode. */
static void
make_queries(Measurement *m, const void *model)
{
	uint32		n = m->segment->n_nodes;
	float	   *x = omen_host_alloc(CurrentMemoryContext, m->codec.dims * sizeof(float));

	m->n_queries = Min(n, MAX_QUERIES);
	for (int i = 0; i < m->n_queries; i++)
	{
		Sample *query = &m->queries[i];
		const void *factors;
		const void *code;

		memset(query, 0, sizeof(*query));
		query->node = (uint32) ((i + 0.5) * n / m->n_queries);
		omen_reader_one(&m->code_reader, &m->codes, query->node, &factors, &code);
		m->codec.decode(&m->codec, factors, code, x);
		omen_reader_release(&m->code_reader);
		query->query = omen_host_alloc(CurrentMemoryContext, m->codec.query_bytes);
		m->codec.query_from_vector(&m->codec, query->query, x);
		if (m->sketch.kind == OMEN_SKETCH_NONE)
			continue;
		query->sketch_query = omen_host_alloc(CurrentMemoryContext, m->sketch.query_bytes);
		m->sketch.query_from_vector(&m->sketch, model, query->sketch_query, x);
	}
	omen_host_release(x);
}

static void
compare_all(Measurement *m)
{
	uint32		n = m->segment->n_nodes;
	uint32		error_step = Max(n / ERROR_NODES, 1);

	m->errors = palloc((n / error_step + 1) * m->n_queries * sizeof(double));
	for (uint32 node = 0; node < n; node++)
	{
		const void *head;
		const void *factors;
		const void *code;
		const void *sketch = NULL;

		if (node % PIECE_NODES == 0)
			CHECK_FOR_INTERRUPTS();
		omen_reader_one(&m->code_reader, &m->codes, node, &factors, &code);
		if (m->sketch.kind != OMEN_SKETCH_NONE)
			omen_reader_one(&m->sketch_reader, &m->sketches, node, &head, &sketch);
		for (int i = 0; i < m->n_queries; i++)
			compare(m, &m->queries[i], node, factors, code, sketch, node % error_step == 0);
	}
	omen_reader_release(&m->code_reader);
	omen_reader_release(&m->sketch_reader);
}

/* Share of the nearest by code that are among the nearest by sketch. */
static double
unranked_recall(const Measurement *m)
{
	double		n_found = 0;
	double		n_wanted = 0;

	for (int i = 0; i < m->n_queries; i++)
	{
		const Sample *query = &m->queries[i];

		for (int j = 0; j < query->by_code.n; j++)
		{
			n_wanted++;
			for (int k = 0; k < query->by_sketch.n; k++)
				n_found += query->by_sketch.best[k].node == query->by_code.best[j].node;
		}
	}
	return n_wanted > 0 ? n_found / n_wanted : 1;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return (left > right) - (left < right);
}

static void
report_errors(Measurement *m, Datum *values, bool *nulls)
{
	double		sum = 0;

	if (m->n_errors == 0)
		return;
	for (int i = 0; i < m->n_errors; i++)
		sum += m->errors[i];
	qsort(m->errors, m->n_errors, sizeof(double), compare_doubles);
	values[STATS_MEAN_ERROR] = Float8GetDatum(sum / m->n_errors);
	values[STATS_P99_ERROR] = Float8GetDatum(m->errors[(int) ((m->n_errors - 1) * 0.99)]);
	nulls[STATS_MEAN_ERROR] = nulls[STATS_P99_ERROR] = false;
}

/* Sizes: of a record that a search compares, against floats. */
static void
report_size(const OmenSegment *segment, uint32 dims, uint32 record_bytes, Datum *values, bool *nulls)
{
	int64		compared = (int64) segment->n_nodes * record_bytes;
	int64		as_floats = (int64) segment->n_nodes * dims * sizeof(float);

	values[STATS_BITS_PER_DIMENSION] = Float8GetDatum(8.0 * record_bytes / dims);
	values[STATS_COMPARED_BYTES] = Int64GetDatum(compared);
	values[STATS_SAVED_BYTES] = Int64GetDatum(as_floats - compared);
	values[STATS_COMPRESSION] = Float8GetDatum(4.0 * dims / record_bytes);
	nulls[STATS_BITS_PER_DIMENSION] = nulls[STATS_COMPARED_BYTES] = false;
	nulls[STATS_SAVED_BYTES] = nulls[STATS_COMPRESSION] = false;
}

/* Errors and recall of a segment whose codes decode. */
static void
measure_segment(Relation index, const OmenMeta *meta, const OmenSegment *segment, const OmenCodec *codec,
				Datum *values, bool *nulls)
{
	Measurement *m = palloc0(sizeof(Measurement));
	double		recall;
	uint32		ef[OMEN_CURVE_CLASSES];
	OmenColumnView bytes;
	const void *model = NULL;

	m->segment = segment;
	m->codec = *codec;
	(void) omen_am_segment_sketch(&m->sketch, index, meta, segment);
	omen_reader_init(&m->code_reader, index);
	omen_reader_init(&m->sketch_reader, index);
	m->code_reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	m->sketch_reader.strategy = GetAccessStrategy(BAS_BULKREAD);
	omen_column_view(&m->codes, index, meta, segment, OMEN_COLUMN_CODES);
	omen_column_view(&m->sketches, index, meta, segment, OMEN_COLUMN_SKETCHES);
	if (m->sketch.kind != OMEN_SKETCH_NONE)
	{
		omen_column_view(&bytes, index, meta, segment, OMEN_COLUMN_BYTES);
		model = omen_am_read_model(&m->code_reader, &bytes, &m->sketch);
		report_size(segment, meta->dims, m->sketch.sketch_bytes, values, nulls);
	}
	make_queries(m, model);
	compare_all(m);
	report_errors(m, values, nulls);

	recall = omen_am_segment_beams(segment, ef);
	if (isnan(recall))
		return;
	values[STATS_RECALL] = Float8GetDatum(recall);
	nulls[STATS_RECALL] = false;
	values[STATS_RECALL_UNRANKED] = Float8GetDatum(m->sketch.kind == OMEN_SKETCH_NONE ? recall :
												   recall * unranked_recall(m));
	nulls[STATS_RECALL_UNRANKED] = false;
}

/* omenvec_quantization_stats(index regclass) RETURNS SETOF record, see the SQL declaration */
Datum
omen_am_quantization_stats(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec quantization stats",
												  ALLOCSET_DEFAULT_SIZES);
	OmenIndexRelation opened;
	OmenCodec	codec;

	omen_index_check_permission(index_oid, ROLE_PG_STAT_SCAN_TABLES);
	InitMaterializedSRF(fcinfo, 0);
	omen_index_open(&opened, index_oid, AccessShareLock, AccessShareLock);
	omen_meta_read(opened.index, meta);
	omen_am_codec(&codec, opened.index, meta);
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];
		MemoryContext old_context = MemoryContextSwitchTo(context);
		Datum		values[N_STATS] = {0};
		bool		nulls[N_STATS];

		memset(nulls, true, sizeof(nulls));
		if (segment->kind == OMEN_SEGMENT_GRAPH && segment->state == OMEN_STATE_LIVE && segment->n_nodes > 0)
		{
			values[STATS_SEGMENT_ID] = Int64GetDatum(segment->id);
			values[STATS_QUANTIZATION] = CStringGetTextDatum(omen_am_quantization_name(meta->code_kind, segment->sketches.kind));
			values[STATS_VECTORS] = Int64GetDatum(segment->n_nodes);
			nulls[STATS_SEGMENT_ID] = nulls[STATS_QUANTIZATION] = nulls[STATS_VECTORS] = false;
			if (!codec.variable && codec.decode != NULL)
			{
				report_size(segment, meta->dims, codec.factor_bytes + codec.code_bytes, values, nulls);
				measure_segment(opened.index, meta, segment, &codec, values, nulls);
			}
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(context);
	}
	omen_index_close(&opened);
	return (Datum) 0;
}
