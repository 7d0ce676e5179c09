# The C code of every artefact (codegen/runtime/*.c), compiled to a relocatable object for each architecture when Cameo is
# built, and the text of the public C header: both become byte arrays in the tool, so that compiling a model needs no
# other file. clang, because one clang compiles for every architecture; the code is freestanding, so no target's headers or
# libraries are needed.
#
# Objects, not bitcode: as bitcode, the code generation of these files took 85 of the 95 ms of building a small model.
find_program(CAMEO_CLANG NAMES clang-19 clang HINTS ${LLVM_TOOLS_BINARY_DIR} NO_CACHE REQUIRED)
set(CAMEO_RUNTIME_ARCHITECTURES x86_64)
set(runtime_dir ${PROJECT_BINARY_DIR}/runtime)
file(GLOB runtime_sources CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/codegen/runtime/*.c)

# embed(FILE SYMBOL): FILE's bytes as `extern const unsigned char SYMBOL[]; extern const unsigned long SYMBOL_size`.
set(embedded_sources "")
function(cameo_embed file symbol)
  set(output ${runtime_dir}/${symbol}.cpp)
  add_custom_command(
    OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -DINPUT=${file} -DOUTPUT=${output} -DSYMBOL=${symbol} -P ${PROJECT_SOURCE_DIR}/cmake/EmbedFile.cmake
    DEPENDS ${file} ${PROJECT_SOURCE_DIR}/cmake/EmbedFile.cmake
    VERBATIM)
  set(embedded_sources ${embedded_sources} ${output} PARENT_SCOPE)
endfunction()

cameo_embed(${PROJECT_SOURCE_DIR}/include/cameo/abi.h embedded_abi_h)

# The list that codegen/artefact_stub.cpp includes: EMBEDDED_OBJECT(architecture, symbol) for every file.
set(runtime_list "")
foreach(architecture IN LISTS CAMEO_RUNTIME_ARCHITECTURES)
  foreach(source IN LISTS runtime_sources)
    get_filename_component(stem ${source} NAME_WE)
    set(object ${runtime_dir}/${architecture}/${stem}.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${runtime_dir}/${architecture}
      # Run in the source folder with relative names: no build path in the object.
      COMMAND
        ${CMAKE_COMMAND} -E chdir ${PROJECT_SOURCE_DIR} ${CAMEO_CLANG} --target=${architecture}-unknown-linux-gnu -std=c11 -O2
        -ffreestanding -nostdlibinc -fPIC -fvisibility=hidden -fcf-protection=full -fno-stack-protector -fno-ident -fno-addrsig
        -fomit-frame-pointer -Wall -Wextra $<$<BOOL:${CAMEO_WERROR}>:-Werror> -Iinclude -c ${source} -o ${object} -MMD -MF ${object}.d -MT
        ${object}
      DEPENDS ${PROJECT_SOURCE_DIR}/${source}
      DEPFILE ${object}.d
      COMMAND_EXPAND_LISTS VERBATIM)
    cameo_embed(${object} runtime_${architecture}_${stem})
    string(APPEND runtime_list "EMBEDDED_OBJECT(\"${architecture}\", runtime_${architecture}_${stem})\n")
  endforeach()
endforeach()
file(CONFIGURE OUTPUT ${runtime_dir}/embedded_runtime.inc CONTENT "${runtime_list}" @ONLY)

target_sources(cameo_codegen PRIVATE ${embedded_sources})
target_include_directories(cameo_codegen PRIVATE ${runtime_dir})
