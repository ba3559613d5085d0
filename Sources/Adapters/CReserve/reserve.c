#define _GNU_SOURCE
#include "CReserve.h"

#include <errno.h>
#include <fcntl.h>

#ifdef __linux__
#include <linux/falloc.h>
#endif

int pgmosaic_reserve(int descriptor, off_t offset, off_t length) {
#ifdef __linux__
    while (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, offset, length) != 0) {
        if (errno != EINTR) return errno;
    }
    return 0;
#else
    (void)descriptor, (void)offset, (void)length;
    return ENOTSUP;
#endif
}
