#include "models/characters.h"

#include <stddef.h>

#include <utf8proc.h>

typedef struct range {
    int32_t first, last;
} range;

/* Where a mark, a punctuation, a format or a decomposing character was assigned after Unicode 8.0.
 * The reference takes these for unassigned, that is, for letters of a word. What else falls into a
 * range is of another category, for which its age makes no difference. Sorted. */
static const range assigned_later[] = {
    {0x05C8, 0x05C9},   {0x061D, 0x061D},   {0x07FD, 0x07FD},   {0x0890, 0x08E2},
    {0x09FD, 0x09FE},   {0x0A76, 0x0A76},   {0x0AFA, 0x0AFF},   {0x0B53, 0x0B55},
    {0x0C04, 0x0C3C},   {0x0C77, 0x0C77},   {0x0C84, 0x0C84},   {0x0D00, 0x0D00},
    {0x0D3B, 0x0D3C},   {0x0D81, 0x0D81},   {0x0EBA, 0x0EBA},   {0x0ECE, 0x0ECE},
    {0x180F, 0x1886},   {0x1ABF, 0x1AF0},   {0x1B4E, 0x1B4F},   {0x1B7D, 0x1B7F},
    {0x1DF6, 0x1DFB},   {0x2E43, 0x2E63},   {0xA82C, 0xA82C},   {0xA8C5, 0xA8C5},
    {0xA8FF, 0xA8FF},   {0xA9BD, 0xA9BD},   {0x105C9, 0x105E4}, {0x10D24, 0x10F89},
    {0x11070, 0x11074}, {0x110C2, 0x110CD}, {0x111CF, 0x111CF}, {0x1123E, 0x11241},
    {0x1133B, 0x1133B}, {0x11383, 0x11391}, {0x113BB, 0x1145E}, {0x11660, 0x1166C},
    {0x116B9, 0x116B9}, {0x1182F, 0x11FFF}, {0x12FF1, 0x1612F}, {0x16D68, 0x16F4F},
    {0x16FE2, 0x16FE4}, {0x1CF00, 0x1D128}, {0x1D25B, 0x1D25C}, {0x1E000, 0x1E6F5},
    {0x1E944, 0x1E95F},
};

/* Capitals assigned after Unicode 15.0, which the reference lowers and an older utf8proc does not:
 * a range and the distance to its small letters. */
static const struct late_capital {
    int32_t first, last, distance;
} late_capitals[] = {{0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
                     {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
                     {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
                     {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
                     {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B}};

/* The ideographs of the reference, whose extension E begins at 2B920 instead of 2B820. */
static const range ideographs[] = {
    {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
    {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
};

static bool is_within(const range *sorted, size_t n, int32_t c) {
    size_t low = 0;
    size_t high = n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (sorted[middle].last < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n && sorted[low].first <= c;
}

static bool is_assigned_later(int32_t c) {
    const size_t n = sizeof assigned_later / sizeof *assigned_later;
    return c >= assigned_later[0].first && is_within(assigned_later, n, c);
}

/* The category of Unicode 8.0. */
static utf8proc_category_t category(int32_t c) {
    switch (c) {
    case 0x166D: /* these four changed theirs since, the last in 16.0 */
    case 0x111C9:
        return UTF8PROC_CATEGORY_PO;
    case 0x1734:
    case 0x1171E:
        return UTF8PROC_CATEGORY_MN;
    default:
        return is_assigned_later(c) ? UTF8PROC_CATEGORY_CN : utf8proc_category(c);
    }
}

bool pr_character_is_dropped(int32_t c) {
    if (c == '\t' || c == '\n' || c == '\r') return false;
    if (c == 0xFFFD) return true;
    utf8proc_category_t kind = category(c);
    return kind == UTF8PROC_CATEGORY_CC || kind == UTF8PROC_CATEGORY_CF ||
           kind == UTF8PROC_CATEGORY_CO;
}

bool pr_character_is_space(int32_t c) {
    if (c < 0x80) return c == ' ' || c == '\t' || c == '\n' || c == '\r';
    utf8proc_category_t kind = category(c);
    return kind == UTF8PROC_CATEGORY_ZS || kind == UTF8PROC_CATEGORY_ZL ||
           kind == UTF8PROC_CATEGORY_ZP;
}

bool pr_character_is_ideograph(int32_t c) {
    return c >= ideographs[0].first &&
           is_within(ideographs, sizeof ideographs / sizeof *ideographs, c);
}

bool pr_character_is_punctuation(int32_t c) {
    if (c < 0x80) {
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    }
    utf8proc_category_t kind = category(c);
    return kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO;
}

bool pr_character_is_accent(int32_t c) {
    return c >= 0x300 && category(c) == UTF8PROC_CATEGORY_MN;
}

int pr_character_decompose(int32_t c, int32_t out[PR_MAX_DECOMPOSED]) {
    int boundary = 0; /* of grapheme clusters; asked for by utf8proc, of no use here */
    out[0] = c;
    if (c < 0xC0 || is_assigned_later(c)) return 1;
    return (int)utf8proc_decompose_char(c, out, PR_MAX_DECOMPOSED, UTF8PROC_DECOMPOSE, &boundary);
}

int32_t pr_character_lower(int32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
    for (size_t i = 0; i < sizeof late_capitals / sizeof *late_capitals; i++) {
        const struct late_capital *at = &late_capitals[i];
        if (c >= at->first && c <= at->last) return c + at->distance;
    }
    return utf8proc_tolower(c);
}
