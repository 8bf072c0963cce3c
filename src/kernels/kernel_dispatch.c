/*-------------------------------------------------------------------------
 *
 * kernel_dispatch.c
 *	  Asks the CPU and the operating system which variants can run, once.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/kernels/kernel_variants.h"

#if defined(OMEN_HAVE_X86_KERNELS)
#include <cpuid.h>
#endif
#if defined(OMEN_HAVE_NEON_DOT_KERNELS) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

#define MAX_VARIANTS 4

const OmenKernels *omen_kernels = &omen_kernels_scalar;

/* Filled in by the first call of omen_kernels_available(), best one last. */
static const OmenKernels *available[MAX_VARIANTS];
static int	n_available = 0;

#if defined(OMEN_HAVE_X86_KERNELS)

/*
 * __builtin_cpu_supports() of the vector sets includes the question whether
 * the operating system saves their registers.  Not every compiler knows the
 * name f16c there, but where AVX2 may run its bit alone decides.
 */
static bool
cpu_has_avx2(void)
{
	unsigned int eax;
	unsigned int ebx;
	unsigned int ecx;
	unsigned int edx;

	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
		return false;
	return __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C) != 0;
}

static bool
cpu_has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") &&
		__builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512vnni");
}

#endif

#if defined(OMEN_HAVE_NEON_DOT_KERNELS)

static bool
cpu_has_neon_dot(void)
{
#if defined(__ARM_FEATURE_DOTPROD)
	return true;
#elif defined(__linux__)
	return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
	return false;
#endif
}

#endif

static void
detect(void)
{
	available[n_available++] = &omen_kernels_scalar;

#if defined(OMEN_HAVE_X86_KERNELS)
	__builtin_cpu_init();
	if (cpu_has_avx2())
		available[n_available++] = &omen_kernels_avx2;
	if (cpu_has_avx512())
		available[n_available++] = &omen_kernels_avx512;
#endif

#if defined(OMEN_HAVE_NEON_KERNELS)
	/* part of the architecture */
	available[n_available++] = &omen_kernels_neon;
#endif
#if defined(OMEN_HAVE_NEON_DOT_KERNELS)
	if (cpu_has_neon_dot())
		available[n_available++] = &omen_kernels_neon_dot;
#endif
}

int
omen_kernels_available(const OmenKernels *const **tables)
{
	if (n_available == 0)
		detect();
	*tables = available;
	return n_available;
}

bool
omen_kernels_select(const char *name)
{
	const OmenKernels *const *tables;
	int			n = omen_kernels_available(&tables);

	if (strcmp(name, "auto") == 0)
	{
		omen_kernels = tables[n - 1];
		return true;
	}
	for (int k = 0; k < n; k++)
	{
		if (strcmp(name, tables[k]->name) == 0)
		{
			omen_kernels = tables[k];
			return true;
		}
	}
	return false;
}
