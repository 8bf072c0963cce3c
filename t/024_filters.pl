# Searches filtered by attributes: recall whatever the share of the rows that
# pass and wherever they lie, answers that follow inserts, updates, deletes,
# merges and a crash, the same bytes whoever builds them, and damage that is
# found.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use File::Copy;
use OmenPages;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $K = 10;
my $QUERIES = 40;
my $FLOOR = 0.95;
my $DAMAGED = $ENV{OMENVEC_TEST_TRIALS} || 40;

my $seed = seed_from_environment();
my $node = new_node('filters',
	settings => { shared_buffers => "'256MB'", maintenance_work_mem => "'256MB'", statement_timeout => "'120s'" });

# ---- recall ----

# The demo's packages with a number that has nothing to do with the vector, and
# one that is the place in the order of nearness to a package.  Queries lie
# anywhere, or about that package.
load_packages($node, 'packages');
load_phrases($node, 'phrases');
my $n = $node->safe_psql('postgres', 'SELECT count(*) FROM packages');

$node->safe_psql('postgres', qq{
	CREATE TABLE items AS
	SELECT id, v, (row_number() OVER (ORDER BY hashint4extended(id, 5)) - 1)::int AS anyhow,
		(row_number() OVER (ORDER BY v <=> (SELECT v FROM packages WHERE id = 77), id) - 1)::int AS place,
		ARRAY['t' || id % 7, 't' || id % 11] AS tags
	FROM packages ORDER BY id;
	CREATE TABLE queries AS
	(SELECT 'anywhere' AS whence, id, v FROM phrases ORDER BY id LIMIT $QUERIES)
	UNION ALL
	(SELECT 'there', id, v FROM items ORDER BY place LIMIT $QUERIES);
	CREATE INDEX items_v ON items USING omenhnsw (v vector_cosine_ops, anyhow, place, tags);
	ANALYZE items;
});

# How plans look, and what makes the planner choose them.
my $ATTRIBUTES = { plan => 'Index Scan using %s_v.*Index Cond', settings => '', name => 'a condition of the index' };
my $BITMAP = { plan => 'OmenBitmapFilter.*Index Scan using %s_v.*Bitmap Index Scan', settings => 'SET cpu_operator_cost = 0;',
	name => 'a bitmap' };

# Of a condition and some queries: recall, and how many got too few rows or in wrong order.
sub recall_of
{
	my ($table, $condition, $whence, $by) = @_;
	my $plan = sprintf $by->{plan}, $table;
	my $nearest = "SELECT v <=> q.v AS d FROM $table WHERE $condition ORDER BY v <=> q.v LIMIT $K";
	my $settings = "SET enable_sort = off; SET enable_seqscan = off; $by->{settings}";

	like($node->safe_psql('postgres', "$settings EXPLAIN " . ($nearest =~ s/q\.v/(SELECT v FROM queries LIMIT 1)/gr)),
		qr/$plan/s, "$condition: $by->{name}");
	return split / /, $node->safe_psql('postgres', qq{
		CREATE TEMP TABLE truth AS
		SELECT q.id, count(*) AS n, max(d) AS farthest FROM queries AS q,
			LATERAL (SELECT (v <=> q.v) + 0 AS d FROM $table WHERE $condition ORDER BY 1 LIMIT $K) AS near
		WHERE whence = '$whence' GROUP BY q.id;
		$settings
		SELECT round(sum(hits)::numeric / sum(truth.n), 4) || ' ' || count(*) FILTER (WHERE NOT good OR s.n <> truth.n)
		FROM truth JOIN (
			SELECT q.id, count(*) AS n, count(*) FILTER (WHERE d <= farthest) AS hits, bool_and(d >= before) AS good
			FROM queries AS q JOIN truth ON q.id = truth.id,
				LATERAL (SELECT d, lag(d, 1, d) OVER () AS before FROM ($nearest) AS near) AS pairs
			WHERE whence = '$whence' GROUP BY q.id) AS s ON s.id = truth.id});
}

sub recall_is_good
{
	my ($table, $kind, $condition, $whence, $by) = @_;
	my ($recall, $bad) = recall_of($table, $condition, $whence, $by // $ATTRIBUTES);

	is($bad, 0, "$kind, $condition: every query gets its rows, nearest first");
	cmp_ok($recall, '>=', $FLOOR, "$kind, $condition: recall");
	diag sprintf '%-22s %-24s recall@%d %.4f', $kind, $condition, $K, $recall;
}

sub measure
{
	my ($table) = @_;

	foreach my $share (0.0001, 0.001, 0.01, 0.1, 0.5, 0.8, 1)
	{
		my $rows = int($share * $n + 0.5);

		recall_is_good($table, 'uncorrelated', "anyhow < $rows", 'anywhere');
		recall_is_good($table, 'correlated', "place < $rows", 'there');
		recall_is_good($table, 'adversely correlated', 'place >= ' . ($n - $rows), 'there');
	}
	recall_is_good($table, 'two attributes', 'anyhow < ' . int($n / 5) . ' AND place >= ' . int($n / 2), 'there');
	recall_is_good($table, 'array', "tags && '{t3}'", 'anywhere');
}

measure('items');

# The same by indexes beside that of the vectors, whose bitmaps are the filter.
$node->safe_psql('postgres', q{
	CREATE TABLE beside AS SELECT * FROM items;
	CREATE INDEX beside_v ON beside USING omenhnsw (v vector_cosine_ops);
	CREATE INDEX ON beside (anyhow);
	CREATE INDEX ON beside (place);
	CREATE INDEX ON beside USING gin (tags);
	ANALYZE beside;
});
foreach my $share (0.001, 0.01, 0.05)
{
	my $rows = int($share * $n + 0.5);

	recall_is_good('beside', 'uncorrelated', "anyhow < $rows", 'anywhere', $BITMAP);
	recall_is_good('beside', 'correlated', "place < $rows", 'there', $BITMAP);
	recall_is_good('beside', 'adversely correlated', 'place >= ' . ($n - $rows), 'there', $BITMAP);
	recall_is_good('beside', 'either', "place < $rows OR anyhow < $rows", 'anywhere', $BITMAP);
	recall_is_good('beside', 'both', "tags @> '{t3}' AND place >= " . ($n - 2 * $rows), 'there', $BITMAP);
}

# ---- rows that come, change and go ----

our @CONDITIONS = ('a = 3', 'a IN (1, 5, 9)', 'a IS NULL', 'a > 5 AND t LIKE \'w1%\'', "tags && '{3}'", "t = 'new'", 'a IS NOT NULL',
	"t ^@ 'w2' AND a < 4", 'v IS NULL AND a = 3');

# Where a condition's rows by the index are not those of the table.
sub differences
{
	my ($table) = @_;
	my @differences;

	foreach my $condition (@CONDITIONS)
	{
		my $order = 'ORDER BY v <-> (SELECT v FROM ' . $table . ' WHERE v IS NOT NULL LIMIT 1)';
		my ($plan, @counts) = split /\n/, $node->safe_psql('postgres', qq{
			SET enable_seqscan = off; SET enable_sort = off;
			CREATE TEMP TABLE found AS SELECT id FROM (SELECT id FROM $table WHERE $condition $order) AS s;
			RESET enable_seqscan; SET enable_indexscan = off;
			CREATE TEMP TABLE expected AS SELECT id FROM $table WHERE $condition;
			SELECT 'plan';
			SELECT count(*) FROM (TABLE expected EXCEPT ALL TABLE found) AS s;
			SELECT count(*) FROM (TABLE found EXCEPT ALL TABLE expected) AS s});

		push @differences, "$condition: $counts[0] missing, $counts[1] too many" if "@counts" ne '0 0';
	}
	push @differences, split /\n/, $node->safe_psql('postgres', "SELECT c FROM omenvec_check('${table}_v') AS c");
	push @differences, split /\n/, $node->safe_psql('postgres', qq{
		SELECT 'facet: ' || s::text FROM (
			(SELECT value::int, count FROM omenvec_facet('${table}_v', 'a', 1000)
			 EXCEPT SELECT a, count(*) FROM $table GROUP BY a)) AS s}) if $differences::exact;
	return join "\n", @differences;
}

sub is_right
{
	my ($name, %args) = @_;

	local $differences::exact = $args{counts_are_exact};
	is(differences($args{table} // 'moving'), '', $name);
}

sub rows
{
	my ($first, $last) = @_;

	return qq{
		INSERT INTO moving SELECT i, CASE WHEN i % 50 <> 7 THEN sample_vector(CASE WHEN i % 9 = 0 THEN 1 ELSE i END, 4) END,
			nullif(i % 13, 12), 'w' || i % 37, ARRAY[i % 5, i % 8] FROM generate_series($first, $last) AS i;};
}

$node->safe_psql('postgres', 'CREATE TABLE moving (id int, v vector(32), a int, t text, tags int[]) WITH (fillfactor = 50);
	CREATE INDEX moving_v ON moving USING omenhnsw (v vector_l2_ops, a, t, tags)');
is_right('an empty index');
$node->safe_psql('postgres', rows(1, 300));
is_right('rows in the tail', counts_are_exact => 1);
$node->safe_psql('postgres', "SELECT omenvec_optimize('moving_v');" . rows(301, 3000) . 'REINDEX INDEX moving_v;' . rows(3001, 3500));
is_right('a segment and a tail', counts_are_exact => 1);

$node->safe_psql('postgres', q{
	UPDATE moving SET a = 3 WHERE id % 17 = 0;
	UPDATE moving SET t = 'new', tags = NULL WHERE id % 19 = 0;
	UPDATE moving SET a = NULL WHERE id BETWEEN 3100 AND 3130});
is_right('attributes updated');
my $hot_updates = sub {
	return $node->safe_psql('postgres', "SELECT pg_stat_get_tuples_hot_updated('moving'::regclass)");
};
my $hot_before = $hot_updates->();
$node->safe_psql('postgres', 'UPDATE moving SET a = -id WHERE id % 29 = 0');
is($hot_updates->(), $hot_before, 'an update of an attribute is no heap-only one');
$node->safe_psql('postgres', 'BEGIN; UPDATE moving SET a = 1; ROLLBACK');
is_right('an update undone');

$node->safe_psql('postgres', 'DELETE FROM moving WHERE id % 10 = 4');
is_right('rows deleted');
$node->safe_psql('postgres', 'VACUUM (INDEX_CLEANUP ON) moving');
is_right('vacuumed');
$node->safe_psql('postgres', "SELECT omenvec_optimize('moving_v');" . rows(4001, 4400));
is_right('merged');
$node->safe_psql('postgres', "DELETE FROM moving WHERE id % 3 = 0; VACUUM (INDEX_CLEANUP ON) moving; SELECT omenvec_optimize('moving_v', true)");
is_right('merged into one, without the dead', counts_are_exact => 1);

# ---- a crash ----

$node->safe_psql('postgres', 'CHECKPOINT;' . rows(5001, 5600) . "UPDATE moving SET a = 5 WHERE id % 23 = 0; SELECT omenvec_optimize('moving_v');" . rows(5601, 5700));
$node->stop('immediate');
$node->start;
is_right('after a crash');
$node->safe_psql('postgres', rows(5701, 5800) . 'VACUUM (INDEX_CLEANUP ON) moving');
is_right('written on after it');

# ---- the same bytes, whoever builds ----

SKIP:
{
	skip 'pageinspect is not installed', 2 if ($node->psql('postgres', 'CREATE EXTENSION pageinspect'))[0] != 0;

	# The segment's stamp is random, as are LSNs.
	my $digest = sub {
		my ($index) = @_;
		return $node->safe_psql('postgres', qq{
			SELECT md5(string_agg(md5(substr(page, 11, 14) || substr(page, 25)), '' ORDER BY block))
			FROM generate_series(1, pg_relation_size('$index') / 8192 - 1) AS block,
				LATERAL get_raw_page('$index', block::int) AS page});
	};
	my $build = sub {
		my ($name, $workers, $table) = @_;
		$node->safe_psql('postgres', qq{
			SET max_parallel_maintenance_workers = $workers; SET min_parallel_table_scan_size = 0;
			ALTER TABLE $table SET (parallel_workers = $workers);
			CREATE INDEX $name ON $table USING omenhnsw (v vector_l2_ops, a, t, tags, (a % 3))});
	};

	$node->safe_psql('postgres', 'CREATE TABLE same AS TABLE moving');
	$build->("same_$_", $_, 'same') foreach 0, 1, 3;
	is($digest->("same_$_"), $digest->('same_0'), "$_ workers build the same index") foreach 1, 3;
}

# ---- an order of text that is no order of bytes ----

SKIP:
{
	skip 'no ICU', 1
	  if ($node->psql('postgres', 'CREATE TABLE words (id int, v vector(8), a int, t text COLLATE "en-x-icu", tags int[])'))[0] != 0;
	local @CONDITIONS = ("t LIKE 'co%'", "t ^@ 'co'", "t LIKE 'Co%'", "t LIKE 'c_o%'", "t < 'coop'", "t >= 'Co-op' AND t <= 'cow'", "t = 'COOP'");
	$node->safe_psql('postgres', q{
		INSERT INTO words SELECT i, sample_vector(i, 1), 1,
			(ARRAY['coop', 'co-op', 'Coop', 'COOP', 'cow', 'c-o', 'c o', 'co', 'Co', 'còop', 'c', 'd', '', 'cz', 'ch'])[1 + i % 15]
		FROM generate_series(1, 1500) AS i;
		CREATE INDEX words_v ON words USING omenhnsw (v vector_l2_ops, a, t);
		INSERT INTO words SELECT id + 10000, v, 1, t FROM words WHERE id <= 60;
	});
	is_right('text in the order of a language', table => 'words');
}

# ---- damage ----

# Copies of a prepared table, in each of whose attributes a few bytes are
# changed: omenvec_check() says so, and nothing that is done with the index ends
# otherwise than well or in an error that names the damage.
sub file_of
{
	my ($relation) = @_;

	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')");
}

sub damage_attributes
{
	my ($path) = @_;
	my $pages = OmenPages->new($path);
	my $entry = $pages->entry('GRAPH');
	my $n_blocks = $pages->seg($entry, 'columns[' . (OmenPages::column('ATTRIBUTES') - 1) . '].n_blocks');
	my $chunk = int rand() < 0.3 ? 0 : int rand $n_blocks;
	my $at = $pages->body($entry, 'ATTRIBUTES', $chunk) +
	  ($chunk == 0 && rand() < 0.5 ? int rand 200 : int rand OmenPages::define('OMEN_CHUNK_BYTES'));
	my $old = $pages->read_bytes($at, 1);
	my $new = rand() < 0.5 ? chr(ord($old) ^ 1 << int rand 8) : chr((ord($old) + 1 + int rand 255) % 256);

	$pages->write_bytes($at, $new);
	$pages->close_file;
	return sprintf 'byte %d of chunk %d: %s became %s', $at, $chunk, unpack('H2', $old), unpack 'H2', $new;
}

$node->safe_psql('postgres', 'CREATE TABLE prepared (LIKE moving);
	INSERT INTO prepared SELECT * FROM moving WHERE id < 2500;
	CREATE INDEX prepared_v ON prepared USING omenhnsw (v vector_l2_ops, a, t, tags)');
$node->safe_psql('postgres', 'VACUUM (FREEZE, INDEX_CLEANUP OFF) prepared');
my @good = map { file_of($_) } 'prepared', 'prepared_v';
my @trials;
foreach my $i (1 .. $DAMAGED)
{
	$node->safe_psql('postgres', "CREATE TABLE damaged_$i (LIKE prepared);
		CREATE INDEX damaged_${i}_v ON damaged_$i USING omenhnsw (v vector_l2_ops, a, t, tags)");
	push @trials, { table => "damaged_$i", files => [ file_of("damaged_$i"), file_of("damaged_${i}_v") ] };
}
$node->stop;
foreach my $trial (@trials)
{
	copy($good[$_], $trial->{files}[$_]) or die $! foreach 0, 1;
	$trial->{done} = damage_attributes($trial->{files}[1]);
}
$node->start;

my @problems;
my $n_errors = 0;
foreach my $trial (@trials)
{
	my $table = $trial->{table};
	my ($status, $out, $err) = $node->psql('postgres', qq{
		\\set VERBOSITY verbose
		SET enable_seqscan = off; SET enable_sort = off;
		SELECT 'found' FROM omenvec_check('${table}_v') LIMIT 1;}
		  . join('', map { "SELECT count(*) FROM (SELECT id FROM $table WHERE $_ ORDER BY v <-> sample_vector(1, 4)) AS s;" } @CONDITIONS)
		  . "SELECT count(*) FROM (SELECT id FROM $table WHERE a < 4 ORDER BY v <-> sample_vector(1, 4) LIMIT 10) AS s;"
		  . "SELECT * FROM omenvec_attributes('${table}_v'); SELECT count(*) FROM omenvec_facet('${table}_v', 't');
		INSERT INTO $table SELECT * FROM prepared LIMIT 200;
		SELECT omenvec_optimize('${table}_v', true);
		REINDEX INDEX ${table}_v;
		SELECT 'after REINDEX ' || c::text FROM omenvec_check('${table}_v') AS c;",
		on_error_stop => 0, timeout => 120);
	my @errors = $err =~ /ERROR:\s+(.*)/g;

	$n_errors += @errors;
	if ($status != 0 || $err =~ /server closed/)
	{
		$node->poll_query_until('postgres', 'SELECT true');
		push @problems, "$trial->{done}: crash: $err";
		next;
	}
	push @problems, "$trial->{done}: not found" if $out !~ /^found$/m && "@errors" !~ /XX002/;
	push @problems, "$trial->{done}: $_" foreach grep { !/^XX00[12]:/ } @errors;
	push @problems, "$trial->{done}: $1" if $out =~ /(after REINDEX.*)/;
}
is(join("\n", @problems), '', "$DAMAGED damaged indexes: found, and errors at most");
note "$n_errors errors";

$node->stop;
done_testing();
