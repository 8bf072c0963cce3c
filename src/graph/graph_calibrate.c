/*-------------------------------------------------------------------------
 *
 * graph_calibrate.c
 *	  How wide a beam must be to find the nearest nodes, query by query.
 *
 * One search tells the recall of all rungs, compared with what it finds
 * itself in the end: a search with a narrow beam expands the same nodes in the
 * same order as one with a wide beam does, and ends when the nearest `ef` it
 * knows are expanded; so when those of the wide one are, its nearest ones are
 * what the narrow one would have returned.
 *
 * What even the widest beam misses is counted in the codes themselves: nodes
 * nearer than the last of those found that are not among them.  Each query is
 * compared with a slice of the nodes only, each time another one, so that
 * many queries cost as much as a few dozen compared with all.  A group of
 * queries goes over its slice together, block by block, and reads each block
 * from memory once.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_calibrate.h"

#include <math.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_search_internal.h"
#include "src/graph/graph_terms.h"

/* Equal steps of log2, RUNG_STEP apart. */
const uint32 omen_curve_rungs[OMEN_CURVE_RUNGS] = {16, 24, 37, 56, 84, 128};

#define RUNG_STEP 0.6
#define TOP_RUNG (OMEN_CURVE_RUNGS - 1)

/* Values of a curve per halving of what is missed. */
#define STEPS_PER_HALVING 16.0

/* Beyond the top rung the curve goes on as over so many rungs before, but rises at least so much. */
#define SLOPE_RUNGS 3
#define MIN_RUNG_GAIN 4.0

/*
 * Of what a recall admits to be missed, a class may miss so many times as much
 * (at .97, none is below .95); how finely it is chosen.
 */
#define MOST_MISSED (5.0 / 3)
#define CHOICE_STEPS 5

/* The rung of OMEN_CURVE_LEAST_EF. */
#define LEAST_RUNG 1

/* Of a query that has lost its way, no more missed neighbours are counted. */
#define MAX_MISSED (4 * OMEN_CURVE_K)

/* Fewer nodes are searched in whole, or nearly so. */
#define MIN_NODES 1024

/*
 * How many queries: one in so many nodes, within limits, and never more than
 * an eighth of the nodes.  A query costs about as much as two insertions.
 */
#define NODES_PER_QUERY 100
#define MIN_QUERIES 400
#define MAX_QUERIES 1000
#define MIN_NODES_PER_QUERY 8

/* With fewer, it is not worth while. */
#define LEAST_QUERIES 40

/* All queries together make as many comparisons as so many with all nodes. */
#define WHOLE_SCANS 80

/* Queries that go over the codes together, and the nodes of a block. */
#define GROUP_QUERIES 16
#define BLOCK_NODES 256

/* ---------- curves ---------- */

bool
omen_curve_is_known(const OmenRecallCurve *curve)
{
	return curve->recall[0][TOP_RUNG] > 0;
}

bool
omen_curve_is_sane(const OmenRecallCurve *curve)
{
	int			class;
	int			rung;

	for (class = 1; class < OMEN_CURVE_CLASSES - 1; class++)
	{
		if (!(curve->limits[class - 1] <= curve->limits[class]))
			return false;
	}
	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
	{
		if ((curve->recall[class][TOP_RUNG] > 0) != omen_curve_is_known(curve))
			return false;
		for (rung = 1; rung < OMEN_CURVE_RUNGS; rung++)
		{
			if (curve->recall[class][rung] < curve->recall[class][rung - 1])
				return false;
		}
	}
	return true;
}

int
omen_curve_class(const OmenRecallCurve *curve, float key)
{
	int			class = 0;

	while (class < OMEN_CURVE_CLASSES - 1 && !(key <= curve->limits[class]))
		class++;
	return class;
}

/* Recall as a value of a curve, and back. */
static double
curve_value(double recall)
{
	return -STEPS_PER_HALVING * log2(Max(1 - recall, 1e-6));
}

static double
value_recall(double value)
{
	return 1 - exp2(-value / STEPS_PER_HALVING);
}

double
omen_curve_recall(const OmenRecallCurve *curve, int class, uint32 ef)
{
	const uint8 *values = curve->recall[class];
	double		at = log2((double) Max(ef, 1) / omen_curve_rungs[0]) / RUNG_STEP;
	int			from = Max(0, Min((int) floor(at), TOP_RUNG - 1));
	int			to = from + 1;

	if (at > TOP_RUNG)
	{
		from = TOP_RUNG - SLOPE_RUNGS;
		to = TOP_RUNG;
		return value_recall(values[to] + (at - to) * (values[to] - values[from]) / SLOPE_RUNGS);
	}
	return Max(0, value_recall(values[from] + (at - from) * (values[to] - values[from])));
}

/* The rung, as a real number, at which a class has a value. */
static double
curve_rung(const uint8 *values, double wanted)
{
	int			rung = 0;

	while (rung < TOP_RUNG && values[rung] < wanted)
		rung++;
	if (values[rung] < wanted)
		return TOP_RUNG + (wanted - values[TOP_RUNG]) /
			Max((double) (values[TOP_RUNG] - values[TOP_RUNG - SLOPE_RUNGS]) / SLOPE_RUNGS, MIN_RUNG_GAIN);
	if (rung == 0)
		return 0;
	return rung - (values[rung] - wanted) / (values[rung] - values[rung - 1]);
}

uint32
omen_curve_ef(const OmenRecallCurve *curve, int class, double recall)
{
	double		rung = curve_rung(curve->recall[class], curve_value(recall));

	return (uint32) Min(ceil(omen_curve_rungs[0] * exp2(RUNG_STEP * rung)), OMEN_CURVE_MAX_EF);
}

/* The beams with which each class reaches a recall, or more; returns what all together reach. */
static double
choose_alike(const OmenRecallCurve *curve, double recall, uint32 ef[OMEN_CURVE_CLASSES])
{
	double		expected = 0;
	int			class;

	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
	{
		ef[class] = Max(omen_curve_ef(curve, class, recall), OMEN_CURVE_LEAST_EF);
		expected += omen_curve_recall(curve, class, ef[class]) / OMEN_CURVE_CLASSES;
	}
	return expected;
}

/*
 * Easy classes reach more than is asked for with the least beam; as much less
 * the others may reach, down to a limit, for queries may be of a hard class
 * more often than the rows are.
 */
double
omen_curve_choose(const OmenRecallCurve *curve, double recall, uint32 ef[OMEN_CURVE_CLASSES])
{
	double		low = 1 - MOST_MISSED * (1 - recall);
	double		high = recall;
	double		expected = choose_alike(curve, low, ef);
	int			step;

	if (expected >= recall)
		return expected;
	for (step = 0; step < CHOICE_STEPS; step++)
	{
		double		middle = (low + high) / 2;

		if (choose_alike(curve, middle, ef) >= recall)
			high = middle;
		else
			low = middle;
	}
	return choose_alike(curve, high, ef);
}

/* ---------- measuring ---------- */

/* What came of a query. */
typedef struct QueryResult
{
	float		farthest;		/* key of the last of the nearest found */
	float		class_key;		/* key that a search with the least beam sees in its place */
	uint8		hits[OMEN_CURVE_RUNGS]; /* how many of them were found by each rung */
	uint32		n_nearer;		/* nodes nearer than that, in the query's slice */
	uint32		n_found;		/* of these, found */
} QueryResult;

/* What the members share. */
typedef struct CalibrationShare
{
	uint32		next;			/* query to be claimed */
	QueryResult results[FLEXIBLE_ARRAY_MEMBER];
} CalibrationShare;

/* What a member needs for itself. */
typedef struct CalibrationMember
{
	const OmenHost *host;
	const OmenCalibration *graph;
	const OmenSketches *sketches;	/* by which searches compare, or NULL */
	uint32		n_slices;
	OmenQuery  *queries[GROUP_QUERIES];
	OmenSketchQuery *sketch_query;
	float	   *vector;			/* of the query that is searched for, if there are sketches */
	OmenArraySource source;
	OmenSearch *search;
	uint64		nearest[OMEN_CURVE_K];	/* found so far: packed words, by their codes */
	int			n_nearest;
} CalibrationMember;

uint32
omen_calibrate_queries(uint32 n, uint32 n_new)
{
	uint32		n_queries = Min(Max(n / NODES_PER_QUERY, MIN_QUERIES), MAX_QUERIES);

	n_queries = Min(n_queries, n / MIN_NODES_PER_QUERY);
	n_queries = Min(n_queries, n_new);
	return n < MIN_NODES || n_queries < LEAST_QUERIES ? 0 : n_queries;
}

static inline bool
is_inserted(const OmenCalibration *graph, uint32 node)
{
	return (graph->inserted[node / 64] >> (node % 64)) & 1;
}

/* Starting points as a scan has them, those left out that are not inserted. */
static void
seed_search(CalibrationMember *member, const OmenQuery *query)
{
	const OmenCalibration *graph = member->graph;
	OmenCandidate seeds[OMEN_ROUTING_SEEDS + OMEN_TERM_SEEDS];
	uint32		nodes[OMEN_TERM_SEEDS];
	int			n_terms = 0;
	int			n = omen_array_route(graph->records, graph->routing, query, seeds);
	int			i;

	if (graph->routing->terms.n_records > 0)
		n_terms = omen_terms_nodes(graph->records->codec, query, &graph->routing->terms, nodes);
	for (i = 0; i < n_terms; i++)
	{
		if (!is_inserted(graph, nodes[i]))
			continue;
		seeds[n].node = nodes[i];
		omen_records_keys(graph->records, query, &nodes[i], 1, &seeds[n].key);
		n++;
	}
	if (member->sketches)
	{
		for (i = 0; i < n; i++)
			omen_sketches_keys(member->sketches, member->sketch_query, &seeds[i].node, 1, &seeds[i].key);
	}
	omen_search_seed(member->search, seeds, n);
}

/* Are the nearest ef entries of the beam expanded, or all if it has fewer? */
static bool
search_is_done(OmenSearch *search, uint32 ef)
{
	const uint64 *words;
	uint32		n = omen_search_packed_results(search, &words);
	uint32		i;

	for (i = 0; i < Min(n, ef); i++)
	{
		if (!(words[i] & OMEN_PACKED_FLAG))
			return false;
	}
	return true;
}

/* Put a word among the nearest, if it is one of them. */
static void
keep_nearest(CalibrationMember *member, uint64 word)
{
	uint64	   *nearest = member->nearest;
	int			at = member->n_nearest;

	if (at == OMEN_CURVE_K && word >= nearest[at - 1])
		return;
	if (at == OMEN_CURVE_K)
		at--;
	else
		member->n_nearest++;
	for (; at > 0 && nearest[at - 1] > word; at--)
		nearest[at] = nearest[at - 1];
	nearest[at] = word;
}

/* The nearest of the nearest ef entries of the beam: as it says itself, or, behind sketches, by their codes. */
static void
find_nearest(CalibrationMember *member, const OmenQuery *query, uint32 ef)
{
	const uint64 *words;
	uint32		n = omen_search_packed_results(member->search, &words);
	uint32		i;

	n = Min(n, member->sketches ? ef : OMEN_CURVE_K);
	member->n_nearest = 0;
	for (i = 0; i < n; i++)
	{
		uint32		node = omen_packed_node(words[i]);
		float		key = omen_packed_key(words[i]);

		if (member->sketches)
			omen_records_keys(member->graph->records, query, &node, 1, &key);
		keep_nearest(member, omen_packed_make(key, node));
	}
}

/* Their keys, ascending; INFINITY fills up. */
static void
nearest_keys(const CalibrationMember *member, float keys[OMEN_CURVE_K])
{
	int			i;

	for (i = 0; i < OMEN_CURVE_K; i++)
		keys[i] = i < member->n_nearest ? omen_packed_key(member->nearest[i]) : INFINITY;
}

/* What tells the class of a query: the key of number OMEN_CURVE_K of the beam, as the search compares. */
static float
class_key(OmenSearch *search)
{
	const uint64 *words;
	int			n = omen_search_packed_results(search, &words);

	return n < OMEN_CURVE_K ? INFINITY : omen_packed_key(words[OMEN_CURVE_K - 1]);
}

/* Of ascending keys, how many are not above a limit. */
static uint8
count_up_to(const float keys[OMEN_CURVE_K], float limit)
{
	int			n = 0;

	while (n < OMEN_CURVE_K && keys[n] <= limit)
		n++;
	return n;
}

/* Search for a query, noting what each rung has found of what the last one finds. */
static void
search_query(CalibrationMember *member, const OmenQuery *query, QueryResult *result)
{
	OmenSearch *search = member->search;
	float		keys[OMEN_CURVE_RUNGS][OMEN_CURVE_K];
	uint32		times = member->sketches ? member->sketches->oversampling : 1;
	int			rung;

	member->source.query = query;
	omen_search_begin(search, &member->source.source, omen_curve_rungs[TOP_RUNG] * times, INFINITY, false);
	seed_search(member, query);
	for (rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
	{
		uint32		ef = omen_curve_rungs[rung] * times;

		while (!search_is_done(search, ef) && !omen_search_run(search, 1))
			 /* go on */ ;
		find_nearest(member, query, ef);
		nearest_keys(member, keys[rung]);
		if (rung == LEAST_RUNG)
			result->class_key = class_key(search);
	}
	result->farthest = keys[TOP_RUNG][OMEN_CURVE_K - 1];
	for (rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
		result->hits[rung] = count_up_to(keys[rung], result->farthest);
}

/* Each group has a slice of the nodes: every n-th block. */
static inline bool
in_slice(const CalibrationMember *member, uint32 group, uint32 node)
{
	return (node / BLOCK_NODES + group) % member->n_slices == 0;
}

/* How many nodes of the slice that are nearer than the farthest the search has found. */
static uint32
found_in_slice(CalibrationMember *member, uint32 group, float farthest)
{
	uint32		n_found = 0;
	int			i;

	for (i = 0; i < member->n_nearest; i++)
		n_found += omen_packed_key(member->nearest[i]) < farthest &&
			in_slice(member, group, omen_packed_node(member->nearest[i]));
	return n_found;
}

/* Count the nodes of a block that are nearer to each query than its farthest. */
static void
count_in_block(CalibrationMember *member, uint32 first, uint32 end, QueryResult *results, uint32 n)
{
	uint32		nodes[BLOCK_NODES + 1];
	float		keys[BLOCK_NODES];
	int			n_nodes = 0;
	uint32		q;
	int			i;

	for (; first < end; first++)
	{
		nodes[n_nodes] = first;
		n_nodes += is_inserted(member->graph, first);
	}
	for (q = 0; q < n; q++)
	{
		omen_records_keys(member->graph->records, member->queries[q], nodes, n_nodes, keys);
		for (i = 0; i < n_nodes; i++)
			results[q].n_nearer += keys[i] < results[q].farthest;
	}
}

/* The queries of a group, n from number `first` on. */
static void
measure_group(CalibrationMember *member, uint32 first, uint32 n, QueryResult *results)
{
	const OmenRecords *records = member->graph->records;
	const OmenCodec *codec = records->codec;
	uint32		n_inserted = records->n - member->graph->n_queries;
	uint32		group = first / GROUP_QUERIES;
	uint32		i;

	for (i = 0; i < n; i++)
	{
		uint32		node = member->graph->queries[first + i];

		codec->query_from_code(codec, member->queries[i], omen_records_factors(records, node),
							   omen_records_code(records, node));
		if (member->sketches)
		{
			codec->decode(codec, omen_records_factors(records, node),
						  omen_records_code(records, node), member->vector);
			member->sketches->sketch->query_from_vector(member->sketches->sketch, member->sketches->model,
														member->sketch_query, member->vector);
		}
		search_query(member, member->queries[i], &results[i]);
		results[i].n_found = found_in_slice(member, group, results[i].farthest);
		member->host->tick(member->host->arg, n_inserted);
	}
	for (i = 0; i < records->n; i += BLOCK_NODES)
	{
		if (!in_slice(member, group, i))
			continue;
		count_in_block(member, i, Min(i + BLOCK_NODES, records->n), results, n);
		member->host->tick(member->host->arg, n_inserted);
	}
}

/* ---------- from results to the curve ---------- */

/*
 * The curve of one class: the queries that order names.  Where x nodes were
 * missed on the way to the tenth found, that one is number 10 + x.
 */
static void
summarise_class(const QueryResult *results, const uint64 *order, uint32 n, uint32 n_slices,
				uint8 *recall)
{
	/* without a miss it is not perfect yet: half a miss is added */
	double		n_wanted = (double) n * OMEN_CURVE_K + 0.5;
	uint32		i;
	int			rung;

	for (i = 0; i < n; i++)
	{
		const QueryResult *result = &results[omen_packed_node(order[i])];

		n_wanted += Min((result->n_nearer - result->n_found) * n_slices, MAX_MISSED);
	}
	for (rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
	{
		double		n_hits = 0;

		for (i = 0; i < n; i++)
			n_hits += results[omen_packed_node(order[i])].hits[rung];
		recall[rung] = (uint8) Min(curve_value(n_hits / n_wanted), PG_UINT8_MAX);
	}
}

/*
 * Divide the queries into classes of equal size by the key of the farthest
 * neighbour, as a search sees it that has to tell.  An inner product grows with
 * the query's length, which says nothing of how hard it is: there, all are of one
 * class.
 */
static void
summarise(const CalibrationMember *member, const QueryResult *results, OmenRecallCurve *curve)
{
	const OmenHost *host = member->host;
	uint32		n = member->graph->n_queries;
	bool		one_class = member->graph->records->codec->metric == OMEN_METRIC_IP;
	uint64	   *order = host->alloc(host->arg, sizeof(uint64) * n);
	uint32		i;
	uint32		class;

	for (i = 0; i < n; i++)
		order[i] = omen_packed_make(results[i].class_key, i);
	omen_packed_sort(order, n);
	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
	{
		uint32		from = one_class ? 0 : n * class / OMEN_CURVE_CLASSES;
		uint32		to = one_class ? n : n * (class + 1) / OMEN_CURVE_CLASSES;

		summarise_class(results, order + from, to - from, member->n_slices, curve->recall[class]);
		if (class < OMEN_CURVE_CLASSES - 1)
			curve->limits[class] = one_class ? INFINITY : omen_packed_key(order[to - 1]);
	}
	host->release(host->arg, order);
}

static void
member_begin(CalibrationMember *member, const OmenTeam *team, const OmenCalibration *graph)
{
	int			i;

	member->host = &team->host;
	member->graph = graph;
	member->n_slices = Max(graph->n_queries / WHOLE_SCANS, 1);
	member->search = omen_search_create(member->host);
	member->sketches = graph->records->sketches;
	if (member->sketches)
	{
		const OmenSketch *sketch = member->sketches->sketch;

		member->sketch_query = member->host->alloc(member->host->arg, sketch->query_bytes);
		member->vector = member->host->alloc(member->host->arg, sizeof(float) * sketch->dims);
		omen_array_source_sketched(&member->source, graph->records, graph->links, graph->max_links);
		member->source.sketch_query = member->sketch_query;
	}
	else
		omen_array_source_init(&member->source, graph->records, graph->links, graph->max_links, NULL);
	for (i = 0; i < GROUP_QUERIES; i++)
		member->queries[i] = member->host->alloc(member->host->arg, graph->records->codec->query_bytes);
}

static void
member_end(CalibrationMember *member)
{
	int			i;

	for (i = 0; i < GROUP_QUERIES; i++)
		member->host->release(member->host->arg, member->queries[i]);
	if (member->sketches)
	{
		member->host->release(member->host->arg, member->sketch_query);
		member->host->release(member->host->arg, member->vector);
	}
	omen_search_destroy(member->search);
}

void
omen_calibrate(const OmenTeam *team, const OmenCalibration *calibration, OmenRecallCurve *curve)
{
	CalibrationMember member;
	CalibrationShare *share;
	uint32		from;
	uint32		to;

	share = team->share(team->arg, offsetof(CalibrationShare, results) +
						sizeof(QueryResult) * calibration->n_queries);
	member_begin(&member, team, calibration);
	while (omen_team_claim(&share->next, GROUP_QUERIES, calibration->n_queries, &from, &to))
		measure_group(&member, from, to - from, share->results + from);
	team->barrier(team->arg);
	summarise(&member, share->results, curve);
	member_end(&member);
	team->unshare(team->arg, share);
}
