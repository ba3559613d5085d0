#ifndef PGMOSAIC_CRESERVE_H
#define PGMOSAIC_CRESERVE_H

#include <sys/types.h>

/// Takes blocks of the disk for bytes of the file to come; its size stays. 0, or an error number; ENOTSUP where the system has no such thing.
///
/// In C because Swift's view of the C library leaves `fallocate` out; `posix_fallocate` would make the file longer.
int pgmosaic_reserve(int descriptor, off_t offset, off_t length);

#endif
