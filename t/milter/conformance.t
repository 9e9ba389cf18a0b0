# The published suites of RFC 7208, DKIM and DomainKeys through the running daemon: a milter client sends each case, DNS is the suites' own server
# over loopback.  The suites are other projects' data and not part of this one; without them this test says so.
use strict;
use warnings;
use Test::More;

use Enma::Daemon;
use Enma::Proc qw(spawn run_command wait_until work_dir slurp free_port is_alive);

my $suite = '../shared/conformance';
plan skip_all => "the external suite is not there ($suite)" unless -d $suite && glob "$suite/spf7208-*.json";
plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
# Debian's own: what else may be called python3 need not have the standard library complete.
my ($python) = grep { -x } '/usr/bin/python3';
plan skip_all => 'python3 is not installed' unless $python;

my $dir = work_dir();
# The server takes a port for UDP and wants the same one for TCP, which somebody else may have: then it is another one's turn.
my ($control, $port);
for my $try (1 .. 10) {
	$control = free_port();
	my $pid = spawn(cmd => [$python, '-u', "$suite/tools/testdns.py", '--port', 0, '--control-port', $control], log => "$dir/dns$try");
	wait_until(20, sub {
		($port) = slurp("$dir/dns$try") =~ /port (\d+)/;
		return $port || !is_alive($pid);
	}, 'the DNS server starts');
	last if $port;
	die 'the DNS server ended: ' . slurp("$dir/dns$try") if $try == 10 || slurp("$dir/dns$try") !~ /Address already in use/;
}

my $milter = free_port();
my $enma = Enma::Daemon->new(conf => [
	'milter.socket' => "inet:$milter\@127.0.0.1",
	'resolver.forward' => "127.0.0.1\@$port",
	'resolver.deadline' => '30s',
	'common.exclusion_addresses' => '',
	'domainkeys.auth' => 'yes',
]);
$enma->start;

# A new generation for each zone exercises reload under way.  The shared cache outlives generations, so what it knows of the zone before has to
# go, and so have the memories of all workers, those that are about to leave included.
my $ctl = join ' ', Enma::Daemon::build() . '/enmactl', '-c', $enma->conf_file;
my $flush = "$ctl reload && $ctl cache purge";
sub run_groups {
	my ($name, $want, @groups) = @_;
	my ($status, $text) = run_command(seconds => 280, cmd => [$python, "$suite/tools/runner.py", '--milter', "inet:$milter\@127.0.0.1",
		'--control', $control, '--authserv-id', 'mx.example.jp', '--jobs', 8, '--zone-cmd', "{ $flush; } >/dev/null", @groups]);
	my ($passed, $failed, $skipped) = $text =~ /^(\d+) passed, (\d+) failed, (\d+) skipped$/m;
	is $passed, $want, "$name: cases passed";
	is $failed, 0, "$name: cases failed";
	is $skipped, 0, "$name: cases skipped";
	diag $text if $status || ($passed // 0) != $want;
	unlike $text, qr/cannot parse/, "$name: every field is understood by the independent parser, where it is installed";
	return;
}

run_groups('SPF', 203, glob "$suite/spf7208-*.json");
# As RFC 8301 has it: rsa-sha1 and short keys are no pass.
run_groups('DKIM', 31, "$suite/dkim-maildkim-a.json");
run_groups('DomainKeys', 9, "$suite/domainkeys-maildkim-a.json");
is $enma->stop, 0, 'the daemon ended well';
done_testing;
