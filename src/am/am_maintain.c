/*-------------------------------------------------------------------------
 *
 * am_maintain.c
 *	  The life of segments: tails are sealed, segments merged.
 *
 * Sealing and merging are one operation: the rows of some sources (frozen
 * tails, segments), less the dead ones, become a new segment, which one
 * change of the directory puts in their place.  Codes are copied as they are.
 *
 * One maintenance at a time per index, by a heavyweight lock; vacuum's bulk
 * delete takes it too, for a TID that it marks dead in a source must not come
 * alive again in the new segment.  Readers and writers never wait for it.
 * (GIN locks its metapage's block number for the like; but while a page lock
 * is held, no relation may be locked, as a catalog lookup does.)
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/segment_builder.h"
#include "src/storage/blob.h"
#include "src/storage/extent.h"
#include "src/storage/page_reader.h"
#include "src/storage/segment_writer.h"
#include "src/storage/tail.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "postmaster/autovacuum.h"
#include "storage/lock.h"
#include "utils/memutils.h"

/* The tail is sealed when its rows are this many bytes. */
#define SEAL_BYTES (1024 * 1024)
#define MIN_SEAL_ROWS 1000

/* So many times longer it may become while somebody else holds the maintenance lock. */
#define LONG_TAIL 4

/* Segments within this factor of the sum of all smaller ones are merged with them. */
#define MERGE_FACTOR 2

/* Where vacuum does not come by, an inserting backend merges the smallest segments. */
#define CROWDED_SEGMENTS 24
#define CROWDED_MERGE 12

/*
 * Entries of the directory kept free for tails.  Long transactions hold on to
 * retired entries; when they have filled the rest, nothing more is sealed and
 * the tail just grows.
 */
#define SPARE_SEGMENTS 8

/* A segment with more dead rows than this share is written anew. */
#define REWRITE_DEAD_SHARE 0.2

/* The lock's name: a sub-object of the index that no catalog knows. */
static LOCKTAG
maintenance_lock(Relation index)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, RelationGetRelid(index), 1);
	return tag;
}

/* Returns false if wait is false and somebody else has it. */
bool
omen_lock_maintenance(Relation index, bool wait)
{
	LOCKTAG		tag = maintenance_lock(index);

	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
omen_unlock_maintenance(Relation index)
{
	LOCKTAG		tag = maintenance_lock(index);

	LockRelease(&tag, ExclusiveLock, false);
}

/* Length of the tail, in blocks, at which scanning it costs about as much as the rest of a query. */
uint32
omen_seal_blocks(const OmenMeta *meta)
{
	uint32		row_bytes = sizeof(OmenRowHeader) + meta->factor_bytes + meta->code_bytes;
	uint64		bytes = SEAL_BYTES;

	if (!meta->variable_codes)
		bytes = Max(bytes, (uint64) MIN_SEAL_ROWS * row_bytes);
	return bytes / OMEN_PAGE_CAPACITY;
}

/* ---- reading the sources ---- */

static void
add_row(OmenSegmentBuilder *builder, const OmenRow *row)
{
	ItemPointerData tid;

	ItemPointerSet(&tid, row->header.block, row->header.offset);
	if (row->header.flags & OMEN_ROW_NULL)
		omen_builder_add_null(builder, &tid);
	else if (row->header.flags & OMEN_ROW_UNDIRECTED)
		omen_builder_add_undirected(builder, &tid);
	else
		omen_builder_add(builder, &tid, row->factors, row->code, row->n_code_bytes);
}

/* The tail is frozen: nothing but dead flags could change, and vacuum is locked out. */
static void
add_tail(OmenSegmentBuilder *builder, Relation index, const OmenMeta *meta, const OmenSegment *tail)
{
	OmenTailReader *reader = palloc(sizeof(OmenTailReader));

	omen_tail_reader_init(reader, index, meta, tail);
	while (omen_tail_reader_next(reader))
	{
		for (int i = 0; i < reader->n_rows; i++)
			if ((reader->rows[i].header.flags & OMEN_ROW_DEAD) == 0)
				add_row(builder, &reader->rows[i]);
		omen_tail_reader_release(reader);
		CHECK_FOR_INTERRUPTS();
	}
	pfree(reader);
}

/* A sealed segment being read in whole. */
typedef struct SegmentSource
{
	OmenReader	reader;			/* of tids and dead */
	OmenReader	code_reader;
	OmenReader	bytes_reader;
	OmenColumnView codes;
	OmenColumnView bytes;
	OmenColumnView tids;
	OmenColumnView dead;
} SegmentSource;

/* The code of the node in hand. */
typedef struct NodeCode
{
	const void *factors;
	const uint8 *code;
	uint32		n_code_bytes;
} NodeCode;

static void
read_code(SegmentSource *source, const OmenMeta *meta, uint32 node, NodeCode *result)
{
	const void *body;

	omen_reader_one(&source->code_reader, &source->codes, node, &result->factors, &body);
	result->code = body;
	result->n_code_bytes = meta->code_bytes;
	if (meta->variable_codes)
	{
		OmenStoredRef ref;

		memcpy(&ref, body, sizeof(ref));
		omen_reader_release(&source->bytes_reader);
		result->code = omen_blob_bytes(&source->bytes_reader, &source->bytes, &ref);
		result->n_code_bytes = ref.n_bytes;
	}
}

static OmenTidEntry
read_entry(SegmentSource *source, uint32 entry)
{
	const void *head;
	const void *body;

	omen_reader_one(&source->reader, &source->tids, entry, &head, &body);
	return *(const OmenTidEntry *) body;
}

static bool
entry_is_dead(SegmentSource *source, uint32 entry)
{
	const void *head;
	const void *body;

	if (source->dead.segment->n_dead == 0)
		return false;
	omen_reader_one(&source->reader, &source->dead, entry / 64, &head, &body);
	return (*(const uint64 *) body >> (entry % 64)) & 1;
}

typedef void (*AddTid) (OmenSegmentBuilder *builder, ItemPointer tid);

/* Add an entry if it is alive: with the node's code, or by add_tid if it has none. */
static void
add_entry(OmenSegmentBuilder *builder, SegmentSource *source, uint32 entry,
		  const NodeCode *code, AddTid add_tid)
{
	OmenTidEntry tid_entry = read_entry(source, entry);
	ItemPointerData tid;

	if (entry_is_dead(source, entry))
		return;
	ItemPointerSet(&tid, tid_entry.block, tid_entry.offset);
	if (code)
		omen_builder_add(builder, &tid, code->factors, code->code, code->n_code_bytes);
	else
		add_tid(builder, &tid);
}

static void
add_list(OmenSegmentBuilder *builder, SegmentSource *source, uint32 list,
		 const NodeCode *code, AddTid add_tid)
{
	OmenTidEntry header;

	if (list == OMEN_NO_LIST)
		return;
	header = read_entry(source, list);
	for (uint32 i = 1; i <= header.block; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_entry(builder, source, list + i, code, add_tid);
	}
}

static void
add_segment(OmenSegmentBuilder *builder, Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	SegmentSource source;

	omen_reader_init(&source.reader, index);
	omen_reader_init(&source.code_reader, index);
	omen_reader_init(&source.bytes_reader, index);
	omen_column_view(&source.codes, index, meta, segment, OMEN_COLUMN_CODES);
	omen_column_view(&source.bytes, index, meta, segment, OMEN_COLUMN_BYTES);
	omen_column_view(&source.tids, index, meta, segment, OMEN_COLUMN_TIDS);
	omen_column_view(&source.dead, index, meta, segment, OMEN_COLUMN_DEAD);

	for (uint32 node = 0; node < segment->n_nodes; node++)
	{
		OmenTidEntry entry = read_entry(&source, node);
		NodeCode	code;

		if (node % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		read_code(&source, meta, node, &code);
		if (entry.kind == OMEN_TID_LIST)
			add_list(builder, &source, entry.block, &code, NULL);
		else
			add_entry(builder, &source, node, &code, NULL);
	}
	add_list(builder, &source, segment->null_list, NULL, omen_builder_add_null);
	add_list(builder, &source, segment->undirected_list, NULL, omen_builder_add_undirected);
	omen_reader_release(&source.reader);
	omen_reader_release(&source.code_reader);
	omen_reader_release(&source.bytes_reader);
}

/* ---- merging ---- */

/* Put a new segment in the place of the sources. */
static void
merge(Relation index, const OmenMeta *meta, const OmenSegment *const *sources, int n_sources)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec merge",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	uint32		replaced[OMEN_MAX_SEGMENTS];
	uint32		segment_id = 0;
	bool		written = true;
	OmenEncoder encoder;
	OmenBuildTeam team;
	OmenSegmentBuilder *builder;

	omen_encoder_init(&encoder, index, meta);
	omen_build_team_alone(&team);
	builder = omen_builder_create(index, meta, &encoder.codec, &team, NULL, false);
	for (int i = 0; i < n_sources; i++)
	{
		replaced[i] = sources[i]->id;
		if (sources[i]->kind == OMEN_SEGMENT_TAIL)
			add_tail(builder, index, meta, sources[i]);
		else
			add_segment(builder, index, meta, sources[i]);
	}
	(void) omen_builder_gather(builder, false);
	if (!builder->rows.empty)
		written = omen_builder_write(builder, &segment_id);
	if (written)
		omen_segment_publish(index, segment_id, replaced, n_sources);

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
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

/*
 * Freeze the open tail if the mode wants it, and make the frozen ones a
 * segment; an inserting backend, two of them.
 */
static void
seal_tails(Relation index, OmenMeta *meta, OmenMaintainMode mode)
{
	const OmenSegment *tails[OMEN_MAX_SEGMENTS];
	OmenSegment *open = omen_meta_open_tail(meta);
	int			n_tails;

	if (open != NULL)
	{
		uint32		wanted = mode >= OMEN_MAINTAIN_OPTIMIZE ? 1 : omen_seal_blocks(meta);

		if (omen_tail_used_blocks(index, open) >= wanted)
		{
			omen_tail_freeze(index, open->id);
			omen_meta_read(index, meta);
		}
	}
	n_tails = live_segments(meta, OMEN_SEGMENT_TAIL, tails);
	if (mode == OMEN_MAINTAIN_INSERT)
		n_tails = Min(n_tails, 2);
	for (int i = 0; i < n_tails; i++)
		omen_tail_close(index, tails[i]);
	if (n_tails > 0)
		merge(index, meta, tails, n_tails);
}

/*
 * Somebody else is at it, and the tail has become long meanwhile: begin
 * another, so that what an inserting backend will have to seal stays short.
 */
static void
freeze_long_tail(Relation index)
{
	OmenMeta   *meta = palloc(sizeof(OmenMeta));
	OmenSegment *open;

	omen_meta_read(index, meta);
	open = omen_meta_open_tail(meta);
	if (open != NULL && meta->n_segments <= OMEN_MAX_SEGMENTS - SPARE_SEGMENTS &&
		omen_tail_used_blocks(index, open) >= LONG_TAIL * omen_seal_blocks(meta))
		omen_tail_freeze(index, open->id);
	pfree(meta);
}

/* How many rows a merge may have. */
static uint64
merge_budget(const OmenMeta *meta, const OmenCodec *codec, OmenMaintainMode mode)
{
	uint64		seal_rows = (uint64) omen_seal_blocks(meta) * OMEN_PAGE_CAPACITY /
		(sizeof(OmenRowHeader) + meta->factor_bytes + meta->code_bytes);
	int			work_mem_kb = IsAutoVacuumWorkerProcess() && autovacuum_work_mem != -1 ?
		autovacuum_work_mem : maintenance_work_mem;
	uint64		fit = (uint64) work_mem_kb * 1024 / omen_builder_row_bytes(meta, codec);

	if (mode == OMEN_MAINTAIN_FULL)
		return OMEN_MAX_NODES / 4;
	if (mode == OMEN_MAINTAIN_INSERT)
		return CROWDED_MERGE * 2 * seal_rows;
	return Min(Max(fit, CROWDED_MERGE * 2 * seal_rows), OMEN_MAX_NODES / 4);
}

/*
 * How many of the smallest segments to merge now; 0 for none.  Sizes that
 * grow by a factor keep the number of segments logarithmic and let each row
 * be linked anew a few times only.
 */
static int
choose_merge(const OmenSegment *const *segments, int n_segments, OmenMaintainMode mode, uint64 budget)
{
	uint64		sum = 0;
	int			n = 0;

	if (mode == OMEN_MAINTAIN_INSERT && n_segments < CROWDED_SEGMENTS)
		return 0;
	while (n < n_segments && sum + segments[n]->n_rows <= budget)
	{
		if (mode == OMEN_MAINTAIN_INSERT && n == CROWDED_MERGE)
			break;
		if (mode != OMEN_MAINTAIN_INSERT && mode != OMEN_MAINTAIN_FULL &&
			n > 0 && segments[n]->n_rows > sum * MERGE_FACTOR)
			break;
		sum += segments[n++]->n_rows;
	}
	if (n == 1 && mode == OMEN_MAINTAIN_FULL && segments[0]->n_dead > 0)
		return 1;
	return n > 1 ? n : 0;
}

static void
merge_segments(Relation index, OmenMeta *meta, OmenMaintainMode mode)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	OmenCodec	codec;
	int			n_segments;
	int			n_chosen;

	omen_codec_init(&codec, meta->code_kind, meta->metric, meta->dims);
	omen_meta_read(index, meta);
	n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
	n_chosen = choose_merge(segments, n_segments, mode, merge_budget(meta, &codec, mode));
	if (n_chosen > 0)
	{
		merge(index, meta, segments, n_chosen);
		omen_meta_read(index, meta);
		n_segments = live_segments(meta, OMEN_SEGMENT_GRAPH, segments);
	}
	if (mode == OMEN_MAINTAIN_INSERT)
		return;
	for (int i = 0; i < n_segments; i++)
		if (segments[i]->n_dead > REWRITE_DEAD_SHARE * segments[i]->n_rows)
			merge(index, meta, &segments[i], 1);
}

/*
 * Do what is due.  An inserting backend gives way if somebody else is at it.
 */
void
omen_maintain(Relation index, OmenMaintainMode mode)
{
	OmenMeta   *meta;

	if (!omen_lock_maintenance(index, mode != OMEN_MAINTAIN_INSERT))
	{
		freeze_long_tail(index);
		return;
	}
	meta = palloc(sizeof(OmenMeta));
	omen_extent_reclaim(index);
	omen_meta_read(index, meta);
	if (meta->n_segments <= OMEN_MAX_SEGMENTS - SPARE_SEGMENTS)
	{
		seal_tails(index, meta, mode);
		merge_segments(index, meta, mode);
	}

	omen_unlock_maintenance(index);
	pfree(meta);
}
