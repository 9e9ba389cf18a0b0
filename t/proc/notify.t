#!/usr/bin/perl
# What systemd is told (Type=notify, watchdog), and life as process 1 of a container.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_DGRAM);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until spawn stop run_command is_alive exit_status slurp);
use Enma::Workers qw(quiet status ready_pids is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();

subtest 'notifications' => sub {
	my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$dir/notify") or die "notify: $!";
	my @heard;
	# Takes what came; true when $pattern is among all that was heard since the list was cleared.
	my $hears = sub {
		my ($pattern, $what) = @_;
		return wait_until(10, sub {
			while (IO::Select->new($notify)->can_read(0)) {
				$notify->recv(my $text, 4096);
				push @heard, $text;
			}
			return grep { $_ =~ $pattern } @heard;
		}, $what);
	};
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", quiet($dir), 'worker.stuck_timeout' => '2s'],
		env => { NOTIFY_SOCKET => "$dir/notify", WATCHDOG_USEC => 1_000_000 })->start;
	ok($hears->(qr/^READY=1\nSTATUS=Generation 1, 2 of 2 workers ready/, 'READY'), 'READY with the first generation');
	my $from = time;
	@heard = ();
	wait_until(10, sub { $hears->(qr/^WATCHDOG=1/, 'WATCHDOG'); return 4 <= grep { /^WATCHDOG=1/ } @heard }, 'the watchdog is fed');
	cmp_ok(time - $from, '<', 4, 'the watchdog is fed in time');
	for my $worker (ready_pids($enma)) {
		unlike(slurp("/proc/$worker/environ"), qr/NOTIFY_SOCKET|WATCHDOG_/, 'a worker cannot speak for the service');
	}
	@heard = ();
	is(($enma->ctl('reload'))[0], 0, 'reload');
	ok($hears->(qr/^RELOADING=1\nMONOTONIC_USEC=\d+/, 'RELOADING'), 'RELOADING');
	ok($hears->(qr/^READY=1\nSTATUS=Generation 2/, 'READY'), 'READY again');
	@heard = ();
	$enma->set('worker.count' => 'many');
	is(($enma->ctl('reload'))[0], 1, 'a refused reload');
	ok($hears->(qr/^READY=1\nSTATUS=Generation 2/, 'READY'), 'READY again');
	@heard = ();
	my ($victim) = ready_pids($enma);
	kill 'STOP', $victim;
	ok($hears->(qr/^STATUS=Degraded: a worker is stuck/, 'degraded'), 'a stuck worker is told');
	kill 'CONT', $victim;
	ok($hears->(qr/^STATUS=Generation 2, 2 workers ready/, 'whole'), 'and that it is over');
	@heard = ();
	$enma->stop;
	ok($hears->(qr/^STOPPING=1/, 'STOPPING'), 'STOPPING');
};

subtest 'process 1' => sub {
	my ($status) = run_command(cmd => ['unshare', '--pid', '--fork', 'true']);
	plan skip_all => 'no right to make a process name space' if $status != 0;
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", quiet($dir)]);
	my $outer = spawn(cmd => ['unshare', '--pid', '--fork', '--kill-child', Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file],
		log => "$dir/output");
	wait_until(20, sub { ($enma->ctl('status'))[0] == 0 || !is_alive($outer) }, 'it serves');
	is(status($enma)->{pid}, 1, 'enma is process 1');
	my ($pid) = split ' ', slurp("/proc/$outer/task/$outer/children");
	my $zombies = sub {
		return grep { (eval { slurp("/proc/$_/stat") } || '') =~ /\) Z / } split ' ', slurp("/proc/$pid/task/$pid/children");
	};
	# Ten processes whose parent is gone at once: process 1 inherits them.
	my ($code, $text) = run_command(cmd => ['nsenter', '-t', $pid, '-p', 'sh', '-c',
		'for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.1 & echo $! >/dev/null); done']);
	is($code, 0, 'orphans') or diag $text;
	my $from = time;
	wait_until(10, sub { time - $from > 0.5 && !$zombies->() }, 'orphans are reaped');
	pass('are reaped');
	is(($enma->ctl('reload'))[0], 0, 'reload');
	kill 'TERM', $pid;
	wait_until(10, sub { !is_running($pid) }, 'TERM ends it');
	pass('TERM ends it');
	ok(!-e "$dir/milter", 'its socket is removed');
};

done_testing();
