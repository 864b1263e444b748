# What the options of the build add to steerway_flags: protections, link-time optimisation, sanitizers,
# coverage, fuzzing.
include(CheckCCompilerFlag)
include(CheckPIESupported)

# CMake's own Release is -O3 -DNDEBUG. The assertions here guard the state machines of a program that strangers
# talk to, and cost nothing that can be measured: they stay.
set(CMAKE_C_FLAGS_RELEASE "-O2 -g")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g")

if(STEERWAY_HARDEN)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  check_pie_supported(LANGUAGES C)
  # Fortified calls need optimisation, which Release brings; distributions may define the level themselves.
  target_compile_options(steerway_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
  foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "STEERWAY_HAS${flag}" has)
    check_c_compiler_flag(${flag} ${has}) # -fcf-protection is of x86 alone
    if(${has})
      target_compile_options(steerway_flags INTERFACE ${flag})
      target_link_options(steerway_flags INTERFACE ${flag}) # link-time optimisation compiles once more
    endif()
  endforeach()
  target_link_options(steerway_flags INTERFACE -Wl,-z,relro,-z,now)
endif()

if(STEERWAY_LTO)
  include(CheckIPOSupported)
  check_ipo_supported(RESULT lto_supported OUTPUT lto_problem LANGUAGES C)
  if(lto_supported)
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  else()
    message(STATUS "No link-time optimisation: ${lto_problem}")
  endif()
endif()

if(STEERWAY_SANITIZE)
  target_compile_options(steerway_flags INTERFACE -O1 -fsanitize=${STEERWAY_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(steerway_flags INTERFACE -fsanitize=${STEERWAY_SANITIZE})
  if(STEERWAY_SANITIZE MATCHES thread AND CMAKE_C_COMPILER_ID STREQUAL GNU)
    target_compile_options(steerway_flags INTERFACE -Wno-maybe-uninitialized) # gcc loses track of its own calls
  endif()
endif()

# Its mmap takes the place of libc's, and the thread sanitizer calls it before it can be called itself.
if(STEERWAY_SANITIZE MATCHES thread)
  set_source_files_properties("${CMAKE_CURRENT_SOURCE_DIR}/engine/core/cage/luajit_edge.c"
    PROPERTIES COMPILE_OPTIONS -fno-sanitize=thread)
endif()

if(STEERWAY_COVERAGE)
  target_compile_options(steerway_flags INTERFACE --coverage)
  target_link_options(steerway_flags INTERFACE --coverage)
endif()

if(STEERWAY_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "STEERWAY_FUZZ needs clang, for libFuzzer: cmake --preset fuzz")
  endif()
  # The targets themselves link -fsanitize=fuzzer, which brings main().
  target_compile_options(steerway_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
