/* collapse: folds what a method added (W + s P2 P1) into the weights and writes a plain model. */
#include <stdio.h>

#include "backends/cpu.h"
#include "models/model.h"
#include "tools/cli.h"
#include "tools/describe.h"
#include "tools/paths.h"

static pr_status collapse(const char *in, const char *out, pr_error *err) {
    pr_backend *backend = pr_cpu_new(0, err);
    pr_model *model = backend ? pr_model_open(in, backend, err) : NULL;
    pr_status status = err->code;
    if (model) {
        status = describe_if_unfoldable(in, model, err);
        if (status == PR_OK) status = pr_model_save(model, out, true, err);
        if (status == PR_OK && !model->method->add) {
            printf("%s is a plain model, with nothing to fold in: %s is the same\n", in, out);
        }
        if (status == PR_OK) describe_written(out, model, true);
    }
    pr_model_free(model);
    pr_backend_free(backend);
    return status;
}

int main(int argc, char **argv) {
    cli_options options = {.n = 0};
    const cli_program program = {
        .name = "collapse",
        .usage = "IN OUT",
        .description = "Folds a tuned model's learners or LoRA into its weights (W + s P2 P1) and "
                       "writes a plain model: the base's tensors and the head, as others can serve "
                       "it. Adapters can't be folded in. IN is a GGUF file or a Hugging Face "
                       "folder, OUT a GGUF file.",
        .examples = "  collapse model-tuned.gguf model-plain.gguf\n",
        .options = &options,
        .least_arguments = 2,
        .most_arguments = 2,
    };
    int first = cli_parse(&program, argc, argv);
    const char *in = argv[first], *out = argv[first + 1];
    if (path_is_of_model(out, in)) {
        cli_wrong_use(&program, "OUT '%s' is the input itself: name another file", out);
    }
    pr_error err = {.code = PR_OK};
    pr_status status = collapse(in, out, &err);
    return cli_end(&program, status, &err);
}
