--
-- Searches among the rows that bitmaps of other indexes have found.
--
CREATE TABLE papers (
    id integer PRIMARY KEY, v vector(3), year integer, words tsvector, doc jsonb, place point,
    tags text[], seen integer) WITH (fillfactor = 10);
INSERT INTO papers
    SELECT i, ARRAY[i % 17, i % 31, i % 47 + 1]::real[]::vector, i % 200,
        to_tsvector('simple', 'w' || i % 150 || ' x' || i % 7),
        jsonb_build_object('k', i % 120), point(i % 100, i / 100),
        ARRAY['t' || i % 90, 'u' || i % 3], i
    FROM generate_series(1, 20000) AS i;
-- Vectors that a search knows nothing of, or that have no direction; and many rows of one vector
INSERT INTO papers (id, v, year) SELECT 30000 + i, NULL, i % 200 FROM generate_series(1, 400) AS i;
INSERT INTO papers (id, v, year) SELECT 31000 + i, '[0,0,0]', i % 200 FROM generate_series(1, 400) AS i;
INSERT INTO papers (id, v, year) SELECT 32000 + i, '[1,2,3]', i % 200 FROM generate_series(1, 1000) AS i;
CREATE INDEX papers_v ON papers USING omenhnsw (v vector_cosine_ops);
-- These are in the tail
INSERT INTO papers (id, v, year) SELECT 40000 + i, ARRAY[i, i % 5, 1]::real[]::vector, i % 200 FROM generate_series(1, 500) AS i;
CREATE INDEX papers_year ON papers (year);
CREATE INDEX papers_words ON papers USING gin (words);
CREATE INDEX papers_doc ON papers USING gin (doc);
CREATE INDEX papers_tags ON papers USING gin (tags);
CREATE INDEX papers_place ON papers USING gist (place);
CREATE INDEX papers_seen ON papers USING brin (seen) WITH (pages_per_range = 8);
ANALYZE papers;
SET enable_seqscan = off;
SET enable_sort = off;
SET max_parallel_workers_per_gather = 0;
-- Rows that have to be looked at are dear, so that no plan hangs on small differences of costs
SET cpu_tuple_cost = 1;
SET cpu_operator_cost = 0;

-- What the plan is
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE words @@ 'w3' OR year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE words @@ 'w3' AND v <=> '[1,2,4]' < 0.1 ORDER BY v <=> '[1,2,4]';
EXPLAIN (VERBOSE, COSTS OFF) SELECT year + 1 AS next FROM papers WHERE doc @> '{"k": 3}' ORDER BY v <=> '[1,2,4]' LIMIT 5;
-- Not without an order, not for conditions that no index can answer, not when it is turned off
EXPLAIN (COSTS OFF) SELECT count(*) FROM papers WHERE year = 5;
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year + 0 = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
SET omenhnsw.enable_bitmap_filter = off;
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
RESET omenhnsw.enable_bitmap_filter;

-- The rows of a query, and the distances of the nearest ones, by indexes or by the table
CREATE FUNCTION look_up(ordered text, query text, by_indexes boolean, OUT ids integer[], OUT distances float8[])
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('enable_' || kind, by_indexes::text, true) FROM unnest(ARRAY['indexscan', 'bitmapscan']) AS kind;
    PERFORM set_config('enable_' || kind, (NOT by_indexes)::text, true) FROM unnest(ARRAY['seqscan', 'sort']) AS kind;
    EXECUTE 'SELECT array_agg(id ORDER BY id) FROM (SELECT id ' || ordered || ' LIMIT 100000) AS x' INTO ids;
    EXECUTE 'SELECT array_agg(d) FROM (SELECT v <=> ' || query || ' AS d ' || ordered || ' LIMIT 5) AS x' INTO distances;
END $$;

-- All rows, and the nearest ones, by the bitmap and by the table: the same?
CREATE FUNCTION same(condition text, query text DEFAULT '''[1,2,4]''')
RETURNS TABLE (by_bitmap boolean, n bigint, all_rows boolean, nearest boolean) LANGUAGE plpgsql AS $$
DECLARE
    ordered text := format('FROM papers WHERE %s ORDER BY v <=> %s', condition, query);
    found record;
    wanted record;
    line text;
BEGIN
    by_bitmap := false;
    FOR line IN EXECUTE 'EXPLAIN SELECT id ' || ordered || ' LIMIT 5' LOOP
        by_bitmap := by_bitmap OR line LIKE '%OmenBitmapFilter%';
    END LOOP;
    wanted := look_up(ordered, query, by_indexes => false);
    found := look_up(ordered, query, by_indexes => true);
    n := cardinality(wanted.ids);
    all_rows := found.ids IS NOT DISTINCT FROM wanted.ids;
    nearest := found.distances IS NOT DISTINCT FROM wanted.distances;
    RETURN NEXT;
END $$;

SELECT * FROM same('year = 5');
SELECT * FROM same('year < 3');
SELECT * FROM same('year = 5', '(SELECT v FROM papers WHERE id = 77)');
SELECT * FROM same('year = 5', 'NULL');
SELECT * FROM same('year = 5', '''[0,0,0]''');
SELECT * FROM same('year = 1000');
SELECT * FROM same('words @@ ''w3''');
SELECT * FROM same('words @@ ''w3 & x4''');
SELECT * FROM same('doc @> ''{"k": 3}''');
SELECT * FROM same('tags && ''{t3,t4}''');
SELECT * FROM same('place <@ box ''(3,0),(4,200)''');
SELECT * FROM same('place <@ circle ''<(50,50),9>''');
SELECT * FROM same('seen BETWEEN 600 AND 700');
SELECT * FROM same('year IN (4, 7) OR words @@ ''w3'' OR tags @> ''{t3}''');
SELECT * FROM same('year < 20 AND doc @> ''{"k": 3}''');
SELECT * FROM same('year = 5 AND id % 2 = 1');
SELECT * FROM same('year = 5 AND v <=> ''[1,2,4]'' < 0.05');
SELECT * FROM same('year = 5 AND v IS NULL');
-- So little memory that the bitmap forgets which rows of a page it has
SET work_mem = '64kB';
SELECT * FROM same('year < 12');
SELECT * FROM same('words @@ ''x3''');
CREATE FUNCTION removed_by_filter(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT JSON) ' || query INTO plan;
    RETURN (plan -> 0 -> 'Plan' -> 'Plans' -> 0 -> 'Plans' -> 0 ->> 'Rows Removed by Filter')::integer > 0;
END $$;
SELECT removed_by_filter('SELECT id FROM papers WHERE words @@ ''x3'' ORDER BY v <=> ''[1,2,4]''');
SET work_mem = '4MB';
SELECT removed_by_filter('SELECT id FROM papers WHERE words @@ ''x3'' ORDER BY v <=> ''[1,2,4]''');
RESET work_mem;

-- Rows of a table that changes
DELETE FROM papers WHERE year = 5 AND id % 3 = 0;
UPDATE papers SET year = 5 WHERE year = 6 AND id % 3 = 0;
SELECT * FROM same('year = 5');
VACUUM papers;
SELECT * FROM same('year = 5');
SELECT * FROM same('year = 6');

-- Again with another query, with another set of rows, with both; of a generic plan too
EXPLAIN (COSTS OFF) SELECT q.id, near.id
FROM papers AS q, LATERAL (SELECT p.id FROM papers AS p WHERE p.year = 9 ORDER BY p.v <=> q.v LIMIT 2) AS near
WHERE q.id IN (11, 22, 33);
CREATE FUNCTION joined(condition text) RETURNS TABLE (rows bigint, right_ones bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TEMP TABLE by_bitmap AS SELECT q.id, near.d
        FROM papers AS q, LATERAL (SELECT p.v <=> q.v AS d FROM papers AS p WHERE %s ORDER BY p.v <=> q.v LIMIT 3) AS near
        WHERE q.id BETWEEN 11 AND 33', condition);
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_sort = on;
    EXECUTE format('CREATE TEMP TABLE by_sort AS SELECT q.id, near.d
        FROM papers AS q, LATERAL (SELECT p.v <=> q.v AS d FROM papers AS p WHERE %s ORDER BY p.v <=> q.v LIMIT 3) AS near
        WHERE q.id BETWEEN 11 AND 33', condition);
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_sort = off;
    SELECT count(*) FROM by_bitmap INTO rows;
    SELECT count(*) FROM (SELECT * FROM by_bitmap INTERSECT ALL SELECT * FROM by_sort) AS x INTO right_ones;
    DROP TABLE by_bitmap, by_sort;
    RETURN NEXT;
END $$;
SELECT * FROM joined('p.year = 9');
SELECT * FROM joined('p.year = q.year');
SELECT * FROM joined('p.words @@ ''w3'' OR p.year = q.year');
SET plan_cache_mode = force_generic_plan;
PREPARE nearest_of_year (vector, integer) AS
    SELECT array_agg(round(d::numeric, 6)) FROM (SELECT v <=> $1 AS d FROM papers WHERE year = $2 ORDER BY v <=> $1 LIMIT 3) AS x;
EXPLAIN (COSTS OFF) EXECUTE nearest_of_year ('[1,2,4]', 9);
EXECUTE nearest_of_year ('[1,2,4]', 9);
EXECUTE nearest_of_year ('[7,1,4]', 9);
EXECUTE nearest_of_year ('[7,1,4]', 10);
EXECUTE nearest_of_year ('[7,1,4]', NULL);
EXECUTE nearest_of_year (NULL, NULL);
RESET plan_cache_mode;

-- In a parallel worker
SET max_parallel_workers_per_gather = 1;
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
SELECT round((v <=> '[1,2,4]')::numeric, 6) FROM papers WHERE year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;
SELECT count(set_config(name, 'off', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SET max_parallel_workers_per_gather = 0;
SELECT round((v <=> '[1,2,4]')::numeric, 6) FROM papers WHERE year = 5 ORDER BY v <=> '[1,2,4]' LIMIT 5;

-- A condition without variables, which is tested once
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year = 5 AND current_setting('work_mem') = 'x' ORDER BY v <=> '[1,2,4]' LIMIT 5;
SELECT id FROM papers WHERE year = 5 AND current_setting('work_mem') = 'x' ORDER BY v <=> '[1,2,4]' LIMIT 5;

-- Cursors: forward, and the row that one is at
BEGIN;
DECLARE near SCROLL CURSOR FOR SELECT id FROM papers WHERE year = 8 ORDER BY v <=> '[1,2,4]' LIMIT 10;
FETCH 2 FROM near;
FETCH BACKWARD 1 FROM near;
CLOSE near;
DECLARE near CURSOR FOR SELECT id FROM papers WHERE year = 8 AND v IS NOT NULL ORDER BY v <=> '[1,2,4]';
FETCH 1 FROM near;
UPDATE papers SET seen = -1 WHERE CURRENT OF near RETURNING id;
ROLLBACK;
SELECT id FROM papers WHERE year = 8 ORDER BY v <=> '[1,2,4]' LIMIT 2 FOR UPDATE;

-- Conditions of row security come first, whatever an index could answer
CREATE FUNCTION tattle(integer) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    IF $1 % 2 = 1 THEN RAISE 'saw %', $1; END IF;
    RETURN true;
END $$;
CREATE ROLE omenvec_reader;
GRANT SELECT ON papers TO omenvec_reader;
ALTER TABLE papers ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON papers USING (id % 2 = 0);
CREATE POLICY years ON papers AS RESTRICTIVE USING (year = 8);
SET ROLE omenvec_reader;
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE tattle(id) AND place <@ box '(0,0),(99,99)' ORDER BY v <=> '[1,2,4]' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM papers WHERE tattle(id) ORDER BY v <=> '[1,2,4]' LIMIT 10) AS x;
RESET ROLE;
ALTER TABLE papers DISABLE ROW LEVEL SECURITY;

-- Partial indexes: of the vectors, of the other column
DROP INDEX papers_year;
CREATE INDEX papers_year ON papers (year) WHERE id % 2 = 0;
SELECT * FROM same('year = 5 AND id % 2 = 0');
SELECT * FROM same('year = 5');
DROP INDEX papers_v;
CREATE INDEX papers_v ON papers USING omenhnsw (v vector_cosine_ops) WHERE id % 2 = 0;
SELECT * FROM same('year = 5 AND id % 2 = 0 AND v IS NOT NULL');

-- With attributes of the index's own
DROP INDEX papers_v;
CREATE INDEX papers_v ON papers USING omenhnsw (v vector_cosine_ops, year);
SELECT * FROM same('year < 50 AND words @@ ''w3''');
EXPLAIN (COSTS OFF) SELECT id FROM papers WHERE year < 50 AND words @@ 'w3' ORDER BY v <=> '[1,2,4]' LIMIT 5;
SELECT * FROM same('year < 50 AND tags @> ''{t3}'' AND v IS NOT NULL');
DROP TABLE papers;

-- Partitions, each with a scan of its own
CREATE TABLE parts (year integer, id integer, v vector(3)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (5000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (5000) TO (20000);
CREATE INDEX ON parts USING omenhnsw (v vector_l2_ops);
CREATE INDEX ON parts (year);
INSERT INTO parts SELECT i % 200, i, ARRAY[i % 17, i % 31, i % 47]::real[]::vector FROM generate_series(1, 15000) AS i;
VACUUM ANALYZE parts;
EXPLAIN (COSTS OFF) SELECT id FROM parts WHERE year = 5 ORDER BY v <-> '[1,2,4]' LIMIT 5;
SELECT id FROM parts WHERE year = 5 ORDER BY v <-> '[1,2,4]' LIMIT 5;
-- All columns, as they are in the table: rows come in another kind of slot
SELECT *, round((v <-> '[1,2,4]')::numeric, 4) AS d FROM parts_1 WHERE year = 5 ORDER BY v <-> '[1,2,4]' LIMIT 3;
SET enable_indexscan = off;
SET enable_sort = on;
SELECT *, round((v <-> '[1,2,4]')::numeric, 4) AS d FROM parts_1 WHERE year = 5 ORDER BY v <-> '[1,2,4]' LIMIT 3;
SELECT id FROM parts WHERE year = 5 ORDER BY v <-> '[1,2,4]' LIMIT 5;
DROP TABLE parts;
DROP FUNCTION same, removed_by_filter, joined, tattle;
DROP ROLE omenvec_reader;
