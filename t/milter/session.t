#!/usr/bin/perl
# Connections and their messages: many of them, given up at every stage, old MTAs, forged fields, limits, excluded clients.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::MilterClient qw(apply);
use Enma::Proc qw(work_dir spew wait_until);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
spew("$dir/zone", <<'ZONE');
pass.example   TXT   "v=spf1 ip4:192.0.2.0/24 -all"
fail.example   TXT   "v=spf1 -all"
mail.example   A     192.0.2.1
ZONE
spew("$dir/excluded", "# file of ranges\n203.0.113.7\n\n203.0.113.16-203.0.113.20 # some\n");

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'worker.count' => 1,
		'resolver.zone' => "$dir/zone", 'resolver.forward' => '127.0.0.1@9', @set])->start;
}

sub session {
	my (%o) = @_;
	my $m = Enma::MilterClient->new("unix:$dir/milter", %o);
	$m->connect('client.example', $o{ip} || '192.0.2.1');
	$m->helo('mail.example');
	return $m;
}

sub names { return join ' ', map { $_->[0] } @_ }

sub top {
	my ($r, @headers) = @_;
	my @h = apply($r, @headers ? @headers : [From => ' a@b.example']);
	(my $value = $h[0][1]) =~ s/\n\s+/ /g;
	return "$h[0][0]:$value";
}

sub count_of {
	my ($enma, $name) = @_;
	my ($code, $text) = $enma->ctl('stats');
	return $text =~ /(?:^|\s)\Q$name\E\s+(\d+)/ ? $1 : -1;
}

my $enma = daemon('common.exclusion_addresses' => "198.51.100.0/24, 2001:db8:1::/48,$dir/excluded",
	'common.exclude_authenticated' => 'true', 'message.max_headers' => 50, 'message.max_header_bytes' => '64k',
	'message.on_limit' => 'reject', 'authresult.remove_fields' => 'X-Verdict');

# ---- negotiation

{
	my $m = session();
	is($m->{protocol} & 0x100000, 0x100000, 'leading blanks are asked for');
	is($m->{protocol} & 0x80, 0x80, 'no reply to header fields');
	is($m->{protocol} & 0x80410, 0x400, 'the body may be wanted, and may be skipped: its pieces are answered');
	is($m->{actions}, 0x111, 'only the actions that are used');
	is(join(',', sort keys %{ $m->{symbols} }), '0,1,2,3,4,5,6', 'a symbol list for every stage');
	like($m->{symbols}{2}, qr/\{auth_authen\}/, 'the login at MAIL');
	like($m->{symbols}{5}, qr/(?:^| )i(?: |$)/, 'the queue id at the end');
	$m->quit;
}

for my $old (
	{ version => 2, actions => 0x3f, protocol => 0x3f }, { version => 2, actions => 0x3f, protocol => 0x7f },
	{ version => 2, actions => 0, protocol => 0 }, { version => 6, actions => 0x1f, protocol => 0x1f },
	{ version => 99, actions => 0x1ff, protocol => 0x1fffff },
) {
	my $name = sprintf 'version %d, actions 0x%x, protocol 0x%x', @$old{qw(version actions protocol)};
	my $m = eval { session(%$old) };
	if ($old->{actions} == 0) {     # means the four actions of version 1: none that edits fields
		ok(!defined $m, "$name: refused, it cannot edit fields");
		next;
	}
	is($m->{version}, $old->{version} > 6 ? 6 : $old->{version}, "$name: the lower version");
	for my $n (1 .. 3) {
		my @headers = (['Authentication-Results' => ' mx.example.jp; spf=pass'], [Subject => ' x']);
		my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
		is(names(apply($r, @headers)), 'Authentication-Results Subject', "$name: message $n");
		like(top($r, @headers), qr/^Authentication-Results: mx\.example\.jp; spf=pass \S.*mailfrom=a\@pass/, '... one blank behind the colon');
		my $packet = grep { $_->[0] eq 'i' } @{ $r->{edits} };
		is($packet, 1, '... one field inserted');
	}
	$m->quit;
}

# ---- several messages, and messages that are given up

{
	my $m = session();
	my $bad = 0;
	for my $n (1 .. 200) {
		my $from = $n % 2 ? "u$n\@pass.example" : "u$n\@fail.example";
		my $r = $m->message(from => "<$from>", qid => "QID$n");
		my $want = $n % 2 ? 'pass' : 'fail';
		$bad++ if $r->{code} ne 'c' || top($r) !~ /spf=$want\b.*mailfrom=\Q$from\E/;
		$m->abort if $n % 3;    # Postfix does after every message
	}
	is($bad, 0, '200 messages over one connection');
	$m->quit;
	like($enma->log, qr/QID200: /, 'the last one is in the log');
}

{
	my @stages = qw(mail rcpt data header eoh body);
	for my $stage (0 .. $#stages) {
		my $m = session();
		for my $round (1 .. 3) {
			$m->mail('<evil@fail.example>', '{auth_authen}' => 'login', i => 'EVIL');
			$m->rcpt if $stage >= 1;
			$m->data if $stage >= 2;
			$m->header('Authentication-Results', ' mx.example.jp; none') for 1 .. ($stage >= 3 ? 60 : 0);
			$m->eoh if $stage >= 4;
			$m->body("x\r\n") if $stage >= 5;
			$m->abort;
			$m->helo('mail.example') if $round == 2;
			my $r = $m->message(from => '<a@pass.example>');
			my $top = top($r);
			ok($r->{code} eq 'c' && @{ $r->{edits} } == 1 && $top =~ /spf=pass.*mailfrom=a\@pass/ && $top !~ /evil/,
				"nothing is left of a message given up at $stages[$stage], round $round") or diag explain $r;
		}
		$m->quit;
	}
	unlike($enma->log, qr/EVIL/, 'no line for messages that did not end');
	cmp_ok(count_of($enma, 'messages.aborted'), '>=', 18, '... but they are counted');
}

# MAIL without an end, then another MAIL: libmilter gives the first one up.
{
	my $m = session();
	$m->mail('<evil@fail.example>');
	my $r = $m->message(from => '<a@pass.example>');
	like(top($r), qr/spf=pass.*mailfrom=a\@pass/, 'MAIL after MAIL');
	$m->quit;
}

# ---- forged fields

{
	my $m = session();
	my @headers = map { ['Authentication-Results' => " h$_.example; spf=pass"] } 1 .. 8;
	$headers[1] = ['authentication-results' => ' (c) MX.Example.JP (d) 1; spf=pass'];
	$headers[2] = ['Authentication-Results' => "\n \"mx.example.jp\"; spf=pass"];
	$headers[4] = ['AUTHENTICATION-RESULTS' => 'mx.example.jp'];
	splice @headers, 3, 0, [Subject => ' x'];
	my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
	my @after = apply($r, @headers);
	is(join(' ', map { $_->[1] =~ /^ (h\d)/ ? $1 : () } @after), 'h1 h4 h6 h7 h8', 'exactly the forged ones are gone');
	my @gone = map { $_->[1] } grep { $_->[0] eq 'm' } @{ $r->{edits} };
	is("@gone", '5 3 2', 'from the highest number down');
	is((grep { $_->[0] eq 'i' } @{ $r->{edits} })[0], $r->{edits}[-1], 'the insertion comes last');
	$m->quit;
}

{
	my $m = session();
	my @headers = (['X-Verdict' => ' 1'], ['Authentication-Results ' => ' mx.example.jp; none'], ['x-verdict' => ' 2'],
		['Authentication-Results' => ' evil, mx.example.jp; none'], ['X-Authentication-Results' => ' mx.example.jp; none']);
	my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
	is(names(apply($r, @headers)), 'Authentication-Results Authentication-Results X-Authentication-Results',
		'listed fields go whole, a blank before the colon hides nothing, others stay');
	$m->quit;
}

# ---- limits

for my $over (0, 1) {
	my $m = session();
	my @headers = map { ["X-$_" => ' x'] } 1 .. 50 + $over;
	my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
	is($r->{code}, $over ? 'y' : 'c', 50 + $over . ' header fields of 50');
	like($r->{text}, qr/^5\d\d 5\.\d+\.\d+ /, '... with a reply') if $over;
	is($m->message(from => '<a@pass.example>')->{code}, 'c', '... and the next message is fine');
	$m->quit;
}

for my $over (0, 1) {
	my $m = session();
	# name, colon, value with its blank, CRLF
	my @headers = map { ['X-Long' => ' ' . 'x' x (16384 - 10 + ($_ == 4 ? $over : 0))] } 1 .. 4;
	my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
	is($r->{code}, $over ? 'y' : 'c', 65536 + $over . ' bytes of header of 65536');
	$m->quit;
}

# ---- who is not evaluated

for my $ip (qw(198.51.100.1 198.51.100.255 ::ffff:198.51.100.3 2001:db8:1::9 203.0.113.7 203.0.113.18)) {
	my $m = session(ip => $ip);
	my @headers = (['Authentication-Results' => ' mx.example.jp; spf=pass'], [Subject => ' x']);
	my $r = $m->message(from => '<a@fail.example>', headers => \@headers);
	is(names(apply($r, @headers)), 'Subject', "$ip is excluded: no field of ours, forged ones go");
	$m->quit;
}
for my $ip (qw(198.51.101.0 203.0.113.8 203.0.113.21 2001:db8:2::1)) {
	my $m = session(ip => $ip);
	like(top($m->message(from => '<a@fail.example>')), qr/spf=fail/, "$ip is not excluded");
	$m->quit;
}

{
	my $m = session();
	my @headers = (['Authentication-Results' => ' mx.example.jp; spf=pass'], [Subject => ' x']);
	my $r = $m->message(from => '<a@fail.example>', login => 'user', headers => \@headers);
	is(names(apply($r, @headers)), 'Subject', 'an authenticated client is not evaluated, its forged fields go');
	like(top($m->message(from => '<a@fail.example>')), qr/spf=fail/, '... its next message without login is');
	$m->quit;
}

{
	my $m = Enma::MilterClient->new("unix:$dir/milter");
	$m->connect('localhost', '127.0.0.1');
	my $r = $m->message(from => 'user@fail.example');
	like(top($r), qr/spf=none/, 'local submission: none');
	$m->quit;
}

$enma->stop;

# ---- settings for trouble

for my $case (['tempfail', 'y', qr/^4/], ['accept', 'c', qr/^$/]) {
	my ($value, $code, $text) = @$case;
	my $e = daemon('message.max_headers' => 10, 'message.on_limit' => $value);
	my $m = session();
	my @headers = ((map { ["X-$_" => ' x'] } 1 .. 10), ['Authentication-Results' => ' mx.example.jp; spf=pass']);
	my $r = $m->message(from => '<a@pass.example>', headers => \@headers);
	is($r->{code}, $code, "message.on_limit: $value");
	like($r->{text}, $text, '... reply');
	unlike(names((apply($r, @headers))[1 .. 10]), qr/Authentication/, '... forged fields beyond the limit are gone') if $code eq 'c';
	$m->quit;
	$e->stop;
}

for my $case (['tempfail', 't', 1], ['accept', 'a', 0]) {
	my ($value, $code) = @$case;
	my $e = daemon('worker.max_sessions' => 3, 'worker.on_overload' => $value);
	my @m = map { session() } 1 .. 3;
	my $over = Enma::MilterClient->new("unix:$dir/milter");
	is($over->connect('client.example', '192.0.2.1'), $code, "worker.on_overload: $value, said at once");
	$over->quit;
	is($_->message(from => '<a@pass.example>')->{code}, 'c', '... the others go on') for @m;
	(shift @m)->quit;
	my $next = wait_until(5, sub {
		my $m = Enma::MilterClient->new("unix:$dir/milter");
		return $m if $m->connect('client.example', '192.0.2.1') eq '';
		$m->quit;
		return;
	}, 'a free slot');
	is($next->message(from => '<a@pass.example>')->{code}, 'c', '... a freed place is used');
	is(count_of($e, 'connections.overload') > 0, 1, '... counted');
	$_->quit for @m, $next;
	$e->stop;
}

done_testing();
