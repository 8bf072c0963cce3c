/*-------------------------------------------------------------------------
 *
 * sq8.h
 *	  Per-vector affine 8-bit codes; see sq8.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SQ8_H
#define OMEN_SQ8_H

#include "src/quant/quant.h"

/* Fill in everything of the codec but kind, which the caller has set. */
extern void omen_sq8_init(OmenCodec *codec, OmenMetric metric, uint32 dims);

/* Add OMEN_REFINE_SCALAR: all but the kind and the sum of the sizes. */
extern void omen_sq8_refine(OmenCodec *codec);

#endif							/* OMEN_SQ8_H */
