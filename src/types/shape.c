/*-------------------------------------------------------------------------
 *
 * shape.c
 *	  The checks that all vector types share: dimensions, typmods, elements.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "src/types/shape.h"
#include "utils/array.h"

int32
omen_shape_typmod(const OmenTypeTraits *type, ArrayType *modifiers)
{
	int			n;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errdetail("Type %s takes one modifier, the number of dimensions.",
						   type->name)));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type->name)));
	if (values[0] > type->max_dims)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d",
						type->name, type->max_dims)));
	return values[0];
}

void
omen_shape_bad_dims(const OmenTypeTraits *type, int64 dims)
{
	if (dims < 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type->name)));
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%s cannot have more than %d dimensions",
					type->name, type->max_dims)));
}

void
omen_shape_unexpected_dims(int32 expected, int32 dims)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("expected %d dimensions, not %d", expected, dims)));
}

void
omen_shape_different_dims(const OmenTypeTraits *type, int32 a, int32 b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different %s dimensions %d and %d", type->name, a, b)));
}

void
omen_shape_bad_element(const OmenTypeTraits *type, float value)
{
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type->name)));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("infinite value not allowed in %s", type->name)));
}

void
omen_shape_check_elements(const OmenTypeTraits *type, const float *x, int n)
{
	if (likely(omen_shape_all_finite(x, n)))
		return;
	for (int i = 0; i < n; i++)
	{
		if (!isfinite(x[i]))
			omen_shape_bad_element(type, x[i]);
	}
}

int
omen_shape_slice(int dims, int32 start, int32 count, int *first)
{
	int64		begin = Max((int64) start, 1);
	int64		end = Min((int64) start + count, (int64) dims + 1);

	*first = (int) (begin - 1);
	return (int) Max(end - begin, 0);
}

double
omen_shape_angle(double product)
{
	if (product > 1)
		product = 1;
	else if (product < -1)
		product = -1;
	return acos(product) / M_PI;
}
