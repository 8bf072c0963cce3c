/*-------------------------------------------------------------------------
 *
 * merge_source.h
 *	  What a merge reads: frozen tails and sealed segments.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_MERGE_SOURCE_H
#define OMEN_MERGE_SOURCE_H

#include "src/am/segment_builder.h"

/* A source, and which of its rows were dead when it was read. */
typedef struct OmenMergeSource
{
	Relation	index;
	const OmenMeta *meta;
	const OmenSegment *segment;
	uint64	   *dead;			/* a bit for each TID entry, or for each place of a row in a tail */
} OmenMergeSource;

extern void omen_merge_source_read(OmenMergeSource *source, Relation index, const OmenMeta *meta,
								   const OmenSegment *segment, OmenSegmentBuilder *builder);

/* The same for the segment whose nodes go on in the new one, in two steps. */
extern void omen_merge_source_begin_carry(OmenMergeSource *source, Relation index, const OmenMeta *meta,
										  const OmenSegment *segment, OmenSegmentBuilder *builder);
extern void omen_merge_source_carry(OmenMergeSource *source, OmenSegmentBuilder *builder);

/* TIDs in ascending order, once omen_tid_set_sort() has been called. */
typedef struct OmenTidSet
{
	ItemPointerData *tids;
	uint32		n;
	uint32		capacity;
} OmenTidSet;

extern void omen_merge_source_late_deaths(OmenMergeSource *source, OmenTidSet *set);
extern void omen_tid_set_sort(OmenTidSet *set);
extern bool omen_tid_set_has(ItemPointer tid, void *set);

#endif							/* OMEN_MERGE_SOURCE_H */
