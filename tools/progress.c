#include "tools/progress.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "tools/format.h"

static const double BAR_INTERVAL = 0.1, LINE_INTERVAL = 30; /* seconds */
enum { NARROWEST = 10, WIDEST = 40, DEFAULT_COLUMNS = 80 };

double progress_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress_begin(progress *p, FILE *out, bool quiet) {
    bool terminal = isatty(fileno(out));
    *p = (progress){.out = out,
                    .style = quiet      ? PROGRESS_SILENT
                             : terminal ? PROGRESS_BAR
                                        : PROGRESS_LINES,
                    .shown = terminal ? 0 : progress_now()};
}

static int columns(FILE *out) {
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return DEFAULT_COLUMNS;
    return size.ws_col;
}

/* "\r[====>     ] text": the bar takes what the text leaves of the line; a narrow terminal cuts
 * the text, since a line that wraps can't be drawn over. */
static void draw_bar(progress *p, const char *text, int done, int total) {
    int room = columns(p->out) - 1;
    int bar = room - (int)strlen(text) - 3;
    if (bar > WIDEST) bar = WIDEST;
    fputc('\r', p->out);
    if (bar >= NARROWEST) {
        int full = total > 0 ? (int)((double)bar * done / total) : 0;
        fputc('[', p->out);
        for (int i = 0; i < bar; i++) {
            fputc(i < full ? '=' : i == full ? '>' : ' ', p->out);
        }
        fputs("] ", p->out);
    }
    fprintf(p->out, "%.*s\033[K", room, text);
    p->on_screen = true;
}

void progress_show(progress *p, const char *label, int done, int total, const char *note,
                   double seconds_left) {
    if (p->style == PROGRESS_SILENT) return;
    double now = progress_now();
    double interval = p->style == PROGRESS_BAR ? BAR_INTERVAL : LINE_INTERVAL;
    if (now - p->shown < interval) return;
    p->shown = now;

    char left[FORMAT_SIZE], text[256];
    snprintf(text, sizeof text, "%s, step %d/%d, %s, %s left", label, done, total, note,
             format_clock(left, seconds_left));
    if (p->style == PROGRESS_BAR) {
        draw_bar(p, text, done, total);
    } else {
        fprintf(p->out, "%s\n", text);
    }
    fflush(p->out);
}

void progress_erase(progress *p) {
    if (!p->on_screen) return;
    fputs("\r\033[K", p->out);
    fflush(p->out);
    p->on_screen = false;
}
