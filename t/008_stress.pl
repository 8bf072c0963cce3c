# Writers, readers, background workers and maintenance at once: what a snapshot holds, the index
# finds, no more and no less.
#
# OMENVEC_TEST_SECONDS asks for a longer run than the usual 25 seconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IPC::Run;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils qw(append_to_file slurp_file);
use Test::More;
use Time::HiRes qw(time);

my $SECONDS = $ENV{OMENVEC_TEST_SECONDS} || 25;
my $POOL = 3000;
my $TILES = 48;
my $dims = $TILES * 8;

my $seed = seed_from_environment();
my $node = new_node('stress',
	settings => { shared_buffers => "'32MB'", maintenance_work_mem => "'64MB'",
		'omenvec.max_maintenance_workers' => 2, deadlock_timeout => "'100ms'" });

$node->safe_psql('postgres', qq{
	CREATE TABLE pool (id int PRIMARY KEY, v vector($dims));
	INSERT INTO pool SELECT i, sample_vector(i, $TILES) FROM generate_series(1, $POOL) AS i;
	CREATE TABLE items (id bigint PRIMARY KEY, v vector($dims));
	CREATE SEQUENCE ids;
	INSERT INTO items SELECT nextval('ids'), v FROM pool;
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (tail_size = 400);

	-- A vector unlike any before.
	CREATE FUNCTION fresh_vector(i bigint) RETURNS vector LANGUAGE sql AS \$\$
		SELECT p.v + array_fill(i * 0.0001, ARRAY[$dims])::vector
		FROM pool AS p WHERE p.id = 1 + i % $POOL
	\$\$;

	-- Changes rows of its own: those whose id has the given remainder.
	CREATE PROCEDURE write_rows(me int, seconds float8) LANGUAGE plpgsql AS \$\$
	DECLARE
		until timestamptz := clock_timestamp() + make_interval(secs => seconds);
		what float8;
		n bigint := 0;
		chosen bigint;
	BEGIN
		WHILE clock_timestamp() < until LOOP
			what := random();
			chosen := (random() * currval('ids'))::bigint;
			IF what < 0.6 THEN
				INSERT INTO items
				SELECT i, fresh_vector(i)
				FROM (SELECT nextval('ids') * 2 + me AS i
					  FROM generate_series(1, 1 + (random() * 60)::int)) AS s;
			ELSIF what < 0.75 THEN
				UPDATE items SET v = fresh_vector(nextval('ids') * 2 + me)
				WHERE id IN (SELECT id FROM items WHERE id >= chosen AND id % 2 = me ORDER BY id LIMIT 20);
			ELSIF what < 0.97 THEN
				DELETE FROM items
				WHERE id IN (SELECT id FROM items WHERE id >= chosen AND id % 2 = me ORDER BY id LIMIT 40);
			ELSE
				DELETE FROM items WHERE id >= chosen AND id < chosen + 1000 AND id % 2 = me;
			END IF;
			n := n + 1;
			IF random() < 0.1 THEN
				ROLLBACK;
			ELSE
				COMMIT;
			END IF;
		END LOOP;
		RAISE NOTICE 'writer %: % transactions', me, n;
	END \$\$;

	-- What is wrong with the answers of one snapshot (the function is STABLE):
	-- that of the caller.  A row in a sealed segment may be missed by a narrow
	-- search, and is then looked for with a wide one.
	CREATE FUNCTION find_problems(OUT problem text, OUT n_probes int, OUT n_missed int)
	LANGUAGE plpgsql STABLE AS \$\$
	DECLARE
		n_rows bigint := (SELECT count(*) FROM items);
		p record;
		f record;
		n bigint;
		n_distinct bigint;
	BEGIN
		n_probes := 0;
		n_missed := 0;
		FOR p IN (SELECT id, v FROM items ORDER BY id DESC LIMIT 3)
				 UNION ALL
				 (SELECT id, v FROM items
				  WHERE id >= (SELECT random() * max(id) FROM items) ORDER BY id LIMIT 3)
		LOOP
			n_probes := n_probes + 1;
			SELECT id, v <-> p.v AS distance INTO f FROM items ORDER BY v <-> p.v LIMIT 1;
			IF f.id IS DISTINCT FROM p.id THEN
				n_missed := n_missed + 1;
				PERFORM set_config('omenhnsw.ef_search', '1000', false);
				SELECT id, v <-> p.v AS distance INTO f FROM items ORDER BY v <-> p.v LIMIT 1;
				PERFORM set_config('omenhnsw.ef_search', '40', false);
				IF f.id IS DISTINCT FROM p.id THEN
					problem := format('problem: row %s not found, but %s at distance %s', p.id, f.id, f.distance);
					RETURN;
				END IF;
			END IF;
			SELECT count(*) INTO n FROM (SELECT 1 FROM items ORDER BY v <-> p.v LIMIT 100) AS s;
			IF n <> least(100, n_rows) THEN
				problem := format('problem: LIMIT 100 gave %s rows of %s', n, n_rows);
				RETURN;
			END IF;
		END LOOP;

		-- All rows, slowly, while maintenance goes on.
		IF random() < 0.1 THEN
			n := 0;
			FOR f IN SELECT id FROM items ORDER BY v <-> p.v LOOP
				n := n + 1;
				IF n % 1000 = 0 THEN
					PERFORM pg_sleep(0.02);
				END IF;
			END LOOP;
			IF n <> n_rows THEN
				problem := format('problem: scan to the end gave %s rows of %s', n, n_rows);
				RETURN;
			END IF;
		END IF;
		IF random() < 0.1 THEN
			SELECT count(*), count(DISTINCT id) INTO n, n_distinct
			FROM (SELECT id FROM items ORDER BY v <-> p.v) AS s;
			IF n <> n_rows OR n_distinct <> n_rows THEN
				problem := format('problem: %s rows, scan to the end gave %s, %s of them distinct',
								  n_rows, n, n_distinct);
			END IF;
		END IF;
	END \$\$;

	CREATE PROCEDURE read_rows(seconds float8) LANGUAGE plpgsql AS \$\$
	DECLARE
		until timestamptz := clock_timestamp() + make_interval(secs => seconds);
		result record;
		n bigint := 0;
		n_missed bigint := 0;
	BEGIN
		WHILE clock_timestamp() < until LOOP
			SELECT * INTO result FROM find_problems();
			n := n + result.n_probes;
			n_missed := n_missed + result.n_missed;
			IF result.problem IS NOT NULL THEN
				RAISE NOTICE '%', result.problem;
			END IF;
			COMMIT;
		END LOOP;
		RAISE NOTICE 'reader: % probes, % of them missed at first', n, n_missed;
	END \$\$;
});

my @workers;

sub start_worker
{
	my ($name, $sql) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir() . "/$name";

	append_to_file("$base.sql",
			"SELECT setseed(" . ($seed % 1000) / 1000 . " + 0.001 * " . @workers . ");"
		  . "SELECT nextval('ids'); SET enable_seqscan = off; SET enable_sort = off;\n$sql\n");
	push @workers, {
		name => $name,
		errors => "$base.err",
		run => IPC::Run::start(
			[ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', "$base.sql" ],
			'<', '/dev/null', '>', '/dev/null', '2>', "$base.err") };
}

start_worker("writer$_", "CALL write_rows($_, $SECONDS);") foreach 0, 1;
start_worker("reader$_", "CALL read_rows($SECONDS);") foreach 1, 2;

my $end = time() + $SECONDS;
my @MAINTENANCE = (
	'VACUUM (INDEX_CLEANUP ON) items',
	"SELECT omenvec_optimize('items_v')",
	'VACUUM items',
	"SELECT omenvec_optimize('items_v', true)",
	'VACUUM (INDEX_CLEANUP ON) items',
	'REINDEX INDEX CONCURRENTLY items_v');
my $n_maintained = 0;
my @maintenance_errors;

while (time() < $end)
{
	my ($status, $out, $err) =
	  $node->psql('postgres', $MAINTENANCE[ $n_maintained++ % @MAINTENANCE ]);
	push @maintenance_errors, $err if $status != 0 || $err ne '';
}
is("@maintenance_errors", '', 'maintenance without errors');
note "$n_maintained rounds of maintenance";

foreach my $worker (@workers)
{
	ok($worker->{run}->finish, "$worker->{name} came to its end");
	my @lines = grep { !/^CONTEXT|^PL\/pgSQL|^SQL statement/ }
	  map { s/^psql:.*?: //r } split /\n/, slurp_file($worker->{errors});
	my @summary = grep { /NOTICE:\s+(writer|reader)/ } @lines;

	note @summary;
	is(join("\n", grep { !/NOTICE:\s+(writer|reader)/ } @lines), '', "$worker->{name} found nothing wrong");
	if ("@summary" =~ /(\d+) probes, (\d+) of them missed/)
	{
		cmp_ok($2, '<=', 0.01 * $1, "$worker->{name}: nearly all rows were found at once");
	}
}

index_is_right($node, 'items', 'items_v', 'index holds the table in the end', probes => 200);
$node->safe_psql('postgres', "VACUUM items; SELECT omenvec_optimize('items_v', true)");
index_is_right($node, 'items', 'items_v', 'and after optimizing', probes => 200);

$node->stop;
done_testing();
