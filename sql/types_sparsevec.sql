--
-- Type sparsevec: text and binary forms, casts, functions, operators.
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
SELECT t AS text, pg_temp.try(format('%L::sparsevec', t)) AS result
FROM unnest(ARRAY[
    '{1:1.5,3:-2}/5', E' { 3 : 2 ,\t1:\n1 } / 5\r', '{}/3', '{ }/1', '{+1:+1,2:.5}/2', '{1:0,2:-0,3:1}/3',
    '{1000000000:1}/1000000000', '{1:3.4028235e38,2:1.4e-45}/2', '{1:0x10}/1',
    '', '{', '{}', '{}/', '{}/a', '{}/1a', '{}/1.5', '{}/3 4', '{1:1', '{1:1}', '{1:1,', '{1:1,}/2', '{,}/2', '{1}/2',
    '{1:}/2', '{:1}/2', '{a:1}/2', '{1:a}/2', '{1.5:1}/2', '{1 2}/2', '{1:1 2:2}/2', '[1,2]', '1:1/2',
    '{0:1}/2', '{-1:1}/2', '{3:1}/2', '{99999999999999999999:1}/2', '{-99999999999999999999:1}/2',
    '{1:1,1:2}/2', '{}/0', '{}/-1', '{}/1000000001', '{}/99999999999999999999',
    '{1:nan}/2', '{1:inf}/2', '{1:-Infinity}/2', '{1:1e39}/2', '{1:1e-50}/2']) AS t;
SELECT * FROM pg_temp.try_all(
    $$(SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec IS NOT NULL FROM generate_series(1, 16000) AS i)$$,
    $$(SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec FROM generate_series(1, 16001) AS i)$$,
    $$(SELECT array_agg(i)::sparsevec FROM generate_series(1, 16001) AS i)$$,
    $$(SELECT array_agg(i % 2)::sparsevec <-> array_agg(0)::sparsevec FROM generate_series(1, 20000) AS i)$$);

-- type modifier
SELECT * FROM pg_temp.try_all(
    $$'{1:1}/3'::sparsevec(3)$$, $$'{1:1}/3'::sparsevec(2)$$, $$'{1:1}/3'::sparsevec::sparsevec(4)$$,
    $$'{}/1'::sparsevec(0)$$, $$'{}/1'::sparsevec(1000000001)$$, $$'{}/1'::sparsevec(1, 2)$$,
    $$'{}/1000000000'::sparsevec(1000000000)$$);

-- casts
SELECT * FROM pg_temp.try_all(
    'ARRAY[0,1,0,-2]::sparsevec', 'ARRAY[1.5,0]::real[]::sparsevec', 'ARRAY[0,0.1]::float8[]::sparsevec',
    'ARRAY[0,0.1]::numeric[]::sparsevec', 'ARRAY[0,0]::sparsevec', 'ARRAY[1,2]::sparsevec(3)', $$'{}'::int[]::sparsevec$$,
    $$'{{1,2},{3,4}}'::int[]::sparsevec$$, 'ARRAY[1,NULL]::sparsevec', $$'{NaN}'::real[]::sparsevec$$,
    $$'{Infinity}'::real[]::sparsevec$$,
    $$'[0,1.5,0,3.5]'::vector::sparsevec$$, $$'[0,1.5]'::vector::sparsevec(3)$$, $$'[0,-0]'::vector::sparsevec$$,
    $$'[0,1.5,0,3.5]'::halfvec::sparsevec$$, $$'[0,1.5]'::halfvec::sparsevec(3)$$, $$'[0,-0]'::halfvec::sparsevec$$,
    $$'{2:1.5}/3'::sparsevec::vector$$, $$'{2:1.5}/3'::sparsevec::vector(2)$$, $$'{}/16001'::sparsevec::vector$$,
    $$'{2:1.5}/3'::sparsevec::halfvec$$, $$'{2:1.5}/3'::sparsevec::halfvec(2)$$, $$'{}/16001'::sparsevec::halfvec$$,
    $$'{1:65520}/1'::sparsevec::halfvec$$, $$'{1:1}/1'::sparsevec::real[]$$);
SELECT castsource::regtype, casttarget::regtype, castcontext FROM pg_cast
WHERE 'sparsevec'::regtype IN (castsource, casttarget)
ORDER BY castsource::regtype::text, casttarget::regtype::text;

-- distances
SELECT * FROM pg_temp.try_all(
    $$l2_distance('{}/2'::sparsevec, '{1:3,2:4}/2')$$, $$'{1:3}/3'::sparsevec <-> '{3:4}/3'$$,
    $$'{1:3e38}/1'::sparsevec <-> '{1:-3e38}/1'$$, $$'{}/2'::sparsevec <-> '{}/3'$$,
    $$sparsevec_l2_squared_distance('{1:3}/2', '{2:4}/2')$$,
    $$inner_product('{1:1,2:2}/2'::sparsevec, '{1:2,2:4}/2')$$, $$'{1:1,2:2}/3'::sparsevec <#> '{2:3,3:9}/3'$$,
    $$sparsevec_negative_inner_product('{1:1}/2', '{2:1}/2')$$, $$'{}/2'::sparsevec <#> '{}/3'$$,
    $$cosine_distance('{1:1,2:2}/2'::sparsevec, '{1:2,2:4}/2')$$, $$'{1:1}/2'::sparsevec <=> '{2:2}/2'$$,
    $$'{1:1}/2'::sparsevec <=> '{}/2'$$, $$'{1:1,2:1}/2'::sparsevec <=> '{1:-1,2:-1}/2'$$, $$'{}/2'::sparsevec <=> '{}/3'$$,
    $$l1_distance('{1:3}/2'::sparsevec, '{2:-4}/2')$$, $$'{1:1,2:2}/2'::sparsevec <+> '{1:-1,2:5}/2'$$,
    $$'{}/2'::sparsevec <+> '{}/3'$$);

-- as dense vectors of the same elements
SELECT count(*) AS n,
    count(*) FILTER (WHERE abs((a <-> b) - (a::sparsevec <-> b::sparsevec)) > 1e-4) AS l2,
    count(*) FILTER (WHERE abs((a <#> b) - (a::sparsevec <#> b::sparsevec)) > 1e-3) AS ip,
    count(*) FILTER (WHERE abs((a <+> b) - (a::sparsevec <+> b::sparsevec)) > 1e-4) AS l1,
    count(*) FILTER (WHERE abs((a <=> b) - (a::sparsevec <=> b::sparsevec)) > 1e-5) AS cosine,
    count(*) FILTER (WHERE a::sparsevec::vector <> a OR a::sparsevec::text::sparsevec <> a::sparsevec) AS casts,
    count(*) FILTER (WHERE vector_cmp(a, b) <> sparsevec_cmp(a, b)) AS cmp,
    count(*) FILTER (WHERE vector_cmp(b, a) <> sparsevec_cmp(b, a)) AS cmp_reversed
FROM (SELECT array_agg(x)::vector AS a, array_agg(y)::vector AS b
      FROM (SELECT n, CASE WHEN i * 7 % 3 = n % 2 THEN i * 37 % 101 - 50 ELSE 0 END AS x,
                CASE WHEN i < 3 AND n % 5 < 3 THEN CASE WHEN i * 7 % 3 = n % 2 THEN i * 37 % 101 - 50 ELSE 0 END
                    WHEN i * 5 % 4 = n % 3 THEN i * 53 % 97 - 40 ELSE 0 END AS y
            FROM generate_series(5, 104) AS n, generate_series(1, n) AS i) AS e
      GROUP BY n) AS v;

-- one vector
SELECT * FROM pg_temp.try_all(
    $$l2_norm('{1:3,2:4}/2'::sparsevec)$$, $$l2_norm('{}/2'::sparsevec)$$, $$l2_norm('{1:3e37,2:4e37}/9'::sparsevec)::real$$,
    $$l2_normalize('{1:3,9:4}/9'::sparsevec)$$, $$l2_normalize('{}/2'::sparsevec)$$,
    $$l2_normalize('{1:3e38,2:1e-38}/2'::sparsevec)$$, $$l2_normalize('{1:1e-38,2:3e38}/2'::sparsevec)$$);

-- comparison: as of the lists of elements, zeros included
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
    sparsevec_cmp(a, b), sparsevec_hash(a) = sparsevec_hash(b) AS hash
FROM (VALUES ('{1:1,2:2}/3'::sparsevec, '{1:1,2:2}/3'::sparsevec), ('{1:1}/3', '{1:1,2:2}/3'), ('{1:1}/3', '{1:1,2:-2}/3'),
    ('{2:1}/3', '{1:1}/3'), ('{2:1}/3', '{1:-1}/3'), ('{}/2', '{}/3'), ('{}/2', '{3:-1}/3'), ('{}/2', '{2:-1}/3'),
    ('{1:2}/1', '{1:1}/9')) AS p (a, b);
SELECT sparsevec_hash_extended('{1:1}/2', 1) <> sparsevec_hash_extended('{1:1}/2', 2) AS seeded,
    count(DISTINCT sparsevec_hash(format('{%s:1}/1000', i)::sparsevec)) AS hashes
FROM generate_series(1, 1000) AS i;

-- core access methods
CREATE TABLE many (id int, v sparsevec(100));
INSERT INTO many SELECT i, format('{%s:%s}/100', 1 + i % 100, i % 7)::sparsevec FROM generate_series(1, 5000) AS i;
ANALYZE many;
CREATE INDEX many_btree ON many (v);
CREATE INDEX many_hash ON many USING hash (v);
BEGIN;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v < '{99:1}/100';
SELECT count(*) FROM many WHERE v < '{99:1}/100';
DROP INDEX many_btree;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE v = '{}/100';
SELECT count(*) FROM many WHERE v = '{}/100';
COMMIT;
SELECT count(DISTINCT v) FROM many;

-- stored out of line, and as a short varlena
CREATE TABLE stored (id int, v sparsevec);
INSERT INTO stored VALUES (1, '{7:1}/9'),
    (2, (SELECT ('{' || string_agg(i * 7 || ':1.5', ',') || '}/100000')::sparsevec FROM generate_series(1, 5000) AS i));
INSERT INTO stored SELECT 3, v FROM stored WHERE id = 2;
SELECT a.id, b.id, a.v <-> b.v AS distance, a.v = b.v AS equal FROM stored a JOIN stored b
    ON (a.id = 1) = (b.id = 1) ORDER BY 1, 2;

-- binary form
SELECT sparsevec_send('{1:1,3:-2.5}/4');
CREATE TABLE received (v sparsevec(4));
CREATE TEMP TABLE files (file oid);
-- a file for COPY with one field, as a large object that psql can write out
CREATE FUNCTION pg_temp.copy_file(field bytea) RETURNS oid LANGUAGE sql AS $$
    INSERT INTO files
    SELECT lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000' || '\x0001'::bytea
        || int4send(length(field)) || field || '\xffff'::bytea)
    RETURNING file
$$;

-- right
SELECT pg_temp.copy_file('\x00000004000000020000000000000000000000023f800000c0200000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- no dimensions
SELECT pg_temp.copy_file('\x000000000000000000000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- too many dimensions
SELECT pg_temp.copy_file('\x7fffffff0000000000000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- negative number of elements
SELECT pg_temp.copy_file('\x00000004ffffffff00000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- too many elements
SELECT pg_temp.copy_file('\x0000753000003e8100000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- more elements than dimensions
SELECT pg_temp.copy_file('\x000000040000000500000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- other dimensions than the column's
SELECT pg_temp.copy_file('\x000000050000000000000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- reserved field in use
SELECT pg_temp.copy_file('\x000000040000000000000001') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- index beyond the dimensions
SELECT pg_temp.copy_file('\x000000040000000100000000000000043f800000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- negative index
SELECT pg_temp.copy_file('\x000000040000000100000000ffffffff3f800000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- indices out of order
SELECT pg_temp.copy_file('\x00000004000000020000000000000002000000003f8000003f800000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- index twice
SELECT pg_temp.copy_file('\x00000004000000020000000000000002000000023f8000003f800000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- zero
SELECT pg_temp.copy_file('\x0000000400000001000000000000000080000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- NaN
SELECT pg_temp.copy_file('\x000000040000000100000000000000007fc00000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- infinity
SELECT pg_temp.copy_file('\x00000004000000010000000000000000ff800000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- truncated in the header
SELECT pg_temp.copy_file('\x0000000400000001') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- truncated in the indices
SELECT pg_temp.copy_file('\x0000000400000002000000000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- truncated in the values
SELECT pg_temp.copy_file('\x000000040000000100000000000000003f80') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
-- too long
SELECT pg_temp.copy_file('\x000000040000000100000000000000003f80000000') AS file \gset
\lo_export :file results/types_sparsevec.bin
\copy received FROM 'results/types_sparsevec.bin' (FORMAT binary)
SELECT v FROM received;

-- a round trip
\copy (SELECT v FROM stored ORDER BY id) TO 'results/types_sparsevec.bin' (FORMAT binary)
CREATE TABLE returned (n serial, v sparsevec);
\copy returned (v) FROM 'results/types_sparsevec.bin' (FORMAT binary)
SELECT count(*) FROM returned JOIN stored ON n = id AND returned.v = stored.v;

SELECT count(lo_unlink(file)) FROM files;
DROP TABLE many, stored, received, returned;
