/*-------------------------------------------------------------------------
 *
 * maintain_worker.c
 *	  The background worker that seals and merges.
 *
 * Started on demand by a session that has found work, so that the library
 * need not be preloaded.  A worker serves one index: it does all that is due,
 * a piece in each transaction, waits a little for more and goes.
 *
 * It gives way.  It locks the index, and nothing else, in a mode that lets
 * readers, writers and vacuum pass; and it bears autovacuum's mark, so that
 * whoever waits for that lock (DROP, REINDEX, ALTER, TRUNCATE) cancels it
 * after deadlock_timeout, and DROP DATABASE ends it, as they do with
 * autovacuum.  What was half built is reclaimed by the next maintenance.
 *
 * How many run at once is counted without shared memory of our own: each
 * holds one of omenvec.max_maintenance_workers locks on objects that do not
 * exist, and one on its index, for its whole life; both can be seen in
 * pg_locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/maintain_worker.h"

#include "src/am/am.h"
#include "src/am/maintain_progress.h"
#include "src/storage/index_relation.h"
#include "src/storage/library.h"
#include "src/storage/maintain_lock.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/autovacuum.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define WORKER_TYPE "omenvec maintenance"

/* A worker with nothing to do looks so often, so many times, then goes. */
#define IDLE_WAIT_MS 100
#define IDLE_LOOKS 20

/* A session asks for a worker at most so often; after one that achieved nothing, ever more seldom. */
#define FIRST_PAUSE_MS 200
#define LAST_PAUSE_MS 60000

/* Indexes for which a session makes requests, about. */
#define USUAL_REQUESTS 16

/* Stands for the object id in the names of the locks that count workers: "omen". */
#define SLOT_OBJECT 0x6F6D656E

/* What the worker is told; lies in bgw_extra. */
typedef struct WorkerTask
{
	Oid			database;
	Oid			index;
	int			max_workers;
} WorkerTask;

StaticAssertDecl(sizeof(WorkerTask) <= BGW_EXTRALEN, "WorkerTask fits bgw_extra");

/* The last request of this session for an index. */
typedef struct WorkerRequest
{
	Oid			index;			/* key */
	uint32		tail_id;
	int			pause_ms;
	TimestampTz at;
	BackgroundWorkerHandle *handle;
} WorkerRequest;

static HTAB *requests = NULL;	/* WorkerRequest by index */
static bool am_worker = false;

/* ---- locks for a worker's life ---- */

/*
 * The lock method is that of advisory locks: a process that ends gives up
 * those of its session, other ones only if it was in a transaction.
 */
static LOCKTAG
session_tag(Oid database, Oid class, Oid object, uint16 number)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, database, class, object, number);
	tag.locktag_lockmethodid = USER_LOCKMETHOD;
	return tag;
}

static LOCKTAG
slot_tag(int slot)
{
	return session_tag(InvalidOid, AccessMethodRelationId, SLOT_OBJECT, slot);
}

static LOCKTAG
index_tag(Oid index_oid)
{
	return session_tag(MyDatabaseId, RelationRelationId, index_oid, 0);
}

static bool
take(LOCKTAG tag)
{
	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

static bool
is_free(LOCKTAG tag)
{
	if (!take(tag))
		return false;
	LockRelease(&tag, ExclusiveLock, true);
	return true;
}

static bool
take_slot(int max_workers)
{
	for (int slot = 0; slot < max_workers; slot++)
		if (take(slot_tag(slot)))
			return true;
	return false;
}

static bool
slot_is_free(int max_workers)
{
	for (int slot = 0; slot < max_workers; slot++)
		if (is_free(slot_tag(slot)))
			return true;
	return false;
}

/* ---- asking for a worker ---- */

/*
 * Can a worker see this index?  Not if it is temporary, or made by the
 * transaction that is asking.
 */
bool
omen_worker_can_serve(Relation index)
{
#if PG_VERSION_NUM >= 160000
	bool		is_new = index->rd_createSubid != InvalidSubTransactionId ||
		index->rd_newRelfilelocatorSubid != InvalidSubTransactionId;
#else
	bool		is_new = index->rd_createSubid != InvalidSubTransactionId ||
		index->rd_newRelfilenodeSubid != InvalidSubTransactionId;
#endif

	return omen_am_max_maintenance_workers > 0 && IsUnderPostmaster && !am_worker &&
		!RelationUsesLocalBuffers(index) && !is_new;
}

/* Does an index have a worker, or a maintenance by hand or by VACUUM under way? */
static bool
somebody_is_at_it(Relation index)
{
	if (!is_free(index_tag(RelationGetRelid(index))) ||
		!omen_maintain_try_lock(index, OMEN_LOCK_MERGE))
		return true;
	omen_maintain_unlock(index, OMEN_LOCK_MERGE);
	return false;
}

/* What this session remembers of its requests for an index; zeros if there were none. */
static WorkerRequest *
find_request(Oid index_oid)
{
	WorkerRequest *request;
	bool		found;

	if (requests == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(Oid),.entrysize = sizeof(WorkerRequest)};

		requests = hash_create("omenvec worker requests", USUAL_REQUESTS, &control, HASH_ELEM | HASH_BLOBS);
	}
	request = hash_search(requests, &index_oid, HASH_ENTER, &found);
	if (!found)
	{
		memset(request, 0, sizeof(*request));
		request->index = index_oid;
	}
	return request;
}

/* Has the worker of a request not come to its end? */
static bool
request_is_alive(const WorkerRequest *request)
{
	BgwHandleStatus status;
	pid_t		pid;

	if (request->handle == NULL)
		return false;
	status = GetBackgroundWorkerPid(request->handle, &pid);
	return status == BGWH_STARTED || status == BGWH_NOT_YET_STARTED;
}

static bool
launch(Relation index, BackgroundWorkerHandle **handle)
{
	WorkerTask	task = {
		.database = MyDatabaseId,
		.index = RelationGetRelid(index),
		.max_workers = omen_am_max_maintenance_workers
	};
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_library_name = OMEN_LIBRARY_NAME,
		.bgw_function_name = "omen_worker_main",
		.bgw_type = WORKER_TYPE
	};
	MemoryContext old_context = MemoryContextSwitchTo(TopMemoryContext);
	bool		launched;

	snprintf(worker.bgw_name, BGW_MAXLEN, WORKER_TYPE " of index %u", task.index);
	memcpy(worker.bgw_extra, &task, sizeof(task));
	launched = RegisterDynamicBackgroundWorker(&worker, handle);
	MemoryContextSwitchTo(old_context);
	return launched;
}

/*
 * See to it that a worker serves the index; tail_id is the tail that wants to
 * be sealed.  Returns true if one is at it, or will be soon.  The index is
 * left alone longer each time that nothing came of the last request.
 */
bool
omen_worker_request(Relation index, uint32 tail_id)
{
	WorkerRequest *request = find_request(RelationGetRelid(index));
	TimestampTz now = GetCurrentTimestamp();

	if (request_is_alive(request))
		return true;
	if (!TimestampDifferenceExceeds(request->at, now, request->pause_ms))
		return somebody_is_at_it(index);
	if (somebody_is_at_it(index))
		return true;

	request->pause_ms = request->pause_ms > 0 && request->tail_id == tail_id ?
		Min(request->pause_ms * 2, LAST_PAUSE_MS) : FIRST_PAUSE_MS;
	request->tail_id = tail_id;
	request->at = now;
	if (request->handle)
		pfree(request->handle);
	request->handle = NULL;
	return slot_is_free(omen_am_max_maintenance_workers) && launch(index, &request->handle);
}

/* ---- the worker ---- */

/* Does this process work in the background, with the memory of an autovacuum worker? */
bool
omen_worker_or_autovacuum(void)
{
	return am_worker || IsAutoVacuumWorkerProcess();
}

/* Bear autovacuum's mark: whoever waits for our lock, or wants to drop the database, sends us away. */
static void
promise_to_give_way(void)
{
	LWLockAcquire(ProcArrayLock, LW_EXCLUSIVE);
	MyProc->statusFlags |= PROC_IS_AUTOVACUUM;
	ProcGlobal->statusFlags[MyProc->pgxactoff] = MyProc->statusFlags;
	LWLockRelease(ProcArrayLock);
}

/* Whatever the database's or the superuser's settings are: as for an autovacuum worker. */
static void
apply_settings(void)
{
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog"},
		{"zero_damaged_pages", "false"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"synchronous_commit", "off"}
	};

	for (size_t i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
}

/* The pace is autovacuum's: its own settings, else those of VACUUM. */
static void
apply_pace(void)
{
	double		delay = autovacuum_vac_cost_delay >= 0 ? autovacuum_vac_cost_delay : VacuumCostDelay;
	int			limit = autovacuum_vac_cost_limit > 0 ? autovacuum_vac_cost_limit : VacuumCostLimit;

#if PG_VERSION_NUM >= 160000
	vacuum_cost_delay = delay;
	vacuum_cost_limit = limit;
#else
	VacuumCostDelay = delay;
	VacuumCostLimit = limit;
#endif
	VacuumCostActive = delay > 0;
	VacuumCostBalance = 0;
}

/* Does the index take rows, can this process see its pages, and may a worker seal them? */
static bool
wants_work(Relation index)
{
	return index->rd_index->indislive && index->rd_index->indisready &&
		!RelationUsesLocalBuffers(index) && omen_am_option_autoseal(index);
}

typedef enum StepResult
{
	STEP_DONE,
	STEP_IDLE,					/* nothing is due, or somebody else is at it, be it only to look */
	STEP_GO						/* no index, or it wants no worker */
} StepResult;

/* One piece of work as the index's owner; vacuum runs so, too. */
static StepResult
work_on(Relation index, int *n_waits)
{
	Oid			user;
	int			security;
	StepResult	result = STEP_IDLE;

	if (omen_maintain_is_by_hand(index))
		return STEP_IDLE;
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(index->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	if (omen_maintain_try_lock(index, OMEN_LOCK_MERGE))
	{
		/* What can be reclaimed is told from the horizon that the last snapshot found. */
		PushActiveSnapshot(GetTransactionSnapshot());
		PopActiveSnapshot();
		omen_progress_start(index);
		result = omen_maintain_step(index, n_waits) ? STEP_DONE : STEP_IDLE;
		omen_progress_end();
		omen_maintain_unlock(index, OMEN_LOCK_MERGE);
	}
	SetUserIdAndSecContext(user, security);
	return result;
}

/* A transaction with one piece of work. */
static StepResult
step(Oid index_oid, int *n_waits)
{
	StepResult	result = STEP_GO;
	Relation	index;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	index = omen_index_try_open(index_oid, ShareUpdateExclusiveLock);
	if (index && wants_work(index))
		result = work_on(index, n_waits);
	if (index)
		relation_close(index, NoLock);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	return result;
}

static void
wait_for_more(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 IDLE_WAIT_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		apply_pace();
	}
}

void
omen_worker_main(Datum arg)
{
	WorkerTask	task;
	int			n_waits = 0;

	memcpy(&task, MyBgworkerEntry->bgw_extra, sizeof(task));
	am_worker = true;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(task.database, InvalidOid, 0);
	apply_settings();
	apply_pace();
	pgstat_report_appname(MyBgworkerEntry->bgw_name);
	if (!take(index_tag(task.index)) || !take_slot(task.max_workers))
		return;
	promise_to_give_way();

	for (int n_idle = 0; n_idle < IDLE_LOOKS;)
	{
		StepResult	result = step(task.index, &n_waits);

		CHECK_FOR_INTERRUPTS();
		if (result == STEP_GO)
			return;
		if (result == STEP_DONE)
			n_idle = 0;
		else
		{
			n_idle++;
			wait_for_more();
		}
	}
}
