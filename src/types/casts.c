/*-------------------------------------------------------------------------
 *
 * casts.c
 *	  Conversions between the vector types, and from and to arrays.
 *
 * Each takes the target's typmod as second argument, as cast functions do,
 * and whether the cast is explicit as third, which makes no difference here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "src/kernels/kernels.h"
#include "src/types/array_input.h"
#include "src/types/halfvec.h"
#include "src/types/sparsevec.h"
#include "src/types/vector.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* ---------- arrays ---------- */

int
omen_array_length(ArrayType *array)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D")));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls")));
	return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
}

/*
 * Numerics have variable length, so the array must be taken apart.
 */
static void
read_numerics(ArrayType *array, float *out)
{
	Datum	   *elements;
	int			n;

	deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		out[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i]));
	pfree(elements);
}

/*
 * Elements of fixed length lie one after the other, at their alignment.
 */
void
omen_array_read(ArrayType *array, float *out)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const char *data = ARR_DATA_PTR(array);

	switch (ARR_ELEMTYPE(array))
	{
		case INT4OID:
			for (int i = 0; i < n; i++)
				out[i] = (float) ((const int32 *) data)[i];
			break;
		case FLOAT4OID:
			memcpy(out, data, sizeof(float) * n);
			break;
		case FLOAT8OID:
			for (int i = 0; i < n; i++)
				out[i] = (float) ((const float8 *) data)[i];
			break;
		case NUMERICOID:
			read_numerics(array, out);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("unsupported array type"),
					 errhint("Cast the array to real[] first.")));
	}
}

/*
 * A one-dimensional real[] with room for n > 0 elements.
 */
static ArrayType *
new_float_array(int n)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(float4) * (Size) n;
	ArrayType  *result = palloc0(size);

	SET_VARSIZE(result, size);
	result->ndim = 1;
	result->elemtype = FLOAT4OID;
	ARR_DIMS(result)[0] = n;
	ARR_LBOUND(result)[0] = 1;
	return result;
}

/*
 * The elements of an array argument for the given type, checked for number
 * but not for range.
 */
static float *
read_array_argument(FunctionCallInfo fcinfo, const OmenTypeTraits *type, int *dims)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	float	   *elements;

	*dims = omen_array_length(array);
	omen_shape_check_dims(type, *dims);
	omen_shape_check_typmod(PG_GETARG_INT32(1), *dims);
	elements = palloc(sizeof(float) * *dims);
	omen_array_read(array, elements);

	PG_FREE_IF_COPY(array, 0);
	return elements;
}

/* ---------- to vector ---------- */

PG_FUNCTION_INFO_V1(omen_vector_to_vector);
Datum
omen_vector_to_vector(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);

	omen_shape_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_OMEN_VECTOR(vector);
}

PG_FUNCTION_INFO_V1(omen_array_to_vector);
Datum
omen_array_to_vector(PG_FUNCTION_ARGS)
{
	int			dims;
	float	   *elements = read_array_argument(fcinfo, &omen_vector_traits, &dims);
	OmenVector *result = omen_vector_new(dims);

	omen_shape_check_elements(&omen_vector_traits, elements, dims);
	memcpy(result->x, elements, sizeof(float) * dims);
	pfree(elements);
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_to_vector);
Datum
omen_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	OmenHalfvec *halfvec = PG_GETARG_OMEN_HALFVEC(0);
	OmenVector *result;

	omen_shape_check_typmod(PG_GETARG_INT32(1), halfvec->dim);
	result = omen_vector_new(halfvec->dim);
	omen_kernels->half->widen(halfvec->x, result->x, halfvec->dim);
	PG_RETURN_OMEN_VECTOR(result);
}

/*
 * The elements of a sparsevec in a new array, zeros included, for a target
 * that can have as many.
 */
static float *
dense_elements(const OmenSparsevec *sparsevec, const OmenTypeTraits *target, int32 typmod)
{
	const float *values = omen_sparsevec_values(sparsevec);
	float	   *elements;

	omen_shape_check_dims(target, sparsevec->dim);
	omen_shape_check_typmod(typmod, sparsevec->dim);
	elements = palloc0(sizeof(float) * sparsevec->dim);
	for (int i = 0; i < sparsevec->nnz; i++)
	{
		int32		index = sparsevec->indices[i];

		/* We are about to write there: do not trust what was stored. */
		if (index < 0 || index >= sparsevec->dim)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("sparsevec index out of bounds")));
		elements[index] = values[i];
	}
	return elements;
}

PG_FUNCTION_INFO_V1(omen_sparsevec_to_vector);
Datum
omen_sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	OmenSparsevec *sparsevec = PG_GETARG_OMEN_SPARSEVEC(0);
	float	   *elements = dense_elements(sparsevec, &omen_vector_traits, PG_GETARG_INT32(1));
	OmenVector *result = omen_vector_new(sparsevec->dim);

	memcpy(result->x, elements, sizeof(float) * sparsevec->dim);
	pfree(elements);
	PG_RETURN_OMEN_VECTOR(result);
}

/* ---------- to halfvec ---------- */

PG_FUNCTION_INFO_V1(omen_halfvec_to_halfvec);
Datum
omen_halfvec_to_halfvec(PG_FUNCTION_ARGS)
{
	OmenHalfvec *halfvec = PG_GETARG_OMEN_HALFVEC(0);

	omen_shape_check_typmod(PG_GETARG_INT32(1), halfvec->dim);
	PG_RETURN_OMEN_HALFVEC(halfvec);
}

PG_FUNCTION_INFO_V1(omen_array_to_halfvec);
Datum
omen_array_to_halfvec(PG_FUNCTION_ARGS)
{
	int			dims;
	float	   *elements = read_array_argument(fcinfo, &omen_halfvec_traits, &dims);
	OmenHalfvec *result = omen_halfvec_from_floats(elements, dims);

	pfree(elements);
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_vector_to_halfvec);
Datum
omen_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);

	omen_shape_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_OMEN_HALFVEC(omen_halfvec_from_floats(vector->x, vector->dim));
}

PG_FUNCTION_INFO_V1(omen_sparsevec_to_halfvec);
Datum
omen_sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	OmenSparsevec *sparsevec = PG_GETARG_OMEN_SPARSEVEC(0);
	float	   *elements = dense_elements(sparsevec, &omen_halfvec_traits, PG_GETARG_INT32(1));
	OmenHalfvec *result = omen_halfvec_from_floats(elements, sparsevec->dim);

	pfree(elements);
	PG_RETURN_OMEN_HALFVEC(result);
}

/* ---------- to sparsevec ---------- */

PG_FUNCTION_INFO_V1(omen_sparsevec_to_sparsevec);
Datum
omen_sparsevec_to_sparsevec(PG_FUNCTION_ARGS)
{
	OmenSparsevec *sparsevec = PG_GETARG_OMEN_SPARSEVEC(0);

	omen_shape_check_typmod(PG_GETARG_INT32(1), sparsevec->dim);
	PG_RETURN_OMEN_SPARSEVEC(sparsevec);
}

PG_FUNCTION_INFO_V1(omen_array_to_sparsevec);
Datum
omen_array_to_sparsevec(PG_FUNCTION_ARGS)
{
	int			dims;
	float	   *elements = read_array_argument(fcinfo, &omen_sparsevec_traits, &dims);
	OmenSparsevec *result = omen_sparsevec_from_floats(elements, dims);

	pfree(elements);
	PG_RETURN_OMEN_SPARSEVEC(result);
}

PG_FUNCTION_INFO_V1(omen_vector_to_sparsevec);
Datum
omen_vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);

	omen_shape_check_typmod(PG_GETARG_INT32(1), vector->dim);
	PG_RETURN_OMEN_SPARSEVEC(omen_sparsevec_from_floats(vector->x, vector->dim));
}

PG_FUNCTION_INFO_V1(omen_halfvec_to_sparsevec);
Datum
omen_halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	OmenHalfvec *halfvec = PG_GETARG_OMEN_HALFVEC(0);
	float		elements[OMEN_HALFVEC_MAX_DIMS];

	omen_shape_check_typmod(PG_GETARG_INT32(1), halfvec->dim);
	omen_kernels->half->widen(halfvec->x, elements, halfvec->dim);
	PG_RETURN_OMEN_SPARSEVEC(omen_sparsevec_from_floats(elements, halfvec->dim));
}

/* ---------- to real[] ---------- */

PG_FUNCTION_INFO_V1(omen_vector_to_float4);
Datum
omen_vector_to_float4(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	ArrayType  *result = new_float_array(vector->dim);

	memcpy(ARR_DATA_PTR(result), vector->x, sizeof(float4) * vector->dim);
	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_ARRAYTYPE_P(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_to_float4);
Datum
omen_halfvec_to_float4(PG_FUNCTION_ARGS)
{
	OmenHalfvec *halfvec = PG_GETARG_OMEN_HALFVEC(0);
	ArrayType  *result = new_float_array(halfvec->dim);

	omen_kernels->half->widen(halfvec->x, (float *) ARR_DATA_PTR(result), halfvec->dim);
	PG_FREE_IF_COPY(halfvec, 0);
	PG_RETURN_ARRAYTYPE_P(result);
}
