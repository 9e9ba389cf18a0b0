# Enma::MTA::Sendmail - a private Sendmail for a test, run from its unpacked
# packages (scripts/e2e-deps): own configuration, queue and port in a temporary
# folder, loopback only, gone when the test ends.
#
# The interface is that of Enma::MTA::Postfix.  Differences, all Sendmail's:
#	- no XCLIENT: a client's address is the loopback address it binds to
#	  (open_as(ip => '127.0.0.2')), and its name cannot be chosen;
#	- no SMTPUTF8 in Debian's build;
#	- the sendmail command delivers past every milter unless it speaks SMTP
#	  on its standard input (submit does that: sendmail -bs, as mail programs do);
#	- services: { NAME => { filter_flags => 'F=T', milter => ADDRESS } }; F=T (4xx
#	  when the milter is away) is what "main" has, undef is none.
# Needs root: it runs as root and so reads a queue that nobody else may.

package Enma::MTA::Sendmail;

use strict;
use warnings;

use POSIX ();

use Enma::Proc qw(spawn is_alive run_command wait_until work_dir free_port slurp spew);
use Enma::SMTP;

use constant START_TRIES => 3;

# Where scripts/e2e-deps put it: for this build folder, or for all in build/.
sub home {
	my @home = grep { -e "$_/.complete" } map { "$_/e2e/sendmail" } $ENV{ENMA_BUILD} || (), 'build';
	return $home[0];
}

sub missing {
	return 'a private Sendmail needs root' if $> != 0;
	return 'Sendmail is not unpacked' if !home();
	return 'the host name has no dot (Sendmail would wait a minute) and unshare --uts is not allowed'
		if !has_full_hostname() && (run_command(cmd => [own_hostname('true')]))[0] != 0;
	return;
}

# Before it reads its configuration Sendmail looks its host name up, sleeps 60 s
# when that gives no name with a dot, and may ask DNS.  A name that looks like an
# address spares both; it is set in a UTS namespace and used for nothing else.
sub own_hostname {
	my (@cmd) = @_;
	return ('unshare', '--uts', '--', '/bin/sh', '-c',
		'echo 127.0.0.1 >/proc/sys/kernel/hostname && exec "$@"', 'sh', @cmd);
}

sub has_full_hostname { return (POSIX::uname())[1] =~ /\./ }

sub name { return 'Sendmail' }

# It answers 451 itself; Debian's build does not negotiate larger packets.
sub passes_huge_fields { return 0 }

sub new {
	my ($class, %o) = @_;
	my $home = home();
	my @lib = grep { -d } glob "$home/usr/lib/*-linux-*";
	chomp(my $root = `cd '$home' && pwd`);
	@lib = map { s/^\Q$home\E/$root/r } @lib;
	return bless { %o, home => $root, binary => "$root/usr/libexec/sendmail/sendmail",
		env => { LD_LIBRARY_PATH => join ':', @lib, $ENV{LD_LIBRARY_PATH} || () } }, $class;
}

# inet:PORT@HOST is Sendmail's own order; local: is its name for unix:.
sub milter_address {
	my ($address) = @_;
	$address =~ s/^unix:/local:/;
	return $address;
}

sub mc {
	my ($self) = @_;
	my ($dir, $relay) = ($self->{dir}, $self->{sink}->port);
	my %service = (main => { filter_flags => 'F=T' }, %{ $self->{services} || {} });
	my $text = <<"END";
divert(-1)
include(`$self->{home}/usr/share/sendmail/cf/m4/cf.m4')
divert(0)dnl
OSTYPE(`linux')dnl
FEATURE(`no_default_msa')dnl
FEATURE(`nocanonify')dnl
RELAY_DOMAIN(`sink.example')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
define(`confDOMAIN_NAME', `mta.example')dnl
define(`confSERVICE_SWITCH_FILE', `$dir/conf/service.switch')dnl
define(`confHOSTS_FILE', `$dir/conf/hosts')dnl
define(`confPID_FILE', `$dir/pid')dnl
define(`confCW_FILE', `$dir/conf/none')dnl
define(`QUEUE_DIR', `$dir/queue')dnl
define(`STATUS_FILE', `$dir/statistics')dnl
define(`ALIAS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confDONT_BLAME_SENDMAIL', `TrustStickyBit')dnl
define(`confLOG_LEVEL', `9')dnl
define(`confDELIVERY_MODE', `background')dnl
define(`confPRIVACY_FLAGS', `authwarnings')dnl
define(`confCONNECTION_RATE_THROTTLE', `0')dnl
define(`confREFUSE_LA', `100000')dnl
define(`confQUEUE_LA', `100000')dnl
define(`confDELAY_LA', `0')dnl
define(`confMAX_HEADERS_LENGTH', `0')dnl
define(`confBAD_RCPT_THROTTLE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl
define(`ESMTP_MAILER_ARGS', `TCP \$h $relay')dnl
define(`confEIGHT_BIT_HANDLING', `pass8')dnl
END
	for my $name (sort keys %service) {
		my $milter = milter_address($service{$name}{milter} || $self->{milter});
		my $flags = exists $service{$name}{filter_flags} ? $service{$name}{filter_flags} : 'F=T';
		$self->{port}{$name} = free_port();
		$text .= "DAEMON_OPTIONS(`Port=$self->{port}{$name}, Addr=127.0.0.1, Name=$name"
			. ($name eq 'main' ? '' : ", InputMailFilters=$name") . "')dnl\n";
		$text .= "MAIL_FILTER(`$name', `S=$milter, " . (defined $flags ? "$flags, " : '') . "T=C:10s;S:10s;R:30s;E:60s')dnl\n";
	}
	$text .= "define(`confINPUT_MAIL_FILTERS', `main')dnl\n";
	return $text . "MAILER(`smtp')dnl\n";
}

sub prepare {
	my ($self) = @_;
	my $dir = $self->{dir} = work_dir();
	mkdir "$dir/$_" or die "$dir/$_: $!" for qw(conf log queue);
	chmod 0700, "$dir/queue" or die "$dir/queue: $!";
	spew("$dir/conf/none", '');
	spew("$dir/conf/service.switch", "hosts files\naliases files\npasswd files\n");
	spew("$dir/conf/hosts", "127.0.0.1 mta.example localhost\n");
	spew("$dir/conf/sendmail.mc", $self->mc);
	my ($status, $text) = run_command(env => $self->{env}, cmd => ["$self->{home}/usr/bin/m4",
		"-D_CF_DIR_=$self->{home}/usr/share/sendmail/cf/", "$dir/conf/sendmail.mc"]);
	$status == 0 or die "m4: $text";
	spew("$dir/conf/sendmail.cf", $text);
	return;
}

sub is_ready {
	my ($self) = @_;
	wait_until(30, sub {
		!is_alive($self->{pid}) || eval { $self->client($_)->quit for keys %{ $self->{port} }; 1 };
	}, 'Sendmail does not answer');
	return is_alive($self->{pid});
}

sub start {
	my ($self) = @_;
	for (1 .. START_TRIES) {
		$self->prepare;
		$self->{pid} = spawn(cmd => [$self->command('-bD', '-q5s', '-X', "$self->{dir}/log/traffic")],
			env => $self->{env}, log => "$self->{dir}/log/stderr");
		return $self if $self->is_ready;
		warn $self->log if $self->log !~ /address already in use/i;
		$self->stop;
	}
	die "Sendmail does not start\n";
}

sub command {
	my ($self, @arg) = @_;
	my @cmd = ($self->{binary}, '-C', "$self->{dir}/conf/sendmail.cf", @arg);
	return has_full_hostname() ? @cmd : own_hostname(@cmd);
}

sub stop {
	my ($self) = @_;
	Enma::Proc::stop(delete $self->{pid}, seconds => 20) if $self->{pid};
	return;
}

sub DESTROY {
	my ($self) = @_;
	local ($@, $?);
	$self->stop if !${^GLOBAL_PHASE} || ${^GLOBAL_PHASE} ne 'DESTRUCT';
	return;
}

sub client {
	my ($self, $service, $bind) = @_;
	return Enma::SMTP->new(port => $self->{port}{ $service || 'main' }, bind => $bind);
}

sub open_as {
	my ($self, %o) = @_;
	my $c = $self->client($o{service}, $o{ip});
	my ($code, $text) = $c->helo($o{helo});
	$code eq '250' or die "EHLO $o{helo}: $code $text\n";
	return $c;
}

sub submit {
	my ($self, $bytes, %o) = @_;
	pipe my $from_mta, my $mta_out or die "pipe: $!";
	pipe my $mta_in, my $to_mta or die "pipe: $!";
	my $pid = spawn(env => $self->{env}, log => "$self->{dir}/log/stderr", keep => [$mta_in, $mta_out], code => sub {
		open STDIN, '<&', $mta_in or die "stdin: $!";
		open STDOUT, '>&', $mta_out or die "stdout: $!";
		exec $self->command('-bs') or die "sendmail: $!\n";
	});
	close $_ for $mta_in, $mta_out;
	my $c = Enma::SMTP->over($from_mta, $to_mta);
	$c->helo('localhost');
	$bytes =~ s/\r?\n/\r\n/g;
	my ($code, $text) = $c->send_mail(from => $o{from}, to => $o{to}, data => $bytes);
	$c->quit;
	Enma::Proc::stop($pid);
	$code eq '250' or die "sendmail command: $code $text\n";
	return;
}

sub log {
	my ($self) = @_;
	return join '', map { -e "$self->{dir}/log/$_" ? slurp("$self->{dir}/log/$_") : () } qw(stderr traffic);
}

sub queue {
	my ($self) = @_;
	my (undef, $text) = run_command(env => $self->{env}, cmd => [$self->command('-bp')]);
	return $text;
}

1;
