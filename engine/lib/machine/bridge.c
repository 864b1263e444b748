#include "machine/bridge.h"

#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* By ethtool: /sys/class/net may show another network namespace. */
static bool is_bridge(const char *interface)
{
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq request = {.ifr_data = (char *)&driver};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return false;
    (void)snprintf(request.ifr_name, sizeof request.ifr_name, "%s", interface);
    bool is = ioctl(fd, SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "bridge") == 0;
    (void)close(fd);
    return is;
}

static bool is_on(const char *path)
{
    char value = '0';
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false; /* br_netfilter is not loaded */
    bool on = read(fd, &value, 1) == 1 && value != '0';
    (void)close(fd);
    return on;
}

bool bridge_loses_tproxy(const char *interface)
{
    return is_bridge(interface) && (is_on("/proc/sys/net/bridge/bridge-nf-call-iptables") ||
                                    is_on("/proc/sys/net/bridge/bridge-nf-call-ip6tables"));
}
