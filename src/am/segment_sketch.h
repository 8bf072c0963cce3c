/*-------------------------------------------------------------------------
 *
 * segment_sketch.h
 *	  Which sketches a segment has, or is to have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SEGMENT_SKETCH_H
#define OMEN_SEGMENT_SKETCH_H

#include "src/am/am.h"
#include "src/quant/sketch.h"
#include "src/storage/page_reader.h"

/* What the options of an index say its segments are to have; of kind NONE and no bytes if nothing. */
extern void omen_am_wanted_sketch(OmenSketch *sketch, Relation index, const OmenCodec *codec);

/* What a segment has; false, and kind NONE, if nothing. */
extern bool omen_am_segment_sketch(OmenSketch *sketch, Relation index, const OmenMeta *meta,
								   const OmenSegment *segment);

/* The model of a segment's sketches, in the current memory context. */
extern const void *omen_am_read_model(OmenReader *reader, const OmenColumnView *bytes, const OmenSketch *sketch);

/* Has a segment what the options say now? */
extern bool omen_am_sketches_are_as_wanted(Relation index, const OmenMeta *meta, const OmenSegment *segment);

/* How many times as many candidates a search keeps as by codes, to find about as much. */
extern uint32 omen_am_usual_oversampling(const OmenSketch *sketch);

#endif							/* OMEN_SEGMENT_SKETCH_H */
