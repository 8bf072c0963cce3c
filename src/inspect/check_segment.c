/*-------------------------------------------------------------------------
 *
 * check_segment.c
 *	  omenvec_check() for a sealed segment: columns, graph, routing table.
 *
 * One pass over each column, in an order in which each pass can use what the
 * one before has found; then a breadth-first walk of the graph from all
 * samples of the routing table, where every search begins.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#include "src/am/am_api.h"
#include "src/graph/graph_search.h"
#include "src/storage/page_reader.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

typedef struct SegmentCheck
{
	OmenCheck  *check;
	const OmenSegment *segment;
	uint32		max_links;
	uint32		factor_bytes;

	/* a bit per TID entry */
	uint64	   *dead;			/* the DEAD column */
	uint64	   *awaited;		/* entry is to begin a list that a node or the directory names */
	OmenCheckedEntry *entries;	/* what each is; NULL if the index has no attributes */

	/* walk of TIDS */
	uint32		list_end;		/* first entry behind the list being walked */
	bool		lost;			/* pages are missing: the next header says where we are */
	uint32		n_rows;			/* plain entries so far */
	uint32		list_owner;		/* node of the list being walked */

	/* walk of CODES */
	uint64		codes_end;		/* end of the code before, in BYTES */

	/* walk of CENTRES and SAMPLES */
	uint32		last_first_sample;
	OmenReader	code_reader;
	OmenColumnView codes;
	OmenSketchProof *proof;		/* NULL: sketches are not compared with codes */
	bool		compare_codes;

	/* walk of the graph */
	uint64	   *reached;		/* a bit per node */
	uint32	   *queue;
} SegmentCheck;

static inline bool
get_bit(const uint64 *bits, uint32 i)
{
	return (bits[i / 64] >> (i % 64)) & 1;
}

static inline void
set_bit(uint64 *bits, uint32 i)
{
	bits[i / 64] |= UINT64CONST(1) << (i % 64);
}

static inline void
clear_bit(uint64 *bits, uint32 i)
{
	bits[i / 64] &= ~(UINT64CONST(1) << (i % 64));
}

static uint64 *
make_bits(uint32 n)
{
	return palloc_extended(((Size) n / 64 + 1) * sizeof(uint64), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- DEAD ---- */

static void
visit_dead(void *arg, BlockNumber block, uint32 record, const void *head, const void *body)
{
	SegmentCheck *state = arg;

	memcpy(&state->dead[record], body, sizeof(uint64));
}

static void
check_dead(SegmentCheck *state)
{
	uint32		n_entries = state->segment->n_tid_entries;
	uint32		n_words = (n_entries + 63) / 64;
	uint64		n_dead = 0;
	bool		good = omen_check_walk_column(state->check, state->segment, OMEN_COLUMN_DEAD,
											  visit_dead, state);

	for (uint32 i = 0; i < n_words; i++)
		n_dead += pg_popcount64(state->dead[i]);
	if (n_entries % 64 != 0 && (state->dead[n_words - 1] >> (n_entries % 64)) != 0)
		omen_check_report(state->check, InvalidBlockNumber,
						  "bits are set behind the last of %u TID entries", n_entries);

	/* A crash in VACUUM may leave bits that are not counted yet. */
	if (good && n_dead < state->segment->n_dead)
		omen_check_report(state->check, InvalidBlockNumber,
						  "directory says %u dead rows, but only " UINT64_FORMAT " are marked",
						  state->segment->n_dead, n_dead);
}

/* ---- TIDS ---- */

/* Somebody names a list that begins at this entry. */
static void
await_list(SegmentCheck *state, BlockNumber block, uint32 list)
{
	if (get_bit(state->awaited, list))
		omen_check_report(state->check, block, "list at TID entry %u is used twice", list);
	set_bit(state->awaited, list);
}

static void
check_plain_entry(SegmentCheck *state, BlockNumber block, uint32 number, const OmenTidEntry *entry)
{
	state->n_rows++;
	if (state->entries)
	{
		state->entries[number].is_row = true;
		state->entries[number].owner = number < state->segment->n_nodes ? number : state->list_owner;
	}
	omen_check_tid(state->check, block, entry->block, entry->offset,
				   !get_bit(state->dead, number));
}

static void
check_entry_of_node(SegmentCheck *state, BlockNumber block, uint32 number, const OmenTidEntry *entry)
{
	if (entry->kind == OMEN_TID_PLAIN)
	{
		check_plain_entry(state, block, number, entry);
		return;
	}
	if (entry->kind != OMEN_TID_LIST || entry->offset != 0)
		omen_check_report(state->check, block, "TID entry %u of a node has kind %u and offset %u",
						  number, entry->kind, entry->offset);
	else if (entry->block < state->segment->n_nodes || entry->block >= state->segment->n_tid_entries)
		omen_check_report(state->check, block, "list of node %u begins at TID entry %u of %u",
						  number, entry->block, state->segment->n_tid_entries);
	else
	{
		await_list(state, block, entry->block);
		if (state->entries)
			state->entries[entry->block].owner = number;	/* until its header is seen */
	}
	if (get_bit(state->dead, number))
		omen_check_report(state->check, block, "TID entry %u is dead but is no TID", number);
}

/* The header of a list, where one is due. */
static void
check_list_header(SegmentCheck *state, BlockNumber block, uint32 number, const OmenTidEntry *entry)
{
	uint32		left = state->segment->n_tid_entries - number - 1;

	state->list_end = number + 1;
	if (entry->kind != OMEN_TID_HEADER)
	{
		/* say it once, then look for the next header */
		if (!state->lost)
			omen_check_report(state->check, block, "TID entry %u of kind %u does not begin a list",
							  number, entry->kind);
		state->lost = true;
		return;
	}
	state->lost = false;
	if (state->entries)
	{
		state->list_owner = state->entries[number].owner;
		state->entries[number].owner = OMEN_NO_NODE;
	}
	if (entry->block == 0 || entry->block > left || entry->offset != 0)
		omen_check_report(state->check, block, "list at TID entry %u has %u entries where %u are left",
						  number, entry->block, left);
	else
		state->list_end = number + 1 + entry->block;
	if (!get_bit(state->awaited, number))
		omen_check_report(state->check, block, "nobody uses the list at TID entry %u", number);
	clear_bit(state->awaited, number);
	if (get_bit(state->dead, number))
		omen_check_report(state->check, block, "TID entry %u is dead but is no TID", number);
}

static void
visit_tid(void *arg, BlockNumber block, uint32 number, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	OmenTidEntry entry = *(const OmenTidEntry *) body;

	if (number < state->segment->n_nodes)
		check_entry_of_node(state, block, number, &entry);
	else if (state->lost || number >= state->list_end)
		check_list_header(state, block, number, &entry);
	else if (entry.kind == OMEN_TID_PLAIN)
		check_plain_entry(state, block, number, &entry);
	else
	{
		omen_check_report(state->check, block, "TID entry %u of kind %u is inside a list",
						  number, entry.kind);
		state->lost = true;
	}
}

static OmenCheckedEntry *
make_entries(uint32 n)
{
	OmenCheckedEntry *entries = palloc_extended(Max(n, 1) * sizeof(OmenCheckedEntry), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < n; i++)
		entries[i] = (OmenCheckedEntry) {.is_row = false,.owner = OMEN_NO_NODE};
	return entries;
}

/* Returns whether all are there and as many rows as there should be. */
static bool
check_tids(SegmentCheck *state)
{
	const OmenSegment *segment = state->segment;

	state->awaited = make_bits(segment->n_tid_entries);
	if (state->check->attributes)
		state->entries = make_entries(segment->n_tid_entries);
	state->list_end = segment->n_nodes;
	if (segment->null_list != OMEN_NO_LIST)
		await_list(state, OMEN_META_BLOCK, segment->null_list);
	if (segment->undirected_list != OMEN_NO_LIST)
		await_list(state, OMEN_META_BLOCK, segment->undirected_list);

	if (!omen_check_walk_column(state->check, segment, OMEN_COLUMN_TIDS, visit_tid, state))
		return false;			/* the sums below would only repeat it */
	if (state->n_rows != segment->n_rows)
		omen_check_report(state->check, InvalidBlockNumber, "directory says %u rows, there are %u",
						  segment->n_rows, state->n_rows);
	for (uint32 i = segment->n_nodes; i < segment->n_tid_entries; i++)
		if (get_bit(state->awaited, i))
			omen_check_report(state->check, InvalidBlockNumber, "no list begins at TID entry %u", i);
	return state->n_rows == segment->n_rows;
}

/* ---- CODES ---- */

/* Where codes differ in length: the reference must lie in the column BYTES, behind the one before. */
static void
visit_code_reference(void *arg, BlockNumber block, uint32 node, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	uint64		n_bytes = (uint64) state->segment->n_chunks * OMEN_CHUNK_BYTES;
	OmenStoredRef ref;

	memcpy(&ref, body, sizeof(ref));
	if (ref.offset % sizeof(uint32) != 0 || ref.offset < state->codes_end ||
		ref.offset > n_bytes || ref.n_bytes > n_bytes - ref.offset)
		omen_check_report(state->check, block,
						  "code of node %u is %u bytes from byte " UINT64_FORMAT " on, of " UINT64_FORMAT ", "
						  "the code before ends at " UINT64_FORMAT,
						  node, ref.n_bytes, ref.offset, n_bytes, state->codes_end);
	else
		state->codes_end = ref.offset + ref.n_bytes;
}

static bool
check_codes(SegmentCheck *state)
{
	OmenCheck  *check = state->check;
	bool		good = omen_check_walk_column(check, state->segment, OMEN_COLUMN_BYTES, NULL, NULL);

	return omen_check_walk_column(check, state->segment, OMEN_COLUMN_CODES,
								  check->meta->variable_codes ? visit_code_reference : NULL, state) && good;
}

/* ---- NODES ---- */

static bool
link_is_repeated(const uint32 *links, uint32 at)
{
	for (uint32 i = 0; i < at; i++)
		if (links[i] == links[at])
			return true;
	return false;
}

static void
visit_node(void *arg, BlockNumber block, uint32 node, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	const uint32 *links = body;
	uint32		n_nodes = state->segment->n_nodes;
	uint32		degree = 0;

	while (degree < state->max_links && links[degree] != OMEN_NO_NODE)
		degree++;
	if (degree == 0 && n_nodes > 1)
		omen_check_report(state->check, block, "node %u has no links", node);
	for (uint32 i = 0; i < degree; i++)
	{
		if (links[i] >= n_nodes)
			omen_check_report(state->check, block, "node %u is linked to node %u of %u",
							  node, links[i], n_nodes);
		else if (links[i] == node)
			omen_check_report(state->check, block, "node %u is linked to itself", node);
		else if (link_is_repeated(links, i))
			omen_check_report(state->check, block, "node %u is linked to node %u twice", node, links[i]);
	}
	for (uint32 i = degree; i < state->max_links; i++)
		if (links[i] != OMEN_NO_NODE)
		{
			omen_check_report(state->check, block, "node %u has a gap among its links", node);
			break;
		}
}

/* ---- the routing table ---- */

/* The number behind a routing record's factors. */
static uint32
routing_number(const SegmentCheck *state, const void *head)
{
	uint32		number;

	memcpy(&number, (const char *) head + state->factor_bytes, sizeof(number));
	return number;
}

static void
visit_centre(void *arg, BlockNumber block, uint32 centre, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	uint32		first_sample = routing_number(state, head);

	if (first_sample > state->segment->n_samples || first_sample < state->last_first_sample ||
		(centre == 0 && first_sample != 0))
		omen_check_report(state->check, block,
						  "samples of centre %u begin at %u, those of the one before at %u, of %u",
						  centre, first_sample, state->last_first_sample, state->segment->n_samples);
	else
		state->last_first_sample = first_sample;
}

static void
visit_sample(void *arg, BlockNumber block, uint32 sample, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	uint32		node = routing_number(state, head);
	const void *factors;
	const void *code;

	if (node >= state->segment->n_nodes)
	{
		omen_check_report(state->check, block, "sample %u is node %u of %u",
						  sample, node, state->segment->n_nodes);
		return;
	}
	if (get_bit(state->reached, node))
		omen_check_report(state->check, block, "sample %u is node %u, as one before", sample, node);
	set_bit(state->reached, node);
	if (!state->compare_codes)
		return;
	omen_reader_one(&state->code_reader, &state->codes, node, &factors, &code);
	if (memcmp(head, factors, state->factor_bytes) != 0 ||
		memcmp(body, code, state->check->meta->code_bytes) != 0)
		omen_check_report(state->check, block, "sample %u has not the code of its node, %u",
						  sample, node);
	omen_reader_release(&state->code_reader);
}

/* A record of TERMS: starting points by what a sparse vector has. */
static void
visit_term(void *arg, BlockNumber block, uint32 record, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	const uint32 *nodes = body;

	for (int i = 0; i < OMEN_TERM_LINKS; i++)
		if (nodes[i] != OMEN_NO_NODE && nodes[i] >= state->segment->n_nodes)
			omen_check_report(state->check, block, "term record %u names node %u of %u",
							  record, nodes[i], state->segment->n_nodes);
}

/* ---- the graph ---- */

/* Add the nodes that a node is linked to and that are new; returns the new end of the queue. */
static uint32
reach_neighbours(SegmentCheck *state, const uint32 *links, uint32 n_queued)
{
	for (uint32 i = 0; i < state->max_links && links[i] != OMEN_NO_NODE; i++)
		if (links[i] < state->segment->n_nodes && !get_bit(state->reached, links[i]))
		{
			set_bit(state->reached, links[i]);
			state->queue[n_queued++] = links[i];
		}
	return n_queued;
}

/* state->queue holds n_queued nodes, all of them marked as reached. */
static void
check_reachable(SegmentCheck *state, uint32 n_queued)
{
	uint32		n_nodes = state->segment->n_nodes;
	uint32		first_unreached = 0;
	OmenReader	reader;
	OmenColumnView nodes;

	omen_reader_init(&reader, state->check->index);
	omen_column_view(&nodes, state->check->index, state->check->meta, state->segment, OMEN_COLUMN_NODES);
	for (uint32 i = 0; i < n_queued; i++)
	{
		const void *head;
		const void *links;

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		omen_reader_one(&reader, &nodes, state->queue[i], &head, &links);
		n_queued = reach_neighbours(state, links, n_queued);
	}
	omen_reader_release(&reader);
	if (n_queued == n_nodes)
		return;
	while (get_bit(state->reached, first_unreached))
		first_unreached++;
	omen_check_report(state->check, InvalidBlockNumber,
					  "%u of %u nodes cannot be reached from the routing table, the first is node %u",
					  n_nodes - n_queued, n_nodes, first_unreached);
}

static void
visit_sketch(void *arg, BlockNumber block, uint32 node, const void *head, const void *body)
{
	SegmentCheck *state = arg;
	const void *factors;
	const void *code;

	CHECK_FOR_INTERRUPTS();
	omen_reader_one(&state->code_reader, &state->codes, node, &factors, &code);
	if (!omen_am_sketch_is_right(state->proof, factors, code, body))
		omen_check_report(state->check, block, "the sketch of node %u is not that of its code", node);
	omen_reader_release(&state->code_reader);
}

/* Sketches follow from codes and the model. */
static void
check_sketches(SegmentCheck *state)
{
	OmenCheck  *check = state->check;

	if (state->segment->sketches.kind == 0)
		return;
	if (state->compare_codes)
	{
		state->proof = omen_am_sketch_proof(check->index, check->meta, state->segment);
		if (state->proof == NULL)
			omen_check_report(check, InvalidBlockNumber, "the model of the sketches is damaged");
	}
	(void) omen_check_walk_column(check, state->segment, OMEN_COLUMN_SKETCHES,
								  state->proof ? visit_sketch : NULL, state);
}

/* Codes, links and routing. */
static void
check_graph(SegmentCheck *state)
{
	OmenCheck  *check = state->check;
	const OmenSegment *segment = state->segment;
	uint32		n_queued = 0;
	bool		links_good;
	bool		routing_good;

	state->compare_codes = check_codes(state);
	(void) omen_check_walk_column(check, segment, OMEN_COLUMN_REFINE, NULL, NULL);
	links_good = omen_check_walk_column(check, segment, OMEN_COLUMN_NODES, visit_node, state);
	if (segment->n_nodes == 0)
		return;

	state->reached = make_bits(segment->n_nodes);
	state->queue = palloc_extended((Size) segment->n_nodes * sizeof(uint32), MCXT_ALLOC_HUGE);
	omen_reader_init(&state->code_reader, check->index);
	omen_column_view(&state->codes, check->index, check->meta, segment, OMEN_COLUMN_CODES);
	check_sketches(state);
	(void) omen_check_walk_column(check, segment, OMEN_COLUMN_CENTRES, visit_centre, state);
	(void) omen_check_walk_column(check, segment, OMEN_COLUMN_TERMS, visit_term, state);
	routing_good = omen_check_walk_column(check, segment, OMEN_COLUMN_SAMPLES, visit_sample, state);

	for (uint32 node = 0; node < segment->n_nodes; node++)
		if (get_bit(state->reached, node))
			state->queue[n_queued++] = node;
	if (links_good && routing_good)
		check_reachable(state, n_queued);
}

void
omen_check_segment(OmenCheck *check, const OmenSegment *segment)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "omenvec check segment",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);
	SegmentCheck state = {
		.check = check,
		.segment = segment,
		.max_links = 2 * check->meta->m,
		.factor_bytes = check->meta->factor_bytes
	};

	state.dead = make_bits(segment->n_tid_entries);
	check_dead(&state);
	if (check_tids(&state) && check->attributes)
		omen_check_attributes(check, segment, state.entries);
	check_graph(&state);
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

/* ---- only the TIDs ---- */

typedef struct TidWalk
{
	SegmentCheck state;			/* for visit_dead() */
	OmenTidVisitor visit;
	void	   *arg;
} TidWalk;

static void
pass_living_tid(void *arg, BlockNumber block, uint32 number, const void *head, const void *body)
{
	TidWalk    *walk = arg;
	const OmenTidEntry *entry = body;

	if (entry->kind == OMEN_TID_PLAIN && !get_bit(walk->state.dead, number))
		walk->visit(walk->arg, walk->state.segment->id, entry->block, entry->offset);
}

void
omen_check_each_tid(OmenCheck *check, const OmenSegment *segment, OmenTidVisitor visit, void *arg)
{
	TidWalk		walk = {{.check = check,.segment = segment}, visit, arg};

	walk.state.dead = make_bits(segment->n_tid_entries);
	(void) omen_check_walk_column(check, segment, OMEN_COLUMN_DEAD, visit_dead, &walk.state);
	(void) omen_check_walk_column(check, segment, OMEN_COLUMN_TIDS, pass_living_tid, &walk);
	pfree(walk.state.dead);
}
