/*-------------------------------------------------------------------------
 *
 * scan_tail.c
 *	  A tail as a scan sees it: every row compared.
 *
 * So a row that has just been inserted is found with certainty.  The first
 * pass computes search keys of all rows; bounds, which cost more, are computed
 * for the rows that are taken, by reading their pages again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_tail.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"

#define KEY_BATCH 64

void
omen_scan_tail_open(OmenScanTail *scan, Relation index, const OmenMeta *meta,
					const OmenSegment *segment, const OmenCodec *codec, const OmenQuery *query)
{
	memset(scan, 0, sizeof(*scan));
	scan->index = index;
	scan->meta = meta;
	scan->segment = segment;
	scan->codec = codec;
	scan->query = query;
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

/* Number of the first row of the page in hand. */
static inline uint32
first_row(const OmenTailReader *reader)
{
	return reader->block / reader->shape.pages_per_row * Max(reader->shape.per_page, 1);
}

/* Keys of some rows of the page in hand, into the pool. */
static void
add_rows(OmenScanTail *scan, OmenTailReader *reader, const int *rows, int n)
{
	const void *factors[KEY_BATCH];
	const uint8 *codes[KEY_BATCH];
	float		keys[KEY_BATCH] = {0};

	if (scan->query)
	{
		for (int i = 0; i < n; i++)
		{
			const char *row = omen_tail_reader_row(reader, rows[i]);

			factors[i] = row + sizeof(OmenRowHeader);
			codes[i] = (const uint8 *) row + sizeof(OmenRowHeader) + scan->codec->factor_bytes;
		}
		scan->codec->keys(scan->codec, scan->query, n, factors, codes, keys);
	}
	for (int i = 0; i < n; i++)
		omen_pool_add(&scan->pool, keys[i], first_row(reader) + rows[i]);
}

static void
read_page(OmenScanTail *scan, OmenTailReader *reader)
{
	int			batch[KEY_BATCH];
	int			n_batch = 0;

	for (int i = 0; i < reader->n_rows; i++)
	{
		const OmenRowHeader *row = (const OmenRowHeader *) omen_tail_reader_row(reader, i);

		if (row->flags & OMEN_ROW_DEAD)
			continue;
		if (row->flags & OMEN_ROW_NULL)
			add_tid(&scan->nulls, &scan->n_nulls, row);
		else if (row->flags & OMEN_ROW_UNDIRECTED)
			add_tid(&scan->undirected, &scan->n_undirected, row);
		else
			batch[n_batch++] = i;
		if (n_batch == KEY_BATCH)
		{
			add_rows(scan, reader, batch, n_batch);
			n_batch = 0;
		}
	}
	add_rows(scan, reader, batch, n_batch);
}

static void
read_tail(OmenScanTail *scan)
{
	OmenTailReader reader;

	omen_tail_reader_init(&reader, scan->index, scan->meta, scan->segment);
	while (omen_tail_reader_next(&reader))
	{
		read_page(scan, &reader);
		omen_tail_reader_release(&reader);
		CHECK_FOR_INTERRUPTS();
	}
}

static int
compare_rows(const void *a, const void *b)
{
	uint32		left = ((const OmenCandidate *) a)->node;
	uint32		right = ((const OmenCandidate *) b)->node;

	return (left > right) - (left < right);
}

/* Read rows again for their TIDs and bounds; rows that vacuum has taken since are left out. */
static int
resolve_rows(OmenScanTail *scan, OmenCandidate *rows, int n, OmenTailCandidate *out)
{
	OmenTailReader reader;
	uint32		per_page;
	int			n_out = 0;

	omen_tail_reader_init(&reader, scan->index, scan->meta, scan->segment);
	per_page = Max(reader.shape.per_page, 1);
	qsort(rows, n, sizeof(OmenCandidate), compare_rows);	/* page after page */
	for (int i = 0; i < n;)
	{
		reader.next_block = rows[i].node / per_page * reader.shape.pages_per_row;
		if (!omen_tail_reader_next(&reader))
			break;				/* recycled on a standby: the caller finds out */
		for (; i < n && rows[i].node / per_page * reader.shape.pages_per_row == reader.block; i++)
		{
			const char *row = omen_tail_reader_row(&reader, rows[i].node % per_page);
			const OmenRowHeader *header = (const OmenRowHeader *) row;

			if (header->flags & OMEN_ROW_DEAD)
				continue;
			ItemPointerSet(&out[n_out].tid, header->block, header->offset);
			out[n_out].bound = scan->query == NULL ? 0 :
				scan->codec->lower_bound(scan->codec, scan->query, row + sizeof(OmenRowHeader),
										 (const uint8 *) row + sizeof(OmenRowHeader) +
										 scan->codec->factor_bytes);
			n_out++;
		}
		omen_tail_reader_release(&reader);
	}
	return n_out;
}

/*
 * The next candidates, about ef of them, in any order; returns the number, 0
 * at the end.  The array is the caller's to free.
 */
int
omen_scan_tail_next(OmenScanTail *scan, uint32 ef, OmenTailCandidate **candidates)
{
	MemoryContext old_context = MemoryContextSwitchTo(scan->context);
	const OmenCandidate *rows;
	int			n_rows;
	int			n = 0;

	if (!scan->read)
	{
		read_tail(scan);
		scan->read = true;
	}
	*candidates = NULL;
	while (n == 0 && (n_rows = omen_pool_take(&scan->pool, ef, &rows)) > 0)
	{
		if (*candidates == NULL)
			*candidates = palloc_extended(ef * sizeof(OmenTailCandidate), MCXT_ALLOC_HUGE);
		n = resolve_rows(scan, (OmenCandidate *) rows, n_rows, *candidates);
	}
	MemoryContextSwitchTo(old_context);
	return n;
}
