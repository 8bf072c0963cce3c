--
-- omenhnsw: vectors of many dimensions, whose codes are about as long as a page
-- or longer.
--
LOAD 'omenvec';
SET jit = off;
SET enable_seqscan = off;

-- The nearest to number i are i - 1 and i + 1
CREATE FUNCTION am_long(n integer, i integer) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg((i + 0.25 * sin(i * d))::real ORDER BY d)::vector FROM generate_series(1, n) AS d $$;

CREATE TABLE am_longs (
    id integer,
    a vector(2000), b vector(2001), c vector(8100), d vector(8140), e vector(8200), f vector(16000)
) WITH (autovacuum_enabled = off);
CREATE INDEX am_longs_id ON am_longs (id);
CREATE FUNCTION am_fill(first integer, last integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO am_longs
    SELECT i, am_long(2000, i), am_long(2001, i), am_long(8100, i), am_long(8140, i), am_long(8200, i), am_long(16000, i)
    FROM generate_series(first, last) AS i
$$;
SELECT am_fill(1, 40);
CREATE INDEX am_longs_a ON am_longs USING omenhnsw (a vector_l2_ops);
CREATE INDEX am_longs_b ON am_longs USING omenhnsw (b vector_ip_ops);
CREATE INDEX am_longs_c ON am_longs USING omenhnsw (c vector_l2_ops) WITH (m = 100, ef_construction = 200);
CREATE INDEX am_longs_d ON am_longs USING omenhnsw (d vector_l1_ops);
CREATE INDEX am_longs_e ON am_longs USING omenhnsw (e vector_cosine_ops);
CREATE INDEX am_longs_f ON am_longs USING omenhnsw (f vector_l2_ops);

-- The three nearest to number 33 in each column, by index and by sort
CREATE VIEW am_by_index AS
SELECT ARRAY(SELECT id FROM am_longs ORDER BY a <-> q.a LIMIT 3) AS a,
    ARRAY(SELECT id FROM am_longs ORDER BY b <#> q.b LIMIT 3) AS b,
    ARRAY(SELECT id FROM am_longs ORDER BY c <-> q.c LIMIT 3) AS c,
    ARRAY(SELECT id FROM am_longs ORDER BY d <+> q.d LIMIT 3) AS d,
    ARRAY(SELECT id FROM am_longs ORDER BY e <=> q.e LIMIT 3) AS e,
    ARRAY(SELECT id FROM am_longs ORDER BY f <-> q.f LIMIT 3) AS f
FROM am_longs AS q WHERE id = 33;
CREATE VIEW am_by_sort AS
SELECT ARRAY(SELECT id FROM am_longs ORDER BY (a <-> q.a) + 0 LIMIT 3) AS a,
    ARRAY(SELECT id FROM am_longs ORDER BY (b <#> q.b) + 0 LIMIT 3) AS b,
    ARRAY(SELECT id FROM am_longs ORDER BY (c <-> q.c) + 0 LIMIT 3) AS c,
    ARRAY(SELECT id FROM am_longs ORDER BY (d <+> q.d) + 0 LIMIT 3) AS d,
    ARRAY(SELECT id FROM am_longs ORDER BY (e <=> q.e) + 0 LIMIT 3) AS e,
    ARRAY(SELECT id FROM am_longs ORDER BY (f <-> q.f) + 0 LIMIT 3) AS f
FROM am_longs AS q WHERE id = 33;
EXPLAIN (COSTS OFF) SELECT * FROM am_by_index;
CREATE VIEW am_problems AS
SELECT i.indexrelid::regclass, p.*
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam,
    omenvec_check(i.indexrelid) AS p
WHERE i.indrelid = 'am_longs'::regclass AND m.amname = 'omenhnsw';

SELECT a, c, d, f FROM am_by_index;
SELECT i = s AS same FROM am_by_index AS i, am_by_sort AS s;
SELECT * FROM am_problems;

-- The tail, with NULLs, zero vectors and a copy
SELECT am_fill(41, 60);
INSERT INTO am_longs VALUES (61);
INSERT INTO am_longs SELECT 62, a - a, b - b, c - c, d - d, e - e, f - f FROM am_longs WHERE id = 1;
INSERT INTO am_longs SELECT 63, a, b, c, d, e, f FROM am_longs WHERE id = 34;
SELECT i = s AS same FROM am_by_index AS i, am_by_sort AS s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_longs ORDER BY f <-> (SELECT f FROM am_longs WHERE id = 33) LIMIT 100) AS s;
SELECT id, e <=> (SELECT e FROM am_longs WHERE id = 33) AS distance
FROM am_longs ORDER BY e <=> (SELECT e FROM am_longs WHERE id = 33) OFFSET 61;
SELECT * FROM am_problems;

-- Deletes, updates, VACUUM
DELETE FROM am_longs WHERE id % 4 = 2;
UPDATE am_longs SET id = id + 1000 WHERE id IN (35, 45);
UPDATE am_longs SET a = NULL, f = NULL WHERE id = 32;
VACUUM am_longs;
SELECT a, c, d, f FROM am_by_index;
SELECT i = s AS same FROM am_by_index AS i, am_by_sort AS s;
SELECT kind, state, vectors, rows, dead_rows FROM omenvec_index_stats('am_longs_f');
SELECT * FROM am_problems;

-- Seal and merge
SELECT count(omenvec_optimize(i)) FROM unnest(ARRAY['am_longs_a', 'am_longs_b', 'am_longs_c', 'am_longs_d', 'am_longs_e', 'am_longs_f']::regclass[]) AS i;
SELECT i = s AS same FROM am_by_index AS i, am_by_sort AS s;
SELECT kind, state, vectors, rows, dead_rows FROM omenvec_index_stats('am_longs_f') WHERE state <> 'retired';
SELECT * FROM am_problems;
SELECT count(omenvec_optimize(i, true)) FROM unnest(ARRAY['am_longs_a', 'am_longs_b', 'am_longs_c', 'am_longs_d', 'am_longs_e', 'am_longs_f']::regclass[]) AS i;
SELECT i = s AS same FROM am_by_index AS i, am_by_sort AS s;
SELECT kind, state, vectors, rows, dead_rows FROM omenvec_index_stats('am_longs_f') WHERE state <> 'retired';
SELECT * FROM am_problems;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_longs ORDER BY f <-> (SELECT f FROM am_longs WHERE id = 33) LIMIT 100) AS s;

DROP VIEW am_problems, am_by_index, am_by_sort;
DROP TABLE am_longs;
DROP FUNCTION am_fill, am_long;
