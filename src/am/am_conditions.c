/*-------------------------------------------------------------------------
 *
 * am_conditions.c
 *	  Conditions on attributes that the planner does not find by itself.
 *
 * Most conditions reach an index without our doing.  Two kinds do not:
 *
 * "attribute = ANY (array)", and IN: where a btree has such a condition on
 * another column than its first, rows no longer come in its order, so the
 * planner makes no ordered path of it.  Our order is another matter.
 *
 * "flag = true", which the planner writes as "flag", and before version 16
 * finds again for the indexes of its own operator families alone.
 *
 * Both are matched here as match_saopclause_to_indexcol() and
 * match_boolean_index_clause() in indxpath.c do it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am_conditions.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

static IndexClause *
make_condition(RestrictInfo *restriction, RestrictInfo *qual, int column)
{
	IndexClause *condition = makeNode(IndexClause);

	condition->rinfo = restriction;
	condition->indexquals = list_make1(qual);
	condition->lossy = false;
	condition->indexcol = column;
	return condition;
}

/* ---- attribute = ANY (array) ---- */

static IndexClause *
match_array(RestrictInfo *restriction, IndexOptInfo *index, int column)
{
	ScalarArrayOpExpr *test = (ScalarArrayOpExpr *) restriction->clause;
	Oid			collation = index->indexcollations[column];

	if (!IsA(test, ScalarArrayOpExpr) || !test->useOr ||
		(OidIsValid(collation) && collation != test->inputcollid) ||
		!op_in_opfamily(test->opno, index->opfamily[column]) ||
		!match_index_to_operand(linitial(test->args), column, index) ||
		contain_var_clause(lsecond(test->args)) ||
		contain_volatile_functions(lsecond(test->args)))
		return NULL;
	return make_condition(restriction, restriction, column);
}

/* ---- booleans ---- */

/* What a clause says to be true or false, if it says nothing else. */
static Node *
boolean_operand(Node *clause, bool *value)
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
match_boolean(PlannerInfo *root, RestrictInfo *restriction, IndexOptInfo *index, int column)
{
	bool		value;
	Node	   *operand = boolean_operand((Node *) restriction->clause, &value);
	Expr	   *clause;

	if (operand == NULL || !op_in_opfamily(BooleanEqualOperator, index->opfamily[column]) ||
		!match_index_to_operand(operand, column, index))
		return NULL;
	clause = make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) operand,
						   (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
	return make_condition(restriction, make_simple_restrictinfo(root, clause), column);
}

/* ---- all clauses ---- */

static bool
is_used(const IndexPath *path, const RestrictInfo *restriction)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
		if (lfirst_node(IndexClause, cell)->rinfo == restriction)
			return true;
	return false;
}

static IndexClause *
match_clause(PlannerInfo *root, RestrictInfo *restriction, IndexOptInfo *index)
{
	/* column 0 is the vector */
	for (int column = 1; column < index->nkeycolumns; column++)
	{
		IndexClause *condition = match_array(restriction, index, column);

		if (condition == NULL)
			condition = match_boolean(root, restriction, index, column);
		if (condition)
			return condition;
	}
	return NULL;
}

List *
omen_missed_conditions(PlannerInfo *root, const IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, index->indrestrictinfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, cell);
		IndexClause *condition;

		if (restriction->pseudoconstant || is_used(path, restriction) ||
			!restriction_is_securely_promotable(restriction, index->rel))
			continue;
		condition = match_clause(root, restriction, index);
		if (condition)
			conditions = lappend(conditions, condition);
	}
	return conditions;
}
