/*-------------------------------------------------------------------------
 *
 * merge_source.c
 *	  What a merge reads: frozen tails and sealed segments.
 *
 * Vacuum may mark rows while a merge is reading, or building from what it has
 * read.  So a source remembers which rows it took for dead; just before the
 * new segment takes its place, the merge locks vacuum out, asks for the rows
 * that have died since and marks them in the new segment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/merge_source.h"

#include "src/storage/blob.h"
#include "src/storage/page_reader.h"
#include "src/storage/tail.h"

#include "commands/vacuum.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define FIRST_TID_CAPACITY 256

/* ---- dead rows, as bits ---- */

static inline bool
get_bit(const uint64 *words, uint32 i)
{
	return (words[i / 64] >> (i % 64)) & 1;
}

static inline void
set_bit(uint64 *words, uint32 i)
{
	words[i / 64] |= UINT64CONST(1) << (i % 64);
}

static void
add_to_set(OmenTidSet *set, const ItemPointerData *tid)
{
	if (set->n == set->capacity)
	{
		set->capacity = set->capacity ? set->capacity * 2 : FIRST_TID_CAPACITY;
		set->tids = set->tids ?
			repalloc_huge(set->tids, set->capacity * sizeof(ItemPointerData)) :
			palloc(set->capacity * sizeof(ItemPointerData));
	}
	set->tids[set->n++] = *tid;
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

void
omen_tid_set_sort(OmenTidSet *set)
{
	if (set->n > 1)
		qsort(set->tids, set->n, sizeof(ItemPointerData), compare_tids);
}

/* Has the form of vacuum's callback. */
bool
omen_tid_set_has(ItemPointer tid, void *arg)
{
	const OmenTidSet *set = arg;

	return bsearch(tid, set->tids, set->n, sizeof(ItemPointerData), compare_tids) != NULL;
}

/* ---- tails ---- */

static inline void
row_tid(const OmenRow *row, ItemPointerData *tid)
{
	ItemPointerSet(tid, row->header.block, row->header.offset);
}

static void
add_row(OmenSegmentBuilder *builder, const OmenRow *row)
{
	ItemPointerData tid;

	row_tid(row, &tid);
	if (row->header.flags & OMEN_ROW_NULL)
		omen_builder_add_null(builder, &tid);
	else if (row->header.flags & OMEN_ROW_UNDIRECTED)
		omen_builder_add_undirected(builder, &tid);
	else
		omen_builder_add(builder, &tid, row->factors, row->code, row->n_code_bytes);
}

/* The tail is frozen and closed: nothing but dead flags can change. */
static void
read_tail(OmenMergeSource *source, OmenSegmentBuilder *builder)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));
	uint32		n_words = source->segment->n_blocks * (OMEN_ROWS_PER_PAGE / 64);

	source->dead = palloc0(n_words * sizeof(uint64));
	omen_tail_reader_init(reader, source->index, source->meta, source->segment);
	while (omen_tail_reader_next(reader))
	{
		for (int i = 0; i < reader->n_rows; i++)
		{
			if (reader->rows[i].header.flags & OMEN_ROW_DEAD)
				set_bit(source->dead, reader->block * OMEN_ROWS_PER_PAGE + i);
			else
				add_row(builder, &reader->rows[i]);
		}
		omen_tail_reader_release(reader);
		vacuum_delay_point();
	}
	pfree(reader);
}

static void
late_deaths_of_tail(OmenMergeSource *source, OmenTidSet *set)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));

	omen_tail_reader_init(reader, source->index, source->meta, source->segment);
	while (omen_tail_reader_next(reader))
	{
		for (int i = 0; i < reader->n_rows; i++)
		{
			ItemPointerData tid;

			if ((reader->rows[i].header.flags & OMEN_ROW_DEAD) == 0 ||
				get_bit(source->dead, reader->block * OMEN_ROWS_PER_PAGE + i))
				continue;
			row_tid(&reader->rows[i], &tid);
			add_to_set(set, &tid);
		}
		omen_tail_reader_release(reader);
		CHECK_FOR_INTERRUPTS();
	}
	pfree(reader);
}

/* ---- sealed segments ---- */

/* A sealed segment being read in whole. */
typedef struct SegmentReader
{
	OmenReader	reader;			/* of tids */
	OmenReader	code_reader;
	OmenReader	bytes_reader;
	OmenColumnView codes;
	OmenColumnView bytes;
	OmenColumnView tids;
} SegmentReader;

/* The code of the node in hand. */
typedef struct NodeCode
{
	const void *factors;
	const uint8 *code;
	uint32		n_code_bytes;
} NodeCode;

static void
open_segment(SegmentReader *segment, const OmenMergeSource *source)
{
	omen_reader_init(&segment->reader, source->index);
	omen_reader_init(&segment->code_reader, source->index);
	omen_reader_init(&segment->bytes_reader, source->index);
	omen_column_view(&segment->codes, source->index, source->meta, source->segment, OMEN_COLUMN_CODES);
	omen_column_view(&segment->bytes, source->index, source->meta, source->segment, OMEN_COLUMN_BYTES);
	omen_column_view(&segment->tids, source->index, source->meta, source->segment, OMEN_COLUMN_TIDS);
}

static void
close_segment(SegmentReader *segment)
{
	omen_reader_release(&segment->reader);
	omen_reader_release(&segment->code_reader);
	omen_reader_release(&segment->bytes_reader);
}

static void
read_code(SegmentReader *segment, const OmenMeta *meta, uint32 node, NodeCode *result)
{
	const void *body;

	omen_reader_one(&segment->code_reader, &segment->codes, node, &result->factors, &body);
	result->code = body;
	result->n_code_bytes = meta->code_bytes;
	if (meta->variable_codes)
	{
		OmenStoredRef ref;

		memcpy(&ref, body, sizeof(ref));
		omen_reader_release(&segment->bytes_reader);
		result->code = omen_blob_bytes(&segment->bytes_reader, &segment->bytes, &ref);
		result->n_code_bytes = ref.n_bytes;
	}
}

static OmenTidEntry
read_entry(SegmentReader *segment, uint32 entry)
{
	const void *head;
	const void *body;

	omen_reader_one(&segment->reader, &segment->tids, entry, &head, &body);
	return *(const OmenTidEntry *) body;
}

/* Copy the column DEAD. */
static uint64 *
read_dead(const OmenMergeSource *source)
{
	OmenReader	reader;
	OmenColumnView dead;
	uint64	   *words;

	omen_reader_init(&reader, source->index);
	omen_column_view(&dead, source->index, source->meta, source->segment, OMEN_COLUMN_DEAD);
	words = palloc_extended(dead.n_records * sizeof(uint64), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < dead.n_records; i++)
	{
		const void *head;
		const void *body;

		omen_reader_one(&reader, &dead, i, &head, &body);
		words[i] = *(const uint64 *) body;
	}
	omen_reader_release(&reader);
	return words;
}

typedef void (*AddTid) (OmenSegmentBuilder *builder, ItemPointer tid);

/* Add an entry if it is alive: with the node's code, or by add_tid if it has none. */
static void
add_entry(OmenSegmentBuilder *builder, const OmenMergeSource *source, SegmentReader *segment,
		  uint32 entry, const NodeCode *code, AddTid add_tid)
{
	OmenTidEntry tid_entry;
	ItemPointerData tid;

	if (get_bit(source->dead, entry))
		return;
	tid_entry = read_entry(segment, entry);
	ItemPointerSet(&tid, tid_entry.block, tid_entry.offset);
	if (code)
		omen_builder_add(builder, &tid, code->factors, code->code, code->n_code_bytes);
	else
		add_tid(builder, &tid);
}

static void
add_list(OmenSegmentBuilder *builder, const OmenMergeSource *source, SegmentReader *segment,
		 uint32 list, const NodeCode *code, AddTid add_tid)
{
	OmenTidEntry header;

	if (list == OMEN_NO_LIST)
		return;
	header = read_entry(segment, list);
	if ((uint64) list + header.block >= source->segment->n_tid_entries)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("segment %u of index \"%s\" has no TID entry %llu",
						source->segment->id, RelationGetRelationName(source->index),
						(unsigned long long) list + header.block),
				 errhint("Please REINDEX it.")));
	for (uint32 i = 1; i <= header.block; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_entry(builder, source, segment, list + i, code, add_tid);
	}
}

static void
read_segment(OmenMergeSource *source, OmenSegmentBuilder *builder)
{
	SegmentReader segment;

	source->dead = read_dead(source);
	open_segment(&segment, source);
	for (uint32 node = 0; node < source->segment->n_nodes; node++)
	{
		OmenTidEntry entry = read_entry(&segment, node);
		NodeCode	code;

		if (node % 1024 == 0)
			vacuum_delay_point();
		read_code(&segment, source->meta, node, &code);
		if (entry.kind == OMEN_TID_LIST)
			add_list(builder, source, &segment, entry.block, &code, NULL);
		else
			add_entry(builder, source, &segment, node, &code, NULL);
	}
	add_list(builder, source, &segment, source->segment->null_list, NULL, omen_builder_add_null);
	add_list(builder, source, &segment, source->segment->undirected_list, NULL, omen_builder_add_undirected);
	close_segment(&segment);
}

static void
late_deaths_of_segment(OmenMergeSource *source, OmenTidSet *set)
{
	uint64	   *now = read_dead(source);
	uint32		n_words = omen_column_count(source->segment, OMEN_COLUMN_DEAD);
	SegmentReader segment;

	open_segment(&segment, source);
	for (uint32 word = 0; word < n_words; word++)
	{
		uint64		late = now[word] & ~source->dead[word];

		while (late != 0)
		{
			OmenTidEntry entry = read_entry(&segment, word * 64 + pg_rightmost_one_pos64(late));
			ItemPointerData tid;

			ItemPointerSet(&tid, entry.block, entry.offset);
			add_to_set(set, &tid);
			late &= late - 1;
		}
	}
	close_segment(&segment);
	pfree(now);
}

/* ---- either ---- */

/* Add the rows of a segment or a closed tail that are not dead to the builder. */
void
omen_merge_source_read(OmenMergeSource *source, Relation index, const OmenMeta *meta,
					   const OmenSegment *segment, OmenSegmentBuilder *builder)
{
	source->index = index;
	source->meta = meta;
	source->segment = segment;
	if (segment->kind == OMEN_SEGMENT_TAIL)
		read_tail(source, builder);
	else
		read_segment(source, builder);
}

/* Add the TIDs of rows that have died since the source was read; the caller has locked out vacuum. */
void
omen_merge_source_late_deaths(OmenMergeSource *source, OmenTidSet *set)
{
	if (source->segment->kind == OMEN_SEGMENT_TAIL)
		late_deaths_of_tail(source, set);
	else
		late_deaths_of_segment(source, set);
}
