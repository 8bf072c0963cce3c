/*-------------------------------------------------------------------------
 *
 * column.c
 *	  Where the records of a column lie in its pages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/column.h"

#define BODY_ALIGNMENT 64

static inline uint32
body_start(uint32 head_bytes, uint32 per_page)
{
	return TYPEALIGN(BODY_ALIGNMENT, OMEN_PAGE_START + head_bytes * per_page);
}

/* The layout of a column's pages, from the sizes that the metapage names, or the segment for its sketches. */
void
omen_column_shape(const OmenMeta *meta, const OmenSegment *segment, OmenColumnId column,
				  OmenColumnShape *shape)
{
	uint32		per_page;

	switch (column)
	{
		case OMEN_COLUMN_CODES:
			shape->head_bytes = meta->factor_bytes;
			shape->body_bytes = meta->code_bytes;
			break;
		case OMEN_COLUMN_NODES:
			shape->head_bytes = 0;
			shape->body_bytes = 2 * meta->m * sizeof(uint32);
			break;
		case OMEN_COLUMN_TIDS:
			shape->head_bytes = 0;
			shape->body_bytes = sizeof(OmenTidEntry);
			break;
		case OMEN_COLUMN_DEAD:
			shape->head_bytes = 0;
			shape->body_bytes = sizeof(uint64);
			break;
		case OMEN_COLUMN_BYTES:
		case OMEN_COLUMN_ATTRIBUTES:
			shape->head_bytes = 0;
			shape->body_bytes = OMEN_CHUNK_BYTES;
			break;
		case OMEN_COLUMN_TERMS:
			shape->head_bytes = 0;
			shape->body_bytes = OMEN_TERM_LINKS * sizeof(uint32);
			break;
		case OMEN_COLUMN_REFINE:
			shape->head_bytes = meta->refine_factor_bytes;
			/* not 0 where there are no such records: a shape it has all the same */
			shape->body_bytes = Max(meta->refine_code_bytes, 1);
			break;
		case OMEN_COLUMN_SKETCHES:
			shape->head_bytes = 0;
			shape->body_bytes = Max(segment->sketches.n_bytes, 1);
			break;
		case OMEN_COLUMN_CENTRES:
		case OMEN_COLUMN_SAMPLES:
			shape->head_bytes = meta->factor_bytes + sizeof(uint32);
			shape->body_bytes = meta->code_bytes;
			break;
	}

	per_page = OMEN_PAGE_CAPACITY / (shape->head_bytes + shape->body_bytes);
	while (per_page > 0 &&
		   body_start(shape->head_bytes, per_page) + per_page * shape->body_bytes > OMEN_PAGE_END)
		per_page--;

	shape->per_page = per_page;
	shape->page_per_record = per_page > 0 ? 1.0 / per_page : 0;
	if (per_page > 0)
	{
		shape->pages_per_record = 1;
		shape->body_start = body_start(shape->head_bytes, per_page);
	}
	else
	{
		shape->pages_per_record = (shape->head_bytes + shape->body_bytes +
								   OMEN_PAGE_CAPACITY - 1) / OMEN_PAGE_CAPACITY;
		shape->body_start = OMEN_PAGE_START + shape->head_bytes;
	}
}

/* Pages of a column with n_records. */
uint32
omen_column_blocks(const OmenColumnShape *shape, uint32 n_records)
{
	if (shape->per_page > 0)
		return (n_records + shape->per_page - 1) / shape->per_page;
	return n_records * shape->pages_per_record;
}

/* Records in a column of a sealed segment. */
uint32
omen_column_count(const OmenSegment *segment, OmenColumnId column)
{
	switch (column)
	{
		case OMEN_COLUMN_CODES:
		case OMEN_COLUMN_NODES:
			return segment->n_nodes;
		case OMEN_COLUMN_TIDS:
			return segment->n_tid_entries;
		case OMEN_COLUMN_DEAD:
			return (segment->n_tid_entries + 63) / 64;
		case OMEN_COLUMN_CENTRES:
			return segment->n_centres;
		case OMEN_COLUMN_SAMPLES:
			return segment->n_samples;
		case OMEN_COLUMN_BYTES:
			return segment->n_chunks;
		case OMEN_COLUMN_TERMS:
			return segment->n_terms;
		case OMEN_COLUMN_REFINE:
			return segment->refine != 0 ? segment->n_nodes : 0;
		case OMEN_COLUMN_ATTRIBUTES:
			return segment->columns[column - 1].n_blocks;	/* a chunk a page */
		case OMEN_COLUMN_SKETCHES:
			return segment->sketches.kind != 0 ? segment->n_nodes : 0;
	}
	return 0;
}

/* An empty page of a segment, stamped. */
void
omen_page_init(Page page, uint16 kind, uint32 segment_id, uint16 column, uint32 logical_block)
{
	OmenPageStamp *stamp;
	OmenPageTrailer *trailer;

	PageInit(page, BLCKSZ, sizeof(OmenPageTrailer));
	trailer = OmenPageGetTrailer(page);
	trailer->kind = kind;
	trailer->page_id = OMEN_PAGE_ID;
	stamp = OmenPageGetStamp(page);
	stamp->segment_id = segment_id;
	stamp->column = column;
	stamp->logical_block = logical_block;
	((PageHeader) page)->pd_lower = OMEN_PAGE_START;
}
