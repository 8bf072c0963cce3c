# Each kind of damage that omenvec_check() knows, and each that a query or a
# writer may meet, one at a time: the check says what it is, and statements end
# in an error that says so, or give rows that are right in themselves.
# t/006_damage.pl throws dice; here a check that is taken away is missed.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use File::Copy;
use OmenPages;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $BLOCK = 8192;
my $node = new_node('damage_each',
	settings => { restart_after_crash => 'on', shared_buffers => "'32MB'", statement_timeout => "'20s'" });

# ---- what is copied ----

# type, operator class, and the query's operator and vector
my %TEMPLATES = (
	dense => [ 'vector(16)', 'vector_l2_ops', 'v <-> sample_vector(7, 2)', q{
		INSERT INTO dense SELECT i, sample_vector(i, 2) FROM generate_series(1, 1500) AS i;
		INSERT INTO dense SELECT i, sample_vector(1, 2) FROM generate_series(1501, 1520) AS i;
		INSERT INTO dense SELECT i, NULL FROM generate_series(1601, 1610) AS i;
		CREATE INDEX dense_v ON dense USING omenhnsw (v vector_l2_ops);
		DELETE FROM dense WHERE id % 20 = 0;
		VACUUM (INDEX_CLEANUP ON) dense;
		INSERT INTO dense SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2400) AS i;
	} ],
	cosine => [ 'vector(16)', 'vector_cosine_ops', 'v <=> sample_vector(7, 2)', q{
		INSERT INTO cosine SELECT i, sample_vector(i, 2) FROM generate_series(1, 1100) AS i;
		INSERT INTO cosine SELECT i, array_fill(0, ARRAY[16])::vector FROM generate_series(1101, 1110) AS i;
		CREATE INDEX cosine_v ON cosine USING omenhnsw (v vector_cosine_ops);
	} ],
	refined => [ 'vector(16)', 'vector_ip_ops', 'v <#> sample_vector(7, 2)', q{
		INSERT INTO refined SELECT i, sample_vector(i, 2) FROM generate_series(1, 1100) AS i;
		CREATE INDEX refined_v ON refined USING omenhnsw (v vector_ip_ops) WITH (refine = scalar);
		INSERT INTO refined SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2100) AS i;
	} ],
	sketched => [ 'vector(16)', 'vector_l2_ops', 'v <-> sample_vector(7, 2)', q{
		INSERT INTO sketched SELECT i, sample_vector(i, 2) FROM generate_series(1, 1500) AS i;
		CREATE INDEX sketched_v ON sketched USING omenhnsw (v vector_l2_ops) WITH (quantization = low_bit);
	} ],
	sparse => [ 'sparsevec(4000)', 'sparsevec_l2_ops', 'v <-> sample_sparse(7)', q{
		INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(1, 1150) AS i;
		CREATE INDEX sparse_v ON sparse USING omenhnsw (v sparsevec_l2_ops);
		INSERT INTO sparse SELECT i, sample_sparse(i) FROM generate_series(2001, 2100) AS i;
	} ],
	attributes => [ 'vector(16)', "vector_l2_ops, (id % 40), ('w' || id % 60)", 'v <-> sample_vector(7, 2)', q{
		INSERT INTO attributes SELECT i, sample_vector(i, 2) FROM generate_series(1, 1200) AS i;
		INSERT INTO attributes SELECT i, sample_vector(1, 2) FROM generate_series(1201, 1220) AS i;
		CREATE INDEX attributes_v ON attributes USING omenhnsw (v vector_l2_ops, (id % 40), ('w' || id % 60));
		INSERT INTO attributes SELECT i, sample_vector(i, 2) FROM generate_series(2001, 2050) AS i;
	} ],
	long => [ 'vector(9600)', 'vector_ip_ops', 'v <#> sample_vector(7, 1200)', q{
		INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(1, 12) AS i;
		CREATE INDEX long_v ON long USING omenhnsw (v vector_ip_ops);
		INSERT INTO long SELECT i, sample_vector(i, 1200) FROM generate_series(21, 23) AS i;
	} ]);
my %files;

sub file_of
{
	my ($relation) = @_;
	return $node->data_dir . '/' . $node->safe_psql('postgres', "SELECT pg_relation_filepath('$relation')");
}

# ---- kinds of damage ----

# Changes a number of a struct.
sub change
{
	my ($f, $at, $type, $path, $code) = @_;
	local $_ = $f->get($at, $type, $path);
	$f->set($at, $type, $path, $code->());
}

sub set_entry { my ($path, $code) = @_; return sub { my ($f) = @_; my $g = $f->entry('GRAPH');
	local $_ = $f->seg($g, $path); $f->set_seg($g, $path, $code->()) } }
sub set_tail { my ($path, $code) = @_; return sub { my ($f) = @_; my $t = $f->entry('TAIL');
	local $_ = $f->seg($t, $path); $f->set_seg($t, $path, $code->()) } }
sub set_meta { my ($path, $code) = @_; return sub { my ($f) = @_;
	local $_ = $f->meta($path); $f->set_meta($path, $code->()) } }

# A TID entry of the first graph: set_tid(sub { number }, member, value).
sub set_tid
{
	my ($which, $member, $code) = @_;
	return sub {
		my ($f) = @_;
		my $g = $f->entry('GRAPH');

		change($f, $f->body($g, 'TIDS', $which->($f, $g)), 'OmenTidEntry', $member, $code);
	};
}

# The first node with a list of TIDs, and that list.
sub listed_node
{
	my ($f, $g) = @_;
	foreach my $i (0 .. $f->seg($g, 'n_nodes') - 1)
	{
		return $i if $f->get($f->body($g, 'TIDS', $i), 'OmenTidEntry', 'kind') == OmenPages::define('OMEN_TID_LIST');
	}
	die 'no list';
}
sub list_of_node { my ($f, $g) = @_; return $f->get($f->body($g, 'TIDS', listed_node(@_)), 'OmenTidEntry', 'block') }
sub null_list { my ($f, $g) = @_; return $f->seg($g, 'null_list') }

# Numbers of a record: which of them, for all records or one.
sub set_links
{
	my ($first, $last, $code) = @_;
	return sub {
		my ($f) = @_;
		my $g = $f->entry('GRAPH');

		$last = $f->seg($g, 'n_nodes') - 1 if $last eq 'last';
		foreach my $node ($first .. $last)
		{
			my $at = $f->body($g, 'NODES', $node);
			my @links = unpack 'V*', $f->read_bytes($at, 8 * $f->meta('m'));

			$code->(\@links, $node);
			$f->write_bytes($at, pack 'V*', @links);
		}
	};
}

# The number behind the factors of records of CENTRES or SAMPLES.
sub set_routing
{
	my ($column, $first, $last, $value) = @_;
	return sub {
		my ($f) = @_;
		my $g = $f->entry('GRAPH');

		$last = $f->seg($g, $column eq 'CENTRES' ? 'n_centres' : 'n_samples') - 1 if $last eq 'last';
		foreach my $i ($first .. $last)
		{
			my ($head) = $f->record($g, $column, $i);

			$f->write_bytes($head + $f->meta('factor_bytes'), pack 'V', $value);
		}
	};
}

# The page of a column, or of the tail: change(file, offset of the page).
sub page_of
{
	my ($column, $i, $code) = @_;
	return sub {
		my ($f) = @_;
		$code->($f, $column eq 'TAIL' ? $f->block($f->entry('TAIL'), $i)
			: $f->column_block($f->entry('GRAPH'), $column, $i));
	};
}

sub stamp { my ($member, $value) = @_; return sub { my ($f, $page) = @_;
	$f->set($page + 24, 'OmenPageStamp', $member, $value) } }
sub trailer { my ($member, $value) = @_; return sub { my ($f, $page) = @_;
	$f->set(OmenPages::trailer($page), 'OmenPageTrailer', $member, $value) } }

# The first row of a page of the tail; the number of its code's bytes, where that varies, follows the header.
sub set_row { my ($member, $value) = @_; return page_of('TAIL', 0, sub { my ($f, $page) = @_;
	$f->set($page + OmenPages::page_start(), 'OmenRowHeader', $member, $value) }) }
sub set_code_bytes { my ($value) = @_; return page_of('TAIL', 0, sub { my ($f, $page) = @_;
	$f->write_bytes($page + OmenPages::page_start() + 8, pack 'V', $value) }) }

# Where the code of nodes lies in BYTES.
sub set_code_ref
{
	my ($first, $last, $member, $code) = @_;
	return sub {
		my ($f) = @_;
		my $g = $f->entry('GRAPH');

		$last = $f->seg($g, 'n_nodes') - 1 if $last eq 'last';
		change($f, $f->body($g, 'CODES', $_), 'OmenStoredRef', $member, $code) foreach $first .. $last;
	};
}

# Attributes of the first graph, whose bytes are one range: of a struct in it, and of one of an attribute's parts.
my @ATTRIBUTE_HEADERS = map { OmenPages::struct_bytes($_) } qw(OmenStoredAttributes OmenStoredAttribute);
sub attribute_place { my ($f, $offset) = @_; my $chunk = OmenPages::define('OMEN_CHUNK_BYTES');
	return $f->body($f->entry('GRAPH'), 'ATTRIBUTES', int($offset / $chunk)) + $offset % $chunk }
sub set_attributes { my ($member, $code) = @_; return sub { my ($f) = @_;
	change($f, attribute_place($f, 0), 'OmenStoredAttributes', $member, $code) } }
sub set_attribute { my ($i, $member, $code) = @_; return sub { my ($f) = @_;
	change($f, attribute_place($f, $ATTRIBUTE_HEADERS[0] + $i * $ATTRIBUTE_HEADERS[1]), 'OmenStoredAttribute', $member, $code) } }

# Overwrites $bytes bytes of a part, from its $at-th on, with what the code makes of them.
sub set_part
{
	my ($i, $part, $at, $bytes, $code) = @_;
	return sub {
		my ($f) = @_;
		my $start = $part eq 'owners' ? $f->get(attribute_place($f, 0), 'OmenStoredAttributes', $part)
		  : $f->get(attribute_place($f, $ATTRIBUTE_HEADERS[0] + $i * $ATTRIBUTE_HEADERS[1]), 'OmenStoredAttribute', $part);
		local $_ = $f->read_bytes(attribute_place($f, $start + $at), $bytes);

		$f->write_bytes(attribute_place($f, $start + $at), $code->());
	};
}

my $NOTHING = qr/^$/;
my $META_DAMAGED = qr/metapage of index .* is damaged/;
my $UNEXPECTED = qr/unexpected page at block/;
my $FAR = 2**31 - 2;

# name, template, damage, what omenvec_check() says or raises, what a query raises (unset: nothing or damage)
my @CASES = (
	# the metapage
	[ 'magic', 'dense', set_meta('magic', sub { 1 }), qr/does not begin with an omenhnsw metapage/, qr/does not begin/ ],
	[ 'version too old', 'dense', set_meta('version', sub { 0 }), qr/has format version 0/, qr/has format version 0/ ],
	[ 'version too new', 'dense', set_meta('min_version', sub { 999 }), qr/has format version/, qr/has format version/ ],
	[ 'm', 'dense', set_meta('m', sub { 0 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'other m', 'dense', set_meta('m', sub { 17 }), qr/column \d+ has \d+ blocks from \d+ on for/, qr/directory of index .* is damaged/ ],
	[ 'code bytes', 'dense', set_meta('code_bytes', sub { 0 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'other code bytes', 'dense', set_meta('code_bytes', sub { $_ + 16 }), qr/column \d+ has/, qr/unexpected size/ ],
	[ 'factor bytes', 'dense', set_meta('factor_bytes', sub { 300 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'dimensions', 'dense', set_meta('dims', sub { 15 }), qr/metapage says 15 dimensions, the column has 16/, qr/does not match/ ],
	[ 'metric', 'dense', set_meta('metric', sub { $_ + 1 }), undef, qr/does not match/ ],
	[ 'number of segments', 'dense', set_meta('n_segments', sub { 9999 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'end of the index', 'dense', set_meta('end_block', sub { $_ + 1000 }), qr/directory ends at block \d+, the file at/ ],
	[ 'end before the segments', 'dense', set_meta('end_block', sub { 3 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'page header of the metapage', 'dense', sub { $_[0]->write_bytes(16, pack 'v', 100) }, qr/invalid page|does not begin/, qr/invalid page|does not begin/ ],

	# entries of the directory
	[ 'number of a segment', 'dense', set_entry('id', sub { 0 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'kind', 'dense', set_entry('kind', sub { 7 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'state', 'dense', set_entry('state', sub { 9 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'open graph', 'dense', set_entry('state', sub { OmenPages::define('OMEN_STATE_OPEN') }), qr/state 2 does not go with kind 1/ ],
	[ 'a graph as a tail', 'dense', set_entry('kind', sub { OmenPages::define('OMEN_SEGMENT_TAIL') }), qr/is indexed|rows lie|open tails|beyond the page|page has|unused|missing|^$/ ],
	[ 'one segment twice', 'dense', sub { my ($f) = @_; $f->set_seg($f->entry('TAIL'), 'id', $f->seg($f->entry('GRAPH'), 'id')) },
		qr/is in the directory twice/ ],
	[ 'number of runs', 'dense', set_entry('n_runs', sub { 9 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'run beyond the end', 'dense', set_entry('runs[0].start', sub { 100000 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'run without blocks', 'dense', set_entry('runs[0].n_blocks', sub { 0 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'blocks of the segment', 'dense', set_entry('n_blocks', sub { $_ + 1 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'runs in a circle', 'dense', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');
			my ($start, $n) = map { $f->seg($g, "runs[0].$_") } qw(start n_blocks);
			my $half = int($n / 2);

			$f->set_seg($g, 'n_runs', 2);
			$f->set_seg($g, 'runs[0].n_blocks', $half);
			$f->set_seg($g, 'runs[1].start', $start);
			$f->set_seg($g, 'runs[1].n_blocks', $n - $half);
		}, qr/block \d+ belongs to segment \d+ and to segment/, $UNEXPECTED ],
	[ 'run over another segment', 'dense', sub { my ($f) = @_; $f->set_seg($f->entry('TAIL'), 'runs[0].start', $f->seg($f->entry('GRAPH'), 'runs[0].start')) },
		qr/belongs to segment/ ],
	[ 'column beyond the segment', 'dense', set_entry('columns[0].n_blocks', sub { 10000 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'blocks of a column', 'dense', set_entry('columns[1].n_blocks', sub { $_ - 1 }), qr/column 2 has \d+ blocks/, qr/directory of index .* is damaged/ ],
	[ 'columns over each other', 'dense', set_entry('columns[1].first_block', sub { 0 }), qr/column 2 has \d+ blocks from 0/, $UNEXPECTED ],
	[ 'more nodes than entries', 'dense', set_entry('n_nodes', sub { 3000 }), qr/impossible counts: 3000 nodes/, qr/directory of index .* is damaged/ ],
	[ 'more dead than rows', 'dense', set_entry('n_dead', sub { 5000 }), qr/impossible counts: .* 5000 of them dead/ ],
	[ 'dead rows', 'dense', set_entry('n_dead', sub { $_ + 1 }), qr/directory says \d+ dead rows, but only \d+ are marked/ ],
	[ 'rows', 'dense', set_entry('n_rows', sub { $_ - 1 }), qr/directory says \d+ rows, there are/ ],
	[ 'rows beyond all pages', 'dense', set_entry('n_rows', sub { 2**30 }), $META_DAMAGED, $META_DAMAGED ],
	[ 'recall that falls', 'dense', set_entry('curve.recall[5]', sub { 1 }), qr/recall measured falls where the beam widens/, $NOTHING ],
	[ 'recall of a class', 'dense', set_entry('curve.recall[23]', sub { 0 }), qr/recall measured falls where the beam widens/, $NOTHING ],
	[ 'limits of classes', 'dense', set_entry('curve.limits[1]', sub { 0xFF800000 }), qr/or its limits do not ascend/, $NOTHING ],
	[ 'no samples', 'dense', set_entry('n_samples', sub { 0 }), qr/impossible counts: .* 0 routing samples/, qr/directory of index .* is damaged/ ],
	[ 'chunks', 'sparse', set_entry('n_chunks', sub { 2**31 }), qr/impossible count: \d+ chunks/, qr/directory of index .* is damaged/ ],
	[ 'list of nulls among the nodes', 'dense', set_entry('null_list', sub { 3 }), qr/list of NULL vectors begins at TID entry 3/, qr/list of TIDs in segment/ ],
	[ 'list of nulls beyond the end', 'dense', set_entry('null_list', sub { 90000 }), qr/list of NULL vectors begins at TID entry 90000/, qr/refers to record 90000/ ],
	[ 'list of zero vectors', 'cosine', set_entry('undirected_list', sub { 90000 }), qr/list of zero vectors begins/, qr/refers to record 90000/ ],
	[ 'shared list', 'dense', sub { my ($f) = @_; my $g = $f->entry('GRAPH'); $f->set_seg($g, 'undirected_list', $f->seg($g, 'null_list')) },
		qr/list at TID entry \d+ is used twice/ ],
	[ 'file too short', 'dense', sub { my ($f) = @_; $f->truncate_blocks($f->n_blocks - 20) }, qr/directory ends at block|could not read block/ ],

	# attributes
	[ 'attributes of the index', 'attributes', set_meta('n_attributes', sub { 1 }), qr/1 attributes, but the index has 2/ ],
	[ 'attributes of a segment', 'attributes', set_attributes('n_attributes', sub { 7 }), qr/7 attributes of \d+ bytes where the index has 2/ ],
	[ 'bytes of attributes', 'attributes', set_attributes('n_bytes', sub { $_ + 100_000 }), qr/2 attributes of \d+ bytes where/ ],
	[ 'checksum of attributes', 'attributes', set_attributes('checksum', sub { $_ ^ 1 }), qr/checksum of the attributes is/, $NOTHING ],
	[ 'place of the owners', 'attributes', set_attributes('owners', sub { $_ + 4 }), qr/owners of \d+ TID entries from byte/ ],
	[ 'an owner', 'attributes', set_part(0, 'owners', 8, 4, sub { pack 'V', 77 }), qr/TID entry \d+ is said to be of node 77, but is of/ ],
	(map { my ($member, $code, $i) = @$_;
		[ "attribute with other $member", 'attributes', set_attribute($i, $member, $code), qr/column @{[ $i + 2 ]} is described by impossible numbers/ ] }
		[ n_values => sub { 5000 }, 0 ], [ rank_bytes => sub { 3 }, 0 ], [ value_bytes => sub { 4 }, 0 ], [ value_bytes => sub { 4 }, 1 ],
		[ values => sub { $_ + 4 }, 0 ], [ values => sub { 8 }, 0 ], [ value_places => sub { 2**40 }, 1 ], [ ranks => sub { $_ + 2**31 }, 0 ],
		[ posting_starts => sub { 2**63 }, 0 ], [ postings => sub { $_ + 100_000 }, 1 ]),
	[ 'values out of order', 'attributes', set_part(0, 'values', 0, 8, sub { pack 'Q<', 9999 }), qr/value 1 of column 2 is not greater than the one before/ ],
	[ 'value in no place', 'attributes', set_part(1, 'value_places', 8, 4, sub { pack 'V', 9999 }), qr/value 0 of column 3 is in no possible place/ ],
	[ 'value with other bytes', 'attributes', set_part(1, 'values', 5, 1, sub { 'x' }), qr/value 0 of column 3 is damaged/ ],
	[ 'rank beyond the values', 'attributes', set_part(0, 'ranks', 5, 1, sub { "\xff" }), qr/TID entry 5 has rank 255 of 40 in column 2/ ],
	[ 'another rank', 'attributes', set_part(0, 'ranks', 5, 1, sub { chr((1 + ord $_) % 40) }), qr/TID entry 5 is among those with value \d+ of column 2, but has not/ ],
	[ 'start of postings', 'attributes', set_part(0, 'posting_starts', 4, 4, sub { pack 'V', 0 }), qr/postings of column 2 do not go from 0 to \d+, each/ ],
	[ 'end of postings', 'attributes', set_part(0, 'posting_starts', 41 * 4, 4, sub { pack 'V', 1 + unpack 'V', $_ }), qr/postings of column 2 do not go from/ ],
	[ 'posting beyond the entries', 'attributes', set_part(0, 'postings', 0, 4, sub { pack 'V', 2**31 }), qr/TID entry 2147483648 is among those with value 0/ ],
	[ 'postings out of order', 'attributes', set_part(0, 'postings', 0, 8, sub { join '', reverse unpack 'a4a4', $_ }), qr/TID entries with value 0 of column 2 do not ascend/ ],
	[ 'attributes of a row in the tail', 'attributes', page_of('TAIL', 0, sub {
			my ($f, $page) = @_;
			my $at = $page + OmenPages::page_start() + 12 + $f->meta('factor_bytes') + $f->meta('code_bytes') + 9;

			$f->write_bytes($at, chr(ord($f->read_bytes($at, 1)) ^ 4));
		}), qr/attributes of row 0 are damaged/ ],

	# dead bits
	[ 'bits behind the last', 'dense', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');
			my $at = $f->body($g, 'DEAD', int(($f->seg($g, 'n_tid_entries') - 1) / 64));

			$f->write_bytes($at, pack 'Q<', unpack('Q<', $f->read_bytes($at, 8)) | 1 << 63);
		}, qr/bits are set behind the last/ ],
	[ 'dead list', 'dense', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');

			foreach my $i (listed_node($f, $g), list_of_node($f, $g))
			{
				my $at = $f->body($g, 'DEAD', int($i / 64));

				$f->write_bytes($at, pack 'Q<', unpack('Q<', $f->read_bytes($at, 8)) | 1 << $i % 64);
			}
		}, qr/TID entry \d+ is dead but is no TID/ ],

	# TIDs
	[ 'kind of a TID', 'dense', set_tid(sub { 9 }, 'kind', sub { 5 }), qr/TID entry 9 of a node has kind 5/ ],
	[ 'offset of a TID', 'dense', set_tid(sub { 9 }, 'offset', sub { 0 }), qr/impossible heap TID/, qr/invalid row pointer/ ],
	[ 'block of a TID', 'dense', set_tid(sub { 9 }, 'block', sub { 2**32 - 1 }), qr/heap TID .* in a table of/, qr/invalid row pointer/ ],
	[ 'block behind the table', 'dense', set_tid(sub { 9 }, 'block', sub { 100000 }), qr/heap TID \(100000,\d+\) in a table of/ ],
	[ 'TID twice', 'dense', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');
			my @plain = grep { $f->get($f->body($g, 'TIDS', $_), 'OmenTidEntry', 'kind') == 0 } 0 .. 20;

			$f->write_bytes($f->body($g, 'TIDS', $plain[0]), $f->read_bytes($f->body($g, 'TIDS', $plain[1]), 8));
			# neither of them dead
			$f->write_bytes($f->body($g, 'DEAD', 0), pack 'Q<', 0);
			$f->set_seg($g, 'n_dead', 0);
		}, qr/heap TID .* is indexed 2 times/ ],
	[ 'list of a node beyond the end', 'dense', set_tid(\&listed_node, 'block', sub { 90000 }), qr/list of node \d+ begins at TID entry 90000/, qr/refers to record 90000/ ],
	[ 'list of a node among the nodes', 'dense', set_tid(\&listed_node, 'block', sub { 2 }), qr/list of node \d+ begins at TID entry 2/, qr/list of TIDs in segment/ ],
	[ 'list of a node is another', 'dense', set_tid(\&listed_node, 'block', sub { $_ + 3 }), qr/no list begins at|does not begin|nobody uses/, qr/list of TIDs in segment/ ],
	[ 'nobody names the list', 'dense', set_tid(\&listed_node, 'kind', sub { 0 }), qr/nobody uses the list/ ],
	[ 'list without header', 'dense', set_tid(\&list_of_node, 'kind', sub { 0 }), qr/TID entry \d+ of kind 0 does not begin a list/, qr/list of TIDs in segment/ ],
	[ 'long list', 'dense', set_tid(\&list_of_node, 'block', sub { $FAR }), qr/list at TID entry \d+ has $FAR entries/, qr/list of TIDs in segment/ ],
	[ 'empty list', 'dense', set_tid(\&list_of_node, 'block', sub { 0 }), qr/list at TID entry \d+ has 0 entries/ ],
	[ 'header in a list', 'dense', set_tid(sub { list_of_node(@_) + 2 }, 'kind', sub { 2 }), qr/TID entry \d+ of kind 2 is inside a list/ ],
	[ 'long list of nulls', 'dense', set_tid(\&null_list, 'block', sub { $FAR }), qr/list at TID entry \d+ has $FAR/, qr/list of TIDs in segment/ ],

	# links
	[ 'link beyond the end', 'dense', set_links(0, 'last', sub { $_[0][0] = $FAR }), qr/node 0 is linked to node $FAR of/, qr/refers to record $FAR/ ],
	[ 'link just beyond the end', 'dense', set_links(5, 5, sub { $_[0][0] = 1500 }), qr/node 5 is linked to node 1500 of 1500/ ],
	[ 'link to itself', 'dense', set_links(5, 5, sub { $_[0][0] = $_[1] }), qr/node 5 is linked to itself/, $NOTHING ],
	[ 'link twice', 'dense', set_links(5, 5, sub { $_[0][1] = $_[0][0] }), qr/node 5 is linked to node \d+ twice/, $NOTHING ],
	[ 'no links', 'dense', set_links(5, 5, sub { @{ $_[0] } = (2**32 - 1) x @{ $_[0] } }), qr/node 5 has no links/, $NOTHING ],
	[ 'gap among the links', 'dense', set_links(5, 5, sub { $_[0][0] = 2**32 - 1 }), qr/node 5 has a gap|node 5 has no links/, $NOTHING ],
	[ 'unreachable', 'dense', set_links(0, 'last', sub { my ($l, $i) = @_; @$l = (($i + 1) % 2 ? 0 : 1, (2**32 - 1) x (@$l - 1)); $l->[0] = 2 if $l->[0] == $i }),
		qr/\d+ of 1500 nodes cannot be reached/, $NOTHING ],

	# routing
	[ 'first sample of a centre', 'dense', set_routing('CENTRES', 0, 'last', $FAR), qr/samples of centre 0 begin at $FAR/, qr/routing table of segment/ ],
	[ 'order of centres', 'dense', set_routing('CENTRES', 0, 0, 1), qr/samples of centre 0 begin at 1/ ],
	[ 'node of a sample', 'dense', set_routing('SAMPLES', 0, 'last', $FAR), qr/sample 0 is node $FAR of/, qr/refers to record $FAR/ ],
	[ 'samples of one node', 'dense', set_routing('SAMPLES', 0, 1, 5), qr/sample 1 is node 5, as one before/, $NOTHING ],
	[ 'sample of another node', 'dense', set_routing('SAMPLES', 0, 0, 5), qr/sample 0 has not the code of its node, 5/, $NOTHING ],
	[ 'code of a sample', 'dense', sub { my ($f) = @_; my $at = $f->body($f->entry('GRAPH'), 'SAMPLES', 3); $f->write_bytes($at, "\xff" x 16) },
		qr/sample 3 has not the code of its node/ ],

	# codes of different lengths, terms
	[ 'reference to a code', 'sparse', set_code_ref(0, 'last', 'offset', sub { 2**40 }), qr/code of node 0 is \d+ bytes from byte/, qr/refers to bytes outside/ ],
	[ 'crooked reference', 'sparse', set_code_ref(3, 3, 'offset', sub { $_ + 1 }), qr/code of node 3 is/ ],
	[ 'length of a code', 'sparse', set_code_ref(0, 'last', 'n_bytes', sub { $FAR }), qr/code of node 0 is $FAR bytes/, qr/refers to bytes outside/ ],
	[ 'order of codes', 'sparse', set_code_ref(3, 3, 'offset', sub { 0 }), qr/code of node 3 is .* the code before ends at/ ],
	[ 'terms', 'sparse', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');

			$f->write_bytes($f->body($g, 'TERMS', $_), pack 'V*', ($FAR) x OmenPages::define('OMEN_TERM_LINKS'))
			  foreach 0 .. $f->seg($g, 'n_terms') - 1;
		}, qr/term record 0 names node $FAR of/, qr/refers to record $FAR/ ],

	# finer codes
	[ 'kind of finer codes', 'refined', set_meta('refine', sub { 9 }), qr/finer codes are of kind 1, those of the index of kind 9/, qr/does not match/ ],
	[ 'no finer codes', 'refined', set_meta('refine', sub { 0 }), qr/finer codes are of kind 1, those of the index of kind 0/, qr/unexpected size/ ],
	[ 'factors of finer codes', 'refined', set_meta('refine_factor_bytes', sub { 8 }), qr/column 9 has/, qr/unexpected size/ ],
	[ 'size of finer codes', 'refined', set_meta('refine_code_bytes', sub { 65535 }), qr/column 9 has/, qr/unexpected size/ ],
	[ 'finer codes of a segment', 'refined', set_entry('refine', sub { 0 }), qr/finer codes are of kind 0, those of the index of kind 1/, qr/directory of index .* is damaged/ ],
	[ 'finer codes that are not there', 'dense', set_entry('refine', sub { 1 }), qr/finer codes are of kind 1, those of the index of kind 0/, qr/directory of index .* is damaged/ ],
	[ 'empty page of finer codes', 'refined', page_of('REFINE', 0, sub { $_[0]->write_bytes($_[1], "\0" x $BLOCK) }), qr/page is empty/, $UNEXPECTED ],
	[ 'errors of finer codes that are no numbers', 'refined', sub {
			my ($f) = @_;
			my $g = $f->entry('GRAPH');

			$f->write_bytes(($f->record($g, 'REFINE', $_))[0], pack 'V', 0x7FC00000) foreach 0 .. $f->seg($g, 'n_nodes') - 1;
		}, $NOTHING, $NOTHING ],

	# pages
	(map { [ "empty page of $_", 'dense', page_of($_, 0, sub { $_[0]->write_bytes($_[1], "\0" x $BLOCK) }), qr/page is empty/, $UNEXPECTED ] }
		qw(CODES NODES TIDS CENTRES SAMPLES)),
	[ 'segment of a page', 'dense', page_of('NODES', 0, stamp('segment_id', 77)), qr/page is of kind 2, segment 77/, $UNEXPECTED ],
	[ 'column of a page', 'dense', page_of('NODES', 0, stamp('column', 5)), qr/page is of kind 2, segment \d+, column 5/, $UNEXPECTED ],
	[ 'block of a page', 'dense', page_of('NODES', 0, stamp('logical_block', 8)), qr/column 2, block 8;/, $UNEXPECTED ],
	[ 'records of a page', 'dense', page_of('NODES', 0, stamp('n_records', 1)), qr/page has 1 records/ ],
	[ 'kind of a page', 'dense', page_of('NODES', 0, trailer('kind', 3)), qr/page is of kind 3/ ],
	[ 'identifier of a page', 'dense', page_of('NODES', 0, trailer('page_id', 0)), qr/page identifier is 0000/, $NOTHING ],
	[ 'special space of a page', 'dense', page_of('NODES', 0, sub { $_[0]->write_bytes($_[1] + 16, pack 'v', 4096) }), qr/page header is damaged|invalid page/ ],

	# sketches
	[ 'kind of sketches', 'sketched', set_entry('sketches.kind', sub { 99 }), qr/impossible sketches: kind 99/, qr/directory of index .* is damaged/ ],
	[ 'no sketches', 'sketched', set_entry('sketches.kind', sub { 0 }), qr/impossible sketches: kind 0/, qr/directory of index .* is damaged/ ],
	[ 'bits of sketches', 'sketched', set_entry('sketches.bits', sub { 2 }), qr/^the sketch of node 0 is not that of its code$/m, $NOTHING ],
	[ 'a sketch', 'sketched', sub { my ($f) = @_; my $at = $f->body($f->entry('GRAPH'), 'SKETCHES', 5) + 4;
		$f->write_bytes($at, $f->read_bytes($at, 2) ^ "\1\1") }, qr/^the sketch of node 5 is not that of its code$/, $NOTHING ],
	[ 'model of sketches', 'sketched', sub { my ($f) = @_; $f->write_bytes($f->body($f->entry('GRAPH'), 'BYTES', 0) + 64, "\x7f" x 8) },
		qr/the model of the sketches is damaged/, qr/model of the sketches in segment \d+ of index .* is damaged/ ],

	# tails
	[ 'many rows', 'dense', page_of('TAIL', 0, stamp('n_records', 9999)), qr/page has 9999 rows/, $UNEXPECTED ],
	[ 'no rows', 'dense', page_of('TAIL', 0, stamp('n_records', 0)), qr/page has 0 rows/ ],
	[ 'more rows than fit', 'dense', page_of('TAIL', 0, stamp('n_records', 500)), qr/row \d+ of 500 goes beyond the page/, $UNEXPECTED ],
	[ 'rows behind unused pages', 'dense', page_of('TAIL', 0, sub { $_[0]->write_bytes($_[1], "\0" x $BLOCK) }), qr/rows lie behind the unused block/ ],
	[ 'flags of a row', 'dense', set_row('flags', 0x70), qr/row 0 has flags 0070/ ],
	[ 'contradicting flags', 'dense', set_row('flags', 6), qr/row 0 has flags 0006/ ],
	[ 'offset of a row', 'dense', set_row('offset', 0), qr/impossible heap TID/, qr/invalid row pointer/ ],
	[ 'block of a row', 'dense', set_row('block', 2**32 - 1), qr/heap TID .* in a table of/, qr/invalid row pointer/ ],
	[ 'long code in a tail', 'sparse', set_code_bytes(100000), qr/row 0 of \d+ goes beyond the page/, $UNEXPECTED ],
	[ 'endless code in a tail', 'sparse', set_code_bytes(2**32 - 1), qr/row 0 of \d+ goes beyond the page/, $UNEXPECTED ],
	[ 'code of no bytes in a tail', 'sparse', set_code_bytes(0), qr/row \d+ of \d+ goes beyond the page/, qr/contains a damaged code|unexpected page/ ],
	[ 'one long row in a tail', 'sparse', sub {
			set_code_bytes(900000)->(@_);
			page_of('TAIL', 0, sub {
				stamp('n_records', 1)->(@_);
				$_[0]->write_bytes($_[1] + 12, pack 'v', $BLOCK - OmenPages::struct_bytes('OmenPageTrailer'));
			})->(@_);
		},
		qr/row goes on beyond the end of the tail/, qr/has no block|unexpected page/ ],
	[ 'second page of a long row', 'long', page_of('TAIL', 1, sub { $_[0]->write_bytes($_[1], "\0" x $BLOCK) }), qr/page is empty|rows lie behind/, $UNEXPECTED ],
	[ 'closed page', 'dense', page_of('TAIL', 0, trailer('flags', 1)), $NOTHING, $NOTHING ],
);

# ---- trials ----

foreach my $name (sort keys %TEMPLATES)
{
	my ($type, undef, undef, $rows) = @{ $TEMPLATES{$name} };

	$node->safe_psql('postgres', "CREATE TABLE $name (id bigint, v $type); ALTER TABLE $name ALTER v SET STORAGE EXTENDED; $rows");
	$node->safe_psql('postgres', "VACUUM (FREEZE, INDEX_CLEANUP OFF) $name");
	$files{$name} = [ file_of($name), file_of("${name}_v") ];
	is($node->safe_psql('postgres', "SELECT c::text FROM omenvec_check('${name}_v') AS c"), '', "$name is right before");
}

my $n = 0;
my @trials = map { { case => $_, table => 'trial_' . $n++ } } @CASES;
$node->safe_psql('postgres', join ";\n", map {
	my $template = $_->{case}[1];
	"CREATE TABLE $_->{table} (LIKE $template INCLUDING STORAGE);
	 CREATE INDEX $_->{table}_v ON $_->{table} USING omenhnsw (v $TEMPLATES{$template}[1])" } @trials);
$_->{files} = [ file_of($_->{table}), file_of("$_->{table}_v") ] foreach @trials;
$node->stop;
foreach my $trial (@trials)
{
	my $from = $files{ $trial->{case}[1] };

	copy($from->[$_], $trial->{files}[$_]) or die "could not copy: $!" foreach 0, 1;
	my $file = OmenPages->new($trial->{files}[1]);
	$trial->{case}[2]->($file);
	$file->close_file;
}
$node->start;

# Runs statements in one session; returns rows and error of each.
sub answers
{
	my @statements = @_;
	my $mark = '-- next --';
	my ($status, $out, $err) = $node->psql('postgres',
		"\\set VERBOSITY verbose\nSET enable_seqscan = off; SET enable_sort = off;\n"
		  . join("\n", map { "$_;\n\\echo $mark\n\\warn $mark" } @statements),
		on_error_stop => 0);
	my @rows = split /^$mark\n?/m, $out, -1;
	my @errors = split /^$mark\n?/m, $err, -1;

	return map {
		[ ($rows[$_] // '') =~ s/\n\z//r,
			$_ >= $#errors ? "lost connection: $err" : $errors[$_] =~ /(?:ERROR|FATAL|PANIC):\s+(.*)/ ? $1 : '' ]
	} 0 .. $#statements;
}

# Damage that is recognised where pages are read, or by the server itself.
my $DAMAGE = qr/^XX00[12]: |^XX000: index returned tuples in wrong order|could not open file .* \(target block/;

foreach my $trial (@trials)
{
	my ($name, $template, undef, $checked, $raised) = @{ $trial->{case} };
	my ($table, $order) = ($trial->{table}, $TEMPLATES{$template}[2]);
	my $check = "SELECT problem FROM omenvec_check('${table}_v')";
	my ($found, $all, @others) = answers($check,
		"SELECT count(*) = count(DISTINCT id), count(*) = (SELECT count(*) FROM $table)
			FROM (SELECT id FROM $table ORDER BY $order LIMIT 100000) AS s",
		"SELECT id FROM $table ORDER BY $order LIMIT 10",
		"INSERT INTO $table SELECT * FROM $template LIMIT 40",
		"DELETE FROM $table WHERE id % 11 = 3",
		"VACUUM (INDEX_CLEANUP ON) $table",
		"SELECT omenvec_optimize('${table}_v', true)",
		"REINDEX INDEX ${table}_v",
		$check);
	my @at_last = splice @others, -2;

	# The check says what it is; a query raises the error that is due, or one that says that there is damage.
	like("$found->[0]$found->[1]", $checked // qr/^/, "$name: check");
	like($all->[1], $raised, "$name: query") if defined $raised;
	is($all->[0], 't|t', "$name: every row comes") if defined $raised && $raised eq $NOTHING;

	# Others get through or say why not; then REINDEX puts it right.
	my @odd = grep { $_ ne '' && !/$DAMAGE/ } map { $_->[1] } $all, @others;
	is("@odd", '', "$name: no other error");
	is(join('', map { "@$_" =~ s/^ $//r } @at_last), '', "$name: right after REINDEX");
}

# ---- what a crash between two records of one row leaves ----

# A row whose second and further pages are there, its first is not: the next row takes its place.
$node->safe_psql('postgres', q{
	CREATE TABLE torn (id bigint, v sparsevec(100000));
	CREATE INDEX torn_v ON torn USING omenhnsw (v sparsevec_l2_ops) WITH (tail_size = 1024);
	CREATE FUNCTION long_sparse(i int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
		SELECT ('{' || string_agg(format('%s:%s', j, 1 + hashint4(i * 65536 + j) & 1023), ',' ORDER BY j) || '}/100000')::sparsevec
		FROM generate_series(1, 12000) AS j $$;
	INSERT INTO torn SELECT i, long_sparse(i) FROM generate_series(1, 5) AS i;
});
my $torn = file_of('torn_v');

foreach my $row (1 .. 4)
{
	$node->stop;
	my $file = OmenPages->new($torn);
	my $tail = $file->entry('TAIL');
	my @firsts = grep { my $page = $file->block($tail, $_);
		$file->get($page + 24, 'OmenPageStamp', 'segment_id') == $file->seg($tail, 'id')
		  && $file->get($page + 24, 'OmenPageStamp', 'column') == 0 } 0 .. $file->seg($tail, 'n_blocks') - 1;

	$file->write_bytes($file->block($tail, $firsts[-1]), "\0" x $BLOCK);
	$file->close_file;
	$node->start;
	# In a crash the row's transaction would have come to nothing.
	$node->safe_psql('postgres', "DELETE FROM torn WHERE ctid = (SELECT max(ctid) FROM torn)");
	$node->safe_psql('postgres', "INSERT INTO torn VALUES (30, '{1:1}/100000')") if $row == 3;
	$node->safe_psql('postgres', "INSERT INTO torn SELECT 10 + $row, long_sparse(10 + $row)");
	is( $node->safe_psql('postgres', "SET enable_seqscan = off; SET enable_sort = off;
			SELECT count(*) = (SELECT count(*) FROM torn) FROM (SELECT id FROM torn ORDER BY v <-> long_sparse(10 + $row)) AS s;
			SELECT problem FROM omenvec_check('torn_v')"),
		't', scalar(@firsts) . " long rows, the last begun only: the next one is found");
	$node->safe_psql('postgres', "INSERT INTO torn SELECT 20 + $row, long_sparse(20 + $row)") if $row % 2;
}

my @crashes = grep { /terminated by signal|PANIC|TRAP:|57014/ } split /\n/, slurp_file($node->logfile);
is(join("\n", @crashes), '', 'no crash, nothing hangs');

$node->stop;
done_testing();
