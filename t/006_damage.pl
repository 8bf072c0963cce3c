# Random damage to the pages of an index: whatever is done with it then ends
# in an error that says so, or goes well; never in a crash or a loop, and never
# in a wrong answer that a REINDEX does not put right.
#
# Each trial has its own table and index, copies of a prepared one, so that
# one stop of the server serves many.  Trial n of a run with seed s is trial 0
# of a run with OMENVEC_TEST_SEED = s + n.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use File::Copy;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $TRIALS = $ENV{OMENVEC_TEST_TRIALS} || 300;
my $BATCH = 100;
my $BLOCK = 8192;
my $HEADER = 24;

# Damage is recognised where pages are read; what the executor and the heap
# say of a TID or a bound that is wrong counts as well.
my $EXPECTED_ERROR = qr{
	^XX002:
	| ^XX001:
	| ^XX000:\ index\ returned\ tuples\ in\ wrong\ order
	| ^(XX000|58P01):\ could\ not\ open\ file\ .*\ \(target\ block
}x;

my $seed = seed_from_environment();
my $node = new_node('damage',
	settings => {
		restart_after_crash => 'on',
		shared_buffers => "'64MB'",
		statement_timeout => "'20s'"
	});

# ---- what is copied ----

# type, operator, operator class, vector number i, and rows
my %TEMPLATES = (
	small => [
		'vector(16)', '<->', 'vector_l2_ops', 'sample_vector(i, 2)', q{
			INSERT INTO small SELECT i, sample_vector(i, 2) FROM generate_series(1, 1150) AS i;
			INSERT INTO small SELECT i, sample_vector(1, 2) FROM generate_series(1151, 1200) AS i;
			INSERT INTO small SELECT i, NULL FROM generate_series(1201, 1210) AS i;
			CREATE INDEX small_v ON small USING omenhnsw (v vector_l2_ops);
			DELETE FROM small WHERE id % 20 = 0;
			VACUUM (INDEX_CLEANUP ON) small;
			INSERT INTO small SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2250) AS i;
			INSERT INTO small SELECT i, NULL FROM generate_series(2251, 2260) AS i;
		} ],
	two_segments => [
		'vector(16)', '<+>', 'vector_l1_ops', 'sample_vector(i, 2)', q{
			INSERT INTO two_segments SELECT i, sample_vector(i, 2) FROM generate_series(1, 4500) AS i;
			CREATE INDEX two_segments_v ON two_segments USING omenhnsw (v vector_l1_ops);
			INSERT INTO two_segments SELECT i, sample_vector(i, 2) FROM generate_series(5001, 6100) AS i;
			SELECT omenvec_optimize('two_segments_v');
			INSERT INTO two_segments SELECT i, sample_vector(i, 2) FROM generate_series(7001, 7100) AS i;
		} ],
	sketched => [
		'vector(16)', '<->', 'vector_l2_ops', 'sample_vector(i, 2)', q{
			INSERT INTO sketched SELECT i, sample_vector(i, 2) FROM generate_series(1, 1150) AS i;
			CREATE INDEX sketched_v ON sketched USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit);
			DELETE FROM sketched WHERE id % 20 = 0;
			VACUUM (INDEX_CLEANUP ON) sketched;
			INSERT INTO sketched SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2250) AS i;
		} ],
	refined => [
		'vector(16)', '<->', 'vector_l2_ops', 'sample_vector(i, 2)', q{
			INSERT INTO refined SELECT i, sample_vector(i, 2) FROM generate_series(1, 1150) AS i;
			CREATE INDEX refined_v ON refined USING omenhnsw (v vector_l2_ops) WITH (refine = scalar);
			DELETE FROM refined WHERE id % 20 = 0;
			VACUUM (INDEX_CLEANUP ON) refined;
			INSERT INTO refined SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2250) AS i;
		} ],
	undirected => [
		'vector(160)', '<=>', 'vector_cosine_ops', 'sample_vector(i, 20)', q{
			INSERT INTO undirected SELECT i, sample_vector(i, 20) FROM generate_series(1, 1100) AS i;
			INSERT INTO undirected SELECT i, array_fill(0, ARRAY[160])::vector FROM generate_series(1101, 1110) AS i;
			CREATE INDEX undirected_v ON undirected USING omenhnsw (v vector_cosine_ops);
			INSERT INTO undirected SELECT i, array_fill(0, ARRAY[160])::vector FROM generate_series(2001, 2010) AS i;
			INSERT INTO undirected SELECT i, sample_vector(i, 20) FROM generate_series(2011, 2050) AS i;
		} ],
	long => [
		'vector(9600)', '<#>', 'vector_ip_ops', 'sample_vector(i, 1200)', q{
			INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(1, 20) AS i;
			CREATE INDEX long_v ON long USING omenhnsw (v vector_ip_ops);
			INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(21, 25) AS i;
		} ],
	sparse => [
		'sparsevec(4000)', '<->', 'sparsevec_l2_ops', 'sample_sparse(i)', q{
			INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(1, 1150) AS i;
			INSERT INTO sparse SELECT i, sample_sparse(1) FROM generate_series(1151, 1200) AS i;
			INSERT INTO sparse SELECT i, NULL FROM generate_series(1201, 1210) AS i;
			CREATE INDEX sparse_v ON sparse USING omenhnsw (v sparsevec_l2_ops);
			DELETE FROM sparse WHERE id % 20 = 0;
			VACUUM (INDEX_CLEANUP ON) sparse;
			INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(2001, 2250) AS i;
		} ],
	bits => [
		'bit(160)', '<%>', 'bit_jaccard_ops',
		'binary_quantize(sample_vector(i, 20) - array_fill(0.5, ARRAY[160])::vector)::bit(160)', q{
			INSERT INTO bits
			SELECT i, binary_quantize(sample_vector(i, 20) - array_fill(0.5, ARRAY[160])::vector)
			FROM generate_series(1, 1100) AS i;
			INSERT INTO bits SELECT i, set_bit(i::bit(32)::bit(160), 100, 1) FROM generate_series(1101, 1200) AS i;
			CREATE INDEX bits_v ON bits USING omenhnsw (v bit_jaccard_ops);
			INSERT INTO bits SELECT i, set_bit(i::bit(32)::bit(160), 100, 1) FROM generate_series(2001, 2050) AS i;
		} ]);
my @WEIGHTED = (('small') x 5, ('sparse') x 3, ('refined') x 3, ('sketched') x 3, ('two_segments') x 2, 'undirected', 'long', 'bits');
my %files;

sub create_templates
{
	foreach my $name (sort keys %TEMPLATES)
	{
		my ($type, undef, undef, undef, $rows) = @{ $TEMPLATES{$name} };

		$node->safe_psql('postgres', "CREATE TABLE $name (id bigint, v $type);
			ALTER TABLE $name ALTER v SET STORAGE EXTENDED;\n$rows");
		# Frozen, its rows are at home in a younger table, too.
		$node->safe_psql('postgres', "VACUUM (FREEZE, INDEX_CLEANUP OFF) $name");
		$files{$name} = [ file_of($name), file_of("${name}_v") ];
	}
	is( $node->safe_psql('postgres', 'SELECT count(*) FROM pg_class WHERE relkind = \'t\' AND pg_relation_size(oid) > 0
			AND relnamespace = \'pg_toast\'::regnamespace AND oid > 16384'),
		0, 'no values of the prepared tables are out of line');
}

sub file_of
{
	my ($relation) = @_;

	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')");
}

# ---- damage ----

sub random_offset
{
	my ($page, $is_meta) = @_;
	my $lower = unpack 'v', substr $page, 12, 2;

	# The metapage has room for many segments; these have few.
	$lower = 1000 if $is_meta;

	# Mostly where something is, and mostly not in the page header, whose
	# damage the server itself finds.
	return int rand $HEADER if rand() < 0.03;
	return $HEADER + int rand($lower - $HEADER) if $lower > $HEADER && $lower <= $BLOCK && rand() < 0.9;
	return int rand $BLOCK;
}

# What is written over a page: returns a description, and changes the page.
sub damage_page
{
	my ($page, $is_meta, $other_page) = @_;
	my $kind = rand();

	if ($kind < 0.03)
	{
		$$page = "\0" x $BLOCK;
		return 'zeroed';
	}
	if ($kind < 0.07)
	{
		$$page = $other_page;
		return 'replaced by another';
	}
	my @places;
	foreach my $i (1 .. 1 + int rand 6)
	{
		my $at = random_offset($$page, $is_meta);
		my $choice = rand();
		my $bytes =
			$choice < 0.4 ? chr int rand 256
		  : $choice < 0.6 ? pack 'V', int rand 2**32
		  : $choice < 0.7 ? "\xff\xff\xff\xff"
		  : $choice < 0.8 ? pack 'V', int rand 5000
		  : $choice < 0.9 ? pack 'f<', 10**(-30 + rand 60)
		  : chr(ord(substr $$page, $at, 1) ^ 1 << int rand 8);

		$at -= $at % length $bytes;
		substr($$page, $at, length $bytes) = $bytes;
		push @places, "$at=" . unpack 'H*', $bytes;
	}
	return "@places";
}

# Damages a file; returns what was done.
sub damage_file
{
	my ($path) = @_;
	my @done;

	open my $file, '+<:raw', $path or die "could not open $path: $!";
	my $n_blocks = (-s $path) / $BLOCK;

	if (rand() < 0.03)
	{
		my $bytes = int rand($n_blocks * $BLOCK);

		$bytes -= $bytes % $BLOCK if rand() < 0.5;
		truncate $file, $bytes or die "could not truncate $path: $!";
		return "truncated to $bytes bytes";
	}
	foreach my $i (1 .. 1 + int rand 3)
	{
		my $block = rand() < 0.3 ? 0 : int rand $n_blocks;

		seek $file, $block * $BLOCK, 0;
		read $file, my ($page), $BLOCK;
		seek $file, int(rand $n_blocks) * $BLOCK, 0;
		read $file, my ($other_page), $BLOCK;
		push @done, "block $block: " . damage_page(\$page, $block == 0, $other_page);
		seek $file, $block * $BLOCK, 0;
		print $file $page;
	}
	close $file or die "could not write $path: $!";
	return join '; ', @done;
}

# ---- one trial ----

# All that is done with a damaged index.  The REINDEX at the end puts it right.
sub trial_sql
{
	my ($table, $template) = @_;
	my (undef, $operator, undef, $sample) = @$template;
	my $vector = sub { $sample =~ s/\bi\b/$_[0]/r };
	my $nearest = sub {
		"SELECT id FROM $table ORDER BY v $operator " . $vector->($_[0]) . " LIMIT $_[1];\n";
	};

	return qq{
		\\set VERBOSITY verbose
		SET enable_seqscan = off;
		SET enable_sort = off;
		SELECT 'damage found' FROM omenvec_check('${table}_v') LIMIT 1;
		SELECT 'end of check';
		SELECT * FROM omenvec_index_stats('${table}_v');
		SELECT * FROM omenvec_quantization_stats('${table}_v');
	} . join('', map { $nearest->($_, 10) } 1, 5, 300, 1000, 2005) . $nearest->(9, 100000) . qq{
		INSERT INTO $table SELECT i, $sample FROM generate_series(3001, 3010) AS i;
		DELETE FROM $table WHERE id % 11 = 3;
		VACUUM (INDEX_CLEANUP ON) $table;
	} . $nearest->(2005, 10) . qq{
		SELECT omenvec_optimize('${table}_v', true);
		INSERT INTO $table SELECT i, $sample FROM generate_series(3011, 3020) AS i;
		VACUUM (INDEX_CLEANUP ON) $table;
	} . $nearest->(9, 100000) . qq{
		SELECT * FROM omenvec_check('${table}_v');
		REINDEX INDEX ${table}_v;
		SELECT 'drained ' || count(*) FROM
			(SELECT id FROM $table ORDER BY v $operator } . $vector->(1) . qq{) AS s;
		SELECT 'table ' || count(*) FROM $table;
		SELECT 'check ' || c::text FROM omenvec_check('${table}_v') AS c;
	};
}

# Runs a trial; returns what is wrong, or nothing.  Counts errors by code, and
# in how many trials omenvec_check() noticed.
sub trial_problem
{
	my ($table, $template, $codes) = @_;
	my $timed_out = 0;
	my ($status, $out, $err) = $node->psql('postgres', trial_sql($table, $template),
		on_error_stop => 0, timeout => 120, timed_out => \$timed_out);

	return 'endless' if $timed_out;
	if ($status != 0 || $err =~ /server closed the connection|terminating connection/)
	{
		$node->poll_query_until('postgres', 'SELECT true');
		return "crash: $err";
	}
	$codes->{noticed}++ if $out =~ /damage found.*end of check/s || $out !~ /end of check/
	  || $err =~ /\A[^\n]*ERROR/;
	my @errors = $err =~ /(?:ERROR|FATAL|PANIC):\s+(.*)/g;
	foreach my $error (@errors)
	{
		$$codes{ substr $error, 0, 5 }++;
		return "error: $error" unless $error =~ $EXPECTED_ERROR;
	}
	return "vacuum: $1" if $err =~ /(found xmin.*)/;
	return "leak: $1" if $err =~ /(WARNING:.*leak.*)/;
	my ($drained) = $out =~ /^drained (\d+)$/m;
	my ($rows) = $out =~ /^table (\d+)$/m;
	return 'no answer after REINDEX: ' . join '; ', @errors unless defined $drained && defined $rows;
	return "after REINDEX the index gives $drained rows of $rows" if $drained != $rows;
	return "after REINDEX: $1" if $out =~ /^check (.*)$/m;
	return;
}

# ---- trials ----

create_templates();
my (%codes, @problems);

for (my $first = 0; $first < $TRIALS; $first += $BATCH)
{
	my @trials;

	foreach my $i ($first .. $first + $BATCH - 1)
	{
		last if $i >= $TRIALS;
		srand($seed + $i);
		push @trials, { number => $i, name => $WEIGHTED[ rand @WEIGHTED ] };
	}

	# Empty tables, filled with the files of the prepared ones.
	foreach my $trial (@trials)
	{
		my $table = $trial->{table} = "trial_$trial->{number}";

		$node->safe_psql('postgres', "CREATE TABLE $table (LIKE $trial->{name} INCLUDING STORAGE);
			CREATE INDEX ${table}_v ON $table USING omenhnsw (v $TEMPLATES{$trial->{name}}[2])");
		$trial->{files} = [ file_of($table), file_of("${table}_v") ];
	}
	$node->stop;
	foreach my $trial (@trials)
	{
		my $from = $files{ $trial->{name} };

		copy($from->[$_], $trial->{files}[$_]) or die "could not copy $from->[$_]: $!" foreach 0, 1;
		srand($seed + $trial->{number} + 1_000_000);
		$trial->{done} = damage_file($trial->{files}[1]);
	}
	$node->start;
	foreach my $trial (@trials)
	{
		my $problem =
		  trial_problem($trial->{table}, $TEMPLATES{ $trial->{name} }, \%codes);

		push @problems, "trial $trial->{number} ($trial->{name}; $trial->{done}): $problem"
		  if defined $problem;
		if (defined $problem && $problem eq 'endless')
		{
			$node->stop('immediate');
			$node->start;
		}
	}
	$node->safe_psql('postgres', join ';', map { "DROP TABLE $_->{table}" } @trials);
}

note sprintf 'omenvec_check() noticed the damage in %d of %d trials', delete $codes{noticed} // 0, $TRIALS;
note 'errors by code: ' . join ', ', map { "$_ $codes{$_}" } sort keys %codes;
is(join("\n", @problems), '', "$TRIALS trials: damage gives an error at most");
cmp_ok($codes{XX002} // 0, '>', 0, 'damage was found');
my @crashes = grep { /terminated by signal|PANIC|TRAP:/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @crashes), '', 'no crash');

$node->stop;
done_testing();
