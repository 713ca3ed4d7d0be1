// Room for recursion over a syntax tree of any height that the parser lets through. Trees of up to
// kShallowHeight levels, which is all that people write, are walked on the caller's own stack;
// higher ones (generated chains of `or`, ten thousand parentheses) on that of a thread made for it.
#pragma once

#include <cstdint>
#include <functional>

#include "base/status.h"

namespace tocsin::query {

// At 1,000 levels the deepest recursion of ours (a few calls a level of a few hundred bytes each)
// stays below one of the eight megabytes of a thread's stack.
inline constexpr int32_t kShallowHeight = 1000;

// Calls `body`, which walks `height` levels; returns when it has. kResourceExhausted, without a
// call: too many such walks at once, or no address space for one. Nests.
Status WithStackFor(int32_t height, const std::function<void()>& body);

}  // namespace tocsin::query
