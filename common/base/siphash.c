/* siphash - see siphash.h. */
#include "common/base/siphash.h"

#include <sys/random.h>

#include "common/base/clock.h"

enum { ROUNDS = 2, FINAL_ROUNDS = 4, WORD = 8 };

void
siphash_key_make(struct siphash_key *out)
{
	/* It can only fail before the kernel has any randomness: then a guess is better than no service. */
	if (getrandom(out, sizeof *out, GRND_NONBLOCK) != (ssize_t)sizeof *out)
		*out = (struct siphash_key){ { (uint64_t)clock_mono_us(), (uint64_t)(uintptr_t)out } };
}

static uint64_t
rotate(uint64_t v, unsigned n)
{
	return v << n | v >> (64 - n);
}

static void
mix(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

/* Little-endian, whatever the machine is; n up to WORD. */
static uint64_t
word_at(const char *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return w;
}

uint64_t
siphash(const struct siphash_key *key, struct span bytes)
{
	uint64_t v[4] = {
		key->k[0] ^ UINT64_C(0x736f6d6570736575), key->k[1] ^ UINT64_C(0x646f72616e646f6d),
		key->k[0] ^ UINT64_C(0x6c7967656e657261), key->k[1] ^ UINT64_C(0x7465646279746573),
	};
	size_t at;

	for (at = 0; at + WORD <= bytes.n; at += WORD) {
		uint64_t w = word_at(bytes.p + at, WORD);

		v[3] ^= w;
		mix(v, ROUNDS);
		v[0] ^= w;
	}
	{
		uint64_t last = (uint64_t)bytes.n << 56 | word_at(bytes.p + at, bytes.n - at);

		v[3] ^= last;
		mix(v, ROUNDS);
		v[0] ^= last;
	}
	v[2] ^= 0xff;
	mix(v, FINAL_ROUNDS);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
