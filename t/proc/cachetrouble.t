#!/usr/bin/perl
# What the cache depends on goes wrong - its state file, its folder, the disk, the room in its map - and mail goes on with correct answers, the cache comes back
# by itself, and the log says what happened.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Path qw(remove_tree);
use Test::More;
use Time::HiRes qw(time);

use lib dirname(__FILE__) . '/../lib';
use Enma::Cache qw(dns slow BIG_BYTES);
use Enma::Daemon;
use Enma::DNS;
use Enma::Proc qw(wait_until run_command work_dir slurp spew);

plan skip_all => Enma::Daemon::missing() if Enma::Daemon::missing();
plan skip_all => Enma::DNS::missing() if Enma::DNS::missing();

use constant { WORKERS => 2, OTHER_BOOT => '00000000-1111-2222-3333-444444444444', MIB => 1 << 20 };

my $dns = dns();
my $tags = 0;

sub make { return Enma::Cache->new($dns, 'c' . ++$tags, 'worker.count' => WORKERS, @_) }

# ---- the state file -----------------------------------------------------------------------------------------------------

sub state_edit {
	my ($e, $from, $to) = @_;
	my $text = slurp($e->state_file);
	$text =~ s/$from/$to/m or die "no $from in: $text";
	spew($e->state_file, $text);
	return;
}

# name, what is done between stop and start, whether what was stored is still there, what the log says
my @state = (
	[ 'clean stop',             sub { }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'garbage',                sub { spew($_[0]->state_file, "\x00\xff garbage\n" x 9) }, 0, qr/new cache file .*not a state file of this version/ ],
	[ 'empty',                  sub { spew($_[0]->state_file, '') }, 0, qr/new cache file .*not a state file of this version/ ],
	[ 'removed',                sub { unlink $_[0]->state_file }, 0, qr/new cache file .*there was none/ ],
	[ 'ordinary reboot',        sub { state_edit($_[0], '^boot .*', 'boot ' . OTHER_BOOT) }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'unclean reboot',         sub { state_edit($_[0], '^boot .*', 'boot ' . OTHER_BOOT); state_edit($_[0], '^clean 1', 'clean 0') }, 0,
		qr/new cache file .*the system was not shut down cleanly/ ],
	[ 'same boot, not clean',   sub { state_edit($_[0], '^clean 1', 'clean 0') }, 1, qr/cache file \S+: \d+ entries/ ],
	[ 'another LMDB', sub {
		my ($e) = @_;
		my $old = $e->file;
		(my $new = $old) =~ s/lmdb[\d.]+-/lmdb9.9.9-/ or die $old;
		rename $old, $new or die;
		rename "$old-lock", "$new-lock" or die;
		state_edit($e, 'lmdb[0-9.]+-', 'lmdb9.9.9-');
		$e->{other} = $new;
		# Somebody has it open, as LMDB does it: a lock on the first byte of the lock file.
		my $script = 'use Fcntl; open my $f, "+<", $ARGV[0] or die; my $l = pack "s s x4 q q i x4", F_RDLCK, 0, 0, 1, 0; fcntl $f, F_SETLK, $l or die; ' .
			'syswrite STDOUT, "locked\n"; sleep 600;';
		$e->{holder} = Enma::Proc::spawn(cmd => [$^X, '-e', $script, "$new-lock"], log => "$e->{dir}/holder");
		wait_until(10, sub { slurp("$e->{dir}/holder") =~ /locked/ }, 'somebody has the other file open');
	}, 0, qr/new cache file .*of another version/ ],
);

for my $case (@state) {
	my ($name, $change, $is_warm, $said) = @$case;
	subtest "state file: $name" => sub {
		my $e = make()->start;
		is($e->result('a@old.p.test'), 'pass', 'a message');
		wait_until(10 * slow(), sub { $e->ask('cache get old.p.test TXT') =~ /\Aok\nD/ }, 'it is stored');
		is($e->enma->stop, 0, 'stop');
		my $file = $e->file;
		$e->mark_log;
		$change->($e);
		$e->start;
		$e->process_pid;
		my @has = $e->ask('cache get old.p.test TXT') =~ /\Aok\n(D)/;
		is(scalar @has, $is_warm, $is_warm ? 'it is warm' : 'it begins empty');
		is(scalar(() = $e->lines($said)), 1, 'the log says so once') or diag $e->complaints;
		$e->works($name);
		is($e->file eq $file ? 1 : 0, $is_warm, $is_warm ? 'the same file' : 'another file');
		if ($e->{other}) {
			ok(-s $e->{other}, 'the other file is left alone while somebody uses it');
			Enma::Proc::stop($e->{holder});
			$e->enma->stop;
			$e->start;
			$e->process_pid;
			ok(!-e $e->{other}, 'and removed when nobody does');
			$e->works('afterwards');
		}
		is($e->enma->stop, 0, 'stop');
	};
}

# ---- the folder ---------------------------------------------------------------------------------------------------------

subtest 'folder removed while running' => sub {
	my $e = make()->start;
	$e->load_begin('--rate', 100);
	$e->has_entries( 50);
	$e->mark_log;
	remove_tree($e->folder);
	# Folders are made by the supervisor, which may be root, before it starts a cache process; meanwhile there is none.
	wait_until(10 * slow(), sub { $e->lines(qr/cache\[\d+\]: error: /) }, 'the log says so');
	my @first = $e->lines(qr/cache\[\d+\]: error: /);
	like($first[0], qr/the cache file is given up: .*it was removed/, 'in one line');
	select undef, undef, undef, 2;
	cmp_ok(scalar(() = $e->lines(qr/cache\[\d+\]: (?:error|warn): /)), '<=', 3, 'not again and again') or diag $e->complaints;
	mkdir $e->folder, 0750 or diag "$!";
	$e->works('with a folder', 40);
	$e->no_wrong_answer( 6);
	note $e->complaints;
	is($e->workers_crashed, 0, 'no worker was lost');
	is($e->enma->stop, 0, 'stop');
};

subtest 'folder made read-only' => sub {
	my @user = $> == 0 ? ('milter.user' => 'nobody') : ();
	my $e = make(@user)->start;
	$e->load_begin('--rate', 100);
	$e->has_entries( 50);
	$e->mark_log;
	chmod 0500, $e->folder or die;
	$e->works('what is open stays in use');
	unlink $e->file or die;
	wait_until(10 * slow(), sub { $e->lines(qr/no cache for now: .*Permission denied/) }, 'a new file cannot be made, and the log says why');
	is($e->result('a@x.f.test'), 'fail', 'mail goes on');
	cmp_ok(scalar(() = $e->lines(qr/no cache for now/)), '==', 1, 'once');
	chmod 0750, $e->folder or die;
	$e->works('writable again', 40);
	$e->no_wrong_answer( 6);
	is($e->enma->stop, 0, 'stop');
};

for my $case ([ 'writable for all', sub { chmod 0777, $_[0] or die }, sub { chmod 0750, $_[0] or die } ],
	[ 'of another user', sub { chown 12345, 12345, $_[0] or die }, sub { chown 0, 0, $_[0] or die } ]) {
	my ($name, $spoil, $mend) = @$case;
	subtest "folder $name" => sub {
		plan skip_all => 'only root can give a folder away' if $name =~ /user/ && $> != 0;
		my $e = make();
		mkdir $e->folder, 0750 or die;
		$spoil->($e->folder);
		$e->start;
		wait_until(10 * slow(), sub { $e->lines(qr/others may write to this folder/) }, 'it is refused, with the reason');
		is($e->result('a@x.p.test'), 'pass', 'mail goes on');
		is($e->result('a@x.f.test'), 'fail', 'with correct answers');
		$mend->($e->folder);
		$e->works('mended', 40);
		cmp_ok(scalar(() = $e->lines(qr/cache\[\d+\]: (?:error|warn): /)), '<=', 2, 'said once') or diag $e->complaints;
		is($e->enma->stop, 0, 'stop');
	};
}

# ---- room ---------------------------------------------------------------------------------------------------------------

# Names whose answers are large.  Runs until $done.
sub pour {
	my ($e, $done, $what) = @_;
	$e->load_begin('--from', "u\@h%d.$e->{tag}.b.test", '--connections', 6);
	my $from = time;
	wait_until(40 * slow(), $done, $what);
	note sprintf '%s: %.1f s', $what, time - $from;
	return;
}

subtest 'map full' => sub {
	my $e = make('cache.size' => '16m')->start;
	my $hits = $e->hits;
	pour($e, sub { ($e->ask('cache stats') =~ /^class txt .*inserted=(\d+)/m)[0] * BIG_BYTES > 3 * 16 * MIB }, 'three maps full');
	$e->works('while it is full');
	cmp_ok($e->hits, '>', $hits, 'hits go on');
	my ($used, $map) = ($e->number('cache.used_bytes'), $e->number('cache.map_bytes'));
	cmp_ok($used, '<=', $map, "used: $used of $map bytes");
	$e->no_wrong_answer( 0);
	is($e->number('cache.process.crashed') + $e->workers_crashed, 0, 'nobody died');
	is($e->number('cache.write_errors'), 0, 'nothing was lost to a full map');
	note join ' ', map { "$_=" . $e->number("cache.$_") } qw(dropped_all gc.runs offers.lost entries);
	is($e->enma->stop, 0, 'stop');
};

subtest 'disk full' => sub {
	plan skip_all => 'mounting a file system needs root' if $> != 0;
	my $mount = work_dir();
	my ($status, $text) = run_command(cmd => [qw(unshare -m true)]);
	plan skip_all => "no mount namespace of our own: $text" if $status != 0;
	my $e = make('cache.path' => "$mount/cache/cache", 'cache.size' => '16m');
	# The daemon and a second process that fills and empties the disk beside it, in a namespace of their own.
	my $script = "mount -t tmpfs -o size=20m,mode=755 none $mount || { echo no tmpfs; exit 1; }; mkdir -m 750 $mount/cache; " .
		"while sleep 0.05; do if [ -e $e->{dir}/fill ]; then rm $e->{dir}/fill; dd if=/dev/zero of=$mount/ballast bs=64k 2>/dev/null; echo filled; fi; " .
		"if [ -e $e->{dir}/free ]; then rm $e->{dir}/free $mount/ballast; echo freed; fi; done & exec " . Enma::Daemon::build() . '/enma -f -c ' . $e->enma->conf_file;
	$e->enma->{pid} = Enma::Proc::spawn(cmd => ['unshare', '-m', 'sh', '-c', $script], log => $e->enma->dir . '/output');
	my $up = eval { wait_until(20 * slow(), sub { $e->enma->log =~ /no tmpfs/ || eval { $e->process->{state} eq 'READY' } }) };
	plan skip_all => 'no tmpfs can be mounted: ' . $e->enma->log if !$up || $e->enma->log =~ /no tmpfs/;
	$e->load_begin('--from', "u\@h%d.$e->{tag}.b.test", '--rate', 100);
	$e->has_entries( 50);
	$e->mark_log;
	spew("$e->{dir}/fill", '');
	wait_until(20 * slow(), sub { $e->number('cache.write_errors') > 0 || $e->lines(qr/No space left/) }, 'the disk is full');
	is($e->result('a@x.p.test'), 'pass', 'mail goes on');
	is($e->result('a@x.f.test'), 'fail', 'with correct answers');
	select undef, undef, undef, 2;
	my @said = $e->lines(qr/No space left/);
	cmp_ok(scalar @said, '>=', 1, 'the log says so');
	cmp_ok(scalar @said, '<=', 4, 'not again and again') or diag $e->complaints;
	spew("$e->{dir}/free", '');
	$e->works('with room again', 40);
	$e->no_wrong_answer( 6);
	note $e->complaints;
	cmp_ok($e->number('cache.process.crashed') + $e->workers_crashed, '<=', 2 + WORKERS, 'no crash loop');
	is($e->enma->stop, 0, 'stop');
};

done_testing();
