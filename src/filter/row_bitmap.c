/*-------------------------------------------------------------------------
 *
 * row_bitmap.c
 *	  A set of rows of a table, by TID.
 *
 * It holds what a TIDBitmap does, in a form that can be asked for one row:
 * PostgreSQL's own only gives out all of them in order.  Its memory is that of
 * the bitmap, which work_mem limits (by forgetting which rows of a block are
 * in it), and a bit and a half for each block of the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/row_bitmap.h"

#include "miscadmin.h"

/* The rows of a block, whose number is the next one. */
static OmenBlockRows *
add_block(OmenRowBitmap *set, BlockNumber block)
{
	/* Room grows at powers of two. */
	if (set->n_blocks == 0)
		set->rows = palloc(sizeof(OmenBlockRows));
	else if ((set->n_blocks & (set->n_blocks - 1)) == 0)
		set->rows = repalloc_huge(set->rows, (Size) set->n_blocks * 2 * sizeof(OmenBlockRows));
	set->blocks[block / 64] |= UINT64CONST(1) << (block % 64);
	return &set->rows[set->n_blocks++];
}

static void
add_page(OmenRowBitmap *set, const TBMIterateResult *page)
{
	OmenBlockRows *rows;

	if (page->blockno >= set->n_table_blocks)
		return;
	rows = add_block(set, page->blockno);
	memset(rows, page->ntuples < 0 ? 0xFF : 0, sizeof(OmenBlockRows));
	for (int i = 0; i < page->ntuples; i++)
		if (page->offsets[i] <= MaxHeapTuplesPerPage)
			rows->offsets[page->offsets[i] / 64] |= UINT64CONST(1) << (page->offsets[i] % 64);
}

OmenRowBitmap *
omen_row_bitmap_create(TIDBitmap *bitmap, BlockNumber n_table_blocks)
{
	OmenRowBitmap *set = palloc0(sizeof(OmenRowBitmap));
	Size		n_words = (Size) n_table_blocks / 64 + 1;
	TBMIterator *iterator;
	TBMIterateResult *page;
	uint32		n_before = 0;

	set->n_table_blocks = n_table_blocks;
	set->blocks = palloc_extended(n_words * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	iterator = tbm_begin_iterate(bitmap);
	while ((page = tbm_iterate(iterator)) != NULL)
	{
		CHECK_FOR_INTERRUPTS();
		add_page(set, page);	/* they come in the order of their numbers */
	}
	tbm_end_iterate(iterator);

	set->n_before = palloc_extended(n_words * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (Size word = 0; word < n_words; word++)
	{
		set->n_before[word] = n_before;
		n_before += pg_popcount64(set->blocks[word]);
	}
	return set;
}
