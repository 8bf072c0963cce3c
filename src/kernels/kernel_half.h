/*-------------------------------------------------------------------------
 *
 * kernel_half.h
 *	  Distances between vectors of half-precision numbers.
 *
 * Halves are a way to store: all arithmetic is in single precision, where
 * their products are exact and sums do not overflow at 65504.  The promises
 * are those of the *_f32 kernels: variants may round differently.  The two
 * conversions give the same bits in every variant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_KERNEL_HALF_H
#define OMEN_KERNEL_HALF_H

#include "c.h"

/* IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
typedef uint16 OmenHalf;

#define OMEN_HALF_INFINITY 0x7c00
#define OMEN_HALF_SIGN 0x8000

typedef struct OmenHalfKernels
{
	float		(*l2_squared) (const OmenHalf *a, const OmenHalf *b, uint32 n);
	float		(*inner_product) (const OmenHalf *a, const OmenHalf *b, uint32 n);
	float		(*l1) (const OmenHalf *a, const OmenHalf *b, uint32 n);
	/* a.b, a.a and b.b in one pass */
	void		(*cosine_terms) (const OmenHalf *a, const OmenHalf *b, uint32 n,
								 float *ab, float *aa, float *bb);

	/* Finite halves as floats, exactly. */
	void		(*widen) (const OmenHalf *from, float *to, uint32 n);

	/*
	 * Floats other than NaN as the nearest halves, ties to even; from 65520
	 * on that is infinity.
	 */
	void		(*narrow) (const float *from, OmenHalf *to, uint32 n);
} OmenHalfKernels;

extern const OmenHalfKernels omen_half_kernels_scalar;
extern const OmenHalfKernels omen_half_kernels_avx2;
extern const OmenHalfKernels omen_half_kernels_avx512;
extern const OmenHalfKernels omen_half_kernels_neon;

/*
 * The fields of a half, moved to where a float has them, are a float whose
 * exponent is too small by the difference of the two biases; a multiplication
 * by a power of two is exact, for subnormal halves too.
 */
static inline float
omen_half_to_float(OmenHalf half)
{
	uint32		bits = ((uint32) half & 0x7fff) << 13;
	uint32		sign = ((uint32) half & OMEN_HALF_SIGN) << 16;
	float		value;

	memcpy(&value, &bits, sizeof(value));
	value *= 0x1p112f;
	memcpy(&bits, &value, sizeof(bits));
	bits |= sign;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/*
 * Halves below 2^-14 are multiples of 2^-24.  Adding 1/2, whose last place
 * that is, makes the float unit round there; what is left of the bits counts
 * multiples.  Larger numbers lose 13 bits, rounded by adding almost half of
 * the last place that stays, or all of it if that place is odd.
 */
static inline OmenHalf
omen_float_to_half(float value)
{
	uint32		bits;
	uint32		sign;
	uint32		half;

	memcpy(&bits, &value, sizeof(bits));
	sign = (bits >> 16) & OMEN_HALF_SIGN;
	bits &= 0x7fffffff;
	if (bits >= 0x477ff000)		/* 65520 */
		half = OMEN_HALF_INFINITY;
	else if (bits < 0x38800000) /* 2^-14 */
	{
		float		shifted;

		memcpy(&shifted, &bits, sizeof(shifted));
		shifted += 0.5f;
		memcpy(&half, &shifted, sizeof(half));
		half -= 0x3f000000;
	}
	else
		half = (bits + 0x0fff + ((bits >> 13) & 1) - (112U << 23)) >> 13;
	return (OmenHalf) (sign | half);
}

#endif							/* OMEN_KERNEL_HALF_H */
