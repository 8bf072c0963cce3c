/*-------------------------------------------------------------------------
 *
 * kernel_half_scalar.c
 *	  Half-precision kernels for every machine: the definition of the others.
 *
 * Four sums side by side, so that an addition need not wait for the one
 * before it.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>

#include "src/kernels/kernel_half.h"

#define SUMS 4

/* The loop around one term x, y -> term. */
#define DEFINE_KERNEL(name, term) \
static float \
name(const OmenHalf *a, const OmenHalf *b, uint32 n) \
{ \
	float		sums[SUMS] = {0}; \
	uint32		i = 0; \
	\
	for (; i + SUMS <= n; i += SUMS) \
	{ \
		for (int k = 0; k < SUMS; k++) \
		{ \
			float		x = omen_half_to_float(a[i + k]); \
			float		y = omen_half_to_float(b[i + k]); \
			\
			sums[k] += term; \
		} \
	} \
	for (; i < n; i++) \
	{ \
		float		x = omen_half_to_float(a[i]); \
		float		y = omen_half_to_float(b[i]); \
		\
		sums[0] += term; \
	} \
	return (sums[0] + sums[1]) + (sums[2] + sums[3]); \
}

DEFINE_KERNEL(half_l2_squared, (x - y) * (x - y))
DEFINE_KERNEL(half_inner_product, x * y)
DEFINE_KERNEL(half_l1, fabsf(x - y))

static void
half_cosine_terms(const OmenHalf *a, const OmenHalf *b, uint32 n,
				  float *ab, float *aa, float *bb)
{
	*ab = half_inner_product(a, b, n);
	*aa = half_inner_product(a, a, n);
	*bb = half_inner_product(b, b, n);
}

static void
half_widen(const OmenHalf *from, float *to, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
		to[i] = omen_half_to_float(from[i]);
}

static void
half_narrow(const float *from, OmenHalf *to, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
		to[i] = omen_float_to_half(from[i]);
}

const OmenHalfKernels omen_half_kernels_scalar = {
	.l2_squared = half_l2_squared,
	.inner_product = half_inner_product,
	.l1 = half_l1,
	.cosine_terms = half_cosine_terms,
	.widen = half_widen,
	.narrow = half_narrow
};
