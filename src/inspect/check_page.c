/*-------------------------------------------------------------------------
 *
 * check_page.c
 *	  Reading the pages of an index without trusting them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#include "src/storage/extent.h"
#include "src/storage/page_reader.h"

#include "miscadmin.h"

/* Copy a logical block of a segment to `copy`, BLCKSZ bytes; returns its physical number. */
BlockNumber
omen_check_read(OmenCheck *check, const OmenSegment *segment, uint32 segment_block, char *copy)
{
	BlockNumber block = omen_extent_block(check->index, segment, segment_block);
	Buffer		buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBufferExtended(check->index, MAIN_FORKNUM, block, RBM_NORMAL, check->strategy);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(copy, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return block;
}

/* Can the stamp and the trailer be looked at, and is the trailer ours? */
static bool
has_trailer(const char *page)
{
	const PageHeaderData *header = (const PageHeaderData *) page;

	return !PageIsNew((Page) page) &&
		PageGetPageSize((Page) page) == BLCKSZ &&
		PageGetPageLayoutVersion((Page) page) == PG_PAGE_LAYOUT_VERSION &&
		header->pd_special == BLCKSZ - sizeof(OmenPageTrailer);
}

/* Is the page what the expectation says, going by its trailer and stamp? */
bool
omen_check_page_bears_stamp(const char *page, const OmenSegment *segment,
							const OmenPageExpectation *expected)
{
	const OmenPageStamp *stamp = OmenPageGetStamp(page);

	return has_trailer(page) &&
		OmenPageGetTrailer(page)->kind == expected->kind &&
		stamp->segment_id == segment->id &&
		stamp->column == expected->column &&
		stamp->logical_block == expected->logical_block;
}

/*
 * On a standby, replay may have put another page here: the directory has let
 * go of the segment then.  Raises the error for that if so.
 */
static void
check_not_recycled(OmenCheck *check, const OmenSegment *segment, BlockNumber block)
{
	OmenMeta   *now;
	OmenSegment *entry;

	if (!omen_replay_may_recycle())
		return;
	now = palloc(sizeof(OmenMeta));
	omen_meta_read(check->index, now);
	entry = omen_meta_find(now, segment->id);
	if (entry == NULL)
		omen_page_mismatch(check->index, block);
	pfree(now);
}

/* Report what is wrong with a page's header; false if its records cannot be trusted. */
bool
omen_check_header(OmenCheck *check, const OmenSegment *segment, BlockNumber block,
				  const char *page, const OmenPageExpectation *expected)
{
	const OmenPageStamp *stamp = OmenPageGetStamp(page);
	const PageHeaderData *header = (const PageHeaderData *) page;

	if (!omen_check_page_bears_stamp(page, segment, expected))
	{
		check_not_recycled(check, segment, block);
		if (PageIsNew((Page) page))
			omen_check_report(check, block, "page is empty");
		else if (!has_trailer(page))
			omen_check_report(check, block, "page header is damaged");
		else
			omen_check_report(check, block,
							  "page is of kind %u, segment %u, column %u, block %u; "
							  "expected kind %u, segment %u, column %u, block %u",
							  OmenPageGetTrailer(page)->kind, stamp->segment_id,
							  stamp->column, stamp->logical_block,
							  expected->kind, segment->id, expected->column, expected->logical_block);
		return false;
	}
	if (OmenPageGetTrailer(page)->page_id != OMEN_PAGE_ID)
		omen_check_report(check, block, "page identifier is %04X", OmenPageGetTrailer(page)->page_id);
	if (stamp->n_records != expected->n_records || header->pd_lower != expected->lower)
	{
		omen_check_report(check, block, "page has %u records up to byte %u, expected %u up to byte %u",
						  stamp->n_records, header->pd_lower, expected->n_records, expected->lower);
		return false;
	}
	return true;
}

/* A column being walked. */
typedef struct ColumnWalk
{
	OmenCheck  *check;
	const OmenSegment *segment;
	OmenColumnId column;
	OmenColumnShape shape;
	OmenRecordVisitor visit;
	void	   *arg;
	PGAlignedBlock page;
	char	   *long_record;
} ColumnWalk;

/* Read a page of the column; true if it is as expected. */
static bool
read_column_page(ColumnWalk *walk, uint32 column_block, uint32 n_records, uint32 lower,
				 BlockNumber *block)
{
	uint32		first_block = walk->segment->columns[walk->column - 1].first_block;
	OmenPageExpectation expected = {
		.kind = OMEN_PAGE_COLUMN,
		.column = walk->column,
		.logical_block = column_block,
		.n_records = n_records,
		.lower = lower
	};

	*block = omen_check_read(walk->check, walk->segment, first_block + column_block, walk->page.data);
	return omen_check_header(walk->check, walk->segment, *block, walk->page.data, &expected);
}

static bool
walk_page(ColumnWalk *walk, uint32 first, uint32 n_records)
{
	const OmenColumnShape *shape = &walk->shape;
	const char *page = walk->page.data;
	BlockNumber block;

	if (!read_column_page(walk, first / shape->per_page, n_records,
						  shape->body_start + n_records * shape->body_bytes, &block))
		return false;
	for (uint32 i = 0; i < n_records && walk->visit; i++)
		walk->visit(walk->arg, block, first + i,
					page + OMEN_PAGE_START + i * shape->head_bytes,
					page + shape->body_start + i * shape->body_bytes);
	return true;
}

static bool
walk_long_record(ColumnWalk *walk, uint32 record)
{
	const OmenColumnShape *shape = &walk->shape;
	uint32		total = shape->head_bytes + shape->body_bytes;
	BlockNumber first_block = InvalidBlockNumber;
	bool		good = true;

	for (uint32 i = 0; i < shape->pages_per_record; i++)
	{
		uint32		done = i * OMEN_PAGE_CAPACITY;
		uint32		bytes = Min(total - done, OMEN_PAGE_CAPACITY);
		BlockNumber block;

		good &= read_column_page(walk, record * shape->pages_per_record + i, i == 0,
								 OMEN_PAGE_START + bytes, &block);
		memcpy(walk->long_record + done, walk->page.data + OMEN_PAGE_START, bytes);
		if (i == 0)
			first_block = block;
	}
	if (good && walk->visit)
		walk->visit(walk->arg, first_block, record, walk->long_record,
					walk->long_record + shape->head_bytes);
	return good;
}

/*
 * Read a column from its first page to its last and visit (if visit is not
 * NULL) the records of the pages that are good.  Returns whether all are.
 * The directory has been checked.
 */
bool
omen_check_walk_column(OmenCheck *check, const OmenSegment *segment, OmenColumnId column,
					   OmenRecordVisitor visit, void *arg)
{
	ColumnWalk	walk = {
		.check = check,
		.segment = segment,
		.column = column,
		.visit = visit,
		.arg = arg
	};
	uint32		n_records = omen_column_count(segment, column);
	uint32		per_page;
	bool		good = true;

	omen_column_shape(check->meta, segment, column, &walk.shape);
	per_page = Max(walk.shape.per_page, 1);
	if (walk.shape.per_page == 0)
		walk.long_record = palloc(walk.shape.head_bytes + walk.shape.body_bytes);
	for (uint32 first = 0; first < n_records; first += per_page)
		good &= walk.shape.per_page > 0 ?
			walk_page(&walk, first, Min(per_page, n_records - first)) :
			walk_long_record(&walk, first);
	if (walk.long_record)
		pfree(walk.long_record);
	return good;
}
