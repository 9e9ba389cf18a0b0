# Enma::Cache - a running enma, its shared cache, mail for it, and whether the cache does its work.
#
#	my $dns = dns();                            test server of the domains below
#	my $e = Enma::Cache->new($dns, $tag, @conf) not started; $tag tells its names from others' at the DNS server
#	$e->start, $e->enma                         the daemon: Enma::Daemon
#	$e->ask('status'), $e->number('cache.entries'), $e->process, $e->process_pid($old)
#	$e->folder, $e->file, $e->lock_file, $e->state_file, $e->generation
#	$e->load_begin(@option), $e->load_end       mail in the background: many names, all must pass
#	$e->no_wrong_answer($lost_max, $least)      ends it: tests that all were answered correctly, but those cut off
#	$e->has_entries($n)                         waits until so many are stored
#	$e->works($name)                            waits until the cache works, with correct answers; a test
#	$e->result('a@x.p.test')                    SPF's result of one message: pass, fail
#	$e->lines(qr/.../)                          lines of the log that match; $e->mark_log: only from here on
#
# NAME.p.test passes and NAME.f.test fails, whatever NAME is; NAME.b.test passes and its answer is large.

package Enma::Cache;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);
use Test::More;
use Time::HiRes qw(time);

use Enma::Daemon;
use Enma::DNS;
use Enma::MilterClient;
use Enma::Proc qw(spawn is_alive work_dir wait_until slurp);
use Enma::Workers ();

our @EXPORT_OK = qw(dns slow BIG_BYTES);

use constant { ROUND => 6, BIG_BYTES => 16_000, START_SECONDS => 30, ASK_SECONDS => 10 };

sub slow { return $ENV{SAN} ? 4 : 1 }		# sanitizers make starting itself slow

sub dns {
	my $big = join ' ', map { '"' . 'x' x 250 . '"' } 1 .. BIG_BYTES / 250;
	return Enma::DNS->new(text => qq(*.p.test 3600 TXT "v=spf1 ip4:192.0.2.0/24 -all"\n*.f.test 3600 TXT "v=spf1 -all"\n) .
		qq(*.b.test 3600 TXT "v=spf1 ip4:192.0.2.0/24 -all"\n*.b.test 3600 TXT $big\n));
}

sub new {
	my ($class, $dns, $tag, @conf) = @_;
	my $dir = work_dir();
	my $enma = Enma::Daemon->new(conf => ['milter.socket' => "unix:$dir/milter", 'resolver.forward' => $dns->address, 'spf.check_helo' => 'no', @conf]);
	return bless { dns => $dns, tag => $tag, dir => $dir, socket => "unix:$dir/milter", enma => $enma, names => 0, log_from => 0 }, $class;
}

sub enma { return $_[0]{enma} }
sub tag { return $_[0]{tag} }

# Not until all is well, as Enma::Daemon does it: a start over damage may take a moment.
sub start {
	my ($self) = @_;
	my $enma = $self->{enma};
	$enma->{pid} = spawn(cmd => [Enma::Daemon::build() . '/enma', '-f', '-c', $enma->conf_file], env => $enma->{env}, log => $enma->dir . '/output');
	my $ok = eval {
		wait_until(START_SECONDS, sub {
			return 1 if !is_alive($enma->{pid});
			my $status = eval { $self->ask('status') } or return 0;
			return $status =~ /^state running$/m;
		});
	};
	die "enma does not start:\n", $enma->log if !$ok || !is_alive($enma->{pid});
	return $self;
}

# The whole answer to one request of the control protocol.
sub ask {
	my ($self, $request) = @_;
	my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $self->{enma}->dir . '/control') or die "control socket: $!\n";
	print {$s} "ENMA1 $request\n";
	$s->flush;
	my ($text, $until) = ('', time + ASK_SECONDS * slow());
	while (1) {
		my $left = $until - time;
		die "no answer to $request\n" if $left <= 0 || !IO::Select->new($s)->can_read($left);
		my $n = sysread $s, $text, 65_536, length $text;
		return $text if !$n;
	}
}

sub number {
	my ($self, $name) = @_;
	my ($n) = $self->ask('stats') =~ /^(?:counter|gauge) \Q$name\E (\d+)$/m;
	return $n;
}

# Hits of all classes.
sub hits {
	my ($self) = @_;
	my ($n, $text) = (0, $self->ask('cache stats'));
	$n += $1 while $text =~ /^class \S+ hits=(\d+)/mg;
	return $n;
}

# The "cache" line of status.
sub process {
	my ($self) = @_;
	my ($line) = $self->ask('status') =~ /^cache (.*)$/m;
	return { map { split /=/, $_, 2 } split ' ', $line || '' };
}

# Waits for a cache process that is ready and is not $old.
sub process_pid {
	my ($self, $old, $seconds) = @_;
	my $c;
	wait_until(slow() * ($seconds || 15), sub {
		$c = $self->process;
		return ($c->{state} || '') eq 'READY' && $c->{pid} != ($old || 0);
	}, "$self->{tag}: the cache process is ready");
	return $c->{pid};
}

sub folder { return $_[0]{enma}->dir . '/cache' }
sub state_file { return $_[0]->folder . '/cache.state' }

sub file {
	my ($self) = @_;
	my %state = map { split / /, $_, 2 } split /\n/, slurp($self->state_file);
	return $self->folder . "/cache.$state{format}.$state{generation}";
}

sub lock_file { return $_[0]->file . '-lock' }
sub generation { my ($g) = slurp($_[0]->state_file) =~ /^generation (\d+)$/m; return $g }

sub load_begin {
	my ($self, @option) = @_;
	$self->{load} = Enma::Workers::load_begin($self->{dir}, $self->{socket}, '--from', "u\@l%d.$self->{tag}.p.test", '--connections', 3,
		'--timeout-ms', 20_000, '--seconds', 300, '--stop-on-signal', @option);
	return;
}

sub load_end {
	my ($self) = @_;
	my $load = delete $self->{load};
	kill 'TERM', $load->{pid};
	return Enma::Workers::load_end($load, 60);
}

sub session {
	my ($self) = @_;
	my $m = Enma::MilterClient->new($self->{socket}, seconds => 20);
	$m->connect('client.example', '192.0.2.1');
	$m->helo('client.example');
	return $m;
}

sub result {
	my ($self, $from) = @_;
	my $m = $self->session;
	my $r = $m->message(from => "<$from>");
	$m->quit;
	my ($field) = grep { $_->[2] eq 'Authentication-Results' } @{ $r->{edits} };
	return $field && $field->[3] =~ /spf=(\w+)/ ? $1 : '?';
}

# A new name is stored, and found again without a question to the DNS server.  Names of other daemons' tests do not count: each has its own.
# Returns nothing when all is well, '' when the cache does not do it yet, and what is wrong with an answer otherwise.
sub try_once {
	my ($self, $stale_ok) = @_;
	my @name = map { sprintf 't%d.%s.%s.test', ++$self->{names}, $self->{tag}, $_ } 'p', 'f';
	my %want = ($name[0] => 'pass', $name[1] => 'fail');
	my $results = sub {
		for my $name (@name) {
			my $r = eval { $self->result("a\@$name") };
			# A worker that ends takes its connections along; being silent is another thing.
			die $@ if !defined $r && $@ !~ /closed the connection|Connection reset|Broken pipe/;
			return defined $r ? "$name: $r" : '' if !defined $r || $r ne $want{$name};
		}
		return;
	};
	my $wrong = $results->();
	return $wrong if defined $wrong;
	my $stored = sub { return !grep { $self->ask("cache get $_ TXT") !~ /\Aok\n\S/ } @name };
	return '' if !eval { wait_until(0.5 * slow(), $stored) };
	my $hits = $self->hits;
	my $asked = sub { my $text = $self->{dns}->control('count'); my $n = 0; $text =~ /^(\d+) \Q$_\E TXT$/m and $n += $1 for @name; return $n };
	my $before = $asked->();
	for (1 .. ROUND) {
		$wrong = $results->();
		return $wrong if defined $wrong;
	}
	return $asked->() == $before && $self->hits >= $hits + 2 * ROUND ? undef : '';
}

sub works {
	my ($self, $name, $seconds) = @_;
	my $from = time;
	my $what = '';
	my $ok = eval { wait_until(slow() * ($seconds || 15), sub { $what = $self->try_once; return !defined $what || $what ne '' }); 1 };
	ok($ok && !defined $what, "$name: stored and found again, answers are correct") or diag(defined $what && $what ne '' ? $what : 'never found again', "\n", $self->complaints);
	note sprintf '%s: %.1f s', $name, time - $from;
	return time - $from;
}

sub no_wrong_answer {
	my ($self, $lost_max, $least) = @_;
	my $r = $self->load_end;
	is($r->{wrong} + $r->{timeouts} + $r->{refused}, 0, 'nobody was answered wrongly, refused or had to wait') or diag $r->{output};
	cmp_ok($r->{lost}, '<=', $lost_max, "few were cut off ($r->{lost})") or diag $r->{output};
	cmp_ok($r->{ok}, '>=', $least || 20, "mail went on ($r->{ok} messages)");
	return;
}

sub has_entries {
	my ($self, $n) = @_;
	return wait_until(20 * slow(), sub { ($self->number('cache.entries') || 0) >= $n }, 'entries are stored');
}

sub mark_log { my ($self) = @_; $self->{log_from} = length $self->{enma}->log; return }

# Without a line per message.
sub complaints {
	my ($self) = @_;
	return join '', grep { !/: (?:c\d+-\d+|[0-9A-Z]+): ip=/ } map { "$_\n" } split /\n/, substr $self->{enma}->log, $self->{log_from};
}

sub lines {
	my ($self, $pattern) = @_;
	return grep { /$pattern/ } split /\n/, $self->complaints;
}

sub workers_crashed { return $_[0]->number('workers.crashed') }

1;
