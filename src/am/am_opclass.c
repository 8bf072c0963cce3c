/*-------------------------------------------------------------------------
 *
 * am_opclass.c
 *	  From SQL values to codes: operator classes, checks, encoding.
 *
 * An operator class of vectors has one support function, which returns a
 * pointer to its OmenOpclass: the metric, and how to read a value of the type.
 * It is the class of the first column; those of attributes are src/filter's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_api.h"
#include "src/quant/sketch.h"
#include "src/types/halfvec.h"
#include "src/types/sparsevec.h"
#include "src/types/vector.h"

#include <math.h>

#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/varbit.h"

/* ---- reading values of the types ---- */

static float *
reserve_floats(OmenEncoder *encoder, uint32 n)
{
	if (encoder->x_capacity < n)
	{
		encoder->x = MemoryContextAlloc(encoder->context, n * sizeof(float));
		encoder->x_capacity = n;
	}
	return encoder->x;
}

/* Scale to length 1; false for the zero vector, which has no direction. */
static bool
normalize(float *x, uint32 n)
{
	double		norm = 0;

	for (uint32 i = 0; i < n; i++)
		norm += (double) x[i] * x[i];
	if (norm == 0)
		return false;
	norm = sqrt(norm);
	for (uint32 i = 0; i < n; i++)
		x[i] = (float) (x[i] / norm);
	return true;
}

static const void *
as_the_metric_wants(OmenEncoder *encoder, uint32 n)
{
	if (encoder->codec.metric == OMEN_METRIC_COSINE && !normalize(encoder->x, n))
		return NULL;
	return encoder->x;
}

static uint32
vector_dims(const void *value)
{
	return ((const OmenVector *) value)->dim;
}

static const void *
vector_read(OmenEncoder *encoder, const void *value)
{
	const OmenVector *vector = value;

	memcpy(reserve_floats(encoder, vector->dim), vector->x, vector->dim * sizeof(float));
	return as_the_metric_wants(encoder, vector->dim);
}

static uint32
halfvec_dims(const void *value)
{
	return ((const OmenHalfvec *) value)->dim;
}

static const void *
halfvec_read(OmenEncoder *encoder, const void *value)
{
	const OmenHalfvec *halfvec = value;

	omen_kernels->half->widen(halfvec->x, reserve_floats(encoder, halfvec->dim), halfvec->dim);
	return as_the_metric_wants(encoder, halfvec->dim);
}

static uint32
bit_dims(const void *value)
{
	return VARBITLEN(value);
}

static const void *
bit_read(OmenEncoder *encoder, const void *value)
{
	return VARBITS(value);
}

static uint32
sparsevec_dims(const void *value)
{
	return ((const OmenSparsevec *) value)->dim;
}

static const void *
sparsevec_read(OmenEncoder *encoder, const void *value)
{
	const OmenSparsevec *vector = value;
	uint32		n = vector->nnz;

	memcpy(reserve_floats(encoder, Max(n, 1)), omen_sparsevec_values(vector), n * sizeof(float));
	encoder->sparse.n = n;
	encoder->sparse.indices = vector->indices;
	encoder->sparse.values = as_the_metric_wants(encoder, n);
	return encoder->sparse.values ? &encoder->sparse : NULL;
}

/* ---- operator classes ---- */

#define VECTOR_DIMS_NAME "vector dimensions"
#define HALFVEC_DIMS_NAME "halfvec dimensions"
#define BIT_DIMS_NAME "bit lengths"
#define SPARSEVEC_DIMS_NAME "sparsevec dimensions"

#define VECTOR_CODE OMEN_CODE_SQ8
#define HALFVEC_CODE OMEN_CODE_SQ8
#define BIT_CODE OMEN_CODE_BITS
#define SPARSEVEC_CODE OMEN_CODE_SPARSE

#define VECTOR_MAX_DIMS OMEN_VECTOR_MAX_DIMS
#define HALFVEC_MAX_DIMS OMEN_HALFVEC_MAX_DIMS
#define BIT_MAX_DIMS OMEN_MAX_BITS
#define SPARSEVEC_MAX_DIMS OMEN_SPARSEVEC_MAX_DIMS

/* A support function, which returns its operator class. */
#define SUPPORT_FUNCTION(type, TYPE, metric_name, METRIC) \
	PG_FUNCTION_INFO_V1(omen_am_##type##_##metric_name##_support); \
	Datum \
	omen_am_##type##_##metric_name##_support(PG_FUNCTION_ARGS) \
	{ \
		static const OmenOpclass opclass = { \
			.kind = OMEN_KIND_##TYPE, \
			.metric = OMEN_METRIC_##METRIC, \
			.code_kind = TYPE##_CODE, \
			.max_dims = TYPE##_MAX_DIMS, \
			.dims_name = TYPE##_DIMS_NAME, \
			.dims = type##_dims, \
			.read = type##_read \
		}; \
		\
		PG_RETURN_POINTER(&opclass); \
	} \
	extern int	omen_no_such_symbol

SUPPORT_FUNCTION(vector, VECTOR, l2, L2);
SUPPORT_FUNCTION(vector, VECTOR, ip, IP);
SUPPORT_FUNCTION(vector, VECTOR, cosine, COSINE);
SUPPORT_FUNCTION(vector, VECTOR, l1, L1);

SUPPORT_FUNCTION(halfvec, HALFVEC, l2, L2);
SUPPORT_FUNCTION(halfvec, HALFVEC, ip, IP);
SUPPORT_FUNCTION(halfvec, HALFVEC, cosine, COSINE);
SUPPORT_FUNCTION(halfvec, HALFVEC, l1, L1);

SUPPORT_FUNCTION(bit, BIT, hamming, HAMMING);
SUPPORT_FUNCTION(bit, BIT, jaccard, JACCARD);

SUPPORT_FUNCTION(sparsevec, SPARSEVEC, l2, L2);
SUPPORT_FUNCTION(sparsevec, SPARSEVEC, ip, IP);
SUPPORT_FUNCTION(sparsevec, SPARSEVEC, cosine, COSINE);
SUPPORT_FUNCTION(sparsevec, SPARSEVEC, l1, L1);

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

/* Types whose vectors are numbers in a row have a choice of codes. */
static bool
has_choice(const OmenOpclass *opclass)
{
	return opclass->code_kind == OMEN_CODE_SQ8;
}

/* The kind of code that the option asks for: of vectors of halves, none is a half. */
static OmenCodeKind
code_kind_option(Relation index, const OmenOpclass *opclass)
{
	OmenQuantization quantization = omen_am_option_quantization(index);

	if (quantization == OMEN_QUANTIZATION_SCALAR)
		return opclass->code_kind;
	if (!has_choice(opclass))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" has no choice of codes", RelationGetRelationName(index)),
				 errdetail("Option \"quantization\" is for vectors of type vector or halfvec."),
				 errhint("Leave option \"quantization\" out.")));
	if (quantization == OMEN_QUANTIZATION_NONE && opclass->kind == OMEN_KIND_VECTOR)
		return OMEN_CODE_FLOAT;
	if (quantization == OMEN_QUANTIZATION_NONE || quantization == OMEN_QUANTIZATION_HALF)
		return OMEN_CODE_HALF;
	return opclass->code_kind;	/* which sketches are made from */
}

/* Is this a kind of code that the option can have asked for? */
static bool
admits_code(const OmenOpclass *opclass, uint16 code_kind)
{
	if (code_kind == opclass->code_kind)
		return true;
	return has_choice(opclass) &&
		(code_kind == OMEN_CODE_HALF || (code_kind == OMEN_CODE_FLOAT && opclass->kind == OMEN_KIND_VECTOR));
}

/* The finer codes that a new index is to have, if its vectors lose anything in theirs. */
static OmenRefineKind
refine_option(Relation index, OmenCodeKind code_kind)
{
	OmenRefineKind refine = omen_am_option_refine(index);

	if (!omen_codec_admits_refine(code_kind, refine))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" cannot have finer codes", RelationGetRelationName(index)),
				 code_kind == OMEN_CODE_BITS ?
				 errdetail("Bit strings are in the index as they are: there is nothing to refine.") :
				 errdetail("Option \"refine\" is for vectors with 8-bit codes, of type vector or halfvec."),
				 errhint("Leave option \"refine\" out, or set it to \"none\".")));
	return refine;
}

/* By which attribute the nodes of a new index are to be numbered, counted from 1; 0: none. */
static uint8
group_option(Relation index)
{
	int			n_columns = IndexRelationGetNumberOfKeyAttributes(index);
	int			group_by = omen_am_option_group_by(index);

	if (group_by > n_columns)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("index \"%s\" has no key column %d to group rows by",
						RelationGetRelationName(index), group_by),
				 errdetail_plural("It has %d key column, the vector.",
								  "It has %d key columns, of which the first is the vector.", n_columns, n_columns),
				 errhint("Set option \"group_by\" to the number of an attribute, such as 2 for the first, or leave it out.")));
	return group_by > 0 ? group_by - 1 : 0;
}

/* Sketches are for vectors of numbers, and for distances that an angle and two lengths tell. */
static void
check_sketch_option(Relation index, const OmenOpclass *opclass, uint32 dims)
{
	OmenStoredSketches wanted;

	omen_am_option_sketches(index, dims, &wanted);
	if (wanted.kind == OMEN_SKETCH_NONE)
		return;
	if (!omen_sketch_admits(wanted.kind, opclass->metric, dims, wanted.bits, wanted.subvectors))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("index \"%s\" cannot have quantization \"%s\"", RelationGetRelationName(index),
						omen_am_quantization_name(opclass->code_kind, wanted.kind)),
				 errdetail("It is for L2 distance, inner product and cosine distance."),
				 errhint("Use an operator class of one of these, or quantization \"scalar\".")));
}

/* The codec that a metapage names.  Raises an error if that is none of the index's. */
void
omen_am_codec(OmenCodec *codec, Relation index, const OmenMeta *meta)
{
	const OmenOpclass *opclass = omen_am_opclass(index);

	if (meta->metric != opclass->metric || meta->vector_kind != opclass->kind ||
		(int32) meta->dims != TupleDescAttr(index->rd_att, 0)->atttypmod ||
		meta->dims > opclass->max_dims || !admits_code(opclass, meta->code_kind) ||
		!omen_codec_admits_refine(meta->code_kind, meta->refine))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" does not match its column and operator class",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	omen_codec_init(codec, meta->code_kind, meta->metric, meta->dims);
	omen_codec_refine(codec, meta->refine);
}

/* The static part of the metapage of a new index. */
void
omen_am_describe(Relation index, OmenMeta *meta)
{
	const OmenOpclass *opclass;
	OmenCodec	codec;

	omen_am_check_columns(index);
	opclass = omen_am_opclass(index);
	memset(meta, 0, sizeof(*meta));
	meta->magic = OMEN_MAGIC;
	meta->version = OMEN_FORMAT_VERSION;
	meta->min_version = OMEN_FORMAT_VERSION;
	meta->dims = column_dims(index, opclass);
	meta->vector_kind = opclass->kind;
	meta->metric = opclass->metric;
	meta->code_kind = code_kind_option(index, opclass);
	meta->refine = refine_option(index, meta->code_kind);
	check_sketch_option(index, opclass, meta->dims);
	omen_am_graph_options(index, &meta->m, &meta->ef_construction);

	omen_am_codec(&codec, index, meta);
	meta->factor_bytes = codec.factor_bytes;
	meta->code_bytes = codec.code_bytes;
	meta->refine_factor_bytes = codec.refine_factor_bytes;
	meta->refine_code_bytes = codec.refine_code_bytes;
	meta->variable_codes = codec.variable;
	meta->n_attributes = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	meta->group_attribute = group_option(index);
	meta->end_block = OMEN_META_BLOCK + 1;
	meta->next_segment_id = 1;
}

/* The attributes of an index, in the current memory context; NULL if it has none. */
OmenAttributes *
omen_am_attributes(Relation index, const OmenMeta *meta)
{
	int			n_attributes = IndexRelationGetNumberOfKeyAttributes(index) - 1;

	if (meta->n_attributes != n_attributes)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" was built with %d attributes and has %d",
						RelationGetRelationName(index), meta->n_attributes, n_attributes),
				 errhint("Please REINDEX it.")));
	if (meta->group_attribute > n_attributes)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is grouped by attribute %d of %d",
						RelationGetRelationName(index), meta->group_attribute, n_attributes),
				 errhint("Please REINDEX it.")));
	return omen_attributes_of(index);
}

/* Make an encoder, in the current memory context. */
void
omen_encoder_init(OmenEncoder *encoder, Relation index, const OmenMeta *meta)
{
	memset(encoder, 0, sizeof(*encoder));
	encoder->context = CurrentMemoryContext;
	encoder->opclass = omen_am_opclass(index);
	omen_am_codec(&encoder->codec, index, meta);
	if (encoder->codec.factor_bytes != meta->factor_bytes ||
		encoder->codec.code_bytes != meta->code_bytes ||
		encoder->codec.refine_factor_bytes != meta->refine_factor_bytes ||
		encoder->codec.refine_code_bytes != meta->refine_code_bytes ||
		encoder->codec.variable != (meta->variable_codes != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("codes of index \"%s\" have an unexpected size",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
	encoder->factors = palloc(encoder->codec.factor_bytes);
	encoder->n_code_bytes = encoder->codec.code_bytes;
	if (encoder->codec.refine != OMEN_REFINE_NONE)
		encoder->refine = palloc(encoder->codec.refine_bytes);
}

/*
 * Read a value into encoder->value.  May leave a detoasted copy in the current
 * memory context, which must live as long as the value is used.
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
				 errmsg("different %s %u and %u", encoder->opclass->dims_name,
						encoder->codec.dims, dims)));
	encoder->value = encoder->opclass->read(encoder, detoasted);
	return encoder->value ? OMEN_VALUE_CODED : OMEN_VALUE_UNDIRECTED;
}

/* Read a value and encode it into the encoder's factors, code and finer code. */
OmenValueClass
omen_encoder_encode(OmenEncoder *encoder, Datum value, bool isnull)
{
	const OmenCodec *codec = &encoder->codec;
	OmenValueClass value_class = omen_encoder_read(encoder, value, isnull);

	if (value_class != OMEN_VALUE_CODED)
		return value_class;
	if (codec->variable)
		encoder->n_code_bytes = codec->encoded_bytes(codec, encoder->value);
	if (encoder->code_capacity < encoder->n_code_bytes)
	{
		encoder->code = MemoryContextAlloc(encoder->context, encoder->n_code_bytes);
		encoder->code_capacity = encoder->n_code_bytes;
	}
	codec->encode(codec, encoder->value, encoder->factors, encoder->code);
	if (encoder->refine)
		codec->encode_refine(codec, encoder->value, encoder->factors, encoder->code, encoder->refine);
	return OMEN_VALUE_CODED;
}
