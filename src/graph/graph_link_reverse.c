/*-------------------------------------------------------------------------
 *
 * graph_link_reverse.c
 *	  Phases 2 and 3 of a batch: its links grouped by target, and taken in.
 *
 * See graph_build.c.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_link_state.h"

/* A team claims so many targets at a time. */
#define TARGET_PIECE 32

/* The lists of targets are asked for so many targets ahead. */
#define PREFETCH_TARGETS 4

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
void
omen_link_group_reverse(LinkState *state)
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
void
omen_link_apply_reverse(LinkState *state)
{
	int			n_members = state->team->n_members;
	int			i;

	for (i = 0; i < n_members; i++)
		link_apply_grouped(state, (state->team->member + i) % n_members);
}
