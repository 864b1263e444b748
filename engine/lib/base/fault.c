#include "base/fault.h"

#include <errno.h>
#include <stddef.h>

const char *fault_name(enum fault f)
{
    switch (f) {
    case FAULT_NONE:
        return "ok";
    case FAULT_TIMEOUT:
        return "timeout";
    case FAULT_REFUSED:
        return "refused";
    case FAULT_UNREACHABLE:
        return "unreachable";
    case FAULT_HOST:
        return "host-unreachable";
    case FAULT_RESET:
        return "reset";
    case FAULT_NAME:
        return "no-such-name";
    case FAULT_DNS:
        return "dns";
    case FAULT_BIND:
        return "bind";
    case FAULT_DENIED:
        return "denied";
    case FAULT_NO_UPLINK:
        return "no-uplink";
    case FAULT_PARENT:
        return "upstream";
    case FAULT_REJECTED:
        return "upstream-rejected";
    case FAULT_EXPIRED:
        return "upstream-timeout";
    case FAULT_FAILED:
        return "upstream-failed";
    case FAULT_RESOURCES:
        return "resources";
    case FAULT_LIMIT:
        return "limit";
    case FAULT_BUSY:
        return "busy";
    }
    return "unknown";
}

const char *fault_policy_name(enum fault f)
{
    switch (f) {
    case FAULT_TIMEOUT:
    case FAULT_REFUSED:
    case FAULT_UNREACHABLE:
    case FAULT_RESET:
    case FAULT_DNS:
    case FAULT_BIND:
        return fault_name(f);
    case FAULT_NAME:
        return "dns";
    case FAULT_EXPIRED:
        return "timeout";
    case FAULT_HOST:
    case FAULT_PARENT:
    case FAULT_REJECTED:
    case FAULT_FAILED:
        return "unreachable";
    case FAULT_NONE:
    case FAULT_DENIED:
    case FAULT_NO_UPLINK:
    case FAULT_RESOURCES:
    case FAULT_LIMIT:
    case FAULT_BUSY:
        break;
    }
    return NULL;
}

enum fault fault_from_errno(int err)
{
    switch (err) {
    case 0:
        return FAULT_NONE;
    case ETIMEDOUT:
        return FAULT_TIMEOUT;
    case ECONNREFUSED:
        return FAULT_REFUSED;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        return FAULT_HOST;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
        return FAULT_RESET;
    case ENODEV:
    case EADDRNOTAVAIL: /* also when ephemeral ports are used up; another uplink's address has its own */
    case EADDRINUSE:
    case EPERM:
        return FAULT_BIND;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
        return FAULT_RESOURCES;
    default:
        return FAULT_UNREACHABLE;
    }
}

/* How much a fault tells about the destination. */
static int telling(enum fault f)
{
    switch (f) {
    case FAULT_REFUSED:
        return 9;
    case FAULT_RESET:
        return 8;
    case FAULT_NAME:
        return 7;
    case FAULT_TIMEOUT:
    case FAULT_EXPIRED:
        return 6;
    case FAULT_DNS:
        return 5;
    case FAULT_HOST:
    case FAULT_DENIED:
    case FAULT_REJECTED:
        return 4;
    case FAULT_UNREACHABLE:
    case FAULT_PARENT:
    case FAULT_FAILED:
        return 3;
    case FAULT_BIND:
        return 2;
    case FAULT_RESOURCES:
    case FAULT_LIMIT:
    case FAULT_BUSY:
        return 1;
    case FAULT_NONE:
    case FAULT_NO_UPLINK:
        break;
    }
    return 0;
}

enum fault fault_more_telling(enum fault first, enum fault second)
{
    return telling(second) > telling(first) ? second : first;
}

bool fault_worth_retry(enum fault f)
{
    switch (f) {
    case FAULT_TIMEOUT:
    case FAULT_REFUSED:
    case FAULT_UNREACHABLE:
    case FAULT_RESET:
    case FAULT_DNS:
    case FAULT_BIND:
    case FAULT_HOST:
    case FAULT_PARENT:
    case FAULT_REJECTED: /* another parent proxy has other rules and other routes */
    case FAULT_EXPIRED:
    case FAULT_FAILED:
        return true;
    case FAULT_NONE:
    case FAULT_NAME:
    case FAULT_DENIED:
    case FAULT_NO_UPLINK:
    case FAULT_RESOURCES:
    case FAULT_LIMIT:
    case FAULT_BUSY:
        break;
    }
    return false;
}
