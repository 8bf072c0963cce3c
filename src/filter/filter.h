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
#include "src/filter/segment_rows.h"

#include "access/skey.h"

/* ---- filter_conditions.c ---- */

typedef struct OmenFilter OmenFilter;

/*
 * The filter of a scan, in the current memory context: keys on attributes,
 * ANDed, and that a row be in a set, if that is not NULL; keys on the vector are
 * left out.  NULL if there are none.  The set must live as long, the keys
 * until there are others.
 */
extern OmenFilter *omen_filter_create(Relation index, const OmenAttributes *attributes,
									  const ScanKeyData *keys, int n_keys, const OmenRowBitmap *rows);

/* Would the same be made of these keys? */
extern bool omen_filter_is_of(const OmenFilter *filter, const ScanKeyData *keys, int n_keys);

/* No row can pass: a condition compares with NULL, or contradicts another. */
extern bool omen_filter_is_empty(const OmenFilter *filter);

/*
 * Does a row with this TID and these attributes, packed, pass?  Errors if the
 * bytes are damaged, and those of the operators.
 */
extern bool omen_filter_passes(OmenFilter *filter, BlockNumber block, OffsetNumber offset,
							   const char *packed, uint32 n_bytes);

/* ---- filter_segment.c ---- */

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

/* A set of ranks in the form that tests of single entries want. */
typedef struct OmenRankTest
{
	const void *ranks;			/* of all entries, in a resident copy */
	uint32		rank_bytes;
	uint32		from;			/* of the one range, ... */
	uint32		length;
	const uint8 *passing;		/* ... or for each rank whether it passes */
} OmenRankTest;

/* A filter turned into ranks of one segment; or, if it has a set of rows, into marks. */
typedef struct OmenSegmentFilter
{
	MemoryContext context;		/* of all of it */
	const OmenResident *resident;	/* NULL: it was made by pages */
	bool		has_marks;
	OmenSegmentRows rows;
	OmenAttributeReader reader;
	int			n_sets;			/* of attributes with a condition, fewest entries first */
	int			attributes[INDEX_MAX_KEYS];
	OmenRankSet sets[INDEX_MAX_KEYS];
	OmenRankTest *tests;		/* of each set; NULL unless there is a resident copy */
	uint64		n_most;			/* so many entries pass, or fewer */
	double		share;			/* of the entries, if the attributes are independent */
} OmenSegmentFilter;

/*
 * Turn a filter into ranks or marks of a segment of the directory.  It belongs to
 * the filter, and is the same at the next call, if the resident copy is.
 */
extern OmenSegmentFilter *omen_segment_filter_open(OmenFilter *filter, Relation index, const OmenMeta *meta,
												   const OmenSegment *segment, const OmenResident *resident);
extern void omen_segment_filter_release(OmenSegmentFilter *segment_filter);

/* Does a TID entry pass? */
extern bool omen_segment_filter_passes(OmenSegmentFilter *segment_filter, uint32 entry);

/*
 * Have tests made, if there is a resident copy.  Costs a byte for each distinct
 * value where a condition is no range, so it is for those who will test many.
 */
extern void omen_segment_filter_prepare_tests(OmenSegmentFilter *segment_filter);

/* The same as omen_segment_filter_passes(), by a test; the entry is known to be one. */
static inline bool
omen_rank_test(const OmenRankTest *test, uint32 entry)
{
	uint32		rank = omen_stored_rank(test->ranks, test->rank_bytes, entry) - test->from;

	return rank <= test->length && (test->passing == NULL || test->passing[rank]);
}

/* The same of n entries from the given one on, a multiple of 64, n <= 64: a bit for each. */
extern uint64 omen_segment_filter_passing(OmenSegmentFilter *segment_filter, uint32 entry, uint32 n);

/* Some of the nodes with an entry that passes, at most n, from all over the segment; returns how many. */
extern uint32 omen_segment_filter_sample(OmenSegmentFilter *segment_filter, uint32 *nodes, uint32 n);

/* All nodes with an entry that passes, ascending, palloc'd; returns how many. */
extern uint32 omen_segment_filter_nodes(OmenSegmentFilter *segment_filter, uint32 **nodes);

#endif							/* OMEN_FILTER_H */
