/*-------------------------------------------------------------------------
 *
 * kernel_scalar.c
 *	  The definition of every kernel, in plain C.
 *
 * The other variants are tested against this file, so it is written to be
 * read.  All sums of floats are kept in OMEN_LANES interleaved parts (element
 * i goes to part i % OMEN_LANES) which are folded at the end by halves: lane
 * j takes in lane j + 8, then j + 4, j + 2, j + 1.  That is what a vector
 * unit would do, it is more accurate than one long sum, and compilers
 * vectorise it with what every CPU of the architecture has.
 *
 * For the *_sq8 kernels and the keys this order is the promise itself, and so is that
 * every multiplication and every addition rounds on its own (the build passes
 * -ffp-contract=off).
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>

#include "src/kernels/kernel_variants.h"

/* Add up the interleaved sums; destroys them. */
static float
fold_lanes(float *sum)
{
	for (int half = OMEN_LANES / 2; half > 0; half /= 2)
	{
		for (int lane = 0; lane < half; lane++)
			sum[lane] += sum[lane + half];
	}
	return sum[0];
}

/*
 * Run a statement for every element i with its lane.  The loop of constant
 * length, with an index that cannot wrap around, is what compilers turn into
 * vector instructions.
 */
#define FOR_EACH_ELEMENT(n, statement) \
	do { \
		size_t		base_ = 0; \
		for (; (n) - base_ >= OMEN_LANES; base_ += OMEN_LANES) \
		{ \
			for (size_t lane = 0; lane < OMEN_LANES; lane++) \
			{ \
				size_t		i = base_ + lane; \
				statement; \
			} \
		} \
		for (size_t lane = 0; lane < (n) - base_; lane++) \
		{ \
			size_t		i = base_ + lane; \
			statement; \
		} \
	} while (0)

static inline float
l2_term(float a, float b)
{
	float		difference = a - b;

	return difference * difference;
}

static inline float
l1_term(float a, float b)
{
	return fabsf(a - b);
}

static inline float
decode_sq8(uint8 code, float offset, float step)
{
	float		scaled = step * (float) code;

	return offset + scaled;
}

static float
scalar_l2_squared_f32(const float *a, const float *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l2_term(a[i], b[i]));
	return fold_lanes(sum);
}

static float
scalar_inner_product_f32(const float *a, const float *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += a[i] * b[i]);
	return fold_lanes(sum);
}

static float
scalar_l1_f32(const float *a, const float *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l1_term(a[i], b[i]));
	return fold_lanes(sum);
}

static void
scalar_cosine_terms_f32(const float *a, const float *b, uint32 n,
						float *ab, float *aa, float *bb)
{
	float		sum_ab[OMEN_LANES] = {0};
	float		sum_aa[OMEN_LANES] = {0};
	float		sum_bb[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n,
					 sum_ab[lane] += a[i] * b[i];
					 sum_aa[lane] += a[i] * a[i];
					 sum_bb[lane] += b[i] * b[i]);
	*ab = fold_lanes(sum_ab);
	*aa = fold_lanes(sum_aa);
	*bb = fold_lanes(sum_bb);
}

static int32
scalar_dot_u8s8(const uint8 *code, const int8 *query, uint32 n)
{
	int32		sum = 0;

	for (uint32 i = 0; i < n; i++)
		sum += (int32) code[i] * (int32) query[i];
	return sum;
}

static void
scalar_dot4_u8s8(const uint8 *const codes[4], const int8 *query, uint32 n,
				 int32 out[4])
{
	for (int k = 0; k < 4; k++)
		out[k] = scalar_dot_u8s8(codes[k], query, n);
}

static float
scalar_l2_squared_sq8(const float *query, const uint8 *code,
					  float offset, float step, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l2_term(query[i], decode_sq8(code[i], offset, step)));
	return fold_lanes(sum);
}

static float
scalar_inner_product_sq8(const float *query, const uint8 *code,
						 float offset, float step, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += query[i] * decode_sq8(code[i], offset, step));
	return fold_lanes(sum);
}

static float
scalar_l1_sq8(const float *query, const uint8 *code,
			  float offset, float step, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l1_term(query[i], decode_sq8(code[i], offset, step)));
	return fold_lanes(sum);
}

/* Keys of n codes, from the distance of one. */
#define DEFINE_FLOAT_KEYS(name, element, distance) \
static void \
name(const float *query, uint32 n_floats, int n, const uint8 *const *codes, float *out) \
{ \
	for (int k = 0; k < n; k++) \
		out[k] = distance(query, (const element *) codes[k], n_floats); \
}

static float
l2_squared_f16(const float *a, const OmenHalf *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l2_term(a[i], omen_half_to_float(b[i])));
	return fold_lanes(sum);
}

static float
inner_product_f16(const float *a, const OmenHalf *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += a[i] * omen_half_to_float(b[i]));
	return fold_lanes(sum);
}

static float
l1_f16(const float *a, const OmenHalf *b, uint32 n)
{
	float		sum[OMEN_LANES] = {0};

	FOR_EACH_ELEMENT(n, sum[lane] += l1_term(a[i], omen_half_to_float(b[i])));
	return fold_lanes(sum);
}

DEFINE_FLOAT_KEYS(scalar_l2_keys_f32, float, scalar_l2_squared_f32)
DEFINE_FLOAT_KEYS(scalar_ip_keys_f32, float, -scalar_inner_product_f32)
DEFINE_FLOAT_KEYS(scalar_l1_keys_f32, float, scalar_l1_f32)
DEFINE_FLOAT_KEYS(scalar_l2_keys_f16, OmenHalf, l2_squared_f16)
DEFINE_FLOAT_KEYS(scalar_ip_keys_f16, OmenHalf, -inner_product_f16)
DEFINE_FLOAT_KEYS(scalar_l1_keys_f16, OmenHalf, l1_f16)

/* Index of the first word that is greater than `word`. */
static inline uint32
find_sorted(const uint64 *sorted, uint32 n, uint64 word)
{
	const uint64 *base = sorted;

	/* halving; compilers make a branch of "?:", and its outcome is a coin's */
	while (n > 1)
	{
		uint32		half = n / 2;

		base += half & -(uint32) (base[half - 1] < word);
		n -= half;
	}
	return (uint32) (base - sorted) + (n == 1 && *base < word);
}

void
omen_insert_sorted_scalar(uint64 *sorted, uint32 n_sorted, const uint64 *words, uint32 n,
						  uint64 *fallen)
{
	for (uint32 i = 0; i < n; i++)
	{
		uint64		last = sorted[n_sorted - 1];
		uint32		at;

		if (fallen)
			fallen[i] = Max(last, words[i]);
		if (words[i] >= last)
			continue;
		at = find_sorted(sorted, n_sorted, words[i]);
		memmove(sorted + at + 1, sorted + at, sizeof(uint64) * (n_sorted - 1 - at));
		sorted[at] = words[i];
	}
}

#define SQ8_KEYS_L2 scalar_l2_keys_sq8
#define SQ8_KEYS_IP scalar_ip_keys_sq8
#define SQ8_DECODE_FINE scalar_decode_fine_sq8
#define SQ8_KEYS_DOT4 scalar_dot4_u8s8
#define SQ8_KEYS_TARGET
#include "src/kernels/kernel_sq8_keys.h"

const OmenKernels omen_kernels_scalar = {
	.name = "scalar",
	.l2_squared_f32 = scalar_l2_squared_f32,
	.inner_product_f32 = scalar_inner_product_f32,
	.l1_f32 = scalar_l1_f32,
	.cosine_terms_f32 = scalar_cosine_terms_f32,
	.dot_u8s8 = scalar_dot_u8s8,
	.dot4_u8s8 = scalar_dot4_u8s8,
	.l2_keys_sq8 = scalar_l2_keys_sq8,
	.ip_keys_sq8 = scalar_ip_keys_sq8,
	.insert_sorted = omen_insert_sorted_scalar,
	.l2_squared_sq8 = scalar_l2_squared_sq8,
	.inner_product_sq8 = scalar_inner_product_sq8,
	.l1_sq8 = scalar_l1_sq8,
	.decode_fine_sq8 = scalar_decode_fine_sq8,
	.l2_keys_f32 = scalar_l2_keys_f32,
	.ip_keys_f32 = scalar_ip_keys_f32,
	.l1_keys_f32 = scalar_l1_keys_f32,
	.l2_keys_f16 = scalar_l2_keys_f16,
	.ip_keys_f16 = scalar_ip_keys_f16,
	.l1_keys_f16 = scalar_l1_keys_f16,
	.half = &omen_half_kernels_scalar,
	.bits = &omen_bit_kernels_scalar,
	.sketch = &omen_sketch_kernels_scalar
};
