/*-------------------------------------------------------------------------
 *
 * maintain_progress.h
 *	  Showing what a maintenance is doing.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_MAINTAIN_PROGRESS_H
#define OMEN_MAINTAIN_PROGRESS_H

#include "src/storage/page_layout.h"

#include "utils/rel.h"

extern void omen_progress_start(Relation index);
extern void omen_progress_end(void);
extern bool omen_progress_is_shown(void);
extern void omen_progress_merge(Relation index, const OmenSegment *const *segments, int n_segments);

#endif							/* OMEN_MAINTAIN_PROGRESS_H */
