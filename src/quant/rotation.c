/*-------------------------------------------------------------------------
 *
 * rotation.c
 *	  A fixed pseudo-random rotation in n log n steps.
 *
 * Signs are flipped and a Hadamard transform is applied, several times over
 * (Ailon & Chazelle, "The fast Johnson-Lindenstrauss transform", 2009).  The
 * transform is for powers of two: where n is none, one is applied to the first
 * components and one to the last, each the largest that fits, and what they
 * have in common mixes.  So n components stay n components.
 *
 * The signs follow from their place alone: the rotation is part of the
 * on-disk format.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/rotation.h"

#include <math.h>

#include "src/kernels/kernels.h"

#define N_ROUNDS 3				/* two leave structure in: measurably worse than a random rotation */

/* 64 random bits from a number (splitmix64). */
static uint64
random_bits(uint64 state)
{
	state = (state + 1) * UINT64CONST(0x9e3779b97f4a7c15);
	state = (state ^ (state >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	state = (state ^ (state >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return state ^ (state >> 31);
}

/* Multiply each component by `scale` or its negative. */
static void
flip_signs(float *x, uint32 n, uint64 round, float scale)
{
	for (uint32 from = 0; from < n; from += 64)
	{
		uint64		bits = random_bits(round << 32 | from / 64);
		uint32		n_bits = Min(n - from, 64);

		for (uint32 i = 0; i < n_bits; i++)
			x[from + i] *= (bits >> i & 1) ? -scale : scale;
	}
}

void
omen_rotate(float *x, uint32 n)
{
	uint32		size = 1;
	float		scale;

	while (size <= n / 2)
		size *= 2;
	scale = (float) (1.0 / sqrt(size));
	for (int round = 0; round < N_ROUNDS; round++)
	{
		flip_signs(x, size, 2 * round, scale);
		omen_kernels->sketch->hadamard(x, size);
		if (size < n)
		{
			flip_signs(x + n - size, size, 2 * round + 1, scale);
			omen_kernels->sketch->hadamard(x + n - size, size);
		}
	}
}
