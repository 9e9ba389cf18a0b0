#!/usr/bin/perl
# The listener handed to libmilter, both ways and on every kind of socket; a worker that drains keeps its session; what a
# libmilter lacks is named.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir spew run_command wait_until free_port);
use Enma::Workers qw(worker_pids);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my %there = map { $_ => 1 } glob '/tmp/enma-??????';
# Names outside the zone would be asked of a forwarder that does not exist, and waited for.
spew("$dir/zone", qq(pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\nmail.example A 192.0.2.1\n));

sub daemon {
	my ($socket, $env, @set) = @_;
	return Enma::Daemon->new(env => $env, conf => ['milter.socket' => $socket, 'worker.count' => 1,
		'resolver.zone' => "$dir/zone", 'resolver.forward' => '127.0.0.1@9', @set]);
}

sub session {
	my ($socket) = @_;
	my $m = Enma::MilterClient->new($socket);
	$m->connect('client.example', '192.0.2.1');
	$m->helo('mail.example');
	return $m;
}

sub is_served {
	my ($m) = @_;
	my $r = eval { $m->message(from => '<a@pass.example>') };
	return $r && $r->{code} eq 'c' && @{ $r->{edits} } == 1;
}

sub has_ipv6 { return eval { Enma::MilterClient::dial('inet6:9@::1') } || $@ !~ /address/i }

my @sockets = ("unix:$dir/milter", 'inet:PORT@127.0.0.1');
push @sockets, 'inet6:PORT@::1' if has_ipv6();

for my $mode (qw(fd dup auto)) {
	for my $template (@sockets) {
		(my $socket = $template) =~ s/PORT/free_port()/e;
		my $enma = daemon($socket, {}, 'milter.handover' => $mode)->start;
		my $m = session($socket);
		ok(is_served($m), "$mode on $template: served");
		my ($old) = worker_pids($enma);
		my ($code, $text) = $enma->ctl('reload');
		is($code, 0, '... reload') or diag $text;
		ok(is_served($m), '... the old worker goes on with its session');
		my $n = session($socket);
		ok(is_served($n), '... the new one serves new sessions');
		my %now = map { $_ => 1 } worker_pids($enma);
		ok($now{$old} && keys %now == 2, '... two workers meanwhile');
		$m->quit;
		ok(wait_until(10, sub { my %w = map { $_ => 1 } worker_pids($enma); return !$w{$old} }, 'the old worker'), '... the old one leaves when it is done');
		ok(is_served($n), '... and nobody else notices');
		if (my ($path) = $socket =~ /^unix:(.*)/) {
			ok(-S $path, '... the socket is still there');
		}
		$n->quit;
		$enma->stop;
	}
}
# Others' folders come and go as well; what was there before and what does not stay is no matter.
my @left;
eval { wait_until(10, sub { @left = grep { !$there{$_} && -e } @left ? @left : glob '/tmp/enma-??????'; !@left }) };
is("@left", '', 'no private folder is left in /tmp');

# A libmilter that lacks something: smfi_setconn() refuses what it does not know.
spew("$dir/lacks.c", <<'SOURCE');
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
int smfi_setconn(char *conn)
{
	int (*real)(char *) = (int (*)(char *))dlsym(RTLD_NEXT, "smfi_setconn");
	const char *lacks = getenv("TEST_LACKS");
	return lacks != NULL && strncmp(conn, lacks, strlen(lacks)) == 0 ? -1 : real(conn);
}
SOURCE
my ($status, $text) = run_command(cmd => [split(' ', $ENV{CC} || 'cc'), qw(-D_GNU_SOURCE -shared -fPIC -o), "$dir/lacks.so", "$dir/lacks.c", '-ldl']);
is($status, 0, 'a library that takes abilities away') or BAIL_OUT($text);

sub lacking {
	my ($what) = @_;
	return { LD_PRELOAD => "$dir/lacks.so", TEST_LACKS => $what,
		ASAN_OPTIONS => join(':', 'verify_asan_link_order=0', $ENV{ASAN_OPTIONS} || ()) };
}

# Starts what must not start; exit code and everything it said.
sub refused {
	my ($socket, $lacks, @set) = @_;
	my $enma = daemon($socket, lacking($lacks), @set);
	local @ENV{qw(LD_PRELOAD TEST_LACKS ASAN_OPTIONS)} = @{ lacking($lacks) }{qw(LD_PRELOAD TEST_LACKS ASAN_OPTIONS)};
	my ($code, $said) = run_command(cmd => [Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file], seconds => 60);
	return ($code >> 8, $said . $enma->log);
}

{
	my $enma = daemon("unix:$dir/milter", lacking('fd:'))->start;
	my $m = session("unix:$dir/milter");
	ok(is_served($m), 'without "fd:" the other way is found');
	$m->quit;
	$enma->stop;
}
{
	my ($code, $said) = refused("unix:$dir/milter", 'fd:', 'milter.handover' => 'fd');
	is($code, 78, 'milter.handover: fd with a libmilter that does not know it');
	like($said, qr/milter\.handover/, '... names the setting');
}
SKIP: {
	skip 'this host has no IPv6', 4 if !has_ipv6();
	my ($code, $said) = refused('inet6:' . free_port() . '@::1', 'inet6:');
	is($code, 78, 'inet6 socket with a libmilter without IPv6');
	like($said, qr/libmilter.*IPv6/, '... is named');
	my $enma = daemon("unix:$dir/milter", lacking('inet6:'))->start;
	my $m = session("unix:$dir/milter");
	ok(is_served($m), 'another socket works');
	like($enma->log, qr/libmilter.*IPv6/, '... with a warning');
	$m->quit;
	$enma->stop;
}

done_testing();
