/*-------------------------------------------------------------------------
 *
 * sparse_keys.c
 *	  Keys and lower bounds of codes of sparse vectors.
 *
 * All distances follow from sums over the elements that two vectors share and
 * from sums over each vector alone, which the factors hold.  Sums of products
 * are integers; they are combined in double in one fixed order, so keys have
 * the same bits on every machine.  (L1 has no such integers: its terms are
 * exact doubles, added in the order of the indices.)
 *
 * Most pairs share few elements or none: the elements of a code are looked up in
 * the query, which tells most of them quickly that it has none such.  If the
 * code is much longer than the query, the query's indices are looked up in the
 * code instead.
 *
 * As for 8-bit codes, the lower bound takes the float query against the code
 * and subtracts the norm of x - decoded(x) and a slack for rounding.  It must
 * hold for elements that the code has left out, too: sums of terms that are
 * not negative do not become less by more terms, also when each is rounded, so
 * for those sums the bound of the elements that are there will do.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sparse_internal.h"

#include <float.h>

/* Pairs of elements that a query and a code share are collected so many at a time. */
#define MATCHES_AT_ONCE 64

/* Codes this many times as long as the query are searched instead of read. */
#define SEARCH_RATIO 16

/* Of a code, so much is asked for ahead; the hardware streams the rest. */
#define PREFETCH_BYTES 128

/* Places of elements that a query and a code share, in the order of the indices. */
typedef struct SparseMatches
{
	uint32		code_at;		/* where to go on */
	uint32		query_at;
	int			n;
	uint16		in_code[MATCHES_AT_ONCE];
	uint16		in_query[MATCHES_AT_ONCE];
} SparseMatches;

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
	int			filter_shift = q->slot_shift - SPARSE_FILTER_SHIFT;
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

/* ---------- the metrics ---------- */

void
omen_sparse_set_distances(OmenCodec *codec)
{
	switch (codec->metric)
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
