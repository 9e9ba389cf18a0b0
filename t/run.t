# `make run` as a stranger sees it: the demonstration starts, a message goes through, the three lines are there, it ends cleanly.
use strict;
use warnings;
use File::Temp qw(tempdir);
use IO::Select;
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(time);

$ENV{ENMA_BUILD} ||= 'build';
# Not the folder of a demonstration that somebody looks at just now.
my $top = tempdir(CLEANUP => 1);
my %running;
END {
	my $status = $?;
	kill 'KILL', map { -$_ } keys %running;
	$? = $status;
}

sub start {
	my ($folder) = @_;
	pipe my $r, my $w or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		setpgrp;
		open STDIN, '<', '/dev/null';
		open STDOUT, '>&', $w;
		open STDERR, '>&', $w;
		close $_ for $r, $w;
		$ENV{ENMA_RUN} = $folder;
		exec 'scripts/run';
		die "exec: $!";
	}
	close $w;
	$running{$pid} = 1;
	return { pid => $pid, r => $r, out => '' };
}

# What it says until the pattern is there or it says no more.
sub said {
	my ($it, $pattern) = @_;
	my ($until, $select) = (time + 60, IO::Select->new($it->{r}));
	while ($it->{out} !~ $pattern && time < $until) {
		next unless $select->can_read(1);
		last unless sysread $it->{r}, $it->{out}, 65536, length $it->{out};
	}
	return $it->{out};
}

sub ends {
	my ($it) = @_;
	my $gone = 0;
	for (my $until = time + 30; !$gone && time < $until;) {
		$gone = waitpid $it->{pid}, WNOHANG;
		select undef, undef, undef, 0.02 unless $gone;
	}
	return 'never' unless $gone;
	delete $running{ $it->{pid} };
	return $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
}

my $first = start("$top/run");
my $out = said($first, qr/^Try it:.*\n/m);
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

my $second = start("$top/run");
like said($second, qr/^Try it:/m), qr/already running as pid \d+/, 'a second one in the same folder says what is the matter';
unlike $second->{out}, qr/Authentication-Results/, '... and does not show the first one as its own';
is ends($second), 69, '... and fails';

my $other = start("$top/a b " . 'long' x 30);
like said($other, qr/^Try it:.*\n/m), qr/^    Authentication-Results: mx\.example\.jp;/m, 'a deep folder with blanks in its name, another port';
my ($short) = $other->{out} =~ /control: (.*)\/control\.sock\)/;
ok -d $short, '... has a short way to its control socket';
kill 'TERM', $other->{pid};
is ends($other), 0, 'TERM ends it with status 0';
ok !-e $short, '... and the short way is gone';

# As from a terminal: all of the group get it.
kill 'INT', -$first->{pid};
is ends($first), 0, 'Ctrl-C ends it with status 0';
unlike said($first, qr/\0/), qr/ error: /, '... and nothing is killed for it';
diag $_->{out} for Test::More->builder->is_passing ? () : ($first, $second, $other);
done_testing;
