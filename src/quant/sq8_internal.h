/*-------------------------------------------------------------------------
 *
 * sq8_internal.h
 *	  What the 8-bit codes (sq8.c) and their finer codes (sq8_refine.c) share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SQ8_INTERNAL_H
#define OMEN_SQ8_INTERNAL_H

#include "src/quant/quant.h"

#include <float.h>
#include <math.h>

/*
 * Written into pages as it is (struct of the format, version 1).  The error
 * comes last: the rest is determined by the decoded vector.
 */
typedef struct Sq8Factors
{
	float		offset;
	float		step;			/* >= 0 */
	uint32		sum;			/* of the codes */
	uint32		sum_sq;			/* of the squared codes */
	float		error;			/* norm of x - decoded(x), rounded up */
} Sq8Factors;

StaticAssertDecl(sizeof(Sq8Factors) == 20, "layout of SQ8 factors");
StaticAssertDecl(offsetof(Sq8Factors, sum_sq) == offsetof(OmenSq8Record, sum_sq),
				 "factors begin with what keys depend on");

/*
 * Head of a query; the code (signed, 64-byte aligned) and the float vector
 * follow, see sq8_query_code() and sq8_query_vector().
 */
typedef struct Sq8Query
{
	OmenSq8Query common;		/* what keys depend on */

	/* for bounds */
	double		norm;			/* of the float query */
	double		underflow;		/* absolute: what denormal terms may lose */
} Sq8Query;

#define SQ8_QUERY_HEAD 128

StaticAssertDecl(sizeof(Sq8Query) <= SQ8_QUERY_HEAD, "head of an SQ8 query");

static inline int8 *
sq8_query_code(const OmenQuery *query)
{
	return (int8 *) query + SQ8_QUERY_HEAD;
}

static inline float *
sq8_query_vector(const OmenCodec *codec, const OmenQuery *query)
{
	return (float *) ((char *) query + SQ8_QUERY_HEAD + TYPEALIGN(64, codec->code_bytes));
}

/* Components that are decoded at a time. */
#define SQ8_PIECE_DIMS 256

/* Add what the metric's norm of a - b sums: absolute values for L1, else squares. */
static inline double
sq8_add_differences(const OmenCodec *codec, double sum, const float *a, const float *b, uint32 n)
{
	uint32		i;

	if (codec->metric == OMEN_METRIC_L1)
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
sq8_norm_of_sum(const OmenCodec *codec, double sum)
{
	return (codec->metric == OMEN_METRIC_L1 ? sum : sqrt(sum)) * (1.0 + 1e-10);
}

/* A float that is not below a value, but at most FLT_MAX. */
static inline float
sq8_round_up(double value)
{
	float		result;

	if (value >= FLT_MAX)
		return FLT_MAX;
	result = (float) value;
	if ((double) result < value)
		result = nextafterf(result, FLT_MAX);
	return result;
}

/* What a float query's distance to something that stands for a vector says of that to the vector. */
typedef struct Sq8Estimate
{
	double		value;			/* by a kernel: squared distance (L2, cosine), inner product, or distance (L1) */
	double		error;			/* norm of the vector less what stands for it, or more */
	double		rounding;		/* of kernel and operator, relative to the sum of the absolute terms */
} Sq8Estimate;

extern double omen_sq8_bound(const OmenCodec *codec, const Sq8Query *query,
							 const Sq8Factors *factors, const Sq8Estimate *estimate);

#endif							/* OMEN_SQ8_INTERNAL_H */
