/*-------------------------------------------------------------------------
 *
 * segment_writer.c
 *	  Writing a sealed segment: columns once, then one change of the directory.
 *
 * The order of things, and what a crash leaves after each:
 *
 *	 1. the directory gets an entry BUILDING with the space: the next
 *		maintenance drops it;
 *	 2. the pages are filled in shared buffers, without records: the same;
 *	 3. whole pages are logged: the same;
 *	 4. one record makes the entry LIVE and retires what it replaces: done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/segment_writer.h"

#include "src/storage/extent.h"
#include "src/storage/maintain_lock.h"
#include "src/storage/page_reader.h"
#include "src/storage/resident.h"

#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

/* A new page of the segment in a zeroed buffer, locked exclusively. */
static Buffer
new_page(Relation index, const OmenSegment *segment, OmenColumnId column, uint32 column_block)
{
	BlockNumber block = omen_extent_block(index, segment,
										  segment->columns[column - 1].first_block + column_block);
	Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);

	omen_page_init(BufferGetPage(buffer), OMEN_PAGE_COLUMN, segment->id, column, column_block);
	return buffer;
}

static void
finish_page(Buffer buffer, uint32 used_to)
{
	((PageHeader) BufferGetPage(buffer))->pd_lower = used_to;
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* One page of records first .. first + count. */
static void
write_record_page(Relation index, const OmenSegment *segment, OmenColumnId column,
				  const OmenColumnShape *shape, const OmenSegmentContent *content,
				  uint32 first, uint32 count)
{
	Buffer		buffer = new_page(index, segment, column, first / shape->per_page);
	char	   *page = (char *) BufferGetPage(buffer);

	OmenPageGetStamp(page)->n_records = count;
	for (uint32 i = 0; i < count; i++)
	{
		const void *head = NULL;
		const void *body;

		content->record(content->arg, column, first + i, &head, &body);
		if (shape->head_bytes > 0)
			memcpy(page + OMEN_PAGE_START + i * shape->head_bytes, head, shape->head_bytes);
		memcpy(page + shape->body_start + i * shape->body_bytes, body, shape->body_bytes);
	}
	finish_page(buffer, shape->body_start + count * shape->body_bytes);
}

/* A record longer than a page, on pages_per_record pages. */
static void
write_long_record(Relation index, const OmenSegment *segment, OmenColumnId column,
				  const OmenColumnShape *shape, const OmenSegmentContent *content, uint32 record)
{
	uint32		total = shape->head_bytes + shape->body_bytes;
	char	   *whole = palloc(total);
	const void *head = NULL;
	const void *body;

	content->record(content->arg, column, record, &head, &body);
	if (shape->head_bytes > 0)
		memcpy(whole, head, shape->head_bytes);
	memcpy(whole + shape->head_bytes, body, shape->body_bytes);

	for (uint32 i = 0; i < shape->pages_per_record; i++)
	{
		Buffer		buffer = new_page(index, segment, column, record * shape->pages_per_record + i);
		uint32		done = i * OMEN_PAGE_CAPACITY;
		uint32		bytes = Min(total - done, OMEN_PAGE_CAPACITY);
		char	   *page = (char *) BufferGetPage(buffer);

		OmenPageGetStamp(page)->n_records = i == 0;
		memcpy(page + OMEN_PAGE_START, whole + done, bytes);
		finish_page(buffer, OMEN_PAGE_START + bytes);
	}
	pfree(whole);
}

static void
write_column(Relation index, const OmenMeta *meta, const OmenSegment *segment,
			 OmenColumnId column, const OmenSegmentContent *content)
{
	OmenColumnShape shape;
	uint32		n_records = omen_column_count(segment, column);

	omen_column_shape(meta, segment, column, &shape);
	if (shape.per_page == 0)
	{
		for (uint32 record = 0; record < n_records; record++)
		{
			omen_maintain_nap(index, OMEN_LOCK_SEAL_WANTED);
			write_long_record(index, segment, column, &shape, content, record);
		}
		return;
	}
	for (uint32 first = 0; first < n_records; first += shape.per_page)
	{
		omen_maintain_nap(index, OMEN_LOCK_SEAL_WANTED);
		write_record_page(index, segment, column, &shape, content,
						  first, Min(shape.per_page, n_records - first));
	}
}

/* All tuples alive: zero words. */
static void
write_dead_column(Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	OmenColumnShape shape;
	uint32		n_words = omen_column_count(segment, OMEN_COLUMN_DEAD);

	omen_column_shape(meta, segment, OMEN_COLUMN_DEAD, &shape);
	for (uint32 first = 0; first < n_words; first += shape.per_page)
	{
		Buffer		buffer = new_page(index, segment, OMEN_COLUMN_DEAD, first / shape.per_page);
		uint32		count = Min(shape.per_page, n_words - first);

		OmenPageGetStamp(BufferGetPage(buffer))->n_records = count;
		finish_page(buffer, shape.body_start + count * shape.body_bytes);
	}
}

/* Lay the columns one after the other; returns the blocks of all. */
static uint32
plan_columns(const OmenMeta *meta, OmenSegment *segment)
{
	uint32		next_block = 0;

	for (OmenColumnId column = 1; column <= OMEN_N_COLUMNS; column++)
	{
		OmenColumnShape shape;
		OmenColumnRange *range = &segment->columns[column - 1];

		omen_column_shape(meta, segment, column, &shape);
		range->first_block = next_block;
		range->n_blocks = omen_column_blocks(&shape, omen_column_count(segment, column));
		next_block += range->n_blocks;
	}
	return next_block;
}

static void
fill_descriptor(const OmenMeta *meta, const OmenSegmentContent *content, OmenSegment *segment)
{
	segment->refine = meta->refine;
	segment->n_nodes = content->n_nodes;
	segment->n_tid_entries = content->n_tid_entries;
	segment->n_rows = content->n_rows;
	segment->n_centres = content->n_centres;
	segment->n_samples = content->n_samples;
	segment->n_chunks = content->n_chunks;
	segment->n_terms = content->n_terms;
	segment->columns[OMEN_COLUMN_ATTRIBUTES - 1].n_blocks = content->n_attribute_chunks;
	segment->n_renewed = content->n_renewed;
	segment->curve = content->curve;
	segment->sketches = content->sketches;
	segment->null_list = content->null_list;
	segment->undirected_list = content->undirected_list;
	(void) plan_columns(meta, segment);
}

/*
 * Steps 1 to 3 above.  Returns false, with nothing done, if the directory has
 * no place for another segment.
 */
bool
omen_segment_write(Relation index, const OmenMeta *meta,
				   const OmenSegmentContent *content, uint32 *segment_id)
{
	OmenSegment segment;
	OmenSegment plan;
	OmenMetaChange change;

	memset(&plan, 0, sizeof(plan));
	fill_descriptor(meta, content, &plan);
	if (!omen_extent_add_segment(index, OMEN_SEGMENT_GRAPH, OMEN_STATE_BUILDING,
								 plan_columns(meta, &plan), &segment))
		return false;
	omen_extent_flush_metapage(index);
	fill_descriptor(meta, content, &segment);
	*segment_id = segment.id;

	for (OmenColumnId column = 1; column <= OMEN_N_COLUMNS; column++)
	{
		if (column == OMEN_COLUMN_DEAD)
			write_dead_column(index, meta, &segment);
		else
			write_column(index, meta, &segment, column, content);
	}

	if (RelationNeedsWAL(index))
		for (int run = 0; run < segment.n_runs; run++)
			log_newpage_range(index, MAIN_FORKNUM, segment.runs[run].start,
							  segment.runs[run].start + segment.runs[run].n_blocks, true);

	/* The descriptor is complete from here on; the state still says BUILDING. */
	omen_meta_change_begin(index, &change);
	*omen_meta_find(change.meta, segment.id) = segment;
	omen_meta_change_commit(&change);
	return true;
}

/*
 * Step 4: the new segment (0 for none, when all rows were dead) takes the
 * place of the replaced ones.
 */
void
omen_segment_publish(Relation index, uint32 segment_id,
					 const uint32 *replaced, int n_replaced)
{
	OmenSegment retired[OMEN_MAX_SEGMENTS];
	OmenMetaChange change;
	uint64		retire_xid;

	omen_meta_change_begin(index, &change);
	retire_xid = omen_extent_retire_xid();
	if (segment_id != 0)
		omen_meta_find(change.meta, segment_id)->state = OMEN_STATE_LIVE;
	for (int i = 0; i < n_replaced; i++)
	{
		OmenSegment *old = omen_meta_find(change.meta, replaced[i]);

		old->state = OMEN_STATE_RETIRED;
		old->retire_xid = retire_xid;
		retired[i] = *old;
	}
	omen_extent_join_retired(change.meta);
	omen_meta_change_commit(&change);
	for (int i = 0; i < n_replaced; i++)
		omen_resident_drop(index, &retired[i]);
}

/* Set bits in one page of the DEAD column: words are added to what is there. */
void
omen_segment_set_dead(Relation index, const OmenMeta *meta, const OmenSegment *segment,
					  uint32 dead_block, const uint64 *words, uint32 n_words)
{
	BlockNumber block = omen_extent_block(index, segment,
										  segment->columns[OMEN_COLUMN_DEAD - 1].first_block + dead_block);
	Buffer		buffer = ReadBuffer(index, block);
	OmenColumnShape shape;
	GenericXLogState *xlog;
	uint64	   *on_page;

	omen_column_shape(meta, segment, OMEN_COLUMN_DEAD, &shape);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	omen_page_check(index, buffer, segment->id, OMEN_COLUMN_DEAD, dead_block);
	xlog = GenericXLogStart(index);
	on_page = (uint64 *) ((char *) GenericXLogRegisterBuffer(xlog, buffer, 0) + shape.body_start);
	for (uint32 i = 0; i < n_words; i++)
		on_page[i] |= words[i];
	GenericXLogFinish(xlog);
	UnlockReleaseBuffer(buffer);
}
