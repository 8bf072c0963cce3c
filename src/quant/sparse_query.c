/*-------------------------------------------------------------------------
 *
 * sparse_query.c
 *	  Queries about codes of sparse vectors, see sparse.c.
 *
 * A query has a filter, a few bits for each of its elements, which tells most of
 * a code's elements in a few instructions that it has no such index, and a hash
 * table for the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sparse_internal.h"

/* Slots are at most half full. */
#define MIN_SLOTS_SHIFT 4
#define MAX_SLOTS_SHIFT 15

StaticAssertDecl(2 * OMEN_MAX_SPARSE_ELEMENTS <= 1 << MAX_SLOTS_SHIFT,
				 "slots for the longest query");

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
	at += n_slots << SPARSE_FILTER_SHIFT >> 3;
	q->slots_at = at;
	at += n_slots * sizeof(uint16);
	memset((char *) q + q->filter_at, 0, at - q->filter_at);
	q->indices_at = at;
	at += n * sizeof(uint32);
	q->values_at = at;
	at += TYPEALIGN(4, n * sizeof(int16));
	q->floats_at = at;
}

uint32
omen_sparse_query_max_bytes(void)
{
	const uint32 n = OMEN_MAX_SPARSE_ELEMENTS;
	uint32		bytes = SPARSE_QUERY_HEAD;

	bytes += (1U << MAX_SLOTS_SHIFT << SPARSE_FILTER_SHIFT >> 3) + (sizeof(uint16) << MAX_SLOTS_SHIFT);
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
	int			filter_shift = q->slot_shift - SPARSE_FILTER_SHIFT;
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

void
omen_sparse_query_from_code(const OmenCodec *codec, OmenQuery *query,
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
void
omen_sparse_query_from_vector(const OmenCodec *codec, OmenQuery *query, const void *vector)
{
	const OmenSparse *x = vector;
	SparseQuery *q = (SparseQuery *) query;
	float		scale = omen_sparse_choose_scale(x);
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
	omen_sparse_set_factors(&factors, scale, values, x->n);
	sparse_query_finish(codec, q, &factors);
}
