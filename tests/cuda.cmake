# The CUDA column: tests that ask backend_under_test.h for their backend, once more on a GPU; and the
# programs with it. The GPU is emulated: ops and the CUDA backend are compiled for the emulation, and
# stand before the library's own.
file(GLOB EMULATED_C CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/ops/*.c)
list(APPEND EMULATED_C ${PRIMER_CUDA})
list(REMOVE_ITEM EMULATED_C ${PROJECT_SOURCE_DIR}/backends/cublas_library.c)
set_source_files_properties(${PRIMER_KERNELS} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++")
add_library(emulated_kernels OBJECT ${PRIMER_KERNELS})
target_link_libraries(emulated_kernels PRIVATE emulation_flags)
add_library(emulated_c OBJECT ${EMULATED_C})
target_compile_definitions(emulated_c PRIVATE PR_WITH_CUDA)
target_include_directories(emulated_c SYSTEM PRIVATE
  ${STB_INCLUDE_DIR} ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(emulated_c PRIVATE primer_flags PkgConfig::OPENBLAS)
# clang-tidy sees each source once.
set_target_properties(emulated_kernels emulated_c PROPERTIES EXPORT_COMPILE_COMMANDS OFF)

add_library(primer_emulated INTERFACE)
# The emulation comes first: CUDA's own runtime stands behind a library that is built with it.
target_link_libraries(primer_emulated INTERFACE
  $<TARGET_OBJECTS:emulated_c> $<TARGET_OBJECTS:emulated_kernels> primer_emulation primer)

add_library(backend_under_test_cuda OBJECT backend_under_test.c)
target_compile_definitions(backend_under_test_cuda PRIVATE TEST_CUDA TEST_EMULATED)
target_link_libraries(backend_under_test_cuda PRIVATE primer_flags)

foreach(name ${CUDA_COLUMN})
  add_executable(${name}_cuda ${name}.c)
  target_compile_definitions(${name}_cuda PRIVATE TEST_CUDA
    TEST_DIRECTORY="${CMAKE_CURRENT_SOURCE_DIR}" SOURCE_DIRECTORY="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name}_cuda PRIVATE $<TARGET_OBJECTS:backend_under_test_cuda>
    primer_emulated test_shared primer_tools primer_flags PkgConfig::CMOCKA)
  set_target_properties(${name}_cuda PROPERTIES EXPORT_COMPILE_COMMANDS OFF)
  add_test(NAME ${name}_cuda COMMAND ${name}_cuda)
endforeach()

# What only an emulation can tell.
foreach(name test_steps test_speed)
  add_executable(${name}_cuda emulated/${name}.c)
  target_link_libraries(${name}_cuda PRIVATE $<TARGET_OBJECTS:backend_under_test_cuda>
    primer_emulated test_shared primer_tools primer_flags PkgConfig::CMOCKA)
  add_test(NAME ${name}_cuda COMMAND ${name}_cuda)
endforeach()

# The programs, in a folder of their own.
set(EMULATED_PROGRAMS ${CMAKE_CURRENT_BINARY_DIR}/emulated)
file(MAKE_DIRECTORY ${EMULATED_PROGRAMS})
file(CREATE_LINK ${PROJECT_SOURCE_DIR}/tools/sample ${EMULATED_PROGRAMS}/sample SYMBOLIC)
foreach(program finetune evaluate predict inspect compare convert)
  add_executable(emulated_${program} ${PROJECT_SOURCE_DIR}/tools/${program}.c emulated/machine.c)
  set_target_properties(emulated_${program} PROPERTIES OUTPUT_NAME ${program}
    RUNTIME_OUTPUT_DIRECTORY ${EMULATED_PROGRAMS} EXPORT_COMPILE_COMMANDS OFF)
  target_link_libraries(emulated_${program} PRIVATE primer_emulated primer_tools)
endforeach()
foreach(check cuda gpu)
  add_test(NAME check_${check} COMMAND ${PR_PYTHON}
    ${CMAKE_CURRENT_SOURCE_DIR}/check_${check}.py ${EMULATED_PROGRAMS})
endforeach()
if(NOT PR_SANITIZE)
  # The script that runs them on a real GPU, and the bench.
  foreach(check device bench_cuda)
    add_test(NAME check_${check} COMMAND ${PR_PYTHON}
      ${CMAKE_CURRENT_SOURCE_DIR}/check_${check}.py ${EMULATED_PROGRAMS})
  endforeach()
  # The kernels broken on purpose, each once.
  add_test(NAME check_mutations COMMAND ${PR_PYTHON}
    ${CMAKE_CURRENT_SOURCE_DIR}/check_mutations.py ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  set_tests_properties(check_mutations PROPERTIES PROCESSORS 2) # it runs in parallel itself
endif()
