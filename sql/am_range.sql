--
-- Searches that end at a distance: spheres, and WHERE distance < radius.
--
CREATE TABLE points (id integer PRIMARY KEY, v vector(3));
INSERT INTO points
    SELECT i, ARRAY[i % 17, i % 31, i % 47]::real[]::vector FROM generate_series(1, 20000) AS i;
INSERT INTO points VALUES (0, NULL);
CREATE INDEX points_idx ON points USING omenhnsw (v vector_l2_ops);
ANALYZE points;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
SET max_parallel_workers_per_gather = 0;

-- What the plan is, in both directions of the clause
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' < 5 ORDER BY v <-> '[3,4,5]';
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE 5 >= '[3,4,5]' <-> v ORDER BY '[3,4,5]' <-> v LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' BETWEEN 2 AND 5::real ORDER BY v <-> '[3,4,5]';
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <<->> sphere('[3,4,5]'::vector, 5) ORDER BY v <-> '[3,4,5]';
-- Not these: another distance, another query, a lower limit, a limit that differs by row
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <+> '[3,4,5]' < 5 ORDER BY v <-> '[3,4,5]';
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,6]' < 5 ORDER BY v <-> '[3,4,5]';
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' > 5 ORDER BY v <-> '[3,4,5]' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' < id ORDER BY v <-> '[3,4,5]' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' < random() ORDER BY v <-> '[3,4,5]' LIMIT 1;

-- An index never makes a query approximate that has neither order nor sphere
EXPLAIN (COSTS OFF) SELECT count(*) FROM points WHERE v <-> '[3,4,5]' < 5;

-- Rows by the index, and by the table.  How many the index's scan saw shows that it ended early.
CREATE FUNCTION seen(query text) RETURNS TABLE (returned bigint, few boolean) LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) ' || query INTO plan;
    plan := plan -> 0 -> 'Plan';
    returned := plan ->> 'Actual Rows';
    few := coalesce((plan ->> 'Rows Removed by Filter')::bigint, 0)
        + coalesce((plan ->> 'Rows Removed by Index Recheck')::bigint, 0) < 300;
    RETURN NEXT;
END $$;
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' < 5 ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' <= 5 ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <<->> sphere('[3,4,5]'::vector, 5) ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <<->> sphere('[3,4,5]'::vector, 5)$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' < 5 AND v <-> '[3,4,5]' < 2 ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' < 5 AND id % 3 = 0 ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' < -1 ORDER BY v <-> '[3,4,5]'$$);
SELECT * FROM seen($$SELECT id FROM points WHERE v <<->> ROW('[3,4,5]', NULL)::sphere_vector ORDER BY v <-> '[3,4,5]'$$);
SET enable_indexscan = off;
SELECT count(*) FILTER (WHERE d < 5) AS below_5, count(*) FILTER (WHERE d <= 5) AS to_5, count(*) FILTER (WHERE d < 2) AS below_2,
    count(*) FILTER (WHERE d < 5 AND id % 3 = 0) AS thirds
FROM (SELECT id, v <-> '[3,4,5]' AS d FROM points) AS x;
SELECT count(*) FROM points WHERE v <<->> sphere('[3,4,5]'::vector, 5);
RESET enable_indexscan;

-- Two spheres: the one around the query ends the scan, both are checked
SELECT count(*) FROM (SELECT FROM points
    WHERE v <<->> sphere('[3,4,5]'::vector, 5) AND v <<->> sphere('[3,4,9]'::vector, 4) ORDER BY v <-> '[3,4,5]') AS x;
SELECT count(*) FROM (SELECT FROM points WHERE v <<->> sphere('[3,4,9]'::vector, 4) ORDER BY v <-> '[3,4,5]') AS x;
SET enable_indexscan = off;
SELECT count(*) FILTER (WHERE v <-> '[3,4,5]' <= 5) AS both, count(*) AS one FROM points WHERE v <-> '[3,4,9]' <= 4;
RESET enable_indexscan;

-- Limits that are NULL, NaN, infinite; as parameters of a generic plan
SET plan_cache_mode = force_generic_plan;
PREPARE within_radius (vector, float8) AS
    SELECT count(*) FROM (SELECT FROM points WHERE v <-> $1 < $2 ORDER BY v <-> $1) AS x;
EXPLAIN (COSTS OFF) EXECUTE within_radius ('[3,4,5]', 5);
EXECUTE within_radius ('[3,4,5]', 5);
EXECUTE within_radius ('[3,4,5]', 2);
EXECUTE within_radius ('[3,4,5]', NULL);
EXECUTE within_radius (NULL, 5);
EXECUTE within_radius ('[3,4,5]', 'NaN');
EXECUTE within_radius ('[3,4,5]', 'Infinity');
EXECUTE within_radius ('[3,4,5]', '-Infinity');
EXECUTE within_radius ('[3,4]', 1);
RESET plan_cache_mode;
SELECT count(*) FROM points WHERE v <<->> ROW('[3,4,5]', NULL)::sphere_vector;
SELECT count(*) FROM points WHERE v <<->> NULL;

-- Rescans, with a radius that changes
EXPLAIN (COSTS OFF) SELECT r, n FROM generate_series(0, 6, 2) AS r,
    LATERAL (SELECT count(*) AS n FROM (SELECT FROM points WHERE v <-> '[3,4,5]' <= r ORDER BY v <-> '[3,4,5]') AS x) AS y;
SELECT r, n FROM generate_series(0, 6, 2) AS r,
    LATERAL (SELECT count(*) AS n FROM (SELECT FROM points WHERE v <-> '[3,4,5]' <= r ORDER BY v <-> '[3,4,5]') AS x) AS y;

-- A join by distance
SELECT count(*) FROM points AS a JOIN points AS b ON b.v <<->> sphere(a.v, 1) WHERE a.id <= 10;
SET enable_indexscan = off;
SELECT count(*) FROM points AS a JOIN points AS b ON b.v <-> a.v <= 1 WHERE a.id <= 10;
RESET enable_indexscan;

-- A cursor, and strict order
BEGIN;
DECLARE near CURSOR FOR SELECT round((v <-> '[3,4,5]')::numeric, 2) AS d FROM points WHERE v <-> '[3,4,5]' < 1.5 ORDER BY v <-> '[3,4,5]';
FETCH 3 FROM near;
MOVE ALL FROM near;
FETCH 1 FROM near;
COMMIT;
SET omenhnsw.iterative_scan = strict_order;
SELECT * FROM seen($$SELECT id FROM points WHERE v <-> '[3,4,5]' < 2 ORDER BY v <-> '[3,4,5]'$$);
RESET omenhnsw.iterative_scan;

-- Other metrics and types: as many rows as the table has, whichever way
CREATE TABLE kinds (id integer, v vector(4), h halfvec(4), b bit(16), s sparsevec(9));
INSERT INTO kinds
    SELECT i, x::vector, x::halfvec, (i * 7919 % 65536)::bit(16), format('{%s:%s,%s:%s}/9', i % 4 + 1, i % 5 + 1, i % 5 + 5, i % 7 + 1)::sparsevec
    FROM (SELECT i, ARRAY[i % 7 - 3, i % 11 - 5, i % 13 - 6, i % 3 - 1]::real[] AS x FROM generate_series(1, 3000) AS i) AS rows;
CREATE FUNCTION compare(type_name text, column_name text, metric text, operator text, query text, radius float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    by_index bigint;
    by_table bigint;
    distance text := format('%I OPERATOR(public.%s) %L::%s', column_name, operator, query, type_name);
    plan json;
BEGIN
    EXECUTE format('CREATE INDEX kinds_idx ON kinds USING omenhnsw (%I %I)', column_name, split_part(type_name, '(', 1) || '_' || metric || '_ops');
    EXECUTE format('EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT FROM kinds WHERE %s < %s ORDER BY %1$s', distance, radius) INTO plan;
    EXECUTE format('SELECT count(*) FROM kinds WHERE %s < %s', distance, radius) INTO by_table;
    by_index := plan -> 0 -> 'Plan' ->> 'Actual Rows';
    DROP INDEX kinds_idx;
    RETURN CASE WHEN plan::text !~ 'Index Cond' THEN 'not by the index'
        WHEN by_table = 0 OR by_table = 3000 THEN 'not a test'
        WHEN by_index < by_table * 0.95 THEN format('%s of %s', by_index, by_table) ELSE 'ok' END;
END $$;
SELECT compare('vector', 'v', 'l2', '<->', '[1,2,3,0]', 4);
SELECT compare('vector', 'v', 'ip', '<#>', '[1,2,3,0]', -14);
SELECT compare('vector', 'v', 'cosine', '<=>', '[1,2,3,0]', 0.2);
SELECT compare('vector', 'v', 'l1', '<+>', '[1,2,3,0]', 5);
SELECT compare('halfvec', 'h', 'l2', '<->', '[1,2,3,0]', 4);
SELECT compare('halfvec', 'h', 'ip', '<#>', '[1,2,3,0]', -14);
SELECT compare('halfvec', 'h', 'cosine', '<=>', '[1,2,3,0]', 0.2);
SELECT compare('halfvec', 'h', 'l1', '<+>', '[1,2,3,0]', 5);
SELECT compare('bit(16)', 'b', 'hamming', '<~>', '0010110111001010', 5);
SELECT compare('bit(16)', 'b', 'jaccard', '<%>', '0010110111001010', 0.5);
SELECT compare('sparsevec', 's', 'l2', '<->', '{2:3,6:4}/9', 3.5);
SELECT compare('sparsevec', 's', 'ip', '<#>', '{2:3,6:4}/9', -20);
SELECT compare('sparsevec', 's', 'cosine', '<=>', '{2:3,6:4}/9', 0.2);
SELECT compare('sparsevec', 's', 'l1', '<+>', '{2:3,6:4}/9', 4);

-- Zero vectors under cosine: at distance NaN, which is less than nothing, and at most NaN
INSERT INTO kinds (id, v) VALUES (-1, '[0,0,0,0]'), (-2, NULL);
CREATE INDEX kinds_cosine ON kinds USING omenhnsw (v vector_cosine_ops);
SELECT count(*) FILTER (WHERE id < 0) FROM (SELECT id FROM kinds WHERE v <=> '[1,2,3,0]' <= 'NaN' ORDER BY v <=> '[1,2,3,0]') AS x;
SELECT count(*) FILTER (WHERE id < 0) FROM (SELECT id FROM kinds WHERE v <=> '[1,2,3,0]' <= 3 ORDER BY v <=> '[1,2,3,0]') AS x;
DROP INDEX kinds_cosine;

-- The tail, and rows that are gone
INSERT INTO points SELECT 20000 + i, '[3,4,5]' FROM generate_series(1, 5) AS i;
DELETE FROM points WHERE id = 20001;
SELECT id FROM points WHERE v <-> '[3,4,5]' < 0.5 AND id > 20000 ORDER BY v <-> '[3,4,5]', id LIMIT 10;
SELECT count(*) FROM (SELECT FROM points WHERE v <-> '[3,4,5]' < 0.5 ORDER BY v <-> '[3,4,5]') AS x;

-- Distances that a float cannot hold, in the graph and in the tail: no row is left out
CREATE TABLE far (id integer, v vector(2)) WITH (autovacuum_enabled = off);
INSERT INTO far SELECT i, ARRAY[1e20 * (1 + i % 97), 1e20 * (i % 89)]::real[]::vector FROM generate_series(1, 3000) AS i;
CREATE INDEX far_idx ON far USING omenhnsw (v vector_l2_ops);
INSERT INTO far SELECT id + 3000, v FROM far WHERE id <= 500;
SELECT count(*) FROM (SELECT FROM far ORDER BY v <-> '[0,0]' LIMIT 1000) AS x;
SELECT count(*) FROM (SELECT FROM far ORDER BY v <-> '[0,0]') AS x;
SELECT count(*) FROM (SELECT FROM far WHERE v <-> '[0,0]' <= 'infinity' ORDER BY v <-> '[0,0]') AS x;
DROP TABLE far;

-- Row security: a clause that may not be evaluated before the policy ends no scan
CREATE ROLE range_reader;
GRANT SELECT ON points TO range_reader;
ALTER TABLE points ENABLE ROW LEVEL SECURITY;
CREATE POLICY evens ON points USING (id % 2 = 0);
SET ROLE range_reader;
EXPLAIN (COSTS OFF) SELECT id FROM points WHERE v <-> '[3,4,5]' < 5 ORDER BY v <-> '[3,4,5]';
RESET ROLE;

DROP TABLE points, kinds;
DROP ROLE range_reader;
DROP FUNCTION seen, compare;

-- In the tail nothing within the radius is missed, not even a row whose code is much coarser than the others'
CREATE TABLE coarse (id integer, v vector(128)) WITH (autovacuum_enabled = off);
CREATE INDEX coarse_idx ON coarse USING omenhnsw (v vector_l2_ops);
CREATE FUNCTION coarse_vector(steps integer[], step real) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((CASE WHEN d = 1 THEN 255 ELSE d * 2 % 256 END + CASE WHEN d = ANY (steps) THEN step ELSE 0 END)::real ORDER BY d)::vector
	FROM generate_series(1, 128) AS d
$$;
INSERT INTO coarse SELECT i, coarse_vector(ARRAY(SELECT generate_series(2 + i % 90, 2 + i % 90 + i % 30)), 1)
FROM generate_series(1, 300) AS i;
INSERT INTO coarse VALUES (1000, coarse_vector(ARRAY(SELECT generate_series(2, 127)), 0.51));
SET enable_seqscan = off;
SELECT count(*), count(*) FILTER (WHERE id = 1000) AS coarse
FROM (SELECT id FROM coarse WHERE v <-> coarse_vector('{}', 0) < 7 ORDER BY v <-> coarse_vector('{}', 0)) AS x;
RESET enable_seqscan;
DROP TABLE coarse;
DROP FUNCTION coarse_vector;
