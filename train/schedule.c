#include "train/schedule.h"

void pr_schedule_linear(float *rates, int32_t steps, int32_t warmup, double peak) {
    for (int32_t s = 0; s < steps; s++) {
        double part = s < warmup ? (double)s / warmup : (double)(steps - s) / (steps - warmup);
        rates[s] = (float)(peak * part);
    }
}
