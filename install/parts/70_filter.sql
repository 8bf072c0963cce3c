/*
 * Filters: what a scan has done with them.
 */

CREATE FUNCTION omenvec_last_scan(
	OUT index regclass,
	OUT segment_id bigint,
	OUT kind text,
	OUT strategy text,
	OUT matching bigint,
	OUT distances bigint,
	OUT rounds integer
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 4
	AS 'MODULE_PATHNAME', 'omen_am_last_scan';
COMMENT ON FUNCTION omenvec_last_scan() IS
	'how the last scan of an omenhnsw index in this session searched each segment';
