/*-------------------------------------------------------------------------
 *
 * check_tail.c
 *	  omenvec_check() for a tail.
 *
 * The rows of a tail are on its stamped pages from the first on; what else
 * lies in its blocks is of no account.  Rows arrive while we look, so a page
 * that seemed to be unused is read again before its successor is called
 * misplaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"
#include "src/storage/tail.h"

#include "utils/memutils.h"

#define OMEN_ROW_FLAGS (OMEN_ROW_DEAD | OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED)

typedef struct TailCheck
{
	OmenCheck  *check;
	const OmenSegment *tail;
	PGAlignedBlock page;
	BlockNumber block;			/* of the page in hand */
} TailCheck;

/* Read a page; is it in use, and as what? */
static bool
read_page(TailCheck *state, uint32 logical_block, uint16 column)
{
	OmenPageExpectation expected = {
		.kind = OMEN_PAGE_ROWS,
		.column = column,
		.logical_block = logical_block
	};

	state->block = omen_check_read(state->check, state->tail, logical_block, state->page.data);
	return omen_check_page_bears_stamp(state->page.data, state->tail, &expected);
}

/* Those of a row that lies on the page in hand whole. */
static void
check_row_attributes(TailCheck *state, const OmenRow *row, uint32 i)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec check row",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!omen_attributes_unpack(state->check->attributes, row->attributes, row->n_attribute_bytes,
								values, isnull))
		omen_check_report(state->check, state->block, "attributes of row %u are damaged", i);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

static void
check_row(TailCheck *state, const OmenRowHeader *row, uint32 i)
{
	uint16		without_code = row->flags & (OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED);

	if ((row->flags & ~OMEN_ROW_FLAGS) != 0 || without_code == (OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED))
		omen_check_report(state->check, state->block, "row %u has flags %04X", i, row->flags);
	omen_check_tid(state->check, state->block, row->block, row->offset,
				   (row->flags & OMEN_ROW_DEAD) == 0);
}

/* The further pages of a row of n_bytes; returns how many there are. */
static uint32
check_continuation(TailCheck *state, uint32 first_block, uint32 n_bytes)
{
	uint32		n = 0;

	for (uint32 done = OMEN_PAGE_CAPACITY; done < n_bytes; done += OMEN_PAGE_CAPACITY)
	{
		OmenPageExpectation expected = {
			.kind = OMEN_PAGE_ROWS,
			.column = OMEN_ROWS_CONTINUED,
			.logical_block = first_block + ++n,
			.lower = OMEN_PAGE_START + Min(n_bytes - done, OMEN_PAGE_CAPACITY)
		};

		if (first_block + n >= state->tail->n_blocks)
		{
			omen_check_report(state->check, state->block, "row goes on beyond the end of the tail");
			break;
		}
		state->block = omen_check_read(state->check, state->tail, first_block + n, state->page.data);
		(void) omen_check_header(state->check, state->tail, state->block, state->page.data, &expected);
	}
	return n;
}

/* The page in hand, which is in use; returns how many pages its rows take. */
static uint32
check_page(TailCheck *state, uint32 logical_block)
{
	uint32		n_rows = OmenPageGetStamp(state->page.data)->n_records;
	uint32		offset = OMEN_PAGE_START;
	uint32		n_bytes = 0;
	OmenPageExpectation expected = {
		.kind = OMEN_PAGE_ROWS,
		.logical_block = logical_block,
		.n_records = n_rows
	};

	if (n_rows == 0 || n_rows > OMEN_ROWS_PER_PAGE)
	{
		omen_check_report(state->check, state->block, "page has %u rows", n_rows);
		return 1;
	}
	for (uint32 i = 0; i < n_rows; i++)
	{
		OmenRow		row;

		if (!omen_tail_parse_row(state->check->meta, state->page.data + offset,
								 OMEN_PAGE_END - offset, &row, &n_bytes) ||
			(n_bytes > OMEN_PAGE_END - offset && n_rows > 1))
		{
			omen_check_report(state->check, state->block, "row %u of %u goes beyond the page", i, n_rows);
			return 1;
		}
		check_row(state, &row.header, i);
		if (state->check->attributes && n_bytes <= OMEN_PAGE_END - offset)
			check_row_attributes(state, &row, i);
		offset = Min(offset + n_bytes, OMEN_PAGE_END);
	}
	expected.lower = offset;
	if (!omen_check_header(state->check, state->tail, state->block, state->page.data, &expected))
		return 1;
	return 1 + check_continuation(state, logical_block, n_rows == 1 ? n_bytes : 0);
}

/*
 * Behind the first unused page, `end`, no page may be in use.  Returns the
 * block to go on from if rows have arrived since, or the tail's length.
 */
static uint32
check_rest(TailCheck *state, uint32 end)
{
	for (uint32 block = end; block < state->tail->n_blocks; block++)
	{
		BlockNumber misplaced;

		if (!read_page(state, block, 0))
			continue;
		misplaced = state->block;
		if (read_page(state, end, 0))
			return end;
		omen_check_report(state->check, misplaced, "rows lie behind the unused block %u", state->block);
		break;
	}
	return state->tail->n_blocks;
}

void
omen_check_tail(OmenCheck *check, const OmenSegment *tail)
{
	TailCheck	state = {.check = check,.tail = tail};
	uint32		block = 0;

	while (block < tail->n_blocks)
	{
		if (read_page(&state, block, 0))
			block += check_page(&state, block);
		else if (read_page(&state, block, OMEN_ROWS_CONTINUED))
			block++;			/* of a row that a crash has cut off, behind a short one in its place */
		else
			block = check_rest(&state, block);
	}
}

/* ---- only the TIDs ---- */

void
omen_check_each_tail_tid(OmenCheck *check, const OmenSegment *tail, OmenTidVisitor visit, void *arg)
{
	TailCheck	state = {.check = check,.tail = tail};

	for (uint32 block = 0; block < tail->n_blocks; block++)
	{
		uint32		offset = OMEN_PAGE_START;

		if (read_page(&state, block, OMEN_ROWS_CONTINUED))
			continue;
		if (!read_page(&state, block, 0))
			break;
		for (uint32 i = 0; i < OmenPageGetStamp(state.page.data)->n_records; i++)
		{
			OmenRow		row;
			uint32		n_bytes;

			if (offset >= OMEN_PAGE_END ||
				!omen_tail_parse_row(check->meta, state.page.data + offset,
									 OMEN_PAGE_END - offset, &row, &n_bytes))
				break;
			if ((row.header.flags & OMEN_ROW_DEAD) == 0)
				visit(arg, tail->id, row.header.block, row.header.offset);
			offset += n_bytes;
		}
	}
}
