/*-------------------------------------------------------------------------
 *
 * test_host.h
 *	  A host of the graph code (graph_memory.h) that counts what it gives.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include "c.h"

#include <stdlib.h>
#include <string.h>

#include "src/graph/graph_memory.h"

typedef struct TestCounts
{
	long		n_allocated;	/* pieces of memory not released yet */
	long		n_ticks;
} TestCounts;

/* Memory is not zeroed, and says so. */
static inline void *
test_host_alloc(void *arg, size_t bytes)
{
	TestCounts *counts = arg;
	void	   *memory = aligned_alloc(64, TYPEALIGN(64, Max(bytes, 1)));

	if (memory == NULL)
		abort();
	memset(memory, 0x5a, Max(bytes, 1));
	counts->n_allocated++;
	return memory;
}

static inline void
test_host_release(void *arg, void *pointer)
{
	TestCounts *counts = arg;

	counts->n_allocated--;
	free(pointer);
}

static inline void
test_host_tick(void *arg, uint32 n_done pg_attribute_unused())
{
	TestCounts *counts = arg;

	counts->n_ticks++;
}

#define TEST_HOST(counts) {(counts), test_host_alloc, test_host_release, test_host_tick}

#endif							/* TEST_HOST_H */
