/*-------------------------------------------------------------------------
 *
 * am_options.c
 *	  Storage parameters of an index, and settings of a session.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/am.h"
#include "src/am/am_api.h"
#include "src/graph/graph_params.h"
#include "src/quant/sketch.h"

#include "access/reloptions.h"
#include "utils/guc.h"

int			omen_am_ef_search = 0;
double		omen_am_recall_target = 0.97;
double		omen_am_oversampling = 0;
int			omen_am_iterative_scan = OMEN_ITERATIVE_RELAXED;
int			omen_am_max_scan_tuples = -1;
int			omen_am_filter_strategy = OMEN_FILTER_AUTO;
int			omen_am_build_shared_memory = -1;
int			omen_am_max_maintenance_workers = 2;
static double scan_mem_multiplier = 1;

static const struct config_enum_entry iterative_scan_values[] = {
	{"off", OMEN_ITERATIVE_OFF, false},
	{"relaxed_order", OMEN_ITERATIVE_RELAXED, false},
	{"strict_order", OMEN_ITERATIVE_STRICT, false},
	{NULL, 0, false}
};

static const struct config_enum_entry filter_strategy_values[] = {
	{"auto", OMEN_FILTER_AUTO, false},
	{"exact", OMEN_FILTER_EXACT, false},
	{"plain", OMEN_FILTER_PLAIN, false},
	{"walk", OMEN_FILTER_WALK, false},
	{NULL, 0, false}
};

static relopt_enum_elt_def refine_values[] = {
	{"none", OMEN_REFINE_NONE},
	{"scalar", OMEN_REFINE_SCALAR},
	{(const char *) NULL}
};

static relopt_enum_elt_def quantization_values[] = {
	{"none", OMEN_QUANTIZATION_NONE},
	{"half", OMEN_QUANTIZATION_HALF},
	{"scalar", OMEN_QUANTIZATION_SCALAR},
	{"low_bit", OMEN_QUANTIZATION_LOW_BIT},
	{"binary", OMEN_QUANTIZATION_BINARY},
	{"product", OMEN_QUANTIZATION_PRODUCT},
	{(const char *) NULL}
};

static relopt_kind omen_relopt_kind;

/* Called once, from _PG_init(). */
void
omen_am_init(void)
{
	omen_am_resident_init();
	omen_relopt_kind = add_reloption_kind();
	add_int_reloption(omen_relopt_kind, "m", "Links of a node on each side of its making",
					  OMEN_AUTO, OMEN_AUTO, OMEN_MAX_M, AccessExclusiveLock);
	add_int_reloption(omen_relopt_kind, "ef_construction", "Candidates kept while a node's links are searched",
					  OMEN_AUTO, OMEN_AUTO, OMEN_MAX_EF_CONSTRUCTION, AccessExclusiveLock);
	add_bool_reloption(omen_relopt_kind, "autoseal", "Inserts have long tails sealed and segments merged",
					   true, ShareUpdateExclusiveLock);
	add_int_reloption(omen_relopt_kind, "tail_size", "Length of the tail at which it is sealed, in kB; 0 for automatic",
					  0, 0, OMEN_MAX_TAIL_SIZE, ShareUpdateExclusiveLock);
	add_int_reloption(omen_relopt_kind, "merge_factor", "A segment is merged with all smaller ones up to so many times their rows",
					  OMEN_DEFAULT_MERGE_FACTOR, 1, OMEN_MAX_MERGE_FACTOR, ShareUpdateExclusiveLock);
	add_enum_reloption(omen_relopt_kind, "refine", "Finer codes, so that scans fetch fewer rows of the table",
					   refine_values, OMEN_REFINE_NONE, "Valid values are \"none\" and \"scalar\".",
					   AccessExclusiveLock);
	add_int_reloption(omen_relopt_kind, "group_by", "Number of the key column by whose values rows lie together; 0 for none",
					  0, 0, INDEX_MAX_KEYS, AccessExclusiveLock);
	add_enum_reloption(omen_relopt_kind, "quantization", "What stands for a vector in the index",
					   quantization_values, OMEN_QUANTIZATION_SCALAR,
					   "Valid values are \"none\", \"half\", \"scalar\", \"low_bit\", \"binary\" and \"product\".",
					   ShareUpdateExclusiveLock);
	add_int_reloption(omen_relopt_kind, "bits", "Bits of a component, or of a sub-vector, in sketches; 0 for the usual number",
					  OMEN_AUTO, OMEN_AUTO, OMEN_MAX_SKETCH_BITS, ShareUpdateExclusiveLock);
	add_int_reloption(omen_relopt_kind, "subvectors", "Parts of a vector in product sketches; 0 for as many as the dimensions need",
					  OMEN_AUTO, OMEN_AUTO, OMEN_MAX_DIMS, ShareUpdateExclusiveLock);

	DefineCustomIntVariable("omenvec.max_maintenance_workers",
							"Background workers that may maintain indexes at the same time, in all databases.",
							"0 leaves maintenance to VACUUM and to inserting sessions.",
							&omen_am_max_maintenance_workers,
							2, 0, 64,
							PGC_SUSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("omenhnsw.ef_search",
							"Number of candidates that a search keeps.",
							"Larger values find more of the true neighbours and take longer. "
							"0 chooses for each segment and query what \"omenhnsw.recall_target\" needs.",
							&omen_am_ef_search,
							0, 0, OMEN_MAX_EF_SEARCH,
							PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomRealVariable("omenhnsw.recall_target",
							 "Share of the true neighbours that a search is to find.",
							 "By what was measured when the segments of an index were made. "
							 "Has no effect if \"omenhnsw.ef_search\" is not 0.",
							 &omen_am_recall_target,
							 0.97, 0.5, 0.999,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomRealVariable("omenhnsw.oversampling",
							 "Candidates that a search of sketches keeps, to compare their codes, for each that it would keep otherwise.",
							 "0 means as many as calibration counts on. More find more of the true neighbours and take longer. "
							 "Has no effect where the option quantization makes no sketches.",
							 &omen_am_oversampling,
							 0, 0, 100,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("omenhnsw.iterative_scan",
							 "Whether a scan goes on when the executor wants more rows than one search found.",
							 "\"relaxed_order\" goes on until there are no more rows; a row found late may come "
							 "after rows that are farther. \"strict_order\" leaves such rows out. "
							 "\"off\" ends the scan after the first search.",
							 &omen_am_iterative_scan,
							 OMEN_ITERATIVE_RELAXED, iterative_scan_values,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("omenhnsw.max_scan_tuples",
							"Ends a scan after it has returned about so many rows to the executor.",
							"-1 means no limit. Rows that a filter drops count too.",
							&omen_am_max_scan_tuples,
							-1, -1, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("omenhnsw.filter_strategy",
							 "How segments are searched under conditions on attributes.",
							 "\"auto\" chooses by what each way would cost. \"exact\" compares all rows that pass, "
							 "\"plain\" searches as without conditions and drops what does not pass, \"walk\" "
							 "searches among the rows that pass. Each goes on in another way where it finds nothing more.",
							 &omen_am_filter_strategy,
							 OMEN_FILTER_AUTO, filter_strategy_values,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("omenvec.build_shared_memory",
							"Dynamic shared memory that an index build may take.",
							"A parallel build that needs more goes on in one process. -1 means no limit but what "
							"the system has.",
							&omen_am_build_shared_memory,
							-1, -1, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);

	DefineCustomRealVariable("omenhnsw.scan_mem_multiplier",
							 "Accepted for compatibility; has no effect.",
							 "A scan takes the memory that its rows need: a limit would make it return fewer than asked.",
							 &scan_mem_multiplier,
							 1, 1, 1000,
							 PGC_USERSET, 0, NULL, NULL, NULL);
}

static const char *
value_name(const relopt_enum_elt_def *values, int symbol)
{
	for (const relopt_enum_elt_def *value = values; value->string_val; value++)
		if (value->symbol_val == symbol)
			return value->string_val;
	return "unknown";
}

static void
check_range(const char *name, int value, int least, int most)
{
	if (value != OMEN_AUTO && value < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"%s\"", value, name),
				 errdetail("Valid values are between \"%d\" and \"%d\", and \"0\": the build chooses.",
						   least, most)));
}

/* An option is for one kind of quantization. */
static void
check_belongs(const OmenOptions *options, const char *name, int value, bool belongs, const char *to)
{
	if (value != OMEN_AUTO && !belongs)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" is for quantization %s", name, to),
				 errdetail("Option \"quantization\" is \"%s\".",
						   value_name(quantization_values, options->quantization)),
				 errhint("Leave it out, or change \"quantization\" with it.")));
}

/* Which sketches the options ask for, of a vector with enough dimensions. */
static void
check_sketches(const OmenOptions *options)
{
	bool		low_bit = options->quantization == OMEN_QUANTIZATION_LOW_BIT;
	bool		product = options->quantization == OMEN_QUANTIZATION_PRODUCT;
	int			bits = options->bits;

	check_belongs(options, "bits", bits, low_bit || product, "\"low_bit\" or \"product\"");
	check_belongs(options, "subvectors", options->subvectors, product, "\"product\"");
	if (bits != OMEN_AUTO && low_bit && bits != 1 && bits != 2 && bits != 4)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"%s\"", bits, "bits"),
				 errdetail("With quantization \"low_bit\", valid values are \"1\", \"2\" and \"4\".")));
	if (bits != OMEN_AUTO && product && bits != 4 && bits != 8)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"%s\"", bits, "bits"),
				 errdetail("With quantization \"product\", valid values are \"4\" and \"8\".")));
}

/* What a table of single options cannot say. */
static void
check_options(const OmenOptions *options)
{
	check_range("m", options->m, OMEN_MIN_M, OMEN_MAX_M);
	check_range("ef_construction", options->ef_construction,
				OMEN_MIN_EF_CONSTRUCTION, OMEN_MAX_EF_CONSTRUCTION);
	if (options->ef_construction != OMEN_AUTO && options->ef_construction < 2 * options->m)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ef_construction must be greater than or equal to 2 * m"),
				 errdetail("ef_construction is %d, m is %d.", options->ef_construction, options->m),
				 errhint("Set one of them only: the build chooses the other to go with it.")));
	if (options->group_by == 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %d out of bounds for option \"%s\"", options->group_by, "group_by"),
				 errdetail("The first key column is the vector; rows are grouped by one of the attributes after it."),
				 errhint("Number 2 is the first attribute, 0 groups by none.")));
	if (options->refine != OMEN_REFINE_NONE &&
		(options->quantization == OMEN_QUANTIZATION_NONE || options->quantization == OMEN_QUANTIZATION_HALF))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"refine\" is for 8-bit codes"),
				 errdetail("Option \"quantization\" is \"%s\".",
						   value_name(quantization_values, options->quantization)),
				 errhint("Leave one of them out.")));
	check_sketches(options);
}

/* validate: CREATE INDEX and ALTER INDEX … SET; not when a relation is opened. */
bytea *
omen_am_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt parse_options[] = {
		{"m", RELOPT_TYPE_INT, offsetof(OmenOptions, m)},
		{"ef_construction", RELOPT_TYPE_INT, offsetof(OmenOptions, ef_construction)},
		{"autoseal", RELOPT_TYPE_BOOL, offsetof(OmenOptions, autoseal)},
		{"tail_size", RELOPT_TYPE_INT, offsetof(OmenOptions, tail_size)},
		{"merge_factor", RELOPT_TYPE_INT, offsetof(OmenOptions, merge_factor)},
		{"refine", RELOPT_TYPE_ENUM, offsetof(OmenOptions, refine)},
		{"group_by", RELOPT_TYPE_INT, offsetof(OmenOptions, group_by)},
		{"quantization", RELOPT_TYPE_ENUM, offsetof(OmenOptions, quantization)},
		{"bits", RELOPT_TYPE_INT, offsetof(OmenOptions, bits)},
		{"subvectors", RELOPT_TYPE_INT, offsetof(OmenOptions, subvectors)}
	};
	bytea	   *options = (bytea *) build_reloptions(reloptions, validate, omen_relopt_kind,
													 sizeof(OmenOptions), parse_options,
													 lengthof(parse_options));

	if (validate && options)
		check_options((OmenOptions *) options);
	return options;
}

/*
 * m and ef_construction of a new index: as its options say; what they leave
 * open, as it goes with the other.
 */
void
omen_am_graph_options(Relation index, uint16 *m, uint16 *ef_construction)
{
	const OmenOptions *options = (const OmenOptions *) index->rd_options;

	*m = options ? options->m : OMEN_AUTO;
	*ef_construction = options ? options->ef_construction : OMEN_AUTO;
	if (*m == OMEN_AUTO)
		*m = *ef_construction != OMEN_AUTO ? Min(OMEN_DEFAULT_M, *ef_construction / 2) : OMEN_DEFAULT_M;
	if (*ef_construction == OMEN_AUTO)
		*ef_construction = Max(OMEN_DEFAULT_EF_CONSTRUCTION, 2 * *m);
}

/* Do the options leave open both? */
bool
omen_am_graph_options_are_auto(Relation index)
{
	const OmenOptions *options = (const OmenOptions *) index->rd_options;

	return options == NULL || (options->m == OMEN_AUTO && options->ef_construction == OMEN_AUTO);
}

bool
omen_am_option_autoseal(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->autoseal : true;
}

int
omen_am_option_tail_size(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->tail_size : 0;
}

int
omen_am_option_merge_factor(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->merge_factor : OMEN_DEFAULT_MERGE_FACTOR;
}

/* What finer codes a new index is to have. */
OmenRefineKind
omen_am_option_refine(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? (OmenRefineKind) options->refine : OMEN_REFINE_NONE;
}

/* By which key column the rows of a new index are to be grouped; 0: none. */
int
omen_am_option_group_by(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? options->group_by : 0;
}

/* The option's value for a kind that stands in a page. */
const char *
omen_am_refine_name(uint8 refine)
{
	return value_name(refine_values, refine);
}

/* What is to stand for vectors in a new index. */
OmenQuantization
omen_am_option_quantization(Relation index)
{
	OmenOptions *options = (OmenOptions *) index->rd_options;

	return options ? (OmenQuantization) options->quantization : OMEN_QUANTIZATION_SCALAR;
}

/* The option's value for a kind of code and a kind of sketches that stand in a page. */
const char *
omen_am_quantization_name(uint16 code_kind, uint8 sketch_kind)
{
	OmenQuantization quantization = OMEN_QUANTIZATION_SCALAR;

	if (sketch_kind == OMEN_SKETCH_LOW_BIT)
		quantization = OMEN_QUANTIZATION_LOW_BIT;
	else if (sketch_kind == OMEN_SKETCH_BINARY)
		quantization = OMEN_QUANTIZATION_BINARY;
	else if (sketch_kind == OMEN_SKETCH_PRODUCT)
		quantization = OMEN_QUANTIZATION_PRODUCT;
	else if (code_kind == OMEN_CODE_FLOAT || code_kind == OMEN_CODE_BITS)
		quantization = OMEN_QUANTIZATION_NONE;
	else if (code_kind == OMEN_CODE_HALF)
		quantization = OMEN_QUANTIZATION_HALF;
	return value_name(quantization_values, quantization);
}

/* Sub-vectors of so many components, unless the option says it. */
#define USUAL_SUBVECTOR_DIMS 4

/* What sketches segments are to have: all zero for none; n_bytes is left at 0. */
void
omen_am_option_sketches(Relation index, uint32 dims, OmenStoredSketches *sketches)
{
	const OmenOptions *options = (const OmenOptions *) index->rd_options;

	memset(sketches, 0, sizeof(*sketches));
	switch (omen_am_option_quantization(index))
	{
		case OMEN_QUANTIZATION_LOW_BIT:
			sketches->kind = OMEN_SKETCH_LOW_BIT;
			sketches->bits = options->bits != OMEN_AUTO ? options->bits : 1;
			break;
		case OMEN_QUANTIZATION_BINARY:
			sketches->kind = OMEN_SKETCH_BINARY;
			sketches->bits = 1;
			break;
		case OMEN_QUANTIZATION_PRODUCT:
			sketches->kind = OMEN_SKETCH_PRODUCT;
			sketches->bits = options->bits != OMEN_AUTO ? options->bits : 8;
			sketches->subvectors = options->subvectors != OMEN_AUTO ? Min(options->subvectors, dims) :
				(dims + USUAL_SUBVECTOR_DIMS - 1) / USUAL_SUBVECTOR_DIMS;
			break;
		default:
			break;
	}
}
