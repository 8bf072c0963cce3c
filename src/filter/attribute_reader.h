/*-------------------------------------------------------------------------
 *
 * attribute_reader.h
 *	  The attributes of a sealed segment: values, ranks and postings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_READER_H
#define OMEN_ATTRIBUTE_READER_H

#include "src/filter/attribute.h"
#include "src/storage/page_reader.h"
#include "src/storage/resident.h"

/*
 * Attributes of a segment (column ATTRIBUTES; page_layout.h has the bytes).
 * Of each attribute a sorted dictionary of its distinct values; a value's
 * place there is its rank, and NULL has the rank after the last.  Each TID
 * entry of the segment has a rank, and each rank its postings: the numbers of
 * those entries, ascending.
 */
typedef struct OmenAttributeReader
{
	const OmenAttributes *attributes;
	const OmenSegment *segment;
	const char *copy;			/* all bytes in a resident copy, or NULL: read pages */
	uint64		n_bytes;
	uint64		owners;			/* offset */
	OmenStoredAttribute *stored;	/* checked against the column's size */
	uint32		chunk;			/* of the column, in hand */
	const char *chunk_bytes;
	char	   *value;			/* memory of a value that is not in one piece */
	uint64		value_capacity;
	uint64		ranks[32];		/* memory of ranks that are not in one piece */
	OmenReader	reader;
	OmenColumnView bytes;
} OmenAttributeReader;

extern void omen_attribute_reader_open(OmenAttributeReader *reader, Relation index, const OmenMeta *meta,
									   const OmenSegment *segment, const OmenResident *resident,
									   const OmenAttributes *attributes);
extern void omen_attribute_reader_release(OmenAttributeReader *reader);

static inline uint32
omen_attribute_n_values(const OmenAttributeReader *reader, int attribute)
{
	return reader->stored[attribute].n_values;
}

/* Of ranks as they are stored, number i. */
static inline uint32
omen_stored_rank(const void *ranks, uint32 rank_bytes, uint32 i)
{
	if (rank_bytes == 1)
		return ((const uint8 *) ranks)[i];
	if (rank_bytes == 2)
		return ((const uint16 *) ranks)[i];
	return ((const uint32 *) ranks)[i];
}

/* The rank of a TID entry (not of a list or its header). */
extern uint32 omen_attribute_rank(OmenAttributeReader *reader, int attribute, uint32 entry);

/*
 * The ranks of n entries (64 at most), rank_bytes each, as they are stored;
 * good until the next call.  Not checked: damaged ones may be too great.
 */
extern const void *omen_attribute_ranks(OmenAttributeReader *reader, int attribute, uint32 entry, uint32 n);

/* A value of the dictionary, good until the next call. */
extern Datum omen_attribute_value(OmenAttributeReader *reader, int attribute, uint32 rank);

/* How many postings ranks from .. to have; they lie side by side, from *start on (if that is not NULL). */
extern uint32 omen_attribute_n_postings(OmenAttributeReader *reader, int attribute, uint32 from, uint32 to,
										uint32 *start);

/* Postings from .. from + n - 1. */
extern void omen_attribute_postings(OmenAttributeReader *reader, int attribute, uint32 from, uint32 n,
									uint32 *entries);

/* The node that a TID entry belongs to; OMEN_NO_OWNER for one of a row without a code. */
#define OMEN_NO_OWNER 0xFFFFFFFFU
extern uint32 omen_attribute_owner(OmenAttributeReader *reader, uint32 entry);

#endif							/* OMEN_ATTRIBUTE_READER_H */
