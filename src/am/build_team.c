/*-------------------------------------------------------------------------
 *
 * build_team.c
 *	  Backends that build one segment together: parallel workers as a team.
 *
 * The graph code asks its team for a barrier and for memory that all members
 * see (graph_team.h).  Here the members are a backend, which leads, and the
 * parallel workers that it could have; shared memory comes from dynamic shared
 * memory segments, one for each array, so that an array's memory goes back to
 * the system as soon as nobody needs it.
 *
 * What the members do is the caller's: the leader names the function with
 * which a worker begins, and a struct, the job, which all members see.
 *
 * A team is a matter of speed only.  If no worker can be had, it has one
 * member; if shared memory runs out (a container may have 64 MB of it), the
 * workers go home and the leader goes on alone, in private memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/build_team.h"
#include "src/am/graph_host.h"
#include "src/storage/library.h"

#include "access/xact.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/barrier.h"
#include "storage/dsm.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#endif

/* If there is not even that much, the team is not worth a try. */
#define PROBE_BYTES (1024 * 1024)

/* Keys of the parallel context's table of contents. */
#define KEY_TEAM 1
#define KEY_JOB 2
#define KEY_QUERY_TEXT 3
#define KEY_BUFFER_USAGE 4
#define KEY_WAL_USAGE 5

struct OmenTeamShared
{
	pg_atomic_uint32 n_members; /* 0 until the leader knows */
	ConditionVariable known;
	Barrier		barrier;
	dsm_handle	handle;			/* of the piece being shared */
};

/* A piece of shared memory, as mapped here. */
typedef struct SharedPiece
{
	dlist_node	node;
	uint64		number;
	dsm_segment *segment;
	void	   *address;
} SharedPiece;

/* ---- shared memory ---- */

/*
 * Create a dynamic shared memory segment, or return NULL if there is not
 * enough of it.  dsm_create() raises an error for that; what it leaves behind
 * is a reference in the resource owner, so it gets one of its own.  (An
 * internal subtransaction, the usual way, is not allowed in parallel mode.)
 */
static dsm_segment *
create_segment(Size bytes)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ResourceOwner own = ResourceOwnerCreate(owner, "omenvec shared memory");
	dsm_segment *volatile segment = NULL;

	CurrentResourceOwner = own;
	PG_TRY();
	{
		segment = dsm_create(bytes, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment)
			dsm_pin_mapping(segment);
	}
	PG_CATCH();
	{
		/* Whatever the reason: the build can do without. */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();

	CurrentResourceOwner = owner;
	ResourceOwnerRelease(own, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(own, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(own);
	if (segment)
		dsm_unpin_mapping(segment);
	return segment;
}

static void *
add_piece(OmenBuildTeam *team, dsm_segment *segment)
{
	SharedPiece *piece = MemoryContextAlloc(team->context, sizeof(SharedPiece));

	piece->number = team->n_pieces++;
	piece->segment = segment;
	piece->address = dsm_segment_address(segment);
	team->shared_bytes += dsm_segment_map_length(segment);
	dlist_push_tail(&team->pieces, &piece->node);
	return piece->address;
}

static void
drop_piece(OmenBuildTeam *team, SharedPiece *piece)
{
	team->shared_bytes -= dsm_segment_map_length(piece->segment);
	dlist_delete(&piece->node);
	dsm_detach(piece->segment);
	pfree(piece);
}

/* Drop the pieces that were mapped from a number on. */
static void
drop_pieces(OmenBuildTeam *team, uint64 from)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &team->pieces)
	{
		SharedPiece *piece = dlist_container(SharedPiece, node, iter.cur);

		if (piece->number >= from)
			drop_piece(team, piece);
	}
}

static SharedPiece *
find_piece(OmenBuildTeam *team, const void *address)
{
	dlist_iter	iter;

	dlist_foreach(iter, &team->pieces)
	{
		SharedPiece *piece = dlist_container(SharedPiece, node, iter.cur);

		if (piece->address == address)
			return piece;
	}
	return NULL;
}

static bool
within_limit(const OmenBuildTeam *team, size_t bytes)
{
	return omen_am_build_shared_memory < 0 ||
		team->shared_bytes + bytes <= (uint64) omen_am_build_shared_memory * 1024;
}

/* ---- what the graph code calls ---- */

static void
team_barrier(void *arg)
{
	OmenBuildTeam *team = arg;

	CHECK_FOR_INTERRUPTS();
	if (team->shared)
		BarrierArriveAndWait(&team->shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
}

static void *
share_alone(OmenBuildTeam *team, size_t bytes)
{
	return memset(omen_host_alloc(team->context, bytes), 0, bytes);
}

/* Each member zeroes its part: a segment may lie in recycled memory. */
static void
zero_part(OmenBuildTeam *team, char *memory, size_t bytes)
{
	size_t		from = bytes / team->team.n_members * team->team.member;
	size_t		to = team->team.member == team->team.n_members - 1 ? bytes :
		bytes / team->team.n_members * (team->team.member + 1);

	memset(memory + from, 0, to - from);
}

static void *
team_share(void *arg, size_t bytes)
{
	OmenBuildTeam *team = arg;
	OmenTeamShared *shared = team->shared;
	dsm_segment *segment = NULL;
	void	   *memory;

	bytes = Max(bytes, 1);
	if (!shared)
		return share_alone(team, bytes);
	if (omen_team_leads(&team->team))
	{
		if (within_limit(team, bytes))
			segment = create_segment(bytes);
		shared->handle = segment ? dsm_segment_handle(segment) : DSM_HANDLE_INVALID;
	}
	team_barrier(team);
	if (shared->handle == DSM_HANDLE_INVALID)
	{
		team->no_memory = true;
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("not enough dynamic shared memory"),
				 errdetail("An array of an index build needs %zu bytes.", bytes)));
	}
	if (!segment)
		segment = dsm_attach(shared->handle);
	if (!segment)
		elog(ERROR, "could not attach to a dynamic shared memory segment");
	memory = add_piece(team, segment);
	omen_host_advise_huge_pages(memory, bytes);
	zero_part(team, memory, bytes);
	team_barrier(team);
	return memory;
}

/* What was shared before the team was dissolved is still a piece; later, private memory. */
static void
team_unshare(void *arg, void *memory)
{
	OmenBuildTeam *team = arg;
	SharedPiece *piece = find_piece(team, memory);

	team_barrier(team);
	if (piece)
		drop_piece(team, piece);
	else
		omen_host_release(memory);
}

/* ---- beginning and end ---- */

/* A team of one, whose memory comes from the current context. */
void
omen_build_team_alone(OmenBuildTeam *team)
{
	memset(team, 0, sizeof(*team));
	team->context = CurrentMemoryContext;
	dlist_init(&team->pieces);
	omen_host_init(&team->team.host, team->context);
	team->team.n_members = 1;
	team->team.arg = team;
	team->team.barrier = team_barrier;
	team->team.share = team_share;
	team->team.unshare = team_unshare;
}

static bool
shared_memory_is_there(void)
{
	dsm_segment *segment = create_segment(PROBE_BYTES);

	if (segment)
		dsm_detach(segment);
	return segment != NULL;
}

/* An entry of the table of contents, with a copy of content if there is one. */
static void *
insert_entry(ParallelContext *parallel, uint64 key, const void *content, Size bytes)
{
	void	   *entry = shm_toc_allocate(parallel->toc, bytes);

	if (content)
		memcpy(entry, content, bytes);
	shm_toc_insert(parallel->toc, key, entry);
	return entry;
}

static void
fill_shared(OmenBuildTeam *team, Size job_bytes, OmenJobInit init_job, void *arg, const char *query_text)
{
	ParallelContext *parallel = team->parallel;
	OmenTeamShared *shared = insert_entry(parallel, KEY_TEAM, NULL, sizeof(OmenTeamShared));

	memset(shared, 0, sizeof(*shared));
	pg_atomic_init_u32(&shared->n_members, 0);
	ConditionVariableInit(&shared->known);
	init_job(insert_entry(parallel, KEY_JOB, NULL, job_bytes), arg);
	insert_entry(parallel, KEY_QUERY_TEXT, query_text, strlen(query_text) + 1);
	insert_entry(parallel, KEY_BUFFER_USAGE, NULL, mul_size(sizeof(BufferUsage), parallel->nworkers));
	insert_entry(parallel, KEY_WAL_USAGE, NULL, mul_size(sizeof(WalUsage), parallel->nworkers));
	team->shared = shared;
	team->toc = parallel->toc;
}

static void
destroy_context(OmenBuildTeam *team)
{
	DestroyParallelContext(team->parallel);
	ExitParallelMode();
	team->parallel = NULL;
	team->shared = NULL;
	team->toc = NULL;
}

static bool
create_context(OmenBuildTeam *team, const char *worker_main, int n_workers,
			   Size job_bytes, OmenJobInit init_job, void *arg)
{
	const char *query_text = debug_query_string ? debug_query_string : "";
	ParallelContext *parallel;

	EnterParallelMode();
	parallel = CreateParallelContext(OMEN_LIBRARY_NAME, worker_main, n_workers);
	shm_toc_estimate_chunk(&parallel->estimator, sizeof(OmenTeamShared));
	shm_toc_estimate_chunk(&parallel->estimator, job_bytes);
	shm_toc_estimate_chunk(&parallel->estimator, strlen(query_text) + 1);
	shm_toc_estimate_chunk(&parallel->estimator, mul_size(sizeof(BufferUsage), n_workers));
	shm_toc_estimate_chunk(&parallel->estimator, mul_size(sizeof(WalUsage), n_workers));
	shm_toc_estimate_keys(&parallel->estimator, 5);
	InitializeParallelDSM(parallel);

	team->parallel = parallel;
	if (parallel->seg == NULL)
	{
		destroy_context(team);
		return false;
	}
	fill_shared(team, job_bytes, init_job, arg, query_text);
	return true;
}

/*
 * The leader: have up to n_workers workers run worker_main, an exported
 * function of this library, and be a team with them.  All members get at the
 * job, which init_job fills in, by omen_build_team_job().  If there are no workers
 * to be had, the team stays one of one, and there is no job.
 */
void
omen_build_team_start(OmenBuildTeam *team, const char *worker_main, int n_workers,
					  Size job_bytes, OmenJobInit init_job, void *arg)
{
	OmenTeamShared *shared;

	if (n_workers == 0 || !within_limit(team, PROBE_BYTES) || !shared_memory_is_there() ||
		!create_context(team, worker_main, n_workers, job_bytes, init_job, arg))
		return;
	LaunchParallelWorkers(team->parallel);
	if (team->parallel->nworkers_launched == 0)
	{
		WaitForParallelWorkersToFinish(team->parallel);
		destroy_context(team);
		return;
	}

	/* A worker that cannot start is an error here: else the others would wait for it. */
	WaitForParallelWorkersToAttach(team->parallel);
	shared = team->shared;
	team->team.n_members = team->parallel->nworkers_launched + 1;
	BarrierInit(&shared->barrier, team->team.n_members);
	pg_write_barrier();
	pg_atomic_write_u32(&shared->n_members, team->team.n_members);
	ConditionVariableBroadcast(&shared->known);
}

/* A worker: become a member of the leader's team. */
void
omen_build_team_join(OmenBuildTeam *team, shm_toc *toc)
{
	OmenTeamShared *shared = shm_toc_lookup(toc, KEY_TEAM, false);

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, false);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	omen_build_team_alone(team);
	team->toc = toc;
	team->shared = shared;

	ConditionVariablePrepareToSleep(&shared->known);
	while (pg_atomic_read_u32(&shared->n_members) == 0)
		ConditionVariableSleep(&shared->known, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	ConditionVariableCancelSleep();
	pg_read_barrier();
	team->team.n_members = pg_atomic_read_u32(&shared->n_members);
	team->team.member = ParallelWorkerNumber + 1;
	InstrStartParallelQuery();
}

/* The end of a worker's part. */
void
omen_build_team_leave(OmenBuildTeam *team)
{
	BufferUsage *buffer_usage = shm_toc_lookup(team->toc, KEY_BUFFER_USAGE, false);
	WalUsage   *wal_usage = shm_toc_lookup(team->toc, KEY_WAL_USAGE, false);

	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);
	drop_pieces(team, 0);
}

/*
 * The leader waits for the workers to end, and is a team of one from then on.
 * What has been shared stays; so does the job, until omen_build_team_end().
 */
void
omen_build_team_dissolve(OmenBuildTeam *team)
{
	BufferUsage *buffer_usage;
	WalUsage   *wal_usage;

	if (!team->shared)
		return;
	WaitForParallelWorkersToFinish(team->parallel);
	buffer_usage = shm_toc_lookup(team->toc, KEY_BUFFER_USAGE, false);
	wal_usage = shm_toc_lookup(team->toc, KEY_WAL_USAGE, false);
	for (int i = 0; i < team->parallel->nworkers_launched; i++)
		InstrAccumParallelQuery(&buffer_usage[i], &wal_usage[i]);
	team->shared = NULL;
	team->team.n_members = 1;
}

/* The leader's end, after the workers'. */
void
omen_build_team_end(OmenBuildTeam *team)
{
	omen_build_team_dissolve(team);
	drop_pieces(team, 0);
	if (team->parallel)
		destroy_context(team);
}

void *
omen_build_team_job(OmenBuildTeam *team)
{
	return shm_toc_lookup(team->toc, KEY_JOB, false);
}

/*
 * Do a step together.  If shared memory runs out, false: then the workers have
 * left, the leader is alone, and the step has to be done anew, or undone.
 * (It holds no locks when it asks for memory, so going on after that error is
 * safe.)
 */
bool
omen_build_team_try(OmenBuildTeam *team, OmenTeamStep step, void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	uint64		first_piece = team->n_pieces;
	volatile bool done = false;

	PG_TRY();
	{
		step(team, arg);
		done = true;
	}
	PG_CATCH();
	{
		if (!team->no_memory)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	if (done)
		return true;

	team->no_memory = false;
	drop_pieces(team, first_piece);
	if (omen_team_leads(&team->team))
		omen_build_team_dissolve(team);
	else
		team->left = true;
	return false;
}
