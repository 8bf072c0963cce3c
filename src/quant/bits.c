/*-------------------------------------------------------------------------
 *
 * bits.c
 *	  Bit strings as their own codes.
 *
 * The code is the string, padded with zero bytes; the factors hold how many
 * bits are set.  All is exact: the lower bound is what the SQL functions
 * return, to the bit, and keys differ from it by the rounding to float only.
 *
 * With the numbers of set bits known, one count serves both metrics: of the
 * bits set in a or b, those that differ are set in one, the others in both.
 *
 *-------------------------------------------------------------------------
 */
#include "src/quant/bits.h"

/* Written into pages as it is (struct of the format, version 1). */
typedef struct BitsFactors
{
	uint32		n_set;
} BitsFactors;

StaticAssertDecl(sizeof(BitsFactors) == 4, "layout of the factors of bits");

/* Head of a query; the bits follow. */
typedef struct BitsQuery
{
	uint32		n_set;
} BitsQuery;

#define BITS_QUERY_HEAD 64

static inline uint8 *
bits_query_code(const OmenQuery *query)
{
	return (uint8 *) query + BITS_QUERY_HEAD;
}

/* ---------- encoding ---------- */

static void
bits_encode(const OmenCodec *codec, const void *x, void *factors, uint8 *code)
{
	BitsFactors *f = factors;
	uint32		n_bytes = (codec->dims + 7) / 8;
	uint64		n_both;
	uint64		n_either;

	memcpy(code, x, n_bytes);
	memset(code + n_bytes, 0, codec->code_bytes - n_bytes);
	omen_kernels->bits->common(code, code, codec->code_bytes, &n_both, &n_either);
	f->n_set = (uint32) n_both;
}

/* Equal codes stand for equal strings: there is nothing to widen. */
static void
bits_absorb(const OmenCodec *codec pg_attribute_unused(),
			void *factors pg_attribute_unused(), const void *other pg_attribute_unused())
{
}

static bool
bits_equal(const OmenCodec *codec, const void *factors_a pg_attribute_unused(),
		   const uint8 *code_a, const void *factors_b pg_attribute_unused(),
		   const uint8 *code_b)
{
	return memcmp(code_a, code_b, codec->code_bytes) == 0;
}

/* ---------- queries ---------- */

static void
bits_query_from_vector(const OmenCodec *codec, OmenQuery *query, const void *x)
{
	BitsFactors factors;

	bits_encode(codec, x, &factors, bits_query_code(query));
	((BitsQuery *) query)->n_set = factors.n_set;
}

static void
bits_query_from_code(const OmenCodec *codec, OmenQuery *query,
					 const void *factors, const uint8 *code)
{
	memcpy(bits_query_code(query), code, codec->code_bytes);
	((BitsQuery *) query)->n_set = ((const BitsFactors *) factors)->n_set;
}

/* ---------- distances ---------- */

/* As the SQL function defines it: strings without common bits are at 1. */
static inline double
bits_jaccard(uint32 n_set_a, uint32 n_set_b, uint64 n_differing)
{
	uint64		n_both = (n_set_a + n_set_b - n_differing) / 2;
	uint64		n_either = n_both + n_differing;

	return n_both == 0 ? 1.0 : 1.0 - (double) n_both / (double) n_either;
}

static double
bits_distance_hamming(const OmenCodec *codec, const OmenQuery *query,
					  const void *factors pg_attribute_unused(), const uint8 *code)
{
	return (double) omen_kernels->bits->differing(bits_query_code(query), code,
												  codec->code_bytes);
}

static double
bits_distance_jaccard(const OmenCodec *codec, const OmenQuery *query,
					  const void *factors, const uint8 *code)
{
	uint64		n_differing = omen_kernels->bits->differing(bits_query_code(query), code,
															codec->code_bytes);

	return bits_jaccard(((const BitsQuery *) query)->n_set,
						((const BitsFactors *) factors)->n_set, n_differing);
}

static void
bits_keys_hamming(const OmenCodec *codec, const OmenQuery *query, int n,
				  const void *const *factors, const uint8 *const *codes, float *out)
{
	int			i;

	for (i = 0; i < n; i++)
		out[i] = (float) bits_distance_hamming(codec, query, factors[i], codes[i]);
}

static void
bits_keys_jaccard(const OmenCodec *codec, const OmenQuery *query, int n,
				  const void *const *factors, const uint8 *const *codes, float *out)
{
	int			i;

	for (i = 0; i < n; i++)
		out[i] = (float) bits_distance_jaccard(codec, query, factors[i], codes[i]);
}

/* ---------- the table ---------- */

void
omen_bits_init(OmenCodec *codec, OmenMetric metric, uint32 dims)
{
	codec->metric = metric;
	codec->dims = dims;
	codec->factor_bytes = sizeof(BitsFactors);
	codec->identity_bytes = 0;
	codec->code_bytes = TYPEALIGN(16, (dims + 7) / 8);
	codec->query_bytes = BITS_QUERY_HEAD + TYPEALIGN(64, codec->code_bytes);

	codec->encode = bits_encode;
	codec->absorb = bits_absorb;
	codec->equal = bits_equal;
	codec->query_from_vector = bits_query_from_vector;
	codec->query_from_code = bits_query_from_code;
	if (metric == OMEN_METRIC_HAMMING)
	{
		codec->keys = bits_keys_hamming;
		codec->lower_bound = bits_distance_hamming;
	}
	else
	{
		Assert(metric == OMEN_METRIC_JACCARD);
		codec->keys = bits_keys_jaccard;
		codec->lower_bound = bits_distance_jaccard;
	}
}
