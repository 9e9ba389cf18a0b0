# Enma::Workers - look at a running enma's processes, and keep it under load.
#
#	zone_file($dir)                  file for resolver.zone: pass.example passes for 192.0.2.0/24
#	quiet()                          settings that ask no DNS server: (key => value, ...)
#	status($enma)                    enmactl --json status, decoded
#	stats($enma)                     enmactl --json stats, decoded
#	ready($enma)                     workers that are READY, hashes as in status
#	ready_pids($enma)                their process ids, sorted
#	worker_pids($enma)               of all workers that live, asked of the system alone, sorted
#	load_begin($dir, $socket, @option)   milterload in the background
#	load_end($load)                  its counters once it has ended by itself
#	fd_count($pid), rss_kb($pid)     of any process
#	is_running($pid)                 there, and no zombie

package Enma::Workers;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

use Enma::Proc qw(spawn is_alive wait_until slurp spew stop);

our @EXPORT_OK = qw(zone_file quiet status stats ready ready_pids worker_pids load_begin load_end fd_count rss_kb is_running);

sub build { return $ENV{ENMA_BUILD} || 'build' }

sub zone_file {
	my ($dir) = @_;
	spew("$dir/zone", qq(pass.example TXT "v=spf1 ip4:192.0.2.0/24 -all"\nmail.pass.example TXT "v=spf1 a -all"\nmail.pass.example A 192.0.2.1\n));
	return "$dir/zone";
}

# Port 9 of the loopback refuses at once: what the zone does not know is not waited for.
sub quiet {
	my ($dir) = @_;
	return ('resolver.zone' => zone_file($dir), 'resolver.forward' => '127.0.0.1@9');
}

sub decoded {
	my ($enma, $command) = @_;
	my ($code, $text) = $enma->ctl('--json', $command);
	my $data = eval { JSON::PP::decode_json($text) };
	die "enmactl $command: exit code $code: $text" if !$data;
	return $data;
}

sub status { return decoded($_[0], 'status') }
sub stats  { return decoded($_[0], 'stats') }

sub ready { return grep { $_->{state} eq 'READY' } @{ status($_[0])->{workers} || [] } }

sub ready_pids {
	my ($enma) = @_;
	return sort { $a <=> $b } map { $_->{pid} } ready($enma);
}

# Nobody is asked: a stuck or leaving worker is there, too.
sub worker_pids {
	my ($enma) = @_;
	my @children = split ' ', slurp('/proc/' . $enma->pid . '/task/' . $enma->pid . '/children');
	return sort { $a <=> $b } grep { (eval { slurp("/proc/$_/comm") } || '') =~ /^enma: worker$/ } @children;
}

sub load_begin {
	my ($dir, $socket, @option) = @_;
	my $log = "$dir/load" . int(rand 1e9);
	my $pid = spawn(cmd => [build() . '/t/milterload', '--connect', $socket, '--json', '--ip', '192.0.2.1', '--from', 'user%d@pass.example',
		'--helo', 'mail.pass.example', '--expect', 'spf=pass', @option], log => $log);
	return { pid => $pid, log => $log };
}

sub load_end {
	my ($load, $seconds) = @_;
	wait_until($seconds || 60, sub { !is_alive($load->{pid}) }, 'milterload ends');
	my $status = stop($load->{pid});
	my $text = slurp($load->{log});
	my ($json) = $text =~ /^(\{.*\})\s*$/ms;
	my $data = $json ? eval { JSON::PP::decode_json($json) } : undef;
	die "milterload: status $status: $text" if !$data;
	$data->{exit_code} = $status >> 8;
	$data->{output} = $text;
	return $data;
}

sub fd_count {
	my ($pid) = @_;
	opendir my $dir, "/proc/$pid/fd" or return 0;
	return scalar grep { /^\d+$/ } readdir $dir;
}

sub rss_kb {
	my ($pid) = @_;
	my ($kb) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
	return $kb;
}

sub is_running {
	my ($pid) = @_;
	my $stat = eval { slurp("/proc/$pid/stat") } or return 0;
	return $stat !~ /^\d+ \(.*\) [ZX] /s;
}

1;
