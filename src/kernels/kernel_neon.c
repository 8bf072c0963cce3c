/*-------------------------------------------------------------------------
 *
 * kernel_neon.c
 *	  The kernels for 64-bit ARM: "neon", and "neon_dot" with dot products.
 *
 * Every such CPU has NEON; those of ARMv8.2 and later mostly have the dot
 * product instructions too.  The two tables differ in dot_u8s8 and dot4_u8s8
 * only.
 *
 * NEON brings fused multiply-add with it: here equal bits need the
 * -ffp-contract=off of the build, and the unit test would notice its loss.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_variants.h"

#ifdef OMEN_HAVE_NEON_KERNELS

#include <arm_neon.h>

#define FLOATS 4				/* in a register */
#define BYTES 16

/* ----------------------------------------------------------------
 * Exact vectors.  Four sums at a time hide the latency of the
 * additions; the last few elements come from a padded copy.
 * ----------------------------------------------------------------
 */

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

/* The first k < FLOATS elements, then zeros. */
static inline float32x4_t
load_first_floats(const float *x, uint32 k)
{
	float		padded[FLOATS] = {0};

	for (uint32 i = 0; i < k; i++)
		padded[i] = x[i];
	return vld1q_f32(padded);
}

/* The loop around one of the add_… functions above. */
#define DEFINE_F32_KERNEL(name, add_terms) \
static float \
name(const float *a, const float *b, uint32 n) \
{ \
	float32x4_t sum0 = vdupq_n_f32(0); \
	float32x4_t sum1 = vdupq_n_f32(0); \
	float32x4_t sum2 = vdupq_n_f32(0); \
	float32x4_t sum3 = vdupq_n_f32(0); \
	\
	for (; n >= 4 * FLOATS; n -= 4 * FLOATS) \
	{ \
		sum0 = add_terms(sum0, vld1q_f32(a), vld1q_f32(b)); \
		sum1 = add_terms(sum1, vld1q_f32(a + FLOATS), vld1q_f32(b + FLOATS)); \
		sum2 = add_terms(sum2, vld1q_f32(a + 2 * FLOATS), vld1q_f32(b + 2 * FLOATS)); \
		sum3 = add_terms(sum3, vld1q_f32(a + 3 * FLOATS), vld1q_f32(b + 3 * FLOATS)); \
		a += 4 * FLOATS; \
		b += 4 * FLOATS; \
	} \
	for (; n >= FLOATS; n -= FLOATS) \
	{ \
		sum0 = add_terms(sum0, vld1q_f32(a), vld1q_f32(b)); \
		a += FLOATS; \
		b += FLOATS; \
	} \
	if (n > 0) \
		sum1 = add_terms(sum1, load_first_floats(a, n), load_first_floats(b, n)); \
	return vaddvq_f32(vaddq_f32(vaddq_f32(sum0, sum1), vaddq_f32(sum2, sum3))); \
}

DEFINE_F32_KERNEL(neon_l2_squared_f32, add_l2_terms)
DEFINE_F32_KERNEL(neon_inner_product_f32, add_products)
DEFINE_F32_KERNEL(neon_l1_f32, add_l1_terms)

static void
neon_cosine_terms_f32(const float *a, const float *b, uint32 n,
					  float *ab, float *aa, float *bb)
{
	float32x4_t sum_ab[4];
	float32x4_t sum_aa[4];
	float32x4_t sum_bb[4];

	for (int k = 0; k < 4; k++)
		sum_ab[k] = sum_aa[k] = sum_bb[k] = vdupq_n_f32(0);

	for (; n >= 4 * FLOATS; n -= 4 * FLOATS)
	{
		for (int k = 0; k < 4; k++)
		{
			float32x4_t x = vld1q_f32(a + k * FLOATS);
			float32x4_t y = vld1q_f32(b + k * FLOATS);

			sum_ab[k] = vfmaq_f32(sum_ab[k], x, y);
			sum_aa[k] = vfmaq_f32(sum_aa[k], x, x);
			sum_bb[k] = vfmaq_f32(sum_bb[k], y, y);
		}
		a += 4 * FLOATS;
		b += 4 * FLOATS;
	}
	for (int k = 0; n > 0; k++)
	{
		uint32		step = Min(n, FLOATS);
		float32x4_t x = load_first_floats(a, step);
		float32x4_t y = load_first_floats(b, step);

		sum_ab[k] = vfmaq_f32(sum_ab[k], x, y);
		sum_aa[k] = vfmaq_f32(sum_aa[k], x, x);
		sum_bb[k] = vfmaq_f32(sum_bb[k], y, y);
		a += step;
		b += step;
		n -= step;
	}
	*ab = vaddvq_f32(vaddq_f32(vaddq_f32(sum_ab[0], sum_ab[1]),
							   vaddq_f32(sum_ab[2], sum_ab[3])));
	*aa = vaddvq_f32(vaddq_f32(vaddq_f32(sum_aa[0], sum_aa[1]),
							   vaddq_f32(sum_aa[2], sum_aa[3])));
	*bb = vaddvq_f32(vaddq_f32(vaddq_f32(sum_bb[0], sum_bb[1]),
							   vaddq_f32(sum_bb[2], sum_bb[3])));
}

/* ----------------------------------------------------------------
 * Code against code, by widening to 16 bits.
 * ----------------------------------------------------------------
 */

/* The elements after the last whole register, for all variants. */
static inline int32
dot_tail(const uint8 *code, const int8 *query, uint32 from, uint32 n)
{
	int32		sum = 0;

	for (uint32 i = from; i < n; i++)
		sum += (int32) code[i] * (int32) query[i];
	return sum;
}

static inline int32x4_t
add_dot(int32x4_t sum, const uint8 *code, int16x8_t query_low, int16x8_t query_high)
{
	uint8x16_t	bytes = vld1q_u8(code);
	int16x8_t	low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
	int16x8_t	high = vreinterpretq_s16_u16(vmovl_high_u8(bytes));

	sum = vmlal_s16(sum, vget_low_s16(low), vget_low_s16(query_low));
	sum = vmlal_high_s16(sum, low, query_low);
	sum = vmlal_s16(sum, vget_low_s16(high), vget_low_s16(query_high));
	return vmlal_high_s16(sum, high, query_high);
}

static int32
neon_dot_u8s8(const uint8 *code, const int8 *query, uint32 n)
{
	int32x4_t	sum = vdupq_n_s32(0);
	uint32		i;

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		int8x16_t	bytes = vld1q_s8(query + i);

		sum = add_dot(sum, code + i, vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
	}
	return vaddvq_s32(sum) + dot_tail(code, query, i, n);
}

static void
neon_dot4_u8s8(const uint8 *const codes[4], const int8 *query, uint32 n,
			   int32 out[4])
{
	int32x4_t	sum0 = vdupq_n_s32(0);
	int32x4_t	sum1 = vdupq_n_s32(0);
	int32x4_t	sum2 = vdupq_n_s32(0);
	int32x4_t	sum3 = vdupq_n_s32(0);
	uint32		i;

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		int8x16_t	bytes = vld1q_s8(query + i);
		int16x8_t	low = vmovl_s8(vget_low_s8(bytes));
		int16x8_t	high = vmovl_high_s8(bytes);

		sum0 = add_dot(sum0, codes[0] + i, low, high);
		sum1 = add_dot(sum1, codes[1] + i, low, high);
		sum2 = add_dot(sum2, codes[2] + i, low, high);
		sum3 = add_dot(sum3, codes[3] + i, low, high);
	}
	out[0] = vaddvq_s32(sum0) + dot_tail(codes[0], query, i, n);
	out[1] = vaddvq_s32(sum1) + dot_tail(codes[1], query, i, n);
	out[2] = vaddvq_s32(sum2) + dot_tail(codes[2], query, i, n);
	out[3] = vaddvq_s32(sum3) + dot_tail(codes[3], query, i, n);
}

#ifdef OMEN_HAVE_NEON_DOT_KERNELS

/* ----------------------------------------------------------------
 * Code against code by the signed dot product.  Codes are unsigned:
 * flipping the highest bit gives code - 128 as a signed byte, and
 *		sum(code * query) = sum((code - 128) * query) + 128 * sum(query).
 * ----------------------------------------------------------------
 */
#define NEON_DOT OMEN_TARGET("arch=armv8.2-a+dotprod")

NEON_DOT static inline int32x4_t
add_signed_dot(int32x4_t sum, const uint8 *code, int8x16_t query)
{
	uint8x16_t	flipped = veorq_u8(vld1q_u8(code), vdupq_n_u8(0x80));

	return vdotq_s32(sum, vreinterpretq_s8_u8(flipped), query);
}

NEON_DOT static int32
neon_dot_dot_u8s8(const uint8 *code, const int8 *query, uint32 n)
{
	int32x4_t	sum = vdupq_n_s32(0);
	int32x4_t	query_sum = vdupq_n_s32(0);
	uint32		i;

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		int8x16_t	bytes = vld1q_s8(query + i);

		sum = add_signed_dot(sum, code + i, bytes);
		query_sum = vdotq_s32(query_sum, bytes, vdupq_n_s8(1));
	}
	sum = vaddq_s32(sum, vshlq_n_s32(query_sum, 7));
	return vaddvq_s32(sum) + dot_tail(code, query, i, n);
}

NEON_DOT static void
neon_dot_dot4_u8s8(const uint8 *const codes[4], const int8 *query, uint32 n,
				   int32 out[4])
{
	int32x4_t	sum0 = vdupq_n_s32(0);
	int32x4_t	sum1 = vdupq_n_s32(0);
	int32x4_t	sum2 = vdupq_n_s32(0);
	int32x4_t	sum3 = vdupq_n_s32(0);
	int32x4_t	query_sum = vdupq_n_s32(0);
	uint32		i;

	for (i = 0; n - i >= BYTES; i += BYTES)
	{
		int8x16_t	bytes = vld1q_s8(query + i);

		sum0 = add_signed_dot(sum0, codes[0] + i, bytes);
		sum1 = add_signed_dot(sum1, codes[1] + i, bytes);
		sum2 = add_signed_dot(sum2, codes[2] + i, bytes);
		sum3 = add_signed_dot(sum3, codes[3] + i, bytes);
		query_sum = vdotq_s32(query_sum, bytes, vdupq_n_s8(1));
	}
	query_sum = vshlq_n_s32(query_sum, 7);
	out[0] = vaddvq_s32(vaddq_s32(sum0, query_sum)) + dot_tail(codes[0], query, i, n);
	out[1] = vaddvq_s32(vaddq_s32(sum1, query_sum)) + dot_tail(codes[1], query, i, n);
	out[2] = vaddvq_s32(vaddq_s32(sum2, query_sum)) + dot_tail(codes[2], query, i, n);
	out[3] = vaddvq_s32(vaddq_s32(sum3, query_sum)) + dot_tail(codes[3], query, i, n);
}

#endif							/* OMEN_HAVE_NEON_DOT_KERNELS */

/* ----------------------------------------------------------------
 * Float query against code: the 16 lanes in four registers, one
 * rounding per operation, as in kernel_scalar.c.
 * ----------------------------------------------------------------
 */

/* Decode the four codes in 32-bit places. */
static inline float32x4_t
decode_sq8(uint32x4_t codes, float32x4_t offset, float32x4_t step)
{
	return vaddq_f32(offset, vmulq_f32(step, vcvtq_f32_u32(codes)));
}

static inline float32x4_t
l2_terms(float32x4_t a, float32x4_t b)
{
	float32x4_t difference = vsubq_f32(a, b);

	return vmulq_f32(difference, difference);
}

static inline float32x4_t
products(float32x4_t a, float32x4_t b)
{
	return vmulq_f32(a, b);
}

static inline float32x4_t
l1_terms(float32x4_t a, float32x4_t b)
{
	return vabdq_f32(a, b);
}

/* Lane j takes in j + 8, then j + 4, j + 2, j + 1. */
static inline float
fold_lanes(const float32x4_t sum[4])
{
	float32x4_t four = vaddq_f32(vaddq_f32(sum[0], sum[2]), vaddq_f32(sum[1], sum[3]));
	float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));

	return vget_lane_f32(vpadd_f32(two, two), 0);
}

/*
 * The loop around one of the functions above.  The tail goes through memory,
 * lane by lane, with terms computed for a padded copy.
 */
#define DEFINE_SQ8_KERNEL(name, terms) \
static inline void \
name##_block(const float *query, const uint8 *code, \
			 float32x4_t offset, float32x4_t step, float32x4_t out[4]) \
{ \
	uint8x16_t	bytes = vld1q_u8(code); \
	uint16x8_t	low = vmovl_u8(vget_low_u8(bytes)); \
	uint16x8_t	high = vmovl_high_u8(bytes); \
	\
	out[0] = terms(vld1q_f32(query), \
				   decode_sq8(vmovl_u16(vget_low_u16(low)), offset, step)); \
	out[1] = terms(vld1q_f32(query + FLOATS), \
				   decode_sq8(vmovl_high_u16(low), offset, step)); \
	out[2] = terms(vld1q_f32(query + 2 * FLOATS), \
				   decode_sq8(vmovl_u16(vget_low_u16(high)), offset, step)); \
	out[3] = terms(vld1q_f32(query + 3 * FLOATS), \
				   decode_sq8(vmovl_high_u16(high), offset, step)); \
} \
\
static float \
name(const float *query, const uint8 *code, float offset, float step, uint32 n) \
{ \
	float32x4_t offsets = vdupq_n_f32(offset); \
	float32x4_t steps = vdupq_n_f32(step); \
	float32x4_t sum[4]; \
	float32x4_t block[4]; \
	\
	for (int k = 0; k < 4; k++) \
		sum[k] = vdupq_n_f32(0); \
	for (; n >= OMEN_LANES; n -= OMEN_LANES) \
	{ \
		name##_block(query, code, offsets, steps, block); \
		for (int k = 0; k < 4; k++) \
			sum[k] = vaddq_f32(sum[k], block[k]); \
		query += OMEN_LANES; \
		code += OMEN_LANES; \
	} \
	if (n > 0) \
	{ \
		float		padded_query[OMEN_LANES] = {0}; \
		uint8		padded_code[OMEN_LANES] = {0}; \
		float		lanes[OMEN_LANES]; \
		\
		memcpy(padded_query, query, n * sizeof(float)); \
		memcpy(padded_code, code, n); \
		name##_block(padded_query, padded_code, offsets, steps, block); \
		for (int k = 0; k < 4; k++) \
			vst1q_f32(lanes + k * FLOATS, block[k]); \
		memset(lanes + n, 0, (OMEN_LANES - n) * sizeof(float)); \
		for (int k = 0; k < 4; k++) \
			sum[k] = vaddq_f32(sum[k], vld1q_f32(lanes + k * FLOATS)); \
	} \
	return fold_lanes(sum); \
}

DEFINE_SQ8_KERNEL(neon_l2_squared_sq8, l2_terms)
DEFINE_SQ8_KERNEL(neon_inner_product_sq8, products)
DEFINE_SQ8_KERNEL(neon_l1_sq8, l1_terms)

/* ----------------------------------------------------------------
 * Keys of floats and halves: in four registers, as above.
 * ----------------------------------------------------------------
 */

static inline float32x4_t
zero_floats(void)
{
	return vdupq_n_f32(0);
}

static inline float32x4_t
load_halves(const OmenHalf *x)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

#define FLOAT_KEYS_L2_F32 neon_l2_keys_f32
#define FLOAT_KEYS_IP_F32 neon_ip_keys_f32
#define FLOAT_KEYS_L1_F32 neon_l1_keys_f32
#define FLOAT_KEYS_L2_F16 neon_l2_keys_f16
#define FLOAT_KEYS_IP_F16 neon_ip_keys_f16
#define FLOAT_KEYS_L1_F16 neon_l1_keys_f16
#define FLOAT_KEYS_REGISTER float32x4_t
#define FLOAT_KEYS_ZERO zero_floats
#define FLOAT_KEYS_LOAD vld1q_f32
#define FLOAT_KEYS_ADD vaddq_f32
#define FLOAT_KEYS_FOLD(parts) fold_lanes(parts)
#define FLOAT_KEYS_TARGET
#include "src/kernels/kernel_float_keys.h"

#define SQ8_KEYS_L2 neon_l2_keys_sq8
#define SQ8_KEYS_IP neon_ip_keys_sq8
#define SQ8_DECODE_FINE neon_decode_fine_sq8
#define SQ8_KEYS_DOT4 neon_dot4_u8s8
#define SQ8_KEYS_TARGET
#include "src/kernels/kernel_sq8_keys.h"

const OmenKernels omen_kernels_neon = {
	.name = "neon",
	.l2_squared_f32 = neon_l2_squared_f32,
	.inner_product_f32 = neon_inner_product_f32,
	.l1_f32 = neon_l1_f32,
	.cosine_terms_f32 = neon_cosine_terms_f32,
	.dot_u8s8 = neon_dot_u8s8,
	.dot4_u8s8 = neon_dot4_u8s8,
	.l2_keys_sq8 = neon_l2_keys_sq8,
	.ip_keys_sq8 = neon_ip_keys_sq8,
	.insert_sorted = omen_insert_sorted_scalar,
	.l2_squared_sq8 = neon_l2_squared_sq8,
	.inner_product_sq8 = neon_inner_product_sq8,
	.l1_sq8 = neon_l1_sq8,
	.decode_fine_sq8 = neon_decode_fine_sq8,
	.l2_keys_f32 = neon_l2_keys_f32,
	.ip_keys_f32 = neon_ip_keys_f32,
	.l1_keys_f32 = neon_l1_keys_f32,
	.l2_keys_f16 = neon_l2_keys_f16,
	.ip_keys_f16 = neon_ip_keys_f16,
	.l1_keys_f16 = neon_l1_keys_f16,
	.half = &omen_half_kernels_neon,
	.bits = &omen_bit_kernels_neon,
	.sketch = &omen_sketch_kernels_neon
};

#ifdef OMEN_HAVE_NEON_DOT_KERNELS

#define SQ8_KEYS_L2 neon_dot_l2_keys_sq8
#define SQ8_KEYS_IP neon_dot_ip_keys_sq8
#define SQ8_DECODE_FINE neon_dot_decode_fine_sq8
#define SQ8_KEYS_DOT4 neon_dot_dot4_u8s8
#define SQ8_KEYS_TARGET NEON_DOT
#include "src/kernels/kernel_sq8_keys.h"

const OmenKernels omen_kernels_neon_dot = {
	.name = "neon_dot",
	.l2_squared_f32 = neon_l2_squared_f32,
	.inner_product_f32 = neon_inner_product_f32,
	.l1_f32 = neon_l1_f32,
	.cosine_terms_f32 = neon_cosine_terms_f32,
	.dot_u8s8 = neon_dot_dot_u8s8,
	.dot4_u8s8 = neon_dot_dot4_u8s8,
	.l2_keys_sq8 = neon_dot_l2_keys_sq8,
	.ip_keys_sq8 = neon_dot_ip_keys_sq8,
	.insert_sorted = omen_insert_sorted_scalar,
	.l2_squared_sq8 = neon_l2_squared_sq8,
	.inner_product_sq8 = neon_inner_product_sq8,
	.l1_sq8 = neon_l1_sq8,
	.decode_fine_sq8 = neon_dot_decode_fine_sq8,
	.l2_keys_f32 = neon_l2_keys_f32,
	.ip_keys_f32 = neon_ip_keys_f32,
	.l1_keys_f32 = neon_l1_keys_f32,
	.l2_keys_f16 = neon_l2_keys_f16,
	.ip_keys_f16 = neon_ip_keys_f16,
	.l1_keys_f16 = neon_l1_keys_f16,
	.half = &omen_half_kernels_neon,
	.bits = &omen_bit_kernels_neon,
	.sketch = &omen_sketch_kernels_neon_dot
};

#endif
#endif							/* OMEN_HAVE_NEON_KERNELS */
