/*-------------------------------------------------------------------------
 *
 * floats.h
 *	  Components as they are, or as halves; see floats.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_FLOATS_H
#define OMEN_FLOATS_H

#include "src/quant/quant.h"

/* Fill in everything of a codec of kind OMEN_CODE_FLOAT or OMEN_CODE_HALF but the kind. */
extern void omen_floats_init(OmenCodec *codec, OmenMetric metric, uint32 dims);

#endif							/* OMEN_FLOATS_H */
