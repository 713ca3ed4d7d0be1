# Options and flags of the whole build. Presets (CMakePresets.json) choose among them.

option(TOCSIN_TESTS "Build unit tests" ON)
option(TOCSIN_UNITY_TESTS "Compile tests as unity batches (ci); otherwise with a precompiled header (dev)" OFF)
option(TOCSIN_BENCH "Build micro-benchmarks (tests/bench)" OFF)
option(TOCSIN_FUZZ "Build libFuzzer targets (needs Clang)" OFF)
option(TOCSIN_DCHECK "Keep DCHECK on" OFF)
option(TOCSIN_WERROR "Warnings are errors" OFF)
option(TOCSIN_JEMALLOC "Link jemalloc into the daemon" ON)
set(TOCSIN_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined")
# Everything a Debian 12 host of the last fifteen years has; wider instructions are chosen at run time.
set(TOCSIN_MARCH "x86-64-v2" CACHE STRING "Value for -march on x86-64; empty for the compiler's default")

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

set(CMAKE_CXX_FLAGS_DEV "-Og -g1" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_DEV "-Og -g1" CACHE STRING "" FORCE)
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1" CACHE STRING "" FORCE)
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1" CACHE STRING "" FORCE)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

add_library(tocsin_flags INTERFACE)
target_include_directories(tocsin_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(tocsin_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wold-style-cast -Wnon-virtual-dtor
  # False positives of g++ 12: on std::string concatenation, and on destroying a std::expected.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-free-nonheap-object>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>  # libstdc++'s own stable_sort and inplace_merge
  $<$<BOOL:${TOCSIN_WERROR}>:-Werror>
  -fno-omit-frame-pointer)
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "x86_64" AND TOCSIN_MARCH)
  target_compile_options(tocsin_flags INTERFACE -march=${TOCSIN_MARCH})
endif()
if(TOCSIN_DCHECK)
  target_compile_definitions(tocsin_flags INTERFACE TOCSIN_DCHECK=1)
endif()
if(TOCSIN_SANITIZE)
  add_compile_options(-fsanitize=${TOCSIN_SANITIZE} -fno-sanitize-recover=undefined)
  if(TOCSIN_SANITIZE MATCHES "float-cast-overflow")
    add_compile_options(-fno-sanitize-recover=float-cast-overflow)
  endif()
  add_link_options(-fsanitize=${TOCSIN_SANITIZE})
elseif(TOCSIN_FUZZ)
  # Conversions of doubles that no integer can hold are undefined, too, but no part of `undefined`.
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined,float-cast-overflow
    -fno-sanitize-recover=undefined,float-cast-overflow)
  add_link_options(-fsanitize=address,undefined)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  find_program(MOLD_PROGRAM mold)
  if(MOLD_PROGRAM)
    add_link_options(-fuse-ld=mold)
  endif()
else()
  add_link_options(-fuse-ld=lld)
endif()
