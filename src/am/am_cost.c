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
 * Conditions on attributes make a round dearer (scan_way.c says by how much each
 * way to search), but only rows that fulfil them leave.
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
#include "src/am/scan_segment.h"
#include "src/graph/graph_build.h"
#include "src/storage/metapage.h"
#include "src/storage/tail.h"

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

/* A row of a tail whose attributes are tested; and the bytes that they take there, about. */
#define TEST_COST 8.0
#define ATTRIBUTES_BYTES 20
#define ATTRIBUTE_BYTES 12
/* Of those that finer codes are looked at for: rows that leave, and some that do not. */
#define REFINES_PER_ROW 1.5

/*
 * A TID looked up in a bitmap, charged twice what it takes: the other plan is a
 * sort of rows, whose pages the planner takes to be on disk while they mostly
 * are not.  A search among the rows found, as a share of what its distances
 * would cost one by one: most are listed, so that memory is asked for ahead.
 */
#define BITMAP_TID_COST 0.8
#define BITMAP_SEARCH_SHARE 0.5

/* Distances that a search computes for each candidate that it keeps, and at least. */
#define DISTANCES_PER_CANDIDATE 10.0
#define LEAST_CANDIDATES 16.0

/* Distances for each row that leaves after the first round, however few pass: then they are listed. */
#define MOST_DISTANCES_PER_ROW 40.0

/* Only so that there is no division by 0. */
#define LEAST_SHARE 1e-9

/* Distances of a search: the routing table's, then the graph's. */
static double
search_distances(const OmenSegment *segment, double ef)
{
	double		samples = segment->n_centres > 0 ?
		(double) OMEN_ROUTING_PROBES * segment->n_samples / segment->n_centres : 0;

	return Min(segment->n_nodes,
			   segment->n_centres + samples + Max(ef, LEAST_CANDIDATES) * DISTANCES_PER_CANDIDATE);
}

static double
refine_bytes(const OmenMeta *meta)
{
	return meta->refine_factor_bytes + meta->refine_code_bytes;
}

/* What the planner asks about. */
typedef struct Request
{
	const OmenMeta *meta;
	bool		has_query;
	double		share;			/* of the rows, that fulfils the conditions on attributes */
} Request;

/* The first round in a segment, in distances; *exact is set if there is nothing to do after it. */
static double
segment_cost(const Request *request, const OmenSegment *segment, bool *exact)
{
	double		ef = omen_am_segment_ef(segment);
	double		n_matching = segment->n_rows * request->share;
	double		searched;

	*exact = !request->has_query;
	if (!request->has_query)
		return 0;
	if (request->share == 1)
		return search_distances(segment, ef);
	searched = Min(omen_way_cost(OMEN_WAY_PLAIN, request->share, n_matching, ef),
				   omen_way_cost(OMEN_WAY_WALK, request->share, n_matching, ef));
	*exact = n_matching <= searched;
	return Min(n_matching, searched);
}

/* Rows of a tail: all are tested, those that pass are compared. */
static double
tail_cost(const Request *request, const OmenSegment *tail, double bytes)
{
	const OmenMeta *meta = request->meta;
	double		row_bytes = omen_tail_row_bytes(meta) +
		(meta->n_attributes > 0 ? ATTRIBUTES_BYTES + meta->n_attributes * ATTRIBUTE_BYTES : 0);
	double		n_rows = (double) tail->n_blocks * OMEN_PAGE_CAPACITY / row_bytes;
	double		distance = request->has_query ? NEXT_DISTANCE_COST + bytes / NEXT_BYTES_PER_COST : 0;

	return n_rows * ((request->share < 1 ? TEST_COST : 0) + request->share * distance);
}

/* A first round, in operator calls; *exact is set if there is nothing to search after it. */
static double
round_cost(const Request *request, bool *exact)
{
	const OmenMeta *meta = request->meta;
	double		bytes = Max(meta->factor_bytes + meta->code_bytes, 1);
	double		cost = 0;

	*exact = true;
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];
		bool		segment_exact;

		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			continue;
		if (segment->kind == OMEN_SEGMENT_TAIL)
			cost += tail_cost(request, segment, bytes);
		else
		{
			cost += segment_cost(request, segment, &segment_exact) * (DISTANCE_COST + bytes / BYTES_PER_COST);
			*exact &= segment_exact;
		}
	}
	return cost;
}

/* A row of those that come after, in operator calls. */
static double
row_cost(const Request *request, bool exact)
{
	double		bytes = request->meta->factor_bytes + request->meta->code_bytes;
	double		distances = exact ? 0 : Min(DISTANCES_PER_CANDIDATE / request->share, MOST_DISTANCES_PER_ROW);
	double		refining = request->meta->refine == OMEN_REFINE_NONE ? 0 :
		REFINES_PER_ROW * (DISTANCE_COST + refine_bytes(request->meta) / BYTES_PER_COST);

	return ROW_COST + distances * (DISTANCE_COST + bytes / BYTES_PER_COST) + refining;
}

/* The share of rows that fulfils the conditions on attributes; exactly 1 if there are none. */
static Selectivity
attribute_share(PlannerInfo *root, IndexPath *path)
{
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		IndexClause *clause = lfirst(cell);

		if (clause->indexcol > 0)
			conditions = list_concat(conditions, list_copy(clause->indexquals));
	}
	if (conditions == NIL)
		return 1;
	return Max(clauselist_selectivity(root, conditions, path->indexinfo->rel->relid, JOIN_INNER, NULL),
			   LEAST_SHARE);
}

/* Is there a distance to search by: an order, or a sphere? */
static bool
has_query(const IndexPath *path)
{
	ListCell   *cell;

	if (path->indexorderbys != NIL)
		return true;
	foreach(cell, path->indexclauses)
	{
		IndexClause *clause = lfirst(cell);

		if (clause->indexcol == 0 && !IsA(clause->rinfo->clause, NullTest))
			return true;
	}
	return false;
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

/* The metapage of an index that the planner knows. */
static void
read_meta(const IndexOptInfo *index, OmenMeta *meta)
{
	Relation	relation;

	meta->n_segments = 0;
	meta->factor_bytes = meta->code_bytes = 0;
	meta->refine = meta->refine_factor_bytes = meta->refine_code_bytes = 0;
	if (index->hypothetical)
		return;
	relation = index_open(index->indexoid, NoLock);
	omen_meta_read(relation, meta);
	index_close(relation, NoLock);
}

void
omen_am_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					 Cost *indexStartupCost, Cost *indexTotalCost,
					 Selectivity *indexSelectivity, double *indexCorrelation,
					 double *indexPages)
{
	IndexOptInfo *index = path->indexinfo;
	OmenMeta	meta;
	Request		request = {.meta = &meta};
	bool		exact;

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

	read_meta(index, &meta);
	*indexSelectivity = index_share(root, path);
	request.has_query = has_query(path);
	request.share = attribute_share(root, path);
	*indexStartupCost = round_cost(&request, &exact) * cpu_operator_cost;
	*indexTotalCost = *indexStartupCost +
		*indexSelectivity * index->rel->tuples *
		(row_cost(&request, exact) * cpu_operator_cost + cpu_index_tuple_cost);
}

/*
 * What the index's part of a search costs if it looks among the rows of a
 * bitmap only, a share of the table: before its first row, and after it.
 */
void
omen_am_bitmap_cost(PlannerInfo *root, IndexPath *path, Selectivity share, Cost *startup, Cost *run)
{
	double		n_rows = share * path->indexinfo->rel->tuples;
	OmenMeta	meta;
	Request		request = {.meta = &meta, .has_query = true};
	bool		exact;

	read_meta(path->indexinfo, &meta);
	request.share = Max(share * attribute_share(root, path), LEAST_SHARE);
	*startup = round_cost(&request, &exact) * BITMAP_SEARCH_SHARE;
	for (uint32 i = 0; i < meta.n_segments; i++)
		*startup += meta.segments[i].n_tid_entries * BITMAP_TID_COST;
	*startup *= cpu_operator_cost;
	*run = index_share(root, path) * n_rows * (row_cost(&request, exact) * cpu_operator_cost + cpu_index_tuple_cost);
}
