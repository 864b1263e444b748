# What is installed, and the Debian package: cpack -G DEB in the folder of a release build.
install(TARGETS steerway RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY lua policies DESTINATION ${CMAKE_INSTALL_DATADIR}/steerway FILES_MATCHING PATTERN "*.lua")
# OPTIONAL: a checkout cut down to what builds still installs.
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
foreach(page steerway.1 steerway.conf.5 steerway-policy.7)
  string(REGEX MATCH "[1-8]$" section ${page})
  install(FILES docs/${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section} OPTIONAL)
endforeach()
install(FILES README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
# The man pages again, too: the pages link to each other as they do in the source tree.
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL FILES_MATCHING PATTERN "*.md" PATTERN "*.svg" PATTERN "*.[1-8]")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright) # the name that Debian looks for

set(CPACK_PACKAGE_NAME steerway)
set(CPACK_PACKAGE_VENDOR "Steerway")
set(CPACK_PACKAGE_CONTACT "Steerway contributors")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "proxy that spreads traffic over several internet connections")
set(CPACK_PACKAGE_DESCRIPTION "A SOCKS4, SOCKS4a, SOCKS5 and HTTP proxy that sends each new connection over one of
several uplinks, as a policy written in Lua decides. It binds to the chosen uplink and fails closed.")
set(CPACK_RESOURCE_FILE_LICENSE "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT) # steerway_VERSION_ARCH.deb
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # the libraries' packages and versions, from the binary itself
set(CPACK_DEBIAN_PACKAGE_SUGGESTS nftables) # for steerway capture
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
