/* Lists of names in messages. */
#ifndef PR_LISTING_H
#define PR_LISTING_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "'a', 'b', 'c' ...": as many of the n names as fit into `room` bytes with the dots and a NUL,
 * each cut after 40 bytes. */
void pr_list_names(const char *const *names, size_t n, char *out, size_t room);

#ifdef __cplusplus
}
#endif
#endif
