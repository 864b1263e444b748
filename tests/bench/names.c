/* A name server for measurements: every name has the one address. names ADDRESS:PORT ANSWER
 * @see RFC 1035 4.1 */
#include "wire.h"

enum { HEAD = 12, TYPE_A = 1, DATAGRAM_MAX = 512, RECORD = 16 };

/* @return the length of the answer, made in place; 0 for none */
static size_t answer(unsigned char *data, size_t n, const struct in_addr *address)
{
    static const unsigned char record[] = {0xc0, HEAD, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4};
    size_t at = HEAD;

    while (at < n && data[at] != 0)
        at += 1u + data[at];
    at += 5; /* the root, type and class */
    if (at > n || at + RECORD > DATAGRAM_MAX)
        return 0;
    bool known = data[at - 4] == 0 && data[at - 3] == TYPE_A;
    data[2] = 0x81; /* an answer; recursion was desired */
    data[3] = 0x80; /* and is available; no error */
    memset(data + 4, 0, HEAD - 4);
    data[5] = 1;
    data[7] = known;
    if (!known)
        return at;
    memcpy(data + at, record, sizeof record);
    memcpy(data + at + sizeof record, address, 4);
    return at + RECORD;
}

int main(int argc, char **argv)
{
    unsigned char data[DATAGRAM_MAX];
    struct in_addr address;

    if (argc != 3 || inet_pton(AF_INET, argv[2], &address) != 1)
        return 2;
    struct sockaddr_in at = wire_place(argv[1]), from;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("cannot listen");
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &size);
        size_t made = n < HEAD ? 0 : answer(data, (size_t)n, &address);
        if (made > 0)
            (void)sendto(fd, data, made, 0, (struct sockaddr *)&from, size);
    }
}
