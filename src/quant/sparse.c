/*-------------------------------------------------------------------------
 *
 * sparse.c
 *	  Codes of sparse vectors: indices and 16-bit values.
 *
 * An element x is stood for by scale * value, with an integer value in
 * -32767 .. 32767 and a scale of its own for each vector; elements whose value
 * would be 0 are left out.  Vectors of integers in that range get scale 1 and
 * are exact.  The bytes of a code:
 *
 *	uint32		n
 *	uint32		index[n]	ascending
 *	int16		value[n]	none of them 0
 *	padding to a multiple of 4 bytes
 *
 * All distances follow from sums over the elements that two vectors share and
 * from sums over each vector alone, which the factors hold.  Sums of products
 * are integers; they are combined in double in one fixed order, so keys have
 * the same bits on every machine.  (L1 has no such integers: its terms are
 * exact doubles, added in the order of the indices.)
 *
 * Most pairs share few elements or none.  A query has a filter, a few bits for
 * each of its elements, which tells most of a code's elements in a few
 * instructions that it has no such index, and a hash table for the rest.  If
 * the code is much longer than the query, the query's indices are looked up in
 * the code instead.
 *
 * As for 8-bit codes, the lower bound takes the float query against the code
 * and subtracts the norm of x - decoded(x) and a slack for rounding.  It must
 * hold for elements that the code has left out, too: sums of terms that are
 * not negative do not become less by more terms, also when each is rounded, so
 * for those sums the bound of the elements that are there will do.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sparse.h"

#include <float.h>
#include <math.h>

#define MAX_VALUE 32767

/* Pairs of elements that a query and a code share are collected so many at a time. */
#define MATCHES_AT_ONCE 64

/* Codes this many times as long as the query are searched instead of read. */
#define SEARCH_RATIO 16

/* Of a code, so much is asked for ahead; the hardware streams the rest. */
#define PREFETCH_BYTES 128

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
	uint32		filter_at;		/* uint64: SLOT_FILTER_BITS bits for each slot */
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

/* Slots are at most half full; the filter has 2 ^ FILTER_SHIFT bits for each. */
#define MIN_SLOTS_SHIFT 4
#define MAX_SLOTS_SHIFT 15
#define FILTER_SHIFT 3

StaticAssertDecl(2 * OMEN_MAX_SPARSE_ELEMENTS <= 1 << MAX_SLOTS_SHIFT,
				 "slots for the longest query");

/* Places of elements that a query and a code share, in the order of the indices. */
typedef struct SparseMatches
{
	uint32		code_at;		/* where to go on */
	uint32		query_at;
	int			n;
	uint16		in_code[MATCHES_AT_ONCE];
	uint16		in_query[MATCHES_AT_ONCE];
} SparseMatches;

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

/* ---------- codes ---------- */

static inline uint32
sparse_code_bytes(uint32 n)
{
	return TYPEALIGN(4, sizeof(uint32) + n * (sizeof(uint32) + sizeof(int16)));
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

/* ---------- encoding ---------- */

/*
 * The scale of a vector: 1 for small integers, else such that the largest
 * element, rounded up if need be, gets the largest value.
 */
static float
sparse_choose_scale(const OmenSparse *x)
{
	float		max = 0;
	bool		integers = true;
	float		scale;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		float		size = fabsf(x->values[i]);

		max = Max(max, size);
		integers = integers && size <= MAX_VALUE && (float) (int32) size == size;
	}
	if (max == 0)
		return 0.0f;
	if (integers)
		return 1.0f;

	scale = max / MAX_VALUE;
	/* matters among the denormals only, where it may even be 0 */
	while ((double) scale * MAX_VALUE < max)
		scale = nextafterf(scale, FLT_MAX);
	return scale;
}

static inline int32
sparse_value(float x, double inverse_scale)
{
	int32		value = (int32) (fabs((double) x) * inverse_scale + 0.5);

	value = Min(value, MAX_VALUE);
	return x < 0 ? -value : value;
}

static inline double
sparse_inverse(float scale)
{
	return scale > 0 ? 1.0 / (double) scale : 0.0;
}

static uint32
sparse_encoded_bytes(const OmenCodec *codec pg_attribute_unused(), const void *vector)
{
	const OmenSparse *x = vector;
	double		inverse = sparse_inverse(sparse_choose_scale(x));
	uint32		n = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
		n += sparse_value(x->values[i], inverse) != 0;
	return sparse_code_bytes(n);
}

/* The value as a float that is not below it. */
static float
sparse_round_up(double value)
{
	float		result = (float) value;

	if ((double) result < value)
		result = nextafterf(result, FLT_MAX);
	return result;
}

/*
 * Norm of x - decoded(x), as a float that is never below it: L1 for the L1
 * metric, else L2.  Elements left out count in whole.
 */
static float
sparse_error(const OmenCodec *codec, const OmenSparse *x, float scale)
{
	double		inverse = sparse_inverse(scale);
	double		sum = 0;
	uint32		i;

	for (i = 0; i < x->n; i++)
	{
		double		diff = (double) x->values[i] -
		(double) scale * sparse_value(x->values[i], inverse);

		sum += codec->metric == OMEN_METRIC_L1 ? fabs(diff) : diff * diff;
	}
	if (codec->metric != OMEN_METRIC_L1)
		sum = sqrt(sum);
	/* 16,000 additions lose less than this */
	return sparse_round_up(sum * (1.0 + 1e-10));
}

/* Fill in all factors but the error. */
static void
sparse_set_factors(SparseFactors *f, float scale, const int16 *values, uint32 n)
{
	uint64		sum_sq = 0;
	uint32		sum_abs = 0;
	uint32		i;

	for (i = 0; i < n; i++)
	{
		int32		value = values[i];

		sum_abs += value < 0 ? -value : value;
		sum_sq += value * value;
	}
	f->scale = scale;
	f->error = 0;
	f->sum_abs = sum_abs;
	f->sum_sq[0] = (uint32) sum_sq;
	f->sum_sq[1] = (uint32) (sum_sq >> 32);
}

static void
sparse_encode(const OmenCodec *codec, const void *vector, void *factors, uint8 *code)
{
	const OmenSparse *x = vector;
	float		scale = sparse_choose_scale(x);
	double		inverse = sparse_inverse(scale);
	uint32		n_bytes = sparse_encoded_bytes(codec, x);
	uint32		n = 0;
	uint32	   *indices = (uint32 *) code + 1;
	int16	   *values;
	uint32		i;

	memset(code, 0, n_bytes);
	for (i = 0; i < x->n; i++)
	{
		if (sparse_value(x->values[i], inverse) != 0)
			indices[n++] = x->indices[i];
	}
	*(uint32 *) code = n;
	values = (int16 *) (indices + n);
	for (i = 0, n = 0; i < x->n; i++)
	{
		int32		value = sparse_value(x->values[i], inverse);

		if (value != 0)
			values[n++] = value;
	}
	sparse_set_factors(factors, scale, values, n);
	((SparseFactors *) factors)->error = sparse_error(codec, x, scale);
}

/* Both vectors lie around the same decoded one: the wider error holds for both. */
static void
sparse_absorb(const OmenCodec *codec pg_attribute_unused(), void *factors, const void *other)
{
	SparseFactors *f = factors;
	const SparseFactors *o = other;

	f->error = Max(f->error, o->error);
}

static bool
sparse_equal(const OmenCodec *codec pg_attribute_unused(), const void *factors_a,
			 const uint8 *code_a, const void *factors_b, const uint8 *code_b)
{
	const OmenCodeRef *a = (const OmenCodeRef *) code_a;
	const OmenCodeRef *b = (const OmenCodeRef *) code_b;

	return ((const SparseFactors *) factors_a)->scale == ((const SparseFactors *) factors_b)->scale &&
		a->n_bytes == b->n_bytes && memcmp(a->bytes, b->bytes, a->n_bytes) == 0;
}

/* ---------- queries ---------- */

/* Multiplicative hashing by the golden ratio. */
static inline uint32
sparse_hash(uint32 index)
{
	return index * 2654435769U;
}

/* Lay out the arrays of a query of n elements. */
static void
sparse_query_begin(SparseQuery *q, uint32 n)
{
	uint32		at = SPARSE_QUERY_HEAD;
	int			slots_shift = MIN_SLOTS_SHIFT;
	uint32		n_slots;

	while ((1U << slots_shift) < 2 * n)
		slots_shift++;
	n_slots = 1U << slots_shift;
	q->n = n;
	q->slot_shift = 32 - slots_shift;
	q->slot_mask = n_slots - 1;
	q->filter_at = at;
	at += n_slots << FILTER_SHIFT >> 3;
	q->slots_at = at;
	at += n_slots * sizeof(uint16);
	memset((char *) q + q->filter_at, 0, at - q->filter_at);
	q->indices_at = at;
	at += n * sizeof(uint32);
	q->values_at = at;
	at += TYPEALIGN(4, n * sizeof(int16));
	q->floats_at = at;
}

static uint32
sparse_query_max_bytes(void)
{
	const uint32 n = OMEN_MAX_SPARSE_ELEMENTS;
	uint32		bytes = SPARSE_QUERY_HEAD;

	bytes += (1U << MAX_SLOTS_SHIFT << FILTER_SHIFT >> 3) + (sizeof(uint16) << MAX_SLOTS_SHIFT);
	bytes += n * (sizeof(uint32) + sizeof(int16) + sizeof(float));
	return TYPEALIGN(64, bytes);
}

/* Enter the indices into filter and slots, and fill in what keys need. */
static void
sparse_query_finish(const OmenCodec *codec, SparseQuery *q, const SparseFactors *f)
{
	const uint32 *indices = sparse_query_indices(q);
	uint16	   *slots = sparse_query_slots(q);
	uint64	   *filter = sparse_query_filter(q);
	int			filter_shift = q->slot_shift - FILTER_SHIFT;
	uint32		i;

	for (i = 0; i < q->n; i++)
	{
		uint32		hash = sparse_hash(indices[i]);
		uint32		bit = hash >> filter_shift;
		uint32		slot = hash >> q->slot_shift;

		filter[bit / 64] |= UINT64CONST(1) << (bit % 64);
		while (slots[slot] != 0)
			slot = (slot + 1) & q->slot_mask;
		slots[slot] = (uint16) (i + 1);
	}
	q->scale = f->scale;
	q->sum_sq = q->scale * q->scale * sparse_sum_sq(f);
	q->sum_abs = q->scale * (double) f->sum_abs;
	q->key_scale = codec->metric == OMEN_METRIC_COSINE ? 0.5 : 1.0;
}

static void
sparse_query_from_code(const OmenCodec *codec, OmenQuery *query,
					   const void *factors, const uint8 *code)
{
	SparseQuery *q = (SparseQuery *) query;
	SparseCode	c = sparse_unpack(code);

	sparse_query_begin(q, c.n);
	memcpy((char *) q + q->indices_at, c.indices, c.n * sizeof(uint32));
	memcpy((char *) q + q->values_at, c.values, c.n * sizeof(int16));
	sparse_query_finish(codec, q, factors);
}

/* Here elements of value 0 stay: they count in lower bounds. */
static void
sparse_query_from_vector(const OmenCodec *codec, OmenQuery *query, const void *vector)
{
	const OmenSparse *x = vector;
	SparseQuery *q = (SparseQuery *) query;
	float		scale = sparse_choose_scale(x);
	double		inverse = sparse_inverse(scale);
	SparseFactors factors;
	int16	   *values;
	uint32		i;

	sparse_query_begin(q, x->n);
	memcpy((char *) q + q->indices_at, x->indices, x->n * sizeof(uint32));
	memcpy((char *) q + q->floats_at, x->values, x->n * sizeof(float));
	values = (int16 *) ((char *) q + q->values_at);
	q->float_sum_sq = q->float_sum_abs = 0;
	for (i = 0; i < x->n; i++)
	{
		double		value = x->values[i];

		values[i] = sparse_value(x->values[i], inverse);
		q->float_sum_sq += value * value;
		q->float_sum_abs += fabs(value);
	}
	sparse_set_factors(&factors, scale, values, x->n);
	sparse_query_finish(codec, q, &factors);
}

/* ---------- terms ---------- */

/*
 * How much of a vector an element is; for inner products, which grow with the
 * vector, how large it is.
 */
static double
sparse_term_weight(OmenMetric metric, const SparseFactors *f, int32 value)
{
	double		size = value < 0 ? -value : value;

	switch (metric)
	{
		case OMEN_METRIC_IP:
			return size * f->scale;
		case OMEN_METRIC_L1:
			return size / f->sum_abs;
		default:
			return size / sqrt(sparse_sum_sq(f));
	}
}

static bool
sparse_code_term(const OmenCodec *codec, const void *factors, const uint8 *code, uint32 i,
				 OmenTerm *term)
{
	const SparseFactors *f = factors;
	SparseCode	c = sparse_unpack(code);

	if (i >= c.n)
		return false;
	term->id = c.indices[i];
	term->weight = (float) sparse_term_weight(codec->metric, f, c.values[i]);
	return true;
}

static bool
sparse_query_term(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
				  uint32 i, OmenTerm *term)
{
	const SparseQuery *q = (const SparseQuery *) query;

	if (i >= q->n)
		return false;
	term->id = sparse_query_indices(q)[i];
	term->weight = (float) abs(sparse_query_values(q)[i]);
	return true;
}

/* ---------- elements in common ---------- */

static inline void
sparse_matches_begin(SparseMatches *matches)
{
	matches->code_at = 0;
	matches->query_at = 0;
}

/* Look up the code's next elements in the query; false at the code's end. */
static inline bool
sparse_match_by_reading(const SparseQuery *q, const SparseCode *code, SparseMatches *matches)
{
	const uint32 *query_indices = sparse_query_indices(q);
	const uint16 *slots = sparse_query_slots(q);
	const uint64 *filter = sparse_query_filter(q);
	int			filter_shift = q->slot_shift - FILTER_SHIFT;
	uint32		to = Min(code->n, matches->code_at + MATCHES_AT_ONCE);
	int			n_passed = 0;
	int			i;
	uint32		at;

	if (matches->code_at >= code->n)
		return false;

	/* no branch: most elements fail, but which do is not predictable */
	for (at = matches->code_at; at < to; at++)
	{
		uint32		bit = sparse_hash(code->indices[at]) >> filter_shift;

		matches->in_code[n_passed] = (uint16) at;
		n_passed += (filter[bit / 64] >> (bit % 64)) & 1;
	}
	matches->n = 0;
	for (i = 0; i < n_passed; i++)
	{
		uint32		index = code->indices[matches->in_code[i]];
		uint32		slot = sparse_hash(index) >> q->slot_shift;

		while (slots[slot] != 0 && query_indices[slots[slot] - 1] != index)
			slot = (slot + 1) & q->slot_mask;
		if (slots[slot] == 0)
			continue;
		matches->in_code[matches->n] = matches->in_code[i];
		matches->in_query[matches->n++] = slots[slot] - 1;
	}
	matches->code_at = to;
	return true;
}

/* First place from `from` on whose index is not below the one wanted. */
static inline uint32
sparse_find(const SparseCode *code, uint32 from, uint32 index)
{
	uint32		step = 1;
	uint32		to;

	/* double the step until it has gone far enough, then halve */
	while (from + step <= code->n && code->indices[from + step - 1] < index)
	{
		from += step;
		step *= 2;
	}
	to = Min(from + step - 1, code->n);
	while (from < to)
	{
		uint32		middle = (from + to) / 2;

		if (code->indices[middle] < index)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Look up the query's next elements in the code; false at the query's end. */
static inline bool
sparse_match_by_searching(const SparseQuery *q, const SparseCode *code, SparseMatches *matches)
{
	const uint32 *query_indices = sparse_query_indices(q);
	uint32		to = Min(q->n, matches->query_at + MATCHES_AT_ONCE);
	uint32		at;

	if (matches->query_at >= q->n)
		return false;

	matches->n = 0;
	for (at = matches->query_at; at < to; at++)
	{
		uint32		found = sparse_find(code, matches->code_at, query_indices[at]);

		matches->code_at = found;
		if (found == code->n || code->indices[found] != query_indices[at])
			continue;
		matches->in_code[matches->n] = (uint16) found;
		matches->in_query[matches->n++] = (uint16) at;
	}
	matches->query_at = to;
	return true;
}

/* Collect the next pairs, possibly none; false if all have been seen. */
static inline bool
sparse_match(const SparseQuery *q, const SparseCode *code, SparseMatches *matches)
{
	if (unlikely(code->n / SEARCH_RATIO > q->n))
		return sparse_match_by_searching(q, code, matches);
	return sparse_match_by_reading(q, code, matches);
}

/* ---------- keys ---------- */

/* Sum of value * query value. */
static inline int64
sparse_dot(const SparseQuery *q, const SparseCode *code)
{
	const int16 *query_values = sparse_query_values(q);
	SparseMatches matches;
	int64		sum = 0;
	int			i;

	sparse_matches_begin(&matches);
	while (sparse_match(q, code, &matches))
	{
		for (i = 0; i < matches.n; i++)
			sum += (int32) code->values[matches.in_code[i]] *
				(int32) query_values[matches.in_query[i]];
	}
	return sum;
}

static inline float
sparse_key_l2(const SparseQuery *q, const SparseFactors *f, const SparseCode *code)
{
	double		scale = f->scale;
	double		key = q->sum_sq + scale * scale * sparse_sum_sq(f);

	key -= 2.0 * scale * q->scale * (double) sparse_dot(q, code);
	key *= q->key_scale;
	return (float) Max(key, 0.0);
}

static inline float
sparse_key_ip(const SparseQuery *q, const SparseFactors *f, const SparseCode *code)
{
	double		scale = (double) f->scale * q->scale;

	return -(float) (scale * (double) sparse_dot(q, code));
}

/* What the two elements contribute beyond what each does alone. */
static inline double
sparse_l1_correction(double a, double b)
{
	return fabs(a - b) - (fabs(a) + fabs(b));
}

static inline float
sparse_key_l1(const SparseQuery *q, const SparseFactors *f, const SparseCode *code)
{
	const int16 *query_values = sparse_query_values(q);
	double		scale = f->scale;
	double		key = 0;
	SparseMatches matches;
	int			i;

	sparse_matches_begin(&matches);
	while (sparse_match(q, code, &matches))
	{
		for (i = 0; i < matches.n; i++)
			key += sparse_l1_correction(scale * code->values[matches.in_code[i]],
										q->scale * query_values[matches.in_query[i]]);
	}
	key += q->sum_abs + scale * (double) f->sum_abs;
	return (float) Max(key, 0.0);
}

/* Keys of n records; `key` is a constant, so this becomes a function for each. */
static pg_attribute_always_inline void
sparse_keys(const OmenQuery *query, int n, const void *const *factors,
			const uint8 *const *codes, float *out,
			float (*key) (const SparseQuery *, const SparseFactors *, const SparseCode *))
{
	int			i;

	/* whoever has asked for the codes ahead could only ask for the references */
	for (i = 0; i < n; i++)
	{
		const OmenCodeRef *ref = (const OmenCodeRef *) codes[i];

		__builtin_prefetch(ref->bytes);
		__builtin_prefetch(ref->bytes + Min(ref->n_bytes, PREFETCH_BYTES) - 1);
	}
	for (i = 0; i < n; i++)
	{
		SparseCode	code = sparse_unpack(codes[i]);

		out[i] = key((const SparseQuery *) query, factors[i], &code);
	}
}

static void
sparse_keys_l2(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query, int n,
			   const void *const *factors, const uint8 *const *codes, float *out)
{
	sparse_keys(query, n, factors, codes, out, sparse_key_l2);
}

static void
sparse_keys_ip(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query, int n,
			   const void *const *factors, const uint8 *const *codes, float *out)
{
	sparse_keys(query, n, factors, codes, out, sparse_key_ip);
}

static void
sparse_keys_l1(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query, int n,
			   const void *const *factors, const uint8 *const *codes, float *out)
{
	sparse_keys(query, n, factors, codes, out, sparse_key_l1);
}

/* ---------- lower bounds ---------- */

/*
 * Relative to the sum of the absolute terms, what a float32 sum over both
 * vectors' elements, one after the other, may be off: half of this, in truth.
 */
static inline double
sparse_rounding(const SparseQuery *q, const SparseCode *code)
{
	return ((double) q->n + code->n + 16.0) * FLT_EPSILON;
}

/* The same for our sums in double. */
static inline double
sparse_double_rounding(const SparseQuery *q, const SparseCode *code)
{
	return ((double) q->n + code->n + 16.0) * DBL_EPSILON;
}

/* Float query times decoded code. */
static double
sparse_float_product(const SparseQuery *q, double scale, const SparseCode *code)
{
	const float *floats = sparse_query_floats(q);
	SparseMatches matches;
	double		sum = 0;
	int			i;

	sparse_matches_begin(&matches);
	while (sparse_match(q, code, &matches))
	{
		for (i = 0; i < matches.n; i++)
			sum += floats[matches.in_query[i]] * (scale * code->values[matches.in_code[i]]);
	}
	return sum;
}

/* What the float32 L2 distance of the true vectors cannot be below. */
static double
sparse_l2_bound(const SparseQuery *q, const SparseFactors *f, const SparseCode *code)
{
	double		scale = f->scale;
	double		squares = q->float_sum_sq + scale * scale * sparse_sum_sq(f);
	double		distance_sq = squares - 2.0 * sparse_float_product(q, scale, code);
	double		distance;

	distance_sq -= 2.0 * squares * sparse_double_rounding(q, code);
	distance = sqrt(Max(distance_sq, 0.0)) * (1.0 - sparse_rounding(q, code) / 2);

	/* a square below the normal range may lose half of the least denormal */
	distance -= f->error + sqrt(((double) q->n + code->n) * ldexp(1.0, -149));
	return Max(distance, 0.0);
}

static double
sparse_lower_bound_l2(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
					  const void *factors, const uint8 *code)
{
	SparseCode	c = sparse_unpack(code);

	return sparse_l2_bound((const SparseQuery *) query, factors, &c);
}

/*
 * By way of the distance of unit vectors, see sq8_lower_bound_cosine().  The
 * operator's own norms cover elements that the code has left out; they weigh
 * less than the square of the error, and so does the rounding in adding them.
 */
static double
sparse_lower_bound_cosine(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
						  const void *factors, const uint8 *code)
{
	const SparseQuery *q = (const SparseQuery *) query;
	const SparseFactors *f = factors;
	SparseCode	c = sparse_unpack(code);
	double		distance = sparse_l2_bound(q, f, &c);
	double		bound;

	bound = distance * distance / 2 - 3 * sparse_rounding(q, &c) -
		2 * (double) f->error * f->error;
	return Max(bound, 0.0);
}

static double
sparse_lower_bound_ip(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
					  const void *factors, const uint8 *code)
{
	const SparseQuery *q = (const SparseQuery *) query;
	const SparseFactors *f = factors;
	SparseCode	c = sparse_unpack(code);
	double		scale = f->scale;
	double		query_norm = sqrt(q->float_sum_sq) * (1.0 + 1e-10);
	double		norm = scale * sqrt(sparse_sum_sq(f)) * (1.0 + 1e-10);
	double		magnitude = query_norm * (norm + f->error);

	/* near overflow the operator may say anything */
	if (!(magnitude < FLT_MAX / 4))
		return -INFINITY;

	/* only the query's elements have terms, so elements left out add none */
	return -sparse_float_product(q, scale, &c) - query_norm * f->error -
		sparse_rounding(q, &c) * magnitude - q->n * ldexp(1.0, -148);
}

static double
sparse_lower_bound_l1(const OmenCodec *codec pg_attribute_unused(), const OmenQuery *query,
					  const void *factors, const uint8 *code)
{
	const SparseQuery *q = (const SparseQuery *) query;
	const SparseFactors *f = factors;
	SparseCode	c = sparse_unpack(code);
	const float *floats = sparse_query_floats(q);
	double		scale = f->scale;
	double		sizes = q->float_sum_abs + scale * (double) f->sum_abs;
	double		distance = sizes;
	double		bound;
	SparseMatches matches;
	int			i;

	sparse_matches_begin(&matches);
	while (sparse_match(q, &c, &matches))
	{
		for (i = 0; i < matches.n; i++)
			distance += sparse_l1_correction(floats[matches.in_query[i]],
											 scale * c.values[matches.in_code[i]]);
	}
	distance -= 4.0 * sizes * sparse_double_rounding(q, &c);
	bound = distance * (1.0 - sparse_rounding(q, &c)) - f->error;
	return Max(bound, 0.0);
}

/* ---------- the table ---------- */

void
omen_sparse_init(OmenCodec *codec, OmenMetric metric, uint32 dims)
{
	codec->metric = metric;
	codec->dims = dims;
	codec->factor_bytes = sizeof(SparseFactors);
	codec->identity_bytes = offsetof(SparseFactors, error); /* the scale */
	codec->code_bytes = sizeof(OmenCodeRef);
	codec->query_bytes = sparse_query_max_bytes();
	codec->link_margin = 0.2f;
	codec->variable = true;

	codec->encoded_bytes = sparse_encoded_bytes;
	codec->encode = sparse_encode;
	codec->absorb = sparse_absorb;
	codec->equal = sparse_equal;
	codec->query_from_vector = sparse_query_from_vector;
	codec->query_from_code = sparse_query_from_code;
	codec->code_term = sparse_code_term;
	codec->query_term = sparse_query_term;

	switch (metric)
	{
		case OMEN_METRIC_L2:
			codec->keys = sparse_keys_l2;
			codec->lower_bound = sparse_lower_bound_l2;
			break;
		case OMEN_METRIC_COSINE:
			codec->keys = sparse_keys_l2;	/* halved, see SparseQuery.key_scale */
			codec->lower_bound = sparse_lower_bound_cosine;
			break;
		case OMEN_METRIC_IP:
			codec->keys = sparse_keys_ip;
			codec->lower_bound = sparse_lower_bound_ip;
			break;
		case OMEN_METRIC_L1:
			codec->keys = sparse_keys_l1;
			codec->lower_bound = sparse_lower_bound_l1;
			break;
		case OMEN_METRIC_HAMMING:
		case OMEN_METRIC_JACCARD:
			Assert(false);		/* of bits only */
			break;
	}
}
