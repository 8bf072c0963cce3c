# Every kind of quantization through the life of an index of real embeddings:
# recall at default settings, conditions on an attribute, rows that come and go,
# a crash, a standby, a dump.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $FLOOR = 0.95;
my $ROWS = 6000;

# Table, type of the vectors, the index's options.
my @KINDS = (
	[ 'floats', 'vector(384)', 'quantization = none' ],
	[ 'halves', 'vector(384)', 'quantization = half' ],
	[ 'halfvecs', 'halfvec(384)', 'quantization = half' ],
	[ 'bytes', 'vector(384)', 'quantization = scalar' ]);

my $primary = new_node('primary',
	allows_streaming => 1,
	settings => {
		wal_consistency_checking => "'generic'",
		maintenance_work_mem => "'64MB'"
	});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub sql { return $primary->safe_psql('postgres', $_[0]) }

# How far the nearest rows of some of the table's vectors are, with and without a condition, and what is wrong with the index.
sub answers
{
	my ($node, $table, $settings) = @_;

	return $node->safe_psql('postgres', qq{
		$settings
		SELECT q.id, string_agg(f.distance::text, ' ' ORDER BY f.distance)
		FROM (SELECT id, v FROM $table WHERE id % 300 = 7) AS q,
			 LATERAL (SELECT id, v <=> q.v AS distance FROM $table ORDER BY v <=> q.v LIMIT 10) AS f
		GROUP BY q.id ORDER BY q.id;
		SELECT q.id, string_agg(f.distance::text, ' ' ORDER BY f.distance)
		FROM (SELECT id, v FROM $table WHERE id % 300 = 7) AS q,
			 LATERAL (SELECT id, v <=> q.v AS distance FROM $table WHERE kind = 3 ORDER BY v <=> q.v LIMIT 10) AS f
		GROUP BY q.id ORDER BY q.id;
		SELECT * FROM omenvec_check('${table}_v');
	});
}

my $by_index = 'SET enable_seqscan = off; SET enable_sort = off;';

sub is_right
{
	my ($table, $when) = @_;
	my ($recall) = sql("SELECT recall FROM omenvec_recall('${table}_v', 10, 300)");

	cmp_ok($recall, '>=', $FLOOR, "$table, $when: recall");
	is(answers($primary, $table, "$by_index SET omenhnsw.ef_search = 2000;"),
		answers($primary, $table, 'SET enable_indexscan = off; SET omenhnsw.enable_bitmap_filter = off;'),
		"$table, $when: a wide search gives the table's answers");
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is(answers($standby, $table, $by_index), answers($primary, $table, $by_index), "$table, $when: the standby's answers");
}

load_packages($primary, 'packages');
foreach my $kind (@KINDS)
{
	my ($table, $type, $options) = @$kind;

	sql(qq{
		CREATE TABLE $table (id int, kind int, v $type);
		INSERT INTO $table SELECT id, id % 10, v FROM packages WHERE id < $ROWS / 2;
		CREATE INDEX ${table}_v ON $table USING omenhnsw (v ${\($type =~ s/\(.*//r)}_cosine_ops, kind) WITH ($options);
	});
	is_right($table, 'built');

	# 500 rows are a tail; more are sealed and merged by the session that inserts them
	sql("INSERT INTO $table SELECT id, id % 10, v FROM packages WHERE id BETWEEN $ROWS / 2 AND $ROWS / 2 + 500");
	is_right($table, 'with a tail');
	sql("INSERT INTO $table SELECT id, id % 10, v FROM packages WHERE id BETWEEN $ROWS / 2 + 501 AND $ROWS - 200;
		 DELETE FROM $table WHERE id % 5 = 0");
	is_right($table, 'grown');
}

# ---- a crash ----

sql("INSERT INTO $_->[0] SELECT id, id % 10, v FROM packages WHERE id BETWEEN $ROWS - 199 AND $ROWS") foreach @KINDS;
$primary->stop('immediate');
$primary->start;
is_right($_->[0], 'after a crash') foreach @KINDS;
sql("VACUUM $_->[0]; SELECT omenvec_optimize('$_->[0]_v', true)") foreach @KINDS;
is_right($_->[0], 'optimized') foreach @KINDS;

# ---- a dump: the same options, the same kind ----

my $dump = PostgreSQL::Test::Utils::tempdir() . '/quantization.dump';
my $kinds = q{SELECT relname, s.quantization, reloptions FROM pg_class, omenvec_index_stats(oid) AS s
			  WHERE relname LIKE '%\_v' AND s.kind = 'graph' AND s.state = 'live' ORDER BY 1};
$primary->command_ok([ 'pg_dump', '-Fc', '-f', $dump, 'postgres' ], 'pg_dump');
sql('CREATE DATABASE copied');
$primary->command_ok([ 'pg_restore', '-d', 'copied', $dump ], 'pg_restore');
is($primary->safe_psql('copied', $kinds), sql($kinds), 'kinds of the restored indexes');
is(sql($kinds), <<'END' =~ s/\n$//r, 'kinds of the indexes');
bytes_v|scalar|{quantization=scalar}
floats_v|none|{quantization=none}
halfvecs_v|half|{quantization=half}
halves_v|half|{quantization=half}
END

# ---- promoted ----

$standby->promote;
$standby->safe_psql('postgres', "INSERT INTO $_->[0] SELECT id, id % 10, v FROM packages WHERE id > $ROWS AND id < $ROWS + 100") foreach @KINDS;
is(answers($standby, $_->[0], "$by_index SET omenhnsw.ef_search = 2000;"),
	answers($standby, $_->[0], 'SET enable_indexscan = off; SET omenhnsw.enable_bitmap_filter = off;'),
	"$_->[0]: the promoted standby goes on") foreach @KINDS;

$primary->stop;
$standby->stop;
done_testing();
