# Enma::Sink - the mailbox at the end of an MTA test: an SMTP server that keeps
# every message it gets as a file and always says yes.
#
#	my $sink = Enma::Sink->new;
#	$sink->port                           where the MTA delivers to
#	$sink->wait_for($recipient, 20)       the first message for that envelope recipient
#	$sink->for_recipient($recipient)      all messages for it so far
#	$sink->all                            all messages so far
#	$sink->stop
#
# A message is { from => ..., to => [...], raw => BYTES } with the envelope as
# the MTA sent it and the bytes with CRLF as they came (dots unstuffed).  Tests
# give every message a recipient of its own and so find it again.

package Enma::Sink;

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use Enma::Proc qw(spawn wait_until work_dir slurp spew);

sub new {
	my ($class) = @_;
	my $self = bless { dir => work_dir() }, $class;
	# The parent binds, so the port is known and there is no race for it.
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64, Proto => 'tcp')
		or die "sink: $!";
	$self->{port} = $listener->sockport;
	my $dir = $self->{dir};
	$self->{pid} = spawn(code => sub { serve($listener, $dir) }, keep => [$listener], log => "$dir/log");
	close $listener;
	return $self;
}

sub port { return $_[0]{port} }

sub stop {
	my ($self) = @_;
	Enma::Proc::stop(delete $self->{pid}) if $self->{pid};
	return;
}

sub serve {
	my ($listener, $dir) = @_;
	local $SIG{CHLD} = 'IGNORE';
	while (1) {
		my $peer = $listener->accept or next;
		my $pid = fork;
		if (defined $pid && $pid == 0) {
			eval { session($peer, $dir) };
			POSIX::_exit(0);
		}
		close $peer;
	}
}

sub read_data {
	my ($peer) = @_;
	my $raw = '';
	while (defined(my $line = <$peer>)) {
		return $raw if $line =~ /^\.\r?\n\z/;
		$line =~ s/^\.//;
		$raw .= $line;
	}
	die "connection lost\n";
}

# One file per message, complete the moment it has its final name.
sub keep {
	my ($dir, $message, $count) = @_;
	my $name = sprintf '%.6f-%d-%d', Time::HiRes::time(), $$, $count;
	my $text = join '', "F $message->{from}\n", (map { "T $_\n" } @{ $message->{to} }),
		"\n", $message->{raw};
	spew("$dir/$name.tmp", $text);
	rename "$dir/$name.tmp", "$dir/$name.msg" or die "rename: $!";
	return;
}

sub session {
	my ($peer, $dir) = @_;
	my ($message, $count) = ({ to => [] }, 0);
	my $say = sub { print {$peer} "$_[0]\r\n" };

	binmode $peer;
	$peer->autoflush(1);
	$say->('220 sink.example ESMTP');
	while (defined(my $line = <$peer>)) {
		$line =~ s/\r?\n\z//;
		if ($line =~ /^EHLO/i) {
			$say->($_) for '250-sink.example', '250-8BITMIME', '250-SIZE 0', '250 SMTPUTF8';
		} elsif ($line =~ /^MAIL FROM:\s*<(.*?)>(?: |\z)/i) {
			$message = { from => $1, to => [] };
			$say->('250 ok');
		} elsif ($line =~ /^RCPT TO:\s*<(.*?)>(?: |\z)/i) {
			push @{ $message->{to} }, $1;
			$say->('250 ok');
		} elsif ($line =~ /^DATA$/i) {
			$say->('354 go on');
			$message->{raw} = read_data($peer);
			keep($dir, $message, ++$count);
			$say->('250 kept');
		} elsif ($line =~ /^QUIT/i) {
			$say->('221 bye');
			return;
		} else {
			$say->('250 ok');
		}
	}
	return;
}

sub load {
	my ($self, $file) = @_;
	return $self->{loaded}{$file} ||= do {
		my ($head, $raw) = split /\n\n/, slurp("$self->{dir}/$file"), 2;
		my ($from) = $head =~ /^F (.*)$/m;
		my @to = $head =~ /^T (.*)$/mg;
		{ from => $from, to => \@to, raw => $raw };
	};
}

sub all {
	my ($self) = @_;
	opendir my $dir, $self->{dir} or die "$self->{dir}: $!";
	return map { $self->load($_) } sort grep { /\.msg\z/ } readdir $dir;
}

sub for_recipient {
	my ($self, $recipient) = @_;
	return grep {
		my $message = $_;
		grep { lc $_ eq lc $recipient } @{ $message->{to} };
	} $self->all;
}

sub wait_for {
	my ($self, $recipient, $seconds) = @_;
	return wait_until($seconds || 20, sub { ($self->for_recipient($recipient))[0] },
		"no message for $recipient delivered");
}

1;
