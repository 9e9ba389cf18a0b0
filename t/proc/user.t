#!/usr/bin/perl
# Whose processes and files: root with milter.user, an ordinary user alone; and a unix socket that no worker's death removes.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until run_command spawn stop is_alive exit_status slurp);
use Enma::Workers qw(quiet status ready_pids is_running);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => 'needs root' if $> != 0;

my ($user, $uid, $gid) = (getpwnam 'nobody')[0, 2, 3];
my ($other_group, $other_gid) = (getgrnam 'daemon')[0, 2];
my $dir = work_dir();

sub ids {
	my ($pid) = @_;
	my $text = slurp("/proc/$pid/status");
	my ($u) = $text =~ /^Uid:\t(\d+(?:\t\d+)*)/m;
	my ($g) = $text =~ /^Gid:\t(\d+(?:\t\d+)*)/m;
	my ($groups) = $text =~ /^Groups:\t?([\d ]*)/m;
	return (join(',', split /\t/, $u), join(',', split /\t/, $g), join(',', sort split ' ', $groups));
}

sub serves {
	my ($socket) = @_;
	my $m = Enma::MilterClient->new($socket);
	$m->connect('mail.pass.example', '192.0.2.1');
	$m->helo('mail.pass.example');
	my $r = eval { $m->message(from => '<a@pass.example>') };
	$m->quit;
	return $r && $r->{code} eq 'c';
}

# All workers die, one after the other and then all at once: the socket stays and is served again.
sub survives {
	my ($name, $path, $read_pids) = @_;
	my $inode = (stat $path)[1];
	for my $signal (qw(KILL QUIT ABRT)) {		# not SEGV: a sanitizer would take it for its own
		my @old = $read_pids->();
		kill $signal, $old[0];
		wait_until(10, sub { my @now = $read_pids->(); @now == @old && !grep { $_ == $old[0] } @now }, "$signal: replaced");
		is((stat $path)[1], $inode, "$name: $signal: the socket is the same");
	}
	my @old = $read_pids->();
	kill 'KILL', @old;
	wait_until(10, sub {
		my %old = map { $_ => 1 } @old;
		my @now = $read_pids->();
		return @now == @old && !grep { $old{$_} } @now;
	}, 'all replaced');
	is((stat $path)[1], $inode, "$name: all killed: the socket is the same");
	kill 'TERM', $read_pids->();
	kill 'HUP', $read_pids->();
	ok(-S $path, "$name: TERM and HUP do not remove it");
	ok(serves("unix:$path"), "$name: and it is served");
	return;
}

for my $handover (qw(fd dup)) {
	subtest "root with milter.user, $handover" => sub {
		my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/run/milter", 'milter.user' => $user, quiet($dir),
			'milter.socket' => "unix:$dir/run/open perm=0666 group=$other_group", 'milter.handover' => $handover,
			'control.socket' => "unix:$dir/run/control", 'milter.pidfile' => "$dir/run/enma.pid", 'worker.count' => 2])->start;
		is((ids($enma->pid))[0], '0,0,0,0', 'the supervisor is root');
		for my $pid (ready_pids($enma)) {
			my ($u, $g, $groups) = ids($pid);
			is($u, join(',', ($uid) x 4), 'a worker is not, in no respect');
			is($g, join(',', ($gid) x 4), 'nor its group');
			unlike(",$groups,", qr/,0,/, 'nor its other groups');
			like(slurp("/proc/$pid/status"), qr/^NoNewPrivs:\t1$/m, 'nor can it become so again');
		}
		my @st = stat "$dir/run/milter";
		is("@st[4, 5]", "$uid $gid", 'the milter socket belongs to milter.user');
		is($st[2] & 07777, 0660, 'mode');
		@st = stat "$dir/run/open";
		is("@st[4, 5]", "$uid $other_gid", 'options of one socket');
		is($st[2] & 07777, 0666, 'mode of one socket');
		@st = stat "$dir/run";
		is("$st[4]", '0', 'the folder that was made is not the worker\'s');
		is($st[2] & 07777, 0755, 'and open to the MTA');
		@st = stat "$dir/run/control";
		is("@st[4, 5]", "0 $gid", 'control socket: group of milter.user');
		@st = stat $enma->dir . '/cache';
		is("@st[4, 5]", "$uid $gid", 'the folder of the cache was made for milter.user');
		is($st[2] & 07777, 0750, 'and for nobody else');
		my ($cache) = map { /^(\d+) \(enma: cache\) \S (\d+) / && $2 == $enma->pid ? $1 : () } map { eval { slurp($_) } // '' } glob '/proc/[0-9]*/stat';
		is_deeply([(ids($cache))[0, 1]], [join(',', ($uid) x 4), join(',', ($gid) x 4)], 'the cache process is milter.user, too');
		wait_until(10, sub { -e $enma->dir . '/cache/cache.state' }, 'the cache is there');
		survives("milter.user, $handover", "$dir/run/milter", sub { ready_pids($enma) });
		my ($status, $text) = run_command(cmd => ['perl', '-e', '$) = "$ARGV[1] $ARGV[1]"; $( = $ARGV[1]; $< = $> = shift; shift; exec @ARGV', $uid, $gid,
			Enma::Daemon::build() . '/enmactl', '-s', "$dir/run/control", 'status']);
		is($status, 0, 'milter.user may ask') or diag $text;
		$enma->stop;
		ok(!-e "$dir/run/milter" && !-e "$dir/run/control" && !-e "$dir/run/enma.pid", 'files are removed');
	};
}

subtest 'user:group' => sub {
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'milter.user' => "$user:$other_group", quiet($dir)])->start;
	my ($pid) = ready_pids($enma);
	is((ids($pid))[1], join(',', ($other_gid) x 4), 'the group');
	is((stat "$dir/milter")[5], $other_gid, 'also of the socket');
	my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-T', '-c', $enma->conf_file, '-o', "milter.user=$user:no-such-group-here"]);
	is($status >> 8, 78, 'unknown group: exit code 78');
	like($text, qr/no group "no-such-group-here"/, 'clearly');
};

subtest 'an ordinary user' => sub {
	my $home = work_dir();
	chown $uid, $gid, $home;
	# Where the program lies may be closed to others.
	my $bin = "$home/bin";
	mkdir $bin;
	for my $name (qw(enma enmactl)) {
		system('cp', Enma::Daemon::build() . "/$name", "$bin/$name") == 0 or die;
		chmod 0755, "$bin/$name";
	}
	my $zone = (quiet($dir))[1];
	Enma::Proc::spew("$home/enma.conf", "milter.socket: unix:$home/milter\nmilter.pidfile: $home/enma.pid\ncontrol.socket: unix:$home/control\n" .
		"log.target: file:$home/enma.log\nworker.count: 2\nresolver.zone: $zone\nresolver.forward: 127.0.0.1\@9\nauthresult.identifier: mx.example.jp\ncache.path: $home/cache/cache\ncache.size: 16m\n");
	my $as_user = sub { $) = "$gid $gid"; $( = $gid; $< = $> = $uid; chdir '/' };
	my $pid = spawn(log => "$home/output", code => sub { $as_user->(); exec "$bin/enma", '-f', '-c', "$home/enma.conf" });
	my $ctl = sub {
		my ($status, $text) = run_command(cmd => ["$bin/enmactl", '-c', "$home/enma.conf", @_]);
		return ($status >> 8, $text);
	};
	my $pids = sub {
		my (undef, $text) = $ctl->('--json', 'status');
		return sort { $a <=> $b } map { $_->{pid} } grep { $_->{state} eq 'READY' } @{ JSON::PP::decode_json($text)->{workers} };
	};
	wait_until(20, sub { ($ctl->('status'))[0] == 0 || !is_alive($pid) }, 'it serves');
	ok(is_alive($pid), 'it serves') or diag slurp("$home/output");
	is((ids($_))[0], join(',', ($uid) x 4), 'supervisor and workers are that user') for $pid, $pids->();
	survives('ordinary user', "$home/milter", $pids);
	is(($ctl->('reload'))[0], 0, 'reload');
	my @as_user = ('perl', '-e', '$) = "$ARGV[1] $ARGV[1]"; $( = $ARGV[1]; $< = $> = shift; shift; exec @ARGV', $uid, $gid);
	my ($status, $said) = run_command(cmd => [@as_user, "$bin/enmactl", '-c', "$home/enma.conf", '-o', 'milter.user=root', 'restart']);
	is($status >> 8, 1, 'cannot become somebody else');
	like($said, qr/only root can start enma as the user "root"/, 'and says why');
	is(($ctl->('stop'))[0], 0, 'stop');
	wait_until(5, sub { !is_alive($pid) }, 'it stops');
	is(exit_status($pid), 0, 'exit code 0');
	ok(!-e "$home/milter" && !-e "$home/enma.pid", 'files are removed');
	($status, $said) = run_command(cmd => [@as_user, "$bin/enma", '-f', '-c', "$home/enma.conf", '-o', "milter.socket=unix:$dir/closed/milter"]);
	is($status >> 8, 69, 'a folder that cannot be written: exit code 69');
	like($said, qr{Permission denied|cannot make the folder}, 'clearly');
	ok(!-e "$home/control" && !-e "$home/enma.pid", 'nothing is left behind');
	($status, $said) = run_command(cmd => [@as_user, 'sh', '-c', 'ulimit -n 256; exec "$@"', 'sh', "$bin/enma", '-T', '-c', "$home/enma.conf"]);
	is($status >> 8, 0, 'few file descriptors are no error');
	like($said, qr/worker\.max_sessions 1000 needs \d+ file descriptors.*only 256: raise the limit.*or lower/, 'but are told, with the remedy');
};

done_testing();
