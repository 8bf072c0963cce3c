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
#include "src/filter/filter.h"
#include "src/graph/graph_search.h"
#include "src/graph/graph_build.h"
#include "src/graph/graph_calibrate.h"
#include "src/graph/graph_terms.h"
#include "src/storage/blob.h"
#include "src/storage/resident.h"

/* Beams beyond this would only cost memory: a round gives at most so many. */
#define OMEN_MAX_ROUND 65536

/* Starting points of a search: of the routing table, and by the query's terms. */
#define OMEN_SCAN_SEEDS (OMEN_ROUTING_PROBES * OMEN_ROUTING_SEEDS + OMEN_TERM_SEEDS)

/* How the candidates of a round are found. */
typedef enum OmenScanWay
{
	OMEN_WAY_NONE,				/* no row passes the filter */
	OMEN_WAY_EXACT,				/* all that pass are compared */
	OMEN_WAY_PLAIN,				/* a search; of what it finds, rows that pass */
	OMEN_WAY_WALK				/* a search among nodes that pass */
} OmenScanWay;

#define OMEN_N_WAYS 4

/*
 * Which nodes of a block of 64 pass.  Numbers are handed out by locality, so a
 * search asks for few blocks, and for each of them often.
 */
#define OMEN_PASS_SLOTS 4096

typedef struct OmenPassSlot
{
	uint32		block;			/* PG_UINT32_MAX: none */
	uint64		passing;
} OmenPassSlot;

typedef struct OmenScanSegment
{
	OmenNodeSource source;		/* first member: the search hands it back */
	const OmenSegment *segment;
	const OmenCodec *codec;
	const OmenQuery *query;		/* NULL: no distances, any order */
	const float *vector;		/* the same, if searches are to compare sketches; else NULL */
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
	OmenColumnView refines;
	OmenColumnView sketches;

	OmenSketch	sketch;			/* of kind NONE: searches compare codes */
	OmenSketchQuery *sketch_query;	/* made when the first search begins */
	double		oversampling;	/* candidates that a search keeps for each that is wanted */

	OmenSegmentFilter *filter;	/* NULL: all rows pass */
	OmenPassSlot *pass_slots;	/* by block number, where there is no copy; NULL: not needed yet */
	double		share;			/* of the nodes that pass */
	double		near_share;		/* the same near the query: of a sample, then of what plain searches find */
	OmenCandidate seeds[OMEN_SCAN_SEEDS];	/* where a search begins, if they are known */
	int			n_seeds;		/* 0: not yet */
	OmenScanWay way;			/* of the round */
	bool		ways_failed[OMEN_N_WAYS];	/* has nothing more to give */
	uint32		upcoming;		/* node whose links the search asked for last */
	OmenSearch *search;
	OmenScanWay search_way;		/* for which the search was begun */
	OmenRecallCurve curve;
	uint32		class_ef[OMEN_CURVE_CLASSES];	/* beams of the first round, by class of query */
	uint32		usual_ef;		/* mean of them */
	uint32		ef;				/* of the round; 0 before the first */
	bool		begun;
	bool		exhaustive;		/* all that is left is in the pool */
	uint64		n_distances;	/* computed by now */
	uint64	   *excluded;		/* nodes returned before the search was begun, or NULL */
	OmenCandidate *kept;		/* results of a search that pass, by their codes */
	uint32		kept_capacity;
	OmenPool	pool;
	uint32	   *returned;		/* nodes that searches have returned */
	uint32		n_returned;
	uint32		returned_capacity;
} OmenScanSegment;

/* ---- scan_way.c ---- */

/* From this share of the nodes on, a beam costs more than comparing all. */
#define OMEN_EXHAUSTIVE_SHARE 8

extern OmenScanWay omen_scan_choose_way(const OmenScanSegment *scan);

/* Could a search be the cheapest way, so that what passes near the query matters? */
extern bool omen_scan_may_search(const OmenScanSegment *scan);

/* Does hardly anything pass near the query, so that what does must be come to from elsewhere? */
extern bool omen_scan_is_afar(const OmenScanSegment *scan);
extern double omen_way_cost(OmenScanWay way, double share, double n_matching, double ef);
extern double omen_scan_beam(const OmenScanSegment *scan, OmenScanWay way, uint32 ef);

/* ---- scan_segment.c ---- */

extern void omen_scan_segment_open(OmenScanSegment *scan, Relation index, const OmenMeta *meta,
								   const OmenSegment *segment, const OmenCodec *codec,
								   const OmenQuery *query, const float *vector, OmenFilter *filter,
								   OmenReader *reader,
								   OmenReader *bytes_reader, OmenSearch *search);

/*
 * The next candidates, nearest first as far as the search knows: about
 * scan->ef of them, which is as many as the settings say in the first round and
 * at least twice as many in each one after it.  bound is the key of the worst
 * candidate that other segments have already bettered, INFINITY for none;
 * returns the number.  Up to *horizon, a key, the segment has now given what it
 * has: INFINITY at the end.
 */
extern int	omen_scan_segment_next(OmenScanSegment *scan, float bound,
								   const OmenCandidate **candidates, float *horizon);

/* ---- scan_source.c ---- */

/* Lower bound of what the operator will say of a node. */
extern double omen_scan_segment_bound(OmenScanSegment *scan, uint32 node);

/* The same by the finer code too, which the codec must have; and a hint that it will be asked for. */
extern double omen_scan_segment_refined_bound(OmenScanSegment *scan, uint32 node);
extern void omen_scan_segment_prefetch_refine(OmenScanSegment *scan, uint32 node);

extern OmenTidEntry omen_scan_segment_tid(OmenScanSegment *scan, uint32 entry);
extern bool omen_scan_segment_is_dead(OmenScanSegment *scan, uint32 entry);

/* Does a row pass the filter? */
extern bool omen_scan_segment_passes(OmenScanSegment *scan, uint32 entry);

#endif							/* OMEN_SCAN_SEGMENT_H */
