/* Which GPUs there are, and whether they can be used. */
#include <stdio.h>

#include "backends/cuda_internal.h"

enum { OLDEST_MAJOR = 7, OLDEST_MINOR = 5 };

bool pr_cuda_is_built(void) {
    return true;
}

/* CUDA counts versions as 1000 major + 10 minor. */
static pr_status tell_driver(pr_error *err) {
    int driver = 0, built = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&built);
    if (!driver) return pr_fail(err, PR_DEVICE, "no NVIDIA driver is installed");
    return pr_fail(err, PR_DEVICE,
                   "the NVIDIA driver serves CUDA %d.%d, and Primer was built with CUDA %d.%d: "
                   "update the driver",
                   driver / 1000, driver % 1000 / 10, built / 1000, built % 1000 / 10);
}

int pr_cuda_count(pr_error *err) {
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e == cudaSuccess && n > 0) return n;
    (void)cudaGetLastError();
    if (e == cudaErrorInsufficientDriver)
        tell_driver(err);
    else if (e == cudaSuccess || e == cudaErrorNoDevice)
        pr_fail(err, PR_DEVICE, "no NVIDIA GPU was found");
    else
        pr_cuda_status(e, "no GPU could be used", err);
    return 0;
}

pr_status pr_cuda_describe(int number, pr_cuda_device *device, pr_error *err) {
    struct cudaDeviceProp p;
    int n = pr_cuda_count(err);
    if (!n) return PR_DEVICE;
    if (number < 0 || number >= n) {
        return pr_fail(err, PR_BAD_ARGUMENT, "there is no GPU number %d: they are 0 to %d", number,
                       n - 1);
    }
    *device = (pr_cuda_device){.major = 0};
    cudaError_t e = cudaGetDeviceProperties(&p, number);
    if (e == cudaSuccess) e = cudaSetDevice(number);
    if (e == cudaSuccess) e = cudaMemGetInfo(&device->free_bytes, &device->bytes);
    if (e != cudaSuccess) return pr_cuda_status(e, "the GPU could not be asked", err);
    snprintf(device->name, sizeof device->name, "%s", p.name);
    device->major = p.major;
    device->minor = p.minor;
    device->multiprocessors = p.multiProcessorCount;
    return PR_OK;
}

pr_status pr_cuda_check_age(int number, const pr_cuda_device *d, pr_error *err) {
    if (d->major > OLDEST_MAJOR || (d->major == OLDEST_MAJOR && d->minor >= OLDEST_MINOR)) {
        return PR_OK;
    }
    return pr_fail(err, PR_DEVICE,
                   "GPU %d, %s, has compute capability %d.%d: Primer needs %d.%d or later", number,
                   d->name, d->major, d->minor, OLDEST_MAJOR, OLDEST_MINOR);
}
