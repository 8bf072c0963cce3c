/*-------------------------------------------------------------------------
 *
 * sq8.c
 *	  Per-vector affine 8-bit codes.
 *
 * Component i of a vector is stood for by offset + step * code[i], with an
 * offset and a step of its own for each vector.  Nothing is trained, so codes
 * never drift and are copied verbatim from one segment to the next.  Vectors
 * of integers in 0 .. 255 get offset 0 and step 1 and are exact.
 *
 * Two kinds of distance:
 *
 *	- keys, code against code, decide the graph.  Integer dot products (equal
 *	  in every kernel) are combined in double in one fixed order, so the keys
 *	  have the same bits on every machine.  Double leaves no cancellation worth
 *	  speaking of: factors are floats, sums of codes are integers below 2^31.
 *
 *	- the lower bound, float query against code, decides what the executor may
 *	  return: by the norm of x - decoded(x), see dense.c.
 *
 * Finite floats of any size are encoded, with finite factors.  Keys may
 * overflow to infinity, but are never NaN.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sq8.h"
#include "src/quant/sq8_internal.h"

/* ---------- encoding ---------- */

static inline float
sq8_decode_one(float offset, float step, uint8 code)
{
	float		product = step * (float) code;

	return offset + product;
}

/* True if x holds nothing but integers in 0 .. 255. */
static bool
sq8_is_bytes(const float *x, uint32 dims)
{
	uint32		from;

	/* in stretches, so that the loop inside has no exit and is vectorised */
	for (from = 0; from < dims; from += 64)
	{
		uint32		to = Min(from + 64, dims);
		int			n_bad = 0;
		uint32		i;

		for (i = from; i < to; i++)
		{
			float		bounded = Min(Max(x[i], 0.0f), 255.0f);

			n_bad += ((float) (int32) bounded != x[i]);
		}
		if (n_bad > 0)
			return false;
	}
	return true;
}

static void
sq8_range(const float *x, uint32 dims, float *min, float *max)
{
	float		lo = x[0];
	float		hi = x[0];
	uint32		i;

	for (i = 1; i < dims; i++)
	{
		lo = Min(lo, x[i]);
		hi = Max(hi, x[i]);
	}
	/* no negative zeros: equal vectors are to have equal factors */
	*min = lo + 0.0f;
	*max = hi + 0.0f;
}

/*
 * Offset and step for values in min .. max.  A range that float cannot hold
 * is covered in the middle only: such vectors are coarse, but never infinite,
 * unless a damaged table has given values that are.
 */
static void
sq8_choose_step(float min, float max, float *offset, float *step)
{
	double		range = (double) max - (double) min;

	*offset = min;
	if (range > FLT_MAX)
	{
		range = FLT_MAX;
		*offset = (float) (((double) max + (double) min) / 2 - range / 2);
	}

	*step = (float) (range / 255.0);
	while (isfinite(*offset) && isinf(sq8_decode_one(*offset, *step, 255)))
		*step = nextafterf(*step, 0.0f);
}

/* Norm of x - decoded(x), as a float that is never below it: L1 for the L1 metric, else L2. */
static float
sq8_error(const OmenCodec *codec, const float *x, const Sq8Factors *factors,
		  const uint8 *code)
{
	float		decoded[OMEN_PIECE_DIMS];
	double		sum = 0;
	uint32		from;
	uint32		i;

	for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

		for (i = 0; i < n; i++)
			decoded[i] = sq8_decode_one(factors->offset, factors->step, code[from + i]);
		sum = omen_dense_add_differences(codec->metric, sum, x + from, decoded, n);
	}
	return omen_dense_round_up(omen_dense_norm_of_sum(codec->metric, sum));
}

static void
sq8_encode(const OmenCodec *codec, const void *vector, void *factors, uint8 *code)
{
	const float *x = vector;
	Sq8Factors *f = factors;
	bool		exact = sq8_is_bytes(x, codec->dims);
	uint32		sum = 0;
	uint32		sum_sq = 0;
	uint32		i;

	if (exact)
	{
		f->offset = 0.0f;
		f->step = 1.0f;
		for (i = 0; i < codec->dims; i++)
			code[i] = (uint8) (int32) x[i];
	}
	else
	{
		float		min;
		float		max;
		double		inverse;

		sq8_range(x, codec->dims, &min, &max);
		sq8_choose_step(min, max, &f->offset, &f->step);
		inverse = f->step > 0 ? 1.0 / (double) f->step : 0.0;
		for (i = 0; i < codec->dims; i++)
		{
			double		value = ((double) x[i] - (double) f->offset) * inverse;

			value = Min(Max(value, 0.0), 255.0);
			code[i] = (uint8) (int32) (value + 0.5);
		}
	}
	memset(code + codec->dims, 0, codec->code_bytes - codec->dims);

	for (i = 0; i < codec->dims; i++)
	{
		sum += code[i];
		sum_sq += (uint32) code[i] * code[i];
	}
	f->sum = sum;
	f->sum_sq = sum_sq;
	f->error = exact ? 0.0f : sq8_error(codec, x, f, code);
}

static void
sq8_decode(const OmenCodec *codec, const void *factors, const uint8 *code, float *x)
{
	const Sq8Factors *f = factors;
	uint32		i;

	for (i = 0; i < codec->dims; i++)
		x[i] = sq8_decode_one(f->offset, f->step, code[i]);
}

/* Both vectors lie around the same decoded one: the wider error holds for both. */
static void
sq8_absorb(const OmenCodec *codec pg_attribute_unused(), void *factors, const void *other)
{
	Sq8Factors *f = factors;
	const Sq8Factors *o = other;

	f->error = Max(f->error, o->error);
}

/*
 * Encoding maps a vector to one offset, step and code, so records that decode
 * equal are those that are equal in all of these.
 */
static bool
sq8_equal(const OmenCodec *codec, const void *factors_a, const uint8 *code_a,
		  const void *factors_b, const uint8 *code_b)
{
	const Sq8Factors *a = factors_a;
	const Sq8Factors *b = factors_b;

	return a->offset == b->offset && a->step == b->step &&
		memcmp(code_a, code_b, codec->code_bytes) == 0;
}

/* ---------- queries ---------- */

/*
 * What both kinds of query have: constants, and the code less 128, which makes
 * it signed as the kernels want it (sq8_terms() puts the 128 back).
 */
static void
sq8_query_prepare(const OmenCodec *codec, Sq8Query *q, const Sq8Factors *f,
				  const uint8 *code)
{
	OmenSq8Query *common = &q->common;
	int8	   *signed_code = sq8_query_code((OmenQuery *) q);
	uint32		i;

	common->dims = codec->dims;
	common->offset = f->offset;
	common->step = f->step;
	common->twice_step = 2.0 * common->step;
	common->scaled_sum = common->step * (double) f->sum;
	common->scaled_sum_sq = common->step * common->step * (double) f->sum_sq;
	common->component_sum = common->dims * common->offset + common->scaled_sum;
	common->scale = codec->metric == OMEN_METRIC_COSINE ? 0.5 : 1.0;

	/* this runs for each link that the build looks at: in large pieces */
	for (i = 0; i < codec->code_bytes; i += 16)
	{
		uint64		piece[2];

		memcpy(piece, code + i, 16);
		piece[0] ^= UINT64CONST(0x8080808080808080);
		piece[1] ^= UINT64CONST(0x8080808080808080);
		memcpy(signed_code + i, piece, 16);
	}
}

static void
sq8_query_from_code(const OmenCodec *codec, OmenQuery *query,
					const void *factors, const uint8 *code)
{
	sq8_query_prepare(codec, (Sq8Query *) query, factors, code);
	if (codec->metric == OMEN_METRIC_L1)
		sq8_decode(codec, factors, code, sq8_query_vector(codec, query));
}

static void
sq8_query_from_vector(const OmenCodec *codec, OmenQuery *query, const void *vector)
{
	const float *x = vector;
	Sq8Query   *q = (Sq8Query *) query;
	uint8	   *code = (uint8 *) sq8_query_code(query);
	Sq8Factors	factors;

	/* the code is turned into its signed form where it lies */
	sq8_encode(codec, x, &factors, code);
	sq8_query_prepare(codec, q, &factors, code);
	memcpy(sq8_query_vector(codec, query), x, codec->dims * sizeof(float));
	q->dense = omen_dense_query(x, codec->dims);
}

/* ---------- keys ---------- */

/*
 * Sums of squares, multiplied out, so that all that depends on both codes is
 * one integer dot product: src/kernels/kernel_sq8_keys.h.
 */
static void
sq8_keys_l2(const OmenCodec *codec, const OmenQuery *query, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	omen_kernels->l2_keys_sq8(&((const Sq8Query *) query)->common, sq8_query_code(query),
							  codec->code_bytes, n, factors, codes, out);
}

static void
sq8_keys_ip(const OmenCodec *codec, const OmenQuery *query, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	omen_kernels->ip_keys_sq8(&((const Sq8Query *) query)->common, sq8_query_code(query),
							  codec->code_bytes, n, factors, codes, out);
}

static void
sq8_keys_l1(const OmenCodec *codec, const OmenQuery *query, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	const float *vector = sq8_query_vector(codec, query);
	int			i;

	for (i = 0; i < n; i++)
	{
		const Sq8Factors *f = factors[i];

		out[i] = omen_kernels->l1_sq8(vector, codes[i], f->offset, f->step, codec->dims);
	}
}

/* ---------- lower bounds ---------- */

/* Squared norm of the decoded vector, from the factors alone. */
static inline double
sq8_norm_sq(const OmenCodec *codec, const Sq8Factors *f)
{
	double		offset = f->offset;
	double		step = f->step;
	double		norm_sq;

	norm_sq = codec->dims * offset * offset + 2 * offset * step * f->sum +
		step * step * f->sum_sq;
	return Max(norm_sq, 0.0);
}

static void
sq8_norms_sq(const OmenCodec *codec, int n, const void *const *factors, double *out)
{
	int			i;

	for (i = 0; i < n; i++)
		out[i] = sq8_norm_sq(codec, factors[i]);
}

/* What the operator cannot be below, by an estimate that lacks the norm. */
double
omen_sq8_bound(const OmenCodec *codec, const Sq8Query *query, const Sq8Factors *factors,
			   OmenDenseEstimate *estimate)
{
	if (codec->metric == OMEN_METRIC_IP)
		estimate->norm = factors->error < FLT_MAX ?
			sqrt(sq8_norm_sq(codec, factors)) * (1.0 + 1e-10) + factors->error : INFINITY;
	return omen_dense_bound(codec->metric, &query->dense, estimate);
}

/* The metric's value for the float query and the decoded vector. */
static double
sq8_value(const OmenCodec *codec, const OmenQuery *query, const Sq8Factors *f, const uint8 *code)
{
	const float *vector = sq8_query_vector(codec, query);

	switch (codec->metric)
	{
		case OMEN_METRIC_IP:
			return omen_kernels->inner_product_sq8(vector, code, f->offset, f->step, codec->dims);
		case OMEN_METRIC_L1:
			return omen_kernels->l1_sq8(vector, code, f->offset, f->step, codec->dims);
		default:
			return omen_kernels->l2_squared_sq8(vector, code, f->offset, f->step, codec->dims);
	}
}

/*
 * Relative to the sum of the absolute terms, the operators' kernels are good
 * to (dims / 16 + 16) epsilon, ours to half of that.
 */
static double
sq8_lower_bound(const OmenCodec *codec, const OmenQuery *query,
				const void *factors, const uint8 *code)
{
	const Sq8Factors *f = factors;
	OmenDenseEstimate estimate = {
		.value = sq8_value(codec, query, f, code),
		.error = f->error,
		.rounding = (3.0 * codec->dims / 32.0 + 32.0) * FLT_EPSILON
	};

	return omen_sq8_bound(codec, (const Sq8Query *) query, f, &estimate);
}

/* ---------- the table ---------- */

static const OmenDenseDistances sq8_distances = {
	.keys_l2 = sq8_keys_l2,
	.keys_ip = sq8_keys_ip,
	.keys_cosine = sq8_keys_l2,	/* halved, see Sq8Query.scale */
	.keys_l1 = sq8_keys_l1,
	.norms_sq = sq8_norms_sq
};

void
omen_sq8_init(OmenCodec *codec, OmenMetric metric, uint32 dims)
{
	omen_dense_init(codec, metric, dims, &sq8_distances);
	codec->factor_bytes = sizeof(Sq8Factors);
	codec->identity_bytes = offsetof(Sq8Factors, sum);	/* offset and step */
	codec->code_bytes = TYPEALIGN(16, dims);
	codec->query_bytes = SQ8_QUERY_HEAD + TYPEALIGN(64, codec->code_bytes) +
		TYPEALIGN(64, dims * sizeof(float));

	codec->encode = sq8_encode;
	codec->decode = sq8_decode;
	codec->absorb = sq8_absorb;
	codec->equal = sq8_equal;
	codec->query_from_vector = sq8_query_from_vector;
	codec->query_from_code = sq8_query_from_code;
	codec->lower_bound = sq8_lower_bound;
}
