/* The emulated GPU of a program, by the environment: PR_EMULATED_MACHINE is words among no-driver,
 * no-device, old (compute capability 7.0), memory=BYTES, fail=FUNCTION:N (its Nth call fails). */
#include <stdlib.h>
#include <string.h>

#include <driver_types.h>

#include "tests/emulation/emulation.h"

/* "FUNCTION:N" */
static void fail_later(const char *word) {
    static char function[64]; /* the emulation keeps it */
    const char *colon = strchr(word, ':');
    if (!colon || (size_t)(colon - word) >= sizeof function) return;
    memcpy(function, word, (size_t)(colon - word));
    function[colon - word] = '\0';
    bool memory = strcmp(function, "cudaMalloc") == 0;
    emulation_fail(function, strtol(colon + 1, NULL, 10),
                   memory ? cudaErrorMemoryAllocation : cudaErrorIllegalAddress);
}

static void set_word(emulation_machine *m, const char *word) {
    if (strcmp(word, "no-driver") == 0) m->driver = false;
    if (strcmp(word, "no-device") == 0) m->devices = 0;
    if (strcmp(word, "old") == 0) m->major = 7;
    if (strncmp(word, "memory=", 7) == 0) m->memory = strtoul(word + 7, NULL, 10);
}

__attribute__((constructor)) static void start(void) {
    const char *text = getenv("PR_EMULATED_MACHINE");
    char words[128] = "", *rest = words;
    emulation_machine machine = emulation_usual();
    if (!text || strlen(text) >= sizeof words) return;
    memcpy(words, text, strlen(text) + 1);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        set_word(&machine, word);
    emulation_start(&machine);
    const char *fail = strstr(text, "fail=");
    if (fail) fail_later(fail + 5);
}
