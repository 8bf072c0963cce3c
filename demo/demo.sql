-- The demo: run by "./dev demo" with psql in this folder.  Everything happens
-- in a scratch server that goes away afterwards.

\pset footer off
\pset linestyle unicode
\pset border 1
\set k 10

CREATE EXTENSION omenvec;

CREATE TABLE packages (
    id int PRIMARY KEY,
    name text,
    section text,
    installed_size int,             -- KiB
    summary text,
    embedding vector(384)
);
CREATE TABLE phrases (id int PRIMARY KEY, phrase text, embedding vector(384));

\copy packages FROM PROGRAM 'gzip -dc data/packages.copy.gz'
\copy phrases FROM PROGRAM 'gzip -dc data/queries.copy.gz'
VACUUM ANALYZE packages, phrases;

SELECT clock_timestamp() AS build_start \gset
CREATE INDEX packages_embedding ON packages USING omenhnsw (embedding vector_cosine_ops);
SELECT extract(epoch FROM clock_timestamp() - :'build_start'::timestamptz) AS build_s \gset

\echo
\echo 'How PostgreSQL answers such a query:'
\echo
EXPLAIN (COSTS OFF)
SELECT name, summary FROM packages
ORDER BY embedding <=> (SELECT embedding FROM phrases WHERE phrase = 'edit photos') LIMIT 5;

\echo
\echo 'What the index finds for a few phrases, as people type them:'
\echo
SELECT CASE WHEN near.place = 1 THEN p.phrase END AS phrase,
       near.name AS package,
       near.summary,
       round(near.distance::numeric, 3) AS distance
FROM phrases AS p,
     LATERAL (SELECT name, summary, distance, row_number() OVER (ORDER BY distance) AS place
              FROM (SELECT name, regexp_replace(summary, '(.{58})...+', '\1…') AS summary,
                           embedding <=> p.embedding AS distance
                    FROM packages
                    ORDER BY embedding <=> p.embedding LIMIT 3) AS nearest) AS near
WHERE p.phrase IN ('edit photos', 'recover deleted files', 'block advertisements while browsing',
                   'find out what is using up disk space', 'play mp3 in the terminal')
ORDER BY p.id, near.place;

-- Against the truth: the same question without the index.  A package at the
-- same distance as the last of the true ones is as good as that one.
CREATE TEMP TABLE found AS
SELECT p.id AS phrase_id, near.id, near.distance
FROM phrases AS p,
     LATERAL (SELECT id, embedding <=> p.embedding AS distance
              FROM packages ORDER BY embedding <=> p.embedding LIMIT :k) AS near;

SET enable_indexscan = off;
SELECT clock_timestamp() AS exact_start \gset
CREATE TEMP TABLE truth AS
SELECT p.id AS phrase_id, near.id, near.distance
FROM phrases AS p,
     LATERAL (SELECT id, embedding <=> p.embedding AS distance
              FROM packages ORDER BY embedding <=> p.embedding LIMIT :k) AS near;
SELECT extract(epoch FROM clock_timestamp() - :'exact_start'::timestamptz) AS exact_s \gset
RESET enable_indexscan;

CREATE TEMP TABLE recall AS
SELECT phrase_id, count(*) FILTER (WHERE f.distance <= t.farthest) / :k::float8 AS share
FROM (SELECT phrase_id, max(distance) AS farthest FROM truth GROUP BY phrase_id) AS t
     JOIN found AS f USING (phrase_id)
GROUP BY phrase_id;

\echo 'In figures:'
\echo
SELECT what, figure
FROM (VALUES
      (1, 'packages, dimensions',
       (SELECT format('%s, %s', count(*), max(vector_dims(embedding))) FROM packages)),
      (2, 'index built in',
       format('%s s', round(:build_s::numeric, 2))),
      (3, 'vectors a second',
       (SELECT round(count(*) / :build_s)::text FROM packages)),
      (4, 'size of the index',
       pg_size_pretty(pg_relation_size('packages_embedding'))),
      (5, 'size of the table',
       pg_size_pretty(pg_table_size('packages'))),
      (6, 'recall@' || :k || ', all phrases',
       (SELECT round(avg(share)::numeric, 4)::text FROM recall)),
      (7, 'phrases answered exactly',
       (SELECT format('%s of %s', count(*) FILTER (WHERE share = 1), count(*)) FROM recall)),
      (8, 'exact answer without index',
       (SELECT format('%s ms a phrase', round((:exact_s * 1000 / count(*))::numeric, 1)) FROM phrases))
     ) AS figures (place, what, figure)
ORDER BY place;
