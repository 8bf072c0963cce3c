/*-------------------------------------------------------------------------
 *
 * am_resident.c
 *	  Resident copies as SQL sees them: the setting, making, looking.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/storage/index_relation.h"
#include "src/storage/resident.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

/*
 * A million vectors of 128 dimensions take 300 MB.  The memory is page cache,
 * which the kernel takes back when something else needs it, so the limit need
 * not be small; it is there for the disk's sake, too.
 */
#define DEFAULT_RESIDENT_MB 1024

PG_FUNCTION_INFO_V1(omen_am_prewarm);
PG_FUNCTION_INFO_V1(omen_am_resident_copies);

/* Called once, from omen_am_init(). */
void
omen_am_resident_init(void)
{
	DefineCustomIntVariable("omenvec.resident_memory",
							"Limit of the memory for resident copies of index segments, of the whole server.",
							"Searches read a copy several times faster than pages. "
							"Copies are temporary files mapped into memory; 0 means none.",
							&omen_resident_memory,
							DEFAULT_RESIDENT_MB, 0, MAX_KILOBYTES / 1024,
							PGC_SIGHUP, GUC_UNIT_MB, NULL, NULL, NULL);
}

/*
 * omenvec_prewarm(index regclass) RETURNS bigint
 *
 * Makes the copies that the index has not yet, largest segment first, in
 * place of other indexes' copies if need be; returns the bytes of all.
 */
Datum
omen_am_prewarm(PG_FUNCTION_ARGS)
{
	Oid			index_oid = PG_GETARG_OID(0);
	OmenIndexRelation opened;
	uint64		bytes;

	omen_index_check_permission(index_oid, InvalidOid);
	omen_index_open(&opened, index_oid, AccessShareLock, AccessShareLock);
	bytes = omen_resident_fill(opened.index, OMEN_RESIDENT_PREWARM);
	omen_index_close(&opened);
	PG_RETURN_INT64((int64) bytes);
}

/*
 * omenvec_resident_copies() RETURNS SETOF (database oid, tablespace oid, relfilenode oid,
 * segment_id bigint, bytes bigint, made_at timestamptz, last_used timestamptz)
 */
Datum
omen_am_resident_copies(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	OmenResidentFile *files;
	int			n;

	InitMaterializedSRF(fcinfo, 0);
	n = omen_resident_list(&files);
	for (int i = 0; i < n; i++)
	{
		const OmenResidentFile *file = &files[i];
		Datum		values[] = {
			ObjectIdGetDatum(file->key.database),
			ObjectIdGetDatum(file->key.tablespace),
			ObjectIdGetDatum(file->key.relfile),
			Int64GetDatum(file->key.segment_id),
			Int64GetDatum((int64) file->bytes),
			TimestampTzGetDatum(file->made_at),
			TimestampTzGetDatum(file->last_used)
		};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
