#ifndef CMURMUR3_H
#define CMURMUR3_H

#include <stddef.h>
#include <stdint.h>

/// The first 64 bits of Murmur3 x64 128-bit, seed 0: what `Token.init(hashing:)` is measured against.
uint64_t cmurmur3_h1(const void *bytes, size_t count);

#endif
