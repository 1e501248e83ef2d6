/* A CUDA device on the processor, for tests on machines without one. It has the runtime's and
 * cuBLASLt's functions, by the toolkit's own prototypes, and runs kernels that the host's compiler
 * has compiled (device.cuh). It is stricter than a device, so that what is legal but happens to
 * work on one is found out:
 *
 * - Work that a stream is given waits there until something synchronises, or an early moment that
 *   is drawn. Then the arguments that were given count, and the bytes that pinned memory holds by
 *   then.
 * - The threads of a block run in an order that is drawn anew at each barrier. A barrier that not
 *   all of a block's threads reach is a fault of the launch, and so is a warp's exchange that not
 *   all lanes of its mask take part in.
 * - Device and shared memory is full of EMULATION_UNWRITTEN before it is written.
 * - Host code that touches device memory ends the program by SIGSEGV, and so does a kernel that
 *   touches what is not allocated. Within the last page of an allocation AddressSanitizer sees it,
 *   and without it a kernel that writes there is found when it ends.
 *
 * All orders come from one seed, which each report names. One thread at a time may use it all. */
#ifndef PR_EMULATION_H
#define PR_EMULATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A signalling NaN as a float, and in either half as a bf16; an index out of all bounds as an
 * integer, and an address that no processor takes. */
#define EMULATION_UNWRITTEN 0x7FA07FA0u

typedef struct emulation_machine {
    bool driver; /* whether there is one; without, calls are cudaErrorInsufficientDriver */
    int devices; /* 0 or 1; without, calls are cudaErrorNoDevice */
    int major;   /* the device's compute capability */
    int minor;
    size_t memory;  /* the device's memory, in bytes */
    uint64_t seed;  /* of every order; 0: the environment's PR_EMULATION_SEED, or else 1 */
    unsigned early; /* of 64 pieces of work queued, after how many some is run at once */
} emulation_machine;

/* A driver, one device of capability 8.0 with 1 GiB, early 8. */
emulation_machine emulation_usual(void);

/* A new machine, as if a new process began: nothing is allocated, queued, counted, failed or made
 * to fail. Without this call a program has the usual one. */
void emulation_start(const emulation_machine *machine);

/* Draws all orders from this seed on. */
void emulation_seed(uint64_t seed);
/* Changes machine.early. 0: nothing runs before something synchronises. */
void emulation_run_early(unsigned early);
/* Another process takes so many bytes of the device's memory in place of what it had taken. */
void emulation_take_memory(size_t bytes);

/* The nth call from now on (1: the next) of a function of the runtime or of cuBLASLt, by its name,
 * returns this cudaError_t or cublasStatus_t and does nothing. Two names more: "launch" is any
 * launch of a kernel, and "kernel" the run of any: what fails there is told by the next call that
 * synchronises and by all after it, as a device does. One failure a name; n = 0 takes it back. */
void emulation_fail(const char *function, long n, int error);

/* What was done since the last call of emulation_mark. */
typedef struct emulation_counts {
    long launches; /* kernels launched, those recorded into a graph too */
    long graph_launches;
    long kernels;          /* kernels run, those of graphs too */
    long products;         /* cublasLtMatmul, recorded ones too */
    long allocations;      /* of device memory and of pinned host memory */
    long frees;            /* of the same */
    long synchronisations; /* calls that waited for queued work or would have, copies among them */
    long copies;           /* copies and memsets, asynchronous ones and recorded ones too */
    long objects;          /* streams, events and graphs made */
} emulation_counts;

void emulation_mark(void);
emulation_counts emulation_counted(void);

/* The kernel that was launched last, as its source names it; "" for none. */
const char *emulation_last_kernel(void);

/* Why the last call failed or the last fault came about, in words; "" where there is no more to say
 * than the error's name. Reports of faults go to stderr as well. */
const char *emulation_message(void);

/* How many allocations, streams, events, graphs and descriptors there are; each is told on stderr.
 * A program that ends with any left is told so too, and ends with 1. */
int emulation_leaks(void);

/* Bytes of device memory that are allocated. */
size_t emulation_allocated(void);

/* Device memory as it is now, work that waits left undone, for tests to look at: copies bytes from
 * `device` on to `to`. False where they are not all in one allocation. */
bool emulation_peek(void *to, const void *device, size_t bytes);

/* Runs body(context) in a child process; what it writes to stderr goes to text, cut to size - 1
 * bytes. Its exit status, or minus the signal that ended it. The child ends with 0 if body
 * returns. */
int emulation_child(void (*body)(void *context), void *context, char *text, size_t size);

#ifdef __cplusplus
}
#endif
#endif
