/*-------------------------------------------------------------------------
 *
 * am_cost.c
 *	  What a scan costs, for the planner.
 *
 * A search is all paid before the first row (startup), and each row fetched
 * costs a visit of the heap in random order.  The model counts what the scan
 * does: distances computed and pages looked at, for each segment and the tail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/graph/graph_search.h"
#include "src/storage/column.h"
#include "src/storage/metapage.h"

#include <math.h>

#include "access/genam.h"
#include "access/table.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/* Distances that a beam of ef computes in a graph of n nodes: about m * ef, more in larger ones. */
static double
graph_distances(double n, double ef, double m)
{
	return Min(n, ef * m * 0.75 + m * log2(n + 1) + 2 * sqrt(n));
}

/* Distances and pages of a whole first round. */
static void
estimate_round(const OmenMeta *meta, double *distances, double *pages)
{
	OmenColumnShape codes;

	omen_column_shape(meta, OMEN_COLUMN_CODES, &codes);
	*distances = 0;
	*pages = 1;
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];

		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			continue;
		if (segment->kind == OMEN_SEGMENT_TAIL)
		{
			*distances += (double) segment->n_blocks * OMEN_PAGE_CAPACITY /
				(meta->factor_bytes + meta->code_bytes);
			*pages += segment->n_blocks;
		}
		else
		{
			double		n = graph_distances(segment->n_nodes, omen_am_ef_search, meta->m);

			*distances += n;
			/* by locality a third of them lie on pages seen before */
			*pages += Min(n * 2 / 3 * codes.pages_per_record, segment->n_blocks);
		}
	}
}

void
omen_am_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *indexStartupCost, Cost *indexTotalCost,
					 Selectivity *indexSelectivity, double *indexCorrelation,
					 double *indexPages)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	double		distances;
	double		pages;
	double		spc_random_page_cost;

	/* Without ORDER BY there is nothing that this index could do better. */
	if (path->indexorderbys == NIL)
	{
		*indexStartupCost = get_float8_infinity();
		*indexTotalCost = get_float8_infinity();
		*indexSelectivity = 0;
		*indexCorrelation = 0;
		*indexPages = 0;
		return;
	}

	if (path->indexinfo->hypothetical)
		memset(meta, 0, sizeof(OmenMeta));
	else
	{
		Relation	index = index_open(path->indexinfo->indexoid, NoLock);

		omen_meta_read(index, meta);
		index_close(index, NoLock);
	}
	estimate_round(meta, &distances, &pages);
	get_tablespace_page_costs(path->indexinfo->reltablespace, &spc_random_page_cost, NULL);

	/*
	 * A distance is a few dozen instructions, less than an operator's call;
	 * the pages of an index in use are mostly cached, as the planner assumes
	 * for upper tree pages.
	 */
	*indexStartupCost = distances * cpu_operator_cost +
		pages * Min(spc_random_page_cost, 1.0) * 0.05;
	*indexTotalCost = *indexStartupCost + path->indexinfo->tuples * cpu_index_tuple_cost +
		path->indexinfo->pages * 0.05;
	/* a partial index has but a share of the rows */
	*indexSelectivity = path->indexinfo->rel->tuples > 0 ?
		Min(1.0, path->indexinfo->tuples / path->indexinfo->rel->tuples) : 1.0;
	*indexCorrelation = 0;
	*indexPages = path->indexinfo->pages;
	pfree(meta);
}
