/*-------------------------------------------------------------------------
 *
 * compact.c
 *	  Making the file shorter.
 *
 * A merge needs space for the new segment while the old ones are still there,
 * so a rewritten index lies behind a gap as large as itself.  Two steps give
 * that back: the last blocks of the file move into gaps before them, and the
 * free end is cut off.
 *
 * Moved pages are copied as they are: the stamp says segment, column and
 * logical block, and only the directory knows where that lies.  The old
 * blocks become an entry RETIRED of their own, for scans that know the old
 * directory; they go on reading there.
 *
 * A crash leaves, after each record: an entry BUILDING, which the next
 * maintenance drops (space taken, pages copied); the move done; a directory
 * that ends before the file does, which is allowed (see extent.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/compact.h"

#include "src/storage/extent.h"
#include "src/storage/maintain_lock.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "catalog/storage.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"

/* A file is compacted when this share of it is free. */
#define COMPACT_SHARE 0.2

/* Blocks moved at a time, at most: vacuum, and whoever has sealed a tail, waits for a move. */
#define MOVE_BLOCKS 1024

/* A free end is cut off from this share of the file, and this many blocks, on. */
#define TRUNCATE_SHARE (1.0 / 16)
#define TRUNCATE_BLOCKS 32

static inline BlockNumber
run_end(const OmenRun *run)
{
	return run->start + run->n_blocks;
}

/* ---- moving blocks ---- */

/* The first block after all entries that are in use. */
static BlockNumber
end_of_used(const OmenMeta *meta, bool retired_too)
{
	BlockNumber end = OMEN_META_BLOCK + 1;

	for (uint32 i = 0; i < meta->n_segments; i++)
		if (retired_too || meta->segments[i].state != OMEN_STATE_RETIRED)
			for (int run = 0; run < meta->segments[i].n_runs; run++)
				end = Max(end, run_end(&meta->segments[i].runs[run]));
	return end;
}

static uint64
used_blocks(const OmenMeta *meta)
{
	uint64		n_blocks = OMEN_META_BLOCK + 1;

	for (uint32 i = 0; i < meta->n_segments; i++)
		n_blocks += meta->segments[i].n_blocks;
	return n_blocks;
}

/* The sealed segment, and its run, that ends at the block; NULL if that is a tail's, say. */
static OmenSegment *
find_last_segment(OmenMeta *meta, BlockNumber end, int *run)
{
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		OmenSegment *segment = &meta->segments[i];

		if (segment->kind != OMEN_SEGMENT_GRAPH || segment->state != OMEN_STATE_LIVE)
			continue;
		for (*run = 0; *run < segment->n_runs; (*run)++)
			if (run_end(&segment->runs[*run]) == end)
				return segment;
	}
	return NULL;
}

static void
copy_block(Relation index, BlockNumber from, BlockNumber to)
{
	Buffer		source = ReadBuffer(index, from);
	Buffer		target = ReadBufferExtended(index, MAIN_FORKNUM, to, RBM_ZERO_AND_LOCK, NULL);

	LockBuffer(source, BUFFER_LOCK_SHARE);
	memcpy(BufferGetPage(target), BufferGetPage(source), BLCKSZ);
	UnlockReleaseBuffer(source);
	MarkBufferDirty(target);
	UnlockReleaseBuffer(target);
}

/*
 * Does the run after this one begin with what has been moved from here, to lie
 * before which makes a run of both?
 */
static inline bool
lies_before_next_run(const OmenSegment *segment, int run, BlockNumber end)
{
	return run + 1 < segment->n_runs && segment->runs[run + 1].start == end;
}

/* The last n_blocks of a run of the segment lie at `to` from now on; what was there is kept in `old`. */
static void
move_end_of_run(OmenSegment *segment, int run, BlockNumber to, uint32 n_blocks, OmenRun *old)
{
	OmenRun    *moved = &segment->runs[run];
	bool		joins = lies_before_next_run(segment, run, to + n_blocks);
	bool		whole = n_blocks == moved->n_blocks;

	old->start = run_end(moved) - n_blocks;
	old->n_blocks = n_blocks;
	moved->n_blocks -= n_blocks;
	if (joins)
	{
		moved[1].start = to;
		moved[1].n_blocks += n_blocks;
		if (whole)
		{
			memmove(moved, moved + 1, (segment->n_runs - run - 1) * sizeof(OmenRun));
			segment->n_runs--;
		}
		return;
	}
	if (!whole)
	{
		moved++;
		memmove(moved + 1, moved, (segment->n_runs - run - 1) * sizeof(OmenRun));
		segment->n_runs++;
	}
	moved->start = to;
	moved->n_blocks = n_blocks;
}

/*
 * Copy the end of a run into the space reserved, then change the directory:
 * the entry of the reservation becomes that of the old blocks.
 */
static void
move_into(Relation index, const OmenSegment *segment, int run, const OmenSegment *reserved)
{
	uint32		n_blocks = reserved->n_blocks;
	BlockNumber from = run_end(&segment->runs[run]) - n_blocks;
	BlockNumber to = reserved->runs[0].start;
	OmenMetaChange change;
	OmenSegment *old;

	omen_extent_flush_metapage(index);
	for (uint32 i = 0; i < n_blocks; i++)
	{
		copy_block(index, from + i, to + i);
		omen_maintain_nap(index, OMEN_LOCK_MARKS_WANTED);
	}
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, to, to + n_blocks, true);

	omen_meta_change_begin(index, &change);
	old = omen_meta_find(change.meta, reserved->id);
	move_end_of_run(omen_meta_find(change.meta, segment->id), run, to, n_blocks, &old->runs[0]);
	old->state = OMEN_STATE_RETIRED;
	old->retire_xid = omen_extent_retire_xid();
	omen_meta_change_commit(&change);
}

/* What omen_compact() is to move: the last n_blocks of a run of a segment. */
typedef struct Move
{
	OmenSegment *segment;
	int			run;
	BlockNumber to;
	uint32		n_blocks;
} Move;

/* The gap that ends where the run after this one begins; of no blocks if there is none. */
static OmenRun
gap_before_next_run(const OmenMeta *meta, const OmenSegment *segment, int run)
{
	if (run + 1 < segment->n_runs)
		return omen_extent_gap_before(meta, segment->runs[run + 1].start);
	return (OmenRun) {0, 0};
}

/* Is so much free before the last block in use that what lies there should go elsewhere? */
static inline bool
much_is_free(const OmenMeta *meta, BlockNumber end)
{
	return end - Min(end, used_blocks(meta)) > COMPACT_SHARE * end;
}

/*
 * Choose blocks at the end of the file for a gap: on with the one that is being
 * filled, from its end, else the longest.  So a run that moves piece by piece
 * becomes one run again, wherever it goes.  False if nothing is worth while.
 */
static bool
choose_move(OmenMeta *meta, Move *move)
{
	BlockNumber end = end_of_used(meta, false);
	const OmenRun *run;
	OmenRun		gap;
	uint32		n_wanted;

	move->segment = find_last_segment(meta, end, &move->run);
	if (move->segment == NULL || !much_is_free(meta, end))
		return false;
	run = &move->segment->runs[move->run];
	gap = gap_before_next_run(meta, move->segment, move->run);
	if (gap.n_blocks < Min(run->n_blocks, TRUNCATE_BLOCKS) || run_end(&gap) > run->start)
		gap = omen_extent_longest_gap(meta, run->start);

	n_wanted = Min(gap.n_blocks, run->n_blocks);
	move->n_blocks = Min(n_wanted, MOVE_BLOCKS);
	if (lies_before_next_run(move->segment, move->run, run_end(&gap)))
		n_wanted = gap.n_blocks;
	move->to = gap.start + n_wanted - move->n_blocks;
	if (move->n_blocks == run->n_blocks)
		return true;
	return move->n_blocks >= TRUNCATE_BLOCKS &&
		(move->segment->n_runs < OMEN_MAX_RUNS ||
		 lies_before_next_run(move->segment, move->run, move->to + move->n_blocks));
}

/*
 * Is it the open tail that keeps a file long of which much is free?  A tail is
 * not moved, for inserters know where it is; once it is sealed, the next one
 * finds a gap.
 */
bool
omen_compact_waits_for_tail(OmenMeta *meta)
{
	BlockNumber end = end_of_used(meta, false);
	const OmenSegment *tail = omen_meta_open_tail(meta);

	if (tail == NULL || !much_is_free(meta, end))
		return false;
	for (int run = 0; run < tail->n_runs; run++)
		if (run_end(&tail->runs[run]) == end)
			return omen_extent_longest_gap(meta, tail->runs[run].start).n_blocks >= TRUNCATE_BLOCKS;
	return false;
}

/*
 * Move blocks from the end of the file into the longest gap, if much of the
 * file is free.  Returns whether any were moved.  The caller holds the locks
 * by which no segment is merged and no row marked dead.
 */
bool
omen_compact(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	OmenSegment reserved;
	Move		move;
	bool		moved;

	omen_meta_read(index, meta);
	moved = choose_move(meta, &move) &&
		omen_extent_reserve(index, move.to, move.n_blocks, &reserved);
	if (moved)
		move_into(index, move.segment, move.run, &reserved);
	pfree(meta);
	return moved;
}

/* ---- cutting off ---- */

/* Where to cut the file; InvalidBlockNumber if that is not worth while. */
static BlockNumber
choose_end(Relation index, const OmenMeta *meta)
{
	BlockNumber have = RelationGetNumberOfBlocks(index);
	BlockNumber end = end_of_used(meta, true);

	if (have < end || have - end < TRUNCATE_BLOCKS || have - end < TRUNCATE_SHARE * have)
		return InvalidBlockNumber;
	return end;
}

/* Is there anything to do for the file to become shorter? */
bool
omen_compact_is_due(Relation index, OmenMeta *meta)
{
	Move		move;

	return choose_move(meta, &move) || omen_compact_waits_for_tail(meta) ||
		choose_end(index, meta) != InvalidBlockNumber;
}

/*
 * The directory's end comes first, and to disk, for a file that ends before
 * it is a damaged one.
 */
static void
cut_off(Relation index)
{
	OmenMetaChange change;
	BlockNumber end;

	LockRelationForExtension(index, ExclusiveLock);
	omen_meta_change_begin(index, &change);
	end = choose_end(index, change.meta);
	if (end == InvalidBlockNumber)
		omen_meta_change_abort(&change);
	else
	{
		change.meta->end_block = end;
		omen_meta_change_commit(&change);
		omen_extent_flush_metapage(index);
		RelationTruncate(index, end);
	}
	UnlockRelationForExtension(index, ExclusiveLock);
}

/*
 * Cut off the free end of the file, if it is long and nobody uses the index:
 * not for the sake of scans here, which never look at free blocks, but of
 * those on standbys, where the lock makes the replay wait, or end them.
 */
void
omen_truncate(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	bool		wanted;

	omen_meta_read(index, meta);
	wanted = choose_end(index, meta) != InvalidBlockNumber;
	pfree(meta);

	/* A parallel vacuum cannot have the transaction id that logging the lock takes. */
	if (!wanted || IsInParallelMode() || !ConditionalLockRelation(index, AccessExclusiveLock))
		return;
	cut_off(index);
	UnlockRelation(index, AccessExclusiveLock);
}
