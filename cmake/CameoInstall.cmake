# What `cmake --install` puts in place: the tool, the public C header, and the package that find_package(cameo) finds, with
# cameo_add_model. Nothing of it knows where it was installed.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(cameo_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/cameo)
install(TARGETS cameo RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_SOURCE_DIR}/include/cameo/abi.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/cameo)

set(CAMEO_INSTALLED_EXECUTABLE ${CMAKE_INSTALL_BINDIR}/cameo${CMAKE_EXECUTABLE_SUFFIX})
set(CAMEO_INSTALLED_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(
  ${CMAKE_SOURCE_DIR}/cmake/cameoConfig.cmake.in ${CMAKE_BINARY_DIR}/package/cameoConfig.cmake
  INSTALL_DESTINATION ${cameo_package_dir} PATH_VARS CAMEO_INSTALLED_EXECUTABLE CAMEO_INSTALLED_INCLUDE_DIR)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/cameoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/package/cameoConfig.cmake ${CMAKE_BINARY_DIR}/package/cameoConfigVersion.cmake
              ${CMAKE_SOURCE_DIR}/cmake/CameoAddModel.cmake DESTINATION ${cameo_package_dir})
