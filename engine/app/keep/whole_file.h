/* A small file that is read and replaced as a whole. The calls wait for the disk. */
#ifndef STEERWAY_KEEP_WHOLE_FILE_H
#define STEERWAY_KEEP_WHOLE_FILE_H

#include "base/compiler.h"

enum { WHOLE_FILE_MAX = 1024 * 1024 };

/** Create missing folders of the path, for this user only. A failure shows when the file is opened. */
void whole_file_folders(const char *path);

/** @param ret  malloc'ed; untouched when the file does not exist
 *  @return 0, -EFBIG over WHOLE_FILE_MAX, -EEXIST for what is not a file, or another negative errno */
MUST_CHECK int whole_file_read(const char *path, char **ret);

/** Replace the file, so that a reader finds either the old text or the new one, also after a crash.
 *  @return 0 or negative errno */
MUST_CHECK int whole_file_replace(const char *path, const char *text);

#endif
