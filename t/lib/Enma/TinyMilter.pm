# Enma::TinyMilter - a milter of a few lines (protocol version 6, no libmilter)
# that writes down everything an MTA says and edits as told: it shows how an MTA
# behaves, and proves the MTA harness without the daemon.
#
#	my $m = Enma::TinyMilter->new(
#		address => 'inet:PORT@127.0.0.1' or 'unix:PATH',
#		protocol => 0x100000,                   SMFIP_ bits to ask for
#		on_eom => sub { my ($message) = @_; return ([LETTER, BYTES], ...) });
#	$m->events                              all so far: [conn, command, ...]
#	$m->stop
#
# on_eom runs in the milter's process.  $message is { headers => [[name, value],
# ...], macros => {...}, connect => [host, family and port and address], helo,
# mail }; what it returns is sent to the MTA before "continue":
# insert_header(INDEX, NAME, VALUE), change_header(INDEX, NAME, VALUE) and
# add_header(NAME, VALUE) make such packets.

package Enma::TinyMilter;

use strict;
use warnings;

use Exporter 'import';
use IO::Socket::INET;
use IO::Socket::UNIX;
use JSON::PP ();
use POSIX ();
use Enma::Proc qw(spawn work_dir slurp);

our @EXPORT_OK = qw(insert_header change_header add_header);

use constant {
	ACTIONS => 0x1ff,
	NO_REPLY => qr/[DAQK]/,
};

sub insert_header { my ($i, $n, $v) = @_; return ['i', pack('N', $i) . "$n\0$v\0"] }
sub change_header { my ($i, $n, $v) = @_; return ['m', pack('N', $i) . "$n\0$v\0"] }
sub add_header    { my ($n, $v) = @_; return ['h', "$n\0$v\0"] }

sub new {
	my ($class, %o) = @_;
	my $self = bless { %o, dir => work_dir() }, $class;
	my $listener = $o{address} =~ /^unix:(.*)/
		? IO::Socket::UNIX->new(Local => $1, Listen => 64)
		: IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, Proto => 'tcp', ReuseAddr => 1,
			LocalPort => $o{address} =~ /^inet:(\d+)\@/ ? $1 : die "bad address\n");
	$listener or die "$o{address}: $!";
	chmod 0666, $1 if $o{address} =~ /^unix:(.*)/;
	$self->{pid} = spawn(code => sub { serve($self, $listener) }, keep => [$listener],
		log => "$self->{dir}/log");
	close $listener;
	return $self;
}

sub stop {
	my ($self) = @_;
	Enma::Proc::stop(delete $self->{pid}, signal => 'KILL') if $self->{pid};
	return;
}

sub events {
	my ($self) = @_;
	opendir my $dir, $self->{dir} or die;
	return map { JSON::PP::decode_json($_) } map { split /\n/, slurp("$self->{dir}/$_") }
		sort grep { /\.json\z/ } readdir $dir;
}

sub serve {
	my ($self, $listener) = @_;
	local $SIG{CHLD} = 'IGNORE';
	my $count = 0;
	while (1) {
		my $peer = $listener->accept or next;
		$count++;
		my $pid = fork;
		if (defined $pid && $pid == 0) {
			eval { session($self, $peer, $count); 1 } or print STDERR $@;
			POSIX::_exit(0);
		}
		close $peer;
	}
}

sub take {
	my ($peer, $n) = @_;
	my $bytes = '';
	while (length $bytes < $n) {
		my $got = sysread $peer, $bytes, $n - length $bytes, length $bytes;
		$got or POSIX::_exit(0);
	}
	return $bytes;
}

sub put {
	my ($peer, $command, $bytes) = @_;
	my $packet = pack('N', 1 + length $bytes) . $command . $bytes;
	syswrite($peer, $packet) == length $packet or die "short write\n";
	return;
}

sub session {
	my ($self, $peer, $conn) = @_;
	my $json = JSON::PP->new->ascii;
	my %m = (headers => [], macros => {});
	open my $log, '>>', sprintf('%s/%04d.json', $self->{dir}, $conn) or die;
	$log->autoflush(1);
	while (1) {
		my $len = unpack 'N', take($peer, 4);
		my $packet = take($peer, $len);
		my ($command, $bytes) = (substr($packet, 0, 1), substr $packet, 1);
		my @part = $command eq 'O' ? unpack('N3', $bytes)
			: $command eq 'B' ? (length $bytes)
			: $command eq 'D' ? (substr($bytes, 0, 1), split /\0/, substr($bytes, 1), -1)
			: split /\0/, $bytes, -1;
		print {$log} $json->encode([$conn, $command, @part]), "\n";
		if ($command eq 'O') {
			put($peer, 'O', pack 'N3', $part[0], ACTIONS, ($self->{protocol} || 0) & $part[2]);
		} elsif ($command eq 'D') {
			shift @part;
			pop @part;
			%{ $m{macros} } = (%{ $m{macros} }, @part) if @part % 2 == 0;
		} elsif ($command eq 'C') {
			$m{connect} = [@part];
			put($peer, 'c', '');
		} elsif ($command eq 'H' || $command eq 'M') {
			$m{ $command eq 'H' ? 'helo' : 'mail' } = $part[0];
			@{ $m{headers} } = () if $command eq 'M';
			put($peer, 'c', '');
		} elsif ($command eq 'L') {
			push @{ $m{headers} }, [@part[0, 1]];
			put($peer, 'c', '');
		} elsif ($command eq 'E') {
			put($peer, @$_) for $self->{on_eom} ? $self->{on_eom}->(\%m) : ();
			put($peer, 'c', '');
			@{ $m{headers} } = ();
		} elsif ($command eq 'Q') {
			return;
		} elsif ($command !~ NO_REPLY) {
			put($peer, 'c', '');
		}
		@{ $m{headers} } = () if $command eq 'A';
	}
}

1;
