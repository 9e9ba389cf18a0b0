# Enma::SignedCases - signed messages through an MTA with enma behind it, for t/e2e/dkim_*.t.
#
#	my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Postfix', socket => 'inet', broken => { NAME => WHAT, ... });
#	$w->run_all;
#
# An Enma::Cases with keys published for signed.example.  broken says which messages of the matrix do not verify because of
# what this MTA makes of them: NAME => 'all', or [PATTERN, REASON, ...]: canonical forms that fail, and why (doc/MTA-NOTES.md).

package Enma::SignedCases;

use strict;
use warnings;

use parent 'Enma::Cases';

use Test::More;

use Enma::AuthRes qw(fields fields_named);
use Enma::Cases;
use Enma::MilterProxy;
use Enma::Proc qw(skip_all wait_until);
use Enma::Signer;

use constant DOMAIN => 'signed.example';
use constant {
	AUTHOR   => 'author@' . DOMAIN,
	BODY_BAD => 'body hash did not verify',
	HEAD_BAD => 'signature did not verify',
};

my @CANON = qw(simple/simple simple/relaxed relaxed/simple relaxed/relaxed);

# More than OpenDKIM would sign by itself.
my @OPENDKIM = ('OversignHeaders From,Subject,X-Twice',
	'SignHeaders *,' . join ',', map { "+$_" } qw(X-Twice X-Many X-Tab X-Empty X-Blank X-Empty-Start X-Long X-LoWeR));

# Nothing that an MTA would want to add.
my @USUAL = ('From: "A. Author" <' . AUTHOR . '>', 'To: Some One <someone@sink.example>', 'Date: Sun, 01 Mar 2026 12:00:00 +0000',
	'Message-ID: <1.test@signed.example>', 'MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-8', 'Content-Transfer-Encoding: 8bit');
my $TEXT = "Hello,\r\n\r\nthis is a message.\r\n";
my $UTF8 = "\xe3\x81\x93\xe3\x82\x93\xe3\x81\xab\xe3\x81\xa1\xe3\x81\xaf, gr\xc3\xbc\xc3\x9fe\r\n";
my @OFTEN = ('X-Twice: the first', 'X-Twice: the second', 'x-twice:  the  third');

# What is signed in all four canonical forms: name, fields beside the usual, body.
my @MATRIX = (
	['plain', ['Subject: test'], $TEXT],
	['an empty body', ['Subject: test'], ''],
	['one empty line', ['Subject: test'], "\r\n"],
	['empty lines alone', ['Subject: test'], "\r\n" x 5],
	['empty lines at the end', ['Subject: test'], $TEXT . "\r\n" x 3],
	['blanks and tabs', ['Subject: test'], "two  blanks, a\t \ttab\t\r\n  in front \t \r\n\t\r\nend \r\n"],
	['a line of blanks at the end', ['Subject: test'], "$TEXT \t\r\n\r\n"],
	['lines of 998 bytes', ['Subject: test'], ('x' x 998 . "\r\n" . 'y ' x 499 . "\r\n") x 2],
	['lines of 1,500 to 5,000 bytes', ['Subject: test'], 'x' x 1_500 . "\r\n" . 'y ' x 1_400 . "\r\n" . 'z' x 5_000 . "\r\nend\r\n"],
	['UTF-8 in the body', ['Subject: test'], $UTF8 x 40],
	['UTF-8 in the header', ["Subject: $UTF8 $UTF8" =~ s/\r\n\z//r], $TEXT],
	['lines that begin with dots', ['Subject: test'], ".\r\n..\r\n. x\r\n.x.\r\ntext\r\n.\r\n"],
	['300 KB', ['Subject: test'], ("0123456789 " x 7 . "\r\n") x 3_800],
	['folded with tabs and blanks', ["Subject: a\r\n\tfolded\r\n \t  subject\t", "X-Empty-Start:\r\n\tvalue"], $TEXT],
	['blanks after the colon', ['Subject:none', 'X-Many:   three', "X-Tab:\ttab", 'X-Empty:', 'X-Blank: '], $TEXT],
	['spelling of names', ['SUBJECT: test', 'x-LoWeR: x'], $TEXT],
	['fields of one name', ['Subject: test', @OFTEN], $TEXT],
	['a long field', ['Subject: test', 'X-Long: ' . join("\r\n ", map { "word$_ " x 10 } 1 .. 90)], $TEXT],
);

sub new {
	my ($class, %o) = @_;
	my $why = Enma::Signer->missing || $o{mta}->missing;
	Enma::Proc::run_command(cmd => ['scripts/e2e-deps'], seconds => 300) if $why;
	$why = Enma::Signer->missing;
	skip_all($why) if $why;
	my $signer = Enma::Signer->new(domain => DOMAIN);
	my $broken = delete $o{broken};
	my $outer = delete $o{services};
	my $proxy;
	my $self = Enma::Cases::new($class, %o, zone => $signer->zone, conf => ['dkim.signheader_limit' => 20],
		services => sub {
			my ($w) = @_;
			$proxy = Enma::MilterProxy->new(to => $w->{unix});
			return { traced => $o{mta}->name eq 'Postfix' ? { smtpd_milters => $proxy->address } : { milter => $proxy->address } };
		});
	$self->{signer} = $signer;
	$self->{has} = { map { $_ => Enma::Signer->has($_) } qw(python opendkim) };
	$self->{proxy} = $proxy;
	$self->{broken} = $broken || {};
	return $self;
}

sub join_message {
	my ($fields, $body) = @_;
	return join("\r\n", @$fields, '', '') . $body;
}

# What identifies a signature in the results (RFC 6008): the beginning of b=.
sub b_start {
	my ($field) = @_;
	my ($b) = $field =~ /[;\s]b=([^;]+)/ or die "no b= in $field";
	$b =~ s/\s+//g;
	return substr $b, 0, 8;
}

sub tag {
	my ($field, $tag) = @_;
	my ($value) = $field =~ /[;:\s]\Q$tag\E=([^;\s]+)/;
	return $value;
}

# Results of the message by what header.b says: { result, comment, d, s, a }.
sub dkim_results {
	my ($message) = @_;
	my $ar = Enma::Cases::our_field($message);
	my ($text) = fields_named($message->{raw}, 'Authentication-Results');
	$text =~ s/\r?\n\s+/ /g;
	my %found;
	for my $r (grep { $_->{method} eq 'dkim' } @{ $ar->{results} }) {
		my %p = map { ("$_->[0].$_->[1]" => $_->[2]) } @{ $r->{props} };
		my $b = $p{'header.b'} // '';
		die "two results for $b\n" if $found{$b};
		my ($comment) = $b ne '' && $text =~ /dkim=\w+ (?:\(([^)]*(?:\([^)]*\))?[^)]*)\)|reason="([^"]*)")[^;]*header\.b="?\Q$b\E/ ? $1 // $2 : '';
		$found{$b} = { result => $r->{result}, comment => $r->{reason} // $comment, map { $_ => $p{"header.$_"} // '' } qw(d s a) };
	}
	return \%found;
}

# Each signature has exactly the result that is expected: [FIELD, RESULT, REASON] ...
sub results_are {
	my ($message, $name, @want) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $found = eval { dkim_results($message) } or return fail("$name: $@");
	my (%got, %expected);
	for my $w (@want) {
		my ($field, $result, $reason) = @$w;
		my $b = b_start($field);
		$expected{$b} = join ' ', $result, map { "$_=" . tag($field, $_) } qw(c d s a);
		my $f = delete $found->{$b} or next;
		$got{$b} = join ' ', $f->{result}, 'c=' . tag($field, 'c'), map { "$_=$f->{$_}" } qw(d s a);
		next if !$reason;
		$expected{$b} .= " $reason";
		$got{$b} .= $f->{comment} =~ /\Q$reason\E/ ? " $reason" : " $f->{comment}";
	}
	$got{$_} = "unexpected: $found->{$_}{result}" for keys %$found;
	my @differ = grep { ($got{$_} // '') ne ($expected{$_} // '') } sort keys %{ +{ %got, %expected } };
	return ok(!@differ, $name) || diag(map {; "$_: got <", $got{$_} // 'nothing', '> expected <', $expected{$_} // 'nothing', ">\n" } @differ);
}

sub pass_all { return map { [$_, 'pass'] } @_ }

# A quick signer for the parts beside the matrix: whichever of the two is there.
sub sign {
	my ($self, $message, %o) = @_;
	my %how = (key => 'rsa', c => 'relaxed/relaxed', %o);
	return ($self->{signer}->python([$message, %how]))[0] if $self->{has}{python};
	delete $how{h};
	return ($self->{signer}->opendkim([$message], %how))[0];
}

sub send_signed {
	my ($self, $data, %o) = @_;
	return $self->mail(from => 'user@pass.example', params => 'BODY=8BITMIME', data => $data, %o);
}

# Every message of the matrix with all its signatures at once: four canonical forms, two keys, by each signer.
sub signed_matrix {
	my ($self) = @_;
	my @message = map { join_message([@USUAL, @{ $_->[1] }], $_->[2]) } @MATRIX;
	my @signed = map { [] } @message;
	for my $key ($self->{has}{opendkim} ? qw(rsa ed25519) : ()) {
		for my $c (@CANON) {
			# With this key OpenDKIM 2.11 folds its field again after a simple form of it was signed: python3-dkim calls it bad, too.
			next if $key eq 'ed25519' && $c =~ /^simple/;
			my @field = $self->{signer}->opendkim(\@message, key => $key, c => $c, conf => \@OPENDKIM);
			push @{ $signed[$_] }, $field[$_] for 0 .. $#field;
		}
	}
	return (\@message, \@signed) if !$self->{has}{python};
	my @jobs;
	for my $n (0 .. $#message) {
		my %seen;
		my @h = grep { !/^content-transfer/i } map { $_->[0] } fields($message[$n]);
		for my $key (qw(rsa ed25519)) {
			push @jobs, map { [$n, [$message[$n], key => $key, c => $_, h => [@h, 'Subject', 'From', 'X-Twice']]] } @CANON;
		}
	}
	my @field = $self->{signer}->python(map { $_->[1] } @jobs);
	push @{ $signed[ $jobs[$_][0] ] }, $field[$_] for 0 .. $#field;
	return (\@message, \@signed);
}

# Of one signature of that message, by what this MTA does to it.
sub expected {
	my ($self, $name, $field) = @_;
	for my $rule (@{ $self->{broken}{$name} || [] }) {
		my ($pattern, $result, $reason) = @$rule;
		return [$field, $result, $reason] if tag($field, 'c') =~ $pattern;
	}
	return [$field, 'pass'];
}

sub run_matrix {
	my ($self) = @_;
	my ($message, $signed) = $self->signed_matrix;
	my $client = $self->open_client;
	my @to;
	for my $n (0 .. $#MATRIX) {
		$to[$n] = $self->new_recipient;
		my ($code, $text) = $client->send_mail(from => 'user@pass.example', to => $to[$n], params => 'BODY=8BITMIME',
			data => join('', @{ $signed->[$n] }) . $message->[$n]);
		is($code, '250', "$MATRIX[$n][0]: taken") or diag($text);
	}
	$client->quit;
	for my $n (0 .. $#MATRIX) {
		my $name = $MATRIX[$n][0];
		my $delivered = eval { $self->sink->wait_for($to[$n]) };
		ok($delivered, "$name: delivered") or next;
		results_are($delivered, "$name: " . @{ $signed->[$n] } . ' signatures', map { $self->expected($name, $_) } @{ $signed->[$n] });
	}
	return;
}

sub run_all {
	my ($self) = @_;
	for my $part (qw(matrix)) {
		my $code = $self->can("run_$part");
		$self->part($part => sub { $self->$code });
	}
	return;
}

1;
