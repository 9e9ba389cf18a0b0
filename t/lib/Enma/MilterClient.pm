# Enma::MilterClient - one milter connection, packet by packet, as an MTA drives it.
#
#	my $m = Enma::MilterClient->new('unix:/path', protocol => 0x3f, version => 2, actions => 0x3f);
#	$m->{version}, $m->{actions}, $m->{protocol}, $m->{symbols}{5}        what the filter answered
#	$m->connect('client.example', '192.0.2.1');     '' when no reply was due, else the code ('c', 't', 'r', 'a' ...)
#	$m->helo($name); $m->mail('<a@b>', i => 'QID'); further arguments are macros sent before
#	$m->rcpt; $m->data; $m->header($name, $value); $m->eoh; $m->body($bytes);
#	my $r = $m->eom(i => 'QID');    { code => 'c', text => '', edits => [['i', 0, NAME, VALUE], ['m', 2, NAME, '']] }
#	$m->abort; $m->quit;
#	my $r = $m->message(from => '<a@b>', qid => 'Q1', headers => [[NAME => VALUE], ...], body => BYTES);
#		body => [PIECE, ...] sends that many packets, until one is answered with 's'; $r->{body} holds the answers
#	my ($message) = apply($r, @headers);    the headers after the edits, as an MTA applies them
#
# What the filter asked not to be sent is not sent; what it does not answer is not waited for.  Every read has a
# deadline (seconds => 30).  Dies when the filter closes the connection or breaks the protocol.

package Enma::MilterClient;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM AF_INET6 inet_pton pack_sockaddr_in6);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(apply);

# command => [bit "do not send", bit "no reply"]
my %step = (
	C => [0x1, 0x1000], H => [0x2, 0x2000], M => [0x4, 0x4000], R => [0x8, 0x8000], T => [0x200, 0x10000],
	L => [0x20, 0x80], N => [0x40, 0x40000], B => [0x10, 0x80000],
);
use constant { LEADSPC => 0x100000, PACKET_MAX => 1 << 20 };

sub dial {
	my ($addr) = @_;
	my $sock;
	if ($addr =~ /^(?:unix|local):(.*)$/) {
		$sock = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $1);
	} elsif ($addr =~ /^inet:(\d+)\@(.*)$/) {
		$sock = IO::Socket::INET->new(PeerAddr => $2, PeerPort => $1, Proto => 'tcp');
	} elsif ($addr =~ /^inet6:(\d+)\@(.*)$/) {
		socket($sock, AF_INET6, SOCK_STREAM, 0) or die "socket: $!";
		connect($sock, pack_sockaddr_in6($1, inet_pton(AF_INET6, $2))) or undef $sock;
	} else {
		die "unknown address $addr";
	}
	return $sock || die "cannot connect to $addr: $!\n";
}

sub new {
	my ($class, $addr, %o) = @_;
	my $self = bless { sock => dial($addr), seconds => $o{seconds} || 30, buffer => '' }, $class;
	$self->{sock}->autoflush(1) if $self->{sock}->can('autoflush');
	my %offer = (version => 6, actions => 0x1ff, protocol => 0x1fffff, %o);
	$self->send_packet('O', pack 'N3', @offer{qw(version actions protocol)});
	my ($code, $data) = $self->read_packet;
	die "answer to the negotiation: $code\n" if $code ne 'O' || length $data < 12;
	@$self{qw(version actions protocol)} = unpack 'N3', $data;
	die sprintf "protocol bits 0x%x were not offered\n", $self->{protocol} & ~$offer{protocol}
		if $self->{protocol} & ~$offer{protocol};
	die "actions that were not offered\n" if $self->{actions} & ~$offer{actions};
	my @lists = unpack '(N Z*)*', substr $data, 12;
	$self->{symbols} = {@lists};
	return $self;
}

sub send_packet {
	my ($self, $command, $data) = @_;
	my $bytes = pack('N', 1 + length $data) . $command . $data;
	while (length $bytes) {
		my $n = syswrite $self->{sock}, $bytes;
		die "write: $!\n" if !defined $n;
		substr $bytes, 0, $n, '';
	}
	return;
}

sub fill {
	my ($self, $want, $until) = @_;
	while (length $self->{buffer} < $want) {
		my $left = $until - time;
		die "no answer within $self->{seconds} s\n" if $left <= 0;
		next if !IO::Select->new($self->{sock})->can_read($left);
		my $n = sysread $self->{sock}, $self->{buffer}, 65536, length $self->{buffer};
		die "read: $!\n" if !defined $n;
		die "the filter closed the connection\n" if $n == 0;
	}
	return;
}

sub read_packet {
	my ($self) = @_;
	my $until = time + $self->{seconds};
	$self->fill(4, $until);
	my $n = unpack 'N', substr $self->{buffer}, 0, 4, '';
	die "a packet of $n bytes\n" if $n < 1 || $n > PACKET_MAX;
	$self->fill($n, $until);
	my $packet = substr $self->{buffer}, 0, $n, '';
	return (substr($packet, 0, 1), substr $packet, 1);
}

# True when the filter has said nothing (more) within a moment.
sub is_silent {
	my ($self, $seconds) = @_;
	return $self->{buffer} eq '' && !IO::Select->new($self->{sock})->can_read($seconds);
}

sub step {
	my ($self, $command, $data, @macros) = @_;
	my ($unwanted, $silent) = @{ $step{$command} };
	return '' if $self->{protocol} & $unwanted;
	$self->send_packet('D', $command . join '', map { "$_\0" } @macros) if @macros;
	$self->send_packet($command, $data);
	return '' if $self->{protocol} & $silent;
	my ($code, $text) = $self->read_packet;
	$self->{text} = $text;
	return $code;
}

sub connect {
	my ($self, $name, $ip, @macros) = @_;
	my $family = !defined $ip ? 'U' : $ip =~ /:/ ? '6' : $ip =~ m{^/} ? 'L' : '4';
	my $rest = $family eq 'U' ? '' : pack('n', 25) . "$ip\0";
	return $self->step('C', "$name\0$family$rest", @macros);
}

sub helo { my ($self, $name, @macros) = @_; return $self->step('H', "$name\0", @macros) }
# MTAs have {mail_addr} for every sender.
sub mail {
	my ($self, $from, @macros) = @_;
	(my $addr = $from) =~ s/^<(.*)>$/$1/;
	return $self->step('M', "$from\0", '{mail_addr}' => $addr, @macros);
}
sub rcpt { my ($self, $to, @macros) = @_; return $self->step('R', ($to // '<u@mx.example.jp>') . "\0", @macros) }
sub data { my ($self, @macros) = @_; return $self->step('T', '', @macros) }
sub eoh { my ($self, @macros) = @_; return $self->step('N', '', @macros) }
sub body { my ($self, $bytes) = @_; return $self->step('B', $bytes) }
sub abort { my ($self) = @_; return $self->send_packet('A', '') }
sub quit { my ($self) = @_; $self->send_packet('Q', ''); close $self->{sock}; return }

# The value as it stands behind the colon; an MTA without leading blanks eats one.
sub header {
	my ($self, $name, $value) = @_;
	$value =~ s/^ // if !($self->{protocol} & LEADSPC);
	return $self->step('L', "$name\0$value\0");
}

sub eom {
	my ($self, @macros) = @_;
	my @edits;
	$self->send_packet('D', join '', 'E', map { "$_\0" } @macros) if @macros;
	$self->send_packet('E', '');
	while (1) {
		my ($code, $data) = $self->read_packet;
		if ($code eq 'i') {
			push @edits, ['i', unpack 'N Z* Z*', $data];
			$edits[-1][3] = " $edits[-1][3]" if !($self->{protocol} & LEADSPC);
		} elsif ($code eq 'm') {
			push @edits, ['m', unpack 'N Z* Z*', $data];
		} elsif ($code eq 'p') {
			$self->{progress}++;
		} elsif ($code =~ /^[+\-2behq]$/) {
			push @edits, [$code, $data];
		} else {
			$data =~ s/\0\z//;
			return { code => $code, text => $data, edits => \@edits };
		}
	}
}

# As Postfix: the macros of MAIL before MAIL, the queue id when it is known.
sub message {
	my ($self, %o) = @_;
	my @qid = defined $o{qid} ? (i => $o{qid}) : ();
	my @login = defined $o{login} ? ('{auth_authen}' => $o{login}) : ();
	my @headers = $o{headers} ? @{ $o{headers} } : ([From => ' a@b.example']);
	my $code = $self->mail($o{from}, @login);
	return { code => $code, text => $self->{text}, edits => [] } if $code !~ /^c?$/;
	$self->rcpt;
	$self->data(@qid);
	$self->header(@$_) for @headers;
	$self->eoh(@qid);
	my @answers;
	for my $piece (ref $o{body} ? @{ $o{body} } : $o{body} // "hello\r\n") {
		push @answers, $self->body($piece);
		last if $answers[-1] eq 's';
	}
	return { %{ $self->eom(@qid) }, body => \@answers };
}

# The edits in their order on a list of [NAME, VALUE], as both MTAs do it: 'm' counts the fields of that name as received.
sub apply {
	my ($result, @headers) = @_;
	my (@list, %count);
	for my $h (@headers) {
		(my $name = $h->[0]) =~ s/\s+\z//;
		push @list, { name => $h->[0], value => $h->[1], key => lc($name), number => ++$count{ lc $name } };
	}
	for my $e (@{ $result->{edits} }) {
		my ($op, $index, $name, $value) = @$e;
		if ($op eq 'm') {
			die "not a deletion: $name $index\n" if $value ne '';
			@list = grep { !(defined $_->{number} && $_->{key} eq lc $name && $_->{number} == $index) } @list;
		} elsif ($op eq 'i') {
			splice @list, $index, 0, { name => $name, value => $value };
		} else {
			die "unexpected edit $op\n";
		}
	}
	return map { [$_->{name}, $_->{value}] } @list;
}

1;
