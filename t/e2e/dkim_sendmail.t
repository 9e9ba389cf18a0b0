# Messages signed by other programs, through a real Sendmail with enma behind it.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Enma::SignedCases;

my ($BODY, $HEADER) = ('body hash did not verify', 'signature did not verify');

# The milter sees what the client sent; Sendmail's own changes come with the delivery.
my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Sendmail', socket => 'unix',
	relayed => {
		'lines of 998 bytes' => [qr/./, $BODY],
		'lines of 1,500 to 5,000 bytes' => [qr/./, $BODY],
		'folded addresses' => [qr/./, $HEADER],
		'old forms of addresses' => [qr/./, $HEADER],
		'addresses without a domain' => [qr/./, $HEADER],
		'Bcc' => [qr/./, $HEADER],
		'Return-Path' => [qr/./, $HEADER],
		'Content-Length' => [qr/./, $HEADER],
		'no Date, no Message-ID, signed as absent' => [qr/./, $HEADER],
	});

$w->run_all;

done_testing;
