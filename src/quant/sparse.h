/*-------------------------------------------------------------------------
 *
 * sparse.h
 *	  Codes of sparse vectors: indices and 16-bit values; see sparse.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SPARSE_H
#define OMEN_SPARSE_H

#include "src/quant/quant.h"

/* Fill in everything of the codec but kind, which the caller has set. */
extern void omen_sparse_init(OmenCodec *codec, OmenMetric metric, uint32 dims);

#endif							/* OMEN_SPARSE_H */
