/*-------------------------------------------------------------------------
 *
 * extent.h
 *	  Space in the relation file: taking, giving back, finding blocks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_EXTENT_H
#define OMEN_EXTENT_H

#include "src/storage/metapage.h"

extern bool omen_extent_add_segment(Relation index, uint8 kind, uint8 state,
									uint32 n_blocks, OmenSegment *segment);
extern bool omen_extent_reserve(Relation index, BlockNumber start, uint32 n_blocks,
								OmenSegment *segment);
extern bool omen_extent_grow_tail(Relation index, uint32 segment_id,
									  uint32 have_blocks, uint32 n_blocks);
extern BlockNumber omen_extent_block(Relation index, const OmenSegment *segment, uint32 logical_block);
extern uint64 omen_extent_retire_xid(void);
extern void omen_extent_join_retired(OmenMeta *meta);
extern void omen_extent_reclaim(Relation index, bool building_too);
extern OmenRun omen_extent_longest_gap(const OmenMeta *meta, BlockNumber before);
extern OmenRun omen_extent_gap_before(const OmenMeta *meta, BlockNumber block);
extern void omen_extent_flush_metapage(Relation index);

#endif							/* OMEN_EXTENT_H */
