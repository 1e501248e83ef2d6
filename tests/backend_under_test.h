/* The backend that a test runs on: a test that asks for it here is built once for each. With
 * TEST_CUDA it is a GPU: with TEST_EMULATED the emulation of one (tests/emulation), without a real
 * one (tests/device). */
#ifndef PR_BACKEND_UNDER_TEST_H
#define PR_BACKEND_UNDER_TEST_H

#include "graph/backend.h"

/* threads: the processor's, where that is the backend. NULL with err set. */
pr_backend *test_backend_new(int threads, pr_error *err);
/* The same for all of a program's tests: without it the program ends, with a line. */
pr_backend *test_backend_or_exit(int threads);

/* Bytes of the backend's as the host can read them: there, or a copy that is freed when the program
 * ends. NULL stays NULL. */
const void *test_host(pr_backend *backend, const void *block, size_t bytes);

#endif
