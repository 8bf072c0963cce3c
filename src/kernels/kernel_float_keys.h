/*-------------------------------------------------------------------------
 *
 * kernel_float_keys.h
 *	  Template of the keys of floats and halves, for variants with vectors.
 *
 * Included once for each variant (like lib/simplehash.h), which has l2_terms(),
 * products() and l1_terms() of two registers, load_halves(), and
 *
 *	FLOATS						in a register
 *	FLOAT_KEYS_REGISTER			its type
 *	FLOAT_KEYS_ZERO, _LOAD, _ADD	intrinsics
 *	FLOAT_KEYS_FOLD(parts)		folds the OMEN_LANES sums, in registers
 *	FLOAT_KEYS_TARGET			instruction sets, as a function attribute
 *	FLOAT_KEYS_L2_F32, ...		names of the functions to define
 *
 * Element i goes to lane i % OMEN_LANES, each operation rounds on its own, so
 * all variants have the bits of kernel_scalar.c.
 *
 *-------------------------------------------------------------------------
 */
#define FLOAT_KEYS_PARTS (OMEN_LANES / FLOATS)

/* Records side by side: four sums, so that additions need not wait for each other. */
#define FLOAT_KEYS_RECORDS (4 / FLOAT_KEYS_PARTS)

typedef enum FloatKey
{
	FLOAT_KEY_L2,
	FLOAT_KEY_IP,
	FLOAT_KEY_L1
} FloatKey;

/* FLOATS elements of a code from one on. */
FLOAT_KEYS_TARGET static pg_attribute_always_inline FLOAT_KEYS_REGISTER
float_keys_load(const uint8 *code, uint32 from, bool halves)
{
	if (halves)
		return load_halves((const OmenHalf *) code + from);
	return FLOAT_KEYS_LOAD((const float *) code + from);
}

FLOAT_KEYS_TARGET static pg_attribute_always_inline FLOAT_KEYS_REGISTER
float_keys_terms(FLOAT_KEYS_REGISTER a, FLOAT_KEYS_REGISTER b, FloatKey key)
{
	switch (key)
	{
		case FLOAT_KEY_L2:
			return l2_terms(a, b);
		case FLOAT_KEY_IP:
			return products(a, b);
		default:
			return l1_terms(a, b);
	}
}

/* Keys of FLOAT_KEYS_RECORDS records. */
FLOAT_KEYS_TARGET static pg_attribute_always_inline void
float_keys_some(const float *query, uint32 n_floats, const uint8 *const *codes, float *out,
				FloatKey key, bool halves)
{
	FLOAT_KEYS_REGISTER sums[FLOAT_KEYS_RECORDS][FLOAT_KEYS_PARTS];

	for (int r = 0; r < FLOAT_KEYS_RECORDS; r++)
		for (int p = 0; p < FLOAT_KEYS_PARTS; p++)
			sums[r][p] = FLOAT_KEYS_ZERO();

	for (uint32 i = 0; i < n_floats; i += OMEN_LANES)
	{
		for (int p = 0; p < FLOAT_KEYS_PARTS; p++)
		{
			uint32		from = i + p * FLOATS;
			FLOAT_KEYS_REGISTER of_query = FLOAT_KEYS_LOAD(query + from);

			for (int r = 0; r < FLOAT_KEYS_RECORDS; r++)
				sums[r][p] = FLOAT_KEYS_ADD(sums[r][p],
											float_keys_terms(of_query, float_keys_load(codes[r], from, halves), key));
		}
	}

	for (int r = 0; r < FLOAT_KEYS_RECORDS; r++)
	{
		float		sum = FLOAT_KEYS_FOLD(sums[r]);

		out[r] = key == FLOAT_KEY_IP ? -sum : sum;
	}
}

/* Keys of n records; key and halves are constants, so this becomes six functions. */
FLOAT_KEYS_TARGET static pg_attribute_always_inline void
float_keys_all(const float *query, uint32 n_floats, int n, const uint8 *const *codes, float *out,
			   FloatKey key, bool halves)
{
	const uint8 *rest_codes[FLOAT_KEYS_RECORDS];
	float		rest[FLOAT_KEYS_RECORDS];
	int			i;

	for (i = 0; i + FLOAT_KEYS_RECORDS <= n; i += FLOAT_KEYS_RECORDS)
		float_keys_some(query, n_floats, codes + i, out + i, key, halves);
	if (i >= n)
		return;

	/* the last ones, filled up with the last of them */
	for (int r = 0; r < FLOAT_KEYS_RECORDS; r++)
		rest_codes[r] = codes[Min(i + r, n - 1)];
	float_keys_some(query, n_floats, rest_codes, rest, key, halves);
	memcpy(out + i, rest, sizeof(float) * (n - i));
}

#define DEFINE_FLOAT_KEYS(name, key, halves) \
FLOAT_KEYS_TARGET static void \
name(const float *query, uint32 n_floats, int n, const uint8 *const *codes, float *out) \
{ \
	float_keys_all(query, n_floats, n, codes, out, key, halves); \
}

DEFINE_FLOAT_KEYS(FLOAT_KEYS_L2_F32, FLOAT_KEY_L2, false)
DEFINE_FLOAT_KEYS(FLOAT_KEYS_IP_F32, FLOAT_KEY_IP, false)
DEFINE_FLOAT_KEYS(FLOAT_KEYS_L1_F32, FLOAT_KEY_L1, false)
DEFINE_FLOAT_KEYS(FLOAT_KEYS_L2_F16, FLOAT_KEY_L2, true)
DEFINE_FLOAT_KEYS(FLOAT_KEYS_IP_F16, FLOAT_KEY_IP, true)
DEFINE_FLOAT_KEYS(FLOAT_KEYS_L1_F16, FLOAT_KEY_L1, true)
