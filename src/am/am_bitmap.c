/*-------------------------------------------------------------------------
 *
 * am_bitmap.c
 *	  Searches among the rows that other indexes have found.
 *
 * WHERE tsv @@ 'x' ORDER BY v <-> q: a GIN index knows which rows match, ours
 * which are near.  PostgreSQL alone uses one of them: it sorts what the former
 * finds, or filters what the latter gives.  Here the bitmap of the one, of
 * any access method, ANDed and ORed as the planner does it, becomes a filter of
 * the other: the search knows beforehand which rows count.
 *
 * The plan is a custom scan with two children: an index scan of ours, as it
 * would be without, and what makes the bitmap.  The former keeps all conditions
 * of the query as its own filter.  So what a bitmap has forgotten (lossy pages)
 * or does not know (operators that need a recheck), rows locked for update, and
 * the rechecks of EvalPlanQual are the index scan's usual business; the bitmap
 * only spares it rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_bitmap.h"

#include "access/genam.h"
#include "access/relscan.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "optimizer/cost.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/memutils.h"

static bool enable_bitmap_filter = true;
static set_rel_pathlist_hook_type next_hook = NULL;

/* ---- planning ---- */

static Plan *plan_bitmap_filter(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
								List *clauses, List *children);

static const CustomPathMethods path_methods = {
	.CustomName = "OmenBitmapFilter",
	.PlanCustomPath = plan_bitmap_filter
};

/* A copy of a relation that knows nothing but its indexes that make bitmaps. */
static RelOptInfo *
copy_for_bitmaps(const RelOptInfo *rel)
{
	RelOptInfo *copy = makeNode(RelOptInfo);
	ListCell   *cell;

	*copy = *rel;
	copy->pathlist = copy->partial_pathlist = copy->ppilist = NIL;
	copy->cheapest_startup_path = copy->cheapest_total_path = NULL;
	copy->joininfo = NIL;
	copy->has_eclass_joins = false;
	copy->consider_parallel = false;
	copy->indexlist = NIL;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);
		IndexOptInfo *only_bitmaps;

		if (!index->amhasgetbitmap)
			continue;
		only_bitmaps = makeNode(IndexOptInfo);
		*only_bitmaps = *index;
		only_bitmaps->amhasgettuple = false;
		copy->indexlist = lappend(copy->indexlist, only_bitmaps);
	}
	return copy;
}

/*
 * The best bitmap of the rows that a relation's conditions select; NULL if no
 * index makes one.  The planner has looked for it before, but may have dropped
 * it, because to read all its rows from the table would cost too much.
 */
static Path *
find_bitmap(PlannerInfo *root, RelOptInfo *rel)
{
	RelOptInfo *copy = copy_for_bitmaps(rel);

	create_index_paths(root, copy);
	if (copy->pathlist == NIL)
		return NULL;
	return castNode(BitmapHeapPath, linitial(copy->pathlist))->bitmapqual;
}

static Path *
make_path(PlannerInfo *root, RelOptInfo *rel, IndexPath *search, Path *bitmap)
{
	CustomPath *path = makeNode(CustomPath);
	Path	   *made = &path->path;
	Cost		bitmap_cost;
	Cost		startup;
	Cost		run;
	Selectivity share;
	Path	   *bitmap_child = (Path *) create_bitmap_heap_path(root, rel, bitmap, NULL, 1.0, 0);

	cost_bitmap_tree_node(bitmap, &bitmap_cost, &share);
	*made = search->path;
	made->type = T_CustomPath;
	made->pathtype = T_CustomScan;
	made->parallel_aware = false;
	made->parallel_safe = search->path.parallel_safe && bitmap_child->parallel_safe;
	made->parallel_workers = 0;
	omen_am_bitmap_cost(root, search, share, &startup, &run);
	made->startup_cost = bitmap_cost + startup;
	/* what the search costs besides the index: rows that leave it, in the table */
	made->total_cost = made->startup_cost + run + share * (search->path.total_cost - search->indextotalcost);
	path->custom_paths = list_make2(search, bitmap_child);
	path->methods = &path_methods;
	return made;
}

/* Hook: for each scan in the order of a distance, one that looks among the rows of a bitmap. */
static void
add_bitmap_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List	   *searches = NIL;
	Path	   *bitmap;
	ListCell   *cell;

	if (next_hook)
		next_hook(root, rel, rti, rte);
	if (!enable_bitmap_filter || !enable_indexscan || !enable_bitmapscan || rel->baserestrictinfo == NIL)
		return;
	foreach(cell, rel->pathlist)
	{
		IndexPath  *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexorderbys != NIL && path->path.param_info == NULL &&
			omen_am_is_index(path->indexinfo))
			searches = lappend(searches, path);
	}
	if (searches == NIL)
		return;
	bitmap = find_bitmap(root, rel);
	if (bitmap == NULL)
		return;
	foreach(cell, searches)
		add_path(rel, make_path(root, rel, lfirst(cell), bitmap));
}

/* A child's plan without a Result that tests conditions without variables: ours has one. */
static Plan *
without_gate(Plan *plan)
{
	while (IsA(plan, Result))
		plan = outerPlan(plan);
	return plan;
}

static const CustomScanMethods scan_methods;

static Plan *
plan_bitmap_filter(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
				   List *clauses, List *children)
{
	CustomScan *scan = makeNode(CustomScan);
	IndexScan  *search = castNode(IndexScan, without_gate(linitial(children)));
	BitmapHeapScan *rows = castNode(BitmapHeapScan, without_gate(lsecond(children)));

	scan->scan.plan.targetlist = copyObject(search->scan.plan.targetlist);
	scan->scan.scanrelid = rel->relid;
	scan->custom_plans = list_make2(search, outerPlan(rows));
	scan->methods = &scan_methods;
	return &scan->scan.plan;
}

/* ---- execution ---- */

typedef struct BitmapFilterState
{
	CustomScanState custom;		/* first member */
	IndexScanState *search;
	PlanState  *bitmap;
	MemoryContext context;		/* of the set of rows */
	bool		restricted;		/* the search knows the rows */
} BitmapFilterState;

static void begin_filter(CustomScanState *node, EState *estate, int eflags);
static TupleTableSlot *next_row(CustomScanState *node);
static void end_filter(CustomScanState *node);
static void rescan_filter(CustomScanState *node);

static const CustomExecMethods exec_methods = {
	.CustomName = "OmenBitmapFilter",
	.BeginCustomScan = begin_filter,
	.ExecCustomScan = next_row,
	.EndCustomScan = end_filter,
	.ReScanCustomScan = rescan_filter
};

static Node *
create_state(CustomScan *scan)
{
	BitmapFilterState *state = palloc0(sizeof(BitmapFilterState));

	NodeSetTag(state, T_CustomScanState);
	state->custom.methods = &exec_methods;
	return (Node *) state;
}

static const CustomScanMethods scan_methods = {
	.CustomName = "OmenBitmapFilter",
	.CreateCustomScanState = create_state
};

/*
 * The rows are those of the search, in its slots: whoever asks this node for
 * the kind of its slots, or (WHERE CURRENT OF) for the row it is at, is told so.
 */
static void
begin_filter(CustomScanState *node, EState *estate, int eflags)
{
	BitmapFilterState *state = (BitmapFilterState *) node;
	CustomScan *scan = castNode(CustomScan, node->ss.ps.plan);
	PlanState  *search = ExecInitNode(linitial(scan->custom_plans), estate, eflags);

	state->search = castNode(IndexScanState, search);
	state->bitmap = ExecInitNode(lsecond(scan->custom_plans), estate, eflags);
	state->context = AllocSetContextCreate(CurrentMemoryContext, "omenvec bitmap filter",
										   ALLOCSET_DEFAULT_SIZES);
	node->custom_ps = list_make2(search, state->bitmap);
	node->ss.ss_ScanTupleSlot = state->search->ss.ss_ScanTupleSlot;
	node->ss.ps.resultops = ExecGetResultSlotOps(search, &node->ss.ps.resultopsfixed);
	node->ss.ps.resultopsset = true;
}

/* Begin the scan of the index, unless that has been done, as the index scan itself would. */
static IndexScanDesc
begin_search(IndexScanState *search)
{
	if (search->iss_ScanDesc != NULL)
		return search->iss_ScanDesc;
	search->iss_ScanDesc = index_beginscan(search->ss.ss_currentRelation, search->iss_RelationDesc,
										   search->ss.ps.state->es_snapshot,
										   search->iss_NumScanKeys, search->iss_NumOrderByKeys);
	if (search->iss_NumRuntimeKeys == 0 || search->iss_RuntimeKeysReady)
		index_rescan(search->iss_ScanDesc, search->iss_ScanKeys, search->iss_NumScanKeys,
					 search->iss_OrderByKeys, search->iss_NumOrderByKeys);
	return search->iss_ScanDesc;
}

/* Make the bitmap, and tell the search to look among its rows. */
static void
restrict_search(BitmapFilterState *state)
{
	IndexScanDesc scan = begin_search(state->search);
	Node	   *result = MultiExecProcNode(state->bitmap);
	MemoryContext old_context = MemoryContextSwitchTo(state->context);
	OmenRowBitmap *rows;

	if (result == NULL || !IsA(result, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	rows = omen_row_bitmap_create((TIDBitmap *) result, RelationGetNumberOfBlocks(scan->heapRelation));
	MemoryContextSwitchTo(old_context);
	tbm_free((TIDBitmap *) result);
	omen_am_restrict(scan, rows);
	state->restricted = true;
}

static TupleTableSlot *
next_row(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;

	/* EvalPlanQual looks at one row, which the search has been given. */
	if (!state->restricted && node->ss.ps.state->es_epq_active == NULL)
		restrict_search(state);
	return ExecProcNode(&state->search->ss.ps);
}

static void
forget_rows(BitmapFilterState *state)
{
	if (state->restricted)
		omen_am_restrict(state->search->iss_ScanDesc, NULL);
	state->restricted = false;
	MemoryContextReset(state->context);
}

/* The set of rows is made anew only if what it depends on has changed. */
static void
rescan_filter(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;
	PlanState  *search = &state->search->ss.ps;

	if (node->ss.ps.chgParam != NULL)
	{
		UpdateChangedParamSet(search, node->ss.ps.chgParam);
		UpdateChangedParamSet(state->bitmap, node->ss.ps.chgParam);
	}
	if (state->bitmap->chgParam != NULL)
	{
		forget_rows(state);
		ExecReScan(state->bitmap);
	}
	ExecReScan(search);
}

static void
end_filter(CustomScanState *node)
{
	BitmapFilterState *state = (BitmapFilterState *) node;

	ExecEndNode(&state->search->ss.ps);
	ExecEndNode(state->bitmap);
	MemoryContextDelete(state->context);
}

/* Called once, from _PG_init(), after the hook of am_range.c is set: so it sees that one's paths. */
void
omen_bitmap_init(void)
{
	DefineCustomBoolVariable("omenhnsw.enable_bitmap_filter",
							 "Enables the planner to search among the rows that other indexes have found.",
							 "A search ordered by a distance then takes conditions that any index can answer "
							 "by a bitmap as its filter.",
							 &enable_bitmap_filter,
							 true,
							 PGC_USERSET, GUC_EXPLAIN, NULL, NULL, NULL);
	RegisterCustomScanMethods(&scan_methods);
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_bitmap_paths;
}
