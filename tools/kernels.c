#include "tools/kernels.h"

#include <cblas.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char variable[] = "OPENBLAS_CORETYPE";

#if defined(__x86_64__)
/* What OpenBLAS's kernels for SkylakeX ask for. */
static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
#else
static bool has_avx512(void) {
    return false;
}
#endif

void kernels_choose(char **argv) {
    const char *core = openblas_get_corename();
    bool older = strcmp(core, "Haswell") == 0 || strcmp(core, "Zen") == 0;
    if (!older || !has_avx512() || getenv(variable)) return;
    if (setenv(variable, "SkylakeX", 1) == 0) execv("/proc/self/exe", argv);
    unsetenv(variable); /* there is no /proc: it goes on as it is */
}
