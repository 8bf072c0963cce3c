/*-------------------------------------------------------------------------
 *
 * dense.c
 *	  Codecs of vectors of floats: what they share, and lower bounds from codes.
 *
 * A code stands for a vector near the true one, and knows how near: the norm
 * of their difference.  By the triangle inequality, and by Hoelder's for
 * inner products, that gives what the distance to the true vector cannot be
 * below.  A slack covers the rounding of our kernels and of the operators.
 * An overflow says nothing: the bound is then trivial.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/dense.h"

/* Fill in what a codec has whatever its kind, and the distances of its metric. */
void
omen_dense_init(OmenCodec *codec, OmenMetric metric, uint32 dims, const OmenDenseDistances *distances)
{
	codec->metric = metric;
	codec->dims = dims;
	codec->link_margin = 0.1f;
	codec->has_means = true;
	switch (metric)
	{
		case OMEN_METRIC_L2:
			codec->keys = distances->keys_l2;
			codec->norms_sq = distances->norms_sq;
			break;
		case OMEN_METRIC_COSINE:
			codec->keys = distances->keys_cosine;
			break;
		case OMEN_METRIC_IP:
			codec->keys = distances->keys_ip;
			codec->norms_sq = distances->norms_sq;
			break;
		case OMEN_METRIC_L1:
			codec->keys = distances->keys_l1;
			break;
		case OMEN_METRIC_HAMMING:
		case OMEN_METRIC_JACCARD:
			Assert(false);		/* of bits only */
			break;
	}
}

OmenDenseQuery
omen_dense_query(const float *x, uint32 dims)
{
	OmenDenseQuery query;
	double		norm_sq = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
		norm_sq += (double) x[i] * x[i];
	query.norm = sqrt(norm_sq) * (1.0 + 1e-10);

	/* A product or square below the normal range errs by up to half of the least denormal. */
	query.underflow = dims * ldexp(1.0, -148);
	return query;
}

static double
l2_bound(const OmenDenseQuery *q, const OmenDenseEstimate *estimate)
{
	double		bound;

	if (!(estimate->value <= FLT_MAX))
		return 0.0;

	/* the root halves relative errors and lifts what underflow has lost */
	bound = sqrt(estimate->value) * (1.0 - estimate->rounding / 2) - estimate->error -
		2 * sqrt(q->underflow);
	return Max(bound, 0.0);
}

/*
 * For unit vectors the cosine distance is half the squared distance, and the
 * bound by way of the latter is tighter than Hoelder's: the error counts by
 * |q - x| instead of by |q| |x|.  The operator works on the vectors before
 * they were normalised, with three float32 sums; that, and that "unit" holds
 * but to rounding, is absolute.
 */
static double
cosine_bound(const OmenDenseQuery *q, const OmenDenseEstimate *estimate)
{
	double		distance = l2_bound(q, estimate);
	double		bound = distance * distance / 2 - 3 * estimate->rounding;

	return Max(bound, 0.0);
}

static double
ip_bound(const OmenDenseQuery *q, const OmenDenseEstimate *estimate)
{
	double		magnitude = q->norm * (estimate->norm + estimate->error);

	/* near overflow the operator may say anything */
	if (!(magnitude < FLT_MAX / 4) || estimate->error >= FLT_MAX)
		return -INFINITY;
	return -estimate->value - q->norm * estimate->error - estimate->rounding * magnitude -
		2 * q->underflow;
}

static double
l1_bound(const OmenDenseEstimate *estimate)
{
	double		bound;

	if (!(estimate->value <= FLT_MAX))
		return 0.0;
	bound = estimate->value * (1.0 - estimate->rounding) - estimate->error;
	return Max(bound, 0.0);
}

/* What the operator's result for the true vector cannot be below. */
double
omen_dense_bound(OmenMetric metric, const OmenDenseQuery *query, const OmenDenseEstimate *estimate)
{
	switch (metric)
	{
		case OMEN_METRIC_COSINE:
			return cosine_bound(query, estimate);
		case OMEN_METRIC_IP:
			return ip_bound(query, estimate);
		case OMEN_METRIC_L1:
			return l1_bound(estimate);
		default:
			return l2_bound(query, estimate);
	}
}
