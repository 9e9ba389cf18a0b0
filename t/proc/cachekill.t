#!/usr/bin/perl
# The cache process and workers die, stop or spin at the worst moment: in the middle of a transaction.  Mail goes on with correct answers, successors go on
# with the same file.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Cache qw(dns slow);
use Enma::Daemon;
use Enma::DNS;
use Enma::Proc qw(wait_until run_command work_dir slurp spew);
use Enma::Workers qw(ready_pids is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

use constant { WORKERS => 2, WRITER_KILLS => 200, READER_KILLS => 100 };

my $dns = dns();
my $tags = 0;
my @stopped;
END { kill 'KILL', @stopped if @stopped }

sub make { return Enma::Cache->new($dns, 'c' . ++$tags, 'worker.count' => WORKERS, @_) }

# ---- a library that makes processes fail at a chosen moment (t/tools/preload/cachefault.c) ----------------------------

my %MODE = (OFF => 0, KILL_WRITER => 1, STOP_WRITER => 2, SPIN_WRITER => 3, KILL_READER => 4, WRITE_READER => 5);
my ($fault, $no_fault);

sub build_fault {
	return 'a sanitizer and LD_PRELOAD do not go together' if $ENV{SAN};
	my $dir = work_dir();
	my ($status, $text) = run_command(cmd => [$ENV{CC} || 'cc', qw(-std=c11 -D_GNU_SOURCE -O1 -fPIC -shared -o), "$dir/cachefault.so",
		dirname(__FILE__) . '/../tools/preload/cachefault.c', '-ldl']);
	return "cachefault.c cannot be compiled: $text" if $status != 0;
	$fault = "$dir/cachefault.so";
	return;
}

sub with_fault {
	my (@conf) = @_;
	my $e = make(@conf);
	$e->{control} = $e->{dir} . '/fault';
	spew($e->{control}, pack 'L8', 0, 0, 12345 + $$);
	chmod 0666, $e->{control};
	$e->enma->{env} = { LD_PRELOAD => $fault, CACHEFAULT => $e->{control} };
	return $e->start;
}

sub arm {
	my ($e, $mode, $left) = @_;
	for my $word ([ 4, $left || 0 ], [ 0, $MODE{$mode} ]) {
		open my $f, '+<:raw', $e->{control} or die "$e->{control}: $!";
		sysseek $f, $word->[0], 0;
		syswrite $f, pack 'L', $word->[1];
	}
	return;
}

sub armed { my ($e) = @_; my %c; @c{qw(mode left random at_put at_write at_lookup spun pid)} = unpack 'L8', slurp($e->{control}); return \%c }

$no_fault = build_fault();

# ---- processes ----------------------------------------------------------------------------------------------------------

subtest 'the cache process killed in the middle of transactions' => sub {
	my $times = $no_fault ? 20 : WRITER_KILLS;
	my $e = $no_fault ? make()->start : with_fault();
	$e->load_begin('--rate', 800);
	$e->has_entries( 50);
	my $killed = 0;
	my $from = time;
	# Crashes are braked: ten at once, then one in five seconds.  A reload forgives.
	my $forgive = sub {
		my $c = $e->process;
		$e->enma->ctl('reload') if ($c->{pid} || 0) == 0 && ($c->{retry_ms} || 0) > 100;
		return 0;
	};
	if ($no_fault) {		# from outside, at any moment
		for (; $killed < $times; $killed++) {
			my $pid;
			wait_until(60, sub { my $c = $e->process; $pid = $c->{pid}; return $c->{state} eq 'READY' && is_running($pid) || $forgive->() });
			select undef, undef, undef, rand 0.05;
			kill 'KILL', $pid;
			wait_until(5, sub { !is_running($pid) });
		}
	} else {
		arm($e, 'KILL_WRITER', $times);
		wait_until(60, sub { return armed($e)->{left} == 0 || $forgive->() }, "$times kills");
		$killed = $times;
	}
	wait_until(20 * slow(), sub { return ($e->process->{state} || '') eq 'READY' || $forgive->() }, 'the last successor');
	note sprintf '%d kills: %.1f s', $killed, time - $from;
	$e->process_pid;
	is($e->number('cache.process.crashed'), $killed, "$killed times, all counted");
	if (!$no_fault) {
		my $c = armed($e);
		cmp_ok($c->{at_put}, '>', 20, "$c->{at_put} times while something was put");
		cmp_ok($c->{at_write}, '>', 20, "$c->{at_write} times while pages were written");
		is($c->{at_put} + $c->{at_write}, $killed, 'always inside a transaction');
	} else {
		note $no_fault;
	}
	$e->works('after the last one');
	$e->no_wrong_answer( 0, 200);
	is(scalar(() = $e->lines(qr/cache\[\d+\]: warn: .*damaged|new cache file .*: \/.*/)), 0, 'the file was never damaged') or diag join "\n", $e->lines(qr/damaged/);
	is($e->workers_crashed, 0, 'no worker was lost');
	is($e->enma->stop, 0, 'stop');
};

for my $how ('STOP_WRITER', 'SPIN_WRITER') {
	subtest "the cache process: $how" => sub {
		plan skip_all => $no_fault if $no_fault;
		my $e = with_fault('worker.stuck_timeout' => '1s');
		$e->load_begin('--rate', 300);
		$e->has_entries( 50);
		my $old = $e->process_pid;
		arm($e, $how, 1);
		my $c = wait_until(10, sub { my $c = armed($e); return $c->{pid} ? $c : undef }, 'it happens');
		is($c->{pid}, $old, 'to the cache process');
		push @stopped, $old;
		wait_until(10, sub { $e->lines(qr/the cache process \(pid $old.*shows no sign of life for \d+ ms$/) }, 'it is found');
		is($e->result('a@x.p.test'), 'pass', 'mail goes on meanwhile');
		is($e->result('a@x.f.test'), 'fail', 'with correct answers');
		wait_until(10, sub { !is_running($old) }, 'its end');
		arm($e, 'OFF');
		is(scalar(() = $e->lines(qr/\(pid $old\) is stuck: sending it SIGABRT/)), 1, 'it was asked by SIGABRT');
		my $killed = $e->number('cache.process.killed');
		is($killed, $how eq 'STOP_WRITER' ? 1 : 0, $killed ? 'and had to be killed' : 'which was enough');
		isnt($e->process_pid, $old, 'a successor is there');
		$e->works('the successor');
		$e->no_wrong_answer( 0);
		is($e->number('cache.process.stuck'), 1, 'counted');
		is($e->workers_crashed, 0, 'no worker was lost');
		note $e->complaints;
		is($e->enma->stop, 0, 'stop');
	};
}

subtest 'a wild write of a worker' => sub {
	plan skip_all => $no_fault if $no_fault;
	my $e = with_fault();
	my $dump = sub { return join "\n", sort map { join "\t", (split /\t/)[0 .. 3, 7, 8] } grep { /^[DR]\t/ } split /\n/, $e->ask('cache dump') };
	for my $n (1 .. 40) {
		$e->result("a\@w$n.p.test");
	}
	$e->has_entries( 80);
	my ($before, $file) = ($dump->(), $e->file);
	cmp_ok(length $before, '>', 1000, 'there is something to lose');
	arm($e, 'WRITE_READER', 1);
	my $from = time;
	wait_until(20, sub { eval { $e->result('a@w' . (1 + int rand 40) . '.p.test') }; return armed($e)->{at_lookup} == 1 }, 'it happens');
	my $pid = armed($e)->{pid};
	wait_until(10, sub { $e->lines(qr/worker \d \(pid $pid, generation 1\) was killed by signal 11 \(SIGSEGV\)/) }, 'that worker ends by SIGSEGV');
	wait_until(10 * slow(), sub { 2 == (my @pids = ready_pids($e->enma)) }, 'it has a successor');
	is($dump->(), $before, 'every entry is as it was');
	is($e->file, $file, 'in the same file');
	is($e->workers_crashed, 1, 'one worker');
	is($e->number('cache.process.crashed'), 0, 'the cache process did not notice');
	ok(!-e "$file-damaged", 'the file is not called damaged');
	$e->works('the successor');
	is($e->enma->stop, 0, 'stop');
};

subtest 'workers killed in the middle of look-ups' => sub {
	plan skip_all => $no_fault if $no_fault;
	my $e = with_fault();
	$e->load_begin('--rate', 800);
	$e->has_entries( 50);
	my ($killed, $most, $from) = (0, 0, time);
	while ($killed < READER_KILLS) {
		arm($e, 'KILL_READER', 10);
		wait_until(30, sub {
			my $n = $e->number('cache.readers') || 0;
			$most = $n if $n > $most;
			return armed($e)->{left} == 0;
		}, "ten kills after $killed");
		$killed += 10;
		$e->enma->ctl('reload');
	}
	note sprintf '%d kills: %.1f s', $killed, time - $from;
	$e->works('afterwards');
	is($e->workers_crashed, $killed, 'all counted');
	is(armed($e)->{at_lookup}, $killed, 'all with an open transaction');
	cmp_ok($e->number('cache.readers.dead'), '>=', $killed / 2, 'slots of dead readers were freed (' . $e->number('cache.readers.dead') . ')');
	my $max = $e->number('cache.readers_max');
	cmp_ok($most, '<', $max / 2, "at most $most of $max slots were taken");
	is($e->number('cache.busy'), 0, 'no look-up found none free');
	my $r = $e->load_end;
	is($r->{wrong} + $r->{timeouts} + $r->{refused}, 0, 'nobody was answered wrongly, refused or had to wait') or diag $r->{output};
	cmp_ok($r->{lost}, '<=', 3 * $killed, "only sessions of killed workers were cut off ($r->{lost} of $r->{attempts})");
	is($e->number('cache.process.crashed'), 0, 'the cache process lived on');
	is($e->enma->stop, 0, 'stop');
};

done_testing();
