# Every kind of sketch through the life of an index of real embeddings: rows
# that come and go, merges, a crash, a standby, and another kind while somebody
# reads: recall at default settings, and the table's own answers, in their
# order, from a search that compares sketches but keeps many candidates.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $FLOOR = 0.95;
my $ROWS = 3600;

# Table, the index's options, and those it gets in the end.
my @KINDS = (
	[ 'one_bit', 'quantization = low_bit', 'quantization = low_bit, bits = 4' ],
	[ 'two_bits', 'quantization = low_bit, bits = 2', 'quantization = product' ],
	[ 'signs', 'quantization = binary', 'quantization = product, bits = 4' ],
	[ 'bytes', 'quantization = product', 'quantization = binary' ]);

my $primary = new_node('primary',
	allows_streaming => 1,
	settings => { wal_consistency_checking => "'generic'" });
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub sql { return $primary->safe_psql('postgres', $_[0]) }

my $BY_TABLE = 'SET enable_indexscan = off;';
my $BY_INDEX = 'SET enable_seqscan = off; SET enable_sort = off;';

# Few enough wanted for a search to be made, so many kept that it misses nothing.
my $WIDE = "$BY_INDEX SET omenhnsw.ef_search = 60; SET omenhnsw.oversampling = 30;";

# Distances of the nearest rows to some of the table's vectors, as they come; and what is wrong with the index.
sub answers
{
	my ($node, $table, $settings) = @_;

	return $node->safe_psql('postgres', qq{
		$settings
		SELECT q.id, string_agg(f.distance::text, ' ' ORDER BY f.n)
		FROM (SELECT id, v FROM $table WHERE id % 150 = 7) AS q,
			 LATERAL (SELECT distance, row_number() OVER () AS n
					  FROM (SELECT v <=> q.v AS distance FROM $table ORDER BY v <=> q.v LIMIT 10) AS nearest) AS f
		GROUP BY q.id ORDER BY q.id;
		SELECT * FROM omenvec_check('${table}_v');
	});
}

sub is_right
{
	my ($table, $when) = @_;

	cmp_ok(sql("SELECT recall FROM omenvec_recall('${table}_v', 10, 300)"), '>=', $FLOOR, "$table, $when: recall");
	is(answers($primary, $table, $WIDE), answers($primary, $table, $BY_TABLE), "$table, $when: the table's answers");
	$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
	is(answers($standby, $table, $BY_INDEX), answers($primary, $table, $BY_INDEX), "$table, $when: the standby's answers");
}

# ---- built, grown, merged ----

load_packages($primary, 'packages');
foreach my $kind (@KINDS)
{
	my ($table, $options) = @$kind;

	sql(qq{
		CREATE TABLE $table (id int, v vector(384));
		INSERT INTO $table SELECT id, v FROM packages WHERE id < $ROWS - 1000;
		CREATE INDEX ${table}_v ON $table USING omenhnsw (v vector_cosine_ops) WITH ($options);
		INSERT INTO $table SELECT id, v FROM packages WHERE id BETWEEN $ROWS - 1000 AND $ROWS;
		DELETE FROM $table WHERE id % 5 = 0;
	});
	is_right($table, 'with a tail');
	sql("VACUUM $table");
	sql("SELECT omenvec_optimize('${table}_v')");
	is_right($table, 'merged');
}

# ---- a crash behind rows that are only in the log ----

sql("INSERT INTO $_->[0] SELECT id, v FROM packages WHERE id BETWEEN $ROWS + 1 AND $ROWS + 100") foreach @KINDS;
sql("SELECT omenvec_optimize('$KINDS[0][0]_v')");
$primary->stop('immediate');
$primary->start;
is_right($_->[0], 'after a crash') foreach @KINDS;

# ---- another kind, while somebody reads ----

foreach my $kind (@KINDS)
{
	my ($table, undef, $options) = @$kind;
	my $query = "SELECT id FROM $table ORDER BY v <=> (SELECT v FROM packages WHERE id = 77)";
	my $reader = $primary->background_psql('postgres');
	my $ids;

	$reader->query_safe($WIDE);
	$reader->query_safe("BEGIN; DECLARE nearest NO SCROLL CURSOR FOR $query");
	$ids = $reader->query_safe('FETCH 3 FROM nearest');
	sql("ALTER INDEX ${table}_v RESET (bits); ALTER INDEX ${table}_v SET ($options)");
	sql("SELECT omenvec_optimize('${table}_v')");
	$ids .= "\n" . $reader->query_safe('FETCH 37 FROM nearest');
	is($ids, sql("$BY_TABLE $query LIMIT 40"), "$table: a reader goes on while the kind changes");
	$reader->query_safe('COMMIT');
	$reader->quit;
	is(sql("SELECT DISTINCT quantization FROM omenvec_quantization_stats('${table}_v')"),
		$options =~ s/^quantization = (\w+).*/$1/r, "$table: all is of the new kind");
	is_right($table, 'of another kind');
}

$standby->stop;
$primary->stop;
done_testing();
