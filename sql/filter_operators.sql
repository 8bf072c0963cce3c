-- Operators and comparisons that others have written: they may raise errors and
-- catch them, insert into the very table, and keep things for their next call.

SET omenvec.max_maintenance_workers = 0;

CREATE TABLE operator_rows (id int, v vector(2), n int);

-- Catching an error ends a subtransaction, which lets go of all locks of pages.
CREATE FUNCTION same_rest(int, int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	PERFORM 1 / ($1 % 10 - $2);
	RETURN false;
EXCEPTION WHEN division_by_zero THEN
	RETURN true;
END $$;

-- The row that it adds to the table goes to the tail that is being read.
CREATE FUNCTION same_and_insert(int, int) RETURNS boolean LANGUAGE plpgsql VOLATILE STRICT AS $$
BEGIN
	IF $1 = $2 THEN
		INSERT INTO operator_rows VALUES (0, '[0,0]', -1);
	END IF;
	RETURN $1 = $2;
END $$;

-- No simple expression, so that it is not inlined: a query that is planned for each FmgrInfo.
CREATE FUNCTION same_by_query(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT $1 = $2 LIMIT 1';
CREATE FUNCTION compare_by_query(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint4cmp($1, $2) LIMIT 1';

CREATE SEQUENCE calls;
CREATE FUNCTION same_counted(int, int) RETURNS boolean LANGUAGE plpgsql VOLATILE STRICT AS $$
BEGIN
	PERFORM nextval('calls');
	RETURN $1 = $2;
END $$;

CREATE OPERATOR %== (FUNCTION = same_rest, LEFTARG = int, RIGHTARG = int, RESTRICT = eqsel);
CREATE OPERATOR +== (FUNCTION = same_and_insert, LEFTARG = int, RIGHTARG = int, RESTRICT = eqsel);
CREATE OPERATOR ?== (FUNCTION = same_by_query, LEFTARG = int, RIGHTARG = int, RESTRICT = eqsel);
CREATE OPERATOR #== (FUNCTION = same_counted, LEFTARG = int, RIGHTARG = int, RESTRICT = eqsel);
CREATE OPERATOR CLASS operator_ops FOR TYPE int USING omenhnsw AS
	OPERATOR 10 %==, OPERATOR 11 +==, OPERATOR 12 ?==, OPERATOR 13 #==, FUNCTION 2 compare_by_query(int, int);

CREATE INDEX operator_rows_i ON operator_rows USING omenhnsw (v vector_l2_ops, n operator_ops) WITH (autoseal = off);
INSERT INTO operator_rows SELECT i, ARRAY[i, 0]::vector, i FROM generate_series(1, 400) AS i;
SET enable_seqscan = off;

-- of a tail
EXPLAIN (COSTS OFF) SELECT id FROM operator_rows WHERE n %== 3 ORDER BY v <-> '[100,0]' LIMIT 3;
SELECT id FROM operator_rows WHERE n %== 3 ORDER BY v <-> '[100,0]' LIMIT 3;
SELECT id FROM operator_rows WHERE n +== 3 ORDER BY v <-> '[100,0]' LIMIT 3;
SELECT id FROM operator_rows WHERE n ?== 3 ORDER BY v <-> '[100,0]' LIMIT 3;

-- of a segment and a tail
SELECT omenvec_optimize('operator_rows_i');
INSERT INTO operator_rows SELECT i, ARRAY[i, 0]::vector, i FROM generate_series(401, 800) AS i;
SELECT id FROM operator_rows WHERE n %== 3 ORDER BY v <-> '[400,0]' LIMIT 3;
SELECT id FROM operator_rows WHERE n +== 3 ORDER BY v <-> '[400,0]' LIMIT 3;
SELECT id FROM operator_rows WHERE n ?== 3 ORDER BY v <-> '[400,0]' LIMIT 3;
SELECT count(*) FROM operator_rows WHERE id = 0;
SELECT * FROM omenvec_check('operator_rows_i');

-- What functions keep goes with each rescan.
BEGIN;
DECLARE each CURSOR FOR SELECT k, s.id FROM generate_series(1, 2000) AS k,
	LATERAL (SELECT id FROM operator_rows WHERE n ?== k % 5 ORDER BY v <-> '[0,0]' LIMIT 1) AS s;
MOVE 10 FROM each;
SELECT sum(total_bytes) AS bytes_before FROM pg_backend_memory_contexts \gset
MOVE 1000 FROM each;
SELECT sum(total_bytes) - :bytes_before < 4 * 1024 * 1024 AS stays_small FROM pg_backend_memory_contexts;
COMMIT;

-- Each value of a segment is tested once while the argument stays the same: 3 times here.
SELECT omenvec_optimize('operator_rows_i');
SELECT setval('calls', 1) AS before \gset
SELECT o, k, s.id FROM (VALUES (1, 3), (2, 3), (3, 3), (4, 500), (5, 500), (6, NULL), (7, 3), (8, 3)) AS q (o, k),
	LATERAL (SELECT id FROM operator_rows WHERE n #== k ORDER BY v <-> ARRAY[o, 0]::vector LIMIT 1) AS s ORDER BY o;
SELECT currval('calls') - 1 = 3 * count(DISTINCT n) AS tested_thrice FROM operator_rows;

-- Whoever has an index optimized or checked, its functions run with its owner's rights.
CREATE ROLE regress_operators;
CREATE FUNCTION compare_as_owner(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	IF current_user <> 'regress_operators' THEN
		RAISE EXCEPTION 'compared by %', current_user;
	END IF;
	PERFORM set_config('enable_sort', 'off', false);
	RETURN btint4cmp($1, $2);
END $$;
CREATE OPERATOR CLASS owner_ops FOR TYPE int USING omenhnsw AS OPERATOR 5 =, FUNCTION 2 compare_as_owner(int, int);
CREATE TABLE owned_rows (v vector(2), n int);
ALTER TABLE owned_rows OWNER TO regress_operators;
CREATE INDEX owned_rows_i ON owned_rows USING omenhnsw (v vector_l2_ops, n owner_ops) WITH (autoseal = off);
INSERT INTO owned_rows SELECT ARRAY[i, 0]::vector, i % 9 FROM generate_series(1, 100) AS i;
SELECT omenvec_optimize('owned_rows_i');
SELECT * FROM omenvec_check('owned_rows_i');
SELECT current_user = session_user AS myself_again, current_setting('enable_sort');

DROP TABLE operator_rows, owned_rows;
DROP OPERATOR FAMILY owner_ops USING omenhnsw;
DROP FUNCTION compare_as_owner;
DROP ROLE regress_operators;
DROP OPERATOR FAMILY operator_ops USING omenhnsw;
DROP OPERATOR %== (int, int);
DROP OPERATOR +== (int, int);
DROP OPERATOR ?== (int, int);
DROP FUNCTION same_rest, same_and_insert, same_by_query, compare_by_query;
