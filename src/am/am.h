/*-------------------------------------------------------------------------
 *
 * am.h
 *	  Access method omenhnsw: what its files share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef OMEN_AM_H
#define OMEN_AM_H

#include "src/filter/attribute.h"
#include "src/filter/row_bitmap.h"
#include "src/quant/quant.h"
#include "src/storage/page_layout.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "storage/dsm.h"
#include "storage/shm_toc.h"
#include "utils/rel.h"

/* ---- options (am_options.c) ---- */

typedef struct OmenOptions
{
	int32		vl_len_;		/* varlena header (do not touch directly!) */
	int			m;
	int			ef_construction;
	bool		autoseal;
	int			tail_size;		/* kB; 0: chosen by the size of a row */
	int			merge_factor;
	int			refine;			/* OmenRefineKind */
	int			group_by;		/* number of a key column; 0: none */
	int			quantization;	/* OmenQuantization */
	int			bits;			/* of sketches; 0: as is usual for the kind */
	int			subvectors;		/* of product sketches; 0: chosen by the dimensions */
} OmenOptions;

/* Values of the option quantization. */
typedef enum OmenQuantization
{
	OMEN_QUANTIZATION_NONE,
	OMEN_QUANTIZATION_HALF,
	OMEN_QUANTIZATION_SCALAR,
	OMEN_QUANTIZATION_LOW_BIT,	/* 8-bit codes, and sketches; so are the others */
	OMEN_QUANTIZATION_BINARY,
	OMEN_QUANTIZATION_PRODUCT
} OmenQuantization;

#define OMEN_AUTO 0				/* value of m or ef_construction: chosen by the build */
#define OMEN_MIN_M 2
#define OMEN_MAX_M 100
#define OMEN_MIN_EF_CONSTRUCTION 4
#define OMEN_MAX_EF_CONSTRUCTION 1000
#define OMEN_MAX_TAIL_SIZE (1024 * 1024)
#define OMEN_DEFAULT_MERGE_FACTOR 4
#define OMEN_MAX_MERGE_FACTOR 100
#define OMEN_BASE_EF_SEARCH 40	/* where there is no calibration */
#define OMEN_MAX_EF_SEARCH 100000
#define OMEN_MAX_SKETCH_BITS 8

/* Values of omenhnsw.iterative_scan. */
#define OMEN_ITERATIVE_OFF 0
#define OMEN_ITERATIVE_RELAXED 1
#define OMEN_ITERATIVE_STRICT 2

/* Values of omenhnsw.filter_strategy. */
#define OMEN_FILTER_AUTO 0
#define OMEN_FILTER_EXACT 1
#define OMEN_FILTER_PLAIN 2
#define OMEN_FILTER_WALK 3

extern int	omen_am_ef_search;	/* 0: by calibration */
extern double omen_am_recall_target;
extern int	omen_am_iterative_scan;
extern int	omen_am_max_scan_tuples;
extern double omen_am_oversampling;
extern int	omen_am_filter_strategy;
extern int	omen_am_build_shared_memory;
extern int	omen_am_max_maintenance_workers;

extern void omen_am_init(void);
extern void omen_am_resident_init(void);	/* am_resident.c */
extern void omen_recall_init(void); /* am_recall.c */
extern bytea *omen_am_options(Datum reloptions, bool validate);
extern bool omen_am_option_autoseal(Relation index);
extern int	omen_am_option_tail_size(Relation index);
extern int	omen_am_option_merge_factor(Relation index);
extern void omen_am_graph_options(Relation index, uint16 *m, uint16 *ef_construction);
extern bool omen_am_graph_options_are_auto(Relation index);
extern OmenRefineKind omen_am_option_refine(Relation index);
extern int	omen_am_option_group_by(Relation index);
extern OmenQuantization omen_am_option_quantization(Relation index);
extern void omen_am_option_sketches(Relation index, uint32 dims, OmenStoredSketches *sketches);

/* Candidates that a search keeps, a tail gives: the setting, or what is usual. */
static inline uint32
omen_am_base_ef(void)
{
	return omen_am_ef_search > 0 ? omen_am_ef_search : OMEN_BASE_EF_SEARCH;
}

/* ---- operator classes and values (am_opclass.c) ---- */

/* Values are part of the on-disk format. */
typedef enum OmenVectorKind
{
	OMEN_KIND_VECTOR = 1,
	OMEN_KIND_HALFVEC = 2,
	OMEN_KIND_BIT = 3,
	OMEN_KIND_SPARSEVEC = 4
} OmenVectorKind;

#define OMEN_SUPPORT_PROC 1		/* of vectors: returns the OmenOpclass; attributes have OMEN_COMPARE_PROC */
#define OMEN_N_SUPPORT_PROCS 2
#define OMEN_ORDER_STRATEGY 1	/* the distance operator */
#define OMEN_SPHERE_STRATEGY 2	/* within a sphere; those of attributes follow: OmenStrategy */

typedef struct OmenOpclass OmenOpclass;

/* An index made ready for encoding values. */
typedef struct OmenEncoder
{
	const OmenOpclass *opclass;
	OmenCodec	codec;
	const void *value;			/* last read, in the codec's form */
	char	   *factors;		/* last encoded */
	uint8	   *code;			/* last encoded: the bytes themselves, whatever the codec */
	uint32		n_code_bytes;
	char	   *refine;			/* last encoded, if the codec has finer codes */

	/* memory for them */
	MemoryContext context;
	uint32		code_capacity;
	float	   *x;
	uint32		x_capacity;
	OmenSparse	sparse;
} OmenEncoder;

/* What an operator class says of its type and metric. */
struct OmenOpclass
{
	OmenVectorKind kind;
	OmenMetric	metric;
	OmenCodeKind code_kind;		/* without the option quantization */
	uint32		max_dims;
	const char *dims_name;		/* for an error message */
	uint32		(*dims) (const void *value);	/* of a detoasted value */
	/* Bring a detoasted value into the codec's form; NULL if it has no direction but needs one. */
	const void *(*read) (OmenEncoder *encoder, const void *value);
};

typedef enum OmenValueClass
{
	OMEN_VALUE_CODED,			/* has a place in the graph */
	OMEN_VALUE_NULL,
	OMEN_VALUE_UNDIRECTED		/* zero vector under the cosine metric: every distance is NaN */
} OmenValueClass;

extern const OmenOpclass *omen_am_opclass(Relation index);
extern void omen_am_describe(Relation index, OmenMeta *meta);
extern OmenAttributes *omen_am_attributes(Relation index, const OmenMeta *meta);
extern void omen_am_codec(OmenCodec *codec, Relation index, const OmenMeta *meta);
extern void omen_encoder_init(OmenEncoder *encoder, Relation index, const OmenMeta *meta);
extern OmenValueClass omen_encoder_read(OmenEncoder *encoder, Datum value, bool isnull);
extern OmenValueClass omen_encoder_encode(OmenEncoder *encoder, Datum value, bool isnull);

/* ---- which columns an index may have (am_columns.c) ---- */

extern void omen_am_check_columns(Relation index);

/* ---- the access method's functions ---- */

extern IndexBuildResult *omen_am_build(Relation heap, Relation index, IndexInfo *indexInfo);
extern PGDLLEXPORT void omen_am_build_worker(dsm_segment *seg, shm_toc *toc);
extern void omen_am_buildempty(Relation index);
extern char *omen_am_buildphasename(int64 phase);
extern bool omen_am_insert(Relation index, Datum *values, bool *isnull, ItemPointer heap_tid,
						   Relation heap, IndexUniqueCheck checkUnique,
						   bool indexUnchanged, IndexInfo *indexInfo);
extern IndexBulkDeleteResult *omen_am_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
												 IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *omen_am_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern void omen_am_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
								 Cost *indexStartupCost, Cost *indexTotalCost,
								 Selectivity *indexSelectivity, double *indexCorrelation,
								 double *indexPages);
extern bool omen_am_is_index(const IndexOptInfo *index);
extern void omen_am_bitmap_cost(PlannerInfo *root, IndexPath *path, Selectivity share,
								Cost *startup, Cost *run);
extern bool omen_am_validate(Oid opclassoid);
extern IndexScanDesc omen_am_beginscan(Relation index, int nkeys, int norderbys);
extern void omen_am_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool omen_am_gettuple(IndexScanDesc scan, ScanDirection dir);
extern void omen_am_endscan(IndexScanDesc scan);
extern void omen_am_restrict(IndexScanDesc scan, const OmenRowBitmap *rows);

/* ---- maintenance (am_maintain.c) ---- */

extern bool omen_maintain_is_due(Relation index);
extern bool omen_maintain_step(Relation index, int *n_waits);
extern void omen_maintain_due(Relation index);
extern void omen_maintain_now(Relation index, bool full);
extern void omen_maintain_after_insert(Relation index, const OmenMeta *meta,
									   uint32 tail_id, uint32 n_blocks);
extern uint32 omen_seal_blocks(Relation index, const OmenMeta *meta);

/* ---- vacuum (am_vacuum.c) ---- */

extern void omen_vacuum_one_segment(Relation index, uint32 segment_id,
									IndexBulkDeleteCallback callback, void *callback_state);

#endif							/* OMEN_AM_H */
