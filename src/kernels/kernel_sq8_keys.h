/*-------------------------------------------------------------------------
 *
 * kernel_sq8_keys.h
 *	  Template of the kernels of 8-bit codes that need no intrinsics.
 *
 * Included once for each variant (like lib/simplehash.h), with
 *
 *	SQ8_KEYS_L2, SQ8_KEYS_IP, SQ8_DECODE_FINE	names of the functions to define
 *	SQ8_KEYS_DOT4				the variant's dot4_u8s8, which is inlined
 *	SQ8_KEYS_TARGET				its instruction sets, as a function attribute
 *
 * Four keys' arithmetic goes side by side, in vectors of the compiler: it
 * makes of them what the instruction sets offer, as of the loop that decodes.
 * Each operation rounds on its own, so all variants have the same bits.
 *
 *-------------------------------------------------------------------------
 */
#define SQ8_KEYS_NAME_(a, b) a ## _ ## b
#define SQ8_KEYS_NAME(a, b) SQ8_KEYS_NAME_(a, b)
#define SQ8_FOUR_KEYS SQ8_KEYS_NAME(SQ8_KEYS_L2, four)
#define SQ8_ALL_KEYS SQ8_KEYS_NAME(SQ8_KEYS_L2, all)

#ifndef OMEN_KERNEL_SQ8_KEYS_TYPES
#define OMEN_KERNEL_SQ8_KEYS_TYPES

typedef float Sq8Float4 __attribute__((vector_size(16)));
typedef int32 Sq8Int4 __attribute__((vector_size(16)));
typedef double Sq8Double4 __attribute__((vector_size(32)));
typedef int64 Sq8Mask4 __attribute__((vector_size(32)));

#define SQ8_DOUBLES(four) __builtin_convertvector(four, Sq8Double4)

#endif

/*
 * Keys of four records: squared distances or negated inner products of decoded
 * vectors.  A code's is oc + sc * c, the query's oq + sq * d; sums of codes and
 * of their squares are below 2^31, and the sum of c * d comes from the dot
 * product with the query's code less 128.
 */
SQ8_KEYS_TARGET static pg_attribute_always_inline void
SQ8_FOUR_KEYS(const OmenSq8Query *q, const int8 *query_code, uint32 n_bytes,
			  const void *const *factors, const uint8 *const *codes, float *out, bool is_l2)
{
	const OmenSq8Record *a = factors[0];
	const OmenSq8Record *b = factors[1];
	const OmenSq8Record *c = factors[2];
	const OmenSq8Record *d = factors[3];
	Sq8Double4	offset = SQ8_DOUBLES(((Sq8Float4) {a->offset, b->offset, c->offset, d->offset}));
	Sq8Double4	step = SQ8_DOUBLES(((Sq8Float4) {a->step, b->step, c->step, d->step}));
	Sq8Double4	sum = SQ8_DOUBLES(((Sq8Int4) {a->sum, b->sum, c->sum, d->sum}));
	Sq8Double4	sum_sq = SQ8_DOUBLES(((Sq8Int4) {a->sum_sq, b->sum_sq, c->sum_sq, d->sum_sq}));
	Sq8Double4	cross_sum;
	Sq8Double4	key;
	Sq8Float4	keys;
	int32		dots[4];

	SQ8_KEYS_DOT4(codes, query_code, n_bytes, dots);
	cross_sum = SQ8_DOUBLES(((Sq8Int4) {dots[0], dots[1], dots[2], dots[3]})) + 128.0 * sum;
	if (is_l2)
	{
		/*
		 * With D = oc - oq the sum of (D + sc * c - sq * d)^2, multiplied
		 * out:
		 *
		 * dims D^2 + 2 D (sc sum(c) - sq sum(d)) + sc^2 sum(c^2) + sq^2
		 * sum(d^2) - 2 sc sq sum(c d)
		 */
		Sq8Double4	offset_diff = offset - q->offset;
		Sq8Double4	sum_diff = step * sum - q->scaled_sum;

		key = offset_diff * (q->dims * offset_diff + (sum_diff + sum_diff));
		key += step * (step * sum_sq - q->twice_step * cross_sum);
		key += q->scaled_sum_sq;
		key *= q->scale;

		/* rounding may leave it just below 0: then 0 */
		key = (Sq8Double4) ((Sq8Mask4) key & (key > 0.0));
	}
	else
	{
		/* the sum of (oc + sc * c) * (oq + sq * d), multiplied out */
		key = q->component_sum * offset;
		key += step * (q->offset * sum + q->step * cross_sum);
		key = -key;
	}
	keys = __builtin_convertvector(key, Sq8Float4);
	memcpy(out, &keys, sizeof(keys));
}

/* Keys of n records; is_l2 is a constant, so this becomes two functions. */
SQ8_KEYS_TARGET static pg_attribute_always_inline void
SQ8_ALL_KEYS(const OmenSq8Query *q, const int8 *query_code, uint32 n_bytes, int n,
			 const void *const *factors, const uint8 *const *codes, float *out, bool is_l2)
{
	const void *rest_factors[4];
	const uint8 *rest_codes[4];
	float		rest[4];
	int			i;
	int			j;

	for (i = 0; i + 4 <= n; i += 4)
		SQ8_FOUR_KEYS(q, query_code, n_bytes, factors + i, codes + i, out + i, is_l2);
	if (i == n)
		return;

	/* the last ones, filled up with the last of them */
	for (j = 0; j < 4; j++)
	{
		rest_factors[j] = factors[Min(i + j, n - 1)];
		rest_codes[j] = codes[Min(i + j, n - 1)];
	}
	SQ8_FOUR_KEYS(q, query_code, n_bytes, rest_factors, rest_codes, rest, is_l2);
	memcpy(out + i, rest, sizeof(float) * (n - i));
}

SQ8_KEYS_TARGET static void
SQ8_KEYS_L2(const OmenSq8Query *q, const int8 *query_code, uint32 n_bytes, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	SQ8_ALL_KEYS(q, query_code, n_bytes, n, factors, codes, out, true);
}

SQ8_KEYS_TARGET static void
SQ8_KEYS_IP(const OmenSq8Query *q, const int8 *query_code, uint32 n_bytes, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	SQ8_ALL_KEYS(q, query_code, n_bytes, n, factors, codes, out, false);
}

/* One product, one sum: where the fine code is 128, the number is the same as without it. */
SQ8_KEYS_TARGET static void
SQ8_DECODE_FINE(const uint8 *code, const uint8 *fine, float offset, float fine_step, uint32 n, float *out)
{
	for (uint32 i = 0; i < n; i++)
	{
		float		product = fine_step * (float) ((int32) code[i] * 256 + fine[i] - 128);

		out[i] = offset + product;
	}
}

#undef SQ8_KEYS_NAME_
#undef SQ8_KEYS_NAME
#undef SQ8_FOUR_KEYS
#undef SQ8_ALL_KEYS
#undef SQ8_KEYS_L2
#undef SQ8_KEYS_IP
#undef SQ8_DECODE_FINE
#undef SQ8_KEYS_DOT4
#undef SQ8_KEYS_TARGET
