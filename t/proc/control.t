#!/usr/bin/perl
# The control socket: its commands, garbage, limits, clients that stall, and who may ask.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until run_command);
use Enma::Workers qw(quiet status stats fd_count load_begin load_end);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", quiet($dir)])->start;

sub dial { return IO::Socket::UNIX->new(Peer => $enma->dir . '/control') || die "connect: $!" }

# Everything until the end, within some seconds.
sub read_all {
	my ($s, $seconds) = @_;
	my ($text, $until) = ('', time + ($seconds || 10));
	while (time < $until) {
		next if !IO::Select->new($s)->can_read($until - time);
		my $n = sysread $s, $text, 65536, length $text;
		return $text if !$n;
	}
	die "no end within $seconds s";
}

sub ask {
	my ($bytes) = @_;
	my $s = dial();
	local $SIG{PIPE} = 'IGNORE';
	my $sent = 0;
	while ($sent < length $bytes) {
		my $n = syswrite $s, $bytes, 65536, $sent;
		last if !defined $n;
		$sent += $n;
	}
	return read_all($s);
}

subtest 'commands' => sub {
	my $pid = $enma->pid;
	like(ask("ENMA1 status\n"), qr/\Aok\nversion \d\S+\npid $pid\nstate running\n.*^worker slot=1 .*\n\.\n\z/ms, 'status');
	like(ask("ENMA1 version\r\n"), qr/\Aok\nversion \d\S+\n\.\n\z/, 'version, CR LF');
	like(ask("ENMA1 version\nENMA1 stop\nrubbish"), qr/\Aok\nversion \S+\n\.\n\z/, 'one request only');
	like(ask("ENMA1  config   spf.auth \n"), qr/\Aok\nspf\.auth\tyes\tyes\tdefault\n\.\n\z/, 'config of one key');
	my $all = ask("ENMA1 config\n");
	is(scalar(grep { tr/\t// != 3 } (split /\n/, $all)[1 .. ($all =~ tr/\n//) - 2]), 0, 'config: four columns in each line');
	like($all, qr/^milter\.socket\tunix:\Q$dir\E\/milter\t\S+\t\S+enma\.conf:1$/m, 'with the origin');
	like(ask("ENMA1 stats\n"), qr/^counter messages 0\n.*^histogram message 0(?: 0){28}\n/ms, 'stats');
};

subtest 'refusals' => sub {
	like(ask("ENMA1 dance\n"), qr/\Aerr unknown .*dance.*\n\.\n\z/, 'unknown command');
	like(ask("ENMA1 config no.key\n"), qr/\Aerr unknown .*no\.key.*\n\.\n\z/, 'unknown key');
	like(ask("ENMA1 status please\n"), qr/\Aerr syntax .*\n\.\n\z/, 'an argument too many');
	like(ask("ENMA1 stop later\n"), qr/\Aerr syntax .*\n\.\n\z/, 'stop: unknown argument');
	like(ask("ENMA2 status\n"), qr/\Aerr syntax .*ENMA1.*\n\.\n\z/, 'another version');
	like(ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), qr/\Aerr syntax /, 'HTTP');
	like(ask("\n"), qr/\Aerr syntax /, 'an empty line');
	like(ask("ENMA1 \n"), qr/\Aerr syntax /, 'no command');
	like(ask("ENMA1 st\x{00}tus\n"), qr/\Aerr syntax /, 'NUL');
	like(ask("ENMA1 " . ('x ' x 17) . "\n"), qr/\Aerr /, 'many arguments');
	like(ask("ENMA1 \xff\xfe\n"), qr/\Aerr syntax /, 'not ASCII');
	is(($enma->ctl('status'))[0], 0, 'status is good');
};

subtest 'length' => sub {
	like(ask('ENMA1 ' . 'x' x 4090 . "\n"), qr/\Aerr unknown /, '4096 bytes are read');
	like(ask('ENMA1 ' . 'x' x 4091 . "\n"), qr/\Aerr (?:limit|syntax) /, '4097 bytes are refused');
	like(ask('x' x 5000), qr/\Aerr limit /, 'no end of line');
	like(ask('A' x (1 << 20) . "\n"), qr/\Aerr limit /, 'a megabyte');
	like(ask(join '', map { chr int rand 256 } 1 .. 1 << 20), qr/\Aerr /, 'a megabyte of garbage');
	is(($enma->ctl('status'))[0], 0, 'status is good');
};

subtest 'connect and close' => sub {
	my $fds = fd_count($enma->pid);
	for my $round (1 .. 500) {
		my $s = dial();
		syswrite $s, "ENMA1 sta" if $round % 2;
		close $s;
	}
	for my $round (1 .. 100) {
		my $s = dial();
		syswrite $s, "ENMA1 config\n";	# and do not read the answer
		close $s;
	}
	is(($enma->ctl('status'))[0], 0, 'status is good');
	wait_until(10, sub { fd_count($enma->pid) <= $fds }, 'all are closed');
	pass('no descriptor is left');
};

subtest 'clients that stall' => sub {
	my @silent = map { dial() } 1 .. 12;
	syswrite $_, 'ENMA1 sta' for @silent[0 .. 3];
	my $load = load_begin($dir, "unix:$dir/milter", '--connections', 4, '--messages', 400);
	is(load_end($load)->{ok}, 400, 'mail flows');
	my $from = time;
	my ($code) = $enma->ctl('status');
	is($code, 0, 'status is answered');
	my $seconds = time - $from;
	cmp_ok($seconds, '<', 12, sprintf 'when their time is over (%.1f s)', $seconds);
	like(read_all($silent[0], 12), qr/\Aerr timeout /, 'they are told');
	# Clients that ask and never read: the answer fits into the socket or is dropped in time.
	my @deaf = map { my $s = dial(); setsockopt $s, SOL_SOCKET, SO_RCVBUF, 1024; syswrite $s, "ENMA1 config\n"; $s } 1 .. 12;
	is(($enma->ctl('status'))[0], 0, 'clients that do not read');
	my ($victim) = map { $_->{pid} } @{ status($enma)->{workers} };
	my @more = map { dial() } 1 .. 8;
	kill 'KILL', $victim;
	wait_until(5, sub { $enma->log =~ /pid $victim.*killed by signal 9/ }, 'the supervisor goes on working');
	pass('the supervisor goes on working meanwhile');
};

subtest 'who may ask' => sub {
	plan skip_all => 'needs root' if $> != 0;
	my $nobody = getpwnam 'nobody';
	my $as = sub {
		my ($uid, $gid, @group) = @_;
		my $code = '$SIG{PIPE} = "IGNORE"; my ($u, $g, $path, @x) = @ARGV; $) = join " ", $g, @x ? @x : $g; $( = $g; $< = $> = $u; use IO::Socket::UNIX; ' .
			'my $s = IO::Socket::UNIX->new(Peer => $path) or print("connect: $!\n"), exit; print $s "ENMA1 version\n"; print <$s>';
		my ($status, $text) = run_command(cmd => ['perl', '-e', $code, $uid, $gid, $enma->dir . '/control', @group]);
		return $text;
	};
	like($as->($nobody, $nobody), qr/connect: Permission denied/, 'somebody else: not even connected');
	my $mode = (stat $enma->dir . '/control')[2] & 0777;
	is($mode, 0660, 'mode of the socket');
	chmod 0666, $enma->dir . '/control';
	like($as->($nobody, $nobody), qr/\Aerr denied uid $nobody may not control this enma/, 'nor when the mode was changed behind our back');
	chown 0, $nobody, $enma->dir . '/control';
	like($as->($nobody, 12345, $nobody), qr/\Aerr denied/, 'nor by a group that the settings do not name');
	like($enma->log, qr/a request of pid \d+, uid $nobody was refused/, 'logged');
	my $open = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/other", quiet($dir), 'control.group' => 'nogroup'])->start;
	my $path = $open->dir . '/control';
	is((stat $path)[5], scalar getgrnam('nogroup'), 'control.group');
	my $code = '$SIG{PIPE} = "IGNORE"; my ($u, $g, $path) = @ARGV; $) = "$g $g"; $( = $g; $< = $> = $u; use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $path) ' .
		'or print("connect: $!\n"), exit; print $s "ENMA1 version\n"; print <$s>';
	my ($status, $text) = run_command(cmd => ['perl', '-e', $code, $nobody, scalar getgrnam('nogroup'), $path]);
	like($text, qr/\Aok/, 'lets its members in');
	my ($ctl, $said) = do {
		my ($st, $t) = run_command(cmd => ['perl', '-e', '$) = "12345 12345"; $( = 12345; $< = $> = shift; exec @ARGV', $nobody,
			Enma::Daemon::build() . '/enmactl', '-s', $path, 'status']);
		($st >> 8, $t);
	};
	is($ctl, 1, 'enmactl of somebody else');
	like($said, qr/Permission denied.*control\.group/, 'says why');
};

subtest 'enmactl' => sub {
	for my $command (qw(status stats config)) {
		my ($code, $text) = $enma->ctl('--json', $command);
		is($code, 0, "$command --json");
		ok(eval { JSON::PP::decode_json($text) }, 'is JSON') or diag $text;
	}
	my ($code, $text) = $enma->ctl('config', 'worker.count', '--json');
	my $row = eval { JSON::PP::decode_json($text)->[0] } || {};
	is_deeply([@{$row}{qw(key value default)}], ['worker.count', '2', '0'], 'options behind the command') or diag $text;
	like($row->{origin}, qr/^\Q@{[ $enma->conf_file ]}\E:\d+$/, 'origin');
	($code, $text) = $enma->ctl('stats');
	like($text, qr/^messages 400$/m, 'stats: plain lines');
	like($text, qr/^message\.p99_below_us [1-9]\d*$/m, 'with times');
	for my $arg (['dance'], [], ['status', 'x'], ['config', 'a', 'b'], ['--timeout', 'x', 'stop'], ['-q']) {
		($code, $text) = $enma->ctl(@$arg);
		is($code, 64, "@$arg: exit code 64");
	}
	($code, $text) = $enma->ctl('-s', "$dir/nothing", 'status');
	is($code, 2, 'no socket: exit code 2');
	like($text, qr/not running/, 'said so');
	($code, $text) = $enma->ctl('-s', "$dir/nothing", '--json', 'status');
	is($code, 2, 'the same with --json');
	is(eval { JSON::PP::decode_json($text)->{code} }, 'not_running', 'as JSON');
	($code, $text) = $enma->ctl('-s', "$dir/milter", 'status');
	is($code, 1, 'a socket that is not ours: exit code 1');
	my $liar = IO::Socket::UNIX->new(Local => "$dir/liar", Listen => 5) or die;
	my $pid = Enma::Proc::spawn(keep => [$liar], code => sub {
		while (my $s = $liar->accept) { sysread $s, my $x, 4096; syswrite $s, "HTTP/1.0 200 OK\n\n.\n"; close $s }
	});
	($code, $text) = $enma->ctl('-s', "$dir/liar", 'status');
	is($code, 1, 'a liar: exit code 1');
	like($text, qr/not enma/, 'said so');
};

done_testing();
