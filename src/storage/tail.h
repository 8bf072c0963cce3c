/*-------------------------------------------------------------------------
 *
 * tail.h
 *	  The tail: rows in the order of their arrival, until they are sealed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_TAIL_H
#define OMEN_TAIL_H

#include "src/storage/column.h"

/*
 * A row to append, or one just read.  factors, code and refine are NULL if it has no
 * code.  attributes, of any alignment, is NULL in an index without.
 */
typedef struct OmenRow
{
	OmenRowHeader header;
	const void *factors;
	const uint8 *code;
	uint32		n_code_bytes;
	const char *refine;			/* finer code; not looked at if the index has none */
	const char *attributes;
	uint32		n_attribute_bytes;
} OmenRow;

/* Bytes of a row, apart from a code of variable length. */
static inline uint32
omen_tail_row_bytes(const OmenMeta *meta)
{
	return sizeof(OmenRowHeader) + meta->factor_bytes + meta->code_bytes +
		meta->refine_factor_bytes + meta->refine_code_bytes;
}

/* Where an inserting statement is in the tail. */
typedef struct OmenTailCursor
{
	OmenMeta   *meta;			/* directory as last read, memory of the cursor */
	OmenSegment tail;			/* id 0: none known */
	uint32		block;			/* logical block to try next */
	bool		meta_is_fresh;	/* the directory was read for this, and not looked at yet */
	bool		block_is_guess; /* not known to be in use */
} OmenTailCursor;

extern void omen_tail_cursor_init(OmenTailCursor *cursor, Relation index);
extern bool omen_tail_append(Relation index, OmenTailCursor *cursor, const OmenRow *row);
extern void omen_tail_freeze(Relation index, uint32 tail_id);
extern uint64 omen_tail_close(Relation index, const OmenSegment *tail);
extern uint32 omen_tail_used_blocks(Relation index, const OmenSegment *tail);

/*
 * Reading a tail page by page.  A page comes back pinned and locked, with its
 * rows; release it before the next.  Who calls functions of others for its rows,
 * which may do anything and take their time, reads a copy that nothing is held for.
 */
#define OMEN_ROWS_PER_PAGE 512 /* more than fit */

typedef struct OmenTailReader
{
	Relation	index;
	const OmenMeta *meta;
	const OmenSegment *tail;
	bool		exclusive;		/* lock pages so; may be set after init */
	bool		copies;			/* rows come from a copy of the page; may be set after init */
	BufferAccessStrategy strategy;	/* may be set after init */
	uint32		next_block;		/* may be set to read on from elsewhere */

	uint32		block;			/* of the page in hand */
	Buffer		buffer;			/* InvalidBuffer if it is a copy */
	char	   *page;
	char	   *copy;			/* memory for it */
	int			n_rows;
	uint32		equal_bytes;	/* length of all rows of the page; 0: of each its own, in various[] */
	OmenRow		various[OMEN_ROWS_PER_PAGE];
	char	   *long_row;		/* copy of a row that spans pages */
	uint32		long_row_bytes;
} OmenTailReader;

extern void omen_tail_reader_init(OmenTailReader *reader, Relation index,
								  const OmenMeta *meta, const OmenSegment *tail);
extern bool omen_tail_reader_next(OmenTailReader *reader);
extern void omen_tail_reader_release(OmenTailReader *reader);

/* A row of the page in hand.  Inline: whoever wants a part of it pays for no more. */
static inline OmenRow
omen_tail_row(const OmenTailReader *reader, int i)
{
	const OmenMeta *meta = reader->meta;
	const char *from = reader->page + OMEN_PAGE_START + i * reader->equal_bytes;
	OmenRow		row;

	if (reader->equal_bytes == 0)
		return reader->various[i];
	memcpy(&row.header, from, sizeof(OmenRowHeader));
	row.factors = from + sizeof(OmenRowHeader);
	row.code = (const uint8 *) row.factors + meta->factor_bytes;
	row.n_code_bytes = meta->code_bytes;
	row.refine = (const char *) row.code + meta->code_bytes;
	row.attributes = NULL;
	row.n_attribute_bytes = 0;
	return row;
}
extern int	omen_tail_mark_dead(OmenTailReader *reader, const bool *dead);

/*
 * Read the row that begins at `from`, of which `available` bytes are there.
 * Sets the length of the whole row, which may be more.  False if not even its
 * fixed part is there.
 */
extern bool omen_tail_parse_row(const OmenMeta *meta, const char *from, uint32 available,
								OmenRow *row, uint32 *n_bytes);

#endif							/* OMEN_TAIL_H */
