/*-------------------------------------------------------------------------
 *
 * am_recall.c
 *	  omenvec_recall(): what an index finds, measured against its table.
 *
 * Rows of the table, chosen by a hash of their place so that it is always the
 * same ones, serve as queries.  Each is put twice, with and without the index,
 * as a statement of the caller: privileges and row security are those of any
 * query, and both answers come from the same snapshot.  The row itself is left
 * out.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/storage/index_relation.h"

#include <math.h>

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "optimizer/plancat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(omen_am_recall);

#define MAX_K 10000
#define MAX_SAMPLES 1000000

/* Standard normal deviation of a two-sided 95 % interval. */
#define DEVIATION_95 1.959964

typedef struct RecallQuery
{
	Oid			index;
	Oid			value_type;
	int			k;
	SPIPlanPtr	exact_plan;
	SPIPlanPtr	index_plan;
	double	   *exact;			/* k distances, ascending */
	double	   *answer;

	/* of the queries so far */
	int			n_queries;
	int64		n_neighbours;
	int64		n_found;
	double		sum_of_squares; /* of the recall of each */
} RecallQuery;

/* ---- which indexes the planner sees ---- */

/*
 * While measurements are going on, of the access method's indexes only this
 * one, or none if it is invalid.  There may be several: a function that a
 * query calls may measure, too.
 */
static Oid	visible_index;
static int	n_measurements;

static get_relation_info_hook_type next_hook;

static void
hide_indexes(PlannerInfo *root, Oid table, bool inhparent, RelOptInfo *rel)
{
	ListCell   *cell;

	if (next_hook)
		next_hook(root, table, inhparent, rel);
	if (n_measurements == 0)
		return;
	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		if (omen_am_is_index(index) && index->indexoid != visible_index)
			rel->indexlist = foreach_delete_current(rel->indexlist, cell);
	}
}

/* Called once, from _PG_init(). */
void
omen_recall_init(void)
{
	next_hook = get_relation_info_hook;
	get_relation_info_hook = hide_indexes;
}

/* Does a plan scan the index? */
static bool
plan_uses_index(const Plan *plan, Oid index)
{
	for (; plan != NULL; plan = plan->lefttree)
		if (IsA(plan, IndexScan) && ((const IndexScan *) plan)->indexid == index)
			return true;
	return false;
}

/* ---- the statements ---- */

/* OPERATOR(schema.name) of the distance that the index orders by. */
static char *
distance_operator(Relation index)
{
	Oid			type = index->rd_opcintype[0];
	Oid			operator = get_opfamily_member(index->rd_opfamily[0], type, type, OMEN_ORDER_STRATEGY);
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

/* The value that is indexed, as text: a column, or an expression. */
static char *
indexed_value(Oid index)
{
	return TextDatumGetCString(DirectFunctionCall3(pg_get_indexdef_ext, ObjectIdGetDatum(index),
												   Int32GetDatum(1), BoolGetDatum(false)));
}

/* FROM and WHERE of a statement about the rows that are indexed. */
static char *
indexed_rows(const OmenIndexRelation *opened)
{
	Relation	table = opened->table;
	char	   *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(table)),
												  RelationGetRelationName(table));
	bool		isnull;
	Datum		predicate = SysCacheGetAttr(INDEXRELID, opened->index->rd_indextuple,
											Anum_pg_index_indpred, &isnull);

	if (isnull)
		return psprintf("FROM ONLY %s WHERE true", name);
	return psprintf("FROM ONLY %s WHERE (%s)", name,
					TextDatumGetCString(DirectFunctionCall2(pg_get_expr, predicate,
															ObjectIdGetDatum(RelationGetRelid(table)))));
}

static SPIPlanPtr
prepare(const char *statement, int n_args, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(statement, n_args, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement, SPI_result_code_string(SPI_result));
	return plan;
}

/* ---- running them ---- */

/*
 * The distances of up to k nearest rows; how many.  Those that are NULL or
 * NaN come last and do not count.
 */
static int
nearest_distances(RecallQuery *query, SPIPlanPtr plan, Datum *args, double *distances)
{
	Portal		portal;
	int			n = 0;

	visible_index = plan == query->index_plan ? query->index : InvalidOid;
	portal = SPI_cursor_open(NULL, plan, args, NULL, true);
	if (OidIsValid(visible_index) &&
		!plan_uses_index(portal->queryDesc->plannedstmt->planTree, query->index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("queries cannot use index \"%s\"", get_rel_name(query->index)),
				 errdetail("Row-level security, or a transaction older than the index, may prevent it.")));
	SPI_cursor_fetch(portal, true, query->k);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		if (isnull || isnan(DatumGetFloat8(value)))
			break;
		distances[n++] = DatumGetFloat8(value);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
	return n;
}

static void
measure(RecallQuery *query, Datum *args)
{
	int			n_exact = nearest_distances(query, query->exact_plan, args, query->exact);
	int			n_answer = nearest_distances(query, query->index_plan, args, query->answer);
	int			n_found = 0;

	if (n_exact == 0)
		return;
	/* later rounds of a scan may give a nearer row after a farther one */
	for (int i = 0; i < n_answer; i++)
		n_found += query->answer[i] <= query->exact[n_exact - 1];
	n_found = Min(n_found, n_exact);
	query->n_queries++;
	query->n_neighbours += n_exact;
	query->n_found += n_found;
	query->sum_of_squares += ((double) n_found / n_exact) * ((double) n_found / n_exact);
}

/* Put each row of the sample as a query. */
static void
measure_samples(RecallQuery *query, const char *statement)
{
	Portal		portal = SPI_cursor_open(NULL, prepare(statement, 0, NULL), NULL, NULL, true);

	for (;;)
	{
		SPITupleTable *rows;
		Datum		args[2];
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		rows = SPI_tuptable;
		args[0] = SPI_getbinval(rows->vals[0], rows->tupdesc, 1, &isnull);
		args[1] = SPI_getbinval(rows->vals[0], rows->tupdesc, 2, &isnull);
		measure(query, args);
		SPI_freetuptable(rows);
	}
	SPI_cursor_close(portal);
}

static void
measure_index(RecallQuery *query, const OmenIndexRelation *opened, int samples)
{
	Oid			types[] = {query->value_type, TIDOID};
	const char *value = indexed_value(query->index);
	const char *rows = indexed_rows(opened);
	const char *operator = distance_operator(opened->index);
	const char *nearest = psprintf("SELECT (%s) %s $1 %s AND ctid <> $2 ORDER BY (%s) %s $1 LIMIT %d",
								   value, operator, rows, value, operator, query->k);

	query->exact_plan = prepare(nearest, 2, types);
	query->index_plan = prepare(nearest, 2, types);
	measure_samples(query, psprintf("SELECT (%s), ctid %s AND (%s) %s (%s) <> 'NaN' "
									"ORDER BY hashtid(ctid), ctid LIMIT %d",
									value, rows, value, operator, value, samples));
}

/* For a statement of ours, until the nest level ends. */
static void
set_planner_option(const char *name)
{
	(void) set_config_option(name, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

static void
run_measurement(RecallQuery *query, const OmenIndexRelation *opened, int samples)
{
	int			guc_level = NewGUCNestLevel();
	Oid			visible_before = visible_index;

	set_planner_option("enable_seqscan");
	set_planner_option("enable_sort");
	set_planner_option("jit");		/* what is disabled looks expensive */
	n_measurements++;
	PG_TRY();
	{
		measure_index(query, opened, samples);
	}
	PG_FINALLY();
	{
		n_measurements--;
		visible_index = visible_before;

		/* functions that the queries call may have made plans, without the indexes */
		ResetPlanCache();
	}
	PG_END_TRY();
	AtEOXact_GUC(true, guc_level);
}

/* ---- the result ---- */

/*
 * Wilson's score interval.  Neighbours of one query are found or missed
 * together, so they count for fewer than they are: by the ratio of the
 * variance among queries to that of as many independent trials.
 */
static void
wilson_interval(const RecallQuery *query, double *lower, double *upper)
{
	double		p = (double) query->n_found / query->n_neighbours;
	double		per_query = (double) query->n_neighbours / query->n_queries;
	double		independent = p * (1 - p) / per_query;
	double		variance = query->sum_of_squares / query->n_queries - p * p;
	double		n = query->n_neighbours / (independent > 0 ? Max(variance / independent, 1) : 1);
	double		z2 = DEVIATION_95 * DEVIATION_95;
	double		centre = (p + z2 / (2 * n)) / (1 + z2 / n);
	double		half = DEVIATION_95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n));

	*lower = Max(centre - half, 0);
	*upper = Min(centre + half, 1);
}

static Datum
make_result(FunctionCallInfo fcinfo, const RecallQuery *query)
{
	Datum		values[6] = {0};
	bool		nulls[6] = {0};
	TupleDesc	desc;
	double		lower;
	double		upper;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (query->n_neighbours > 0)
	{
		wilson_interval(query, &lower, &upper);
		values[0] = Float8GetDatum((double) query->n_found / query->n_neighbours);
		values[1] = Float8GetDatum(lower);
		values[2] = Float8GetDatum(upper);
	}
	else
		nulls[0] = nulls[1] = nulls[2] = true;
	values[3] = Int32GetDatum(query->n_queries);
	values[4] = Int64GetDatum(query->n_neighbours);
	values[5] = Int64GetDatum(query->n_found);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static void
check_range(const char *name, int value, int most)
{
	if (value < 1 || value > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be between 1 and %d, not %d", name, most, value)));
}

/* omenvec_recall(index regclass, k integer, samples integer), see the SQL declaration */
Datum
omen_am_recall(PG_FUNCTION_ARGS)
{
	RecallQuery query = {.index = PG_GETARG_OID(0), .k = PG_GETARG_INT32(1)};
	int			samples = PG_GETARG_INT32(2);
	OmenIndexRelation opened;

	check_range("k", query.k, MAX_K);
	check_range("samples", samples, MAX_SAMPLES);
	query.exact = palloc(query.k * sizeof(double));
	query.answer = palloc(query.k * sizeof(double));

	omen_index_open(&opened, query.index, AccessShareLock, AccessShareLock);
	query.value_type = TupleDescAttr(RelationGetDescr(opened.index), 0)->atttypid;
	SPI_connect();
	run_measurement(&query, &opened, samples);
	SPI_finish();
	omen_index_close(&opened);
	return make_result(fcinfo, &query);
}
