/* Find a link by its name, without reading all links. */
#ifndef STEERWAY_NETLINK_LINK_INDEX_H
#define STEERWAY_NETLINK_LINK_INDEX_H

/* The kernel's ALTIFNAMSIZ: the size of an alternative name with its NUL. */
enum { LINK_NAME_SIZE = 128 };

/** Ask the kernel for the link that has this name or alternative name now. @return its index, or 0 for none
 */
int link_index(const char *name);

#endif
