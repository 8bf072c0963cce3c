/*-------------------------------------------------------------------------
 *
 * candidate_pool.c
 *	  Candidates of an exhaustive scan, to be taken smallest first in parts.
 *
 * A query wants the best few of thousands; sorting them all would cost more
 * than computing their distances.  Taking partitions instead (quickselect,
 * Hoare 1961), in linear time.
 *
 *-------------------------------------------------------------------------
 */
#include "src/am/candidate_pool.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"

/* Of so many candidates, more than 8 times as many, a bound is learnt. */
#define SAMPLE 128
#define MAX_SAMPLE_PLACE 32

/* Have room for n candidates more; memory comes from the current context. */
void
omen_pool_reserve(OmenPool *pool, uint32 n)
{
	uint32		wanted = pool->n + n;

	if (wanted <= pool->capacity)
		return;
	pool->capacity = Max(Max(wanted, 256), pool->capacity * 2);
	if (pool->candidates == NULL)
		pool->candidates = palloc_extended(pool->capacity * sizeof(OmenCandidate), MCXT_ALLOC_HUGE);
	else
		pool->candidates = repalloc_huge(pool->candidates,
										 pool->capacity * sizeof(OmenCandidate));
}

static inline bool
precedes(const OmenCandidate *a, const OmenCandidate *b)
{
	return a->key < b->key || (a->key == b->key && a->node < b->node);
}

static inline void
swap(OmenCandidate *a, OmenCandidate *b)
{
	OmenCandidate t = *a;

	*a = *b;
	*b = t;
}

/* Bring the k smallest of c[0 .. n) to the front, in any order; 0 < k < n. */
static void
select_smallest(OmenCandidate *c, uint32 n, uint32 k)
{
	uint32		low = 0;
	uint32		high = n;		/* the k-th boundary lies in (low, high) */

	while (high - low > 1)
	{
		uint32		middle = low + (high - low) / 2;
		uint32		store = low;

		/* median of three as pivot, put last */
		if (precedes(&c[middle], &c[low]))
			swap(&c[middle], &c[low]);
		if (precedes(&c[high - 1], &c[low]))
			swap(&c[high - 1], &c[low]);
		if (precedes(&c[middle], &c[high - 1]))
			swap(&c[middle], &c[high - 1]);
		for (uint32 i = low; i < high - 1; i++)
			if (precedes(&c[i], &c[high - 1]))
				swap(&c[i], &c[store++]);
		swap(&c[store], &c[high - 1]);

		if (store == k || store + 1 == k)
			return;
		if (store > k)
			high = store;
		else
			low = store + 1;
		CHECK_FOR_INTERRUPTS();
	}
}

/* Bring the candidates with keys up to bound to the front; returns how many there are. */
static uint32
select_within(OmenCandidate *c, uint32 n, float bound)
{
	uint32		n_within = 0;

	/* no branch: which way a candidate goes is not predictable */
	for (uint32 i = 0; i < n; i++)
	{
		OmenCandidate candidate = c[i];

		c[i] = c[n_within];
		c[n_within] = candidate;
		n_within += candidate.key <= bound;
	}
	return n_within;
}

/*
 * Of many candidates, leave out most of those that are not among the k
 * smallest: bring those with keys up to some bound to the front, and return how
 * many there are.  The bound is the key in a sample that should have twice as
 * many before it as are wanted; a few more make up for chance.
 */
static uint32
select_likely(OmenCandidate *c, uint32 n, uint32 k)
{
	float		least[MAX_SAMPLE_PLACE];
	uint32		place = (uint64) SAMPLE * 2 * k / n + 4;
	uint32		n_likely = 0;

	if (n < SAMPLE * 8 || place > MAX_SAMPLE_PLACE)
		return n;
	for (uint32 i = 0; i < place; i++)
		least[i] = INFINITY;
	for (uint32 i = 0; i < SAMPLE; i++)
	{
		float		key = c[(uint64) i * n / SAMPLE].key;
		uint32		at;

		if (key >= least[place - 1])
			continue;
		for (at = place - 1; at > 0 && least[at - 1] > key; at--)
			least[at] = least[at - 1];
		least[at] = key;
	}
	/* a branch, for few have such keys */
	for (uint32 i = 0; i < n; i++)
		if (c[i].key <= least[place - 1])
			swap(&c[i], &c[n_likely++]);
	return n_likely < k ? n : n_likely;
}

int
omen_pool_take(OmenPool *pool, uint32 n, float bound, const OmenCandidate **taken, float *horizon)
{
	uint32		left = pool->n - pool->n_taken;
	OmenCandidate *rest = pool->candidates + pool->n_taken;
	uint32		n_within = left;

	*taken = rest;
	*horizon = INFINITY;
	if (bound < INFINITY)
	{
		n_within = select_within(rest, left, bound);
		if (n_within < left)
			*horizon = bound;
	}
	if (n < n_within)
	{
		uint32		n_likely = select_likely(rest, n_within, n);

		if (n < n_likely)
			select_smallest(rest, n_likely, n);
		*horizon = -INFINITY;
		for (uint32 i = 0; i < n; i++)
			*horizon = Max(*horizon, rest[i].key);
		*horizon = Min(*horizon, FLT_MAX);	/* keys may be infinite, but some are left */
	}
	n = Min(n, n_within);
	pool->n_taken += n;
	return n;
}
