#!/usr/bin/perl
# docs.t - the generated documents are in step with the table of settings, and the manual pages have no warning.
use strict;
use warnings;
use File::Copy qw(copy);
use File::Temp qw(tempdir);
use Test::More;

sub run_capture {
	my ($out, $env, @cmd) = ('', @_);
	local %ENV = (%ENV, %$env);
	open my $pipe, '-|', 'sh', '-c', 'exec "$@" 2>&1', 'sh', @cmd or die "cannot run $cmd[0]: $!";
	{ local $/; $out = <$pipe> // ''; }
	close $pipe;
	return ($? >> 8, $out);
}

sub slurp {
	open my $f, '<', $_[0] or die "$_[0]: $!";
	local $/;
	return <$f>;
}

my ($code, $out) = run_capture({}, 'scripts/gen-docs', '--check');
is($code, 0, 'etc/enma.conf and doc/enma.conf.5 are in step with the table') or diag $out;

# The check itself: a copy with one changed line fails and says which line, and writing repairs it.
my $copy = tempdir(CLEANUP => 1);
mkdir "$copy/$_" or die $! for qw(etc doc);
copy('etc/enma.conf', "$copy/etc/enma.conf") or die $!;
copy('doc/enma.conf.5', "$copy/doc/enma.conf.5") or die $!;
($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
is($code, 0, 'an exact copy passes') or diag $out;
for my $file ('etc/enma.conf', 'doc/enma.conf.5') {
	my $text = slurp("$copy/$file");
	$text =~ s/(spf\.void_lookup_limit)/$1_changed/ or die;
	open my $f, '>', "$copy/$file" or die $!;
	print $f $text;
	close $f;
	($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
	is($code, 1, "a changed $file fails");
	like($out, qr/^-.*void_lookup_limit_changed/m, 'with a diff');
	($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs');
	is($code, 0, 'writing works');
	is(slurp("$copy/$file"), slurp($file), 'and repairs it');
}
open my $f, '>', "$copy/doc/enma.conf.5" or die $!;
print $f ".Dd nothing\n";
close $f;
($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
is($code, 1, 'a manual without the marks is refused');
like($out, qr/want one line/, 'with the reason');

# Every setting is in both, and the table knows every setting that the sample names.
my $manual = slurp('doc/enma.conf.5');
my %in_manual = map { $_ => 1 } $manual =~ /^\.It Ic ([a-z0-9_.]+) :/mg;
my %in_sample = map { $_ => 1 } slurp('etc/enma.conf') =~ /^#([a-z0-9]+\.[a-z0-9_]+):/mg;
ok(keys %in_manual >= 50, 'the manual lists the settings');
is_deeply([ sort keys %in_sample ], [ sort keys %in_manual ], 'the sample and the manual list the same ones');

my @pages = sort glob 'doc/*.[158]';
ok(@pages > 0, 'there are manual pages');
for my $page (@pages) {
	# Exit code 2 and above: warnings, errors.  References to pages that are not installed are a matter of style.
	($code, $out) = run_capture({}, 'mandoc', '-Tlint', '-Wwarning', $page);
	is($code, 0, "mandoc has no warning about $page") or diag $out;
}

done_testing();
