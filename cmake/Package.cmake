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

# The unit for systemd, which also looks below /usr/local/lib. Its config is for the administrator to write, by a copy of
# the one beside the examples; the Debian package has it in place.
set(STEERWAY_PROGRAM ${CMAKE_INSTALL_FULL_BINDIR}/steerway)
set(STEERWAY_CONFIG ${CMAKE_INSTALL_FULL_SYSCONFDIR}/steerway/steerway.conf.lua)
configure_file(packaging/steerway.service.in packaging/steerway.service @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/packaging/steerway.service" DESTINATION lib/systemd/system)
install(FILES packaging/steerway.conf.lua DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

# Completion, which the program itself prints. A program for another machine needs CMAKE_CROSSCOMPILING_EMULATOR.
set(completions share/bash-completion/completions/steerway share/zsh/site-functions/_steerway
  share/fish/vendor_completions.d/steerway.fish)
set(shells bash zsh fish)
foreach(shell file IN ZIP_LISTS shells completions)
  install(CODE "
    set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${file}\")
    get_filename_component(folder \"\${file}\" DIRECTORY)
    file(MAKE_DIRECTORY \"\${folder}\")
    execute_process(COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} \"$<TARGET_FILE:steerway>\" completion ${shell}
      OUTPUT_FILE \"\${file}\" COMMAND_ERROR_IS_FATAL ANY)")
endforeach()

set(CPACK_PACKAGE_NAME steerway)
set(CPACK_PACKAGE_VENDOR "Steerway")
set(CPACK_PACKAGE_CONTACT "Steerway contributors <contributors@steerway.example>")
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "proxy that spreads traffic over several internet connections")
set(CPACK_PACKAGE_DESCRIPTION "A SOCKS4, SOCKS4a, SOCKS5 and HTTP proxy that sends each new connection
over one of several uplinks, as a policy written in Lua decides. It binds to
the chosen uplink and fails closed.
.
The package has a service that listens on localhost, port 1080, and uses all
links of the machine until its config says otherwise, which is
/etc/steerway/steerway.conf.lua.")
set(CPACK_RESOURCE_FILE_LICENSE "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE")
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
# What only a package has (conffiles, compressed pages) is added to the tree before it is packed.
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/cmake/PackageTree.cmake")
set(CPACK_STEERWAY_SOURCE "${CMAKE_CURRENT_SOURCE_DIR}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT) # steerway_VERSION-RELEASE_ARCH.deb
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # the libraries' packages and versions, from the binary itself
set(CPACK_DEBIAN_PACKAGE_SUGGESTS nftables) # for steerway capture
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(script postinst prerm postrm conffiles)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${CMAKE_CURRENT_SOURCE_DIR}/packaging/${script}")
endforeach()
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
include(CPack)
