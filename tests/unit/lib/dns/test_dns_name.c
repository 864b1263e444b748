#include "dns/dns_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_only_this_network_knows(void **state)
{
    static const char *const local[] = {"printer",      "nas.lan", "NAS.Local", "x.home.arpa",
                                        "a.b.internal", "lan",     "x.corp",    "nas.lan.",
                                        "x.private",    "x.home",  "printer.",  "localhost"};
    static const char *const others[] = {"example.org", "notlan.example", "x.mylan", "home.arpa.example",
                                         "x.arpa",      "example.org.",   "a.b"};
    (void)state;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (!dns_name_is_local(slice_str(local[i])))
            fail_msg("%s is taken for a public name", local[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (dns_name_is_local(slice_str(others[i])))
            fail_msg("%s is taken for a name of this network", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_only_this_network_knows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
