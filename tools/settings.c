#include "tools/settings.h"

#include <math.h>
#include <string.h>

#include "graph/memory.h"
#include "tools/format.h"
#include "tools/paths.h"

enum { MOST_STEPS = 1 << 30 };
static const double OWN_DROPOUT = -1;

/* ---- the command line ---- */

static void add_method_options(cli_options *o, settings *s) {
    cli_group(o, "Method");
    methods_add_option(o, &s->method_name, s->method_names);
    cli_int(o, "learner", "L", "train learners of rank L beside frozen weights", &s->learner, 1,
            65536);
    cli_shown(o, "64");
    cli_also(o, "rank lora_r lora-rank r");
    cli_int(o, "size", "N", "rank of a learner or of LoRA, width of an adapter", &s->size, 1,
            65536);
    cli_shown(o, "the method's");
    cli_also(o, "width adapter_size reduction_factor bottleneck");
    cli_int(o, "prime", "P", "epochs in which a learner's attention weights train too", &s->prime,
            0, 100000);
    cli_shown(o, "2");
    cli_real(o, "scale", "S", "of what a learner (1) or a parallel adapter (4) adds", &s->scale,
             -1e6, 1e6);
    cli_shown(o, "the method's");
    cli_also(o, "lora_scale");
    cli_real(o, "alpha", "A", "of LoRA: what it adds is scaled by A over the rank", &s->alpha, -1e6,
             1e6);
    cli_shown(o, "the rank");
    cli_also(o, "lora_alpha");
    cli_real(o, "retain", "R", "percent of the feed-forwards' nodes that FAR keeps training",
             &s->retain, 0.01, 99.99);
    cli_shown(o, "10");
    cli_part(o, "prime-steps", "N", "steps, or with % a part of all, before FAR freezes the rest",
             &s->prime_steps);
    cli_shown(o, "1%");
    cli_texts(o, "train", "GLOB", "parameters that train too, by name (see inspect); repeatable",
              &s->train);
    cli_also(o, "unfreeze trainable modules_to_save");
    cli_texts(o, "freeze", "GLOB", "parameters that do not train, whatever else says; repeatable",
              &s->freeze);
    cli_also(o, "frozen");
}

static void add_training_options(cli_options *o, settings *s) {
    cli_group(o, "Training");
    cli_int(o, "epochs", "N", "passes over the data", &s->epochs, 1, 100000);
    cli_also(o, "num_train_epochs num_epochs");
    cli_int(o, "batch-size", "N", "texts a step", &s->batch_size, 1, 65536);
    cli_also(o, "per_device_train_batch_size train_batch_size bs batch");
    cli_int(o, "micro-batch", "N", "texts of a batch that are run at a time, for less memory",
            &s->micro_batch, 1, 65536);
    cli_shown(o, "all of it");
    cli_also(o, "micro_batch_size gradient_accumulation_steps");
    cli_flag(o, "recompute", "compute the forward part twice, for less memory", &s->recompute);
    cli_also(o, "gradient_checkpointing");
    cli_text(o, "memory", "LIMIT", "choose micro-batches and recomputation to stay within: 400MB",
             &s->memory);
    cli_also(o, "max-memory memory-limit");
    cli_real(o, "lr", "RATE", "highest learning rate; it falls linearly to 0", &s->learning_rate, 0,
             10);
    cli_also(o, "learning-rate");
    cli_real(o, "weight-decay", "X", "AdamW's, of weights but not biases and norms",
             &s->weight_decay, 0, 10);
    cli_also(o, "wd");
    cli_real(o, "warmup", "X", "steps of warm-up; under 1: that part of all steps", &s->warmup, 0,
             MOST_STEPS);
    cli_also(o, "warmup_steps warmup_ratio");
    cli_real(o, "clip", "X", "most that the gradients' norm may be; 0: any", &s->clip, 0, 1e9);
    cli_also(o, "max_grad_norm grad-clip");
    cli_real(o, "dropout", "P", "in the blocks and after the embeddings", &s->dropout, 0, 0.99);
    cli_shown(o, "the model's own");
    cli_real(o, "head-dropout", "P", "in the head", &s->head_dropout, 0, 0.99);
    cli_shown(o, "the model's own");
    cli_also(o, "classifier_dropout");
    cli_int(o, "seed", "N", "of the order of texts, new weights and dropout", &s->seed, 0,
            INFINITY);
    cli_int(o, "steps", "N", "stop after so many; the rate falls as if it went on", &s->steps, 1,
            MOST_STEPS);
    cli_shown(o, "all");
    cli_also(o, "max_steps");
    processor_add_options(o, &s->processor);
}

static void add_output_options(cli_options *o, settings *s) {
    cli_group(o, "Output");
    cli_text(o, "out", "FILE", "the tuned model", &s->out);
    cli_shown(o, "MODEL-tuned.gguf");
    cli_also(o, "output output_dir o save");
    cli_flag(o, "collapse", "fold the learners in: write a plain model", &s->collapse);
    cli_also(o, "merge");
    cli_text(o, "checkpoint", "FILE", "what a stopped run can go on from", &s->checkpoint);
    cli_also(o, "checkpoint-out");
    cli_int(o, "save-every", "N", "steps between checkpoints", &s->save_every, 1, MOST_STEPS);
    cli_shown(o, "at the stop only");
    cli_also(o, "save_steps");
    cli_text(o, "resume", "FILE", "go on from a checkpoint, with the same options", &s->resume);
    cli_also(o, "resume_from_checkpoint checkpoint-in continue");
    cli_text(o, "log", "FILE", "a JSON line for each step and each epoch", &s->log);
    cli_also(o, "log-file logging");
    cli_flag(o, "json", "end with one JSON line; the rest goes to stderr", &s->json);
    cli_flag(o, "quiet", "print nothing but errors", &s->quiet);
    cli_also(o, "silent q");
    cli_flag(o, "dry-run", "print counts, memory and FLOPs; train nothing", &s->dry_run);
    cli_flag(o, "profile", "tell at the end which ops a step's time went to", &s->profile);
    cli_flag(o, "check", "compare the first step with the processor's, node by node", &s->check);
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

/* An option that means nothing for the method is refused, with the methods it goes with. */
static void check_stray(const cli_program *program, const pr_method *method) {
    static const struct {
        const char *option;
        unsigned takes;
    } known[] = {{"size", PR_TAKES_SIZE},     {"scale", PR_TAKES_SCALE},
                 {"alpha", PR_TAKES_ALPHA},   {"prime", PR_TAKES_PRIME},
                 {"retain", PR_TAKES_RETAIN}, {"prime-steps", PR_TAKES_PRIME_STEPS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char takers[128] = "";
        if (!cli_given(program, known[i].option) || method->takes & known[i].takes) continue;
        for (const pr_method *const *m = pr_methods; *m; m++) {
            size_t at = strlen(takers);
            if (!((*m)->takes & known[i].takes)) continue;
            snprintf(takers + at, sizeof takers - at, "%s%s", at ? ", " : "", (*m)->name);
        }
        cli_wrong_use(program, "--%s means nothing for --method %s; it goes with: %s",
                      known[i].option, method->name, takers);
    }
}

/* The method's defaults, and what was given instead. */
static void fill_method(const cli_program *program, settings *s) {
    pr_method_options *o = &s->method_options;
    *o = s->method->defaults;
    o->seed = (uint64_t)s->seed;
    if (cli_given(program, "size")) o->size = (int32_t)s->size;
    if (cli_given(program, "learner")) o->size = (int32_t)s->learner;
    if (cli_given(program, "scale")) o->scale = (float)s->scale;
    if (cli_given(program, "alpha")) o->scale = (float)(s->alpha / o->size);
    if (cli_given(program, "prime")) o->prime = (int32_t)s->prime;
    if (o->prime > s->epochs) o->prime = (int32_t)s->epochs; /* the default, in a short run */
    if (cli_given(program, "retain")) o->retain = s->retain;
    if (cli_given(program, "prime-steps")) o->prime_steps = s->prime_steps;
}

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
    if (learner && cli_given(program, "size")) {
        cli_wrong_use(program, "--learner and --size both give the rank: name one of them");
    }
    check_stray(program, s->method);
    if (s->collapse && s->method->add && !s->method->collapse) {
        cli_wrong_use(program, "--collapse: what --method %s adds can't be folded into weights: %s",
                      s->method_name, s->method->why_not);
    }
    if (cli_given(program, "prime") && s->prime > s->epochs) {
        cli_wrong_use(program, "--prime %lld is longer than the run of %lld epoch%s",
                      (long long)s->prime, (long long)s->epochs, s->epochs == 1 ? "" : "s");
    }
    fill_method(program, s);
}

static void check_outputs(const cli_program *program, const settings *s) {
    const struct {
        const char *option, *path;
    } outputs[] = {{"--out", s->out}, {"--checkpoint", s->checkpoint}, {"--log", s->log}};
    enum { OUTPUTS = 3 };
    for (int i = 0; i < OUTPUTS; i++) {
        const char *path = outputs[i].path;
        if (!path) continue;
        if (path_is_of_model(path, s->model)) {
            cli_wrong_use(program, "%s '%s' is the input itself: name another file",
                          outputs[i].option, path);
        }
        /* A resumed run may write its checkpoints where it found one. */
        bool resumed = s->resume && path != s->checkpoint && path_is_same(path, s->resume);
        if (resumed || data_is_input(&s->data, path)) {
            cli_wrong_use(program, "%s '%s' is an input: name another file", outputs[i].option,
                          path);
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
    if ((s->dry_run || s->profile) && s->quiet && !s->json) {
        cli_wrong_use(program, "--%s and --quiet leave nothing to print: did you mean --json?",
                      s->dry_run ? "dry-run" : "profile");
    }
    if (s->memory && !parse_bytes(s->memory, &s->memory_bytes)) {
        cli_wrong_use(program, "--memory takes bytes, as in 400MB or 1.5GB, found '%s'", s->memory);
    }
    if (s->check && (s->dry_run || s->micro_batch || s->memory)) {
        cli_wrong_use(program, "--check compares a step of whole batches: leave out %s",
                      s->dry_run       ? "--dry-run"
                      : s->micro_batch ? "--micro-batch"
                                       : "--memory");
    }
    if (s->dry_run && s->profile) {
        cli_wrong_use(program, "--dry-run makes no step that --profile could tell of");
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
        .micro_batch = (int32_t)s->micro_batch,
        .recompute = s->recompute,
        .learning_rate = s->learning_rate,
        .weight_decay = s->weight_decay,
        .warmup = s->warmup,
        .clip = s->clip,
        .seed = (uint64_t)s->seed,
        .max_steps = (int32_t)s->steps,
        .save_every = (int32_t)s->save_every,
        .checkpoint = s->checkpoint,
        .resume = s->resume,
        .train = s->train.n ? s->train.text : NULL,
        .freeze = s->freeze.n ? s->freeze.text : NULL,
    };
}

static void describe_program(settings *s) {
    data_add_options(&s->options, &s->data, true);
    add_method_options(&s->options, s);
    add_training_options(&s->options, s);
    add_output_options(&s->options, s);
    s->program = (cli_program){
        .name = "finetune",
        .usage = "MODEL [options]",
        .description =
            "Trains MODEL, a GGUF file or a Hugging Face folder, on labelled texts and writes the "
            "tuned model. Without data it trains on the sample that comes with it. Ctrl-C ends "
            "after the step, with the model and a checkpoint saved; a second one ends at once.",
        .examples = "  finetune model.gguf --learner 64 --prime 2\n"
                    "  finetune model.gguf --task CoLA --data glue --method bitfit --lr 2e-4\n"
                    "  finetune model.gguf --train-file train.csv --dev-file dev.csv \\\n"
                    "      --text review --label stars --out stars.gguf\n",
        .options = &s->options,
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
