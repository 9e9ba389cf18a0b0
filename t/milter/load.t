#!/usr/bin/perl
# The load driver itself: does it count what happened, and does it speak as Postfix does?  Process tests rely on it.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use JSON::PP ();
use Socket qw(SOCK_STREAM);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Proc qw(spawn stop is_alive exit_status run_command wait_until work_dir slurp);

my $build = $ENV{ENMA_BUILD} || 'build';
my $load = "$build/t/milterload";
my $dir = work_dir();
my $count = 0;

# Runs milterload; exit code, the fields of the result line, everything it printed.
sub load {
	my ($addr, @args) = @_;
	my ($status, $out) = run_command(cmd => [$load, '--connect', $addr, @args], seconds => 60);
	return ($status >> 8, fields($out), $out);
}

sub fields {
	my ($out) = @_;
	my ($line) = $out =~ /^(sessions=.*)$/m;
	return { map { split /=/ } split / /, defined $line ? $line : '' };
}

# Starts a null filter; pid and address.
sub null {
	my ($where, @args) = @_;
	my $log = "$dir/null" . ++$count;
	my $addr = $where eq 'unix' ? "unix:$log.sock" : $where;
	my $pid = spawn(cmd => ["$build/t/nullmilter", '-p', $addr, @args], log => $log);
	my ($port) = wait_until(10, sub { log_of($log) =~ /^ready (\d+)/m ? [$1] : 0 }, 'nullmilter')->[0];
	$addr =~ s/:0@/:$port@/;
	return ($pid, $addr);
}

# The log of a process that was just started.
sub log_of {
	my ($file) = @_;
	return -e $file ? slurp($file) : "";
}

# libmilter takes seconds to end on SIGTERM.
sub gone {
	my ($pid) = @_;
	stop($pid, signal => 'KILL');
	return;
}

sub workers {
	my ($pid) = @_;
	return split ' ', slurp("/proc/$pid/task/$pid/children");
}

# A filter of a few lines: negotiates $proto, then gives every packet to $code, which returns the reply's bytes,
# '' for none or undef to close.
sub fake {
	my ($proto, $code, $extra) = @_;
	my $path = "$dir/fake" . ++$count;
	my $listen = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 16) or die "$path: $!";
	my $serve = sub {
		while (my $c = $listen->accept) {
			while (defined(my $p = packet($c))) {
				my ($cmd, $data) = (substr($p, 0, 1), substr $p, 1);
				my $reply = $cmd eq 'O' ? 'O' . pack('NNN', 6, 0x11, $proto) . ($extra || '') : $code->($cmd, $data);
				last if !defined $reply;
				syswrite $c, pack('N/a*', $reply) if length $reply;
			}
			close $c;
		}
	};
	spawn(code => $serve, log => "$path.log", keep => [$listen]);
	close $listen;
	return "unix:$path";
}

sub packet {
	my ($c) = @_;
	my $len = take($c, 4);
	return defined $len ? take($c, unpack 'N', $len) : undef;
}

sub take {
	my ($c, $n) = @_;
	my $got = '';
	while (length $got < $n) {
		sysread $c, $got, $n - length $got, length $got or return;
	}
	return $got;
}

my ($null, $addr) = null('unix', '-w', 2);

subtest 'every message is counted once' => sub {
	my ($rc, $r) = load($addr, qw(--connections 8 --messages 200));
	is $rc, 0, 'exit 0';
	is $r->{$_}, 200, "$_" for qw(sessions attempts messages ok);
	is $r->{$_}, 0, "no $_" for qw(wrong lost refused overload timeouts tempfail reject violations);
	ok $r->{p50_us} > 0 && $r->{p50_us} <= $r->{p99_us} && $r->{p99_us} <= $r->{max_us}, 'latencies in order';
	ok $r->{msgs_per_s} > 0 && $r->{elapsed} > 0, 'rate and time';
	(undef, $r) = load($addr, qw(--messages 20 --messages-per-connection 5));
	is $r->{sessions}, 4, 'five messages on each connection';
	(undef, $r) = load($addr, qw(--messages 21 --messages-per-connection 5));
	is "$r->{sessions} $r->{ok}", '5 21', 'the rest on a fifth';
	($rc, $r) = load($addr, qw(--seconds 0.3 --connections 2));
	ok $rc == 0 && $r->{ok} == $r->{attempts} && $r->{elapsed} < 5, 'a run by time ends with everything answered';
	($rc, $r) = load($addr, qw(--messages 20 --rate 50));
	ok $rc == 0 && $r->{elapsed} >= 0.37, 'paced';
	(undef, $r) = load($addr, qw(--messages 2 --think-ms 100));
	ok $r->{elapsed} >= 0.6 && $r->{p50_us} < 280_000, 'pauses are made and not part of the latency';
};

subtest 'the result as JSON' => sub {
	my (undef, undef, $out) = load($addr, qw(--messages 3 --json));
	my $r = eval { JSON::PP::decode_json($out) };
	ok $r, 'one JSON object' or diag $out;
	is $r->{ok}, 3, 'with the same numbers';
};

subtest 'expectations' => sub {
	my ($rc, $r) = load($addr, '--messages', 10, '--expect', '^mx\.load\.example; spf=none smtp\.helo=[a-z.]+; spf=none ');
	is "$rc $r->{ok} $r->{wrong}", '0 10 0', 'the unfolded value matches';
	($rc, $r) = load($addr, qw(--messages 10 --expect spf=pass));
	is "$rc $r->{ok} $r->{wrong}", '1 0 10', 'a value that does not match is wrong';
	($rc, $r) = load($addr, qw(--messages 10 --expect-none));
	is "$rc $r->{wrong}", '1 10', 'an unwanted value is wrong';
	for my $v (qw(tempfail reject discard)) {
		my ($pid, $a) = null('unix', '--verdict', $v);
		($rc, $r) = load($a, qw(--messages 5));
		is "$rc $r->{wrong} $r->{$v} $r->{lost}", '1 5 5 0', "$v is wrong when nothing else is said";
		($rc, $r) = load($a, qw(--messages 5 --expect-verdict), $v);
		is "$rc $r->{ok} $r->{$v}", '0 5 5', "$v is right when expected";
		gone($pid);
	}
	($rc, $r) = load($addr, qw(--messages 5 --expect-verdict reject));
	is "$rc $r->{wrong}", '1 5', 'continue is wrong when a reject is expected';
};

subtest 'other sockets and other flags' => sub {
	for my $case (['inet:0@127.0.0.1'], ['inet6:0@::1'], ['unix', '--no-flags'], ['unix', '--nobody']) {
		my ($pid, $a) = null(@$case);
		for my $more ([], ['--eager'], [qw(--message-size 200000 --messages-per-connection 3)]) {
			my ($rc, $r) = load($a, qw(--messages 30 --connections 3 --expect spf=none), @$more);
			is "$rc $r->{ok}", '0 30', "@$case @$more";
		}
		gone($pid);
	}
};

subtest 'packets as Postfix sends them' => sub {
	my (undef, undef, $out) = load($addr, qw(--trace --message-size 70000 --headers 2 --rcpt a@b.example --rcpt c@d.example
		--messages 2 --messages-per-connection 2 --auth joe));
	my @seen = map { /^\s*[\d.]+ ([<>] \w) \d+ ?(.?)/ ? "$1" . ($1 eq '> D' ? $2 : '') : () } split /\n/, $out;
	s/^> // for @seen;
	my @message = (qw(DM M DR R DR R DT DL L DL L DN N DB B DB B DE E), '< i', '< c', 'A');
	is_deeply \@seen, ['O', '< O', qw(DC C DH H), @message, @message, qw(A Q)], 'order' or diag $out;
	my @rcpt = $out =~ /> D \d+ R(\S+)/g;
	unlike $rcpt[0], qr/^i\\0/, 'no queue id at the first recipient';
	like $rcpt[1], qr/^i\\0/, 'but at the second';
	like $out, qr/> D \d+ M\{auth_type\}\\0PLAIN\\0\{auth_authen\}\\0joe\\0\{mail_addr\}/, 'macros of an authenticated client';
	my (undef, undef, $bounce) = load($addr, '--trace', '--from', '');
	like $bounce, qr/> D \d+ M\{mail_addr\}\\0\\0\{mail_host\}\\0mx\.load\.example\\0.*> M \d+ <>\\0/s, 'the null sender';
	like $out, qr/> B 65535 /, 'full chunk';
	like $out, qr/> L \d+ From\\0 Some One/, 'the space after the colon is kept';
};

subtest 'aborted messages' => sub {
	for my $stage (qw(mail rcpt data header eoh body)) {
		for my $flags ([], ['--no-flags']) {
			my ($pid, $a) = null('unix', @$flags);
			my ($rc, $r) = load($a, qw(--messages 12 --messages-per-connection 4 --expect spf=none --abort-stage), $stage);
			is "$rc $r->{ok} $r->{aborted} $r->{sessions}", '0 12 12 3', "$stage @$flags";
			gone($pid);
		}
	}
	my (undef, undef, $out) = load($addr, qw(--messages 1 --abort-stage header --trace));
	like $out, qr/> M \d+ <aborted\@.*> L \d+ From[^\n]*\n[^\n]*> A 0 \n[^\n]*> D \d+ M[^\n]*user1\@/s, 'abort after the first header';
};

subtest 'a killed filter is a lost session' => sub {
	my ($pid, $a) = null('unix', '-w', 2);
	my $log = "$dir/idle";
	my $driver = spawn(cmd => [$load, '--connect', $a, qw(--idle 40 --seconds 60)], log => $log);
	wait_until(20, sub { log_of($log) =~ /^idle ready 40$/m }, 'idle connections');
	my @worker = workers($pid);
	is scalar @worker, 2, 'two workers';
	kill 'KILL', @worker;
	wait_until(10, sub { !is_alive($driver) }, 'the driver sees them go');
	my $r = fields(slurp($log));
	is "$r->{lost} $r->{ok} $r->{refused} $r->{attempts}", '40 0 0 40', 'all lost';
	is exit_status($driver) >> 8, 1, 'exit 1';

	($pid, $a) = null('unix', qw(-w 2 --eom-ms 20));
	$log = "$dir/busy";
	$driver = spawn(cmd => [$load, '--connect', $a, qw(--connections 12 --seconds 60 --stop-on-signal --trace)], log => $log);
	wait_until(20, sub { log_of($log) =~ /< c 0/ }, 'load');
	# Which of the two has the sessions is up to the kernel.
	my $open = sub { scalar(() = glob "/proc/$_[0]/fd/*") };
	my ($busiest) = sort { $open->($b) <=> $open->($a) } workers($pid);
	kill 'KILL', $busiest;
	wait_until(20, sub { log_of($log) =~ /connection lost/ }, 'a loss');
	kill 'TERM', $driver;
	wait_until(20, sub { !is_alive($driver) }, 'the end of the load');
	$r = fields(slurp($log));
	ok $r->{lost} >= 1 && $r->{lost} <= 12, "only sessions in flight ($r->{lost})";
	is $r->{ok} + $r->{lost}, $r->{attempts}, 'each attempt is ok or lost';
	is "$r->{refused} $r->{wrong} $r->{timeouts}", '0 0 0', 'and nothing else';
};

subtest 'refused, late, overloaded' => sub {
	my ($rc, $r) = load("unix:$dir/nobody", qw(--messages 3));
	is "$rc $r->{refused} $r->{sessions} $r->{messages}", '1 3 0 0', 'no socket';
	my $path = "$dir/full";
	my $listen = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $path, Listen => 1) or die $!;
	($rc, $r) = load("unix:$path", qw(--messages 10 --connections 10 --timeout-ms 200));
	ok $r->{refused} > 0 && $r->{timeouts} > 0, 'full backlog: refused at once; in the backlog: late';
	is $r->{refused} + $r->{timeouts}, 10, 'each counted once';
	close $listen;
	($rc, $r) = load("unix:$path", qw(--messages 3));
	is "$rc $r->{refused}", '1 3', 'nobody listens';
	my ($pid, $a) = null('unix', qw(--eom-ms 3000));
	($rc, $r) = load($a, qw(--messages 2 --timeout-ms 100));
	is "$rc $r->{timeouts} $r->{ok}", '1 2 0', 'no answer in time';
	gone($pid);
	($pid, $a) = null('unix', qw(--tempfail-connect 2));
	($rc, $r) = load($a, qw(--messages 10));
	is "$rc $r->{overload} $r->{ok} $r->{tempfail}", '0 5 5 0', 'tempfail to CONNECT';
	gone($pid);
};

subtest 'a filter that breaks the protocol' => sub {
	my $all_nr = 0x0ff080;
	my ($rc, $r) = load(fake($all_nr, sub { $_[0] eq 'C' ? 'c' : '' }), qw(--messages 2 --eager --think-ms 2000));
	is "$rc $r->{wrong} $r->{violations} $r->{ok}", '1 2 2 0', 'a reply that was agreed not to come';
	($rc, $r) = load(fake(0, sub { $_[0] eq 'M' ? 'Z' : $_[0] eq 'D' ? '' : 'c' }), qw(--messages 2));
	is "$rc $r->{wrong} $r->{violations}", '1 2 2', 'an unknown reply';
	($rc, $r) = load(fake($all_nr, sub { $_[0] eq 'E' ? undef : '' }), qw(--messages 2));
	is "$rc $r->{lost}", '1 2', 'closed at end of message';
	($rc, $r) = load(fake(0, sub { $_[0] eq 'D' ? '' : undef }), qw(--messages 2));
	is "$rc $r->{lost}", '1 2', 'closed at CONNECT';
	($rc, $r) = load(fake($all_nr, sub { $_[0] eq 'E' ? 'c' : $_[0] eq 'A' ? undef : '' }), qw(--messages 3));
	is "$rc $r->{ok} $r->{lost}", '0 3 0', 'closing after the final answer loses nothing';
	($rc, $r) = load(fake($all_nr, sub { $_[0] eq 'E' ? 'c' : $_[0] eq 'A' ? undef : '' }),
		qw(--messages 4 --messages-per-connection 2));
	is "$rc $r->{ok} $r->{lost}", '1 2 2', 'but a second message on that connection does';
};

subtest 'the finer points of the protocol' => sub {
	my %body;
	my $skip = fake(0x100400, sub { $_[0] eq 'B' ? 's' : $_[0] =~ /[DAQ]/ ? '' : 'c' });
	my ($rc, $r, $out) = load($skip, qw(--messages 1 --message-size 300000 --trace));
	is $rc, 0, 'SKIP is understood';
	is scalar(() = $out =~ /> D \d+ B/g), 1, 'one chunk, and no macros for the others';
	my $syms = fake(0x0ff380, sub { $_[0] eq 'E' ? 'c' : '' }, pack('N Z*', 2, 'i, {mail_addr}') . pack('N Z*', 5, 'i {auth_authen} j'));
	(undef, undef, $out) = load($syms, qw(--messages 1 --auth joe --trace));
	like $out, qr/> D \d+ M\{mail_addr\}\\0user1\@example.org\\0\n/, 'symbol list of MAIL';
	like $out, qr/> D \d+ Ei\\0\w+\\0\{auth_authen\}\\0joe\\0j\\0/, 'of end of message';
	like $out, qr/> D 1 C\n.*> D 1 R\n/s, 'none for the stages not named';
	my $rej = fake(0, sub { $_[0] =~ /[DAQ]/ ? '' : $_[0] eq 'R' && $_[1] =~ /bad/ ? 'r' : 'c' });
	(undef, $r) = load($rej, qw(--messages 1 --rcpt bad@x.example --rcpt good@x.example));
	is $r->{ok}, 1, 'one refused recipient of two';
	(undef, $r) = load($rej, qw(--messages 1 --rcpt good@x.example --rcpt bad@x.example));
	is $r->{ok}, 1, 'also when it is the last';
	(undef, $r) = load($rej, qw(--messages 1 --rcpt bad@x.example --expect-verdict reject));
	is "$r->{ok} $r->{reject}", '1 1', 'all recipients refused: the message is';
	my $code = fake(0, sub { $_[0] =~ /[DAQ]/ ? '' : $_[0] eq 'M' ? "y451 4.7.1 later\0" : 'c' });
	(undef, $r) = load($code, qw(--messages 2 --messages-per-connection 2 --expect-verdict tempfail));
	is "$r->{ok} $r->{sessions}", '2 1', 'a reply code at MAIL, and the next message';
};

subtest 'signals' => sub {
	my $log = "$dir/stopped";
	my $driver = spawn(cmd => [$load, '--connect', $addr, qw(--connections 10 --seconds 60 --stop-on-signal --trace)], log => $log);
	wait_until(20, sub { log_of($log) =~ /< c 0/ }, 'load');
	is stop($driver), 0, 'SIGTERM: finishes, exit 0';
	my $r = fields(slurp($log));
	ok $r->{ok} > 0 && $r->{ok} == $r->{attempts}, 'nothing was left open';
};

subtest 'many idle connections' => sub {
	my $log = "$dir/many";
	my $driver = spawn(cmd => [$load, '--connect', $addr, qw(--idle 2000 --seconds 60)], log => $log);
	wait_until(30, sub { log_of($log) =~ /^idle ready 2000$/m }, 'idle ready');
	is stop($driver), 0, 'released by a signal, exit 0';
	is fields(slurp($log))->{ok}, 2000, 'all were held';
	my ($status, $out) = run_command(cmd => [$load, '--connect', $addr, qw(--idle 5)], stdin => "\n");
	is $status, 0, 'released by a line on stdin';
	is fields($out)->{ok} || 0, 5, 'all five';
};

subtest 'hostile input leaves the filter alive' => sub {
	my ($status, $out) = run_command(cmd => [$load, '--connect', $addr, qw(--garbage all --timeout-ms 300)], seconds => 120);
	is $status, 0, 'nobody was refused' or diag $out;
	my %seen = map { /^kind=(\S+) (.*)/ ? ($1 => { map { split /=/ } split / /, $2 }) : () } split /\n/, $out;
	cmp_ok scalar keys %seen, '>=', 13, 'kinds';
	for my $kind (sort keys %seen) {
		my $sum = 0;
		$sum += $seen{$kind}{$_} for qw(closed answered answered_closed silent refused left);
		is $sum, $seen{$kind}{connections}, "$kind: each connection has one outcome";
	}
	is $seen{'half-optneg'}{silent}, 10, 'half a negotiation: waits';
	# These are closed by the filter, so a long time to wait costs nothing.
	for my $kind (qw(truncated huge-length headers-100k)) {
		(undef, $out) = run_command(cmd => [$load, '--connect', $addr, '--garbage', $kind, qw(--connections 20 --timeout-ms 60000)],
			seconds => 90);
		my ($closed, $answered_closed) = $out =~ / closed=(\d+) .* answered_closed=(\d+)/;
		is $closed + $answered_closed, 20, "$kind: closed";
		is $answered_closed, 20, "$kind: answered before" if $kind eq 'headers-100k';
	}
	my ($rc, $r) = load($addr, qw(--messages 50 --connections 5));
	is "$rc $r->{ok}", '0 50', 'and good service afterwards';
	($status) = run_command(cmd => [$load, '--connect', "unix:$dir/nobody", qw(--garbage random)]);
	is $status >> 8, 1, 'a refused connection is told';
};

subtest 'usage' => sub {
	for my $args (['--messages', 3], ['--connect', 'smtp:25'], ['--connect', $addr, '--messages', 'x'], ['--nonsense'],
		['--connect', $addr, '--expect', '('], ['--connect', $addr, '--abort-stage', 'eom'], ['--connect', $addr, 'more'],
		['--connect', $addr, '--garbage', 'nothing-known'], ['--connect', $addr, '--messages', -1]) {
		my ($status) = run_command(cmd => [$load, @$args]);
		is $status >> 8, 2, "exit 2: @$args";
	}
};

gone($null);
done_testing;
