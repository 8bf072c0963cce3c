/*-------------------------------------------------------------------------
 *
 * am_opclass.c
 *	  From SQL values to codes: operator classes, checks, encoding.
 *
 * An operator class of omenhnsw has one support function, which returns a
 * pointer to its OmenOpclass: the metric, and how to read a value of the type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/types/halfvec.h"
#include "src/types/vector.h"

#include <math.h>

#include "fmgr.h"

static uint32
vector_dims(const void *value)
{
	return ((const OmenVector *) value)->dim;
}

static void
vector_elements(const void *value, float *x)
{
	const OmenVector *vector = value;

	memcpy(x, vector->x, vector->dim * sizeof(float));
}

static uint32
halfvec_dims(const void *value)
{
	return ((const OmenHalfvec *) value)->dim;
}

static void
halfvec_elements(const void *value, float *x)
{
	const OmenHalfvec *halfvec = value;

	omen_kernels->half->widen(halfvec->x, x, halfvec->dim);
}

/* A support function, which returns its operator class. */
#define SUPPORT_FUNCTION(type, type_kind, type_max_dims, metric_name, omen_metric) \
	PG_FUNCTION_INFO_V1(omen_am_##type##_##metric_name##_support); \
	Datum \
	omen_am_##type##_##metric_name##_support(PG_FUNCTION_ARGS) \
	{ \
		static const OmenOpclass opclass = { \
			.kind = type_kind, \
			.metric = omen_metric, \
			.max_dims = type_max_dims, \
			.dims = type##_dims, \
			.elements = type##_elements \
		}; \
		\
		PG_RETURN_POINTER(&opclass); \
	} \
	extern int	omen_no_such_symbol

#define VECTOR_SUPPORT(metric_name, omen_metric) \
	SUPPORT_FUNCTION(vector, OMEN_KIND_VECTOR, OMEN_VECTOR_MAX_DIMS, metric_name, omen_metric)
#define HALFVEC_SUPPORT(metric_name, omen_metric) \
	SUPPORT_FUNCTION(halfvec, OMEN_KIND_HALFVEC, OMEN_HALFVEC_MAX_DIMS, metric_name, omen_metric)

VECTOR_SUPPORT(l2, OMEN_METRIC_L2);
VECTOR_SUPPORT(ip, OMEN_METRIC_IP);
VECTOR_SUPPORT(cosine, OMEN_METRIC_COSINE);
VECTOR_SUPPORT(l1, OMEN_METRIC_L1);

HALFVEC_SUPPORT(l2, OMEN_METRIC_L2);
HALFVEC_SUPPORT(ip, OMEN_METRIC_IP);
HALFVEC_SUPPORT(cosine, OMEN_METRIC_COSINE);
HALFVEC_SUPPORT(l1, OMEN_METRIC_L1);

const OmenOpclass *
omen_am_opclass(Relation index)
{
	FmgrInfo   *procinfo = index_getprocinfo(index, 1, OMEN_SUPPORT_PROC);

	return (const OmenOpclass *) DatumGetPointer(FunctionCall1(procinfo, PointerGetDatum(NULL)));
}

/* Dimensions of the indexed column, from its type modifier. */
static uint32
column_dims(Relation index, const OmenOpclass *opclass)
{
	int32		dims = TupleDescAttr(index->rd_att, 0)->atttypmod;

	if (dims < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errdetail("An omenhnsw index holds vectors of one number of dimensions."),
				 errhint("Give the column a type such as vector(3), or index an expression such as (embedding::vector(3)).")));
	if ((uint32) dims > opclass->max_dims)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %u dimensions for omenhnsw index",
						opclass->max_dims)));
	return dims;
}

/* The static part of the metapage of a new index. */
void
omen_am_describe(Relation index, OmenMeta *meta)
{
	const OmenOpclass *opclass = omen_am_opclass(index);
	OmenCodec	codec;

	memset(meta, 0, sizeof(*meta));
	meta->magic = OMEN_MAGIC;
	meta->version = OMEN_FORMAT_VERSION;
	meta->min_version = OMEN_FORMAT_VERSION;
	meta->dims = column_dims(index, opclass);
	meta->vector_kind = opclass->kind;
	meta->metric = opclass->metric;
	meta->code_kind = OMEN_CODE_SQ8;
	meta->m = omen_am_option_m(index);
	meta->ef_construction = omen_am_option_ef_construction(index);
	if (meta->ef_construction < 2 * meta->m)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ef_construction must be greater than or equal to 2 * m"),
				 errdetail("ef_construction is %d, m is %d.", meta->ef_construction, meta->m)));

	omen_codec_init(&codec, meta->code_kind, meta->metric, meta->dims);
	meta->factor_bytes = codec.factor_bytes;
	meta->code_bytes = codec.code_bytes;
	meta->end_block = OMEN_META_BLOCK + 1;
	meta->next_segment_id = 1;
}

/* Make an encoder, in the current memory context. */
void
omen_encoder_init(OmenEncoder *encoder, Relation index, const OmenMeta *meta)
{
	encoder->opclass = omen_am_opclass(index);
	if (meta->metric != encoder->opclass->metric || meta->vector_kind != encoder->opclass->kind ||
		meta->dims == 0 || meta->dims > encoder->opclass->max_dims ||
		meta->code_kind != OMEN_CODE_SQ8)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" does not match its operator class",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	omen_codec_init(&encoder->codec, meta->code_kind, meta->metric, meta->dims);
	if (encoder->codec.factor_bytes != meta->factor_bytes || encoder->codec.code_bytes != meta->code_bytes)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("codes of index \"%s\" have an unexpected size",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	encoder->x = palloc(meta->dims * sizeof(float));
	encoder->factors = palloc(encoder->codec.factor_bytes);
	encoder->code = palloc(encoder->codec.code_bytes);
}

/* Scale to length 1; false for the zero vector, which has no direction. */
static bool
normalize(float *x, uint32 dims)
{
	double		norm = 0;

	for (uint32 i = 0; i < dims; i++)
		norm += (double) x[i] * x[i];
	if (norm == 0)
		return false;
	norm = sqrt(norm);
	for (uint32 i = 0; i < dims; i++)
		x[i] = (float) (x[i] / norm);
	return true;
}

/*
 * Read a value into encoder->x, in the form in which the metric wants it.
 * May leave a detoasted copy in the current memory context.
 */
OmenValueClass
omen_encoder_read(OmenEncoder *encoder, Datum value, bool isnull)
{
	const void *detoasted;
	uint32		dims;

	if (isnull)
		return OMEN_VALUE_NULL;
	detoasted = PG_DETOAST_DATUM(value);
	dims = encoder->opclass->dims(detoasted);
	if (dims != encoder->codec.dims)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different vector dimensions %u and %u", encoder->codec.dims, dims)));
	encoder->opclass->elements(detoasted, encoder->x);
	if (encoder->codec.metric == OMEN_METRIC_COSINE && !normalize(encoder->x, dims))
		return OMEN_VALUE_UNDIRECTED;
	return OMEN_VALUE_CODED;
}

/* Read a value and encode it into encoder->factors and encoder->code. */
OmenValueClass
omen_encoder_encode(OmenEncoder *encoder, Datum value, bool isnull)
{
	OmenValueClass value_class = omen_encoder_read(encoder, value, isnull);

	if (value_class == OMEN_VALUE_CODED)
		encoder->codec.encode(&encoder->codec, encoder->x, encoder->factors, encoder->code);
	return value_class;
}
