// How a program of ours has jemalloc run: few arenas, since threads mostly live off their own
// caches, and what was freed goes back to the system at once and not after ten seconds. Overridden
// by $MALLOC_CONF.
//
// Included once in a program, by the file with main(): it defines what jemalloc looks for.
#pragma once

extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:4,dirty_decay_ms:200,muzzy_decay_ms:0";
}
