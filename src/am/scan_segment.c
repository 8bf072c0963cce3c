/*-------------------------------------------------------------------------
 *
 * scan_segment.c
 *	  One sealed segment as a scan sees it: nodes in pages, found by search.
 *
 * Round by round: a search, or all that pass compared (scan_way.c chooses), and
 * how far what was found can be relied on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment_internal.h"

#include "src/am/am_api.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define RUN_EXPANSIONS 256

void
omen_scan_segment_open(OmenScanSegment *scan, Relation index, const OmenMeta *meta,
					   const OmenSegment *segment, const OmenCodec *codec,
					   const OmenQuery *query, const float *vector, OmenFilter *filter, OmenReader *reader,
					   OmenReader *bytes_reader, OmenSearch *search)
{
	memset(scan, 0, sizeof(*scan));
	scan->resident = omen_resident_attach(index, segment);
	scan->segment = segment;
	scan->codec = codec;
	scan->query = query;
	scan->reader = reader;
	scan->bytes_reader = bytes_reader;
	scan->search = search;
	scan->context = CurrentMemoryContext;
	omen_am_segment_curve(segment, &scan->curve);
	(void) omen_am_segment_beams(segment, scan->class_ef);
	for (int class = 0; class < OMEN_CURVE_CLASSES; class++)
		scan->usual_ef += scan->class_ef[class];
	scan->usual_ef = Max(scan->usual_ef / OMEN_CURVE_CLASSES, 1);
	scan->share = scan->near_share = 1;
	scan->oversampling = 1;
	omen_column_view(&scan->codes, index, meta, segment, OMEN_COLUMN_CODES);
	omen_column_view(&scan->nodes, index, meta, segment, OMEN_COLUMN_NODES);
	omen_column_view(&scan->tids, index, meta, segment, OMEN_COLUMN_TIDS);
	omen_column_view(&scan->dead, index, meta, segment, OMEN_COLUMN_DEAD);
	omen_column_view(&scan->centres, index, meta, segment, OMEN_COLUMN_CENTRES);
	omen_column_view(&scan->samples, index, meta, segment, OMEN_COLUMN_SAMPLES);
	omen_column_view(&scan->bytes, index, meta, segment, OMEN_COLUMN_BYTES);
	omen_column_view(&scan->terms, index, meta, segment, OMEN_COLUMN_TERMS);
	omen_column_view(&scan->refines, index, meta, segment, OMEN_COLUMN_REFINE);
	/* where a filter leaves few nodes, there is not enough to choose from */
	if (filter == NULL && query != NULL)
		omen_scan_open_sketches(scan, index, meta, vector);
	if (filter)
	{
		scan->filter = omen_segment_filter_open(filter, index, meta, segment, scan->resident);
		scan->share = scan->near_share = scan->filter->share;
	}
}

static void
remember_returned(OmenScanSegment *scan, const OmenCandidate *candidates, int n)
{
	if (scan->n_returned + n > scan->returned_capacity)
	{
		scan->returned_capacity = Max(256, (scan->n_returned + n) * 2);
		if (scan->returned == NULL)
			scan->returned = palloc(scan->returned_capacity * sizeof(uint32));
		else
			scan->returned = repalloc_huge(scan->returned, scan->returned_capacity * sizeof(uint32));
	}
	for (int i = 0; i < n; i++)
		scan->returned[scan->n_returned++] = candidates[i].node;
}

/* A bitmap of the nodes returned so far, or NULL if there are none. */
static uint64 *
returned_bitmap(OmenScanSegment *scan)
{
	uint64	   *bitmap;

	if (scan->n_returned == 0)
		return NULL;
	bitmap = palloc0((scan->segment->n_nodes + 63) / 64 * sizeof(uint64));
	for (uint32 i = 0; i < scan->n_returned; i++)
		bitmap[scan->returned[i] / 64] |= UINT64CONST(1) << (scan->returned[i] % 64);
	return bitmap;
}

/* Nodes with their keys into the pool, but for those returned. */
static void
add_to_pool(OmenScanSegment *scan, const uint64 *returned, uint32 *nodes, int n)
{
	float		keys[OMEN_SCAN_KEY_BATCH] = {0};
	int			n_left = 0;

	for (int i = 0; i < n; i++)
		if (returned == NULL || ((returned[nodes[i] / 64] >> (nodes[i] % 64)) & 1) == 0)
			nodes[n_left++] = nodes[i];
	if (scan->query)
		omen_scan_column_keys(scan, &scan->codes, nodes, n_left, keys);
	for (int i = 0; i < n_left; i++)
		omen_pool_add(&scan->pool, keys[i], nodes[i]);
}

/* Put every node that passes and has not been returned into the pool. */
static void
fill_pool(OmenScanSegment *scan)
{
	uint64	   *returned = returned_bitmap(scan);
	uint32	   *listed = NULL;
	uint32		n_nodes = scan->segment->n_nodes;

	if (scan->filter)
		n_nodes = omen_segment_filter_nodes(scan->filter, &listed);
	omen_pool_reserve(&scan->pool, n_nodes);
	for (uint32 first = 0; first < n_nodes; first += OMEN_SCAN_KEY_BATCH)
	{
		uint32		nodes[OMEN_SCAN_KEY_BATCH];
		int			n = Min(n_nodes - first, OMEN_SCAN_KEY_BATCH);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			nodes[i] = listed ? listed[first + i] : first + i;
		if (listed)
			omen_scan_prefetch_codes(scan, listed + first + n,
									 Min(n_nodes - first - n, OMEN_SCAN_KEY_BATCH));
		add_to_pool(scan, returned, nodes, n);
	}
	if (listed)
		pfree(listed);
	if (returned)
		pfree(returned);
}

static void
run_search(OmenScanSegment *scan)
{
	while (!omen_search_run(scan->search, RUN_EXPANSIONS))
		CHECK_FOR_INTERRUPTS();
}

/* Of the candidates that a round wants, so many at least are found before it ends. */
#define ENOUGH_PASSING 0.9

/* How many nodes a search has to keep for the candidates that the round wants. */
static uint32
beam_of(const OmenScanSegment *scan, OmenScanWay way)
{
	if (scan->filter == NULL)
		return (uint32) Min(scan->ef * scan->oversampling, OMEN_MAX_ROUND);
	return (uint32) Min(omen_scan_beam(scan, way, scan->ef), OMEN_MAX_ROUND);
}

/* The first candidates tell how hard the query is: if need be, search on with a wider beam. */
static void
widen_search(OmenScanSegment *scan, OmenScanWay way, float bound)
{
	const OmenCandidate *found;
	int			n = omen_search_results(scan->search, &found);
	float		key = n < OMEN_CURVE_K ? bound : Min(found[OMEN_CURVE_K - 1].key, bound);
	uint32		begun = beam_of(scan, way);

	scan->ef = Max(scan->ef, scan->class_ef[omen_curve_class(&scan->curve, key)]);
	if (beam_of(scan, way) <= begun)
		return;
	omen_search_widen(scan->search, beam_of(scan, way));
	run_search(scan);
}

/* The width of the next round: of the first, that by which the class is told, if there is anything to tell. */
static uint32
next_width(const OmenScanSegment *scan)
{
	if (scan->ef > 0)
		return Min(scan->ef * 2, OMEN_MAX_ROUND);
	for (int class = 1; class < OMEN_CURVE_CLASSES; class++)
	{
		if (scan->class_ef[class] != scan->class_ef[0])
			return OMEN_CURVE_LEAST_EF;
	}
	return scan->class_ef[0];
}

/* Starting points are chosen by codes, but a search of sketches goes by these from the start. */
static void
seed_by_sketches(OmenScanSegment *scan)
{
	uint32		nodes[OMEN_SCAN_SEEDS];
	float		keys[OMEN_SCAN_SEEDS];
	OmenCandidate seeds[OMEN_SCAN_SEEDS];

	for (int i = 0; i < scan->n_seeds; i++)
		nodes[i] = scan->seeds[i].node;
	omen_scan_sketch_keys(scan, nodes, scan->n_seeds, keys);
	for (int i = 0; i < scan->n_seeds; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	omen_search_seed(scan->search, seeds, scan->n_seeds);
}

static void
begin_search(OmenScanSegment *scan, OmenScanWay way, float bound)
{
	omen_scan_find_seeds(scan);
	if (omen_scan_is_sketched(scan))
		omen_scan_prepare_sketches(scan);
	scan->source = omen_scan_node_source(scan, way == OMEN_WAY_WALK);
	scan->excluded = returned_bitmap(scan);
	if (scan->filter)
		omen_scan_prepare_tests(scan);
	omen_search_begin(scan->search, &scan->source, beam_of(scan, way), bound, true);
	if (way == OMEN_WAY_WALK)
		omen_scan_seed_walk(scan);
	else if (omen_scan_is_sketched(scan))
		seed_by_sketches(scan);
	else
		omen_search_seed(scan->search, scan->seeds, scan->n_seeds);
	scan->begun = true;
	scan->search_way = way;
}

/* How many of what a search has found pass. */
static uint32
count_passing(OmenScanSegment *scan)
{
	const OmenCandidate *found;
	int			n_found = omen_search_results(scan->search, &found);
	uint32		n = 0;

	for (int i = 0; i < n_found; i++)
		n += omen_scan_node_passes(scan, found[i].node);
	omen_segment_filter_release(scan->filter);
	return n;
}

/*
 * Of a plain search's beam as many should pass as are wanted: if there are
 * fewer, a sample has promised too much.  Go on with a wider beam, unless
 * another way is then cheaper; false if it is.
 */
static bool
fill_up(OmenScanSegment *scan)
{
	while (scan->filter)
	{
		uint32		beam = omen_search_n_results(scan->search);
		uint32		n_passing = count_passing(scan);

		scan->near_share = (n_passing + 1.0) / (beam + 1.0);
		if (n_passing >= scan->ef * ENOUGH_PASSING || beam_of(scan, OMEN_WAY_PLAIN) <= beam)
			break;
		if (omen_scan_choose_way(scan) != OMEN_WAY_PLAIN)
			return false;
		omen_search_widen(scan->search, beam_of(scan, OMEN_WAY_PLAIN));
		run_search(scan);
		if (omen_search_n_results(scan->search) == beam)
			break;
	}
	return true;
}

/* A search round; 0 results if the graph has no more to give. */
static int
search_next(OmenScanSegment *scan, OmenScanWay way, float bound, const OmenCandidate **found)
{
	/* an estimate says too little of which side of the bound a node is on */
	if (omen_scan_is_sketched(scan))
		bound = INFINITY;
	if (!scan->begun || scan->search_way != way)
	{
		begin_search(scan, way, bound);
		run_search(scan);
		widen_search(scan, way, bound);
		if (way == OMEN_WAY_PLAIN && !fill_up(scan))
			return 0;
	}
	else if (omen_search_resume(scan->search, beam_of(scan, way), bound))
		run_search(scan);
	else
		return 0;
	return omen_search_results(scan->search, found);
}

/* Room for candidates that are kept. */
static void
reserve_kept(OmenScanSegment *scan, int n)
{
	if (scan->kept_capacity >= (uint32) n)
		return;
	if (scan->kept)
		pfree(scan->kept);
	scan->kept = palloc_extended(n * sizeof(OmenCandidate), MCXT_ALLOC_HUGE);
	scan->kept_capacity = n;
}

/* Candidates kept for each that is wanted, at most: beyond, sketches tell nothing. */
#define MOST_OVERSAMPLING 128

/* May a search of sketches that has found n go on with twice as many? */
static bool
may_oversample(const OmenScanSegment *scan, int n)
{
	return omen_am_oversampling == 0 && (uint32) n >= beam_of(scan, scan->search_way) &&
		scan->oversampling * 2 <= MOST_OVERSAMPLING &&
		(uint32) n < scan->segment->n_nodes / (2 * OMEN_EXHAUSTIVE_SHARE);
}

/*
 * What a search of sketches has found, by its codes.  Queries may be harder for
 * sketches than those of the calibration: it goes on until the nearest are as
 * near as can be relied on.
 */
static int
rank_anew(OmenScanSegment *scan, const OmenCandidate **found, int n)
{
	for (;;)
	{
		float		reliable;

		reserve_kept(scan, n);
		reliable = omen_scan_rank_anew(scan, *found, n, scan->kept);
		if (scan->kept[Min(n, OMEN_CURVE_K) - 1].key <= reliable || !may_oversample(scan, n))
			break;
		scan->oversampling *= 2;
		omen_search_widen(scan->search, beam_of(scan, scan->search_way));
		run_search(scan);
		n = omen_search_results(scan->search, found);
	}
	*found = scan->kept;
	return n;
}

/* Of what a search has found, what passes and has not been returned. */
static int
keep_passing(OmenScanSegment *scan, const OmenCandidate *found, int n_found)
{
	int			n = 0;

	reserve_kept(scan, n_found);
	for (int i = 0; i < n_found; i++)
	{
		uint32		node = found[i].node;

		if (scan->excluded && ((scan->excluded[node / 64] >> (node % 64)) & 1) != 0)
			continue;
		if (scan->search_way == OMEN_WAY_WALK || omen_scan_node_passes(scan, node))
			scan->kept[n++] = found[i];
	}
	omen_segment_filter_release(scan->filter);
	return n;
}

/*
 * How far the results of a search, nearest first, can be relied on: three
 * quarters of them, or, where more were looked at, as many as were wanted.  Never
 * INFINITY, which keys may be: there may be others.
 */
static float
search_horizon(const OmenScanSegment *scan, const OmenCandidate *candidates, int n, float bound)
{
	int			n_reliable = Min((n * 3 + 3) / 4, Max((int) (n / scan->oversampling), 1));

	return Min(Min(candidates[n_reliable - 1].key, bound), FLT_MAX);
}

/* Fewer than this share of the candidates wanted: the filter has to do with the place. */
#define FEW_SHARE 4

/*
 * Candidates of a search, as a round gives them; 0 if there are none, or none
 * that could be relied on, and another way is to be gone.
 */
static int
find_candidates(OmenScanSegment *scan, float bound, const OmenCandidate **candidates, float *horizon)
{
	OmenScanWay way = scan->way;
	int			n_found = search_next(scan, way, bound, candidates);
	int			n = n_found;

	if (n_found > 0 && omen_scan_is_sketched(scan))
		n = n_found = rank_anew(scan, candidates, n_found);
	if (n_found > 0)
		*horizon = search_horizon(scan, *candidates, n_found, bound);
	else
		scan->ways_failed[way] = true;
	if (scan->filter && n_found > 0)
	{
		n = keep_passing(scan, *candidates, n_found);
		*candidates = scan->kept;
		if (n < (int) scan->ef / FEW_SHARE)
			scan->ways_failed[way] = true;
		if (way == OMEN_WAY_PLAIN)
			scan->near_share = Min(scan->near_share, (n + 1.0) / n_found);
	}
	/* Nodes that pass but are not linked with each other: a walk has seen a part of them. */
	if (way == OMEN_WAY_WALK && n_found < (int) beam_of(scan, way))
	{
		scan->ways_failed[way] = true;
		return 0;
	}
	remember_returned(scan, *candidates, n);
	return n;
}

int
omen_scan_segment_next(OmenScanSegment *scan, float bound,
					   const OmenCandidate **candidates, float *horizon)
{
	MemoryContext old_context = MemoryContextSwitchTo(scan->context);
	int			n = 0;

	if (scan->ef == 0 && omen_scan_may_search(scan))
		omen_scan_sample_near_share(scan);
	scan->ef = next_width(scan);
	while (!scan->exhaustive && n == 0)
	{
		scan->way = omen_scan_choose_way(scan);
		if (scan->way == OMEN_WAY_PLAIN || scan->way == OMEN_WAY_WALK)
			n = find_candidates(scan, bound, candidates, horizon);
		else
		{
			scan->exhaustive = true;
			if (scan->way == OMEN_WAY_EXACT)
				fill_pool(scan);
		}
	}
	if (scan->exhaustive)
		n = omen_pool_take(&scan->pool, scan->ef, bound, candidates, horizon);
	MemoryContextSwitchTo(old_context);
	return n;
}
