/*-------------------------------------------------------------------------
 *
 * sq8_internal.h
 *	  What the 8-bit codes (sq8.c) and their finer codes (sq8_refine.c) share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SQ8_INTERNAL_H
#define OMEN_SQ8_INTERNAL_H

#include "src/quant/dense.h"

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
	OmenDenseQuery dense;		/* for bounds */
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

extern double omen_sq8_bound(const OmenCodec *codec, const Sq8Query *query,
							 const Sq8Factors *factors, OmenDenseEstimate *estimate);

#endif							/* OMEN_SQ8_INTERNAL_H */
