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

#include "src/am/am_api.h"
#include "src/am/graph_host.h"
#include "src/filter/attribute_reader.h"
#include "src/storage/blob.h"
#include "src/storage/maintain_lock.h"
#include "src/storage/page_reader.h"
#include "src/storage/tail.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define FIRST_TID_CAPACITY 256

/* Nodes between two looks at interrupts and at vacuum's pace. */
#define NODES_PER_NAP 1024

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

/* ---- damage ---- */

static void
report_damage(const OmenMergeSource *source, const char *what, uint64 number)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("segment %u of index \"%s\" has no %s %llu",
					source->segment->id, RelationGetRelationName(source->index), what,
					(unsigned long long) number),
			 errhint("Please REINDEX it.")));
}

/* Is it the place of a row in a heap? */
static inline bool
tid_is_valid(uint32 block, uint16 offset)
{
	return BlockNumberIsValid(block) && OffsetNumberIsValid(offset);
}

/* ---- tails ---- */

static inline void
row_tid(const OmenRow *row, ItemPointerData *tid)
{
	ItemPointerSet(tid, row->header.block, row->header.offset);
}

static void
add_row_attributes(OmenSegmentBuilder *builder, ItemPointer tid, const OmenRow *row)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec row attributes",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	if (!omen_attributes_unpack(builder->attributes->attributes, row->attributes,
								row->n_attribute_bytes, values, isnull))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("a tail of index \"%s\" contains damaged attributes",
						RelationGetRelationName(builder->index)),
				 errhint("Please REINDEX it.")));
	omen_builder_add_attributes(builder, tid, values, isnull);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

static void
add_row(const OmenMergeSource *source, OmenSegmentBuilder *builder, const OmenRow *row, uint32 place)
{
	ItemPointerData tid;

	if (!tid_is_valid(row->header.block, row->header.offset))
		report_damage(source, "row pointer", place);
	row_tid(row, &tid);
	if (builder->attributes)
		add_row_attributes(builder, &tid, row);
	if (row->header.flags & OMEN_ROW_NULL)
		omen_builder_add_null(builder, &tid);
	else if (row->header.flags & OMEN_ROW_UNDIRECTED)
		omen_builder_add_undirected(builder, &tid);
	else
		omen_builder_add(builder, &tid, row->factors, row->code, row->n_code_bytes, row->refine);
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
			uint32		place = reader->block * OMEN_ROWS_PER_PAGE + i;
			OmenRow		row = omen_tail_row(reader, i);

			if (row.header.flags & OMEN_ROW_DEAD)
				set_bit(source->dead, place);
			else
				add_row(source, builder, &row, place);
		}
		omen_tail_reader_release(reader);
		omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
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
			OmenRow		row = omen_tail_row(reader, i);
			ItemPointerData tid;

			if ((row.header.flags & OMEN_ROW_DEAD) == 0 ||
				get_bit(source->dead, reader->block * OMEN_ROWS_PER_PAGE + i))
				continue;
			row_tid(&row, &tid);
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
	OmenReader	refine_reader;
	OmenColumnView refines;
	OmenColumnView codes;
	OmenColumnView bytes;
	OmenColumnView tids;

	/* where the attributes of rows that are visited go, or NULL */
	OmenAttributeTable *table;
	OmenAttributeReader attributes;
	uint32	  **numbers;		/* of each attribute's ranks in the table, or NOT_ASKED */
} SegmentReader;

#define NOT_ASKED 0xFFFFFFFEU

/* The code of the node in hand. */
typedef struct NodeCode
{
	const void *factors;
	const uint8 *code;
	uint32		n_code_bytes;
	char	   *refine;			/* space for the finer code, if there is one */
} NodeCode;

static void
open_attributes(SegmentReader *segment, const OmenMergeSource *source, OmenAttributeTable *table)
{
	int			n = table->attributes->n;

	segment->table = table;
	omen_attribute_reader_open(&segment->attributes, source->index, source->meta, source->segment, NULL,
							   table->attributes);
	segment->numbers = palloc(n * sizeof(uint32 *));
	for (int i = 0; i < n; i++)
	{
		uint64		n_ranks = (uint64) omen_attribute_n_values(&segment->attributes, i) + 1;

		segment->numbers[i] = palloc_extended(n_ranks * sizeof(uint32), MCXT_ALLOC_HUGE);
		for (uint64 rank = 0; rank < n_ranks; rank++)
			segment->numbers[i][rank] = NOT_ASKED;
		segment->numbers[i][n_ranks - 1] = OMEN_NULL_VALUE;
	}
}

/* The attributes of a TID entry become those of a row: each value is read once. */
static void
add_entry_attributes(SegmentReader *segment, uint32 entry, ItemPointer tid)
{
	uint32		numbers[INDEX_MAX_KEYS];

	for (int i = 0; i < segment->table->attributes->n; i++)
	{
		uint32		rank = omen_attribute_rank(&segment->attributes, i, entry);
		uint32	   *number = &segment->numbers[i][rank];

		if (*number == NOT_ASKED)
			*number = omen_attribute_table_number(segment->table, i,
												  omen_attribute_value(&segment->attributes, i, rank), false);
		numbers[i] = *number;
	}
	omen_attribute_table_add(segment->table, tid, numbers);
}

/* table: where the attributes of the rows visited go; NULL for nowhere. */
static void
open_segment(SegmentReader *segment, const OmenMergeSource *source, OmenAttributeTable *table)
{
	segment->table = NULL;
	if (table)
		open_attributes(segment, source, table);
	omen_reader_init(&segment->reader, source->index);
	omen_reader_init(&segment->code_reader, source->index);
	omen_reader_init(&segment->bytes_reader, source->index);
	omen_reader_init(&segment->refine_reader, source->index);
	omen_column_view(&segment->refines, source->index, source->meta, source->segment, OMEN_COLUMN_REFINE);
	omen_column_view(&segment->codes, source->index, source->meta, source->segment, OMEN_COLUMN_CODES);
	omen_column_view(&segment->bytes, source->index, source->meta, source->segment, OMEN_COLUMN_BYTES);
	omen_column_view(&segment->tids, source->index, source->meta, source->segment, OMEN_COLUMN_TIDS);
	InvalidateCatalogSnapshotConditionally();	/* a reader has asked for the tablespace; reading takes long */
}

static void
close_segment(SegmentReader *segment)
{
	omen_reader_release(&segment->reader);
	omen_reader_release(&segment->code_reader);
	omen_reader_release(&segment->bytes_reader);
	omen_reader_release(&segment->refine_reader);
	if (segment->table)
		omen_attribute_reader_release(&segment->attributes);
}

/* Copy the finer code of a node. */
static void
read_refine(SegmentReader *segment, const OmenMeta *meta, uint32 node, char *to)
{
	const void *head;
	const void *body;

	omen_reader_one(&segment->refine_reader, &segment->refines, node, &head, &body);
	memcpy(to, head, meta->refine_factor_bytes);
	memcpy(to + meta->refine_factor_bytes, body, meta->refine_code_bytes);
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
	if (result->refine)
		read_refine(segment, meta, node, result->refine);
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

/* What is done with the TID of a row that is not dead. */
typedef void (*VisitTid) (void *arg, ItemPointer tid);

static void
visit_entry(const OmenMergeSource *source, SegmentReader *segment, uint32 entry, VisitTid visit, void *arg)
{
	OmenTidEntry tid_entry;
	ItemPointerData tid;

	if (get_bit(source->dead, entry))
		return;
	tid_entry = read_entry(segment, entry);
	if (!tid_is_valid(tid_entry.block, tid_entry.offset))
		report_damage(source, "row pointer", entry);
	ItemPointerSet(&tid, tid_entry.block, tid_entry.offset);
	if (segment->table)
		add_entry_attributes(segment, entry, &tid);
	visit(arg, &tid);
}

static void
visit_list(const OmenMergeSource *source, SegmentReader *segment, uint32 list, VisitTid visit, void *arg)
{
	OmenTidEntry header;

	if (list == OMEN_NO_LIST)
		return;
	header = read_entry(segment, list);
	if ((uint64) list + header.block >= source->segment->n_tid_entries)
		report_damage(source, "TID entry", (uint64) list + header.block);
	for (uint32 i = 1; i <= header.block; i++)
	{
		CHECK_FOR_INTERRUPTS();
		visit_entry(source, segment, list + i, visit, arg);
	}
}

static void
visit_node(const OmenMergeSource *source, SegmentReader *segment, uint32 node, VisitTid visit, void *arg)
{
	OmenTidEntry entry = read_entry(segment, node);

	if (entry.kind == OMEN_TID_LIST)
		visit_list(source, segment, entry.block, visit, arg);
	else
		visit_entry(source, segment, node, visit, arg);
}

/* ---- a segment as rows ---- */

/* A row in hand, and where it goes. */
typedef struct RowOfNode
{
	OmenSegmentBuilder *builder;
	NodeCode	code;
} RowOfNode;

static void
add_coded(void *arg, ItemPointer tid)
{
	RowOfNode  *row = arg;

	omen_builder_add(row->builder, tid, row->code.factors, row->code.code, row->code.n_code_bytes,
					 row->code.refine);
}

static void
add_null(void *arg, ItemPointer tid)
{
	omen_builder_add_null(arg, tid);
}

static void
add_undirected(void *arg, ItemPointer tid)
{
	omen_builder_add_undirected(arg, tid);
}

/* Those without a code. */
static void
read_lists(const OmenMergeSource *source, SegmentReader *segment, OmenSegmentBuilder *builder)
{
	visit_list(source, segment, source->segment->null_list, add_null, builder);
	visit_list(source, segment, source->segment->undirected_list, add_undirected, builder);
}

static void
read_segment(OmenMergeSource *source, OmenSegmentBuilder *builder)
{
	RowOfNode	row = {.builder = builder};
	SegmentReader segment;

	source->dead = read_dead(source);
	open_segment(&segment, source, builder->attributes);
	if (builder->codec->refine_bytes > 0)
		row.code.refine = palloc(builder->codec->refine_bytes);
	for (uint32 node = 0; node < source->segment->n_nodes; node++)
	{
		if (node % NODES_PER_NAP == 0)
			omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
		read_code(&segment, source->meta, node, &row.code);
		visit_node(source, &segment, node, add_coded, &row);
	}
	read_lists(source, &segment, builder);
	close_segment(&segment);
}

/* ---- a segment that goes on ---- */

/* Of the segment that goes on: its TIDs are being read. */
typedef struct CarriedTids
{
	MemoryContext context;
	OmenCarried *carried;
	ItemPointerData *tids;		/* of the nodes that go on */
	bool		goes_on;		/* the node in hand */
} CarriedTids;

static void
add_duplicate(CarriedTids *tids, const OmenDuplicate *duplicate)
{
	OmenCarried *carried = tids->carried;

	if (carried->n_duplicates == carried->max_duplicates)
	{
		carried->max_duplicates = Max(carried->max_duplicates * 2, FIRST_TID_CAPACITY);
		carried->duplicates = carried->duplicates ?
			repalloc_huge(carried->duplicates, carried->max_duplicates * sizeof(OmenDuplicate)) :
			MemoryContextAlloc(tids->context, carried->max_duplicates * sizeof(OmenDuplicate));
	}
	carried->duplicates[carried->n_duplicates++] = *duplicate;
}

static void
carry_tid(void *arg, ItemPointer tid)
{
	CarriedTids *tids = arg;
	OmenDuplicate duplicate = {tids->carried->n_nodes, *tid};

	if (tids->goes_on)
		add_duplicate(tids, &duplicate);
	else
		tids->tids[tids->carried->n_nodes] = *tid;
	tids->goes_on = true;
}

/* Which nodes have a row left, and which rows. */
static void
carry_tids(const OmenMergeSource *source, SegmentReader *segment, CarriedTids *tids)
{
	OmenCarried *carried = tids->carried;
	uint32		n = source->segment->n_nodes;

	tids->tids = omen_host_alloc(tids->context, n * sizeof(ItemPointerData));
	carried->removed = omen_host_alloc(tids->context, (n / 64 + 1) * sizeof(uint64));
	memset(carried->removed, 0, (n / 64 + 1) * sizeof(uint64));
	for (uint32 node = 0; node < n; node++)
	{
		if (node % NODES_PER_NAP == 0)
			omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
		tids->goes_on = false;
		visit_node(source, segment, node, carry_tid, tids);
		if (tids->goes_on)
			carried->n_nodes++;
		else
			set_bit(carried->removed, node);
	}
}

/* BYTES as it is: references to it become pointers. */
static void
carry_bytes(const OmenMergeSource *source, SegmentReader *segment, MemoryContext context, OmenCarried *carried)
{
	carried->bytes = omen_host_alloc(context, (size_t) Max(segment->bytes.n_records, 1) * OMEN_CHUNK_BYTES);
	for (uint32 i = 0; i < segment->bytes.n_records; i++)
	{
		const void *head;
		const void *body;

		if (i % NODES_PER_NAP == 0)
			omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
		omen_reader_one(&segment->bytes_reader, &segment->bytes, i, &head, &body);
		memcpy(carried->bytes + (size_t) i * OMEN_CHUNK_BYTES, body, OMEN_CHUNK_BYTES);
	}
}

/* Copy a record, of CODES or CENTRES, to a place among records in memory. */
static void
carry_code(const OmenMergeSource *source, const SegmentReader *segment, const OmenCarried *carried,
		   const void *head, const void *body, const OmenRecords *to, uint32 i)
{
	const OmenCodec *codec = to->codec;
	uint8	   *code = to->codes + (size_t) i * codec->code_bytes;
	OmenStoredRef stored;
	OmenCodeRef ref = {0};

	memcpy(to->factors + (size_t) i * codec->factor_bytes, head, codec->factor_bytes);
	if (!codec->variable)
	{
		memcpy(code, body, codec->code_bytes);
		return;
	}
	memcpy(&stored, body, sizeof(stored));
	if (stored.n_bytes < sizeof(uint32) || stored.offset % sizeof(uint32) != 0 ||
		stored.n_bytes > (uint64) segment->bytes.n_records * OMEN_CHUNK_BYTES ||
		stored.offset > (uint64) segment->bytes.n_records * OMEN_CHUNK_BYTES - stored.n_bytes)
		report_damage(source, "code at byte", stored.offset);
	ref.bytes = carried->bytes + stored.offset;
	ref.n_bytes = stored.n_bytes;
	memcpy(code, &ref, sizeof(ref));
}

/* refines: space for the finer codes, NULL if there are none. */
static void
carry_codes(const OmenMergeSource *source, SegmentReader *segment, const OmenCarried *carried,
			const OmenRecords *to, char *refines)
{
	uint32		next = 0;

	for (uint32 node = 0; node < source->segment->n_nodes; node++)
	{
		const void *head;
		const void *body;

		if (node % NODES_PER_NAP == 0)
			omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
		if (get_bit(carried->removed, node))
			continue;
		omen_reader_one(&segment->code_reader, &segment->codes, node, &head, &body);
		carry_code(source, segment, carried, head, body, to, next);
		if (refines)
			read_refine(segment, source->meta, node, refines + (size_t) next * to->codec->refine_bytes);
		next++;
	}
}

/* The lists of all nodes: those of removed ones tell what their neighbours get instead. */
static void
carry_links(const OmenMergeSource *source, SegmentReader *segment, MemoryContext context, OmenCarried *carried)
{
	uint32		n = source->segment->n_nodes;
	uint32		n_links = 2 * source->meta->m;
	OmenColumnView nodes;

	omen_column_view(&nodes, source->index, source->meta, source->segment, OMEN_COLUMN_NODES);
	carried->links = omen_host_alloc(context, (size_t) n * n_links * sizeof(uint32));
	for (uint32 node = 0; node < n; node++)
	{
		uint32	   *links = carried->links + (size_t) node * n_links;
		const void *head;
		const void *body;

		if (node % NODES_PER_NAP == 0)
			omen_maintain_nap(source->index, OMEN_LOCK_SEAL_WANTED);
		omen_reader_one(&segment->reader, &nodes, node, &head, &body);
		memcpy(links, body, n_links * sizeof(uint32));
		for (uint32 i = 0; i < n_links; i++)
			if (links[i] >= n && links[i] != OMEN_NO_NODE)
				report_damage(source, "node", links[i]);
	}
}

static void
carry_centres(const OmenMergeSource *source, SegmentReader *segment, MemoryContext context, OmenCarried *carried,
			  const OmenCodec *codec)
{
	OmenRouting *routing = &carried->routing;
	uint32		n = source->segment->n_centres;
	OmenColumnView centres;

	omen_column_view(&centres, source->index, source->meta, source->segment, OMEN_COLUMN_CENTRES);
	routing->centres.codec = codec;
	routing->centres.n = n;
	routing->centres.factors = omen_host_alloc(context, (size_t) n * codec->factor_bytes);
	routing->centres.codes = omen_host_alloc(context, (size_t) n * codec->code_bytes);
	routing->first_sample = omen_host_alloc(context, ((size_t) n + 1) * sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
	{
		uint32	   *first = &routing->first_sample[i];
		const void *head;
		const void *body;

		omen_reader_one(&segment->code_reader, &centres, i, &head, &body);
		carry_code(source, segment, carried, head, body, &routing->centres, i);
		memcpy(first, (const char *) head + codec->factor_bytes, sizeof(uint32));
		if (*first >= source->segment->n_samples || (i == 0 ? *first != 0 : *first <= first[-1]))
			report_damage(source, "sample", *first);
	}
	routing->first_sample[n] = source->segment->n_samples;
}

static void
carry_samples(const OmenMergeSource *source, SegmentReader *segment, MemoryContext context, OmenCarried *carried,
			  const OmenCodec *codec)
{
	OmenRouting *routing = &carried->routing;
	OmenColumnView samples;

	omen_column_view(&samples, source->index, source->meta, source->segment, OMEN_COLUMN_SAMPLES);
	routing->n_samples = source->segment->n_samples;
	routing->sample_nodes = omen_host_alloc(context, (size_t) routing->n_samples * sizeof(uint32));
	for (uint32 i = 0; i < routing->n_samples; i++)
	{
		uint32	   *node = &routing->sample_nodes[i];
		const void *head;
		const void *body;

		omen_reader_one(&segment->code_reader, &samples, i, &head, &body);
		memcpy(node, (const char *) head + codec->factor_bytes, sizeof(uint32));
		if (*node >= source->segment->n_nodes || (i > 0 && *node <= node[-1]))
			report_damage(source, "node", *node);
	}
}

static void
carry_graph(const OmenMergeSource *source, OmenCarried *carried)
{
	carried->graph.n = source->segment->n_nodes;
	carried->graph.removed = carried->n_nodes < carried->graph.n ? carried->removed : NULL;
	carried->graph.routing = &carried->routing;
	carried->graph.links = carried->links;
	carried->n_renewed = source->segment->n_renewed;
	omen_am_segment_curve(source->segment, &carried->curve);
}

/*
 * Begin with a segment that goes on: only rows without a code are added to the
 * builder.  The others follow when the builder has gathered those of all other
 * sources.
 */
void
omen_merge_source_begin_carry(OmenMergeSource *source, Relation index, const OmenMeta *meta,
							  const OmenSegment *segment, OmenSegmentBuilder *builder)
{
	SegmentReader reader;

	source->index = index;
	source->meta = meta;
	source->segment = segment;
	source->dead = read_dead(source);
	open_segment(&reader, source, builder->attributes);
	read_lists(source, &reader, builder);
	close_segment(&reader);
}

/* Put the nodes of the segment before the rows gathered, and hand its graph to the builder. */
void
omen_merge_source_carry(OmenMergeSource *source, OmenSegmentBuilder *builder)
{
	MemoryContext context = builder->team->context;
	const OmenCodec *codec = builder->codec;
	OmenCarried *carried = MemoryContextAllocZero(context, sizeof(OmenCarried));
	CarriedTids tids = {.context = context,.carried = carried};
	SegmentReader segment;
	OmenRecords records;

	open_segment(&segment, source, builder->attributes);
	carry_tids(source, &segment, &tids);
	omen_row_set_make_room(builder->team, codec, &builder->rows, carried->n_nodes);
	memcpy(builder->rows.tids, tids.tids, carried->n_nodes * sizeof(ItemPointerData));
	omen_host_release(tids.tids);

	records = (OmenRecords) {
		.codec = codec,
		.n = carried->n_nodes,
		.factors = builder->rows.factors,
		.codes = builder->rows.codes
	};
	if (codec->variable)
		carry_bytes(source, &segment, context, carried);
	carry_codes(source, &segment, carried, &records, builder->rows.refines);
	carry_links(source, &segment, context, carried);
	if (!source->meta->group_attribute)	/* else all are numbered anew, with a routing table of their own */
	{
		carry_centres(source, &segment, context, carried, codec);
		carry_samples(source, &segment, context, carried, codec);
	}
	carry_graph(source, carried);
	close_segment(&segment);
	builder->carried = carried;
}

/* ---- rows that die meanwhile ---- */

static void
late_deaths_of_segment(OmenMergeSource *source, OmenTidSet *set)
{
	uint64	   *now = read_dead(source);
	uint32		n_words = omen_column_count(source->segment, OMEN_COLUMN_DEAD);
	SegmentReader segment;

	open_segment(&segment, source, NULL);
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
