/*-------------------------------------------------------------------------
 *
 * column.h
 *	  Where the records of a column lie in its pages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_COLUMN_H
#define OMEN_COLUMN_H

#include "src/storage/metapage.h"

typedef struct OmenColumnShape
{
	uint32		head_bytes;
	uint32		body_bytes;
	uint32		per_page;		/* records a page, or 0 if a record spans pages */
	uint32		pages_per_record;	/* 1, or more if per_page is 0 */
	uint32		body_start;		/* offset of the first body in the page */
	double		page_per_record;	/* 1 / per_page */
} OmenColumnShape;

/*
 * Page of a column on which a record lies, if records do not span pages.  A
 * multiplication is several times faster than a division, and exact: the
 * half keeps the product 1 / (2 * per_page) away from any integer, far more
 * than it can be off by rounding.
 */
static inline uint32
omen_column_page(const OmenColumnShape *shape, uint32 record)
{
	return (uint32) (((double) record + 0.5) * shape->page_per_record);
}

extern void omen_column_shape(const OmenMeta *meta, const OmenSegment *segment, OmenColumnId column,
							  OmenColumnShape *shape);
extern uint32 omen_column_blocks(const OmenColumnShape *shape, uint32 n_records);
extern uint32 omen_column_count(const OmenSegment *segment, OmenColumnId column);

extern void omen_page_init(Page page, uint16 kind, uint32 segment_id,
						   uint16 column, uint32 logical_block);

#endif							/* OMEN_COLUMN_H */
