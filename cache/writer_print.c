/* writer_print - entries and histograms as text; see writer_int.h. */
#include "cache/writer_int.h"

#include "common/auth/spf.h"

enum { ARENA_FIRST = 1 * KIB, ARENA_MAX = 256 * KIB };

static const uint32_t bounds_s[WRITER_BUCKETS - 1] = { 1, 5, 30, 60, 300, 900, 3600, 10800, 43200, 86400, 604800 };

enum board_cache_class
writer_class(struct span key)
{
	struct cache_key_parts parts;

	if (cache_key_parse(key, &parts) != RC_OK)
		return BOARD_C_OTHER;
	if (parts.kind == CACHE_RESULT)
		return parts.what == CACHE_R_SPF ? BOARD_C_SPF : BOARD_C_RESULT;
	switch (parts.type) {
	case DNS_A:     return BOARD_C_A;
	case DNS_AAAA:  return BOARD_C_AAAA;
	case DNS_MX:    return BOARD_C_MX;
	case DNS_PTR:   return BOARD_C_PTR;
	case DNS_TXT:   return BOARD_C_TXT;
	default:        return BOARD_C_OTHER;
	}
}

/* ---- histogram ----------------------------------------------------------------------------------------- */

static size_t
bucket_of(int64_t seconds)
{
	size_t i = 0;

	while (i < ARRAY_LEN(bounds_s) && seconds > bounds_s[i])
		i++;
	return i;
}

void
writer_histogram_add(struct writer_histogram *h, struct span key, struct span value, int64_t now_s)
{
	enum board_cache_class class = writer_class(key);
	struct cache_entry_head head;
	int64_t left_s;
	size_t kind;

	if (cache_entry_head(key, value, &head) != RC_OK)
		return;
	kind = head.kind == CACHE_RESULT;
	h->kind[kind].count++;
	h->kind[kind].bytes += key.n + value.n;
	h->class[class].count++;
	h->class[class].bytes += key.n + value.n;
	h->age[bucket_of(now_s - head.stored_s)]++;
	left_s = head.stored_s + head.life_s - now_s;
	if (left_s <= 0)
		h->expired++;
	else
		h->left[bucket_of(left_s)]++;
}

static void
print_buckets(struct buf *b, const char *name, const uint64_t count[WRITER_BUCKETS])
{
	for (size_t i = 0; i < ARRAY_LEN(bounds_s); i++)
		buf_fmt(b, "%s %u %llu\n", name, bounds_s[i], (unsigned long long)count[i]);
	buf_fmt(b, "%s more %llu\n", name, (unsigned long long)count[WRITER_BUCKETS - 1]);
}

/* "cache.hits.txt" -> "txt" */
static const char *
class_name(size_t class)
{
	return strrchr(board_counter_name(BOARD_CACHE(class, BOARD_E_HITS)), '.') + 1;
}

void
writer_histogram_print(struct buf *b, const struct writer_histogram *h)
{
	print_buckets(b, "age", h->age);
	print_buckets(b, "left", h->left);
	buf_fmt(b, "left expired %llu\n", (unsigned long long)h->expired);
	for (size_t i = 0; i < ARRAY_LEN(h->kind); i++)
		buf_fmt(b, "kind %c %llu %llu\n", i == 0 ? CACHE_DNS : CACHE_RESULT, (unsigned long long)h->kind[i].count,
		    (unsigned long long)h->kind[i].bytes);
	for (size_t i = 0; i < BOARD_C_COUNT; i++)
		buf_fmt(b, "class %s %llu %llu\n", class_name(i), (unsigned long long)h->class[i].count,
		    (unsigned long long)h->class[i].bytes);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

/* Between quotes: printable ASCII as it is, everything else as \DDD. */
static void
print_text(struct buf *b, struct span s)
{
	buf_byte(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (!ascii_is_print(c))
			buf_fmt(b, "\\%03u", c);
		else if (c == '"' || c == '\\')
			buf_fmt(b, "\\%c", c);
		else
			buf_byte(b, (char)c);
	}
	buf_byte(b, '"');
}

static void
print_record(struct buf *b, uint16_t type, const struct dns_rr *rr)
{
	char ip[IP_TEXT_MAX];

	if (type == DNS_MX)
		buf_fmt(b, "%u ", rr->preference);
	if (type == DNS_TXT) {
		print_text(b, rr->text);
	} else if (rr->ip.is_set) {
		(void)ip_print(&rr->ip, ip);
		buf_str(b, ip);
	} else if (rr->name != NULL) {
		dns_name_print(b, rr->name);
	}
}

/* As it was when it was stored: old entries are shown, too. */
static bool
print_answer(struct buf *b, const struct cache_key_parts *parts, const struct cache_entry_head *h, struct span key, struct span value)
{
	const struct dns_answer *a;
	enum cache_age age;

	if (cache_entry_get_dns(key, parts->type, value, 0, h->stored_s, &a, &age) != RC_OK)
		return false;
	for (size_t i = 0; i < a->rr_count; i++) {
		if (i > 0)
			buf_str(b, ", ");
		print_record(b, parts->type, &a->rr[i]);
	}
	if (a->rr_count == 0 && a->why[0] != '\0') {
		buf_str(b, "why=");
		print_text(b, span_cstr(a->why));
	}
	dns_answer_unref(a);
	return true;
}

static void
print_word(struct buf *b, const char *name, struct span text)
{
	if (span_is_null(text))
		return;
	buf_fmt(b, " %s=", name);
	print_text(b, text);
}

static bool
print_outcome(struct buf *b, const struct cache_key_parts *parts, const struct cache_entry_head *h, struct span key, struct span value)
{
	char ip[IP_TEXT_MAX] = "any";
	struct spf_outcome o;
	struct arena a;
	enum rc rc;

	arena_init(&a, ARENA_FIRST, ARENA_MAX);
	rc = cache_entry_get_spf(&a, key, value, h->stored_s, &o);
	if (rc == RC_OK) {
		if (parts->client.is_set)
			(void)ip_print(&parts->client, ip);
		buf_fmt(b, "client=%s version=%u digest=%016llx lookups=%u voids=%u reason=\"%s\"", ip, parts->version,
		    (unsigned long long)parts->digest, o.lookups, o.voids, spf_reason_text(o.reason));
		print_word(b, "mechanism", o.mechanism);
		print_word(b, "at", o.at);
		print_word(b, "detail", o.detail);
	}
	arena_fini(&a);
	return rc == RC_OK;
}

static void
print_head(struct buf *b, const struct cache_key_parts *parts, const struct cache_entry_head *h, size_t bytes, int64_t now_s)
{
	static const char *const dnssec[] = { "insecure", "secure", "bogus" };
	const char *type = dns_type_name(parts->type);

	buf_fmt(b, "%c\t", (int)parts->kind);
	dns_name_print(b, &parts->name);
	buf_byte(b, '\t');
	if (parts->kind == CACHE_RESULT)
		buf_fmt(b, "spf\t%s\t-", spf_result_name((enum spf_result)h->status));
	else if (strcmp(type, "TYPE") == 0)
		buf_fmt(b, "TYPE%u\t%s\t%s", parts->type, dns_status_name((enum dns_status)h->status), dnssec[h->dnssec]);
	else
		buf_fmt(b, "%s\t%s\t%s", type, dns_status_name((enum dns_status)h->status), dnssec[h->dnssec]);
	buf_fmt(b, "\t%lld\t%lld\t%zu\t", (long long)(now_s - h->stored_s), (long long)(h->stored_s + h->life_s - now_s), bytes);
}

void
writer_print_entry(struct buf *b, struct span key, struct span value, bool only_expired, int64_t now_s)
{
	struct cache_key_parts parts;
	struct cache_entry_head h;
	size_t was = b->n;
	bool ok;

	if (cache_key_parse(key, &parts) != RC_OK || cache_entry_head(key, value, &h) != RC_OK)
		return;
	if (only_expired && h.stored_s + h.life_s > now_s)
		return;
	print_head(b, &parts, &h, key.n + value.n, now_s);
	ok = parts.kind == CACHE_DNS ? print_answer(b, &parts, &h, key, value) : print_outcome(b, &parts, &h, key, value);
	if (ok)
		buf_byte(b, '\n');
	else
		b->n = was;
}
