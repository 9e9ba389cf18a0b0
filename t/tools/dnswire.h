/*
 * dnswire - writes DNS packets, for the test server and the tests of the decoder.
 *
 * Everything appends to one fixed room of 64 KiB and remembers if it ever did not fit.  Names are written as they are; pointers
 * only where the caller writes one.
 */
#ifndef ENMA_T_TOOLS_DNSWIRE_H
#define ENMA_T_TOOLS_DNSWIRE_H

#include <string.h>

#include "common/dns/dns.h"

enum {
	WIRE_MAX = 65535,
	WIRE_QR = 0x8000, WIRE_AA = 0x0400, WIRE_TC = 0x0200, WIRE_RD = 0x0100, WIRE_RA = 0x0080,
};

struct wire {
	uint8_t b[WIRE_MAX];
	size_t n;
	bool failed;
};

static inline void
wire_bytes(struct wire *w, const void *p, size_t n)
{
	if (n > sizeof w->b - w->n) {
		w->failed = true;
		return;
	}
	if (n > 0)
		memcpy(w->b + w->n, p, n);
	w->n += n;
}

static inline void
wire_u8(struct wire *w, unsigned v)
{
	uint8_t b = (uint8_t)v;

	wire_bytes(w, &b, 1);
}

static inline void
wire_u16(struct wire *w, unsigned v)
{
	wire_u8(w, v >> 8);
	wire_u8(w, v);
}

static inline void
wire_u32(struct wire *w, uint32_t v)
{
	wire_u16(w, v >> 16);
	wire_u16(w, v & 0xffff);
}

static inline void
wire_set_u16(struct wire *w, size_t at, unsigned v)
{
	w->b[at] = (uint8_t)(v >> 8);
	w->b[at + 1] = (uint8_t)v;
}

static inline void
wire_name(struct wire *w, const struct dns_name *name)
{
	wire_bytes(w, name->w, name->n);
}

static inline void
wire_header(struct wire *w, unsigned id, unsigned flags, unsigned qd, unsigned an, unsigned ns, unsigned ar)
{
	w->n = 0;
	w->failed = false;
	wire_u16(w, id);
	wire_u16(w, flags);
	wire_u16(w, qd);
	wire_u16(w, an);
	wire_u16(w, ns);
	wire_u16(w, ar);
}

static inline void
wire_question(struct wire *w, const struct dns_name *name, unsigned type)
{
	wire_name(w, name);
	wire_u16(w, type);
	wire_u16(w, 1);
}

/* Everything behind the owner's name up to RDATA; returns where the length stands, for wire_rdata_end(). */
static inline size_t
wire_rr(struct wire *w, unsigned type, uint32_t ttl_s)
{
	wire_u16(w, type);
	wire_u16(w, 1);
	wire_u32(w, ttl_s);
	wire_u16(w, 0);
	return w->n - 2;
}

static inline void
wire_rdata_end(struct wire *w, size_t at)
{
	if (!w->failed)
		wire_set_u16(w, at, (unsigned)(w->n - at - 2));
}

/* TXT strings of 255 bytes, the last one shorter; empty text is one empty string. */
static inline void
wire_strings(struct wire *w, struct span text)
{
	do {
		size_t n = MIN(text.n, (size_t)255);

		wire_u8(w, (unsigned)n);
		wire_bytes(w, text.p, n);
		text = span_from(text, n);
	} while (text.n > 0);
}

static inline void
wire_soa(struct wire *w, const struct dns_name *zone, uint32_t ttl_s, uint32_t minimum_s)
{
	size_t at;

	wire_name(w, zone);
	at = wire_rr(w, DNS_SOA, ttl_s);
	wire_name(w, zone);
	wire_name(w, zone);
	for (int i = 0; i < 4; i++)
		wire_u32(w, 3600);
	wire_u32(w, minimum_s);
	wire_rdata_end(w, at);
}

#endif
