/*-------------------------------------------------------------------------
 *
 * graph_build.c
 *	  Link the nodes: batches of searches, then batches of reverse edges.
 *
 * After Dobson et al., "ParlayANN" (2024): the nodes are inserted in batches
 * of BATCH_PERCENT of what is in.  A batch goes through phases, each of which
 * reads what earlier phases have written and writes only what is its own:
 *
 *	 1. omen_link_search_batch: each node of the batch searches the graph as it
 *		was before the batch, and chooses its neighbours (forward list).  As
 *		nothing leads to these nodes yet, their lists can be written at once.
 *	 2. omen_link_group_reverse: forward links are grouped by target.
 *	 3. omen_link_apply_reverse: each target takes in its new neighbours, once.
 *
 * The members of a team claim ranges of the batch (1), have each a part of the
 * nodes whose targets they group (2), and claim ranges of targets (3).
 * Whoever does it, a node's links depend on the phase before alone; batch
 * bounds depend on counts alone.  The first, small batches are not worth the
 * barriers: member 0 does them.
 *
 * graph_link_order.c says in which order, graph_link_forward.c has phase 1 and
 * graph_link_reverse.c phases 2 and 3; here is the whole.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_build.h"

#include "src/graph/graph_array.h"
#include "src/graph/graph_lifted.h"
#include "src/graph/graph_link_state.h"
#include "src/graph/graph_terms.h"

/* Batches below this are done by one member. */
#define TEAM_BATCH 64

/* One link in so many nodes, displaced to reach others, makes the recall measured void. */
#define MUCH_CHANGED 100

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
	uint32		n = state->records->n;
	uint32		calibrate_at = n - omen_calibrate_queries(n, n - state->n_carried);

	for (; from < to; from++)
	{
		state->n_in = state->n_carried + state->batch_starts[from];
		state->batch = state->order + state->batch_starts[from];
		state->n_batch = state->batch_starts[from + 1] - state->batch_starts[from];
		if (state->n_in == calibrate_at)
			link_calibrate(state);

		omen_link_search_batch(state);
		link_barrier(state);
		if (omen_team_leads(state->team))
			link_mark_inserted(state);
		omen_link_group_reverse(state);
		link_barrier(state);
		omen_link_apply_reverse(state);
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

	state->n_batches = omen_link_batch_starts(state->n_carried, n, NULL);
	state->batch_starts = link_alloc(state, sizeof(uint32) * (state->n_batches + 1));
	omen_link_batch_starts(state->n_carried, n, state->batch_starts);
	state->order = link_share(state, sizeof(uint32) * (n - state->n_carried));
}

static void
link_begin(LinkState *state, uint32 *links)
{
	const OmenTeam *team = state->team;
	uint32		n = state->records->n;
	uint32		max_edges = omen_link_batch_size(n) * state->m;

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
	omen_link_make_order(&state);
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
