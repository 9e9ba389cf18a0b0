#!/usr/bin/perl
# The log file: rotation by USR1 and by reload, in the supervisor and in workers; a change of the target.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until slurp);
use Enma::Workers qw(quiet status ready_pids load_begin load_end);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $log = "$dir/enma.log";
my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'log.target' => "file:$log", quiet($dir)])->start;

sub lines { return scalar(() = slurp($_[0]) =~ / spf=pass /g) }
sub mail { return load_end(load_begin($dir, "unix:$dir/milter", '--connections', 4, '--messages', 40))->{ok} }

is((stat $log)[2] & 07777, 0640, 'mode of the file');
is(mail(), 40, 'mail');
wait_until(5, sub { lines($log) == 40 }, 'a line for each message');
is(scalar(grep { !/^\d{4}-\d\d-\d\dT[\d:.]+\S+ \S+ \S+\[\d+\]: / } split /\n/, slurp($log)), 0, 'all lines are whole');

rename $log, "$log.1";
is(mail(), 40, 'mail after the file was renamed');
wait_until(5, sub { lines("$log.1") == 80 }, 'goes to the renamed file');
ok(!-e $log, 'until');
kill 'USR1', $enma->pid;
wait_until(5, sub { -e $log && slurp($log) =~ /log file reopened/ }, 'USR1');
pass('the signal');
# Each worker takes the new file when its watch looks; after that nothing goes to the old one.
my @pids = ready_pids($enma);
my $inode = (stat $log)[1];
wait_until(5, sub { !grep { (stat "/proc/$_/fd/7")[1] != $inode } @pids }, 'workers have the new file');
is(mail(), 40, 'mail');
wait_until(5, sub { lines($log) == 40 }, 'goes to the new file');
is(lines("$log.1"), 80, 'and no more to the old one');
is_deeply([ready_pids($enma)], \@pids, 'by the same workers');

rename $log, "$log.2";
is(($enma->ctl('reload'))[0], 0, 'reload');
is(mail(), 40, 'mail');
wait_until(5, sub { lines($log) == 40 }, 'goes to a new file, too');

rename $log, "$log.3";
mkdir $log;
kill 'USR1', $enma->pid;
wait_until(5, sub { slurp("$log.3") =~ /error: log\.target: cannot open .*the old file is written on/ }, 'a place that cannot be opened');
pass('a file that cannot be opened: the old one is written on, and says so');
is(mail(), 40, 'mail flows');
my ($code, $text) = $enma->ctl('reload');
is($code, 1, 'reload is refused');
like($text, qr/log\.target: cannot open/, 'with the reason');
rmdir $log;

$enma->set('log.target' => "file:$dir/other/enma.log");
is(($enma->ctl('reload'))[0], 0, 'another target');
is(mail(), 40, 'mail');
wait_until(5, sub { lines("$dir/other/enma.log") == 40 }, 'goes there');
$enma->set('log.target' => 'stdout');
is(($enma->ctl('reload'))[0], 0, 'standard output');
is(mail(), 40, 'mail');
wait_until(5, sub { lines($enma->dir . '/output') == 40 }, 'goes there');
is(lines("$dir/other/enma.log"), 40, 'and not to the file');

done_testing();
