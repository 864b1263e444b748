#include "machine/rtnl_route.h"

#include "support/loopback.h"

#include <errno.h>
#include <net/if.h>

/* A message in a heap block of its exact size, so that ASan sees a step beyond it. */
static struct nlmsghdr *exact(const struct nlmsghdr *nlh)
{
    struct nlmsghdr *copy = malloc(nlh->nlmsg_len);
    assert_non_null(copy);
    memcpy(copy, nlh, nlh->nlmsg_len);
    return copy;
}

static struct nlmsghdr *new_route(struct rtnl_request *r, unsigned char table)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r->space);
    nlh->nlmsg_type = RTM_NEWROUTE;
    struct rtmsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    *info = (struct rtmsg){.rtm_family = AF_INET, .rtm_type = RTN_UNICAST, .rtm_table = table};
    return nlh;
}

static const uint8_t GATEWAY4[] = {192, 0, 2, 1};
static const uint8_t GATEWAY6[16] = {0xfe, 0x80, [15] = 1};

static void assert_ip(const struct addr *a, const char *text)
{
    char out[ADDR_TEXT_MAX];
    assert_string_equal(addr_format_ip(a, out), text);
}

static void test_table_of_every_prefix(void **state)
{
    struct rtnl_request r;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r.space);
    mnl_attr_put_u32(nlh, 2, 22);
    mnl_attr_put(nlh, 5, 3, "abc"); /* padded to 4 */
    mnl_attr_put_u32(nlh, 6, 99);   /* beyond the table, by one */
    mnl_attr_put_u32(nlh, 3, 33);
    size_t len = mnl_nlmsg_get_payload_len(nlh);
    for (size_t cut = 0; cut <= len; cut++) {
        const struct nlattr *table[7] = {[6] = (const void *)&r};
        void *copy = malloc(cut + !cut);
        assert_non_null(copy);
        memcpy(copy, mnl_nlmsg_get_payload(nlh), cut);
        rtnl_table(copy, cut, table, 5);
        assert_int_equal(rtnl_u32(table[2]), cut >= 8 ? 22 : 0);
        assert_int_equal(table[5] ? mnl_attr_get_payload_len(table[5]) : 0, cut >= 15 ? 3 : 0);
        assert_int_equal(rtnl_u32(table[3]), cut >= 32 ? 33 : 0);
        assert_null(table[0]);
        assert_null(table[1]);
        assert_null(table[4]);
        assert_ptr_equal(table[6], &r); /* not the table's */
        free(copy);
    }
    (void)state;
}

static void test_bad_lengths_end_the_table(void **state)
{
    static const uint16_t lengths[] = {0, 1, 3, 13, 0xffff};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct nlattr attrs[3] = {{.nla_len = 4, .nla_type = 1},
                                  {.nla_len = lengths[i], .nla_type = 2},
                                  {.nla_len = 4, .nla_type = 3}};
        const struct nlattr *table[4];
        rtnl_table(attrs, sizeof attrs, table, 3);
        assert_ptr_equal(table[1], &attrs[0]);
        assert_null(table[2]);
        assert_null(table[3]);
    }
    (void)state;
}

static void test_nested(void **state)
{
    static const uint16_t lengths[] = {0, 3, 13, 0xffff};
    struct nlattr attrs[4] = {{.nla_len = sizeof attrs, .nla_type = 9},
                              {.nla_len = 4, .nla_type = 1},
                              {.nla_len = 4, .nla_type = 1}};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        size_t at = 0;
        attrs[3] = (struct nlattr){.nla_len = lengths[i], .nla_type = 1};
        assert_ptr_equal(rtnl_next(attrs, &at), &attrs[1]);
        assert_ptr_equal(rtnl_next(attrs, &at), &attrs[2]);
        assert_null(rtnl_next(attrs, &at));
    }
    (void)state;
}

/* A header that is announced longer than the message. */
static void test_message_shorter_than_its_head(void **state)
{
    struct rtnl_request r;
    const struct nlattr *table[2];
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r.space);
    rtnl_message_table(nlh, 12, table, 1);
    assert_null(table[1]);
    (void)mnl_nlmsg_put_extra_header(nlh, 10);
    mnl_attr_put_u32(nlh, 1, 7);
    rtnl_message_table(nlh, 10, table, 1);
    assert_int_equal(rtnl_u32(table[1]), 7);
    (void)state;
}

static void test_values(void **state)
{
    struct rtnl_request r;
    char text[5];
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r.space);
    struct nlattr *at = mnl_nlmsg_get_payload_tail(nlh);
    mnl_attr_put(nlh, 1, 3, "abc"); /* not ended by a NUL */
    rtnl_text(at, text, sizeof text);
    assert_string_equal(text, "abc");
    assert_int_equal(rtnl_u32(at), 0); /* too short */
    struct addr a = rtnl_route_addr(at, 0);
    assert_int_equal(addr_family(&a), AF_UNSPEC);

    at = mnl_nlmsg_get_payload_tail(nlh);
    mnl_attr_put(nlh, 1, 7, "abcdefg");
    rtnl_text(at, text, sizeof text);
    assert_string_equal(text, "abcd");
    at = mnl_nlmsg_get_payload_tail(nlh);
    mnl_attr_put(nlh, 1, 0, "");
    rtnl_text(at, text, sizeof text);
    assert_string_equal(text, "");

    rtnl_text(NULL, text, sizeof text);
    assert_string_equal(text, "");
    assert_int_equal(rtnl_u32(NULL), 0);
    a = rtnl_route_addr(NULL, 1);
    assert_int_equal(addr_family(&a), AF_UNSPEC);
    (void)state;
}

static void test_link_local_has_its_link_as_scope(void **state)
{
    static const uint8_t global[16] = {0x20, 1, 0x0d, 0xb8, [15] = 1};
    struct rtnl_request r;
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r.space);
    struct nlattr *at = mnl_nlmsg_get_payload_tail(nlh);
    mnl_attr_put(nlh, 1, sizeof GATEWAY6, GATEWAY6);
    struct addr a = rtnl_route_addr(at, 7);
    assert_int_equal(addr_family(&a), AF_INET6);
    assert_int_equal(a.in6.sin6_scope_id, 7);
    at = mnl_nlmsg_get_payload_tail(nlh);
    mnl_attr_put(nlh, 1, sizeof global, global);
    a = rtnl_route_addr(at, 7);
    assert_int_equal(a.in6.sin6_scope_id, 0);
    (void)state;
}

static void test_route(void **state)
{
    struct rtnl_request r;
    struct nlmsghdr *nlh = new_route(&r, RT_TABLE_MAIN);
    mnl_attr_put_u32(nlh, RTA_OIF, 3);
    mnl_attr_put(nlh, RTA_GATEWAY, sizeof GATEWAY4, GATEWAY4);
    mnl_attr_put_u32(nlh, RTA_PRIORITY, 600);
    nlh = exact(nlh);
    struct rtnl_route route = rtnl_route_of(nlh);
    assert_int_equal(route.hop.link, 3);
    assert_ip(&route.hop.gateway, "192.0.2.1");
    assert_int_equal(addr_family(&route.source), AF_UNSPEC);
    assert_int_equal(route.metric, 600);
    assert_int_equal(route.table, RT_TABLE_MAIN);
    assert_null(route.multipath);
    free(nlh);

    nlh = new_route(&r, RT_TABLE_COMPAT);
    mnl_attr_put_u32(nlh, RTA_TABLE, 1000);
    mnl_attr_put(nlh, RTA_PREFSRC, sizeof GATEWAY4, GATEWAY4);
    nlh = exact(nlh);
    route = rtnl_route_of(nlh);
    assert_int_equal(route.table, 1000);
    assert_ip(&route.source, "192.0.2.1");
    assert_int_equal(addr_family(&route.hop.gateway), AF_UNSPEC);
    free(nlh);
    (void)state;
}

static void test_gateway_of_the_other_family(void **state)
{
    uint8_t via[2 + sizeof GATEWAY6] = {AF_INET6};
    struct rtnl_request r;
    memcpy(via + 2, GATEWAY6, sizeof GATEWAY6);
    struct nlmsghdr *nlh = new_route(&r, RT_TABLE_MAIN);
    mnl_attr_put_u32(nlh, RTA_OIF, 3);
    mnl_attr_put(nlh, RTA_VIA, sizeof via, via);
    nlh = exact(nlh);
    struct rtnl_route route = rtnl_route_of(nlh);
    assert_int_equal(addr_family(&route.hop.gateway), AF_INET6);
    assert_int_equal(route.hop.gateway.in6.sin6_scope_id, 3);
    free(nlh);

    nlh = new_route(&r, RT_TABLE_MAIN);
    mnl_attr_put(nlh, RTA_VIA, 2, via); /* without an address */
    nlh = exact(nlh);
    route = rtnl_route_of(nlh);
    assert_int_equal(addr_family(&route.hop.gateway), AF_UNSPEC);
    free(nlh);
    (void)state;
}

static void put_hop(struct nlmsghdr *nlh, int link, bool gateway)
{
    struct rtnexthop *hop = mnl_nlmsg_put_extra_header(nlh, sizeof *hop);
    hop->rtnh_ifindex = link;
    if (gateway)
        mnl_attr_put(nlh, RTA_GATEWAY, sizeof GATEWAY4, GATEWAY4);
    hop->rtnh_len = (unsigned short)((char *)mnl_nlmsg_get_payload_tail(nlh) - (char *)hop);
}

static void test_multipath(void **state)
{
    struct rtnl_request r;
    struct nlmsghdr *nlh = new_route(&r, RT_TABLE_MAIN);
    struct nlattr *nest = mnl_attr_nest_start(nlh, RTA_MULTIPATH);
    put_hop(nlh, 3, true);
    put_hop(nlh, 4, false);
    put_hop(nlh, 5, true);
    mnl_attr_nest_end(nlh, nest);
    nlh = exact(nlh);
    struct rtnl_route route = rtnl_route_of(nlh);
    struct rtnl_route_hop hop;
    size_t at = 0;
    assert_non_null(route.multipath);
    assert_true(rtnl_route_next_hop(route.multipath, &at, &hop));
    assert_int_equal(hop.link, 3);
    assert_ip(&hop.gateway, "192.0.2.1");
    assert_true(rtnl_route_next_hop(route.multipath, &at, &hop));
    assert_int_equal(hop.link, 4);
    assert_int_equal(addr_family(&hop.gateway), AF_UNSPEC);
    assert_true(rtnl_route_next_hop(route.multipath, &at, &hop));
    assert_int_equal(hop.link, 5);
    assert_false(rtnl_route_next_hop(route.multipath, &at, &hop));
    assert_int_equal(hop.link, 5);
    free(nlh);
    (void)state;
}

static void test_bad_hops_end_the_walk(void **state)
{
    static const unsigned short lengths[] = {0, 7, 17, 0xffff};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct rtnl_request r;
        struct nlmsghdr *nlh = new_route(&r, RT_TABLE_MAIN);
        struct nlattr *nest = mnl_attr_nest_start(nlh, RTA_MULTIPATH);
        struct rtnexthop *hop = mnl_nlmsg_put_extra_header(nlh, 16);
        hop->rtnh_len = lengths[i];
        mnl_attr_nest_end(nlh, nest);
        nlh = exact(nlh);
        struct rtnl_route route = rtnl_route_of(nlh);
        struct rtnl_route_hop ret;
        size_t at = 0;
        assert_non_null(route.multipath);
        assert_false(rtnl_route_next_hop(route.multipath, &at, &ret));
        free(nlh);
    }
    (void)state;
}

static int count_message(const struct nlmsghdr *nlh, void *data)
{
    *(int *)data += nlh->nlmsg_type == RTM_NEWLINK;
    return MNL_CB_OK;
}

static int refuse(const struct nlmsghdr *nlh, void *data)
{
    (void)nlh;
    (void)data;
    errno = ENOMEM;
    return MNL_CB_ERROR;
}

static struct nlmsghdr *ask_link(struct rtnl_request *r, int index)
{
    struct nlmsghdr *nlh = mnl_nlmsg_put_header(r->space);
    nlh->nlmsg_type = RTM_GETLINK;
    nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    struct ifinfomsg *info = mnl_nlmsg_put_extra_header(nlh, sizeof *info);
    info->ifi_index = index;
    return nlh;
}

static void test_ask(void **state)
{
    struct rtnl_request r;
    int n = 0, fds = count_fds();
    assert_int_equal(rtnl_ask(ask_link(&r, (int)if_nametoindex("lo")), count_message, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(rtnl_ask(ask_link(&r, INT32_MAX), count_message, &n), -ENODEV);
    assert_int_equal(n, 1);
    assert_int_equal(rtnl_ask(ask_link(&r, (int)if_nametoindex("lo")), refuse, NULL), -ENOMEM);
    assert_int_equal(count_fds(), fds);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_of_every_prefix),
        cmocka_unit_test(test_bad_lengths_end_the_table),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_message_shorter_than_its_head),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_link_local_has_its_link_as_scope),
        cmocka_unit_test(test_route),
        cmocka_unit_test(test_gateway_of_the_other_family),
        cmocka_unit_test(test_multipath),
        cmocka_unit_test(test_bad_hops_end_the_walk),
        cmocka_unit_test(test_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
