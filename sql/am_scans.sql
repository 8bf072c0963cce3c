--
-- What executor nodes above a scan ask of it: OFFSET, cursors, rescans, row
-- locks, appends.  Each answer is compared with that of a sort.
--
CREATE TABLE points (id integer PRIMARY KEY, part integer, v vector(3));
INSERT INTO points
    SELECT i, i % 3, ARRAY[sin(i) * 10, cos(i * 1.7) * 10, sin(i * 0.3) * 10]::real[]::vector FROM generate_series(1, 5000) AS i;
CREATE INDEX points_idx ON points USING omenhnsw (v vector_l2_ops);
ANALYZE points;
CREATE TABLE queries AS SELECT i AS id, ARRAY[i % 7 - 3, i % 5 - 2, i % 9 - 4]::real[]::vector AS v FROM generate_series(1, 60) AS i;
SET max_parallel_workers_per_gather = 0;

-- The exact answer, by row number.
CREATE TEMPORARY TABLE exact AS
    SELECT q.id AS query, n, p.id, p.d
    FROM queries AS q, LATERAL (SELECT id, v <-> q.v AS d, row_number() OVER (ORDER BY v <-> q.v, id) AS n FROM points) AS p;

-- OFFSET
EXPLAIN (COSTS OFF) SELECT id FROM points ORDER BY v <-> '[1,2,3]' OFFSET 100 LIMIT 5;
SELECT q.id, array_agg(d ORDER BY d) = (SELECT array_agg(d ORDER BY d) FROM exact WHERE query = q.id AND n BETWEEN 101 AND 105) AS same
FROM queries AS q, LATERAL (SELECT v <-> q.v AS d FROM points ORDER BY v <-> q.v OFFSET 100 LIMIT 5) AS x
WHERE q.id <= 3 GROUP BY q.id ORDER BY q.id;
SELECT id FROM points ORDER BY v <-> '[1,2,3]' OFFSET 4999 LIMIT 5;
SELECT id FROM points ORDER BY v <-> '[1,2,3]' OFFSET 5000 LIMIT 5;

-- LATERAL: a rescan for each row of the other side, NULL queries between them
EXPLAIN (COSTS OFF) SELECT q.id, x.id FROM queries AS q, LATERAL (SELECT id FROM points ORDER BY v <-> q.v LIMIT 10) AS x;
SELECT count(*) AS rows, count(e.id) >= 590 AS nearly_all_right
FROM queries AS q CROSS JOIN LATERAL (SELECT id FROM points ORDER BY v <-> q.v LIMIT 10) AS x
    LEFT JOIN exact AS e ON e.query = q.id AND e.id = x.id AND e.n <= 10;
SELECT n, count(*) FROM (VALUES (1, '[1,2,3]'::vector), (2, NULL), (3, '[3,2,1]')) AS q (n, v),
    LATERAL (SELECT id FROM points ORDER BY v <-> q.v LIMIT 4) AS x GROUP BY n ORDER BY n;
-- a row inserted between two rescans of one statement is not the statement's to see
CREATE FUNCTION put(v vector) RETURNS integer LANGUAGE sql VOLATILE AS
    'INSERT INTO points SELECT coalesce(max(id), 0) + 1, 0, $1 FROM points RETURNING id';
SELECT q.n, y.done, x.near FROM generate_series(1, 3) AS q (n), LATERAL (SELECT put('[50,50,50]') > q.n AS done OFFSET 0) AS y,
    LATERAL (SELECT count(*) AS near FROM (SELECT v FROM points ORDER BY v <-> ARRAY[50, 50, 50 + q.n * 0]::real[]::vector LIMIT 5) AS z WHERE z.v = '[50,50,50]') AS x
ORDER BY q.n;
SELECT count(*) FROM (SELECT v FROM points ORDER BY v <-> '[50,50,50]' LIMIT 5) AS z WHERE v = '[50,50,50]';
DELETE FROM points WHERE v = '[50,50,50]';

-- Cursors: in parts, WITH HOLD, backward only if asked for in time
BEGIN;
DECLARE near NO SCROLL CURSOR FOR SELECT row_number() OVER () AS n, (v <-> '[1,2,3]') >= lag(v <-> '[1,2,3]') OVER () AS ordered FROM points ORDER BY v <-> '[1,2,3]';
FETCH 3 FROM near;
MOVE 50 FROM near;
FETCH 2 FROM near;
FETCH BACKWARD 1 FROM near;
ROLLBACK;
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]';
FETCH 1 FROM near;
FETCH BACKWARD 1 FROM near;
ROLLBACK;
BEGIN;
EXPLAIN (COSTS OFF) DECLARE near SCROLL CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 10;
DECLARE near SCROLL CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 10;
FETCH 2 FROM near;
FETCH BACKWARD 1 FROM near;
FETCH LAST FROM near;
FETCH FIRST FROM near;
COMMIT;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 6;
FETCH 2 FROM held;
COMMIT;
DELETE FROM points WHERE id IN (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 6);
FETCH ALL FROM held;
CLOSE held;
-- WHERE CURRENT OF needs to know the row under the cursor
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM points ORDER BY v <-> '[1,2,3]' FOR UPDATE;
FETCH 1 FROM near;
DELETE FROM points WHERE CURRENT OF near RETURNING id;
FETCH 1 FROM near;
ROLLBACK;

-- Row locks
EXPLAIN (COSTS OFF) SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 2 FOR UPDATE;
SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 2 FOR UPDATE;

-- Partitions: streams merged by distance; the same below a Gather would be sorted
CREATE TABLE parted (id integer, part integer, v vector(3)) PARTITION BY LIST (part);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES IN (0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
CREATE INDEX parted_idx ON parted USING omenhnsw (v vector_l2_ops);
INSERT INTO parted SELECT * FROM points;
ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT id FROM parted ORDER BY v <-> '[1,2,3]' LIMIT 5;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM parted WHERE v <-> '[1,2,3]' < 2 ORDER BY v <-> '[1,2,3]';
RESET enable_seqscan;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 20) AS y) AS same
FROM (SELECT id FROM parted ORDER BY v <-> '[1,2,3]' LIMIT 20) AS x;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) FROM (SELECT id FROM parted WHERE part < 5 ORDER BY v <-> '[1,2,3]' LIMIT 20) AS x JOIN points USING (id);
SELECT sum(n) FROM (SELECT q.id, (SELECT count(*) FROM (SELECT FROM points ORDER BY v <-> q.v LIMIT 10) AS x) AS n FROM queries AS q) AS y;

RESET max_parallel_workers_per_gather;

-- A segment that has given all there is, as many rows as are looked for at a time, and a tail whose rows are farther away
CREATE TABLE beyond (id integer, v vector(3));
INSERT INTO beyond SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 40) AS i;
CREATE INDEX ON beyond USING omenhnsw (v vector_l2_ops) WITH (autoseal = off);
INSERT INTO beyond SELECT i, ARRAY[i, 0, 0]::vector FROM generate_series(41, 70) AS i;
SET enable_seqscan = off;
SET omenhnsw.ef_search = 40;
SELECT count(*), array_agg(id) = array_agg(id ORDER BY id) AS ordered FROM (SELECT id FROM beyond ORDER BY v <-> '[0,0,0]') AS x;
RESET omenhnsw.ef_search;
RESET enable_seqscan;
DROP TABLE beyond;

-- Of their memory a backend keeps that of one scan, whether they ran one after the other, at once, or to an error
SELECT count(*) FROM (SELECT p.id, (SELECT y.id FROM points AS y ORDER BY y.v <-> p.v LIMIT 1) FROM points AS p ORDER BY p.v <-> '[1,2,3]' LIMIT 5) AS x;
SELECT 1 / (p.id - p.id) FROM points AS p ORDER BY p.v <-> '[1,2,3]' LIMIT 1;
SELECT count(*), min(parent) FROM pg_backend_memory_contexts WHERE name = 'omenvec scan';
SELECT count(*) FROM (SELECT id FROM points ORDER BY v <-> '[1,2,3]' LIMIT 5) AS x;
SELECT count(*), min(parent) FROM pg_backend_memory_contexts WHERE name = 'omenvec scan';

DROP TABLE points, queries, parted;
DROP FUNCTION put;
