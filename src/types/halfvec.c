/*-------------------------------------------------------------------------
 *
 * halfvec.c
 *	  The SQL type halfvec: input and output, comparison, distances and
 *	  element-wise arithmetic.
 *
 * Everything is computed in single precision and rounded once.  See vector.c
 * for what holds of both types.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "src/kernels/kernels.h"
#include "src/types/halfvec.h"
#include "src/types/number_text.h"
#include "utils/float.h"
#include "utils/varbit.h"

/* Bytes of the binary format before the elements: dim and unused. */
#define WIRE_HEADER_BYTES 4

/* Halves hashed at a time. */
#define HASH_CHUNK 128

/* The smallest magnitude that rounds to infinity. */
#define TOO_LARGE 65520.0f

const OmenTypeTraits omen_halfvec_traits = {"halfvec", OMEN_HALFVEC_MAX_DIMS};

OmenHalfvec *
omen_halfvec_new(int dims)
{
	OmenHalfvec *result = palloc(OMEN_HALFVEC_SIZE(dims));

	SET_VARSIZE(result, OMEN_HALFVEC_SIZE(dims));
	result->dim = dims;
	result->unused = 0;
	return result;
}

static inline bool
is_zero(OmenHalf half)
{
	return (half & ~OMEN_HALF_SIGN) == 0;
}

/* As omen_shape_all_finite(). */
static bool
all_finite(const OmenHalf *x, int n)
{
	uint16		found = 0;

	for (int i = 0; i < n; i++)
		found |= (uint16) ((x[i] & OMEN_HALF_INFINITY) == OMEN_HALF_INFINITY);
	return found == 0;
}

/* Index of the first infinity or NaN; the number of dimensions if none. */
static int
first_not_finite(const OmenHalfvec *vector)
{
	int			i = 0;

	if (likely(all_finite(vector->x, vector->dim)))
		return vector->dim;
	while ((vector->x[i] & OMEN_HALF_INFINITY) != OMEN_HALF_INFINITY)
		i++;
	return i;
}

OmenHalfvec *
omen_halfvec_from_floats(const float *x, int dims)
{
	OmenHalfvec *result = omen_halfvec_new(dims);
	int			wrong;

	omen_shape_check_elements(&omen_halfvec_traits, x, dims);
	omen_kernels->half->narrow(x, result->x, dims);
	wrong = first_not_finite(result);
	if (unlikely(wrong < dims))
	{
		char		digits[OMEN_TEXT_FLOAT_BYTES];

		omen_text_range_error(&omen_halfvec_traits, digits,
							  omen_text_put_float(digits, x[wrong]));
	}
	return result;
}

/*
 * Two halfvec arguments of equal dimensions.
 */
static inline void
get_pair(FunctionCallInfo fcinfo, OmenHalfvec **a, OmenHalfvec **b)
{
	*a = PG_GETARG_OMEN_HALFVEC(0);
	*b = PG_GETARG_OMEN_HALFVEC(1);
	omen_shape_check_same(&omen_halfvec_traits, (*a)->dim, (*b)->dim);
}

static inline void
free_pair(FunctionCallInfo fcinfo, OmenHalfvec *a, OmenHalfvec *b)
{
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
}

/* ---------- input and output ---------- */

PG_FUNCTION_INFO_V1(omen_halfvec_in);
Datum
omen_halfvec_in(PG_FUNCTION_ARGS)
{
	const char *literal = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	float		elements[OMEN_HALFVEC_MAX_DIMS];
	int			dims;

	dims = omen_text_parse_list(&omen_halfvec_traits, literal, TOO_LARGE, elements);
	omen_shape_check_typmod(typmod, dims);
	PG_RETURN_OMEN_HALFVEC(omen_halfvec_from_floats(elements, dims));
}

PG_FUNCTION_INFO_V1(omen_halfvec_out);
Datum
omen_halfvec_out(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	char	   *text;
	char	   *p;

	/* digits and separator of each element, brackets, terminator */
	text = palloc((Size) vector->dim * (OMEN_TEXT_FLOAT_BYTES + 1) + 3);
	p = text;
	*p++ = '[';
	for (int i = 0; i < vector->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p = omen_text_put_float(p, omen_half_to_float(vector->x[i]));
	}
	*p++ = ']';
	*p = '\0';

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(omen_halfvec_typmod_in);
Datum
omen_halfvec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(omen_shape_typmod(&omen_halfvec_traits, PG_GETARG_ARRAYTYPE_P(0)));
}

/*
 * Copy n 16-bit words, turning the order of their bytes between the
 * network's and ours.
 */
static void
swap_words(void *to, const void *from, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint16		word;

		memcpy(&word, (const char *) from + sizeof(word) * i, sizeof(word));
		word = pg_ntoh16(word);
		memcpy((char *) to + sizeof(word) * i, &word, sizeof(word));
	}
}

PG_FUNCTION_INFO_V1(omen_halfvec_recv);
Datum
omen_halfvec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dims = pq_getmsgint(message, sizeof(int16));
	int			unused = pq_getmsgint(message, sizeof(int16));
	OmenHalfvec *result;
	int			wrong;

	omen_shape_check_dims(&omen_halfvec_traits, dims);
	omen_shape_check_typmod(typmod, dims);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	result = omen_halfvec_new(dims);
	swap_words(result->x, pq_getmsgbytes(message, sizeof(OmenHalf) * dims), dims);
	wrong = first_not_finite(result);
	if (unlikely(wrong < dims))
	{
		OmenHalf	size = result->x[wrong] & ~OMEN_HALF_SIGN;

		omen_shape_bad_element(&omen_halfvec_traits,
							   size == OMEN_HALF_INFINITY ? INFINITY : NAN);
	}
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_send);
Datum
omen_halfvec_send(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	Size		size = VARHDRSZ + WIRE_HEADER_BYTES + sizeof(OmenHalf) * vector->dim;
	bytea	   *result = palloc(size);
	uint16		header[2];

	SET_VARSIZE(result, size);
	header[0] = pg_hton16((uint16) vector->dim);
	header[1] = pg_hton16((uint16) vector->unused);
	memcpy(VARDATA(result), header, sizeof(header));
	swap_words(VARDATA(result) + sizeof(header), vector->x, vector->dim);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_BYTEA_P(result);
}

/* ---------- distances ---------- */

PG_FUNCTION_INFO_V1(omen_halfvec_l2_distance);
Datum
omen_halfvec_l2_distance(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sqrt((double) omen_kernels->half->l2_squared(a->x, b->x, a->dim));
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_l2_squared_distance);
Datum
omen_halfvec_l2_squared_distance(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->half->l2_squared(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_inner_product);
Datum
omen_halfvec_inner_product(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->half->inner_product(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_negative_inner_product);
Datum
omen_halfvec_negative_inner_product(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = -omen_kernels->half->inner_product(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_cosine_distance);
Datum
omen_halfvec_cosine_distance(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	float		ab;
	float		aa;
	float		bb;

	get_pair(fcinfo, &a, &b);
	omen_kernels->half->cosine_terms(a->x, b->x, a->dim, &ab, &aa, &bb);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(omen_shape_cosine_distance(ab, aa, bb));
}

PG_FUNCTION_INFO_V1(omen_halfvec_spherical_distance);
Datum
omen_halfvec_spherical_distance(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		cosine;

	get_pair(fcinfo, &a, &b);
	cosine = omen_kernels->half->inner_product(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(omen_shape_angle(cosine));
}

PG_FUNCTION_INFO_V1(omen_halfvec_l1_distance);
Datum
omen_halfvec_l1_distance(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->half->l1(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

/* ---------- one vector ---------- */

PG_FUNCTION_INFO_V1(omen_halfvec_dims);
Datum
omen_halfvec_dims(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);

	PG_RETURN_INT32(vector->dim);
}

/* Euclidean length, summed in double precision. */
static double
length_of(const OmenHalfvec *vector)
{
	double		sum = 0;

	for (int i = 0; i < vector->dim; i++)
	{
		double		x = omen_half_to_float(vector->x[i]);

		sum += x * x;
	}
	return sqrt(sum);
}

PG_FUNCTION_INFO_V1(omen_halfvec_norm);
Datum
omen_halfvec_norm(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);

	PG_RETURN_FLOAT8(length_of(vector));
}

/*
 * A zero vector has no direction and stays as it is.  No element can grow
 * beyond 1, so nothing overflows.
 */
PG_FUNCTION_INFO_V1(omen_halfvec_l2_normalize);
Datum
omen_halfvec_l2_normalize(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	OmenHalfvec *result = omen_halfvec_new(vector->dim);
	double		length = length_of(vector);

	for (int i = 0; i < vector->dim; i++)
	{
		float		x = omen_half_to_float(vector->x[i]);

		result->x[i] = length > 0 ? omen_float_to_half((float) (x / length)) : 0;
	}
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_binary_quantize);
Datum
omen_halfvec_binary_quantize(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	int			dims = vector->dim;
	VarBit	   *result = palloc0(VARBITTOTALLEN(dims));
	bits8	   *out;

	SET_VARSIZE(result, VARBITTOTALLEN(dims));
	VARBITLEN(result) = dims;
	out = VARBITS(result);
	for (int i = 0; i < dims; i += BITS_PER_BYTE)
	{
		int			n = Min(dims - i, BITS_PER_BYTE);
		bits8		byte = 0;

		for (int j = 0; j < n; j++)
		{
			OmenHalf	x = vector->x[i + j];

			byte |= (x != 0 && (x & OMEN_HALF_SIGN) == 0) << (BITS_PER_BYTE - 1 - j);
		}
		*out++ = byte;
	}
	PG_RETURN_VARBIT_P(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_subvector);
Datum
omen_halfvec_subvector(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	int			first;
	int			dims;
	OmenHalfvec *result;

	dims = omen_shape_slice(vector->dim, PG_GETARG_INT32(1), PG_GETARG_INT32(2), &first);
	omen_shape_check_dims(&omen_halfvec_traits, dims);
	result = omen_halfvec_new(dims);
	memcpy(result->x, vector->x + first, sizeof(OmenHalf) * dims);
	PG_RETURN_OMEN_HALFVEC(result);
}

/* ---------- arithmetic ---------- */

/*
 * Addition also is the transition function of sum(): see omen_vector_add().
 */
PG_FUNCTION_INFO_V1(omen_halfvec_add);
Datum
omen_halfvec_add(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	OmenHalfvec *result;

	get_pair(fcinfo, &a, &b);
	if (AggCheckCallContext(fcinfo, NULL))
		result = a;
	else
		result = omen_halfvec_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = omen_float_to_half(omen_half_to_float(a->x[i]) + omen_half_to_float(b->x[i]));
	if (!all_finite(result->x, result->dim))
		float_overflow_error();
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_sub);
Datum
omen_halfvec_sub(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	OmenHalfvec *result;

	get_pair(fcinfo, &a, &b);
	result = omen_halfvec_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = omen_float_to_half(omen_half_to_float(a->x[i]) - omen_half_to_float(b->x[i]));
	if (!all_finite(result->x, result->dim))
		float_overflow_error();
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_mul);
Datum
omen_halfvec_mul(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a;
	OmenHalfvec *b;
	OmenHalfvec *result;
	int			n_vanished = 0;

	get_pair(fcinfo, &a, &b);
	result = omen_halfvec_new(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = omen_float_to_half(omen_half_to_float(a->x[i]) * omen_half_to_float(b->x[i]));
		n_vanished += (is_zero(result->x[i]) && !is_zero(a->x[i]) && !is_zero(b->x[i]));
	}
	if (!all_finite(result->x, result->dim))
		float_overflow_error();
	if (n_vanished > 0)
		float_underflow_error();
	PG_RETURN_OMEN_HALFVEC(result);
}

PG_FUNCTION_INFO_V1(omen_halfvec_concat);
Datum
omen_halfvec_concat(PG_FUNCTION_ARGS)
{
	OmenHalfvec *a = PG_GETARG_OMEN_HALFVEC(0);
	OmenHalfvec *b = PG_GETARG_OMEN_HALFVEC(1);
	int			dims = a->dim + b->dim;
	OmenHalfvec *result;

	omen_shape_check_dims(&omen_halfvec_traits, dims);
	result = omen_halfvec_new(dims);
	memcpy(result->x, a->x, sizeof(OmenHalf) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(OmenHalf) * b->dim);
	PG_RETURN_OMEN_HALFVEC(result);
}

/* ---------- comparison and hashing ---------- */

int
omen_halfvec_compare(const OmenHalfvec *a, const OmenHalfvec *b)
{
	int			n = Min(a->dim, b->dim);

	for (int i = 0; i < n; i++)
	{
		float		x = omen_half_to_float(a->x[i]);
		float		y = omen_half_to_float(b->x[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static int
compare_arguments(FunctionCallInfo fcinfo)
{
	OmenHalfvec *a = PG_GETARG_OMEN_HALFVEC(0);
	OmenHalfvec *b = PG_GETARG_OMEN_HALFVEC(1);
	int			result = omen_halfvec_compare(a, b);

	free_pair(fcinfo, a, b);
	return result;
}

PG_FUNCTION_INFO_V1(omen_halfvec_lt);
Datum
omen_halfvec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_le);
Datum
omen_halfvec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_eq);
Datum
omen_halfvec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_ne);
Datum
omen_halfvec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_ge);
Datum
omen_halfvec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_gt);
Datum
omen_halfvec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(omen_halfvec_cmp);
Datum
omen_halfvec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

/* -0 equals 0, so it is hashed as 0. */
static uint64
hash_elements(const OmenHalfvec *vector, uint64 seed)
{
	uint64		hash = hash_combine64(seed, vector->dim);
	OmenHalf	chunk[HASH_CHUNK];

	for (int first = 0; first < vector->dim; first += HASH_CHUNK)
	{
		int			n = Min(vector->dim - first, HASH_CHUNK);

		for (int i = 0; i < n; i++)
			chunk[i] = is_zero(vector->x[first + i]) ? 0 : vector->x[first + i];
		hash = hash_combine64(hash,
							  hash_bytes_extended((unsigned char *) chunk,
												  sizeof(OmenHalf) * n, seed));
	}
	return hash;
}

PG_FUNCTION_INFO_V1(omen_halfvec_hash);
Datum
omen_halfvec_hash(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	uint64		hash = hash_elements(vector, 0);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT32((uint32) hash);
}

PG_FUNCTION_INFO_V1(omen_halfvec_hash_extended);
Datum
omen_halfvec_hash_extended(PG_FUNCTION_ARGS)
{
	OmenHalfvec *vector = PG_GETARG_OMEN_HALFVEC(0);
	uint64		hash = hash_elements(vector, PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT64(hash);
}
