-- Tenants of very different sizes in one index, with and without group_by: what a
-- search costs and finds, by the tenant's size.  As a superuser, on Linux, in a
-- database with the extension and tables (id integer, v vector(…)):
--
--   psql -v vectors=sift -v queries=sift_queries -v operator='<->' -v opclass=vector_l2_ops -f bench/tenants.sql
--
-- Row i is of a tenant by its hash: of 10,000, whose sizes fall as 1, 1/2, 1/3, ….
-- Prints, for ten tenants of about each size (and for the largest) with 20 queries
-- each, and for searches without a tenant, of the index without and with the
-- option: recall@10; µs of the backend's processor time a statement, the least of
-- five means, with resident copies and from pages; pages read, those of the table
-- included, where nothing stays in memory (temporary tables, 100 buffers).

\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS bench_tenants CASCADE;
CREATE SCHEMA bench_tenants;
SELECT set_config('search_path', 'bench_tenants, ' || current_setting('search_path'), false) AS path \gset

CREATE TABLE shares AS
SELECT place, row_number() OVER (ORDER BY hashint8extended(place, 1)) AS tenant,
	sum(1.0::float8 / place) OVER (ORDER BY place) / sum(1.0::float8 / place) OVER () AS upto
FROM generate_series(1, 10000) AS place;
CREATE INDEX ON shares (upto);
CREATE TABLE apart AS
SELECT id, (SELECT tenant::integer FROM shares WHERE upto > (hashint8extended(id, 2) & 1073741823) / 1073741824.0::float8
			ORDER BY upto LIMIT 1) AS tenant, v
FROM :vectors ORDER BY id;
CREATE TABLE together AS TABLE apart;
CREATE INDEX ON apart (id);
CREATE INDEX ON together (id);
CREATE INDEX apart_v ON apart USING omenhnsw (v :opclass, tenant);
CREATE INDEX together_v ON together USING omenhnsw (v :opclass, tenant) WITH (group_by = 2);
VACUUM ANALYZE apart, together;
CREATE TABLE asked AS SELECT id, v FROM :queries ORDER BY hashint8extended(id, 3) LIMIT 200;
CREATE TABLE sizes AS SELECT tenant, count(*) AS rows FROM apart GROUP BY tenant;

-- Ten tenants of each size; a size of NULL is for searches without a tenant.
CREATE TABLE tenants AS
SELECT size, s.* FROM unnest('{10,30,100,300,1000,2000,1000000}'::integer[]) AS size,
	LATERAL (SELECT * FROM sizes ORDER BY abs(rows - size), tenant LIMIT CASE WHEN size = 1000000 THEN 1 ELSE 10 END) AS s;
CREATE TABLE searches AS
SELECT size, tenant, q.id, q.v FROM tenants, (SELECT * FROM asked LIMIT 20) AS q
UNION ALL SELECT NULL, NULL, id, v FROM asked;
CREATE TABLE truth AS
SELECT s.*, (SELECT array_agg(d) FROM (
	SELECT (v :operator s.v) + 0 AS d FROM apart WHERE tenant = s.tenant OR s.tenant IS NULL ORDER BY 1 LIMIT 10) AS near) AS distances
FROM searches AS s;
CREATE TABLE figures (what text, of text, size integer, figure numeric);

SELECT format('CREATE FUNCTION search(of text, t integer, q vector) RETURNS integer[] LANGUAGE plpgsql AS %L', format($$
BEGIN
	IF of = 'apart' AND t IS NULL THEN
		RETURN ARRAY(SELECT id FROM apart ORDER BY v %1$s q LIMIT 10);
	ELSIF of = 'apart' THEN
		RETURN ARRAY(SELECT id FROM apart WHERE tenant = t ORDER BY v %1$s q LIMIT 10);
	ELSIF t IS NULL THEN
		RETURN ARRAY(SELECT id FROM together ORDER BY v %1$s q LIMIT 10);
	ELSE
		RETURN ARRAY(SELECT id FROM together WHERE tenant = t ORDER BY v %1$s q LIMIT 10);
	END IF;
END $$, :'operator')) \gexec

-- Rows that are as near as the true neighbours.
SELECT format('CREATE FUNCTION hits(ids integer[], q vector, distances float8[]) RETURNS bigint LANGUAGE sql AS %L', format(
	'SELECT count(*) FROM apart WHERE id = ANY (ids) AND (v %s q) + 0 <= distances[array_upper(distances, 1)]', :'operator')) \gexec

SELECT format('CREATE FUNCTION pages(of text, t integer, q vector) RETURNS integer LANGUAGE plpgsql AS %L', format($$
DECLARE
	plan json;
BEGIN
	EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT json) SELECT id FROM %%I %%s ORDER BY v %1$s %%L LIMIT 10',
				   of, 'WHERE tenant = ' || t, q) INTO plan;
	RETURN plan #>> '{0,Plan,Local Read Blocks}';
END $$, :'operator')) \gexec

CREATE FUNCTION cpu_ns() RETURNS bigint LANGUAGE sql VOLATILE AS
	$$ SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint $$;

-- Mean time of a size's searches: the least of five, each over .1 s.
CREATE FUNCTION mean_us(searched_of text, searched integer) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	least_ns numeric := 'infinity';
	began bigint;
	n integer;
BEGIN
	FOR i IN 1 .. 5 LOOP
		began := cpu_ns();
		n := 0;
		WHILE cpu_ns() - began < 100000000 LOOP
			PERFORM search(searched_of, tenant, v) FROM searches WHERE size IS NOT DISTINCT FROM searched;
			n := n + (SELECT count(*) FROM searches WHERE size IS NOT DISTINCT FROM searched);
		END LOOP;
		least_ns := least(least_ns, (cpu_ns() - began)::numeric / n);
	END LOOP;
	RETURN least_ns / 1000;
END $$;

\c -
SET search_path = :path;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET plan_cache_mode = force_generic_plan;
INSERT INTO figures SELECT 'recall', of, size, sum(hits(search(of, tenant, v), v, distances)) / sum(array_length(distances, 1))
FROM truth, unnest('{apart,together}'::text[]) AS of GROUP BY of, size;
INSERT INTO figures SELECT 'resident', of, size, mean_us(of, size)
FROM (SELECT DISTINCT size FROM searches) AS s, unnest('{apart,together}'::text[]) AS of ORDER BY size;

ALTER SYSTEM SET omenvec.resident_memory = 0;
SELECT pg_reload_conf(), pg_sleep(1) \g /dev/null
\c -
SET search_path = :path;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET plan_cache_mode = force_generic_plan;
INSERT INTO figures SELECT 'from pages', of, size, mean_us(of, size)
FROM (SELECT DISTINCT size FROM searches) AS s, unnest('{apart,together}'::text[]) AS of ORDER BY size;

\c -
SET temp_buffers = 100;
SET search_path = :path;
CREATE TEMP TABLE apart AS TABLE bench_tenants.apart;
CREATE TEMP TABLE together AS TABLE bench_tenants.apart;
CREATE INDEX ON apart USING omenhnsw (v :opclass, tenant);
CREATE INDEX ON together USING omenhnsw (v :opclass, tenant) WITH (group_by = 2);
ANALYZE apart, together;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
-- one tenant after the other
INSERT INTO figures SELECT 'pages', of, size, avg(n)
FROM (SELECT of, size, pages(of, tenant, v) AS n
	  FROM (SELECT * FROM searches, unnest('{apart,together}'::text[]) AS of ORDER BY of, size, id, tenant) AS s) AS s
GROUP BY of, size;
ALTER SYSTEM RESET omenvec.resident_memory;
SELECT pg_reload_conf() \g /dev/null

SELECT max(rows) AS largest, percentile_disc(0.5) WITHIN GROUP (ORDER BY rows) AS median, count(*) AS tenants FROM sizes;
SELECT coalesce(round(avg(rows))::text, 'all') AS rows,
	string_agg(DISTINCT recall, ', ') AS recall, string_agg(DISTINCT resident, ', ') AS resident_us,
	string_agg(DISTINCT from_pages, ', ') AS us_from_pages, string_agg(DISTINCT pages, ', ') AS pages
FROM (SELECT size,
		string_agg(round(figure, 3)::text, ' → ' ORDER BY of) FILTER (WHERE what = 'recall') AS recall,
		string_agg(round(figure)::text, ' → ' ORDER BY of) FILTER (WHERE what = 'resident') AS resident,
		string_agg(round(figure)::text, ' → ' ORDER BY of) FILTER (WHERE what = 'from pages') AS from_pages,
		string_agg(round(figure)::text, ' → ' ORDER BY of) FILTER (WHERE what = 'pages') AS pages
	  FROM figures GROUP BY size) AS s LEFT JOIN tenants USING (size)
GROUP BY size ORDER BY size;
SET client_min_messages = warning;
DROP SCHEMA bench_tenants CASCADE;
