/*-------------------------------------------------------------------------
 *
 * scan_seeds.c
 *	  Where the search of a segment begins.
 *
 * At the nearest samples of the nearest centres of the routing table, which
 * stands for the upper levels of HNSW, and for sparse vectors at nodes that have
 * the query's terms.  A walk among nodes that pass a filter begins at such as do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_segment_internal.h"

/* What a routing record carries beside its code. */
static uint32
routing_payload(OmenScanSegment *scan, const OmenColumnView *view, uint32 record)
{
	const void *head;
	const void *body;
	uint32		payload;

	omen_scan_read_record(scan, view, record, &head, &body);
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

	for (uint32 start = 0; start < n; start += OMEN_SCAN_KEY_BATCH)
	{
		uint32		records[OMEN_SCAN_KEY_BATCH];
		float		keys[OMEN_SCAN_KEY_BATCH];
		uint32		end = first + start + Min(n - start, OMEN_SCAN_KEY_BATCH);
		int			count = 0;

		for (uint32 record = first + start; record < end; record++)
			if (!passing || omen_scan_node_passes(scan, routing_payload(scan, view, record)))
				records[count++] = record;
		omen_scan_column_keys(scan, view, records, count, keys);

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

		omen_scan_read_record(scan, &scan->terms, records[i], &head, &body);
		memcpy(nodes + n_nodes, body, OMEN_TERM_NODES * sizeof(uint32));
		n_nodes += OMEN_TERM_NODES;
	}
	n_nodes = omen_terms_distinct(nodes, n_nodes);
	omen_scan_column_keys(scan, &scan->codes, nodes, n_nodes, keys);
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

void
omen_scan_find_seeds(OmenScanSegment *scan)
{
	if (scan->n_seeds > 0)
		return;
	scan->n_seeds = find_routing_seeds(scan, scan->seeds);
	scan->n_seeds += find_term_seeds(scan, scan->seeds + scan->n_seeds);
}

/* What is known of all nodes counts as so many of them. */
#define PRIOR_NODES 8

void
omen_scan_sample_near_share(OmenScanSegment *scan)
{
	OmenNodeSource *source = &scan->source;
	uint32		n_tested = 0;
	uint32		n_passing = 0;

	omen_scan_find_seeds(scan);
	omen_scan_prepare_tests(scan);
	*source = omen_scan_node_source(scan, true);
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

void
omen_scan_seed_walk(OmenScanSegment *scan)
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
