--
-- Attributes of every type, and every operator of their classes: the index's
-- answer is that of the same query without it, and the condition is the
-- index's own.
--
LOAD 'omenvec';
SET timezone = 'UTC';
CREATE TYPE filter_mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE filter_items (
    id integer, v vector(4),
    i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, num numeric,
    day date, ts timestamp, tstz timestamptz, tm time, tmtz timetz, span interval,
    name text COLLATE "C", vc varchar(20) COLLATE "C", bp char(6) COLLATE "C", ch "char", raw bytea,
    flag boolean, o oid, u uuid, mood filter_mood, ip inet, net cidr,
    ints integer[], texts text[], rng int4range, js jsonb, pt point
);

CREATE FUNCTION filter_rows(first integer, last integer) RETURNS SETOF filter_items
LANGUAGE sql AS $$
    SELECT i, ARRAY[hashint4(i) & 255, hashint4(i + 7919) & 255, i % 50, i % 7]::vector(4),
        i % 40, i % 300, i % 1000, (i % 20) / 4.0, (i % 25) / 8.0, round((i % 60) / 7.0, 2),
        '2024-01-01'::date + i % 90, '2024-01-01'::timestamp + i % 90 * interval '12 hours',
        '2024-01-01'::timestamptz + i % 90 * interval '8 hours', '08:00'::time + i % 48 * interval '10 minutes',
        '08:00+00'::timetz + i % 48 * interval '10 minutes', i % 33 * interval '1 day',
        (ARRAY['Ann', 'Anna', 'Bob', 'Bo', 'Carl', 'Zoe', 'ann%', ''])[i % 8 + 1] || nullif(i % 5, 0),
        'code-' || i % 70, 'x' || i % 30, chr(65 + i % 26)::"char", decode(lpad(to_hex(i % 64), 2, '0'), 'hex'),
        i % 3 = 0, i % 77, md5((i % 120)::text)::uuid, (enum_range(NULL::filter_mood))[i % 3 + 1],
        ('10.0.' || i % 4 || '.' || i % 200)::inet, ('192.168.' || i % 16 || '.0/24')::cidr,
        ARRAY[i % 10, i % 7], ARRAY['t' || i % 6, NULL, 't' || i % 4], int4range(i % 50, i % 50 + i % 9),
        jsonb_build_object('city', 'c' || i % 9, 'n', i % 4, 'tags', jsonb_build_array(i % 3, i % 5)),
        point(i % 30, i % 20)
    FROM generate_series(first, last) AS i
$$;

-- Most rows in a segment, some in the tail; rows of NULLs, a NULL vector, equal vectors
INSERT INTO filter_items SELECT * FROM filter_rows(1, 1500);
INSERT INTO filter_items (id, v) SELECT i, ARRAY[i, i, i, i]::vector FROM generate_series(1501, 1510) AS i;
INSERT INTO filter_items (id, i4, name) SELECT i, i % 300, 'Ann' FROM generate_series(1511, 1515) AS i;
INSERT INTO filter_items (id, v, i4, name) SELECT i, '[1,2,3,4]', i % 7, 'Bob' FROM generate_series(1521, 1560) AS i;
CREATE INDEX filter_items_all ON filter_items USING omenhnsw (
    v vector_l2_ops, i2, i4, i8, f4, f8, num, day, ts, tstz, tm, tmtz, span, name, vc, bp, ch, raw,
    flag, o, u, mood, ip, net, ints, texts, rng, js, pt, (js ->> 'city'), lower(name));
INSERT INTO filter_items SELECT * FROM filter_rows(1601, 1700);
INSERT INTO filter_items (id, v) SELECT i, ARRAY[i, i, i, i]::vector FROM generate_series(1701, 1705) AS i;
INSERT INTO filter_items (id, i4, name) SELECT i, i % 300, 'Ann' FROM generate_series(1711, 1712) AS i;
ANALYZE filter_items;
SELECT * FROM omenvec_check('filter_items_all');

-- The line of the plan, and what is wrong with the answer
CREATE FUNCTION filter_test(condition text, OUT plan text, OUT rows bigint, OUT problem text)
LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT id, v <-> ''[100,100,20,3]'' AS d FROM filter_items WHERE %s
        ORDER BY v <-> ''[100,100,20,3]''', condition);
    line text;
    expected integer[];
    found integer[];
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Index Cond' THEN
            plan := btrim(line);
        ELSIF line ~ '^ *Filter|Sort|Seq' THEN
            problem := btrim(line);
        END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(id ORDER BY id) FROM (%s) AS s', query) INTO found;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_indexscan = off;
    EXECUTE format('SELECT array_agg(id ORDER BY id) FROM filter_items WHERE %s', condition) INTO expected;
    rows := coalesce(cardinality(expected), 0);
    IF expected IS DISTINCT FROM found THEN
        problem := concat_ws('; ', problem, format('%s rows, not %s', cardinality(found), rows));
    END IF;
    -- the nearest, too
    SET LOCAL enable_indexscan = on;
    SET LOCAL enable_seqscan = off;
    EXECUTE format('SELECT array_agg(d) FROM (%s LIMIT 20) AS s', query) INTO found;
    SET LOCAL enable_indexscan = off;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_sort = on;
    EXECUTE format('SELECT array_agg(d) FROM (%s LIMIT 20) AS s', query) INTO expected;
    IF expected IS DISTINCT FROM found THEN
        problem := concat_ws('; ', problem, 'others are nearer');
    END IF;
    SET LOCAL enable_indexscan = on;
END $$;

\pset format unaligned
\pset tuples_only on

-- Numbers; integers of all lengths with each other, and floating-point numbers
SELECT t.* FROM unnest(ARRAY[
    'i2 < 3', 'i2 <= 3', 'i2 = 3', 'i2 >= 37', 'i2 > 37', 'i2 < 3::smallint', 'i2 = 3::bigint', 'i2 > 38::bigint',
    'i4 < 10', 'i4 <= 10', 'i4 = 10', 'i4 >= 290', 'i4 > 290', 'i4 = 10::smallint', 'i4 >= 298::bigint',
    'i8 < 10', 'i8 <= 10::smallint', 'i8 = 10', 'i8 >= 990::bigint', 'i8 > 990', 'i8 = 10000000000',
    'f4 < 1', 'f4 <= 0.25::real', 'f4 = 0.5::real', 'f4 = 0.5::float8', 'f4 >= 4.5', 'f4 > ''Infinity''::real',
    'f8 < 0.25', 'f8 <= 0.25', 'f8 = 0.5::real', 'f8 >= 2.875', 'f8 > 2.875', 'f8 = ''NaN''',
    'num < 0.5', 'num <= 0.29', 'num = 0.290', 'num >= 8', 'num > 8.29'
    ]) AS condition, filter_test(condition) AS t;

-- Dates and times
SELECT t.* FROM unnest(ARRAY[
    'day < ''2024-01-03''', 'day <= ''2024-01-03''', 'day = ''2024-02-01''', 'day >= ''2024-03-28''', 'day > ''2024-03-28''',
    'day < ''2024-01-03''::timestamp', 'day = ''2024-02-01''::timestamptz',
    'ts < ''2024-01-02''', 'ts <= ''2024-01-02''::date', 'ts = ''2024-02-01 12:00''', 'ts >= ''2024-02-13''::timestamptz', 'ts > ''infinity''',
    'tstz < ''2024-01-02''', 'tstz <= ''2024-01-02''::date', 'tstz = ''2024-01-02 08:00''::timestamp', 'tstz >= ''2024-01-30''', 'tstz > ''2024-01-30''',
    'tm < ''08:20''', 'tm <= ''08:20''', 'tm = ''08:20''', 'tm >= ''15:30''', 'tm > ''15:30''',
    'tmtz < ''08:20+00''', 'tmtz <= ''08:20+00''', 'tmtz = ''08:20+00''', 'tmtz >= ''15:30+00''', 'tmtz > ''15:30+00''',
    'span < ''2 days''', 'span <= ''2 days''', 'span = ''48 hours''', 'span >= ''1 month''', 'span > ''1 month'''
    ]) AS condition, filter_test(condition) AS t;

-- Text: order, prefixes, patterns
SELECT t.* FROM unnest(ARRAY[
    'name < ''A''', 'name <= ''Ann''', 'name = ''Ann''', 'name = ''''', 'name >= ''Carl''', 'name > ''Carl''',
    'name ^@ ''Ann''', 'name ^@ ''''', 'name ^@ ''no such''', 'name LIKE ''Ann%''', 'name LIKE ''Ann_''', 'name LIKE ''%1''',
    'name LIKE ''B%2''', 'name LIKE ''ann\%''', 'name LIKE ''ann\%%''', 'name LIKE ''Z%''', 'name LIKE ''''', 'name LIKE ''%''',
    'name LIKE ANY (ARRAY[''Bob%'', ''%4'', NULL])', 'name ILIKE ''aNN%''', 'name ILIKE ''''', 'name ~ ''^A.*1$''', 'name ~* ''^(ann|bob)[1-3]''', 'name ~* ANY (ARRAY[''NN'', ''^b''])',
    'vc ~ ''-[67]$''', 'vc ILIKE ''CODE-6%''',
    'vc < ''code-1''', 'vc = ''code-7''', 'vc = ''code-7''::varchar', 'vc IN (''code-1'', ''code-2'')', 'vc LIKE ''code-6%''', 'vc ^@ ''code-6''',
    'bp < ''x1''', 'bp <= ''x1''', 'bp = ''x1''', 'bp >= ''x9''', 'bp > ''x8''',
    'ch < ''C''', 'ch <= ''C''', 'ch = ''C''', 'ch >= ''Y''', 'ch > ''Y''',
    'raw < ''\x02''', 'raw <= ''\x02''', 'raw = ''\x02''', 'raw >= ''\x3e''', 'raw > ''\x3e''',
    'lower(name) = ''ann1''', 'lower(name) LIKE ''b%''', 'js ->> ''city'' = ''c3''', 'js ->> ''city'' IN (''c1'', ''c2'')'
    ]) AS condition, filter_test(condition) AS t;

-- Other types with an order
SELECT t.* FROM unnest(ARRAY[
    'flag', 'NOT flag', 'flag = true', 'flag IS TRUE', 'flag IS FALSE', 'flag < true', 'flag >= true', 'flag = ANY (ARRAY[true, NULL])',
    'o < 3', 'o <= 3', 'o = 3', 'o >= 75', 'o > 75',
    'u < ''10000000-0000-0000-0000-000000000000''', 'u <= md5(''7'')::uuid', 'u = md5(''7'')::uuid', 'u >= md5(''7'')::uuid',
    'u > ''f0000000-0000-0000-0000-000000000000''', 'u IN (md5(''7'')::uuid, md5(''8'')::uuid, md5(''none'')::uuid)',
    'mood < ''ok''', 'mood <= ''ok''', 'mood = ''ok''', 'mood >= ''ok''', 'mood > ''ok''',
    'ip < ''10.0.0.9''', 'ip <= ''10.0.0.8''', 'ip = ''10.0.1.1''', 'ip >= ''10.0.3.195''', 'ip > ''10.0.3.195''',
    'ip <<= ''10.0.1.0/28''', 'ip >>= ''10.0.1.1''', 'ip && ''10.0.2.0/24''',
    'net = ''192.168.3.0/24''', 'net <<= ''192.168.8.0/22''', 'net >>= ''192.168.3.7''', 'net && ''192.168.0.0/21'''
    ]) AS condition, filter_test(condition) AS t;

-- Arrays, ranges, documents, points
SELECT t.* FROM unnest(ARRAY[
    'ints < ''{0,3}''', 'ints <= ''{0,3}''', 'ints = ''{3,3}''', 'ints >= ''{9,6}''', 'ints > ''{9,5}''',
    'ints && ''{3,9}''', 'ints && ''{}''', 'ints @> ''{3}''', 'ints @> ''{}''', 'ints <@ ''{1,2,3}''',
    'texts = ''{t1,NULL,t1}''', 'texts && ARRAY[''t5'', ''t3'']', 'texts @> ARRAY[''t5'']', 'texts @> ARRAY[NULL]::text[]', 'texts <@ ARRAY[''t1'', ''t2'']',
    'rng = ''[3,7)''', 'rng < ''[1,1)''', 'rng >= ''[49,50)''', 'rng && ''[10,12)''', 'rng @> 10', 'rng @> ''[10,12)''::int4range', 'rng <@ ''[10,15)''', 'rng = ''empty''',
    'js = ''{"city": "c1", "n": 1, "tags": [1, 1]}''', 'js < ''{}''', 'js >= ''{"z": 1}''',
    'js @> ''{"n": 2}''', 'js @> ''{"tags": [2, 4]}''', 'js <@ ''{"city": "c1", "n": 1, "tags": [0, 1]}''', 'js ? ''city''', 'js ? ''country''',
    'js ?| ARRAY[''x'', ''n'']', 'js ?& ARRAY[''n'', ''city'']', 'js ?& ARRAY[''n'', ''x'']', 'js @? ''$.tags[*] ? (@ == 4)''', 'js @@ ''$.n > 2''',
    'pt <@ box ''((3,3),(5,5))''', 'pt <@ circle ''<(10,10),2.5>''', 'pt <@ polygon ''((0,0),(4,0),(0,4))''', 'pt ~= ''(3,3)'''
    ]) AS condition, filter_test(condition) AS t;

-- Sets, ranges of values, NULLs, several attributes, the vector itself
SELECT t.* FROM unnest(ARRAY[
    'i4 IN (3, 5, 299, 1000)', 'i4 = ANY (ARRAY[7, 7, NULL, 3])', 'i4 = ANY (NULL::integer[])', 'i4 IN (3::bigint, 4)', 'i4 < ANY (ARRAY[2, 5])',
    'i4 >= ANY (ARRAY[298, 290])', 'i4 BETWEEN 3 AND 5', 'i4 > 5 AND i4 < 3', 'i4 = 3 AND i4 = 4', 'i4 < NULL::integer', 'i4 >= 5 AND i4 IN (4, 5, 6)',
    'i4 IS NULL', 'i4 IS NOT NULL', 'name IS NULL AND i4 IS NULL', 'i4 IS NULL AND i4 = 3', 'i4 IS NOT NULL AND i4 < 2',
    'i2 = 3 AND i4 < 100', 'i2 < 20 AND flag AND mood = ''ok''', 'name LIKE ''A%'' AND ints && ''{3}'' AND pt <@ box ''((0,0),(20,20))''',
    'js @> ''{"n": 2}'' AND day < ''2024-02-01'' AND net <<= ''192.168.0.0/20''', 'name = ''Ann'' AND i4 > 0', 'name = ''Bob'' AND i4 = 3',
    'v IS NULL', 'v IS NOT NULL', 'v IS NULL AND i4 < 250', 'v IS NOT NULL AND i4 < 10', 'v IS NULL AND v IS NOT NULL', 'v IS NULL AND name = ''nobody'''
    ]) AS condition, filter_test(condition) AS t;

-- Conditions that the index cannot test stay with the executor, and are not lost
SELECT t.* FROM unnest(ARRAY[
    'i4 <> 3 AND i4 < 5', 'i4 < 3 OR i4 > 297', '3 = ANY (ints) AND i2 = 3', 'i4 + 1 = 3 AND i2 < 10', 'name NOT LIKE ''Ann%'' AND i2 < 10',
    'flag IS NOT TRUE AND i2 < 3', 'flag IS UNKNOWN', 'bp LIKE ''x1%'' AND i2 < 3'
    ]) AS condition, filter_test(condition) AS t;

-- Without an order by distance, and with a value that comes at run time
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM filter_items WHERE i4 = 7 AND i2 < 20;
SELECT count(*), min(id), max(id) FROM filter_items WHERE i4 = 7 AND i2 < 20;
PREPARE filter_prepared (integer, text[]) AS
    SELECT id FROM filter_items WHERE i4 = $1 AND name = ANY ($2) ORDER BY v <-> '[100,100,20,3]' LIMIT 3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE filter_prepared (7, '{}');
EXECUTE filter_prepared (7, '{Ann,Bo2,2,Carl2}');
EXECUTE filter_prepared (7, NULL);
EXECUTE filter_prepared (NULL, '{Ann}');
RESET plan_cache_mode;
EXPLAIN (COSTS OFF) SELECT k, s.id FROM generate_series(1, 3) AS k,
    LATERAL (SELECT id FROM filter_items WHERE i4 = k ORDER BY v <-> '[100,100,20,3]' LIMIT 2) AS s;
SELECT k, s.id FROM generate_series(1, 3) AS k,
    LATERAL (SELECT id FROM filter_items WHERE i4 = k ORDER BY v <-> '[100,100,20,3]' LIMIT 2) AS s ORDER BY k, s.id;
-- Arguments of any length that change from one rescan to the next, and that come again
CREATE TABLE filter_spans AS
    SELECT i AS id, ARRAY[i, 0]::real[]::vector AS v, numrange(i, i + 10) AS span, ARRAY['t' || i % 7, 't' || i % 5] AS tags FROM generate_series(1, 300) AS i;
CREATE INDEX ON filter_spans USING omenhnsw ((v::vector(2)) vector_l2_ops, span, tags);
SELECT k, s.count, (SELECT count(*) FILTER (WHERE span @> k) FROM filter_spans) AS right
FROM (VALUES (1.5), (1.5), (7.25), (100.125), (NULL), (100.125), (305), (7.25)) AS q (k),
    LATERAL (SELECT count(*) FROM (SELECT id FROM filter_spans WHERE span @> (k + 0) ORDER BY v::vector(2) <-> ARRAY[coalesce(k, 0), 1]::vector) AS x) AS s;
SELECT k, s.count, (SELECT count(*) FILTER (WHERE tags && k) FROM filter_spans) AS right
FROM (VALUES ('{t1}'::text[]), ('{t1}'), ('{t6,t0}'), ('{}'), (NULL), ('{t6,t4}'), ('{t6,t4}')) AS q (k),
    LATERAL (SELECT count(*) FROM (SELECT id FROM filter_spans WHERE tags && k ORDER BY v::vector(2) <-> ARRAY[coalesce(cardinality(k), 0), 1]::vector) AS x) AS s;
DROP TABLE filter_spans;
RESET enable_seqscan;

-- Spheres: several, and with attributes
SELECT t.* FROM unnest(ARRAY[
    'v <<->> sphere(''[100,100,20,3]''::vector, 40) AND i2 < 20',
    'v <<->> ANY (ARRAY[sphere(''[100,100,20,3]''::vector, 40), sphere(''[10,10,20,3]''::vector, 30)])'
    ]) AS condition, filter_test(condition) AS t;

-- What the attributes are
SELECT index_column, name, type, distinct_values, nulls FROM omenvec_attributes('filter_items_all') ORDER BY 1;
SELECT * FROM omenvec_facet('filter_items_all', 'mood');
SELECT * FROM omenvec_facet('filter_items_all', 'i2', 3);
SELECT * FROM omenvec_facet('filter_items_all', 'expr', 2);
WITH facet AS (SELECT value::integer[], count FROM omenvec_facet('filter_items_all', 'ints', 1000)),
    counted AS (SELECT ints, count(*) FROM filter_items GROUP BY ints)
(TABLE facet EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE facet);

-- The same in one segment, merged
SELECT omenvec_optimize('filter_items_all', true);
SELECT * FROM omenvec_check('filter_items_all');
SELECT t.* FROM unnest(ARRAY[
    'i2 = 3', 'num = 0.29', 'name LIKE ''Ann%''', 'u = md5(''7'')::uuid', 'texts && ARRAY[''t5'', ''t3'']', 'js @> ''{"n": 2}''',
    'pt <@ circle ''<(10,10),2.5>''', 'i4 IS NULL', 'v IS NULL AND i4 < 250', 'name = ''Bob'' AND i4 = 3', 'flag AND mood = ''ok'''
    ]) AS condition, filter_test(condition) AS t;
WITH facet AS (SELECT value::integer, count FROM omenvec_facet('filter_items_all', 'i4', 1000)),
    counted AS (SELECT i4, count(*) FROM filter_items GROUP BY i4)
(TABLE facet EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE facet);

DROP TABLE filter_items CASCADE;
DROP TYPE filter_mood;
