/*
 * Resident copies: segments of indexes in memory that all backends share.
 */

CREATE FUNCTION omenvec_prewarm(index regclass) RETURNS bigint
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'omen_am_prewarm';
COMMENT ON FUNCTION omenvec_prewarm(regclass) IS
	'makes resident copies of the segments of an omenhnsw index; returns their bytes';

CREATE FUNCTION omenvec_resident_copies(
	OUT database oid,
	OUT tablespace oid,
	OUT relfilenode oid,
	OUT segment_id bigint,
	OUT bytes bigint,
	OUT made_at timestamptz,
	OUT last_used timestamptz
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10
	AS 'MODULE_PATHNAME', 'omen_am_resident_copies';
COMMENT ON FUNCTION omenvec_resident_copies() IS
	'resident copies of index segments in all databases of the server';

CREATE VIEW omenvec_resident AS
	SELECT c.oid::pg_catalog.regclass AS index,
		   r.segment_id,
		   r.bytes,
		   pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.made_at AS age,
		   pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) r.last_used AS unused_for
	FROM omenvec_resident_copies() AS r
	JOIN pg_catalog.pg_database AS d
		ON d.oid OPERATOR(pg_catalog.=) r.database AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
	LEFT JOIN pg_catalog.pg_class AS c
		ON c.oid OPERATOR(pg_catalog.=) pg_catalog.pg_filenode_relation(r.tablespace, r.relfilenode);
COMMENT ON VIEW omenvec_resident IS
	'resident copies of the segments of this database''s indexes; index NULL: of one dropped or rebuilt';
GRANT SELECT ON omenvec_resident TO PUBLIC;
