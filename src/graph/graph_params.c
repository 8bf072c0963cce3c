/*-------------------------------------------------------------------------
 *
 * graph_params.c
 *	  How many links the nodes of a graph need: a trial.
 *
 * Where vectors fill their dimensions evenly, as random ones do, all nodes are
 * about as far from each other, and a search that has few links to go by needs
 * a beam of hundreds.  More links cost building time and memory, but repay
 * that in every search.  Most data is not like this: what counts is not how
 * many dimensions there are, but in how many directions the data really goes,
 * and that shows in a graph over a small sample already: for easy data the
 * least beam is wide enough there.
 *
 * The sample has a fixed size, so that one scale fits all.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_params.h"

#include "src/graph/graph_array.h"

#define SAMPLE_NODES 2500

/* Of fewer, a trial would cost too much of the build; wide beams do there. */
#define MIN_NODES (2 * SAMPLE_NODES)

/* A trial that needs so wide a beam for that recall calls for more links. */
#define TRIAL_RECALL 0.97
#define HARD_EF 40

static const OmenGraphParams easy_params = {OMEN_DEFAULT_M, OMEN_DEFAULT_EF_CONSTRUCTION};
static const OmenGraphParams hard_params = {2 * OMEN_DEFAULT_M, 2 * OMEN_DEFAULT_EF_CONSTRUCTION};

/* Every n-th record. */
static void
take_sample(const OmenRecords *records, OmenRecords *sample)
{
	const OmenCodec *codec = records->codec;
	uint32		i;

	for (i = 0; i < sample->n; i++)
	{
		uint32		node = (uint32) ((uint64) records->n * i / sample->n);

		memcpy(sample->factors + (size_t) i * codec->factor_bytes, omen_records_factors(records, node), codec->factor_bytes);
		memcpy(sample->codes + (size_t) i * codec->code_bytes, omen_records_code(records, node), codec->code_bytes);
	}
}

/* Make a graph of the records, which are brought into another order, for its curve. */
static void
make_trial(const OmenTeam *alone, OmenRecords *records, OmenRecallCurve *curve)
{
	const OmenHost *host = &alone->host;
	const OmenCodec *codec = records->codec;
	uint32	   *order = host->alloc(host->arg, sizeof(uint32) * records->n);
	uint32	   *links = host->alloc(host->arg, sizeof(uint32) * 2 * easy_params.m * records->n);
	OmenRouting routing;

	omen_locality_order(alone, records, order, &routing);
	omen_permute(alone, records->factors, codec->factor_bytes, order, records->n);
	omen_permute(alone, records->codes, codec->code_bytes, order, records->n);
	omen_graph_link(alone, records, &routing, &easy_params, links, curve);
	omen_routing_release(alone, &routing);
	host->release(host->arg, links);
	host->release(host->arg, order);
}

/* How wide the beams are, on average, that the curve asks for; 0 if there is none. */
static uint32
needed_ef(const OmenRecallCurve *curve)
{
	uint32		ef[OMEN_CURVE_CLASSES];
	uint32		sum = 0;
	int			class;

	if (!omen_curve_is_known(curve))
		return 0;
	(void) omen_curve_choose(curve, TRIAL_RECALL, ef);
	for (class = 0; class < OMEN_CURVE_CLASSES; class++)
		sum += ef[class];
	return sum / OMEN_CURVE_CLASSES;
}

static uint32
try_sample(const OmenHost *host, const OmenRecords *records)
{
	const OmenCodec *codec = records->codec;
	OmenRecords sample = {.codec = codec,.n = SAMPLE_NODES};
	OmenRecallCurve curve;
	OmenTeam	alone;

	sample.factors = host->alloc(host->arg, (size_t) sample.n * codec->factor_bytes);
	sample.codes = host->alloc(host->arg, (size_t) sample.n * codec->code_bytes);
	omen_team_alone(&alone, host);
	take_sample(records, &sample);
	make_trial(&alone, &sample, &curve);
	host->release(host->arg, sample.codes);
	host->release(host->arg, sample.factors);
	return needed_ef(&curve);
}

OmenGraphParams
omen_graph_choose_params(const OmenHost *host, const OmenRecords *records, uint32 *trial_ef)
{
	uint32		ef = records->n < MIN_NODES ? 0 : try_sample(host, records);

	if (trial_ef)
		*trial_ef = ef;
	return ef < HARD_EF ? easy_params : hard_params;
}
