/* cache_crc - CRC-32C; see cache_crc.h. */
#include <pthread.h>

#include "cache/cache_crc.h"

enum { POLYNOMIAL = (int)0x82f63b78u, STEPS = 8 };

static uint32_t table[STEPS][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool is_fast;

static void
prepare(void)
{
	uint32_t i, k, sum;

	for (i = 0; i < 256; i++) {
		for (sum = i, k = 0; k < 8; k++)
			sum = sum >> 1 ^ (sum & 1 ? (uint32_t)POLYNOMIAL : 0);
		table[0][i] = sum;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < STEPS; k++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
#if defined __x86_64__
	is_fast = __builtin_cpu_supports("sse4.2");
#endif
}

/* Eight bytes at a time, each through the table for its distance from the end. */
uint32_t
cache_crc_portable(uint32_t sum, struct span s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t n = s.n;

	pthread_once(&once, prepare);
	sum = ~sum;
	for (; n >= STEPS; n -= STEPS, p += STEPS) {
		uint32_t lo = sum ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

		sum = table[7][lo & 0xff] ^ table[6][lo >> 8 & 0xff] ^ table[5][lo >> 16 & 0xff] ^ table[4][lo >> 24] ^
		    table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
	}
	while (n-- > 0)
		sum = sum >> 8 ^ table[0][(sum ^ *p++) & 0xff];
	return ~sum;
}

#if defined __x86_64__
__attribute__((target("sse4.2"))) static uint32_t
crc_fast(uint32_t start, struct span s)
{
	const char *p = s.p;
	uint64_t sum = ~start, word;
	size_t n = s.n;

	for (; n >= sizeof word; n -= sizeof word, p += sizeof word) {
		memcpy(&word, p, sizeof word);
		sum = __builtin_ia32_crc32di(sum, word);
	}
	while (n-- > 0)
		sum = __builtin_ia32_crc32qi((uint32_t)sum, (unsigned char)*p++);
	return ~(uint32_t)sum;
}
#endif

bool
cache_crc_is_fast(void)
{
	pthread_once(&once, prepare);
	return is_fast;
}

uint32_t
cache_crc(uint32_t sum, struct span bytes)
{
#if defined __x86_64__
	if (cache_crc_is_fast())
		return crc_fast(sum, bytes);
#endif
	return cache_crc_portable(sum, bytes);
}
