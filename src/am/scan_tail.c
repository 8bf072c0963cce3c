/*-------------------------------------------------------------------------
 *
 * scan_tail.c
 *	  A tail as a scan sees it: every row compared.
 *
 * So a row that has just been inserted is found with certainty.  The first
 * pass computes search keys of all rows, and remembers those up to the bound
 * that segments have set: few, as a rule, for a tail is short.  Should others be
 * wanted, a second pass finds them.  Lower bounds of distances, which cost more
 * than keys, are computed for the rows that are taken, by reading their pages
 * again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_tail.h"

#include <math.h>

#include "miscadmin.h"
#include "storage/bufmgr.h"

#define KEY_BATCH 64

void
omen_scan_tail_open(OmenScanTail *scan, Relation index, const OmenMeta *meta,
					const OmenSegment *segment, const OmenCodec *codec, const OmenQuery *query,
					OmenFilter *filter)
{
	memset(scan, 0, offsetof(OmenScanTail, reader));
	scan->limit = INFINITY;
	scan->index = index;
	scan->meta = meta;
	scan->segment = segment;
	scan->codec = codec;
	scan->query = query;
	scan->filter = filter;
	scan->context = CurrentMemoryContext;
}

static void
add_tid(ItemPointerData **tids, uint32 *n, const OmenRowHeader *row)
{
	/* Room grows at powers of two. */
	if (*n == 0)
		*tids = palloc(sizeof(ItemPointerData));
	else if ((*n & (*n - 1)) == 0)
		*tids = repalloc_huge(*tids, (Size) *n * 2 * sizeof(ItemPointerData));
	ItemPointerSet(&(*tids)[*n], row->block, row->offset);
	(*n)++;
}

/* A row without a code: once is enough. */
static void
add_uncoded(OmenScanTail *scan, const OmenRowHeader *row)
{
	if (scan->read)
		return;
	if (row->flags & OMEN_ROW_NULL)
		add_tid(&scan->nulls, &scan->n_nulls, row);
	else
		add_tid(&scan->undirected, &scan->n_undirected, row);
}

/* Rows are numbered by their place. */
static inline uint32
row_number(const OmenTailReader *reader, int i)
{
	return reader->block * OMEN_ROWS_PER_PAGE + i;
}

/* The code of a row as the codec wants it; ref is memory for that. */
static const uint8 *
code_of(const OmenScanTail *scan, const OmenRow *row, OmenCodeRef *ref)
{
	if (!scan->codec->variable)
		return row->code;
	ref->bytes = row->code;
	ref->n_bytes = row->n_code_bytes;
	ref->unused = 0;
	if (ref->n_bytes < sizeof(uint32))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("tail %u of index \"%s\" contains a damaged code",
						scan->segment->id, RelationGetRelationName(scan->index)),
				 errhint("Please REINDEX it.")));
	return (const uint8 *) ref;
}

/* Rows of the page in hand that have codes. */
typedef struct RowBatch
{
	uint32		numbers[KEY_BATCH];
	const void *factors[KEY_BATCH];
	const uint8 *codes[KEY_BATCH];
	OmenCodeRef refs[KEY_BATCH];
} RowBatch;

/* Put those of n whose keys are in the range of this pass into the pool. */
static void
add_batch(OmenScanTail *scan, const RowBatch *batch, int n)
{
	float		keys[KEY_BATCH] = {0};
	int			n_beyond = 0;

	if (scan->query && n > 0)
		scan->codec->keys(scan->codec, scan->query, n, batch->factors, (const uint8 *const *) batch->codes, keys);
	for (int i = 0; i < n; i++)
	{
		if (keys[i] > scan->limit)
			n_beyond++;
		else if (!scan->read || keys[i] > scan->limit_before)
			omen_pool_add(&scan->pool, keys[i], batch->numbers[i]);
	}
	scan->n_beyond += n_beyond;
}

/* Counters are variables of their own here: kept in memory, each would have the next row wait. */
static void
read_page(OmenScanTail *scan, OmenTailReader *reader)
{
	RowBatch	batch;
	int			n = 0;
	uint32		n_matching = 0;

	for (int i = 0; i < reader->n_rows; i++)
	{
		OmenRow		row = omen_tail_row(reader, i);

		if (row.header.flags & OMEN_ROW_DEAD)
			continue;
		if (scan->filter && !omen_filter_passes(scan->filter, row.header.block, row.header.offset,
												row.attributes, row.n_attribute_bytes))
			continue;
		n_matching++;
		if (row.header.flags & (OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED))
		{
			add_uncoded(scan, &row.header);
			continue;
		}
		batch.numbers[n] = row_number(reader, i);
		batch.factors[n] = row.factors;
		batch.codes[n] = code_of(scan, &row, &batch.refs[n]);
		if (++n == KEY_BATCH)
		{
			add_batch(scan, &batch, n);
			n = 0;
		}
	}
	add_batch(scan, &batch, n);
	if (!scan->read)
		scan->n_matching += n_matching;
}

/* A pass: rows with keys up to limit, without those that an earlier one has found. */
static void
read_tail(OmenScanTail *scan, float limit)
{
	OmenTailReader *reader = &scan->reader;

	scan->n_beyond = 0;
	scan->limit_before = scan->limit;
	scan->limit = limit;
	omen_tail_reader_init(reader, scan->index, scan->meta, scan->segment);
	reader->copies = scan->filter != NULL;
	while (omen_tail_reader_next(reader))
	{
		read_page(scan, reader);
		omen_tail_reader_release(reader);
		CHECK_FOR_INTERRUPTS();
	}
	scan->read = true;
}

/* Find at least the rows without a code, unless that has been done. */
void
omen_scan_tail_read(OmenScanTail *scan)
{
	MemoryContext old_context = MemoryContextSwitchTo(scan->context);

	if (!scan->read)
		read_tail(scan, -INFINITY);
	MemoryContextSwitchTo(old_context);
}

static int
compare_rows(const void *a, const void *b)
{
	uint32		left = ((const OmenCandidate *) a)->node;
	uint32		right = ((const OmenCandidate *) b)->node;

	return (left > right) - (left < right);
}

static OmenTailCandidate
resolve_row(OmenScanTail *scan, const OmenRow *row)
{
	OmenTailCandidate candidate = {.bound = 0};
	OmenCodeRef ref;

	ItemPointerSet(&candidate.tid, row->header.block, row->header.offset);
	if (scan->query)
		candidate.bound = scan->codec->lower_bound(scan->codec, scan->query, row->factors,
												   code_of(scan, row, &ref));
	return candidate;
}

/* Read rows again for their TIDs and bounds; rows that vacuum has taken since are left out. */
static int
resolve_rows(OmenScanTail *scan, OmenCandidate *rows, int n, OmenTailCandidate *out)
{
	OmenTailReader *reader = &scan->reader;
	int			n_out = 0;
	int			i = 0;

	qsort(rows, n, sizeof(OmenCandidate), compare_rows);	/* page after page */
	while (i < n)
	{
		reader->next_block = rows[i].node / OMEN_ROWS_PER_PAGE;
		if (!omen_tail_reader_next(reader))
			break;				/* recycled on a standby: the caller finds out */
		for (; i < n && rows[i].node / OMEN_ROWS_PER_PAGE == reader->block; i++)
		{
			int			slot = rows[i].node % OMEN_ROWS_PER_PAGE;
			OmenRow		row;

			if (slot >= reader->n_rows)
				continue;
			row = omen_tail_row(reader, slot);
			if ((row.header.flags & OMEN_ROW_DEAD) == 0)
			{
				out[n_out] = resolve_row(scan, &row);
				out[n_out].row = rows[i].node;
				out[n_out++].key = rows[i].key;
			}
		}
		omen_tail_reader_release(reader);
	}
	return n_out;
}

/*
 * The next candidates with keys up to bound, about ef of them, in any order;
 * returns the number.  Up to *horizon, a key, the tail has now given what it
 * has: INFINITY at the end.  The array is the caller's to free.
 */
int
omen_scan_tail_next(OmenScanTail *scan, uint32 ef, float bound,
					OmenTailCandidate **candidates, float *horizon)
{
	MemoryContext old_context = MemoryContextSwitchTo(scan->context);
	const OmenCandidate *rows;
	int			n_rows;
	int			n = 0;

	if (!scan->read)
		read_tail(scan, bound);
	else if (scan->n_beyond > 0 && bound > scan->limit && omen_pool_left(&scan->pool) < ef)
		read_tail(scan, INFINITY);
	n_rows = omen_pool_take(&scan->pool, ef, bound, &rows, horizon);
	if (scan->n_beyond > 0)
		*horizon = Min(*horizon, Min(bound, scan->limit));
	*candidates = NULL;
	if (n_rows > 0)
	{
		*candidates = palloc_extended(n_rows * sizeof(OmenTailCandidate), MCXT_ALLOC_HUGE);
		n = resolve_rows(scan, (OmenCandidate *) rows, n_rows, *candidates);
	}
	MemoryContextSwitchTo(old_context);
	return n;
}

double
omen_scan_tail_refined_bound(OmenScanTail *scan, uint32 row)
{
	MemoryContext old_context = MemoryContextSwitchTo(scan->context);
	OmenTailReader *reader = &scan->reader;
	int			slot = row % OMEN_ROWS_PER_PAGE;
	double		bound = -INFINITY;	/* recycled on a standby: what is known already will do */

	reader->next_block = row / OMEN_ROWS_PER_PAGE;
	if (omen_tail_reader_next(reader))
	{
		if (slot < reader->n_rows)
		{
			OmenRow		found = omen_tail_row(reader, slot);

			bound = scan->codec->refined_bound(scan->codec, scan->query, found.factors, found.code, found.refine,
											   (const uint8 *) found.refine + scan->codec->refine_factor_bytes);
		}
		omen_tail_reader_release(reader);
	}
	MemoryContextSwitchTo(old_context);
	return bound;
}
