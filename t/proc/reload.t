#!/usr/bin/perl
# Reload: no session is lost, a broken configuration changes nothing, sockets come and go, a generation that cannot start is given up.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until spew slurp free_port);
use Enma::Workers qw(quiet status stats ready_pids load_begin load_end is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => [(grep { $_ eq 'milter.socket' } @set) ? () : ('milter.socket' => $socket),
		'syslog.logmask' => 'notice', quiet($dir), @set])->start;
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

sub append {
	my ($file, $text) = @_;
	spew($file, slurp($file) . $text);
	return;
}

subtest 'reload under load loses nothing' => sub {
	for my $at ($socket, 'inet:' . free_port() . '@127.0.0.1') {
		my $enma = daemon('milter.socket' => $at);
		my $load = load_begin($dir, $at, '--connections', 8, '--messages', 1500, '--rate', 500);
		wait_until(10, sub { stats($enma)->{counters}{messages} > 20 }, 'mail flows');
		my @old = ready_pids($enma);
		for my $round (1 .. 5) {
			my ($code, $text) = $enma->ctl('reload');
			is($code, 0, "$at: reload $round") or diag $text;
		}
		my $result = load_end($load);
		is($result->{ok}, 1500, 'all sessions were answered');
		is($result->{$_}, 0, "none $_") for qw(lost refused wrong timeouts);
		wait_until(10, sub { !grep { is_running($_) } @old }, 'the old workers leave');
		my $status = status($enma);
		is($status->{generation}, 6, 'generation 6 serves');
		wait_until(10, sub { @{ status($enma)->{workers} } == 2 }, 'nobody else is left');
		cmp_ok(stats($enma)->{counters}{messages}, '>=', 1500, 'counters of the old workers are kept');
	}
};

subtest 'a session in progress finishes in the old generation' => sub {
	my $enma = daemon('spf.auth' => 'yes');
	my $m = session_open();
	my @old = ready_pids($enma);
	$enma->set('authresult.identifier' => 'other.example.jp');
	is(($enma->ctl('reload'))[0], 0, 'reload');
	ok(is_served($m), 'the old session is served');
	is(scalar(grep { $_->{state} eq 'RETIRING' } @{ status($enma)->{workers} }), 1, 'one old worker waits for it, the idle one is gone')
		if wait_until(5, sub { (grep { is_running($_) } @old) == 1 }, 'the idle old worker leaves');
	my $new = session_open();
	my $r = $new->message(from => '<a@pass.example>');
	like(join(' ', map { ref $_ ? map { defined $_ && !ref $_ ? $_ : () } (ref $_ eq 'HASH' ? values %$_ : @$_) : $_ } @{ $r->{edits} }),
		qr/other\.example\.jp/, 'a new session meets the new configuration');
	$m->quit;
	wait_until(5, sub { !grep { is_running($_) } @old }, 'the last old worker leaves');
};

subtest 'a broken configuration changes nothing' => sub {
	my $enma = daemon();
	my @before = ready_pids($enma);
	my $good = slurp($enma->conf_file);
	append($enma->conf_file, "no.such.key: 1\nworker.count: many\nspf.auth: perhaps\nmilter.socket: carrier-pigeon:7\n");
	my ($code, $text) = $enma->ctl('reload');
	is($code, 1, 'refused');
	my $file = $enma->conf_file;
	my $first = ($good =~ tr/\n//) + 1;
	like($text, qr/\Q$file:$first: \E.*no\.such\.key/, 'error 1, with file and line');
	like($text, qr/\Q$file:${\($first + 1)}: \E.*worker\.count/, 'error 2');
	like($text, qr/\Q$file:${\($first + 2)}: \E.*spf\.auth/, 'error 3');
	like($text, qr/\Q$file:${\($first + 3)}: \E.*carrier-pigeon/, 'error 4');
	like($text, qr/generation 1 goes on/, 'and what is in force');
	is_deeply([ready_pids($enma)], \@before, 'the same workers');
	is(status($enma)->{generation}, 1, 'the same generation');
	is(($enma->ctl('status'))[0], 0, 'status is good');
	ok(serves(), 'mail is served');
	kill 'HUP', $enma->pid;
	wait_until(5, sub { stats($enma)->{counters}{'reloads.failed'} == 2 }, 'the signal is refused, too');
	like($enma->log, qr/no\.such\.key/, 'its errors are in the log');
	spew($file, $good);
	is(($enma->ctl('reload'))[0], 0, 'the repaired file is accepted');
	unlink $file;
	is(($enma->ctl('-s', $enma->dir . '/control', 'reload'))[0], 1, 'a file that is gone is refused');
	spew($file, "spf.auth: yes\n" x 3 . "include: /nonexistent/file\n");
	is(($enma->ctl('-s', $enma->dir . '/control', 'reload'))[0], 1, 'an include that is not there is refused');
	spew($file, $good);
};

subtest 'sockets come and go' => sub {
	my ($one, $two) = map { "unix:$dir/$_" } qw(one two);
	my $enma = daemon('milter.socket' => $one, 'worker.count' => 1);
	my $port = 'inet:0@127.0.0.1';
	my $kept = session_open($one);
	$enma->set('milter.socket' => $one, $two, $port);
	is(($enma->ctl('reload'))[0], 0, 'two sockets more');
	my @at = map { $_->{address} } @{ status($enma)->{sockets} };
	is(scalar @at, 3, 'three sockets');
	like($at[2], qr/^inet:[1-9]\d*\@127\.0\.0\.1$/, 'the real port is shown');
	ok(serves($_), "$_ is served") for @at;
	is(($enma->ctl('reload'))[0], 0, 'again');
	is(status($enma)->{sockets}[2]{address}, $at[2], 'a port that was chosen is kept');
	my $inode = (stat "$dir/two")[1];
	$enma->set('milter.socket' => $two);
	is(($enma->ctl('reload'))[0], 0, 'one socket is left');
	is((stat "$dir/two")[1], $inode, 'which was not made again');
	ok(!-e "$dir/one", 'the file of a closed one is removed');
	ok(is_served($kept), 'a session on a closed socket is finished');
	ok(!eval { session_open($at[2]) }, 'a closed port refuses');
	spew("$dir/file", 'precious');
	$enma->set('milter.socket' => $two, "unix:$dir/file");
	my ($code, $text) = $enma->ctl('reload');
	is($code, 1, 'a place with a file is refused');
	like($text, qr/no socket/, 'clearly');
	is(slurp("$dir/file"), 'precious', 'and the file is untouched');
	my $taken = IO::Socket::UNIX->new(Local => "$dir/taken", Listen => 1);
	$enma->set('milter.socket' => $two, "unix:$dir/taken", "unix:$dir/new");
	($code, $text) = $enma->ctl('reload');
	like($text, qr/a program already listens there/, 'a place in use is refused');
	ok(!-e "$dir/new", 'nothing half done is left');
	is(($enma->ctl('status'))[0], 0, 'status is good');
};

subtest 'a generation that cannot start is given up' => sub {
	my $enma = daemon();
	my @before = ready_pids($enma);
	# A stack of 4 kB: the new workers die at once, as with a broken library.
	system 'prlimit', '--pid', $enma->pid, '--stack=4096:';
	my ($code, $text) = $enma->ctl('reload');
	is($code, 1, 'refused');
	like($text, qr/before it was ready/, 'with the reason') or diag $text;
	is_deeply([ready_pids($enma)], \@before, 'the same workers');
	ok(serves(), 'mail is served');
	system 'prlimit', '--pid', $enma->pid, '--stack=8388608:';
	is(($enma->ctl('reload'))[0], 0, 'and when the reason is gone, it works');
};

done_testing();
