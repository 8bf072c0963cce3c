/*-------------------------------------------------------------------------
 *
 * sparsevec.h
 *	  The SQL type sparsevec: up to 16,000 elements that are not zero, among
 *	  up to a billion dimensions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SPARSEVEC_H
#define OMEN_SPARSEVEC_H

#include "fmgr.h"
#include "src/types/shape.h"

#define OMEN_SPARSEVEC_MAX_DIMS 1000000000
#define OMEN_SPARSEVEC_MAX_NONZERO 16000

/*
 * Indices count from 0 (in text from 1) and ascend; the values, none of them
 * zero, lie behind the last index.  The binary format of COPY and drivers is
 * dim, nnz, unused, the indices and the values in network byte order.
 */
typedef struct OmenSparsevec
{
	int32		vl_len_;		/* varlena header */
	int32		dim;
	int32		nnz;			/* elements that are not zero */
	int32		unused;			/* zero */
	int32		indices[FLEXIBLE_ARRAY_MEMBER];
} OmenSparsevec;

#define OMEN_SPARSEVEC_SIZE(nnz) \
	(offsetof(OmenSparsevec, indices) + (sizeof(int32) + sizeof(float)) * (Size) (nnz))

#define DatumGetOmenSparsevec(d) ((OmenSparsevec *) omen_shape_detoast(d))
#define PG_GETARG_OMEN_SPARSEVEC(n) DatumGetOmenSparsevec(PG_GETARG_DATUM(n))
#define PG_RETURN_OMEN_SPARSEVEC(v) PG_RETURN_POINTER(v)

static inline float *
omen_sparsevec_values(const OmenSparsevec *vector)
{
	return (float *) (vector->indices + vector->nnz);
}

/*
 * A sparsevec with room for nnz elements (both checked by the caller),
 * uninitialised, in the current memory context.
 */
extern OmenSparsevec *omen_sparsevec_new(int32 dims, int32 nnz);

/* The elements of x that are not zero; checks that all are finite. */
extern OmenSparsevec *omen_sparsevec_from_floats(const float *x, int dims);

/* Order of the dense lists that are meant. */
extern int	omen_sparsevec_compare(const OmenSparsevec *a, const OmenSparsevec *b);

#endif							/* OMEN_SPARSEVEC_H */
