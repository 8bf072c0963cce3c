/*-------------------------------------------------------------------------
 *
 * segment_writer.h
 *	  Writing a sealed segment: columns once, then one change of the directory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SEGMENT_WRITER_H
#define OMEN_SEGMENT_WRITER_H

#include "src/storage/column.h"

/* What a new segment consists of; the DEAD column is written as all alive. */
typedef struct OmenSegmentContent
{
	uint32		n_nodes;
	uint32		n_tid_entries;
	uint32		n_rows;
	uint32		n_centres;
	uint32		n_samples;
	uint32		n_chunks;
	uint32		n_terms;
	uint32		n_attribute_chunks;
	uint32		null_list;
	uint32		undirected_list;
	uint32		n_renewed;
	OmenSegmentCurve curve;
	OmenStoredSketches sketches;

	/*
	 * Point at the parts of a record; head may be left alone if the column
	 * has none.  The pointers need only last until the next call.
	 */
	void		(*record) (void *arg, OmenColumnId column, uint32 record,
						   const void **head, const void **body);
	void	   *arg;
} OmenSegmentContent;

extern bool omen_segment_write(Relation index, const OmenMeta *meta,
							   const OmenSegmentContent *content, uint32 *segment_id);
extern void omen_segment_publish(Relation index, uint32 segment_id,
								 const uint32 *replaced, int n_replaced);
extern void omen_segment_set_dead(Relation index, const OmenMeta *meta, const OmenSegment *segment,
								  uint32 dead_block, const uint64 *words, uint32 n_words);

#endif							/* OMEN_SEGMENT_WRITER_H */
