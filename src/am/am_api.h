/*-------------------------------------------------------------------------
 *
 * am_api.h
 *	  What other folders may ask of the access method.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_API_H
#define OMEN_AM_API_H

#include "src/graph/graph_calibrate.h"
#include "src/storage/page_layout.h"

#include "utils/relcache.h"

/* The recall that was measured of a sealed segment. */
extern void omen_am_segment_curve(const OmenSegment *segment, OmenRecallCurve *curve);

/*
 * How wide the first search of a sealed segment is under the settings of the
 * session, by class of query (graph_calibrate.h).  Returns the recall to be
 * expected, or NaN if it was not measured.
 */
extern double omen_am_segment_beams(const OmenSegment *segment, uint32 ef[OMEN_CURVE_CLASSES]);

/* The same, on average. */
extern uint32 omen_am_segment_ef(const OmenSegment *segment);

/* Value of the option refine, for an OmenRefineKind of a page. */
extern const char *omen_am_refine_name(uint8 refine);

/* Value of the option quantization, for an OmenCodeKind and an OmenSketchKind of a page. */
extern const char *omen_am_quantization_name(uint16 code_kind, uint8 sketch_kind);

/* Does a segment name sketches that there can be, with the size that they have? */
extern bool omen_am_sketches_are_sane(const OmenMeta *meta, const OmenSegment *segment);

/*
 * To compare sketches with the codes that they were made of: ready for a segment
 * that has some, in the current memory context; NULL if the model is damaged.
 */
typedef struct OmenSketchProof OmenSketchProof;

extern OmenSketchProof *omen_am_sketch_proof(Relation index, const OmenMeta *meta, const OmenSegment *segment);
extern bool omen_am_sketch_is_right(OmenSketchProof *proof, const void *factors, const void *code,
									const void *record);

#endif							/* OMEN_AM_API_H */
