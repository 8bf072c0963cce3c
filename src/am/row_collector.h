/*-------------------------------------------------------------------------
 *
 * row_collector.h
 *	  Rows as they come, each member of a team its own; then all in order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ROW_COLLECTOR_H
#define OMEN_ROW_COLLECTOR_H

#include "src/am/build_team.h"
#include "src/quant/quant.h"

#include "storage/itemptr.h"

/* A segment has at most so many: node numbers have 31 bits, and records of TIDS that name them. */
#define OMEN_MAX_SEGMENT_ROWS (PG_INT32_MAX / 2)

/* What gathering takes for a row, besides two copies of it. */
#define OMEN_GATHER_ROW_BYTES 32

typedef struct OmenTidList
{
	ItemPointerData *tids;
	uint32		n;
	uint32		capacity;
} OmenTidList;

/* Rows with a code, collected; chunk_rows of them. */
typedef struct OmenRowChunk
{
	char	   *factors;
	uint8	   *codes;
	char	   *refines;		/* finer codes, if the codec has them; so below */
	ItemPointerData *tids;
} OmenRowChunk;

/* When a segment has enough: all of these are reached, or max_rows. */
typedef struct OmenSegmentLimit
{
	size_t		row_bytes;		/* what a row counts, besides a code of variable length */
	size_t		max_bytes;
	uint32		min_rows;
	BlockNumber min_last_block; /* heap page of the last row */
	uint32		max_rows;
} OmenSegmentLimit;

/* What is compared with it: rows with a code. */
typedef struct OmenRowTotals
{
	uint64		n;
	uint64		n_bytes;
	BlockNumber last_block;		/* of the heap, of any row; if n > 0 */
} OmenRowTotals;

typedef struct OmenRowCollector
{
	const OmenCodec *codec;
	OmenSegmentLimit limit;
	MemoryContext context;		/* of everything below */

	OmenRowTotals totals;
	uint32		chunk_rows;
	OmenRowChunk *chunks;
	uint32		n_chunks;
	uint32		max_chunks;
	char	   *piece;			/* where the next code of variable length goes */
	size_t		piece_left;

	/* rows without */
	OmenTidList nulls;
	OmenTidList undirected;
} OmenRowCollector;

/* The rows of all members, in the order of their TIDs. */
typedef struct OmenRowSet
{
	uint32		n;
	size_t		n_bytes;		/* as the limit counts */
	bool		more;			/* there will be another segment */
	BlockNumber last_block;		/* if there is: heap page with which this one ends */
	bool		empty;

	/* shared, but for codes of variable length: pointers into bytes */
	char	   *factors;
	uint8	   *codes;
	char	   *refines;
	ItemPointerData *tids;
	char	   *bytes;

	/* the leader's */
	OmenTidList nulls;
	OmenTidList undirected;
} OmenRowSet;

extern void omen_collector_init(OmenRowCollector *collector, const OmenCodec *codec,
								const OmenSegmentLimit *limit);
extern void omen_collector_add(OmenRowCollector *collector, ItemPointer tid, const void *factors,
							   const uint8 *code, uint32 n_code_bytes, const char *refine);
extern void omen_collector_add_null(OmenRowCollector *collector, ItemPointer tid);
extern void omen_collector_add_undirected(OmenRowCollector *collector, ItemPointer tid);
extern void omen_collector_reset(OmenRowCollector *collector);
extern bool omen_collector_gather(OmenRowCollector *collector, OmenBuildTeam *team, bool more,
								  OmenRowSet *rows);
extern void omen_row_set_make_room(OmenBuildTeam *team, const OmenCodec *codec, OmenRowSet *rows, uint32 n);
extern void omen_row_set_release(OmenBuildTeam *team, OmenRowSet *rows);

/* All rows, with a code and without. */
static inline double
omen_collector_n_rows(const OmenRowCollector *collector)
{
	return (double) collector->totals.n + collector->nulls.n + collector->undirected.n;
}

static inline bool
omen_limit_reached(const OmenSegmentLimit *limit, const OmenRowTotals *totals)
{
	return totals->n >= limit->max_rows ||
		(totals->n >= limit->min_rows && totals->n_bytes >= limit->max_bytes &&
		 totals->n > 0 && totals->last_block >= limit->min_last_block);
}

/* Totals of two sets of rows. */
static inline void
omen_totals_add(OmenRowTotals *totals, const OmenRowTotals *more)
{
	if (more->n > 0)
		totals->last_block = totals->n > 0 ? Max(totals->last_block, more->last_block) : more->last_block;
	totals->n += more->n;
	totals->n_bytes += more->n_bytes;
}

#endif							/* OMEN_ROW_COLLECTOR_H */
