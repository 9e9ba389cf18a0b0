#!/usr/bin/perl
# SPF end to end: an MTA's packets in, the Authentication-Results field out; answers from resolver.zone.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient qw(apply);
use Enma::Proc qw(work_dir spew slurp wait_until);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
spew("$dir/zone", <<'ZONE');
pass.example        TXT   "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all"
fail.example        TXT   "v=spf1 -all"
soft.example        TXT   "v=spf1 ~all"
neutral.example     TXT   "v=spf1 ?all"
broken.example      TXT   "v=spf1 what:ever"
temp.example        SERVFAIL
none.example        A     192.0.2.7
h.example           A     192.0.2.8
d1.example          NXDOMAIN
mail.pass.example   TXT   "v=spf1 a -all"
mail.pass.example   A     192.0.2.1
chain.example       TXT   "v=spf1 include:%{d1r}.a.example -all"
chain.a.example     TXT   "v=spf1 exists:%{i}.%{l}.b.example -all"
192.0.2.1.user.b.example  A  127.0.0.2
xn--wgv71a.example  TXT   "v=spf1 ip4:192.0.2.1 -all"
explain.example     TXT   "v=spf1 exp=why.explain.example -all"
why.explain.example TXT   "no mail; dmarc=pass (from %{i})"
ZONE

sub daemon {
	my (%set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'worker.count' => 1,
		'resolver.zone' => "$dir/zone", 'resolver.forward' => '127.0.0.1@9', 'resolver.deadline' => '5s', %set])->start;
}

sub session {
	my ($ip, $helo) = @_;
	my $m = Enma::MilterClient->new("unix:$dir/milter");
	$m->connect(defined $ip ? 'client.example' : 'unknown', $ip);
	$m->helo($helo) if defined $helo;
	return $m;
}

# The Authentication-Results that a message leaves with, unfolded.
sub authres {
	my ($m, $from, %o) = @_;
	my $r = $m->message(from => $from, qid => 'Q1', %o);
	return "verdict $r->{code}" if $r->{code} ne 'c';
	my @headers = apply($r, [From => ' a@b.example']);
	return 'no field' if lc $headers[0][0] ne 'authentication-results';
	(my $value = $headers[0][1]) =~ s/\n\s+/ /g;
	return $value;
}

my $enma = daemon();

for my $case (
	['pass',      '192.0.2.1', '<user@pass.example>', qr/spf=pass\b.* smtp\.mailfrom=user\@pass\.example/],
	['pass, v6',  '2001:db8::1', '<user@pass.example>', qr/spf=pass\b.* smtp\.mailfrom=user\@pass\.example/],
	['v4-mapped', '::ffff:192.0.2.9', '<user@pass.example>', qr/spf=pass\b.* smtp\.mailfrom=user\@pass\.example/],
	['fail',      '192.0.2.1', '<user@fail.example>', qr/spf=fail\b.* smtp\.mailfrom=user\@fail\.example/],
	['softfail',  '192.0.2.1', '<user@soft.example>', qr/spf=softfail\b/],
	['neutral',   '192.0.2.1', '<user@neutral.example>', qr/spf=neutral\b/],
	['permerror', '192.0.2.1', '<user@broken.example>', qr/spf=permerror\b/],
	['temperror', '192.0.2.1', '<user@temp.example>', qr/spf=temperror\b/],
	['none',      '192.0.2.1', '<user@none.example>', qr/spf=none\b.* smtp\.mailfrom=user\@none\.example/],
	['macros, one question after another', '192.0.2.1', '<user@chain.example>', qr/spf=pass\b.* smtp\.mailfrom=user\@chain\.example/],
	['U-label',   '192.0.2.1', "<user\@\xe6\x97\xa5\xe6\x9c\xac.example>", qr/spf=pass\b/],
	['upper case', '192.0.2.1', '<User@PASS.Example>', qr/spf=pass\b/],
	['null sender is postmaster at HELO', '192.0.2.1', '<>', qr/spf=pass\b.* smtp\.mailfrom=postmaster\@mail\.pass\.example/],
	['what does not parse borrows nothing', '192.0.2.1', '<(any@pass.example>', qr/^ mx\.example\.jp;\s+spf=none\b/],
	['unknown client', undef, '<user@pass.example>', qr/spf=none\b/],
) {
	my ($name, $ip, $from, $want) = @$case;
	my $m = session($ip, 'mail.pass.example');
	like(authres($m, $from), $want, $name);
	$m->quit;
}

{
	my $m = session('192.0.2.1', 'mail.pass.example');
	like(authres($m, '<user@fail.example>'), qr/spf=pass\b.* smtp\.helo=mail\.pass\.example/, 'HELO is reported on its own');
	$m->helo('fail.example');
	like(authres($m, '<user@pass.example>'), qr/spf=fail\b.* smtp\.helo=fail\.example/, 'a second HELO replaces the first');
	$m->helo('[192.0.2.1]');
	unlike(authres($m, '<user@pass.example>'), qr/spf=(?:permerror|pass)\b[^;]*smtp\.helo/, 'a literal has no SPF');
	$m->quit;
	$m = session('192.0.2.1', undef);
	unlike(authres($m, '<user@pass.example>'), qr/smtp\.helo/, 'no HELO, no result of HELO');
	like(authres($m, '<>'), qr/spf=none\b/, '... and the null sender has none');
	$m->quit;
}

{
	my $m = session('192.0.2.1', 'h.example');
	my $field = authres($m, "<\"a\\\"; dmarc=pass header.from=x\"\@pass.example>");
	like($field, qr/^ mx\.example\.jp; spf=/, 'a hostile local part is printed');
	$field =~ s/"(?:[^"\\]|\\.)*"//g;
	unlike($field, qr/dmarc|header\./, '... but only inside quotes') or diag $field;
	$m->quit;
}

like($enma->log, qr/Q1: .*spf=pass/, 'one line in the log names queue id and result');
my ($code, $stats) = $enma->ctl('stats');
is($code, 0, 'enmactl stats');
like($stats, qr/\bspf\.mailfrom\.pass\s+[1-9]/, 'counters arrive');
$enma->stop;

$enma = daemon('spf.received_header' => 'true', 'authresult.spf_hardfail' => 'true', 'spf.check_helo' => 'false');
{
	my $m = session('192.0.2.1', 'mail.pass.example');
	my $r = $m->message(from => '<user@fail.example>');
	my @h = apply($r, [From => ' a@b.example']);
	is($h[0][0], 'Authentication-Results', 'Authentication-Results stands first');
	like($h[0][1], qr/spf=hardfail/, 'hardfail by option');
	unlike($h[0][1], qr/smtp\.helo/, 'spf.check_helo: false');
	is($h[1][0], 'Received-SPF', 'Received-SPF below it');
	like($h[1][1], qr/^ fail /, '... with its own keyword');
	$m->quit;
}
$enma->stop;

$enma = daemon('spf.auth' => 'false', 'dkim.auth' => 'no');
{
	my $m = session('192.0.2.1', 'mail.pass.example');
	like(authres($m, '<user@fail.example>'), qr/^ mx\.example\.jp;\s+none$/, 'spf.auth: false: nothing was evaluated');
	$m->quit;
}
$enma->stop;

done_testing();
