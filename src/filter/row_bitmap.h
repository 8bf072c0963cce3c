/*-------------------------------------------------------------------------
 *
 * row_bitmap.h
 *	  A set of rows of a table, by TID.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ROW_BITMAP_H
#define OMEN_ROW_BITMAP_H

#include "postgres.h"

#include "access/htup_details.h"
#include "nodes/tidbitmap.h"
#include "port/pg_bitutils.h"

#define OMEN_ROW_WORDS (MaxHeapTuplesPerPage / 64 + 1)

/* A bit for each offset number of a block; all are set if it is not known which. */
typedef struct OmenBlockRows
{
	uint64		offsets[OMEN_ROW_WORDS];
} OmenBlockRows;

/*
 * A bit for each block of the table says whether it has rows of the set; how
 * many such blocks come before says which of rows is its own.  So a row of a
 * block without any, the usual case, costs one look at a small bitmap.
 */
typedef struct OmenRowBitmap
{
	BlockNumber n_table_blocks;
	uint64	   *blocks;
	uint32	   *n_before;		/* blocks of the set before those of a word */
	uint32		n_blocks;
	OmenBlockRows *rows;
} OmenRowBitmap;

/*
 * The rows of a bitmap, in the current memory context, of a table of so many
 * blocks; what the bitmap says of blocks beyond is left out.
 */
extern OmenRowBitmap *omen_row_bitmap_create(TIDBitmap *bitmap, BlockNumber n_table_blocks);

/* Has a block, of which nothing is known, rows of the set?  As 0 or 1, without a branch. */
static inline uint32
omen_row_bitmap_has_block(const OmenRowBitmap *set, BlockNumber block)
{
	block = Min(block, set->n_table_blocks);	/* that one has none */
	return (set->blocks[block / 64] >> (block % 64)) & 1;
}

static inline bool
omen_row_bitmap_contains(const OmenRowBitmap *set, BlockNumber block, OffsetNumber offset)
{
	uint64		bit = UINT64CONST(1) << (block % 64);
	uint64		word;
	uint32		place;

	if (block >= set->n_table_blocks || ((word = set->blocks[block / 64]) & bit) == 0)
		return false;
	place = set->n_before[block / 64] + pg_popcount64(word & (bit - 1));
	return offset <= MaxHeapTuplesPerPage && ((set->rows[place].offsets[offset / 64] >> (offset % 64)) & 1) != 0;
}

#endif							/* OMEN_ROW_BITMAP_H */
