/*-------------------------------------------------------------------------
 *
 * graph_array.c
 *	  A node source over plain arrays: records and links by node number.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_array.h"

#include "src/graph/graph_candidate.h"

/* Of a long code, so much is asked for; the hardware streams the rest. */
#define PREFETCH_MAX_BYTES 1024

/* Pointers are gathered for so many records at a time. */
#define KEYS_CHUNK 64

static void
array_prefetch(const void *from, uint32 bytes)
{
	const char *line = from;
	const char *end = line + bytes;

	for (; line < end; line += OMEN_CACHE_LINE)
		__builtin_prefetch(line);
}

static void
array_prefetch_links(OmenNodeSource *base, uint32 node)
{
	OmenArraySource *source = (OmenArraySource *) base;

	array_prefetch(source->links + (size_t) node * source->max_links,
				   source->max_links * sizeof(uint32));
}

/* The whole list is copied; counting instead of stopping needs no branches. */
static int
array_links(OmenNodeSource *base, uint32 node, uint32 *out)
{
	OmenArraySource *source = (OmenArraySource *) base;
	const uint32 *links = source->links + (size_t) node * source->max_links;
	uint32		max_links = source->max_links;
	uint32		n = 0;
	uint32		i;

	for (i = 0; i < max_links; i++)
	{
		out[i] = links[i];
		n += (links[i] != OMEN_NO_NODE);
	}
	return (int) n;
}

static void
array_prefetch_codes(OmenNodeSource *base, const uint32 *nodes, int n)
{
	OmenArraySource *source = (OmenArraySource *) base;

	omen_records_prefetch(source->records, nodes, n);
}

static void
array_keys(OmenNodeSource *base, const uint32 *nodes, int n, float *out)
{
	OmenArraySource *source = (OmenArraySource *) base;

	omen_records_keys(source->records, source->query, nodes, n, out);
}

void
omen_array_source_init(OmenArraySource *source, const OmenRecords *records,
					   const uint32 *links, uint32 max_links, const OmenQuery *query)
{
	source->source.prefetch_links = array_prefetch_links;
	source->source.links = array_links;
	source->source.prefetch_codes = array_prefetch_codes;
	source->source.keys = array_keys;
	source->source.select = NULL;
	source->source.enough = 0;
	source->records = records;
	source->links = links;
	source->max_links = max_links;
	source->query = query;
	source->sketch_query = NULL;
}

static inline const uint8 *
sketch_record(const OmenSketches *sketches, uint32 node)
{
	return sketches->records + (size_t) node * sketches->sketch->sketch_bytes;
}

static void
array_prefetch_sketches(OmenNodeSource *base, const uint32 *nodes, int n)
{
	const OmenSketches *sketches = ((OmenArraySource *) base)->records->sketches;
	int			i;

	for (i = 0; i < n; i++)
		array_prefetch(sketch_record(sketches, nodes[i]),
					   Min(sketches->sketch->sketch_bytes, PREFETCH_MAX_BYTES));
}

static void
array_sketch_keys(OmenNodeSource *base, const uint32 *nodes, int n, float *out)
{
	OmenArraySource *source = (OmenArraySource *) base;

	omen_sketches_keys(source->records->sketches, source->sketch_query, nodes, n, out);
}

void
omen_array_source_sketched(OmenArraySource *source, const OmenRecords *records,
						   const uint32 *links, uint32 max_links)
{
	omen_array_source_init(source, records, links, max_links, NULL);
	source->source.prefetch_codes = array_prefetch_sketches;
	source->source.keys = array_sketch_keys;
}

void
omen_sketches_keys(const OmenSketches *sketches, const OmenSketchQuery *query,
				   const uint32 *nodes, int n, float *keys)
{
	const uint8 *records[KEYS_CHUNK];
	int			from;

	for (from = 0; from < n; from += KEYS_CHUNK)
	{
		int			n_chunk = Min(n - from, KEYS_CHUNK);
		int			i;

		for (i = 0; i < n_chunk; i++)
			records[i] = sketch_record(sketches, nodes[from + i]);
		sketches->sketch->keys(sketches->sketch, query, n_chunk, records, keys + from);
	}
}

void
omen_records_prefetch(const OmenRecords *records, const uint32 *nodes, int n)
{
	uint32		code_bytes = Min(records->codec->code_bytes, PREFETCH_MAX_BYTES);
	uint32		last_byte = records->codec->factor_bytes - 1;
	int			i;

	for (i = 0; i < n; i++)
	{
		const char *factors = omen_records_factors(records, nodes[i]);

		array_prefetch(omen_records_code(records, nodes[i]), code_bytes);
		/* they may straddle two lines; asking twice for one costs little */
		__builtin_prefetch(factors);
		__builtin_prefetch(factors + last_byte);
	}
}

void
omen_records_keys(const OmenRecords *records, const OmenQuery *query,
				  const uint32 *nodes, int n, float *keys)
{
	const OmenCodec *codec = records->codec;
	const void *factors[KEYS_CHUNK];
	const uint8 *codes[KEYS_CHUNK];
	int			from;

	for (from = 0; from < n; from += KEYS_CHUNK)
	{
		int			n_chunk = Min(n - from, KEYS_CHUNK);
		int			i;

		for (i = 0; i < n_chunk; i++)
		{
			factors[i] = omen_records_factors(records, nodes[from + i]);
			codes[i] = omen_records_code(records, nodes[from + i]);
		}
		codec->keys(codec, query, n_chunk, factors, codes, keys + from);
	}
}

/* Keep the `room` least of a sorted array of *n words and one more. */
static void
route_keep_least(uint64 *words, int *n, int room, uint64 word)
{
	int			at = *n;

	if (*n == room && word >= words[room - 1])
		return;
	if (*n == room)
		at--;
	else
		(*n)++;
	for (; at > 0 && words[at - 1] > word; at--)
		words[at] = words[at - 1];
	words[at] = word;
}

/*
 * Compare the query with the nodes nodes[0 .. n) (or from, from + 1, ... if
 * nodes is NULL) and keep the `room` nearest.
 */
static void
route_nearest(const OmenRecords *records, const OmenQuery *query, const uint32 *nodes,
			  uint32 n, uint64 *words, int *n_words, int room)
{
	uint32		chunk[KEYS_CHUNK];
	float		keys[KEYS_CHUNK];
	uint32		from;

	for (from = 0; from < n; from += KEYS_CHUNK)
	{
		uint32		n_chunk = Min(n - from, KEYS_CHUNK);
		uint32		i;

		for (i = 0; i < n_chunk; i++)
			chunk[i] = nodes ? nodes[from + i] : from + i;
		omen_records_keys(records, query, chunk, (int) n_chunk, keys);
		for (i = 0; i < n_chunk; i++)
			route_keep_least(words, n_words, room, omen_packed_make(keys[i], chunk[i]));
	}
}

int
omen_array_route(const OmenRecords *records, const OmenRouting *routing,
				 const OmenQuery *query, OmenCandidate seeds[OMEN_ROUTING_SEEDS])
{
	uint64		probes[OMEN_ROUTING_PROBES];
	uint64		nearest[OMEN_ROUTING_SEEDS];
	int			n_probes = 0;
	int			n_seeds = 0;
	int			i;

	route_nearest(&routing->centres, query, NULL, routing->centres.n,
				  probes, &n_probes, OMEN_ROUTING_PROBES);
	for (i = 0; i < n_probes; i++)
	{
		uint32		centre = omen_packed_node(probes[i]);
		uint32		from = routing->first_sample[centre];
		uint32		to = routing->first_sample[centre + 1];

		route_nearest(records, query, routing->sample_nodes + from, to - from,
					  nearest, &n_seeds, OMEN_ROUTING_SEEDS);
	}
	for (i = 0; i < n_seeds; i++)
	{
		seeds[i].key = omen_packed_key(nearest[i]);
		seeds[i].node = omen_packed_node(nearest[i]);
	}
	return n_seeds;
}
