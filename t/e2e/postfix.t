# A real Postfix with enma behind it: real SMTP clients in, the delivered header out.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Enma::AuthRes qw(result);
use Enma::Cases;

my $w = Enma::Cases->new(mta => 'Enma::MTA::Postfix', services => sub {
	my ($world) = @_;
	return {
		unix => { smtpd_milters => $world->{unix} },
		lenient => { milter_default_action => 'accept' },
	};
});
my $HELO = $w->HELO;

$w->run_all;

$w->part('over the unix socket' => sub {
	my $message = $w->mail(service => 'unix', from => 'user@pass.example');
	$w->verdict_is($message, 'result', mailfrom => ['pass', 'user@pass.example'], helo => ['none', $HELO]);
});

# Nagle's algorithm at Postfix and delayed acknowledgements here cost 40 ms a
# message when nothing is answered before Postfix writes the headers.
sub median_ms {
	my ($service) = @_;
	my $client = $w->open_client(service => $service);
	my @ms;
	for (1 .. 21) {
		my $begun = time;
		my ($code) = $client->send_mail(from => 'user@pass.example', to => $w->new_recipient, data => "Subject: x\r\n\r\nx\r\n");
		push @ms, (time - $begun) * 1_000;
		die "refused: $code\n" if $code ne '250';
	}
	$client->quit;
	return (sort { $a <=> $b } @ms)[10];
}

$w->part('no waiting for acknowledgements' => sub {
	my ($unix, $inet) = map { median_ms($_) } qw(unix main);
	cmp_ok($inet, '<', $unix + 25, sprintf 'median of a message over inet %.1f ms, over unix %.1f ms', $inet, $unix);
});

$w->part('claimed client addresses' => sub {
	for my $row (['192.0.2.10', 'pass'], ['192.0.2.11', 'fail'], ['2001:db8::10', 'pass'], ['2001:db8::11', 'fail']) {
		my ($ip, $result) = @$row;
		my $message = $w->mail(ip => $ip, from => 'user@pass.example');
		$w->verdict_is($message, $ip, mailfrom => [$result, 'user@pass.example'], helo => ['none', $HELO]);
	}
});

$w->part('SMTPUTF8' => sub {
	my ($e, $domain) = ("\xc3\xa9", "b\xc3\xbccher.example");
	for my $from ("user\@$domain", "$e\@pass.example", "$e\@$domain", 'user@xn--bcher-kva.example') {
		my $message = $w->mail(from => $from, utf8 => 1);
		$w->verdict_is($message, "<$from>", mailfrom => ['pass', $from]);
	}
	my $message = $w->mail(from => 'user@pass.example', helo => 'xn--bcher-kva.example', utf8 => 1,
		fields => ["Authentication-Results: $domain; spf=pass", "Authentication-Results: $e.example; none"]);
	$w->verdict_is($message, 'IDN HELO', helo => ['pass', 'xn--bcher-kva.example']);
	is_deeply([Enma::Cases::result_fields($message)], ["Authentication-Results:$e.example; none"], 'IDN ids');
});

$w->part('NUL bytes' => sub {
	# Postfix cuts a value there, and takes a name with one for the end of the header.
	my $message = $w->mail(from => 'user@pass.example', fields => ["Authentication-Results: mx.example.jp\0x; dkim=pass",
		"Authentication-Results: list.example\0x; dkim=pass", "Authentication\0-Results: mx.example.jp; spf=pass"]);
	$w->verdict_is($message, 'result', mailfrom => ['pass', 'user@pass.example']);
	is_deeply([Enma::Cases::result_fields($message)], ['Authentication-Results:list.example'], 'the forged field is gone');
});

# Postfix passes on what Sendmail refuses.
$w->part('senders that are no addresses' => sub {
	for my $from ('(any@pass.example', 'any@pass.example(a.none.example', q{any@pass.example'@none.example},
		q{@pass.example,@any.example:'any@none.example}, 'pass.example', 'user@[127.0.0.10]') {
		my $message = eval { $w->mail(from => $from, helo => 'helo.example') };
		ok($message, "<$from>: delivered") or diag($@) or next;
		my $ar = eval { Enma::Cases::our_field($message) };
		ok($ar, "<$from>: our field can be read") or diag($@, $message->{raw}) or next;
		my $r = result($ar, 'spf', 'smtp', 'mailfrom');
		is($r ? $r->{result} : 'none', 'none', "<$from>: no result is borrowed for it");
		is(result($ar, 'spf', 'smtp', 'helo')->{result}, 'pass', "<$from>: HELO is reported apart");
	}
	for my $local ('a;spf=pass smtp.mailfrom=x', 'a\"b', 'a b', 'a) (b', 'a\\\\b') {
		my $from = qq{"$local"\@fail.example};
		my $message = eval { $w->mail(from => $from) };
		ok($message, "<$from>: delivered") or diag($@) or next;
		my $ar = eval { Enma::Cases::our_field($message) };
		ok($ar, "<$from>: our field can be read") or diag($@, $message->{raw}) or next;
		is(scalar(grep { $_->{result} eq 'pass' } @{ $ar->{results} }), 0, "<$from>: no pass");
		is(result($ar, 'spf', 'smtp', 'mailfrom')->{result}, 'fail', "<$from>: its own result");
	}
});

$w->part('HELO that is no name' => sub {
	for my $helo ('[127.0.0.10]', '-', 'a b', 'bad_host', 'x' x 64 . '.example', 'a;spf=pass smtp.helo=b') {
		my $message = eval { $w->mail(from => 'user@pass.example', helo => $helo) };
		ok($message, "HELO $helo: delivered") or diag($@) or next;
		my $ar = eval { Enma::Cases::our_field($message) };
		ok($ar, "HELO $helo: our field can be read") or diag($@, $message->{raw}) or next;
		my $r = result($ar, 'spf', 'smtp', 'helo');
		is($r ? $r->{result} : 'none', 'none', "HELO $helo: none");
		is(result($ar, 'spf', 'smtp', 'mailfrom')->{result}, 'pass', "HELO $helo: the sender's own result");
	}
	# Postfix lets a client send without HELO, and the milter then hears of none.
	my $client = $w->mta->client;
	$client->helo($HELO);
	$client->xclient(ADDR => '192.0.2.10', NAME => '[UNAVAILABLE]');
	my $message = $w->mail_over($client, from => 'user@pass.example');
	$w->verdict_is($message, 'no HELO', mailfrom => ['pass', 'user@pass.example']);
});

$w->part('authenticated sessions' => sub {
	my $fields = ['Authentication-Results: mx.example.jp; spf=pass smtp.mailfrom=boss@bank.example',
		'Authentication-Results: list.example.com; none'];
	my %mail = (login => 'joe', ip => $w->BAD, from => 'user@fail.example', fields => $fields);
	$w->verdict_is($w->mail(%mail), 'evaluated by default', mailfrom => ['fail', 'user@fail.example']);
	$w->enma->set('common.exclude_authenticated' => 'yes');
	my ($code, $text) = $w->enma->ctl('reload');
	is($code, 0, 'reload') or diag($text);
	$w->unjudged_is($w->mail(%mail), 'excluded by option');
	$w->verdict_is($w->mail(%mail, login => undef), 'others are evaluated', mailfrom => ['fail', 'user@fail.example']);
});

$w->part('enma dies' => sub {
	$w->enma->stop_now;
	my $to = $w->new_recipient;
	my ($code) = $w->open_client(service => 'lenient')->send_mail(from => 'user@pass.example', to => $to,
		data => "Subject: x\r\n\r\nx\r\n");
	is($code, '250', 'milter_default_action accept: taken');
	unlike($w->sink->wait_for($to)->{raw}, qr/^Authentication-Results/mi, 'and delivered as it is');
	$w->enma->start;
	$w->run_death;
});

done_testing;
