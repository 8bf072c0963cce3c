/*-------------------------------------------------------------------------
 *
 * graph_host.c
 *	  A backend as the host of the graph code: memory contexts, interrupts.
 *
 *-------------------------------------------------------------------------
 */
#include "src/am/graph_host.h"

#ifndef WIN32
#include <sys/mman.h>
#endif

#include "miscadmin.h"
#include "utils/memutils.h"

#define ALIGNMENT 64

/* Arrays from this size on are worth huge pages: they are read at random. */
#define HUGE_ARRAY (4 * 1024 * 1024)
#define HUGE_PAGE (2 * 1024 * 1024)

/* Ask for huge pages in the whole ones of a large array; only a hint. */
void
omen_host_advise_huge_pages(void *start, size_t bytes)
{
#ifdef MADV_HUGEPAGE
	char	   *first = (char *) TYPEALIGN(HUGE_PAGE, start);
	char	   *end = (char *) TYPEALIGN_DOWN(HUGE_PAGE, (char *) start + bytes);

	if (bytes >= HUGE_ARRAY && end > first)
		(void) madvise(first, end - first, MADV_HUGEPAGE);
#endif
}

/* Aligned memory keeps the true start of its chunk just before itself. */
void *
omen_host_alloc(MemoryContext context, size_t bytes)
{
	char	   *chunk = MemoryContextAllocHuge(context, bytes + ALIGNMENT + sizeof(void *));
	char	   *aligned = (char *) TYPEALIGN(ALIGNMENT, chunk + sizeof(void *));

	((void **) aligned)[-1] = chunk;
	omen_host_advise_huge_pages(aligned, bytes);
	return aligned;
}

void
omen_host_release(void *pointer)
{
	if (pointer)
		pfree(((void **) pointer)[-1]);
}

static void *
host_alloc(void *arg, size_t bytes)
{
	return omen_host_alloc((MemoryContext) arg, bytes);
}

static void
host_release(void *arg, void *pointer)
{
	omen_host_release(pointer);
}

static void
host_tick(void *arg, uint32 n_done)
{
	CHECK_FOR_INTERRUPTS();
}

void
omen_host_init(OmenHost *host, MemoryContext context)
{
	host->arg = context;
	host->alloc = host_alloc;
	host->release = host_release;
	host->tick = host_tick;
}
