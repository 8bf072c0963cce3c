/*-------------------------------------------------------------------------
 *
 * test_memory.h
 *	  Memory in whole cache lines; a program without it ends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TEST_MEMORY_H
#define TEST_MEMORY_H

#include "c.h"

#include <stdlib.h>
#include <string.h>

static inline void *
get_filled(size_t bytes, int fill)
{
	size_t		n = TYPEALIGN(64, Max(bytes, 1));
	void	   *memory = aligned_alloc(64, n);

	if (memory == NULL)
		abort();
	return memset(memory, fill, n);
}

static inline void *
get_zeroed(size_t bytes)
{
	return get_filled(bytes, 0);
}

/* Not zeroed, and says so. */
static inline void *
get_dirty(size_t bytes)
{
	return get_filled(bytes, 0x5a);
}

#endif							/* TEST_MEMORY_H */
