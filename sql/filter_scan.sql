-- Conditions on attributes, in the index: whatever the way of searching, a scan
-- gives the rows that the table has, all of them, and the nearest first.

SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET omenvec.max_maintenance_workers = 0;

-- Nodes with several rows, rows without a vector; of each attribute some NULLs.
CREATE TABLE filter_rows (id int, v vector(3), n int, word text COLLATE "C", tags int[]);
INSERT INTO filter_rows
SELECT i,
	   CASE WHEN i % 50 <> 0 THEN ARRAY[(i % 4000 * 7919) % 101, (i % 4000 * 104729) % 103, (i % 4000 * 12917) % 11]::vector END,
	   NULLIF((i * 31) % 100, 7),
	   CASE WHEN i % 13 <> 0 THEN chr(97 + i % 5) || '_' || (i * 17) % 40 END,
	   CASE WHEN i % 11 <> 0 THEN ARRAY[i % 6, 10 + i % 4] END
FROM generate_series(1, 8000) i;
CREATE INDEX filter_rows_i ON filter_rows USING omenhnsw (v vector_l2_ops, n, word, tags) WITH (autoseal = off);
-- a tail, and rows that are dead
INSERT INTO filter_rows
SELECT i, ARRAY[(i * 7919) % 101, (i * 104729) % 103, (i * 12917) % 11]::vector, i % 90, 'a_' || i % 7, ARRAY[i % 6]
FROM generate_series(8001, 8300) i;
DELETE FROM filter_rows WHERE id % 29 = 0;
VACUUM filter_rows;
ANALYZE filter_rows;

EXPLAIN (COSTS OFF)
SELECT id FROM filter_rows WHERE n < 5 AND word LIKE 'a\_1%' ORDER BY v <-> '[50,50,5]' LIMIT 10;
EXPLAIN (COSTS OFF)
SELECT id FROM filter_rows WHERE n = ANY ('{3,4}') AND tags @> '{2}';

-- What the index answers against what the table does, for a condition in all ways.
CREATE FUNCTION compare(condition text, OUT rows bigint, OUT differing bigint, OUT nearest_differ bigint)
LANGUAGE plpgsql AS $$
DECLARE
	way text;
	query text := '[50,50,5]';
	by_table int[];
	by_index int[];
	distances_table float8[];
	distances_index float8[];
BEGIN
	differing := 0;
	nearest_differ := 0;
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_seqscan = on;
	EXECUTE 'SELECT coalesce(array_agg(id ORDER BY id), ''{}'') FROM filter_rows WHERE ' || condition INTO by_table;
	EXECUTE 'SELECT array_agg(d) FROM (SELECT v <-> $1::vector AS d FROM filter_rows WHERE ' || condition ||
		' ORDER BY d LIMIT 10) s' INTO distances_table USING query;
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_seqscan = off;
	rows := cardinality(by_table);
	FOREACH way IN ARRAY '{auto,exact,plain,walk}'::text[] LOOP
		PERFORM set_config('omenhnsw.filter_strategy', way, true);
		EXECUTE 'SELECT coalesce(array_agg(id ORDER BY id), ''{}'') FROM (SELECT id FROM filter_rows WHERE ' || condition ||
			' ORDER BY v <-> $1::vector) s' INTO by_index USING query;
		differing := differing + (by_index <> by_table)::int;
		EXECUTE 'SELECT array_agg(d) FROM (SELECT v <-> $1::vector AS d FROM filter_rows WHERE ' || condition ||
			' ORDER BY v <-> $1::vector LIMIT 10) s' INTO distances_index USING query;
		nearest_differ := nearest_differ + (distances_index IS DISTINCT FROM distances_table)::int;
	END LOOP;
	EXECUTE 'SELECT coalesce(array_agg(id ORDER BY id), ''{}'') FROM filter_rows WHERE ' || condition INTO by_index;
	differing := differing + (by_index <> by_table)::int;
END $$;

SET omenhnsw.ef_search = 400;
SELECT condition, (compare(condition)).*
FROM unnest(ARRAY[
	'n = 5', 'n < 5', 'n <= 5', 'n >= 95', 'n > 95', 'n BETWEEN 20 AND 80', 'n = 7', 'n = -1',
	'n = 5::bigint', 'n < 5::smallint', 'n IN (1, 2, 3, 50, 99, 1000)', 'n = ANY (ARRAY[3, NULL, 4])', 'n = ANY (''{}''::int[])',
	'n IS NULL', 'n IS NOT NULL', 'n IS NULL AND n = 5', 'n = NULL', 'n > 10 AND n < 20 AND n <> 15',
	'word = ''a_15''', 'word < ''b''', 'word LIKE ''a\_1%''', 'word LIKE ''%\_3''', 'word ^@ ''c_2''', 'word LIKE ''a%'' AND word LIKE ''%5''',
	'word LIKE ANY (''{a%,c\_1%}'')', 'word IS NULL', 'tags @> ''{2}''', 'tags && ''{1,12}''', 'tags <@ ''{1,2,3,11}''', 'tags = ''{2,10}''',
	'n < 50 AND word >= ''c''', 'n < 10 AND word IS NULL AND tags && ''{1,2,3}''', 'v IS NULL', 'v IS NOT NULL', 'v IS NULL AND n < 50',
	'v IS NOT NULL AND n < 50', 'v IS NULL AND v IS NOT NULL', 'n < 30 AND v <-> ''[50,50,5]'' < 20', 'true'
]) condition;

-- In a cursor, by parameters of an outer row, and with a query that is NULL.
BEGIN;
DECLARE few CURSOR FOR SELECT id, v, n, word FROM filter_rows WHERE n = 1 AND word LIKE 'b%' ORDER BY v <-> '[1,1,1]';
FETCH 3 FROM few;
MOVE FORWARD ALL IN few;
COMMIT;
SELECT o.n, i.count
FROM generate_series(0, 99, 33) AS o(n)
CROSS JOIN LATERAL (SELECT count(*) FROM (SELECT id FROM filter_rows WHERE filter_rows.n = o.n ORDER BY v <-> '[1,1,1]') s) i;
SELECT count(*) FROM (SELECT id FROM filter_rows WHERE n < 5 ORDER BY v <-> NULL) s;

-- What a scan did.
SET omenhnsw.filter_strategy = walk;
SELECT count(*) FROM (SELECT id FROM filter_rows WHERE n < 50 ORDER BY v <-> '[1,1,1]' LIMIT 5) s;
SELECT index, kind, strategy, matching > 0 AS matching, distances > 0 AS distances, rounds FROM omenvec_last_scan();
RESET omenhnsw.filter_strategy;
SELECT count(*) FROM (SELECT id FROM filter_rows WHERE n < -5 ORDER BY v <-> '[1,1,1]' LIMIT 5) s;
SELECT index, kind, strategy, matching, distances, rounds FROM omenvec_last_scan();

DROP TABLE filter_rows;
DROP FUNCTION compare(text);
