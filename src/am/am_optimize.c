/*-------------------------------------------------------------------------
 *
 * am_optimize.c
 *	  omenvec_optimize(): maintenance of an index by hand.
 *
 * Sealing and merging are what VACUUM and inserting backends do anyway; this
 * does it now, whatever the length of the tail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/maintain_progress.h"
#include "src/storage/index_relation.h"

#include "access/xlog.h"
#include "fmgr.h"

PG_FUNCTION_INFO_V1(omen_am_optimize);

/*
 * omenvec_optimize(index regclass, "full" boolean) RETURNS void
 *
 * The table is locked as VACUUM does, so one of them waits for the other
 * here and not in the middle; queries and writers go on.
 */
Datum
omen_am_optimize(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	bool		full = PG_GETARG_BOOL(1);
	OmenIndexRelation opened;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("recovery is in progress"),
				 errhint("Optimize the index on the primary.")));

	omen_index_check_permission(index_oid, InvalidOid);
	omen_index_open(&opened, index_oid, ShareUpdateExclusiveLock, RowExclusiveLock);
	omen_index_act_as_owner(&opened);
	omen_progress_start(opened.index);
	omen_maintain_now(opened.index, full);
	omen_progress_end();
	omen_index_close(&opened);
	PG_RETURN_VOID();
}
