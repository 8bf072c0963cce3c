/*-------------------------------------------------------------------------
 *
 * am_boolean.c
 *	  Conditions on boolean attributes.
 *
 * The planner writes "flag = true" as "flag", and before version 16 finds
 * these again for the indexes of its own operator families alone.  So we do
 * here what match_boolean_index_clause() in indxpath.c does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am_boolean.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

/* If a clause is true of one value of a column alone, tell the value and where the column stands. */
static Node *
operand_of(Node *clause, bool *value)
{
	*value = true;
	if (is_notclause(clause))
	{
		*value = false;
		return (Node *) get_notclausearg((Expr *) clause);
	}
	if (IsA(clause, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) clause;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return NULL;
		*value = test->booltesttype == IS_TRUE;
		return (Node *) test->arg;
	}
	return clause;
}

static IndexClause *
match_column(PlannerInfo *root, RestrictInfo *restriction, IndexOptInfo *index, int column)
{
	bool		value;
	Node	   *operand = operand_of((Node *) restriction->clause, &value);
	IndexClause *condition;
	Expr	   *clause;

	if (operand == NULL || !op_in_opfamily(BooleanEqualOperator, index->opfamily[column]) ||
		!match_index_to_operand(operand, column, index))
		return NULL;
	clause = make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) operand,
						   (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
	condition = makeNode(IndexClause);
	condition->rinfo = restriction;
	condition->indexquals = list_make1(make_simple_restrictinfo(root, clause));
	condition->lossy = false;
	condition->indexcol = column;
	return condition;
}

static bool
is_used(const IndexPath *path, const RestrictInfo *restriction)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
		if (lfirst_node(IndexClause, cell)->rinfo == restriction)
			return true;
	return false;
}

List *
omen_boolean_conditions(PlannerInfo *root, const IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		IndexClause *condition = NULL;

		if (restriction->pseudoconstant || is_used(path, restriction) ||
			!restriction_is_securely_promotable(restriction, index->rel))
			continue;
		for (int column = 1; column < index->nkeycolumns && condition == NULL; column++)
			condition = match_column(root, restriction, index, column);
		if (condition)
			conditions = lappend(conditions, condition);
	}
	return conditions;
}
