/*-------------------------------------------------------------------------
 *
 * resident_worker.c
 *	  The process that makes resident copies when scans want them.
 *
 * Copying a large segment takes a good part of a second, too long for the
 * query that happens to find it worth while; so a dynamic background worker
 * does it, which needs no preloaded library.  Nobody waits for it: until it
 * is done, and if there is no free slot for it, scans read pages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/index_relation.h"
#include "src/storage/library.h"
#include "src/storage/resident.h"

#include "access/relation.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "tcop/tcopprot.h"
#include "utils/rel.h"

/* What the worker is told: must fit in bgw_extra. */
typedef struct Request
{
	Oid			database;
	Oid			index;
} Request;

StaticAssertDecl(sizeof(Request) <= BGW_EXTRALEN, "a request fits into bgw_extra");

extern PGDLLEXPORT void omen_resident_worker_main(Datum main_arg);

bool
omen_resident_request(Relation index)
{
	BackgroundWorker worker;
	Request		request = {MyDatabaseId, RelationGetRelid(index)};

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, OMEN_LIBRARY_NAME, BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "omen_resident_worker_main", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "omenvec resident copy", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "omenvec resident copy of index %u", RelationGetRelid(index));
	memcpy(worker.bgw_extra, &request, sizeof(request));
	return RegisterDynamicBackgroundWorker(&worker, NULL);
}

void
omen_resident_worker_main(Datum main_arg)
{
	Request		request;
	Relation	index;

	memcpy(&request, MyBgworkerEntry->bgw_extra, sizeof(request));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(request.database, InvalidOid, 0);

	StartTransactionCommand();
	index = omen_index_try_open(request.index, AccessShareLock);
	if (index != NULL && index->rd_index->indisvalid)
	{
		char	   *activity = psprintf("resident copy of index \"%s\"", RelationGetRelationName(index));

		pgstat_report_activity(STATE_RUNNING, activity);
		(void) omen_resident_fill(index, OMEN_RESIDENT_ON_DEMAND);
	}
	if (index != NULL)
		relation_close(index, NoLock);
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}
