/*-------------------------------------------------------------------------
 *
 * test_graph_calibrate.c
 *	  Curves and what is chosen by them; what is measured against what is
 *	  found; a search made wider against one that was wide from the start.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdlib.h>

#undef qsort

#include "src/graph/graph_array.h"
#include "src/graph/graph_build.h"
#include "unit/test_check.h"
#include "unit/test_host.h"

#define N_NODES 20000
#define N_QUERIES 500
#define DIMS 16

static TestCounts counts;
static const OmenHost host = TEST_HOST(&counts);

static uint32 random_state = 5;

static float
test_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) / 16777216.0f;
}

/* Clusters of different widths: near ones easy, wide ones hard. */
static void
random_vector(float *x)
{
	uint32		cluster = (uint32) (test_random() * 50);
	float		width = 1 + cluster % 5 * 10;
	int			i;

	for (i = 0; i < DIMS; i++)
		x[i] = (cluster * 37 + i * 11) % 64 + width * test_random();
}

/* ---------- curves ---------- */

static OmenRecallCurve
make_curve(void)
{
	OmenRecallCurve curve;
	int			class;
	int			rung;

	memset(&curve, 0, sizeof(curve));
	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
		for (rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
			curve.recall[class][rung] = 100 - 20 * class + 8 * rung;
	for (class = 0; class < OMEN_CURVE_CLASSES - 1; class++)
		curve.limits[class] = class - 1.5f;
	return curve;
}

static void
test_curves(void)
{
	OmenRecallCurve curve = make_curve();
	OmenRecallCurve none;
	uint32		ef[OMEN_CURVE_CLASSES];
	uint32		last_ef = 0;
	double		recall;
	int			rung;

	memset(&none, 0, sizeof(none));
	check(omen_curve_is_known(&curve) && !omen_curve_is_known(&none), "known", 0);
	check(omen_curve_is_sane(&curve) && omen_curve_is_sane(&none), "sane", 0);

	check(omen_curve_class(&curve, -9) == 0 && omen_curve_class(&curve, -1.5) == 0 &&
		  omen_curve_class(&curve, -1.4f) == 1 && omen_curve_class(&curve, 0.5) == 2 &&
		  omen_curve_class(&curve, INFINITY) == 3 && omen_curve_class(&curve, NAN) == 3, "class", 0);

	for (recall = 0.5; recall < 0.9995; recall += 0.001)
	{
		uint32		found = omen_curve_ef(&curve, 2, recall);

		check(found >= last_ef, "more recall, wider beam", recall);
		check(found == omen_curve_rungs[0] || found == OMEN_CURVE_MAX_EF ||
			  (omen_curve_recall(&curve, 2, found) >= recall - 1e-9 &&
			   omen_curve_recall(&curve, 2, found - 1) < recall + 1e-3), "beam and recall agree", recall);
		last_ef = found;
	}
	recall = omen_curve_choose(&curve, 0.99, ef);
	check(recall >= 0.99 && recall < 0.991, "recall chosen", recall);
	check(ef[0] == OMEN_CURVE_LEAST_EF && ef[0] < ef[1] && ef[1] < ef[2] && ef[2] < ef[3], "beams chosen", ef[3]);
	check(ef[3] < omen_curve_ef(&curve, 3, 0.99), "hard classes gain by easy ones", ef[3]);

	/* one class alone is hard: it reaches its part whatever the others do */
	for (rung = 0; rung < OMEN_CURVE_RUNGS; rung++)
		curve.recall[0][rung] = curve.recall[1][rung] = curve.recall[2][rung] = PG_UINT8_MAX;
	recall = omen_curve_choose(&curve, 0.97, ef);
	check(recall > 0.97 && omen_curve_recall(&curve, 3, ef[3]) >= 0.95, "no class far below", ef[3]);
	curve = make_curve();

	curve.recall[1][3] = curve.recall[1][2] - 1;
	check(!omen_curve_is_sane(&curve), "falling curve", 0);
	curve = make_curve();
	curve.limits[2] = curve.limits[0] - 1;
	check(!omen_curve_is_sane(&curve), "limits out of order", 0);
	curve.limits[2] = NAN;
	check(!omen_curve_is_sane(&curve), "limit that is none", 0);
	curve = make_curve();
	memset(curve.recall[3], 0, sizeof(curve.recall[3]));
	check(!omen_curve_is_sane(&curve), "one class not measured", 0);

	check(omen_calibrate_queries(100, 100) == 0 && omen_calibrate_queries(1023, 1023) == 0 &&
		  omen_calibrate_queries(1024, 1024) == 128 && omen_calibrate_queries(10000, 10000) == 400 &&
		  omen_calibrate_queries(10000000, 10000000) == 1000, "number of queries", 0);
}

/* ---------- a graph ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenRecords records;
	OmenRouting routing;
	OmenRecallCurve curve;
	uint32	   *links;
	OmenArraySource source;
	OmenQuery  *query;
	OmenSearch *search;
} Graph;

static void
build(Graph *g)
{
	OmenGraphParams params = {.m = 6,.ef_construction = 24};
	uint32	   *order = test_host_alloc(&counts, sizeof(uint32) * N_NODES);
	float		x[DIMS];
	OmenTeam	team;
	uint32		i;

	memset(g, 0, sizeof(*g));
	omen_codec_init(&g->codec, OMEN_CODE_SQ8, OMEN_METRIC_L2, DIMS);
	g->records.codec = &g->codec;
	g->records.n = N_NODES;
	g->records.factors = test_host_alloc(&counts, (size_t) N_NODES * g->codec.factor_bytes);
	g->records.codes = test_host_alloc(&counts, (size_t) N_NODES * g->codec.code_bytes);
	for (i = 0; i < N_NODES; i++)
	{
		random_vector(x);
		g->codec.encode(&g->codec, x, g->records.factors + (size_t) i * g->codec.factor_bytes,
						g->records.codes + (size_t) i * g->codec.code_bytes);
	}
	g->links = test_host_alloc(&counts, sizeof(uint32) * N_NODES * 2 * params.m);
	omen_team_alone(&team, &host);
	omen_locality_order(&team, &g->records, order, &g->routing);
	omen_permute(&team, g->records.factors, g->codec.factor_bytes, order, N_NODES);
	omen_permute(&team, g->records.codes, g->codec.code_bytes, order, N_NODES);
	omen_graph_link(&team, &g->records, &g->routing, &params, g->links, &g->curve);
	free(order);

	g->query = test_host_alloc(&counts, g->codec.query_bytes);
	g->search = omen_search_create(&host);
	omen_array_source_init(&g->source, &g->records, g->links, 2 * params.m, g->query);
}

static void
release(Graph *g)
{
	OmenTeam	team;

	omen_search_destroy(g->search);
	omen_team_alone(&team, &host);
	omen_routing_release(&team, &g->routing);
	free(g->query);
	free(g->links);
	free(g->records.factors);
	free(g->records.codes);
}

static void
begin(Graph *g, uint32 ef)
{
	OmenCandidate seeds[OMEN_ROUTING_SEEDS];

	omen_search_begin(g->search, &g->source.source, ef, INFINITY, true);
	omen_search_seed(g->search, seeds, omen_array_route(&g->records, &g->routing, g->query, seeds));
	while (!omen_search_run(g->search, 100))
		 /* go on */ ;
}

static void
widen(Graph *g, uint32 ef)
{
	omen_search_widen(g->search, ef);
	while (!omen_search_run(g->search, 100))
		 /* go on */ ;
}

/* Keep what a search has found. */
static int
copy_results(Graph *g, OmenCandidate *copy)
{
	const OmenCandidate *found;
	int			n = omen_search_results(g->search, &found);

	memcpy(copy, found, sizeof(OmenCandidate) * n);
	return n;
}

static bool
same_candidates(const OmenCandidate *a, int n, const OmenCandidate *b, int n_b)
{
	int			i;

	for (i = 0; i < n && n == n_b; i++)
	{
		if (a[i].key != b[i].key || a[i].node != b[i].node)
			return false;
	}
	return n == n_b;
}

static bool
any_in_both(const OmenCandidate *a, int n, const OmenCandidate *b, int n_b)
{
	int			i;
	int			j;

	for (i = 0; i < n; i++)
		for (j = 0; j < n_b; j++)
			if (a[i].node == b[j].node)
				return true;
	return false;
}

/* A search made wider finds, and has computed, what one of that width does. */
static void
test_widen(Graph *g, uint32 narrow, uint32 wide)
{
	static OmenCandidate expected[4096];
	static OmenCandidate found[4096];
	int			n_expected;
	int			n_found;
	uint64		n_keys;

	begin(g, wide);
	n_expected = copy_results(g, expected);
	n_keys = omen_search_n_keys(g->search);
	begin(g, narrow);
	widen(g, wide);
	n_found = copy_results(g, found);
	check(same_candidates(expected, n_expected, found, n_found), "widened search finds the same", wide);
	check(omen_search_n_keys(g->search) == n_keys, "widened search does the same", wide);

	check(omen_search_resume(g->search, wide, INFINITY), "widened search goes on", wide);
	while (!omen_search_run(g->search, 100))
		 /* go on */ ;
	n_found = copy_results(g, found);
	check(n_found > 0 && !any_in_both(expected, n_expected, found, n_found), "what comes next is new", wide);
}

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The key of the farthest of the true neighbours. */
static float
exact_farthest(Graph *g)
{
	static float keys[N_NODES];
	static uint32 nodes[N_NODES];
	uint32		i;

	for (i = 0; i < N_NODES; i++)
		nodes[i] = i;
	omen_records_keys(&g->records, g->query, nodes, N_NODES, keys);
	qsort(keys, N_NODES, sizeof(float), compare_floats);
	return keys[OMEN_CURVE_K - 1];
}

static int
count_hits(Graph *g, float farthest)
{
	const OmenCandidate *found;
	int			n = omen_search_results(g->search, &found);
	int			n_hits = 0;

	while (n_hits < Min(n, OMEN_CURVE_K) && found[n_hits].key <= farthest)
		n_hits++;
	return n_hits;
}

/* New queries find what was predicted, with one width and with one for each class. */
static void
test_prediction(Graph *g)
{
	static const uint32 widths[] = {16, 37, 84, 128};
	uint32		ef[OMEN_CURVE_CLASSES];
	double		predicted = omen_curve_choose(&g->curve, 0.95, ef);
	int			n_hits[lengthof(widths) + 1] = {0};
	int			per_class[OMEN_CURVE_CLASSES] = {0};
	float		x[DIMS];
	size_t		i;
	int			q;
	int			class;

	for (q = 0; q < N_QUERIES; q++)
	{
		const OmenCandidate *found;
		float		farthest;

		random_vector(x);
		g->codec.query_from_vector(&g->codec, g->query, x);
		farthest = exact_farthest(g);
		for (i = 0; i < lengthof(widths); i++)
		{
			begin(g, widths[i]);
			n_hits[i] += count_hits(g, farthest);
		}
		begin(g, OMEN_CURVE_LEAST_EF);
		omen_search_results(g->search, &found);
		class = omen_curve_class(&g->curve, found[OMEN_CURVE_K - 1].key);
		per_class[class]++;
		widen(g, ef[class]);
		n_hits[lengthof(widths)] += count_hits(g, farthest);
	}
	for (i = 0; i < lengthof(widths); i++)
	{
		double		recall = n_hits[i] / ((double) N_QUERIES * OMEN_CURVE_K);
		double		expected = 0;

		for (class = 0; class < OMEN_CURVE_CLASSES; class++)
			expected += omen_curve_recall(&g->curve, class, widths[i]) / OMEN_CURVE_CLASSES;
		check(fabs(recall - expected) < 0.02, "recall of one width is as measured", recall - expected);
	}
	check(fabs(n_hits[lengthof(widths)] / ((double) N_QUERIES * OMEN_CURVE_K) - predicted) < 0.02,
		  "recall by classes is as predicted", predicted);
	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
		check(per_class[class] > N_QUERIES / 6 && per_class[class] < N_QUERIES / 3, "queries of a class", per_class[class]);
	check(omen_curve_recall(&g->curve, 0, 16) > omen_curve_recall(&g->curve, 3, 16), "easy before hard", 0);
}

int
main(void)
{
	Graph		g;
	float		x[DIMS];

	omen_kernels_select("auto");
	test_curves();
	build(&g);
	check(omen_curve_is_known(&g.curve) && omen_curve_is_sane(&g.curve), "measured", 0);
	random_vector(x);
	g.codec.query_from_vector(&g.codec, g.query, x);
	test_widen(&g, 10, 11);
	test_widen(&g, 24, 150);
	test_widen(&g, 24, 24);
	test_widen(&g, 100, 1000);
	test_prediction(&g);
	release(&g);
	return report_checks("test_graph_calibrate");
}
