# CREATE INDEX with parallel workers: the index is the same byte by byte,
# however many take part and whatever goes short; a worker's error is the
# user's; a build can be cancelled at any time, and no process stays behind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use IPC::Run ();
use Test::More;
use Time::HiRes qw(sleep time);

my $ROWS = 6000;
my $MANY = 40000;
# Workers load the library by the name that the extension's functions have, whatever the path is.
my $node = new_node('parallel', settings => {
	dynamic_library_path => "'/nowhere'",
	shared_buffers => "'64MB'",
	maintenance_work_mem => "'64MB'",
	max_worker_processes => 8,
	max_parallel_workers => 8,
	max_parallel_maintenance_workers => 4,
	min_parallel_table_scan_size => 0 });
my ($status) = $node->psql('postgres', 'CREATE EXTENSION pageinspect');

if ($status != 0)
{
	$node->stop;
	plan skip_all => 'pageinspect is not installed';
}
seed_from_environment();

# Rows with all that a build meets: NULLs, copies of a vector, zero vectors,
# dead rows, heap-only tuples.
$node->safe_psql('postgres', qq{
	CREATE TABLE items (id bigint, v vector(128), s sparsevec(4000), note text) WITH (fillfactor = 70);
	INSERT INTO items
	SELECT i,
		   CASE WHEN i % 50 = 0 THEN NULL WHEN i % 97 = 0 THEN sample_vector(0, 16)
				WHEN i % 701 = 0 THEN sample_vector(0, 16) * array_fill(0, ARRAY[128])::vector
				ELSE sample_vector(i, 16) END,
		   CASE WHEN i % 60 > 0 THEN sample_sparse(i % 5000) END,
		   'first'
	FROM generate_series(1, $ROWS) AS i;
	UPDATE items SET note = 'heap-only' WHERE id % 3 = 0;
	UPDATE items SET v = sample_vector(id + 1000000, 16) WHERE id % 11 = 0;
	DELETE FROM items WHERE id % 13 = 0;
	CREATE TABLE hard (v vector(40));
	INSERT INTO hard
	SELECT array_agg((hashint8extended(i * 64 + j, 3) & 65535) / 65536.0)::real[]::vector
	FROM generate_series(1, 6000) AS i, generate_series(1, 40) AS j GROUP BY i ORDER BY i;
	CREATE TABLE many (id bigint, v vector(64));
	INSERT INTO many SELECT i, sample_vector(i, 8) FROM generate_series(1, $MANY) AS i;

	-- who evaluates it; the message goes to the user
	CREATE FUNCTION told(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS \$\$
	BEGIN
		RAISE NOTICE 'process %', pg_backend_pid();
		RETURN v;
	END \$\$;
	CREATE FUNCTION told_at_home(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS \$\$
	BEGIN
		RAISE NOTICE 'process %', pg_backend_pid();
		RETURN v;
	END \$\$;
	CREATE FUNCTION fails_in_worker(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS \$\$
	BEGIN
		IF (SELECT backend_type FROM pg_stat_get_activity(pg_backend_pid())) = 'parallel worker' THEN
			RAISE EXCEPTION 'no such vector' USING ERRCODE = '22023', HINT = 'Look elsewhere.';
		END IF;
		PERFORM pg_sleep(0.001);
		RETURN v;
	END \$\$;
});

# Where the metapage's directory has its entries, and each of them its stamp, which is random.
my %DIRECTORY = (first => 24 + 48, entry_bytes => 264, n => 30, stamp => 60);

$node->safe_psql('postgres', qq{
	CREATE FUNCTION page_content(index text, block int) RETURNS bytea LANGUAGE plpgsql AS \$\$
	DECLARE
		page bytea := get_raw_page(index, 'main', block);
	BEGIN
		FOR i IN 0 .. CASE WHEN block = 0 THEN $DIRECTORY{n} - 1 ELSE -1 END LOOP
			page := overlay(page PLACING '\\x00000000' FROM 1 + $DIRECTORY{first} + $DIRECTORY{entry_bytes} * i + $DIRECTORY{stamp});
		END LOOP;
		RETURN substr(page, 11);	-- without LSN and checksum
	END \$\$;
});

# The digest of an index's pages.
sub digest
{
	my ($index) = @_;

	return $node->safe_psql('postgres', qq{
		SELECT count(*) || ' pages ' ||
			   md5(string_agg(md5(page_content('$index', block::int)), '' ORDER BY block))
		FROM generate_series(0, pg_relation_size('$index') / 8192 - 1) AS block
	});
}

# usage: build(index, 'ON … ', workers, [settings])
sub build
{
	my ($index, $on, $workers, $settings) = @_;
	my ($table) = $on =~ /ON (\w+)/;

	$node->safe_psql('postgres', "ALTER TABLE $table SET (parallel_workers = $workers)");
	my ($result, $out, $err) = $node->psql('postgres',
		q{LOAD '$libdir/omenvec'; } . ($settings // '') . "; CREATE INDEX $index $on", on_error_stop => 1);
	return wantarray ? ($result, $err) : $result;
}

# ---- the same index ----

my %INDEXES = (
	plain => [ 'ON items USING omenhnsw (v vector_l2_ops)' ],
	cosine => [ 'ON items USING omenhnsw (v vector_cosine_ops)' ],
	refined => [ 'ON items USING omenhnsw (v vector_l1_ops) WITH (refine = scalar)' ],
	sketched => [ 'ON items USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit)' ],
	sketched_segments => [ 'ON items USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit, bits = 4)', "SET maintenance_work_mem = '1MB'" ],
	refined_segments => [ 'ON items USING omenhnsw (v vector_l2_ops) WITH (refine = scalar)', "SET maintenance_work_mem = '1MB'" ],
	partial => [ 'ON items USING omenhnsw ((v::halfvec(128)) halfvec_l2_ops) WHERE id % 4 > 0' ],
	bits => [ 'ON items USING omenhnsw ((binary_quantize(v)::bit(128)) bit_hamming_ops)' ],
	sparse => [ 'ON items USING omenhnsw (s sparsevec_ip_ops)' ],
	hard => [ 'ON hard USING omenhnsw (v vector_l2_ops)' ],
	hard_segments => [ 'ON hard USING omenhnsw (v vector_l2_ops)', "SET maintenance_work_mem = '1MB'" ],
	segments => [ 'ON items USING omenhnsw (v vector_l2_ops)', "SET maintenance_work_mem = '1MB'" ],
	attribute_segments => [ 'ON items USING omenhnsw (v vector_l2_ops, id, (id % 7))', "SET maintenance_work_mem = '1MB'" ],
	sparse_segments => [ 'ON items USING omenhnsw (s sparsevec_l2_ops)', "SET maintenance_work_mem = '1MB'" ]);

foreach my $name (sort keys %INDEXES)
{
	my ($on, $settings) = @{ $INDEXES{$name} };

	is(build('alone', $on, 0, $settings), 0, "$name: a build alone");
	my $alone = digest('alone');

	cmp_ok($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_index_stats('alone')"), '>', 1,
		"$name: several segments") if $name =~ /segments/;
	is($node->safe_psql('postgres', "SELECT DISTINCT m FROM omenvec_index_stats('alone')"), $name eq 'hard' ? 32 : 16,
		"$name: links as the data needs and memory admits");
	foreach my $workers (1, 2, 4)
	{
		build('together', $on, $workers, $settings);
		is(digest('together'), $alone, "$name: with $workers workers");
		$node->safe_psql('postgres', 'DROP INDEX together');
	}
	$node->safe_psql('postgres', 'DROP INDEX alone');
}

# A table whose last vector fills a segment: NULLs that follow are the next one's.
{
	my @how = ('ON filled USING omenhnsw (v vector_l2_ops)', 0, "SET maintenance_work_mem = '1MB'");

	$node->safe_psql('postgres', 'CREATE TABLE filled AS SELECT * FROM many ORDER BY id LIMIT 4000');
	build('alone', @how);
	$node->safe_psql('postgres', q{
		CREATE TABLE few AS SELECT * FROM filled ORDER BY id
		LIMIT (SELECT rows FROM omenvec_index_stats('alone') ORDER BY segment_id LIMIT 1);
		DROP TABLE filled;
		ALTER TABLE few RENAME TO filled;
		INSERT INTO filled SELECT i, NULL FROM generate_series(1, 150) AS i;
	});
	build('alone', @how);
	$how[1] = 2;
	build('together', @how);
	is(digest('together'), digest('alone'), 'NULLs after a full segment');
	is($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_index_stats('together') WHERE kind = 'graph'"), 2,
		'they have a segment of their own');
	$node->safe_psql('postgres', 'DROP TABLE filled');
}
# Too little shared memory for the second segment's rows: what was read for it is not counted twice.
{
	$node->safe_psql('postgres', q{
		CREATE TABLE counted AS SELECT * FROM many ORDER BY id LIMIT 6000;
		INSERT INTO counted SELECT i, NULL FROM generate_series(1, 600000) AS i});
	build('counted_v', 'ON counted USING omenhnsw (v vector_l2_ops)', 2,
		"SET maintenance_work_mem = '1MB'; SET omenvec.build_shared_memory = 3000");
	is($node->safe_psql('postgres', "SELECT reltuples FROM pg_class WHERE relname = 'counted'"), 606000,
		'rows counted after a team has been dissolved');
	$node->safe_psql('postgres', 'DROP TABLE counted');
}
build('alone', 'ON items USING omenhnsw (v vector_l2_ops)', 0);
my $alone = digest('alone');

$node->safe_psql('postgres', q{
	ALTER TABLE items SET (parallel_workers = 2);
	CREATE INDEX again ON items USING omenhnsw (v vector_l2_ops)});
$node->safe_psql('postgres', 'REINDEX INDEX again');
is(digest('again'), $alone, 'REINDEX');
$node->safe_psql('postgres', 'REINDEX INDEX CONCURRENTLY again');
is($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_check('again')"), 0, 'REINDEX CONCURRENTLY');
$node->safe_psql('postgres', 'DROP INDEX again');

# ---- who takes part ----

# The processes that have evaluated the expression.
sub processes
{
	my ($function, $workers, $settings) = @_;
	my ($result, $err) = build('told', "ON items USING omenhnsw (($function(v)::vector(128)) vector_l2_ops)",
		$workers, $settings);
	my %pids = map { $_ => 1 } $err =~ /process (\d+)/g;

	is($result, 0, "$function with $workers workers");
	$node->safe_psql('postgres', 'DROP INDEX told');
	return scalar keys %pids;
}

is(processes('told', 0), 1, 'no workers wanted');
is(processes('told', 2), 3, 'two workers read the table, and the leader');
is(processes('told', 2, 'SET max_parallel_maintenance_workers = 0'), 1, 'none allowed');
is(processes('told', 2, 'SET max_parallel_maintenance_workers = 1'), 2, 'one allowed');
is(processes('told_at_home', 2), 1, 'none for an expression that is not safe');

# ---- temporary and unlogged tables, shortage ----

is($node->safe_psql('postgres', q{
	CREATE TEMP TABLE mine WITH (parallel_workers = 2) AS SELECT id, v FROM items;
	CREATE INDEX mine_v ON mine USING omenhnsw (v vector_l2_ops);
	SELECT count(*) FROM omenvec_check('mine_v');
}), 0, 'a temporary table');
is($node->safe_psql('postgres', q{
	CREATE UNLOGGED TABLE light WITH (parallel_workers = 2) AS SELECT id, v FROM items;
	CREATE INDEX light_v ON light USING omenhnsw (v vector_l2_ops);
	SELECT count(*) FROM omenvec_check('light_v');
}), 0, 'an unlogged table');

# Each amount ends the team at another step.  (For gathering, see below.)
foreach my $kilobytes (0, 1100, 1500, 1900, 3000)
{
	build('short', 'ON items USING omenhnsw (v vector_l2_ops)', 2,
		"SET omenvec.build_shared_memory = $kilobytes");
	is(digest('short'), $alone, "shared memory of $kilobytes kB");
	$node->safe_psql('postgres', 'DROP INDEX short');
}
build('split', $INDEXES{segments}[0], 0, $INDEXES{segments}[1]);
foreach my $kilobytes (1100, 1300)
{
	build('short', $INDEXES{segments}[0], 2,
		"SET omenvec.build_shared_memory = $kilobytes; $INDEXES{segments}[1]");
	is(digest('short'), digest('split'), "several segments, shared memory of $kilobytes kB");
	$node->safe_psql('postgres', 'DROP INDEX short');
}
$node->safe_psql('postgres', 'DROP INDEX split');

# ---- errors, cancelling, the end of a worker ----

my ($failed, $err) = build('bad', 'ON items USING omenhnsw ((fails_in_worker(v)::vector(128)) vector_l2_ops)', 2);
isnt($failed, 0, 'an error in a worker is an error');
like($err, qr/ERROR:  no such vector\n.*HINT:  Look elsewhere/s, "its message and hint are the worker's");

sub workers_left
{
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'");
}
ok(workers_left(), 'no worker is left after it');

$node->safe_psql('postgres', 'ALTER TABLE many SET (parallel_workers = 2)');
my $started = time;
$node->safe_psql('postgres', 'CREATE INDEX whole ON many USING omenhnsw (v vector_l2_ops)');
my $needed = time - $started;

# The rows of the workers are lost, and the leader reads the table again.
build('reread', 'ON many USING omenhnsw (v vector_l2_ops)', 2, 'SET omenvec.build_shared_memory = 2000');
is(digest('reread'), digest('whole'), 'too little shared memory to bring the rows together');
$node->safe_psql('postgres', 'DROP INDEX reread');

my $late = 0;
my $cancelled = 0;

foreach my $round (1 .. 8)
{
	my $timeout = int(rand($needed * 900)) + 10;
	my $memory = $round % 2 ? '64MB' : '4MB';

	$started = time;
	my ($result, undef, $message) = $node->psql('postgres', qq{
		SET statement_timeout = $timeout;
		SET maintenance_work_mem = '$memory';
		CREATE INDEX cancelled ON many USING omenhnsw (v vector_l2_ops)});
	if ($result == 0)
	{
		$node->safe_psql('postgres', 'DROP INDEX cancelled');
		next;
	}
	$cancelled++;
	my $over = time - $started - $timeout / 1000;
	$late = $over if $over > $late;
	unlike($message, qr/ERROR:  (?!canceling statement)/, "cancelled after $timeout ms of " . int($needed * 1000));
}
cmp_ok($cancelled, '>', 2, 'most builds were cancelled');
cmp_ok($late, '<', 5, sprintf('cancelling took up to %.2f s', $late));
ok(workers_left(), 'no worker is left after it');
is($node->safe_psql('postgres', "SELECT count(*) FROM omenvec_check('whole')"), 0, 'the other index is right');

# A worker that is told to end takes the build with it.
my ($in, $out) = ('', '');
$err = '';
my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', 'CREATE INDEX bereft ON many USING omenhnsw (v vector_l2_ops)' ],
	'<', \$in, '>', \$out, '2>', \$err);
{
	# the first to end takes the other with it: a warning then, and polling takes one for a failure
	local $ENV{PGOPTIONS} = '-c client_min_messages=error';
	ok($node->poll_query_until('postgres', q{
		SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE backend_type = 'parallel worker'
	}), 'a worker has been ended');
}
$run->finish;
like($err, qr/terminating (connection|parallel worker|background worker)/, 'and so has the build');
ok(workers_left(), 'no worker is left after it');

# ---- progress ----

$run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
		'-c', 'CREATE INDEX watched ON many USING omenhnsw (v vector_l2_ops)' ],
	'<', \$in, '>', \$out, '2>', \$err);
my (%counts, %totals);

while ($run->pumpable)
{
	my $seen = $node->safe_psql('postgres', q{
		SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total FROM pg_stat_progress_create_index});
	foreach my $line (split /\n/, $seen)
	{
		my ($phase, $blocks, $of_blocks, $tuples, $of_tuples) = split /\|/, $line;
		my ($done, $total) = $phase =~ /encoding/ ? ($blocks, $of_blocks) : ($tuples, $of_tuples);

		$counts{$phase}{$done} = 1;
		$totals{$phase} = $total;
		fail("$phase: $done of $total") if $done > $total;
	}
	last if !$run->pump_nb && !$run->pumpable;
	sleep 0.02;
}
$run->finish;
ok(keys %{ $counts{'building index: linking nodes'} // {} } > 2, 'the count of linked nodes moves');
is($totals{'building index: linking nodes'}, $MANY, 'and has its total');
note join ', ', map { "$_: " . keys(%{ $counts{$_} }) } sort keys %counts;

# ---- a server without workers ----

$node->append_conf('postgresql.conf', 'max_worker_processes = 0');
$node->restart;
build('bare', 'ON items USING omenhnsw (v vector_l2_ops)', 2);
is(digest('bare'), $alone, 'no worker processes at all');

$node->stop;
done_testing();
