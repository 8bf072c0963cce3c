/*-------------------------------------------------------------------------
 *
 * resident_file.c
 *	  The files of resident copies: making, mapping, counting, removing.
 *
 * A copy is a file in a folder of its own among the server's temporary files
 * (base/pgsql_tmp), which the server empties when it starts and base backups
 * leave out.  It is written under a name that nobody looks for, and gets its
 * own when it is complete; from then on it does not change, but for the end
 * of its header.  Backends map it; its memory is the kernel's page cache, so
 * it counts neither against shared_buffers nor against /dev/shm, and goes
 * when the memory is needed for something else.
 *
 * What makes a stale copy impossible: the name holds all of the key, with the
 * random stamp that each segment gets in its directory entry when its space
 * is taken; a copy is made only of a segment that the directory calls LIVE,
 * from pages whose stamps are right, and it is removed again if the directory
 * does not call the segment so any more when the file has its name.
 *
 * One process at a time makes and removes copies, in the whole cluster, by a
 * heavyweight lock; only omen_resident_drop() takes none, since all it does is
 * take a name away.  Nothing here raises an error for want of memory or disk:
 * a copy is a convenience.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/resident.h"

#include "src/storage/extent.h"
#include "src/storage/metapage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/xlog.h"
#include "catalog/pg_tablespace_d.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/fd.h"
#include "storage/lock.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 160000
#include "utils/relfilenumbermap.h"
#define RelidByRelfilenode RelidByRelfilenumber
#else
#include "utils/relfilenodemap.h"
#endif
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define FOLDER "base/" PG_TEMP_FILES_DIR "/" PG_TEMP_FILE_PREFIX "_omenvec"
#define UNFINISHED FOLDER "/unfinished"

/* On demand, a copy takes the place of one that has not been used for so long. */
#define IDLE_MS (10 * 60 * 1000)

/*
 * What is written at once: as much as a huge page, so that kernels which cache
 * files in large folios can map them as such (Linux 6.16 with ext4, and xfs).
 * Searches then run as fast as in private memory with huge pages.
 */
#define WRITE_BYTES (2 * 1024 * 1024)

/*
 * Codes with their factors begin at multiples of this: so they touch no more
 * cache lines than if they began at a line, and a sixth of memory is saved at
 * 128 dimensions, for the same speed.
 */
#define RECORD_ALIGNMENT 32

#ifndef MAP_FAILED
#define MAP_FAILED ((void *) -1)
#endif

static void
file_path(char *path, const OmenResidentKey *key)
{
	snprintf(path, MAXPGPATH, FOLDER "/%u.%u.%u.%u.%08x", key->database, key->tablespace,
			 key->relfile, key->segment_id, key->stamp);
}

static bool
parse_name(const char *name, OmenResidentKey *key)
{
	int			end = 0;

	return sscanf(name, "%u.%u.%u.%u.%8x%n", &key->database, &key->tablespace, &key->relfile,
				  &key->segment_id, &key->stamp, &end) == 5 && name[end] == '\0';
}

static pg_crc32c
header_checksum(const OmenResidentHeader *header)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, header, offsetof(OmenResidentHeader, checksum));
	FIN_CRC32C(crc);
	return crc;
}

/* Is it the header of a complete copy of this segment, made by this server? */
static bool
header_is_right(const OmenResidentHeader *header, const OmenResidentKey *key, uint64 file_bytes)
{
	return header->magic == OMEN_RESIDENT_MAGIC &&
		header->version == OMEN_RESIDENT_VERSION &&
		header->checksum == header_checksum(header) &&
		header->system_identifier == GetSystemIdentifier() &&
		header->server_start == PgStartTime &&
		memcmp(&header->key, key, sizeof(*key)) == 0 &&
		header->file_bytes == file_bytes;
}

/* ---- mapping ---- */

static void
set_columns(OmenResident *resident, const char *base, const OmenResidentHeader *header)
{
	for (int i = 0; i < OMEN_MAX_COLUMNS; i++)
	{
		const OmenResidentColumn *column = &header->columns[i];

		resident->columns[i] = column->n_records > 0 ? base + column->offset : NULL;
		resident->strides[i] = column->stride;
		resident->head_offsets[i] = column->head_offset;
	}
}

/* Map an open file; the header alone can be written. */
static bool
map_descriptor(int fd, const OmenResidentKey *key, OmenResident *resident)
{
	struct stat info;
	OmenResidentHeader *header;
	char	   *base;

	if (fstat(fd, &info) != 0 || info.st_size < OMEN_RESIDENT_START || (uint64) info.st_size > SIZE_MAX)
		return false;
	base = mmap(NULL, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return false;
	header = mmap(NULL, OMEN_RESIDENT_START, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED || !header_is_right(header, key, info.st_size) || header->removed)
	{
		if (header != MAP_FAILED)
			munmap(header, OMEN_RESIDENT_START);
		munmap(base, info.st_size);
		return false;
	}
	resident->header = header;
	set_columns(resident, base, header);
	resident->base = base;
	return true;
}

/* Map the copy of a segment; false if there is none. */
bool
omen_resident_map(const OmenResidentKey *key, OmenResident *resident)
{
	char		path[MAXPGPATH];
	int			fd;
	bool		mapped;

	file_path(path, key);
	fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (fd < 0)
		return false;
	mapped = map_descriptor(fd, key, resident);
	CloseTransientFile(fd);
	return mapped;
}

void
omen_resident_unmap(OmenResident *resident)
{
	munmap(unconstify(char *, resident->base), resident->header->file_bytes);
	munmap(resident->header, OMEN_RESIDENT_START);
}

/* ---- listing and removing ---- */

/* Take a copy's name away and tell those who have it mapped. */
static void
remove_file(const OmenResidentKey *key)
{
	char		path[MAXPGPATH];
	uint32		removed = 1;
	int			fd;

	file_path(path, key);
	fd = OpenTransientFile(path, O_RDWR | PG_BINARY);
	if (fd < 0)
		return;
	(void) pg_pwrite(fd, &removed, sizeof(removed), offsetof(OmenResidentHeader, removed));
	CloseTransientFile(fd);
	if (unlink(path) != 0 && errno != ENOENT)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not remove file \"%s\": %m", path)));
}

/* The file of a key; false if it is gone or is not a copy of this server's. */
static bool
read_file(const OmenResidentKey *key, OmenResidentFile *file)
{
	char		path[MAXPGPATH];
	OmenResidentHeader header;
	struct stat info;
	int			fd;
	bool		right;

	file_path(path, key);
	fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
	if (fd < 0)
		return false;
	right = fstat(fd, &info) == 0 &&
		pg_pread(fd, &header, sizeof(header), 0) == sizeof(header) &&
		header_is_right(&header, key, info.st_size);
	CloseTransientFile(fd);
	if (!right)
		return false;
	file->key = *key;
	file->bytes = header.file_bytes;
	file->made_at = header.made_at;
	file->last_used = header.last_used;
	return true;
}

int
omen_resident_list(OmenResidentFile **files)
{
	DIR		   *folder = AllocateDir(FOLDER);
	struct dirent *entry;
	int			capacity = 64;
	int			n = 0;

	*files = palloc(capacity * sizeof(**files));
	if (folder == NULL)
		return 0;				/* not made yet */
	while ((entry = ReadDirExtended(folder, FOLDER, LOG)) != NULL)
	{
		OmenResidentKey key;

		if (!parse_name(entry->d_name, &key))
			continue;
		if (n == capacity)
			*files = repalloc(*files, (capacity *= 2) * sizeof(**files));
		if (read_file(&key, &(*files)[n]))
			n++;
	}
	FreeDir(folder);
	return n;
}

/* For whoever replaces a segment, after the directory says so. */
void
omen_resident_drop(Relation index, const OmenSegment *segment)
{
	OmenResidentKey key;

	if (segment->stamp == 0 || segment->kind != OMEN_SEGMENT_GRAPH)
		return;
	omen_resident_key(&key, index, segment);
	remove_file(&key);
}

/* ---- the lock ---- */

/* Held to the end of the transaction at most; no other module uses this kind of lock. */
static void
maker_lock(LOCKTAG *tag)
{
	SET_LOCKTAG_ADVISORY(*tag, InvalidOid, OMEN_RESIDENT_MAGIC, 0, 0);
	tag->locktag_type = LOCKTAG_USERLOCK;
}

static bool
lock_files(bool wait)
{
	LOCKTAG		tag;

	maker_lock(&tag);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

static void
unlock_files(void)
{
	LOCKTAG		tag;

	maker_lock(&tag);
	LockRelease(&tag, ExclusiveLock, false);
}

/* ---- room ---- */

static int
compare_last_used(const void *a, const void *b)
{
	TimestampTz left = ((const OmenResidentFile *) a)->last_used;
	TimestampTz right = ((const OmenResidentFile *) b)->last_used;

	return (left > right) - (left < right);
}

static uint64
limit_bytes(void)
{
	return (uint64) omen_resident_memory * 1024 * 1024;
}

/*
 * Remove the copies longest unused until there is room for `bytes` more, but
 * none of the relation `except` and none used since `before`.  Returns whether
 * there is room; if not, nothing is removed.
 */
static bool
make_room(uint64 bytes, const OmenResidentKey *except, TimestampTz before)
{
	OmenResidentFile *files;
	int			n = omen_resident_list(&files);
	uint64		used = bytes;
	uint64		removable = 0;
	bool		room;

	qsort(files, n, sizeof(*files), compare_last_used);
	for (int i = 0; i < n; i++)
	{
		used += files[i].bytes;
		if (files[i].last_used >= before ||
			(except != NULL && files[i].key.database == except->database &&
			 files[i].key.tablespace == except->tablespace && files[i].key.relfile == except->relfile))
			files[i].bytes = 0; /* not to be removed */
		removable += files[i].bytes;
	}
	room = used <= limit_bytes() + removable;
	for (int i = 0; room && i < n && used > limit_bytes(); i++)
	{
		if (files[i].bytes > 0)
			remove_file(&files[i].key);
		used -= files[i].bytes;
	}
	pfree(files);
	return room;
}

/* Can this database tell that there is no relation for a copy any more? */
static bool
is_orphan(const OmenResidentKey *key)
{
	if (key->database == MyDatabaseId)
		return !OidIsValid(RelidByRelfilenode(key->tablespace, key->relfile));
	return !SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(key->database));
}

/* The caller has the lock, so an unfinished file is what a crash has left. */
static void
sweep(void)
{
	OmenResidentFile *files;
	int			n = omen_resident_list(&files);

	(void) unlink(UNFINISHED);
	for (int i = 0; i < n; i++)
		if (is_orphan(&files[i].key))
			remove_file(&files[i].key);
	pfree(files);
	(void) make_room(0, NULL, DT_NOEND);
}

void
omen_resident_sweep(void)
{
	struct stat info;

	if (stat(FOLDER, &info) != 0 || !lock_files(false))
		return;
	sweep();
	unlock_files();
}

/* ---- making a copy ---- */

typedef struct Maker
{
	Relation	index;
	const OmenMeta *meta;
	const OmenSegment *segment;
	BufferAccessStrategy strategy;
	OmenResidentHeader header;
	int			fd;
	char	   *bytes;			/* WRITE_BYTES, to be written */
	uint32		n_bytes;
	uint64		written;
	const char *problem;		/* why it came to nothing */
} Maker;

/* All columns but DEAD, which changes; in the order of the file. */
static const OmenColumnId copied_columns[] = {
	OMEN_COLUMN_CODES, OMEN_COLUMN_NODES, OMEN_COLUMN_CENTRES,
	OMEN_COLUMN_SAMPLES, OMEN_COLUMN_BYTES, OMEN_COLUMN_TERMS, OMEN_COLUMN_TIDS,
	OMEN_COLUMN_REFINE, OMEN_COLUMN_ATTRIBUTES, OMEN_COLUMN_SKETCHES
};

/*
 * The plan of the file.  A code is followed by its factors, so that one node is
 * one place of memory; BYTES becomes one range without gaps.  Where searches
 * compare sketches, codes may be left out: they read few of them, from pages.
 */
static void
plan_file(Maker *maker, bool with_codes)
{
	OmenResidentHeader *header = &maker->header;
	uint64		end = OMEN_RESIDENT_START;

	memset(header, 0, sizeof(*header));
	header->magic = OMEN_RESIDENT_MAGIC;
	header->version = OMEN_RESIDENT_VERSION;
	header->system_identifier = GetSystemIdentifier();
	header->server_start = PgStartTime;
	omen_resident_key(&header->key, maker->index, maker->segment);
	for (int i = 0; i < (int) lengthof(copied_columns); i++)
	{
		OmenResidentColumn *column = &header->columns[copied_columns[i] - 1];
		OmenColumnShape shape;

		omen_column_shape(maker->meta, maker->segment, copied_columns[i], &shape);
		column->offset = end;
		column->head_offset = shape.body_bytes;
		column->stride = shape.body_bytes;
		if (shape.head_bytes > 0)
			column->stride = TYPEALIGN(RECORD_ALIGNMENT, shape.body_bytes + shape.head_bytes);
		column->n_records = omen_column_count(maker->segment, copied_columns[i]);
		if (copied_columns[i] == OMEN_COLUMN_CODES && !with_codes)
			column->n_records = 0;
		end = TYPEALIGN64(OMEN_RESIDENT_START, end + (uint64) column->stride * column->n_records);
	}
	header->file_bytes = end;
}

static void
flush_bytes(Maker *maker)
{
	uint32		done = 0;

	while (maker->problem == NULL && done < maker->n_bytes)
	{
		ssize_t		n = write(maker->fd, maker->bytes + done, maker->n_bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
		{
			if (n == 0)
				errno = ENOSPC;
			maker->problem = strerror(errno);
			break;
		}
		done += n;
	}
	maker->written += maker->n_bytes;
	maker->n_bytes = 0;
	CHECK_FOR_INTERRUPTS();
}

/* Append bytes, or zeroes if `from` is NULL. */
static void
put_bytes(Maker *maker, const void *from, uint64 n)
{
	while (n > 0)
	{
		uint32		count = Min(n, WRITE_BYTES - maker->n_bytes);

		if (from)
			memcpy(maker->bytes + maker->n_bytes, from, count);
		else
			memset(maker->bytes + maker->n_bytes, 0, count);
		maker->n_bytes += count;
		n -= count;
		if (from)
			from = (const char *) from + count;
		if (maker->n_bytes == WRITE_BYTES)
			flush_bytes(maker);
	}
}

static void
pad_to(Maker *maker, uint64 offset)
{
	put_bytes(maker, NULL, offset - (maker->written + maker->n_bytes));
}

/* All numbers of nodes below n_nodes, so that a search need not check them again? */
static bool
nodes_are_right(const Maker *maker, const void *numbers, uint32 n_bytes, bool may_be_none)
{
	uint32		n_nodes = maker->segment->n_nodes;

	for (uint32 i = 0; i < n_bytes / sizeof(uint32); i++)
	{
		uint32		node;

		memcpy(&node, (const char *) numbers + i * sizeof(uint32), sizeof(node));
		if (node >= n_nodes && !(may_be_none && node == 0xFFFFFFFFU))
			return false;
	}
	return true;
}

static bool
reference_is_right(const Maker *maker, const void *body)
{
	OmenStoredRef ref;
	uint64		end;

	memcpy(&ref, body, sizeof(ref));
	end = ref.offset + ref.n_bytes;
	return ref.offset % sizeof(uint32) == 0 && ref.n_bytes >= sizeof(uint32) && end >= ref.offset &&
		end <= (uint64) maker->segment->n_chunks * OMEN_CHUNK_BYTES;
}

/* Nothing in a copy may lead a reader out of it: who reads it does not check. */
static bool
record_is_right(const Maker *maker, OmenColumnId column, const void *head, const void *body)
{
	switch (column)
	{
		case OMEN_COLUMN_NODES:
			return nodes_are_right(maker, body, 2 * maker->meta->m * sizeof(uint32), true);
		case OMEN_COLUMN_TERMS:
			return nodes_are_right(maker, body, OMEN_TERM_LINKS * sizeof(uint32), true);
		case OMEN_COLUMN_SAMPLES:
			if (!nodes_are_right(maker, (const char *) head + maker->meta->factor_bytes,
								 sizeof(uint32), false))
				return false;
			/* FALLTHROUGH */
		case OMEN_COLUMN_CODES:
		case OMEN_COLUMN_CENTRES:
			return !maker->meta->variable_codes || reference_is_right(maker, body);
		default:
			return true;
	}
}

static void
put_record(Maker *maker, OmenColumnId column, const OmenColumnShape *shape,
		   const void *head, const void *body)
{
	if (!record_is_right(maker, column, head, body))
		maker->problem = "a record refers to what is not there";
	put_bytes(maker, body, shape->body_bytes);
	put_bytes(maker, head, shape->head_bytes);
	put_bytes(maker, NULL, maker->header.columns[column - 1].stride - shape->body_bytes - shape->head_bytes);
}

/*
 * Copy a page of the segment, whose stamp must be right: on a standby, replay
 * may have given the block to somebody else.
 */
static bool
read_page(Maker *maker, OmenColumnId column, uint32 column_block, char *page)
{
	uint32		logical = maker->segment->columns[column - 1].first_block + column_block;
	BlockNumber block = omen_extent_block(maker->index, maker->segment, logical);
	Buffer		buffer = ReadBufferExtended(maker->index, MAIN_FORKNUM, block, RBM_NORMAL, maker->strategy);
	const OmenPageStamp *stamp;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(page, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	stamp = OmenPageGetStamp((Page) page);
	if (stamp->segment_id == maker->segment->id && stamp->column == column &&
		stamp->logical_block == column_block)
		return true;
	maker->problem = "a page is not the segment's any more";
	return false;
}

/* A column whose records do not span pages. */
static void
put_short_records(Maker *maker, OmenColumnId column, const OmenColumnShape *shape, char *page)
{
	uint32		n_records = maker->header.columns[column - 1].n_records;

	for (uint32 first = 0; first < n_records; first += shape->per_page)
	{
		uint32		count = Min(shape->per_page, n_records - first);

		if (maker->problem != NULL || !read_page(maker, column, first / shape->per_page, page))
			return;
		for (uint32 i = 0; i < count; i++)
			put_record(maker, column, shape, page + OMEN_PAGE_START + i * shape->head_bytes,
					   page + shape->body_start + i * shape->body_bytes);
	}
}

/* A column whose records each take several pages. */
static void
put_long_records(Maker *maker, OmenColumnId column, const OmenColumnShape *shape, char *page)
{
	uint32		n_records = maker->header.columns[column - 1].n_records;
	uint32		total = shape->head_bytes + shape->body_bytes;
	char	   *record = palloc(total);

	for (uint32 i = 0; i < n_records; i++)
	{
		for (uint32 part = 0, done = 0; done < total; part++, done += OMEN_PAGE_CAPACITY)
		{
			if (maker->problem != NULL ||
				!read_page(maker, column, i * shape->pages_per_record + part, page))
			{
				pfree(record);
				return;
			}
			memcpy(record + done, page + OMEN_PAGE_START, Min(total - done, OMEN_PAGE_CAPACITY));
		}
		put_record(maker, column, shape, record, record + shape->head_bytes);
	}
	pfree(record);
}

static void
put_columns(Maker *maker)
{
	char	   *page = palloc(BLCKSZ);

	for (int i = 0; i < (int) lengthof(copied_columns) && maker->problem == NULL; i++)
	{
		OmenColumnId column = copied_columns[i];
		OmenColumnShape shape;

		omen_column_shape(maker->meta, maker->segment, column, &shape);
		pad_to(maker, maker->header.columns[column - 1].offset);
		if (shape.per_page > 0)
			put_short_records(maker, column, &shape, page);
		else
			put_long_records(maker, column, &shape, page);
	}
	pfree(page);
}

/* Write the file under its first name. */
static void
write_file(Maker *maker)
{
	maker->fd = OpenTransientFile(UNFINISHED, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY);
	if (maker->fd < 0)
	{
		maker->problem = strerror(errno);
		return;
	}
	pad_to(maker, OMEN_RESIDENT_START);
	put_columns(maker);
	if (maker->problem == NULL)
	{
		pad_to(maker, maker->header.file_bytes);
		flush_bytes(maker);
	}
	maker->header.made_at = maker->header.last_used = GetCurrentTimestamp();
	maker->header.checksum = header_checksum(&maker->header);
	if (maker->problem == NULL &&
		pg_pwrite(maker->fd, &maker->header, sizeof(maker->header), 0) != sizeof(maker->header))
		maker->problem = "could not write its header";
	if (CloseTransientFile(maker->fd) != 0 && maker->problem == NULL)
		maker->problem = strerror(errno);	/* NFS says only now that the disk is full */
}

/* Does the directory, as it is now, still have the segment? */
static bool
is_live(Relation index, const OmenSegment *segment)
{
	OmenMeta   *now = palloc(sizeof(OmenMeta));
	OmenSegment *found;
	bool		live;

	omen_meta_read(index, now);
	found = omen_meta_find(now, segment->id);
	live = found != NULL && found->state == OMEN_STATE_LIVE && found->stamp == segment->stamp;
	pfree(now);
	return live;
}

/*
 * Make the copy that has been planned; true if it is there.  Whoever replaces
 * the segment meanwhile either finds the file's name and removes it, or has
 * changed the directory before we look at it.
 */
static bool
make_file(Maker *maker)
{
	char		path[MAXPGPATH];

	maker->bytes = palloc(WRITE_BYTES);
	write_file(maker);
	pfree(maker->bytes);
	file_path(path, &maker->header.key);
	if (maker->problem == NULL && rename(UNFINISHED, path) != 0)
		maker->problem = strerror(errno);
	if (maker->problem != NULL)
	{
		(void) unlink(UNFINISHED);
		ereport(LOG,
				(errmsg("could not make a resident copy of segment %u of index \"%s\": %s",
						maker->segment->id, RelationGetRelationName(maker->index), maker->problem)));
		return false;
	}
	if (!is_live(maker->index, maker->segment))
	{
		remove_file(&maker->header.key);
		return false;
	}
	return true;
}

/* ---- the copies of an index ---- */

/* Those that a copy can be made of, largest first; returns how many. */
static int
live_segments(OmenMeta *meta, const OmenSegment **segments)
{
	int			n = 0;

	for (uint32 i = 0; i < meta->n_segments; i++)
		if (meta->segments[i].kind == OMEN_SEGMENT_GRAPH && meta->segments[i].n_nodes > 0 &&
			meta->segments[i].state == OMEN_STATE_LIVE && meta->segments[i].stamp != 0)
			segments[n++] = &meta->segments[i];
	qsort(segments, n, sizeof(*segments), omen_segment_compare_size);
	return n;
}

/* Remove copies of segments that the index has no more. */
static void
remove_replaced(Relation index, const OmenMeta *meta)
{
	OmenResidentFile *files;
	int			n = omen_resident_list(&files);

	for (int i = 0; i < n; i++)
	{
		OmenSegment segment = {.id = files[i].key.segment_id, .stamp = files[i].key.stamp};
		OmenResidentKey key;
		OmenSegment *found;

		omen_resident_key(&key, index, &segment);
		if (memcmp(&key, &files[i].key, sizeof(key)) != 0)
			continue;			/* another relation's */
		found = omen_meta_find(unconstify(OmenMeta *, meta), segment.id);
		if (found == NULL || found->state != OMEN_STATE_LIVE || found->stamp != segment.stamp)
			remove_file(&key);
	}
	pfree(files);
}

/* The copy of a segment: the one there is, or a new one; its bytes, 0 for none. */
static uint64
fill_segment(Maker *maker, OmenResidentFillMode mode)
{
	OmenResidentFile file;
	TimestampTz before = DT_NOEND;

	maker->problem = NULL;
	maker->n_bytes = 0;
	maker->written = 0;
	plan_file(maker, true);
	if (read_file(&maker->header.key, &file))
		return file.bytes;
	if (mode == OMEN_RESIDENT_ON_DEMAND)
		before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -IDLE_MS);
	if (!make_room(maker->header.file_bytes, &maker->header.key, before))
	{
		if (maker->segment->sketches.kind == 0)
			return 0;
		plan_file(maker, false);
		if (!make_room(maker->header.file_bytes, &maker->header.key, before))
			return 0;
	}
	return make_file(maker) ? maker->header.file_bytes : 0;
}

static bool
make_folder(void)
{
	if ((MakePGDirectory("base/" PG_TEMP_FILES_DIR) == 0 || errno == EEXIST) &&
		(MakePGDirectory(FOLDER) == 0 || errno == EEXIST))
		return true;
	ereport(LOG,
			(errcode_for_file_access(),
			 errmsg("could not create directory \"%s\": %m", FOLDER)));
	return false;
}

uint64
omen_resident_fill(Relation index, OmenResidentFillMode mode)
{
	const OmenSegment *segments[OMEN_MAX_SEGMENTS];
	OmenMeta   *meta;
	Maker	   *maker;
	uint64		bytes = 0;
	int			n;

	if (omen_resident_memory == 0 || RelationUsesLocalBuffers(index) || !make_folder() ||
		!lock_files(mode == OMEN_RESIDENT_PREWARM))
		return 0;
	sweep();
	meta = palloc(sizeof(OmenMeta));
	omen_meta_read(index, meta);
	remove_replaced(index, meta);

	maker = palloc0(sizeof(Maker));
	maker->index = index;
	maker->meta = meta;
	maker->strategy = GetAccessStrategy(BAS_BULKREAD);
	n = live_segments(meta, segments);
	for (int i = 0; i < n; i++)
	{
		maker->segment = segments[i];
		bytes += fill_segment(maker, mode);
	}
	FreeAccessStrategy(maker->strategy);
	pfree(maker);
	pfree(meta);
	unlock_files();
	return bytes;
}
