# docs/reference.md and the catalogue agree: the page names every type,
# function, operator, operator class, option and setting that there is, in
# code quotes, and none that is not.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Parts that nobody calls, of which the page need not speak: functions of
# types' input and output, of casts, of aggregates' and operator classes'
# insides are found by what refers to them, not by their names.
my $inner_functions = q{
	SELECT unnest(ARRAY[typinput, typoutput, typreceive, typsend, typmodin, typmodout]::oid[]) FROM pg_type
	UNION SELECT castfunc FROM pg_cast
	UNION SELECT unnest(ARRAY[aggtransfn, aggfinalfn, aggcombinefn]::oid[]) FROM pg_aggregate AS a
		WHERE aggfnoid IN (SELECT objid FROM member) AND aggtransfn::text NOT LIKE '%accum'
	UNION SELECT amproc FROM pg_amproc
	UNION SELECT amhandler FROM pg_am};

my $members = q{
	SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omenvec')};

my $node = new_node('reference');
my $page = slurp_file("$FindBin::RealBin/../docs/reference.md");

sub names
{
	my ($query) = @_;

	return split /\n/, $node->safe_psql('postgres', "LOAD 'omenvec'; WITH member AS ($members) $query ORDER BY 1");
}

# ---- the page's words ----

# Code between backquotes; a cell of a table writes \| for |.
(my $prose = $page) =~ s/^```.*?^```$//msg;
my @quoted = map { s/\\\|/|/gr } $prose =~ /`([^`]+)`/g;
my %said = map { $_ => 1 } @quoted;

# Names in code, also those of calls, such as avg in `avg(v)`.
$said{$_} = 1 foreach map { /[\w.]+/g } @quoted;

# `vector_lt`, `_le` and `halfvec_…`: endings that hold for each type, and types
# for which the names given so far hold too.
foreach my $name (@quoted)
{
	if ($name =~ /^(?:…)?(_\w+)$/)
	{
		my $ending = $1;
		$said{"$_$ending"} = 1 foreach 'vector', 'halfvec', 'sparsevec';
	}
	elsif ($name =~ /^(halfvec|sparsevec)_…$/)
	{
		my $type = $1;
		my @names = grep { /^vector_\w+$/ } keys %said;
		$said{ s/^vector/$type/r } = 1 foreach @names;
	}
}

sub all_are_said
{
	my ($what, @names) = @_;

	cmp_ok(scalar @names, '>', 0, "there are $what");
	is(join(' ', grep { !$said{$_} } @names), '', "all $what are in the reference");
}

# ---- all that there is, is on the page ----

all_are_said('types', names(q{
	SELECT typname FROM member JOIN pg_type AS t ON classid = 'pg_type'::regclass AND t.oid = objid WHERE typcategory <> 'A'}));
all_are_said('functions and aggregates', names(qq{
	SELECT DISTINCT proname FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
	WHERE p.oid NOT IN ($inner_functions)}));
all_are_said('operators', names(q{
	SELECT DISTINCT oprname FROM member JOIN pg_operator AS o ON classid = 'pg_operator'::regclass AND o.oid = objid}));
all_are_said('operator classes', names(q{
	SELECT DISTINCT opcname FROM member JOIN pg_opclass AS c ON classid = 'pg_opclass'::regclass AND c.oid = objid}));
all_are_said('settings', names(q{SELECT name FROM pg_settings WHERE name LIKE 'omen%'}));

my @options = $prose =~ /^### Options\n(.*?)^###? /ms ? $1 =~ /^\| `(\w+)` \|/mg : ();
my %limits = map { $_->[0] => [ $_->[1], $_->[2] ] } map { [ /^\| `(\w+)` \| \d+ \| (\d+)–([\d,]+)/ ] } grep { /^\| `\w+` \| \d+ \| \d+–/ } split /\n/, $prose;
$node->safe_psql('postgres', q{
	CREATE TABLE items (v vector(3));
	CREATE FUNCTION is_option(name text) RETURNS boolean LANGUAGE plpgsql AS $$
	BEGIN
		EXECUTE format('CREATE INDEX ON items USING omenhnsw (v vector_l2_ops) WITH (%I = no_number)', name);
		RETURN true;
	EXCEPTION WHEN OTHERS THEN
		RETURN SQLERRM !~ 'unrecognized parameter';
	END $$;
});
foreach my $option (@options)
{
	if ($prose =~ /^\| `$option` \| (?:on|off) \| on, off \|/m)
	{
		my (undef, undef, $wrong) = $node->psql('postgres',
			"CREATE INDEX ON items USING omenhnsw (v vector_l2_ops) WITH ($option = 2)");

		like($wrong, qr/invalid value for boolean option "$option": 2/, "option $option is on or off");
		next;
	}
	if ($prose =~ /^\| `$option` \| [a-z_]+ \| ([a-z_]+(?:, [a-z_]+)*) \|/m)
	{
		my $values = join '|', split /, /, $1;
		my (undef, undef, $wrong) = $node->psql('postgres',
			"CREATE INDEX ON items USING omenhnsw (v vector_l2_ops) WITH ($option = no_such_value)");

		like($wrong, qr/invalid value for enum option "$option": no_such_value\nDETAIL:  Valid values are (?:(?:,? and |, )?"(?:$values)")+\.$/m,
			"option $option has the values of the reference");
		next;
	}
	my ($least, $most) = map { tr/,//dr } @{ $limits{$option} // [ 0, 0 ] };
	my (undef, undef, $below) = $node->psql('postgres',
		'CREATE INDEX ON items USING omenhnsw (v vector_l2_ops) WITH (' . $option . ' = ' . ($least - 1) . ')');

	like($below, qr/out of bounds for option "$option"\nDETAIL:  Valid values are between "$least" and "$most"/,
		"option $option has the bounds of the reference");
}
is(join(' ', sort @options), join(' ', known_options()), 'the reference has the options that there are');

# Options have no catalogue: each word that stands in the library is tried.
sub known_options
{
	my $library = slurp_file($node->config_data('--pkglibdir') . '/omenvec.so');
	my %words = map { $_ => 1 } $library =~ /(?<=\0)([a-z][a-z_]{0,30})(?=\0)/g;

	return names("SELECT word FROM unnest(ARRAY['" . join("','", keys %words) . q{']) AS word WHERE is_option(word)});
}

# Ranges and defaults of settings
my %settings = map { my ($name, @values) = split /\|/, $_; ($name => \@values) }
  names(q{SELECT name, boot_val, min_val, max_val FROM pg_settings WHERE name LIKE 'omen%'});
foreach my $name (sort keys %settings)
{
	my ($default, $range) = $prose =~ /^\| `\Q$name\E` \| (\S+) \| ([^|]+) \|/m;
	my ($boot, $least, $most) = @{ $settings{$name} };

	is($default, $boot, "default of $name");
	next if !defined $least || $least eq '';
	$range =~ tr/,//d;
	$range =~ s/2³¹-1/2147483647/;
	like($range, qr/^(?:-1 *)?\Q$least\E\b.*–\Q$most\E$|^\Q$least\E–\Q$most\E$/, "range of $name");
}

# ---- and nothing else ----

my %exists = map { $_ => 1 } names(q{
	SELECT proname FROM pg_proc UNION SELECT typname FROM pg_type UNION SELECT opcname FROM pg_opclass
	UNION SELECT amname FROM pg_am UNION SELECT extname FROM pg_extension UNION SELECT name FROM pg_settings
	UNION SELECT rolname FROM pg_roles});
my %columns = map { $_ => 1 } names(q{
	SELECT unnest(proargnames) FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid});
my @calls = $page =~ /\b([a-z]\w*)\(/g;
my @ours = $page =~ /\b((?:omen|vector_|halfvec_|sparsevec_|bit_)[\w.]*\w)/g;
my %unknown = map { $_ => 1 } grep { !$exists{$_} && !$columns{$_} && $_ ne 'halfvec_' } @ours,
  grep { !/^(?:bit|numeric|decimal|substring|char)$/ } @calls;

is(join(' ', sort keys %unknown), '', 'what the reference names exists');

# Its examples run, and the rows in the comments come out.
my $n_examples = 0;
while ($page =~ /^```sql\n(.*?)^```$/msg)
{
	my $example = $1;
	next if $example =~ /\[CONCURRENTLY\]|\bitems\b/;
	while ($example =~ /^(SELECT[^;]*;)\n((?:--  .*\n)+)/mg)
	{
		my ($statement, $rows) = ($1, $2);
		my $expected = $rows =~ s/^--  //mgr =~ s/ \| /|/gr =~ s/\n\z//r;

		is($node->safe_psql('postgres', $statement), $expected, $statement);
		$n_examples++;
	}
}
cmp_ok($n_examples, '>=', 5, 'examples were run');

$node->stop;
done_testing();
