/* A table that fits the terminal: where it is narrow, columns are shortened or left out. */
#ifndef STEERWAY_SHOW_TABLE_H
#define STEERWAY_SHOW_TABLE_H

#include "base/compiler.h"

#include <stdbool.h>
#include <stddef.h>

enum { TABLE_COLUMNS_MAX = 16 };

struct table_column {
    const char *title;
    bool right;   /* numbers */
    int least;    /* it may be shortened to so many characters; 0: never */
    bool tail;    /* shortened, it keeps its end */
    int leave;    /* order of leaving out in a narrow terminal, the highest first; 0: never */
    bool spare;   /* it goes before any other column is shortened */
    bool skipped; /* left out in any case */
};

/** Zero-initialised, with columns set, is an empty table. */
struct table {
    const struct table_column *columns;
    size_t n_columns;
    char **cells; /* row after row */
    size_t n_cells, room;
};

/** Add the next cell: row after row, from left to right, also of columns that are skipped. Control characters
 * become '?'. Without memory it is empty. */
void table_add(struct table *t, const char *text);
void table_addf(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/** Print it, and free its cells. @param width  characters of a line */
void table_print(struct table *t, int width);

/** Characters of a line of standard output: the terminal's; 80 if it is none. */
int table_width(void);

#endif
