/*-------------------------------------------------------------------------
 *
 * page_layout.h
 *	  Every byte of an omenhnsw relation: the only declaration of it.
 *
 * All structs are read and written in native byte order, as PostgreSQL's own
 * pages are.  Fixed-width members only; padding is named and zero.
 *
 * Format versions:
 *	1	first version (0.1.0)
 *
 * A page is a standard page: header, contents, special space.  Every page but
 * the metapage begins its contents with an OmenPageStamp, which shares a cache
 * line with the page header, and ends in an OmenPageTrailer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_PAGE_LAYOUT_H
#define OMEN_PAGE_LAYOUT_H

#include "postgres.h"

#include "access/transam.h"
#include "storage/block.h"
#include "storage/bufpage.h"

#define OMEN_MAGIC			0x6F6D656EU /* "omen" */
#define OMEN_FORMAT_VERSION 2
#define OMEN_FORMAT_OLDEST	2	/* oldest version that this code reads */

#define OMEN_META_BLOCK		0

/* For pg_filedump and its like: in the last two bytes of each page. */
#define OMEN_PAGE_ID		0xFFA7

#define OMEN_PAGE_META		1
#define OMEN_PAGE_COLUMN	2	/* part of a column of a sealed segment */
#define OMEN_PAGE_ROWS		3	/* part of a tail */

#define OMEN_ROWS_CONTINUED 1	/* stamp of a rows page: goes on with a row begun before */

#define OMEN_PAGE_CLOSED	(1 << 0)	/* rows page: accepts no further rows */

/* Special space, 8 bytes; written when the page is made, flags under the exclusive lock. */
typedef struct OmenPageTrailer
{
	uint16		kind;			/* OMEN_PAGE_* */
	uint16		flags;
	uint16		unused;
	uint16		page_id;		/* OMEN_PAGE_ID */
} OmenPageTrailer;

StaticAssertDecl(sizeof(OmenPageTrailer) == 8, "on-disk size of OmenPageTrailer");

/*
 * Says what the page is part of; never changes until the page is recycled,
 * so a reader who comes with an old directory finds out.
 */
typedef struct OmenPageStamp
{
	uint32		segment_id;
	uint32		logical_block;	/* within the column, or within the tail */
	uint16		column;			/* OmenColumnId; in a tail 0, or OMEN_ROWS_CONTINUED */
	uint16		n_records;		/* records that begin on this page */
	uint32		unused;
} OmenPageStamp;

StaticAssertDecl(sizeof(OmenPageStamp) == 16, "on-disk size of OmenPageStamp");

#define OMEN_PAGE_START		(MAXALIGN(SizeOfPageHeaderData) + sizeof(OmenPageStamp))
#define OMEN_PAGE_END		(BLCKSZ - sizeof(OmenPageTrailer))
#define OMEN_PAGE_CAPACITY	(OMEN_PAGE_END - OMEN_PAGE_START)

#define OmenPageGetStamp(page) ((OmenPageStamp *) PageGetContents(page))
#define OmenPageGetTrailer(page) ((OmenPageTrailer *) PageGetSpecialPointer((Page) (page)))

/*
 * Columns of a sealed segment.  A record of a column is a head and a body,
 * each of fixed size; a page holds an array of heads, then from the next
 * multiple of 64 on an array of bodies.  A record too long for a page begins
 * on a page of its own and goes on, without gap, on as many more as it needs.
 *
 *	column	record				head					body
 *	CODES	node				codec's factors			codec's code
 *	NODES	node				-						2m neighbours (uint32)
 *	TIDS	TID entry			-						OmenTidEntry
 *	DEAD	64 TID entries		-						a bit each (uint64)
 *	CENTRES	routing centre		factors, first sample	code
 *	SAMPLES	routing sample		factors, node number	code
 *	BYTES	chunk of bytes		-						OMEN_CHUNK_BYTES bytes
 *	TERMS	hash of a term		-						OMEN_TERM_LINKS node numbers
 *	REFINE	node				finer code's factors	finer code
 *	ATTRIBUTES	chunk of bytes	-						OMEN_CHUNK_BYTES bytes
 *	SKETCHES	node			-						sketch
 *
 * Where codes differ in length, the body of CODES, CENTRES and SAMPLES is an
 * OmenStoredRef into BYTES.  REFINE is there if the segment's refine is not 0.
 * SKETCHES is there if the segment has a kind of sketches; then codes do not
 * differ in length, and BYTES is one range of bytes: an OmenStoredModel and the
 * model that the sketches were made with.
 */
typedef enum OmenColumnId
{
	OMEN_COLUMN_CODES = 1,
	OMEN_COLUMN_NODES = 2,
	OMEN_COLUMN_TIDS = 3,
	OMEN_COLUMN_DEAD = 4,
	OMEN_COLUMN_CENTRES = 5,
	OMEN_COLUMN_SAMPLES = 6,
	OMEN_COLUMN_BYTES = 7,
	OMEN_COLUMN_TERMS = 8,
	OMEN_COLUMN_REFINE = 9,
	OMEN_COLUMN_ATTRIBUTES = 10,
	OMEN_COLUMN_SKETCHES = 11
} OmenColumnId;

#define OMEN_N_COLUMNS		11
#define OMEN_MAX_COLUMNS	11	/* places in a segment's descriptor */

/*
 * One heap TID, or a reference to a list of them.  Entry number i < n_nodes
 * belongs to node i; the lists follow.  A list is a header entry with the
 * count, then as many plain entries.  Bit i of the DEAD column belongs to
 * entry i, and means that the heap tuple is gone.
 */
typedef struct OmenTidEntry
{
	uint32		block;			/* heap block | first entry of the list | count of the list */
	uint16		offset;			/* heap offset number | 0 | 0 */
	uint16		kind;			/* OMEN_TID_* */
} OmenTidEntry;

StaticAssertDecl(sizeof(OmenTidEntry) == 8, "on-disk size of OmenTidEntry");

#define OMEN_TID_PLAIN		0
#define OMEN_TID_LIST		1	/* of a node: go to the list */
#define OMEN_TID_HEADER		2	/* of a list: its length */

#define OMEN_NO_LIST		0xFFFFFFFFU

/* Where a code of variable length lies: a range of the bytes of BYTES, chunk after chunk. */
typedef struct OmenStoredRef
{
	uint64		offset;			/* multiple of 4 */
	uint32		n_bytes;
	uint32		unused;
} OmenStoredRef;

StaticAssertDecl(sizeof(OmenStoredRef) == 16, "on-disk size of OmenStoredRef");

#define OMEN_CHUNK_BYTES	8096

/* Before the model of a segment's sketches, in BYTES. */
typedef struct OmenStoredModel
{
	uint32		n_bytes;		/* of the model, which follows */
	uint32		checksum;		/* CRC-32C of it; for omenvec_check() */
	uint32		unused[14];		/* the model begins at a cache line */
} OmenStoredModel;

StaticAssertDecl(sizeof(OmenStoredModel) == 64, "on-disk size of OmenStoredModel");

/* Nodes in a record of TERMS; unused places are 0xFFFFFFFF. */
#define OMEN_TERM_LINKS		8

/*
 * ATTRIBUTES is one range of bytes, chunk after chunk.  It begins with an
 * OmenStoredAttributes and, for each attribute, an OmenStoredAttribute; their
 * offsets count from there and are multiples of 8.  Rank n_values is that of
 * NULL.  Which types the values have is the index's matter.
 */
typedef struct OmenStoredAttributes
{
	uint32		n_attributes;
	uint32		checksum;		/* CRC-32C of all bytes of the column behind this struct; for omenvec_check() */
	uint64		n_bytes;		/* of the whole range */
	uint64		owners;			/* offset: node (uint32) of each TID entry from n_nodes on, or 0xFFFFFFFF */
} OmenStoredAttributes;

StaticAssertDecl(sizeof(OmenStoredAttributes) == 24, "on-disk size of OmenStoredAttributes");

typedef struct OmenStoredAttribute
{
	uint32		n_values;		/* distinct ones, NULL left out */
	uint32		rank_bytes;		/* of a rank: 1, 2 or 4 */
	uint32		value_bytes;	/* of a value of fixed length, as it is in a tuple; else 0 */
	uint32		unused;
	uint64		values;			/* offset: values, ascending; those of variable length 8-aligned */
	uint64		value_places;	/* offset: n_values + 1 OmenValuePlace, the last is the end; 0 if of fixed length */
	uint64		ranks;			/* offset: of each TID entry; of list headers and references 0 */
	uint64		posting_starts; /* offset: for ranks 0 .. n_values + 1 (uint32), the last is the end */
	uint64		postings;		/* offset: numbers of TID entries (uint32), by rank, then ascending */
} OmenStoredAttribute;

StaticAssertDecl(sizeof(OmenStoredAttribute) == 56, "on-disk size of OmenStoredAttribute");

/*
 * A value of variable length has a checksum: what operators do with damaged
 * arrays or documents is not bounded by their length.
 */
typedef struct OmenValuePlace
{
	uint32		start;			/* from `values` on, in units of 8 bytes */
	uint32		checksum;		/* CRC-32C of the bytes from here to the next place; 0 at the end */
} OmenValuePlace;

StaticAssertDecl(sizeof(OmenValuePlace) == 8, "on-disk size of OmenValuePlace");

#define OMEN_VALUE_ALIGNMENT 8

/*
 * Start of a row in a tail page; the codec's factors and code follow.  Where
 * codes differ in length, a uint32 with the bytes of the code stands between
 * header and factors.  If the index has finer codes, that of the row follows its
 * code: factors, then code.  If it has attributes, an index tuple of them comes
 * last, with the CRC-32C of all that follows in place of a TID; the bytes of that
 * tuple, a uint32, stand before the factors.  A row too long for a page begins on
 * a page of its own and goes on, without gap, on as many more as it needs.
 */
typedef struct OmenRowHeader
{
	uint32		block;			/* heap block */
	uint16		offset;			/* heap offset number */
	uint16		flags;			/* OMEN_ROW_* */
} OmenRowHeader;

StaticAssertDecl(sizeof(OmenRowHeader) == 8, "on-disk size of OmenRowHeader");

#define OMEN_ROW_DEAD		(1 << 0)	/* set by vacuum, under the exclusive lock */
#define OMEN_ROW_NULL		(1 << 1)	/* the vector is NULL; no code */
#define OMEN_ROW_UNDIRECTED	(1 << 2)	/* zero vector in a cosine index; no code */

/* A range of blocks. */
typedef struct OmenRun
{
	BlockNumber start;
	uint32		n_blocks;
} OmenRun;

StaticAssertDecl(sizeof(OmenRun) == 8, "on-disk size of OmenRun");

/* How the sketches of a segment were made, and what a record of them takes. */
typedef struct OmenStoredSketches
{
	uint8		kind;			/* OmenSketchKind; 0: there are none, and all is 0 */
	uint8		bits;			/* of a component, or of a sub-vector */
	uint16		subvectors;		/* of product sketches, else 0 */
	uint16		n_bytes;		/* of a record */
	uint8		oversampling;	/* a search keeps so many times as many candidates as by codes; the curve counts the latter */
	uint8		unused;
} OmenStoredSketches;

StaticAssertDecl(sizeof(OmenStoredSketches) == 8, "on-disk size of OmenStoredSketches");

typedef struct OmenColumnRange
{
	uint32		first_block;	/* logical block of the segment */
	uint32		n_blocks;
} OmenColumnRange;

#define OMEN_SEGMENT_GRAPH	1	/* sealed: columns */
#define OMEN_SEGMENT_TAIL	2	/* rows in the order of their arrival */

#define OMEN_STATE_BUILDING 1	/* space taken, content not valid yet: a crash leaves this */
#define OMEN_STATE_OPEN		2	/* the one tail that accepts rows */
#define OMEN_STATE_LIVE		3	/* sealed segment, or a tail that is being sealed */
#define OMEN_STATE_RETIRED	4	/* replaced; scans begun before retire_xid may still read it */

#define OMEN_MAX_RUNS		8

/*
 * What searches of a segment find, measured when it was made: recall@10 of
 * queries of four classes, told apart by the key of the tenth node that a beam
 * of 24 finds, by beams of 16, 24, 37, 56, 84 and 128.  A value v stands for
 * 1 - 2 ^ (-v / 16); all zero if the segment was too small to measure.  The
 * values are those of OmenRecallCurve (graph_calibrate.h).
 */
typedef struct OmenSegmentCurve
{
	float		limits[3];		/* greatest key of each class but the last */
	uint8		recall[4][6];
} OmenSegmentCurve;

StaticAssertDecl(sizeof(OmenSegmentCurve) == 36, "on-disk size of OmenSegmentCurve");

/* One entry of the directory. */
typedef struct OmenSegment
{
	uint32		id;				/* never used again in this relation */
	uint8		kind;			/* OMEN_SEGMENT_* */
	uint8		state;			/* OMEN_STATE_* */
	uint8		n_runs;
	uint8		refine;			/* OmenRefineKind of the column REFINE */
	uint64		retire_xid;		/* FullTransactionId, when RETIRED */
	uint32		n_blocks;		/* sum of the runs */
	uint32		n_nodes;
	uint32		n_tid_entries;	/* n_nodes + the lists with their headers */
	uint32		n_rows;			/* heap TIDs */
	uint32		n_dead;			/* of them dead */
	uint32		null_list;		/* TIDs of NULL vectors: TID entry, or OMEN_NO_LIST */
	uint32		undirected_list;	/* TIDs of zero vectors under the cosine metric */
	uint32		n_centres;
	uint32		n_samples;
	uint32		n_chunks;		/* of BYTES */
	uint32		n_terms;		/* records of TERMS; 0 if the codes have no terms */
	uint32		stamp;			/* random, not 0: tells apart segments with the same id, file after file */
	OmenSegmentCurve curve;
	uint32		n_renewed;		/* nodes that merges have added and removed since all were numbered */
	OmenColumnRange columns[OMEN_MAX_COLUMNS];	/* index: OmenColumnId - 1 */
	OmenRun		runs[OMEN_MAX_RUNS];
	OmenStoredSketches sketches;
} OmenSegment;

StaticAssertDecl(sizeof(OmenSegment) == 264, "on-disk size of OmenSegment");

#define OMEN_MAX_SEGMENTS	30

/*
 * Metapage, from PageGetContents() on.  The first part is written once, by
 * the build; the directory changes under the exclusive lock of the page, one
 * WAL record a change.
 */
typedef struct OmenMeta
{
	uint32		magic;
	uint16		version;
	uint16		min_version;	/* oldest reader that understands this relation */
	uint32		dims;
	uint16		vector_kind;	/* OmenVectorKind */
	uint16		metric;			/* OmenMetric */
	uint16		code_kind;		/* OmenCodeKind */
	uint16		m;
	uint16		ef_construction;
	uint16		factor_bytes;	/* of a record's head in CODES */
	uint32		code_bytes;		/* of its body */
	uint16		variable_codes; /* 1 if codes differ in length: then code_bytes is that of OmenStoredRef */
	uint8		n_attributes;	/* key columns after the vector */
	uint8		group_attribute;	/* nodes are numbered by which of them; 0: by locality alone */

	/* directory */
	uint32		end_block;		/* blocks from here on belong to nobody */
	uint32		next_segment_id;
	uint32		n_segments;

	/* written once, by the build */
	uint8		refine;			/* OmenRefineKind, 0: no finer codes */
	uint8		refine_factor_bytes;	/* of a record's head in REFINE */
	uint16		refine_code_bytes;	/* of its body */

	OmenSegment segments[OMEN_MAX_SEGMENTS];
} OmenMeta;

StaticAssertDecl(offsetof(OmenMeta, segments) == 48, "on-disk layout of OmenMeta");
StaticAssertDecl(sizeof(OmenMeta) <= BLCKSZ - 24 - 8, "OmenMeta fits a page");

#endif							/* OMEN_PAGE_LAYOUT_H */
