/* What inspect tells of the machine. */
#ifndef MACHINE_REPORT_H
#define MACHINE_REPORT_H

#include "tools/processor.h"

/* What bounds a step of training on the processor or the GPU that is chosen: a line, or JSON. */
pr_status machine_report(const processor_choice *choice, bool json, pr_error *err);

/* Every GPU, or why there is none; neither is a failure. */
pr_status machine_report_devices(pr_error *err);

/* How fast the chosen GPU makes products, given as words (product.h) between spaces: a table, or
 * JSON. */
pr_status machine_report_products(const processor_choice *choice, const char *list, bool json,
                                  pr_error *err);

#endif
