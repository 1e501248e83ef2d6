/* compare: makes steps of training on two backends side by side, node by node, to find a wrong one.
 */
#include <math.h>
#include <string.h>

#include "tools/data.h"
#include "tools/methods.h"
#include "tools/processor.h"
#include "tools/side_by_side.h"
#include "train/finetune.h"

enum { NAME_BYTES = sizeof "cuda" };

typedef struct settings {
    const char *model, *backends, *method_names[MOST_METHODS + 1], *method;
    data_choice data;
    processor_choice processor;
    int64_t steps, batch_size, seed;
} settings;

/* One of the two. */
typedef struct side {
    pr_backend *backend;
    pr_model *model;
} side;

/* "cpu,cuda" into its two names. */
static bool split(const char *text, char name[2][NAME_BYTES]) {
    char rest;
    if (sscanf(text, "%4[a-z],%4[a-z]%c", name[0], name[1], &rest) != 2) return false;
    for (int i = 0; i < 2; i++)
        if (strcmp(name[i], "cpu") != 0 && strcmp(name[i], "cuda") != 0) return false;
    return true;
}

static pr_status open_side(const settings *s, const char *name, side *one, pr_error *err) {
    one->backend = processor_open_named(&s->processor, name, stdout, err);
    if (one->backend) one->model = pr_model_open(s->model, one->backend, err);
    if (one->model) return PR_OK;
    return err->code != PR_OK ? err->code : PR_INTERNAL;
}

/* Both get the same head and the same method. */
static pr_status give_method(const settings *s, side *one, const pr_dataset *data, pr_error *err) {
    const pr_method *method = pr_method_find(s->method);
    pr_method_options options = method->defaults;
    options.seed = (uint64_t)s->seed;
    return methods_give(one->model, data, method, &options, err);
}

static bool count_step(void *context, const pr_step_report *step) {
    side_by_side *found = context;
    found->step = step->step + 1;
    return true;
}

static pr_status run(const settings *s, const side both[2], const pr_dataset *data,
                     side_by_side *found, pr_error *err) {
    const pr_comparison comparison = {both[1].model->store, side_by_side_note, found};
    const pr_finetune_callbacks calls = {.context = found,
                                         .step = count_step,
                                         .compare = &comparison,
                                         .compared = (int32_t)s->steps};
    pr_finetune_options options = pr_finetune_default();
    pr_finetune_result result;
    options.batch_size = (int32_t)s->batch_size;
    options.seed = (uint64_t)s->seed;
    options.max_steps = (int32_t)s->steps;
    found->step = 1;
    found->tolerance =
        side_by_side_tolerance(both[0].backend->precision, both[1].backend->precision);
    return pr_finetune_run(both[0].model, both[0].backend, data, NULL, &options, &calls, &result,
                           err);
}

static pr_status compare(const settings *s, char name[2][NAME_BYTES], pr_error *err) {
    side both[2] = {{0}};
    data_sets sets = {0};
    side_by_side found = {.n = 0};
    pr_status status = open_side(s, name[0], &both[0], err);
    if (status == PR_OK) status = open_side(s, name[1], &both[1], err);
    if (status == PR_OK) status = data_read(&s->data, both[0].model, s->model, true, &sets, err);
    for (int i = 0; i < 2 && status == PR_OK; i++)
        status = give_method(s, &both[i], sets.train, err);
    if (status == PR_OK) status = run(s, both, sets.train, &found, err);
    if (status == PR_OK) {
        printf("%s beside %s: %s on %s, method %s\n", name[1], name[0], s->model,
               data_name(&s->data), s->method);
        status = side_by_side_judge(&found, stdout, err);
    }
    side_by_side_free(&found);
    data_free(&sets);
    for (int i = 0; i < 2; i++) {
        pr_model_free(both[i].model);
        pr_backend_free(both[i].backend);
    }
    return status;
}

static void add_options(cli_options *o, settings *s) {
    cli_text(o, "backends", "A,B", "the two: B's nodes are given what A's are", &s->backends);
    cli_int(o, "steps", "N", "of training", &s->steps, 1, 1000);
    methods_add_option(o, &s->method, s->method_names);
    data_add_options(o, &s->data, true);
    cli_group(o, "Running");
    cli_int(o, "batch-size", "N", "texts a step", &s->batch_size, 1, 65536);
    cli_int(o, "seed", "N", "of the head, the method and dropout", &s->seed, 0, INFINITY);
    processor_add_options(o, &s->processor);
}

int main(int argc, char **argv) {
    settings s = {.backends = "cpu,cuda", .steps = 1, .batch_size = 16};
    cli_options options = {.n = 0};
    add_options(&options, &s);
    const cli_program program = {
        .name = "compare",
        .usage = "MODEL [options]",
        .description =
            "Trains MODEL for some steps on two backends side by side. Each node, forward, "
            "backward and update, is computed by both from what the first one had, so that a "
            "kernel that is wrong stands out. Prints the values that differ most and ends with 1 "
            "if any is out of tolerance.",
        .examples = "  compare model.gguf\n"
                    "  compare model.gguf --method learner --steps 3 --precision bf16\n",
        .options = &options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
    s.model = argv[cli_parse(&program, argc, argv)];
    data_check(&program, &s.data, true);
    pr_error err = {.code = PR_OK};
    char name[2][NAME_BYTES];
    if (!split(s.backends, name)) {
        cli_wrong_use(&program,
                      "--backends: expected two of cpu and cuda, as in cpu,cuda, found '%s'",
                      s.backends);
    }
    return cli_end(&program, compare(&s, name, &err), &err);
}
