# SPDX-License-Identifier: MIT
# What every target of this project is compiled with. The same formula must give the same bits whatever the processor,
# so no contraction into fused multiply-add.
add_library(evictlab_warnings INTERFACE)
target_compile_options(evictlab_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -ffp-contract=off
  $<$<BOOL:${EVICTLAB_WERROR}>:-Werror>
  # False alarms of g++ 12 about std::string (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
if(EVICTLAB_SANITIZE)
  # One more, about std::regex under AddressSanitizer (GCC bug 105562).
  target_compile_options(evictlab_warnings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  if(EVICTLAB_SANITIZE STREQUAL "leak") # looks at nothing but the heap, at the end: code may be as quick as it can
    set(optimisation -O2)
  else()
    set(optimisation -O1)
  endif()
  add_compile_options(-fsanitize=${EVICTLAB_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g ${optimisation})
  add_link_options(-fsanitize=${EVICTLAB_SANITIZE})
  if(EVICTLAB_FUZZ) # counts coverage everywhere; what has a main of libFuzzer is in tests/fuzz
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_compile_definitions(_GLIBCXX_ASSERTIONS)
  endif()
  # Sanitizers start after the loader resolves the per-processor versions of a kernel, so those builds have one each.
  add_compile_definitions(EVICTLAB_NO_CLONES)
endif()
