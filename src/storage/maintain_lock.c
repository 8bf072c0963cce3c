/*-------------------------------------------------------------------------
 *
 * maintain_lock.c
 *	  Heavyweight locks that order the maintenance of an index, and how to
 *	  wait for them.
 *
 * Where a holder is not held up for long and waits for nobody, it is waited
 * for without the lock manager, which would cancel an autovacuum or a worker
 * after deadlock_timeout.  Who waits so says it by a shared lock; a holder who
 * naps, as the vacuum cost settings want it, then does without.
 *
 * (GIN locks its metapage's block number for the like; but while a page lock
 * is held, no relation may be locked, as a catalog lookup does.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/maintain_lock.h"

#include "catalog/pg_class.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lock.h"

#if PG_VERSION_NUM >= 160000
#define COST_LIMIT vacuum_cost_limit
#else
#define COST_LIMIT VacuumCostLimit
#endif

/* How often to ask for a lock that is not waited for in the lock manager. */
#define LOCK_WAIT_MS 10

/* The lock's name: a sub-object of the index that no catalog knows. */
static LOCKTAG
lock_tag(Relation index, OmenMaintainLock lock)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, RelationGetRelid(index), lock);
	return tag;
}

/* Returns false if it is not to be waited for and somebody else has it. */
static bool
acquire(Relation index, OmenMaintainLock lock, LOCKMODE mode, bool wait)
{
	LOCKTAG		tag = lock_tag(index, lock);

	return LockAcquire(&tag, mode, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

static void
release(Relation index, OmenMaintainLock lock, LOCKMODE mode)
{
	LOCKTAG		tag = lock_tag(index, lock);

	LockRelease(&tag, mode, false);
}

void
omen_maintain_lock(Relation index, OmenMaintainLock lock)
{
	(void) acquire(index, lock, ExclusiveLock, true);
}

/* Returns false if somebody else has it. */
bool
omen_maintain_try_lock(Relation index, OmenMaintainLock lock)
{
	return acquire(index, lock, ExclusiveLock, false);
}

void
omen_maintain_unlock(Relation index, OmenMaintainLock lock)
{
	release(index, lock, ExclusiveLock);
}

/* Does anybody have a lock? */
static bool
is_locked(Relation index, OmenMaintainLock lock)
{
	if (!omen_maintain_try_lock(index, lock))
		return true;
	omen_maintain_unlock(index, lock);
	return false;
}

/* Is somebody maintaining by hand, or waiting to?  Then a worker begins nothing. */
bool
omen_maintain_is_by_hand(Relation index)
{
	return is_locked(index, OMEN_LOCK_BY_HAND);
}

/* ---- waiting ---- */

/* Say that a lock is waited for. */
void
omen_maintain_want(Relation index, OmenMaintainLock wanted)
{
	(void) acquire(index, wanted, ShareLock, true);
}

void
omen_maintain_want_no_more(Relation index, OmenMaintainLock wanted)
{
	release(index, wanted, ShareLock);
}

/* Between two attempts to get a lock. */
void
omen_maintain_wait(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 LOCK_WAIT_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* vacuum_delay_point() for whoever has a lock; if it is wanted, without a nap. */
void
omen_maintain_nap(Relation index, OmenMaintainLock wanted)
{
	if (VacuumCostActive && VacuumCostBalance >= COST_LIMIT && is_locked(index, wanted))
		VacuumCostBalance = 0;
	vacuum_delay_point();
}

/* ---- the lock of marks ---- */

/*
 * Not waited for in the lock manager: that would cancel an autovacuum that
 * walks a large index, or a worker that is about to publish.  Its holders wait
 * for no other lock, so there is no deadlock to detect.
 */
void
omen_maintain_lock_marks(Relation index)
{
	if (omen_maintain_try_lock(index, OMEN_LOCK_MARKS))
		return;
	omen_maintain_want(index, OMEN_LOCK_MARKS_WANTED);
	while (!omen_maintain_try_lock(index, OMEN_LOCK_MARKS))
		omen_maintain_wait();
	omen_maintain_want_no_more(index, OMEN_LOCK_MARKS_WANTED);
}

/* If somebody waits for the lock of marks, which the caller has, let him have it first; returns whether. */
bool
omen_maintain_yield_marks(Relation index)
{
	if (!is_locked(index, OMEN_LOCK_MARKS_WANTED))
		return false;
	omen_maintain_unlock(index, OMEN_LOCK_MARKS);
	do
		omen_maintain_wait();
	while (is_locked(index, OMEN_LOCK_MARKS_WANTED));
	omen_maintain_lock_marks(index);
	return true;
}
