/*-------------------------------------------------------------------------
 *
 * lifted.c
 *	  Distances to link by, for a search by inner products.
 *
 * An inner product is no distance: a vector is not nearest to itself, and
 * short vectors are near to nobody, so that a graph linked by it loses them.
 * Bachrach et al., "Speeding Up the Xbox Recommender System Using a Euclidean
 * Transformation for Inner-Product Spaces" (RecSys 2014), give each vector x
 * one component more, its height h(x) = sqrt(M^2 - |x|^2), where M is the largest
 * norm.  All vectors then have norm M, and for a query of height 0
 *
 *		|q - x|^2 = |q|^2 + M^2 - 2 q.x
 *
 * ranks as the inner product does.  But a graph linked by this distance is slow
 * to search, for the queries are far from all nodes, and the longest vectors,
 * which are most answers, far from each other.  So heights count in part only:
 *
 *		key = |x - y|^2 + h(x)^2 + h(y)^2 - 2 HEIGHT_SHARE h(x) h(y)
 *
 * With a share of 1 it is the squared distance of the lifted vectors, with 0
 * twice the negated inner product and a constant.  (Figures: src/graph/README.md.)
 * Vectors of one length have height 0: there it is the distance of their directions.
 *
 * No term is below 0 and heights follow from factors, so nothing cancels
 * and nothing is stored; doubles in one order give the same bits everywhere.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/lifted.h"

#include <math.h>

#define HEIGHT_SHARE 0.25

/* Heights are computed for so many records at a time. */
#define CHUNK 64

/* Behind the query for the distance. */
typedef struct LiftedTail
{
	double		height;
} LiftedTail;

static inline LiftedTail *
lifted_tail(const OmenLiftedCodec *lifted, const OmenQuery *query)
{
	return (LiftedTail *) ((char *) query + lifted->distance.query_bytes);
}

/* Means of vectors may be longer than all of them, by rounding: their height is 0. */
static void
lifted_heights(const OmenLiftedCodec *lifted, int n, const void *const *factors, double *heights)
{
	int			i;

	lifted->distance.norms_sq(&lifted->distance, n, factors, heights);
	for (i = 0; i < n; i++)
	{
		double		height_sq = lifted->norm_sq - heights[i];

		heights[i] = sqrt(Max(height_sq, 0.0));
	}
}

static void
lifted_query_from_code(const OmenCodec *codec, OmenQuery *query,
					   const void *factors, const uint8 *code)
{
	const OmenLiftedCodec *lifted = (const OmenLiftedCodec *) codec;

	lifted->distance.query_from_code(&lifted->distance, query, factors, code);
	lifted_heights(lifted, 1, &factors, &lifted_tail(lifted, query)->height);
}

static void
lifted_keys(const OmenCodec *codec, const OmenQuery *query, int n,
			const void *const *factors, const uint8 *const *codes, float *out)
{
	const OmenLiftedCodec *lifted = (const OmenLiftedCodec *) codec;
	double		height = lifted_tail(lifted, query)->height;
	double		heights[CHUNK];
	int			from;
	int			i;

	lifted->distance.keys(&lifted->distance, query, n, factors, codes, out);
	for (from = 0; from < n; from += CHUNK)
	{
		int			n_chunk = Min(n - from, CHUNK);

		lifted_heights(lifted, n_chunk, factors + from, heights);
		for (i = 0; i < n_chunk; i++)
		{
			double		key = out[from + i];

			key += height * height + heights[i] * (heights[i] - 2 * HEIGHT_SHARE * height);
			out[from + i] = (float) key;
		}
	}
}

double
omen_lifted_norm_sq(const OmenCodec *codec, const char *factors, uint32 n)
{
	const void *pointers[CHUNK];
	double		norms_sq[CHUNK];
	double		largest = 0;
	uint32		from;
	uint32		i;

	for (from = 0; from < n; from += CHUNK)
	{
		uint32		n_chunk = Min(n - from, CHUNK);

		for (i = 0; i < n_chunk; i++)
			pointers[i] = factors + (size_t) (from + i) * codec->factor_bytes;
		codec->norms_sq(codec, (int) n_chunk, pointers, norms_sq);
		for (i = 0; i < n_chunk; i++)
			largest = Max(largest, norms_sq[i]);
	}
	return largest;
}

void
omen_lifted_init(OmenLiftedCodec *lifted, const OmenCodec *codec, double norm_sq)
{
	Assert(codec->metric == OMEN_METRIC_IP);

	lifted->norm_sq = norm_sq;
	omen_codec_init(&lifted->distance, codec->kind, OMEN_METRIC_L2, codec->dims);
	lifted->codec = *codec;
	lifted->codec.query_bytes = lifted->distance.query_bytes + TYPEALIGN(64, sizeof(LiftedTail));
	lifted->codec.query_from_code = lifted_query_from_code;
	lifted->codec.query_from_vector = NULL;
	lifted->codec.lower_bound = NULL;
	lifted->codec.keys = lifted_keys;
}
