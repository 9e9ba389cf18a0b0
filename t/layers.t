# The rules of the source tree hold, and scripts/check-layers would notice if they did not: each rule is broken once in a
# small tree of its own.
use strict;
use warnings;
use File::Basename qw(dirname);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use Test::More;

sub check {
	my (@args) = @_;
	open my $out, '-|', 'scripts/check-layers', @args or die "check-layers: $!";
	my @lines = <$out>;
	close $out;
	return ($? >> 8, join '', @lines);
}

sub plant {
	my (%file) = @_;
	my $dir = tempdir(CLEANUP => 1);
	for my $path (keys %file) {
		make_path(dirname("$dir/$path"));
		open my $f, '>', "$dir/$path" or die "$dir/$path: $!";
		print $f $file{$path};
		close $f or die "$dir/$path: $!";
	}
	return $dir;
}

# A tree that keeps all rules; what is added to it is what the check sees.
my %good = (
	'common/base/a.h' => "#include <stddef.h>\n",
	'common/base/log.h' => "\n",
	'common/mail/m.h' => "#include \"common/base/a.h\"\n",
	'common/mail/m.c' => "#include \"common/mail/m.h\"\n#include \"version.h\"\n",
	'common/dns/d.h' => "#include \"common/base/log.h\"\n",
	'common/auth/e.c' => "#include \"common/mail/m.h\"\n#include \"common/dns/d.h\"\n",
	'common/ipc/i.h' => "#include \"common/base/a.h\"\n",
	'cache/c.h' => "#include \"common/ipc/i.h\"\n",
	'worker/w.h' => "#include \"cache/c.h\"\n",
	'worker/milter.c' => "#include <libmilter/mfapi.h>\n",
	'master/enmactl_x.c' => "#include <jansson.h>\n",
	't/unit/test_w.c' => "#include <cmocka.h>\n#include <jansson.h>\n#include \"worker/w.h\"\n",
	'common/base/words.c' => "/* strcpy(a) */ char *s = \"gets(x)\"; my_strcpy(s); int atoi; // sprintf(\n",
	'doc/x.md' => "../sha" . "red/conformance is optional\n",
);

my ($code, $text) = check();
is $text, '', 'this tree keeps the rules';
is $code, 0, 'and the exit code says so';
($code, $text) = check(plant(%good));
is $text, '', 'a small tree that keeps the rules';
is $code, 0, 'exit code 0';

my @bad = (
	[ 'common/base/a.c', "\n#include \"common/mail/m.h\"\n", 'common/base/a.c:2: include: common/base may not include common/mail', 'upward' ],
	[ 'common/mail/x.c', "#include \"common/dns/d.h\"\n", 'common/mail/x.c:1: include: common/mail may not include common/dns', 'sideways' ],
	[ 'common/auth/x.c', "#include \"common/ipc/i.h\"\n", 'include: common/auth may not include common/ipc', 'sideways in the third layer' ],
	[ 'common/ipc/x.h', "#include \"cache/c.h\"\n", 'include: common/ipc may not include cache', 'cache from below' ],
	[ 'cache/x.c', "#  include \"worker/w.h\"\n", 'include: cache may not include worker', 'worker from below' ],
	[ 'master/x.c', "#include \"worker/w.h\"\n", 'include: master may not include worker', 'worker from master' ],
	[ 'worker/x.c', "#include \"t/unit/unit.h\"\n", 'belongs to no layer', 'a test from the program', 't/unit/unit.h' ],
	[ 'worker/x.c', "#include \"w.h\"\n", 'path: "w.h" is not a path from the root', 'a relative path' ],
	[ 'worker/x.c', "#include \"worker/gone.h\"\n", 'path: "worker/gone.h"', 'a file that is not there' ],
	[ 'common/mail/x.c', "#include \"common/base/log.h\"\n", 'engine: common/mail may not include', 'an engine that logs' ],
	[ 'worker/x.c', "#include <libmilter/mfapi.h>\n", 'worker/x.c:1: door: <libmilter/mfapi.h>', 'libmilter' ],
	[ 'worker/x.c', "#include <unbound.h>\n", 'door: <unbound.h>', 'libunbound' ],
	[ 'common/dns/x.c', "#include <unbound-event.h>\n", 'door: <unbound-event.h>', 'libunbound, events' ],
	[ 'common/dns/x.c', "#include <event2/event.h>\n", 'door: <event2/event.h>', 'libevent' ],
	[ 'common/mail/x.c', "#include <idn2.h>\n", 'door: <idn2.h>', 'libidn2' ],
	[ 'common/auth/x.c', "#include <libpsl.h>\n", 'door: <libpsl.h>', 'libpsl' ],
	[ 'master/x.c', "#include <systemd/sd-daemon.h>\n", 'door: <systemd/sd-daemon.h>', 'libsystemd' ],
	[ 'worker/x.c', "#include <jansson.h>\n", 'door: <jansson.h>', 'jansson' ],
	[ 'common/auth/x.c', "#include <openssl/evp.h>\n", 'door: <openssl/evp.h>', 'OpenSSL' ],
	[ 'cache/x.c', "#include <lmdb.h>\n", 'door: <lmdb.h>', 'LMDB' ],
	[ 'worker/x.c', "#include <cmocka.h>\n", 'door: <cmocka.h>', 'cmocka outside tests' ],
	[ 'README.md', "see /wor" . "k/main\n", 'README.md:1: word: a path of one machine', 'a machine path in a document' ],
	[ 't/x.t', "in the sand" . "box\n", 't/x.t:1: word:', 'a workplace word in a test' ],
	[ 'scripts/x', "../sha" . "red/style.md\n", 'scripts/x:1: word: a path outside the tree', 'a path outside the tree' ],
	map { [ 'common/base/x.c', "void f(void)\n{\n\t$_ (a);\n}\n", "common/base/x.c:3: function: $_() may not be called", "call of $_" ] }
	    qw(strcpy strcat sprintf strncpy strncat strtok gets alloca atoi),
);

for my $case (@bad) {
	my ($path, $content, $want, $name, @more) = @$case;
	($code, $text) = check(plant(%good, $path => $content, map { $_ => "\n" } @more));
	like $text, qr/\Q$want\E/, "found: $name";
	is scalar(() = $text =~ /\n/g), 1, 'and nothing else';
	is $code, 1, 'exit code 1';
}

($code, $text) = check(tempdir(CLEANUP => 1));
is $code, 2, 'an empty folder is not taken for a good tree';
done_testing;
