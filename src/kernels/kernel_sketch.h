/*-------------------------------------------------------------------------
 *
 * kernel_sketch.h
 *	  Keys of sketches (src/quant/sketch.h): all with the same bits in every variant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_KERNEL_SKETCH_H
#define OMEN_KERNEL_SKETCH_H

#include "c.h"

/*
 * A number >= 0 in 16 bits: 4 of exponent, 12 of fraction, below 2^12 in steps of 1, up to
 * OMEN_FACTOR_MAX.  Three places more than a half has, for less of a range; factors of sketches need
 * no more than what is usual and its neighbourhood.  Signed ones have an exponent of 3 bits.
 */
typedef uint16 OmenFactor;

#define OMEN_FACTOR_FRACTION 12
#define OMEN_FACTOR_MAX 0x7ffc000	/* 8191 * 2^14 */
#define OMEN_FACTOR_SIGN 0x8000
#define OMEN_SIGNED_FACTOR_MAX 0x7ffc0	/* 8191 * 2^6 */

/* What a record of one, two or four bits per component begins with; its code follows. */
typedef struct OmenLowBitRecord
{
	OmenFactor	add;
	OmenFactor	rescale;
} OmenLowBitRecord;

/*
 * What of a query does not depend on the record.  With the levels l of a
 * record and the query's integers m a key is
 *
 *		base + add_scale * add - dot_scale * rescale * (2 <l, m> - sum)
 */
typedef struct OmenLowBitQuery
{
	double		base;
	double		add_scale;
	double		dot_scale;
	int32		sum;
	uint32		add_sign;		/* OMEN_FACTOR_SIGN if add is signed, else 0 */
} OmenLowBitQuery;

/* Keys of records of codebook entries: base + scale * what the tables have for the entries. */
typedef struct OmenProductQuery
{
	double		base;
	double		scale;
} OmenProductQuery;

typedef struct OmenSketchKernels
{
	/*
	 * Keys of n records.  Byte j of a code of n_bytes, a multiple of 4, holds in its bits from k * bits on
	 * the level of component k * n_bytes + j; the query's integer for it, -127 .. 127, is
	 * planes[k * TYPEALIGN(64, n_bytes) + j], with zeros in between, aligned to 64 bytes.
	 */
	void		(*low_bit_keys) (const OmenLowBitQuery *query, const int8 *planes, uint32 n_bytes,
								 uint32 bits, int n, const uint8 *const *records, float *out);

	/*
	 * Keys of n records, whose bytes each name an entry of 256: number j one in tables[256 * j ..].
	 */
	void		(*product_keys_8) (const OmenProductQuery *query, const uint8 *tables,
								   uint32 n_bytes, int n, const uint8 *const *records, float *out);
	/*
	 * The same of 16 entries, two in a byte: the low half of number j names one in
	 * tables[32 * j ..], the high half one in the 16 after these.  Tables are aligned to 64 bytes.
	 */
	void		(*product_keys_4) (const OmenProductQuery *query, const uint8 *tables,
								   uint32 n_bytes, int n, const uint8 *const *records, float *out);

	/*
	 * From a vector of n components to each of n_entries, a multiple of 16, of a codebook: the sum of
	 * squared differences, or the inner product.  Component i of entry k is entries[i * n_entries + k].
	 */
	void		(*entries_l2) (const float *x, uint32 n, const float *entries, uint32 n_entries,
							   float *out);
	void		(*entries_ip) (const float *x, uint32 n, const float *entries, uint32 n_entries,
							   float *out);

	/* Sums and differences of n = 2^k floats: a Hadamard transform, its rows not normalised. */
	void		(*hadamard) (float *x, uint32 n);
} OmenSketchKernels;

extern const OmenSketchKernels omen_sketch_kernels_scalar;
extern const OmenSketchKernels omen_sketch_kernels_avx2;
extern const OmenSketchKernels omen_sketch_kernels_avx512;
extern const OmenSketchKernels omen_sketch_kernels_neon;
extern const OmenSketchKernels omen_sketch_kernels_neon_dot;

#define OMEN_PLANE_STRIDE(n_bytes) TYPEALIGN(64, n_bytes)

/* The value of a factor that is not negative. */
static inline uint32
omen_factor_value(OmenFactor factor)
{
	uint32		exponent = factor >> OMEN_FACTOR_FRACTION;
	uint32		fraction = factor & ((1 << OMEN_FACTOR_FRACTION) - 1);

	if (exponent == 0)
		return fraction;
	return (fraction + (1 << OMEN_FACTOR_FRACTION)) << (exponent - 1);
}

/* The nearest factor to a number 0 .. OMEN_FACTOR_MAX. */
static inline OmenFactor
omen_factor_nearest(double value)
{
	uint32		exponent = 0;

	/* rounded in steps of 1, 2, 4, ..., whichever leave 13 bits */
	while (value >= (2 << OMEN_FACTOR_FRACTION) - 0.5)
	{
		value /= 2;
		exponent++;
	}
	return (OmenFactor) ((exponent << OMEN_FACTOR_FRACTION) + (uint32) (value + 0.5));
}

#endif							/* OMEN_KERNEL_SKETCH_H */
