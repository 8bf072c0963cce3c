/*-------------------------------------------------------------------------
 *
 * attribute_image.h
 *	  The bytes of a segment's column ATTRIBUTES, made from a table of its rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_ATTRIBUTE_IMAGE_H
#define OMEN_ATTRIBUTE_IMAGE_H

#include "src/filter/attribute_table.h"
#include "src/storage/page_layout.h"

typedef struct OmenAttributeImage
{
	char	   *bytes;			/* a whole number of chunks */
	uint32		n_chunks;
} OmenAttributeImage;

/*
 * Make the image for the TID entries of a segment, in the current memory
 * context.  The table is sorted, and has a row for each TID.
 */
extern void omen_attribute_image_make(OmenAttributeImage *image, const OmenAttributeTable *table,
									  const OmenTidEntry *entries, uint32 n_entries, uint32 n_nodes);

#endif							/* OMEN_ATTRIBUTE_IMAGE_H */
