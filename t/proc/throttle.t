#!/usr/bin/perl
# Workers that die before they are ready: the supervisor waits longer and longer, goes on serving, and recovers by itself; a first start ends with the reason.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until run_command spew);
use Enma::Workers qw(quiet status stats ready ready_pids);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";

# The soft limit of the stack is inherited over fork and counts at exec: with 4 kB a new program dies at once, the supervisor lives on.
sub break_starts { system('prlimit', '--pid', $_[0], '--stack=4096:') == 0 or die 'prlimit' }
sub mend_starts { system('prlimit', '--pid', $_[0], '--stack=8388608:') == 0 or die 'prlimit' }

subtest 'a worker that cannot start again' => sub {
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, 'syslog.logmask' => 'notice', quiet($dir)])->start;
	my ($victim, $other) = ready_pids($enma);
	my $started = stats($enma)->{counters}{'workers.started'};
	break_starts($enma->pid);
	my $from = time;
	kill 'KILL', $victim;
	wait_until(20, sub { (() = $enma->log =~ /before it was ready; next try/g) >= 3 }, 'three tries failed');
	cmp_ok(time - $from, '>', 2.9, 'the tries are 1 s and 2 s apart');
	my $tries = stats($enma)->{counters}{'workers.started'} - $started;
	cmp_ok($tries, '<=', 4, "no spinning ($tries starts)");
	my @waits = $enma->log =~ /before it was ready; next try in (\d+) s/g;
	is_deeply([@waits[0 .. 2]], [1, 2, 4], 'the wait doubles');
	my ($code, $text) = $enma->ctl('status');
	is($code, 1, 'degraded');
	like($text, qr/degraded: a worker is missing/, 'status says so');
	like($text, qr/MISSING .* next try in \d/, 'and when the next try is');
	is_deeply([ready_pids($enma)], [$other], 'the other worker serves on');
	mend_starts($enma->pid);
	wait_until(10, sub { ($enma->ctl('status'))[0] == 0 }, 'it recovers by itself');
	pass('it recovers by itself');
};

# Workers, and the cache process, that misbehave at their start, whatever enma is: a library that looks for -x.
spew("$dir/bad.c", <<'SOURCE');
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct frame { uint32_t magic; uint16_t version, kind; uint64_t generation; int64_t value; char text[1280]; };    /* common/ipc/status.h */

static void send_frames(void)
{
	static char junk[5000];
	struct frame f = { 0x454e4d41, 1, 1, 77, 0, "" };

	send(3, "x", 1, MSG_DONTWAIT);
	send(3, junk, sizeof junk, MSG_DONTWAIT);
	send(3, &f, sizeof f, MSG_DONTWAIT);            /* READY of another generation */
	f.generation = 1;
	f.kind = 16;                                    /* DRAIN, which is the supervisor's word */
	send(3, &f, sizeof f, MSG_DONTWAIT);
	f.kind = 999;
	for (int i = 0; i < 1000; i++)
		send(3, &f, sizeof f, MSG_DONTWAIT);
}

static __attribute__((constructor)) void start(int argc, char **argv)
{
	const char *how = getenv("TEST_WORKER");

	if (argc < 3 || strcmp(argv[1], "-x") != 0 || how == NULL)
		return;
	if (strcmp(how, "crash") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(how, "exit") == 0)
		_exit(0);
	if (strcmp(how, "slow") == 0)
		usleep(500000);
	if (strcmp(how, "frames") == 0)
		send_frames();
}
SOURCE
my ($built, $said) = run_command(cmd => [split(' ', $ENV{CC} || 'cc'), qw(-D_GNU_SOURCE -shared -fPIC -o), "$dir/bad.so", "$dir/bad.c"]);
is($built, 0, 'a library that makes workers misbehave') or BAIL_OUT($said);

sub misbehaving {
	my ($how) = @_;
	return (LD_PRELOAD => "$dir/bad.so", TEST_WORKER => $how,
		ASAN_OPTIONS => join(':', 'verify_asan_link_order=0', $ENV{ASAN_OPTIONS} || ()));
}

subtest 'a first start whose workers all die' => sub {
	for my $case (['crash', qr/was killed by signal 9 \(SIGKILL\) before it was ready/], ['exit', qr/has left before it was ready/]) {
		my ($how, $reason) = @$case;
		for my $mode ('-f', '-b') {
			my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir), 'log.target' => 'file:/dev/null']);
			my $from = time;
			my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/enma', ($mode eq '-f' ? '-f' : ()), '-c', $enma->conf_file],
				env => { misbehaving($how) });
			is($status >> 8, 70, "$how $mode: exit code") or diag $text;
			is(scalar(() = $text =~ /$reason/g), 1, 'the reason, once') or diag $text;
			cmp_ok(time - $from, '<', 8, 'soon');
			ok(!-e "$dir/milter", 'no socket is left');
			ok(!-e $enma->dir . '/enma.pid', 'no pid file is left');
			ok(!-e $enma->dir . '/control', 'no control socket is left');
		}
	}
};

subtest 'a first start whose workers cannot work' => sub {
	spew("$dir/anchor", "this is no trust anchor\n");
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir), 'log.target' => 'auto',
		'resolver.trust_anchor' => "$dir/anchor"]);
	my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file]);
	is($status >> 8, 78, 'exit code of the worker');
	is(scalar(() = $text =~ /^enma: worker \d+: .*trust anchor/mg), 1, 'its reason, once') or diag $text;
	ok(!-e "$dir/milter", 'no socket is left');
	my $running = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir)])->start;
	$running->set('resolver.trust_anchor' => "$dir/anchor");
	(my $code, $text) = $running->ctl('reload');
	is($code, 1, 'reload to it is refused');
	like($text, qr/trust anchor/, 'with the reason');
	is(status($running)->{generation}, 1, 'and nothing changes');
};

subtest 'bad frames' => sub {
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir)], env => { misbehaving('frames') })->start;
	is(scalar(ready($enma)), 2, 'the workers are ready all the same');
	cmp_ok(stats($enma)->{counters}{'frames.bad'}, '>=', 10, 'bad frames are counted');
	like($enma->log, qr/sent a frame of generation 77, ignored/, 'another generation is told');
	like($enma->log, qr/sent a frame of the wrong size, ignored/, 'so is a wrong size');
};

subtest 'reload during reload' => sub {
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir)], env => { misbehaving('slow') })->start;
	my @client = map { IO::Socket::UNIX->new(Peer => $enma->dir . '/control') } 1 .. 3;
	$_->syswrite("ENMA1 reload\n") for @client;
	my @answer = map { join '', $_->getlines } @client;
	is(scalar(grep { /^ok/ } @answer), 1, 'one is done') or diag @answer;
	is(scalar(grep { /^err busy another reload is in progress/ } @answer), 2, 'the others are told so');
	my $before = status($enma)->{generation};
	kill 'HUP', $enma->pid for 1 .. 2;
	wait_until(10, sub { status($enma)->{generation} > $before && status($enma)->{state} eq 'running' }, 'signals are not lost');
	pass('signals lead to a reload');
};

done_testing();
