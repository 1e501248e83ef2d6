/* Which of OpenBLAS's kernels a program runs with. */
#ifndef KERNELS_H
#define KERNELS_H

/* Starts the program again, with OPENBLAS_CORETYPE set, where OpenBLAS has picked kernels that
 * leave the processor's AVX-512 unused; returns otherwise. It picks by the processors that were
 * known when it was built, and reads the variable once, as it is loaded. Who sets the variable has
 * the last word. The first thing a main does. */
void kernels_choose(char **argv);

#endif
