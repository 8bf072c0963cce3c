/*-------------------------------------------------------------------------
 *
 * tail.c
 *	  The tail: rows in the order of their arrival, until they are sealed.
 *
 * Appending locks one page.  A page is in use from the moment it bears the
 * tail's stamp, and the next one is stamped only when it is full, so the rows
 * of a tail are the stamped pages from its first block on.  Everything else
 * in its extents is unused: new pages, or pages with the stamp of an earlier
 * owner.
 *
 * Closing a tail against inserters who know it from before:
 *
 *	sealer							inserter
 *	directory: OPEN -> LIVE			lock page
 *	for each page that has room:	page closed or not ours? read the
 *		lock page						directory again, start over
 *		mark it CLOSED				page not stamped yet? (under its lock)
 *									share-lock the metapage: still OPEN? stamp it
 *									append
 *
 * Whoever locks a page first decides: a row is on the page before the sealer
 * reads it, or goes to the next tail.  The inserter is the only one to lock
 * the metapage while holding a page of rows; nobody locks in the other order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/tail.h"

#include "src/storage/extent.h"
#include "src/storage/page_reader.h"

#include "miscadmin.h"
#include "storage/bufmgr.h"

#define FIRST_EXTENT_ROWS_PAGES 16

/*
 * The block last appended to by this backend: saves looking for it.  Only a
 * guess: the index may have another file by now, with tails of the same ids.
 */
static struct
{
	Oid			index;
	uint32		tail_id;
	uint32		block;
}			last_append;

static inline bool
is_page_of(Page page, uint32 tail_id, uint32 logical_block)
{
	return !PageIsNew(page) &&
		PageGetSpecialSize(page) == sizeof(OmenPageTrailer) &&
		OmenPageGetTrailer(page)->kind == OMEN_PAGE_ROWS &&
		OmenPageGetStamp(page)->segment_id == tail_id &&
		OmenPageGetStamp(page)->logical_block == logical_block;
}

static inline bool
has_room(const OmenRowShape *shape, Page page)
{
	return OmenPageGetStamp(page)->n_records < Max(shape->per_page, 1);
}

/* Does the block bear the tail's stamp? */
static bool
block_in_use(Relation index, const OmenSegment *tail, uint32 logical_block)
{
	Buffer		buffer = omen_read_recent(index, omen_extent_block(index, tail, logical_block), NULL);
	bool		result;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	result = is_page_of(BufferGetPage(buffer), tail->id, logical_block);
	UnlockReleaseBuffer(buffer);
	return result;
}

/* The last block in use, by bisection; 0 if none is. */
static uint32
find_last_block(Relation index, const OmenSegment *tail, const OmenRowShape *shape)
{
	uint32		low = 0;		/* in rows' worth of pages; in use, or the first */
	uint32		high = tail->n_blocks / shape->pages_per_row;	/* not in use */

	while (high - low > 1)
	{
		uint32		middle = low + (high - low) / 2;

		if (block_in_use(index, tail, middle * shape->pages_per_row))
			low = middle;
		else
			high = middle;
	}
	return low * shape->pages_per_row;
}

/* Read the directory, opening a tail if there is none, and find the place to append. */
static void
load_cursor(Relation index, OmenTailCursor *cursor)
{
	OmenSegment *tail;

	for (;;)
	{
		omen_meta_read(index, cursor->meta);
		tail = omen_meta_open_tail(cursor->meta);
		if (tail != NULL)
			break;
		if (cursor->meta->n_segments >= OMEN_MAX_SEGMENTS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("directory of index \"%s\" is full", RelationGetRelationName(index)),
					 errdetail("It has %d entries, some of them kept for running queries.",
							   OMEN_MAX_SEGMENTS),
					 errhint("End long transactions, then VACUUM the table.")));
		(void) omen_extent_add_segment(index, OMEN_SEGMENT_TAIL, OMEN_STATE_OPEN,
									   FIRST_EXTENT_ROWS_PAGES * cursor->shape.pages_per_row,
									   &cursor->tail);
	}
	cursor->tail = *tail;
	if (last_append.index == RelationGetRelid(index) && last_append.tail_id == tail->id &&
		last_append.block < tail->n_blocks && block_in_use(index, tail, last_append.block))
		cursor->block = last_append.block;
	else
		cursor->block = find_last_block(index, tail, &cursor->shape);
}

void
omen_tail_cursor_init(OmenTailCursor *cursor, Relation index)
{
	cursor->meta = palloc0(sizeof(OmenMeta));
	cursor->tail.id = 0;
	cursor->block = 0;
	omen_meta_read(index, cursor->meta);
	omen_row_shape(cursor->meta, &cursor->shape);
}

/* Under the lock of one of its pages: is the tail still the open one? */
static bool
still_open(Relation index, uint32 tail_id)
{
	Buffer		buffer = ReadBuffer(index, OMEN_META_BLOCK);
	OmenSegment *open;
	bool		result;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	open = omen_meta_open_tail((OmenMeta *) PageGetContents(BufferGetPage(buffer)));
	result = open != NULL && open->id == tail_id;
	UnlockReleaseBuffer(buffer);
	return result;
}

/* Write the second and further pages of a long row; the first, locked by the caller, makes them count. */
static void
write_continuation(Relation index, const OmenTailCursor *cursor, const char *row)
{
	for (uint32 i = 1; i < cursor->shape.pages_per_row; i++)
	{
		uint32		done = i * OMEN_PAGE_CAPACITY;
		uint32		bytes = Min(cursor->shape.row_bytes - done, OMEN_PAGE_CAPACITY);
		Buffer		buffer = ReadBuffer(index, omen_extent_block(index, &cursor->tail,
																 cursor->block + i));
		GenericXLogState *xlog;
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		xlog = GenericXLogStart(index);
		page = GenericXLogRegisterBuffer(xlog, buffer, GENERIC_XLOG_FULL_IMAGE);
		omen_page_init(page, OMEN_PAGE_ROWS, cursor->tail.id, 0, cursor->block + i);
		memcpy((char *) page + OMEN_PAGE_START, row + done, bytes);
		((PageHeader) page)->pd_lower = OMEN_PAGE_START + bytes;
		GenericXLogFinish(xlog);
		UnlockReleaseBuffer(buffer);
	}
}

/* The row as one string of bytes. */
static void
assemble_row(const OmenMeta *meta, char *row, const OmenRowHeader *header,
			 const void *factors, const void *code)
{
	memcpy(row, header, sizeof(OmenRowHeader));
	row += sizeof(OmenRowHeader);
	if (factors == NULL)
	{
		memset(row, 0, meta->factor_bytes + meta->code_bytes);
		return;
	}
	memcpy(row, factors, meta->factor_bytes);
	memcpy(row + meta->factor_bytes, code, meta->code_bytes);
}

/*
 * Put a row on the page in `buffer`, locked and with room (or to be stamped).
 */
static void
add_row(Relation index, const OmenTailCursor *cursor, Buffer buffer, bool stamp,
		const OmenRowHeader *header, const void *factors, const void *code)
{
	const OmenRowShape *shape = &cursor->shape;
	char	   *long_row = NULL;
	GenericXLogState *xlog;
	Page		page;
	char	   *place;

	if (shape->per_page == 0)
	{
		long_row = palloc(shape->row_bytes);
		assemble_row(cursor->meta, long_row, header, factors, code);
		write_continuation(index, cursor, long_row);
	}

	xlog = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(xlog, buffer, stamp ? GENERIC_XLOG_FULL_IMAGE : 0);
	if (stamp)
		omen_page_init(page, OMEN_PAGE_ROWS, cursor->tail.id, 0, cursor->block);
	place = (char *) page + OMEN_PAGE_START + OmenPageGetStamp(page)->n_records * shape->row_bytes;
	if (long_row)
	{
		memcpy(place, long_row, OMEN_PAGE_CAPACITY);
		((PageHeader) page)->pd_lower = OMEN_PAGE_END;
	}
	else
	{
		assemble_row(cursor->meta, place, header, factors, code);
		((PageHeader) page)->pd_lower = place + shape->row_bytes - (char *) page;
	}
	OmenPageGetStamp(page)->n_records++;
	GenericXLogFinish(xlog);
	if (long_row)
		pfree(long_row);
}

/* Go to the next page of the tail, growing it if this was its last. */
static void
advance(Relation index, OmenTailCursor *cursor)
{
	cursor->block += cursor->shape.pages_per_row;
	if (cursor->block < cursor->tail.n_blocks)
		return;

	/* Double it: few extents whatever its length. */
	if (!omen_extent_grow_tail(index, cursor->tail.id, cursor->tail.n_blocks, cursor->tail.n_blocks))
	{
		OmenMeta   *meta = cursor->meta;

		/* Closed meanwhile, or out of runs: then this one is closed here. */
		omen_meta_read(index, meta);
		if (omen_meta_open_tail(meta) != NULL && omen_meta_open_tail(meta)->id == cursor->tail.id)
			(void) omen_tail_freeze(index);
	}
	cursor->tail.id = 0;
}

/*
 * Append a row.  factors and code are NULL for a row without code (NULL or
 * zero vector).  Returns true if the row began a new page: a moment to ask
 * whether the tail has become too long.
 */
bool
omen_tail_append(Relation index, OmenTailCursor *cursor,
				 const OmenRowHeader *header, const void *factors, const void *code)
{
	for (;;)
	{
		Buffer		buffer;
		Page		page;
		bool		ours;

		CHECK_FOR_INTERRUPTS();
		if (cursor->tail.id == 0)
			load_cursor(index, cursor);

		buffer = omen_read_recent(index, omen_extent_block(index, &cursor->tail, cursor->block), NULL);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		page = BufferGetPage(buffer);
		ours = is_page_of(page, cursor->tail.id, cursor->block);

		if (ours ? (OmenPageGetTrailer(page)->flags & OMEN_PAGE_CLOSED) != 0
			: !still_open(index, cursor->tail.id))
		{
			UnlockReleaseBuffer(buffer);
			cursor->tail.id = 0;
			continue;
		}
		if (ours && !has_room(&cursor->shape, page))
		{
			UnlockReleaseBuffer(buffer);
			advance(index, cursor);
			continue;
		}

		add_row(index, cursor, buffer, !ours, header, factors, code);
		UnlockReleaseBuffer(buffer);
		last_append.index = RelationGetRelid(index);
		last_append.tail_id = cursor->tail.id;
		last_append.block = cursor->block;
		return !ours;
	}
}

/*
 * Make the open tail a LIVE one: inserters open another.  Returns its id, or
 * 0 if there is no open tail.
 */
uint32
omen_tail_freeze(Relation index)
{
	OmenMetaChange change;
	OmenSegment *tail;
	uint32		id;

	omen_meta_change_begin(index, &change);
	tail = omen_meta_open_tail(change.meta);
	if (tail == NULL)
	{
		omen_meta_change_abort(&change);
		return 0;
	}
	tail->state = OMEN_STATE_LIVE;
	id = tail->id;
	omen_meta_change_commit(&change);
	return id;
}

/* Close every page of a frozen tail that could still take a row. */
void
omen_tail_close(Relation index, const OmenMeta *meta, const OmenSegment *tail)
{
	OmenRowShape shape;

	omen_row_shape(meta, &shape);
	for (int64 block = (int64) (tail->n_blocks / shape.pages_per_row - 1) * shape.pages_per_row;
		 block >= 0; block -= shape.pages_per_row)
	{
		Buffer		buffer = ReadBuffer(index, omen_extent_block(index, tail, block));
		Page		page = BufferGetPage(buffer);
		bool		full = false;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		if (is_page_of(page, tail->id, block))
		{
			full = !has_room(&shape, page);
			if (!full && (OmenPageGetTrailer(page)->flags & OMEN_PAGE_CLOSED) == 0)
			{
				GenericXLogState *xlog = GenericXLogStart(index);

				page = GenericXLogRegisterBuffer(xlog, buffer, 0);
				OmenPageGetTrailer(page)->flags |= OMEN_PAGE_CLOSED;
				GenericXLogFinish(xlog);
			}
		}
		UnlockReleaseBuffer(buffer);
		if (full)
			break;				/* and so are all before it */
	}
}

void
omen_tail_reader_init(OmenTailReader *reader, Relation index,
					  const OmenMeta *meta, const OmenSegment *tail)
{
	memset(reader, 0, sizeof(*reader));
	reader->index = index;
	reader->tail = tail;
	omen_row_shape(meta, &reader->shape);
	reader->buffer = InvalidBuffer;
	if (reader->shape.per_page == 0)
		reader->long_row = palloc(reader->shape.row_bytes);
}

/* Copy a row that spans pages; the first page is locked. */
static void
gather_long_row(OmenTailReader *reader, uint32 block)
{
	const OmenRowShape *shape = &reader->shape;

	memcpy(reader->long_row, reader->page + OMEN_PAGE_START, OMEN_PAGE_CAPACITY);
	for (uint32 i = 1; i < shape->pages_per_row; i++)
	{
		uint32		done = i * OMEN_PAGE_CAPACITY;
		Buffer		buffer = ReadBuffer(reader->index,
										omen_extent_block(reader->index, reader->tail, block + i));

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (!is_page_of(BufferGetPage(buffer), reader->tail->id, block + i))
			omen_page_mismatch(reader->index, BufferGetBlockNumber(buffer));
		memcpy(reader->long_row + done, (char *) BufferGetPage(buffer) + OMEN_PAGE_START,
			   Min(shape->row_bytes - done, OMEN_PAGE_CAPACITY));
		UnlockReleaseBuffer(buffer);
	}
}

/* The next page with rows, or false at the end of the tail. */
bool
omen_tail_reader_next(OmenTailReader *reader)
{
	uint32		block = reader->next_block;

	Assert(reader->buffer == InvalidBuffer);
	if (block + reader->shape.pages_per_row > reader->tail->n_blocks)
		return false;

	reader->buffer = omen_read_recent(reader->index,
									  omen_extent_block(reader->index, reader->tail, block),
									  reader->strategy);
	LockBuffer(reader->buffer, reader->exclusive ? BUFFER_LOCK_EXCLUSIVE : BUFFER_LOCK_SHARE);
	reader->page = (char *) BufferGetPage(reader->buffer);
	if (!is_page_of(reader->page, reader->tail->id, block))
	{
		omen_tail_reader_release(reader);
		return false;
	}
	reader->n_rows = OmenPageGetStamp(reader->page)->n_records;
	if (reader->n_rows > (int) Max(reader->shape.per_page, 1))
		omen_page_mismatch(reader->index, BufferGetBlockNumber(reader->buffer));
	if (reader->shape.per_page == 0 && reader->n_rows > 0)
		gather_long_row(reader, block);
	reader->block = block;
	reader->next_block = block + reader->shape.pages_per_row;
	return true;
}

void
omen_tail_reader_release(OmenTailReader *reader)
{
	UnlockReleaseBuffer(reader->buffer);
	reader->buffer = InvalidBuffer;
}

/* Row i of the page in hand: an OmenRowHeader, then factors and code. */
char *
omen_tail_reader_row(OmenTailReader *reader, int i)
{
	if (reader->long_row)
		return reader->long_row;
	return reader->page + OMEN_PAGE_START + i * reader->shape.row_bytes;
}

/*
 * Mark rows of the page in hand, which the reader has locked exclusively, as
 * dead.  Returns how many were not dead before.
 */
int
omen_tail_mark_dead(OmenTailReader *reader, const bool *dead)
{
	GenericXLogState *xlog = GenericXLogStart(reader->index);
	char	   *page = (char *) GenericXLogRegisterBuffer(xlog, reader->buffer, 0);
	int			n_marked = 0;

	for (int i = 0; i < reader->n_rows; i++)
	{
		OmenRowHeader *row = (OmenRowHeader *) (page + OMEN_PAGE_START + i * reader->shape.row_bytes);

		if (dead[i] && (row->flags & OMEN_ROW_DEAD) == 0)
		{
			row->flags |= OMEN_ROW_DEAD;
			n_marked++;
		}
	}
	if (n_marked > 0)
		GenericXLogFinish(xlog);
	else
		GenericXLogAbort(xlog);
	return n_marked;
}

/* Rows on the pages before a logical block, if they are full. */
uint32
omen_tail_rows_before(const OmenMeta *meta, uint32 block)
{
	OmenRowShape shape;

	omen_row_shape(meta, &shape);
	return block / shape.pages_per_row * Max(shape.per_page, 1);
}
