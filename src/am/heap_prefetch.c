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
 * What is read from a page, under a pin but no lock, only decides which lines
 * are fetched: it may be changing meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/heap_prefetch.h"

#include "src/storage/page_reader.h"

#include "access/htup_details.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/spccache.h"

#define LINE_BYTES 64

/* Of a longer tuple the processor fetches the rest by itself. */
#define MAX_LINES 32

/* The line pointer of a row; its offset may be anything. */
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

/* The buffer of a block, on its way to the processor; InvalidBuffer if it is not in memory. */
static Buffer
prefetch_buffer(Relation heap, const ItemPointerData *tid)
{
	Buffer		buffer = PrefetchBuffer(heap, MAIN_FORKNUM, ItemPointerGetBlockNumberNoCheck(tid)).recent_buffer;
	const char *page;

	if (!BufferIsValid(buffer))
		return InvalidBuffer;
	page = (const char *) BufferGetBlock(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	__builtin_prefetch(page);
	__builtin_prefetch(line_pointer(page, tid));
	return buffer;
}

void
omen_prefetch_rows(Relation heap, const ItemPointerData *tids, int n)
{
	Buffer		buffers[OMEN_PREFETCH_ROWS];

	if (RelationUsesLocalBuffers(heap) ||
		get_tablespace_io_concurrency(heap->rd_rel->reltablespace) == 0)
		return;					/* the latter: nobody may ask the kernel ahead */
	n = Min(n, OMEN_PREFETCH_ROWS);
	for (int i = 0; i < n; i++)
		buffers[i] = prefetch_buffer(heap, &tids[i]);
	for (int i = 0; i < n; i++)
	{
		const char *page;

		if (!BufferIsValid(buffers[i]) ||
			!ReadRecentBuffer(RelationLocator(heap), MAIN_FORKNUM, ItemPointerGetBlockNumberNoCheck(&tids[i]), buffers[i]))
			continue;
		page = (const char *) BufferGetPage(buffers[i]);
		prefetch_tuple(page, line_pointer(page, &tids[i]));
		ReleaseBuffer(buffers[i]);
	}
}
