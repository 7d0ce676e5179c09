# codegen/ is the only user of LLVM and lld. LLVM's headers are system headers here: their warnings are not ours.
target_include_directories(cameo_codegen SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS} ${LLD_INCLUDE_DIRS})
# As LLVM is built. A class of ours with virtual functions and no key function must not be constructed here: its vtable would lack the
# type information that exceptions and sanitizers read, and the linker may keep that vtable for the whole program.
target_compile_options(cameo_codegen PRIVATE -fno-rtti)
target_link_libraries(cameo_codegen PRIVATE lldELF lldCommon LLVM)

# One file per CPU family.
file(GLOB codegen_targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/codegen/targets/*.cpp)
target_sources(cameo_codegen PRIVATE ${codegen_targets})
