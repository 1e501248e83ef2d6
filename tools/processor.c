#include "tools/processor.h"

#include <string.h>

#include "backends/cpu.h"

static const char *const precisions[] = {"f32", "bf16", NULL};

void processor_add_options(cli_options *o, processor_choice *c) {
    *c = (processor_choice){.precision = precisions[0]};
    cli_int(o, "threads", "N", "threads; results do not depend on them", &c->threads, 1,
            PR_MAX_THREADS);
    cli_shown(o, "all usable cores");
    cli_also(o, "num_threads jobs");
    cli_choice(o, "precision", "NAME",
               "of products with weights that do not train: f32; or bf16, in half the memory",
               &c->precision, precisions);
    cli_also(o, "dtype torch_dtype");
}

pr_backend *processor_open(const processor_choice *c, FILE *notes, pr_error *err) {
    pr_backend *backend = pr_cpu_new((int)c->threads, err);
    if (!backend || strcmp(c->precision, "bf16") != 0) return backend;
    if (backend->fast_bf16) {
        backend->precision = PR_PRECISION_BF16;
    } else if (notes) {
        fprintf(notes, "This processor has no bf16 instructions: computing in f32 instead\n");
    }
    return backend;
}
