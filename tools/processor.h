/* What a program computes with: the processor or a GPU, how many threads, and in what precision. */
#ifndef PROCESSOR_H
#define PROCESSOR_H

#include <stdint.h>
#include <stdio.h>

#include "graph/backend.h"
#include "tools/cli.h"

typedef struct processor_choice {
    const char *backend;
    int64_t gpu;     /* its number */
    int64_t threads; /* 0: all usable cores */
    const char *precision;
} processor_choice;

/* --backend, --gpu, --threads; the precision stays f32. */
void processor_add_place(cli_options *o, processor_choice *c);
/* All of them. */
void processor_add_options(cli_options *o, processor_choice *c);

/* The backend that was chosen. Where the processor can't do the precision it is f32, and where
 * "auto" finds a GPU that can't be used it is the processor; `notes` (which may be NULL) gets a
 * line that says so, and one that names a GPU. NULL with err set. */
pr_backend *processor_open(const processor_choice *c, FILE *notes, pr_error *err);

/* The backend of a name, "cpu" or "cuda", whatever the choice's own: one of two that are compared.
 * The processor's tf32 is f32, without a line. */
pr_backend *processor_open_named(const processor_choice *c, const char *name, FILE *notes,
                                 pr_error *err);

#endif
