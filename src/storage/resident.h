/*-------------------------------------------------------------------------
 *
 * resident.h
 *	  Copies of sealed segments in memory that all backends share.
 *
 * resident.c is the reader's side: which copy there is, mapped.  What makes,
 * counts and removes copies is resident_file.c, and the process that does it
 * on demand resident_worker.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_RESIDENT_H
#define OMEN_RESIDENT_H

#include "src/storage/column.h"

#include "datatype/timestamp.h"

/*
 * Which segment a copy is of.  The stamp alone, random as it is, makes two
 * segments with all else equal differ: a relation file's number and segment
 * ids can come again (after a drop and four billion other relations; after
 * TRUNCATE in the creating transaction; in an unlogged index after a crash).
 */
typedef struct OmenResidentKey
{
	Oid			database;
	Oid			tablespace;
	Oid			relfile;
	uint32		segment_id;
	uint32		stamp;
} OmenResidentKey;

/* A column in a copy: records of equal length, the body first, then the head. */
typedef struct OmenResidentColumn
{
	uint64		offset;			/* in the file */
	uint32		stride;
	uint32		head_offset;
	uint32		n_records;
	uint32		unused;
} OmenResidentColumn;

#define OMEN_RESIDENT_MAGIC 0x6F6D7263U	/* "omrc" */
#define OMEN_RESIDENT_VERSION 1

/* The header has these bytes of the file to itself. */
#define OMEN_RESIDENT_START 4096

/*
 * Start of the file.  All but the last two members are written before the
 * file gets its name and covered by the checksum; those two change in memory
 * that readers share, without a lock: any value they can show is right.
 */
typedef struct OmenResidentHeader
{
	uint32		magic;
	uint32		version;
	uint64		system_identifier;
	TimestampTz server_start;
	OmenResidentKey key;
	uint32		unused;
	uint64		file_bytes;
	TimestampTz made_at;
	OmenResidentColumn columns[OMEN_MAX_COLUMNS];
	pg_crc32c	checksum;
	uint32		unused2;

	TimestampTz last_used;
	uint32		removed;		/* 1: the file has lost its name; let go of it */
} OmenResidentHeader;

/* A copy in this backend's address space. */
typedef struct OmenResident
{
	OmenResidentHeader *header; /* the only part that can be written */
	const char *base;
	const char *columns[OMEN_MAX_COLUMNS];	/* index: OmenColumnId - 1; first record, or NULL */
	uint32		strides[OMEN_MAX_COLUMNS];
	uint32		head_offsets[OMEN_MAX_COLUMNS];
} OmenResident;

static inline const char *
omen_resident_body(const OmenResident *resident, OmenColumnId column, uint32 record)
{
	return resident->columns[column - 1] + (size_t) record * resident->strides[column - 1];
}

static inline const char *
omen_resident_head(const OmenResident *resident, OmenColumnId column, uint32 record)
{
	return omen_resident_body(resident, column, record) + resident->head_offsets[column - 1];
}

/* Setting omenvec.resident_memory, in megabytes; 0: no copies. */
extern int	omen_resident_memory;

extern void omen_resident_key(OmenResidentKey *key, Relation index, const OmenSegment *segment);

/* ---- resident.c ---- */

/*
 * The copy of a segment, or NULL: then read pages.  Good until the end of the
 * transaction.  Counts how often there was none, and asks for one when that
 * has cost more than making it.
 */
extern const OmenResident *omen_resident_attach(Relation index, const OmenSegment *segment);

/* ---- resident_file.c ---- */

typedef struct OmenResidentFile
{
	OmenResidentKey key;
	uint64		bytes;
	TimestampTz made_at;
	TimestampTz last_used;
} OmenResidentFile;

typedef enum OmenResidentFillMode
{
	OMEN_RESIDENT_ON_DEMAND,	/* give way to others, and to copies in use */
	OMEN_RESIDENT_PREWARM		/* by hand: wait, and take the place of other indexes' copies */
} OmenResidentFillMode;

extern bool omen_resident_map(const OmenResidentKey *key, OmenResident *resident);
extern void omen_resident_unmap(OmenResident *resident);

/* All copies of the cluster, palloc'd; returns how many. */
extern int	omen_resident_list(OmenResidentFile **files);

/* Make what copies of an index are missing and have room; bytes of all it has now. */
extern uint64 omen_resident_fill(Relation index, OmenResidentFillMode mode);

/* Remove the copy of a segment that has been replaced. */
extern void omen_resident_drop(Relation index, const OmenSegment *segment);

/* Remove copies of which this database has no relation any more, and what is over the limit. */
extern void omen_resident_sweep(void);

/* ---- resident_worker.c ---- */

/* Have the copies of an index made by another process; false if there is none to be had. */
extern bool omen_resident_request(Relation index);

#endif							/* OMEN_RESIDENT_H */
