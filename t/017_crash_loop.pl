# Crash after crash: the server is stopped at once, or one of its processes
# killed, at a random moment of a mixed load with maintenance, builds and
# checkpoints.  After each restart every committed row is found by its own
# vector, omenvec_check() finds nothing, and the recall holds.
#
# t/003_crash.pl interrupts one operation at a time; here all go on at once.
# OMENVEC_TEST_SECONDS is the length, 55 by default; OMENVEC_TEST_SEED the seed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenLoad;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $SECONDS = $ENV{OMENVEC_TEST_SECONDS} || 55;
my $seed = seed_from_environment();

# Few buffers, so that pages go to disk in the middle of things.
my $node = new_node('crash_loop',
	settings => {
		shared_buffers => "'4MB'",
		restart_after_crash => 'on',
		maintenance_work_mem => "'64MB'",
		'omenvec.max_maintenance_workers' => 2,
		deadlock_timeout => "'100ms'",
		checkpoint_timeout => "'1h'"
	});

create_load($node, rows => 2000, most => 4000);

# Who is killed: a backend of a load, a worker of ours (whatever it is called),
# or a process of the server that writes our pages.
my %VICTIMS = (
	writer => "application_name = 'writers'",
	reader => "application_name = 'readers'",
	maintenance => "application_name = 'maintenance'",
	worker => "backend_type LIKE 'omen%' OR backend_type = 'parallel worker'",
	checkpointer => "backend_type = 'checkpointer'",
	background_writer => "backend_type = 'background writer'");
my @HOW = (qw(stop stop writer writer reader maintenance maintenance maintenance worker worker),
	qw(checkpointer background_writer));

# Kills a process of the kind; false if there is none just now.
sub kill_victim
{
	my ($kind) = @_;
	my ($status, $pid) = $node->psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE $VICTIMS{$kind} ORDER BY random() LIMIT 1");

	return 0 if $status != 0 || $pid eq '';
	kill 'KILL', $pid;
	return 1;
}

# After the death of a process the postmaster restarts the rest by itself.
sub crash
{
	my ($how) = @_;

	if ($how ne 'stop' && kill_victim($how))
	{
		sleep(0.2);
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server did not come back';
		return $how;
	}
	$node->stop('immediate');
	$node->start;
	return 'stop';
}

my $end = time() + $SECONDS;
my $lost = qr/terminating connection|server closed the connection|connection to server|aborted in command|Run was aborted|the database system is|client \d+ (script|aborted)/;
my $more = [ [ create => 1 ], [ create_concurrently => 1 ], [ reindex => 1 ], [ checkpoint => 2 ] ];
my %n_crashes;

for (my $trial = 1; time() < $end; $trial++)
{
	my $delay = 0.2 + rand(1.8);
	my @loads = (
		start_load($node, 2, [ [ write => 1 ] ], name => 'writers', seed => $seed + $trial, seconds => 60),
		start_load($node, 1, [ [ read => 1 ] ], name => 'readers', seed => $seed + $trial, seconds => 60),
		start_maintenance($node, seed => $seed + $trial, seconds => 60, more => $more));

	sleep($delay);
	my $how = crash($HOW[ rand @HOW ]);
	my $name = sprintf 'trial %d, %s after %.3f s', $trial, $how, $delay;

	is(join("\n", map { finish_load($_, except => $lost) } @loads), '', "$name: nothing wrong before");
	$n_crashes{$how}++;
	load_is_right($node, "$name: index holds the table") or last;
}
note join ', ', map { "$_ $n_crashes{$_}" } sort keys %n_crashes;

# The crashes have left nothing that the next maintenance does not put right.
$node->safe_psql('postgres', q{
	DROP INDEX IF EXISTS items_v_ccnew, items_v_ccold, items_v_ccnew1, items_v_ccold1, items_v3;
	VACUUM items;
	SELECT omenvec_optimize('items_v', true)});
load_is_right($node, 'optimized after all crashes');
is( $node->safe_psql('postgres', q{
		SELECT string_agg(DISTINCT state, ' ') FROM omenvec_index_stats('items_v')
		WHERE state NOT IN ('live', 'open', 'retired')}), '', 'nothing half built is left');

my @log = grep { /PANIC|TRAP|WRONG|REINDEX it/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @log), '', 'no failure but those that we caused');
my @signals = grep { /terminated by signal (?!9:)/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @signals), '', 'no process died of itself');

$node->stop;
done_testing();
