/* What the emulation takes from C++: stacks that are switched between, and memory that the wrapped
 * malloc of tests neither counts nor lets fail. */
#ifndef PR_EMULATION_FIBERS_H
#define PR_EMULATION_FIBERS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct emulation_fiber emulation_fiber;

/* That of whoever called first: a stack that emulation_fiber_new has not made. */
emulation_fiber *emulation_fiber_outer(void);
/* Begins when it is first switched to. body must not return. It is never freed. */
emulation_fiber *emulation_fiber_new(void (*body)(void *argument), void *argument);
/* Returns when something switches back. */
void emulation_fiber_switch(emulation_fiber *to);

/* Zeroed; ends the program where there is none. NULL may be deleted. */
void *emulation_new(size_t bytes);
void emulation_delete(void *block);

#ifdef __cplusplus
}
#endif
#endif
