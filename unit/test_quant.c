/*-------------------------------------------------------------------------
 *
 * test_quant.c
 *	  Codes of vectors of floats: keys, errors and lower bounds, with every kernel.
 *
 * The vectors are chosen to hurt: integers that must be exact, constants,
 * outliers, the largest and the least floats, large offsets.  What must hold:
 *
 *	- keys are those of the decoded vectors, and have the same bits with every kernel;
 *	- no lower bound is above what the SQL operator returns, computed with every
 *	  kernel and in a plain loop;
 *	- for ordinary vectors it is not much below, with finer codes less than rounding;
 *	- infinities, which only damage can bring, are encoded in no more time than others.
 *
 * If the environment variable OMEN_DATA names a folder with real data (deb_b.f16.npy, see bench/),
 * bounds are also tested on that.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "src/quant/quant.h"
#include "unit/test_memory.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf
#undef snprintf

#define MAX_REPORTS 20
#define N_KINDS 12
#define N_EACH 3
#define N_VECTORS (N_KINDS * N_EACH)

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, const OmenCodec *codec, int i, int j, double found, double expected)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: %s, metric %d, %u dimensions, vectors %d and %d: %.17g, expected %.17g\n",
			   what, omen_kernels->name, codec->metric, codec->dims, i, j, found, expected);
}

/* ---------- vectors ---------- */

/* -1 .. 1 */
static float
next_float(void)
{
	return (float) next_signed();
}

/* Roughly normal. */
static float
next_normal(void)
{
	return next_float() + next_float() + next_float();
}

static float
component(int kind, uint32 at)
{
	switch (kind)
	{
		case 0:
			return (float) (next_random() % 256);	/* exact */
		case 1:
			return next_normal();
		case 2:
			return next_float();
		case 3:
			return next_random() % 8 == 0 ? next_normal() : 0.0f;
		case 4:
			return 5.25f;		/* constant */
		case 5:
			return at == 0 ? 100.0f : next_normal();	/* an outlier */
		case 6:
			return 1e6f + next_normal();	/* a large offset */
		case 7:
			return (float) (next_random() % 511) - 255.0f;	/* integers, but negative */
		case 8:
			return 0.3f + 1e-6f * next_float();
		case 9:
			return next_normal() * 1e-41f;	/* denormal */
		case 10:
			return next_float() * FLT_MAX;
		default:
			return (next_random() & 1) ? FLT_MAX : -FLT_MAX;
	}
}

/* No outliers and no extremes: codes are as good as 8 bits can be. */
static bool
is_ordinary(int vector)
{
	int			kind = vector / N_EACH;

	return kind <= 2 || kind == 4 || kind == 7 || kind == 8;
}

/* What a kind of code holds exactly, unless it was scaled to length 1. */
static bool
is_exact(OmenCodeKind code_kind, int vector)
{
	int			kind = vector / N_EACH;

	if (code_kind == OMEN_CODE_FLOAT)
		return true;
	return kind == 0 || kind == 4 || (code_kind == OMEN_CODE_HALF && kind == 7);
}

static double
norm(const float *x, uint32 dims)
{
	double		norm_sq = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
		norm_sq += (double) x[i] * x[i];
	return sqrt(norm_sq);
}

static void
normalise(float *x, uint32 dims)
{
	double		length = norm(x, dims);
	uint32		i;

	for (i = 0; length > 0 && i < dims; i++)
		x[i] = (float) (x[i] / length);
}

/* ---------- definitions ---------- */

static double
definition(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	double		sum = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
	{
		double		diff = (double) a[i] - (double) b[i];

		sum += metric == OMEN_METRIC_IP ? -(double) a[i] * b[i] :
			metric == OMEN_METRIC_L1 ? fabs(diff) : diff * diff;
	}
	return metric == OMEN_METRIC_COSINE ? sum / 2 : sum;
}

/* Magnitude that rounding errors of a key are relative to. */
static double
key_scale(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	double		sum = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
	{
		double		larger = Max(fabs((double) a[i]), fabs((double) b[i]));

		sum += metric == OMEN_METRIC_L1 ? larger : larger * larger;
	}
	return sum;
}

static double
cosine_of_terms(float ab, float aa, float bb)
{
	double		similarity = (double) ab / sqrt((double) aa * (double) bb);

	return 1.0 - Max(-1.0, Min(1.0, similarity));
}

/* What the SQL operators compute, with the kernels in force. */
static double
operator_by_kernels(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	float		ab;
	float		aa;
	float		bb;

	switch (metric)
	{
		case OMEN_METRIC_L2:
			return sqrt((double) omen_kernels->l2_squared_f32(a, b, dims));
		case OMEN_METRIC_IP:
			return -(double) omen_kernels->inner_product_f32(a, b, dims);
		case OMEN_METRIC_L1:
			return omen_kernels->l1_f32(a, b, dims);
		default:
			omen_kernels->cosine_terms_f32(a, b, dims, &ab, &aa, &bb);
			return cosine_of_terms(ab, aa, bb);
	}
}

/* The same with one float sum from the first to the last. */
static double
operator_by_loop(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	float		sum = 0;
	float		aa = 0;
	float		bb = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
	{
		float		diff = a[i] - b[i];

		if (metric == OMEN_METRIC_L2)
			sum += diff * diff;
		else if (metric == OMEN_METRIC_L1)
			sum += fabsf(diff);
		else
			sum += a[i] * b[i];
		aa += a[i] * a[i];
		bb += b[i] * b[i];
	}
	switch (metric)
	{
		case OMEN_METRIC_L2:
			return sqrt((double) sum);
		case OMEN_METRIC_IP:
			return -(double) sum;
		case OMEN_METRIC_L1:
			return sum;
		default:
			return cosine_of_terms(sum, aa, bb);
	}
}

/* ---------- one codec ---------- */

/* Vectors as a user has them, as the index sees them, and their codes. */
typedef struct Samples
{
	OmenCodec	codec;
	int			n;
	float	   *raw[N_VECTORS];
	float	   *x[N_VECTORS];
	float	   *decoded[N_VECTORS];
	void	   *factors[N_VECTORS];
	uint8	   *codes[N_VECTORS];
	char	   *refines[N_VECTORS];
	OmenQuery  *query;
} Samples;

static bool
refines(const Samples *s)
{
	return s->codec.refine != OMEN_REFINE_NONE;
}

static uint32
component_bytes(OmenCodeKind kind)
{
	return kind == OMEN_CODE_FLOAT ? sizeof(float) : kind == OMEN_CODE_HALF ? sizeof(OmenHalf) : 1;
}

/* What a finer code still lacks: with its factors begins the record. */
static float
refine_error(const Samples *s, int i)
{
	float		error;

	memcpy(&error, s->refines[i], sizeof(error));
	return error;
}

/* The better one of both bounds, as a scan takes it. */
static double
refined_bound(const Samples *s, int i)
{
	const OmenCodec *codec = &s->codec;
	double		coarse = codec->lower_bound(codec, s->query, s->factors[i], s->codes[i]);
	double		fine = codec->refined_bound(codec, s->query, s->factors[i], s->codes[i], s->refines[i],
											(const uint8 *) s->refines[i] + codec->refine_factor_bytes);

	return Max(coarse, fine);
}

/* A 256th of a step in each component, and what float32 loses of it. */
static double
most_refine_error(const Samples *s, int i)
{
	uint32		dims = s->codec.dims;
	float		min = s->x[i][0];
	float		max = s->x[i][0];
	double		each;
	uint32		j;

	for (j = 1; j < dims; j++)
	{
		min = Min(min, s->x[i][j]);
		max = Max(max, s->x[i][j]);
	}
	each = ((double) max - min) / 255 / 256 + 2 * FLT_EPSILON * Max(fabs(min), fabs(max));
	return each * (s->codec.metric == OMEN_METRIC_L1 ? dims : sqrt(dims));
}

static void
encode_refine_sample(Samples *s, int i)
{
	OmenCodec  *codec = &s->codec;
	uint32		j;

	codec->encode_refine(codec, s->x[i], s->factors[i], s->codes[i], s->refines[i]);
	for (j = codec->refine_factor_bytes + codec->dims; j < codec->refine_bytes; j++)
		check(s->refines[i][j] == 0, "padding, fine", codec, i, j, s->refines[i][j], 0);
	if (is_ordinary(i))
		check(refine_error(s, i) <= most_refine_error(s, i), "refine error", codec, i, i,
			  refine_error(s, i), most_refine_error(s, i));
	if (is_exact(codec->kind, i) && codec->metric != OMEN_METRIC_COSINE)
		check(refine_error(s, i) == 0, "exact, fine", codec, i, i, refine_error(s, i), 0);
}

static void
encode_samples(Samples *s)
{
	OmenCodec  *codec = &s->codec;
	int			i;
	uint32		j;

	for (i = 0; i < s->n; i++)
	{
		bool		exact = true;

		memcpy(s->x[i], s->raw[i], sizeof(float) * codec->dims);
		if (codec->metric == OMEN_METRIC_COSINE)
			normalise(s->x[i], codec->dims);
		codec->encode(codec, s->x[i], s->factors[i], s->codes[i]);
		codec->decode(codec, s->factors[i], s->codes[i], s->decoded[i]);
		for (j = codec->dims * component_bytes(codec->kind); j < codec->code_bytes; j++)
			check(s->codes[i][j] == 0, "padding", codec, i, j, s->codes[i][j], 0);
		for (j = 0; j < codec->dims; j++)
		{
			check(isfinite(s->decoded[i][j]), "decoded", codec, i, j, s->decoded[i][j], s->x[i][j]);
			exact = exact && s->decoded[i][j] == s->x[i][j];
		}
		if (is_exact(codec->kind, i) && (codec->metric != OMEN_METRIC_COSINE || codec->kind == OMEN_CODE_FLOAT))
			check(exact, "exact", codec, i, i, 0, 1);
		if (refines(s))
			encode_refine_sample(s, i);
	}
}

static void
make_samples(Samples *s, OmenCodeKind kind, OmenMetric metric, uint32 dims)
{
	int			i;
	uint32		j;

	omen_codec_init(&s->codec, kind, metric, dims);
	if (omen_codec_admits_refine(kind, OMEN_REFINE_SCALAR))
		omen_codec_refine(&s->codec, OMEN_REFINE_SCALAR);
	s->query = get_dirty(s->codec.query_bytes);

	/* unit vectors are made of vectors that have a norm in float32 */
	s->n = metric == OMEN_METRIC_COSINE ? 9 * N_EACH : N_VECTORS;
	for (i = 0; i < s->n; i++)
	{
		s->raw[i] = get_dirty(sizeof(float) * dims);
		s->x[i] = get_dirty(sizeof(float) * dims);
		s->decoded[i] = get_dirty(sizeof(float) * dims);
		s->factors[i] = get_dirty(s->codec.factor_bytes);
		s->codes[i] = get_dirty(s->codec.code_bytes);
		s->refines[i] = get_dirty(s->codec.refine_bytes);
		for (j = 0; j < dims; j++)
			s->raw[i][j] = component(i / N_EACH, j);
		if (s->raw[i][0] == 0 && metric == OMEN_METRIC_COSINE)
			s->raw[i][0] = 1;	/* no zero vectors */

		/* some near one another, some equal */
		for (j = 0; i % N_EACH == 1 && !is_exact(OMEN_CODE_SQ8, i) && j < dims; j++)
			s->raw[i][j] = s->raw[i - 1][j] * (1 + 1e-4f * (next_random() % 2));
		if (i % N_EACH == 1 && i % 2 == 0)
		{
			for (j = 0; j < dims; j++)
				s->raw[i][j] = s->raw[i - 1][j] == 0 ? -s->raw[i - 1][j] : s->raw[i - 1][j];
		}
		for (j = 0; j < dims; j++)
			s->raw[i][j] = Min(Max(s->raw[i][j], -FLT_MAX), FLT_MAX);
	}
	encode_samples(s);
}

static void
free_samples(Samples *s)
{
	int			i;

	for (i = 0; i < s->n; i++)
	{
		free(s->raw[i]);
		free(s->x[i]);
		free(s->decoded[i]);
		free(s->factors[i]);
		free(s->codes[i]);
		free(s->refines[i]);
	}
	free(s->query);
}

static void
check_keys(Samples *s)
{
	OmenCodec  *codec = &s->codec;
	float		keys[N_VECTORS];
	float		part[N_VECTORS];
	float		scalar[N_VECTORS];
	const char *name = omen_kernels->name;
	int			i;
	int			j;
	int			n;

	for (i = 0; i < s->n; i++)
	{
		codec->query_from_code(codec, s->query, s->factors[i], s->codes[i]);
		codec->keys(codec, s->query, s->n, (const void *const *) s->factors,
					(const uint8 *const *) s->codes, keys);
		for (j = 0; j < s->n; j++)
		{
			double		expected = definition(codec->metric, s->decoded[j], s->decoded[i], codec->dims);
			double		scale = key_scale(codec->metric, s->decoded[i], s->decoded[j], codec->dims);

			check(!isnan(keys[j]), "key is a number", codec, i, j, keys[j], expected);
			/* equal terms round alike: a lane's sum of them may be off by half a unit a term */
			if (scale < FLT_MAX / 2)
				check(fabs(keys[j] - expected) <= (1e-5 + codec->dims * FLT_EPSILON / 32) * scale + 1e-40,
					  "key", codec, i, j, keys[j], expected);
		}

		/* in pieces of any length, and with the definition's kernels: the same bits */
		for (n = 0; n <= Min(s->n, 9); n++)
		{
			codec->keys(codec, s->query, n, (const void *const *) s->factors,
						(const uint8 *const *) s->codes, part);
			check(memcmp(part, keys, sizeof(float) * n) == 0, "pieces", codec, i, n, 0, 0);
		}
		omen_kernels_select("scalar");
		codec->keys(codec, s->query, s->n, (const void *const *) s->factors,
					(const uint8 *const *) s->codes, scalar);
		omen_kernels_select(name);
		check(memcmp(scalar, keys, sizeof(float) * s->n) == 0, "bits", codec, i, i, 0, 0);
	}
}

/*
 * How far a bound by finer codes may be below the operator: by their error, a
 * 256th of the code's, and by the slack for rounding, each once for the bound
 * and once for the operator.
 */
static double
refined_gap(const Samples *s, int j, double query_norm, double scale)
{
	const OmenCodec *codec = &s->codec;
	double		error = 2 * refine_error(s, j);

	if (codec->metric == OMEN_METRIC_IP)
		error *= query_norm;
	else if (codec->metric == OMEN_METRIC_COSINE)
		error *= 2;
	return error + 8 * (codec->dims / 16.0 + 64.0) * FLT_EPSILON * scale + 1e-18;
}

/* No bound is above any result of the operator; most are near, real ones all. */
static void
check_bounds(Samples *s, bool real)
{
	OmenCodec  *codec = &s->codec;
	float	   *copy = get_dirty(sizeof(float) * codec->dims);
	int			i;
	int			j;

	for (i = 0; i < s->n; i++)
	{
		double		query_norm = norm(s->x[i], codec->dims);

		memcpy(copy, s->x[i], sizeof(float) * codec->dims);
		codec->query_from_vector(codec, s->query, copy);
		memset(copy, 0, sizeof(float) * codec->dims);	/* a query keeps no pointers */
		for (j = 0; j < s->n; j++)
		{
			double		bound = codec->lower_bound(codec, s->query, s->factors[j], s->codes[j]);
			double		refined = refines(s) ? refined_bound(s, j) : bound;
			double		kernel = operator_by_kernels(codec->metric, s->raw[i], s->raw[j], codec->dims);
			double		loop = operator_by_loop(codec->metric, s->raw[i], s->raw[j], codec->dims);
			double		scale = key_scale(codec->metric, s->x[i], s->x[j], codec->dims);

			/* sums that have overflowed to both infinities are no numbers */
			check(isnan(kernel) || bound <= kernel, "bound, kernels", codec, i, j, bound, kernel);
			check(isnan(loop) || bound <= loop, "bound, loop", codec, i, j, bound, loop);
			check(isnan(kernel) || refined <= kernel, "refined, kernels", codec, i, j, refined, kernel);
			check(isnan(loop) || refined <= loop, "refined, loop", codec, i, j, refined, loop);
			check(codec->metric == OMEN_METRIC_IP || bound >= 0, "bound >= 0", codec, i, j, bound, 0);

			if (codec->metric == OMEN_METRIC_L2)
				scale = sqrt(scale);
			if (real || (is_ordinary(i) && is_ordinary(j)))
			{
				check(bound >= kernel - 0.02 * scale - 1e-6, "gap", codec, i, j, bound, kernel);
				if (refines(s))
					check(refined >= kernel - refined_gap(s, j, query_norm, scale), "refined gap", codec, i, j, refined,
					  kernel - refined_gap(s, j, query_norm, scale));
			}
			if (!real && is_ordinary(i) && is_ordinary(j) && is_exact(codec->kind, j) && codec->metric != OMEN_METRIC_COSINE)
				check(bound >= kernel - (1e-5 + 0.2 * codec->dims * FLT_EPSILON) * scale, "gap, exact", codec, i, j, bound, kernel);
		}
	}
	free(copy);
}

/* By value: zeros of both signs are equal. */
static bool
equal_floats(const float *a, const float *b, uint32 n)
{
	uint32		i;

	for (i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

/* Folding: equal() tells what decodes equal, and an absorbed error counts. */
static void
check_folding(Samples *s)
{
	OmenCodec  *codec = &s->codec;
	size_t		bytes = sizeof(float) * codec->dims;
	int			i;
	int			j;

	for (i = 0; i < s->n; i++)
	{
		for (j = 0; j < s->n; j++)
		{
			bool		equal = codec->equal(codec, s->factors[i], s->codes[i],
											 s->factors[j], s->codes[j]);
			bool		identical = memcmp(s->factors[i], s->factors[j], codec->identity_bytes) == 0 &&
				memcmp(s->codes[i], s->codes[j], codec->code_bytes) == 0;

			check(equal == identical, "identity", codec, i, j, identical, equal);
			if (equal)
				check(memcmp(s->decoded[i], s->decoded[j], bytes) == 0, "equal", codec, i, j, 1, 0);
			if (equal_floats(s->x[i], s->x[j], codec->dims))
				check(equal, "equal vectors", codec, i, j, 0, 1);
			if (equal)
			{
				double		own;
				double		wider;
				double		self = operator_by_kernels(codec->metric, s->raw[i], s->raw[i], codec->dims);

				codec->query_from_vector(codec, s->query, s->x[i]);
				own = codec->lower_bound(codec, s->query, s->factors[j], s->codes[j]);
				codec->absorb(codec, s->factors[j], s->factors[i]);
				wider = codec->lower_bound(codec, s->query, s->factors[j], s->codes[j]);
				check(wider <= own, "absorb", codec, i, j, wider, own);
				check(isnan(self) || wider <= self, "bound for both", codec, i, j, wider, self);
			}
		}
	}
}

/*
 * Vectors of which the code sees no difference, but the finer code does: what
 * one has absorbed of the other holds for both.
 */
static long
check_refine_folding(Samples *s)
{
	OmenCodec  *codec = &s->codec;
	float	   *near = get_dirty(sizeof(float) * codec->dims);
	char	   *factors = get_dirty(codec->factor_bytes);
	uint8	   *code = get_dirty(codec->code_bytes);
	char	   *refine = get_dirty(codec->refine_bytes);
	long		n_folded = 0;
	int			i;
	int			q;
	uint32		j;

	for (i = 0; i < s->n; i++)
	{
		memcpy(near, s->raw[i], sizeof(float) * codec->dims);
		for (j = 1; j < codec->dims; j += 3)
		{
			float		moved = near[j] * (1 + 1e-4f * next_float());

			near[j] = Min(Max(moved, -FLT_MAX), FLT_MAX);
		}
		memcpy(s->x[i], near, sizeof(float) * codec->dims);
		if (codec->metric == OMEN_METRIC_COSINE)
			normalise(s->x[i], codec->dims);
		codec->encode(codec, s->x[i], factors, code);
		codec->encode_refine(codec, s->x[i], factors, code, refine);
		if (!codec->equal(codec, s->factors[i], s->codes[i], factors, code) ||
			memcmp(s->refines[i], refine, codec->refine_bytes) == 0)
			continue;

		n_folded++;
		codec->absorb(codec, s->factors[i], factors);
		codec->absorb_refine(codec, s->factors[i], s->codes[i], s->refines[i], refine);
		for (q = 0; q < s->n; q++)
		{
			double		mine = operator_by_kernels(codec->metric, s->raw[q], s->raw[i], codec->dims);
			double		other = operator_by_kernels(codec->metric, s->raw[q], near, codec->dims);
			double		bound;

			memcpy(s->x[q], s->raw[q], sizeof(float) * codec->dims);
			if (codec->metric == OMEN_METRIC_COSINE)
				normalise(s->x[q], codec->dims);
			codec->query_from_vector(codec, s->query, s->x[q]);
			bound = refined_bound(s, i);
			check(isnan(mine) || bound <= mine, "folded, mine", codec, q, i, bound, mine);
			check(isnan(other) || bound <= other, "folded, other", codec, q, i, bound, other);
		}
	}
	free(near);
	free(factors);
	free(code);
	free(refine);
	return n_folded;
}

/* ---------- real data ---------- */

static float
half_to_float(uint16 half)
{
	int			exponent = (half >> 10) & 31;
	int			mantissa = half & 1023;
	float		value = exponent == 0 ? ldexpf(mantissa, -24) : ldexpf(mantissa + 1024, exponent - 25);

	return (half & 0x8000) ? -value : value;
}

/* Bounds between real vectors; also says how wide the gaps are. */
static void
check_real(const char *folder, OmenCodeKind kind)
{
	const uint32 dims = 384;
	static const OmenMetric metrics[] = {OMEN_METRIC_L2, OMEN_METRIC_IP, OMEN_METRIC_COSINE, OMEN_METRIC_L1};
	const int	n = N_VECTORS;
	char		name[1024];
	uint16	   *halves = get_dirty(sizeof(uint16) * dims);
	FILE	   *file;
	size_t		metric;
	int			i;
	uint32		j;

	snprintf(name, sizeof(name), "%s/deb_b.f16.npy", folder);
	file = fopen(name, "rb");
	if (file == NULL)
	{
		printf("no %s\n", name);
		free(halves);
		return;
	}
	for (metric = 0; metric < lengthof(metrics); metric++)
	{
		Samples		s;

		make_samples(&s, kind, metrics[metric], dims);
		fseek(file, 128, SEEK_SET); /* version 1 header of this length */
		s.n = Min(s.n, n);
		for (i = 0; i < s.n; i++)
		{
			if (fread(halves, sizeof(uint16), dims, file) != dims)
				abort();
			for (j = 0; j < dims; j++)
				s.raw[i][j] = half_to_float(halves[j]);
			memset(s.codes[i], 0, s.codec.code_bytes);
		}
		for (i = 0; i < s.n; i++)
		{
			memcpy(s.x[i], s.raw[i], sizeof(float) * dims);
			if (s.codec.metric == OMEN_METRIC_COSINE)
				normalise(s.x[i], dims);
			s.codec.encode(&s.codec, s.x[i], s.factors[i], s.codes[i]);
			if (refines(&s))
				s.codec.encode_refine(&s.codec, s.x[i], s.factors[i], s.codes[i], s.refines[i]);
			s.codec.decode(&s.codec, s.factors[i], s.codes[i], s.decoded[i]);
		}
		check_bounds(&s, true);
		s.n = n;
		if (s.codec.metric == OMEN_METRIC_COSINE)
			s.n = 9 * N_EACH;
		free_samples(&s);
	}
	fclose(file);
	free(halves);
}

/* All that must hold of one codec; returns how often finer codes were folded. */
static long
check_codec(OmenCodeKind kind, OmenMetric metric, uint32 dims)
{
	Samples		s;
	long		n_folded = 0;

	make_samples(&s, kind, metric, dims);
	check_keys(&s);
	check_bounds(&s, false);
	check_folding(&s);
	check_bounds(&s, false);	/* after absorbing */
	if (refines(&s) && dims <= 1000)
		n_folded = check_refine_folding(&s);
	free_samples(&s);
	return n_folded;
}

#define DAMAGED_DIMS 20
#define DAMAGED_SECONDS 60

/* What only a damaged table holds is encoded somehow, in the time that other vectors take. */
static void
check_damaged(OmenCodeKind kind, OmenMetric metric)
{
	static const float values[] = {INFINITY, -INFINITY, NAN};
	OmenCodec	codec;
	float		x[DAMAGED_DIMS] = {0.5f, -FLT_MAX, FLT_MAX};
	void	   *factors;
	uint8	   *code;
	size_t		i;
	size_t		j;

	omen_codec_init(&codec, kind, metric, DAMAGED_DIMS);
	factors = get_dirty(codec.factor_bytes);
	code = get_dirty(codec.code_bytes);
	alarm(DAMAGED_SECONDS);
	for (i = 0; i < lengthof(values); i++)
		for (j = 0; j < DAMAGED_DIMS; j++)
		{
			x[DAMAGED_DIMS - 1 - j] = values[i];
			codec.encode(&codec, x, factors, code);
			n_passed++;
		}
	alarm(0);
	free(factors);
	free(code);
}

int
main(void)
{
	static const uint32 dims[] = {1, 2, 3, 15, 16, 17, 31, 33, 64, 100, 128, 384, 1000, OMEN_MAX_DIMS};
	static const OmenMetric metrics[] = {OMEN_METRIC_L2, OMEN_METRIC_IP, OMEN_METRIC_COSINE, OMEN_METRIC_L1};
	static const OmenCodeKind kinds[] = {OMEN_CODE_SQ8, OMEN_CODE_FLOAT, OMEN_CODE_HALF};
	const OmenKernels *const *tables;
	int			n_tables = omen_kernels_available(&tables);
	long		n_folded = 0;
	int			table;
	size_t		kind;
	size_t		i;
	size_t		j;

	for (table = 0; table < n_tables; table++)
	{
		omen_kernels_select(tables[table]->name);
		for (kind = 0; kind < lengthof(kinds); kind++)
		{
			for (j = 0; j < lengthof(metrics); j++)
				check_damaged(kinds[kind], metrics[j]);
			random_state = RANDOM_SEED;
			for (i = 0; i < lengthof(dims); i++)
				for (j = 0; j < lengthof(metrics); j++)
					n_folded += check_codec(kinds[kind], metrics[j], dims[i]);
			if (getenv("OMEN_DATA") != NULL)
				check_real(getenv("OMEN_DATA"), kinds[kind]);
		}
	}
	if (n_folded == 0)
	{
		printf("no vectors of the same code and different finer codes\n");
		n_failed++;
	}
	printf("test_quant: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
