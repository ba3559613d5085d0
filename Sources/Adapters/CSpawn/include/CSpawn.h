#ifndef CSPAWN_H
#define CSPAWN_H

#include <sys/types.h>

/// Calls of glibc that Swift's Glibc module does not show, because they need _GNU_SOURCE. Each answers 0 or an errno.

/// Starts `argv` in a session of its own (a Ctrl-C in the terminal reaches only the starter), with no signal blocked or
/// ignored. `descriptors[i]` becomes descriptor i of the child; every other one is closed. `directory` may be NULL.
int cspawn_start(pid_t *pid, char *const argv[], char *const envp[], const char *directory, const int *descriptors, int count);

/// A pipe whose ends are closed by exec.
int cspawn_pipe(int ends[2]);

/// A file in memory without a name, closed by exec.
int cspawn_memory_file(int *descriptor);

#endif
