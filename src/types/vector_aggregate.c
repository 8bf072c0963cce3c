/*-------------------------------------------------------------------------
 *
 * vector_aggregate.c
 *	  avg() over vector and halfvec.
 *
 * The state is an SQL array of double precision: the number of vectors, then
 * the sums of their elements; before the first vector it is {0}.  An SQL
 * type needs no serialisation for parallel plans.  The sums do not overflow
 * where single precision would.
 *
 * (sum() needs nothing here: its state is a vector, its transition addition.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "src/types/average.h"
#include "src/types/halfvec.h"
#include "src/types/vector.h"
#include "utils/array.h"
#include "utils/float.h"

float8 *
omen_average_state(ArrayType *array, int *dims)
{
	if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < 1 ||
		ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("invalid state of an average of vectors"),
				 errdetail("The state is an array of the count and the sums of the elements.")));
	*dims = ARR_DIMS(array)[0] - 1;
	return (float8 *) ARR_DATA_PTR(array);
}

/*
 * A new state for vectors of dims elements, all zero.
 */
static ArrayType *
new_state(int dims)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + sizeof(float8) * ((Size) dims + 1);
	ArrayType  *result = palloc0(size);

	SET_VARSIZE(result, size);
	result->ndim = 1;
	result->dataoffset = 0;
	result->elemtype = FLOAT8OID;
	ARR_DIMS(result)[0] = dims + 1;
	ARR_LBOUND(result)[0] = 1;
	return result;
}

ArrayType *
omen_average_prepare(FunctionCallInfo fcinfo, ArrayType *state, int dims)
{
	int			state_dims;
	float8	   *from = omen_average_state(state, &state_dims);
	ArrayType  *result;

	if (state_dims == dims && AggCheckCallContext(fcinfo, NULL))
		return state;
	if (state_dims != 0)
		omen_shape_check_typmod(state_dims, dims);
	if (dims != 0)
		omen_shape_check_dims(&omen_vector_traits, dims);
	result = new_state(dims);
	memcpy(ARR_DATA_PTR(result), from, sizeof(float8) * (state_dims + 1));
	return result;
}

PG_FUNCTION_INFO_V1(omen_vector_accum);
Datum
omen_vector_accum(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(1);
	bool		overflow = false;
	float8	   *sums;

	state = omen_average_prepare(fcinfo, state, vector->dim);
	sums = (float8 *) ARR_DATA_PTR(state);
	sums[0] += 1;
	for (int i = 0; i < vector->dim; i++)
	{
		sums[i + 1] += vector->x[i];
		overflow |= isinf(sums[i + 1]) != 0;
	}
	if (overflow)
		float_overflow_error();
	PG_RETURN_ARRAYTYPE_P(state);
}

PG_FUNCTION_INFO_V1(omen_halfvec_accum);
Datum
omen_halfvec_accum(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(1);
	bool		overflow = false;
	float8	   *sums;

	state = omen_average_prepare(fcinfo, state, vector->dim);
	sums = (float8 *) ARR_DATA_PTR(state);
	sums[0] += 1;
	for (int i = 0; i < vector->dim; i++)
	{
		sums[i + 1] += omen_half_to_float(vector->x[i]);
		overflow |= isinf(sums[i + 1]) != 0;
	}
	if (overflow)
		float_overflow_error();
	PG_RETURN_ARRAYTYPE_P(state);
}

/*
 * Add one state to another; either may still be empty.
 */
PG_FUNCTION_INFO_V1(omen_vector_combine);
Datum
omen_vector_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *other = PG_GETARG_ARRAYTYPE_P(1);
	bool		overflow = false;
	int			state_dims;
	int			other_dims;
	float8	   *sums;
	float8	   *addends;

	omen_average_state(state, &state_dims);
	addends = omen_average_state(other, &other_dims);
	if (state_dims != 0 && other_dims != 0)
		omen_shape_check_typmod(state_dims, other_dims);

	state = omen_average_prepare(fcinfo, state, Max(state_dims, other_dims));
	sums = (float8 *) ARR_DATA_PTR(state);
	for (int i = 0; i <= other_dims; i++)
	{
		sums[i] += addends[i];
		overflow |= isinf(sums[i]) != 0;
	}
	if (overflow)
		float_overflow_error();
	PG_RETURN_ARRAYTYPE_P(state);
}

/*
 * The means, in an array of *dims; NULL if there were no values, for the
 * average of none is NULL.
 */
static float *
average(ArrayType *state, const OmenTypeTraits *type, int *dims)
{
	float8	   *sums = omen_average_state(state, dims);
	float	   *result;

	if (sums[0] == 0)
		return NULL;
	omen_shape_check_dims(type, *dims);
	result = palloc(sizeof(float) * *dims);
	for (int i = 0; i < *dims; i++)
		result[i] = (float) (sums[i + 1] / sums[0]);
	return result;
}

PG_FUNCTION_INFO_V1(omen_vector_avg);
Datum
omen_vector_avg(PG_FUNCTION_ARGS)
{
	int			dims;
	float	   *means = average(PG_GETARG_ARRAYTYPE_P(0), &omen_vector_traits, &dims);
	OmenVector *result;

	if (means == NULL)
		PG_RETURN_NULL();
	omen_shape_check_elements(&omen_vector_traits, means, dims);
	result = omen_vector_new(dims);
	memcpy(result->x, means, sizeof(float) * dims);
	pfree(means);
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_avg);
Datum
omen_halfvec_avg(PG_FUNCTION_ARGS)
{
	int			dims;
	float	   *means = average(PG_GETARG_ARRAYTYPE_P(0), &omen_halfvec_traits, &dims);
	OmenHalfvec *result;

	if (means == NULL)
		PG_RETURN_NULL();
	result = omen_halfvec_from_floats(means, dims);
	pfree(means);
	PG_RETURN_OMEN_HALFVEC(result);
}
