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

/* Where an inserting statement is in the tail. */
typedef struct OmenTailCursor
{
	OmenMeta   *meta;			/* directory as last read, memory of the cursor */
	OmenRowShape shape;
	OmenSegment tail;			/* id 0: none known */
	uint32		block;			/* logical block to try next */
} OmenTailCursor;

extern void omen_tail_cursor_init(OmenTailCursor *cursor, Relation index);
extern bool omen_tail_append(Relation index, OmenTailCursor *cursor,
							 const OmenRowHeader *header, const void *factors, const void *code);
extern uint32 omen_tail_freeze(Relation index);
extern void omen_tail_close(Relation index, const OmenMeta *meta, const OmenSegment *tail);

/*
 * Reading a tail page by page.  A page comes back pinned and share-locked
 * with n rows; release it before the next.
 */
typedef struct OmenTailReader
{
	Relation	index;
	const OmenSegment *tail;
	OmenRowShape shape;
	uint32		block;			/* of the page in hand */
	uint32		next_block;
	Buffer		buffer;
	char	   *page;			/* of the buffer */
	int			n_rows;
	char	   *long_row;		/* copy of a row that spans pages */
	bool		exclusive;
	BufferAccessStrategy strategy;
} OmenTailReader;

extern void omen_tail_reader_init(OmenTailReader *reader, Relation index,
								  const OmenMeta *meta, const OmenSegment *tail);
extern bool omen_tail_reader_next(OmenTailReader *reader);
extern void omen_tail_reader_release(OmenTailReader *reader);
extern char *omen_tail_reader_row(OmenTailReader *reader, int i);
extern int omen_tail_mark_dead(OmenTailReader *reader, const bool *dead);
extern uint32 omen_tail_rows_before(const OmenMeta *meta, uint32 block);

#endif							/* OMEN_TAIL_H */
