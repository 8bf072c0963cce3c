/*-------------------------------------------------------------------------
 *
 * graph_memory.h
 *	  What the algorithms need from their host: memory and a heartbeat.
 *
 * The graph code runs inside a backend and in plain test programs.  In a
 * backend, alloc draws on a memory context (which also frees everything if
 * tick throws), in a test on malloc.  alloc returns 64-byte aligned memory,
 * never NULL.  tick is called at least every few milliseconds of work, with
 * no state half changed that a longjmp out of it would leak.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_MEMORY_H
#define OMEN_GRAPH_MEMORY_H

#include "c.h"

typedef struct OmenHost
{
	void	   *arg;
	void	   *(*alloc) (void *arg, size_t bytes);
	void		(*release) (void *arg, void *pointer);
	void		(*tick) (void *arg, uint32 n_done);	/* n_done: nodes finished in the running phase */
} OmenHost;

#endif							/* OMEN_GRAPH_MEMORY_H */
