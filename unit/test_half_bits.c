/*-------------------------------------------------------------------------
 *
 * test_half_bits.c
 *	  Half-precision and bit kernels against plain definitions.
 *
 * Conversions are checked for every half, and narrowing around every point
 * where rounding changes; distances and counts for every length that a kernel
 * may treat apart, in arrays that end at a page that cannot be read.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

#include "src/kernels/kernel_bits.h"
#include "src/kernels/kernel_half.h"
#include "src/kernels/kernel_variants.h"
#include "unit/test_random.h"

/* The server's own printf is not linked into this program. */
#undef printf

#define MAX_N 16000
#define MAX_REPORTS 20

typedef struct Variant
{
	const char *name;
	const OmenHalfKernels *half;
	const OmenBitKernels *bits;
} Variant;

static long n_passed = 0;
static long n_failed = 0;

static void
check(bool ok, const char *variant, const char *what, long where)
{
	if (ok)
		n_passed++;
	else if (n_failed++ < MAX_REPORTS)
		printf("%s: %s wrong at %ld\n", variant, what, where);
}

/* What a finite half stands for, by the definition. */
static double
half_value(OmenHalf half)
{
	int			exponent = (half >> 10) & 31;
	int			fraction = half & 1023;
	double		size;

	if (exponent == 0)
		size = ldexp(fraction, -24);
	else
		size = ldexp(1024 + fraction, exponent - 25);
	return (half & OMEN_HALF_SIGN) ? -size : size;
}

/* The nearest half by the definition: ties to even, which is even bits. */
static OmenHalf
nearest_half(double size)
{
	int			low = 0;
	int			high = OMEN_HALF_INFINITY;

	/* infinity takes the place of 65536 */
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (half_value(middle) <= size)
			low = middle;
		else
			high = middle;
	}
	if (size - half_value(low) == half_value(high) - size)
		return (low & 1) ? high : low;
	return size - half_value(low) < half_value(high) - size ? low : high;
}

/* An array of n bytes that ends where reading is an error. */
static void *
at_page_end(size_t n)
{
	size_t		page = sysconf(_SC_PAGESIZE);
	size_t		length = (n + page - 1) / page * page;
	char	   *memory = mmap(NULL, length + page, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory + length, page, PROT_NONE) != 0)
		_exit(2);
	return memory + length - n;
}

static void
check_widen(const Variant *variant)
{
	static OmenHalf halves[2 * OMEN_HALF_INFINITY];
	static float floats[2 * OMEN_HALF_INFINITY];
	int			n = 0;

	for (int sign = 0; sign <= OMEN_HALF_SIGN; sign += OMEN_HALF_SIGN)
	{
		for (int half = 0; half < OMEN_HALF_INFINITY; half++)
			halves[n++] = sign | half;
	}
	variant->half->widen(halves, floats, n);
	for (int i = 0; i < n; i++)
		check(floats[i] == half_value(halves[i]) &&
			  !signbit(floats[i]) == !(halves[i] & OMEN_HALF_SIGN),
			  variant->name, "widen", halves[i]);
}

static void
check_narrow_one(const Variant *variant, float value)
{
	/* past a register, so that vector and scalar code both see it */
	float		in[33];
	OmenHalf	out[33];
	OmenHalf	expected = nearest_half(fabs((double) value)) | (signbit(value) ? OMEN_HALF_SIGN : 0);

	for (int i = 0; i < 33; i++)
		in[i] = value;
	variant->half->narrow(in, out, 33);
	check(out[0] == expected && out[32] == expected, variant->name, "narrow", expected);
}

static void
check_narrow(const Variant *variant)
{
	for (int half = 0; half < OMEN_HALF_INFINITY; half++)
	{
		float		value = half_value(half);
		float		middle = (half_value(half) + half_value(half + 1)) / 2;

		check_narrow_one(variant, value);
		check_narrow_one(variant, -nextafterf(value, INFINITY));
		check_narrow_one(variant, nextafterf(middle, 0));
		check_narrow_one(variant, -middle);
		check_narrow_one(variant, nextafterf(middle, INFINITY));
	}
	check_narrow_one(variant, FLT_MAX);
	check_narrow_one(variant, -INFINITY);
	check_narrow_one(variant, FLT_TRUE_MIN);
}

static void
check_distances(const Variant *variant, uint32 n)
{
	OmenHalf   *a = at_page_end(n * sizeof(OmenHalf));
	OmenHalf   *b = at_page_end(n * sizeof(OmenHalf));
	double		l2 = 0;
	double		l1 = 0;
	double		ab = 0;
	double		aa = 0;
	double		bb = 0;
	double		size = 0;
	double		bound = (n / 16.0 + 16) * FLT_EPSILON;
	float		terms[3];

	for (uint32 i = 0; i < n; i++)
	{
		double		x;
		double		y;

		a[i] = omen_float_to_half((int32) (next_random() % 2000) / 500.0f - 2);
		b[i] = omen_float_to_half((int32) (next_random() % 2000) / 10.0f - 100);
		x = half_value(a[i]);
		y = half_value(b[i]);
		l2 += (x - y) * (x - y);
		l1 += fabs(x - y);
		ab += x * y;
		aa += x * x;
		bb += y * y;
		size += fabs(x * y);
	}
	/* one conversion error more than exact floats have */
	bound *= 2;
	check(fabs(variant->half->l2_squared(a, b, n) - l2) <= bound * l2, variant->name, "l2", n);
	check(fabs(variant->half->l1(a, b, n) - l1) <= bound * l1, variant->name, "l1", n);
	check(fabs(variant->half->inner_product(a, b, n) - ab) <= bound * size, variant->name, "inner product", n);
	variant->half->cosine_terms(a, b, n, &terms[0], &terms[1], &terms[2]);
	check(fabs(terms[0] - ab) <= bound * size && fabs(terms[1] - aa) <= bound * aa &&
		  fabs(terms[2] - bb) <= bound * bb, variant->name, "cosine terms", n);
}

static void
check_bits(const Variant *variant, uint32 n)
{
	uint8	   *a = at_page_end(n);
	uint8	   *b = at_page_end(n);
	uint64		differing = 0;
	uint64		both = 0;
	uint64		either = 0;
	uint64		found[2];

	for (uint32 i = 0; i < n; i++)
	{
		a[i] = next_random();
		b[i] = (n % 3 == 0) ? 0xff : next_random();
		for (int bit = 0; bit < 8; bit++)
		{
			int			x = (a[i] >> bit) & 1;
			int			y = (b[i] >> bit) & 1;

			differing += x ^ y;
			both += x & y;
			either += x | y;
		}
	}
	check(variant->bits->differing(a, b, n) == differing, variant->name, "differing bits", n);
	variant->bits->common(a, b, n, &found[0], &found[1]);
	check(found[0] == both && found[1] == either, variant->name, "common bits", n);
}

static void
check_variant(const Variant *variant)
{
	check_widen(variant);
	check_narrow(variant);
	for (uint32 n = 0; n <= 200; n++)
	{
		check_distances(variant, n);
		check_bits(variant, n);
	}
	check_distances(variant, MAX_N);
	check_bits(variant, MAX_N);
}

static bool
runs_here(const char *name)
{
	const OmenKernels *const *tables;
	int			n = omen_kernels_available(&tables);

	for (int i = 0; i < n; i++)
	{
		if (strcmp(tables[i]->name, name) == 0)
			return true;
	}
	return false;
}

int
main(void)
{
	const Variant variants[] = {
		{"scalar", &omen_half_kernels_scalar, &omen_bit_kernels_scalar},
#ifdef OMEN_HAVE_X86_KERNELS
		{"avx2", &omen_half_kernels_avx2, &omen_bit_kernels_avx2},
		{"avx512", &omen_half_kernels_avx512, &omen_bit_kernels_avx512},
#endif
#ifdef OMEN_HAVE_NEON_KERNELS
		{"neon", &omen_half_kernels_neon, &omen_bit_kernels_neon},
#endif
	};

	for (size_t i = 0; i < lengthof(variants); i++)
	{
#ifdef OMEN_TEST_ALL
		check_variant(&variants[i]);
#else
		if (runs_here(variants[i].name))
			check_variant(&variants[i]);
#endif
	}
	(void) runs_here;
	printf("test_half_bits: %ld passed, %ld failed\n", n_passed, n_failed);
	return n_failed == 0 ? 0 : 1;
}
