/*-------------------------------------------------------------------------
 *
 * halfvec.h
 *	  The SQL type halfvec: half-precision elements, 1 to 16,000 of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_HALFVEC_H
#define OMEN_HALFVEC_H

#include "fmgr.h"
#include "src/kernels/kernel_half.h"
#include "src/types/shape.h"

#define OMEN_HALFVEC_MAX_DIMS 16000

/*
 * The binary format of COPY and drivers is dim, unused and x in network byte
 * order.
 */
typedef struct OmenHalfvec
{
	int32		vl_len_;		/* varlena header */
	int16		dim;
	int16		unused;			/* zero */
	OmenHalf	x[FLEXIBLE_ARRAY_MEMBER];
} OmenHalfvec;

#define OMEN_HALFVEC_SIZE(dim) (offsetof(OmenHalfvec, x) + sizeof(OmenHalf) * (Size) (dim))

#define DatumGetOmenHalfvec(d) ((OmenHalfvec *) omen_shape_detoast(d))
#define PG_GETARG_OMEN_HALFVEC(n) DatumGetOmenHalfvec(PG_GETARG_DATUM(n))
#define PG_RETURN_OMEN_HALFVEC(v) PG_RETURN_POINTER(v)

/*
 * A halfvec of dims elements (checked by the caller), uninitialised, in the
 * current memory context.
 */
extern OmenHalfvec *omen_halfvec_new(int dims);

/* The nearest halfvec to dims floats; an error if one is no finite half. */
extern OmenHalfvec *omen_halfvec_from_floats(const float *x, int dims);

/* Order of lists: as of vectors with the same elements. */
extern int	omen_halfvec_compare(const OmenHalfvec *a, const OmenHalfvec *b);

#endif							/* OMEN_HALFVEC_H */
