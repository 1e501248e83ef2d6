# The CUDA column on a real GPU, for tests/device: the same tests with the library's own kernels and
# CUDA's own runtime, and the programs that check_gpu.py runs, all in one folder. The component
# `device` installs the folder with the libraries that it needs, to be carried to another machine.
# The tests find their files from this folder, in which they run.
if(NOT PR_WITH_CUDA)
  message(FATAL_ERROR "PR_DEVICE_TESTS=ON needs the CUDA backend: PR_CUDA=ON.")
endif()
set(DEVICE_FOLDER ${PROJECT_BINARY_DIR}/device)
set(DEVICE_PROGRAMS compare convert evaluate finetune inspect predict)
add_custom_target(device_tests)

# Libraries are found beside the program, and those that they need there too: hence the old tag.
function(add_device_program target name)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} EXPORT_COMPILE_COMMANDS OFF
    RUNTIME_OUTPUT_DIRECTORY ${DEVICE_FOLDER} LINKER_LANGUAGE C INSTALL_RPATH "\$ORIGIN")
  target_link_options(${target} PRIVATE -Wl,--disable-new-dtags)
  add_dependencies(device_tests ${target})
  install(TARGETS ${target} RUNTIME_DEPENDENCY_SET device_libraries
    DESTINATION . COMPONENT device EXCLUDE_FROM_ALL)
endfunction()

add_library(backend_under_test_device OBJECT backend_under_test.c)
target_compile_definitions(backend_under_test_device PRIVATE TEST_CUDA)
target_link_libraries(backend_under_test_device PRIVATE primer_flags)
set_target_properties(backend_under_test_device PROPERTIES EXPORT_COMPILE_COMMANDS OFF)

foreach(name ${CUDA_COLUMN})
  add_executable(${name}_device ${name}.c)
  target_compile_definitions(${name}_device PRIVATE TEST_CUDA TEST_DIRECTORY=".")
  target_link_libraries(${name}_device PRIVATE $<TARGET_OBJECTS:backend_under_test_device>
    test_shared primer_tools primer primer_flags PkgConfig::CMOCKA)
  add_device_program(${name}_device ${name}_device)
  add_test(NAME ${name}_device COMMAND ${name}_device
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()

foreach(program ${DEVICE_PROGRAMS})
  add_executable(device_${program} ${PROJECT_SOURCE_DIR}/tools/${program}.c)
  target_link_libraries(device_${program} PRIVATE primer_tools)
  add_device_program(device_${program} ${program})
endforeach()
add_test(NAME check_gpu_device
  COMMAND ${PR_PYTHON} ${CMAKE_CURRENT_SOURCE_DIR}/check_gpu.py ${DEVICE_FOLDER})

# All but the C library, which is the machine's; the library itself where it is shared.
if(BUILD_SHARED_LIBS)
  install(TARGETS primer RUNTIME_DEPENDENCY_SET device_libraries
    LIBRARY DESTINATION . COMPONENT device EXCLUDE_FROM_ALL)
endif()
install(RUNTIME_DEPENDENCY_SET device_libraries PRE_EXCLUDE_REGEXES
  "ld-linux" "lib(c|m|dl|rt|pthread|gcc_s|stdc[+][+])[.]so"
  DESTINATION . COMPONENT device EXCLUDE_FROM_ALL)
