# Enma::MTA::Postfix - a private Postfix for a test: own configuration, queue
# and ports in a temporary folder, loopback only, gone when the test ends.
#
#	my $why = Enma::MTA::Postfix->missing;          reason to skip, or undef
#	my $mta = Enma::MTA::Postfix->new(milter => 'inet:PORT@127.0.0.1', sink => $sink,
#		services => { accept => { milter_default_action => 'accept' } },
#		main => { header_size_limit => 200_000 });
#	$mta->start;
#	$mta->client($service)       Enma::SMTP connected to that smtpd
#	$mta->open_as(ip => A, name => N, helo => H, service => S, login => L)
#	                             the same, having claimed a client address
#	$mta->submit($bytes, from => F, to => [...])    Postfix's own sendmail command
#	$mta->log                    the mail log so far
#	$mta->queue                  output of postqueue -p
#	$mta->stop
#
# Every instance has the smtpd services "main" and one more per key of
# services, whose pairs override main.cf for it (as -o in master.cf).  Milter
# addresses are written as the daemon's (inet:PORT@HOST, unix:PATH).
# Test clients on loopback may claim any client address with XCLIENT.  All mail
# goes to the sink.  Needs root: Postfix changes users.

package Enma::MTA::Postfix;

use strict;
use warnings;

use Enma::Proc qw(spawn is_alive run_command wait_until work_dir free_port slurp spew);
use Enma::SMTP;

use constant START_TRIES => 3;

sub missing {
	return 'a private Postfix needs root' if $> != 0;
	return 'Postfix is not installed' if !tool('postfix');
	return 'Postfix has no user "postfix" here' if !defined getpwnam 'postfix';
	return;
}

sub tool {
	my ($name) = @_;
	return (grep { -x } map { "$_/$name" } qw(/usr/sbin /usr/local/sbin /sbin))[0];
}

sub name { return 'Postfix' }

# Does it pass a field on that is longer than a milter packet by default (64 KB)?
sub passes_huge_fields { return 1 }

sub new {
	my ($class, %o) = @_;
	my ($status, $text) = run_command(cmd => [tool('postconf'), '-d', '-h', 'daemon_directory']);
	$status == 0 or die "postconf: $text";
	chomp $text;
	return bless { %o, daemon_dir => $text }, $class;
}

# inet:PORT@HOST is the milter library's order, inet:HOST:PORT is Postfix's.
sub milter_address {
	my ($address) = @_;
	$address =~ s/^inet:(\d+)\@(.*)$/inet:$2:$1/;
	$address =~ s/^(?:local|unix):/unix:/;
	return $address;
}

sub main_cf {
	my ($self) = @_;
	my ($dir, $milter) = ($self->{dir}, milter_address($self->{milter}));
	my %setting = (
		compatibility_level => '3.6',
		queue_directory => "$dir/queue",
		data_directory => "$dir/data",
		daemon_directory => $self->{daemon_dir},
		mail_owner => 'postfix',
		setgid_group => 'postdrop',
		alias_maps => '',
		alias_database => '',
		local_recipient_maps => '',
		maillog_file => "$dir/log/maillog",
		maillog_file_prefixes => $dir,
		import_environment => 'MAIL_CONFIG TZ LANG=C',
		inet_interfaces => 'loopback-only',
		inet_protocols => 'all',	# clients may claim IPv6 addresses
		myhostname => 'mta.example',
		mydestination => '',
		mynetworks => '',
		relay_domains => 'sink.example',
		relayhost => '[127.0.0.1]:' . $self->{sink}->port,
		disable_dns_lookups => 'yes',
		smtp_host_lookup => 'native',
		smtpd_peername_lookup => 'no',
		smtpd_recipient_restrictions => 'reject_unauth_destination',
		smtpd_authorized_xclient_hosts => '127.0.0.0/8',
		smtputf8_enable => 'yes',
		smtpd_milters => $milter,
		non_smtpd_milters => $milter,
		milter_protocol => '6',
		milter_default_action => 'tempfail',
		milter_connect_timeout => '10s',
		milter_command_timeout => '30s',
		milter_content_timeout => '30s',
		# A test must not meet the brakes made for spammers.
		smtpd_error_sleep_time => '0',
		smtpd_soft_error_limit => '1000',
		smtpd_hard_error_limit => '1000',
		smtpd_client_connection_count_limit => '0',
		smtpd_client_connection_rate_limit => '0',
		in_flow_delay => '0',
		%{ $self->{main} || {} },
	);
	return join '', map { "$_ = $setting{$_}\n" } sort keys %setting;
}

sub master_cf {
	my ($self) = @_;
	my %service = (main => {}, %{ $self->{services} || {} });
	my @line;
	for my $name (sort keys %service) {
		$self->{port}{$name} = free_port();
		push @line, "127.0.0.1:$self->{port}{$name} inet n - n - - smtpd";
		for my $key (sort keys %{ $service{$name} }) {
			my $value = $service{$name}{$key};
			$value = milter_address($value) if $key =~ /milters$/;
			push @line, "  -o { $key = $value }";
		}
	}
	push @line, map { /^(\S+) (.*)$/ ? "$1 unix $2" : () } split /\n/, <<'END';
pickup n - n 1 1 pickup
cleanup n - n - 0 cleanup
qmgr n - n 1 1 qmgr
rewrite - - n - - trivial-rewrite
bounce - - n - 0 bounce
defer - - n - 0 bounce
trace - - n - 0 bounce
flush n - n 1000? 0 flush
proxymap - - n - - proxymap
smtp - - n - - smtp
relay - - n - - smtp
showq n - n - - showq
error - - n - - error
retry - - n - - error
discard - - n - - discard
anvil - - n - 1 anvil
END
	push @line, 'postlog unix-dgram n - n - 1 postlogd';
	return join '', map { "$_\n" } @line;
}

sub prepare {
	my ($self) = @_;
	my $dir = $self->{dir} = work_dir();
	mkdir "$dir/$_" or die "$dir/$_: $!" for qw(conf queue data log);
	chown +(getpwnam 'postfix')[2, 3], "$dir/data" or die "$dir/data: $!";
	spew("$dir/conf/main.cf", $self->main_cf);
	spew("$dir/conf/master.cf", $self->master_cf);
	my ($status, $text) = run_command(cmd => [tool('postfix'), '-c', "$dir/conf", 'check'], seconds => 60);
	$status == 0 or die "postfix check: $text";
	return;
}

# Ready means: every smtpd greets.  False when a port was taken meanwhile.
sub is_ready {
	my ($self) = @_;
	if (!is_alive($self->{pid})) {
		return 0 if $self->log =~ /address already in use/i;
		die "Postfix did not start:\n", $self->log;
	}
	wait_until(30, sub {
		!is_alive($self->{pid}) || eval { $self->client($_)->quit for keys %{ $self->{port} }; 1 };
	}, 'Postfix does not answer');
	return is_alive($self->{pid});
}

sub start {
	my ($self) = @_;
	for (1 .. START_TRIES) {
		$self->prepare;
		$self->{pid} = spawn(cmd => ["$self->{daemon_dir}/master", '-s', '-c', "$self->{dir}/conf"],
			env => { MAIL_CONFIG => "$self->{dir}/conf" }, log => "$self->{dir}/log/stderr");
		return $self if $self->is_ready;
		$self->stop;
	}
	die "no free ports for Postfix\n", $self->log;
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
	my ($self, $service) = @_;
	return Enma::SMTP->new(port => $self->{port}{ $service || 'main' });
}

sub open_as {
	my ($self, %o) = @_;
	my $c = $self->client($o{service});
	$c->helo($o{helo});
	my %attr = (ADDR => $o{ip}, NAME => $o{name} || '[UNAVAILABLE]');
	$attr{LOGIN} = $o{login} if defined $o{login};
	$c->xclient(%attr);
	my ($code, $text) = $c->helo($o{helo});
	$code eq '250' or die "EHLO $o{helo}: $code $text\n";
	return $c;
}

sub submit {
	my ($self, $bytes, %o) = @_;
	my ($status, $text) = run_command(stdin => $bytes, cmd => [tool('sendmail'),
		'-C', "$self->{dir}/conf", '-i', (defined $o{from} ? ('-f', $o{from}) : ()), '--', @{ $o{to} }]);
	$status == 0 or die "sendmail command: $text";
	return;
}

sub log {
	my ($self) = @_;
	return join '', map { -e "$self->{dir}/log/$_" ? slurp("$self->{dir}/log/$_") : () } qw(maillog stderr);
}

sub queue {
	my ($self) = @_;
	my (undef, $text) = run_command(cmd => [tool('postqueue'), '-c', "$self->{dir}/conf", '-p']);
	return $text;
}

1;
