#!/usr/bin/perl
# Stopping: sessions finish first, by either way of the listener's handover; --now does not wait; the supervisor's own death is not the workers'.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until spawn stop is_alive exit_status slurp spew free_port);
use Enma::Workers qw(quiet status stats ready_pids load_begin load_end is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => [(grep { $_ eq 'milter.socket' } @set) ? () : ('milter.socket' => $socket), quiet($dir), @set])->start;
}

sub session_open {
	my ($at) = @_;
	my $m = Enma::MilterClient->new($at || $socket);
	$m->connect('mail.pass.example', '192.0.2.1');
	$m->helo('mail.pass.example');
	return $m;
}

# A session of its own, closed again.
sub serves {
	my ($at) = @_;
	my $m = session_open($at);
	my $good = is_served($m);
	$m->quit;
	return $good;
}

sub is_served {
	my ($m) = @_;
	my $r = eval { $m->message(from => '<a@pass.example>') };
	return $r && $r->{code} eq 'c';
}

sub ctl_begin {
	my ($enma, @arg) = @_;
	return spawn(cmd => [Enma::Daemon::build() . '/enmactl', '-c', $enma->conf_file, @arg], log => $enma->dir . '/ctl');
}

sub nothing_left {
	my ($enma) = @_;
	return !grep { -e } "$dir/milter", $enma->dir . '/control', $enma->dir . '/enma.pid';
}

for my $mode ('fd', 'dup') {
	for my $at ($socket, 'inet:' . free_port() . '@127.0.0.1') {
		subtest "stop finishes sessions: $mode, $at" => sub {
			my $enma = daemon('milter.handover' => $mode, 'milter.socket' => $at);
			my $m = session_open($at);
			my @workers = ready_pids($enma);
			my $ctl = ctl_begin($enma, 'stop');
			wait_until(5, sub { !eval { session_open($at)->quit; 1 } }, 'new connections are refused');
			pass('new connections are refused at once');
			is(status($enma)->{state}, 'stopping', 'status says so');
			ok(is_alive($ctl) && is_alive($enma->pid), 'enma and enmactl wait');
			ok(is_served($m), 'the session is served to its end');
			my $from = time;
			$m->quit;
			wait_until(10, sub { !is_alive($ctl) }, 'enmactl returns');
			is(exit_status($ctl), 0, 'enmactl says it is good');
			ok(!is_running($enma->pid), 'the process is gone when enmactl returns');
			cmp_ok(time - $from, '<', 3, 'soon after the last session');
			is(exit_status($enma->pid) // 'alive', 0, 'exit code 0');
			ok(!(grep { is_running($_) } @workers), 'no worker is left');
			ok(nothing_left($enma), 'no socket, no pid file');
			is(($enma->ctl('status'))[0], 2, 'status: not running');
			is(($enma->ctl('stop'))[0], 2, 'stop: not running');
		};
	}
}

subtest 'rolling drain under load loses nothing' => sub {
	my $enma = daemon('worker.count' => 2, 'syslog.logmask' => 'notice', 'worker.retire_sessions' => 60);
	my $result = load_end(load_begin($dir, $socket, '--connections', 6, '--messages', 1500, '--rate', 500));
	is($result->{ok}, 1500, 'all sessions were answered');
	is($result->{$_}, 0, "none $_") for qw(lost refused wrong timeouts);
	cmp_ok(stats($enma)->{counters}{'workers.retired'}, '>=', 5, 'while workers retired again and again');
	is(stats($enma)->{counters}{'workers.crashed'}, 0, 'none of them crashed');
};

subtest 'drain has an end' => sub {
	my $enma = daemon('worker.drain_timeout' => '1s');
	my $m = session_open();
	my $from = time;
	is(($enma->ctl('stop'))[0], 0, 'stop');
	cmp_ok(time - $from, '<', 8, sprintf 'a session that does not end is cut off (%.1f s)', time - $from);
	ok(!is_running($enma->pid), 'it is gone');
};

subtest 'a wait has an end, too' => sub {
	my $enma = daemon();
	my $m = session_open();
	my ($code, $text) = $enma->ctl('stop', '--timeout', 1);
	is($code, 1, 'enmactl gives up waiting');
	like($text, qr/still there/, 'and says so');
	ok(is_served($m), 'the session goes on');
	$m->quit;
	wait_until(10, sub { !is_running($enma->pid) }, 'it stops all the same');
	pass('it stops all the same');
};

subtest 'stop --now, and a second signal' => sub {
	for my $how ('--now', 'TERM', 'INT') {
		my $enma = daemon();
		my $m = session_open();
		my $from = time;
		if ($how eq '--now') {
			is(($enma->ctl('stop', '--now'))[0], 0, 'stop --now');
		} else {
			kill $how, $enma->pid;
			wait_until(5, sub { status($enma)->{state} eq 'stopping' }, 'stopping');
			ok(is_alive($enma->pid), "one $how: it waits for the session");
			kill $how, $enma->pid;
		}
		wait_until(5, sub { !is_alive($enma->pid) }, 'the end');
		cmp_ok(time - $from, '<', 3, "$how: at once");
		is(exit_status($enma->pid), 0, 'exit code 0');
		ok(nothing_left($enma), 'no socket, no pid file');
	}
};

subtest 'the supervisor is killed' => sub {
	my $enma = daemon('syslog.logmask' => 'notice');
	my $m = session_open();
	my @workers = ready_pids($enma);
	kill 'KILL', $enma->pid;
	wait_until(5, sub { !is_alive($enma->pid) }, 'it is dead');
	ok(is_served($m), 'a session in progress is served by the orphan');
	wait_until(10, sub { (grep { is_running($_) } @workers) == 1 }, 'the idle worker leaves');
	ok(-S "$dir/milter" && -e $enma->dir . '/enma.pid', 'socket and pid file are left behind');
	is(($enma->ctl('status'))[0], 2, 'status: not running');
	# The orphan still has its session; its listener is closed, so a successor takes the address.
	my $next = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir), 'milter.pidfile' => $enma->dir . '/enma.pid',
		'control.socket' => 'unix:' . $enma->dir . '/control'])->start;
	pass('a new one starts over the stale socket and pid file');
	is(slurp($enma->dir . '/enma.pid'), $next->pid . "\n", 'the pid file is its own');
	ok(serves(), 'it serves');
	ok(is_served($m), 'so does the orphan');
	$m->quit;
	wait_until(10, sub { !grep { is_running($_) } @workers }, 'the orphan leaves with its last session');
	pass('the orphan leaves with its last session');
	ok(serves(), 'and does not take the socket with it');
};

subtest 'kill -9 of the supervisor under load, start at once' => sub {
	my $enma = daemon('syslog.logmask' => 'notice');
	my $load = load_begin($dir, $socket, '--connections', 4, '--seconds', 3);
	wait_until(10, sub { stats($enma)->{counters}{messages} > 20 }, 'mail flows');
	my @workers = ready_pids($enma);
	kill 'KILL', $enma->pid;
	my $next = daemon('syslog.logmask' => 'notice');
	my $result = load_end($load);
	is($result->{wrong} + $result->{timeouts}, 0, 'no wrong or late answer');
	cmp_ok($result->{ok}, '>', 100, "mail flowed before and after ($result->{ok}; refused meanwhile: $result->{refused})");
	wait_until(10, sub { !grep { is_running($_) } @workers }, 'the old workers are gone');
	pass('the old workers are gone');
};

done_testing();
