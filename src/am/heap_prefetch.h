/*-------------------------------------------------------------------------
 *
 * heap_prefetch.h
 *	  Rows that a scan will return soon, on their way to the processor.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_HEAP_PREFETCH_H
#define OMEN_HEAP_PREFETCH_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/rel.h"

/* At most so many rows at a time: LIMIT 10 takes about twelve. */
#define OMEN_PREFETCH_ROWS 12

extern void omen_prefetch_rows(Relation heap, const ItemPointerData *tids, int n);

#endif							/* OMEN_HEAP_PREFETCH_H */
