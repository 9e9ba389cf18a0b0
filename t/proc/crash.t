#!/usr/bin/perl
# Workers that die, hang, or die again and again: only their own sessions are lost, and a successor comes.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until slurp);
use Enma::Workers qw(quiet status stats ready ready_pids load_begin load_end is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";
my @stopped;
END { kill 'KILL', @stopped if @stopped }

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $socket, 'syslog.logmask' => 'notice', quiet($dir), @set])->start;
}

sub session_open {
	my $m = Enma::MilterClient->new($socket);
	$m->connect('mail.pass.example', '192.0.2.1');
	$m->helo('mail.pass.example');
	return $m;
}

# Waits until all workers are ready and $pid is none of them; returns the seconds it took.
sub replaced {
	my ($enma, $pid, $count, $limit) = @_;
	my $from = time;
	wait_until($limit || 20, sub {
		my @pids = ready_pids($enma);
		return @pids == $count && !grep { $_ == $pid } @pids;
	}, "worker $pid is replaced");
	return time - $from;
}

subtest 'kill -9 of a worker under load' => sub {
	my $enma = daemon('worker.count' => 3);
	my $connections = 9;
	my $load = load_begin($dir, $socket, '--connections', $connections, '--seconds', 4, '--messages-per-connection', 3);
	wait_until(10, sub { stats($enma)->{counters}{messages} > 50 }, 'mail flows');
	my $before = stats($enma)->{counters};
	# The brake would wait a second and more.  Three attempts, because the machine may be busy with other things; sanitizers make
	# starting itself slow.
	my $limit = $ENV{SAN} ? 20 : 1;
	my ($victim, $seconds, $kills) = (0, $limit, 0);
	while ($seconds >= $limit && $kills < 3) {
		($victim) = ready_pids($enma);
		kill 'KILL', $victim;
		$kills++;
		$seconds = replaced($enma, $victim, 3);
	}
	cmp_ok($seconds, '<', $limit, sprintf 'replaced at once (%.3f s)', $seconds);
	my $result = load_end($load);
	is($result->{refused}, 0, 'nobody was refused');
	is($result->{timeouts}, 0, 'nobody waited in vain');
	is($result->{wrong}, 0, 'no wrong answer');
	cmp_ok($result->{lost}, '<=', $connections * $kills, "only sessions of that worker were lost ($result->{lost})");
	cmp_ok($result->{ok}, '>', 200, "the others went on ($result->{ok} messages)");
	my $after = stats($enma)->{counters};
	is($after->{'workers.crashed'}, $kills, 'the crash is counted');
	cmp_ok($after->{messages}, '>=', $before->{messages}, 'counters do not go backwards');
	cmp_ok($after->{messages}, '>=', $result->{ok} * 0.9, 'counters of the dead worker are kept');
	like($enma->log, qr/worker \d+ \(pid $victim, generation 1\) was killed by signal 9 \(SIGKILL\); messages in progress: /, 'logged');
	is_deeply([$enma->ctl('status')]->[0], 0, 'status is good again');
};

subtest 'queue ids in progress are named, escaped' => sub {
	my $enma = daemon('worker.count' => 1);
	my ($victim) = ready_pids($enma);
	my $m = session_open();
	my @qid = (i => "4Xq1\e[31mred");
	$m->mail('<a@pass.example>', @qid);
	$m->rcpt('<b@example.jp>', @qid);
	$m->data(@qid);
	$m->header("Subject", "test");
	$m->eoh(@qid);
	# The events want no reply, so the worker's own board says when it has seen them.
	wait_until(5, sub { slurp("/proc/$victim/fd/5") =~ /4Xq1/ }, 'the queue id is on the board');
	kill 'KILL', $victim;
	replaced($enma, $victim, 1);
	my ($line) = $enma->log =~ /^(.*pid $victim, .*killed.*)$/m;
	like($line, qr/messages in progress: 4Xq1\\x1b\[31mred/, 'the queue id is in the log');
	unlike($enma->log, qr/\e/, 'no raw escape byte');
};

subtest 'a stopped worker is found and replaced' => sub {
	my $enma = daemon('worker.count' => 2, 'worker.stuck_timeout' => '1s');
	my ($victim) = ready_pids($enma);
	push @stopped, $victim;
	kill 'STOP', $victim;
	my $seconds = replaced($enma, $victim, 2);
	cmp_ok($seconds, '<', 5, sprintf 'replaced (%.1f s)', $seconds);
	my ($code, $text) = $enma->ctl('status');
	is($code, 1, 'status is degraded while it is still there');
	like($text, qr/degraded: a worker is stuck/, 'and says why');
	is(load_end(load_begin($dir, $socket, '--connections', 4, '--messages', 100))->{ok}, 100, 'mail flows beside it');
	wait_until(25, sub { !is_running($victim) }, 'the stuck worker is ended');
	pass('it is ended');
	is(stats($enma)->{counters}{'workers.stuck'}, 1, 'counted');
	wait_until(5, sub { ($enma->ctl('status'))[0] == 0 }, 'status is good again');
};

subtest 'one that lives again finishes by itself' => sub {
	my $enma = daemon('worker.count' => 2, 'worker.stuck_timeout' => '2s');
	my ($victim) = ready_pids($enma);
	push @stopped, $victim;
	kill 'STOP', $victim;
	wait_until(10, sub { $enma->log =~ /pid $victim.*shows no sign of life/ }, 'found');
	kill 'CONT', $victim;
	wait_until(10, sub { !is_running($victim) }, 'it leaves');
	wait_until(5, sub { ($enma->ctl('status'))[0] == 0 }, 'status is good again');
	is(stats($enma)->{counters}{'workers.killed'}, 0, 'nobody was killed');
	is(stats($enma)->{counters}{'workers.crashed'}, 0, 'no crash is counted');
};

subtest 'crashes after READY: at once while tokens last, then slowly' => sub {
	my $enma = daemon('worker.count' => 1);
	for my $round (1 .. 10) {
		my ($pid) = ready_pids($enma);
		kill 'KILL', $pid;
		my $seconds = replaced($enma, $pid, 1);
		cmp_ok($seconds, '<', 1.5, "crash $round: replaced at once");
	}
	my ($pid) = ready_pids($enma);
	kill 'KILL', $pid;
	my $seconds = replaced($enma, $pid, 1);
	cmp_ok($seconds, '>', 1.5, sprintf 'the next one waits (%.1f s)', $seconds);
	like($enma->log, qr/it died too often/, 'and the log says why');
};

done_testing();
