# Writers, readers and maintenance at once, for as long as asked: each answer is
# checked against what the rows of the reader's snapshot say about themselves
# (lib/OmenLoad.pm).  A row committed before the query began is found, one that
# was deleted or moved before is not.
#
# OMENVEC_TEST_SECONDS is the length, 60 by default; OMENVEC_TEST_SEED the seed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenLoad;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $SECONDS = $ENV{OMENVEC_TEST_SECONDS} || 60;
my $seed = seed_from_environment();
my $node = new_node('model',
	settings => {
		shared_buffers => "'32MB'",
		maintenance_work_mem => "'64MB'",
		'omenvec.max_maintenance_workers' => 2,
		deadlock_timeout => "'100ms'",
		synchronous_commit => 'off'
	});

create_load($node);
my @loads = (
	start_load($node, 2, [ [ write => 1 ] ], name => 'writers', seed => $seed, seconds => $SECONDS),
	start_load($node, 2, [ [ read => 1 ] ], name => 'readers', seed => $seed + 1, seconds => $SECONDS),
	start_maintenance($node, seed => $seed + 2, seconds => $SECONDS));

foreach my $load (@loads)
{
	is(join("\n", finish_load($load)), '', "$load->{name} found nothing wrong");
	my ($n) = slurp_file($load->{errors} =~ s/err$/out/r) =~ /^number of transactions actually processed: (\d+)/m;
	cmp_ok($n // 0, '>', 0, "$load->{name} did something");
	note "$load->{name}: $n transactions";
}
load_is_right($node, 'index holds the table in the end');
$node->safe_psql('postgres', "VACUUM items; SELECT omenvec_optimize('items_v', true)");
load_is_right($node, 'and after optimizing');
my @log = grep { /WARNING(?!:  directory)|PANIC|TRAP|terminated by signal/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @log), '', 'no warning in the log');

$node->stop;
done_testing();
