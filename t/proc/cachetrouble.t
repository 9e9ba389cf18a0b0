#!/usr/bin/perl
# What the cache depends on goes wrong - its state file, its folder, the disk, its process, workers in the middle of a look-up - and mail goes on with correct
# answers, the cache comes back by itself, and the log says what happened.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Cache qw(dns slow BIG_BYTES);
use Enma::Daemon;
use Enma::DNS;
use Enma::Proc qw(wait_until run_command work_dir slurp spew);
use Enma::Workers qw(ready_pids is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

use constant { WORKERS => 2, OTHER_BOOT => '00000000-1111-2222-3333-444444444444', WRITER_KILLS => 200, READER_KILLS => 100, MIB => 1 << 20 };

my $dns = dns();
my $tags = 0;
my @stopped;
END { kill 'KILL', @stopped if @stopped }

sub make { return Enma::Cache->new($dns, 'c' . ++$tags, 'worker.count' => WORKERS, @_) }

sub no_wrong_answer {
	my ($e, $lost_max, $least) = @_;
	my $r = $e->load_end;
	is($r->{wrong} + $r->{timeouts} + $r->{refused}, 0, 'nobody was answered wrongly, refused or had to wait') or diag $r->{output};
	cmp_ok($r->{lost}, '<=', $lost_max, "few were cut off ($r->{lost})") or diag $r->{output};
	cmp_ok($r->{ok}, '>=', $least || 20, "mail went on ($r->{ok} messages)");
	return;
}

sub has_entries {
	my ($e, $n) = @_;
	return wait_until(20 * slow(), sub { ($e->number('cache.entries') || 0) >= $n }, 'entries are stored');
}

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

# ---- the state file -----------------------------------------------------------------------------------------------------

sub state_edit {
	my ($e, $from, $to) = @_;
	my $text = slurp($e->state_file);
	$text =~ s/$from/$to/m or die "no $from in: $text";
	spew($e->state_file, $text);
	return;
}

# name, what is done between stop and start, whether what was stored is still there, what the log says
my @state = (
	[ 'clean stop',             sub { }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'garbage',                sub { spew($_[0]->state_file, "\x00\xff garbage\n" x 9) }, 0, qr/new cache file .*not a state file of this version/ ],
	[ 'empty',                  sub { spew($_[0]->state_file, '') }, 0, qr/new cache file .*not a state file of this version/ ],
	[ 'removed',                sub { unlink $_[0]->state_file }, 0, qr/new cache file .*there was none/ ],
	[ 'ordinary reboot',        sub { state_edit($_[0], '^boot .*', 'boot ' . OTHER_BOOT) }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'unclean reboot',         sub { state_edit($_[0], '^boot .*', 'boot ' . OTHER_BOOT); state_edit($_[0], '^clean 1', 'clean 0') }, 0,
		qr/new cache file .*the system was not shut down cleanly/ ],
	[ 'same boot, not clean',   sub { state_edit($_[0], '^clean 1', 'clean 0') }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'another LMDB', sub {
		my ($e) = @_;
		my $old = $e->file;
		(my $new = $old) =~ s/lmdb[\d.]+-/lmdb9.9.9-/ or die $old;
		rename $old, $new or die;
		rename "$old-lock", "$new-lock" or die;
		state_edit($e, 'lmdb[0-9.]+-', 'lmdb9.9.9-');
		$e->{other} = $new;
		# Somebody has it open, as LMDB does it: a lock on the first byte of the lock file.
		my $script = 'use Fcntl; open my $f, "+<", $ARGV[0] or die; my $l = pack "s s x4 q q i x4", F_RDLCK, 0, 0, 1, 0; fcntl $f, F_SETLK, $l or die; ' .
			'syswrite STDOUT, "locked\n"; sleep 600;';
		$e->{holder} = Enma::Proc::spawn(cmd => [$^X, '-e', $script, "$new-lock"], log => "$e->{dir}/holder");
		wait_until(10, sub { slurp("$e->{dir}/holder") =~ /locked/ }, 'somebody has the other file open');
	}, 0, qr/new cache file .*of another version/ ],
);

for my $case (@state) {
	my ($name, $change, $is_warm, $said) = @$case;
	subtest "state file: $name" => sub {
		my $e = make()->start;
		is($e->result('a@old.p.test'), 'pass', 'a message');
		wait_until(10 * slow(), sub { $e->ask('cache get old.p.test TXT') =~ /\Aok\nD/ }, 'it is stored');
		is($e->enma->stop, 0, 'stop');
		my $file = $e->file;
		$e->mark_log;
		$change->($e);
		$e->start;
		$e->process_pid;
		my @has = $e->ask('cache get old.p.test TXT') =~ /\Aok\n(D)/;
		is(scalar @has, $is_warm, $is_warm ? 'it is warm' : 'it begins empty');
		is(scalar(() = $e->lines($said)), 1, 'the log says so once') or diag $e->complaints;
		$e->works($name);
		is($e->file eq $file ? 1 : 0, $is_warm, $is_warm ? 'the same file' : 'another file');
		if ($e->{other}) {
			ok(-s $e->{other}, 'the other file is left alone while somebody uses it');
			Enma::Proc::stop($e->{holder});
			$e->enma->stop;
			$e->start;
			$e->process_pid;
			ok(!-e $e->{other}, 'and removed when nobody does');
			$e->works('afterwards');
		}
		is($e->enma->stop, 0, 'stop');
	};
}

# ---- the folder ---------------------------------------------------------------------------------------------------------

subtest 'folder removed while running' => sub {
	my $e = make()->start;
	$e->load_begin('--rate', 100);
	has_entries($e, 50);
	$e->mark_log;
	remove_tree($e->folder);
	# Folders are made by the supervisor, which may be root, before it starts a cache process; meanwhile there is none.
	wait_until(10 * slow(), sub { $e->lines(qr/cache\[\d+\]: error: /) }, 'the log says so');
	my @first = $e->lines(qr/cache\[\d+\]: error: /);
	like($first[0], qr/the cache file is given up: .*it was removed/, 'in one line');
	select undef, undef, undef, 2;
	cmp_ok(scalar(() = $e->lines(qr/cache\[\d+\]: (?:error|warn): /)), '<=', 3, 'not again and again') or diag $e->complaints;
	mkdir $e->folder, 0750 or diag "$!";
	$e->works('with a folder', 40);
	no_wrong_answer($e, 6);
	note $e->complaints;
	is($e->workers_crashed, 0, 'no worker was lost');
	is($e->enma->stop, 0, 'stop');
};

subtest 'folder made read-only' => sub {
	my @user = $> == 0 ? ('milter.user' => 'nobody') : ();
	my $e = make(@user)->start;
	$e->load_begin('--rate', 100);
	has_entries($e, 50);
	$e->mark_log;
	chmod 0500, $e->folder or die;
	$e->works('what is open stays in use');
	unlink $e->file or die;
	wait_until(10 * slow(), sub { $e->lines(qr/no cache for now: .*Permission denied/) }, 'a new file cannot be made, and the log says why');
	is($e->result('a@x.f.test'), 'fail', 'mail goes on');
	cmp_ok(scalar(() = $e->lines(qr/no cache for now/)), '==', 1, 'once');
	chmod 0750, $e->folder or die;
	$e->works('writable again', 40);
	no_wrong_answer($e, 6);
	is($e->enma->stop, 0, 'stop');
};

for my $case ([ 'writable for all', sub { chmod 0777, $_[0] or die }, sub { chmod 0750, $_[0] or die } ],
	[ 'of another user', sub { chown 12345, 12345, $_[0] or die }, sub { chown 0, 0, $_[0] or die } ]) {
	my ($name, $spoil, $mend) = @$case;
	subtest "folder $name" => sub {
		plan skip_all => 'only root can give a folder away' if $name =~ /user/ && $> != 0;
		my $e = make();
		mkdir $e->folder, 0750 or die;
		$spoil->($e->folder);
		$e->start;
		wait_until(10 * slow(), sub { $e->lines(qr/others may write to this folder/) }, 'it is refused, with the reason');
		is($e->result('a@x.p.test'), 'pass', 'mail goes on');
		is($e->result('a@x.f.test'), 'fail', 'with correct answers');
		$mend->($e->folder);
		$e->works('mended', 40);
		cmp_ok(scalar(() = $e->lines(qr/cache\[\d+\]: (?:error|warn): /)), '<=', 2, 'said once') or diag $e->complaints;
		is($e->enma->stop, 0, 'stop');
	};
}

# ---- room ---------------------------------------------------------------------------------------------------------------

# Names whose answers are large.  Runs until $done.
sub pour {
	my ($e, $done, $what) = @_;
	$e->load_begin('--from', "u\@h%d.$e->{tag}.b.test", '--connections', 6);
	my $from = time;
	wait_until(40 * slow(), $done, $what);
	note sprintf '%s: %.1f s', $what, time - $from;
	return;
}

subtest 'map full' => sub {
	my $e = make('cache.size' => '16m')->start;
	my $hits = $e->hits;
	pour($e, sub { ($e->ask('cache stats') =~ /^class txt .*inserted=(\d+)/m)[0] * BIG_BYTES > 3 * 16 * MIB }, 'three maps full');
	$e->works('while it is full');
	cmp_ok($e->hits, '>', $hits, 'hits go on');
	my ($used, $map) = ($e->number('cache.used_bytes'), $e->number('cache.map_bytes'));
	cmp_ok($used, '<=', $map, "used: $used of $map bytes");
	no_wrong_answer($e, 0);
	is($e->number('cache.process.crashed') + $e->workers_crashed, 0, 'nobody died');
	is($e->number('cache.write_errors'), 0, 'nothing was lost to a full map');
	note join ' ', map { "$_=" . $e->number("cache.$_") } qw(dropped_all gc.runs offers.lost entries);
	is($e->enma->stop, 0, 'stop');
};

subtest 'disk full' => sub {
	plan skip_all => 'mounting a file system needs root' if $> != 0;
	my $mount = work_dir();
	my ($status, $text) = run_command(cmd => [qw(unshare -m true)]);
	plan skip_all => "no mount namespace of our own: $text" if $status != 0;
	my $e = make('cache.path' => "$mount/cache/cache", 'cache.size' => '16m');
	# The daemon and a second process that fills and empties the disk beside it, in a namespace of their own.
	my $script = "mount -t tmpfs -o size=20m,mode=755 none $mount || { echo no tmpfs; exit 1; }; mkdir -m 750 $mount/cache; " .
		"while sleep 0.05; do if [ -e $e->{dir}/fill ]; then rm $e->{dir}/fill; dd if=/dev/zero of=$mount/ballast bs=64k 2>/dev/null; echo filled; fi; " .
		"if [ -e $e->{dir}/free ]; then rm $e->{dir}/free $mount/ballast; echo freed; fi; done & exec " . Enma::Daemon::build() . '/enma -f -c ' . $e->enma->conf_file;
	$e->enma->{pid} = Enma::Proc::spawn(cmd => ['unshare', '-m', 'sh', '-c', $script], log => $e->enma->dir . '/output');
	my $up = eval { wait_until(20 * slow(), sub { $e->enma->log =~ /no tmpfs/ || eval { $e->process->{state} eq 'READY' } }) };
	plan skip_all => 'no tmpfs can be mounted: ' . $e->enma->log if !$up || $e->enma->log =~ /no tmpfs/;
	$e->load_begin('--from', "u\@h%d.$e->{tag}.b.test", '--rate', 100);
	has_entries($e, 50);
	$e->mark_log;
	spew("$e->{dir}/fill", '');
	wait_until(20 * slow(), sub { $e->number('cache.write_errors') > 0 || $e->lines(qr/No space left/) }, 'the disk is full');
	is($e->result('a@x.p.test'), 'pass', 'mail goes on');
	is($e->result('a@x.f.test'), 'fail', 'with correct answers');
	select undef, undef, undef, 2;
	my @said = $e->lines(qr/No space left/);
	cmp_ok(scalar @said, '>=', 1, 'the log says so');
	cmp_ok(scalar @said, '<=', 4, 'not again and again') or diag $e->complaints;
	spew("$e->{dir}/free", '');
	$e->works('with room again', 40);
	no_wrong_answer($e, 6);
	note $e->complaints;
	cmp_ok($e->number('cache.process.crashed') + $e->workers_crashed, '<=', 2 + WORKERS, 'no crash loop');
	is($e->enma->stop, 0, 'stop');
};

# ---- processes ----------------------------------------------------------------------------------------------------------

subtest 'the cache process killed in the middle of transactions' => sub {
	my $times = $no_fault ? 20 : WRITER_KILLS;
	my $e = $no_fault ? make()->start : with_fault();
	$e->load_begin('--rate', 400);
	has_entries($e, 50);
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
	no_wrong_answer($e, 0, 200);
	is(scalar(() = $e->lines(qr/cache\[\d+\]: warn: .*damaged|new cache file .*: \/.*/)), 0, 'the file was never damaged') or diag join "\n", $e->lines(qr/damaged/);
	is($e->workers_crashed, 0, 'no worker was lost');
	is($e->enma->stop, 0, 'stop');
};

for my $how ('STOP_WRITER', 'SPIN_WRITER') {
	subtest "the cache process: $how" => sub {
		plan skip_all => $no_fault if $no_fault;
		my $e = with_fault('worker.stuck_timeout' => '1s');
		$e->load_begin('--rate', 300);
		has_entries($e, 50);
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
		no_wrong_answer($e, 0);
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
	has_entries($e, 80);
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
	$e->load_begin('--rate', 400);
	has_entries($e, 50);
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
