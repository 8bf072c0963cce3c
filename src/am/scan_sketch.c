/*-------------------------------------------------------------------------
 *
 * scan_sketch.c
 *	  Searches of a segment that compare sketches in place of codes.
 *
 * What such a search finds is near the query as far as sketches can tell, so it
 * keeps more candidates than are wanted; these get the keys of their codes and
 * are put in that order.  From there on nothing knows of sketches: bounds, and so
 * the order of what a scan returns, are those of codes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment_internal.h"

#include "src/am/graph_host.h"
#include "src/am/segment_sketch.h"
#include "src/graph/graph_candidate.h"
#include "src/storage/stored_model.h"

#include <math.h>

#include "miscadmin.h"

#define CACHE_LINE 64

/* Of a long sketch, so much is asked for; the hardware streams the rest. */
#define PREFETCH_MAX_BYTES 512

/* Of the candidates, the nearest one in so many, or so many, tell how large errors are; ... */
#define NEAREST_SHARE 4
#define LEAST_NEAREST 16

/* ... beyond so many standard deviations hardly any is. */
#define DEVIATIONS 2.0

void
omen_scan_open_sketches(OmenScanSegment *scan, Relation index, const OmenMeta *meta, const float *vector)
{
	scan->oversampling = 1;
	if (!omen_am_segment_sketch(&scan->sketch, index, meta, scan->segment))
		return;
	scan->vector = vector;
	scan->oversampling = Max(omen_am_oversampling > 0 ? omen_am_oversampling :
							 scan->segment->sketches.oversampling, 1);
	omen_column_view(&scan->sketches, index, meta, scan->segment, OMEN_COLUMN_SKETCHES);
}

/* In memory of the scan, unless it is in a copy. */
static const void *
read_model(OmenScanSegment *scan)
{
	const void *model = NULL;

	if (omen_scan_has_copy(scan, OMEN_COLUMN_BYTES))
		model = omen_model_of_copy(scan->resident, scan->segment, scan->sketch.model_bytes);
	return model ? model : omen_am_read_model(scan->reader, &scan->bytes, &scan->sketch);
}

void
omen_scan_prepare_sketches(OmenScanSegment *scan)
{
	if (scan->sketch_query != NULL)
		return;
	scan->sketch_query = omen_host_alloc(scan->context, scan->sketch.query_bytes);
	scan->sketch.query_from_vector(&scan->sketch, read_model(scan), scan->sketch_query, scan->vector);
}

static void
resident_sketch_keys(OmenScanSegment *scan, const uint32 *nodes, int n, float *out)
{
	const uint8 *records[OMEN_READER_BATCH];

	for (int from = 0; from < n; from += OMEN_READER_BATCH)
	{
		int			count = Min(n - from, OMEN_READER_BATCH);

		for (int i = 0; i < count; i++)
			records[i] = (const uint8 *) omen_resident_body(scan->resident, OMEN_COLUMN_SKETCHES, nodes[from + i]);
		scan->sketch.keys(&scan->sketch, scan->sketch_query, count, records, out + from);
	}
}

static void
page_sketch_keys(OmenScanSegment *scan, const uint32 *nodes, int n, float *out)
{
	const void *heads[OMEN_READER_BATCH];
	const void *bodies[OMEN_READER_BATCH];

	while (n > 0)
	{
		int			count = omen_reader_records(scan->reader, &scan->sketches, nodes, n, heads, bodies);

		scan->sketch.keys(&scan->sketch, scan->sketch_query, count, (const uint8 *const *) bodies, out);
		omen_reader_release(scan->reader);
		nodes += count;
		out += count;
		n -= count;
	}
}

void
omen_scan_sketch_keys(OmenScanSegment *scan, const uint32 *nodes, int n, float *out)
{
	scan->n_distances += n;
	if (omen_scan_has_copy(scan, OMEN_COLUMN_SKETCHES))
		resident_sketch_keys(scan, nodes, n, out);
	else
		page_sketch_keys(scan, nodes, n, out);
}

void
omen_scan_prefetch_sketches(OmenScanSegment *scan, const uint32 *nodes, int n)
{
	uint32		n_bytes = Min(scan->sketches.shape.body_bytes, PREFETCH_MAX_BYTES);

	for (int i = 0; i < n; i++)
	{
		const char *record = omen_resident_body(scan->resident, OMEN_COLUMN_SKETCHES, nodes[i]);

		for (uint32 line = 0; line < n_bytes; line += CACHE_LINE)
			__builtin_prefetch(record + line);
		__builtin_prefetch(record + n_bytes - 1);
	}
}

/*
 * The candidates in the order in which their codes are read, as words of a node
 * and its place: from pages by nodes, for what is near is on the same pages, mostly.
 */
static void
order_to_read(const OmenScanSegment *scan, const OmenCandidate *found, int n, uint64 *words)
{
	for (int i = 0; i < n; i++)
		words[i] = ((uint64) found[i].node << 32) | i;
	if (!omen_scan_has_copy(scan, OMEN_COLUMN_CODES))
		omen_packed_sort(words, n);
}

/* Words of a node and its place become those of its key and its place. */
static void
compare_codes(OmenScanSegment *scan, uint64 *words, int n)
{
	uint32	   *nodes = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		nodes[i] = (uint32) (words[i] >> 32);
	omen_scan_prefetch_codes(scan, nodes, Min(n, OMEN_SCAN_KEY_BATCH));
	for (int from = 0; from < n; from += OMEN_SCAN_KEY_BATCH)
	{
		float		keys[OMEN_SCAN_KEY_BATCH];
		int			count = Min(n - from, OMEN_SCAN_KEY_BATCH);

		CHECK_FOR_INTERRUPTS();
		omen_scan_prefetch_codes(scan, nodes + from + count, Min(n - from - count, OMEN_SCAN_KEY_BATCH));
		omen_scan_column_keys(scan, &scan->codes, nodes + from, count, keys);
		for (int i = 0; i < count; i++)
			words[from + i] = omen_packed_make(keys[i], (uint32) words[from + i]);
	}
	pfree(nodes);
}

/*
 * A node that was not found has an estimate beyond the last one's, so its key is
 * beyond that but for the estimate's error.  How large errors are near this very
 * query, and on which side, those of the nearest tell.
 */
static float
reliable_key(const OmenCandidate *found, const OmenCandidate *ranked, const uint64 *words, int n)
{
	int			n_nearest = Min(n, Max(n / NEAREST_SHARE, LEAST_NEAREST));
	double		sum = 0;
	double		sum_sq = 0;
	double		mean;

	for (int i = 0; i < n_nearest; i++)
	{
		double		error = (double) found[omen_packed_node(words[i])].key - ranked[i].key;

		sum += error;
		sum_sq += error * error;
	}
	mean = sum / n_nearest;
	return (float) (found[n - 1].key - mean - DEVIATIONS * sqrt(Max(sum_sq / n_nearest - mean * mean, 0)));
}

float
omen_scan_rank_anew(OmenScanSegment *scan, const OmenCandidate *found, int n, OmenCandidate *ranked)
{
	uint64	   *words = palloc_extended(n * sizeof(uint64), MCXT_ALLOC_HUGE);
	float		reliable;

	order_to_read(scan, found, n, words);
	compare_codes(scan, words, n);
	omen_packed_sort(words, n);
	for (int i = 0; i < n; i++)
	{
		ranked[i].key = omen_packed_key(words[i]);
		ranked[i].node = found[omen_packed_node(words[i])].node;
	}
	reliable = reliable_key(found, ranked, words, n);
	pfree(words);
	return reliable;
}
