# Resident copies give the answers that pages give, bit by bit, and never those
# of another time: segments replaced, indexes rebuilt or dropped and made
# again, servers stopped, crashed, cloned and promoted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $TILES = 8;
my $dims = $TILES * 8;
my $folder = 'base/pgsql_tmp/pgsql_tmp_omenvec';

seed_from_environment();

# Temporary files that outlive a crash are the harder case.
# Workers load the library by the name that the extension's functions have, whatever the path is.
my $node = new_node('resident',
	allows_streaming => 1,
	settings => { dynamic_library_path => "'/nowhere'", maintenance_work_mem => "'64MB'", restart_after_crash => 'on',
		remove_temp_files_after_crash => 'off' });

sub copy_files
{
	my ($of) = @_;

	return sort grep { /^\d/ } map { s{.*/}{}r } glob $of->data_dir . "/$folder/*";
}

sub set_memory
{
	my ($of, $limit) = @_;

	$of->append_conf('postgresql.conf', "omenvec.resident_memory = '$limit'");
	$of->reload;
	$of->poll_query_until('postgres', q{LOAD '$libdir/omenvec'; SHOW omenvec.resident_memory}, "LOAD\n$limit")
	  or die 'the setting did not change';
}

# What queries answer: distances in full, so that a wrong code or row shows.
sub answers
{
	my ($of, $table, $sample, $operator) = @_;

	$sample //= "sample_vector(q.i, $TILES)";
	$operator //= '<->';
	return $of->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT q.i, string_agg(f.id || ':' || f.distance, ' ')
		FROM generate_series(1, 20000, 700) AS q (i),
			 LATERAL (SELECT id, v $operator $sample AS distance
					  FROM $table ORDER BY v $operator $sample LIMIT 20) AS f
		GROUP BY q.i ORDER BY q.i;
	});
}

# With and without: the very same answers, and there is a copy at all.
sub same_answers
{
	my ($of, $table, $when, @more) = @_;
	my $bytes = $of->safe_psql('postgres', "SELECT omenvec_prewarm('${table}_v')");
	my $with = answers($of, $table, @more);
	my $used = $of->safe_psql('postgres', qq{
		SELECT count(*) FROM omenvec_resident WHERE index = '${table}_v'::regclass});

	cmp_ok($bytes, '>', 0, "a copy $when");
	cmp_ok($used, '>', 0, "the view shows it $when");
	set_memory($of, 0);
	is($with, answers($of, $table, @more), "the answers of pages $when");
	set_memory($of, '100MB');
}

# The answers with whatever copies there are, then without.
sub never_stale
{
	my ($table, $when, @more) = @_;
	my $found = answers($node, $table, @more);

	set_memory($node, 0);
	is($found, answers($node, $table, @more), "nothing stale after $when");
	set_memory($node, '100MB');
}

sub make_table
{
	my ($table, $from, $to) = @_;

	$node->safe_psql('postgres', qq{
		CREATE TABLE $table (id bigint, v vector($dims));
		INSERT INTO $table SELECT i, sample_vector(i, $TILES) FROM generate_series($from, $to) AS i;
		CREATE INDEX ${table}_v ON $table USING omenhnsw (v vector_l2_ops);
	});
}

# ---- what is copied, and what it answers ----

make_table('items', 1, 6000);
is($node->safe_psql('postgres', 'SELECT count(*) FROM omenvec_resident'), '0', 'no copy at first');
same_answers($node, 'items', 'after a build');

$node->safe_psql('postgres', q{
	CREATE TABLE sparse (id bigint, v sparsevec(4000));
	INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(1, 3000) AS i;
	CREATE INDEX sparse_v ON sparse USING omenhnsw (v sparsevec_l2_ops);
	CREATE TABLE bits (id bigint, v bit(96));
	INSERT INTO bits SELECT i, ((hashint8(i) % 65536)::bit(32) || hashint8(i + 1)::bit(32) || hashint8(i / 7)::bit(32))::bit(96)
	FROM generate_series(1, 3000) AS i;
	CREATE INDEX bits_v ON bits USING omenhnsw (v bit_hamming_ops);
	CREATE TABLE sketched (id bigint, v vector(96));
	INSERT INTO sketched SELECT i, sample_vector(i, 12) FROM generate_series(1, 3000) AS i;
	CREATE INDEX sketched_v ON sketched USING omenhnsw (v vector_l2_ops, id) WITH (quantization = low_bit);
	CREATE TABLE refined (id bigint, v vector(96));
	INSERT INTO refined SELECT i, sample_vector(i, 12) FROM generate_series(1, 3000) AS i;
	CREATE INDEX refined_v ON refined USING omenhnsw (v vector_l2_ops) WITH (refine = scalar);
	CREATE TABLE long (id bigint, v vector(9600));
	INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(1, 40) AS i;
	CREATE INDEX long_v ON long USING omenhnsw (v vector_cosine_ops);
});
same_answers($node, 'sparse', 'of sparse vectors', 'sample_sparse(q.i)');
same_answers($node, 'bits', 'of bits', '(hashint8(q.i)::bit(32)::bit(96))', '<~>');
same_answers($node, 'sketched', 'with sketches', 'sample_vector(q.i, 12)');

# Where there is no room for codes, those with sketches do without.
{
	$node->safe_psql('postgres', q{
		INSERT INTO sketched SELECT i, sample_vector(i, 12) FROM generate_series(3001, 12000) AS i;
		REINDEX INDEX sketched_v;
	});
	my $whole = $node->safe_psql('postgres', q{SELECT omenvec_prewarm('sketched_v')});

	set_memory($node, 0);
	my $answers = answers($node, 'sketched', 'sample_vector(q.i, 12)');
	my $filtered = $node->safe_psql('postgres', q{
		SELECT string_agg(id::text, ' ') FROM (SELECT id FROM sketched WHERE id BETWEEN 1000 AND 8000 ORDER BY v <-> sample_vector(5, 12) LIMIT 100) AS s});

	set_memory($node, '2MB');
	my $part = $node->safe_psql('postgres', q{SELECT omenvec_prewarm('sketched_v')});

	cmp_ok($whole, '>', 2 * 1024 * 1024, 'no room for codes');
	cmp_ok($part, '>', 0, 'a copy without codes');
	cmp_ok($part, '<=', 2 * 1024 * 1024, 'it has room');
	is(answers($node, 'sketched', 'sample_vector(q.i, 12)'), $answers, 'the same answers, codes from pages');
	is($node->safe_psql('postgres', q{
		SELECT string_agg(id::text, ' ') FROM (SELECT id FROM sketched WHERE id BETWEEN 1000 AND 8000 ORDER BY v <-> sample_vector(5, 12) LIMIT 100) AS s}),
		$filtered, 'the same under a filter');
	set_memory($node, '100MB');
}
same_answers($node, 'refined', 'with finer codes', 'sample_vector(q.i, 12)');
same_answers($node, 'long', 'of codes longer than a page', 'sample_vector(q.i, 1200)', '<=>');

# ---- segments replaced ----

my $session = $node->background_psql('postgres', on_error_stop => 1);
my $nearest = qq{SELECT string_agg(id || ':' || d, ' ') FROM (
	SELECT id, v <-> sample_vector(9999, $TILES) AS d FROM items
	ORDER BY v <-> sample_vector(9999, $TILES) LIMIT 10) AS s;};

$session->query('SET enable_seqscan = off; SET enable_sort = off;');
$session->query($nearest);
insert_rows($node, 'items', 6001, 12000, $TILES);
$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 3 = 0; VACUUM items');
same_answers($node, 'items', 'after seals and a vacuum');
my @before = copy_files($node);
$node->safe_psql('postgres', "SELECT omenvec_optimize('items_v', true)");
my %left = map { $_ => 1 } copy_files($node);
my ($relfile) = $node->safe_psql('postgres', "SELECT pg_relation_filenode('items_v')");
is(scalar(grep { /^\d+\.\d+\.$relfile\./ && $left{$_} } @before), 0, 'a merge removes the copies of what it replaces');
is($session->query($nearest), $node->safe_psql('postgres', $nearest =~ s/;$//r),
	'a session that knew the old copy sees the new rows');
same_answers($node, 'items', 'after a merge');

foreach my $rebuild ('REINDEX INDEX items_v', 'VACUUM FULL items',
	"TRUNCATE items; INSERT INTO items SELECT i, sample_vector(i + 5, $TILES) FROM generate_series(1, 4000) AS i; SELECT omenvec_optimize('items_v')",
	"DELETE FROM items WHERE id % 2 = 0; VACUUM items; SELECT omenvec_optimize('items_v', true)",
	"DROP INDEX items_v; CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops)")
{
	my ($what) = $rebuild =~ /^(\w+ \w+)/;

	$node->safe_psql('postgres', $rebuild);
	is($session->query($nearest), $node->safe_psql('postgres', "SET omenvec.simd = scalar; $nearest"),
		"an old session after $what");
	same_answers($node, 'items', "after $what");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM omenvec_resident WHERE index IS NULL}), '0',
	'copies of dropped indexes are gone when others are made');
$session->quit;

# In one transaction, TRUNCATE empties a file in place: the same relation file
# and segment ids again, with other rows.
$node->safe_psql('postgres', qq{
	BEGIN;
	CREATE TABLE again (id bigint, v vector($dims));
	CREATE INDEX again_v ON again USING omenhnsw (v vector_l2_ops);
	INSERT INTO again SELECT i, sample_vector(i, $TILES) FROM generate_series(1, 2000) AS i;
	SELECT omenvec_optimize('again_v');
	CREATE TABLE before AS SELECT pg_relation_filenode('again_v') AS file, omenvec_prewarm('again_v') AS bytes;
	TRUNCATE again;
	INSERT INTO again SELECT i, sample_vector(i + 100000, $TILES) FROM generate_series(1, 2000) AS i;
	SELECT omenvec_optimize('again_v');
	COMMIT;
});
is($node->safe_psql('postgres', "SELECT pg_relation_filenode('again_v') = file AND bytes > 0 FROM before"), 't',
	'TRUNCATE in the creating transaction leaves file and copy');
never_stale('again', 'TRUNCATE in the creating transaction');

# ---- the limit ----

make_table('second', 1, 3000);
$node->safe_psql('postgres', "SELECT omenvec_prewarm('items_v')");
set_memory($node, '1MB');
is($node->safe_psql('postgres', "SELECT omenvec_prewarm('second_v') < 1048576"), 't', 'what fits');
cmp_ok($node->safe_psql('postgres', 'SELECT coalesce(sum(bytes), 0) FROM omenvec_resident_copies()'),
	'<=', 1048576, 'all copies together keep the limit');
set_memory($node, '100MB');

# ---- files that are not what they should be ----

# What a file becomes, and what must come of it: the answers of pages, and a
# new file when one is made again.
my $good = answers($node, 'second');
my %damage = (
	'cut short' => sub { truncate $_[0], -s($_[0]) - 4096 },
	'empty' => sub { truncate $_[0], 0 },
	'of another key' => sub { change_byte($_[0], 26) },
	'of another length' => sub { change_byte($_[0], 48) },
	'of another layout' => sub { change_byte($_[0], 80) },
	'unreadable' => sub { chmod 0, $_[0] });

sub change_byte
{
	my ($path, $at) = @_;

	open my $handle, '+<', $path or die "$path: $!";
	seek $handle, $at, 0;
	read $handle, my $byte, 1;
	seek $handle, $at, 0;
	print $handle chr(ord($byte) ^ 1);
	close $handle;
}

($relfile) = $node->safe_psql('postgres', "SELECT pg_relation_filenode('second_v')");
foreach my $how (sort keys %damage)
{
	$node->safe_psql('postgres', "SELECT omenvec_prewarm('second_v')");
	my ($path) = glob $node->data_dir . "/$folder/*.*.$relfile.*";
	$damage{$how}->($path);
	is(answers($node, 'second'), $good, "answers beside a file $how");
	cmp_ok($node->safe_psql('postgres', "SELECT omenvec_prewarm('second_v')"), '>', 0, "a new copy in place of one $how");
	is($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_resident WHERE index = 'second_v'::regclass"), '1', 'it counts');
}

# ---- on demand ----

make_table('wanted', 1, 3000);
$node->safe_psql('postgres', qq{
	SET enable_seqscan = off; SET enable_sort = off;
	SELECT count(f.id) FROM generate_series(1, 300) AS q (i),
		LATERAL (SELECT id FROM wanted ORDER BY v <-> sample_vector(q.i, $TILES) LIMIT 1) AS f});
ok($node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM omenvec_resident WHERE index = 'wanted_v'::regclass}),
	'scans that would gain by a copy get one');
same_answers($node, 'wanted', 'made on demand');

# ---- permissions and kinds of relations ----

$node->safe_psql('postgres', q{
	CREATE ROLE somebody;
	CREATE UNLOGGED TABLE hasty (id bigint, v vector(8));
	INSERT INTO hasty SELECT i, sample_vector(i, 1) FROM generate_series(1, 3000) AS i;
	CREATE INDEX hasty_v ON hasty USING omenhnsw (v vector_l2_ops);
});
like(($node->psql('postgres', q{SET ROLE somebody; SELECT omenvec_prewarm('items_v')}))[2],
	qr/must be owner of index items_v/, 'not for everybody');
is($node->safe_psql('postgres', q{SET ROLE somebody; SELECT count(*) > 0 FROM omenvec_resident}), 't',
	'everybody may look');
is($node->safe_psql('postgres', q{
	CREATE TEMP TABLE own (id bigint, v vector(8));
	INSERT INTO own SELECT i, sample_vector(i, 1) FROM generate_series(1, 2000) AS i;
	CREATE INDEX own_v ON own USING omenhnsw (v vector_l2_ops);
	SELECT omenvec_prewarm('own_v')}), '0', 'no copy of a temporary index');

# ---- restart, crash ----

same_answers($node, 'items', 'before a restart');
$node->safe_psql('postgres', "SELECT omenvec_prewarm('items_v')");
$node->restart;
is(join(',', copy_files($node)), '', 'a restart removes all copies');
same_answers($node, 'items', 'after a restart');
$node->safe_psql('postgres', "SELECT omenvec_prewarm('items_v'), omenvec_prewarm('hasty_v')");
insert_rows($node, 'items', 20001, 24000, $TILES);
$node->stop('immediate');
$node->start;
is(join(',', copy_files($node)), '', 'so does the start after an immediate shutdown');
same_answers($node, 'items', 'after an immediate shutdown');

# A backend dies: the server starts anew under the same postmaster, and the
# files stay.  The unlogged index is empty then, and its file the same.
$node->safe_psql('postgres', q{
	INSERT INTO hasty SELECT i, sample_vector(i, 1) FROM generate_series(1, 3000) AS i;
	SELECT omenvec_optimize('hasty_v', true), omenvec_prewarm('hasty_v'), omenvec_prewarm('items_v')});
my $file = $node->safe_psql('postgres', q{SELECT pg_relation_filenode('hasty_v')});
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'});
kill 'KILL', $pid;
ok($node->poll_query_until('postgres', "SELECT pid <> $pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"),
	'the server has started anew');
ok(scalar(grep { /\.$file\./ } copy_files($node)), 'the copies are still there');
is($node->safe_psql('postgres', q{SELECT count(*), pg_relation_filenode('hasty_v') FROM hasty}), "0|$file",
	'an unlogged index is empty, in the same file');
$node->safe_psql('postgres', q{
	INSERT INTO hasty SELECT i, sample_vector(i + 50000, 1) FROM generate_series(1, 3000) AS i;
	SELECT omenvec_optimize('hasty_v', true)});
never_stale('hasty', 'a reset of an unlogged index', 'sample_vector(q.i, 1)');
same_answers($node, 'items', 'after a crash of one process');

# ---- standby and promotion ----

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('resident_standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', q{dynamic_library_path = '$libdir'});    # where libpqwalreceiver is
$standby->start;
is(join(',', copy_files($standby)), '', 'a backup has no copies');
$node->wait_for_catchup($standby);
same_answers($standby, 'items', 'on a standby');
$standby->safe_psql('postgres', "SELECT omenvec_prewarm('items_v')");
insert_rows($node, 'items', 24001, 26000, $TILES);
$node->safe_psql('postgres', "SELECT omenvec_optimize('items_v', true)");
$node->wait_for_catchup($standby);
is(answers($standby, 'items'), answers($node, 'items'), 'a standby with an old copy answers as its primary');
same_answers($standby, 'items', 'on a standby after a merge');
$node->safe_psql('postgres', 'REINDEX INDEX items_v');
$node->wait_for_catchup($standby);
is(answers($standby, 'items'), answers($node, 'items'), 'and after a REINDEX');
same_answers($standby, 'items', 'on a standby after a REINDEX');
$node->stop;
$standby->promote;
same_answers($standby, 'items', 'after a promotion');
insert_rows($standby, 'items', 26001, 28000, $TILES);
$standby->safe_psql('postgres', "SELECT omenvec_optimize('items_v', true)");
same_answers($standby, 'items', 'after a merge of the promoted');
index_is_right($standby, 'items', 'items_v', 'promoted');
$standby->stop;

done_testing();
