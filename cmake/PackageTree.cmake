# Run by CPack before it packs: makes a Debian package's tree of the installed one.
cmake_policy(VERSION 3.25)
set(tree "${CPACK_TEMPORARY_INSTALL_DIRECTORY}")
set(source "${CPACK_STEERWAY_SOURCE}")
set(doc "${tree}/usr/share/doc/steerway")
set(readable OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)

# Files of the administrator's.
file(MAKE_DIRECTORY "${tree}/etc/steerway")
file(COPY "${source}/packaging/steerway.conf.lua" DESTINATION "${tree}/etc/steerway" FILE_PERMISSIONS ${readable})
file(REMOVE "${doc}/examples/steerway.conf.lua")
file(MAKE_DIRECTORY "${tree}/etc/logrotate.d")
file(COPY_FILE "${source}/packaging/logrotate" "${tree}/etc/logrotate.d/steerway")
file(CHMOD "${tree}/etc/logrotate.d/steerway" FILE_PERMISSIONS ${readable})

file(COPY "${source}/packaging/lintian-overrides" DESTINATION "${tree}/usr/share/lintian/overrides"
  FILE_PERMISSIONS ${readable})
file(RENAME "${tree}/usr/share/lintian/overrides/lintian-overrides" "${tree}/usr/share/lintian/overrides/steerway")

# The unit, with this package's folders.
set(STEERWAY_PROGRAM /usr/bin/steerway)
set(STEERWAY_CONFIG /etc/steerway/steerway.conf.lua)
configure_file("${source}/packaging/steerway.service.in" "${tree}/usr/lib/systemd/system/steerway.service" @ONLY
  FILE_PERMISSIONS ${readable})

# The licence in Debian's form: each line indented, empty ones as a point.
file(STRINGS "${source}/LICENSE" lines)
list(FILTER lines EXCLUDE REGEX "^(MIT License|Copyright .*)$")
list(POP_FRONT lines) # the empty line after the heading
set(STEERWAY_LICENSE "")
foreach(line IN LISTS lines)
  if(line STREQUAL "")
    set(line ".")
  endif()
  string(APPEND STEERWAY_LICENSE " ${line}\n")
endforeach()
configure_file("${source}/packaging/copyright.in" "${doc}/copyright" @ONLY FILE_PERMISSIONS ${readable})

# Debian's zsh looks there for what packages bring.
file(MAKE_DIRECTORY "${tree}/usr/share/zsh/vendor-completions")
file(RENAME "${tree}/usr/share/zsh/site-functions/_steerway" "${tree}/usr/share/zsh/vendor-completions/_steerway")
file(REMOVE_RECURSE "${tree}/usr/share/zsh/site-functions")

# Changelogs and man pages are compressed; -n leaves out the time, so that the same tree makes the same package.
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC) # of SOURCE_DATE_EPOCH, where that is set
file(WRITE "${doc}/changelog.Debian" "steerway (${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}) unstable; urgency=medium

  * CHANGELOG.md, in this folder as changelog.gz, tells what has changed.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
file(COPY_FILE "${doc}/CHANGELOG.md" "${doc}/changelog") # pages link to the other one
file(GLOB pages "${tree}/usr/share/man/man?/*.[1-8]")
execute_process(COMMAND gzip -9n "${doc}/changelog" "${doc}/changelog.Debian" ${pages} COMMAND_ERROR_IS_FATAL ANY)
file(GLOB packed "${doc}/*.gz" "${tree}/usr/share/man/man?/*.gz")
file(CHMOD ${packed} FILE_PERMISSIONS ${readable})
