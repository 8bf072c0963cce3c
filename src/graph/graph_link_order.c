/*-------------------------------------------------------------------------
 *
 * graph_link_order.c
 *	  The order in which nodes are linked, and the bounds of its batches.
 *
 * The samples of the routing table come first, then all others, both in order
 * of a hash of their number.  Within a batch, the order is that of the numbers,
 * so that searches that run together walk through the same memory, and
 * neighbours in the batch are near each other: these batch mates, which a
 * search of the frozen graph cannot find, are candidates too.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_candidate.h"
#include "src/graph/graph_link_state.h"

uint32
omen_link_batch_size(uint32 n_in)
{
	return Max((uint32) ((uint64) n_in * BATCH_PERCENT / 100), 1);
}

/*
 * Where in the order of insertion batches begin, if starts is not NULL;
 * returns how many there are.
 */
uint32
omen_link_batch_starts(uint32 n_carried, uint32 n, uint32 *starts)
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
		n_in += Min(omen_link_batch_size(n_in), end - n_in);
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
void
omen_link_make_order(LinkState *state)
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
