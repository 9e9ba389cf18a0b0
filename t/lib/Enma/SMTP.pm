# Enma::SMTP - a small SMTP client that sends exactly what it is told.
#
#	my $c = Enma::SMTP->new(port => 2525, bind => '127.0.0.2');
#	my $c = Enma::SMTP->over($in, $out);              the same over two open pipes
#	my ($code, $text) = $c->cmd('EHLO host.example');
#	$c->helo('host.example');
#	$c->xclient(ADDR => '192.0.2.1', NAME => 'host.example', LOGIN => 'user');  greets anew
#	$c->send_mail(from => 'a@b.example', to => 'c@sink.example', data => $bytes, utf8 => 1);
#	$c->quit;
#
# No pipelining, no rewriting: data is dot-stuffed and otherwise sent as given,
# bare line ends, NULs and all.  send_mail returns the reply (code, text) of the
# first command that was refused or, when all went well, of the final dot.

package Enma::SMTP;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Time::HiRes qw(time);

use constant REPLY_SECONDS => 60;

sub new {
	my ($class, %o) = @_;
	my $sock = IO::Socket::INET->new(PeerAddr => $o{host} || '127.0.0.1', PeerPort => $o{port},
		LocalAddr => $o{bind}, Proto => 'tcp', Timeout => 10)
		or die "cannot connect to port $o{port}: $@\n";
	return $class->over($sock, $sock);
}

sub over {
	my ($class, $in, $out) = @_;
	binmode $_ for $in, $out;
	my $self = bless { in => $in, out => $out, buffer => '', select => IO::Select->new($in) }, $class;
	my ($code, $text) = $self->reply;
	$self->{greeting} = [$code, $text];
	return $self;
}

sub greeting { return @{ $_[0]{greeting} } }

sub read_line {
	my ($self) = @_;
	my $deadline = time + REPLY_SECONDS;
	my $end;
	while (($end = index $self->{buffer}, "\n") < 0) {
		my $left = $deadline - time;
		$left > 0 && $self->{select}->can_read($left) or die "no reply from the server\n";
		sysread $self->{in}, $self->{buffer}, 65_536, length $self->{buffer}
			or die "the server closed the connection\n";
	}
	my $line = substr $self->{buffer}, 0, $end + 1, '';
	$line =~ s/\r?\n\z//;
	return $line;
}

# A whole reply; multi-line texts are joined by newlines.
sub reply {
	my ($self) = @_;
	my @text;
	while (1) {
		my $line = $self->read_line;
		$line =~ /^(\d{3})([ -]?)(.*)$/ or die "not an SMTP reply: $line\n";
		push @text, $3;
		return ($1, join "\n", @text) if $2 ne '-';
	}
}

sub raw {
	my ($self, $bytes) = @_;
	while (length $bytes) {
		my $n = syswrite $self->{out}, $bytes;
		defined $n or die "the server closed the connection: $!\n";
		substr $bytes, 0, $n, '';
	}
	return;
}

sub cmd {
	my ($self, $line) = @_;
	$self->raw("$line\r\n");
	return $self->reply;
}

sub helo {
	my ($self, $name) = @_;
	my ($code, $text) = $self->cmd("EHLO $name");
	$self->{features} = $text;
	return ($code, $text);
}

sub has_feature { return $_[0]{features} =~ /^\Q$_[1]\E\b/mi }

sub xtext {
	my ($value) = @_;
	$value =~ s/([^!-*,-<>-~])/sprintf '+%02X', ord $1/ge;
	return $value;
}

sub xclient {
	my ($self, %attr) = @_;
	$attr{ADDR} = "IPV6:$attr{ADDR}" if $attr{ADDR} && $attr{ADDR} =~ /:/ && $attr{ADDR} !~ /^IPV6:/i;
	my ($code, $text) = $self->cmd(join ' ', 'XCLIENT', map { "$_=" . xtext($attr{$_}) } sort keys %attr);
	$code eq '220' or die "XCLIENT refused: $code $text\n";
	return;
}

sub send_mail {
	my ($self, %o) = @_;
	my $param = join '', $o{utf8} ? ' SMTPUTF8' : '', $o{params} ? " $o{params}" : '';
	my ($code, $text) = $self->cmd("MAIL FROM:<$o{from}>$param");
	return ($code, $text) if $code !~ /^2/;
	for my $to (ref $o{to} ? @{ $o{to} } : $o{to}) {
		($code, $text) = $self->cmd("RCPT TO:<$to>");
		return ($code, $text) if $code !~ /^2/;
	}
	($code, $text) = $self->cmd('DATA');
	return ($code, $text) if $code !~ /^3/;
	return $self->send_data($o{data});
}

sub send_data {
	my ($self, $data) = @_;
	$data =~ s/^\./../mg;
	$data .= "\r\n" if $data !~ /\r\n\z/;
	$self->raw("$data.\r\n");
	return $self->reply;
}

sub quit {
	my ($self) = @_;
	my @reply = eval { $self->cmd('QUIT') };
	$self->drop;
	return @reply;
}

# Close without a word, as a client that dies.
sub drop {
	my ($self) = @_;
	close $self->{$_} for qw(in out);
	return;
}

1;
