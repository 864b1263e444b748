/* Shares, marks and rules of uplinks with a router of their own. The test answers in the kernel's place, so
 * that nothing on this machine changes. */
#include "follow/gateways.h"

#include "base/log_capture.h"
#include "machine/gateway_rule.h"
#include "uplink/added.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

enum { SHARES = 16, SHARE_SIZE = 128, FIRST_MARK = 0x53570001, FIRST_PRIORITY = 20001, RULES_MAX = 8 };

/* --- the kernel's part ---------------------------------------------------------------------------------- */

static struct {
    bool taken[SHARES];                  /* by other programs */
    struct gateway_rule left[RULES_MAX]; /* the rules of programs that were killed */
    size_t n_left;
    struct gateway_rule set[RULES_MAX], removed[RULES_MAX], dropped[RULES_MAX];
    size_t n_set, n_removed, n_dropped;
    int set_error, remove_error;
} kernel;

/* The linker gives these the calls of the file under test (tests/unit/CMakeLists.txt). */
int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len);
int __wrap_gateway_rules_find(uint32_t first, uint32_t last, struct gateway_rule *ret, size_t max);
int __wrap_gateway_rule_set(const struct gateway_rule *r);
int __wrap_gateway_rule_remove(const struct gateway_rule *r);
void __wrap_gateway_rule_drop(const struct gateway_rule *r);

int __wrap_bind(int fd, const struct sockaddr *sa, socklen_t len)
{
    static const char prefix[] = "steerway-gateways-";
    char name[sizeof(struct sockaddr_un)] = "";
    size_t at = offsetof(struct sockaddr_un, sun_path) + 1; /* an abstract name begins with a NUL */

    assert_true(fd >= 0 && sa->sa_family == AF_UNIX && len > at);
    memcpy(name, (const char *)sa + at, len - at);
    assert_memory_equal(name, prefix, sizeof prefix - 1);
    int share = atoi(name + sizeof prefix - 1);
    assert_in_range(share, 0, SHARES - 1);
    errno = EADDRINUSE;
    return kernel.taken[share] ? -1 : 0;
}

int __wrap_gateway_rules_find(uint32_t first, uint32_t last, struct gateway_rule *ret, size_t max)
{
    assert_int_equal(first, FIRST_MARK);
    assert_int_equal(last, FIRST_MARK + SHARES * SHARE_SIZE - 1);
    assert_true(kernel.n_left <= max);
    memcpy(ret, kernel.left, sizeof *ret * kernel.n_left);
    return (int)kernel.n_left;
}

static void note(struct gateway_rule *list, size_t *n, const struct gateway_rule *r)
{
    assert_true(*n < RULES_MAX);
    list[(*n)++] = *r;
}

int __wrap_gateway_rule_set(const struct gateway_rule *r)
{
    note(kernel.set, &kernel.n_set, r);
    return kernel.set_error;
}

int __wrap_gateway_rule_remove(const struct gateway_rule *r)
{
    note(kernel.removed, &kernel.n_removed, r);
    return kernel.remove_error;
}

void __wrap_gateway_rule_drop(const struct gateway_rule *r)
{
    note(kernel.dropped, &kernel.n_dropped, r);
}

/* --- a room with three uplinks -------------------------------------------------------------------------- */

/* The first has no router of its own, the second one of each family, the third an IPv4 one. */
struct room {
    struct gateways gateways;
    struct uplink_set uplinks;
    struct uplink *plain, *both, *four;
    struct made made;
    struct machine_link *lte, *dsl;
};

static int room_open(void **state)
{
    static const struct machine no_links;
    struct room *r = calloc(1, sizeof *r);

    assert_non_null(r);
    *state = r;
    memset(&kernel, 0, sizeof kernel);
    made_init(&r->made);
    r->lte = made_link(&r->made, "lte");
    r->dsl = made_link(&r->made, "dsl");
    r->plain = add(&r->uplinks, "fibre", &no_links);
    r->both = add(&r->uplinks, "lte", &no_links);
    r->four = add(&r->uplinks, "dsl", &no_links);
    r->both->way.gateway4.addr = ip("10.0.1.1");
    r->both->way.gateway6.addr = ip("fe80::1");
    r->four->way.gateway4.addr = ip("10.0.2.1");
    r->gateways.fd = -1;
    return capture_begin(NULL);
}

static int room_close(void **state)
{
    struct room *r = *state;

    kernel.n_dropped = 0;
    gateways_close(&r->gateways, &r->uplinks);
    gateways_close(&r->gateways, &r->uplinks); /* harmless */
    assert_int_equal(r->gateways.fd, -1);
    uplink_set_done(&r->uplinks);
    free(r);
    return capture_end(NULL);
}

static void must_open(struct room *r)
{
    assert_int_equal(gateways_open(&r->gateways, &r->uplinks), 0);
}

static void refresh(struct room *r)
{
    kernel.n_set = 0;
    gateways_refresh(&r->gateways, &r->uplinks, &r->made.m);
}

static void assert_logged(const char *part)
{
    const char *log = captured();

    if (part ? !strstr(log, part) : *log != '\0')
        fail_msg("the log is \"%s\", without \"%s\"", log, part ? part : "");
}

static void assert_rule(const struct gateway_rule *r, const char *gateway, int link, uint32_t mark,
                        uint32_t number)
{
    assert_ip(&r->gateway, gateway);
    assert_int_equal(r->link, link);
    assert_int_equal(r->mark, mark);
    assert_int_equal(r->mask, ~egress_own_mark());
    assert_int_equal(r->table, FIRST_MARK + number);
    assert_int_equal(r->priority, FIRST_PRIORITY + number);
}

/* --- shares --------------------------------------------------------------------------------------------- */

static void each_program_takes_the_first_free_share(void **state)
{
    static const struct {
        int taken; /* so many shares, the first ones */
        int result;
        uint32_t mark; /* of the second uplink */
    } cases[] = {
        {0, 0, FIRST_MARK + 1},
        {1, 0, FIRST_MARK + SHARE_SIZE + 1},
        {SHARES - 1, 0, FIRST_MARK + (SHARES - 1) * SHARE_SIZE + 1},
        {SHARES, -EADDRINUSE, 0},
    };
    struct room *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        r->both->way.mark = r->four->way.mark = 0;
        for (int share = 0; share < SHARES; share++)
            kernel.taken[share] = share < cases[i].taken;
        assert_int_equal(gateways_open(&r->gateways, &r->uplinks), cases[i].result);
        assert_int_equal(r->both->way.mark, cases[i].mark);
        assert_int_equal(r->four->way.mark, cases[i].mark ? cases[i].mark + 1 : 0);
        assert_int_equal(r->plain->way.mark, 0);
        int fd = r->gateways.fd;
        assert_int_equal(fd < 0, cases[i].result < 0);
        gateways_close(&r->gateways, &r->uplinks);
        assert_true(fd < 0 || fcntl(fd, F_GETFD) == -1); /* released */
        kernel.n_dropped = 0;
    }
}

static void without_a_router_of_its_own_no_share_is_taken(void **state)
{
    struct room *r = *state;

    r->both->way.gateway4.addr = r->both->way.gateway6.addr = r->four->way.gateway4.addr =
        (struct addr){.sa = {.sa_family = AF_UNSPEC}};
    memset(kernel.taken, true, sizeof kernel.taken);
    must_open(r);
    assert_int_equal(r->gateways.fd, -1);
    assert_int_equal(r->both->way.mark, 0);
    refresh(r);
    assert_int_equal(kernel.n_set, 0);
}

static void a_router_of_one_family_is_enough(void **state)
{
    struct room *r = *state;

    r->both->way.gateway4.addr = r->four->way.gateway4.addr = (struct addr){.sa = {.sa_family = AF_UNSPEC}};
    must_open(r);
    assert_true(r->gateways.fd >= 0);
    assert_int_equal(r->both->way.mark, FIRST_MARK + 1);
    refresh(r);
    assert_int_equal(kernel.n_set, 1);
    assert_rule(&kernel.set[0], "fe80::1", r->lte->index, FIRST_MARK + 1, 1);
}

/* Each socket has that bit beside its uplink's mark. */
static void the_bit_of_own_packets_is_not_compared(void **state)
{
    struct room *r = *state;

    egress_mark_own(0x80000000);
    assert_int_equal(gateways_open(&r->gateways, &r->uplinks), 0);
    refresh(r);
    assert_true(kernel.n_set > 0);
    for (size_t i = 0; i < kernel.n_set; i++) {
        assert_int_equal(kernel.set[i].mark & 0x80000000, 0);
        assert_int_equal(kernel.set[i].mask, 0x7fffffff);
    }
    egress_mark_own(0);
}

static void a_configured_mark_stays(void **state)
{
    struct room *r = *state;

    r->four->way.mark = 77;
    must_open(r);
    assert_int_equal(r->four->way.mark, 77);
    refresh(r);
    assert_int_equal(kernel.n_set, 3);
    assert_rule(&kernel.set[2], "10.0.2.1", r->dsl->index, 77, 2); /* the table is its own */
}

/* --- what killed programs left -------------------------------------------------------------------------- */

static void rules_of_killed_programs_are_removed(void **state)
{
    struct room *r = *state;

    kernel.taken[1] = true; /* that one runs */
    kernel.left[0].table = FIRST_MARK;
    kernel.left[1].table = FIRST_MARK + SHARE_SIZE;
    kernel.left[2].table = FIRST_MARK + 2 * SHARE_SIZE - 1; /* the last one of the same share */
    kernel.left[3].table = FIRST_MARK + 2 * SHARE_SIZE;
    kernel.n_left = 4;
    must_open(r);
    assert_int_equal(kernel.n_removed, 2);
    assert_int_equal(kernel.removed[0].table, FIRST_MARK);
    assert_int_equal(kernel.removed[1].table, FIRST_MARK + 2 * SHARE_SIZE);
    assert_logged("removed=2");
}

static void a_removal_that_fails_is_told_and_is_the_last(void **state)
{
    struct room *r = *state;

    kernel.left[0].table = kernel.left[1].table = FIRST_MARK;
    kernel.n_left = 2;
    kernel.remove_error = -EPERM;
    must_open(r);
    assert_int_equal(kernel.n_removed, 1);
    assert_logged("removed=0 error=");
}

static void nothing_left_is_not_told(void **state)
{
    must_open(*state);
    assert_logged(NULL);
}

/* --- rules ---------------------------------------------------------------------------------------------- */

static void each_router_has_its_rule_while_its_link_is_up(void **state)
{
    struct room *r = *state;

    kernel.taken[0] = true;
    must_open(r);
    refresh(r);
    assert_int_equal(kernel.n_set, 3);
    assert_rule(&kernel.set[0], "10.0.1.1", r->lte->index, FIRST_MARK + 129, 129);
    assert_rule(&kernel.set[1], "fe80::1", r->lte->index, FIRST_MARK + 129, 129);
    assert_rule(&kernel.set[2], "10.0.2.1", r->dsl->index, FIRST_MARK + 130, 130);
    assert_true(r->both->way.gateway4.ready && r->both->way.gateway6.ready && r->four->way.gateway4.ready);
    assert_false(r->four->way.gateway6.ready || r->plain->way.gateway4.ready);
    r->lte->up = false;
    r->dsl->carrier = false;
    refresh(r);
    assert_int_equal(kernel.n_set, 0);
    assert_false(r->both->way.gateway4.ready || r->both->way.gateway6.ready || r->four->way.gateway4.ready);
    assert_logged(NULL);
    r->made.m.n_links = 1; /* both are gone */
    refresh(r);
    assert_false(r->both->way.gateway4.ready);
    gateways_close(&r->gateways, &r->uplinks);
    assert_int_equal(kernel.n_dropped, 3);
    assert_rule(&kernel.dropped[0], "10.0.1.1", 0, FIRST_MARK + 129, 129);
    assert_rule(&kernel.dropped[1], "fe80::1", 0, FIRST_MARK + 129, 129);
    assert_rule(&kernel.dropped[2], "10.0.2.1", 0, FIRST_MARK + 130, 130);
}

static void a_rule_that_cannot_be_set_is_told_once(void **state)
{
    static const struct {
        int error;
        const char *told;
    } cases[] = {
        {-EPERM, "CAP_NET_ADMIN"}, {-ENETUNREACH, "not in a network of that interface"}, {-ENOMEM, "error="}};
    struct room *r = *state;

    r->lte->up = false; /* only dsl */
    must_open(r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        kernel.set_error = cases[i].error;
        refresh(r);
        assert_logged(cases[i].told);
        assert_true(r->four->way.gateway4.failed && !r->four->way.gateway4.ready);
        refresh(r);
        assert_logged(NULL);
        r->dsl->up = false; /* another try follows, which is told again */
        refresh(r);
        assert_false(r->four->way.gateway4.failed);
        r->dsl->up = true;
    }
    kernel.set_error = 0;
    refresh(r);
    assert_true(r->four->way.gateway4.ready && !r->four->way.gateway4.failed);
}

static void supposed_ones_are_ready_and_set_nothing(void **state)
{
    struct room *r = *state;

    gateways_suppose(&r->uplinks);
    assert_int_equal(r->both->way.gateway4.ready, egress_may_mark());
    assert_int_equal(r->both->way.gateway6.ready, egress_may_mark());
    assert_int_equal(kernel.n_set, 0);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(each_program_takes_the_first_free_share),
        IN_ROOM(without_a_router_of_its_own_no_share_is_taken),
        IN_ROOM(a_router_of_one_family_is_enough),
        IN_ROOM(the_bit_of_own_packets_is_not_compared),
        IN_ROOM(a_configured_mark_stays),
        IN_ROOM(rules_of_killed_programs_are_removed),
        IN_ROOM(a_removal_that_fails_is_told_and_is_the_last),
        IN_ROOM(nothing_left_is_not_told),
        IN_ROOM(each_router_has_its_rule_while_its_link_is_up),
        IN_ROOM(a_rule_that_cannot_be_set_is_told_once),
        IN_ROOM(supposed_ones_are_ready_and_set_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
