/*-------------------------------------------------------------------------
 *
 * scan_memory.h
 *	  Memory of scans, which a backend keeps from one to the next.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_MEMORY_H
#define OMEN_SCAN_MEMORY_H

#include "postgres.h"

typedef enum OmenScanMemory
{
	OMEN_SCAN_LASTING,			/* for what survives rescans */
	OMEN_SCAN_PASSING			/* for what does not */
} OmenScanMemory;

/* A context without anything in it, below the current one. */
extern MemoryContext omen_scan_memory_take(OmenScanMemory kind);

/* Empty it, and keep it for the next scan if there is none yet. */
extern void omen_scan_memory_give_back(OmenScanMemory kind, MemoryContext context);

#endif							/* OMEN_SCAN_MEMORY_H */
