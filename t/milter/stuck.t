#!/usr/bin/perl
# A callback that never returns: the worker names the message, gives itself up with a core, and a successor serves.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir spew run_command wait_until);
use Enma::Workers qw(worker_pids);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";
spew("$dir/zone", qq(pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\nmail.example A 192.0.2.1\n));
spew("$dir/hangs.c", <<'SOURCE');
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>
int smfi_insheader(void *ctx, int index, char *name, char *value)
{
	int (*real)(void *, int, char *, char *) = (int (*)(void *, int, char *, char *))dlsym(RTLD_NEXT, "smfi_insheader");
	while (strstr(value, "hang@") != NULL)
		sleep(1);
	return real(ctx, index, name, value);
}
SOURCE
my ($status, $text) = run_command(cmd => [split(' ', $ENV{CC} || 'cc'), qw(-D_GNU_SOURCE -shared -fPIC -o), "$dir/hangs.so", "$dir/hangs.c", '-ldl']);
is($status, 0, 'a libmilter that hangs on demand') or BAIL_OUT($text);

my $enma = Enma::Daemon->new(env => { LD_PRELOAD => "$dir/hangs.so",
		ASAN_OPTIONS => join(':', 'verify_asan_link_order=0', $ENV{ASAN_OPTIONS} || ()) },
	conf => ['milter.socket' => $socket, 'worker.count' => 1, 'resolver.zone' => "$dir/zone", 'resolver.forward' => '127.0.0.1@9',
		'resolver.deadline' => '1s', 'worker.stuck_timeout' => '5s'])->start;

sub worker {
	my ($pid) = worker_pids($enma);
	return $pid || 0;
}

sub session {
	my $m = Enma::MilterClient->new($socket, seconds => 60);
	$m->connect('client.example', '192.0.2.1');
	$m->helo('mail.example');
	return $m;
}

my $first = worker();
my $m = session();
is($m->message(from => '<a@pass.example>')->{code}, 'c', 'served');
my $r = eval { $m->message(from => '<hang@pass.example>', qid => 'STUCKQID') };
like($@, qr/closed the connection|read:/, 'the session of the stuck message is lost');
my $second = wait_until(30, sub { my $pid = worker(); return $pid != 0 && $pid != $first ? $pid : 0 }, 'a successor');
my $n = wait_until(10, sub { eval { session() } }, 'an answer');
is($n->message(from => '<a@pass.example>')->{code}, 'c', 'a successor serves');
$n->quit;
like($enma->log, qr/panic: session of STUCKQID is stuck in phase eom/, 'the log names queue id and phase');
like($enma->log, qr/SIGABRT/, '... and the supervisor how the worker ended');
$enma->stop;
done_testing();
