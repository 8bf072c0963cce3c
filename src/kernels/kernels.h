/*-------------------------------------------------------------------------
 *
 * kernels.h
 *	  Distances on plain arrays, one implementation per instruction set.
 *
 * kernel_scalar.c is the definition of every function; the other files repeat
 * it with vector instructions.  Nothing here allocates or fails: the callers
 * check shapes.  Two families with different promises:
 *
 *	- *_f32 serve the SQL operators.  Variants may round differently, within
 *	  (n / 16 + 16) * FLT_EPSILON relative to the sum of the absolute terms
 *	  (terms that underflow lose what denormal numbers lose).
 *	- everything that reads codes gives the same bits in every variant,
 *	  for these distances decide the graph, and an index built on one machine
 *	  is searched on another.  Integer kernels are exact; the float ones add
 *	  their terms in OMEN_LANES interleaved sums, without fused
 *	  multiply-add, and fold them in one fixed order.  (Which NaN comes out
 *	  where sums of huge terms overflow and cancel is not promised.)
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_KERNELS_H
#define OMEN_KERNELS_H

#include "c.h"

#include "src/kernels/kernel_bits.h"
#include "src/kernels/kernel_half.h"
#include "src/kernels/kernel_sketch.h"

/* Interleaved partial sums of the reproducible float kernels. */
#define OMEN_LANES 16

/*
 * Keys of 8-bit codes (src/quant/sq8.c): what a record's factors begin with,
 * and what of a query does not depend on the record.
 */
typedef struct OmenSq8Record
{
	float		offset;
	float		step;			/* >= 0 */
	uint32		sum;			/* of the codes */
	uint32		sum_sq;			/* of the squared codes */
} OmenSq8Record;

typedef struct OmenSq8Query
{
	double		dims;
	double		offset;
	double		step;
	double		twice_step;
	double		scaled_sum;		/* step * sum of codes */
	double		scaled_sum_sq;	/* step^2 * sum of squared codes */
	double		component_sum;	/* of the decoded query: dims * offset + scaled_sum */
	double		scale;			/* of an L2 key: 1, or 1/2 for cosine */
} OmenSq8Query;

typedef void (*OmenFloatKeys) (const float *query, uint32 n_floats, int n,
							   const uint8 *const *codes, float *out);

typedef struct OmenKernels
{
	const char *name;			/* "scalar", "avx2", "avx512", "neon", "neon_dot" */

	/* Exact vectors; a and b have n elements and need no alignment. */
	float		(*l2_squared_f32) (const float *a, const float *b, uint32 n);
	float		(*inner_product_f32) (const float *a, const float *b, uint32 n);
	float		(*l1_f32) (const float *a, const float *b, uint32 n);
	/* a.b, a.a and b.b in one pass */
	void		(*cosine_terms_f32) (const float *a, const float *b, uint32 n,
									 float *ab, float *aa, float *bb);

	/* Code against code: sum of code[i] * query[i], exact for n <= 16384. */
	int32		(*dot_u8s8) (const uint8 *code, const int8 *query, uint32 n);
	void		(*dot4_u8s8) (const uint8 *const codes[4], const int8 *query,
							  uint32 n, int32 out[4]);

	/*
	 * Keys of n records, code against code: squared distances times a scale,
	 * or negated inner products, of the decoded vectors.  query_code is the
	 * query's code less 128; n_bytes is a multiple of 16.
	 */
	void		(*l2_keys_sq8) (const OmenSq8Query *query, const int8 *query_code, uint32 n_bytes,
								int n, const void *const *factors, const uint8 *const *codes,
								float *out);
	void		(*ip_keys_sq8) (const OmenSq8Query *query, const int8 *query_code, uint32 n_bytes,
								int n, const void *const *factors, const uint8 *const *codes,
								float *out);

	/*
	 * Float query against the decoded code offset + step * code[i]: the same
	 * bits in every variant.
	 */
	float		(*l2_squared_sq8) (const float *query, const uint8 *code,
								   float offset, float step, uint32 n);
	float		(*inner_product_sq8) (const float *query, const uint8 *code,
									  float offset, float step, uint32 n);
	float		(*l1_sq8) (const float *query, const uint8 *code,
						   float offset, float step, uint32 n);
	/* Decode codes with a fine code: offset + fine_step * (256 * code[i] + fine[i] - 128). */
	void		(*decode_fine_sq8) (const uint8 *code, const uint8 *fine, float offset,
									float fine_step, uint32 n, float *out);

	/*
	 * Keys of n records, float query against codes of floats or of halves:
	 * squared distances, negated inner products, or L1 distances.  n_floats
	 * is a multiple of OMEN_LANES; codes are aligned as their components are.
	 * The same bits in every variant, but inner products whose terms overflow to
	 * both infinities are some NaN.
	 */
	OmenFloatKeys l2_keys_f32;
	OmenFloatKeys ip_keys_f32;
	OmenFloatKeys l1_keys_f32;
	OmenFloatKeys l2_keys_f16;
	OmenFloatKeys ip_keys_f16;
	OmenFloatKeys l1_keys_f16;

	/*
	 * Insert n words, none equal to another, into n_sorted ascending ones,
	 * 64-byte aligned, of which the greatest fall out; if fallen is not NULL
	 * it receives those (n, in any order).
	 */
	void		(*insert_sorted) (uint64 *sorted, uint32 n_sorted, const uint64 *words, uint32 n,
								  uint64 *fallen);

	/* The same for other kinds of vectors; never NULL. */
	const OmenHalfKernels *half;
	const OmenBitKernels *bits;
	const OmenSketchKernels *sketch;
} OmenKernels;

/*
 * The table in force.  It is the scalar one until omen_kernels_select() has
 * run; the pointer itself never changes within a statement.
 */
extern const OmenKernels *omen_kernels;

/* All variants this binary has and this CPU and OS can run, scalar first. */
extern int	omen_kernels_available(const OmenKernels *const **tables);

/*
 * Make the named variant current ("auto" for the best one available).
 * Returns false, changing nothing, if this machine cannot run it.
 */
extern bool omen_kernels_select(const char *name);

#endif							/* OMEN_KERNELS_H */
