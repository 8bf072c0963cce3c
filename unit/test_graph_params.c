/*-------------------------------------------------------------------------
 *
 * test_graph_params.c
 *	  What the trial says of easy data and of hard data, and what comes of it.
 *
 *-------------------------------------------------------------------------
 */
#include "c.h"

#include "src/graph/graph_array.h"
#include "src/graph/graph_params.h"
#include "unit/test_check.h"
#include "unit/test_host.h"
#include "unit/test_random.h"

#define N_NODES 12000
#define DIMS 64

static TestCounts counts;
static const OmenHost host = TEST_HOST(&counts);

/* Wide in as many directions; narrow in the others. */
static void
random_vector(float *x, int n_directions)
{
	int			i;

	for (i = 0; i < DIMS; i++)
		x[i] = (float) next_sum(4) * (i < n_directions ? 1 : 0.05f);
}

static void
make_records(OmenRecords *records, const OmenCodec *codec, int n_directions)
{
	float		x[DIMS];
	uint32		i;

	records->codec = codec;
	records->n = N_NODES;
	records->factors = test_host_alloc(&counts, (size_t) N_NODES * codec->factor_bytes);
	records->codes = test_host_alloc(&counts, (size_t) N_NODES * codec->code_bytes);
	for (i = 0; i < N_NODES; i++)
	{
		random_vector(x, n_directions);
		codec->encode(codec, x, records->factors + (size_t) i * codec->factor_bytes,
					  records->codes + (size_t) i * codec->code_bytes);
	}
}

static void
release_records(OmenRecords *records)
{
	test_host_release(&counts, records->factors);
	test_host_release(&counts, records->codes);
}

static void
test_data(const OmenCodec *codec, int n_directions, uint32 m, uint32 least_ef, uint32 most_ef)
{
	OmenRecords records;
	OmenGraphParams params;
	OmenGraphParams again;
	uint32		ef;
	uint32		ef_again;
	long		held_before;

	make_records(&records, codec, n_directions);
	held_before = counts.n_allocated;
	params = omen_graph_choose_params(&host, &records, &ef);
	again = omen_graph_choose_params(&host, &records, &ef_again);
	check(counts.n_allocated == held_before, "memory released", counts.n_allocated - held_before);
	check(params.m == m && params.ef_construction == 4 * m, "links chosen", params.m);
	check(ef >= least_ef && ef <= most_ef, "beam of the trial", ef);
	check(again.m == params.m && ef_again == ef, "same records, same choice", ef_again);

	records.n = 4000;
	params = omen_graph_choose_params(&host, &records, &ef);
	check(params.m == OMEN_DEFAULT_M && ef == 0, "no trial of few records", ef);
	records.n = 0;
	check(omen_graph_choose_params(&host, &records, NULL).m == OMEN_DEFAULT_M, "no records", 0);
	release_records(&records);
}

int
main(void)
{
	OmenCodec	codec;

	omen_kernels_select("auto");
	omen_codec_init(&codec, OMEN_CODE_SQ8, OMEN_METRIC_L2, DIMS);
	test_data(&codec, 6, OMEN_DEFAULT_M, 24, 30);
	test_data(&codec, DIMS, 2 * OMEN_DEFAULT_M, 40, 80);
	omen_codec_init(&codec, OMEN_CODE_SQ8, OMEN_METRIC_COSINE, DIMS);
	test_data(&codec, 6, OMEN_DEFAULT_M, 24, 30);
	test_data(&codec, DIMS, 2 * OMEN_DEFAULT_M, 40, 80);
	return report_checks("test_graph_params");
}
