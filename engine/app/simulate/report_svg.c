/* Throughput over time as SVG: a row for each run, a line for each uplink, for light and dark backgrounds. */
#include "simulate/report.h"

#include <errno.h>
#include <math.h>

enum { WIDTH = 860, ROW = 220, LEFT = 70, RIGHT = 20, TOP = 46, BOTTOM = 40, POINTS = 240 };
/* Okabe and Ito's colours, which colour-blind people can tell apart. */
static const char *const colours[] = {"#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"};

/* Names may contain characters that XML reserves. */
static void put_text(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
            (void)fprintf(f, "&#%d;", *text);
        else if ((unsigned char)*text >= 0x20)
            (void)fputc(*text, f);
    }
}

/* A step of 1, 2 or 5 times a power of ten, so that about six steps make the whole. */
static double step_of(double whole)
{
    double power = pow(10, floor(log10(whole / 6 > 0 ? whole / 6 : 1)));
    double n = whole / 6 / power;
    return power * (n < 1.5 ? 1 : n < 3.5 ? 2 : n < 7.5 ? 5 : 10);
}

static void put_axes(FILE *f, double top, double until, double high)
{
    double bottom = top + ROW - TOP - BOTTOM, right = WIDTH - RIGHT;

    for (double v = 0, step = step_of(high); v <= high * 1.0001; v += step) {
        double y = bottom - v / high * (bottom - top);
        (void)fprintf(f,
                      "<path class=\"grid\" d=\"M%d %.1fH%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                      "text-anchor=\"end\">%.4g</text>\n",
                      LEFT, y, right, LEFT - 8, y + 4, v);
    }
    for (double v = 0, step = step_of(until); v <= until * 1.0001; v += step) {
        double x = LEFT + v / until * (right - LEFT);
        (void)fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.4g%s</text>\n", x, bottom + 18,
                      v, v + step > until * 1.0001 ? " s" : "");
    }
    (void)fprintf(
        f,
        "<text x=\"14\" y=\"%.1f\" transform=\"rotate(-90 14 %.1f)\" text-anchor=\"middle\">Mbit/s</text>\n",
        (top + bottom) / 2, (top + bottom) / 2);
}

static void put_run(FILE *f, const struct report *p, const struct report_run *run, double at, double until,
                    double high)
{
    double top = at + TOP, bottom = at + ROW - BOTTOM, right = WIDTH - RIGHT, x = LEFT;

    (void)fprintf(f, "<text class=\"title\" x=\"%d\" y=\"%.1f\">", LEFT, at + 18);
    put_text(f, run->name);
    (void)fprintf(f, "</text>\n");
    put_axes(f, top, until, high);
    for (size_t i = 0; i < p->lines->n; i++) {
        const struct link *l = report_main_link(&run->result.uplinks[i]);
        const char *colour = colours[i % ARRAY_LEN(colours)];
        (void)fprintf(f, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.8\" d=\"", colour);
        for (int k = 0; k < POINTS; k++) {
            double from = until * k / POINTS, to = until * (k + 1) / POINTS;
            double rate = link_carried(l, from, to) / (to - from) * 8 / 1e6;
            (void)fprintf(f, "%s%.1f %.1f", k ? "L" : "M", LEFT + (k + 0.5) / POINTS * (right - LEFT),
                          bottom - rate / high * (bottom - top));
        }
        (void)fprintf(f,
                      "\"/>\n<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"4\" fill=\"%s\"/><text "
                      "x=\"%.1f\" y=\"%.1f\">",
                      x, at + 31, colour, x + 20, at + 37);
        put_text(f, p->lines->items[i].name);
        (void)fprintf(f, "</text>\n");
        x += 130;
    }
}

int report_svg(const char *path, const struct report *p)
{
    FILE *f = fopen(path, "we");
    double until = 0, high = 0;

    if (!f)
        return -errno;
    for (size_t i = 0; i < p->n_runs; i++)
        until = fmax(until, p->runs[i].result.until_s);
    for (size_t i = 0; i < p->lines->n; i++)
        high = fmax(high, fmax(p->lines->items[i].down, p->lines->items[i].up) * 8 / 1e6);
    if (!(until > 0))
        until = 1;
    (void)fprintf(f,
                  "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" "
                  "font-family=\"sans-serif\" font-size=\"12\">\n"
                  "<style>svg{background:#fff}text{fill:#333}.title{font-size:14px;font-weight:bold}"
                  ".grid{stroke:#ddd;fill:none}@media(prefers-color-scheme:dark){svg{background:#1b1b1d}"
                  "text{fill:#ccc}.grid{stroke:#3a3a3e}}</style>\n"
                  "<title>Throughput of each uplink over time</title>\n",
                  WIDTH, p->n_runs * ROW);
    for (size_t i = 0; i < p->n_runs; i++)
        put_run(f, p, &p->runs[i], (double)i * ROW, until, high);
    (void)fprintf(f, "</svg>\n");
    int r = ferror(f) ? -EIO : 0;
    if (fclose(f) != 0 && r == 0)
        r = -errno;
    return r;
}
