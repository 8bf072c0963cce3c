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
#include "src/am/build_team.h"
#include "src/am/row_collector.h"
#include "src/filter/attribute_table.h"
#include "src/graph/graph_build.h"

/* When merges have renewed more than this share of a segment, it is numbered and linked anew. */
#define OMEN_RENEWED_SHARE 0.5

typedef enum OmenBuildPhase
{
	OMEN_PHASE_LOAD = 2,		/* 1 is PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE */
	OMEN_PHASE_ORDER = 3,
	OMEN_PHASE_LINK = 4,
	OMEN_PHASE_WRITE = 5
} OmenBuildPhase;

/* A row whose code another row has already. */
typedef struct OmenDuplicate
{
	uint32		node;			/* that has the code */
	ItemPointerData tid;
} OmenDuplicate;

/*
 * A segment that goes on in the new one: those of its nodes that have rows left
 * come first among the rows gathered, in their order, and keep their links.
 */
typedef struct OmenCarried
{
	uint32		n_nodes;		/* that go on */
	OmenOlderGraph graph;		/* with all nodes of the segment */
	OmenRouting routing;		/* of the graph */
	uint64	   *removed;		/* of the graph */
	uint32	   *links;			/* of the graph; released when they have been carried over */
	uint8	   *bytes;			/* of codes of variable length; NULL if there are none */
	OmenDuplicate *duplicates;	/* further rows of the nodes that go on, by their place among these */
	uint32		n_duplicates;
	uint32		max_duplicates;
	uint32		n_renewed;		/* of OmenSegment */
	OmenRecallCurve curve;
} OmenCarried;

/* Each member of a team has one, and calls the functions marked collective. */
typedef struct OmenSegmentBuilder
{
	Relation	index;
	const OmenMeta *meta;
	OmenMeta   *open_meta;		/* the same, if m and ef_construction are yet to be chosen */
	const OmenCodec *codec;
	OmenBuildTeam *team;
	bool		report_progress;
	OmenRowCollector collector; /* this member's rows */
	OmenRowSet	rows;			/* all rows, once gathered; after folding, nodes */
	OmenSketch	sketch;			/* kind NONE: the segment is to have none */
	OmenAttributeTable *attributes; /* of this member's rows; the leader's, once gathered, of all; or NULL */
	OmenCarried *carried;		/* what the first of them are, or NULL; for a team of one */
} OmenSegmentBuilder;

extern OmenSegmentBuilder *omen_builder_create(Relation index, const OmenMeta *meta,
											   const OmenCodec *codec, OmenBuildTeam *team,
											   const OmenSegmentLimit *limit, bool report_progress);
extern bool omen_builder_gather(OmenSegmentBuilder *builder, bool more);
extern bool omen_builder_write(OmenSegmentBuilder *builder, uint32 *segment_id);
extern void omen_builder_report_phase(OmenSegmentBuilder *builder, OmenBuildPhase phase, uint32 total);
extern size_t omen_builder_row_bytes(Relation index, const OmenMeta *meta, const OmenCodec *codec);

/* See omen_collector_add(). */
static inline void
omen_builder_add(OmenSegmentBuilder *builder, ItemPointer tid, const void *factors,
				 const uint8 *code, uint32 n_code_bytes, const char *refine)
{
	omen_collector_add(&builder->collector, tid, factors, code, n_code_bytes, refine);
}

static inline void
omen_builder_add_null(OmenSegmentBuilder *builder, ItemPointer tid)
{
	omen_collector_add_null(&builder->collector, tid);
}

static inline void
omen_builder_add_undirected(OmenSegmentBuilder *builder, ItemPointer tid)
{
	omen_collector_add_undirected(&builder->collector, tid);
}

/* The attributes of a row, if the index has any. */
static inline void
omen_builder_add_attributes(OmenSegmentBuilder *builder, ItemPointer tid, const Datum *values,
							const bool *isnull)
{
	if (builder->attributes)
		omen_attribute_table_add_values(builder->attributes, tid, values, isnull);
}

/* Of the rows gathered. */
static inline char *
omen_builder_factors(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->rows.factors + (size_t) i * builder->codec->factor_bytes;
}

static inline uint8 *
omen_builder_code(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->rows.codes + (size_t) i * builder->codec->code_bytes;
}

static inline char *
omen_builder_refine(const OmenSegmentBuilder *builder, uint32 i)
{
	return builder->rows.refines + (size_t) i * builder->codec->refine_bytes;
}

#endif							/* OMEN_SEGMENT_BUILDER_H */
