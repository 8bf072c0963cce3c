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

#include "miscadmin.h"

#define CACHE_LINE 64

/* Of a long sketch, so much is asked for; the hardware streams the rest. */
#define PREFETCH_MAX_BYTES 512

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
 * From pages, codes are read in the order of the nodes: what is near is on the
 * same pages, mostly.
 */
void
omen_scan_rank_anew(OmenScanSegment *scan, OmenCandidate *candidates, int n)
{
	uint32	   *nodes = palloc_extended(n * sizeof(uint32), MCXT_ALLOC_HUGE);
	uint64	   *words = palloc_extended(n * sizeof(uint64), MCXT_ALLOC_HUGE);

	for (int i = 0; i < n; i++)
		nodes[i] = candidates[i].node;
	if (!omen_scan_has_copy(scan, OMEN_COLUMN_CODES))
		omen_nodes_sort(nodes, n);
	omen_scan_prefetch_codes(scan, nodes, Min(n, OMEN_SCAN_KEY_BATCH));
	for (int from = 0; from < n; from += OMEN_SCAN_KEY_BATCH)
	{
		float		keys[OMEN_SCAN_KEY_BATCH];
		int			count = Min(n - from, OMEN_SCAN_KEY_BATCH);

		CHECK_FOR_INTERRUPTS();
		omen_scan_prefetch_codes(scan, nodes + from + count, Min(n - from - count, OMEN_SCAN_KEY_BATCH));
		omen_scan_column_keys(scan, &scan->codes, nodes + from, count, keys);
		for (int i = 0; i < count; i++)
			words[from + i] = omen_packed_make(keys[i], nodes[from + i]);
	}
	omen_packed_sort(words, n);
	for (int i = 0; i < n; i++)
	{
		candidates[i].key = omen_packed_key(words[i]);
		candidates[i].node = omen_packed_node(words[i]);
	}
	pfree(nodes);
	pfree(words);
}
