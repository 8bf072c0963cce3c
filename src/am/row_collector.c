/*-------------------------------------------------------------------------
 *
 * row_collector.c
 *	  Rows as they come, each member of a team its own; then all in order.
 *
 * Members collect rows in private memory, for nobody knows beforehand how many
 * there will be.  Then they count and bring them into arrays that all see, in
 * the order of the TIDs: from there on it does not matter who has read what.
 *
 * A segment has enough when its limit is reached, at the end of the heap page
 * that reaches it.  Members that scan parts of the table in turn have then
 * collected a little more, in whatever place: the rows beyond the limit stay
 * with the leader for the next segment.  So the segments, too, do not depend on
 * who has read what.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/row_collector.h"

#include "src/am/graph_host.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Chunks of rows have about this size, and so have pieces of codes of variable length. */
#define CHUNK_BYTES (1024 * 1024)

/* Work between looks at interrupts. */
#define ROWS_PER_CHECK 4096

/* ---- collecting ---- */

void
omen_collector_init(OmenRowCollector *collector, const OmenCodec *codec,
					const OmenSegmentLimit *limit)
{
	uint32		row_bytes = codec->factor_bytes + codec->code_bytes + codec->refine_bytes + sizeof(ItemPointerData);

	memset(collector, 0, sizeof(*collector));
	collector->codec = codec;
	collector->limit = *limit;
	collector->chunk_rows = Max(CHUNK_BYTES / row_bytes, 16);
	collector->context = AllocSetContextCreate(CurrentMemoryContext, "omenvec rows",
											   ALLOCSET_DEFAULT_SIZES);
}

/* Forget all rows. */
void
omen_collector_reset(OmenRowCollector *collector)
{
	OmenRowCollector empty = {
		.codec = collector->codec,
		.limit = collector->limit,
		.context = collector->context,
		.chunk_rows = collector->chunk_rows
	};

	MemoryContextReset(collector->context);
	*collector = empty;
}

static void
add_chunk(OmenRowCollector *collector)
{
	const OmenCodec *codec = collector->codec;
	size_t		n = collector->chunk_rows;
	OmenRowChunk *chunk;

	if (collector->n_chunks == collector->max_chunks)
	{
		size_t		max_chunks = Max(16, (size_t) collector->max_chunks * 2);
		OmenRowChunk *chunks = MemoryContextAllocHuge(collector->context,
													  max_chunks * sizeof(OmenRowChunk));

		if (collector->chunks)
		{
			memcpy(chunks, collector->chunks, collector->n_chunks * sizeof(OmenRowChunk));
			pfree(collector->chunks);
		}
		collector->chunks = chunks;
		collector->max_chunks = max_chunks;
	}
	chunk = &collector->chunks[collector->n_chunks++];
	chunk->codes = omen_host_alloc(collector->context, n * (codec->code_bytes + codec->factor_bytes +
														   codec->refine_bytes + sizeof(ItemPointerData)));
	chunk->factors = (char *) chunk->codes + n * codec->code_bytes;
	chunk->refines = chunk->factors + n * codec->factor_bytes;
	chunk->tids = (ItemPointerData *) (chunk->refines + n * codec->refine_bytes);
}

/* Keep the bytes of a code until the rows are gathered. */
static OmenCodeRef
keep_bytes(OmenRowCollector *collector, const void *code, uint32 n_bytes)
{
	OmenCodeRef ref = {.n_bytes = n_bytes};

	if (n_bytes > collector->piece_left)
	{
		collector->piece_left = Max(CHUNK_BYTES, n_bytes);
		collector->piece = MemoryContextAlloc(collector->context, collector->piece_left);
	}
	ref.bytes = memcpy(collector->piece, code, n_bytes);
	collector->piece += n_bytes;
	collector->piece_left -= n_bytes;
	return ref;
}

/* Add a row with a code of n_code_bytes; refine is its finer code, if the codec has them. */
void
omen_collector_add(OmenRowCollector *collector, ItemPointer tid, const void *factors,
				   const uint8 *code, uint32 n_code_bytes, const char *refine)
{
	const OmenCodec *codec = collector->codec;
	OmenRowTotals row = {1, collector->limit.row_bytes, ItemPointerGetBlockNumber(tid)};
	uint32		i = collector->totals.n % collector->chunk_rows;
	OmenRowChunk *chunk;

	if (i == 0)
		add_chunk(collector);
	chunk = &collector->chunks[collector->n_chunks - 1];
	memcpy(chunk->factors + (size_t) i * codec->factor_bytes, factors, codec->factor_bytes);
	if (codec->variable)
	{
		OmenCodeRef ref = keep_bytes(collector, code, n_code_bytes);

		memcpy(chunk->codes + (size_t) i * codec->code_bytes, &ref, sizeof(ref));
		row.n_bytes += n_code_bytes;
	}
	else
		memcpy(chunk->codes + (size_t) i * codec->code_bytes, code, codec->code_bytes);
	if (codec->refine_bytes > 0)
		memcpy(chunk->refines + (size_t) i * codec->refine_bytes, refine, codec->refine_bytes);
	chunk->tids[i] = *tid;
	omen_totals_add(&collector->totals, &row);
}

static void
add_to_list(MemoryContext context, OmenTidList *list, ItemPointer tid)
{
	if (list->n == list->capacity)
	{
		uint32		capacity = Max(64, list->capacity * 2);
		Size		bytes = (Size) capacity * sizeof(ItemPointerData);

		list->tids = list->tids ? repalloc_huge(list->tids, bytes) :
			MemoryContextAllocHuge(context, bytes);
		list->capacity = capacity;
	}
	list->tids[list->n++] = *tid;
}

void
omen_collector_add_null(OmenRowCollector *collector, ItemPointer tid)
{
	add_to_list(collector->context, &collector->nulls, tid);
}

void
omen_collector_add_undirected(OmenRowCollector *collector, ItemPointer tid)
{
	add_to_list(collector->context, &collector->undirected, tid);
}

/* ---- gathering ---- */

/* What a member has collected. */
typedef struct RowCounts
{
	uint64		n;
	uint64		n_nulls;
	uint64		n_undirected;
	uint64		n_code_bytes;
} RowCounts;

typedef struct GatherShared
{
	bool		more;
	OmenRowTotals taken;
	RowCounts	members[FLEXIBLE_ARRAY_MEMBER];
} GatherShared;

/* Where a row is: number `row` of a member's. */
typedef struct RowPlace
{
	ItemPointerData tid;
	uint16		member;
	uint32		row;
	uint32		n_code_bytes;	/* of variable length */
} RowPlace;

StaticAssertDecl(2 * sizeof(RowPlace) == OMEN_GATHER_ROW_BYTES, "places are sorted by merging");

typedef struct Gathering
{
	OmenRowCollector *collector;
	OmenBuildTeam *team;
	OmenRowSet *rows;
	bool		more;
	GatherShared *shared;
	RowCounts	first;			/* where this member's part of each array begins */
	RowCounts	total;
	RowPlace   *places;			/* (shared) of each member a range; then sorted */
	ItemPointerData *nulls;		/* (shared) */
	ItemPointerData *undirected;	/* (shared) */
} Gathering;

static inline const OmenRowChunk *
row_chunk(const OmenRowCollector *collector, uint32 row, uint32 *i)
{
	*i = row % collector->chunk_rows;
	return &collector->chunks[row / collector->chunk_rows];
}

static inline const OmenCodeRef *
row_ref(const OmenRowCollector *collector, uint32 row)
{
	uint32		i;
	const OmenRowChunk *chunk = row_chunk(collector, row, &i);

	return (const OmenCodeRef *) (chunk->codes + (size_t) i * collector->codec->code_bytes);
}

static void *
share(Gathering *g, size_t bytes)
{
	return g->team->team.share(g->team, bytes);
}

static void
unshare(Gathering *g, void *memory)
{
	g->team->team.unshare(g->team, memory);
}

static void
barrier(Gathering *g)
{
	g->team->team.barrier(g->team);
}

static void
add_counts(RowCounts *sum, const RowCounts *counts)
{
	sum->n += counts->n;
	sum->n_nulls += counts->n_nulls;
	sum->n_undirected += counts->n_undirected;
	sum->n_code_bytes += counts->n_code_bytes;
}

static void
count_rows(Gathering *g)
{
	const OmenRowCollector *collector = g->collector;
	int			n_members = g->team->team.n_members;
	int			member = g->team->team.member;

	g->shared = share(g, offsetof(GatherShared, members) + sizeof(RowCounts) * n_members);
	g->shared->members[member] = (RowCounts)
	{
		collector->totals.n, collector->nulls.n, collector->undirected.n,
			collector->totals.n_bytes - collector->totals.n * collector->limit.row_bytes
	};
	if (omen_team_leads(&g->team->team))
		g->shared->more = g->more;
	barrier(g);

	for (int i = 0; i < n_members; i++)
	{
		if (i == member)
			g->first = g->total;
		add_counts(&g->total, &g->shared->members[i]);
	}
	if (g->total.n > OMEN_MAX_SEGMENT_ROWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("an index segment cannot have more than %u vectors", OMEN_MAX_SEGMENT_ROWS),
				 errhint("Lower maintenance_work_mem or partition the table.")));
}

static int
compare_places(const void *a, const void *b)
{
	const RowPlace *left = a;
	const RowPlace *right = b;
	int			order = ItemPointerCompare((ItemPointer) &left->tid, (ItemPointer) &right->tid);

	if (order != 0)
		return order;
	return left->row < right->row ? -1 : left->row > right->row;
}

/* This member's places, sorted.  (qsort() notices what is sorted already.) */
static void
list_places(Gathering *g)
{
	const OmenRowCollector *collector = g->collector;
	RowPlace   *places = g->places + g->first.n;

	for (uint32 row = 0; row < collector->totals.n; row++)
	{
		uint32		i;
		const OmenRowChunk *chunk = row_chunk(collector, row, &i);

		places[row].tid = chunk->tids[i];
		places[row].member = g->team->team.member;
		places[row].row = row;
		places[row].n_code_bytes = collector->codec->variable ? row_ref(collector, row)->n_bytes : 0;
	}
	qsort(places, collector->totals.n, sizeof(RowPlace), compare_places);
}

/* Merge the ranges of all members.  Only the leader works. */
static void
merge_places(Gathering *g, RowPlace *merged)
{
	int			n_members = g->team->team.n_members;
	const RowPlace **next = palloc(sizeof(RowPlace *) * n_members);
	const RowPlace **end = palloc(sizeof(RowPlace *) * n_members);
	const RowPlace *place = g->places;

	for (int i = 0; i < n_members; i++)
	{
		next[i] = place;
		end[i] = place += g->shared->members[i].n;
	}
	for (uint64 n = 0; n < g->total.n; n++)
	{
		int			least = -1;

		for (int i = 0; i < n_members; i++)
		{
			if (next[i] < end[i] &&
				(least < 0 || ItemPointerCompare((ItemPointer) &next[i]->tid,
												 (ItemPointer) &next[least]->tid) < 0))
				least = i;
		}
		merged[n] = *next[least]++;
		if (n % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
	}
	pfree(next);
	pfree(end);
}

static void
sort_places(Gathering *g)
{
	RowPlace   *merged;

	g->places = share(g, g->total.n * sizeof(RowPlace));
	list_places(g);
	if (g->team->team.n_members == 1)
		return;
	merged = share(g, g->total.n * sizeof(RowPlace));
	if (omen_team_leads(&g->team->team))
		merge_places(g, merged);
	unshare(g, g->places);
	g->places = merged;
}

/*
 * How many rows fill the segment: those up to the heap page that reaches the
 * limit.  If they do, rows without a code may follow, and are another one's.
 */
static void
cut_segment(Gathering *g)
{
	const OmenSegmentLimit *limit = &g->collector->limit;
	OmenRowTotals totals = {0};

	for (uint32 i = 0; i < g->total.n; i++)
	{
		const RowPlace *place = &g->places[i];
		OmenRowTotals row = {1, limit->row_bytes + place->n_code_bytes, ItemPointerGetBlockNumber(&place->tid)};

		if (row.last_block != totals.last_block && omen_limit_reached(limit, &totals))
			break;
		omen_totals_add(&totals, &row);
	}
	g->shared->taken = totals;
	g->shared->more |= omen_limit_reached(limit, &totals);
}

/* This member's rows go to their places in the arrays of all. */
static void
copy_rows(Gathering *g)
{
	const OmenRowCollector *collector = g->collector;
	const OmenCodec *codec = collector->codec;
	OmenRowSet *rows = g->rows;

	for (uint32 to = 0; to < g->total.n; to++)
	{
		const RowPlace *place = &g->places[to];
		const OmenRowChunk *chunk;
		uint32		i;

		if (to % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		if (place->member != g->team->team.member)
			continue;
		chunk = row_chunk(collector, place->row, &i);
		memcpy(rows->factors + (size_t) to * codec->factor_bytes,
			   chunk->factors + (size_t) i * codec->factor_bytes, codec->factor_bytes);
		if (!codec->variable)
			memcpy(rows->codes + (size_t) to * codec->code_bytes,
				   chunk->codes + (size_t) i * codec->code_bytes, codec->code_bytes);
		if (codec->refine_bytes > 0)
			memcpy(rows->refines + (size_t) to * codec->refine_bytes,
				   chunk->refines + (size_t) i * codec->refine_bytes, codec->refine_bytes);
		rows->tids[to] = place->tid;
	}
}

/*
 * Codes of variable length: the bytes of each member one after the other, in
 * the order of its rows, and for each row where they begin.
 */
static void
copy_bytes(Gathering *g)
{
	const OmenRowCollector *collector = g->collector;
	OmenRowSet *rows = g->rows;
	uint64	   *starts = share(g, g->total.n * sizeof(uint64));
	OmenCodeRef *refs = omen_host_alloc(g->team->context, Max(g->total.n, 1) * sizeof(OmenCodeRef));
	uint64		start = g->first.n_code_bytes;

	rows->bytes = share(g, g->total.n_code_bytes);
	for (uint32 to = 0; to < g->total.n; to++)
	{
		const RowPlace *place = &g->places[to];

		if (to % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		if (place->member != g->team->team.member)
			continue;
		memcpy(rows->bytes + start, row_ref(collector, place->row)->bytes, place->n_code_bytes);
		starts[to] = start;
		start += place->n_code_bytes;
	}
	barrier(g);
	for (uint32 i = 0; i < g->total.n; i++)
		refs[i] = (OmenCodeRef) {(uint8 *) rows->bytes + starts[i], g->places[i].n_code_bytes, 0};
	rows->codes = (uint8 *) refs;
	unshare(g, starts);
}

static void
copy_lists(Gathering *g)
{
	g->nulls = share(g, g->total.n_nulls * sizeof(ItemPointerData));
	g->undirected = share(g, g->total.n_undirected * sizeof(ItemPointerData));
	if (g->collector->nulls.n > 0)
		memcpy(g->nulls + g->first.n_nulls, g->collector->nulls.tids,
			   g->collector->nulls.n * sizeof(ItemPointerData));
	if (g->collector->undirected.n > 0)
		memcpy(g->undirected + g->first.n_undirected, g->collector->undirected.tids,
			   g->collector->undirected.n * sizeof(ItemPointerData));
}

/* The rows beyond the limit: the leader has them for the next segment. */
static void
keep_rest(Gathering *g)
{
	OmenRowCollector *collector = g->collector;
	const OmenCodec *codec = collector->codec;
	OmenRowSet *rows = g->rows;

	for (uint32 i = rows->n; i < g->total.n; i++)
	{
		const uint8 *code = rows->codes + (size_t) i * codec->code_bytes;

		omen_collector_add(collector, &rows->tids[i], rows->factors + (size_t) i * codec->factor_bytes,
						   codec->variable ? ((const OmenCodeRef *) code)->bytes : code,
						   g->places[i].n_code_bytes, rows->refines + (size_t) i * codec->refine_bytes);
	}
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) a, (ItemPointer) b);
}

/* Of all rows without a code, those of this segment, in order; the rest is kept. */
static void
take_list(Gathering *g, ItemPointerData *tids, uint64 n, OmenTidList *taken, OmenTidList *rest)
{
	const OmenRowSet *rows = g->rows;

	memset(taken, 0, sizeof(*taken));
	qsort(tids, n, sizeof(ItemPointerData), compare_tids);
	for (uint64 i = 0; i < n; i++)
	{
		if (!rows->more || ItemPointerGetBlockNumber(&tids[i]) <= rows->last_block)
			add_to_list(g->team->context, taken, &tids[i]);
		else
			add_to_list(g->collector->context, rest, &tids[i]);
	}
}

static void
gather(OmenBuildTeam *team, void *arg)
{
	Gathering  *g = arg;
	const OmenCodec *codec = g->collector->codec;
	OmenRowSet *rows = g->rows;

	count_rows(g);
	sort_places(g);
	if (omen_team_leads(&team->team))
		cut_segment(g);
	copy_lists(g);
	rows->factors = share(g, g->total.n * codec->factor_bytes);
	rows->tids = share(g, g->total.n * sizeof(ItemPointerData));
	if (codec->variable)
		copy_bytes(g);
	else
		rows->codes = share(g, g->total.n * codec->code_bytes);
	if (codec->refine_bytes > 0)
		rows->refines = share(g, g->total.n * codec->refine_bytes);
	copy_rows(g);
	barrier(g);
	rows->n = g->shared->taken.n;
	rows->n_bytes = g->shared->taken.n_bytes;
	rows->last_block = g->shared->taken.last_block;
	rows->more = g->shared->more;
	rows->empty = g->total.n + g->total.n_nulls + g->total.n_undirected == 0;
}

/*
 * Bring the rows of all members together; the collectors are empty then, but
 * for what the leader keeps for the next segment.  Collective.  more: the
 * leader knows that other rows will come, for a further segment.
 *
 * Returns false if shared memory has run out.  Then the workers have left, with
 * their rows, and the leader has to start this segment anew.
 */
bool
omen_collector_gather(OmenRowCollector *collector, OmenBuildTeam *team, bool more, OmenRowSet *rows)
{
	Gathering	g = {.collector = collector,.team = team,.rows = rows,.more = more};
	bool		done;

	memset(rows, 0, sizeof(*rows));
	done = omen_build_team_try(team, gather, &g);
	omen_collector_reset(collector);
	if (!done)
		return false;
	if (omen_team_leads(&team->team))
	{
		keep_rest(&g);
		take_list(&g, g.nulls, g.total.n_nulls, &rows->nulls, &collector->nulls);
		take_list(&g, g.undirected, g.total.n_undirected, &rows->undirected, &collector->undirected);
	}
	unshare(&g, g.nulls);
	unshare(&g, g.undirected);
	unshare(&g, g.places);
	unshare(&g, g.shared);
	return true;
}

/* The elements, in new memory, behind room for so many more. */
static void *
move_up(OmenBuildTeam *team, void *elements, size_t element_bytes, uint32 n, uint32 n_room)
{
	char	   *moved = omen_host_alloc(team->context, Max(((size_t) n + n_room) * element_bytes, 1));

	memcpy(moved + n_room * element_bytes, elements, n * element_bytes);
	omen_host_release(elements);
	return moved;
}

/* Make room for n rows before the others, which the caller fills in.  For a team of one. */
void
omen_row_set_make_room(OmenBuildTeam *team, const OmenCodec *codec, OmenRowSet *rows, uint32 n)
{
	rows->factors = move_up(team, rows->factors, codec->factor_bytes, rows->n, n);
	rows->codes = move_up(team, rows->codes, codec->code_bytes, rows->n, n);
	if (rows->refines)
		rows->refines = move_up(team, rows->refines, codec->refine_bytes, rows->n, n);
	rows->tids = move_up(team, rows->tids, sizeof(ItemPointerData), rows->n, n);
	rows->n += n;
	rows->empty = rows->empty && n == 0;
}

static void
release_list(OmenTidList *list)
{
	if (list->tids)
		pfree(list->tids);
}

/* Collective, too. */
void
omen_row_set_release(OmenBuildTeam *team, OmenRowSet *rows)
{
	team->team.unshare(team, rows->factors);
	team->team.unshare(team, rows->tids);
	if (rows->refines)
		team->team.unshare(team, rows->refines);
	if (rows->bytes)
	{
		omen_host_release(rows->codes);
		team->team.unshare(team, rows->bytes);
	}
	else
		team->team.unshare(team, rows->codes);
	release_list(&rows->nulls);
	release_list(&rows->undirected);
}
