# pg_dump and pg_restore, DROP EXTENSION, and the extension in another schema.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dump');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/omenvec.dump';

# Indexes of each sort; $schema is where the extension lives, with a dot.
sub create_objects
{
	my ($dbname, $schema) = @_;

	$node->safe_psql($dbname, qq{
		CREATE TABLE items (id bigint PRIMARY KEY, kind int, v ${schema}vector(16));
		INSERT INTO items SELECT i, i % 5, sample_vector(i, 2) FROM generate_series(1, 1500) AS i;
		INSERT INTO items VALUES (2001, 1, NULL);
		CREATE INDEX items_l2 ON items USING omenhnsw (v ${schema}vector_l2_ops);
		CREATE INDEX items_ip ON items USING omenhnsw (v ${schema}vector_ip_ops) WITH (m = 8);
		CREATE INDEX items_cosine ON items USING omenhnsw (v ${schema}vector_cosine_ops)
			WITH (m = 20, ef_construction = 100) WHERE kind = 3;
		CREATE INDEX items_l1 ON items USING omenhnsw ((${schema}subvector(v, 1, 8)::${schema}vector(8)) ${schema}vector_l1_ops);
		INSERT INTO items SELECT i, i % 5, sample_vector(i, 2) FROM generate_series(3001, 3100) AS i;

		CREATE TABLE parts (id bigint, v ${schema}vector(16)) PARTITION BY RANGE (id);
		CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (100);
		CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (1000);
		CREATE INDEX parts_v ON parts USING omenhnsw (v ${schema}vector_l2_ops);
		INSERT INTO parts SELECT i, sample_vector(i, 2) FROM generate_series(1, 300) AS i;

		CREATE UNLOGGED TABLE volatile (id bigint, v ${schema}vector(16));
		CREATE INDEX volatile_v ON volatile USING omenhnsw (v ${schema}vector_l2_ops);
		INSERT INTO volatile SELECT i, sample_vector(i, 2) FROM generate_series(1, 50) AS i;
	});
}

# What a database holds and answers.
sub contents
{
	my ($dbname, $schema) = @_;

	return $node->safe_psql($dbname, qq{
		SELECT indexrelid::regclass, pg_get_indexdef(indexrelid), indisvalid
		FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = relam
		WHERE amname = 'omenhnsw' ORDER BY indexrelid::regclass::text;
		SET enable_seqscan = off;
		SET enable_sort = off;
		SET omenhnsw.ef_search = 2000;
		SELECT id FROM items ORDER BY v OPERATOR(${schema}<->) sample_vector(7, 2), id LIMIT 10;
		SELECT id FROM items ORDER BY v OPERATOR(${schema}<#>) sample_vector(7, 2), id LIMIT 10;
		SELECT id FROM items WHERE kind = 3 ORDER BY v OPERATOR(${schema}<=>) sample_vector(7, 2) LIMIT 10;
		SELECT id FROM items ORDER BY ${schema}subvector(v, 1, 8)::${schema}vector(8)
			OPERATOR(${schema}<+>) ${schema}subvector(sample_vector(7, 2), 1, 8) LIMIT 10;
		SELECT id FROM parts ORDER BY v OPERATOR(${schema}<->) sample_vector(7, 2) LIMIT 10;
		SELECT id FROM volatile ORDER BY v OPERATOR(${schema}<->) sample_vector(7, 2) LIMIT 10;
		SELECT count(*) FROM (SELECT id FROM items ORDER BY v OPERATOR(${schema}<->) sample_vector(7, 2)) AS s;
		SELECT indexrelid::regclass, c FROM pg_index JOIN pg_class AS k ON k.oid = indexrelid AND relkind = 'i'
			JOIN pg_am AS a ON a.oid = relam AND amname = 'omenhnsw',
			${schema}omenvec_check(indexrelid) AS c;
	});
}

sub new_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name");
	return $name;
}

# Lines of a plain dump that matter.
sub plain_dump
{
	my ($dbname) = @_;
	my ($out, $err) = run_command([ 'pg_dump', '-d', $node->connstr($dbname), '--no-comments' ]);

	is($err, '', "pg_dump of $dbname");
	return join "\n", grep { !/^(--|\\(un)?restrict|$)/ } split /\n/, $out;
}

# Dumps a database and restores it into a new one.
sub round_trip
{
	my ($from, $to, $schema, @options) = @_;

	unlink $dump;
	command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr($from) ], "pg_dump $from");
	new_database($to);
	command_ok([ 'pg_restore', '--exit-on-error', @options, '-d', $node->connstr($to), $dump ],
		"pg_restore @options into $to");
	is(contents($to, $schema), contents($from, $schema), "$to answers as $from");
	is(plain_dump($to), plain_dump($from), "$to is dumped as $from");
}

# ---- dump and restore ----

create_objects('postgres', 'public.');
round_trip('postgres', 'restored', 'public.');
round_trip('postgres', 'restored_by_two', 'public.', '-j', '2');
$node->safe_psql('restored', 'INSERT INTO items SELECT i, 3, sample_vector(i, 2) FROM generate_series(5001, 5100) AS i');
is($node->safe_psql('restored', 'SET enable_seqscan = off; SELECT id FROM items ORDER BY v <-> sample_vector(5050, 2) LIMIT 1'),
	5050, 'a restored index takes rows');

# ---- in a schema of its own, off the search path ----

new_database('elsewhere');
$node->safe_psql('elsewhere', q{
	CREATE SCHEMA vectors;
	CREATE EXTENSION omenvec SCHEMA vectors;
	ALTER DATABASE elsewhere SET search_path = public, vectors;
});
create_functions($node, 'elsewhere');
$node->safe_psql('elsewhere', 'ALTER FUNCTION sample_vector SET search_path = public, vectors;
	ALTER DATABASE elsewhere RESET search_path');
create_objects('elsewhere', 'vectors.');
round_trip('elsewhere', 'restored_elsewhere', 'vectors.');

$node->safe_psql('elsewhere', 'CREATE SCHEMA moved; ALTER EXTENSION omenvec SET SCHEMA moved;
	ALTER FUNCTION sample_vector SET search_path = public, moved');
round_trip('elsewhere', 'restored_moved', 'moved.');

# ---- without the extension, and with it again ----

my $count_dependents = q{
	SELECT count(*) FROM pg_class WHERE relname ~ '^(items_(l2|ip|cosine|l1)|parts.*_v.*|volatile_v)$'};

cmp_ok($node->safe_psql('restored', $count_dependents), '>=', 6, 'indexes before DROP EXTENSION');
my ($status, $out, $err) = $node->psql('restored', 'DROP EXTENSION omenvec');
like($err, qr/cannot drop extension omenvec because other objects depend on it/,
	'DROP EXTENSION does not drop the indexes unasked');
$node->safe_psql('restored', 'DROP EXTENSION omenvec CASCADE');
is($node->safe_psql('restored', $count_dependents), 0, 'DROP EXTENSION CASCADE drops the indexes');
is($node->safe_psql('restored', 'SELECT count(*), count(kind) FROM items'), '1701|1701',
	'and leaves the tables');
is($node->safe_psql('restored', q{
		SELECT count(*) FROM pg_am WHERE amname = 'omenhnsw'
		UNION ALL SELECT count(*) FROM pg_type WHERE typname IN ('vector', 'halfvec', 'sparsevec')}),
	"0\n0", 'nothing of the extension is left');
$node->safe_psql('restored', q{
	CREATE SCHEMA again;
	CREATE EXTENSION omenvec SCHEMA again;
	ALTER TABLE items ADD v again.vector(16);
	UPDATE items SET v = array_fill(id / 1000.0, ARRAY[16])::again.vector;
	CREATE INDEX items_v ON items USING omenhnsw (v again.vector_l2_ops);
	SET search_path = public, again;
});
is($node->safe_psql('restored', q{
		SET search_path = public, again;
		SET enable_seqscan = off;
		SELECT id FROM items ORDER BY v <-> array_fill(1.2341, ARRAY[16])::vector LIMIT 1}),
	1234, 'created again in another schema');

# ---- by a user who is not a superuser ----

new_database('owned');
$node->safe_psql('owned', 'CREATE ROLE plain_user LOGIN; GRANT CREATE ON DATABASE owned TO plain_user; GRANT CREATE ON SCHEMA public TO plain_user');
$node->safe_psql('owned', q{
	SET SESSION AUTHORIZATION plain_user;
	CREATE EXTENSION omenvec;
	CREATE TABLE mine (id int, v vector(3));
	CREATE INDEX mine_v ON mine USING omenhnsw (v vector_l2_ops);
	INSERT INTO mine VALUES (1, '[1,2,3]');
	DROP EXTENSION omenvec CASCADE;
});
is($node->safe_psql('owned', q{SELECT count(*) FROM pg_extension WHERE extname = 'omenvec'}),
	0, 'a user without privileges creates and drops the trusted extension');

$node->stop;
done_testing();
