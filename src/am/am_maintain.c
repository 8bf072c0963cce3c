/*-------------------------------------------------------------------------
 *
 * am_maintain.c
 *	  The life of segments: tails are sealed, segments merged.
 *
 * Sealing and merging are one operation: the rows of some sources (frozen
 * tails, segments), less the dead ones, become a new segment, which one
 * change of the directory puts in their place.  Codes are copied as they are.
 *
 * Readers and writers never wait for it: see maintain_lock.h for the locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/maintain_progress.h"
#include "src/am/maintain_worker.h"
#include "src/am/merge_source.h"
#include "src/am/segment_sketch.h"
#include "src/storage/compact.h"
#include "src/storage/extent.h"
#include "src/storage/maintain_lock.h"
#include "src/storage/segment_writer.h"
#include "src/storage/tail.h"

#include "access/table.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The tail is sealed when its rows are this many bytes, unless the index has an option. */
#define SEAL_BYTES (512 * 1024)
#define MIN_SEAL_ROWS 1000

/* So many times longer it becomes before an inserting backend does what a worker should have done. */
#define PATIENT_TAIL 2

/* So many times longer it may become while somebody else is sealing; then another one begins. */
#define LONG_TAIL 4

/* At so many times that length in all tails together, inserting backends wait for whoever is sealing. */
#define MOST_IN_TAILS 8

/* Rows are sealed into a larger segment only if the whole is at most so many times as much: it keeps others from sealing. */
#define SEAL_INTO 32

/* Where nobody else comes by, an inserting backend merges the smallest segments. */
#define CROWDED_SEGMENTS 20
#define CROWDED_MERGE 12

/* More pieces of work than this are left for the next time. */
#define MAX_STEPS 64

/*
 * Entries of the directory kept free for tails.  Long transactions hold on to
 * retired entries; when they have filled the rest, nothing more is sealed and
 * the tail just grows.
 */
#define SPARE_SEGMENTS 8

/* A session says at most so often that the directory is nearly full. */
#define WARNING_PAUSE_MS 60000

/* If this share of what is in use is kept for running queries, a worker waits for it, so many times. */
#define RETIRED_SHARE 0.25
#define MAX_WAITS 5

/* A segment with more dead rows than this share is written anew. */
#define REWRITE_DEAD_SHARE 0.2

/* ---- locks ---- */

/*
 * Get the merge lock by hand.  What a worker is doing would have to be done
 * all the same, so it may end it: it is not waited for in the lock manager,
 * which would cancel it after deadlock_timeout.  If all is to be merged anew,
 * its work is for nothing, and that is right.
 */
static void
lock_merge_by_hand(Relation index, bool full)
{
	omen_maintain_lock(index, OMEN_LOCK_BY_HAND);
	if (full)
		omen_maintain_lock(index, OMEN_LOCK_MERGE);
	else
		while (!omen_maintain_try_lock(index, OMEN_LOCK_MERGE))
			omen_maintain_wait();
}

/* Length of the tail, in blocks, at which scanning it costs about as much as the rest of a query. */
uint32
omen_seal_blocks(Relation index, const OmenMeta *meta)
{
	uint32		row_bytes = omen_tail_row_bytes(meta);
	uint64		bytes = (uint64) omen_am_option_tail_size(index) * 1024;

	if (bytes == 0)
	{
		bytes = SEAL_BYTES;
		if (!meta->variable_codes)
			bytes = Max(bytes, (uint64) MIN_SEAL_ROWS * row_bytes);
	}
	return Max(bytes / OMEN_PAGE_CAPACITY, 1);
}

/* ---- merging ---- */

static bool
has_many_dead(const OmenSegment *segment)
{
	return segment->n_dead > REWRITE_DEAD_SHARE * segment->n_rows;
}

/*
 * Is a segment to be written anew?  Not while more of it is alive than fits
 * into the memory allowed, of which the budget is the rows; when ever more
 * die, the rest does.
 */
static bool
rewrite_is_due(const OmenSegment *segment, uint64 budget)
{
	return has_many_dead(segment) && segment->n_rows - Min(segment->n_dead, segment->n_rows) <= budget;
}

/*
 * Put the new segment (0 for none) in the place of the sources.  Vacuum is
 * locked out meanwhile: what it has marked in the sources since they were
 * read is marked in the new segment first.
 */
static void
publish(Relation index, uint32 segment_id, OmenMergeSource *sources, int n_sources)
{
	uint32		replaced[OMEN_MAX_SEGMENTS];
	OmenTidSet	late = {0};

	omen_maintain_lock_marks(index);
	for (int i = 0; i < n_sources; i++)
	{
		replaced[i] = sources[i].segment->id;
		omen_merge_source_late_deaths(&sources[i], &late);
	}
	if (segment_id != 0 && late.n > 0)
	{
		omen_tid_set_sort(&late);
		omen_vacuum_one_segment(index, segment_id, omen_tid_set_has, &late);
	}
	omen_segment_publish(index, segment_id, replaced, n_sources);
	omen_maintain_unlock(index, OMEN_LOCK_MARKS);
}

/* Rows of a source that are not dead; of a tail about, and not less. */
static double
living_rows(const OmenMeta *meta, const OmenSegment *segment)
{
	if (segment->kind == OMEN_SEGMENT_TAIL)
		return (double) segment->n_blocks * OMEN_PAGE_CAPACITY / omen_tail_row_bytes(meta);
	return segment->n_rows - Min(segment->n_dead, segment->n_rows);
}

/*
 * Should the last source, the largest, go on with its links, so that only the
 * rows of the others are linked?  Not if most would have come and gone since it
 * was linked as a whole: links that are only ever added to find less and less.
 * And not if searches will compare by other sketches: then what was measured of
 * its own says nothing.
 */
static bool
goes_on(Relation index, const OmenMeta *meta, const OmenSegment *const *segments, int n_segments)
{
	const OmenSegment *largest = segments[n_segments - 1];
	double		total = 0;
	double		renewed;

	for (int i = 0; i < n_segments; i++)
		total += living_rows(meta, segments[i]);
	renewed = largest->n_renewed + largest->n_dead + total - living_rows(meta, largest);
	return n_segments > 1 && largest->kind == OMEN_SEGMENT_GRAPH && largest->n_nodes > 0 &&
		!has_many_dead(largest) && omen_am_sketches_are_as_wanted(index, meta, largest) && renewed <= OMEN_RENEWED_SHARE * total;
}

/* Bring the sources' rows together.  carry: the last one's graph goes on. */
static void
read_sources(Relation index, const OmenMeta *meta, const OmenSegment *const *segments, int n_segments,
			 bool carry, OmenMergeSource *sources, OmenSegmentBuilder *builder)
{
	int			n_rows = carry ? n_segments - 1 : n_segments;

	/* Reading and building take long and look at no catalog: let go of the snapshot that lookups have left. */
	for (int i = 0; i < n_rows; i++)
	{
		InvalidateCatalogSnapshotConditionally();
		omen_merge_source_read(&sources[i], index, meta, segments[i], builder);
	}
	InvalidateCatalogSnapshotConditionally();
	if (carry)
		omen_merge_source_begin_carry(&sources[n_rows], index, meta, segments[n_rows], builder);

	(void) omen_builder_gather(builder, false);
	if (carry)
		omen_merge_source_carry(&sources[n_rows], builder);
}

/*
 * Make one segment of the sources.  anew: without regard to their graphs.
 * Returns false if the directory has no place for it.
 */
static bool
merge(Relation index, const OmenMeta *meta, const OmenSegment *const *segments, int n_segments, bool anew)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec merge",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	OmenMergeSource sources[OMEN_MAX_SEGMENTS];
	uint32		segment_id = 0;
	bool		written = true;
	OmenEncoder encoder;
	OmenBuildTeam team;
	OmenSegmentBuilder *builder;

	omen_encoder_init(&encoder, index, meta);
	omen_progress_merge(index, segments, n_segments);
	omen_build_team_alone(&team);
	builder = omen_builder_create(index, meta, &encoder.codec, &team, NULL, omen_progress_is_shown());

	read_sources(index, meta, segments, n_segments, !anew && goes_on(index, meta, segments, n_segments), sources, builder);
	if (!builder->rows.empty)
		written = omen_builder_write(builder, &segment_id);
	if (written)
		publish(index, segment_id, sources, n_segments);

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	return written;
}

/* ---- choosing what to do ---- */

static int
compare_by_rows(const void *a, const void *b)
{
	const OmenSegment *left = *(const OmenSegment *const *) a;
	const OmenSegment *right = *(const OmenSegment *const *) b;

	if (left->n_rows != right->n_rows)
		return left->n_rows < right->n_rows ? -1 : 1;
	return left->id < right->id ? -1 : 1;
}

/* The LIVE entries of a kind, smallest first; returns how many. */
static int
live_segments(OmenMeta *meta, uint8 kind, const OmenSegment **result)
{
	int			n = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].kind == kind && meta->segments[i].state == OMEN_STATE_LIVE)
			result[n++] = &meta->segments[i];
	qsort(result, n, sizeof(*result), compare_by_rows);
	return n;
}

/* How many rows a tail has when it is sealed. */
static uint64
seal_rows(Relation index, const OmenMeta *meta)
{
	return (uint64) omen_seal_blocks(index, meta) * OMEN_PAGE_CAPACITY / omen_tail_row_bytes(meta);
}

/* How many rows the merges of an inserting backend may have. */
static uint64
crowded_budget(Relation index, const OmenMeta *meta)
{
	return CROWDED_MERGE * 2 * seal_rows(index, meta);
}

/* How many rows any other merge may have: as many as fit into the memory allowed. */
static uint64
merge_budget(Relation index, const OmenMeta *meta)
{
	int			work_mem_kb = omen_worker_or_autovacuum() && autovacuum_work_mem != -1 ?
		autovacuum_work_mem : maintenance_work_mem;
	OmenCodec	codec;
	uint64		fit;

	omen_am_codec(&codec, index, meta);
	fit = (uint64) work_mem_kb * 1024 / omen_builder_row_bytes(index, meta, &codec);
	return Min(Max(fit, crowded_budget(index, meta)), OMEN_MAX_NODES / 4);
}

/*
 * How many of the smallest segments to merge now, with n_more rows from
 * elsewhere; 0 for none: as many as there can be so that the largest is no more
 * than factor times all the others.  Sizes that grow by a factor keep the number
 * of segments logarithmic and let each row be copied a few times only.
 */
static int
choose_merge(const OmenSegment *const *segments, int n_segments, uint64 n_more, double factor, uint64 budget)
{
	uint64		sum = n_more;
	int			n_chosen = 0;

	for (int n = 0; n < n_segments && sum + segments[n]->n_rows <= budget; n++)
	{
		if (sum > 0 && segments[n]->n_rows <= sum * factor)
			n_chosen = n + 1;
		sum += segments[n]->n_rows;
	}
	return n_chosen;
}

/* Is the open tail long enough to be sealed?  If so, it is frozen. */
static void
freeze_open_tail(Relation index, OmenMeta *meta, uint32 due_blocks)
{
	OmenSegment *open = omen_meta_open_tail(meta);

	if (open != NULL && omen_tail_used_blocks(index, open) >= due_blocks)
	{
		omen_tail_freeze(index, open->id);
		omen_meta_read(index, meta);
	}
}

/* How many of the smallest segments take in the rows of a tail at once, rather than be merged with them later. */
static int
choose_takers(Relation index, const OmenMeta *meta, const OmenSegment *const *segments, int n_segments, uint64 n_rows)
{
	uint64		budget = Min(merge_budget(index, meta), SEAL_INTO * Max(n_rows, seal_rows(index, meta)));

	return choose_merge(segments, n_segments, n_rows, omen_am_option_merge_factor(index), budget);
}

/*
 * Make a segment of the frozen tails, at most so many, and of the open one if
 * it has due_blocks.  may_merge: the caller holds the merge lock, too; then
 * small segments, which would be merged with the new one, become part of it.
 * Returns whether that was done.
 */
static bool
seal_tails(Relation index, OmenMeta *meta, uint32 due_blocks, int max_tails, bool may_merge)
{
	const OmenSegment *sources[OMEN_MAX_SEGMENTS];
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	uint64		n_rows = 0;
	int			n_sources;
	int			n_segments;

	freeze_open_tail(index, meta, due_blocks);
	n_sources = Min(live_segments(meta, OMEN_SEGMENT_TAIL, sources), max_tails);
	if (n_sources == 0)
		return false;
	for (int i = 0; i < n_sources; i++)
		n_rows += omen_tail_close(index, sources[i]);
	if (may_merge)
	{
		n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
		n_segments = choose_takers(index, meta, segments, n_segments, n_rows);
		memcpy(sources + n_sources, segments, n_segments * sizeof(*segments));
		n_sources += n_segments;
	}
	return merge(index, meta, sources, n_sources, false);
}

/* The same under both locks, of which the caller holds that of merges; false also if somebody else has the other. */
static bool
seal_if_free(Relation index, OmenMeta *meta, uint32 due_blocks)
{
	bool		done;

	if (!omen_maintain_try_lock(index, OMEN_LOCK_SEAL))
		return false;
	omen_meta_read(index, meta);
	done = seal_tails(index, meta, due_blocks, OMEN_MAX_SEGMENTS, true);
	omen_maintain_unlock(index, OMEN_LOCK_SEAL);
	return done;
}

static uint32
count_retired(const OmenMeta *meta)
{
	uint32		n_retired = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
		n_retired += meta->segments[i].state == OMEN_STATE_RETIRED;
	return n_retired;
}

/* Is there room for what is being built?  If not, that is said, now and then. */
static bool
directory_has_room(Relation index, const OmenMeta *meta)
{
	static TimestampTz last_warning = 0;
	TimestampTz now;

	if (meta->n_segments <= OMEN_MAX_SEGMENTS - SPARE_SEGMENTS)
		return true;
	now = GetCurrentTimestamp();
	if (TimestampDifferenceExceeds(last_warning, now, WARNING_PAUSE_MS))
	{
		last_warning = now;
		ereport(WARNING,
				(errmsg("directory of index \"%s\" is nearly full", RelationGetRelationName(index)),
				 errdetail("It has %u of %d entries, %u of them kept for running queries; meanwhile new rows are not sealed, which makes searches slower.",
						   meta->n_segments, OMEN_MAX_SEGMENTS, count_retired(meta)),
				 errhint("End long transactions, then VACUUM the table.")));
	}
	return false;
}

/* Are there more rows in tails than searches should bear? */
static bool
tails_are_full(Relation index, const OmenMeta *meta)
{
	uint64		n_blocks = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		const OmenSegment *segment = &meta->segments[i];

		if (segment->kind == OMEN_SEGMENT_TAIL && segment->state != OMEN_STATE_RETIRED)
			n_blocks += omen_tail_used_blocks(index, segment);
	}
	return n_blocks >= (uint64) MOST_IN_TAILS * omen_seal_blocks(index, meta);
}

/*
 * Somebody else is sealing: must an inserting backend wait for him?  A tail
 * that has become long is frozen, so that what this backend will have to seal
 * stays short; it waits only when all tails together have become long.
 */
static bool
must_wait_for_seal(Relation index, OmenMeta *meta)
{
	omen_meta_read(index, meta);
	if (!directory_has_room(index, meta))
		return false;
	freeze_open_tail(index, meta, LONG_TAIL * omen_seal_blocks(index, meta));
	return tails_are_full(index, meta);
}

/*
 * Get the seal lock for an inserting backend; false if it goes on without.
 * Whoever seals waits for no inserter, so the lock manager, which would cancel
 * a worker, need not see this wait.
 */
static bool
get_seal_lock(Relation index, OmenMeta *meta)
{
	bool		locked = omen_maintain_try_lock(index, OMEN_LOCK_SEAL);

	if (locked || !must_wait_for_seal(index, meta))
		return locked;
	omen_maintain_want(index, OMEN_LOCK_SEAL_WANTED);
	do
	{
		omen_maintain_wait();
		locked = omen_maintain_try_lock(index, OMEN_LOCK_SEAL);
	} while (!locked && must_wait_for_seal(index, meta));
	omen_maintain_want_no_more(index, OMEN_LOCK_SEAL_WANTED);
	return locked;
}

/* Merge some segments, or write one anew, if that is due.  Returns whether that was done. */
static bool
merge_due(Relation index, OmenMeta *meta)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	int			n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
	uint64		budget = merge_budget(index, meta);
	int			n_chosen = choose_merge(segments, n_segments, 0, omen_am_option_merge_factor(index), budget);

	if (n_chosen > 0)
		return merge(index, meta, segments, n_chosen, false);
	for (int i = 0; i < n_segments; i++)
		if (rewrite_is_due(segments[i], budget))
			return merge(index, meta, &segments[i], 1, true);
	return false;
}

/* Make one segment of all, without dead rows, numbered anew. */
static void
merge_all(Relation index, OmenMeta *meta)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	int			n_segments;
	int			n_chosen;

	omen_meta_read(index, meta);
	n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
	n_chosen = choose_merge(segments, n_segments, 0, UINT32_MAX, OMEN_MAX_NODES / 4);
	if (n_chosen == 0 && n_segments > 0 && (segments[0]->n_dead > 0 || segments[0]->n_renewed > 0))
		n_chosen = 1;
	if (n_chosen > 0)
		(void) merge(index, meta, segments, n_chosen, true);
}

/* Write segments anew whose sketches are not what the options say, one after the other. */
static void
renew_sketches(Relation index, OmenMeta *meta)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	int			at = 0;
	int			n_segments;

	do
	{
		omen_meta_read(index, meta);
		n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
		for (at = 0; at < n_segments; at++)
			if (segments[at]->n_nodes > 0 && !omen_am_sketches_are_as_wanted(index, meta, segments[at]))
				break;
	} while (at < n_segments && directory_has_room(index, meta) && merge(index, meta, &segments[at], 1, true));
}

/* An inserting backend's share: the smallest, when there are too many. */
static void
merge_crowd(Relation index, OmenMeta *meta)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	int			n_chosen;

	omen_meta_read(index, meta);
	if (live_segments(meta, OMEN_SEGMENT_GRAPH, segments) < CROWDED_SEGMENTS)
		return;
	n_chosen = choose_merge(segments, CROWDED_MERGE, 0, UINT32_MAX, crowded_budget(index, meta));
	if (n_chosen > 0)
		(void) merge(index, meta, segments, n_chosen, false);
}

/* ---- what to do, and who does it ---- */

/*
 * Give back what nobody can need any more.  What a crash left half built is
 * told from what is being built by holding both locks; the caller holds one.
 */
static void
reclaim(Relation index, OmenMaintainLock other_lock)
{
	bool		alone = omen_maintain_try_lock(index, other_lock);

	omen_extent_reclaim(index, alone);
	if (alone)
		omen_maintain_unlock(index, other_lock);
}

/*
 * May the file be cut off?  On a standby, that makes queries of the index wait
 * or end, as with a table; who does not want it says so by the same option of
 * the table.
 */
static bool
may_truncate(Relation index)
{
	Oid			table_oid = index->rd_index->indrelid;
	Relation	table;
	StdRdOptions *options;
	bool		result;

	if (!ConditionalLockRelationOid(table_oid, AccessShareLock))
		return false;
	table = table_open(table_oid, NoLock);
	options = (StdRdOptions *) table->rd_options;
	result = options == NULL || options->vacuum_truncate;
	table_close(table, AccessShareLock);
	return result;
}

/* Is much of the space kept for running queries? */
static bool
much_is_retired(const OmenMeta *meta)
{
	uint64		retired = 0;
	uint64		in_use = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
		*(meta->segments[i].state == OMEN_STATE_RETIRED ? &retired : &in_use) += meta->segments[i].n_blocks;
	return retired > RETIRED_SHARE * in_use;
}

/*
 * What a merge has replaced is free as soon as the queries of that time have
 * ended.  A worker waits for that, so that the next merge need not make the
 * file longer; not for long transactions, though, and not while many rows are
 * in tails.  n_waits: how often it has waited for what is retired now.
 */
static bool
waits_for_space(Relation index, const OmenMeta *meta, int *n_waits)
{
	if (!much_is_retired(meta))
		*n_waits = 0;
	else if (*n_waits < MAX_WAITS && !tails_are_full(index, meta))
	{
		(*n_waits)++;
		return true;
	}
	return false;
}

/*
 * Do one piece of what is due; returns whether anything was.  The caller
 * holds the merge lock.  n_waits, which begins as 0, is what a worker keeps
 * between calls; NULL for whoever cannot wait.
 */
bool
omen_maintain_step(Relation index, int *n_waits)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	bool		done = false;

	reclaim(index, OMEN_LOCK_SEAL);
	omen_meta_read(index, meta);
	if (n_waits && waits_for_space(index, meta, n_waits))
	{
		pfree(meta);
		return false;
	}
	if (directory_has_room(index, meta))
		done = seal_if_free(index, meta, omen_seal_blocks(index, meta)) ||
			merge_due(index, meta) ||
			(omen_compact_waits_for_tail(meta) && seal_if_free(index, meta, 0));
	if (!done && directory_has_room(index, meta))
	{
		omen_maintain_lock_marks(index);
		done = omen_compact(index);
		omen_maintain_unlock(index, OMEN_LOCK_MARKS);
	}
	if (!done && may_truncate(index))
		omen_truncate(index);
	pfree(meta);

	/*
	 * What was replaced can be used again when every snapshot is younger than
	 * the next transaction: let there be one, for in an idle server there
	 * might not.
	 */
	if (done && !IsInParallelMode())
		(void) GetCurrentTransactionId();
	return done;
}

/* Is there a reason to look closer? */
bool
omen_maintain_is_due(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	OmenSegment *open;
	int			n_segments;
	uint64		budget;
	bool		due;

	omen_meta_read(index, meta);
	open = omen_meta_open_tail(meta);
	n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
	budget = merge_budget(index, meta);
	due = choose_merge(segments, n_segments, 0, omen_am_option_merge_factor(index), budget) > 0 ||
		omen_compact_is_due(index, meta) ||
		(open != NULL && omen_tail_used_blocks(index, open) >= omen_seal_blocks(index, meta));
	for (uint32 i = 0; i < meta->n_segments && !due; i++)
	{
		const OmenSegment *segment = &meta->segments[i];

		due = segment->state == OMEN_STATE_BUILDING || segment->state == OMEN_STATE_RETIRED ||
			(segment->state == OMEN_STATE_LIVE &&
			 (segment->kind == OMEN_SEGMENT_TAIL || rewrite_is_due(segment, budget)));
	}
	pfree(meta);
	return due;
}

/* Do all that is due, unless somebody else is at it. */
void
omen_maintain_due(Relation index)
{
	if (!omen_maintain_try_lock(index, OMEN_LOCK_MERGE))
		return;
	for (int i = 0; i < MAX_STEPS && omen_maintain_step(index, NULL); i++)
		 /* go on */ ;
	omen_maintain_unlock(index, OMEN_LOCK_MERGE);
}

/* The same by hand: seals any tail, and merges all segments if full. */
void
omen_maintain_now(Relation index, bool full)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));

	lock_merge_by_hand(index, full);
	omen_maintain_lock(index, OMEN_LOCK_SEAL);
	omen_extent_reclaim(index, true);
	omen_meta_read(index, meta);
	if (directory_has_room(index, meta))
		(void) seal_tails(index, meta, 1, OMEN_MAX_SEGMENTS, !full);
	omen_maintain_unlock(index, OMEN_LOCK_SEAL);

	omen_meta_read(index, meta);
	if (full && directory_has_room(index, meta))
		merge_all(index, meta);
	renew_sketches(index, meta);
	omen_maintain_unlock(index, OMEN_LOCK_MERGE);
	omen_maintain_due(index);
	omen_maintain_unlock(index, OMEN_LOCK_BY_HAND);
	pfree(meta);
}

/* By an inserting backend: only what is short, only if nobody else is at it. */
static void
maintain_a_little(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));

	if (get_seal_lock(index, meta))
	{
		reclaim(index, OMEN_LOCK_MERGE);
		omen_meta_read(index, meta);
		if (directory_has_room(index, meta))
			(void) seal_tails(index, meta, omen_seal_blocks(index, meta), 2, false);
		omen_maintain_unlock(index, OMEN_LOCK_SEAL);
	}
	if (omen_maintain_try_lock(index, OMEN_LOCK_MERGE))
	{
		omen_meta_read(index, meta);
		if (directory_has_room(index, meta))
			merge_crowd(index, meta);
		omen_maintain_unlock(index, OMEN_LOCK_MERGE);
	}
	pfree(meta);
}

/* The same of the directory as it is now. */
static bool
tails_have_become_full(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	bool		result;

	omen_meta_read(index, meta);
	result = tails_are_full(index, meta);
	pfree(meta);
	return result;
}

/* Is there a tail that is frozen and not sealed, as a cancelled worker leaves it? */
static bool
has_frozen_tail(const OmenMeta *meta)
{
	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].kind == OMEN_SEGMENT_TAIL && meta->segments[i].state == OMEN_STATE_LIVE)
			return true;
	return false;
}

/*
 * An inserting backend, which knows the directory as in meta, has begun a new
 * page of the tail, which has n_blocks now.  Sealing is a worker's task; where
 * none can be had, or it does not keep up, the backend does it.
 */
void
omen_maintain_after_insert(Relation index, const OmenMeta *meta, uint32 tail_id, uint32 n_blocks)
{
	uint32		due_blocks = omen_seal_blocks(index, meta);

	if ((n_blocks < due_blocks && !has_frozen_tail(meta)) || !omen_am_option_autoseal(index))
		return;
	if (omen_worker_can_serve(index))
	{
		bool		comes = omen_worker_request(index, tail_id);

		if (n_blocks < (comes ? LONG_TAIL : PATIENT_TAIL) * due_blocks && !tails_have_become_full(index))
			return;
	}
	maintain_a_little(index);
}
