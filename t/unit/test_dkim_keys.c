/* dkim_keys: decoded keys, found again, bounded, shared by threads. */
#include "t/unit/unit.h"

#include <pthread.h>
#include <stdio.h>

#include "common/auth/dkim_keys.h"

enum { THREADS = 4, ROUNDS = 4000 };

static struct crypto_key *
make_key(unsigned i)
{
	struct crypto_key *k;
	uint8_t raw[CRYPTO_ED25519_BYTES] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };

	if (crypto_key_ed25519(span_of((const char *)raw, sizeof raw), &k) != RC_OK)
		abort();
	return k;
}

static struct span
text_of(unsigned i, char room[32])
{
	return span_of(room, (size_t)snprintf(room, 32, "key %u", i));
}

static void
put(struct dkim_keys *k, unsigned i)
{
	struct crypto_key *key = make_key(i);
	char room[32];

	dkim_keys_put(k, CRYPTO_ED25519, text_of(i, room), key);
	crypto_key_unref(key);
}

static bool
has(struct dkim_keys *k, unsigned i)
{
	char room[32];
	struct crypto_key *key = dkim_keys_get(k, CRYPTO_ED25519, text_of(i, room));

	crypto_key_unref(key);
	return key != NULL;
}

static void
test_put_and_get(void **state)
{
	struct dkim_keys *k = dkim_keys_create(100);
	struct crypto_key *key = make_key(1), *got;

	(void)state;
	assert_null(dkim_keys_get(k, CRYPTO_ED25519, SPAN("a")));
	dkim_keys_put(k, CRYPTO_ED25519, SPAN("a"), key);
	got = dkim_keys_get(k, CRYPTO_ED25519, SPAN("a"));
	assert_ptr_equal(got, key);
	crypto_key_unref(got);
	assert_null(dkim_keys_get(k, CRYPTO_RSA, SPAN("a")));
	assert_null(dkim_keys_get(k, CRYPTO_ED25519, SPAN("A")));
	assert_null(dkim_keys_get(k, CRYPTO_ED25519, SPAN("")));
	dkim_keys_put(k, CRYPTO_ED25519, SPAN("a"), key);       /* again: no second one */
	dkim_keys_flush(k);
	assert_null(dkim_keys_get(k, CRYPTO_ED25519, SPAN("a")));
	dkim_keys_put(k, CRYPTO_ED25519, SPAN("a"), key);
	dkim_keys_destroy(&k);
	assert_null(k);
	dkim_keys_destroy(&k);
	assert_int_equal(crypto_key_bits(key), 256);    /* our reference stayed good */
	crypto_key_unref(key);
}

/* One part: what was used longest ago goes. */
static void
test_order_of_leaving(void **state)
{
	struct dkim_keys *k = dkim_keys_create(1);

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		put(k, i);
	for (unsigned i = 0; i < 16; i++)
		assert_true(has(k, i));
	assert_true(has(k, 0));
	put(k, 16);
	assert_true(has(k, 0));
	assert_false(has(k, 1));
	assert_true(has(k, 2));
	assert_true(has(k, 16));
	dkim_keys_destroy(&k);
}

static void
test_bounded(void **state)
{
	struct dkim_keys *k = dkim_keys_create(64);
	unsigned there = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		put(k, i);
	for (unsigned i = 0; i < 1000; i++)
		there += has(k, i);
	assert_int_equal(there, 64);
	dkim_keys_destroy(&k);
}

static void
test_long_text_is_not_kept(void **state)
{
	struct dkim_keys *k = dkim_keys_create(64);
	struct crypto_key *key = make_key(1), *got;
	char *p = xcalloc(1, 4 * KIB + 1);

	(void)state;
	dkim_keys_put(k, CRYPTO_ED25519, span_of(p, 4 * KIB), key);
	got = dkim_keys_get(k, CRYPTO_ED25519, span_of(p, 4 * KIB));
	assert_ptr_equal(got, key);
	crypto_key_unref(got);
	dkim_keys_put(k, CRYPTO_ED25519, span_of(p, 4 * KIB + 1), key);
	assert_null(dkim_keys_get(k, CRYPTO_ED25519, span_of(p, 4 * KIB + 1)));
	crypto_key_unref(key);
	free(p);
	dkim_keys_destroy(&k);
}

static void *
work(void *arg)
{
	struct dkim_keys *k = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		if (!has(k, i % 97))
			put(k, i % 97);
		if (i % 500 == 0)
			dkim_keys_flush(k);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct dkim_keys *k = dkim_keys_create(64);
	pthread_t t[THREADS];

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, work, k), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(has(k, (ROUNDS - 1) % 97));
	dkim_keys_destroy(&k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_get), cmocka_unit_test(test_order_of_leaving), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_long_text_is_not_kept), cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
