# A scan that begins while blocks of its index are being moved goes on reading
# the old ones: they are kept until it ends, although its snapshot is younger
# than the beginning of the move.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('moving');
my $STATES = q{SELECT count(*) FROM omenvec_index_stats('items_v') WHERE state};

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub wait_for { $node->poll_query_until('postgres', $_[0]) or die "waited for: $_[0]" }

# VACUUM writes the segment anew, behind a gap as large as the old one.
sql(q{
	CREATE TABLE items (id bigint, v vector(64));
	INSERT INTO items SELECT i, sample_vector(i, 8) FROM generate_series(1, 20000) AS i;
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops);
	DELETE FROM items WHERE id % 2 = 0;
});
sql('VACUUM items');

# The next one moves it there, slowly.
my $vacuum = $node->background_psql('postgres');
$vacuum->query_safe('SET vacuum_cost_delay = 50');
$vacuum->query_safe('SET vacuum_cost_limit = 100');
$vacuum->query_until(qr/begun/, "\\echo begun\nVACUUM items;\n\\echo done\n");
wait_for("SELECT ($STATES = 'building') > 0");

# A scan of the old directory, with a snapshot that sees the transactions before.
sql('SELECT txid_current()') for 1 .. 3;
my $scan = $node->background_psql('postgres', on_error_stop => 0);
$scan->query_safe('SET enable_seqscan = off');
$scan->query_safe('BEGIN');
$scan->query_safe('DECLARE nearest CURSOR FOR SELECT id FROM items ORDER BY v <-> sample_vector(5, 8)');
is($scan->query_safe('FETCH 1 FROM nearest'), '5', 'a scan while blocks are moved');

wait_for(q{SELECT count(*) = 0 FROM pg_stat_activity WHERE query LIKE 'VACUUM%' AND state = 'active'});
cmp_ok(sql("$STATES = 'retired'"), '>', 0, 'the old blocks are kept');

# Whoever could use the old blocks tries to.
sql('VACUUM items');
sql('INSERT INTO items SELECT i, sample_vector(i, 8) FROM generate_series(20001, 40000) AS i');
my @ids = split /\n/, $scan->query('FETCH 9999 FROM nearest');
is(scalar(@ids), 9999, 'the scan finds all rows');
is($scan->{stderr}, '', 'without an error');
$scan->quit;

# What a VACUUM itself moves, the next one gives back.
for (1 .. 10)
{
	sql('SELECT txid_current()');
	sql('VACUUM items');
	last if sql("$STATES = 'retired' AND rows = 0") == 0;
}
is(sql("$STATES = 'retired' AND rows = 0"), 0, 'then they are given back');
index_is_right($node, 'items', 'items_v', 'index after all');

done_testing();
