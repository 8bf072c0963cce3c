/*-------------------------------------------------------------------------
 *
 * scan_memory.c
 *	  Memory of scans, which a backend keeps from one to the next.
 *
 * A search needs some 100 kB for less than a millisecond.  If each scan asked
 * malloc for that, the C library would return it to the system at the end of each
 * (from 128 kB on, by default), and get it page by page again for the next: a
 * fifth of the time of a short statement.  So a backend keeps what its scans
 * usually need, in generation contexts, whose first block outlives a reset and
 * which take large chunks into it.
 *
 * A context in use is a child of the scan's: where a scan ends by an error, it
 * goes with that, and the next scan makes a new one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_memory.h"

#include "utils/memutils.h"

/* What is kept, of each kind. */
#define KEPT_BYTES (256 * 1024)

static MemoryContext kept[2];

MemoryContext
omen_scan_memory_take(OmenScanMemory kind)
{
	MemoryContext context = kept[kind];

	if (context == NULL)
		return GenerationContextCreate(CurrentMemoryContext, "omenvec scan", KEPT_BYTES, KEPT_BYTES,
									   ALLOCSET_DEFAULT_MAXSIZE);
	kept[kind] = NULL;
	MemoryContextSetParent(context, CurrentMemoryContext);
	return context;
}

void
omen_scan_memory_give_back(OmenScanMemory kind, MemoryContext context)
{
	if (kept[kind] != NULL)
	{
		MemoryContextDelete(context);
		return;
	}
	MemoryContextReset(context);
	MemoryContextSetParent(context, TopMemoryContext);
	kept[kind] = context;
}
