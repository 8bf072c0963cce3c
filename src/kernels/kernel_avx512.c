/*-------------------------------------------------------------------------
 *
 * kernel_avx512.c
 *	  The kernels for x86-64 CPUs with AVX-512 F, BW, VL and VNNI.
 *
 * The 16 lanes of the *_sq8 kernels are one register.  Tails are read under a
 * mask, which touches no memory outside the arrays.
 *
 * AVX-512 brings fused multiply-add with it: here equal bits need the
 * -ffp-contract=off of the build, and the unit test would notice its loss.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define AVX512		OMEN_TARGET("avx512f,avx512bw,avx512vl,avx512vnni")

#define FLOATS 16				/* in a register */
#define BYTES 64

/* Lane j takes in j + 8, then j + 4, j + 2, j + 1. */
AVX512 static inline float
fold_floats(__m512 sum)
{
	__m256		high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sum), 1));
	__m256		eight = _mm256_add_ps(_mm512_castps512_ps256(sum), high);
	__m128		four = _mm_add_ps(_mm256_castps256_ps128(eight),
								  _mm256_extractf128_ps(eight, 1));
	__m128		two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	__m128		one = _mm_add_ss(two, _mm_movehdup_ps(two));

	return _mm_cvtss_f32(one);
}

AVX512 static inline __mmask16
mask_of_first_floats(uint32 k)
{
	return (__mmask16) ((1U << k) - 1);
}

/* ----------------------------------------------------------------
 * Exact vectors.  Four sums at a time hide the latency of the
 * additions; the rest goes through one of them.
 * ----------------------------------------------------------------
 */

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
#define DEFINE_F32_KERNEL(name, add_terms) \
AVX512 static float \
name(const float *a, const float *b, uint32 n) \
{ \
	__m512		sum0 = _mm512_setzero_ps(); \
	__m512		sum1 = _mm512_setzero_ps(); \
	__m512		sum2 = _mm512_setzero_ps(); \
	__m512		sum3 = _mm512_setzero_ps(); \
	\
	for (; n >= 4 * FLOATS; n -= 4 * FLOATS) \
	{ \
		sum0 = add_terms(sum0, _mm512_loadu_ps(a), _mm512_loadu_ps(b)); \
		sum1 = add_terms(sum1, _mm512_loadu_ps(a + FLOATS), \
						 _mm512_loadu_ps(b + FLOATS)); \
		sum2 = add_terms(sum2, _mm512_loadu_ps(a + 2 * FLOATS), \
						 _mm512_loadu_ps(b + 2 * FLOATS)); \
		sum3 = add_terms(sum3, _mm512_loadu_ps(a + 3 * FLOATS), \
						 _mm512_loadu_ps(b + 3 * FLOATS)); \
		a += 4 * FLOATS; \
		b += 4 * FLOATS; \
	} \
	for (; n >= FLOATS; n -= FLOATS) \
	{ \
		sum0 = add_terms(sum0, _mm512_loadu_ps(a), _mm512_loadu_ps(b)); \
		a += FLOATS; \
		b += FLOATS; \
	} \
	if (n > 0) \
	{ \
		__mmask16	mask = mask_of_first_floats(n); \
		\
		sum1 = add_terms(sum1, _mm512_maskz_loadu_ps(mask, a), \
						 _mm512_maskz_loadu_ps(mask, b)); \
	} \
	return fold_floats(_mm512_add_ps(_mm512_add_ps(sum0, sum1), \
									 _mm512_add_ps(sum2, sum3))); \
}

DEFINE_F32_KERNEL(avx512_l2_squared_f32, add_l2_terms)
DEFINE_F32_KERNEL(avx512_inner_product_f32, add_products)
DEFINE_F32_KERNEL(avx512_l1_f32, add_l1_terms)

AVX512 static void
avx512_cosine_terms_f32(const float *a, const float *b, uint32 n,
						float *ab, float *aa, float *bb)
{
	__m512		sum_ab[3];
	__m512		sum_aa[3];
	__m512		sum_bb[3];

	for (int k = 0; k < 3; k++)
		sum_ab[k] = sum_aa[k] = sum_bb[k] = _mm512_setzero_ps();

	for (; n >= 3 * FLOATS; n -= 3 * FLOATS)
	{
		for (int k = 0; k < 3; k++)
		{
			__m512		x = _mm512_loadu_ps(a + k * FLOATS);
			__m512		y = _mm512_loadu_ps(b + k * FLOATS);

			sum_ab[k] = _mm512_fmadd_ps(x, y, sum_ab[k]);
			sum_aa[k] = _mm512_fmadd_ps(x, x, sum_aa[k]);
			sum_bb[k] = _mm512_fmadd_ps(y, y, sum_bb[k]);
		}
		a += 3 * FLOATS;
		b += 3 * FLOATS;
	}
	for (int k = 0; n > 0; k++)
	{
		uint32		step = Min(n, FLOATS);
		__mmask16	mask = mask_of_first_floats(step);
		__m512		x = _mm512_maskz_loadu_ps(mask, a);
		__m512		y = _mm512_maskz_loadu_ps(mask, b);

		sum_ab[k] = _mm512_fmadd_ps(x, y, sum_ab[k]);
		sum_aa[k] = _mm512_fmadd_ps(x, x, sum_aa[k]);
		sum_bb[k] = _mm512_fmadd_ps(y, y, sum_bb[k]);
		a += step;
		b += step;
		n -= step;
	}
	*ab = fold_floats(_mm512_add_ps(_mm512_add_ps(sum_ab[0], sum_ab[1]), sum_ab[2]));
	*aa = fold_floats(_mm512_add_ps(_mm512_add_ps(sum_aa[0], sum_aa[1]), sum_aa[2]));
	*bb = fold_floats(_mm512_add_ps(_mm512_add_ps(sum_bb[0], sum_bb[1]), sum_bb[2]));
}

/* ----------------------------------------------------------------
 * Code against code: dpbusd multiplies and adds groups of four bytes
 * to 32 bits, without saturation.
 * ----------------------------------------------------------------
 */

AVX512 static inline __mmask64
mask_of_first_bytes(uint32 k)
{
	return (UINT64CONST(1) << k) - 1;
}

AVX512 static inline __m512i
add_dot(__m512i sum, const uint8 *code, __m512i query)
{
	return _mm512_dpbusd_epi32(sum, _mm512_loadu_si512(code), query);
}

AVX512 static inline __m512i
add_dot_tail(__m512i sum, const uint8 *code, __m512i query, __mmask64 mask)
{
	return _mm512_dpbusd_epi32(sum, _mm512_maskz_loadu_epi8(mask, code), query);
}

/* Store the sum of each of four registers: a transposition by halves. */
AVX512 static inline void
store_four_sums(__m512i sum0, __m512i sum1, __m512i sum2, __m512i sum3, int32 out[4])
{
	__m512i		sum01 = _mm512_add_epi32(_mm512_unpacklo_epi32(sum0, sum1),
										 _mm512_unpackhi_epi32(sum0, sum1));
	__m512i		sum23 = _mm512_add_epi32(_mm512_unpacklo_epi32(sum2, sum3),
										 _mm512_unpackhi_epi32(sum2, sum3));
	__m512i		sum0123 = _mm512_add_epi32(_mm512_unpacklo_epi64(sum01, sum23),
										   _mm512_unpackhi_epi64(sum01, sum23));
	__m256i		half = _mm256_add_epi32(_mm512_castsi512_si256(sum0123),
										_mm512_extracti64x4_epi64(sum0123, 1));

	_mm_storeu_si128((__m128i *) out,
					 _mm_add_epi32(_mm256_castsi256_si128(half),
								   _mm256_extracti128_si256(half, 1)));
}

AVX512 static int32
avx512_dot_u8s8(const uint8 *code, const int8 *query, uint32 n)
{
	__m512i		sum0 = _mm512_setzero_si512();
	__m512i		sum1 = _mm512_setzero_si512();

	for (; n >= 2 * BYTES; n -= 2 * BYTES)
	{
		sum0 = add_dot(sum0, code, _mm512_loadu_si512(query));
		sum1 = add_dot(sum1, code + BYTES, _mm512_loadu_si512(query + BYTES));
		code += 2 * BYTES;
		query += 2 * BYTES;
	}
	if (n >= BYTES)
	{
		sum0 = add_dot(sum0, code, _mm512_loadu_si512(query));
		code += BYTES;
		query += BYTES;
		n -= BYTES;
	}
	if (n > 0)
	{
		__mmask64	mask = mask_of_first_bytes(n);

		sum1 = add_dot_tail(sum1, code, _mm512_maskz_loadu_epi8(mask, query), mask);
	}
	return _mm512_reduce_add_epi32(_mm512_add_epi32(sum0, sum1));
}

AVX512 static inline void
avx512_dot4_u8s8(const uint8 *const codes[4], const int8 *query, uint32 n,
				 int32 out[4])
{
	const uint8 *code0 = codes[0];
	const uint8 *code1 = codes[1];
	const uint8 *code2 = codes[2];
	const uint8 *code3 = codes[3];
	__m512i		sum0 = _mm512_setzero_si512();
	__m512i		sum1 = _mm512_setzero_si512();
	__m512i		sum2 = _mm512_setzero_si512();
	__m512i		sum3 = _mm512_setzero_si512();
	uint32		i;

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		__m512i		bytes = _mm512_loadu_si512(query + i);

		sum0 = add_dot(sum0, code0 + i, bytes);
		sum1 = add_dot(sum1, code1 + i, bytes);
		sum2 = add_dot(sum2, code2 + i, bytes);
		sum3 = add_dot(sum3, code3 + i, bytes);
	}
	if (i < n)
	{
		__mmask64	mask = mask_of_first_bytes(n - i);
		__m512i		bytes = _mm512_maskz_loadu_epi8(mask, query + i);

		sum0 = add_dot_tail(sum0, code0 + i, bytes, mask);
		sum1 = add_dot_tail(sum1, code1 + i, bytes, mask);
		sum2 = add_dot_tail(sum2, code2 + i, bytes, mask);
		sum3 = add_dot_tail(sum3, code3 + i, bytes, mask);
	}
	store_four_sums(sum0, sum1, sum2, sum3, out);
}

/* ----------------------------------------------------------------
 * Float query against code: one rounding per operation, as in
 * kernel_scalar.c.
 * ----------------------------------------------------------------
 */

AVX512 static inline __m512
decode_sq8(__m128i bytes, __m512 offset, __m512 step)
{
	__m512		codes = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));

	return _mm512_add_ps(offset, _mm512_mul_ps(step, codes));
}

AVX512 static inline __m512
l2_terms(__m512 a, __m512 b)
{
	__m512		difference = _mm512_sub_ps(a, b);

	return _mm512_mul_ps(difference, difference);
}

AVX512 static inline __m512
products(__m512 a, __m512 b)
{
	return _mm512_mul_ps(a, b);
}

AVX512 static inline __m512
l1_terms(__m512 a, __m512 b)
{
	return _mm512_abs_ps(_mm512_sub_ps(a, b));
}

/*
 * The loop around one of the functions above.  In the tail, sums without a
 * term stay as they are.
 */
#define DEFINE_SQ8_KERNEL(name, terms) \
AVX512 static float \
name(const float *query, const uint8 *code, float offset, float step, uint32 n) \
{ \
	__m512		offsets = _mm512_set1_ps(offset); \
	__m512		steps = _mm512_set1_ps(step); \
	__m512		sum = _mm512_setzero_ps(); \
	\
	for (; n >= OMEN_LANES; n -= OMEN_LANES) \
	{ \
		__m128i		bytes = _mm_loadu_si128((const __m128i *) code); \
		\
		sum = _mm512_add_ps(sum, terms(_mm512_loadu_ps(query), \
									   decode_sq8(bytes, offsets, steps))); \
		query += OMEN_LANES; \
		code += OMEN_LANES; \
	} \
	if (n > 0) \
	{ \
		__mmask16	mask = mask_of_first_floats(n); \
		__m128i		bytes = _mm_maskz_loadu_epi8(mask, code); \
		\
		sum = _mm512_mask_add_ps(sum, mask, sum, \
								 terms(_mm512_maskz_loadu_ps(mask, query), \
									   decode_sq8(bytes, offsets, steps))); \
	} \
	return fold_floats(sum); \
}

DEFINE_SQ8_KERNEL(avx512_l2_squared_sq8, l2_terms)
DEFINE_SQ8_KERNEL(avx512_inner_product_sq8, products)
DEFINE_SQ8_KERNEL(avx512_l1_sq8, l1_terms)

/* ----------------------------------------------------------------
 * Keys of floats and halves.
 * ----------------------------------------------------------------
 */

AVX512 static inline __m512
load_halves(const OmenHalf *x)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) x));
}

#define FLOAT_KEYS_L2_F32 avx512_l2_keys_f32
#define FLOAT_KEYS_IP_F32 avx512_ip_keys_f32
#define FLOAT_KEYS_L1_F32 avx512_l1_keys_f32
#define FLOAT_KEYS_L2_F16 avx512_l2_keys_f16
#define FLOAT_KEYS_IP_F16 avx512_ip_keys_f16
#define FLOAT_KEYS_L1_F16 avx512_l1_keys_f16
#define FLOAT_KEYS_REGISTER __m512
#define FLOAT_KEYS_ZERO _mm512_setzero_ps
#define FLOAT_KEYS_LOAD _mm512_loadu_ps
#define FLOAT_KEYS_ADD _mm512_add_ps
#define FLOAT_KEYS_FOLD(parts) fold_floats((parts)[0])
#define FLOAT_KEYS_TARGET AVX512
#include "src/kernels/kernel_float_keys.h"

/* ----------------------------------------------------------------
 * A short sorted array stays in registers while words are inserted:
 * each place takes the lesser of what it has and the greater of the
 * word and what the place before it has.
 * ----------------------------------------------------------------
 */

#define WORDS 8					/* in a register */
#define MAX_INSERT_REGISTERS 8

/* n_registers is a constant. */
AVX512 static pg_attribute_always_inline void
insert_in_registers(uint64 *sorted, int n_registers, const uint64 *words, uint32 n,
					uint64 *fallen)
{
	__m512i		places[MAX_INSERT_REGISTERS];

	for (int k = 0; k < n_registers; k++)
		places[k] = _mm512_load_si512(sorted + k * WORDS);
	for (uint32 i = 0; i < n; i++)
	{
		__m512i		word = _mm512_set1_epi64((long long) words[i]);

		if (fallen)
			_mm512_mask_storeu_epi64(fallen + i - (WORDS - 1), 0x80,
									 _mm512_max_epu64(places[n_registers - 1], word));
		for (int k = n_registers - 1; k >= 0; k--)
		{
			__m512i		before = _mm512_alignr_epi64(places[k],
													 k > 0 ? places[k - 1] : _mm512_setzero_si512(),
													 WORDS - 1);

			places[k] = _mm512_min_epu64(places[k], _mm512_max_epu64(before, word));
		}
	}
	for (int k = 0; k < n_registers; k++)
		_mm512_store_si512(sorted + k * WORDS, places[k]);
}

AVX512 static void
avx512_insert_sorted(uint64 *sorted, uint32 n_sorted, const uint64 *words, uint32 n,
					 uint64 *fallen)
{
	switch (n_sorted)
	{
		case 2 * WORDS:
			insert_in_registers(sorted, 2, words, n, fallen);
			break;
		case 3 * WORDS:
			insert_in_registers(sorted, 3, words, n, fallen);
			break;
		case 4 * WORDS:
			insert_in_registers(sorted, 4, words, n, fallen);
			break;
		case 5 * WORDS:
			insert_in_registers(sorted, 5, words, n, fallen);
			break;
		case 6 * WORDS:
			insert_in_registers(sorted, 6, words, n, fallen);
			break;
		case 7 * WORDS:
			insert_in_registers(sorted, 7, words, n, fallen);
			break;
		case 8 * WORDS:
			insert_in_registers(sorted, 8, words, n, fallen);
			break;
		default:
			omen_insert_sorted_scalar(sorted, n_sorted, words, n, fallen);
			break;
	}
}

#define SQ8_KEYS_L2 avx512_l2_keys_sq8
#define SQ8_KEYS_IP avx512_ip_keys_sq8
#define SQ8_DECODE_FINE avx512_decode_fine_sq8
#define SQ8_KEYS_DOT4 avx512_dot4_u8s8
#define SQ8_KEYS_TARGET AVX512
#include "src/kernels/kernel_sq8_keys.h"

const OmenKernels omen_kernels_avx512 = {
	.name = "avx512",
	.l2_squared_f32 = avx512_l2_squared_f32,
	.inner_product_f32 = avx512_inner_product_f32,
	.l1_f32 = avx512_l1_f32,
	.cosine_terms_f32 = avx512_cosine_terms_f32,
	.dot_u8s8 = avx512_dot_u8s8,
	.dot4_u8s8 = avx512_dot4_u8s8,
	.l2_keys_sq8 = avx512_l2_keys_sq8,
	.ip_keys_sq8 = avx512_ip_keys_sq8,
	.insert_sorted = avx512_insert_sorted,
	.l2_squared_sq8 = avx512_l2_squared_sq8,
	.inner_product_sq8 = avx512_inner_product_sq8,
	.l1_sq8 = avx512_l1_sq8,
	.decode_fine_sq8 = avx512_decode_fine_sq8,
	.l2_keys_f32 = avx512_l2_keys_f32,
	.ip_keys_f32 = avx512_ip_keys_f32,
	.l1_keys_f32 = avx512_l1_keys_f32,
	.l2_keys_f16 = avx512_l2_keys_f16,
	.ip_keys_f16 = avx512_ip_keys_f16,
	.l1_keys_f16 = avx512_l1_keys_f16,
	.half = &omen_half_kernels_avx512,
	.bits = &omen_bit_kernels_avx512,
	.sketch = &omen_sketch_kernels_avx512
};

#endif							/* OMEN_HAVE_X86_KERNELS */
