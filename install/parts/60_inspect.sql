/*
 * Looking into an index, and its maintenance by hand.
 */

CREATE FUNCTION omenvec_index_stats(
	index regclass,
	OUT segment_id bigint,
	OUT kind text,
	OUT state text,
	OUT vectors bigint,
	OUT rows bigint,
	OUT dead_rows bigint,
	OUT mean_degree double precision,
	OUT codes_bytes bigint,
	OUT refine_bytes bigint,
	OUT sketches_bytes bigint,
	OUT nodes_bytes bigint,
	OUT tids_bytes bigint,
	OUT dead_bytes bigint,
	OUT routing_bytes bigint,
	OUT total_bytes bigint,
	OUT blocks bigint,
	OUT m integer,
	OUT ef_construction integer,
	OUT quantization text,
	OUT refine text,
	OUT ef_search integer[],
	OUT predicted_recall double precision,
	OUT recall_curve real[]
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10
	AS 'MODULE_PATHNAME', 'omen_inspect_index_stats';
COMMENT ON FUNCTION omenvec_index_stats(regclass) IS
	'what an omenhnsw index consists of: a row for each segment and tail';

CREATE FUNCTION omenvec_attributes(
	index regclass,
	OUT index_column integer,
	OUT name text,
	OUT type regtype,
	OUT segment_id bigint,
	OUT distinct_values bigint,
	OUT nulls bigint,
	OUT bytes bigint,
	OUT grouped boolean
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 10
	AS 'MODULE_PATHNAME', 'omen_inspect_attributes';
COMMENT ON FUNCTION omenvec_attributes(regclass) IS
	'attributes of an omenhnsw index: a row for each of them in each segment';

CREATE FUNCTION omenvec_facet(
	index regclass,
	attribute text,
	max_values integer DEFAULT 100,
	OUT value text,
	OUT count bigint
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 10000 ROWS 100
	AS 'MODULE_PATHNAME', 'omen_inspect_facet';
COMMENT ON FUNCTION omenvec_facet(regclass, text, integer) IS
	'the most frequent values of an attribute of an omenhnsw index, with the rows that have them';

CREATE FUNCTION omenvec_check(
	index regclass,
	OUT segment_id bigint,
	OUT block bigint,
	OUT problem text
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 10000 ROWS 10
	AS 'MODULE_PATHNAME', 'omen_inspect_check';
COMMENT ON FUNCTION omenvec_check(regclass) IS
	'walks all pages of an omenhnsw index; a row for each problem, none for a sound index';

CREATE FUNCTION omenvec_recall(
	index regclass,
	k integer DEFAULT 10,
	samples integer DEFAULT 100,
	OUT recall double precision,
	OUT lower double precision,
	OUT upper double precision,
	OUT queries integer,
	OUT neighbours bigint,
	OUT found bigint
) RETURNS record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000000
	AS 'MODULE_PATHNAME', 'omen_am_recall';
COMMENT ON FUNCTION omenvec_recall(regclass, integer, integer) IS
	'recall@k of an omenhnsw index, measured against the table with rows of it as queries';

CREATE FUNCTION omenvec_optimize(index regclass, "full" boolean DEFAULT false) RETURNS void
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE COST 10000
	AS 'MODULE_PATHNAME', 'omen_am_optimize';
COMMENT ON FUNCTION omenvec_optimize(regclass, boolean) IS
	'seals the tail of an omenhnsw index and merges its segments; "full": into one';

CREATE FUNCTION omenvec_progress(
	OUT pid integer,
	OUT index regclass,
	OUT work text,
	OUT sources bigint,
	OUT rows bigint,
	OUT phase text,
	OUT vectors_done bigint,
	OUT vectors_total bigint
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 2
	AS 'MODULE_PATHNAME', 'omen_am_progress';
COMMENT ON FUNCTION omenvec_progress() IS
	'maintenance of omenhnsw indexes of this database that is going on: a row for each worker or session';
