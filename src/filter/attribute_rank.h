/*-------------------------------------------------------------------------
 *
 * attribute_rank.h
 *	  The order of an attribute's values, and of rows by them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_RANK_H
#define OMEN_ATTRIBUTE_RANK_H

#include "src/filter/attribute_table.h"

/* The values of an attribute that some rows have, in order; equal ones share a rank. */
typedef struct OmenValueRanks
{
	const OmenAttribute *info;
	const Datum *values;		/* of the table, by number */
	uint32	   *sorted;			/* number of the value of each rank */
	uint32	   *ranks;			/* by number */
	uint32		n;
} OmenValueRanks;

/*
 * Make the ranks in the current memory context.  rows: of each, the numbers of
 * its values, as omen_attribute_table_find() gives them; NULL of what is none.
 */
extern void omen_value_ranks_make(OmenValueRanks *ranks, const OmenAttributeTable *table, int attribute,
								  const uint32 *const *rows, uint32 n_rows);

/* order[place] = row, for n rows of the table (sorted): by rank; equal ones keep their order. */
extern void omen_attribute_table_group(const OmenAttributeTable *table, int attribute,
									   const ItemPointerData *tids, uint32 n, uint32 *order);

/* The rank of a value by its number; NULL comes after all others. */
static inline uint32
omen_value_rank(const OmenValueRanks *ranks, uint32 number)
{
	return number == OMEN_NULL_VALUE ? ranks->n : ranks->ranks[number];
}

#endif							/* OMEN_ATTRIBUTE_RANK_H */
