#!/usr/bin/perl
# Garbage on the milter socket: the worker lives, its descriptors do not grow, other sessions never notice.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient;
use Enma::Proc qw(work_dir spew slurp run_command wait_until);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $socket = "unix:$dir/milter";
my $build = Enma::Daemon::build();
# Names outside the zone would be asked of a forwarder that does not exist, and waited for.
spew("$dir/zone", qq(pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\nmail.example A 192.0.2.1\n));
my $enma = Enma::Daemon->new(conf => ['milter.socket' => $socket, 'worker.count' => 1, 'resolver.zone' => "$dir/zone",
	'resolver.forward' => '127.0.0.1@9'])->start;
my ($worker) = split ' ', slurp('/proc/' . $enma->pid . '/task/' . $enma->pid . '/children');

sub descriptors { my @d = glob "/proc/$worker/fd/*"; return scalar @d }

sub session {
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

my $bystander = session();
ok(is_served($bystander), 'served before');
my $before = descriptors();

my ($status, $help) = run_command(cmd => ["$build/t/miltergarbage", '--help']);
my @kinds = split ' ', $help =~ /^kinds:(.*)/m ? $1 : '';
cmp_ok(scalar @kinds, '>', 3, "kinds of garbage: @kinds");
for my $kind (@kinds) {
	my ($code, $text) = run_command(cmd => ["$build/t/miltergarbage", '--connect', $socket, '--garbage', $kind], seconds => 120);
	is($code >> 8, 0, "garbage: $kind") or diag $text;
	ok(is_served($bystander), '... a session that was open goes on');
	my $new = session();
	ok(is_served($new), '... a new one is served');
	$new->quit;
}

# libmilter's own commands in a wrong order, and broken contents of right ones.
my $u32 = sub { pack 'N', $_[0] };
my @broken = (
	['a second negotiation' => sub { $_[0]->send_packet('O', pack 'N3', 6, 0x1ff, 0x1fffff) }],
	['HELO without NUL' => sub { $_[0]->send_packet('H', 'abc') }],
	['MAIL without NUL' => sub { $_[0]->send_packet('M', '<a@b>') }],
	['MAIL empty' => sub { $_[0]->send_packet('M', "\0") }],
	['header without a value' => sub { $_[0]->mail('<a@b>'); $_[0]->send_packet('L', "From\0") }],
	['header with an empty name' => sub { $_[0]->mail('<a@b>'); $_[0]->send_packet('L', "\0x\0") }],
	['end of message first' => sub { $_[0]->send_packet('E', '') }],
	['header first' => sub { $_[0]->send_packet('L', "From\0x\0") }],
	['connect again' => sub { $_[0]->send_packet('C', "h\0" . "4\0\031192.0.2.1\0") }],
	['connect with a bad address' => sub { $_[0]->send_packet('C', "h\0" . "4\0\031nonsense\0") }],
	['a new connection over the old' => sub {
		$_[0]->send_packet('K', '');
		$_[0]->connect('client.example', '192.0.2.1');
		$_[0]->helo('mail.example');
		ok(is_served($_[0]), '... (is served)');
	}],
	['an unknown command' => sub { $_[0]->send_packet('Z', 'x') }],
	['200 KB of HELO' => sub { eval { $_[0]->send_packet('H', 'x' x 200_000 . "\0") } }],
	['a HELO of 60 KB' => sub { $_[0]->helo('x' x 60_000); ok(is_served($_[0]), '... (is served)') }],
	['a sender of 60 KB' => sub { $_[0]->message(from => '<' . 'x' x 60_000 . '@pass.example>') }],
	['a name of 60 KB' => sub { $_[0]->mail('<a@b>'); $_[0]->header('x' x 60_000, 'y'); $_[0]->abort; ok(is_served($_[0]), '... (is served)') }],
	['a client name of control bytes' => sub {
		my $m = Enma::MilterClient->new($socket);
		$m->connect("a\n\x1b[31m;spf=pass", '192.0.2.1');
		$m->helo("\x01\r\nX: y");
		ok(is_served($m), '... (is served)');
		$m->quit;
	}],
);
for my $case (@broken) {
	my ($name, $code) = @$case;
	my $m = session();
	local $SIG{PIPE} = 'IGNORE';
	eval { $code->($m) };
	eval { $m->quit };
	ok(is_served($bystander), "$name: others do not notice");
}
unlike($enma->log, qr/[\x00-\x08\x0b-\x1f]/, 'no control byte reaches the log');

# Half packets that stay: each holds one thread of libmilter until the connection ends.
my @half = map { my $s = Enma::MilterClient::dial($socket); syswrite $s, "\0\0\0\x0dO\0\0"; $s } 1 .. 50;
my $m = session();
ok(is_served($m), 'served beside 50 half packets');
$m->quit;
close $_ for @half;

$bystander->quit;
ok(wait_until(30, sub { descriptors() <= $before }, 'descriptors'), 'no descriptor is left');
my ($now) = split ' ', slurp('/proc/' . $enma->pid . '/task/' . $enma->pid . '/children');
is($now, $worker, 'the worker is the one that was there at the beginning');
$enma->stop;
done_testing();
