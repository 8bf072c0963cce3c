-- Rows grouped by an attribute, and tenants that must not learn of each other
SET omenvec.max_maintenance_workers = 0;
CREATE FUNCTION tenants_vector(i integer) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((i * (d * 2 + 1) * 7919 + i * i * d) % 251)::vector FROM generate_series(1, 8) AS d $$;
CREATE TABLE tenants_docs (id integer, v vector(8), tenant text, category text, price numeric);
INSERT INTO tenants_docs SELECT i, tenants_vector(i), 'tenant' || i % 7, 'c' || i % 5, i FROM generate_series(1, 700) AS i;

-- The option
CREATE INDEX ON tenants_docs USING omenhnsw (v vector_l2_ops, tenant) WITH (group_by = 1);
CREATE INDEX ON tenants_docs USING omenhnsw (v vector_l2_ops, tenant) WITH (group_by = 3);
CREATE INDEX ON tenants_docs USING omenhnsw (v vector_l2_ops) WITH (group_by = 2);
CREATE INDEX ON tenants_docs USING omenhnsw (v vector_l2_ops, tenant) WITH (group_by = -1);
CREATE INDEX ON tenants_docs USING omenhnsw (v vector_l2_ops, tenant) WITH (group_by = 'tenant');
CREATE INDEX tenants_docs_v ON tenants_docs USING omenhnsw (v vector_l2_ops, category, tenant) WITH (group_by = 3);
SELECT pg_get_indexdef('tenants_docs_v'::regclass);
SELECT index_column, name, grouped FROM omenvec_attributes('tenants_docs_v');
SELECT * FROM omenvec_check('tenants_docs_v');

-- It takes effect when the index is built
ALTER INDEX tenants_docs_v SET (group_by = 1);
ALTER INDEX tenants_docs_v SET (group_by = 2);
SELECT index_column, name, grouped FROM omenvec_attributes('tenants_docs_v');
REINDEX INDEX tenants_docs_v;
SELECT index_column, name, grouped FROM omenvec_attributes('tenants_docs_v');
SELECT * FROM omenvec_check('tenants_docs_v');
ALTER INDEX tenants_docs_v RESET (group_by);
SELECT omenvec_optimize('tenants_docs_v', true);
SELECT index_column, name, grouped FROM omenvec_attributes('tenants_docs_v');
SELECT * FROM omenvec_check('tenants_docs_v');
REINDEX INDEX tenants_docs_v;
SELECT index_column, name, grouped FROM omenvec_attributes('tenants_docs_v');
ALTER INDEX tenants_docs_v SET (group_by = 4);
REINDEX INDEX tenants_docs_v;
ALTER INDEX tenants_docs_v SET (group_by = 3);
REINDEX INDEX tenants_docs_v;

-- A column's new name changes nothing
ALTER TABLE tenants_docs RENAME tenant TO tenant_id;
REINDEX INDEX tenants_docs_v;
SELECT pg_get_indexdef('tenants_docs_v'::regclass);

-- Rows with equal vectors are one node, of the first row's tenant; NULL comes last
INSERT INTO tenants_docs SELECT i, tenants_vector(i % 20), nullif('tenant' || i % 7, 'tenant3'), 'c1', 1 FROM generate_series(701, 1000) AS i;
SELECT omenvec_optimize('tenants_docs_v');
SELECT * FROM omenvec_check('tenants_docs_v');
REINDEX INDEX tenants_docs_v;
SELECT * FROM omenvec_check('tenants_docs_v');
SET enable_seqscan = off;
SELECT tenant, n = expected AS all FROM (SELECT DISTINCT tenant_id FROM tenants_docs) AS t (tenant),
	LATERAL (SELECT count(*) AS n FROM (SELECT id FROM tenants_docs WHERE tenant_id = tenant ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s) AS found,
	LATERAL (SELECT count(*) AS expected FROM tenants_docs WHERE tenant_id = tenant) AS s ORDER BY 1;
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE tenant_id IS NULL ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;

-- Row-level security: a tenant sees its own rows, and nothing tells it of others'
INSERT INTO tenants_docs VALUES (2001, tenants_vector(2001), 'tenant5', 'only of 5', 13);
CREATE ROLE regress_tenant1;
GRANT CREATE ON SCHEMA public TO regress_tenant1;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenants_docs TO regress_tenant1;
ALTER TABLE tenants_docs ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants_docs USING (tenant_id = 'tenant' || current_setting('tenants.number'));
SET tenants.number = 1;
SET ROLE regress_tenant1;
EXPLAIN (COSTS OFF) SELECT id FROM tenants_docs WHERE category = 'c2' ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3;
SELECT DISTINCT tenant_id FROM (SELECT tenant_id FROM tenants_docs ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
SELECT id, tenant_id FROM tenants_docs WHERE tenant_id = 'tenant5' ORDER BY v <-> '[0,0,0,0,0,0,0,0]';
SELECT id FROM tenants_docs WHERE category = 'only of 5' ORDER BY v <-> '[0,0,0,0,0,0,0,0]';
SELECT * FROM omenvec_last_scan();
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE category = 'c2' ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
SELECT * FROM omenvec_last_scan();
SELECT * FROM omenvec_facet('tenants_docs_v', 'category');
SELECT * FROM omenvec_facet('tenants_docs_v', 'tenant');
SELECT * FROM omenvec_attributes('tenants_docs_v');
SELECT * FROM omenvec_index_stats('tenants_docs_v');
SELECT * FROM omenvec_check('tenants_docs_v');
SELECT omenvec_optimize('tenants_docs_v');
-- As many queries as the tenant has rows, at most
SELECT queries <= (SELECT count(*) FROM tenants_docs) AS own_only FROM omenvec_recall('tenants_docs_v', 5, 1000);

-- Functions and operators that tell what they see, and errors, are of its own rows only
CREATE FUNCTION tenants_tell(seen text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	IF seen <> 'tenant1' THEN RAISE EXCEPTION 'saw a row of %', seen; END IF;
	RETURN true;
END $$;
CREATE FUNCTION tenants_tell(seen text, text) RETURNS boolean LANGUAGE sql COST 0.0001 AS 'SELECT tenants_tell(seen)';
CREATE OPERATOR ^^^ (LEFTARG = text, RIGHTARG = text, FUNCTION = tenants_tell);
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE tenants_tell(tenant_id) ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE tenant_id ^^^ 'x' ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE 1 / (price - 13) < 2 ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
SELECT count(*) FROM (SELECT id FROM tenants_docs WHERE tenant_id LIKE '%5' ORDER BY v <-> '[0,0,0,0,0,0,0,0]') AS s;
EXPLAIN (COSTS OFF) SELECT id FROM tenants_docs WHERE category LIKE 'only%' AND tenants_tell(tenant_id) ORDER BY v <-> '[0,0,0,0,0,0,0,0]';
-- Others' rows cannot be written either
INSERT INTO tenants_docs VALUES (3000, '[1,2,3,4,5,6,7,8]', 'tenant5', 'c1', 1);
UPDATE tenants_docs SET category = 'seen' WHERE category = 'only of 5';
DELETE FROM tenants_docs WHERE category = 'only of 5';
DROP OPERATOR ^^^ (text, text);
DROP FUNCTION tenants_tell(text), tenants_tell(text, text);
RESET ROLE;
REVOKE CREATE ON SCHEMA public FROM regress_tenant1;
SELECT id, category FROM tenants_docs WHERE id > 1000;

-- Those who may not read the table do not learn what a function has searched for them
CREATE FUNCTION tenants_nearest(wanted text) RETURNS SETOF integer LANGUAGE sql SECURITY DEFINER AS $$
	SELECT id FROM tenants_docs WHERE category = wanted ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 2 $$;
ALTER TABLE tenants_docs DISABLE ROW LEVEL SECURITY;
SELECT count(*) FROM tenants_nearest('c2');
SELECT count(*) > 0 AS told FROM omenvec_last_scan();
REVOKE ALL ON tenants_docs FROM regress_tenant1;
GRANT SELECT (id, v, category) ON tenants_docs TO regress_tenant1;
SET ROLE regress_tenant1;
SELECT count(*) FROM tenants_nearest('c2');
SELECT count(*) > 0 AS told FROM omenvec_last_scan();
RESET ROLE;
GRANT SELECT (tenant_id) ON tenants_docs TO regress_tenant1;
SET ROLE regress_tenant1;
SELECT count(*) > 0 AS told FROM omenvec_last_scan();
RESET ROLE;

-- What a predicate says of other columns is for those who may read these
CREATE INDEX tenants_dear ON tenants_docs USING omenhnsw (v vector_l2_ops, category) WHERE price > 500;
SET ROLE regress_tenant1;
SELECT * FROM omenvec_facet('tenants_dear', 'category');
SELECT count(*) FROM omenvec_facet('tenants_docs_v', 'category');
RESET ROLE;
DROP FUNCTION tenants_nearest(text);
DROP TABLE tenants_docs;
DROP FUNCTION tenants_vector(integer);
DROP ROLE regress_tenant1;
