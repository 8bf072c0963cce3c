/*-------------------------------------------------------------------------
 *
 * dense.h
 *	  What codecs of vectors of floats share: the choice of keys, norms, and bounds; see dense.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_DENSE_H
#define OMEN_DENSE_H

#include "src/quant/quant.h"

#include <float.h>
#include <math.h>

/* Components that are decoded at a time. */
#define OMEN_PIECE_DIMS 256

/* Of a query made from a vector: what bounds depend on. */
typedef struct OmenDenseQuery
{
	double		norm;
	double		underflow;		/* absolute: what denormal terms may lose */
} OmenDenseQuery;

/* What a float query's distance to something that stands for a vector says of that to the vector. */
typedef struct OmenDenseEstimate
{
	double		value;			/* squared distance (L2, cosine), inner product, or distance (L1) */
	double		norm;			/* of the vector and of what stands for it at most; for inner products only */
	double		error;			/* norm of the vector less what stands for it, or more */
	double		rounding;		/* of kernel and operator, relative to the sum of the absolute terms */
} OmenDenseEstimate;

/* Of codes of a kind: keys for each metric of vectors of floats. */
typedef struct OmenDenseDistances
{
	OmenCodecKeys keys_l2;
	OmenCodecKeys keys_ip;
	OmenCodecKeys keys_cosine;
	OmenCodecKeys keys_l1;
	OmenCodecNorms norms_sq;
} OmenDenseDistances;

extern void omen_dense_init(OmenCodec *codec, OmenMetric metric, uint32 dims,
							const OmenDenseDistances *distances);
extern OmenDenseQuery omen_dense_query(const float *x, uint32 dims);
extern double omen_dense_bound(OmenMetric metric, const OmenDenseQuery *query,
							   const OmenDenseEstimate *estimate);

/* Add what the metric's norm of a - b sums: absolute values for L1, else squares. */
static inline double
omen_dense_add_differences(OmenMetric metric, double sum, const float *a, const float *b, uint32 n)
{
	uint32		i;

	if (metric == OMEN_METRIC_L1)
	{
		for (i = 0; i < n; i++)
			sum += fabs((double) a[i] - (double) b[i]);
		return sum;
	}
	for (i = 0; i < n; i++)
	{
		double		diff = (double) a[i] - (double) b[i];

		sum += diff * diff;
	}
	return sum;
}

/* The norm from such a sum; never below it, for 16,000 additions lose less than is added. */
static inline double
omen_dense_norm_of_sum(OmenMetric metric, double sum)
{
	return (metric == OMEN_METRIC_L1 ? sum : sqrt(sum)) * (1.0 + 1e-10);
}

/* A float that is not below a value, but at most FLT_MAX. */
static inline float
omen_dense_round_up(double value)
{
	float		result;

	if (value >= FLT_MAX)
		return FLT_MAX;
	result = (float) value;
	if ((double) result < value)
		result = nextafterf(result, FLT_MAX);
	return result;
}

#endif							/* OMEN_DENSE_H */
