--
-- Attributes: what is refused, and with which words.
--
LOAD 'omenvec';
CREATE TABLE filter_bad (id integer, v vector(3), w halfvec(3), name text, doc json, tags text[], flag boolean);
INSERT INTO filter_bad SELECT i, '[1,2,3]', '[1,2,3]', 'n' || i % 3, '{}', ARRAY['a', 'b'], i % 2 = 0 FROM generate_series(1, 20) AS i;

-- Lists of columns: one vector, the first; then attributes
CREATE INDEX ON filter_bad USING omenhnsw (id);
CREATE INDEX ON filter_bad USING omenhnsw (id, v vector_l2_ops);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, w halfvec_l2_ops);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id, v vector_ip_ops);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id, w);
CREATE INDEX ON filter_bad USING omenhnsw (v, id);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, doc);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id text_ops);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id DESC);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops) INCLUDE (id);
CREATE UNIQUE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id);
CREATE INDEX ON filter_bad USING omenhnsw (v vector_l2_ops, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id,
    id, id, id, id, id, id, id, id, id, id, id, id, id, id, id, id);
ALTER TABLE filter_bad ADD EXCLUDE USING omenhnsw (v vector_l2_ops WITH =, id WITH =);
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'filter_bad'::regclass;

-- An array whose elements have no order
CREATE TABLE filter_places (v vector(3), places point[], names text[]);
CREATE INDEX ON filter_places USING omenhnsw (v vector_l2_ops, names, places);
CREATE INDEX ON filter_places USING omenhnsw (v vector_l2_ops, names);
DROP TABLE filter_places;

-- Unlogged tables and empty ones are no exception
CREATE UNLOGGED TABLE filter_unlogged (v vector(3), id integer);
CREATE INDEX ON filter_unlogged USING omenhnsw (id, v vector_l2_ops);
DROP TABLE filter_unlogged;

-- The attributes of a row are not longer than a page can hold
CREATE INDEX filter_bad_name ON filter_bad USING omenhnsw (v vector_l2_ops, name, tags);
INSERT INTO filter_bad (id, v, name) VALUES (100, '[1,2,3]', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i));
INSERT INTO filter_bad (id, v, name) VALUES (100, '[1,2,3]', repeat('long ', 20000));
SELECT id, length(name) FROM filter_bad WHERE name LIKE 'long long%' ORDER BY v <-> '[1,2,3]';
SELECT * FROM omenvec_check('filter_bad_name');
SELECT omenvec_optimize('filter_bad_name');
SET enable_seqscan = off;
SELECT id, length(name) FROM filter_bad WHERE name LIKE 'long long%' ORDER BY v <-> '[1,2,3]';

-- What an operator says of a value, it says with the index, too
CREATE TABLE filter_pattern (v vector(3), name text);
INSERT INTO filter_pattern VALUES ('[1,2,3]', 'one'), ('[1,2,4]', 'two');
CREATE INDEX ON filter_pattern USING omenhnsw (v vector_l2_ops, name);
SELECT name FROM filter_pattern WHERE name LIKE 'on%\' ORDER BY v <-> '[1,2,3]';
DROP TABLE filter_pattern;

-- Conditions of another collation than the index's are not its own
CREATE INDEX filter_bad_posix ON filter_bad USING omenhnsw (v vector_l2_ops, name COLLATE "POSIX");
DROP INDEX filter_bad_name;
EXPLAIN (COSTS OFF) SELECT id FROM filter_bad WHERE name < 'n1' ORDER BY v <-> '[1,2,3]';
EXPLAIN (COSTS OFF) SELECT id FROM filter_bad WHERE name < 'n1' COLLATE "POSIX" ORDER BY v <-> '[1,2,3]';
EXPLAIN (COSTS OFF) SELECT id FROM filter_bad WHERE name COLLATE "POSIX" IN ('n1', 'n2') ORDER BY v <-> '[1,2,3]';
EXPLAIN (COSTS OFF) SELECT id FROM filter_bad WHERE name IN ('n1', 'n2') ORDER BY v <-> '[1,2,3]';
RESET enable_seqscan;

-- Functions on attributes
CREATE INDEX filter_bad_plain ON filter_bad USING omenhnsw (v vector_l2_ops);
SELECT * FROM omenvec_attributes('filter_bad_plain');
SELECT * FROM omenvec_attributes('filter_bad');
SELECT * FROM omenvec_attributes('pg_class_oid_index');
SELECT * FROM omenvec_attributes(NULL);
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 2);
SELECT * FROM omenvec_facet('filter_bad_posix', 'v');
SELECT * FROM omenvec_facet('filter_bad_posix', 'id');
SELECT * FROM omenvec_facet('filter_bad_plain', 'name');
SELECT * FROM omenvec_facet('filter_bad', 'name');
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 0);
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 1000001);
SELECT * FROM omenvec_facet('filter_bad_posix', NULL);

-- Counts are for those who may read the column, and not past row-level security
CREATE ROLE regress_filter_other;
SET ROLE regress_filter_other;
SELECT * FROM omenvec_attributes('filter_bad_posix');
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 1);
RESET ROLE;
GRANT SELECT (name) ON filter_bad TO regress_filter_other;
SET ROLE regress_filter_other;
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 1);
RESET ROLE;
ALTER TABLE filter_bad ENABLE ROW LEVEL SECURITY;
SET ROLE regress_filter_other;
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 1);
RESET ROLE;
SELECT * FROM omenvec_facet('filter_bad_posix', 'name', 1);

-- A policy's condition is the index's; of the query's own those that leak nothing
CREATE POLICY filter_tenant ON filter_bad USING (id = current_setting('filter.tenant')::integer);
CREATE INDEX filter_bad_tenant ON filter_bad USING omenhnsw (v vector_l2_ops, id, name, flag, tags);
GRANT SELECT ON filter_bad TO regress_filter_other;
SET ROLE regress_filter_other;
SET filter.tenant = 4;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM filter_bad
WHERE name IN ('n1', 'n2') AND flag AND tags && '{a}' AND name LIKE ANY (ARRAY['n1%', 'n2%']) ORDER BY v <-> '[1,2,3]';
SELECT id FROM filter_bad WHERE name IN ('n1', 'n2') AND flag AND tags && '{a}' ORDER BY v <-> '[1,2,3]';
RESET enable_seqscan;
RESET ROLE;
REVOKE ALL ON filter_bad FROM regress_filter_other;
DROP ROLE regress_filter_other;
DROP TABLE filter_bad;

-- Operator classes of one's own: what is fit for an attribute, and what is not
CREATE TABLE filter_own (v vector(3), id integer);
CREATE OPERATOR CLASS filter_own_ops FOR TYPE integer USING omenhnsw AS
    OPERATOR 5 = (integer, integer), FUNCTION 2 btint4cmp(integer, integer);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'filter_own_ops';
CREATE INDEX ON filter_own USING omenhnsw (v vector_l2_ops, id filter_own_ops);
CREATE OPERATOR CLASS filter_bare_ops FOR TYPE integer USING omenhnsw AS
    OPERATOR 5 = (integer, integer);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'filter_bare_ops';
CREATE INDEX ON filter_own USING omenhnsw (v vector_l2_ops, id filter_bare_ops);
CREATE INDEX ON filter_own USING omenhnsw (id filter_bare_ops);
CREATE OPERATOR CLASS filter_odd_ops FOR TYPE integer USING omenhnsw AS
    OPERATOR 1 < (integer, integer), OPERATOR 5 + (integer, integer), OPERATOR 6 = (integer, bigint),
    FUNCTION 2 btint4cmp(integer, integer), FUNCTION 2 (integer, smallint) btint48cmp(integer, bigint);
CREATE OPERATOR CLASS filter_odd_ops FOR TYPE integer USING omenhnsw AS
    OPERATOR 1 < (integer, integer), OPERATOR 6 = (integer, bigint),
    FUNCTION 2 btint4cmp(integer, integer), FUNCTION 2 (integer, smallint) btint48cmp(integer, bigint);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'filter_odd_ops';
CREATE OPERATOR CLASS filter_far_ops FOR TYPE integer USING omenhnsw AS
    OPERATOR 16 = (integer, integer), FUNCTION 2 btint4cmp(integer, integer);
DROP OPERATOR FAMILY filter_own_ops USING omenhnsw CASCADE;
DROP OPERATOR FAMILY filter_bare_ops USING omenhnsw CASCADE;
DROP OPERATOR FAMILY filter_odd_ops USING omenhnsw CASCADE;
DROP TABLE filter_own;
