# Enma::DNS - the test DNS server (t/tools/dnsd.c) with a zone file.
#
#	my $dns = Enma::DNS->new(file => 't/zones/e2e.zone');       or text => "a.example A 192.0.2.1\n"
#	$dns->address           what goes into resolver.forward: 127.0.0.1@PORT
#	$dns->port, $dns->log
#	$dns->stop
#
# Zone lines are "name [ttl] TYPE rdata"; "name TIMEOUT|SERVFAIL|NXDOMAIN|GARBAGE"
# makes a name misbehave.

package Enma::DNS;

use strict;
use warnings;

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
	my $self = bless { log => "$dir/log" }, $class;
	my $file = $o{file};
	if (!$file) {
		$file = "$dir/zone";
		spew($file, $o{text});
	}
	$self->{pid} = spawn(cmd => [program(), '--port', 0, $file], log => $self->{log});
	wait_until(START_SECONDS, sub {
		die "dnsd ended: ", $self->log if !is_alive($self->{pid});
		($self->{port}) = $self->log =~ /^listening (\d+)$/m;
	}, 'dnsd does not start');
	return $self;
}

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
