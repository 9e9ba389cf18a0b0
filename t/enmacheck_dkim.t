# enmacheck dkim and key: every explanation, with keys and signatures made here; hostile files.
use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Cwd qw(abs_path);
use Digest::SHA qw(sha1 sha256);
use JSON::PP qw(decode_json);
use MIME::Base64 qw(encode_base64 decode_base64);

use Enma::DNS;
use Enma::Proc qw(run_command work_dir spew slurp);

my $build = abs_path($ENV{ENMA_BUILD} || 'build');
my $tool = "$build/enmacheck";
my $dir = work_dir();

sub check {
	my ($stdin, @args) = ref $_[0] ? (${ +shift }, @_) : (undef, @_);
	my ($status, $text) = run_command(seconds => 300, cmd => [$tool, @args], defined $stdin ? (stdin => $stdin) : ());
	return ($status & 127 ? "signal " . ($status & 127) : $status >> 8, $text);
}

sub openssl {
	my ($status, $text) = run_command(seconds => 60, cmd => ['openssl', @_]);
	die "openssl @_: $text" if $status != 0;
}

# ---- keys

sub make_key {
	my ($name, @how) = @_;
	openssl('genpkey', @how, '-out', "$dir/$name.pem");
	openssl('pkey', '-in', "$dir/$name.pem", '-pubout', '-outform', 'DER', '-out', "$dir/$name.der");
	return slurp("$dir/$name.der");
}

my @rsa = ('-algorithm', 'RSA', '-pkeyopt');
my $der = make_key('good', @rsa, 'rsa_keygen_bits:2048');
my $der1024 = make_key('middle', @rsa, 'rsa_keygen_bits:1024');
my $der768 = make_key('short', @rsa, 'rsa_keygen_bits:768');
my $der_other = make_key('other', @rsa, 'rsa_keygen_bits:2048');
my $der_ed = make_key('ed', '-algorithm', 'ED25519');
my $der_ec = make_key('ec', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256');
openssl('rsa', '-in', "$dir/good.pem", '-outform', 'DER', '-out', "$dir/private.der", '-traditional');
openssl('pkcs8', '-topk8', '-nocrypt', '-in', "$dir/good.pem", '-outform', 'DER', '-out', "$dir/pkcs8.der");
openssl('req', '-x509', '-new', '-key', "$dir/good.pem", '-subj', '/CN=example.org', '-outform', 'DER', '-out', "$dir/cert.der");

sub b64 { return encode_base64($_[0], '') }
my $p = b64($der);

# A TXT record as zone files have it.
sub txt {
	my ($name, $text) = @_;
	$text =~ s/(["\\])/\\$1/g;
	$text =~ s/([^ -~])/sprintf "\\%03d", ord $1/ge;
	my @strings = $text =~ /((?:\\\d{3}|\\.|[^\\]){1,200})/gs;
	return "$name TXT " . join(' ', map { "\"$_\"" } @strings ? @strings : ('')) . "\n";
}

my %record = (
	s => "v=DKIM1; k=rsa; p=$p",
	middle => 'v=DKIM1; p=' . b64($der1024),
	short => 'v=DKIM1; p=' . b64($der768),
	other => 'v=DKIM1; p=' . b64($der_other),
	ed => 'v=DKIM1; k=ed25519; p=' . b64(substr $der_ed, -32),
	edder => 'v=DKIM1; k=ed25519; p=' . b64($der_ed),
	edrsa => 'v=DKIM1; p=' . b64(substr $der_ed, -32),
	edtype => 'v=DKIM1; k=rsa; p=' . b64($der_ed),
	rsaed => "v=DKIM1; k=ed25519; p=$p",
	ec => 'v=DKIM1; p=' . b64($der_ec),
	revoked => 'v=DKIM1; p=',
	testing => "v=DKIM1; t=y:s; n=a note; x=1; p=$p",
	nop => 'v=DKIM1; k=rsa',
	noversion => "p=$p",
	late => "p=$p; v=DKIM1",
	quoted => "\"v=DKIM1; p=$p\"",
	backslash => "v=DKIM1\\; p=$p",
	twice => "v=DKIM1; v=DKIM1; p=$p",
	doubled => "v=DKIM1; p=${p}v=DKIM1; p=$p",
	blanks => 'v=DKIM1; p=' . substr($p, 0, 100) . ' ' . substr($p, 100),
	semicolon => "v=DKIM1; k=rsa p=$p",
	semicolon2 => "v=DKIM1 p=$p",
	capital => "v=DKIM1; P=$p",
	pem => "v=DKIM1; p=-----BEGIN PUBLIC KEY-----$p-----END PUBLIC KEY-----",
	private => 'v=DKIM1; p=' . b64(slurp("$dir/private.der")),
	pkcs8 => 'v=DKIM1; p=' . b64(slurp("$dir/pkcs8.der")),
	cert => 'v=DKIM1; p=' . b64(slurp("$dir/cert.der")),
	cut => 'v=DKIM1; p=' . substr($p, 0, 200),
	odd => 'v=DKIM1; p=' . substr($p, 0, 201),
	web => 'v=DKIM1; p=' . substr($p, 0, 20) . '-_' . substr($p, 22),
	junk => 'v=DKIM1; p=AAECAwQFBgc=',
	spf => 'v=spf1 -all',
	dmarc => 'v=DMARC1; p=none',
	empty => '',
	nbsp => "v=DKIM1;\xa0p=$p",
	unknown_k => "v=DKIM1; k=dsa; p=$p",
	sha1 => "v=DKIM1; h=sha1; p=$p",
	nohash => "v=DKIM1; h=md5; p=$p",
	service => "v=DKIM1; s=tlsrpt; p=$p",
	g => "v=DKIM1; g=user*; p=$p",
	gempty => "v=DKIM1; g=; p=$p",
);
my $zone = join '', map { txt("$_._domainkey.example.org", $record{$_}) } sort keys %record;
$zone .= txt('two._domainkey.example.org', $record{s}) . txt('two._domainkey.example.org', $record{other});
$zone .= txt('ten._domainkey.example.org', "v=DKIM1; n=$_; p=$p") for 1 .. 10;
$zone .= txt('eleven._domainkey.example.org', "v=DKIM1; n=$_; p=$p") for 1 .. 11;
$zone .= txt('plain.twice.example', $record{s}) . txt('x._domainkey.twice.example.twice.example', $record{s}) . txt('u.domainkey.twice.example', $record{s});
$zone .= "dead._domainkey.example.org SERVFAIL\nslow._domainkey.example.org TIMEOUT\nbad._domainkey.example.org GARBAGE\n";
$zone .= "nodata._domainkey.example.org A 192.0.2.1\nalias._domainkey.example.org CNAME s._domainkey.example.org\n";
spew("$dir/zone", $zone);
my @zone = ('--zone', "$dir/zone");

# ---- key

sub key {
	my ($selector, $domain, @more) = @_;
	my ($code, $text) = check('key', @zone, '--json', @more, $selector, $domain || 'example.org');
	my $r = eval { decode_json($text) };
	ok $r, "$selector: JSON" or diag $text;
	return ($code, $r || {}, join "\n", map { $_->{text} } map { @{ $_->{remarks} } } grep { $_ } $r, @{ $r->{records} || [] });
}

for my $case (
	[s => 0, qr/joined without anything/], [ed => 0, qr/^$/], [middle => 0, qr/1024 bits are accepted, 2048 are recommended/],
	[testing => 0, qr/t=y.*\n.*t=s.*\n.*n=: a note/s], [noversion => 0, qr/no v=DKIM1/], [blanks => 0, qr/blanks inside of p=/],
	[edder => 0, qr/DER frame/], [g => 0, qr/obsolete.*"user\*"/], [alias => 0, qr/joined without/],
	[short => 1, qr/768 bits are too short.*1024/], [edrsa => 1, qr/k=ed25519 is missing/], [edtype => 1, qr/another type than k=/],
	[rsaed => 1, qr/another type than k=/], [ec => 1, qr/ECDSA/], [revoked => 1, qr/revoked/], [nop => 1, qr/no p=/], [late => 1, qr/not the first tag/],
	[quoted => 1, qr/quotes are part/], [backslash => 1, qr/backslash is part/], [twice => 1, qr/"v=DKIM1" is there twice/],
	[doubled => 1, qr/"v=DKIM1" is there twice/], [semicolon => 1, qr/semicolon is missing behind k=: "p="/],
	[semicolon2 => 1, qr/semicolon is missing behind v=: "p="/], [capital => 1, qr/P= is another tag than p=/], [pem => 1, qr/-----BEGIN/],
	[private => 1, qr/PRIVATE key/], [pkcs8 => 1, qr/PRIVATE key/], [cert => 1, qr/certificate/], [cut => 1, qr/cut off: 150 of its 294 bytes/],
	[odd => 1, qr/not base64: 201 characters, not a multiple of 4/], [web => 1, qr/not base64: character 21 is "-" \(of the alphabet for web/],
	[junk => 1, qr/8 bytes that are no key/], [spf => 1, qr/SPF or DMARC record/], [dmarc => 1, qr/SPF or DMARC record/], [empty => 1, qr/record is empty/],
	[nbsp => 1, qr/byte 9 is \\xA0/], [unknown_k => 1, qr/unknown k=/], [sha1 => 1, qr/h= does not allow sha256: rsa-sha1/],
	[nohash => 1, qr/h= does not allow sha256: no known/], [service => 1, qr/s= does not allow email/], [gempty => 1, qr/g= is obsolete.*none at all/],
	[two => 1, qr/2 TXT records where one should be/], [nothing => 1, qr/no such name/], [nodata => 1, qr/no TXT record/],
	[dead => 75, qr/could not be looked up: servfail/], [slow => 75, qr/could not be looked up: timeout/], [bad => 75, qr/could not be looked up/],
) {
	my ($selector, $want, $says) = @$case;
	my ($code, $r, $text) = key($selector);
	is $code, $want, "$selector: exit code";
	like $text, $says, '... and says why';
	ok $code == 0 ? $r->{good} : !$r->{good}, '... and good says the same';
	my ($plain, $out) = check('key', @zone, $selector, 'example.org');
	is $plain, $want, '... as text, too';
	like $out, $want ? qr/^the key has problems$/m : qr/^the key is good$/m, '... with the sum';
}
{
	my ($code, $r) = key('s');
	is_deeply [@$r{qw(name dns ttl)}], ['s._domainkey.example.org', 'ok', 300], 'what was asked';
	ok !$r->{secure}, '... without DNSSEC';
	is_deeply [@{ $r->{records}[0] }{qw(type bits text)}], ['rsa', 2048, $record{s}], 'the record';
	($code, $r) = key('testing');
	ok $r->{records}[0]{testing} && $r->{records}[0]{strict}, 'flags';
	($code, $r) = key('revoked');
	ok $r->{records}[0]{revoked} && !$r->{records}[0]{usable}, 'revoked';
	for (['ten', 0], ['eleven', 1]) {
		($code, $r, my $said) = key($_->[0]);
		is scalar @{ $r->{records} }, 10, "$_->[0] records";
		is scalar(() = $said =~ /only the first 10/), $_->[1], '... more than are looked at, or not';
	}
	my ($plain, $text) = check('key', @zone, 'testing', 'example.org');
	like $text, qr/^key: RSA, 2048 bits; flags: testing \(t=y\), no subdomains in i= \(t=s\)$/m, 'flags in words';
	spew("$dir/strict.conf", "authresult.identifier: mx.example.jp\ndkim.min_rsa_bits: 2048\n");
	($code, $r, $text) = key('middle', 'example.org', '--config', "$dir/strict.conf");
	is $code, 1, 'the minimum is that of the settings';
	like $text, qr/1024 bits are too short: .* 2048/, '... and said';
	for ([plain => qr/"_domainkey" is missing/], [x => qr/domain is there twice/], [u => qr/underline/]) {
		($code, $r, $text) = key($_->[0], 'twice.example');
		is $code, 1, "a record that is elsewhere: $_->[0]";
		like $text, $_->[1], '... and where';
	}
	($code, $r, $text) = key('nothing', 'twice.example');
	unlike $text, qr/there is a record at/, 'and nowhere else';
}

# ---- a signer

sub relaxed_body {
	my ($b) = @_;
	$b =~ s/[ \t]+/ /g;
	$b =~ s/ (?=\r\n)//g;
	$b =~ s/ \z//;
	$b =~ s/(?:\r\n)*\z//;
	return length $b ? "$b\r\n" : '';
}

sub simple_body {
	my ($b) = @_;
	$b =~ s/(?:\r\n)*\z//;
	return "$b\r\n";
}

sub canon_field {
	my ($form, $name, $value) = @_;
	return "$name:$value\r\n" if $form eq 'simple';
	$value =~ s/\r\n(?=[ \t])//g;
	$value =~ s/[ \t]+/ /g;
	$value =~ s/^ | $//g;
	return lc($name) . ":$value\r\n";
}

my $serial = 0;

# Signs the body and the fields, given as [name, value]; o: d s key forms tags body_hashed hash from_top feed.
sub sign {
	my ($fields, $body, %o) = @_;
	my ($head, $form) = split m{/}, $o{forms} || 'relaxed/relaxed';
	my ($head_used, $form_used) = split m{/}, $o{used} || "$head/$form";
	my $hash = $o{hash} || \&sha256;
	my $hashed = exists $o{body_hashed} ? $o{body_hashed} : $form_used eq 'simple' ? simple_body($body) : relaxed_body($body);
	$hashed = substr $hashed, 0, $o{l} if defined $o{l};
	my @names = $o{h} ? @{ $o{h} } : map { $_->[0] } @$fields;
	my $value = ' v=1; a=' . ($o{a} || 'rsa-sha256') . "; c=$head/$form; d=example.org; s=" . ($o{s} || 's') . ";\r\n\t" .
	    (defined $o{l} ? "l=$o{l}; " : '') . ($o{tags} || '') . 'h=' . join(':', @names) . ";\r\n\tbh=" . b64($hash->($hashed)) . ';b=';
	my %left;
	my $input = '';
	for my $name (@names) {
		my @same = grep { lc $_->[0] eq lc $name } @$fields;
		my $at = $left{ lc $name }++;
		next if $at >= @same;
		my $field = $o{from_top} ? $same[$at] : $same[-1 - $at];
		$input .= canon_field($head_used, $o{h_names} ? $name : $field->[0], $field->[1]);
	}
	my $own = canon_field($head_used, 'DKIM-Signature', $value);
	$own =~ s/\r\n\z// unless $o{own_end};
	$input .= $own;
	$input =~ s/\r\n/\n/g if $o{lf};
	my $key = $o{key} || 'good';
	my @files = ("$dir/in." . ++$serial, "$dir/sig.$serial");
	if ($key eq 'ed') {
		spew($files[0], sha256($input));
		openssl('pkeyutl', '-sign', '-rawin', '-inkey', "$dir/ed.pem", '-in', $files[0], '-out', $files[1]);
	} else {
		spew($files[0], $input);
		openssl('dgst', $o{sign_hash} || '-sha256', '-sign', "$dir/$key.pem", '-out', $files[1], $files[0]);
	}
	my $b = b64(slurp($files[1]));
	$b =~ s/(.{70})/$1\r\n\t /g;
	return ['DKIM-Signature', $value . $b];
}

sub message {
	my ($body, @fields) = @_;
	return join('', map { "$_->[0]:$_->[1]\r\n" } @fields) . "\r\n$body";
}

my $now = 1_750_000_000;
my @fields = (
	['Received', " from a by b\r\n\tfor <c\@example.net>"], ['From', ' "A  User" <user@example.org>'], ['To', ' you@example.net'],
	['Subject', " Hello,\r\n  world"], ['Message-Id', ' <1@example.org>'],
);
my @h = (h => [qw(From To Subject Message-Id)]);
my $body = "Dear you,\r\n\r\n  one  two\tthree \r\nFrom me to you\r\n.dot\r\n-- \r\nA. User\r\n";

sub dkim {
	my ($message, @more) = @_;
	my ($code, $text) = check(\$message, 'dkim', @zone, '--now', $now, '--json', @more, '-');
	my $r = eval { decode_json($text) };
	is $code, 0, 'evaluated' or diag $text;
	return $r || {};
}

sub ids { return join ' ', map { $_->{id} } @{ $_[0]{signatures}[0]{explanations} } }

{
	my $sig = sign(\@fields, $body, @h, tags => "t=1700000000; x=1800000000; i=user\@example.org; q=dns/txt;\r\n\t");
	my $m = message($body, $sig, @fields);
	my $r = dkim($m);
	my $s = $r->{signatures}[0];
	is $s->{result}, 'pass', 'a good signature';
	is_deeply [@$s{qw(field domain selector identity algorithm header_form body_form length signed_at expires_at)}],
	    [1, 'example.org', 's', 'user@example.org', 'rsa-sha256', 'relaxed', 'relaxed', undef, 1700000000, 1800000000], '... its tags';
	is_deeply [@$s{qw(body_hash body_hash_claimed)}], [(b64(sha256(relaxed_body($body)))) x 2], '... its body hash';
	ok $s->{body_good} && $s->{header_good}, '... both are good';
	is_deeply $s->{explanations}, [], '... nothing to explain';
	is $s->{key}{records}[0]{bits}, 2048, '... its key';
	is $r->{headers}, 6, 'the fields';
	my ($code, $text) = check(\$m, 'dkim', @zone, '--now', $now, '-');
	is $code, 0, 'as text';
	like $text, qr/^signature 1, header field 1: dkim=pass: good signature$/m, 'the result';
	like $text, qr/^    domain      example\.org \(d=\)\n    selector    s \(s=\)\n    identity    user\@example\.org \(i=\)/m, 'tags in words';
	like $text, qr/^    forms       header relaxed, body relaxed \(c=\)\n    body        all of it \(no l=\)$/m, 'forms in words';
	like $text, qr/^    signed      2023-11-14 22:13:20 UTC \(t=1700000000\)\n    expires     2027-01-15 08:00:00 UTC \(x=1800000000\)$/m, 'times in UTC';
	like $text, qr/^        key: RSA, 2048 bits; flags: none$/m, 'the key';
	unlike $text, qr/^    why:/m, 'nothing to explain';

	(my $lf = $m) =~ s/\r\n/\n/g;
	$r = dkim($lf);
	is $r->{signatures}[0]{result}, 'pass', 'the same file with LF';
	like $r->{remarks}[0]{text}, qr/end in LF/, '... which is said';
	$r = dkim("From user\@example.org Sat Jan  1 00:00:00 2025\n$lf");
	is $r->{signatures}[0]{result}, 'pass', 'behind a line of mbox';
	spew("$dir/m.eml", $m);
	($code, $text) = check('dkim', @zone, '--now', $now, "$dir/m.eml");
	like $text, qr/dkim=pass/, 'from a file';
}

# ---- what was hashed

{
	my @odd = (@fields, ['X-Odd', " <CRLF>\\ \x01\xc3\xa9 "]);
	my $odd = "a<CRLF>\\ \x00\x7f \r\nlone\rcr\r\n";
	my $sig = sign(\@odd, $odd, h => [qw(From X-Odd)], forms => 'simple/simple');
	my $m = message($odd, $sig, @odd);
	my $r = dkim($m, '--show-canon', '--canon-dir', "$dir/canon");
	my $s = $r->{signatures}[0];
	is $s->{result}, 'pass', 'odd bytes';
	is decode_base64($r->{body_hashed_simple}{base64}), $odd, 'the body as hashed';
	is $r->{body_hashed_simple}{bytes}, length $odd, '... its length';
	(my $bare = $sig->[1]) =~ s/;b=.*/;b=/s;
	my $want = "From: \"A  User\" <user\@example.org>\r\nX-Odd: <CRLF>\\ \x01\xc3\xa9 \r\nDKIM-Signature:$bare";
	is decode_base64($s->{header_hashed}{base64}), $want, 'the header as hashed';
	is slurp("$dir/canon/body.simple"), $odd, 'the body in its file';
	is slurp("$dir/canon/header.1"), $want, 'the header in its file';
	ok -e "$dir/canon/body.relaxed", 'the other form has a file';
	my ($code, $text) = check(\$m, 'dkim', @zone, '--now', $now, '--show-canon', '-');
	like $text, qr/^    a\\x3CCRLF>\\x5C \\x00\\x7F <CRLF>\n    lone\\x0Dcr<CRLF>$/m, 'the body, nothing hidden';
	like $text, qr/^        X-Odd: \\x3CCRLF>\\x5C \\x01\\xC3\\xA9 <CRLF>$/m, 'the header, nothing hidden';
	like $text, qr/^        \\x09bh=.*;b=$/m, '... without b=, without a line end';
	unlike $text, qr/body as hashed, relaxed/, 'only the form that is used';
	spew("$dir/notadir", '');
	($code, $text) = check(\$m, 'dkim', @zone, '--canon-dir', "$dir/notadir", '-');
	is $code, 73, 'a folder that is none';
	like $text, qr/notadir/, '... by name';
	$r = dkim(message('', ['From', ' a@b.example']), '--canon-dir', "$dir/canon2");
	is $r->{signature_count}, 0, 'no signature';
	ok !-e "$dir/canon2/body.simple", '... no files';
	my $big = 'x' x 76 . "\r\n";
	$big x= 20_000;
	$r = dkim(message($big, sign(\@fields, $big, @h), @fields), '--show-canon', '--canon-dir', "$dir/canon3");
	is length decode_base64($r->{body_hashed_relaxed}{base64}), 1 << 20, 'only 1 MiB is shown';
	ok $r->{body_hashed_relaxed}{cut}, '... which is said';
	is -s "$dir/canon3/body.relaxed", length $big, 'the file has all';
}

# ---- body: each explanation

my $long = 'x' x 990;
my $qp = "caf=C3=A9 =3D =\r\nend=20\r\n";
my $bit8 = "caf\xc3\xa9 = end \r\n";
my @text = (@fields, ['Content-Type', ' text/plain; charset=utf-8']);
my @multi = (@fields, ['Content-Type', " multipart/mixed;\r\n boundary=\"b1\""]);
my @plain_mime = (@fields, ['Content-Type', ' text/plain'], ['Content-Transfer-Encoding', ' 8bit']);
sub part { return "--b1\r\n$_[0]\r\n" }
my $two_parts = "preamble\r\n" . part("\r\none") . part("Content-Type: text/html\r\n\r\ntwo") . "--b1--\r\n";
my $three_parts = "preamble\r\n" . part("\r\none") . part("Content-Type: text/html\r\n\r\ntwo") . part("\r\nfooter") . "--b1--\r\n";
(my $stripped = $body) =~ s/[ \t]+(?=\r\n)//g;
(my $quoted = $body) =~ s/^From />From /mg;
(my $stuffed = $body) =~ s/^\./../mg;
(my $no_dash = $body) =~ s/-- \r\n/--\r\n/;
(my $cr_doubled = $body) =~ s/\r\n/\r\r\n/g;
(my $lf_body = $body) =~ s/\r\n/\n/g;
(my $tabs = $body) =~ s/ /\t/g;

# [explanation, signed, received, options of sign(), fields signed, fields received]
for my $case (
	['lines-added-at-end', $body, $body . "____\r\nlist footer\r\n", [forms => 'relaxed/simple']],
	['lines-added-at-end', $body, $body . "\r\n\r\n____\r\nlist footer", []],
	['lines-added-at-end', $body, $body . "footer\r\n", [forms => 'relaxed/simple', used => 'relaxed/relaxed']],
	['lines-added-at-top', $body, "[EXTERNAL]\r\n\r\n" . $body, []],
	['other-canonicalization', $body, $body, [forms => 'relaxed/simple', used => 'relaxed/relaxed']],
	['other-canonicalization', $body, $body, [used => 'relaxed/simple']],
	['empty-body', $body, $body, [body_hashed => '']],
	['empty-body', $body, $body, [body_hashed => "\r\n"]],
	['blanks-at-line-ends', $stripped, $body, [forms => 'relaxed/simple']],
	['dashes-lost-blank', $body, $no_dash, [forms => 'relaxed/simple']],
	['from-quoted', $body, $quoted, []],
	['from-unquoted', $quoted, $body, []],
	['dots-doubled', $body, $stuffed, []],
	['dots-halved', $stuffed, $body, []],
	['tabs', $body =~ tr/\t/ /r, $tabs, [forms => 'relaxed/simple']],
	['cr-doubled', $body, $cr_doubled, []],
	['lone-cr-lf', "a\r\nb\r\nc\r\n", "a\rb\nc\r\n", []],
	['lone-cr-lf-added', "abc\r\n", "a\rb\nc\r\n", []],
	['long-lines-broken', "$long$long$long\r\nend\r\n", "$long!\r\n $long!\r\n $long\r\nend\r\n", []],
	['long-lines-broken', "$long$long\r\nend\r\n", "$long\r\n $long\r\nend\r\n", []],
	['lf', $body, $body, [forms => 'relaxed/simple', body_hashed => $lf_body]],
	['empty-line-lost', "\r\n$body", $body, []],
	['last-line-end', $body, $body, [forms => 'relaxed/simple', body_hashed => $body =~ s/\r\n\z//r]],
	['no-canonicalization', $body, "$body\r\n\r\n", [forms => 'relaxed/simple', body_hashed => "$body\r\n\r\n"]],
	['l-ignored', $body, $body, [tags => 'l=10; ']],
	['was-8bit', $bit8, $qp, [forms => 'relaxed/simple'], \@text, [@text, ['Content-Transfer-Encoding', ' quoted-printable']]],
	['was-8bit', $bit8, encode_base64($bit8, "\r\n"), [], \@text, [@text, ['Content-Transfer-Encoding', ' base64']]],
	['was-8bit', $bit8, encode_base64("${bit8}____\r\nfooter\r\n", "\r\n"), [], \@text, [@text, ['Content-Transfer-Encoding', ' base64']]],
	['was-quoted-printable', "caf=C3=A9 =3D end=20\r\n", $bit8, [], \@plain_mime, \@plain_mime],
	['was-base64', encode_base64($bit8, "\r\n"), $bit8, [], \@plain_mime, \@plain_mime],
	['part-added', $two_parts, $three_parts, [], \@multi, \@multi],
	['wrapped', "original\r\ntext\r\n", "--b1\r\nContent-Type: text/plain\r\n\r\noriginal\r\ntext\r\n" . part("\r\nfooter") . "--b1--\r\n", [], \@multi, \@multi],
	['wrapped', "original\r\n", "--b1\r\n\r\noriginal\r\n" . part("\r\nfooter") . "--b1--\r\n", [], \@multi, \@multi],
) {
	my ($id, $signed, $received, $how, $before, $after) = @$case;
	my $sig = sign($before || \@fields, $signed, @h, @$how);
	my $m = message($received, $sig, @{ $after || \@fields });
	my $r = dkim($m);
	my $s = $r->{signatures}[0];
	is $s->{reason}, 'body hash did not verify', "$id: the body hash is wrong";
	like ids($r), qr/(?:^| )\Q$id\E(?: |$)/, '... and why is found';
	is_deeply [grep { $_->{part} ne 'body' } @{ $s->{explanations} }], [], '... nothing is said about the header';
	ok $s->{header_good}, '... which is as it was signed';
	$r = dkim(message($received . "quite another line\r\nmore\r\n" x 2, sign(\@fields, "nothing like it\r\n", @h, forms => 'relaxed/simple'), @fields));
	is ids($r), '', '... and nothing where nothing fits';
	ok $r->{signatures}[0]{body_search}{tries} >= 10, '... although it was searched';
}
{
	my $sig = sign(\@fields, $body, @h);
	my $m = message("$body\r\n____\r\nlist footer\r\nlast\r\n", $sig, @fields);
	my ($code, $text) = check(\$m, 'dkim', @zone, '--now', $now, '-');
	like $text, qr/^    why: the last 4 lines were added after signing.*"____"$/m, 'how many lines, and which';
	like $text, qr/^    the header is as it was signed: only the body was changed$/m, 'the header is good';
	like $text, qr/^    body hash   \S+ computed\n +\Q@{[b64(sha256(relaxed_body($body)))]}\E claimed \(bh=\)$/m, 'both hashes';
	$m = message("other\r\n", sign(\@fields, $body, @h), @fields);
	($code, $text) = check(\$m, 'dkim', @zone, '--now', $now, '-');
	like $text, qr/^    why: none of \d+ possible changes of the body explains it$/m, 'nothing fits';
}

# ---- header: each explanation

sub changed {
	my ($name, $value) = @_;
	return [map { $_->[0] eq $name ? [$name, $value] : $_ } @fields];
}
my @simple = (forms => 'simple/simple');
my @unfolded = @{ changed('Subject', ' Hello,  world') };
for my $case (
	['subject-tag', \@fields, changed('Subject', " [list] Hello,\r\n  world"), [], 'simple'],
	['subject-tag', changed('Subject', ' Re: Hello'), changed('Subject', ' Re: [list] Hello'), []],
	['other-canonicalization', \@fields, \@fields, [forms => 'simple/simple', used => 'relaxed/simple']],
	['other-canonicalization', \@fields, \@fields, [used => 'simple/relaxed']],
	['other-hash', \@fields, \@fields, [sign_hash => '-sha1']],
	['from-top', [@fields, ['To', ' another@example.net']], [@fields, ['To', ' another@example.net']], [from_top => 1]],
	['own-line-end', \@fields, \@fields, [own_end => 1]],
	['lf', \@fields, \@fields, [@simple, lf => 1]],
	['names', \@fields, \@fields, [@simple, h_names => 1, h => [qw(from to subject message-id)]]],
	['field-added', \@fields, [@fields, ['To', ' more@example.net']], []],
	['folded', \@unfolded, changed('Subject', " Hello,\r\n  world"), \@simple],
	['fold-tabs', changed('Subject', " Hello,\r\n world"), changed('Subject', " Hello,\r\n\tworld"), \@simple],
	['fold-blanks', changed('Subject', " Hello,\r\n\tworld"), changed('Subject', " Hello,\r\n world"), \@simple],
	['blanks', changed('Subject', ' Hello, world'), changed('Subject', " Hello,\t  world"), \@simple],
	['tail-blanks', changed('Subject', ' Hello'), changed('Subject', ' Hello  '), \@simple],
	['leading-blank', changed('Subject', 'Hello'), changed('Subject', ' Hello'), \@simple],
	['split-word', changed('Subject', ' Helloworld'), changed('Subject', " Hello\r\n world"), []],
	['capitals', \@fields, changed('To', ' You@example.net'), []],
) {
	my ($id, $before, $after, $how) = @$case;
	my $sig = sign($before, $body, @h, @$how);
	my $r = dkim(message($body, $sig, @$after));
	my $s = $r->{signatures}[0];
	is $s->{reason}, 'signature did not verify', "$id: the signature is wrong";
	like ids($r), qr/(?:^| )\Q$id\E(?: |$)/, '... and why is found' or diag explain $s->{explanations};
	ok $s->{body_good} && !$s->{header_good}, '... and the body is good';
	$r = dkim(message($body, sign($before, $body, @h, @$how, key => 'other'), @$after));
	is ids($r), '', '... and nothing with another key';
	ok $r->{signatures}[0]{header_search}{tries} >= 10, '... although it was searched';
}
{
	my $sig = sign(\@unfolded, $body, h => [qw(From To Subject Cc From Received)], @simple);
	my $r = dkim(message($body, $sig, ['To', ' z@example.net'], @fields));
	my $text = join "\n", map { $_->{text} } @{ $r->{signatures}[0]{remarks} };
	like $text, qr/h= names Cc, the message has no such field/, 'a field that is not there';
	like $text, qr/2 fields To are there, 1 of them signed/, 'a field more than h= names';
	unlike $text, qr/From/, 'From is named twice and there once: nothing to say';
	my $m = message($body, $sig, @fields);
	my ($code, $out) = check(\$m, 'dkim', @zone, '--now', $now, '-');
	like $out, qr/^    why: when it was signed, .*Subject.* was folded/m, 'an explanation as text' or diag $out;
	$r = dkim(message("$body----\r\nfooter\r\n", sign(\@fields, $body, @h), @{ changed('Subject', " [l] Hello,\r\n  world") }));
	is ids($r), 'lines-added-at-end subject-tag', 'what lists do: both are found';
}

# ---- limits of the settings, keys

{
	my $r = dkim(message($body, sign(\@fields, $body, @h, tags => 'x=1700000000; '), @fields));
	my $s = $r->{signatures}[0];
	is_deeply [@$s{qw(result reason result_without_limits)}], ['policy', 'signature expired', 'pass'], 'expired';
	like $s->{remarks}[0]{text}, qr/apart from that the signature is good/, '... but good';
	$r = dkim(message("$body----\r\n", sign(\@fields, $body, @h, tags => 'x=1700000000; '), @fields));
	$s = $r->{signatures}[0];
	is_deeply [@$s{qw(reason reason_without_limits)}], ['signature expired', 'body hash did not verify'], 'expired and changed';
	is ids($r), 'lines-added-at-end', '... and why';
	my $l = length relaxed_body($body);
	$r = dkim(message("$body----\r\n", sign(\@fields, $body, @h, l => $l), @fields));
	is $r->{signatures}[0]{result}, 'policy', 'l= leaves something unsigned';
	like $r->{signatures}[0]{remarks}[0]{text}, qr/l=$l is less/, '... said so';
	$r = dkim(message($body, sign(\@fields, $body, @h, l => 0), @fields));
	like $r->{signatures}[0]{remarks}[0]{text}, qr/l=0/, 'l=0';
	$r = dkim(message($body, sign(\@fields, $body, @h, a => 'rsa-sha1', hash => \&sha1, sign_hash => '-sha1'), @fields));
	is_deeply [@{ $r->{signatures}[0] }{qw(reason result_without_limits)}], ['rsa-sha1 is not accepted', 'pass'], 'SHA-1';
	$r = dkim(message($body, sign(\@fields, $body, @h, s => 'short', key => 'short'), @fields));
	is_deeply [@{ $r->{signatures}[0] }{qw(reason result_without_limits)}], ['key is too short', 'pass'], 'a short key';
	$r = dkim(message($body, sign(\@fields, $body, @h, s => 'ed', key => 'ed', a => 'ed25519-sha256'), @fields));
	is $r->{signatures}[0]{result}, 'pass', 'Ed25519';
	$r = dkim(message($body, sign(\@fields, $body, @h, s => 'quoted'), @fields));
	is $r->{signatures}[0]{reason}, 'syntax error in key', 'a broken key';
	like $r->{signatures}[0]{key}{records}[0]{remarks}[0]{text}, qr/quotes/, '... explained';
	$r = dkim(message($body, sign(\@fields, $body, @h, s => 'nothing'), @fields));
	is $r->{signatures}[0]{reason}, 'no key', 'no key';
	$r = dkim(message($body, sign(\@fields, $body, @h, s => 'slow'), @fields));
	is $r->{signatures}[0]{result}, 'temperror', 'no answer';
	my $good = sign(\@fields, $body, @h);
	my @many = ($good) x 12;
	$r = dkim(message($body, @many, @fields));
	is_deeply [map { $_->{result} } @{ $r->{signatures} }], [('pass') x 10, ('policy') x 2], 'more than the settings look at';
	@many = ($good) x 101;
	$r = dkim(message($body, @many, @fields));
	is scalar @{ $r->{signatures} }, 100, 'at most 100 are shown';
	is $r->{signature_count}, 101, '... of those that are there';
	for (['v=1; a=rsa-sha256', 'missing tag'], ['no tags', 'syntax error in signature'], ['v=2; a=x', 'unknown version'], ['', undef]) {
		$r = dkim(message($body, ['DKIM-Signature', " $_->[0]"], @fields));
		isnt $r->{signatures}[0]{result}, 'pass', "DKIM-Signature: $_->[0]";
		is $r->{signatures}[0]{reason}, $_->[1], '... why' if $_->[1];
		my ($code, $text) = check(\message($body, ['DKIM-Signature', " $_->[0]"], @fields), 'dkim', @zone, '-');
		is $code, 0, '... as text';
	}
}

# ---- message: the same through all engines and the policy

{
	my @args = ('message', @zone, '--now', $now, '--identifier', 'mx.example.jp', '--ip', '192.0.2.1', '--helo', 'x.example', '--json');
	my $m = message($body, sign(\@fields, $body, @h), @fields);
	my %text = (CRLF => $m, LF => $m =~ s/\r\n/\n/gr, mbox => "From a\n$m" =~ s/\r\n/\n/gr);
	for (sort keys %text) {
		my ($code, $text) = check(\$text{$_}, @args, '-');
		my $r = eval { decode_json($text) } || {};
		is $code, 0, "message: $_";
		like $r->{authentication_results}, qr/dkim=pass \(2048-bit key\)\s+header\.d=example\.org/, '... its signature is good';
		like $r->{log}, qr/ dkim=pass dkim_count=1 /, '... in the log, too';
	}
	my $large = "$body" x 20_000;
	my ($code, $text) = check(\message($large, sign(\@fields, $large, @h), @fields), @args, '-');
	like $text, qr/dkim=pass/, 'a body longer than one read';
	my @early = grep { $_->[0] ne 'Received' } @fields;
	($code, $text) = check(\(message('', sign(\@early, "no field\r\n", @h), @early) =~ s/\r\n\z/no field\r\n/r), @args, '-');
	like $text, qr/dkim=pass/, 'a body that begins without an empty line';
	($code, $text) = check(\message("x$body", sign(\@fields, $body, @h), @fields), @args, '-');
	like $text, qr/dkim=fail \(body hash did not verify/, 'a changed body';
	spew("$dir/off.conf", "dkim.auth: no\n");
	($code, $text) = check(\$m, @args, '--config', "$dir/off.conf", '-');
	unlike $text, qr/dkim=pass/, 'dkim.auth: no';
	spew("$dir/long.eml", $m);
	my $head = index($m, "\r\n\r\n") + 4;
	for ([0, 0], [1, 65]) {
		truncate "$dir/long.eml", $head + (256 << 20) + $_->[0] or die $!;
		($code, $text) = check(@args, "$dir/long.eml");
		is $code, $_->[1], "a body of 256 MiB and $_->[0]";
	}
	unlink "$dir/long.eml";
}

# ---- hostile files

{
	my $r = dkim('');
	is_deeply [@$r{qw(headers body_bytes signature_count)}], [0, 0, 0], 'an empty file';
	$r = dkim("From: a\@b.example\r\nDKIM-Signature: v=1");
	like $r->{remarks}[0]{text}, qr/no empty line ends the header: there is no body/, 'no end of the header';
	$r = dkim("From: a\@b.example\r\nthis is no field\r\nX: 1\r\n");
	like $r->{remarks}[0]{text}, qr/begins at the first line that is no field/, 'a line that is no field';
	is $r->{headers}, 1, '... ends the header';
	my $nul = "a\0b\r\n\0\r\n";
	$r = dkim(message($nul, sign(\@fields, $nul, @h), @fields, ['X', " \0\0"]));
	is $r->{signatures}[0]{result}, 'pass', 'NULs are bytes';
	like join("\n", map { $_->{text} } @{ $r->{remarks} }), qr/4 NUL bytes/, '... and said';
	$r = dkim("\0" x 5000);
	is $r->{headers}, 0, 'only NULs';
	$r = dkim(join '', map { chr } map { $_ * 7 % 256 } 0 .. 20_000);
	is $r->{signature_count}, 0, 'any bytes';
	$r = dkim("\n" x 100_000);
	is $r->{headers}, 0, 'only line ends';
	my $mixed = "a\r\nb\nc\r\n";
	$r = dkim(message($mixed, sign(\@fields, "a\r\nb\r\nc\r\n", @h), @fields));
	like join("\n", map { $_->{text} } @{ $r->{remarks} }), qr/mixes line ends: \d+ CRLF, 1 LF alone/, 'mixed line ends';
	is ids($r), 'lone-cr-lf', '... which explains it';
	my $evil = sign([['From', " a\@b.example\x1b[31m"], @fields], $body, h => ["From", "X-\x1b[31m"], tags => "z=\x1b;");
	my $m = message($body, $evil, @fields);
	for my $opt ([], ['--show-canon']) {
		my ($code, $text) = check(\$m, 'dkim', @zone, @$opt, '-');
		unlike $text, qr/[\x00-\x08\x0b-\x1f\x7f-\xff]/, 'nothing dangerous is printed';
	}
	# a body beyond the search
	my $big = ('0123456789abcdef' x 4 . "\r\n") x 140_000;
	$r = dkim(message("${big}x\r\n", sign(\@fields, $big, @h), @fields));
	is ids($r), '', 'a body of more than 8 MiB';
	like $r->{signatures}[0]{body_search}{incomplete}, qr/longer than 8 MiB/, '... is not searched, and that is said';
	$r = dkim(message("a\r\n" x 110_000 . "end\r\n" x 100_000, sign(\@fields, "a\r\n" x 110_000, @h), @fields));
	is ids($r), 'lines-added-at-end', '100,000 lines added';
	$r = dkim(message("a\r\n" x 110_000 . "end\r\n" x 100_001, sign(\@fields, "a\r\n" x 110_000, @h), @fields));
	is ids($r), '', 'one more is one too many';
	my $eight = ("0123456789abcd\r\n" x (512 << 10)) =~ s/.{16}\z//sr;
	my $foot = "footer  footer\r\n";
	for ([0, 'lines-added-at-end', qr/^$/], [1, '', qr/longer than 8 MiB/]) {
		my $received = $eight . 'x' x $_->[0] . $foot . "\r\n" x ((8 << 20) / 2 - (length($eight . $foot)) / 2);
		$received = substr $received, 0, (8 << 20) + $_->[0];
		$r = dkim(message($received, sign(\@fields, $eight, @h), @fields));
		is $r->{body_bytes}, (8 << 20) + $_->[0], "a body of 8 MiB and $_->[0]";
		is ids($r), $_->[1], '... what is found';
		like $r->{signatures}[0]{body_search}{incomplete} || '', $_->[2], '... and what is said';
	}
	for ([20, 'lines-added-at-top'], [21, '']) {
		$r = dkim(message("[EXTERNAL]\r\n" x $_->[0] . $body, sign(\@fields, $body, @h), @fields));
		is ids($r), $_->[1], "$_->[0] lines at the top";
	}
	for ([0, 'own-line-end'], [1, '']) {
		my $own = sign(\@fields, $body, @h, own_end => 1);
		my $bytes = 0;
		$bytes += length($_->[0] . $_->[1]) for $own, @fields;
		$r = dkim(message($body, $own, ['Pad', 'x' x ((256 << 10) - 3 - $bytes + $_->[0])], @fields));
		is ids($r), $_->[1], "a header of 256 KiB and $_->[0]";
	}
	for ([200, 1], [201, 0]) {
		$r = dkim(message($body, sign(\@fields, $body, h => ['From', 'Nowhere', ('Cc') x ($_->[0] - 2)]), @fields));
		is scalar(grep { $_->{text} =~ /names Nowhere/ } @{ $r->{signatures}[0]{remarks} }), $_->[1], "h= of $_->[0] names";
	}
	my $line = 'y' x 1022 . "\r\n";
	for ([1024, 0], [1025, 1]) {
		my $text = $line x $_->[0];
		$r = dkim(message($text, sign(\@fields, $text, @h), @fields), '--show-canon');
		is !!$r->{body_hashed_relaxed}{cut}, !!$_->[1], "$_->[0] KiB shown";
	}
	my @crowd = map { ["X-$_", ' 1'] } 1 .. 494;
	my $sig = sign(\@fields, $body, @h, own_end => 1);
	is ids(dkim(message($body, $sig, @crowd, @fields))), 'own-line-end', '500 fields are searched';
	$r = dkim(message($body, $sig, @crowd, ['Y', ' 1'], @fields));
	like $r->{signatures}[0]{header_search}{incomplete}, qr/500 fields/, 'one more not';
	$r = dkim(message($body, (sign(\@fields, $body, h => [('From') x 1000], own_end => 1)) x 30, @fields));
	is scalar @{ $r->{signatures} }, 30, '30 broken signatures of 1000 names each';
	is scalar(grep { @{ $_->{explanations} } } @{ $r->{signatures} }), 10, '... 10 of them are explained';
	$r = dkim(("X: 1\r\n" x 200_000) . message('', @fields));
	is $r->{headers}, 200_005, '200,000 fields';
	my ($code, $text) = check(\('X: ' . 'y' x (16 << 20) . "\n\n"), 'dkim', @zone, '-');
	is $code, 65, 'a header over 16 MiB';
	like $text, qr/16 MiB/, '... said so';
	($code, $text) = check(\('X:' . 'y' x ((16 << 20) - 2) . "\n\n"), 'dkim', @zone, '-');
	is $code, 0, 'a header of 16 MiB';
}
{
	# 100 MB without a line end, then the largest file and one byte more (holes: nothing is written)
	my $head = message('', sign(\@fields, 'x', @h), @fields);
	spew("$dir/huge.eml", $head);
	SKIP: {
		# enmacheck has no other thread
		skip 'files of 100 MB and more take minutes under the sanitizer of threads', 5 if ($ENV{SAN} || '') =~ /thread/;
		truncate "$dir/huge.eml", 100_000_000 or die $!;
		my $r = dkim_file("$dir/huge.eml");
		is $r->{signatures}[0]{reason}, 'body hash did not verify', '100 MB';
		is $r->{body_bytes}, 100_000_000 - length $head, '... all read';
		truncate "$dir/huge.eml", 256 << 20 or die $!;
		is dkim_file("$dir/huge.eml")->{body_bytes}, (256 << 20) - length $head, 'the largest file';
	}
	truncate "$dir/huge.eml", (256 << 20) + 1 or die $!;
	my ($code, $text) = check('dkim', @zone, "$dir/huge.eml");
	is $code, 65, 'one byte more';
	like $text, qr/longer than 256 MiB/, '... is refused';
	unlink "$dir/huge.eml";
}

sub dkim_file {
	my ($code, $text) = check('dkim', @zone, '--json', $_[0]);
	is $code, 0, 'evaluated';
	return eval { decode_json($text) } || {};
}

# ---- usage

for my $case (
	[64, qr/message file is missing/, 'dkim', @zone], [64, qr/more than one/, 'dkim', @zone, 'a', 'b'], [64, qr/for "spf" and "message"/, 'dkim', '--ip', '192.0.2.1', 'a'],
	[64, qr/a selector and a domain/, 'key', @zone], [64, qr/a selector and a domain/, 'key', @zone, 'a'], [64, qr/a selector and a domain/, 'key', 'a', 'b', 'c'],
	[64, qr/are for "dkim"/, 'key', '--show-canon', 'a', 'b'], [64, qr/are for "dkim"/, 'spf', '--canon-dir', 'x', '--ip', '192.0.2.1', '--helo', 'x'],
	[64, qr/no such name is possible/, 'key', @zone, 'a..b', 'example.org'], [64, qr/no such name is possible/, 'key', @zone, 'a' x 64, 'example.org'],
	[64, qr/no such name is possible/, 'key', @zone, 's', "exam\x1bple.org"], [64, qr/no such name is possible/, 'key', @zone, '', ''],
	[66, qr/No such file/, 'dkim', @zone, "$dir/nothing"], [66, qr/directory/, 'dkim', @zone, $dir],
) {
	my ($want, $like, @args) = @$case;
	my ($code, $text) = check(@args);
	is $code, $want, join(' ', map { substr($_, 0, 20) =~ s/[^ -~]/?/gr } @args) . ": $want";
	like $text, $like, '... and says why';
}

# ---- the real resolver

SKIP: {
	skip Enma::DNS::missing(), 4 if Enma::DNS::missing();
	my $dns = Enma::DNS->new(file => "$dir/zone");
	my ($code, $text) = check('key', '--resolver', $dns->address, 's', 'example.org');
	is $code, 0, 'a key over the net';
	($code, $text) = check('key', '--resolver', $dns->address, 'dead', 'example.org');
	is $code, 75, '... and one that is not to be had';
	($code, $text) = check('key', '--resolver', $dns->address, 'alias', 'example.org');
	is $code, 0, '... and an alias';
	like $text, qr/^note: the name is an alias/m, '... which is said';
	$dns->stop;
}

done_testing;
