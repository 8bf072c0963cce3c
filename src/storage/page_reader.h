/*-------------------------------------------------------------------------
 *
 * page_reader.h
 *	  Fast, checked access to the records of sealed segments.
 *
 * A reader keeps a handful of pages pinned.  As long as it keeps a page, the
 * pointers into it stay good; when it is full, the caller finishes its work
 * on what it has, releases all and goes on.  A handful, because beyond eight
 * pins PostgreSQL's own bookkeeping goes from an array to a hash table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_PAGE_READER_H
#define OMEN_PAGE_READER_H

#include "src/storage/column.h"

/* PostgreSQL 16 has other names for a relation's file. */
#if PG_VERSION_NUM >= 160000
#define RelationLocator(rel) ((rel)->rd_locator)
#define LocatorNumber(locator) ((locator).relNumber)
#else
#define RelationLocator(rel) ((rel)->rd_node)
#define LocatorNumber(locator) ((locator).relNode)
#endif

#define OMEN_READER_PINS 6
#define OMEN_READER_COPIES 8

typedef struct OmenReader
{
	Relation	index;
	MemoryContext context;		/* of its memory: the current one at init */
	bool		copies;			/* hand out copies of records, not pointers into pages */
	int			io_concurrency; /* reads from disk to have under way; 0: none ahead */
	int			n_pins;
	BlockNumber blocks[OMEN_READER_PINS];
	Buffer		buffers[OMEN_READER_PINS];
	Page		pages[OMEN_READER_PINS];

	int			n_copies;
	char	   *copy_space[OMEN_READER_COPIES];
	size_t		copy_bytes[OMEN_READER_COPIES];
	char	   *space;			/* see omen_reader_space() */
	size_t		space_bytes;
	BufferAccessStrategy strategy;	/* for walks over whole columns, else NULL */
} OmenReader;

/* One column of one segment, ready for access by record number. */
typedef struct OmenColumnView
{
	const OmenSegment *segment;
	OmenColumnId column;
	OmenColumnShape shape;
	uint32		n_records;
	uint32		first_block;	/* logical block of the segment */
	BlockNumber one_run_start;	/* first physical block if in one run, else InvalidBlockNumber */
} OmenColumnView;

extern void omen_reader_init(OmenReader *reader, Relation index);
extern void omen_reader_release(OmenReader *reader);
extern void omen_column_view(OmenColumnView *view, Relation index, const OmenMeta *meta,
							 const OmenSegment *segment, OmenColumnId column);

/*
 * Point at as many of n records, in their order, as the reader has room for
 * (at least one after a release); returns how many.  Faster than one by one:
 * the memory of all is being fetched while the first are pinned.
 */
#define OMEN_READER_BATCH 64

extern int	omen_reader_records(OmenReader *reader, const OmenColumnView *view,
								const uint32 *records, int n,
								const void **heads, const void **bodies);

/* The same for a caller who needs one record at a time: releases as necessary. */
extern void omen_reader_one(OmenReader *reader, const OmenColumnView *view,
							uint32 record, const void **head, const void **body);

/*
 * The same for consecutive records: *bodies is that of the first, and those of
 * the others lie behind it; returns of how many, 1 at least and n at most.
 */
extern uint32 omen_reader_run(OmenReader *reader, const OmenColumnView *view,
							  uint32 record, uint32 n, const void **bodies);

/* Hint that a record will be wanted soon; costs little, promises nothing. */
extern void omen_reader_prefetch(OmenReader *reader, const OmenColumnView *view, uint32 record);

/* Memory of the reader's, one piece at a time, kept until the next call. */
extern char *omen_reader_space(OmenReader *reader, size_t bytes);

/* Pin a block by way of the backend's memory of where it was last. */
extern Buffer omen_read_recent(Relation index, BlockNumber block, BufferAccessStrategy strategy);

/* Report the page in a buffer, pinned, if its stamp is not this one. */
extern void omen_page_check(Relation index, Buffer buffer, uint32 segment_id,
							OmenColumnId column, uint32 column_block);

/* May replay have recycled pages that the running query knows of? */
extern bool omen_replay_may_recycle(void);

/* Report a page that is not what the directory says. */
extern void omen_page_mismatch(Relation index, BlockNumber block) pg_attribute_noreturn();

#endif							/* OMEN_PAGE_READER_H */
