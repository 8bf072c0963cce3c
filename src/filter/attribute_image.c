/*-------------------------------------------------------------------------
 *
 * attribute_image.c
 *	  The bytes of a segment's column ATTRIBUTES, made from a table of its rows.
 *
 * The values that the entries have are sorted, which gives them ranks
 * (attribute_rank.c); then each entry gets its rank, and each rank the entries
 * that have it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_image.h"
#include "src/filter/attribute_internal.h"
#include "src/filter/attribute_rank.h"

#include "access/tupmacs.h"
#include "port/pg_crc32c.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#define NO_RANK 0xFFFFFFFFU

/* What the image of one attribute is made of. */
typedef struct AttributeDraft
{
	OmenValueRanks ranks;
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

/* ---- ranks ---- */

static void
find_rows(Imaging *imaging)
{
	imaging->numbers = omen_attribute_allocate(imaging->n_entries * sizeof(uint32 *));
	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		const OmenTidEntry *entry = &imaging->entries[i];
		ItemPointerData tid;

		omen_attribute_check_interrupts(i);
		imaging->numbers[i] = NULL;
		if (entry->kind != OMEN_TID_PLAIN)
			continue;
		ItemPointerSet(&tid, entry->block, entry->offset);
		imaging->numbers[i] = omen_attribute_table_find(imaging->table, &tid);
	}
}

static inline Size
value_size(const OmenAttribute *info, Datum value)
{
	return datumGetSize(value, info->typbyval, info->typlen);
}

static void
rank_values(const Imaging *imaging, int attribute)
{
	AttributeDraft *draft = &imaging->drafts[attribute];
	const OmenValueRanks *ranks = &draft->ranks;

	omen_value_ranks_make(&draft->ranks, imaging->table, attribute, imaging->numbers, imaging->n_entries);
	draft->stored.n_values = ranks->n;
	if (ranks->info->typlen != -1)
		return;
	for (uint32 rank = 0; rank < ranks->n; rank++)
	{
		omen_attribute_check_interrupts(rank);
		draft->value_bytes += TYPEALIGN(OMEN_VALUE_ALIGNMENT,
										value_size(ranks->info, ranks->values[ranks->sorted[rank]]));
	}
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
	bool		variable = draft->ranks.info->typlen == -1;
	uint64		n = stored->n_values;

	if (variable && draft->value_bytes / OMEN_VALUE_ALIGNMENT > PG_UINT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("values of an attribute in one segment take more than %u GB",
						(unsigned) ((uint64) PG_UINT32_MAX * OMEN_VALUE_ALIGNMENT >> 30)),
				 errhint("Lower maintenance_work_mem or partition the table.")));
	stored->rank_bytes = n <= PG_UINT8_MAX ? 1 : n <= PG_UINT16_MAX ? 2 : 4;
	stored->value_bytes = variable ? 0 : draft->ranks.info->typlen;
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
		Datum		value = draft->ranks.values[draft->ranks.sorted[rank]];
		char	   *to = imaging->bytes + stored->values + start;
		Size		bytes = value_size(draft->ranks.info, value);
		Size		aligned = TYPEALIGN(OMEN_VALUE_ALIGNMENT, bytes);
		pg_crc32c	checksum;

		omen_attribute_check_interrupts(rank);
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

	if (draft->ranks.info->typlen == -1)
	{
		put_values_of_variable_length(imaging, draft);
		return;
	}
	for (uint32 rank = 0; rank < stored->n_values; rank++)
	{
		Datum		value = draft->ranks.values[draft->ranks.sorted[rank]];
		char	   *to = imaging->bytes + stored->values + (uint64) rank * stored->value_bytes;

		if (draft->ranks.info->typbyval)
			store_att_byval(to, value, draft->ranks.info->typlen);
		else
			memcpy(to, DatumGetPointer(value), stored->value_bytes);
	}
}

/* The rank of an entry; NO_RANK if it is no row. */
static inline uint32
entry_rank(const Imaging *imaging, int attribute, uint32 entry)
{
	if (imaging->numbers[entry] == NULL)
		return NO_RANK;
	return omen_value_rank(&imaging->drafts[attribute].ranks, imaging->numbers[entry][attribute]);
}

static void
put_ranks(const Imaging *imaging, int attribute)
{
	const OmenStoredAttribute *stored = &imaging->drafts[attribute].stored;
	char	   *ranks = imaging->bytes + stored->ranks;

	for (uint32 i = 0; i < imaging->n_entries; i++)
	{
		uint32		rank = entry_rank(imaging, attribute, i);

		omen_attribute_check_interrupts(i);
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

		omen_attribute_check_interrupts(i);
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

		omen_attribute_check_interrupts(i);
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
	for (int i = 0; i < n_attributes; i++)
		rank_values(&imaging, i);
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
