#include "show/table.h"

#include "show/show.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, WIDTH_DEFAULT = 80, CELL_MAX = 1024 };

/* --- cells ---------------------------------------------------------------------------------------------- */

void table_add(struct table *t, const char *text)
{
    if (t->n_cells == t->room) {
        size_t room = t->room ? 2 * t->room : 256;
        char **more = realloc(t->cells, room * sizeof *more);
        if (!more)
            return;
        t->cells = more;
        t->room = room;
    }
    char *copy = strdup(text);
    if (copy)
        show_harmless(copy);
    t->cells[t->n_cells++] = copy;
}

void table_addf(struct table *t, const char *fmt, ...)
{
    char text[CELL_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    table_add(t, text);
}

static const char *cell(const struct table *t, size_t row, size_t column)
{
    const char *text = t->cells[row * t->n_columns + column];

    return text ? text : "";
}

/* --- widths --------------------------------------------------------------------------------------------- */

static bool begins_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

static int characters(const char *text)
{
    int n = 0;

    for (; *text; text++)
        n += begins_character(*text);
    return n;
}

/* What each column would take. */
static void measure(const struct table *t, size_t rows, int widths[TABLE_COLUMNS_MAX])
{
    for (size_t c = 0; c < t->n_columns; c++) {
        widths[c] = t->columns[c].skipped ? 0 : characters(t->columns[c].title);
        for (size_t r = 0; !t->columns[c].skipped && r < rows; r++) {
            int n = characters(cell(t, r, c));
            widths[c] = n > widths[c] ? n : widths[c];
        }
    }
}

static int total(const struct table *t, const int widths[TABLE_COLUMNS_MAX])
{
    int sum = -GAP;

    for (size_t c = 0; c < t->n_columns; c++)
        sum += widths[c] > 0 ? widths[c] + GAP : 0;
    return sum;
}

/* The column that is shortened next: the widest that may be. @return -1: none */
static int widest(const struct table *t, const int widths[TABLE_COLUMNS_MAX])
{
    int best = -1;

    for (size_t c = 0; c < t->n_columns; c++) {
        int least = t->columns[c].least;
        if (least > 0 && widths[c] > least && (best < 0 || widths[c] > widths[best]))
            best = (int)c;
    }
    return best;
}

static int first_to_leave(const struct table *t, const int widths[TABLE_COLUMNS_MAX], bool spare)
{
    int best = -1;

    for (size_t c = 0; c < t->n_columns; c++)
        if (widths[c] > 0 && (!spare || t->columns[c].spare) && t->columns[c].leave > 0 &&
            (best < 0 || t->columns[c].leave > t->columns[best].leave))
            best = (int)c;
    return best;
}

/* @return whether it fits, with columns shortened as far as is needed */
static bool shorten(const struct table *t, int widths[TABLE_COLUMNS_MAX], int width)
{
    for (int c; total(t, widths) > width && (c = widest(t, widths)) >= 0;)
        widths[c]--;
    return total(t, widths) <= width;
}

/* Spare columns are shortened, or go, before the others lose a character. */
static void spare(const struct table *t, int widths[TABLE_COLUMNS_MAX], int width)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        int excess = total(t, widths) - width, most = widths[c] - t->columns[c].least;
        if (t->columns[c].spare && t->columns[c].least > 0 && most > 0 && excess > 0)
            widths[c] -= excess < most ? excess : most;
    }
    for (int c; total(t, widths) > width && (c = first_to_leave(t, widths, true)) >= 0;)
        widths[c] = 0;
}

/* What was left out may have made more room than was needed. */
static void grow(const struct table *t, int widths[TABLE_COLUMNS_MAX], const int wanted[TABLE_COLUMNS_MAX],
                 int width)
{
    for (size_t c = 0; c < t->n_columns; c++) {
        int room = width - total(t, widths), lacks = wanted[c] - widths[c];
        if (widths[c] > 0 && lacks > 0 && room > 0)
            widths[c] += lacks < room ? lacks : room;
    }
}

static void fit(const struct table *t, int widths[TABLE_COLUMNS_MAX], int width)
{
    int wanted[TABLE_COLUMNS_MAX], full[TABLE_COLUMNS_MAX];

    memcpy(wanted, widths, sizeof wanted);
    spare(t, widths, width);
    memcpy(full, widths, sizeof full);
    for (int c; !shorten(t, widths, width) && (c = first_to_leave(t, full, false)) >= 0;) {
        full[c] = 0; /* the room that it leaves is for the others */
        memcpy(widths, full, sizeof full);
    }
    grow(t, widths, wanted, width);
}

/* --- printing ------------------------------------------------------------------------------------------- */

static void print_start(const char *text, int n)
{
    for (; *text && (n > 0 || !begins_character(*text)); text++) {
        n -= begins_character(*text);
        (void)putchar(*text);
    }
}

static void print_shortened(const char *text, int have, int width, bool tail)
{
    if (have <= width) {
        (void)fputs(text, stdout);
    } else if (tail) {
        for (int skip = have - width + 1; skip > 0 || !begins_character(*text); text++)
            skip -= begins_character(*text);
        (void)printf("…%s", text);
    } else {
        print_start(text, width - 1);
        (void)fputs("…", stdout);
    }
}

/* The last one of a row is not padded. */
static void print_cell(const struct table_column *c, const char *text, int width, bool first, bool last)
{
    int have = characters(text), pad = have < width ? width - have : 0;

    (void)printf("%*s", (first ? 0 : GAP) + (c->right ? pad : 0), "");
    print_shortened(text, have, width, c->tail);
    if (!c->right && !last)
        (void)printf("%*s", pad, "");
}

/* @param row  -1: the titles */
static const char *text_at(const struct table *t, int row, size_t c)
{
    return row < 0 ? t->columns[c].title : cell(t, (size_t)row, c);
}

static void print_row(const struct table *t, const int widths[TABLE_COLUMNS_MAX], int row)
{
    bool first = true;
    size_t last = 0;

    for (size_t c = 0; c < t->n_columns; c++)
        last = widths[c] > 0 && *text_at(t, row, c) ? c : last;
    for (size_t c = 0; c <= last; c++) {
        if (widths[c] == 0)
            continue;
        const char *text = text_at(t, row, c);
        print_cell(&t->columns[c], text, widths[c], first, c == last);
        first = false;
    }
    (void)putchar('\n');
}

void table_print(struct table *t, int width)
{
    size_t rows = t->n_cells / t->n_columns;
    int widths[TABLE_COLUMNS_MAX] = {0};

    measure(t, rows, widths);
    fit(t, widths, width);
    for (int r = -1; r < (int)rows; r++)
        print_row(t, widths, r);
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->n_cells = t->room = 0;
}

int table_width(void)
{
    struct winsize w;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : WIDTH_DEFAULT;
}
