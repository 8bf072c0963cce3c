/*-------------------------------------------------------------------------
 *
 * scan_rounds.h
 *	  A scan's state, and the rounds that fill its heap of candidates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_ROUNDS_H
#define OMEN_SCAN_ROUNDS_H

#include "src/am/am.h"
#include "src/am/am_range.h"
#include "src/am/candidate_pool.h"
#include "src/am/scan_segment.h"
#include "src/am/scan_tail.h"

#include "access/relscan.h"

/* A candidate waiting to leave. */
typedef struct Waiting
{
	double		bound;
	float		key;
	uint32		source;			/* index into segments, then tails */
	uint32		node;			/* or row of the tail */
	OmenTidEntry entry;			/* kind UNRESOLVED: not read yet */
	bool		refined;		/* the bound is as tight as the index can tell */
} Waiting;

#define UNRESOLVED 0xFFFF

typedef enum OmenScanPhase
{
	PHASE_START,
	PHASE_STREAM,
	PHASE_UNDIRECTED,			/* distance NaN */
	PHASE_NULLS,				/* distance NULL */
	PHASE_END
} OmenScanPhase;

typedef struct OmenScan
{
	MemoryContext search_context;	/* survives rescans */
	MemoryContext scan_context; /* reset by rescan */
	MemoryContext filter_context;	/* of the filter alone */
	OmenHost	host;			/* for searches, in search_context */
	OmenMeta   *meta;			/* NULL before the first search */
	BlockNumber heap_blocks;	/* it cannot shrink while the scan has it open */
	OmenEncoder encoder;
	OmenQuery  *query;
	OmenValueClass query_class;
	OmenReader	reader;
	OmenReader	bytes_reader;
	OmenSearch *searches[OMEN_MAX_SEGMENTS];	/* made when first needed */

	OmenAttributes *attributes; /* NULL: the index has none */
	const OmenRowBitmap *rows;		/* those wanted; NULL: all */
	OmenFilter *filter;			/* NULL: all rows pass; it may survive rescans */
	bool		wants_vectors;	/* no condition that the vector be NULL */
	bool		wants_nulls;	/* no condition that it be not */

	OmenScanPhase	phase;
	bool		refines;		/* candidates have finer codes to be asked */
	OmenRange	range;
	double		slack;			/* greatest excess of a key's distance over the bound, within the radius */
	uint32		tail_ef;		/* candidates that each tail gives in the round */
	float		horizon;		/* candidates with greater keys wait for the next round */
	int			n_rounds;
	int64		n_returned;
	double		last_bound;		/* greatest that has left, for strict order */
	OmenScanSegment *segments;
	OmenPool   *parked;			/* of each segment: candidates beyond the bound of their round */
	int			n_segments;
	OmenScanTail *tails;
	int			n_tails;

	/* heap of candidates, least bound on top */
	Waiting    *waiting;
	uint32		n_waiting;
	uint32		waiting_capacity;

	/* a list of TIDs being returned */
	OmenScanSegment *list_segment;
	uint32		list_next;
	uint32		list_left;
	double		list_bound;

	/* PHASE_UNDIRECTED and PHASE_NULLS */
	int			source;
	uint32		source_position;
} OmenScan;

static inline void
omen_scan_release_readers(OmenScan *state)
{
	omen_reader_release(&state->reader);
	omen_reader_release(&state->bytes_reader);
}

/* Into the heap, and the first of it, which leaves before all others. */
extern void omen_scan_push(OmenScan *state, const Waiting *candidate);
extern Waiting omen_scan_pop(OmenScan *state);

/* Read the TID entry of a candidate, unless that has been done. */
extern void omen_scan_resolve(OmenScan *state, Waiting *waiting);

/*
 * Put more candidates into the heap and move the horizon: up to it, every
 * source has given what it has.  False if nothing is left.
 */
extern bool omen_scan_next_round(IndexScanDesc scan, OmenScan *state);

#endif							/* OMEN_SCAN_ROUNDS_H */
