#!/usr/bin/perl
# The cache process under the supervisor: it comes up, it is replaced when it dies or hangs, it stays over a reload, it goes last - and mail goes on
# whatever becomes of it.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until run_command slurp spew);
use Enma::Workers qw(quiet ready_pids load_begin load_end is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";
my $slow = $ENV{SAN} ? 4 : 1;		# sanitizers make starting itself slow
my @stopped;
END { kill 'KILL', @stopped if @stopped }

sub make {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $socket, quiet($dir), @set]);
}

sub daemon { return make(@_)->start }

# The whole answer to one request of the control protocol; '' when the connection was closed without one.
sub ask {
	my ($enma, $request) = @_;
	my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $enma->dir . '/control') or die "control socket: $!";
	print {$s} "ENMA1 $request\n";
	$s->flush;
	local $/;
	my $text = <$s>;
	return defined $text ? $text : '';
}

# The "cache" line of status as a hash.
sub cache {
	my ($enma) = @_;
	my ($line) = ask($enma, 'status') =~ /^cache (.*)$/m;
	return { map { split /=/, $_, 2 } split ' ', $line || '' };
}

sub trouble {
	my ($enma) = @_;
	my ($text) = ask($enma, 'status') =~ /^trouble (.*)$/m;
	return defined $text ? $text : '';
}

sub number {
	my ($enma, $name) = @_;
	my ($n) = ask($enma, 'stats') =~ /^(?:counter|gauge) \Q$name\E (\d+)$/m;
	return $n;
}

# Waits for a cache process that is ready and is not $old; returns its pid.
sub cache_pid {
	my ($enma, $old, $seconds) = @_;
	my $c;
	wait_until($slow * ($seconds || 10), sub {
		$c = cache($enma);
		return $c->{state} eq 'READY' && $c->{pid} != ($old || 0);
	}, 'the cache process is ready');
	return $c->{pid};
}

# Processes of this supervisor that are cache processes.
sub cache_processes {
	my ($enma) = @_;
	my $parent = $enma->pid;
	my @found;
	for my $file (glob '/proc/[0-9]*/stat') {
		my $stat = eval { slurp($file) } or next;
		push @found, $1 if $stat =~ /^(\d+) \(enma: cache\) [^ZX] (\d+) /s && $2 == $parent;
	}
	return @found;
}

sub serves {
	my $m = Enma::MilterClient->new($socket);
	$m->connect('mail.pass.example', '192.0.2.1');
	$m->helo('mail.pass.example');
	my $r = $m->message(from => '<a@pass.example>');
	$m->quit;
	return $r->{code} eq 'c';
}

sub lost_nothing {
	my ($load, $what) = @_;
	my $r = load_end($load);
	is($r->{refused} + $r->{timeouts} + $r->{wrong} + $r->{lost}, 0, "$what: nobody was refused, cut off or answered wrongly");
	cmp_ok($r->{ok}, '>', 50, "$what: mail went on ($r->{ok} messages)");
	return;
}

sub fd_link { return readlink "/proc/$_[0]/fd/$_[1]" }

sub state_file { return slurp($_[0]->dir . '/cache/cache.state') }

subtest 'it comes up, with what it needs and nothing else' => sub {
	my $enma = daemon();
	my $pid = cache_pid($enma);
	my ($worker) = ready_pids($enma);
	like(ask($enma, 'status'), qr/^state running\n(?:.*\n)*cache pid=$pid generation=1 state=READY age_ms=\d+ beat_ms=\d+$/m, 'status');
	is(trouble($enma), '', 'no trouble');
	is_deeply([cache_processes($enma)], [$pid], 'one process of that name');
	like(fd_link($pid, 8), qr/^socket:/, 'it has its end of the feed');
	is(fd_link($pid, $_), '/dev/null', "its descriptor $_ is nothing") for 6, 9;
	like(fd_link($worker, 8), qr/^socket:/, 'a worker has the other end');
	isnt(fd_link($worker, 8), fd_link($pid, 8), 'which is another one');
	like(fd_link($worker, 9), qr/^\/memfd:/, 'a worker has the claims');
	my @st = stat $enma->dir . '/cache';
	is(sprintf('%04o', $st[2] & 07777), '0750', 'the mode of the folder that was made');
	wait_until(5, sub { -e $enma->dir . '/cache/cache.state' }, 'the file is there');
	is(number($enma, 'cache.process.started'), 1, 'counted');
	is(number($enma, 'workers.started'), 2, 'apart from workers');
	is(number($enma, 'cache.map_bytes'), 16 << 20, 'its gauges are in stats');
	is(ask($enma, 'status') =~ /^worker .* pid=$pid /m, '', 'it is no worker');
	is($enma->stop, 0, 'stop');
	ok(!is_running($pid), 'it is gone');
};

subtest 'kill -9 under load' => sub {
	my $enma = daemon();
	my $load = load_begin($dir, $socket, '--connections', 6, '--seconds', 4);
	my $pid = cache_pid($enma);
	for my $round (1 .. 3) {
		kill 'KILL', $pid;
		my $from = time;
		my $next = cache_pid($enma, $pid);
		ok(time - $from < 3 * $slow, sprintf 'replaced at once (%.3f s)', time - $from);
		like($enma->log, qr/the cache process \(pid $pid, generation $round\) was killed by signal 9 \(SIGKILL\); a successor starts$/m, 'logged');
		$pid = $next;
	}
	lost_nothing($load, 'without it');
	is(number($enma, 'cache.process.crashed'), 3, 'counted');
	is(number($enma, 'workers.crashed'), 0, 'no worker was lost');
	is_deeply([cache_processes($enma)], [$pid], 'there is one');
};

subtest 'a stopped one is found and replaced' => sub {
	my $enma = daemon('worker.stuck_timeout' => '1s');
	my $pid = cache_pid($enma);
	my $load = load_begin($dir, $socket, '--connections', 4, '--seconds', 3);
	push @stopped, $pid;
	kill 'STOP', $pid;
	wait_until(5 * $slow, sub { trouble($enma) eq 'the cache process is stuck' }, 'the trouble is known');
	is(cache($enma)->{state}, 'STUCK', 'status');
	is(($enma->ctl('status'))[0], 1, 'enmactl says so with its exit code');
	is_deeply([cache_processes($enma)], [$pid], 'no second one beside it');
	like($enma->log, qr/the cache process \(pid $pid, generation 1\) shows no sign of life for \d+ ms$/m, 'logged');
	isnt(cache_pid($enma, $pid, 20), $pid, 'replaced');
	ok(!is_running($pid), 'the old one is gone');
	lost_nothing($load, 'meanwhile');
	wait_until(5, sub { trouble($enma) eq '' }, 'all is well again');
	is(number($enma, 'cache.process.stuck'), 1, 'counted');
	is(number($enma, 'cache.process.killed'), 1, 'as killed, too');
	is(number($enma, 'workers.stuck'), 0, 'apart from workers');
};

subtest 'reload' => sub {
	my $enma = daemon();
	my $pid = cache_pid($enma);
	is(($enma->ctl('reload'))[0], 0, 'reload');
	is(cache_pid($enma), $pid, 'it stays');
	$enma->set('spf.explog' => 'yes');
	is(($enma->ctl('reload'))[0], 0, 'reload with another setting');
	is(cache_pid($enma), $pid, 'that is not its matter');
	$enma->set('cache.size' => '1x');
	isnt(($enma->ctl('reload'))[0], 0, 'reload with a bad size is refused');
	is(cache_pid($enma), $pid, 'and changes nothing');

	my $load = load_begin($dir, $socket, '--connections', 4, '--seconds', 3);
	$enma->set('cache.size' => '32m');
	is(($enma->ctl('reload'))[0], 0, 'reload with another size');
	my ($most, $next) = (0, undef);
	wait_until(15 * $slow, sub {
		my $n = cache_processes($enma);
		$most = $n if $n > $most;
		my $c = cache($enma);
		$next = $c->{pid};
		return $c->{state} eq 'READY' && $next != $pid && number($enma, 'cache.map_bytes') == 32 << 20;
	}, 'a successor with the new size');
	is($most, 1, 'never two at a time');
	lost_nothing($load, 'meanwhile');
	like($enma->log, qr/the cache process \(pid $pid\) leaves: its settings changed/, 'logged');
	unlike($enma->log, qr/the cache process .*(?:killed|SIGTERM)/, 'it was not forced');
	$enma->set('cache.size' => '32768k');
	is(($enma->ctl('reload'))[0], 0, 'the same size in other words');
	$enma->set('cache.enabled' => 'no');
	is(($enma->ctl('reload'))[0], 0, 'reload: off');
	wait_until(15, sub { !cache_processes($enma) }, 'it goes');
	is(cache($enma)->{state}, 'OFF', 'status');
	is(trouble($enma), '', 'which is no trouble');
	$enma->set('cache.enabled' => 'yes');
	is(($enma->ctl('reload'))[0], 0, 'reload: on');
	ok(cache_pid($enma), 'it is there again');
	is(number($enma, 'cache.process.crashed'), 0, 'nothing of this was a crash');
};

subtest 'stop leaves a clean file, and a restart keeps what is in it' => sub {
	my $dns = Enma::DNS->new(text => join '', map { qq(d$_.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\n) } 1 .. 20);
	my $enma = make('resolver.forward' => $dns->address)->start;
	my $m = Enma::MilterClient->new($socket);
	for my $i (1 .. 20) {
		$m->connect("mail.d$i.example", '192.0.2.1') if $i == 1;
		$m->helo('mail.pass.example') if $i == 1;
		is($m->message(from => "<a\@d$i.example>")->{code}, 'c', 'a message') if $i == 1;
		$m->message(from => "<a\@d$i.example>") if $i > 1;
	}
	$m->quit;
	wait_until(10, sub { number($enma, 'cache.entries') >= 20 }, 'answers were stored');
	my ($entries, $file) = (number($enma, 'cache.entries'), number($enma, 'cache.generation'));
	like(state_file($enma), qr/^clean 0$/m, 'not clean while it is in use');
	for my $how ('TERM', '--now') {
		my $pid = cache_pid($enma);
		my $from = time;
		my $status = $how eq 'TERM' ? $enma->stop : $enma->stop_now;
		is($status, 0, "$how: stopped");
		cmp_ok(time - $from, '<', 10, "$how: in time");
		ok(!is_running($pid), "$how: the cache process, too");
		like(state_file($enma), qr/^clean 1$/m, "$how: the file is clean");
		unlike($enma->log, qr/the cache process .*(?:was killed|was ended|SIG)/, "$how: nobody forced it");
		$enma->start;
		cache_pid($enma);
		wait_until(5, sub { number($enma, 'cache.entries') >= $entries }, 'the entries are there');
		is(number($enma, 'cache.generation'), $file, "$how: the same file after a restart");
	}
	is($enma->stop, 0, 'stop');
};

subtest 'stop, while it is stopped itself' => sub {
	my $enma = daemon();
	my $pid = cache_pid($enma);
	push @stopped, $pid;
	kill 'STOP', $pid;
	my $from = time;
	is($enma->stop_now, 0, 'stop --now ends');
	cmp_ok(time - $from, '<', 8 * $slow, sprintf 'soon (%.1f s)', time - $from);
	ok(!is_running($pid), 'with its cache process');
};

subtest 'cache.enabled no' => sub {
	my $enma = daemon('cache.enabled' => 'no');
	my ($worker) = ready_pids($enma);
	is_deeply([cache_processes($enma)], [], 'no process');
	like(ask($enma, 'status'), qr/^cache pid=0 generation=0 state=OFF /m, 'status');
	is(($enma->ctl('status'))[0], 0, 'is good');
	is(fd_link($worker, $_), '/dev/null', "descriptor $_ of a worker is nothing") for 8, 9;
	ok(!-e $enma->dir . '/cache', 'no folder is made');
	ok(serves(), 'mail is served');
	like(ask($enma, "cache $_"), qr/\Aerr disabled [^\n]+\n\.\n\z/, "cache $_") for 'stats', 'histogram', 'dump', 'get a.example TXT';
	like(ask($enma, "cache $_"), qr/\Aok\nthe shared cache is off\n\.\n\z/, "cache $_")
		for 'flush a.example', 'flush a.example TXT', 'flush-zone example', 'flush-negative', 'purge';
	is($enma->stop, 0, 'stop');
};

subtest 'a folder that cannot be made' => sub {
	my $enma = make();
	my $above = $enma->dir . '/above';
	$enma->set('cache.path' => "$above/cache/cache");
	# It serves, but not as it should: start() waits for more.
	$enma->{pid} = Enma::Proc::spawn(cmd => [Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file], log => $enma->dir . '/output');
	wait_until(30, sub { ($enma->ctl('status'))[0] == 1 }, 'it runs');
	wait_until(10, sub { 2 == (my @ready = ready_pids($enma)) }, 'workers are ready');
	ok(serves(), 'mail is served');
	is(trouble($enma), 'the cache process is missing', 'status says what is missing');
	like(ask($enma, 'status'), qr/^cache pid=0 generation=0 state=MISSING .* retry_ms=\d+$/m, 'and when it is tried again');
	like($enma->log, qr{the cache process: cache\.path \Q$above\E/cache/cache: cannot make the folder \Q$above\E/cache: the folder above it does not exist \(make it and give it to .*\); mail goes on without the shared cache, next try in 1 s$}m,
		'the log says what, why and the remedy');
	like(ask($enma, 'cache purge'), qr/\Aerr busy /, 'cache purge');
	like(ask($enma, 'cache get a.example TXT'), qr/\Aerr busy /, 'cache get');
	like(ask($enma, 'cache stats'), qr/\Aok\n/, 'cache stats');
	mkdir $above or die "$above: $!";
	ok(cache_pid($enma, 0, 70), 'with the folder above it comes by itself');
	is(trouble($enma), '', 'all is well');
	is($enma->stop, 0, 'stop');
};

subtest 'a folder that it may not write to' => sub {
	my $enma = make();
	mkdir $enma->dir . '/cache' or die;
	chmod 0777, $enma->dir . '/cache' or die;	# everybody's: also root's process does not trust it
	$enma->start;
	ok(serves(), 'mail is served');
	wait_until(10, sub { $enma->log =~ m{no cache for now: .*/cache} }, 'the log says so');
	chmod 0750, $enma->dir . '/cache' or die;
	wait_until(30, sub { (number($enma, 'cache.map_bytes') || 0) > 0 }, 'it is used once it can be trusted');
	is($enma->stop, 0, 'stop');
};

subtest 'two supervisors with the same cache' => sub {
	my $first = daemon();
	cache_pid($first);
	my $there = $first->dir . '/cache/cache';
	my $second = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/second", quiet($dir), 'cache.path' => $there])->start;
	wait_until(10, sub { $second->log =~ /another process writes this cache/ }, 'the second one says why it has no cache');
	my $r = load_end(load_begin($dir, "unix:$dir/second", '--connections', 4, '--messages', 100));
	is($r->{ok}, 100, 'and its mail goes on');
	is($first->stop, 0, 'the first one stops');
	wait_until(60, sub { (number($second, 'cache.map_bytes') || 0) > 0 }, 'the second one takes over');
	is($second->stop, 0, 'the second one stops');
};

subtest 'requests' => sub {
	my $enma = daemon();
	my $pid = cache_pid($enma);
	like(ask($enma, 'cache'), qr/\Aerr syntax cache takes a command: /, 'no command');
	like(ask($enma, 'cache dance'), qr/\Aerr unknown there is no command "cache dance"\n\.\n\z/, 'an unknown one');
	like(ask($enma, "cache $_"), qr/\Aerr syntax /, "cache $_")
		for 'stats x', 'flush', 'flush a b c', 'flush-zone', 'flush-zone a b', 'flush-negative x', 'purge x', 'get a', 'get', 'histogram x';
	like(ask($enma, 'cache dump zone=' . 'a' x 2000), qr/\Aerr limit /, 'too long');
	like(ask($enma, 'cache stats'), qr{\Aok\n(?:ratio (?:1m|5m|15m|start) \d+ \d+\n){4}(?:class [a-z]+ hits=\d+ stale=\d+ misses=\d+ expired=\d+ offered=\d+ dropped=\d+ inserted=\d+ deleted=\d+ evicted=\d+\n){8}(?:gauge cache\.\w+ \d+\n){7}(?:counter cache\.\S+ \d+\n)+\.\n\z},
		'stats');
	for my $command ('flush a.example', 'flush a.example TXT', 'flush-zone example', 'flush-negative', 'purge') {
		my $from = time;
		like(ask($enma, "cache $command"), qr/\Aok\n(?:.*\n)*deleted 0\n(?:.*\n)*\.\n\z/, "cache $command");
		cmp_ok(time - $from, '<', 1.5 * $slow, "cache $command: workers answer at once");
		like($enma->log, qr/cache $command \(pid $$, uid $>\)$/m, 'the log says who');
	}
	like(ask($enma, 'cache histogram'), qr/\Aok\n(?:.*\n)*age 1 0\n(?:.*\n)*\.\n\z/, 'the cache process itself answers');

	my ($worker) = ready_pids($enma);
	push @stopped, $worker;
	kill 'STOP', $worker;
	my $from = time;
	like(ask($enma, 'cache purge'), qr/\Aok\n/, 'a worker that hangs does not stop a purge');
	my $seconds = time - $from;
	cmp_ok($seconds, '>', 1.5, sprintf 'it is waited for (%.1f s)', $seconds);
	cmp_ok($seconds, '<', 5 * $slow, 'for a while');
	like($enma->log, qr/cache purge: worker \d \(pid $worker\) did not answer in time$/m, 'and named');
	kill 'CONT', $worker;
	like(ask($enma, 'cache purge'), qr/\Aok\n/, 'again');
	is(cache_pid($enma), $pid, 'it is the same process still');
	is($enma->stop, 0, 'stop');
};

subtest 'a size that cannot be' => sub {
	my @line = split ' ', (split /\n/, (run_command(cmd => ['df', '-P', '-B', '1', $dir]))[1])[-1];
	my $total = $line[1] >> 20;
	plan skip_all => 'the file system is larger than any cache.size' if $total >= 4 << 20;
	my $enma = make('cache.size' => $total + 1 << 20);
	my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-T', '-c', $enma->conf_file]);
	is($status >> 8, 78, 'enma -T refuses it');
	my $size = $total + 1 << 20;
	like($text, qr/cache\.size: $size bytes .* are more than the whole file system .* $line[1] bytes .*: lower cache\.size, or set cache\.path/,
		'with both sizes and the remedy');
	$enma->set('cache.enabled' => 'no');
	($status) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-T', '-c', $enma->conf_file]);
	is($status, 0, 'it does not matter while the cache is off');
};

done_testing();
