/* Ends of connections that this process has begun: exact, and forgotten after a while. */
#include "net/own_ends.h"

#include "support/tcp.h"

static void a_connection_is_known_by_both_ends(void **state)
{
    struct own_ends *e = calloc(1, sizeof *e);
    struct addr from, to, other;
    int mine, theirs;

    (void)state;
    assert_non_null(e);
    tcp_pair(0, &mine, &theirs);
    from = bound_addr(mine);
    to = bound_addr(theirs);
    assert_false(own_ends_have(e, &from, &to));
    own_ends_note(e, mine, &to);
    assert_true(own_ends_have(e, &from, &to));
    assert_false(own_ends_have(e, &to, &from));

    other = from;
    addr_set_port(&other, (uint16_t)(addr_port(&from) + OWN_ENDS_SEATS)); /* the same seat, if it fits */
    assert_false(own_ends_have(e, &other, &to));
    other = from;
    other.in4.sin_addr.s_addr = htonl(0x7f000002);
    assert_false(own_ends_have(e, &other, &to));
    other = to;
    addr_set_port(&other, (uint16_t)(addr_port(&to) ^ 1));
    assert_false(own_ends_have(e, &from, &other));
    other = to;
    other.in4.sin_addr.s_addr = htonl(0x7f000002);
    assert_false(own_ends_have(e, &from, &other));

    e->seats[addr_port(&from) % OWN_ENDS_SEATS].at_s -= 6; /* its port may belong to another program by now */
    assert_false(own_ends_have(e, &from, &to));
    (void)close(mine);
    (void)close(theirs);
    own_ends_note(e, -1, &to); /* harmless */
    free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_connection_is_known_by_both_ends)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
