/*-------------------------------------------------------------------------
 *
 * scan_source.c
 *	  The nodes of a segment as a scan reads them.
 *
 * There are two node sources over the columns NODES and CODES.  One reads
 * pages: per expansion it pins those of the neighbours, computes, and lets go.
 * The other reads a resident copy of the columns: pointers, and nothing to let
 * go of.  Both give the same answers bit by bit.  Either may select: tell nodes
 * that pass the filter from others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment_internal.h"

#include "miscadmin.h"

#define CACHE_LINE 64

/* Of a long code, so much is asked for; the hardware streams the rest. */
#define PREFETCH_MAX_BYTES 1024
#define PREFETCH_AHEAD_BYTES 192

/* ---- the node source over a resident copy ---- */

/*
 * Into the second level of the cache: what is asked for at once would fill the
 * first, which has but a dozen or two of lines under way at a time and makes the
 * processor wait for room.
 */
static void
prefetch_lines(const char *from, uint32 n_bytes)
{
	for (uint32 i = 0; i < n_bytes; i += CACHE_LINE)
		__builtin_prefetch(from + i, 0, 2);
}

static void
resident_prefetch_links_only(OmenNodeSource *source, uint32 node)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;

	prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_NODES, node),
				   scan->nodes.shape.body_bytes);
}

static void
resident_prefetch_links(OmenNodeSource *source, uint32 node)
{
	resident_prefetch_links_only(source, node);
	((OmenScanSegment *) source)->upcoming = node;
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

/* The beginnings of codes, up to so many bytes of each. */
static inline void
prefetch_codes_of(const OmenScanSegment *scan, const uint32 *nodes, int n, uint32 most_bytes)
{
	uint32		n_bytes = Min(scan->resident->strides[OMEN_COLUMN_CODES - 1], most_bytes);

	for (int i = 0; i < n; i++)
		prefetch_lines(omen_resident_body(scan->resident, OMEN_COLUMN_CODES, nodes[i]), n_bytes);
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
	uint32		upcoming[OMEN_MAX_LINKS];
	int			n_upcoming = resident_links(source, scan->upcoming, upcoming);

	prefetch_codes_of(scan, nodes, n, PREFETCH_MAX_BYTES);
	prefetch_codes_of(scan, upcoming, n_upcoming, PREFETCH_AHEAD_BYTES);
}

static void
resident_prefetch_codes_only(OmenNodeSource *source, const uint32 *nodes, int n)
{
	prefetch_codes_of((OmenScanSegment *) source, nodes, n, PREFETCH_MAX_BYTES);
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

void
omen_scan_column_keys(OmenScanSegment *scan, const OmenColumnView *view,
					  const uint32 *records, int n, float *out)
{
	const void *heads[OMEN_READER_BATCH];
	const void *bodies[OMEN_READER_BATCH];

	scan->n_distances += n;
	if (omen_scan_has_copy(scan, view->column))
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

	omen_scan_column_keys(scan, &scan->codes, nodes, n, out);
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
		if (i % OMEN_SCAN_KEY_BATCH == 0)
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

bool
omen_scan_node_passes(OmenScanSegment *scan, uint32 node)
{
	return node_passes(scan, node);
}

void
omen_scan_prepare_tests(OmenScanSegment *scan)
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

/* ---- the same by sketches ---- */

static void
resident_prefetch_sketches(OmenNodeSource *source, const uint32 *nodes, int n)
{
	OmenScanSegment *scan = (OmenScanSegment *) source;
	uint32		upcoming[OMEN_MAX_LINKS];
	int			n_upcoming = resident_links(source, scan->upcoming, upcoming);

	omen_scan_prefetch_sketches(scan, nodes, n);
	omen_scan_prefetch_sketches(scan, upcoming, n_upcoming);
}

static void
sketch_keys(OmenNodeSource *source, const uint32 *nodes, int n, float *out)
{
	omen_scan_sketch_keys((OmenScanSegment *) source, nodes, n, out);
}

/*
 * A walk's next expansion reads more lists than that of the upcoming node: only
 * what is wanted for certain is asked for ahead.
 */
OmenNodeSource
omen_scan_node_source(const OmenScanSegment *scan, bool selecting)
{
	OmenNodeSource source = scan->resident ? resident_source : page_source;
	bool		codes_copied = omen_scan_has_copy(scan, OMEN_COLUMN_CODES);

	if (scan->resident && !codes_copied)
	{
		source.keys = source_keys;
		source.prefetch_codes = source_prefetch_codes;
	}
	if (omen_scan_is_sketched(scan))
	{
		source.keys = sketch_keys;
		if (scan->resident)
			source.prefetch_codes = resident_prefetch_sketches;
	}
	if (!selecting)
		return source;
	source.select = source_select;
	if (scan->resident)
	{
		source.prefetch_links = resident_prefetch_links_only;
		if (codes_copied)
			source.prefetch_codes = resident_prefetch_codes_only;
	}
	return source;
}

void
omen_scan_prefetch_codes(OmenScanSegment *scan, const uint32 *nodes, int n)
{
	if (omen_scan_has_copy(scan, OMEN_COLUMN_CODES))
		prefetch_codes_of(scan, nodes, n, PREFETCH_MAX_BYTES);
}

/* ---- records ---- */

double
omen_scan_segment_bound(OmenScanSegment *scan, uint32 node)
{
	const void *factors;
	const void *body;
	const uint8 *code;
	OmenCodeRef ref;

	if (scan->query == NULL)
		return 0;
	omen_scan_read_record(scan, &scan->codes, node, &factors, &body);
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
	omen_scan_read_record(scan, &scan->codes, node, &factors, &code);
	omen_scan_read_record(scan, &scan->refines, node, &refine_factors, &refine_code);
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

	omen_scan_read_record(scan, &scan->tids, entry, &head, &body);
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
