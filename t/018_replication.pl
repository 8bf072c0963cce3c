# Under a mixed load: every WAL record gives the standby the page that it gave
# the primary, queries on the standby get right rows or are cancelled, also
# across its promotion; a base backup taken meanwhile, a recovery to a point in
# time and a former primary that was rewound hold what their tables hold.
#
# OMENVEC_TEST_SECONDS is the length of the load, 8 by default.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenLoad;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $SECONDS = $ENV{OMENVEC_TEST_SECONDS} || 8;
my $seed = seed_from_environment();
my $primary = PostgreSQL::Test::Cluster->new('primary');

$primary->init(
	allows_streaming => 1,
	has_archiving => 1,
	extra => [ '--locale=C', '--encoding=UTF8' ]);
$primary->append_conf('postgresql.conf', quiet_settings() . q{
	wal_consistency_checking = 'generic'
	wal_log_hints = on
	wal_keep_size = '1GB'
	shared_buffers = '32MB'
	maintenance_work_mem = '64MB'
	max_standby_streaming_delay = '1s'
	omenvec.max_maintenance_workers = 2
});
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION omenvec');
create_functions($primary);
create_load($primary, rows => 2000, most => 4000);

sub new_standby
{
	my ($name, $from, %args) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init_from_backup($from, 'base', %args);
	return $node;
}

# A standby's index against its table: all rows probed, one scan to the end.
sub standby_is_right
{
	my ($node, $name) = @_;

	is( $node->safe_psql('postgres', q{
		SET enable_sort = off;
		SELECT check_drain(vector_number(5), (SELECT count(*) FROM items));
		SELECT count_missed() <= 1 + 0.01 * (SELECT count(*) FROM items);
		SELECT recall_of_items() >= 0.95;
		SELECT c::text FROM omenvec_check('items_v') AS c}), "\nt\nt", $name);
}

# What a reader may be told on a standby: to try again, which pgbench does, or to connect again.
my $CONFLICT = qr/conflict with recovery|number of tries|backend died|aborted while|Run was aborted/;

# ---- a standby under load ----

$primary->backup('base');
my $standby = new_standby('standby', $primary, has_streaming => 1);
$standby->start;

my @loads = (
	start_load($primary, 1, [ [ write => 1 ] ], name => 'writers', seed => $seed, seconds => $SECONDS),
	start_maintenance($primary, seed => $seed + 1, seconds => $SECONDS, more => [ [ checkpoint => 1 ] ]),
	start_load($standby, 2, [ [ read => 1 ] ], name => 'readers', seed => $seed + 2, seconds => $SECONDS));

sleep($SECONDS / 3);
$primary->backup('busy');
sleep($SECONDS / 3);
$primary->safe_psql('postgres', q{
	CREATE TABLE marks (name text);
	INSERT INTO marks VALUES ('before');
	SELECT pg_create_restore_point('halfway');
	INSERT INTO marks VALUES ('after')});
foreach my $load (@loads)
{
	is(join("\n", finish_load($load, except => $CONFLICT)), '', "$load->{name}: nothing wrong");
}
# What still goes on would use space again, and a query on the standby be cancelled for it.
$primary->poll_query_until('postgres', q{
	SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('omenvec maintenance', 'autovacuum worker')});
$primary->wait_for_catchup($standby);
standby_is_right($standby, 'standby after the load');
load_is_right($primary, 'primary after the load');

note 'queries cancelled: ' . (() = slurp_file($standby->logfile) =~ /ERROR:.*conflict with recovery/g);

# ---- a point in time ----

my $past = PostgreSQL::Test::Cluster->new('past');
$past->init_from_backup($primary, 'busy', has_restoring => 1);
$past->append_conf('postgresql.conf', "recovery_target_name = 'halfway'\nrecovery_target_action = 'promote'");
$primary->safe_psql('postgres', 'SELECT pg_switch_wal()');
$past->start;
$past->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
is($past->safe_psql('postgres', 'SELECT * FROM marks'), 'before', 'recovered to the point in time');
load_is_right($past, 'index of the past holds the table of the past');
$past->stop('immediate');

# ---- queries that outlive the promotion ----

# A scan begun on the standby, $fetched rows read, before the primary uses its space again.
sub open_scan
{
	my ($fetched) = @_;
	my $session = $standby->background_psql('postgres', on_error_stop => 0);

	$session->query("\\set VERBOSITY terse\nSET enable_sort = off;");
	$session->query(q{
		BEGIN;
		DECLARE c CURSOR FOR SELECT id, hash = hash_of(v) AS itself FROM items ORDER BY v <-> vector_number(77);});
	$session->query("MOVE $fetched FROM c;") if $fetched > 0;
	return { session => $session, left => -$fetched };
}

# Reads the rest: "right", "cancelled", or what is wrong.
sub close_scan
{
	my ($scan, $n_rows) = @_;

	$scan->{session}->query(q{SELECT read_rest('c');});
	my $said = $scan->{session}{stderr};

	$scan->{session}->quit;
	return 'cancelled' if $said =~ /conflict with recovery/;
	return $said if $said !~ /read (\d+) rows, (\d+) right/;
	$scan->{left} += $n_rows;
	return $1 == $scan->{left} && $2 == $scan->{left} ? 'right' : "$said instead of $scan->{left}";
}

# No conflicts of the table's own: nothing is removed from it, nor are files cut off.
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->reload;
$primary->safe_psql('postgres', q{
	ALTER TABLE items SET (vacuum_truncate = off);
	CREATE FUNCTION read_rest(c refcursor) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		r record;
		n int := 0;
		n_itself int := 0;
	BEGIN
		LOOP
			FETCH c INTO r;
			EXIT WHEN NOT FOUND;
			n := n + 1;
			n_itself := n_itself + r.itself::int;
		END LOOP;
		RAISE NOTICE 'read % rows, % right', n, n_itself;
	END $$});
$primary->wait_for_catchup($standby);
my $n_rows = $standby->safe_psql('postgres', 'SELECT count(*) FROM items');
my @scans = map { open_scan($_) } 0, 1, 100, 1000;

foreach (1 .. 4)
{
	$primary->safe_psql('postgres', q{
		SELECT add_items(0, 1, 20);
		SELECT omenvec_optimize('items_v', true);
		SELECT txid_current()});
}
$primary->wait_for_catchup($standby);
$standby->promote;
my %outcomes;
$outcomes{ close_scan($_, $n_rows) }++ foreach @scans;
my $outcomes = join ' ', sort keys %outcomes;
like($outcomes, qr/^cancelled( right)?$/, "queries that began before the promotion: $outcomes");
load_is_right($standby, 'promoted standby');

# ---- the former primary, rewound ----

@loads = map { start_load($_, 1, [ [ write => 8 ], [ optimize => 1 ], [ vacuum => 1 ] ],
	name => $_->name, seed => $seed + 3, seconds => 2) } $primary, $standby;
is(join("\n", map { finish_load($_) } @loads), '', 'both primaries work');
$primary->stop;
$standby->safe_psql('postgres', 'CHECKPOINT');
command_ok(
	[ 'pg_rewind', '--target-pgdata', $primary->data_dir, '--no-sync',
		'--source-server', $standby->connstr('postgres') ],
	'pg_rewind of the former primary');
$primary->append_conf('postgresql.conf', 'port = ' . $primary->port);
$primary->enable_streaming($standby);
$primary->set_standby_mode;
$primary->start;
$standby->wait_for_catchup($primary, 'replay', $standby->lsn('insert'));
standby_is_right($primary, 'rewound primary as a standby');

# ---- the logs ----

foreach my $node ($primary, $standby, $past)
{
	my @log = grep { /PANIC|TRAP|inconsistent page|terminated by signal|REINDEX it/ } split /\n/, slurp_file($node->logfile);

	is(join("\n", @log), '', $node->name . ': nothing wrong in the log');
}
$primary->stop;
$standby->stop;
done_testing();
