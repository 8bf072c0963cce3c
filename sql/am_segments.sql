-- An index of several segments: what one of them finds in a round beyond the
-- candidates that others have given waits for a later round, and is not lost.

SET omenvec.max_maintenance_workers = 0;
SET max_parallel_maintenance_workers = 0;
SET maintenance_work_mem = '1MB';
SET client_min_messages = warning;	-- several segments: what is said depends on the bytes of a row

CREATE TABLE segment_rows (id int, v vector(4), n int);
INSERT INTO segment_rows
SELECT i, ARRAY[i * 7919 % 251, i * 104729 % 241, i * 1299709 % 239, i * 15485863 % 233]::real[]::vector, i % 10
FROM generate_series(1::bigint, 8000) AS i;
CREATE INDEX segment_rows_i ON segment_rows USING omenhnsw (v vector_l2_ops, n) WITH (autoseal = off);
SELECT count(*) > 3 AS several FROM omenvec_index_stats('segment_rows_i');
ANALYZE segment_rows;
RESET client_min_messages;

-- To the end: each row once; and the first of them in the order of the table.
CREATE FUNCTION read_to_the_end(query vector, condition text, OUT in_rounds boolean,
	OUT missing bigint, OUT twice bigint, OUT same_order boolean)
LANGUAGE plpgsql AS $$
DECLARE
	by_index int[];
	by_table int[];
	distances_index float8[];
	distances_table float8[];
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	EXECUTE format('SELECT array_agg(id), (array_agg(d))[:100] FROM
		(SELECT id, v <-> $1 AS d FROM segment_rows WHERE %s ORDER BY v <-> $1) AS s', condition)
		INTO by_index, distances_index USING query;
	SELECT bool_and(s.rounds > 3) INTO in_rounds FROM omenvec_last_scan() AS s;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	EXECUTE format('SELECT array_agg(id), (array_agg(d ORDER BY d))[:100] FROM
		(SELECT id, v <-> $1 AS d FROM segment_rows WHERE %s) AS s', condition)
		INTO by_table, distances_table USING query;
	SELECT count(*) INTO missing FROM (SELECT unnest(by_table) EXCEPT SELECT unnest(by_index)) AS s;
	twice := cardinality(by_index) - (SELECT count(DISTINCT id) FROM unnest(by_index) AS id);
	same_order := distances_index = distances_table;
END $$;

SET omenhnsw.ef_search = 100;
SELECT q, s.* FROM unnest(ARRAY['[1,1,1,1]', '[120,120,120,120]', '[0,240,0,240]']::vector[]) AS q, read_to_the_end(q, 'true') AS s;
SET omenhnsw.filter_strategy = plain;
SELECT q, s.* FROM unnest(ARRAY['[1,1,1,1]', '[120,120,120,120]', '[0,240,0,240]']::vector[]) AS q, read_to_the_end(q, 'n < 7') AS s;
SET omenhnsw.filter_strategy = walk;
SELECT q, s.* FROM unnest(ARRAY['[1,1,1,1]', '[120,120,120,120]', '[0,240,0,240]']::vector[]) AS q, read_to_the_end(q, 'n < 7') AS s;

DROP FUNCTION read_to_the_end;
DROP TABLE segment_rows;
