--
-- omenhnsw: options quantization, bits and subvectors: sketches, by which searches find their way.
--
LOAD 'omenvec';
SET client_min_messages = warning;
SET jit = off;
SET max_parallel_workers_per_gather = 0;

-- Vectors around 40 places, none exact in 8 bits
CREATE FUNCTION am_sketches_vector(i integer) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(((hashint4(i % 40 * 64 + j) & 1023) / 100.0 + (hashint4(i * 64 + j) & 1023) / 300.0)::real ORDER BY j)::vector
    FROM generate_series(0, 39) AS j
$$;
CREATE TABLE am_sketches (id integer, v vector(40), h halfvec(40), b bit(40), s sparsevec(40)) WITH (autovacuum_enabled = off);
INSERT INTO am_sketches
    SELECT i, v, v, binary_quantize(v), v::sparsevec
    FROM (SELECT i, am_sketches_vector(i) AS v FROM generate_series(1, 3000) AS i) AS vectors;
CREATE TABLE am_sketches_queries AS SELECT i AS id, am_sketches_vector(4000 + i) AS v FROM generate_series(1, 40) AS i;

-- Where it is offered
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = ternary);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (b bit_hamming_ops) WITH (quantization = binary);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (s sparsevec_l2_ops) WITH (quantization = low_bit);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l1_ops) WITH (quantization = low_bit);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit, bits = 3);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit, bits = 8);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = product, bits = 2);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = binary, bits = 1);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (bits = 4);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit, subvectors = 8);
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = product, subvectors = 16001);
SET omenhnsw.oversampling = 101;
SET omenhnsw.oversampling = -1;

-- The queries' answers by index: how many of the ten nearest are found, and whether all come in the order of their distance.
CREATE FUNCTION am_sketches_try(kind text, operator text, OUT recall numeric, OUT ordered boolean) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT array_agg(near.d ORDER BY q.id, near.n), bool_and(near.d >= near.before) FROM am_sketches_queries AS q, LATERAL
        (SELECT d, n, coalesce(lag(d) OVER (ORDER BY n), d) AS before
         FROM (SELECT d, row_number() OVER () AS n
               FROM (SELECT %1$s %2$s q.v::%3$s(40) AS d FROM am_sketches ORDER BY %1$s %2$s q.v::%3$s(40) LIMIT 10) AS found) AS numbered) AS near',
        left(kind, 1), operator, kind);
    exact float8[];
    found float8[];
    n_found bigint;
BEGIN
    SET LOCAL enable_indexscan = off;
    EXECUTE query INTO exact, ordered;
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    EXECUTE query INTO found, ordered;
    SELECT sum(least((SELECT count(*) FROM unnest(found[i * 10 + 1 : i * 10 + 10]) AS d WHERE d <= exact[i * 10 + 10]), 10))
    INTO n_found FROM generate_series(0, 39) AS i;
    recall := n_found / 400.0;
END $$;

-- Every kind, metric and type
CREATE FUNCTION am_sketches_try_all() RETURNS TABLE (options text, opclass text, good boolean, ordered boolean, answer text) LANGUAGE plpgsql AS $$
DECLARE
    operator text;
    kind text;
    result record;
BEGIN
    FOR options, opclass, operator, kind IN
        SELECT o, format('%s_%s_ops', types.kind, metrics.name), metrics.operator, types.kind
        FROM unnest(ARRAY['quantization = low_bit', 'quantization = low_bit, bits = 2', 'quantization = low_bit, bits = 4',
                          'quantization = binary', 'quantization = product', 'quantization = product, bits = 4',
                          'quantization = product, subvectors = 40', 'quantization = product, bits = 4, subvectors = 7']) WITH ORDINALITY AS options (o, n),
             (VALUES ('vector'), ('halfvec')) AS types (kind),
             (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>')) AS metrics (name, operator)
        ORDER BY options.n, 2
    LOOP
        EXECUTE format('CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (%s %s) WITH (%s)', left(kind, 1), opclass, options);
        result := am_sketches_try(kind, operator);
        good := result.recall >= 0.95;
        ordered := result.ordered;
        answer := (SELECT string_agg(problem, '; ') FROM omenvec_check('am_sketches_idx'));
        RETURN NEXT;
        DROP INDEX am_sketches_idx;
    END LOOP;
END $$;
SELECT * FROM am_sketches_try_all();

-- What sketches take, and what more candidates find
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit);
CREATE VIEW am_sketches_state AS
    SELECT kind, quantization, sketches_bytes > 0 AS sketches, codes_bytes > 0 AS codes, predicted_recall > 0.9 AS measured
    FROM omenvec_index_stats('am_sketches_idx') WHERE state IN ('open', 'live') ORDER BY segment_id;
SELECT * FROM am_sketches_state;
SELECT quantization, vectors, bits_per_dimension, compared_bytes, saved_bytes, round(compression::numeric, 2) AS compression,
       mean_error < p99_error AS errors, recall > recall_unranked AS better, recall_unranked > 0.3 AS fair
FROM omenvec_quantization_stats('am_sketches_idx');
SET omenhnsw.ef_search = 10;
SET omenhnsw.oversampling = 1;
SELECT recall < 0.95 AS less FROM am_sketches_try('vector', '<->');
SET omenhnsw.oversampling = 10.5;
SELECT recall > 0.95 AS more FROM am_sketches_try('vector', '<->');
RESET omenhnsw.oversampling;
RESET omenhnsw.ef_search;

-- All rows, each once; what a filter leaves; a radius
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_sketches ORDER BY v <-> am_sketches_vector(1)) AS found;
SELECT count(*) FROM (SELECT id FROM am_sketches WHERE id % 100 = 7 ORDER BY v <-> am_sketches_vector(1) LIMIT 30) AS found;
SELECT count(*) >= 10 AS near FROM (SELECT id FROM am_sketches WHERE v <-> am_sketches_vector(1) < 8.5 ORDER BY v <-> am_sketches_vector(1)) AS found;
SET omenhnsw.iterative_scan = off;
SELECT count(*) BETWEEN 24 AND 2999 AS some FROM (SELECT id FROM am_sketches ORDER BY v <-> am_sketches_vector(1)) AS found;
SET omenhnsw.iterative_scan = strict_order;
SELECT count(*) > 100 AS many, bool_and(d >= before) AS ordered
FROM (SELECT d, lag(d, 1, 0) OVER () AS before
      FROM (SELECT v <-> am_sketches_vector(1) AS d FROM am_sketches ORDER BY v <-> am_sketches_vector(1)) AS found) AS pairs;
RESET omenhnsw.iterative_scan;
RESET enable_seqscan;
RESET enable_sort;

-- Its life: tail, seal, merge, other options; rows that die and come
INSERT INTO am_sketches (id, v) SELECT i, am_sketches_vector(i) FROM generate_series(3001, 3500) AS i;
INSERT INTO am_sketches (id) SELECT i FROM generate_series(3501, 3510) AS i;
SELECT * FROM am_sketches_state;
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
DELETE FROM am_sketches WHERE id % 10 = 3;
VACUUM am_sketches;
SELECT omenvec_optimize('am_sketches_idx');
SELECT * FROM am_sketches_state;
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
ALTER INDEX am_sketches_idx SET (quantization = low_bit, bits = 4);
SELECT DISTINCT quantization FROM am_sketches_state;
INSERT INTO am_sketches (id, v) SELECT i, am_sketches_vector(i) FROM generate_series(3511, 3520) AS i;
SELECT omenvec_optimize('am_sketches_idx');
SELECT * FROM am_sketches_state;
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
ALTER INDEX am_sketches_idx RESET (bits);
ALTER INDEX am_sketches_idx SET (quantization = scalar);
SELECT omenvec_optimize('am_sketches_idx');
SELECT * FROM am_sketches_state;
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
ALTER INDEX am_sketches_idx SET (bits = 2);
ALTER INDEX am_sketches_idx SET (quantization = low_bit, bits = 2);
SELECT omenvec_optimize('am_sketches_idx');
SELECT * FROM am_sketches_state;
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
SELECT * FROM omenvec_check('am_sketches_idx');
SELECT pg_get_indexdef('am_sketches_idx'::regclass);
DROP VIEW am_sketches_state;
DROP INDEX am_sketches_idx;

-- Nodes numbered by an attribute: sketches go with them
CREATE INDEX am_sketches_idx ON am_sketches USING omenhnsw (v vector_l2_ops, id) WITH (quantization = low_bit, group_by = 2);
SELECT * FROM omenvec_check('am_sketches_idx');
SELECT recall >= 0.95 AS good, ordered FROM am_sketches_try('vector', '<->');
DROP INDEX am_sketches_idx;

-- No rows, one row, equal rows, few dimensions and many
CREATE TABLE am_sketches_edge (id integer, v vector(1), w vector(2000)) WITH (autovacuum_enabled = off);
CREATE INDEX am_sketches_edge_v ON am_sketches_edge USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit);
CREATE INDEX am_sketches_edge_w ON am_sketches_edge USING omenhnsw (w vector_cosine_ops) WITH (quantization = low_bit, bits = 4);
INSERT INTO am_sketches_edge VALUES (1, '[1]', array_fill(1, ARRAY[2000])::vector);
SELECT omenvec_optimize('am_sketches_edge_v'), omenvec_optimize('am_sketches_edge_w');
INSERT INTO am_sketches_edge SELECT i, '[2]', array_fill(i % 3, ARRAY[2000])::vector FROM generate_series(2, 100) AS i;
INSERT INTO am_sketches_edge SELECT i, ARRAY[i]::vector, ARRAY(SELECT hashint4(i * 2000 + j) % 100 FROM generate_series(1, 2000) AS j)::vector
    FROM generate_series(101, 400) AS i;
INSERT INTO am_sketches_edge VALUES (401, '[1e38]', NULL);
SELECT omenvec_optimize('am_sketches_edge_v'), omenvec_optimize('am_sketches_edge_w');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT id FROM am_sketches_edge ORDER BY v <-> '[300.2]' LIMIT 3;
SELECT count(*) FROM (SELECT id FROM am_sketches_edge ORDER BY v <-> '[3e38]') AS found;
SELECT id FROM am_sketches_edge ORDER BY w <=> (SELECT w FROM am_sketches_edge WHERE id = 222) LIMIT 1;
SELECT * FROM omenvec_check('am_sketches_edge_v') UNION ALL SELECT * FROM omenvec_check('am_sketches_edge_w');
DROP TABLE am_sketches_edge;

-- What to choose
RESET enable_seqscan;
RESET enable_sort;
\set SHOW_CONTEXT never
SELECT options, recall BETWEEN 0.9 AND 1 AS good, compared_bytes, index_bytes > compared_bytes AS all_of_it, milliseconds > 0 AS timed
FROM omenvec_quantization_advice('am_sketches', 'v', sample => 1000);
SELECT count(*) FROM omenvec_quantization_advice('am_sketches', 'h', 'cosine', 200);
SHOW enable_seqscan;
SELECT * FROM omenvec_quantization_advice('am_sketches', 'w');
SELECT * FROM omenvec_quantization_advice('am_sketches', 's');
SELECT * FROM omenvec_quantization_advice('am_sketches', 'v', 'l1');
SELECT * FROM omenvec_quantization_advice('am_sketches', 'v', sample => 10);
CREATE INDEX am_sketches_bits ON am_sketches USING omenhnsw (b bit_hamming_ops);
SELECT * FROM omenvec_quantization_stats('am_sketches_bits');
DROP TABLE am_sketches, am_sketches_queries;
