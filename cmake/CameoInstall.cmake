# What `cmake --install` puts in place: the tool.
include(GNUInstallDirs)
install(TARGETS cameo RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
