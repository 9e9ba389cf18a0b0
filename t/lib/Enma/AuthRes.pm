# Enma::AuthRes - read a delivered message as its receiver would.
#
#	fields($raw)                    header fields in order: [name, value, bytes];
#	                                stops at the empty line (or the end)
#	fields_named($raw, $name)       the values of the fields of that name
#	parse($value)                   an Authentication-Results value (RFC 8601
#	                                section 2.2), strictly: dies on a syntax error
#	result($parsed, $method, $ptype, $property)   the one result that has the
#	                                property, as { result, value, ... }, or undef
#
# parse gives { id, version, results => [ { method, version, result, reason,
# props => [ [ptype, property, value], ... ] }, ... ] }; quoted strings come
# without their quoting, a local part is kept as it is written.
#
# Written for the tests alone, apart from the daemon's own parser: the two
# shall not make the same mistake.

package Enma::AuthRes;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(fields fields_named parse result);

my $KEYWORD = qr/[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/;
my $TOKEN   = qr/[!#\$%&'*+\-.0-9A-Z^_`a-z{|}~\x80-\xff]+/;		# RFC 2045, EAI
my $ATOM    = qr/[!#\$%&'*+\-\/0-9=?A-Z^_`a-z{|}~\x80-\xff]+/;		# RFC 5322, EAI
my $DOMAIN  = qr/[A-Za-z0-9_\-\x80-\xff]+(?:\.[A-Za-z0-9_\-\x80-\xff]+)*/;

sub fields {
	my ($raw) = @_;
	my @field;
	for my $line (split /(?<=\n)/, $raw) {
		last if $line =~ /^\r?\n\z/;
		if ($line =~ /^[ \t]/ && @field) {
			$field[-1] .= $line;
		} else {
			push @field, $line;
		}
	}
	return map {
		my ($name, $value) = /^([^:]*?)[ \t]*:(.*)\z/s ? ($1, $2) : ($_, undef);
		$value =~ s/\r?\n\z// if defined $value;
		[$name, $value, $_];
	} @field;
}

sub fields_named {
	my ($raw, $name) = @_;
	return map { $_->[1] } grep { lc $_->[0] eq lc $name && defined $_->[1] } fields($raw);
}

sub fail {
	my ($what) = @_;
	my $at = pos() || 0;
	die "not an Authentication-Results field: $what expected at $at in <$_>\n";
}

# Comments and folding white space; true when there was any.
sub cfws {
	my $start = pos() || 0;
	while (1) {
		next if /\G(?:\r?\n)?[ \t]+/gc;
		last if !/\G\(/gc;
		my $depth = 1;
		while ($depth) {
			if    (/\G\\./gcs)            { }
			elsif (/\G\(/gc)              { $depth++ }
			elsif (/\G\)/gc)              { $depth-- }
			elsif (/\G[^\\()]/gcs)        { }
			else                          { fail('end of comment') }
		}
	}
	return pos() && pos() > $start;
}

sub quoted {
	/\G"((?:[^"\\\r\n]|\\.|\r?\n[ \t])*)"/gc or return;
	my $text = $1;
	$text =~ s/\r?\n(?=[ \t])//g;
	$text =~ s/\\(.)/$1/g;
	return $text;
}

sub value {
	my $text = quoted();
	return $text if defined $text;
	return $1 if /\G($TOKEN)/gc;
	return;
}

# pvalue = [CFWS] ( value / [ [ local-part ] "@" ] domain-name ) [CFWS]
sub pvalue {
	cfws();
	if (/\G((?:$ATOM(?:\.$ATOM)*|"(?:[^"\\]|\\.)*")?\@$DOMAIN)/gc) {
		return $1;
	}
	my $text = value();
	defined $text or fail('property value');
	return $text;
}

sub resinfo {
	my %r = (props => []);
	cfws();
	/\G($KEYWORD)/gc or fail('method');
	$r{method} = lc $1;
	cfws();
	if (/\G\//gc) {
		cfws();
		/\G(\d+)/gc or fail('method version');
		$r{version} = $1;
		cfws();
	}
	/\G=/gc or fail('"="');
	cfws();
	/\G($KEYWORD)/gc or fail('result');
	$r{result} = lc $1;
	my $apart = cfws();
	if ($apart && /\Greason\b/gci) {
		cfws();
		/\G=/gc or fail('"=" after reason');
		cfws();
		$r{reason} = value();
		defined $r{reason} or fail('reason');
		$apart = cfws();
	}
	while (/\G($KEYWORD)/gc) {
		my $ptype = lc $1;
		$apart or fail('white space before a property');
		cfws();
		/\G\./gc or fail('"." after ptype');
		cfws();
		/\G($KEYWORD)/gc or fail('property');
		my $property = lc $1;
		cfws();
		/\G=/gc or fail('"=" after property');
		push @{ $r{props} }, [$ptype, $property, pvalue()];
		$apart = cfws();
	}
	return \%r;
}

sub parse {
	my ($text) = @_;
	local $_ = $text;
	pos() = 0;
	my %ar = (results => []);
	cfws();
	$ar{id} = value();
	defined $ar{id} or fail('authserv-id');
	cfws() and /\G(\d+)/gc and $ar{version} = $1;
	cfws();
	if (/\G;\s*none\b/gci) {
		cfws();
		/\G\z/gc or fail('end after none');
		return \%ar;
	}
	while (/\G;/gc) {
		push @{ $ar{results} }, resinfo();
		cfws();
	}
	/\G\z/gc or fail('end');
	@{ $ar{results} } or fail('a result or none');
	return \%ar;
}

sub result {
	my ($ar, $method, $ptype, $property) = @_;
	my @found;
	for my $r (grep { $_->{method} eq $method } @{ $ar->{results} }) {
		for my $prop (@{ $r->{props} }) {
			push @found, { %$r, value => $prop->[2] }
				if $prop->[0] eq $ptype && $prop->[1] eq $property;
		}
	}
	die "$method with $ptype.$property is there twice\n" if @found > 1;
	return $found[0];
}

1;
