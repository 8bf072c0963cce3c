# What the TAP tests share: servers with the extension, data, and the question
# whether an index still holds what its table holds.

package OmenTest;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  new_node quiet_settings create_functions load_packages load_phrases
  insert_rows index_problems index_is_right seed_from_environment
);

# What every server of these tests is started with: vectors are long, so
# statements stay out of the log; VACUUM maintains at once, not a worker soon.
sub quiet_settings
{
	return join "\n", 'log_statement = none', 'log_duration = off',
	  'autovacuum = off', 'jit = off', 'max_wal_size = 2GB',
	  'omenvec.max_maintenance_workers = 0', '';
}

# A running server with the extension in database postgres.
sub new_node
{
	my ($name, %args) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(
		allows_streaming => $args{allows_streaming} // 0,
		extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', quiet_settings());
	$node->append_conf('postgresql.conf', "$_ = $args{settings}{$_}")
	  foreach sort keys %{ $args{settings} // {} };
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION omenvec');
	create_functions($node);
	return $node;
}

# sample_vector(i, tiles): vector number i, of 8 * tiles dimensions, always
# the same.  Eight random numbers, again and again: long, so that tails are
# sealed soon, but with neighbourhoods like those of real data.
sub create_functions
{
	my ($node, $dbname) = @_;

	$node->safe_psql($dbname // 'postgres', q{
		CREATE FUNCTION sample_vector(i bigint, tiles int) RETURNS vector
		LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
			SELECT array_agg((hashint8extended(i * 8 + j % 8, 17) & 65535) / 65536.0::real
							 ORDER BY j)::real[]::vector
			FROM generate_series(0, tiles * 8 - 1) AS j
		$$;

		CREATE FUNCTION sample_sparse(i bigint) RETURNS sparsevec
		LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
			SELECT ('{' || string_agg(format('%s:%s', j * 100 + 1 + (hashint8(i / 10 * 64 + j) & 63),
											 1 + (hashint8(i * 64 + j) & 255) / 256.0), ',' ORDER BY j)
					|| '}/4000')::sparsevec
			FROM generate_series(0, 3 + i % 37) AS j
		$$;
	});
}

# Rows first .. last of a table (id, v); vectors of 8 * tiles dimensions.
sub insert_rows
{
	my ($node, $table, $first, $last, $tiles) = @_;

	$node->safe_psql('postgres',
		"INSERT INTO $table SELECT i, sample_vector(i, $tiles) FROM generate_series($first, $last) AS i"
	);
}

# The demo's data, in a table (id int, v vector(384)).
sub load_packages
{
	my ($node, $table, $dbname) = @_;

	load_demo($node, $table, 'packages', 'id int, name text, section text, size int, summary text',
		$dbname);
}

sub load_phrases
{
	my ($node, $table, $dbname) = @_;

	load_demo($node, $table, 'queries', 'id int, phrase text', $dbname);
}

sub load_demo
{
	my ($node, $table, $file, $columns, $dbname) = @_;

	$node->safe_psql($dbname // 'postgres', qq{
		CREATE TEMP TABLE demo_rows ($columns, v vector(384));
		\\copy demo_rows FROM PROGRAM 'gzip -dc demo/data/$file.copy.gz'
		CREATE TABLE $table (id int, v vector(384));
		INSERT INTO $table SELECT id, v FROM demo_rows ORDER BY id;
	});
}

# What is wrong with the index of table (id, v), as lines of text; none if it
# is right: omenvec_check() finds nothing, a scan to the end returns each row
# of the table once, and some of the rows are found by their own vectors.
sub index_problems
{
	my ($node, $table, $index, %args) = @_;
	my $probes = $args{probes} // 50;
	my $operator = $args{operator} // '<->';

	my ($status, $out, $err) = $node->psql('postgres', qq{
		SET statement_timeout = '60s';
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT 'check: ' || c::text FROM omenvec_check('$index') AS c;

		CREATE TEMP TABLE drained AS
		SELECT id FROM (SELECT id FROM $table ORDER BY v $operator
						(SELECT v FROM $table WHERE v IS NOT NULL LIMIT 1)) AS s;
		RESET enable_seqscan;
		RESET enable_sort;
		SELECT 'missing: ' || count(*) || ' of ' || (SELECT count(*) FROM $table) || ', such as ' || min(id)
		FROM (SELECT id FROM $table EXCEPT ALL SELECT id FROM drained) AS s
		HAVING count(*) > 0;
		SELECT 'too many: ' || count(*) || ', such as ' || min(id)
		FROM (SELECT id FROM drained EXCEPT ALL SELECT id FROM $table) AS s
		HAVING count(*) > 0;

		CREATE TEMP TABLE probe AS
		SELECT id, v FROM $table WHERE v IS NOT NULL ORDER BY hashint8(id) LIMIT $probes;
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT 'not found by its vector: ' || p.id || ' but ' || coalesce(f.id::text, 'nothing')
		FROM probe AS p LEFT JOIN LATERAL
			 (SELECT id FROM $table ORDER BY v $operator p.v LIMIT 1) AS f ON true
		WHERE f.id IS DISTINCT FROM p.id;
	});
	$err =~ s/^psql:<stdin>:\d+: //mg;
	my @problems = grep { $_ ne '' } split /\n/, "$out\n$err";

	splice @problems, 20, @problems, '...' if @problems > 20;
	return @problems;
}

# The same as one test.
sub index_is_right
{
	my ($node, $table, $index, $name, %args) = @_;
	my @problems = index_problems($node, $table, $index, %args);

	is(join("\n", @problems), '', $name);
	return @problems == 0;
}

# Seeds the random numbers and says how to repeat the run.
sub seed_from_environment
{
	my $seed = $ENV{OMENVEC_TEST_SEED} || 1;

	srand($seed);
	note "OMENVEC_TEST_SEED=$seed";
	return $seed;
}

1;
