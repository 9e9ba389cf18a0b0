# The shared cache as mail sees it: what one worker has learnt no other asks for, a storm is one query, old answers help while servers fail, and nothing
# depends on it.
use strict;
use warnings;

use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient qw(apply);
use Enma::Proc qw(spawn is_alive stop wait_until work_dir slurp);
use Enma::Workers qw(status);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

my $dir = work_dir();
my $milter = "unix:$dir/milter";
my $number = 0;
my $slow = $ENV{SAN} ? 4 : 1;

my $ZONE = <<'ZONE';
known.example       300 TXT   "v=spf1 include:_spf.known.example a:mail.known.example mx -all"
_spf.known.example  300 TXT   "v=spf1 ip4:203.0.113.0/24 -all"
mail.known.example  300 A     192.0.2.1
known.example       300 MX    10 mx.known.example
mx.known.example    300 A     192.0.2.2
soft.example        300 TXT   "v=spf1 ip4:203.0.113.7 ~all"
broken.example      300 TXT   "v=spf1 what:ever -all"
local.example       300 TXT   "v=spf1 exists:%{l}.e.example -all"
user.e.example      300 A     127.0.0.2
host.example        300 TXT   "v=spf1 a -all"
host.example        300 A     192.0.2.1
cold.example        300 TXT   "v=spf1 ip4:192.0.2.0/24 -all"
cold.example        DELAY 100
late.example        300 TXT   "v=spf1 ip4:192.0.2.0/24 -all"
late.example        DELAY 2500
ZONE

sub daemon {
	my ($dns, @set) = @_;
	return Enma::Daemon->new(conf => ['milter.socket' => $milter, 'worker.count' => 4, 'resolver.forward' => $dns->address,
		'resolver.deadline' => '15s', @set])->start;
}

sub session {
	my (%o) = @_;
	my $m = Enma::MilterClient->new($milter, seconds => 60);
	$m->connect('client.example', $o{ip} || '192.0.2.1');
	$m->helo($o{helo} || 'host.example');
	return $m;
}

# Our field, unfolded, of one message; its line in the log is that of $last_qid.
my $last_qid;
sub authres {
	my ($from, %o) = @_;
	my $m = $o{session} || session(%o);
	$last_qid = sprintf 'Q%04d', ++$number;
	my $r = $m->message(from => "<$from>", qid => $last_qid);
	$m->quit;
	my @headers = apply($r, [From => ' a@b.example']);
	(my $value = $headers[0][1]) =~ s/\n\s+/ /g;
	return $value;
}

# What the log says of the last message, once it is there: (worker, the line).
sub logged {
	my ($enma) = @_;
	return wait_until(20, sub { $enma->log =~ /worker\/(\S+)\[\d+\]: info: \Q$last_qid\E: (.*)/ ? [$1, $2] : undef }, 'a line in the log');
}

# Until the cache process has stored it.
sub stored {
	my ($enma, @what) = @_;
	wait_until(20, sub { my ($code) = $enma->ctl('cache', 'get', @what); $code == 0 }, "@what is in the cache");
	return;
}

# One message to each worker; the number of workers that had one.
sub everywhere {
	my ($enma, $from, $want) = @_;
	my %seen;
	for (1 .. 400) {
		my $got = authres($from);
		die "got $got" if $got !~ $want;
		$seen{ logged($enma)->[0] }++;
		last if keys %seen == 4;
	}
	return scalar keys %seen;
}

subtest 'what one worker knows all know' => sub {
	my $dns = Enma::DNS->new(text => $ZONE);
	for my $results ('no', 'yes') {
		my $enma = daemon($dns, 'cache.results' => $results);
		my $first = authres('user@known.example');
		like $first, qr/spf=pass.*smtp\.mailfrom=user\@known\.example/, 'cold';
		like logged($enma)->[1], qr/ dns=[1-9]/, 'it took questions';
		stored($enma, $_, 'TXT') for qw(known.example _spf.known.example host.example);
		stored($enma, $_, 'A') for qw(mail.known.example host.example);
		my $before = $dns->count;
		cmp_ok $before, '>', 0, 'the server was asked';
		is everywhere($enma, 'user@known.example', qr/spf=pass/), 4, 'every worker had a message';
		is $dns->count, $before, "with cache.results $results no worker asked anything";
		is authres('user@known.example'), $first, 'the field is the same to the byte';
		like logged($enma)->[1], $results eq 'yes' ? qr/ dns=0\// : qr/ dns=[1-9]/, 'results spare the questions, too';
		my ($code) = $enma->ctl('cache', 'purge');
		is $code, 0, 'purge';
		is authres('user@known.example'), $first, 'and afterwards';
		cmp_ok $dns->count, '>', $before, 'servers are asked again after a purge';
		is $enma->stop, 0, 'the daemon ended well';
	}
};

subtest 'a result of before says what a fresh one says' => sub {
	my $dns = Enma::DNS->new(text => $ZONE);
	my $enma = daemon($dns, 'worker.count' => 1);
	for my $case (['user@known.example', 'host.example', '192.0.2.1', 1], ['user@known.example', 'host.example', '203.0.113.5', 1],
		['user@known.example', 'host.example', '192.0.2.99', 1], ['user@soft.example', 'host.example', '192.0.2.1', 1],
		['user@broken.example', 'host.example', '192.0.2.1', 1], ['user@nowhere.example', 'host.example', '192.0.2.1', 1],
		['User@KNOWN.Example', 'Host.EXAMPLE', '192.0.2.2', 1], ['user@local.example', 'host.example', '192.0.2.1', 0],
		['other@local.example', 'host.example', '192.0.2.1', 0]) {
		my ($from, $helo, $ip, $is_kept) = @$case;
		my @o = (helo => $helo, ip => $ip);
		my $fresh = authres($from, @o);
		(my $domain = lc $from) =~ s/.*@//;
		if ($is_kept) {
			wait_until(20, sub { my (undef, $text) = $enma->ctl('cache', 'dump', '--kind', 'R', '--zone', $domain); $text =~ /client=\Q$ip\E\b/ },
				"a result of $domain for $ip");
		}
		is authres($from, @o), $fresh, "$from from $ip: the same field";
		like logged($enma)->[1], $is_kept ? qr/ dns=0\// : qr/ dns=[1-9]/, $is_kept ? 'of before' : 'evaluated again';
	}
	is $enma->stop, 0, 'the daemon ended well';
};

subtest 'a storm for one cold name' => sub {
	my $dns = Enma::DNS->new(text => $ZONE);
	my $enma = daemon($dns, 'cache.results' => 'no');
	my $pid = spawn(cmd => [Enma::Daemon::build() . '/t/milterload', '--connect', $milter, '--json', '--connections', 1000, '--messages', 1000,
		'--ramp', 200, '--ip', '192.0.2.1', '--helo', 'cold.example', '--from', 'user%d@cold.example', '--message-size', 100,
		'--headers', 3, '--timeout-ms', 60000, '--expect', 'spf=pass'], log => "$dir/load");
	wait_until(120 * $slow, sub { !is_alive($pid) }, 'milterload ends');
	is stop($pid), 0, 'all 1,000 sessions passed' or diag slurp("$dir/load");
	my $n = $dns->count('cold.example TXT');
	diag "1,000 sessions at once for one cold name on 4 workers: $n queries";
	cmp_ok $n, '>=', 1, 'it was asked';
	cmp_ok $n, '<=', 4, 'about once for the host';
	is $enma->stop, 0, 'the daemon ended well';
};

my $SHORT = <<'ZONE';
old.example   1 TXT   "v=spf1 a:mail.old.example -all"
mail.old.example 1 A  192.0.2.1
host.example  300 TXT "v=spf1 a -all"
host.example  300 A   192.0.2.1
ZONE
(my $FAILING = $SHORT) =~ s/^(\S*old\.example).*/$1 SERVFAIL/mg;

# Until the entry has ended, so that the next message has to ask.
sub ended {
	my ($enma, $name) = @_;
	wait_until(20, sub { my (undef, $text) = $enma->ctl('cache', 'dump', '--expired', '--kind', 'D'); $text =~ /^D\s+\Q$name\E\s/m }, "$name has ended");
	return;
}

for my $how ('SERVFAIL', 'silence') {
	subtest "old answers while servers fail: $how" => sub {
		for my $serve ('yes', 'no') {
			my $dns = Enma::DNS->new(text => $SHORT);
			my $enma = daemon($dns, 'cache.serve_stale' => $serve, 'cache.min_ttl' => '1s', 'cache.results' => 'no', 'worker.count' => 2);
			like authres('user@old.example'), qr/spf=pass.*old\.example/, 'good';
			unlike logged($enma)->[1], qr/dns_stale/, 'nothing stale about it';
			# In libunbound's own memory, too, which counts whole seconds.
			my $until = time + 2.5;
			wait_until(20, sub { time > $until }, 'its end');
			if ($serve eq 'yes') {
				ended($enma, $_) for qw(old.example mail.old.example);
			}
			if ($how eq 'SERVFAIL') {
				$dns->zone($FAILING);
			} else {
				kill 'STOP', $dns->pid;
			}
			my $begin = time;
			my $got = authres('user@old.example');
			my $took = time - $begin;
			kill 'CONT', $dns->pid;
			if ($serve eq 'yes') {
				like $got, qr/spf=pass.*old\.example/, 'an old answer helps';
				like logged($enma)->[1], qr/ dns_stale=2 /, 'and the log says so';
				cmp_ok $took, '<', 8 * $slow, sprintf 'soon (%.1f s)', $took;
				my (undef, $text) = $enma->ctl('stats');
				like $text, qr/^dns\.stale 2$/m, 'counted';
				like authres('user@old.example'), qr/spf=pass/, 'again' if $how eq 'SERVFAIL';
			} else {
				like $got, qr/spf=temperror/, 'switched off: no old answers';
				unlike logged($enma)->[1], qr/dns_stale/, 'nor a word of them';
			}
			is $enma->stop, 0, 'the daemon ended well';
		}
	};
}

subtest 'who asks for all is killed' => sub {
	my $dns = Enma::DNS->new(text => $ZONE);
	my $enma = daemon($dns, 'cache.results' => 'no');
	my $first = session();
	my $asker = wait_until(20, sub { (grep { $_->{sessions} } @{ status($enma)->{workers} })[0] }, 'a worker has the session');
	$first->mail('<user@late.example>');
	wait_until(20, sub { $dns->count('late.example TXT') }, 'the question is under way');
	# One on another worker.
	my ($other, $on_asker, @spare);
	for (1 .. 50) {
		my $m = session();
		push @spare, $m;
		my $elsewhere = wait_until(20, sub { my @w = @{ status($enma)->{workers} }; my $n = 0; $n += $_->{sessions} for @w;
			$n == @spare + 1 ? \@w : undef }, 'the session is counted');
		my ($w) = grep { $_->{pid} == $asker->{pid} } @$elsewhere;
		$on_asker //= 1;
		if ($w->{sessions} == $on_asker) {
			$other = $m;
			last;
		}
		$on_asker = $w->{sessions};
	}
	ok $other, 'two workers have sessions';
	my $begin = time;
	$other->mail('<user@late.example>');
	kill 'KILL', $asker->{pid};
	like authres('user@late.example', session => $other), qr/spf=pass/, 'the other one has its answer';
	my $took = time - $begin;
	cmp_ok $took, '<', 9 * $slow, sprintf 'after a short wait (%.1f s, of which 2.5 s are the server)', $took;
	is $enma->stop, 0, 'the daemon ended well';
};

subtest 'without it' => sub {
	my $dns = Enma::DNS->new(text => $ZONE);
	my $enma = daemon($dns, 'cache.enabled' => 'no');
	like authres('user@known.example'), qr/spf=pass/, 'mail is checked';
	is everywhere($enma, 'user@known.example', qr/spf=pass/), 4, 'by every worker';
	is $dns->count('known.example TXT'), 4, 'each asks for itself';
	ok !-e $enma->dir . '/cache/cache.state', 'no file is made';
	my ($code, $text) = $enma->ctl('cache', 'flush', 'known.example');
	is $code, 0, "flush: $text";
	is everywhere($enma, 'user@known.example', qr/spf=pass/), 4, 'once more';
	is $dns->count('known.example TXT'), 8, 'each had forgotten';
	is $enma->stop, 0, 'the daemon ended well';
};

done_testing;
