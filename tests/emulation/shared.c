/* Shared memory: the variables that kernels call __shared__, and one buffer for what a launch asks
 * for. All of it is unwritten when a block begins. */
#include "tests/emulation/asan.h"
#include "tests/emulation/block.h"

enum { MOST_BYTES = 228 << 10 };

/* Ends with what no launch can ask for. */
_Alignas(1024) static unsigned char dynamic[MOST_BYTES];
static size_t dynamic_bytes;

void *emulation_shared(void) {
    return dynamic;
}

/* A variable's symbol may take in what AddressSanitizer keeps around it. */
__attribute__((no_sanitize("address", "undefined"))) static void fill(emulation_range range) {
    uint32_t *words = range.at;
    if ((uintptr_t)range.at % sizeof *words) return;
    for (size_t i = 0; i < range.bytes / sizeof *words; i++)
        words[i] = EMULATION_UNWRITTEN;
}

void emulation_clear_shared(size_t bytes) {
    size_t n;
    const emulation_range *variables = emulation_shared_variables(&n);
    for (size_t i = 0; i < n; i++)
        fill(variables[i]);
    if (bytes != dynamic_bytes) {
        ASAN_UNPOISON_MEMORY_REGION(dynamic, MOST_BYTES);
        ASAN_POISON_MEMORY_REGION(dynamic + bytes, MOST_BYTES - bytes);
        dynamic_bytes = bytes;
    }
    emulation_fill(dynamic, bytes);
}
