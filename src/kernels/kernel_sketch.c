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

DEFINE_LOW_BIT_KEYS( /* everywhere */ , scalar)

/* ---------- codebooks ---------- */

/*
 * As many entries side by side as a register holds, in vectors of the compiler;
 * the terms of each are added in the order of the components.
 */
typedef float Entries8 __attribute__((vector_size(32)));
typedef float Entries16 __attribute__((vector_size(64)));

#define DEFINE_ENTRIES_SUMS(target, Entries, name, term) \
target static void \
name(const float *x, uint32 n, const float *entries, uint32 n_entries, float *out) \
{ \
	for (uint32 k = 0; k < n_entries; k += sizeof(Entries) / sizeof(float)) \
	{ \
		const float *from = entries + k; \
		Entries		sum = {0}; \
		\
		for (uint32 i = 0; i < n; i++, from += n_entries) \
		{ \
			Entries		component; \
			Entries		difference pg_attribute_unused(); \
			\
			memcpy(&component, from, sizeof(component)); \
			difference = x[i] - component; \
			sum += term; \
		} \
		memcpy(out + k, &sum, sizeof(sum)); \
	} \
}

#define DEFINE_ENTRIES(target, prefix, Entries) \
DEFINE_ENTRIES_SUMS(target, Entries, prefix##_entries_l2, difference * difference) \
DEFINE_ENTRIES_SUMS(target, Entries, prefix##_entries_ip, x[i] * component)

DEFINE_ENTRIES( /* everywhere */ , scalar, Float4)

static inline float
product_key(const OmenProductQuery *q, uint32 sum)
{
	return (float) (q->base + q->scale * (double) sum);
}

static void
scalar_product_keys_8(const OmenProductQuery *q, const uint8 *tables, uint32 n_bytes, int n,
					  const uint8 *const *records, float *out)
{
	for (int k = 0; k < n; k++)
	{
		const uint8 *record = records[k];
		uint32		sums[4] = {0};

		/* four at a time: additions that need not wait for one another; n_bytes is a multiple of 4 */
		for (uint32 j = 0; j < n_bytes; j += 4)
		{
			for (uint32 i = 0; i < 4; i++)
				sums[i] += tables[256 * (j + i) + record[j + i]];
		}
		out[k] = product_key(q, (sums[0] + sums[1]) + (sums[2] + sums[3]));
	}
}

static void
scalar_product_keys_4(const OmenProductQuery *q, const uint8 *tables, uint32 n_bytes, int n,
					  const uint8 *const *records, float *out)
{
	for (int k = 0; k < n; k++)
	{
		const uint8 *record = records[k];
		uint32		low = 0;
		uint32		high = 0;

		for (uint32 j = 0; j < n_bytes; j++)
		{
			low += tables[32 * j + (record[j] & 15)];
			high += tables[32 * j + 16 + (record[j] >> 4)];
		}
		out[k] = product_key(q, low + high);
	}
}

/* ---------- rotations ---------- */

static void
scalar_hadamard(float *x, uint32 n)
{
	for (uint32 half = 1; half < n; half *= 2)
	{
		for (uint32 from = 0; from < n; from += 2 * half)
		{
			for (uint32 i = from; i < from + half; i++)
			{
				float		a = x[i];
				float		b = x[i + half];

				x[i] = a + b;
				x[i + half] = a - b;
			}
		}
	}
}

const OmenSketchKernels omen_sketch_kernels_scalar = {
	.low_bit_keys = scalar_low_bit_keys,
	.product_keys_8 = scalar_product_keys_8,
	.product_keys_4 = scalar_product_keys_4,
	.entries_l2 = scalar_entries_l2,
	.entries_ip = scalar_entries_ip,
	.hadamard = scalar_hadamard
};

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

DEFINE_LOW_BIT_KEYS(AVX2, avx2)
DEFINE_ENTRIES(AVX2, avx2, Entries8)

#define FLOATS 8				/* in a register */

/* Sums and differences of a and b. */
AVX2 static inline void
butterfly(__m256 *a, __m256 *b)
{
	__m256		sum = _mm256_add_ps(*a, *b);

	*b = _mm256_sub_ps(*a, *b);
	*a = sum;
}

/* The steps within a register; the second of two that are compared takes the difference. */
AVX2 static inline __m256
hadamard_of_register(__m256 x)
{
	__m256		other = _mm256_permute_ps(x, _MM_SHUFFLE(2, 3, 0, 1));

	x = _mm256_blend_ps(_mm256_add_ps(x, other), _mm256_sub_ps(other, x), 0xaa);
	other = _mm256_permute_ps(x, _MM_SHUFFLE(1, 0, 3, 2));
	x = _mm256_blend_ps(_mm256_add_ps(x, other), _mm256_sub_ps(other, x), 0xcc);
	other = _mm256_permute2f128_ps(x, x, 1);
	return _mm256_blend_ps(_mm256_add_ps(x, other), _mm256_sub_ps(other, x), 0xf0);
}

AVX2 static void
avx2_hadamard(float *x, uint32 n)
{
	uint32		half = FLOATS;

	if (n < FLOATS)
	{
		scalar_hadamard(x, n);
		return;
	}
	for (uint32 i = 0; i < n; i += FLOATS)
		_mm256_storeu_ps(x + i, hadamard_of_register(_mm256_loadu_ps(x + i)));

	/* two steps at a time */
	for (; 4 * half <= n; half *= 4)
	{
		for (uint32 from = 0; from < n; from += 4 * half)
		{
			for (uint32 i = from; i < from + half; i += FLOATS)
			{
				__m256		quarters[4];

				for (uint32 k = 0; k < 4; k++)
					quarters[k] = _mm256_loadu_ps(x + i + k * half);
				butterfly(&quarters[0], &quarters[1]);
				butterfly(&quarters[2], &quarters[3]);
				butterfly(&quarters[0], &quarters[2]);
				butterfly(&quarters[1], &quarters[3]);
				for (uint32 k = 0; k < 4; k++)
					_mm256_storeu_ps(x + i + k * half, quarters[k]);
			}
		}
	}
	for (uint32 i = 0; half < n && i < half; i += FLOATS)
	{
		__m256		low = _mm256_loadu_ps(x + i);
		__m256		high = _mm256_loadu_ps(x + i + half);

		butterfly(&low, &high);
		_mm256_storeu_ps(x + i, low);
		_mm256_storeu_ps(x + i + half, high);
	}
}

/*
 * Entries of 16 records at a time, as a scan of tables in registers (Andre et al., "Cache locality
 * is not enough", VLDB 2015): one shuffle looks up the low halves of a byte of all of
 * them in one table, and the high halves in the next.  For that the records' bytes are transposed.
 */
#define ROWS 16

/* 16 bytes of each of 16 records -> of each place the bytes of all records. */
AVX2 static inline void
transpose_bytes(__m128i rows[ROWS])
{
	__m128i		other[ROWS];

	/* four times the same step: rows i and i + 8 are interleaved */
	for (int step = 0; step < 4; step++)
	{
		for (int i = 0; i < ROWS / 2; i++)
		{
			other[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + ROWS / 2]);
			other[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + ROWS / 2]);
		}
		memcpy(rows, other, sizeof(other));
	}
}

/* 16 bytes of a record, or those there are, then zeros. */
AVX2 static inline __m128i
load_row(const uint8 *bytes, uint32 n)
{
	uint8		padded[ROWS] = {0};

	if (n >= ROWS)
		return _mm_loadu_si128((const __m128i *) bytes);
	memcpy(padded, bytes, n);
	return _mm_loadu_si128((const __m128i *) padded);
}

/* Sums over the tables for 16 records. */
AVX2 static void
avx2_product_sums(const uint8 *tables, uint32 n_bytes, const uint8 *const *records, uint32 sums[ROWS])
{
	const __m256i nibble = _mm256_set1_epi8(0x0f);
	const __m256i high_half = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
	const __m256i even = _mm256_set1_epi16(0xff);

	memset(sums, 0, sizeof(uint32) * ROWS);
	for (uint32 from = 0; from < n_bytes; from += ROWS)
	{
		uint32		n = Min(n_bytes - from, ROWS);
		__m128i		rows[ROWS];
		__m256i		even_sums = _mm256_setzero_si256();
		__m256i		odd_sums = _mm256_setzero_si256();
		uint16		parts[4 * ROWS / 2];

		for (int k = 0; k < ROWS; k++)
			rows[k] = load_row(records[k] + from, n);
		transpose_bytes(rows);
		for (uint32 j = 0; j < n; j++)
		{
			__m256i		table = _mm256_load_si256((const __m256i *) (tables + 32 * (from + j)));
			__m256i		halves = _mm256_and_si256(_mm256_srlv_epi32(_mm256_broadcastsi128_si256(rows[j]),
																	high_half), nibble);
			__m256i		found = _mm256_shuffle_epi8(table, halves);

			even_sums = _mm256_add_epi16(even_sums, _mm256_and_si256(found, even));
			odd_sums = _mm256_add_epi16(odd_sums, _mm256_srli_epi16(found, 8));
		}
		_mm256_storeu_si256((__m256i *) parts, even_sums);
		_mm256_storeu_si256((__m256i *) (parts + ROWS), odd_sums);
		for (int k = 0; k < ROWS; k++)
		{
			const uint16 *part = parts + (k % 2) * ROWS + k / 2;

			sums[k] += (uint32) part[0] + part[ROWS / 2];
		}
	}
}

AVX2 static void
avx2_product_keys_4(const OmenProductQuery *q, const uint8 *tables, uint32 n_bytes, int n,
					const uint8 *const *records, float *out)
{
	for (int i = 0; i < n; i += ROWS)
	{
		int			n_rows = Min(n - i, ROWS);
		const uint8 *rows[ROWS];
		uint32		sums[ROWS];

		if (n_rows < ROWS / 4)
		{
			scalar_product_keys_4(q, tables, n_bytes, n_rows, records + i, out + i);
			continue;
		}
		for (int k = 0; k < ROWS; k++)
			rows[k] = records[i + Min(k, n_rows - 1)];
		avx2_product_sums(tables, n_bytes, rows, sums);
		for (int k = 0; k < n_rows; k++)
			out[i + k] = product_key(q, sums[k]);
	}
}

const OmenSketchKernels omen_sketch_kernels_avx2 = {
	.low_bit_keys = avx2_low_bit_keys,
	.product_keys_8 = scalar_product_keys_8,
	.product_keys_4 = avx2_product_keys_4,
	.entries_l2 = avx2_entries_l2,
	.entries_ip = avx2_entries_ip,
	.hadamard = avx2_hadamard
};

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

DEFINE_LOW_BIT_KEYS(AVX512, avx512)
DEFINE_ENTRIES(AVX512, avx512, Entries16)

const OmenSketchKernels omen_sketch_kernels_avx512 = {
	.low_bit_keys = avx512_low_bit_keys,
	.product_keys_8 = scalar_product_keys_8,
	.product_keys_4 = avx2_product_keys_4,
	.entries_l2 = avx512_entries_l2,
	.entries_ip = avx512_entries_ip,
	.hadamard = avx2_hadamard
};

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
DEFINE_LOW_BIT_KEYS( /* everywhere */ , neon)

const OmenSketchKernels omen_sketch_kernels_neon = {
	.low_bit_keys = neon_low_bit_keys,
	.product_keys_8 = scalar_product_keys_8,
	.product_keys_4 = scalar_product_keys_4,
	.entries_l2 = scalar_entries_l2,
	.entries_ip = scalar_entries_ip,
	.hadamard = scalar_hadamard
};

#ifdef OMEN_HAVE_NEON_DOT_KERNELS

#define NEON_DOT OMEN_TARGET("arch=armv8.2-a+dotprod")

NEON_DOT static inline int32x4_t
neon_dot_add_products(int32x4_t sum, int8x16_t levels, int8x16_t query)
{
	return vdotq_s32(sum, levels, query);
}

DEFINE_NEON_DOT4(NEON_DOT, neon_dot)
DEFINE_LOW_BIT_KEYS(NEON_DOT, neon_dot)

const OmenSketchKernels omen_sketch_kernels_neon_dot = {
	.low_bit_keys = neon_dot_low_bit_keys,
	.product_keys_8 = scalar_product_keys_8,
	.product_keys_4 = scalar_product_keys_4,
	.entries_l2 = scalar_entries_l2,
	.entries_ip = scalar_entries_ip,
	.hadamard = scalar_hadamard
};

#endif							/* OMEN_HAVE_NEON_DOT_KERNELS */

#endif							/* OMEN_HAVE_NEON_KERNELS */
