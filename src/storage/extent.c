/*-------------------------------------------------------------------------
 *
 * extent.c
 *	  Space in the relation file: taking, giving back, finding blocks.
 *
 * There is no map of free space: every block below meta->end_block that no
 * entry of the directory names is free, so the directory is the only truth
 * and a crash cannot make the two disagree.  Taking space is rare (a segment,
 * or another extent of the tail), and computing the gaps between at most
 * OMEN_MAX_SEGMENTS * OMEN_MAX_RUNS runs is cheap.
 *
 * Whoever takes space holds the relation extension lock from reading the
 * directory to changing it, so that two never take the same blocks; the file
 * is extended before the directory names the blocks, so that a block which
 * the directory names can always be read.  A file that has to become much
 * longer does so in steps, between which others may take the lock; whoever
 * comes first takes the blocks.
 *
 * Space is given back in two steps.  A merge marks what it has replaced
 * RETIRED, with the next transaction id: scans which copied the directory
 * before that have older snapshots and may go on reading.  Once every
 * snapshot of that age is gone (the rule nbtree uses for deleted pages), the
 * entry is dropped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/extent.h"

#include "src/storage/column.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

/* With more entries than this in the directory, retired ones are joined. */
#define JOIN_FROM (OMEN_MAX_SEGMENTS / 2)

/* Blocks by which the file grows at a time: whoever else wants space, such as an inserter, waits for that. */
#define EXTEND_BLOCKS 256

/* Runs of a new segment: it can have more, so that it can be moved piece by piece. */
#define NEW_RUNS (OMEN_MAX_RUNS / 2)

/* A gap that would hold less than this share of a segment is left alone. */
#define LEAST_RUN_SHARE (1.0 / 16)

#define MAX_TAKEN (OMEN_MAX_SEGMENTS * OMEN_MAX_RUNS + 2)

static int
compare_runs(const void *a, const void *b)
{
	BlockNumber left = ((const OmenRun *) a)->start;
	BlockNumber right = ((const OmenRun *) b)->start;

	return (left > right) - (left < right);
}

static int
compare_longest_first(const void *a, const void *b)
{
	uint32		left = ((const OmenRun *) a)->n_blocks;
	uint32		right = ((const OmenRun *) b)->n_blocks;

	return (left < right) - (left > right);
}

/* The gaps between the runs of all segments, below meta->end_block; returns how many. */
static int
find_gaps(const OmenMeta *meta, OmenRun *gaps)
{
	OmenRun		taken[MAX_TAKEN];
	int			n_taken = 0;
	int			n_gaps = 0;
	BlockNumber next = OMEN_META_BLOCK + 1;

	for (uint32 i = 0; i < meta->n_segments; i++)
		for (int run = 0; run < meta->segments[i].n_runs; run++)
			taken[n_taken++] = meta->segments[i].runs[run];
	qsort(taken, n_taken, sizeof(OmenRun), compare_runs);
	taken[n_taken].start = meta->end_block;
	taken[n_taken].n_blocks = 0;
	n_taken++;

	for (int i = 0; i < n_taken; i++)
	{
		if (taken[i].start > next)
		{
			gaps[n_gaps].start = next;
			gaps[n_gaps].n_blocks = taken[i].start - next;
			n_gaps++;
		}
		next = Max(next, taken[i].start + taken[i].n_blocks);
	}
	return n_gaps;
}

/* The longest gap that ends before the block; of no blocks if there is none. */
OmenRun
omen_extent_longest_gap(const OmenMeta *meta, BlockNumber before)
{
	OmenRun		gaps[MAX_TAKEN];
	int			n_gaps = find_gaps(meta, gaps);
	OmenRun		longest = {0, 0};

	for (int i = 0; i < n_gaps; i++)
		if (gaps[i].start + gaps[i].n_blocks <= before && gaps[i].n_blocks > longest.n_blocks)
			longest = gaps[i];
	return longest;
}

/* The gap that ends just before the block; of no blocks if there is none. */
OmenRun
omen_extent_gap_before(const OmenMeta *meta, BlockNumber block)
{
	OmenRun		gaps[MAX_TAKEN];
	int			n_gaps = find_gaps(meta, gaps);

	for (int i = 0; i < n_gaps; i++)
		if (gaps[i].start + gaps[i].n_blocks == block)
			return gaps[i];
	return (OmenRun) {0, 0};
}

/* n_blocks at the end of the file, from the last block in use on. */
static OmenRun
run_at_end(Relation index, OmenMeta *meta, uint32 n_blocks)
{
	OmenRun		gap = omen_extent_gap_before(meta, meta->end_block);
	OmenRun		run = {meta->end_block - gap.n_blocks, n_blocks};

	if (n_blocks > MaxBlockNumber - run.start)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("cannot extend index \"%s\" beyond %u blocks",
						RelationGetRelationName(index), MaxBlockNumber)));
	meta->end_block = Max(meta->end_block, run.start + n_blocks);
	return run;
}

/*
 * Choose runs for n_blocks, at most max_runs: the first gap that holds them
 * all, else the longest gaps, and for what they do not hold the end of the
 * file.  So a file has its gaps at its end, where they can be cut off, and
 * becomes no longer than it must.  Returns the number of runs, ascending.
 */
static int
choose_runs(Relation index, OmenMeta *meta, uint32 n_blocks, OmenRun *runs, int max_runs)
{
	OmenRun		gaps[MAX_TAKEN];
	int			n_gaps = find_gaps(meta, gaps);
	int			n_runs = 0;
	uint32		left = n_blocks;

	for (int i = 0; i < n_gaps; i++)
		if (gaps[i].n_blocks >= n_blocks)
		{
			runs[0] = (OmenRun) {gaps[i].start, n_blocks};
			return 1;
		}

	qsort(gaps, n_gaps, sizeof(OmenRun), compare_longest_first);
	for (int i = 0; i < n_gaps && n_runs < max_runs - 1 && left > 0; i++)
	{
		if (gaps[i].n_blocks < n_blocks * LEAST_RUN_SHARE)
			break;
		if (gaps[i].start + gaps[i].n_blocks == meta->end_block)
			continue;			/* goes on behind the end */
		runs[n_runs] = (OmenRun) {gaps[i].start, Min(gaps[i].n_blocks, left)};
		left -= runs[n_runs++].n_blocks;
	}
	if (left > 0)
		runs[n_runs++] = run_at_end(index, meta, left);
	qsort(runs, n_runs, sizeof(OmenRun), compare_runs);
	return n_runs;
}

/* Log a block that belongs to nobody: replaying that extends the file on a standby up to here. */
static void
log_unused_block(Relation index, BlockNumber block)
{
	Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, block, RBM_ZERO_AND_LOCK, NULL);

	START_CRIT_SECTION();
	omen_page_init(BufferGetPage(buffer), OMEN_PAGE_ROWS, 0, 0, 0);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(index))
		log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

/*
 * Make the file reach from old_end, the directory's, to new_end, here and on
 * standbys, before the directory names the blocks.  The file may be longer
 * than old_end, if an earlier attempt did not come to its end.  The caller
 * holds the extension lock.  Returns false if that was only a step, for others
 * are to have the lock, too.
 */
static bool
extend_file(Relation index, BlockNumber old_end, BlockNumber new_end)
{
	BlockNumber have = RelationGetNumberOfBlocks(index);

	if (new_end == old_end)
		return true;
	if (have < old_end)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has %u blocks, its directory says %u",
						RelationGetRelationName(index), have, old_end),
				 errhint("Please REINDEX it.")));
	for (int i = 0; i < EXTEND_BLOCKS && have < new_end; i++, have++)
	{
		CHECK_FOR_INTERRUPTS();
		ReleaseBuffer(ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_NORMAL, NULL));
	}
	if (have < new_end)
		return false;
	log_unused_block(index, new_end - 1);
	return true;
}

static void
init_entry(OmenSegment *segment, uint8 kind, uint8 state, uint32 n_blocks)
{
	memset(segment, 0, sizeof(*segment));
	segment->kind = kind;
	segment->state = state;
	segment->n_blocks = n_blocks;
	segment->stamp = Max(pg_prng_uint32(&pg_global_prng_state), 1);
	segment->null_list = OMEN_NO_LIST;
	segment->undirected_list = OMEN_NO_LIST;
}

/* What came of an attempt to take space. */
typedef enum TakeResult
{
	TAKE_DONE,
	TAKE_REFUSED,
	TAKE_AGAIN					/* the file has grown a step: look anew */
} TakeResult;

/* An attempt to take n_blocks, under the extension lock; meta is memory for the directory. */
static TakeResult
try_add_segment(Relation index, OmenMeta *meta, uint8 kind, uint8 state,
				uint32 n_blocks, OmenSegment *segment)
{
	OmenMetaChange change;
	BlockNumber old_end;

	omen_meta_read(index, meta);
	if (meta->n_segments >= OMEN_MAX_SEGMENTS ||
		(state == OMEN_STATE_OPEN && omen_meta_open_tail(meta) != NULL))
		return TAKE_REFUSED;

	init_entry(segment, kind, state, n_blocks);
	old_end = meta->end_block;
	segment->n_runs = choose_runs(index, meta, n_blocks, segment->runs,
								  kind == OMEN_SEGMENT_TAIL ? 1 : NEW_RUNS);
	if (!extend_file(index, old_end, meta->end_block))
		return TAKE_AGAIN;

	omen_meta_change_begin(index, &change);
	segment->id = change.meta->next_segment_id++;
	change.meta->end_block = meta->end_block;
	change.meta->segments[change.meta->n_segments++] = *segment;
	omen_meta_change_commit(&change);
	return TAKE_DONE;
}

/*
 * Take n_blocks for a new segment and enter it into the directory in the
 * given state.  Returns false, changing nothing, if the directory is full.
 */
bool
omen_extent_add_segment(Relation index, uint8 kind, uint8 state,
						uint32 n_blocks, OmenSegment *segment)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	TakeResult	result;

	do
	{
		LockRelationForExtension(index, ExclusiveLock);
		result = try_add_segment(index, meta, kind, state, n_blocks, segment);
		UnlockRelationForExtension(index, ExclusiveLock);
	} while (result == TAKE_AGAIN);
	pfree(meta);
	return result == TAKE_DONE;
}

/*
 * Take a range of free blocks below the end of the directory, as an entry
 * BUILDING.  Returns false if somebody else has taken it meanwhile, or the
 * directory is full.
 */
bool
omen_extent_reserve(Relation index, BlockNumber start, uint32 n_blocks, OmenSegment *segment)
{
	OmenMetaChange change;
	OmenRun		gaps[MAX_TAKEN];
	bool		is_free = false;
	int			n_gaps;

	LockRelationForExtension(index, ExclusiveLock);
	omen_meta_change_begin(index, &change);
	n_gaps = find_gaps(change.meta, gaps);
	for (int i = 0; i < n_gaps; i++)
		is_free |= gaps[i].start <= start && start + n_blocks <= gaps[i].start + gaps[i].n_blocks;
	if (is_free && change.meta->n_segments < OMEN_MAX_SEGMENTS)
	{
		init_entry(segment, OMEN_SEGMENT_GRAPH, OMEN_STATE_BUILDING, n_blocks);
		segment->n_runs = 1;
		segment->runs[0].start = start;
		segment->runs[0].n_blocks = n_blocks;
		segment->id = change.meta->next_segment_id++;
		change.meta->segments[change.meta->n_segments++] = *segment;
		omen_meta_change_commit(&change);
	}
	else
	{
		is_free = false;
		omen_meta_change_abort(&change);
	}
	UnlockRelationForExtension(index, ExclusiveLock);
	return is_free;
}

/*
 * Where a tail is to go on.  The last run that it can have is at the end of
 * the file, where it can become longer: so it does not run out of runs as
 * long as nobody else takes space there, as nobody does when the directory is
 * crowded.
 */
static OmenRun
choose_growth(Relation index, OmenMeta *meta, const OmenSegment *tail, uint32 n_blocks)
{
	OmenRun		run;

	if (tail->n_runs >= OMEN_MAX_RUNS - 1)
		return run_at_end(index, meta, n_blocks);
	(void) choose_runs(index, meta, n_blocks, &run, 1);
	return run;
}

/* An attempt to let a tail grow, under the extension lock; meta is memory for the directory. */
static TakeResult
try_grow_tail(Relation index, OmenMeta *meta, uint32 segment_id, uint32 have_blocks, uint32 n_blocks)
{
	OmenMetaChange change;
	OmenSegment *tail;
	OmenRun		run;
	BlockNumber old_end;
	bool		adjacent;

	omen_meta_read(index, meta);
	tail = omen_meta_find(meta, segment_id);
	if (tail == NULL || tail->state != OMEN_STATE_OPEN)
		return TAKE_REFUSED;
	if (tail->n_blocks != have_blocks)
		return TAKE_DONE;

	old_end = meta->end_block;
	run = choose_growth(index, meta, tail, n_blocks);
	adjacent = run.start == tail->runs[tail->n_runs - 1].start + tail->runs[tail->n_runs - 1].n_blocks;
	if (!adjacent && tail->n_runs == OMEN_MAX_RUNS)
		return TAKE_REFUSED;
	if (!extend_file(index, old_end, meta->end_block))
		return TAKE_AGAIN;

	omen_meta_change_begin(index, &change);
	tail = omen_meta_find(change.meta, segment_id);
	if (tail == NULL || tail->state != OMEN_STATE_OPEN)	/* closed since we looked */
	{
		omen_meta_change_abort(&change);
		return TAKE_REFUSED;
	}
	change.meta->end_block = meta->end_block;
	if (adjacent)
		tail->runs[tail->n_runs - 1].n_blocks += n_blocks;
	else
		tail->runs[tail->n_runs++] = run;
	tail->n_blocks += n_blocks;
	omen_meta_change_commit(&change);
	return TAKE_DONE;
}

/*
 * Give the open tail, which the caller knows to have have_blocks, another
 * n_blocks.  Returns false if it has been closed meanwhile or has no place
 * for another run; true also if somebody else has just grown it.
 */
bool
omen_extent_grow_tail(Relation index, uint32 segment_id, uint32 have_blocks, uint32 n_blocks)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	TakeResult	result;

	do
	{
		LockRelationForExtension(index, ExclusiveLock);
		result = try_grow_tail(index, meta, segment_id, have_blocks, n_blocks);
		UnlockRelationForExtension(index, ExclusiveLock);
	} while (result == TAKE_AGAIN);
	pfree(meta);
	return result == TAKE_DONE;
}

/* Physical block of a logical one. */
BlockNumber
omen_extent_block(Relation index, const OmenSegment *segment, uint32 logical_block)
{
	uint32		left = logical_block;

	for (int i = 0; i < segment->n_runs && i < OMEN_MAX_RUNS; i++)
	{
		if (left < segment->runs[i].n_blocks)
			return segment->runs[i].start + left;
		left -= segment->runs[i].n_blocks;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("segment %u of index \"%s\" has no block %u",
					segment->id, RelationGetRelationName(index), logical_block),
			 errhint("Please REINDEX it.")));
	return InvalidBlockNumber;	/* keep compiler quiet */
}

/*
 * Have the directory, as it is now, on disk before the truth of it is relied
 * upon.  New pages of a segment are written without records at first, so they
 * could reach the disk before the record that freed their blocks: after a
 * crash, the old segment would be back, over pages that are no longer its.
 * Therefore whoever has taken space calls this before writing there.
 */
void
omen_extent_flush_metapage(Relation index)
{
	Buffer		buffer;
	XLogRecPtr	lsn;

	if (!RelationNeedsWAL(index))
		return;
	buffer = ReadBuffer(index, OMEN_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	lsn = PageGetLSN(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	XLogFlush(lsn);
}

/*
 * Until when an entry that is being retired must be kept.  To be asked under
 * the exclusive lock of the metapage: whoever copied the directory before has
 * a snapshot from before, but between an earlier answer and the change there
 * could be a scan with a younger snapshot and the old directory.
 */
uint64
omen_extent_retire_xid(void)
{
	return U64FromFullTransactionId(ReadNextFullTransactionId());
}

/* Can the space of an entry be used again? */
static bool
is_reclaimable(const OmenSegment *segment, bool building_too)
{
	if (segment->state == OMEN_STATE_BUILDING)
		return building_too;
	return segment->state == OMEN_STATE_RETIRED &&
		GlobalVisCheckRemovableFullXid(NULL, FullTransactionIdFromU64(segment->retire_xid));
}

/*
 * Drop the entries whose space can be used again: retired ones that no
 * snapshot can need, and, if building_too, what a crash left half built.  The
 * caller holds a lock that keeps others from retiring or reclaiming; for
 * building_too, locks by which nothing is being built now.
 */
void
omen_extent_reclaim(Relation index, bool building_too)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	OmenMetaChange change;
	bool		found = false;

	omen_meta_read(index, meta);
	for (uint32 i = 0; i < meta->n_segments; i++)
		found |= is_reclaimable(&meta->segments[i], building_too);
	pfree(meta);
	if (!found)
		return;

	omen_meta_change_begin(index, &change);
	for (int i = change.meta->n_segments - 1; i >= 0; i--)
		if (is_reclaimable(&change.meta->segments[i], building_too))
			omen_meta_remove(change.meta, &change.meta->segments[i]);
	omen_meta_change_commit(&change);
}

/* ---- joining ---- */

/* All runs of two entries, ascending, those that touch as one; returns how many. */
static int
join_runs(const OmenSegment *one, const OmenSegment *other, OmenRun *runs)
{
	int			n = one->n_runs + other->n_runs;
	int			n_joined = 0;

	memcpy(runs, one->runs, one->n_runs * sizeof(OmenRun));
	memcpy(runs + one->n_runs, other->runs, other->n_runs * sizeof(OmenRun));
	qsort(runs, n, sizeof(OmenRun), compare_runs);
	for (int i = 0; i < n; i++)
	{
		if (n_joined > 0 && runs[n_joined - 1].start + runs[n_joined - 1].n_blocks == runs[i].start)
			runs[n_joined - 1].n_blocks += runs[i].n_blocks;
		else
			runs[n_joined++] = runs[i];
	}
	return n_joined;
}

/* The two retired entries that fit into one and of which the younger is oldest; false if there are none. */
static bool
find_joinable(OmenMeta *meta, OmenSegment **to, OmenSegment **from)
{
	uint64		oldest_xid = PG_UINT64_MAX;

	for (uint32 i = 0; i < meta->n_segments; i++)
		for (uint32 j = i + 1; j < meta->n_segments; j++)
		{
			OmenSegment *one = &meta->segments[i];
			OmenSegment *other = &meta->segments[j];
			OmenRun		runs[2 * OMEN_MAX_RUNS];

			if (one->state != OMEN_STATE_RETIRED || other->state != OMEN_STATE_RETIRED ||
				Max(one->retire_xid, other->retire_xid) >= oldest_xid ||
				join_runs(one, other, runs) > OMEN_MAX_RUNS)
				continue;
			oldest_xid = Max(one->retire_xid, other->retire_xid);
			*to = one;
			*from = other;
		}
	return oldest_xid != PG_UINT64_MAX;
}

/*
 * In a directory that is getting full, join retired entries, of which a long
 * transaction may hold on to any number: one entry for the blocks of both,
 * retired when the younger was.  Nobody looks for a retired entry by its
 * number; scans have their copies.  Oldest first, so that what is retired now
 * does not put off what could soon be used again.
 */
void
omen_extent_join_retired(OmenMeta *meta)
{
	OmenSegment *to;
	OmenSegment *from;

	while (meta->n_segments > JOIN_FROM && find_joinable(meta, &to, &from))
	{
		OmenSegment joined;
		OmenRun		runs[2 * OMEN_MAX_RUNS];

		init_entry(&joined, OMEN_SEGMENT_GRAPH, OMEN_STATE_RETIRED, to->n_blocks + from->n_blocks);
		joined.id = to->id;
		joined.retire_xid = Max(to->retire_xid, from->retire_xid);
		joined.n_runs = join_runs(to, from, runs);
		memcpy(joined.runs, runs, joined.n_runs * sizeof(OmenRun));
		*to = joined;
		omen_meta_remove(meta, from);
	}
}
