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
 * ANDed; keys on the vector are left out.  NULL if there are none.  The keys
 * must live as long.
 */
extern OmenFilter *omen_filter_create(Relation index, const OmenAttributes *attributes,
									  ScanKey keys, int n_keys);

/* No row can pass: a condition compares with NULL, or contradicts another. */
extern bool omen_filter_is_empty(const OmenFilter *filter);

/*
 * Does a row with these attributes, packed, pass?  Errors if the bytes are
 * damaged, and those of the operators.
 */
extern bool omen_filter_passes(OmenFilter *filter, const char *packed, uint32 n_bytes);

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
	double		share;			/* of the entries, if the attributes are independent */
} OmenSegmentFilter;

extern void omen_segment_filter_open(OmenSegmentFilter *segment_filter, OmenFilter *filter, Relation index,
									 const OmenMeta *meta, const OmenSegment *segment,
									 const OmenResident *resident);
extern void omen_segment_filter_release(OmenSegmentFilter *segment_filter);

/* Does a TID entry pass? */
extern bool omen_segment_filter_passes(OmenSegmentFilter *segment_filter, uint32 entry);

/* Some of those nodes, at most n, from all over the segment; returns how many. */
extern uint32 omen_segment_filter_sample(OmenSegmentFilter *segment_filter, uint32 *nodes, uint32 n);

/* All nodes with an entry that passes, ascending, palloc'd; returns how many. */
extern uint32 omen_segment_filter_nodes(OmenSegmentFilter *segment_filter, uint32 **nodes);

#endif							/* OMEN_FILTER_H */
