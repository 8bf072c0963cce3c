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

/* Memory that the rows so far take, or will take while their segment is made. */
size_t
omen_builder_bytes(const OmenSegmentBuilder *builder)
{
	return builder->n * omen_builder_row_bytes(builder->meta, builder->codec) + builder->bytes_kept;
}

bool
omen_builder_is_empty(const OmenSegmentBuilder *builder)
{
	return builder->n == 0 && builder->nulls.n == 0 && builder->undirected.n == 0;
}

/* Codes of variable length are kept in pieces of this size. */
#define BYTES_PIECE (1024 * 1024)

/* Keep the bytes of a code for as long as the builder lives. */
static OmenCodeRef
keep_bytes(OmenSegmentBuilder *builder, const void *code, uint32 n_bytes)
{
	OmenCodeRef ref = {.n_bytes = n_bytes};

	if (n_bytes > builder->piece_left)
	{
		builder->piece_left = Max(BYTES_PIECE, n_bytes);
		builder->piece = MemoryContextAlloc(builder->context, builder->piece_left);
		builder->bytes_kept += builder->piece_left;
	}
	ref.bytes = memcpy(builder->piece, code, n_bytes);
	builder->piece += n_bytes;
	builder->piece_left -= n_bytes;
	return ref;
}

/* Add a row with a code of n_code_bytes. */
void
omen_builder_add(OmenSegmentBuilder *builder, ItemPointer tid, const void *factors,
				 const uint8 *code, uint32 n_code_bytes)
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
	if (codec->variable)
	{
		OmenCodeRef ref = keep_bytes(builder, code, n_code_bytes);

		memcpy(builder->codes + i * codec->code_bytes, &ref, sizeof(ref));
	}
	else
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

/* The bytes that a code consists of. */
static const uint8 *
code_content(const OmenSegmentBuilder *builder, uint32 i, uint32 *n_bytes)
{
	const OmenCodeRef *ref = (const OmenCodeRef *) code_of(builder, i);

	if (!builder->codec->variable)
	{
		*n_bytes = builder->codec->code_bytes;
		return code_of(builder, i);
	}
	*n_bytes = ref->n_bytes;
	return ref->bytes;
}

static uint32
hash_record(const OmenSegmentBuilder *builder, uint32 i)
{
	uint32		n_bytes;
	const uint8 *content = code_content(builder, i, &n_bytes);

	return hash_combine(hash_bytes(content, n_bytes),
						hash_bytes((unsigned char *) factors_of(builder, i),
								   builder->codec->identity_bytes));
}

/* Do two records decode to the same vector? */
static bool
records_equal(const OmenSegmentBuilder *builder, uint32 i, uint32 j)
{
	uint32		n_bytes;
	uint32		n_other;
	const uint8 *content = code_content(builder, i, &n_bytes);
	const uint8 *other = code_content(builder, j, &n_other);

	return n_bytes == n_other &&
		memcmp(factors_of(builder, i), factors_of(builder, j), builder->codec->identity_bytes) == 0 &&
		memcmp(content, other, n_bytes) == 0;
}

/* The node with the same code as row i among those folded so far, or NO_ROW; slot is its place. */
static uint32
find_equal(const OmenSegmentBuilder *builder, const uint32 *table, uint32 mask,
		   uint32 i, uint32 *slot)
{
	uint32		at = hash_record(builder, i) & mask;

	for (; table[at] != NO_ROW; at = (at + 1) & mask)
		if (records_equal(builder, table[at], i))
			return table[at];
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
	uint32		n_nodes;
	char	   *head;			/* of a routing record */

	/* codes of variable length: nodes, then centres, one after the other */
	uint64	   *offsets;		/* where each begins, and the end */
	OmenStoredRef ref;			/* the one in hand */
	uint32		chunk_first;	/* code with which the chunk in hand begins */
	char	   *chunk;
} ContentSource;

static const uint8 *
centre_code(const ContentSource *source, uint32 centre)
{
	return source->routing->centres.codes + (size_t) centre * source->builder->codec->code_bytes;
}

/* Code number i of BYTES. */
static const OmenCodeRef *
numbered_ref(const ContentSource *source, uint32 i)
{
	return (const OmenCodeRef *) (i < source->n_nodes ? code_of(source->builder, i) :
								  centre_code(source, i - source->n_nodes));
}

static void
lay_out_bytes(ContentSource *source)
{
	uint32		n = source->n_nodes + source->routing->centres.n;

	source->offsets = host_alloc(source->builder->context, ((size_t) n + 1) * sizeof(uint64));
	source->chunk = palloc(OMEN_CHUNK_BYTES);
	source->chunk_first = 0;
	source->offsets[0] = 0;
	for (uint32 i = 0; i < n; i++)
		source->offsets[i + 1] = source->offsets[i] + numbered_ref(source, i)->n_bytes;
}

static uint32
count_chunks(const ContentSource *source)
{
	uint64		n_bytes;

	if (!source->builder->codec->variable)
		return 0;
	n_bytes = source->offsets[source->n_nodes + source->routing->centres.n];
	return (uint32) ((n_bytes + OMEN_CHUNK_BYTES - 1) / OMEN_CHUNK_BYTES);
}

/* Chunks are asked for in ascending order. */
static const char *
make_chunk(ContentSource *source, uint32 number)
{
	uint32		n = source->n_nodes + source->routing->centres.n;
	uint64		start = (uint64) number * OMEN_CHUNK_BYTES;
	uint64		end = start + OMEN_CHUNK_BYTES;

	memset(source->chunk, 0, OMEN_CHUNK_BYTES);
	while (source->chunk_first < n && source->offsets[source->chunk_first + 1] <= start)
		source->chunk_first++;
	for (uint32 i = source->chunk_first; i < n && source->offsets[i] < end; i++)
	{
		uint64		from = Max(source->offsets[i], start);
		uint64		to = Min(source->offsets[i + 1], end);

		memcpy(source->chunk + (from - start),
			   numbered_ref(source, i)->bytes + (from - source->offsets[i]), to - from);
	}
	return source->chunk;
}

/* What the body of a record holds: the code, or a reference to code number i of BYTES. */
static const void *
code_body(ContentSource *source, const uint8 *code, uint32 i)
{
	if (!source->builder->codec->variable)
		return code;
	source->ref.offset = source->offsets[i];
	source->ref.n_bytes = (uint32) (source->offsets[i + 1] - source->offsets[i]);
	return &source->ref;
}

static const void *
routing_head(ContentSource *source, const char *factors, uint32 payload)
{
	uint32		factor_bytes = source->builder->codec->factor_bytes;

	memcpy(source->head, factors, factor_bytes);
	memcpy(source->head + factor_bytes, &payload, sizeof(payload));
	return source->head;
}

static void
content_record(void *arg, OmenColumnId column, uint32 record, const void **head, const void **body)
{
	ContentSource *source = arg;
	const OmenSegmentBuilder *builder = source->builder;
	const OmenRouting *routing = source->routing;
	uint32		node;

	switch (column)
	{
		case OMEN_COLUMN_CODES:
			*head = factors_of(builder, record);
			*body = code_body(source, code_of(builder, record), record);
			break;
		case OMEN_COLUMN_NODES:
			*body = source->links + (size_t) record * 2 * builder->meta->m;
			break;
		case OMEN_COLUMN_TIDS:
			*body = &source->tids->entries[record];
			break;
		case OMEN_COLUMN_CENTRES:
			*head = routing_head(source, routing->centres.factors +
								 (size_t) record * builder->codec->factor_bytes,
								 routing->first_sample[record]);
			*body = code_body(source, centre_code(source, record), source->n_nodes + record);
			break;
		case OMEN_COLUMN_SAMPLES:
			node = routing->sample_nodes[record];
			*head = routing_head(source, factors_of(builder, node), node);
			*body = code_body(source, code_of(builder, node), node);
			break;
		case OMEN_COLUMN_BYTES:
			*body = make_chunk(source, record);
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
	memset(&source, 0, sizeof(source));
	source.builder = builder;
	source.routing = &routing;
	source.tids = &tids;
	source.links = links;
	source.n_nodes = folded.n_nodes;
	source.head = palloc(builder->codec->factor_bytes + sizeof(uint32));
	if (builder->codec->variable)
		lay_out_bytes(&source);
	content = (OmenSegmentContent) {
		.n_nodes = folded.n_nodes,
		.n_tid_entries = tids.n,
		.n_rows = builder->n + builder->nulls.n + builder->undirected.n,
		.n_centres = routing.centres.n,
		.n_samples = routing.n_samples,
		.n_chunks = count_chunks(&source),
		.null_list = tids.null_list,
		.undirected_list = tids.undirected_list,
		.record = content_record,
		.arg = &source
	};
	written = omen_segment_write(builder->index, builder->meta, &content, segment_id);
	MemoryContextSwitchTo(old_context);
	return written;
}
