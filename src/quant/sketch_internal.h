/*-------------------------------------------------------------------------
 *
 * sketch_internal.h
 *	  The kinds of sketches, one file each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SKETCH_INTERNAL_H
#define OMEN_SKETCH_INTERNAL_H

#include "src/quant/sketch.h"

/* Fill in everything but kind, metric, dims, bits and subvectors, which the caller has set. */
extern void omen_sketch_low_bit_init(OmenSketch *sketch);	/* binary too */
extern void omen_sketch_product_init(OmenSketch *sketch);

#endif							/* OMEN_SKETCH_INTERNAL_H */
