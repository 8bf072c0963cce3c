/*-------------------------------------------------------------------------
 *
 * scan_rounds.c
 *	  Rounds of a scan: each source gives candidates, which wait in a heap.
 *
 * am_scan.c says what a round is, and lets the candidates leave.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_rounds.h"

#include "src/am/heap_prefetch.h"
#include "src/am/scan_report.h"
#include "src/storage/metapage.h"

#include <math.h>

#include "miscadmin.h"

/* So many finer codes are fetched ahead: LIMIT 10 asks for about as many. */
#define PREFETCH_REFINES 16

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

void
omen_scan_push(OmenScan *state, const Waiting *candidate)
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

Waiting
omen_scan_pop(OmenScan *state)
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
/* ---- rounds ---- */

static void
add_candidate(OmenScan *state, const Waiting *candidate)
{
	if (state->range.limited && candidate->bound <= state->range.radius)
	{
		double		distance = omen_range_distance(candidate->key, state->encoder.codec.metric);

		state->slack = Max(state->slack, distance - candidate->bound);
	}
	omen_scan_push(state, candidate);
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
	omen_scan_release_readers(state);
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

void
omen_scan_resolve(OmenScan *state, Waiting *waiting)
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

		omen_scan_resolve(state, waiting);
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

bool
omen_scan_next_round(IndexScanDesc scan, OmenScan *state)
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
