# cameo_add_model(<target> MODEL <file> [NAME <id>] [SHARED | OBJECT] [OPTIONS <option>...] [DEPENDS <file>...])
#
# A library target from an ONNX model, compiled when the project is built, and again when the model, its external data or
# Cameo changes.
#
#   MODEL     the .onnx file; relative to the current source folder. The build may make it: give its path in the build
#             folder then
#   NAME      the prefix of the C functions and the name of the header; default: the target's name
#   SHARED    a shared library (default: a static one)
#   OBJECT    one object file
#   OPTIONS   options of `cameo compile`: --dim batch=1, --target-cpu x86-64-v3, ...
#   DEPENDS   more files to wait for: external data that the build makes
#
# Link <target>, include "<NAME>.h". Under the hood an imported target: its file is $<TARGET_FILE:<target>>, for
# install(FILES ...).
cmake_policy(PUSH)
cmake_policy(VERSION 3.20...3.31) # the project's own policies end here: DEPFILE means the same everywhere

function(cameo_add_model target)
  cmake_parse_arguments(PARSE_ARGV 1 ARG "SHARED;OBJECT" "MODEL;NAME" "OPTIONS;DEPENDS")
  if(NOT ARG_MODEL OR ARG_UNPARSED_ARGUMENTS OR (ARG_SHARED AND ARG_OBJECT))
    message(FATAL_ERROR "cameo_add_model(<target> MODEL <file> [NAME <id>] [SHARED | OBJECT] [OPTIONS ...] [DEPENDS ...])")
  endif()
  if(NOT ARG_NAME)
    set(ARG_NAME ${target})
  endif()
  if(NOT ARG_NAME MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    message(FATAL_ERROR "cameo_add_model: '${ARG_NAME}' is no C identifier: give a NAME")
  endif()
  cmake_path(ABSOLUTE_PATH ARG_MODEL NORMALIZE)

  if(ARG_SHARED)
    set(suffix .so)
    set(type SHARED)
  elseif(ARG_OBJECT)
    set(suffix .o)
    set(type OBJECT)
  else()
    set(suffix .a)
    set(type STATIC)
  endif()
  # A folder of its own: two targets may have the same NAME. What users include is a copy of the header that changes only
  # when its text does: a model with new weights is linked again, and the code around it is not compiled again.
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/cameo/${target})
  file(MAKE_DIRECTORY ${folder}/include)
  set(artefact ${folder}/${ARG_NAME}${suffix})
  add_custom_command(
    OUTPUT ${artefact}
    BYPRODUCTS ${folder}/${ARG_NAME}.h ${folder}/include/${ARG_NAME}.h
    COMMAND cameo::cameo compile ${ARG_MODEL} -o ${artefact} --name ${ARG_NAME} --depfile ${artefact}.d ${ARG_OPTIONS}
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${folder}/${ARG_NAME}.h ${folder}/include/${ARG_NAME}.h
    DEPENDS ${ARG_MODEL} cameo::cameo ${ARG_DEPENDS}
    DEPFILE ${artefact}.d
    COMMENT "Compiling ${ARG_NAME} from ${ARG_MODEL}"
    VERBATIM)
  add_custom_target(${target}.compiled DEPENDS ${artefact})

  find_package(Threads REQUIRED)
  add_library(${target} ${type} IMPORTED GLOBAL)
  if(ARG_OBJECT)
    set_target_properties(${target} PROPERTIES IMPORTED_OBJECTS ${artefact})
  else()
    set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${artefact})
  endif()
  if(ARG_SHARED)
    set_target_properties(${target} PROPERTIES IMPORTED_SONAME ${ARG_NAME}.so)
  endif()
  set_target_properties(
    ${target} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES ${folder}/include INTERFACE_LINK_LIBRARIES Threads::Threads)
  add_dependencies(${target} ${target}.compiled)
endfunction()

cmake_policy(POP)
