/*-------------------------------------------------------------------------
 *
 * sparse.c
 *	  Codes of sparse vectors: indices and 16-bit values.
 *
 * An element x is stood for by scale * value, with an integer value in
 * -32767 .. 32767 and a scale of its own for each vector; elements whose value
 * would be 0 are left out.  Vectors of integers in that range get scale 1 and
 * are exact.  The bytes of a code:
 *
 *	uint32		n
 *	uint32		index[n]	ascending
 *	int16		value[n]	none of them 0
 *	padding to a multiple of 4 bytes
 *
 * Here they are made; sparse_query.c prepares what is compared with them, and
 * sparse_keys.c does that.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sparse_internal.h"

#include <float.h>

static inline uint32
sparse_code_bytes(uint32 n)
{
	return TYPEALIGN(4, sizeof(uint32) + n * (sizeof(uint32) + sizeof(int16)));
}

/* ---------- encoding ---------- */

/*
 * The scale of a vector: 1 for small integers, else such that the largest
 * element, rounded up if need be, gets the largest value.
 */
float
omen_sparse_choose_scale(const OmenSparse *x)
{
	float		max = 0;
	bool		integers = true;
	float		scale;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		float		size = fabsf(x->values[i]);

		max = Max(max, size);
		integers = integers && size <= SPARSE_MAX_VALUE && (float) (int32) size == size;
	}
	if (max == 0)
		return 0.0f;
	if (integers)
		return 1.0f;

	scale = max / SPARSE_MAX_VALUE;
	/* matters among the denormals only, where it may even be 0 */
	while ((double) scale * SPARSE_MAX_VALUE < max)
		scale = nextafterf(scale, FLT_MAX);
	return scale;
}

static uint32
sparse_encoded_bytes(const OmenCodec *codec pg_attribute_unused(), const void *vector)
{
	const OmenSparse *x = vector;
	double		inverse = sparse_inverse(omen_sparse_choose_scale(x));
	uint32		n = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
		n += sparse_value(x->values[i], inverse) != 0;
	return sparse_code_bytes(n);
}

/* The value as a float that is not below it. */
static float
sparse_round_up(double value)
{
	float		result = (float) value;

	if ((double) result < value)
		result = nextafterf(result, FLT_MAX);
	return result;
}

/*
 * Norm of x - decoded(x), as a float that is never below it: L1 for the L1
 * metric, else L2.  Elements left out count in whole.
 */
static float
sparse_error(const OmenCodec *codec, const OmenSparse *x, float scale)
{
	double		inverse = sparse_inverse(scale);
	double		sum = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		double		diff = (double) x->values[i] -
		(double) scale * sparse_value(x->values[i], inverse);

		sum += codec->metric == OMEN_METRIC_L1 ? fabs(diff) : diff * diff;
	}
	if (codec->metric != OMEN_METRIC_L1)
		sum = sqrt(sum);
	/* 16,000 additions lose less than this */
	return sparse_round_up(sum * (1.0 + 1e-10));
}

/* Fill in all factors but the error. */
void
omen_sparse_set_factors(SparseFactors *f, float scale, const int16 *values, uint32 n)
{
	uint64		sum_sq = 0;
	uint32		sum_abs = 0;
	uint32		i;

	for (i = 0; i < n; i++)
	{
		int32		value = values[i];

		sum_abs += value < 0 ? -value : value;
		sum_sq += value * value;
	}
	f->scale = scale;
	f->error = 0;
	f->sum_abs = sum_abs;
	f->sum_sq[0] = (uint32) sum_sq;
	f->sum_sq[1] = (uint32) (sum_sq >> 32);
}

static void
sparse_encode(const OmenCodec *codec, const void *vector, void *factors, uint8 *code)
{
	const OmenSparse *x = vector;
	float		scale = omen_sparse_choose_scale(x);
	double		inverse = sparse_inverse(scale);
	uint32		n_bytes = sparse_encoded_bytes(codec, x);
	uint32		n = 0;
	uint32	   *indices = (uint32 *) code + 1;
	int16	   *values;
	uint32		i;

	memset(code, 0, n_bytes);
	for (i = 0; i < x->n; i++)
	{
		if (sparse_value(x->values[i], inverse) != 0)
			indices[n++] = x->indices[i];
	}
	*(uint32 *) code = n;
	values = (int16 *) (indices + n);
	for (i = 0, n = 0; i < x->n; i++)
	{
		int32		value = sparse_value(x->values[i], inverse);

		if (value != 0)
			values[n++] = value;
	}
	omen_sparse_set_factors(factors, scale, values, n);
	((SparseFactors *) factors)->error = sparse_error(codec, x, scale);
}

/* Both vectors lie around the same decoded one: the wider error holds for both. */
static void
sparse_absorb(const OmenCodec *codec pg_attribute_unused(), void *factors, const void *other)
{
	SparseFactors *f = factors;
	const SparseFactors *o = other;

	f->error = Max(f->error, o->error);
}

static bool
sparse_equal(const OmenCodec *codec pg_attribute_unused(), const void *factors_a,
			 const uint8 *code_a, const void *factors_b, const uint8 *code_b)
{
	const OmenCodeRef *a = (const OmenCodeRef *) code_a;
	const OmenCodeRef *b = (const OmenCodeRef *) code_b;

	return ((const SparseFactors *) factors_a)->scale == ((const SparseFactors *) factors_b)->scale &&
		a->n_bytes == b->n_bytes && memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
}

/* ---------- terms ---------- */

/*
 * How much of a vector an element is; for inner products, which grow with the
 * vector, how large it is.
 */
static double
sparse_term_weight(OmenMetric metric, const SparseFactors *f, int32 value)
{
	double		size = value < 0 ? -value : value;

	switch (metric)
	{
		case OMEN_METRIC_IP:
			return size * f->scale;
		case OMEN_METRIC_L1:
			return size / f->sum_abs;
		default:
			return size / sqrt(sparse_sum_sq(f));
	}
}

static bool
sparse_code_term(const OmenCodec *codec, const void *factors, const uint8 *code, uint32 i,
				 OmenTerm *term)
{
	const SparseFactors *f = factors;
	SparseCode	c = sparse_unpack(code);

	if (i >= c.n)
		return false;
	term->id = c.indices[i];
	term->weight = (float) sparse_term_weight(codec->metric, f, c.values[i]);
	return true;
}

static bool
sparse_query_term(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
				  uint32 i, OmenTerm *term)
{
	const SparseQuery *q = (const SparseQuery *) query;

	if (i >= q->n)
		return false;
	term->id = sparse_query_indices(q)[i];
	term->weight = (float) abs(sparse_query_values(q)[i]);
	return true;
}

/* ---------- the table ---------- */

void
omen_sparse_init(OmenCodec *codec, OmenMetric metric, uint32 dims)
{
	codec->metric = metric;
	codec->dims = dims;
	codec->factor_bytes = sizeof(SparseFactors);
	codec->identity_bytes = offsetof(SparseFactors, error); /* the scale */
	codec->code_bytes = sizeof(OmenCodeRef);
	codec->query_bytes = omen_sparse_query_max_bytes();
	codec->link_margin = 0.2f;
	codec->variable = true;

	codec->encoded_bytes = sparse_encoded_bytes;
	codec->encode = sparse_encode;
	codec->absorb = sparse_absorb;
	codec->equal = sparse_equal;
	codec->query_from_vector = omen_sparse_query_from_vector;
	codec->query_from_code = omen_sparse_query_from_code;
	codec->code_term = sparse_code_term;
	codec->query_term = sparse_query_term;

	omen_sparse_set_distances(codec);
}
