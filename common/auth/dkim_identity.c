/* dkim_identity - who signed: d=, s= and i= of a signature (RFC 6376 section 3.5, RFC 8616); see dkim_int.h. */
#include "common/auth/dkim_int.h"
#include "common/base/domain.h"
#include "common/mail/scan.h"

enum { DOMAIN_LABELS_MIN = 2 };

/* A name as it may stand in d= and behind the '@' of i=; RC_SYNTAX without a result yet. */
static enum rc
normalize(struct dkim_parse *p, struct span name, struct span *out)
{
	if (name.n == 0 || name.p[name.n - 1] == '.')
		return RC_SYNTAX;
	return domain_normalize(p->arena, name, out);
}

/* The name asked for (section 3.6.2.1), whose labels must be those of a host name: nothing in s= or d= can lead elsewhere. */
static enum rc
make_key_name(struct dkim_parse *p)
{
	struct buf b = buf_in(p->arena, 8 * (size_t)DOMAIN_MAX);
	struct span joined, plain;
	enum rc rc;

	if (p->out->s.n > 4 * (size_t)DOMAIN_MAX)
		return dkim_parse_refuse(p, DKIM_R_DOMAIN, "s=");
	buf_span(&b, p->out->s);
	buf_str(&b, "._domainkey.");
	buf_span(&b, p->out->domain);
	if (buf_done(&b, &joined) != RC_OK)
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	rc = domain_normalize(p->arena, joined, &plain);
	if (rc == RC_OK)
		rc = dns_name_from_text(plain, &p->sig->key_name);
	if (rc == RC_LIMIT)
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	return rc == RC_OK ? RC_OK : dkim_parse_refuse(p, DKIM_R_DOMAIN, "s=");
}

enum rc
dkim_parse_domain(struct dkim_parse *p)
{
	struct span domain;
	enum rc rc = normalize(p, p->out->d, &domain);

	if (rc == RC_LIMIT)
		return dkim_parse_refuse(p, DKIM_R_MEMORY, NULL);
	if (rc != RC_OK || !domain_is_valid(domain, DOMAIN_LABELS_MIN))
		return dkim_parse_refuse(p, DKIM_R_DOMAIN, "d=");
	p->out->domain = domain;
	return make_key_name(p);
}

static int
hex_value(int c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* dkim-quoted-printable (section 2.11): FWS means nothing, "=XX" is a byte.  An '=' that begins no such thing is left: signers forget to encode it
 * in local parts, and in a domain it is refused later. */
static enum rc
unquote(struct arena *a, struct span text, struct span *out)
{
	char *p = arena_alloc(a, text.n);
	size_t n = 0;

	if (p == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < text.n; i++) {
		if (dkim_is_fws(text.p[i]))
			continue;
		if (text.p[i] != '=' || text.n - i < 3 || hex_value(text.p[i + 1]) < 0 || hex_value(text.p[i + 2]) < 0) {
			p[n++] = text.p[i];
			continue;
		}
		p[n++] = (char)(hex_value(text.p[i + 1]) * 16 + hex_value(text.p[i + 2]));
		i += 2;
	}
	*out = span_of(p, n);
	return RC_OK;
}

/* Nothing, atoms with dots, or one quoted string: two readers see the same. */
static bool
is_local_part(struct span s)
{
	struct scan in = scan_of(s);
	struct span atoms;

	if (s.n == 0)
		return true;
	if (s.p[0] == '"' ? scan_quoted(&in, false, NULL) != RC_OK : scan_atoms(&in, &atoms) != RC_OK)
		return false;
	return scan_at_end(&in);
}

static enum rc
take_identity(struct dkim_parse *p, struct span text)
{
	struct span i, domain;
	enum rc rc = unquote(p->arena, text, &i);
	size_t at;

	if (rc != RC_OK)
		return rc;
	at = span_rfind(i, '@');
	if (at == i.n || !is_local_part(span_sub(i, 0, at)))
		return RC_SYNTAX;
	rc = normalize(p, span_from(i, at + 1), &domain);
	if (rc != RC_OK)
		return rc;
	if (!domain_is_at_or_below(domain, p->out->domain))
		return RC_SYNTAX;
	p->out->i = i;
	p->out->i_domain = domain;
	return RC_OK;
}

static enum rc
default_identity(struct dkim_parse *p)
{
	struct buf b = buf_in(p->arena, 1 + p->out->d.n);

	buf_byte(&b, '@');
	buf_span(&b, p->out->d);
	p->out->i_domain = p->out->domain;
	return buf_done(&b, &p->out->i) == RC_OK ? RC_OK : RC_LIMIT;
}

enum rc
dkim_parse_identity(struct dkim_parse *p)
{
	struct span text = taglist_get(&p->sig->tags, SPAN("i"));
	enum rc rc;

	if (p->flavour == DKIM_SIG_ARC)
		return RC_OK;
	rc = span_is_null(text) ? default_identity(p) : take_identity(p, text);
	if (rc == RC_OK)
		return RC_OK;
	return rc == RC_LIMIT ? dkim_parse_refuse(p, DKIM_R_MEMORY, NULL) : dkim_parse_refuse(p, DKIM_R_IDENTITY, NULL);
}
