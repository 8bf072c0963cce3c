/*-------------------------------------------------------------------------
 *
 * kernel_half_avx2.c
 *	  Half-precision kernels for x86-64 CPUs with AVX2, FMA and F16C.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_half.h"
#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define F16C		OMEN_TARGET("avx2,fma,f16c")

#define FLOATS 8				/* in a register */

F16C static inline __m256
load(const OmenHalf *x)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) x));
}

/* The first k < FLOATS elements, then zeros. */
F16C static inline __m256
load_first(const OmenHalf *x, uint32 k)
{
	OmenHalf	padded[FLOATS] = {0};

	for (uint32 i = 0; i < k; i++)
		padded[i] = x[i];
	return load(padded);
}

F16C static inline float
fold(__m256 sum)
{
	__m128		four = _mm_add_ps(_mm256_castps256_ps128(sum),
								  _mm256_extractf128_ps(sum, 1));
	__m128		two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

F16C static inline __m256
add_l2_terms(__m256 sum, __m256 a, __m256 b)
{
	__m256		difference = _mm256_sub_ps(a, b);

	return _mm256_fmadd_ps(difference, difference, sum);
}

F16C static inline __m256
add_products(__m256 sum, __m256 a, __m256 b)
{
	return _mm256_fmadd_ps(a, b, sum);
}

F16C static inline __m256
add_l1_terms(__m256 sum, __m256 a, __m256 b)
{
	return _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0f),
											   _mm256_sub_ps(a, b)));
}

/* The loop around one of the add_… functions above. */
#define DEFINE_KERNEL(name, add_terms) \
F16C static float \
name(const OmenHalf *a, const OmenHalf *b, uint32 n) \
{ \
	__m256		sum0 = _mm256_setzero_ps(); \
	__m256		sum1 = _mm256_setzero_ps(); \
	__m256		sum2 = _mm256_setzero_ps(); \
	__m256		sum3 = _mm256_setzero_ps(); \
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
	return fold(_mm256_add_ps(_mm256_add_ps(sum0, sum1), \
							  _mm256_add_ps(sum2, sum3))); \
}

DEFINE_KERNEL(f16c_l2_squared, add_l2_terms)
DEFINE_KERNEL(f16c_inner_product, add_products)
DEFINE_KERNEL(f16c_l1, add_l1_terms)

F16C static void
f16c_cosine_terms(const OmenHalf *a, const OmenHalf *b, uint32 n,
				  float *ab, float *aa, float *bb)
{
	__m256		sum_ab[2];
	__m256		sum_aa[2];
	__m256		sum_bb[2];

	for (int k = 0; k < 2; k++)
		sum_ab[k] = sum_aa[k] = sum_bb[k] = _mm256_setzero_ps();

	for (; n >= 2 * FLOATS; n -= 2 * FLOATS)
	{
		for (int k = 0; k < 2; k++)
		{
			__m256		x = load(a + k * FLOATS);
			__m256		y = load(b + k * FLOATS);

			sum_ab[k] = _mm256_fmadd_ps(x, y, sum_ab[k]);
			sum_aa[k] = _mm256_fmadd_ps(x, x, sum_aa[k]);
			sum_bb[k] = _mm256_fmadd_ps(y, y, sum_bb[k]);
		}
		a += 2 * FLOATS;
		b += 2 * FLOATS;
	}
	for (int k = 0; n > 0; k++)
	{
		uint32		step = Min(n, FLOATS);
		__m256		x = step == FLOATS ? load(a) : load_first(a, step);
		__m256		y = step == FLOATS ? load(b) : load_first(b, step);

		sum_ab[k] = _mm256_fmadd_ps(x, y, sum_ab[k]);
		sum_aa[k] = _mm256_fmadd_ps(x, x, sum_aa[k]);
		sum_bb[k] = _mm256_fmadd_ps(y, y, sum_bb[k]);
		a += step;
		b += step;
		n -= step;
	}
	*ab = fold(_mm256_add_ps(sum_ab[0], sum_ab[1]));
	*aa = fold(_mm256_add_ps(sum_aa[0], sum_aa[1]));
	*bb = fold(_mm256_add_ps(sum_bb[0], sum_bb[1]));
}

F16C static void
f16c_widen(const OmenHalf *from, float *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		_mm256_storeu_ps(to + i, load(from + i));
	for (; i < n; i++)
		to[i] = omen_half_to_float(from[i]);
}

F16C static void
f16c_narrow(const float *from, OmenHalf *to, uint32 n)
{
	uint32		i = 0;

	for (; i + FLOATS <= n; i += FLOATS)
		_mm_storeu_si128((__m128i *) (to + i),
						 _mm256_cvtps_ph(_mm256_loadu_ps(from + i),
										 _MM_FROUND_TO_NEAREST_INT));
	for (; i < n; i++)
		to[i] = omen_float_to_half(from[i]);
}

const OmenHalfKernels omen_half_kernels_avx2 = {
	.l2_squared = f16c_l2_squared,
	.inner_product = f16c_inner_product,
	.l1 = f16c_l1,
	.cosine_terms = f16c_cosine_terms,
	.widen = f16c_widen,
	.narrow = f16c_narrow
};

#endif							/* OMEN_HAVE_X86_KERNELS */
