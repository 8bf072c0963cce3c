/*-------------------------------------------------------------------------
 *
 * graph_host.h
 *	  A backend as the host of the graph code: memory contexts, interrupts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_HOST_H
#define OMEN_GRAPH_HOST_H

#include "postgres.h"

#include "src/graph/graph_memory.h"

/* Memory comes from the context, tick looks at interrupts. */
extern void omen_host_init(OmenHost *host, MemoryContext context);

/* The same, for the host's owner: 64-byte aligned, of any size; NULL can be released. */
extern void *omen_host_alloc(MemoryContext context, size_t bytes);
extern void omen_host_release(void *pointer);
extern void omen_host_advise_huge_pages(void *start, size_t bytes);

#endif							/* OMEN_GRAPH_HOST_H */
