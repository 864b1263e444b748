/* A server for measurements: each datagram goes back to its sender. origin_udp ADDRESS:PORT */
#include "wire.h"

enum { BATCH = 64, SPACE = 2048 };

int main(int argc, char **argv)
{
    static unsigned char space[BATCH][SPACE];
    static struct sockaddr_in names[BATCH];
    static struct iovec parts[BATCH];
    static struct mmsghdr messages[BATCH];

    if (argc != 2)
        return 2;
    struct sockaddr_in at = wire_place(argv[1]);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die("cannot listen");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){WIRE_BUFFER}, sizeof(int));
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){space[i], SPACE};
            messages[i].msg_hdr = (struct msghdr){
                .msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &parts[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++)
            parts[i].iov_len = messages[i].msg_len;
        for (int sent = 0, more; sent < n; sent += more) {
            more = sendmmsg(fd, messages + sent, (unsigned)(n - sent), 0);
            if (more <= 0)
                more = 1; /* an error belongs to the first; go on behind it */
        }
    }
}
