/*-------------------------------------------------------------------------
 *
 * segment_builder.h
 *	  Collecting rows and making a sealed segment of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SEGMENT_BUILDER_H
#define OMEN_SEGMENT_BUILDER_H

#include "src/am/am.h"
#include "src/am/graph_host.h"
#include "src/graph/graph_build.h"

#include "storage/itemptr.h"

typedef enum OmenBuildPhase
{
	OMEN_PHASE_LOAD = 2,		/* 1 is PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE */
	OMEN_PHASE_ORDER = 3,
	OMEN_PHASE_LINK = 4,
	OMEN_PHASE_WRITE = 5
} OmenBuildPhase;

typedef struct OmenTidList
{
	ItemPointerData *tids;
	uint32		n;
	uint32		capacity;
} OmenTidList;

typedef struct OmenSegmentBuilder
{
	Relation	index;
	const OmenMeta *meta;
	const OmenCodec *codec;
	bool		report_progress;
	MemoryContext context;		/* of everything below */
	OmenHost	host;

	/* rows with a code, in the order of their coming */
	uint32		n;
	uint32		capacity;
	char	   *factors;
	uint8	   *codes;
	ItemPointerData *tids;
	bool		sorted;			/* tids ascend */

	/* codes of variable length */
	char	   *piece;			/* where the next one goes */
	size_t		piece_left;
	size_t		bytes_kept;

	/* rows without */
	OmenTidList nulls;
	OmenTidList undirected;
} OmenSegmentBuilder;

extern OmenSegmentBuilder *omen_builder_create(Relation index, const OmenMeta *meta,
											   const OmenCodec *codec, uint32 expected_rows,
											   bool report_progress);
extern void omen_builder_add(OmenSegmentBuilder *builder, ItemPointer tid,
							 const void *factors, const uint8 *code, uint32 n_code_bytes);
extern void omen_builder_add_null(OmenSegmentBuilder *builder, ItemPointer tid);
extern void omen_builder_add_undirected(OmenSegmentBuilder *builder, ItemPointer tid);
extern size_t omen_builder_bytes(const OmenSegmentBuilder *builder);
extern bool omen_builder_is_empty(const OmenSegmentBuilder *builder);
extern bool omen_builder_write(OmenSegmentBuilder *builder, uint32 *segment_id);
extern void omen_builder_destroy(OmenSegmentBuilder *builder);
extern size_t omen_builder_row_bytes(const OmenMeta *meta, const OmenCodec *codec);

/* Records while the builder has them: rows, after folding nodes. */
static inline char *
omen_builder_factors(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->factors + (size_t) i * builder->codec->factor_bytes;
}

static inline uint8 *
omen_builder_code(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->codes + (size_t) i * builder->codec->code_bytes;
}

#endif							/* OMEN_SEGMENT_BUILDER_H */
