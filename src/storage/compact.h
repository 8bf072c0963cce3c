/*-------------------------------------------------------------------------
 *
 * compact.h
 *	  Making the file shorter.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_COMPACT_H
#define OMEN_COMPACT_H

#include "utils/rel.h"

extern bool omen_compact(Relation index);
extern void omen_truncate(Relation index);

#endif							/* OMEN_COMPACT_H */
