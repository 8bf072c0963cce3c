/*-------------------------------------------------------------------------
 *
 * sketch_bench.c
 *	  How well sketches find neighbours, and how fast they are.
 *
 *	sketch_bench base=FILE query=FILE dims=D [option=value ...]
 *
 * Files hold float32 vectors, one behind the other.  Options and defaults:
 * metric=l2 (ip, cosine), kind=low_bit, bits=1, subvectors=0, n=0 (first n rows
 * only), queries=200, join=1 (so many rows are joined to one of more dimensions).
 *
 * Prints recall@10 of exhaustive search by sketches, where the best 10, 20, 40 and 80 are ranked anew by
 * their codes, errors of keys, and nanoseconds a key, of sketches and of codes, both in memory at random
 * and in the cache.
 *
 * Not a test: `make -C unit build/plain/sketch_bench`.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#undef printf
#undef fprintf
#undef qsort

#include "src/quant/sketch.h"
#include "unit/test_memory.h"

#define RECALL_AT 10
#define N_OVERSAMPLING 5
#define MAX_KEPT (RECALL_AT << (N_OVERSAMPLING - 1))
#define BATCH 16

typedef struct Bench
{
	OmenMetric	metric;
	uint32		dims;
	uint32		n;
	uint32		n_queries;
	float	   *base;
	float	   *queries;
	OmenCodec	codec;
	char	   *factors;
	uint8	   *codes;
	OmenSketch	sketch;
	char	   *model;
	uint8	   *records;
} Bench;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static const char *
option(int argc, char **argv, const char *name, const char *otherwise)
{
	size_t		length = strlen(name);

	for (int i = 1; i < argc; i++)
	{
		if (strncmp(argv[i], name, length) == 0 && argv[i][length] == '=')
			return argv[i] + length + 1;
	}
	return otherwise;
}

static float *
read_floats(const char *name, uint32 dims, bool normalise, uint32 *n)
{
	FILE	   *file = fopen(name, "rb");
	size_t		bytes;
	float	   *x;

	if (file == NULL)
	{
		perror(name);
		exit(2);
	}
	fseek(file, 0, SEEK_END);
	bytes = ftell(file);
	rewind(file);
	if (*n == 0 || *n > bytes / sizeof(float) / dims)
		*n = bytes / sizeof(float) / dims;
	bytes = sizeof(float) * dims * *n;
	x = get_zeroed(bytes);
	if (fread(x, 1, bytes, file) != bytes)
		exit(2);
	fclose(file);
	for (uint32 k = 0; normalise && k < *n; k++)
	{
		float	   *v = x + (size_t) k * dims;
		double		norm_sq = 0;

		for (uint32 i = 0; i < dims; i++)
			norm_sq += (double) v[i] * v[i];
		for (uint32 i = 0; i < dims && norm_sq > 0; i++)
			v[i] = (float) (v[i] / sqrt(norm_sq));
	}
	return x;
}

/* ---------- making ---------- */

static void
make_codes(Bench *b)
{
	omen_codec_init(&b->codec, OMEN_CODE_SQ8, b->metric, b->dims);
	b->factors = get_zeroed((size_t) b->n * b->codec.factor_bytes);
	b->codes = get_zeroed((size_t) b->n * b->codec.code_bytes);
	for (uint32 k = 0; k < b->n; k++)
		b->codec.encode(&b->codec, b->base + (size_t) k * b->dims,
						b->factors + (size_t) k * b->codec.factor_bytes,
						b->codes + (size_t) k * b->codec.code_bytes);
}

static void
tick_nothing(void *arg pg_attribute_unused())
{
}

static void
make_sketches(Bench *b)
{
	OmenSketch *s = &b->sketch;
	uint32		n_sample = Min(b->n, s->sample_max);
	float	   *vectors = get_zeroed(sizeof(float) * b->dims * n_sample);
	OmenSketchSample sample = {.n = n_sample,.x = vectors,.tick = tick_nothing};
	void	   *scratch = get_zeroed(Max(s->train_scratch_bytes, s->encode_scratch_bytes));
	float	   *x = get_zeroed(sizeof(float) * b->dims);
	double		start;
	double		trained;

	b->model = get_zeroed(s->model_bytes);
	b->records = get_zeroed((size_t) b->n * s->sketch_bytes);
	for (uint32 k = 0; k < n_sample; k++)
		memcpy(vectors + (size_t) k * b->dims,
			   b->base + (size_t) ((uint64) k * b->n / n_sample) * b->dims, sizeof(float) * b->dims);
	start = now();
	for (uint32 part = 0; part < s->train_parts; part++)
		s->train(s, part, &sample, b->model, scratch);
	trained = now();
	for (uint32 k = 0; k < b->n; k++)
	{
		b->codec.decode(&b->codec, b->factors + (size_t) k * b->codec.factor_bytes,
						b->codes + (size_t) k * b->codec.code_bytes, x);
		s->encode(s, b->model, x, b->records + (size_t) k * s->sketch_bytes, scratch);
	}
	printf("training %.2f s in %u parts, %.1f us to encode a vector, record %u bytes = 1/%.1f, model %u bytes\n",
		   trained - start, s->train_parts, (now() - trained) / b->n * 1e6, s->sketch_bytes,
		   4.0 * b->dims / s->sketch_bytes, s->model_bytes);
	free(vectors);
	free(scratch);
	free(x);
}

/* ---------- recall ---------- */

typedef struct Found
{
	float		key;
	uint32		id;
} Found;

static int
compare_found(const void *a, const void *b)
{
	const Found *x = a;
	const Found *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* The k least keys, in order. */
static void
select_least(const float *keys, uint32 n, Found *all, uint32 k, Found *least)
{
	uint32		n_all = 0;
	float		limit = INFINITY;

	/* a few thousand at a time, of which k stay */
	for (uint32 i = 0; i < n; i++)
	{
		if (keys[i] > limit)
			continue;
		all[n_all++] = (Found) {keys[i], i};
		if (n_all == 4096)
		{
			qsort(all, n_all, sizeof(Found), compare_found);
			n_all = k;
			limit = all[k - 1].key;
		}
	}
	qsort(all, n_all, sizeof(Found), compare_found);
	memcpy(least, all, sizeof(Found) * Min(k, n_all));
}

static double
true_key(const Bench *b, const float *q, const float *x)
{
	if (b->metric == OMEN_METRIC_L2)
		return omen_kernels->l2_squared_f32(q, x, b->dims);
	return (b->metric == OMEN_METRIC_COSINE) - omen_kernels->inner_product_f32(q, x, b->dims);
}

static void
code_keys(const Bench *b, const OmenQuery *query, float *keys)
{
	const void *factors[BATCH];
	const uint8 *codes[BATCH];

	for (uint32 k = 0; k < b->n; k += BATCH)
	{
		int			n = Min(b->n - k, BATCH);

		for (int i = 0; i < n; i++)
		{
			factors[i] = b->factors + (size_t) (k + i) * b->codec.factor_bytes;
			codes[i] = b->codes + (size_t) (k + i) * b->codec.code_bytes;
		}
		b->codec.keys(&b->codec, query, n, factors, codes, keys + k);
	}
}

static void
sketch_keys(const Bench *b, const OmenSketchQuery *query, float *keys)
{
	const uint8 *records[BATCH];

	for (uint32 k = 0; k < b->n; k += BATCH)
	{
		int			n = Min(b->n - k, BATCH);

		for (int i = 0; i < n; i++)
			records[i] = b->records + (size_t) (k + i) * b->sketch.sketch_bytes;
		b->sketch.keys(&b->sketch, query, n, records, keys + k);
	}
}

static void
measure_recall(const Bench *b)
{
	float	   *exact = get_zeroed(sizeof(float) * b->n);
	float	   *coded = get_zeroed(sizeof(float) * b->n);
	float	   *estimated = get_zeroed(sizeof(float) * b->n);
	Found	   *all = get_zeroed(sizeof(Found) * 4096);
	OmenQuery  *query = get_zeroed(b->codec.query_bytes);
	OmenSketchQuery *squery = get_zeroed(b->sketch.query_bytes);
	Found		truth[RECALL_AT];
	Found		kept[MAX_KEPT];
	double		found[N_OVERSAMPLING] = {0};
	double		found_plain = 0;
	double		error = 0;
	double		error_sq = 0;
	double		claimed_sq = 0;
	double		key_sum = 0;
	double		within[3] = {0};

	for (uint32 j = 0; j < b->n_queries; j++)
	{
		const float *q = b->queries + (size_t) j * b->dims;

		for (uint32 i = 0; i < b->n; i++)
			exact[i] = (float) true_key(b, q, b->base + (size_t) i * b->dims);
		b->codec.query_from_vector(&b->codec, query, q);
		b->sketch.query_from_vector(&b->sketch, b->model, squery, q);
		code_keys(b, query, coded);
		sketch_keys(b, squery, estimated);
		select_least(exact, b->n, all, RECALL_AT, truth);
		select_least(estimated, b->n, all, MAX_KEPT, kept);

		for (int i = 0; i < RECALL_AT; i++)
			found_plain += exact[kept[i].id] <= truth[RECALL_AT - 1].key;
		for (int o = 0; o < N_OVERSAMPLING; o++)
		{
			Found		ranked[MAX_KEPT];
			int			n = RECALL_AT << o;

			for (int i = 0; i < n; i++)
				ranked[i] = (Found) {coded[kept[i].id], kept[i].id};
			qsort(ranked, n, sizeof(Found), compare_found);
			for (int i = 0; i < RECALL_AT; i++)
				found[o] += exact[ranked[i].id] <= truth[RECALL_AT - 1].key;
		}

		for (uint32 i = 0; i < b->n; i++)
		{
			double		diff = estimated[i] - exact[i];

			error += diff;
			error_sq += diff * diff;
			key_sum += fabs(exact[i]);
			if (b->sketch.key_error != NULL)
			{
				double		claimed = b->sketch.key_error(&b->sketch, squery,
														  b->records + (size_t) i * b->sketch.sketch_bytes);

				claimed_sq += claimed * claimed;
				for (int w = 0; w < 3; w++)
					within[w] += fabs(diff) <= (w + 1) * claimed;
			}
		}
	}
	printf("recall@10 plain %.4f, of", found_plain / RECALL_AT / b->n_queries);
	for (int o = 0; o < N_OVERSAMPLING; o++)
		printf(" %d: %.4f", RECALL_AT << o, found[o] / RECALL_AT / b->n_queries);
	{
		double		n = (double) b->n * b->n_queries;

		printf("\nkeys: mean %.4g, bias %.3g, error %.4g, claimed %.4g, within 1, 2, 3 of it %.3f %.4f %.5f\n",
			   key_sum / n, error / n, sqrt(error_sq / n), sqrt(claimed_sq / n), within[0] / n,
			   within[1] / n, within[2] / n);
	}
}

/* ---------- speed ---------- */

static volatile float sink;

/* Nanoseconds a key over records at random places among `spread`. */
static double
time_keys(const Bench *b, bool by_sketch, uint32 spread)
{
	OmenQuery  *query = get_zeroed(b->codec.query_bytes);
	OmenSketchQuery *squery = get_zeroed(b->sketch.query_bytes);
	float		keys[BATCH];
	double		best = INFINITY;
	uint32		state = 1;
	int			n_batches = 20000;

	b->codec.query_from_vector(&b->codec, query, b->queries);
	b->sketch.query_from_vector(&b->sketch, b->model, squery, b->queries);
	for (int repeat = 0; repeat < 5; repeat++)
	{
		double		start = now();

		for (int batch = 0; batch < n_batches; batch++)
		{
			const void *factors[BATCH];
			const uint8 *codes[BATCH];

			for (int i = 0; i < BATCH; i++)
			{
				uint32		at;

				state = state * 1664525 + 1013904223;
				at = (uint32) ((uint64) state * spread >> 32);
				if (by_sketch)
				{
					codes[i] = b->records + (size_t) at * b->sketch.sketch_bytes;
					for (uint32 byte = 0; byte < b->sketch.sketch_bytes; byte += 64)
						__builtin_prefetch(codes[i] + byte);
					continue;
				}
				factors[i] = b->factors + (size_t) at * b->codec.factor_bytes;
				codes[i] = b->codes + (size_t) at * b->codec.code_bytes;
				__builtin_prefetch(factors[i]);
				for (uint32 byte = 0; byte < b->codec.code_bytes; byte += 64)
					__builtin_prefetch(codes[i] + byte);
			}
			if (by_sketch)
				b->sketch.keys(&b->sketch, squery, BATCH, codes, keys);
			else
				b->codec.keys(&b->codec, query, BATCH, factors, codes, keys);
			sink = keys[0];
		}
		best = Min(best, now() - start);
	}
	free(query);
	free(squery);
	return best / n_batches / BATCH * 1e9;
}

static double
time_query(const Bench *b)
{
	OmenSketchQuery *squery = get_zeroed(b->sketch.query_bytes);
	double		best = INFINITY;

	for (int repeat = 0; repeat < 5; repeat++)
	{
		double		start = now();

		for (int i = 0; i < 200; i++)
			b->sketch.query_from_vector(&b->sketch, b->model, squery,
										b->queries + (size_t) (i % b->n_queries) * b->dims);
		best = Min(best, now() - start);
	}
	free(squery);
	return best / 200 * 1e6;
}

static void
measure_speed(const Bench *b)
{
	const OmenKernels *const *tables;
	int			n_tables = omen_kernels_available(&tables);

	for (int t = 0; t < n_tables; t++)
	{
		omen_kernels_select(tables[t]->name);
		printf("%-7s ns a key: sketch %6.1f, code %6.1f in the cache; %6.1f, %6.1f in memory; query %.1f us\n",
			   tables[t]->name, time_keys(b, true, 16), time_keys(b, false, 16),
			   time_keys(b, true, b->n), time_keys(b, false, b->n), time_query(b));
	}
}

int
main(int argc, char **argv)
{
	Bench		b = {0};
	const char *metric = option(argc, argv, "metric", "l2");
	const char *kind = option(argc, argv, "kind", "low_bit");
	uint32		bits = atoi(option(argc, argv, "bits", "1"));
	uint32		subvectors = atoi(option(argc, argv, "subvectors", "0"));
	bool		speed = atoi(option(argc, argv, "speed", "1")) != 0;
	OmenSketchKind sketch_kind;

	omen_kernels_select("auto");
	b.metric = strcmp(metric, "l2") == 0 ? OMEN_METRIC_L2 :
		strcmp(metric, "ip") == 0 ? OMEN_METRIC_IP : OMEN_METRIC_COSINE;
	sketch_kind = strcmp(kind, "low_bit") == 0 ? OMEN_SKETCH_LOW_BIT :
		strcmp(kind, "binary") == 0 ? OMEN_SKETCH_BINARY : OMEN_SKETCH_PRODUCT;
	b.dims = atoi(option(argc, argv, "dims", "128")) * atoi(option(argc, argv, "join", "1"));
	b.n = atoi(option(argc, argv, "n", "0"));
	b.n_queries = atoi(option(argc, argv, "queries", "200"));
	b.base = read_floats(option(argc, argv, "base", ""), b.dims, b.metric == OMEN_METRIC_COSINE, &b.n);
	b.queries = read_floats(option(argc, argv, "query", ""), b.dims, b.metric == OMEN_METRIC_COSINE,
							&b.n_queries);
	if (!omen_sketch_admits(sketch_kind, b.metric, b.dims, bits, subvectors))
	{
		fprintf(stderr, "no such sketch\n");
		return 2;
	}
	omen_sketch_init(&b.sketch, sketch_kind, b.metric, b.dims, bits, subvectors);
	printf("%s, %u bits, %u sub-vectors, %s, %u x %u, %u queries\n", kind, bits, subvectors, metric,
		   b.n, b.dims, b.n_queries);
	make_codes(&b);
	make_sketches(&b);
	measure_recall(&b);
	if (speed)
		measure_speed(&b);
	return 0;
}
