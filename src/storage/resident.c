/*-------------------------------------------------------------------------
 *
 * resident.c
 *	  Which resident copies a backend has mapped, and when it wants one.
 *
 * A backend remembers, per segment, the copy it has mapped or that there was
 * none a moment ago, so that a scan finds out at the price of a hash look-up.
 * Whoever removes a copy says so in its header, which all see; the memory is
 * unmapped at the end of the transaction, when no scan can have pointers into
 * it (cursors that live on have been materialized by then).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/storage/resident.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#if PG_VERSION_NUM >= 160000
#define RelationDatabase(rel) ((rel)->rd_locator.dbOid)
#define RelationTablespace(rel) ((rel)->rd_locator.spcOid)
#define RelationFileNumber(rel) ((rel)->rd_locator.relNumber)
#else
#define RelationDatabase(rel) ((rel)->rd_node.dbNode)
#define RelationTablespace(rel) ((rel)->rd_node.spcNode)
#define RelationFileNumber(rel) ((rel)->rd_node.relNode)
#endif

/* If there is no copy, look for one again after so long. */
#define LOOK_AGAIN_MS 1000

/*
 * A scan by pages takes longer by about what it takes to copy this many
 * pages, so after n_blocks / 16 scans a copy has paid for itself.  And at least
 * so many scans, since a process must be started.
 */
#define SCAN_BLOCKS 16
#define MIN_SCANS 100

/* A request that brought no copy, for want of room say, makes the next one wait twice as long, up to so many times. */
#define MAX_DOUBLINGS 8

/* Segments remembered; beyond this, all is forgotten and learnt anew. */
#define MAX_ENTRIES 4096

typedef struct Entry
{
	OmenResidentKey key;		/* must be first */
	bool		mapped;
	uint32		n_scans;		/* without a copy, since the last request */
	int			n_requests;		/* since there was a copy */
	TimestampTz look_again;
	OmenResident resident;
} Entry;

int			omen_resident_memory = 0;

static HTAB *entries = NULL;

/* Copies that have been removed, to be unmapped at the end of the transaction. */
static OmenResident *removed = NULL;
static int	n_removed = 0;
static int	removed_capacity = 0;

void
omen_resident_key(OmenResidentKey *key, Relation index, const OmenSegment *segment)
{
	key->database = RelationDatabase(index);
	key->tablespace = RelationTablespace(index);
	key->relfile = RelationFileNumber(index);
	key->segment_id = segment->id;
	key->stamp = segment->stamp;
}

/* ---- letting go ---- */

static void
forget_all(void)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->mapped)
			omen_resident_unmap(&entry->resident);
	hash_destroy(entries);
	entries = NULL;
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE &&
		event != XACT_EVENT_PARALLEL_COMMIT && event != XACT_EVENT_PARALLEL_ABORT)
		return;
	while (n_removed > 0)
		omen_resident_unmap(&removed[--n_removed]);
	if (entries != NULL && hash_get_num_entries(entries) > MAX_ENTRIES)
		forget_all();
}

/* The copy of an entry is of no use any more. */
static void
let_go(Entry *entry)
{
	if (n_removed == removed_capacity)
	{
		int			capacity = Max(16, removed_capacity * 2);

		if (removed == NULL)
			removed = MemoryContextAlloc(TopMemoryContext, capacity * sizeof(*removed));
		else
			removed = repalloc(removed, capacity * sizeof(*removed));
		removed_capacity = capacity;
	}
	removed[n_removed++] = entry->resident;
	entry->mapped = false;
	entry->look_again = 0;
	entry->n_scans = 0;
	entry->n_requests = 0;
}

/* Look through the copies mapped for those that have been removed meanwhile. */
static void
let_go_removed(bool all)
{
	HASH_SEQ_STATUS status;
	Entry	   *entry;

	hash_seq_init(&status, entries);
	while ((entry = hash_seq_search(&status)) != NULL)
		if (entry->mapped && (all || entry->resident.header->removed))
			let_go(entry);
}

/* ---- finding ---- */

static void
create_entries(void)
{
	static bool registered = false;
	HASHCTL		ctl = {
		.keysize = sizeof(OmenResidentKey),
		.entrysize = sizeof(Entry),
		.hcxt = TopMemoryContext
	};

	entries = hash_create("omenvec resident copies", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	if (!registered)
		RegisterXactCallback(end_of_transaction, NULL);
	registered = true;
}

static Entry *
find_entry(Relation index, const OmenSegment *segment)
{
	OmenResidentKey key;
	Entry	   *entry;
	bool		found;

	if (unlikely(entries == NULL))
		create_entries();
	omen_resident_key(&key, index, segment);
	entry = hash_search(entries, &key, HASH_ENTER, &found);
	if (!found)
	{
		entry->mapped = false;
		entry->n_scans = 0;
		entry->n_requests = 0;
		entry->look_again = 0;
	}
	return entry;
}

/* Has the segment been read by pages as often as a copy would have cost? */
static bool
is_due(const Entry *entry, const OmenSegment *segment)
{
	uint64		n_scans = Max(MIN_SCANS, segment->n_blocks / SCAN_BLOCKS);

	return entry->n_scans >= n_scans << Min(entry->n_requests, MAX_DOUBLINGS);
}

/* No copy is mapped: look for one from time to time, and ask for one when it is due. */
static bool
try_to_map(Entry *entry, Relation index, const OmenSegment *segment)
{
	TimestampTz now = GetCurrentTimestamp();
	bool		due;

	entry->n_scans++;
	due = is_due(entry, segment);
	if (now < entry->look_again && !due)
		return false;

	entry->look_again = TimestampTzPlusMilliseconds(now, LOOK_AGAIN_MS);
	let_go_removed(false);
	entry->mapped = omen_resident_map(&entry->key, &entry->resident);
	if (!entry->mapped && due)
	{
		entry->n_scans = 0;
		entry->n_requests++;
		(void) omen_resident_request(index);
	}
	return entry->mapped;
}

const OmenResident *
omen_resident_attach(Relation index, const OmenSegment *segment)
{
	Entry	   *entry;

	if (segment->stamp == 0 || RelationUsesLocalBuffers(index))
		return NULL;
	if (unlikely(omen_resident_memory == 0))
	{
		if (entries != NULL)
			let_go_removed(true);
		return NULL;
	}

	entry = find_entry(index, segment);
	if (likely(entry->mapped))
	{
		TimestampTz used = GetCurrentStatementStartTimestamp();

		if (unlikely(entry->resident.header->removed))
		{
			let_go(entry);
			return NULL;
		}
		/* To the second will do: writing a line that others read has its price. */
		if (used - entry->resident.header->last_used > USECS_PER_SEC)
			entry->resident.header->last_used = used;
		return &entry->resident;
	}
	return try_to_map(entry, index, segment) ? &entry->resident : NULL;
}
