/*-------------------------------------------------------------------------
 *
 * sparse_bench.c
 *	  Build a graph over a file of sparse vectors; print speeds and recall.
 *
 *	sparse_bench base=FILE query=FILE [option=value ...]
 *
 * Files as bench/make_tfidf.py writes them: a line for each vector, its number,
 * a tab, and the text form of a sparsevec.  Options and
 * defaults beside those of build_bench.h: metric=cosine, n=0 (first n rows only),
 * terms=1 (0: the queries do without starting points by terms).  The true
 * neighbours are computed here; recall is by distance, so that ties count.
 *
 * Not a test: `make -C unit build/plain/sparse_bench`.
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
#include "src/graph/graph_terms.h"
#include "unit/build_bench.h"

#define RECALL_AT 10

typedef struct SparseVectors
{
	uint32		n;
	uint32		dims;
	OmenSparse *vectors;
} SparseVectors;

/* ---------- files ---------- */

/* "{1:0.5,9:2}/100" */
static OmenSparse
read_sparse(const char *text, uint32 *dims)
{
	uint32		room = 1;
	int32	   *indices;
	float	   *values;
	OmenSparse	x = {0, NULL, NULL};
	const char *at;
	char	   *end;

	for (at = text; *at != '\0'; at++)
		room += *at == ',';
	indices = bench_alloc(NULL, sizeof(int32) * room);
	values = bench_alloc(NULL, sizeof(float) * room);
	for (at = text + 1; *at != '}';)
	{
		indices[x.n] = strtol(at, &end, 10) - 1;
		values[x.n++] = strtof(end + 1, &end);
		at = *end == ',' ? end + 1 : end;
	}
	*dims = atoi(at + 2);
	x.indices = indices;
	x.values = values;
	return x;
}

static SparseVectors
read_vectors(const char *name)
{
	static char line[1 << 20];
	FILE	   *file = fopen(name, "r");
	SparseVectors v = {0, 0, NULL};
	uint32		room = 0;

	if (file == NULL)
	{
		perror(name);
		exit(1);
	}
	while (fgets(line, sizeof(line), file) != NULL)
	{
		if (v.n == room)
		{
			room = Max(room * 2, 1024);
			v.vectors = realloc(v.vectors, sizeof(OmenSparse) * room);
		}
		v.vectors[v.n++] = read_sparse(strchr(line, '\t') + 1, &v.dims);
	}
	fclose(file);
	return v;
}

static void
normalise(SparseVectors *v)
{
	uint32		i;
	uint32		j;

	for (i = 0; i < v->n; i++)
	{
		OmenSparse *x = &v->vectors[i];
		float	   *values = (float *) x->values;
		double		norm_sq = 0;

		for (j = 0; j < x->n; j++)
			norm_sq += (double) values[j] * values[j];
		for (j = 0; j < x->n; j++)
			values[j] = (float) (values[j] / sqrt(norm_sq));
	}
}

static void
encode_all(Graph *g, const void *vectors)
{
	const SparseVectors *base = vectors;
	size_t		total = 0;
	uint8	   *bytes;
	uint32		i;

	for (i = 0; i < base->n; i++)
		total += g->codec.encoded_bytes(&g->codec, &base->vectors[i]);
	bytes = bench_alloc(NULL, total);
	for (i = 0; i < base->n; i++)
	{
		OmenCodeRef *ref = (OmenCodeRef *) g->records.codes + i;

		ref->bytes = bytes;
		ref->n_bytes = g->codec.encoded_bytes(&g->codec, &base->vectors[i]);
		ref->unused = 0;
		g->codec.encode(&g->codec, &base->vectors[i],
						g->records.factors + (size_t) i * g->codec.factor_bytes, bytes);
		bytes += ref->n_bytes;
	}
	printf("bytes of code %.1f\n", (double) total / base->n);
}

/* ---------- queries ---------- */

/* In double, from a query spread over all dimensions. */
static double
exact_distance(OmenMetric metric, const double *query, double query_size, const OmenSparse *x)
{
	double		sum = 0;
	double		size = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		double		a = query[x->indices[i]];
		double		b = x->values[i];

		if (metric == OMEN_METRIC_L1)
		{
			sum += fabs(a - b) - fabs(a);
			continue;
		}
		sum += a * b;
		size += b * b;
	}
	switch (metric)
	{
		case OMEN_METRIC_L2:
			return sqrt(Max(query_size + size - 2 * sum, 0));
		case OMEN_METRIC_IP:
			return -sum;
		case OMEN_METRIC_COSINE:
			return 1 - sum;
		default:
			return query_size + sum;
	}
}

typedef struct QueryRun
{
	const Graph *graph;
	const SparseVectors *base;
	const SparseVectors *queries;
	double	   *limits;			/* distance of the RECALL_AT-th neighbour of each query */
	double	   *spread;
	OmenMetric	metric;
	uint32		ef;

	OmenQuery  *query;
	OmenSearch *search;
	OmenArraySource source;
	uint64		n_hits;
	uint64		n_keys;
	uint64		n_expanded;
	uint32		n_poor;
} QueryRun;

static double
spread_query(QueryRun *run, const OmenSparse *x)
{
	double		size = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		run->spread[x->indices[i]] = x->values[i];
		size += run->metric == OMEN_METRIC_L1 ? fabs(x->values[i]) :
			(double) x->values[i] * x->values[i];
	}
	return size;
}

static void
unspread_query(QueryRun *run, const OmenSparse *x)
{
	uint32		i;

	for (i = 0; i < x->n; i++)
		run->spread[x->indices[i]] = 0;
}

static void
find_limit(QueryRun *run, uint32 number)
{
	const OmenSparse *x = &run->queries->vectors[number];
	double		size = spread_query(run, x);
	double		best[RECALL_AT + 1] = {0};
	int			n_best = 0;
	uint32		row;

	for (row = 0; row < run->base->n; row++)
	{
		double		distance = exact_distance(run->metric, run->spread, size,
											  &run->base->vectors[row]);
		int			at = n_best;

		if (n_best == RECALL_AT && distance >= best[RECALL_AT - 1])
			continue;
		for (; at > 0 && best[at - 1] > distance; at--)
			best[at] = best[at - 1];
		best[at] = distance;
		n_best = Min(n_best + 1, RECALL_AT);
	}
	run->limits[number] = best[RECALL_AT - 1];
	unspread_query(run, x);
}

static void
seed_by_terms(QueryRun *run)
{
	const Graph *g = run->graph;
	uint32		nodes[OMEN_TERM_SEEDS];
	float		keys[OMEN_TERM_SEEDS];
	OmenCandidate seeds[OMEN_TERM_SEEDS];
	int			n = omen_terms_nodes(&g->codec, run->query, &g->routing.terms, nodes);
	int			i;

	if (atoi(option("terms", "1")) == 0)
		return;
	omen_records_keys(&g->records, run->query, nodes, n, keys);
	for (i = 0; i < n; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(run->search, seeds, n);
}

static void
run_query(QueryRun *run, uint32 number)
{
	const Graph *g = run->graph;
	OmenCandidate seeds[OMEN_ROUTING_SEEDS];
	int			n;

	g->codec.query_from_vector(&g->codec, run->query, &run->queries->vectors[number]);
	omen_search_begin(run->search, &run->source.source, run->ef, INFINITY, false);
	n = omen_array_route(&g->records, &g->routing, run->query, seeds);
	omen_search_seed(run->search, seeds, n);
	seed_by_terms(run);
	while (!omen_search_run(run->search, 1 << 20))
		 /* go on */ ;
	run->n_keys += omen_search_n_keys(run->search);
	run->n_expanded += omen_search_n_expanded(run->search);
}

static void
count_hits(QueryRun *run, uint32 number)
{
	const OmenSparse *x = &run->queries->vectors[number];
	double		size = spread_query(run, x);
	double		slack = 1e-6 * (1 + fabs(run->limits[number]));
	const OmenCandidate *found;
	int			n = omen_search_results(run->search, &found);
	int			n_hits = 0;
	int			i;

	for (i = 0; i < n && n_hits < RECALL_AT; i++)
	{
		const OmenSparse *row = &run->base->vectors[run->graph->order[found[i].node]];

		n_hits += exact_distance(run->metric, run->spread, size, row) <=
			run->limits[number] + slack;
	}
	run->n_hits += n_hits;
	run->n_poor += n_hits < RECALL_AT / 2;
	unspread_query(run, x);
}

static void
run_queries(QueryRun *run)
{
	uint32		n = run->queries->n;
	double		start = now();
	double		seconds;
	uint32		number;

	for (number = 0; number < n; number++)
		run_query(run, number);
	seconds = now() - start;
	run->n_hits = run->n_keys = run->n_expanded = run->n_poor = 0;
	for (number = 0; number < n; number++)
	{
		run_query(run, number);
		count_hits(run, number);
	}
	printf("ef %3u  recall@%d %.4f  poor %u  %7.0f queries/s  keys %.0f  expanded %.0f\n",
		   run->ef, RECALL_AT, run->n_hits / ((double) n * RECALL_AT), run->n_poor, n / seconds,
		   run->n_keys / (double) n, run->n_expanded / (double) n);
}

int
main(int argc, char **argv)
{
	static const uint32 ef[] = {20, 40, 80, 160};
	SparseVectors base;
	SparseVectors queries;
	Graph		graph;
	QueryRun	run;
	uint32		i;

	n_args = argc;
	args = argv;
	if (option("base", NULL) == NULL || option("query", NULL) == NULL)
	{
		fprintf(stderr, "usage: sparse_bench base=FILE query=FILE [option=value ...]\n");
		return 2;
	}
	base = read_vectors(option("base", NULL));
	queries = read_vectors(option("query", NULL));
	if (atoi(option("n", "0")) > 0)
		base.n = Min(base.n, (uint32) atoi(option("n", "0")));
	memset(&graph, 0, sizeof(graph));
	memset(&run, 0, sizeof(run));
	run.metric = metric_by_name(option("metric", "cosine"));
	if (run.metric == OMEN_METRIC_COSINE)
	{
		normalise(&base);
		normalise(&queries);
	}
	build(&graph, OMEN_CODE_SPARSE, run.metric, base.n, base.dims, encode_all, &base);
	printf("records of the table of terms: %u, bytes per vector %.1f\n",
		   graph.routing.terms.n_records,
		   (double) graph.routing.terms.n_records * OMEN_TERM_NODES * sizeof(uint32) / base.n);
	run.graph = &graph;
	run.base = &base;
	run.queries = &queries;
	run.limits = bench_alloc(NULL, sizeof(double) * queries.n);
	run.spread = bench_alloc(NULL, sizeof(double) * base.dims);
	memset(run.spread, 0, sizeof(double) * base.dims);
	for (i = 0; i < queries.n; i++)
		find_limit(&run, i);
	run.query = bench_alloc(NULL, graph.codec.query_bytes);
	run.search = omen_search_create(&host);
	omen_array_source_init(&run.source, &graph.records, graph.links, graph.max_links,
						   run.query);
	for (i = 0; i < lengthof(ef); i++)
	{
		run.ef = ef[i];
		run_queries(&run);
	}
	return 0;
}
