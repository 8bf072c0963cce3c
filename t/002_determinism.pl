# The same rows and options give the same index, byte by byte: whatever the
# instruction set and the memory, and by whatever way the rows came.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = 3000;
my $dims = 384;
my $node = new_node('determinism', settings => { maintenance_work_mem => "'64MB'" });
my ($status) = $node->psql('postgres', 'CREATE EXTENSION pageinspect');

if ($status != 0)
{
	$node->stop;
	plan skip_all => 'pageinspect is not installed';
}
load_packages($node, 'packages');

# A digest of every page of an index's youngest segment: its column, its place
# in it, and all that follows the stamp (page_layout.h).  Left out: LSN,
# checksum and the segment's number.
$node->safe_psql('postgres', qq{
	CREATE TABLE whole AS SELECT id, v FROM packages WHERE id < $ROWS ORDER BY id;
	CREATE TABLE grown AS SELECT id, v FROM whole WHERE id < $ROWS / 3 ORDER BY id;

	CREATE FUNCTION uint(page bytea, at int, bytes int) RETURNS bigint LANGUAGE sql AS \$\$
		SELECT sum(get_byte(page, at + i) * 256::bigint ^ i)::bigint FROM generate_series(0, bytes - 1) AS i
	\$\$;
	CREATE FUNCTION digests(index regclass)
	RETURNS TABLE (segment bigint, place text, digest text) LANGUAGE sql AS \$\$
		WITH pages AS (
			SELECT get_raw_page(index::text, 'main', block::int) AS page
			FROM generate_series(1, pg_relation_size(index) / 8192 - 1) AS block),
		stamps AS (
			SELECT uint(page, 24, 4) AS segment, uint(page, 28, 4) AS block, uint(page, 32, 2) AS in_column,
				   md5(substr(page, 11, 14) || substr(page, 35)) AS digest
			FROM pages
			WHERE uint(page, 8184, 2) = 2)
		SELECT segment, format('column %s block %s', in_column, block), digest
		FROM stamps
		WHERE segment = (SELECT max(segment) FROM stamps)
	\$\$;
});

# The page size of a server built otherwise would need other offsets.
is($node->safe_psql('postgres', 'SHOW block_size'), 8192, 'block size');

# What differs between the youngest segments of two indexes.
sub same_pages
{
	my ($a, $b, $name) = @_;
	my $differences = $node->safe_psql('postgres', qq{
		SELECT coalesce(a.place, b.place) || ': ' ||
			   CASE WHEN a.place IS NULL THEN 'only in $b' WHEN b.place IS NULL THEN 'only in $a'
			   ELSE 'not equal' END
		FROM digests('$a') AS a FULL JOIN digests('$b') AS b USING (place)
		WHERE a.digest IS DISTINCT FROM b.digest
		ORDER BY 1 LIMIT 10
	});

	is($differences, '', $name);
}

sub build
{
	my ($name, $key, $settings, $table) = @_;
	my $options = '';

	($key, $options) = @$key if ref $key;
	$table //= 'whole';
	$node->safe_psql('postgres',
		"LOAD 'omenvec'; $settings; CREATE INDEX $name ON $table USING omenhnsw ($key) $options");
}

my $variants = $node->safe_psql('postgres',
	"LOAD 'omenvec'; SELECT unnest(enumvals) FROM pg_settings WHERE name = 'omenvec.simd'");
my %KEYS = (
	(map { $_ => "v $_" } map { "vector_${_}_ops" } qw(l2 ip cosine l1)),
	halfvec_l2_ops => "(v::halfvec($dims)) halfvec_l2_ops",
	bit_hamming_ops => "(binary_quantize(v)::bit($dims)) bit_hamming_ops",
	bit_jaccard_ops => "(binary_quantize(v)::bit($dims)) bit_jaccard_ops",
	sparsevec_l2_ops => '(sample_sparse(id)::sparsevec(4000)) sparsevec_l2_ops',
	sparsevec_ip_ops => '(sample_sparse(id)::sparsevec(4000)) sparsevec_ip_ops',
	floats => [ 'v vector_ip_ops', 'WITH (quantization = none)' ],
	halves => [ 'v vector_cosine_ops', 'WITH (quantization = half)' ]);

foreach my $opclass (sort keys %KEYS)
{
	build('reference', $KEYS{$opclass}, "SET omenvec.simd = 'scalar'");
	cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM digests('reference')}),
		'>', 50, "$opclass: there are pages to compare");
	foreach my $variant (grep { $_ ne 'scalar' } split /\n/, $variants)
	{
		build("by_$variant", $KEYS{$opclass}, "SET omenvec.simd = '$variant'");
		same_pages('reference', "by_$variant", "$opclass: $variant builds what scalar builds");
		$node->safe_psql('postgres', "DROP INDEX by_$variant");
	}
	$node->safe_psql('postgres', 'DROP INDEX reference');
}

build('reference', 'v vector_cosine_ops', 'SELECT 1');
build('again', 'v vector_cosine_ops', 'SELECT 1');
same_pages('reference', 'again', 'a second build');
$node->safe_psql('postgres', 'REINDEX INDEX again');
same_pages('reference', 'again', 'a REINDEX');
build('roomy', 'v vector_cosine_ops', "SET maintenance_work_mem = '256MB'");
same_pages('reference', 'roomy', 'a build with more memory');
build('parallel', 'v vector_cosine_ops',
	'SET max_parallel_maintenance_workers = 4; SET min_parallel_table_scan_size = 0');
same_pages('reference', 'parallel', 'a build that may use workers');

# Rows that came later, in several statements, partly sealed on the way, then
# merged: one segment with the same nodes and links.
build('merged', 'v vector_cosine_ops', 'SELECT 1', 'grown');
$node->safe_psql('postgres', qq{
	INSERT INTO grown SELECT id, v FROM whole WHERE id >= $ROWS / 3 AND id < $ROWS / 2 ORDER BY id;
	SELECT omenvec_optimize('merged');
	INSERT INTO grown SELECT id, v FROM whole WHERE id >= $ROWS / 2 ORDER BY id;
	SELECT omenvec_optimize('merged', true);
});
is($node->safe_psql('postgres', 'SELECT ctid, id FROM whole EXCEPT SELECT ctid, id FROM grown'),
	'', 'both tables have their rows in the same places');
same_pages('reference', 'merged', 'rows merged by omenvec_optimize()');

$node->stop;
done_testing();
