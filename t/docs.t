#!/usr/bin/perl
# docs.t - the generated documents are in step with the table of settings, the manual pages have no warning, and the
# Japanese ones say as much as the English ones.
use strict;
use warnings;
use Encode ();
use File::Basename qw(basename);
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

sub put {
	my ($path, $text) = @_;
	open my $f, '>', $path or die "$path: $!";
	print $f $text;
	close $f or die "$path: $!";
}

my @made = ('etc/enma.conf', 'doc/enma.conf.5', 'doc/ja/enma.conf.5');
my $translation = 'doc/ja/settings.txt';

my ($code, $out) = run_capture({}, 'scripts/gen-docs', '--check');
is($code, 0, "@made are in step with the table") or diag $out;

# The check itself: a copy with one changed line fails and says which line, and writing repairs it.
my $copy = tempdir(CLEANUP => 1);
mkdir "$copy/$_" or die $! for qw(etc doc doc/ja);
copy($_, "$copy/$_") or die "$_: $!" for @made, $translation;
($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
is($code, 0, 'an exact copy passes') or diag $out;
for my $file (@made) {
	my $text = slurp("$copy/$file");
	$text =~ s/(spf\.void_lookup_limit)/$1_changed/ or die;
	put("$copy/$file", $text);
	($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
	is($code, 1, "a changed $file fails");
	like($out, qr/^-.*void_lookup_limit_changed/m, 'with a diff');
	($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs');
	is($code, 0, 'writing works');
	is(slurp("$copy/$file"), slurp($file), 'and repairs it');
}

# A translation is complete and has nothing else.
for my $case (
	[ 'without a setting', sub { $_[0] =~ s/^spf\.explog\t.*\n//m }, qr/^\S+: spf\.explog: not translated$/m ],
	[ 'without a group', sub { $_[0] =~ s/^spf\.\t.*\n//m }, qr/: spf\.: not translated$/m ],
	[ 'without a phrase', sub { $_[0] =~ s/^\@restart\t.*\n//m }, qr/: \@restart: not translated$/m ],
	[ 'of a setting that does not exist', sub { $_[0] .= "spf.explogs\tx\n" }, qr/:\d+: spf\.explogs: there is no such/ ],
	[ 'with a setting twice', sub { $_[0] .= "spf.auth\tx\n" }, qr/:\d+: spf\.auth: is there twice/ ],
	[ 'with an empty text', sub { $_[0] =~ s/^(spf\.auth\t).*/$1/m }, qr/:\d+: spf\.auth\t: want "key TAB text"/ ],
	[ 'with a line without a tab', sub { $_[0] .= "spf.auth x\n" }, qr/:\d+: spf\.auth x: want "key TAB text"/ ],
) {
	my ($name, $change, $says) = @$case;
	my ($text, $before) = (slurp($translation), slurp("$copy/doc/ja/enma.conf.5"));
	$change->($text);
	isnt($text, slurp($translation), "a translation $name");
	put("$copy/$translation", $text);
	for my $mode ([ '--check' ], []) {
		($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', @$mode);
		is($code, 1, "is refused (@$mode)");
		like($out, $says, 'with the key and the reason');
	}
	is(slurp("$copy/doc/ja/enma.conf.5"), $before, 'and nothing is written');
}
unlink "$copy/$translation" or die $!;
($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
is($code, 1, 'no translation at all is refused');
like($out, qr/settings\.txt/, 'with the name of the file');
copy($translation, "$copy/$translation") or die $!;

for my $file ('doc/ja/enma.conf.5', 'doc/enma.conf.5') {
	put("$copy/$file", ".Dd nothing\n");
	($code, $out) = run_capture({ ENMA_DOCS => $copy }, 'scripts/gen-docs', '--check');
	is($code, 1, "a $file without the marks is refused");
	like($out, qr/\Q$file\E: want one line/, 'with the reason');
}

# Every setting is in both, and the table knows every setting that the sample names.
my $manual = slurp('doc/enma.conf.5');
my %in_manual = map { $_ => 1 } $manual =~ /^\.It Ic ([a-z0-9_.]+) :/mg;
my %in_sample = map { $_ => 1 } slurp('etc/enma.conf') =~ /^#([a-z0-9]+\.[a-z0-9_]+):/mg;
ok(keys %in_manual >= 50, 'the manual lists the settings');
is_deeply([ sort keys %in_sample ], [ sort keys %in_manual ], 'the sample and the manual list the same ones');

my @pages = sort glob 'doc/*.[158]';
ok(@pages >= 4, 'there are manual pages');
for my $page (@pages, glob 'doc/ja/*.[158]') {
	# Exit code 2 and above: warnings, errors.  References to pages that are not installed are a matter of style.
	($code, $out) = run_capture({}, 'mandoc', '-Tlint', '-Wwarning', '-K', 'utf-8', $page);
	is($code, 0, "mandoc has no warning about $page") or diag $out;
}

# The Japanese pages: the same sections, options, commands and settings in the same order.
is_deeply([ map { basename($_) } sort glob 'doc/ja/*.[158]' ], [ map { basename($_) } @pages ], 'each page is there in both languages');
for my $page (@pages) {
	my $english = slurp($page);
	my $japanese = slurp('doc/ja/' . basename($page));
	for my $macro (qw(Sh Ss)) {
		my @sections = map { scalar(() = /^\.$macro /mg) } $english, $japanese;
		is($sections[1], $sections[0], "$page: as many .$macro");
	}
	my @items = map { [ /^(\.It (?:Fl|Cm|Ic) .*)/mg ] } $english, $japanese;
	is_deeply($items[1], $items[0], "$page: the same options, commands and settings");
	my @status = map { [ /^(\.It \d+)$/mg ] } $english, $japanese;
	is_deeply($status[1], $status[0], "$page: the same exit codes");
	my @dates = map { /^(\.Dd .*)/m } $english, $japanese;
	is($dates[1], $dates[0], "$page: of the same day");
	ok(eval { Encode::decode('UTF-8', my $bytes = $japanese, Encode::FB_CROAK); 1 }, "$page: the Japanese one is UTF-8");
}

# Where they are installed.
($code, $out) = run_capture({}, 'make', '-n', 'install', 'DESTDIR=/there', 'PREFIX=/usr');
is($code, 0, 'make -n install') or diag $out;
my ($gone_code, $gone) = run_capture({}, 'make', '-n', 'uninstall', 'DESTDIR=/there', 'PREFIX=/usr');
is($gone_code, 0, 'make -n uninstall') or diag $gone;
for my $page (@pages) {
	my ($name, $section) = (basename($page), substr $page, -1);
	for ([ $page, "man$section/$name" ], [ "doc/ja/$name", "ja/man$section/$name" ]) {
		my ($from, $to) = ($_->[0], "/there/usr/share/man/$_->[1]");
		like($out, qr/install -m 644 \Q$from\E \Q$to\E(?!\S)/, "$from is installed as $to");
		like($gone, qr/rm -f .*(?<=\s)\Q$to\E(?!\S)/, 'and removed');
	}
}

done_testing();
