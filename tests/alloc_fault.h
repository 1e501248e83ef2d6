/* Failing allocations, for tests: malloc, calloc, realloc, aligned_alloc and mmap are wrapped in
 * every test program by the linker (tests/CMakeLists.txt), for the calls that Primer's own code
 * makes. */
#ifndef PR_ALLOC_FAULT_H
#define PR_ALLOC_FAULT_H

#include <stdbool.h>

/* Counts from 1 again; allocation number k fails, and no other. 0: none does. */
void alloc_fault_arm(long k);

/* What is allocated until pause is called with false neither counts nor fails: a body's own doings,
 * which are not under test. */
void alloc_fault_pause(bool paused);

/* How many allocations there were since the last call of alloc_fault_arm. */
long alloc_fault_count(void);

/* Blocks that were allocated and not freed since the program's start. */
long alloc_fault_live(void);

/* Runs the body with allocation 1, then 2, ... failing, until it gets through without one that
 * failed. The body returns whether it succeeded; it must free all that it made either way. Asserts
 * that it fails exactly when an allocation did, and that nothing leaks. */
typedef bool (*alloc_fault_body)(void *context);
void alloc_fault_every(alloc_fault_body body, void *context);

#endif
