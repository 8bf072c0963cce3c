/*-------------------------------------------------------------------------
 *
 * filter.h
 *	  The conditions of a query on attributes, and which rows fulfil them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_FILTER_H
#define OMEN_FILTER_H

#include "src/filter/attribute_reader.h"

#include "access/skey.h"

/* ---- conditions ---- */

typedef struct OmenFilter OmenFilter;

/*
 * The filter of a scan, in the current memory context: keys on attributes,
 * ANDed; keys on the vector are left out.  NULL if there are none.
 */
extern OmenFilter *omen_filter_create(const OmenAttributes *attributes, ScanKey keys, int n_keys);

/* No row can pass: a condition compares with NULL, or contradicts another. */
extern bool omen_filter_is_empty(const OmenFilter *filter);

/* Does a row with these attributes pass? */
extern bool omen_filter_passes(OmenFilter *filter, const Datum *values, const bool *isnull);

/* ---- rows of a segment ---- */

/* Ranks from .. to, both included. */
typedef struct OmenRankRange
{
	uint32		from;
	uint32		to;
} OmenRankRange;

/* Ascending, disjoint and not adjacent. */
typedef struct OmenRankSet
{
	uint32		n_ranges;
	OmenRankRange *ranges;
	uint64		n_entries;		/* TID entries that have such a rank */
} OmenRankSet;

/* A filter turned into ranks of one segment. */
typedef struct OmenSegmentFilter
{
	OmenAttributeReader reader;
	int			n_sets;			/* of attributes with a condition, fewest entries first */
	int			attributes[INDEX_MAX_KEYS];
	OmenRankSet sets[INDEX_MAX_KEYS];
	uint64		n_most;			/* so many entries pass, or fewer */
	uint64		n_expected;		/* by the product of the shares */
} OmenSegmentFilter;

extern void omen_segment_filter_open(OmenSegmentFilter *segment_filter, OmenFilter *filter, Relation index,
									 const OmenMeta *meta, const OmenSegment *segment,
									 const OmenResident *resident);
extern void omen_segment_filter_release(OmenSegmentFilter *segment_filter);

/* Does a TID entry pass? */
extern bool omen_segment_filter_passes(OmenSegmentFilter *segment_filter, uint32 entry);

/* All entries that pass, ascending, palloc'd; returns how many. */
extern uint32 omen_segment_filter_list(OmenSegmentFilter *segment_filter, uint32 **entries);

#endif							/* OMEN_FILTER_H */
