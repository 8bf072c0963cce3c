/*-------------------------------------------------------------------------
 *
 * test_graph_team.c
 *	  Teams of any size make the same graph: numbers, routing table, links.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <stdio.h>
#include <stdlib.h>

#include "src/graph/graph_build.h"
#include "unit/test_hash.h"
#include "unit/test_host.h"
#include "unit/test_random.h"
#include "unit/thread_team.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define MOST_MEMBERS 4
#define MAX_ELEMENTS 16
#define GROUPS 7				/* that nodes are numbered by in the end */

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, int kind, uint32 n, int n_members)
{
	if (ok)
		n_passed++;
	else
	{
		n_failed++;
		printf("%s: codes of kind %d, %u nodes, %d members\n", what, kind, n, n_members);
	}
}

/* ---------- vectors ---------- */

/* Encode a vector of a kind's form, near to those with close i. */
static void
encode_one(const OmenCodec *codec, uint32 i, char *factors, uint8 *code, uint8 *bytes)
{
	float		values[256];
	uint8		bits[64] = {0};
	int32		indices[MAX_ELEMENTS];
	OmenSparse	sparse = {MAX_ELEMENTS, indices, values};
	OmenCodeRef *ref = (OmenCodeRef *) code;
	uint32		j;

	switch (codec->kind)
	{
		case OMEN_CODE_FLOAT:
		case OMEN_CODE_HALF:
		case OMEN_CODE_SQ8:
			for (j = 0; j < codec->dims; j++)
				values[j] = (float) ((i / 40 * (j + 3) * 2654435761U) >> 24) +
					(float) (next_random() % 1000) / 20;
			codec->encode(codec, values, factors, code);
			break;
		case OMEN_CODE_BITS:
			for (j = 0; j < codec->dims / 8; j++)
				bits[j] = (uint8) (((i / 40 * (j + 3) * 2654435761U) >> 24) ^
								   (1 << next_random() % 16));
			codec->encode(codec, bits, factors, code);
			break;
		case OMEN_CODE_SPARSE:
			for (j = 0; j < MAX_ELEMENTS; j++)
			{
				indices[j] = (int32) (j * 100 + (j % 2 ? i / 40 * 7 % 100 : next_random() % 100));
				values[j] = 1 + (float) (next_random() % 100) / 50;
			}
			ref->bytes = bytes;
			ref->n_bytes = codec->encoded_bytes(codec, &sparse);
			ref->unused = 0;
			codec->encode(codec, &sparse, factors, bytes);
			break;
	}
}

/* ---------- graph ---------- */

typedef struct Graph
{
	OmenCodec	codec;
	OmenRecords records;
	uint8	   *bytes;			/* of codes of variable length */
	OmenGraphParams params;
	uint32	   *order;
	uint32	   *links;
	uint32	   *groups;			/* their numbers in the order of links, by new ones */
	OmenRecallCurve curve;

	/* of all members' routing tables and of order and links */
	uint64		routing_hash[MOST_MEMBERS];
	uint32		n_bad_numbers[MOST_MEMBERS];
	uint64		hash;
} Graph;

/* Without the codes of centres of variable length: they are pointers. */
static uint64
hash_routing(const OmenRouting *routing)
{
	const OmenRecords *centres = &routing->centres;
	uint64		hash = centres->n;

	hash = hash_bytes_after(hash, routing->first_sample, sizeof(uint32) * (centres->n + 1));
	hash = hash_bytes_after(hash, routing->sample_nodes, sizeof(uint32) * routing->n_samples);
	hash = hash_bytes_after(hash, centres->factors, (size_t) centres->n * centres->codec->factor_bytes);
	if (!centres->codec->variable)
		hash = hash_bytes_after(hash, centres->codes, (size_t) centres->n * centres->codec->code_bytes);
	return hash_bytes_after(hash, routing->terms.nodes,
						 sizeof(uint32) * OMEN_TERM_NODES * routing->terms.n_records);
}

static void
make_records(Graph *g, OmenCodeKind kind, OmenMetric metric, uint32 n, const OmenHost *host)
{
	uint32		i;

	memset(g, 0, sizeof(*g));
	omen_codec_init(&g->codec, kind, metric, kind == OMEN_CODE_SQ8 ? 20 :
					kind == OMEN_CODE_BITS ? 192 : 2000);
	g->params.m = 8;
	g->params.ef_construction = 32;
	g->records.codec = &g->codec;
	g->records.n = n;
	g->records.factors = host->alloc(host->arg, (size_t) n * g->codec.factor_bytes);
	g->records.codes = host->alloc(host->arg, (size_t) n * g->codec.code_bytes);
	g->bytes = host->alloc(host->arg, (size_t) n * 8 * (MAX_ELEMENTS + 1));
	g->order = host->alloc(host->arg, sizeof(uint32) * n);
	g->links = host->alloc(host->arg, sizeof(uint32) * n * 2 * g->params.m);
	g->groups = host->alloc(host->arg, sizeof(uint32) * n);
	random_state = 11;
	for (i = 0; i < n; i++)
		encode_one(&g->codec, i, g->records.factors + (size_t) i * g->codec.factor_bytes,
				   g->records.codes + (size_t) i * g->codec.code_bytes,
				   g->bytes + (size_t) i * 8 * (MAX_ELEMENTS + 1));
}

static void
release_records(Graph *g, const OmenHost *host)
{
	host->release(host->arg, g->records.factors);
	host->release(host->arg, g->records.codes);
	host->release(host->arg, g->bytes);
	host->release(host->arg, g->order);
	host->release(host->arg, g->links);
	host->release(host->arg, g->groups);
}

/* Numbers by groups: every GROUPS-th node is of the same. */
static void
order_by_group(uint32 *order, uint32 n)
{
	uint32		next = 0;
	uint32		group;
	uint32		i;

	for (group = 0; group < GROUPS; group++)
	{
		for (i = group; i < n; i += GROUPS)
			order[next++] = i;
	}
}

/* How many of n nodes are not those before, by their new numbers. */
static uint32
count_others(const Graph *g, const uint32 *before, const uint32 *now, size_t n)
{
	uint32		n_bad = 0;
	size_t		i;

	for (i = 0; i < n; i++)
		n_bad += now[i] == OMEN_NO_NODE ? before[i] != OMEN_NO_NODE :
			now[i] >= g->records.n || g->groups[now[i]] != before[i];
	return n_bad;
}

static uint32 *
copy_nodes(const OmenHost *host, const uint32 *nodes, size_t n)
{
	uint32	   *copy = host->alloc(host->arg, sizeof(uint32) * (n + 1));

	if (n > 0)
		memcpy(copy, nodes, sizeof(uint32) * n);
	return copy;
}

/* Links, samples and terms are those of the graph before, in each member's view. */
static void
renumber(const OmenTeam *team, Graph *g, OmenRouting *routing)
{
	const OmenHost *host = &team->host;
	size_t		n_links = 2 * g->params.m;
	size_t		n_terms = (size_t) routing->terms.n_records * OMEN_TERM_NODES;
	uint32	   *links;
	uint32	   *samples = copy_nodes(host, routing->sample_nodes, routing->n_samples);
	uint32	   *terms = copy_nodes(host, routing->terms.nodes, n_terms);
	uint32		n_bad;
	uint32		node;

	if (omen_team_leads(team))
		order_by_group(g->groups, g->records.n);
	team->barrier(team->arg);	/* and the links are there */
	links = copy_nodes(host, g->links, g->records.n * n_links);
	team->barrier(team->arg);
	omen_graph_renumber(team, g->groups, g->records.n, g->params.m, g->links, routing);
	n_bad = count_others(g, samples, routing->sample_nodes, routing->n_samples) +
		count_others(g, terms, routing->terms.nodes, n_terms);
	for (node = 0; node < g->records.n; node++)
		n_bad += count_others(g, links + g->groups[node] * n_links, g->links + node * n_links, n_links);
	g->n_bad_numbers[team->member] = n_bad;
	host->release(host->arg, links);
	host->release(host->arg, samples);
	host->release(host->arg, terms);
}

static void
build_as_member(const OmenTeam *team, void *arg)
{
	Graph	   *g = arg;
	OmenRouting routing;
	OmenRecallCurve curve;

	omen_locality_order(team, &g->records, g->order, &routing);
	omen_permute(team, g->records.factors, g->codec.factor_bytes, g->order, g->records.n);
	omen_permute(team, g->records.codes, g->codec.code_bytes, g->order, g->records.n);
	omen_graph_link(team, &g->records, &routing, &g->params, g->links, &curve);
	if (omen_team_leads(team))
		g->curve = curve;
	renumber(team, g, &routing);
	g->routing_hash[team->member] = hash_routing(&routing);
	omen_routing_release(team, &routing);
}

/* Build with so many members; returns a hash of all that came out. */
static uint64
build(OmenCodeKind kind, OmenMetric metric, uint32 n, int n_members)
{
	TestCounts	counts[MOST_MEMBERS] = {0};
	OmenHost	hosts[MOST_MEMBERS];
	Graph		g;
	uint64		hash;
	int			i;

	for (i = 0; i < n_members; i++)
		hosts[i] = (OmenHost) TEST_HOST(&counts[i]);
	make_records(&g, kind, metric, n, &hosts[0]);
	thread_team_run(hosts, n_members, build_as_member, &g);

	hash = hash_bytes_after(g.routing_hash[0], g.order, sizeof(uint32) * n);
	hash = hash_bytes_after(hash, g.links, sizeof(uint32) * n * 2 * g.params.m);
	hash = hash_bytes_after(hash, g.records.factors, (size_t) n * g.codec.factor_bytes);
	hash = hash_bytes_after(hash, &g.curve, sizeof(g.curve));
	/* inner products may leave too many nodes without a link to them for the recall to count */
	if (metric != OMEN_METRIC_IP)
		check(omen_curve_is_known(&g.curve) == (n >= 1024), "curve known", kind, n, n_members);
	check(omen_curve_is_sane(&g.curve), "curve", kind, n, n_members);
	if (!g.codec.variable)
		hash = hash_bytes_after(hash, g.records.codes, (size_t) n * g.codec.code_bytes);
	for (i = 0; i < n_members; i++)
		check(g.n_bad_numbers[i] == 0, "new numbers", kind, n, i);
	for (i = 1; i < n_members; i++)
		check(g.routing_hash[i] == g.routing_hash[0], "routing tables of the members", kind, n, i);

	release_records(&g, &hosts[0]);
	for (i = 0; i < n_members; i++)
		check(counts[i].n_allocated == 0, "memory", kind, n, n_members);
	return hash;
}

static void
check_teams(OmenCodeKind kind, OmenMetric metric, uint32 n)
{
	uint64		expected = build(kind, metric, n, 1);
	int			n_members;

	for (n_members = 2; n_members <= MOST_MEMBERS; n_members++)
		check(build(kind, metric, n, n_members) == expected, "same graph", kind, n, n_members);
}

int
main(void)
{
	static const uint32 sizes[] = {0, 1, 2, 3, 100, 1000, 16000};
	size_t		i;

	omen_kernels_select("auto");
	for (i = 0; i < lengthof(sizes); i++)
	{
		check_teams(OMEN_CODE_SQ8, OMEN_METRIC_L2, sizes[i]);
		check_teams(OMEN_CODE_BITS, OMEN_METRIC_HAMMING, sizes[i]);
		check_teams(OMEN_CODE_SPARSE, OMEN_METRIC_COSINE, sizes[i]);
	}
	check_teams(OMEN_CODE_SQ8, OMEN_METRIC_IP, 13000);
	check_teams(OMEN_CODE_BITS, OMEN_METRIC_JACCARD, 2000);
	printf("test_graph_team: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
