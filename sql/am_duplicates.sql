--
-- omenhnsw: many rows with one vector.  They are one node with a list of rows,
-- so that they neither hide each other nor their neighbours.
--
LOAD 'omenvec';
SET jit = off;
SET enable_seqscan = off;

CREATE TABLE am_copies (id integer, v vector(3)) WITH (autovacuum_enabled = off);
INSERT INTO am_copies SELECT i, '[1,2,3]' FROM generate_series(1, 100000) AS i;
INSERT INTO am_copies SELECT 100000 + i, ARRAY[i, i % 7, i % 11]::real[]::vector FROM generate_series(10, 2009) AS i;
CREATE INDEX am_copies_idx ON am_copies USING omenhnsw (v vector_l2_ops);
SELECT vectors, rows FROM omenvec_index_stats('am_copies_idx');
SELECT * FROM omenvec_check('am_copies_idx');
EXPLAIN (COSTS OFF) SELECT id FROM am_copies ORDER BY v <-> '[1,2,3]' LIMIT 10;

-- All copies come before the first other row, each once
SELECT count(*), count(DISTINCT id), max(id), max(distance)
FROM (SELECT id, v <-> '[1,2,3]' AS distance FROM am_copies ORDER BY v <-> '[1,2,3]' LIMIT 100000) AS s;
SELECT id, v FROM am_copies ORDER BY v <-> '[1,2,3]' OFFSET 100000 LIMIT 3;
-- and are not in the way of the others
SELECT id, v FROM am_copies ORDER BY v <-> '[500,3,5]' LIMIT 3;

-- More copies, in the tail and sealed
INSERT INTO am_copies SELECT 200000 + i, '[1,2,3]' FROM generate_series(1, 2000) AS i;
SELECT count(*), count(DISTINCT id), max(distance)
FROM (SELECT id, v <-> '[1,2,3]' AS distance FROM am_copies ORDER BY v <-> '[1,2,3]' LIMIT 102000) AS s;
SELECT omenvec_optimize('am_copies_idx');
SELECT kind, state, vectors, rows FROM omenvec_index_stats('am_copies_idx') WHERE state <> 'retired' ORDER BY 4;
SELECT omenvec_optimize('am_copies_idx', "full" => true);
SELECT kind, state, vectors, rows FROM omenvec_index_stats('am_copies_idx') WHERE state <> 'retired' ORDER BY 4;
SELECT * FROM omenvec_check('am_copies_idx');

-- Copies die one by one
DELETE FROM am_copies WHERE id <= 100000 AND id % 1000 <> 0;
VACUUM am_copies;
SELECT count(*), count(DISTINCT id), max(distance)
FROM (SELECT id, v <-> '[1,2,3]' AS distance FROM am_copies ORDER BY v <-> '[1,2,3]' LIMIT 2100) AS s;
SELECT * FROM omenvec_check('am_copies_idx');
DELETE FROM am_copies WHERE v = '[1,2,3]';
VACUUM am_copies;
SELECT id, v FROM am_copies ORDER BY v <-> '[1,2,3]' LIMIT 3;
SELECT omenvec_optimize('am_copies_idx', "full" => true);
SELECT kind, state, vectors, rows, dead_rows FROM omenvec_index_stats('am_copies_idx') WHERE state <> 'retired' ORDER BY 4;
SELECT * FROM omenvec_check('am_copies_idx');

-- Nothing but copies, for each metric: cosine sees those of one direction alike
TRUNCATE am_copies;
INSERT INTO am_copies SELECT i, ARRAY[i, i, i]::real[]::vector FROM generate_series(1, 64) AS i;
INSERT INTO am_copies SELECT 1000 + i, '[1,1,1]' FROM generate_series(1, 3000) AS i;
INSERT INTO am_copies SELECT 10000 + i, '[0,0,0]' FROM generate_series(1, 3000) AS i;
INSERT INTO am_copies SELECT 20000 + i, NULL FROM generate_series(1, 3000) AS i;
DROP INDEX am_copies_idx;
CREATE INDEX am_copies_cosine ON am_copies USING omenhnsw (v vector_cosine_ops);
CREATE INDEX am_copies_ip ON am_copies USING omenhnsw (v vector_ip_ops);
CREATE INDEX am_copies_l1 ON am_copies USING omenhnsw (v vector_l1_ops);
SELECT vectors <= 64 AS folded, rows FROM omenvec_index_stats('am_copies_cosine');
SELECT count(*) FILTER (WHERE distance < 1e-6) AS near, count(*) FILTER (WHERE distance = 'NaN') AS nan,
    count(*) FILTER (WHERE distance IS NULL) AS nulls
FROM (SELECT v <=> '[2,2,2]' AS distance FROM am_copies ORDER BY v <=> '[2,2,2]' LIMIT 10000) AS s;
SELECT id FROM am_copies ORDER BY v <#> '[1,1,1]' LIMIT 2;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_copies ORDER BY v <#> '[1,1,1]' LIMIT 10000) AS s;
SELECT count(*), max(distance) FROM (SELECT v <+> '[1,1,1]' AS distance FROM am_copies ORDER BY v <+> '[1,1,1]' LIMIT 3001) AS s;
SELECT * FROM omenvec_check('am_copies_cosine');
SELECT * FROM omenvec_check('am_copies_ip');
SELECT * FROM omenvec_check('am_copies_l1');

DROP TABLE am_copies;
