--
-- omenhnsw: option refine, finer codes, by which a scan fetches hardly more rows than it returns.
--
LOAD 'omenvec';
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;

-- Vectors of a few numbers each, and a little of its own in each component: no two alike, none exact in 8 bits
CREATE FUNCTION am_refine_vector(i integer) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(((hashint4(i * 8 + j % 6) & 1023) / 100.0 + (hashint4(i * 64 + j) & 1023) / 1000.0)::real ORDER BY j)::vector
    FROM generate_series(0, 39) AS j
$$;
CREATE TABLE am_refine (id integer, v vector(40), h halfvec(40), b bit(40), s sparsevec(40)) WITH (autovacuum_enabled = off);
INSERT INTO am_refine
    SELECT i, v, v, binary_quantize(v), v::sparsevec
    FROM (SELECT i, am_refine_vector(i) AS v FROM generate_series(1, 2000) AS i) AS vectors;
CREATE TABLE am_refine_queries AS SELECT i AS id, am_refine_vector(-i) AS v FROM generate_series(1, 20) AS i;

-- Where it is offered
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (v vector_l2_ops) WITH (refine = half);
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (b bit_hamming_ops) WITH (refine = scalar);
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (s sparsevec_l2_ops) WITH (refine = scalar);
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (s sparsevec_l2_ops) WITH (refine = none);
DROP INDEX am_refine_idx;

-- The queries' answers by index: how many distances are not the table's, and rows fetched beyond k for each query.
CREATE FUNCTION am_refine_try(operator text, kind text, k integer, OUT wrong bigint, OUT beyond numeric) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT array_agg(near.d ORDER BY q.id, near.n) FROM am_refine_queries AS q, LATERAL
        (SELECT d, row_number() OVER () AS n
         FROM (SELECT %1$s %2$s q.v::%3$s(40) AS d FROM am_refine ORDER BY %1$s %2$s q.v::%3$s(40) LIMIT %4$s) AS found) AS near',
        left(kind, 1), operator, kind, k);
    exact float8[];
    found float8[];
    fetched bigint;
BEGIN
    SET LOCAL enable_indexscan = off;
    EXECUTE query INTO exact;
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    fetched := pg_stat_get_xact_tuples_fetched('am_refine_idx'::regclass);
    EXECUTE query INTO found;
    beyond := (pg_stat_get_xact_tuples_fetched('am_refine_idx'::regclass) - fetched) / 20.0 - k;
    wrong := (SELECT count(*) FROM unnest(exact, found) AS d (e, f) WHERE e IS DISTINCT FROM f);
END $$;

-- The same answers with and without, every metric and type; with them, at most two rows are fetched in vain
SET omenhnsw.ef_search = 400;
CREATE FUNCTION am_refine_try_all() RETURNS TABLE (opclass text, wrong bigint, fewer boolean, few boolean) LANGUAGE plpgsql AS $$
DECLARE
    operator text;
    kind text;
    coarse record;
    fine record;
BEGIN
    FOR opclass, operator, kind IN
        SELECT format('%s_%s_ops', types.kind, metrics.name), metrics.operator, types.kind
        FROM (VALUES ('vector'), ('halfvec')) AS types (kind),
             (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) AS metrics (name, operator)
        ORDER BY 1
    LOOP
        EXECUTE format('CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (%s %s)', left(kind, 1), opclass);
        coarse := am_refine_try(operator, kind, 10);
        DROP INDEX am_refine_idx;
        EXECUTE format('CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (%s %s) WITH (refine = scalar)', left(kind, 1), opclass);
        fine := am_refine_try(operator, kind, 10);
        DROP INDEX am_refine_idx;
        wrong := coarse.wrong + fine.wrong;
        fewer := fine.beyond < coarse.beyond;
        few := fine.beyond <= 2;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM am_refine_try_all();

-- Its life: tail, seal, merge into a segment that goes on, merge anew; rows that die and come
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (v vector_l2_ops) WITH (refine = scalar, autoseal = off);
CREATE VIEW am_refine_state AS
    SELECT kind, state, rows, refine, refine_bytes > 0 AS has_column, refine_bytes < codes_bytes AS smaller_than_codes
    FROM omenvec_index_stats('am_refine_idx') WHERE state <> 'retired';
SELECT * FROM am_refine_state;
INSERT INTO am_refine (id, v) SELECT i, am_refine_vector(i) FROM generate_series(2001, 2500) AS i;
INSERT INTO am_refine (id, v) VALUES (0, NULL);
SELECT * FROM am_refine_state ORDER BY kind;
SELECT wrong, beyond <= 2 AS few FROM am_refine_try('<->', 'vector', 10);
SELECT * FROM omenvec_check('am_refine_idx');
SELECT omenvec_optimize('am_refine_idx');
SELECT * FROM am_refine_state;
SELECT wrong, beyond <= 2 AS few FROM am_refine_try('<->', 'vector', 10);
DELETE FROM am_refine WHERE id % 7 = 3;
VACUUM (INDEX_CLEANUP on) am_refine;
SELECT wrong FROM am_refine_try('<->', 'vector', 10);
SELECT omenvec_optimize('am_refine_idx', true);
SELECT wrong, beyond <= 2 AS few FROM am_refine_try('<->', 'vector', 10);
SELECT * FROM omenvec_check('am_refine_idx');

-- A radius, a strict order, a scan to its end
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) = (SELECT count(*) FROM am_refine WHERE (v <-> am_refine_vector(-1)) + 0 < 30) AS within
FROM (SELECT id FROM am_refine WHERE v <-> am_refine_vector(-1) < 30 ORDER BY v <-> am_refine_vector(-1)) AS s;
SET omenhnsw.iterative_scan = strict_order;
SELECT count(*) > 1000 AS many, count(*) FILTER (WHERE d < before) AS disorder
FROM (SELECT d, lag(d) OVER () AS before
      FROM (SELECT v <-> am_refine_vector(-2) AS d FROM am_refine ORDER BY v <-> am_refine_vector(-2)) AS s) AS s;
RESET omenhnsw.iterative_scan;
SET omenhnsw.ef_search = 16;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE v IS NULL) AS nulls
FROM (SELECT * FROM am_refine ORDER BY v <-> am_refine_vector(-3)) AS s;
SELECT count(*), count(DISTINCT id)
FROM (SELECT * FROM am_refine ORDER BY v <-> NULL) AS s;
RESET omenhnsw.ef_search;
RESET enable_seqscan;
RESET enable_sort;
DROP VIEW am_refine_state;
DROP TABLE am_refine;

-- Vectors that 8 bits do not tell apart are one node: its bound holds for each of them
CREATE TABLE am_refine (id integer, v vector(40)) WITH (autovacuum_enabled = off);
INSERT INTO am_refine
    SELECT i, (SELECT array_agg(CASE WHEN j < 2 THEN j * 10 ELSE (hashint4(i / 20 * 64 + j) & 255) / 25.5
                                     + (hashint4(i * 64 + j) & 255) / 25500.0 END ORDER BY j) FROM generate_series(0, 39) AS j)::real[]::vector
    FROM generate_series(1, 1500) AS i;
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (v vector_l2_ops) WITH (refine = scalar, autoseal = off);
TRUNCATE am_refine_queries;
INSERT INTO am_refine_queries SELECT id, v FROM am_refine WHERE id % 75 = 0;
SELECT rows - vectors > 100 AS folded FROM omenvec_index_stats('am_refine_idx');
SELECT wrong FROM am_refine_try('<->', 'vector', 30);
INSERT INTO am_refine SELECT 2000 + id, v FROM am_refine;
SELECT omenvec_optimize('am_refine_idx');
SELECT rows - vectors > 1600 AS folded FROM omenvec_index_stats('am_refine_idx') WHERE state = 'live';
SELECT wrong FROM am_refine_try('<->', 'vector', 30);
SELECT omenvec_optimize('am_refine_idx', true);
SELECT wrong FROM am_refine_try('<->', 'vector', 30);
SELECT * FROM omenvec_check('am_refine_idx');
DROP TABLE am_refine;

-- Integers that 8 bits hold exactly stay exact: one row is fetched beyond the last
CREATE TABLE am_refine (id integer, v vector(40));
INSERT INTO am_refine
    SELECT i, (SELECT array_agg(hashint4(i * 64 + j) & 255 ORDER BY j) FROM generate_series(0, 39) AS j)::vector
    FROM generate_series(1, 1500) AS i;
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (v vector_l2_ops) WITH (refine = scalar);
TRUNCATE am_refine_queries;
INSERT INTO am_refine_queries SELECT i, (SELECT array_agg(hashint4(-i * 64 - j) & 255 ORDER BY j) FROM generate_series(0, 39) AS j)::vector
    FROM generate_series(1, 20) AS i;
SET omenhnsw.ef_search = 400;
SELECT wrong, beyond FROM am_refine_try('<->', 'vector', 10);
RESET omenhnsw.ef_search;

-- It is an option of the build: a change waits for REINDEX
ALTER INDEX am_refine_idx SET (refine = none);
SELECT refine FROM omenvec_index_stats('am_refine_idx');
REINDEX INDEX am_refine_idx;
SELECT refine, refine_bytes FROM omenvec_index_stats('am_refine_idx');
ALTER INDEX am_refine_idx SET (refine = 'scalar', m = 8);
REINDEX INDEX CONCURRENTLY am_refine_idx;
SELECT refine, m FROM omenvec_index_stats('am_refine_idx');
SELECT pg_get_indexdef('am_refine_idx'::regclass);
DROP TABLE am_refine;

-- Records longer than a page, in both places
CREATE TABLE am_refine (id integer, v vector(9600));
INSERT INTO am_refine SELECT i, (SELECT array_agg((hashint4(i * 10000 + j) & 65535) / 65536.0 ORDER BY j) FROM generate_series(1, 9600) AS j)::real[]::vector
    FROM generate_series(1, 12) AS i;
CREATE INDEX am_refine_idx ON am_refine USING omenhnsw (v vector_cosine_ops) WITH (refine = scalar);
INSERT INTO am_refine SELECT i, (SELECT array_agg((hashint4(i * 10000 + j) & 65535) / 65536.0 ORDER BY j) FROM generate_series(1, 9600) AS j)::real[]::vector
    FROM generate_series(21, 24) AS i;
SET enable_seqscan = off;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM am_refine ORDER BY (v <=> (SELECT v FROM am_refine WHERE id = 5)) + 0) AS s)
FROM (SELECT id FROM am_refine ORDER BY v <=> (SELECT v FROM am_refine WHERE id = 5)) AS s;
SELECT * FROM omenvec_check('am_refine_idx');
SELECT omenvec_optimize('am_refine_idx', true);
SELECT * FROM omenvec_check('am_refine_idx');
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM am_refine ORDER BY (v <=> (SELECT v FROM am_refine WHERE id = 5)) + 0) AS s)
FROM (SELECT id FROM am_refine ORDER BY v <=> (SELECT v FROM am_refine WHERE id = 5)) AS s;
DROP TABLE am_refine, am_refine_queries;
