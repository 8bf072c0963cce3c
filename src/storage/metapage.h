/*-------------------------------------------------------------------------
 *
 * metapage.h
 *	  The metapage: what the index is, and the directory of its segments.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_METAPAGE_H
#define OMEN_METAPAGE_H

#include "src/storage/page_layout.h"

#include "access/generic_xlog.h"
#include "storage/buf.h"
#include "utils/rel.h"

/* A change of the directory under way; the metapage is locked exclusively. */
typedef struct OmenMetaChange
{
	Buffer		buffer;
	GenericXLogState *xlog;
	OmenMeta   *meta;			/* edit this */
} OmenMetaChange;

extern void omen_meta_create(Relation index, ForkNumber fork, const OmenMeta *meta);
extern void omen_meta_read(Relation index, OmenMeta *meta);
extern void omen_meta_change_begin(Relation index, OmenMetaChange *change);
extern void omen_meta_change_commit(OmenMetaChange *change);
extern void omen_meta_change_abort(OmenMetaChange *change);

extern OmenSegment *omen_meta_find(OmenMeta *meta, uint32 segment_id);
extern OmenSegment *omen_meta_open_tail(OmenMeta *meta);
extern void omen_meta_remove(OmenMeta *meta, OmenSegment *segment);

/* For qsort() of pointers to segments: largest first. */
extern int	omen_segment_compare_size(const void *a, const void *b);

#endif							/* OMEN_METAPAGE_H */
