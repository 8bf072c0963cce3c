/*-------------------------------------------------------------------------
 *
 * test_kernels.c
 *	  Every kernel variant of this machine against the promises of kernels.h.
 *
 * Integer and *_sq8 kernels must give the scalar variant's bits; *_f32 must be
 * within the stated bound of the sum in double precision; and the scalar
 * variant itself must give the bits written down here, for they are part of
 * what an index on disk relies on.  The arrays end or begin at a page that
 * cannot be read, so that a kernel that reads past them dies.
 *
 * With the argument "time" the program prints nanoseconds per call instead.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include <float.h>
#include <math.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "src/kernels/kernel_variants.h"

/* The server's own printf is not linked into this program. */
#undef printf
#undef qsort
#undef snprintf

#define MAX_N			16384
#define N_DATA_KINDS	6
#define N_PLACEMENTS	3
#define PLACEMENT_FOR_TIMING N_PLACEMENTS
#define MAX_TABLES		8
#define MAX_REPORTS		20

typedef enum KernelId
{
	L2_F32, IP_F32, L1_F32, COSINE_F32, DOT, DOT4, L2_SQ8, IP_SQ8, L1_SQ8,
	L2_KEYS_F32, IP_KEYS_F32, L1_KEYS_F32, L2_KEYS_F16, IP_KEYS_F16, L1_KEYS_F16,
	N_KERNELS
} KernelId;

static const char *const kernel_names[N_KERNELS] = {
	"l2_squared_f32", "inner_product_f32", "l1_f32", "cosine_terms_f32",
	"dot_u8s8", "dot4_u8s8",
	"l2_squared_sq8", "inner_product_sq8", "l1_sq8",
	"l2_keys_f32", "ip_keys_f32", "l1_keys_f32",
	"l2_keys_f16", "ip_keys_f16", "l1_keys_f16"
};

#define N_FLOAT_KEYS 6			/* from L2_KEYS_F32 on */
#define N_RECORDS 5				/* whose keys are computed together; some are the same */
#define N_DIFFERENT 3

/* The arguments of all kernels. */
typedef struct Sample
{
	uint32		n;
	int			data_kind;
	float	   *a;				/* also the query of *_sq8 and keys */
	float	   *b;
	uint8	   *codes[4];
	int8	   *query;
	float		offset;
	float		step;
	/* records of floats and of halves, if n is a multiple of OMEN_LANES */
	const uint8 *floats[N_RECORDS];
	const uint8 *halves[N_RECORDS];
} Sample;

/* What they must give: a sum, and the sum of its terms' absolute values. */
typedef struct Reference
{
	double		sum;
	double		absolute;
} Reference;

static const OmenKernels *tables[MAX_TABLES];
static int	n_tables;
static int	n_wrong[MAX_TABLES][N_KERNELS];
static int	n_passed = 0;
static int	n_failed = 0;
static int	n_reports = 0;

/* ----------------------------------------------------------------
 * Data
 * ----------------------------------------------------------------
 */

static uint64 random_state = 1;

static uint32
random_bits(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32) (random_state >> 32);
}

static float
random_float(float low, float high)
{
	return low + (high - low) * ((float) (random_bits() >> 8) / 16777216.0f);
}

static float
make_float(int data_kind)
{
	switch (data_kind)
	{
		case 0:
			return random_float(-1, 1);
		case 1:					/* sums and even differences overflow */
			return random_float(-1, 1) * FLT_MAX;
		case 2:					/* denormal */
			return random_float(-1, 1) * FLT_MIN / 16;
		case 3:					/* any magnitude */
			return ldexpf(random_float(-1, 1), (int) (random_bits() % 127) - 63);
		case 4:					/* differences cancel */
			return 1000 + random_float(0, 0.01f);
		default:				/* zeros of both signs, and ones */
			return (random_bits() & 1) ? -0.0f : (float) (random_bits() & 1);
	}
}

static uint8
make_code(int data_kind)
{
	switch (data_kind)
	{
		case 1:
			return 255;
		case 2:
			return (random_bits() & 1) ? 255 : 0;
		case 5:
			return 0;
		default:
			return (uint8) random_bits();
	}
}

static int8
make_query(int data_kind)
{
	switch (data_kind)
	{
		case 1:
			return -128;
		case 2:
			return (random_bits() & 1) ? 127 : -128;
		case 4:
			return 127;
		default:
			return (int8) random_bits();
	}
}

/*
 * Memory for MAX_N floats between two unreadable pages; returns the first
 * byte, *end is one past the last.
 */
static char *
guarded_area(char **end)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	size_t		bytes = TYPEALIGN(page, MAX_N * sizeof(float));
	char	   *area = mmap(NULL, bytes + 2 * page, PROT_READ | PROT_WRITE,
							MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED ||
		mprotect(area, page, PROT_NONE) != 0 ||
		mprotect(area + page + bytes, page, PROT_NONE) != 0)
	{
		perror("could not map memory");
		exit(2);
	}
	*end = area + page + bytes;
	return area + page;
}

/*
 * Where in its area an array goes: against the page behind it, against the
 * page before it, or somewhere between at a random offset from alignment.
 * For timing it is aligned, but the arrays do not compete for cache sets.
 */
static void *
place(int area, size_t bytes, size_t element_bytes, int placement)
{
	static char *starts[7 + 2 * N_DIFFERENT];
	static char *ends[7 + 2 * N_DIFFERENT];

	if (starts[area] == NULL)
		starts[area] = guarded_area(&ends[area]);
	if (placement == PLACEMENT_FOR_TIMING)
		return starts[area] + area * 1088;
	if (placement == 0)
		return ends[area] - bytes;
	if (placement == 1 || bytes + 64 > (size_t) (ends[area] - starts[area]))
		return starts[area];
	return starts[area] + random_bits() % (64 / element_bytes) * element_bytes;
}

/* A finite half, of any size. */
static OmenHalf
make_half(void)
{
	OmenHalf	half = (OmenHalf) random_bits();

	return (half & OMEN_HALF_INFINITY) == OMEN_HALF_INFINITY ? half & ~OMEN_HALF_INFINITY : half;
}

static void
make_records(Sample *sample, int placement)
{
	for (int k = 0; k < N_RECORDS; k++)
	{
		float	   *floats;
		OmenHalf   *halves;

		if (k >= N_DIFFERENT)
		{
			sample->floats[k] = sample->floats[k - N_DIFFERENT];
			sample->halves[k] = sample->halves[k - N_DIFFERENT];
			continue;
		}
		floats = place(7 + k, sample->n * sizeof(float), sizeof(float), placement);
		halves = place(7 + N_DIFFERENT + k, sample->n * sizeof(OmenHalf), sizeof(OmenHalf), placement);
		for (uint32 i = 0; i < sample->n; i++)
		{
			floats[i] = make_float(sample->data_kind);
			halves[i] = make_half();
		}
		sample->floats[k] = (const uint8 *) floats;
		sample->halves[k] = (const uint8 *) halves;
	}
}

static void
make_sample(Sample *sample, uint32 n, int data_kind, int placement)
{
	sample->n = n;
	sample->data_kind = data_kind;
	sample->a = place(0, n * sizeof(float), sizeof(float), placement);
	sample->b = place(1, n * sizeof(float), sizeof(float), placement);
	sample->query = place(2, n, 1, placement);
	for (int k = 0; k < 4; k++)
		sample->codes[k] = place(3 + k, n, 1, placement);

	for (uint32 i = 0; i < n; i++)
	{
		sample->a[i] = make_float(data_kind);
		sample->b[i] = make_float(data_kind);
		sample->query[i] = make_query(data_kind);
		for (int k = 0; k < 4; k++)
			sample->codes[k][i] = make_code(data_kind);
	}
	sample->offset = make_float(data_kind);
	sample->step = fabsf(make_float(data_kind)) / 255;
	if (n % OMEN_LANES == 0)
		make_records(sample, placement);
}

/* ----------------------------------------------------------------
 * Checks
 * ----------------------------------------------------------------
 */

static void
count_case(bool passed, const char *name)
{
	if (passed)
		n_passed++;
	else
	{
		n_failed++;
		printf("FAILED: %s\n", name);
	}
}

static void
report(int table, KernelId id, const Sample *sample, double expected, double got)
{
	n_wrong[table][id]++;
	if (n_reports++ < MAX_REPORTS)
		printf("%s %s, n %u, data %d: expected %.9g, got %.9g\n",
			   tables[table]->name, kernel_names[id], sample->n,
			   sample->data_kind, expected, got);
}

/* An *_f32 kernel may round: within the bound of kernels.h, and underflow. */
static void
check_rounded(int table, KernelId id, const Sample *sample,
			  const Reference *reference, float got)
{
	double		bound = (sample->n / 16 + 16) * (double) FLT_EPSILON * reference->absolute +
		(sample->n + 1) * (double) FLT_MIN * FLT_EPSILON;

	if (reference->absolute + bound > FLT_MAX)
	{
		/* terms of one sign add up to infinity, or nearly */
		if (reference->sum == reference->absolute && got < FLT_MAX * 0.99f)
			report(table, id, sample, reference->sum, got);
	}
	else if (!(fabs(got - reference->sum) <= bound))
		report(table, id, sample, reference->sum, got);
}

/* Equal bits; of NaNs, which carry their history, there is only one. */
static void
check_bits(int table, KernelId id, const Sample *sample, float expected, float got)
{
	if (memcmp(&expected, &got, sizeof(float)) != 0 && !(isnan(expected) && isnan(got)))
		report(table, id, sample, expected, got);
}

static void
add_term(Reference *reference, double term)
{
	reference->sum += term;
	reference->absolute += fabs(term);
}

static void
check_f32(const Sample *sample)
{
	Reference	l2 = {0, 0};
	Reference	ip = {0, 0};
	Reference	l1 = {0, 0};
	Reference	aa = {0, 0};
	Reference	bb = {0, 0};
	const float *a = sample->a;
	const float *b = sample->b;
	uint32		n = sample->n;

	for (uint32 i = 0; i < n; i++)
	{
		double		x = a[i];
		double		y = b[i];

		add_term(&l2, (x - y) * (x - y));
		add_term(&ip, x * y);
		add_term(&l1, fabs(x - y));
		add_term(&aa, x * x);
		add_term(&bb, y * y);
	}
	for (int t = 0; t < n_tables; t++)
	{
		float		cosine[3];

		check_rounded(t, L2_F32, sample, &l2, tables[t]->l2_squared_f32(a, b, n));
		check_rounded(t, IP_F32, sample, &ip, tables[t]->inner_product_f32(a, b, n));
		check_rounded(t, L1_F32, sample, &l1, tables[t]->l1_f32(a, b, n));
		tables[t]->cosine_terms_f32(a, b, n, &cosine[0], &cosine[1], &cosine[2]);
		check_rounded(t, COSINE_F32, sample, &ip, cosine[0]);
		check_rounded(t, COSINE_F32, sample, &aa, cosine[1]);
		check_rounded(t, COSINE_F32, sample, &bb, cosine[2]);
	}
}

static void
check_dot(const Sample *sample)
{
	const uint8 *const *codes = (const uint8 *const *) sample->codes;
	int64		expected[4] = {0, 0, 0, 0};

	for (uint32 i = 0; i < sample->n; i++)
	{
		for (int k = 0; k < 4; k++)
			expected[k] += (int64) codes[k][i] * sample->query[i];
	}
	for (int t = 0; t < n_tables; t++)
	{
		int32		got[4];
		int32		got_one = tables[t]->dot_u8s8(codes[0], sample->query, sample->n);

		if (got_one != expected[0])
			report(t, DOT, sample, (double) expected[0], got_one);
		tables[t]->dot4_u8s8(codes, sample->query, sample->n, got);
		for (int k = 0; k < 4; k++)
		{
			if (got[k] != expected[k])
				report(t, DOT4, sample, (double) expected[k], got[k]);
		}
	}
}

static void
check_sq8(const Sample *sample)
{
	const OmenKernels *scalar = &omen_kernels_scalar;
	const float *query = sample->a;
	const uint8 *code = sample->codes[0];
	float		offset = sample->offset;
	float		step = sample->step;
	uint32		n = sample->n;
	float		l2 = scalar->l2_squared_sq8(query, code, offset, step, n);
	float		ip = scalar->inner_product_sq8(query, code, offset, step, n);
	float		l1 = scalar->l1_sq8(query, code, offset, step, n);

	for (int t = 0; t < n_tables; t++)
	{
		check_bits(t, L2_SQ8, sample, l2,
				   tables[t]->l2_squared_sq8(query, code, offset, step, n));
		check_bits(t, IP_SQ8, sample, ip,
				   tables[t]->inner_product_sq8(query, code, offset, step, n));
		check_bits(t, L1_SQ8, sample, l1,
				   tables[t]->l1_sq8(query, code, offset, step, n));
	}
}

static OmenFloatKeys
float_keys(const OmenKernels *k, KernelId id)
{
	const OmenFloatKeys of_table[N_FLOAT_KEYS] = {
		k->l2_keys_f32, k->ip_keys_f32, k->l1_keys_f32,
		k->l2_keys_f16, k->ip_keys_f16, k->l1_keys_f16
	};

	return of_table[id - L2_KEYS_F32];
}

/* The records that a kernel of keys reads. */
static const uint8 *const *
records(const Sample *sample, KernelId id)
{
	return id >= L2_KEYS_F16 ? sample->halves : sample->floats;
}

static void
check_float_keys(const Sample *sample)
{
	for (int id = L2_KEYS_F32; id < L2_KEYS_F32 + N_FLOAT_KEYS; id++)
	{
		const uint8 *const *codes = records(sample, (KernelId) id);
		float		expected[N_RECORDS];

		float_keys(&omen_kernels_scalar, (KernelId) id) (sample->a, sample->n, N_RECORDS, codes, expected);
		for (int t = 0; t < n_tables; t++)
		{
			float		got[N_RECORDS + 1];

			for (int n = 0; n <= N_RECORDS; n++)
			{
				got[n] = 12345.0f;
				float_keys(tables[t], (KernelId) id) (sample->a, sample->n, n, codes, got);
				for (int k = 0; k < n; k++)
					check_bits(t, (KernelId) id, sample, expected[k], got[k]);
				if (got[n] != 12345.0f)
					report(t, (KernelId) id, sample, 12345.0f, got[n]);
			}
		}
	}
}

static void
check_length(uint32 n)
{
	Sample		sample;

	for (int data_kind = 0; data_kind < N_DATA_KINDS; data_kind++)
	{
		for (int placement = 0; placement < N_PLACEMENTS; placement++)
		{
			make_sample(&sample, n, data_kind, placement);
			check_f32(&sample);
			check_dot(&sample);
			check_sq8(&sample);
			if (n % OMEN_LANES == 0)
				check_float_keys(&sample);
		}
	}
}

/* Mix the bits of a result into a hash. */
static uint32
mix(uint32 hash, float value)
{
	uint32		bits;

	memcpy(&bits, &value, sizeof(bits));
	return (hash ^ bits) * 0x01000193U;
}

/*
 * The definition's own bits, written down once: they change if the order of
 * the sums changes, and if a compiler fuses a multiplication and an addition
 * that it must not.
 */
static void
check_definition(void)
{
	const OmenKernels *scalar = &omen_kernels_scalar;
	static const uint32 expected[3] = {0x53e90140, 0x3a54bff1, 0xa76b2e4f};
	uint32		hash[3] = {0, 0, 0};
	float		got[3];
	double		worst = 0;

	random_state = 20240229;
	for (uint32 n = 1; n <= 200; n++)
	{
		float		query[200];
		uint8		code[200];
		double		sums[3] = {0, 0, 0};
		double		decoded;
		float		offset = random_float(-1, 1);
		float		step = random_float(0, 0.01f);

		for (uint32 i = 0; i < n; i++)
		{
			query[i] = random_float(-1, 1);
			code[i] = (uint8) random_bits();
			decoded = offset + (double) step * code[i];
			sums[0] += (query[i] - decoded) * (query[i] - decoded);
			sums[1] += query[i] * decoded;
			sums[2] += fabs(query[i] - decoded);
		}
		got[0] = scalar->l2_squared_sq8(query, code, offset, step, n);
		got[1] = scalar->inner_product_sq8(query, code, offset, step, n);
		got[2] = scalar->l1_sq8(query, code, offset, step, n);
		for (int k = 0; k < 3; k++)
		{
			hash[k] = mix(hash[k], got[k]);
			worst = Max(worst, fabs(got[k] - sums[k]) / n);
		}
	}
	for (int k = 0; k < 3; k++)
	{
		if (hash[k] != expected[k])
			printf("definition of %s: expected bits %08x, got %08x\n",
				   kernel_names[L2_SQ8 + k], expected[k], hash[k]);
		count_case(hash[k] == expected[k], "bits of the definition");
	}
	count_case(worst < 1e-6, "definition against double precision");
}

/* The same of keys of floats and halves. */
static void
check_definition_of_keys(void)
{
	static const uint32 expected[N_FLOAT_KEYS] = {
		0x824e89e2, 0xcc0cb779, 0x399fa40f, 0x6345f845, 0x482d2a42, 0x3f333d28
	};
	uint32		hash[N_FLOAT_KEYS] = {0};
	double		worst = 0;

	random_state = 20240301;
	for (uint32 n = OMEN_LANES; n <= 200; n += OMEN_LANES)
	{
		float		query[200];
		float		floats[200];
		OmenHalf	halves[200];
		double		sums[N_FLOAT_KEYS] = {0};

		for (uint32 i = 0; i < n; i++)
		{
			query[i] = random_float(-1, 1);
			floats[i] = random_float(-1, 1);
			halves[i] = omen_float_to_half(random_float(-1, 1));
			for (int k = 0; k < N_FLOAT_KEYS; k += 3)
			{
				double		x = k == 0 ? floats[i] : omen_half_to_float(halves[i]);

				sums[k] += (query[i] - x) * (query[i] - x);
				sums[k + 1] -= query[i] * x;
				sums[k + 2] += fabs(query[i] - x);
			}
		}
		for (int k = 0; k < N_FLOAT_KEYS; k++)
		{
			const uint8 *code = k < 3 ? (const uint8 *) floats : (const uint8 *) halves;
			float		got;

			float_keys(&omen_kernels_scalar, (KernelId) (L2_KEYS_F32 + k)) (query, n, 1, &code, &got);
			hash[k] = mix(hash[k], got);
			worst = Max(worst, fabs(got - sums[k]) / n);
		}
	}
	for (int k = 0; k < N_FLOAT_KEYS; k++)
	{
		if (hash[k] != expected[k])
			printf("definition of %s: expected bits %08x, got %08x\n",
				   kernel_names[L2_KEYS_F32 + k], expected[k], hash[k]);
		count_case(hash[k] == expected[k], "bits of the definition");
	}
	count_case(worst < 1e-6, "definition of keys against double precision");
}

static void
check_dispatch(void)
{
	const OmenKernels *const *found;
	int			n = omen_kernels_available(&found);

	count_case(omen_kernels == &omen_kernels_scalar, "scalar before selection");
	count_case(n >= 1 && found[0] == &omen_kernels_scalar, "scalar comes first");
	for (int k = 0; k < n; k++)
		count_case(omen_kernels_select(found[k]->name) && omen_kernels == found[k],
				   found[k]->name);
	count_case(omen_kernels_select("auto") && omen_kernels == found[n - 1],
			   "auto selects the best");
	count_case(!omen_kernels_select("mmx") && omen_kernels == found[n - 1],
			   "unknown names change nothing");
}

/* ----------------------------------------------------------------
 * Times
 * ----------------------------------------------------------------
 */

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

#define CALLS_PER_RUN 20000
#define REPEAT(call) \
	for (int repeat = 0; repeat < CALLS_PER_RUN; repeat++) \
		call

static void
call_repeatedly(const OmenKernels *k, KernelId id, const Sample *s)
{
	const uint8 *const *codes = (const uint8 *const *) s->codes;
	volatile float sink;
	float		cosine[3];
	float		keys[4];
	int32		dots[4];

	switch (id)
	{
		case L2_F32:
			REPEAT(sink = k->l2_squared_f32(s->a, s->b, s->n));
			break;
		case IP_F32:
			REPEAT(sink = k->inner_product_f32(s->a, s->b, s->n));
			break;
		case L1_F32:
			REPEAT(sink = k->l1_f32(s->a, s->b, s->n));
			break;
		case COSINE_F32:
			REPEAT(k->cosine_terms_f32(s->a, s->b, s->n, &cosine[0], &cosine[1], &cosine[2]));
			sink = cosine[0];
			break;
		case DOT:
			REPEAT(sink = (float) k->dot_u8s8(s->codes[0], s->query, s->n));
			break;
		case DOT4:
			REPEAT(k->dot4_u8s8(codes, s->query, s->n, dots));
			sink = (float) dots[0];
			break;
		case L2_SQ8:
			REPEAT(sink = k->l2_squared_sq8(s->a, s->codes[0], s->offset, s->step, s->n));
			break;
		case IP_SQ8:
			REPEAT(sink = k->inner_product_sq8(s->a, s->codes[0], s->offset, s->step, s->n));
			break;
		case L1_SQ8:
			REPEAT(sink = k->l1_sq8(s->a, s->codes[0], s->offset, s->step, s->n));
			break;
		default:
			REPEAT(float_keys(k, id) (s->a, s->n, 4, records(s, id), keys));
			sink = keys[0];
			break;
	}
	(void) sink;
}

/* The best of several runs, for the machine may be busy. */
static double
time_kernel(const OmenKernels *table, KernelId id, const Sample *sample)
{
	double		best = INFINITY;

	for (int run = 0; run < 15; run++)
	{
		double		start = now_ns();

		call_repeatedly(table, id, sample);
		best = Min(best, (now_ns() - start) / CALLS_PER_RUN);
	}
	return best;
}

static void
print_times(void)
{
	static const uint32 dims[] = {112, 128, 384, 768, 1536};
	Sample		sample;

	printf("%-20s", "ns per call");
	for (int t = 0; t < n_tables; t++)
	{
		for (int d = 0; d < (int) lengthof(dims); d++)
			printf("%8s %-5u", tables[t]->name, dims[d]);
	}
	for (int id = 0; id < N_KERNELS; id++)
	{
		printf("\n%-20s", kernel_names[id]);
		for (int t = 0; t < n_tables; t++)
		{
			for (int d = 0; d < (int) lengthof(dims); d++)
			{
				make_sample(&sample, dims[d], 0, PLACEMENT_FOR_TIMING);
				printf("%14.1f", time_kernel(tables[t], (KernelId) id, &sample));
			}
		}
	}
	printf("\n");
}

/* ---------- sorted words ---------- */

#define MAX_SORTED 300
#define MAX_INSERTED 64

static int
compare_words(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/* Insert n words into n_sorted ones, the last n_free of which are all ones. */
static bool
insert_is_right(const OmenKernels *k, uint32 n_sorted, uint32 n_free, uint32 n, bool want_fallen)
{
	static uint64 sorted[MAX_SORTED] __attribute__((aligned(64)));
	static uint64 expected[MAX_SORTED + MAX_INSERTED];
	uint64		words[MAX_INSERTED];
	uint64		fallen[MAX_INSERTED];

	for (uint32 i = 0; i < n_sorted + n; i++)
		expected[i] = ((uint64) (random_bits() % 4) << 62) | ((uint64) random_bits() << 20) | i;
	for (uint32 i = n_sorted - n_free; i < n_sorted; i++)
		expected[i] = PG_UINT64_MAX;
	memcpy(sorted, expected, sizeof(uint64) * n_sorted);
	memcpy(words, expected + n_sorted, sizeof(uint64) * n);
	qsort(sorted, n_sorted, sizeof(uint64), compare_words);
	qsort(expected, n_sorted + n, sizeof(uint64), compare_words);

	k->insert_sorted(sorted, n_sorted, words, n, want_fallen ? fallen : NULL);
	if (memcmp(sorted, expected, sizeof(uint64) * n_sorted) != 0)
		return false;
	if (!want_fallen)
		return true;
	qsort(fallen, n, sizeof(uint64), compare_words);
	return memcmp(fallen, expected + n_sorted, sizeof(uint64) * n) == 0;
}

static void
check_insert_sorted(void)
{
	for (int t = 0; t < n_tables; t++)
	{
		long		n_bad = 0;
		char		name[64];

		for (uint32 n_sorted = 1; n_sorted <= MAX_SORTED; n_sorted++)
		{
			for (uint32 n = 0; n <= MAX_INSERTED; n += 1 + n / 4)
			{
				n_bad += !insert_is_right(tables[t], n_sorted, 0, n, true);
				n_bad += !insert_is_right(tables[t], n_sorted, n_sorted, n, true);
				n_bad += !insert_is_right(tables[t], n_sorted, n_sorted / 2, n, false);
			}
		}
		snprintf(name, sizeof(name), "%s insert_sorted", tables[t]->name);
		count_case(n_bad == 0, name);
	}
}

int
main(int argc, char **argv)
{
	static const uint32 long_lengths[] = {4096, 16000, MAX_N};
	const OmenKernels *const *found;
	char		name[64];

	check_dispatch();
	n_tables = omen_kernels_available(&found);
	memcpy(tables, found, n_tables * sizeof(tables[0]));
#ifdef OMEN_TEST_TABLE
	tables[n_tables++] = &OMEN_TEST_TABLE;	/* emulated */
#endif

	if (argc > 1 && strcmp(argv[1], "time") == 0)
	{
		print_times();
		return 0;
	}

	check_definition();
	check_definition_of_keys();
	check_insert_sorted();
	for (uint32 n = 0; n <= 2100; n++)
		check_length(n);
	for (int k = 0; k < (int) lengthof(long_lengths); k++)
		check_length(long_lengths[k]);

	for (int t = 0; t < n_tables; t++)
	{
		for (int id = 0; id < N_KERNELS; id++)
		{
			snprintf(name, sizeof(name), "%s %s", tables[t]->name, kernel_names[id]);
			count_case(n_wrong[t][id] == 0, name);
		}
	}
	printf("test_kernels (");
	for (int t = 0; t < n_tables; t++)
		printf("%s%s", t > 0 ? ", " : "", tables[t]->name);
	printf("): %d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0 ? 1 : 0;
}
