#include "show/show.h"

#include <stdio.h>
#include <string.h>

enum { SHOW_MAX = 1024 };

void show_harmless(char *text)
{
    for (char *p = text; *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    }
}

int show_print(const char *text)
{
    char line[SHOW_MAX];

    (void)snprintf(line, sizeof line, "%s", text);
    show_harmless(line);
    return printf("%s", line);
}

const char *show_text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

double show_number_of(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

const char *show_bytes(double n, char out[SHOW_TEXT_MAX])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    size_t i = 0;

    while (n >= 999.5 && i + 1 < ARRAY_LEN(units)) {
        n /= 1000;
        i++;
    }
    (void)snprintf(out, SHOW_TEXT_MAX, i > 0 && n < 9.95 ? "%.1f %s" : "%.0f %s", n, units[i]);
    return out;
}

const char *show_duration(double s, char out[SHOW_TEXT_MAX])
{
    long n = (long)s;

    if (n < 60)
        (void)snprintf(out, SHOW_TEXT_MAX, "%ld s", n);
    else if (n < 3600)
        (void)snprintf(out, SHOW_TEXT_MAX, "%ld min %ld s", n / 60, n % 60);
    else if (n < 86400)
        (void)snprintf(out, SHOW_TEXT_MAX, "%ld h %ld min", n / 3600, n / 60 % 60);
    else
        (void)snprintf(out, SHOW_TEXT_MAX, "%ld d %ld h", n / 86400, n / 3600 % 24);
    return out;
}

const char *show_capacity(const json_t *u, char text[SHOW_TEXT_MAX])
{
    double down = show_number_of(u, "rx_capacity") * 8 / 1e6, up = show_number_of(u, "tx_capacity") * 8 / 1e6;

    (void)snprintf(text, SHOW_TEXT_MAX, down > 0 ? "%.3g/" : "-/", down);
    size_t len = strlen(text);
    (void)snprintf(text + len, SHOW_TEXT_MAX - len, up > 0 ? "%.3g" : "-", up);
    return text;
}
