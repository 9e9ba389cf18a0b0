/*
 * The published RFC 7208 suite, run through eval in this process.  It is not part of this tree: without the folder
 * ../shared/conformance there is one line that says so.
 */
#include "t/unit/spf_unit.h"

#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include <jansson.h>

#include "common/base/buf.h"

enum { CASES_WANTED = 203 };

static const char *suite_dir = "../shared/conformance";
static unsigned passed, failed;

/* ---- zone text from JSON ---- */

static void
put_name(struct buf *b, const char *name)
{
	for (const char *p = name; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;

		if (ascii_is_alnum(c) || c == '-' || c == '_' || c == '.')
			buf_byte(b, (char)c);
		else
			buf_fmt(b, "\\%03u", c);
	}
	if (name[0] == '\0')
		buf_byte(b, '.');
}

static void
put_text(struct buf *b, const char *p, size_t n)
{
	buf_str(b, " \"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		if (ascii_is_print(c) && c != '"' && c != '\\')
			buf_byte(b, (char)c);
		else
			buf_fmt(b, "\\%03u", c);
	}
	buf_byte(b, '"');
}

static void
put_txt(struct buf *b, json_t *rdata)
{
	json_t *piece;
	size_t i;

	if (json_is_string(rdata)) {
		put_text(b, json_string_value(rdata), json_string_length(rdata));
		return;
	}
	if (json_array_size(rdata) == 0)
		buf_str(b, " \"\"");
	json_array_foreach(rdata, i, piece)
		put_text(b, json_string_value(piece), json_string_length(piece));
}

static bool
is_special(json_t *rdata)
{
	static const char *const words[] = { "TIMEOUT", "SERVFAIL", "NXDOMAIN", "NODATA" };

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (json_is_string(rdata) && strcmp(json_string_value(rdata), words[i]) == 0)
			return true;
	return false;
}

static void
put_record(struct buf *b, const char *name, json_t *record)
{
	const char *type = json_string_value(json_object_get(record, "type"));
	json_t *rdata = json_object_get(record, "rdata");

	if (strcmp(type, "SPF") == 0)
		return;
	put_name(b, name);
	if (strcmp(type, "*") != 0)
		buf_fmt(b, " %s", type);
	if (is_special(rdata)) {
		buf_fmt(b, " %s", json_string_value(rdata));
	} else if (strcmp(type, "TXT") == 0) {
		put_txt(b, rdata);
	} else if (strcmp(type, "MX") == 0) {
		buf_fmt(b, " %d ", (int)json_integer_value(json_array_get(rdata, 0)));
		put_name(b, json_string_value(json_array_get(rdata, 1)));
	} else if (strcmp(type, "A") == 0 || strcmp(type, "AAAA") == 0) {
		buf_fmt(b, " %s", json_string_value(rdata));
	} else {
		buf_byte(b, ' ');
		put_name(b, json_string_value(rdata));
	}
	buf_byte(b, '\n');
}

static struct zone *
zone_of(json_t *group)
{
	struct buf b = buf_heap(MIB);
	struct zone *zone = NULL;
	json_t *records, *record;
	const char *name;
	char *why = NULL;
	size_t i;

	json_object_foreach(json_object_get(group, "zone"), name, records)
		json_array_foreach(records, i, record)
			put_record(&b, name, record);
	if (zone_parse(buf_text(&b), &zone, &why) != RC_OK) {
		printf("# zone: %s\n", why);
		exit(1);
	}
	free(why);
	buf_fini(&b);
	return zone;
}

/* ---- cases ---- */

static bool
is_wanted(json_t *expect, const struct spf_outcome *got)
{
	const char *explanation = json_string_value(json_object_get(expect, "explanation"));
	json_t *want;
	size_t i;
	bool is_result = false;

	json_array_foreach(json_object_get(expect, "spf"), i, want)
		is_result |= strcmp(json_string_value(want), spf_result_name(got->result)) == 0;
	if (!is_result || explanation == NULL)
		return is_result;
	if (strcmp(explanation, "DEFAULT") == 0)
		return span_is_null(got->explanation);
	/* Hexadecimal digits of an address are written in either case. */
	return span_eq_nocase(got->explanation, span_cstr(explanation));
}

static bool
run_case(struct bed *bed, json_t *c)
{
	struct eval_options options = { .spf = true, .spf_helo = true, .spf_explanation = true, .spf_void_limit = 2 };
	struct eval_facts facts = {
		.client = bed_ip(json_string_value(json_object_get(c, "ip"))),
		.helo = span_cstr(json_string_value(json_object_get(c, "helo"))),
		.receiver = SPAN("receiver.example"), .now_s = 1700000000,
	};
	struct spf_outcome *got;
	struct eval e;
	bool is_good;

	if (path_parse(&bed->arena, span_cstr(json_string_value(json_object_get(c, "mail_from"))), &facts.sender) != RC_OK)
		return false;
	eval_init(&e, &bed->arena, &facts, &options, 250);
	for (unsigned rounds = 0; eval_run(&e) == RC_WAIT; rounds++) {
		if (rounds > BED_ROUNDS_MAX)
			return false;
		bed_carry(bed, &e.questions);
	}
	got = &e.verdict.mailfrom.outcome;
	is_good = is_wanted(json_object_get(c, "expect"), got);
	if (!is_good)
		printf("# %s: got %s (%s), explanation \"%.*s\"\n", json_string_value(json_object_get(c, "id")),
		    spf_result_name(got->result), spf_reason_text(got->reason), SPAN_ARGS(got->explanation));
	return is_good;
}

static void
run_group(unsigned number, const char *file)
{
	json_error_t error;
	json_t *group = json_load_file(file, JSON_ALLOW_NUL, &error), *c;
	struct bed bed = { 0 };
	unsigned bad = 0;
	size_t i;

	if (group == NULL) {
		printf("not ok %u - %s: %s\n", number, file, error.text);
		failed++;
		return;
	}
	arena_init(&bed.arena, 4 * KIB, 4 * MIB);
	bed.zone = zone_of(group);
	json_array_foreach(json_object_get(group, "cases"), i, c) {
		if (!run_case(&bed, c))
			bad++;
		arena_reset(&bed.arena);
	}
	printf("%sok %u - %s: %zu of %zu\n", bad == 0 ? "" : "not ", number, json_string_value(json_object_get(group, "group")),
	    i - bad, i);
	passed += (unsigned)i - bad;
	failed += bad;
	bed_fini(&bed);
	json_decref(group);
}

int
main(void)
{
	glob_t files = { 0 };
	char pattern[256];
	unsigned count;

	snprintf(pattern, sizeof pattern, "%s/spf7208-*.json", suite_dir);
	if (glob(pattern, 0, NULL, &files) != 0) {
		printf("ok 1 # SKIP the RFC 7208 suite is not there (%s)\n1..1\n", suite_dir);
		return 0;
	}
	count = (unsigned)files.gl_pathc;
	for (unsigned i = 0; i < count; i++)
		run_group(i + 1, files.gl_pathv[i]);
	globfree(&files);
	printf("%sok %u - %u passed, %u failed of %u cases\n", passed == CASES_WANTED && failed == 0 ? "" : "not ", count + 1, passed,
	    failed, (unsigned)CASES_WANTED);
	printf("1..%u\n", count + 1);
	return passed == CASES_WANTED && failed == 0 ? 0 : 1;
}
