/*-------------------------------------------------------------------------
 *
 * attribute.h
 *	  Attributes: the key columns of an index after the vector.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_H
#define OMEN_ATTRIBUTE_H

#include "postgres.h"

#include "access/itup.h"
#include "fmgr.h"
#include "utils/rel.h"

/* Support function and strategies of an attribute's operator class; those of vectors come before (am.h). */
#define OMEN_COMPARE_PROC 2		/* order of two values, as btree's */

typedef enum OmenStrategy
{
	/* by the order of the values: btree's strategies, in their order */
	OMEN_STRATEGY_LESS = 3,
	OMEN_STRATEGY_LESS_EQUAL = 4,
	OMEN_STRATEGY_EQUAL = 5,
	OMEN_STRATEGY_GREATER_EQUAL = 6,
	OMEN_STRATEGY_GREATER = 7,
	/* text that begins so, or that matches a pattern, which may begin with a fixed part */
	OMEN_STRATEGY_PREFIX = 8,
	OMEN_STRATEGY_LIKE = 9,
	/* anything else that a value fulfils or not */
	OMEN_STRATEGY_OVERLAPS = 10,
	OMEN_STRATEGY_CONTAINS = 11,
	OMEN_STRATEGY_CONTAINED = 12,
	OMEN_STRATEGY_EXISTS = 13,
	OMEN_STRATEGY_EXISTS_ANY = 14,
	OMEN_STRATEGY_EXISTS_ALL = 15
} OmenStrategy;

#define OMEN_N_STRATEGIES 15

typedef struct OmenAttribute
{
	AttrNumber	attno;			/* in the index, from 2 on */
	Oid			type;
	Oid			collation;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	FmgrInfo	compare;
} OmenAttribute;

typedef struct OmenAttributes
{
	int			n;				/* at least 1 */
	TupleDesc	tuple_desc;		/* of them alone */
	OmenAttribute attributes[INDEX_MAX_KEYS];
} OmenAttributes;

/* Those of an index, in the current memory context; NULL if it has none. */
extern OmenAttributes *omen_attributes_of(Relation index);

/*
 * The attributes of a row as bytes, palloc'd, as a tail keeps them: those of
 * an index tuple.  values and isnull have an element for each attribute.
 * Errors as index_form_tuple()'s: too long.
 */
extern IndexTuple omen_attributes_pack(const OmenAttributes *attributes, const Datum *values, const bool *isnull);

/*
 * And back, from memory of any alignment; values by reference point into a
 * palloc'd copy.  False if the bytes are damaged.
 */
extern bool omen_attributes_unpack(const OmenAttributes *attributes, const char *packed, uint32 n_bytes,
								   Datum *values, bool *isnull);

#endif							/* OMEN_ATTRIBUTE_H */
