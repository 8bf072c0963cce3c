/*-------------------------------------------------------------------------
 *
 * maintain_progress.c
 *	  Showing what a maintenance is doing.
 *
 * Each backend has a place for the progress of its command in shared memory,
 * from which pg_stat_progress_* are made.  A maintenance puts a command of
 * its own there, which those views pass over and omenvec_progress() shows.
 * The numbers of a build (phase, nodes done, nodes in all) are where CREATE
 * INDEX has them, so the builder need not know for whom it works.
 *
 * A VACUUM that maintains shows its own progress instead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/maintain_progress.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/progress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* "omen"; far from the values that PostgreSQL has. */
#define PROGRESS_COMMAND_OMEN ((ProgressCommandType) 0x6F6D656E)

/* Places not used by the builder. */
#define PROGRESS_WORK		0
#define PROGRESS_SOURCES	1
#define PROGRESS_ROWS		2

typedef enum Work
{
	WORK_NONE,
	WORK_SEAL,
	WORK_MERGE,
	WORK_REWRITE
} Work;

static bool shown = false;

static const char *
work_name(int64 work)
{
	switch (work)
	{
		case WORK_SEAL:
			return "sealing";
		case WORK_MERGE:
			return "merging";
		case WORK_REWRITE:
			return "rewriting";
		default:
			return "looking";
	}
}

void
omen_progress_start(Relation index)
{
	pgstat_progress_start_command(PROGRESS_COMMAND_OMEN, RelationGetRelid(index));
	shown = true;
}

void
omen_progress_end(void)
{
	pgstat_progress_end_command();
	shown = false;
}

/*
 * Does this backend show the progress of a maintenance?  After an error, the
 * flag stays, but the command is gone with the transaction.
 */
bool
omen_progress_is_shown(void)
{
	return shown && MyBEEntry != NULL && MyBEEntry->st_progress_command == PROGRESS_COMMAND_OMEN;
}

/* Say which sources a merge is about to read; a worker says so as its activity, too. */
void
omen_progress_merge(Relation index, const OmenSegment *const *segments, int n_segments)
{
	const int	places[] = {PROGRESS_WORK, PROGRESS_SOURCES, PROGRESS_ROWS,
	PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_DONE, PROGRESS_CREATEIDX_TUPLES_TOTAL};
	int64		values[lengthof(places)] = {0};
	bool		is_tail = segments[0]->kind == OMEN_SEGMENT_TAIL;
	bool		is_mixed = is_tail && segments[n_segments - 1]->kind != OMEN_SEGMENT_TAIL;

	if (!omen_progress_is_shown())
		return;
	values[0] = is_tail ? WORK_SEAL : n_segments > 1 ? WORK_MERGE : WORK_REWRITE;
	values[1] = n_segments;
	for (int i = 0; i < n_segments; i++)
		values[2] += segments[i]->n_rows;
	pgstat_progress_update_multi_param(lengthof(places), places, values);

	if (IsBackgroundWorker)
	{
		char	   *name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(index)),
													  RelationGetRelationName(index));
		char	   *activity = psprintf("%s %d %s of index %s", work_name(values[0]), n_segments,
										is_mixed ? "tails and segments" : is_tail ? "tails" : "segments", name);

		pgstat_report_activity(STATE_RUNNING, activity);
	}
}

/* ---- omenvec_progress() ---- */

#define N_PROGRESS_COLUMNS 8

static PgBackendStatus *
backend_status(int number)
{
#if PG_VERSION_NUM >= 160000
	LocalPgBackendStatus *local = pgstat_get_local_beentry_by_index(number);
#else
	LocalPgBackendStatus *local = pgstat_fetch_stat_local_beentry(number);
#endif

	return local ? &local->backendStatus : NULL;
}

/* May the current user see what is done to the index? */
static bool
may_see(Oid index_oid)
{
	if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
		return true;
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, index_oid, GetUserId());
#else
	return pg_class_ownercheck(index_oid, GetUserId());
#endif
}

PG_FUNCTION_INFO_V1(omen_am_progress);

/* omenvec_progress() RETURNS SETOF record: the maintenances of this database that are going on */
Datum
omen_am_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= pgstat_fetch_stat_numbackends(); i++)
	{
		PgBackendStatus *status = backend_status(i);
		Datum		values[N_PROGRESS_COLUMNS];
		bool		nulls[N_PROGRESS_COLUMNS] = {false};
		const int64 *params;
		const char *phase;

		if (status == NULL || status->st_progress_command != PROGRESS_COMMAND_OMEN ||
			status->st_databaseid != MyDatabaseId ||
			get_rel_name(status->st_progress_command_target) == NULL ||
			!may_see(status->st_progress_command_target))
			continue;
		params = status->st_progress_param;
		phase = omen_am_buildphasename(params[PROGRESS_CREATEIDX_SUBPHASE]);
		values[0] = Int32GetDatum(status->st_procpid);
		values[1] = ObjectIdGetDatum(status->st_progress_command_target);
		values[2] = CStringGetTextDatum(work_name(params[PROGRESS_WORK]));
		values[3] = Int64GetDatum(params[PROGRESS_SOURCES]);
		values[4] = Int64GetDatum(params[PROGRESS_ROWS]);
		values[5] = CStringGetTextDatum(phase ? phase : "reading");
		values[6] = Int64GetDatum(params[PROGRESS_CREATEIDX_TUPLES_DONE]);
		values[7] = Int64GetDatum(params[PROGRESS_CREATEIDX_TUPLES_TOTAL]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
