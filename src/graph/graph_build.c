/*-------------------------------------------------------------------------
 *
 * graph_build.c
 *	  Link the nodes: batches of searches, then batches of reverse edges.
 *
 * After Dobson et al., "ParlayANN" (2024): the nodes are inserted in batches
 * of BATCH_PERCENT of what is in.  A batch goes through phases, each of which
 * reads what earlier phases have written and writes only what is its own:
 *
 *	 1. link_search_batch: each node of the batch searches the graph as it was before
 *		the batch, and chooses its neighbours (forward list).  As nothing leads
 *		to these nodes yet, their lists can be written at once.
 *	 2. link_group_reverse: forward links are grouped by target.
 *	 3. link_apply_reverse: each target takes in its new neighbours, once.
 *
 * The members of a team claim ranges of the batch (1), have each a part of the
 * nodes whose targets they group (2), and claim ranges of targets (3).
 * Whoever does it, a node's links depend on the phase before alone; batch
 * bounds depend on counts alone.  The first, small batches are not worth the
 * barriers: member 0 does them.
 *
 * The order of insertion: the samples of the routing table first, then all
 * others, both in order of a hash of their number.  Within a batch, the order
 * is that of the numbers, so that searches that run together walk through the
 * same memory, and neighbours in the batch are near each other: these batch
 * mates, which a search of the frozen graph cannot find, are candidates too.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

#include <math.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_lifted.h"
#include "src/graph/graph_link.h"
#include "src/graph/graph_search_internal.h"
#include "src/graph/graph_select.h"
#include "src/graph/graph_terms.h"

/* A batch is so much of what is in. */
#define BATCH_PERCENT 2

/* Candidates from the batch itself: so many on each side. */
#define BATCH_MATES 8

/* Searches that run together. */
#define SEARCH_GROUP 2

/* Starting points: so many in each direction, see link_seeds(). */
#define SEEDS_EACH_SIDE 2

/* Batches below this are done by one member. */
#define TEAM_BATCH 64

/* A team claims so many searches, or targets, at a time. */
#define SEARCH_PIECE 8
#define TARGET_PIECE 32

/* The lists of targets are asked for so many targets ahead. */
#define PREFETCH_TARGETS 4

/* One link in so many nodes, displaced to reach others, makes the recall measured void. */
#define MUCH_CHANGED 100

/* A target of very many reverse edges considers the nearest of them only. */
#define REVERSE_CANDIDATES 512

/* One of the searches that run together. */
typedef struct LinkSearch
{
	OmenArraySource source;
	OmenQuery  *query;
	OmenSearch *search;
	uint32		at;				/* place in the batch */
} LinkSearch;

/* The targets that one member has grouped. */
typedef struct LinkTargets
{
	uint32		claim;
	uint32		first;			/* place of the first one in targets and first_edge */
	uint32		n;
	uint32		unused[13];		/* a cache line for each member */
} LinkTargets;

/* Shared by the team; an array of LinkTargets follows, one for each member. */
typedef struct LinkShared
{
	uint32		order_claim;
	uint32		search_claim;
	uint32		unused[14];
	LinkTargets members[FLEXIBLE_ARRAY_MEMBER];
} LinkShared;

/* Of each member its own; arrays marked (shared) are the team's. */
typedef struct LinkState
{
	const OmenTeam *team;
	const OmenRecords *records; /* as links compare them */
	const OmenRecords *searched;	/* as queries do */
	const OmenRouting *routing;
	LinkShared *shared;
	LinkLists	lists;			/* (shared) */
	uint32		m;
	uint32		ef;
	OmenRecallCurve *curve;

	const uint32 *input_order;	/* if nodes were linked before: new number -> input */
	uint32		n_carried;		/* so many were: those first in the input */

	uint32	   *order;			/* (shared) the others in the order of their insertion */
	uint32	   *batch_starts;	/* n_batches + 1 */
	uint32		n_batches;
	uint32		n_in;			/* nodes linked */
	uint64	   *inserted;		/* (shared) one bit per node */

	/* the batch: nodes in ascending order */
	const uint32 *batch;
	uint32		n_batch;

	/* its forward links, grouped by target (shared) */
	uint32	   *target_count;	/* per node of the graph; all 0 between batches */
	uint32	   *targets;		/* see LinkTargets */
	uint32	   *first_edge;		/* per target, and one more for each member */
	uint64	   *edges;			/* packed words: key and the link's source */

	/* for this member's searches and selections */
	LinkSearch	group[SEARCH_GROUP];
	OmenSelector *selector;
	uint64	   *candidates;
	uint64	   *chosen;			/* OMEN_MAX_LINKS */
	uint32		max_candidates;
} LinkState;

static void *
link_alloc(LinkState *state, size_t bytes)
{
	return state->team->host.alloc(state->team->host.arg, bytes);
}

static void
link_release(LinkState *state, void *pointer)
{
	state->team->host.release(state->team->host.arg, pointer);
}

static void
link_tick(LinkState *state, uint32 n_done)
{
	state->team->host.tick(state->team->host.arg, n_done);
}

static void *
link_share(LinkState *state, size_t bytes)
{
	return state->team->share(state->team->arg, bytes);
}

static void
link_unshare(LinkState *state, void *memory)
{
	state->team->unshare(state->team->arg, memory);
}

static void
link_barrier(LinkState *state)
{
	state->team->barrier(state->team->arg);
}

static inline bool
link_is_in(const LinkState *state, uint32 node)
{
	return (state->inserted[node / 64] >> (node % 64)) & 1;
}

static inline bool
link_was_carried(const LinkState *state, uint32 node)
{
	return state->n_carried > 0 && state->input_order[node] < state->n_carried;
}

/* ---------- phase 1: search and choose ---------- */

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

/*
 * Start a node's search from those that are nearest to it in number among
 * the inserted.  The numbering has clustered the nodes already, so this is as
 * near as the routing table could tell, and free.
 */
static void
link_seed(LinkState *state, LinkSearch *s, uint32 node)
{
	uint32		nodes[2 * SEEDS_EACH_SIDE];
	float		keys[2 * SEEDS_EACH_SIDE];
	OmenCandidate seeds[2 * SEEDS_EACH_SIDE];
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
	omen_records_keys(state->records, s->query, nodes, n, keys);
	for (i = 0; i < n; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(s->search, seeds, n);
}

/* Codes with terms: also from the inserted ones among those that share a term. */
static void
link_seed_by_terms(LinkState *state, LinkSearch *s)
{
	uint32		nodes[OMEN_TERM_SEEDS];
	float		keys[OMEN_TERM_SEEDS];
	OmenCandidate seeds[OMEN_TERM_SEEDS];
	int			n_found;
	int			n = 0;
	int			i;

	n_found = omen_terms_nodes(state->records->codec, s->query, &state->routing->terms, nodes);
	for (i = 0; i < n_found; i++)
	{
		if (link_is_in(state, nodes[i]))
			nodes[n++] = nodes[i];
	}
	omen_records_keys(state->records, s->query, nodes, n, keys);
	for (i = 0; i < n; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(s->search, seeds, n);
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

static void
link_search_batch(LinkState *state)
{
	uint32		from;
	uint32		to;

	while (omen_team_claim(&state->shared->search_claim, SEARCH_PIECE, state->n_batch, &from, &to))
		link_search_range(state, from, to);
}

/* ---------- phase 2: group ---------- */

/*
 * Count the links to each target among this member's nodes, from .. to, and
 * those to targets before them.
 */
static void
link_count_targets(LinkState *state, LinkTargets *mine, uint32 from, uint32 to)
{
	const LinkLists *lists = &state->lists;
	uint32		n_before = 0;
	uint32		at;
	uint32		i;

	/* there are no more targets than links, so this place will do for both */
	for (at = 0; at < state->n_batch; at++)
	{
		const uint32 *list = link_list(lists, state->batch[at]);

		for (i = 0; i < lists->n_links[state->batch[at]]; i++)
			n_before += (list[i] < from);
	}
	mine->first = n_before;
	mine->n = 0;
	for (at = 0; at < state->n_batch; at++)
	{
		const uint32 *list = link_list(lists, state->batch[at]);

		for (i = 0; i < lists->n_links[state->batch[at]]; i++)
		{
			uint32		target = list[i];

			if (target >= from && target < to && state->target_count[target]++ == 0)
				state->targets[mine->first + mine->n++] = target;
		}
	}
}

/* Turn counts into places: target_count becomes where the next edge goes. */
static void
link_place_targets(LinkState *state, const LinkTargets *mine)
{
	uint32	   *first_edge = state->first_edge + mine->first + state->team->member;
	uint32		total = mine->first;
	uint32		i;

	for (i = 0; i < mine->n; i++)
	{
		uint32	   *count = &state->target_count[state->targets[mine->first + i]];

		first_edge[i] = total;
		total += *count;
		*count = first_edge[i];
	}
	first_edge[i] = total;
}

/*
 * A target's edges are in the order of the batch, that is of their nodes.
 * Each member does it for a part of the graph's nodes.
 */
static void
link_group_reverse(LinkState *state)
{
	const LinkLists *lists = &state->lists;
	LinkTargets *mine = &state->shared->members[state->team->member];
	uint32		from;
	uint32		to;
	uint32		at;
	uint32		i;

	mine->claim = 0;
	omen_team_part(state->team, state->records->n, &from, &to);
	link_count_targets(state, mine, from, to);
	link_place_targets(state, mine);
	for (at = 0; at < state->n_batch; at++)
	{
		uint32		node = state->batch[at];
		const uint32 *list = link_list(lists, node);
		const float *keys = link_list_keys(lists, node);

		for (i = 0; i < lists->n_links[node]; i++)
		{
			if (list[i] >= from && list[i] < to)
				state->edges[state->target_count[list[i]]++] = omen_packed_make(keys[i], node);
		}
		if (at % 1024 == 0)
			link_tick(state, state->n_in);
	}
	for (i = 0; i < mine->n; i++)
		state->target_count[state->targets[mine->first + i]] = 0;
}

/* ---------- phase 3: reverse edges ---------- */

static bool
link_exists(const LinkState *state, uint32 node, uint32 link)
{
	const uint32 *list = link_list(&state->lists, node);
	uint32		n = state->lists.n_links[node];
	uint32		n_equal = 0;
	uint32		i;

	for (i = 0; i < n; i++)
		n_equal += (list[i] == link);
	return n_equal > 0;
}

/*
 * How far a pruned list is filled up: leaving room, so that the next new
 * links need no selection.
 */
static inline int
link_prune_fill(uint32 max_links)
{
	return max_links * 5 / 8;
}

/* The keys of a list that was linked before: nobody has needed them yet. */
static void
link_compute_keys(LinkState *state, uint32 node)
{
	LinkLists  *lists = &state->lists;
	const OmenRecords *records = state->records;
	OmenQuery  *query = state->group[0].query;

	records->codec->query_from_code(records->codec, query, omen_records_factors(records, node),
									omen_records_code(records, node));
	omen_records_keys(records, query, link_list(lists, node), lists->n_links[node],
					  link_list_keys(lists, node));
	lists->n_clean[node] = 0;
}

/* Replace a target's list by a selection from it and the new edges. */
static void
link_prune(LinkState *state, uint32 target, uint64 *edges, uint32 n_edges)
{
	LinkLists  *lists = &state->lists;
	uint32	   *list = link_list(lists, target);
	float	   *keys = link_list_keys(lists, target);
	uint64	   *candidates = state->candidates;
	int			n = lists->n_links[target];
	int			n_kept;
	int			i;

	if (lists->n_clean[target] == LINK_KEYS_UNKNOWN)
		link_compute_keys(state, target);
	for (i = 0; i < n; i++)
	{
		candidates[i] = omen_packed_make(keys[i], list[i]);
		if (i < lists->n_clean[target])
			candidates[i] |= OMEN_PACKED_FLAG;
	}
	if (n_edges > REVERSE_CANDIDATES)
	{
		omen_packed_select(edges, n_edges, REVERSE_CANDIDATES);
		n_edges = REVERSE_CANDIDATES;
	}
	memcpy(candidates + n, edges, sizeof(uint64) * n_edges);
	n += n_edges;
	omen_packed_sort_runs(candidates, n);

	n = omen_select_neighbours(state->selector, candidates, n, lists->max_links,
							   link_prune_fill(lists->max_links), state->chosen, &n_kept);
	for (i = 0; i < n; i++)
	{
		list[i] = omen_packed_node(state->chosen[i]);
		keys[i] = omen_packed_key(state->chosen[i]);
	}
	for (; i < lists->n_links[target]; i++)
		list[i] = OMEN_NO_NODE;
	lists->n_links[target] = n;
	lists->n_clean[target] = n_kept;
}

/*
 * Ask for what the targets to come will read: the list of one a little
 * further on, and for the next one, if its list will not do, the codes that a
 * selection compares.
 */
static void
link_prefetch_targets(const LinkState *state, const uint32 *targets, const uint32 *first_edge,
					  uint32 at, uint32 to)
{
	const LinkLists *lists = &state->lists;
	uint32		bytes = lists->max_links * sizeof(uint32);
	uint32		far = at + PREFETCH_TARGETS;
	uint32		next = at + 1;

	if (far < to)
	{
		const char *list = (const char *) link_list(lists, targets[far]);
		const char *keys = (const char *) link_list_keys(lists, targets[far]);
		uint32		offset;

		for (offset = 0; offset < bytes; offset += OMEN_CACHE_LINE)
		{
			__builtin_prefetch(list + offset);
			__builtin_prefetch(keys + offset);
		}
	}
	if (next < to)
	{
		uint32		target = targets[next];
		uint32		n_edges = first_edge[next + 1] - first_edge[next];

		if (lists->n_links[target] + n_edges > lists->max_links)
			omen_records_prefetch(state->records, link_list(lists, target), lists->n_links[target]);
	}
}

/* Take new neighbours into a target's list. */
static void
link_add_reverse(LinkState *state, uint32 target, uint64 *edges, uint32 n_edges)
{
	LinkLists  *lists = &state->lists;
	uint32		n_new = 0;
	uint32		i;

	/* batch mates may have chosen each other */
	for (i = 0; i < n_edges; i++)
	{
		if (!link_exists(state, target, omen_packed_node(edges[i])))
			edges[n_new++] = edges[i];
	}
	if (lists->n_links[target] + n_new > lists->max_links)
		link_prune(state, target, edges, n_new);
	else
	{
		for (i = 0; i < n_new; i++)
			link_append(lists, target, omen_packed_node(edges[i]), omen_packed_key(edges[i]));
	}
}

/* The targets that a member has grouped, as far as nobody else takes them. */
static void
link_apply_grouped(LinkState *state, int member)
{
	LinkTargets *group = &state->shared->members[member];
	const uint32 *targets = state->targets + group->first;
	const uint32 *first_edge = state->first_edge + group->first + member;
	uint32		from;
	uint32		to;

	while (omen_team_claim(&group->claim, TARGET_PIECE, group->n, &from, &to))
	{
		for (; from < to; from++)
		{
			link_prefetch_targets(state, targets, first_edge, from, to);
			link_add_reverse(state, targets[from], state->edges + first_edge[from],
							 first_edge[from + 1] - first_edge[from]);
			if (from % 64 == 0)
				link_tick(state, state->n_in);
		}
	}
}

/* One's own first, then what others have not come to yet. */
static void
link_apply_reverse(LinkState *state)
{
	int			n_members = state->team->n_members;
	int			i;

	for (i = 0; i < n_members; i++)
		link_apply_grouped(state, (state->team->member + i) % n_members);
}

/* ---------- batches ---------- */

/* No one looks for inserted nodes, or claims searches, until the next batch. */
static void
link_mark_inserted(LinkState *state)
{
	uint32		i;

	for (i = 0; i < state->n_batch; i++)
		state->inserted[state->batch[i] / 64] |= UINT64CONST(1) << (state->batch[i] % 64);
	state->shared->search_claim = 0;
}

/* The nodes that are not in yet are the queries of the calibration. */
static void
link_calibrate(LinkState *state)
{
	OmenCalibration calibration = {
		.records = state->searched,
		.routing = state->routing,
		.links = state->lists.links,
		.max_links = state->lists.max_links,
		.inserted = state->inserted,
		.queries = state->batch,
		.n_queries = state->records->n - state->n_in
	};

	omen_calibrate(state->team, &calibration, state->curve);
}

/* Insert the batches from .. to, each of the size for its place. */
static void
link_insert_batches(LinkState *state, uint32 from, uint32 to)
{
	for (; from < to; from++)
	{
		state->n_in = state->n_carried + state->batch_starts[from];
		state->batch = state->order + state->batch_starts[from];
		state->n_batch = state->batch_starts[from + 1] - state->batch_starts[from];
		if (state->n_in == state->records->n - omen_calibrate_queries(state->records->n, state->records->n - state->n_carried))
			link_calibrate(state);

		link_search_batch(state);
		link_barrier(state);
		if (omen_team_leads(state->team))
			link_mark_inserted(state);
		link_group_reverse(state);
		link_barrier(state);
		link_apply_reverse(state);
		link_barrier(state);
	}
}

/* The first batches alone, the others as a team. */
static void
link_insert_all(LinkState *state)
{
	const OmenTeam *team = state->team;
	OmenTeam	alone;
	uint32		first = 0;

	while (first < state->n_batches &&
		   state->batch_starts[first + 1] - state->batch_starts[first] < TEAM_BATCH)
		first++;
	if (omen_team_leads(team))
	{
		omen_team_alone(&alone, &team->host);
		state->team = &alone;
		link_insert_batches(state, 0, first);
		state->team = team;
	}
	link_barrier(state);
	link_insert_batches(state, first, state->n_batches);
}

/* ---------- the order of insertion ---------- */

static uint32
link_batch_size(uint32 n_in)
{
	return Max((uint32) ((uint64) n_in * BATCH_PERCENT / 100), 1);
}

/*
 * Where in the order of insertion batches begin, if starts is not NULL;
 * returns how many there are.
 */
static uint32
link_batch_starts(uint32 n_carried, uint32 n, uint32 *starts)
{
	uint32		end = n - omen_calibrate_queries(n, n - n_carried);
	uint32		n_batches = 0;
	uint32		n_in = n_carried;

	while (n_in < n)
	{
		if (n_in == end)
			end = n;
		if (starts)
			starts[n_batches] = n_in - n_carried;
		n_batches++;
		n_in += Min(link_batch_size(n_in), end - n_in);
	}
	if (starts)
		starts[n_batches] = n - n_carried;
	return n_batches;
}

/* Finalizer of MurmurHash3: a permutation of the 32-bit numbers. */
static inline uint32
link_hash(uint32 x)
{
	x ^= x >> 16;
	x *= 0x85ebca6bU;
	x ^= x >> 13;
	x *= 0xc2b2ae35U;
	x ^= x >> 16;
	return x;
}

/* Its inverse. */
static inline uint32
link_unhash(uint32 x)
{
	x ^= x >> 16;
	x *= 0x7ed1b41dU;
	x ^= (x >> 13) ^ (x >> 26);
	x *= 0xa5cb9243U;
	x ^= x >> 16;
	return x;
}

/*
 * All nodes in order of their hashes, the samples first: hashes are sorted,
 * and then turned back into what they are hashes of.
 */
static void
link_hashed_order(const LinkState *state)
{
	uint32		n = state->records->n - state->n_carried;
	const OmenRouting *routing = state->routing;
	uint32		n_first = state->n_carried > 0 ? 0 : routing->n_samples;
	uint32	   *order = state->order;
	uint32	   *others = order + n_first;
	uint32		sample = 0;
	uint32		n_others = 0;
	uint32		node;
	uint32		i;

	for (node = 0; node < state->records->n; node++)
	{
		if (link_was_carried(state, node))
			continue;
		if (sample < n_first && routing->sample_nodes[sample] == node)
			order[sample++] = link_hash(node);
		else
			others[n_others++] = link_hash(node);
	}
	omen_nodes_sort(order, sample);
	omen_nodes_sort(others, n_others);
	for (i = 0; i < n; i++)
		order[i] = link_unhash(order[i]);
}

/* Within a batch, the order is by number. */
static void
link_make_order(LinkState *state)
{
	uint32		batch;
	uint32		next;

	if (omen_team_leads(state->team))
		link_hashed_order(state);
	link_barrier(state);
	while (omen_team_claim(&state->shared->order_claim, 1, state->n_batches, &batch, &next))
		omen_nodes_sort(state->order + state->batch_starts[batch],
						state->batch_starts[next] - state->batch_starts[batch]);
	link_barrier(state);
}

/* ---------- the whole ---------- */

static void
link_begin_searches(LinkState *state)
{
	const OmenHost *host = &state->team->host;
	int			i;

	state->max_candidates = Max(state->ef + 2 * BATCH_MATES,
								state->lists.max_links + REVERSE_CANDIDATES);
	state->candidates = link_alloc(state, sizeof(uint64) * state->max_candidates);
	state->chosen = link_alloc(state, sizeof(uint64) * OMEN_MAX_LINKS);
	state->selector = omen_selector_create(host, state->records, state->max_candidates);
	for (i = 0; i < SEARCH_GROUP; i++)
	{
		LinkSearch *s = &state->group[i];

		s->query = link_alloc(state, state->records->codec->query_bytes);
		s->search = omen_search_create(host);
		omen_array_source_init(&s->source, state->records, state->lists.links,
							   state->lists.max_links, s->query);
	}
}

static void
link_end_searches(LinkState *state)
{
	int			i;

	link_release(state, state->candidates);
	link_release(state, state->chosen);
	omen_selector_destroy(state->selector);
	for (i = 0; i < SEARCH_GROUP; i++)
	{
		link_release(state, state->group[i].query);
		omen_search_destroy(state->group[i].search);
	}
}

/* A list as the caller's links have it. */
static uint32
link_list_length(const LinkLists *lists, uint32 node)
{
	const uint32 *list = link_list(lists, node);
	uint32		n = 0;

	while (n < lists->max_links && list[n] != OMEN_NO_NODE)
		n++;
	return n;
}

/* Lists of nodes linked before are as the caller has them, the others empty. */
static void
link_begin_lists(LinkState *state, uint32 *links)
{
	uint32		n = state->records->n;
	LinkLists  *lists = &state->lists;
	uint32		node;
	uint32		to;

	lists->records = state->records;
	lists->max_links = 2 * state->m;
	lists->links = links;
	lists->keys = link_share(state, sizeof(float) * n * lists->max_links);
	lists->n_links = link_share(state, n);
	lists->n_clean = link_share(state, n);

	/* whole words of inserted */
	omen_team_part(state->team, n / 64 + 1, &node, &to);
	node *= 64;
	to = Min(to * 64, n);
	for (; node < to; node++)
	{
		if (link_was_carried(state, node))
		{
			lists->n_links[node] = link_list_length(lists, node);
			lists->n_clean[node] = LINK_KEYS_UNKNOWN;
			state->inserted[node / 64] |= UINT64CONST(1) << (node % 64);
		}
		else
			memset(link_list(lists, node), 0xff, sizeof(uint32) * lists->max_links);
	}
	link_barrier(state);
}

static void
link_begin_batches(LinkState *state)
{
	uint32		n = state->records->n;

	state->n_batches = link_batch_starts(state->n_carried, n, NULL);
	state->batch_starts = link_alloc(state, sizeof(uint32) * (state->n_batches + 1));
	link_batch_starts(state->n_carried, n, state->batch_starts);
	state->order = link_share(state, sizeof(uint32) * (n - state->n_carried));
}

static void
link_begin(LinkState *state, uint32 *links)
{
	const OmenTeam *team = state->team;
	uint32		n = state->records->n;
	uint32		max_edges = link_batch_size(n) * state->m;

	state->shared = link_share(state, offsetof(LinkShared, members) +
							   sizeof(LinkTargets) * team->n_members);
	state->inserted = link_share(state, sizeof(uint64) * (n / 64 + 1));
	link_begin_lists(state, links);
	link_begin_batches(state);
	state->target_count = link_share(state, sizeof(uint32) * n);
	state->targets = link_share(state, sizeof(uint32) * max_edges);
	state->first_edge = link_share(state, sizeof(uint32) * (max_edges + team->n_members));
	state->edges = link_share(state, sizeof(uint64) * max_edges);
	link_begin_searches(state);
}

/* What only the insertion needs; the lists stay. */
static void
link_end_insertion(LinkState *state)
{
	link_end_searches(state);
	link_release(state, state->batch_starts);
	link_unshare(state, state->shared);
	link_unshare(state, state->order);
	link_unshare(state, state->inserted);
	link_unshare(state, state->target_count);
	link_unshare(state, state->targets);
	link_unshare(state, state->first_edge);
	link_unshare(state, state->edges);
}

static void
link_end(LinkState *state)
{
	link_unshare(state, state->lists.keys);
	link_unshare(state, state->lists.n_links);
	link_unshare(state, state->lists.n_clean);
}

void
omen_graph_extend(const OmenTeam *team, const OmenRecords *records,
				  const OmenRouting *routing, const OmenGraphParams *params,
				  const uint32 *order, uint32 n_carried, uint32 *links,
				  OmenRecallCurve *curve)
{
	LinkedRecords linked;
	LinkState	state = {
		.team = team,
		.records = &linked.records,
		.searched = records,
		.routing = routing,
		.m = params->m,
		.ef = params->ef_construction,
		.input_order = order,
		.n_carried = n_carried,
		.curve = curve
	};

	memset(curve, 0, sizeof(*curve));
	if (records->n == 0)
		return;
	omen_linked_records(&linked, records);
	link_begin(&state, links);
	link_make_order(&state);
	link_insert_all(&state);
	link_end_insertion(&state);
	if (omen_team_leads(team))
	{
		uint32		n_displaced = omen_graph_reach(&team->host, &state.lists, routing, state.ef);

		/* a graph much changed is not the one that was measured */
		if (n_displaced > records->n / MUCH_CHANGED)
			memset(curve, 0, sizeof(*curve));
	}
	link_end(&state);
}

void
omen_graph_link(const OmenTeam *team, const OmenRecords *records,
				const OmenRouting *routing, const OmenGraphParams *params,
				uint32 *links, OmenRecallCurve *curve)
{
	omen_graph_extend(team, records, routing, params, NULL, 0, links, curve);
}

size_t
omen_graph_link_bytes(const OmenCodec *codec, const OmenGraphParams *params)
{
	size_t		per_batch_edge = sizeof(uint64) + 2 * sizeof(uint32);
	size_t		batch = params->m * per_batch_edge * BATCH_PERCENT / 100;
	size_t		terms = codec->code_term ? OMEN_TERM_NODES * sizeof(uint32) : 0;

	/* keys; the order of insertion; counts and lengths; the batch; the table of terms */
	return 2 * params->m * sizeof(float) + sizeof(uint32) + sizeof(uint32) + 2 + batch + terms;
}
