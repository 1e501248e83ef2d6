/* In the place of backends/cublas_library.c: cuBLASLt's functions are the emulation's. */
#include <string.h>

#include "backends/cublas.h"

typedef void (*any_function)(void);

static const struct {
    const char *name;
    any_function function;
} functions[] = {
    {"cublasLtCreate", (any_function)cublasLtCreate},
    {"cublasLtDestroy", (any_function)cublasLtDestroy},
    {"cublasLtMatmul", (any_function)cublasLtMatmul},
    {"cublasLtMatmulDescCreate", (any_function)cublasLtMatmulDescCreate},
    {"cublasLtMatmulDescDestroy", (any_function)cublasLtMatmulDescDestroy},
    {"cublasLtMatmulDescSetAttribute", (any_function)cublasLtMatmulDescSetAttribute},
    {"cublasLtMatrixLayoutCreate", (any_function)cublasLtMatrixLayoutCreate},
    {"cublasLtMatrixLayoutDestroy", (any_function)cublasLtMatrixLayoutDestroy},
    {"cublasLtMatmulPreferenceCreate", (any_function)cublasLtMatmulPreferenceCreate},
    {"cublasLtMatmulPreferenceDestroy", (any_function)cublasLtMatmulPreferenceDestroy},
    {"cublasLtMatmulPreferenceSetAttribute", (any_function)cublasLtMatmulPreferenceSetAttribute},
    {"cublasLtMatmulAlgoGetHeuristic", (any_function)cublasLtMatmulAlgoGetHeuristic},
    {"cublasLtGetStatusString", (any_function)cublasLtGetStatusString},
    {"cublasLtGetVersion", (any_function)cublasLtGetVersion},
};

void *pr_cublas_library_open(pr_error *err) {
    (void)err;
    return (void *)(uintptr_t)functions;
}

bool pr_cublas_library_find(void *library, const char *name, void *function) {
    (void)library;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (strcmp(functions[i].name, name) != 0) continue;
        memcpy(function, &functions[i].function, sizeof functions[i].function);
        return true;
    }
    return false;
}

void pr_cublas_library_close(void *library) {
    (void)library;
}
