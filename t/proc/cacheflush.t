#!/usr/bin/perl
# enmactl cache against a running enma: what is in the cache after messages, and that a flush reaches every place that remembers - the shared cache,
# and libunbound's memory in each worker - so that the next message asks again.
use strict;
use warnings;

use File::Basename qw(dirname);
use IO::Select;
use JSON::PP ();
use Test::More;

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient;
use Enma::Proc qw(work_dir wait_until spew);
use Enma::Workers qw(status load_begin load_end);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

use constant { WORKERS => 3, SESSIONS_MAX => 60, DOMAINS => 12_000 };

my $dir = work_dir();
my $socket = "unix:$dir/milter";
my ($pass, $fail) = ('"v=spf1 ip4:192.0.2.0/24 -all"', '"v=spf1 -all"');

sub zone {
	my (%o) = @_;
	my $main = $o{changed} ? $fail : $pass;
	my $text = "one.example 3600 TXT $main\none.example 3600 A 192.0.2.7\nsub.one.example 3600 TXT $main\nother.example 3600 TXT $main\n" .
		"mail.other.example 3600 TXT \"v=spf1 a -all\"\nmail.other.example 3600 A 192.0.2.1\n";
	$text .= "new.example 3600 TXT $pass\n" if $o{changed};
	$text .= "d$_.fill.example 3600 TXT $pass\n" for $o{fill} ? 1 .. DOMAINS : ();
	return $text;
}

my $file = "$dir/zone";
spew($file, zone());
my $dns = Enma::DNS->new(file => $file);

sub change_zone {
	spew($file, zone(@_));
	is($dns->control('reload'), "ok\n", 'the zone changes');
	return;
}

# How often a question was asked since the last reset.
sub asked {
	my ($name, $type) = @_;
	my ($n) = $dns->control('count') =~ /^(\d+) \Q$name\E \Q$type\E$/m;
	return $n || 0;
}

sub daemon {
	my (@set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $socket, 'resolver.forward' => $dns->address, 'worker.count' => WORKERS, 'spf.check_helo' => 'no',
		'cache.size' => '64m', @set])->start;
}

# Open connections, so many that each worker has one at least.
sub sessions {
	my ($enma) = @_;
	my @session;
	while (@session < SESSIONS_MAX) {
		for (1 .. 6) {
			my $m = Enma::MilterClient->new($socket);
			$m->connect('client.example', '192.0.2.1');
			$m->helo('client.example');
			push @session, $m;
		}
		my @with = grep { $_->{sessions} > 0 } @{ status($enma)->{workers} };
		return @session if @with == WORKERS;
	}
	die 'no connection reached some worker';
}

# The SPF results that the connections get, one after the other: as "pass" when all agree.
sub results {
	my ($from, @session) = @_;
	my %seen;
	for my $m (@session) {
		my $r = $m->message(from => "<$from>");
		my ($field) = grep { $_->[2] eq 'Authentication-Results' } @{ $r->{edits} };
		$seen{$field && $field->[3] =~ /spf=(\w+)/ ? $1 : '?'}++;
	}
	return join ' ', sort keys %seen;
}

sub json { my ($enma, @arg) = @_; my ($code, $text) = $enma->ctl('--json', 'cache', @arg); return grep { $_->{kind} } map { JSON::PP::decode_json($_) } split /\n/, $text }
sub keys_of { my (@entries) = @_; return join ' ', sort map { "$_->{kind}:$_->{name}:$_->{type}" } @entries }

# Offers are stored a moment after the answer.
sub has {
	my ($enma, @want) = @_;
	my $got = '';
	my $ok = eval { wait_until(10, sub { $got = ' ' . keys_of(json($enma, 'dump')) . ' '; return !grep { index($got, " $_ ") < 0 } @want }) };
	ok($ok, "the cache has @want") or diag $got;
	return;
}

subtest 'each worker by itself' => sub {
	my $enma = daemon('cache.enabled' => 'no');
	my @session = sessions($enma);
	is(results('a@one.example', @session), 'pass', 'all connections get an answer');
	is(asked('one.example', 'TXT'), WORKERS, 'each worker asked once');
	change_zone(changed => 1);
	is(results('a@one.example', @session), 'pass', 'and remembers');
	is(asked('one.example', 'TXT'), WORKERS, 'without asking');
	my ($code, $text) = $enma->ctl('cache', 'flush', 'one.example');
	is("$code $text", "0 the shared cache is off\n", 'flush');
	is(results('a@one.example', @session), 'fail', 'every connection sees the change');
	is(asked('one.example', 'TXT'), 2 * WORKERS, 'each worker asked again');
	for my $arg (['dump'], ['stats'], ['get', 'one.example', 'TXT']) {
		($code, $text) = $enma->ctl('cache', @$arg);
		is("$code $text", "1 enmactl: the shared cache is off (cache.enabled)\n", "@$arg");
	}
	like(($enma->ctl('status'))[1], qr/^cache: off$/m, 'status says so');
	$_->quit for @session;
	$enma->stop;
	change_zone();
};

my $enma = daemon();
my @session = sessions($enma);

subtest 'what is there' => sub {
	like(($enma->ctl('status'))[1], qr/^cache: READY \(pid [1-9]\d*, up \d+s\)$/m, 'status has the cache process');
	is(status($enma)->{cache}{state}, 'READY', 'also as JSON');
	$dns->control('reset');
	is(results('a@one.example', $session[0]), 'pass', 'one message');
	has($enma, 'D:one.example:TXT', 'R:one.example:spf');
	is(results('a@one.example', @session), 'pass', 'one on each connection');
	is(asked('one.example', 'TXT'), 1, 'asked once for all workers');
	my ($entry) = json($enma, 'get', 'ONE.example.', 'txt');
	is_deeply([ @$entry{qw(kind name type status dnssec records)} ], [ 'D', 'one.example', 'TXT', 'ok', 'insecure', [$pass] ], 'get of an answer');
	cmp_ok($entry->{age_s} + $entry->{left_s}, '==', 3600, 'its life');
	($entry) = json($enma, 'get', 'one.example', 'spf');
	is_deeply([ $entry->{kind}, $entry->{status}, $entry->{details}{client} ], [ 'R', 'pass', '192.0.2.1' ], 'get of a result');
	is(($enma->ctl('cache', 'get', 'two.example', 'TXT'))[0], 1, 'get of nothing');
	results('a@sub.one.example', $session[0]);
	results('a@other.example', $session[0]);
	results('a@new.example', $session[0]);
	has($enma, 'D:sub.one.example:TXT', 'D:other.example:TXT', 'D:new.example:TXT');
	is(keys_of(json($enma, 'dump', '--zone', 'one.example', '--kind', 'D')), 'D:one.example:TXT D:sub.one.example:TXT', 'dump of a zone');
	is(keys_of(grep { $_->{status} eq 'nxdomain' } json($enma, 'dump')), 'D:new.example:TXT', 'what does not exist');
	is(scalar(json($enma, 'dump', '--expired')), 0, 'nothing has ended');
	is(scalar(json($enma, 'dump', '--type', 'MX')), 0, 'nor is there any MX');
};

# Every connection has an answer to each name, from wherever.
sub warm {
	my (@name) = @_;
	results("a\@$_", @session) for @name;
	has($enma, map { "D:$_:TXT" } @name);
	return;
}

# What every flush has to show: each connection sees the change of what was flushed, by at most one question for each worker; the rest stays in the
# cache.  (For some seconds workers believe nothing in it that is older than the flush: cache.h.)
sub flushed {
	my (%o) = @_;
	warm(qw(one.example sub.one.example other.example new.example));
	change_zone(changed => 1);
	is(results("a\@$_", @session), $o{was}{$_} || 'pass', "$_: remembered") for @{ $o{gone} };
	$dns->control('reset');
	my ($code, $text) = $enma->ctl('cache', @{ $o{command} });
	is($code, 0, "@{ $o{command} }") or diag $text;
	like($text, qr/\Adeleted [1-9]\d*\n\z/, 'tells how many');
	is(scalar(json($enma, 'dump', '--kind', 'R')), 0, 'no result is left');
	is(keys_of(json($enma, 'get', $_, 'TXT')), '', "$_ is not there") for @{ $o{gone} };
	is_deeply([ map { $_->{records} } json($enma, 'get', $_, 'TXT') ], [[$pass]], "$_ is still there") for @{ $o{kept} };
	for my $name (@{ $o{gone} }) {
		is(results("a\@$name", @session), $o{is}{$name} || 'fail', "$name: every connection sees the change");
		my $n = asked($name, 'TXT');
		ok($n >= 1 && $n <= WORKERS, "it was asked for again ($n)");
	}
	change_zone();
	is(($enma->ctl('cache', 'purge'))[0], 0, 'purge');
	return;
}

subtest 'flush' => sub { flushed(command => [ 'flush', 'one.example' ], gone => ['one.example'], kept => [ 'sub.one.example', 'other.example' ]) };
subtest 'flush of a type' => sub { flushed(command => [ 'flush', 'one.example', 'TXT' ], gone => ['one.example'], kept => ['other.example']) };
subtest 'flush-zone' => sub {
	flushed(command => [ 'flush-zone', 'one.example' ], gone => [ 'one.example', 'sub.one.example' ], kept => ['other.example']);
};
subtest 'flush-negative' => sub {
	flushed(command => ['flush-negative'], gone => ['new.example'], was => { 'new.example' => 'none' }, is => { 'new.example' => 'pass' },
		kept => [ 'one.example', 'other.example' ]);
};
subtest 'purge' => sub { flushed(command => ['purge'], gone => [ 'one.example', 'sub.one.example', 'other.example' ], kept => []) };
subtest 'what is left is believed again' => sub {
	warm(qw(one.example other.example));
	change_zone(changed => 1);
	my ($code, $text) = $enma->ctl('cache', 'flush', 'one.example', 'MX');
	like($text, qr/^deleted \d+$/, 'flush of another type');
	is_deeply([ map { $_->{records} } json($enma, 'get', 'one.example', 'TXT') ], [[$pass]], 'this one is still there');
	select undef, undef, undef, 7;		# CACHE_FLUSH_S of cache.h and some more: there is nothing to be seen of it
	$dns->control('reset');
	is(results("a\@$_", @session), 'pass', "$_: remembered") for qw(one.example other.example);
	is(asked($_, 'TXT'), 0, 'nobody asked') for qw(one.example other.example);
	change_zone();
};

subtest 'stats' => sub {
	my (@dump, $stats, %count);
	wait_until(10, sub {
		@dump = json($enma, 'dump');
		$stats = JSON::PP::decode_json(($enma->ctl('--json', 'cache', 'stats'))[1]);
		return $stats->{gauges}{'cache.entries'} == @dump;
	}, 'the gauges follow');
	$count{ $_->{kind} }++ for @dump;
	is($stats->{contents}{kinds}{$_}{entries}, $count{$_} || 0, "entries of kind $_") for qw(D R);
	my ($bytes, $ages, $left) = (0, 0, 0);
	$bytes += $_->{bytes} for grep { $_->{kind} eq 'D' } @dump;
	$ages += $_->{count} for @{ $stats->{contents}{age} };
	$left += $_->{count} for @{ $stats->{contents}{left} };
	is($stats->{contents}{kinds}{D}{bytes}, $bytes, 'their bytes');
	is("$ages $left", @dump . ' ' . @dump, 'each has its place in both histograms');
	my $c = $stats->{counters};
	cmp_ok($c->{"cache.$_.txt"}, '>', 0, "$_ are counted") for qw(hits misses offered inserted);
	cmp_ok($c->{'cache.hits.spf'}, '>', 0, 'also of results');
	cmp_ok($c->{'cache.purges'}, '>=', 6, 'purges');
	cmp_ok($c->{'cache.flushes'}, '>=', 4, 'flushes');
	cmp_ok($stats->{gauges}{'cache.map_bytes'}, '==', 64 * 1024 * 1024, 'the size');
	cmp_ok($stats->{ratios}{start}{lookups}, '>=', $stats->{ratios}{start}{hits}, 'ratios');
	cmp_ok($stats->{ratios}{$_}{ratio}, '>', 0, "over $_") for qw(1m 5m 15m start);
	my $all = JSON::PP::decode_json(($enma->ctl('--json', 'stats'))[1]);
	cmp_ok($all->{counters}{'cache.hits.txt'}, '>=', $c->{'cache.hits.txt'}, 'stats has them, too');
	like(($enma->ctl('stats'))[1], qr/^CLASS .*\n(?:\w+ .*\n)*txt +\d/m, 'as a table');
};

subtest 'a large dump to a slow reader while mail goes on' => sub {
	$_->quit for splice @session;
	spew($file, zone(fill => 1));
	is($dns->control('reload'), "ok\n", 'a large zone');
	my $fill = load_end(load_begin($dir, $socket, '--from', 'u@d%d.fill.example', '--helo', 'client.example', '--messages', DOMAINS, '--connections', 8), 300);
	is($fill->{ok}, DOMAINS, 'a message of each domain') or diag $fill->{output};
	wait_until(30, sub {
		my $s = JSON::PP::decode_json(($enma->ctl('--json', 'stats'))[1]);
		return $s->{gauges}{'cache.entries'} >= 20_000;
	}, 'there are 20,000 entries');
	my $load = load_begin($dir, $socket, '--from', 'u%d@d77.fill.example', '--helo', 'client.example', '--seconds', 6, '--connections', 4);
	my ($text, $reads) = ('', 0);
	open my $pipe, '-|', Enma::Daemon::build() . '/enmactl', '-c', $enma->conf_file, 'cache', 'dump', '--json' or die "enmactl: $!";
	while (1) {
		die 'the dump stands still' if !IO::Select->new($pipe)->can_read(60);
		my $n = sysread $pipe, $text, 32768, length $text;
		last if !$n;
		select undef, undef, undef, 0.01 if $reads++ < 300;		# about 3 s: slower than it is written
	}
	ok(close $pipe, 'exit code 0');
	my @entries = map { JSON::PP::decode_json($_) } split /\n/, $text;
	my %seen;
	$seen{"$_->{kind} $_->{name} $_->{type}"}++ for @entries;
	cmp_ok(scalar @entries, '>=', 20_000, 'the whole cache was read (' . @entries . ' entries)');
	is(scalar(grep { $_ > 1 } values %seen), 0, 'nothing twice');
	my $r = load_end($load);
	is($r->{refused} + $r->{timeouts} + $r->{wrong} + $r->{lost}, 0, 'mail went on');
	cmp_ok($r->{ok}, '>', 100, "with $r->{ok} messages");
	my ($code, $table) = $enma->ctl('cache', 'stats');
	my ($used, $unit) = $table =~ /^map +([\d.]+) ([KM])iB/m;
	diag sprintf '%d entries in %s %siB', scalar @entries, $used, $unit if $ENV{ENMA_VERBOSE};
	($code, $text) = $enma->ctl('cache', 'flush-zone', 'fill.example');
	like($text, qr/^deleted (?!0)\d{5}/, 'a large zone is flushed');
	is(scalar(json($enma, 'dump', '--zone', 'fill.example')), 0, 'nothing of it is left');
};

$enma->stop;
$dns->stop;
unlike($enma->log, qr/(?:error|panic|warn):/i, 'no complaint in the log') or diag $enma->log;
done_testing();
