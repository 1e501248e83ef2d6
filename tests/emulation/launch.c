/* Launches: what a device refuses is refused, and the arguments are copied and queued. */
#include "tests/emulation/launch.h"

#include "tests/emulation/internal.h"

#include <stdio.h>
#include <string.h>

enum { MOST_THREADS = 1024, MOST_GRID_YZ = 65535, MOST_KERNELS = 256, NAME_BYTES = 256 };

/* Kernels that were granted more dynamic shared memory than all are. */
static struct {
    const void *kernel;
    int bytes;
} granted[MOST_KERNELS];
static int n_granted;
/* Those that were launched: they are on the device. */
static const void *loaded[MOST_KERNELS];
static int n_loaded;
static char last_kernel[NAME_BYTES];

const char *emulation_last_kernel(void) {
    return last_kernel;
}

void emulation_forget_kernels(void) {
    n_granted = n_loaded = 0;
    last_kernel[0] = '\0';
}

static size_t shared_limit(const void *kernel) {
    for (int i = 0; i < n_granted; i++)
        if (granted[i].kernel == kernel) return (size_t)granted[i].bytes;
    return EMULATION_STATIC_SHARED;
}

static cudaError_t grant(const void *kernel, int bytes) {
    if (bytes < 0 || bytes > emulation_shared_limit()) {
        return emulation_refuse(cudaErrorInvalidValue, "%d bytes of shared memory; a block has %d",
                                bytes, emulation_shared_limit());
    }
    int i = 0;
    while (i < n_granted && granted[i].kernel != kernel)
        i++;
    if (i == MOST_KERNELS) return cudaErrorNotSupported;
    if (i == n_granted) n_granted++;
    granted[i].kernel = kernel;
    granted[i].bytes = bytes;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, enum cudaFuncAttribute attribute, int value) {
    cudaError_t error = emulation_enter(__func__);
    if (!error && !emulation_symbol(kernel)) error = cudaErrorInvalidDeviceFunction;
    if (!error && attribute == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        error = grant(kernel, value);
    } else if (!error && attribute != cudaFuncAttributePreferredSharedMemoryCarveout) {
        error = cudaErrorInvalidValue;
    }
    return emulation_leave(error);
}

static cudaError_t check_shape(const emulation_launch *l) {
    uint64_t threads = (uint64_t)l->block.x * l->block.y * l->block.z;
    if (!threads || l->block.x > MOST_THREADS || l->block.y > MOST_THREADS ||
        threads > MOST_THREADS || l->block.z > 64) {
        return emulation_refuse(cudaErrorInvalidConfiguration, "%s: a block of %u x %u x %u",
                                last_kernel, l->block.x, l->block.y, l->block.z);
    }
    if (!l->grid.x || !l->grid.y || !l->grid.z || l->grid.x > INT32_MAX ||
        l->grid.y > MOST_GRID_YZ || l->grid.z > MOST_GRID_YZ) {
        return emulation_refuse(cudaErrorInvalidConfiguration, "%s: a grid of %u x %u x %u",
                                last_kernel, l->grid.x, l->grid.y, l->grid.z);
    }
    if (l->shared > shared_limit(l->kernel)) {
        return emulation_refuse(cudaErrorInvalidValue,
                                "%s: %zu bytes of dynamic shared memory, %zu allowed", last_kernel,
                                l->shared, shared_limit(l->kernel));
    }
    return cudaSuccess;
}

/* A device would tell only when the kernel touches them. */
static cudaError_t check_pointers(const emulation_launch *l) {
    for (int i = 0; i < l->n_pointers; i++) {
        const void *at = l->pointers[i];
        if (!at || emulation_holds(at, 0) || emulation_is_pinned(at)) continue;
        emulation_fault(cudaErrorIllegalAddress,
                        "%s: its pointer argument %d, %p, is not in device memory", last_kernel,
                        i + 1, at);
        return cudaErrorIllegalAddress;
    }
    return cudaSuccess;
}

/* A kernel is loaded when it is launched first, which drivers before 12.3 do not do in a capture.
 */
static cudaError_t load(const emulation_launch *l) {
    int i = 0;
    while (i < n_loaded && loaded[i] != l->kernel)
        i++;
    if (i < n_loaded) return cudaSuccess;
    struct CUstream_st *stream = emulation_stream(l->stream);
    if (stream && *emulation_capture_of(stream)) {
        char what[NAME_BYTES + 32];
        snprintf(what, sizeof what, "the first launch of %s", last_kernel);
        return emulation_uncapturable_on(stream, what);
    }
    if (i == MOST_KERNELS) return cudaErrorNotSupported;
    loaded[n_loaded++] = l->kernel;
    return cudaSuccess;
}

static void run(void *context) {
    const emulation_grid *grid = context;
    cudaError_t wanted = (cudaError_t)emulation_wanted("kernel");
    emulation_counter()->kernels++;
    if (wanted) {
        emulation_fault(wanted, "%s was made to fail", emulation_symbol(grid->kernel));
        return;
    }
    emulation_run_grid(grid);
}

static cudaError_t queue(const emulation_launch *l) {
    emulation_grid grid = {.kernel = l->kernel,
                           .call = l->call,
                           .grid = l->grid,
                           .block = l->block,
                           .shared = l->shared};
    size_t bytes = sizeof grid + l->bytes;
    unsigned char *context = emulation_new(bytes);
    memcpy(context, &grid, sizeof grid);
    memcpy(context + sizeof grid, l->arguments, l->bytes);
    cudaError_t error = emulation_queue(l->stream, (emulation_task){.run = run}, context, bytes);
    emulation_delete(context);
    return error;
}

static cudaError_t launch(const emulation_launch *l) {
    const char *name = emulation_symbol(l->kernel);
    if (!name) {
        return emulation_refuse(cudaErrorInvalidDeviceFunction,
                                "the kernel is not among the program's own symbols");
    }
    strncpy(last_kernel, name, NAME_BYTES - 1);
    cudaError_t error = check_shape(l);
    if (!error) error = check_pointers(l);
    if (!error) error = load(l);
    if (!error) error = queue(l);
    if (!error) emulation_counter()->launches++;
    return error;
}

cudaError_t emulation_launch_kernel(const emulation_launch *l) {
    cudaError_t error = emulation_enter("launch");
    return emulation_leave(error ? error : launch(l));
}
