/*-------------------------------------------------------------------------
 *
 * test_graph.c
 *	  Numbering, links and search on made-up vectors.
 *
 * What must hold: the same input gives the same graph, with every kernel and
 * in every run; every node is reachable from the routing table, is found when it
 * is asked for, and leaves a resumed search exactly once; recall does not fall
 * below a floor; degenerate sizes work.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_build.h"
#include "src/graph/graph_search.h"
#include "unit/test_hash.h"
#include "unit/test_host.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define MAX_REPORTS 20
#define RECALL_AT 10

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, uint32 n, uint32 dims, OmenMetric metric, double found)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: %s, %u nodes, %u dimensions, metric %d: %g\n",
			   what, omen_kernels->name, n, dims, metric, found);
}

static TestCounts counts;
static const OmenHost host = TEST_HOST(&counts);
static OmenTeam team;

/* ---------- vectors ---------- */

/*
 * n vectors in clusters of 50, of one seed.  With a spread above 1 their lengths
 * differ by up to that factor.  With a spread of 0 there are no clusters, and the
 * logarithms of the lengths are roughly normal; with -1 no component is negative,
 * either.
 */
static float *
make_vectors(uint32 n, uint32 dims, OmenMetric metric, double spread)
{
	float	   *values = test_host_alloc(&counts, sizeof(float) * n * dims);
	float	   *centre = test_host_alloc(&counts, sizeof(float) * dims);
	uint32		i;
	uint32		j;

	random_state = 7;
	for (i = 0; i < n; i++)
	{
		float	   *x = values + (size_t) i * dims;
		double		norm_sq = 0;

		for (j = 0; i % 50 == 0 && j < dims; j++)
			centre[j] = spread > 0 ? 2 * (float) next_sum(4) : 0;
		for (j = 0; j < dims; j++)
		{
			x[j] = centre[j] + (float) next_sum(4);
			if (spread < 0)
				x[j] = fabsf(x[j]);
			norm_sq += (double) x[j] * x[j];
		}
		for (j = 0; metric == OMEN_METRIC_COSINE && j < dims; j++)
			x[j] = (float) (x[j] / sqrt(norm_sq));
		if (spread != 1)
		{
			double		scale = spread > 0 ? pow(spread, (double) next_random() / 0x7fffffff) : exp(next_sum(3));

			for (j = 0; j < dims; j++)
				x[j] = (float) (x[j] * scale);
		}
	}
	test_host_release(&counts, centre);
	return values;
}

/* ---------- graph ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenRecords records;
	OmenRouting routing;
	OmenGraphParams params;
	uint32	   *order;
	uint32	   *links;
	OmenRecallCurve curve;
} Graph;

static void
build_graph(Graph *g, const float *values, uint32 n, uint32 dims, OmenMetric metric, uint32 m)
{
	uint32		i;

	memset(g, 0, sizeof(*g));
	omen_codec_init(&g->codec, OMEN_CODE_SQ8, metric, dims);
	g->params.m = m;
	g->params.ef_construction = 4 * m;
	g->records.codec = &g->codec;
	g->records.n = n;
	g->records.factors = test_host_alloc(&counts, (size_t) n * g->codec.factor_bytes);
	g->records.codes = test_host_alloc(&counts, (size_t) n * g->codec.code_bytes);
	g->order = test_host_alloc(&counts, sizeof(uint32) * n);
	g->links = test_host_alloc(&counts, sizeof(uint32) * n * 2 * m);
	for (i = 0; i < n; i++)
		g->codec.encode(&g->codec, values + (size_t) i * dims,
						g->records.factors + (size_t) i * g->codec.factor_bytes,
						g->records.codes + (size_t) i * g->codec.code_bytes);
	omen_locality_order(&team, &g->records, g->order, &g->routing);
	omen_permute(&team, g->records.factors, g->codec.factor_bytes, g->order, n);
	omen_permute(&team, g->records.codes, g->codec.code_bytes, g->order, n);
	omen_graph_link(&team, &g->records, &g->routing, &g->params, g->links, &g->curve);
}

static void
free_graph(Graph *g)
{
	test_host_release(&counts, g->records.factors);
	test_host_release(&counts, g->records.codes);
	test_host_release(&counts, g->order);
	test_host_release(&counts, g->links);
	omen_routing_release(&team, &g->routing);
}

static uint64
hash_graph(const Graph *g)
{
	return hash_words(g->links, (size_t) g->records.n * 2 * g->params.m) ^
		hash_words(g->order, g->records.n) * 3 ^
		hash_words(g->routing.sample_nodes, g->routing.n_samples) * 5;
}

/* Order, routing table and lists are what the headers say. */
static void
check_shape(const Graph *g)
{
	uint32		n = g->records.n;
	uint32		max_links = 2 * g->params.m;
	uint8	   *seen = test_host_alloc(&counts, n + 1);
	uint32		n_bad = 0;
	uint32		i;
	uint32		j;
	uint32		k;

	memset(seen, 0, n + 1);
	for (i = 0; i < n; i++)
		n_bad += g->order[i] >= n || seen[g->order[i]]++ > 0;
	check(n_bad == 0, "order", n, g->codec.dims, g->codec.metric, n_bad);

	n_bad = (n == 0) != (g->routing.centres.n == 0);
	n_bad += g->routing.first_sample[g->routing.centres.n] != g->routing.n_samples;
	for (i = 0; i < g->routing.centres.n; i++)
		n_bad += g->routing.first_sample[i + 1] <= g->routing.first_sample[i];
	for (i = 0; i < g->routing.n_samples; i++)
		n_bad += g->routing.sample_nodes[i] >= n ||
			(i > 0 && g->routing.sample_nodes[i] <= g->routing.sample_nodes[i - 1]);
	check(n_bad == 0, "routing", n, g->codec.dims, g->codec.metric, n_bad);

	n_bad = 0;
	for (i = 0; i < n; i++)
	{
		const uint32 *list = g->links + (size_t) i * max_links;

		for (j = 0; j < max_links && list[j] != OMEN_NO_NODE; j++)
		{
			n_bad += list[j] >= n || list[j] == i;
			for (k = 0; k < j; k++)
				n_bad += list[k] == list[j];
		}
		for (; j < max_links; j++)
			n_bad += list[j] != OMEN_NO_NODE;
	}
	check(n_bad == 0, "lists", n, g->codec.dims, g->codec.metric, n_bad);
	test_host_release(&counts, seen);
}

/* ---------- searches ---------- */

typedef struct Searcher
{
	const Graph *graph;
	OmenArraySource source;
	OmenQuery  *query;
	OmenSearch *search;
} Searcher;

static void
searcher_begin(Searcher *s, const Graph *g)
{
	s->graph = g;
	s->query = test_host_alloc(&counts, g->codec.query_bytes);
	s->search = omen_search_create(&host);
	omen_array_source_init(&s->source, &g->records, g->links, 2 * g->params.m, s->query);
}

static void
searcher_end(Searcher *s)
{
	test_host_release(&counts, s->query);
	omen_search_destroy(s->search);
}

/* Search for a vector; ends with the beam exhausted. */
static int
search_vector(Searcher *s, const float *x, uint32 ef, float bound, const OmenCandidate **found)
{
	const Graph *g = s->graph;
	OmenCandidate seeds[OMEN_ROUTING_SEEDS];
	int			n;

	g->codec.query_from_vector(&g->codec, s->query, x);
	omen_search_begin(s->search, &s->source.source, ef, bound, true);
	n = omen_array_route(&g->records, &g->routing, s->query, seeds);
	omen_search_seed(s->search, seeds, n);
	while (!omen_search_run(s->search, 7))
		 /* go on */ ;
	return omen_search_results(s->search, found);
}

/* All nodes' keys, for an exhaustive search. */
static void
all_keys(Searcher *s, float *keys)
{
	uint32		n = s->graph->records.n;
	uint32	   *nodes = test_host_alloc(&counts, sizeof(uint32) * n);
	uint32		i;

	for (i = 0; i < n; i++)
		nodes[i] = i;
	omen_records_keys(&s->graph->records, s->query, nodes, (int) n, keys);
	test_host_release(&counts, nodes);
}

/* Every node is the first result of its own search (but not for inner products). */
static void
check_own_nearest(Searcher *s, const float *values)
{
	const Graph *g = s->graph;
	uint32		n_lost = 0;
	uint32		i;

	for (i = 0; i < g->records.n; i++)
	{
		const OmenCandidate *found;
		int			n = search_vector(s, values + (size_t) g->order[i] * g->codec.dims, 64,
									  INFINITY, &found);

		n_lost += (n == 0 || found[0].node != i);
	}
	check(n_lost <= g->records.n / 500, "own nearest", g->records.n, g->codec.dims,
		  g->codec.metric, n_lost);
}

/* The share of the true nearest, by keys, that searches find. */
static void
check_recall(Searcher *s, const float *values, double floor)
{
	const Graph *g = s->graph;
	uint32		n = g->records.n;
	float	   *keys = test_host_alloc(&counts, sizeof(float) * n);
	uint32		n_hits = 0;
	uint32		n_wanted = 0;
	uint32		query;

	for (query = 0; query < 100; query++)
	{
		const OmenCandidate *found;
		int			n_found = search_vector(s, values + (size_t) (query * 37 % n) * g->codec.dims,
											40, INFINITY, &found);
		int			rank;

		all_keys(s, keys);
		for (rank = 0; rank < RECALL_AT && rank < (int) n; rank++)
		{
			uint32		n_nearer = 0;
			uint32		i;

			/* a result is a hit if fewer than RECALL_AT nodes are nearer */
			for (i = 0; rank < n_found && i < n; i++)
				n_nearer += keys[i] < found[rank].key;
			n_hits += rank < n_found && n_nearer < RECALL_AT;
			n_wanted++;
		}
	}
	check(n_hits >= floor * n_wanted, "recall", n, g->codec.dims, g->codec.metric,
		  (double) n_hits / n_wanted);
	test_host_release(&counts, keys);
}

/* Results come in order, and after resumes every node has come exactly once. */
static void
check_resume(Searcher *s, const float *x, uint32 ef, float bound, bool widen)
{
	const Graph *g = s->graph;
	uint32		n = g->records.n;
	uint8	   *returned = test_host_alloc(&counts, n + 1);
	const OmenCandidate *found;
	uint32		n_returned = 0;
	uint32		n_bad = 0;
	int			n_found = search_vector(s, x, ef, bound, &found);

	memset(returned, 0, n + 1);
	for (;;)
	{
		int			i;

		n_bad += n_found > (int) ef;
		for (i = 0; i < n_found; i++)
		{
			n_bad += returned[found[i].node]++ > 0;
			n_bad += i > 0 && (found[i].key < found[i - 1].key ||
							   (found[i].key == found[i - 1].key && found[i].node <= found[i - 1].node));
		}
		n_returned += n_found;
		if (widen)
			ef *= 2;
		if (!omen_search_resume(s->search, ef, bound))
			break;
		while (!omen_search_run(s->search, 1000))
			 /* go on */ ;
		n_found = omen_search_results(s->search, &found);
	}
	check(n_bad == 0, "resume, order", n, g->codec.dims, g->codec.metric, n_bad);
	check(n_returned == n, "resume, all", n, g->codec.dims, g->codec.metric, n_returned);
	check(omen_search_n_keys(s->search) >= n, "keys", n, g->codec.dims, g->codec.metric, 0);
	test_host_release(&counts, returned);
}

/* A bound saves work, and never more than it may. */
static void
check_bound(Searcher *s, const float *x)
{
	const Graph *g = s->graph;
	const OmenCandidate *found;
	uint64		n_free;
	uint64		n_bounded;

	search_vector(s, x, 200, INFINITY, &found);
	n_free = omen_search_n_expanded(s->search);
	search_vector(s, x, 200, found[0].key, &found);
	n_bounded = omen_search_n_expanded(s->search);
	check(n_bounded < n_free && n_bounded >= omen_search_patience(200), "bound",
		  g->records.n, g->codec.dims, g->codec.metric, (double) n_bounded);
}

static void
check_graph(uint32 n, uint32 dims, OmenMetric metric, uint32 m)
{
	float	   *values = make_vectors(n, dims, metric, 1);
	uint64		hash;
	Graph		g;
	Searcher	s;

	build_graph(&g, values, n, dims, metric, m);
	check_shape(&g);
	hash = hash_graph(&g);
	searcher_begin(&s, &g);
	if (metric != OMEN_METRIC_IP)
		check_own_nearest(&s, values);
	if (n > 0)
	{
		check_recall(&s, values, 0.95);
		check_resume(&s, values, 1, INFINITY, true);
		check_resume(&s, values, 30, INFINITY, false);
		check_resume(&s, values, 10, -INFINITY, true);
		check_resume(&s, values, 1500, INFINITY, true);
	}
	if (n >= 1000)
		check_bound(&s, values);
	searcher_end(&s);
	free_graph(&g);

	/* again, with other kernels: the very same graph */
	omen_kernels_select("scalar");
	build_graph(&g, values, n, dims, metric, m);
	check(hash_graph(&g) == hash, "same graph", n, dims, metric, 0);
	omen_kernels_select("auto");
	free_graph(&g);
	test_host_release(&counts, values);
	check(counts.n_allocated == 0, "memory", n, dims, metric, counts.n_allocated);
	counts.n_allocated = 0;
}

/* Inner products of vectors of very different lengths: found, and measured. */
static void
check_lengths(uint32 n, uint32 dims, double spread)
{
	float	   *values = make_vectors(n, dims, OMEN_METRIC_IP, spread);
	Graph		g;
	Searcher	s;

	build_graph(&g, values, n, dims, OMEN_METRIC_IP, 16);
	searcher_begin(&s, &g);
	check_recall(&s, values, 0.97);
	check(omen_curve_is_known(&g.curve), "curve", n, dims, OMEN_METRIC_IP, spread);
	searcher_end(&s);
	free_graph(&g);
	test_host_release(&counts, values);
	counts.n_allocated = 0;
}

/* Many equal keys: points on a line, each integer ten times but for another component. */
static void
check_ties(void)
{
	const uint32 n = 1000;
	float	   *values = make_vectors(n, 2, OMEN_METRIC_L2, 1);
	Graph		g;
	Searcher	s;
	uint32		i;

	for (i = 0; i < n; i++)
	{
		values[2 * i] = (float) (i / 10 % 100);
		values[2 * i + 1] = (float) (i % 10);
	}
	build_graph(&g, values, n, 2, OMEN_METRIC_L2, 8);
	check_shape(&g);
	searcher_begin(&s, &g);
	check_own_nearest(&s, values);
	check_resume(&s, values, 5, INFINITY, true);
	searcher_end(&s);
	free_graph(&g);
	test_host_release(&counts, values);
	counts.n_allocated = 0;
}

int
main(void)
{
	static const OmenMetric metrics[] = {OMEN_METRIC_L2, OMEN_METRIC_IP, OMEN_METRIC_COSINE, OMEN_METRIC_L1};
	static const uint32 tiny[] = {0, 1, 2, 3, 5, 17, 40, 100};
	size_t		i;

	omen_kernels_select("auto");
	omen_team_alone(&team, &host);
	for (i = 0; i < lengthof(tiny); i++)
		check_graph(tiny[i], 7, OMEN_METRIC_L2, 2);
	for (i = 0; i < lengthof(metrics); i++)
		check_graph(3000, 24, metrics[i], 16);
	check_graph(5000, 16, OMEN_METRIC_L2, 8);
	check_graph(1500, 131, OMEN_METRIC_COSINE, 100);
	check_lengths(6000, 32, 30);
	check_lengths(6000, 32, 1000);
	check_lengths(6000, 32, 0);
	check_lengths(6000, 32, -1);
	check_ties();
	check(counts.n_ticks > 1000, "ticks", 0, 0, 0, counts.n_ticks);
	printf("test_graph: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
