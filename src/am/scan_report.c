/*-------------------------------------------------------------------------
 *
 * scan_report.c
 *	  What the last scan of this backend did: omenvec_last_scan().
 *
 * EXPLAIN of PostgreSQL 15 asks no access method what it has done, and the
 * choice among ways to search under a filter is one of numbers that only the
 * scan knows.  So each round writes down how it went: a few words for each
 * segment, less than one distance costs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/am/scan_report.h"

#include "src/storage/index_relation.h"

#include "access/relation.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

typedef struct SourceReport
{
	uint32		segment_id;
	bool		tail;
	OmenScanWay way;
	uint64		n_matching;
	uint64		n_distances;
} SourceReport;

static struct
{
	Oid			index;
	int			n_rounds;
	int			n_sources;
	SourceReport sources[OMEN_MAX_SEGMENTS];
}			last_scan;

void
omen_scan_report_begin(Relation index)
{
	last_scan.index = RelationGetRelid(index);
	last_scan.n_sources = 0;
	last_scan.n_rounds = 0;
}

void
omen_scan_report_segment(const OmenScanSegment *segment)
{
	SourceReport *report = &last_scan.sources[last_scan.n_sources++];

	report->segment_id = segment->segment->id;
	report->tail = false;
	report->way = segment->way;
	report->n_matching = segment->filter ? segment->filter->n_most : segment->segment->n_rows;
	report->n_distances = segment->n_distances;
}

void
omen_scan_report_tail(const OmenScanTail *tail)
{
	SourceReport *report = &last_scan.sources[last_scan.n_sources++];

	report->segment_id = tail->segment->id;
	report->tail = true;
	report->way = OMEN_WAY_EXACT;
	report->n_matching = tail->n_matching;
	report->n_distances = tail->query ? tail->pool.n : 0;
}

void
omen_scan_report_end(int n_rounds)
{
	last_scan.n_rounds = n_rounds;
}

static const char *
way_name(OmenScanWay way)
{
	switch (way)
	{
		case OMEN_WAY_NONE:
			return "none";
		case OMEN_WAY_EXACT:
			return "exact";
		case OMEN_WAY_PLAIN:
			return "plain";
		case OMEN_WAY_WALK:
			return "walk";
	}
	return NULL;
}

/*
 * Counts tell of rows that conditions exclude, a policy's and the query's own
 * alike, and the scan may have been a SECURITY DEFINER function's: they are for
 * those who may read all rows, as if they had asked the table.
 */
static bool
may_be_told(Oid index_oid)
{
	Relation	index = omen_index_try_open(index_oid, AccessShareLock);
	bool		told = index != NULL && omen_index_is_readable(index);

	if (index)
		relation_close(index, AccessShareLock);
	return told;
}

PG_FUNCTION_INFO_V1(omen_am_last_scan);

/*
 * omenvec_last_scan() RETURNS SETOF (index regclass, segment_id bigint, kind text,
 * strategy text, matching bigint, distances bigint, rounds integer)
 */
Datum
omen_am_last_scan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (!OidIsValid(last_scan.index) || !may_be_told(last_scan.index))
		return (Datum) 0;
	for (int i = 0; i < last_scan.n_sources; i++)
	{
		const SourceReport *report = &last_scan.sources[i];
		Datum		values[] = {
			ObjectIdGetDatum(last_scan.index),
			Int64GetDatum(report->segment_id),
			CStringGetTextDatum(report->tail ? "tail" : "graph"),
			CStringGetTextDatum(way_name(report->way)),
			Int64GetDatum((int64) report->n_matching),
			Int64GetDatum((int64) report->n_distances),
			Int32GetDatum(last_scan.n_rounds)
		};
		bool		nulls[lengthof(values)] = {false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
