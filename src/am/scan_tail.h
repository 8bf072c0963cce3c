/*-------------------------------------------------------------------------
 *
 * scan_tail.h
 *	  A tail as a scan sees it: every row compared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_TAIL_H
#define OMEN_SCAN_TAIL_H

#include "src/am/am.h"
#include "src/am/candidate_pool.h"
#include "src/am/segment_builder.h"
#include "src/filter/filter.h"
#include "src/storage/tail.h"

typedef struct OmenScanTail
{
	Relation	index;
	const OmenMeta *meta;
	const OmenSegment *segment;
	const OmenCodec *codec;
	const OmenQuery *query;		/* NULL: no distances, any order */
	OmenFilter *filter;			/* NULL: all rows pass */
	uint32		n_matching;		/* rows that pass */
	MemoryContext context;
	bool		read;
	float		limit;			/* rows with keys up to this have been put into the pool, */
	float		limit_before;	/* those up to this by an earlier pass; */
	uint32		n_beyond;		/* others there were */
	OmenPool	pool;			/* numbers are rows, counted by place */
	ItemPointerData *undirected;
	uint32		n_undirected;
	ItemPointerData *nulls;
	uint32		n_nulls;
	OmenTailReader reader;		/* last member: large, and initialised by each pass */
} OmenScanTail;

/* A row taken from the tail. */
typedef struct OmenTailCandidate
{
	double		bound;
	float		key;
	uint32		row;			/* number of the row */
	ItemPointerData tid;
} OmenTailCandidate;

extern void omen_scan_tail_open(OmenScanTail *scan, Relation index, const OmenMeta *meta,
								const OmenSegment *segment, const OmenCodec *codec,
								const OmenQuery *query, OmenFilter *filter);
extern void omen_scan_tail_read(OmenScanTail *scan);
extern int	omen_scan_tail_next(OmenScanTail *scan, uint32 ef, float bound,
								OmenTailCandidate **candidates, float *horizon);

/* Lower bound of a row by its finer code too, which the codec must have. */
extern double omen_scan_tail_refined_bound(OmenScanTail *scan, uint32 row);

#endif							/* OMEN_SCAN_TAIL_H */
