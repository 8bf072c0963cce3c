/*-------------------------------------------------------------------------
 *
 * compact.h
 *	  Making the file shorter.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_COMPACT_H
#define OMEN_COMPACT_H

#include "src/storage/page_layout.h"

#include "utils/rel.h"

extern bool omen_compact_is_due(Relation index, OmenMeta *meta);
extern bool omen_compact_waits_for_tail(OmenMeta *meta);
extern bool omen_compact(Relation index);
extern void omen_truncate(Relation index);

#endif							/* OMEN_COMPACT_H */
