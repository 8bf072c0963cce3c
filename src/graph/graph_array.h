/*-------------------------------------------------------------------------
 *
 * graph_array.h
 *	  A node source over plain arrays: records and links by node number.
 *
 * What the build searches, and whoever has a whole graph in memory (tests,
 * the measurement of recall while an index is sealed, resident copies).
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_GRAPH_ARRAY_H
#define OMEN_GRAPH_ARRAY_H

#include "src/graph/graph_build.h"

#define OMEN_CACHE_LINE 64

typedef struct OmenArraySource
{
	OmenNodeSource source;		/* first, so that pointers convert */
	const OmenRecords *records;
	const uint32 *links;		/* max_links per node, OMEN_NO_NODE ends a list */
	uint32		max_links;
	const OmenQuery *query;		/* prepared for records->codec; may be set later */
	const OmenSketchQuery *sketch_query;	/* instead, if the source compares sketches */
} OmenArraySource;

extern void omen_array_source_init(OmenArraySource *source, const OmenRecords *records,
								   const uint32 *links, uint32 max_links,
								   const OmenQuery *query);

/* The same, comparing the sketches that the records have; the source's sketch_query is set later. */
extern void omen_array_source_sketched(OmenArraySource *source, const OmenRecords *records,
									   const uint32 *links, uint32 max_links);

/* Estimated keys of a query, prepared for the sketches, to n nodes (any n). */
extern void omen_sketches_keys(const OmenSketches *sketches, const OmenSketchQuery *query,
							   const uint32 *nodes, int n, float *keys);

/* Ask for the factors and codes of n nodes. */
extern void omen_records_prefetch(const OmenRecords *records, const uint32 *nodes, int n);

/* Keys of the query to n nodes (any n). */
extern void omen_records_keys(const OmenRecords *records, const OmenQuery *query,
							  const uint32 *nodes, int n, float *keys);

/*
 * Starting points from the routing table: compares the query with all centres
 * and with the samples of the OMEN_ROUTING_PROBES nearest.  Fills in up to
 * OMEN_ROUTING_SEEDS seeds, nearest first, and returns their number (0 only
 * if the graph is empty).
 */
extern int	omen_array_route(const OmenRecords *records, const OmenRouting *routing,
							 const OmenQuery *query,
							 OmenCandidate seeds[OMEN_ROUTING_SEEDS]);

static inline const char *
omen_records_factors(const OmenRecords *records, uint32 node)
{
	return records->factors + (size_t) node * records->codec->factor_bytes;
}

static inline const uint8 *
omen_records_code(const OmenRecords *records, uint32 node)
{
	return records->codes + (size_t) node * records->codec->code_bytes;
}

/* Overwrite one record with another, of the same codec. */
static inline void
omen_records_copy(OmenRecords *to, uint32 to_index, const OmenRecords *from, uint32 from_index)
{
	memcpy(to->factors + (size_t) to_index * to->codec->factor_bytes,
		   omen_records_factors(from, from_index), to->codec->factor_bytes);
	memcpy(to->codes + (size_t) to_index * to->codec->code_bytes,
		   omen_records_code(from, from_index), to->codec->code_bytes);
}

#endif							/* OMEN_GRAPH_ARRAY_H */
