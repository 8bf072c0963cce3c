/*-------------------------------------------------------------------------
 *
 * graph_link_forward.c
 *	  Phase 1 of a batch: each node searches the graph and chooses neighbours.
 *
 * See graph_build.c.
 *
 *-------------------------------------------------------------------------
 */
#include <math.h>

#include "src/graph/graph_candidate.h"
#include "src/graph/graph_link_state.h"
#include "src/graph/graph_search_internal.h"
#include "src/graph/graph_terms.h"

/* Starting points: so many in each direction, see link_seed(). */
#define SEEDS_EACH_SIDE 2
#define MOST_SEEDS Max(2 * SEEDS_EACH_SIDE, OMEN_TERM_SEEDS)

/* A team claims so many searches at a time. */
#define SEARCH_PIECE 8

static inline bool
link_is_in(const LinkState *state, uint32 node)
{
	return (state->inserted[node / 64] >> (node % 64)) & 1;
}

/*
 * The nearest inserted node whose number is below (or above) that of a node,
 * or OMEN_NO_NODE.
 */
static uint32
link_next_in(const LinkState *state, uint32 node, bool above)
{
	uint32		n_words = state->records->n / 64 + 1;
	uint32		at = node / 64;
	uint64		bits = state->inserted[at];

	if (above)
		bits &= (node % 64 == 63) ? 0 : PG_UINT64_MAX << (node % 64 + 1);
	else
		bits &= (UINT64CONST(1) << (node % 64)) - 1;
	while (bits == 0)
	{
		if (above ? (++at == n_words) : (at-- == 0))
			return OMEN_NO_NODE;
		bits = state->inserted[at];
	}
	return at * 64 + (above ? (uint32) __builtin_ctzll(bits) :
					  63 - (uint32) __builtin_clzll(bits));
}

static void
link_seed_with(LinkState *state, LinkSearch *s, const uint32 *nodes, int n)
{
	float		keys[MOST_SEEDS];
	OmenCandidate seeds[MOST_SEEDS];
	int			i;

	omen_records_keys(state->records, s->query, nodes, n, keys);
	for (i = 0; i < n; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(s->search, seeds, n);
}

/*
 * Start a node's search from those that are nearest to it in number among
 * the inserted.  The numbering has clustered the nodes already, so this is as
 * near as the routing table could tell, and free.
 */
static void
link_seed(LinkState *state, LinkSearch *s, uint32 node)
{
	uint32		nodes[2 * SEEDS_EACH_SIDE];
	int			n = 0;
	int			side;
	int			i;

	for (side = 0; side < 2; side++)
	{
		uint32		at = node;

		for (i = 0; i < SEEDS_EACH_SIDE; i++)
		{
			at = link_next_in(state, at, side == 1);
			if (at == OMEN_NO_NODE)
				break;
			nodes[n++] = at;
		}
	}
	link_seed_with(state, s, nodes, n);
}

/* Codes with terms: also from the inserted ones among those that share a term. */
static void
link_seed_by_terms(LinkState *state, LinkSearch *s)
{
	uint32		nodes[OMEN_TERM_SEEDS];
	int			n_found;
	int			n = 0;
	int			i;

	n_found = omen_terms_nodes(state->records->codec, s->query, &state->routing->terms, nodes);
	for (i = 0; i < n_found; i++)
	{
		if (link_is_in(state, nodes[i]))
			nodes[n++] = nodes[i];
	}
	link_seed_with(state, s, nodes, n);
}

static void
link_begin_search(LinkState *state, LinkSearch *s, uint32 at)
{
	const OmenCodec *codec = state->records->codec;
	uint32		node = state->batch[at];

	s->at = at;
	codec->query_from_code(codec, s->query, omen_records_factors(state->records, node),
						   omen_records_code(state->records, node));
	omen_search_begin(s->search, &s->source.source, state->ef, INFINITY, false);
	link_seed(state, s, node);
	if (state->routing->terms.n_records > 0)
		link_seed_by_terms(state, s);
}

/* Run the searches of a group to their ends, taking turns. */
static void
link_run_group(LinkSearch *group, int n)
{
	LinkSearch *running[SEARCH_GROUP];
	int			n_running = 0;
	int			i;

	for (i = 0; i < n; i++)
	{
		if (omen_search_pick(group[i].search))
			running[n_running++] = &group[i];
	}
	while (n_running > 0)
	{
		int			n_left = 0;

		for (i = 0; i < n_running; i++)
			omen_search_fetch(running[i]->search);
		for (i = 0; i < n_running; i++)
		{
			omen_search_evaluate(running[i]->search);
			if (omen_search_pick(running[i]->search))
				running[n_left++] = running[i];
		}
		n_running = n_left;
	}
}

/* Merge the batch mates of a node into its candidates, which are sorted. */
static int
link_add_mates(LinkState *state, const LinkSearch *s, uint64 *candidates, int n)
{
	uint32		mates[2 * BATCH_MATES] = {0};
	float		keys[2 * BATCH_MATES];
	uint64		words[2 * BATCH_MATES];
	uint32		from = s->at > BATCH_MATES ? s->at - BATCH_MATES : 0;
	uint32		to = Min(s->at + BATCH_MATES + 1, state->n_batch);
	int			n_mates = 0;
	int			i;

	for (; from < to; from++)
	{
		if (from != s->at)
			mates[n_mates++] = state->batch[from];
	}
	omen_records_keys(state->records, s->query, mates, n_mates, keys);
	for (i = 0; i < n_mates; i++)
		words[i] = omen_packed_make(keys[i], mates[i]);
	omen_packed_sort(words, n_mates);
	omen_packed_merge(candidates, n, words, n_mates);
	return n + n_mates;
}

/* Choose a forward list from what the search has found, and store it. */
static void
link_choose_forward(LinkState *state, LinkSearch *s)
{
	LinkLists  *lists = &state->lists;
	uint32		node = state->batch[s->at];
	uint64	   *candidates = state->candidates;
	const uint64 *found;
	int			n = omen_search_packed_results(s->search, &found);
	int			n_kept;
	int			i;

	for (i = 0; i < n; i++)
		candidates[i] = found[i] & ~OMEN_PACKED_FLAG;
	n = link_add_mates(state, s, candidates, n);
	n = omen_select_neighbours(state->selector, candidates, n, state->m, state->m,
							   state->chosen, &n_kept);
	for (i = 0; i < n; i++)
		link_append(lists, node, omen_packed_node(state->chosen[i]),
					omen_packed_key(state->chosen[i]));
	lists->n_clean[node] = n_kept;
}

static void
link_search_range(LinkState *state, uint32 from, uint32 to)
{
	for (; from < to; from += SEARCH_GROUP)
	{
		int			n = Min(to - from, SEARCH_GROUP);
		int			i;

		for (i = 0; i < n; i++)
			link_begin_search(state, &state->group[i], from + i);
		link_run_group(state->group, n);
		for (i = 0; i < n; i++)
			link_choose_forward(state, &state->group[i]);
		link_tick(state, state->n_in + from);
	}
}

void
omen_link_search_batch(LinkState *state)
{
	uint32		from;
	uint32		to;

	while (omen_team_claim(&state->shared->search_claim, SEARCH_PIECE, state->n_batch, &from, &to))
		link_search_range(state, from, to);
}
