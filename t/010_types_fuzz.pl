# Broken text and binary input of the vector types: an error or a value, never
# a crash, and a value that is accepted once is accepted again and comes back
# the same.
#
# Sends mutated values as parameters of a prepared statement, in text and in
# binary, over a connection of its own: psql cannot send binary parameters.
# OMENVEC_FUZZ_INPUTS says how many (default 30000; a million takes minutes),
# OMENVEC_FUZZ_SEED which.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use IO::Socket::UNIX;
use OmenTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $INPUTS = $ENV{OMENVEC_FUZZ_INPUTS} || 30000;
my $SEED = $ENV{OMENVEC_FUZZ_SEED} || 1;

# All of a batch is sent before an answer is read, so it must fit the socket's
# buffer.
my $BATCH = 40;
my $LONGEST = 1000;
my ($TEXT, $BINARY) = (0, 1);

my $node = new_node('types_fuzz', settings => { log_min_messages => 'fatal' });

# --- the protocol, as much of it as we need ---------------------------------

my $socket;

sub send_message
{
	my ($type, $body) = @_;
	print $socket $type . pack('N', 4 + length $body) . $body;
}

# Type and body of the next message; dies if the server has gone.
sub read_message
{
	my ($head, $body) = ('', '');
	(read($socket, $head, 5) // 0) == 5 or die "the server closed the connection\n";
	my ($type, $length) = unpack('a N', $head);
	$length == 4 or (read($socket, $body, $length - 4) // 0) == $length - 4
	  or die "the server closed the connection\n";
	return ($type, $body);
}

sub read_until_ready
{
	my @messages;
	while (1)
	{
		my ($type, $body) = read_message();
		return @messages if $type eq 'Z';
		push @messages, [ $type, $body ];
	}
}

sub open_connection
{
	$socket = IO::Socket::UNIX->new(Peer => $node->host . '/.s.PGSQL.' . $node->port)
	  or die "could not connect: $!";
	binmode $socket;
	$socket->autoflush(0);
	my %options = (user => scalar getpwuid($>), database => 'postgres', client_encoding => 'SQL_ASCII');
	my $body = pack('N', 196608) . join('', map { "$_\0$options{$_}\0" } sort keys %options) . "\0";
	print $socket pack('N', 4 + length $body) . $body;
	$socket->flush;
	read_until_ready();
}

# Name a statement that returns its parameter.
sub prepare
{
	my ($name, $type) = @_;
	send_message('P', "$name\0SELECT \$1::$type\0" . pack('n', 0));
	send_message('S', '');
	$socket->flush;
	my @errors = grep { $_->[0] eq 'E' } read_until_ready();
	die "could not prepare: $errors[0][1]" if @errors;
}

# What comes back for each of the inputs: a value, or undef for an error.
sub run_batch
{
	my ($name, $format, @inputs) = @_;
	my @results;
	for my $input (@inputs)
	{
		send_message('B', "\0$name\0" . pack('n n n N/a* n n', 1, $format, 1, $input, 1, $format));
		send_message('E', "\0" . pack('N', 0));
		send_message('S', '');
	}
	$socket->flush;
	for my $input (@inputs)
	{
		my ($row) = grep { $_->[0] eq 'D' } read_until_ready();
		push @results, $row ? unpack('x2 N/a*', $row->[1]) : undef;
	}
	return @results;
}

# --- inputs -----------------------------------------------------------------

my %text_seeds = (
	vector => [ '[1,2,3]', '[-0.5,1e-3,+2.5e+7]', '[ 1 , 2 ]', '[0x1p3,inf,nan]', '[3.4028235e38,1e-45]',
		'[' . join(',', map { $_ / 7 } 1 .. 40) . ']', '[0.000000000000000000001234567890123456789]' ],
	halfvec => [ '[1,2,3]', '[65504,-65519,6e-8]', '[0.1,0.2]', '[' . join(',', (0.25) x 70) . ']' ],
	sparsevec => [ '{1:1,3:2.5}/5', '{}/3', '{ 7 : 1e-3 , 2 : -4 }/1000000000', '{1:0,2:nan}/2',
		'{' . join(',', map { $_ * 3 . ':' . $_ / 7 } 1 .. 40) . '}/200' ]);
my %binary_seeds = (
	vector => [ pack('n n f>3', 3, 0, 1, -2.5, 1e30), pack('n n f>40', 40, 0, 1 .. 40), pack('n n N', 1, 0, 0x7fc00000) ],
	halfvec => [ pack('n n n3', 3, 0, 0x3c00, 0xc100, 1), pack('n n n40', 40, 0, 1 .. 40), pack('n n n', 1, 0, 0x7c00) ],
	sparsevec => [ pack('N3 N2 f>2', 5, 2, 0, 0, 4, 1.5, -2), pack('N3', 3, 0, 0),
		pack('N3 N20 f>20', 1000, 20, 0, map({ $_ * 3 } 1 .. 20), 1 .. 20) ]);
my @pieces = ('[', ']', '{', '}', ',', ':', '/', '-', '+', '.', 'e', 'E', '0', '9', ' ', "\t", 'nan', 'inf', '1e39',
	'1e-50', '99999999999999999999', '0x', '[]', '{}', ',,', "\xff", '1' x 30, '0.' . '0' x 60 . '1');
my @words = ("\0\0", "\xff\xff", "\x7f\xff\xff\xff", "\x80\0\0\0", "\x3e\x80", "\x3e\x81", "\0\0\x3e\x81",
	"\x7f\x80\0\0", "\x7f\xc0\0\0", "\0\0\0\1");

sub pick { return $_[ int rand @_ ] }

# A seed with one to four small injuries.
sub mutate
{
	my ($input, @inserts) = @_;
	for (1 .. 1 + int rand 4)
	{
		my $at = int rand(1 + length $input);
		my $kind = int rand 6;
		my $piece = pick(@inserts);
		if ($kind == 0) { substr($input, $at, 0) = $piece; }
		elsif ($kind == 1) { substr($input, $at, int rand 5) = ''; }
		elsif ($kind == 2) { substr($input, $at, 1) = chr(1 + int rand 255); }
		elsif ($kind == 3) { $input = substr($input, 0, $at); }
		elsif ($kind == 4) { $input .= substr($input, $at); }
		else { substr($input, $at, length $piece) = $piece; }
	}
	return substr($input, 0, $LONGEST);
}

# --- test -------------------------------------------------------------------

srand($SEED);
open_connection();
for my $type (sort keys %text_seeds)
{
	prepare($type, $type);
	prepare("${type}_fixed", "$type(3)");
	for my $format ($TEXT, $BINARY)
	{
		my ($seeds, $inserts) =
		  $format == $TEXT ? ($text_seeds{$type}, \@pieces) : ($binary_seeds{$type}, \@words);
		my ($n, $accepted, $unstable) = (0, 0, 0);
		while ($n < $INPUTS / 6)
		{
			my @inputs = map { mutate(pick(@$seeds), @$inserts) } 1 .. $BATCH;
			tr/\0/0/ for $format == $TEXT ? @inputs : ();
			my @values = grep { defined } run_batch(rand() < 0.9 ? $type : "${type}_fixed", $format, @inputs);
			my @again = run_batch($type, $format, @values);
			$n += $BATCH;
			$accepted += @values;
			$unstable += grep { !defined $again[$_] || $again[$_] ne $values[$_] } 0 .. $#values;
		}
		my $form = $format == $TEXT ? 'text' : 'binary';
		is($unstable, 0, "$type, $form: what is accepted comes back the same");
		ok($accepted > 0 && $accepted < $n, "$type, $form: some of $n inputs are accepted, some not");
	}
}
is(join(' ', run_batch('vector', $TEXT, '[1,2,3]')), '[1,2,3]', 'the connection has survived');

done_testing();
