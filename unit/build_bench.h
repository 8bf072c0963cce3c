/*-------------------------------------------------------------------------
 *
 * build_bench.h
 *	  What graph_bench.c and sparse_bench.c share: options, and a graph's build.
 *
 * Options and defaults: metric=l2|ip|cosine|l1, m=16 (0: by trial), efc=64,
 * threads=1 (of the build), margin (the codec's link_margin if not given).  Times are this process's CPU time, of all threads
 * together, and for the build as a whole also that of a clock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BUILD_BENCH_H
#define BUILD_BENCH_H

#include "c.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#undef printf
#undef fprintf

#include "src/graph/graph_build.h"
#include "src/graph/graph_params.h"
#include "unit/test_hash.h"
#include "unit/thread_team.h"

static int	n_args;
static char **args;

/* The value of option "name=value", or the default. */
static const char *
option(const char *name, const char *otherwise)
{
	size_t		length = strlen(name);
	int			i;

	for (i = 1; i < n_args; i++)
	{
		if (strncmp(args[i], name, length) == 0 && args[i][length] == '=')
			return args[i] + length + 1;
	}
	return otherwise;
}

static double
read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double
now(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static OmenMetric
metric_by_name(const char *name)
{
	return strcmp(name, "ip") == 0 ? OMEN_METRIC_IP :
		strcmp(name, "cosine") == 0 ? OMEN_METRIC_COSINE :
		strcmp(name, "l1") == 0 ? OMEN_METRIC_L1 : OMEN_METRIC_L2;
}

/* ---------- host ---------- */

/* In huge pages where the system has them, as a server's shared memory would be. */
static void *
bench_alloc(void *arg pg_attribute_unused(), size_t bytes)
{
	const size_t huge = 2 * 1024 * 1024;
	void	   *memory = aligned_alloc(bytes >= huge ? huge : 64,
									   TYPEALIGN(bytes >= huge ? huge : 64, Max(bytes, 1)));

	if (memory == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	if (bytes >= huge)
		madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

static void
bench_release(void *arg pg_attribute_unused(), void *pointer)
{
	free(pointer);
}

static void
bench_tick(void *arg, uint32 n_done pg_attribute_unused())
{
	uint64	   *n_ticks = arg;

	(*n_ticks)++;
}

static uint64 n_search_ticks;
static const OmenHost host = {&n_search_ticks, bench_alloc, bench_release, bench_tick};

/* ---------- build ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenRecords records;
	OmenRouting routing;
	uint32	   *order;
	uint32	   *links;
	OmenRecallCurve curve;
	uint32		max_links;
	OmenGraphParams params;
	double		times[5];		/* CPU seconds at the ends of the steps */
} Graph;

static void
print_graph(const Graph *g)
{
	size_t		n_links = 0;
	size_t		i;

	for (i = 0; i < (size_t) g->records.n * g->max_links; i++)
		n_links += g->links[i] != OMEN_NO_NODE;
	printf("mean degree %.2f  centres %u  samples %u  hash %016llx\n",
		   (double) n_links / Max(g->records.n, 1), g->routing.centres.n, g->routing.n_samples,
		   (unsigned long long) hash_words(g->links, (size_t) g->records.n * g->max_links));
}

/* As omenhnsw does where the options leave it open. */
static void
choose_params(const OmenTeam *team, Graph *g)
{
	uint32		trial_ef;

	if (omen_team_leads(team))
	{
		g->params = omen_graph_choose_params(&team->host, &g->records, &trial_ef);
		g->max_links = 2 * g->params.m;
		g->links = bench_alloc(NULL, sizeof(uint32) * g->records.n * g->max_links);
		printf("trial: ef %u, %.2f s\n", trial_ef, now() - g->times[3]);
	}
	team->barrier(team->arg);
}

/* What each thread of a build does; member 0's routing table is the one that stays. */
static void
build_as_member(const OmenTeam *team, void *arg)
{
	Graph	   *g = arg;
	OmenRouting routing;
	OmenRecallCurve curve;

	omen_locality_order(team, &g->records, g->order, &routing);
	if (omen_team_leads(team))
		g->times[2] = now();
	omen_permute(team, g->records.factors, g->codec.factor_bytes, g->order, g->records.n);
	omen_permute(team, g->records.codes, g->codec.code_bytes, g->order, g->records.n);
	if (omen_team_leads(team))
		g->times[3] = now();
	if (g->params.m == 0)
		choose_params(team, g);
	omen_graph_link(team, &g->records, &routing, &g->params, g->links, &curve);
	if (omen_team_leads(team))
	{
		g->routing = routing;
		g->curve = curve;
	}
}

/* encode: fill in the records from n vectors of the caller's form. */
static void
build(Graph *g, OmenCodeKind kind, OmenMetric metric, uint32 n, uint32 dims,
	  void (*encode) (Graph *g, const void *vectors), const void *vectors)
{
	OmenHost	hosts[THREAD_TEAM_MAX];
	uint64		ticks[THREAD_TEAM_MAX] = {0};
	int			n_threads = Min(Max(atoi(option("threads", "1")), 1), THREAD_TEAM_MAX);
	double	   *t = g->times;
	double		started = read_clock(CLOCK_MONOTONIC);
	double		elapsed;
	int			i;

	g->params.m = atoi(option("m", "16"));
	g->params.ef_construction = atoi(option("efc", "64"));
	g->max_links = 2 * g->params.m;
	omen_codec_init(&g->codec, kind, metric, dims);
	if (option("margin", NULL) != NULL)
		g->codec.link_margin = atof(option("margin", NULL));
	g->records.codec = &g->codec;
	g->records.n = n;
	g->records.factors = bench_alloc(NULL, (size_t) n * g->codec.factor_bytes);
	g->records.codes = bench_alloc(NULL, (size_t) n * g->codec.code_bytes);
	g->order = bench_alloc(NULL, sizeof(uint32) * n);
	g->links = bench_alloc(NULL, sizeof(uint32) * n * g->max_links);
	for (i = 0; i < n_threads; i++)
	{
		hosts[i] = host;
		hosts[i].arg = &ticks[i];
	}

	t[0] = now();
	encode(g, vectors);
	t[1] = now();
	thread_team_run(hosts, n_threads, build_as_member, g);
	t[4] = now();
	elapsed = read_clock(CLOCK_MONOTONIC) - started;

	printf("n %u  dims %u  m %u  ef_construction %u  kernels %s  threads %d\n", n, dims,
		   g->params.m, g->params.ef_construction, omen_kernels->name, n_threads);
	printf("seconds: encode %.2f  order %.2f  permute %.2f  link %.2f  all %.2f = %.0f vec/s"
		   "  (ticks %.0f/s)\n",
		   t[1] - t[0], t[2] - t[1], t[3] - t[2], t[4] - t[3], t[4] - t[0], n / (t[4] - t[0]),
		   ticks[0] / (t[4] - t[1]));
	printf("by the clock: %.2f = %.0f vec/s\n", elapsed, n / elapsed);
	print_graph(g);
}

#endif							/* BUILD_BENCH_H */
