/*-------------------------------------------------------------------------
 *
 * test_quant_bits.c
 *	  Codes of bit strings against plain definitions, with every kernel.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/quant/quant.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define MAX_REPORTS 20
#define MAX_BYTES ((OMEN_MAX_BITS + 7) / 8)
#define N_SAMPLES 9

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *what, OmenMetric metric, uint32 dims, double found, double expected)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: %s, metric %d, %u bits: %.17g, expected %.17g\n", what, omen_kernels->name,
			   metric, dims, found, expected);
}

static int
bit_of(const uint8 *bits, uint32 at)
{
	return (bits[at / 8] >> (7 - at % 8)) & 1;
}

static double
definition(OmenMetric metric, const uint8 *a, const uint8 *b, uint32 dims)
{
	uint32		differing = 0;
	uint32		both = 0;
	uint32		either = 0;
	uint32		i;

	for (i = 0; i < dims; i++)
	{
		differing += bit_of(a, i) ^ bit_of(b, i);
		both += bit_of(a, i) & bit_of(b, i);
		either += bit_of(a, i) | bit_of(b, i);
	}
	if (metric == OMEN_METRIC_HAMMING)
		return differing;
	return both == 0 ? 1 : 1 - (double) both / (double) either;
}

/* No bits, all bits, and bits in between, in strings whose last byte is filled up with zeros. */
static void
make_samples(uint8 samples[N_SAMPLES][MAX_BYTES], uint32 dims)
{
	uint32		n_bytes = (dims + 7) / 8;
	uint32		sample;
	uint32		i;

	for (sample = 0; sample < N_SAMPLES; sample++)
	{
		for (i = 0; i < n_bytes; i++)
		{
			uint8		some[] = {0, 0xff, 1 << (i % 8), 1 << ((i + 1) % 8)};

			samples[sample][i] = sample < lengthof(some) ? some[sample] : next_random();
		}
		if (dims % 8 != 0)
			samples[sample][n_bytes - 1] &= 0xff << (8 - dims % 8);
	}
}

/* Keys and bounds of one query. */
static void
check_query(const OmenCodec *codec, const OmenQuery *query, const uint8 *x,
			uint8 samples[N_SAMPLES][MAX_BYTES], const void *const *factors,
			const uint8 *const *codes, bool from_vector)
{
	float		keys[N_SAMPLES];
	uint32		i;

	codec->keys(codec, query, N_SAMPLES, factors, codes, keys);
	for (i = 0; i < N_SAMPLES; i++)
	{
		double		expected = definition(codec->metric, x, samples[i], codec->dims);
		double		bound;

		check(keys[i] == (float) expected, "key", codec->metric, codec->dims, keys[i], expected);
		if (!from_vector)
			continue;
		bound = codec->lower_bound(codec, query, factors[i], codes[i]);
		check(bound == expected, "lower bound", codec->metric, codec->dims, bound, expected);
	}
}

static void
check_dims(OmenMetric metric, uint32 dims)
{
	static uint8 samples[N_SAMPLES][MAX_BYTES];
	OmenCodec	codec;
	OmenQuery  *query;
	uint8	   *memory;
	uint32		factors_of[N_SAMPLES];
	const void *factors[N_SAMPLES];
	const uint8 *codes[N_SAMPLES];
	uint32		i;

	omen_codec_init(&codec, OMEN_CODE_BITS, metric, dims);
	check(codec.code_bytes % 16 == 0 && codec.code_bytes * 8 >= dims &&
		  codec.code_bytes * 8 < dims + 128 && codec.query_bytes % 64 == 0 &&
		  codec.factor_bytes == 4 && !codec.has_means && !codec.variable,
		  "sizes", metric, dims, codec.code_bytes, dims / 8);
	query = aligned_alloc(64, codec.query_bytes);
	memory = aligned_alloc(64, TYPEALIGN(64, N_SAMPLES * codec.code_bytes));
	memset(memory, 0xcc, N_SAMPLES * codec.code_bytes);
	make_samples(samples, dims);
	for (i = 0; i < N_SAMPLES; i++)
	{
		uint8	   *code = memory + i * codec.code_bytes;
		uint32		n_bytes = (dims + 7) / 8;
		uint32		at;

		factors[i] = &factors_of[i];
		codes[i] = code;
		codec.encode(&codec, samples[i], &factors_of[i], code);
		for (at = n_bytes; at < codec.code_bytes && code[at] == 0; at++)
			 /* go on */ ;
		check(memcmp(code, samples[i], n_bytes) == 0 && at == codec.code_bytes,
			  "code", metric, dims, at, codec.code_bytes);
		check(codec.equal(&codec, factors[i], codes[i], factors[0], codes[0]) ==
			  (definition(OMEN_METRIC_HAMMING, samples[i], samples[0], dims) == 0),
			  "equal", metric, dims, i, 0);
	}
	for (i = 0; i < N_SAMPLES; i++)
	{
		codec.query_from_code(&codec, query, factors[i], codes[i]);
		check_query(&codec, query, samples[i], samples, factors, codes, false);
		codec.query_from_vector(&codec, query, samples[i]);
		check_query(&codec, query, samples[i], samples, factors, codes, true);
	}
	free(query);
	free(memory);
}

int
main(void)
{
	const OmenKernels *const *tables;
	int			n = omen_kernels_available(&tables);
	int			i;
	uint32		dims;

	for (i = 0; i < n; i++)
	{
		omen_kernels_select(tables[i]->name);
		for (dims = 1; dims <= 300; dims++)
		{
			check_dims(OMEN_METRIC_HAMMING, dims);
			check_dims(OMEN_METRIC_JACCARD, dims);
		}
		check_dims(OMEN_METRIC_HAMMING, OMEN_MAX_BITS);
		check_dims(OMEN_METRIC_JACCARD, OMEN_MAX_BITS);
	}
	printf("test_quant_bits: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
