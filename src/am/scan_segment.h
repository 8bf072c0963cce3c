/*-------------------------------------------------------------------------
 *
 * scan_segment.h
 *	  One sealed segment as a scan sees it: nodes in pages, found by search.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_SEGMENT_H
#define OMEN_SCAN_SEGMENT_H

#include "src/am/am.h"
#include "src/am/candidate_pool.h"
#include "src/graph/graph_search.h"
#include "src/graph/graph_calibrate.h"
#include "src/storage/blob.h"
#include "src/storage/resident.h"

/* Beams beyond this would only cost memory: a round gives at most so many. */
#define OMEN_MAX_ROUND 65536

typedef struct OmenScanSegment
{
	OmenNodeSource source;		/* first member: the search hands it back */
	const OmenSegment *segment;
	const OmenCodec *codec;
	const OmenQuery *query;		/* NULL: no distances, any order */
	const OmenResident *resident;	/* NULL: read pages */
	OmenReader *reader;
	OmenReader *bytes_reader;	/* of BYTES, so that a reference and what it names are pinned together */
	MemoryContext context;
	OmenColumnView codes;
	OmenColumnView nodes;
	OmenColumnView tids;
	OmenColumnView dead;
	OmenColumnView centres;
	OmenColumnView samples;
	OmenColumnView bytes;
	OmenColumnView terms;

	uint32		upcoming;		/* node whose links the search asked for last */
	OmenSearch *search;
	OmenRecallCurve curve;
	uint32		class_ef[OMEN_CURVE_CLASSES];	/* beams of the first round, by class of query */
	uint32		ef;				/* of the round; 0 before the first */
	bool		begun;
	bool		exhaustive;		/* all that is left is in the pool */
	OmenPool	pool;
	uint32	   *returned;		/* nodes that searches have returned */
	uint32		n_returned;
	uint32		returned_capacity;
} OmenScanSegment;

extern void omen_scan_segment_open(OmenScanSegment *scan, Relation index, const OmenMeta *meta,
								   const OmenSegment *segment, const OmenCodec *codec,
								   const OmenQuery *query, OmenReader *reader,
								   OmenReader *bytes_reader, OmenSearch *search);

/*
 * The next candidates, nearest first as far as the search knows: about
 * scan->ef of them, which is as many as the settings say in the first round and
 * at least twice as many in each one after it.  bound is the key of the worst candidate that other segments have
 * already bettered, INFINITY for none; returns the number.  Up to *horizon, a
 * key, the segment has now given what it has: INFINITY at the end.
 */
extern int	omen_scan_segment_next(OmenScanSegment *scan, float bound,
								   const OmenCandidate **candidates, float *horizon);

/* Lower bound of what the operator will say of a node. */
extern double omen_scan_segment_bound(OmenScanSegment *scan, uint32 node);

extern OmenTidEntry omen_scan_segment_tid(OmenScanSegment *scan, uint32 entry);
extern bool omen_scan_segment_is_dead(OmenScanSegment *scan, uint32 entry);

#endif							/* OMEN_SCAN_SEGMENT_H */
