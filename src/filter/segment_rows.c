/*-------------------------------------------------------------------------
 *
 * segment_rows.c
 *	  The rows of a segment that are in a set of rows.
 *
 * A segment knows the TIDs of its nodes, but not the node of a TID.  So all its
 * TIDs are looked at, once, in the order of the column TIDS: a nanosecond or
 * two each, where most of them are in blocks without rows of the set.  After
 * that it is known how many there are, exactly, and each is a bit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/segment_rows.h"

#include "miscadmin.h"

/* Entries looked at between two looks at interrupts. */
#define BATCH 256

typedef struct TidWalk
{
	const OmenSegment *segment;
	const OmenResident *resident;	/* NULL: read pages */
	OmenReader	reader;
	OmenColumnView tids;
} TidWalk;

/*
 * Entries from first on, as many of n as are to be had at once: *n.  Good until
 * the next call.
 */
static const OmenTidEntry *
read_entries(TidWalk *walk, uint32 first, uint32 *n)
{
	const void *head;
	const void *body;

	if (walk->resident)
		return (const OmenTidEntry *) omen_resident_body(walk->resident, OMEN_COLUMN_TIDS, first);
	omen_reader_release(&walk->reader);
	omen_reader_one(&walk->reader, &walk->tids, first, &head, &body);
	*n = Min(*n, walk->reader.copies ? 1 : walk->tids.shape.per_page - first % walk->tids.shape.per_page);
	return body;
}

static inline void
mark(OmenSegmentRows *rows, uint32 entry)
{
	rows->marks[entry / 64] |= UINT64CONST(1) << (entry % 64);
	rows->n_nodes += entry < rows->segment->n_nodes;
}

/*
 * Of some entries those in blocks with rows of the set.  Which entries that are
 * is nothing that a processor could foresee, so there is no branch.
 */
static uint32
select_entries(const OmenRowBitmap *set, const OmenTidEntry *entries, uint32 n, uint8 *selected)
{
	const OmenRowBitmap here = *set;	/* where stores to selected cannot change it */
	uint32		n_selected = 0;

	for (uint32 i = 0; i < n; i++)
	{
		selected[n_selected] = i;
		n_selected += omen_row_bitmap_has_block(&here, entries[i].block);
	}
	return n_selected;
}

/* Mark entries that are rows, of nodes or in lists. */
static void
mark_rows(OmenSegmentRows *rows, TidWalk *walk, const OmenRowBitmap *set, OmenEntryTest test, void *arg)
{
	uint32		n_entries = walk->segment->n_tid_entries;

	for (uint32 first = 0, n; first < n_entries; first += n)
	{
		uint8		selected[BATCH];
		const OmenTidEntry *entries;
		uint32		n_selected;

		CHECK_FOR_INTERRUPTS();
		n = Min(n_entries - first, BATCH);
		entries = read_entries(walk, first, &n);
		n_selected = select_entries(set, entries, n, selected);
		for (uint32 i = 0; i < n_selected; i++)
		{
			const OmenTidEntry *entry = &entries[selected[i]];

			if (entry->kind != OMEN_TID_PLAIN ||
				!omen_row_bitmap_contains(set, entry->block, entry->offset) ||
				(test && !test(arg, first + selected[i])))
				continue;
			mark(rows, first + selected[i]);
			rows->n_rows++;
		}
	}
}

/* Is an entry of a list marked? */
static bool
list_is_marked(const OmenSegmentRows *rows, TidWalk *walk, uint32 list)
{
	uint32		n_entries = walk->segment->n_tid_entries;
	OmenTidEntry header = {.kind = OMEN_TID_PLAIN};
	uint32		n = 1;

	if (list < n_entries)
		header = *read_entries(walk, list, &n);
	if (header.kind != OMEN_TID_HEADER || header.block > n_entries - list - 1)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("list of TIDs in segment %u of index \"%s\" is damaged",
						walk->segment->id, RelationGetRelationName(walk->reader.index)),
				 errhint("Please REINDEX it.")));
	for (uint32 i = 0; i < header.block; i++)
		if (omen_segment_rows_contain(rows, list + 1 + i))
			return true;
	return false;
}

/* Mark nodes with a list of which an entry is marked. */
static void
mark_lists(OmenSegmentRows *rows, TidWalk *walk)
{
	uint32		n_nodes = walk->segment->n_nodes;

	for (uint32 first = 0, n; first < n_nodes; first += n)
	{
		uint32		lists[BATCH];
		const OmenTidEntry *entries;

		CHECK_FOR_INTERRUPTS();
		n = Min(n_nodes - first, BATCH);
		entries = read_entries(walk, first, &n);
		for (uint32 i = 0; i < n; i++)
			lists[i] = entries[i].kind == OMEN_TID_LIST ? entries[i].block : OMEN_NO_LIST;
		for (uint32 i = 0; i < n; i++)
			if (lists[i] != OMEN_NO_LIST && list_is_marked(rows, walk, lists[i]))
				mark(rows, first + i);
	}
}

void
omen_segment_rows_mark(OmenSegmentRows *rows, const OmenRowBitmap *set, Relation index,
					   const OmenMeta *meta, const OmenSegment *segment,
					   const OmenResident *resident, OmenEntryTest test, void *arg)
{
	TidWalk		walk = {.segment = segment, .resident = resident};

	omen_reader_init(&walk.reader, index);
	omen_column_view(&walk.tids, index, meta, segment, OMEN_COLUMN_TIDS);
	rows->segment = segment;
	rows->n_rows = 0;
	rows->n_nodes = 0;
	rows->marks = palloc_extended(((Size) segment->n_tid_entries / 64 + 1) * sizeof(uint64),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	mark_rows(rows, &walk, set, test, arg);
	if (rows->n_rows > rows->n_nodes)
		mark_lists(rows, &walk);
	omen_reader_release(&walk.reader);
}

uint32
omen_segment_rows_nodes(const OmenSegmentRows *rows, uint32 **nodes)
{
	uint32		n_words = rows->segment->n_nodes / 64 + 1;
	uint32		n = 0;

	*nodes = palloc_extended(Max(rows->n_nodes, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 word = 0; word < n_words; word++)
		for (uint64 bits = rows->marks[word]; bits != 0 && n < rows->n_nodes; bits &= bits - 1)
			(*nodes)[n++] = word * 64 + pg_rightmost_one_pos64(bits);
	return n;
}
