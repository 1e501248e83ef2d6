#include "train/listing.h"

#include <stdio.h>

void pr_list_names(const char *const *names, size_t n, char *out, size_t room) {
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int written = snprintf(out + at, room - at, "%s'%.40s'", i ? ", " : "", names[i]);
        if (written < 0 || at + (size_t)written + sizeof " ..." > room) {
            snprintf(out + at, room - at, " ...");
            return;
        }
        at += (size_t)written;
    }
}
