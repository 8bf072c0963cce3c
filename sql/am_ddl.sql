--
-- omenhnsw: everything that DDL does to an index.
--
LOAD 'omenvec';
SET jit = off;
SET enable_seqscan = off;
SET client_min_messages = warning;

-- 700 points on a spiral; the nearest to a point of it are its neighbours in number
CREATE FUNCTION am_point(i integer) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT ARRAY[i * cos(i / 100.0), i * sin(i / 100.0), i / 10.0]::real[]::vector $$;
CREATE FUNCTION am_fill(tbl regclass, first integer, last integer) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN EXECUTE format('INSERT INTO %s SELECT i, am_point(i) FROM generate_series(%s, %s) AS i', tbl, first, last); END $$;
-- The five nearest to point 333 by index, which must be used; then what the check finds.
CREATE FUNCTION am_nearest(tbl regclass, VARIADIC indexes regclass[]) RETURNS TABLE (id integer, problem text)
LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT t.id, NULL::text FROM %s AS t ORDER BY v <-> am_point(333) LIMIT 5', tbl);
    index regclass;
    line text;
    plan text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || line || E'\n';
    END LOOP;
    IF plan !~ 'Index Scan' THEN
        RAISE EXCEPTION 'unexpected plan: %', plan;
    END IF;
    RETURN QUERY EXECUTE query;
    FOREACH index IN ARRAY indexes LOOP
        RETURN QUERY SELECT NULL::integer, c.problem FROM omenvec_check(index) AS c;
    END LOOP;
END $$;

-- Operator classes are fit for the access method
SELECT opcname, amvalidate(c.oid) AS valid
FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
WHERE amname = 'omenhnsw' AND NOT amvalidate(c.oid);
SELECT opcname FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
WHERE amname = 'omenhnsw' AND opcintype = 'vector'::regtype ORDER BY 1;
SELECT opcname FROM pg_opclass AS c JOIN pg_am AS a ON a.oid = c.opcmethod
WHERE amname = 'omenhnsw' AND opcintype = 'vector'::regtype AND opcdefault;
SELECT p, pg_indexam_has_property(a.oid, p) AS has
FROM pg_am AS a, unnest(ARRAY['can_order', 'can_unique', 'can_multi_col', 'can_exclude', 'can_include']) AS p
WHERE amname = 'omenhnsw' ORDER BY p;

-- Ordinary: build, default operator class, definition
CREATE TABLE am_plain (id integer, v vector(3));
SELECT am_fill('am_plain', 1, 700);
CREATE INDEX am_plain_idx ON am_plain USING omenhnsw (v vector_l2_ops) WITH (m = 8, ef_construction = 32);
SELECT pg_get_indexdef('am_plain_idx'::regclass);
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
SELECT p, pg_index_column_has_property('am_plain_idx'::regclass, 1, p) AS has
FROM unnest(ARRAY['distance_orderable', 'orderable', 'returnable', 'search_nulls']) AS p ORDER BY p;
SELECT p, pg_index_has_property('am_plain_idx'::regclass, p) AS has
FROM unnest(ARRAY['index_scan', 'bitmap_scan', 'backward_scan', 'clusterable']) AS p ORDER BY p;

-- REINDEX, in both ways; rows from before and after it
SELECT am_fill('am_plain', 701, 800);
DELETE FROM am_plain WHERE id % 3 = 0;
REINDEX INDEX am_plain_idx;
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
REINDEX INDEX CONCURRENTLY am_plain_idx;
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
SELECT am_fill('am_plain', 333, 333);
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
REINDEX TABLE CONCURRENTLY am_plain;
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
SELECT indexrelid::regclass, indisvalid, indisready FROM pg_index WHERE indrelid = 'am_plain'::regclass;

-- TRUNCATE, with rows after it in the same session; and one that is rolled back
TRUNCATE am_plain;
SELECT id FROM am_plain ORDER BY v <-> am_point(333) LIMIT 5;
SELECT am_fill('am_plain', 330, 340);
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
BEGIN;
TRUNCATE am_plain;
SELECT am_fill('am_plain', 1, 3);
SELECT id FROM am_plain ORDER BY v <-> am_point(333) LIMIT 5;
ROLLBACK;
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
SELECT am_fill('am_plain', 1000, 1010);
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');

-- CREATE INDEX CONCURRENTLY
DROP INDEX am_plain_idx;
CREATE INDEX CONCURRENTLY am_plain_idx ON am_plain USING omenhnsw (v vector_l2_ops);
SELECT * FROM am_nearest('am_plain', 'am_plain_idx');
SELECT sum(rows) FROM omenvec_index_stats('am_plain_idx');
DROP INDEX CONCURRENTLY am_plain_idx;
INSERT INTO am_plain VALUES (0, NULL);
CREATE INDEX CONCURRENTLY am_plain_idx ON am_plain USING omenhnsw (v vector_cosine_ops);
SELECT sum(rows), sum(vectors) FROM omenvec_index_stats('am_plain_idx');
SELECT * FROM omenvec_check('am_plain_idx');

-- Roll back what built, filled and sealed
BEGIN;
SELECT am_fill('am_plain', 2000, 2100);
CREATE INDEX am_plain_l2 ON am_plain USING omenhnsw (v vector_l2_ops);
SELECT am_fill('am_plain', 330, 336);
SELECT omenvec_optimize('am_plain_idx');
ROLLBACK;
SELECT count(*) FROM (SELECT id FROM am_plain ORDER BY v <=> am_point(333) LIMIT 5000) AS s;
SELECT * FROM omenvec_check('am_plain_idx');
BEGIN;
SAVEPOINT s;
SELECT am_fill('am_plain', 3000, 3005);
ROLLBACK TO s;
SELECT am_fill('am_plain', 4000, 4001);
COMMIT;
SELECT id FROM am_plain ORDER BY v <=> am_point(333), id LIMIT 3;

-- ALTER TABLE: a new type rewrites table and index; columns come and go
ALTER TABLE am_plain ADD COLUMN note text DEFAULT 'n';
ALTER TABLE am_plain ALTER COLUMN id TYPE bigint;
SELECT count(*) FROM (SELECT id FROM am_plain ORDER BY v <=> am_point(333) LIMIT 5000) AS s;
SELECT * FROM omenvec_check('am_plain_idx');
ALTER TABLE am_plain ALTER COLUMN v TYPE vector(2) USING subvector(v, 1, 2)::vector(2);
SELECT count(*) FROM (SELECT id FROM am_plain ORDER BY v <=> '[1,2]' LIMIT 5000) AS s;
SELECT * FROM omenvec_check('am_plain_idx');
ALTER TABLE am_plain DROP COLUMN v;
SELECT count(*) FROM pg_index WHERE indrelid = 'am_plain'::regclass;
DROP TABLE am_plain;

-- Partial index: used where the condition holds
CREATE TABLE am_partial (id integer, v vector(3));
SELECT am_fill('am_partial', 1, 700);
CREATE INDEX am_partial_idx ON am_partial USING omenhnsw (v vector_l2_ops) WHERE id % 2 = 0;
EXPLAIN (COSTS OFF) SELECT id FROM am_partial ORDER BY v <-> '[-327,-62,33]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM am_partial WHERE id % 2 = 0 ORDER BY v <-> '[-327,-62,33]' LIMIT 5;
SELECT id FROM am_partial WHERE id % 2 = 0 ORDER BY v <-> am_point(333), id LIMIT 4;
UPDATE am_partial SET id = 10333 WHERE id = 332;
UPDATE am_partial SET id = 10334 WHERE id = 333;
SELECT id FROM am_partial WHERE id % 2 = 0 ORDER BY v <-> am_point(333), id LIMIT 4;
SELECT * FROM omenvec_check('am_partial_idx');
DROP TABLE am_partial;

-- Index on an expression
CREATE TABLE am_expression (id integer, a real[]);
INSERT INTO am_expression SELECT i, am_point(i)::real[] FROM generate_series(1, 700) AS i;
CREATE INDEX am_expression_idx ON am_expression USING omenhnsw ((a::vector(3)) vector_l2_ops);
EXPLAIN (COSTS OFF) SELECT id FROM am_expression ORDER BY a::vector(3) <-> '[-327,-62,33]' LIMIT 3;
SELECT id FROM am_expression ORDER BY a::vector(3) <-> am_point(333), id LIMIT 3;
INSERT INTO am_expression VALUES (801, ARRAY[1, 2]);
INSERT INTO am_expression VALUES (801, am_point(333)::real[]), (802, NULL);
SELECT id FROM am_expression ORDER BY a::vector(3) <-> am_point(333), id LIMIT 3;
SELECT * FROM omenvec_check('am_expression_idx');
DROP TABLE am_expression;

-- Partitions: one sorted stream each, merged
CREATE TABLE am_parts (id integer, v vector(3)) PARTITION BY RANGE (id);
CREATE TABLE am_parts_1 PARTITION OF am_parts FOR VALUES FROM (0) TO (333);
CREATE TABLE am_parts_2 PARTITION OF am_parts FOR VALUES FROM (333) TO (500);
CREATE INDEX am_parts_idx ON am_parts USING omenhnsw (v vector_l2_ops);
CREATE TABLE am_parts_3 PARTITION OF am_parts DEFAULT;
SELECT am_fill('am_parts', 1, 700);
EXPLAIN (COSTS OFF) SELECT id FROM am_parts ORDER BY v <-> '[-327,-62,33]' LIMIT 5;
SELECT * FROM am_nearest('am_parts', 'am_parts_1_v_idx', 'am_parts_2_v_idx', 'am_parts_3_v_idx');
UPDATE am_parts SET id = id + 300 WHERE id BETWEEN 330 AND 336;
SELECT * FROM am_nearest('am_parts', 'am_parts_1_v_idx', 'am_parts_2_v_idx', 'am_parts_3_v_idx');
ALTER TABLE am_parts DETACH PARTITION am_parts_3;
SELECT * FROM am_nearest('am_parts', 'am_parts_1_v_idx', 'am_parts_2_v_idx');
SELECT * FROM am_nearest('am_parts_3', 'am_parts_3_v_idx');
DROP TABLE am_parts, am_parts_3;

-- Inheritance
CREATE TABLE am_parent (id integer, v vector(3));
CREATE TABLE am_child () INHERITS (am_parent);
CREATE INDEX am_parent_idx ON am_parent USING omenhnsw (v vector_l2_ops);
CREATE INDEX am_child_idx ON am_child USING omenhnsw (v vector_l2_ops);
SELECT am_fill('am_parent', 1, 350), am_fill('am_child', 334, 700);
EXPLAIN (COSTS OFF) SELECT id FROM am_parent ORDER BY v <-> '[-327,-62,33]' LIMIT 5;
SELECT id FROM am_parent ORDER BY v <-> am_point(333), id LIMIT 5;
DROP TABLE am_parent, am_child;

-- Unlogged and temporary
CREATE UNLOGGED TABLE am_unlogged (id integer, v vector(3));
CREATE INDEX am_unlogged_idx ON am_unlogged USING omenhnsw (v vector_l2_ops);
SELECT am_fill('am_unlogged', 1, 700);
SELECT omenvec_optimize('am_unlogged_idx');
SELECT * FROM am_nearest('am_unlogged', 'am_unlogged_idx');
ALTER TABLE am_unlogged SET LOGGED;
SELECT * FROM am_nearest('am_unlogged', 'am_unlogged_idx');
ALTER TABLE am_unlogged SET UNLOGGED;
SELECT * FROM am_nearest('am_unlogged', 'am_unlogged_idx');
DROP TABLE am_unlogged;

CREATE TEMPORARY TABLE am_temporary (id integer, v vector(3));
SELECT am_fill('am_temporary', 1, 350);
CREATE INDEX am_temporary_idx ON am_temporary USING omenhnsw (v vector_l2_ops);
SELECT am_fill('am_temporary', 351, 700);
SELECT * FROM am_nearest('am_temporary', 'am_temporary_idx');
DELETE FROM am_temporary WHERE id % 2 = 0;
VACUUM am_temporary;
SELECT omenvec_optimize('am_temporary_idx', "full" => true);
SELECT * FROM am_nearest('am_temporary', 'am_temporary_idx');
DROP TABLE am_temporary;
BEGIN;
CREATE TEMPORARY TABLE am_temporary (id integer, v vector(3)) ON COMMIT DELETE ROWS;
CREATE INDEX am_temporary_idx ON am_temporary USING omenhnsw (v vector_l2_ops);
SELECT am_fill('am_temporary', 1, 700);
COMMIT;
SELECT count(*) FROM (SELECT id FROM am_temporary ORDER BY v <-> am_point(333) LIMIT 5) AS s;
SELECT am_fill('am_temporary', 1, 700);
DROP TABLE am_temporary;

-- Materialized views
CREATE TABLE am_base (id integer, v vector(3));
SELECT am_fill('am_base', 1, 700);
CREATE MATERIALIZED VIEW am_view AS SELECT id, v FROM am_base;
CREATE INDEX am_view_idx ON am_view USING omenhnsw (v vector_l2_ops);
DELETE FROM am_base WHERE id = 334;
REFRESH MATERIALIZED VIEW am_view;
SELECT * FROM am_nearest('am_view', 'am_view_idx');
DROP MATERIALIZED VIEW am_view;

-- VACUUM FULL and CLUSTER move the rows
CREATE INDEX am_base_idx ON am_base USING omenhnsw (v vector_l2_ops);
CREATE INDEX am_base_id ON am_base (id DESC);
VACUUM FULL am_base;
SELECT * FROM am_nearest('am_base', 'am_base_idx');
CLUSTER am_base USING am_base_id;
SELECT * FROM am_nearest('am_base', 'am_base_idx');
COMMENT ON INDEX am_base_idx IS 'nearest neighbours';
ALTER INDEX am_base_idx RENAME TO am_base_renamed;
SELECT * FROM am_nearest('am_base', 'am_base_renamed');

-- Several segments, where maintenance_work_mem is small
SELECT am_fill('am_base', 701, 9000);
SET maintenance_work_mem = '1MB';
SET client_min_messages = notice;
\set VERBOSITY terse
CREATE INDEX am_base_small ON am_base USING omenhnsw (v vector_l2_ops);
\set VERBOSITY default
RESET maintenance_work_mem;
SET client_min_messages = warning;
DROP INDEX am_base_renamed;
SELECT count(*) > 1 AS several, sum(rows) FROM omenvec_index_stats('am_base_small') WHERE kind = 'graph' AND state = 'live';
SELECT * FROM am_nearest('am_base', 'am_base_small');
SELECT omenvec_optimize('am_base_small', "full" => true);
SELECT count(*), sum(rows) FROM omenvec_index_stats('am_base_small') WHERE kind = 'graph' AND state = 'live';
SELECT * FROM am_nearest('am_base', 'am_base_small');
DROP TABLE am_base;

DROP FUNCTION am_nearest, am_fill, am_point;
