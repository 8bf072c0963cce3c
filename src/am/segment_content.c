/*-------------------------------------------------------------------------
 *
 * segment_content.c
 *	  The columns of a new segment, made from the builder's arrays.
 *
 * The segment writer asks for record after record; what is not in the arrays
 * as it stands in the pages is put together here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/segment_content.h"

#include "src/am/graph_host.h"
#include "src/storage/stored_model.h"

StaticAssertDecl(OMEN_TERM_NODES == OMEN_TERM_LINKS, "records of TERMS hold what the graph code makes");

/* ---- TIDS ---- */

static inline OmenTidEntry
plain_entry(ItemPointer tid)
{
	OmenTidEntry entry = {ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid), OMEN_TID_PLAIN};

	return entry;
}

static int
compare_duplicates(const void *a, const void *b)
{
	const OmenDuplicate *left = a;
	const OmenDuplicate *right = b;

	if (left->node != right->node)
		return left->node < right->node ? -1 : 1;
	return ItemPointerCompare((ItemPointer) &left->tid, (ItemPointer) &right->tid);
}

static uint32
append_list(OmenTidColumn *column, const OmenTidList *list)
{
	uint32		start = column->n;
	OmenTidEntry header = {list->n, 0, OMEN_TID_HEADER};

	if (list->n == 0)
		return OMEN_NO_LIST;
	column->entries[column->n++] = header;
	for (uint32 i = 0; i < list->n; i++)
		column->entries[column->n++] = plain_entry(&list->tids[i]);
	return start;
}

/* The lists of folded nodes; the TIDs and the entries are in the order of the nodes. */
static void
append_duplicate_lists(const OmenSegmentBuilder *builder, OmenFolded *folded, OmenTidColumn *column)
{
	OmenDuplicate  *duplicates = folded->duplicates;
	uint32		end;

	qsort(duplicates, folded->n_duplicates, sizeof(OmenDuplicate), compare_duplicates);
	for (uint32 first = 0; first < folded->n_duplicates; first = end)
	{
		uint32		node = duplicates[first].node;
		OmenTidEntry to_list = {column->n, 0, OMEN_TID_LIST};
		OmenTidEntry header = {0, 0, OMEN_TID_HEADER};

		for (end = first; end < folded->n_duplicates && duplicates[end].node == node;)
			end++;
		header.block = end - first + 1;
		column->entries[column->n++] = header;
		column->entries[column->n++] = column->entries[node];
		for (uint32 i = first; i < end; i++)
			column->entries[column->n++] = plain_entry(&duplicates[i].tid);
		column->entries[node] = to_list;
	}
}

static void
make_tid_column(const OmenSegmentBuilder *builder, OmenFolded *folded, OmenTidColumn *column)
{
	/* Each duplicate may begin a list: header, and the node's own TID moves there. */
	size_t		most = (size_t) folded->n_nodes + (size_t) folded->n_duplicates * 3 +
		builder->rows.nulls.n + builder->rows.undirected.n + 2;

	if (most > OMEN_MAX_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a segment of index \"%s\" cannot have more than %u rows",
						RelationGetRelationName(builder->index), OMEN_MAX_NODES / 3),
				 errhint("Lower maintenance_work_mem or partition the table.")));
	column->entries = omen_host_alloc(builder->team->context, most * sizeof(OmenTidEntry));
	column->n = folded->n_nodes;
	for (uint32 i = 0; i < folded->n_nodes; i++)
		column->entries[i] = plain_entry(&builder->rows.tids[i]);
	append_duplicate_lists(builder, folded, column);
	column->null_list = append_list(column, &builder->rows.nulls);
	column->undirected_list = append_list(column, &builder->rows.undirected);
}

/* ---- BYTES ---- */

static const uint8 *
centre_code(const OmenContentSource *source, uint32 centre)
{
	return source->routing->centres.codes + (size_t) centre * source->builder->codec->code_bytes;
}

/* Code number i of BYTES. */
static const OmenCodeRef *
numbered_ref(const OmenContentSource *source, uint32 i)
{
	return (const OmenCodeRef *) (i < source->n_nodes ? omen_builder_code(source->builder, i) :
								  centre_code(source, i - source->n_nodes));
}

static void
lay_out_bytes(OmenContentSource *source)
{
	uint32		n = source->n_nodes + source->routing->centres.n;

	source->offsets = omen_host_alloc(source->builder->team->context, ((size_t) n + 1) * sizeof(uint64));
	source->chunk = palloc(OMEN_CHUNK_BYTES);
	source->chunk_first = 0;
	source->offsets[0] = 0;
	for (uint32 i = 0; i < n; i++)
		source->offsets[i + 1] = source->offsets[i] + numbered_ref(source, i)->n_bytes;
}

static uint32
count_chunks(const OmenContentSource *source)
{
	uint64		n_bytes;

	if (!source->builder->codec->variable)
		return 0;
	n_bytes = source->offsets[source->n_nodes + source->routing->centres.n];
	return (uint32) ((n_bytes + OMEN_CHUNK_BYTES - 1) / OMEN_CHUNK_BYTES);
}

/* Chunks are asked for in ascending order. */
static const char *
make_chunk(OmenContentSource *source, uint32 number)
{
	uint32		n = source->n_nodes + source->routing->centres.n;
	uint64		start = (uint64) number * OMEN_CHUNK_BYTES;
	uint64		end = start + OMEN_CHUNK_BYTES;

	memset(source->chunk, 0, OMEN_CHUNK_BYTES);
	while (source->chunk_first < n && source->offsets[source->chunk_first + 1] <= start)
		source->chunk_first++;
	for (uint32 i = source->chunk_first; i < n && source->offsets[i] < end; i++)
	{
		uint64		from = Max(source->offsets[i], start);
		uint64		to = Min(source->offsets[i + 1], end);

		memcpy(source->chunk + (from - start),
			   numbered_ref(source, i)->bytes + (from - source->offsets[i]), to - from);
	}
	return source->chunk;
}

/* ---- sketches ---- */

static void
describe_sketches(const OmenSketches *sketches, OmenStoredSketches *stored)
{
	stored->kind = sketches->sketch->kind;
	stored->bits = sketches->sketch->bits;
	stored->subvectors = sketches->sketch->subvectors;
	stored->n_bytes = sketches->sketch->sketch_bytes;
	stored->oversampling = sketches->oversampling;
}

/* ---- records ---- */

/* What the body of a record holds: the code, or a reference to code number i of BYTES. */
static const void *
code_body(OmenContentSource *source, const uint8 *code, uint32 i)
{
	if (!source->builder->codec->variable)
		return code;
	source->ref.offset = source->offsets[i];
	source->ref.n_bytes = (uint32) (source->offsets[i + 1] - source->offsets[i]);
	return &source->ref;
}

static const void *
routing_head(OmenContentSource *source, const char *factors, uint32 payload)
{
	uint32		factor_bytes = source->builder->codec->factor_bytes;

	memcpy(source->head, factors, factor_bytes);
	memcpy(source->head + factor_bytes, &payload, sizeof(payload));
	return source->head;
}

static void
content_record(void *arg, OmenColumnId column, uint32 record, const void **head, const void **body)
{
	OmenContentSource *source = arg;
	const OmenSegmentBuilder *builder = source->builder;
	const OmenRouting *routing = source->routing;
	uint32		node;

	switch (column)
	{
		case OMEN_COLUMN_CODES:
			*head = omen_builder_factors(builder, record);
			*body = code_body(source, omen_builder_code(builder, record), record);
			break;
		case OMEN_COLUMN_NODES:
			*body = source->links + (size_t) record * 2 * builder->meta->m;
			break;
		case OMEN_COLUMN_TIDS:
			*body = &source->tids.entries[record];
			break;
		case OMEN_COLUMN_CENTRES:
			*head = routing_head(source, routing->centres.factors +
								 (size_t) record * builder->codec->factor_bytes,
								 routing->first_sample[record]);
			*body = code_body(source, centre_code(source, record), source->n_nodes + record);
			break;
		case OMEN_COLUMN_SAMPLES:
			node = routing->sample_nodes[record];
			*head = routing_head(source, omen_builder_factors(builder, node), node);
			*body = code_body(source, omen_builder_code(builder, node), node);
			break;
		case OMEN_COLUMN_BYTES:
			*body = source->sketches ? source->model + (size_t) record * OMEN_CHUNK_BYTES :
				make_chunk(source, record);
			break;
		case OMEN_COLUMN_TERMS:
			*body = routing->terms.nodes + (size_t) record * OMEN_TERM_NODES;
			break;
		case OMEN_COLUMN_ATTRIBUTES:
			*body = source->attributes.bytes + (size_t) record * OMEN_CHUNK_BYTES;
			break;
		case OMEN_COLUMN_REFINE:
			*head = omen_builder_refine(builder, record);
			*body = omen_builder_refine(builder, record) + builder->codec->refine_factor_bytes;
			break;
		case OMEN_COLUMN_SKETCHES:
			*body = source->sketches->records + (size_t) record * source->sketches->sketch->sketch_bytes;
			break;
		case OMEN_COLUMN_DEAD:
			Assert(false);		/* written by the segment writer itself */
			break;
	}
}

void
omen_content_init(OmenSegmentContent *content, OmenContentSource *source,
				  const OmenSegmentBuilder *builder, OmenFolded *folded,
				  const OmenRouting *routing, const uint32 *links, const OmenSketches *sketches)
{
	memset(source, 0, sizeof(*source));
	source->builder = builder;
	source->routing = routing;
	source->links = links;
	source->sketches = sketches;
	source->n_nodes = folded->n_nodes;
	source->head = palloc(builder->codec->factor_bytes + sizeof(uint32));
	make_tid_column(builder, folded, &source->tids);
	if (builder->attributes)
	{
		omen_attribute_table_sort(builder->attributes);
		omen_attribute_image_make(&source->attributes, builder->attributes, source->tids.entries,
								  source->tids.n, source->n_nodes);
	}
	if (builder->codec->variable)
		lay_out_bytes(source);
	if (sketches)
	{
		source->model = omen_model_store(sketches->model, sketches->sketch->model_bytes);
		describe_sketches(sketches, &content->sketches);
	}

	content->n_nodes = folded->n_nodes;
	content->n_tid_entries = source->tids.n;
	content->n_rows = folded->n_nodes + folded->n_duplicates +
		builder->rows.nulls.n + builder->rows.undirected.n;
	content->n_centres = routing->centres.n;
	content->n_samples = routing->n_samples;
	content->n_chunks = sketches ? omen_model_chunks(sketches->sketch->model_bytes) : count_chunks(source);
	content->n_terms = routing->terms.n_records;
	content->n_attribute_chunks = source->attributes.n_chunks;
	content->null_list = source->tids.null_list;
	content->undirected_list = source->tids.undirected_list;
	content->record = content_record;
	content->arg = source;
}

/* Release what omen_content_init() has allocated. */
void
omen_content_end(OmenContentSource *source)
{
	pfree(source->head);
	omen_host_release(source->tids.entries);
	if (source->attributes.bytes)
		pfree(source->attributes.bytes);
	if (source->model)
		pfree(source->model);
	if (source->offsets)
	{
		omen_host_release(source->offsets);
		pfree(source->chunk);
	}
}
