# Enma::MilterProxy - stands between an MTA and a milter and writes down what passes.
#
#	my $proxy = Enma::MilterProxy->new(to => 'unix:PATH' or 'inet:PORT@HOST');
#	$proxy->address                 what the MTA is told
#	$proxy->events                  all so far: [conn, '>' (from the MTA) or '<' (from the milter), command letter, length], in order
#	$proxy->stop
#
# Bytes pass unchanged; a packet is written down before it is passed on.

package Enma::MilterProxy;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use POSIX ();

use Enma::MilterClient;
use Enma::Proc qw(spawn work_dir slurp);

sub new {
	my ($class, %o) = @_;
	my $dir = work_dir();
	my $self = bless { dir => $dir, to => $o{to}, socket => "$dir/socket" }, $class;
	my $listener = IO::Socket::UNIX->new(Local => $self->{socket}, Listen => 64) or die "$self->{socket}: $!";
	chmod 0666, $self->{socket} or die "$self->{socket}: $!";
	$self->{pid} = spawn(code => sub { serve($self, $listener) }, keep => [$listener], log => "$dir/log");
	close $listener;
	return $self;
}

sub address { return "unix:$_[0]{socket}" }

sub stop {
	my ($self) = @_;
	Enma::Proc::stop(delete $self->{pid}, signal => 'KILL') if $self->{pid};
	return;
}

sub events {
	my ($self) = @_;
	return map { [split ' '] } split /\n/, join '', map { slurp($_) } sort glob "$self->{dir}/*.events";
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

# The packets that are whole are written down and passed on.
sub pass {
	my ($log, $conn, $sign, $buffer, $out) = @_;
	while (length $$buffer >= 5) {
		my $n = unpack 'N', $$buffer;
		last if length $$buffer < 4 + $n;
		my $packet = substr $$buffer, 0, 4 + $n, '';
		print {$log} join(' ', $conn, $sign, substr($packet, 4, 1), $n - 1), "\n";
		while (length $packet) {
			my $sent = syswrite $out, $packet;
			return 0 if !defined $sent;
			substr $packet, 0, $sent, '';
		}
	}
	return 1;
}

sub session {
	my ($self, $mta, $conn) = @_;
	my $milter = Enma::MilterClient::dial($self->{to});
	open my $log, '>>', sprintf '%s/%04d.events', $self->{dir}, $conn or die "events: $!";
	$log->autoflush(1);
	my %way = (fileno $mta => ['>', \(my $asked = ''), $milter], fileno $milter => ['<', \(my $answered = ''), $mta]);
	my $select = IO::Select->new($mta, $milter);
	while (1) {
		for my $in ($select->can_read) {
			my ($sign, $buffer, $out) = @{ $way{ fileno $in } };
			sysread $in, $$buffer, 65_536, length $$buffer or return;
			pass($log, $conn, $sign, $buffer, $out) or return;
		}
	}
}

1;
