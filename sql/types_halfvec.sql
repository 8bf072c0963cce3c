--
-- Type halfvec: text and binary forms, casts, functions, operators, aggregates.
-- What vector has too is tested at more length in types_vector.
--

-- The result of an expression, or SQLSTATE, message, detail and hint.
CREATE FUNCTION pg_temp.try(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    state text;
    message text;
    detail text;
    hint text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN result;
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', state || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;

CREATE FUNCTION pg_temp.try_all(VARIADIC expressions text[])
RETURNS TABLE (expression text, result text) LANGUAGE sql AS $$
    SELECT e, pg_temp.try(e) FROM unnest(expressions) WITH ORDINALITY AS x (e, n) ORDER BY n
$$;

\pset format unaligned
\pset fieldsep '  ->  '
\pset footer off

-- text form
SELECT t AS text, pg_temp.try(format('%L::halfvec', t)) AS result
FROM unnest(ARRAY[
    '[1,2,3]', '[-1.5,+2,.5,5.]', E' [ 1 ,\t2\n,\r3\x0b\f] ', '[0,-0]', '[0.1,3.14159265,1e-7,-1e-8]',
    '[65504,65519.99,-65519]', '[65520]', '[-65520]', '[1e39]', '[6e-8,2.9e-8,3e-8,1e-50]', '[2049,2051,1.00048828125]',
    '', '[', '[]', '[1,', '[1,]', '[1', '[1]2', '1,2', '[a]', '[1 2]', '[nan]', '[inf]', '[-Infinity]']) AS t;

-- every half is written so that it reads back as itself
SELECT count(*) AS n, count(*) FILTER (WHERE halfvec_send(h::text::halfvec) <> halfvec_send(h)) AS wrong
FROM (SELECT ((CASE WHEN e = 0 THEN f ELSE 1024 + f END) * 2.0 ^ (greatest(e, 1) - 25) * s)::text AS t
      FROM generate_series(0, 30) AS e, generate_series(0, 1023) AS f, (VALUES (1), (-1)) AS x (s)) AS a,
    LATERAL (SELECT ('[' || t || ']')::halfvec AS h) AS b;

-- limits and type modifier
SELECT * FROM pg_temp.try_all(
    'vector_dims(array_fill(1, ARRAY[16000])::halfvec)', 'array_fill(1, ARRAY[16001])::halfvec',
    $$('[' || repeat('1,', 16000) || '1]')::halfvec$$,
    $$'[1,2,3]'::halfvec(3)$$, $$'[1,2,3]'::halfvec(2)$$, $$'[1,2,3]'::halfvec::halfvec(4)$$,
    $$'[1]'::halfvec(0)$$, $$'[1]'::halfvec(16001)$$, $$'[1]'::halfvec(1, 2)$$,
    $$'{"[1,2]","[3,4]"}'::halfvec(2)[]$$);

-- casts
SELECT * FROM pg_temp.try_all(
    'ARRAY[1,-2,3]::halfvec', 'ARRAY[1.5,0.1]::real[]::halfvec', 'ARRAY[1.5,0.1]::float8[]::halfvec',
    'ARRAY[1.5,0.1]::numeric[]::halfvec', 'ARRAY[1,2]::halfvec(3)', $$'{}'::int[]::halfvec$$,
    $$'{{1,2},{3,4}}'::int[]::halfvec$$, 'ARRAY[1,NULL]::halfvec', $$'{NaN}'::real[]::halfvec$$,
    $$'{Infinity}'::real[]::halfvec$$, 'ARRAY[65519,-65519]::halfvec', 'ARRAY[1,65520]::halfvec',
    'ARRAY[1,2,3,4,5,6,7,8,-65536]::halfvec', $$'{1e39}'::float8[]::halfvec$$,
    $$'[1,2.5,-3]'::halfvec::real[]$$, $$'[0.1,2]'::halfvec::vector$$, $$'[1,2]'::halfvec::vector(3)$$,
    $$'[0.1,2]'::vector::halfvec$$, $$'[1,2]'::vector::halfvec(3)$$, $$'[65520]'::vector::halfvec$$);
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE 'halfvec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text, casttarget::regtype::text;

-- distances
SELECT * FROM pg_temp.try_all(
    $$l2_distance('[0,0]'::halfvec, '[3,4]')$$, $$'[0,0]'::halfvec <-> '[3,4]'$$,
    $$'[65504]'::halfvec <-> '[-65504]'$$, $$'[1,2]'::halfvec <-> '[3]'$$,
    $$halfvec_l2_squared_distance('[0,0]', '[3,4]')$$,
    $$inner_product('[1,2]'::halfvec, '[3,4]')$$, $$'[1,2]'::halfvec <#> '[3,4]'$$,
    $$halfvec_negative_inner_product('[65504]', '[65504]')$$, $$'[1,2]'::halfvec <#> '[3]'$$,
    $$cosine_distance('[1,2]'::halfvec, '[2,4]')$$, $$'[1,0]'::halfvec <=> '[0,2]'$$,
    $$'[1,1]'::halfvec <=> '[-1,-1]'$$, $$'[1,2]'::halfvec <=> '[0,0]'$$, $$'[1,2]'::halfvec <=> '[3]'$$,
    $$l1_distance('[0,0]'::halfvec, '[3,4]')$$, $$'[1,2]'::halfvec <+> '[-1,5]'$$, $$'[1,2]'::halfvec <+> '[3]'$$,
    $$halfvec_spherical_distance('[1,0]', '[0,1]')$$, $$halfvec_spherical_distance('[1,1]', '[2,2]')$$);

-- every length that a kernel may treat apart; these elements are exact as halves
CREATE TEMP VIEW lengths AS
SELECT count(*) AS n,
    count(*) FILTER (WHERE abs((a <-> b) - sqrt(d2)) > 1e-4 * sqrt(d2)) AS l2,
    count(*) FILTER (WHERE abs((a <#> b) + ip) > 1e-4 * abs_ip) AS ip,
    count(*) FILTER (WHERE abs((a <+> b) - d1) > 1e-4 * d1) AS l1,
    count(*) FILTER (WHERE abs((a <=> b) - (1 - ip / sqrt(aa * bb))) > 1e-4) AS cosine
FROM (SELECT n, array_agg(x)::halfvec AS a, array_agg(y)::halfvec AS b,
          sum((x - y) ^ 2) AS d2, sum(x * y) AS ip, sum(abs(x * y)) AS abs_ip,
          sum(abs(x - y)) AS d1, sum(x * x) AS aa, sum(y * y) AS bb
      FROM (SELECT n, (i * 37 % 101 - 50) / 8.0::float8 AS x, (i * 53 % 97 - 40) / 4.0::float8 AS y
            FROM generate_series(1, 140) AS n, generate_series(1, n) AS i) AS e
      GROUP BY n) AS v;
SELECT * FROM lengths;
SET omenvec.simd = scalar;
SELECT * FROM lengths;
RESET omenvec.simd;

-- one vector
SELECT * FROM pg_temp.try_all(
    $$vector_dims('[1,2,3]'::halfvec)$$, $$l2_norm('[3,4]'::halfvec)$$, $$l2_norm('[65504,0]'::halfvec)$$,
    $$l2_normalize('[3,4]'::halfvec)$$, $$l2_normalize('[0,0]'::halfvec)$$, $$l2_normalize('[65504]'::halfvec)$$,
    $$binary_quantize('[1,0,-1,-0,6e-8,2,3,-1,1]'::halfvec)$$,
    $$subvector('[1,2,3,4,5]'::halfvec, 2, 3)$$, $$subvector('[1,2,3,4,5]'::halfvec, -1, 3)$$,
    $$subvector('[1,2,3,4,5]'::halfvec, 6, 1)$$);

-- arithmetic
SELECT * FROM pg_temp.try_all(
    $$'[1,2,3]'::halfvec + '[4,5,6]'$$, $$'[65504]'::halfvec + '[65504]'$$, $$'[1,2]'::halfvec + '[3]'$$,
    $$'[2048]'::halfvec + '[1]'$$, $$'[1,2,3]'::halfvec - '[4,5,6]'$$, $$'[-65504]'::halfvec - '[65504]'$$,
    $$'[1,2]'::halfvec - '[3]'$$, $$'[1,2,3]'::halfvec * '[4,5,-6]'$$, $$'[65504]'::halfvec * '[2]'$$,
    $$'[1e-7]'::halfvec * '[1e-7]'$$, $$'[0]'::halfvec * '[1e-7]'$$, $$'[1,2]'::halfvec * '[3]'$$,
    $$'[1,2,3]'::halfvec || '[4,5]'$$, $$array_fill(0, ARRAY[16000])::halfvec || '[1]'$$);

-- comparison
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
    halfvec_cmp(a, b), halfvec_hash(a) = halfvec_hash(b) AS hash
FROM (VALUES ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2,3]', '[1,2,4]'), ('[1,2]', '[1,2,3]'),
    ('[-2]', '[-1,2,3]'), ('[0]', '[-0]')) AS p (a, b);

-- aggregates
SELECT * FROM pg_temp.try_all(
    $$SELECT avg(v) FROM unnest(ARRAY['[1,2,3]'::halfvec, '[3,5,7]', NULL]) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY[]::halfvec[]) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY['[1,2]'::halfvec, '[3]']) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[1,2,3]'::halfvec, '[3,5,7]', NULL]) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY[]::halfvec[]) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[1,2]'::halfvec, '[3]']) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v$$,
    $$halfvec_accum('{0}', '[1,2,3]')$$, $$halfvec_accum('{0,0}', '[1,2,3]')$$, $$halfvec_combine('{1,2}', '{3,4}')$$,
    $$halfvec_avg('{2,2,4,6}')$$, $$halfvec_avg('{0}')$$, $$halfvec_avg('{1,65520}')$$);
CREATE TABLE many (id int, v halfvec(3));
INSERT INTO many SELECT i, ARRAY[i % 7, i % 11, -(i % 13)]::halfvec FROM generate_series(1, 5000) AS i;
ANALYZE many;
-- sums of so few rows are exact, in whatever order they are added
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FILTER (WHERE id <= 300) FROM many;
CREATE TEMP TABLE parallel AS SELECT avg(v), sum(v) FILTER (WHERE id <= 300) FROM many;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT (SELECT avg(v) FROM many) = avg AS avg, (SELECT sum(v) FROM many WHERE id <= 300) = sum AS sum FROM parallel;
COMMIT;

-- core access methods
CREATE INDEX many_btree ON many (v);
CREATE INDEX many_hash ON many USING hash (v);
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v < '[0,1]';
SELECT count(*) FROM many WHERE v < '[0,1]';
DROP INDEX many_btree;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v = '[-0,0,-0]';
SELECT count(*) FROM many WHERE v = '[-0,0,-0]';
COMMIT;

-- stored out of line, and as a short varlena
CREATE TABLE stored (id int, v halfvec);
INSERT INTO stored VALUES (1, '[1,2,3]'), (2, (SELECT array_agg(i % 100)::halfvec FROM generate_series(1, 9000) AS i));
INSERT INTO stored SELECT 3, v FROM stored WHERE id = 2;
SELECT a.id, b.id, a.v <-> b.v AS distance, a.v = b.v AS equal, vector_dims(a.v + b.v) AS dims
FROM stored a JOIN stored b ON vector_dims(a.v) = vector_dims(b.v) ORDER BY 1, 2;

-- binary form
SELECT halfvec_send('[1,-2.5,0]');
CREATE TABLE received (v halfvec(2));
CREATE TEMP TABLE files (file oid);
-- a file for COPY with one field, as a large object that psql can write out
CREATE FUNCTION pg_temp.copy_file(field bytea) RETURNS oid LANGUAGE sql AS $$
    INSERT INTO files
    SELECT lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000' || '\x0001'::bytea
        || int4send(length(field)) || field || '\xffff'::bytea)
    RETURNING file
$$;

-- right
SELECT pg_temp.copy_file('\x000200003c00c100') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- no elements
SELECT pg_temp.copy_file('\x00000000') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- too many dimensions
SELECT pg_temp.copy_file('\xffff0000') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- other dimensions than the column's
SELECT pg_temp.copy_file('\x000100003c00') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- reserved field in use
SELECT pg_temp.copy_file('\x000200013c003c00') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- truncated in the header
SELECT pg_temp.copy_file('\x0002') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- truncated in the elements
SELECT pg_temp.copy_file('\x000200003c003c') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- too long
SELECT pg_temp.copy_file('\x000200003c003c0000') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- NaN
SELECT pg_temp.copy_file('\x000200003c007e00') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
-- infinity
SELECT pg_temp.copy_file('\x000200003c00fc00') AS file \gset
\lo_export :file results/types_halfvec.bin
\copy received FROM 'results/types_halfvec.bin' (FORMAT binary)
SELECT v FROM received;

-- a round trip
\copy (SELECT v FROM stored ORDER BY id) TO 'results/types_halfvec.bin' (FORMAT binary)
CREATE TABLE returned (n serial, v halfvec);
\copy returned (v) FROM 'results/types_halfvec.bin' (FORMAT binary)
SELECT count(*) FROM returned JOIN stored ON n = id AND returned.v = stored.v;

SELECT count(lo_unlink(file)) FROM files;
DROP TABLE many, stored, received, returned;
