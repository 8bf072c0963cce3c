/*-------------------------------------------------------------------------
 *
 * check_tids.c
 *	  omenvec_check() for heap TIDs: possible ones, each indexed once.
 *
 * All living TIDs go through a sort, which takes maintenance_work_mem and
 * spills to disk beyond.  Equal neighbours are only suspects: while we were
 * walking, VACUUM may have freed a TID that we had seen in one segment, and a
 * merge then hidden from us that it did (it marks the segments of its day,
 * not those of our copy of the directory).  So suspects are counted anew, in
 * walks that look at nothing else, until the directory stands still during one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/tuplesort.h"

/* More duplicates than this are not told one by one. */
#define MAX_SUSPECTS 1000

/* Walks to wait for a directory that stands still. */
#define MAX_WALKS 5

#define OMEN_N_NAMED 2

typedef struct Suspect
{
	int64		tid;
	uint32		n_seen;
	uint32		segment_ids[OMEN_N_NAMED];	/* where it was seen first and second */
} Suspect;

struct OmenCheckTids
{
	Tuplesortstate *sort;
	int			n_suspects;
	Suspect		suspects[MAX_SUSPECTS];
};

static inline int64
encode_tid(BlockNumber block, uint16 offset)
{
	return ((int64) block << 16) | offset;
}

void
omen_check_tids_begin(OmenCheck *check)
{
	check->tids = palloc0(sizeof(struct OmenCheckTids));
	check->tids->sort = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
											  maintenance_work_mem, NULL, TUPLESORT_NONE);
}

/* Does the table have the block?  It grows while we look, and does not shrink under our lock. */
static bool
table_has_block(OmenCheck *check, BlockNumber block)
{
	if (block >= check->table_blocks)
		check->table_blocks = RelationGetNumberOfBlocks(check->table);
	return block < check->table_blocks;
}

/* A heap TID found in `block` of the index. */
void
omen_check_tid(OmenCheck *check, BlockNumber block,
			   BlockNumber heap_block, uint16 heap_offset, bool living)
{
	if (heap_offset < FirstOffsetNumber || heap_offset > MaxOffsetNumber)
	{
		omen_check_report(check, block, "impossible heap TID (%u,%u)", heap_block, heap_offset);
		return;
	}
	if (!living)
		return;
	if (!table_has_block(check, heap_block))
		omen_check_report(check, block, "heap TID (%u,%u) in a table of %u blocks",
						  heap_block, heap_offset, check->table_blocks);
	tuplesort_putdatum(check->tids->sort, Int64GetDatum(encode_tid(heap_block, heap_offset)), false);
}

/* Sort, and keep what comes more than once. */
static void
find_suspects(struct OmenCheckTids *tids)
{
	int64		previous = -1;
	Datum		value;
	bool		isnull;

	tuplesort_performsort(tids->sort);
	while (tids->n_suspects < MAX_SUSPECTS &&
		   tuplesort_getdatum(tids->sort, true, &value, &isnull, NULL))
	{
		int64		tid = DatumGetInt64(value);

		CHECK_FOR_INTERRUPTS();
		if (tid == previous &&
			(tids->n_suspects == 0 || tids->suspects[tids->n_suspects - 1].tid != tid))
			tids->suspects[tids->n_suspects++].tid = tid;
		previous = tid;
	}
	tuplesort_end(tids->sort);
}

static int
compare_suspects(const void *a, const void *b)
{
	int64		left = ((const Suspect *) a)->tid;
	int64		right = ((const Suspect *) b)->tid;

	return (left > right) - (left < right);
}

static void
count_suspect(void *arg, uint32 segment_id, BlockNumber heap_block, uint16 heap_offset)
{
	struct OmenCheckTids *tids = arg;
	Suspect		key = {.tid = encode_tid(heap_block, heap_offset)};
	Suspect    *found = bsearch(&key, tids->suspects, tids->n_suspects, sizeof(Suspect),
								compare_suspects);

	if (found == NULL)
		return;
	if (found->n_seen < OMEN_N_NAMED)
		found->segment_ids[found->n_seen] = segment_id;
	found->n_seen++;
}

/* Count all suspects in the index as check->meta knows it; tails first, see check_entries(). */
static void
count_suspects(OmenCheck *check, const bool *walkable)
{
	for (int i = 0; i < check->tids->n_suspects; i++)
		check->tids->suspects[i].n_seen = 0;
	for (uint32 i = 0; i < check->meta->n_segments; i++)
		if (walkable[i] && check->meta->segments[i].kind == OMEN_SEGMENT_TAIL)
			omen_check_each_tail_tid(check, &check->meta->segments[i], count_suspect, check->tids);
	for (uint32 i = 0; i < check->meta->n_segments; i++)
		if (walkable[i] && check->meta->segments[i].kind == OMEN_SEGMENT_GRAPH)
			omen_check_each_tid(check, &check->meta->segments[i], count_suspect, check->tids);
}

/* Are all entries that were in use before in use now? */
static bool
directory_unchanged(const OmenMeta *before, OmenMeta *now)
{
	for (uint32 i = 0; i < before->n_segments; i++)
	{
		const OmenSegment *old = &before->segments[i];
		const OmenSegment *new = omen_meta_find(now, old->id);

		if (old->state != OMEN_STATE_LIVE && old->state != OMEN_STATE_OPEN)
			continue;
		if (new == NULL || (new->state != OMEN_STATE_LIVE && new->state != OMEN_STATE_OPEN))
			return false;
	}
	return true;
}

/* Count the suspects in a directory that stands still; false if it never does. */
static bool
confirm_suspects(OmenCheck *check)
{
	OmenMeta   *after = palloc(sizeof(OmenMeta));
	bool		unchanged = false;

	check->quiet = true;		/* what is wrong has been said */
	for (int walk = 0; walk < MAX_WALKS && !unchanged; walk++)
	{
		bool		walkable[OMEN_MAX_SEGMENTS];

		omen_meta_read(check->index, check->meta);
		omen_check_directory(check, walkable);
		count_suspects(check, walkable);
		omen_meta_read(check->index, after);
		unchanged = directory_unchanged(check->meta, after);
	}
	check->quiet = false;
	pfree(after);
	return unchanged;
}

/* Report the TIDs that are indexed more than once.  Spends check->meta. */
void
omen_check_tids_finish(OmenCheck *check)
{
	struct OmenCheckTids *tids = check->tids;

	find_suspects(tids);
	if (tids->n_suspects > 0 && confirm_suspects(check))
		for (int i = 0; i < tids->n_suspects; i++)
		{
			const Suspect *suspect = &tids->suspects[i];

			if (suspect->n_seen > 1)
				omen_check_report(check, InvalidBlockNumber,
								  "heap TID (%u,%u) is indexed %u times, in segments %u and %u",
								  (uint32) (suspect->tid >> 16), (uint32) (suspect->tid & 0xFFFF),
								  suspect->n_seen, suspect->segment_ids[0], suspect->segment_ids[1]);
		}
	pfree(tids);
}
