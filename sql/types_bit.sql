--
-- Core type bit: distances between bit strings.
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

SELECT * FROM pg_temp.try_all(
    $$hamming_distance(B'111', B'110')$$, $$B'10101' <~> B'01010'$$, $$B'1' <~> B'1'$$, $$B'' <~> B''$$,
    $$B'111' <~> B'00'$$, $$'111'::varbit::bit(3) <~> B'000'$$,
    $$jaccard_distance(B'1111', B'1110')$$, $$B'1100' <%> B'0011'$$, $$B'0000' <%> B'0000'$$,
    $$B'1111' <%> B'1111'$$, $$B'' <%> B''$$, $$B'111' <%> B'00'$$, $$hamming_distance(NULL, B'1')$$);

-- every length that a kernel may treat apart, against counts of digits
CREATE TEMP VIEW lengths AS
SELECT count(*) AS n,
    count(*) FILTER (WHERE a <~> b <> length(replace((a # b)::text, '0', ''))) AS hamming,
    count(*) FILTER (WHERE abs((a <%> b) - (1 - length(replace((a & b)::text, '0', ''))::float8
        / length(replace((a | b)::text, '0', '')))) > 1e-15) AS jaccard
FROM (SELECT string_agg((i * i % 7 % 2)::text, '' ORDER BY i)::varbit AS a,
          string_agg((i * 5 % 11 % 2)::text, '' ORDER BY i)::varbit AS b
      FROM generate_series(2, 700) AS n, generate_series(1, n) AS i GROUP BY n) AS v;
SELECT * FROM lengths;
SET omenvec.simd = scalar;
SELECT * FROM lengths;
RESET omenvec.simd;

-- stored inline, as a short varlena, and out of line
CREATE TABLE stored (id int, v varbit);
INSERT INTO stored SELECT length, repeat('10', length / 2)::varbit
FROM unnest(ARRAY[4, 900, 2000, 100000]) AS length;
SELECT id, v <~> ~v AS hamming, v <~> v AS same, v <%> (v | ~v) AS jaccard FROM stored ORDER BY id;
SELECT id, v <~> repeat('11', id / 2)::varbit AS hamming FROM stored ORDER BY v <~> v, id;
DROP TABLE stored;

-- from quantized vectors
SELECT binary_quantize('[1,-1,1]'::vector) <~> binary_quantize('[1,1,1]'::halfvec) AS hamming;
