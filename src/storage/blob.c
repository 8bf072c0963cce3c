/*-------------------------------------------------------------------------
 *
 * blob.c
 *	  Codes of variable length: ranges of the column BYTES.
 *
 * Most lie within one chunk, that is on one page, and are read in place; the
 * others are put together in memory of the reader.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/blob.h"

const uint8 *
omen_blob_bytes(OmenReader *reader, const OmenColumnView *bytes, const OmenStoredRef *ref)
{
	uint64		end = ref->offset + ref->n_bytes;
	uint32		chunk = (uint32) (ref->offset / OMEN_CHUNK_BYTES);
	uint32		start = (uint32) (ref->offset % OMEN_CHUNK_BYTES);
	const void *head;
	const void *body;
	char	   *whole;

	if (ref->offset % sizeof(uint32) != 0 || ref->n_bytes < sizeof(uint32) || end < ref->offset ||
		end > (uint64) bytes->n_records * OMEN_CHUNK_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" refers to bytes outside of segment %u",
						RelationGetRelationName(reader->index), bytes->segment->id),
				 errhint("Please REINDEX it.")));

	if (start + ref->n_bytes <= OMEN_CHUNK_BYTES)
	{
		omen_reader_one(reader, bytes, chunk, &head, &body);
		return (const uint8 *) body + start;
	}

	whole = omen_reader_space(reader, ref->n_bytes);
	for (uint32 done = 0; done < ref->n_bytes; chunk++, start = 0)
	{
		uint32		count = Min(OMEN_CHUNK_BYTES - start, ref->n_bytes - done);

		omen_reader_one(reader, bytes, chunk, &head, &body);
		memcpy(whole + done, (const char *) body + start, count);
		done += count;
	}
	return (const uint8 *) whole;
}
