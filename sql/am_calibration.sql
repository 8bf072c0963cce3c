--
-- Measured recall: what a segment knows of its searches, how it decides how
-- wide they are, and omenvec_recall() as the judge.
--
LOAD 'omenvec';
SHOW omenhnsw.ef_search;
SHOW omenhnsw.recall_target;

-- Points near a line, and a cloud around them, so that there are easy queries and hard ones
CREATE FUNCTION am_cal_vector(i integer) RETURNS vector(32) LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((i % 97) / 20.0 * (j % 5) +
                     (1 + i % 7) * (hashint8extended(i::bigint * 64 + j, 3) & 65535) / 65536.0 ORDER BY j)::real[]::vector
    FROM generate_series(1, 32) AS j
$$;
CREATE TABLE am_cal (id integer, v vector(32));
INSERT INTO am_cal SELECT i, am_cal_vector(i) FROM generate_series(1, 6000) AS i;
CREATE INDEX am_cal_v ON am_cal USING omenhnsw (v vector_l2_ops);

-- The curve rises with the beam, in each class; easy classes are found better
SELECT kind, state, m, ef_construction, array_dims(recall_curve) AS curve, predicted_recall >= 0.97 AS reaches_target
FROM omenvec_index_stats('am_cal_v');
SELECT bool_and(s.recall_curve[c][r] <= s.recall_curve[c][r + 1]) AS rises,
       bool_and(s.recall_curve[c][6] BETWEEN 0.8 AND 1) AS in_range
FROM omenvec_index_stats('am_cal_v') AS s, generate_series(1, 4) AS c, generate_series(1, 5) AS r;
SELECT recall_curve[1][1] > recall_curve[4][1] AS easy_before_hard FROM omenvec_index_stats('am_cal_v');

-- More recall needs wider beams, and a fixed beam is what it is
CREATE FUNCTION am_cal_beams() RETURNS integer[] LANGUAGE sql AS 'SELECT ef_search FROM omenvec_index_stats(''am_cal_v'')';
SET omenhnsw.recall_target = 0.5;
SELECT am_cal_beams() AS least;
SET omenhnsw.recall_target = 0.999;
SELECT (SELECT max(b) FROM unnest(am_cal_beams()) AS b) BETWEEN 60 AND 2048 AS wide;
SELECT abs(predicted_recall - 0.999) < 0.003 AS as_wanted FROM omenvec_index_stats('am_cal_v');
SET omenhnsw.ef_search = 33;
SELECT am_cal_beams();
RESET omenhnsw.ef_search;
RESET omenhnsw.recall_target;

-- What was predicted is what is found
SELECT r.queries, r.neighbours, r.found <= r.neighbours AS sane, r.lower <= r.recall AND r.recall <= r.upper AS inside,
       abs(r.recall - s.predicted_recall) <= 0.015 AS as_predicted
FROM omenvec_index_stats('am_cal_v') AS s, omenvec_recall('am_cal_v', samples => 300) AS r;
SELECT omenvec_recall('am_cal_v', 10, 50) = omenvec_recall('am_cal_v', 10, 50) AS same_rows_again;
SET omenhnsw.ef_search = 1;
SET omenhnsw.iterative_scan = off;
SELECT recall < 0.2 AS poor FROM omenvec_recall('am_cal_v', 10, 50);
RESET omenhnsw.ef_search;
RESET omenhnsw.iterative_scan;
SELECT recall > 0.95 AS good FROM omenvec_recall('am_cal_v', 100, 20);

-- The index named is the one measured, though there is another
CREATE INDEX am_cal_fine ON am_cal USING omenhnsw (v vector_l2_ops) WITH (m = 32);
SELECT m, ef_construction FROM omenvec_index_stats('am_cal_fine');
SET omenhnsw.ef_search = 10;
SELECT f.recall > c.recall AS finer FROM omenvec_recall('am_cal_v', 10, 200) AS c, omenvec_recall('am_cal_fine', 10, 200) AS f;
RESET omenhnsw.ef_search;
DROP INDEX am_cal_fine;

-- Segments that were too small to measure
TRUNCATE am_cal;
SELECT * FROM omenvec_recall('am_cal_v');
INSERT INTO am_cal SELECT i, am_cal_vector(i) FROM generate_series(1, 1000) AS i;
SELECT recall, queries, neighbours FROM omenvec_recall('am_cal_v', 3, 20);
SELECT omenvec_optimize('am_cal_v');
SELECT kind, vectors, ef_search, predicted_recall, recall_curve FROM omenvec_index_stats('am_cal_v') WHERE state = 'live';
SELECT recall, queries FROM omenvec_recall('am_cal_v');
-- A segment made by a merge is measured anew
INSERT INTO am_cal SELECT i, am_cal_vector(i) FROM generate_series(1001, 3000) AS i;
SELECT omenvec_optimize('am_cal_v', true);
SELECT kind, vectors, predicted_recall > 0.95 AS measured FROM omenvec_index_stats('am_cal_v') WHERE state = 'live';

-- Data that goes in all directions needs more links than most, unless the options say how many
CREATE TABLE am_hard (id integer, v vector(64));
CREATE INDEX am_hard_v ON am_hard USING omenhnsw (v vector_l2_ops);
INSERT INTO am_hard
SELECT i, array_agg((hashint8extended(i::bigint * 64 + j, 3) & 65535) / 65536.0 ORDER BY j)::real[]::vector
FROM generate_series(1, 8000) AS i, generate_series(1, 64) AS j GROUP BY i;
SELECT omenvec_optimize('am_hard_v', true);
SELECT m, ef_construction, predicted_recall >= 0.97 AS reaches_target FROM omenvec_index_stats('am_hard_v') WHERE kind = 'graph' AND state = 'live';
SELECT recall >= 0.95 AS good FROM omenvec_recall('am_hard_v', samples => 200);
REINDEX INDEX am_hard_v;
SELECT m, ef_construction, predicted_recall >= 0.97 AS reaches_target FROM omenvec_index_stats('am_hard_v') WHERE kind = 'graph' AND state = 'live';
SELECT recall >= 0.95 AS good FROM omenvec_recall('am_hard_v', samples => 200);
SELECT * FROM omenvec_check('am_hard_v');
-- What is inserted later is linked in the same way
INSERT INTO am_hard SELECT id + 8000, v + array_fill(0.001, ARRAY[64])::vector FROM am_hard WHERE id <= 2000;
SELECT omenvec_optimize('am_hard_v');
SELECT DISTINCT m, ef_construction FROM omenvec_index_stats('am_hard_v') WHERE kind = 'graph' AND state = 'live';
ALTER INDEX am_hard_v SET (m = 16);
REINDEX INDEX am_hard_v;
SELECT m, ef_construction FROM omenvec_index_stats('am_hard_v') WHERE kind = 'graph' AND state = 'live';
ALTER INDEX am_hard_v RESET (m);
ALTER INDEX am_hard_v SET (ef_construction = 80);
REINDEX INDEX am_hard_v;
SELECT m, ef_construction FROM omenvec_index_stats('am_hard_v') WHERE kind = 'graph' AND state = 'live';
DROP TABLE am_hard;

-- All kinds of vectors; partial indexes, expressions, rows without a distance
CREATE TABLE am_cal_kinds (id integer, h halfvec(32), b bit(64), s sparsevec(100), t text);
INSERT INTO am_cal_kinds
SELECT id, v::halfvec(32), (hashint8extended(id, 1)::bit(32)::text || hashint8extended(id % 100, 2)::bit(32)::text)::bit(64),
       ('{' || id % 60 + 1 || ':' || 1 + id % 3 || ',' || 70 + id % 31 || ':' || 1 + id % 17 || '}/100')::sparsevec, v::text
FROM am_cal;
INSERT INTO am_cal_kinds VALUES (0, NULL, NULL, NULL, NULL), (-1, '[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]', NULL, '{}/100', NULL);
CREATE INDEX am_cal_h ON am_cal_kinds USING omenhnsw (h halfvec_cosine_ops);
CREATE INDEX am_cal_b ON am_cal_kinds USING omenhnsw (b bit_hamming_ops) WHERE id % 2 = 0;
CREATE INDEX am_cal_s ON am_cal_kinds USING omenhnsw (s sparsevec_cosine_ops);
CREATE INDEX am_cal_t ON am_cal_kinds USING omenhnsw ((t::vector(32)) vector_ip_ops);
SELECT name, r.queries, r.neighbours, r.recall > 0.9 AS good
FROM (VALUES ('am_cal_h'), ('am_cal_b'), ('am_cal_s'), ('am_cal_t')) AS n (name), omenvec_recall(name::regclass, 5, 40) AS r
ORDER BY name;
SELECT name, s.predicted_recall BETWEEN 0.9 AND 1 AS measured
FROM (VALUES ('am_cal_h'), ('am_cal_b'), ('am_cal_s'), ('am_cal_t')) AS n (name), omenvec_index_stats(name::regclass) AS s
ORDER BY name;
SELECT * FROM omenvec_check('am_cal_h') UNION ALL SELECT * FROM omenvec_check('am_cal_b')
UNION ALL SELECT * FROM omenvec_check('am_cal_s') UNION ALL SELECT * FROM omenvec_check('am_cal_t');

-- Whoever may not read the table may not measure either; row security counts
CREATE ROLE am_cal_reader;
GRANT SELECT (id) ON am_cal TO am_cal_reader;
SET ROLE am_cal_reader;
SELECT recall IS NULL FROM omenvec_recall('am_cal_v');
RESET ROLE;
GRANT SELECT ON am_cal TO am_cal_reader;
ALTER TABLE am_cal ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON am_cal TO am_cal_reader USING (id <= 8);
SET ROLE am_cal_reader;
SELECT recall, queries, neighbours FROM omenvec_recall('am_cal_v');
RESET ROLE;

-- A query whose functions measure, too
CREATE FUNCTION am_cal_nested(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_setting('am_cal.nested', true) = 'on' THEN
        PERFORM omenvec_recall('am_cal_v', 5, 1);
    ELSIF current_setting('am_cal.nested', true) = 'plan' THEN
        PERFORM am_cal_execute();
    END IF;
    RETURN v;
END $$;
CREATE TABLE am_cal_few AS SELECT v FROM am_cal ORDER BY id LIMIT 20;
CREATE INDEX am_cal_expression ON am_cal_few USING omenhnsw ((am_cal_nested(v)::vector(32)) vector_l2_ops);
SET am_cal.nested = on;
SELECT recall, queries FROM omenvec_recall('am_cal_expression', 5, 2);
-- Nor do plans made meanwhile stay without an index
CREATE FUNCTION am_cal_execute() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'EXECUTE am_cal_nearest';
END $$;
PREPARE am_cal_nearest AS SELECT id FROM am_cal ORDER BY v <-> (SELECT v FROM am_cal WHERE id = 1) LIMIT 1;
SET am_cal.nested = plan;
SELECT recall, queries FROM omenvec_recall('am_cal_expression', 5, 2);
EXPLAIN (COSTS OFF) EXECUTE am_cal_nearest;
DEALLOCATE am_cal_nearest;
RESET am_cal.nested;

-- What is refused
SELECT omenvec_recall('am_cal_v', 0);
SELECT omenvec_recall('am_cal_v', 10001);
SELECT omenvec_recall('am_cal_v', 10, 0);
SELECT omenvec_recall('am_cal');
SELECT omenvec_recall('pg_class_oid_index');
SELECT omenvec_recall(NULL);

DROP TABLE am_cal, am_cal_kinds, am_cal_few;
DROP FUNCTION am_cal_vector, am_cal_beams, am_cal_nested, am_cal_execute;
DROP ROLE am_cal_reader;
