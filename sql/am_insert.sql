--
-- omenhnsw: rows that come, change and go after the index was built.
--
LOAD 'omenvec';
SET jit = off;
SET enable_seqscan = off;

CREATE TABLE am_life (id integer, v vector(3)) WITH (autovacuum_enabled = off);
CREATE INDEX am_life_idx ON am_life USING omenhnsw (v vector_l2_ops);

-- What is in use, and what the check finds
CREATE VIEW am_state AS
SELECT kind, state, count(*), sum(rows) AS rows, sum(dead_rows) AS dead
FROM omenvec_index_stats('am_life_idx') WHERE state <> 'retired' GROUP BY kind, state
UNION ALL SELECT problem, NULL, NULL, NULL, NULL FROM omenvec_check('am_life_idx');

-- How many rows of the table, as queries, find the three that are nearest by a sort; and how many rows come out in all.
CREATE FUNCTION am_found(modulus integer) RETURNS TABLE (found bigint, queries bigint, rows bigint, of_rows bigint)
LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE by_index.distance = by_sort.distance), count(*),
        (SELECT count(DISTINCT id) FROM (SELECT id FROM am_life ORDER BY v <-> '[1,2,3]' LIMIT 1000000) AS s),
        (SELECT count(*) FROM am_life)
    FROM am_life AS q,
        LATERAL (SELECT sum(distance) AS distance FROM (
            SELECT i.v <-> q.v AS distance FROM am_life AS i WHERE i.id <> q.id ORDER BY i.v <-> q.v LIMIT 3) AS s) AS by_index,
        LATERAL (SELECT sum(distance) AS distance FROM (
            SELECT i.v <-> q.v AS distance FROM am_life AS i WHERE i.id <> q.id ORDER BY (i.v <-> q.v) + 0 LIMIT 3) AS s) AS by_sort
    WHERE q.id % modulus = modulus / 2
$$;
EXPLAIN (COSTS OFF) SELECT id FROM am_life ORDER BY v <-> '[1,2,3]' LIMIT 3;

-- The tail alone
INSERT INTO am_life SELECT i, ARRAY[sin(i), cos(i * 1.1), sin(i * 1.3)]::real[]::vector FROM generate_series(1, 1000) AS i;
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);

-- A row is found at once, also by the transaction that inserted it, and not by others once rolled back
BEGIN;
INSERT INTO am_life VALUES (-1, '[9,9,9]');
SELECT id FROM am_life ORDER BY v <-> '[9,9,9]' LIMIT 1;
ROLLBACK;
SELECT id > 0 AS another FROM am_life ORDER BY v <-> '[9,9,9]' LIMIT 1;

-- Updates of the vector, and of another column
UPDATE am_life SET v = '[8,8,8]' WHERE id = 500;
UPDATE am_life SET id = 2600 WHERE id = 600;
SELECT id FROM am_life ORDER BY v <-> '[8,8,8]' LIMIT 1;
UPDATE am_life SET v = '[-8,-8,-8]' WHERE id = 500;
SELECT id <> 500 AS gone FROM am_life ORDER BY v <-> '[8,8,8]' LIMIT 1;
SELECT id FROM am_life ORDER BY v <-> '[-8,-8,-8]' LIMIT 1;
SELECT * FROM am_found(50);

-- Deletes, seen at once; VACUUM marks them
DELETE FROM am_life WHERE id BETWEEN 101 AND 200;
SELECT * FROM am_found(50);
VACUUM am_life;
SELECT * FROM am_state ORDER BY 1, 2;

-- Places of the table that VACUUM has freed are used again
INSERT INTO am_life SELECT i, ARRAY[sin(i), cos(i * 1.1), sin(i * 1.3)]::real[]::vector FROM generate_series(101, 200) AS i;
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);

-- Seal by hand
SELECT omenvec_optimize('am_life_idx');
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);
SELECT omenvec_optimize('am_life_idx');
SELECT * FROM am_state ORDER BY 1, 2;

-- Deletes and updates in the sealed segment
DELETE FROM am_life WHERE id % 10 = 3;
UPDATE am_life SET v = '[7,7,7]' WHERE id = 444;
SELECT id FROM am_life ORDER BY v <-> '[7,7,7]' LIMIT 1;
VACUUM am_life;
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);
INSERT INTO am_life SELECT i, ARRAY[sin(i), cos(i * 1.1), sin(i * 1.3)]::real[]::vector FROM generate_series(3, 993, 10) AS i;
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);

-- A second segment, merged with the first
SELECT omenvec_optimize('am_life_idx');
SELECT * FROM am_state ORDER BY 1, 2;
SELECT omenvec_optimize('am_life_idx', "full" => true);
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(50);

-- So many rows that the inserting statement seals by itself; NULLs and copies among them
INSERT INTO am_life
SELECT i, CASE i % 1000 WHEN 0 THEN NULL WHEN 1 THEN '[5,5,5]'
    ELSE ARRAY[sin(i), cos(i * 1.1), sin(i * 1.3)]::real[]::vector END
FROM generate_series(10001, 50000) AS i;
SELECT kind, state, count(*) > 0 AS some, sum(dead) AS dead FROM am_state GROUP BY kind, state ORDER BY 1, 2;
SELECT sum(rows) = (SELECT count(*) FROM am_life) AS all_rows FROM am_state;
SELECT count(*) FROM (SELECT v FROM am_life ORDER BY v <-> '[5,5,5]' LIMIT 50) AS s WHERE v = '[5,5,5]';
SELECT found >= queries * 0.9 AS found, rows, of_rows FROM am_found(1500);

-- VACUUM merges; after most rows have gone, and after all have
VACUUM am_life;
SELECT kind, state, count(*) > 0 AS some, sum(dead) AS dead FROM am_state GROUP BY kind, state ORDER BY 1, 2;
DELETE FROM am_life WHERE id % 100 <> 50;
VACUUM am_life;
SELECT sum(rows) - sum(dead) AS alive FROM am_state;
SELECT * FROM am_found(100);
SELECT omenvec_optimize('am_life_idx', "full" => true);
SELECT * FROM am_state ORDER BY 1, 2;
SELECT * FROM am_found(100);
DELETE FROM am_life;
VACUUM am_life;
SELECT omenvec_optimize('am_life_idx', "full" => true);
SELECT * FROM am_state ORDER BY 1, 2;
SELECT id FROM am_life ORDER BY v <-> '[7,7,7]' LIMIT 1;

-- Space is used again: the file does not grow for ever
INSERT INTO am_life SELECT i, ARRAY[i, i + 1, 1]::real[]::vector FROM generate_series(1, 3000) AS i;
SELECT omenvec_optimize('am_life_idx');
CREATE TABLE am_size AS SELECT pg_relation_size('am_life_idx') AS bytes;
DELETE FROM am_life;
VACUUM am_life;
INSERT INTO am_life SELECT i, ARRAY[i, i + 1, 2]::real[]::vector FROM generate_series(1, 3000) AS i;
SELECT omenvec_optimize('am_life_idx');
DELETE FROM am_life;
VACUUM am_life;
INSERT INTO am_life SELECT i, ARRAY[i, i + 1, 3]::real[]::vector FROM generate_series(1, 3000) AS i;
SELECT omenvec_optimize('am_life_idx');
DELETE FROM am_life;
VACUUM am_life;
INSERT INTO am_life SELECT i, ARRAY[i, i + 1, 4]::real[]::vector FROM generate_series(1, 3000) AS i;
SELECT omenvec_optimize('am_life_idx');
DELETE FROM am_life;
VACUUM am_life;
INSERT INTO am_life SELECT i, ARRAY[i, i + 1, 5]::real[]::vector FROM generate_series(1, 3000) AS i;
SELECT omenvec_optimize('am_life_idx');
DELETE FROM am_life;
VACUUM am_life;
SELECT pg_relation_size('am_life_idx') <= bytes * 2 AS reused FROM am_size;
SELECT txid_current() > 0 AS horizon_moves;
VACUUM am_life;
SELECT pg_relation_size('am_life_idx') <= bytes / 4 AS truncated FROM am_size;
SELECT problem FROM omenvec_check('am_life_idx');

-- COPY
COPY am_life FROM stdin;
1	[1,2,3]
2	\N
3	[1,2,4]
\.
COPY am_life FROM stdin;
4	[1,2]
\.
SELECT id, v FROM am_life ORDER BY v <-> '[1,2,3]', id;

-- INSERT … ON CONFLICT, and HOT updates, which do not touch the index
CREATE UNIQUE INDEX ON am_life (id);
INSERT INTO am_life VALUES (1, '[6,6,6]'), (5, '[5,5,5]') ON CONFLICT (id) DO UPDATE SET v = excluded.v;
INSERT INTO am_life VALUES (1, '[0,0,0]') ON CONFLICT DO NOTHING;
SELECT id, v FROM am_life ORDER BY v <-> '[6,6,6]', id;
SELECT rows FROM omenvec_index_stats('am_life_idx') WHERE state = 'open';
ALTER TABLE am_life ADD COLUMN n integer;
UPDATE am_life SET n = id;
UPDATE am_life SET n = n + 1;
SELECT rows FROM omenvec_index_stats('am_life_idx') WHERE state = 'open';
SELECT id, v, n FROM am_life ORDER BY v <-> '[6,6,6]', id;
SELECT problem FROM omenvec_check('am_life_idx');

-- NULLs of a tail that VACUUM has taken do not come back with the rows that take their places
CREATE TABLE am_reuse (id integer, v vector(3)) WITH (autovacuum_enabled = off);
CREATE INDEX am_reuse_idx ON am_reuse USING omenhnsw (v vector_l2_ops);
INSERT INTO am_reuse SELECT i, NULL FROM generate_series(1, 40) AS i;
DELETE FROM am_reuse WHERE id <= 20;
VACUUM (INDEX_CLEANUP on, TRUNCATE off) am_reuse;
INSERT INTO am_reuse SELECT i, CASE WHEN i % 2 = 0 THEN ARRAY[i, 1, 1]::real[]::vector END FROM generate_series(101, 120) AS i;
SET enable_seqscan = off;
SELECT count(*), count(DISTINCT id), sum(id) FROM (SELECT id FROM am_reuse ORDER BY v <-> '[1,1,1]' LIMIT 1000) AS s;
RESET enable_seqscan;

DROP VIEW am_state;
DROP FUNCTION am_found;
DROP TABLE am_life, am_size, am_reuse;
