/*-------------------------------------------------------------------------
 *
 * sparse_internal.h
 *	  Codes of sparse vectors and queries about them; private to sparse*.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SPARSE_INTERNAL_H
#define OMEN_SPARSE_INTERNAL_H

#include "src/quant/sparse.h"

#include <math.h>

#define SPARSE_MAX_VALUE 32767

/*
 * Written into pages as it is (struct of the format, version 1).  Only the
 * scale and the code decide what the code stands for.
 */
typedef struct SparseFactors
{
	float		scale;			/* >= 0 */
	float		error;			/* norm of x - decoded(x), rounded up */
	uint32		sum_abs;		/* of the absolute values */
	uint32		sum_sq[2];		/* of the squared values: low and high half */
} SparseFactors;

StaticAssertDecl(sizeof(SparseFactors) == 20, "layout of sparse factors");

/* A code, unpacked. */
typedef struct SparseCode
{
	uint32		n;
	const uint32 *indices;
	const int16 *values;
} SparseCode;

/*
 * Head of a query.  The arrays behind it are packed, so that a short query
 * stays in a few cache lines; the head knows where they begin.
 */
typedef struct SparseQuery
{
	uint32		n;
	int			slot_shift;		/* hash >> slot_shift: a place in slots */
	uint32		slot_mask;
	uint32		indices_at;		/* n uint32 */
	uint32		values_at;		/* n int16 */
	uint32		floats_at;		/* n floats; of query_from_vector only */
	uint32		slots_at;		/* uint16: 1 + a place in indices, 0 if free */
	uint32		filter_at;		/* uint64: 2 ^ SPARSE_FILTER_SHIFT bits for each slot */
	double		scale;
	double		sum_sq;			/* of the decoded query */
	double		sum_abs;
	double		key_scale;		/* of an L2 key: 1, or 1/2 for cosine */

	/* of the float query, for lower_bound */
	double		float_sum_sq;
	double		float_sum_abs;
} SparseQuery;

#define SPARSE_QUERY_HEAD 128

StaticAssertDecl(sizeof(SparseQuery) <= SPARSE_QUERY_HEAD, "head of a sparse query");

/* The filter has 2 ^ SPARSE_FILTER_SHIFT bits for each slot. */
#define SPARSE_FILTER_SHIFT 3

/* Of encoding (sparse.c): the second fills in all factors but the error. */
extern float omen_sparse_choose_scale(const OmenSparse *x);
extern void omen_sparse_set_factors(SparseFactors *f, float scale, const int16 *values, uint32 n);

/* Queries (sparse_query.c). */
extern uint32 omen_sparse_query_max_bytes(void);
extern void omen_sparse_query_from_code(const OmenCodec *codec, OmenQuery *query,
										const void *factors, const uint8 *code);
extern void omen_sparse_query_from_vector(const OmenCodec *codec, OmenQuery *query,
										  const void *vector);

/* Keys and lower bounds of the codec's metric (sparse_keys.c). */
extern void omen_sparse_set_distances(OmenCodec *codec);

static inline const uint32 *
sparse_query_indices(const SparseQuery *q)
{
	return (const uint32 *) ((const char *) q + q->indices_at);
}

static inline const int16 *
sparse_query_values(const SparseQuery *q)
{
	return (const int16 *) ((const char *) q + q->values_at);
}

static inline const float *
sparse_query_floats(const SparseQuery *q)
{
	return (const float *) ((const char *) q + q->floats_at);
}

static inline uint16 *
sparse_query_slots(const SparseQuery *q)
{
	return (uint16 *) ((char *) q + q->slots_at);
}

static inline uint64 *
sparse_query_filter(const SparseQuery *q)
{
	return (uint64 *) ((char *) q + q->filter_at);
}

/* Multiplicative hashing by the golden ratio. */
static inline uint32
sparse_hash(uint32 index)
{
	return index * 2654435769U;
}

/*
 * The arrays of a code.  The bytes, at least 4 of them, may come from a damaged
 * page: whatever they say, no more than n_bytes are read.
 */
static inline SparseCode
sparse_unpack(const uint8 *code)
{
	const OmenCodeRef *ref = (const OmenCodeRef *) code;
	const uint32 *words = (const uint32 *) ref->bytes;
	uint32		room = (ref->n_bytes - sizeof(uint32)) / (sizeof(uint32) + sizeof(int16));
	SparseCode	result;

	room = Min(room, OMEN_MAX_SPARSE_ELEMENTS);
	result.n = Min(words[0], room);
	result.indices = words + 1;
	result.values = (const int16 *) (result.indices + result.n);
	return result;
}

static inline double
sparse_sum_sq(const SparseFactors *f)
{
	return (double) ((uint64) f->sum_sq[1] << 32 | f->sum_sq[0]);
}

static inline int32
sparse_value(float x, double inverse_scale)
{
	int32		value = (int32) (fabs((double) x) * inverse_scale + 0.5);

	value = Min(value, SPARSE_MAX_VALUE);
	return x < 0 ? -value : value;
}

static inline double
sparse_inverse(float scale)
{
	return scale > 0 ? 1.0 / (double) scale : 0.0;
}

#endif							/* OMEN_SPARSE_INTERNAL_H */
