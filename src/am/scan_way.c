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
 * number than the share of all: a search that finds too few makes the next
 * round go another way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment.h"

/* Comparing all codes of so small a segment costs no more than a search. */
#define EXHAUSTIVE_NODES 1024

/* From this share of the nodes on, a beam costs more than comparing all. */
#define EXHAUSTIVE_SHARE 8

/* In distances to nodes that are listed: of a plain search for each node of its beam, ... */
#define PLAIN_COST 15.0
/* ... of a walk for each node that passes, and for each other one that it looks through. */
#define WALK_COST 15.0
#define CROSS_COST 2.0

/* A walk keeps more than a search, since fewer ways lead to each node. */
#define WALK_BEAM 1.5

/* Nodes that a search keeps so that it finds ef that pass. */
double
omen_scan_beam(const OmenScanSegment *scan, OmenScanWay way, uint32 ef)
{
	if (way == OMEN_WAY_WALK)
		return ef * WALK_BEAM;
	return ef / Max(scan->share, 1e-9);
}

static OmenScanWay
choose_unfiltered(const OmenScanSegment *scan)
{
	uint32		n_nodes = scan->segment->n_nodes;

	if (scan->query != NULL && n_nodes > EXHAUSTIVE_NODES && scan->ef < n_nodes / EXHAUSTIVE_SHARE &&
		!scan->ways_failed[OMEN_WAY_PLAIN])
		return OMEN_WAY_PLAIN;
	return OMEN_WAY_EXACT;
}

OmenScanWay
omen_scan_choose_way(const OmenScanSegment *scan)
{
	uint32		ef = Max(scan->ef, scan->usual_ef);
	OmenScanWay way = OMEN_WAY_EXACT;
	double		least;
	double		cost;

	if (scan->filter == NULL)
		return choose_unfiltered(scan);
	if (scan->filter->n_most == 0)
		return OMEN_WAY_NONE;
	if (scan->query == NULL)
		return OMEN_WAY_EXACT;

	least = scan->filter->n_most;
	cost = omen_scan_beam(scan, OMEN_WAY_PLAIN, ef) * PLAIN_COST;
	if (cost < least && !scan->ways_failed[OMEN_WAY_PLAIN])
	{
		least = cost;
		way = OMEN_WAY_PLAIN;
	}
	cost = omen_scan_beam(scan, OMEN_WAY_WALK, ef) * (WALK_COST + CROSS_COST * (1 - scan->share) / Max(scan->share, 1e-9));
	if (cost < least && !scan->ways_failed[OMEN_WAY_WALK])
		way = OMEN_WAY_WALK;
	return way;
}
