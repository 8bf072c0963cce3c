/*-------------------------------------------------------------------------
 *
 * sketch.c
 *	  Choice of a sketch by kind, and which there are.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sketch.h"

#include "src/quant/sketch_internal.h"

bool
omen_sketch_admits(OmenSketchKind kind, OmenMetric metric, uint32 dims, uint32 bits,
				   uint32 subvectors)
{
	if (dims < 1 || dims > OMEN_MAX_DIMS)
		return false;
	if (metric != OMEN_METRIC_L2 && metric != OMEN_METRIC_IP && metric != OMEN_METRIC_COSINE)
		return false;
	switch (kind)
	{
		case OMEN_SKETCH_NONE:
			return false;
		case OMEN_SKETCH_LOW_BIT:
			return (bits == 1 || bits == 2 || bits == 4) && subvectors == 0;
		case OMEN_SKETCH_BINARY:
			return bits == 1 && subvectors == 0;
		case OMEN_SKETCH_PRODUCT:
			return (bits == 4 || bits == 8) && subvectors >= 1 && subvectors <= dims;
	}
	return false;
}

void
omen_sketch_init(OmenSketch *sketch, OmenSketchKind kind, OmenMetric metric, uint32 dims,
				 uint32 bits, uint32 subvectors)
{
	Assert(omen_sketch_admits(kind, metric, dims, bits, subvectors));

	memset(sketch, 0, sizeof(*sketch));
	sketch->kind = kind;
	sketch->metric = metric;
	sketch->dims = dims;
	sketch->bits = bits;
	sketch->subvectors = subvectors;
	switch (kind)
	{
		case OMEN_SKETCH_LOW_BIT:
		case OMEN_SKETCH_BINARY:
			omen_sketch_low_bit_init(sketch);
			break;
		case OMEN_SKETCH_PRODUCT:
			omen_sketch_product_init(sketch);
			break;
		case OMEN_SKETCH_NONE:
			Assert(false);
			break;
	}
}
