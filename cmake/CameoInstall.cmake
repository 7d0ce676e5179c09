# What `cmake --install` puts in place: the tool, the public C header, and the package that find_package(cameo) finds, with
# cameo_add_model. Nothing of it knows where it was installed. The files' names are such that find_package(Cameo) finds
# them too.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(cameo_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cameo)
install(TARGETS cameo RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/cameo/abi.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cameo)

set(CAMEO_INSTALLED_EXECUTABLE ${CMAKE_INSTALL_BINDIR}/cameo${CMAKE_EXECUTABLE_SUFFIX})
set(CAMEO_INSTALLED_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/cameo-config.cmake.in ${PROJECT_BINARY_DIR}/package/cameo-config.cmake
  INSTALL_DESTINATION ${cameo_package_dir} PATH_VARS CAMEO_INSTALLED_EXECUTABLE CAMEO_INSTALLED_INCLUDE_DIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/package/cameo-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/package/cameo-config.cmake ${PROJECT_BINARY_DIR}/package/cameo-config-version.cmake
              ${PROJECT_SOURCE_DIR}/cmake/CameoAddModel.cmake DESTINATION ${cameo_package_dir})
