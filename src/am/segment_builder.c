/*-------------------------------------------------------------------------
 *
 * segment_builder.c
 *	  Collecting rows and making a sealed segment of them.
 *
 * The rows come from the heap (build), from a tail (seal) or from older
 * segments (merge); what comes out depends on the set of (TID, code) alone:
 * rows are sorted by TID, equal codes folded into one node with a list of
 * TIDs, the nodes numbered by locality and linked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/segment_builder.h"
#include "src/storage/segment_writer.h"

#include "commands/progress.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#define NO_ROW 0xFFFFFFFFU
#define ALIGNMENT 64

/* ---- memory ---- */

/* Aligned memory keeps the true start of its chunk just before itself. */
static void *
host_alloc(void *arg, size_t bytes)
{
	char	   *chunk = MemoryContextAllocHuge((MemoryContext) arg, bytes + ALIGNMENT + sizeof(void *));
	char	   *aligned = (char *) TYPEALIGN(ALIGNMENT, chunk + sizeof(void *));

	((void **) aligned)[-1] = chunk;
	return aligned;
}

static void
host_release(void *arg, void *pointer)
{
	if (pointer)
		pfree(((void **) pointer)[-1]);
}

static void
host_tick(void *arg, uint32 n_done)
{
	CHECK_FOR_INTERRUPTS();
}

void
omen_host_init(OmenHost *host, MemoryContext context)
{
	host->arg = context;
	host->alloc = host_alloc;
	host->release = host_release;
	host->tick = host_tick;
}

static void
host_tick_progress(void *arg, uint32 n_done)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, n_done);
}

static void
report_phase(OmenSegmentBuilder *builder, OmenBuildPhase phase)
{
	if (!builder->report_progress)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, phase);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, builder->n);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, 0);
}

/* What a row costs while its segment is being made, for the memory budget. */
size_t
omen_builder_row_bytes(const OmenMeta *meta, const OmenCodec *codec)
{
	OmenGraphParams params = {.m = meta->m,.ef_construction = meta->ef_construction};

	return codec->factor_bytes + codec->code_bytes + sizeof(ItemPointerData) +
		sizeof(OmenTidEntry) + 2 * sizeof(uint32) +
		2 * meta->m * sizeof(uint32) + omen_graph_link_bytes(codec, &params);
}

/* ---- collecting ---- */

static void *
grow(OmenSegmentBuilder *builder, void *old, size_t used, size_t wanted)
{
	void	   *new = host_alloc(builder->context, wanted);

	if (old)
	{
		memcpy(new, old, used);
		host_release(builder->context, old);
	}
	return new;
}

static void
reserve(OmenSegmentBuilder *builder, uint32 capacity)
{
	const OmenCodec *codec = builder->codec;
	size_t		n = builder->n;

	builder->factors = grow(builder, builder->factors, n * codec->factor_bytes,
							(size_t) capacity * codec->factor_bytes);
	builder->codes = grow(builder, builder->codes, n * codec->code_bytes,
						  (size_t) capacity * codec->code_bytes);
	builder->tids = grow(builder, builder->tids, n * sizeof(ItemPointerData),
						 (size_t) capacity * sizeof(ItemPointerData));
	builder->capacity = capacity;
}

OmenSegmentBuilder *
omen_builder_create(Relation index, const OmenMeta *meta, const OmenCodec *codec,
					uint32 expected_rows, bool report_progress)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec segment builder",
												  ALLOCSET_DEFAULT_SIZES);
	OmenSegmentBuilder *builder = MemoryContextAllocZero(context, sizeof(OmenSegmentBuilder));

	builder->index = index;
	builder->meta = meta;
	builder->codec = codec;
	builder->report_progress = report_progress;
	builder->context = context;
	omen_host_init(&builder->host, context);
	if (report_progress)
		builder->host.tick = host_tick_progress;
	builder->sorted = true;
	reserve(builder, Max(expected_rows, 64));
	return builder;
}

void
omen_builder_destroy(OmenSegmentBuilder *builder)
{
	MemoryContextDelete(builder->context);
}

bool
omen_builder_is_empty(const OmenSegmentBuilder *builder)
{
	return builder->n == 0 && builder->nulls.n == 0 && builder->undirected.n == 0;
}

void
omen_builder_add(OmenSegmentBuilder *builder, ItemPointer tid, const void *factors, const void *code)
{
	const OmenCodec *codec = builder->codec;
	size_t		i = builder->n;

	if (builder->n == builder->capacity)
	{
		if (builder->capacity >= OMEN_MAX_NODES / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a segment of index \"%s\" cannot have more than %u vectors",
							RelationGetRelationName(builder->index), OMEN_MAX_NODES / 2),
					 errhint("Lower maintenance_work_mem or partition the table.")));
		reserve(builder, builder->capacity * 2);
	}
	if (i > 0 && ItemPointerCompare(tid, &builder->tids[i - 1]) < 0)
		builder->sorted = false;
	memcpy(builder->factors + i * codec->factor_bytes, factors, codec->factor_bytes);
	memcpy(builder->codes + i * codec->code_bytes, code, codec->code_bytes);
	builder->tids[i] = *tid;
	builder->n++;
}

static void
add_to_list(OmenSegmentBuilder *builder, OmenTidList *list, ItemPointer tid)
{
	if (list->n == list->capacity)
	{
		uint32		capacity = Max(64, list->capacity * 2);

		list->tids = grow(builder, list->tids, list->n * sizeof(ItemPointerData),
						  (size_t) capacity * sizeof(ItemPointerData));
		list->capacity = capacity;
	}
	list->tids[list->n++] = *tid;
}

void
omen_builder_add_null(OmenSegmentBuilder *builder, ItemPointer tid)
{
	add_to_list(builder, &builder->nulls, tid);
}

void
omen_builder_add_undirected(OmenSegmentBuilder *builder, ItemPointer tid)
{
	add_to_list(builder, &builder->undirected, tid);
}

/* ---- sorting and folding ---- */

typedef struct SortEntry
{
	ItemPointerData tid;
	uint32		row;
} SortEntry;

static int
compare_sort_entries(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const SortEntry *) a)->tid,
							  (ItemPointer) &((const SortEntry *) b)->tid);
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

static void
sort_rows(OmenSegmentBuilder *builder)
{
	const OmenCodec *codec = builder->codec;
	SortEntry  *entries;
	uint32	   *order;

	qsort(builder->nulls.tids, builder->nulls.n, sizeof(ItemPointerData), compare_tids);
	qsort(builder->undirected.tids, builder->undirected.n, sizeof(ItemPointerData), compare_tids);
	if (builder->sorted)
		return;

	entries = host_alloc(builder->context, builder->n * sizeof(SortEntry));
	order = host_alloc(builder->context, builder->n * sizeof(uint32));
	for (uint32 i = 0; i < builder->n; i++)
	{
		entries[i].tid = builder->tids[i];
		entries[i].row = i;
	}
	qsort(entries, builder->n, sizeof(SortEntry), compare_sort_entries);
	for (uint32 i = 0; i < builder->n; i++)
		order[i] = entries[i].row;
	host_release(builder->context, entries);

	omen_permute(&builder->host, builder->factors, codec->factor_bytes, order, builder->n);
	omen_permute(&builder->host, builder->codes, codec->code_bytes, order, builder->n);
	omen_permute(&builder->host, builder->tids, sizeof(ItemPointerData), order, builder->n);
	host_release(builder->context, order);
	builder->sorted = true;
}

/* A row whose code another row has already. */
typedef struct Duplicate
{
	uint32		node;			/* that has the code */
	ItemPointerData tid;
} Duplicate;

/* Rows after folding: the builder's arrays hold nodes now. */
typedef struct Folded
{
	uint32		n_nodes;
	Duplicate  *duplicates;		/* in the order of the rows */
	uint32		n_duplicates;
	uint32		capacity;
} Folded;

static inline char *
factors_of(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->factors + (size_t) i * builder->codec->factor_bytes;
}

static inline uint8 *
code_of(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->codes + (size_t) i * builder->codec->code_bytes;
}

static void
add_duplicate(OmenSegmentBuilder *builder, Folded *folded, uint32 node, ItemPointer tid)
{
	if (folded->n_duplicates == folded->capacity)
	{
		uint32		capacity = Max(64, folded->capacity * 2);

		folded->duplicates = grow(builder, folded->duplicates,
								  folded->n_duplicates * sizeof(Duplicate),
								  (size_t) capacity * sizeof(Duplicate));
		folded->capacity = capacity;
	}
	folded->duplicates[folded->n_duplicates].node = node;
	folded->duplicates[folded->n_duplicates].tid = *tid;
	folded->n_duplicates++;
}

/* The node with the same code as row i among those folded so far, or NO_ROW; slot is its place. */
static uint32
find_equal(const OmenSegmentBuilder *builder, const uint32 *table, uint32 mask,
		   uint32 i, uint32 *slot)
{
	const OmenCodec *codec = builder->codec;
	uint32		at = hash_combine(hash_bytes(code_of(builder, i), codec->code_bytes),
								  hash_bytes((unsigned char *) factors_of(builder, i),
											 codec->identity_bytes)) & mask;

	for (; table[at] != NO_ROW; at = (at + 1) & mask)
	{
		uint32		node = table[at];

		if (memcmp(factors_of(builder, node), factors_of(builder, i), codec->identity_bytes) == 0 &&
			memcmp(code_of(builder, node), code_of(builder, i), codec->code_bytes) == 0)
			return node;
	}
	*slot = at;
	return NO_ROW;
}

/*
 * Fold rows with equal codes: the first of them becomes the node, the others
 * duplicates.  Left separate, they would make cliques without a way out.
 */
static void
fold_rows(OmenSegmentBuilder *builder, Folded *folded)
{
	const OmenCodec *codec = builder->codec;
	uint32		mask = pg_nextpower2_32(Max(builder->n, 8) * 2) - 1;
	uint32	   *table = host_alloc(builder->context, ((size_t) mask + 1) * sizeof(uint32));

	memset(folded, 0, sizeof(*folded));
	memset(table, 0xFF, ((size_t) mask + 1) * sizeof(uint32));
	for (uint32 i = 0; i < builder->n; i++)
	{
		uint32		slot = 0;
		uint32		node = find_equal(builder, table, mask, i, &slot);

		if (i % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (node != NO_ROW)
		{
			codec->absorb(codec, factors_of(builder, node), factors_of(builder, i));
			add_duplicate(builder, folded, node, &builder->tids[i]);
			continue;
		}
		node = folded->n_nodes++;
		table[slot] = node;
		if (node != i)
		{
			memcpy(factors_of(builder, node), factors_of(builder, i), codec->factor_bytes);
			memcpy(code_of(builder, node), code_of(builder, i), codec->code_bytes);
			builder->tids[node] = builder->tids[i];
		}
	}
	host_release(builder->context, table);
}

/* ---- TID entries ---- */

static inline OmenTidEntry
plain_entry(ItemPointer tid)
{
	OmenTidEntry entry = {ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), OMEN_TID_PLAIN};

	return entry;
}

static int
compare_duplicates(const void *a, const void *b)
{
	const Duplicate *left = a;
	const Duplicate *right = b;

	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &left->tid, (ItemPointer) &right->tid);
}

typedef struct TidColumn
{
	OmenTidEntry *entries;
	uint32		n;
	uint32		null_list;
	uint32		undirected_list;
} TidColumn;

static uint32
append_list(TidColumn *column, const OmenTidList *list)
{
	uint32		start = column->n;
	OmenTidEntry header = {list->n, 0, OMEN_TID_HEADER};

	if (list->n == 0)
		return OMEN_NO_LIST;
	column->entries[column->n++] = header;
	for (uint32 i = 0; i < list->n; i++)
		column->entries[column->n++] = plain_entry(&list->tids[i]);
	return start;
}

/* The lists of folded nodes; builder->tids and the entries are in the order of the nodes. */
static void
append_duplicate_lists(OmenSegmentBuilder *builder, Folded *folded, TidColumn *column)
{
	Duplicate  *duplicates = folded->duplicates;
	uint32		end;

	qsort(duplicates, folded->n_duplicates, sizeof(Duplicate), compare_duplicates);
	for (uint32 first = 0; first < folded->n_duplicates; first = end)
	{
		uint32		node = duplicates[first].node;
		OmenTidEntry to_list = {column->n, 0, OMEN_TID_LIST};
		OmenTidEntry header = {0, 0, OMEN_TID_HEADER};

		for (end = first; end < folded->n_duplicates && duplicates[end].node == node;)
			end++;
		header.block = end - first + 1;
		column->entries[column->n++] = header;
		column->entries[column->n++] = column->entries[node];
		for (uint32 i = first; i < end; i++)
			column->entries[column->n++] = plain_entry(&duplicates[i].tid);
		column->entries[node] = to_list;
	}
}

/* Duplicates name nodes by their old number; give them the new one. */
static void
renumber_duplicates(OmenSegmentBuilder *builder, Folded *folded, const uint32 *order)
{
	uint32	   *new_number;

	if (folded->n_duplicates == 0)
		return;
	new_number = host_alloc(builder->context, folded->n_nodes * sizeof(uint32));
	for (uint32 i = 0; i < folded->n_nodes; i++)
		new_number[order[i]] = i;
	for (uint32 i = 0; i < folded->n_duplicates; i++)
		folded->duplicates[i].node = new_number[folded->duplicates[i].node];
	host_release(builder->context, new_number);
}

static void
make_tid_column(OmenSegmentBuilder *builder, Folded *folded, TidColumn *column)
{
	/* Each duplicate may begin a list: header, and the node's own TID moves there. */
	size_t		most = (size_t) folded->n_nodes + (size_t) folded->n_duplicates * 3 +
		builder->nulls.n + builder->undirected.n + 2;

	if (most > OMEN_MAX_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a segment of index \"%s\" cannot have more than %u rows",
						RelationGetRelationName(builder->index), OMEN_MAX_NODES / 3),
				 errhint("Lower maintenance_work_mem or partition the table.")));
	column->entries = host_alloc(builder->context, most * sizeof(OmenTidEntry));
	column->n = folded->n_nodes;
	for (uint32 i = 0; i < folded->n_nodes; i++)
		column->entries[i] = plain_entry(&builder->tids[i]);
	append_duplicate_lists(builder, folded, column);
	column->null_list = append_list(column, &builder->nulls);
	column->undirected_list = append_list(column, &builder->undirected);
}

/* ---- writing ---- */

typedef struct ContentSource
{
	const OmenSegmentBuilder *builder;
	const OmenRouting *routing;
	const TidColumn *tids;
	const uint32 *links;
	char	   *head;			/* of a routing record */
} ContentSource;

static void
routing_record(ContentSource *source, const char *factors, const uint8 *code, uint32 payload,
			   const void **head, const void **body)
{
	uint32		factor_bytes = source->builder->codec->factor_bytes;

	memcpy(source->head, factors, factor_bytes);
	memcpy(source->head + factor_bytes, &payload, sizeof(payload));
	*head = source->head;
	*body = code;
}

static void
content_record(void *arg, OmenColumnId column, uint32 record, const void **head, const void **body)
{
	ContentSource *source = arg;
	const OmenSegmentBuilder *builder = source->builder;
	const OmenRouting *routing = source->routing;

	switch (column)
	{
		case OMEN_COLUMN_CODES:
			*head = factors_of(builder, record);
			*body = code_of(builder, record);
			break;
		case OMEN_COLUMN_NODES:
			*body = source->links + (size_t) record * 2 * builder->meta->m;
			break;
		case OMEN_COLUMN_TIDS:
			*body = &source->tids->entries[record];
			break;
		case OMEN_COLUMN_CENTRES:
			routing_record(source,
						   routing->centres.factors + (size_t) record * builder->codec->factor_bytes,
						   routing->centres.codes + (size_t) record * builder->codec->code_bytes,
						   routing->first_sample[record], head, body);
			break;
		case OMEN_COLUMN_SAMPLES:
			routing_record(source,
						   factors_of(builder, routing->sample_nodes[record]),
						   code_of(builder, routing->sample_nodes[record]),
						   routing->sample_nodes[record], head, body);
			break;
		case OMEN_COLUMN_DEAD:
			Assert(false);		/* written by the segment writer itself */
			break;
	}
}

/* Number the nodes by locality and bring the arrays into that order. */
static void
order_nodes(OmenSegmentBuilder *builder, Folded *folded, OmenRouting *routing)
{
	const OmenCodec *codec = builder->codec;
	OmenRecords records = {codec, folded->n_nodes, builder->factors, builder->codes};
	uint32	   *order = host_alloc(builder->context, Max(folded->n_nodes, 1) * sizeof(uint32));

	omen_locality_order(&builder->host, &records, order, routing);
	omen_permute(&builder->host, builder->factors, codec->factor_bytes, order, folded->n_nodes);
	omen_permute(&builder->host, builder->codes, codec->code_bytes, order, folded->n_nodes);
	omen_permute(&builder->host, builder->tids, sizeof(ItemPointerData), order, folded->n_nodes);
	renumber_duplicates(builder, folded, order);
	host_release(builder->context, order);
}

/*
 * Make the segment and write it, not yet published.  Returns false, having
 * written nothing, if the directory is full.  The builder's arrays are spent.
 */
bool
omen_builder_write(OmenSegmentBuilder *builder, uint32 *segment_id)
{
	MemoryContext old_context = MemoryContextSwitchTo(builder->context);
	OmenGraphParams params = {
		.m = builder->meta->m,
		.ef_construction = builder->meta->ef_construction
	};
	Folded		folded;
	OmenRouting routing;
	OmenRecords records;
	TidColumn	tids;
	uint32	   *links;
	ContentSource source;
	OmenSegmentContent content;
	bool		written;

	report_phase(builder, OMEN_PHASE_ORDER);
	sort_rows(builder);
	fold_rows(builder, &folded);
	order_nodes(builder, &folded, &routing);

	report_phase(builder, OMEN_PHASE_LINK);
	records = (OmenRecords) {builder->codec, folded.n_nodes, builder->factors, builder->codes};
	links = host_alloc(builder->context, Max((size_t) folded.n_nodes, 1) * 2 * params.m * sizeof(uint32));
	omen_graph_link(&builder->host, &records, &routing, &params, links);

	report_phase(builder, OMEN_PHASE_WRITE);
	make_tid_column(builder, &folded, &tids);
	source = (ContentSource) {builder, &routing, &tids, links, NULL};
	source.head = palloc(builder->codec->factor_bytes + sizeof(uint32));
	content = (OmenSegmentContent) {
		.n_nodes = folded.n_nodes,
		.n_tid_entries = tids.n,
		.n_rows = builder->n + builder->nulls.n + builder->undirected.n,
		.n_centres = routing.centres.n,
		.n_samples = routing.n_samples,
		.null_list = tids.null_list,
		.undirected_list = tids.undirected_list,
		.record = content_record,
		.arg = &source
	};
	written = omen_segment_write(builder->index, builder->meta, &content, segment_id);
	MemoryContextSwitchTo(old_context);
	return written;
}
