/*-------------------------------------------------------------------------
 *
 * attribute_table.h
 *	  The attributes of rows while a segment is being made of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_TABLE_H
#define OMEN_ATTRIBUTE_TABLE_H

#include "src/filter/attribute.h"

#include "storage/itemptr.h"

#define OMEN_NULL_VALUE 0xFFFFFFFFU

/* What a row takes, about, for each attribute; and for all. */
#define OMEN_ATTRIBUTE_MEMORY 64
#define OMEN_ATTRIBUTE_ROW_MEMORY 16

/* The distinct values of an attribute, in the order of their coming. */
typedef struct OmenValueSet
{
	Datum	   *values;
	uint32		n;
	uint32		capacity;
	struct values_hash *hash;	/* to their numbers */
} OmenValueSet;

typedef struct OmenAttributeTable
{
	const OmenAttributes *attributes;
	MemoryContext context;		/* of everything below */
	uint32		n_rows;
	uint32		capacity;
	bool		sorted;
	ItemPointerData *tids;
	uint32	   *numbers;		/* of each row, the numbers of its values, or OMEN_NULL_VALUE */
	OmenValueSet *sets;			/* of each attribute */
} OmenAttributeTable;

extern OmenAttributeTable *omen_attribute_table_create(const OmenAttributes *attributes);
extern void omen_attribute_table_reset(OmenAttributeTable *table);

/* The number of a value, which is copied if it is new. */
extern uint32 omen_attribute_table_number(OmenAttributeTable *table, int attribute, Datum value, bool isnull);

/* Add a row, with an element of numbers for each attribute. */
extern void omen_attribute_table_add(OmenAttributeTable *table, const ItemPointerData *tid, const uint32 *numbers);

/* The same, with the values. */
extern void omen_attribute_table_add_values(OmenAttributeTable *table, const ItemPointerData *tid,
											const Datum *values, const bool *isnull);

/* A table as bytes, for another process, and what it adds to a table there. */
extern Size omen_attribute_table_serialized_bytes(const OmenAttributeTable *table);
extern void omen_attribute_table_serialize(const OmenAttributeTable *table, char *to);
extern void omen_attribute_table_absorb(OmenAttributeTable *table, const char *serialized);

/* After sorting, the numbers of a row's values can be asked for. */
extern void omen_attribute_table_sort(OmenAttributeTable *table);
extern const uint32 *omen_attribute_table_find(const OmenAttributeTable *table, const ItemPointerData *tid);

/* Let go of the rows up to a heap block; the table is sorted. */
extern void omen_attribute_table_forget(OmenAttributeTable *table, BlockNumber last_block);

#endif							/* OMEN_ATTRIBUTE_TABLE_H */
