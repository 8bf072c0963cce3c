/*-------------------------------------------------------------------------
 *
 * am_handler.c
 *	  Entry point of access method omenhnsw.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/filter/attribute.h"

#include "commands/vacuum.h"
#include "fmgr.h"

/* What the catalogs do not say: an ORDER BY operator can be answered. */
static bool
omen_am_property(Oid index_oid, int attno, IndexAMProperty prop, const char *propname,
				 bool *res, bool *isnull)
{
	if (prop != AMPROP_DISTANCE_ORDERABLE || attno == 0)
		return false;
	*res = attno == 1;			/* the vector; attributes have no distances */
	*isnull = false;
	return true;
}

PG_FUNCTION_INFO_V1(omen_am_handler);

Datum
omen_am_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *amroutine = makeNode(IndexAmRoutine);

	amroutine->amstrategies = OMEN_N_STRATEGIES;
	amroutine->amsupport = OMEN_N_SUPPORT_PROCS;
	amroutine->amoptsprocnum = 0;
	amroutine->amcanorder = false;
	amroutine->amcanorderbyop = true;
	amroutine->amcanbackward = false;
	amroutine->amcanunique = false;
	amroutine->amcanmulticol = true; /* attributes follow the vector */
	amroutine->amoptionalkey = true;	/* ORDER BY alone suffices */
	amroutine->amsearcharray = true;
	amroutine->amsearchnulls = true;
	amroutine->amstorage = false;
	amroutine->amclusterable = false;
	amroutine->ampredlocks = false;
	amroutine->amcanparallel = false;
	amroutine->amcaninclude = false;
	amroutine->amusemaintenanceworkmem = false;
	amroutine->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	amroutine->amkeytype = InvalidOid;

	amroutine->ambuild = omen_am_build;
	amroutine->ambuildempty = omen_am_buildempty;
	amroutine->aminsert = omen_am_insert;
	amroutine->ambulkdelete = omen_am_bulkdelete;
	amroutine->amvacuumcleanup = omen_am_vacuumcleanup;
	amroutine->amcanreturn = NULL;
	amroutine->amcostestimate = omen_am_costestimate;
	amroutine->amoptions = omen_am_options;
	amroutine->amproperty = omen_am_property;
	amroutine->ambuildphasename = omen_am_buildphasename;
	amroutine->amvalidate = omen_am_validate;
	amroutine->amadjustmembers = NULL;
	amroutine->ambeginscan = omen_am_beginscan;
	amroutine->amrescan = omen_am_rescan;
	amroutine->amgettuple = omen_am_gettuple;
	amroutine->amgetbitmap = NULL;	/* a bitmap has no order */
	amroutine->amendscan = omen_am_endscan;
	amroutine->ammarkpos = NULL;
	amroutine->amrestrpos = NULL;
	amroutine->amestimateparallelscan = NULL;
	amroutine->aminitparallelscan = NULL;
	amroutine->amparallelrescan = NULL;

	PG_RETURN_POINTER(amroutine);
}
