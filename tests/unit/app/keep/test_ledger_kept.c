/* What a run leaves to the next one in the file, when that is written, and when a period ends. */
#include "keep/ledger.h"

#include "base/log_capture.h"
#include "uplink/added.h"

#include <errno.h>
#include <sys/stat.h>

/* --- a room with two uplinks ---------------------------------------------------------------------------- */

enum { TEXT_MAX = 2048 };

struct room {
    struct ledger ledger, second; /* of another program */
    struct uplink_set uplinks;
    struct uplink *fibre, *lte;
    struct ev_loop *loop;
    size_t told; /* calls of the policy */
    const struct uplink *told_of;
    char folder[40], path[64];
};

static struct room *room;
static const struct machine no_links;

/* The linker gives this one the calls of the file under test (tests/unit/CMakeLists.txt). */
void __wrap_policy_uplink_changed(struct policy *p, struct uplink *u, const char *what);

void __wrap_policy_uplink_changed(struct policy *p, struct uplink *u, const char *what)
{
    assert_ptr_equal(p, room); /* as given to ledger_open */
    assert_string_equal(what, "quota");
    room->told++;
    room->told_of = u;
}

/* No quota here is hard. */
static size_t on_cut(void *owner, struct uplink *u)
{
    (void)owner;
    fail_msg("the connections of %s are cut", u->name);
    return 0;
}

static int open_it(struct room *r, struct ledger *l, const char *path)
{
    const struct ledger_ties ties = {
        .uplinks = &r->uplinks, .policy = (struct policy *)r, .cut = on_cut, .owner = r};
    return ledger_open(l, r->loop, path, &ties);
}

static void must_open(struct room *r)
{
    assert_int_equal(open_it(r, &r->ledger, r->path), 0);
}

/* As a new run has them. */
static void add_uplinks(struct room *r)
{
    uplink_set_done(&r->uplinks);
    r->uplinks = (struct uplink_set){.n = 0};
    r->fibre = add(&r->uplinks, "fibre", &no_links);
    r->lte = add(&r->uplinks, "lte", &no_links);
}

static void set_quota(struct uplink *u, double bytes)
{
    quota_init(&u->quota, &(struct quota_plan){.bytes = bytes}, time(NULL));
    uplink_settle(u);
}

static void use(struct uplink *u, double bytes)
{
    u->quota.used = bytes;
    uplink_settle(u);
}

static int room_open(void **state)
{
    struct room *r = calloc(1, sizeof *r);

    assert_non_null(r);
    *state = room = r;
    (void)snprintf(r->folder, sizeof r->folder, "/tmp/steerway-ledger-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    (void)snprintf(r->path, sizeof r->path, "%s/state.json", r->folder);
    r->loop = ev_loop_new(EVFLAG_AUTO);
    assert_non_null(r->loop);
    add_uplinks(r);
    return capture_begin(NULL);
}

static int room_close(void **state)
{
    static const char *const files[] = {"state.json", "state.json.bad", "state.json.lock", "state.json.new"};
    struct room *r = *state;
    char path[80];

    ledger_close(&r->ledger);
    ledger_close(&r->ledger); /* harmless */
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        (void)snprintf(path, sizeof path, "%s/%s", r->folder, files[i]);
        (void)remove(path);
    }
    assert_int_equal(rmdir(r->folder), 0);
    uplink_set_done(&r->uplinks);
    assert_false(ev_run(r->loop, EVRUN_NOWAIT)); /* no watcher is active */
    ev_loop_destroy(r->loop);
    free(r);
    return capture_end(NULL);
}

static void write_file(const struct room *r, const char *text)
{
    FILE *f = fopen(r->path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static json_t *read_file(const struct room *r)
{
    json_error_t error;
    json_t *o = json_load_file(r->path, 0, &error);
    if (!o)
        fail_msg("%s: %s", r->path, error.text);
    return o;
}

/* A number or text in the file, by its path from the root; "null" where it is absent. */
static void assert_kept(const struct room *r, const char *uplink, const char *key, const char *below,
                        const char *expected)
{
    json_t *whole = read_file(r);
    const json_t *value = json_object_get(json_object_get(json_object_get(whole, "uplinks"), uplink), key);
    char *text = json_dumps(below ? json_object_get(value, below) : value, JSON_ENCODE_ANY);

    if (strcmp(text ? text : "null", expected) != 0)
        fail_msg("%s of %s is %s, not %s", key, uplink, text ? text : "null", expected);
    free(text);
    json_decref(whole);
}

static void assert_logged(const char *what, const char *part)
{
    const char *log = captured();

    if (part ? !strstr(log, part) : *log != '\0')
        fail_msg("%s: the log is \"%s\", without \"%s\"", what, log, part ? part : "");
}

/* --- from run to run ------------------------------------------------------------------------------------ */

static void the_next_run_goes_on_where_this_one_ended(void **state)
{
    struct room *r = *state;

    must_open(r);
    set_quota(r->fibre, 1000);
    use(r->fibre, 200);
    r->fibre->view.rx_bytes = 50; /* since the last tick */
    r->fibre->meters.rx.capacity = 1.5;
    r->fibre->meters.tx.capacity = 2.5;
    r->lte->meters.rx.capacity = 3.5;
    ledger_close(&r->ledger);
    assert_kept(r, "fibre", "quota", "used", "250.0");
    assert_kept(r, "lte", "quota", NULL, "null");

    add_uplinks(r);
    set_quota(r->fibre, 1000);
    must_open(r);
    assert_number(r->fibre->quota.used, 250);
    assert_number(r->fibre->view.quota_left, 750);
    assert_number(r->fibre->meters.rx.capacity, 1.5);
    assert_number(r->fibre->view.rx_capacity, 1.5);
    assert_number(r->fibre->meters.tx.capacity, 2.5);
    assert_number(r->fibre->view.tx_capacity, 2.5);
    assert_number(r->lte->view.rx_capacity, 3.5);
    assert_number(r->lte->view.tx_capacity, 0);
    assert_logged("both runs", NULL);
}

static void what_this_run_does_not_have_stays_in_the_file(void **state)
{
    struct room *r = *state;

    write_file(r, "{\"steerway_state\": 1, \"uplinks\": {"
                  "\"gone\": {\"rx_capacity\": 1.5, \"more\": [7]},"
                  "\"fibre\": {\"rx_capacity\": 2.5, \"quota\": {\"began\": 5, \"used\": 6.5}}}}");
    must_open(r); /* without a quota */
    r->fibre->meters.rx.capacity = 9.5;
    ledger_close(&r->ledger);
    assert_kept(r, "gone", "rx_capacity", NULL, "1.5");
    assert_kept(r, "gone", "more", NULL, "[7]");
    assert_kept(r, "fibre", "rx_capacity", NULL, "9.5");
    assert_kept(r, "fibre", "quota", "began", "5");
    assert_kept(r, "fibre", "quota", "used", "6.5");
}

static void one_that_comes_later_is_restored_too(void **state)
{
    struct room *r = *state;

    write_file(r, "{\"steerway_state\": 1, \"uplinks\": {\"usb\": {\"rx_capacity\": 1.5}}}");
    must_open(r);
    struct uplink *usb = add(&r->uplinks, "usb", &no_links);
    ledger_add(&r->ledger, usb);
    assert_number(usb->view.rx_capacity, 1.5);
    ledger_add(&r->ledger, r->lte); /* not in the file */
    assert_number(r->lte->view.rx_capacity, 0);
}

/* --- what a file says ----------------------------------------------------------------------------------- */

static const long DAY_S = 86400;

static void each_entry_is_read_with_care(void **state)
{
    static const struct {
        const char *what, *entry; /* %lld: the start of the present period, and the days */
        long days;
        double used, rx;
        bool warned;
    } cases[] = {
        {"of this period", "{\"quota\": {\"began\": %lld, \"used\": 250}}", 0, 250, 0, false},
        {"a real number", "{\"quota\": {\"began\": %lld, \"used\": 250.5}}", 0, 250.5, 0, false},
        {"of an earlier period", "{\"quota\": {\"began\": %lld, \"used\": 250}}", -40, 0, 0, false},
        {"of the next period", "{\"quota\": {\"began\": %lld, \"used\": 250}}", 35, 250, 0, false},
        {"from the far future", "{\"quota\": {\"began\": %lld, \"used\": 250}}", 36500, 250, 0, true},
        {"used less than nothing", "{\"quota\": {\"began\": %lld, \"used\": -1}}", 0, 0, 0, false},
        {"used is a text", "{\"quota\": {\"began\": %lld, \"used\": \"1\"}}", 0, 0, 0, false},
        {"used is absent", "{\"quota\": {\"began\": %lld}}", 0, 0, 0, false},
        {"began is a text", "{\"quota\": {\"began\": \"%lld\", \"used\": 250}}", 0, 0, 0, false},
        {"began is a real number", "{\"quota\": {\"began\": %lld.5, \"used\": 250}}", 0, 0, 0, false},
        {"began is absent", "{\"quota\": {\"used\": 250}}", 0, 0, 0, false},
        {"the quota is a number", "{\"quota\": 250, \"rx_capacity\": 1.5}", 0, 0, 1.5, false},
        {"a capacity", "{\"rx_capacity\": 2}", 0, 0, 2, false},
        {"a capacity below 0", "{\"rx_capacity\": -2}", 0, 0, 0, false},
        {"a capacity as text", "{\"rx_capacity\": \"2\"}", 0, 0, 0, false},
        {"an empty entry", "{}", 0, 0, 0, false},
        {"an entry of another type", "7", 0, 0, 0, false},
    };
    struct room *r = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char entry[256], text[TEXT_MAX];
        add_uplinks(r);
        set_quota(r->fibre, 1000);
        const time_t began = r->fibre->quota.began;
        const char *number = strstr(cases[i].entry, "%lld");
        int before = number ? (int)(number - cases[i].entry) : (int)strlen(cases[i].entry);
        (void)snprintf(entry, sizeof entry, "%.*s", before, cases[i].entry);
        if (number)
            (void)snprintf(entry + before, sizeof entry - (size_t)before, "%lld%s",
                           (long long)(began + cases[i].days * DAY_S), number + 4);
        (void)snprintf(text, sizeof text, "{\"steerway_state\": 1, \"uplinks\": {\"fibre\": %s}}", entry);
        write_file(r, text);
        must_open(r);
        if (r->fibre->quota.used != cases[i].used || r->fibre->view.rx_capacity != cases[i].rx ||
            r->fibre->view.quota_left != 1000 - cases[i].used)
            fail_msg("%s: used %g, left %g, capacity %g", cases[i].what, r->fibre->quota.used,
                     r->fibre->view.quota_left, r->fibre->view.rx_capacity);
        bool moved = r->fibre->quota.began != began;
        assert_int_equal(moved, cases[i].days == 35); /* a count of the next period is in it */
        assert_logged(cases[i].what, cases[i].warned ? "uplink=fibre" : NULL);
        ledger_close(&r->ledger);
    }
}

static void a_file_that_is_not_understood_is_set_aside(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "7",
        "[]",
        "{}",
        "{\"steerway_state\": 1}",
        "{\"steerway_state\": 1, \"uplinks\": []}",
        "{\"uplinks\": {\"lte\": {\"rx_capacity\": 7}}}",
        "{\"steerway_state\": 2, \"uplinks\": {\"lte\": {\"rx_capacity\": 7}}}",
        "{\"steerway_state\": \"1\", \"uplinks\": {\"lte\": {\"rx_capacity\": 7}}}",
        "{\"steerway_state\": 1, \"uplinks\": {\"lte\": {\"rx_capacity\": 7}}} 8",
        "{\"steerway_state\": 1, \"uplinks\": {\"lte\": {\"rx_capacity\": 1e999}}}",
    };
    struct room *r = *state;
    char bad[80], text[TEXT_MAX];

    (void)snprintf(bad, sizeof bad, "%s.bad", r->path);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(r, texts[i]);
        must_open(r);
        assert_logged(texts[i], "kept state not understood");
        assert_number(r->lte->view.rx_capacity, 0);
        FILE *f = fopen(bad, "r");
        if (!f)
            fail_msg("not set aside: %s", texts[i]);
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, texts[i]);
        assert_int_equal(unlink(bad), 0);
        ledger_close(&r->ledger);
        json_decref(read_file(r)); /* a good one again */
    }
}

/* --- saving --------------------------------------------------------------------------------------------- */

static void await_writer(struct room *r)
{
    while (r->ledger.file.writing)
        (void)ev_run(r->loop, EVRUN_ONCE);
}

static double save_in_s(struct room *r)
{
    return ev_is_active(&r->ledger.save) ? ev_timer_remaining(r->loop, &r->ledger.save) : -1;
}

static void a_count_is_saved_within_seconds_and_a_capacity_within_minutes(void **state)
{
    struct room *r = *state;

    must_open(r);
    assert_true(save_in_s(r) > 60);
    ledger_close(&r->ledger);
    set_quota(r->lte, 1000);
    must_open(r);
    assert_true(save_in_s(r) >= 0 && save_in_s(r) < 60);
    use(r->lte, 250);
    ledger_look(&r->ledger); /* the timer runs already */
    ev_invoke(r->loop, &r->ledger.save, EV_TIMER);
    await_writer(r);
    assert_kept(r, "lte", "quota", "used", "250.0");
}

static void a_save_that_fails_is_told(void **state)
{
    struct room *r = *state;
    char in_its_way[80];

    must_open(r);
    (void)snprintf(in_its_way, sizeof in_its_way, "%s.new", r->path);
    assert_int_equal(mkdir(in_its_way, 0700), 0);
    ev_invoke(r->loop, &r->ledger.save, EV_TIMER);
    await_writer(r);
    assert_logged("a folder in its way", "state cannot be written");
    assert_int_equal(rmdir(in_its_way), 0);
}

static void assert_only_periods(struct room *r, struct ledger *l)
{
    assert_false(ev_is_active(&l->save));
    assert_true(ev_is_active(&l->renewal));
    ledger_close(l);
    assert_int_equal(access(r->path, F_OK), -1);
}

static void without_a_file_only_periods_are_kept(void **state)
{
    struct room *r = *state;

    set_quota(r->fibre, 1000);
    assert_int_equal(open_it(r, &r->ledger, NULL), 0);
    assert_only_periods(r, &r->ledger);
    must_open(r);
    assert_int_equal(open_it(r, &r->second, r->path), -EADDRINUSE);
    assert_only_periods(r, &r->second);
}

/* --- periods -------------------------------------------------------------------------------------------- */

static void a_new_period_begins_when_the_old_one_ends(void **state)
{
    struct room *r = *state;

    set_quota(r->fibre, 1000);
    set_quota(r->lte, 1000);
    use(r->fibre, 1000);
    use(r->lte, 1000);
    must_open(r);
    assert_int_equal(r->told, 2);
    (void)captured();
    r->fibre->quota.ends = time(NULL) - 1;
    ev_invoke(r->loop, &r->ledger.renewal, EV_PERIODIC);
    assert_number(r->fibre->quota.used, 0);
    assert_number(r->fibre->view.quota_left, 1000);
    assert_true(r->fibre->quota.ends > time(NULL));
    assert_logged("over", "quota has room again");
    assert_int_equal(r->told, 3);
    assert_ptr_equal(r->told_of, r->fibre);
    assert_number(r->lte->quota.used, 1000); /* its period goes on */
    assert_number(r->lte->view.quota_left, 0);
}

static void the_loop_wakes_at_the_earliest_end(void **state)
{
    static const struct {
        const char *what;
        double now, wakes; /* the quotas end at 1000 and 500 */
    } cases[] = {{"the earliest", 100, 500},
                 {"it is over", 500, 501},
                 {"long ago", 700, 701},
                 {"not before a day has passed", -90000, -90000 + 86400}};
    struct room *r = *state;

    must_open(r);
    assert_false(ev_is_active(&r->ledger.renewal)); /* no quotas */
    ledger_close(&r->ledger);
    set_quota(r->fibre, 1000);
    set_quota(r->lte, 1000);
    must_open(r);
    assert_true(ev_is_active(&r->ledger.renewal));
    ev_periodic *renewal = &r->ledger.renewal;
    r->fibre->quota.ends = 1000;
    r->lte->quota.ends = 500;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (renewal->reschedule_cb(renewal, cases[i].now) != cases[i].wakes)
            fail_msg("%s: wakes at %g", cases[i].what, renewal->reschedule_cb(renewal, cases[i].now));
    r->lte->quota = (struct quota){.used = 0}; /* its end does not count */
    assert_number(renewal->reschedule_cb(renewal, 100), 1000);
}

#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, room_open, room_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_ROOM(the_next_run_goes_on_where_this_one_ended),
        IN_ROOM(what_this_run_does_not_have_stays_in_the_file),
        IN_ROOM(one_that_comes_later_is_restored_too),
        IN_ROOM(each_entry_is_read_with_care),
        IN_ROOM(a_file_that_is_not_understood_is_set_aside),
        IN_ROOM(a_count_is_saved_within_seconds_and_a_capacity_within_minutes),
        IN_ROOM(a_save_that_fails_is_told),
        IN_ROOM(without_a_file_only_periods_are_kept),
        IN_ROOM(a_new_period_begins_when_the_old_one_ends),
        IN_ROOM(the_loop_wakes_at_the_earliest_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
