/*-------------------------------------------------------------------------
 *
 * attribute_reader.c
 *	  The attributes of a sealed segment: values, ranks and postings.
 *
 * What the bytes say of themselves is checked once, when the reader is opened:
 * each array lies within the column.  What the arrays say is checked when it
 * is read.  So damaged pages give errors or wrong rows, but no access outside
 * of them.
 *
 * Elements of arrays are 1, 2, 4 or 8 bytes long and aligned, and a chunk is a
 * multiple of 8 bytes: only values can cross from one chunk to the next.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/filter/attribute_reader.h"

#include "access/tupmacs.h"
#include "port/pg_crc32c.h"
#include "utils/memutils.h"

#define NO_CHUNK PG_UINT32_MAX

static void damaged(const OmenAttributeReader *reader) pg_attribute_noreturn();

static void
damaged(const OmenAttributeReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("attributes of segment %u of index \"%s\" are damaged",
					reader->segment->id, RelationGetRelationName(reader->reader.index)),
			 errhint("Please REINDEX it.")));
	pg_unreachable();
}

/* ---- bytes ---- */

/* The place of bytes within a chunk, good until the next one is read. */
static inline const char *
place_of(OmenAttributeReader *reader, uint64 offset)
{
	uint32		chunk;

	if (likely(reader->copy != NULL))
		return reader->copy + offset;
	chunk = (uint32) (offset / OMEN_CHUNK_BYTES);
	if (chunk != reader->chunk)
	{
		const void *head;
		const void *body;

		reader->chunk = NO_CHUNK;
		omen_reader_one(&reader->reader, &reader->bytes, chunk, &head, &body);
		reader->chunk = chunk;
		reader->chunk_bytes = body;
	}
	return reader->chunk_bytes + offset % OMEN_CHUNK_BYTES;
}

/* Bytes from offset on that can be had at once. */
static inline uint64
bytes_in_reach(const OmenAttributeReader *reader, uint64 offset)
{
	if (reader->copy != NULL)
		return reader->n_bytes - offset;
	return OMEN_CHUNK_BYTES - offset % OMEN_CHUNK_BYTES;
}

static void
copy_bytes(OmenAttributeReader *reader, uint64 offset, void *to, uint64 n)
{
	for (uint64 done = 0; done < n;)
	{
		uint64		count = Min(n - done, bytes_in_reach(reader, offset + done));

		memcpy((char *) to + done, place_of(reader, offset + done), count);
		done += count;
	}
}

static inline uint32
uint32_at(OmenAttributeReader *reader, uint64 array, uint32 i)
{
	return *(const uint32 *) place_of(reader, array + (uint64) i * sizeof(uint32));
}

/* ---- opening ---- */

/* Do n elements from offset on lie within the column? */
static bool
is_within(const OmenAttributeReader *reader, uint64 offset, uint64 n, uint32 element_bytes)
{
	return offset % sizeof(uint64) == 0 && offset <= reader->n_bytes &&
		n <= (reader->n_bytes - offset) / element_bytes;
}

static bool
values_are_within(const OmenAttributeReader *reader, const OmenAttribute *attribute,
				  const OmenStoredAttribute *stored)
{
	if (attribute->typlen > 0)
		return stored->value_bytes >= (uint32) attribute->typlen &&
			is_within(reader, stored->values, stored->n_values, stored->value_bytes);
	return stored->value_bytes == 0 &&
		is_within(reader, stored->values, 0, 1) &&
		is_within(reader, stored->value_places, (uint64) stored->n_values + 1, sizeof(OmenValuePlace));
}

static bool
attribute_is_sound(const OmenAttributeReader *reader, const OmenAttribute *attribute,
				   const OmenStoredAttribute *stored)
{
	uint32		n_entries = reader->segment->n_tid_entries;
	uint32		rank_bytes = stored->rank_bytes;

	return stored->n_values <= n_entries &&
		(rank_bytes == 1 || rank_bytes == 2 || rank_bytes == 4) &&
		values_are_within(reader, attribute, stored) &&
		is_within(reader, stored->ranks, n_entries, rank_bytes) &&
		is_within(reader, stored->posting_starts, (uint64) stored->n_values + 2, sizeof(uint32)) &&
		is_within(reader, stored->postings, 0, sizeof(uint32));
}

/* Read and check what the column says of itself. */
static void
read_header(OmenAttributeReader *reader)
{
	const OmenAttributes *attributes = reader->attributes;
	const OmenSegment *segment = reader->segment;
	OmenStoredAttributes header;
	uint64		available = (uint64) reader->bytes.n_records * OMEN_CHUNK_BYTES;

	/* The descriptions of at most INDEX_MAX_KEYS attributes fit into one chunk. */
	if (available == 0)
		damaged(reader);
	reader->n_bytes = available;
	copy_bytes(reader, 0, &header, sizeof(header));
	if (header.n_attributes != (uint32) attributes->n || header.n_bytes > available ||
		header.n_bytes < sizeof(header) + attributes->n * sizeof(OmenStoredAttribute) ||
		segment->n_tid_entries < segment->n_nodes)
		damaged(reader);
	reader->n_bytes = header.n_bytes;
	reader->owners = header.owners;
	if (!is_within(reader, header.owners, segment->n_tid_entries - segment->n_nodes, sizeof(uint32)))
		damaged(reader);

	reader->stored = palloc(attributes->n * sizeof(OmenStoredAttribute));
	copy_bytes(reader, sizeof(header), reader->stored, attributes->n * sizeof(OmenStoredAttribute));
	for (int i = 0; i < attributes->n; i++)
		if (!attribute_is_sound(reader, &attributes->attributes[i], &reader->stored[i]))
			damaged(reader);
}

/* Open the attributes of a segment; memory comes from the current context. */
void
omen_attribute_reader_open(OmenAttributeReader *reader, Relation index, const OmenMeta *meta,
						   const OmenSegment *segment, const OmenResident *resident,
						   const OmenAttributes *attributes)
{
	memset(reader, 0, offsetof(OmenAttributeReader, reader));
	reader->attributes = attributes;
	reader->segment = segment;
	reader->chunk = NO_CHUNK;
	if (resident)
		reader->copy = resident->columns[OMEN_COLUMN_ATTRIBUTES - 1];
	omen_reader_init(&reader->reader, index);
	omen_column_view(&reader->bytes, index, meta, segment, OMEN_COLUMN_ATTRIBUTES);
	read_header(reader);
}

/* Unpin all pages; values handed out are void. */
void
omen_attribute_reader_release(OmenAttributeReader *reader)
{
	reader->chunk = NO_CHUNK;
	omen_reader_release(&reader->reader);
}

/* ---- ranks ---- */

uint32
omen_attribute_rank(OmenAttributeReader *reader, int attribute, uint32 entry)
{
	const OmenStoredAttribute *stored = &reader->stored[attribute];
	uint32		rank;

	if (unlikely(entry >= reader->segment->n_tid_entries))
		damaged(reader);
	rank = omen_stored_rank(place_of(reader, stored->ranks + (uint64) entry * stored->rank_bytes),
							stored->rank_bytes, 0);
	if (unlikely(rank > stored->n_values))
		damaged(reader);
	return rank;
}

const void *
omen_attribute_ranks(OmenAttributeReader *reader, int attribute, uint32 entry, uint32 n)
{
	const OmenStoredAttribute *stored = &reader->stored[attribute];
	uint64		offset = stored->ranks + (uint64) entry * stored->rank_bytes;
	uint64		n_bytes = (uint64) n * stored->rank_bytes;

	if ((uint64) entry + n > reader->segment->n_tid_entries || n_bytes > sizeof(reader->ranks))
		damaged(reader);
	if (likely(n_bytes <= bytes_in_reach(reader, offset)))
		return place_of(reader, offset);
	copy_bytes(reader, offset, reader->ranks, n_bytes);
	return reader->ranks;
}

uint32
omen_attribute_owner(OmenAttributeReader *reader, uint32 entry)
{
	const OmenSegment *segment = reader->segment;
	uint32		owner;

	if (entry < segment->n_nodes)
		return entry;
	if (unlikely(entry >= segment->n_tid_entries))
		damaged(reader);
	owner = uint32_at(reader, reader->owners, entry - segment->n_nodes);
	if (unlikely(owner >= segment->n_nodes && owner != OMEN_NO_OWNER))
		damaged(reader);
	return owner;
}

/* ---- values ---- */

/* Bytes of a value: where they lie if in one piece and aligned, else a copy. */
static const char *
value_bytes(OmenAttributeReader *reader, uint64 offset, uint64 n, uint32 alignment)
{
	if (n <= bytes_in_reach(reader, offset) && offset % alignment == 0)
		return place_of(reader, offset);
	if (reader->value_capacity < n)
	{
		if (reader->value)
			pfree(reader->value);
		reader->value = NULL;
		reader->value_capacity = 0;
		reader->value = MemoryContextAlloc(reader->reader.context, n * 2);
		reader->value_capacity = n * 2;
	}
	copy_bytes(reader, offset, reader->value, n);
	return reader->value;
}

/* May n bytes be taken for a value of variable length? */
static bool
is_sound_varlena(const char *value, uint64 n)
{
	if (n < 1 || VARATT_IS_1B_E(value))
		return false;			/* no pointers to elsewhere */
	if (VARATT_IS_1B(value))
		return VARSIZE_1B(value) >= VARHDRSZ_SHORT && VARSIZE_1B(value) <= n;
	return n >= VARHDRSZ && VARSIZE_4B(value) <= n &&
		VARSIZE_4B(value) >= (VARATT_IS_4B_C(value) ? VARHDRSZ_COMPRESSED : VARHDRSZ);
}

static Datum
variable_value(OmenAttributeReader *reader, const OmenStoredAttribute *stored, uint32 rank)
{
	OmenValuePlace places[2];
	const char *value;
	uint64		start;
	uint64		n;
	pg_crc32c	checksum;

	copy_bytes(reader, stored->value_places + (uint64) rank * sizeof(OmenValuePlace), places, sizeof(places));
	start = (uint64) places[0].start * OMEN_VALUE_ALIGNMENT;
	n = (uint64) places[1].start * OMEN_VALUE_ALIGNMENT - start;
	if (places[0].start >= places[1].start || start + n > reader->n_bytes - stored->values ||
		n > MaxAllocSize / 2)
		damaged(reader);
	value = value_bytes(reader, stored->values + start, n, OMEN_VALUE_ALIGNMENT);
	INIT_CRC32C(checksum);
	COMP_CRC32C(checksum, value, n);
	FIN_CRC32C(checksum);
	if (checksum != places[0].checksum || !is_sound_varlena(value, n))
		damaged(reader);
	return PointerGetDatum(value);
}

Datum
omen_attribute_value(OmenAttributeReader *reader, int attribute, uint32 rank)
{
	const OmenAttribute *described = &reader->attributes->attributes[attribute];
	const OmenStoredAttribute *stored = &reader->stored[attribute];
	const char *value;

	if (rank >= stored->n_values)
		damaged(reader);
	if (described->typlen < 0)
		return variable_value(reader, stored, rank);
	value = value_bytes(reader, stored->values + (uint64) rank * stored->value_bytes, described->typlen,
						described->typalign == TYPALIGN_DOUBLE ? OMEN_VALUE_ALIGNMENT : 1);
	return fetch_att(value, described->typbyval, described->typlen);
}

/* ---- postings ---- */

/* Where the postings of a rank begin. */
static uint32
posting_start(OmenAttributeReader *reader, int attribute, uint32 rank)
{
	const OmenStoredAttribute *stored = &reader->stored[attribute];
	uint32		start;

	if (rank > stored->n_values + 1)
		damaged(reader);
	start = uint32_at(reader, stored->posting_starts, rank);
	if (start > (reader->n_bytes - stored->postings) / sizeof(uint32) ||
		start > reader->segment->n_tid_entries)
		damaged(reader);
	return start;
}

uint32
omen_attribute_n_postings(OmenAttributeReader *reader, int attribute, uint32 from, uint32 to, uint32 *start)
{
	uint32		first = posting_start(reader, attribute, from);
	uint32		end = posting_start(reader, attribute, to + 1);

	if (end < first)
		damaged(reader);
	if (start)
		*start = first;
	return end - first;
}

void
omen_attribute_postings(OmenAttributeReader *reader, int attribute, uint32 from, uint32 n,
						uint32 *entries)
{
	const OmenStoredAttribute *stored = &reader->stored[attribute];
	uint32		greatest = 0;

	if ((uint64) from + n > (reader->n_bytes - stored->postings) / sizeof(uint32))
		damaged(reader);
	copy_bytes(reader, stored->postings + (uint64) from * sizeof(uint32), entries,
			   (uint64) n * sizeof(uint32));
	for (uint32 i = 0; i < n; i++)
		greatest = Max(greatest, entries[i]);
	if (n > 0 && greatest >= reader->segment->n_tid_entries)
		damaged(reader);
}
