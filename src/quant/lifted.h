/*-------------------------------------------------------------------------
 *
 * lifted.h
 *	  Distances to link by, for a search by inner products; see lifted.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_LIFTED_H
#define OMEN_LIFTED_H

#include "src/quant/quant.h"

/* Callers use codec; the rest is what its functions need.  It must stay where it is. */
typedef struct OmenLiftedCodec
{
	OmenCodec	codec;			/* first, so that pointers convert */
	OmenCodec	distance;		/* L2 distance of the vectors as they are */
	double		norm_sq;		/* which all vectors are lifted to */
} OmenLiftedCodec;

/* The largest squared norm of n records whose factors lie one after the other. */
extern double omen_lifted_norm_sq(const OmenCodec *codec, const char *factors, uint32 n);

/*
 * From a codec for inner products, one of the same records whose keys are
 * distances of lifted vectors.  Its queries come from codes only, and it has no
 * lower bound.
 */
extern void omen_lifted_init(OmenLiftedCodec *lifted, const OmenCodec *codec, double norm_sq);

#endif							/* OMEN_LIFTED_H */
