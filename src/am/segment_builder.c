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
#include "src/am/segment_content.h"

#include "commands/progress.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#define NO_ROW 0xFFFFFFFFU

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
	void	   *new = omen_host_alloc(builder->context, wanted);

	if (old)
	{
		memcpy(new, old, used);
		omen_host_release(old);
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
	OmenTeam	team;

	qsort(builder->nulls.tids, builder->nulls.n, sizeof(ItemPointerData), compare_tids);
	qsort(builder->undirected.tids, builder->undirected.n, sizeof(ItemPointerData), compare_tids);
	if (builder->sorted)
		return;

	entries = omen_host_alloc(builder->context, builder->n * sizeof(SortEntry));
	order = omen_host_alloc(builder->context, builder->n * sizeof(uint32));
	for (uint32 i = 0; i < builder->n; i++)
	{
		entries[i].tid = builder->tids[i];
		entries[i].row = i;
	}
	qsort(entries, builder->n, sizeof(SortEntry), compare_sort_entries);
	for (uint32 i = 0; i < builder->n; i++)
		order[i] = entries[i].row;
	omen_host_release(entries);

	omen_team_alone(&team, &builder->host);
	omen_permute(&team, builder->factors, codec->factor_bytes, order, builder->n);
	omen_permute(&team, builder->codes, codec->code_bytes, order, builder->n);
	omen_permute(&team, builder->tids, sizeof(ItemPointerData), order, builder->n);
	omen_host_release(order);
	builder->sorted = true;
}

static void
add_duplicate(OmenSegmentBuilder *builder, OmenFolded *folded, uint32 node, ItemPointer tid)
{
	if (folded->n_duplicates == folded->capacity)
	{
		uint32		capacity = Max(64, folded->capacity * 2);

		folded->duplicates = grow(builder, folded->duplicates,
								  folded->n_duplicates * sizeof(OmenDuplicate),
								  (size_t) capacity * sizeof(OmenDuplicate));
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
	const OmenCodeRef *ref = (const OmenCodeRef *) omen_builder_code(builder, i);

	if (!builder->codec->variable)
	{
		*n_bytes = builder->codec->code_bytes;
		return omen_builder_code(builder, i);
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
						hash_bytes((unsigned char *) omen_builder_factors(builder, i),
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
		memcmp(omen_builder_factors(builder, i), omen_builder_factors(builder, j), builder->codec->identity_bytes) == 0 &&
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
fold_rows(OmenSegmentBuilder *builder, OmenFolded *folded)
{
	const OmenCodec *codec = builder->codec;
	uint32		mask = pg_nextpower2_32(Max(builder->n, 8) * 2) - 1;
	uint32	   *table = omen_host_alloc(builder->context, ((size_t) mask + 1) * sizeof(uint32));

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
			codec->absorb(codec, omen_builder_factors(builder, node), omen_builder_factors(builder, i));
			add_duplicate(builder, folded, node, &builder->tids[i]);
			continue;
		}
		node = folded->n_nodes++;
		table[slot] = node;
		if (node != i)
		{
			memcpy(omen_builder_factors(builder, node), omen_builder_factors(builder, i), codec->factor_bytes);
			memcpy(omen_builder_code(builder, node), omen_builder_code(builder, i), codec->code_bytes);
			builder->tids[node] = builder->tids[i];
		}
	}
	omen_host_release(table);
}

/* Duplicates name nodes by their old number; give them the new one. */
static void
renumber_duplicates(OmenSegmentBuilder *builder, OmenFolded *folded, const uint32 *order)
{
	uint32	   *new_number;

	if (folded->n_duplicates == 0)
		return;
	new_number = omen_host_alloc(builder->context, folded->n_nodes * sizeof(uint32));
	for (uint32 i = 0; i < folded->n_nodes; i++)
		new_number[order[i]] = i;
	for (uint32 i = 0; i < folded->n_duplicates; i++)
		folded->duplicates[i].node = new_number[folded->duplicates[i].node];
	omen_host_release(new_number);
}

/* Number the nodes by locality and bring the arrays into that order. */
static void
order_nodes(OmenSegmentBuilder *builder, OmenFolded *folded, OmenRouting *routing)
{
	const OmenCodec *codec = builder->codec;
	OmenRecords records = {codec, folded->n_nodes, builder->factors, builder->codes};
	uint32	   *order = omen_host_alloc(builder->context, Max(folded->n_nodes, 1) * sizeof(uint32));
	OmenTeam	team;

	omen_team_alone(&team, &builder->host);
	omen_locality_order(&team, &records, order, routing);
	omen_permute(&team, builder->factors, codec->factor_bytes, order, folded->n_nodes);
	omen_permute(&team, builder->codes, codec->code_bytes, order, folded->n_nodes);
	omen_permute(&team, builder->tids, sizeof(ItemPointerData), order, folded->n_nodes);
	renumber_duplicates(builder, folded, order);
	omen_host_release(order);
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
	OmenFolded	folded;
	OmenRouting routing;
	OmenRecords records;
	uint32	   *links;
	OmenContentSource source;
	OmenSegmentContent content;
	OmenTeam	team;
	bool		written;

	report_phase(builder, OMEN_PHASE_ORDER);
	sort_rows(builder);
	fold_rows(builder, &folded);
	order_nodes(builder, &folded, &routing);

	report_phase(builder, OMEN_PHASE_LINK);
	records = (OmenRecords) {builder->codec, folded.n_nodes, builder->factors, builder->codes};
	links = omen_host_alloc(builder->context,
							Max((size_t) folded.n_nodes, 1) * 2 * params.m * sizeof(uint32));
	omen_team_alone(&team, &builder->host);
	omen_graph_link(&team, &records, &routing, &params, links);

	report_phase(builder, OMEN_PHASE_WRITE);
	omen_content_init(&content, &source, builder, &folded, &routing, links);
	written = omen_segment_write(builder->index, builder->meta, &content, segment_id);
	MemoryContextSwitchTo(old_context);
	return written;
}
