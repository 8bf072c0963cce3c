/*-------------------------------------------------------------------------
 *
 * check_attributes.c
 *	  omenvec_check() for the attributes of a sealed segment.
 *
 * The column is one range of bytes, of which the header says where everything
 * lies.  What it says is compared with the range before anything is read
 * there, and a value of variable length with its checksum before it is
 * compared with another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#include "src/filter/attribute_reader.h"
#include "src/storage/page_reader.h"

#include "access/tupmacs.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

/* Postings read at a time. */
#define BATCH 1024

typedef struct AttributesCheck
{
	OmenCheck  *check;
	const OmenSegment *segment;
	const OmenCheckedEntry *entries;
	OmenReader	reader;
	OmenColumnView chunks;
	pg_crc32c	checksum;		/* of the chunks so far, but for the first struct */
	uint64		n_bytes;		/* of the range */
	uint64		header_bytes;

	/* the attribute in hand */
	int			number;			/* in the index: the vector is column 1 */
	const OmenAttribute *attribute;
	OmenStoredAttribute stored;
} AttributesCheck;

static void *
allocate(Size n, Size bytes)
{
	return palloc_extended(Max(n, 1) * bytes, MCXT_ALLOC_HUGE);
}

/* Copy bytes, which lie in the range. */
static void
read_bytes(AttributesCheck *state, uint64 offset, uint64 n, void *to)
{
	while (n > 0)
	{
		uint32		within = offset % OMEN_CHUNK_BYTES;
		uint64		here = Min(n, OMEN_CHUNK_BYTES - within);
		const void *head;
		const void *chunk;

		CHECK_FOR_INTERRUPTS();
		omen_reader_one(&state->reader, &state->chunks, offset / OMEN_CHUNK_BYTES, &head, &chunk);
		memcpy(to, (const char *) chunk + within, here);
		to = (char *) to + here;
		offset += here;
		n -= here;
	}
	omen_reader_release(&state->reader);
}

/* ---- where everything lies ---- */

static bool
is_in_range(const AttributesCheck *state, uint64 offset, uint64 n, uint32 element_bytes)
{
	return offset % OMEN_VALUE_ALIGNMENT == 0 && offset >= state->header_bytes && offset <= state->n_bytes &&
		n * element_bytes <= state->n_bytes - offset;
}

static bool
read_header(AttributesCheck *state)
{
	uint64		capacity = (uint64) state->chunks.n_records * OMEN_CHUNK_BYTES;
	uint32		n_owners = state->segment->n_tid_entries - state->segment->n_nodes;
	OmenStoredAttributes header = {0};

	state->header_bytes = sizeof(header) + state->check->attributes->n * sizeof(OmenStoredAttribute);
	if (state->header_bytes <= capacity)
		read_bytes(state, 0, sizeof(header), &header);
	if (header.n_attributes != (uint32) state->check->attributes->n || header.n_bytes > capacity ||
		header.n_bytes + OMEN_CHUNK_BYTES <= capacity || header.n_bytes < state->header_bytes)
	{
		omen_check_report(state->check, InvalidBlockNumber,
						  "%u attributes of " UINT64_FORMAT " bytes where the index has %d, the segment "
						  UINT64_FORMAT " bytes for them",
						  header.n_attributes, header.n_bytes, state->check->attributes->n, capacity);
		return false;
	}
	if (header.checksum != state->checksum)
		omen_check_report(state->check, InvalidBlockNumber, "checksum of the attributes is %08X, of their bytes %08X",
						  header.checksum, state->checksum);
	state->n_bytes = header.n_bytes;
	if (!is_in_range(state, header.owners, n_owners, sizeof(uint32)))
	{
		omen_check_report(state->check, InvalidBlockNumber, "owners of %u TID entries from byte " UINT64_FORMAT " on, of " UINT64_FORMAT,
						  n_owners, header.owners, header.n_bytes);
		return false;
	}
	return true;
}

/* Read the description of an attribute; false if it cannot be. */
static bool
read_attribute(AttributesCheck *state, int i)
{
	OmenStoredAttribute *stored = &state->stored;
	uint32		n_entries = state->segment->n_tid_entries;
	bool		variable;

	state->attribute = &state->check->attributes->attributes[i];
	state->number = state->attribute->attno;
	variable = state->attribute->typlen == -1;
	read_bytes(state, sizeof(OmenStoredAttributes) + i * sizeof(OmenStoredAttribute), sizeof(*stored), stored);
	if (stored->n_values <= state->segment->n_rows &&
		(stored->rank_bytes == 1 || stored->rank_bytes == 2 || stored->rank_bytes == 4) &&
		(stored->rank_bytes == 4 || stored->n_values >> (8 * stored->rank_bytes) == 0) &&
		stored->value_bytes == (variable ? 0 : (uint32) state->attribute->typlen) &&
		is_in_range(state, stored->values, stored->n_values, stored->value_bytes) &&
		(!variable || is_in_range(state, stored->value_places, (uint64) stored->n_values + 1, sizeof(OmenValuePlace))) &&
		is_in_range(state, stored->ranks, n_entries, stored->rank_bytes) &&
		is_in_range(state, stored->posting_starts, (uint64) stored->n_values + 2, sizeof(uint32)) &&
		is_in_range(state, stored->postings, state->segment->n_rows, sizeof(uint32)))
		return true;
	omen_check_report(state->check, InvalidBlockNumber,
					  "column %d is described by impossible numbers: %u values of %u bytes, ranks of %u bytes",
					  state->number, stored->n_values, stored->value_bytes, stored->rank_bytes);
	return false;
}

/* ---- values ---- */

static Datum
read_fixed_value(AttributesCheck *state, uint32 rank)
{
	uint32		n_bytes = state->stored.value_bytes;
	char	   *value = palloc(n_bytes);

	read_bytes(state, state->stored.values + (uint64) rank * n_bytes, n_bytes, value);
	return fetch_att(value, state->attribute->typbyval, state->attribute->typlen);
}

/* A value of variable length; false if it is damaged. */
static bool
read_variable_value(AttributesCheck *state, uint32 rank, Datum *value)
{
	const OmenStoredAttribute *stored = &state->stored;
	OmenValuePlace places[2];
	uint64		start;
	uint64		n_bytes;
	char	   *bytes;
	pg_crc32c	checksum;

	read_bytes(state, stored->value_places + (uint64) rank * sizeof(OmenValuePlace), sizeof(places), places);
	start = (uint64) places[0].start * OMEN_VALUE_ALIGNMENT;
	n_bytes = ((uint64) places[1].start - places[0].start) * OMEN_VALUE_ALIGNMENT;
	if (places[1].start <= places[0].start || n_bytes > MaxAllocSize / 2 ||
		!is_in_range(state, stored->values + start, n_bytes, 1))
	{
		omen_check_report(state->check, InvalidBlockNumber, "value %u of column %d is in no possible place",
						  rank, state->number);
		return false;
	}
	bytes = palloc(n_bytes);
	read_bytes(state, stored->values + start, n_bytes, bytes);
	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, bytes, n_bytes);
	FIN_CRC32C(checksum);
	*value = PointerGetDatum(bytes);
	if (checksum == places[0].checksum && !VARATT_IS_EXTERNAL(bytes) &&
		TYPEALIGN64(OMEN_VALUE_ALIGNMENT, VARSIZE_ANY(bytes)) == n_bytes)
		return true;
	omen_check_report(state->check, InvalidBlockNumber, "value %u of column %d is damaged", rank, state->number);
	return false;
}

static bool
read_value(AttributesCheck *state, uint32 rank, Datum *value)
{
	if (state->attribute->typlen == -1)
		return read_variable_value(state, rank, value);
	*value = read_fixed_value(state, rank);
	return true;
}

/* The values of the dictionary ascend. */
static void
check_values(AttributesCheck *state)
{
	MemoryContext contexts[2];
	MemoryContext old_context = CurrentMemoryContext;
	Datum		values[2];
	bool		has_last = false;

	for (int i = 0; i < 2; i++)
		contexts[i] = AllocSetContextCreate(old_context, "omenvec check value", ALLOCSET_DEFAULT_SIZES);
	for (uint32 rank = 0; rank < state->stored.n_values; rank++)
	{
		int			this = rank % 2;

		MemoryContextReset(contexts[this]);
		MemoryContextSwitchTo(contexts[this]);
		if (!read_value(state, rank, &values[this]))
		{
			has_last = false;
			continue;
		}
		if (has_last &&
			DatumGetInt32(FunctionCall2Coll((FmgrInfo *) &state->attribute->compare, state->attribute->collation,
											values[1 - this], values[this])) >= 0)
			omen_check_report(state->check, InvalidBlockNumber,
							  "value %u of column %d is not greater than the one before", rank, state->number);
		has_last = true;
	}
	MemoryContextSwitchTo(old_context);
	for (int i = 0; i < 2; i++)
		MemoryContextDelete(contexts[i]);
}

/* ---- ranks and postings ---- */

/* The ranks of all entries, palloc'd; those of rows are below the number of ranks. */
static void *
check_ranks(AttributesCheck *state)
{
	const OmenStoredAttribute *stored = &state->stored;
	uint32		n_entries = state->segment->n_tid_entries;
	void	   *ranks = allocate(n_entries, stored->rank_bytes);

	read_bytes(state, stored->ranks, (uint64) n_entries * stored->rank_bytes, ranks);
	for (uint32 i = 0; i < n_entries; i++)
	{
		uint32		rank = omen_stored_rank(ranks, stored->rank_bytes, i);

		if (rank > (state->entries[i].is_row ? stored->n_values : 0))
			omen_check_report(state->check, InvalidBlockNumber, "TID entry %u has rank %u of %u in column %d",
							  i, rank, stored->n_values, state->number);
	}
	return ranks;
}

/* Where the postings of each rank begin, palloc'd; NULL if they cannot be followed. */
static uint32 *
check_posting_starts(AttributesCheck *state)
{
	uint32		n_ranks = state->stored.n_values + 1;
	uint32	   *starts = allocate((Size) n_ranks + 1, sizeof(uint32));
	bool		good;

	read_bytes(state, state->stored.posting_starts, ((uint64) n_ranks + 1) * sizeof(uint32), starts);
	good = starts[0] == 0 && starts[n_ranks] == state->segment->n_rows;
	for (uint32 rank = 0; rank < n_ranks && good; rank++)
		/* a value that nobody has would not be there; NULL may be */
		good = rank + 1 < n_ranks ? starts[rank] < starts[rank + 1] : starts[rank] <= starts[rank + 1];
	if (good)
		return starts;
	omen_check_report(state->check, InvalidBlockNumber,
					  "postings of column %d do not go from 0 to %u, each value with its own",
					  state->number, state->segment->n_rows);
	return NULL;
}

/*
 * Postings are the ranks turned round: as many as there are rows, each of a
 * row that has the rank, ascending within it; so none can be missing.
 */
static void
check_postings(AttributesCheck *state, const void *ranks, const uint32 *starts)
{
	uint32		batch[BATCH];
	uint32		n_rows = state->segment->n_rows;
	uint32		rank = 0;
	uint32		last = 0;

	for (uint32 i = 0; i < n_rows; i++)
	{
		uint32		entry;

		if (i % BATCH == 0)
			read_bytes(state, state->stored.postings + (uint64) i * sizeof(uint32),
					   Min(BATCH, n_rows - i) * sizeof(uint32), batch);
		entry = batch[i % BATCH];
		while (i >= starts[rank + 1])
			rank++;
		if (entry >= state->segment->n_tid_entries || !state->entries[entry].is_row ||
			omen_stored_rank(ranks, state->stored.rank_bytes, entry) != rank)
			omen_check_report(state->check, InvalidBlockNumber,
							  "TID entry %u is among those with value %u of column %d, but has not this value",
							  entry, rank, state->number);
		else if (i > starts[rank] && entry <= last)
			omen_check_report(state->check, InvalidBlockNumber,
							  "TID entries with value %u of column %d do not ascend at entry %u",
							  rank, state->number, entry);
		last = entry;
	}
}

/* The entry of a node's first row: its own, or the first of its list.  Lists are in the order of their nodes: *at is where to look. */
static uint32
first_row(const AttributesCheck *state, uint32 node, uint32 *at)
{
	const OmenCheckedEntry *entries = state->entries;

	if (entries[node].is_row)
		return node;
	while (*at < state->segment->n_tid_entries && !(entries[*at].is_row && entries[*at].owner == node))
		(*at)++;
	return *at;
}

/* Nodes are numbered by the ranks of their first rows. */
static void
check_groups(AttributesCheck *state, const void *ranks)
{
	uint32		at = state->segment->n_nodes;
	uint32		last = 0;

	for (uint32 node = 0; node < state->segment->n_nodes; node++)
	{
		uint32		entry = first_row(state, node, &at);
		uint32		rank;

		if (entry >= state->segment->n_tid_entries)
			return;
		rank = omen_stored_rank(ranks, state->stored.rank_bytes, entry);
		if (rank < last)
			omen_check_report(state->check, InvalidBlockNumber,
							  "nodes are grouped by column %d, but node %u with value %u comes after one with value %u",
							  state->number, node, rank, last);
		last = rank;
	}
}

static void
check_attribute(AttributesCheck *state, int i)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec check attribute",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);

	if (read_attribute(state, i))
	{
		void	   *ranks = check_ranks(state);
		uint32	   *starts = check_posting_starts(state);

		check_values(state);
		if (starts)
			check_postings(state, ranks, starts);
		if (state->check->meta->group_attribute == i + 1)
			check_groups(state, ranks);
	}
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

/* ---- owners ---- */

static void
check_owners(AttributesCheck *state)
{
	uint32		n_nodes = state->segment->n_nodes;
	uint32		n = state->segment->n_tid_entries - n_nodes;
	uint32	   *owners = allocate(n, sizeof(uint32));
	OmenStoredAttributes header;

	read_bytes(state, 0, sizeof(header), &header);
	read_bytes(state, header.owners, (uint64) n * sizeof(uint32), owners);
	for (uint32 i = 0; i < n; i++)
		if (owners[i] != state->entries[n_nodes + i].owner)
			omen_check_report(state->check, InvalidBlockNumber, "TID entry %u is said to be of node %u, but is of node %u",
							  n_nodes + i, owners[i], state->entries[n_nodes + i].owner);
	pfree(owners);
}

static void
visit_chunk(void *arg, BlockNumber block, uint32 chunk, const void *head, const void *body)
{
	AttributesCheck *state = arg;
	uint32		skipped = chunk == 0 ? sizeof(OmenStoredAttributes) : 0;

	COMP_CRC32C(state->checksum, (const char *) body + skipped, OMEN_CHUNK_BYTES - skipped);
}

/*
 * Check the attributes of a segment, whose TID entries have been found good:
 * entries says what each is.
 */
void
omen_check_attributes(OmenCheck *check, const OmenSegment *segment, const OmenCheckedEntry *entries)
{
	AttributesCheck state = {.check = check,.segment = segment,.entries = entries};

	INIT_CRC32C(state.checksum);
	if (!omen_check_walk_column(check, segment, OMEN_COLUMN_ATTRIBUTES, visit_chunk, &state))
		return;
	FIN_CRC32C(state.checksum);
	omen_reader_init(&state.reader, check->index);
	omen_column_view(&state.chunks, check->index, check->meta, segment, OMEN_COLUMN_ATTRIBUTES);
	if (!read_header(&state))
		return;
	check_owners(&state);
	for (int i = 0; i < check->attributes->n; i++)
		check_attribute(&state, i);
}
