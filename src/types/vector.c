/*-------------------------------------------------------------------------
 *
 * vector.c
 *	  The SQL type vector: input and output, comparison, distances and
 *	  element-wise arithmetic.
 *
 * All distances go through the kernel table, so that they use what the CPU
 * offers.  They are computed in single precision, as the elements are; norms
 * are summed in double precision.
 *
 * Arguments may come detoasted into fresh memory.  Functions that a sort, an
 * index build or an aggregate calls many times within one memory context give
 * such copies back.
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
#include "src/types/number_text.h"
#include "src/types/vector.h"
#include "utils/float.h"
#include "utils/varbit.h"

/* Bytes of the binary format before the elements: dim and unused. */
#define WIRE_HEADER_BYTES 4

/* Floats hashed at a time. */
#define HASH_CHUNK 64

const OmenTypeTraits omen_vector_traits = {"vector", OMEN_VECTOR_MAX_DIMS};

OmenVector *
omen_vector_new(int dims)
{
	OmenVector *result = palloc(OMEN_VECTOR_SIZE(dims));

	SET_VARSIZE(result, OMEN_VECTOR_SIZE(dims));
	result->dim = dims;
	result->unused = 0;
	return result;
}

/*
 * Two vector arguments of equal dimensions.
 */
static inline void
get_pair(FunctionCallInfo fcinfo, OmenVector **a, OmenVector **b)
{
	*a = PG_GETARG_OMEN_VECTOR(0);
	*b = PG_GETARG_OMEN_VECTOR(1);
	omen_shape_check_same(&omen_vector_traits, (*a)->dim, (*b)->dim);
}

static inline void
free_pair(FunctionCallInfo fcinfo, OmenVector *a, OmenVector *b)
{
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
}

/* ---------- input and output ---------- */

PG_FUNCTION_INFO_V1(omen_vector_in);
Datum
omen_vector_in(PG_FUNCTION_ARGS)
{
	const char *literal = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	float		elements[OMEN_VECTOR_MAX_DIMS];
	OmenVector *result;
	int			dims;

	dims = omen_text_parse_list(&omen_vector_traits, literal, INFINITY, elements);
	omen_shape_check_typmod(typmod, dims);

	result = omen_vector_new(dims);
	memcpy(result->x, elements, sizeof(float) * dims);
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_out);
Datum
omen_vector_out(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
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
		p = omen_text_put_float(p, vector->x[i]);
	}
	*p++ = ']';
	*p = '\0';

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(omen_vector_typmod_in);
Datum
omen_vector_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(omen_shape_typmod(&omen_vector_traits, PG_GETARG_ARRAYTYPE_P(0)));
}

/*
 * Copy n 32-bit words, turning the order of their bytes between the
 * network's and ours.
 */
static void
swap_words(void *to, const void *from, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint32		word;

		memcpy(&word, (const char *) from + sizeof(word) * i, sizeof(word));
		word = pg_ntoh32(word);
		memcpy((char *) to + sizeof(word) * i, &word, sizeof(word));
	}
}

PG_FUNCTION_INFO_V1(omen_vector_recv);
Datum
omen_vector_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int			dims = pq_getmsgint(message, sizeof(int16));
	int			unused = pq_getmsgint(message, sizeof(int16));
	OmenVector *result;

	omen_shape_check_dims(&omen_vector_traits, dims);
	omen_shape_check_typmod(typmod, dims);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	result = omen_vector_new(dims);
	swap_words(result->x, pq_getmsgbytes(message, sizeof(float) * dims), dims);
	omen_shape_check_elements(&omen_vector_traits, result->x, dims);
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_send);
Datum
omen_vector_send(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	Size		size = VARHDRSZ + WIRE_HEADER_BYTES + sizeof(float) * vector->dim;
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

PG_FUNCTION_INFO_V1(omen_vector_l2_distance);
Datum
omen_vector_l2_distance(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = sqrt((double) omen_kernels->l2_squared_f32(a->x, b->x, a->dim));
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_vector_l2_squared_distance);
Datum
omen_vector_l2_squared_distance(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->l2_squared_f32(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_vector_inner_product);
Datum
omen_vector_inner_product(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->inner_product_f32(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

PG_FUNCTION_INFO_V1(omen_vector_negative_inner_product);
Datum
omen_vector_negative_inner_product(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = -omen_kernels->inner_product_f32(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

/*
 * Squared norms in this range, and their product's root, are as good as float
 * has them: no term of any weight has underflowed, nothing has overflowed.
 */
#define SAFE_NORM_SQ_MIN 1e-24f
#define SAFE_NORM_SQ_MAX 1e37f

/* Cosine distance of vectors so long or short that float sums do not do. */
static double
extreme_cosine_distance(const OmenVector *a, const OmenVector *b)
{
	double		ab = 0;
	double		aa = 0;
	double		bb = 0;

	for (int i = 0; i < a->dim; i++)
	{
		ab += (double) a->x[i] * b->x[i];
		aa += (double) a->x[i] * a->x[i];
		bb += (double) b->x[i] * b->x[i];
	}
	return omen_shape_cosine_distance(ab, aa, bb);
}

static inline bool
is_safe_norm_sq(float norm_sq)
{
	return norm_sq >= SAFE_NORM_SQ_MIN && norm_sq <= SAFE_NORM_SQ_MAX;
}

PG_FUNCTION_INFO_V1(omen_vector_cosine_distance);
Datum
omen_vector_cosine_distance(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	float		ab;
	float		aa;
	float		bb;
	double		distance;

	get_pair(fcinfo, &a, &b);
	omen_kernels->cosine_terms_f32(a->x, b->x, a->dim, &ab, &aa, &bb);
	if (likely(is_safe_norm_sq(aa) && is_safe_norm_sq(bb)))
		distance = omen_shape_cosine_distance(ab, aa, bb);
	else
		distance = extreme_cosine_distance(a, b);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(distance);
}

PG_FUNCTION_INFO_V1(omen_vector_spherical_distance);
Datum
omen_vector_spherical_distance(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		cosine;

	get_pair(fcinfo, &a, &b);
	cosine = omen_kernels->inner_product_f32(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(omen_shape_angle(cosine));
}

PG_FUNCTION_INFO_V1(omen_vector_l1_distance);
Datum
omen_vector_l1_distance(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	double		result;

	get_pair(fcinfo, &a, &b);
	result = omen_kernels->l1_f32(a->x, b->x, a->dim);
	free_pair(fcinfo, a, b);
	PG_RETURN_FLOAT8(result);
}

/* ---------- one vector ---------- */

PG_FUNCTION_INFO_V1(omen_vector_dims);
Datum
omen_vector_dims(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);

	PG_RETURN_INT32(vector->dim);
}

/*
 * Euclidean length.  The sum of squares of floats cannot overflow a double.
 */
static double
length_of(const OmenVector *vector)
{
	double		sum = 0;

	for (int i = 0; i < vector->dim; i++)
		sum += (double) vector->x[i] * (double) vector->x[i];
	return sqrt(sum);
}

PG_FUNCTION_INFO_V1(omen_vector_norm);
Datum
omen_vector_norm(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);

	PG_RETURN_FLOAT8(length_of(vector));
}

/*
 * A zero vector has no direction and stays as it is.
 */
PG_FUNCTION_INFO_V1(omen_vector_l2_normalize);
Datum
omen_vector_l2_normalize(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	OmenVector *result = omen_vector_new(vector->dim);
	double		length = length_of(vector);

	for (int i = 0; i < vector->dim; i++)
		result->x[i] = length > 0 ? (float) (vector->x[i] / length) : 0;
	if (!omen_shape_all_finite(result->x, result->dim))
		float_overflow_error();
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_binary_quantize);
Datum
omen_vector_binary_quantize(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
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
			byte |= (vector->x[i + j] > 0) << (BITS_PER_BYTE - 1 - j);
		*out++ = byte;
	}
	PG_RETURN_VARBIT_P(result);
}

/*
 * Positions count from 1 and may lie outside, as in substring(): what lies
 * inside is returned, but it must be at least one element.
 */
PG_FUNCTION_INFO_V1(omen_vector_subvector);
Datum
omen_vector_subvector(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	int			first;
	int			dims;
	OmenVector *result;

	dims = omen_shape_slice(vector->dim, PG_GETARG_INT32(1), PG_GETARG_INT32(2), &first);
	omen_shape_check_dims(&omen_vector_traits, dims);
	result = omen_vector_new(dims);
	memcpy(result->x, vector->x + first, sizeof(float) * dims);
	PG_RETURN_OMEN_VECTOR(result);
}

/*
 * Element by position from 1; NULL outside, as array subscripts do.
 */
PG_FUNCTION_INFO_V1(omen_vector_get);
Datum
omen_vector_get(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	int32		position = PG_GETARG_INT32(1);

	if (position < 1 || position > vector->dim)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(vector->x[position - 1]);
}

/* ---------- arithmetic ---------- */

/*
 * Addition also is the transition function of sum().  Then the left argument
 * is the state, which we may overwrite, and no memory is needed per row.
 */
PG_FUNCTION_INFO_V1(omen_vector_add);
Datum
omen_vector_add(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	OmenVector *result;

	get_pair(fcinfo, &a, &b);
	if (AggCheckCallContext(fcinfo, NULL))
		result = a;
	else
		result = omen_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] + b->x[i];
	if (!omen_shape_all_finite(result->x, result->dim))
		float_overflow_error();
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_sub);
Datum
omen_vector_sub(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	OmenVector *result;

	get_pair(fcinfo, &a, &b);
	result = omen_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
		result->x[i] = a->x[i] - b->x[i];
	if (!omen_shape_all_finite(result->x, result->dim))
		float_overflow_error();
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_mul);
Datum
omen_vector_mul(PG_FUNCTION_ARGS)
{
	OmenVector *a;
	OmenVector *b;
	OmenVector *result;
	int			n_vanished = 0;

	get_pair(fcinfo, &a, &b);
	result = omen_vector_new(a->dim);
	for (int i = 0; i < a->dim; i++)
	{
		result->x[i] = a->x[i] * b->x[i];
		n_vanished += (result->x[i] == 0 && a->x[i] != 0 && b->x[i] != 0);
	}
	if (!omen_shape_all_finite(result->x, result->dim))
		float_overflow_error();
	if (n_vanished > 0)
		float_underflow_error();
	PG_RETURN_OMEN_VECTOR(result);
}

PG_FUNCTION_INFO_V1(omen_vector_concat);
Datum
omen_vector_concat(PG_FUNCTION_ARGS)
{
	OmenVector *a = PG_GETARG_OMEN_VECTOR(0);
	OmenVector *b = PG_GETARG_OMEN_VECTOR(1);
	int			dims = a->dim + b->dim;
	OmenVector *result;

	omen_shape_check_dims(&omen_vector_traits, dims);
	result = omen_vector_new(dims);
	memcpy(result->x, a->x, sizeof(float) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(float) * b->dim);
	PG_RETURN_OMEN_VECTOR(result);
}

/* ---------- comparison and hashing ---------- */

int
omen_vector_compare(const OmenVector *a, const OmenVector *b)
{
	int			n = Min(a->dim, b->dim);

	for (int i = 0; i < n; i++)
	{
		if (a->x[i] != b->x[i])
			return a->x[i] < b->x[i] ? -1 : 1;
	}
	return (a->dim > b->dim) - (a->dim < b->dim);
}

/*
 * Compare the two arguments of a support function or operator.
 */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
	OmenVector *a = PG_GETARG_OMEN_VECTOR(0);
	OmenVector *b = PG_GETARG_OMEN_VECTOR(1);
	int			result = omen_vector_compare(a, b);

	free_pair(fcinfo, a, b);
	return result;
}

PG_FUNCTION_INFO_V1(omen_vector_lt);
Datum
omen_vector_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(omen_vector_le);
Datum
omen_vector_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(omen_vector_eq);
Datum
omen_vector_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(omen_vector_ne);
Datum
omen_vector_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(omen_vector_ge);
Datum
omen_vector_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(omen_vector_gt);
Datum
omen_vector_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(omen_vector_cmp);
Datum
omen_vector_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

/*
 * Equal vectors hash alike: -0 equals 0, so it is hashed as 0.
 */
static uint64
hash_elements(const OmenVector *vector, uint64 seed)
{
	uint64		hash = hash_combine64(seed, vector->dim);
	float		chunk[HASH_CHUNK];

	for (int first = 0; first < vector->dim; first += HASH_CHUNK)
	{
		int			n = Min(vector->dim - first, HASH_CHUNK);

		for (int i = 0; i < n; i++)
			chunk[i] = vector->x[first + i] + 0.0f;
		hash = hash_combine64(hash,
							  hash_bytes_extended((unsigned char *) chunk,
												  sizeof(float) * n, seed));
	}
	return hash;
}

PG_FUNCTION_INFO_V1(omen_vector_hash);
Datum
omen_vector_hash(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	uint64		hash = hash_elements(vector, 0);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT32((uint32) hash);
}

PG_FUNCTION_INFO_V1(omen_vector_hash_extended);
Datum
omen_vector_hash_extended(PG_FUNCTION_ARGS)
{
	OmenVector *vector = PG_GETARG_OMEN_VECTOR(0);
	uint64		hash = hash_elements(vector, PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT64(hash);
}
