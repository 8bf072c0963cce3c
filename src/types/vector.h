/*-------------------------------------------------------------------------
 *
 * vector.h
 *	  The SQL type vector: single-precision elements, 1 to 16,000 of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_VECTOR_H
#define OMEN_VECTOR_H

#include "fmgr.h"
#include "src/types/shape.h"

#define OMEN_VECTOR_MAX_DIMS 16000

/*
 * A varlena of alignment 4, so x is aligned for floats.  The binary format of
 * COPY and drivers is dim, unused and x in network byte order.
 */
typedef struct OmenVector
{
	int32		vl_len_;		/* varlena header */
	int16		dim;
	int16		unused;			/* zero */
	float		x[FLEXIBLE_ARRAY_MEMBER];
} OmenVector;

#define OMEN_VECTOR_SIZE(dim) (offsetof(OmenVector, x) + sizeof(float) * (Size) (dim))

#define DatumGetOmenVector(d) ((OmenVector *) omen_shape_detoast(d))
#define PG_GETARG_OMEN_VECTOR(n) DatumGetOmenVector(PG_GETARG_DATUM(n))
#define PG_RETURN_OMEN_VECTOR(v) PG_RETURN_POINTER(v)

/*
 * A vector of dims elements (checked by the caller), uninitialised, in the
 * current memory context.
 */
extern OmenVector *omen_vector_new(int dims);

/*
 * Order of lists: the first differing element decides, then the length.
 * Negative, zero or positive.
 */
extern int	omen_vector_compare(const OmenVector *a, const OmenVector *b);

#endif							/* OMEN_VECTOR_H */
