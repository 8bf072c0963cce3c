/*-------------------------------------------------------------------------
 *
 * kernel_variants.h
 *	  What the files of this folder share: the tables and the compiler's leash.
 *
 * Private to src/kernels and its unit test; everybody else calls through
 * omen_kernels.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_KERNEL_VARIANTS_H
#define OMEN_KERNEL_VARIANTS_H

#include "src/kernels/kernels.h"

#if defined(__FAST_MATH__)
#error "the kernels promise equal bits, which -ffast-math breaks"
#endif

/*
 * No fused multiply-add but by intrinsic.  gcc has no pragma for it (the
 * build passes -ffp-contract=off); clang has one, and needs it, for the
 * bitcode of an extension is built without the extension's flags.
 */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/*
 * Which variants this binary has.  Whether the machine can run them is asked
 * at run time, in kernel_dispatch.c.
 */
#if defined(__x86_64__) && defined(__GNUC__)
#define OMEN_HAVE_X86_KERNELS
#endif

#if defined(__aarch64__) && defined(__GNUC__) && !defined(WORDS_BIGENDIAN)
#define OMEN_HAVE_NEON_KERNELS

/* clang before 16 offers the dot product only when the whole file may use it */
#if !defined(__clang__) || __clang_major__ >= 16 || defined(__ARM_FEATURE_DOTPROD)
#define OMEN_HAVE_NEON_DOT_KERNELS
#endif
#endif

/*
 * Instruction sets are a matter of single functions, so that one binary runs
 * everywhere.  The unit tests define this as nothing to compile a variant
 * against an emulation of its intrinsics.
 */
#ifndef OMEN_TARGET
#define OMEN_TARGET(instruction_sets) __attribute__((target(instruction_sets)))
#endif

/* Where an instruction set has nothing better to offer. */
extern void omen_insert_sorted_scalar(uint64 *sorted, uint32 n_sorted, const uint64 *words,
									  uint32 n, uint64 *fallen);

extern const OmenKernels omen_kernels_scalar;
extern const OmenKernels omen_kernels_avx2;
extern const OmenKernels omen_kernels_avx512;
extern const OmenKernels omen_kernels_neon;
extern const OmenKernels omen_kernels_neon_dot;

#endif							/* OMEN_KERNEL_VARIANTS_H */
