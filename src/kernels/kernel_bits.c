/*-------------------------------------------------------------------------
 *
 * kernel_bits.c
 *	  Counts over pairs of bit strings: all variants, for they are short.
 *
 * x86-64 CPUs with AVX2 count 64 bits in one instruction.  With AVX-512 two
 * table look-ups count the bits of 64 bytes at a time; that needs none of the
 * rarer extensions.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_bits.h"
#include "src/kernels/kernel_variants.h"

#define WORD sizeof(uint64)

static inline uint64
load_word(const uint8 *bytes)
{
	uint64		word;

	memcpy(&word, bytes, WORD);
	return word;
}

/*
 * The last n < WORD bytes of a string, among zeros.  If the string is longer
 * than that, the word that ends with it is read, and what is not wanted is
 * shifted out.
 */
static inline uint64
load_rest(const uint8 *rest, uint32 n, bool is_long)
{
	uint64		word = 0;

	if (is_long)
	{
		word = load_word(rest + n - WORD);
#ifdef WORDS_BIGENDIAN
		return word << (8 * (WORD - n));
#else
		return word >> (8 * (WORD - n));
#endif
	}
	for (uint32 i = 0; i < n; i++)
		word = word << 8 | rest[i];
	return word;
}

/* Bits of a word, by adding ever wider fields. */
static inline uint64
count_word(uint64 word)
{
	word -= (word >> 1) & UINT64CONST(0x5555555555555555);
	word = (word & UINT64CONST(0x3333333333333333)) +
		((word >> 2) & UINT64CONST(0x3333333333333333));
	word = (word + (word >> 4)) & UINT64CONST(0x0f0f0f0f0f0f0f0f);
	return (word * UINT64CONST(0x0101010101010101)) >> 56;
}

/* Both kernels, in terms of a function that counts the bits of a word. */
#define DEFINE_WORD_KERNELS(target, prefix, count) \
target static uint64 \
prefix##_differing(const uint8 *a, const uint8 *b, uint32 n_bytes) \
{ \
	uint64		sum0 = 0; \
	uint64		sum1 = 0; \
	uint64		sum2 = 0; \
	uint64		sum3 = 0; \
	bool		is_long = n_bytes >= WORD; \
	\
	for (; n_bytes >= 4 * WORD; n_bytes -= 4 * WORD) \
	{ \
		sum0 += count(load_word(a) ^ load_word(b)); \
		sum1 += count(load_word(a + WORD) ^ load_word(b + WORD)); \
		sum2 += count(load_word(a + 2 * WORD) ^ load_word(b + 2 * WORD)); \
		sum3 += count(load_word(a + 3 * WORD) ^ load_word(b + 3 * WORD)); \
		a += 4 * WORD; \
		b += 4 * WORD; \
	} \
	for (; n_bytes >= WORD; n_bytes -= WORD) \
	{ \
		sum0 += count(load_word(a) ^ load_word(b)); \
		a += WORD; \
		b += WORD; \
	} \
	if (n_bytes > 0) \
		sum1 += count(load_rest(a, n_bytes, is_long) ^ load_rest(b, n_bytes, is_long)); \
	return (sum0 + sum1) + (sum2 + sum3); \
} \
\
target static void \
prefix##_common(const uint8 *a, const uint8 *b, uint32 n_bytes, \
				uint64 *both, uint64 *either) \
{ \
	uint64		n_both = 0; \
	uint64		n_either = 0; \
	uint64		n_both_odd = 0; \
	uint64		n_either_odd = 0; \
	bool		is_long = n_bytes >= WORD; \
	\
	for (; n_bytes >= 2 * WORD; n_bytes -= 2 * WORD) \
	{ \
		n_both += count(load_word(a) & load_word(b)); \
		n_either += count(load_word(a) | load_word(b)); \
		n_both_odd += count(load_word(a + WORD) & load_word(b + WORD)); \
		n_either_odd += count(load_word(a + WORD) | load_word(b + WORD)); \
		a += 2 * WORD; \
		b += 2 * WORD; \
	} \
	if (n_bytes >= WORD) \
	{ \
		n_both += count(load_word(a) & load_word(b)); \
		n_either += count(load_word(a) | load_word(b)); \
		a += WORD; \
		b += WORD; \
		n_bytes -= WORD; \
	} \
	if (n_bytes > 0) \
	{ \
		uint64		x = load_rest(a, n_bytes, is_long); \
		uint64		y = load_rest(b, n_bytes, is_long); \
		\
		n_both += count(x & y); \
		n_either += count(x | y); \
	} \
	*both = n_both + n_both_odd; \
	*either = n_either + n_either_odd; \
} \
\
const OmenBitKernels omen_bit_kernels_##prefix = { \
	.differing = prefix##_differing, \
	.common = prefix##_common \
}

DEFINE_WORD_KERNELS( /* everywhere */ , scalar, count_word);

#ifdef OMEN_HAVE_X86_KERNELS

#include <immintrin.h>

#define POPCNT		OMEN_TARGET("popcnt")
#define AVX512		OMEN_TARGET("avx512f,avx512bw,avx512vl")

#define BYTES 64				/* in a register */

#define count_in_hardware(word) ((uint64) _mm_popcnt_u64(word))

DEFINE_WORD_KERNELS(POPCNT, avx2, count_in_hardware);

/* n <= BYTES bytes, then zeros. */
AVX512 static inline __m512i
load_bytes(const uint8 *bytes, uint32 n)
{
	return _mm512_maskz_loadu_epi8(~UINT64CONST(0) >> (BYTES - n), bytes);
}

/* Bits in each group of eight bytes. */
AVX512 static inline __m512i
count_bytes(__m512i bytes)
{
	const __m512i table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3,
															   1, 2, 2, 3, 2, 3, 3, 4));
	const __m512i nibble = _mm512_set1_epi8(0x0f);
	__m512i		low = _mm512_and_si512(bytes, nibble);
	__m512i		high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble);
	__m512i		counts = _mm512_add_epi8(_mm512_shuffle_epi8(table, low),
										 _mm512_shuffle_epi8(table, high));

	return _mm512_sad_epu8(counts, _mm512_setzero_si512());
}

AVX512 static uint64
avx512_differing(const uint8 *a, const uint8 *b, uint32 n_bytes)
{
	__m512i		sum = _mm512_setzero_si512();

	for (uint32 i = 0; i < n_bytes; i += BYTES)
	{
		uint32		n = Min(n_bytes - i, BYTES);

		sum = _mm512_add_epi64(sum, count_bytes(_mm512_xor_si512(load_bytes(a + i, n),
																 load_bytes(b + i, n))));
	}
	return (uint64) _mm512_reduce_add_epi64(sum);
}

AVX512 static void
avx512_common(const uint8 *a, const uint8 *b, uint32 n_bytes, uint64 *both, uint64 *either)
{
	__m512i		sum_both = _mm512_setzero_si512();
	__m512i		sum_either = _mm512_setzero_si512();

	for (uint32 i = 0; i < n_bytes; i += BYTES)
	{
		uint32		n = Min(n_bytes - i, BYTES);
		__m512i		x = load_bytes(a + i, n);
		__m512i		y = load_bytes(b + i, n);

		sum_both = _mm512_add_epi64(sum_both, count_bytes(_mm512_and_si512(x, y)));
		sum_either = _mm512_add_epi64(sum_either, count_bytes(_mm512_or_si512(x, y)));
	}
	*both = (uint64) _mm512_reduce_add_epi64(sum_both);
	*either = (uint64) _mm512_reduce_add_epi64(sum_either);
}

const OmenBitKernels omen_bit_kernels_avx512 = {
	.differing = avx512_differing,
	.common = avx512_common
};

#endif							/* OMEN_HAVE_X86_KERNELS */

#ifdef OMEN_HAVE_NEON_KERNELS

#include <arm_neon.h>

#define BYTES 16				/* in a register */

/* Bits of 16 bytes. */
static inline uint64
count_bytes(uint8x16_t bytes)
{
	return vaddlvq_u8(vcntq_u8(bytes));
}

static uint64
neon_differing(const uint8 *a, const uint8 *b, uint32 n_bytes)
{
	uint64		sum = 0;

	for (; n_bytes >= BYTES; n_bytes -= BYTES)
	{
		sum += count_bytes(veorq_u8(vld1q_u8(a), vld1q_u8(b)));
		a += BYTES;
		b += BYTES;
	}
	return sum + scalar_differing(a, b, n_bytes);
}

static void
neon_common(const uint8 *a, const uint8 *b, uint32 n_bytes, uint64 *both, uint64 *either)
{
	uint64		n_both = 0;
	uint64		n_either = 0;

	for (; n_bytes >= BYTES; n_bytes -= BYTES)
	{
		uint8x16_t	x = vld1q_u8(a);
		uint8x16_t	y = vld1q_u8(b);

		n_both += count_bytes(vandq_u8(x, y));
		n_either += count_bytes(vorrq_u8(x, y));
		a += BYTES;
		b += BYTES;
	}
	scalar_common(a, b, n_bytes, both, either);
	*both += n_both;
	*either += n_either;
}

const OmenBitKernels omen_bit_kernels_neon = {
	.differing = neon_differing,
	.common = neon_common
};

#endif							/* OMEN_HAVE_NEON_KERNELS */
