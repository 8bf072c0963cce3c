/*-------------------------------------------------------------------------
 *
 * attribute_image.c
 *	  The bytes of a segment's column ATTRIBUTES, made from a table of its rows.
 *
 * The values that the entries have are sorted, which gives them ranks; then
 * each entry gets its rank, and each rank the entries that have it.  Values
 * that are equal in the attribute's order (numeric 1.0 and 1.00) share a rank.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_image.h"

#include "access/tupmacs.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define NO_RANK 0xFFFFFFFFU

/* Elements between two looks at interrupts. */
#define ELEMENTS_PER_CHECK 65536

/* What the image of one attribute is made of. */
typedef struct AttributeDraft
{
	const OmenAttribute *info;
	const Datum *values;		/* by number */
	uint32	   *sorted;			/* numbers of the values of each rank */
	uint32	   *ranks;			/* by number */
	uint64		value_bytes;	/* of all, if of variable length */
	OmenStoredAttribute stored;
} AttributeDraft;

typedef struct Imaging
{
	const OmenAttributeTable *table;
	const OmenTidEntry *entries;
	uint32		n_entries;
	uint32		n_nodes;
	const uint32 **numbers;		/* of each entry's row; NULL of headers and references */
	AttributeDraft *drafts;
	char	   *bytes;
} Imaging;

static void *
allocate(Size bytes)
{
	return MemoryContextAllocHuge(CurrentMemoryContext, Max(bytes, 1));
}

static inline void
check_interrupts(uint32 i)
{
	if (i % ELEMENTS_PER_CHECK == 0)
		CHECK_FOR_INTERRUPTS();
}

/* ---- ranks ---- */

static void
find_rows(Imaging *imaging)
{
	imaging->numbers = allocate(imaging->n_entries * sizeof(uint32 *));
	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		const OmenTidEntry *entry = &imaging->entries[i];
		ItemPointerData tid;

		check_interrupts(i);
		imaging->numbers[i] = NULL;
		if (entry->kind != OMEN_TID_PLAIN)
			continue;
		ItemPointerSet(&tid, entry->block, entry->offset);
		imaging->numbers[i] = omen_attribute_table_find(imaging->table, &tid);
		if (imaging->numbers[i] == NULL)
			elog(ERROR, "attributes of row (%u,%u) are missing", entry->block, entry->offset);
	}
}

static int
compare_values(const AttributeDraft *draft, Datum a, Datum b)
{
	return DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &draft->info->compare, draft->info->collation, a, b));
}

static inline Size
value_size(const OmenAttribute *info, Datum value)
{
	return datumGetSize(value, info->typbyval, info->typlen);
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
	a_bytes = value_size(info, a);
	b_bytes = value_size(info, b);
	order = memcmp(DatumGetPointer(a), DatumGetPointer(b), Min(a_bytes, b_bytes));
	return order != 0 ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int
compare_numbers(const void *a, const void *b, void *arg)
{
	const AttributeDraft *draft = arg;
	Datum		left = draft->values[*(const uint32 *) a];
	Datum		right = draft->values[*(const uint32 *) b];
	int			order = compare_values(draft, left, right);

	CHECK_FOR_INTERRUPTS();
	return order != 0 ? order : compare_bytes(draft->info, left, right);
}

/* The numbers of the values that entries have, ascending. */
static uint32
list_numbers(const Imaging *imaging, int attribute, uint32 n_numbers, uint32 *list)
{
	bool	   *seen = palloc_extended(Max(n_numbers, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32		n = 0;

	for (uint32 i = 0; i < imaging->n_entries; i++)
		if (imaging->numbers[i] && imaging->numbers[i][attribute] != OMEN_NULL_VALUE)
			seen[imaging->numbers[i][attribute]] = true;
	for (uint32 number = 0; number < n_numbers; number++)
		if (seen[number])
			list[n++] = number;
	pfree(seen);
	return n;
}

static void
rank_values(const Imaging *imaging, int attribute)
{
	AttributeDraft *draft = &imaging->drafts[attribute];
	const OmenValueSet *set = &imaging->table->sets[attribute];
	uint32		n;
	uint32		n_ranks = 0;

	draft->info = &imaging->table->attributes->attributes[attribute];
	draft->values = set->values;
	draft->sorted = allocate((Size) set->n * sizeof(uint32));
	draft->ranks = allocate((Size) set->n * sizeof(uint32));
	n = list_numbers(imaging, attribute, set->n, draft->sorted);
	qsort_arg(draft->sorted, n, sizeof(uint32), compare_numbers, draft);

	for (uint32 i = 0; i < n; i++)
	{
		Datum		value = draft->values[draft->sorted[i]];

		check_interrupts(i);
		if (n_ranks == 0 || compare_values(draft, draft->values[draft->sorted[n_ranks - 1]], value) != 0)
		{
			draft->sorted[n_ranks++] = draft->sorted[i];
			if (draft->info->typlen == -1)
				draft->value_bytes += TYPEALIGN(OMEN_VALUE_ALIGNMENT, value_size(draft->info, value));
		}
		draft->ranks[draft->sorted[i]] = n_ranks - 1;
	}
	draft->stored.n_values = n_ranks;
}

/* Functions that compare may want a snapshot, which a worker that merges has none of: as long as they are called. */
static void
rank_all_values(const Imaging *imaging)
{
	bool		needs_snapshot = !ActiveSnapshotSet();

	if (needs_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	for (int i = 0; i < imaging->table->attributes->n; i++)
		rank_values(imaging, i);
	if (needs_snapshot)
		PopActiveSnapshot();
}

/* ---- where everything lies ---- */

static uint64
take(uint64 *end, uint64 bytes)
{
	uint64		start = *end;

	*end = TYPEALIGN64(OMEN_VALUE_ALIGNMENT, start + bytes);
	return start;
}

static void
lay_out_attribute(const Imaging *imaging, AttributeDraft *draft, uint64 *end)
{
	OmenStoredAttribute *stored = &draft->stored;
	bool		variable = draft->info->typlen == -1;
	uint64		n = stored->n_values;

	if (variable && draft->value_bytes / OMEN_VALUE_ALIGNMENT > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("values of an attribute in one segment take more than %u GB",
						(unsigned) ((uint64) PG_UINT32_MAX * OMEN_VALUE_ALIGNMENT >> 30)),
				 errhint("Lower maintenance_work_mem or partition the table.")));
	stored->rank_bytes = n <= PG_UINT8_MAX ? 1 : n <= PG_UINT16_MAX ? 2 : 4;
	stored->value_bytes = variable ? 0 : draft->info->typlen;
	stored->values = take(end, variable ? draft->value_bytes : n * stored->value_bytes);
	stored->value_places = variable ? take(end, (n + 1) * sizeof(OmenValuePlace)) : 0;
	stored->ranks = take(end, (uint64) imaging->n_entries * stored->rank_bytes);
	stored->posting_starts = take(end, (n + 2) * sizeof(uint32));
	stored->postings = take(end, (uint64) imaging->n_entries * sizeof(uint32));
}

static void
lay_out(Imaging *imaging, OmenAttributeImage *image)
{
	int			n_attributes = imaging->table->attributes->n;
	OmenStoredAttributes header = {.n_attributes = n_attributes};
	uint64		end = sizeof(header) + n_attributes * sizeof(OmenStoredAttribute);
	uint64		n_chunks;

	header.owners = take(&end, (uint64) (imaging->n_entries - imaging->n_nodes) * sizeof(uint32));
	for (int i = 0; i < n_attributes; i++)
		lay_out_attribute(imaging, &imaging->drafts[i], &end);
	header.n_bytes = end;

	n_chunks = (end + OMEN_CHUNK_BYTES - 1) / OMEN_CHUNK_BYTES;
	if (n_chunks > PG_INT32_MAX)
		elog(ERROR, "attributes of a segment are too large");
	image->n_chunks = (uint32) n_chunks;
	image->bytes = palloc_extended(n_chunks * OMEN_CHUNK_BYTES, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	imaging->bytes = image->bytes;
	memcpy(imaging->bytes, &header, sizeof(header));
	for (int i = 0; i < n_attributes; i++)
		memcpy(imaging->bytes + sizeof(header) + i * sizeof(OmenStoredAttribute),
			   &imaging->drafts[i].stored, sizeof(OmenStoredAttribute));
}

/* ---- contents ---- */

static void
put_values_of_variable_length(const Imaging *imaging, const AttributeDraft *draft)
{
	const OmenStoredAttribute *stored = &draft->stored;
	OmenValuePlace *places = (OmenValuePlace *) (imaging->bytes + stored->value_places);
	uint64		start = 0;

	for (uint32 rank = 0; rank < stored->n_values; rank++)
	{
		Datum		value = draft->values[draft->sorted[rank]];
		char	   *to = imaging->bytes + stored->values + start;
		Size		bytes = value_size(draft->info, value);
		Size		aligned = TYPEALIGN(OMEN_VALUE_ALIGNMENT, bytes);
		pg_crc32c	checksum;

		check_interrupts(rank);
		memcpy(to, DatumGetPointer(value), bytes);
		INIT_CRC32C(checksum);
		COMP_CRC32C(checksum, to, aligned);
		FIN_CRC32C(checksum);
		places[rank] = (OmenValuePlace) {start / OMEN_VALUE_ALIGNMENT, checksum};
		start += aligned;
	}
	places[stored->n_values] = (OmenValuePlace) {start / OMEN_VALUE_ALIGNMENT, 0};
}

static void
put_values(const Imaging *imaging, const AttributeDraft *draft)
{
	const OmenStoredAttribute *stored = &draft->stored;

	if (draft->info->typlen == -1)
	{
		put_values_of_variable_length(imaging, draft);
		return;
	}
	for (uint32 rank = 0; rank < stored->n_values; rank++)
	{
		Datum		value = draft->values[draft->sorted[rank]];
		char	   *to = imaging->bytes + stored->values + (uint64) rank * stored->value_bytes;

		if (draft->info->typbyval)
			store_att_byval(to, value, draft->info->typlen);
		else
			memcpy(to, DatumGetPointer(value), stored->value_bytes);
	}
}

/* The rank of an entry; NO_RANK if it is no row. */
static inline uint32
entry_rank(const Imaging *imaging, int attribute, uint32 entry)
{
	const AttributeDraft *draft = &imaging->drafts[attribute];
	uint32		number;

	if (imaging->numbers[entry] == NULL)
		return NO_RANK;
	number = imaging->numbers[entry][attribute];
	return number == OMEN_NULL_VALUE ? draft->stored.n_values : draft->ranks[number];
}

static void
put_ranks(const Imaging *imaging, int attribute)
{
	const OmenStoredAttribute *stored = &imaging->drafts[attribute].stored;
	char	   *ranks = imaging->bytes + stored->ranks;

	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		uint32		rank = entry_rank(imaging, attribute, i);

		check_interrupts(i);
		if (rank == NO_RANK)
			continue;
		if (stored->rank_bytes == 1)
			((uint8 *) ranks)[i] = rank;
		else if (stored->rank_bytes == 2)
			((uint16 *) ranks)[i] = rank;
		else
			((uint32 *) ranks)[i] = rank;
	}
}

/* Count the entries of each rank, then put each behind those that came before it. */
static void
put_postings(const Imaging *imaging, int attribute)
{
	const OmenStoredAttribute *stored = &imaging->drafts[attribute].stored;
	uint32	   *starts = (uint32 *) (imaging->bytes + stored->posting_starts);
	uint32	   *postings = (uint32 *) (imaging->bytes + stored->postings);
	uint32		n_ranks = stored->n_values + 1;
	uint32	   *next = palloc_extended((Size) n_ranks * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		uint32		rank = entry_rank(imaging, attribute, i);

		check_interrupts(i);
		if (rank != NO_RANK)
			next[rank]++;
	}
	starts[0] = 0;
	for (uint32 rank = 0; rank < n_ranks; rank++)
	{
		starts[rank + 1] = starts[rank] + next[rank];
		next[rank] = starts[rank];
	}
	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		uint32		rank = entry_rank(imaging, attribute, i);

		check_interrupts(i);
		if (rank != NO_RANK)
			postings[next[rank]++] = i;
	}
	pfree(next);
}

static void
put_owners(const Imaging *imaging)
{
	const OmenStoredAttributes *header = (const OmenStoredAttributes *) imaging->bytes;
	uint32	   *owners = (uint32 *) (imaging->bytes + header->owners);

	memset(owners, 0xFF, (Size) (imaging->n_entries - imaging->n_nodes) * sizeof(uint32));
	for (uint32 node = 0; node < imaging->n_nodes; node++)
	{
		uint32		list = imaging->entries[node].block;

		if (imaging->entries[node].kind != OMEN_TID_LIST)
			continue;
		for (uint32 i = 1; i <= imaging->entries[list].block; i++)
			owners[list + i - imaging->n_nodes] = node;
	}
}

/* Readers have no time to look at all of it, but checks have. */
static void
put_checksum(OmenAttributeImage *image)
{
	OmenStoredAttributes *header = (OmenStoredAttributes *) image->bytes;
	pg_crc32c	checksum;

	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, image->bytes + sizeof(*header),
				(Size) image->n_chunks * OMEN_CHUNK_BYTES - sizeof(*header));
	FIN_CRC32C(checksum);
	header->checksum = checksum;
}

void
omen_attribute_image_make(OmenAttributeImage *image, const OmenAttributeTable *table,
						  const OmenTidEntry *entries, uint32 n_entries, uint32 n_nodes)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(context, "omenvec attribute image", ALLOCSET_DEFAULT_SIZES);
	int			n_attributes = table->attributes->n;
	Imaging		imaging = {.table = table,.entries = entries,.n_entries = n_entries,.n_nodes = n_nodes};

	MemoryContextSwitchTo(work);
	imaging.drafts = palloc0(n_attributes * sizeof(AttributeDraft));
	find_rows(&imaging);
	rank_all_values(&imaging);
	MemoryContextSwitchTo(context);
	lay_out(&imaging, image);
	MemoryContextSwitchTo(work);
	put_owners(&imaging);
	for (int i = 0; i < n_attributes; i++)
	{
		put_values(&imaging, &imaging.drafts[i]);
		put_ranks(&imaging, i);
		put_postings(&imaging, i);
	}
	put_checksum(image);
	MemoryContextSwitchTo(context);
	MemoryContextDelete(work);
}
