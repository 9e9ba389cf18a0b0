#!/usr/bin/perl
# The cache's files are damaged, under load and before a start: mail goes on with correct answers, the cache comes back by itself, the log says what happened,
# and nobody crashes again and again.  All cases of a table run at the same time, each with an enma of its own.
use strict;
use warnings;

use File::Basename qw(dirname);
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Cache qw(dns slow);
use Enma::Daemon;
use Enma::DNS;
use Enma::Proc qw(wait_until slurp spew);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

use constant { WORKERS => 2, PAGE => 4096, RATE => 100, AT_A_TIME => 8 };

my $dns = dns();
# Root opens what it likes: the processes are those of an ordinary user.
my @user = $> == 0 ? ('milter.user' => 'nobody') : ();
srand 20240229;

sub random_bytes { my ($n) = @_; return join '', map { chr int rand 256 } 1 .. $n }

sub overwrite {
	my ($file, $at, $bytes) = @_;
	open my $f, '+<:raw', $file or die "$file: $!";
	sysseek $f, $at, 0 or die "$file: $!";
	my $n = syswrite $f, $bytes;
	die "$file: $!" if !defined $n || $n != length $bytes;
	return;
}

sub cut { my ($file, $size) = @_; truncate $file, $size or die "$file: $!"; return }

# A file of the same kind and owner, renamed over it.
sub replace {
	my ($file, $bytes) = @_;
	my @st = stat $file or die "$file: $!";
	spew("$file.other", $bytes);
	chmod $st[2] & 07777, "$file.other" or die;
	chown $st[4], $st[5], "$file.other" if $> == 0;
	rename "$file.other", $file or die "$file: $!";
	return;
}

sub middle { my ($file) = @_; return int((-s $file) / 2 / PAGE) * PAGE }

# name, what is done to which file, and whether a new file must take its place (else: it may)
my @data = (
	[ 'cut to nothing',        sub { cut($_[0], 0) }, 1 ],
	[ 'cut to one page',       sub { cut($_[0], PAGE) }, 1 ],
	[ 'cut to half',           sub { cut($_[0], middle($_[0])) }, 1 ],
	[ 'zeroed',                sub { overwrite($_[0], 0, "\0" x -s $_[0]) }, 1 ],
	[ 'zeroed headers',        sub { overwrite($_[0], 0, "\0" x (2 * PAGE)) }, 1 ],
	[ 'garbage in the middle', sub { overwrite($_[0], middle($_[0]), random_bytes(4 * PAGE)) }, 0 ],
	[ 'garbage everywhere',    sub { overwrite($_[0], 0, random_bytes(-s $_[0])) }, 1 ],
	[ 'replaced by garbage',   sub { replace($_[0], random_bytes(16 * PAGE)) }, 1 ],
	[ 'replaced by nothing',   sub { replace($_[0], '') }, 1 ],
	[ 'removed',               sub { unlink $_[0] or die }, 1 ],
	[ 'made unreadable',       sub { chmod 0, $_[0] or die }, 0 ],
);
my @lock = (
	[ 'cut to nothing',        sub { cut($_[0], 0) }, 0 ],
	[ 'zeroed',                sub { overwrite($_[0], 0, "\0" x -s $_[0]) }, 0 ],
	[ 'garbage everywhere',    sub { overwrite($_[0], 0, random_bytes(-s $_[0])) }, 0 ],
	[ 'removed',               sub { unlink $_[0] or die }, 0 ],
);

sub cases {
	my (@list) = (map({ { kind => 'data', name => "data file $_->[0]", damage => $_->[1], is_new => $_->[2] } } @data),
		map({ { kind => 'lock', name => "lock file $_->[0]", damage => $_->[1], is_new => $_->[2] } } @lock));
	my $n = 0;
	$_->{tag} = $_[0] . ++$n for @list;
	return @list;
}

sub target { my ($case) = @_; return $case->{kind} eq 'data' ? $case->{e}->file : $case->{e}->lock_file }

sub begin {
	my ($case) = @_;
	$case->{e} = Enma::Cache->new($dns, $case->{tag}, 'worker.count' => WORKERS, @user)->start;
	$case->{e}->load_begin('--rate', RATE);
	return;
}

# Full enough to have more pages than headers, and at work.
sub fill {
	my ($case) = @_;
	wait_until(30, sub { ($case->{e}->number('cache.entries') || 0) >= 100 }, "$case->{name}: entries are stored");
	return;
}

sub check_log {
	my ($case) = @_;
	my $e = $case->{e};
	my @said = $e->lines(qr/(?:error|warn|panic): /);
	my @files = $e->lines(qr/cache\[\d+\]: (?:info|warn): new cache file .*: ./);
	ok(@files >= ($case->{is_new} ? 1 : 0), 'the log says why there is a new file') or diag $e->complaints;
	ok(@files <= 3, 'which is not one after the other') or diag $e->complaints;
	cmp_ok(scalar @said, '<=', 5 + 2 * WORKERS, 'it is not said again and again') or diag $e->complaints;
	ok(@said + @files > 0, 'something is said') or diag $e->complaints if $case->{is_new};
	return;
}

sub check_load {
	my ($case) = @_;
	my $r = $case->{e}->load_end;
	is($r->{wrong}, 0, 'no message was answered wrongly') or diag $r->{output};
	is($r->{timeouts} + $r->{refused}, 0, 'none had to wait or was refused') or diag $r->{output};
	# A worker that reads a file that was cut takes along what it has at that moment: 3 connections.
	cmp_ok($r->{lost}, '<=', 3 * (WORKERS + $case->{workers_lost}), "few were cut off ($r->{lost})") or diag $r->{output};
	cmp_ok($r->{ok}, '>', 50, "mail went on ($r->{ok} messages)");
	return;
}

sub finish {
	my ($case) = @_;
	my $e = $case->{e};
	subtest $case->{name} => sub {
		# The file is looked at once a second; what is not found then is found when it is met, or does no harm.
		eval { wait_until($case->{is_new} ? 10 * slow() : max(0, $case->{damaged} + 2.5 - time), sub { $e->generation != $case->{generation} }) };
		$e->works($case->{name}, 20);
		isnt($e->generation, $case->{generation}, 'it is a new file') if $case->{is_new};
		$case->{workers_lost} = $e->workers_crashed;
		cmp_ok($case->{workers_lost}, '<=', 2 * WORKERS, "no worker crashes again and again ($case->{workers_lost})");
		is(scalar(() = $e->lines(qr/killed by signal|exit code (?!87 )/)), 0, 'whoever ended knew why') or diag $e->complaints;
		my $n = $e->number('cache.process.crashed');
		cmp_ok($n, '<=', 2, "nor does the cache process ($n)");
		check_load($case) if $e->{load};
		check_log($case);
		note $e->complaints;
		is($e->enma->stop, 0, 'stop');
	};
	return;
}

sub in_groups {
	my ($code, @list) = @_;
	while (my @group = splice @list, 0, AT_A_TIME) {
		$code->(@group);
	}
	return;
}

sub while_running {
	my (@group) = @_;
	begin($_) for @group;
	fill($_) for @group;
	for my $case (@group) {
		$case->{generation} = $case->{e}->generation;
		$case->{e}->mark_log;
		$case->{damaged} = time;
		$case->{damage}->(target($case));
	}
	finish($_) for @group;
	return;
}

# Stopped, damaged, started again.
sub before_start {
	my (@group) = @_;
	begin($_) for @group;
	fill($_) for @group;
	for my $case (@group) {
		my $e = $case->{e};
		$e->load_end;
		$e->enma->stop;
		$case->{generation} = $e->generation;
		$e->mark_log;
		$case->{damaged} = time;
		$case->{damage}->(target($case));
		$e->start;
	}
	finish($_) for @group;
	return;
}

my $from = time;
in_groups(\&while_running, cases('r'));
note sprintf 'while running: %.1f s', time - $from;
$from = time;
subtest 'at start' => sub { in_groups(\&before_start, cases('s')) };
note sprintf 'at start: %.1f s', time - $from;
done_testing();
