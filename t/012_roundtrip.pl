# What goes into the types comes out of them, bit for bit: through COPY in
# binary, out again in binary, and by way of the text form.
#
# Values are of random bits: denormals, negative zeros, extremes, lists of one
# element and of many.  OMENVEC_TEST_ROUNDTRIP says how many of each type
# (default 20000; a million takes minutes), OMENVEC_TEST_SEED which.

use strict;
use warnings;

use Digest::MD5;
use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = $ENV{OMENVEC_TEST_ROUNDTRIP} || 20000;
my $HEADER = "PGCOPY\n\377\r\n\0" . pack('N N', 0, 0);
my $TRAILER = pack('n', 0xffff);

seed_from_environment();
my $node = new_node('roundtrip');
my $folder = PostgreSQL::Test::Utils::tempdir();

# --- random values, as the binary formats have them --------------------------

my @FLOATS = (0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0x4b800000, 0x33800000);
my @HALVES = (0, 0x8000, 1, 0x8001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x3c00, 0x3555);

# Bits of a finite float4: one of the special ones, a denormal, a number of few
# digits, or any.
sub random_float
{
	my $kind = int rand 8;

	return $FLOATS[ rand @FLOATS ] if $kind == 0;
	return (int(rand 2) << 31) | int rand 0x800000 if $kind == 1;
	return unpack('N', pack('f>', int(rand 20001 - 10000) / 100)) if $kind == 2;
	return (int(rand 2) << 31) | int rand 0x7f800000;
}

sub random_half
{
	my $kind = int rand 8;

	return $HALVES[ rand @HALVES ] if $kind == 0;
	return (int(rand 2) << 15) | int rand 0x400 if $kind == 1;
	return (int(rand 2) << 15) | int rand 0x7c00;
}

# Mostly short, now and then longer than a kernel's step.
sub random_length { return 1 + int rand(rand() < 0.02 ? 70 : 6) }

my %random_value = (
	vector => sub {
		my $n = random_length();
		return pack('n n N*', $n, 0, map { random_float() } 1 .. $n);
	},
	halfvec => sub {
		my $n = random_length();
		return pack('n n n*', $n, 0, map { random_half() } 1 .. $n);
	},
	sparsevec => sub {
		my $dimensions = rand() < 0.1 ? 1_000_000_000 : random_length() * 20;
		my %indices = map { int(rand $dimensions) => 1 } 1 .. random_length() - 1;
		$indices{ $dimensions - 1 } = 1 if rand() < 0.1;
		my @indices = sort { $a <=> $b } keys %indices;
		return pack('N3 N* ', $dimensions, scalar @indices, 0, @indices,
			map { my $bits = random_float(); $bits & 0x7fffffff ? $bits : 0x80000001 } @indices);
	},
	bit => sub {
		my $n = rand() < 0.02 ? int rand 700 : int rand 40;
		return pack('N B*', $n, join '', map { int rand 2 } 1 .. $n);
	});

# --- files of COPY -----------------------------------------------------------

# Writes rows (number, value); returns the digest of the file.
sub write_values
{
	my ($path, $type) = @_;
	my $digest = Digest::MD5->new;

	open my $file, '>:raw', $path or die "could not write \"$path\": $!";
	my $put = sub { print $file $_[0]; $digest->add($_[0]) };
	$put->($HEADER);
	foreach my $number (1 .. $ROWS)
	{
		my $value = $random_value{$type}->();
		$put->(pack('n N N N/a*', 2, 4, $number, $value));
	}
	$put->($TRAILER);
	close $file or die "could not write \"$path\": $!";
	return $digest->hexdigest;
}

sub digest_of
{
	my ($path) = @_;

	open my $file, '<:raw', $path or die "could not read \"$path\": $!";
	return Digest::MD5->new->addfile($file)->hexdigest;
}

# --- test --------------------------------------------------------------------

foreach my $type (qw(vector halfvec sparsevec bit))
{
	my $column = $type eq 'bit' ? 'bit varying' : $type;
	my $send = $type eq 'bit' ? 'varbit_send' : "${type}_send";
	my $table = "CREATE TEMP TABLE original (number int, v $column)";
	my $sent = write_values("$folder/in", $type);

	$node->safe_psql('postgres', qq{
		$table;
		\\copy original FROM '$folder/in' (FORMAT binary)
		\\copy (SELECT * FROM original ORDER BY number) TO '$folder/out' (FORMAT binary)
		\\copy (SELECT * FROM original ORDER BY number) TO '$folder/out.text'
	});
	is(digest_of("$folder/out"), $sent, "$type: $ROWS values come out of COPY in binary as they went in");

	is($node->safe_psql('postgres', qq{
			$table;
			CREATE TEMP TABLE again (LIKE original);
			\\copy original FROM '$folder/in' (FORMAT binary)
			\\copy again FROM '$folder/out.text'
			\\copy (SELECT * FROM again ORDER BY number) TO '$folder/out' (FORMAT binary)
			\\copy (SELECT * FROM again ORDER BY number) TO '$folder/again.text'
			SELECT count(*), count(*) FILTER (WHERE $send(a.v) = $send(o.v)), count(*) FILTER (WHERE $send(a.v::text::$column) = $send(o.v))
			FROM original AS o JOIN again AS a USING (number)}),
		"$ROWS|$ROWS|$ROWS", "$type: the text form keeps each bit");
	is(digest_of("$folder/out"), $sent, "$type: out of the text form comes the same file");
	is(digest_of("$folder/again.text"), digest_of("$folder/out.text"), "$type: and the same text");
	unlink "$folder/in", "$folder/out", "$folder/out.text", "$folder/again.text";
}

$node->stop;
done_testing();
