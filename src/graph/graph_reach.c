/*-------------------------------------------------------------------------
 *
 * graph_reach.c
 *	  Make every node reachable from the routing table's samples.
 *
 * Pruning removes links one list at a time, so it may remove the last one
 * that led to a node.  Few nodes are lost that way, but a scan promises to
 * return every row in the end.  After the last batch, each lost node gets a
 * link from the nearest reachable node that can give one.  A giver with room
 * just appends it.  If none of those looked at has room, one gives up a link
 * that the flood has not used: the flood's own tree of links stays whole, so
 * nothing that has been reached is lost again.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

#include <math.h>

#include "src/graph/graph_array.h"
#include "src/graph/graph_link.h"

typedef struct ReachState
{
	const OmenHost *host;
	LinkLists  *lists;
	const OmenRouting *routing;
	uint8	   *reached;		/* per node */
	uint32	   *parent;			/* per node reached: whose link the flood came by */
	uint32	   *stack;
	uint32		n_stack;
	OmenQuery  *query;
	OmenSearch *search;
	OmenArraySource source;
	uint32		ef;
	uint32		n_done;
	uint32		n_displaced;	/* links given up */
} ReachState;

static void
reach_push(ReachState *state, uint32 node, uint32 parent)
{
	state->reached[node] = 1;
	state->parent[node] = parent;
	state->stack[state->n_stack++] = node;
}

/* Mark all that can be reached from the nodes on the stack. */
static void
reach_flood(ReachState *state)
{
	while (state->n_stack > 0)
	{
		uint32		node = state->stack[--state->n_stack];
		const uint32 *list = link_list(state->lists, node);
		uint32		i;

		for (i = 0; i < state->lists->n_links[node]; i++)
		{
			if (!state->reached[list[i]])
				reach_push(state, list[i], node);
		}
		if (++state->n_done % 4096 == 0)
			state->host->tick(state->host->arg, state->n_done);
	}
}

/*
 * Make a node link to a lost one; false if all its links are in use.  Of the
 * others, the last one goes: it is the least the selection wanted.
 */
static bool
reach_give_link(ReachState *state, uint32 giver, uint32 lost, float key)
{
	LinkLists  *lists = state->lists;
	uint32	   *list = link_list(lists, giver);
	uint32		i;

	if (lists->n_links[giver] < lists->max_links)
	{
		link_append(lists, giver, lost, key);
		return true;
	}
	for (i = lists->max_links; i > 0; i--)
	{
		if (state->parent[list[i - 1]] != giver)
		{
			list[i - 1] = lost;
			link_list_keys(lists, giver)[i - 1] = key;
			state->n_displaced++;
			return true;
		}
	}
	return false;
}

/* Search for the nodes nearest to a lost one among those reached. */
static int
reach_search(ReachState *state, uint32 lost, const OmenCandidate **found)
{
	const OmenRecords *records = state->lists->records;
	OmenCandidate seeds[OMEN_ROUTING_SEEDS];
	int			n_seeds;

	records->codec->query_from_code(records->codec, state->query,
									omen_records_factors(records, lost),
									omen_records_code(records, lost));
	n_seeds = omen_array_route(records, state->routing, state->query, seeds);
	omen_search_begin(state->search, &state->source.source, state->ef, INFINITY, false);
	omen_search_seed(state->search, seeds, n_seeds);
	while (!omen_search_run(state->search, 64))
		state->host->tick(state->host->arg, state->n_done);
	return omen_search_results(state->search, found);
}

/*
 * Link a lost node from the nearest that has room, else from the nearest that
 * has a link to spare, else from any that has.
 */
static void
reach_adopt(ReachState *state, uint32 lost)
{
	LinkLists  *lists = state->lists;
	const OmenCandidate *found;
	int			n = reach_search(state, lost, &found);
	uint32		giver;
	int			i;

	for (i = 0; i < n; i++)
	{
		giver = found[i].node;
		if (lists->n_links[giver] < lists->max_links &&
			reach_give_link(state, giver, lost, found[i].key))
		{
			reach_push(state, lost, giver);
			return;
		}
	}
	for (i = 0; i < n; i++)
	{
		giver = found[i].node;
		if (reach_give_link(state, giver, lost, found[i].key))
		{
			reach_push(state, lost, giver);
			return;
		}
	}
	for (giver = 0; giver < lists->records->n; giver++)
	{
		if (state->reached[giver] && reach_give_link(state, giver, lost, 0))
		{
			reach_push(state, lost, giver);
			return;
		}
	}
}

static void
reach_begin(ReachState *state, const OmenHost *host, LinkLists *lists,
			const OmenRouting *routing, uint32 ef)
{
	const OmenRecords *records = lists->records;
	uint32		n = records->n;
	uint32		i;

	memset(state, 0, sizeof(*state));
	state->host = host;
	state->lists = lists;
	state->routing = routing;
	state->ef = ef;
	state->reached = host->alloc(host->arg, n);
	memset(state->reached, 0, n);
	state->parent = host->alloc(host->arg, sizeof(uint32) * n);
	for (i = 0; i < n; i++)
		state->parent[i] = OMEN_NO_NODE;
	state->stack = host->alloc(host->arg, sizeof(uint32) * n);
	state->query = host->alloc(host->arg, records->codec->query_bytes);
	state->search = omen_search_create(host);
	omen_array_source_init(&state->source, records, lists->links, lists->max_links,
						   state->query);
}

static void
reach_end(ReachState *state)
{
	const OmenHost *host = state->host;

	host->release(host->arg, state->reached);
	host->release(host->arg, state->parent);
	host->release(host->arg, state->stack);
	host->release(host->arg, state->query);
	omen_search_destroy(state->search);
}

uint32
omen_graph_reach(const OmenHost *host, LinkLists *lists, const OmenRouting *routing,
				 uint32 ef)
{
	uint32		n = lists->records->n;
	ReachState	state;
	uint32		i;

	reach_begin(&state, host, lists, routing, ef);
	for (i = 0; i < routing->n_samples; i++)
	{
		if (!state.reached[routing->sample_nodes[i]])
			reach_push(&state, routing->sample_nodes[i], OMEN_NO_NODE);
	}
	reach_flood(&state);
	for (i = 0; i < n; i++)
	{
		if (state.reached[i])
			continue;
		reach_adopt(&state, i);
		reach_flood(&state);
	}
	reach_end(&state);
	return state.n_displaced;
}
