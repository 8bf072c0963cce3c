--
-- Type vector: text and binary forms, casts, functions, operators, aggregates,
-- and what core access methods do with it.
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
SELECT t AS text, pg_temp.try(format('%L::vector', t)) AS result
FROM unnest(ARRAY[
    '[1,2,3]', '[-1.5,+2,.5,5.]', E' [ 1 ,\t2\n,\r3\x0b\f] ',
    '[0,-0,00.0,-0e5]', '[1e3,1E-3,1.5e+38,-1.5e-38]', '[0x10,0x1p-3]',
    '[1.4e-45,1.1754944e-38,3.4028235e38]', '[1e-46,-1e-400]',
    '[16777217,16777219,0.1,123456789012345678901234567890]',
    '[0.000000000000000000000000000000000000000000000000000000000000000000001e69]',
    '[1.00000005960464477539,1.000000059604644775390625,1.00000005960464477540]',
    '', '[', '[ ', '[]', '[ ]', '[,', '[,]', '[1,]', '[1,,2]', '[1, ,2]', '[1', '[1,2', '[1 2]',
    '[1]2', '[1] ]', '1,2', '{1,2}', '[a]', '[1a]', '[1e]', '[1e+]', '[.]', '[-]', '[--1]', '[0x]',
    '[nan]', '[NaN,1]', '[inf]', '[-Infinity]', '[1e39]', '[-4e38]', '[1e99999999999]']) AS t;

-- what is written reads back as the same
SELECT count(*) AS n, count(*) FILTER (WHERE v::text::vector::real[] <> r) AS wrong
FROM (SELECT r, r::vector AS v
      FROM (SELECT array_agg((CASE WHEN i % 2 = 0 THEN -1 ELSE 1 END * (1 + (i * 7919 % 1000003) / 1e6)
                              * 10.0 ^ (i % 76 - 38))::real ORDER BY i) AS r
            FROM generate_series(1, 20000) AS i GROUP BY i % 50) AS a) AS b;

-- what is read is the nearest number
SELECT count(*) AS n, count(*) FILTER (WHERE v[1] <> t::real) AS wrong
FROM (SELECT t, ('[' || t || ']')::vector::real[] AS v
      FROM (SELECT (i::numeric * 104729 * i / 10.0 ^ (i % 53))::text AS t
            FROM generate_series(1, 20000) AS i) AS a
      WHERE abs(t::numeric) BETWEEN 1e-30 AND 1e38) AS b;

-- limits
SELECT * FROM pg_temp.try_all(
    'vector_dims(array_fill(1, ARRAY[16000])::vector)',
    'vector_dims(array_fill(1, ARRAY[16000])::vector::text::vector)',
    'array_fill(1, ARRAY[16001])::vector',
    $$('[' || repeat('1,', 16000) || '1]')::vector$$);

-- type modifier
SELECT * FROM pg_temp.try_all(
    $$'[1,2,3]'::vector(3)$$, $$'[1,2,3]'::vector(2)$$, $$'[1,2,3]'::vector::vector(4)$$,
    $$'[1]'::vector(0)$$, $$'[1]'::vector(-1)$$, $$'[1]'::vector(16001)$$, $$'[1]'::vector(1, 2)$$,
    $$'[1]'::vector('a')$$, $$'{"[1,2]","[3,4]"}'::vector(2)[]$$, $$'{"[1,2]","[3]"}'::vector(2)[]$$);
CREATE TABLE typed (v vector(3));
INSERT INTO typed VALUES ('[1,2,3]'), (ARRAY[4,5,6]), (ARRAY[1.5,2.5,3.5]::real[]), (NULL);
INSERT INTO typed VALUES ('[1,2]');
SELECT v FROM typed;
SELECT format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'typed'::regclass AND attname = 'v';

-- casts
SELECT * FROM pg_temp.try_all(
    'ARRAY[1,-2,2147483647]::vector', 'ARRAY[1.5,2.25]::real[]::vector',
    'ARRAY[1.5,0.1]::float8[]::vector', 'ARRAY[1.5,1e-50,0.1]::numeric[]::vector',
    'ARRAY[1,2]::vector(3)', $$'{}'::int[]::vector$$, $$'{{1,2},{3,4}}'::int[]::vector$$,
    'ARRAY[1,NULL]::vector', $$'{NaN}'::real[]::vector$$, $$'{1,Infinity}'::float8[]::vector$$,
    $$'{1e39}'::float8[]::vector$$, $$'{1e39}'::numeric[]::vector$$, $$'{NaN}'::numeric[]::vector$$,
    $$'[2:4]={1,2,3}'::int[]::vector$$,
    $$'[1,2.5,-3]'::vector::real[]$$, $$'[1,2]'::vector::float8[]$$,
    $$('[1,2,3]'::vector)::real[] = ARRAY[1,2,3]::real[]$$);
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE 'vector'::regtype IN (castsource, casttarget)
    AND (castsource::regtype::text || casttarget::regtype::text) !~ 'halfvec|sparsevec'
ORDER BY castsource::regtype::text, casttarget::regtype::text;

-- distances
SELECT * FROM pg_temp.try_all(
    $$l2_distance('[0,0]'::vector, '[3,4]')$$, $$'[0,0]'::vector <-> '[3,4]'$$,
    $$'[3e38]'::vector <-> '[-3e38]'$$, $$'[1,2]'::vector <-> '[3]'$$,
    $$vector_l2_squared_distance('[0,0]', '[3,4]')$$,
    $$inner_product('[1,2]'::vector, '[3,4]')$$, $$'[1,2]'::vector <#> '[3,4]'$$,
    $$vector_negative_inner_product('[1,2]', '[3,4]')$$,
    $$inner_product('[3e38]'::vector, '[3e38]')$$, $$'[1,2]'::vector <#> '[3]'$$,
    $$cosine_distance('[1,2]'::vector, '[2,4]')$$, $$'[1,0]'::vector <=> '[0,2]'$$,
    $$'[1,1]'::vector <=> '[-1,-1]'$$, $$'[1,2]'::vector <=> '[0,0]'$$,
    $$'[1,1]'::vector <=> '[1.1,1.1]'$$, $$'[3e38]'::vector <=> '[3e38]'$$,
    $$'[1,2]'::vector <=> '[3]'$$,
    $$l1_distance('[0,0]'::vector, '[3,4]')$$, $$'[1,2]'::vector <+> '[-1,5]'$$,
    $$'[1,2]'::vector <+> '[3]'$$,
    $$vector_spherical_distance('[1,0]', '[0,1]')$$, $$vector_spherical_distance('[1,1]', '[2,2]')$$,
    $$vector_spherical_distance('[1,1]', '[-2,-2]')$$, $$vector_spherical_distance('[1,2]', '[3]')$$,
    $$l2_distance(NULL::vector, '[1]')$$);

-- every length that a kernel may treat apart
CREATE TEMP VIEW lengths AS
SELECT count(*) AS n,
    count(*) FILTER (WHERE abs((a <-> b) - sqrt(d2)) > 1e-4 * sqrt(d2)) AS l2,
    count(*) FILTER (WHERE abs((a <#> b) + ip) > 1e-4 * abs_ip) AS ip,
    count(*) FILTER (WHERE abs((a <+> b) - d1) > 1e-4 * d1) AS l1,
    count(*) FILTER (WHERE abs((a <=> b) - (1 - ip / sqrt(aa * bb))) > 1e-4) AS cosine
FROM (SELECT n, array_agg(x)::vector AS a, array_agg(y)::vector AS b,
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
    $$vector_dims('[1,2,3]'::vector)$$, $$vector_norm('[3,4]')$$, $$vector_norm('[3e38,0]')::real$$,
    $$l2_norm('[3,4]'::vector)$$, $$vector_norm('[0,0]')$$,
    $$l2_normalize('[3,4]'::vector)$$, $$l2_normalize('[0,0]'::vector)$$, $$l2_normalize('[3e38]'::vector)$$,
    $$l2_normalize('[1e-45]'::vector)$$,
    $$binary_quantize('[1,0,-1]'::vector)$$, $$binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::vector)$$,
    $$binary_quantize('[1,2]'::vector)::bit(2)$$,
    $$subvector('[1,2,3,4,5]'::vector, 1, 3)$$, $$subvector('[1,2,3,4,5]'::vector, 3, 9)$$,
    $$subvector('[1,2,3,4,5]'::vector, -1, 3)$$, $$subvector('[1,2,3,4,5]'::vector, -1, 2)$$,
    $$subvector('[1,2,3,4,5]'::vector, 6, 1)$$, $$subvector('[1,2,3,4,5]'::vector, 1, 0)$$,
    $$subvector('[1,2,3,4,5]'::vector, 2147483647, 2147483647)$$,
    $$subvector('[1,2,3,4,5]'::vector, -2147483644, 2147483647)$$,
    $$vector_get('[1,2,3]', 1)$$, $$vector_get('[1,2,3]', 3)$$, $$vector_get('[1,2,3]', 0)$$,
    $$vector_get('[1,2,3]', 4)$$);

-- arithmetic
SELECT * FROM pg_temp.try_all(
    $$'[1,2,3]'::vector + '[4,5,6]'$$, $$'[3e38]'::vector + '[3e38]'$$, $$'[1,2]'::vector + '[3]'$$,
    $$'[1,2,3]'::vector - '[4,5,6]'$$, $$'[-3e38]'::vector - '[3e38]'$$, $$'[1,2]'::vector - '[3]'$$,
    $$'[1,2,3]'::vector * '[4,5,-6]'$$, $$'[1e37]'::vector * '[1e37]'$$, $$'[1e-37]'::vector * '[1e-37]'$$,
    $$'[0,1]'::vector * '[1e-45,0]'$$, $$'[1,2]'::vector * '[3]'$$,
    $$'[1,2,3]'::vector || '[4,5]'$$, $$array_fill(0, ARRAY[16000])::vector || '[1]'$$);

-- comparison: by the first element that differs, then by length
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
    vector_cmp(a, b)
FROM (VALUES ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2,3]', '[1,2,4]'), ('[1,2]', '[1,2,3]'),
    ('[2]', '[1,2,3]'), ('[0]', '[-0]')) AS p (a, b);

-- aggregates
SELECT * FROM pg_temp.try_all(
    $$SELECT avg(v) FROM unnest(ARRAY['[1,2,3]'::vector, '[3,5,7]', NULL]) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY[]::vector[]) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v$$,
    $$SELECT avg(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[1,2,3]'::vector, '[3,5,7]', NULL]) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY[]::vector[]) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v$$,
    $$SELECT sum(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v$$,
    $$vector_accum('{0}', '[1,2,3]')$$, $$vector_accum('{1,1,1,1}', '[1,2,3]')$$,
    $$vector_accum('{0,0}', '[1,2,3]')$$, $$vector_accum('{{0}}', '[1]')$$, $$vector_accum('{}', '[1]')$$,
    $$vector_accum('{NULL}', '[1]')$$, $$vector_accum('{1,1e308}', '[1]')$$, $$vector_accum('{1,Infinity}', '[1]')$$,
    $$vector_combine('{0}', '{0}')$$, $$vector_combine('{0}', '{1,2}')$$, $$vector_combine('{1,2}', '{0}')$$,
    $$vector_combine('{1,2}', '{3,4}')$$, $$vector_combine('{1,2}', '{3,4,5}')$$, $$vector_combine('{}', '{0}')$$,
    $$vector_combine('{0}', array_fill(1, ARRAY[16002])::float8[])$$,
    $$vector_avg('{2,2,4,6}')$$, $$vector_avg('{0}')$$, $$vector_avg('{1}')$$, $$vector_avg('{1e-50,1}')$$,
    $$vector_avg(array_fill(1, ARRAY[16002])::float8[])$$);

-- groups, windows and distinct, where states live side by side
SELECT i % 3 AS g, avg(v), sum(v), sum(DISTINCT v) AS sum_distinct
FROM (SELECT i, ARRAY[i, i * i, i % 2]::vector AS v FROM generate_series(1, 9) AS i) AS x
GROUP BY 1 ORDER BY 1;
SELECT i, sum(v) OVER (ORDER BY i), avg(v) OVER (ORDER BY i ROWS 1 PRECEDING)
FROM (SELECT i, ARRAY[i, -i]::vector AS v FROM generate_series(1, 5) AS i) AS x ORDER BY i;

-- the same from parallel workers
CREATE TABLE many (id int, v vector(3));
INSERT INTO many SELECT i, ARRAY[i % 7, i % 11, -(i % 13)]::vector FROM generate_series(1, 20000) AS i;
ANALYZE many;
BEGIN;
SET LOCAL parallel_setup_cost = 0;
SET LOCAL parallel_tuple_cost = 0;
SET LOCAL min_parallel_table_scan_size = 0;
SET LOCAL max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM many;
SELECT sum(v) FROM many;
CREATE TEMP TABLE parallel AS SELECT avg(v), sum(v) FROM many;
SET LOCAL max_parallel_workers_per_gather = 0;
SELECT (SELECT avg(v) FROM many) = avg AS avg, (SELECT sum(v) FROM many) = sum AS sum FROM parallel;
COMMIT;

-- core access methods
CREATE INDEX many_btree ON many (v);
CREATE INDEX many_hash ON many USING hash (v);
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v < '[0,1]';
SELECT count(*) FROM many WHERE v < '[0,1]';
SELECT v FROM many ORDER BY v DESC, id LIMIT 3;
DROP INDEX many_btree;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v = '[-0,0,-0]';
SELECT count(*) FROM many WHERE v = '[-0,0,-0]';
COMMIT;
SELECT count(*) FROM many WHERE v = '[0,0,0]';

BEGIN;
SET LOCAL enable_sort = off;
SET LOCAL enable_nestloop = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL max_parallel_workers_per_gather = 0;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many a JOIN many b USING (v) WHERE a.id < 100 AND b.id < 2000;
SELECT count(*) FROM many a JOIN many b USING (v) WHERE a.id < 100 AND b.id < 2000;
EXPLAIN (COSTS OFF) SELECT count(*) FROM (SELECT DISTINCT v FROM many) AS d;
SELECT count(*) FROM (SELECT DISTINCT v FROM many) AS d;
COMMIT;
SELECT v, count(*), vector_hash(v) = vector_hash('[0,1]') AS hash,
    vector_hash_extended(v, 42) = vector_hash_extended('[0,1]', 42) AS hash_extended
FROM (VALUES ('[0,1]'::vector), ('[-0,1]')) AS x (v) GROUP BY v;
SELECT vector_hash_extended('[1]', 1) <> vector_hash_extended('[1]', 2) AS seeded,
    count(DISTINCT vector_hash(ARRAY[i, i + 1]::vector)) AS hashes
FROM generate_series(1, 1000) AS i;

-- stored out of line, and as a short varlena
CREATE TABLE stored (id int, v vector);
INSERT INTO stored VALUES (1, '[1,2,3]'), (2, (SELECT array_agg(i)::vector FROM generate_series(1, 5000) AS i));
INSERT INTO stored SELECT 3, v FROM stored WHERE id = 2;
SELECT a.id, b.id, a.v <-> b.v AS distance, a.v = b.v AS equal, vector_dims(a.v + b.v) AS dims
FROM stored a JOIN stored b ON vector_dims(a.v) = vector_dims(b.v) ORDER BY 1, 2;

-- binary form
SELECT vector_send('[1,-2.5,0]');
CREATE TABLE received (v vector(2));
CREATE TEMP TABLE files (file oid);
-- a file for COPY with one field, as a large object that psql can write out
CREATE FUNCTION pg_temp.copy_file(field bytea) RETURNS oid LANGUAGE sql AS $$
    INSERT INTO files
    SELECT lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000' || '\x0001'::bytea
        || int4send(length(field)) || field || '\xffff'::bytea)
    RETURNING file
$$;

-- right
SELECT pg_temp.copy_file('\x000200003f800000c0200000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- no elements
SELECT pg_temp.copy_file('\x00000000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- too many dimensions
SELECT pg_temp.copy_file('\xffff0000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- other dimensions than the column's
SELECT pg_temp.copy_file('\x000100003f800000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- reserved field in use
SELECT pg_temp.copy_file('\x000200013f8000003f800000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- truncated in the header, and in the elements
SELECT pg_temp.copy_file('\x0002') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
SELECT pg_temp.copy_file('\x000200003f8000003f80') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- too long
SELECT pg_temp.copy_file('\x000200003f8000003f80000000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
-- NaN and infinity
SELECT pg_temp.copy_file('\x000200003f8000007fc00000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
SELECT pg_temp.copy_file('\x000200003f800000ff800000') AS file \gset
\lo_export :file results/types_vector.bin
\copy received FROM 'results/types_vector.bin' (FORMAT binary)
SELECT v FROM received;

-- a round trip
\copy (SELECT v FROM stored ORDER BY id) TO 'results/types_vector.bin' (FORMAT binary)
CREATE TABLE returned (n serial, v vector);
\copy returned (v) FROM 'results/types_vector.bin' (FORMAT binary)
SELECT count(*) FROM returned JOIN stored ON n = id AND returned.v = stored.v;

SELECT count(lo_unlink(file)) FROM files;
DROP TABLE typed, many, stored, received, returned;
