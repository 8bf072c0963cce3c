/*-------------------------------------------------------------------------
 *
 * graph_link_state.h
 *	  What a member keeps while it links the nodes; private to graph_build.c and
 *	  graph_link_*.c, which share the phases among them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_LINK_STATE_H
#define OMEN_GRAPH_LINK_STATE_H

#include "src/graph/graph_array.h"
#include "src/graph/graph_link.h"
#include "src/graph/graph_select.h"

/* A batch is so much of what is in. */
#define BATCH_PERCENT 2

/* Candidates from the batch itself: so many on each side. */
#define BATCH_MATES 8

/* Searches that run together. */
#define SEARCH_GROUP 2

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

/* The order of insertion (graph_link_order.c). */
extern uint32 omen_link_batch_size(uint32 n_in);
extern uint32 omen_link_batch_starts(uint32 n_carried, uint32 n, uint32 *starts);
extern void omen_link_make_order(LinkState *state);

/* The phases of a batch (graph_link_forward.c, graph_link_reverse.c). */
extern void omen_link_search_batch(LinkState *state);
extern void omen_link_group_reverse(LinkState *state);
extern void omen_link_apply_reverse(LinkState *state);

static inline void *
link_alloc(LinkState *state, size_t bytes)
{
	return state->team->host.alloc(state->team->host.arg, bytes);
}

static inline void
link_release(LinkState *state, void *pointer)
{
	state->team->host.release(state->team->host.arg, pointer);
}

static inline void
link_tick(LinkState *state, uint32 n_done)
{
	state->team->host.tick(state->team->host.arg, n_done);
}

static inline void *
link_share(LinkState *state, size_t bytes)
{
	return state->team->share(state->team->arg, bytes);
}

static inline void
link_unshare(LinkState *state, void *memory)
{
	state->team->unshare(state->team->arg, memory);
}

static inline void
link_barrier(LinkState *state)
{
	state->team->barrier(state->team->arg);
}

static inline bool
link_was_carried(const LinkState *state, uint32 node)
{
	return state->n_carried > 0 && state->input_order[node] < state->n_carried;
}

#endif							/* OMEN_GRAPH_LINK_STATE_H */
