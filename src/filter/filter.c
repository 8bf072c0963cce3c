/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  The conditions of a query on attributes, and which rows fulfil them.
 *
 * A row of a tail is asked by the operators themselves.  In a sealed segment a
 * condition becomes a set of ranks: those of the order (=, <, ...) by binary
 * search in the dictionary, all others by asking the operator for each distinct
 * value, of texts with a fixed beginning only for those that begin so, if the
 * collation sorts them together.  After that a row is a look-up of its rank.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/filter.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"

#define ST_SORT sort_nodes
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Values of a dictionary, or postings, between two looks at interrupts. */
#define BATCH 512

/* With a greater share of the nodes, a bitmap of all is faster than sorting. */
#define BITMAP_SHARE 64

typedef enum ConditionKind
{
	CONDITION_IS_NULL,
	CONDITION_IS_NOT_NULL,
	CONDITION_ORDER,			/* values between two places of the dictionary */
	CONDITION_BEGINS,			/* values that begin with a text, which are neighbours there */
	CONDITION_TEST				/* values of which the operator says so */
} ConditionKind;

/* A condition on one attribute; with several arguments, that it holds for one of them. */
typedef struct Condition
{
	ConditionKind kind;
	int			attribute;
	OmenStrategy strategy;
	FmgrInfo   *operator;
	Oid			collation;
	int			n_arguments;
	Datum	   *arguments;
	FmgrInfo	compare;		/* of an ORDER: a value with an argument */
	text	  **beginnings;		/* what a value begins with, for each argument; NULL: not known */
} Condition;

struct OmenFilter
{
	const OmenAttributes *attributes;
	MemoryContext context;
	MemoryContext scratch;		/* for operators, reset after each row or value */
	const OmenRowBitmap *rows;		/* NULL: all */
	bool		empty;
	int			n;
	Condition	conditions[FLEXIBLE_ARRAY_MEMBER];
};

/* ---- from scan keys to conditions ---- */

/* The argument of a key, or those of its array, NULL left out. */
static void
set_arguments(Condition *condition, const ScanKeyData *key)
{
	ArrayType  *array;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if ((key->sk_flags & SK_SEARCHARRAY) == 0)
	{
		condition->n_arguments = 1;
		condition->arguments = palloc(sizeof(Datum));
		condition->arguments[0] = key->sk_argument;
		return;
	}
	array = DatumGetArrayTypeP(key->sk_argument);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &elements, &nulls, &n);
	condition->arguments = elements;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			elements[condition->n_arguments++] = elements[i];
}

/* The function that compares values of an attribute with arguments of a key. */
static void
find_compare(Condition *condition, Relation index, const OmenAttribute *attribute, Oid right)
{
	Oid			left = index->rd_opcintype[attribute->attno - 1];
	Oid			proc;

	if (!OidIsValid(right) || right == left)
	{
		fmgr_info_copy(&condition->compare, unconstify(FmgrInfo *, &attribute->compare),
					   CurrentMemoryContext);
		return;
	}
	proc = get_opfamily_proc(index->rd_opfamily[attribute->attno - 1], left, right, OMEN_COMPARE_PROC);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("operator family of attribute \"%s\" of index \"%s\" has no function to compare type %s with type %s",
						get_attname(RelationGetRelid(index), attribute->attno, false),
						RelationGetRelationName(index), format_type_be(left), format_type_be(right))));
	fmgr_info(proc, &condition->compare);
}

/* Does the order of an attribute keep texts together that begin alike? */
static bool
keeps_beginnings_together(const OmenAttribute *attribute)
{
	return (attribute->type == TEXTOID || attribute->type == VARCHAROID) &&
		lc_collate_is_c(attribute->collation);
}

/* What texts that match a LIKE pattern begin with. */
static text *
fixed_beginning(Datum pattern)
{
	text	   *whole = DatumGetTextPP(pattern);
	const char *from = VARDATA_ANY(whole);
	const char *end = from + VARSIZE_ANY_EXHDR(whole);
	text	   *beginning = palloc(VARHDRSZ + (end - from));
	char	   *to = VARDATA(beginning);

	for (; from < end && *from != '%' && *from != '_'; from++)
	{
		if (*from == '\\' && ++from == end)
			break;
		*to++ = *from;
	}
	SET_VARSIZE(beginning, to - (char *) beginning);
	return beginning;
}

static void
set_beginnings(Condition *condition)
{
	condition->beginnings = palloc(Max(condition->n_arguments, 1) * sizeof(text *));
	for (int i = 0; i < condition->n_arguments; i++)
	{
		if (condition->strategy == OMEN_STRATEGY_LIKE)
			condition->beginnings[i] = fixed_beginning(condition->arguments[i]);
		else
			condition->beginnings[i] = DatumGetTextPP(condition->arguments[i]);
	}
}

static void
set_operator(Condition *condition, Relation index, const OmenAttribute *attribute, ScanKey key)
{
	condition->strategy = key->sk_strategy;
	/* what the function keeps for its next call is to go with the filter, not to gather with each rescan */
	condition->operator = palloc(sizeof(FmgrInfo));
	fmgr_info_copy(condition->operator, &key->sk_func, CurrentMemoryContext);
	condition->collation = key->sk_collation;
	set_arguments(condition, key);
	if (key->sk_strategy >= OMEN_STRATEGY_LESS && key->sk_strategy <= OMEN_STRATEGY_GREATER)
	{
		condition->kind = CONDITION_ORDER;
		find_compare(condition, index, attribute, key->sk_subtype);
		return;
	}
	condition->kind = CONDITION_TEST;
	if ((key->sk_strategy == OMEN_STRATEGY_PREFIX || key->sk_strategy == OMEN_STRATEGY_LIKE) &&
		keeps_beginnings_together(attribute))
	{
		set_beginnings(condition);
		if (key->sk_strategy == OMEN_STRATEGY_PREFIX)
			condition->kind = CONDITION_BEGINS;
	}
}

static OmenFilter *
make_filter(const OmenAttributes *attributes, int n_keys)
{
	OmenFilter *filter = palloc0(offsetof(OmenFilter, conditions) + n_keys * sizeof(Condition));

	filter->attributes = attributes;
	filter->context = CurrentMemoryContext;
	filter->scratch = AllocSetContextCreate(CurrentMemoryContext, "omenvec filter",
											ALLOCSET_DEFAULT_SIZES);
	return filter;
}

OmenFilter *
omen_filter_create(Relation index, const OmenAttributes *attributes, ScanKey keys, int n_keys,
				   const OmenRowBitmap *rows)
{
	OmenFilter *filter = NULL;

	if (rows)
	{
		filter = make_filter(attributes, n_keys);
		filter->rows = rows;
		filter->empty = rows->n_blocks == 0;
	}
	for (int i = 0; i < n_keys; i++)
	{
		ScanKey		key = &keys[i];
		Condition  *condition;

		if (key->sk_attno < 2)
			continue;
		if (filter == NULL)
			filter = make_filter(attributes, n_keys);
		condition = &filter->conditions[filter->n++];
		condition->attribute = key->sk_attno - 2;
		if (key->sk_flags & SK_SEARCHNULL)
			condition->kind = CONDITION_IS_NULL;
		else if (key->sk_flags & SK_SEARCHNOTNULL)
			condition->kind = CONDITION_IS_NOT_NULL;
		else if (key->sk_flags & SK_ISNULL)
			filter->empty = true;	/* operators are strict */
		else
		{
			set_operator(condition, index, &attributes->attributes[condition->attribute], key);
			filter->empty |= condition->n_arguments == 0;
		}
	}
	return filter;
}

bool
omen_filter_is_empty(const OmenFilter *filter)
{
	return filter->empty;
}

/* ---- rows ---- */

/* Does the operator say so of a value and one of the arguments? */
static bool
operator_says(const Condition *condition, Datum value)
{
	for (int i = 0; i < condition->n_arguments; i++)
		if (DatumGetBool(FunctionCall2Coll(condition->operator, condition->collation,
										   value, condition->arguments[i])))
			return true;
	return false;
}

static bool
row_passes(const OmenFilter *filter, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < filter->n; i++)
	{
		const Condition *condition = &filter->conditions[i];
		bool		null = isnull[condition->attribute];

		if (condition->kind == CONDITION_IS_NULL ? !null : null)
			return false;
		if (condition->kind != CONDITION_IS_NULL && condition->kind != CONDITION_IS_NOT_NULL &&
			!operator_says(condition, values[condition->attribute]))
			return false;
	}
	return true;
}

bool
omen_filter_passes(OmenFilter *filter, BlockNumber block, OffsetNumber offset,
				   const char *packed, uint32 n_bytes)
{
	MemoryContext old_context;
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	bool		passes;

	if (filter->rows && !omen_row_bitmap_contains(filter->rows, block, offset))
		return false;
	if (filter->n == 0)
		return true;
	old_context = MemoryContextSwitchTo(filter->scratch);
	if (!omen_attributes_unpack(filter->attributes, packed, n_bytes, values, isnull))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("attributes of a row are damaged"),
				 errhint("Please REINDEX the index.")));
	passes = row_passes(filter, values, isnull);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(filter->scratch);
	return passes;
}

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

static void
intersect(OmenRankSet *set, const OmenRankSet *with)
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

static bool
set_contains(const OmenRankSet *set, uint32 rank)
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

/* ---- from conditions to ranks ---- */

/* A condition on its way into the ranks of a segment. */
typedef struct Lookup
{
	const OmenFilter *filter;
	const Condition *condition;
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
	const Condition *condition = lookup->condition;
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
	const Condition *condition = lookup->condition;

	*from = 0;
	*end = lookup->n_values;
	if (condition->kind == CONDITION_ORDER)
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
	const Condition *condition = lookup->condition;
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
	const Condition *condition = lookup->condition;
	OmenRankSet set = {0};

	for (uint32 i = 0; i < candidates->n_ranges; i++)
	{
		for (uint32 rank = candidates->ranges[i].from; rank <= candidates->ranges[i].to; rank++)
		{
			MemoryContext old_context = MemoryContextSwitchTo(lookup->filter->scratch);
			bool		passes = operator_says(condition, omen_attribute_value(lookup->reader,
																			   condition->attribute, rank));

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

/* The ranks of a segment whose values fulfil a condition. */
static OmenRankSet
condition_ranks(const OmenFilter *filter, const Condition *condition, OmenAttributeReader *reader)
{
	Lookup		lookup = {
		.filter = filter,
		.condition = condition,
		.reader = reader,
		.collation = filter->attributes->attributes[condition->attribute].collation,
		.n_values = omen_attribute_n_values(reader, condition->attribute)
	};
	OmenRankSet set = {0};

	if (condition->kind == CONDITION_IS_NULL)
		add_range(&set, lookup.n_values, lookup.n_values);
	else if (condition->kind == CONDITION_IS_NOT_NULL)
	{
		if (lookup.n_values > 0)
			add_range(&set, 0, lookup.n_values - 1);
	}
	else
	{
		set = candidate_ranks(&lookup);
		if (condition->kind == CONDITION_TEST)
			set = tested_ranks(&lookup, &set);
	}
	return set;
}

/* ---- rows of a segment ---- */

/* Where the postings of a range of ranks lie; returns how many they are. */
static uint32
range_postings(OmenAttributeReader *reader, int attribute, const OmenRankRange *range, uint32 *start)
{
	uint32		end = omen_attribute_posting_start(reader, attribute, range->to + 1);

	*start = omen_attribute_posting_start(reader, attribute, range->from);
	if (end < *start)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("postings of segment %u of index \"%s\" are damaged",
						reader->segment->id, RelationGetRelationName(reader->reader.index)),
				 errhint("Please REINDEX it.")));
	return end - *start;
}

static void
count_entries(OmenSegmentFilter *segment_filter, int i)
{
	OmenRankSet *set = &segment_filter->sets[i];
	uint32		start;

	set->n_entries = 0;
	for (uint32 r = 0; r < set->n_ranges; r++)
		set->n_entries += range_postings(&segment_filter->reader, segment_filter->attributes[i],
										 &set->ranges[r], &start);
}

/* Fewest entries first: that set is listed, and a row fails soonest by it. */
static void
sort_sets(OmenSegmentFilter *segment_filter)
{
	for (int i = 1; i < segment_filter->n_sets; i++)
	{
		OmenRankSet set = segment_filter->sets[i];
		int			attribute = segment_filter->attributes[i];
		int			at = i;

		for (; at > 0 && segment_filter->sets[at - 1].n_entries > set.n_entries; at--)
		{
			segment_filter->sets[at] = segment_filter->sets[at - 1];
			segment_filter->attributes[at] = segment_filter->attributes[at - 1];
		}
		segment_filter->sets[at] = set;
		segment_filter->attributes[at] = attribute;
	}
}

/* The set of an attribute, made by its first condition, narrowed by the others. */
static void
add_condition(OmenSegmentFilter *segment_filter, const OmenFilter *filter, const Condition *condition)
{
	OmenRankSet set = condition_ranks(filter, condition, &segment_filter->reader);

	for (int i = 0; i < segment_filter->n_sets; i++)
	{
		if (segment_filter->attributes[i] == condition->attribute)
		{
			intersect(&segment_filter->sets[i], &set);
			return;
		}
	}
	segment_filter->attributes[segment_filter->n_sets] = condition->attribute;
	segment_filter->sets[segment_filter->n_sets++] = set;
}

/* Does an entry pass the sets from the given one on? */
static inline bool
passes_from(OmenSegmentFilter *segment_filter, int first, uint32 entry)
{
	for (int i = first; i < segment_filter->n_sets; i++)
		if (!set_contains(&segment_filter->sets[i],
						  omen_attribute_rank(&segment_filter->reader, segment_filter->attributes[i], entry)))
			return false;
	return true;
}

static bool
passes_sets(void *segment_filter, uint32 entry)
{
	return passes_from(segment_filter, 0, entry);
}

/* Sets of ranks, one for each attribute that has a condition. */
static void
open_sets(OmenSegmentFilter *segment_filter, OmenFilter *filter, Relation index,
		  const OmenMeta *meta, const OmenSegment *segment, const OmenResident *resident)
{
	omen_attribute_reader_open(&segment_filter->reader, index, meta, segment, resident, filter->attributes);
	for (int i = 0; i < filter->n; i++)
		add_condition(segment_filter, filter, &filter->conditions[i]);
	for (int i = 0; i < segment_filter->n_sets; i++)
	{
		count_entries(segment_filter, i);
		segment_filter->share *= (double) segment_filter->sets[i].n_entries / Max(segment->n_rows, 1);
	}
	sort_sets(segment_filter);
	segment_filter->n_most = segment_filter->sets[0].n_entries;
}

/* Turn a filter into ranks or marks of a segment; memory comes from the current context. */
void
omen_segment_filter_open(OmenSegmentFilter *segment_filter, OmenFilter *filter, Relation index,
						 const OmenMeta *meta, const OmenSegment *segment,
						 const OmenResident *resident)
{
	memset(segment_filter, 0, sizeof(*segment_filter));
	segment_filter->share = 1;
	if (filter->n > 0)
		open_sets(segment_filter, filter, index, meta, segment, resident);
	if (filter->rows)
	{
		omen_segment_rows_mark(&segment_filter->rows, filter->rows, index, meta, segment, resident,
							   filter->n > 0 ? passes_sets : NULL, segment_filter);
		segment_filter->has_marks = true;
		segment_filter->n_most = segment_filter->rows.n_rows;
		segment_filter->share = (double) segment_filter->n_most / Max(segment->n_rows, 1);
	}
	omen_attribute_reader_release(&segment_filter->reader);
}

/* A byte for each rank from the first to the last range of a set. */
static uint8 *
passing_ranks(const OmenRankSet *set)
{
	uint32		first = set->ranges[0].from;
	uint8	   *passing = palloc_extended((Size) set->ranges[set->n_ranges - 1].to - first + 1,
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < set->n_ranges; i++)
		memset(passing + (set->ranges[i].from - first), 1, set->ranges[i].to - set->ranges[i].from + 1);
	return passing;
}

void
omen_segment_filter_prepare_tests(OmenSegmentFilter *segment_filter)
{
	const OmenAttributeReader *reader = &segment_filter->reader;

	if (segment_filter->has_marks || reader->copy == NULL || segment_filter->tests != NULL)
		return;
	segment_filter->tests = palloc0(segment_filter->n_sets * sizeof(OmenRankTest));
	for (int i = 0; i < segment_filter->n_sets; i++)
	{
		const OmenStoredAttribute *stored = &reader->stored[segment_filter->attributes[i]];
		const OmenRankSet *set = &segment_filter->sets[i];
		OmenRankTest *test = &segment_filter->tests[i];

		Assert(set->n_ranges > 0);	/* nothing is tested where nothing passes */
		test->ranks = reader->copy + stored->ranks;
		test->rank_bytes = stored->rank_bytes;
		test->from = set->ranges[0].from;
		test->length = set->ranges[set->n_ranges - 1].to - test->from;
		if (set->n_ranges > 1)
			test->passing = passing_ranks(set);
	}
}

/* Unpin all pages. */
void
omen_segment_filter_release(OmenSegmentFilter *segment_filter)
{
	omen_attribute_reader_release(&segment_filter->reader);
}

bool
omen_segment_filter_passes(OmenSegmentFilter *segment_filter, uint32 entry)
{
	if (segment_filter->has_marks)
		return omen_segment_rows_contain(&segment_filter->rows, entry);
	return passes_from(segment_filter, 0, entry);
}

/* Ranks within one range, a bit for each: comparisons that the compiler can do side by side. */
#define RANGE_BITS(type, ranks, n, range) \
	do { \
		const type *r = (ranks); \
		type		from = (type) (range)->from; \
		type		length = (type) ((range)->to - (range)->from); \
		uint8		in[64]; \
		\
		for (uint32 i = 0; i < (n); i++) \
			in[i] = (type) (r[i] - from) <= length; \
		for (uint32 i = 0; i < (n); i++) \
			bits |= (uint64) in[i] << i; \
	} while (0)

static uint64
range_bits(const void *ranks, uint32 rank_bytes, uint32 n, const OmenRankRange *range)
{
	uint64		bits = 0;

	if (rank_bytes == 1)
		RANGE_BITS(uint8, ranks, n, range);
	else if (rank_bytes == 2)
		RANGE_BITS(uint16, ranks, n, range);
	else
		RANGE_BITS(uint32, ranks, n, range);
	return bits;
}

static inline uint32
rank_of(const void *ranks, uint32 rank_bytes, uint32 i)
{
	if (rank_bytes == 1)
		return ((const uint8 *) ranks)[i];
	if (rank_bytes == 2)
		return ((const uint16 *) ranks)[i];
	return ((const uint32 *) ranks)[i];
}

static uint64
set_bits(const OmenRankSet *set, const void *ranks, uint32 rank_bytes, uint32 n)
{
	uint64		bits = 0;

	if (set->n_ranges == 1)
		return range_bits(ranks, rank_bytes, n, set->ranges);
	for (uint32 i = 0; i < n; i++)
		bits |= (uint64) set_contains(set, rank_of(ranks, rank_bytes, i)) << i;
	return bits;
}

uint64
omen_segment_filter_passing(OmenSegmentFilter *segment_filter, uint32 entry, uint32 n)
{
	OmenAttributeReader *reader = &segment_filter->reader;
	uint64		bits = n < 64 ? (UINT64CONST(1) << n) - 1 : PG_UINT64_MAX;

	if (segment_filter->has_marks)
		return bits & segment_filter->rows.marks[entry / 64];
	for (int i = 0; i < segment_filter->n_sets && bits != 0; i++)
	{
		int			attribute = segment_filter->attributes[i];
		const void *ranks = omen_attribute_ranks(reader, attribute, entry, n);

		bits &= set_bits(&segment_filter->sets[i], ranks, reader->stored[attribute].rank_bytes, n);
	}
	return bits;
}

/* ---- listing nodes ---- */

typedef struct NodeList
{
	uint64	   *bitmap;			/* of all nodes, or NULL: an array of those found */
	uint32	   *nodes;
	uint32		n;
	bool		ascending;
} NodeList;

static inline void
add_node(NodeList *list, uint32 node)
{
	if (list->bitmap)
	{
		list->bitmap[node / 64] |= UINT64CONST(1) << (node % 64);
		return;
	}
	list->ascending &= list->n == 0 || list->nodes[list->n - 1] < node;
	list->nodes[list->n++] = node;
}

/* Add the owners of the postings of a range that pass all sets. */
static void
add_range_nodes(NodeList *list, OmenSegmentFilter *segment_filter, const OmenRankRange *range)
{
	OmenAttributeReader *reader = &segment_filter->reader;
	int			attribute = segment_filter->attributes[0];
	uint32		entries[BATCH];
	uint32		start;
	uint32		left = range_postings(reader, attribute, range, &start);

	while (left > 0)
	{
		uint32		n = Min(left, BATCH);

		CHECK_FOR_INTERRUPTS();
		omen_attribute_postings(reader, attribute, start, n, entries);
		for (uint32 i = 0; i < n; i++)
		{
			uint32		node;

			if (segment_filter->n_sets > 1 && !passes_from(segment_filter, 1, entries[i]))
				continue;
			node = omen_attribute_owner(reader, entries[i]);
			if (node != OMEN_NO_OWNER)
				add_node(list, node);
		}
		start += n;
		left -= n;
	}
}

/* The nodes of a bitmap as an array. */
static void
list_bits(NodeList *list, uint32 n_nodes)
{
	for (uint32 word = 0; word < (n_nodes + 63) / 64; word++)
		for (uint64 bits = list->bitmap[word]; bits != 0; bits &= bits - 1)
			list->nodes[list->n++] = word * 64 + pg_rightmost_one_pos64(bits);
	pfree(list->bitmap);
}

static void
sort_list(NodeList *list)
{
	uint32		n = 0;

	if (list->ascending)
		return;
	sort_nodes(list->nodes, list->n);
	for (uint32 i = 0; i < list->n; i++)
		if (n == 0 || list->nodes[i] != list->nodes[n - 1])
			list->nodes[n++] = list->nodes[i];
	list->n = n;
}

uint32
omen_segment_filter_nodes(OmenSegmentFilter *segment_filter, uint32 **nodes)
{
	const OmenRankSet *set = &segment_filter->sets[0];
	uint32		n_nodes;
	NodeList	list = {.ascending = true};

	if (segment_filter->has_marks)
		return omen_segment_rows_nodes(&segment_filter->rows, nodes);
	n_nodes = segment_filter->reader.segment->n_nodes;
	list.nodes = palloc_extended(Max(set->n_entries, 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	if (set->n_entries > n_nodes / BITMAP_SHARE)
		list.bitmap = palloc_extended((n_nodes / 64 + 1) * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < set->n_ranges; i++)
		add_range_nodes(&list, segment_filter, &set->ranges[i]);
	if (list.bitmap)
		list_bits(&list, n_nodes);
	else
		sort_list(&list);
	omen_segment_filter_release(segment_filter);
	*nodes = list.nodes;
	return list.n;
}

/* Some of the nodes marked, from all over the segment. */
static uint32
sample_marked(const OmenSegmentFilter *segment_filter, uint32 *nodes, uint32 n)
{
	uint32	   *all;
	uint32		n_all = omen_segment_rows_nodes(&segment_filter->rows, &all);

	n = Min(n, n_all);
	for (uint32 i = 0; i < n; i++)
		nodes[i] = all[(uint64) i * n_all / n];
	pfree(all);
	return n;
}

uint32
omen_segment_filter_sample(OmenSegmentFilter *segment_filter, uint32 *nodes, uint32 n)
{
	const OmenRankSet *set = &segment_filter->sets[0];
	OmenAttributeReader *reader = &segment_filter->reader;
	int			attribute = segment_filter->attributes[0];
	uint64		next = 0;		/* number of a posting among those of the set */
	uint64		n_before = 0;	/* postings of the ranges before */
	uint32		n_found = 0;

	if (segment_filter->has_marks)
		return sample_marked(segment_filter, nodes, n);
	for (uint32 r = 0; r < set->n_ranges; r++)
	{
		uint32		start;
		uint32		n_postings = range_postings(reader, attribute, &set->ranges[r], &start);

		for (; next < n_before + n_postings; next += Max(set->n_entries / n, 1))
		{
			uint32		entry;
			uint32		node;

			omen_attribute_postings(reader, attribute, start + (uint32) (next - n_before), 1, &entry);
			if (n_found == n || !passes_from(segment_filter, 1, entry))
				continue;
			node = omen_attribute_owner(reader, entry);
			if (node != OMEN_NO_OWNER)
				nodes[n_found++] = node;
		}
		n_before += n_postings;
	}
	omen_segment_filter_release(segment_filter);
	return n_found;
}
