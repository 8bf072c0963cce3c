/*-------------------------------------------------------------------------
 *
 * segment_builder.c
 *	  Making a sealed segment of rows.
 *
 * The rows come from the heap (build), from a tail (seal) or from older
 * segments (merge); what comes out depends on the set of (TID, code) alone:
 * rows are sorted by TID, equal codes folded into one node with a list of
 * TIDs, the nodes numbered by locality and linked; in the end they may be
 * numbered anew, by groups.
 *
 * A merge may carry over the nodes of a segment, with their links and, mostly,
 * their order; then only the other rows are linked, and what comes out depends
 * on that segment, too.
 *
 * A team does this together, step by step.  If shared memory runs out in a
 * step, the leader does that step and all further ones alone: the input of a
 * step stays as it is until the step's memory is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/segment_builder.h"
#include "src/am/segment_content.h"
#include "src/am/segment_sketch.h"

#include "src/am/graph_host.h"
#include "src/filter/attribute_rank.h"
#include "src/graph/graph_params.h"
#include "src/storage/metapage.h"

#include "commands/progress.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"

#define NO_ROW 0xFFFFFFFFU

/* Rows between two looks at interrupts, or claimed by a member at a time. */
#define PIECE_ROWS 4096

/* Rows are folded in parts, by their hashes; a part has about so many. */
#define PART_ROWS 16384
#define MAX_PARTS 64

/* What the steps work on, in each member. */
typedef struct Sealing
{
	OmenSegmentBuilder *builder;
	OmenGraphParams params;
	OmenFolded	folded;			/* duplicates: the leader's */
	OmenRouting routing;
	OmenSketches sketches;		/* (shared) records NULL: none */
	uint32	   *order;			/* (shared) kept as long as older links are wanted, else NULL */
	uint32	   *links;			/* (shared) */
	uint32		n_renewed;		/* for the directory */
	OmenRecallCurve curve;		/* the leader's */
} Sealing;

static void
host_tick_progress(void *arg, uint32 n_done)
{
	CHECK_FOR_INTERRUPTS();
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, n_done);
}

/* Begin a phase that has `total` things to do. */
void
omen_builder_report_phase(OmenSegmentBuilder *builder, OmenBuildPhase phase, uint32 total)
{
	const int	params[] = {
		PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_TOTAL, PROGRESS_CREATEIDX_TUPLES_DONE
	};
	const int64 values[] = {phase, total, 0};

	if (builder->report_progress)
		pgstat_progress_update_multi_param(3, params, values);
}

/*
 * What a row costs while its segment is being made, for the memory budget:
 * either there are two copies of it and two places in the list by which it is
 * sorted, or one copy and all that linking takes.
 */
static size_t
row_bytes(const OmenCodec *codec, const OmenSketch *sketch, const OmenGraphParams *params)
{
	size_t		row = codec->factor_bytes + codec->code_bytes + codec->refine_bytes + sizeof(ItemPointerData);
	size_t		gathering = 2 * row + OMEN_GATHER_ROW_BYTES;
	size_t		linking = row + sketch->sketch_bytes + 2 * params->m * sizeof(uint32) +
		omen_graph_link_bytes(codec, params);

	return Max(gathering, linking);
}

/* What its attributes cost, besides. */
static size_t
attribute_bytes(const OmenMeta *meta)
{
	if (meta->n_attributes == 0)
		return 0;
	return OMEN_ATTRIBUTE_ROW_MEMORY + meta->n_attributes * OMEN_ATTRIBUTE_MEMORY;
}

size_t
omen_builder_row_bytes(Relation index, const OmenMeta *meta, const OmenCodec *codec)
{
	OmenGraphParams params = {.m = meta->m,.ef_construction = meta->ef_construction};
	OmenSketch	sketch;

	omen_am_wanted_sketch(&sketch, index, codec);
	return row_bytes(codec, &sketch, &params) + attribute_bytes(meta);
}

/*
 * A member's builder, in the current memory context.  Without a limit (NULL),
 * all rows become one segment.
 */
OmenSegmentBuilder *
omen_builder_create(Relation index, const OmenMeta *meta, const OmenCodec *codec,
					OmenBuildTeam *team, const OmenSegmentLimit *limit, bool report_progress)
{
	const OmenSegmentLimit no_limit = {.max_bytes = SIZE_MAX,.max_rows = PG_UINT32_MAX};
	OmenSegmentBuilder *builder = palloc0(sizeof(OmenSegmentBuilder));

	builder->index = index;
	builder->meta = meta;
	builder->codec = codec;
	builder->team = team;
	omen_am_wanted_sketch(&builder->sketch, index, codec);
	builder->report_progress = report_progress;
	if (report_progress)
		team->team.host.tick = host_tick_progress;
	omen_collector_init(&builder->collector, codec, limit ? limit : &no_limit);
	if (meta->n_attributes > 0)
		builder->attributes = omen_attribute_table_create(omen_am_attributes(index, meta));
	return builder;
}

/* ---- gathering ---- */

/* The leader gets what the others have, one after the other. */
static void
gather_attributes(OmenBuildTeam *team, void *arg)
{
	OmenSegmentBuilder *builder = arg;
	OmenAttributeTable *table = builder->attributes;
	int			n_members = team->team.n_members;
	Size	   *bytes = team->team.share(team, n_members * sizeof(Size));
	char	   *serialized;

	bytes[team->team.member] = omen_attribute_table_serialized_bytes(table);
	team->team.barrier(team);
	for (int member = 1; member < n_members; member++)
	{
		serialized = team->team.share(team, bytes[member]);
		if (team->team.member == member)
			omen_attribute_table_serialize(table, serialized);
		team->team.barrier(team);
		if (omen_team_leads(&team->team))
			omen_attribute_table_absorb(table, serialized);
		team->team.unshare(team, serialized);
	}
	team->team.unshare(team, bytes);
}

static bool
bring_together(OmenSegmentBuilder *builder, bool more)
{
	OmenBuildTeam *team = builder->team;

	if (builder->attributes && team->team.n_members > 1 &&
		!omen_build_team_try(team, gather_attributes, builder))
	{
		omen_collector_reset(&builder->collector);
		return false;
	}
	return omen_collector_gather(&builder->collector, team, more, &builder->rows);
}

/*
 * Bring the rows of all members together, and their attributes to the leader:
 * see omen_collector_gather().
 */
bool
omen_builder_gather(OmenSegmentBuilder *builder, bool more)
{
	bool		done = bring_together(builder, more);

	if (builder->attributes && (!done || !omen_team_leads(&builder->team->team)))
		omen_attribute_table_reset(builder->attributes);
	return done;
}

/* ---- folding ---- */

typedef struct FoldShared
{
	uint32		hash_claim;
	uint32		part_claim;
	uint32		n_nodes;
} FoldShared;

/* The bytes that a code consists of. */
static const uint8 *
code_content(const OmenSegmentBuilder *builder, uint32 i, uint32 *n_bytes)
{
	const OmenCodeRef *ref = (const OmenCodeRef *) omen_builder_code(builder, i);

	if (!builder->codec->variable)
	{
		*n_bytes = builder->codec->code_bytes;
		return omen_builder_code(builder, i);
	}
	*n_bytes = ref->n_bytes;
	return ref->bytes;
}

static uint32
hash_record(const OmenSegmentBuilder *builder, uint32 i)
{
	uint32		n_bytes;
	const uint8 *content = code_content(builder, i, &n_bytes);

	return hash_combine(hash_bytes(content, n_bytes),
						hash_bytes((unsigned char *) omen_builder_factors(builder, i),
								   builder->codec->identity_bytes));
}

/* Do two records decode to the same vector?  If so, they have the same hash. */
static bool
records_equal(const OmenSegmentBuilder *builder, uint32 i, uint32 j)
{
	return builder->codec->equal(builder->codec, omen_builder_factors(builder, i), omen_builder_code(builder, i),
								 omen_builder_factors(builder, j), omen_builder_code(builder, j));
}

static void
hash_rows(OmenSegmentBuilder *builder, FoldShared *shared, uint32 *hashes)
{
	uint32		from;
	uint32		to;

	while (omen_team_claim(&shared->hash_claim, PIECE_ROWS, builder->rows.n, &from, &to))
	{
		CHECK_FOR_INTERRUPTS();
		for (; from < to; from++)
			hashes[from] = hash_record(builder, from);
	}
}

/* Let a row stand for another one with the same code, too. */
static void
absorb_row(const OmenSegmentBuilder *builder, uint32 i, uint32 other)
{
	const OmenCodec *codec = builder->codec;

	codec->absorb(codec, omen_builder_factors(builder, i), omen_builder_factors(builder, other));
	if (codec->refine_bytes > 0)
		codec->absorb_refine(codec, omen_builder_factors(builder, i), omen_builder_code(builder, i),
							 omen_builder_refine(builder, i), omen_builder_refine(builder, other));
}

/*
 * Find equal rows among those of a part, in their order: first[i] becomes the
 * first row that row i is equal to, which takes on what it has to know of it.
 */
static void
fold_part(OmenSegmentBuilder *builder, const uint32 *hashes, uint32 part, uint32 n_parts,
		  uint32 *first)
{
	uint32		n = builder->rows.n;
	uint32		n_members = 0;
	uint32		mask;
	uint32	   *table;

	for (uint32 i = 0; i < n; i++)
		n_members += hashes[i] % n_parts == part;
	mask = pg_nextpower2_32(Max(n_members, 8) * 2) - 1;
	table = omen_host_alloc(builder->team->context, ((size_t) mask + 1) * sizeof(uint32));
	memset(table, 0xFF, ((size_t) mask + 1) * sizeof(uint32));

	for (uint32 i = 0; i < n; i++)
	{
		uint32		at = (hashes[i] / n_parts) & mask;

		if (i % PIECE_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (hashes[i] % n_parts != part)
			continue;
		while (table[at] != NO_ROW &&
			   (hashes[table[at]] != hashes[i] || !records_equal(builder, table[at], i)))
			at = (at + 1) & mask;
		if (table[at] == NO_ROW)
			table[at] = i;
		else
			absorb_row(builder, table[at], i);
		first[i] = table[at];
	}
	omen_host_release(table);
}

static void
fold_parts(OmenSegmentBuilder *builder, FoldShared *shared, const uint32 *hashes, uint32 *first)
{
	uint32		n_parts = Min(builder->rows.n / PART_ROWS + 1, MAX_PARTS);
	uint32		part;
	uint32		next;

	while (omen_team_claim(&shared->part_claim, 1, n_parts, &part, &next))
		fold_part(builder, hashes, part, n_parts, first);
}

/* Close up the elements of rows that are their own first. */
static void
keep_firsts(void *elements, size_t element_bytes, const uint32 *first, uint32 n)
{
	char	   *base = elements;
	uint32		to = 0;

	for (uint32 i = 0; i < n; i++)
	{
		if (i % PIECE_ROWS == 0)
			CHECK_FOR_INTERRUPTS();
		if (first[i] != i)
			continue;
		if (to != i)
			memcpy(base + to * element_bytes, base + i * element_bytes, element_bytes);
		to++;
	}
}

/* No two nodes of a segment are equal: else those carried over would not be the first nodes here. */
static void
check_carried(const OmenSegmentBuilder *builder, const uint32 *first)
{
	for (uint32 i = 0; i < builder->carried->n_nodes; i++)
	{
		if (first[i] != i)
			ereport(ERROR,
					(errcode(ERRCODE_INDEX_CORRUPTED),
					 errmsg("a segment of index \"%s\" has a vector twice",
							RelationGetRelationName(builder->index)),
					 errhint("Please REINDEX it.")));
	}
}

/*
 * Number the nodes, close up their TIDs and list the other ones, with the
 * numbers of their nodes.  first is used up.
 */
static void
list_duplicates(OmenSegmentBuilder *builder, OmenFolded *folded, uint32 *first)
{
	const OmenCarried *carried = builder->carried;
	ItemPointerData *tids = builder->rows.tids;
	uint32		n = builder->rows.n;
	size_t		n_duplicates = carried ? carried->n_duplicates : 0;

	for (uint32 i = 0; i < n; i++)
		n_duplicates += first[i] != i;
	folded->duplicates = omen_host_alloc(builder->team->context,
										 Max(n_duplicates, 1) * sizeof(OmenDuplicate));
	if (carried)
	{
		check_carried(builder, first);
		memcpy(folded->duplicates, carried->duplicates, carried->n_duplicates * sizeof(OmenDuplicate));
		folded->n_duplicates = carried->n_duplicates;
	}
	for (uint32 i = 0; i < n; i++)
	{
		if (first[i] == i)
		{
			tids[folded->n_nodes] = tids[i];
			first[i] = folded->n_nodes++;
			continue;
		}
		first[i] = first[first[i]];
		folded->duplicates[folded->n_duplicates].node = first[i];
		folded->duplicates[folded->n_duplicates].tid = tids[i];
		folded->n_duplicates++;
	}
}

/*
 * Fold rows with equal codes: the first of them becomes the node, the others
 * duplicates.  Left separate, they would make cliques without a way out.
 */
static void
fold_rows(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	OmenSegmentBuilder *builder = sealing->builder;
	OmenRowSet *rows = &builder->rows;
	const OmenCodec *codec = builder->codec;
	OmenFolded *folded = &sealing->folded;
	FoldShared *shared = team->team.share(team, sizeof(FoldShared));
	uint32	   *hashes = team->team.share(team, (size_t) rows->n * sizeof(uint32));
	uint32	   *first = team->team.share(team, (size_t) rows->n * sizeof(uint32));

	hash_rows(builder, shared, hashes);
	team->team.barrier(team);
	fold_parts(builder, shared, hashes, first);
	team->team.unshare(team, hashes);

	/* each member has its own array of codes of variable length */
	if (codec->variable || omen_team_leads(&team->team))
		keep_firsts(rows->codes, codec->code_bytes, first, rows->n);
	team->team.barrier(team);
	if (omen_team_leads(&team->team))
	{
		keep_firsts(rows->factors, codec->factor_bytes, first, rows->n);
		if (rows->refines)
			keep_firsts(rows->refines, codec->refine_bytes, first, rows->n);
		list_duplicates(builder, folded, first);
		shared->n_nodes = folded->n_nodes;
	}
	team->team.barrier(team);
	folded->n_nodes = shared->n_nodes;
	team->team.unshare(team, first);
	team->team.unshare(team, shared);
}

/* ---- numbering, choosing, linking, writing ---- */

/* Duplicates name nodes by their old number; give them the new one. */
static void
renumber_duplicates(OmenSegmentBuilder *builder, OmenFolded *folded, const uint32 *order)
{
	uint32	   *new_number;

	if (folded->n_duplicates == 0)
		return;
	new_number = omen_host_alloc(builder->team->context, folded->n_nodes * sizeof(uint32));
	for (uint32 i = 0; i < folded->n_nodes; i++)
		new_number[order[i]] = i;
	for (uint32 i = 0; i < folded->n_duplicates; i++)
		folded->duplicates[i].node = new_number[folded->duplicates[i].node];
	omen_host_release(new_number);
}

static void
permute_codes(OmenBuildTeam *team, const OmenCodec *codec, uint8 *codes, const uint32 *order, uint32 n)
{
	OmenTeam	alone;

	if (!codec->variable)
	{
		omen_permute(&team->team, codes, codec->code_bytes, order, n);
		return;
	}
	omen_team_alone(&alone, &team->team.host);
	omen_permute(&alone, codes, codec->code_bytes, order, n);
}

/* How many nodes have come and gone since all were numbered, if what is carried keeps its order. */
static uint32
count_renewed(const Sealing *sealing)
{
	const OmenCarried *carried = sealing->builder->carried;

	return carried->n_renewed + (carried->graph.n - carried->n_nodes) +
		(sealing->folded.n_nodes - carried->n_nodes);
}

/*
 * Do the nodes carried keep their order?  If they are grouped, or most have
 * come from elsewhere since it was made, numbers say no more who is near.  (The
 * merge has asked that of rows before it knew the nodes, which are fewer where
 * rows are alike.)
 */
static bool
keeps_order(const Sealing *sealing)
{
	return sealing->builder->carried && !sealing->builder->meta->group_attribute &&
		count_renewed(sealing) <= OMEN_RENEWED_SHARE * sealing->folded.n_nodes;
}

/* Bring all that is known of the nodes but their links into another order. */
static void
permute_nodes(OmenBuildTeam *team, Sealing *sealing, const uint32 *order)
{
	OmenRowSet *rows = &sealing->builder->rows;
	const OmenCodec *codec = sealing->builder->codec;
	uint32		n = sealing->folded.n_nodes;

	omen_permute(&team->team, rows->factors, codec->factor_bytes, order, n);
	if (rows->refines)
		omen_permute(&team->team, rows->refines, codec->refine_bytes, order, n);
	omen_permute(&team->team, rows->tids, sizeof(ItemPointerData), order, n);
	permute_codes(team, codec, rows->codes, order, n);
	if (sealing->sketches.records)
		omen_permute(&team->team, sealing->sketches.records, sealing->sketches.sketch->sketch_bytes, order, n);
	renumber_duplicates(sealing->builder, &sealing->folded, order);
}

/* Number the nodes by locality and bring the arrays into that order. */
static void
order_nodes(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	OmenRowSet *rows = &sealing->builder->rows;
	const OmenCodec *codec = sealing->builder->codec;
	const OmenCarried *carried = sealing->builder->carried;
	uint32		n = sealing->folded.n_nodes;
	OmenRecords records = {.codec = codec,.n = n,.factors = rows->factors,.codes = rows->codes};
	uint32	   *order = team->team.share(team, (size_t) n * sizeof(uint32));

	if (carried)
		sealing->n_renewed = count_renewed(sealing);
	if (keeps_order(sealing))
		omen_locality_extend(&team->team, &records, &carried->graph, carried->n_nodes, order,
							 &sealing->routing);
	else
		omen_locality_order(&team->team, &records, order, &sealing->routing);
	permute_nodes(team, sealing, order);
	if (carried)
		sealing->order = order;
	else
		team->team.unshare(team, order);
}

/* Take over the older links, then link the new nodes. */
static void
extend_links(OmenBuildTeam *team, Sealing *sealing, const OmenRecords *records)
{
	OmenCarried *carried = sealing->builder->carried;

	omen_links_carry(&team->team, records, &carried->graph, sealing->order, carried->n_nodes,
					 sealing->params.m, sealing->links);
	omen_host_release(carried->links);
	omen_graph_extend(&team->team, records, &sealing->routing, &sealing->params, sealing->order,
					  carried->n_nodes, sealing->links, &sealing->curve);
	team->team.unshare(team, sealing->order);

	/* too few were new to measure by them */
	if (omen_calibrate_queries(records->n, records->n - carried->n_nodes) == 0)
		sealing->curve = carried->curve;
}

static inline bool
has_sketches(const Sealing *sealing)
{
	return sealing->builder->sketch.kind != OMEN_SKETCH_NONE && sealing->folded.n_nodes > 0;
}

/* The nodes, in their final order, as links and scans compare them. */
static OmenRecords
sealed_records(const Sealing *sealing)
{
	const OmenRowSet *rows = &sealing->builder->rows;
	OmenRecords records = {
		.codec = sealing->builder->codec,
		.n = sealing->folded.n_nodes,
		.factors = rows->factors,
		.codes = rows->codes,
		.sketches = sealing->sketches.records ? &sealing->sketches : NULL
	};

	return records;
}

/* Would the rows gathered be within the limit, if they were linked so? */
static bool
params_fit(const OmenSegmentBuilder *builder, const OmenGraphParams *params)
{
	const OmenSegmentLimit *limit = &builder->collector.limit;
	size_t		bytes = row_bytes(builder->codec, &builder->sketch, params);
	size_t		more = bytes > limit->row_bytes ? bytes - limit->row_bytes : 0;

	return builder->rows.n_bytes + builder->rows.n * more <= limit->max_bytes;
}

static void
note_params(Relation index, const OmenGraphParams *params)
{
	OmenMetaChange change;

	omen_meta_change_begin(index, &change);
	change.meta->m = params->m;
	change.meta->ef_construction = params->ef_construction;
	omen_meta_change_commit(&change);
}

/*
 * The leader tries what the graph needs, and says so in the metapage.  Where
 * memory does not admit it, it stays at what the metapage says: wider beams
 * will do, and cost less than more segments would.
 */
static void
choose_params(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	OmenSegmentBuilder *builder = sealing->builder;
	OmenGraphParams *chosen = team->team.share(team, sizeof(OmenGraphParams));

	if (omen_team_leads(&team->team))
	{
		OmenRecords records = sealed_records(sealing);

		*chosen = omen_graph_choose_params(&team->team.host, &records, NULL);
		if (!params_fit(builder, chosen))
			*chosen = sealing->params;
		if (chosen->m != sealing->params.m)
			note_params(builder->index, chosen);
	}
	team->team.barrier(team);
	sealing->params = *chosen;
	builder->open_meta->m = chosen->m;
	builder->open_meta->ef_construction = chosen->ef_construction;
	builder->open_meta = NULL;
	team->team.unshare(team, chosen);
}

/* Sketches, if there are to be any: searches that measure the graph compare by them. */
static void
sketch_nodes(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	OmenSegmentBuilder *builder = sealing->builder;
	OmenRecords records = sealed_records(sealing);

	sealing->sketches.sketch = &builder->sketch;
	sealing->sketches.oversampling = omen_am_usual_oversampling(&builder->sketch);
	omen_sketches_make(&team->team, &records, &sealing->sketches);
}

static void
link_nodes(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	uint32		n = sealing->folded.n_nodes;
	OmenRecords records = sealed_records(sealing);

	sealing->links = team->team.share(team, (size_t) n * 2 * sealing->params.m * sizeof(uint32));
	if (sealing->builder->carried)
		extend_links(team, sealing, &records);
	else
		omen_graph_link(&team->team, &records, &sealing->routing, &sealing->params, sealing->links,
						&sealing->curve);
}

/*
 * Number the nodes by the value that their first row has of the attribute, and
 * by locality where it is the same.  The graph is finished: who links to whom,
 * and where searches begin, stays.
 */
static void
group_nodes(OmenBuildTeam *team, void *arg)
{
	Sealing    *sealing = arg;
	OmenSegmentBuilder *builder = sealing->builder;
	uint32		n = sealing->folded.n_nodes;
	uint32	   *order = team->team.share(team, (size_t) n * sizeof(uint32));

	if (omen_team_leads(&team->team))
	{
		omen_attribute_table_sort(builder->attributes);
		omen_attribute_table_group(builder->attributes, builder->meta->group_attribute - 1,
								   builder->rows.tids, n, order);
	}
	team->team.barrier(team);
	omen_graph_renumber(&team->team, order, n, sealing->params.m, sealing->links, &sealing->routing);
	permute_nodes(team, sealing, order);
	team->team.unshare(team, order);
}

/*
 * Do a step together, or, if there is not enough shared memory, the leader
 * alone.  False for a worker that is no longer needed.
 */
static bool
run_step(Sealing *sealing, OmenTeamStep step)
{
	OmenBuildTeam *team = sealing->builder->team;

	if (omen_build_team_try(team, step, sealing))
		return true;
	if (team->left)
		return false;
	step(team, sealing);
	return true;
}

static bool
make_graph(Sealing *sealing)
{
	OmenSegmentBuilder *builder = sealing->builder;

	omen_builder_report_phase(builder, OMEN_PHASE_ORDER, builder->rows.n);
	if (!run_step(sealing, fold_rows) || !run_step(sealing, order_nodes))
		return false;
	if (builder->open_meta && !run_step(sealing, choose_params))
		return false;
	if (has_sketches(sealing) && !run_step(sealing, sketch_nodes))
		return false;
	omen_builder_report_phase(builder, OMEN_PHASE_LINK, sealing->folded.n_nodes);
	return run_step(sealing, link_nodes) &&
		(!builder->meta->group_attribute || run_step(sealing, group_nodes));
}

static bool
write_segment(Sealing *sealing, uint32 *segment_id)
{
	OmenSegmentBuilder *builder = sealing->builder;
	OmenContentSource source;
	OmenSegmentContent content = {0};
	bool		written;

	omen_builder_report_phase(builder, OMEN_PHASE_WRITE, 0);
	omen_content_init(&content, &source, builder, &sealing->folded, &sealing->routing, sealing->links,
					  sealing->sketches.records ? &sealing->sketches : NULL);
	content.n_renewed = sealing->n_renewed;
	memcpy(&content.curve, &sealing->curve, sizeof(sealing->curve));
	written = omen_segment_write(builder->index, builder->meta, &content, segment_id);
	omen_content_end(&source);
	if (builder->attributes)
		omen_attribute_table_forget(builder->attributes,
									builder->rows.more ? builder->rows.last_block : MaxBlockNumber);
	return written;
}

/*
 * Make a segment of the rows gathered, and write it, not yet published: the
 * leader gets its id, or false if the directory is full.  Collective; for a
 * worker always false.
 */
bool
omen_builder_write(OmenSegmentBuilder *builder, uint32 *segment_id)
{
	OmenBuildTeam *team = builder->team;
	MemoryContext old_context = MemoryContextSwitchTo(team->context);
	bool		written = false;
	Sealing		sealing = {
		.builder = builder,
		.params = {
			.m = builder->meta->m,
			.ef_construction = builder->meta->ef_construction
		}
	};

	if (make_graph(&sealing))
	{
		if (omen_team_leads(&team->team))
			written = write_segment(&sealing, segment_id);
		omen_host_release(sealing.folded.duplicates);
		omen_routing_release(&team->team, &sealing.routing);
		team->team.unshare(team, sealing.links);
		if (has_sketches(&sealing))
		{
			team->team.unshare(team, sealing.sketches.records);
			team->team.unshare(team, sealing.sketches.model);
		}
		omen_row_set_release(team, &builder->rows);
	}
	MemoryContextSwitchTo(old_context);
	return written;
}
