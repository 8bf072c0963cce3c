# Many tenants of very different sizes in one index whose rows are grouped by
# tenant: each tenant's search finds its nearest rows, gets as many as it asks
# for and reads its own pages, while rows come, go and are merged; searches
# without a tenant stay as they are; the same bytes, whoever builds them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $K = 10;
my $QUERIES = 5;
my $TENANTS = 1000;
my $FLOOR = 0.95;

my $node = new_node('tenants',
	settings => { shared_buffers => "'256MB'", maintenance_work_mem => "'256MB'", statement_timeout => "'120s'" });

# The demo's packages.  Tenant t has a share of them by 1 / t (Zipf), whatever
# they are about: the first 1,300, the last one or none.  The tenant of row i is
# always the same.
load_packages($node, 'packages');
load_phrases($node, 'phrases');
$node->safe_psql('postgres', qq{
	CREATE FUNCTION tenant_of(i bigint) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS \$\$
		SELECT floor(exp(ln($TENANTS + 1.0::float8) * (hashint8extended(i, 3) & 1048575) / 1048576))::int
	\$\$;
	CREATE TABLE docs AS SELECT id, tenant_of(id) AS tenant, v FROM packages WHERE id % 10 <> 0 ORDER BY id;
	CREATE TABLE loose AS TABLE docs;
	CREATE INDEX docs_v ON docs USING omenhnsw (v vector_cosine_ops, tenant) WITH (group_by = 2, merge_factor = 100);
	CREATE INDEX loose_v ON loose USING omenhnsw (v vector_cosine_ops, tenant);
	ANALYZE docs, loose;
	CREATE TABLE queries AS SELECT id, v FROM phrases ORDER BY id LIMIT $QUERIES;
});

# ---- recall ----

# A table of what a search without the index finds, for tenants of all sizes;
# how many they are, the least recall of one, and how many searches gave too few
# rows, others' or rows in wrong order.
sub searches
{
	my ($table) = @_;

	return split / /, $node->safe_psql('postgres', qq{
		SET enable_bitmapscan = off;
		CREATE TEMP TABLE chosen AS
		SELECT tenant FROM (SELECT tenant, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, tenant) AS place
							FROM $table GROUP BY tenant) AS s
		WHERE place <= 10 OR place % 20 = 0;
		CREATE TEMP TABLE expected AS
		SELECT tenant, q.id, count(*) AS n, max(d) AS farthest FROM chosen, queries AS q,
			LATERAL (SELECT (v <=> q.v) + 0 AS d FROM $table AS t WHERE t.tenant = chosen.tenant ORDER BY 1 LIMIT $K) AS near
		GROUP BY tenant, q.id;
		SET enable_seqscan = off;
		SET enable_sort = off;
		CREATE TEMP TABLE found AS
		SELECT chosen.tenant, q.id, count(*) AS n, count(*) FILTER (WHERE d <= farthest) AS hits,
			bool_and(d >= before AND near.tenant = chosen.tenant) AS good
		FROM chosen, queries AS q, expected AS e,
			LATERAL (SELECT tenant, d, lag(d, 1, d) OVER () AS before
					 FROM (SELECT tenant, v <=> q.v AS d FROM $table AS t WHERE t.tenant = chosen.tenant ORDER BY v <=> q.v LIMIT $K) AS s) AS near
		WHERE e.tenant = chosen.tenant AND e.id = q.id
		GROUP BY chosen.tenant, q.id;
		SELECT count(*) || ' ' || min(recall) || ' ' || sum(bad)
		FROM (SELECT tenant, sum(hits) / sum(e.n) AS recall, count(*) FILTER (WHERE f.n IS DISTINCT FROM e.n OR NOT good) AS bad
			  FROM expected AS e LEFT JOIN found AS f USING (tenant, id) GROUP BY tenant) AS s});
}

sub tenants_are_served
{
	my ($name, $table) = @_;
	my ($n, $recall, $bad) = searches($table // 'docs');

	cmp_ok($n, '>', 50, "$name: tenants");
	is($bad, 0, "$name: each gets as many of its rows as it asks for, nearest first");
	cmp_ok($recall, '>=', $FLOOR, "$name: recall of each tenant");
	diag sprintf '%-24s %d tenants, least recall@%d %.4f', $name, $n, $K, $recall;
	is($node->safe_psql('postgres', "SELECT c FROM omenvec_check('docs_v') AS c"), '', "$name: grouped as the table is");
}

tenants_are_served('built');

$node->safe_psql('postgres', 'INSERT INTO docs SELECT id, tenant_of(id), v FROM packages WHERE id % 10 = 0 AND id < 5000 ORDER BY id');
tenants_are_served('with a tail');

$node->safe_psql('postgres', "SELECT omenvec_optimize('docs_v')");
tenants_are_served('merged');
is($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_index_stats('docs_v') WHERE kind = 'graph' AND state = 'live'"), 1, 'into one segment');

# A whole tenant goes, and some rows of all others.
$node->safe_psql('postgres', 'DELETE FROM docs WHERE tenant = 7 OR id % 8 = 1; UPDATE docs SET tenant = 9 WHERE tenant = 8');
tenants_are_served('rows deleted');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) docs');
tenants_are_served('vacuumed');
$node->safe_psql('postgres', "INSERT INTO docs SELECT id, tenant_of(id), v FROM packages WHERE id % 10 = 0 AND id >= 5000 ORDER BY id;
	SELECT omenvec_optimize('docs_v')");
tenants_are_served('merged without the dead');

# The same vectors of several tenants are one node.
$node->safe_psql('postgres', "INSERT INTO docs SELECT id + 100000, tenant_of(id + 1), v FROM packages WHERE id % 9 = 0; SELECT omenvec_optimize('docs_v', true)");
tenants_are_served('equal vectors');

# ---- pages, and searches without a tenant ----

# Index pages that a search looks at, by itself, for the tenant with about so many rows.
$node->append_conf('postgresql.conf', 'omenvec.resident_memory = 0');
$node->restart;

sub buffers
{
	my ($table, $n_rows) = @_;
	my ($hit) = $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off;
		SELECT tenant AS t FROM loose GROUP BY tenant ORDER BY abs(count(*) - $n_rows), tenant LIMIT 1 \\gset
		EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF)
		SELECT id FROM $table WHERE tenant = :t ORDER BY v <=> '[1@{[ ',0' x 383 ]}]' LIMIT 1}) =~ /Buffers: shared (.*)/;
	my $sum = 0;

	$sum += $_ foreach $hit =~ /=(\d+)/g;
	return $sum;
}

$node->safe_psql('postgres', 'TRUNCATE docs; INSERT INTO docs TABLE loose; REINDEX INDEX docs_v; REINDEX INDEX loose_v');
foreach my $n_rows (30, 100, 200)
{
	my ($together, $apart) = map { buffers($_, $n_rows) } 'docs', 'loose';

	cmp_ok($together, '<', $apart / 2, "a tenant of $n_rows rows: less than half of the pages");
	diag "a tenant of $n_rows rows: $together pages, $apart where rows are not grouped";
}

my $nearest = sub {
	my ($table) = @_;
	return $node->safe_psql('postgres', qq{
		SET enable_seqscan = off; SET enable_sort = off;
		SELECT q.id, near.* FROM phrases AS q, LATERAL (SELECT v <=> q.v AS d FROM $table ORDER BY v <=> q.v LIMIT $K) AS near});
};
is($nearest->('docs'), $nearest->('loose'), 'searches without a tenant find the same');

# ---- the same bytes, whoever builds ----

SKIP:
{
	skip 'pageinspect is not installed', 2 if ($node->psql('postgres', 'CREATE EXTENSION pageinspect'))[0] != 0;

	# The segment's stamp is random, as are LSNs.
	my $build = sub {
		my ($workers) = @_;
		return $node->safe_psql('postgres', qq{
			SET max_parallel_maintenance_workers = $workers; SET min_parallel_table_scan_size = 0;
			ALTER TABLE loose SET (parallel_workers = $workers);
			CREATE INDEX same_$workers ON loose USING omenhnsw (v vector_cosine_ops, tenant, (id % 3)) WITH (group_by = 3);
			SELECT md5(string_agg(md5(substr(page, 11, 14) || substr(page, 25)), '' ORDER BY block))
			FROM generate_series(1, pg_relation_size('same_$workers') / 8192 - 1) AS block,
				LATERAL get_raw_page('same_$workers', block::int) AS page});
	};
	my $alone = $build->(0);

	is($build->($_), $alone, "$_ workers build the same index") foreach 1, 3;
	is($node->safe_psql('postgres', "SELECT c FROM omenvec_check('same_3') AS c"), '', 'which is grouped by an expression');
}

$node->stop;
done_testing();
