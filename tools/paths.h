/* Where a program's files lie, and that no output takes the place of an input. */
#ifndef PATHS_H
#define PATHS_H

#include <stdbool.h>

#include "graph/status.h"

/* Whether two paths lead to one file, through links too. A file that isn't there is none. */
bool path_is_same(const char *a, const char *b);

/* Whether writing `out` would replace the model, or a file of the model's folder. */
bool path_is_of_model(const char *out, const char *model);

/* "dir/model.gguf" and "dir/model/": "dir/model-tuned.gguf". From pr_alloc; NULL without memory. */
char *path_for_tuned(const char *model);

/* The same name with another ending: ("m.gguf", ".checkpoint") is "m.checkpoint". From pr_alloc;
 * NULL without memory. */
char *path_with_ending(const char *path, const char *ending);

/* The folder of the sample data: beside the running program, or where it was installed. From
 * pr_alloc; NULL with err set. */
char *path_of_sample(pr_error *err);

/* Looks whether a file could be written there, before the work that it is to hold. */
pr_status path_check_writable(const char *path, pr_error *err);

#endif
