# `make run` as a stranger sees it: the demonstration starts, a message goes through, the three lines are there, it ends cleanly.
use strict;
use warnings;
use Test::More;
use IO::Select;
use POSIX qw(WNOHANG);
use Time::HiRes qw(time);

my $build = $ENV{ENMA_BUILD} || 'build';
$ENV{ENMA_BUILD} = $build;

pipe my $r, my $w or die "pipe: $!";
my $pid = fork // die "fork: $!";
if (!$pid) {
	setpgrp;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>&', $w;
	open STDERR, '>&', $w;
	close $_ for $r, $w;
	exec 'scripts/run';
	die "exec: $!";
}
close $w;
END { kill 'KILL', -$pid if $pid }

my ($out, $until, $select) = ('', time + 60, IO::Select->new($r));
while ($out !~ /^Try it:.*\n/m && time < $until) {
	next unless $select->can_read(1);
	last unless sysread $r, $out, 65536, length $out;
}
like $out, qr/^    Authentication-Results: mx\.example\.jp;\s+spf=pass[^\n]*/m, 'a message went through and got its field';
like $out, qr/smtp\.mailfrom=alice\@example\.org/, 'the field names the sender';
unlike $out, qr/bank\.example/, 'the forged field is gone';
like $out, qr/^    Authentication-Results: list\.example\.com;/m, 'the field of another host is kept';
like $out, qr/^enma listens on inet:\d+\@127\.0\.0\.1/m, 'says where it listens';
like $out, qr/^Postfix: postconf -e 'smtpd_milters = inet:127\.0\.0\.1:\d+'/m, 'says how to point Postfix at it';
my ($try) = $out =~ /^Try it:\s+(scripts\/try .*)$/m;
ok defined $try, 'says how to try it at once';

SKIP: {
	skip 'no command to try', 1 unless $try;
	my $tried = `$try 2>&1`;
	like $tried, qr/^Authentication-Results: mx\.example\.jp;\s+spf=fail/m, 'the command works as printed';
}

kill 'TERM', $pid;
my $gone = 0;
for ($until = time + 30; !$gone && time < $until;) {
	$gone = waitpid $pid, WNOHANG;
	select undef, undef, undef, 0.02 unless $gone;
}
is $gone, $pid, 'TERM ends it';
is $? >> 8, 0, 'with status 0';
diag $out if !Test::More->builder->is_passing;
undef $pid if $gone;
done_testing;
