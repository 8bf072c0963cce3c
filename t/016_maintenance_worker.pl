# The background worker that seals and merges: started by inserts and by
# VACUUM, seen, limited, sent away by whoever needs the index, replaced where
# none can be had; rows that die while it merges stay dead.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time sleep);

my $TILES = 4;
my $SEAL_KB = 128;    # about 1,600 rows
my $WORKERS = q{FROM pg_stat_activity WHERE backend_type = 'omenvec maintenance'};

# Workers load the library by the name that the extension's functions have, whatever the path is.
my $node = new_node('worker', settings => {
		dynamic_library_path => "'/nowhere'",
		'omenvec.max_maintenance_workers' => 1,
		shared_buffers => "'32MB'",
		deadlock_timeout => "'100ms'",
		autovacuum_vacuum_cost_delay => "'0'" });

$node->safe_psql('postgres', qq{
	CREATE FUNCTION make_items(name text) RETURNS void LANGUAGE plpgsql AS \$\$
	BEGIN
		EXECUTE format('CREATE TABLE %I (id bigint PRIMARY KEY, v vector(@{[8 * $TILES]}), n int) WITH (fillfactor = 50)', name);
		EXECUTE format('CREATE INDEX %I ON %I USING omenhnsw (v vector_l2_ops) WITH (tail_size = $SEAL_KB)', name || '_v', name);
	END \$\$;
	SELECT make_items('items');
	CREATE VIEW state AS SELECT kind, state, rows, dead_rows FROM omenvec_index_stats('items_v'::text::regclass);
});

sub insert
{
	my ($table, $first, $last) = @_;

	$node->safe_psql('postgres', "INSERT INTO $table SELECT i, sample_vector(i, $TILES), 0 FROM generate_series($first, $last) AS i");
}

sub wait_for { $node->poll_query_until('postgres', "SELECT $_[0]") or die "waited for: $_[0]" }
sub wait_for_no_worker { wait_for("count(*) = 0 $WORKERS") }
sub sql { return $node->safe_psql('postgres', $_[0]) }

# How long each nap of the worker is, in ms; it naps about every $pages pages.
sub set_pace
{
	my ($delay_ms, $pages) = @_;

	sql("ALTER SYSTEM SET autovacuum_vacuum_cost_delay = $delay_ms");
	sql('ALTER SYSTEM SET autovacuum_vacuum_cost_limit = ' . ($pages // 200));
	sql('SELECT pg_reload_conf()');
	sleep(0.3);
}

# ---- it comes, works and goes ----

insert('items', 1, 10000);
wait_for(q{(SELECT sum(rows) FROM state WHERE kind = 'graph') >= 8000});
pass('a worker seals what was inserted');
wait_for_no_worker();
pass('and goes');
is(sql(q{SELECT count(*) <= 2 FROM state WHERE state = 'live'}), 't', 'it has merged');
index_is_right($node, 'items', 'items_v', 'index after the worker');

sql('DELETE FROM items WHERE id % 3 = 0; VACUUM items');
wait_for(q{(SELECT sum(dead_rows) FROM state WHERE state = 'live') < 1000});
pass('VACUUM leaves rewriting to a worker');
wait_for_no_worker();

# ---- seen, and sent away ----

# Slow from now on.  Returns when a worker is merging.
# Rows enough for a tail that is due, but not for so many that the session itself waits for the worker.
sub start_slow_worker
{
	my ($table) = @_;

	sql("UPDATE $table SET v = v + '[" . join(',', (0.001) x (8 * $TILES)) . "]' WHERE id <= 6000");
	wait_for(q{count(*) = 1 FROM omenvec_progress() WHERE work = 'sealing'});
}

wait_for_no_worker();
set_pace(100, 1);
start_slow_worker('items');
is(sql("SELECT count(*) $WORKERS"), 1, 'one worker');
like(sql("SELECT query $WORKERS"), qr/^sealing \d tails( and segments)? of index public\.items_v$/, 'it says what it does');
like(sql("SELECT application_name $WORKERS"), qr/^omenvec maintenance of index \d+$/, 'and who it is');
is(sql(q{SELECT index, work, sources > 0 FROM omenvec_progress()}), 'items_v|sealing|t', 'omenvec_progress()');
is(sql(q{SELECT count(*) FROM pg_stat_progress_create_index}), 0, "not in PostgreSQL's own views");
sql('CREATE ROLE stranger');
is(sql('SET ROLE stranger; SELECT count(*) FROM omenvec_progress()'), 0, 'only for the owner');
is(sql("SELECT backend_xmin IS NULL $WORKERS"), 't', 'it holds back no horizon');
is(sql("SELECT bool_and(mode IN ('ShareUpdateExclusiveLock')) FROM pg_locks JOIN pg_stat_activity USING (pid)
		WHERE backend_type = 'omenvec maintenance' AND relation IN ('items'::regclass, 'items_v'::regclass)"), 't',
	'it locks the index only, and weakly');

my $start = time();
sql("SELECT pg_cancel_backend(pid) $WORKERS");
wait_for_no_worker();
cmp_ok(time() - $start, '<', 5, 'it can be cancelled');
index_is_right($node, 'items', 'items_v', 'index after a cancelled worker');

is(sql(q{SELECT count(*) FROM state WHERE kind = 'tail' AND state = 'live'}), 1, 'and leaves what it was sealing');
set_pace(0);
insert('items', 20001, 20200);
wait_for(q{count(*) = 0 FROM state WHERE kind = 'tail' AND state = 'live'});
pass('for the next, which a few rows call');
wait_for_no_worker();
set_pace(100, 1);

# Each of these needs the index for itself.
foreach my $command (
	'ALTER INDEX items_v SET (merge_factor = 3)',
	'REINDEX INDEX items_v',
	'REINDEX TABLE CONCURRENTLY items',
	'VACUUM FULL items',
	'ALTER TABLE items ALTER n TYPE bigint',
	'TRUNCATE items',
	'DROP INDEX items_v')
{
	if (sql('SELECT count(*) FROM items') eq '0')
	{
		set_pace(0);
		insert('items', 1, 6000);
		wait_for_no_worker();
		set_pace(100, 1);
	}
	start_slow_worker('items');
	$start = time();
	sql("SET statement_timeout = '30s'; $command");
	cmp_ok(time() - $start, '<', 5, "$command waits no longer than for a cancel");
	wait_for_no_worker();
	index_is_right($node, 'items', 'items_v', "index after $command") if $command !~ /^DROP/;
}

sql('CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION omenvec');
create_functions($node, 'other');
$node->safe_psql('other', qq{
	CREATE TABLE items (id bigint, v vector(@{[8 * $TILES]}));
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (tail_size = $SEAL_KB);
	INSERT INTO items SELECT i, sample_vector(i, $TILES) FROM generate_series(1, 3000) AS i});
$node->poll_query_until('other', q{SELECT count(*) = 1 FROM omenvec_progress() WHERE work = 'sealing'});
$start = time();
sql('DROP DATABASE other');
cmp_ok(time() - $start, '<', 8, 'DROP DATABASE sends it away');
wait_for_no_worker();

# ---- vacuum meanwhile ----

sub prepare_merge
{
	my ($table) = @_;

	set_pace(0);
	sql("SELECT make_items('$table')");
	insert($table, 1, 6000);
	wait_for_no_worker();
	set_pace(20, 10);
	insert($table, 6001, 9000);    # more than a tail, whatever the worker has left of the others
	wait_for(q{count(*) = 1 FROM omenvec_progress() WHERE phase <> 'reading'});
}

prepare_merge('churned');
sql('DELETE FROM churned WHERE id % 2 = 0');
$start = time();
sql('VACUUM (INDEX_CLEANUP ON) churned');
cmp_ok(time() - $start, '<', 5, 'VACUUM does not wait for the end of a merge');
is(sql("SELECT count(*) $WORKERS"), 1, 'which is still going on');
insert('churned', 20001, 23000);    # where the dead were
set_pace(0);
wait_for_no_worker();
index_is_right($node, 'churned', 'churned_v', 'rows that died during a merge stay dead');
sql('VACUUM churned');
wait_for_no_worker();
index_is_right($node, 'churned', 'churned_v', 'and after another vacuum');

# ---- where no worker can be had ----

sub n_sealed { return sql("SELECT count(*) FROM omenvec_index_stats('$_[0]_v') WHERE kind = 'graph' AND state = 'live'") }

set_pace(100, 5);
sql("SELECT make_items('first'), make_items('second')");
insert('first', 1, 3000);
wait_for("count(*) = 1 $WORKERS");
insert('second', 1, 2000);
is(n_sealed('second'), 0, 'no slot: a tail of the length for a worker waits');
insert('second', 2001, 6000);
cmp_ok(n_sealed('second'), '>', 0, 'the inserting session seals a tail twice as long');
is(sql("SELECT count(*) $WORKERS"), 1, 'no second worker');
index_is_right($node, 'second', 'second_v', 'index without a worker');
sql("SELECT pg_terminate_backend(pid, 5000) $WORKERS");
set_pace(0);

sql("SELECT make_items('quiet'); ALTER INDEX quiet_v SET (autoseal = off)");
insert('quiet', 1, 8000);
sleep(1);
is(n_sealed('quiet'), 0, 'autoseal = off: nothing is sealed');
is(sql("SELECT count(*) $WORKERS"), 0, 'nor a worker started');
sql("SELECT omenvec_optimize('quiet_v')");
is(n_sealed('quiet'), 1, 'but by hand');
insert('quiet', 10001, 18000);
sql('VACUUM quiet');
is(sql(q{SELECT sum(rows) FROM omenvec_index_stats('quiet_v') WHERE kind = 'graph' AND state = 'live'}), 16000,
	'or by VACUUM itself');

sql(qq{
	CREATE TEMP TABLE own (id bigint, v vector(@{[8 * $TILES]}));
	CREATE INDEX own_v ON own USING omenhnsw (v vector_l2_ops) WITH (tail_size = $SEAL_KB);
	INSERT INTO own SELECT i, sample_vector(i, $TILES) FROM generate_series(1, 6000) AS i;
	SELECT 1 / count(*) FROM omenvec_index_stats('own_v') WHERE kind = 'graph';
});
pass('temporary tables are sealed by their session');

# ---- inserts that wait for a worker ----

set_pace(100, 1);
sql("SELECT make_items('hurried')");
insert('hurried', 1, 6000);
wait_for(q{count(*) = 1 FROM omenvec_progress() WHERE work = 'sealing'});
$start = time();
insert('hurried', 6001, 20000);
cmp_ok(time() - $start, '<', 60, 'a worker does not nap while inserts wait for it');
cmp_ok(sql(q{SELECT coalesce(sum(rows), 0) FROM omenvec_index_stats('hurried_v') WHERE kind = 'tail' AND state <> 'retired'}),
	'<', 15000, 'which they do when nine tails are full, at the latest');
sql("SELECT pg_terminate_backend(pid, 5000) $WORKERS");
set_pace(0);
index_is_right($node, 'hurried', 'hurried_v', 'index after inserts that waited');

# ---- by hand, while a worker is at it ----

sub n_cancelled { return scalar(() = slurp_file($node->logfile) =~ /canceling statement due to user request/g) }

set_pace(50, 1);
sql("SELECT make_items('tidied')");
insert('tidied', 1, 3000);
wait_for(q{count(*) = 1 FROM omenvec_progress() WHERE work = 'sealing'});
my $n_cancelled = n_cancelled();
my $hand = $node->background_psql('postgres');
$hand->query_until(qr/begun/, "\\echo begun\nSELECT omenvec_optimize('tidied_v');\n\\echo done\n");
sleep(1);    # ten times as long as deadlock_timeout
is(sql(q{SELECT count(*) FROM omenvec_progress() AS p JOIN pg_stat_activity USING (pid)
		 WHERE work = 'sealing' AND backend_type = 'omenvec maintenance'}), 1, 'omenvec_optimize() lets a worker go on');
set_pace(0);
$hand->quit;
is(n_cancelled(), $n_cancelled, 'to the end');
is(sql(q{SELECT sum(rows) FROM omenvec_index_stats('tidied_v') WHERE kind = 'graph' AND state = 'live'}), 3000, 'and does the rest');
is(sql(q{SELECT count(*) FROM omenvec_index_stats('tidied_v') WHERE kind = 'tail' AND state <> 'retired'}), 0, 'leaving no tail');
is(sql(q{
	SELECT count(*)
	FROM (SELECT rows, sum(rows) OVER (ORDER BY rows, segment_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS smaller
		  FROM omenvec_index_stats('tidied_v') WHERE kind = 'graph' AND state = 'live') AS s
	WHERE rows <= 4 * smaller}), 0, 'nor segments that are to be merged');
wait_for_no_worker();
set_pace(100, 1);
insert('tidied', 3001, 6000);
wait_for(q{count(*) = 1 FROM omenvec_progress() WHERE work = 'sealing'});
$start = time();
sql("SELECT omenvec_optimize('tidied_v', true)");
cmp_ok(time() - $start, '<', 5, 'unless all is to be merged');
cmp_ok(n_cancelled(), '>', $n_cancelled, 'then the worker has to go');
wait_for_no_worker();
set_pace(0);
index_is_right($node, 'tidied', 'tidied_v', 'index after both');

# ---- how often a session asks ----

# A session remembers what it has asked for each index, also of those whose oids end alike.
my %by_oid;
my @pair;
for (my $i = 1; @pair == 0; $i++)
{
	my $oid = sql("SELECT make_items('asked$i'); SELECT 'asked${i}_v'::regclass::oid") =~ s/^\s+//r;
	my $other = $by_oid{ $oid % 16 };

	@pair = ($other, "asked$i") if $other;
	$by_oid{ $oid % 16 } = "asked$i";
}
my $owner = $node->background_psql('postgres');
$owner->query_safe('BEGIN');
$owner->query_safe("ALTER INDEX ${_}_v SET (merge_factor = 3)") foreach @pair;    # so no worker gets its lock
sql('ALTER SYSTEM SET log_min_messages = debug1; SELECT pg_reload_conf()');
sleep(0.3);
my $log_end = -s $node->logfile;
sql(qq{DO \$\$
	DECLARE last int := 1700;
	BEGIN
		INSERT INTO $pair[0] SELECT i, sample_vector(i, $TILES) FROM generate_series(1, last) AS i;
		INSERT INTO $pair[1] SELECT i, sample_vector(i, $TILES) FROM generate_series(1, last) AS i;
		FOR round IN 1 .. 10 LOOP
			INSERT INTO $pair[0] SELECT i, sample_vector(i, $TILES) FROM generate_series(last + 1, last + 140) AS i;
			INSERT INTO $pair[1] SELECT i, sample_vector(i, $TILES) FROM generate_series(last + 1, last + 140) AS i;
			last := last + 140;
			PERFORM pg_sleep(0.15);
		END LOOP;
	END \$\$});
my $n_started = () = slurp_file($node->logfile, $log_end) =~ /starting background worker process "omenvec maintenance/g;
note "$n_started workers started";
cmp_ok($n_started, '>', 2, 'a session that gets no work done asks again');
cmp_ok($n_started, '<', 14, 'ever more seldom');
sql('ALTER SYSTEM RESET log_min_messages; SELECT pg_reload_conf()');
$owner->query_safe('COMMIT');
$owner->quit;
wait_for_no_worker();

# ---- updates ----

sql("SELECT make_items('hot')");
insert('hot', 1, 500);
sql('UPDATE hot SET n = n + 1 WHERE id % 2 = 0');
is(sql(q{SELECT sum(rows) FROM omenvec_index_stats('hot_v')}), 500, 'an update of other columns adds nothing to the index');
sql(q{SELECT pg_stat_force_next_flush()}) ;
is(sql(q{SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'hot'}), 250, 'it is HOT');
sql("UPDATE hot SET v = sample_vector(id + 100000, $TILES) WHERE id % 5 = 0");
is(sql(q{SELECT sum(rows) FROM omenvec_index_stats('hot_v')}), 600, 'an update of the vector adds a row');
is(sql(qq{
	SET enable_seqscan = off;
	SELECT count(*) FILTER (WHERE f.distance = 0) || ' ' || count(*)
	FROM generate_series(5, 500, 5) AS i,
		 LATERAL (SELECT v <-> sample_vector(i, $TILES) AS distance FROM hot ORDER BY v <-> sample_vector(i, $TILES) LIMIT 1) AS f}),
	'0 100', 'and the old one is not found');
index_is_right($node, 'hot', 'hot_v', 'index after updates');

# ---- attributes ----

# A comparison that is a query wants a snapshot, which a worker has none of.
sql(qq{
	CREATE FUNCTION compare_by_query(int, int) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT btint4cmp(\$1, \$2) LIMIT 1';
	CREATE OPERATOR CLASS compared_ops FOR TYPE int USING omenhnsw AS OPERATOR 5 =, FUNCTION 2 compare_by_query(int, int);
	CREATE TABLE compared (id bigint PRIMARY KEY, v vector(@{[8 * $TILES]}), n int);
	CREATE INDEX compared_v ON compared USING omenhnsw (v vector_l2_ops, n compared_ops) WITH (tail_size = $SEAL_KB)});
sql("INSERT INTO compared SELECT i, sample_vector(i, $TILES), i % 100 FROM generate_series(1, 6000) AS i");
wait_for(q{sum(rows) >= 4000 FROM omenvec_index_stats('compared_v') WHERE kind = 'graph'});
wait_for_no_worker();
index_is_right($node, 'compared', 'compared_v', 'an attribute compared by a query');

# ---- space ----

# A tenth of the rows is replaced in each round.
sub churn
{
	my ($table, $rows, $rounds) = @_;
	my $bytes = sub { sql("SELECT pg_relation_size('${table}_v')") };
	my $most = 0;
	my $last;

	sql("SELECT make_items('$table')");
	insert($table, 1, $rows);
	wait_for_no_worker();
	sql("REINDEX INDEX ${table}_v");
	my $fresh = $bytes->();
	foreach my $round (1 .. $rounds)
	{
		my $next = $rows + ($round - 1) * $rows / 10;

		sql("DELETE FROM $table WHERE id IN (SELECT id FROM $table ORDER BY hashint8(id + $round) LIMIT $rows / 10)");
		sql("VACUUM (INDEX_CLEANUP ON) $table");
		insert($table, $next + 1, $next + $rows / 10);
		wait_for_no_worker() if $round % 10 == 0;
		$last = $bytes->();
		$most = $last if $last > $most;
	}
	# What a VACUUM finds is for a worker, which comes a little later, and what that replaces is for the next.
	foreach my $time (1 .. 10)
	{
		sql("VACUUM $table");
		sleep(0.5);
		wait_for_no_worker();
		$last = $bytes->();
		last if $last <= 1.5 * $fresh;
	}
	note sprintf '%s: fresh %d kB, most %.2f times as much, in the end %.2f', $table, $fresh / 1024, $most / $fresh, $last / $fresh;
	cmp_ok($last, '<=', 1.5 * $fresh, "$table: size in the end");
	index_is_right($node, $table, "${table}_v", "$table: index");
}

churn('busy', 10000, 50);

my @leaks = grep { /WARNING|PANIC|TRAP|terminated by signal/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @leaks), '', 'no warning in the log');
is(join("\n", grep { /ERROR/ && !/canceling statement due to user request/ } split /\n/, slurp_file($node->logfile)), '', 'no error');

$node->stop;
done_testing();
