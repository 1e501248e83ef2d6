/* How fast the processor or the GPU is at what bounds a step of training. */
#ifndef MACHINE_H
#define MACHINE_H

#include "graph/backend.h"

typedef struct machine_speed {
    double flops;        /* floating-point operations a second in large products of matrices */
    double tf32_flops;   /* the same in tf32; 0 on a processor */
    double bf16_flops;   /* where one factor is bf16, on a GPU both; 0 where that is no faster */
    double bytes;        /* a second, read and written, in memory that no cache holds */
    const char *kernels; /* the processor that OpenBLAS's kernels are for; OpenBLAS's own text; NULL
                            of a GPU */
} machine_speed;

/* Measures them with the backend, each the best of several goes; takes some seconds. */
pr_status machine_measure(pr_backend *backend, machine_speed *speed, pr_error *err);

/* machine_gpu.c: of a GPU. */
pr_status machine_measure_gpu(pr_backend *backend, machine_speed *speed, pr_error *err);

#endif
