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
 *		the batch, and chooses its neighbours (forward list).
 *	 2. link_store_forward: forward lists become link lists.
 *	 3. link_group_reverse: forward links are grouped by target.
 *	 4. link_apply_reverse: each target takes in its new neighbours, once.
 *
 * Phases 1, 2 and 4 work on ranges (of the batch, or of the targets) whose
 * outputs are disjoint, so they may be divided among workers in any way
 * without changing the result.  Batch bounds depend on counts alone.
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

/* The lists of targets are asked for so many targets ahead. */
#define PREFETCH_TARGETS 4

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

/* What one worker needs for itself. */
typedef struct LinkWorker
{
	LinkSearch	group[SEARCH_GROUP];
	OmenSelector *selector;
	uint64	   *candidates;
	uint64	   *chosen;			/* OMEN_MAX_LINKS */
	uint32		max_candidates;
} LinkWorker;

typedef struct LinkState
{
	const OmenHost *host;
	const OmenRecords *records;
	const OmenRouting *routing;
	LinkLists	lists;
	uint32		m;
	uint32		ef;

	uint32		n_in;			/* nodes inserted */
	uint64	   *inserted;		/* one bit per node */

	/* the batch: nodes in ascending order, and their forward lists */
	uint32	   *batch;
	uint32		n_batch;
	uint64	   *forward;		/* m packed words per node of the batch */
	uint8	   *n_forward;
	uint8	   *n_forward_clean;

	/* its forward links, grouped by target */
	uint32	   *target_count;	/* per node of the graph; all 0 between batches */
	uint32	   *targets;
	uint32		n_targets;
	uint32	   *first_edge;		/* per target, and one more */
	uint64	   *edges;			/* packed words: key and the link's source */

	LinkWorker	worker;
} LinkState;

static void *
link_alloc(LinkState *state, size_t bytes)
{
	return state->host->alloc(state->host->arg, bytes);
}

static void
link_release(LinkState *state, void *pointer)
{
	state->host->release(state->host->arg, pointer);
}

static inline bool
link_is_in(const LinkState *state, uint32 node)
{
	return (state->inserted[node / 64] >> (node % 64)) & 1;
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
	uint32		mates[2 * BATCH_MATES];
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

/* Choose a forward list from what the search has found. */
static void
link_choose_forward(LinkState *state, LinkWorker *worker, LinkSearch *s)
{
	uint64	   *candidates = worker->candidates;
	const uint64 *found;
	int			n = omen_search_packed_results(s->search, &found);
	int			n_kept;
	int			i;

	for (i = 0; i < n; i++)
		candidates[i] = found[i] & ~OMEN_PACKED_FLAG;
	n = link_add_mates(state, s, candidates, n);
	state->n_forward[s->at] =
		omen_select_neighbours(worker->selector, candidates, n, state->m, state->m,
							   state->forward + (size_t) s->at * state->m, &n_kept);
	state->n_forward_clean[s->at] = n_kept;
}

static void
link_search_batch(LinkState *state, LinkWorker *worker, uint32 from, uint32 to)
{
	for (; from < to; from += SEARCH_GROUP)
	{
		int			n = Min(to - from, SEARCH_GROUP);
		int			i;

		for (i = 0; i < n; i++)
			link_begin_search(state, &worker->group[i], from + i);
		link_run_group(worker->group, n);
		for (i = 0; i < n; i++)
			link_choose_forward(state, worker, &worker->group[i]);
		state->host->tick(state->host->arg, state->n_in + from);
	}
}

/* ---------- phases 2 and 3: store and group ---------- */

static void
link_store_forward(LinkState *state, uint32 from, uint32 to)
{
	for (; from < to; from++)
	{
		uint32		node = state->batch[from];
		const uint64 *forward = state->forward + (size_t) from * state->m;
		int			i;

		for (i = 0; i < state->n_forward[from]; i++)
			link_append(&state->lists, node, omen_packed_node(forward[i]),
						omen_packed_key(forward[i]));
		state->lists.n_clean[node] = state->n_forward_clean[from];
	}
}

/* Count the links to each target, and give each a range of edges. */
static void
link_count_targets(LinkState *state)
{
	uint32		total = 0;
	uint32		at;
	int			i;

	state->n_targets = 0;
	for (at = 0; at < state->n_batch; at++)
	{
		const uint64 *forward = state->forward + (size_t) at * state->m;

		for (i = 0; i < state->n_forward[at]; i++)
		{
			uint32		target = omen_packed_node(forward[i]);

			if (state->target_count[target]++ == 0)
				state->targets[state->n_targets++] = target;
		}
	}
	for (at = 0; at < state->n_targets; at++)
	{
		uint32		count = state->target_count[state->targets[at]];

		state->first_edge[at] = total;
		state->target_count[state->targets[at]] = total;
		total += count;
	}
	state->first_edge[at] = total;
}

/* A target's edges are in the order of the batch, that is of their nodes. */
static void
link_group_reverse(LinkState *state)
{
	uint32		at;
	int			i;

	link_count_targets(state);
	for (at = 0; at < state->n_batch; at++)
	{
		const uint64 *forward = state->forward + (size_t) at * state->m;

		for (i = 0; i < state->n_forward[at]; i++)
		{
			uint32		target = omen_packed_node(forward[i]);

			state->edges[state->target_count[target]++] =
				omen_packed_make(omen_packed_key(forward[i]), state->batch[at]);
		}
		if (at % 1024 == 0)
			state->host->tick(state->host->arg, state->n_in);
	}
	for (at = 0; at < state->n_targets; at++)
		state->target_count[state->targets[at]] = 0;
}

/* ---------- phase 4: reverse edges ---------- */

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

/* Replace a target's list by a selection from it and the new edges. */
static void
link_prune(LinkState *state, LinkWorker *worker, uint32 target, uint64 *edges, uint32 n_edges)
{
	LinkLists  *lists = &state->lists;
	uint32	   *list = link_list(lists, target);
	float	   *keys = link_list_keys(lists, target);
	uint64	   *candidates = worker->candidates;
	int			n = lists->n_links[target];
	int			n_kept;
	int			i;

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

	n = omen_select_neighbours(worker->selector, candidates, n, lists->max_links,
							   link_prune_fill(lists->max_links), worker->chosen, &n_kept);
	for (i = 0; i < n; i++)
	{
		list[i] = omen_packed_node(worker->chosen[i]);
		keys[i] = omen_packed_key(worker->chosen[i]);
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
link_prefetch_targets(const LinkState *state, uint32 at, uint32 to)
{
	const LinkLists *lists = &state->lists;
	uint32		bytes = lists->max_links * sizeof(uint32);
	uint32		far = at + PREFETCH_TARGETS;
	uint32		next = at + 1;

	if (far < to)
	{
		const char *list = (const char *) link_list(lists, state->targets[far]);
		const char *keys = (const char *) link_list_keys(lists, state->targets[far]);
		uint32		offset;

		for (offset = 0; offset < bytes; offset += OMEN_CACHE_LINE)
		{
			__builtin_prefetch(list + offset);
			__builtin_prefetch(keys + offset);
		}
	}
	if (next < to)
	{
		uint32		target = state->targets[next];
		uint32		n_edges = state->first_edge[next + 1] - state->first_edge[next];

		if (lists->n_links[target] + n_edges > lists->max_links)
			omen_records_prefetch(state->records, link_list(lists, target), lists->n_links[target]);
	}
}

/* Take new neighbours into the lists of a range of targets. */
static void
link_apply_reverse(LinkState *state, LinkWorker *worker, uint32 from, uint32 to)
{
	LinkLists  *lists = &state->lists;

	for (; from < to; from++)
	{
		uint32		target = state->targets[from];
		uint64	   *edges = state->edges + state->first_edge[from];
		uint32		n_edges = state->first_edge[from + 1] - state->first_edge[from];
		uint32		n_new = 0;
		uint32		i;

		link_prefetch_targets(state, from, to);
		/* batch mates may have chosen each other */
		for (i = 0; i < n_edges; i++)
		{
			if (!link_exists(state, target, omen_packed_node(edges[i])))
				edges[n_new++] = edges[i];
		}
		if (lists->n_links[target] + n_new > lists->max_links)
			link_prune(state, worker, target, edges, n_new);
		else
		{
			for (i = 0; i < n_new; i++)
				link_append(lists, target, omen_packed_node(edges[i]),
							omen_packed_key(edges[i]));
		}
		if (from % 64 == 0)
			state->host->tick(state->host->arg, state->n_in);
	}
}

/* ---------- batches ---------- */

/* Insert the nodes order[0 .. n), packed words whose node counts. */
static void
link_insert_batch(LinkState *state, const uint64 *order, uint32 n)
{
	uint32		i;

	for (i = 0; i < n; i++)
		state->batch[i] = (uint32) order[i];
	state->n_batch = n;

	link_search_batch(state, &state->worker, 0, n);
	link_store_forward(state, 0, n);
	link_group_reverse(state);
	link_apply_reverse(state, &state->worker, 0, state->n_targets);

	for (i = 0; i < n; i++)
		state->inserted[state->batch[i] / 64] |= UINT64CONST(1) << (state->batch[i] % 64);
	state->n_in += n;
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

/*
 * The order of insertion: hash and node number in each word, the samples (in
 * their own order) first.
 */
static uint64 *
link_make_order(LinkState *state)
{
	uint32		n = state->records->n;
	const OmenRouting *routing = state->routing;
	uint64	   *order = link_alloc(state, sizeof(uint64) * n);
	uint64	   *others = order + routing->n_samples;
	uint32		sample = 0;
	uint32		n_others = 0;
	uint32		node;

	for (node = 0; node < n; node++)
	{
		uint64		word = ((uint64) link_hash(node) << 32) | node;

		if (sample < routing->n_samples && routing->sample_nodes[sample] == node)
			order[sample++] = word;
		else
			others[n_others++] = word;
	}
	omen_packed_sort(order, sample);
	omen_packed_sort(others, n_others);
	return order;
}

/* A batch's order is by number: clear the hashes, then sort. */
static void
link_sort_batch(uint64 *order, uint32 n)
{
	uint32		i;

	for (i = 0; i < n; i++)
		order[i] = (uint32) order[i];
	omen_packed_sort(order, n);
}

static uint32
link_batch_size(uint32 n_in)
{
	return Max((uint32) ((uint64) n_in * BATCH_PERCENT / 100), 1);
}

static void
link_insert_all(LinkState *state)
{
	uint32		n = state->records->n;
	uint64	   *order = link_make_order(state);

	while (state->n_in < n)
	{
		uint32		n_batch = Min(link_batch_size(state->n_in), n - state->n_in);

		link_sort_batch(order + state->n_in, n_batch);
		link_insert_batch(state, order + state->n_in, n_batch);
	}
	link_release(state, order);
}

/* ---------- the whole ---------- */

static void
worker_begin(LinkState *state, LinkWorker *worker)
{
	int			i;

	worker->max_candidates = Max(state->ef + 2 * BATCH_MATES,
								 state->lists.max_links + REVERSE_CANDIDATES);
	worker->candidates = link_alloc(state, sizeof(uint64) * worker->max_candidates);
	worker->chosen = link_alloc(state, sizeof(uint64) * OMEN_MAX_LINKS);
	worker->selector = omen_selector_create(state->host, state->records,
											worker->max_candidates);
	for (i = 0; i < SEARCH_GROUP; i++)
	{
		LinkSearch *s = &worker->group[i];

		s->query = link_alloc(state, state->records->codec->query_bytes);
		s->search = omen_search_create(state->host);
		omen_array_source_init(&s->source, state->records, state->lists.links,
							   state->lists.max_links, s->query);
	}
}

static void
worker_end(LinkState *state, LinkWorker *worker)
{
	int			i;

	link_release(state, worker->candidates);
	link_release(state, worker->chosen);
	omen_selector_destroy(worker->selector);
	for (i = 0; i < SEARCH_GROUP; i++)
	{
		link_release(state, worker->group[i].query);
		omen_search_destroy(worker->group[i].search);
	}
}

/* Allocate and zero. */
static void *
link_alloc0(LinkState *state, size_t bytes)
{
	void	   *memory = link_alloc(state, bytes);

	memset(memory, 0, bytes);
	return memory;
}

static void
link_begin(LinkState *state, const OmenHost *host, const OmenRecords *records,
		   const OmenRouting *routing, const OmenGraphParams *params, uint32 *links)
{
	uint32		n = records->n;
	uint32		max_links = 2 * params->m;
	uint32		max_batch = link_batch_size(n);
	uint32		max_edges = max_batch * params->m;

	memset(state, 0, sizeof(*state));
	state->host = host;
	state->records = records;
	state->routing = routing;
	state->m = params->m;
	state->ef = params->ef_construction;

	state->lists.records = records;
	state->lists.max_links = max_links;
	state->lists.links = links;
	memset(links, 0xff, sizeof(uint32) * n * max_links);
	state->lists.keys = link_alloc(state, sizeof(float) * n * max_links);
	state->lists.n_links = link_alloc0(state, n + 1);
	state->lists.n_clean = link_alloc0(state, n + 1);
	state->inserted = link_alloc0(state, sizeof(uint64) * (n / 64 + 1));

	state->batch = link_alloc(state, sizeof(uint32) * max_batch);
	state->forward = link_alloc(state, sizeof(uint64) * max_edges);
	state->n_forward = link_alloc(state, max_batch);
	state->n_forward_clean = link_alloc(state, max_batch);
	state->target_count = link_alloc0(state, sizeof(uint32) * (n + 1));
	state->targets = link_alloc(state, sizeof(uint32) * max_edges);
	state->first_edge = link_alloc(state, sizeof(uint32) * (max_edges + 1));
	state->edges = link_alloc(state, sizeof(uint64) * max_edges);
	worker_begin(state, &state->worker);
}

static void
link_end(LinkState *state)
{
	worker_end(state, &state->worker);
	link_release(state, state->lists.keys);
	link_release(state, state->lists.n_links);
	link_release(state, state->lists.n_clean);
	link_release(state, state->inserted);
	link_release(state, state->batch);
	link_release(state, state->forward);
	link_release(state, state->n_forward);
	link_release(state, state->n_forward_clean);
	link_release(state, state->target_count);
	link_release(state, state->targets);
	link_release(state, state->first_edge);
	link_release(state, state->edges);
}

void
omen_graph_link(const OmenHost *host, const OmenRecords *records,
				const OmenRouting *routing, const OmenGraphParams *params,
				uint32 *links)
{
	LinkState	state;

	if (records->n == 0)
		return;
	link_begin(&state, host, records, routing, params, links);
	link_insert_all(&state);
	omen_graph_reach(host, &state.lists, routing, state.ef);
	link_end(&state);
}

size_t
omen_graph_link_bytes(const OmenCodec *codec, const OmenGraphParams *params)
{
	size_t		per_batch_edge = 2 * sizeof(uint64) + 2 * sizeof(uint32);
	size_t		batch = params->m * per_batch_edge * BATCH_PERCENT / 100;
	size_t		terms = codec->code_term ? OMEN_TERM_NODES * sizeof(uint32) : 0;

	/* keys; the order of insertion; counts and lengths; the batch; the table of terms */
	return 2 * params->m * sizeof(float) + sizeof(uint64) + 2 * sizeof(uint32) + batch + terms;
}
