/*-------------------------------------------------------------------------
 *
 * candidate_pool.h
 *	  Candidates of an exhaustive scan, to be taken smallest first in parts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_CANDIDATE_POOL_H
#define OMEN_CANDIDATE_POOL_H

#include "postgres.h"

#include "src/graph/graph_search.h"

typedef struct OmenPool
{
	OmenCandidate *candidates;
	uint32		n;
	uint32		n_taken;
	uint32		capacity;
} OmenPool;

/* How many have not been taken. */
static inline uint32
omen_pool_left(const OmenPool *pool)
{
	return pool->n - pool->n_taken;
}

extern void omen_pool_reserve(OmenPool *pool, uint32 n);

/* Add a candidate; memory comes from the current context. */
static inline void
omen_pool_add(OmenPool *pool, float key, uint32 number)
{
	if (unlikely(pool->n == pool->capacity))
		omen_pool_reserve(pool, 1);
	pool->candidates[pool->n].key = key;
	pool->candidates[pool->n].node = number;
	pool->n++;
}

/*
 * The next n smallest of the candidates with keys up to bound, in any order;
 * returns how many there were.  Up to *horizon all have been taken now, which
 * is INFINITY if none are left.
 */
extern int	omen_pool_take(OmenPool *pool, uint32 n, float bound,
						   const OmenCandidate **taken, float *horizon);

#endif							/* OMEN_CANDIDATE_POOL_H */
