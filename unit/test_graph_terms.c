/*-------------------------------------------------------------------------
 *
 * test_graph_terms.c
 *	  The table of terms, and searches of sparse vectors that start by it.
 *
 * Vectors are of words of some topic and of words of no topic, with
 * frequencies as words have them.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_build.h"
#include "src/graph/graph_terms.h"
#include "unit/test_host.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf
#undef qsort

#define N_TOPICS 200
#define TOPIC_WORDS 40
#define MAX_WORDS 12
#define RECALL_AT 10
#define N_QUERIES 200
#define LEAST_RECALL 0.95

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
		printf("%s wrong with %u nodes: %g\n", what, n, found);
	}
}

static TestCounts counts;
static const OmenHost host = TEST_HOST(&counts);
static OmenTeam team;

/* ---------- data ---------- */

/* The lower the number, the more frequent. */
static uint32
next_word(uint32 n_words)
{
	double		u = next_uniform();

	return (uint32) (n_words * u * u * u);
}

typedef struct Document
{
	uint32		n;
	int32		indices[MAX_WORDS];
	float		values[MAX_WORDS];
} Document;

/* Up to MAX_WORDS distinct words, the rarer the heavier, at unit length. */
static Document
make_document(void)
{
	Document	d = {0, {0}, {0}};
	uint32		topic = next_random() % N_TOPICS;
	uint32		n_wanted = 4 + next_random() % (MAX_WORDS - 3);
	double		norm_sq = 0;
	uint32		i;

	while (n_wanted-- > 0)
	{
		uint32		word = next_random() % 3 > 0 ? topic * TOPIC_WORDS + next_word(TOPIC_WORDS) :
		N_TOPICS * TOPIC_WORDS + next_word(5000);
		uint32		at = d.n;

		while (at > 0 && d.indices[at - 1] > (int32) word)
			at--;
		if (at > 0 && d.indices[at - 1] == (int32) word)
			continue;
		memmove(d.indices + at + 1, d.indices + at, sizeof(int32) * (d.n - at));
		memmove(d.values + at + 1, d.values + at, sizeof(float) * (d.n - at));
		d.indices[at] = word;
		d.values[at] = 1 + (word % TOPIC_WORDS) / 8.0f;
		d.n++;
	}
	for (i = 0; i < d.n; i++)
		norm_sq += d.values[i] * d.values[i];
	for (i = 0; i < d.n; i++)
		d.values[i] = (float) (d.values[i] / sqrt(norm_sq));
	return d;
}

/* ---------- graph ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenRecords records;
	OmenRouting routing;
	uint8	   *bytes;
	uint32	   *order;
	uint32	   *links;
	OmenRecallCurve curve;
	OmenGraphParams params;
} Graph;

static void
encode_documents(Graph *g, uint32 n)
{
	const size_t most = sizeof(uint32) + MAX_WORDS * 8;
	uint32		i;

	g->records.codec = &g->codec;
	g->records.n = n;
	g->records.factors = test_host_alloc(&counts, (size_t) n * g->codec.factor_bytes);
	g->records.codes = test_host_alloc(&counts, (size_t) n * g->codec.code_bytes);
	g->bytes = test_host_alloc(&counts, most * n);
	for (i = 0; i < n; i++)
	{
		OmenCodeRef *ref = (OmenCodeRef *) g->records.codes + i;
		Document	d = make_document();
		OmenSparse	x = {d.n, d.indices, d.values};

		ref->bytes = g->bytes + most * i;
		ref->n_bytes = g->codec.encoded_bytes(&g->codec, &x);
		ref->unused = 0;
		g->codec.encode(&g->codec, &x, g->records.factors + (size_t) i * g->codec.factor_bytes,
						g->bytes + most * i);
	}
}

static void
build(Graph *g, uint32 n, OmenMetric metric)
{
	omen_codec_init(&g->codec, OMEN_CODE_SPARSE, metric, N_TOPICS * TOPIC_WORDS + 5000);
	encode_documents(g, n);
	g->params.m = 16;
	g->params.ef_construction = 64;
	g->order = test_host_alloc(&counts, sizeof(uint32) * n);
	g->links = test_host_alloc(&counts, sizeof(uint32) * n * 2 * g->params.m);
	omen_locality_order(&team, &g->records, g->order, &g->routing);
	omen_permute(&team, g->records.factors, g->codec.factor_bytes, g->order, n);
	omen_permute(&team, g->records.codes, g->codec.code_bytes, g->order, n);
	omen_graph_link(&team, &g->records, &g->routing, &g->params, g->links, &g->curve);
}

static void
destroy(Graph *g)
{
	test_host_release(&counts, g->records.factors);
	test_host_release(&counts, g->records.codes);
	test_host_release(&counts, g->bytes);
	test_host_release(&counts, g->order);
	test_host_release(&counts, g->links);
	omen_routing_release(&team, &g->routing);
}

/* ---------- the table ---------- */

/* True if the record names the node, or has no room for it. */
static bool
record_has(const uint32 *record, uint32 node, bool or_is_full)
{
	int			i;

	for (i = 0; i < OMEN_TERM_NODES; i++)
	{
		if (record[i] == node)
			return true;
	}
	return or_is_full && record[OMEN_TERM_NODES - 1] != OMEN_NO_NODE;
}

static void
check_table(const Graph *g)
{
	const OmenTermTable *table = &g->routing.terms;
	uint32		n = g->records.n;
	OmenQuery  *query = test_host_alloc(&counts, g->codec.query_bytes);
	size_t		n_named = 0;
	size_t		n_expected = 0;
	long		n_bad = 0;
	uint32		node;
	size_t		i;

	for (node = 0; node < n; node++)
	{
		uint32		records[OMEN_QUERY_TERMS];
		int			n_records;
		int			at;

		g->codec.query_from_code(&g->codec, query, omen_records_factors(&g->records, node),
								 omen_records_code(&g->records, node));
		n_records = omen_terms_lookup(&g->codec, query, table->n_records, records);
		for (at = 0; at < n_records; at++)
		{
			const uint32 *record = table->nodes + (size_t) records[at] * OMEN_TERM_NODES;

			n_bad += records[at] >= table->n_records || (at > 0 && records[at] <= records[at - 1]);
			n_bad += !record_has(record, node, true);
			n_expected += record_has(record, node, false);
		}
	}
	check(n_bad == 0, "records of the nodes", n, n_bad);

	/* and nothing else is named */
	for (i = 0; i < (size_t) table->n_records * OMEN_TERM_NODES; i++)
		n_named += table->nodes[i] != OMEN_NO_NODE;
	check(n_named == n_expected, "nodes of the records", n, (double) n_named - n_expected);
	check(n == 0 ? table->n_records == 0 : table->n_records >= 1 && table->n_records <= n,
		  "number of records", n, table->n_records);
	test_host_release(&counts, query);
}

static void
check_distinct(void)
{
	uint32		nodes[OMEN_TERM_SEEDS] = {7, OMEN_NO_NODE, 3, 7, 0, OMEN_NO_NODE, 3};
	int			n = omen_terms_distinct(nodes, 7);

	check(n == 3 && nodes[0] == 0 && nodes[1] == 3 && nodes[2] == 7, "distinct nodes", 7, n);
	check(omen_terms_distinct(nodes, 0) == 0, "distinct nodes", 0, 0);
}

/* ---------- searches ---------- */

static int
compare_floats(const void *a, const void *b)
{
	float		x = *(const float *) a;
	float		y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The key that the RECALL_AT nearest are not above. */
static float
true_limit(const Graph *g, const OmenQuery *query)
{
	uint32		n = g->records.n;
	float	   *keys = test_host_alloc(&counts, sizeof(float) * n);
	uint32	   *nodes = test_host_alloc(&counts, sizeof(uint32) * n);
	float		limit;
	uint32		i;

	for (i = 0; i < n; i++)
		nodes[i] = i;
	omen_records_keys(&g->records, query, nodes, n, keys);
	qsort(keys, n, sizeof(float), compare_floats);
	limit = keys[RECALL_AT - 1];
	test_host_release(&counts, keys);
	test_host_release(&counts, nodes);
	return limit;
}

static void
seed(const Graph *g, const OmenQuery *query, OmenSearch *search)
{
	uint32		nodes[OMEN_TERM_SEEDS];
	float		keys[OMEN_TERM_SEEDS];
	OmenCandidate seeds[OMEN_TERM_SEEDS];
	int			n = omen_array_route(&g->records, &g->routing, query, seeds);
	int			i;

	omen_search_seed(search, seeds, n);
	n = omen_terms_nodes(&g->codec, query, &g->routing.terms, nodes);
	omen_records_keys(&g->records, query, nodes, n, keys);
	for (i = 0; i < n; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(search, seeds, n);
}

static void
check_recall(const Graph *g)
{
	OmenQuery  *query = test_host_alloc(&counts, g->codec.query_bytes);
	OmenSearch *search = omen_search_create(&host);
	OmenArraySource source;
	int			n_hits = 0;
	int			number;

	omen_array_source_init(&source, &g->records, g->links, 2 * g->params.m, query);
	for (number = 0; number < N_QUERIES; number++)
	{
		Document	d = make_document();
		OmenSparse	x = {d.n, d.indices, d.values};
		const OmenCandidate *found;
		float		limit;
		int			i;

		g->codec.query_from_vector(&g->codec, query, &x);
		limit = true_limit(g, query);
		omen_search_begin(search, &source.source, 40, INFINITY, false);
		seed(g, query, search);
		while (!omen_search_run(search, 1000))
			 /* go on */ ;
		check(omen_search_results(search, &found) >= RECALL_AT, "number of results",
			  g->records.n, number);
		for (i = 0; i < RECALL_AT; i++)
			n_hits += found[i].key <= limit;
	}
	check(n_hits >= LEAST_RECALL * N_QUERIES * RECALL_AT, "recall", g->records.n,
		  (double) n_hits / (N_QUERIES * RECALL_AT));
	omen_search_destroy(search);
	test_host_release(&counts, query);
}

static void
check_size(uint32 n, OmenMetric metric)
{
	Graph		g;

	memset(&g, 0, sizeof(g));
	build(&g, n, metric);
	check_table(&g);
	if (n >= 1000)
		check_recall(&g);
	destroy(&g);
	check(counts.n_allocated == 0, "memory left", n, counts.n_allocated);
}

int
main(void)
{
	omen_team_alone(&team, &host);
	check_distinct();
	check_size(0, OMEN_METRIC_COSINE);
	check_size(1, OMEN_METRIC_COSINE);
	check_size(2, OMEN_METRIC_IP);
	check_size(300, OMEN_METRIC_L1);
	check_size(10000, OMEN_METRIC_COSINE);
	check_size(10000, OMEN_METRIC_IP);
	printf("test_graph_terms: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
