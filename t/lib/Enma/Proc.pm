# Enma::Proc - start, watch and stop the processes of a test.
#
# Every started process leads a session and process group of its own.  Whatever happens to
# the test (end, die, a signal, even SIGKILL) the group is ended: normally by
# the END block, otherwise by a small guardian process that notices the closed
# pipe.  Nothing here sleeps for a fixed time: conditions are polled against a
# deadline.
#
#	spawn(cmd => [...], log => FILE, env => {...})   program, returns its pid
#	spawn(code => sub { ... }, keep => [$fh], log => FILE)
#	                                                 Perl code in a child that has only these handles
#	stop($pid, seconds => 10, signal => 'TERM')      wait status, then the group is gone
#	is_alive($pid)                                   not yet ended (reaps it when it has)
#	exit_status($pid)                                wait status once ended, else undef
#	run_command(cmd => [...], stdin => BYTES)        (wait status, output of both streams)
#	at_end($code)                                    run $code before the groups are ended
#	wait_until($seconds, $code, $what)               $code's true value, or die
#	work_dir()                                       fresh folder, removed at the end
#	free_port()                                      loopback TCP port, free at the moment
#	slurp($file), spew($file, $bytes)                whole files, as bytes
#	skip_all($reason)                                end the test program as skipped

package Enma::Proc;

use strict;
use warnings;

use Exporter 'import';
use Fcntl qw(F_SETFD FD_CLOEXEC);
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(time);

our @EXPORT_OK = qw(spawn stop is_alive exit_status run_command at_end wait_until
	work_dir free_port slurp spew skip_all);

use constant {
	POLL_SECONDS => 0.01,
	FD_MAX       => 255,
	PORT_LOW     => 20_000,		# below Linux's range for outgoing connections,
	PORT_HIGH    => 32_000,		# so that no client takes the port meanwhile
};

my $owner = $$;
my %group;				# pid => wait status, undef while it runs
my @order;				# pids in the order of their start
my @cleanup;
my $guard;				# write end of the pipe to the guardian
my $guard_pid;
my %port_given;

for my $name (qw(INT TERM HUP)) {
	# exit() runs the END blocks; a shell would report the signal likewise.
	$SIG{$name} = sub { exit 1 };
}
$SIG{PIPE} = 'IGNORE';

sub work_dir {
	my $dir = File::Temp::tempdir('enma-test-XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
	chmod 0755, $dir or die "$dir: $!";	# MTAs enter it as another user
	guard_start() if !$guard;
	print {$guard} "=$dir\n";
	return $dir;
}

sub slurp {
	my ($file) = @_;
	open my $in, '<:raw', $file or die "$file: $!";
	local $/;
	my $bytes = <$in>;
	return defined $bytes ? $bytes : '';
}

sub spew {
	my ($file, $bytes) = @_;
	open my $out, '>:raw', $file or die "$file: $!";
	print {$out} $bytes or die "$file: $!";
	close $out or die "$file: $!";
	return;
}

sub skip_all {
	my ($reason) = @_;
	$reason =~ s/\s+/ /g;
	print "1..0 # SKIP $reason\n";
	exit 0;
}

sub wait_until {
	my ($seconds, $code, $what) = @_;
	my $deadline = time + $seconds;
	while (1) {
		my $value = $code->();
		return $value if $value;
		die 'gave up after ', $seconds, ' s: ', $what || 'condition', "\n"
			if time > $deadline;
		select undef, undef, undef, POLL_SECONDS;
	}
}

sub free_port {
	for (1 .. 1_000) {
		my $port = PORT_LOW + int rand(PORT_HIGH - PORT_LOW);
		next if $port_given{$port};
		my $try = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port,
			Listen => 1, Proto => 'tcp') or next;
		close $try;
		$port_given{$port} = 1;
		return $port;
	}
	die "no free port found\n";
}

# A forked child holds every socket of its parent, and a port stays taken by it.
sub close_all_but {
	my %keep = map { fileno($_) => 1 } @_;
	POSIX::close($_) for grep { !$keep{$_} } 3 .. FD_MAX;
	return;
}

# The guardian: reads "+pid", "-pid" and "=folder"; at end of file ends and removes what is left.
sub guard_main {
	my ($in) = @_;
	my (%left, @dir);
	$SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
	close_all_but($in);
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', '/dev/null';	# hold no pipe that a harness waits for
	open STDERR, '>', '/dev/null';
	while (my $line = <$in>) {
		$left{$2} = $1 eq '+' if $line =~ /^([+-])(\d+)$/;
		push @dir, $1 if $line =~ m{^=(/.*/enma-test-\w+)$};
	}
	kill 'KILL', $_, -$_ for grep { $left{$_} } keys %left;
	exec 'rm', '-rf', '--', @dir if grep { -d } @dir;
	POSIX::_exit(0);
}

sub guard_start {
	pipe my $read, my $write or die "pipe: $!";
	$guard_pid = fork;
	die "fork: $!" if !defined $guard_pid;
	if ($guard_pid == 0) {
		close $write;
		POSIX::setsid();
		guard_main($read);
	}
	close $read;
	fcntl $write, F_SETFD, FD_CLOEXEC or die "fcntl: $!";
	$write->autoflush(1);
	$guard = $write;
	return;
}

sub child_main {
	my ($o) = @_;
	POSIX::setsid();		# also leads a process group; a Postfix master wants that
	close $guard;
	$SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE CHLD);
	open STDIN, '<', '/dev/null';
	open STDOUT, '>>', $o->{log} || '/dev/null' or POSIX::_exit(126);
	open STDERR, '>&', \*STDOUT or POSIX::_exit(126);
	$ENV{$_} = $o->{env}{$_} for keys %{ $o->{env} || {} };
	if ($o->{code}) {
		close_all_but(@{ $o->{keep} || [] });
		my $ok = eval { $o->{code}->(); 1 };
		syswrite STDERR, "$@" if !$ok;
		POSIX::_exit($ok ? 0 : 125);
	}
	no warnings 'exec';
	exec { $o->{cmd}[0] } @{ $o->{cmd} };
	syswrite STDERR, "$o->{cmd}[0]: $!\n";
	POSIX::_exit(127);
}

sub spawn {
	my (%o) = @_;
	guard_start() if !$guard;
	if ($o{log}) {			# so that it can be read at once
		open my $log, '>>', $o{log} or die "$o{log}: $!";
	}
	my $pid = fork;
	die "fork: $!" if !defined $pid;
	child_main(\%o) if $pid == 0;
	$group{$pid} = undef;
	push @order, $pid;
	print {$guard} "+$pid\n";
	return $pid;
}

sub is_alive {
	my ($pid) = @_;
	return 0 if !exists $group{$pid} || defined $group{$pid};
	my $got = waitpid $pid, POSIX::WNOHANG();
	return 1 if $got == 0;
	$group{$pid} = $got == $pid ? $? : -1;
	return 0;
}

sub exit_status {
	my ($pid) = @_;
	return is_alive($pid) ? undef : $group{$pid};
}

sub stop {
	my ($pid, %o) = @_;
	my $signal = $o{signal} || 'TERM';
	return if !exists $group{$pid};
	if (is_alive($pid)) {
		kill $signal, $pid;
		if (!eval { wait_until($o{seconds} || 10, sub { !is_alive($pid) }) }) {
			kill 'KILL', $pid, -$pid;
			wait_until(10, sub { !is_alive($pid) }, "process $pid does not end");
		}
	}
	# What the leader left behind; zombies that nobody reaps are not waited for.
	eval { wait_until(1, sub { !kill 'KILL', -$pid }) };
	print {$guard} "-$pid\n";
	@order = grep { $_ != $pid } @order;
	return delete $group{$pid};
}

sub run_command {
	my (%o) = @_;
	my $dir = File::Temp->newdir;
	my ($in, $log) = ("$dir/in", "$dir/log");
	spew($in, defined $o{stdin} ? $o{stdin} : '');
	spew($log, '');
	my $code = sub {
		open STDIN, '<:raw', $in or die "$in: $!";
		no warnings 'exec';
		exec { $o{cmd}[0] } @{ $o{cmd} };
		die "$o{cmd}[0]: $!\n";
	};
	my $pid = spawn(code => $code, log => $log, env => $o{env});
	my $done = eval { wait_until($o{seconds} || 30, sub { !is_alive($pid) }) };
	my $status = stop($pid, signal => 'KILL');
	die "@{ $o{cmd} }: does not end\n", slurp($log) if !$done;
	return ($status, slurp($log));
}

sub at_end {
	my ($code) = @_;
	push @cleanup, $code;
	return;
}

END {
	if ($$ == $owner) {
		my $status = $?;
		local $@;
		eval { $_->() } for reverse @cleanup;
		my @left = reverse @order;
		eval { stop($_, seconds => 5) } for @left;
		if ($guard) {
			close $guard;
			waitpid $guard_pid, 0;
		}
		$? = $status;
	}
}

1;
