/* What touched what, when the program ends by touching memory that is closed. */
#include "tests/emulation/asan.h"
#include "tests/emulation/internal.h"

#include <signal.h>
#include <stdio.h>

static struct sigaction before;

static void tell(int signal, siginfo_t *info, void *context) {
    (void)context;
    const char *where = emulation_where();
    fprintf(stderr, "emulation: %s touched ", *where ? where : "host code");
    emulation_tell_address(info->si_addr);
    fprintf(stderr, "emulation: seed %llu\n", (unsigned long long)emulation_now()->seed);
    sigaction(signal, &before, NULL); /* the same access again is theirs */
}

#ifdef EMULATION_ASAN
/* Behind AddressSanitizer's own report. */
static void tell_where(const char *report) {
    (void)report;
    const char *where = emulation_where();
    fprintf(stderr, "emulation: it was %s\nemulation: seed %llu\n", *where ? where : "host code",
            (unsigned long long)emulation_now()->seed);
}
#endif

/* Test frameworks set handlers of their own at each test. */
void emulation_watch_crashes(void) {
#ifdef EMULATION_ASAN
    __asan_set_error_report_callback(tell_where);
#endif
    struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_ONSTACK}, now;
    sigaction(SIGSEGV, NULL, &now);
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == tell) return;
    before = now;
    sigaction(SIGSEGV, &action, NULL);
}
