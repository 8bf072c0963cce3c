# Maintenance at its limits: a directory that long transactions have filled,
# segments too large for the memory allowed, an index that has to move as a
# whole, a session that seals while a VACUUM walks slowly.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenPages;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $BLOCK = 8192;
my $MOST = OmenPages::define('OMEN_MAX_SEGMENTS');
my $KEPT = $MOST - 1;
my $node = new_node('limits', settings => {
		shared_buffers => "'64MB'",
		maintenance_work_mem => "'256MB'" });

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub wait_for { $node->poll_query_until('postgres', "SELECT $_[0]") or die "waited for: $_[0]" }

# Rows of a page each: 64 bits, again and again.
sub wide_rows
{
	my ($first, $last) = @_;

	return "SELECT i, repeat(hashint8extended(i, 5)::bit(64)::text, 1000)::bit(64000) FROM generate_series($first, $last) AS i";
}

# ---- a full directory ----

sql('CREATE TABLE filled (id bigint, v bit(64000));
	 CREATE INDEX filled_v ON filled USING omenhnsw (v bit_hamming_ops)');
my $path = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('filled_v')");

# Entries as transactions leave them that never end: all but one place is taken, and
# between their blocks are gaps, each long enough for any part of a tail.
sub fill_directory
{
	my ($n_entries, $gap_blocks) = @_;
	my $pages = OmenPages->new($path);
	my $next = $pages->meta('end_block');

	foreach my $i (0 .. $n_entries - 1)
	{
		my %entry = (
			id => $i + 1, kind => OmenPages::define('OMEN_SEGMENT_GRAPH'),
			state => OmenPages::define('OMEN_STATE_RETIRED'), retire_xid => 1 << 40,
			n_runs => 1, n_blocks => 1, stamp => 1, 'runs[0].start' => $next, 'runs[0].n_blocks' => 1);

		$pages->set_seg($i, $_, $entry{$_}) foreach keys %entry;
		$next += $gap_blocks + 1;
	}
	$pages->set_meta(n_segments => $n_entries);
	$pages->set_meta(next_segment_id => $n_entries + 1);
	$pages->set_meta(end_block => $next);
	$pages->truncate_blocks($next);
	$pages->close_file;
}

sub end_transactions
{
	my $pages = OmenPages->new($path);

	foreach my $i (0 .. $pages->meta('n_segments') - 1)
	{
		$pages->set_seg($i, retire_xid => 3)
		  if $pages->seg($i, 'state') == OmenPages::define('OMEN_STATE_RETIRED');
	}
	$pages->close_file;
}

$node->stop;
fill_directory($KEPT, 1500);
$node->start;
my ($status, $out, $err) = $node->psql('postgres', 'INSERT INTO filled ' . wide_rows(1, 2500));
is($status, 0, 'a full directory stops no insert');
like($err, qr/WARNING:  directory of index "filled_v" is nearly full\nDETAIL:  It has $MOST of $MOST entries, $KEPT of them kept.*\nHINT:  End long/,
	'there is a warning');
is(() = $err =~ /WARNING/g, 1, 'one');
($status, $out, $err) = $node->psql('postgres', 'VACUUM filled');
like($err, qr/WARNING:  directory of index "filled_v" is nearly full/, 'VACUUM warns, too');
index_is_right($node, 'filled', 'filled_v', 'index with a full directory', operator => '<~>');

$node->stop;
end_transactions();
$node->start;
sql('VACUUM filled');
is(sql("SELECT string_agg(kind || ' ' || rows, ' ') FROM omenvec_index_stats('filled_v') WHERE state = 'live'"), 'graph 2500',
	'when transactions have ended, the tail is sealed');
index_is_right($node, 'filled', 'filled_v', 'index after that', operator => '<~>');
sql('DROP TABLE filled');

# ---- a long transaction ----

# Each merge keeps what it has replaced, for the long transaction, and for a cursor that begins later.
sql('CREATE TABLE kept (id bigint, v vector(8));
	 INSERT INTO kept SELECT i, sample_vector(i, 1) FROM generate_series(1, 600) AS i;
	 CREATE INDEX kept_v ON kept USING omenhnsw (v vector_l2_ops) WITH (autoseal = off)');
sub merge_often { sql(join ';', ("INSERT INTO kept VALUES (0, '[1,2,3,4,5,6,7,8]')", "SELECT omenvec_optimize('kept_v', true)") x $_[0]) }

my $long = $node->background_psql('postgres');
$long->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$long->query_safe('SELECT count(*) FROM kept');
merge_often(20);
my $cursor = $node->background_psql('postgres');
$cursor->query_safe('SET enable_seqscan = off; SET enable_sort = off; SET omenhnsw.ef_search = 10');
$cursor->query_safe("BEGIN; DECLARE near NO SCROLL CURSOR FOR SELECT id FROM kept ORDER BY v <-> sample_vector(1, 1)");
$cursor->query_safe('FETCH 1 FROM near');
merge_often(60);
cmp_ok(sql("SELECT count(*) FROM omenvec_index_stats('kept_v')"), '<', 20, 'entries kept for a long transaction are joined');
$long->query_safe('COMMIT');
$long->quit;
sql('VACUUM kept'), sql('SELECT txid_current()') for 1 .. 2;
merge_often(20);
is(scalar(() = $cursor->query_safe('FETCH ALL FROM near') =~ /^\d+$/mg), 619, 'what a younger one needs is kept with them');
$cursor->query_safe('COMMIT');
$cursor->quit;
sql('VACUUM kept'), sql('SELECT txid_current()') for 1 .. 4;
cmp_ok(sql("SELECT count(*) FROM omenvec_index_stats('kept_v')"), '<', 4, 'and goes with it');
index_is_right($node, 'kept', 'kept_v', 'index after that');
sql('DROP TABLE kept');

# ---- moving a whole segment ----

# Written anew, the segment lies behind a gap, and moves there in ten pieces.
sql('CREATE TABLE moved (id bigint, v bit(64000)); INSERT INTO moved ' . wide_rows(1, 13000));
sql('CREATE INDEX moved_v ON moved USING omenhnsw (v bit_hamming_ops)');
sql('DELETE FROM moved WHERE id % 4 = 0');
for (1 .. 6)
{
	sql('VACUUM moved');
	sql('SELECT txid_current()');
}
is(sql("SELECT sum(rows) FROM omenvec_index_stats('moved_v') WHERE state = 'live'"), 9750, 'rewritten without the dead');
cmp_ok(sql("SELECT pg_relation_size('moved_v')"), '<', 1.1 * 9750 * $BLOCK, 'and moved to the beginning of the file');
sql('CHECKPOINT');
my $pages = OmenPages->new($node->data_dir . '/' . sql("SELECT pg_relation_filepath('moved_v')"));
is($pages->seg($pages->entry('GRAPH'), 'n_runs'), 1, 'in one run');
$pages->close_file;
index_is_right($node, 'moved', 'moved_v', 'index after moves', operator => '<~>');
sql('DROP TABLE moved');

# ---- memory ----

sql('CREATE TABLE held (id bigint, v vector(64));
	 INSERT INTO held SELECT i, sample_vector(i, 8) FROM generate_series(1, 20000) AS i;
	 CREATE INDEX held_v ON held USING omenhnsw (v vector_l2_ops) WITH (tail_size = 16)');
my $DEAD = "SELECT sum(dead_rows) FROM omenvec_index_stats('held_v') WHERE state = 'live'";
sql('DELETE FROM held WHERE id % 4 = 0');
sql("SET maintenance_work_mem = '1MB'; VACUUM held");
is(sql($DEAD), 5000, 'what does not fit into the memory allowed is not written anew');
sql("DELETE FROM held WHERE id % 8 <> 1");
sql("SET maintenance_work_mem = '1MB'; VACUUM held");
is(sql($DEAD), 0, 'until enough is dead');
index_is_right($node, 'held', 'held_v', 'index written anew with little memory');

# What is left fits, but not with finer codes.
sql('CREATE TABLE fine (id bigint, v vector(512));
	 INSERT INTO fine SELECT i, sample_vector(i, 64) FROM generate_series(1, 1000) AS i;
	 CREATE INDEX fine_v ON fine USING omenhnsw (v vector_l2_ops) WITH (tail_size = 16);
	 CREATE INDEX fine_r ON fine USING omenhnsw (v vector_l2_ops) WITH (tail_size = 16, refine = scalar);
	 DELETE FROM fine WHERE id % 4 = 0');
sql("SET maintenance_work_mem = '1MB'; VACUUM fine");
is(sql("SELECT string_agg(dead_rows::text, ' ') FROM unnest('{fine_v,fine_r}'::regclass[]) AS i, omenvec_index_stats(i) WHERE state = 'live'"),
	'0 250', 'finer codes need memory, too');

# Two that fit one by one are not merged.
sql('DROP INDEX fine_r');
sql("SET maintenance_work_mem = '1MB';
	 INSERT INTO fine SELECT i, sample_vector(i, 64) FROM generate_series(2001, 2400) AS i;
	 SELECT omenvec_optimize('fine_v')");
is(sql("SELECT max(rows) FROM omenvec_index_stats('fine_v') WHERE state = 'live'"), 750, 'what does not fit together is not merged');
sql("SELECT omenvec_optimize('fine_v')");
is(sql("SELECT max(rows) FROM omenvec_index_stats('fine_v') WHERE state = 'live'"), 1150, 'until there is memory for it');

# ---- sealing during a VACUUM ----

# The VACUUM goes slowly, a page of the tail each nap; of the table, it reads a few pages only.
sql('CREATE TABLE walked (id bigint, v vector(128));
	 CREATE INDEX walked_v ON walked USING omenhnsw (v vector_l2_ops) WITH (autoseal = off);
	 INSERT INTO walked SELECT i, sample_vector(i, 16) FROM generate_series(1, 16000) AS i');
sql('VACUUM (INDEX_CLEANUP OFF) walked');
sql('DELETE FROM walked WHERE id > 15900');
my $vacuum = $node->background_psql('postgres');
$vacuum->query_safe('SET vacuum_cost_delay = 100');
$vacuum->query_safe('SET vacuum_cost_limit = 1');
$vacuum->query_until(qr/begun/, "\\echo begun\nVACUUM (INDEX_CLEANUP ON, TRUNCATE OFF) walked;\n\\echo done\n");
wait_for("count(*) = 1 FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes'");
my $start = time();
sql('ALTER INDEX walked_v SET (autoseal = on);
	 INSERT INTO walked SELECT i, sample_vector(i, 16) FROM generate_series(16001, 16100) AS i');
my $seconds = time() - $start;
is(sql("SELECT count(*) > 0 FROM omenvec_index_stats('walked_v') WHERE kind = 'graph' AND state = 'live'"), 't', 'a session seals');
cmp_ok($seconds, '<', 10, 'without waiting for the end of a VACUUM, which takes 30 s');
note sprintf 'the insert took %.1f s', $seconds;
$vacuum->quit;
is(sql(q{SELECT sum(rows - dead_rows) FROM omenvec_index_stats('walked_v') WHERE state IN ('live', 'open')}), 16000, 'which marks all dead rows');
index_is_right($node, 'walked', 'walked_v', 'index after both');

is(join("\n", grep { /PANIC|TRAP|terminated by signal|WARNING(?!:  directory)/ } split /\n/, slurp_file($node->logfile)), '',
	'no other warning in the log');
$node->stop;
done_testing();
