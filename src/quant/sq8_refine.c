/*-------------------------------------------------------------------------
 *
 * sq8_refine.c
 *	  Finer codes behind 8-bit codes: a second byte per component.
 *
 * The step between two codes is parted into 256, so that component i is stood
 * for by offset + step / 256 * (256 * code[i] + fine[i] - 128), and its error
 * is a 256th of that of the code alone.  They serve the lower bound, by which
 * a scan then knows nearly as well as the executor which rows are nearest.
 *
 * The error is measured, as that of the codes is: against the very floats that
 * decoding gives.  So nothing depends on how exact the arithmetic here is.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sq8.h"
#include "src/quant/sq8_internal.h"

/* Written into pages as it is (struct of the format, version 1); the fine codes follow. */
typedef struct Sq8FineFactors
{
	float		error;			/* norm of x - refined(x), rounded up */
} Sq8FineFactors;

StaticAssertDecl(sizeof(Sq8FineFactors) == 4, "layout of the factors of finer SQ8 codes");

/* Of a fine code that adds nothing. */
#define FINE_MIDDLE 128

static inline uint8 *
fine_codes(const void *refine)
{
	return (uint8 *) refine + sizeof(Sq8FineFactors);
}

/* Components from .. from + n of the vector that both codes stand for. */
static inline void
decode_piece(const Sq8Factors *f, const uint8 *code, const uint8 *fine,
			 uint32 from, uint32 n, float *x)
{
	omen_kernels->decode_fine_sq8(code + from, fine + from, f->offset, f->step / 256, n, x);
}

static void
sq8_encode_refine(const OmenCodec *codec, const void *vector, const void *factors,
				  const uint8 *code, void *refine)
{
	const float *x = vector;
	const Sq8Factors *f = factors;
	uint8	   *fine = fine_codes(refine);
	double		inverse = f->step > 0 ? 256.0 / (double) f->step : 0.0;
	float		refined[OMEN_PIECE_DIMS];
	double		sum = 0;
	uint32		from;
	uint32		i;

	for (i = 0; i < codec->dims; i++)
	{
		double		value = ((double) x[i] - (double) f->offset) * inverse - 256.0 * code[i] + FINE_MIDDLE;

		value = Min(Max(value, 0.0), 255.0);
		fine[i] = (uint8) (int32) (value + 0.5);
	}
	memset(fine + codec->dims, 0, codec->refine_code_bytes - codec->dims);

	for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

		decode_piece(f, code, fine, from, n, refined);
		sum = omen_dense_add_differences(codec->metric, sum, x + from, refined, n);
	}
	((Sq8FineFactors *) refine)->error = omen_dense_round_up(omen_dense_norm_of_sum(codec->metric, sum));
}

/*
 * The other vector is no farther from this refined one than from its own, and
 * this from the other.
 */
static void
sq8_absorb_refine(const OmenCodec *codec, const void *factors, const uint8 *code,
				  void *refine, const void *other)
{
	Sq8FineFactors *mine = refine;
	double		error = ((const Sq8FineFactors *) other)->error;
	float		refined[OMEN_PIECE_DIMS];
	float		refined_other[OMEN_PIECE_DIMS];
	double		sum = 0;
	uint32		from;

	if (memcmp(fine_codes(refine), fine_codes(other), codec->dims) != 0)
	{
		for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
		{
			uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

			decode_piece(factors, code, fine_codes(refine), from, n, refined);
			decode_piece(factors, code, fine_codes(other), from, n, refined_other);
			sum = omen_dense_add_differences(codec->metric, sum, refined, refined_other, n);
		}
		error = omen_dense_round_up((error + omen_dense_norm_of_sum(codec->metric, sum)) * (1.0 + 1e-10));
	}
	mine->error = Max(mine->error, (float) error);
}

/* The metric's value for two float vectors, by the kernels of the operators. */
static double
exact_value(OmenMetric metric, const float *a, const float *b, uint32 n)
{
	switch (metric)
	{
		case OMEN_METRIC_IP:
			return omen_kernels->inner_product_f32(a, b, n);
		case OMEN_METRIC_L1:
			return omen_kernels->l1_f32(a, b, n);
		default:
			return omen_kernels->l2_squared_f32(a, b, n);
	}
}

/*
 * The operators' kernels are good to (dims / 16 + 16) epsilon, here as there;
 * but here they add up a piece only.
 */
static double
sq8_refined_bound(const OmenCodec *codec, const OmenQuery *query,
				  const void *factors, const uint8 *code,
				  const void *refine_factors, const uint8 *refine_code)
{
	const Sq8Factors *f = factors;
	const float *vector = sq8_query_vector(codec, query);
	float		refined[OMEN_PIECE_DIMS];
	OmenDenseEstimate estimate = {
		.value = 0,
		.rounding = ((codec->dims + OMEN_PIECE_DIMS) / 16.0 + 44.0) * FLT_EPSILON
	};
	uint32		from;

	if (f->error == 0)
		return -INFINITY;		/* the code is exact */
	estimate.error = ((const Sq8FineFactors *) refine_factors)->error;
	for (from = 0; from < codec->dims; from += OMEN_PIECE_DIMS)
	{
		uint32		n = Min(codec->dims - from, OMEN_PIECE_DIMS);

		decode_piece(f, code, refine_code, from, n, refined);
		estimate.value += exact_value(codec->metric, vector + from, refined, n);
	}
	return omen_sq8_bound(codec, (const Sq8Query *) query, f, &estimate);
}

void
omen_sq8_refine(OmenCodec *codec)
{
	codec->refine_factor_bytes = sizeof(Sq8FineFactors);
	codec->refine_code_bytes = TYPEALIGN(4, codec->dims);
	codec->encode_refine = sq8_encode_refine;
	codec->absorb_refine = sq8_absorb_refine;
	codec->refined_bound = sq8_refined_bound;
}
