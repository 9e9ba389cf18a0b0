/* domain - names of hosts and domains; see domain.h.  The only door to libidn2. */
#include "common/base/domain.h"

#include <idn2.h>

#include "common/base/check.h"

/* More UTF-8 than this cannot become a name of DOMAIN_MAX bytes; it bounds what libidn2 is asked to map. */
enum { U_NAME_MAX = 4 * DOMAIN_MAX };

static struct span
without_final_dot(struct span name)
{
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	return name;
}

static bool
is_name_byte(unsigned char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

static bool
label_is_valid(struct span label)
{
	size_t i;

	if (label.n == 0 || label.n > DOMAIN_LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (i = 0; i < label.n; i++) {
		if (!is_name_byte((unsigned char)label.p[i]))
			return false;
	}
	return true;
}

static bool
is_all_digits(struct span label)
{
	size_t i;

	for (i = 0; i < label.n; i++) {
		if (!ascii_is_digit((unsigned char)label.p[i]))
			return false;
	}
	return true;
}

bool
domain_is_valid(struct span name, unsigned min_labels)
{
	struct span rest = without_final_dot(name), label = SPAN_NULL;
	unsigned labels = 0;

	if (rest.n == 0 || rest.n > DOMAIN_MAX)
		return false;
	while (span_split(&rest, '.', &label)) {
		if (!label_is_valid(label))
			return false;
		labels++;
	}
	/* "192.0.2.1" is an address, never a name. */
	return labels >= min_labels && !is_all_digits(label);
}

static bool
is_ascii(struct span s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

static enum rc
lower_in(struct arena *a, struct span name, struct span *out)
{
	struct span copy;
	char *p;
	size_t i;

	if (!domain_is_valid(name, 1))
		return RC_SYNTAX;
	name = without_final_dot(name); /* behind the check: of two dots one must not become valid */
	copy = arena_copy(a, name);
	if (span_is_null(copy))
		return RC_LIMIT;
	p = (char *)(uintptr_t)copy.p;
	for (i = 0; i < copy.n; i++)
		p[i] = (char)ascii_lower((unsigned char)p[i]);
	*out = copy;
	return RC_OK;
}

static enum rc
u_name_in(struct arena *a, struct span name, struct span *out)
{
	char copy[U_NAME_MAX + 1];
	uint8_t *mapped = NULL;
	enum rc rc;
	int err;

	if (name.n > U_NAME_MAX || memchr(name.p, '\0', name.n) != NULL)
		return RC_SYNTAX;
	memcpy(copy, name.p, name.n);
	copy[name.n] = '\0';
	err = idn2_lookup_u8((const uint8_t *)copy, &mapped, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	REQUIRE(err != IDN2_MALLOC);
	if (err != IDN2_OK)
		return RC_SYNTAX;
	rc = lower_in(a, span_cstr((const char *)mapped), out);
	idn2_free(mapped);
	return rc;
}

enum rc
domain_normalize(struct arena *a, struct span name, struct span *out)
{
	*out = SPAN_NULL;
	return is_ascii(name) ? lower_in(a, name, out) : u_name_in(a, name, out);
}

bool
domain_eq(struct span a, struct span b)
{
	return span_eq_nocase(without_final_dot(a), without_final_dot(b));
}

bool
domain_is_at_or_below(struct span name, struct span parent)
{
	name = without_final_dot(name);
	parent = without_final_dot(parent);
	if (parent.n == 0 || !span_ends_nocase(name, parent))
		return false;
	return name.n == parent.n || name.p[name.n - parent.n - 1] == '.';
}

unsigned
domain_label_count(struct span name)
{
	struct span rest = without_final_dot(name), label;
	unsigned n = 0;

	if (rest.n == 0)
		return 0;
	while (span_split(&rest, '.', &label))
		n++;
	return n;
}
