/*-------------------------------------------------------------------------
 *
 * blob.h
 *	  Codes of variable length: ranges of the column BYTES.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_BLOB_H
#define OMEN_BLOB_H

#include "src/storage/page_reader.h"

/*
 * The bytes that a stored reference names, aligned to 4, good until the
 * reader's release.  The reader must have been released before.
 */
extern const uint8 *omen_blob_bytes(OmenReader *reader, const OmenColumnView *bytes,
									const OmenStoredRef *ref);

#endif							/* OMEN_BLOB_H */
