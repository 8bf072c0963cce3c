/*-------------------------------------------------------------------------
 *
 * scan_way.c
 *	  How the candidates of a segment are found: listed, searched or walked to.
 *
 * Without a filter it is a search, but where it would compare a good part of
 * the nodes anyway.  With one, the dictionaries tell how many rows pass, and
 * there are three ways:
 *
 *	exact	compare all that pass.  Costs as many distances.
 *	plain	search as if there were no filter, with a beam so much wider that
 *			as many nodes in it pass as are wanted.
 *	walk	search among the nodes that pass only.  Costs no distances of others,
 *			but links of others are read and tested.
 *
 * The cheapest is taken, by the figures below (src/filter/README.md says how
 * they were measured).  How many pass near the query may be quite another
 * number than the share of all: a sample of nodes tells, and then what the search
 * finds, which goes on wider or another way if that is less.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment.h"

#include <math.h>

/* Comparing all codes of so small a segment costs no more than a search. */
#define EXHAUSTIVE_NODES 1024

/*
 * In distances to nodes that are listed: of a plain search for each node of its
 * beam, more in a beam so wide that its nodes are no longer near each other; of a
 * walk for each node of its beam, and for each that it looks through; of a walk
 * from afar for each node of its beam whatever the share.  Without a resident
 * copy a walk's tests cost as much as the rest of it.
 */
#define PLAIN_COST 12.0
#define PLAIN_WIDE_BEAM 2500.0
#define WALK_COST 33.0
#define CROSS_COST 4.0
#define AFAR_WALK_COST 160.0
#define WALK_BY_PAGES 2.0

/* A filter may pass the query's harder neighbours: somewhat more than the share says. */
#define PLAIN_BEAM 1.25

/* A walk keeps more than a search, since fewer ways lead to each node; ... */
#define WALK_BEAM 2.0
/* ... still more along a border; ... */
#define AFAR_WALK_BEAM 4.0
/* ... with a lesser share there are so few that it does not find what it should. */
#define LEAST_WALK_SHARE 0.025

/* Only so that there is no division by 0. */
#define LEAST_SHARE 1e-9

static double
beam_width(OmenScanWay way, double share, double ef)
{
	return way == OMEN_WAY_WALK ? ef * WALK_BEAM : ef * PLAIN_BEAM / Max(share, LEAST_SHARE);
}

/* The share of nodes that pass where a way leads. */
static double
share_on(const OmenScanSegment *scan, OmenScanWay way)
{
	return way == OMEN_WAY_PLAIN ? scan->near_share : scan->share;
}

/* If of the nodes near the query less than this part of the usual share passes, it is far from those that do. */
#define AFAR_SHARE 0.6

bool
omen_scan_is_afar(const OmenScanSegment *scan)
{
	return scan->near_share < scan->share * AFAR_SHARE;
}

/* Nodes that a search keeps so that it finds ef that pass. */
double
omen_scan_beam(const OmenScanSegment *scan, OmenScanWay way, uint32 ef)
{
	if (way == OMEN_WAY_WALK && omen_scan_is_afar(scan))
		return ef * AFAR_WALK_BEAM;
	return beam_width(way, share_on(scan, way), ef);
}

/*
 * What a round for ef candidates costs one way or the other, if a share of the
 * nodes passes, which are n_matching.  In distances to nodes that are listed.
 */
double
omen_way_cost(OmenScanWay way, double share, double n_matching, double ef)
{
	double		beam = beam_width(way, share, ef);

	switch (way)
	{
		case OMEN_WAY_NONE:
			return 0;
		case OMEN_WAY_EXACT:
			return n_matching;
		case OMEN_WAY_PLAIN:
			return beam * PLAIN_COST * (1 + beam / PLAIN_WIDE_BEAM);
		case OMEN_WAY_WALK:
			if (share < LEAST_WALK_SHARE)
				return INFINITY;
			return beam * (WALK_COST + CROSS_COST * (1 - share) / share);
	}
	return INFINITY;
}

bool
omen_scan_may_search(const OmenScanSegment *scan)
{
	return scan->filter && scan->query &&
		scan->filter->n_most > omen_way_cost(OMEN_WAY_PLAIN, 1, 0, scan->usual_ef);
}

static OmenScanWay
choose_unfiltered(const OmenScanSegment *scan)
{
	uint32		n_nodes = scan->segment->n_nodes;

	if (scan->query != NULL && n_nodes > EXHAUSTIVE_NODES && scan->ef < n_nodes / OMEN_EXHAUSTIVE_SHARE &&
		!scan->ways_failed[OMEN_WAY_PLAIN])
		return OMEN_WAY_PLAIN;
	return OMEN_WAY_EXACT;
}

/*
 * What passes is farther from the query than its neighbours are, so a walk's
 * queries are of the hardest class.
 */
static double
walk_cost(const OmenScanSegment *scan)
{
	double		ef = Max(scan->ef, scan->class_ef[OMEN_CURVE_CLASSES - 1]);
	double		cost = omen_way_cost(OMEN_WAY_WALK, scan->share, scan->filter->n_most, ef);

	if (omen_scan_is_afar(scan))
		cost = Max(cost, omen_scan_beam(scan, OMEN_WAY_WALK, ef) * AFAR_WALK_COST);
	return scan->resident ? cost : cost * WALK_BY_PAGES;
}

static double
way_cost(const OmenScanSegment *scan, OmenScanWay way)
{
	if (scan->ways_failed[way])
		return INFINITY;
	if (way == OMEN_WAY_WALK)
		return walk_cost(scan);
	return omen_way_cost(way, share_on(scan, way), scan->filter->n_most, Max(scan->ef, scan->usual_ef));
}

/* What the user wants, if that can be done. */
static OmenScanWay
chosen_way(const OmenScanSegment *scan)
{
	if (omen_am_filter_strategy == OMEN_FILTER_PLAIN && !scan->ways_failed[OMEN_WAY_PLAIN])
		return OMEN_WAY_PLAIN;
	if (omen_am_filter_strategy == OMEN_FILTER_WALK && !scan->ways_failed[OMEN_WAY_WALK])
		return OMEN_WAY_WALK;
	return OMEN_WAY_EXACT;
}

OmenScanWay
omen_scan_choose_way(const OmenScanSegment *scan)
{
	OmenScanWay way = OMEN_WAY_EXACT;

	if (scan->filter == NULL)
		return choose_unfiltered(scan);
	if (scan->filter->n_most == 0)
		return OMEN_WAY_NONE;
	if (scan->query == NULL)
		return OMEN_WAY_EXACT;
	if (omen_am_filter_strategy != OMEN_FILTER_AUTO)
		return chosen_way(scan);
	if (way_cost(scan, OMEN_WAY_PLAIN) < way_cost(scan, way))
		way = OMEN_WAY_PLAIN;
	if (way_cost(scan, OMEN_WAY_WALK) < way_cost(scan, way))
		way = OMEN_WAY_WALK;
	return way;
}
