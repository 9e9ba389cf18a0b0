/*
 * answer_int - building answers; shared by the files of common/dns alone.
 *
 * An answer is one heap block: the struct, its records, the names and the text they point to.  answer_make() sizes it, then the
 * maker adds records in order and gives the answer away; nothing changes after that.
 *
 *	make = answer_make(DNS_OK, 3, 2, 0);           .a == NULL: over DNS_ANSWER_RRS_MAX or DNS_ANSWER_BYTES_MAX
 *	rr = answer_make_rr(&make, ttl);
 *	rr->name = answer_make_name(&make);             and fill it
 */
#ifndef ENMA_DNS_ANSWER_INT_H
#define ENMA_DNS_ANSWER_INT_H

#include "common/dns/dns.h"

struct answer_make {
	struct dns_answer *a;           /* NULL: the limits forbid it */
	struct dns_name *names;         /* next free one */
	char *text;
	size_t rr_left, names_left, text_left;
};

/* Bytes of an answer with so many records, names and bytes of text. */
size_t answer_size(size_t rr_count, size_t name_count, size_t text_bytes);
struct answer_make answer_make(enum dns_status s, size_t rr_count, size_t name_count, size_t text_bytes);
/* These abort when more is taken than was ordered. */
struct dns_rr *answer_make_rr(struct answer_make *m, uint32_t ttl_s);
struct dns_name *answer_make_name(struct answer_make *m);
char *answer_make_text(struct answer_make *m, size_t n);

/* As dns_answer_status() and dns_answer_decode(), for makers that still have something to write into it. */
NODISCARD struct dns_answer *answer_status(enum dns_status s, uint32_t ttl_s, const char *why);
NODISCARD struct dns_answer *answer_decode(struct span packet, const struct dns_name *name, uint16_t type);

#endif
