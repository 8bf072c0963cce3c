/*-------------------------------------------------------------------------
 *
 * scan_segment.c
 *	  One sealed segment as a scan sees it: nodes in pages, found by search.
 *
 * There are two node sources over the columns NODES and CODES.  One reads
 * pages: per expansion it pins those of the neighbours, computes, and lets go.
 * The other reads a resident copy of the columns: pointers, and nothing to let
 * go of.  Both give the same answers bit by bit.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment.h"

#include "src/am/am_api.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

/* Keys computed between two looks at interrupts. */
#define KEY_BATCH 64

#define RUN_EXPANSIONS 256

#define CACHE_LINE 64

/* Of a long code, so much is asked for; the hardware streams the rest. */
#define PREFETCH_MAX_BYTES 1024
#define PREFETCH_AHEAD_BYTES 192

/* ---- the node source over a resident copy ---- */

static void
prefetch_lines(const char *from, uint32 n_bytes)
{
	for (uint32 i = 0; i < n_bytes; i += CACHE_LINE)
		__builtin_prefetch(from + i);
}

static void
resident_prefetch_links(OmenNodeSource *source, uint32 node)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_NODES, node),
				   scan->nodes.shape.body_bytes);
	scan->upcoming = node;
}

/* The whole list is copied; counting instead of stopping needs no branches. */
static int
resident_links(OmenNodeSource *source, uint32 node, uint32 *out)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	const uint32 *links = (const uint32 *) omen_resident_body(scan->resident, OMEN_COLUMN_NODES, node);
	uint32		max_links = scan->nodes.shape.body_bytes / sizeof(uint32);
	uint32		n = 0;

	for (uint32 i = 0; i < max_links; i++)
	{
		out[i] = links[i];
		n += links[i] != OMEN_NO_NODE;
	}
	return n;
}

/*
 * Besides the codes wanted now, ask for those that the next expansion is most
 * likely to want: their lines arrive while this one computes.  That many of
 * them have been seen before costs less than to find out.
 */
static void
resident_prefetch_codes(OmenNodeSource *source, const uint32 *nodes, int n)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	uint32		n_bytes = scan->resident->strides[OMEN_COLUMN_CODES - 1];
	uint32		upcoming[OMEN_MAX_LINKS];
	int			n_upcoming = resident_links(source, scan->upcoming, upcoming);

	for (int i = 0; i < n; i++)
		prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_CODES, nodes[i]),
					   Min(n_bytes, PREFETCH_MAX_BYTES));
	for (int i = 0; i < n_upcoming; i++)
		prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_CODES, upcoming[i]),
					   Min(n_bytes, PREFETCH_AHEAD_BYTES));
}

/* The code that a stored reference names, in a copy: BYTES is one range there. */
static OmenCodeRef
resident_reference(OmenScanSegment *scan, const void *body)
{
	OmenStoredRef stored;
	OmenCodeRef ref = {0};

	memcpy(&stored, body, sizeof(stored));
	ref.bytes = (const uint8 *) omen_resident_body(scan->resident, OMEN_COLUMN_BYTES, 0) + stored.offset;
	ref.n_bytes = stored.n_bytes;
	return ref;
}

/* Keys of n records of CODES, CENTRES or SAMPLES. */
static void
resident_column_keys(OmenScanSegment *scan, OmenColumnId column,
					 const uint32 *records, int n, float *out)
{
	const void *heads[OMEN_READER_BATCH];
	const void *bodies[OMEN_READER_BATCH];
	OmenCodeRef refs[OMEN_READER_BATCH];

	for (int from = 0; from < n; from += OMEN_READER_BATCH)
	{
		int			count = Min(n - from, OMEN_READER_BATCH);

		for (int i = 0; i < count; i++)
		{
			heads[i] = omen_resident_head(scan->resident, column, records[from + i]);
			bodies[i] = omen_resident_body(scan->resident, column, records[from + i]);
			if (scan->codec->variable)
			{
				refs[i] = resident_reference(scan, bodies[i]);
				bodies[i] = &refs[i];
			}
		}
		scan->codec->keys(scan->codec, scan->query, count, heads,
						  (const uint8 *const *) bodies, out + from);
	}
}

static void
resident_keys(OmenNodeSource *source, const uint32 *nodes, int n, float *out)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	scan->n_distances += n;
	resident_column_keys(scan, OMEN_COLUMN_CODES, nodes, n, out);
}

/* ---- the node source over pages ---- */

static void
source_prefetch_links(OmenNodeSource *source, uint32 node)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	omen_reader_prefetch(scan->reader, &scan->nodes, node);
}

static int
source_links(OmenNodeSource *source, uint32 node, uint32 *out)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	uint32		max_links = scan->nodes.shape.body_bytes / sizeof(uint32);
	const void *head;
	const void *body;
	const uint32 *links;
	uint32		n;

	omen_reader_one(scan->reader, &scan->nodes, node, &head, &body);
	links = body;
	for (n = 0; n < max_links && links[n] != OMEN_NO_NODE; n++)
		out[n] = links[n];
	return n;
}

/* Nothing to do: the reader fetches a batch of records at once. */
static void
source_prefetch_codes(OmenNodeSource *source, const uint32 *nodes, int n)
{
}

/* The code that a stored reference names, as the codec wants it; ref is memory for that. */
static const uint8 *
referred_code(OmenScanSegment *scan, const void *body, OmenCodeRef *ref)
{
	OmenStoredRef stored;

	memcpy(&stored, body, sizeof(stored));
	omen_reader_release(scan->bytes_reader);
	ref->bytes = omen_blob_bytes(scan->bytes_reader, &scan->bytes, &stored);
	ref->n_bytes = stored.n_bytes;
	ref->unused = 0;
	return (const uint8 *) ref;
}

/* The same, from the copy if there is one. */
static const uint8 *
stored_code(OmenScanSegment *scan, const void *body, OmenCodeRef *ref)
{
	if (scan->resident == NULL)
		return referred_code(scan, body, ref);
	*ref = resident_reference(scan, body);
	return (const uint8 *) ref;
}

/* Keys of records whose codes differ in length, one by one. */
static void
variable_keys(OmenScanSegment *scan, const OmenColumnView *view,
			  const uint32 *records, int n, float *out)
{
	for (int i = 0; i < n; i++)
	{
		const void *head;
		const void *body;
		OmenCodeRef ref;
		const uint8 *code;

		omen_reader_one(scan->reader, view, records[i], &head, &body);
		code = referred_code(scan, body, &ref);
		scan->codec->keys(scan->codec, scan->query, 1, &head, &code, &out[i]);
	}
	omen_reader_release(scan->reader);
	omen_reader_release(scan->bytes_reader);
}

/* Keys of n records of CODES, CENTRES or SAMPLES. */
static void
column_keys(OmenScanSegment *scan, const OmenColumnView *view,
			const uint32 *records, int n, float *out)
{
	const void *heads[OMEN_READER_BATCH];
	const void *bodies[OMEN_READER_BATCH];

	scan->n_distances += n;
	if (scan->resident)
	{
		resident_column_keys(scan, view->column, records, n, out);
		return;
	}
	if (scan->codec->variable)
	{
		variable_keys(scan, view, records, n, out);
		return;
	}
	while (n > 0)
	{
		int			count = omen_reader_records(scan->reader, view, records, n, heads, bodies);

		scan->codec->keys(scan->codec, scan->query, count, heads,
						  (const uint8 *const *) bodies, out);
		omen_reader_release(scan->reader);
		records += count;
		out += count;
		n -= count;
	}
}

static void
source_keys(OmenNodeSource *source, const uint32 *nodes, int n, float *out)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	column_keys(scan, &scan->codes, nodes, n, out);
}

/* ---- the same for nodes that pass a filter ---- */

/* Does an entry of a list of TIDs pass? */
static bool
list_passes(OmenScanSegment *scan, uint32 list)
{
	OmenTidEntry header = omen_scan_segment_tid(scan, list);

	if (header.kind != OMEN_TID_HEADER || header.block > scan->tids.n_records - list - 1)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("list of TIDs in segment %u of index \"%s\" is damaged",
						scan->segment->id, RelationGetRelationName(scan->reader->index)),
				 errhint("Please REINDEX it.")));
	for (uint32 i = 0; i < header.block; i++)
	{
		if (omen_segment_filter_passes(scan->filter, list + 1 + i))
			return true;
		if (i % KEY_BATCH == 0)
			CHECK_FOR_INTERRUPTS();
	}
	return false;
}

/* Of a block's nodes, those that have a row that passes. */
static uint64
block_passing(OmenScanSegment *scan, uint32 block)
{
	uint32		first = block * 64;
	uint32		n = Min(scan->segment->n_nodes - first, 64);
	uint64		passing = omen_segment_filter_passing(scan->filter, first, n);

	if (scan->segment->n_tid_entries == scan->segment->n_nodes || scan->filter->has_marks)
		return passing;
	for (uint32 i = 0; i < n;)
	{
		OmenTidEntry entries[64];
		const void *bodies;
		uint32		n_read = omen_reader_run(scan->reader, &scan->tids, first + i, n - i, &bodies);

		memcpy(entries, bodies, n_read * sizeof(OmenTidEntry));
		for (uint32 j = 0; j < n_read; j++, i++)
		{
			uint64		bit = UINT64CONST(1) << i;

			if (entries[j].kind == OMEN_TID_LIST)
				passing = list_passes(scan, entries[j].block) ? passing | bit : passing & ~bit;
		}
	}
	return passing;
}

/* Has a node a row that passes? */
static inline bool
node_passes(OmenScanSegment *scan, uint32 node)
{
	uint32		block = node / 64;
	OmenPassSlot *slot;

	if (likely(scan->filter->tests != NULL))
	{
		const OmenRankTest *tests = scan->filter->tests;
		bool		passes = true;

		if (scan->segment->n_tid_entries > scan->segment->n_nodes)
		{
			OmenTidEntry entry = omen_scan_segment_tid(scan, node);

			if (unlikely(entry.kind == OMEN_TID_LIST))
				return list_passes(scan, entry.block);
		}
		for (int i = 0; i < scan->filter->n_sets; i++)
			passes &= omen_rank_test(&tests[i], node);
		return passes;
	}
	slot = &scan->pass_slots[block % OMEN_PASS_SLOTS];
	if (unlikely(slot->block != block))
	{
		slot->block = PG_UINT32_MAX;
		slot->passing = block_passing(scan, block);
		slot->block = block;
	}
	return (slot->passing >> (node % 64)) & 1;
}

/* Many nodes will be tested. */
static void
prepare_tests(OmenScanSegment *scan)
{
	omen_segment_filter_prepare_tests(scan->filter);
	if (scan->filter->tests != NULL || scan->pass_slots != NULL)
		return;
	scan->pass_slots = palloc(OMEN_PASS_SLOTS * sizeof(OmenPassSlot));
	for (int i = 0; i < OMEN_PASS_SLOTS; i++)
		scan->pass_slots[i].block = PG_UINT32_MAX;
}

static int
source_select(OmenNodeSource *source, uint32 *nodes, int n)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	uint32		others[OMEN_MAX_LINKS];
	int			n_wanted = 0;
	int			n_others = 0;

	/* no branch: whether a node passes is not predictable */
	for (int i = 0; i < n; i++)
	{
		uint32		node = nodes[i];
		bool		passes = node_passes(scan, node);

		nodes[n_wanted] = node;
		others[n_others] = node;
		n_wanted += passes;
		n_others += !passes;
	}
	memcpy(nodes + n_wanted, others, n_others * sizeof(uint32));
	omen_segment_filter_release(scan->filter);
	return n_wanted;
}

static void
resident_prefetch_links_only(OmenNodeSource *source, uint32 node)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_NODES, node),
				   scan->nodes.shape.body_bytes);
}

static void
resident_prefetch_codes_only(OmenNodeSource *source, const uint32 *nodes, int n)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	uint32		n_bytes = Min(scan->resident->strides[OMEN_COLUMN_CODES - 1], PREFETCH_MAX_BYTES);

	for (int i = 0; i < n; i++)
		prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_CODES, nodes[i]), n_bytes);
}

static const OmenNodeSource page_source = {
	.prefetch_links = source_prefetch_links,
	.links = source_links,
	.prefetch_codes = source_prefetch_codes,
	.keys = source_keys
};

static const OmenNodeSource resident_source = {
	.prefetch_links = resident_prefetch_links,
	.links = resident_links,
	.prefetch_codes = resident_prefetch_codes,
	.keys = resident_keys
};

static const OmenNodeSource selecting_page_source = {
	.prefetch_links = source_prefetch_links,
	.links = source_links,
	.prefetch_codes = source_prefetch_codes,
	.keys = source_keys,
	.select = source_select
};

static const OmenNodeSource selecting_resident_source = {
	.prefetch_links = resident_prefetch_links_only,
	.links = resident_links,
	.prefetch_codes = resident_prefetch_codes_only,
	.keys = resident_keys,
	.select = source_select
};

/* ---- routing: where to begin ---- */

/* A record, from the copy if there is one, else from its page. */
static void
read_record(OmenScanSegment *scan, const OmenColumnView *view, uint32 record,
			const void **head, const void **body)
{
	if (scan->resident && record < view->n_records)
	{
		*head = omen_resident_head(scan->resident, view->column, record);
		*body = omen_resident_body(scan->resident, view->column, record);
	}
	else
		omen_reader_one(scan->reader, view, record, head, body);
}

/* What a routing record carries beside its code. */
static uint32
routing_payload(OmenScanSegment *scan, const OmenColumnView *view, uint32 record)
{
	const void *head;
	const void *body;
	uint32		payload;

	read_record(scan, view, record, &head, &body);
	memcpy(&payload, (const char *) head + scan->codec->factor_bytes, sizeof(payload));
	return payload;
}

/*
 * The n_best nearest of the records [first, first + n) of a routing column, or
 * of those of them whose nodes pass; nearest first.  Returns how many there are.
 */
static int
nearest_records(OmenScanSegment *scan, const OmenColumnView *view, uint32 first, uint32 n,
				bool passing, OmenCandidate *best, int n_best)
{
	int			n_found = 0;

	for (uint32 start = 0; start < n; start += KEY_BATCH)
	{
		uint32		records[KEY_BATCH];
		float		keys[KEY_BATCH];
		uint32		end = first + start + Min(n - start, KEY_BATCH);
		int			count = 0;

		for (uint32 record = first + start; record < end; record++)
			if (!passing || node_passes(scan, routing_payload(scan, view, record)))
				records[count++] = record;
		column_keys(scan, view, records, count, keys);

		for (int i = 0; i < count; i++)
		{
			int			at;

			if (n_found == n_best && keys[i] >= best[n_best - 1].key)
				continue;
			if (n_found < n_best)
				n_found++;
			for (at = n_found - 1; at > 0 && best[at - 1].key > keys[i]; at--)
				best[at] = best[at - 1];
			best[at].key = keys[i];
			best[at].node = records[i];
		}
	}
	return n_found;
}

/* Starting points by the query's terms: the nodes that have most of them. */
static int
find_term_seeds(OmenScanSegment *scan, OmenCandidate *seeds)
{
	uint32		records[OMEN_QUERY_TERMS];
	uint32		nodes[OMEN_TERM_SEEDS];
	float		keys[OMEN_TERM_SEEDS];
	int			n_records;
	int			n_nodes = 0;

	if (scan->terms.n_records == 0 || scan->codec->query_term == NULL)
		return 0;
	n_records = omen_terms_lookup(scan->codec, scan->query, scan->terms.n_records, records);
	for (int i = 0; i < n_records; i++)
	{
		const void *head;
		const void *body;

		read_record(scan, &scan->terms, records[i], &head, &body);
		memcpy(nodes + n_nodes, body, OMEN_TERM_NODES * sizeof(uint32));
		n_nodes += OMEN_TERM_NODES;
	}
	n_nodes = omen_terms_distinct(nodes, n_nodes);
	column_keys(scan, &scan->codes, nodes, n_nodes, keys);
	for (int i = 0; i < n_nodes; i++)
	{
		seeds[i].key = keys[i];
		seeds[i].node = nodes[i];
	}
	return n_nodes;
}

/* Starting points: the nearest samples of the nearest centres. */
static int
find_routing_seeds(OmenScanSegment *scan, OmenCandidate *seeds)
{
	OmenCandidate centres[OMEN_ROUTING_PROBES];
	OmenCandidate samples[OMEN_ROUTING_PROBES * OMEN_ROUTING_SEEDS];
	int			n_centres = nearest_records(scan, &scan->centres, 0, scan->centres.n_records,
											false, centres, OMEN_ROUTING_PROBES);
	int			n_samples = 0;
	int			n_seeds = 0;

	for (int i = 0; i < n_centres; i++)
	{
		uint32		centre = centres[i].node;
		uint32		first = routing_payload(scan, &scan->centres, centre);
		uint32		end = centre + 1 < scan->centres.n_records ?
			routing_payload(scan, &scan->centres, centre + 1) : scan->samples.n_records;

		if (first > end || end > scan->samples.n_records)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("routing table of segment %u of index \"%s\" is damaged",
							scan->segment->id, RelationGetRelationName(scan->reader->index)),
					 errhint("Please REINDEX it.")));
		n_samples += nearest_records(scan, &scan->samples, first, end - first,
									 false, samples + n_samples, OMEN_ROUTING_SEEDS);
	}
	for (int i = 0; i < n_samples; i++)
	{
		seeds[n_seeds].key = samples[i].key;
		seeds[n_seeds++].node = routing_payload(scan, &scan->samples, samples[i].node);
	}
	omen_reader_release(scan->reader);
	return n_seeds;
}

/* ---- candidates ---- */

void
omen_scan_segment_open(OmenScanSegment *scan, Relation index, const OmenMeta *meta,
					   const OmenSegment *segment, const OmenCodec *codec,
					   const OmenQuery *query, OmenFilter *filter, OmenReader *reader,
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
	omen_column_view(&scan->codes, index, meta, segment, OMEN_COLUMN_CODES);
	omen_column_view(&scan->nodes, index, meta, segment, OMEN_COLUMN_NODES);
	omen_column_view(&scan->tids, index, meta, segment, OMEN_COLUMN_TIDS);
	omen_column_view(&scan->dead, index, meta, segment, OMEN_COLUMN_DEAD);
	omen_column_view(&scan->centres, index, meta, segment, OMEN_COLUMN_CENTRES);
	omen_column_view(&scan->samples, index, meta, segment, OMEN_COLUMN_SAMPLES);
	omen_column_view(&scan->bytes, index, meta, segment, OMEN_COLUMN_BYTES);
	omen_column_view(&scan->terms, index, meta, segment, OMEN_COLUMN_TERMS);
	omen_column_view(&scan->refines, index, meta, segment, OMEN_COLUMN_REFINE);
	if (filter)
	{
		scan->filter = palloc(sizeof(OmenSegmentFilter));
		omen_segment_filter_open(scan->filter, filter, index, meta, segment, scan->resident);
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
	float		keys[KEY_BATCH] = {0};
	int			n_left = 0;

	for (int i = 0; i < n; i++)
		if (returned == NULL || ((returned[nodes[i] / 64] >> (nodes[i] % 64)) & 1) == 0)
			nodes[n_left++] = nodes[i];
	if (scan->query)
		column_keys(scan, &scan->codes, nodes, n_left, keys);
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
	for (uint32 first = 0; first < n_nodes; first += KEY_BATCH)
	{
		uint32		nodes[KEY_BATCH];
		int			n = Min(n_nodes - first, KEY_BATCH);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n; i++)
			nodes[i] = listed ? listed[first + i] : first + i;
		if (listed && scan->resident)
			resident_prefetch_codes_only(&scan->source, listed + first + n,
										 Min(n_nodes - first - n, KEY_BATCH));
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
		return scan->ef;
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

/* ---- where a search begins ---- */

static void
find_seeds(OmenScanSegment *scan)
{
	if (scan->n_seeds > 0)
		return;
	scan->n_seeds = find_routing_seeds(scan, scan->seeds);
	scan->n_seeds += find_term_seeds(scan, scan->seeds + scan->n_seeds);
}

/* What is known of all nodes counts as so many of them. */
#define PRIOR_NODES 8

/*
 * Which share passes near the query, of the starting points' neighbours: enough
 * to see whether the filter has to do with the place.
 */
static void
sample_near_share(OmenScanSegment *scan)
{
	OmenNodeSource *source = &scan->source;
	uint32		n_tested = 0;
	uint32		n_passing = 0;

	find_seeds(scan);
	prepare_tests(scan);
	*source = scan->resident ? selecting_resident_source : selecting_page_source;
	for (int i = 0; i < Min(scan->n_seeds, OMEN_ROUTING_PROBES * OMEN_ROUTING_SEEDS); i++)
	{
		uint32		nodes[OMEN_MAX_LINKS];
		int			n = source->links(source, scan->seeds[i].node, nodes);

		n_tested += n;
		n_passing += source->select(source, nodes, n);
	}
	omen_reader_release(scan->reader);
	scan->near_share = (n_passing + PRIOR_NODES * scan->share) / (n_tested + PRIOR_NODES);
}

/*
 * How many neighbours that pass a walk wants of each node.  Where it has to come
 * from afar, the nearest nodes lie along the border of those that pass, not
 * around the query, and have fewer links with each other.
 */
#define WALK_ENOUGH 24
#define WALK_ENOUGH_FROM_AFAR 96

/* Among so many starting points one will lead to the query. */
#define LEAST_SEEDS 8
#define SAMPLE_SEEDS 64
#define ROUTED_SEEDS 32

/*
 * Starting points that pass: of the routing table's, or behind them; if there
 * are few, the query may lie where hardly any node passes: then the nearest of
 * the whole table's that do, and some from anywhere.
 */
static void
seed_walk(OmenScanSegment *scan)
{
	uint32		nodes[Max(OMEN_SCAN_SEEDS, SAMPLE_SEEDS)];
	OmenCandidate routed[ROUTED_SEEDS];
	int			n_routed;

	for (int i = 0; i < scan->n_seeds; i++)
		nodes[i] = scan->seeds[i].node;
	scan->source.enough = WALK_ENOUGH;
	omen_search_meet(scan->search, nodes, scan->n_seeds);
	if (omen_search_n_results(scan->search) >= LEAST_SEEDS && !omen_scan_is_afar(scan))
		return;
	scan->source.enough = WALK_ENOUGH_FROM_AFAR;
	n_routed = nearest_records(scan, &scan->samples, 0, scan->samples.n_records, true, routed, ROUTED_SEEDS);
	for (int i = 0; i < n_routed; i++)
		routed[i].node = routing_payload(scan, &scan->samples, routed[i].node);
	omen_reader_release(scan->reader);
	omen_search_seed(scan->search, routed, n_routed);
	if (n_routed < ROUTED_SEEDS)
		omen_search_meet(scan->search, nodes, omen_segment_filter_sample(scan->filter, nodes, SAMPLE_SEEDS));
}

static void
begin_search(OmenScanSegment *scan, OmenScanWay way, float bound)
{
	find_seeds(scan);
	if (way == OMEN_WAY_WALK)
		scan->source = scan->resident ? selecting_resident_source : selecting_page_source;
	else
		scan->source = scan->resident ? resident_source : page_source;
	scan->excluded = returned_bitmap(scan);
	if (scan->filter)
		prepare_tests(scan);
	omen_search_begin(scan->search, &scan->source, beam_of(scan, way), bound, true);
	if (way == OMEN_WAY_WALK)
		seed_walk(scan);
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
		n += node_passes(scan, found[i].node);
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

/* Of what a search has found, what passes and has not been returned. */
static int
keep_passing(OmenScanSegment *scan, const OmenCandidate *found, int n_found)
{
	int			n = 0;

	if (scan->kept_capacity < (uint32) n_found)
	{
		if (scan->kept)
			pfree(scan->kept);
		scan->kept = palloc_extended(n_found * sizeof(OmenCandidate), MCXT_ALLOC_HUGE);
		scan->kept_capacity = n_found;
	}
	for (int i = 0; i < n_found; i++)
	{
		uint32		node = found[i].node;

		if (scan->excluded && ((scan->excluded[node / 64] >> (node % 64)) & 1) != 0)
			continue;
		if (scan->search_way == OMEN_WAY_WALK || node_passes(scan, node))
			scan->kept[n++] = found[i];
	}
	omen_segment_filter_release(scan->filter);
	return n;
}

/*
 * How far the results of a search, nearest first, can be relied on.  Never
 * INFINITY, which keys may be: there may be others.
 */
static float
search_horizon(const OmenCandidate *candidates, int n, float bound)
{
	return Min(Min(candidates[(n * 3 - 1) / 4].key, bound), FLT_MAX);
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

	if (n_found > 0)
		*horizon = search_horizon(*candidates, n_found, bound);
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
		sample_near_share(scan);
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

bool
omen_scan_segment_passes(OmenScanSegment *scan, uint32 entry)
{
	bool		passes;

	if (scan->filter == NULL)
		return true;
	passes = omen_segment_filter_passes(scan->filter, entry);
	omen_segment_filter_release(scan->filter);
	return passes;
}

double
omen_scan_segment_bound(OmenScanSegment *scan, uint32 node)
{
	const void *factors;
	const void *body;
	const uint8 *code;
	OmenCodeRef ref;

	if (scan->query == NULL)
		return 0;
	read_record(scan, &scan->codes, node, &factors, &body);
	code = scan->codec->variable ? stored_code(scan, body, &ref) : body;
	return scan->codec->lower_bound(scan->codec, scan->query, factors, code);
}

double
omen_scan_segment_refined_bound(OmenScanSegment *scan, uint32 node)
{
	const void *factors;
	const void *code;
	const void *refine_factors;
	const void *refine_code;

	omen_reader_release(scan->reader);	/* so that it has room for both */
	read_record(scan, &scan->codes, node, &factors, &code);
	read_record(scan, &scan->refines, node, &refine_factors, &refine_code);
	return scan->codec->refined_bound(scan->codec, scan->query, factors, code,
									  refine_factors, refine_code);
}

void
omen_scan_segment_prefetch_refine(OmenScanSegment *scan, uint32 node)
{
	if (scan->resident == NULL)
		omen_reader_prefetch(scan->reader, &scan->refines, node);
	else
		prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_REFINE, node),
					   Min(scan->resident->strides[OMEN_COLUMN_REFINE - 1], PREFETCH_MAX_BYTES));
}

OmenTidEntry
omen_scan_segment_tid(OmenScanSegment *scan, uint32 entry)
{
	const void *head;
	const void *body;

	read_record(scan, &scan->tids, entry, &head, &body);
	return *(const OmenTidEntry *) body;
}

bool
omen_scan_segment_is_dead(OmenScanSegment *scan, uint32 entry)
{
	const void *head;
	const void *body;

	if (scan->segment->n_dead == 0)
		return false;
	omen_reader_one(scan->reader, &scan->dead, entry / 64, &head, &body);
	return (*(const uint64 *) body >> (entry % 64)) & 1;
}
