#!/usr/bin/perl
# Workers that have served enough, or grown too large, are replaced without losing a session.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir spew run_command wait_until);
use Enma::Workers qw(worker_pids);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";
spew("$dir/zone", qq(*.pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\npass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\n));

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $socket, 'worker.count' => 1, 'resolver.zone' => "$dir/zone",
		'resolver.forward' => '127.0.0.1@9', @set])->start;
}

sub workers {
	my ($enma) = @_;
	return map { $_ => 1 } worker_pids($enma);
}

sub load {
	my (@args) = @_;
	my ($status, $text) = run_command(cmd => [Enma::Daemon::build() . '/t/milterload', '--connect', $socket, '--from', 'a@pass.example',
		'--helo', 'mail.pass.example', '--expect', 'spf=pass', @args], seconds => 120);
	is($status, 0, "load @args: nothing is lost") or diag $text;
	return;
}

{
	my $enma = daemon('worker.retire_sessions' => 100);
	my %first = workers($enma);
	load('--connections', 4, '--messages', 60);
	my %still = workers($enma);
	is(join(' ', sort keys %still), join(' ', sort keys %first), '60 sessions of 100 (80 to 120): the same worker');
	load('--connections', 4, '--messages', 1000, '--rate', 500);
	ok(wait_until(10, sub { my %now = workers($enma); return !grep { $now{$_} } keys %first }, 'a new worker'), 'after 1000 more: another one');
	load('--connections', 4, '--messages', 100);
	my $retired = () = $enma->log =~ /retir/gi;
	cmp_ok($retired, '>=', 1, 'the log says so');
	$enma->stop;
}

{
	# Enough ranges for every worker to be larger than that; sanitizers see to it themselves, and are slow with many.
	spew("$dir/ranges", join '', map { sprintf "10.%d.%d.%d\n", $_ >> 15 & 255, $_ >> 7 & 255, $_ << 1 & 255 } 1 .. ($ENV{SAN} ? 100_000 : 400_000));
	my $enma = daemon('worker.max_rss' => '16m', 'common.exclusion_addresses' => "$dir/ranges");
	my %first = workers($enma);
	my $m = Enma::MilterClient->new($socket);
	$m->connect('client.example', '192.0.2.1');
	$m->helo('mail.pass.example');
	ok(wait_until(20, sub { my %now = workers($enma); return grep { !$first{$_} } keys %now }, 'a successor'), 'a worker over worker.max_rss gets a successor');
	is($m->message(from => '<a@pass.example>')->{code}, 'c', '... and goes on with its session');
	$m->quit;
	ok(wait_until(20, sub { my %now = workers($enma); return !grep { $now{$_} } keys %first }, 'its end'), '... then leaves');
	$enma->stop;
}

done_testing();
