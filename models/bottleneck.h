/* The two-layer branch of which adapters are made: up(f(down(x))), narrow in the middle. Internal
 * to models/. */
#ifndef PR_BOTTLENECK_H
#define PR_BOTTLENECK_H

#include "models/method.h"

/* Adds <name>_down.weight (size, width) and .bias (size), <name>_up.weight (width, size) and .bias
 * (width). With draw down's weight is Kaiming uniform with a = sqrt 5, U(-1/sqrt width, 1/sqrt
 * width); the rest is zero, so that the branch begins as nothing (Houlsby et al. 2019 want it near
 * zero) while up's gradient is not. */
pr_status pr_bottleneck_add(pr_store *store, const char *name, int64_t width,
                            const pr_method_options *options, bool draw, pr_error *err);

/* Why adapters don't fold into a plain model. */
extern const char pr_bottleneck_why_not[];

/* Globs of what the adapters of all blocks add, and of what trains with them. */
extern const char *const pr_bottleneck_trained[];

#endif
