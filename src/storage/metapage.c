/*-------------------------------------------------------------------------
 *
 * metapage.c
 *	  Creating, reading and changing the metapage.
 *
 * A reader copies the whole page under the share lock and then works from its
 * copy; the rules for retired space (extent.c) keep what the copy names
 * readable for as long as the reader's snapshot lives.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/metapage.h"
#include "src/storage/page_reader.h"

#include "access/xloginsert.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

/* Do the numbers of a directory entry make sense together? */
static bool
entry_is_sane(const OmenMeta *meta, const OmenSegment *segment)
{
	uint64		n_blocks = 0;

	if (segment->id == 0 || segment->id >= meta->next_segment_id ||
		segment->n_runs < 1 || segment->n_runs > OMEN_MAX_RUNS ||
		(segment->kind != OMEN_SEGMENT_GRAPH && segment->kind != OMEN_SEGMENT_TAIL) ||
		segment->state < OMEN_STATE_BUILDING || segment->state > OMEN_STATE_RETIRED)
		return false;
	/* a row takes an entry of TIDS, or a header in a tail: memory is set aside by this number */
	if ((uint64) segment->n_rows * sizeof(OmenTidEntry) > (uint64) segment->n_blocks * BLCKSZ)
		return false;
	for (int i = 0; i < segment->n_runs; i++)
	{
		const OmenRun *run = &segment->runs[i];

		if (run->start <= OMEN_META_BLOCK || run->n_blocks == 0 ||
			(uint64) run->start + run->n_blocks > meta->end_block)
			return false;
		n_blocks += run->n_blocks;
	}
	for (int i = 0; i < OMEN_MAX_COLUMNS; i++)
		if ((uint64) segment->columns[i].first_block + segment->columns[i].n_blocks > segment->n_blocks)
			return false;
	return n_blocks == segment->n_blocks;
}

static bool
directory_is_sane(const OmenMeta *meta)
{
	if (meta->n_segments > OMEN_MAX_SEGMENTS)
		return false;
	for (uint32 i = 0; i < meta->n_segments; i++)
		if (!entry_is_sane(meta, &meta->segments[i]))
			return false;
	return true;
}

static void
check_meta(Relation index, Page page)
{
	OmenMeta   *meta = (OmenMeta *) PageGetContents(page);

	if (PageIsNew(page) || PageGetSpecialSize(page) != sizeof(OmenPageTrailer) ||
		OmenPageGetTrailer(page)->kind != OMEN_PAGE_META ||
		meta->magic != OMEN_MAGIC)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" does not begin with an omenhnsw metapage",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));

	if (meta->version < OMEN_FORMAT_OLDEST || meta->min_version > OMEN_FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" has format version %u, this omenvec reads versions %u to %u",
						RelationGetRelationName(index), meta->version,
						OMEN_FORMAT_OLDEST, OMEN_FORMAT_VERSION),
				 errhint("Please REINDEX it.")));

	if (!directory_is_sane(meta) || meta->code_bytes == 0 ||
		meta->code_bytes > 4 * 65536 || meta->variable_codes > 1 || meta->factor_bytes > 256 ||
		meta->m < 2 || meta->m > 100)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("metapage of index \"%s\" is damaged",
						RelationGetRelationName(index)),
				 errhint("Please REINDEX it.")));
}

static void
init_meta_page(Page page, const OmenMeta *meta)
{
	OmenPageTrailer *trailer;

	PageInit(page, BLCKSZ, sizeof(OmenPageTrailer));
	trailer = OmenPageGetTrailer(page);
	trailer->kind = OMEN_PAGE_META;
	trailer->page_id = OMEN_PAGE_ID;
	memcpy(PageGetContents(page), meta, sizeof(OmenMeta));
	((PageHeader) page)->pd_lower = (char *) PageGetContents(page) + sizeof(OmenMeta) - (char *) page;
}

/*
 * Write block 0 of a fork that has no blocks yet.  The init fork of an
 * unlogged index is logged although the index is not: it must survive a crash.
 */
void
omen_meta_create(Relation index, ForkNumber fork, const OmenMeta *meta)
{
	Buffer		buffer = ReadBufferExtended(index, fork, P_NEW, RBM_NORMAL, NULL);

	Assert(BufferGetBlockNumber(buffer) == OMEN_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);

	START_CRIT_SECTION();
	init_meta_page(BufferGetPage(buffer), meta);
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(index) || fork == INIT_FORKNUM)
		log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();

	UnlockReleaseBuffer(buffer);
}

/* Copy the metapage; the entries of meta->segments beyond n_segments are undefined. */
void
omen_meta_read(Relation index, OmenMeta *meta)
{
	Buffer		buffer = omen_read_recent(index, OMEN_META_BLOCK, NULL);
	OmenMeta   *on_page;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	check_meta(index, BufferGetPage(buffer));
	on_page = (OmenMeta *) PageGetContents(BufferGetPage(buffer));
	memcpy(meta, on_page,
		   offsetof(OmenMeta, segments) + on_page->n_segments * sizeof(OmenSegment));
	UnlockReleaseBuffer(buffer);
}

/* Lock the metapage and hand out a copy of it to edit; nothing happens before commit. */
void
omen_meta_change_begin(Relation index, OmenMetaChange *change)
{
	change->buffer = ReadBuffer(index, OMEN_META_BLOCK);
	LockBuffer(change->buffer, BUFFER_LOCK_EXCLUSIVE);
	check_meta(index, BufferGetPage(change->buffer));
	change->xlog = GenericXLogStart(index);
	change->meta = (OmenMeta *)
		PageGetContents(GenericXLogRegisterBuffer(change->xlog, change->buffer, 0));
}

void
omen_meta_change_commit(OmenMetaChange *change)
{
	GenericXLogFinish(change->xlog);
	UnlockReleaseBuffer(change->buffer);
}

void
omen_meta_change_abort(OmenMetaChange *change)
{
	GenericXLogAbort(change->xlog);
	UnlockReleaseBuffer(change->buffer);
}

/* The entry of a segment, or NULL. */
OmenSegment *
omen_meta_find(OmenMeta *meta, uint32 segment_id)
{
	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].id == segment_id)
			return &meta->segments[i];
	return NULL;
}

/* The tail that accepts rows, or NULL (as in an index that was just built). */
OmenSegment *
omen_meta_open_tail(OmenMeta *meta)
{
	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].state == OMEN_STATE_OPEN)
			return &meta->segments[i];
	return NULL;
}

/* Take an entry out of a directory being changed; its blocks belong to nobody then. */
void
omen_meta_remove(OmenMeta *meta, OmenSegment *segment)
{
	OmenSegment *last = &meta->segments[meta->n_segments - 1];

	if (segment != last)
		*segment = *last;
	memset(last, 0, sizeof(OmenSegment));
	meta->n_segments--;
}

int
omen_segment_compare_size(const void *a, const void *b)
{
	const OmenSegment *left = *(const OmenSegment *const *) a;
	const OmenSegment *right = *(const OmenSegment *const *) b;

	if (left->n_nodes != right->n_nodes)
		return left->n_nodes > right->n_nodes ? -1 : 1;
	return left->id < right->id ? -1 : 1;
}
