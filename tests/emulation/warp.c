/* What the lanes of a warp do together. It is done when all lanes that a mask names have come, and
 * each goes on with its result at a moment of its own. */
#include "tests/emulation/block.h"

#include <stdarg.h>
#include <stdio.h>

static emulation_thread *lane_of(emulation_block *b, int warp, int lane) {
    return &b->threads[warp * EMULATION_WARP + lane];
}

__attribute__((format(printf, 1, 2), noreturn)) static void refuse(const char *format, ...);

static void refuse(const char *format, ...) {
    char text[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    emulation_fault(cudaErrorLaunchFailure, "%s", text);
    emulation_abandon_thread();
}

static void check(const emulation_block *b, const emulation_thread *t, int warp, int lane) {
    int lanes = b->n - warp * EMULATION_WARP;
    if (!(t->mask >> lane & 1)) refuse("lane %d is not in its own mask, %08x", lane, t->mask);
    if (lanes < EMULATION_WARP && t->mask >> lanes)
        refuse("mask %08x names lanes that the block lacks: its last warp has %d", t->mask, lanes);
    if (t->width < 1 || t->width > EMULATION_WARP || t->width & (t->width - 1))
        refuse("a width of %d lanes", t->width);
}

/* Which lane this one reads, as CUDA has it: its own where the one meant is out of the group. */
static int source_of(const emulation_thread *t, int lane) {
    int first = lane & ~(t->width - 1), end = first + t->width, from = lane;
    switch (t->exchange) {
    case EMULATION_SHUFFLE:
        return first + (t->lane & (t->width - 1));
    case EMULATION_UP:
        from = lane - t->lane;
        return from < first ? lane : from;
    case EMULATION_DOWN:
        from = lane + t->lane;
        return from >= end ? lane : from;
    default:
        from = lane ^ t->lane;
        return from >= end ? lane : from;
    }
}

static uint32_t combine(emulation_exchange exchange, uint32_t a, uint32_t b) {
    switch (exchange) {
    case EMULATION_ADD:
        return a + b;
    case EMULATION_MAX:
        return a > b ? a : b;
    default:
        return (int32_t)a > (int32_t)b ? a : b;
    }
}

/* Ballots and reductions: one result for all. */
static uint64_t gather(emulation_block *b, int warp, const emulation_thread *mine) {
    uint64_t result = 0;
    bool first = true;
    for (int lane = 0; lane < EMULATION_WARP; lane++) {
        if (!(mine->mask >> lane & 1)) continue;
        uint64_t value = lane_of(b, warp, lane)->value;
        if (mine->exchange == EMULATION_BALLOT)
            result |= (uint64_t)(value != 0) << lane;
        else
            result = first ? value : combine(mine->exchange, (uint32_t)result, (uint32_t)value);
        first = false;
    }
    return result;
}

static void check_alike(emulation_block *b, int warp, const emulation_thread *mine) {
    for (int lane = 0; lane < EMULATION_WARP; lane++) {
        if (!(mine->mask >> lane & 1)) continue;
        const emulation_thread *t = lane_of(b, warp, lane);
        if (t->mask != mine->mask)
            refuse("its mask is %08x, that of lane %d %08x", mine->mask, lane, t->mask);
        if (t->exchange != mine->exchange || t->width != mine->width)
            refuse("lane %d does something else than it", lane);
        if (mine->exchange < EMULATION_SHUFFLE || mine->exchange > EMULATION_XOR) continue;
        if (!(mine->mask >> source_of(t, lane) & 1))
            refuse("lane %d reads lane %d, which is not in mask %08x", lane, source_of(t, lane),
                   mine->mask);
    }
}

static void exchange_all(emulation_block *b, int warp, const emulation_thread *mine) {
    check_alike(b, warp, mine);
    bool shuffles = mine->exchange >= EMULATION_SHUFFLE && mine->exchange <= EMULATION_XOR;
    uint64_t common = shuffles ? 0 : gather(b, warp, mine);
    for (int lane = 0; lane < EMULATION_WARP; lane++) {
        if (!(mine->mask >> lane & 1)) continue;
        emulation_thread *t = lane_of(b, warp, lane);
        t->result = shuffles ? lane_of(b, warp, source_of(t, lane))->value : common;
        emulation_ready(t);
    }
    b->arrived[warp] &= ~mine->mask;
}

uint64_t emulation_warp(emulation_exchange exchange, unsigned mask, uint64_t value, int lane,
                        int width) {
    emulation_block *b = emulation_current_block();
    emulation_thread *mine = b->current;
    int number = (int)(mine - b->threads), warp = number / EMULATION_WARP;
    mine->exchange = exchange;
    mine->mask = mask;
    mine->value = value;
    mine->lane = lane;
    mine->width = width;
    check(b, mine, warp, number % EMULATION_WARP);
    mine->state = EMULATION_WAITS;
    b->arrived[warp] |= 1u << number % EMULATION_WARP;
    if ((b->arrived[warp] & mask) == mask) exchange_all(b, warp, mine);
    emulation_wait();
    return mine->result;
}
