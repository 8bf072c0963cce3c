# Recall@10 at default settings: of an index built at once, of one half of
# whose rows came later, and of both after a third of the rows is gone.
#
# The demo's embeddings are always measured.  If OMENVEC_TEST_DATA names a
# folder (or several, with colons between) with deb_b.f16.npy, deb_q.f16.npy,
# sift_b.f32 and sift_q.f32, up to 100,000 rows of these are measured as well.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $K = 10;
my $QUERIES = 200;
my %OPCLASS = (
	l2 => [ 'vector_l2_ops', '<->' ],
	ip => [ 'vector_ip_ops', '<#>' ],
	cosine => [ 'vector_cosine_ops', '<=>' ],
	l1 => [ 'vector_l1_ops', '<+>' ]);

my $node = new_node('recall',
	settings => { shared_buffers => "'512MB'", maintenance_work_mem => "'256MB'" });

# The exact answers: of each query the distance of the K-th neighbour.
sub compute_truth
{
	my ($table, $operator) = @_;

	$node->safe_psql('postgres', qq{
		SET enable_indexscan = off;
		DROP TABLE IF EXISTS truth;
		CREATE TABLE truth AS
		SELECT q.id, q.v, max(near.distance) AS farthest, count(*) AS n
		FROM (SELECT id, v FROM queries ORDER BY id LIMIT $QUERIES) AS q,
			 LATERAL (SELECT v $operator q.v AS distance FROM $table
					  ORDER BY v $operator q.v LIMIT $K) AS near
		GROUP BY q.id, q.v;
	});
}

# Recall of a table's index; also tests that each query got K rows, in order.
sub measure
{
	my ($table, $operator, $what, $floor) = @_;
	my $query = qq{
		SELECT round(avg(found.right_ones / truth.n::numeric), 4) || ' ' ||
			   count(*) FILTER (WHERE found.n < truth.n OR NOT found.in_order)
		FROM truth, LATERAL
			 (SELECT count(*) AS n, count(*) FILTER (WHERE distance <= truth.farthest) AS right_ones,
					 bool_and(distance >= before) AS in_order
			  FROM (SELECT distance, lag(distance, 1, distance) OVER () AS before
					FROM (SELECT v $operator truth.v AS distance FROM $table
						  ORDER BY v $operator truth.v LIMIT $K) AS near) AS pairs) AS found};
	my $settings = 'SET enable_seqscan = off; SET enable_sort = off;';

	like($node->safe_psql('postgres', "$settings EXPLAIN $query"),
		qr/Index Scan using ${table}_v_idx/, "$what: uses the index");
	my ($recall, $bad) = split / /, $node->safe_psql('postgres', "$settings $query");
	is($bad, 0, "$what: every query gets $K rows, nearest first");
	cmp_ok($recall, '>=', $floor, "$what: recall");
	diag sprintf '%-40s recall@%d %.4f', $what, $K, $recall;
}

# All that is measured of n rows of a source under a metric; options: WITH (...) of the indexes.
sub measure_all
{
	my ($source, $metric, $n, $floor, $options) = @_;
	my ($opclass, $operator) = @{ $OPCLASS{$metric} };
	my $dims = $node->safe_psql('postgres', "SELECT vector_dims(v) FROM $source LIMIT 1");
	my $name = "$source $metric $n" . ($options ? " $options" : '');

	$options //= '';
	my $half = int($n / 2);

	$node->safe_psql('postgres', qq{
		DROP TABLE IF EXISTS queries, whole, grown;
		CREATE TABLE queries AS SELECT * FROM ${source}_queries;
		CREATE TABLE whole (id int, v vector($dims));
		INSERT INTO whole SELECT id, v FROM $source ORDER BY id LIMIT $n;
		CREATE INDEX ON whole USING omenhnsw (v $opclass) $options;
		CREATE TABLE grown (id int, v vector($dims));
		INSERT INTO grown SELECT id, v FROM $source ORDER BY id LIMIT $half;
		CREATE INDEX ON grown USING omenhnsw (v $opclass) $options;
		INSERT INTO grown SELECT id, v FROM $source ORDER BY id OFFSET $half LIMIT $n - $half;
	});
	compute_truth('whole', $operator);
	measure('whole', $operator, "$name, built at once", $floor);
	measure('grown', $operator, "$name, half inserted later", $floor);

	$node->safe_psql('postgres', qq{
		DELETE FROM whole WHERE hashint4(id) % 3 = 0;
		DELETE FROM grown WHERE hashint4(id) % 3 = 0;
		VACUUM whole, grown;
	});
	compute_truth('whole', $operator);
	measure('whole', $operator, "$name, a third deleted", $floor);
	measure('grown', $operator, "$name, half later, a third deleted", $floor);
}

# ---- data ----

sub find_data
{
	my ($file) = @_;

	foreach my $folder (split /:/, $ENV{OMENVEC_TEST_DATA} // '')
	{
		return "$folder/$file" if -e "$folder/$file";
	}
	return undef;
}

# Reads records of $bytes each after a header, converts them to big-endian
# floats, and loads them through COPY's binary format.
sub load_binary
{
	my ($table, $path, $header, $bytes, $dims, $limit, $convert) = @_;
	my $copy = PostgreSQL::Test::Utils::tempdir() . "/$table.copy";
	my $n = 0;

	open my $in, '<:raw', $path or die "could not open $path: $!";
	open my $out, '>:raw', $copy or die "could not create $copy: $!";
	seek $in, $header, 0;
	print $out "PGCOPY\n\xff\r\n\0", pack('NN', 0, 0);
	while ($n < $limit && read($in, my $record, $bytes) == $bytes)
	{
		print $out pack('n N N N n n', 2, 4, $n++, 4 + 4 * $dims, $dims, 0), $convert->($record);
	}
	print $out pack('n', 0xffff);
	close $out or die "could not write $copy: $!";
	$node->safe_psql('postgres',
		"CREATE TABLE $table (id int, v vector($dims));\n\\copy $table FROM '$copy' (FORMAT binary)\n");
	unlink $copy;
	return $n;
}

# The bytes before the data of a .npy file, and the length of its rows.
sub npy_header
{
	my ($path) = @_;

	open my $in, '<:raw', $path or die "could not open $path: $!";
	read($in, my $start, 10);
	my $length = unpack 'v', substr $start, 8;
	read($in, my $header, $length);
	die "unexpected kind of array in $path"
	  unless $header =~ /'descr': '<f2'.*'fortran_order': False.*'shape': \(\d+, (\d+)\)/;
	return (10 + $length, $1);
}

# Big-endian single precision of each half-precision number.
sub half_table
{
	return map {
		my ($exponent, $fraction) = (($_ >> 10) & 31, $_ & 1023);
		my $value = $exponent == 0 ? $fraction * 2**-24 : (1 + $fraction / 1024) * 2**($exponent - 15);
		pack 'f>', $_ & 0x8000 ? -$value : $value;
	} 0 .. 65535;
}

sub load_halves
{
	my ($table, $path, $limit, $half) = @_;
	my ($header, $dims) = npy_header($path);

	return load_binary($table, $path, $header, 2 * $dims, $dims, $limit,
		sub { join '', @$half[ unpack 'v*', $_[0] ] });
}

sub load_singles
{
	my ($table, $path, $dims, $limit) = @_;

	return load_binary($table, $path, 0, 4 * $dims, $dims, $limit,
		sub { pack 'N*', unpack 'V*', $_[0] });
}

# ---- the demo's embeddings ----

load_packages($node, 'demo');
load_phrases($node, 'demo_queries');
measure_all('demo', 'cosine', 1000, 0.99);
measure_all('demo', 'l2', 1000, 0.99);
measure_all('demo', 'cosine', 5000, 0.95);
measure_all('demo', 'l2', 5000, 0.95);
measure_all('demo', $_, 10000, 0.95) foreach qw(cosine l2 ip l1);
measure_all('demo', $_, 5000, 0.95, 'WITH (refine = scalar)') foreach qw(cosine ip);
measure_all('demo', 'cosine', 5000, 0.95, "WITH (quantization = $_)")
  foreach 'low_bit', 'low_bit, bits = 2', 'low_bit, bits = 4', 'binary', 'product', 'product, bits = 4';
measure_all('demo', $_, 5000, 0.95, 'WITH (quantization = none)') foreach qw(l2 ip);
measure_all('demo', $_, 5000, 0.95, 'WITH (quantization = half)') foreach qw(cosine l1);

# ---- vectors of very different lengths ----

# Random directions; lengths differ by up to a factor of $spread, evenly in their logarithms.
sub make_lengths
{
	my ($table, $n, $dims, $spread) = @_;

	$node->safe_psql('postgres', qq{
		CREATE TABLE $table (id int, v vector($dims));
		SELECT setseed(0.5);
		INSERT INTO $table
		SELECT id, array_agg(scale * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))::vector
		FROM (SELECT id, power($spread, random()) AS scale FROM generate_series(1, $n) AS id
			  ORDER BY id) AS rows, generate_series(1, $dims)
		GROUP BY id ORDER BY id;
	});
}

make_lengths('lengths', 6000, 32, 30);
make_lengths('lengths_queries', $QUERIES, 32, 1);
measure_all('lengths', 'ip', 6000, 0.95);
measure_all('lengths', 'ip', 6000, 0.95, 'WITH (quantization = half)');

# ---- larger sets ----

SKIP:
{
	my %file = map { $_ => find_data($_) } qw(deb_b.f16.npy deb_q.f16.npy sift_b.f32 sift_q.f32);
	my @missing = grep { !defined $file{$_} } sort keys %file;
	skip "OMENVEC_TEST_DATA names no folder with @missing", 1 if @missing;

	my @half = half_table();
	my $n = load_halves('deb', $file{'deb_b.f16.npy'}, 100000, \@half);
	load_halves('deb_queries', $file{'deb_q.f16.npy'}, $QUERIES, \@half);
	foreach my $metric ('cosine', 'l2')
	{
		measure_all('deb', $metric, $_, $_ > 1000 ? 0.95 : 0.99)
		  foreach 1000, 5000, 10000, 20000, 50000, $n;
	}
	load_singles('sift', $file{'sift_b.f32'}, 128, 100000);
	load_singles('sift_queries', $file{'sift_q.f32'}, 128, $QUERIES);
	measure_all('sift', 'l2', $_, $_ > 1000 ? 0.95 : 0.99)
	  foreach 1000, 5000, 10000, 20000, 50000, 100000;
}

$node->stop;
done_testing();
