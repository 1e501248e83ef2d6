#include "ops/rewrite.h"

pr_status pr_rewrite(pr_graph *g, pr_error *err) {
    return pr_rewrite_first_rows(g, err);
}
