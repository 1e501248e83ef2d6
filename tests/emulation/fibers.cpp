#include "tests/emulation/fibers.h"

#include <boost/context/fiber.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

#include <cstring>
#include <new>
#include <utility>

#include "tests/emulation/asan.h"

namespace context = boost::context;

/* Kernels have small frames; AddressSanitizer makes them larger. A page below each is a guard. */
static const std::size_t STACK_BYTES = 256 << 10;

struct emulation_fiber {
    context::fiber suspended; /* where it goes on, unless it is the one that runs */
    const void *bottom;       /* of its stack, as AddressSanitizer wants it */
    std::size_t bytes;
    void *fake_stack;
    void (*body)(void *argument);
    void *argument;
};

static emulation_fiber outer;
static emulation_fiber *running = &outer, *switched_from;

/* On the new stack: keeps where the one that switched goes on. */
static void arrive(emulation_fiber *at, context::fiber &&came_from) {
    switched_from->suspended = std::move(came_from);
#ifdef EMULATION_ASAN
    const void *bottom;
    std::size_t bytes;
    __sanitizer_finish_switch_fiber(at->fake_stack, &bottom, &bytes);
    switched_from->bottom = bottom;
    switched_from->bytes = bytes;
#endif
    running = at;
}

/* Hands out a stack and says where it lies. */
struct noted_stack {
    emulation_fiber *of;
    context::protected_fixedsize_stack stacks;
    context::stack_context allocate() {
        context::stack_context stack = stacks.allocate();
        of->bottom = static_cast<char *>(stack.sp) - stack.size;
        of->bytes = stack.size;
        return stack;
    }
    void deallocate(context::stack_context &stack) {
        stacks.deallocate(stack);
    }
};

emulation_fiber *emulation_fiber_outer(void) {
    return &outer;
}

emulation_fiber *emulation_fiber_new(void (*body)(void *argument), void *argument) {
    emulation_fiber *fiber = new emulation_fiber();
    fiber->body = body;
    fiber->argument = argument;
    fiber->suspended = context::fiber(
        std::allocator_arg, noted_stack{fiber, context::protected_fixedsize_stack(STACK_BYTES)},
        [fiber](context::fiber &&came_from) {
            arrive(fiber, std::move(came_from));
            fiber->body(fiber->argument);
            return std::move(outer.suspended); /* not reached */
        });
    return fiber;
}

void emulation_fiber_switch(emulation_fiber *to) {
    emulation_fiber *from = running;
    switched_from = from;
#ifdef EMULATION_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->bottom, to->bytes);
#endif
    context::fiber came_from = std::move(to->suspended).resume();
    arrive(from, std::move(came_from));
}

void *emulation_new(size_t bytes) {
    void *block = ::operator new(bytes ? bytes : 1);
    std::memset(block, 0, bytes);
    return block;
}

void emulation_delete(void *block) {
    ::operator delete(block);
}
