--
-- omenhnsw over halfvec, bit and sparsevec, and the settings of a scan.  Each
-- answer is compared with the exact one, by distance: ties may come in any order.
--
LOAD 'omenvec';
SET jit = off;

CREATE TABLE am_halfs (id integer PRIMARY KEY, v halfvec(5)) WITH (autovacuum_enabled = off);
CREATE TABLE am_bits (id integer PRIMARY KEY, v bit(70)) WITH (autovacuum_enabled = off);
CREATE TABLE am_sparse (id integer PRIMARY KEY, v sparsevec(1000000000)) WITH (autovacuum_enabled = off);

-- Row number i of each; rows repeat from 400 on, so that there are ties.
CREATE FUNCTION am_half(i integer) RETURNS halfvec LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY[sin(i % 400), cos(i % 400 * 1.3), sin(i % 400 * 0.7), cos(i % 400 * 2.1), i % 7 - 3]::real[]::halfvec
$$;
CREATE FUNCTION am_bit(i integer) RETURNS bit LANGUAGE sql IMMUTABLE AS $$
    SELECT (hashint8extended(i % 400, 1)::bit(64) & hashint8extended(i % 5, 2)::bit(64)) || (i % 64)::bit(6)
$$;
CREATE FUNCTION am_sparse_vector(i integer) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
    SELECT ('{' || string_agg(DISTINCT place || ':' || place % 11 - 5.5, ',') || '}/1000000000')::sparsevec
    FROM generate_series(0, i % 9) AS j,
        LATERAL (SELECT CASE WHEN j < 2 THEN 1000000000 - (i + j) % 6
                        ELSE 1 + (hashint8extended(i % 400 * 16 + j, 3) & 255) * 1001 END) AS p (place)
$$;

-- NULLs, and vectors without a direction, among the others
CREATE PROCEDURE am_types_insert(first integer, last integer) LANGUAGE sql AS $$
    INSERT INTO am_halfs SELECT i, CASE i % 100 WHEN 17 THEN NULL WHEN 18 THEN '[0,0,0,0,0]' ELSE am_half(i) END
    FROM generate_series(first, last) AS i;
    INSERT INTO am_bits SELECT i, CASE i % 100 WHEN 17 THEN NULL WHEN 18 THEN 0::bit(70) ELSE am_bit(i) END
    FROM generate_series(first, last) AS i;
    INSERT INTO am_sparse SELECT i, CASE i % 100 WHEN 17 THEN NULL WHEN 18 THEN '{}/1000000000' ELSE am_sparse_vector(i) END
    FROM generate_series(first, last) AS i;
$$;

-- The distances of a query's answer as the index gives it, or the sort
CREATE FUNCTION am_distances(relation text, operator text, query text, n text, by_index boolean)
RETURNS double precision[] LANGUAGE plpgsql AS $$
DECLARE
    statement text := format('SELECT v %1$s %2$s AS d, id FROM %3$s ORDER BY v %1$s %2$s LIMIT %4$s', operator, query, relation, n);
    plan text := '';
    line text;
    answer double precision[];
    n_rows bigint;
    n_ids bigint;
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true);
    PERFORM set_config('enable_seqscan', (NOT by_index)::text, true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || statement LOOP
        plan := plan || line;
    END LOOP;
    IF (plan LIKE '%Index Scan%') <> by_index THEN
        RAISE EXCEPTION 'unexpected plan: %', plan;
    END IF;
    EXECUTE format('SELECT array_agg(d), count(*), count(DISTINCT id) FROM (%s) AS s', statement) INTO answer, n_rows, n_ids;
    IF n_rows <> n_ids THEN
        RAISE EXCEPTION 'a row came twice: %', statement;
    END IF;
    RETURN answer;
END $$;

CREATE TABLE am_queries (relation text, operators text[], query text);
INSERT INTO am_queries VALUES
    ('am_halfs', '{<->,<#>,<=>,<+>}', '''[0.1,-0.2,0.3,0.4,1]'''),
    ('am_halfs', '{<->,<#>,<=>,<+>}', 'am_half(123)'),
    ('am_halfs', '{<->,<#>,<+>}', '''[0,0,0,0,0]'''),
    ('am_halfs', '{<->,<=>,<+>}', '''[60000,0,0,6e-8,-60000]'''),
    ('am_bits', '{<~>,<%>}', 'am_bit(123)'),
    ('am_bits', '{<~>,<%>}', '(am_bit(7) # B''1''::bit(70))'),
    ('am_bits', '{<~>,<%>}', '0::bit(70)'),
    ('am_bits', '{<~>,<%>}', '(~ 0::bit(70))'),
    ('am_sparse', '{<->,<#>,<=>,<+>}', 'am_sparse_vector(123)'),
    ('am_sparse', '{<->,<#>,<=>,<+>}', '''{1000000000:2,999999999:-1,1:3,1002:0.25}/1000000000'''),
    ('am_sparse', '{<->,<#>,<=>,<+>}', '''{5:1e-3}/1000000000'''),
    ('am_sparse', '{<->,<#>,<+>}', '''{}/1000000000''');

-- A row for each operator class; all of its numbers agree if it is right.
CREATE VIEW am_verdict AS
SELECT q.relation, o.operator, count(*) AS answers,
    count(*) FILTER (WHERE am_distances(q.relation, o.operator, q.query, n.n, true)
                     IS NOT DISTINCT FROM am_distances(q.relation, o.operator, q.query, n.n, false)) AS right,
    min(cardinality(am_distances(q.relation, o.operator, q.query, 'ALL', true))) AS rows
FROM am_queries AS q, unnest(q.operators) AS o (operator), unnest(ARRAY['1', '10', '200', '100000', 'ALL']) AS n (n)
GROUP BY q.relation, o.operator;
CREATE VIEW am_contents AS
SELECT am.relname AS index,
    (SELECT string_agg(kind || ' ' || state || ' ' || rows || ' ' || dead_rows, ', ' ORDER BY segment_id)
     FROM omenvec_index_stats(am.oid) WHERE state <> 'retired') AS contents,
    (SELECT string_agg(problem, ', ') FROM omenvec_check(am.oid)) AS problems
FROM pg_class AS am WHERE am.relname ~ '^am_(halfs|bits|sparse)_(l2|ip|cosine|l1|hamming|jaccard)$';

-- Built over rows
CALL am_types_insert(1, 600);
CREATE INDEX am_halfs_l2 ON am_halfs USING omenhnsw (v halfvec_l2_ops);
CREATE INDEX am_halfs_ip ON am_halfs USING omenhnsw (v halfvec_ip_ops);
CREATE INDEX am_halfs_cosine ON am_halfs USING omenhnsw (v halfvec_cosine_ops);
CREATE INDEX am_halfs_l1 ON am_halfs USING omenhnsw (v halfvec_l1_ops);
CREATE INDEX am_bits_hamming ON am_bits USING omenhnsw (v bit_hamming_ops);
CREATE INDEX am_bits_jaccard ON am_bits USING omenhnsw (v bit_jaccard_ops);
CREATE INDEX am_sparse_l2 ON am_sparse USING omenhnsw (v sparsevec_l2_ops);
CREATE INDEX am_sparse_ip ON am_sparse USING omenhnsw (v sparsevec_ip_ops);
CREATE INDEX am_sparse_cosine ON am_sparse USING omenhnsw (v sparsevec_cosine_ops);
CREATE INDEX am_sparse_l1 ON am_sparse USING omenhnsw (v sparsevec_l1_ops);
-- so wide a beam that the answers are exact
SET omenhnsw.ef_search = 2000;
SELECT * FROM am_verdict ORDER BY 1, 2;
SELECT * FROM am_contents ORDER BY 1;

-- At the default width the answers are full all the same, and near ones are found
RESET omenhnsw.ef_search;
SELECT relation, operator, bool_and(cardinality(am_distances(relation, operator, query, 'ALL', true)) = 600) AS complete,
    bool_and(am_distances(relation, operator, query, '5', true) = am_distances(relation, operator, query, '5', false)) AS right
FROM am_queries, unnest(operators) AS operator WHERE query !~ '^(0|[(]~|''{}|''\[0,)' GROUP BY 1, 2 ORDER BY 1, 2;
SET omenhnsw.ef_search = 2000;

-- Rows that come later: in the tail, then sealed, then in one segment with the others
CALL am_types_insert(601, 800);
SELECT * FROM am_verdict ORDER BY 1, 2;
SELECT * FROM am_contents ORDER BY 1;
SELECT count(omenvec_optimize(index::regclass) IS NULL) FROM am_contents;
SELECT * FROM am_verdict ORDER BY 1, 2;
SELECT * FROM am_contents ORDER BY 1;
SELECT count(omenvec_optimize(index::regclass, "full" => true) IS NULL) FROM am_contents;
SELECT * FROM am_verdict ORDER BY 1, 2;

-- Rows that go, seen at once and after VACUUM
DELETE FROM am_halfs WHERE id % 3 = 0;
DELETE FROM am_bits WHERE id % 3 = 0;
DELETE FROM am_sparse WHERE id % 3 = 0;
SELECT * FROM am_verdict ORDER BY 1, 2;
VACUUM am_halfs, am_bits, am_sparse;
SELECT * FROM am_verdict ORDER BY 1, 2;
SELECT index, problems FROM am_contents ORDER BY 1;
CALL am_types_insert(1001, 1050);
SELECT * FROM am_verdict ORDER BY 1, 2;

-- Under cosine, vectors without a direction come after all others and before NULL
SET enable_seqscan = off;
SELECT d, count(*), min(place) AS first, max(place) AS last
FROM (SELECT d, row_number() OVER () AS place
      FROM (SELECT v <=> '[0.1,-0.2,0.3,0.4,1]' AS d FROM am_halfs ORDER BY v <=> '[0.1,-0.2,0.3,0.4,1]') AS s) AS t
WHERE d = 'NaN' OR d IS NULL GROUP BY d ORDER BY d;
SELECT d, count(*), min(place) AS first, max(place) AS last
FROM (SELECT d, row_number() OVER () AS place
      FROM (SELECT v <=> '{5:1}/1000000000' AS d FROM am_sparse ORDER BY v <=> '{5:1}/1000000000') AS s) AS t
WHERE d = 'NaN' OR d IS NULL GROUP BY d ORDER BY d;
-- and a query without one, or none at all, yields all rows
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_halfs ORDER BY v <=> '[0,0,0,0,0]' LIMIT 2000) AS s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_sparse ORDER BY v <=> '{}/1000000000' LIMIT 2000) AS s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_bits ORDER BY v <~> (SELECT NULL::bit(70)) LIMIT 2000) AS s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_halfs ORDER BY v <+> (SELECT NULL::halfvec) LIMIT 2000) AS s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM am_sparse ORDER BY v <#> (SELECT NULL::sparsevec) LIMIT 2000) AS s;

-- Queries of another size
SELECT id FROM am_halfs ORDER BY v <-> '[1,2,3]' LIMIT 1;
SELECT id FROM am_halfs ORDER BY v <=> '[1,2,3,4,5,6]' LIMIT 1;
SELECT id FROM am_bits ORDER BY v <~> B'101' LIMIT 1;
SELECT id FROM am_bits ORDER BY v <%> 0::bit(71) LIMIT 1;
SELECT id FROM am_sparse ORDER BY v <-> '{1:1}/5' LIMIT 1;
SELECT id FROM am_sparse ORDER BY v <=> '{1:1}/999999999' LIMIT 1;
RESET enable_seqscan;

-- Columns that cannot be indexed, for want of a size or for too large a one
CREATE TABLE am_sizes (h halfvec, s sparsevec, b bit(64001), c bit varying, v vector(9));
CREATE INDEX ON am_sizes USING omenhnsw (h halfvec_l2_ops);
CREATE INDEX ON am_sizes USING omenhnsw (s sparsevec_l2_ops);
CREATE INDEX ON am_sizes USING omenhnsw (b bit_hamming_ops);
CREATE INDEX ON am_sizes USING omenhnsw (c bit_hamming_ops);
CREATE INDEX ON am_sizes USING omenhnsw (binary_quantize(v) bit_hamming_ops);
CREATE INDEX ON am_sizes USING omenhnsw (h sparsevec_l2_ops);
CREATE INDEX ON am_sizes USING omenhnsw (b bit_l2_ops);
-- bit varying passes for bit, as long as its values have the length of the column
ALTER TABLE am_sizes ALTER c TYPE bit varying(9);
CREATE INDEX ON am_sizes USING omenhnsw (c bit_hamming_ops);
INSERT INTO am_sizes (c) VALUES ('101');
INSERT INTO am_sizes (c) VALUES ('101010101');
DELETE FROM am_sizes;
-- the largest that can
ALTER TABLE am_sizes ALTER b TYPE bit(64000), ALTER h TYPE halfvec(16000);
INSERT INTO am_sizes (b, h) SELECT i::bit(64000), array_fill(i, ARRAY[16000])::halfvec FROM generate_series(1, 5) AS i;
CREATE INDEX ON am_sizes USING omenhnsw (b bit_hamming_ops);
CREATE INDEX ON am_sizes USING omenhnsw (h halfvec_l1_ops);
INSERT INTO am_sizes (b, h) VALUES (7::bit(64000), array_fill(7, ARRAY[16000])::halfvec);
SET enable_seqscan = off;
SELECT b <~> 7::bit(64000) AS d FROM am_sizes ORDER BY b <~> 7::bit(64000);
SELECT h <+> array_fill(3, ARRAY[16000])::halfvec AS d FROM am_sizes ORDER BY h <+> array_fill(3, ARRAY[16000])::halfvec;
RESET enable_seqscan;
-- a sparse vector of as many elements as there may be
CREATE TABLE am_widest (v sparsevec(16000));
INSERT INTO am_widest SELECT array_fill(i, ARRAY[16000])::vector FROM generate_series(1, 3) AS i;
CREATE INDEX am_widest_v ON am_widest USING omenhnsw (v sparsevec_l1_ops);
INSERT INTO am_widest SELECT array_fill(i, ARRAY[16000])::vector FROM generate_series(4, 5) AS i;
SET enable_seqscan = off;
SELECT v <+> '{1:1}/16000' AS d FROM am_widest ORDER BY v <+> '{1:1}/16000';
SELECT * FROM omenvec_check('am_widest_v');
RESET enable_seqscan;
DROP TABLE am_sizes, am_widest;

-- binary_quantize in an index
CREATE TABLE am_quantized (id integer, v vector(20));
INSERT INTO am_quantized SELECT i, array_agg(sin(i * j) ORDER BY j)::real[]::vector FROM generate_series(1, 300) AS i, generate_series(1, 20) AS j GROUP BY i;
CREATE INDEX am_quantized_idx ON am_quantized USING omenhnsw ((binary_quantize(v)::bit(20)) bit_hamming_ops);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT q.id, n.id FROM am_quantized AS q,
    LATERAL (SELECT i.id FROM am_quantized AS i ORDER BY binary_quantize(i.v)::bit(20) <~> binary_quantize(q.v) LIMIT 1) AS n;
SELECT count(*), max(n.d) AS farthest FROM am_quantized AS q,
    LATERAL (SELECT binary_quantize(i.v)::bit(20) <~> binary_quantize(q.v) AS d FROM am_quantized AS i
             ORDER BY binary_quantize(i.v)::bit(20) <~> binary_quantize(q.v) LIMIT 1) AS n;
RESET enable_seqscan;
DROP TABLE am_quantized;

--
-- Settings of a scan
--
RESET omenhnsw.ef_search;
SELECT name, vartype, boot_val, min_val, max_val, enumvals, context FROM pg_settings WHERE name LIKE 'omenhnsw.%' ORDER BY name;
SET omenhnsw.ef_search = -1;
SET omenhnsw.ef_search = 100001;
SET omenhnsw.ef_search = 1;
SET omenhnsw.ef_search = 100000;
SET omenhnsw.iterative_scan = on;
SET omenhnsw.max_scan_tuples = -2;
SET omenhnsw.max_scan_tuples = 2147483648;
SET omenhnsw.scan_mem_multiplier = 0.5;
SET omenhnsw.scan_mem_multiplier = 1001;
SET omenhnsw.scan_mem_multiplier = 2.5;

-- One sealed segment; with so few links that searches find rows late
CREATE TABLE am_scan (id integer PRIMARY KEY, v halfvec(8)) WITH (autovacuum_enabled = off);
INSERT INTO am_scan
SELECT i, ARRAY[sin(i), sin(i * 1.1), sin(i * 1.2), sin(i * 1.3), cos(i * 1.7), cos(i * 1.9), cos(i * 2.3), cos(i * 3.1)]::real[]::halfvec
FROM generate_series(1, 3000) AS i;
CREATE INDEX am_scan_v ON am_scan USING omenhnsw (v halfvec_l2_ops) WITH (m = 2, ef_construction = 4);
SET enable_seqscan = off;

-- How many rows leave a scan, and how many of them after one that is farther
CREATE FUNCTION am_stream(mode text, ef integer, max_tuples integer, n text, filter text DEFAULT 'true')
RETURNS TABLE (rows bigint, ids bigint, late bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('omenhnsw.iterative_scan', mode, false), set_config('omenhnsw.ef_search', ef::text, false),
        set_config('omenhnsw.max_scan_tuples', max_tuples::text, false);
    RETURN QUERY EXECUTE format($sql$
        SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE d < before)
        FROM (SELECT id, d, max(d) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
              FROM (SELECT id, v <-> '[0,0,0,0,1,1,1,1]' AS d FROM am_scan WHERE %s
                    ORDER BY v <-> '[0,0,0,0,1,1,1,1]' LIMIT %s) AS s) AS t $sql$, filter, n);
END $$;
SELECT ef, mode, rows = ef AS only_ef, rows = 3000 AS all_rows, rows = ids AS once, late = 0 AS in_order
FROM unnest(ARRAY['off', 'strict_order', 'relaxed_order']) WITH ORDINALITY AS m (mode, place), unnest(ARRAY[1, 5, 40, 200]) AS ef,
    am_stream(mode, ef, -1, 'ALL')
ORDER BY place, ef;
-- strict order leaves out what comes too late, and little else
SELECT rows BETWEEN 2500 AND 3000 AS most FROM am_stream('strict_order', 40, -1, 'ALL');
-- a filter: off finds what there is among the first, the others go on
SELECT mode, rows FROM unnest(ARRAY['off', 'strict_order', 'relaxed_order']) WITH ORDINALITY AS m (mode, place),
    am_stream(mode, 40, -1, '20', 'id % 100 = 7')
ORDER BY place;
-- the limit counts rows before the filter
SELECT n, rows, ids FROM unnest(ARRAY[0, 1, 100, 2999, 2147483647]) AS n, am_stream('relaxed_order', 40, n, 'ALL');
SELECT rows < 20 AS fewer FROM am_stream('relaxed_order', 40, 500, '20', 'id % 100 = 7');
RESET omenhnsw.iterative_scan;
RESET omenhnsw.ef_search;
RESET omenhnsw.max_scan_tuples;
RESET omenhnsw.scan_mem_multiplier;
RESET enable_seqscan;

DROP TABLE am_scan, am_halfs, am_bits, am_sparse, am_queries CASCADE;
DROP VIEW am_contents;
DROP PROCEDURE am_types_insert;
DROP FUNCTION am_stream, am_distances, am_half, am_bit, am_sparse_vector;
