/* The owner of files that root makes in a folder of another user. */
#ifndef STEERWAY_KEEP_FILE_OWNER_H
#define STEERWAY_KEEP_FILE_OWNER_H

/** A file that root has just made gets the owner of its folder: of a proxy that was started with --run-as.
 * Without that, what a command of root leaves there could not be used by the proxy. */
void file_owner_follow(int fd, const char *path);

#endif
