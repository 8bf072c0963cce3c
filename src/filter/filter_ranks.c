/*-------------------------------------------------------------------------
 *
 * filter_ranks.c
 *	  From conditions to ranks of a segment.
 *
 * In a sealed segment a condition becomes a set of ranks: those of the order
 * (=, <, ...) by binary search in the dictionary, all others by asking the
 * operator for each distinct value, of texts with a fixed beginning only for
 * those that begin so, if the collation sorts them together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/filter_internal.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Values of a dictionary between two looks at interrupts. */
#define BATCH 512

/* ---- sets of ranks ---- */

/* Add a range that begins no earlier than the last one. */
static void
add_range(OmenRankSet *set, uint32 from, uint32 to)
{
	OmenRankRange *last = set->n_ranges > 0 ? &set->ranges[set->n_ranges - 1] : NULL;

	if (last != NULL && from <= last->to + 1)
	{
		last->to = Max(last->to, to);
		return;
	}
	/* Room grows at powers of two. */
	if (set->n_ranges == 0)
		set->ranges = palloc(sizeof(OmenRankRange));
	else if ((set->n_ranges & (set->n_ranges - 1)) == 0)
		set->ranges = repalloc_huge(set->ranges, (Size) set->n_ranges * 2 * sizeof(OmenRankRange));
	set->ranges[set->n_ranges++] = (OmenRankRange) {from, to};
}

static int
compare_ranges(const void *a, const void *b)
{
	uint32		left = ((const OmenRankRange *) a)->from;
	uint32		right = ((const OmenRankRange *) b)->from;

	return (left > right) - (left < right);
}

void
omen_rank_set_intersect(OmenRankSet *set, const OmenRankSet *with)
{
	OmenRankSet result = {0};
	uint32		i = 0;
	uint32		j = 0;

	while (i < set->n_ranges && j < with->n_ranges)
	{
		uint32		from = Max(set->ranges[i].from, with->ranges[j].from);
		uint32		to = Min(set->ranges[i].to, with->ranges[j].to);

		if (from <= to)
			add_range(&result, from, to);
		if (set->ranges[i].to < with->ranges[j].to)
			i++;
		else
			j++;
	}
	*set = result;
}

/* ---- from conditions to ranks ---- */

/* A condition on its way into the ranks of a segment. */
typedef struct Lookup
{
	const OmenFilter *filter;
	const OmenCondition *condition;
	OmenAttributeReader *reader;
	Oid			collation;
	uint32		n_values;
} Lookup;

/* How a text compares with all that begin with another one: 0 if it is one of them. */
static int
compare_beginning(Datum value, const text *beginning)
{
	const text *whole = DatumGetTextPP(value);
	Size		n = VARSIZE_ANY_EXHDR(whole);
	Size		n_beginning = VARSIZE_ANY_EXHDR(beginning);
	int			order = memcmp(VARDATA_ANY(whole), VARDATA_ANY(beginning), Min(n, n_beginning));

	return order != 0 ? order : n < n_beginning ? -1 : 0;
}

/* How the value of a rank compares with what an argument asks for. */
static int
compare_rank(const Lookup *lookup, uint32 rank, int argument)
{
	const OmenCondition *condition = lookup->condition;
	MemoryContext old_context = MemoryContextSwitchTo(lookup->filter->scratch);
	Datum		value = omen_attribute_value(lookup->reader, condition->attribute, rank);
	int			order;

	if (condition->beginnings)
		order = compare_beginning(value, condition->beginnings[argument]);
	else
		order = DatumGetInt32(FunctionCall2Coll(unconstify(FmgrInfo *, &condition->compare),
												lookup->collation, value, condition->arguments[argument]));
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(lookup->filter->scratch);
	return order;
}

/* The first rank whose value is not before an argument, or the first whose value is after it. */
static uint32
find_rank(const Lookup *lookup, int argument, bool after)
{
	uint32		low = 0;
	uint32		high = lookup->n_values;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;
		int			order = compare_rank(lookup, middle, argument);

		if (order < 0 || (after && order == 0))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Ranks [*from, *end) that an argument may be answered by. */
static void
argument_ranks(const Lookup *lookup, int argument, uint32 *from, uint32 *end)
{
	const OmenCondition *condition = lookup->condition;

	*from = 0;
	*end = lookup->n_values;
	if (condition->kind == OMEN_CONDITION_ORDER)
	{
		if (condition->strategy == OMEN_STRATEGY_EQUAL || condition->strategy == OMEN_STRATEGY_GREATER_EQUAL)
			*from = find_rank(lookup, argument, false);
		else if (condition->strategy == OMEN_STRATEGY_GREATER)
			*from = find_rank(lookup, argument, true);
		if (condition->strategy == OMEN_STRATEGY_LESS)
			*end = find_rank(lookup, argument, false);
		else if (condition->strategy == OMEN_STRATEGY_EQUAL || condition->strategy == OMEN_STRATEGY_LESS_EQUAL)
			*end = find_rank(lookup, argument, true);
	}
	else if (condition->beginnings)
	{
		*from = find_rank(lookup, argument, false);
		*end = find_rank(lookup, argument, true);
	}
}

/* The union of what the arguments may be answered by. */
static OmenRankSet
candidate_ranks(const Lookup *lookup)
{
	const OmenCondition *condition = lookup->condition;
	OmenRankRange *ranges = palloc(Max(condition->n_arguments, 1) * sizeof(OmenRankRange));
	OmenRankSet set = {0};
	int			n = 0;

	for (int i = 0; i < condition->n_arguments; i++)
	{
		uint32		from;
		uint32		end;

		CHECK_FOR_INTERRUPTS();
		argument_ranks(lookup, i, &from, &end);
		if (from < end)
			ranges[n++] = (OmenRankRange) {from, end - 1};
		if (n == 1 && from == 0 && end == lookup->n_values)
			break;				/* all of them */
	}
	qsort(ranges, n, sizeof(OmenRankRange), compare_ranges);
	for (int i = 0; i < n; i++)
		add_range(&set, ranges[i].from, ranges[i].to);
	pfree(ranges);
	return set;
}

/* Of some ranks, those of whose values the operator says so. */
static OmenRankSet
tested_ranks(const Lookup *lookup, const OmenRankSet *candidates)
{
	const OmenCondition *condition = lookup->condition;
	OmenRankSet set = {0};

	for (uint32 i = 0; i < candidates->n_ranges; i++)
	{
		for (uint32 rank = candidates->ranges[i].from; rank <= candidates->ranges[i].to; rank++)
		{
			MemoryContext old_context = MemoryContextSwitchTo(lookup->filter->scratch);
			Datum		value = omen_attribute_value(lookup->reader, condition->attribute, rank);
			bool		passes = omen_condition_says(condition, value);

			MemoryContextSwitchTo(old_context);
			MemoryContextReset(lookup->filter->scratch);
			if (passes)
				add_range(&set, rank, rank);
			if (rank % BATCH == 0)
				CHECK_FOR_INTERRUPTS();
		}
	}
	return set;
}

OmenRankSet
omen_condition_ranks(const OmenFilter *filter, const OmenCondition *condition, OmenAttributeReader *reader)
{
	Lookup		lookup = {
		.filter = filter,
		.condition = condition,
		.reader = reader,
		.collation = filter->attributes->attributes[condition->attribute].collation,
		.n_values = omen_attribute_n_values(reader, condition->attribute)
	};
	OmenRankSet set = {0};

	if (condition->kind == OMEN_CONDITION_IS_NULL)
		add_range(&set, lookup.n_values, lookup.n_values);
	else if (condition->kind == OMEN_CONDITION_IS_NOT_NULL)
	{
		if (lookup.n_values > 0)
			add_range(&set, 0, lookup.n_values - 1);
	}
	else
	{
		set = candidate_ranks(&lookup);
		if (condition->kind == OMEN_CONDITION_TEST)
			set = tested_ranks(&lookup, &set);
	}
	return set;
}
