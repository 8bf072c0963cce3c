/*-------------------------------------------------------------------------
 *
 * sketch.h
 *	  Sketches: records much smaller than codes, by which a walk finds its way.
 *
 * A sketch estimates the key (quant.h) that the code of the same vector would
 * give.  It is derived data: made from the decoded vectors of one segment, with
 * a model learnt from that very segment, and nothing that a search returns is
 * ranked by it: candidates are compared again by their codes, whose bounds hold.
 *
 * For float vectors and the metrics L2, inner product and cosine; x is always the vector as decoded,
 * normalised for cosine.  Models and records are plain bytes, the same on every machine of
 * one byte order; a model is aligned to 4 bytes, a record to 2.
 *
 * Estimates may be negative where keys are not: their order is what counts.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_SKETCH_H
#define OMEN_SKETCH_H

#include "src/quant/quant.h"

/* Values are part of the on-disk format. */
typedef enum OmenSketchKind
{
	OMEN_SKETCH_NONE = 0,
	OMEN_SKETCH_LOW_BIT = 1,	/* 1, 2 or 4 bits per component, after a rotation */
	OMEN_SKETCH_BINARY = 2,		/* signs of the components */
	OMEN_SKETCH_PRODUCT = 3		/* nearest entries of codebooks, 4 or 8 bits per sub-vector */
} OmenSketchKind;

/*
 * A query made ready: the caller allocates sketch->query_bytes, aligned to 64
 * bytes.  It keeps a copy of what it needs, of the model too.
 */
typedef struct OmenSketchQuery OmenSketchQuery;

typedef struct OmenSketch OmenSketch;

/* Vectors to learn from, one behind the other; tick is called every few milliseconds of work, and may throw. */
typedef struct OmenSketchSample
{
	uint32		n;
	const float *x;
	void		(*tick) (void *arg);
	void	   *tick_arg;
} OmenSketchSample;

struct OmenSketch
{
	OmenSketchKind kind;
	OmenMetric	metric;
	uint32		dims;
	uint32		bits;			/* per component, or per sub-vector */
	uint32		subvectors;		/* of product, else 0 */

	uint32		model_bytes;	/* multiple of 4 */
	uint32		sketch_bytes;	/* of a record; multiple of 4 */
	uint32		query_bytes;	/* multiple of 64 */

	uint32		sample_max;		/* as many vectors as training has use for; fewer will do, not none */
	uint32		train_parts;	/* steps of training */
	size_t		train_scratch_bytes;
	size_t		encode_scratch_bytes;

	/*
	 * Learn part `part` of the model from a sample of at most sample_max vectors.  All parts
	 * 0 .. train_parts - 1 must be learnt, in any order or side by side.  The model is
	 * zero before.  The scratch space, aligned to 64 bytes, need hold nothing.
	 */
	void		(*train) (const OmenSketch *sketch, uint32 part, const OmenSketchSample *sample,
						  void *model, void *scratch);

	/* Write the record of x, finite. */
	void		(*encode) (const OmenSketch *sketch, const void *model, const float *x,
						   uint8 *record, void *scratch);

	/* Make a query from a vector (as the caller has it: normalised already for cosine). */
	void		(*query_from_vector) (const OmenSketch *sketch, const void *model,
									  OmenSketchQuery *query, const float *x);

	/* Estimated keys of n records (any n >= 0): the search's inner loop.  The same bits in every variant. */
	void		(*keys) (const OmenSketch *sketch, const OmenSketchQuery *query, int n,
						 const uint8 *const *records, float *out);

	/* By how much such an estimate is off, one standard deviation; NULL if the kind cannot say. */
	float		(*key_error) (const OmenSketch *sketch, const OmenSketchQuery *query,
							  const uint8 *record);
};

/*
 * Is there a sketch of this shape?  bits: 1, 2 or 4 for low_bit, 1 for binary, 4 or 8 for product;
 * subvectors: 0 but for product, there 1 .. dims.
 */
extern bool omen_sketch_admits(OmenSketchKind kind, OmenMetric metric, uint32 dims, uint32 bits,
							   uint32 subvectors);

/* Fill in the sketch of a kind (but NONE) that is admitted. */
extern void omen_sketch_init(OmenSketch *sketch, OmenSketchKind kind, OmenMetric metric,
							 uint32 dims, uint32 bits, uint32 subvectors);

#endif							/* OMEN_SKETCH_H */
