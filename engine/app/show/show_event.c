#include "show/show.h"

#include "base/host_port.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* "08:15:00", in this machine's time zone, of "2026-03-01T08:15:00.250Z". */
static void print_time(const char *stamp)
{
    struct tm utc = {.tm_isdst = 0}, here;
    char text[16] = "";

    if (strptime(stamp, "%Y-%m-%dT%H:%M:%S", &utc)) {
        time_t then = timegm(&utc);
        if (localtime_r(&then, &here))
            (void)strftime(text, sizeof text, "%H:%M:%S", &here);
    }
    (void)printf("%s ", text);
}

static void print_place(const json_t *e)
{
    char place[512];

    (void)show_print(host_port_format(place, sizeof place, slice_str(show_text_of(e, "host")),
                                      (uint16_t)show_number_of(e, "port")));
}

static void print_pick(const json_t *e, const char *mark)
{
    (void)printf("%s ", mark);
    print_place(e);
    (void)printf(" by ");
    (void)show_print(show_text_of(e, "uplink"));
    (void)printf(": ");
    (void)show_print(show_text_of(e, "reason"));
    if (show_number_of(e, "attempt") > 1)
        (void)printf(" (attempt %.0f)", show_number_of(e, "attempt"));
}

static void print_end(const json_t *e)
{
    char sent[SHOW_TEXT_MAX], received[SHOW_TEXT_MAX];

    (void)printf("= ");
    print_place(e);
    (void)printf(" by ");
    (void)show_print(show_text_of(e, "uplink"));
    (void)printf(": %s", show_text_of(e, "outcome"));
    (void)printf(", %s up, %s down, %.1f s", show_bytes(show_number_of(e, "tx"), sent),
                 show_bytes(show_number_of(e, "rx"), received), show_number_of(e, "duration"));
}

static void print_other(const json_t *e)
{
    (void)printf("! %s", show_text_of(e, "message"));
    for (const char *const *key = (const char *const[]){"client", "host", "uplink", "fault", "reason", NULL};
         *key; key++) {
        if (!*show_text_of(e, *key))
            continue;
        (void)printf(" %s=", *key);
        (void)show_print(show_text_of(e, *key));
    }
    if (show_number_of(e, "hidden") > 0)
        (void)printf(" hidden=%.0f", show_number_of(e, "hidden"));
}

void show_event(const json_t *e)
{
    const char *id = show_text_of(e, "event");

    print_time(show_text_of(e, "time"));
    if (strcmp(id, "picked") == 0)
        print_pick(e, ">");
    else if (strcmp(id, "raced") == 0)
        print_pick(e, "+");
    else if (strcmp(id, "connection") == 0)
        print_end(e);
    else
        print_other(e);
    (void)putchar('\n');
}
