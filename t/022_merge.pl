# Merges that insert the smaller segments into the largest: again and again,
# with rows that die, vectors that are there already, and rows without one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenPages;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = 6000;
my $ROUNDS = 8;

my $node = new_node('merge', settings => { maintenance_work_mem => "'256MB'" });

sub sql { return $node->safe_psql('postgres', $_[0]) }

my %tables = (
	vectors => {
		type => 'vector(32)', class => 'vector_l2_ops', operator => '<->',
		value => 'sample_vector(%s, 4)' },
	refined => {
		type => 'vector(32)', class => 'vector_l1_ops', operator => '<+>', options => ', refine = scalar',
		value => 'sample_vector(%s, 4)' },
	sketched => {
		type => 'vector(32)', class => 'vector_l2_ops', operator => '<->', options => ', quantization = low_bit',
		value => 'sample_vector(%s, 4)' },
	sparse => {
		type => 'sparsevec(4000)', class => 'sparsevec_cosine_ops', operator => '<=>',
		value => 'sample_sparse(%s)' },
	bits => {
		type => 'bit(256)', class => 'bit_hamming_ops', operator => '<~>',
		value => q{(SELECT string_agg(hashint8extended(j + 4 * %1$s, 5)::bit(64)::text, '' ORDER BY j) FROM generate_series(0, 3) AS j)::bit(256)} });

# Rows first .. last: each 50th without a vector, each 10th with that of an older row.
sub insert
{
	my ($name, $first, $last) = @_;
	my $number = "CASE WHEN i % 10 = 0 THEN i / 2 ELSE i END";
	my $value = sprintf $tables{$name}{value}, "($number)";

	sql("INSERT INTO $name SELECT i, CASE WHEN i % 50 <> 7 THEN $value END FROM generate_series($first, $last) AS i");
}

sub recall { return sql("SELECT recall FROM omenvec_recall('$_[0]_v', samples => 200)") }

# What the largest segment of an index says of its merges.
sub renewed
{
	my ($name) = @_;
	my $path = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('${name}_v')");

	sql('CHECKPOINT');
	my $pages = OmenPages->new($path);
	my $segment = $pages->entry('GRAPH');
	my @result = map { $pages->seg($segment, $_) } 'n_renewed', 'n_nodes';
	$pages->close_file;
	return @result;
}

foreach my $name (sort keys %tables)
{
	my $table = $tables{$name};

	sql("CREATE TABLE $name (id bigint, v $table->{type})");
	insert($name, 1, $ROWS);
	sql("CREATE INDEX ${name}_v ON $name USING omenhnsw (v $table->{class}) WITH (merge_factor = 100" . ($table->{options} // '') . ')');
	is((renewed($name))[0], 0, "$name: a build numbers all nodes");

	my ($most, $next) = (0, $ROWS);
	foreach my $round (1 .. $ROUNDS)
	{
		my $n = $round == 3 ? 20 : $ROWS / 10;

		insert($name, $next + 1, $next + $n);
		sql("DELETE FROM $name WHERE hashint8(id + $round) % 40 = 0; VACUUM (INDEX_CLEANUP ON) $name; SELECT omenvec_optimize('${name}_v')");
		$next += $n;
		my ($renewed, $nodes) = renewed($name);
		$most = $renewed / $nodes if $renewed / $nodes > $most;
		index_is_right_enough($name) if $round == 3 || $round == $ROUNDS;
	}
	cmp_ok($most, '>', 0.2, "$name: nodes were carried over");
	cmp_ok($most, '<=', 0.5, "$name: but not for ever");
	is(sql("SELECT count(*) FROM omenvec_index_stats('${name}_v') WHERE state = 'live' AND kind = 'graph'"), 1,
		"$name: one segment");
	is(sql("SELECT sum(vectors) FROM omenvec_index_stats('${name}_v') WHERE state = 'live' AND kind = 'graph'"),
		sql("SELECT count(DISTINCT v) FROM $name"), "$name: equal vectors are one node") if $name ne 'sparse';
	is(sql("SELECT recall_curve IS NOT NULL FROM omenvec_index_stats('${name}_v') WHERE state = 'live' AND kind = 'graph'"), 't',
		"$name: its recall is known");

	my $recall = recall($name);
	sql("SELECT omenvec_optimize('${name}_v', true)");
	is((renewed($name))[0], 0, "$name: full optimization numbers all nodes anew");
	my $anew = recall($name);
	note "$name: renewed up to $most, recall $recall, numbered anew $anew";
	cmp_ok($recall, '>=', $anew - 0.02, "$name: recall as of a graph made anew");
	index_is_right_enough($name);
}

# Vectors are there twice, so a row is not always found first by its own.
sub index_is_right_enough
{
	my ($name) = @_;
	my @problems = grep { !/^not found by its vector/ }
	  index_problems($node, $name, "${name}_v", operator => $tables{$name}{operator});

	is(join("\n", @problems), '', "$name: index");
	is(sql(qq{
		SET enable_seqscan = off;
		SELECT count(*) FROM (SELECT v FROM $name WHERE v IS NOT NULL ORDER BY hashint8(id) LIMIT 100) AS p
		WHERE (SELECT f.v $tables{$name}{operator} p.v FROM $name AS f ORDER BY f.v $tables{$name}{operator} p.v LIMIT 1) > 1e-6}), 0,
		"$name: vectors are found");
}

is(join("\n", grep { /WARNING|PANIC|TRAP|terminated by signal/ } split /\n/, slurp_file($node->logfile)), '', 'no warning');
$node->stop;
done_testing();
