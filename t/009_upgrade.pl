# Every version of the extension can be updated to the default one, and what
# comes of it is the same, object by object, as what a fresh install makes.
#
# Versions are those that the server offers, so a new one is covered as soon
# as its scripts are installed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Each row of the system catalogs that belongs to the extension, but for OIDs:
# those that refer to objects appear as the names of these.
my $describe_catalog = q{
	SET search_path = pg_catalog;
	CREATE TEMP TABLE member AS
	SELECT classid, objid, objsubid,
		(pg_identify_object(classid, objid, objsubid)).type || ' ' ||
		(pg_identify_object(classid, objid, objsubid)).identity AS identity
	FROM pg_depend
	WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omenvec');

	CREATE TEMP TABLE description AS
	SELECT identity, 'comment' AS what, obj_description(objid, classid::regclass::name) AS value
	FROM member
	UNION ALL
	SELECT identity, 'type', concat_ws(' ', typlen, typbyval, typtype, typcategory, typispreferred, typdelim,
		typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze, typsubscript,
		typalign, typstorage, typcollation, typelem::regtype, typarray::regtype, typdefault)
	FROM member JOIN pg_type AS t ON classid = 'pg_type'::regclass AND t.oid = objid
	UNION ALL
	SELECT identity, 'function', concat_ws(' ', pg_get_function_arguments(p.oid), '->', pg_get_function_result(p.oid),
		lanname, prokind, provolatile, proparallel, 'strict', proisstrict, 'leakproof', proleakproof, 'definer', prosecdef,
		'cost', procost, 'rows', prorows, 'support', prosupport, prosrc, probin, 'config', proconfig, pg_get_function_sqlbody(p.oid))
	FROM member JOIN pg_proc AS p ON classid = 'pg_proc'::regclass AND p.oid = objid
		JOIN pg_language AS l ON l.oid = prolang
	UNION ALL
	SELECT identity, 'aggregate', concat_ws(' ', aggkind, aggnumdirectargs, aggtransfn, aggfinalfn, aggcombinefn, aggserialfn,
		aggdeserialfn, aggmtransfn, aggminvtransfn, aggmfinalfn, aggfinalextra, aggfinalmodify, aggsortop::regoperator,
		aggtranstype::regtype, aggtransspace, agginitval)
	FROM member JOIN pg_aggregate AS a ON classid = 'pg_proc'::regclass AND a.aggfnoid = objid
	UNION ALL
	SELECT identity, 'operator', concat_ws(' ', oprcode, oprresult::regtype, 'com', oprcom::regoperator, 'neg', oprnegate::regoperator,
		'restrict', oprrest, 'join', oprjoin, 'merge', oprcanmerge, 'hash', oprcanhash)
	FROM member JOIN pg_operator AS o ON classid = 'pg_operator'::regclass AND o.oid = objid
	UNION ALL
	SELECT identity, 'cast', concat_ws(' ', castfunc::regprocedure, castcontext, castmethod)
	FROM member JOIN pg_cast AS c ON classid = 'pg_cast'::regclass AND c.oid = objid
	UNION ALL
	SELECT identity, 'operator class', concat_ws(' ', opcintype::regtype, opcdefault, opckeytype::regtype,
		(pg_identify_object('pg_opfamily'::regclass, opcfamily, 0)).identity)
	FROM member JOIN pg_opclass AS c ON classid = 'pg_opclass'::regclass AND c.oid = objid
	UNION ALL
	SELECT identity, 'operator of the family', concat_ws(' ', amopstrategy, amoppurpose, amopopr::regoperator,
		(pg_identify_object('pg_opfamily'::regclass, nullif(amopsortfamily, 0), 0)).identity)
	FROM member JOIN pg_amop AS a ON classid = 'pg_opfamily'::regclass AND amopfamily = objid
	UNION ALL
	SELECT identity, 'function of the family', concat_ws(' ', amprocnum, amproclefttype::regtype, amprocrighttype::regtype,
		amproc::regprocedure)
	FROM member JOIN pg_amproc AS a ON classid = 'pg_opfamily'::regclass AND amprocfamily = objid
	UNION ALL
	SELECT identity, 'access method', concat_ws(' ', amhandler, amtype)
	FROM member JOIN pg_am AS a ON classid = 'pg_am'::regclass AND a.oid = objid;

	SELECT concat_ws(' | ', identity, what, coalesce(value, 'NULL')) FROM description ORDER BY 1;
};

# The extension as a new database has it, by commands that make it; or the
# errors of these.
my $n_databases = 0;

sub catalog_after
{
	my ($node, @commands) = @_;
	my $dbname = 'version_' . ++$n_databases;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	my (undef, $catalog, $errors) = $node->psql($dbname, join('', map { "$_;\n" } @commands) . $describe_catalog);
	return "$catalog$errors";
}

# Lines of which the one has more than the other.
sub differences
{
	my ($got, $expected) = @_;
	my %balance;

	$balance{$_}++ foreach split /\n/, $got;
	$balance{$_}-- foreach split /\n/, $expected;
	return join "\n", map { ($balance{$_} > 0 ? '+ ' : '- ') . $_ } grep { $balance{$_} } sort keys %balance;
}

my $node = new_node('upgrade');
my $default = $node->safe_psql('postgres',
	q{SELECT default_version FROM pg_available_extensions WHERE name = 'omenvec'});
my @versions = split /\n/, $node->safe_psql('postgres',
	q{SELECT version FROM pg_available_extension_versions WHERE name = 'omenvec' ORDER BY version});

# ---- what a fresh install has ----

my $fresh = catalog_after($node, 'CREATE EXTENSION omenvec');
my %n_described;

$n_described{$_}++ foreach map { (split / \| /)[1] } split /\n/, $fresh;
foreach my $what ('comment', 'type', 'function', 'aggregate', 'operator', 'cast', 'operator class',
	'operator of the family', 'function of the family', 'access method')
{
	cmp_ok($n_described{$what} // 0, '>', 0, "the comparison covers each $what");
}
is(differences(catalog_after($node, 'CREATE EXTENSION omenvec'), $fresh), '', 'two fresh installs are equal');
isnt(differences(catalog_after($node, 'CREATE EXTENSION omenvec',
			'ALTER FUNCTION hamming_distance(bit, bit) COST 4'), $fresh),
	'', 'a difference would be seen');

# ---- each version, updated ----

ok((grep { $_ eq $default } @versions), "default version $default can be installed");
foreach my $version (@versions)
{
	my @update = $version eq $default ? () : ("ALTER EXTENSION omenvec UPDATE TO '$default'");

	is(differences(catalog_after($node, "CREATE EXTENSION omenvec VERSION '$version'", @update), $fresh),
		'', @update ? "version $version updated to $default is as $default" : "version $version by name is the default");
	is($node->safe_psql("version_$n_databases", q{SELECT extversion FROM pg_extension WHERE extname = 'omenvec'}),
		$default, "and says that it is $default");
	my (undef, $answer) = $node->psql("version_$n_databases", q{
			CREATE TABLE items (v vector(3));
			INSERT INTO items VALUES ('[1,2,3]');
			CREATE INDEX ON items USING omenhnsw (v vector_l2_ops);
			SET enable_seqscan = off;
			SELECT v = '[1,2,3]' FROM items ORDER BY v <-> '[1,2,4]' LIMIT 1});
	is($answer, 't', 'and works');
}

# ---- the scripts between versions ----

is($node->safe_psql('postgres', qq{
		SELECT source FROM pg_extension_update_paths('omenvec')
		WHERE target = '$default' AND path IS NULL ORDER BY 1}),
	'', "from each version a path leads to $default");

my $script_folder = `pg_config --sharedir`;
chomp $script_folder;
my %paths = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', qq{
	SELECT path FROM pg_extension_update_paths('omenvec') WHERE target = '$default' AND path IS NOT NULL});
my @steps = map { m{/omenvec--(.+?)--(.+)\.sql$} ? "$1--$2" : () }
  glob("$script_folder/extension/omenvec--*.sql"), glob("$FindBin::RealBin/../install/omenvec--*.sql");
my %unused = map { $_ => 1 } @steps;

foreach my $path (keys %paths)
{
	my @stops = split /--/, $path;

	delete $unused{"$stops[$_]--$stops[ $_ + 1 ]"} foreach 0 .. $#stops - 1;
}
is(join(' ', sort keys %unused), '', 'each script between two versions is part of a path to the default');
is(join(' ', grep { !-e "$script_folder/extension/omenvec--$_.sql" } @steps), '',
	'and each of the sources is installed');

$node->stop;
done_testing();
