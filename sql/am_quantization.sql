--
-- omenhnsw: option quantization, what stands for a vector in an index: floats, halves or 8-bit codes.
--
LOAD 'omenvec';
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;

-- Vectors of a few numbers each, and a little of its own in each component: none exact in 8 bits, nor in halves
CREATE FUNCTION am_quant_vector(i integer, dims integer DEFAULT 40) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(((hashint4(i * 8 + j % 6) & 1023) / 100.0 + (hashint4(i * 64 + j) & 1023) / 1000.0)::real ORDER BY j)::vector
    FROM generate_series(1, dims) AS j
$$;
CREATE TABLE am_quant (id integer, v vector(40), h halfvec(40), b bit(40), s sparsevec(40)) WITH (autovacuum_enabled = off);
INSERT INTO am_quant
    SELECT i, v, v, binary_quantize(v), v::sparsevec
    FROM (SELECT i, am_quant_vector(i) AS v FROM generate_series(1, 2000) AS i) AS vectors;
CREATE TABLE am_quant_queries AS SELECT i AS id, am_quant_vector(-i) AS v FROM generate_series(1, 20) AS i;

-- Where it is offered, and with what
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_l2_ops) WITH (quantization = double);
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (b bit_hamming_ops) WITH (quantization = none);
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (s sparsevec_ip_ops) WITH (quantization = half);
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (h halfvec_l2_ops) WITH (quantization = half, refine = scalar);
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_l2_ops) WITH (quantization = scalar, refine = scalar);
ALTER INDEX am_quant_idx SET (quantization = none);
ALTER INDEX am_quant_idx SET (quantization = none, refine = none);
DROP INDEX am_quant_idx;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (b bit_hamming_ops) WITH (quantization = scalar);
SELECT quantization FROM omenvec_index_stats('am_quant_idx');
DROP INDEX am_quant_idx;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (s sparsevec_l2_ops);
SELECT quantization FROM omenvec_index_stats('am_quant_idx');
ALTER INDEX am_quant_idx SET (quantization = half);
REINDEX INDEX am_quant_idx;
DROP INDEX am_quant_idx;

-- The queries' answers by index: how many distances are not the table's, and rows fetched beyond k for each query.
CREATE FUNCTION am_quant_try(operator text, kind text, k integer, OUT wrong bigint, OUT beyond numeric) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT array_agg(near.d ORDER BY q.id, near.n) FROM am_quant_queries AS q, LATERAL
        (SELECT d, row_number() OVER () AS n
         FROM (SELECT %1$s %2$s q.v::%3$s AS d FROM am_quant ORDER BY %1$s %2$s q.v::%3$s LIMIT %4$s) AS found) AS near',
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
    fetched := pg_stat_get_xact_tuples_fetched('am_quant_idx'::regclass);
    EXECUTE query INTO found;
    beyond := (pg_stat_get_xact_tuples_fetched('am_quant_idx'::regclass) - fetched) / 20.0 - k;
    wrong := (SELECT count(*) FROM unnest(exact, found) AS d (e, f) WHERE e IS DISTINCT FROM f);
END $$;

-- The same answers, every metric, type and kind; the finer the codes, the fewer rows are fetched in vain
SET omenhnsw.ef_search = 400;
CREATE FUNCTION am_quant_try_all() RETURNS TABLE (opclass text, asked text, quantization text, wrong bigint, few boolean, codes_kb bigint)
LANGUAGE plpgsql AS $$
DECLARE
    operator text;
    kind text;
    beyond numeric;
BEGIN
    FOR opclass, operator, kind, asked IN
        SELECT format('%s_%s_ops', types.kind, metrics.name), metrics.operator, types.kind, quants.name
        FROM (VALUES ('vector'), ('halfvec')) AS types (kind),
             (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) AS metrics (name, operator),
             (VALUES ('none'), ('half'), ('scalar')) AS quants (name)
        ORDER BY 1, 4 DESC
    LOOP
        EXECUTE format('CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (%s %s) WITH (quantization = %s)', left(kind, 1), opclass, asked);
        SELECT t.wrong, t.beyond INTO wrong, beyond FROM am_quant_try(operator, kind, 10) AS t;
        few := beyond <= CASE asked WHEN 'none' THEN 1.1 WHEN 'half' THEN 2 ELSE 12 END;
        SELECT stats.quantization, codes_bytes / 1024 INTO quantization, codes_kb FROM omenvec_index_stats('am_quant_idx') AS stats;
        DROP INDEX am_quant_idx;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM am_quant_try_all();

-- The life of an index of each: tail, seal, merge into a segment that goes on, merge anew; rows that die and come
CREATE FUNCTION am_quant_live(asked text) RETURNS TABLE (step text, wrong bigint, rows numeric, problems bigint) LANGUAGE plpgsql AS $$
DECLARE
    steps text[] := ARRAY[
        'INSERT INTO am_quant (id, v) SELECT i, am_quant_vector(i) FROM generate_series(2001, 2500) AS i',
        'INSERT INTO am_quant (id, v) SELECT -i, am_quant_vector(i) FROM generate_series(2001, 2010) AS i',
        'INSERT INTO am_quant (id, v) VALUES (0, NULL)',
        'SELECT omenvec_optimize(''am_quant_idx'')',
        'DELETE FROM am_quant WHERE id % 7 = 3',
        'SELECT omenvec_optimize(''am_quant_idx'', true)'];
BEGIN
    EXECUTE format('CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_cosine_ops) WITH (quantization = %s, autoseal = off)', asked);
    FOREACH step IN ARRAY steps
    LOOP
        EXECUTE step;
        SELECT t.wrong INTO wrong FROM am_quant_try('<=>', 'vector', 10) AS t;
        SELECT sum(s.rows) INTO rows FROM omenvec_index_stats('am_quant_idx') AS s WHERE state IN ('open', 'live');
        SELECT count(*) INTO problems FROM omenvec_check('am_quant_idx');
        RETURN NEXT;
    END LOOP;
END $$;
SELECT * FROM am_quant_live('none');
DROP INDEX am_quant_idx;
DELETE FROM am_quant WHERE id <= 0 OR id > 2000;
SELECT * FROM am_quant_live('half');
VACUUM (INDEX_CLEANUP on) am_quant;
SELECT omenvec_optimize('am_quant_idx', true);
SELECT rows = (SELECT count(*) FROM am_quant) AS all_rows, dead_rows FROM omenvec_index_stats('am_quant_idx') WHERE state = 'live';
SELECT wrong FROM am_quant_try('<=>', 'vector', 10);
SELECT * FROM omenvec_check('am_quant_idx');

-- A radius, a strict order, a scan to its end
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) = (SELECT count(*) FROM am_quant WHERE (v <=> am_quant_vector(-1)) + 0 < 0.1) AS within
FROM (SELECT id FROM am_quant WHERE v <=> am_quant_vector(-1) < 0.1 ORDER BY v <=> am_quant_vector(-1)) AS s;
SET omenhnsw.iterative_scan = strict_order;
SELECT count(*) > 1000 AS many, count(*) FILTER (WHERE d < before) AS disorder
FROM (SELECT d, lag(d) OVER () AS before
      FROM (SELECT v <=> am_quant_vector(-2) AS d FROM am_quant ORDER BY v <=> am_quant_vector(-2)) AS s) AS s;
RESET omenhnsw.iterative_scan;
SELECT count(*) - (SELECT count(*) FROM am_quant) AS missing, count(DISTINCT id) = count(*) AS once
FROM (SELECT * FROM am_quant ORDER BY v <=> am_quant_vector(-3)) AS s;

-- It is an option of the build: a change waits for REINDEX
ALTER INDEX am_quant_idx SET (quantization = none);
SELECT quantization FROM omenvec_index_stats('am_quant_idx') WHERE state = 'live';
INSERT INTO am_quant (id, v) VALUES (3000, am_quant_vector(3000));
SELECT id FROM am_quant ORDER BY v <=> am_quant_vector(3000) LIMIT 1;
REINDEX INDEX am_quant_idx;
SELECT quantization FROM omenvec_index_stats('am_quant_idx');
ALTER INDEX am_quant_idx RESET (quantization);
REINDEX INDEX CONCURRENTLY am_quant_idx;
SELECT quantization FROM omenvec_index_stats('am_quant_idx');
SELECT pg_get_indexdef('am_quant_idx'::regclass);
DROP TABLE am_quant;

-- Halves at their ends: vectors too large or too small for them are wide of their codes, and found in order all the same.
-- Halves of type halfvec are exact: one row is fetched beyond the last
CREATE TABLE am_quant (id integer, v vector(40), h halfvec(40)) WITH (autovacuum_enabled = off);
INSERT INTO am_quant
    SELECT i, am_quant_vector(i) * array_fill((10 ^ (i % 21 - 10))::real, ARRAY[40])::vector, am_quant_vector(i)
    FROM generate_series(1, 1000) AS i;
UPDATE am_quant_queries SET v = v * array_fill((10 ^ (id - 10))::real, ARRAY[40])::vector;
SET omenhnsw.ef_search = 2000;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_l2_ops) WITH (quantization = half);
SELECT wrong FROM am_quant_try('<->', 'vector', 10);
SELECT * FROM omenvec_check('am_quant_idx');
DROP INDEX am_quant_idx;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_ip_ops) WITH (quantization = half);
SELECT wrong FROM am_quant_try('<#>', 'vector', 10);
DROP INDEX am_quant_idx;
UPDATE am_quant_queries SET v = am_quant_vector(-id);
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (h halfvec_l2_ops) WITH (quantization = half);
SELECT wrong, beyond FROM am_quant_try('<->', 'halfvec', 10);
DROP INDEX am_quant_idx;

-- Zeros of both signs are one vector, as they are equal in SQL; zero vectors have no direction
TRUNCATE am_quant;
INSERT INTO am_quant SELECT i, array_fill((CASE i % 2 WHEN 0 THEN '-0' ELSE '0' END)::real, ARRAY[40])::vector FROM generate_series(1, 100) AS i;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_l2_ops) WITH (quantization = none);
SELECT vectors, rows FROM omenvec_index_stats('am_quant_idx');
DROP INDEX am_quant_idx;
CREATE INDEX am_quant_idx ON am_quant USING omenhnsw (v vector_cosine_ops) WITH (quantization = none);
SELECT vectors, rows FROM omenvec_index_stats('am_quant_idx');
SELECT count(*) FROM (SELECT id FROM am_quant ORDER BY v <=> am_quant_vector(1)) AS s;
DROP TABLE am_quant;
RESET omenhnsw.ef_search;

-- Records of as many pages as they come: in segments, in tails
CREATE TABLE am_quant (id integer, v vector(16000), h halfvec(16000)) WITH (autovacuum_enabled = off);
INSERT INTO am_quant SELECT i, x, x FROM (SELECT i, am_quant_vector(i, 16000) AS x FROM generate_series(1, 30) AS i) AS s;
CREATE INDEX am_quant_none ON am_quant USING omenhnsw (v vector_l2_ops) WITH (quantization = none);
CREATE INDEX am_quant_half ON am_quant USING omenhnsw (h halfvec_cosine_ops) WITH (quantization = half);
CREATE VIEW am_quant_orders AS
    SELECT (SELECT array_agg(id) FROM (SELECT id FROM am_quant ORDER BY v <-> q.v) AS s) =
           (SELECT array_agg(id) FROM (SELECT id FROM am_quant ORDER BY (v <-> q.v) + 0) AS s) AS floats,
           (SELECT array_agg(id) FROM (SELECT id FROM am_quant ORDER BY h <=> q.h) AS s) =
           (SELECT array_agg(id) FROM (SELECT id FROM am_quant ORDER BY (h <=> q.h) + 0) AS s) AS halves
    FROM am_quant AS q WHERE id = 5;
CREATE VIEW am_quant_problems AS SELECT * FROM omenvec_check('am_quant_none') UNION ALL SELECT * FROM omenvec_check('am_quant_half');
SELECT * FROM am_quant_orders;
SELECT quantization, codes_bytes / 8192 / vectors AS pages FROM omenvec_index_stats('am_quant_none')
UNION ALL SELECT quantization, codes_bytes / 8192 / vectors FROM omenvec_index_stats('am_quant_half');
INSERT INTO am_quant SELECT i, x, x FROM (SELECT i, am_quant_vector(i, 16000) AS x FROM generate_series(41, 60) AS i) AS s;
SELECT * FROM am_quant_orders;
SELECT * FROM am_quant_problems;
DELETE FROM am_quant WHERE id % 4 = 0;
VACUUM (INDEX_CLEANUP on) am_quant;
SELECT omenvec_optimize('am_quant_none', true), omenvec_optimize('am_quant_half', true);
SELECT * FROM am_quant_orders;
SELECT * FROM am_quant_problems;
DROP VIEW am_quant_orders, am_quant_problems;
DROP TABLE am_quant, am_quant_queries;
