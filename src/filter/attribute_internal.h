/*-------------------------------------------------------------------------
 *
 * attribute_internal.h
 *	  What the files that put an attribute's values in order share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_INTERNAL_H
#define OMEN_ATTRIBUTE_INTERNAL_H

#include "miscadmin.h"
#include "utils/memutils.h"

/* Elements between two looks at interrupts. */
#define OMEN_ELEMENTS_PER_CHECK 65536

/* Of any size, zero too, in the current memory context. */
static inline void *
omen_attribute_allocate(Size bytes)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes, 1));
}

/* In a loop over many elements, with the number of each. */
static inline void
omen_attribute_check_interrupts(uint32 i)
{
	if (i % OMEN_ELEMENTS_PER_CHECK == 0)
		CHECK_FOR_INTERRUPTS();
}

#endif							/* OMEN_ATTRIBUTE_INTERNAL_H */
