/*-------------------------------------------------------------------------
 *
 * attribute_table.c
 *	  The attributes of rows while a segment is being made of them.
 *
 * A value that comes again is kept once; a row has the numbers of its values.
 * Rows are named by TID, so it does not matter how those that make the graph
 * order and fold them meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_table.h"

#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#define FIRST_CAPACITY 256

/* Rows between two looks at interrupts. */
#define ROWS_PER_CHECK 4096

/* ---- distinct values ---- */

typedef struct ValueEntry
{
	Datum		value;
	uint32		hash;
	uint32		number;
	char		status;
} ValueEntry;

#define ATTRIBUTE_OF(hash) ((const OmenAttribute *) (hash)->private_data)

#define SH_PREFIX values
#define SH_ELEMENT_TYPE ValueEntry
#define SH_KEY_TYPE Datum
#define SH_KEY value
#define SH_HASH_KEY(hash, key) \
	datum_image_hash(key, ATTRIBUTE_OF(hash)->typbyval, ATTRIBUTE_OF(hash)->typlen)
#define SH_EQUAL(hash, a, b) \
	datum_image_eq(a, b, ATTRIBUTE_OF(hash)->typbyval, ATTRIBUTE_OF(hash)->typlen)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* An empty table: all memory of an earlier content is gone. */
static void
begin(OmenAttributeTable *table)
{
	int			n = table->attributes->n;

	table->n_rows = table->capacity = 0;
	table->sorted = true;
	table->tids = NULL;
	table->numbers = NULL;
	table->sets = MemoryContextAllocZero(table->context, n * sizeof(OmenValueSet));
	for (int i = 0; i < n; i++)
		table->sets[i].hash = values_create(table->context, FIRST_CAPACITY,
											(void *) &table->attributes->attributes[i]);
}

/* In the current memory context, as attributes has to be kept, too. */
OmenAttributeTable *
omen_attribute_table_create(const OmenAttributes *attributes)
{
	OmenAttributeTable *table = palloc0(sizeof(OmenAttributeTable));

	table->attributes = attributes;
	table->context = AllocSetContextCreate(CurrentMemoryContext, "omenvec attributes",
										   ALLOCSET_DEFAULT_SIZES);
	begin(table);
	return table;
}

void
omen_attribute_table_reset(OmenAttributeTable *table)
{
	MemoryContextReset(table->context);
	begin(table);
}

static void *
enlarge(MemoryContext context, void *memory, Size bytes)
{
	return memory ? repalloc_huge(memory, bytes) : MemoryContextAllocHuge(context, bytes);
}

static uint32
add_value(OmenAttributeTable *table, OmenValueSet *set, Datum value)
{
	if (set->n == set->capacity)
	{
		set->capacity = Max(set->capacity * 2, FIRST_CAPACITY);
		set->values = enlarge(table->context, set->values, (Size) set->capacity * sizeof(Datum));
	}
	set->values[set->n] = value;
	return set->n++;
}

uint32
omen_attribute_table_number(OmenAttributeTable *table, int attribute, Datum value, bool isnull)
{
	const OmenAttribute *info = &table->attributes->attributes[attribute];
	OmenValueSet *set = &table->sets[attribute];
	MemoryContext old_context;
	ValueEntry *entry;
	bool		found;

	if (isnull)
		return OMEN_NULL_VALUE;
	if (info->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	entry = values_insert(set->hash, value, &found);
	if (!found)
	{
		old_context = MemoryContextSwitchTo(table->context);
		entry->value = datumCopy(value, info->typbyval, info->typlen);
		entry->number = add_value(table, set, entry->value);
		MemoryContextSwitchTo(old_context);
	}
	return entry->number;
}

/* ---- rows ---- */

void
omen_attribute_table_add(OmenAttributeTable *table, const ItemPointerData *tid, const uint32 *numbers)
{
	Size		row_bytes = table->attributes->n * sizeof(uint32);

	if (table->n_rows == table->capacity)
	{
		table->capacity = Max(table->capacity * 2, FIRST_CAPACITY);
		table->tids = enlarge(table->context, table->tids, (Size) table->capacity * sizeof(ItemPointerData));
		table->numbers = enlarge(table->context, table->numbers, (Size) table->capacity * row_bytes);
	}
	table->tids[table->n_rows] = *tid;
	memcpy(table->numbers + (Size) table->n_rows * table->attributes->n, numbers, row_bytes);
	table->n_rows++;
	table->sorted = false;
}

void
omen_attribute_table_add_values(OmenAttributeTable *table, const ItemPointerData *tid,
								const Datum *values, const bool *isnull)
{
	uint32		numbers[INDEX_MAX_KEYS];

	for (int i = 0; i < table->attributes->n; i++)
		numbers[i] = omen_attribute_table_number(table, i, values[i], isnull[i]);
	omen_attribute_table_add(table, tid, numbers);
}

/* A row on its way to its place. */
typedef struct SortedRow
{
	ItemPointerData tid;
	uint32		row;
} SortedRow;

static int
compare_rows(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const SortedRow *) a)->tid,
							  (ItemPointer) &((const SortedRow *) b)->tid);
}

void
omen_attribute_table_sort(OmenAttributeTable *table)
{
	uint32		n_attributes = table->attributes->n;
	SortedRow  *order;
	uint32	   *numbers;

	if (table->sorted || table->n_rows == 0)
		return;
	order = MemoryContextAllocHuge(table->context, (Size) table->n_rows * sizeof(SortedRow));
	for (uint32 i = 0; i < table->n_rows; i++)
		order[i] = (SortedRow) {table->tids[i], i};
	qsort(order, table->n_rows, sizeof(SortedRow), compare_rows);

	numbers = MemoryContextAllocHuge(table->context, (Size) table->capacity * n_attributes * sizeof(uint32));
	for (uint32 i = 0; i < table->n_rows; i++)
	{
		if (i % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		table->tids[i] = order[i].tid;
		memcpy(numbers + (Size) i * n_attributes,
			   table->numbers + (Size) order[i].row * n_attributes, n_attributes * sizeof(uint32));
	}
	pfree(order);
	pfree(table->numbers);
	table->numbers = numbers;
	table->sorted = true;
}

/* The first row whose TID is not less. */
static uint32
find_place(const OmenAttributeTable *table, const ItemPointerData *tid)
{
	uint32		low = 0;
	uint32		high = table->n_rows;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if (ItemPointerCompare(&table->tids[middle], (ItemPointer) tid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const uint32 *
omen_attribute_table_find(const OmenAttributeTable *table, const ItemPointerData *tid)
{
	uint32		place = find_place(table, tid);

	Assert(table->sorted);
	if (place == table->n_rows || !ItemPointerEquals(&table->tids[place], (ItemPointer) tid))
		elog(ERROR, "attributes of row (%u,%u) are missing",
			 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	return table->numbers + (Size) place * table->attributes->n;
}

/* Add a row of another table of the same attributes. */
static void
add_row_of(OmenAttributeTable *table, const OmenAttributeTable *from, uint32 row)
{
	int			n_attributes = table->attributes->n;
	const uint32 *numbers = from->numbers + (Size) row * n_attributes;
	Datum		values[INDEX_MAX_KEYS] = {0};
	bool		isnull[INDEX_MAX_KEYS];

	for (int i = 0; i < n_attributes; i++)
	{
		isnull[i] = numbers[i] == OMEN_NULL_VALUE;
		if (!isnull[i])
			values[i] = from->sets[i].values[numbers[i]];
	}
	omen_attribute_table_add_values(table, &from->tids[row], values, isnull);
}

/* The other rows move to memory of their own, so that no value stays that only rows let go of had. */
void
omen_attribute_table_forget(OmenAttributeTable *table, BlockNumber last_block)
{
	OmenAttributeTable old = *table;
	ItemPointerData first_kept;

	if (last_block == MaxBlockNumber)
	{
		omen_attribute_table_reset(table);
		return;
	}
	ItemPointerSet(&first_kept, last_block + 1, 0);
	table->context = AllocSetContextCreate(MemoryContextGetParent(old.context), "omenvec attributes",
										   ALLOCSET_DEFAULT_SIZES);
	begin(table);
	for (uint32 row = find_place(&old, &first_kept); row < old.n_rows; row++)
	{
		if (row % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		add_row_of(table, &old, row);
	}
	MemoryContextDelete(old.context);
}

/* ---- on the way to another process ---- */

typedef struct SerializedTable
{
	uint32		n_rows;
	uint32		n_values[INDEX_MAX_KEYS];
} SerializedTable;

Size
omen_attribute_table_serialized_bytes(const OmenAttributeTable *table)
{
	const OmenAttributes *attributes = table->attributes;
	Size		bytes = sizeof(SerializedTable) +
		(Size) table->n_rows * (sizeof(ItemPointerData) + attributes->n * sizeof(uint32));

	for (int i = 0; i < attributes->n; i++)
	{
		const OmenAttribute *info = &attributes->attributes[i];

		for (uint32 v = 0; v < table->sets[i].n; v++)
			bytes += datumEstimateSpace(table->sets[i].values[v], false, info->typbyval, info->typlen);
	}
	return bytes;
}

static char *
put(char *to, const void *from, Size bytes)
{
	if (bytes > 0)
		memcpy(to, from, bytes);
	return to + bytes;
}

void
omen_attribute_table_serialize(const OmenAttributeTable *table, char *to)
{
	const OmenAttributes *attributes = table->attributes;
	SerializedTable header = {.n_rows = table->n_rows};

	for (int i = 0; i < attributes->n; i++)
		header.n_values[i] = table->sets[i].n;
	to = put(to, &header, sizeof(header));
	to = put(to, table->tids, (Size) table->n_rows * sizeof(ItemPointerData));
	to = put(to, table->numbers, (Size) table->n_rows * attributes->n * sizeof(uint32));
	for (int i = 0; i < attributes->n; i++)
	{
		const OmenAttribute *info = &attributes->attributes[i];

		for (uint32 v = 0; v < header.n_values[i]; v++)
			datumSerialize(table->sets[i].values[v], false, info->typbyval, info->typlen, &to);
	}
}

/* Their values become ours; returns our numbers of them. */
static uint32 *
absorb_values(OmenAttributeTable *table, int attribute, uint32 n, char **from)
{
	uint32	   *numbers = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(uint32));
	bool		isnull;

	for (uint32 i = 0; i < n; i++)
	{
		Datum		value = datumRestore(from, &isnull);

		numbers[i] = omen_attribute_table_number(table, attribute, value, isnull);
		if (!table->attributes->attributes[attribute].typbyval)
			pfree(DatumGetPointer(value));
		if (i % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
	}
	return numbers;
}

void
omen_attribute_table_absorb(OmenAttributeTable *table, const char *serialized)
{
	int			n_attributes = table->attributes->n;
	const char *tids = serialized + sizeof(SerializedTable);
	const char *numbers;
	char	   *values;
	SerializedTable header;
	uint32	   *ours[INDEX_MAX_KEYS];

	memcpy(&header, serialized, sizeof(header));
	numbers = tids + (Size) header.n_rows * sizeof(ItemPointerData);
	values = (char *) numbers + (Size) header.n_rows * n_attributes * sizeof(uint32);
	for (int i = 0; i < n_attributes; i++)
		ours[i] = absorb_values(table, i, header.n_values[i], &values);

	for (uint32 row = 0; row < header.n_rows; row++)
	{
		ItemPointerData tid;
		uint32		row_numbers[INDEX_MAX_KEYS];

		if (row % ROWS_PER_CHECK == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(&tid, tids + (Size) row * sizeof(ItemPointerData), sizeof(tid));
		memcpy(row_numbers, numbers + (Size) row * n_attributes * sizeof(uint32), n_attributes * sizeof(uint32));
		for (int i = 0; i < n_attributes; i++)
			if (row_numbers[i] != OMEN_NULL_VALUE)
				row_numbers[i] = ours[i][row_numbers[i]];
		omen_attribute_table_add(table, &tid, row_numbers);
	}
	for (int i = 0; i < n_attributes; i++)
		pfree(ours[i]);
}
