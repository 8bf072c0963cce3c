/*-------------------------------------------------------------------------
 *
 * immintrin.h
 *	  AVX-512 intrinsics in plain C, in place of the compiler's header.
 *
 * Only for `make check-emulated`, which proves kernel_avx512.c on machines
 * that cannot run it.  Most comes from SIMDe; what some of its releases lack
 * is written here after the instructions' description.  Masked loads must
 * not touch what the mask leaves out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_EMULATED_IMMINTRIN_H
#define OMEN_EMULATED_IMMINTRIN_H

#include <stdint.h>

#define SIMDE_NO_NATIVE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>

#define __mmask16 uint16_t
#define __mmask64 uint64_t

#ifndef _mm512_maskz_loadu_ps
static inline __m512
emulated_maskz_loadu_ps(uint16_t mask, const float *memory)
{
	float		elements[16];

	for (int i = 0; i < 16; i++)
		elements[i] = (mask >> i & 1) ? memory[i] : 0;
	return _mm512_loadu_ps(elements);
}
#define _mm512_maskz_loadu_ps(mask, memory) emulated_maskz_loadu_ps(mask, memory)
#endif

#ifndef _mm512_maskz_loadu_epi8
static inline __m512i
emulated_maskz_loadu_epi8(uint64_t mask, const void *memory)
{
	uint8_t		elements[64];

	for (int i = 0; i < 64; i++)
		elements[i] = (mask >> i & 1) ? ((const uint8_t *) memory)[i] : 0;
	return _mm512_loadu_si512(elements);
}
#define _mm512_maskz_loadu_epi8(mask, memory) emulated_maskz_loadu_epi8(mask, memory)
#endif

#ifndef _mm_maskz_loadu_epi8
static inline __m128i
emulated_mm_maskz_loadu_epi8(uint16_t mask, const void *memory)
{
	uint8_t		elements[16];

	for (int i = 0; i < 16; i++)
		elements[i] = (mask >> i & 1) ? ((const uint8_t *) memory)[i] : 0;
	return _mm_loadu_si128((const __m128i *) elements);
}
#define _mm_maskz_loadu_epi8(mask, memory) emulated_mm_maskz_loadu_epi8(mask, memory)
#endif

#ifndef _mm512_cvtepu8_epi32
static inline __m512i
emulated_cvtepu8_epi32(__m128i value)
{
	uint8_t		elements[16];
	int32_t		wide[16];

	_mm_storeu_si128((__m128i *) elements, value);
	for (int i = 0; i < 16; i++)
		wide[i] = elements[i];
	return _mm512_loadu_si512(wide);
}
#define _mm512_cvtepu8_epi32(value) emulated_cvtepu8_epi32(value)
#endif

#ifndef _mm512_cvtepi32_ps
static inline __m512
emulated_cvtepi32_ps(__m512i value)
{
	int32_t		elements[16];
	float		floats[16];

	_mm512_storeu_si512(elements, value);
	for (int i = 0; i < 16; i++)
		floats[i] = (float) elements[i];
	return _mm512_loadu_ps(floats);
}
#define _mm512_cvtepi32_ps(value) emulated_cvtepi32_ps(value)
#endif

#ifndef _mm512_reduce_add_epi32
static inline int32_t
emulated_reduce_add_epi32(__m512i value)
{
	int32_t		elements[16];
	int32_t		sum = 0;

	_mm512_storeu_si512(elements, value);
	for (int i = 0; i < 16; i++)
		sum += elements[i];
	return sum;
}
#define _mm512_reduce_add_epi32(value) emulated_reduce_add_epi32(value)
#endif

/* Conversions of halves: by the functions that the unit test proves first. */
#include "src/kernels/kernel_half.h"

#ifndef _mm512_cvtph_ps
static inline __m512
emulated_cvtph_ps(__m256i value)
{
	uint16_t	halves[16];
	float		floats[16];

	_mm256_storeu_si256((__m256i *) halves, value);
	for (int i = 0; i < 16; i++)
		floats[i] = omen_half_to_float(halves[i]);
	return _mm512_loadu_ps(floats);
}
#define _mm512_cvtph_ps(value) emulated_cvtph_ps(value)
#endif

#ifndef _mm512_cvtps_ph
static inline __m256i
emulated_cvtps_ph(__m512 value)
{
	float		floats[16];
	uint16_t	halves[16];

	_mm512_storeu_ps(floats, value);
	for (int i = 0; i < 16; i++)
		halves[i] = omen_float_to_half(floats[i]);
	return _mm256_loadu_si256((const __m256i *) halves);
}
#define _mm512_cvtps_ph(value, rounding) emulated_cvtps_ph(value)
#endif

#ifndef _mm256_maskz_loadu_epi16
static inline __m256i
emulated_mm256_maskz_loadu_epi16(uint16_t mask, const void *memory)
{
	uint16_t	elements[16];

	for (int i = 0; i < 16; i++)
		elements[i] = (mask >> i & 1) ? ((const uint16_t *) memory)[i] : 0;
	return _mm256_loadu_si256((const __m256i *) elements);
}
#define _mm256_maskz_loadu_epi16(mask, memory) emulated_mm256_maskz_loadu_epi16(mask, memory)
#endif

#ifndef _mm512_reduce_add_ps
static inline float
emulated_reduce_add_ps(__m512 value)
{
	float		elements[16];
	float		sum = 0;

	_mm512_storeu_ps(elements, value);
	for (int i = 0; i < 16; i++)
		sum += elements[i];
	return sum;
}
#define _mm512_reduce_add_ps(value) emulated_reduce_add_ps(value)
#endif

#ifndef _mm512_reduce_add_epi64
static inline int64_t
emulated_reduce_add_epi64(__m512i value)
{
	int64_t		elements[8];
	int64_t		sum = 0;

	_mm512_storeu_si512(elements, value);
	for (int i = 0; i < 8; i++)
		sum += elements[i];
	return sum;
}
#define _mm512_reduce_add_epi64(value) emulated_reduce_add_epi64(value)
#endif

#ifndef _mm_popcnt_u64
#define _mm_popcnt_u64(word) __builtin_popcountll(word)
#endif

#endif							/* OMEN_EMULATED_IMMINTRIN_H */
