/*-------------------------------------------------------------------------
 *
 * sparsevec.c
 *	  The SQL type sparsevec: storage, input and output, comparison.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "src/types/number_text.h"
#include "src/types/sparsevec.h"
#include "utils/builtins.h"

/* Digits and sign of an integer. */
#define INTEGER_BYTES 11

const OmenTypeTraits omen_sparsevec_traits = {"sparsevec", OMEN_SPARSEVEC_MAX_DIMS};

/* An element on the way in. */
typedef struct InputElement
{
	int32		index;
	float		value;
} InputElement;

OmenSparsevec *
omen_sparsevec_new(int32 dims, int32 nnz)
{
	OmenSparsevec *result = palloc(OMEN_SPARSEVEC_SIZE(nnz));

	SET_VARSIZE(result, OMEN_SPARSEVEC_SIZE(nnz));
	result->dim = dims;
	result->nnz = nnz;
	result->unused = 0;
	return result;
}

static void
too_many_elements(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("sparsevec cannot have more than %d non-zero elements",
					OMEN_SPARSEVEC_MAX_NONZERO)));
}

/*
 * The i-th index lies within dims and behind the one before it.
 */
static void
check_index(const int32 *indices, int i, int32 dims)
{
	if (indices[i] < 0 || indices[i] >= dims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec index out of bounds"),
				 errdetail("Indices are within 1 and %d.", dims)));
	if (i > 0 && indices[i] < indices[i - 1])
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices must be in ascending order")));
	if (i > 0 && indices[i] == indices[i - 1])
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices must not contain duplicates"),
				 errdetail("Index %d occurs twice.", indices[i] + 1)));
}

OmenSparsevec *
omen_sparsevec_from_floats(const float *x, int dims)
{
	OmenSparsevec *result;
	int			nnz = 0;
	float	   *values;

	omen_shape_check_elements(&omen_sparsevec_traits, x, dims);
	for (int i = 0; i < dims; i++)
		nnz += (x[i] != 0);
	if (nnz > OMEN_SPARSEVEC_MAX_NONZERO)
		too_many_elements();

	result = omen_sparsevec_new(dims, nnz);
	values = omen_sparsevec_values(result);
	for (int i = 0, k = 0; k < nnz; i++)
	{
		if (x[i] != 0)
		{
			result->indices[k] = i;
			values[k++] = x[i];
		}
	}
	return result;
}

/* ---------- text ---------- */

/*
 * Read an integer at *cursor, white space before it included.  Values beyond
 * int32 become its limits, which no check lets pass.  False if there is none.
 */
static bool
read_integer(const char **cursor, int32 *value)
{
	const char *p = omen_text_skip_space(*cursor);
	bool		negative = (*p == '-');
	int64		size = 0;
	const char *digits;

	if (*p == '-' || *p == '+')
		p++;
	digits = p;
	for (; *p >= '0' && *p <= '9'; p++)
		size = Min(size * 10 + (*p - '0'), (int64) PG_INT32_MAX);
	if (p == digits)
		return false;
	*value = negative ? -size : size;
	*cursor = p;
	return true;
}

/*
 * Read "index:value" at *cursor, white space around both included.  The index
 * is kept as it counts in memory.
 */
static InputElement
read_element(const char *literal, const char **cursor)
{
	InputElement element;
	const char *p = *cursor;
	const char *start;
	OmenNumberStatus status;

	if (!read_integer(&p, &element.index))
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   *omen_text_skip_space(p) == '\0' ?
							   "Unexpected end of input." : "Expected an index.");
	p = omen_text_skip_space(p);
	if (*p != ':')
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "Expected \":\" after an index.");
	start = p = omen_text_skip_space(p + 1);
	status = omen_text_read_float(&p, &element.value);
	if (status == OMEN_NUMBER_MISSING)
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "Expected a number after \":\".");

	/* An element must not vanish because it is small. */
	if (status == OMEN_NUMBER_TOO_LARGE || status == OMEN_NUMBER_TOO_SMALL)
		omen_text_range_error(&omen_sparsevec_traits, start, p);
	if (!isfinite(element.value))
		omen_shape_bad_element(&omen_sparsevec_traits, element.value);
	if (element.index > -PG_INT32_MAX)
		element.index--;
	*cursor = omen_text_skip_space(p);
	return element;
}

/*
 * Parse the elements between braces into a new array.  *cursor is behind the
 * opening brace, and moves behind the closing one.
 */
static InputElement *
read_elements(const char *literal, const char **cursor, int *n)
{
	const char *p = omen_text_skip_space(*cursor);
	InputElement *elements;
	int			n_commas = 0;

	for (const char *q = p; *q != '\0'; q++)
		n_commas += (*q == ',');
	if (n_commas >= OMEN_SPARSEVEC_MAX_NONZERO)
		too_many_elements();
	elements = palloc(sizeof(InputElement) * (n_commas + 1));
	*n = 0;

	while (*p != '}')
	{
		InputElement element = read_element(literal, &p);

		if (element.value != 0)
			elements[(*n)++] = element;
		if (*p == '}')
			break;
		if (*p != ',')
			omen_text_syntax_error(&omen_sparsevec_traits, literal,
								   *p == '\0' ? "Unexpected end of input." :
								   "Expected \",\" or \"}\" after a number.");
		p = omen_text_skip_space(p + 1);
		if (*p == '}')
			omen_text_syntax_error(&omen_sparsevec_traits, literal, "Expected an index.");
	}
	*cursor = p + 1;
	return elements;
}

static int
compare_elements(const void *a, const void *b)
{
	int32		x = ((const InputElement *) a)->index;
	int32		y = ((const InputElement *) b)->index;

	return (x > y) - (x < y);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_in);
Datum
omen_sparsevec_in(PG_FUNCTION_ARGS)
{
	const char *literal = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	const char *p = omen_text_skip_space(literal);
	InputElement *elements;
	int			nnz;
	int32		dims;
	OmenSparsevec *result;
	float	   *values;

	if (*p != '{')
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "The list of elements starts with \"{\".");
	p++;
	elements = read_elements(literal, &p, &nnz);
	p = omen_text_skip_space(p);
	if (*p != '/')
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "Expected \"/\" and the number of dimensions after \"}\".");
	p++;
	if (!read_integer(&p, &dims))
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "Expected the number of dimensions after \"/\".");
	if (*omen_text_skip_space(p) != '\0')
		omen_text_syntax_error(&omen_sparsevec_traits, literal,
							   "Junk after the number of dimensions.");
	omen_shape_check_dims(&omen_sparsevec_traits, dims);
	omen_shape_check_typmod(typmod, dims);

	qsort(elements, nnz, sizeof(InputElement), compare_elements);
	result = omen_sparsevec_new(dims, nnz);
	values = omen_sparsevec_values(result);
	for (int i = 0; i < nnz; i++)
	{
		result->indices[i] = elements[i].index;
		values[i] = elements[i].value;
		check_index(result->indices, i, dims);
	}
	pfree(elements);
	PG_RETURN_OMEN_SPARSEVEC(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_out);
Datum
omen_sparsevec_out(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);
	float	   *values = omen_sparsevec_values(vector);
	char	   *text;
	char	   *p;

	/* index, colon, digits and separator of each; braces, dimensions, terminator */
	text = palloc((Size) vector->nnz * (INTEGER_BYTES + OMEN_TEXT_FLOAT_BYTES + 2) +
				  INTEGER_BYTES + 4);
	p = text;
	*p++ = '{';
	for (int i = 0; i < vector->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(vector->indices[i] + 1, p);
		*p++ = ':';
		p = omen_text_put_float(p, values[i]);
	}
	*p++ = '}';
	*p++ = '/';
	p += pg_ltoa(vector->dim, p);
	*p = '\0';

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_CSTRING(text);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_typmod_in);
Datum
omen_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(omen_shape_typmod(&omen_sparsevec_traits, PG_GETARG_ARRAYTYPE_P(0)));
}

/* ---------- binary ---------- */

static void
check_received_count(int32 nnz, int32 dims)
{
	if (nnz < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec cannot have negative number of elements")));
	if (nnz > OMEN_SPARSEVEC_MAX_NONZERO)
		too_many_elements();
	if (nnz > dims)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more elements than dimensions")));
}

PG_FUNCTION_INFO_V1(omen_sparsevec_recv);
Datum
omen_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo	message = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int32		dims = pq_getmsgint(message, sizeof(int32));
	int32		nnz = pq_getmsgint(message, sizeof(int32));
	int32		unused = pq_getmsgint(message, sizeof(int32));
	OmenSparsevec *result;
	float	   *values;

	omen_shape_check_dims(&omen_sparsevec_traits, dims);
	check_received_count(nnz, dims);
	omen_shape_check_typmod(typmod, dims);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	result = omen_sparsevec_new(dims, nnz);
	values = omen_sparsevec_values(result);
	for (int i = 0; i < nnz; i++)
	{
		result->indices[i] = pq_getmsgint(message, sizeof(int32));
		check_index(result->indices, i, dims);
	}
	for (int i = 0; i < nnz; i++)
	{
		values[i] = pq_getmsgfloat4(message);
		if (!isfinite(values[i]))
			omen_shape_bad_element(&omen_sparsevec_traits, values[i]);
		if (values[i] == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary representation of sparsevec cannot contain zero values")));
	}
	PG_RETURN_OMEN_SPARSEVEC(result);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_send);
Datum
omen_sparsevec_send(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);
	float	   *values = omen_sparsevec_values(vector);
	StringInfoData buffer;

	pq_begintypsend(&buffer);
	pq_sendint32(&buffer, vector->dim);
	pq_sendint32(&buffer, vector->nnz);
	pq_sendint32(&buffer, vector->unused);
	for (int i = 0; i < vector->nnz; i++)
		pq_sendint32(&buffer, vector->indices[i]);
	for (int i = 0; i < vector->nnz; i++)
		pq_sendfloat4(&buffer, values[i]);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buffer));
}

/* ---------- comparison and hashing ---------- */

/*
 * The first place where the two differ decides; where only one of them has an
 * element, the other has zero.  Places beyond the shorter one do not count
 * until all before are equal, and then the longer one is greater.
 */
int
omen_sparsevec_compare(const OmenSparsevec *a, const OmenSparsevec *b)
{
	const float *x = omen_sparsevec_values(a);
	const float *y = omen_sparsevec_values(b);
	int32		dims = Min(a->dim, b->dim);
	int32		at_a;
	int32		at_b;
	float		here_a;
	float		here_b;
	int			i = 0;

	while (i < a->nnz && i < b->nnz && a->indices[i] == b->indices[i] && x[i] == y[i])
		i++;
	at_a = i < a->nnz ? a->indices[i] : dims;
	at_b = i < b->nnz ? b->indices[i] : dims;
	here_a = (at_a < dims && at_a <= at_b) ? x[i] : 0;
	here_b = (at_b < dims && at_b <= at_a) ? y[i] : 0;
	if (here_a != here_b)
		return here_a < here_b ? -1 : 1;
	return (a->dim > b->dim) - (a->dim < b->dim);
}

static int
compare_arguments(FunctionCallInfo fcinfo)
{
	OmenSparsevec *a = PG_GETARG_OMEN_SPARSEVEC(0);
	OmenSparsevec *b = PG_GETARG_OMEN_SPARSEVEC(1);
	int			result = omen_sparsevec_compare(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

PG_FUNCTION_INFO_V1(omen_sparsevec_lt);
Datum
omen_sparsevec_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_le);
Datum
omen_sparsevec_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_eq);
Datum
omen_sparsevec_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_ne);
Datum
omen_sparsevec_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_ge);
Datum
omen_sparsevec_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_gt);
Datum
omen_sparsevec_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_cmp);
Datum
omen_sparsevec_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_arguments(fcinfo));
}

/* No zero is stored, so equal vectors are equal bytes. */
static uint64
hash_elements(const OmenSparsevec *vector, uint64 seed)
{
	uint64		hash = hash_combine64(seed, vector->dim);

	return hash_combine64(hash,
						  hash_bytes_extended((const unsigned char *) vector->indices,
											  (sizeof(int32) + sizeof(float)) * vector->nnz,
											  seed));
}

PG_FUNCTION_INFO_V1(omen_sparsevec_hash);
Datum
omen_sparsevec_hash(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);
	uint64		hash = hash_elements(vector, 0);

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT32((uint32) hash);
}

PG_FUNCTION_INFO_V1(omen_sparsevec_hash_extended);
Datum
omen_sparsevec_hash_extended(PG_FUNCTION_ARGS)
{
	OmenSparsevec *vector = PG_GETARG_OMEN_SPARSEVEC(0);
	uint64		hash = hash_elements(vector, PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(vector, 0);
	PG_RETURN_UINT64(hash);
}
