-- A million queries in one backend: does it slow down, does it grow?
--
--   psql -f bench/long_backend.sql -v queries=1000000 DATABASE
--
-- For superusers (reads /proc/self), in a database with omenvec.  Three parts of so
-- many queries each: the same index; rows inserted, sealed and merged every
-- hundredth of them; an index made and dropped every hundredth.  Each prints the
-- processor time of a query in the first and the last hundredth, the bytes in
-- memory contexts, the process's own memory and the resident copies it has mapped.

\set QUIET on
\pset format unaligned
\pset footer off
\if :{?queries}
\else
	\set queries 1000000
\endif
SET client_min_messages = warning;

CREATE SCHEMA long_backend;
SET search_path = long_backend, public;

CREATE TABLE items (id int, v vector(16));
ALTER TABLE items ALTER v SET STORAGE PLAIN;

CREATE FUNCTION random_vector() RETURNS vector LANGUAGE sql VOLATILE AS
$$ SELECT array_agg(random())::real[]::vector FROM generate_series(1, 16) $$;

CREATE FUNCTION state() RETURNS TABLE (cpu_ns bigint, context_kb bigint, private_kb bigint, copies bigint) LANGUAGE sql VOLATILE AS
$$
	SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint,
		   (SELECT sum(used_bytes) / 1024 FROM pg_backend_memory_contexts)::bigint,
		   substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::bigint,
		   (SELECT count(*) FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), '\n') AS line
			WHERE line ~ 'r--s.*pgsql_tmp_omenvec')
$$;

CREATE TABLE log (part text, hundredth int, cpu_ns bigint, context_kb bigint, private_kb bigint, copies bigint);

-- n queries, one after the other, as prepared statements
CREATE FUNCTION search(n int) RETURNS void LANGUAGE plpgsql AS
$$
DECLARE
	q vector := long_backend.random_vector();
	found int;
BEGIN
	FOR i IN 1 .. n LOOP
		SELECT id INTO found FROM long_backend.items ORDER BY v <-> q LIMIT 1;
	END LOOP;
END
$$;

CREATE PROCEDURE run(part text, n int) LANGUAGE plpgsql AS
$$
DECLARE
	before record;
	after record;
BEGIN
	FOR hundredth IN 1 .. 100 LOOP
		IF part = 'merges' THEN
			INSERT INTO items SELECT 0, random_vector() FROM generate_series(1, 50);
			PERFORM omenvec_optimize('items_v', hundredth % 10 = 0);
			PERFORM omenvec_prewarm('items_v');
		ELSIF part = 'rebuilds' THEN
			DROP INDEX items_v;
			CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (autoseal = off);
			PERFORM omenvec_prewarm('items_v');
		END IF;
		COMMIT;
		PERFORM search(100);
		COMMIT;
		SELECT * INTO before FROM state();
		PERFORM search(n / 100);
		COMMIT;
		SELECT * INTO after FROM state();
		INSERT INTO log VALUES (part, hundredth, after.cpu_ns - before.cpu_ns,
								after.context_kb, after.private_kb, after.copies);
		COMMIT;
	END LOOP;
END
$$;

INSERT INTO items SELECT i, random_vector() FROM generate_series(1, 3000) AS i;
CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (autoseal = off);
SELECT omenvec_prewarm('items_v') > 0 AS prewarmed \gset
SET enable_seqscan = off;
SET enable_sort = off;
SET omenhnsw.ef_search = 10;
CALL run('queries', :queries);
CALL run('merges', :queries / 10);
CALL run('rebuilds', :queries / 10);

\echo part|hundredth|us a query|contexts, kB|private, kB|copies mapped
\pset tuples_only on
SELECT part, hundredth, round(cpu_ns / 10.0 / :queries * CASE part WHEN 'queries' THEN 1 ELSE 10 END, 2),
	   context_kb, private_kb, copies
FROM log WHERE hundredth IN (1, 2, 25, 50, 75, 99, 100) ORDER BY part = 'rebuilds', part = 'merges', hundredth;
DROP SCHEMA long_backend CASCADE;
