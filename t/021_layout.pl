# The first bytes of an index, decoded here by offsets of its own: what is on
# disk moves only together with this test, the format version and the docs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('layout');

$node->safe_psql('postgres', q{
	CREATE TABLE items (v vector(16));
	INSERT INTO items SELECT sample_vector(i % 1500, 2) FROM generate_series(1, 1600) AS i;
	INSERT INTO items SELECT NULL FROM generate_series(1, 7);
	CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (m = 12, ef_construction = 50, refine = scalar);
	CHECKPOINT;
});
my $bytes = slurp_file($node->data_dir . '/' . $node->safe_psql('postgres', q{SELECT pg_relation_filepath('items_v')}));
my $n_blocks = length($bytes) / 8192;

# usage: decode(offset, format of unpack, names, …)
sub decode
{
	my ($offset, $format, @names) = @_;
	my %values;

	@values{@names} = unpack "\@$offset $format", $bytes;
	return \%values;
}

is_deeply(decode(24, 'L S S L S6',
		qw(magic version min_version dims vector_kind metric code_kind m ef_construction factor_bytes)),
	{ magic => 0x6F6D656E, version => 2, min_version => 2, dims => 16, vector_kind => 1, metric => 1,
		code_kind => 1, m => 12, ef_construction => 50, factor_bytes => 20 },
	'metapage');
is_deeply(decode(24 + 24, 'L L', qw(code_bytes variable_codes)), { code_bytes => 16, variable_codes => 0 },
	'metapage: codes');
is_deeply(decode(24 + 32, 'L L L', qw(end_block next_segment_id n_segments)),
	{ end_block => $n_blocks, next_segment_id => 2, n_segments => 1 },
	'metapage: directory');
is_deeply(decode(24 + 44, 'C C S', qw(refine refine_factor_bytes refine_code_bytes)),
	{ refine => 1, refine_factor_bytes => 4, refine_code_bytes => 16 }, 'metapage: finer codes');

my $segment = 24 + 48;
my $head = decode($segment, 'L C4 Q L11', qw(id kind state n_runs refine retire_xid n_blocks n_nodes n_tid_entries
		n_rows n_dead null_list undirected_list n_centres n_samples n_chunks n_terms));

cmp_ok(delete $head->{n_samples}, '>', 0, 'segment: samples');
cmp_ok(delete $head->{n_centres}, '>', 0, 'segment: centres');
is_deeply($head,
	{ id => 1, kind => 1, state => 3, n_runs => 1, refine => 1, retire_xid => 0, n_blocks => $n_blocks - 1,
		n_nodes => 1500, n_tid_entries => 1500 + 100 * 3 + 8, n_rows => 1607, n_dead => 0,
		null_list => 1500 + 100 * 3, undirected_list => 0xFFFFFFFF, n_chunks => 0, n_terms => 0 },
	'segment');
isnt(unpack("\@@{[ $segment + 60 ]} L", $bytes), 0, 'segment: stamp');

# 4 classes of 6 values, v for 1 - 2 ^ (-v / 16); the beams are of whole numbers, so that the function interpolates
my @curve = map { 1 - 2**(-$_ / 16) } unpack "\@@{[ $segment + 64 + 12 ]} C24", $bytes;
my @stats = split /,/, $node->safe_psql('postgres', q{
	SELECT string_agg(r::text, ',' ORDER BY n) FROM omenvec_index_stats('items_v'), unnest(recall_curve) WITH ORDINALITY AS u (r, n)});

is(scalar(@stats), 24, 'curve: all of it');
is(scalar(grep { abs($curve[$_] - $stats[$_]) > 0.01 } 0 .. 23), 0, 'curve: as omenvec_index_stats() has it');

# ranges of columns, first block and length: codes, nodes, TIDs, dead, centres, samples, bytes, terms, finer codes, attributes, sketches
my @columns = unpack "\@@{[ $segment + 104 ]} L22", $bytes;
my ($first, $next) = (0, 0);

foreach my $column (0 .. 10)
{
	my ($from, $n) = @columns[ 2 * $column, 2 * $column + 1 ];

	is($from, $n > 0 ? $next : $from, "column $column: begins where the one before ends");
	$next += $n;
}
is($next, $n_blocks - 1, 'columns: all blocks');
is_deeply([ unpack "\@@{[ $segment + 104 + 88 ]} L2", $bytes ], [ 1, $n_blocks - 1 ], 'run');
is_deeply([ unpack "\@@{[ $segment + 104 + 88 + 64 ]} C2 S2 C2", $bytes ], [ (0) x 6 ], 'sketches: none');

# the first page of codes: stamp and trailer
my $page = 8192;

is_deeply(decode($page + 24, 'L L S S L', qw(segment_id logical_block column n_records unused)),
	{ segment_id => 1, logical_block => 0, column => 1, n_records => 225, unused => 0 }, 'page: stamp');
is_deeply(decode($page + 8184, 'S4', qw(kind flags unused page_id)),
	{ kind => 2, flags => 0, unused => 0, page_id => 0xFFA7 }, 'page: trailer');

$node->stop;
done_testing();
