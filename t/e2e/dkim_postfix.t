# Messages signed by other programs, through a real Postfix with enma behind it.
use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Enma::SignedCases;

my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Postfix');
$w->run_all;

done_testing;
