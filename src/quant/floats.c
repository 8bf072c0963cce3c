/*-------------------------------------------------------------------------
 *
 * floats.c
 *	  Codes that keep each component: as a float, or as the nearest half.
 *
 * Floats lose nothing, but for the sign of zeros; halves lose a 2,000th of
 * each component, nothing if the vector was one of halves.  Components beyond
 * the range of halves become the largest of them: coarse, and the error says
 * how much.
 *
 * Keys are sums in float, in one fixed order (src/kernels/README.md).  A code
 * is padded with zeros to whole blocks of OMEN_LANES components, so that kernels
 * have no tails, and records whole cache lines.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/floats.h"

#include "src/quant/dense.h"

/* Written into pages as it is (struct of the format, version 1). */
typedef struct FloatsFactors
{
	float		norm;			/* of the decoded vector, rounded up */
	float		error;			/* norm of x - decoded(x), rounded up */
} FloatsFactors;

StaticAssertDecl(sizeof(FloatsFactors) == 8, "layout of the factors of floats and halves");

/* Head of a query; the vector follows, padded as codes are: floats_query_vector(). */
typedef struct FloatsQuery
{
	OmenDenseQuery dense;		/* for bounds */
} FloatsQuery;

#define FLOATS_QUERY_HEAD 64

StaticAssertDecl(sizeof(FloatsQuery) <= FLOATS_QUERY_HEAD, "head of a query of floats");

#define HALF_MAX 65504.0f

static inline float *
floats_query_vector(const OmenQuery *query)
{
	return (float *) ((char *) query + FLOATS_QUERY_HEAD);
}

static inline uint32
floats_padded_dims(const OmenCodec *codec)
{
	return TYPEALIGN(OMEN_LANES, codec->dims);
}

/* ---------- encoding ---------- */

/* Components from .. from + n of a code. */
static inline void
floats_unpack(const OmenCodec *codec, const uint8 *code, uint32 from, uint32 n, float *x)
{
	if (codec->kind == OMEN_CODE_HALF)
		omen_kernels->half->widen((const OmenHalf *) code + from, x, n);
	else
		memcpy(x, (const float *) code + from, n * sizeof(float));
}

/* No negative zeros: equal vectors are to have equal codes. */
static void
floats_pack_floats(const float *x, uint32 dims, float *code)
{
	uint32		i;

	for (i = 0; i < dims; i++)
		code[i] = x[i] + 0.0f;
}

static void
floats_pack_halves(const float *x, uint32 dims, OmenHalf *code)
{
	float		bounded[OMEN_PIECE_DIMS];
	uint32		from;
	uint32		i;

	for (from = 0; from < dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(dims - from, OMEN_PIECE_DIMS);

		for (i = 0; i < n; i++)
			bounded[i] = Min(Max(x[from + i], -HALF_MAX), HALF_MAX);
		omen_kernels->half->narrow(bounded, code + from, n);
	}
	for (i = 0; i < dims; i++)
		code[i] = code[i] == OMEN_HALF_SIGN ? 0 : code[i];
}

/* Norms of the decoded vector and of what it lacks. */
static void
floats_measure(const OmenCodec *codec, const float *x, const uint8 *code, FloatsFactors *factors)
{
	static const float zeros[OMEN_PIECE_DIMS];
	float		decoded[OMEN_PIECE_DIMS];
	double		norm_sq = 0;
	double		error = 0;
	uint32		from;

	for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

		floats_unpack(codec, code, from, n, decoded);
		norm_sq = omen_dense_add_differences(OMEN_METRIC_L2, norm_sq, decoded, zeros, n);
		error = omen_dense_add_differences(codec->metric, error, x + from, decoded, n);
	}
	factors->norm = omen_dense_round_up(omen_dense_norm_of_sum(OMEN_METRIC_L2, norm_sq));
	factors->error = omen_dense_round_up(omen_dense_norm_of_sum(codec->metric, error));
}

static void
floats_encode(const OmenCodec *codec, const void *x, void *factors, uint8 *code)
{
	uint32		n_bytes;

	if (codec->kind == OMEN_CODE_HALF)
	{
		floats_pack_halves(x, codec->dims, (OmenHalf *) code);
		n_bytes = codec->dims * sizeof(OmenHalf);
	}
	else
	{
		floats_pack_floats(x, codec->dims, (float *) code);
		n_bytes = codec->dims * sizeof(float);
	}
	memset(code + n_bytes, 0, codec->code_bytes - n_bytes);
	floats_measure(codec, x, code, factors);
}

static void
floats_decode(const OmenCodec *codec, const void *factors pg_attribute_unused(),
			  const uint8 *code, float *x)
{
	floats_unpack(codec, code, 0, codec->dims, x);
}

/* Both vectors lie around the same decoded one: the wider error holds for both. */
static void
floats_absorb(const OmenCodec *codec pg_attribute_unused(), void *factors, const void *other)
{
	FloatsFactors *f = factors;
	const FloatsFactors *o = other;

	f->error = Max(f->error, o->error);
}

static bool
floats_equal(const OmenCodec *codec, const void *factors_a pg_attribute_unused(), const uint8 *code_a,
			 const void *factors_b pg_attribute_unused(), const uint8 *code_b)
{
	return memcmp(code_a, code_b, codec->code_bytes) == 0;
}

/* ---------- queries and keys ---------- */

static void
floats_query_from_code(const OmenCodec *codec, OmenQuery *query,
					   const void *factors pg_attribute_unused(), const uint8 *code)
{
	floats_unpack(codec, code, 0, floats_padded_dims(codec), floats_query_vector(query));
}

static void
floats_query_from_vector(const OmenCodec *codec, OmenQuery *query, const void *x)
{
	float	   *vector = floats_query_vector(query);

	memcpy(vector, x, codec->dims * sizeof(float));
	memset(vector + codec->dims, 0, (floats_padded_dims(codec) - codec->dims) * sizeof(float));
	((FloatsQuery *) query)->dense = omen_dense_query(x, codec->dims);
}

static void
floats_keys_l2(const OmenCodec *codec, const OmenQuery *query, int n,
			   const void *const *factors pg_attribute_unused(),
			   const uint8 *const *codes, float *out)
{
	(codec->kind == OMEN_CODE_HALF ? omen_kernels->l2_keys_f16 : omen_kernels->l2_keys_f32)
		(floats_query_vector(query), floats_padded_dims(codec), n, codes, out);
}

/* Of normalised vectors, half the squared distance is 1 - the inner product, and exact for those near each other. */
static void
floats_keys_cosine(const OmenCodec *codec, const OmenQuery *query, int n,
				   const void *const *factors, const uint8 *const *codes, float *out)
{
	int			i;

	floats_keys_l2(codec, query, n, factors, codes, out);
	for (i = 0; i < n; i++)
		out[i] *= 0.5f;
}

static void
floats_keys_l1(const OmenCodec *codec, const OmenQuery *query, int n,
			   const void *const *factors pg_attribute_unused(),
			   const uint8 *const *codes, float *out)
{
	(codec->kind == OMEN_CODE_HALF ? omen_kernels->l1_keys_f16 : omen_kernels->l1_keys_f32)
		(floats_query_vector(query), floats_padded_dims(codec), n, codes, out);
}

/* The negated inner product where floats overflow. */
static float
floats_key_of_huge(const OmenCodec *codec, const OmenQuery *query, const uint8 *code)
{
	const float *vector = floats_query_vector(query);
	float		decoded[OMEN_PIECE_DIMS];
	double		sum = 0;
	uint32		from;
	uint32		i;

	for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

		floats_unpack(codec, code, from, n, decoded);
		for (i = 0; i < n; i++)
			sum += (double) vector[from + i] * decoded[i];
	}
	return (float) -sum;
}

static void
floats_keys_ip(const OmenCodec *codec, const OmenQuery *query, int n,
			   const void *const *factors pg_attribute_unused(),
			   const uint8 *const *codes, float *out)
{
	int			i;

	(codec->kind == OMEN_CODE_HALF ? omen_kernels->ip_keys_f16 : omen_kernels->ip_keys_f32)
		(floats_query_vector(query), floats_padded_dims(codec), n, codes, out);
	for (i = 0; i < n; i++)
		if (isnan(out[i]))
			out[i] = floats_key_of_huge(codec, query, codes[i]);
}

static void
floats_norms_sq(const OmenCodec *codec pg_attribute_unused(), int n,
				const void *const *factors, double *out)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		double		norm = ((const FloatsFactors *) factors[i])->norm;

		out[i] = norm * norm;
	}
}

/* ---------- lower bounds ---------- */

/* The metric's value for the query and the decoded vector, from the key of the L2, IP or L1 metric. */
static double
floats_value(const OmenCodec *codec, const OmenQuery *query, const uint8 *code)
{
	float		key;

	switch (codec->metric)
	{
		case OMEN_METRIC_IP:
			floats_keys_ip(codec, query, 1, NULL, &code, &key);
			return -key;
		case OMEN_METRIC_L1:
			floats_keys_l1(codec, query, 1, NULL, &code, &key);
			return key;
		default:
			floats_keys_l2(codec, query, 1, NULL, &code, &key);
			return key;
	}
}

/*
 * Relative to the sum of the absolute terms, the operators' kernels are good
 * to (dims / 16 + 16) epsilon, ours to half of that.
 */
static double
floats_lower_bound(const OmenCodec *codec, const OmenQuery *query,
				   const void *factors, const uint8 *code)
{
	const FloatsFactors *f = factors;
	OmenDenseEstimate estimate = {
		.value = floats_value(codec, query, code),
		.norm = (double) f->norm + f->error,
		.error = f->error,
		.rounding = (3.0 * codec->dims / 32.0 + 32.0) * FLT_EPSILON
	};

	return omen_dense_bound(codec->metric, &((const FloatsQuery *) query)->dense, &estimate);
}

/* ---------- the table ---------- */

static const OmenDenseDistances floats_distances = {
	.keys_l2 = floats_keys_l2,
	.keys_ip = floats_keys_ip,
	.keys_cosine = floats_keys_cosine,
	.keys_l1 = floats_keys_l1,
	.norms_sq = floats_norms_sq
};

void
omen_floats_init(OmenCodec *codec, OmenMetric metric, uint32 dims)
{
	omen_dense_init(codec, metric, dims, &floats_distances);
	codec->factor_bytes = sizeof(FloatsFactors);
	codec->identity_bytes = 0;
	codec->code_bytes = floats_padded_dims(codec) *
		(codec->kind == OMEN_CODE_HALF ? sizeof(OmenHalf) : sizeof(float));
	codec->query_bytes = FLOATS_QUERY_HEAD + floats_padded_dims(codec) * sizeof(float);

	codec->encode = floats_encode;
	codec->decode = floats_decode;
	codec->absorb = floats_absorb;
	codec->equal = floats_equal;
	codec->query_from_vector = floats_query_from_vector;
	codec->query_from_code = floats_query_from_code;
	codec->lower_bound = floats_lower_bound;
}
