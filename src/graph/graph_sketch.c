/*-------------------------------------------------------------------------
 *
 * graph_sketch.c
 *	  Sketches of the records of a graph: learning the model, encoding all.
 *
 * The model is learnt from codes that are spread evenly over the records.
 * These are in locality order, so each neighbourhood has its share, and the
 * same records give the same model.  Decoded codes are as good as the vectors
 * themselves here: what a sketch loses is many times what the code has lost.
 *
 *-------------------------------------------------------------------------
 */
#include "src/graph/graph_array.h"

/* Records claimed at a time: for the longest, this takes a few milliseconds. */
#define SKETCH_PIECE 16

static void
decode_record(const OmenRecords *records, uint32 node, float *x)
{
	records->codec->decode(records->codec, omen_records_factors(records, node),
						   omen_records_code(records, node), x);
}

/* Each member decodes a part of the sample. */
static void
fill_sample(const OmenTeam *team, const OmenRecords *records, uint32 n_sample, float *sample)
{
	uint32		from;
	uint32		to;

	omen_team_part(team, n_sample, &from, &to);
	for (; from < to; from++)
	{
		if (from % SKETCH_PIECE == 0)
			team->host.tick(team->host.arg, 0);
		decode_record(records, (uint32) ((uint64) from * records->n / n_sample),
					  sample + (size_t) from * records->codec->dims);
	}
	team->barrier(team->arg);
}

static void
tick_sample(void *arg)
{
	const OmenHost *host = arg;

	host->tick(host->arg, 0);
}

/* The members learn the parts of the model side by side. */
static void
learn_model(const OmenTeam *team, const OmenRecords *records, OmenSketches *sketches,
			uint32 *claim)
{
	const OmenSketch *sketch = sketches->sketch;
	const OmenHost *host = &team->host;
	uint32		n_sample = Min(records->n, sketch->sample_max);
	float	   *x = team->share(team->arg, sizeof(float) * n_sample * sketch->dims);
	OmenSketchSample sample = {.n = n_sample,.x = x,.tick = tick_sample,.tick_arg = unconstify(OmenHost *, host)};
	void	   *scratch = host->alloc(host->arg, Max(sketch->train_scratch_bytes, 1));
	uint32		part;
	uint32		next;

	fill_sample(team, records, n_sample, x);
	while (omen_team_claim(claim, 1, sketch->train_parts, &part, &next))
		sketch->train(sketch, part, &sample, sketches->model, scratch);
	host->release(host->arg, scratch);
	team->unshare(team->arg, x);	/* and the model is there */
}

static void
encode_records(const OmenTeam *team, const OmenRecords *records, OmenSketches *sketches,
			   uint32 *claim)
{
	const OmenSketch *sketch = sketches->sketch;
	const OmenHost *host = &team->host;
	float	   *x = host->alloc(host->arg, sizeof(float) * sketch->dims);
	void	   *scratch = host->alloc(host->arg, Max(sketch->encode_scratch_bytes, 1));
	uint32		from;
	uint32		to;

	while (omen_team_claim(claim, SKETCH_PIECE, records->n, &from, &to))
	{
		host->tick(host->arg, from);
		for (; from < to; from++)
		{
			decode_record(records, from, x);
			sketch->encode(sketch, sketches->model, x,
						   sketches->records + (size_t) from * sketch->sketch_bytes, scratch);
		}
	}
	host->release(host->arg, x);
	host->release(host->arg, scratch);
}

void
omen_sketches_make(const OmenTeam *team, const OmenRecords *records, OmenSketches *sketches)
{
	const OmenSketch *sketch = sketches->sketch;
	uint32	   *claims = team->share(team->arg, 2 * sizeof(uint32));

	sketches->model = team->share(team->arg, sketch->model_bytes);
	sketches->records = team->share(team->arg, (size_t) sketch->sketch_bytes * records->n);
	learn_model(team, records, sketches, &claims[0]);
	encode_records(team, records, sketches, &claims[1]);
	team->unshare(team->arg, claims);	/* and all are there */
}
