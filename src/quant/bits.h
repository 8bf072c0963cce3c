/*-------------------------------------------------------------------------
 *
 * bits.h
 *	  Bit strings as their own codes; see bits.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_BITS_H
#define OMEN_BITS_H

#include "src/quant/quant.h"

/* Fill in everything of the codec but kind, which the caller has set. */
extern void omen_bits_init(OmenCodec *codec, OmenMetric metric, uint32 dims);

#endif							/* OMEN_BITS_H */
