/*-------------------------------------------------------------------------
 *
 * segment_rows.h
 *	  The rows of a segment that are in a set of rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SEGMENT_ROWS_H
#define OMEN_SEGMENT_ROWS_H

#include "src/filter/row_bitmap.h"
#include "src/storage/page_reader.h"
#include "src/storage/resident.h"

/* A mark for each TID entry of the segment. */
typedef struct OmenSegmentRows
{
	const OmenSegment *segment;
	uint64	   *marks;			/* rows of the set, and nodes that have one in their list */
	uint64		n_rows;
	uint32		n_nodes;
} OmenSegmentRows;

/* A further condition on the row of a TID entry. */
typedef bool (*OmenEntryTest) (void *arg, uint32 entry);

/*
 * Mark the rows of a segment that are in a set and pass a test, if there is
 * one; memory comes from the current context.
 */
extern void omen_segment_rows_mark(OmenSegmentRows *rows, const OmenRowBitmap *set, Relation index,
								   const OmenMeta *meta, const OmenSegment *segment,
								   const OmenResident *resident, OmenEntryTest test, void *arg);

static inline bool
omen_segment_rows_contain(const OmenSegmentRows *rows, uint32 entry)
{
	return ((rows->marks[entry / 64] >> (entry % 64)) & 1) != 0;
}

/* The nodes marked, ascending, palloc'd; returns how many. */
extern uint32 omen_segment_rows_nodes(const OmenSegmentRows *rows, uint32 **nodes);

#endif							/* OMEN_SEGMENT_ROWS_H */
