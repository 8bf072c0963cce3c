/*-------------------------------------------------------------------------
 *
 * scan_segment_internal.h
 *	  What the files of a segment's scan share.
 *
 * scan_source.c reads records and makes them a graph, scan_sketch.c one of their
 * sketches, scan_seeds.c finds where a search begins, scan_segment.c runs the rounds.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SCAN_SEGMENT_INTERNAL_H
#define OMEN_SCAN_SEGMENT_INTERNAL_H

#include "src/am/scan_segment.h"

/* Keys computed between two looks at interrupts. */
#define OMEN_SCAN_KEY_BATCH 64

/* Is there a copy of a column? */
static inline bool
omen_scan_has_copy(const OmenScanSegment *scan, OmenColumnId column)
{
	return scan->resident && scan->resident->columns[column - 1] != NULL;
}

/* A record, from the copy if there is one, else from its page. */
static inline void
omen_scan_read_record(OmenScanSegment *scan, const OmenColumnView *view, uint32 record,
					  const void **head, const void **body)
{
	if (omen_scan_has_copy(scan, view->column) && record < view->n_records)
	{
		*head = omen_resident_head(scan->resident, view->column, record);
		*body = omen_resident_body(scan->resident, view->column, record);
	}
	else
		omen_reader_one(scan->reader, view, record, head, body);
}

/* ---- scan_source.c ---- */

/* The nodes as a graph: of pages or a copy; selecting: for searches among those that pass. */
extern OmenNodeSource omen_scan_node_source(const OmenScanSegment *scan, bool selecting);

/* Keys of n records of CODES, CENTRES or SAMPLES. */
extern void omen_scan_column_keys(OmenScanSegment *scan, const OmenColumnView *view,
								  const uint32 *records, int n, float *out);

/* A hint that the codes of nodes will be asked for. */
extern void omen_scan_prefetch_codes(OmenScanSegment *scan, const uint32 *nodes, int n);

/* Many nodes will be tested. */
extern void omen_scan_prepare_tests(OmenScanSegment *scan);

/* Has a node a row that passes?  Tests are prepared; pages of the filter stay pinned. */
extern bool omen_scan_node_passes(OmenScanSegment *scan, uint32 node);

/* ---- scan_sketch.c ---- */

/* Is there a query to compare sketches with? */
static inline bool
omen_scan_is_sketched(const OmenScanSegment *scan)
{
	return scan->sketch.kind != OMEN_SKETCH_NONE;
}

extern void omen_scan_open_sketches(OmenScanSegment *scan, Relation index, const OmenMeta *meta,
									const float *vector);

/* Before a search begins, of sketches; and the keys of nodes in it. */
extern void omen_scan_prepare_sketches(OmenScanSegment *scan);
extern void omen_scan_sketch_keys(OmenScanSegment *scan, const uint32 *nodes, int n, float *out);
extern void omen_scan_prefetch_sketches(OmenScanSegment *scan, const uint32 *nodes, int n);

/*
 * Candidates, which have estimates and come in their order, with the keys of
 * their codes and in the order of these.  Up to the key returned, there are most
 * likely no others.
 */
extern float omen_scan_rank_anew(OmenScanSegment *scan, const OmenCandidate *found, int n,
								 OmenCandidate *ranked);

/* ---- scan_seeds.c ---- */

/* Starting points for searches into scan->seeds, unless they are there. */
extern void omen_scan_find_seeds(OmenScanSegment *scan);

/*
 * Which share passes near the query, of the starting points' neighbours: enough
 * to see whether the filter has to do with the place.
 */
extern void omen_scan_sample_near_share(OmenScanSegment *scan);

/*
 * Give a walk, begun, starting points that pass: of the routing table's, or
 * behind them; if there are few, the query may lie where hardly any node passes:
 * then the nearest of the whole table's that do, and some from anywhere.
 */
extern void omen_scan_seed_walk(OmenScanSegment *scan);

#endif							/* OMEN_SCAN_SEGMENT_INTERNAL_H */
