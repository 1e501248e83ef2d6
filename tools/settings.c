#include "tools/settings.h"

#include <math.h>
#include <string.h>

#include "backends/cpu.h"
#include "graph/memory.h"
#include "tools/paths.h"

enum { MOST_STEPS = 1 << 30 };
static const double OWN_DROPOUT = -1;

/* ---- the command line ---- */

static cli_option *add_training_options(cli_option *o, settings *s) {
    *o++ = (cli_option){.help = "Training"};
    *o++ = (cli_option){"epochs",
                        "N",
                        "passes over the data",
                        CLI_INT,
                        .value = &s->epochs,
                        .least = 1,
                        .most = 100000,
                        .also = "num_train_epochs num_epochs"};
    *o++ = (cli_option){"batch-size",
                        "N",
                        "texts a step",
                        CLI_INT,
                        .value = &s->batch_size,
                        .least = 1,
                        .most = 65536,
                        .also = "per_device_train_batch_size train_batch_size bs batch"};
    *o++ = (cli_option){"lr",
                        "RATE",
                        "highest learning rate; it falls linearly to 0",
                        CLI_REAL,
                        .value = &s->learning_rate,
                        .least = 0,
                        .most = 10,
                        .also = "learning-rate"};
    *o++ = (cli_option){"weight-decay",
                        "X",
                        "AdamW's, of weights but not biases and norms",
                        CLI_REAL,
                        .value = &s->weight_decay,
                        .least = 0,
                        .most = 10,
                        .also = "wd"};
    *o++ = (cli_option){"warmup",
                        "X",
                        "steps of warm-up; under 1: that part of all steps",
                        CLI_REAL,
                        .value = &s->warmup,
                        .least = 0,
                        .most = MOST_STEPS,
                        .also = "warmup_steps warmup_ratio"};
    *o++ = (cli_option){"clip",
                        "X",
                        "most that the gradients' norm may be; 0: any",
                        CLI_REAL,
                        .value = &s->clip,
                        .least = 0,
                        .most = 1e9,
                        .also = "max_grad_norm grad-clip"};
    *o++ = (cli_option){"dropout",
                        "P",
                        "in the blocks and after the embeddings",
                        CLI_REAL,
                        .value = &s->dropout,
                        .least = 0,
                        .most = 0.99,
                        .shown = "the model's own"};
    *o++ = (cli_option){"head-dropout",
                        "P",
                        "in the head",
                        CLI_REAL,
                        .value = &s->head_dropout,
                        .least = 0,
                        .most = 0.99,
                        .shown = "the model's own",
                        .also = "classifier_dropout"};
    *o++ = (cli_option){"seed",
                        "N",
                        "of the order of texts, new weights and dropout",
                        CLI_INT,
                        .value = &s->seed,
                        .least = 0,
                        .most = INFINITY};
    *o++ = (cli_option){"steps",
                        "N",
                        "stop after so many; the rate falls as if it went on",
                        CLI_INT,
                        .value = &s->steps,
                        .least = 1,
                        .most = MOST_STEPS,
                        .shown = "all",
                        .also = "max_steps"};
    *o++ = (cli_option){"threads",
                        "N",
                        "threads; results do not depend on them",
                        CLI_INT,
                        .value = &s->threads,
                        .least = 1,
                        .most = PR_MAX_THREADS,
                        .shown = "all usable cores",
                        .also = "num_threads jobs"};
    return o;
}

static cli_option *add_method_options(cli_option *o, settings *s) {
    for (int i = 0; pr_methods[i] && i < MOST_METHODS; i++) {
        s->method_names[i] = pr_methods[i]->name;
    }
    s->method_name = s->method_names[0];
    *o++ = (cli_option){.help = "Method"};
    *o++ = (cli_option){"method",
                        "NAME",
                        "what trains",
                        CLI_CHOICE,
                        .value = &s->method_name,
                        .choices = s->method_names};
    *o++ = (cli_option){"learner",
                        "L",
                        "train learners of rank L beside frozen weights",
                        CLI_INT,
                        .value = &s->learner,
                        .least = 1,
                        .most = 65536,
                        .shown = "64",
                        .also = "rank lora_r lora-rank r"};
    *o++ = (cli_option){"prime",
                        "P",
                        "epochs in which attention's weights train too",
                        CLI_INT,
                        .value = &s->prime,
                        .least = 0,
                        .most = 100000,
                        .shown = "2"};
    *o++ = (cli_option){"scale",
                        "S",
                        "of what a learner adds",
                        CLI_REAL,
                        .value = &s->scale,
                        .least = -1e6,
                        .most = 1e6,
                        .shown = "1",
                        .also = "lora_scale"};
    return o;
}

static cli_option *add_output_options(cli_option *o, settings *s) {
    *o++ = (cli_option){.help = "Output"};
    *o++ = (cli_option){"out",
                        "FILE",
                        "the tuned model",
                        CLI_TEXT,
                        .value = &s->out,
                        .shown = "MODEL-tuned.gguf",
                        .also = "output output_dir o save"};
    *o++ = (cli_option){"collapse",
                        NULL,
                        "fold the learners in: write a plain model",
                        CLI_FLAG,
                        .value = &s->collapse,
                        .also = "merge"};
    *o++ = (cli_option){"checkpoint",
                        "FILE",
                        "what a stopped run can go on from",
                        CLI_TEXT,
                        .value = &s->checkpoint,
                        .also = "checkpoint-out"};
    *o++ = (cli_option){"save-every",
                        "N",
                        "steps between checkpoints",
                        CLI_INT,
                        .value = &s->save_every,
                        .least = 1,
                        .most = MOST_STEPS,
                        .shown = "at the stop only",
                        .also = "save_steps"};
    *o++ = (cli_option){"resume",
                        "FILE",
                        "go on from a checkpoint, with the same options",
                        CLI_TEXT,
                        .value = &s->resume,
                        .also = "resume_from_checkpoint checkpoint-in continue"};
    *o++ = (cli_option){"log",    "FILE",           "a JSON line for each step and each epoch",
                        CLI_TEXT, .value = &s->log, .also = "log-file logging"};
    *o++ = (cli_option){"json", NULL, "end with one JSON line; the rest goes to stderr", CLI_FLAG,
                        .value = &s->json};
    *o++ = (cli_option){
        "quiet",           NULL, "print nothing but errors", CLI_FLAG, .value = &s->quiet,
        .also = "silent q"};
    *o++ = (cli_option){"dry-run", NULL, "print counts, memory and FLOPs; train nothing", CLI_FLAG,
                        .value = &s->dry_run};
    return o;
}

static void fill_defaults(settings *s) {
    pr_finetune_options o = pr_finetune_default();
    *s = (settings){.dropout = OWN_DROPOUT, .head_dropout = OWN_DROPOUT};
    s->epochs = o.epochs;
    s->batch_size = o.batch_size;
    s->learning_rate = o.learning_rate;
    s->weight_decay = o.weight_decay;
    s->warmup = o.warmup;
    s->clip = o.clip;
    s->seed = (int64_t)o.seed;
}

/* ---- what contradicts what ---- */

static void check_method(const cli_program *program, settings *s) {
    bool learner = cli_given(program, "learner");
    if (learner && cli_given(program, "method") && strcmp(s->method_name, "learner") != 0) {
        cli_wrong_use(program,
                      "--learner and --method %s contradict each other: did you mean "
                      "'--method learner'?",
                      s->method_name);
    }
    if (learner) s->method_name = "learner";
    s->method = pr_method_find(s->method_name);
    const char *stray = cli_given(program, "prime")   ? "prime"
                        : cli_given(program, "scale") ? "scale"
                                                      : NULL;
    if (stray && !s->method->sized) {
        cli_wrong_use(program, "--%s means nothing for --method %s: did you mean '--learner 64'?",
                      stray, s->method_name);
    }
    if (s->collapse && s->method->add && !s->method->collapse) {
        cli_wrong_use(program, "--collapse: what --method %s adds can't be folded into weights",
                      s->method_name);
    }
    pr_method_options *o = &s->method_options;
    *o = s->method->defaults;
    o->seed = (uint64_t)s->seed;
    if (learner) o->size = (int32_t)s->learner;
    if (cli_given(program, "prime")) o->prime = (int32_t)s->prime;
    if (cli_given(program, "scale")) o->scale = (float)s->scale;
}

static void check_outputs(const cli_program *program, const settings *s) {
    const struct {
        const char *option, *path;
    } outputs[] = {{"--out", s->out}, {"--checkpoint", s->checkpoint}, {"--log", s->log}};
    const char *inputs[] = {s->data.train_file, s->data.dev_file, s->resume};
    enum { OUTPUTS = 3, INPUTS = 3, RESUME = 2 };
    for (int i = 0; i < OUTPUTS; i++) {
        const char *path = outputs[i].path;
        if (!path) continue;
        if (path_is_of_model(path, s->model)) {
            cli_wrong_use(program, "%s '%s' is the input itself: name another file",
                          outputs[i].option, path);
        }
        for (int k = 0; k < INPUTS; k++) {
            /* A resumed run may write its checkpoints where it found one. */
            if (!inputs[k] || (k == RESUME && path == s->checkpoint)) continue;
            if (path_is_same(path, inputs[k])) {
                cli_wrong_use(program, "%s '%s' is an input: name another file", outputs[i].option,
                              path);
            }
        }
        for (int k = 0; k < i; k++) {
            if (!outputs[k].path) continue;
            if (strcmp(path, outputs[k].path) == 0 || path_is_same(path, outputs[k].path)) {
                cli_wrong_use(program, "%s and %s are one file, '%s': name two", outputs[k].option,
                              outputs[i].option, path);
            }
        }
    }
}

static void check_use(const cli_program *program, settings *s) {
    data_check(program, &s->data, true);
    check_method(program, s);
    if (s->save_every && !s->checkpoint) {
        cli_wrong_use(program, "--save-every needs --checkpoint FILE");
    }
}

/* Names of files that were not given. */
static pr_status name_outputs(settings *s, pr_error *err) {
    if (!s->out) s->out = s->default_out = path_for_tuned(s->model);
    if (s->out) s->stop_checkpoint = path_with_ending(s->out, ".checkpoint");
    if (!s->stop_checkpoint) return pr_fail_memory(err, "a path", strlen(s->model));
    return PR_OK;
}

static void fill_run(settings *s) {
    s->run = (pr_finetune_options){
        .epochs = (int32_t)s->epochs,
        .batch_size = (int32_t)s->batch_size,
        .learning_rate = s->learning_rate,
        .weight_decay = s->weight_decay,
        .warmup = s->warmup,
        .clip = s->clip,
        .seed = (uint64_t)s->seed,
        .max_steps = (int32_t)s->steps,
        .save_every = (int32_t)s->save_every,
        .checkpoint = s->checkpoint,
        .resume = s->resume,
    };
}

static void describe_program(settings *s) {
    cli_option *o = data_add_options(s->options, &s->data, true);
    o = add_method_options(o, s);
    o = add_training_options(o, s);
    add_output_options(o, s);
    s->program = (cli_program){
        .name = "finetune",
        .usage = "MODEL [options]",
        .description =
            "Trains MODEL, a GGUF file or a Hugging Face folder, on labelled texts and writes the "
            "tuned model. Without data it trains on the sample that comes with it. Ctrl-C ends "
            "after the step, with the model and a checkpoint saved; a second one ends at once.",
        .examples = "  finetune model.gguf --learner 64 --prime 2\n"
                    "  finetune model.gguf --task CoLA --data glue --lr 2e-4\n"
                    "  finetune model.gguf --train-file train.csv --dev-file dev.csv \\\n"
                    "      --text review --label stars --out stars.gguf\n",
        .options = s->options,
        .least_arguments = 1,
        .most_arguments = 1,
    };
}

pr_status settings_read(settings *s, int argc, char **argv, pr_error *err) {
    fill_defaults(s);
    describe_program(s);
    s->model = argv[cli_parse(&s->program, argc, argv)];
    check_use(&s->program, s);
    pr_status status = name_outputs(s, err);
    if (status != PR_OK) return status;
    check_outputs(&s->program, s);
    fill_run(s);
    return PR_OK;
}

void settings_free(settings *s) {
    pr_free(s->default_out);
    pr_free(s->stop_checkpoint);
}
