/*-------------------------------------------------------------------------
 *
 * maintain_lock.h
 *	  Heavyweight locks that order the maintenance of an index.
 *
 * Taken in this order:
 *
 *	by hand	omenvec_optimize() is there, or waits for what is going on
 *	merge	sealed segments are replaced; whoever works through all that is
 *			due holds it
 *	seal	frozen tails are replaced
 *	marks	rows are marked dead (vacuum, for its whole walk, but that it lets
 *			others go first), or what was marked moves with the rows (a merge,
 *			while it publishes)
 *
 * So an inserting backend can seal while a long merge goes on, a vacuum waits
 * at most for a publication, and a publication for a page of the vacuum's walk.
 *
 * "Wanted" are shared by all who wait for the lock of that name without the
 * lock manager.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_MAINTAIN_LOCK_H
#define OMEN_MAINTAIN_LOCK_H

#include "utils/rel.h"

/* Sub-object numbers of the index's OID. */
typedef enum OmenMaintainLock
{
	OMEN_LOCK_MERGE = 1,
	OMEN_LOCK_SEAL = 2,
	OMEN_LOCK_MARKS = 3,
	OMEN_LOCK_BY_HAND = 4,
	OMEN_LOCK_MARKS_WANTED = 5,
	OMEN_LOCK_SEAL_WANTED = 6
} OmenMaintainLock;

extern void omen_maintain_lock(Relation index, OmenMaintainLock lock);
extern bool omen_maintain_try_lock(Relation index, OmenMaintainLock lock);
extern void omen_maintain_unlock(Relation index, OmenMaintainLock lock);
extern bool omen_maintain_is_by_hand(Relation index);

extern void omen_maintain_want(Relation index, OmenMaintainLock wanted);
extern void omen_maintain_want_no_more(Relation index, OmenMaintainLock wanted);
extern void omen_maintain_wait(void);
extern void omen_maintain_nap(Relation index, OmenMaintainLock wanted);

extern void omen_maintain_lock_marks(Relation index);
extern bool omen_maintain_yield_marks(Relation index);

#endif							/* OMEN_MAINTAIN_LOCK_H */
