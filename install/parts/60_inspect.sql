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

CREATE FUNCTION omenvec_quantization_stats(
	index regclass,
	OUT segment_id bigint,
	OUT quantization text,
	OUT vectors bigint,
	OUT bits_per_dimension double precision,
	OUT compared_bytes bigint,
	OUT saved_bytes bigint,
	OUT compression double precision,
	OUT mean_error double precision,
	OUT p99_error double precision,
	OUT recall double precision,
	OUT recall_unranked double precision
) RETURNS SETOF record
	LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED COST 1000000 ROWS 10
	AS 'MODULE_PATHNAME', 'omen_am_quantization_stats';
COMMENT ON FUNCTION omenvec_quantization_stats(regclass) IS
	'what searches of an omenhnsw index compare: size, error and recall, a row for each segment';

/*
 * Indexes of each kind over a sample of the column, in a temporary table: what
 * they find, what a search reads of them, how long it takes.  What they are
 * called is looked up, so that no search path matters.
 */
CREATE FUNCTION omenvec_quantization_advice(
	"table" regclass,
	"column" name,
	metric text DEFAULT 'l2',
	sample integer DEFAULT 10000,
	OUT options text,
	OUT recall double precision,
	OUT compared_bytes bigint,
	OUT index_bytes bigint,
	OUT milliseconds double precision
) RETURNS SETOF record
	LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE COST 1000000 ROWS 8
	SET search_path = pg_catalog, pg_temp
	AS $$
DECLARE
	value_type text;
	home text;
	opclass text;
	operator text;
	query_rows text := 'SELECT v FROM pg_temp.omenvec_advice_sample ORDER BY pg_catalog.hashtid(ctid) LIMIT 100';
	seqscan_before text := pg_catalog.current_setting('enable_seqscan');
	sort_before text := pg_catalog.current_setting('enable_sort');
	started timestamptz;
BEGIN
	SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname || '_' || metric || '_ops'
	INTO value_type, opclass
	FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
	WHERE a.attrelid = "table" AND a.attname = "column" AND NOT a.attisdropped;
	IF NOT FOUND THEN
		RAISE EXCEPTION 'column "%" of relation "%" does not exist', "column", "table" USING ERRCODE = 'undefined_column';
	END IF;
	SELECT pg_catalog.quote_ident(n.nspname), pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname)
	INTO home, operator
	FROM pg_catalog.pg_opclass AS c
		JOIN pg_catalog.pg_am AS am ON am.oid = c.opcmethod
		JOIN pg_catalog.pg_namespace AS n ON n.oid = c.opcnamespace
		JOIN pg_catalog.pg_amop AS m ON m.amopfamily = c.opcfamily AND m.amopstrategy = 1 AND m.amoplefttype = c.opcintype
		JOIN pg_catalog.pg_operator AS o ON o.oid = m.amopopr
	WHERE am.amname = 'omenhnsw' AND c.opcname = opclass AND metric IN ('l2', 'ip', 'cosine');
	IF NOT FOUND OR value_type !~ '(vector|halfvec)\(' OR value_type ~ 'sparsevec' THEN
		RAISE EXCEPTION 'column "%" of type % has no choice of codes for metric "%"', "column", value_type, metric
			USING ERRCODE = 'feature_not_supported',
				HINT = 'Quantization is for vector and halfvec with dimensions, and the metrics "l2", "ip" and "cosine".';
	END IF;
	IF sample < 100 OR sample > 1000000 THEN
		RAISE EXCEPTION 'sample must be between 100 and 1000000, not %', sample USING ERRCODE = 'invalid_parameter_value';
	END IF;

	EXECUTE pg_catalog.format('CREATE TEMP TABLE omenvec_advice_sample ON COMMIT DROP AS SELECT %1$I AS v FROM %2$s '
		'WHERE %1$I IS NOT NULL ORDER BY pg_catalog.hashtid(ctid) LIMIT %3$s', "column", "table", sample);
	EXECUTE pg_catalog.format('ALTER TABLE pg_temp.omenvec_advice_sample ALTER v TYPE %s', value_type);
	FOREACH options IN ARRAY ARRAY['quantization = none', 'quantization = half', 'quantization = scalar',
		'quantization = low_bit, bits = 4', 'quantization = low_bit, bits = 2', 'quantization = low_bit, bits = 1',
		'quantization = binary', 'quantization = product']
	LOOP
		EXECUTE pg_catalog.format('CREATE INDEX omenvec_advice_index ON pg_temp.omenvec_advice_sample USING omenhnsw (v %s.%I) WITH (%s)',
			home, opclass, options);
		EXECUTE pg_catalog.format('SELECT recall FROM %s.omenvec_recall(''pg_temp.omenvec_advice_index'', 10, 50)', home) INTO recall;
		EXECUTE pg_catalog.format('SELECT pg_catalog.sum(compared_bytes) FROM %s.omenvec_quantization_stats(''pg_temp.omenvec_advice_index'')', home)
			INTO compared_bytes;
		index_bytes := pg_catalog.pg_relation_size('pg_temp.omenvec_advice_index');
		PERFORM pg_catalog.set_config('enable_seqscan', 'off', true), pg_catalog.set_config('enable_sort', 'off', true);
		FOR i IN 1 .. 2 LOOP	-- the first time warms up
			started := pg_catalog.clock_timestamp();
			EXECUTE pg_catalog.format('SELECT pg_catalog.count(*) FROM (%1$s) AS q, LATERAL (SELECT 1 FROM pg_temp.omenvec_advice_sample AS s ORDER BY s.v %2$s q.v LIMIT 10) AS f',
				query_rows, operator);
		END LOOP;
		milliseconds := extract(epoch FROM pg_catalog.clock_timestamp() - started) * 1000 / 100;
		PERFORM pg_catalog.set_config('enable_seqscan', seqscan_before, true), pg_catalog.set_config('enable_sort', sort_before, true);
		RETURN NEXT;
		DROP INDEX pg_temp.omenvec_advice_index;
	END LOOP;
	DROP TABLE pg_temp.omenvec_advice_sample;
END $$;
COMMENT ON FUNCTION omenvec_quantization_advice(regclass, name, text, integer) IS
	'builds an omenhnsw index of each quantization over a sample of a column and measures recall, size and time';

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
