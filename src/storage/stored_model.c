/*-------------------------------------------------------------------------
 *
 * stored_model.c
 *	  The model of a segment's sketches, as the column BYTES holds it.
 *
 * A wrong model would not show: it leads searches astray, and nothing else.  So
 * it has a checksum, which is looked at whenever it is read from pages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/stored_model.h"

#include "port/pg_crc32c.h"

static uint32
checksum(const void *model, uint32 model_bytes)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, model, model_bytes);
	FIN_CRC32C(crc);
	return crc;
}

uint32
omen_model_chunks(uint32 model_bytes)
{
	return (sizeof(OmenStoredModel) + model_bytes + OMEN_CHUNK_BYTES - 1) / OMEN_CHUNK_BYTES;
}

char *
omen_model_store(const void *model, uint32 model_bytes)
{
	Size		n_bytes = (Size) omen_model_chunks(model_bytes) * OMEN_CHUNK_BYTES;
	OmenStoredModel *stored = palloc_extended(n_bytes, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	stored->n_bytes = model_bytes;
	stored->checksum = checksum(model, model_bytes);
	memcpy(stored + 1, model, model_bytes);
	return (char *) stored;
}

const void *
omen_model_read(OmenReader *reader, const OmenColumnView *bytes, uint32 model_bytes)
{
	OmenStoredModel *stored;

	if (bytes->n_records != omen_model_chunks(model_bytes))
		return NULL;
	stored = palloc_extended((Size) bytes->n_records * OMEN_CHUNK_BYTES, MCXT_ALLOC_HUGE);
	for (uint32 chunk = 0; chunk < bytes->n_records; chunk++)
	{
		const void *head;
		const void *body;

		omen_reader_one(reader, bytes, chunk, &head, &body);
		memcpy((char *) stored + (Size) chunk * OMEN_CHUNK_BYTES, body, OMEN_CHUNK_BYTES);
	}
	omen_reader_release(reader);
	if (stored->n_bytes != model_bytes || stored->checksum != checksum(stored + 1, model_bytes))
		return NULL;
	return stored + 1;
}

/* BYTES is one range in a copy; whether its content is right was not looked at. */
const void *
omen_model_of_copy(const OmenResident *resident, const OmenSegment *segment, uint32 model_bytes)
{
	const OmenStoredModel *stored = (const OmenStoredModel *) omen_resident_body(resident, OMEN_COLUMN_BYTES, 0);

	if (segment->n_chunks != omen_model_chunks(model_bytes) || stored->n_bytes != model_bytes)
		return NULL;
	return stored + 1;
}
