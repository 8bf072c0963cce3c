--
-- omenhnsw: what is refused, and with which words.
--
LOAD 'omenvec';
CREATE TABLE am_bad (id integer, v vector(3), w vector, t text);
INSERT INTO am_bad VALUES (1, '[1,2,3]', '[1,2,3]', 'one');

-- The number of dimensions is needed, and must not be too large
CREATE INDEX ON am_bad USING omenhnsw (w vector_l2_ops);
CREATE INDEX ON am_bad USING omenhnsw ((w::vector) vector_l2_ops);
CREATE INDEX am_bad_expression ON am_bad USING omenhnsw ((w::vector(3)) vector_l2_ops);
CREATE TABLE am_too_long (v vector(16001));
CREATE TABLE am_longest (v vector(16000));
CREATE INDEX ON am_longest USING omenhnsw (v vector_l2_ops);
DROP TABLE am_longest;

-- Values of another number of dimensions: by the index on an expression, and by a query
INSERT INTO am_bad VALUES (2, '[1,2]', '[1,2,3]', 'two');
INSERT INTO am_bad VALUES (2, '[1,2,3]', '[1,2]', 'two');
UPDATE am_bad SET w = '[1,2,3,4]' WHERE id = 1;
CREATE INDEX am_bad_v ON am_bad USING omenhnsw (v vector_l2_ops);
SET enable_seqscan = off;
SELECT id FROM am_bad ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT id FROM am_bad ORDER BY v <-> '[1,2,3,4]' LIMIT 1;
SELECT id FROM am_bad ORDER BY v <-> '[1,NaN,3]' LIMIT 1;
SELECT id FROM am_bad ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET enable_seqscan;
SELECT count(*) FROM am_bad;
DROP INDEX am_bad_expression, am_bad_v;

-- Options
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 1);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 101);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = many);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (ef_construction = 3);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 16, ef_construction = 31);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 33, ef_construction = 65);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (lists = 100);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (fillfactor = 50);
CREATE INDEX am_bad_options ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 4);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) WITH (m = 100, ef_construction = 1000);
SELECT relname, reloptions FROM pg_class WHERE relname LIKE 'am_bad%idx%' OR relname = 'am_bad_options' ORDER BY relname;
ALTER INDEX am_bad_options SET (m = 1);
ALTER INDEX am_bad_options SET (m = 8);
ALTER INDEX am_bad_options SET (m = 0);
ALTER INDEX am_bad_options RESET (m, ef_construction);
REINDEX INDEX am_bad_options;
DROP INDEX am_bad_options;

-- Settings
SET omenhnsw.ef_search = -1;
SET omenhnsw.ef_search = 100001;
SET omenhnsw.ef_search = 'many';
SET omenhnsw.ef_serach = 10;
SET omenhnsw.ef_search = 100000;
SELECT id FROM am_bad ORDER BY v <-> '[1,2,3]' LIMIT 1;
RESET omenhnsw.ef_search;
SET omenhnsw.recall_target = 0.4;
SET omenhnsw.recall_target = 1;

-- Kinds of index that there is not
CREATE UNIQUE INDEX ON am_bad USING omenhnsw (v vector_l2_ops);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops) INCLUDE (id);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops, v vector_ip_ops);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops DESC);
CREATE INDEX ON am_bad USING omenhnsw (v vector_l2_ops NULLS FIRST);
CREATE INDEX ON am_bad USING omenhnsw (t);
CREATE INDEX ON am_bad USING omenhnsw (t vector_l2_ops);
CREATE INDEX ON am_bad USING omenhnsw (v no_such_ops);
CREATE INDEX ON am_bad USING omenhnsw (v COLLATE "C" vector_l2_ops);
ALTER TABLE am_bad ADD EXCLUDE USING omenhnsw (v vector_l2_ops WITH =);
CREATE INDEX am_bad_cluster ON am_bad USING omenhnsw (v vector_l2_ops);
CLUSTER am_bad USING am_bad_cluster;
ALTER TABLE am_bad REPLICA IDENTITY USING INDEX am_bad_cluster;
CREATE VIEW am_bad_view AS SELECT v FROM am_bad;
CREATE INDEX ON am_bad_view USING omenhnsw (v vector_l2_ops);
DROP VIEW am_bad_view;

-- A statement that fails leaves no index behind, and the table as it was
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'am_bad'::regclass ORDER BY 1;
INSERT INTO am_bad VALUES (3, '[3,3,3]', '[1,2]', 'three');
CREATE INDEX ON am_bad USING omenhnsw ((w::vector(3)) vector_l2_ops);
SELECT id, v, w FROM am_bad ORDER BY id;

-- Functions on indexes
SELECT * FROM omenvec_index_stats('am_bad');
SELECT * FROM omenvec_check('am_bad');
SELECT omenvec_optimize('am_bad');
SELECT * FROM omenvec_check('pg_class_oid_index');
SELECT omenvec_optimize('pg_class_oid_index');
SELECT * FROM omenvec_index_stats(NULL);
SELECT * FROM omenvec_check(NULL);
SELECT omenvec_optimize(NULL);
CREATE TABLE am_parted (v vector(3)) PARTITION BY RANGE (v);
CREATE INDEX am_parted_idx ON am_parted USING omenhnsw (v vector_l2_ops);
SELECT * FROM omenvec_check('am_parted_idx');
DROP TABLE am_parted;

-- They are for the owner
CREATE ROLE regress_am_other;
SET ROLE regress_am_other;
SELECT * FROM omenvec_index_stats('am_bad_cluster');
SELECT * FROM omenvec_check('am_bad_cluster');
SELECT omenvec_optimize('am_bad_cluster');
RESET ROLE;
GRANT pg_stat_scan_tables TO regress_am_other;
SET ROLE regress_am_other;
SELECT kind, state, rows FROM omenvec_index_stats('am_bad_cluster');
SELECT * FROM omenvec_check('am_bad_cluster');
SELECT omenvec_optimize('am_bad_cluster');
RESET ROLE;
DROP ROLE regress_am_other;

-- An index that is not valid
BEGIN;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'am_bad_cluster'::regclass;
SELECT * FROM omenvec_check('am_bad_cluster');
ROLLBACK;

DROP TABLE am_bad;
