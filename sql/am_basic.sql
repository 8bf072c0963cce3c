--
-- omenhnsw: what a query gets.  Each answer is compared with the same query
-- answered without the index.
--
SELECT current_setting('omenhnsw.ef_search', true) IS NULL AS not_loaded_yet;
LOAD 'omenvec';
SET jit = off;
SHOW omenhnsw.ef_search;

CREATE TABLE am_items (id integer PRIMARY KEY, embedding vector(4));
INSERT INTO am_items
SELECT i, ARRAY[sin(i), cos(i * 1.3), sin(i * 0.7 + 1), i % 10 / 7.0 - 0.6]::real[]::vector
FROM generate_series(1, 500) AS i;

CREATE INDEX am_items_l2 ON am_items USING omenhnsw (embedding vector_l2_ops);
CREATE INDEX am_items_ip ON am_items USING omenhnsw (embedding vector_ip_ops);
CREATE INDEX am_items_cosine ON am_items USING omenhnsw (embedding vector_cosine_ops);
CREATE INDEX am_items_l1 ON am_items USING omenhnsw (embedding vector_l1_ops);

-- What a query returns by index, or by sort; the plan is looked at.
CREATE FUNCTION am_answer(query text, use_index boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    line text;
    plan text := '';
    answer text;
BEGIN
    PERFORM set_config('enable_indexscan', use_index::text, true);
    PERFORM set_config('enable_seqscan', (NOT use_index)::text, true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || line;
    END LOOP;
    IF (plan LIKE '%Index Scan%') <> use_index THEN
        RAISE EXCEPTION 'unexpected plan: %', plan;
    END IF;
    EXECUTE format('SELECT string_agg(s::text, '' '') FROM (%s) AS s', query) INTO answer;
    RETURN answer;
END $$;

CREATE FUNCTION am_same(query text) RETURNS boolean
LANGUAGE sql AS $$ SELECT am_answer(query, true) IS NOT DISTINCT FROM am_answer(query, false) $$;

-- The four metrics
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <#> '[0.1,0.2,0.3,0.4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <=> '[0.1,0.2,0.3,0.4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <+> '[0.1,0.2,0.3,0.4]' LIMIT 5;

SELECT id, round((embedding <-> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance
FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' LIMIT 5;
SELECT id, round((embedding <#> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance
FROM am_items ORDER BY embedding <#> '[0.1,0.2,0.3,0.4]' LIMIT 5;
SELECT id, round((embedding <=> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance
FROM am_items ORDER BY embedding <=> '[0.1,0.2,0.3,0.4]' LIMIT 5;
SELECT id, round((embedding <+> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance
FROM am_items ORDER BY embedding <+> '[0.1,0.2,0.3,0.4]' LIMIT 5;

SELECT operator, n, am_same(format(template, operator, n)) AS same
FROM (VALUES ('SELECT id FROM am_items ORDER BY embedding %s ''[0.1,0.2,0.3,0.4]'' LIMIT %s')) AS t (template),
    unnest(ARRAY['<->', '<#>', '<=>', '<+>']) AS operator,
    unnest(ARRAY['1', '10', '100', '500', '1000', 'ALL']) WITH ORDINALITY AS l (n, place)
ORDER BY operator, place;

-- Every row as the query: it is its own nearest neighbour.
SELECT count(*) FILTER (WHERE q.id = n.id) AS found, count(*) AS queries
FROM am_items AS q,
    LATERAL (SELECT i.id FROM am_items AS i ORDER BY i.embedding <-> q.embedding LIMIT 1) AS n;
EXPLAIN (COSTS OFF)
SELECT q.id, n.id FROM am_items AS q,
    LATERAL (SELECT i.id FROM am_items AS i ORDER BY i.embedding <-> q.embedding LIMIT 1) AS n
WHERE q.id < 4;

-- Rescans, with another query each time
SELECT q.id, array_agg(n.id ORDER BY n.distance) AS nearest
FROM am_items AS q,
    LATERAL (SELECT i.id, i.embedding <-> q.embedding AS distance
             FROM am_items AS i ORDER BY i.embedding <-> q.embedding LIMIT 3) AS n
WHERE q.id <= 5 GROUP BY q.id ORDER BY q.id;

-- OFFSET; a further condition filters the stream, which goes on until there are enough rows
SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' OFFSET 3 LIMIT 2;
SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' OFFSET 500 LIMIT 2;
EXPLAIN (COSTS OFF)
SELECT id FROM am_items WHERE id % 100 = 7 ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' LIMIT 10;
SELECT id FROM am_items WHERE id % 100 = 7 ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' LIMIT 10;
SELECT am_same('SELECT id FROM am_items WHERE id % 100 = 7 ORDER BY embedding <-> ''[0.1,0.2,0.3,0.4]'' LIMIT 10');

-- A limit on the distance
SELECT count(*) FROM (
    SELECT id FROM am_items WHERE embedding <-> '[0.1,0.2,0.3,0.4]' < 0.5
    ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]') AS s;

-- A small beam is no limit to the number of rows
SET omenhnsw.ef_search = 1;
SELECT count(*), count(DISTINCT id)
FROM (SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' LIMIT 400) AS s;
RESET omenhnsw.ef_search;

-- Cursors
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]';
FETCH 2 FROM c;
FETCH 3 FROM c;
MOVE FORWARD 493 IN c;
FETCH ALL FROM c;
FETCH NEXT FROM c;
CLOSE c;
DECLARE s SCROLL CURSOR FOR SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]';
FETCH 3 FROM s;
FETCH BACKWARD 2 FROM s;
FETCH LAST FROM s;
FETCH FIRST FROM s;
ROLLBACK;

-- Prepared statements, with plans for a parameter
PREPARE nearest (vector, integer) AS SELECT id FROM am_items ORDER BY embedding <-> $1 LIMIT $2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest ('[0.1,0.2,0.3,0.4]', 3);
EXECUTE nearest ('[0.1,0.2,0.3,0.4]', 3);
EXECUTE nearest ('[-1,0,1,0]', 2);
EXECUTE nearest (NULL, 0);
RESET plan_cache_mode;
DEALLOCATE nearest;

-- The operator's other argument order, and a query from a sub-select
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY '[0.1,0.2,0.3,0.4]' <-> embedding LIMIT 3;
EXPLAIN (COSTS OFF)
SELECT id FROM am_items ORDER BY embedding <-> (SELECT embedding FROM am_items WHERE id = 17) LIMIT 3;
SELECT id FROM am_items ORDER BY embedding <-> (SELECT embedding FROM am_items WHERE id = 17) LIMIT 3;

-- What the index has no part in
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]' DESC LIMIT 3;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT count(*) FROM am_items;
EXPLAIN (COSTS OFF) SELECT id FROM am_items WHERE embedding = '[0.1,0.2,0.3,0.4]';
EXPLAIN (COSTS OFF) SELECT id FROM am_items WHERE embedding <-> '[0.1,0.2,0.3,0.4]' < 1;

-- NULLs come last, and are there
SET enable_seqscan = off;
INSERT INTO am_items SELECT i, NULL FROM generate_series(501, 503) AS i;
SELECT id, embedding <-> '[0.1,0.2,0.3,0.4]' IS NULL AS without FROM am_items
ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]', id OFFSET 499;
REINDEX TABLE am_items;
SELECT id, embedding <-> '[0.1,0.2,0.3,0.4]' IS NULL AS without FROM am_items
ORDER BY embedding <-> '[0.1,0.2,0.3,0.4]', id OFFSET 499;

-- A NULL query: all rows, in any order
EXPLAIN (COSTS OFF) SELECT id FROM am_items ORDER BY embedding <-> (SELECT NULL::vector);
SELECT count(*), count(DISTINCT id)
FROM (SELECT id FROM am_items ORDER BY embedding <-> (SELECT NULL::vector) LIMIT 600) AS s;

-- The zero vector has no direction: NaN, behind all numbers and before NULL
INSERT INTO am_items VALUES (504, '[0,0,0,0]'), (505, '[0,0,0,0]');
SELECT id, round((embedding <=> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance FROM am_items
ORDER BY embedding <=> '[0.1,0.2,0.3,0.4]', id OFFSET 498;
REINDEX INDEX am_items_cosine;
SELECT round((embedding <=> '[0.1,0.2,0.3,0.4]')::numeric, 4) AS distance, count(*) FROM
    (SELECT embedding FROM am_items ORDER BY embedding <=> '[0.1,0.2,0.3,0.4]' OFFSET 499) AS s
GROUP BY 1 ORDER BY 1;
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE distance = 'NaN') AS nan
FROM (SELECT id, embedding <=> '[0,0,0,0]' AS distance FROM am_items
      ORDER BY embedding <=> '[0,0,0,0]' LIMIT 600) AS s;
-- for the other metrics it is a vector like any other
SELECT id FROM am_items ORDER BY embedding <-> '[0,0,0,0]', id LIMIT 3;
SELECT id FROM am_items ORDER BY embedding <+> '[0,0,0,0]', id LIMIT 3;
SELECT count(*) FROM (SELECT id FROM am_items ORDER BY embedding <#> '[0,0,0,0]' LIMIT 600) AS s;

-- Very large and very small values
CREATE TABLE am_extremes (id integer, v vector(2));
INSERT INTO am_extremes VALUES (1, '[3e38,3e38]'), (2, '[-3e38,-3e38]'), (3, '[1e-38,-1e-38]'), (4, '[1e-45,1e-45]'),
    (5, '[3e38,-1e-45]'), (6, '[1,1]'), (7, '[1e20,1e20]'), (8, '[0,0]'), (9, '[1e-20,1e-20]');
CREATE INDEX ON am_extremes USING omenhnsw (v vector_l2_ops);
CREATE INDEX ON am_extremes USING omenhnsw (v vector_ip_ops);
CREATE INDEX ON am_extremes USING omenhnsw (v vector_cosine_ops);
CREATE INDEX ON am_extremes USING omenhnsw (v vector_l1_ops);
SELECT operator, query, am_same(format(template, operator, query)) AS same
FROM (VALUES ('SELECT v %s %L AS d FROM am_extremes ORDER BY 1')) AS t (template),
    unnest(ARRAY['<->', '<#>', '<=>', '<+>']) AS operator,
    unnest(ARRAY['[1,1]', '[0,0]', '[3e38,3e38]', '[-1e-45,1e-45]', '[1e-20,-1e-20]']) WITH ORDINALITY AS l (query, place)
ORDER BY operator, place;
DROP TABLE am_extremes;

-- An empty table, before and after its first row
CREATE TABLE am_empty (id integer, v vector(3));
CREATE INDEX am_empty_idx ON am_empty USING omenhnsw (v vector_l2_ops);
SELECT id FROM am_empty ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT * FROM omenvec_index_stats('am_empty_idx');
SELECT * FROM omenvec_check('am_empty_idx');
VACUUM am_empty;
INSERT INTO am_empty VALUES (1, '[1,1,1]');
SELECT id FROM am_empty ORDER BY v <-> '[1,2,3]' LIMIT 5;
DELETE FROM am_empty;
SELECT id FROM am_empty ORDER BY v <-> '[1,2,3]' LIMIT 5;
VACUUM am_empty;
SELECT omenvec_optimize('am_empty_idx');
SELECT id FROM am_empty ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT segment_id, kind, state FROM omenvec_index_stats('am_empty_idx') WHERE state <> 'retired';
DROP TABLE am_empty;

-- A graph, not only an exhaustive comparison: larger tables take it without being told
RESET enable_seqscan;
CREATE TABLE am_graph (id integer, v vector(8));
INSERT INTO am_graph
SELECT i, ARRAY[sin(i), sin(i * 1.1), sin(i * 1.2), sin(i * 1.3), cos(i * 1.7), cos(i * 1.9), cos(i * 2.3), cos(i * 3.1)]::real[]::vector
FROM generate_series(1, 10000) AS i;
CREATE INDEX am_graph_idx ON am_graph USING omenhnsw (v vector_l2_ops) WITH (m = 12, ef_construction = 60);
ANALYZE am_graph;
EXPLAIN (COSTS OFF) SELECT id FROM am_graph ORDER BY v <-> '[0,0,0,0,1,1,1,1]' LIMIT 10;
SELECT vectors, mean_degree BETWEEN 8 AND 24 AS plausible_degree FROM omenvec_index_stats('am_graph_idx');
SELECT * FROM omenvec_check('am_graph_idx');
CREATE TABLE am_exact AS
SELECT q.id AS query, n.id, n.rank
FROM am_graph AS q, LATERAL (
    SELECT i.id, row_number() OVER () AS rank
    FROM (SELECT g.id FROM am_graph AS g ORDER BY (g.v <-> q.v) + 0 LIMIT 10) AS i) AS n
WHERE q.id % 400 = 0;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF)
SELECT q.id FROM am_graph AS q, LATERAL (SELECT g.id FROM am_graph AS g ORDER BY g.v <-> q.v LIMIT 10) AS n WHERE q.id % 400 = 0;
SELECT count(*) >= 0.95 * (SELECT count(*) FROM am_exact) AS recall_at_10_is_good
FROM am_graph AS q,
    LATERAL (SELECT g.id FROM am_graph AS g ORDER BY g.v <-> q.v LIMIT 10) AS n,
    am_exact AS e
WHERE q.id % 400 = 0 AND e.query = q.id AND e.id = n.id;
-- all rows leave the stream, each once, and nearly in order: a beam that resumes may find a nearer one
SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE distance < previous) < 50 AS in_order
FROM (SELECT id, distance, lag(distance) OVER () AS previous
      FROM (SELECT id, v <-> '[0,0,0,0,1,1,1,1]' AS distance FROM am_graph
            ORDER BY v <-> '[0,0,0,0,1,1,1,1]' LIMIT 20000) AS s) AS t;
RESET enable_seqscan;

DROP TABLE am_exact, am_graph, am_items;
DROP FUNCTION am_same, am_answer;
