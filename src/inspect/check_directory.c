/*-------------------------------------------------------------------------
 *
 * check_directory.c
 *	  Is the directory of an index possible at all?
 *
 * Decides which entries can be walked: those whose blocks lie in the file and
 * whose columns have the sizes that their counts imply.  So the walk neither
 * reads beyond the file nor takes more memory than the file is large.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/inspect/check.h"

#include "src/am/am_api.h"
#include "src/graph/graph_search.h"

typedef struct OwnedRun
{
	OmenRun		run;
	uint32		segment_id;
} OwnedRun;

static int
compare_owned_runs(const void *a, const void *b)
{
	BlockNumber left = ((const OwnedRun *) a)->run.start;
	BlockNumber right = ((const OwnedRun *) b)->run.start;

	return (left > right) - (left < right);
}

/* What concerns no entry in particular. */
static void
check_static_part(OmenCheck *check, BlockNumber file_blocks)
{
	const OmenMeta *meta = check->meta;
	int32		column_dims = TupleDescAttr(RelationGetDescr(check->index), 0)->atttypmod;
	uint32		n_open = 0;

	if (column_dims >= 0 && meta->dims != (uint32) column_dims)
		omen_check_report(check, OMEN_META_BLOCK, "metapage says %u dimensions, the column has %d",
						  meta->dims, column_dims);
	if (meta->end_block > file_blocks)
		omen_check_report(check, OMEN_META_BLOCK, "directory ends at block %u, the file at %u",
						  meta->end_block, file_blocks);
	for (uint32 i = 0; i < meta->n_segments; i++)
	{
		n_open += meta->segments[i].state == OMEN_STATE_OPEN;
		for (uint32 j = 0; j < i; j++)
			if (meta->segments[i].id == meta->segments[j].id)
				omen_check_report(check, OMEN_META_BLOCK, "segment %u is in the directory twice",
								  meta->segments[i].id);
	}
	if (n_open > 1)
		omen_check_report(check, OMEN_META_BLOCK, "directory has %u open tails", n_open);
}

/* Kind, state and number. */
static bool
check_identity(OmenCheck *check, const OmenSegment *segment)
{
	bool		good = true;

	if (segment->id == 0 || segment->id >= check->meta->next_segment_id)
	{
		omen_check_report(check, OMEN_META_BLOCK, "segment number is not below the next one, %u",
						  check->meta->next_segment_id);
		good = false;
	}
	if (segment->kind != OMEN_SEGMENT_GRAPH && segment->kind != OMEN_SEGMENT_TAIL)
	{
		omen_check_report(check, OMEN_META_BLOCK, "unknown kind %d", segment->kind);
		good = false;
	}
	if (segment->state < OMEN_STATE_BUILDING || segment->state > OMEN_STATE_RETIRED ||
		(segment->state == OMEN_STATE_OPEN && segment->kind != OMEN_SEGMENT_TAIL))
	{
		omen_check_report(check, OMEN_META_BLOCK, "state %d does not go with kind %d",
						  segment->state, segment->kind);
		good = false;
	}
	return good;
}

/* The runs lie in the file and have as many blocks as the entry says. */
static bool
check_runs(OmenCheck *check, const OmenSegment *segment, BlockNumber file_blocks)
{
	uint64		n_blocks = 0;
	bool		good = true;

	if (segment->n_runs < 1 || segment->n_runs > OMEN_MAX_RUNS)
	{
		omen_check_report(check, OMEN_META_BLOCK, "%d runs of blocks", segment->n_runs);
		return false;
	}
	for (int i = 0; i < segment->n_runs; i++)
	{
		const OmenRun *run = &segment->runs[i];
		uint64		end = (uint64) run->start + run->n_blocks;

		n_blocks += run->n_blocks;
		if (run->start <= OMEN_META_BLOCK || run->n_blocks == 0 ||
			end > check->meta->end_block || end > file_blocks)
		{
			omen_check_report(check, OMEN_META_BLOCK,
							  "run %d has %u blocks from block %u on, the index ends at block %u",
							  i, run->n_blocks, run->start, Min(check->meta->end_block, file_blocks));
			good = false;
		}
	}
	if (n_blocks != segment->n_blocks)
	{
		omen_check_report(check, OMEN_META_BLOCK, "runs have " UINT64_FORMAT " blocks, the segment %u",
						  n_blocks, segment->n_blocks);
		good = false;
	}
	return good;
}

/* A list of TIDs without vectors, if there is one, lies behind the nodes' entries. */
static bool
check_list_number(OmenCheck *check, const OmenSegment *segment, uint32 list, const char *what)
{
	if (list == OMEN_NO_LIST || (list >= segment->n_nodes && list < segment->n_tid_entries))
		return true;
	omen_check_report(check, OMEN_META_BLOCK, "list of %s begins at TID entry %u of %u",
					  what, list, segment->n_tid_entries);
	return false;
}

static bool
check_counts(OmenCheck *check, const OmenSegment *segment)
{
	bool		good = true;

	if (segment->n_tid_entries > OMEN_MAX_NODES || segment->n_nodes > segment->n_tid_entries ||
		segment->n_rows > segment->n_tid_entries || segment->n_dead > segment->n_rows)
	{
		omen_check_report(check, OMEN_META_BLOCK,
						  "impossible counts: %u nodes, %u TID entries, %u rows, %u of them dead",
						  segment->n_nodes, segment->n_tid_entries, segment->n_rows, segment->n_dead);
		good = false;
	}
	if (segment->n_samples > segment->n_nodes || segment->n_centres > segment->n_nodes ||
		(segment->n_nodes > 0 && (segment->n_samples == 0 || segment->n_centres == 0)))
	{
		omen_check_report(check, OMEN_META_BLOCK,
						  "impossible counts: %u nodes, %u routing centres, %u routing samples",
						  segment->n_nodes, segment->n_centres, segment->n_samples);
		good = false;
	}
	if (segment->n_chunks > OMEN_MAX_NODES)
	{
		omen_check_report(check, OMEN_META_BLOCK, "impossible count: %u chunks of codes", segment->n_chunks);
		good = false;
	}
	good &= check_list_number(check, segment, segment->null_list, "NULL vectors");
	good &= check_list_number(check, segment, segment->undirected_list, "zero vectors");
	return good;
}

/* What was measured of its searches can have been measured. */
static void
check_curve(OmenCheck *check, const OmenSegment *segment)
{
	OmenRecallCurve curve;

	omen_am_segment_curve(segment, &curve);
	if (!omen_curve_is_sane(&curve))
		omen_check_report(check, OMEN_META_BLOCK, "the recall measured falls where the beam widens, or its limits do not ascend");
}

/* The columns lie one behind the other, each as long as its records need. */
static bool
check_columns(OmenCheck *check, const OmenSegment *segment)
{
	uint64		next_block = 0;

	if (segment->refine != check->meta->refine)
	{
		omen_check_report(check, OMEN_META_BLOCK, "finer codes are of kind %u, those of the index of kind %u",
						  segment->refine, check->meta->refine);
		return false;
	}
	if (!omen_am_sketches_are_sane(check->meta, segment))
	{
		const OmenStoredSketches *sketches = &segment->sketches;

		omen_check_report(check, OMEN_META_BLOCK, "impossible sketches: kind %u with %u bits, %u sub-vectors and %u bytes",
						  sketches->kind, sketches->bits, sketches->subvectors, sketches->n_bytes);
		return false;
	}
	for (OmenColumnId column = 1; column <= OMEN_N_COLUMNS; column++)
	{
		const OmenColumnRange *range = &segment->columns[column - 1];
		uint32		n_records = omen_column_count(segment, column);
		OmenColumnShape shape;

		omen_column_shape(check->meta, segment, column, &shape);
		if (range->first_block != next_block ||
			range->n_blocks != omen_column_blocks(&shape, n_records))
		{
			omen_check_report(check, OMEN_META_BLOCK,
							  "column %d has %u blocks from %u on for %u records",
							  column, range->n_blocks, range->first_block, n_records);
			return false;
		}
		next_block += range->n_blocks;
	}
	if (next_block > segment->n_blocks)
	{
		omen_check_report(check, OMEN_META_BLOCK, "columns have " UINT64_FORMAT " blocks, the segment %u",
						  next_block, segment->n_blocks);
		return false;
	}
	return true;
}

/* No block belongs to two entries. */
static void
check_runs_disjoint(OmenCheck *check, const bool *placed)
{
	OwnedRun   *runs = palloc(OMEN_MAX_SEGMENTS * OMEN_MAX_RUNS * sizeof(OwnedRun));
	int			n_runs = 0;

	for (uint32 i = 0; i < check->meta->n_segments; i++)
		for (int run = 0; placed[i] && run < check->meta->segments[i].n_runs; run++)
		{
			runs[n_runs].run = check->meta->segments[i].runs[run];
			runs[n_runs++].segment_id = check->meta->segments[i].id;
		}
	qsort(runs, n_runs, sizeof(OwnedRun), compare_owned_runs);
	for (int i = 1; i < n_runs; i++)
		if (runs[i - 1].run.start + runs[i - 1].run.n_blocks > runs[i].run.start)
			omen_check_report(check, OMEN_META_BLOCK, "block %u belongs to segment %u and to segment %u",
							  runs[i].run.start, runs[i - 1].segment_id, runs[i].segment_id);
	pfree(runs);
}

/*
 * Check the directory; walkable, OMEN_MAX_SEGMENTS entries, becomes true for
 * the entries whose pages are in use and can be walked.
 */
void
omen_check_directory(OmenCheck *check, bool *walkable)
{
	/* asked after the directory was read: files do not shrink */
	BlockNumber file_blocks = RelationGetNumberOfBlocks(check->index);
	bool		placed[OMEN_MAX_SEGMENTS];

	check_static_part(check, file_blocks);
	for (uint32 i = 0; i < check->meta->n_segments; i++)
	{
		const OmenSegment *segment = &check->meta->segments[i];

		check->segment = segment;
		check->n_problems = 0;
		walkable[i] = check_identity(check, segment);
		placed[i] = check_runs(check, segment, file_blocks);
		walkable[i] &= placed[i];
		if (!walkable[i])
			continue;
		if (segment->state != OMEN_STATE_LIVE && segment->state != OMEN_STATE_OPEN)
			walkable[i] = false;
		else if (segment->kind == OMEN_SEGMENT_GRAPH)
		{
			check_curve(check, segment);
			walkable[i] = check_counts(check, segment) && check_columns(check, segment);
		}
	}
	check->segment = NULL;
	check->n_problems = 0;
	check_runs_disjoint(check, placed);
}
