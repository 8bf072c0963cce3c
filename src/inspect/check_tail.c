/*-------------------------------------------------------------------------
 *
 * check_tail.c
 *	  omenvec_check() for a tail.
 *
 * The rows of a tail are on its stamped pages from the first on, all full but
 * the last; what else lies in its blocks is of no account.  Rows arrive while
 * we look, so a page that seemed to be unused or to have room is read again
 * before its successor is called misplaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#define OMEN_ROW_FLAGS (OMEN_ROW_DEAD | OMEN_ROW_NULL | OMEN_ROW_UNDIRECTED)

typedef struct TailCheck
{
	OmenCheck  *check;
	const OmenSegment *tail;
	OmenRowShape shape;
	uint32		page_rows;		/* rows of a full page */
	PGAlignedBlock page;
	BlockNumber block;			/* of the page in hand */
} TailCheck;

static void
begin(TailCheck *state, OmenCheck *check, const OmenSegment *tail)
{
	state->check = check;
	state->tail = tail;
	omen_row_shape(check->meta, &state->shape);
	state->page_rows = Max(state->shape.per_page, 1);
}

/* Read a page; is it in use? */
static bool
read_page(TailCheck *state, uint32 logical_block)
{
	OmenPageExpectation expected = {.kind = OMEN_PAGE_ROWS,.logical_block = logical_block};

	state->block = omen_check_read(state->check, state->tail, logical_block, state->page.data);
	return omen_check_page_bears_stamp(state->page.data, state->tail, &expected);
}

static bool
page_is_full(TailCheck *state)
{
	return OmenPageGetStamp(state->page.data)->n_records >= state->page_rows;
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

/* The further pages of a long row. */
static void
check_continuation(TailCheck *state, uint32 first_block)
{
	for (uint32 i = 1; i < state->shape.pages_per_row; i++)
	{
		OmenPageExpectation expected = {
			.kind = OMEN_PAGE_ROWS,
			.logical_block = first_block + i,
			.lower = OMEN_PAGE_START + Min(state->shape.row_bytes - i * OMEN_PAGE_CAPACITY,
										   OMEN_PAGE_CAPACITY)
		};

		state->block = omen_check_read(state->check, state->tail, first_block + i, state->page.data);
		(void) omen_check_header(state->check, state->tail, state->block, state->page.data, &expected);
	}
}

/* The page in hand, which is in use. */
static void
check_page(TailCheck *state, uint32 logical_block)
{
	uint32		n_rows = OmenPageGetStamp(state->page.data)->n_records;
	uint32		row_bytes = Min(state->shape.row_bytes, OMEN_PAGE_CAPACITY);
	OmenPageExpectation expected = {
		.kind = OMEN_PAGE_ROWS,
		.logical_block = logical_block,
		.n_records = n_rows,
		.lower = OMEN_PAGE_START + n_rows * row_bytes
	};

	if (n_rows == 0 || n_rows > state->page_rows)
	{
		omen_check_report(state->check, state->block, "page has %u rows of at most %u",
						  n_rows, state->page_rows);
		return;
	}
	if (!omen_check_header(state->check, state->tail, state->block, state->page.data, &expected))
		return;
	for (uint32 i = 0; i < n_rows; i++)
		check_row(state, (const OmenRowHeader *)
				  (state->page.data + OMEN_PAGE_START + i * state->shape.row_bytes), i);
	if (state->shape.per_page == 0)
		check_continuation(state, logical_block);
}

/*
 * Behind the first unused page, `end`, no page may be in use.  Returns the
 * block to go on from if rows have arrived since, or the tail's length.
 */
static uint32
check_rest(TailCheck *state, uint32 end)
{
	for (uint32 block = end; block < state->tail->n_blocks; block += state->shape.pages_per_row)
	{
		BlockNumber misplaced;

		if (!read_page(state, block))
			continue;
		misplaced = state->block;
		if (read_page(state, end))
			return end;
		omen_check_report(state->check, misplaced, "rows lie behind the unused block %u", state->block);
		break;
	}
	return state->tail->n_blocks;
}

/* The page before one in use must be full. */
static void
check_filled(TailCheck *state, uint32 logical_block)
{
	if (read_page(state, logical_block) && !page_is_full(state))
		omen_check_report(state->check, state->block, "page has room, but the next one is in use");
}

void
omen_check_tail(OmenCheck *check, const OmenSegment *tail)
{
	TailCheck	state;
	uint32		stride;
	uint32		block = 0;
	bool		room_before = false;

	begin(&state, check, tail);
	stride = state.shape.pages_per_row;
	while (block < tail->n_blocks)
	{
		bool		room;

		if (!read_page(&state, block))
		{
			block = check_rest(&state, block);
			continue;
		}
		room = !page_is_full(&state);
		check_page(&state, block);
		if (room_before)
			check_filled(&state, block - stride);
		room_before = room;
		block += stride;
	}
}

/* ---- only the TIDs ---- */

void
omen_check_each_tail_tid(OmenCheck *check, const OmenSegment *tail, OmenTidVisitor visit, void *arg)
{
	TailCheck	state;

	begin(&state, check, tail);
	for (uint32 block = 0; block < tail->n_blocks; block += state.shape.pages_per_row)
	{
		uint32		n_rows;

		if (!read_page(&state, block))
			break;
		n_rows = Min(OmenPageGetStamp(state.page.data)->n_records, state.page_rows);
		for (uint32 i = 0; i < n_rows; i++)
		{
			const OmenRowHeader *row = (const OmenRowHeader *)
				(state.page.data + OMEN_PAGE_START + i * state.shape.row_bytes);

			if ((row->flags & OMEN_ROW_DEAD) == 0)
				visit(arg, tail->id, row->block, row->offset);
		}
	}
}
