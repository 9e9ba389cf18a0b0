#!/usr/bin/perl
# A thousand reloads leak nothing: descriptors, memory and children of the supervisor are as before.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until);
use Enma::Workers qw(quiet status stats fd_count rss_kb);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

# Under a sanitizer a start costs many times as much, and memory is kept on purpose: fewer rounds, descriptors and children only.
my $is_slow = Enma::Daemon::build() =~ /build-/;
my $rounds = $is_slow ? 150 : 1_000;
my $dir = work_dir();
my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'worker.count' => 1, 'syslog.logmask' => 'warning',
	quiet($dir)])->start;

sub reload {
	my $s = IO::Socket::UNIX->new(Peer => $enma->dir . '/control') or die "connect: $!";
	$s->syswrite("ENMA1 reload\n");
	return join '', $s->getlines;
}

sub children {
	my @child = @{ status($enma)->{workers} };
	return scalar @child;
}

sub settle { wait_until(20, sub { children() == 1 }, 'old workers leave') }

for my $round (1 .. 20) {		# what is allocated once is allocated now
	reload();
}
settle();
my ($fds, $rss) = (fd_count($enma->pid), rss_kb($enma->pid));
my ($from, $good) = (time, 0);
for my $round (1 .. $rounds) {
	$good++ if reload() =~ /\Aok\n.*^generation \d+\n\.\n\z/ms;
}
my $seconds = time - $from;
is($good, $rounds, sprintf '%d reloads in %.1f s', $rounds, $seconds);
settle();
is(status($enma)->{generation}, 21 + $rounds, 'each was a generation');
is(fd_count($enma->pid), $fds, "as many descriptors as before ($fds)");
SKIP: {
	skip 'a sanitizer keeps memory on purpose', 1 if $is_slow;
	my $grown = rss_kb($enma->pid) - $rss;
	cmp_ok($grown, '<', 256, "memory as before ($rss kB, grown by $grown kB)");
}
my $broken = 0;
$enma->set('worker.count' => 'many');
for my $round (1 .. 200) {
	$broken++ if reload() =~ /\Aerr invalid /;
}
is($broken, 200, '200 refused reloads');
is(fd_count($enma->pid), $fds, 'leak nothing either');
is(stats($enma)->{counters}{reloads}, 20 + $rounds, 'counted');
is(stats($enma)->{counters}{'reloads.failed'}, 200, 'refused ones, too');
is(($enma->ctl('status'))[0], 0, 'and the service is good');

done_testing();
