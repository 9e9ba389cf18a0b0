/*
 * dkim_unit - a bed for DKIM tests: a message, keys in a zone, and the verifier run over them; with the published examples as text.
 */
#ifndef ENMA_T_DKIM_UNIT_H
#define ENMA_T_DKIM_UNIT_H

#include "t/unit/unit.h"

#include "common/auth/dkim.h"
#include "common/dns/answer_int.h"

enum { DKIM_NOW = 1700000000 };

struct dkim_unit_key {
	struct dns_name name;
	const struct dns_answer *answer;
};

struct dkim_unit {
	struct arena arena;
	struct header_block headers;
	struct questions questions;
	struct dkim_options options;
	struct span authors[4];
	size_t author_count;
	struct dkim_unit_key keys[256];
	size_t key_count;
	struct dkim *d;
	int64_t now_s;
	size_t step;                    /* bytes of a piece of the body; 0: all at once */
};

UNUSED static void
dkim_unit_init(struct dkim_unit *u)
{
	*u = (struct dkim_unit){ .now_s = DKIM_NOW, .options = { .limit = 10, .min_rsa_bits = 1024 } };
	arena_init(&u->arena, 16 * KIB, 64 * MIB);
	header_init(&u->headers, &u->arena);
	questions_init(&u->questions, &u->arena, 100);
}

/* Ready for another message; keys and options stay. */
UNUSED static void
dkim_unit_again(struct dkim_unit *u)
{
	arena_reset(&u->arena);
	u->arena.used = 0;
	header_init(&u->headers, &u->arena);
	questions_init(&u->questions, &u->arena, 100);
	u->d = NULL;
}

UNUSED static void
dkim_unit_fini(struct dkim_unit *u)
{
	arena_fini(&u->arena);
	for (size_t i = 0; i < u->key_count; i++)
		dns_answer_unref(u->keys[i].answer);
}

UNUSED static struct dkim_unit_key *
dkim_unit_slot(struct dkim_unit *u, const char *name)
{
	struct dns_name n;

	assert_int_equal(dns_name_from_text(span_cstr(name), &n), RC_OK);
	for (size_t i = 0; i < u->key_count; i++)
		if (dns_name_eq(&u->keys[i].name, &n))
			return &u->keys[i];
	assert_true(u->key_count < ARRAY_LEN(u->keys));
	u->keys[u->key_count].name = n;
	return &u->keys[u->key_count++];
}

/* The answer to a name's question: records, NULL-terminated. */
UNUSED static void
dkim_unit_records(struct dkim_unit *u, const char *name, const struct span *v, size_t n, bool is_secure)
{
	struct dkim_unit_key *slot = dkim_unit_slot(u, name);
	size_t bytes = 0;
	struct answer_make m;

	for (size_t i = 0; i < n; i++)
		bytes += v[i].n;
	m = answer_make(DNS_OK, n, 0, bytes);
	assert_non_null(m.a);
	for (size_t i = 0; i < n; i++) {
		struct dns_rr *rr = answer_make_rr(&m, 300);
		char *text = answer_make_text(&m, v[i].n);

		if (v[i].n > 0)
			memcpy(text, v[i].p, v[i].n);
		rr->text = span_of(text, v[i].n);
	}
	m.a->is_secure = is_secure;
	dns_answer_unref(slot->answer);
	slot->answer = m.a;
}

UNUSED static void
dkim_unit_key(struct dkim_unit *u, const char *name, const char *record)
{
	struct span s = span_cstr(record);

	dkim_unit_records(u, name, &s, 1, false);
}

UNUSED static void
dkim_unit_status(struct dkim_unit *u, const char *name, enum dns_status status)
{
	struct dkim_unit_key *slot = dkim_unit_slot(u, name);

	dns_answer_unref(slot->answer);
	slot->answer = dns_answer_status(status, 60, "");
}

UNUSED static void
dkim_unit_author(struct dkim_unit *u, const char *domain)
{
	assert_true(u->author_count < ARRAY_LEN(u->authors));
	u->authors[u->author_count++] = span_cstr(domain);
}

/* "Name: value CRLF ..." with folds; everything up to the empty line or the end.  Returns the body. */
UNUSED static struct span
dkim_unit_header(struct dkim_unit *u, struct span text)
{
	while (text.n > 0 && !span_starts(text, SPAN("\r\n"))) {
		size_t end = 0, colon = span_find(text, ':');
		struct span line, name, value;

		do {
			end += span_find(span_from(text, end), '\n') + 1;
		} while (end < text.n && (text.p[end] == ' ' || text.p[end] == '\t'));
		end = MIN(end, text.n);
		line = span_sub(text, 0, end - (span_ends_nocase(span_sub(text, 0, end), SPAN("\r\n")) ? 2 : 0));
		assert_true(colon < line.n);
		name = exact_n(line.p, colon);
		value = exact_n(line.p + colon + 1, line.n - colon - 1);
		(void)!header_add(&u->headers, name, value, true);
		exact_free(name);
		exact_free(value);
		text = span_from(text, end);
	}
	return span_from(text, 2);
}

/* Answers what was asked, one question after the other from the end or from the front, or all. */
UNUSED static size_t
dkim_unit_answer(struct dkim_unit *u, size_t max, bool from_end)
{
	size_t done = 0;

	for (size_t k = 0; k < u->questions.n && done < max; k++) {
		size_t i = from_end ? u->questions.n - 1 - k : k;
		const struct dns_answer *answer = NULL;

		if (u->questions.v[i]->state == QUESTION_ANSWERED)
			continue;
		for (size_t j = 0; j < u->key_count && answer == NULL; j++)
			if (dns_name_eq(&u->keys[j].name, &u->questions.v[i]->name))
				answer = dns_answer_ref(u->keys[j].answer);
		if (u->questions.v[i]->state == QUESTION_NEW)
			questions_mark_sent(&u->questions, i);
		questions_answer(&u->questions, i, answer != NULL ? answer : dns_answer_status(DNS_NXDOMAIN, 60, ""));
		done++;
	}
	return done;
}

UNUSED static void
dkim_unit_body(struct dkim_unit *u, struct span body)
{
	size_t step = u->step > 0 ? u->step : MAX(body.n, (size_t)1);

	for (size_t at = 0; at < body.n; at += step) {
		struct span part = span_sub(body, at, step), piece = exact_n(part.p, part.n);

		dkim_body(u->d, piece);
		exact_free(piece);
	}
	dkim_body_end(u->d);
}

/* The usual course over the header that is there.  NULL: not even begun (the arena's ceiling). */
UNUSED static const struct dkim_signature *
dkim_unit_run(struct dkim_unit *u, struct span body, size_t *n_out)
{
	u->d = dkim_create(&u->arena, &u->options, &u->headers, u->authors, u->author_count);
	*n_out = 0;
	if (u->d == NULL)
		return NULL;
	if (dkim_run(u->d, &u->questions, u->now_s) == RC_WAIT) {
		dkim_unit_answer(u, SIZE_MAX, false);
		dkim_unit_body(u, body);
		assert_int_equal(dkim_run(u->d, &u->questions, u->now_s), RC_OK);
	}
	return dkim_signatures(u->d, n_out);
}

/* A whole message. */
UNUSED static const struct dkim_signature *
dkim_unit_verify(struct dkim_unit *u, struct span message, size_t *n_out)
{
	return dkim_unit_run(u, dkim_unit_header(u, message), n_out);
}

#endif
