/* The learning rate of each step: linear warm-up from 0, then linear decay to 0. */
#ifndef PR_SCHEDULE_H
#define PR_SCHEDULE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills rates[0 .. steps - 1] as get_linear_schedule_with_warmup of transformers does: for step s
 *     peak s / warmup                        while s < warmup,
 *     peak (steps - s) / (steps - warmup)    from then on. */
void pr_schedule_linear(float *rates, int32_t steps, int32_t warmup, double peak);

#ifdef __cplusplus
}
#endif
#endif
