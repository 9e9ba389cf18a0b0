/*
 * spf_int - what the parts of the SPF engine share; nobody else includes it.
 *
 * A record is never turned into a list: spf_record_parse() checks all of it once (RFC 7208 section 4.6: an error anywhere
 * counts before anything is evaluated), and spf_term_next() then walks the text again.  Nothing is allocated, and a record of
 * 64 KB costs no more memory than a short one.
 */
#ifndef ENMA_AUTH_SPF_INT_H
#define ENMA_AUTH_SPF_INT_H

#include "common/auth/spf.h"

/* ---- spf_record.c ---- */

enum spf_kind {
	SPF_ALL, SPF_INCLUDE, SPF_A, SPF_MX, SPF_PTR, SPF_IP4, SPF_IP6, SPF_EXISTS,     /* mechanisms */
	SPF_REDIRECT, SPF_EXP, SPF_UNKNOWN_MODIFIER,
};

struct spf_term {
	enum spf_kind kind;
	enum spf_result result;         /* of a match, by the qualifier */
	struct span text;               /* the whole term as written */
	struct span spec;               /* domain-spec or macro-string, not expanded; absent: none was given */
	struct ip net;                  /* ip4, ip6 */
	unsigned bits4, bits6;          /* prefix lengths: 0..32, 0..128; 32 and 128 when not given */
};

struct spf_record {
	struct span terms;              /* all behind the version section */
	struct span redirect, exp;      /* domain-specs; absent: no such modifier */
	struct span redirect_text;      /* the whole term */
	bool has_all;                   /* redirect is then ignored (section 6.1) */
};

struct spf_error {
	struct span term;               /* as far as it was understood as one term; absent: the record as a whole */
	const char *why;                /* static text */
	enum spf_reason reason;         /* SPF_R_SYNTAX or SPF_R_RECORD_SIZE */
};

/* True when txt begins with the version section "v=spf1" and a space or nothing behind it (section 4.5). */
bool spf_record_is_version1(struct span txt);
/* True when txt begins with a well-formed version section "spf2.<digits>/<scopes>" that names the scope, and a space or nothing behind it (RFC 4406
 * sections 3.1 and 4.4).  Never for SPF_SCOPE_NONE. */
bool spf_record_is_version2(struct span txt, enum spf_scope scope);
/* Checks the syntax of the whole record behind its version section (section 12).  RC_OK; RC_SYNTAX and *error_out. */
NODISCARD enum rc spf_record_parse(struct span txt, struct spf_record *out, struct spf_error *error_out);
/* Takes the next term off *rest; RC_NONE at the end; RC_SYNTAX and *why_out (the term's text is set then, too). */
NODISCARD enum rc spf_term_next(struct span *rest, struct spf_term *out, const char **why_out);

/* ---- spf_macro.c ---- */

enum spf_text_kind {
	SPF_TEXT_DOMAIN,                /* domain-spec: ends in "." toplabel or a macro; c, r, t are errors (section 7.2) */
	SPF_TEXT_IGNORED,               /* value of an unknown modifier */
	SPF_TEXT_EXPLANATION,           /* explain-string: blanks, and c, r, t, are allowed */
};
/* NULL when text follows the grammar (section 7.1), else what is wrong with it. */
const char *spf_macro_check(struct span text, enum spf_text_kind kind);

/* Letters as bits: bit 0 is 'a'. */
#define SPF_LETTER(c) (UINT32_C(1) << ((c) - 'a'))
/* The letters that text uses, case ignored.  text has passed spf_macro_check(). */
uint32_t spf_macro_letters(struct span text);
/* True when text has no '%' at all: it stands for itself. */
bool spf_macro_is_literal(struct span text);

enum {
	SPF_NIBBLES_MAX = 64,           /* %{i} of IPv6: 32 digits and 31 dots */
	SPF_TIME_TEXT_MAX = 21,
};

/* What the letters stand for. */
struct spf_values {
	struct span sender, local, sender_domain, domain, helo, receiver;
	struct span validated;          /* %{p}: set it before expanding a text that uses it */
	bool is_v4;
	char dotted[SPF_NIBBLES_MAX];   /* %{i} */
	size_t dotted_len;
	char readable[IP_TEXT_MAX];     /* %{c} */
	size_t readable_len;
	char time[SPF_TIME_TEXT_MAX];
	size_t time_len;
};
/* Fills the parts that follow from the client's address and the time. */
void spf_values_init(struct spf_values *v, const struct ip *client, int64_t now_s);

/* Expansions of checked texts.  Name: at most DOMAIN_MAX bytes, labels dropped on the left as section 7.3 says; one final dot is
 * removed.  Explanation: at most SPF_EXPLANATION_MAX bytes, whatever is not printable ASCII is '?'.  RC_OK or RC_LIMIT (arena). */
NODISCARD enum rc spf_macro_name(struct arena *a, struct span text, const struct spf_values *v, struct span *out);
NODISCARD enum rc spf_macro_explanation(struct arena *a, struct span text, const struct spf_values *v, struct span *out);

/* ---- spf_ask.c: what evaluation needs of DNS ---- */

/* What came of a term, or of a question. */
enum spf_step {
	SPF_NO_MATCH,                   /* also: no such records */
	SPF_MATCH,                      /* also: records are there */
	SPF_STOP,                       /* evaluation ends with the finding */
	SPF_LATER,                      /* an answer is missing */
};

/* A result on its way up. */
struct spf_finding {
	enum spf_result result;
	enum spf_reason reason;
	struct span mechanism, at, detail;      /* as in struct spf_outcome */
	enum dns_status dns_status;
	struct span exp, exp_domain;            /* of the record that decided */
};

/* One pass of one spf_check(). */
struct spf_pass {
	struct arena *arena;
	struct questions *questions;
	const struct spf_query *query;
	struct spf_trace *trace;
	struct spf_values values;
	unsigned lookups, voids;
	uint32_t ttl_s;
	unsigned depth;                 /* of include and redirect, for the trace */
	bool is_speculating;            /* an answer is missing: questions are only named ahead from now on */
	bool is_term_void;              /* the current term's void look-up is counted already */
	bool is_explaining;             /* nothing counts any more (section 4.6.4: exp comes later) */
	bool depends_on_message;
	bool is_spf2;                   /* the first record was one */
};

/* Makes *f an error and returns SPF_STOP. */
enum spf_step spf_stop(struct spf_finding *f, enum spf_result result, enum spf_reason reason);
void spf_trace_step(struct spf_pass *c, const char *kind, struct span text, struct span note);

/* SPF_MATCH: records are there; SPF_NO_MATCH: NODATA or NXDOMAIN, counted as void where that counts; SPF_STOP: temperror, or
 * too many void look-ups; SPF_LATER.  *answer_out is set unless SPF_LATER. */
enum spf_step spf_ask(struct spf_pass *c, struct spf_finding *f, const struct dns_name *name, uint16_t type,
                      const struct dns_answer **answer_out);
/* Do the first bits of the client and an address agree? */
bool spf_client_is_in(const struct spf_pass *c, const struct ip *net, unsigned bits4, unsigned bits6);
/* Has name an address (of the client's family) whose network holds the client?  is_lenient: errors mean no (ptr). */
enum spf_step spf_ask_address(struct spf_pass *c, struct spf_finding *f, const struct dns_name *name, unsigned bits4,
                              unsigned bits6, bool is_lenient);
/* Has the client a validated name at or below target (section 5.5)? */
enum spf_step spf_ask_reverse(struct spf_pass *c, struct spf_finding *f, const struct dns_name *target);
/* SPF_MATCH: *out is what %{p} stands for within domain, "unknown" if nothing better (section 7.3). */
enum spf_step spf_ask_validated(struct spf_pass *c, struct spf_finding *f, struct span domain, struct span *out);
/* ---- spf_eval.c ---- */

/* The <target-name> of a term (section 4.8); spec absent: domain itself.  SPF_NO_MATCH: it is no name that could be asked for.  Names
 * from macros are never asked ahead: SPF_LATER while speculating. */
enum spf_step spf_find_target(struct spf_pass *c, struct spf_finding *f, struct span spec, struct span domain, struct span *text_out,
                              struct dns_name *name_out);
/* check_host() of section 4 for text that is a DNS name of two labels or more.  RC_OK: *f says it all; RC_WAIT. */
NODISCARD enum rc spf_check_host(struct spf_pass *c, struct span domain, struct spf_finding *f);

/* ---- spf_check.c ---- */

bool spf_is_ascii(struct span s);

#endif
