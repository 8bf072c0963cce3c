/*-------------------------------------------------------------------------
 *
 * test_random.h
 *	  Numbers without pattern, the same in every run (a linear congruence).
 *
 * A test that needs the same numbers again sets random_state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_RANDOM_H
#define TEST_RANDOM_H

#include "c.h"

#define RANDOM_SEED UINT64CONST(0x9e3779b97f4a7c15)

static uint64 random_state = RANDOM_SEED;

/* 0 .. 2^31 - 1 */
static inline uint32
next_random(void)
{
	random_state = random_state * UINT64CONST(6364136223846793005) + 1442695040888963407;
	return (uint32) (random_state >> 33);
}

/* Between 0 and 1, neither of which it is. */
static inline double
next_uniform(void)
{
	return (next_random() + 0.5) / 2147483648.0;
}

/* -1 .. 1 */
static inline double
next_signed(void)
{
	return (double) next_random() / 0x3fffffff - 1.0;
}

/* The sum of n of them: roughly normal from 3 on. */
static inline double
next_sum(int n)
{
	double		sum = 0;

	while (n-- > 0)
		sum += next_signed();
	return sum;
}

#endif							/* TEST_RANDOM_H */
