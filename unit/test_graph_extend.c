/*-------------------------------------------------------------------------
 *
 * test_graph_extend.c
 *	  Older graphs that go on: nodes are added and removed.
 *
 * What comes out must be a graph like one built anew: its lists sound, every
 * node reachable, recall the same; the older nodes keep their order, and teams
 * of any size make the same of it.  It must cost much less, too.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_build.h"
#include "src/graph/graph_search.h"
#include "unit/test_host.h"
#include "unit/test_random.h"
#include "unit/thread_team.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define DIMS 32
#define LATENT 12				/* what the vectors vary in, but for noise */
#define N_QUERIES 300
#define RECALL_AT 10
#define MOST_MEMBERS 3

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, uint32 n, double found)
{
	if (ok)
		n_passed++;
	else
	{
		n_failed++;
		printf("%s, %u nodes: %g\n", what, n, found);
	}
}

/* ---------- host ---------- */

static TestCounts counts[MOST_MEMBERS];
static OmenHost hosts[MOST_MEMBERS];

static void *
host_alloc(size_t bytes)
{
	return test_host_alloc(&counts[0], bytes);
}

static void
host_release(void *pointer)
{
	test_host_release(&counts[0], pointer);
}

/* ---------- vectors ---------- */

static void
make_vector(float x[DIMS])
{
	static float mixing[DIMS][LATENT];
	float		latent[LATENT];
	int			i;
	int			j;

	for (i = 0; mixing[DIMS - 1][LATENT - 1] == 0 && i < DIMS * LATENT; i++)
		mixing[i / LATENT][i % LATENT] = (float) next_sum(4);
	for (j = 0; j < LATENT; j++)
		latent[j] = (float) next_sum(4);
	for (i = 0; i < DIMS; i++)
	{
		x[i] = 0.2f * (float) next_sum(4);
		for (j = 0; j < LATENT; j++)
			x[i] += mixing[i][j] * latent[j];
	}
}

/* ---------- graphs ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenGraphParams params;
	OmenRecords records;		/* in the order of the input, then of the graph */
	uint32	   *order;
	uint32	   *links;
	OmenRouting routing;

	/* if it goes on from another one */
	OmenOlderGraph older;
	uint32		n_carried;
	bool		numbered_anew;	/* those carried, too */
	double		seconds;
} Graph;

static void
graph_alloc(Graph *g, uint32 n)
{
	memset(g, 0, sizeof(*g));
	omen_codec_init(&g->codec, OMEN_CODE_SQ8, OMEN_METRIC_L2, DIMS);
	g->params.m = 12;
	g->params.ef_construction = 48;
	g->records.codec = &g->codec;
	g->records.n = n;
	g->records.factors = host_alloc((size_t) n * g->codec.factor_bytes);
	g->records.codes = host_alloc((size_t) n * g->codec.code_bytes);
	g->order = host_alloc(sizeof(uint32) * n);
	g->links = host_alloc(sizeof(uint32) * n * 2 * g->params.m);
}

static void
graph_release(Graph *g)
{
	OmenTeam	alone;

	omen_team_alone(&alone, &hosts[0]);
	host_release(g->records.factors);
	host_release(g->records.codes);
	host_release(g->order);
	host_release(g->links);
	omen_routing_release(&alone, &g->routing);
}

static void
set_record(Graph *g, uint32 i, const Graph *from, uint32 from_i)
{
	memcpy(g->records.factors + (size_t) i * g->codec.factor_bytes,
		   omen_records_factors(&from->records, from_i), g->codec.factor_bytes);
	memcpy(g->records.codes + (size_t) i * g->codec.code_bytes,
		   omen_records_code(&from->records, from_i), g->codec.code_bytes);
}

/* Vectors of their own for the records from .. n. */
static void
make_records(Graph *g, uint32 from)
{
	float		x[DIMS];

	for (; from < g->records.n; from++)
	{
		make_vector(x);
		g->codec.encode(&g->codec, x, g->records.factors + (size_t) from * g->codec.factor_bytes,
						g->records.codes + (size_t) from * g->codec.code_bytes);
	}
}

static void
build_as_member(const OmenTeam *team, void *arg)
{
	Graph	   *g = arg;
	uint32		n = g->records.n;
	OmenRecallCurve curve;
	OmenRouting routing;

	if (g->n_carried > 0 && !g->numbered_anew)
		omen_locality_extend(team, &g->records, &g->older, g->n_carried, g->order, &routing);
	else
		omen_locality_order(team, &g->records, g->order, &routing);
	omen_permute(team, g->records.factors, g->codec.factor_bytes, g->order, n);
	omen_permute(team, g->records.codes, g->codec.code_bytes, g->order, n);
	if (g->n_carried > 0)
	{
		omen_links_carry(team, &g->records, &g->older, g->order, g->n_carried, g->params.m,
						 g->links);
		omen_graph_extend(team, &g->records, &routing, &g->params, g->order, g->n_carried, g->links,
						  &curve);
	}
	else
		omen_graph_link(team, &g->records, &routing, &g->params, g->links, &curve);
	if (omen_team_leads(team))
		g->routing = routing;
	else
		omen_routing_release(team, &routing);	/* there are no terms */
}

static void
build(Graph *g, int n_members)
{
	clock_t		start = clock();

	thread_team_run(hosts, n_members, build_as_member, g);
	g->seconds = (double) (clock() - start) / CLOCKS_PER_SEC;
}

/* ---------- what must hold ---------- */

static void
check_shape(const Graph *g)
{
	uint32		n = g->records.n;
	uint32		max_links = 2 * g->params.m;
	uint8	   *seen = host_alloc(n + 1);
	uint32		next_carried = 0;
	uint32		n_bad = 0;
	uint32		i;
	uint32		j;
	uint32		k;

	memset(seen, 0, n + 1);
	for (i = 0; i < n; i++)
	{
		n_bad += g->order[i] >= n || seen[g->order[i]]++ > 0;
		if (g->order[i] < g->n_carried && !g->numbered_anew)
			n_bad += g->order[i] != next_carried++;
	}
	check(n_bad == 0, "order", n, n_bad);

	n_bad = g->routing.first_sample[g->routing.centres.n] != g->routing.n_samples;
	for (i = 0; i < g->routing.centres.n; i++)
		n_bad += g->routing.first_sample[i + 1] <= g->routing.first_sample[i];
	for (i = 0; i < g->routing.n_samples; i++)
		n_bad += g->routing.sample_nodes[i] >= n ||
			(i > 0 && g->routing.sample_nodes[i] <= g->routing.sample_nodes[i - 1]);
	check(n_bad == 0, "routing", n, n_bad);

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
	check(n_bad == 0, "lists", n, n_bad);
	host_release(seen);
}

static void
check_reachable(const Graph *g)
{
	uint32		n = g->records.n;
	uint32		max_links = 2 * g->params.m;
	uint32	   *stack = host_alloc(sizeof(uint32) * n);
	uint8	   *reached = host_alloc(n);
	uint32		n_stack = 0;
	uint32		n_reached = 0;
	uint32		i;

	memset(reached, 0, n);
	for (i = 0; i < g->routing.n_samples; i++)
	{
		reached[g->routing.sample_nodes[i]] = 1;
		stack[n_stack++] = g->routing.sample_nodes[i];
	}
	while (n_stack > 0)
	{
		const uint32 *list = g->links + (size_t) stack[--n_stack] * max_links;

		n_reached++;
		for (i = 0; i < max_links && list[i] != OMEN_NO_NODE; i++)
		{
			if (!reached[list[i]])
			{
				reached[list[i]] = 1;
				stack[n_stack++] = list[i];
			}
		}
	}
	check(n_reached == n, "reachable", n, n_reached);
	host_release(stack);
	host_release(reached);
}

/* The share of the RECALL_AT nearest, by keys, that searches of ef 20 find. */
static double
recall(const Graph *g)
{
	uint32		n = g->records.n;
	OmenQuery  *query = host_alloc(g->codec.query_bytes);
	OmenSearch *search = omen_search_create(&hosts[0]);
	uint32	   *nodes = host_alloc(sizeof(uint32) * n);
	float	   *keys = host_alloc(sizeof(float) * n);
	OmenArraySource source;
	uint64		saved_state = random_state;
	uint32		n_hits = 0;
	uint32		i;
	int			number;

	for (i = 0; i < n; i++)
		nodes[i] = i;
	omen_array_source_init(&source, &g->records, g->links, 2 * g->params.m, query);
	random_state = 99;
	for (number = 0; number < N_QUERIES; number++)
	{
		OmenCandidate seeds[OMEN_ROUTING_SEEDS];
		const OmenCandidate *found;
		float		x[DIMS];
		int			n_found;
		int			rank;

		make_vector(x);
		g->codec.query_from_vector(&g->codec, query, x);
		omen_search_begin(search, &source.source, 20, INFINITY, false);
		n_found = omen_array_route(&g->records, &g->routing, query, seeds);
		omen_search_seed(search, seeds, n_found);
		while (!omen_search_run(search, 1000))
			 /* go on */ ;
		n_found = omen_search_results(search, &found);
		omen_records_keys(&g->records, query, nodes, (int) n, keys);
		for (rank = 0; rank < RECALL_AT && rank < n_found; rank++)
		{
			uint32		n_nearer = 0;

			for (i = 0; i < n; i++)
				n_nearer += keys[i] < found[rank].key;
			n_hits += n_nearer < RECALL_AT;
		}
	}
	random_state = saved_state;
	omen_search_destroy(search);
	host_release(query);
	host_release(nodes);
	host_release(keys);
	return (double) n_hits / (N_QUERIES * Min(RECALL_AT, n));
}

/* What of an older graph goes on, and how. */
typedef struct Extension
{
	uint32		remove_one_in;	/* 0: all nodes go on */
	uint32		n_new;
	bool		numbered_anew;
} Extension;

/* A graph that goes on from another one. */
static void
extend(Graph *g, const Graph *older, Extension extension, int n_members)
{
	uint32		remove_one_in = extension.remove_one_in;
	uint32		n_new = extension.n_new;
	uint32		n_older = older->records.n;
	uint64	   *removed = host_alloc(sizeof(uint64) * (n_older / 64 + 1));
	uint32		n_carried = 0;
	uint64		saved_state = random_state;
	uint32		i;

	memset(removed, 0, sizeof(uint64) * (n_older / 64 + 1));
	random_state = 17;
	for (i = 0; remove_one_in > 0 && i < n_older; i++)
	{
		if (next_random() % remove_one_in == 0)
			removed[i / 64] |= UINT64CONST(1) << (i % 64);
	}
	for (i = 0; i < n_older; i++)
		n_carried += !((removed[i / 64] >> (i % 64)) & 1);

	graph_alloc(g, n_carried + n_new);
	for (n_carried = 0, i = 0; i < n_older; i++)
	{
		if (!((removed[i / 64] >> (i % 64)) & 1))
			set_record(g, n_carried++, older, i);
	}
	random_state = saved_state;
	make_records(g, n_carried);
	g->n_carried = n_carried;
	g->numbered_anew = extension.numbered_anew;
	g->older.n = n_older;
	g->older.removed = remove_one_in > 0 ? removed : NULL;
	g->older.routing = &older->routing;
	g->older.links = older->links;
	build(g, n_members);
	host_release(removed);
}

/* The same records, built anew. */
static void
build_anew(Graph *g, const Graph *like)
{
	uint32		i;

	graph_alloc(g, like->records.n);
	for (i = 0; i < g->records.n; i++)
		set_record(g, like->order[i], like, i);
	build(g, 1);
}

/*
 * A graph must find what one of the same records finds that is built anew, but
 * for so much; returns how many seconds that one took.
 */
static double
check_recall(const Graph *g, const char *what, double tolerance)
{
	Graph		anew;
	double		seconds;
	double		found;
	double		expected;

	build_anew(&anew, g);
	seconds = anew.seconds;
	expected = recall(&anew);
	found = recall(g);
	check(found >= expected - tolerance, what, g->records.n, found - expected);
	if (getenv("VERBOSE"))
		printf("%s: %u nodes, %.4f, anew %.4f; samples %u, anew %u\n", what, g->records.n,
			   found, expected, g->routing.n_samples, anew.routing.n_samples);
	graph_release(&anew);
	return seconds;
}

static void
check_extended(const Graph *older, Extension extension)
{
	uint32		remove_one_in = extension.remove_one_in;
	uint32		n_new = extension.n_new;
	uint64		saved_state = random_state;
	Graph		g;
	Graph		again;
	uint32		n;

	extend(&g, older, extension, 1);
	n = g.records.n;
	check_shape(&g);
	check_reachable(&g);

	random_state = saved_state;
	extend(&again, older, extension, MOST_MEMBERS);
	/* of no nodes there are no samples to compare */
	check(n == 0 ? again.records.n == 0 :
		  memcmp(g.links, again.links, sizeof(uint32) * n * 2 * g.params.m) == 0 &&
		  memcmp(g.order, again.order, sizeof(uint32) * n) == 0 &&
		  g.routing.n_samples == again.routing.n_samples &&
		  memcmp(g.routing.sample_nodes, again.routing.sample_nodes,
				 sizeof(uint32) * g.routing.n_samples) == 0, "same graph by a team", n, n_new);
	graph_release(&again);

	if (n >= 1000)
	{
		double		tolerance = n_new <= n / 9 ? 0.005 : 0.01;	/* of two equal graphs one may be better by .003 */
		double		seconds_anew = check_recall(&g, "recall", tolerance);

		/* a busy machine's times vary */
		if (n_new <= n / 9 && remove_one_in != 2)
			check(g.seconds <= 0.5 * seconds_anew, "cost", n, g.seconds / seconds_anew);
		if (getenv("VERBOSE"))
			printf("1 in %u removed, %u new%s: cost %.3f\n", remove_one_in, n_new,
				   extension.numbered_anew ? ", numbered anew" : "", g.seconds / seconds_anew);
	}
	graph_release(&g);
}

/* Many small extensions, one after the other, with as many nodes removed. */
static void
check_generations(uint32 n, int n_generations)
{
	Graph		g;
	Graph		next;
	int			i;

	graph_alloc(&g, n);
	make_records(&g, 0);
	build(&g, 1);
	for (i = 0; i < n_generations; i++)
	{
		extend(&next, &g, (Extension) {8, n / 8, i % 4 == 3}, 1);
		check_shape(&next);
		check_reachable(&next);
		graph_release(&g);
		g = next;
	}
	(void) check_recall(&g, "recall after generations", 0.015);
	graph_release(&g);
}

/* A small graph that grows to many times its size, as that of a first tail does. */
static void
check_growth(uint32 n, int n_doublings)
{
	Graph		g;
	Graph		next;

	graph_alloc(&g, n);
	make_records(&g, 0);
	build(&g, 1);
	for (; n_doublings > 0; n_doublings--)
	{
		extend(&next, &g, (Extension) {0, g.records.n, true}, 1);
		graph_release(&g);
		g = next;
	}
	check_shape(&g);
	check_reachable(&g);
	(void) check_recall(&g, "recall after growth", 0.01);
	graph_release(&g);
}

static void
check_older(uint32 n)
{
	Graph		older;

	graph_alloc(&older, n);
	make_records(&older, 0);
	build(&older, 1);
	check_extended(&older, (Extension) {0, 0, false});
	check_extended(&older, (Extension) {0, n / 9, false});
	check_extended(&older, (Extension) {10, n / 9, false});
	check_extended(&older, (Extension) {10, n / 9, true});
	check_extended(&older, (Extension) {2, 0, false});
	check_extended(&older, (Extension) {0, 2 * n, false});
	check_extended(&older, (Extension) {0, 2 * n, true});
	check_extended(&older, (Extension) {1, 3, false});
	graph_release(&older);
}

int
main(void)
{
	static const uint32 sizes[] = {1, 2, 5, 40, 700, 18000};
	size_t		i;

	for (i = 0; i < MOST_MEMBERS; i++)
		hosts[i] = (OmenHost) TEST_HOST(&counts[i]);
	omen_kernels_select("auto");
	random_state = 5;
	for (i = 0; i < lengthof(sizes); i++)
		check_older(sizes[i]);
	check_generations(4000, 10);
	check_growth(500, 5);
	for (i = 0; i < MOST_MEMBERS; i++)
		check(counts[i].n_allocated == 0, "memory", 0, counts[i].n_allocated);
	printf("test_graph_extend: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
