/*-------------------------------------------------------------------------
 *
 * kernel_half_avx512.c
 *	  Half-precision kernels for x86-64 CPUs with AVX-512 F, BW and VL.
 *
 * The arithmetic of AVX-512 FP16 is not used: sums of halves lose digits and
 * overflow.  The conversion that AVX-512 F has is all that is wanted.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_half.h"
#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define AVX512		OMEN_TARGET("avx512f,avx512bw,avx512vl")

#define FLOATS 16				/* in a register */

AVX512 static inline __m512
load(const OmenHalf *x)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) x));
}

/* The first k < FLOATS elements, then zeros. */
AVX512 static inline __m512
load_first(const OmenHalf *x, uint32 k)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16((__mmask16) ((1U << k) - 1), x));
}

AVX512 static inline __m512
add_l2_terms(__m512 sum, __m512 a, __m512 b)
{
	__m512		difference = _mm512_sub_ps(a, b);

	return _mm512_fmadd_ps(difference, difference, sum);
}

AVX512 static inline __m512
add_products(__m512 sum, __m512 a, __m512 b)
{
	return _mm512_fmadd_ps(a, b, sum);
}

AVX512 static inline __m512
add_l1_terms(__m512 sum, __m512 a, __m512 b)
{
	return _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(a, b)));
}

/* The loop around one of the add_… functions above. */
#define DEFINE_KERNEL(name, add_terms) \
AVX512 static float \
name(const OmenHalf *a, const OmenHalf *b, uint32 n) \
{ \
	__m512		sum0 = _mm512_setzero_ps(); \
	__m512		sum1 = _mm512_setzero_ps(); \
	__m512		sum2 = _mm512_setzero_ps(); \
	__m512		sum3 = _mm512_setzero_ps(); \
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
	return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sum0, sum1), \
											  _mm512_add_ps(sum2, sum3))); \
}

DEFINE_KERNEL(avx512_half_l2_squared, add_l2_terms)
DEFINE_KERNEL(avx512_half_inner_product, add_products)
DEFINE_KERNEL(avx512_half_l1, add_l1_terms)

AVX512 static void
avx512_half_cosine_terms(const OmenHalf *a, const OmenHalf *b, uint32 n,
						 float *ab, float *aa, float *bb)
{
	__m512		sum_ab = _mm512_setzero_ps();
	__m512		sum_aa = _mm512_setzero_ps();
	__m512		sum_bb = _mm512_setzero_ps();

	while (n > 0)
	{
		uint32		step = Min(n, FLOATS);
		__m512		x = step == FLOATS ? load(a) : load_first(a, step);
		__m512		y = step == FLOATS ? load(b) : load_first(b, step);

		sum_ab = _mm512_fmadd_ps(x, y, sum_ab);
		sum_aa = _mm512_fmadd_ps(x, x, sum_aa);
		sum_bb = _mm512_fmadd_ps(y, y, sum_bb);
		a += step;
		b += step;
		n -= step;
	}
	*ab = _mm512_reduce_add_ps(sum_ab);
	*aa = _mm512_reduce_add_ps(sum_aa);
	*bb = _mm512_reduce_add_ps(sum_bb);
}

AVX512 static void
avx512_half_widen(const OmenHalf *from, float *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		_mm512_storeu_ps(to + i, load(from + i));
	for (; i < n; i++)
		to[i] = omen_half_to_float(from[i]);
}

AVX512 static void
avx512_half_narrow(const float *from, OmenHalf *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		_mm256_storeu_si256((__m256i *) (to + i),
							_mm512_cvtps_ph(_mm512_loadu_ps(from + i),
											_MM_FROUND_TO_NEAREST_INT));
	for (; i < n; i++)
		to[i] = omen_float_to_half(from[i]);
}

const OmenHalfKernels omen_half_kernels_avx512 = {
	.l2_squared = avx512_half_l2_squared,
	.inner_product = avx512_half_inner_product,
	.l1 = avx512_half_l1,
	.cosine_terms = avx512_half_cosine_terms,
	.widen = avx512_half_widen,
	.narrow = avx512_half_narrow
};

#endif							/* OMEN_HAVE_X86_KERNELS */
