# A streaming standby gives the primary's answers, whatever the primary does;
# a query on it that is overtaken by the reuse of space either gets the right
# rows or is cancelled; and the standby, promoted, goes on by itself.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $TILES = 48;
my $dims = $TILES * 8;

seed_from_environment();
my $primary = new_node('primary',
	allows_streaming => 1,
	settings => {
		wal_consistency_checking => "'generic'",
		shared_buffers => "'32MB'",
		maintenance_work_mem => "'64MB'"
	});
$primary->safe_psql('postgres', qq{
	CREATE TABLE early (id bigint, v vector($dims));
	CREATE INDEX early_v ON early USING omenhnsw (v vector_l2_ops);
});
$primary->backup('base');

my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'max_standby_streaming_delay = -1');
$standby->start;

# The nearest of some vectors, and how far a scan to the end gets.
sub answers
{
	my ($node, $table, $sample) = @_;

	return $node->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT q.i, string_agg(f.id || ':' || f.distance, ' ')
		FROM generate_series(1, 6000, 300) AS q (i),
			 LATERAL (SELECT id, v <-> $sample AS distance
					  FROM $table ORDER BY v <-> $sample LIMIT 10) AS f
		GROUP BY q.i ORDER BY q.i;
		SELECT count(*), count(DISTINCT id), sum(id)
		FROM (SELECT id FROM $table ORDER BY v <-> (SELECT $sample FROM (VALUES (1)) AS q (i))) AS s;
		SELECT * FROM omenvec_check('${table}_v');
	});
}

sub same_answers
{
	my ($table, $when, $sample) = @_;

	$sample //= "sample_vector(q.i, $TILES)";
	$primary->wait_for_catchup($standby);
	is( answers($standby, $table, $sample),
		answers($primary, $table, $sample),
		"same answers $when");
}

# ---- what the primary does ----

same_answers('early', 'of an empty index');
$primary->safe_psql('postgres', "INSERT INTO early SELECT 1, sample_vector(1, $TILES)");
same_answers('early', 'after the first row');
insert_rows($primary, 'early', 2, 300, $TILES);
same_answers('early', 'from a tail');

$primary->safe_psql('postgres', qq{
	CREATE TABLE items (id bigint, v vector($dims));
	INSERT INTO items SELECT i, sample_vector(i, $TILES) FROM generate_series(1, 3000) AS i;
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops);
});
same_answers('items', 'after a build');
insert_rows($primary, 'items', 3001, 4000, $TILES);
same_answers('items', 'after inserts');
insert_rows($primary, 'items', 4001, 10000, $TILES);
same_answers('items', 'after seals');
$primary->safe_psql('postgres', 'DELETE FROM items WHERE id % 7 = 0; VACUUM items');
same_answers('items', 'after a vacuum');
insert_rows($primary, 'items', 10001, 10100, $TILES);
$primary->safe_psql('postgres', "SELECT omenvec_optimize('items_v')");
same_answers('items', 'after an optimize');
$primary->safe_psql('postgres', "SELECT omenvec_optimize('items_v', true)");
same_answers('items', 'after a full optimize');
$primary->safe_psql('postgres', 'REINDEX INDEX items_v');
same_answers('items', 'after a reindex');
$primary->safe_psql('postgres', "TRUNCATE early; INSERT INTO early SELECT 5, sample_vector(5, $TILES)");
same_answers('early', 'after a truncate');

# Codes longer than a page, in a segment and in a tail.
$primary->safe_psql('postgres', qq{
	CREATE TABLE long (id bigint, v vector(9600));
	INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(1, 50) AS i;
	CREATE INDEX long_v ON long USING omenhnsw (v vector_l2_ops) WITH (refine = scalar);
	INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(51, 70) AS i;
});
same_answers('long', 'from codes longer than a page', 'sample_vector(q.i, 1200)');

# Sketches, before and after they are made anew with more bits.
$primary->safe_psql('postgres', qq{
	CREATE TABLE sketched (id bigint, v vector(32));
	INSERT INTO sketched SELECT i, sample_vector(i, 4) FROM generate_series(1, 2500) AS i;
	CREATE INDEX sketched_v ON sketched USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit);
	INSERT INTO sketched SELECT i, sample_vector(i, 4) FROM generate_series(2501, 3000) AS i;
});
same_answers('sketched', 'by sketches', 'sample_vector(q.i, 4)');
$primary->safe_psql('postgres', q{
	ALTER INDEX sketched_v SET (quantization = low_bit, bits = 4);
	SELECT omenvec_optimize('sketched_v');
});
same_answers('sketched', 'by sketches with more bits', 'sample_vector(q.i, 4)');

# Codes of different lengths.
$primary->safe_psql('postgres', q{
	CREATE TABLE sparse (id bigint, v sparsevec(4000));
	INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(1, 2500) AS i;
	CREATE INDEX sparse_v ON sparse USING omenhnsw (v sparsevec_l2_ops);
	INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(2501, 3000) AS i;
	DELETE FROM sparse WHERE id % 10 = 3;
	VACUUM (INDEX_CLEANUP ON) sparse;
});
same_answers('sparse', 'from sparse vectors', 'sample_sparse(q.i)');
$primary->safe_psql('postgres', "SELECT omenvec_optimize('sparse_v', true)");
same_answers('sparse', 'from sparse vectors after a full optimize', 'sample_sparse(q.i)');

# ---- a query on the standby, and space used again under it ----

# One that is begun, and its first rows fetched, before the primary rewrites
# the index a number of times.  Nothing holds the primary back
# (hot_standby_feedback is off), and no vacuum removes rows, which would be a
# conflict of the table's own.  Returns "right", "cancelled", or what was wrong.
sub overtaken_query
{
	my ($table, $n_fetched, $n_rewrites) = @_;
	my ($n, $sum) = split /\|/, $standby->safe_psql('postgres', "SELECT count(*), sum(id) FROM $table");
	my $session = $standby->background_psql('postgres', on_error_stop => 0);
	my @rows;
	my $error;

	$session->query("\\set VERBOSITY sqlstate\nSET enable_seqscan = off; SET enable_sort = off;");
	$session->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM early;');
	$session->query(qq{
		DECLARE c CURSOR FOR SELECT id, v <-> sample_vector(77, $TILES) FROM $table
		ORDER BY v <-> sample_vector(77, $TILES);});
	push @rows, split /\n/, $session->query("FETCH $n_fetched FROM c;") if $n_fetched > 0;

	foreach (1 .. $n_rewrites)
	{
		$primary->safe_psql('postgres', qq{
			INSERT INTO $table SELECT nextval('ids'), sample_vector(currval('ids'), $TILES)
			FROM generate_series(1, 20);
			SELECT omenvec_optimize('${table}_v', true);
			SELECT txid_current();
		});
	}
	$primary->wait_for_catchup($standby);

	push @rows, split /\n/, $session->query('FETCH ALL FROM c;');
	$error = $session->{stderr};
	$session->quit;

	my ($sum_seen, $last, %seen) = (0, -1);
	foreach my $row (@rows)
	{
		my ($id, $distance) = split /\|/, $row;

		return "row $id came twice" if $seen{$id}++;
		return "distance $distance of row $id after $last" if $distance < $last;
		$last = $distance;
		$sum_seen += $id;
	}
	return 'cancelled' if $error =~ /^(psql:\S*\s*)?ERROR:\s+40001$/m;
	return "error $error" if $error =~ /ERROR/;
	return 'right' if @rows == $n && $sum_seen == $sum;
	return scalar(@rows) . " rows of $n";
}

$primary->safe_psql('postgres', qq{
	DELETE FROM items WHERE id > 4000;
	VACUUM items;
	CREATE SEQUENCE ids START 20001;
	SELECT omenvec_optimize('items_v', true);
	CREATE TABLE tailed (id bigint, v vector($dims));
	CREATE INDEX tailed_v ON tailed USING omenhnsw (v vector_l2_ops);
	-- A file that is cut off would make the replay wait for the query.
	ALTER TABLE items SET (vacuum_truncate = off);
	ALTER TABLE tailed SET (vacuum_truncate = off);
});

foreach my $table ('items', 'tailed')
{
	my %outcomes;

	foreach my $case ([ 0, 4 ], [ 1, 1 ], [ 1, 4 ], [ 100, 1 ], [ 100, 4 ])
	{
		my ($n_fetched, $n_rewrites) = @$case;

		# A table whose index is a tail and nothing else.
		$primary->safe_psql('postgres', 'TRUNCATE tailed');
		insert_rows($primary, 'tailed', 1, 1000, $TILES);
		$primary->wait_for_catchup($standby);

		my $outcome = overtaken_query($table, $n_fetched, $n_rewrites);

		like($outcome, $n_rewrites > 1 ? qr/^(right|cancelled)$/ : qr/^right$/,
			"query of $table overtaken by $n_rewrites rewrites after $n_fetched rows: $outcome");
		$outcomes{$outcome}++;
	}
	ok($outcomes{cancelled}, "some queries of $table were cancelled");
}
same_answers('items', 'after all rewrites');

# Blocks are moved, and the file is cut off, on both.
my $size = q{SELECT pg_relation_size('items_v')};
my $before = $primary->safe_psql('postgres', $size);
$primary->safe_psql('postgres', qq{
	ALTER TABLE items RESET (vacuum_truncate);
	SELECT omenvec_optimize('items_v', true);
	SELECT omenvec_optimize('items_v');
	SELECT omenvec_optimize('items_v');
});
my $after = $primary->safe_psql('postgres', $size);
cmp_ok($after, '<', 0.8 * $before, 'the file has become shorter');
same_answers('items', 'after that');
is($standby->safe_psql('postgres', $size), $after, 'as on the standby');

# ---- promotion ----

# The primary breaks down in the middle of seals.
my $flood = $primary->background_psql('postgres', on_error_stop => 0);
$flood->query_until(qr/begun/, qq{\\echo begun
INSERT INTO items SELECT nextval('ids'), sample_vector(currval('ids'), $TILES) FROM generate_series(1, 20000);
});
Time::HiRes::sleep(0.5 + rand(1.0));
$primary->stop('immediate');
$flood->{run}->finish;

$standby->promote;
index_is_right($standby, 'items', 'items_v', 'promoted standby');
insert_rows($standby, 'items', 50001, 54000, $TILES);
insert_rows($standby, 'early', 50001, 50100, $TILES);
$standby->safe_psql('postgres', 'DELETE FROM items WHERE id % 5 = 0; VACUUM items');
index_is_right($standby, 'items', 'items_v', 'promoted standby after inserts and a vacuum');
index_is_right($standby, 'early', 'early_v', 'promoted standby after inserts into a tail');
$standby->safe_psql('postgres', "SELECT omenvec_optimize('items_v', true)");
index_is_right($standby, 'items', 'items_v', 'promoted standby after an optimize');

$standby->stop;
done_testing();
