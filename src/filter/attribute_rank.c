/*-------------------------------------------------------------------------
 *
 * attribute_rank.c
 *	  The order of an attribute's values, and of rows by them.
 *
 * Values that are equal in the attribute's order (numeric 1.0 and 1.00) share a
 * rank.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_rank.h"
#include "src/filter/attribute_internal.h"

#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

static int
compare_values(const OmenValueRanks *ranks, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &ranks->info->compare, ranks->info->collation, a, b));
}

/* Of equal values the same one comes first, whatever order they came in. */
static int
compare_bytes(const OmenAttribute *info, Datum a, Datum b)
{
	Size		a_bytes;
	Size		b_bytes;
	int			order;

	if (info->typbyval)
		return a < b ? -1 : a > b;
	a_bytes = datumGetSize(a, false, info->typlen);
	b_bytes = datumGetSize(b, false, info->typlen);
	order = memcmp(DatumGetPointer(a), DatumGetPointer(b), Min(a_bytes, b_bytes));
	return order != 0 ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int
compare_numbers(const void *a, const void *b, void *arg)
{
	const OmenValueRanks *ranks = arg;
	Datum		left = ranks->values[*(const uint32 *) a];
	Datum		right = ranks->values[*(const uint32 *) b];
	int			order = compare_values(ranks, left, right);

	CHECK_FOR_INTERRUPTS();
	return order != 0 ? order : compare_bytes(ranks->info, left, right);
}

/* The numbers of the values that rows have, ascending. */
static uint32
list_numbers(int attribute, const uint32 *const *rows, uint32 n_rows, uint32 n_numbers, uint32 *list)
{
	bool	   *seen = palloc_extended(Max(n_numbers, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32		n = 0;

	for (uint32 i = 0; i < n_rows; i++)
		if (rows[i] && rows[i][attribute] != OMEN_NULL_VALUE)
			seen[rows[i][attribute]] = true;
	for (uint32 number = 0; number < n_numbers; number++)
		if (seen[number])
			list[n++] = number;
	pfree(seen);
	return n;
}

/* Of n numbers in order, those of equal values come to share a rank. */
static void
join_equal(OmenValueRanks *ranks, uint32 n)
{
	for (uint32 i = 0; i < n; i++)
	{
		uint32		number = ranks->sorted[i];

		omen_attribute_check_interrupts(i);
		if (ranks->n == 0 ||
			compare_values(ranks, ranks->values[ranks->sorted[ranks->n - 1]], ranks->values[number]) != 0)
			ranks->sorted[ranks->n++] = number;
		ranks->ranks[number] = ranks->n - 1;
	}
}

/* Functions that compare may want a snapshot, which a worker that merges has none of: as long as they are called. */
void
omen_value_ranks_make(OmenValueRanks *ranks, const OmenAttributeTable *table, int attribute,
					  const uint32 *const *rows, uint32 n_rows)
{
	const OmenValueSet *set = &table->sets[attribute];
	bool		needs_snapshot = !ActiveSnapshotSet();
	uint32		n;

	ranks->info = &table->attributes->attributes[attribute];
	ranks->values = set->values;
	ranks->sorted = omen_attribute_allocate((Size) set->n * sizeof(uint32));
	ranks->ranks = omen_attribute_allocate((Size) set->n * sizeof(uint32));
	ranks->n = 0;
	n = list_numbers(attribute, rows, n_rows, set->n, ranks->sorted);
	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	qsort_arg(ranks->sorted, n, sizeof(uint32), compare_numbers, ranks);
	join_equal(ranks, n);
	if (needs_snapshot)
		PopActiveSnapshot();
}

/* Count the rows of each rank, then put each behind those that came before it. */
static void
sort_by_rank(const OmenValueRanks *ranks, int attribute, const uint32 *const *rows, uint32 n, uint32 *order)
{
	uint32	   *next = palloc_extended(((Size) ranks->n + 2) * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < n; i++)
		next[omen_value_rank(ranks, rows[i][attribute]) + 1]++;
	for (uint32 rank = 0; rank <= ranks->n; rank++)
		next[rank + 1] += next[rank];
	for (uint32 i = 0; i < n; i++)
		order[next[omen_value_rank(ranks, rows[i][attribute])]++] = i;
}

void
omen_attribute_table_group(const OmenAttributeTable *table, int attribute, const ItemPointerData *tids,
						   uint32 n, uint32 *order)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "omenvec attribute groups", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(work);
	const uint32 **rows = omen_attribute_allocate((Size) n * sizeof(uint32 *));
	OmenValueRanks ranks;

	for (uint32 i = 0; i < n; i++)
	{
		omen_attribute_check_interrupts(i);
		rows[i] = omen_attribute_table_find(table, &tids[i]);
	}
	omen_value_ranks_make(&ranks, table, attribute, rows, n);
	sort_by_rank(&ranks, attribute, rows, n, order);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(work);
}
