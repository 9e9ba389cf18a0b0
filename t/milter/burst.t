#!/usr/bin/perl
# A burst of sessions that all wait for DNS: none waits for another one's answers, and a session beside them is served at once.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient;
use Enma::Proc qw(work_dir run_command);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

use constant {
	DELAY_MS => 700,
	CLIENTS  => 32,
	ROUNDS   => 3,
	SLACK    => 3,          # times the ideal: sanitizers and busy machines
};

my $dir = work_dir();
my $socket = "unix:$dir/milter";
my $zone = "fast.example TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n";
# Each message asks for a name of its own: nothing comes out of a cache.
for my $n (0 .. CLIENTS * ROUNDS + 1) {
	$zone .= "u$n.example TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\nu$n.example DELAY " . DELAY_MS . "\n";
}
my $dns = Enma::DNS->new(text => $zone);
my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, 'worker.count' => 1, 'spf.check_helo' => 'false',
	'resolver.forward' => $dns->address, 'resolver.deadline' => '20s'])->start;

my $begun = time;
my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/t/milterload', '--connect', $socket, '--from', 'a@u%d.example',
	'--connections', CLIENTS, '--messages', CLIENTS * ROUNDS, '--messages-per-connection', ROUNDS, '--expect', 'spf=pass'],
	seconds => 120);
my $took = time - $begun;
my $ideal = ROUNDS * DELAY_MS / 1000;
is($status, 0, 'all messages are answered rightly') or diag $text;
cmp_ok($took, '>=', $ideal * 0.9, 'the answers were late indeed');
cmp_ok($took, '<', $ideal * SLACK, sprintf '%d sessions at once take %.1f s, ideal is %.1f s', CLIENTS, $took, $ideal);

# Thirty sessions stand in their last callback; the thirty-first has nothing to wait for.
my @waiting = map { my $m = Enma::MilterClient->new($socket); $m->connect('c.example', '192.0.2.1'); $m->helo('h.example'); $m } 1 .. 30;
for my $n (0 .. $#waiting) {
	$waiting[$n]->mail("<a\@nobody$n.u0.example>");
	$waiting[$n]->header('From', ' a@b.example');
	$waiting[$n]->eoh;
	$waiting[$n]->send_packet('E', '');
}
$begun = time;
my $m = Enma::MilterClient->new($socket);
$m->connect('c.example', '192.0.2.1');
$m->helo('h.example');
my $r = $m->message(from => '<a@fast.example>');
is($r->{code}, 'c', 'a message beside them');
cmp_ok(time - $begun, '<', 2, '... is answered at once');
$m->quit;
$_->quit for @waiting;
$enma->stop;
$dns->stop;
done_testing();
