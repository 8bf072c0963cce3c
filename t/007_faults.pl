# Statements that are cancelled, time out or fail in the middle of a build, a
# seal, a merge, a vacuum or a scan: nothing leaks, no lock stays behind, and
# the next statement of the same session works.  Also: too little memory.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $TILES = 48;
my $dims = $TILES * 8;
my $POOL = 3000;

seed_from_environment();
my $node = new_node('faults',
	settings => { shared_buffers => "'32MB'", maintenance_work_mem => "'64MB'" });

$node->safe_psql('postgres', qq{
	CREATE TABLE pool (id bigint, v vector($dims));
	INSERT INTO pool SELECT i, sample_vector(i, $TILES) FROM generate_series(1, $POOL) AS i;
	CREATE SEQUENCE ids START 100001;
	CREATE TABLE items (id bigint, v vector($dims));
	INSERT INTO items SELECT * FROM pool;
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops);
	CREATE TABLE plain AS TABLE pool;

	CREATE FUNCTION moved_pool() RETURNS TABLE (id bigint, v vector) LANGUAGE sql AS \$\$
		SELECT nextval('ids'), v + array_fill(currval('ids') * 0.0001, ARRAY[$dims])::vector FROM pool
	\$\$;
});

# Runs a script of statements, each of which may time out, in one session, and
# tests that nothing else went wrong, and that nothing is left behind.
sub run_script
{
	my ($name, $script) = @_;
	my ($status, $out, $err) = $node->psql('postgres', qq{
		\\set VERBOSITY sqlstate
		SET enable_seqscan = off;
		SET enable_sort = off;
		$script
		RESET statement_timeout;
		SELECT 'page locks: ' || count(*) FROM pg_locks WHERE locktype IN ('page', 'extend');
	}, on_error_stop => 0);
	my @states = $err =~ /ERROR:\s+(\w+)/g;
	my $n_expected = grep { /^(57014|22012)$/ } @states;

	is(join(' ', grep { !/^(57014|22012)$/ } @states), '', "$name: no other error");
	is($status, 0, "$name: the session lives");
	like($out, qr/^page locks: 0$/m, "$name: no lock is left");
	note "$name: $n_expected statements broke off";
	return $n_expected;
}

# One statement under many timeouts, $most ms at most.
sub under_timeouts
{
	my ($statement, $most, $n, $after) = @_;

	return join '', map {
		'SET statement_timeout = ' . int(1 + rand $most) . ";\n$statement;\nSET statement_timeout = 0;\n"
		  . ($after // '')
	} 1 .. $n;
}

# The time that a statement takes here, in ms.
sub duration
{
	my ($statement) = @_;
	my $start = Time::HiRes::time();

	$node->safe_psql('postgres', $statement);
	return 1000 * (Time::HiRes::time() - $start);
}

sub files_of_database
{
	$node->safe_psql('postgres', 'CHECKPOINT');
	return $node->safe_psql('postgres', q{
		SELECT string_agg(name, ' ' ORDER BY name)
		FROM pg_ls_dir('base/' || (SELECT oid FROM pg_database WHERE datname = current_database())) AS name
		WHERE name ~ '^[0-9]+$' AND pg_filenode_relation(0, name::oid) IS NULL
			AND name::oid NOT IN (SELECT pg_relation_filenode(oid) FROM pg_class
								  WHERE pg_relation_filenode(oid) IS NOT NULL)});
}

# ---- builds ----

my $build = 'CREATE INDEX plain_v ON plain USING omenhnsw (v vector_l2_ops)';
my $most = duration("BEGIN; $build; ROLLBACK");
my $files = files_of_database();

cmp_ok(run_script('build', under_timeouts($build, $most, 15, "DROP INDEX IF EXISTS plain_v;\n")),
	'>', 0, 'some builds were cancelled');
is(files_of_database(), $files, 'no file is left of cancelled builds');

run_script('build that fails', qq{
	CREATE FUNCTION fails_late(id bigint, v vector) RETURNS vector LANGUAGE sql IMMUTABLE AS
		'SELECT CASE WHEN 1 / (\$1 - $POOL) IS NOT NULL THEN \$2 END';
	CREATE INDEX plain_v ON plain USING omenhnsw ((fails_late(id, v)::vector($dims)) vector_l2_ops);
	$build;
	SELECT id FROM plain ORDER BY v <-> sample_vector(5, $TILES) LIMIT 1;
});
index_is_right($node, 'plain', 'plain_v', 'build after cancelled builds');

# ---- inserts with seals ----

my $insert = 'INSERT INTO items SELECT * FROM moved_pool()';
my $check = "SELECT id FROM items ORDER BY v <-> sample_vector(5, $TILES) LIMIT 1;\n";

$most = duration("BEGIN; $insert; $insert; ROLLBACK");
cmp_ok(
	run_script('seal',
		under_timeouts("$insert UNION ALL SELECT * FROM moved_pool()", $most, 15, $check)),
	'>', 0, 'some inserts were cancelled');
index_is_right($node, 'items', 'items_v', 'index after cancelled inserts');
$node->safe_psql('postgres', "DELETE FROM items WHERE id > 3 * $POOL; VACUUM items");

run_script('insert that fails', "INSERT INTO items SELECT id, CASE WHEN 1 / (id % 2500) IS NOT NULL THEN v END FROM moved_pool();\n$check" x 3);

# A subtransaction that breaks off gives its locks back at once.
my $session = $node->background_psql('postgres', on_error_stop => 0);
$session->query(qq{
	BEGIN;
	SAVEPOINT before;
	INSERT INTO items SELECT id, CASE WHEN 1 / (id % 2500) IS NOT NULL THEN v END FROM moved_pool();
	ROLLBACK TO before;
	INSERT INTO items SELECT * FROM moved_pool() LIMIT 10;});
is( ($node->psql('postgres', "SET lock_timeout = '5s'; SELECT omenvec_optimize('items_v')"))[0],
	0, 'maintenance while a transaction is open that has rolled back to a savepoint');
$session->query('COMMIT;');
$session->quit;
index_is_right($node, 'items', 'items_v', 'index after failed inserts');

# ---- maintenance ----

# The rows of what broke off are in the index until a vacuum.
$node->safe_psql('postgres', "DELETE FROM items WHERE id > 3 * $POOL; VACUUM items");
my $optimize = "SELECT omenvec_optimize('items_v', true)";
my $feed = 'INSERT INTO items SELECT * FROM moved_pool() LIMIT 20';

$most = duration("$feed; $optimize");
run_script('optimize', under_timeouts($optimize, $most, 12, "$feed;\n$check"));
index_is_right($node, 'items', 'items_v', 'index after cancelled optimizes');

run_script('vacuum',
	under_timeouts('VACUUM (INDEX_CLEANUP ON) items', 25, 12,
		"DELETE FROM items WHERE id % 40 = (random() * 39)::int;\n$feed;\n$check"));
index_is_right($node, 'items', 'items_v', 'index after cancelled vacuums');

# What was half built is thrown away, and the space used again.
$node->safe_psql('postgres', "$optimize; SELECT txid_current(); $feed; $optimize; SELECT txid_current(); $optimize");
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT state, ' ') FROM omenvec_index_stats('items_v')
								  WHERE state NOT IN ('live', 'open', 'retired')}), '', 'nothing half built is left');

# ---- scans ----

my $drain = "SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> sample_vector(7, $TILES)) AS s";
$most = duration("SET enable_seqscan = off; SET enable_sort = off; $drain");
run_script('scan', under_timeouts($drain, $most, 20, $check));
run_script('scan that fails', qq{
	BEGIN;
	DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> sample_vector(7, $TILES);
	FETCH 3 FROM c;
	SAVEPOINT before;
	SELECT 1 / (id - (SELECT id FROM items ORDER BY v <-> sample_vector(9, $TILES) OFFSET 50 LIMIT 1))
	FROM items ORDER BY v <-> sample_vector(9, $TILES) LIMIT 100;
	ROLLBACK TO before;
	FETCH 100 FROM c;
	CLOSE c;
	$drain;
	COMMIT;
});

# ---- a backend that is told to go ----

foreach my $delay (map { rand() * 0.4 } 1 .. 4)
{
	my $victim = $node->background_psql('postgres', on_error_stop => 0);

	$victim->query_until(qr/begun/, "SET application_name = victim;\n\\echo begun\n$insert;\n$insert;\n$optimize;\n");
	sleep($delay);
	$node->safe_psql('postgres', q{
		SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
		WHERE application_name = 'victim'});
	eval { $victim->{run}->finish };
}
index_is_right($node, 'items', 'items_v', 'index after backends were terminated');

# ---- too little memory ----

my ($status, $out, $err) = $node->psql('postgres', qq{
	SET maintenance_work_mem = '1MB';
	DROP INDEX items_v;
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops);
});
is($status, 0, 'build with little memory');
is(scalar(() = $err =~ /NOTICE:  index "items_v" is built in several segments/g), 1, 'says once that it is split');
like($err, qr/HINT:.*maintenance_work_mem = '\d+MB'/, 'and what would do');
cmp_ok($node->safe_psql('postgres',
		q{SELECT count(*) FROM omenvec_index_stats('items_v') WHERE state = 'live'}), '>', 1,
	'several segments');
index_is_right($node, 'items', 'items_v', 'index of several segments');
my ($enough) = $err =~ /maintenance_work_mem = '(\d+MB)'/;
($status, $out, $err) =
  $node->psql('postgres', "SET maintenance_work_mem = '$enough'; REINDEX INDEX items_v");
is($err, '', 'the memory that it asked for is enough');
is($node->safe_psql('postgres', q{SELECT count(*) FROM omenvec_index_stats('items_v') WHERE state = 'live'}),
	1, 'then it is one segment');

# ---- the log ----

my @leaks = grep { /WARNING(?!:  directory)|PANIC|TRAP|terminated by signal/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @leaks), '', 'no warning in the log');

$node->stop;
done_testing();
