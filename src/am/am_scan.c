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
 * leave get a tighter bound first, and queue again by that.  The executor
 * computes the distances themselves from the heap and reorders
 * (IndexNextWithReorder), so no quantization shows in the order.  Rounds are in
 * scan_rounds.c; here a scan begins, and rows leave.
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
#include "src/am/graph_host.h"
#include "src/am/scan_memory.h"
#include "src/am/scan_rounds.h"
#include "src/storage/metapage.h"

#include <math.h>

#include "access/relscan.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

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

	omen_scan_release_readers(state);
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

	omen_scan_release_readers(state);
	omen_scan_memory_give_back(OMEN_SCAN_PASSING, state->scan_context);
	omen_scan_memory_give_back(OMEN_SCAN_LASTING, state->search_context);
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
		Waiting		next = omen_scan_pop(state);
		OmenScanSegment *segment;

		if (next.bound > state->range.radius)
		{
			end_stream(state);
			return false;
		}
		if (!next.refined)
		{
			refine_waiting(state, &next);
			omen_scan_push(state, &next);
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

		omen_scan_resolve(state, &next);
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
		if (!omen_scan_next_round(scan, state))
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
