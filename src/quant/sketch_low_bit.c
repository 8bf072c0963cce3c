/*-------------------------------------------------------------------------
 *
 * sketch_low_bit.c
 *	  Sketches of 1, 2 or 4 bits per component, unbiased; and binary ones.
 *
 * After Gao & Long, "RaBitQ: quantizing high-dimensional vectors with a
 * theoretical error bound for approximate nearest neighbor search" (SIGMOD
 * 2024), and Gao et al., "Practical and asymptotically optimal quantization of
 * high-dimensional vectors in Euclidean space" (SIGMOD 2025).  See README.md
 * for the formulas.
 *
 * With the centre c and the rotation P, let r = P (x - c) and s = P (q - c).
 * The code u has odd integers as components, -1 and 1 for one bit, chosen so
 * that their direction is close to that of r.  Then
 *
 *		<r, s>  is estimated by  <u, s> |r|^2 / <u, r>,
 *
 * whose error is <u - r <u, r> / |r|^2, s>: what u is off, at right angles to
 * r, in the direction of s.  The rotation makes that direction random.  Keys follow:
 *
 *		|q - x|^2 = |r|^2 + |s|^2 - 2 <r, s>
 *		-<q, x>   = -<r, P c> - <q, c> - <r, s>
 *
 * Binary sketches are those of one bit without the rotation: signs of the components as they are.  The estimate is as good
 * where components are as good as random, and biased where they are not.
 *
 * Of a record there are two factors, the first summand and |r|^2 / <u, r>, in 16 bits each
 * and in units that the model holds.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sketch_internal.h"

#include <float.h>
#include <math.h>

#include "src/quant/rotation.h"

#define SUMS 4

/* Vectors for the mean and the units. */
#define SAMPLE_MAX 1024
#define VECTORS_PER_TICK 64

/*
 * Factors are integers, of which this is what is usual: it leaves room for
 * what is larger, and steps small enough for what is less.
 */
#define USUAL_FACTOR 32768.0
#define USUAL_SIGNED_FACTOR 16384.0

/*
 * Vectors that are farther from the centre than this, in units of what is
 * usual, are put there, so that factors can say where they are: the greatest is its square.
 */
#define MAX_NORM 63.0

/* Written into pages as it is (struct of the format, version 1).  The centre follows, dims floats. */
typedef struct LowBitModel
{
	float		unit;			/* usual norm of x - c; > 0 */
	float		add_unit;		/* of the first summand as a factor, in units squared; > 0 */
	float		error;			/* standard deviation of <r, s> / |s|, as a part of the second factor */
	uint32		unused;			/* zero */
} LowBitModel;

StaticAssertDecl(sizeof(LowBitModel) == 16, "layout of a low-bit model");

/* Head of a query; its components as integers follow, in planes as the kernels want them. */
typedef struct LowBitQuery
{
	OmenLowBitQuery common;		/* what keys depend on */
	double		error_scale;
} LowBitQuery;

#define LOW_BIT_QUERY_HEAD 64
#define MAX_QUERY_CODE 127

StaticAssertDecl(sizeof(LowBitQuery) <= LOW_BIT_QUERY_HEAD, "head of a low-bit query");

static inline const float *
low_bit_centre(const LowBitModel *model)
{
	return (const float *) (model + 1);
}

static inline uint32
low_bit_code_bytes(const OmenSketch *sketch)
{
	return sketch->sketch_bytes - sizeof(OmenLowBitRecord);
}

/* Bytes of a query's integers. */
static inline uint32
low_bit_plane_bytes(const OmenSketch *sketch)
{
	return 8 / sketch->bits * OMEN_PLANE_STRIDE(low_bit_code_bytes(sketch));
}

static inline int8 *
low_bit_planes(const OmenSketchQuery *query)
{
	return (int8 *) query + LOW_BIT_QUERY_HEAD;
}

/* ---------- vectors ---------- */

/* |x - c|^2, in a few sums side by side, so that additions need not wait for one another. */
static double
low_bit_distance_sq(const float *x, const float *centre, uint32 n)
{
	double		sums[SUMS] = {0};
	uint32		i = 0;

	for (; i + SUMS <= n; i += SUMS)
	{
		for (uint32 k = 0; k < SUMS; k++)
		{
			double		diff = (double) x[i + k] - centre[i + k];

			sums[k] += diff * diff;
		}
	}
	for (; i < n; i++)
	{
		double		diff = (double) x[i] - centre[i];

		sums[0] += diff * diff;
	}
	return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/*
 * The rotated direction of x - c, of norm 1 unless it is zero; returns its norm, in double, where
 * floats of any size have one.
 */
static double
low_bit_direction(const OmenSketch *sketch, const float *centre, const float *x, float *direction)
{
	double		norm = sqrt(low_bit_distance_sq(x, centre, sketch->dims));
	double		inverse = norm > 0 ? 1.0 / norm : 0.0;

	for (uint32 i = 0; i < sketch->dims; i++)
		direction[i] = (float) (((double) x[i] - centre[i]) * inverse);
	if (sketch->kind == OMEN_SKETCH_LOW_BIT)
		omen_rotate(direction, sketch->dims);
	return norm;
}

/* What the code of a direction says of it. */
typedef struct LowBitFit
{
	double		dot;			/* <u, direction> */
	double		norm_sq;		/* <u, u> */
} LowBitFit;

static LowBitFit
low_bit_quantize(const OmenSketch *sketch, const float *direction, float step, uint8 *levels)
{
	int32		top = (1 << sketch->bits) - 1;
	float		inverse = 1.0f / step;
	float		middle = (float) (top + 1) / 2;
	float		limit = (float) top + 0.5f;
	float		dots[SUMS] = {0};
	int32		norm_sq = 0;

	for (uint32 i = 0; i < sketch->dims; i++)
	{
		/* conversion rounds towards 0, and is down for what is not negative */
		float		place = Min(Max(direction[i] * inverse + middle, 0.0f), limit);

		levels[i] = (uint8) (int32) place;
	}
	for (uint32 i = 0; i < sketch->dims; i++)
	{
		int32		u = 2 * levels[i] - top;

		dots[i % SUMS] += (float) u * direction[i];
		norm_sq += u * u;
	}
	return (LowBitFit) {.dot = (double) (dots[0] + dots[1]) + (double) (dots[2] + dots[3]), .norm_sq = norm_sq};
}

/* The step, relative to a component's usual size, that is best for normal distributions (Max 1960). */
static float
low_bit_usual_step(uint32 bits)
{
	switch (bits)
	{
		case 4:
			return 0.3352f;
		case 2:
			return 0.9957f;
		default:
			return 1.0f;		/* of no effect */
	}
}

/* The code of a direction, as levels 0 .. 2^bits - 1. */
static LowBitFit
low_bit_fit(const OmenSketch *sketch, const float *direction, uint8 *levels)
{
	float		step = low_bit_usual_step(sketch->bits) / sqrtf((float) sketch->dims);

	return low_bit_quantize(sketch, direction, step, levels);
}

/* ---------- training and encoding ---------- */

/* The first summand of a key is negative for inner products with the centre that are. */
static bool
low_bit_is_signed(const OmenSketch *sketch)
{
	return sketch->metric == OMEN_METRIC_IP;
}

/* The first summand of a key, in units squared; norm is that of x - c in units, of which `part` is kept. */
static double
low_bit_summand(const OmenSketch *sketch, const LowBitModel *model, const float *x, double norm,
				double part)
{
	const float *centre = low_bit_centre(model);
	double		sum = 0;

	switch (sketch->metric)
	{
		case OMEN_METRIC_L2:
			return norm * norm;
		case OMEN_METRIC_COSINE:
			return norm * norm / 2;
		default:
			for (uint32 i = 0; i < sketch->dims; i++)
				sum += ((double) x[i] - centre[i]) * centre[i];
			return -sum * part / ((double) model->unit * model->unit);
	}
}

/* |r| / <u, direction>, times the root of the dimensions and the greatest u: near |r| whatever the shape. */
static double
low_bit_rescale(const OmenSketch *sketch, double norm, const LowBitFit *fit)
{
	int32		top = (1 << sketch->bits) - 1;

	return fit->dot > 0 ? norm * sqrt(sketch->dims) * top / fit->dot : 0.0;
}

/* A number greater than zero that floats have, in place of one. */
static float
low_bit_unit(double value)
{
	if (!(value > 0))
		return 1.0f;
	return (float) Min(Max(value, FLT_MIN), FLT_MAX);
}

static void
low_bit_train_centre(const OmenSketch *sketch, uint32 n, const float *x, float *centre,
					 double *sums)
{
	for (uint32 i = 0; i < sketch->dims; i++)
		sums[i] = 0;
	for (uint32 k = 0; k < n; k++)
	{
		for (uint32 i = 0; i < sketch->dims; i++)
			sums[i] += x[(size_t) k * sketch->dims + i];
	}
	for (uint32 i = 0; i < sketch->dims; i++)
		centre[i] = (float) (sums[i] / n);
}

static void
low_bit_train(const OmenSketch *sketch, uint32 part pg_attribute_unused(), const OmenSketchSample *sample,
			  void *model, void *scratch)
{
	uint32		n = sample->n;
	const float *x = sample->x;
	LowBitModel *m = model;
	float	   *centre = (float *) (m + 1);
	float	   *direction = scratch;
	uint8	   *levels = (uint8 *) (direction + sketch->dims);
	double		norms_sq = 0;
	double		summands_sq = 0;
	double		errors_sq = 0;

	Assert(n > 0);
	low_bit_train_centre(sketch, n, x, centre, scratch);

	for (uint32 k = 0; k < n; k++)
		norms_sq += low_bit_distance_sq(x + (size_t) k * sketch->dims, centre, sketch->dims);
	m->unit = low_bit_unit(sqrt(norms_sq / n));

	for (uint32 k = 0; k < n; k++)
	{
		const float *vector = x + (size_t) k * sketch->dims;
		double		norm = low_bit_direction(sketch, centre, vector, direction);
		LowBitFit	fit = low_bit_fit(sketch, direction, levels);
		double		rescale = low_bit_rescale(sketch, 1.0, &fit);
		double		summand = low_bit_summand(sketch, m, vector, norm / m->unit, 1.0);

		if (k % VECTORS_PER_TICK == 0)
			sample->tick(sample->tick_arg);
		summands_sq += summand * summand;
		if (rescale > 0)
		{
			/* the part of u at right angles, and how much of it is in another direction */
			double		off_sq = fit.norm_sq / (fit.dot * fit.dot) - 1.0;

			errors_sq += Max(off_sq, 0.0) / (Max(sketch->dims, 2) - 1) / (rescale * rescale);
		}
	}
	m->add_unit = low_bit_unit(sqrt(summands_sq / n) /
							   (low_bit_is_signed(sketch) ? USUAL_SIGNED_FACTOR : USUAL_FACTOR));
	m->error = (float) sqrt(errors_sq / n);
	m->unused = 0;
}

static OmenFactor
low_bit_factor(double value)
{
	return omen_factor_nearest(Min(Max(value, 0.0), OMEN_FACTOR_MAX));
}

static OmenFactor
low_bit_signed_factor(double value)
{
	OmenFactor	magnitude = omen_factor_nearest(Min(fabs(value), OMEN_SIGNED_FACTOR_MAX));

	return value < 0 ? magnitude | OMEN_FACTOR_SIGN : magnitude;
}

/* Bytes of a code from its levels. */
static void
low_bit_pack(const OmenSketch *sketch, const uint8 *levels, uint8 *code)
{
	uint32		n_bytes = low_bit_code_bytes(sketch);

	memset(code, 0, n_bytes);
	for (uint32 from = 0, shift = 0; from < sketch->dims; from += n_bytes, shift += sketch->bits)
	{
		uint32		n = Min(sketch->dims - from, n_bytes);

		for (uint32 j = 0; j < n; j++)
			code[j] |= (uint8) (levels[from + j] << shift);
	}
}

static void
low_bit_encode(const OmenSketch *sketch, const void *model, const float *x, uint8 *record,
			   void *scratch)
{
	const LowBitModel *m = model;
	float	   *direction = scratch;
	uint8	   *levels = (uint8 *) (direction + sketch->dims);
	OmenLowBitRecord head;
	LowBitFit	fit;
	double		norm;
	double		part = 1.0;
	double		summand;

	norm = low_bit_direction(sketch, low_bit_centre(m), x, direction) / m->unit;
	if (norm > MAX_NORM)
	{
		part = MAX_NORM / norm;
		norm = MAX_NORM;
	}
	fit = low_bit_fit(sketch, direction, levels);
	summand = low_bit_summand(sketch, m, x, norm, part) / m->add_unit;
	head.add = low_bit_is_signed(sketch) ? low_bit_signed_factor(summand) : low_bit_factor(summand);
	head.rescale = low_bit_factor(low_bit_rescale(sketch, norm, &fit) * USUAL_FACTOR);
	memcpy(record, &head, sizeof(head));
	low_bit_pack(sketch, levels, record + sizeof(head));
}

/* ---------- queries ---------- */

/* What keys have in common; norm is that of q - c. */
static double
low_bit_base(const OmenSketch *sketch, const float *centre, const float *x, double norm)
{
	double		sum = 0;

	switch (sketch->metric)
	{
		case OMEN_METRIC_L2:
			return norm * norm;
		case OMEN_METRIC_COSINE:
			return norm * norm / 2;
		default:
			for (uint32 i = 0; i < sketch->dims; i++)
				sum += (double) x[i] * centre[i];
			return -sum;
	}
}

/* The direction as integers in planes; returns their sum. */
static int32
low_bit_query_planes(const OmenSketch *sketch, const float *direction, float scale, int8 *planes)
{
	uint32		n_bytes = low_bit_code_bytes(sketch);
	int32		sum = 0;

	memset(planes, 0, low_bit_plane_bytes(sketch));
	for (uint32 from = 0; from < sketch->dims; from += n_bytes, planes += OMEN_PLANE_STRIDE(n_bytes))
	{
		uint32		n = Min(sketch->dims - from, n_bytes);

		for (uint32 j = 0; j < n; j++)
		{
			/* to the nearest, by a number that is not negative; bounds for what damage has made no number */
			float		place = direction[from + j] * scale + (MAX_QUERY_CODE + 1.5f);

			planes[j] = (int8) ((int32) Min(Max(place, 1.0f), 2 * MAX_QUERY_CODE + 1.5f) - (MAX_QUERY_CODE + 1));
			sum += planes[j];
		}
	}
	return sum;
}

static void
low_bit_query_from_vector(const OmenSketch *sketch, const void *model, OmenSketchQuery *query,
						  const float *x)
{
	const LowBitModel *m = model;
	LowBitQuery *q = (LowBitQuery *) query;
	int8	   *planes = low_bit_planes(query);
	float	   *direction = (float *) (planes + low_bit_plane_bytes(sketch));
	int32		top = (1 << sketch->bits) - 1;
	double		unit_sq = (double) m->unit * m->unit;
	double		norm = low_bit_direction(sketch, low_bit_centre(m), x, direction);
	double		scale;
	float		largest = 0.0f;

	for (uint32 i = 0; i < sketch->dims; i++)
		largest = Max(largest, fabsf(direction[i]));

	/* of <r, s>; twice that for squared distances */
	scale = m->unit * norm / (sqrt(sketch->dims) * top) / USUAL_FACTOR;
	if (sketch->metric == OMEN_METRIC_L2)
		scale *= 2;
	q->common.base = low_bit_base(sketch, low_bit_centre(m), x, norm);
	q->common.add_scale = m->add_unit * unit_sq;
	q->common.dot_scale = scale * largest / MAX_QUERY_CODE;
	q->common.sum = top * low_bit_query_planes(sketch, direction,
											   largest > 0 ? MAX_QUERY_CODE / largest : 0.0f, planes);
	q->common.add_sign = low_bit_is_signed(sketch) ? OMEN_FACTOR_SIGN : 0;
	q->error_scale = scale * sqrt(sketch->dims) * top * m->error;
}

/* ---------- keys ---------- */

static void
low_bit_keys(const OmenSketch *sketch, const OmenSketchQuery *query, int n,
			 const uint8 *const *records, float *out)
{
	omen_kernels->sketch->low_bit_keys(&((const LowBitQuery *) query)->common,
									   low_bit_planes(query), low_bit_code_bytes(sketch),
									   sketch->bits, n, records, out);
}

static float
low_bit_key_error(const OmenSketch *sketch pg_attribute_unused(), const OmenSketchQuery *query,
				  const uint8 *record)
{
	OmenLowBitRecord head;

	memcpy(&head, record, sizeof(head));
	return (float) (((const LowBitQuery *) query)->error_scale * omen_factor_value(head.rescale));
}

/* ---------- the table ---------- */

void
omen_sketch_low_bit_init(OmenSketch *sketch)
{
	uint32		code_bytes = TYPEALIGN(4, (sketch->dims * sketch->bits + 7) / 8);

	sketch->model_bytes = sizeof(LowBitModel) + sketch->dims * sizeof(float);
	sketch->sketch_bytes = sizeof(OmenLowBitRecord) + code_bytes;
	sketch->query_bytes = LOW_BIT_QUERY_HEAD + low_bit_plane_bytes(sketch) +
		TYPEALIGN(64, sketch->dims * sizeof(float));
	sketch->sample_max = SAMPLE_MAX;
	sketch->train_parts = 1;
	sketch->encode_scratch_bytes = sketch->dims * (sizeof(float) + sizeof(uint8));
	sketch->train_scratch_bytes = sketch->dims * sizeof(double);

	sketch->train = low_bit_train;
	sketch->encode = low_bit_encode;
	sketch->query_from_vector = low_bit_query_from_vector;
	sketch->keys = low_bit_keys;
	sketch->key_error = low_bit_key_error;
}
