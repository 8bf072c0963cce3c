/*-------------------------------------------------------------------------
 *
 * am_insert.c
 *	  INSERT, UPDATE and COPY: a row goes to the tail.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/storage/tail.h"

#include "utils/memutils.h"

/* What a statement keeps between its rows, in IndexInfo.ii_AmCache. */
typedef struct InsertState
{
	OmenEncoder encoder;
	OmenAttributes *attributes; /* NULL if there are none */
	OmenTailCursor cursor;
	MemoryContext row_context;
} InsertState;

static InsertState *
insert_state(Relation index, IndexInfo *indexInfo)
{
	MemoryContext old_context;
	InsertState *state = indexInfo->ii_AmCache;

	if (state)
		return state;

	old_context = MemoryContextSwitchTo(indexInfo->ii_Context);
	state = palloc(sizeof(InsertState));
	omen_tail_cursor_init(&state->cursor, index);
	omen_encoder_init(&state->encoder, index, state->cursor.meta);
	state->attributes = omen_am_attributes(index, state->cursor.meta);
	state->row_context = AllocSetContextCreate(CurrentMemoryContext, "omenvec insert row",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(old_context);
	indexInfo->ii_AmCache = state;
	return state;
}

bool
omen_am_insert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
			   Relation heap, IndexUniqueCheck checkUnique,
			   bool indexUnchanged, IndexInfo *indexInfo)
{
	InsertState *state = insert_state(index, indexInfo);
	OmenEncoder *encoder = &state->encoder;
	MemoryContext old_context = MemoryContextSwitchTo(state->row_context);
	OmenValueClass value_class = omen_encoder_encode(encoder, values[0], isnull[0]);
	bool		coded = value_class == OMEN_VALUE_CODED;
	OmenRow		row = {
		.header.block = ItemPointerGetBlockNumber(heap_tid),
		.header.offset = ItemPointerGetOffsetNumber(heap_tid),
		.header.flags = value_class == OMEN_VALUE_NULL ? OMEN_ROW_NULL :
		value_class == OMEN_VALUE_UNDIRECTED ? OMEN_ROW_UNDIRECTED : 0,
		.factors = coded ? encoder->factors : NULL,
		.code = coded ? encoder->code : NULL,
		.n_code_bytes = coded ? encoder->n_code_bytes : 0,
		.refine = coded ? encoder->refine : NULL
	};

	if (state->attributes)
	{
		IndexTuple	packed = omen_attributes_pack(state->attributes, values + 1, isnull + 1);

		row.attributes = (const char *) packed;
		row.n_attribute_bytes = IndexTupleSize(packed);
	}
	if (omen_tail_append(index, &state->cursor, &row))
		omen_maintain_after_insert(index, state->cursor.meta, state->cursor.tail.id, state->cursor.block);

	MemoryContextSwitchTo(old_context);
	MemoryContextReset(state->row_context);
	return false;
}
