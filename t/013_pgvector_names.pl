# A dump of a database that used pgvector loads after two replacements, the
# name of the extension and that of the access method, and answers.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# In the form that pg_dump gives to such a database, written by hand.
sub pgvector_dump
{
	my @classes = (
		[ 'vector', 'v', 'vector', qw(l2 ip cosine l1) ], [ 'halfvec', 'h', 'halfvec', qw(l2 ip cosine l1) ],
		[ 'sparsevec', 's', 'sparsevec', qw(l2 ip cosine l1) ], [ 'bit', 'b', 'bit', qw(hamming jaccard) ]);
	my $dump = <<'END_OF_HEAD';
--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET lock_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: vector; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;


--
-- Name: near(public.vector); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.near(q public.vector) RETURNS SETOF bigint
    LANGUAGE sql STABLE
    AS $$
    SELECT id FROM public.items ORDER BY v OPERATOR(public.<->) q LIMIT 2
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: items; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.items (
    id bigint NOT NULL,
    v public.vector(3),
    h public.halfvec(3),
    s public.sparsevec(5),
    b bit(3),
    "any" public.vector,
    many public.vector[],
    d public.vector(3) DEFAULT '[1,1,1]'::public.vector,
    CONSTRAINT items_check CHECK ((public.vector_norm(v) < (100)::double precision))
);


--
-- Name: summary; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.summary AS
 SELECT public.avg(items.v) AS mean,
    public.sum(items.h) AS total,
    min((items.s OPERATOR(public.<#>) '{1:1}/5'::public.sparsevec)) AS least,
    max((items.v OPERATOR(public.<=>) (items.h)::public.vector)) AS angle
   FROM public.items;


--
-- Data for Name: items; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.items (id, v, h, s, b, "any", many, d) FROM stdin;
1	[1,2,3]	[1,2,3]	{1:1,3:0.5}/5	101	[1]	{"[1,2]",[3]}	[1,1,1]
2	[0.1,-2.5,3e-07]	[0.099975586,-2.5,3.5762787e-07]	{}/5	000	[1,2]	{}	[1,1,1]
3	[4,5,6]	[65504,0,-65504]	{5:-2}/5	111	\N	\N	\N
4	\N	\N	\N	\N	\N	\N	\N
5	[1,2,4]	[1,2,4]	{1:1,3:0.5,4:1}/5	100	[1,2,4]	{NULL,[1]}	[1,2,4]
\.


--
-- Name: items items_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.items
    ADD CONSTRAINT items_pkey PRIMARY KEY (id);


--
-- Name: items_v_btree; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX items_v_btree ON public.items USING btree (v);


END_OF_HEAD

	foreach my $class (@classes)
	{
		my ($type, $column, $prefix, @metrics) = @$class;

		$dump .= "--\n-- Name: items_${type}_$_; Type: INDEX; Schema: public; Owner: -\n--\n\n"
		  . "CREATE INDEX items_${type}_$_ ON public.items USING hnsw ($column public.${prefix}_${_}_ops)"
		  . ($_ =~ /l2|jaccard/ ? " WITH (m='16', ef_construction='64')" : '') . ";\n\n\n"
		  foreach @metrics;
	}
	return $dump . <<'END_OF_TAIL';
--
-- Name: items_bits; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX items_bits ON public.items USING hnsw (((public.binary_quantize(v))::bit(3)) public.bit_hamming_ops);


--
-- Name: items_halves; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX items_halves ON public.items USING hnsw (((v)::public.halfvec(3)) public.halfvec_cosine_ops) WITH (m='8') WHERE (id > 1);


--
-- PostgreSQL database dump complete
--

END_OF_TAIL
}

my $node = new_node('pgvector_names');
my $folder = PostgreSQL::Test::Utils::tempdir();
my $dump = pgvector_dump();

# ---- the two replacements, and nothing else ----

my $n_extension = ($dump =~ s/^(CREATE EXTENSION IF NOT EXISTS) vector /$1 omenvec /mg);
my $n_indexes = ($dump =~ s/ USING hnsw / USING omenhnsw /g);
is($n_extension, 1, 'the extension is renamed');
is($n_indexes, 16, 'the indexes are of omenhnsw');
append_to_file("$folder/items.sql", $dump);
$node->safe_psql('postgres', 'CREATE DATABASE moved');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$folder/items.sql", 'moved' ], 'the dump loads');

# ---- what it answers ----

is($node->safe_psql('moved', 'SELECT * FROM items ORDER BY id'), <<'END_OF_ROWS' =~ s/\n\z//r, 'the rows are as dumped');
1|[1,2,3]|[1,2,3]|{1:1,3:0.5}/5|101|[1]|{"[1,2]",[3]}|[1,1,1]
2|[0.1,-2.5,3e-07]|[0.099975586,-2.5,3.5762787e-07]|{}/5|000|[1,2]|{}|[1,1,1]
3|[4,5,6]|[65504,0,-65504]|{5:-2}/5|111|||
4|||||||
5|[1,2,4]|[1,2,4]|{1:1,3:0.5,4:1}/5|100|[1,2,4]|{NULL,[1]}|[1,2,4]
END_OF_ROWS
is($node->safe_psql('moved', 'SELECT near(\'[1,2,3.6]\')'), "5\n1", 'the function of the dump answers');
is($node->safe_psql('moved', 'SELECT mean, vector_dims(total), least, round(angle::numeric, 3) FROM summary'),
	'[1.525,1.625,3.25]|3|-1|1.161', 'so does the view');

my %queries = (
	"v <-> '[4,5,7]'" => '3|5|1|2|4', "v <#> '[1,1,1]'" => '3|5|1|2|4',
	"v <=> '[0,-1,0]'" => '2|5|1|3|4', "v <+> '[1,2,3]'" => '1|5|2|3|4',
	"h <-> '[1,2,3]'" => '1|5|2|3|4', "h <#> '[0,0,1]'" => '5|1|2|3|4',
	"h <=> '[1,0,-1]'" => '3|2|1|5|4', "h <+> '[1,2,5]'" => '5|1|2|3|4',
	"s <-> '{3:0.4,1:1}/5'" => '1|5|2|3|4', "s <#> '{5:-1,1:0.5,4:1}/5'" => '3|5|1|2|4',
	"s <=> '{4:1,1:0.1}/5'" => '5|1|3|2|4', "s <+> '{5:-1.75}/5'" => '3|2|1|5|4',
	"b <~> B'110'" => '3|5|1|2|4', "b <%> B'101'" => '1|3|5|2|4');

my %columns = (v => 'vector', h => 'halfvec', s => 'sparsevec', b => 'bit');
my %metrics = ('<->' => 'l2', '<#>' => 'ip', '<=>' => 'cosine', '<+>' => 'l1', '<~>' => 'hamming', '<%>' => 'jaccard');
my $by_index = 'SET enable_seqscan = off;';

foreach my $query (sort keys %queries)
{
	my ($column, $operator) = split / /, $query;
	my $statement = "SELECT id FROM (SELECT id, $query AS d FROM items ORDER BY $query LIMIT 10) AS s ORDER BY d, id";

	is($node->safe_psql('moved', "$by_index $statement") =~ s/\n/|/gr, $queries{$query}, "ORDER BY $query");
	like($node->safe_psql('moved', "$by_index EXPLAIN $statement"), qr/Index Scan using items_$columns{$column}_$metrics{$operator} /,
		'by the index of the dump');
}

# ---- and it is dumped again as it was ----

my ($out, $err) = run_command([ 'pg_dump', '--no-owner', '-d', $node->connstr('moved') ]);
is($err, '', 'pg_dump');
# but for the names of operator classes that are the default, which pg_dump leaves out
my @defaults = split /\n/, $node->safe_psql('moved',
	q{SELECT opcname FROM pg_opclass JOIN pg_am AS a ON a.oid = opcmethod WHERE opcdefault AND amname = 'omenhnsw'});
my $default = join('|', map { quotemeta } @defaults) || 'none';
my @indexes = map { s/ public\.(?:$default)\)/)/r } $dump =~ /^CREATE INDEX .*$/mg;
my %again = map { $_ => 1 } split /\n/, $out;
is(join("\n", grep { !$again{$_} } @indexes), '', 'the definitions of the indexes come back');
my ($data) = $dump =~ /^(COPY public\.items .*?^\\\.$)/ms;
my ($data_again) = $out =~ /^(COPY public\.items .*?^\\\.$)/ms;
is($data_again, $data, 'and the data');

$node->stop;
done_testing();
