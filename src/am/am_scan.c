/*-------------------------------------------------------------------------
 *
 * am_scan.c
 *	  The stream: candidates of all segments and tails, nearest first.
 *
 * A scan works in rounds.  In a round every segment and every tail gives its
 * next best candidates, a few dozen; for each the codec computes a lower
 * bound of its distance, and they leave in the order of these bounds, up to a
 * horizon: the distance to which every source has given what it has (of a
 * graph search, three quarters of what it found, for the last ones may have
 * missed a nearer one).  When the executor wants more, the next round begins
 * and gives twice as many, until nothing is left: so a query never gets fewer rows
 * than there are.  Where the index has finer codes, those that are about to
 * leave get a tighter bound first, and queue again by that.  The executor computes the distances themselves from the heap
 * and reorders (IndexNextWithReorder), so no quantization shows in the order.
 *
 * A scan with a radius (am_range.c) ends when the next candidate's bound is
 * beyond it, and its later rounds look no farther than that.
 *
 * Of a scan with conditions on attributes only rows that fulfil them leave,
 * so that the executor need not look at them again; each source sees to that
 * for its candidates, and lists of rows are tested one by one.
 *
 * Rows whose distance is NaN or NULL whatever the query come last, as they do
 * in a sort.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_range.h"
#include "src/am/graph_host.h"
#include "src/am/heap_prefetch.h"
#include "src/am/scan_memory.h"
#include "src/am/scan_report.h"
#include "src/am/scan_segment.h"
#include "src/am/scan_tail.h"
#include "src/storage/metapage.h"

#include <math.h>

#include "access/relscan.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A candidate waiting to leave. */
typedef struct Waiting
{
	double		bound;
	float		key;
	uint32		source;			/* index into segments, then tails */
	uint32		node;			/* or row of the tail */
	OmenTidEntry entry;			/* kind UNRESOLVED: not read yet */
	bool		refined;		/* the bound is as tight as the index can tell */
} Waiting;

#define UNRESOLVED 0xFFFF

/* So many finer codes are fetched ahead: LIMIT 10 asks for about as many. */
#define PREFETCH_REFINES 16

typedef enum OmenScanPhase
{
	PHASE_START,
	PHASE_STREAM,
	PHASE_UNDIRECTED,			/* distance NaN */
	PHASE_NULLS,				/* distance NULL */
	PHASE_END
} OmenScanPhase;

typedef struct OmenScan
{
	MemoryContext search_context;	/* survives rescans */
	MemoryContext scan_context; /* reset by rescan */
	MemoryContext filter_context;	/* of the filter alone */
	OmenHost	host;			/* for searches, in the former */
	OmenMeta   *meta;			/* NULL before the first search */
	BlockNumber heap_blocks;	/* it cannot shrink while the scan has it open */
	OmenEncoder encoder;
	OmenQuery  *query;
	OmenValueClass query_class;
	OmenReader	reader;
	OmenReader	bytes_reader;
	OmenSearch *searches[OMEN_MAX_SEGMENTS];	/* made when first needed */

	OmenAttributes *attributes; /* NULL: the index has none */
	const OmenRowBitmap *rows;		/* those wanted; NULL: all */
	OmenFilter *filter;			/* NULL: all rows pass; it may survive rescans */
	bool		wants_vectors;	/* no condition that the vector be NULL */
	bool		wants_nulls;	/* no condition that it be not */

	OmenScanPhase	phase;
	bool		refines;		/* candidates have finer codes to be asked */
	OmenRange	range;
	double		slack;			/* greatest excess of a key's distance over the bound, within the radius */
	uint32		tail_ef;		/* candidates that each tail gives in the round */
	float		horizon;		/* candidates with greater keys wait for the next round */
	int			n_rounds;
	int64		n_returned;
	double		last_bound;		/* greatest that has left, for strict order */
	OmenScanSegment *segments;
	OmenPool   *parked;			/* of each segment: candidates beyond the bound of their round */
	int			n_segments;
	OmenScanTail *tails;
	int			n_tails;

	/* heap of candidates, least bound on top */
	Waiting    *waiting;
	uint32		n_waiting;
	uint32		waiting_capacity;

	/* a list of TIDs being returned */
	OmenScanSegment *list_segment;
	uint32		list_next;
	uint32		list_left;
	double		list_bound;

	/* PHASE_UNDIRECTED and PHASE_NULLS */
	int			source;
	uint32		source_position;
} OmenScan;

static void
release_readers(OmenScan *state)
{
	omen_reader_release(&state->reader);
	omen_reader_release(&state->bytes_reader);
}

IndexScanDesc
omen_am_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	OmenScan  *state = palloc0(sizeof(OmenScan));

	state->search_context = omen_scan_memory_take(OMEN_SCAN_LASTING);
	state->scan_context = omen_scan_memory_take(OMEN_SCAN_PASSING);
	state->filter_context = AllocSetContextCreate(state->search_context, "omenvec filter", ALLOCSET_DEFAULT_SIZES);
	omen_host_init(&state->host, state->search_context);
	omen_reader_init(&state->reader, index);
	omen_reader_init(&state->bytes_reader, index);
	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(norderbys * sizeof(Datum));
		scan->xs_orderbynulls = palloc0(norderbys * sizeof(bool));
		/* Of a second distance to order by, all we know is that it is no less than this. */
		for (int i = 1; i < norderbys; i++)
			scan->xs_orderbyvals[i] = Float8GetDatum(-get_float8_infinity());
	}
	scan->opaque = state;
	return scan;
}

void
omen_am_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	OmenScan  *state = scan->opaque;

	if (nkeys > 0)
		memmove(scan->keyData, keys, nkeys * sizeof(ScanKeyData));
	if (orderbys && norderbys > 0)
		memmove(scan->orderByData, orderbys, norderbys * sizeof(ScanKeyData));

	release_readers(state);
	MemoryContextReset(state->scan_context);
	state->phase = PHASE_START;
	state->waiting = NULL;
	state->n_waiting = 0;
	state->waiting_capacity = 0;
	state->list_left = 0;
}

static void
forget_filter(OmenScan *state)
{
	if (state->filter)
		MemoryContextReset(state->filter_context);
	state->filter = NULL;
}

/* From the next rescan on, only rows of a set are wanted, which must live as long; NULL: all. */
void
omen_am_restrict(IndexScanDesc scan, const OmenRowBitmap *rows)
{
	OmenScan  *state = scan->opaque;

	forget_filter(state);
	state->rows = rows;
}

void
omen_am_endscan(IndexScanDesc scan)
{
	OmenScan  *state = scan->opaque;

	release_readers(state);
	omen_scan_memory_give_back(OMEN_SCAN_PASSING, state->scan_context);
	omen_scan_memory_give_back(OMEN_SCAN_LASTING, state->search_context);
}

/* ---- the heap of waiting candidates ---- */

static inline bool
leaves_before(const Waiting *a, const Waiting *b)
{
	if (a->bound != b->bound)
		return a->bound < b->bound;
	if (a->source != b->source)
		return a->source < b->source;
	return a->node < b->node;
}

static void
push_waiting(OmenScan *state, const Waiting *candidate)
{
	uint32		at = state->n_waiting++;

	if (state->n_waiting > state->waiting_capacity)
	{
		state->waiting_capacity = Max(256, state->waiting_capacity * 2);
		if (state->waiting == NULL)
			state->waiting = palloc(state->waiting_capacity * sizeof(Waiting));
		else
			state->waiting = repalloc_huge(state->waiting, state->waiting_capacity * sizeof(Waiting));
	}
	while (at > 0 && leaves_before(candidate, &state->waiting[(at - 1) / 2]))
	{
		state->waiting[at] = state->waiting[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	state->waiting[at] = *candidate;
}

static Waiting
pop_waiting(OmenScan *state)
{
	Waiting		top = state->waiting[0];
	Waiting		last = state->waiting[--state->n_waiting];
	uint32		n = state->n_waiting;
	uint32		at = 0;

	for (;;)
	{
		uint32		child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n && leaves_before(&state->waiting[child + 1], &state->waiting[child]))
			child++;
		if (!leaves_before(&state->waiting[child], &last))
			break;
		state->waiting[at] = state->waiting[child];
		at = child;
	}
	if (n > 0)
		state->waiting[at] = last;
	return top;
}

/* ---- beginning ---- */

/*
 * Copy the directory, once in a scan: what it names stays readable while the
 * scan's snapshot lives, and rows that are not in it yet are not visible to
 * that.  On a standby replay may take them away: there each rescan looks again.
 */
static void
read_directory(IndexScanDesc scan, OmenScan *state)
{
	Relation	index = scan->indexRelation;
	MemoryContext old_context;

	if (state->meta == NULL)
	{
		old_context = MemoryContextSwitchTo(GetMemoryChunkContext(state));
		state->meta = palloc(sizeof(OmenMeta));
		omen_meta_read(index, state->meta);
		state->heap_blocks = RelationGetNumberOfBlocks(scan->heapRelation);
		omen_encoder_init(&state->encoder, index, state->meta);
		state->attributes = omen_am_attributes(index, state->meta);
		state->query = state->host.alloc(state->host.arg, state->encoder.codec.query_bytes);
		MemoryContextSwitchTo(old_context);
	}
	else if (state->reader.copies)
		omen_meta_read(index, state->meta);
}

/* Read the query: the argument of the ORDER BY operator, or else the centre of a sphere. */
static void
prepare_query(IndexScanDesc scan, OmenScan *state)
{
	Datum		query = (Datum) 0;
	bool		isnull = true;	/* any order */

	if (scan->numberOfOrderBys > 0)
	{
		query = scan->orderByData[0].sk_argument;
		isnull = (scan->orderByData[0].sk_flags & SK_ISNULL) != 0;
	}
	else if (omen_range_center(scan, &query))
		isnull = false;
	state->query_class = omen_encoder_read(&state->encoder, query, isnull);
	if (state->query_class == OMEN_VALUE_CODED)
		state->encoder.codec.query_from_vector(&state->encoder.codec, state->query, state->encoder.value);
}

/*
 * Read the conditions on attributes, unless they are those of the rescan before:
 * then what became of them in the segments is kept, too.  On a standby,
 * segments come and go between rescans.
 */
static void
prepare_filter(IndexScanDesc scan, OmenScan *state)
{
	MemoryContext old_context;

	if (state->filter && !state->reader.copies &&
		omen_filter_is_of(state->filter, scan->keyData, scan->numberOfKeys))
		return;
	forget_filter(state);
	old_context = MemoryContextSwitchTo(state->filter_context);
	state->filter = omen_filter_create(scan->indexRelation, state->attributes, scan->keyData,
									   scan->numberOfKeys, state->rows);
	MemoryContextSwitchTo(old_context);
}

/* Read the conditions on the vector that are none of distance. */
static void
read_wants(IndexScanDesc scan, OmenScan *state)
{
	state->wants_vectors = state->wants_nulls = true;
	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		if (scan->keyData[i].sk_attno != 1)
			continue;
		if (scan->keyData[i].sk_flags & SK_SEARCHNULL)
			state->wants_vectors = false;
		else if (scan->keyData[i].sk_flags & SK_SEARCHNOTNULL)
			state->wants_nulls = false;
	}
}

/* Is it known beforehand that no row is wanted? */
static bool
is_empty(const OmenScan *state)
{
	return state->range.empty || (state->filter && omen_filter_is_empty(state->filter)) ||
		(!state->wants_vectors && (!state->wants_nulls || state->range.limited));
}

/* Open the sealed segments, largest first, and the tails of the directory. */
static void
open_sources(IndexScanDesc scan, OmenScan *state)
{
	const OmenSegment *sealed[OMEN_MAX_SEGMENTS];
	const OmenSegment *tails[OMEN_MAX_SEGMENTS];
	const OmenQuery *query = state->query_class == OMEN_VALUE_CODED ? state->query : NULL;
	const OmenCodec *codec = &state->encoder.codec;
	const float *vector = query ? state->encoder.value : NULL;
	Relation	index = scan->indexRelation;

	state->n_segments = 0;
	state->n_tails = 0;
	for (uint32 i = 0; i < state->meta->n_segments; i++)
	{
		const OmenSegment *segment = &state->meta->segments[i];

		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			continue;
		if (segment->kind == OMEN_SEGMENT_TAIL)
			tails[state->n_tails++] = segment;
		else
			sealed[state->n_segments++] = segment;
	}

	state->tails = palloc(state->n_tails * sizeof(OmenScanTail));
	for (int i = 0; i < state->n_tails; i++)
		omen_scan_tail_open(&state->tails[i], index, state->meta, tails[i], codec, query, state->filter);

	state->segments = palloc(state->n_segments * sizeof(OmenScanSegment));
	state->parked = palloc0(state->n_segments * sizeof(OmenPool));
	qsort(sealed, state->n_segments, sizeof(sealed[0]), omen_segment_compare_size);
	for (int i = 0; i < state->n_segments; i++)
	{
		if (state->searches[i] == NULL)
			state->searches[i] = omen_search_create(&state->host);
		omen_scan_segment_open(&state->segments[i], index, state->meta, sealed[i], codec,
							   query, vector, state->filter, &state->reader, &state->bytes_reader, state->searches[i]);
	}
}

static void
enter_phase(OmenScan *state, OmenScanPhase phase)
{
	state->phase = phase;
	state->source = 0;
	state->source_position = 0;
}

static void
start(IndexScanDesc scan, OmenScan *state)
{
	MemoryContext old_context = MemoryContextSwitchTo(state->scan_context);

	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("omenhnsw indexes do not support scans with other than MVCC snapshots")));

	pgstat_count_index_scan(scan->indexRelation);
	read_directory(scan, state);
	prepare_query(scan, state);
	prepare_filter(scan, state);
	read_wants(scan, state);
	state->range = omen_range_read(scan);
	state->refines = state->encoder.codec.refine != OMEN_REFINE_NONE &&
		state->query_class == OMEN_VALUE_CODED;
	state->slack = 0;
	state->phase = PHASE_END;
	if (!is_empty(state))
	{
		open_sources(scan, state);
		enter_phase(state, state->wants_vectors ? PHASE_STREAM : PHASE_NULLS);
	}
	state->tail_ef = omen_am_base_ef();
	state->horizon = -INFINITY;
	state->n_rounds = 0;
	state->n_returned = 0;
	state->last_bound = -INFINITY;
	MemoryContextSwitchTo(old_context);
}

/* ---- rounds ---- */

static void
add_candidate(OmenScan *state, const Waiting *candidate)
{
	if (state->range.limited && candidate->bound <= state->range.radius)
	{
		double		distance = omen_range_distance(candidate->key, state->encoder.codec.metric);

		state->slack = Max(state->slack, distance - candidate->bound);
	}
	push_waiting(state, candidate);
}

/* The key beyond which the scan wants nothing, as far as it knows by now. */
static float
farthest_key(const OmenScan *state)
{
	if (!state->range.limited || state->n_rounds == 0)
		return INFINITY;
	return omen_range_key(&state->range, state->slack, state->encoder.codec.metric);
}

/* Candidates of a segment, with their bounds, into the heap; returns the greatest key. */
static float
add_candidates(OmenScan *state, int i, const OmenCandidate *candidates, int n)
{
	float		worst = -INFINITY;

	for (int c = 0; c < n; c++)
	{
		Waiting		waiting = {
			.bound = omen_scan_segment_bound(&state->segments[i], candidates[c].node),
			.key = candidates[c].key,
			.source = i,
			.node = candidates[c].node,
			.entry = {.kind = UNRESOLVED},
			.refined = !state->refines
		};

		worst = Max(worst, candidates[c].key);
		add_candidate(state, &waiting);
	}
	release_readers(state);
	return worst;
}

/*
 * A segment's share of a round; returns the bound for the segments after it.
 * What is beyond the bound is parked: it cannot leave in this round, so that
 * it needs no bound of its distance yet.  So is what a search has found by
 * sketches beyond the horizon, which is most of it.
 */
static float
collect_segment(OmenScan *state, int i, float bound)
{
	OmenPool   *parked = &state->parked[i];
	const OmenCandidate *candidates;
	float		horizon;
	float		limit;
	float		worst;
	int			n;
	int			n_within;

	n = omen_pool_take(parked, PG_UINT32_MAX, bound, &candidates, &horizon);
	(void) add_candidates(state, i, candidates, n);
	state->horizon = Min(state->horizon, horizon);

	n = omen_scan_segment_next(&state->segments[i], bound, &candidates, &horizon);
	limit = state->segments[i].sketch.kind != OMEN_SKETCH_NONE && omen_am_iterative_scan != OMEN_ITERATIVE_OFF ?
		Min(bound, horizon) : bound;
	for (n_within = 0; n_within < n && candidates[n_within].key <= limit; n_within++)
		 /* they come nearest first where any is beyond the limit */ ;
	worst = add_candidates(state, i, candidates, n_within);
	for (int c = n_within; c < n; c++)
		omen_pool_add(parked, candidates[c].key, candidates[c].node);
	state->horizon = Min(state->horizon, horizon);
	if (n_within < n && limit < bound && (uint32) n >= state->segments[i].ef)
		return Min(bound, candidates[state->segments[i].ef - 1].key);
	return (uint32) n_within >= state->segments[i].ef ? Min(bound, worst) : bound;
}

/* The next ef candidates of a tail with keys up to bound. */
static void
collect_tail(OmenScan *state, int i, uint32 ef, float bound)
{
	OmenTailCandidate *candidates;
	float		horizon;
	int			n = omen_scan_tail_next(&state->tails[i], ef, bound, &candidates, &horizon);

	for (int c = 0; c < n; c++)
	{
		Waiting		waiting = {
			.bound = candidates[c].bound,
			.key = candidates[c].key,
			.source = state->n_segments + i,
			.node = candidates[c].row,
			.entry = {
				.block = ItemPointerGetBlockNumberNoCheck(&candidates[c].tid),
				.offset = ItemPointerGetOffsetNumberNoCheck(&candidates[c].tid),
				.kind = OMEN_TID_PLAIN
			},
			.refined = !state->refines
		};

		add_candidate(state, &waiting);
	}
	state->horizon = Min(state->horizon, horizon);
	if (candidates)
		pfree(candidates);
}

/*
 * On a standby, replay may have recycled what this scan's copy of the
 * directory names.  The directory lets go of a segment before its blocks are
 * used again, so if all are still named, all that was read was right.
 */
static void
check_recovery_conflict(IndexScanDesc scan, OmenScan *state)
{
	OmenMeta   *now;

	if (!state->reader.copies)
		return;
	now = palloc(sizeof(OmenMeta));
	omen_meta_read(scan->indexRelation, now);
	for (uint32 i = 0; i < state->meta->n_segments; i++)
		if (state->meta->segments[i].state != OMEN_STATE_RETIRED &&
			omen_meta_find(now, state->meta->segments[i].id) == NULL)
			omen_page_mismatch(scan->indexRelation, state->meta->segments[i].runs[0].start);
	pfree(now);
}

/* Read the TID entry of a candidate, unless that has been done. */
static void
resolve_waiting(OmenScan *state, Waiting *waiting)
{
	if (waiting->entry.kind == UNRESOLVED)
		waiting->entry = omen_scan_segment_tid(&state->segments[waiting->source], waiting->node);
}

/* The finer codes that will be asked first; a heap has those candidates near its top. */
static void
prefetch_first_refines(OmenScan *state)
{
	for (uint32 i = 0; i < Min(state->n_waiting, PREFETCH_REFINES); i++)
	{
		const Waiting *waiting = &state->waiting[i];

		if (waiting->source < (uint32) state->n_segments)
			omen_scan_segment_prefetch_refine(&state->segments[waiting->source], waiting->node);
	}
}

/* The rows that will leave first. */
static void
prefetch_first_rows(IndexScanDesc scan, OmenScan *state)
{
	ItemPointerData tids[OMEN_PREFETCH_ROWS];
	int			n_tids = 0;

	for (uint32 i = 0; i < Min(state->n_waiting, OMEN_PREFETCH_ROWS); i++)
	{
		Waiting    *waiting = &state->waiting[i];

		resolve_waiting(state, waiting);
		if (waiting->entry.kind == OMEN_TID_PLAIN && waiting->entry.block < state->heap_blocks)
		{
			ItemPointerSet(&tids[n_tids], waiting->entry.block, waiting->entry.offset);
			n_tids++;
		}
	}
	omen_reader_release(&state->reader);
	omen_prefetch_rows(scan->heapRelation, tids, n_tids);
}

static void
report_scan(IndexScanDesc scan, const OmenScan *state)
{
	omen_scan_report_begin(scan->indexRelation);
	for (int i = 0; i < state->n_segments; i++)
		omen_scan_report_segment(&state->segments[i]);
	for (int i = 0; i < state->n_tails; i++)
		omen_scan_report_tail(&state->tails[i]);
	omen_scan_report_end(state->n_rounds);
}

/*
 * Put more candidates into the heap and move the horizon: up to it, every
 * source has given what it has.  False if nothing is left.
 */
static bool
next_round(IndexScanDesc scan, OmenScan *state)
{
	MemoryContext old_context;
	float		bound = farthest_key(state);

	if (state->horizon == INFINITY)
		return false;			/* all sources had given everything */
	if (omen_am_iterative_scan == OMEN_ITERATIVE_OFF && state->n_rounds > 0)
		return false;
	state->n_rounds++;
	old_context = MemoryContextSwitchTo(state->scan_context);
	state->horizon = INFINITY;
	for (int i = 0; i < state->n_segments; i++)
		bound = collect_segment(state, i, bound);
	for (int i = 0; i < state->n_tails; i++)
		collect_tail(state, i, state->tail_ef, bound);
	if (state->horizon < INFINITY && state->horizon >= farthest_key(state))
	{
		/* What keys say of the radius is likely, not certain; but of tails nothing is to be missed. */
		for (int i = 0; i < state->n_tails; i++)
			collect_tail(state, i, PG_UINT32_MAX, INFINITY);
		state->horizon = INFINITY;
	}
	if (omen_am_iterative_scan == OMEN_ITERATIVE_OFF)
		state->horizon = INFINITY;	/* there will be no other round to wait for */
	report_scan(scan, state);
	check_recovery_conflict(scan, state);
	if (state->n_rounds == 1)
	{
		if (state->refines)
			prefetch_first_refines(state);
		prefetch_first_rows(scan, state);
	}
	state->tail_ef = Min(state->tail_ef * 2, OMEN_MAX_ROUND);
	MemoryContextSwitchTo(old_context);
	return state->n_waiting > 0 || state->horizon < INFINITY;
}

/* ---- returning ---- */

static void
set_order(IndexScanDesc scan, OmenScan *state, double bound)
{
	if (scan->numberOfOrderBys == 0)
		return;
	scan->xs_orderbynulls[0] = state->query_class == OMEN_VALUE_NULL || state->phase == PHASE_NULLS;
	if (state->query_class == OMEN_VALUE_UNDIRECTED || state->phase == PHASE_UNDIRECTED)
		bound = get_float8_nan();
	scan->xs_orderbyvals[0] = scan->xs_orderbynulls[0] ? (Datum) 0 : Float8GetDatum(bound);
}

static bool
return_tid(IndexScanDesc scan, OmenScan *state, const ItemPointerData *tid, double bound)
{
	/* The heap would take the former for an order to add a block. */
	if (ItemPointerGetBlockNumberNoCheck(tid) == InvalidBlockNumber ||
		ItemPointerGetOffsetNumberNoCheck(tid) == InvalidOffsetNumber)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" contains an invalid row pointer",
						RelationGetRelationName(scan->indexRelation)),
				 errhint("Please REINDEX it.")));
	scan->xs_heaptid = *tid;
	scan->xs_recheck = state->range.recheck;
	scan->xs_recheckorderby = true;
	state->n_returned++;
	set_order(scan, state, bound);
	return true;
}

/* Return an entry of a segment's TIDS column if it is alive. */
static bool
return_entry(IndexScanDesc scan, OmenScan *state, OmenScanSegment *segment,
			 uint32 number, OmenTidEntry entry, double bound)
{
	ItemPointerData tid;
	bool		dead = omen_scan_segment_is_dead(segment, number);

	omen_reader_release(&state->reader);
	if (dead)
		return false;
	ItemPointerSet(&tid, entry.block, entry.offset);
	return return_tid(scan, state, &tid, bound);
}

static void
begin_list(OmenScan *state, OmenScanSegment *segment, uint32 list, double bound)
{
	OmenTidEntry header = omen_scan_segment_tid(segment, list);

	omen_reader_release(&state->reader);
	if (header.kind != OMEN_TID_HEADER || header.block > segment->tids.n_records - list - 1)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("list of TIDs in segment %u of index \"%s\" is damaged",
						segment->segment->id, RelationGetRelationName(state->reader.index)),
				 errhint("Please REINDEX it.")));
	state->list_segment = segment;
	state->list_next = list + 1;
	state->list_left = header.block;
	state->list_bound = bound;
}

/* The next entry of the list in hand that lives and passes. */
static bool
return_from_list(IndexScanDesc scan, OmenScan *state)
{
	while (state->list_left > 0)
	{
		uint32		number = state->list_next++;
		OmenTidEntry entry = omen_scan_segment_tid(state->list_segment, number);

		CHECK_FOR_INTERRUPTS();
		state->list_left--;
		if (omen_scan_segment_passes(state->list_segment, number) &&
			return_entry(scan, state, state->list_segment, number, entry, state->list_bound))
			return true;
	}
	return false;
}

/* All that is left is too far away. */
static void
end_stream(OmenScan *state)
{
	state->n_waiting = 0;
	state->horizon = INFINITY;
}

/*
 * Ask the finer code of a candidate.  A bound is never given up for a lower
 * one (or for none, from a damaged page): each holds by itself.
 */
static void
refine_waiting(OmenScan *state, Waiting *waiting)
{
	double		bound;

	if (waiting->source < (uint32) state->n_segments)
	{
		bound = omen_scan_segment_refined_bound(&state->segments[waiting->source], waiting->node);
		omen_reader_release(&state->reader);
	}
	else
		bound = omen_scan_tail_refined_bound(&state->tails[waiting->source - state->n_segments], waiting->node);
	if (bound > waiting->bound)
		waiting->bound = bound;
	waiting->refined = true;
}

static bool
return_waiting(IndexScanDesc scan, OmenScan *state)
{
	while (state->n_waiting > 0 && state->waiting[0].key <= state->horizon)
	{
		Waiting		next = pop_waiting(state);
		OmenScanSegment *segment;

		if (next.bound > state->range.radius)
		{
			end_stream(state);
			return false;
		}
		if (!next.refined)
		{
			refine_waiting(state, &next);
			push_waiting(state, &next);
			continue;
		}
		if (next.bound < state->last_bound && omen_am_iterative_scan == OMEN_ITERATIVE_STRICT)
			continue;			/* found too late */
		state->last_bound = Max(state->last_bound, next.bound);

		if (next.source >= (uint32) state->n_segments)
		{
			ItemPointerData tid;

			ItemPointerSet(&tid, next.entry.block, next.entry.offset);
			return return_tid(scan, state, &tid, next.bound);
		}

		resolve_waiting(state, &next);
		segment = &state->segments[next.source];
		if (next.entry.kind == OMEN_TID_LIST)
		{
			begin_list(state, segment, next.entry.block, next.bound);
			if (return_from_list(scan, state))
				return true;
		}
		else if (return_entry(scan, state, segment, next.node, next.entry, next.bound))
			return true;
	}
	return false;
}

static bool
return_from_stream(IndexScanDesc scan, OmenScan *state)
{
	for (;;)
	{
		if (return_from_list(scan, state) || return_waiting(scan, state))
			return true;
		CHECK_FOR_INTERRUPTS();
		if (!next_round(scan, state))
			return false;
	}
}

/* The rows without direction, or the NULL ones: lists of segments, then those of tails. */
static bool
return_without_distance(IndexScanDesc scan, OmenScan *state)
{
	bool		nulls = state->phase == PHASE_NULLS;

	for (;;)
	{
		if (return_from_list(scan, state))
			return true;
		if (state->source < state->n_segments)
		{
			OmenScanSegment *segment = &state->segments[state->source++];
			uint32		list = nulls ? segment->segment->null_list : segment->segment->undirected_list;

			if (list != OMEN_NO_LIST)
				begin_list(state, segment, list, 0);
			continue;
		}
		if (state->source < state->n_segments + state->n_tails)
		{
			OmenScanTail *tail = &state->tails[state->source - state->n_segments];

			omen_scan_tail_read(tail);
			if (state->source_position < (nulls ? tail->n_nulls : tail->n_undirected))
				return return_tid(scan, state,
								  &(nulls ? tail->nulls : tail->undirected)[state->source_position++], 0);
			state->source++;
			state->source_position = 0;
			continue;
		}
		return false;
	}
}

bool
omen_am_gettuple(IndexScanDesc scan, ScanDirection dir)
{
	OmenScan  *state = scan->opaque;

	Assert(ScanDirectionIsForward(dir));
	if (state->phase == PHASE_START)
		start(scan, state);
	if (omen_am_max_scan_tuples >= 0 && state->n_returned >= omen_am_max_scan_tuples)
		return false;
	if (state->phase == PHASE_STREAM)
	{
		if (return_from_stream(scan, state))
			return true;
		enter_phase(state, state->range.limited ? PHASE_END : PHASE_UNDIRECTED);
	}
	if (state->phase == PHASE_UNDIRECTED)
	{
		if (return_without_distance(scan, state))
			return true;
		enter_phase(state, state->wants_nulls ? PHASE_NULLS : PHASE_END);
	}
	if (state->phase == PHASE_NULLS)
	{
		if (return_without_distance(scan, state))
			return true;
		enter_phase(state, PHASE_END);
	}
	return false;
}
