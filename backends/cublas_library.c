#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "backends/cublas.h"

void *pr_cublas_library_open(pr_error *err) {
    char name[32];
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    /* Once it is there it stays: its kernels are the GPU's to let go of, at the program's end. */
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!library) {
        pr_fail(err, PR_DEVICE, "cuBLASLt is missing: %s", dlerror());
    }
    return library;
}

bool pr_cublas_library_find(void *library, const char *name, void *function) {
    void *symbol = dlsym(library, name);
    memcpy(function, &symbol, sizeof symbol); /* as POSIX has it: no cast between the kinds */
    return symbol != NULL;
}

void pr_cublas_library_close(void *library) {
    dlclose(library);
}
