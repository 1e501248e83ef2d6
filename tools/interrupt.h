/* Ctrl-C, taken politely once: a run that looks here after each step can save what it has. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

/* From now on the first SIGINT or SIGTERM is only noted; a second one ends the process at once. */
void interrupt_watch(void);

/* Whether one has come. */
bool interrupt_asked(void);

#endif
