/*-------------------------------------------------------------------------
 *
 * sparsevec_distance.c
 *	  The SQL type sparsevec: distances, norms.
 *
 * Indices ascend, so two vectors are merged as sorted lists are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "src/types/sparsevec.h"
#include "utils/float.h"

/*
 * A sum over all places: term_both where both have an element, term_one where
 * one has x and the other zero.
 */
#define DEFINE_SUM(name, term_both, term_one) \
static float \
name(const OmenSparsevec *a, const OmenSparsevec *b) \
{ \
	const float *a_values = omen_sparsevec_values(a); \
	const float *b_values = omen_sparsevec_values(b); \
	float		sum = 0; \
	int			i = 0; \
	int			j = 0; \
	\
	while (i < a->nnz && j < b->nnz) \
	{ \
		int32		at_a = a->indices[i]; \
		int32		at_b = b->indices[j]; \
		float		x = a_values[i]; \
		float		y = b_values[j]; \
		\
		if (at_a == at_b) \
			sum += term_both; \
		else \
		{ \
			x = at_a < at_b ? x : y; \
			sum += term_one; \
		} \
		i += (at_a <= at_b); \
		j += (at_b <= at_a); \
	} \
	for (; i < a->nnz; i++) \
	{ \
		float		x = a_values[i]; \
		\
		sum += term_one; \
		(void) x; \
	} \
	for (; j < b->nnz; j++) \
	{ \
		float		x = b_values[j]; \
		\
		sum += term_one; \
		(void) x; \
	} \
	return sum; \
}

DEFINE_SUM(sum_of_squares, (x - y) * (x - y), x * x)
DEFINE_SUM(sum_of_distances, fabsf(x - y), fabsf(x))

static float
sum_of_products(const OmenSparsevec *a, const OmenSparsevec *b)
{
	const float *a_values = omen_sparsevec_values(a);
	const float *b_values = omen_sparsevec_values(b);
	float		sum = 0;
	int			i = 0;
	int			j = 0;

	while (i < a->nnz && j < b->nnz)
	{
		int32		at_a = a->indices[i];
		int32		at_b = b->indices[j];

		if (at_a == at_b)
			sum += a_values[i] * b_values[j];
		i += (at_a <= at_b);
		j += (at_b <= at_a);
	}
	return sum;
}

static float
own_square(const OmenSparsevec *vector)
{
	const float *values = omen_sparsevec_values(vector);
	float		sum = 0;

	for (int i = 0; i < vector->nnz; i++)
		sum += values[i] * values[i];
	return sum;
}

/*
 * Two sparsevec arguments of equal dimensions.
 */
static inline void
get_pair(FunctionCallInfo fcinfo, OmenSparsevec **a, OmenSparsevec **b)
{
	*a = PG_GETARG_OMEN_SPARSEVEC(0);
	*b = PG_GETARG_OMEN_SPARSEVEC(1);
	omen_shape_check_same(&omen_sparsevec_traits, (*a)->dim, (*b)->dim);
}

static inline void
free_pair(FunctionCallInfo fcinfo, OmenSparsevec *a, OmenSparsevec *b)
{
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_l2_distance);
Datum
omen_sparsevec_l2_distance(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sqrt((double) sum_of_squares(a, b));
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_l2_squared_distance);
Datum
omen_sparsevec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sum_of_squares(a, b);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_inner_product);
Datum
omen_sparsevec_inner_product(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sum_of_products(a, b);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_negative_inner_product);
Datum
omen_sparsevec_negative_inner_product(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = -sum_of_products(a, b);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_cosine_distance);
Datum
omen_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_shape_cosine_distance(sum_of_products(a, b), own_square(a), own_square(b));
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_l1_distance);
Datum
omen_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	OmenSparsevec *a;
	OmenSparsevec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sum_of_distances(a, b);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

/* Euclidean length, summed in double precision. */
static double
length_of(const OmenSparsevec *vector)
{
	const float *values = omen_sparsevec_values(vector);
	double		sum = 0;

	for (int i = 0; i < vector->nnz; i++)
		sum += (double) values[i] * (double) values[i];
	return sqrt(sum);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_norm);
Datum
omen_sparsevec_norm(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);

	PG_RETURN_FLOAT8(length_of(vector));
}

/*
 * Elements that become zero are left out, as everywhere.  A vector without
 * elements has no direction and stays as it is.
 */
PG_FUNCTION_INFO_V1(omen_sparsevec_l2_normalize);
Datum
omen_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);
	const float *values = omen_sparsevec_values(vector);
	double		length = length_of(vector);
	OmenSparsevec *result;
	int			nnz = 0;

	for (int i = 0; i < vector->nnz; i++)
		nnz += ((float) (values[i] / length) != 0);
	result = omen_sparsevec_new(vector->dim, nnz);
	for (int i = 0, k = 0; k < nnz; i++)
	{
		float		x = (float) (values[i] / length);

		if (x == 0)
			continue;
		if (isinf(x))
			float_overflow_error();
		result->indices[k] = vector->indices[i];
		omen_sparsevec_values(result)[k++] = x;
	}
	PG_RETURN_OMEN_SPARSEVEC(result);
}
