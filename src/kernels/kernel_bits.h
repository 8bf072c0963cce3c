/*-------------------------------------------------------------------------
 *
 * kernel_bits.h
 *	  Counts over pairs of bit strings, from which their distances follow.
 *
 * Lengths are in bytes; unused bits of the last byte are zero in both.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_KERNEL_BITS_H
#define OMEN_KERNEL_BITS_H

#include "c.h"

typedef struct OmenBitKernels
{
	/* bits that differ */
	uint64		(*differing) (const uint8 *a, const uint8 *b, uint32 n_bytes);
	/* bits set in both, and in at least one */
	void		(*common) (const uint8 *a, const uint8 *b, uint32 n_bytes,
						   uint64 *both, uint64 *either);
} OmenBitKernels;

extern const OmenBitKernels omen_bit_kernels_scalar;
extern const OmenBitKernels omen_bit_kernels_avx2;
extern const OmenBitKernels omen_bit_kernels_avx512;
extern const OmenBitKernels omen_bit_kernels_neon;

#endif							/* OMEN_KERNEL_BITS_H */
