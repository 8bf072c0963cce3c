/*-------------------------------------------------------------------------
 *
 * test_quant_sparse.c
 *	  Codes of sparse vectors against plain definitions.
 *
 * Keys are compared with distances of the decoded vectors, lower bounds with
 * what the SQL operators compute in float32; for vectors of all lengths and
 * sizes of numbers, also such where one is much longer than the other.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/quant/quant.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define MAX_REPORTS 20
#define MAX_N OMEN_MAX_SPARSE_ELEMENTS
#define DIMS OMEN_MAX_SPARSE_DIMS

/* A vector with its code. */
typedef struct Sample
{
	uint32		n;
	int32		indices[MAX_N];
	float		values[MAX_N];
	double		decoded[MAX_N];
	OmenSparse	sparse;
	OmenCodeRef ref;
	char		factors[64];
} Sample;

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, OmenMetric metric, uint32 n_a, uint32 n_b, double found,
	  double expected)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: metric %d, %u and %u elements: %.17g, expected %.17g\n", what, metric,
			   n_a, n_b, found, expected);
}

/* What kind of values a vector gets. */
typedef enum Form
{
	FORM_USUAL,
	FORM_INTEGERS,
	FORM_SIGNED,
	FORM_WIDE,					/* of very different sizes: some quantise to 0 */
	FORM_TINY,					/* among the denormals */
	FORM_HUGE,					/* up to the greatest float */
	FORM_EQUAL,
	N_FORMS
} Form;

static float
next_value(Form form)
{
	double		u = next_uniform();
	double		sign = (next_random() & 1) ? 1 : -1;
	float		value = 0;

	switch (form)
	{
		case FORM_USUAL:
			value = (float) (0.1 + 5 * u);
			break;
		case FORM_INTEGERS:
			value = (float) (1 + next_random() % 300);
			break;
		case FORM_SIGNED:
			value = (float) (sign * u);
			break;
		case FORM_WIDE:
			value = (float) (sign * pow(10, -12 * u));
			break;
		case FORM_TINY:
			value = (float) (sign * u * 1e-42);
			break;
		case FORM_HUGE:
			value = (float) (sign * u * FLT_MAX);
			break;
		case FORM_EQUAL:
		case N_FORMS:
			value = 0.37f;
			break;
	}
	return value != 0 ? value : FLT_TRUE_MIN;
}

/* n elements among the first `span` indices or, for 0, anywhere. */
static void
make_sample(Sample *s, uint32 n, uint32 span, Form form)
{
	uint32		step = (span ? span : DIMS) / (n + 1);
	uint32		at = 0;
	uint32		i;

	s->n = n;
	for (i = 0; i < n; i++)
	{
		uint32		gap = 1 + next_random() % (2 * Max(step, 1) - 1);

		at += gap;
		s->indices[i] = Min(at, DIMS - n + i);
		if (i > 0 && s->indices[i] <= s->indices[i - 1])
			s->indices[i] = s->indices[i - 1] + 1;
		s->values[i] = next_value(form);
	}
	if (n > 1 && span == 0)
	{
		s->indices[0] = 0;
		s->indices[n - 1] = DIMS - 1;
	}
	s->sparse.n = n;
	s->sparse.indices = s->indices;
	s->sparse.values = s->values;
}

/* As callers do for the cosine metric. */
static void
normalise(Sample *s)
{
	double		sum = 0;
	uint32		i;

	for (i = 0; i < s->n; i++)
		sum += (double) s->values[i] * s->values[i];
	for (i = 0; i < s->n && sum > 0; i++)
		s->values[i] = (float) (s->values[i] / sqrt(sum));
}

/* The norm that the error is measured in. */
static double
norm_of_rest(const OmenCodec *codec, const Sample *s)
{
	double		sum = 0;
	uint32		i;

	for (i = 0; i < s->n; i++)
	{
		double		diff = s->values[i] - s->decoded[i];

		sum += codec->metric == OMEN_METRIC_L1 ? fabs(diff) : diff * diff;
	}
	return codec->metric == OMEN_METRIC_L1 ? sum : sqrt(sum);
}

/* Encode, and decode by the definition of the format. */
static void
encode(const OmenCodec *codec, Sample *s)
{
	uint32		n_bytes = codec->encoded_bytes(codec, &s->sparse);
	uint8	   *bytes = malloc(n_bytes);
	float		scale;
	float		error;
	uint32		n;
	uint32		at = 0;
	uint32		i;

	memset(bytes, 0xcc, n_bytes);
	codec->encode(codec, &s->sparse, s->factors, bytes);
	memcpy(&scale, s->factors, 4);
	memcpy(&error, s->factors + 4, 4);
	memcpy(&n, bytes, 4);
	check(n <= s->n && n_bytes == (4 + 6 * n + 3) / 4 * 4, "length", codec->metric, s->n, n,
		  n_bytes, 4 + 6 * n);
	for (i = 0; i < s->n; i++)
	{
		uint32		index = DIMS;
		int16		value;

		s->decoded[i] = 0;
		if (at < n)
			memcpy(&index, bytes + 4 + 4 * at, 4);
		if (index != (uint32) s->indices[i])
			continue;
		memcpy(&value, bytes + 4 + 4 * n + 2 * at, 2);
		s->decoded[i] = (double) scale * value;
		at++;
	}
	check(at == n, "indices", codec->metric, s->n, n, at, n);
	check(isfinite(scale) && isfinite(error) && error >= norm_of_rest(codec, s) &&
		  error <= norm_of_rest(codec, s) * (1 + 1e-6) + FLT_TRUE_MIN,
		  "error", codec->metric, s->n, n, error, norm_of_rest(codec, s));
	free((void *) s->ref.bytes);
	s->ref.bytes = bytes;
	s->ref.n_bytes = n_bytes;
	s->ref.unused = 0;
}

/* Sums over both vectors, in long double: of decoded elements or of true ones. */
typedef struct Sums
{
	long double ab;
	long double diff_sq;
	long double diff_abs;
} Sums;

static void
add_pair(Sums *sums, long double a, long double b)
{
	sums->ab += a * b;
	sums->diff_sq += (a - b) * (a - b);
	sums->diff_abs += fabsl(a - b);
}

static Sums
decoded_sums(const Sample *a, const Sample *b)
{
	Sums		sums = {0, 0, 0};
	uint32		i = 0;
	uint32		j = 0;

	while (i < a->n || j < b->n)
	{
		if (j == b->n || (i < a->n && a->indices[i] < b->indices[j]))
			add_pair(&sums, a->decoded[i++], 0);
		else if (i == a->n || b->indices[j] < a->indices[i])
			add_pair(&sums, 0, b->decoded[j++]);
		else
			add_pair(&sums, a->decoded[i++], b->decoded[j++]);
	}
	return sums;
}

/* What the key should be. */
static double
expected_key(OmenMetric metric, const Sums *sums)
{
	switch (metric)
	{
		case OMEN_METRIC_L2:
			return sums->diff_sq;
		case OMEN_METRIC_COSINE:
			return sums->diff_sq / 2;
		case OMEN_METRIC_IP:
			return -sums->ab;
		default:
			return sums->diff_abs;
	}
}

/* What the operators compute: float32 sums in the order of the indices. */
static double
operator_result(OmenMetric metric, const Sample *a, const Sample *b)
{
	volatile float ab = 0;
	volatile float aa = 0;
	volatile float bb = 0;
	volatile float diff_sq = 0;
	volatile float diff_abs = 0;
	double		cosine;
	uint32		i = 0;
	uint32		j = 0;

	while (i < a->n || j < b->n)
	{
		float		x = 0;
		float		y = 0;
		int32		at_a = i < a->n ? a->indices[i] : DIMS;
		int32		at_b = j < b->n ? b->indices[j] : DIMS;

		if (at_a <= at_b)
			x = a->values[i++];
		if (at_b <= at_a)
			y = b->values[j++];
		ab += x * y;
		aa += x * x;
		bb += y * y;
		diff_sq += (x - y) * (x - y);
		diff_abs += fabsf(x - y);
	}
	switch (metric)
	{
		case OMEN_METRIC_L2:
			return sqrt((double) diff_sq);
		case OMEN_METRIC_L1:
			return diff_abs;
		case OMEN_METRIC_IP:
			return -ab;
		default:
			break;
	}
	cosine = ab / sqrt((double) aa * bb);
	return 1 - Max(-1, Min(1, cosine));
}

/* Half the sum of the sizes of the terms: what rounding is measured by. */
static double
key_size(OmenMetric metric, const Sample *a, const Sample *b)
{
	Sums		own = {0, 0, 0};
	uint32		i;

	for (i = 0; i < a->n; i++)
		add_pair(&own, a->decoded[i], 0);
	for (i = 0; i < b->n; i++)
		add_pair(&own, b->decoded[i], 0);
	return metric == OMEN_METRIC_L1 ? own.diff_abs : own.diff_sq;
}

static void
check_key(const OmenCodec *codec, const char *what, const Sample *a, const Sample *b,
		  float found)
{
	Sums		sums = decoded_sums(a, b);
	double		expected = expected_key(codec->metric, &sums);
	double		slack = fabs(expected) * 2e-7 +
	key_size(codec->metric, a, b) * 1e-12 + FLT_TRUE_MIN;

	check(!isnan(found) && (fabs(found - expected) <= slack ||
							(isinf(found) && fabs(expected) > FLT_MAX * 0.99)),
		  what, codec->metric, a->n, b->n, found, expected);
}

static void
check_pair(const OmenCodec *codec, OmenQuery *query, Sample *a, Sample *b)
{
	const void *factors[3] = {b->factors, a->factors, b->factors};
	const uint8 *codes[3];
	float		keys[3];
	double		bound;
	double		result = operator_result(codec->metric, a, b);

	codes[0] = codes[2] = (const uint8 *) &b->ref;
	codes[1] = (const uint8 *) &a->ref;

	memset(query, 0xcc, codec->query_bytes);
	codec->query_from_code(codec, query, a->factors, (const uint8 *) &a->ref);
	codec->keys(codec, query, 3, factors, codes, keys);
	check_key(codec, "key from code", a, b, keys[0]);
	check_key(codec, "key of itself", a, a, keys[1]);
	check(keys[2] == keys[0], "key repeated", codec->metric, a->n, b->n, keys[2], keys[0]);

	codec->query_from_vector(codec, query, &a->sparse);
	codec->keys(codec, query, 3, factors, codes, keys);
	check_key(codec, "key from vector", a, b, keys[0]);
	bound = codec->lower_bound(codec, query, b->factors, (const uint8 *) &b->ref);
	if (codec->metric == OMEN_METRIC_COSINE && (a->n == 0 || b->n == 0))
		return;
	/* near overflow the operator may say nothing at all */
	check(!(bound > result), "lower bound", codec->metric, a->n, b->n, bound, result);
	if (!isnan(result) && !isinf(bound))
		check(result > FLT_MAX || bound >= result - fabs(result) * 0.1 -
			  key_size(OMEN_METRIC_L1, a, b) * 0.01 - 0.01 -
			  (codec->metric == OMEN_METRIC_IP ? key_size(OMEN_METRIC_L2, a, b) * 0.01 : 0),
			  "lower bound too low", codec->metric, a->n, b->n, bound, result);
}

/* A vector whose code is the same as another's, but for its error. */
static void
check_folding(const OmenCodec *codec, Sample *a, Sample *b)
{
	float		error_a;
	float		error_b;
	float		error;

	check(codec->equal(codec, a->factors, (const uint8 *) &a->ref, a->factors,
					   (const uint8 *) &a->ref), "equal", codec->metric, a->n, a->n, 0, 1);
	*b = *a;
	b->sparse.values = b->values;
	b->sparse.indices = b->indices;
	b->ref.bytes = NULL;
	b->values[0] = nextafterf(b->values[0], b->values[1]);
	encode(codec, b);
	if (!codec->equal(codec, a->factors, (const uint8 *) &a->ref, b->factors,
					  (const uint8 *) &b->ref))
		return;
	memcpy(&error_a, a->factors + 4, 4);
	memcpy(&error_b, b->factors + 4, 4);
	codec->absorb(codec, b->factors, a->factors);
	memcpy(&error, b->factors + 4, 4);
	check(error == Max(error_a, error_b), "absorb", codec->metric, a->n, b->n, error, error_a);
}

/* A code whose length is a lie must not be read beyond its bytes. */
static void
check_damaged(const OmenCodec *codec, OmenQuery *query, Sample *a)
{
	uint32		n = a->ref.n_bytes;
	uint8	   *bytes = malloc(n);
	uint32		length = 0xffffffff;
	Sample	   *b = malloc(sizeof(Sample));
	const void *factors = a->factors;
	const uint8 *codes;
	float		key;

	memcpy(bytes, a->ref.bytes, n);
	memcpy(bytes, &length, 4);
	memcpy(b, a, sizeof(Sample));
	b->ref.bytes = bytes;
	codes = (const uint8 *) &b->ref;
	codec->query_from_code(codec, query, factors, codes);
	codec->keys(codec, query, 1, &factors, &codes, &key);
	check(true, "damaged", codec->metric, a->n, n, 0, 0);
	free(bytes);
	free(b);
}

static void
check_metric(OmenMetric metric, Sample *a, Sample *b)
{
	static const uint32 lengths[] = {0, 1, 2, 3, 12, 63, 64, 65, 300, 1100, 16000};
	OmenCodec	codec;
	OmenQuery  *query;
	uint32		i;
	uint32		j;
	uint32		span;
	int			form;

	omen_codec_init(&codec, OMEN_CODE_SPARSE, metric, DIMS);
	query = aligned_alloc(64, codec.query_bytes);
	for (i = 0; i < lengthof(lengths); i++)
	{
		for (j = 0; j < lengthof(lengths); j++)
		{
			uint32		n_a = lengths[i];
			uint32		n_b = lengths[j];

			for (form = 0; form < N_FORMS; form++)
			{
				/* cosine of such numbers overflows in the operator itself */
				if (metric == OMEN_METRIC_COSINE && (form == FORM_TINY || form == FORM_HUGE))
					continue;
				for (span = 0; span < 3; span++)
				{
					uint32		dims = span * (Max(n_a, n_b) * 2 + 10);

					make_sample(a, n_a, dims, form);
					make_sample(b, n_b, dims, form);
					if (metric == OMEN_METRIC_COSINE)
					{
						normalise(a);
						normalise(b);
					}
					encode(&codec, a);
					encode(&codec, b);
					check_pair(&codec, query, a, b);
				}
			}
			if (n_a > 1)
			{
				check_damaged(&codec, query, a);
				free((void *) b->ref.bytes);
				check_folding(&codec, a, b);
			}
		}
	}
	free(query);
}

int
main(void)
{
	Sample	   *a = calloc(1, sizeof(Sample));
	Sample	   *b = calloc(1, sizeof(Sample));

	check_metric(OMEN_METRIC_L2, a, b);
	check_metric(OMEN_METRIC_IP, a, b);
	check_metric(OMEN_METRIC_COSINE, a, b);
	check_metric(OMEN_METRIC_L1, a, b);
	free((void *) a->ref.bytes);
	free((void *) b->ref.bytes);
	free(a);
	free(b);
	printf("test_quant_sparse: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
