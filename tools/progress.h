/* How far a run is: a bar on a terminal, a plain line every so many seconds elsewhere. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef enum progress_style { PROGRESS_SILENT, PROGRESS_LINES, PROGRESS_BAR } progress_style;

typedef struct progress {
    FILE *out;
    progress_style style;
    double shown;   /* when something was last shown */
    bool on_screen; /* a bar stands there now */
} progress;

/* Seconds of a clock that only goes forward. */
double progress_now(void);

/* A bar where out is a terminal, else lines, or nothing when quiet. */
void progress_begin(progress *p, FILE *out, bool quiet);

/* Shows `done` of `total` steps behind a label ("epoch 2/5"), with a note ("loss 0.5123") and the
 * seconds left. Cheap to call after every step: it shows at most ten bars a second, or a line
 * every half minute. */
void progress_show(progress *p, const char *label, int done, int total, const char *note,
                   double seconds_left);

/* Takes the bar off the screen: before anything else is printed, and at the end. */
void progress_erase(progress *p);

#endif
