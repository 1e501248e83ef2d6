#include "tools/processor.h"

#include <string.h>

#include "backends/cpu.h"
#include "backends/cuda.h"
#include "tools/format.h"

static const char *const backends[] = {"auto", "cpu", "cuda", NULL};
static const char *const precisions[] = {"f32", "tf32", "bf16", NULL};

enum { MOST_GPUS = 64 };

void processor_add_place(cli_options *o, processor_choice *c) {
    *c = (processor_choice){.backend = backends[0], .precision = precisions[0]};
    cli_choice(o, "backend", "NAME", "cpu, cuda, or auto: a GPU where there is one", &c->backend,
               backends);
    cli_also(o, "device use_cpu no_cuda");
    cli_int(o, "gpu", "N", "which GPU; 'inspect --devices' lists them", &c->gpu, 0, MOST_GPUS - 1);
    cli_int(o, "threads", "N", "the processor's; results do not depend on them", &c->threads, 1,
            PR_MAX_THREADS);
    cli_shown(o, "all usable cores");
    cli_also(o, "num_threads jobs");
}

void processor_add_options(cli_options *o, processor_choice *c) {
    processor_add_place(o, c);
    cli_choice(
        o, "precision", "NAME",
        "of products: f32; tf32, on a GPU; or bf16, which keeps weights that do not train in "
        "half the memory",
        &c->precision, precisions);
    cli_also(o, "dtype torch_dtype tf32 bf16 fp16");
}

static pr_backend *open_cpu(const processor_choice *c, FILE *notes, pr_error *err) {
    pr_backend *backend = pr_cpu_new((int)c->threads, err);
    if (!backend || strcmp(c->precision, "bf16") != 0) return backend;
    if (backend->fast_bf16) {
        backend->precision = PR_PRECISION_BF16;
    } else if (notes) {
        fprintf(notes, "This processor has no bf16 instructions: computing in f32 instead\n");
    }
    return backend;
}

static pr_backend *open_cuda(const processor_choice *c, FILE *notes, pr_error *err) {
    pr_cuda_device device;
    char bytes[FORMAT_SIZE];
    pr_backend *backend = pr_cuda_new((int)c->gpu, err);
    if (!backend) return NULL;
    if (strcmp(c->precision, "bf16") == 0) backend->precision = PR_PRECISION_BF16;
    if (strcmp(c->precision, "tf32") == 0) backend->precision = PR_PRECISION_TF32;
    if (notes && pr_cuda_describe((int)c->gpu, &device, NULL) == PR_OK) {
        fprintf(notes, "Computing on GPU %d, %s, with %s\n", (int)c->gpu, device.name,
                format_bytes(bytes, device.bytes));
    }
    return backend;
}

pr_backend *processor_open_named(const processor_choice *c, const char *name, FILE *notes,
                                 pr_error *err) {
    return strcmp(name, "cuda") == 0 ? open_cuda(c, notes, err) : open_cpu(c, notes, err);
}

/* A GPU's backend where "auto" finds one that can be used; else NULL, and a line why. */
static pr_backend *open_any_gpu(const processor_choice *c, FILE *notes) {
    pr_error fault = {.code = PR_OK};
    if (!pr_cuda_is_built() || !pr_cuda_count(NULL)) return NULL;
    pr_backend *backend = open_cuda(c, notes, &fault);
    if (!backend && notes) fprintf(notes, "Computing without a GPU: %s\n", fault.message);
    return backend;
}

pr_backend *processor_open(const processor_choice *c, FILE *notes, pr_error *err) {
    if (strcmp(c->backend, "cuda") == 0) return open_cuda(c, notes, err);
    pr_backend *backend = strcmp(c->backend, "auto") == 0 ? open_any_gpu(c, notes) : NULL;
    if (backend) return backend;
    if (strcmp(c->precision, "tf32") != 0) return open_cpu(c, notes, err);
    pr_fail(err, PR_BAD_ARGUMENT, "--precision tf32 is for GPUs: use f32 or bf16");
    return NULL;
}
