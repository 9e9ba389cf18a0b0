# Enma::Daemon - enma itself for a test: a configuration file in a temporary
# folder, the daemon in the foreground, enmactl beside it.
#
#	my $enma = Enma::Daemon->new(conf => [
#		'milter.socket' => 'inet:PORT@127.0.0.1',
#		'resolver.forward' => $dns->address ]);
#	$enma->start;                   until enmactl status says it is good (dies with the log otherwise)
#	my ($code, $text) = $enma->ctl('status', '--json');     exit code and output of enmactl
#	$enma->pid, $enma->dir, $enma->conf_file, $enma->log
#	$enma->set('spf.auth' => 'no'); replaces a setting in the file (reload is yours to ask for)
#	$enma->stop;                    SIGTERM (drains for at most 10 s); returns the wait status
#	$enma->stop_now;                enmactl stop --now: sessions are cut
#
# conf is a list of key and value (keys may repeat).  Keys that are not given
# and that a test always needs (control.socket, milter.pidfile, log.target, ...)
# get values inside the temporary folder; a given one wins, and undef leaves
# the key out.  The folder is open to all users, as MTAs need it.

package Enma::Daemon;

use strict;
use warnings;

use Enma::Proc qw(spawn is_alive run_command wait_until work_dir slurp spew);

use constant {
	START_SECONDS => 30,
	STOP_SECONDS  => 30,
};

sub build { return $ENV{ENMA_BUILD} || 'build' }

sub missing {
	return if -x build() . '/enma' && -x build() . '/enmactl';
	return 'enma is not built in ' . build();
}

sub new {
	my ($class, %o) = @_;
	my $dir = work_dir();
	my $self = bless { dir => $dir, args => $o{args} || [], env => $o{env} || {} }, $class;
	my @conf = @{ $o{conf} || [] };
	my %given = map { $conf[2 * $_] => 1 } 0 .. $#conf / 2;
	my @usual = ('control.socket' => "unix:$dir/control", 'milter.pidfile' => "$dir/enma.pid",
		'log.target' => "file:$dir/enma.log", 'authresult.identifier' => 'mx.example.jp',
		'cache.path' => "$dir/cache/cache", 'cache.size' => '16m',
		'worker.count' => 2, 'worker.drain_timeout' => '10s');
	while (my ($key, $value) = splice @usual, 0, 2) {
		push @conf, $key, $value if !$given{$key};
	}
	$self->{conf} = \@conf;
	$self->write_conf;
	return $self;
}

sub write_conf {
	my ($self) = @_;
	my @conf = @{ $self->{conf} };
	my $text = '';
	while (my ($key, $value) = splice @conf, 0, 2) {
		$text .= "$key: $value\n" if defined $value;
	}
	spew($self->conf_file, $text);
	return;
}

sub set {
	my ($self, $key, @value) = @_;
	my @old = @{ $self->{conf} };
	my @new;
	while (my ($k, $v) = splice @old, 0, 2) {
		push @new, $k, $v if $k ne $key;
	}
	$self->{conf} = [@new, map { ($key => $_) } @value];
	$self->write_conf;
	return;
}

sub dir { return $_[0]{dir} }
sub pid { return $_[0]{pid} }
sub conf_file { return "$_[0]{dir}/enma.conf" }

sub ctl {
	my ($self, @arg) = @_;
	my ($status, $text) = run_command(cmd => [build() . '/enmactl', '-c', $self->conf_file, @arg], seconds => 60);
	return ($status & 127 ? -1 : $status >> 8, $text);
}

sub start {
	my ($self) = @_;
	$self->{pid} = spawn(cmd => [build() . '/enma', '-f', '-c', $self->conf_file, @{ $self->{args} }],
		env => $self->{env}, log => "$self->{dir}/output");
	my $text = '';
	my $ready = eval {
		wait_until(START_SECONDS, sub {
			return 1 if !is_alive($self->{pid});
			(my $code, $text) = $self->ctl('status');
			return $code == 0;
		});
	};
	die "enma does not start (enmactl status: $text):\n", $self->log if !$ready || !is_alive($self->{pid});
	return $self;
}

sub stop {
	my ($self, %o) = @_;
	return if !$self->{pid};
	my $status = Enma::Proc::stop(delete $self->{pid}, seconds => STOP_SECONDS, %o);
	# Workers leave by _exit, whatever a sanitizer has found in them: its report is all there is to see.
	die "a sanitizer complains:\n", $self->log if $self->log =~ /(?:Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:/;
	return $status;
}

sub stop_now {
	my ($self) = @_;
	my ($code, $text) = $self->ctl('stop', '--now');
	die "enmactl stop --now: exit $code: $text" if $code;
	return $self->stop;
}

# What it wrote: the log, and what came out of its standard streams.
sub log {
	my ($self) = @_;
	return join '', map { -e "$self->{dir}/$_" ? slurp("$self->{dir}/$_") : () } qw(output enma.log);
}

sub DESTROY {
	my ($self) = @_;
	local ($@, $?);
	$self->stop if !${^GLOBAL_PHASE} || ${^GLOBAL_PHASE} ne 'DESTRUCT';
	return;
}

1;
