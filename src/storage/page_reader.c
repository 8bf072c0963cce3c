/*-------------------------------------------------------------------------
 *
 * page_reader.c
 *	  Fast, checked access to the records of sealed segments.
 *
 * The pages of a sealed segment do not change (but for the DEAD column, read
 * as aligned words), so on a primary a pin suffices to read them: nobody
 * recycles the page while a snapshot that could know of it lives.  On a
 * standby, replay may recycle earlier; there a record is copied under the
 * share lock, and the stamp tells whether it is still the right page.  Locks
 * are taken one at a time, since replay locks several pages in its own order.
 *
 * Finding a page by ReadBuffer costs a hash of the block's tag and two
 * partition locks.  omen_read_recent() remembers per backend in which buffer
 * it last saw a block; ReadRecentBuffer verifies the tag, so the memory is a
 * plain direct-mapped table that needs no invalidation and holds any index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/page_reader.h"

#include "src/storage/extent.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"

/* 4 bytes each: 1 MB a backend, which remembers 2 GB of index. */
#define RECENT_SLOTS (1 << 18)

static Buffer *recent_buffers = NULL;

/*
 * So many calls of begin_reads() after a page was not where it was last seen
 * look for others: looking at each page's buffer twice would cost a search in
 * cached pages 4 %.
 */
#define LOOK_AHEAD_CALLS 64

static int	look_ahead = 0;

/* In place of a buffer: a read from disk has been begun, ask for no other. */
#define READ_BEGUN (-1)

static inline uint32
recent_slot(Relation index, BlockNumber block)
{
	return (LocatorNumber(RelationLocator(index)) * 0x9E3779B1U + block) & (RECENT_SLOTS - 1);
}

/* Pin a block by way of the backend's memory of where it was last. */
Buffer
omen_read_recent(Relation index, BlockNumber block, BufferAccessStrategy strategy)
{
	uint32		slot = recent_slot(index, block);
	Buffer		buffer;

	if (unlikely(recent_buffers == NULL))
		recent_buffers = MemoryContextAllocZero(TopMemoryContext, RECENT_SLOTS * sizeof(Buffer));
	if (unlikely(RelationUsesLocalBuffers(index)))
		return ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	buffer = recent_buffers[slot];
	if (likely(buffer > 0) &&
		likely(ReadRecentBuffer(RelationLocator(index), MAIN_FORKNUM, block, buffer)))
		return buffer;

	buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	recent_buffers[slot] = buffer;
	look_ahead = LOOK_AHEAD_CALLS;
	return buffer;
}

void
omen_reader_init(OmenReader *reader, Relation index)
{
	if (recent_buffers == NULL)
		recent_buffers = MemoryContextAllocZero(TopMemoryContext, RECENT_SLOTS * sizeof(Buffer));
	memset(reader, 0, sizeof(*reader));
	reader->index = index;
	reader->context = CurrentMemoryContext;
	reader->copies = RecoveryInProgress();
	reader->io_concurrency = get_tablespace_io_concurrency(index->rd_rel->reltablespace);
}

/* Unpin all pages; pointers handed out are void. */
void
omen_reader_release(OmenReader *reader)
{
	for (int i = 0; i < reader->n_pins; i++)
		ReleaseBuffer(reader->buffers[i]);
	reader->n_pins = 0;
	reader->n_copies = 0;
}

void
omen_column_view(OmenColumnView *view, Relation index, const OmenMeta *meta,
				 const OmenSegment *segment, OmenColumnId column)
{
	const OmenColumnRange *range = &segment->columns[column - 1];

	view->segment = segment;
	view->column = column;
	omen_column_shape(meta, segment, column, &view->shape);
	view->n_records = omen_column_count(segment, column);
	view->first_block = range->first_block;
	view->one_run_start = InvalidBlockNumber;

	if (omen_column_blocks(&view->shape, view->n_records) != range->n_blocks ||
		range->first_block + range->n_blocks > segment->n_blocks)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("directory of index \"%s\" is damaged", RelationGetRelationName(index)),
				 errdetail("Column %d of segment %u has %u blocks for %u records.",
						   column, segment->id, range->n_blocks, view->n_records),
				 errhint("Please REINDEX it.")));

	if (segment->n_runs == 1)
		view->one_run_start = segment->runs[0].start + range->first_block;
}

/*
 * May replay have recycled what the running query knows of?  On a standby it
 * may, and of a query that began there so it may have after the promotion.
 */
bool
omen_replay_may_recycle(void)
{
	return RecoveryInProgress() ||
		(ActiveSnapshotSet() && GetActiveSnapshot()->takenDuringRecovery);
}

void
omen_page_mismatch(Relation index, BlockNumber block)
{
	if (omen_replay_may_recycle())
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("canceling statement due to conflict with recovery"),
				 errdetail("Block %u of index \"%s\" has been recycled while the query might have needed it.",
						   block, RelationGetRelationName(index)),
				 errhint("Retry the query; hot_standby_feedback prevents this.")));
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" contains an unexpected page at block %u",
					RelationGetRelationName(index), block),
			 errhint("Please REINDEX it.")));
	pg_unreachable();
}

void
omen_page_check(Relation index, Buffer buffer, uint32 segment_id,
				OmenColumnId column, uint32 column_block)
{
	const OmenPageStamp *stamp = OmenPageGetStamp(BufferGetPage(buffer));

	if (unlikely(stamp->segment_id != segment_id || stamp->column != column ||
				 stamp->logical_block != column_block))
		omen_page_mismatch(index, BufferGetBlockNumber(buffer));
}

static inline BlockNumber
physical_block(OmenReader *reader, const OmenColumnView *view, uint32 column_block)
{
	if (likely(view->one_run_start != InvalidBlockNumber))
		return view->one_run_start + column_block;
	return omen_extent_block(reader->index, view->segment, view->first_block + column_block);
}

/* The page of a column block, pinned by the reader; NULL if the reader is full. */
static inline Page
pinned_page(OmenReader *reader, const OmenColumnView *view, uint32 column_block)
{
	BlockNumber block = physical_block(reader, view, column_block);
	int			n = reader->n_pins;

	for (int i = 0; i < n; i++)
		if (reader->blocks[i] == block)
			return reader->pages[i];
	if (n == OMEN_READER_PINS)
		return NULL;

	reader->buffers[n] = omen_read_recent(reader->index, block, reader->strategy);
	reader->blocks[n] = block;
	reader->pages[n] = BufferGetPage(reader->buffers[n]);
	reader->n_pins = n + 1;
	omen_page_check(reader->index, reader->buffers[n], view->segment->id, view->column, column_block);
	return reader->pages[n];
}

/* Make *space, of *have bytes, at least `bytes` long; its content is void. */
static char *
reserve(OmenReader *reader, char **space, size_t *have, size_t bytes)
{
	if (*have < bytes)
	{
		if (*space)
			pfree(*space);
		*space = NULL;
		*have = 0;
		*space = MemoryContextAlloc(reader->context, bytes);
		*have = bytes;
	}
	return *space;
}

/* Space for a copy of `bytes`, one of OMEN_READER_COPIES between two releases. */
static char *
copy_space(OmenReader *reader, size_t bytes)
{
	int			i = reader->n_copies++;

	return reserve(reader, &reader->copy_space[i], &reader->copy_bytes[i], bytes);
}

char *
omen_reader_space(OmenReader *reader, size_t bytes)
{
	return reserve(reader, &reader->space, &reader->space_bytes, bytes);
}

/* Copy `bytes` of a column's page from `offset` on, under the share lock. */
static void
copy_from_page(OmenReader *reader, const OmenColumnView *view, uint32 column_block,
			   uint32 offset, char *to, uint32 bytes)
{
	BlockNumber block = physical_block(reader, view, column_block);
	Buffer		buffer = omen_read_recent(reader->index, block, reader->strategy);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	omen_page_check(reader->index, buffer, view->segment->id, view->column, column_block);
	memcpy(to, (char *) BufferGetPage(buffer) + offset, bytes);
	UnlockReleaseBuffer(buffer);
}

/* Record by copy: of one that spans pages, or on a standby. */
static bool
copied_record(OmenReader *reader, const OmenColumnView *view, uint32 record,
			  const void **head, const void **body)
{
	const OmenColumnShape *shape = &view->shape;
	uint32		total = shape->head_bytes + shape->body_bytes;
	char	   *copy;

	if (reader->n_copies == OMEN_READER_COPIES)
		return false;
	copy = copy_space(reader, total);
	*head = copy;
	*body = copy + shape->head_bytes;

	if (shape->per_page > 0)
	{
		uint32		column_block = record / shape->per_page;
		uint32		slot = record % shape->per_page;

		if (shape->head_bytes > 0)
			copy_from_page(reader, view, column_block,
						   OMEN_PAGE_START + slot * shape->head_bytes,
						   copy, shape->head_bytes);
		copy_from_page(reader, view, column_block,
					   shape->body_start + slot * shape->body_bytes,
					   copy + shape->head_bytes, shape->body_bytes);
		return true;
	}

	for (uint32 i = 0, done = 0; done < total; i++, done += OMEN_PAGE_CAPACITY)
		copy_from_page(reader, view, record * shape->pages_per_record + i, OMEN_PAGE_START,
					   copy + done, Min(total - done, OMEN_PAGE_CAPACITY));
	return true;
}

/*
 * Let the processor fetch the lines of a record from where its page was last
 * seen, and those that pinning will touch.  Without a pin another page may lie
 * there by now: then nothing is lost but the fetch.
 */
static inline void
prefetch_record(const OmenReader *reader, const OmenColumnShape *shape,
				BlockNumber block, uint32 slot)
{
	Buffer		buffer = recent_buffers[recent_slot(reader->index, block)];
	const char *page;
	const char *body;

	if (unlikely(buffer <= 0))
		return;
	page = (const char *) BufferGetBlock(buffer);
	__builtin_prefetch(GetBufferDescriptor(buffer - 1), 1);
	__builtin_prefetch(page);
	if (shape->head_bytes > 0)
		__builtin_prefetch(page + OMEN_PAGE_START + slot * shape->head_bytes);
	body = page + shape->body_start + slot * shape->body_bytes;
	for (uint32 i = 0; i < shape->body_bytes; i += 64)
		__builtin_prefetch(body + i);
}

/*
 * Is the page of a block where it was last seen, or on its way from disk?  A
 * look without lock: a hint.
 */
static inline bool
is_at_hand(Relation index, BlockNumber block)
{
	Buffer		buffer = recent_buffers[recent_slot(index, block)];
	BufferTag	tag;

	if (buffer <= 0)
		return buffer == READ_BEGUN;
#if PG_VERSION_NUM >= 160000
	InitBufferTag(&tag, &RelationLocator(index), MAIN_FORKNUM, block);
	return BufferTagsEqual(&GetBufferDescriptor(buffer - 1)->tag, &tag);
#else
	INIT_BUFFERTAG(tag, RelationLocator(index), MAIN_FORKNUM, block);
	return BUFFERTAGS_EQUAL(GetBufferDescriptor(buffer - 1)->tag, tag);
#endif
}

/*
 * Have the kernel read a block that is not in shared buffers; if it is there,
 * remember where.  Returns whether a read was begun.
 */
static bool
begin_read(OmenReader *reader, BlockNumber block)
{
	PrefetchBufferResult result = PrefetchBuffer(reader->index, MAIN_FORKNUM, block);

	recent_buffers[recent_slot(reader->index, block)] =
		BufferIsValid(result.recent_buffer) ? result.recent_buffer : READ_BEGUN;
	return result.initiated_io;
}

/*
 * Begin to read the pages of n records that are not in shared buffers, all at
 * once instead of each when it is needed, but no more than the setting
 * effective_io_concurrency allows.
 */
static void
begin_reads(OmenReader *reader, const OmenColumnView *view, const uint32 *pages, int n)
{
	int			n_begun = 0;

	if (likely(look_ahead == 0) || reader->io_concurrency == 0 || RelationUsesLocalBuffers(reader->index))
		return;
	look_ahead--;
	for (int i = 0; i < n && n_begun < reader->io_concurrency; i++)
	{
		BlockNumber block = physical_block(reader, view, pages[i]);

		if (unlikely(!is_at_hand(reader->index, block)))
			n_begun += begin_read(reader, block);
	}
}

void
omen_reader_prefetch(OmenReader *reader, const OmenColumnView *view, uint32 record)
{
	const OmenColumnShape *shape = &view->shape;
	BlockNumber block;
	uint32		page;

	if (shape->per_page == 0 || record >= view->n_records)
		return;
	page = omen_column_page(shape, record);
	block = physical_block(reader, view, page);
	if (!reader->copies)
		prefetch_record(reader, shape, block, record - page * shape->per_page);
	begin_reads(reader, view, &page, 1);
}

static void
check_record(const OmenReader *reader, const OmenColumnView *view, uint32 record)
{
	if (unlikely(record >= view->n_records))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" refers to record %u of %u in column %d of segment %u",
						RelationGetRelationName(reader->index), record, view->n_records,
						view->column, view->segment->id),
				 errhint("Please REINDEX it.")));
}

/*
 * Where a record lies on its page, pinned by the reader; false if the reader
 * is full.
 */
static inline bool
place_record(OmenReader *reader, const OmenColumnView *view, uint32 column_block, uint32 slot,
			 const void **head, const void **body)
{
	const OmenColumnShape *shape = &view->shape;
	char	   *page = (char *) pinned_page(reader, view, column_block);

	if (page == NULL)
		return false;
	*head = page + OMEN_PAGE_START + slot * shape->head_bytes;
	*body = page + shape->body_start + slot * shape->body_bytes;
	return true;
}

/*
 * Point at a record.  False if the reader is full: release, then try again
 * (the first record after a release always succeeds).
 */
static bool
read_record(OmenReader *reader, const OmenColumnView *view,
			uint32 record, const void **head, const void **body)
{
	uint32		page;

	check_record(reader, view, record);
	if (unlikely(reader->copies || view->shape.per_page == 0))
		return copied_record(reader, view, record, head, body);
	page = omen_column_page(&view->shape, record);
	return place_record(reader, view, page, record - page * view->shape.per_page, head, body);
}

int
omen_reader_records(OmenReader *reader, const OmenColumnView *view, const uint32 *records, int n,
					const void **heads, const void **bodies)
{
	uint32		pages[OMEN_READER_BATCH];
	uint32		slots[OMEN_READER_BATCH];
	int			i;

	if (n <= 0)
		return 0;
	n = Min(n, OMEN_READER_BATCH);
	if (unlikely(view->shape.per_page == 0))
	{
		for (i = 0; i < n; i++)
			if (!read_record(reader, view, records[i], &heads[i], &bodies[i]))
				break;
		return i;
	}

	for (i = 0; i < n; i++)
	{
		check_record(reader, view, records[i]);
		pages[i] = omen_column_page(&view->shape, records[i]);
	}
	if (unlikely(reader->copies))
	{
		begin_reads(reader, view, pages, Min(n, OMEN_READER_COPIES));
		for (i = 0; i < n; i++)
			if (!read_record(reader, view, records[i], &heads[i], &bodies[i]))
				break;
		return i;
	}

	for (i = 0; i < n; i++)
	{
		slots[i] = records[i] - pages[i] * view->shape.per_page;
		prefetch_record(reader, &view->shape, physical_block(reader, view, pages[i]), slots[i]);
	}
	begin_reads(reader, view, pages, n);
	for (i = 0; i < n; i++)
		if (!place_record(reader, view, pages[i], slots[i], &heads[i], &bodies[i]))
			break;
	return i;
}

void
omen_reader_one(OmenReader *reader, const OmenColumnView *view,
				uint32 record, const void **head, const void **body)
{
	if (!read_record(reader, view, record, head, body))
	{
		omen_reader_release(reader);
		(void) read_record(reader, view, record, head, body);
	}
}

uint32
omen_reader_run(OmenReader *reader, const OmenColumnView *view,
				uint32 record, uint32 n, const void **bodies)
{
	uint32		per_page = view->shape.per_page;
	const void *head;

	omen_reader_one(reader, view, record, &head, bodies);
	if (reader->copies || per_page == 0)
		return 1;
	return Min(Min(n, view->n_records - record), per_page - record % per_page);
}
