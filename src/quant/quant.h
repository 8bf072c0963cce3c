/*-------------------------------------------------------------------------
 *
 * quant.h
 *	  Codes: compact stand-ins for vectors, with the distances between them.
 *
 * A codec is one kind of code for one metric and number of dimensions.  The
 * rest of the system sees a record of two byte strings per vector, factors
 * and code, whose sizes the codec names, and this table of functions; it
 * never looks inside.  So a new kind of code is one new file.
 *
 * Search distances are floats of which only the order matters ("keys"):
 *
 *	metric				key						bound (what SQL's operator returns)
 *	OMEN_METRIC_L2		squared distance		distance
 *	OMEN_METRIC_IP		- inner product			- inner product
 *	OMEN_METRIC_COSINE	1 - inner product		cosine distance
 *						of normalised vectors
 *	OMEN_METRIC_L1		distance				distance
 *	OMEN_METRIC_HAMMING	distance				distance
 *	OMEN_METRIC_JACCARD distance				distance
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_QUANT_H
#define OMEN_QUANT_H

#include "src/kernels/kernels.h"

/* Values are part of the on-disk format. */
typedef enum OmenMetric
{
	OMEN_METRIC_L2 = 1,
	OMEN_METRIC_IP = 2,
	OMEN_METRIC_COSINE = 3,
	OMEN_METRIC_L1 = 4,
	OMEN_METRIC_HAMMING = 5,
	OMEN_METRIC_JACCARD = 6
} OmenMetric;

/* Values are part of the on-disk format. */
typedef enum OmenCodeKind
{
	OMEN_CODE_SQ8 = 1,			/* per-vector affine 8-bit codes; x is const float * */
	OMEN_CODE_BITS = 2,			/* bits as they are; x is const uint8 *, padded with zero bits */
	OMEN_CODE_SPARSE = 3,		/* indices and 16-bit values; x is const OmenSparse * */
	OMEN_CODE_FLOAT = 4,		/* floats as they are; x is const float * */
	OMEN_CODE_HALF = 5			/* the nearest halves; x is const float * */
} OmenCodeKind;

/* Values are part of the on-disk format. */
typedef enum OmenRefineKind
{
	OMEN_REFINE_NONE = 0,
	OMEN_REFINE_SCALAR = 1		/* of 8-bit codes: a second byte per component */
} OmenRefineKind;

#define OMEN_MAX_DIMS 16000
#define OMEN_MAX_BITS 64000
#define OMEN_MAX_SPARSE_DIMS 1000000000
#define OMEN_MAX_SPARSE_ELEMENTS 16000

/* A sparse vector: n elements at ascending indices (from 0) below dims, none of them zero. */
typedef struct OmenSparse
{
	uint32		n;
	const int32 *indices;
	const float *values;
} OmenSparse;

/*
 * A code of a codec whose codes differ in length, as records in memory hold
 * it: code_bytes is sizeof(OmenCodeRef) then.  In pages stand the bytes.
 */
typedef struct OmenCodeRef
{
	const uint8 *bytes;			/* aligned to 4 */
	uint32		n_bytes;		/* at least 4; no codec reads more, whatever the bytes say */
	uint32		unused;			/* zero */
} OmenCodeRef;

/*
 * A feature that near vectors are likely to share and far ones are not, such
 * as the place of an element in a sparse vector, and how much there is of it.
 */
typedef struct OmenTerm
{
	uint32		id;
	float		weight;			/* >= 0 */
} OmenTerm;

typedef struct OmenCodec OmenCodec;

/*
 * A query made ready for a codec.  The caller allocates codec->query_bytes,
 * aligned to 64 bytes, and prepares it from a float vector (as the caller
 * gives it: normalised already for cosine) or from a stored code.  It keeps a copy of
 * what it needs: the sources may go away.
 */
typedef struct OmenQuery OmenQuery;

typedef void (*OmenCodecNorms) (const OmenCodec *codec, int n, const void *const *factors, double *out);
typedef void (*OmenCodecKeys) (const OmenCodec *codec, const OmenQuery *query, int n,
							   const void *const *factors, const uint8 *const *codes, float *out);

struct OmenCodec
{
	OmenCodeKind kind;
	OmenMetric	metric;
	uint32		dims;
	uint32		factor_bytes;	/* multiple of 4 */
	uint32		identity_bytes; /* leading bytes of the factors which, with the code, decide what
								 * it decodes to */
	uint32		code_bytes;		/* multiple of 16 */
	uint32		query_bytes;	/* multiple of 64 */

	/*
	 * Linking excludes a candidate only if it is nearer to a neighbour chosen
	 * before than to the node, by this part of its key: measured per kind.
	 */
	float		link_margin;

	bool		has_means;		/* decode is offered, and encode takes a mean of decoded vectors */
	bool		variable;		/* codes differ in length: code arguments below but encode's are OmenCodeRef * */

	/* If variable: how many bytes encode will write for x, a multiple of 4. */
	uint32		(*encoded_bytes) (const OmenCodec *codec, const void *x);
	/* Encode x, finite, of the kind's form; padding bytes of the code become zero. */
	void		(*encode) (const OmenCodec *codec, const void *x,
						   void *factors, uint8 *code);
	/* The vector that the code stands for, dims floats; NULL unless has_means. */
	void		(*decode) (const OmenCodec *codec, const void *factors,
						   const uint8 *code, float *x);
	/*
	 * Widen factors so that they also cover a vector whose factors are
	 * `other` and whose code is the same (folding of duplicates).
	 */
	void		(*absorb) (const OmenCodec *codec, void *factors, const void *other);
	/* True if both records decode to the same vector. */
	bool		(*equal) (const OmenCodec *codec, const void *factors_a, const uint8 *code_a,
						  const void *factors_b, const uint8 *code_b);

	void		(*query_from_vector) (const OmenCodec *codec, OmenQuery *query, const void *x);
	void		(*query_from_code) (const OmenCodec *codec, OmenQuery *query,
									const void *factors, const uint8 *code);

	/*
	 * Squared norms of what n codes stand for, not below 0.  NULL but for L2 and
	 * IP, and for IP if graphs are to be linked by its keys as they are.
	 */
	OmenCodecNorms norms_sq;

	/*
	 * Term i of a code, or of a query; false if there are fewer.  NULL if the
	 * kind has none: its distances lead a search from anywhere.
	 */
	bool		(*code_term) (const OmenCodec *codec, const void *factors, const uint8 *code,
							  uint32 i, OmenTerm *term);
	bool		(*query_term) (const OmenCodec *codec, const OmenQuery *query, uint32 i,
							   OmenTerm *term);

	/* Keys of n records (any n >= 0): the search's inner loop. */
	OmenCodecKeys keys;
	/*
	 * A value that the SQL operator's result for the true vector cannot be
	 * below, rounding of both sides included.  Needs a query made by
	 * query_from_vector.
	 */
	double		(*lower_bound) (const OmenCodec *codec, const OmenQuery *query,
								const void *factors, const uint8 *code);

	/*
	 * Finer codes, for a second look at a few candidates: factors and a code of
	 * their own, which say what the code has lost; in memory and in tails one
	 * behind the other.  All zero without them: omen_codec_refine().
	 */
	OmenRefineKind refine;
	uint32		refine_factor_bytes;	/* multiple of 4 */
	uint32		refine_code_bytes;	/* multiple of 4 */
	uint32		refine_bytes;	/* of both */

	/* Encode what x, with these factors and code, is more than they say. */
	void		(*encode_refine) (const OmenCodec *codec, const void *x, const void *factors,
								  const uint8 *code, void *refine);
	/* As absorb, of a vector with the same code and the finer code `other`. */
	void		(*absorb_refine) (const OmenCodec *codec, const void *factors, const uint8 *code,
								  void *refine, const void *other);
	/* As lower_bound, of both codes; that of the first alone may be the better one, as where it is exact. */
	double		(*refined_bound) (const OmenCodec *codec, const OmenQuery *query,
								  const void *factors, const uint8 *code,
								  const void *refine_factors, const uint8 *refine_code);
};

/* Fill in the codec for a kind, a metric that it has, and dimensions within its limit. */
extern void omen_codec_init(OmenCodec *codec, OmenCodeKind kind,
							OmenMetric metric, uint32 dims);

/* Does a kind of code lose what a kind of finer codes can give back? */
extern bool omen_codec_admits_refine(OmenCodeKind kind, OmenRefineKind refine);

/* Add finer codes, of a kind that it admits, to a codec. */
extern void omen_codec_refine(OmenCodec *codec, OmenRefineKind refine);

#endif							/* OMEN_QUANT_H */
