/*-------------------------------------------------------------------------
 *
 * segment_sketch.c
 *	  Which sketches a segment has, or is to have.
 *
 * The options of the index say it for segments to come; each segment names its
 * own in the directory.  So when options change, segments with and without
 * sketches, and with several kinds, live side by side, and maintenance replaces
 * them one by one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/segment_sketch.h"

#include "src/am/am_api.h"
#include "src/am/graph_host.h"
#include "src/storage/stored_model.h"

void
omen_am_wanted_sketch(OmenSketch *sketch, Relation index, const OmenCodec *codec)
{
	OmenStoredSketches wanted;

	memset(sketch, 0, sizeof(*sketch));
	omen_am_option_sketches(index, codec->dims, &wanted);
	if (wanted.kind == OMEN_SKETCH_NONE || codec->decode == NULL ||
		!omen_sketch_admits(wanted.kind, codec->metric, codec->dims, wanted.bits, wanted.subvectors))
		return;
	omen_sketch_init(sketch, wanted.kind, codec->metric, codec->dims, wanted.bits, wanted.subvectors);
}

/* False if what is stored makes no sense. */
static bool
init_stored(OmenSketch *sketch, const OmenMeta *meta, const OmenStoredSketches *stored)
{
	memset(sketch, 0, sizeof(*sketch));
	if (stored->kind == OMEN_SKETCH_NONE)
		return stored->n_bytes == 0;
	if (meta->variable_codes ||
		!omen_sketch_admits(stored->kind, meta->metric, meta->dims, stored->bits, stored->subvectors))
		return false;
	omen_sketch_init(sketch, stored->kind, meta->metric, meta->dims, stored->bits, stored->subvectors);
	return sketch->sketch_bytes == stored->n_bytes;
}

bool
omen_am_segment_sketch(OmenSketch *sketch, Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	const OmenStoredSketches *stored = &segment->sketches;

	if (!init_stored(sketch, meta, stored))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("directory of index \"%s\" is damaged", RelationGetRelationName(index)),
				 errdetail("Segment %u has sketches of kind %u with %u bits, %u sub-vectors and %u bytes.",
						   segment->id, stored->kind, stored->bits, stored->subvectors, stored->n_bytes),
				 errhint("Please REINDEX it.")));
	return stored->kind != OMEN_SKETCH_NONE;
}

bool
omen_am_sketches_are_sane(const OmenMeta *meta, const OmenSegment *segment)
{
	OmenSketch	sketch;

	return init_stored(&sketch, meta, &segment->sketches);
}

bool
omen_am_sketches_are_as_wanted(Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	const OmenStoredSketches *stored = &segment->sketches;
	OmenSketch	wanted;
	OmenCodec	codec;

	omen_am_codec(&codec, index, meta);
	omen_am_wanted_sketch(&wanted, index, &codec);
	return wanted.kind == stored->kind && wanted.bits == stored->bits && wanted.subvectors == stored->subvectors;
}

const void *
omen_am_read_model(OmenReader *reader, const OmenColumnView *bytes, const OmenSketch *sketch)
{
	const void *model = omen_model_read(reader, bytes, sketch->model_bytes);

	if (model == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("model of the sketches in segment %u of index \"%s\" is damaged",
						bytes->segment->id, RelationGetRelationName(reader->index)),
				 errhint("Please REINDEX it.")));
	return model;
}

struct OmenSketchProof
{
	OmenCodec	codec;
	OmenSketch	sketch;
	const void *model;
	float	   *vector;
	uint8	   *record;
	void	   *scratch;
};

OmenSketchProof *
omen_am_sketch_proof(Relation index, const OmenMeta *meta, const OmenSegment *segment)
{
	OmenSketchProof *proof = palloc(sizeof(OmenSketchProof));
	OmenColumnView bytes;
	OmenReader	reader;

	omen_am_codec(&proof->codec, index, meta);
	(void) omen_am_segment_sketch(&proof->sketch, index, meta, segment);
	omen_reader_init(&reader, index);
	omen_column_view(&bytes, index, meta, segment, OMEN_COLUMN_BYTES);
	proof->model = omen_model_read(&reader, &bytes, proof->sketch.model_bytes);
	proof->vector = omen_host_alloc(CurrentMemoryContext, proof->sketch.dims * sizeof(float));
	proof->record = omen_host_alloc(CurrentMemoryContext, proof->sketch.sketch_bytes);
	proof->scratch = omen_host_alloc(CurrentMemoryContext, Max(proof->sketch.encode_scratch_bytes, 1));
	return proof->model ? proof : NULL;
}

bool
omen_am_sketch_is_right(OmenSketchProof *proof, const void *factors, const void *code, const void *record)
{
	proof->codec.decode(&proof->codec, factors, code, proof->vector);
	proof->sketch.encode(&proof->sketch, proof->model, proof->vector, proof->record, proof->scratch);
	return memcmp(proof->record, record, proof->sketch.sketch_bytes) == 0;
}

/*
 * By measurement: the fewer bits a sketch has, the more of the nearest it takes
 * for others; and a beam that is wide enough from the start costs less than one
 * that has to be widened.
 */
uint32
omen_am_usual_oversampling(const OmenSketch *sketch)
{
	uint32		n_bits = sketch->bits * (sketch->kind == OMEN_SKETCH_PRODUCT ? sketch->subvectors : sketch->dims);

	if (sketch->kind == OMEN_SKETCH_BINARY)
		n_bits /= 2;			/* not rotated: some say little */
	if (n_bits < 384)
		return 4;
	return n_bits < 1024 ? 2 : 1;
}
