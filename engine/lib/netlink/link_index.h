/* Finds a link by its name, without a look at all of them. */
#ifndef STEERWAY_NETLINK_LINK_INDEX_H
#define STEERWAY_NETLINK_LINK_INDEX_H

/* An alternative name's length in the kernel (ALTIFNAMSIZ), with its NUL. */
enum { LINK_NAME_SIZE = 128 };

/** The index of the link with this name or alternative name at present, asked of the kernel; 0 for none. */
int link_index(const char *name);

#endif
