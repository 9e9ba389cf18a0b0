# Enma::Cases - what every MTA with enma behind it must show; t/e2e/*.t run these
# with their MTA and add what only that MTA can do.
#
#	my $w = Enma::Cases->new(mta => 'Enma::MTA::Postfix', socket => 'inet', main => {...},
#		services => sub { my ($w) = @_; return {...} },         $w->{inet}, $w->{unix}: enma's sockets
#		zone => TEXT, conf => [KEY, VALUE, ...]);               more of both
#	$w->run_all;                    the shared subtests
#	$w->mail(from => F, helo => H, ip => I, fields => [...], ...)     send one message, return
#	                                the delivered one (dies when it is refused)
#	$w->part($name => sub { ... })  a subtest that may die without taking the others with it
#	$w->verdict_is($message, $name, mailfrom => [RESULT, VALUE], helo => [RESULT, VALUE])
#
# mta, sink, dns, enma are the running parts.  Clients: 127.0.0.10 may send for
# pass.example, 127.0.0.20 for nobody, 127.0.0.30 is excluded (t/zones/e2e.zone).

package Enma::Cases;

use strict;
use warnings;

use Test::More;
use Enma::AuthRes qw(fields fields_named parse result);
use Enma::DNS;
use Enma::Daemon;
use Enma::MTA::Postfix;
use Enma::MTA::Sendmail;
use Enma::Proc qw(free_port run_command skip_all slurp wait_until work_dir);
use Enma::Sink;

use constant {
	ID       => 'mx.example.jp',
	GOOD     => '127.0.0.10',
	BAD      => '127.0.0.20',
	EXCLUDED => '127.0.0.30',
	HELO     => 'none.example',
	COMPLAINT => qr/claimed not to reply|Sanitizer|runtime error|\]: (?:error|panic|fatal): /,
	LINE_MAX => 998,		# RFC 5322 section 2.1.1, without CRLF
};

# SPF by the two identities: name, client, HELO, MAIL FROM, expected results.
my @SPF = (
	[pass => GOOD, HELO, 'user@pass.example', 'pass', 'none'],
	[fail => BAD, HELO, 'user@fail.example', 'fail', 'none'],
	['fail by address' => BAD, HELO, 'user@pass.example', 'fail', 'none'],
	[softfail => BAD, HELO, 'user@softfail.example', 'softfail', 'none'],
	[neutral => BAD, HELO, 'user@neutral.example', 'neutral', 'none'],
	['none: no record' => GOOD, HELO, 'user@none.example', 'none', 'none'],
	['none: no such domain' => GOOD, HELO, 'user@nowhere.example', 'none', 'none'],
	['permerror: unknown mechanism' => GOOD, HELO, 'user@permerror.example', 'permerror', 'none'],
	['permerror: two records' => GOOD, HELO, 'user@twice.example', 'permerror', 'none'],
	['temperror: SERVFAIL' => GOOD, HELO, 'user@servfail.example', 'temperror', 'none'],
	['temperror: no answer' => GOOD, HELO, 'user@silent.example', 'temperror', 'none'],
	['include' => GOOD, HELO, 'user@include.example', 'pass', 'none'],
	['mx' => GOOD, HELO, 'user@mx.example', 'pass', 'none'],
	['HELO apart: fail beside pass' => GOOD, 'helo.example', 'user@fail.example', 'fail', 'pass'],
	['HELO apart: pass beside fail' => GOOD, 'fail.example', 'user@pass.example', 'pass', 'fail'],
	['HELO apart: temperror beside pass' => GOOD, 'servfail.example', 'user@pass.example', 'pass', 'temperror'],
	['null sender: pass' => GOOD, 'helo.example', '', 'pass', 'pass'],
	['null sender: fail' => BAD, 'helo.example', '', 'fail', 'fail'],
	['null sender: none' => GOOD, HELO, '', 'none', 'none'],
	['upper case' => GOOD, 'HELO.Example', 'User@PASS.Example', 'pass', 'pass'],
);

# Fields that come with a message; removed (1) or kept (0).
my @FORGED = (
	[1, 'the id alone', 'Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=boss@bank.example'],
	[1, 'no result', 'Authentication-Results: mx.example.jp; none'],
	[1, 'no semicolon', 'Authentication-Results: mx.example.jp'],
	[0, 'another host', 'Authentication-Results: list.example.com; spf=pass smtp.mailfrom=a@b.example'],
	[1, 'quoted', 'Authentication-Results: "mx.example.jp"; dkim=pass'],
	[1, 'quoted pairs', 'Authentication-Results: "mx\.example\.jp"; dkim=pass'],
	[1, 'comments, upper case, version', 'Authentication-Results:  (c) MX.EXAMPLE.JP (c) 1; dkim=pass'],
	[1, 'nested comments', 'Authentication-Results: (a (b \) ) "c") mx.example.jp; dkim=pass'],
	[1, 'folded before the semicolon', "Authentication-Results: mx.example.jp\r\n ;dkim=pass"],
	[1, 'folded before the id', "Authentication-Results:\r\n\tmx.example.jp; dkim=pass"],
	[1, 'version behind a slash', 'Authentication-Results: mx.example.jp/1; dkim=pass'],
	[1, 'final dot', 'Authentication-Results: mx.example.jp.; dkim=pass'],
	[1, 'no space', 'Authentication-Results:mx.example.jp;dkim=pass'],
	[0, 'encoded word', 'Authentication-Results: =?utf-8?q?mx.example.jp?=; dkim=pass'],
	[0, 'name below', 'Authentication-Results: mx.example.jp.evil.example; dkim=pass'],
	[0, 'longer name', 'Authentication-Results: mx.example.jpx; dkim=pass'],
	[0, 'our id is not first', 'Authentication-Results: evil.example, mx.example.jp; dkim=pass'],
	[0, 'our id in a comment', 'Authentication-Results: evil.example (mx.example.jp); dkim=pass'],
	[0, 'our id in a property', 'Authentication-Results: evil.example; dkim=pass header.d=mx.example.jp'],
	[1, 'lower-case name', 'authentication-results: mx.example.jp; dkim=pass'],
	[1, 'upper-case name', 'AUTHENTICATION-RESULTS: mx.example.jp; dkim=pass'],
	[1, 'space before the colon', 'Authentication-Results : mx.example.jp; dkim=pass'],
	[1, 'tab before the colon', "Authentication-Results\t: mx.example.jp; dkim=pass"],
	[0, 'space before the colon, another host', 'Authentication-Results : list.example.com; dkim=pass'],
	[0, 'X-', 'X-Authentication-Results: mx.example.jp; dkim=pass'],
	[0, 'ARC-', 'ARC-Authentication-Results: i=1; mx.example.jp; dkim=pass'],
	[0, 'Received-SPF', 'Received-SPF: pass (mx.example.jp: ok) client-ip=192.0.2.1'],
	[1, 'configured field', 'X-Old-Results: spf=pass'],
	[1, 'configured id', 'Authentication-Results: gate.example.net; spf=pass'],
	[1, 'below a configured id', 'Authentication-Results: in.gate.example.net; spf=pass'],
	[0, 'not below a configured id', 'Authentication-Results: xgate.example.net; spf=pass'],
	[1, 'configured IDN as A-label', 'Authentication-Results: XN--bcher-kva.example; spf=pass'],
	[1, 'configured IDN as U-label', "Authentication-Results: b\xc3\xbccher.example; spf=pass"],
	[0, 'unreadable', 'Authentication-Results: ;;; (('],
	[0, 'empty', 'Authentication-Results:'],
);

sub new {
	my ($class, %o) = @_;
	if ($o{mta}->missing) {
		my ($status, $text) = run_command(cmd => ['scripts/e2e-deps'], seconds => 300);
		my $why = $o{mta}->missing;
		skip_all($status ? "$why: $text" : $why) if $why;
	}
	for my $why (Enma::DNS->missing, Enma::Daemon->missing) {
		BAIL_OUT($why) if $why;
	}
	my $self = bless { count => 0 }, $class;
	my $socket_dir = work_dir();
	$self->{inet} = 'inet:' . free_port() . '@127.0.0.1';
	$self->{unix} = "unix:$socket_dir/milter";
	$self->{dns} = Enma::DNS->new(text => slurp('t/zones/e2e.zone') . ($o{zone} || ''));
	$self->{enma} = Enma::Daemon->new(conf => [
		'milter.socket' => $self->{inet}, 'milter.socket' => $self->{unix},
		'milter.socket_mode' => '0666',
		'authresult.identifier' => ID,
		'authresult.remove_identifiers' => 'gate.example.net',
		'authresult.remove_identifiers' => 'xn--bcher-kva.example',
		'authresult.remove_fields' => 'X-Old-Results',
		'common.exclusion_addresses' => '127.0.0.1,::1,' . EXCLUDED,
		'resolver.forward' => $self->{dns}->address,
		'resolver.deadline' => '3s',
		@{ $o{conf} || [] },
	])->start;
	$self->{sink} = Enma::Sink->new;
	$self->{mta} = $o{mta}->new(milter => $self->{ $o{socket} || 'inet' }, sink => $self->{sink},
		services => $o{services} ? $o{services}->($self) : {}, main => $o{main} || {})->start;
	return $self;
}

sub mta { return $_[0]{mta} }
sub enma { return $_[0]{enma} }
sub sink { return $_[0]{sink} }

sub new_recipient {
	my ($self) = @_;
	return sprintf 'm%d@sink.example', ++$self->{count};
}

sub message {
	my (@field) = @_;
	return join("\r\n", @field, 'Subject: test', '', 'hello', '');
}

# Send over an open client connection; returns the delivered message.
sub mail_over {
	my ($self, $client, %o) = @_;
	my $to = $self->new_recipient;
	my ($code, $text) = $client->send_mail(from => $o{from}, to => $to, utf8 => $o{utf8}, params => $o{params},
		data => defined $o{data} ? $o{data} : message(@{ $o{fields} || [] }));
	die "refused: $code $text\n" if $code ne '250';
	my $message = $self->{sink}->wait_for($to);
	$message->{reply} = $text;
	return $message;
}

sub open_client {
	my ($self, %o) = @_;
	return $self->{mta}->open_as(ip => $o{ip} || GOOD, helo => $o{helo} || HELO,
		service => $o{service}, login => $o{login});
}

sub mail {
	my ($self, %o) = @_;
	my $client = $self->open_client(%o);
	my $message = $self->mail_over($client, %o);
	$client->quit;
	return $message;
}

# The field that enma wrote, parsed: it stands on top and is the only one of our id.
sub our_field {
	my ($message) = @_;
	my @field = fields($message->{raw});
	die "the first field is not Authentication-Results: $field[0][2]" if lc $field[0][0] ne 'authentication-results';
	die "a line is longer than @{[LINE_MAX]}\n" if grep { length($_) > LINE_MAX } split /\r\n/, $field[0][2];
	my $ar = parse($field[0][1]);
	die "not our id: $ar->{id}\n" if lc $ar->{id} ne ID;
	my @ours = grep { my $p = eval { parse($_) }; $p && lc $p->{id} eq ID }
		fields_named($message->{raw}, 'Authentication-Results');
	die "our id is there twice\n" if @ours != 1;
	return $ar;
}

sub describe {
	my ($r) = @_;
	return $r ? "spf=$r->{result} $r->{value}" : 'not reported';
}

sub verdict_is {
	my ($self, $message, $name, %want) = @_;
	my $ar = eval { our_field($message) };
	return fail("$name: $@") if !$ar;
	my %got;
	for my $identity (sort keys %want) {
		my $r = eval { result($ar, 'spf', 'smtp', $identity) };
		$got{$identity} = $@ || describe($r);
		$want{$identity} = describe($want{$identity}
			&& { result => $want{$identity}[0], value => $want{$identity}[1] });
	}
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is_deeply(\%got, \%want, $name) || diag("in <$message->{raw}>");
}

# What an SPF row expects, as verdict_is wants it.
sub expected {
	my ($helo, $from, $result, $helo_result) = @_;
	return (mailfrom => [$result, $from eq '' ? "postmaster\@$helo" : $from], helo => [$helo_result, $helo]);
}

sub run_spf {
	my ($self) = @_;
	for my $row (@SPF) {
		my ($name, $ip, $helo, $from, $result, $helo_result) = @$row;
		my $message = eval { $self->mail(ip => $ip, helo => $helo, from => $from) };
		ok($message, "$name: delivered") or diag($@) or next;
		is($message->{from}, $from, "$name: sender unchanged");
		$self->verdict_is($message, $name, expected($helo, $from, $result, $helo_result));
	}
	return;
}

# A field as it should arrive: blanks before the colon and line ends do not count.
sub normal {
	my ($field) = @_;
	$field =~ s/^([^:]*?)[ \t]+:/$1:/;
	$field =~ s/\r\n//g;
	$field =~ s/^([^:]*:)[ \t]*/$1/;
	$field =~ s/[ \t]+\z//;
	return $field;
}

# The fields of the message that look like results, without the one on top.
sub result_fields {
	my ($message) = @_;
	my @field = fields($message->{raw});
	shift @field if lc $field[0][0] eq 'authentication-results';
	return map { normal($_->[2]) }
		grep { $_->[0] =~ /^(?:x-|arc-)?authentication-results\z|^received-spf\z|^x-old-results\z/i } @field;
}

sub kept_of { return map { normal($_->[2]) } grep { !$_->[0] } @_ }

sub run_forged {
	my ($self) = @_;
	# Each alone, so that a failure names its spelling.
	my $client = $self->open_client;
	for my $row (@FORGED) {
		my ($removed, $name, $field) = @$row;
		my $message = eval { $self->mail_over($client, from => 'user@pass.example', fields => [$field]) };
		ok($message, "$name: delivered") or diag($@) or next;
		is_deeply([result_fields($message)], [kept_of($row)], ($removed ? 'removed: ' : 'kept: ') . $name);
	}
	$client->quit;
	# All at once, in this order and in reverse.
	for my $all (\@FORGED, [reverse @FORGED]) {
		my $message = $self->mail(from => 'user@pass.example', fields => [map { $_->[2] } @$all]);
		is_deeply([result_fields($message)], [kept_of(@$all)], 'all spellings in one message');
		$self->verdict_is($message, 'and the true result on top', expected(HELO, 'user@pass.example', 'pass', 'none'));
	}
	return;
}

# CVE-2022-48521: deleting one field must not move the numbers of the others.
sub run_indices {
	my ($self) = @_;
	for my $ours ([2, 3, 5], [1], [8], [1, 8], [1 .. 8], []) {
		my %is_ours = map { $_ => 1 } @$ours;
		my @field = map { "Authentication-Results: " . ($is_ours{$_} ? ID : "$_.example") . "; spf=pass smtp.mailfrom=n$_\@a.example" } 1 .. 8;
		my $message = $self->mail(from => 'user@pass.example', fields => \@field);
		is_deeply([result_fields($message)], [map { normal($field[$_ - 1]) } grep { !$is_ours{$_} } 1 .. 8],
			'forged at ' . (join(',', @$ours) || 'no place') . ' of 8: exactly the others remain, in order');
	}
	return;
}

# What MTAs take for the end of the header never was a field; too many fields are refused.
sub run_odd_headers {
	my ($self) = @_;
	my %odd = (
		'folded name' => "Authentication-Results\r\n : mx.example.jp; spf=pass smtp.mailfrom=boss\@bank.example",
		'blank first line' => " Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=boss\@bank.example",
	);
	for my $name (sort keys %odd) {
		my $message = $self->mail(from => 'user@pass.example', fields => [$odd{$name}]);
		$self->verdict_is($message, $name, expected(HELO, 'user@pass.example', 'pass', 'none'));
		is_deeply([grep { /boss/ } map { $_->[2] } fields($message->{raw})], [], "$name: no field for its receiver");
	}
	my $client = $self->open_client;
	my ($code, $text) = $client->send_mail(from => 'user@pass.example', to => $self->new_recipient,
		data => message(('Authentication-Results: mx.example.jp; none') x 1_100));
	like($code, qr/^5/, 'more fields than message.max_headers: rejected') or diag($text);
	$self->verdict_is($self->mail_over($client, from => 'user@pass.example', fields => [('Authentication-Results: mx.example.jp; none') x 900]),
		'fewer: all of them removed', expected(HELO, 'user@pass.example', 'pass', 'none'));
	return;
}

sub run_one_connection {
	my ($self) = @_;
	my $client = $self->open_client(helo => 'helo.example');
	my @round = (['user@pass.example', 'pass'], ['user@fail.example', 'fail'], ['', 'pass'], ['user@softfail.example', 'softfail'],
		['user@none.example', 'none'], ['user@permerror.example', 'permerror'], ['user@servfail.example', 'temperror']);
	for my $row (@round, reverse @round) {
		my ($from, $result) = @$row;
		my $forged = 'Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=' . ($from || 'x@y.example');
		my $message = $self->mail_over($client, from => $from, fields => [$from eq '' ? () : ($forged) x 3, 'Authentication-Results: a.example; none']);
		$self->verdict_is($message, "one connection: <$from>", expected('helo.example', $from, $result, 'pass'));
		is(scalar(result_fields($message)), 1, 'and nothing of another message');
	}
	# A new EHLO counts from then on.
	$client->helo('fail.example');
	$self->verdict_is($self->mail_over($client, from => 'user@pass.example'), 'after another EHLO',
		expected('fail.example', 'user@pass.example', 'pass', 'fail'));
	$client->quit;
	return;
}

sub run_reset {
	my ($self) = @_;
	my $client = $self->open_client;
	my $sound = sub {
		my ($name) = @_;
		$self->verdict_is($self->mail_over($client, from => 'user@pass.example'), $name,
			expected(HELO, 'user@pass.example', 'pass', 'none'));
	};
	$client->cmd('MAIL FROM:<user@fail.example>');
	is(($client->cmd('RSET'))[0], '250', 'RSET after MAIL');
	$sound->('message after it');
	$client->cmd('MAIL FROM:<user@silent.example>');
	$client->cmd('RCPT TO:<x@sink.example>');
	is(($client->cmd('RSET'))[0], '250', 'RSET after RCPT, while a question has no answer');
	$sound->('message after it');
	for (1 .. 20) {
		$client->cmd('MAIL FROM:<user@fail.example>');
		$client->cmd('RSET');
	}
	$sound->('message after many RSET');
	$client->quit;
	# Clients that go away at each stage.
	for my $stage (0 .. 4) {
		my $gone = $self->open_client;
		$gone->cmd('MAIL FROM:<user@silent.example>') if $stage > 0;
		$gone->cmd('RCPT TO:<gone@sink.example>') if $stage > 1;
		$gone->cmd('DATA') if $stage > 2;
		$gone->raw("Authentication-Results: mx.example.jp; none\r\nSubject: x\r\n" . ($stage > 3 ? "\r\nbody" : '')) if $stage > 2;
		$gone->drop;
	}
	$self->verdict_is($self->mail(from => 'user@pass.example'), 'after clients that went away',
		expected(HELO, 'user@pass.example', 'pass', 'none'));
	is(scalar($self->{sink}->for_recipient('gone@sink.example')), 0, 'their messages were not delivered');
	return;
}

# Mail that is not evaluated: no result to anybody's credit or harm, forged fields still go.
sub unjudged_is {
	my ($self, $message, $name) = @_;
	my @forged = grep { my $p = eval { parse($_) }; $p && lc $p->{id} eq ID } fields_named($message->{raw}, 'Authentication-Results');
	my @result = map { @{ parse($_)->{results} } } @forged;
	is_deeply([grep { $_ ne 'none' } map { $_->{result} } @result], [], "$name: no result but none")
		or diag($message->{raw});
	unlike($message->{raw}, qr/boss\@bank\.example/, "$name: the forged field is gone");
	like($message->{raw}, qr/list\.example\.com/, "$name: a foreign one stays");
	return;
}

my @MIXED = ('Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=boss@bank.example',
	'Authentication-Results: list.example.com; spf=pass smtp.mailfrom=a@b.example');

sub run_unjudged {
	my ($self) = @_;
	my $message = $self->mail(ip => EXCLUDED, from => 'user@fail.example', fields => \@MIXED);
	$self->unjudged_is($message, 'excluded client');
	my $to = $self->new_recipient;
	$self->{mta}->submit(join("\n", @MIXED, 'Subject: local', '', 'hello', ''), from => 'user@fail.example', to => [$to]);
	$self->unjudged_is($self->{sink}->wait_for($to), 'sendmail command');
	return;
}

sub run_large_header {
	my ($self) = @_;
	my $line = "\r\n " . 'x' x 70;
	my $filler = 'X-Filler: ' . $line x (65_536 / length($line) + 1);
	my @case = (
		['fields of 64 KB together', map { "X-Filler-$_: " . 'y' x 50 } 1 .. 900],
		['one field of just under 64 KB', substr $filler, 0, 65_000],
	);
	push @case, ['one field of over 64 KB', $filler] if $self->{mta}->passes_huge_fields;
	for my $case (@case) {
		my ($name, @field) = @$case;
		my $message = eval { $self->mail(from => 'user@pass.example', fields => [$MIXED[0], @field, @MIXED]) };
		ok($message, "$name: delivered") or diag($@) or next;
		$self->verdict_is($message, $name, expected(HELO, 'user@pass.example', 'pass', 'none'));
		is_deeply([result_fields($message)], [normal($MIXED[1])], "$name: forged fields at both ends are gone");
		is(scalar(grep { $_->[0] =~ /^X-Filler/ } fields($message->{raw})), scalar @field, "$name: all of it arrives");
	}
	return;
}

# A connection from before a reload goes on, and new ones do.
sub run_reload {
	my ($self) = @_;
	my $old = $self->open_client;
	$self->mail_over($old, from => 'user@fail.example');
	my ($code, $text) = $self->{enma}->ctl('reload');
	is($code, 0, 'reload') or diag($text);
	for my $client ($old, $self->open_client) {
		$self->verdict_is($self->mail_over($client, from => 'user@pass.example'), 'a message after it',
			expected(HELO, 'user@pass.example', 'pass', 'none'));
		$client->quit;
	}
	return;
}

# A hundred messages on one connection that stays open through everything else.
sub run_long_lived {
	my ($self) = @_;
	my $client = $self->{long_lived};
	my %want;
	for my $n (1 .. 100) {
		my $to = $self->new_recipient;
		my $from = $n % 2 ? 'user@pass.example' : 'user@softfail.example';
		$want{$to} = [$from, $n % 2 ? 'pass' : 'softfail'];
		my ($code, $text) = $client->send_mail(from => $from, to => $to, data => message());
		return fail("message $n: $code $text") if $code ne '250';
	}
	$client->quit;
	my $wrong = 0;
	for my $to (keys %want) {
		my $ar = our_field($self->{sink}->wait_for($to, 40));
		my $r = result($ar, 'spf', 'smtp', 'mailfrom');
		$wrong++ if $r->{result} ne $want{$to}[1] || $r->{value} ne $want{$to}[0];
	}
	is($wrong, 0, 'a hundred messages over an old connection, each with its own result');
	return;
}

sub run_log {
	my ($self) = @_;
	my $message = $self->mail(from => 'user@fail.example', ip => BAD);
	my ($queue_id) = $message->{raw} =~ /\bid (\w+)/;
	my $line = wait_until(10, sub { (grep { /\Q$queue_id\E/ } split /\n/, $self->{enma}->log)[0] }, "no log line for $queue_id");
	like($line, qr/\bspf=fail\b/, 'the log line has queue id and result');
	return;
}

# Last: without enma the MTA does as it is told; with a new one mail goes on.
sub run_death {
	my ($self) = @_;
	my $client = $self->open_client;
	$self->mail_over($client, from => 'user@pass.example');
	$self->{enma}->stop_now;
	my ($code) = $self->try_mail($client);
	like($code, qr/^4/, 'enma gone during a connection: 4xx');
	($code) = $self->try_mail($self->open_client);
	like($code, qr/^4/, 'enma gone before a connection: 4xx');
	$self->{enma}->start;
	my $message = $self->mail(from => 'user@pass.example');
	$self->verdict_is($message, 'enma back: mail goes on', expected(HELO, 'user@pass.example', 'pass', 'none'));
	is($self->{enma}->stop, 0, 'and it ends well');
	# stop --now may have to kill.
	is_deeply([grep { $_ =~ COMPLAINT && !/was killed by signal 9/ } split /\n/, $self->{enma}->log], [], 'no complaint in the log');
	return;
}

sub try_mail {
	my ($self, $client) = @_;
	my @reply = eval { $client->send_mail(from => 'user@pass.example', to => $self->new_recipient, data => message()) };
	return @reply ? @reply : ('421', "connection closed: $@");
}

sub run_all {
	my ($self) = @_;
	$self->{long_lived} = $self->open_client;
	for my $part (qw(spf forged indices odd_headers one_connection reset unjudged large_header long_lived reload log)) {
		my $code = $self->can("run_$part");
		$self->part($part => sub { $self->$code });
	}
	return;
}

# A subtest that may die without taking the others with it.
sub part {
	my ($self, $name, $code) = @_;
	return subtest $name => sub {
		eval { $code->(); 1 } or fail("died: $@");
		done_testing;
	};
}

1;
