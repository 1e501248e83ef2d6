/* What a program took: time and work of its steps, memory. The keys and units of the JSON are those
 * of the PyTorch script that Primer is compared with. A step is a batch, trained on or only run. */
#ifndef TIMING_H
#define TIMING_H

#include <jansson.h>
#include <stdbool.h>

#include "train/finetune.h"

typedef struct timing {
    double started;           /* progress_now() at the start of the program */
    double first_step;        /* seconds from there to the end of the first step; NaN before */
    bool kept;                /* keep what timing_json tells of the steps: */
    double *seconds, *tokens; /* (steps): of each */
    size_t steps, seconds_capacity, tokens_capacity;
    double flops, bytes; /* of all */
    pr_plan_report plan; /* the largest */
} timing;

/* How many of a run's first steps its speed leaves out: 3, of more than twice as many. */
size_t timing_warm_steps(size_t steps);

void timing_begin(timing *t, bool kept);
/* After each step. Without memory it is left out of the speed. */
void timing_step(timing *t, const pr_step_report *step);
/* Speed, work, memory and time so far, as keys of the object. */
void timing_json(const timing *t, json_t *object);
/* A GPU's memory, as further keys: the most that was allocated, and what CUDA and other programs
 * take beside it. Nothing of the processor. */
void timing_device_json(const pr_backend *backend, json_t *object);
void timing_free(timing *t);

#endif
