/*-------------------------------------------------------------------------
 *
 * kernel_half_neon.c
 *	  Half-precision kernels for 64-bit ARM.
 *
 * The conversions are part of every such CPU; the arithmetic on halves that
 * newer ones have is not used, for sums of halves lose digits and overflow.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_half.h"
#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_NEON_KERNELS

#include <arm_neon.h>

#define FLOATS 4				/* in a register */

static inline float32x4_t
load(const OmenHalf *x)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

/* The first k < FLOATS elements, then zeros. */
static inline float32x4_t
load_first(const OmenHalf *x, uint32 k)
{
	OmenHalf	padded[FLOATS] = {0};

	for (uint32 i = 0; i < k; i++)
		padded[i] = x[i];
	return load(padded);
}

static inline float32x4_t
add_l2_terms(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	float32x4_t difference = vsubq_f32(a, b);

	return vfmaq_f32(sum, difference, difference);
}

static inline float32x4_t
add_products(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	return vfmaq_f32(sum, a, b);
}

static inline float32x4_t
add_l1_terms(float32x4_t sum, float32x4_t a, float32x4_t b)
{
	return vaddq_f32(sum, vabdq_f32(a, b));
}

/* The loop around one of the add_… functions above. */
#define DEFINE_KERNEL(name, add_terms) \
static float \
name(const OmenHalf *a, const OmenHalf *b, uint32 n) \
{ \
	float32x4_t sum0 = vdupq_n_f32(0); \
	float32x4_t sum1 = vdupq_n_f32(0); \
	float32x4_t sum2 = vdupq_n_f32(0); \
	float32x4_t sum3 = vdupq_n_f32(0); \
	\
	for (; n >= 4 * FLOATS; n -= 4 * FLOATS) \
	{ \
		sum0 = add_terms(sum0, load(a), load(b)); \
		sum1 = add_terms(sum1, load(a + FLOATS), load(b + FLOATS)); \
		sum2 = add_terms(sum2, load(a + 2 * FLOATS), load(b + 2 * FLOATS)); \
		sum3 = add_terms(sum3, load(a + 3 * FLOATS), load(b + 3 * FLOATS)); \
		a += 4 * FLOATS; \
		b += 4 * FLOATS; \
	} \
	for (; n >= FLOATS; n -= FLOATS) \
	{ \
		sum0 = add_terms(sum0, load(a), load(b)); \
		a += FLOATS; \
		b += FLOATS; \
	} \
	if (n > 0) \
		sum1 = add_terms(sum1, load_first(a, n), load_first(b, n)); \
	return vaddvq_f32(vaddq_f32(vaddq_f32(sum0, sum1), vaddq_f32(sum2, sum3))); \
}

DEFINE_KERNEL(neon_half_l2_squared, add_l2_terms)
DEFINE_KERNEL(neon_half_inner_product, add_products)
DEFINE_KERNEL(neon_half_l1, add_l1_terms)

static void
neon_half_cosine_terms(const OmenHalf *a, const OmenHalf *b, uint32 n,
					   float *ab, float *aa, float *bb)
{
	float32x4_t sum_ab[2];
	float32x4_t sum_aa[2];
	float32x4_t sum_bb[2];

	for (int k = 0; k < 2; k++)
		sum_ab[k] = sum_aa[k] = sum_bb[k] = vdupq_n_f32(0);

	for (int k = 0; n > 0; k = 1 - k)
	{
		uint32		step = Min(n, FLOATS);
		float32x4_t x = step == FLOATS ? load(a) : load_first(a, step);
		float32x4_t y = step == FLOATS ? load(b) : load_first(b, step);

		sum_ab[k] = vfmaq_f32(sum_ab[k], x, y);
		sum_aa[k] = vfmaq_f32(sum_aa[k], x, x);
		sum_bb[k] = vfmaq_f32(sum_bb[k], y, y);
		a += step;
		b += step;
		n -= step;
	}
	*ab = vaddvq_f32(vaddq_f32(sum_ab[0], sum_ab[1]));
	*aa = vaddvq_f32(vaddq_f32(sum_aa[0], sum_aa[1]));
	*bb = vaddvq_f32(vaddq_f32(sum_bb[0], sum_bb[1]));
}

static void
neon_half_widen(const OmenHalf *from, float *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		vst1q_f32(to + i, load(from + i));
	for (; i < n; i++)
		to[i] = omen_half_to_float(from[i]);
}

static void
neon_half_narrow(const float *from, OmenHalf *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		vst1_u16(to + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(from + i))));
	for (; i < n; i++)
		to[i] = omen_float_to_half(from[i]);
}

const OmenHalfKernels omen_half_kernels_neon = {
	.l2_squared = neon_half_l2_squared,
	.inner_product = neon_half_inner_product,
	.l1 = neon_half_l1,
	.cosine_terms = neon_half_cosine_terms,
	.widen = neon_half_widen,
	.narrow = neon_half_narrow
};

#endif							/* OMEN_HAVE_NEON_KERNELS */
