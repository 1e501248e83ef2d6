/* What a run of finetune tells while it goes on and at its end: lines for people, a log of steps,
 * and the JSON line whose keys and units are those of the PyTorch script it is compared with. */
#ifndef REPORT_H
#define REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "tools/progress.h"
#include "tools/timing.h"
#include "train/finetune.h"

typedef struct report {
    FILE *text; /* lines for people; NULL: quiet */
    progress bar;
    FILE *log; /* NULL: none */
    const char *log_path;
    bool log_new; /* the file was not there before */
    bool log_append;
    bool log_waiting; /* for its first line */
    bool log_failed;
    int log_error; /* errno of the first write that failed */
    json_t *epochs;
    timing timing;
    size_t made;       /* steps of this process */
    double epoch_loss; /* sum over the steps of the epoch under way */
    int32_t epoch, epoch_steps;
} report;

/* text may be NULL; timed: keep what report_json tells of the steps. PR_NO_MEMORY. */
pr_status report_begin(report *r, FILE *text, bool timed, pr_error *err);
/* Opens the log; append: a resumed run's goes on. Otherwise the first line replaces what an older
 * log holds: a run that makes no step leaves no trace. PR_IO when it can't be written. */
pr_status report_open_log(report *r, const char *path, bool append, pr_error *err);
/* Closes everything; PR_IO when not all of the log could be written. */
pr_status report_end(report *r, pr_error *err);

/* For pr_finetune_callbacks. report_step is false when the log can't be written any longer. */
bool report_step(report *r, const pr_step_report *step);
void report_epoch(report *r, const pr_epoch_report *epoch);
void report_flip(report *r, const pr_flip_report *flip);
void report_phase(report *r, const pr_phase_report *phase);

/* "planned 512 MB: weights 290 MB, gradients 24 MB, moments 48 MB, activations 150 MB" */
void report_plan(FILE *out, const pr_plan_report *plan);
/* The same bytes under their names. */
void report_plan_json(json_t *object, const pr_plan_report *plan);

/* What trains in a phase, and the plan's bytes and FLOPs. */
json_t *report_phase_json(const pr_phase_report *phase);

/* A run's settings and counts for the JSON line. */
typedef struct report_summary {
    const char *method;
    int32_t rank, prime;
    uint64_t seed;
    size_t total, trained; /* parameters; trained at the start */
    const pr_backend *backend;
    json_t *profile; /* report_json's to free; NULL: none */
} report_summary;

/* Prints the JSON line; false without memory. */
bool report_json(const report *r, const report_summary *summary, FILE *out);

/* One object on one line. Frees it; false when it is NULL. */
bool report_print_json(json_t *object, FILE *out);

/* Under the names of the compared script: "mcc" for Matthews, "accuracy_mm" for MNLI's mismatched
 * accuracy. NaN becomes null. */
void report_scores_json(json_t *object, const pr_scores *scores);

#endif
