/*-------------------------------------------------------------------------
 *
 * sketch_product.c
 *	  Sketches of the nearest entries of codebooks.
 *
 * After Jegou, Douze & Schmid, "Product quantization for nearest neighbor
 * search" (PAMI 2011): a vector is cut into sub-vectors, each with a codebook of its own
 * of 16 or 256 entries, found by k-means.  A query makes a table for each sub-vector of what it has to do with
 * each entry, and a key is a sum over tables.
 *
 * Tables are rounded to bytes, in one step for all, so that sums are integers: the same on every machine and
 * looked up many at a time (Andre et al., "Cache locality is not enough:
 * high-performance nearest neighbor search with product quantization fast scan", VLDB 2015).
 *
 * What an entry is off is at right angles to it on average over the vectors that it stands for, so a squared
 * distance is underestimated by the mean squared error, which is added.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/sketch_internal.h"

#include <float.h>
#include <math.h>

/*
 * Vectors to learn from, for each entry.  Of 8 bits there are fewer: time and room are as the
 * product.
 */
#define SAMPLES_PER_ENTRY_4 256
#define SAMPLES_PER_ENTRY_8 32

#define N_ITERATIONS 10

/* Products between two ticks, about. */
#define TICK_PRODUCTS (1 << 22)

/* Written into pages as it is (struct of the format, version 1). */
typedef struct ProductModel
{
	float		unused[4];		/* zero */
} ProductModel;

/*
 * Behind it: the mean squared error of each sub-vector (subvectors floats), then the codebooks:
 * component i of entry k is number i * entries + k.
 */

/* Head of a query; the tables follow, then room for what they are made of. */
typedef struct ProductQuery
{
	OmenProductQuery common;	/* what keys depend on */
} ProductQuery;

#define PRODUCT_QUERY_HEAD 64

StaticAssertDecl(sizeof(ProductQuery) <= PRODUCT_QUERY_HEAD, "head of a product query");

static inline uint32
product_entries(const OmenSketch *sketch)
{
	return 1U << sketch->bits;
}

/* The first component of a sub-vector: they are equally long, but to one. */
static inline uint32
product_begin(const OmenSketch *sketch, uint32 part)
{
	return (uint32) ((uint64) part * sketch->dims / sketch->subvectors);
}

static inline uint32
product_length(const OmenSketch *sketch, uint32 part)
{
	return product_begin(sketch, part + 1) - product_begin(sketch, part);
}

static inline const float *
product_errors(const void *model)
{
	return (const float *) ((const ProductModel *) model + 1);
}

static inline const float *
product_codebook(const OmenSketch *sketch, const void *model, uint32 part)
{
	return product_errors(model) + sketch->subvectors +
		(size_t) product_begin(sketch, part) * product_entries(sketch);
}

/* Tables of a query, an even number where two share a byte. */
static inline size_t
product_table_bytes(const OmenSketch *sketch)
{
	return (size_t) sketch->sketch_bytes * 8 / sketch->bits * product_entries(sketch);
}

/* ---------- codebooks ---------- */

/*
 * The least or the greatest of n numbers, a multiple of 16: in lanes that are folded by halves, of
 * which compilers make vectors.
 */
#define DEFINE_EXTREME(name, better) \
static float \
name(const float *x, uint32 n) \
{ \
	float		best[OMEN_LANES]; \
	\
	memcpy(best, x, sizeof(best)); \
	for (uint32 k = OMEN_LANES; k < n; k += OMEN_LANES) \
	{ \
		for (uint32 lane = 0; lane < OMEN_LANES; lane++) \
			best[lane] = better(x[k + lane], best[lane]); \
	} \
	for (uint32 half = OMEN_LANES / 2; half > 0; half /= 2) \
	{ \
		for (uint32 lane = 0; lane < half; lane++) \
			best[lane] = better(best[lane], best[lane + half]); \
	} \
	return best[0]; \
}

DEFINE_EXTREME(product_least, Min)
DEFINE_EXTREME(product_greatest, Max)

/*
 * The nearest entry to x, the first one of equals; also says how far it is.
 * Distances that damage has made no numbers equal none: then the last one.
 */
static uint32
product_nearest(const float *x, uint32 n, const float *codebook, uint32 n_entries, float *distance_sq)
{
	float		distances[256];
	uint32		nearest = 0;

	omen_kernels->sketch->entries_l2(x, n, codebook, n_entries, distances);
	*distance_sq = product_least(distances, n_entries);
	while (nearest < n_entries - 1 && distances[nearest] != *distance_sq)
		nearest++;
	return nearest;
}

/* What k-means works with: sums and counts of the vectors that are nearest to each entry. */
typedef struct ProductClusters
{
	double	   *sums;			/* as the codebook is laid out */
	double	   *errors;			/* of the vectors of an entry */
	uint32	   *counts;
} ProductClusters;

static ProductClusters
product_clusters(const OmenSketch *sketch, uint32 n_components, void *scratch)
{
	ProductClusters c;
	uint32		n_entries = product_entries(sketch);

	c.sums = scratch;
	c.errors = c.sums + (size_t) n_entries * n_components;
	c.counts = (uint32 *) (c.errors + n_entries);
	return c;
}

static inline size_t
product_clusters_bytes(uint32 n_entries, uint32 n_components)
{
	return n_entries * (n_components * sizeof(double) + sizeof(double) + sizeof(uint32));
}

/* Give each vector to its nearest entry; returns the sum of squared distances. */
static double
product_assign(const OmenSketch *sketch, uint32 part, const OmenSketchSample *sample,
			   const float *codebook, ProductClusters *c)
{
	uint32		n_entries = product_entries(sketch);
	uint32		n_components = product_length(sketch, part);
	uint32		per_tick = Max(TICK_PRODUCTS / (n_entries * n_components), 1);
	double		sum = 0;

	memset(c->sums, 0, product_clusters_bytes(n_entries, n_components));
	for (uint32 v = 0; v < sample->n; v++)
	{
		const float *sub = sample->x + (size_t) v * sketch->dims + product_begin(sketch, part);
		float		distance_sq;
		uint32		nearest = product_nearest(sub, n_components, codebook, n_entries, &distance_sq);

		if (v % per_tick == 0)
			sample->tick(sample->tick_arg);
		for (uint32 i = 0; i < n_components; i++)
			c->sums[i * n_entries + nearest] += sub[i];
		c->errors[nearest] += distance_sq;
		c->counts[nearest]++;
		sum += distance_sq;
	}
	return sum;
}

/* What is farther than floats go is at their end: a codebook is finite, so that distances are numbers. */
static inline float
product_component(double value)
{
	return (float) Min(Max(value, -FLT_MAX), FLT_MAX);
}

/*
 * An entry without vectors takes over half of the cluster that errs most: both begin just beside
 * its mean, one on each side.
 */
static void
product_split(const OmenSketch *sketch, uint32 n_components, uint32 empty, float *codebook, ProductClusters *c)
{
	uint32		n_entries = product_entries(sketch);
	uint32		worst = 0;

	for (uint32 k = 1; k < n_entries; k++)
	{
		if (c->errors[k] > c->errors[worst])
			worst = k;
	}
	/* nothing to part, or beyond what floats can say */
	if (!(c->errors[worst] > 0 && c->errors[worst] < FLT_MAX) || c->counts[worst] < 2)
		return;
	for (uint32 i = 0; i < n_components; i++)
	{
		float		mean = codebook[i * n_entries + worst];
		double		spread = sqrt(c->errors[worst] / c->counts[worst] / n_components) / 4;

		codebook[i * n_entries + empty] = product_component(mean + spread);
		codebook[i * n_entries + worst] = product_component(mean - spread);
	}
	c->errors[worst] /= 2;
	c->errors[empty] = c->errors[worst];
	c->counts[worst] -= c->counts[worst] / 2;
}

/* Move each entry to the mean of its vectors. */
static void
product_update(const OmenSketch *sketch, uint32 n_components, float *codebook, ProductClusters *c)
{
	uint32		n_entries = product_entries(sketch);

	for (uint32 k = 0; k < n_entries; k++)
	{
		for (uint32 i = 0; c->counts[k] > 0 && i < n_components; i++)
			codebook[i * n_entries + k] = (float) (c->sums[i * n_entries + k] / c->counts[k]);
	}
	for (uint32 k = 0; k < n_entries; k++)
	{
		if (c->counts[k] == 0)
			product_split(sketch, n_components, k, codebook, c);
	}
}

/* The codebook of one sub-vector, by Lloyd's iterations from vectors at equal distances in the sample. */
static void
product_train(const OmenSketch *sketch, uint32 part, const OmenSketchSample *sample, void *model,
			  void *scratch)
{
	uint32		n_entries = product_entries(sketch);
	uint32		n_components = product_length(sketch, part);
	float	   *codebook = (float *) product_codebook(sketch, model, part);
	float	   *error = (float *) product_errors(model) + part;
	ProductClusters c = product_clusters(sketch, n_components, scratch);

	Assert(sample->n > 0);
	for (uint32 k = 0; k < n_entries; k++)
	{
		const float *vector = sample->x + (size_t) ((uint64) k * sample->n / n_entries) * sketch->dims;

		for (uint32 i = 0; i < n_components; i++)
			codebook[i * n_entries + k] = vector[product_begin(sketch, part) + i];
	}
	for (int iteration = 0; iteration < N_ITERATIONS; iteration++)
	{
		product_assign(sketch, part, sample, codebook, &c);
		product_update(sketch, n_components, codebook, &c);
	}
	*error = (float) Min(product_assign(sketch, part, sample, codebook, &c) / sample->n, FLT_MAX);
}

static void
product_encode(const OmenSketch *sketch, const void *model, const float *x, uint8 *record,
			   void *scratch pg_attribute_unused())
{
	memset(record, 0, sketch->sketch_bytes);
	for (uint32 part = 0; part < sketch->subvectors; part++)
	{
		float		distance_sq;
		uint32		nearest = product_nearest(x + product_begin(sketch, part),
											  product_length(sketch, part),
											  product_codebook(sketch, model, part),
											  product_entries(sketch), &distance_sq);

		if (sketch->bits == 8)
			record[part] = (uint8) nearest;
		else
			record[part / 2] |= (uint8) (nearest << (part % 2 * 4));
	}
}

/* ---------- queries ---------- */

/* What a query has to do with each entry of each codebook: as in keys, but of sub-vectors. */
static void
product_make_table(const OmenSketch *sketch, const void *model, uint32 part, const float *x, float *table)
{
	const float *sub = x + product_begin(sketch, part);
	const float *codebook = product_codebook(sketch, model, part);
	uint32		n_entries = product_entries(sketch);
	uint32		n_components = product_length(sketch, part);
	float		scale = sketch->metric == OMEN_METRIC_COSINE ? 0.5f : 1.0f;

	if (sketch->metric == OMEN_METRIC_IP)
	{
		omen_kernels->sketch->entries_ip(sub, n_components, codebook, n_entries, table);
		scale = -1.0f;
	}
	else
		omen_kernels->sketch->entries_l2(sub, n_components, codebook, n_entries, table);

	/* so that differences are finite */
	for (uint32 k = 0; k < n_entries; k++)
		table[k] = Min(Max(table[k] * scale, -FLT_MAX / 4), FLT_MAX / 4);
}

static void
product_query_from_vector(const OmenSketch *sketch, const void *model, OmenSketchQuery *query,
						  const float *x)
{
	ProductQuery *q = (ProductQuery *) query;
	uint8	   *tables = (uint8 *) query + PRODUCT_QUERY_HEAD;
	float	   *floats = (float *) (tables + product_table_bytes(sketch));
	uint32		n_entries = product_entries(sketch);
	double		error_scale = sketch->metric == OMEN_METRIC_COSINE ? 0.5 : 1.0;
	float		range = 0;
	float		inverse;

	if (sketch->metric == OMEN_METRIC_IP)
		error_scale = 0.0;
	q->common.base = 0;
	for (uint32 part = 0; part < sketch->subvectors; part++)
	{
		float	   *table = floats + (size_t) part * n_entries;
		float		least;

		product_make_table(sketch, model, part, x, table);
		least = product_least(table, n_entries);
		for (uint32 k = 0; k < n_entries; k++)
			table[k] -= least;
		q->common.base += least + error_scale * product_errors(model)[part];
		range = Max(range, product_greatest(table, n_entries));
	}

	q->common.scale = range / 255.0;
	inverse = range > 0 ? (float) Min(255.0 / range, FLT_MAX) : 0.0f;
	memset(tables, 0, product_table_bytes(sketch));
	for (size_t k = 0; k < (size_t) sketch->subvectors * n_entries; k++)
		tables[k] = (uint8) (int32) (Min(floats[k] * inverse, 255.0f) + 0.5f);
}

static void
product_keys_8(const OmenSketch *sketch, const OmenSketchQuery *query, int n,
			   const uint8 *const *records, float *out)
{
	omen_kernels->sketch->product_keys_8(&((const ProductQuery *) query)->common,
										 (const uint8 *) query + PRODUCT_QUERY_HEAD,
										 sketch->sketch_bytes, n, records, out);
}

static void
product_keys_4(const OmenSketch *sketch, const OmenSketchQuery *query, int n,
			   const uint8 *const *records, float *out)
{
	omen_kernels->sketch->product_keys_4(&((const ProductQuery *) query)->common,
										 (const uint8 *) query + PRODUCT_QUERY_HEAD,
										 sketch->sketch_bytes, n, records, out);
}

/* ---------- the table ---------- */

void
omen_sketch_product_init(OmenSketch *sketch)
{
	uint32		n_entries = product_entries(sketch);
	uint32		longest = (sketch->dims + sketch->subvectors - 1) / sketch->subvectors;

	sketch->sketch_bytes = TYPEALIGN(4, (sketch->subvectors * sketch->bits + 7) / 8);
	sketch->model_bytes = sizeof(ProductModel) +
		sizeof(float) * (sketch->subvectors + n_entries * sketch->dims);
	sketch->query_bytes = PRODUCT_QUERY_HEAD +
		TYPEALIGN(64, product_table_bytes(sketch) + sizeof(float) * n_entries * sketch->subvectors);
	sketch->sample_max = n_entries * (sketch->bits == 8 ? SAMPLES_PER_ENTRY_8 : SAMPLES_PER_ENTRY_4);
	sketch->train_parts = sketch->subvectors;
	sketch->train_scratch_bytes = product_clusters_bytes(n_entries, longest);

	sketch->train = product_train;
	sketch->encode = product_encode;
	sketch->query_from_vector = product_query_from_vector;
	sketch->keys = sketch->bits == 8 ? product_keys_8 : product_keys_4;
}
