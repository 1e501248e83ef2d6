/* finetune's settings: its command line, read and checked. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "tools/cli.h"
#include "tools/data.h"
#include "tools/methods.h"
#include "tools/processor.h"
#include "train/finetune.h"

typedef struct settings {
    const char *model;
    data_choice data;
    const char *method_names[MOST_METHODS + 1], *method_name;
    const pr_method *method;
    pr_method_options method_options;
    int64_t learner, size, prime; /* as typed; method_options has what holds */
    double scale, alpha, prime_steps, retain;
    processor_choice processor;
    cli_list train, freeze;       /* globs */
    double dropout, head_dropout; /* under 0: the model's own */
    int64_t epochs, batch_size, micro_batch, steps, seed, save_every;
    double learning_rate, weight_decay, warmup, clip;
    const char *out, *checkpoint, *resume, *log; /* NULL but for out: none */
    char *default_out;
    char *stop_checkpoint; /* where a run that is cut off leaves one if none was asked for */
    const char *memory;    /* as typed */
    size_t memory_bytes;   /* 0: no limit */
    bool recompute;
    bool collapse, json, quiet, dry_run, profile, check;
    pr_finetune_options run;
    cli_options options;
    cli_program program; /* for messages */
} settings;

/* Ends the process for --help and for wrong use; PR_NO_MEMORY otherwise. */
pr_status settings_read(settings *s, int argc, char **argv, pr_error *err);

/* What settings_read allocated. */
void settings_free(settings *s);

#endif
