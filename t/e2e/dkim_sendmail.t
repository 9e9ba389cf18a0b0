# Messages signed by other programs, through a real Sendmail with enma behind it.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Enma::SignedCases;

my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Sendmail', socket => 'unix',
	relayed => {
		'lines of 998 bytes' => [qr/./, 'body hash did not verify'],
		'lines of 1,500 to 5,000 bytes' => [qr/./, 'body hash did not verify'],
	});
$w->run_all;

done_testing;
