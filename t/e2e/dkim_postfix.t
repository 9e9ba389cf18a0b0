# Messages signed by other programs, through a real Postfix with enma behind it.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Enma::SignedCases;

my ($BODY, $HEADER) = ('body hash did not verify', 'signature did not verify');
# Fields that Postfix takes out of every message, before the milter.
my %dropped = map { $_ => [qr/./, $HEADER] } 'Bcc', 'Return-Path', 'Content-Length';

my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Postfix', service => 'remote',
	taken => \%dropped,
	relayed => {
		'lines of 1,500 to 5,000 bytes' => [qr/./, $BODY],
	});

# It corrects what its own host sends, and does so before the milter.
$w->part('a client on this host' => sub {
	local $w->{service} = 'main';
	local $w->{change} = { taken => {
		%dropped,
		'old forms of addresses' => [qr/./, $HEADER],
		'addresses without a domain' => [qr/./, $HEADER],
		'no Date, no Message-ID, signed as absent' => [qr/./, $HEADER],
	} };
	$w->run_touched;
});

$w->run_all;

done_testing;
