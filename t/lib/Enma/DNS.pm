# Enma::DNS - the test DNS server (t/tools/dnsd.c) with a zone file.
#
#	my $dns = Enma::DNS->new(file => 't/zones/e2e.zone');       or text => "a.example A 192.0.2.1\n"
#	$dns->address           what goes into resolver.forward: 127.0.0.1@PORT
#	$dns->port, $dns->pid, $dns->log
#	$dns->count('a.example TXT'), $dns->count       queries that reached it: for one question, all
#	$dns->zone($text)       answers from this from now on (of one made with text)
#	$dns->stop
#
# Zone lines are "name [ttl] TYPE rdata"; "name TIMEOUT|SERVFAIL|NXDOMAIN|GARBAGE"
# makes a name misbehave.

package Enma::DNS;

use strict;
use warnings;

use IO::Socket::UNIX;

use Enma::Proc qw(spawn is_alive wait_until work_dir slurp spew);

use constant START_SECONDS => 10;

sub program { return ($ENV{ENMA_BUILD} || 'build') . '/t/dnsd' }

sub missing {
	return if -x program();
	return program() . ' is not built';
}

sub new {
	my ($class, %o) = @_;
	my $dir = work_dir();
	my $self = bless { log => "$dir/log", control => "$dir/control" }, $class;
	my $file = $o{file};
	if (!$file) {
		$file = "$dir/zone";
		spew($file, $o{text});
	}
	$self->{file} = $file;
	$self->{pid} = spawn(cmd => [program(), '--port', 0, '--control', $self->{control}, $file], log => $self->{log});
	wait_until(START_SECONDS, sub {
		die "dnsd ended: ", $self->log if !is_alive($self->{pid});
		($self->{port}) = $self->log =~ /^listening (\d+)$/m;
	}, 'dnsd does not start');
	return $self;
}

sub control {
	my ($self, $command) = @_;
	my $s = IO::Socket::UNIX->new(Peer => $self->{control}) or die "dnsd's control socket: $!";
	$s->autoflush(1);
	print {$s} "$command\n";
	my $text = '';
	while (defined(my $line = <$s>)) {
		last if $line eq ".\n";
		$text .= $line;
	}
	return $text;
}

sub count {
	my ($self, $question) = @_;
	my $text = $self->control('count');
	return $text =~ /^total (\d+)/ ? $1 : die "dnsd: $text" if !defined $question;
	return $text =~ /^(\d+) \Q$question\E$/m ? $1 : 0;
}

sub zone {
	my ($self, $text) = @_;
	spew($self->{file}, $text);
	my $answer = $self->control('reload');
	die "dnsd: $answer" if $answer !~ /^ok/;
	return;
}

sub pid { return $_[0]{pid} }
sub port { return $_[0]{port} }
sub address { return "127.0.0.1\@$_[0]{port}" }
sub log { return slurp($_[0]{log}) }

sub stop {
	my ($self) = @_;
	Enma::Proc::stop(delete $self->{pid}) if $self->{pid};
	return;
}

sub DESTROY {
	my ($self) = @_;
	local ($@, $?);
	$self->stop if !${^GLOBAL_PHASE} || ${^GLOBAL_PHASE} ne 'DESTRUCT';
	return;
}

1;
