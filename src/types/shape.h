/*-------------------------------------------------------------------------
 *
 * shape.h
 *	  The checks that all vector types share: dimensions, typmods, elements.
 *
 * The rules are the same for vector, halfvec and sparsevec, the limits and
 * the name in the message differ.  The tests are inline, for they run once
 * per call of a distance operator; what raises the error is not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SHAPE_H
#define OMEN_SHAPE_H

#include <math.h>

#include "fmgr.h"
#include "utils/array.h"

typedef struct OmenTypeTraits
{
	const char *name;			/* as SQL spells it */
	int32		max_dims;
} OmenTypeTraits;

extern const OmenTypeTraits omen_vector_traits;
extern const OmenTypeTraits omen_halfvec_traits;
extern const OmenTypeTraits omen_sparsevec_traits;

/* The single dimension of a type modifier such as vector(3). */
extern int32 omen_shape_typmod(const OmenTypeTraits *type, ArrayType *modifiers);

/* Raise the error for what the inline tests below found. */
extern void omen_shape_bad_dims(const OmenTypeTraits *type, int64 dims) pg_attribute_noreturn();
extern void omen_shape_unexpected_dims(int32 expected, int32 dims) pg_attribute_noreturn();
extern void omen_shape_different_dims(const OmenTypeTraits *type, int32 a, int32 b) pg_attribute_noreturn();
extern void omen_shape_bad_element(const OmenTypeTraits *type, float value) pg_attribute_noreturn();

/* At least one dimension, and no more than the type can have. */
static inline void
omen_shape_check_dims(const OmenTypeTraits *type, int64 dims)
{
	if (unlikely(dims < 1 || dims > type->max_dims))
		omen_shape_bad_dims(type, dims);
}

/* The dimensions that a column or cast asks for; -1 asks for none. */
static inline void
omen_shape_check_typmod(int32 typmod, int32 dims)
{
	if (unlikely(typmod != -1 && typmod != dims))
		omen_shape_unexpected_dims(typmod, dims);
}

static inline void
omen_shape_check_same(const OmenTypeTraits *type, int32 a, int32 b)
{
	if (unlikely(a != b))
		omen_shape_different_dims(type, a, b);
}

/*
 * True if no element is NaN or infinite.  Looks at all of them, so that the
 * compiler can do it several at a time.
 */
static inline bool
omen_shape_all_finite(const float *x, int n)
{
	uint32		found = 0;

	for (int i = 0; i < n; i++)
	{
		uint32		bits;

		memcpy(&bits, &x[i], sizeof(bits));
		found |= (uint32) ((bits & 0x7f800000U) == 0x7f800000U);
	}
	return found == 0;
}

/*
 * Where a slice of count elements from position start (from 1) lies within
 * dims elements: returns how many of them exist, and the index of the first.
 * Positions outside are cut off; the result may be zero.
 */
extern int	omen_shape_slice(int dims, int32 start, int32 count, int *first);

/*
 * A varlena argument in full.  Nearly always it is so already, and then no
 * function need be called.
 */
static inline void *
omen_shape_detoast(Datum datum)
{
	if (likely(!VARATT_IS_EXTENDED(DatumGetPointer(datum))))
		return DatumGetPointer(datum);
	return PG_DETOAST_DATUM(datum);
}

/*
 * 1 - a.b / (|a| |b|) from a.b, a.a and b.b, kept within 0 .. 2 whatever
 * rounding does.  NaN where a vector is zero.
 */
static inline double
omen_shape_cosine_distance(double ab, double aa, double bb)
{
	double		cosine = ab / sqrt(aa * bb);

	if (cosine > 1)
		cosine = 1;
	else if (cosine < -1)
		cosine = -1;
	return 1 - cosine;
}

/* Angle between unit vectors as a share of a half turn, from their product. */
extern double omen_shape_angle(double product);

/* Every element finite, or the error for the first that is not. */
extern void omen_shape_check_elements(const OmenTypeTraits *type, const float *x, int n);

#endif							/* OMEN_SHAPE_H */
