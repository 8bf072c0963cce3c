# How long the file of an index is: what merges leave free is used again, and
# given back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('space');

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub blocks { return sql("SELECT pg_relation_size('items_v') / 8192") }

sub make_items
{
	sql(qq{
		DROP TABLE IF EXISTS items;
		CREATE TABLE items (id bigint, v vector(32));
		INSERT INTO items SELECT i, sample_vector(i, 4) FROM generate_series(1, 10000) AS i;
		CREATE INDEX items_v ON items USING omenhnsw (v vector_l2_ops) WITH (tail_size = 1024);
	});
	return blocks();
}

# What is replaced can be used again by whoever comes later.
sub vacuum_often
{
	sql('VACUUM items'), sql('SELECT txid_current()') for 1 .. 6;
}

# ---- an open tail at the end ----

make_items();
sql('INSERT INTO items SELECT i, sample_vector(i, 4) FROM generate_series(10001, 10100) AS i');
sql('DELETE FROM items WHERE id <= 8000');
vacuum_often();
my $blocks = blocks();
sql('REINDEX INDEX items_v');
cmp_ok($blocks, '<=', 1.5 * blocks(), 'a tail at the end of the file does not keep it long');

# ---- a gap that is too small ----

my $fresh = make_items();
sql(q{SELECT omenvec_optimize('items_v', true)});
is(blocks(), $fresh, 'nothing to merge');
sql('DELETE FROM items WHERE id % 20 = 0');
sql(q{SET vacuum_cost_delay = 0; VACUUM (INDEX_CLEANUP ON) items; SELECT omenvec_optimize('items_v', true)});
is(sql(q{SELECT string_agg(state, ' ' ORDER BY segment_id) FROM omenvec_index_stats('items_v')}), 'retired live', 'a segment merged anew');
cmp_ok(blocks(), '>', 1.9 * $fresh, 'lies behind the old one');
sql('INSERT INTO items SELECT i, sample_vector(i, 4) FROM generate_series(10001, 11500) AS i');
sql(q{SELECT omenvec_optimize('items_v', true)});
cmp_ok(sql(q{SELECT max(rows) FROM omenvec_index_stats('items_v') WHERE state = 'live'}), '>', 10500, 'a larger one');
cmp_ok(blocks(), '<=', 2.3 * $fresh, 'begins where the old one was');
index_is_right($node, 'items', 'items_v', 'index in pieces');
vacuum_often();
cmp_ok(blocks(), '<=', 1.5 * $fresh, 'and in the end, the file is short again');
index_is_right($node, 'items', 'items_v', 'index in the end');

$node->stop;
done_testing();
