/*-------------------------------------------------------------------------
 *
 * filter_internal.h
 *	  What the files of a filter share.
 *
 * filter_conditions.c makes conditions of scan keys, filter_ranks.c ranks of a
 * segment of conditions, filter_segment.c rows of ranks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_FILTER_INTERNAL_H
#define OMEN_FILTER_INTERNAL_H

#include "src/filter/filter.h"

typedef enum OmenConditionKind
{
	OMEN_CONDITION_IS_NULL,
	OMEN_CONDITION_IS_NOT_NULL,
	OMEN_CONDITION_ORDER,		/* values between two places of the dictionary */
	OMEN_CONDITION_BEGINS,		/* values that begin with a text, which are neighbours there */
	OMEN_CONDITION_TEST			/* values of which the operator says so */
} OmenConditionKind;

/* A condition on one attribute; with several arguments, that it holds for one of them. */
typedef struct OmenCondition
{
	OmenConditionKind kind;
	int			attribute;
	OmenStrategy strategy;
	FmgrInfo   *operator;
	Oid			collation;
	int			n_arguments;
	Datum	   *arguments;
	FmgrInfo	compare;		/* of an ORDER: a value with an argument */
	text	  **beginnings;		/* what a value begins with, for each argument; NULL: not known */
} OmenCondition;

/* A key that a condition was made of. */
typedef struct OmenFilterKey
{
	ScanKeyData key;
	int16		length;			/* of the argument's type */
	bool		by_value;
	bool		opaque;			/* of a type that the key does not tell: it is no copy, and never recognized */
} OmenFilterKey;

struct OmenFilter
{
	const OmenAttributes *attributes;
	MemoryContext context;
	MemoryContext scratch;		/* for operators, reset after each row or value */
	OmenFilterKey *keys;		/* of each condition */
	OmenSegmentFilter *segments[OMEN_MAX_SEGMENTS];	/* what became of it, by number in the directory; or NULL */
	const OmenRowBitmap *rows;	/* NULL: all */
	bool		empty;
	int			n;
	OmenCondition conditions[FLEXIBLE_ARRAY_MEMBER];
};

/* ---- filter_conditions.c ---- */

/* Does the operator say so of a value and one of the arguments? */
extern bool omen_condition_says(const OmenCondition *condition, Datum value);

/* ---- filter_ranks.c ---- */

/* The ranks of a segment whose values fulfil a condition. */
extern OmenRankSet omen_condition_ranks(const OmenFilter *filter, const OmenCondition *condition,
										OmenAttributeReader *reader);

extern void omen_rank_set_intersect(OmenRankSet *set, const OmenRankSet *with);

static inline bool
omen_rank_set_contains(const OmenRankSet *set, uint32 rank)
{
	const OmenRankRange *ranges = set->ranges;
	uint32		n = set->n_ranges;

	while (n > 1)
	{
		uint32		half = n / 2;

		if (ranges[half].from <= rank)
			ranges += half;
		n -= half;
	}
	return n > 0 && ranges->from <= rank && rank <= ranges->to;
}

#endif							/* OMEN_FILTER_INTERNAL_H */
