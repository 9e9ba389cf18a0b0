# Enma::SignedCases - signed messages through an MTA with enma behind it, for t/e2e/dkim_*.t.
#
#	my $w = Enma::SignedCases->new(mta => 'Enma::MTA::Postfix', socket => 'inet', service => NAME, taken => {...}, relayed => {...});
#	$w->run_all;
#
# An Enma::Cases with keys published for signed.example.  Every signature must pass but where the MTA itself changes the
# message (doc/MTA-NOTES.md): taken says what is broken when the milter sees it, relayed what is broken by the delivery and
# so seen at the next hop: NAME => [PATTERN, REASON], which canonical forms of that message fail, and why.

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

my @TOUCHED = (
	['a continuation of blanks', ["X-Blank: x\r\n \t\r\n y"]],
	['folded addresses', ["Cc: one\@sink.example,\r\n\tTwo  <two\@sink.example> ,\r\n  three\@sink.example"]],
	['old forms of addresses', ['Cc: one@sink.example (One), Two <@hop.example:two@SINK.Example>, "A. B" <three@sink.example>']],
	['addresses without a domain', ['Cc: root, someone']],
	['a group', ['Cc: Friends: one@sink.example, two@sink.example;']],
	['Reply-To and Sender', ['Sender: author@signed.example', 'Reply-To: A <a@signed.example>, b@signed.example']],
	['Bcc', ['Bcc: hidden@sink.example']],
	['Return-Path', ['Return-Path: <author@signed.example>']],
	['Content-Length', ['Content-Length: 37']],
	['Received', ['Received: from a by b; Sun, 01 Mar 2026 12:00:00 +0000', 'Received: from c by a; Sun, 01 Mar 2026 11:00:00 +0000']],
	['Resent fields', ['Resent-From: author@signed.example', 'Resent-Date: Sun, 01 Mar 2026 13:00:00 +0000', 'Resent-To: x@sink.example']],
);

sub new {
	my ($class, %o) = @_;
	my $why = Enma::Signer->missing || $o{mta}->missing;
	Enma::Proc::run_command(cmd => ['scripts/e2e-deps'], seconds => 300) if $why;
	$why = Enma::Signer->missing;
	skip_all($why) if $why;
	my $signer = Enma::Signer->new(domain => DOMAIN);
	my %change = map { $_ => delete $o{$_} || {} } qw(taken relayed);
	my ($proxy, $service) = (undef, delete $o{service});
	my $self = Enma::Cases::new($class, %o, zone => $signer->zone, conf => ['dkim.signheader_limit' => 20],
		services => sub {
			my ($w) = @_;
			$proxy = Enma::MilterProxy->new(to => $w->{unix});
			return { traced => { milter => $proxy->address } } if $o{mta}->name ne 'Postfix';
			# "remote": clients that claim an address by XCLIENT are still this host's to the rewriting of headers.
			return { traced => { smtpd_milters => $proxy->address }, remote => { local_header_rewrite_clients => '' } };
		});
	$self->{signer} = $signer;
	$self->{has} = { map { $_ => Enma::Signer->has($_) } qw(python opendkim) };
	$self->{proxy} = $proxy;
	$self->{service} = $service;
	$self->{change} = \%change;
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
	my ($self, $stage, $name, $field) = @_;
	for my $rule (map { $self->{change}{$_}{$name} || () } $stage eq 'relayed' ? qw(taken relayed) : $stage) {
		my ($pattern, $reason) = @$rule;
		return [$field, 'fail', $reason] if tag($field, 'c') =~ $pattern;
	}
	return [$field, 'pass'];
}

# Send many over one connection, then see what arrived: [NAME, BYTES, want ...], want as for results_are.
sub all_are {
	my ($self, @rows) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $client = $self->open_client(service => $self->{service});
	my @to;
	for my $row (@rows) {
		push @to, $self->new_recipient;
		my ($code, $text) = $client->send_mail(from => 'user@pass.example', to => $to[-1], params => 'BODY=8BITMIME', data => $row->[1]);
		die "$row->[0]: $code $text\n" if $code ne '250';
	}
	$client->quit;
	my @delivered;
	for my $row (@rows) {
		my ($name, undef, @want) = @$row;
		push @delivered, $self->sink->wait_for(shift @to);
		results_are($delivered[-1], $name, @want);
	}
	return @delivered;
}

# Taken once, and what was delivered once more.
sub twice {
	my ($self, @rows) = @_;
	my @delivered = $self->all_are(map { my ($name, $message, @field) = @$_;
		["$name: " . @field . ' signatures', join('', @field) . $message, map { $self->expected('taken', $name, $_) } @field] } @rows);
	$self->all_are(map { my ($name, undef, @field) = @$_;
		["$name: relayed once more", (shift @delivered)->{raw}, map { $self->expected('relayed', $name, $_) } @field] } @rows);
	return;
}

sub run_matrix {
	my ($self) = @_;
	my ($message, $signed) = $self->signed_matrix;
	$self->twice(map { [$MATRIX[$_][0], $message->[$_], @{ $signed->[$_] }] } 0 .. $#MATRIX);
	return;
}

# Messages that an MTA is likely to touch.
sub run_touched {
	my ($self) = @_;
	return plan(skip_all => 'python3-dkim is not there: these fields need a signer that signs what it is told') if !$self->{has}{python};
	my @rows = map { [$_->[0], join_message([@USUAL, 'Subject: test', @{ $_->[1] }], $TEXT)] } @TOUCHED;
	# Fields that are not there for the MTA to add them.
	push @rows, ['no Date, no Message-ID', join_message([(grep { !/^(?:Date|Message-ID)/ } @USUAL), 'Subject: test'], $TEXT)];
	push @rows, ['no Date, no Message-ID, signed as absent', $rows[-1][1], qw(Date Message-ID)];
	my @jobs = map { my ($name, $message, @absent) = @$_;
		my @h = ((grep { !/^content-transfer/i } map { $_->[0] } fields($message)), @absent);
		map { [$message, key => 'ed25519', c => $_, h => \@h] } qw(simple/simple relaxed/relaxed) } @rows;
	my @field = $self->{signer}->python(@jobs);
	$self->twice(map { [@$_[0, 1], splice @field, 0, 2] } @rows);
	return;
}

sub run_changed {
	my ($self) = @_;
	my @header = (@USUAL, 'Subject: test');
	my $message = join_message(\@header, $TEXT);
	my ($relaxed, $simple, $oversigned) = map { $self->sign($message, @$_) } [], [c => 'simple/simple'], [h => [qw(From To Subject Subject From)]];
	my $other = join_message(\@header, "$TEXT\r\nSent by the list.\r\n");
	my $resigned = $self->sign($other, key => 'ed25519');
	my $forged = $relaxed =~ s/(\bb=.)(.)/$1 . ($2 eq 'A' ? 'B' : 'A')/er;
	my $changed = sub { my ($from, $to) = @_; return $message =~ s/$from/$to/r };
	my @rows = (
		['unchanged', "$relaxed$message", [$relaxed, 'pass']],
		['a changed body', $relaxed . $changed->('this is', 'this was'), [$relaxed, 'fail', BODY_BAD]],
		['a lost line of the body', $relaxed . $changed->(qr/this.*\r\n/, ''), [$relaxed, 'fail', BODY_BAD]],
		['an emptied body', $relaxed . join_message(\@header, ''), [$relaxed, 'fail', BODY_BAD]],
		['a changed header', $relaxed . $changed->('Subject: test', 'Subject: Test'), [$relaxed, 'fail', HEAD_BAD]],
		['another author', $relaxed . $changed->('author@', 'editor@'), [$relaxed, 'fail', HEAD_BAD]],
		['a field that is gone', $relaxed . $changed->(qr/Subject.*\r\n/, ''), [$relaxed, 'fail', HEAD_BAD]],
		['a field that nobody signed', "$relaxed${simple}X-List: some\r\n$message", [$relaxed, 'pass'], [$simple, 'pass']],
		['blanks alone changed', $relaxed . $simple . $changed->('Subject: test', 'Subject:   test '), [$relaxed, 'pass'], [$simple, 'fail', HEAD_BAD]],
		['a blank at a line end', $relaxed . $simple . $changed->("message\\.\r\n", "message. \r\n"),
			[$relaxed, 'pass'], [$simple, 'fail', BODY_BAD]],
		['a changed signature', "$forged$message", [$forged, 'fail', HEAD_BAD]],
		['two signatures, one of another body', "$relaxed$resigned$other", [$relaxed, 'fail', BODY_BAD], [$resigned, 'pass']],
		['two signatures, one changed', "$forged$simple$message", [$forged, 'fail', HEAD_BAD], [$simple, 'pass']],
		['the footer of a list', "$relaxed${simple}List-Id: <l.example>\r\n$other", [$relaxed, 'fail', BODY_BAD], [$simple, 'fail', BODY_BAD]],
	);
	# Two fields of that name at most are named here: one that comes on top breaks the signature.
	push @rows, ['a second Subject', "${oversigned}Subject: buy\r\n$message", [$oversigned, 'fail', HEAD_BAD]],
		['a second From', "${oversigned}From: boss\@bank.example\r\n$message", [$oversigned, 'fail', HEAD_BAD]] if $self->{has}{python};
	$self->all_are(@rows);
	return;
}

# Packets of the body that the MTA sent for the last message, and whether it was told to skip the rest.
sub body_packets {
	my ($self) = @_;
	my (@packets, $skipped);
	for my $e ($self->{proxy}->events) {
		my (undef, $way, $letter, $length) = @$e;
		(@packets, $skipped) = () if $way eq '>' && $letter eq 'M';
		push @packets, $length if $way eq '>' && $letter eq 'B';
		$skipped = @packets if $way eq '<' && $letter eq 's';
	}
	return (\@packets, $skipped);
}

sub run_skipped_body {
	my ($self) = @_;
	my $body = ('0123456789 ' x 7 . "\r\n") x 4_000;
	my $message = join_message([@USUAL, 'Subject: test'], $body);
	my $signature = $self->sign($message);
	my $client = $self->open_client(service => 'traced');
	for my $round (1, 2) {
		my $unsigned = $self->mail_over($client, from => 'user@pass.example', data => $message);
		like((fields_named($unsigned->{raw}, 'Authentication-Results'))[0], qr/;\s+dkim=none\b/, "unsigned: none, message $round of a connection");
		my ($packets, $skipped) = $self->body_packets;
		is($skipped, 1, 'the milter says skip to the first piece of the body');
		is(scalar @$packets, 1, 'and no other is sent') or diag("@$packets");
		cmp_ok($packets->[0], '<', length $body, 'which was not all');
		my $signed = $self->mail_over($client, from => 'user@pass.example', data => $signature . $message);
		results_are($signed, 'signed', [$signature, 'pass']);
		($packets, $skipped) = $self->body_packets;
		is($skipped, undef, 'signed: nothing is skipped');
		my $sum = 0;
		$sum += $_ for @$packets;
		is($sum, length $body, 'the whole body is sent');
	}
	my $none = $self->mail_over($client, from => 'user@pass.example', data => join_message([@USUAL], ''));
	like((fields_named($none->{raw}, 'Authentication-Results'))[0], qr/;\s+dkim=none\b/, 'no signature and no body: none');
	$client->quit;
	return;
}

sub run_log {
	my ($self) = @_;
	my $message = join_message([@USUAL, 'Subject: test'], $TEXT);
	my $signature = $self->sign($message);
	my ($delivered) = $self->all_are(['for the log', "$signature$message", [$signature, 'pass']]);
	my ($id) = $delivered->{raw} =~ /\bid (\w+)/;
	my $line = wait_until(10, sub { (grep { /\Q$id\E/ } split /\n/, $self->enma->log)[0] }, "no log line for $id");
	like($line, qr/\bdkim=pass\b/, 'the log line has the result');
	like($line, qr/\Q${\DOMAIN}\E/, 'and the domain');
	is($self->enma->stop, 0, 'the daemon ends well');
	is_deeply([grep { $_ =~ Enma::Cases::COMPLAINT() } split /\n/, $self->enma->log], [], 'no complaint in the log');
	return;
}

sub run_all {
	my ($self) = @_;
	for my $part (qw(matrix touched changed skipped_body log)) {
		my $code = $self->can("run_$part");
		$self->part($part => sub { $self->$code });
	}
	return;
}

1;
