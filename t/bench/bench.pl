#!/usr/bin/perl
# make bench: what a message costs in enma, beside a libmilter filter that does nothing, in the same run.
#
#   speed    null and enma alternately, several rounds, with few and with many connections: server CPU (user + system time
#            of the whole process tree, ended children included) per message, messages a second, latency from MAIL to the
#            final answer.  enma once with a zone file (no resolver at all) and once through libunbound with a DNS server
#            on the loopback, caches warm.
#   signed   the same with a message of 12 KB that has one RSA-2048 signature, which must pass: the whole message has to be
#            heard, hashed and checked.  Key and domain are known after the first message.  Needs openssl to sign it.
#   idle     proportional set size of the process tree with 5,000 idle sessions, less the same without, per session
#   memory   resident size of enma's tree after each 5,000 of 50,000 messages
#
# Prints a table, writes bench.json beside the programs.  Exit 1 when a message was lost or wrong; a missed target only
# counts with ENMA_BENCH_STRICT=1 (another load on the machine would make it a lottery).
# ENMA_BENCH_MESSAGES (10000) a round, ENMA_BENCH_ROUNDS (3), ENMA_BENCH_ONLY=null leaves enma out.
use strict;
use warnings;

use Digest::SHA qw(sha256_base64);
use File::Basename qw(dirname);
use JSON::PP ();
use List::Util qw(sum0 max min);
use MIME::Base64 qw(encode_base64);
use POSIX ();

use lib dirname(__FILE__) . '/../lib';
use Enma::Proc qw(spawn stop is_alive run_command wait_until work_dir slurp spew);

use constant {
	IDLE          => 5_000,
	GROWTH_STEPS  => 10,
	GROWTH_STEP   => 5_000,
	SIGNED_BYTES  => 12_000,
	TARGET_CPU_US => 150,		# above the null filter
	TARGET_IDLE   => 8 * 1024,	# bytes a session
	TARGET_GROWTH => 0.02,		# of the resident size, after the first two steps
	HZ            => POSIX::sysconf(POSIX::_SC_CLK_TCK()),
};

my $build = $ENV{ENMA_BUILD} || 'build';
my $messages = $ENV{ENMA_BENCH_MESSAGES} || 10_000;
my $rounds = $ENV{ENMA_BENCH_ROUNDS} || 3;
my $dir = work_dir();
my $expect_pass = 'spf=pass';
my $wrong = 0;
my %result;
my @signed;				# arguments of milterload that make the signed message
my $key = '';				# its public key
my $dns;				# the test server ends with the object

# ---- processes ---------------------------------------------------------------------------------------------------------

sub tree {
	my ($root) = @_;
	my %children;
	for my $stat (glob '/proc/[0-9]*/stat') {
		my $text = eval { slurp($stat) } or next;
		my ($pid, $ppid) = $text =~ /^(\d+) .*\) \S (\d+)/s or next;
		push @{ $children{$ppid} }, $pid;
	}
	my @todo = ($root);
	my @found;
	while (defined(my $pid = shift @todo)) {
		push @found, $pid;
		push @todo, @{ $children{$pid} || [] };
	}
	return @found;
}

# Microseconds of CPU of the tree so far, with those of its children that are gone.
sub cpu_us {
	my ($root) = @_;
	my $ticks = 0;
	for my $pid (tree($root)) {
		my $text = eval { slurp("/proc/$pid/stat") } or next;
		my @field = split ' ', $text =~ s/^.*\) //sr;
		$ticks += sum0(@field[11 .. 14]);
	}
	return $ticks * 1e6 / HZ;
}

sub kilobytes {
	my ($root, $file, $field) = @_;
	my $kb = 0;
	for my $pid (tree($root)) {
		my $text = eval { slurp("/proc/$pid/$file") } or next;
		$kb += $1 if $text =~ /^$field:\s+(\d+) kB/m;
	}
	return $kb;
}

# ---- the two programs under test ------------------------------------------------------------------------------------------

sub load {
	my ($addr, @args) = @_;
	my ($status, $out) = run_command(cmd => ["$build/t/milterload", '--connect', $addr, '--json', message_args(), @args],
		seconds => 900);
	my ($json) = $out =~ /^(\{.*\})$/m;
	die "milterload: $out" if !$json;
	print $out =~ s/^\{.*//mr if $status;
	return JSON::PP::decode_json($json);
}

sub message_args {
	return qw(--ip 192.0.2.1 --client-name mail.bench.example --helo mail.bench.example --from user%d@bench.example);
}

sub start_null {
	my $socket = "$dir/null.sock";
	my $pid = spawn(cmd => ["$build/t/nullmilter", '-p', "unix:$socket", '-w', 2, '--like-enma'], log => "$dir/null.log");
	return ready({ name => 'null', pid => $pid, addr => "unix:$socket", expect => 'spf=none' });
}

sub zone_text {
	return key_record() . <<'END';
bench.example       3600 TXT "v=spf1 ip4:198.51.100.0/24 include:_spf.bench.example -all"
_spf.bench.example  3600 TXT "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all"
mail.bench.example  3600 TXT "v=spf1 a -all"
mail.bench.example  3600 A 192.0.2.1
END
}

# ---- the signed message ------------------------------------------------------------------------------------------------------

sub openssl {
	my (@arg) = @_;
	my ($status, $text) = run_command(cmd => ['openssl', @arg], seconds => 60);
	die "openssl @arg: $text" if $status;
	return;
}

# The body that milterload makes, and a relaxed/simple signature over it and two fields in front of the usual ones.
sub sign_message {
	return if !eval { openssl('version'); 1 };
	openssl('genrsa', '-out', "$dir/key", 2048);
	openssl('rsa', '-in', "$dir/key", '-pubout', '-outform', 'DER', '-out', "$dir/public");
	$key = encode_base64(slurp("$dir/public"), '');
	my $body = join '', map { $_ % 78 == 76 ? "\r" : $_ % 78 == 77 ? "\n" : chr(ord('a') + $_ % 26) } 0 .. SIGNED_BYTES - 1;
	$body =~ s/\r?\n?\z/\r\n/;
	my @field = (['From', 'A. Signer <signer@bench.example>'], ['Subject', 'a signed message']);
	my $signature = 'v=1; a=rsa-sha256; c=relaxed/simple; d=bench.example; s=key; h=From:Subject; bh=' . sha256_base64($body) . '=; b=';
	spew("$dir/input", join('', map { lc($_->[0]) . ":$_->[1]\r\n" } @field) . "dkim-signature:$signature");
	openssl('dgst', '-sha256', '-sign', "$dir/key", '-out', "$dir/signature", "$dir/input");
	my $b = encode_base64(slurp("$dir/signature"), '');
	@signed = ('--message-size', SIGNED_BYTES, '--headers', 0, map { ('--header', $_) } "DKIM-Signature: $signature$b", map { "$_->[0]: $_->[1]" } @field);
	return;
}

sub key_record {
	return $key eq '' ? '' : 'key._domainkey.bench.example 3600 TXT ' . join(' ', map { "\"$_\"" } unpack '(a200)*', "v=DKIM1; p=$key") . "\n";
}

sub start_enma {
	my ($name, @dns) = @_;
	my $base = "$dir/$name";
	mkdir $base or die "$base: $!";
	my @conf = (
		"milter.socket: unix:$base/milter.sock", "milter.pidfile: $base/enma.pid", "control.socket: unix:$base/control.sock", "cache.path: $base/cache/cache",
		'authresult.identifier: mx.bench.example', 'spf.auth: true', 'worker.count: 2', 'worker.max_sessions: 10000',
		'milter.backlog: 1024', "log.target: file:$base/log", @dns);
	spew("$base/enma.conf", join '', map { "$_\n" } @conf);
	my $pid = spawn(cmd => ["$build/enma", '-f', '-c', "$base/enma.conf"], log => "$base/out");
	return ready({ name => $name, pid => $pid, addr => "unix:$base/milter.sock", expect => $expect_pass, out => "$base/out" });
}

# Answers one message as it should.
sub ready {
	my ($p) = @_;
	my $path = $p->{addr} =~ s/^unix://r;
	my $up = eval {
		wait_until(30, sub {
			die "ended\n" if !is_alive($p->{pid});
			return -S $path && load_quiet($p)->{ok};
		}, "$p->{name} does not answer as it should");
	};
	return $p if $up;
	die "$p->{name}: $@", $p->{out} && -e $p->{out} ? slurp($p->{out}) : '';
}

sub load_quiet {
	my ($p) = @_;
	my (undef, $out) = run_command(cmd => ["$build/t/milterload", '--connect', $p->{addr}, '--json', message_args(),
		'--messages', 1, '--expect', $p->{expect}]);
	return $out =~ /^(\{.*\})$/m ? JSON::PP::decode_json($1) : { ok => 0 };
}

# ---- speed -------------------------------------------------------------------------------------------------------------------

sub measure {
	my ($p, $connections, $expect, @args) = @_;
	my $before = cpu_us($p->{pid});
	my $r = load($p->{addr}, '--messages', $messages, '--connections', $connections, '--expect', $expect, @args);
	$wrong += $r->{$_} for qw(wrong lost refused timeouts);
	$r->{cpu_us} = (cpu_us($p->{pid}) - $before) / max(1, $r->{messages});
	return $r;
}

sub median {
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[$#sorted / 2];
}

# One table: every program with what its results must be; key: where the numbers go in bench.json.
sub speed {
	my ($key_name, $args, @rows) = @_;
	printf "%-14s %5s %11s %15s %9s %8s %8s %8s %7s\n", 'program', 'conns', 'CPU us/msg', '(min..max)', 'msgs/s', 'p50 us', 'p99 us',
		'max us', '/null';
	for my $connections (1, 32) {
		my %runs;
		load($_->[0]{addr}, '--messages', 1_000, '--connections', $connections, @$args) for @rows;	# warm
		for (1 .. $rounds) {
			push @{ $runs{ $_->[0]{name} } }, measure($_->[0], $connections, $_->[1], @$args) for @rows;
		}
		my $null;
		for my $p (map { $_->[0] } @rows) {
			my @cpu = map { $_->{cpu_us} } @{ $runs{ $p->{name} } };
			my %m = (connections => $connections, cpu_us => median(@cpu), cpu_us_min => min(@cpu), cpu_us_max => max(@cpu),
				map { my $f = $_; $f => median(map { $_->{$f} } @{ $runs{ $p->{name} } }) } qw(msgs_per_s p50_us p99_us max_us));
			$null = $m{cpu_us} if !defined $null;
			$m{above_null_us} = $m{cpu_us} - $null;
			$m{ratio} = $m{cpu_us} / max(1, $null);
			printf "%-14s %5d %11.0f %15s %9.0f %8d %8d %8d %7.2f\n", $p->{name}, $connections, $m{cpu_us},
				sprintf('(%.0f..%.0f)', $m{cpu_us_min}, $m{cpu_us_max}), @m{qw(msgs_per_s p50_us p99_us max_us ratio)};
			push @{ $result{$key_name}{ $p->{name} } }, \%m;
			target("$p->{name}, $connections connections: CPU above null", $m{above_null_us}, TARGET_CPU_US, 'us')
				if $p->{name} ne 'null' && $key_name eq 'speed';
		}
	}
	return;
}

# Beside the unsigned ones; the null filter takes the body of neither.
sub signed_speed {
	my (@programs) = @_;
	if (!@signed) {
		print "no openssl: signed messages are not measured\n";
		return;
	}
	print "a message of 12 KB with one RSA-2048 signature, warm:\n";
	speed('signed', \@signed, map { [$_, $_->{name} eq 'null' ? $_->{expect} : "$_->{expect}.*dkim=pass"] } @programs);
	return;
}

# ---- memory ------------------------------------------------------------------------------------------------------------------

sub idle {
	my ($p) = @_;
	my $log = "$dir/idle.$p->{name}";
	my $before = kilobytes($p->{pid}, 'smaps_rollup', 'Pss');
	my $driver = spawn(cmd => ["$build/t/milterload", '--connect', $p->{addr}, message_args(), '--idle', IDLE, '--seconds', 600],
		log => $log);
	wait_until(120, sub { -e $log && slurp($log) =~ /^idle ready (\d+)/m }, 'idle connections');
	my ($up) = slurp($log) =~ /^idle ready (\d+)/m;
	my $each = settled(sub { kilobytes($p->{pid}, 'smaps_rollup', 'Pss') });
	stop($driver);
	my ($lost) = slurp($log) =~ / lost=(\d+)/;
	$wrong += IDLE - $up + (defined $lost ? $lost : IDLE);
	my $bytes = ($each - $before) * 1024 / max(1, $up);
	printf "%-14s %d idle sessions: %d KB -> %d KB, %.0f bytes each\n", $p->{name}, $up, $before, $each, $bytes;
	$result{idle}{ $p->{name} } = { sessions => $up, before_kb => $before, with_kb => $each, bytes_each => $bytes };
	target("$p->{name}: memory of an idle session", $bytes, TARGET_IDLE, 'bytes') if $p->{name} ne 'null';
	return;
}

# The value once it is the same twice in a row: the last sessions may still be on their way through the filter.
sub settled {
	my ($code) = @_;
	my $last = -1;
	wait_until(20, sub {
		my $value = $code->();
		my $same = $value == $last;
		$last = $value;
		select undef, undef, undef, 0.2 if !$same;
		return $same;
	}, 'a settled value');
	return $last;
}

sub growth {
	my ($p) = @_;
	my @rss;
	for (1 .. GROWTH_STEPS) {
		my $r = load($p->{addr}, '--messages', GROWTH_STEP, '--connections', 32, '--expect', $p->{expect});
		$wrong += $r->{$_} for qw(wrong lost refused timeouts);
		push @rss, kilobytes($p->{pid}, 'status', 'VmRSS');
	}
	printf "%-14s RSS in KB after each %d messages: %s\n", $p->{name}, GROWTH_STEP, join ' ', @rss;
	my $grown = ($rss[-1] - $rss[1]) / max(1, $rss[1]);
	$result{growth}{ $p->{name} } = { step => GROWTH_STEP, rss_kb => \@rss, grown => $grown };
	target("$p->{name}: growth from message 10,000 to 50,000", 100 * $grown, 100 * TARGET_GROWTH, '%') if $p->{name} ne 'null';
	return;
}

# ---- all of it ----------------------------------------------------------------------------------------------------------------

sub target {
	my ($what, $value, $limit, $unit) = @_;
	my $met = $value <= $limit;
	push @{ $result{targets} }, { what => $what, value => $value, limit => $limit, unit => $unit,
		met => $met ? JSON::PP::true() : JSON::PP::false() };
	return;
}

# The daemon with answers from a DNS server on the loopback, through libunbound; needs the test server.
sub start_forwarding {
	if (!-x "$build/t/dnsd" || !eval { require Enma::DNS; 1 }) {
		print "no test DNS server: the resolver is not measured\n";
		return;
	}
	$dns = Enma::DNS->new(text => zone_text());
	return start_enma('enma-resolver', 'resolver.forward: ' . $dns->address);
}

sub main {
	sign_message();
	my @programs = start_null();
	if (($ENV{ENMA_BENCH_ONLY} || '') ne 'null') {
		-x "$build/enma" or die "$build/enma is not there: make first\n";
		spew("$dir/zone", zone_text());
		push @programs, start_enma('enma-zone', "resolver.zone: $dir/zone"), start_forwarding();
	}
	$result{messages} = $messages;
	$result{rounds} = $rounds;
	speed('speed', [], map { [$_, $_->{expect}] } @programs);
	signed_speed(@programs);
	idle($_) for @programs;
	growth($_) for $programs[-1];
	$result{wrong} = $wrong;
	for my $t (@{ $result{targets} || [] }) {
		printf "%-6s %s: %.1f %s (at most %d)\n", $t->{met} ? 'met' : 'MISSED', @$t{qw(what value unit limit)};
	}
	spew("$build/bench.json", JSON::PP->new->canonical->pretty->encode(\%result));
	print "$wrong messages or sessions were lost or wrong\n" if $wrong;
	my $missed = grep { !$_->{met} } @{ $result{targets} || [] };
	return $wrong || ($missed && $ENV{ENMA_BENCH_STRICT}) ? 1 : 0;
}

exit main();
