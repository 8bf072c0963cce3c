/*-------------------------------------------------------------------------
 *
 * tail.c
 *	  The tail: rows in the order of their arrival, until they are sealed.
 *
 * Appending locks one page.  A page is in use from the moment it bears the
 * tail's stamp, and the next one is stamped only when a row found no room on
 * it, so the rows of a tail are the stamped pages from its first block on.
 * Everything else in its extents is unused: new pages, or pages with the stamp
 * of an earlier owner.
 *
 * Closing a tail against inserters who know it from before:
 *
 *	sealer							inserter
 *	directory: OPEN -> LIVE			lock page
 *	for each page in use:			page closed or not ours? read the
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

#include "access/itup.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

#define FIRST_EXTENT_BLOCKS 16

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

/* Is this page one of the tail's? */
static bool
owns_page(Page page, uint32 tail_id, uint32 logical_block)
{
	return !PageIsNew(page) &&
		PageGetSpecialSize(page) == sizeof(OmenPageTrailer) &&
		OmenPageGetTrailer(page)->kind == OMEN_PAGE_ROWS &&
		OmenPageGetStamp(page)->segment_id == tail_id &&
		OmenPageGetStamp(page)->logical_block == logical_block;
}

/* ---- rows as bytes ---- */

/* Header and lengths: what stands before the factors. */
static inline uint32
fixed_bytes(const OmenMeta *meta)
{
	return sizeof(OmenRowHeader) + (meta->variable_codes ? sizeof(uint32) : 0) +
		(meta->n_attributes > 0 ? sizeof(uint32) : 0);
}

static inline uint32
refine_bytes(const OmenMeta *meta)
{
	return meta->refine_factor_bytes + meta->refine_code_bytes;
}

static inline uint32
row_bytes(const OmenMeta *meta, const OmenRow *row)
{
	return fixed_bytes(meta) + meta->factor_bytes +
		(meta->variable_codes ? row->n_code_bytes : meta->code_bytes) + refine_bytes(meta) +
		(meta->n_attributes > 0 ? row->n_attribute_bytes : 0);
}

static char *
write_bytes(char *to, const void *bytes, uint32 n_bytes)
{
	if (bytes)
		memcpy(to, bytes, n_bytes);
	else
		memset(to, 0, n_bytes);
	return to + n_bytes;
}

static void
write_row(const OmenMeta *meta, char *to, const OmenRow *row)
{
	to = write_bytes(to, &row->header, sizeof(OmenRowHeader));
	if (meta->variable_codes)
		to = write_bytes(to, &row->n_code_bytes, sizeof(uint32));
	if (meta->n_attributes > 0)
		to = write_bytes(to, &row->n_attribute_bytes, sizeof(uint32));
	to = write_bytes(to, row->factors, meta->factor_bytes);
	to = write_bytes(to, row->code, meta->variable_codes ? row->n_code_bytes : meta->code_bytes);
	to = write_bytes(to, row->factors ? row->refine : NULL, refine_bytes(meta));
	if (meta->n_attributes > 0)
		write_bytes(to, row->attributes, row->n_attribute_bytes);
}

bool
omen_tail_parse_row(const OmenMeta *meta, const char *from, uint32 available,
					OmenRow *row, uint32 *n_bytes)
{
	uint32		fixed = fixed_bytes(meta);

	if (available < fixed)
		return false;
	memcpy(&row->header, from, sizeof(OmenRowHeader));
	row->n_code_bytes = meta->code_bytes;
	if (meta->variable_codes)
		memcpy(&row->n_code_bytes, from + sizeof(OmenRowHeader), sizeof(uint32));
	row->n_attribute_bytes = 0;
	if (meta->n_attributes > 0)
		memcpy(&row->n_attribute_bytes, from + fixed - sizeof(uint32), sizeof(uint32));
	if (row->n_code_bytes > MaxAllocSize / 2 || row->n_attribute_bytes > INDEX_SIZE_MASK)
		return false;
	*n_bytes = row_bytes(meta, row);
	row->factors = from + fixed;
	row->code = (const uint8 *) from + fixed + meta->factor_bytes;
	row->refine = (const char *) row->code + row->n_code_bytes;
	row->attributes = meta->n_attributes > 0 ? row->refine + refine_bytes(meta) : NULL;
	return true;
}

/* ---- finding the place to append ---- */

/* What a block of a tail is: not in use, or the beginning or continuation of rows. */
typedef enum BlockUse
{
	BLOCK_UNUSED,
	BLOCK_BEGINS,
	BLOCK_CONTINUES
} BlockUse;

static BlockUse
block_use(Relation index, const OmenSegment *tail, uint32 logical_block)
{
	Buffer		buffer = omen_read_recent(index, omen_extent_block(index, tail, logical_block), NULL);
	Page		page = BufferGetPage(buffer);
	BlockUse	result = BLOCK_UNUSED;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (owns_page(page, tail->id, logical_block))
		result = OmenPageGetStamp(page)->column == OMEN_ROWS_CONTINUED ? BLOCK_CONTINUES : BLOCK_BEGINS;
	UnlockReleaseBuffer(buffer);
	return result;
}

/*
 * How many blocks are in use, by bisection.  The further pages of a long row
 * are written before its first, so a crash may leave them without it: they
 * count only if the first is there, for readers stop where it is not.
 */
uint32
omen_tail_used_blocks(Relation index, const OmenSegment *tail)
{
	uint32		low = 0;		/* all before are in use */
	uint32		high = tail->n_blocks;	/* not in use */

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		uint32		first = middle;
		BlockUse	use = block_use(index, tail, first);

		while (use == BLOCK_CONTINUES && first > low)
			use = block_use(index, tail, --first);
		if (use != BLOCK_UNUSED)
			low = middle + 1;
		else
			high = first;
	}
	return low;
}

/* Read the directory, opening a tail if there is none, and find the place to append. */
static void
load_cursor(Relation index, OmenTailCursor *cursor)
{
	OmenSegment *tail;
	uint32		n_used;

	for (;;)
	{
		if (!cursor->meta_is_fresh)
			omen_meta_read(index, cursor->meta);
		cursor->meta_is_fresh = false;
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
									   FIRST_EXTENT_BLOCKS, &cursor->tail);
	}
	cursor->tail = *tail;
	cursor->block_is_guess = last_append.index == RelationGetRelid(index) &&
		last_append.tail_id == tail->id && last_append.block < tail->n_blocks;
	if (cursor->block_is_guess)
	{
		cursor->block = last_append.block;
		return;
	}
	n_used = omen_tail_used_blocks(index, tail);
	cursor->block = n_used > 0 ? n_used - 1 : 0;
}

void
omen_tail_cursor_init(OmenTailCursor *cursor, Relation index)
{
	cursor->meta = palloc0(sizeof(OmenMeta));
	cursor->tail.id = 0;
	cursor->block = 0;
	omen_meta_read(index, cursor->meta);
	cursor->meta_is_fresh = true;
	cursor->block_is_guess = false;
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

/*
 * Make the tail reach n_blocks more than now; doubling keeps its extents few.
 * The cursor is void afterwards.
 */
static void
grow(Relation index, OmenTailCursor *cursor, uint32 n_blocks)
{
	n_blocks = Max(n_blocks, cursor->tail.n_blocks);
	if (!omen_extent_grow_tail(index, cursor->tail.id, cursor->tail.n_blocks, n_blocks))
		omen_tail_freeze(index, cursor->tail.id);	/* out of runs, if not closed meanwhile */
	cursor->tail.id = 0;
}

/* ---- appending ---- */

/* Write the second and further pages of a long row; the first, locked by the caller, makes them count. */
static void
write_continuation(Relation index, const OmenTailCursor *cursor, const char *row, uint32 n_bytes)
{
	uint32		block = cursor->block;

	for (uint32 done = OMEN_PAGE_CAPACITY; done < n_bytes; done += OMEN_PAGE_CAPACITY)
	{
		uint32		bytes = Min(n_bytes - done, OMEN_PAGE_CAPACITY);
		Buffer		buffer = ReadBuffer(index, omen_extent_block(index, &cursor->tail, ++block));
		GenericXLogState *xlog;
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		xlog = GenericXLogStart(index);
		page = GenericXLogRegisterBuffer(xlog, buffer, GENERIC_XLOG_FULL_IMAGE);
		omen_page_init(page, OMEN_PAGE_ROWS, cursor->tail.id, OMEN_ROWS_CONTINUED, block);
		memcpy((char *) page + OMEN_PAGE_START, row + done, bytes);
		((PageHeader) page)->pd_lower = OMEN_PAGE_START + bytes;
		GenericXLogFinish(xlog);
		UnlockReleaseBuffer(buffer);
	}
}

/* Put a row on the page in `buffer`, locked and with room (or to be stamped). */
static void
add_row(Relation index, const OmenTailCursor *cursor, Buffer buffer, bool stamp, const OmenRow *row)
{
	uint32		n_bytes = row_bytes(cursor->meta, row);
	char	   *long_row = NULL;
	GenericXLogState *xlog;
	Page		page;

	if (n_bytes > OMEN_PAGE_CAPACITY)
	{
		long_row = palloc(n_bytes);
		write_row(cursor->meta, long_row, row);
		write_continuation(index, cursor, long_row, n_bytes);
	}

	xlog = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(xlog, buffer, stamp ? GENERIC_XLOG_FULL_IMAGE : 0);
	if (stamp)
		omen_page_init(page, OMEN_PAGE_ROWS, cursor->tail.id, 0, cursor->block);
	if (long_row)
	{
		memcpy((char *) page + OMEN_PAGE_START, long_row, OMEN_PAGE_CAPACITY);
		((PageHeader) page)->pd_lower = OMEN_PAGE_END;
	}
	else
	{
		write_row(cursor->meta, (char *) page + ((PageHeader) page)->pd_lower, row);
		((PageHeader) page)->pd_lower += n_bytes;
	}
	OmenPageGetStamp(page)->n_records++;
	GenericXLogFinish(xlog);
	if (long_row)
		pfree(long_row);
}

/* Can the stamped page take another row of so many bytes? */
static inline bool
has_room(Page page, uint32 n_bytes)
{
	return OmenPageGetStamp(page)->column != OMEN_ROWS_CONTINUED &&
		((PageHeader) page)->pd_lower + n_bytes <= OMEN_PAGE_END;
}

/*
 * Append a row.  Returns true if it began a new page: a moment to ask whether
 * the tail has become too long.
 */
bool
omen_tail_append(Relation index, OmenTailCursor *cursor, const OmenRow *row)
{
	uint32		n_bytes = row_bytes(cursor->meta, row);
	uint32		n_blocks = (n_bytes + OMEN_PAGE_CAPACITY - 1) / OMEN_PAGE_CAPACITY;

	for (;;)
	{
		Buffer		buffer;
		Page		page;
		bool		ours;

		CHECK_FOR_INTERRUPTS();
		if (cursor->tail.id == 0)
			load_cursor(index, cursor);
		if (cursor->block + n_blocks > cursor->tail.n_blocks)
		{
			grow(index, cursor, n_blocks);
			continue;
		}

		buffer = omen_read_recent(index, omen_extent_block(index, &cursor->tail, cursor->block), NULL);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		page = BufferGetPage(buffer);
		ours = owns_page(page, cursor->tail.id, cursor->block);

		/* A guess that is not the beginning of rows is not to be gone on from: look where they end. */
		if (cursor->block_is_guess &&
			(!ours || OmenPageGetStamp(page)->column == OMEN_ROWS_CONTINUED))
		{
			UnlockReleaseBuffer(buffer);
			last_append.index = InvalidOid;
			cursor->tail.id = 0;
			continue;
		}
		cursor->block_is_guess = false;

		if (ours ? (OmenPageGetTrailer(page)->flags & OMEN_PAGE_CLOSED) != 0
			: !still_open(index, cursor->tail.id))
		{
			UnlockReleaseBuffer(buffer);
			cursor->tail.id = 0;
			continue;
		}
		if (ours && !has_room(page, n_bytes))
		{
			UnlockReleaseBuffer(buffer);
			cursor->block++;
			continue;
		}

		add_row(index, cursor, buffer, !ours, row);
		UnlockReleaseBuffer(buffer);
		last_append.index = RelationGetRelid(index);
		last_append.tail_id = cursor->tail.id;
		last_append.block = cursor->block;
		return !ours;
	}
}

/* ---- freezing and closing ---- */

/* Make the open tail, if it is still this one, a LIVE one: inserters open another. */
void
omen_tail_freeze(Relation index, uint32 tail_id)
{
	OmenMetaChange change;
	OmenSegment *tail;

	omen_meta_change_begin(index, &change);
	tail = omen_meta_open_tail(change.meta);
	if (tail == NULL || tail->id != tail_id)
	{
		omen_meta_change_abort(&change);
		return;
	}
	tail->state = OMEN_STATE_LIVE;
	omen_meta_change_commit(&change);
}

/* Under its lock: a row could find room on the page no more. */
static void
close_page(Relation index, Buffer buffer)
{
	Page		page = BufferGetPage(buffer);
	GenericXLogState *xlog;

	if ((OmenPageGetTrailer(page)->flags & OMEN_PAGE_CLOSED) != 0 ||
		((PageHeader) page)->pd_lower + sizeof(OmenRowHeader) > OMEN_PAGE_END)
		return;
	xlog = GenericXLogStart(index);
	page = GenericXLogRegisterBuffer(xlog, buffer, 0);
	OmenPageGetTrailer(page)->flags |= OMEN_PAGE_CLOSED;
	GenericXLogFinish(xlog);
}

/*
 * Close every page of a frozen tail, from the end: a row could still find room
 * on any of them.  Returns the number of rows.
 */
uint64
omen_tail_close(Relation index, const OmenSegment *tail)
{
	uint64		n_rows = 0;

	for (uint32 block = tail->n_blocks; block-- > 0;)
	{
		Buffer		buffer = omen_read_recent(index, omen_extent_block(index, tail, block), NULL);
		Page		page = BufferGetPage(buffer);

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		if (owns_page(page, tail->id, block) && OmenPageGetStamp(page)->column != OMEN_ROWS_CONTINUED)
		{
			n_rows += OmenPageGetStamp(page)->n_records;
			close_page(index, buffer);
		}
		UnlockReleaseBuffer(buffer);
	}
	return n_rows;
}

/* ---- reading ---- */

void
omen_tail_reader_init(OmenTailReader *reader, Relation index,
					  const OmenMeta *meta, const OmenSegment *tail)
{
	reader->index = index;
	reader->meta = meta;
	reader->tail = tail;
	reader->exclusive = false;
	reader->copies = false;
	reader->strategy = NULL;
	reader->next_block = 0;
	reader->buffer = InvalidBuffer;
	reader->copy = NULL;
	reader->n_rows = 0;
	reader->long_row = NULL;
	reader->long_row_bytes = 0;
}

/* Copy the row that begins on the page in hand and spans pages; those are locked one by one. */
static void
gather_long_row(OmenTailReader *reader, uint32 n_bytes)
{
	uint32		block = reader->block;

	if (reader->long_row_bytes < n_bytes)
	{
		if (reader->long_row)
			pfree(reader->long_row);
		reader->long_row = palloc(n_bytes);
		reader->long_row_bytes = n_bytes;
	}
	memcpy(reader->long_row, reader->page + OMEN_PAGE_START, OMEN_PAGE_CAPACITY);
	for (uint32 done = OMEN_PAGE_CAPACITY; done < n_bytes; done += OMEN_PAGE_CAPACITY)
	{
		Buffer		buffer = ReadBuffer(reader->index,
										omen_extent_block(reader->index, reader->tail, ++block));

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (!owns_page(BufferGetPage(buffer), reader->tail->id, block))
			omen_page_mismatch(reader->index, BufferGetBlockNumber(buffer));
		memcpy(reader->long_row + done, (char *) BufferGetPage(buffer) + OMEN_PAGE_START,
			   Min(n_bytes - done, OMEN_PAGE_CAPACITY));
		UnlockReleaseBuffer(buffer);
	}
	reader->next_block = block + 1;
}

/* Rows that are all of one length, none longer than a page: omen_tail_row() finds each without looking at those before it. */
static void
find_equal_rows(OmenTailReader *reader, uint32 n, uint32 n_bytes)
{
	if (n * n_bytes > OMEN_PAGE_CAPACITY)
		omen_page_mismatch(reader->index, BufferGetBlockNumber(reader->buffer));
	reader->equal_bytes = n_bytes;
}

/* Rows of various lengths, or one that spans pages. */
static void
find_various_rows(OmenTailReader *reader, uint32 n)
{
	uint32		offset = OMEN_PAGE_START;

	for (uint32 i = 0; i < n; i++)
	{
		OmenRow    *row = &reader->various[i];
		uint32		n_bytes;

		if (!omen_tail_parse_row(reader->meta, reader->page + offset, OMEN_PAGE_END - offset, row, &n_bytes) ||
			(n_bytes > OMEN_PAGE_END - offset && n > 1))
			omen_page_mismatch(reader->index, BufferGetBlockNumber(reader->buffer));
		if (n_bytes > OMEN_PAGE_END - offset)
		{
			gather_long_row(reader, n_bytes);
			(void) omen_tail_parse_row(reader->meta, reader->long_row, n_bytes, row, &n_bytes);
		}
		offset += n_bytes;
	}
}

/* Find the rows of the page in hand. */
static void
find_rows(OmenTailReader *reader)
{
	const OmenPageStamp *stamp = OmenPageGetStamp(reader->page);
	const OmenMeta *meta = reader->meta;
	uint32		n_bytes = omen_tail_row_bytes(meta);

	reader->n_rows = 0;
	reader->equal_bytes = 0;
	if (stamp->column == OMEN_ROWS_CONTINUED)
		return;
	if (stamp->n_records > OMEN_ROWS_PER_PAGE)
		omen_page_mismatch(reader->index, BufferGetBlockNumber(reader->buffer));
	if (meta->variable_codes || meta->n_attributes > 0 || n_bytes > OMEN_PAGE_CAPACITY)
		find_various_rows(reader, stamp->n_records);
	else
		find_equal_rows(reader, stamp->n_records, n_bytes);
	reader->n_rows = stamp->n_records;
}

static void
copy_page(OmenTailReader *reader)
{
	if (reader->copy == NULL)
		reader->copy = palloc(BLCKSZ);
	reader->page = memcpy(reader->copy, reader->page, BLCKSZ);
}

/* The next page in use, or false at the end of the tail. */
bool
omen_tail_reader_next(OmenTailReader *reader)
{
	uint32		block = reader->next_block;

	Assert(reader->buffer == InvalidBuffer);
	if (block >= reader->tail->n_blocks)
		return false;

	reader->buffer = omen_read_recent(reader->index,
									  omen_extent_block(reader->index, reader->tail, block),
									  reader->strategy);
	LockBuffer(reader->buffer, reader->exclusive ? BUFFER_LOCK_EXCLUSIVE : BUFFER_LOCK_SHARE);
	reader->page = (char *) BufferGetPage(reader->buffer);
	if (!owns_page(reader->page, reader->tail->id, block))
	{
		omen_tail_reader_release(reader);
		return false;
	}
	reader->block = block;
	reader->next_block = block + 1;
	if (reader->copies)
		copy_page(reader);
	find_rows(reader);
	if (reader->copies)
		omen_tail_reader_release(reader);
	return true;
}

void
omen_tail_reader_release(OmenTailReader *reader)
{
	if (BufferIsValid(reader->buffer))
		UnlockReleaseBuffer(reader->buffer);
	reader->buffer = InvalidBuffer;
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
	uint32		offset = OMEN_PAGE_START;
	int			n_marked = 0;

	for (int i = 0; i < reader->n_rows; i++)
	{
		OmenRow		row = omen_tail_row(reader, i);
		OmenRowHeader *header = (OmenRowHeader *) (page + offset);

		if (dead[i] && (header->flags & OMEN_ROW_DEAD) == 0)
		{
			header->flags |= OMEN_ROW_DEAD;
			n_marked++;
		}
		offset += row_bytes(reader->meta, &row);
	}
	if (n_marked > 0)
		GenericXLogFinish(xlog);
	else
		GenericXLogAbort(xlog);
	return n_marked;
}
