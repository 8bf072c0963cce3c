/*-------------------------------------------------------------------------
 *
 * am_range.c
 *	  Searches that end at a distance.
 *
 * An index can end a search if a key tells it where, and keys come from
 * clauses "column operator value".  "v <<->> sphere(q, r)" is one; "v <-> q < r"
 * is not, and to the executor it is a filter: the scan would go on through the
 * whole table.  So where both that clause and ORDER BY v <-> q are there, a
 * planner hook adds a path with the sphere as a further condition.  The clause
 * itself stays a filter, for the sphere knows no "<", and the order stays what
 * makes an approximate search the user's choice: a clause alone never turns an
 * exact query into one.
 *
 * The hook is set when the library is loaded, which opening an index does, so
 * it is there before paths of that index are made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_conditions.h"
#include "src/am/am_range.h"
#include "src/types/sphere.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

/*
 * A search goes on beyond the radius by a share of its key: nodes there lead to
 * others that are within.  It makes recall near the radius as good as elsewhere
 * (docs/performance.md).  The inner product needs more: near in that sense are
 * long vectors, which need not be near to each other.
 */
#define KEY_MARGIN 0.04
#define IP_KEY_MARGIN 0.25

static set_rel_pathlist_hook_type next_hook = NULL;

/* ---- planning ---- */

/* The type on the right of an operator family's sphere operator, and the operator. */
static bool
find_sphere_operator(Oid family, Oid *operator, Oid *sphere_type)
{
	CatCList   *members = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(family));

	*operator = *sphere_type = InvalidOid;
	for (int i = 0; i < members->n_members; i++)
	{
		Form_pg_amop form = (Form_pg_amop) GETSTRUCT(&members->members[i]->tuple);

		if (form->amopstrategy == OMEN_SPHERE_STRATEGY && form->amoppurpose == AMOP_SEARCH)
		{
			*operator = form->amopopr;
			*sphere_type = form->amoprighttype;
		}
	}
	ReleaseCatCacheList(members);
	return OidIsValid(*operator);
}

/* Is an expression the distance that a scan orders by, its operands either way round? */
static bool
is_distance(const Node *node, const OpExpr *order)
{
	const OpExpr *expr = (const OpExpr *) node;
	bool		same;

	if (!IsA(node, OpExpr) || list_length(expr->args) != 2)
		return false;
	same = equal(linitial(expr->args), linitial(order->args)) &&
		equal(lsecond(expr->args), lsecond(order->args));
	if (same)
		return expr->opno == order->opno;
	return expr->opno == get_commutator(order->opno) &&
		equal(linitial(expr->args), lsecond(order->args)) &&
		equal(lsecond(expr->args), linitial(order->args));
}

/* Does "float8 operator type" say "less than (or equal)", or, commuted, "greater"? */
static bool
is_upper_limit(Oid operator, bool commuted)
{
	TypeCacheEntry *float8 = lookup_type_cache(FLOAT8OID, TYPECACHE_BTREE_OPFAMILY);
	int			strategy = get_op_opfamily_strategy(operator, float8->btree_opf);

	return commuted ?
		strategy == BTGreaterStrategyNumber || strategy == BTGreaterEqualStrategyNumber :
		strategy == BTLessStrategyNumber || strategy == BTLessEqualStrategyNumber;
}

/*
 * The radius that a clause "distance < radius" (or <=, or the other way round)
 * sets, as double precision; NULL if the clause is another one.
 */
static Expr *
clause_radius(const Node *clause, const OpExpr *order)
{
	const OpExpr *comparison = (const OpExpr *) clause;
	Node	   *radius;
	bool		commuted;

	if (!IsA(clause, OpExpr) || list_length(comparison->args) != 2)
		return NULL;
	commuted = !is_distance(linitial(comparison->args), order);
	if (commuted && !is_distance(lsecond(comparison->args), order))
		return NULL;
	if (!is_upper_limit(comparison->opno, commuted))
		return NULL;

	radius = commuted ? linitial(comparison->args) : lsecond(comparison->args);
	if (contain_var_clause(radius) || contain_volatile_functions(radius) || contain_subplans(radius))
		return NULL;
	if (exprType(radius) == FLOAT8OID)
		return (Expr *) radius;
	if (exprType(radius) != FLOAT4OID)
		return NULL;
	return (Expr *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID, list_make1(radius),
								 InvalidOid, InvalidOid, COERCE_IMPLICIT_CAST);
}

/* The clause "column operator (center, radius)". */
static Expr *
make_sphere_clause(PlannerInfo *root, Oid operator, Oid sphere_type, const OpExpr *order, Expr *radius)
{
	RowExpr    *sphere = makeNode(RowExpr);

	sphere->args = list_make2(lsecond(order->args), eval_const_expressions(root, (Node *) radius));
	sphere->row_typeid = sphere_type;
	sphere->row_format = COERCE_EXPLICIT_CAST;
	sphere->location = -1;
	return make_opclause(operator, BOOLOID, false, linitial(order->args), (Expr *) sphere,
						 InvalidOid, InvalidOid);
}

/* Index conditions that a path's restriction clauses allow. */
static List *
sphere_conditions(PlannerInfo *root, const IndexPath *path)
{
	const IndexOptInfo *index = path->indexinfo;
	const OpExpr *order = linitial(path->indexorderbys);
	List	   *conditions = NIL;
	Oid			operator;
	Oid			sphere_type;
	ListCell   *cell;

	if (index->indrestrictinfo == NIL ||
		exprType(lsecond(order->args)) != index->opcintype[0] ||
		!find_sphere_operator(index->opfamily[0], &operator, &sphere_type))
		return NIL;
	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *restriction = lfirst(cell);
		Expr	   *radius = clause_radius((Node *) restriction->clause, order);
		Expr	   *clause;
		IndexClause *condition;

		if (radius == NULL || !restriction_is_securely_promotable(restriction, index->rel))
			continue;
		clause = make_sphere_clause(root, operator, sphere_type, order, radius);
		condition = makeNode(IndexClause);
		condition->rinfo = restriction;
		condition->indexquals = list_make1(make_simple_restrictinfo(root, clause));
		condition->lossy = true;	/* keep the clause as a filter */
		conditions = lappend(conditions, condition);
	}
	return conditions;
}

/* The same scan with further conditions. */
static Path *
copy_with_conditions(PlannerInfo *root, const IndexPath *path, List *conditions)
{
	IndexPath  *copy = makeNode(IndexPath);

	*copy = *path;
	copy->indexclauses = list_concat_copy(path->indexclauses, conditions);
	cost_index(copy, root, 1.0, false);
	return (Path *) copy;
}

/* Hook: for each scan in the order of a distance, one with the conditions that the planner missed. */
static void
add_range_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List	   *paths = NIL;
	ListCell   *cell;

	if (next_hook)
		next_hook(root, rel, rti, rte);
	foreach(cell, rel->pathlist)
	{
		IndexPath  *path = lfirst(cell);
		List	   *conditions;

		if (!IsA(path, IndexPath) || path->indexorderbys == NIL || path->path.param_info != NULL ||
			!omen_am_is_index(path->indexinfo))
			continue;
		conditions = list_concat(sphere_conditions(root, path), omen_missed_conditions(root, path));
		if (conditions != NIL)
			paths = lappend(paths, copy_with_conditions(root, path, conditions));
	}
	foreach(cell, paths)
		add_path(rel, lfirst(cell));
}

/* Called once, from _PG_init(). */
void
omen_range_init(void)
{
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_range_paths;
}

/* ---- scanning ---- */

/* Are two values of a vector type the same, byte by byte? */
static bool
same_value(Datum a, Datum b)
{
	struct varlena *left = PG_DETOAST_DATUM(a);
	struct varlena *right = PG_DETOAST_DATUM(b);

	return VARSIZE(left) == VARSIZE(right) &&
		memcmp(left, right, VARSIZE(left)) == 0;
}

/* Is a key a condition on spheres?  Of one of several, only the executor knows what it says. */
static bool
is_sphere_key(const ScanKeyData *key)
{
	return key->sk_attno == 1 && (key->sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL)) == 0;
}

/* The centre of a scan's first sphere: the query of a scan without ORDER BY. */
bool
omen_range_center(IndexScanDesc scan, Datum *center)
{
	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		const ScanKeyData *key = &scan->keyData[i];
		double		radius;

		if (is_sphere_key(key) && (key->sk_flags & (SK_ISNULL | SK_SEARCHARRAY)) == 0)
			return omen_sphere_read(key->sk_argument, center, &radius);
	}
	return false;
}

/*
 * What the keys of a scan mean: a sphere around the query ends it.  One around
 * another centre says nothing of the end; the executor rechecks it.
 */
OmenRange
omen_range_read(IndexScanDesc scan)
{
	OmenRange	range = {.limited = false, .empty = false, .recheck = false, .radius = INFINITY};
	bool		has_query;
	Datum		query;

	if (scan->numberOfOrderBys > 0)
	{
		query = scan->orderByData[0].sk_argument;
		has_query = (scan->orderByData[0].sk_flags & SK_ISNULL) == 0;
	}
	else
		has_query = omen_range_center(scan, &query);

	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		const ScanKeyData *key = &scan->keyData[i];
		Datum		center;
		double		radius;

		if (!is_sphere_key(key))
			continue;
		range.recheck = true;	/* a sphere is known by its bounds only */
		if ((key->sk_flags & (SK_ISNULL | SK_SEARCHARRAY)) == SK_SEARCHARRAY)
			continue;
		if ((key->sk_flags & SK_ISNULL) != 0 || !omen_sphere_read(key->sk_argument, &center, &radius))
			range.empty = true; /* the operator is strict */
		else if (has_query && !isnan(radius) && same_value(center, query))
		{
			range.limited = true;
			range.radius = Min(range.radius, radius);
		}
	}
	return range;
}

/* The distance that a key of the search stands for. */
double
omen_range_distance(float key, OmenMetric metric)
{
	return metric == OMEN_METRIC_L2 ? sqrt(Max(key, 0)) : key;
}

/*
 * The key up to which a search must look to find what is within the radius,
 * if distances by codes are up to slack too long.
 */
float
omen_range_key(const OmenRange *range, double slack, OmenMetric metric)
{
	double		distance = range->radius + slack;

	if (metric == OMEN_METRIC_L2)
		distance = distance > 0 ? distance * distance : 0;
	distance += (metric == OMEN_METRIC_IP ? IP_KEY_MARGIN : KEY_MARGIN) * fabs(distance);
	return distance > FLT_MAX ? INFINITY : (float) distance;
}
