/* fnmatch(3) knows no braces, and expanding them first would need memory; a matcher that follows
 * both at once is shorter than the expansion. */
#include "graph/store.h"

#include <string.h>

/* Whether c is in the set at p, just behind its '['; *end is set behind its ']'. A set that is not
 * closed is no set: false, with *end NULL. */
static bool in_set(const char *p, char c, const char **end) {
    const char *close = *p ? strchr(p + 1, ']') : NULL;
    *end = close ? close + 1 : NULL;
    bool found = false;
    while (close && p < close) {
        if (p[1] == '-' && p + 2 < close) {
            found |= p[0] <= c && c <= p[2];
            p += 3;
        } else {
            found |= *p == c;
            p++;
        }
    }
    return found;
}

/* behind: where the pattern goes on after the braces that p is in, or NULL outside of any. */
static bool match(const char *p, const char *behind, const char *name) {
    for (;; p++, name++) {
        if (behind && (*p == ',' || *p == '}')) return match(behind, NULL, name);
        const char *end = NULL;
        if (*p == '*') {
            for (;; name++) {
                if (match(p + 1, behind, name)) return true;
                if (!*name) return false;
            }
        }
        if (*p == '{' && !behind && (end = strchr(p, '}'))) {
            for (const char *part = p + 1; part <= end; part += strcspn(part, ",}") + 1) {
                if (match(part, end + 1, name)) return true;
            }
            return false;
        }
        if (*p == '[' && *name) {
            bool found = in_set(p + 1, *name, &end);
            if (end && !found) return false;
            if (end) {
                p = end - 1;
                continue;
            }
        }
        if (*p == '?' && *name) continue;
        if (*p != *name) return false;
        if (!*p) return true;
    }
}

bool pr_glob(const char *pattern, const char *name) {
    return match(pattern, NULL, name);
}
