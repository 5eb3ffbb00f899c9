/* crc32: the IEEE 802.3 checksum, many bytes at a time: every record of every turn is summed, which
 * took a twentieth of a busy broker's time when done bytewise. Detects torn and flipped bytes, not
 * an attacker. */
#include "store/crc32.h"

#include <endian.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif
#include <stdbool.h>
#include <string.h>

/* tables[0][i] is the remainder of the byte i, reflected polynomial 0xedb88320; tables[k][i] that
 * of the byte i with k bytes of zero behind it. */
#define POLYNOMIAL 0xedb88320u /* IEEE 802.3, bits reversed */

static uint32_t tables[8][256];

/* Runs before main, so any thread finds them filled. */
__attribute__((constructor)) static void fill_tables(void)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t crc = byte;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
		tables[0][byte] = crc;
	}

	for (int table = 1; table < 8; table++)
		for (uint32_t byte = 0; byte < 256; byte++) {
			uint32_t crc = tables[table - 1][byte];
			tables[table][byte] = crc >> 8 ^ tables[0][crc & 0xff];
		}
}

static uint32_t word_of(const uint8_t *bytes)
{
	uint32_t word;
	memcpy(&word, bytes, sizeof(word));
	return le32toh(word);
}

/* Takes and returns `crc` without the final inversion. */
static uint32_t by_tables(uint32_t crc, const uint8_t *bytes, size_t length)
{
	for (; length >= 8; bytes += 8, length -= 8) {
		uint32_t low = crc ^ word_of(bytes), high = word_of(bytes + 4);
		crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^
		      tables[5][low >> 16 & 0xff] ^ tables[4][low >> 24] ^ tables[3][high & 0xff] ^
		      tables[2][high >> 8 & 0xff] ^ tables[1][high >> 16 & 0xff] ^
		      tables[0][high >> 24];
	}

	for (; length > 0; bytes++, length--)
		crc = tables[0][(crc ^ *bytes) & 0xff] ^ (crc >> 8);
	return crc;
}

#ifdef __x86_64__
#define WITH_CLMUL __attribute__((target("pclmul,sse4.1")))

WITH_CLMUL static inline __m128i load_block(const uint8_t *bytes)
{
	return _mm_loadu_si128((const __m128i *)(const void *)bytes);
}

/* `sum` moved on by as many bits as the two factors of `by` say, and `bytes` added. */
WITH_CLMUL static inline __m128i fold_block(__m128i sum, __m128i by, __m128i bytes)
{
	__m128i low = _mm_clmulepi64_si128(sum, by, 0x00);
	__m128i high = _mm_clmulepi64_si128(sum, by, 0x11);
	return _mm_xor_si128(_mm_xor_si128(low, high), bytes);
}

/* 128 bits to 64, these to 32 by Barrett's reduction. */
WITH_CLMUL static uint32_t reduce_sum(__m128i sum, __m128i by16)
{
	const __m128i mask = _mm_setr_epi32(-1, 0, -1, 0);
	const __m128i by8 = _mm_set_epi64x(0, 0x0163cd6124);
	const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
	__m128i part = _mm_clmulepi64_si128(sum, by16, 0x10);

	sum = _mm_xor_si128(_mm_srli_si128(sum, 8), part);
	part = _mm_srli_si128(sum, 4);
	sum = _mm_xor_si128(_mm_clmulepi64_si128(_mm_and_si128(sum, mask), by8, 0x00), part);
	part = _mm_clmulepi64_si128(_mm_and_si128(sum, mask), barrett, 0x10);
	part = _mm_clmulepi64_si128(_mm_and_si128(part, mask), barrett, 0x00);
	return (uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, part), 1);
}

/* Sixteen bytes at a step, by multiplication without carry (Gopal and others, "Fast CRC Computation
 * for Generic Polynomials Using PCLMULQDQ", Intel 2009). `length`: a multiple of 16, not 0. */
WITH_CLMUL static uint32_t by_clmul(uint32_t crc, const uint8_t *bytes, size_t length)
{
	const __m128i by16 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
	__m128i sum = _mm_xor_si128(load_block(bytes), _mm_cvtsi32_si128((int)crc));
	for (size_t at = 16; at < length; at += 16)
		sum = fold_block(sum, by16, load_block(bytes + at));
	return reduce_sum(sum, by16);
}

static bool has_clmul(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#endif

uint32_t crc32_of(const uint8_t *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX;
#ifdef __x86_64__
	size_t even = length & ~(size_t)15;

	if (even > 0 && has_clmul()) {
		crc = by_clmul(crc, bytes, even);
		bytes += even;
		length -= even;
	}
#endif
	return ~by_tables(crc, bytes, length);
}
