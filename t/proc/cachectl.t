#!/usr/bin/perl
# enmactl cache against an enma that is none: what it asks, what it makes of answers - good ones, huge ones, broken ones - and what it refuses
# to ask.  cacheflush.t has the real one.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Socket::UNIX;
use JSON::PP ();
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::Proc qw(work_dir wait_until run_command spawn stop slurp spew is_alive);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();

my $dir = work_dir();
my $ctl = Enma::Daemon::build() . '/enmactl';
my $sock = "$dir/control";
my $huge = 200_000;		# lines; the dump of a large cache

# ---- the other side -------------------------------------------------------------------------------------------

my @class = qw(a aaaa mx ptr txt other spf result);
my @event = qw(hits stale misses expired offered dropped inserted deleted evicted);
my ($stats, $number) = ('', 0);
$stats .= "gauge cache.$_\n" for 'entries 1234567', 'map_bytes 268435456', 'used_bytes 134217728', 'file_bytes 150000000', 'readers 64',
	'readers_max 640', 'generation 3';
for my $c (@class) {
	$stats .= join(' ', "class $c", map { "$_=" . ($c eq 'txt' ? { hits => 930, stale => 30, misses => 50, expired => 20 }->{$_} // 7 : $number++) } @event) . "\n";
}
$stats .= "counter cache.gc.runs 5\ncounter cache.purges 0\ncounter cache.flushes 2\n";
$stats .= "ratio 1m 93 100\nratio 5m 1 3\nratio 15m 0 0\nratio start 12345 20000\n";
my $histogram = join '', map { "age $_\nleft $_\n" } '1 10', '5 0', '30 1000', '60 1', '300 0', '900 0', '3600 0', '10800 0', '43200 0', '86400 0',
	'604800 0', 'more 0';
$histogram .= "left expired 4\nkind D 1000 200000\nkind R 11 1100\nclass txt 900 180000\nclass spf 11 1100\n";

my @entry = (
	join("\t", 'D', 'example.org', 'TXT', 'ok', 'secure', 75, 225, 120, '"v=spf1 a, b \\"c\\" -all", "two"'),
	join("\t", 'D', 'gone.example.org', 'A', 'nxdomain', 'insecure', 10, -5, 60, ''),
	join("\t", 'R', 'example.org', 'spf', 'pass', '-', 1, 3599, 99, 'client=192.0.2.1 reason="a match, with blanks" lookups=3 digest=0000000000000012 at="7"'),
	join("\t", 'D', 'example.net', 'MX', 'servfail', 'insecure', 1, 29, 55, 'why="connection refused"'),
);
my %answer = (
	'cache stats' => $stats, 'cache histogram' => $histogram,
	'cache dump' => join('', map { "$_\n" } @entry) . "..\tdotted\n",
	'cache dump kind=R zone=example.org type=spf expired=1' => '',
	'cache get example.org TXT' => "$entry[0]\n",
	'cache get gone.example TXT' => '',
	'cache get a\\.b.example spf' => "$entry[2]\n",
	'cache flush example.org' => "deleted 4\n", 'cache flush example.org MX' => "deleted 1\n",
	'cache flush-zone example.org' => "deleted 12\n", 'cache flush-negative' => "deleted 0\n", 'cache purge' => "deleted 99\n",
);

sub answer_one {
	my ($client) = @_;
	my $line = <$client> // return;
	chomp $line;
	open my $log, '>>', "$dir/requests";
	print {$log} "$line\n";
	close $log;
	my $mode = slurp("$dir/mode");
	$line =~ s/^ENMA1 //;
	if ($mode eq 'huge') {
		print {$client} "ok\n" or return;
		print {$client} join("\t", 'D', "n$_.example.org", 'TXT', 'ok', 'insecure', 1, 100, 200, '"' . 'x' x 100 . '"'), "\n" or return for 1 .. $huge;
		print {$client} ".\n";
	} elsif ($mode eq 'busy-histogram' && $line eq 'cache histogram') {
		print {$client} "err busy the cache process is being replaced\n.\n";
	} elsif ($mode =~ /^raw (.*)/s) {
		print {$client} $1;
	} elsif (exists $answer{$line}) {
		print {$client} "ok\n$answer{$line}.\n";
	} else {
		print {$client} "err unknown there is no \"$line\"\n.\n";
	}
	return;
}

spew("$dir/mode", '');
spew("$dir/requests", '');
my $listen = IO::Socket::UNIX->new(Local => $sock, Listen => 8) or die "$sock: $!";
my $server = spawn(keep => [$listen], log => "$dir/server", code => sub {
	$SIG{PIPE} = 'IGNORE';
	while (my $client = $listen->accept) {
		answer_one($client);
		close $client;
	}
});
close $listen;

sub mode { spew("$dir/mode", $_[0]); return }

sub ctl {
	my (@arg) = @_;
	spew("$dir/requests", '');
	my ($status, $text) = run_command(cmd => [$ctl, '-s', $sock, @arg], seconds => 120);
	return ($status & 127 ? -1 : $status >> 8, $text, slurp("$dir/requests"));
}

# ---- what is asked --------------------------------------------------------------------------------------------

subtest 'requests' => sub {
	my $long = join '.', ('a' x 63) x 3, 'b' x 61;		# 253 characters: as long as a name can be
	my @cases = (
		[ 'cache get example.org TXT', 'get', 'example.org', 'txt' ],
		[ 'cache get example.org TXT', 'get', 'Example.ORG.', 'TXT' ],
		[ 'cache get a\\.b.example spf', 'get', 'a\\.B.example', 'SPF' ],
		[ 'cache get gone.example TXT', 'get', 'gone.example', 'TXT' ],
		[ 'cache flush example.org', 'flush', 'example.org' ],
		[ 'cache flush example.org MX', 'flush', 'example.org', 'mx' ],
		[ 'cache flush xn--bcher-kva.example', 'flush', "b\xc3\xbccher.example" ],
		[ 'cache flush a\\032b.example', 'flush', 'a\\032b.example' ],
		[ 'cache flush a\\032b.example', 'flush', 'a b.example' ],
		[ 'cache flush a\\255\\092.example', 'flush', 'a\\255\\\\.example' ],
		[ 'cache flush *.example', 'flush', '*.example' ],
		[ "cache flush $long", 'flush', $long ],
		[ 'cache flush-zone example.org', 'flush-zone', 'example.org' ],
		[ 'cache flush-negative', 'flush-negative' ],
		[ 'cache purge', 'purge' ],
		[ 'cache dump', 'dump' ],
		[ 'cache dump kind=R zone=example.org type=spf expired=1', 'dump', '--expired', '--type', 'SPF', '--zone', 'example.org', '--kind', 'R' ],
	);
	for my $case (@cases) {
		my ($want, @arg) = @$case;
		my ($code, $text, $requests) = ctl('cache', @arg);
		is($requests, "ENMA1 $want\n", "@arg");
	}
	my ($code, $text, $requests) = ctl('cache', 'stats');
	is($requests, "ENMA1 cache stats\nENMA1 cache histogram\n", 'stats: two of them');
};

subtest 'wrong usage' => sub {
	my $long = join '.', ('a' x 63) x 3, 'b' x 62;
	for my $case ([ [], qr/which command of cache/ ], [ ['eat'], qr/no such command of cache/ ], [ ['stats', 'x'], qr/takes no arguments/ ],
		[ ['get', 'a.example'], qr/takes a name and a type/ ], [ ['get', 'a.example', 'TXT', 'x'], qr/takes a name and a type/ ],
		[ ['get', 'a.example', 'TXTT'], qr/"TXTT" is not a type.*types are A, AAAA.*spf/s ], [ ['flush'], qr/takes a name/ ],
		[ ['flush', 'a..example'], qr/has an empty label/ ], [ ['flush', '.a'], qr/has an empty label/ ], [ ['flush', ''], qr/is empty/ ],
		[ ['flush', '.'], qr/is the root; cache purge/ ], [ ['flush', 'a' x 64 . '.example'], qr/label of more than 63 bytes/ ],
		[ ['flush', $long], qr/longer than a name/ ], [ ['flush', 'a\\25'], qr/broken escape/ ], [ ['flush', 'a\\256'], qr/broken escape/ ],
		[ ['flush', 'a\\000'], qr/broken escape/ ], [ ['flush', 'a\\'], qr/broken escape/ ], [ ['flush', 'a.example', 'spf'], qr/not a type/ ],
		[ ['flush-zone'], qr/takes a name/ ], [ ['flush-zone', 'a', 'b'], qr/takes a name/ ], [ ['flush-negative', 'a'], qr/no arguments/ ],
		[ ['purge', 'all'], qr/no arguments/ ], [ ['dump', 'a'], qr/takes --kind/ ], [ ['dump', '--kind', 'X'], qr/--kind is D/ ],
		[ ['dump', '--type', '16'], qr/not a type/ ], [ ['dump', '--zone', 'a..b'], qr/empty label/ ], [ ['purge', '--expired'], qr/belong to cache dump/ ],
		[ ['stats', '--kind', 'D'], qr/belong to cache dump/ ]) {
		my ($arg, $want) = @$case;
		my ($code, $text, $requests) = ctl('cache', @$arg);
		is($code, 64, "@$arg: exit code 64");
		like($text, $want, 'the reason');
		is($requests, '', 'nothing is asked');
	}
	my ($code, $text) = ctl('status', '--zone', 'a');
	is($code, 64, 'an option of dump elsewhere');
	($code, $text) = run_command(cmd => [$ctl, '-s', "$dir/nothing", 'cache', 'dump']);
	is($code >> 8, 2, 'enma is not there: exit code 2');
};

# ---- what is made of answers ----------------------------------------------------------------------------------

subtest 'entries' => sub {
	my ($code, $text) = ctl('cache', 'dump');
	is($code, 0, 'dump');
	my @line = split /\n/, $text;
	like($line[0], qr/^KIND NAME +TYPE +STATUS +DNSSEC +AGE +LEFT +BYTES +DATA$/, 'a head');
	like($line[1], qr/^D +example\.org +TXT +ok +secure +1m15s +3m45s +120  "v=spf1 a, b \\"c\\" -all", "two"$/, 'an answer');
	like($line[2], qr/^D +gone\.example\.org +A +nxdomain +insecure +10s +-5s +60/, 'one that has ended');
	like($line[3], qr/^R +example\.org +spf +pass +- +1s +59m59s +99  client=192\.0\.2\.1 reason="a match, with blanks"/, 'a result');
	like($line[5], qr/^\. /, 'the doubled dot is single again');
	is(index($line[1], 'TXT'), index($line[0], 'TYPE'), 'columns are aligned');

	($code, $text) = ctl('--json', 'cache', 'dump');
	is($code, 0, 'dump --json');
	my @json = map { JSON::PP::decode_json($_) } split /\n/, $text;
	is_deeply($json[0], { kind => 'D', name => 'example.org', type => 'TXT', status => 'ok', dnssec => 'secure', age_s => 75, left_s => 225,
		bytes => 120, records => ['"v=spf1 a, b \\"c\\" -all"', '"two"'] }, 'an answer, its records apart');
	is_deeply([ @{ $json[1] }{qw(left_s records)} ], [ -5, [] ], 'one that has ended');
	is_deeply($json[2]{details}, { client => '192.0.2.1', reason => 'a match, with blanks', lookups => 3, digest => '0000000000000012',
		at => '7' }, 'a result');

	like($text, qr/"digest":"0000000000000012","at":"7"/, 'text that looks like a number stays text');
	is_deeply($json[3]{details}, { why => 'connection refused' }, 'a failure');

	($code, $text) = ctl('cache', 'get', 'example.org', 'TXT');
	is($code, 0, 'get');
	($code, $text) = ctl('cache', 'get', 'gone.example', 'TXT');
	is($code, 1, 'get of what is not there: exit code 1');
	like($text, qr/no such entry/, 'said so');
	($code, $text) = ctl('cache', 'dump', '--kind', 'R', '--zone', 'example.org', '--type', 'spf', '--expired');
	is("$code$text", '0', 'a dump of nothing is empty and good');
};

subtest 'flushes' => sub {
	for my $case ([ 4, 'flush', 'example.org' ], [ 12, 'flush-zone', 'example.org' ], [ 0, 'flush-negative' ], [ 99, 'purge' ]) {
		my ($n, @arg) = @$case;
		my ($code, $text) = ctl('cache', @arg);
		is("$code $text", "0 deleted $n\n", "@arg");
		($code, $text) = ctl('--json', 'cache', @arg);
		is_deeply(JSON::PP::decode_json($text), { ok => JSON::PP::true(), lines => ["deleted $n"] }, '--json');
	}
	my ($code, $text) = ctl('cache', 'flush', 'other.example');
	is($code, 1, 'a refusal: exit code 1');
	like($text, qr/^enmactl: there is no "cache flush other\.example"$/m, 'with its text');
};

subtest 'stats' => sub {
	my ($code, $text) = ctl('cache', 'stats');
	is($code, 0, 'text');
	like($text, qr/^entries +1234567 \(DNS answers: 1000 in 195\.3 KiB; results: 11 in 1\.1 KiB\)$/m, 'entries');
	like($text, qr/^map +128\.0 MiB of 256\.0 MiB used \(50\.0%\)$/m, 'the map');
	like($text, qr/^file +number 3, 143\.1 MiB on disk$/m, 'the file');
	like($text, qr/^readers +64 slots of 640/m, 'readers');
	like($text, qr/^hit ratio +1m 93\.0%  5m 33\.3%  15m -  start 61\.7%$/m, 'hit ratios');
	like($text, qr/^gc\.runs +5$/m, 'counters');
	unlike($text, qr/^purges/m, 'zeroes are left out');
	like($text, qr/^CLASS +hits +stale +misses +expired +offered +dropped +inserted +deleted +evicted +ratio +entries +bytes$/m, 'the table');
	like($text, qr/^txt +930 +30 +50 +20 +7 +7 +7 +7 +7 +93\.0% +900 +175\.8 KiB$/m, 'a class');
	like($text, qr/^mx +18 +19 +20 +21 .* 30\.5% +0 +0 B$/m, 'another');
	like($text, qr/^age of entries\n  up to 1s +10  #\n  up to 5s +0  \n  up to 30s +1000  #{40}\n  up to 1m +1  #\n/m, 'ages as bars');
	like($text, qr/^time left\n.*^  expired +4  #$/ms, 'time left');

	($code, $text) = ctl('cache', 'stats', '--json');
	is($code, 0, 'JSON');
	my $j = JSON::PP::decode_json($text);
	is_deeply([ @{ $j->{gauges} }{qw(cache.entries cache.used_bytes cache.generation)} ], [ 1234567, 134217728, 3 ], 'gauges');
	is(scalar(grep { /^cache\.(?:@{[join '|', @event]})\.(?:@{[join '|', @class]})$/ } keys %{ $j->{counters} }), 72, 'all counters by class');
	is_deeply([ @{ $j->{counters} }{qw(cache.hits.txt cache.evicted.result cache.purges)} ], [ 930, $number - 1, 0 ], 'their values');
	is_deeply($j->{ratios}{'1m'}, { hits => 93, lookups => 100, ratio => 0.93 }, 'ratios');
	is($j->{ratios}{'15m'}{ratio}, undef, 'none of nothing');
	is_deeply($j->{contents}{kinds}, { D => { entries => 1000, bytes => 200000 }, R => { entries => 11, bytes => 1100 } }, 'kinds');
	is_deeply($j->{contents}{classes}{txt}, { entries => 900, bytes => 180000 }, 'classes');
	is_deeply($j->{contents}{age}[2], { up_to_s => 30, count => 1000 }, 'ages');
	is_deeply($j->{contents}{left}[-1], { up_to_s => 'expired', count => 4 }, 'time left');

	mode('busy-histogram');
	($code, $text) = ctl('cache', 'stats');
	is($code, 0, 'without the cache process');
	like($text, qr/^txt +930 .* 93\.0%$/m, 'counters are there');
	like($text, qr/^ages are not known: the cache process is being replaced$/m, 'and why ages are not');
	($code, $text) = ctl('--json', 'cache', 'stats');
	$j = JSON::PP::decode_json($text);
	is_deeply([ @$j{qw(contents trouble)} ], [ undef, 'the cache process is being replaced' ], 'JSON');
	mode("raw err disabled the shared cache is off (cache.enabled)\n.\n");
	($code, $text) = ctl('cache', 'stats');
	is("$code $text", "1 enmactl: the shared cache is off (cache.enabled)\n", 'disabled');
	($code, $text) = ctl('cache', 'dump', '--json');
	is($code, 1, 'dump of nothing');
	is(JSON::PP::decode_json($text)->{code}, 'disabled', 'JSON');
	mode('');
};

# ---- large, broken, cut off -----------------------------------------------------------------------------------

# Peak of resident memory, in KiB, and the exit code, of a shell's last command.
sub measured {
	my ($command) = @_;
	my ($status, $text) = run_command(cmd => ['perl', '-e', <<'P', $command], seconds => 300);
my $pid = fork;
exec '/bin/sh', '-c', "exec $ARGV[0]" if !$pid;
my $most = 0;
while (!waitpid $pid, 1) {
	if (open my $f, '<', "/proc/$pid/status") { /^VmHWM:\s+(\d+)/ and $1 > $most and $most = $1 while <$f> }
	select undef, undef, undef, 0.01;
}
print "peak $most exit ", $? >> 8, "\n";
P
	return $text =~ /peak (\d+) exit (\d+)/ ? ($1, $2, $text) : (0, -1, $text);
}

subtest 'a huge dump' => sub {
	my ($small, $code) = measured("$ctl -s $sock cache dump >$dir/out");
	mode('huge');
	for my $json ('', '--json') {
		my ($peak, $exit, $text) = measured("$ctl -s $sock cache dump $json >$dir/out");
		is($exit, 0, "exit code 0 $json") or diag $text;
		is(slurp("$dir/out") =~ tr/\n//, $huge + ($json ? 0 : 1), 'all lines are there');
		cmp_ok($peak, '<', $ENV{SAN} || Enma::Daemon::build() =~ m{address|thread|san}  ? 600_000 : 20_000, "in constant memory ($peak KiB)");
	}
	my ($status, $text) = run_command(cmd => ['/bin/sh', '-c', "{ $ctl -s $sock cache dump; echo \"exit \$?\" >&2; } | head -n 3"], seconds => 60);
	like($text, qr/\AKIND.*\nD +n1\..*\nD +n2\.[^\n]*\n(?:exit (?:0|141)\n)?\z/s, '| head: three lines and no complaint');
	($status, $text) = run_command(cmd => ['/bin/sh', '-c', "{ trap '' PIPE; $ctl -s $sock cache dump; echo \"exit \$?\" >&2; } | head -n 3"], seconds => 60);
	like($text, qr/^exit 0$/m, 'also where SIGPIPE is ignored');
	unlike($text, qr/enmactl:/, 'no complaint');
	SKIP: {
		skip 'there is no /dev/full', 2 if !-c '/dev/full';
		($status, $text) = run_command(cmd => ['/bin/sh', '-c', "exec $ctl -s $sock cache dump >/dev/full"], seconds => 60);
		is($status >> 8, 1, 'a full disk is an error');
		like($text, qr/cannot write: No space/, 'that is said');
	}
	mode('');
};

subtest 'broken answers' => sub {
	my $line = "$entry[0]\n";
	for my $case ([ 'cut off behind ok', "ok\n", qr/in the middle/ ], [ 'cut off behind a line', "ok\n$line", qr/in the middle/ ],
		[ 'cut off in a line', "ok\n${line}D\tnext", qr/in the middle/ ], [ 'cut off in the end', "ok\n$line.", qr/in the middle/ ],
		[ 'nothing', '', qr/in the middle/ ], [ 'not enma', "HTTP/1.1 200 OK\n\n", qr/not enma/ ],
		[ 'a line without end', "ok\n" . 'x' x 600_000 . "\n.\n", qr/too long/ ]) {
		my ($name, $raw, $want) = @$case;
		mode("raw $raw");
		my ($code, $text) = ctl('cache', 'dump');
		is($code, 1, "$name: exit code 1");
		like($text, $want, 'the reason');
		($code, $text) = ctl('cache', 'dump', '--json');
		is($code, 1, 'with --json, too');
		like($text, qr/"code": "connection"/, 'the reason');
	}
	mode("raw ok\n" . join("\t", 'D', 'long.example', 'TXT', 'ok', 'insecure', 1, 1, 61_000, '"' . '\\000' x 61_000 . '"') . "\n.\n");
	my ($code, $text) = ctl('cache', 'dump');
	is($code, 0, 'the longest line that an entry can make is read');
	cmp_ok(length $text, '>', 244_000, 'whole');
	mode("raw ok\nD\tfew columns\n\n.\n");
	($code, $text) = ctl('cache', 'dump', '--json');
	is($code, 0, 'lines with few columns do no harm');
	is(scalar(grep { ref JSON::PP::decode_json($_) } split /\n/, $text), 2, 'and are JSON');
	mode('');
};

ok(is_alive($server), 'the other side is still there') or diag slurp("$dir/server");
stop($server);
done_testing();
