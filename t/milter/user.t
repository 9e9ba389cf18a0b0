#!/usr/bin/perl
# milter.user: workers become that user for good, the supervisor stays.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir spew slurp run_command);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => 'only root can become somebody else' if $> != 0;

my @nobody = getpwnam 'nobody' or plan skip_all => 'there is no user nobody';
my $group = getgrgid $nobody[3];
my @daemon = getgrnam 'daemon';
my $dir = work_dir();
my $socket = "unix:$dir/milter";
spew("$dir/zone", qq(pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\nmail.example A 192.0.2.1\n));

sub config {
	my ($user) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $socket, 'worker.count' => 1, 'resolver.zone' => "$dir/zone",
		'resolver.forward' => '127.0.0.1@9', 'milter.user' => $user]);
}

for my $case (['nobody', $nobody[3]], @daemon ? ['nobody:daemon', $daemon[2]] : ()) {
	my ($user, $gid) = @$case;
	my $enma = config($user)->start;
	my ($worker) = split ' ', slurp('/proc/' . $enma->pid . '/task/' . $enma->pid . '/children');
	for my $task (glob "/proc/$worker/task/*/status") {
		my $status = eval { slurp($task) } // next;     # libmilter's threads come and go
		my ($uids) = $status =~ /^Uid:\s+(.*)/m;
		my ($gids) = $status =~ /^Gid:\s+(.*)/m;
		is($uids, join("\t", ($nobody[2]) x 4), "$user: real, effective, saved and file system uid of $task");
		is($gids, join("\t", ($gid) x 4), '... and gid');
		like($status, qr/^Groups:\s+(?:$gid|$nobody[3])?\s*$/m, '... no further groups');
		like($status, qr/^NoNewPrivs:\s+1/m, '... no new privileges');
		like($status, qr/^CapEff:\s+0+$/m, '... no capabilities');
	}
	like(slurp('/proc/' . $enma->pid . '/status'), qr/^Uid:\s+0\t/m, '... the supervisor stays root');
	my $m = Enma::MilterClient->new($socket);
	$m->connect('client.example', '192.0.2.1');
	$m->helo('mail.example');
	is($m->message(from => '<a@pass.example>')->{code}, 'c', '... and messages are served');
	$m->quit;
	$enma->stop;
}

for my $user ('no-such-user-here', 'nobody:no-such-group-here') {
	my $enma = config($user);
	my ($code, $said) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file], seconds => 60);
	is($code >> 8, 78, "milter.user: $user is refused");
	like($said . $enma->log, qr/milter\.user.*no-such/, '... by name');
}

done_testing();
