/*-------------------------------------------------------------------------
 *
 * graph_terms.c
 *	  Starting points by terms: which nodes have what the query has.
 *
 * Most pairs of sparse vectors have no element in common, and all such pairs
 * are at the same distance.  Neither centres nor samples then tell where a
 * query belongs, and a search that starts among strangers has nothing to
 * descend along: the graph alone found two thirds of the neighbours in vectors
 * of words.  So the codec names the terms of a vector (a sparse one's indices,
 * with their weights), and a table says for each term which nodes have most
 * of it.  The table is no index of all that have a term: from the few that it
 * names, the graph leads on.
 *
 * The table is an array of records of OMEN_TERM_NODES nodes, and a hash of the
 * term is the record's number: no directory, and one record to read for each
 * term.  Terms that fall together share the record; there are about as many
 * records as terms.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_terms.h"

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"

/* Places for each node in the bitmap that counts the terms. */
#define COUNT_PLACES 8

/* tick() after so many terms */
#define TICK_TERMS (256 * 1024)

/*
 * What a member of the team works with.  Each reads the terms of all nodes,
 * and does what falls into its part of the places or records.
 */
typedef struct TermBuild
{
	const OmenTeam *team;
	const OmenRecords *records;
	OmenTermTable *table;
	uint32		from;			/* this member's records */
	uint32		to;
	float	   *weights;		/* of the nodes in them */
	uint32		terms_since_tick;
} TermBuild;

/* The record of a term; the hash is MurmurHash3's finalizer. */
static inline uint32
term_record(uint32 term, uint32 n_records)
{
	term ^= term >> 16;
	term *= 0x85ebca6bU;
	term ^= term >> 13;
	term *= 0xc2b2ae35U;
	term ^= term >> 16;
	return (uint32) (((uint64) term * n_records) >> 32);
}

/* Term i of a node, false if there are fewer. */
static inline bool
node_term(TermBuild *build, uint32 node, uint32 i, OmenTerm *term)
{
	const OmenRecords *records = build->records;

	if (++build->terms_since_tick == TICK_TERMS)
	{
		build->terms_since_tick = 0;
		build->team->host.tick(build->team->host.arg, node);
	}
	return records->codec->code_term(records->codec, omen_records_factors(records, node),
									 omen_records_code(records, node), i, term);
}

/*
 * How many terms there are in this member's part of a bitmap that they are
 * hashed to; not quite all, as some fall together.
 */
static uint32
count_terms(TermBuild *build)
{
	const OmenHost *host = &build->team->host;
	uint32		n = build->records->n;
	uint32		n_places = (uint32) Min((size_t) COUNT_PLACES * n, PG_INT32_MAX);
	uint32		from;
	uint32		to;
	uint8	   *used;
	uint32		count = 0;
	uint32		node;
	uint32		i;
	OmenTerm	term;

	omen_team_part(build->team, n_places, &from, &to);
	used = host->alloc(host->arg, (to - from) / 8 + 1);
	memset(used, 0, (to - from) / 8 + 1);
	for (node = 0; node < n; node++)
	{
		for (i = 0; node_term(build, node, i, &term); i++)
		{
			uint32		place = term_record(term.id, n_places) - from;
			uint8		bit = 1 << (place % 8);

			if (place >= to - from)
				continue;
			count += (used[place / 8] & bit) == 0;
			used[place / 8] |= bit;
		}
	}
	host->release(host->arg, used);
	return count;
}

/* The sum of what the members have counted, told to all. */
static uint32
count_all_terms(TermBuild *build)
{
	const OmenTeam *team = build->team;
	uint32	   *shared = team->share(team->arg, sizeof(uint32));
	uint32		count;

	__atomic_fetch_add(shared, count_terms(build), __ATOMIC_RELAXED);
	team->barrier(team->arg);
	count = *shared;
	team->unshare(team->arg, shared);
	return count;
}

/*
 * Let a node compete for a place in a record.  A record is sorted by weight,
 * ties by node, and names a node once: with the first of its terms there.
 */
static void
record_add(uint32 *nodes, float *weights, uint32 node, float weight)
{
	int			at = OMEN_TERM_NODES;
	int			i;

	while (at > 0 && (nodes[at - 1] == OMEN_NO_NODE || weights[at - 1] < weight))
		at--;
	if (at == OMEN_TERM_NODES)
		return;
	for (i = 0; i < OMEN_TERM_NODES; i++)
	{
		if (nodes[i] == node)
			return;
	}
	for (i = OMEN_TERM_NODES - 1; i > at; i--)
	{
		nodes[i] = nodes[i - 1];
		weights[i] = weights[i - 1];
	}
	nodes[at] = node;
	weights[at] = weight;
}

static void
fill_table(TermBuild *build, const uint32 *order)
{
	OmenTermTable *table = build->table;
	uint32		number;
	uint32		i;
	OmenTerm	term;

	memset(table->nodes + (size_t) build->from * OMEN_TERM_NODES, 0xff,
		   sizeof(uint32) * (build->to - build->from) * OMEN_TERM_NODES);
	for (number = 0; number < build->records->n; number++)
	{
		for (i = 0; node_term(build, order[number], i, &term); i++)
		{
			uint32		record = term_record(term.id, table->n_records);

			if (record >= build->from && record < build->to)
				record_add(table->nodes + (size_t) OMEN_TERM_NODES * record,
						   build->weights + (size_t) OMEN_TERM_NODES * (record - build->from),
						   number, term.weight);
		}
	}
}

void
omen_terms_build(const OmenTeam *team, const OmenRecords *records, const uint32 *order,
				 OmenTermTable *table)
{
	const OmenHost *host = &team->host;
	TermBuild	build = {.team = team,.records = records,.table = table};

	table->n_records = 0;
	table->nodes = NULL;
	if (records->codec->code_term == NULL || records->n == 0)
		return;

	/* terms that hardly any two nodes have are worth no more than that */
	table->n_records = Max(1, Min(count_all_terms(&build), records->n));
	table->nodes = team->share(team->arg,
							   sizeof(uint32) * OMEN_TERM_NODES * (size_t) table->n_records);
	omen_team_part(team, table->n_records, &build.from, &build.to);
	build.weights = host->alloc(host->arg,
								sizeof(float) * OMEN_TERM_NODES * (build.to - build.from));
	fill_table(&build, order);
	host->release(host->arg, build.weights);
	team->barrier(team->arg);
}

/* ---------- queries ---------- */

/* The heaviest terms of a query, ties by their order; returns how many. */
static int
heaviest_terms(const OmenCodec *codec, const OmenQuery *query, OmenTerm best[OMEN_QUERY_TERMS])
{
	OmenTerm	term;
	int			n = 0;
	uint32		i;

	for (i = 0; codec->query_term(codec, query, i, &term); i++)
	{
		int			at = n;

		if (n < OMEN_QUERY_TERMS)
			n++;
		else if (term.weight <= best[n - 1].weight)
			continue;
		else
			at--;
		for (; at > 0 && best[at - 1].weight < term.weight; at--)
			best[at] = best[at - 1];
		best[at] = term;
	}
	return n;
}

int
omen_terms_lookup(const OmenCodec *codec, const OmenQuery *query, uint32 n_records,
				  uint32 records[OMEN_QUERY_TERMS])
{
	OmenTerm	best[OMEN_QUERY_TERMS];
	int			n;
	int			i;

	if (n_records == 0)
		return 0;
	n = heaviest_terms(codec, query, best);
	for (i = 0; i < n; i++)
		records[i] = term_record(best[i].id, n_records);
	return omen_terms_distinct(records, n);
}

int
omen_terms_distinct(uint32 *nodes, int n)
{
	uint64		words[OMEN_TERM_SEEDS];
	int			n_distinct = 0;
	int			i;

	Assert(n <= OMEN_TERM_SEEDS);
	for (i = 0; i < n; i++)
		words[i] = nodes[i];
	omen_packed_sort(words, n);
	for (i = 0; i < n; i++)
	{
		if (words[i] != OMEN_NO_NODE && (i == 0 || words[i] != words[i - 1]))
			nodes[n_distinct++] = (uint32) words[i];
	}
	return n_distinct;
}

int
omen_terms_nodes(const OmenCodec *codec, const OmenQuery *query, const OmenTermTable *table,
				 uint32 nodes[OMEN_TERM_SEEDS])
{
	uint32		records[OMEN_QUERY_TERMS];
	int			n = omen_terms_lookup(codec, query, table->n_records, records);
	int			i;

	for (i = 0; i < n; i++)
		memcpy(nodes + i * OMEN_TERM_NODES,
			   table->nodes + (size_t) records[i] * OMEN_TERM_NODES,
			   sizeof(uint32) * OMEN_TERM_NODES);
	return omen_terms_distinct(nodes, n * OMEN_TERM_NODES);
}
