/* Full fine-tuning: every parameter trains. */
#include "models/method.h"

static const char *const everything[] = {"*", NULL};

const pr_method pr_method_full = {
    .name = "full",
    .summary = "every parameter trains",
    .trained = everything,
};
