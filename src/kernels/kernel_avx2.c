/*-------------------------------------------------------------------------
 *
 * kernel_avx2.c
 *	  The kernels for x86-64 CPUs with AVX2, FMA and F16C (2013 and later).
 *
 * Only the *_f32 functions may use fused multiply-add.  All others are
 * compiled for AVX2 alone, where the compiler has no such instruction to
 * contract a product and a sum into: so equal bits do not hang on a flag.
 *
 * Tails shorter than a vector are read under a mask, or from a padded copy;
 * nothing is read outside the arrays.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define AVX2		OMEN_TARGET("avx2")
#define AVX2_FMA	OMEN_TARGET("avx2,fma")

#define FLOATS 8				/* in a register */
#define BYTES 32

/*
 * A window of FLOATS values that begins at [FLOATS - k] selects the first k
 * elements; likewise in bytes, where the window beginning at [k] selects the
 * last k.
 */
static const int32 first_floats[2 * FLOATS] = {
	-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0
};

static const int8 last_bytes[2 * BYTES] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
};

AVX2 static inline __m256i
mask_of_first_floats(uint32 k)
{
	return _mm256_loadu_si256((const __m256i *) (first_floats + FLOATS - k));
}

/* Lane j takes in j + 4, then j + 2, then j + 1. */
AVX2 static inline float
fold_floats(__m256 sum)
{
	__m128		four = _mm_add_ps(_mm256_castps256_ps128(sum),
								  _mm256_extractf128_ps(sum, 1));
	__m128		two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	__m128		one = _mm_add_ss(two, _mm_movehdup_ps(two));

	return _mm_cvtss_f32(one);
}

AVX2 static inline __m256
absolute(__m256 x)
{
	return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* ----------------------------------------------------------------
 * Exact vectors.  Four sums at a time hide the latency of the
 * additions; the rest goes through one of them.
 * ----------------------------------------------------------------
 */

AVX2_FMA static inline __m256
add_l2_terms(__m256 sum, __m256 a, __m256 b)
{
	__m256		difference = _mm256_sub_ps(a, b);

	return _mm256_fmadd_ps(difference, difference, sum);
}

AVX2_FMA static inline __m256
add_products(__m256 sum, __m256 a, __m256 b)
{
	return _mm256_fmadd_ps(a, b, sum);
}

AVX2_FMA static inline __m256
add_l1_terms(__m256 sum, __m256 a, __m256 b)
{
	return _mm256_add_ps(sum, absolute(_mm256_sub_ps(a, b)));
}

/* The loop around one of the add_… functions above. */
#define DEFINE_F32_KERNEL(name, add_terms) \
AVX2_FMA static float \
name(const float *a, const float *b, uint32 n) \
{ \
	__m256		sum0 = _mm256_setzero_ps(); \
	__m256		sum1 = _mm256_setzero_ps(); \
	__m256		sum2 = _mm256_setzero_ps(); \
	__m256		sum3 = _mm256_setzero_ps(); \
	\
	for (; n >= 4 * FLOATS; n -= 4 * FLOATS) \
	{ \
		sum0 = add_terms(sum0, _mm256_loadu_ps(a), _mm256_loadu_ps(b)); \
		sum1 = add_terms(sum1, _mm256_loadu_ps(a + FLOATS), \
						 _mm256_loadu_ps(b + FLOATS)); \
		sum2 = add_terms(sum2, _mm256_loadu_ps(a + 2 * FLOATS), \
						 _mm256_loadu_ps(b + 2 * FLOATS)); \
		sum3 = add_terms(sum3, _mm256_loadu_ps(a + 3 * FLOATS), \
						 _mm256_loadu_ps(b + 3 * FLOATS)); \
		a += 4 * FLOATS; \
		b += 4 * FLOATS; \
	} \
	for (; n >= FLOATS; n -= FLOATS) \
	{ \
		sum0 = add_terms(sum0, _mm256_loadu_ps(a), _mm256_loadu_ps(b)); \
		a += FLOATS; \
		b += FLOATS; \
	} \
	if (n > 0) \
	{ \
		__m256i		mask = mask_of_first_floats(n); \
		\
		sum1 = add_terms(sum1, _mm256_maskload_ps(a, mask), \
						 _mm256_maskload_ps(b, mask)); \
	} \
	return fold_floats(_mm256_add_ps(_mm256_add_ps(sum0, sum1), \
									 _mm256_add_ps(sum2, sum3))); \
}

DEFINE_F32_KERNEL(avx2_l2_squared_f32, add_l2_terms)
DEFINE_F32_KERNEL(avx2_inner_product_f32, add_products)
DEFINE_F32_KERNEL(avx2_l1_f32, add_l1_terms)

AVX2_FMA static void
avx2_cosine_terms_f32(const float *a, const float *b, uint32 n,
					  float *ab, float *aa, float *bb)
{
	__m256		sum_ab[3];
	__m256		sum_aa[3];
	__m256		sum_bb[3];

	for (int k = 0; k < 3; k++)
		sum_ab[k] = sum_aa[k] = sum_bb[k] = _mm256_setzero_ps();

	for (; n >= 3 * FLOATS; n -= 3 * FLOATS)
	{
		for (int k = 0; k < 3; k++)
		{
			__m256		x = _mm256_loadu_ps(a + k * FLOATS);
			__m256		y = _mm256_loadu_ps(b + k * FLOATS);

			sum_ab[k] = _mm256_fmadd_ps(x, y, sum_ab[k]);
			sum_aa[k] = _mm256_fmadd_ps(x, x, sum_aa[k]);
			sum_bb[k] = _mm256_fmadd_ps(y, y, sum_bb[k]);
		}
		a += 3 * FLOATS;
		b += 3 * FLOATS;
	}
	for (int k = 0; n > 0; k++)
	{
		uint32		step = Min(n, FLOATS);
		__m256i		mask = mask_of_first_floats(step);
		__m256		x = _mm256_maskload_ps(a, mask);
		__m256		y = _mm256_maskload_ps(b, mask);

		sum_ab[k] = _mm256_fmadd_ps(x, y, sum_ab[k]);
		sum_aa[k] = _mm256_fmadd_ps(x, x, sum_aa[k]);
		sum_bb[k] = _mm256_fmadd_ps(y, y, sum_bb[k]);
		a += step;
		b += step;
		n -= step;
	}
	*ab = fold_floats(_mm256_add_ps(_mm256_add_ps(sum_ab[0], sum_ab[1]), sum_ab[2]));
	*aa = fold_floats(_mm256_add_ps(_mm256_add_ps(sum_aa[0], sum_aa[1]), sum_aa[2]));
	*bb = fold_floats(_mm256_add_ps(_mm256_add_ps(sum_bb[0], sum_bb[1]), sum_bb[2]));
}

/* ----------------------------------------------------------------
 * Code against code.
 *
 * The one-step product of bytes (maddubs) saturates in 16 bits, so bytes at
 * even and odd places are widened to 16 bits by shifts and masks within
 * their register, and multiplied and added in pairs to exact 32 bits.
 * ----------------------------------------------------------------
 */

/* 32 bytes of the query, widened */
typedef struct WideQuery
{
	__m256i		even;
	__m256i		odd;
} WideQuery;

AVX2 static inline WideQuery
widen_query(__m256i query)
{
	WideQuery	wide;

	wide.even = _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8);
	wide.odd = _mm256_srai_epi16(query, 8);
	return wide;
}

AVX2 static inline __m256i
add_dot(__m256i sum, const uint8 *code, WideQuery query)
{
	__m256i		bytes = _mm256_loadu_si256((const __m256i *) code);
	__m256i		even = _mm256_and_si256(bytes, _mm256_set1_epi16(0x00ff));
	__m256i		odd = _mm256_srli_epi16(bytes, 8);

	sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, query.even));
	return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, query.odd));
}

/*
 * The last n % BYTES elements of at least BYTES are read as part of a whole
 * vector that ends with the arrays; this gives the query for it, zero where
 * the elements have been counted already.
 */
AVX2 static inline WideQuery
widen_query_tail(const int8 *query_end, uint32 n_left)
{
	__m256i		query = _mm256_loadu_si256((const __m256i *) (query_end - BYTES));
	__m256i		mask = _mm256_loadu_si256((const __m256i *) (last_bytes + n_left));

	return widen_query(_mm256_and_si256(query, mask));
}

AVX2 static inline int32
fold_ints(__m256i sum)
{
	__m128i		four = _mm_add_epi32(_mm256_castsi256_si128(sum),
									 _mm256_extracti128_si256(sum, 1));
	__m128i		two = _mm_add_epi32(four, _mm_shuffle_epi32(four, _MM_SHUFFLE(1, 0, 3, 2)));
	__m128i		one = _mm_add_epi32(two, _mm_shuffle_epi32(two, _MM_SHUFFLE(2, 3, 0, 1)));

	return _mm_cvtsi128_si32(one);
}

/*
 * Fewer than BYTES elements.  Not inlined, to keep the copies out of the stack
 * frames of its callers.
 */
AVX2 static pg_noinline int32
dot_short(const uint8 *code, const int8 *query, uint32 n)
{
	uint8		padded_code[BYTES] = {0};
	int8		padded_query[BYTES] = {0};
	WideQuery	wide;

	memcpy(padded_code, code, n);
	memcpy(padded_query, query, n);
	wide = widen_query(_mm256_loadu_si256((const __m256i *) padded_query));
	return fold_ints(add_dot(_mm256_setzero_si256(), padded_code, wide));
}

AVX2 static pg_noinline void
dot4_short(const uint8 *const codes[4], const int8 *query, uint32 n, int32 out[4])
{
	for (int k = 0; k < 4; k++)
		out[k] = dot_short(codes[k], query, n);
}

AVX2 static int32
avx2_dot_u8s8(const uint8 *code, const int8 *query, uint32 n)
{
	__m256i		sum = _mm256_setzero_si256();
	uint32		i;

	if (n < BYTES)
		return dot_short(code, query, n);

	for (i = 0; n - i >= BYTES; i += BYTES)
		sum = add_dot(sum, code + i,
					  widen_query(_mm256_loadu_si256((const __m256i *) (query + i))));
	if (i < n)
		sum = add_dot(sum, code + n - BYTES, widen_query_tail(query + n, n - i));
	return fold_ints(sum);
}

/* Store the sum of each of four registers: a transposition by halves. */
AVX2 static inline void
store_four_sums(__m256i sum0, __m256i sum1, __m256i sum2, __m256i sum3, int32 out[4])
{
	__m256i		sum01 = _mm256_add_epi32(_mm256_unpacklo_epi32(sum0, sum1),
										 _mm256_unpackhi_epi32(sum0, sum1));
	__m256i		sum23 = _mm256_add_epi32(_mm256_unpacklo_epi32(sum2, sum3),
										 _mm256_unpackhi_epi32(sum2, sum3));
	__m256i		sum0123 = _mm256_add_epi32(_mm256_unpacklo_epi64(sum01, sum23),
										   _mm256_unpackhi_epi64(sum01, sum23));

	_mm_storeu_si128((__m128i *) out,
					 _mm_add_epi32(_mm256_castsi256_si128(sum0123),
								   _mm256_extracti128_si256(sum0123, 1)));
}

AVX2 static inline void
avx2_dot4_u8s8(const uint8 *const codes[4], const int8 *query, uint32 n,
			   int32 out[4])
{
	const uint8 *code0 = codes[0];
	const uint8 *code1 = codes[1];
	const uint8 *code2 = codes[2];
	const uint8 *code3 = codes[3];
	__m256i		sum0 = _mm256_setzero_si256();
	__m256i		sum1 = _mm256_setzero_si256();
	__m256i		sum2 = _mm256_setzero_si256();
	__m256i		sum3 = _mm256_setzero_si256();
	uint32		i;
	WideQuery	wide;

	if (n < BYTES)
	{
		dot4_short(codes, query, n, out);
		return;
	}

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		wide = widen_query(_mm256_loadu_si256((const __m256i *) (query + i)));
		sum0 = add_dot(sum0, code0 + i, wide);
		sum1 = add_dot(sum1, code1 + i, wide);
		sum2 = add_dot(sum2, code2 + i, wide);
		sum3 = add_dot(sum3, code3 + i, wide);
	}
	if (i < n)
	{
		wide = widen_query_tail(query + n, n - i);
		sum0 = add_dot(sum0, code0 + n - BYTES, wide);
		sum1 = add_dot(sum1, code1 + n - BYTES, wide);
		sum2 = add_dot(sum2, code2 + n - BYTES, wide);
		sum3 = add_dot(sum3, code3 + n - BYTES, wide);
	}
	store_four_sums(sum0, sum1, sum2, sum3, out);
}

/* ----------------------------------------------------------------
 * Float query against code: lanes 0 .. 7 in one register and 8 .. 15
 * in another, one rounding per operation, as in kernel_scalar.c.
 * ----------------------------------------------------------------
 */

/* Decode 8 codes. */
AVX2 static inline __m256
decode_sq8(const uint8 *code, __m256 offset, __m256 step)
{
	__m128i		bytes = _mm_loadl_epi64((const __m128i *) code);
	__m256		codes = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));

	return _mm256_add_ps(offset, _mm256_mul_ps(step, codes));
}

AVX2 static inline __m256
l2_terms(__m256 a, __m256 b)
{
	__m256		difference = _mm256_sub_ps(a, b);

	return _mm256_mul_ps(difference, difference);
}

AVX2 static inline __m256
products(__m256 a, __m256 b)
{
	return _mm256_mul_ps(a, b);
}

AVX2 static inline __m256
l1_terms(__m256 a, __m256 b)
{
	return absolute(_mm256_sub_ps(a, b));
}

/*
 * The loop around one of the functions above.  In the tail, terms that do
 * not exist become zero before they are added, which changes no sum.
 */
#define DEFINE_SQ8_KERNEL(name, terms) \
AVX2 static float \
name(const float *query, const uint8 *code, float offset, float step, uint32 n) \
{ \
	__m256		offsets = _mm256_set1_ps(offset); \
	__m256		steps = _mm256_set1_ps(step); \
	__m256		sum_low = _mm256_setzero_ps(); \
	__m256		sum_high = _mm256_setzero_ps(); \
	\
	for (; n >= OMEN_LANES; n -= OMEN_LANES) \
	{ \
		sum_low = _mm256_add_ps(sum_low, \
								terms(_mm256_loadu_ps(query), \
									  decode_sq8(code, offsets, steps))); \
		sum_high = _mm256_add_ps(sum_high, \
								 terms(_mm256_loadu_ps(query + FLOATS), \
									   decode_sq8(code + FLOATS, offsets, steps))); \
		query += OMEN_LANES; \
		code += OMEN_LANES; \
	} \
	if (n > 0) \
	{ \
		__m256i		mask_low = mask_of_first_floats(Min(n, FLOATS)); \
		__m256i		mask_high = mask_of_first_floats(n - Min(n, FLOATS)); \
		uint8		padded[OMEN_LANES] = {0}; \
		__m256		tail; \
		\
		memcpy(padded, code, n); \
		tail = terms(_mm256_maskload_ps(query, mask_low), \
					 decode_sq8(padded, offsets, steps)); \
		sum_low = _mm256_add_ps(sum_low, \
								_mm256_and_ps(tail, _mm256_castsi256_ps(mask_low))); \
		tail = terms(_mm256_maskload_ps(query + FLOATS, mask_high), \
					 decode_sq8(padded + FLOATS, offsets, steps)); \
		sum_high = _mm256_add_ps(sum_high, \
								 _mm256_and_ps(tail, _mm256_castsi256_ps(mask_high))); \
	} \
	return fold_floats(_mm256_add_ps(sum_low, sum_high)); \
}

DEFINE_SQ8_KERNEL(avx2_l2_squared_sq8, l2_terms)
DEFINE_SQ8_KERNEL(avx2_inner_product_sq8, products)
DEFINE_SQ8_KERNEL(avx2_l1_sq8, l1_terms)

/* ----------------------------------------------------------------
 * Keys of floats and halves: in two registers, as above.
 * ----------------------------------------------------------------
 */

#define AVX2_F16C	OMEN_TARGET("avx2,f16c")

AVX2_F16C static inline __m256
load_halves(const OmenHalf *x)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) x));
}

#define FLOAT_KEYS_L2_F32 avx2_l2_keys_f32
#define FLOAT_KEYS_IP_F32 avx2_ip_keys_f32
#define FLOAT_KEYS_L1_F32 avx2_l1_keys_f32
#define FLOAT_KEYS_L2_F16 avx2_l2_keys_f16
#define FLOAT_KEYS_IP_F16 avx2_ip_keys_f16
#define FLOAT_KEYS_L1_F16 avx2_l1_keys_f16
#define FLOAT_KEYS_REGISTER __m256
#define FLOAT_KEYS_ZERO _mm256_setzero_ps
#define FLOAT_KEYS_LOAD _mm256_loadu_ps
#define FLOAT_KEYS_ADD _mm256_add_ps
#define FLOAT_KEYS_FOLD(parts) fold_floats(_mm256_add_ps((parts)[0], (parts)[1]))
#define FLOAT_KEYS_TARGET AVX2_F16C
#include "src/kernels/kernel_float_keys.h"

#define SQ8_KEYS_L2 avx2_l2_keys_sq8
#define SQ8_KEYS_IP avx2_ip_keys_sq8
#define SQ8_DECODE_FINE avx2_decode_fine_sq8
#define SQ8_KEYS_DOT4 avx2_dot4_u8s8
#define SQ8_KEYS_TARGET AVX2
#include "src/kernels/kernel_sq8_keys.h"

const OmenKernels omen_kernels_avx2 = {
	.name = "avx2",
	.l2_squared_f32 = avx2_l2_squared_f32,
	.inner_product_f32 = avx2_inner_product_f32,
	.l1_f32 = avx2_l1_f32,
	.cosine_terms_f32 = avx2_cosine_terms_f32,
	.dot_u8s8 = avx2_dot_u8s8,
	.dot4_u8s8 = avx2_dot4_u8s8,
	.l2_keys_sq8 = avx2_l2_keys_sq8,
	.ip_keys_sq8 = avx2_ip_keys_sq8,
	.insert_sorted = omen_insert_sorted_scalar,
	.l2_squared_sq8 = avx2_l2_squared_sq8,
	.inner_product_sq8 = avx2_inner_product_sq8,
	.l1_sq8 = avx2_l1_sq8,
	.decode_fine_sq8 = avx2_decode_fine_sq8,
	.l2_keys_f32 = avx2_l2_keys_f32,
	.ip_keys_f32 = avx2_ip_keys_f32,
	.l1_keys_f32 = avx2_l1_keys_f32,
	.l2_keys_f16 = avx2_l2_keys_f16,
	.ip_keys_f16 = avx2_ip_keys_f16,
	.l1_keys_f16 = avx2_l1_keys_f16,
	.half = &omen_half_kernels_avx2,
	.bits = &omen_bit_kernels_avx2,
	.sketch = &omen_sketch_kernels_avx2
};

#endif							/* OMEN_HAVE_X86_KERNELS */
