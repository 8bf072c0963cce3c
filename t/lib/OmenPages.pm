# The pages of an index as a file, for tests that damage them: structs are read
# from src/storage/page_layout.h, so that offsets follow the code.

package OmenPages;

use strict;
use warnings;

my $BLOCK = 8192;
my $HEADER = 24;
my %SIZES = (uint8 => 1, uint16 => 2, uint32 => 4, uint64 => 8, float => 4, BlockNumber => 4);
my %FORMATS = (1 => 'C', 2 => 'v', 4 => 'V', 8 => 'Q<');
my (%structs, %defines, %columns);

# Members as name => [ offset, size, count, type ]; all are naturally aligned.
sub parse_layout
{
	my ($path) = @_;
	open my $file, '<', $path or die "could not open $path: $!";
	local $/;
	my $text = <$file> =~ s{/\*.*?\*/}{}gsr;

	while ($text =~ /^#define (\w+)\s+(0x)?([0-9A-F]+)U?\s*$/mg)
	{
		$defines{$1} = $2 ? hex $3 : $3;
	}
	$columns{$1} = $2 while $text =~ /OMEN_COLUMN_(\w+) = (\d+)/g;
	while ($text =~ /typedef struct \w+\s*\{(.*?)\}\s*(\w+);/gs)
	{
		my ($body, $name) = ($1, $2);
		my ($offset, $widest, %members) = (0, 1);

		while ($body =~ /(\w+)\s+(\w+)((?:\[\w+\])*);/g)
		{
			my ($type, $member, $bounds, $count) = ($1, $2, $3, 1);

			$count *= $defines{$_} // $_ foreach $bounds =~ /(\w+)/g;
			my $size = $SIZES{$type} // die "unknown type $type";
			my $align = $structs{$type} ? $structs{$type}{align} : $size;

			$offset += -$offset % $align;
			$widest = $align if $align > $widest;
			$members{$member} = [ $offset, $size, $count, $type ];
			$offset += $size * $count;
		}
		$offset += -$offset % $widest;
		$structs{$name} = { align => $widest, members => \%members };
		$SIZES{$name} = $offset;
	}
	while ($text =~ /sizeof\((\w+)\) == (\d+)/g)
	{
		die "$1 has $2 bytes, not $SIZES{$1}" if $SIZES{$1} != $2;
	}
}

parse_layout('src/storage/page_layout.h');

sub define { return $defines{ $_[0] } // die "no constant $_[0]" }
sub column { return $columns{ $_[0] } // die "no column $_[0]" }
sub struct_bytes { return $SIZES{ $_[0] } }

# Offset and size of "member" or "member[3].member" of a struct.
sub place
{
	my ($type, $path) = @_;
	my $offset = 0;
	my $size;

	foreach my $step (split /\./, $path)
	{
		my ($name, $i) = $step =~ /^(\w+)(?:\[(\d+)\])?$/ or die "bad path $path";
		my $member = $structs{$type}{members}{$name} or die "no member $name in $type";

		$offset += $member->[0] + ($i // 0) * $member->[1];
		($size, $type) = @$member[ 1, 3 ];
	}
	return ($offset, $size);
}

# Opens the file of an index that no server has open.
sub new
{
	my ($class, $path) = @_;
	open my $file, '+<:raw', $path or die "could not open $path: $!";

	return bless { file => $file }, $class;
}

sub read_bytes
{
	my ($self, $offset, $n) = @_;
	seek $self->{file}, $offset, 0;
	read $self->{file}, my ($bytes), $n;
	return $bytes;
}

sub write_bytes
{
	my ($self, $offset, $bytes) = @_;
	seek $self->{file}, $offset, 0;
	print { $self->{file} } $bytes;
}

sub close_file { close $_[0]{file} or die "could not write: $!" }
sub truncate_blocks { truncate $_[0]{file}, $_[1] * $BLOCK or die $! }
sub n_blocks { return (-s $_[0]{file}) / $BLOCK }

# Values of a struct at an offset of the file.
sub get
{
	my ($self, $at, $type, $path) = @_;
	my ($offset, $size) = place($type, $path);
	return unpack $FORMATS{$size}, $self->read_bytes($at + $offset, $size);
}

sub set
{
	my ($self, $at, $type, $path, $value) = @_;
	my ($offset, $size) = place($type, $path);
	$self->write_bytes($at + $offset, pack $FORMATS{$size}, $value);
}

sub meta { return $_[0]->get($HEADER, 'OmenMeta', $_[1]) }
sub set_meta { $_[0]->set($HEADER, 'OmenMeta', @_[ 1, 2 ]) }

# Number of the first entry of a kind that is in use.
sub entry
{
	my ($self, $kind) = @_;
	foreach my $i (0 .. $self->meta('n_segments') - 1)
	{
		my $state = $self->meta("segments[$i].state");

		return $i if $self->meta("segments[$i].kind") == define("OMEN_SEGMENT_$kind")
		  && ($state == define('OMEN_STATE_LIVE') || $state == define('OMEN_STATE_OPEN'));
	}
	die "no $kind";
}

sub seg { return $_[0]->meta("segments[$_[1]].$_[2]") }
sub set_seg { $_[0]->set_meta("segments[$_[1]].$_[2]", $_[3]) }

# Offset in the file of a logical block of an entry.
sub block
{
	my ($self, $entry, $logical) = @_;
	foreach my $i (0 .. $self->seg($entry, 'n_runs') - 1)
	{
		my $n = $self->seg($entry, "runs[$i].n_blocks");

		return ($self->seg($entry, "runs[$i].start") + $logical) * $BLOCK if $logical < $n;
		$logical -= $n;
	}
	die 'beyond the segment';
}

sub column_block
{
	my ($self, $entry, $column, $i) = @_;
	return $self->block($entry, $self->seg($entry, "columns[" . ($columns{$column} - 1) . "].first_block") + $i);
}

# As omen_column_shape(): head bytes, body bytes, records a page, start of the bodies.
sub shape
{
	my ($self, $column, $entry) = @_;
	my ($factors, $code, $m) = map { $self->meta($_) } qw(factor_bytes code_bytes m);
	my @refine = map { $self->meta($_) } qw(refine_factor_bytes refine_code_bytes);
	my ($head, $body) = @{
		{   CODES => [ $factors, $code ],
			NODES => [ 0, 8 * $m ],
			REFINE => [ $refine[0], $refine[1] || 1 ],
			TIDS => [ 0, struct_bytes('OmenTidEntry') ],
			DEAD => [ 0, 8 ],
			BYTES => [ 0, define('OMEN_CHUNK_BYTES') ],
			ATTRIBUTES => [ 0, define('OMEN_CHUNK_BYTES') ],
			SKETCHES => [ 0, defined $entry && $self->seg($entry, 'sketches.n_bytes') || 1 ],
			TERMS => [ 0, 4 * define('OMEN_TERM_LINKS') ],
			CENTRES => [ $factors + 4, $code ],
			SAMPLES => [ $factors + 4, $code ] }->{$column} };
	my $start = page_start();
	my $end = $BLOCK - struct_bytes('OmenPageTrailer');
	my $n = int(($end - $start) / ($head + $body));
	my $bodies = sub { my $at = $start + $head * $_[0]; $at + -$at % 64 };

	$n-- while $n > 0 && $bodies->($n) + $n * $body > $end;
	die 'long records' if $n == 0;
	return ($head, $body, $n, $bodies->($n));
}

sub page_start { return $HEADER + struct_bytes('OmenPageStamp') }
sub trailer { return $_[0] + $BLOCK - struct_bytes('OmenPageTrailer') }

# Offsets in the file of a record's head and body.
sub record
{
	my ($self, $entry, $column, $i) = @_;
	my ($head, $body, $n, $bodies) = $self->shape($column, $entry);
	my $page = $self->column_block($entry, $column, int($i / $n));

	return ($page + page_start() + $i % $n * $head, $page + $bodies + $i % $n * $body);
}

sub body { return (record(@_))[1] }

1;
