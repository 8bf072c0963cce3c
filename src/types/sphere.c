/*-------------------------------------------------------------------------
 *
 * sphere.c
 *	  The types sphere_*: a centre and a radius, and who is within.
 *
 * They are composite types, so PostgreSQL reads, writes and builds them.  A
 * sphere makes one operand of two numbers, which is what an index needs to
 * know where a search may end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/types/sphere.h"

#include "executor/executor.h"
#include "fmgr.h"
#include "utils/float.h"

bool
omen_sphere_read(Datum sphere, Datum *center, double *radius)
{
	HeapTupleHeader tuple = DatumGetHeapTupleHeader(sphere);
	bool		isnull;
	Datum		value;

	*center = GetAttributeByNum(tuple, 1, &isnull);
	if (isnull)
		return false;
	value = GetAttributeByNum(tuple, 2, &isnull);
	if (isnull)
		return false;
	*radius = DatumGetFloat8(value);
	return true;
}

/* Is a value within a sphere?  As SQL says, NaN is greater than any number. */
static Datum
within(FunctionCallInfo fcinfo, PGFunction distance_function)
{
	Datum		center;
	double		radius;
	double		distance;

	if (!omen_sphere_read(PG_GETARG_DATUM(1), &center, &radius))
		PG_RETURN_NULL();
	distance = DatumGetFloat8(DirectFunctionCall2(distance_function, PG_GETARG_DATUM(0), center));
	PG_RETURN_BOOL(float8_le(distance, radius));
}

#define WITHIN_FUNCTION(name, distance_function) \
	extern Datum distance_function(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name); \
	Datum \
	name(PG_FUNCTION_ARGS) \
	{ \
		return within(fcinfo, distance_function); \
	} \
	extern int	omen_no_such_symbol

WITHIN_FUNCTION(omen_vector_l2_within, omen_vector_l2_distance);
WITHIN_FUNCTION(omen_vector_ip_within, omen_vector_negative_inner_product);
WITHIN_FUNCTION(omen_vector_cosine_within, omen_vector_cosine_distance);
WITHIN_FUNCTION(omen_vector_l1_within, omen_vector_l1_distance);

WITHIN_FUNCTION(omen_halfvec_l2_within, omen_halfvec_l2_distance);
WITHIN_FUNCTION(omen_halfvec_ip_within, omen_halfvec_negative_inner_product);
WITHIN_FUNCTION(omen_halfvec_cosine_within, omen_halfvec_cosine_distance);
WITHIN_FUNCTION(omen_halfvec_l1_within, omen_halfvec_l1_distance);

WITHIN_FUNCTION(omen_bit_hamming_within, omen_bit_hamming_distance);
WITHIN_FUNCTION(omen_bit_jaccard_within, omen_bit_jaccard_distance);

WITHIN_FUNCTION(omen_sparsevec_l2_within, omen_sparsevec_l2_distance);
WITHIN_FUNCTION(omen_sparsevec_ip_within, omen_sparsevec_negative_inner_product);
WITHIN_FUNCTION(omen_sparsevec_cosine_within, omen_sparsevec_cosine_distance);
WITHIN_FUNCTION(omen_sparsevec_l1_within, omen_sparsevec_l1_distance);
