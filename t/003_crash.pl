# A backend killed with SIGKILL, or a server stopped at once, in the middle of
# a build, inserts, a seal, a vacuum, an optimize: after recovery the index
# holds what the table holds.
#
# Delays are random; the seed is printed.  OMENVEC_TEST_TRIALS asks for more
# than the usual number of crashes.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils qw(append_to_file slurp_file);
use Test::More;
use Time::HiRes qw(sleep);

my $TRIALS = $ENV{OMENVEC_TEST_TRIALS} || 24;
my $ROWS = 6000;
my $POOL = 4000;
my $TILES = 48;

seed_from_environment();

# Few buffers, so that pages go to disk in the middle of things.
my $node = new_node('crash',
	settings => {
		shared_buffers => "'4MB'",
		restart_after_crash => 'on',
		maintenance_work_mem => "'64MB'",
		checkpoint_timeout => "'1h'"
	});
my $dims = $TILES * 8;

$node->safe_psql('postgres', qq{
	CREATE TABLE pool (id bigint, v vector($dims));
	INSERT INTO pool SELECT i, sample_vector(i, $TILES) FROM generate_series(1, $POOL) AS i;
	CREATE SEQUENCE ids;
	CREATE TABLE items (id bigint, v vector($dims));

	-- n rows unlike any before
	CREATE PROCEDURE add_rows(n int) LANGUAGE plpgsql AS \$\$
	DECLARE
		moved vector := array_fill(nextval('ids') * 0.001, ARRAY[$dims])::vector;
	BEGIN
		INSERT INTO items
		SELECT nextval('ids'), v + moved
		FROM (SELECT v FROM pool ORDER BY hashint8extended(id, currval('ids')) LIMIT n) AS s;
	END \$\$;

	CREATE PROCEDURE add_in_transactions() LANGUAGE plpgsql AS \$\$
	BEGIN
		LOOP
			CALL add_rows(1 + (random() * 40)::int);
			COMMIT;
		END LOOP;
	END \$\$;
	CALL add_rows($ROWS);
	CALL add_rows($ROWS);
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops);

	-- codes of different lengths
	CREATE TABLE terms (id bigint, v sparsevec(4000));
	INSERT INTO terms SELECT i, sample_sparse(i) FROM generate_series(-2000, -1) AS i;
	CREATE INDEX terms_v ON terms USING omenhnsw (v sparsevec_l2_ops);
});

# What is under way when the crash comes; each goes on until then.
my %ACTIONS = (
	build => 'REINDEX INDEX items_v;' x 50,
	build_concurrently => 'REINDEX INDEX CONCURRENTLY items_v;' x 50,
	insert => 'CALL add_in_transactions();',
	seal => "INSERT INTO items SELECT nextval('ids'), v + array_fill(random(), ARRAY[$dims])::vector FROM pool;" x 50,
	seal_at_once => q{INSERT INTO items SELECT nextval('ids'), p.v + o.v
		FROM (SELECT v FROM pool ORDER BY random() LIMIT 5) AS o, pool AS p;} x 5,
	vacuum => 'DELETE FROM items WHERE random() < 0.1; VACUUM items; CALL add_rows(300);' x 50,
	optimize => 'CALL add_rows(200); SELECT omenvec_optimize(\'items_v\');' x 100,
	sparse => q{
		INSERT INTO terms SELECT nextval('ids'), sample_sparse(currval('ids')) FROM generate_series(1, 300);
		SELECT omenvec_optimize('terms_v', random() < 0.3);
		DELETE FROM terms WHERE random() < 0.1;
		VACUUM terms;} x 50);
my @ORDER = qw(seal insert vacuum sparse optimize seal_at_once build build_concurrently);

sub checkpointer
{
	return "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'";
}

# Kills the backend of our background psql, and waits until the server is back.
sub kill_backend
{
	my $old = $node->safe_psql('postgres', checkpointer());
	my $pid = $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE application_name = 'victim' LIMIT 1");

	return 0 if $pid eq '';
	kill 'KILL', $pid;
	$node->poll_query_until('postgres', "SELECT ($old <> (" . checkpointer() . '))')
	  or die 'the server did not come back';
	return 1;
}

sub crash_during
{
	my ($action, $how, $delay, $checkpoint) = @_;
	my $script = PostgreSQL::Test::Utils::tempdir() . '/victim.sql';
	my $errors = PostgreSQL::Test::Utils::tempdir() . '/victim.err';
	my $psql;
	my $err;

	append_to_file($script, $ACTIONS{$action});
	{
		local $ENV{PGAPPNAME} = 'victim';
		$psql = IPC::Run::start(
			[ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-f', $script ],
			'<', '/dev/null', '>', '/dev/null', '2>', $errors);
	}
	sleep($delay / 2);
	$node->safe_psql('postgres', 'CHECKPOINT') if $checkpoint;
	sleep($delay / 2);
	if ($how eq 'kill')
	{
		ok(kill_backend(), "$action: there was a backend to kill");
	}
	else
	{
		$node->stop('immediate');
		$node->start;
	}
	$psql->finish;
	$err = slurp_file($errors);
	is($err =~ /ERROR/ ? $err : '', '', "$action: no error before the crash");
	unlink $script, $errors;
}

# Keeps the table from growing from trial to trial.
sub shrink
{
	my $excess = $node->safe_psql('postgres', "SELECT count(*) > 3 * $ROWS FROM items");

	$node->safe_psql('postgres', qq{
		DROP INDEX IF EXISTS items_v_ccnew, items_v_ccold, items_v_ccnew1, items_v_ccold1;
	});
	return if $excess eq 'f';
	$node->safe_psql('postgres', qq{
		DELETE FROM items WHERE id NOT IN (SELECT id FROM items ORDER BY hashint8(id) LIMIT $ROWS);
		VACUUM items;
	});
}

foreach my $trial (1 .. $TRIALS)
{
	my $action = $ORDER[ ($trial - 1) % @ORDER ];
	my $how = rand() < 0.7 ? 'kill' : 'stop';
	my $delay = 0.05 + rand(0.7);
	my $checkpoint = rand() < 0.5;
	my $name = sprintf 'trial %d: %s, %s after %.3f s%s', $trial, $action, $how, $delay,
	  $checkpoint ? ', checkpoint before' : '';

	note $name;
	crash_during($action, $how, $delay, $checkpoint);
	my $table = $action eq 'sparse' ? 'terms' : 'items';

	index_is_right($node, $table, "${table}_v", "$name: index holds the table")
	  or last;
	$node->safe_psql('postgres', 'CALL add_rows(5)');
	shrink();
}

# The crashes have left nothing that the next maintenance does not put right.
$node->safe_psql('postgres', "SELECT omenvec_optimize('items_v'); VACUUM items");
index_is_right($node, 'items', 'items_v', 'optimized after all crashes');
index_is_right($node, 'terms', 'terms_v', 'index of sparse vectors after all crashes');

# An unlogged table is empty after a crash, and its index is empty, too.
$node->safe_psql('postgres', qq{
	CREATE UNLOGGED TABLE volatile (id bigint, v vector($dims));
	INSERT INTO volatile SELECT * FROM pool;
	CREATE INDEX volatile_v ON volatile USING omenhnsw (v vector_l2_ops);
	INSERT INTO volatile SELECT id + $POOL, v FROM pool LIMIT 100;
	DELETE FROM volatile WHERE id > $POOL;
});
$node->stop('immediate');
$node->start;
is($node->safe_psql('postgres', 'SELECT count(*) FROM volatile'), 0, 'unlogged table is empty');
index_is_right($node, 'volatile', 'volatile_v', 'index of the empty unlogged table');
$node->safe_psql('postgres', 'INSERT INTO volatile SELECT * FROM pool');
index_is_right($node, 'volatile', 'volatile_v', 'index of the unlogged table, filled again');

$node->stop;
done_testing();
