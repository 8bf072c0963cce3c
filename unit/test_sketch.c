/*-------------------------------------------------------------------------
 *
 * test_sketch.c
 *	  Sketches of all kinds: estimates, their errors, and equal bits with every kernel.
 *
 * Vectors to hurt (constants, zeros, outliers, the largest and the least floats) must give keys
 * that are numbers, the same with every kernel, however many are asked for at
 * a time.  On ordinary vectors estimates must be unbiased, err as they
 * claim, and find neighbours.  Hashes of what is written and of keys
 * keep the format and the definition as they are, on every machine.
 *
 * If the environment variable OMEN_DATA names a folder with real data
 * (deb_b.f16.npy, see bench/), errors are also tested on that.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/quant/rotation.h"
#include "src/quant/sketch.h"
#include "unit/test_hash.h"
#include "unit/test_memory.h"
#include "unit/test_random.h"

/* The server's own are not linked into this program. */
#undef printf
#undef snprintf
#undef qsort

#define MAX_REPORTS 20

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, const OmenSketch *s, double found, double expected)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: %s, kind %d, metric %d, %u dimensions, %u bits, %u sub-vectors: %.17g, expected %.17g\n",
			   what, omen_kernels->name, s->kind, s->metric, s->dims, s->bits, s->subvectors,
			   found, expected);
}

/* ---------- vectors ---------- */

typedef enum Data
{
	DATA_NORMAL,
	DATA_CLUSTERS,				/* of unequal size, off the origin */
	DATA_CONSTANT,
	DATA_ZERO,
	DATA_OUTLIERS,				/* a few very long ones */
	DATA_HUGE,
	DATA_TINY,
	DATA_FEW_VALUES,			/* many equal vectors */
	N_DATA
} Data;

static float
component(Data data, uint32 vector, uint32 at)
{
	switch (data)
	{
		case DATA_NORMAL:
			return (float) next_sum(6);
		case DATA_CLUSTERS:
			return (float) (3.0 + ((vector % 7 * 13 + at * 29) % 17 / 8.0 - 1.0) * (1 + vector % 3) + 0.3 * next_sum(3));
		case DATA_CONSTANT:
			return 5.25f;
		case DATA_ZERO:
			return 0.0f;
		case DATA_OUTLIERS:
			return (float) (next_sum(3) * (vector % 37 == 5 ? 1e6 : 1.0));
		case DATA_HUGE:
			return (next_random() & 1) ? FLT_MAX : -FLT_MAX;
		case DATA_TINY:
			return (float) (next_sum(3) * 1e-41);
		default:
			return (float) (vector % 3) - (float) (at % 2);
	}
}

static float *
make_vectors(Data data, OmenMetric metric, uint32 n, uint32 dims)
{
	float	   *x = get_dirty(sizeof(float) * n * dims);

	for (uint32 v = 0; v < n; v++)
	{
		float	   *vector = x + (size_t) v * dims;
		double		norm_sq = 0;

		for (uint32 i = 0; i < dims; i++)
		{
			vector[i] = component(data, v, i);
			norm_sq += (double) vector[i] * vector[i];
		}
		for (uint32 i = 0; metric == OMEN_METRIC_COSINE && norm_sq > 0 && i < dims; i++)
			vector[i] = (float) (vector[i] / sqrt(norm_sq));
	}
	return x;
}

static double
true_key(OmenMetric metric, const float *a, const float *b, uint32 dims)
{
	double		sum = 0;

	for (uint32 i = 0; i < dims; i++)
	{
		double		diff = (double) a[i] - b[i];

		sum += metric == OMEN_METRIC_IP ? -(double) a[i] * b[i] : diff * diff;
	}
	return metric == OMEN_METRIC_COSINE ? sum / 2 : sum;
}

/* ---------- sketches of a set ---------- */

typedef struct Set
{
	OmenSketch	sketch;
	uint32		n;
	float	   *x;
	void	   *model;
	uint8	  **records;		/* each in memory of its own, so that sanitizers see where it ends */
	OmenSketchQuery *query;
} Set;

static long n_ticks;

static void
count_tick(void *arg)
{
	(*(long *) arg)++;
}

static void
set_make(Set *set, const OmenSketch *sketch, uint32 n, float *x)
{
	OmenSketchSample sample = {.n = Min(n, sketch->sample_max),.x = x,.tick = count_tick,.tick_arg = &n_ticks};
	long		n_before = n_ticks;
	void	   *scratch = get_dirty(Max(sketch->train_scratch_bytes, sketch->encode_scratch_bytes));

	set->sketch = *sketch;
	set->n = n;
	set->x = x;
	set->model = get_dirty(sketch->model_bytes);
	set->records = get_dirty(sizeof(uint8 *) * n);
	set->query = get_dirty(sketch->query_bytes);
	memset(set->model, 0, sketch->model_bytes);
	/* backwards: the order of the parts is free */
	for (uint32 part = sketch->train_parts; part > 0; part--)
		sketch->train(sketch, part - 1, &sample, set->model, scratch);
	check(n_ticks > n_before, "ticks", sketch, n_ticks, n_before + 1);
	for (uint32 v = 0; v < n; v++)
	{
		set->records[v] = malloc(sketch->sketch_bytes);
		memset(set->records[v], v & 1 ? 0xff : 0, sketch->sketch_bytes);
		sketch->encode(sketch, set->model, x + (size_t) v * sketch->dims, set->records[v], scratch);
	}
	free(scratch);
}

static void
set_free(Set *set)
{
	for (uint32 v = 0; v < set->n; v++)
		free(set->records[v]);
	free(set->records);
	free(set->model);
	free(set->query);
	free(set->x);
}

static void
set_query(Set *set, const float *q)
{
	memset(set->query, 0x77, set->sketch.query_bytes);
	set->sketch.query_from_vector(&set->sketch, set->model, set->query, q);
}

static void
set_keys(const Set *set, uint32 from, uint32 n, float *keys)
{
	set->sketch.keys(&set->sketch, set->query, n, (const uint8 *const *) set->records + from, keys);
}

/* ---------- every kernel, any data ---------- */

/*
 * Keys of a set with every kernel, all at once and in groups: numbers, with equal bits.  Returns a
 * hash of model, records and keys.
 */
static uint64
check_kernels(const OmenSketch *sketch, Data data, uint32 n)
{
	const OmenKernels *const *tables;
	int			n_tables = omen_kernels_available(&tables);
	uint64		state = random_state;
	uint64		first_hash = 0;
	float	   *first = get_dirty(sizeof(float) * n);
	float	   *keys = get_dirty(sizeof(float) * n);

	for (int t = 0; t < n_tables; t++)
	{
		Set			set;
		uint64		hash = HASH_START;

		omen_kernels_select(tables[t]->name);
		random_state = state;
		set_make(&set, sketch, n, make_vectors(data, sketch->metric, n, sketch->dims));
		hash = hash_bytes_after(hash, set.model, sketch->model_bytes);
		for (uint32 v = 0; v < n; v++)
			hash = hash_bytes_after(hash, set.records[v], sketch->sketch_bytes);

		for (uint32 q = 0; q < n; q += 11)
		{
			set_query(&set, set.x + (size_t) q * sketch->dims);
			set_keys(&set, 0, n, first);
			for (uint32 v = 0; v < n; v++)
				check(!isnan(first[v]), "key is a number", sketch, first[v], 0);
			hash = hash_bytes_after(hash, first, sizeof(float) * n);
			for (uint32 from = 0, size = 1; from < n; from += size, size++)
				set_keys(&set, from, Min(size, n - from), keys + from);
			check(memcmp(first, keys, sizeof(float) * n) == 0, "keys in groups are the same", sketch, 0, 0);
		}
		if (t == 0)
			first_hash = hash;
		check(hash == first_hash, "kernels agree", sketch, (double) hash, (double) first_hash);
		set_free(&set);
	}
	free(first);
	free(keys);
	return first_hash;
}

typedef struct Shape
{
	OmenSketchKind kind;
	uint32		bits;
	uint32		part_dims;		/* of product, dimensions to a sub-vector */
} Shape;

static const Shape shapes[] = {
	{OMEN_SKETCH_LOW_BIT, 1, 0},
	{OMEN_SKETCH_LOW_BIT, 2, 0},
	{OMEN_SKETCH_LOW_BIT, 4, 0},
	{OMEN_SKETCH_BINARY, 1, 0},
	{OMEN_SKETCH_PRODUCT, 4, 2},
	{OMEN_SKETCH_PRODUCT, 8, 5}
};

static const OmenMetric metrics[] = {OMEN_METRIC_L2, OMEN_METRIC_IP, OMEN_METRIC_COSINE};

static void
shape_sketch(OmenSketch *sketch, const Shape *shape, OmenMetric metric, uint32 dims)
{
	uint32		subvectors = shape->part_dims == 0 ? 0 : Max(dims / shape->part_dims, 1);

	if (!omen_sketch_admits(shape->kind, metric, dims, shape->bits, subvectors))
	{
		printf("kind %d is not admitted\n", shape->kind);
		exit(1);
	}
	omen_sketch_init(sketch, shape->kind, metric, dims, shape->bits, subvectors);
	check(sketch->sketch_bytes % 4 == 0 && sketch->model_bytes % 4 == 0 && sketch->query_bytes % 64 == 0,
		  "sizes are multiples", sketch, sketch->sketch_bytes, 4);
}

static void
check_all_kernels(void)
{
	static const uint32 dims_tested[] = {1, 2, 3, 7, 33, 100, 128, 384, 1000};
	static const uint64 expected = UINT64CONST(0xbfc8827f56931c28);
	uint64		hash = 0;

	for (size_t k = 0; k < lengthof(shapes); k++)
	{
		for (size_t m = 0; m < lengthof(metrics); m++)
		{
			OmenSketch	sketch;

			for (size_t d = 0; d < lengthof(dims_tested); d++)
			{
				/* k-means of many entries takes its time */
				if (shapes[k].bits == 8 && dims_tested[d] > 33)
					continue;
				shape_sketch(&sketch, &shapes[k], metrics[m], dims_tested[d]);
				for (int data = 0; data < N_DATA; data++)
				{
					uint64		one = check_kernels(&sketch, data, dims_tested[d] > 200 ? 13 : 37);

					hash = hash_bytes_after(hash, &one, sizeof(one));
				}
			}
			/* the most dimensions: sums must fit */
			if (shapes[k].bits == 8)
				continue;
			shape_sketch(&sketch, &shapes[k], metrics[m], OMEN_MAX_DIMS);
			check_kernels(&sketch, DATA_CLUSTERS, 9);
			check_kernels(&sketch, DATA_HUGE, 9);
		}
	}
	if (hash != expected)
	{
		printf("models, records or keys have changed: hash 0x%llx, expected 0x%llx\n",
			   (unsigned long long) hash, (unsigned long long) expected);
		n_failed++;
	}
}

/* Sub-vectors of a few kinds, whose distances no float can hold: clusters are split all the same. */
static void
check_far_apart(void)
{
	for (uint32 bits = 4; bits <= 8; bits += 4)
	{
		enum { n = 600, dims = 8 };
		OmenSketch	sketch;
		Set			set;
		float	   *x = get_dirty(sizeof(float) * n * dims);
		float		keys[n];
		uint32		n_finite = 0;

		omen_sketch_init(&sketch, OMEN_SKETCH_PRODUCT, OMEN_METRIC_L2, dims, bits, dims / 4);
		for (uint32 i = 0; i < n * dims; i++)
			x[i] = ((float) (next_random() % 3) - 1.0f) * 1e23f;
		set_make(&set, &sketch, n, x);
		for (uint32 i = 0; i < sketch.model_bytes / sizeof(float); i++)
			n_finite += isfinite(((float *) set.model)[i]);
		check(n_finite == sketch.model_bytes / sizeof(float), "finite numbers in a model", &sketch,
			  n_finite, sketch.model_bytes / sizeof(float));
		set_query(&set, x);
		set_keys(&set, 0, n, keys);
		for (uint32 v = 0; v < n; v++)
			check(!isnan(keys[v]), "key is a number", &sketch, keys[v], 0);
		set_free(&set);
	}
}

/* The largest products: no sum on the way may overflow or saturate. */
static void
check_extremes(void)
{
	const OmenKernels *const *tables;
	int			n_tables = omen_kernels_available(&tables);
	uint8	   *record = get_dirty(sizeof(OmenLowBitRecord) + OMEN_MAX_DIMS);
	const uint8 *records[] = {record, record, record, record, record};
	int8	   *planes = get_dirty(8 * OMEN_PLANE_STRIDE(OMEN_MAX_DIMS / 2));
	OmenSketch	sketch = {.kind = OMEN_SKETCH_LOW_BIT};

	memset(record, 0xff, sizeof(OmenLowBitRecord) + OMEN_MAX_DIMS);
	((OmenLowBitRecord *) record)->rescale = 1;
	for (sketch.bits = 1; sketch.bits <= 4; sketch.bits *= 2)
	{
		uint32		max_bytes = OMEN_MAX_DIMS * sketch.bits / 8;

		for (uint32 n_bytes = 4; n_bytes <= max_bytes; n_bytes += n_bytes < 300 ? 4 : 100)
		{
			for (int t = 0; t < 2 * n_tables; t++)
			{
				OmenLowBitQuery query = {.dot_scale = -1.0};
				int8		value = t % 2 ? 127 : -127;
				float		expected = (float) (2.0 * value * ((1 << sketch.bits) - 1) * n_bytes * (8 / sketch.bits));
				float		keys[lengthof(records)];

				memset(planes, value, 8 / sketch.bits * OMEN_PLANE_STRIDE(n_bytes));
				omen_kernels = tables[t / 2];
				sketch.dims = n_bytes * 8 / sketch.bits;
				omen_kernels->sketch->low_bit_keys(&query, planes, n_bytes, sketch.bits,
												   lengthof(records), records, keys);
				for (size_t k = 0; k < lengthof(records); k++)
					check(keys[k] == expected, "largest products", &sketch, keys[k], expected);
			}
		}
	}
	free(record);
	free(planes);
}

/* Infinities and what is no number, which only damage can bring: no key is promised, but an end, and no byte beyond. */
static void
check_damaged(void)
{
	static const float values[] = {INFINITY, -INFINITY, NAN};
	const uint32 n = 40;
	const uint32 dims = 20;

	for (size_t k = 0; k < lengthof(shapes); k++)
	{
		for (size_t m = 0; m < lengthof(metrics); m++)
		{
			float	   *x = make_vectors(DATA_NORMAL, metrics[m], n, dims);
			float	   *keys = get_dirty(sizeof(float) * n);
			OmenSketch	sketch;
			Set			set;

			for (uint32 v = 0; v < n; v += 3)
				x[v * dims + v % dims] = values[v % lengthof(values)];
			for (uint32 i = 0; i < dims; i++)
				x[i] = values[i % lengthof(values)];
			shape_sketch(&sketch, &shapes[k], metrics[m], dims);
			set_make(&set, &sketch, n, x);
			for (uint32 q = 0; q < 3; q++)
			{
				set_query(&set, x + q * dims);
				set_keys(&set, 0, n, keys);
			}
			n_passed++;
			set_free(&set);
			free(keys);
		}
	}
}

/* ---------- estimates ---------- */

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

	return x->key < y->key ? -1 : x->key > y->key;
}

/* Of the n_near nearest, the part that is among the n_kept of least keys. */
static double
recall_of(const float *exact, const float *keys, uint32 n, uint32 n_near, uint32 n_kept)
{
	Found	   *by_key = get_dirty(sizeof(Found) * n);
	Found	   *by_distance = get_dirty(sizeof(Found) * n);
	uint32		n_found = 0;

	for (uint32 v = 0; v < n; v++)
	{
		by_key[v] = (Found) {keys[v], v};
		by_distance[v] = (Found) {exact[v], v};
	}
	qsort(by_key, n, sizeof(Found), compare_found);
	qsort(by_distance, n, sizeof(Found), compare_found);
	for (uint32 i = 0; i < n_kept; i++)
		n_found += exact[by_key[i].id] <= by_distance[n_near - 1].key;
	free(by_key);
	free(by_distance);
	return (double) Min(n_found, n_near) / n_near;
}

#define N_QUERIES 50

typedef struct Quality
{
	double		bias;			/* mean error, in claimed standard deviations; in keys' spread if none is claimed */
	double		ratio;			/* of the error to the claimed one */
	double		beyond;			/* part of the estimates that err by more than 3 times what is claimed */
	double		recall;			/* of 10 among 40 */
} Quality;

static Quality
measure(Set *set, uint32 n_queries)
{
	const OmenSketch *s = &set->sketch;
	uint32		n = set->n - n_queries;
	float	   *exact = get_dirty(sizeof(float) * n);
	float	   *keys = get_dirty(sizeof(float) * n);
	double		n_all = (double) n * n_queries;
	double		errors = 0;
	double		errors_sq = 0;
	double		claims_sq = 0;
	Quality		quality = {0};

	/* queries are the last ones */
	for (uint32 q = n; q < set->n; q++)
	{
		const float *vector = set->x + (size_t) q * s->dims;

		set_query(set, vector);
		set_keys(set, 0, n, keys);
		for (uint32 v = 0; v < n; v++)
		{
			double		error;

			exact[v] = (float) true_key(s->metric, vector, set->x + (size_t) v * s->dims, s->dims);
			error = (double) keys[v] - exact[v];
			errors += error;
			errors_sq += error * error;
			if (s->key_error != NULL)
			{
				double		claim = s->key_error(s, set->query, set->records[v]);

				claims_sq += claim * claim;
				quality.beyond += (fabs(error) > 3 * claim) / n_all;
			}
		}
		quality.recall += recall_of(exact, keys, n, 10, 40) / n_queries;
	}
	if (s->key_error != NULL)
	{
		quality.bias = errors / n_all / sqrt(claims_sq / n_all);
		quality.ratio = sqrt(errors_sq / claims_sq);
	}
	else
		quality.bias = errors / sqrt(errors_sq * n_all);
	free(exact);
	free(keys);
	return quality;
}

/* A record's own vector is estimated far better than others: what the code is off is at right angles to it. */
static void
check_nearest(Set *set)
{
	const OmenSketch *s = &set->sketch;

	for (uint32 v = 0; v < N_QUERIES; v++)
	{
		const float *vector = set->x + (size_t) v * s->dims;
		double		claim;
		float		key;

		set_query(set, vector);
		set_keys(set, v, 1, &key);
		claim = s->key_error(s, set->query, set->records[v]);
		check(fabs(key - true_key(s->metric, vector, vector, s->dims)) < 0.4 * claim, "key to itself", s,
			  key, true_key(s->metric, vector, vector, s->dims));
	}
}

#define N_QUALITY 2000

static void
check_estimates_of(const OmenSketch *sketch, float *x, uint32 n, double least_recall)
{
	Set			set;
	Quality		quality;

	set_make(&set, sketch, n, x);
	quality = measure(&set, N_QUERIES);
	check(fabs(quality.bias) < 0.1, "unbiased", sketch, quality.bias, 0);
	check(quality.recall >= least_recall, "recall", sketch, quality.recall, least_recall);
	if (sketch->kind == OMEN_SKETCH_LOW_BIT)
	{
		check_nearest(&set);
		check(quality.ratio > 0.9 && quality.ratio < 1.1, "error as claimed", sketch, quality.ratio, 1);
		check(quality.beyond < 0.006, "errors beyond three times the claim", sketch, quality.beyond, 0.0027);
	}
	set_free(&set);
}

static void
check_estimates(void)
{
	static const double least_recall[] = {0.6, 0.8, 0.99, 0.6, 0.6, 0.6};

	for (size_t k = 0; k < lengthof(shapes); k++)
	{
		for (size_t m = 0; m < lengthof(metrics); m++)
		{
			for (uint32 dims = 96; dims <= 480; dims += 192)
			{
				OmenSketch	sketch;

				if (shapes[k].kind == OMEN_SKETCH_PRODUCT && dims > 96)
					continue;
				shape_sketch(&sketch, &shapes[k], metrics[m], dims);
				check_estimates_of(&sketch, make_vectors(DATA_NORMAL, metrics[m], N_QUALITY, dims), N_QUALITY,
								   least_recall[k]);
			}
		}
	}
}

/* ---------- real data ---------- */

#define REAL_DIMS 384
#define N_REAL 10000

static void
check_real(const char *folder)
{
	static const double least_recall[] = {0.9, 0.95, 0.98, 0.9, 0.9, 0.9};
	char		name[4096];
	uint16		header_bytes;
	FILE	   *file;
	OmenHalf   *halves = get_dirty(sizeof(OmenHalf) * REAL_DIMS * N_REAL);

	snprintf(name, sizeof(name), "%s/deb_b.f16.npy", folder);
	file = fopen(name, "rb");
	if (file == NULL || fseek(file, 8, SEEK_SET) != 0 ||
		fread(&header_bytes, sizeof(header_bytes), 1, file) != 1 ||
		fseek(file, 10 + header_bytes, SEEK_SET) != 0 ||
		fread(halves, sizeof(OmenHalf) * REAL_DIMS, N_REAL, file) != N_REAL)
	{
		printf("could not read %s\n", name);
		n_failed++;
		return;
	}
	fclose(file);
	for (size_t k = 0; k < lengthof(shapes); k++)
	{
		OmenSketch	sketch;
		float	   *x = get_dirty(sizeof(float) * REAL_DIMS * N_REAL);

		omen_kernels->half->widen(halves, x, REAL_DIMS * N_REAL);
		shape_sketch(&sketch, &shapes[k], OMEN_METRIC_COSINE, REAL_DIMS);
		check_estimates_of(&sketch, x, N_REAL, least_recall[k]);
	}
	free(halves);
}

/* ---------- parts ---------- */

static void
check_factors(void)
{
	uint32		before = 0;

	for (uint32 factor = 0; factor <= 0xffff; factor++)
	{
		uint32		value = omen_factor_value(factor);
		bool		ok = (factor == 0 || value > before) && omen_factor_nearest(value) == factor;

		/* halfway to the one before goes to either, what is nearer to this */
		if (factor > 0)
			ok = ok && omen_factor_nearest(value - 0.49 * (value - before)) == factor;
		before = value;
		if (ok)
			n_passed++;
		else if (n_failed++ < MAX_REPORTS)
			printf("factor %u is %u, and that %u\n", factor, value, omen_factor_nearest(value));
	}
	if (before != OMEN_FACTOR_MAX || omen_factor_value(0x7fff) != OMEN_SIGNED_FACTOR_MAX)
	{
		printf("greatest factors %u, %u\n", before, omen_factor_value(0x7fff));
		n_failed++;
	}
}

/* Rotations keep inner products, and spread a vector of one component. */
static void
check_rotation(void)
{
	static const uint32 dims_tested[] = {1, 2, 3, 5, 64, 100, 384, 1000, 1024, 1536};

	for (size_t d = 0; d < lengthof(dims_tested); d++)
	{
		uint32		n = dims_tested[d];
		float	   *a = make_vectors(DATA_NORMAL, OMEN_METRIC_COSINE, 1, n);
		float	   *b = make_vectors(DATA_NORMAL, OMEN_METRIC_COSINE, 1, n);
		float	   *unit = get_dirty(sizeof(float) * n);
		double		before = true_key(OMEN_METRIC_L2, a, b, n);
		double		after;
		float		largest = 0;

		omen_rotate(a, n);
		omen_rotate(b, n);
		after = true_key(OMEN_METRIC_L2, a, b, n);
		if (fabs(after - before) > 1e-5)
		{
			printf("rotation of %u components: distance %g, %g before\n", n, after, before);
			n_failed++;
		}
		memset(unit, 0, sizeof(float) * n);
		unit[n / 3] = 1;
		omen_rotate(unit, n);
		for (uint32 i = 0; i < n; i++)
			largest = Max(largest, fabsf(unit[i]));
		if (n >= 64 && largest > 6 / sqrt(n))
		{
			printf("rotation of %u components does not spread: %g\n", n, largest);
			n_failed++;
		}
		n_passed += 2;
		free(a);
		free(b);
		free(unit);
	}
}

static void
check_admits(void)
{
	bool		ok = !omen_sketch_admits(OMEN_SKETCH_LOW_BIT, OMEN_METRIC_L1, 8, 1, 0) &&
		!omen_sketch_admits(OMEN_SKETCH_LOW_BIT, OMEN_METRIC_L2, 8, 3, 0) &&
		!omen_sketch_admits(OMEN_SKETCH_LOW_BIT, OMEN_METRIC_L2, 0, 1, 0) &&
		!omen_sketch_admits(OMEN_SKETCH_BINARY, OMEN_METRIC_L2, 8, 2, 0) &&
		!omen_sketch_admits(OMEN_SKETCH_PRODUCT, OMEN_METRIC_L2, 8, 4, 9) &&
		!omen_sketch_admits(OMEN_SKETCH_PRODUCT, OMEN_METRIC_L2, 8, 4, 0) &&
		!omen_sketch_admits(OMEN_SKETCH_NONE, OMEN_METRIC_L2, 8, 1, 0) &&
		omen_sketch_admits(OMEN_SKETCH_PRODUCT, OMEN_METRIC_IP, OMEN_MAX_DIMS, 8, OMEN_MAX_DIMS);

	if (ok)
		n_passed++;
	else
	{
		printf("shapes that are admitted\n");
		n_failed++;
	}
}

int
main(void)
{
	check_admits();
	check_factors();
	check_rotation();
	check_extremes();
	check_all_kernels();
	check_damaged();
	omen_kernels_select("auto");
	check_estimates();
	check_far_apart();
	if (getenv("OMEN_DATA") != NULL)
		check_real(getenv("OMEN_DATA"));
	printf("test_sketch: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
