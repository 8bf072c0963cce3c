/*-------------------------------------------------------------------------
 *
 * segment_content.h
 *	  The columns of a new segment, made from the builder's arrays.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SEGMENT_CONTENT_H
#define OMEN_SEGMENT_CONTENT_H

#include "src/am/segment_builder.h"
#include "src/filter/attribute_image.h"
#include "src/storage/segment_writer.h"

/* After folding, the builder's rows are nodes. */
typedef struct OmenFolded
{
	uint32		n_nodes;
	OmenDuplicate *duplicates;	/* in the order of the rows */
	uint32		n_duplicates;
} OmenFolded;

/* What the TIDS column will hold. */
typedef struct OmenTidColumn
{
	OmenTidEntry *entries;
	uint32		n;
	uint32		null_list;
	uint32		undirected_list;
} OmenTidColumn;

/* Where the records come from, while the segment is written. */
typedef struct OmenContentSource
{
	const OmenSegmentBuilder *builder;
	const OmenRouting *routing;
	OmenTidColumn tids;
	const uint32 *links;
	const OmenSketches *sketches;	/* NULL: none */
	uint32		n_nodes;
	char	   *head;			/* of a routing record */

	OmenAttributeImage attributes;	/* of no chunks if there are none */

	char	   *model;			/* of the sketches, as BYTES holds it */

	/* codes of variable length: nodes, then centres, one after the other */
	uint64	   *offsets;		/* where each begins, and the end */
	OmenStoredRef ref;			/* the one in hand */
	uint32		chunk_first;	/* code with which the chunk in hand begins */
	char	   *chunk;
} OmenContentSource;

/*
 * Describe the segment: builder and folded hold its nodes in their final
 * order, links their lists, sketches what goes with them, or NULL.  source must live as long as content.
 */
extern void omen_content_init(OmenSegmentContent *content, OmenContentSource *source,
							  const OmenSegmentBuilder *builder, OmenFolded *folded,
							  const OmenRouting *routing, const uint32 *links,
							  const OmenSketches *sketches);
extern void omen_content_end(OmenContentSource *source);

#endif							/* OMEN_SEGMENT_CONTENT_H */
