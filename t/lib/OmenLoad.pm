# A mixed load on one table, in which every row can tell whether it is right:
# the vector of a row follows from its column n, and the column hash is that
# of the vector.  What is deleted or overwritten is noted, in the same
# transaction, so that readers know what must not be found any more.

package OmenLoad;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use OmenTest;
use PostgreSQL::Test::Utils qw(append_to_file slurp_file);
use Test::More;

our @EXPORT = qw(create_load start_load finish_load start_maintenance load_problems load_is_right);

my $TILES = 48;
my $DIMS = $TILES * 8;
my $POOL = 2000;
my $n_scripts = 0;

# Tables, functions and $args{rows} rows with an index, items_v; writers keep
# the number of rows below $args{most}.
sub create_load
{
	my ($node, %args) = @_;
	my $rows = $args{rows} // 3000;
	my $most = $args{most} // 6000;

	$node->safe_psql('postgres', qq{
		CREATE TABLE pool (i int PRIMARY KEY, v vector($DIMS));
		INSERT INTO pool SELECT i, sample_vector(i, $TILES) FROM generate_series(0, $POOL - 1) AS i;
		CREATE SEQUENCE numbers;
		CREATE TABLE items (id bigint PRIMARY KEY, n bigint, hash bigint, note int, v vector($DIMS))
			WITH (autovacuum_enabled = off);
		CREATE TABLE gone (k bigserial PRIMARY KEY, id bigint, n bigint);

		-- A vector unlike any other.
		CREATE FUNCTION vector_number(n bigint) RETURNS vector LANGUAGE sql STABLE AS \$\$
			SELECT p.v + array_fill(n * 0.0001, ARRAY[$DIMS])::vector FROM pool AS p WHERE p.i = n % $POOL
		\$\$;

		CREATE FUNCTION hash_of(v vector) RETURNS bigint LANGUAGE sql IMMUTABLE AS
			'SELECT hash_array_extended(v::real[], 0)';

		CREATE FUNCTION add_items(me int, clients int, how_many int) RETURNS void LANGUAGE sql AS \$\$
			INSERT INTO items
			SELECT n * clients + me, n, hash_of(v), 0, v
			FROM (SELECT nextval('numbers') AS n FROM generate_series(1, how_many)) AS s,
				 LATERAL vector_number(n) AS v
		\$\$;

		CREATE FUNCTION delete_items(me int, clients int, from_id bigint, how_many int) RETURNS void
		LANGUAGE sql AS \$\$
			WITH deleted AS (
				DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id >= from_id AND id % clients = me
											   ORDER BY id LIMIT how_many)
				RETURNING id, n)
			INSERT INTO gone (id, n) SELECT id, n FROM deleted
		\$\$;

		CREATE FUNCTION move_items(me int, clients int, from_id bigint, how_many int) RETURNS void
		LANGUAGE sql AS \$\$
			WITH chosen AS (
				SELECT id, n AS old_n, nextval('numbers') AS new_n FROM items
				WHERE id IN (SELECT id FROM items WHERE id >= from_id AND id % clients = me
							 ORDER BY id LIMIT how_many)),
			moved AS (
				UPDATE items AS i SET n = new_n, v = v.v, hash = hash_of(v.v)
				FROM chosen AS c, LATERAL vector_number(c.new_n) AS v (v)
				WHERE i.id = c.id)
			INSERT INTO gone (id, n) SELECT id, old_n FROM chosen
		\$\$;

		-- One change by client number `me` of so many, to rows of its own.
		CREATE FUNCTION write_items(me int, clients int, seed float8) RETURNS void LANGUAGE plpgsql AS \$\$
		DECLARE
			what float8 := seed + 0 * setseed_to(seed);
			from_id bigint := random() * (SELECT max(id) FROM items);
			how_many int := 1 + random() * 40;
		BEGIN
			IF (SELECT count(*) FROM items) > $most THEN
				PERFORM delete_items(me, clients, from_id, 500);
			ELSIF what < 0.5 THEN
				PERFORM add_items(me, clients, how_many);
			ELSIF what < 0.65 THEN
				PERFORM move_items(me, clients, from_id, how_many);
			ELSIF what < 0.75 THEN
				UPDATE items SET note = note + 1
				WHERE id IN (SELECT id FROM items WHERE id >= from_id AND id % clients = me ORDER BY id LIMIT how_many);
			ELSIF what < 0.95 THEN
				PERFORM delete_items(me, clients, from_id, how_many);
			ELSE		-- a subtransaction that comes to nothing
				BEGIN
					PERFORM add_items(me, clients, how_many);
					PERFORM move_items(me, clients, from_id, how_many);
					RAISE division_by_zero;
				EXCEPTION WHEN division_by_zero THEN
					PERFORM add_items(me, clients, 3);
				END;
			END IF;
		END \$\$;

		CREATE FUNCTION setseed_to(seed float8) RETURNS float8 LANGUAGE plpgsql AS
			'BEGIN PERFORM setseed(seed); RETURN seed; END';

		-- Is the row found by its vector?  A narrow search of a graph may miss it, a wide one not.
		CREATE FUNCTION check_found(p_id bigint, q vector) RETURNS boolean LANGUAGE plpgsql STABLE AS \$\$
		DECLARE
			found_id bigint;
			narrow text := current_setting('omenhnsw.ef_search');
		BEGIN
			SELECT id INTO found_id FROM items ORDER BY v <-> q LIMIT 1;
			IF found_id = p_id THEN
				RETURN true;
			END IF;
			PERFORM set_config('omenhnsw.ef_search', '1000', false);
			SELECT id INTO found_id FROM items ORDER BY v <-> q LIMIT 1;
			PERFORM set_config('omenhnsw.ef_search', narrow, false);
			IF found_id IS DISTINCT FROM p_id THEN
				RAISE EXCEPTION 'WRONG: row % is not found by its vector, but %', p_id, found_id;
			END IF;
			RETURN false;
		END \$\$;

		-- The nearest of a query: each itself, none of them gone, as many as there must be.  In
		-- strict order late ones are left out, in relaxed order they may come late.
		CREATE FUNCTION check_nearest(q vector, gone_id bigint, gone_n bigint, n_rows bigint) RETURNS void
		LANGUAGE plpgsql STABLE AS \$\$
		DECLARE
			seen bigint[] := '{}';
			last float8 := '-inf';
			in_order boolean := random() < 0.5;
			r record;
		BEGIN
			PERFORM set_config('omenhnsw.iterative_scan', CASE WHEN in_order THEN 'strict_order' ELSE 'relaxed_order' END, false);
			FOR r IN SELECT id, n, hash, hash_of(v) AS actual, v <-> q AS d FROM items ORDER BY v <-> q LIMIT 30 LOOP
				IF r.hash IS DISTINCT FROM r.actual OR (in_order AND r.d < last) OR r.id = ANY (seen) OR
					(r.id = gone_id AND r.n = gone_n) THEN
					RAISE EXCEPTION 'WRONG: row % (n %, hash % for %) at distance % after %, gone is % (n %)',
						r.id, r.n, r.actual, r.hash, r.d, last, gone_id, gone_n;
				END IF;
				last := r.d;
				seen := seen || r.id;
			END LOOP;
			PERFORM set_config('omenhnsw.iterative_scan', 'relaxed_order', false);
			IF NOT in_order AND cardinality(seen) <> least(30, n_rows) THEN
				RAISE EXCEPTION 'WRONG: % rows of %', cardinality(seen), n_rows;
			END IF;
		END \$\$;

		CREATE FUNCTION check_drain(q vector, n_rows bigint) RETURNS void LANGUAGE plpgsql STABLE AS \$\$
		DECLARE
			n bigint := 0;
			sum numeric := 0;
			slowly boolean := random() < 0.5;
			r record;
		BEGIN
			FOR r IN SELECT id FROM items ORDER BY v <-> q LOOP
				n := n + 1;
				sum := sum + r.id;
				IF slowly AND n % 1000 = 0 THEN
					PERFORM pg_sleep(0.02);
				END IF;
			END LOOP;
			IF n <> n_rows OR sum <> (SELECT sum(id) FROM items) THEN
				RAISE EXCEPTION 'WRONG: a scan to the end gives % rows of %, ids add up to %', n, n_rows, sum;
			END IF;
		END \$\$;

		-- All that one snapshot, the caller's, can say about the index.
		CREATE FUNCTION check_items(seed float8) RETURNS int LANGUAGE plpgsql STABLE AS \$\$
		DECLARE
			from_id bigint := setseed_to(seed) * 0 + random() * (SELECT max(id) FROM items);
			from_k bigint := random() * (SELECT max(k) FROM gone);
			n_rows bigint := (SELECT count(*) FROM items);
			n_missed int := 0;
			r record;
		BEGIN
			FOR r IN (SELECT id, n FROM items ORDER BY id DESC LIMIT 2)
					 UNION ALL (SELECT id, n FROM items WHERE id >= from_id ORDER BY id LIMIT 4) LOOP
				n_missed := n_missed + (NOT check_found(r.id, vector_number(r.n)))::int;
			END LOOP;
			FOR r IN (SELECT id, n FROM gone ORDER BY k DESC LIMIT 2)
					 UNION ALL (SELECT id, n FROM gone WHERE k >= from_k ORDER BY k LIMIT 2) LOOP
				PERFORM check_nearest(vector_number(r.n), r.id, r.n, n_rows);
			END LOOP;
			IF random() < 0.1 THEN
				PERFORM check_drain(vector_number(from_id), n_rows);
			END IF;
			RETURN n_missed;
		END \$\$;

		-- Of a server at rest: rows whose index entry is lost, all of them probed.
		CREATE FUNCTION count_missed() RETURNS bigint LANGUAGE sql STABLE AS
			'SELECT count(*) FILTER (WHERE NOT check_found(id, v)) FROM items';

		CREATE FUNCTION recall_of_items() RETURNS float8 LANGUAGE plpgsql AS \$\$
		DECLARE
			hits bigint := 0;
			truth bigint[];
			q vector;
		BEGIN
			FOR i IN 1 .. 30 LOOP
				q := vector_number((SELECT max(n) FROM items) * i / 30 + 7);
				SELECT array_agg(id) INTO truth FROM (SELECT id FROM items ORDER BY (v <-> q) + 0 LIMIT 10) AS s;
				hits := hits + (SELECT count(*) FROM (SELECT id FROM items ORDER BY v <-> q LIMIT 10) AS s
								WHERE id = ANY (truth));
			END LOOP;
			RETURN hits / 300.0;
		END \$\$;

		SELECT add_items(0, 1, $rows);
		CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (tail_size = 400);
		INSERT INTO gone (id, n) VALUES (0, 1);
		ALTER DATABASE postgres SET enable_seqscan = off;
	});
}

my %SCRIPTS = (
	write => q{
		\set r random(1, 1000000)
		BEGIN;
		SELECT write_items(:client_id, :clients, :r / 1000000.0);
		\if :r % 10 = 0
		ROLLBACK;
		\else
		COMMIT;
		\endif
	},
	read => q{
		\set r random(1, 1000000)
		SELECT check_items(:r / 1000000.0) AS missed \gset
		\if :missed > 2
		SELECT 1 / 0;
		\endif
	},
	vacuum => 'VACUUM (INDEX_CLEANUP ON) items;',
	optimize => "SELECT omenvec_optimize('items_v');",
	optimize_full => "SELECT omenvec_optimize('items_v', true);",
	reindex => 'REINDEX INDEX items_v;',
	reindex_concurrently => 'REINDEX INDEX CONCURRENTLY items_v;',
	create => 'DROP INDEX IF EXISTS items_v2; CREATE INDEX items_v2 ON items USING omenhnsw (v vector_l1_ops);',
	create_concurrently => q{
		DROP INDEX IF EXISTS items_v3;
		CREATE INDEX CONCURRENTLY items_v3 ON items USING omenhnsw (v vector_cosine_ops);
	},
	checkpoint => 'CHECKPOINT;');

# pgbench with so many clients, in the background; each choice of a script is
# [ name, weight ].  Ends after $args{seconds}.
sub start_load
{
	my ($node, $clients, $choices, %args) = @_;
	my $base = PostgreSQL::Test::Utils::tempdir() . '/load' . $n_scripts++;
	my @files;

	foreach my $choice (@$choices)
	{
		my ($name, $weight) = @$choice;

		append_to_file("$base.$name.sql", "$SCRIPTS{$name}\n" =~ s/^\s+//mgr);
		push @files, '-f', "$base.$name.sql\@$weight";
	}
	local $ENV{PGAPPNAME} = $args{name} // 'load';
	return {
		errors => "$base.err",
		name => $args{name} // 'load',
		run => IPC::Run::start(
			[ 'pgbench', '-n', '-c', $clients, '-T', $args{seconds}, "--random-seed=$args{seed}",
				'-D', "clients=$clients", '--max-tries=0', @files, $node->connstr('postgres') ],
			'<', '/dev/null', '>', "$base.out", '2>', "$base.err") };
}

# All kinds of maintenance, one at a time.
sub start_maintenance
{
	my ($node, %args) = @_;

	return start_load($node, 1,
		[ [ vacuum => 6 ], [ optimize => 4 ], [ optimize_full => 2 ], [ reindex_concurrently => 1 ],
			@{ $args{more} // [] } ],
		name => 'maintenance', %args);
}

# Waits for the end; returns what a client said went wrong, but for $args{except};
# a wrong answer is never excepted.
sub finish_load
{
	my ($load, %args) = @_;
	my $except = $args{except} // qr/^$/;

	$load->{run}->finish;
	return grep { /WRONG/ || /ERROR|FATAL|PANIC|aborted|closed|could not/ && !/$except/ }
	  split /\n/, slurp_file($load->{errors});
}

# The whole of the index against the whole of the table, of a server at rest.
sub load_problems
{
	my ($node, %args) = @_;
	my @problems = index_problems($node, 'items', 'items_v', probes => 0);
	my ($status, $out, $err) = $node->psql('postgres', q{
		SET enable_sort = off;
		SET statement_timeout = '120s';
		SELECT count_missed(), count(*) FROM items;
		SELECT recall_of_items()});

	return (@problems, $err) if $status != 0;
	my ($missed, $rows, $recall) = split /[|\n]/, $out;
	push @problems, "$missed of $rows rows missed at first" if $missed > 0.01 * $rows + 1;
	push @problems, "recall is $recall" if $recall < 0.95;
	return @problems;
}

sub load_is_right
{
	my ($node, $name) = @_;
	my @problems = load_problems($node);

	is(join("\n", @problems), '', $name);
	return @problems == 0;
}

1;
