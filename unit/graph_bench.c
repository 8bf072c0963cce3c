/*-------------------------------------------------------------------------
 *
 * graph_bench.c
 *	  Build a graph over a file of vectors; print speeds, recall and a hash.
 *
 *	graph_bench base=FILE [query=FILE truth=FILE] [option=value ...]
 *
 * Files: .f32 (plain little-endian floats, needs dims=N) or .npy (float16 or
 * float32, two dimensions).  truth: int32 row numbers, 100 per query, nearest
 * first.  Options and defaults beside those of build_bench.h: n=0 (first n rows
 * only; recall is then meaningless), rescore=40 (of the beam's results, as many
 * are ranked by the exact distance), repeat=3, simd=auto, quantization=scalar (or half, none).
 *
 * make -C unit build/plain/graph_bench, or:
 *
 *	cc -O3 -ffp-contract=off -DFRONTEND -I$(pg_config --includedir-server) -I. \
 *		-o graph_bench unit/graph_bench.c src/kernels/[a-z]*.c src/quant/[a-z]*.c \
 *		src/graph/[a-z]*.c -lm -lpthread
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#undef printf
#undef fprintf

#include "src/graph/graph_array.h"
#include "src/graph/graph_search.h"
#include "unit/build_bench.h"

#define TRUTH_PER_QUERY 100
#define RECALL_AT 10

typedef struct Vectors
{
	uint32		n;
	uint32		dims;
	float	   *values;
} Vectors;

/* ---------- files ---------- */

static float
half_to_float(uint16 half)
{
	uint32		exponent = (half >> 10) & 31;
	uint32		mantissa = half & 1023;
	float		value;

	if (exponent == 0)
		value = ldexpf((float) mantissa, -24);
	else
		value = ldexpf((float) (mantissa + 1024), (int) exponent - 25);
	return (half & 0x8000) ? -value : value;
}

static char *
read_file(const char *name, size_t *bytes)
{
	FILE	   *file = fopen(name, "rb");
	char	   *content;

	if (file == NULL)
	{
		perror(name);
		exit(1);
	}
	fseek(file, 0, SEEK_END);
	*bytes = ftell(file);
	rewind(file);
	content = bench_alloc(NULL, *bytes + 1);
	if (fread(content, 1, *bytes, file) != *bytes)
	{
		perror(name);
		exit(1);
	}
	content[*bytes] = '\0';
	fclose(file);
	return content;
}

static Vectors
read_npy(const char *content)
{
	uint16		header_bytes;
	const char *header = content + 10;
	const char *shape;
	const char *data;
	Vectors		v;
	size_t		i;

	memcpy(&header_bytes, content + 8, 2);
	data = header + header_bytes;
	shape = strstr(header, "'shape': (");
	if (shape == NULL || sscanf(shape, "'shape': (%u, %u)", &v.n, &v.dims) != 2)
	{
		fprintf(stderr, "not an array of two dimensions\n");
		exit(1);
	}
	v.values = bench_alloc(NULL, sizeof(float) * v.n * v.dims);
	if (strstr(header, "<f2") != NULL)
	{
		for (i = 0; i < (size_t) v.n * v.dims; i++)
		{
			uint16		half;

			memcpy(&half, data + 2 * i, 2);
			v.values[i] = half_to_float(half);
		}
	}
	else
		memcpy(v.values, data, sizeof(float) * v.n * v.dims);
	return v;
}

static Vectors
read_vectors(const char *name)
{
	size_t		bytes;
	char	   *content = read_file(name, &bytes);
	Vectors		v;

	if (memcmp(content, "\x93NUMPY", 6) == 0)
	{
		v = read_npy(content);
		bench_release(NULL, content);
		return v;
	}
	v.dims = atoi(option("dims", "128"));
	v.n = bytes / sizeof(float) / v.dims;
	v.values = (float *) content;
	return v;
}

static void
normalise(Vectors *v)
{
	uint32		i;
	uint32		j;

	for (i = 0; i < v->n; i++)
	{
		float	   *x = v->values + (size_t) i * v->dims;
		double		norm_sq = 0;

		for (j = 0; j < v->dims; j++)
			norm_sq += (double) x[j] * x[j];
		for (j = 0; j < v->dims; j++)
			x[j] = (float) (x[j] / sqrt(norm_sq));
	}
}

static void
encode_all(Graph *g, const void *vectors)
{
	const Vectors *base = vectors;
	uint32		i;

	for (i = 0; i < base->n; i++)
		g->codec.encode(&g->codec, base->values + (size_t) i * base->dims,
						g->records.factors + (size_t) i * g->codec.factor_bytes,
						g->records.codes + (size_t) i * g->codec.code_bytes);
}

/* ---------- queries ---------- */

static float
exact_distance(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	switch (metric)
	{
		case OMEN_METRIC_L2:
			return omen_kernels->l2_squared_f32(a, b, dims);
		case OMEN_METRIC_L1:
			return omen_kernels->l1_f32(a, b, dims);
		default:
			break;
	}
	return -omen_kernels->inner_product_f32(a, b, dims);
}

typedef struct QueryRun
{
	const Graph *graph;
	const Vectors *base;
	const Vectors *queries;
	const int32 *truth;
	OmenMetric	metric;
	uint32		ef;				/* 0: by calibration, then as class_ef says */
	uint32		class_ef[OMEN_CURVE_CLASSES];
	int			n_rescored;

	OmenQuery  *query;
	OmenSearch *search;
	OmenArraySource source;
	uint64		n_hits;
	uint64		n_keys;
	uint64		n_expanded;
} QueryRun;

/* The RECALL_AT nearest of the first results by exact distance. */
static int
rescore(QueryRun *run, const float *x, const OmenCandidate *found, int n,
		OmenCandidate *best)
{
	uint32		dims = run->base->dims;
	int			n_best = 0;
	int			i;

	n = Min(n, run->n_rescored);
	for (i = 0; i < n; i++)
		__builtin_prefetch(run->base->values + (size_t) run->graph->order[found[i].node] * dims);
	for (i = 0; i < n; i++)
	{
		uint32		row = run->graph->order[found[i].node];
		float		distance = exact_distance(run->metric, x,
											  run->base->values + (size_t) row * dims, dims);
		int			at = n_best;

		if (n_best == RECALL_AT && distance >= best[RECALL_AT - 1].key)
			continue;
		if (n_best == RECALL_AT)
			at--;
		else
			n_best++;
		for (; at > 0 && best[at - 1].key > distance; at--)
			best[at] = best[at - 1];
		best[at].key = distance;
		best[at].node = row;
	}
	return n_best;
}

/* Run the search to its end; by calibration, as wide as its query turns out to need. */
static void
search_to_end(QueryRun *run)
{
	const OmenRecallCurve *curve = &run->graph->curve;
	const OmenCandidate *found;

	while (!omen_search_run(run->search, 1 << 20))
		 /* go on */ ;
	if (run->ef > 0 || omen_search_results(run->search, &found) < OMEN_CURVE_K)
		return;
	omen_search_widen(run->search, run->class_ef[omen_curve_class(curve, found[OMEN_CURVE_K - 1].key)]);
	while (!omen_search_run(run->search, 1 << 20))
		 /* go on */ ;
}

static void
run_query(QueryRun *run, uint32 number)
{
	const Graph *g = run->graph;
	const float *x = run->queries->values + (size_t) number * run->queries->dims;
	const int32 *truth = run->truth + (size_t) number * TRUTH_PER_QUERY;
	OmenCandidate seeds[OMEN_ROUTING_SEEDS];
	OmenCandidate best[RECALL_AT];
	const OmenCandidate *found;
	int			n;
	int			i;
	int			j;

	g->codec.query_from_vector(&g->codec, run->query, x);
	omen_search_begin(run->search, &run->source.source,
					  run->ef ? run->ef : OMEN_CURVE_LEAST_EF, INFINITY, run->ef == 0);
	n = omen_array_route(&g->records, &g->routing, run->query, seeds);
	omen_search_seed(run->search, seeds, n);
	search_to_end(run);
	n = omen_search_results(run->search, &found);
	n = rescore(run, x, found, n, best);
	run->n_keys += omen_search_n_keys(run->search);
	run->n_expanded += omen_search_n_expanded(run->search);
	for (i = 0; i < n; i++)
	{
		for (j = 0; j < RECALL_AT; j++)
			run->n_hits += (int32) best[i].node == truth[j];
	}
}

static void
run_queries(QueryRun *run)
{
	double		least = 1e9;
	int			n_repeats = atoi(option("repeat", "3"));
	uint32		n = run->queries->n;
	int			i;
	uint32		number;

	for (i = 0; i < n_repeats; i++)
	{
		double		start = now();

		run->n_hits = run->n_keys = run->n_expanded = 0;
		for (number = 0; number < n; number++)
			run_query(run, number);
		least = Min(least, now() - start);
	}
	printf("ef %3u  recall@%d %.4f  %7.0f queries/s  keys %.0f  expanded %.0f\n", run->ef,
		   RECALL_AT, run->n_hits / ((double) n * RECALL_AT), n / least,
		   run->n_keys / (double) n, run->n_expanded / (double) n);
}

/* What calibration says, and what comes of it. */
static void
run_calibrated(QueryRun *run)
{
	static const double targets[] = {0.9, 0.95, 0.97, 0.98, 0.99};
	int			class;
	size_t		i;

	for (i = 0; i < lengthof(targets); i++)
	{
		double		predicted = omen_curve_choose(&run->graph->curve, targets[i], run->class_ef);

		run->ef = 0;
		printf("recall target %.3f, predicted %.4f, ef by class", targets[i], predicted);
		for (class = 0; class < OMEN_CURVE_CLASSES; class++)
			printf(" %u", run->class_ef[class]);
		printf("\n");
		run_queries(run);
	}
}

static OmenCodeKind
kind_by_name(const char *name)
{
	return strcmp(name, "none") == 0 ? OMEN_CODE_FLOAT :
		strcmp(name, "half") == 0 ? OMEN_CODE_HALF : OMEN_CODE_SQ8;
}

int
main(int argc, char **argv)
{
	static const uint32 ef[] = {16, 24, 32, 40, 64, 100, 200};
	OmenMetric	metric;
	Vectors		base;
	Graph		graph;
	uint32		n_rows;
	size_t		i;

	n_args = argc;
	args = argv;
	if (option("base", NULL) == NULL)
	{
		fprintf(stderr, "usage: graph_bench base=FILE [query=FILE truth=FILE] [option=value ...]\n");
		return 2;
	}
	omen_kernels_select(option("simd", "auto"));
	metric = metric_by_name(option("metric", "l2"));
	base = read_vectors(option("base", NULL));
	n_rows = atoi(option("n", "0"));
	if (n_rows > 0)
		base.n = Min(base.n, n_rows);
	if (metric == OMEN_METRIC_COSINE)
		normalise(&base);
	memset(&graph, 0, sizeof(graph));
	build(&graph, kind_by_name(option("quantization", "scalar")), metric, base.n, base.dims, encode_all, &base);
	fflush(stdout);

	if (option("query", NULL) != NULL)
	{
		Vectors		queries = read_vectors(option("query", NULL));
		size_t		bytes;
		QueryRun	run;

		if (metric == OMEN_METRIC_COSINE)
			normalise(&queries);
		memset(&run, 0, sizeof(run));
		run.graph = &graph;
		run.base = &base;
		run.queries = &queries;
		run.truth = (int32 *) read_file(option("truth", ""), &bytes);
		run.metric = metric;
		run.n_rescored = atoi(option("rescore", "40"));
		run.query = bench_alloc(NULL, graph.codec.query_bytes);
		run.search = omen_search_create(&host);
		omen_array_source_init(&run.source, &graph.records, graph.links, graph.max_links,
							   run.query);
		for (i = 0; i < lengthof(ef); i++)
		{
			run.ef = ef[i];
			run_queries(&run);
		}
		if (omen_curve_is_known(&graph.curve))
			run_calibrated(&run);
	}
	return 0;
}
