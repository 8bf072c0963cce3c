/*-------------------------------------------------------------------------
 *
 * graph_calibrate.h
 *	  How wide a beam must be to find the nearest nodes, query by query.
 *
 * A graph knows what its searches find: while it is being linked, nodes that
 * are not in yet serve as queries, and the recall of their searches at a
 * ladder of beam widths makes its curve.
 *
 * Queries are not all alike, and those to come may be easier or harder than
 * the rows: where a query's neighbours are far, they are hard to tell apart.
 * So there is a curve for each of a few classes of queries, by the key of the
 * tenth nearest that a search with the least beam finds: every search begins
 * with that beam, sees to which class its query belongs, and is widened.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_CALIBRATE_H
#define OMEN_GRAPH_CALIBRATE_H

#include "src/graph/graph_search.h"
#include "src/graph/graph_team.h"

#define OMEN_CURVE_K 10			/* recall is measured at, and classes are told by this neighbour */
#define OMEN_CURVE_CLASSES 4
#define OMEN_CURVE_RUNGS 6

/*
 * Searches begin so wide, and what they find tells the class.  No beam is
 * narrower: a scan's round gives out three quarters of its candidates, and the
 * executor fetches a few more than the ten rows that most queries want before
 * it is sure of their order.
 */
#define OMEN_CURVE_LEAST_EF 24

#define OMEN_CURVE_MAX_EF 2048	/* wider beams are not proposed */

/*
 * The form is that of the file: see OmenSegment.  A value v stands for a
 * recall of 1 - 2 ^ (-v / 16), so that what was not measured is 0.
 */
typedef struct OmenRecallCurve
{
	float		limits[OMEN_CURVE_CLASSES - 1]; /* greatest key of each class but the last */
	uint8		recall[OMEN_CURVE_CLASSES][OMEN_CURVE_RUNGS];	/* at omen_curve_rungs[] */
} OmenRecallCurve;

extern const uint32 omen_curve_rungs[OMEN_CURVE_RUNGS];

/* Was it measured?  Graphs of few nodes are not. */
extern bool omen_curve_is_known(const OmenRecallCurve *curve);

/* Could it have been measured: neither less recall in a wider beam, nor limits out of order? */
extern bool omen_curve_is_sane(const OmenRecallCurve *curve);

/* The class of a query, by the key of number OMEN_CURVE_K of what the least beam has found. */
extern int	omen_curve_class(const OmenRecallCurve *curve, float key);

/* Recall of a class to be expected with a beam; the beam that a recall needs. */
extern double omen_curve_recall(const OmenRecallCurve *curve, int class, uint32 ef);
extern uint32 omen_curve_ef(const OmenRecallCurve *curve, int class, double recall);

/*
 * The beams that a recall needs, on the average of queries like the rows, of
 * which each class has as many; none below OMEN_CURVE_LEAST_EF.  Returns the
 * recall to be expected of such queries.
 */
extern double omen_curve_choose(const OmenRecallCurve *curve, double recall,
								uint32 ef[OMEN_CURVE_CLASSES]);

struct OmenRecords;
struct OmenRouting;

/* A graph that lacks some nodes, which serve as queries. */
typedef struct OmenCalibration
{
	const struct OmenRecords *records;
	const struct OmenRouting *routing;
	const uint32 *links;
	uint32		max_links;
	const uint64 *inserted;		/* one bit per node */
	const uint32 *queries;		/* the nodes that are not */
	uint32		n_queries;
} OmenCalibration;

/*
 * How many nodes to keep back as queries of n, of which so many are new: 0 if
 * there are too few for it.
 */
extern uint32 omen_calibrate_queries(uint32 n, uint32 n_new);

/* Collective; all members get the curve. */
extern void omen_calibrate(const OmenTeam *team, const OmenCalibration *calibration,
						   OmenRecallCurve *curve);

#endif							/* OMEN_GRAPH_CALIBRATE_H */
