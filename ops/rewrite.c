#include "ops/rewrite.h"

pr_status pr_rewrite(pr_graph *g, pr_error *err) {
    pr_status status = pr_rewrite_first_rows(g, err);
    return status == PR_OK ? pr_rewrite_residuals(g, err) : status;
}
