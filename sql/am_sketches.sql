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
        FROM unnest(ARRAY['quantization = low_bit', 'quantization = low_bit, bits = 2', 'quantization = low_bit, bits = 4']) WITH ORDINALITY AS options (o, n),
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
