/*-------------------------------------------------------------------------
 *
 * am_cost.c
 *	  What a scan costs, for the planner.
 *
 * The first round of a search is paid before the first row (startup).  After
 * it, each row costs its share of a later round, its way through the scan, and
 * (added by the planner) a visit of the heap in random order.  So the cost is
 * linear in the rows that leave, which is how the planner reckons LIMIT and
 * the selectivity of filters: for k rows of which a share s passes, k / s leave.
 *
 * The model counts distances.  What one costs, fetching the code included, was
 * fitted to measurements where sequential scan and sort of the same table give
 * the scale; docs/performance.md has the figures.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_api.h"
#include "src/graph/graph_build.h"
#include "src/storage/metapage.h"

#include "access/genam.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"

/*
 * All in operator calls (cpu_operator_cost): a distance to a code that has to be
 * found in its page, and what its length adds; a distance to the next code of a
 * page; and a row's way from candidate to executor, with its bound and TID, and
 * through the executor's reorder queue.
 */
#define DISTANCE_COST 8.0
#define BYTES_PER_COST 40.0
#define NEXT_DISTANCE_COST 1.0
#define NEXT_BYTES_PER_COST 100.0
#define ROW_COST 120.0

/* Distances that a search computes for each candidate that it keeps, and at least. */
#define DISTANCES_PER_CANDIDATE 10.0
#define LEAST_CANDIDATES 16.0

/* Distances of a search: the routing table's, then the graph's. */
static double
search_distances(const OmenSegment *segment, double ef)
{
	double		samples = segment->n_centres > 0 ?
		(double) OMEN_ROUTING_PROBES * segment->n_samples / segment->n_centres : 0;

	return Min(segment->n_nodes,
			   segment->n_centres + samples + Max(ef, LEAST_CANDIDATES) * DISTANCES_PER_CANDIDATE);
}

/* A first round, in operator calls. */
static double
round_cost(const OmenMeta *meta)
{
	double		bytes = meta->factor_bytes + meta->code_bytes;
	double		distance = DISTANCE_COST + bytes / BYTES_PER_COST;
	double		next_distance = NEXT_DISTANCE_COST + bytes / NEXT_BYTES_PER_COST;
	double		cost = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];

		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			continue;
		if (segment->kind == OMEN_SEGMENT_TAIL)
			cost += (double) segment->n_blocks * OMEN_PAGE_CAPACITY / bytes * next_distance;
		else
			cost += search_distances(segment, omen_am_segment_ef(segment)) * distance;
	}
	return cost;
}

/* A row of those that come after, in operator calls. */
static double
row_cost(const OmenMeta *meta)
{
	double		bytes = meta->factor_bytes + meta->code_bytes;

	return ROW_COST + DISTANCES_PER_CANDIDATE * (DISTANCE_COST + bytes / BYTES_PER_COST);
}

/* The share of the table's rows that leave a scan to its end: those of a partial index, within a sphere. */
static Selectivity
index_share(PlannerInfo *root, IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *quals = get_quals_from_indexclauses(path->indexclauses);
	Selectivity share = clauselist_selectivity(root, quals, index->rel->relid, JOIN_INNER, NULL);

	if (index->rel->tuples > 0)
		share *= Min(1.0, index->tuples / index->rel->tuples);
	return share;
}

/* Is an index that the planner knows of this access method? */
bool
omen_am_is_index(const IndexOptInfo *index)
{
	return index->amcostestimate == (void (*) ()) omen_am_costestimate;
}

void
omen_am_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *indexStartupCost, Cost *indexTotalCost,
					 Selectivity *indexSelectivity, double *indexCorrelation,
					 double *indexPages)
{
	IndexOptInfo *index = path->indexinfo;
	OmenMeta	meta;
	Relation	relation;

	*indexCorrelation = 0;
	*indexPages = index->pages;
	/* Without a query there is nothing that this index could do better. */
	if (path->indexorderbys == NIL && path->indexclauses == NIL)
	{
		*indexStartupCost = get_float8_infinity();
		*indexTotalCost = get_float8_infinity();
		*indexSelectivity = 0;
		return;
	}

	meta.n_segments = 0;
	meta.factor_bytes = meta.code_bytes = 0;
	if (!index->hypothetical)
	{
		relation = index_open(index->indexoid, NoLock);
		omen_meta_read(relation, &meta);
		index_close(relation, NoLock);
	}
	*indexSelectivity = index_share(root, path);
	*indexStartupCost = round_cost(&meta) * cpu_operator_cost;
	*indexTotalCost = *indexStartupCost +
		*indexSelectivity * index->rel->tuples *
		(row_cost(&meta) * cpu_operator_cost + cpu_index_tuple_cost);
}
