/*-------------------------------------------------------------------------
 *
 * kernel_sketch.c
 *	  Keys of sketches: all variants, for they differ in few lines.
 *
 * Integers are exact; what is made of them goes through doubles in one fixed
 * order of single operations, four records side by side, as in
 * kernel_sq8_keys.h.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_sketch.h"
#include "src/kernels/kernel_variants.h"

typedef float Float4 __attribute__((vector_size(16)));
typedef int32 Int4 __attribute__((vector_size(16)));
typedef uint32 Word4 __attribute__((vector_size(16)));
typedef double Double4 __attribute__((vector_size(32)));

#define DOUBLES(four) __builtin_convertvector(four, Double4)

#define RECORD(k) ((const OmenLowBitRecord *) records[k])
#define CODE(k) (records[k] + sizeof(OmenLowBitRecord))

/* omen_factor_value() of four: where the exponent is not zero, a bit before the fraction. */
#define FACTOR_VALUES(factors) \
	(((factors) & 0x0fff) + ((Word4) ((factors) > 0x0fff) & 0x1000)) << \
	(((factors) >> OMEN_FACTOR_FRACTION) + (Word4) ((factors) > 0x0fff))

/* Keys of four records from their dot products. */
static pg_attribute_always_inline void
low_bit_four_keys(const OmenLowBitQuery *q, const int32 dots[4], const uint8 *const *records,
				  float *out)
{
	Word4		add = {RECORD(0)->add, RECORD(1)->add, RECORD(2)->add, RECORD(3)->add};
	Word4		rescale = {RECORD(0)->rescale, RECORD(1)->rescale, RECORD(2)->rescale, RECORD(3)->rescale};
	Word4		magnitude = add & ~q->add_sign;
	Int4		negative = magnitude != add;
	Int4		summand = (Int4) (FACTOR_VALUES(magnitude));
	Int4		factor = (Int4) (FACTOR_VALUES(rescale));
	Int4		dot = {dots[0], dots[1], dots[2], dots[3]};
	Double4		key;
	Float4		keys;

	/* -x is ~x + 1 */
	summand = (summand ^ negative) - negative;
	key = q->base + q->add_scale * DOUBLES(summand);
	key -= q->dot_scale * (DOUBLES(factor) * DOUBLES(2 * dot - q->sum));
	keys = __builtin_convertvector(key, Float4);
	memcpy(out, &keys, sizeof(keys));
}

/*
 * The loop over records around one dot product of four, which gets the number
 * of bits as a constant.
 */
#define DEFINE_LOW_BIT_KEYS(target, prefix) \
target static pg_attribute_always_inline void \
prefix##_low_bit_keys_of(const OmenLowBitQuery *q, const int8 *planes, uint32 n_bytes, uint32 bits, \
						 int n, const uint8 *const *records, float *out) \
{ \
	const uint8 *rest[4]; \
	float		rest_keys[4]; \
	int32		dots[4]; \
	int			i; \
	\
	for (i = 0; i + 4 <= n; i += 4) \
	{ \
		prefix##_low_bit_dot4(records + i, planes, n_bytes, bits, dots); \
		low_bit_four_keys(q, dots, records + i, out + i); \
	} \
	if (i == n) \
		return; \
	\
	/* the last ones, filled up with the last of them */ \
	for (int j = 0; j < 4; j++) \
		rest[j] = records[Min(i + j, n - 1)]; \
	prefix##_low_bit_dot4(rest, planes, n_bytes, bits, dots); \
	low_bit_four_keys(q, dots, rest, rest_keys); \
	memcpy(out + i, rest_keys, sizeof(float) * (n - i)); \
} \
\
target static void \
prefix##_low_bit_keys(const OmenLowBitQuery *q, const int8 *planes, uint32 n_bytes, uint32 bits, \
					  int n, const uint8 *const *records, float *out) \
{ \
	if (bits == 1) \
		prefix##_low_bit_keys_of(q, planes, n_bytes, 1, n, records, out); \
	else if (bits == 2) \
		prefix##_low_bit_keys_of(q, planes, n_bytes, 2, n, records, out); \
	else \
		prefix##_low_bit_keys_of(q, planes, n_bytes, 4, n, records, out); \
} \
\
const OmenSketchKernels omen_sketch_kernels_##prefix = { \
	.low_bit_keys = prefix##_low_bit_keys \
}

static inline void
scalar_low_bit_dot4(const uint8 *const *records, const int8 *planes, uint32 n_bytes, uint32 bits,
					int32 dots[4])
{
	for (int k = 0; k < 4; k++)
	{
		const uint8 *code = CODE(k);
		const int8 *plane = planes;
		int32		sum = 0;

		for (uint32 shift = 0; shift < 8; shift += bits)
		{
			for (uint32 j = 0; j < n_bytes; j++)
				sum += (int32) (code[j] >> shift & ((1U << bits) - 1)) * plane[j];
			plane += OMEN_PLANE_STRIDE(n_bytes);
		}
		dots[k] = sum;
	}
}

DEFINE_LOW_BIT_KEYS( /* everywhere */ , scalar);

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define AVX2		OMEN_TARGET("avx2")
#define AVX512		OMEN_TARGET("avx512f,avx512bw,avx512vl,avx512vnni")

#define BYTES 32				/* in a register */

/*
 * Levels are small, so that the one-step product of bytes does not saturate,
 * and a few of these sums fit into 16 bits: a level is at most 2^bits - 1, a pair of
 * products at most 254 times that, and of each there are 8 / bits to a register of codes.
 */
#define REGISTERS_TO_SUM(bits) (32767 / (254 * ((1 << (bits)) - 1) * (8 / (bits))))

AVX2 static pg_attribute_always_inline void
avx2_low_bit_dot4(const uint8 *const *records, const int8 *planes, uint32 n_bytes, uint32 bits,
				  int32 dots[4])
{
	const __m256i level_mask = _mm256_set1_epi8((1 << bits) - 1);
	const __m256i places = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
	uint32		stride = OMEN_PLANE_STRIDE(n_bytes);
	__m256i		sums[4];
	__m256i		pairs[2];

	for (int k = 0; k < 4; k++)
		sums[k] = _mm256_setzero_si256();
	for (uint32 from = 0; from < n_bytes; from += REGISTERS_TO_SUM(bits) * BYTES)
	{
		uint32		to = Min(from + REGISTERS_TO_SUM(bits) * BYTES, n_bytes);
		__m256i		short_sums[4];

		for (int k = 0; k < 4; k++)
			short_sums[k] = _mm256_setzero_si256();
		for (uint32 i = from; i < to; i += BYTES)
		{
			__m256i		present = _mm256_cmpgt_epi32(_mm256_set1_epi32(n_bytes - i), places);
			__m256i		bytes[4];

			for (int k = 0; k < 4; k++)
				bytes[k] = _mm256_maskload_epi32((const int *) (CODE(k) + i), present);
			for (uint32 shift = 0; shift < 8; shift += bits)
			{
				__m256i		query = _mm256_load_si256((const __m256i *)
													  (planes + shift / bits * stride + i));

				for (int k = 0; k < 4; k++)
				{
					__m256i		levels = _mm256_and_si256(_mm256_srli_epi16(bytes[k], shift),
														  level_mask);

					short_sums[k] = _mm256_add_epi16(short_sums[k],
													 _mm256_maddubs_epi16(levels, query));
				}
			}
		}
		for (int k = 0; k < 4; k++)
			sums[k] = _mm256_add_epi32(sums[k], _mm256_madd_epi16(short_sums[k],
																  _mm256_set1_epi16(1)));
	}
	for (int k = 0; k < 2; k++)
		pairs[k] = _mm256_hadd_epi32(sums[2 * k], sums[2 * k + 1]);
	pairs[0] = _mm256_hadd_epi32(pairs[0], pairs[1]);
	_mm_storeu_si128((__m128i *) dots, _mm_add_epi32(_mm256_castsi256_si128(pairs[0]),
													 _mm256_extracti128_si256(pairs[0], 1)));
}

DEFINE_LOW_BIT_KEYS(AVX2, avx2);

#undef BYTES
#define BYTES 64

AVX512 static pg_attribute_always_inline void
avx512_low_bit_dot4(const uint8 *const *records, const int8 *planes, uint32 n_bytes, uint32 bits,
					int32 dots[4])
{
	const __m512i level_mask = _mm512_set1_epi8((1 << bits) - 1);
	uint32		stride = OMEN_PLANE_STRIDE(n_bytes);
	__m512i		sums[4];
	__m256i		halves[4];

	for (int k = 0; k < 4; k++)
		sums[k] = _mm512_setzero_si512();
	for (uint32 i = 0; i < n_bytes; i += BYTES)
	{
		__mmask64	present = ~UINT64CONST(0) >> (BYTES - Min(n_bytes - i, BYTES));
		__m512i		bytes[4];

		for (int k = 0; k < 4; k++)
			bytes[k] = _mm512_maskz_loadu_epi8(present, CODE(k) + i);
		for (uint32 shift = 0; shift < 8; shift += bits)
		{
			__m512i		query = _mm512_load_si512(planes + shift / bits * stride + i);

			for (int k = 0; k < 4; k++)
			{
				__m512i		levels = _mm512_and_si512(_mm512_srli_epi16(bytes[k], shift),
													  level_mask);

				sums[k] = _mm512_dpbusd_epi32(sums[k], levels, query);
			}
		}
	}
	for (int k = 0; k < 4; k++)
		halves[k] = _mm256_add_epi32(_mm512_castsi512_si256(sums[k]),
									 _mm512_extracti64x4_epi64(sums[k], 1));
	halves[0] = _mm256_hadd_epi32(_mm256_hadd_epi32(halves[0], halves[1]),
								  _mm256_hadd_epi32(halves[2], halves[3]));
	_mm_storeu_si128((__m128i *) dots, _mm_add_epi32(_mm256_castsi256_si128(halves[0]),
													 _mm256_extracti128_si256(halves[0], 1)));
}

DEFINE_LOW_BIT_KEYS(AVX512, avx512);

#undef BYTES

#endif							/* OMEN_HAVE_X86_KERNELS */

#ifdef OMEN_HAVE_NEON_KERNELS

#include <arm_neon.h>

#define BYTES 16				/* in a register */

static inline int32x4_t
neon_add_products(int32x4_t sum, int8x16_t levels, int8x16_t query)
{
	int16x8_t	products = vmull_s8(vget_low_s8(levels), vget_low_s8(query));

	/* at most 2 * 15 * 127: no overflow */
	return vpadalq_s16(sum, vmlal_high_s8(products, levels, query));
}

/* The dot product of four codes around one way to add products. */
#define DEFINE_NEON_DOT4(target, prefix) \
target static pg_attribute_always_inline void \
prefix##_low_bit_dot4(const uint8 *const *records, const int8 *planes, uint32 n_bytes, uint32 bits, \
					  int32 dots[4]) \
{ \
	const uint8x16_t level_mask = vdupq_n_u8((1 << bits) - 1); \
	uint32		stride = OMEN_PLANE_STRIDE(n_bytes); \
	\
	for (int k = 0; k < 4; k++) \
	{ \
		int32x4_t	sum = vdupq_n_s32(0); \
		\
		for (uint32 i = 0; i < n_bytes; i += BYTES) \
		{ \
			uint8		padded[BYTES] = {0}; \
			const uint8 *code = CODE(k) + i; \
			uint8x16_t	bytes; \
			\
			if (n_bytes - i < BYTES) \
				code = memcpy(padded, code, n_bytes - i); \
			bytes = vld1q_u8(code); \
			for (uint32 shift = 0; shift < 8; shift += bits) \
			{ \
				uint8x16_t	levels = vandq_u8(vshlq_u8(bytes, vdupq_n_s8(-(int8) shift)), level_mask); \
				\
				sum = prefix##_add_products(sum, vreinterpretq_s8_u8(levels), \
											vld1q_s8(planes + shift / bits * stride + i)); \
			} \
		} \
		dots[k] = vaddvq_s32(sum); \
	} \
}

DEFINE_NEON_DOT4( /* everywhere */ , neon)
DEFINE_LOW_BIT_KEYS( /* everywhere */ , neon);

#ifdef OMEN_HAVE_NEON_DOT_KERNELS

#define NEON_DOT OMEN_TARGET("arch=armv8.2-a+dotprod")

NEON_DOT static inline int32x4_t
neon_dot_add_products(int32x4_t sum, int8x16_t levels, int8x16_t query)
{
	return vdotq_s32(sum, levels, query);
}

DEFINE_NEON_DOT4(NEON_DOT, neon_dot)
DEFINE_LOW_BIT_KEYS(NEON_DOT, neon_dot);

#endif							/* OMEN_HAVE_NEON_DOT_KERNELS */

#endif							/* OMEN_HAVE_NEON_KERNELS */
