/*-------------------------------------------------------------------------
 *
 * heap_prefetch.c
 *	  Rows that a scan will return soon, on their way to the processor.
 *
 * The nearest rows lie anywhere in the heap, so each of them costs the
 * executor a chain of cache misses: buffer, line pointer, tuple.  Here the
 * chains of several rows run side by side.  Blocks that are not in shared
 * buffers are asked of the kernel (PrefetchBuffer).
 *
 * Pages are looked at without a pin: by then a buffer may hold another page or
 * be changing, and what is read from it only decides which lines are fetched.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/heap_prefetch.h"

#include "access/htup_details.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/spccache.h"

#define LINE_BYTES 64

/* Of a longer tuple the processor fetches the rest by itself. */
#define MAX_LINES 32

/* The line pointer of a row, on a page that nothing holds. */
static const ItemIdData *
line_pointer(const char *page, const ItemPointerData *tid)
{
	OffsetNumber offset = Min(Max(ItemPointerGetOffsetNumberNoCheck(tid), 1), MaxHeapTuplesPerPage);

	return &((const PageHeaderData *) page)->pd_linp[offset - 1];
}

static void
prefetch_tuple(const char *page, const ItemIdData *line)
{
	uint32		start = Min(line->lp_off, BLCKSZ);
	uint32		end = Min(start + line->lp_len, BLCKSZ);

	for (uint32 i = 0; i < MAX_LINES && start < end; i++, start += LINE_BYTES)
		__builtin_prefetch(page + start);
}

void
omen_prefetch_rows(Relation heap, const ItemPointerData *tids, int n)
{
	const char *pages[OMEN_PREFETCH_ROWS];

	if (RelationUsesLocalBuffers(heap) ||
		get_tablespace_io_concurrency(heap->rd_rel->reltablespace) == 0)
		return;					/* the latter: nobody may ask the kernel ahead */
	n = Min(n, OMEN_PREFETCH_ROWS);
	for (int i = 0; i < n; i++)
	{
		Buffer		buffer = PrefetchBuffer(heap, MAIN_FORKNUM,
											ItemPointerGetBlockNumberNoCheck(&tids[i])).recent_buffer;

		pages[i] = NULL;
		if (!BufferIsValid(buffer))
			continue;
		pages[i] = (const char *) BufferGetBlock(buffer);
		__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
		__builtin_prefetch(pages[i]);
		__builtin_prefetch(line_pointer(pages[i], &tids[i]));
	}
	for (int i = 0; i < n; i++)
		if (pages[i])
			prefetch_tuple(pages[i], line_pointer(pages[i], &tids[i]));
}
