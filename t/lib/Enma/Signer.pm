# Enma::Signer - messages signed by programs that are not ours: python3-dkim and OpenDKIM.
#
#	my $why = Enma::Signer->missing;                reason to skip, or undef; Enma::Signer->has('opendkim') for one of them
#	my $signer = Enma::Signer->new(domain => 'signed.example');     makes a key of each kind
#	$signer->zone                                   zone lines of the public keys
#	my @field = $signer->python([$message, key => 'rsa', c => 'simple/relaxed', h => [NAME, ...]], ...)
#	my @field = $signer->opendkim($messages, key => 'rsa', c => 'simple/relaxed', conf => [LINE, ...])
#
# A message is bytes with CRLF; its From is of the domain.  What comes back is a DKIM-Signature field for each message, with
# its line end, to be put in front of it.  Keys: rsa (2048 bits) and ed25519; the selector is the name of the key.  h names
# the signed fields as often as they stand there (python3-dkim).  OpenDKIM is the real daemon in signing mode, asked as an
# MTA asks it; conf are further lines of its configuration.

package Enma::Signer;

use strict;
use warnings;

use Cwd qw(abs_path);
use IO::Socket::UNIX;
use JSON::PP ();
use MIME::Base64 qw(encode_base64);

use Enma::AuthRes qw(fields);
use Enma::MilterClient;
use Enma::Proc qw(at_end spawn is_alive run_command wait_until work_dir slurp spew);

use constant {
	CLIENT  => '192.0.2.1',		# whom OpenDKIM signs for
	PYTHON  => '/usr/bin/python3',	# the one that packages belong to
	TXT_MAX => 200,			# of the 255 bytes that a string of a record may have
	CHUNK   => 65_535,		# body bytes in a packet
};

# Signs jobs from stdin, prints the fields.
my $PYTHON = <<'END';
import dkim, json, sys
dkim.DKIM.SHOULD_NOT = ()  # h says what is signed
out = []
for job in json.load(sys.stdin):
    data = lambda name: job[name].encode()
    field = dkim.sign(bytes.fromhex(job['message']), data('s'), data('d'), data('key'),
        canonicalize=tuple(c.encode() for c in job['c'].split('/')), signature_algorithm=data('a'),
        include_headers=[h.encode() for h in job['h']] if job['h'] else None)
    out.append(field.hex())
print(json.dumps(out))
END

# Where scripts/e2e-deps unpacked OpenDKIM: for this build folder, or for all in build/; or an installed one.
sub opendkim_command {
	my ($home) = grep { -e "$_/.complete" } map { "$_/e2e/opendkim" } $ENV{ENMA_BUILD} || (), 'build';
	if (!$home) {
		my ($program) = grep { -x } qw(/usr/sbin/opendkim /usr/local/sbin/opendkim);
		return $program ? { cmd => $program, env => {} } : undef;
	}
	$home = abs_path($home);
	my @lib = grep { -d } glob("$home/usr/lib/*-linux-*"), glob("$home/lib/*-linux-*"), "$home/usr/lib";
	return { cmd => "$home/usr/sbin/opendkim", env => { LD_LIBRARY_PATH => join ':', @lib, $ENV{LD_LIBRARY_PATH} || () } };
}

sub has {
	my ($class, $what) = @_;
	my $try = $what eq 'python' ? [cmd => [PYTHON, '-c', 'import dkim, nacl']] : undef;
	if ($what eq 'opendkim') {
		my $o = opendkim_command() or return 0;
		$try = [cmd => [$o->{cmd}, '-V'], env => $o->{env}];
	}
	return 0 if !-x $try->[1][0];
	return (run_command(@$try))[0] == 0;
}

sub missing {
	my ($class) = @_;
	return 'openssl is not installed: no keys' if !eval { (run_command(cmd => ['openssl', 'version']))[0] == 0 };
	return 'neither python3-dkim nor OpenDKIM is there' if !grep { $class->has($_) } qw(python opendkim);
	return;
}

sub openssl {
	my (@arg) = @_;
	my ($status, $text) = run_command(cmd => ['openssl', @arg], seconds => 60);
	die "openssl @arg: $text" if $status;
	return;
}

sub new {
	my ($class, %o) = @_;
	my $self = bless { domain => $o{domain}, dir => work_dir(), daemon => {} }, $class;
	my $dir = $self->{dir};
	openssl('genrsa', '-traditional', '-out', "$dir/rsa.pem", 2048);
	openssl('genpkey', '-algorithm', 'ed25519', '-out', "$dir/ed25519.pem");
	chmod 0600, "$dir/$_.pem" or die "$dir: $!" for qw(rsa ed25519);
	for my $key (qw(rsa ed25519)) {
		openssl('pkey', '-in', "$dir/$key.pem", '-pubout', '-outform', 'DER', '-out', "$dir/$key.pub");
	}
	openssl('pkey', '-in', "$dir/ed25519.pem", '-outform', 'DER', '-out', "$dir/ed25519.der");
	# RFC 8463: the bare key, not its wrapping, which is in front.
	$self->{private} = { rsa => slurp("$dir/rsa.pem"), ed25519 => encode_base64(substr(slurp("$dir/ed25519.der"), -32), '') };
	$self->{public} = { rsa => encode_base64(slurp("$dir/rsa.pub"), ''), ed25519 => encode_base64(substr(slurp("$dir/ed25519.pub"), -32), '') };
	return $self;
}

sub zone {
	my ($self) = @_;
	return join '', map {
		my $text = "v=DKIM1; k=$_; p=$self->{public}{$_}";
		"$_._domainkey.$self->{domain} TXT " . join(' ', map { "\"$_\"" } unpack '(a' . TXT_MAX . ')*', $text) . "\n";
	} sort keys %{ $self->{public} };
}

sub python {
	my ($self, @jobs) = @_;
	my @todo = map {
		my ($message, %o) = @$_;
		{ message => unpack('H*', $message), s => $o{key}, d => $self->{domain}, key => $self->{private}{ $o{key} },
			a => "$o{key}-sha256", c => $o{c}, h => $o{h} };
	} @jobs;
	my ($status, $text) = run_command(cmd => [PYTHON, '-c', $PYTHON], stdin => JSON::PP::encode_json(\@todo), seconds => 60);
	die "python3-dkim: $text" if $status;
	return map { pack 'H*', $_ } @{ JSON::PP::decode_json($text) };
}

sub start_opendkim {
	my ($self, %o) = @_;
	my $base = work_dir();
	my $key = "$self->{dir}/$o{key}.pem";
	spew("$base/conf", join '', map { "$_\n" } 'Mode s', 'Background no', 'Syslog no', "Socket local:$base/socket", 'UMask 000',
		"Domain $self->{domain}", "Selector $o{key}", "KeyFile $key", "SignatureAlgorithm $o{key}-sha256",
		"Canonicalization $o{c}", 'InternalHosts ' . CLIENT, 'RequireSafeKeys no', @{ $o{conf} || [] });
	my $program = opendkim_command();
	my $pid = spawn(cmd => [$program->{cmd}, '-f', '-x', "$base/conf"], env => $program->{env}, log => "$base/log");
	at_end(sub { Enma::Proc::stop($pid, signal => 'KILL') });	# asked politely it takes 5 s
	# The socket is there before somebody listens.
	wait_until(20, sub { IO::Socket::UNIX->new(Peer => "$base/socket") || !is_alive($pid) }, 'OpenDKIM does not start');
	die 'OpenDKIM: ', slurp("$base/log") if !is_alive($pid);
	return { pid => $pid, address => "unix:$base/socket", log => "$base/log" };
}

# As an MTA that leaves the blank behind the colon to the filter.
sub ask_opendkim {
	my ($daemon, $message) = @_;
	my ($head, $body) = split /(?<=\r\n)\r\n/, $message, 2;
	my $m = Enma::MilterClient->new($daemon->{address});
	$m->connect('client.example', CLIENT);
	$m->helo('client.example');
	my @header = map { my ($name, $value) = @$_; $value =~ s/\r\n/\n/g; [$name, $value] } fields($head);
	my $r = $m->message(from => '<author@example.org>', qid => 'Q1', headers => \@header, body => [unpack "(a" . CHUNK . ")*", $body]);
	$m->quit;
	my @field = map { $_->[3] } grep { $_->[0] eq 'i' && $_->[2] eq 'DKIM-Signature' } @{ $r->{edits} };
	die "OpenDKIM did not sign: $r->{code} ", slurp($daemon->{log}) if @field != 1;
	return 'DKIM-Signature:' . $field[0] =~ s/\r?\n/\r\n/gr . "\r\n";
}

sub opendkim {
	my ($self, $messages, %o) = @_;
	my $daemon = $self->{daemon}{"$o{key} $o{c} @{ $o{conf} || [] }"} ||= $self->start_opendkim(%o);
	return map { ask_opendkim($daemon, $_) } @$messages;
}

1;
