# enmacheck as people and scripts use it: zone files, JSON, messages, settings, wrong usage, hostile arguments.
use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Cwd qw(abs_path getcwd);
use JSON::PP qw(decode_json);

use Enma::DNS;
use Enma::Proc qw(run_command work_dir spew slurp);

my $build = abs_path($ENV{ENMA_BUILD} || 'build');
my $tool = "$build/enmacheck";
my $dir = work_dir();
my $here = getcwd();

spew("$dir/zone", <<'ZONE');
example.org TXT "v=spf1 include:_spf.example.org mx -all exp=why.example.org"
_spf.example.org TXT "v=spf1 ip4:192.0.2.0/24 a:m.example ?all"
m.example A 198.51.100.7
example.org MX 10 mx.example.org
mx.example.org A 198.51.100.8
why.example.org TXT "%{c} is no server of %{d}"
helo.example TXT "v=spf1 a -all"
helo.example A 203.0.113.5
broken.example TXT "v=spf1 ip4:192.0.2.300 -all"
dead.example SERVFAIL
slow.example TIMEOUT
xn--bcher-kva.example TXT "v=spf1 ip4:192.0.2.1 -all"
inject.example TXT "v=spf1 -all exp=e.inject.example"
e.inject.example TXT "x\"; dkim=pass header.d=bank.example (%{l})"
ZONE

# Exit code and output of both streams.
sub check {
	my ($stdin, @args) = ref $_[0] ? (${ +shift }, @_) : (undef, @_);
	my ($status, $text) = run_command(seconds => 60, cmd => [$tool, @args], defined $stdin ? (stdin => $stdin) : ());
	return ($status & 127 ? "signal " . ($status & 127) : $status >> 8, $text);
}

sub json {
	my ($code, $text) = check(@_, '--json');
	my $data = eval { decode_json($text) };
	is $code, 0, "exit code of @{[grep { !ref } @_]}";
	ok $data, 'the output is JSON' or diag $text;
	return $data || {};
}

my @zone = ('--zone', "$dir/zone", '--identifier', 'mx.example.jp');
my @client = ('--ip', '192.0.2.1', '--helo', 'helo.example');

# ---- spf

{
	my ($code, $text) = check('spf', '--ip', '203.0.113.5', '--helo', 'helo.example', '--from', '<user@example.org>', @zone);
	is $code, 0, 'evaluated';
	like $text, qr/^spf=fail smtp\.mailfrom=user\@example\.org$/m, 'result of MAIL FROM';
	like $text, qr/^    matched -all \(example\.org\)$/m, 'why';
	like $text, qr/^    3 of 10 lookups, 0 of 2 void, ttl 300 s/m, 'counters';
	like $text, qr/^    the domain explains: 203\.0\.113\.5 is no server of example\.org$/m, 'explanation';
	like $text, qr/^spf=pass smtp\.helo=helo\.example$/m, 'result of HELO';
	like $text, qr/^Authentication-Results: mx\.example\.jp;\n\tspf=fail /m, 'the field';
	unlike $text, qr/question/, 'no trace unless asked for';
}

{
	my ($code, $text) = check('spf', '--ip', '198.51.100.8', '--from', 'user@example.org', '--explain', @zone);
	is $code, 0, 'evaluated';
	like $text, qr/^spf=pass smtp\.mailfrom=user\@example\.org\n    matched mx /m, 'pass';
	unlike $text, qr/smtp\.helo/, 'no HELO, no result of it';
	my @want = (
		qr/^    domain +example\.org$/, qr/^    question +TXT example\.org  ->  ok: \d+ bytes; ttl 300, \d+\.\d{3} ms/,
		qr/^    record +v=spf1 include:_spf\.example\.org mx -all exp=why\.example\.org$/,
		qr/^    include +include:_spf\.example\.org/, qr/^        question +TXT _spf\.example\.org  ->  ok/,
		qr/^        term +ip4:192\.0\.2\.0\/24: no match$/, qr/^        question +A m\.example  ->  ok: 198\.51\.100\.7; ttl 300/,
		qr/^        term +a:m\.example: no match$/, qr/^        term +\?all: match$/, qr/^        result +neutral/,
		qr/^    term +include:_spf\.example\.org: no match$/, qr/^    question +MX example\.org  ->  ok: 10 mx\.example\.org;/,
		qr/^    question +A mx\.example\.org  ->  ok: 198\.51\.100\.8;/, qr/^    term +mx: match$/, qr/^    result +pass/,
		qr/^\d+ questions in \d+ rounds, .* total \d+\.\d{3} ms$/,
	);
	my @lines = split /\n/, $text;
	for my $want (@want) {
		shift @lines while @lines && $lines[0] !~ $want;
		ok @lines, "trace, in order: $want";
	}
}

{
	my $r = json('spf', @client, '--from', '<user@example.org>', '--explain', @zone);
	is $r->{mailfrom}{result}, 'pass', 'JSON: result';
	is $r->{mailfrom}{mechanism}, 'include:_spf.example.org', 'JSON: mechanism';
	is $r->{mailfrom}{identity}, 'user@example.org', 'JSON: identity';
	is $r->{mailfrom}{explanation}, undef, 'JSON: no explanation';
	is $r->{helo}{result}, 'fail', 'JSON: HELO';
	like $r->{authentication_results}, qr/^mx\.example\.jp;\s+spf=pass/, 'JSON: field';
	is $r->{dns}{questions}, 5, 'JSON: questions, the MX ahead of its turn';
	is $r->{dns}{rounds}, 2, 'JSON: those of both identities together';
	is $r->{trace}{mailfrom}[0]{kind}, 'domain', 'JSON: trace';
	ok scalar(grep { $_->{kind} eq 'question' && $_->{depth} == 1 } @{ $r->{trace}{mailfrom} }), 'JSON: depth';
	ok !exists $r->{action}, 'JSON: no action without a message';
}

for my $case (
	['<user@broken.example>', 'permerror'], ['<user@dead.example>', 'temperror'], ['<user@slow.example>', 'temperror'],
	['<user@nothing.example>', 'none'], ['root', 'none'], ['<(any@example.org>', 'none'], ["<user\@b\xc3\xbccher.example>", 'pass'],
	['<>', 'fail'], ['', 'fail'],
) {
	my ($from, $want) = @$case;
	my $r = json('spf', @client, '--from', $from, @zone);
	is $r->{mailfrom}{result}, $want, "\"$from\": $want";
}
is json('spf', @client, '--from', '<>', @zone)->{mailfrom}{identity}, 'postmaster@helo.example', 'the null sender';
is json('spf', @client, @zone)->{mailfrom}{identity}, 'postmaster@helo.example', 'no --from is the null sender';
like json('spf', @client, '--from', 'a@broken.example', @zone)->{mailfrom}{detail}, qr/^'ip4:192\.0\.2\.300': /, 'the wrong term is named';
is json('spf', @client, '--from', 'a@dead.example', @zone)->{mailfrom}{dns_error}, 'servfail', 'the DNS error is named';
is json('spf', '--ip', '::ffff:192.0.2.1', '--from', 'a@example.org', @zone)->{mailfrom}{result}, 'pass', 'a mapped address is IPv4';
is json('spf', '--ip', '2001:db8::1', '--from', 'a@example.org', @zone)->{mailfrom}{result}, 'fail', 'an IPv6 client';

{
	# A relative path means the folder where one stands.
	chdir $dir or die;
	is json('spf', @client, '--from', 'a@example.org', '--zone', 'zone')->{mailfrom}{result}, 'pass', 'relative --zone';
	chdir $here or die;
}

{
	spew("$dir/time.zone", qq{t.example TXT "v=spf1 -all exp=e.t.example"\ne.t.example TXT "%{t}"\n});
	my $r = json('spf', @client, '--from', 'a@t.example', '--zone', "$dir/time.zone", '--now', '1234567890');
	is $r->{mailfrom}{explanation}, '1234567890', '--now';
}

# ---- hostile arguments and answers

{
	my $r = json('spf', @client, '--from', "<\"a;b)(\"\@inject.example>", @zone);
	my $field = $r->{authentication_results};
	is $r->{mailfrom}{result}, 'fail', 'a hostile explanation';
	unlike $field =~ s/"(?:[^"\\]|\\.)*"//gr =~ s/\([^()]*\)//gr, qr/dkim/, 'nothing leaves its quotes';
}
for my $bytes ("\x1b[2J", "a\r\nX-Evil: 1", "\xff\xfe", '%s%n', "\x7f", '"' x 50, '(' x 500, 'a' x 100_000, '[192.0.2.1]', '..', 'a b') {
	my $name = substr($bytes, 0, 10) =~ s/[^ -~]/?/gr;
	for my $args (['--helo', $bytes, '--from', '<user@example.org>'], ['--helo', 'helo.example', '--from', $bytes],
		['--helo', 'h', '--from', "<$bytes\@example.org>"]) {
		my ($code, $text) = check('spf', '--ip', '192.0.2.1', @$args, '--explain', @zone);
		is $code, 0, "$args->[0] ... \"$name\": evaluated";
		unlike $text, qr/[\x00-\x08\x0b-\x1f\x7f]/, '... harmless on a terminal';
		unlike $text, qr/^X-Evil/m, '... no line of its own';
		json('spf', '--ip', '192.0.2.1', @$args, @zone);
	}
}

# ---- message

my $message = <<"EML" =~ s/\n/\r\n/gr;
Received: from x
Authentication-Results: mx.example.jp; spf=pass
 smtp.mailfrom=bank.example
Subject: hello
authentication-results : "MX.Example.JP" 1; dkim=pass
Authentication-Results: list.example.com; spf=pass
AUTHENTICATION-RESULTS: (c) mx.example.jp (c); arc=pass
X-Verdict: good

Authentication-Results: mx.example.jp; body=pass
EML
spew("$dir/message.eml", $message);

for my $form (['LF', $message =~ s/\r//gr], ['CRLF', $message], ['mbox', "From a\@b Mon Jan  1 00:00:00 2024\n" . $message =~ s/\r//gr]) {
	my $r = json(\$form->[1], 'message', @client, '--from', '<user@example.org>', @zone, '-');
	is_deeply [map { "$_->{name}|$_->{index}" } @{ $r->{remove} }],
		['Authentication-Results|1', 'authentication-results |2', 'AUTHENTICATION-RESULTS|4'], "$form->[0]: fields that go";
	is $r->{headers}, 7, "$form->[0]: fields seen";
	is $r->{remove}[0]{value}, " mx.example.jp; spf=pass\n smtp.mailfrom=bank.example", "$form->[0]: folded value";
	is $r->{insert}[0]{name}, 'Authentication-Results', "$form->[0]: field that comes";
	like $r->{insert}[0]{value}, qr/^ mx\.example\.jp;\s+spf=pass/, "$form->[0]: its value";
	is $r->{action}{kind}, 'accept', "$form->[0]: action";
	like $r->{log}, qr/ip=192\.0\.2\.1 .*spf=pass .*ar_removed=3 action=accept/, "$form->[0]: log line";
}

{
	my ($code, $text) = check('message', @client, '--from', '<user@example.org>', '--rcpt', 'a@x.example', @zone, "$dir/message.eml");
	is $code, 0, 'a message file';
	like $text, qr/^remove: field 2, Authentication-Results number 1: mx\.example\.jp; spf=pass\\x0a smtp\.mailfrom=bank\.example$/m, 'what goes';
	unlike $text, qr/^remove:.*(?:list\.example\.com|body)/m, 'what stays';
	like $text, qr/^insert: Authentication-Results: mx\.example\.jp;$/m, 'what comes';
	like $text, qr/^action: accept$/m, 'action';
	like $text, qr/^log: .*spf=pass/m, 'log';
}

for my $case (['', 0], ["\n", 0], ['no header at all', 0], ["X: 1", 1], ["X: 1\nnonsense\nY: 2\n\n", 1], [" first: line\nX: 1\n\n", 0],
	["X: 1\r\n\r\nY: 2", 1], [":\nX: 1\n\n", 0], ["X\0Y: 1\n\n", 0], ["X: a\0b\n\n", 1], ["X: 1\n" x 5000 . "\n", 5000]) {
	my $r = json(\$case->[0], 'message', @client, '--from', '<user@example.org>', @zone, '-');
	is $r->{headers}, $case->[1], 'fields of "' . (substr($case->[0], 0, 20) =~ s/[^ -~]/?/gr) . '"';
}

{
	# More forged fields than the memory of one message holds: none may get through.
	my $r = json(\("Authentication-Results: mx.example.jp; spf=pass\n" x 100_000 . "\n"), 'message', @client, '--from', '<user@example.org>', @zone,
		'--config', '/dev/null', '-');
	is $r->{action}{kind}, 'reject', '100,000 forged fields: over the limit';
	spew("$dir/lax.conf", "message.max_headers: 100000\nmessage.on_limit: accept\ndkim.auth: no\n");
	$r = json(\("Authentication-Results: mx.example.jp; spf=pass\n" x 100_000 . "\n"), 'message', @client, '--from', '<user@example.org>', @zone,
		'--config', "$dir/lax.conf", '-');
	is $r->{action}{kind}, 'tempfail', 'without a limit: not accepted either';
	is_deeply $r->{insert}, [], '... nor marked as checked';
}

# ---- settings

spew("$dir/enma.conf", <<"CONF");
authresult.identifier: conf.example.jp
authresult.spf_hardfail: yes
authresult.remove_fields: X-Verdict
authresult.remove_identifiers: list.example.com
spf.received_header: yes
spf.check_helo: no
common.exclusion_addresses: 10.0.0.0/8
message.max_headers: 10
resolver.zone: $dir/zone
log.style: json
CONF
{
	my @conf = ('--config', "$dir/enma.conf", '--zone', "$dir/zone");
	my $r = json('message', '--ip', '203.0.113.5', '--helo', 'helo.example', '--from', '<user@example.org>', @conf, "$dir/message.eml");
	like $r->{authentication_results}, qr/^conf\.example\.jp;\s+spf=hardfail /, 'identifier and hardfail of the file';
	is $r->{helo}, undef, 'spf.check_helo: no';
	is_deeply [map { $_->{name} } @{ $r->{insert} }], ['Received-SPF', 'Authentication-Results'], 'spf.received_header: yes';
	like $r->{insert}[0]{value}, qr/^ fail \(/, 'Received-SPF keeps the word of the RFC';
	is_deeply [map { "$_->{name}|$_->{index}" } @{ $r->{remove} }], ['Authentication-Results|3', 'X-Verdict|1'], 'the lists of the file';
	ok eval { decode_json($r->{log}) }, 'log.style: json';

	$r = json('message', '--ip', '10.1.2.3', '--helo', 'x.example', '--from', '<user@example.org>', @conf, "$dir/message.eml");
	is $r->{skipped}, 'excluded', 'an excluded client';
	is $r->{authentication_results}, undef, '... gets no field';
	is scalar @{ $r->{remove} }, 2, '... but loses forged ones';

	$r = json(\("X: 1\n" x 10 . "Authentication-Results: conf.example.jp; none\n\n"), 'message', @client, '--from', '<user@example.org>', @conf, '-');
	is $r->{action}{kind}, 'reject', 'one field over message.max_headers';
	is $r->{action}{code}, '554', '... reply code';
	ok $r->{over_limit}, '... said so';
	is_deeply [$r->{remove}, $r->{insert}], [[], []], '... and no edits, since it does not go on';
	$r = json(\("X: 1\n" x 10 . "\n"), 'message', @client, '--from', '<user@example.org>', @conf, '-');
	is $r->{action}{kind}, 'accept', 'at the limit';
}

# ---- the real resolver: nobody listens there

{
	my $port = Enma::Proc::free_port();
	spew("$dir/short.conf", "resolver.deadline: 2s\n");
	my $r = json('spf', @client, '--from', '<user@example.org>', '--resolver', "127.0.0.1\@$port", '--config', "$dir/short.conf",
		'--identifier', 'mx.example.jp');
	is $r->{mailfrom}{result}, 'temperror', 'no resolver: temperror';
	$r = json('spf', @client, '--from', '<user@example.org>', '--resolver', "127.0.0.1\@$port", '--config', "$dir/short.conf", @zone);
	is $r->{mailfrom}{result}, 'pass', 'a zone in front of it answers';
}

SKIP: {
	skip Enma::DNS::missing(), 8 if Enma::DNS::missing();
	my $dns = Enma::DNS->new(file => "$dir/zone");
	my @asked = ('--resolver', $dns->address, '--identifier', 'mx.example.jp');
	my $r = json('spf', @client, '--from', '<user@example.org>', @asked);
	is $r->{mailfrom}{result}, 'pass', 'a resolver that answers';
	is $r->{helo}{result}, 'fail', '... for HELO, too';
	is $r->{dns}{from_cache}, 0, '... over the net';
	$r = json('spf', '--ip', '192.0.2.1', '--from', '<user@dead.example>', @asked);
	is $r->{mailfrom}{result}, 'temperror', 'its failure is temperror';
	$dns->stop;
}

# ---- usage and files

for my $case (
	[64, qr/first argument/], [64, qr/first argument/, '--ip', '192.0.2.1'], [64, qr/command/, 'sfp'], [64, qr/--ip is missing/, 'spf'],
	[64, qr/--from or --helo/, 'spf', '--ip', '192.0.2.1'], [64, qr/not an IPv4/, 'spf', '--ip', 'x', '--from', 'a@b.example'],
	[64, qr/not an IPv4/, 'spf', '--ip', '192.0.2.1/24', '--from', 'a@b.example'],
	[64, qr/requires an argument/, 'spf', '--ip'], [64, qr/unrecognized/, 'spf', '--bogus'], [64, qr/takes no file/, 'spf', @client, 'x'],
	[64, qr/message file is missing/, 'message', @client], [64, qr/more than one/, 'message', @client, 'a', 'b'],
	[64, qr/--now/, 'spf', @client, '--now', '-1'], [64, qr/--now/, 'spf', @client, '--now', '99999999999999999999'],
	[64, qr/resolver\.forward/, 'spf', @client, '--resolver', 'nonsense'], [64, qr/identifier/, 'spf', @client, '--identifier', 'a;b', '--zone', "$dir/zone"],
	[66, qr/No such file/, 'message', @client, @zone, "$dir/nothing"], [66, qr/directory/, 'message', @client, @zone, $dir],
	[66, qr/nothing/, 'spf', @client, '--zone', "$dir/nothing"], [66, qr/nothing/, 'spf', @client, '--config', "$dir/nothing"],
) {
	my ($want, $like, @args) = @$case;
	my ($code, $text) = check(@args);
	is $code, $want, "@args: $want";
	like $text, $like, '... and says why';
	unlike $text, qr/^spf=/m, '... and evaluates nothing';
}
{
	spew("$dir/bad.zone", "example.org TXT\n");
	my ($code, $text) = check('spf', @client, '--zone', "$dir/bad.zone");
	is $code, 65, 'a zone with errors';
	like $text, qr/bad\.zone: line 1:/, '... by line';
	spew("$dir/bad.conf", "no.such.key: 1\n");
	($code, $text) = check('spf', @client, '--config', "$dir/bad.conf");
	is $code, 78, 'settings with errors';
	like $text, qr/bad\.conf:1: /, '... by file and line';
}
for my $opt (['-h', qr/^usage: enmacheck/], ['--help', qr/^usage: enmacheck/], ['-V', qr/^enmacheck \d+\.\d+/], ['--version', qr/^enmacheck \d+\.\d+/]) {
	my ($code, $text) = check($opt->[0]);
	is $code, 0, $opt->[0];
	like $text, $opt->[1], '... its text';
}
my ($full) = check(\'', 'spf', '-h');
is $full, 0, 'help behind a command';

SKIP: {
	skip 'no /dev/full', 2 unless -c '/dev/full';
	my ($status, $text) = run_command(seconds => 60, cmd => ['sh', '-c', 'exec "$@" >/dev/full', 'sh', $tool, 'spf', @client, @zone]);
	is $status >> 8, 74, 'the result cannot be written';
	like $text, qr/cannot write/, '... and it says so';
}

done_testing;
