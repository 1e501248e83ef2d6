/* Names and descriptions of the errors that the emulation or a test may return, the runtime's own
 * words. */
#include "tests/emulation/internal.h"

#include <cublasLt.h>

#define NAMED(error) error, #error

static const struct {
    cudaError_t error;
    const char *name, *text;
} errors[] = {
    {NAMED(cudaSuccess), "no error"},
    {NAMED(cudaErrorInvalidValue), "invalid argument"},
    {NAMED(cudaErrorMemoryAllocation), "out of memory"},
    {NAMED(cudaErrorInitializationError), "initialization error"},
    {NAMED(cudaErrorInvalidConfiguration), "invalid configuration argument"},
    {NAMED(cudaErrorInvalidMemcpyDirection), "invalid copy direction for memcpy"},
    {NAMED(cudaErrorInsufficientDriver),
     "CUDA driver version is insufficient for CUDA runtime version"},
    {NAMED(cudaErrorDevicesUnavailable), "CUDA-capable device(s) is/are busy or unavailable"},
    {NAMED(cudaErrorInvalidDeviceFunction), "invalid device function"},
    {NAMED(cudaErrorNoDevice), "no CUDA-capable device is detected"},
    {NAMED(cudaErrorInvalidDevice), "invalid device ordinal"},
    {NAMED(cudaErrorNoKernelImageForDevice),
     "no kernel image is available for execution on the device"},
    {NAMED(cudaErrorUnsupportedPtxVersion),
     "the provided PTX was compiled with an unsupported toolchain."},
    {NAMED(cudaErrorInvalidResourceHandle), "invalid resource handle"},
    {NAMED(cudaErrorIllegalState), "the operation cannot be performed in the present state"},
    {NAMED(cudaErrorNotReady), "device not ready"},
    {NAMED(cudaErrorIllegalAddress), "an illegal memory access was encountered"},
    {NAMED(cudaErrorLaunchOutOfResources), "too many resources requested for launch"},
    {NAMED(cudaErrorLaunchTimeout), "the launch timed out and was terminated"},
    {NAMED(cudaErrorMisalignedAddress), "misaligned address"},
    {NAMED(cudaErrorLaunchFailure), "unspecified launch failure"},
    {NAMED(cudaErrorECCUncorrectable), "uncorrectable ECC error encountered"},
    {NAMED(cudaErrorNotSupported), "operation not supported"},
    {NAMED(cudaErrorSystemDriverMismatch),
     "system has unsupported display driver / cuda driver combination"},
    {NAMED(cudaErrorStreamCaptureUnsupported), "operation not permitted when stream is capturing"},
    {NAMED(cudaErrorStreamCaptureInvalidated),
     "operation failed due to a previous error during capture"},
    {NAMED(cudaErrorStreamCaptureUnmatched), "capture was not initiated in this stream"},
    {NAMED(cudaErrorStreamCaptureIsolation),
     "dependency created on uncaptured work in another stream"},
    {NAMED(cudaErrorStreamCaptureImplicit),
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {NAMED(cudaErrorUnknown), "unknown error"},
};

static size_t find(cudaError_t error) {
    size_t i = 0;
    while (i < sizeof errors / sizeof *errors && errors[i].error != error)
        i++;
    return i;
}

const char *cudaGetErrorName(cudaError_t error) {
    size_t i = find(error);
    return i < sizeof errors / sizeof *errors ? errors[i].name : "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error) {
    size_t i = find(error);
    return i < sizeof errors / sizeof *errors ? errors[i].text : "unrecognized error code";
}

static const struct {
    cublasStatus_t status;
    const char *name, *text;
} statuses[] = {
    {NAMED(CUBLAS_STATUS_SUCCESS), "success"},
    {NAMED(CUBLAS_STATUS_NOT_INITIALIZED), "the library was not initialized"},
    {NAMED(CUBLAS_STATUS_ALLOC_FAILED), "the resource allocation failed"},
    {NAMED(CUBLAS_STATUS_INVALID_VALUE), "an invalid value was provided as an input parameter"},
    {NAMED(CUBLAS_STATUS_ARCH_MISMATCH), "an absent device architectural feature is required"},
    {NAMED(CUBLAS_STATUS_MAPPING_ERROR), "an access to GPU memory space failed"},
    {NAMED(CUBLAS_STATUS_EXECUTION_FAILED), "the function failed to launch on the GPU"},
    {NAMED(CUBLAS_STATUS_INTERNAL_ERROR), "an internal operation failed"},
    {NAMED(CUBLAS_STATUS_NOT_SUPPORTED), "the functionality is not supported"},
    {NAMED(CUBLAS_STATUS_LICENSE_ERROR), "an error was detected when checking the license"},
};

const char *cublasLtGetStatusName(cublasStatus_t status) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) return statuses[i].name;
    return "unknown cublas status";
}

const char *cublasLtGetStatusString(cublasStatus_t status) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) return statuses[i].text;
    return "unknown cublas status";
}
