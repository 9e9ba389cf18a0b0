# A real Sendmail with enma behind it, over the unix socket (doc/MTA-NOTES.md says why) and over TCP too.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Enma::Cases;

my $w = Enma::Cases->new(mta => 'Enma::MTA::Sendmail', socket => 'unix', services => sub {
	my ($world) = @_;
	return {
		inet => { milter => $world->{inet} },
		lenient => { filter_flags => undef },
	};
});
my $HELO = $w->HELO;

$w->run_all;

$w->part('over TCP' => sub {
	my $message = $w->mail(service => 'inet', from => 'user@pass.example');
	$w->verdict_is($message, 'result', mailfrom => ['pass', 'user@pass.example'], helo => ['none', $HELO]);
});

$w->part('NUL bytes' => sub {
	# Sendmail drops them, and so turns these into fields of ours.
	my $message = $w->mail(from => 'user@pass.example', fields => ["Authentication-Results: mx.exam\0ple.jp; dkim=pass",
		"Authentication-Results: list.exam\0ple; dkim=pass", "Authentication\0-Results: mx.example.jp; spf=pass"]);
	$w->verdict_is($message, 'result', mailfrom => ['pass', 'user@pass.example']);
	is_deeply([Enma::Cases::result_fields($message)], ['Authentication-Results:list.example; dkim=pass'], 'the forged fields are gone');
});

$w->part('senders that are no full addresses' => sub {
	for my $from ('user', 'user@[127.0.0.10]') {
		my $message = $w->mail(from => $from, helo => 'helo.example');
		$w->verdict_is($message, "<$from>", helo => ['pass', 'helo.example']);
		unlike($message->{raw}, qr/^Authentication-Results:[^;]*;\s*spf=pass[^;]*smtp\.mailfrom/m, "<$from>: no pass of its own");
	}
});

$w->part('enma dies' => sub {
	$w->enma->stop_now;
	my $to = $w->new_recipient;
	my ($code) = $w->open_client(service => 'lenient')->send_mail(from => 'user@pass.example', to => $to,
		data => "Subject: x\r\n\r\nx\r\n");
	is($code, '250', 'a filter without F=: taken');
	unlike($w->sink->wait_for($to)->{raw}, qr/^Authentication-Results/mi, 'and delivered as it is');
	$w->enma->start;
	$w->run_death;
});

done_testing;
