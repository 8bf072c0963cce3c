/*-------------------------------------------------------------------------
 *
 * check.h
 *	  omenvec_check(): what its files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_CHECK_H
#define OMEN_CHECK_H

#include "src/filter/attribute.h"
#include "src/storage/column.h"

#include "funcapi.h"
#include "storage/bufmgr.h"

/* The check of one index. */
typedef struct OmenCheck
{
	Relation	index;
	Relation	table;
	BlockNumber table_blocks;	/* as last asked */
	OmenMeta   *meta;			/* directory as it was at the beginning */
	OmenAttributes *attributes; /* NULL if the index has none, or says something else than the catalog */
	BufferAccessStrategy strategy;
	ReturnSetInfo *result;
	struct OmenCheckTids *tids;

	/* where we are, for the report */
	const OmenSegment *segment; /* NULL: the directory */
	uint32		n_problems;		/* reported of this segment */
	bool		quiet;			/* report nothing */
} OmenCheck;

/* ---- reporting (index_check.c) ---- */

/* A problem of check->segment; block is InvalidBlockNumber if it is not one block's. */
extern void omen_check_report(OmenCheck *check, BlockNumber block, const char *format,...) pg_attribute_printf(3, 4);

/* ---- the directory (check_directory.c) ---- */

extern void omen_check_directory(OmenCheck *check, bool *walkable);

/* ---- pages (check_page.c) ---- */

/* What a page is part of, and what its header must therefore say. */
typedef struct OmenPageExpectation
{
	uint16		kind;			/* OMEN_PAGE_* */
	uint16		column;			/* OmenColumnId, 0 in a tail */
	uint32		logical_block;	/* within the column or tail */
	uint32		n_records;
	uint32		lower;
} OmenPageExpectation;

extern BlockNumber omen_check_read(OmenCheck *check, const OmenSegment *segment,
								   uint32 segment_block, char *copy);
extern bool omen_check_header(OmenCheck *check, const OmenSegment *segment, BlockNumber block,
							  const char *page, const OmenPageExpectation *expected);
extern bool omen_check_page_bears_stamp(const char *page, const OmenSegment *segment,
										const OmenPageExpectation *expected);

/* Visits a record; `block` is the first page it lies on. */
typedef void (*OmenRecordVisitor) (void *arg, BlockNumber block, uint32 record,
								   const void *head, const void *body);

extern bool omen_check_walk_column(OmenCheck *check, const OmenSegment *segment, OmenColumnId column,
								   OmenRecordVisitor visit, void *arg);

/* ---- segments and tails (check_segment.c, check_attributes.c, check_tail.c) ---- */

extern void omen_check_segment(OmenCheck *check, const OmenSegment *segment);
extern void omen_check_tail(OmenCheck *check, const OmenSegment *tail);

/* What a TID entry of a segment is, for its attributes. */
typedef struct OmenCheckedEntry
{
	bool		is_row;
	uint32		owner;			/* the node; OMEN_NO_NODE if there is none */
} OmenCheckedEntry;

extern void omen_check_attributes(OmenCheck *check, const OmenSegment *segment,
								  const OmenCheckedEntry *entries);

typedef void (*OmenTidVisitor) (void *arg, uint32 segment_id, BlockNumber heap_block, uint16 heap_offset);

/* Living heap TIDs of a segment or tail, as far as its pages are good. */
extern void omen_check_each_tid(OmenCheck *check, const OmenSegment *segment,
								OmenTidVisitor visit, void *arg);
extern void omen_check_each_tail_tid(OmenCheck *check, const OmenSegment *tail,
									 OmenTidVisitor visit, void *arg);

/* ---- heap TIDs (check_tids.c) ---- */

extern void omen_check_tids_begin(OmenCheck *check);
extern void omen_check_tid(OmenCheck *check, BlockNumber block,
						   BlockNumber heap_block, uint16 heap_offset, bool living);
extern void omen_check_tids_finish(OmenCheck *check);

#endif							/* OMEN_CHECK_H */
