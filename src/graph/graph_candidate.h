/*-------------------------------------------------------------------------
 *
 * graph_candidate.h
 *	  A node with its key in one 64-bit word, private to the graph folder.
 *
 * The upper half is the key, its bits mapped so that unsigned order is the
 * order of the floats; the lower half is the node number, shifted left by
 * one, and a flag.  So plain comparison of words sorts by key, ties by node
 * number, and the flag (the search: "expanded") travels along for nothing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_CANDIDATE_H
#define OMEN_GRAPH_CANDIDATE_H

#include "src/graph/graph_search.h"

/* No candidate: greater than every other word, and flagged. */
#define OMEN_PACKED_NONE PG_UINT64_MAX

#define OMEN_PACKED_FLAG UINT64CONST(1)

/* The key's half of a word. */
static inline uint32
omen_packed_key_bits(float key)
{
	union
	{
		float		f;
		uint32		bits;
	}			value;
	uint32		sign;

	value.f = key + 0.0f;		/* -0 would sort below 0 */
	sign = (uint32) ((int32) value.bits >> 31);
	return value.bits ^ (sign | 0x80000000U);
}

static inline uint64
omen_packed_make(float key, uint32 node)
{
	return ((uint64) omen_packed_key_bits(key) << 32) | ((uint64) node << 1);
}

static inline uint32
omen_packed_node(uint64 packed)
{
	return (uint32) packed >> 1;
}

static inline float
omen_packed_key(uint64 packed)
{
	union
	{
		float		f;
		uint32		bits;
	}			value;
	uint32		bits = (uint32) (packed >> 32);
	uint32		negative = (uint32) ((int32) ~bits >> 31);

	value.bits = bits ^ (negative | 0x80000000U);
	return value.f;
}

/* Ascending. */
extern void omen_packed_sort(uint64 *packed, size_t n);

/* Plain numbers. */
extern void omen_nodes_sort(uint32 *nodes, size_t n);

/* The same as omen_packed_sort, for arrays that consist of few sorted stretches. */
extern void omen_packed_sort_runs(uint64 *packed, size_t n);

/* Merge n_more sorted words into n sorted ones, which have room for them. */
extern void omen_packed_merge(uint64 *packed, size_t n, const uint64 *more, size_t n_more);

/* Rearrange so that the k least come first, in no order; k <= n. */
extern void omen_packed_select(uint64 *packed, size_t n, size_t k);

#endif							/* OMEN_GRAPH_CANDIDATE_H */
