/*-------------------------------------------------------------------------
 *
 * stored_model.h
 *	  The model of a segment's sketches, as the column BYTES holds it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_STORED_MODEL_H
#define OMEN_STORED_MODEL_H

#include "src/storage/page_reader.h"
#include "src/storage/resident.h"

/* How many chunks a model takes. */
extern uint32 omen_model_chunks(uint32 model_bytes);

/* Those chunks, palloc'd. */
extern char *omen_model_store(const void *model, uint32 model_bytes);

/*
 * A model of so many bytes: a copy in the current memory context, or where a
 * resident copy has it.  NULL if it is damaged.
 */
extern const void *omen_model_read(OmenReader *reader, const OmenColumnView *bytes, uint32 model_bytes);
extern const void *omen_model_of_copy(const OmenResident *resident, const OmenSegment *segment,
									  uint32 model_bytes);

#endif							/* OMEN_STORED_MODEL_H */
