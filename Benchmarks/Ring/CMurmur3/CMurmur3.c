#include "CMurmur3.h"

#include <string.h>

// The plain way to write it in C, for a comparison: blocks by memcpy (one load each at -O2), the tail byte by byte in a switch that falls through.
// Little-endian machines only.

static const uint64_t c1 = 0x87c37b91114253d5u;
static const uint64_t c2 = 0x4cf5ad432745937fu;

static inline uint64_t rotate(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

static inline uint64_t load(const uint8_t *from) {
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t avalanche(uint64_t k) {
    k = (k ^ k >> 33) * 0xff51afd7ed558ccdu;
    k = (k ^ k >> 33) * 0xc4ceb9fe1a85ec53u;
    return k ^ k >> 33;
}

uint64_t cmurmur3_h1(const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    uint64_t h1 = 0, h2 = 0;
    for (size_t blocks = count / 16; blocks > 0; blocks--, at += 16) {
        h1 ^= rotate(load(at) * c1, 31) * c2;
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= rotate(load(at + 8) * c2, 33) * c1;
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    uint64_t k1 = 0, k2 = 0;
    switch (count % 16) {
    case 15: k2 |= (uint64_t)at[14] << 48; // fallthrough
    case 14: k2 |= (uint64_t)at[13] << 40; // fallthrough
    case 13: k2 |= (uint64_t)at[12] << 32; // fallthrough
    case 12: k2 |= (uint64_t)at[11] << 24; // fallthrough
    case 11: k2 |= (uint64_t)at[10] << 16; // fallthrough
    case 10: k2 |= (uint64_t)at[9] << 8;   // fallthrough
    case 9:
        k2 |= at[8];
        h2 ^= rotate(k2 * c2, 33) * c1; // fallthrough
    case 8: k1 |= (uint64_t)at[7] << 56; // fallthrough
    case 7: k1 |= (uint64_t)at[6] << 48; // fallthrough
    case 6: k1 |= (uint64_t)at[5] << 40; // fallthrough
    case 5: k1 |= (uint64_t)at[4] << 32; // fallthrough
    case 4: k1 |= (uint64_t)at[3] << 24; // fallthrough
    case 3: k1 |= (uint64_t)at[2] << 16; // fallthrough
    case 2: k1 |= (uint64_t)at[1] << 8;  // fallthrough
    case 1:
        k1 |= at[0];
        h1 ^= rotate(k1 * c1, 31) * c2;
    }
    h1 ^= count;
    h2 ^= count;
    h1 += h2;
    h2 += h1;
    return avalanche(h1) + avalanche(h2);
}
