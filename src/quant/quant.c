/*-------------------------------------------------------------------------
 *
 * quant.c
 *	  Choice of a codec by kind.
 *
 * The one place that knows which kinds of code exist: a new kind is a file
 * beside sq8.c and a line here.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/quant.h"

#include "src/quant/bits.h"
#include "src/quant/floats.h"
#include "src/quant/sparse.h"
#include "src/quant/sq8.h"

/*
 * Make a codec.  The caller has checked kind, metric and dims (what comes from
 * a page or a user is checked there, where an error can be reported).
 */
void
omen_codec_init(OmenCodec *codec, OmenCodeKind kind, OmenMetric metric, uint32 dims)
{
	Assert(dims >= 1);

	memset(codec, 0, sizeof(*codec));
	codec->kind = kind;
	switch (kind)
	{
		case OMEN_CODE_SQ8:
			Assert(dims <= OMEN_MAX_DIMS);
			omen_sq8_init(codec, metric, dims);
			break;
		case OMEN_CODE_BITS:
			Assert(dims <= OMEN_MAX_BITS);
			omen_bits_init(codec, metric, dims);
			break;
		case OMEN_CODE_SPARSE:
			Assert(dims <= OMEN_MAX_SPARSE_DIMS);
			omen_sparse_init(codec, metric, dims);
			break;
		case OMEN_CODE_FLOAT:
		case OMEN_CODE_HALF:
			Assert(dims <= OMEN_MAX_DIMS);
			omen_floats_init(codec, metric, dims);
			break;
	}
}

bool
omen_codec_admits_refine(OmenCodeKind kind, OmenRefineKind refine)
{
	return refine == OMEN_REFINE_NONE || (refine == OMEN_REFINE_SCALAR && kind == OMEN_CODE_SQ8);
}

void
omen_codec_refine(OmenCodec *codec, OmenRefineKind refine)
{
	Assert(omen_codec_admits_refine(codec->kind, refine));

	if (refine == OMEN_REFINE_SCALAR)
		omen_sq8_refine(codec);
	codec->refine = refine;
	codec->refine_bytes = codec->refine_factor_bytes + codec->refine_code_bytes;
}
