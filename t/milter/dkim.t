#!/usr/bin/perl
# DKIM end to end: an MTA's packets in, the Authentication-Results field out.  Messages are signed here, naively, with a key made here by openssl; keys come from
# a name server of the test's own.
use strict;
use warnings;

use Digest::SHA qw(sha256 sha1);
use File::Basename qw(dirname);
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient qw(apply);
use Enma::Proc qw(work_dir spew slurp run_command);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();
my ($probe) = run_command(cmd => ['openssl', 'version'], seconds => 10);
plan skip_all => 'openssl is not installed' if $probe != 0;

my $dir = work_dir();

# ---- a signer ----

sub openssl {
	my (@arg) = @_;
	my ($status, $text) = run_command(cmd => ['openssl', @arg], seconds => 60);
	die "openssl @arg: $text" if $status;
	return $text;
}

# The value of p= of a new key.
sub new_key {
	my ($name, $bits) = @_;
	openssl('genrsa', '-out', "$dir/$name.pem", $bits);
	openssl('rsa', '-in', "$dir/$name.pem", '-pubout', '-outform', 'DER', '-out', "$dir/$name.der");
	return encode_base64(slurp("$dir/$name.der"), '');
}

sub relaxed_value {
	my ($v) = @_;
	$v =~ s/\r?\n//g;
	$v =~ s/[ \t]+/ /g;
	$v =~ s/^ //;
	$v =~ s/ \z//;
	return $v;
}

sub canonical_field {
	my ($how, $name, $value) = @_;
	return lc($name) . ':' . relaxed_value($value) if $how eq 'relaxed';
	$value =~ s/\r?\n/\r\n/g;
	return "$name:$value";
}

sub canonical_body {
	my ($how, $body) = @_;
	if ($how eq 'relaxed') {
		$body =~ s/[ \t]+(?=\r\n)//g;
		$body =~ s/[ \t]+/ /g;
	}
	$body =~ s/(?:\r\n)+\z/\r\n/;
	$body = '' if $body eq "\r\n" && $how eq 'relaxed';
	$body .= "\r\n" if $body !~ /\r\n\z/ && ($how eq 'simple' || length $body);
	return $body;
}

# The message's fields with a signature on top.  hash => 'sha1', c => 'simple/relaxed', h => [names], l => bytes, extra => tags.
sub sign {
	my ($headers, $body, %o) = @_;
	my ($header_c, $body_c) = split m{/}, $o{c} || 'relaxed/relaxed';
	my $hash = $o{hash} || 'sha256';
	my @names = @{ $o{h} || ['from', 'subject'] };
	my $text = canonical_body($body_c, $body);
	$text = substr $text, 0, $o{l} if defined $o{l};
	my $bh = encode_base64($hash eq 'sha1' ? sha1($text) : sha256($text), '');
	my $tags = " v=1; a=rsa-$hash; c=$header_c/$body_c; d=" . ($o{d} || 'author.example') . '; s=' . ($o{s} || 'sel')
		. ";\n\th=" . join(':', @names) . '; ' . (defined $o{l} ? "l=$o{l}; " : '') . ($o{extra} || '') . "bh=$bh;\n\tb=";
	my (%taken, $input);
	$input = '';
	for my $name (@names) {
		my @same = grep { lc $_->[0] eq lc $name } @$headers;
		my $field = $same[$#same - $taken{ lc $name }++] if @same > ($taken{ lc $name } // 0);
		$input .= canonical_field($header_c, @$field) . "\r\n" if $field;
	}
	$input .= canonical_field($header_c, 'DKIM-Signature', $tags);
	spew("$dir/input", $input);
	openssl('dgst', "-$hash", '-sign', "$dir/" . ($o{key} || 'good') . '.pem', '-out', "$dir/b", "$dir/input");
	return ['DKIM-Signature' => $tags . encode_base64(slurp("$dir/b"), "\n\t")];
}

# ---- the daemon ----

my $p = new_key('good', 2048);
my $short = new_key('short', 768);
# Strings of a TXT record hold at most 255 bytes.
sub record { return join ' ', map { "\"$_\"" } unpack '(a200)*', shift }
my $dns = Enma::DNS->new(text => join '', map { "$_\n" }
	'sel._domainkey.author.example TXT ' . record("v=DKIM1; p=$p"),
	'short._domainkey.author.example TXT ' . record("v=DKIM1; p=$short"),
	'test._domainkey.author.example TXT ' . record("v=DKIM1; t=y; p=$p"),
	'gone._domainkey.author.example TXT ' . record('v=DKIM1; p='),
	'other._domainkey.author.example TXT ' . record("v=DKIM1; g=nobody; p=$p"),
	'silent._domainkey.author.example TIMEOUT',
	'sel._domainkey.list.example TXT ' . record("v=DKIM1; p=$p"),
	'author.example MX 10 mx.author.example',
	'strict.example MX 10 mx.author.example', '_adsp._domainkey.strict.example TXT "dkim=discardable"',
	'list.example MX 10 mx.author.example');

sub daemon {
	my (%set) = @_;
	my %conf = ('milter.socket' => "unix:$dir/milter", 'worker.count' => 1, 'resolver.forward' => $dns->address, 'resolver.deadline' => '3s',
		'spf.auth' => 'no', %set);
	return Enma::Daemon->new(conf => [%conf])->start;
}

my @header = ([From => ' "A. Author" <author@author.example>'], [To => ' u@mx.example.jp'], [Subject => " A subject\n\twith a  fold "]);
my $body = "Hello,\r\n  two  blanks \r\n\r\nthe end.  \r\n\r\n\r\n";

# The results of one message and the answers to its body.
sub results {
	my (%o) = @_;
	my $m = Enma::MilterClient->new("unix:$dir/" . ($o{socket} || 'milter'), %{ $o{offer} || {} });
	$m->connect('client.example', $o{ip} || '192.0.2.1');
	$m->helo('client.example');
	my $r = $m->message(from => '<author@author.example>', qid => 'Q1', headers => $o{headers}, body => $o{body} // $body,
		login => $o{login});
	my @after = apply($r, @{ $o{headers} });
	$m->quit;
	my $value = lc $after[0][0] eq 'authentication-results' ? $after[0][1] : "$r->{code}: no field";
	$value =~ s/\n\s+/ /g;
	return wantarray ? ($value, $r, $m) : $value;
}

my $enma = daemon('common.exclude_authenticated' => 'yes');

# ---- what is signed ----

for my $c ('relaxed/relaxed', 'simple/simple', 'relaxed/simple', 'simple/relaxed') {
	my $signed = [sign(\@header, $body, c => $c), @header];
	my $good = qr{; dkim=pass \(2048-bit key\) header\.d=author\.example header\.i="?\@author\.example"? header\.s=sel header\.a=rsa-sha256 header\.b=\S{8,}\z};
	like(results(headers => $signed), $good, "$c: a good signature");
	like(results(headers => $signed, offer => { protocol => 0xfffff }), $good, "$c: ... from an MTA that eats the blank behind the colon");
	like(results(headers => $signed, offer => { version => 2, protocol => 0x7f, actions => 0x3f }), $good, "$c: ... from an MTA of long ago");
	for my $n (1, 7) {
		like(results(headers => $signed, body => [unpack "(a$n)*", $body]), $good, "$c: ... in pieces of $n");
	}
	like(results(headers => $signed, body => "$body\r\n"), $good, "$c: ... empty lines at the end do not count");
	like(results(headers => $signed, body => "x$body"), qr/; dkim=fail \(body hash did not verify/, "$c: the body was changed");
	my @changed = @$signed;
	$changed[3] = [Subject => ' Another'];
	like(results(headers => \@changed), qr/; dkim=fail \(signature did not verify/, "$c: a field was changed");
	@changed = @$signed;
	$changed[2] = [To => ' somebody@else.example'];
	like(results(headers => \@changed), $good, "$c: a field that is not signed was changed");
}
{
	my $folded = [sign(\@header, $body), $header[0], $header[1], [Subject => " A\n subject with\n\ta fold"]];
	like(results(headers => $folded), qr/dkim=pass/, 'relaxed: another fold');
	$folded->[0] = sign(\@header, $body, c => 'simple/simple');
	like(results(headers => $folded), qr/dkim=fail/, 'simple: another fold');
	my $empty = [sign(\@header, '', c => 'simple/simple'), @header];
	like(results(headers => $empty, body => []), qr/dkim=pass/, 'no body at all');
}

# ---- several signatures ----

{
	my $good = sign(\@header, $body);
	my $bad = sign(\@header, "$body changed", s => 'test');
	my ($value) = results(headers => [$bad, $good, @header]);
	like($value, qr/dkim=fail \([^)]*testing\).*header\.s=test.*; dkim=pass \(2048-bit key\).*header\.s=sel/, 'a bad and a good one: each has its result');
	my $stranger = sign(\@header, $body, d => 'list.example');
	($value) = results(headers => [$stranger, $good, @header]);
	like($value, qr/dkim=pass.*header\.d=author\.example.*; dkim=pass.*header\.d=list\.example/, 'the author\'s stands first');
	my @many = map { sign(\@header, $body, d => 'list.example', extra => "z=$_; ") } 1 .. 12;
	($value) = results(headers => [@many, $good, @header]);
	is(scalar(() = $value =~ /dkim=pass/g), 10, 'thirteen: ten are looked at');
	like($value, qr/dkim=pass \(2048-bit key\) header\.d=author\.example/, '... the author\'s among them, although it stands below');
	like($value, qr/dkim=policy \(too many signatures, 3 not looked at\)/, '... and the others are counted');
	cmp_ok(length $value, '<', 8192, '... in a field of sane length');
}

# ---- keys ----

for my $case (
	['no such key', 's=none', qr/dkim=permerror \(no key/],
	['a revoked key', 's=gone', qr/dkim=fail \(key was revoked/],
	['a test key', 's=test', qr/dkim=pass \(2048-bit key, testing\)/],
	['a short key', 's=short', qr/dkim=policy \(key is too short, 768-bit key\)/],
	['g= is of the past', 's=other', qr/dkim=pass/],
) {
	my ($name, $s, $want) = @$case;
	my ($selector) = $s =~ /=(.*)/;
	like(results(headers => [sign(\@header, $body, s => $selector, key => $selector eq 'short' ? 'short' : 'good'), @header]), $want, $name);
}
{
	my $begun = time;
	like(results(headers => [sign(\@header, $body, s => 'silent'), @header]), qr/dkim=temperror \(key could not be looked up/, 'a silent name server: temperror');
	cmp_ok(time - $begun, '<', 15, '... soon');
}

# ---- who sends what ----

{
	my ($value, $r, $m) = results(headers => \@header);
	is_deeply($r->{body}, ['s'], 'an unsigned message: the MTA is asked to skip the body');
	is($value, ' mx.example.jp; dkim=none (no signature)', '... and the result is none');
	ok(!($m->{protocol} & 0x10), '... NOBODY was not asked for');
	my @pieces = ('x' x 60000) x 5;
	($value, $r) = results(headers => \@header, body => \@pieces);
	is_deeply($r->{body}, ['s'], '... after its first piece');
	($value, $r) = results(headers => \@header, body => [@pieces], offer => { protocol => 0x1fffff & ~0x400 });
	is_deeply($r->{body}, [('') x 5], 'an MTA that cannot skip sends on, and nobody answers');
	($value, $r) = results(headers => \@header, body => [@pieces], offer => { protocol => 0x1fffff & ~0x80400 });
	is_deeply($r->{body}, [('c') x 5], '... unless it waits for answers');
	like($value, qr/dkim=none/, '... all the same result');
	my $signed = [sign(\@header, $body), @header];
	($value, $r) = results(headers => $signed, body => [$body =~ /(.{1,9})/gs]);
	is_deeply([grep { $_ ne 'c' } @{ $r->{body} }], [], 'a signed message is wanted to its end');
	($value, $r) = results(headers => [sign(\@header, $body, s => 'gone', h => ['to']), @header]);
	is_deeply($r->{body}, ['s'], 'a signature that cannot become good needs no body');
	($value, $r) = results(headers => $signed, ip => '127.0.0.1');
	is_deeply([$value, $r->{body}], ['c: no field', ['s']], 'an excluded client: nothing is evaluated, the body is skipped') or diag $value;
	($value, $r) = results(headers => $signed, login => 'user');
	is_deeply([$value =~ /dkim/ ? 'evaluated' : 'not', $r->{body}], ['not', ['s']], 'an authenticated one, too');
}

my $log = $enma->log;
like($log, qr/Q1: .* from=author\.example .* dkim=pass dkim_count=1 .* dkim1=pass dkim1_d=author\.example dkim1_s=sel dkim1_a=rsa-sha256 dkim1_i=\@author\.example dkim1_bits=2048 dkim1_testing=no dkim1_why="good signature"/,
	'the line of the log has the signature');
my ($code, $stats) = $enma->ctl('stats');
like($stats, qr/\bdkim\.$_\s+[1-9]/, "counter dkim.$_") for qw(none pass fail policy temperror permerror signatures over_limit);
$enma->stop;

# ---- settings: each has its effect ----

my $plain = daemon('milter.socket' => "unix:$dir/plain");
my $day = 86400;
my $now = int time;
for my $case (
	['dkim.accept_sha1', 'yes', { hash => 'sha1' }, qr/dkim=policy \(rsa-sha1 is not accepted/, qr/dkim=pass/],
	['dkim.min_rsa_bits', '512', { s => 'short', key => 'short' }, qr/dkim=policy \(key is too short/, qr/dkim=pass \(768-bit key\)/],
	['dkim.accept_expired_signature', 'yes', { extra => 't=' . ($now - 2 * $day) . '; x=' . ($now - $day) . '; ' }, qr/dkim=policy \(signature expired/, qr/dkim=pass/],
	['dkim.accept_future_signature', 'yes', { extra => 't=' . ($now + $day) . '; ' }, qr/dkim=policy \(signature from the future/, qr/dkim=pass/],
	['dkim.clock_skew', '1h', { extra => 't=' . ($now + 1800) . '; ' }, qr/dkim=policy \(signature from the future/, qr/dkim=pass/],
	['dkim.clock_skew', '0', { extra => 't=' . ($now + 120) . '; ' }, qr/dkim=pass/, qr/dkim=policy \(signature from the future/],
	['dkim.l_tag', 'accept', { l => 20 }, qr/dkim=policy \(a part of the body is not signed \(l=\)|dkim=policy \(a part of the body is not signed/, qr/dkim=pass \(2048-bit key, a part of the body is not signed/],
	['dkim.must_be_signed', 'To', {}, qr/dkim=pass/, qr/dkim=policy \(a field that must be signed is not/],
	['dkim.rfc4871_compatible', 'yes', { s => 'other' }, qr/dkim=pass/, qr/dkim=permerror \(key does not allow this i=/],
	['dkim.signheader_limit', '1', { twice => 1 }, qr/dkim=pass.*dkim=pass/, qr/dkim=pass.*dkim=policy \(too many signatures, 1 not looked at/],
	['dkim.signheader_limit', '0', { twice => 11 }, qr/too many signatures/, qr/^(?!.*too many)(?:.*dkim=pass){12}/],
	['dkim.auth', 'no', {}, qr/dkim=pass/, qr/^ mx\.example\.jp;\s+none$/],
) {
	my ($key, $value, $how, $default, $with) = @$case;
	my @signed = ((sign(\@header, $body, d => 'list.example')) x ($how->{twice} || 0), sign(\@header, $body, %$how), @header);
	like(results(headers => \@signed, socket => 'plain'), $default, "without $key");
	my $one = daemon($key => $value);
	my ($field, undef, $m) = results(headers => \@signed);
	like($field, $with, "$key: $value");
	ok($m->{protocol} & 0x10, '... and no body is asked for') if $key eq 'dkim.auth';
	$one->stop;
}
$plain->stop;

# ---- ADSP ----

$enma = daemon('dkimadsp.auth' => 'yes', 'log.style' => 'enma');
{
	my @strict = ([From => ' a@strict.example'], @header[1, 2]);
	like(results(headers => \@strict), qr/; dkim=none \(no signature\); dkim-adsp=discard \([^)]*\) header\.from=a\@strict\.example\z/,
		'ADSP: discard is a result, and no action');
	like(results(headers => [sign(\@header, $body), @header]), qr/dkim=pass.*; dkim-adsp=pass/, 'ADSP: the author\'s own signature');
	like(results(headers => [sign(\@header, $body, d => 'list.example'), @header]), qr/dkim=pass.*; dkim-adsp=none/, 'ADSP: a stranger\'s signature');
	like(results(headers => [[From => ' a@nowhere.example'], @header[1, 2]]), qr/dkim-adsp=nxdomain/, 'ADSP: no such domain');
	like(results(headers => [$header[1]]), qr/dkim-adsp=permerror \(no author\)/, 'ADSP: no From');
	my $text = $enma->log;
	like($text, qr/\[Q1\] \[DKIM-auth\] domain=author\.example, selector=sel, algorithm=rsa-sha256, identity=\@author\.example, bits=2048, testing=no, score=pass, why=good signature$/m,
		'ENMA\'s line of a signature');
	like($text, qr/\[Q1\] \[DKIM-auth\] score=none$/m, '... of no signature');
	like($text, qr/\[Q1\] \[DKIM-ADSP-auth\] from=strict\.example, score=discard$/m, '... of ADSP');
}
$enma->stop;

# ---- limits ----

$enma = daemon('message.max_headers' => 20, 'message.on_limit' => 'accept');
{
	my @full = (sign(\@header, $body), @header, map { ["X-$_" => ' x'] } 1 .. 16);
	like(results(headers => \@full), qr/dkim=pass/, 'as many fields as may be');
	my ($value, $r) = results(headers => [@full, ['X-More' => ' x']]);
	like($value, qr/dkim=temperror \(header is incomplete/, 'one more: the header is not kept, and nothing passes');
	is_deeply($r->{body}, ['s'], '... and the body is skipped');
	like(results(headers => [(map { ["X-$_" => ' x'] } 1 .. 25), @full]), qr/dkim=temperror \(header is incomplete\)/, '... a signature below the limit is not "none"');
}
$enma->stop;
$dns->stop;

done_testing();
