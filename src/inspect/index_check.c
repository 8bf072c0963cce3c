/*-------------------------------------------------------------------------
 *
 * index_check.c
 *	  omenvec_check(): does an index hold together?
 *
 * Walks every page of every segment and tail in use, and returns a row for
 * each thing that is not as src/storage/page_layout.h and the README files
 * say.  Nothing that is read is trusted: each page is copied, its header
 * compared with what the directory implies, and only then are its records
 * looked at.  A page that cannot be read raises PostgreSQL's own error, a
 * damaged metapage ours, for without it there is nothing to walk.
 *
 * Writers, VACUUM and merges go on meanwhile.  What a check sees is the
 * directory as it was at its start; the caller's snapshot keeps the pages that
 * it names from being used again.  Everything else in a sealed segment is
 * immutable but the DEAD column, whose bits are only ever added, and a tail
 * only grows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"
#include "src/storage/index_relation.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* A segment that is damaged throughout would fill the screen. */
#define MAX_PROBLEMS 100

PG_FUNCTION_INFO_V1(omen_inspect_check);

static void
put_problem(OmenCheck *check, BlockNumber block, const char *problem)
{
	Datum		values[3] = {0};
	bool		nulls[3] = {check->segment == NULL, block == InvalidBlockNumber, false};

	if (check->segment)
		values[0] = Int64GetDatum(check->segment->id);
	if (block != InvalidBlockNumber)
		values[1] = Int64GetDatum(block);
	values[2] = CStringGetTextDatum(problem);
	tuplestore_putvalues(check->result->setResult, check->result->setDesc, values, nulls);
}

void
omen_check_report(OmenCheck *check, BlockNumber block, const char *format,...)
{
	StringInfoData text;

	if (check->quiet)
		return;
	if (++check->n_problems > MAX_PROBLEMS)
	{
		if (check->n_problems == MAX_PROBLEMS + 1)
			put_problem(check, InvalidBlockNumber, "further problems are not listed");
		return;
	}

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	put_problem(check, block, text.data);
	pfree(text.data);
}

/*
 * The entries whose pages are in use.  Tails come first: a TID that VACUUM
 * has freed and a new row has taken is then seen in the tail before the DEAD
 * bit of its former owner is looked at, and so not taken for a duplicate.
 */
static void
check_entries(OmenCheck *check, const bool *walkable, uint8 kind)
{
	for (uint32 i = 0; i < check->meta->n_segments; i++)
	{
		const OmenSegment *segment = &check->meta->segments[i];

		if (!walkable[i] || segment->kind != kind)
			continue;
		check->segment = segment;
		check->n_problems = 0;
		if (kind == OMEN_SEGMENT_TAIL)
			omen_check_tail(check, segment);
		else
			omen_check_segment(check, segment);
	}
	check->segment = NULL;
	check->n_problems = 0;
}

/* Are the columns of the index those that it was built with? */
static void
check_columns(OmenCheck *check)
{
	int			n_attributes = IndexRelationGetNumberOfKeyAttributes(check->index) - 1;

	if (check->meta->n_attributes == n_attributes)
		check->attributes = omen_attributes_of(check->index);
	else
		omen_check_report(check, OMEN_META_BLOCK, "%u attributes, but the index has %d",
						  check->meta->n_attributes, n_attributes);
	if (check->meta->group_attribute > check->meta->n_attributes)
		omen_check_report(check, OMEN_META_BLOCK, "grouped by attribute %u of %u",
						  check->meta->group_attribute, check->meta->n_attributes);
}

/* omenvec_check(index regclass) RETURNS SETOF (segment_id bigint, block bigint, problem text) */
Datum
omen_inspect_check(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	bool		walkable[OMEN_MAX_SEGMENTS];
	OmenIndexRelation opened;
	OmenCheck	check = {0};

	omen_index_check_permission(index_oid, ROLE_PG_STAT_SCAN_TABLES);
	InitMaterializedSRF(fcinfo, 0);
	omen_index_open(&opened, index_oid, AccessShareLock, AccessShareLock);
	omen_index_act_as_owner(&opened);

	check.index = opened.index;
	check.table = opened.table;
	check.meta = palloc(sizeof(OmenMeta));
	check.strategy = GetAccessStrategy(BAS_BULKREAD);
	check.result = (ReturnSetInfo *) fcinfo->resultinfo;
	omen_meta_read(check.index, check.meta);
	check_columns(&check);

	omen_check_directory(&check, walkable);
	omen_check_tids_begin(&check);
	check_entries(&check, walkable, OMEN_SEGMENT_TAIL);
	check_entries(&check, walkable, OMEN_SEGMENT_GRAPH);
	omen_check_tids_finish(&check);

	FreeAccessStrategy(check.strategy);
	omen_index_close(&opened);
	return (Datum) 0;
}
