/*-------------------------------------------------------------------------
 *
 * am_vacuum.c
 *	  VACUUM: dead TIDs get a bit; the graph stays as it is.
 *
 * Dead nodes go on routing searches, and a merge leaves them out.  Only the
 * columns TIDS and DEAD are read, and the tails.
 *
 * The lock of marks keeps what is walked from being replaced.  Who waits for
 * it, such as an inserting session that has sealed a tail, gets it between two
 * pages; then the walk goes on by the new directory, and visits what has been
 * published meanwhile, too.  Rows marked in what was replaced are marked in, or
 * left out of, what took its place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/maintain_worker.h"
#include "src/storage/extent.h"
#include "src/storage/maintain_lock.h"
#include "src/storage/page_reader.h"
#include "src/storage/resident.h"
#include "src/storage/segment_writer.h"
#include "src/storage/tail.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "storage/bufmgr.h"
#include "storage/proc.h"

typedef struct VacuumState
{
	Relation	index;
	OmenMeta   *meta;
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	BufferAccessStrategy strategy;
	bool		may_yield;		/* let others have the lock of marks between pages? */
	List	   *visited;		/* ids of segments and tails */
} VacuumState;

static inline bool
is_in_use(const OmenSegment *segment)
{
	return segment->state == OMEN_STATE_LIVE || segment->state == OMEN_STATE_OPEN;
}

/*
 * Between two pages, with nothing pinned.  Returns false if others had the lock
 * of marks and the segment has been replaced; else it is as in the directory now.
 */
static bool
may_go_on(VacuumState *state, OmenSegment *segment)
{
	const OmenSegment *now;

	omen_maintain_nap(state->index, OMEN_LOCK_MARKS_WANTED);
	if (!state->may_yield || !omen_maintain_yield_marks(state->index))
		return true;
	omen_meta_read(state->index, state->meta);
	now = omen_meta_find(state->meta, segment->id);
	if (now == NULL || !is_in_use(now))
		return false;
	*segment = *now;
	return true;
}

/* Is a row dying?  Of a damaged pointer nobody is asked, for vacuum takes it that there are none. */
static inline bool
is_dying(VacuumState *state, ItemPointerData *tid)
{
	return ItemPointerIsValid(tid) && state->callback(tid, state->callback_state);
}

/*
 * The entries of one word of DEAD: which of those alive so far are to be
 * marked?
 */
static uint64
find_dying(VacuumState *state, OmenReader *reader, const OmenColumnView *tids,
		   uint32 word, uint64 alive)
{
	uint64		dying = 0;

	while (alive != 0)
	{
		int			bit = pg_rightmost_one_pos64(alive);
		const OmenTidEntry *entry;
		const void *head;
		const void *body;
		ItemPointerData tid;

		alive &= alive - 1;
		omen_reader_one(reader, tids, word * 64 + bit, &head, &body);
		entry = body;
		if (entry->kind != OMEN_TID_PLAIN)
			continue;
		ItemPointerSet(&tid, entry->block, entry->offset);
		if (is_dying(state, &tid))
			dying |= UINT64CONST(1) << bit;
	}
	return dying;
}

/* All bits of a word, or those of the entries that there are in the last. */
static inline uint64
word_mask(uint32 word, uint32 n_entries)
{
	uint32		n_bits = n_entries - word * 64;

	return n_bits >= 64 ? ~UINT64CONST(0) : (UINT64CONST(1) << n_bits) - 1;
}

/*
 * One page of the DEAD column: the bits to add.  Returns how many entries die;
 * adds to n_dead how many are dead then.
 */
static uint32
find_dead(VacuumState *state, OmenReader *reader, const OmenColumnView *tids,
		  const OmenColumnView *dead, uint32 first_word, uint32 n_words,
		  uint64 *added, uint32 *n_dead)
{
	uint32		n_found = 0;

	for (uint32 i = 0; i < n_words; i++)
	{
		const void *head;
		const void *body;
		uint64		old;

		omen_reader_one(reader, dead, first_word + i, &head, &body);
		old = *(const uint64 *) body;
		added[i] = find_dying(state, reader, tids, first_word + i,
							  ~old & word_mask(first_word + i, tids->n_records));
		n_found += pg_popcount64(added[i]);
		*n_dead += pg_popcount64(added[i] | old);
	}
	return n_found;
}

/* Enter a new count of dead rows into the directory. */
static void
update_dead_count(Relation index, uint32 id, uint32 n_dead)
{
	OmenMetaChange change;

	omen_meta_change_begin(index, &change);
	omen_meta_find(change.meta, id)->n_dead = n_dead;
	omen_meta_change_commit(&change);
}

/* Mark the dead of a sealed segment, and say in the directory how many there are now. */
static void
vacuum_segment(VacuumState *state, OmenSegment segment)
{
	OmenReader	reader;
	OmenColumnView tids;
	OmenColumnView dead;
	uint64	   *added;
	uint32		n_dead = 0;

	omen_reader_init(&reader, state->index);
	reader.strategy = state->strategy;
	omen_column_view(&tids, state->index, state->meta, &segment, OMEN_COLUMN_TIDS);
	omen_column_view(&dead, state->index, state->meta, &segment, OMEN_COLUMN_DEAD);
	added = palloc(dead.shape.per_page * sizeof(uint64));

	for (uint32 first = 0; first < dead.n_records; first += dead.shape.per_page)
	{
		uint32		n_words = Min(dead.shape.per_page, dead.n_records - first);
		uint32		n_found;

		n_found = find_dead(state, &reader, &tids, &dead, first, n_words, added, &n_dead);
		omen_reader_release(&reader);
		if (n_found > 0)
			omen_segment_set_dead(state->index, state->meta, &segment,
								  first / dead.shape.per_page, added, n_words);
		state->stats->tuples_removed += n_found;
		if (!may_go_on(state, &segment))
		{
			pfree(added);
			return;
		}
		omen_column_view(&tids, state->index, state->meta, &segment, OMEN_COLUMN_TIDS);
		omen_column_view(&dead, state->index, state->meta, &segment, OMEN_COLUMN_DEAD);
	}
	pfree(added);
	if (n_dead != segment.n_dead)
		update_dead_count(state->index, segment.id, n_dead);
}

static void
vacuum_tail(VacuumState *state, OmenSegment tail)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));

	omen_tail_reader_init(reader, state->index, state->meta, &tail);
	reader->exclusive = true;
	reader->strategy = state->strategy;
	while (omen_tail_reader_next(reader))
	{
		bool		dead[OMEN_ROWS_PER_PAGE];
		int			n_dying = 0;

		for (int i = 0; i < reader->n_rows; i++)
		{
			OmenRowHeader row = omen_tail_row(reader, i).header;
			ItemPointerData tid;

			ItemPointerSet(&tid, row.block, row.offset);
			dead[i] = (row.flags & OMEN_ROW_DEAD) == 0 && is_dying(state, &tid);
			n_dying += dead[i];
		}
		if (n_dying > 0)
			state->stats->tuples_removed += omen_tail_mark_dead(reader, dead);
		omen_tail_reader_release(reader);
		if (!may_go_on(state, &tail))
			break;
	}
	pfree(reader);
}

/*
 * Mark rows of a segment that is complete but not published, and enter their
 * number into the directory.  The caller holds the lock of marks.
 */
void
omen_vacuum_one_segment(Relation index, uint32 segment_id,
						IndexBulkDeleteCallback callback, void *callback_state)
{
	IndexBulkDeleteResult stats = {0};
	VacuumState state = {
		.index = index,
		.meta = palloc(sizeof(OmenMeta)),
		.stats = &stats,
		.callback = callback,
		.callback_state = callback_state
	};

	omen_meta_read(index, state.meta);
	vacuum_segment(&state, *omen_meta_find(state.meta, segment_id));
	pfree(state.meta);
}

/* A segment or tail that has not been visited; NULL if there is none. */
static const OmenSegment *
next_to_visit(const VacuumState *state)
{
	for (uint32 i = 0; i < state->meta->n_segments; i++)
	{
		const OmenSegment *segment = &state->meta->segments[i];

		if (is_in_use(segment) && !list_member_oid(state->visited, segment->id))
			return segment;
	}
	return NULL;
}

IndexBulkDeleteResult *
omen_am_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				   IndexBulkDeleteCallback callback, void *callback_state)
{
	VacuumState state = {
		.index = info->index,
		.meta = palloc(sizeof(OmenMeta)),
		.callback = callback,
		.callback_state = callback_state,
		.strategy = info->strategy,
		.may_yield = true
	};
	const OmenSegment *segment;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	state.stats = stats;

	omen_maintain_lock_marks(info->index);
	omen_meta_read(info->index, state.meta);
	while ((segment = next_to_visit(&state)) != NULL)
	{
		state.visited = lappend_oid(state.visited, segment->id);
		if (segment->kind == OMEN_SEGMENT_TAIL)
			vacuum_tail(&state, *segment);
		else
			vacuum_segment(&state, *segment);
	}
	omen_maintain_unlock(info->index, OMEN_LOCK_MARKS);
	list_free(state.visited);
	pfree(state.meta);
	return stats;
}

/* Rows of the index as the directory and the tails know them. */
static double
count_rows(Relation index, const OmenMeta *meta)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));
	double		n_rows = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];

		if (!is_in_use(segment))
			continue;
		if (segment->kind == OMEN_SEGMENT_GRAPH)
		{
			n_rows += segment->n_rows - Min(segment->n_dead, segment->n_rows);
			continue;
		}
		omen_tail_reader_init(reader, index, meta, segment);
		while (omen_tail_reader_next(reader))
		{
			for (int row = 0; row < reader->n_rows; row++)
				n_rows += (omen_tail_row(reader, row).header.flags & OMEN_ROW_DEAD) == 0;
			omen_tail_reader_release(reader);
			CHECK_FOR_INTERRUPTS();
		}
	}
	pfree(reader);
	return n_rows;
}

static BlockNumber
used_blocks(const OmenMeta *meta)
{
	BlockNumber n_blocks = 1;

	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].state != OMEN_STATE_RETIRED)
			n_blocks += meta->segments[i].n_blocks;
	return n_blocks;
}

/*
 * Have a worker do what is due.  Where none can be had, or the index's options
 * want none, do it here, unless this vacuum is in a hurry.
 */
static void
maintain(Relation index)
{
	if (!omen_maintain_is_due(index))
		return;
	if (omen_am_option_autoseal(index) && omen_worker_can_serve(index) && omen_worker_request(index, 0))
		return;
	if ((MyProc->statusFlags & PROC_VACUUM_FOR_WRAPAROUND) == 0)
		omen_maintain_due(index);
}

IndexBulkDeleteResult *
omen_am_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	OmenMeta   *meta;

	if (info->analyze_only)
		return stats;

	maintain(info->index);
	omen_resident_sweep();

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	meta = palloc(sizeof(OmenMeta));
	omen_maintain_lock_marks(info->index);	/* else a tail could be recycled under us */
	omen_meta_read(info->index, meta);
	stats->num_index_tuples = count_rows(info->index, meta);
	omen_maintain_unlock(info->index, OMEN_LOCK_MARKS);
	stats->estimated_count = false;
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	stats->pages_free = stats->num_pages - Min(used_blocks(meta), stats->num_pages);
	pfree(meta);
	return stats;
}
