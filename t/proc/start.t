#!/usr/bin/perl
# Starting: in the background and in the foreground, what is refused and with which words and exit code, and nothing half started.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until run_command spawn stop is_alive exit_status slurp spew free_port);
use Enma::Workers qw(quiet status ready_pids is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $program = Enma::Daemon::build() . '/enma';

# A configuration that is not started.
sub conf {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'log.target' => 'auto', quiet($dir), @set]);
}

sub enma {
	my (@arg) = @_;
	my ($status, $text) = run_command(cmd => [$program, @arg], seconds => 40);
	return ($status & 127 ? "signal $status" : $status >> 8, $text);
}

sub leaves_nothing {
	my ($enma, $name) = @_;
	ok(!(grep { -e } "$dir/milter", $enma->dir . '/enma.pid', $enma->dir . '/control'), "$name: nothing is left behind");
	return;
}

sub refused {
	my ($name, $code, $pattern, $enma, @arg) = @_;
	for my $mode ('-f', undef) {
		my @mode = defined $mode ? $mode : ();
		my ($got, $text) = enma(@mode, '-c', $enma->conf_file, @arg);
		my $where = "$name, " . (defined $mode ? 'foreground' : 'background');
		is($got, $code, "$where: exit code $code") or diag $text;
		like($text, $pattern, "$where: the reason");
		is(scalar(() = $text =~ /$pattern/g), 1, "$where: once");
	}
	return;
}

subtest 'command line' => sub {
	my ($code, $text) = enma('-V');
	is($code, 0, '-V');
	like($text, qr/^enma \d+\.\d+\.\d+\n\z/, 'version');
	($code, $text) = enma('-h');
	is($code, 0, '-h');
	like($text, qr/^usage: enma/, 'usage');
	for my $arg (['-q'], ['-c'], ['file'], ['-x', 'nothing'], ['-g', 'x'], ['-g', '99999999999999999999']) {
		($code, $text) = enma(@$arg);
		is($code, 64, "@$arg: exit code 64");
		like($text, qr/usage: enma/, 'usage');
	}
};

subtest '-T' => sub {
	my $enma = conf();
	my ($code, $text) = enma('-T', '-c', $enma->conf_file);
	is($code, 0, 'a good file');
	like($text, qr/^enma: the configuration is good/m, 'said so');
	ok(!-e "$dir/milter", 'no socket was made');
	my $file = $enma->conf_file;
	spew($file, slurp($file) . "# comment\nworker.cuont: 3\nspf.auth: maybe\nworker.drain_timeout: soon\nmilter.socket: nowhere\nno colon\n" .
		"milter.user: no-such-user-here\nresolver.zone: /nonexistent/zone\ncommon.exclusion_addresses: 192.0.2.0/33\n");
	my $line = () = slurp($file) =~ /\n/g;
	($code, $text) = enma('-T', '-c', $file, '-o', 'no.key=1');
	is($code, 78, 'exit code 78');
	my $n = $line - 8;
	like($text, qr/^\Q$file\E:@{[ $n + 1 ]}: unknown key "worker\.cuont"; did you mean "worker\.count"/m, 'unknown key, with a suggestion');
	like($text, qr/^\Q$file\E:@{[ $n + 2 ]}: spf\.auth: /m, 'boolean');
	like($text, qr/^\Q$file\E:@{[ $n + 3 ]}: worker\.drain_timeout: /m, 'time');
	like($text, qr/^\Q$file\E:@{[ $n + 4 ]}: milter\.socket: /m, 'socket');
	like($text, qr/^\Q$file\E:@{[ $n + 5 ]}: /m, 'no key at all');
	like($text, qr/no user "no-such-user-here"/, 'user');
	like($text, qr{/nonexistent/zone: .*No such file}, 'file');
	like($text, qr/^\Q$file\E:@{[ $n + 8 ]}: common\.exclusion_addresses: /m, 'range');
	like($text, qr/^command line: unknown key "no\.key"/m, 'command line');
	like($text, qr/not usable/, 'verdict');
	($code, $text) = enma('-T', '-c', '/nonexistent/enma.conf');
	is($code, 78, 'no such file');
	like($text, qr{/nonexistent/enma\.conf}, 'is named');
	($code, $text) = enma('-T', '-v', '-c', '');
	is($code, 0, 'defaults are good');
	like($text, qr/^worker\.drain_timeout: /m, '-v prints them');
};

subtest 'background' => sub {
	my $enma = conf();
	my $from = time;
	my ($code, $text) = enma('-c', $enma->conf_file);
	is($code, 0, 'exit code 0 when it serves') or diag $text;
	is(($enma->ctl('status'))[0], 0, 'and it does serve');
	my ($pid) = slurp($enma->dir . '/enma.pid') =~ /\A(\d+)\n\z/;
	is(status($enma)->{pid}, $pid, 'its process id is in the pid file');
	is((stat $enma->dir . '/enma.pid')[2] & 07777, 0644, 'which all may read');
	is(readlink("/proc/$pid/fd/$_"), '/dev/null', "descriptor $_ is let go") for 0, 1, 2;
	my ($session) = slurp("/proc/$pid/stat") =~ /\) \S (?:-?\d+ ){2}(\d+)/;
	isnt($session, (slurp("/proc/$$/stat") =~ /\) \S (?:-?\d+ ){2}(\d+)/)[0], 'a session of its own');
	my @want = ($pid);
	for my $worker (ready_pids($enma)) {
		my %fd = map { m{/(\d+)$} ? ($1 => readlink) : () } glob "/proc/$worker/fd/*";
		is($fd{0}, '/dev/null', "worker $worker: standard input");
		is(scalar(grep { defined && m{/enma\.pid|signalfd|/control} } values %fd), 0, 'has nothing of the supervisor');
		my ($group) = slurp("/proc/$worker/stat") =~ /\) \S -?\d+ (\d+)/;
		is($group, $worker, 'leads its own process group');
	}
	refused('second start', 69, qr/enma is already running as pid $pid \(/, $enma);
	is(($enma->ctl('status'))[0], 0, 'the first one is untouched');
	ok(-S "$dir/milter" && -S $enma->dir . '/control', 'so are its sockets');
	my ($ctl, $said) = $enma->ctl('start');
	is($ctl, 1, 'enmactl start is refused');
	like($said, qr/already running as pid $pid/, 'clearly');
	is(($enma->ctl('stop'))[0], 0, 'stop');
	ok(!is_running($pid), 'it is gone');
	leaves_nothing($enma, 'stop');
};

subtest 'enmactl start, restart' => sub {
	my $enma = conf();
	my ($code, $text) = $enma->ctl('start');
	is($code, 0, 'start') or diag $text;
	my $pid = status($enma)->{pid};
	is(($enma->ctl('restart'))[0], 0, 'restart');
	isnt(status($enma)->{pid}, $pid, 'is another process');
	$pid = status($enma)->{pid};
	my $good = slurp($enma->conf_file);
	spew($enma->conf_file, "$good\nbroken: yes\n");
	($code, $text) = $enma->ctl('restart');
	is($code, 1, 'restart with a broken file is refused');
	like($text, qr/unknown key "broken"/, 'with the reason');
	is(status($enma)->{pid}, $pid, 'and stops nothing');
	is(($enma->ctl('stop'))[0], 0, 'the broken file does not keep it from being stopped');
	($code, $text) = $enma->ctl('start');
	is($code, 1, 'start with a broken file fails');
	like($text, qr/unknown key "broken"/, 'with the reason');
	leaves_nothing($enma, 'failed start');
	is(($enma->ctl('status'))[0], 2, 'status: not running');
};

subtest 'places that cannot be had' => sub {
	my $unix = IO::Socket::UNIX->new(Local => "$dir/taken", Listen => 1);
	my $inet = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1);
	my $port = $inet->sockport;
	spew("$dir/file", 'precious');
	my $enma = conf();
	my $taken = qr/cannot listen on \S+: a program already listens there/;
	refused('unix socket in use', 69, $taken, $enma, '-o', "milter.socket=unix:$dir/taken");
	leaves_nothing($enma, 'unix socket in use');
	ok(-S "$dir/taken", 'the socket of the other program stays');
	refused('port in use', 69, $taken, $enma, '-o', "milter.socket=inet:$port\@127.0.0.1");
	refused('a file in the way', 69, qr/no socket/, $enma, '-o', "milter.socket=unix:$dir/file");
	is(slurp("$dir/file"), 'precious', 'the file is untouched');
	refused('control socket in use', 69, qr/control\.socket: .*already listens/, $enma, '-o', "control.socket=unix:$dir/taken");
	refused('no such address', 69, qr/no such address/, $enma, '-o', 'milter.socket=inet:0@192.0.2.1');
	refused('no such folder', 69, qr{cannot make the folder /nonexistent/x}, $enma, '-o', 'milter.socket=unix:/nonexistent/x/y');
	refused('one of three', 69, $taken, $enma, '-o', "milter.socket=unix:$dir/one", '-o', "milter.socket=unix:$dir/taken",
		'-o', 'milter.socket=inet:0@127.0.0.1');
	ok(!-e "$dir/one", 'the others are not left behind');
	leaves_nothing($enma, 'one of three');
	refused('no such user', 78, qr/no user "no-such-user-here"/, $enma, '-o', 'milter.user=no-such-user-here');
	refused('pid file that is a folder', 78, qr/pid file/, $enma, '-o', "milter.pidfile=$dir");
	symlink "$dir/file", "$dir/link";
	refused('pid file that is a link', 78, qr/symbolic link/, $enma, '-o', "milter.pidfile=$dir/link");
	is(slurp("$dir/file"), 'precious', 'whose target is untouched');
	link "$dir/file", "$dir/hard";
	refused('pid file that is another file, too', 78, qr/has another name/, $enma, '-o', "milter.pidfile=$dir/hard");
	is(slurp("$dir/file"), 'precious', 'which is untouched');
	unlink "$dir/hard";
	refused('log folder', 78, qr{/nonexistent/x}, $enma, '-o', 'log.target=file:/nonexistent/x/log');
	refused('chdir', 78, qr/milter\.chdir/, $enma, '-o', 'milter.chdir=/nonexistent');
	leaves_nothing($enma, 'all of these');
};

subtest 'stale files, missing folders' => sub {
	my $old = IO::Socket::UNIX->new(Local => "$dir/milter", Listen => 1);
	close $old;
	ok(-S "$dir/milter", 'a socket that nobody answers');
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", quiet($dir), 'milter.pidfile' => "$dir/run/enma.pid",
		'control.socket' => "unix:$dir/run/control", 'log.target' => "file:$dir/log/enma.log"]);
	mkdir "$dir/run";
	spew("$dir/run/enma.pid", "1\n");
	umask 077;
	$enma->start;
	umask 022;
	pass('is taken over, so is a stale pid file');
	is(slurp("$dir/run/enma.pid"), $enma->pid . "\n", 'with the new process id');
	is((stat "$dir/log")[2] & 07777, 0755, 'a missing folder is made, whatever the umask');
	is((stat "$dir/milter")[2] & 07777, 0660, 'mode of the milter socket');
	is((stat "$dir/run/control")[2] & 07777, 0660, 'mode of the control socket');
	$enma->stop;
	ok(!-e "$dir/run/enma.pid" && -d "$dir/run", 'files go, folders stay');
};

subtest 'without a pid file' => sub {
	my $enma = conf('milter.pidfile' => '');
	is(($enma->ctl('start'))[0], 0, 'start');
	refused('second start', 69, qr/already listens there/, $enma);
	is(($enma->ctl('status'))[0], 0, 'the first one is untouched');
	is(($enma->ctl('stop'))[0], 0, 'stop');
};

subtest 'inherited oddities' => sub {
	my $enma = conf();
	# Ignored signals, a blocked TERM, stray descriptors.
	my $pid = spawn(log => "$dir/odd", code => sub {
		$SIG{$_} = 'IGNORE' for qw(HUP TERM INT CHLD);
		POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(POSIX::SIGTERM(), POSIX::SIGCHLD()));
		open my $stray, '<', '/etc/passwd' or die;
		POSIX::dup2(fileno $stray, $_) for 20 .. 30;
		exec $program, '-f', '-c', $enma->conf_file;
	});
	wait_until(20, sub { ($enma->ctl('status'))[0] == 0 }, 'it serves');
	is(scalar(grep { (readlink || '') eq '/etc/passwd' } glob "/proc/$pid/fd/*"), 0, 'stray descriptors are closed');
	my ($worker) = ready_pids($enma);
	is(scalar(grep { (readlink || '') eq '/etc/passwd' } glob "/proc/$worker/fd/*"), 0, 'also in workers');
	kill 'KILL', $worker;
	wait_until(10, sub { my @p = ready_pids($enma); @p == 2 && !grep { $_ == $worker } @p }, 'CHLD arrives');
	kill 'TERM', $pid;
	wait_until(10, sub { !is_alive($pid) }, 'TERM arrives');
	is(exit_status($pid), 0, 'and it stops');
};

done_testing();
