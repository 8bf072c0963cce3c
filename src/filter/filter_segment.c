/*-------------------------------------------------------------------------
 *
 * filter_segment.c
 *	  Which rows of a segment fulfil the conditions of a query.
 *
 * When the segment is opened, the conditions become sets of ranks, or marks if
 * the filter has a set of rows.  After that a row is a look-up of its rank.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/filter_internal.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#define ST_SORT sort_nodes
#define ST_ELEMENT_TYPE uint32
#define ST_COMPARE(a, b) ((*(a) > *(b)) - (*(a) < *(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Postings between two looks at interrupts. */
#define BATCH 512

/* With a greater share of the nodes, a bitmap of all is faster than sorting. */
#define BITMAP_SHARE 1024

/* So many entries that further sets test are worth preparing for. */
#define MANY_TESTS 256

static void
count_entries(OmenSegmentFilter *segment_filter, int i)
{
	OmenRankSet *set = &segment_filter->sets[i];

	set->n_entries = 0;
	for (uint32 r = 0; r < set->n_ranges; r++)
		set->n_entries += omen_attribute_n_postings(&segment_filter->reader, segment_filter->attributes[i],
													set->ranges[r].from, set->ranges[r].to, NULL);
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
add_condition(OmenSegmentFilter *segment_filter, const OmenFilter *filter, const OmenCondition *condition)
{
	OmenRankSet set = omen_condition_ranks(filter, condition, &segment_filter->reader);

	for (int i = 0; i < segment_filter->n_sets; i++)
	{
		if (segment_filter->attributes[i] == condition->attribute)
		{
			omen_rank_set_intersect(&segment_filter->sets[i], &set);
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
		if (!omen_rank_set_contains(&segment_filter->sets[i],
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

static OmenSegmentFilter *
make_segment_filter(OmenFilter *filter, Relation index, const OmenMeta *meta,
					const OmenSegment *segment, const OmenResident *resident)
{
	OmenSegmentFilter *segment_filter = palloc0(sizeof(OmenSegmentFilter));

	segment_filter->context = CurrentMemoryContext;
	segment_filter->resident = resident;
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
	return segment_filter;
}

OmenSegmentFilter *
omen_segment_filter_open(OmenFilter *filter, Relation index, const OmenMeta *meta,
						 const OmenSegment *segment, const OmenResident *resident)
{
	OmenSegmentFilter **place = &filter->segments[segment - meta->segments];

	if (*place == NULL || (*place)->resident != resident)
	{
		MemoryContext old_context = MemoryContextSwitchTo(filter->context);

		*place = make_segment_filter(filter, index, meta, segment, resident);
		MemoryContextSwitchTo(old_context);
	}
	return *place;
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
	MemoryContext old_context;

	if (segment_filter->has_marks || reader->copy == NULL || segment_filter->tests != NULL)
		return;
	old_context = MemoryContextSwitchTo(segment_filter->context);
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
	MemoryContextSwitchTo(old_context);
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

static uint64
set_bits(const OmenRankSet *set, const void *ranks, uint32 rank_bytes, uint32 n)
{
	uint64		bits = 0;

	if (set->n_ranges == 1)
		return range_bits(ranks, rank_bytes, n, set->ranges);
	for (uint32 i = 0; i < n; i++)
		bits |= (uint64) omen_rank_set_contains(set, omen_stored_rank(ranks, rank_bytes, i)) << i;
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
	uint32	   *nodes;
	uint32		n;
} NodeList;

/* Does an entry pass all sets but the first? */
static inline bool
passes_others(OmenSegmentFilter *segment_filter, uint32 entry)
{
	if (segment_filter->tests == NULL)
		return passes_from(segment_filter, 1, entry);
	for (int i = 1; i < segment_filter->n_sets; i++)
		if (!omen_rank_test(&segment_filter->tests[i], entry))
			return false;
	return true;
}

/* Add the owners of the postings of a range that pass all sets. */
static void
add_range_nodes(NodeList *list, OmenSegmentFilter *segment_filter, const OmenRankRange *range)
{
	OmenAttributeReader *reader = &segment_filter->reader;
	int			attribute = segment_filter->attributes[0];
	uint32		n_nodes = reader->segment->n_nodes;
	uint32		entries[BATCH];
	uint32		start;
	uint32		left = omen_attribute_n_postings(reader, attribute, range->from, range->to, &start);

	while (left > 0)
	{
		uint32		n = Min(left, BATCH);

		CHECK_FOR_INTERRUPTS();
		omen_attribute_postings(reader, attribute, start, n, entries);
		for (uint32 i = 0; i < n; i++)
		{
			uint32		node = entries[i];

			if (segment_filter->n_sets > 1 && !passes_others(segment_filter, node))
				continue;
			if (unlikely(node >= n_nodes))
				node = omen_attribute_owner(reader, node);
			list->nodes[list->n] = node;
			list->n += node != OMEN_NO_OWNER;
		}
		start += n;
		left -= n;
	}
}

static bool
is_ascending(const NodeList *list)
{
	bool		ascending = true;

	for (uint32 i = 1; i < list->n; i++)
		ascending &= list->nodes[i - 1] < list->nodes[i];
	return ascending;
}

/* Sort by way of a bitmap of all nodes, in which each is once. */
static void
sort_by_bitmap(NodeList *list, uint32 n_nodes)
{
	uint32		n_words = n_nodes / 64 + 1;
	uint64	   *bitmap = palloc_extended((Size) n_words * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < list->n; i++)
		bitmap[list->nodes[i] / 64] |= UINT64CONST(1) << (list->nodes[i] % 64);
	list->n = 0;
	for (uint32 word = 0; word < n_words; word++)
		for (uint64 bits = bitmap[word]; bits != 0; bits &= bits - 1)
			list->nodes[list->n++] = word * 64 + pg_rightmost_one_pos64(bits);
	pfree(bitmap);
}

/* Bring the nodes into order, each once. */
static void
sort_list(NodeList *list, uint32 n_nodes)
{
	uint32		n = 0;

	if (is_ascending(list))
		return;
	if (list->n > n_nodes / BITMAP_SHARE)
	{
		sort_by_bitmap(list, n_nodes);
		return;
	}
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
	NodeList	list = {.n = 0};

	if (segment_filter->has_marks)
		return omen_segment_rows_nodes(&segment_filter->rows, nodes);
	if (segment_filter->n_sets > 1 && set->n_entries > MANY_TESTS)
		omen_segment_filter_prepare_tests(segment_filter);
	/* one more, where the owner of the last entry is put before it is known whether it has one */
	list.nodes = palloc_extended((set->n_entries + 1) * sizeof(uint32), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < set->n_ranges; i++)
		add_range_nodes(&list, segment_filter, &set->ranges[i]);
	sort_list(&list, segment_filter->reader.segment->n_nodes);
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
		uint32		n_postings = omen_attribute_n_postings(reader, attribute, set->ranges[r].from, set->ranges[r].to,
														   &start);

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
