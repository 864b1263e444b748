#include "simulate/report.h"

#include <math.h>
#include <string.h>

enum { PLOT_COLUMNS = 66, PLOT_ROWS = 4, NAME_COLUMNS = 17 };

double report_throughput(const struct model_result *r, size_t n_lines)
{
    double carried = 0;

    for (size_t i = 0; i < n_lines; i++)
        carried += r->uplinks[i].carried_down + r->uplinks[i].carried_up;
    return r->busy_s > 0 ? carried / r->busy_s : 0;
}

double report_quantile(const struct model_result *r, double q)
{
    if (r->n_done == 0)
        return NAN;
    size_t i = (size_t)(q * (double)r->n_done);
    return r->took_s[i < r->n_done ? i : r->n_done - 1];
}

static double capacity(const struct model_lines *lines, bool down)
{
    double sum = 0;

    for (size_t i = 0; i < lines->n; i++)
        sum += down ? lines->items[i].down : lines->items[i].up;
    return sum;
}

static double carried(const struct model_result *r, size_t n, bool down)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += down ? r->uplinks[i].carried_down : r->uplinks[i].carried_up;
    return sum;
}

/* The part of the lines' capacity in that direction that was used while a flow was moving. */
static double use_of_capacity(const struct report *p, const struct model_result *r, bool down)
{
    return r->busy_s > 0 ? carried(r, p->lines->n, down) / (capacity(p->lines, down) * r->busy_s) : 0;
}

static double mbit(double bytes_s)
{
    return bytes_s * 8 / 1e6;
}

/* --- plots ---------------------------------------------------------------------------------------------- */

const struct link *report_main_link(const struct model_uplink_result *u)
{
    return u->carried_down >= u->carried_up ? &u->down : &u->up;
}

static void print_plot(FILE *out, const struct link *l, const char *name, double until, bool utf8)
{
    static const char *const blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const char *const plain[] = {" ", ".", ".", ":", ":", "|", "|", "#", "#"};

    (void)fprintf(out, "\n%s, up to %.4g Mbit/s\n", name, mbit(l->capacity));
    for (int row = PLOT_ROWS - 1; row >= 0; row--) {
        (void)fprintf(out, "  |");
        for (int column = 0; column < PLOT_COLUMNS; column++) {
            double width = until / PLOT_COLUMNS;
            double rate = width > 0 ? link_carried(l, column * width, (column + 1) * width) / width : 0;
            double level = rate / l->capacity * PLOT_ROWS * 8 - row * 8;
            int part = level <= 0 ? 0 : level >= 8 ? 8 : (int)(level + 0.5);
            (void)fputs((utf8 ? blocks : plain)[part], out);
        }
        (void)fputc('\n', out);
    }
    (void)fprintf(out, "  +");
    for (int column = 0; column < PLOT_COLUMNS; column++)
        (void)fputc('-', out);
    (void)fprintf(out, "\n   0%*s%.4g s\n", PLOT_COLUMNS - 8, "", until);
}

/* --- text ----------------------------------------------------------------------------------------------- */

static void print_run(FILE *out, const struct report *p, const struct report_run *run, bool utf8)
{
    const struct model_result *r = &run->result;
    double all = carried(r, p->lines->n, true) + carried(r, p->lines->n, false);
    uint64_t flows = 0;

    for (size_t i = 0; i < p->lines->n; i++)
        flows += r->uplinks[i].flows;
    (void)fprintf(out, "\n%-*s CONNECTIONS         BYTES       DOWN     UP  BROKEN  TIMEOUT\n", NAME_COLUMNS,
                  run->name);
    for (size_t i = 0; i < p->lines->n; i++) {
        const struct model_uplink_result *u = &r->uplinks[i];
        double carried_all = u->carried_down + u->carried_up;
        (void)fprintf(out, "%-*.*s %9llu %3.0f%%  %7.0f MB %3.0f%%  %5.1f%% %5.1f%%  %6llu  %6llu\n",
                      NAME_COLUMNS, NAME_COLUMNS, p->lines->items[i].name, (unsigned long long)u->flows,
                      flows ? 100.0 * (double)u->flows / (double)flows : 0, carried_all / 1e6,
                      all > 0 ? 100 * carried_all / all : 0,
                      r->busy_s > 0 ? 100 * u->carried_down / (u->down.capacity * r->busy_s) : 0,
                      r->busy_s > 0 ? 100 * u->carried_up / (u->up.capacity * r->busy_s) : 0,
                      (unsigned long long)u->broken, (unsigned long long)u->timeouts);
    }
    for (size_t i = 0; i < p->lines->n; i++)
        print_plot(out, report_main_link(&r->uplinks[i]), p->lines->items[i].name, r->until_s, utf8);
}

/* Marks the best of several results. */
static const char *best_mark(const struct report *p, size_t own,
                             double (*value)(const struct report *p, const struct model_result *r))
{
    double mine = value(p, &p->runs[own].result);

    for (size_t i = 0; i < p->n_runs; i++)
        if (value(p, &p->runs[i].result) < mine - 1e-9 * fabs(mine))
            return " ";
    return p->n_runs > 1 && !isnan(mine) ? "*" : " ";
}

static double median_of(const struct report *p, const struct model_result *r)
{
    (void)p;
    return report_quantile(r, 0.5);
}

static double p95_of(const struct report *p, const struct model_result *r)
{
    (void)p;
    return report_quantile(r, 0.95);
}

/* Negative, since best_mark() takes the least value for the best. */
static double throughput_of(const struct report *p, const struct model_result *r)
{
    return -report_throughput(r, p->lines->n);
}

static double lost(const struct model_result *r)
{
    return (double)(r->ends[MODEL_BROKEN] + r->ends[MODEL_FAILED] + r->ends[MODEL_REFUSED]);
}

static double lost_of(const struct report *p, const struct model_result *r)
{
    (void)p;
    return lost(r);
}

/* Seconds, or a dash when no connection was completed. */
static const char *seconds(char text[static 16], double s)
{
    (void)snprintf(text, 16, isnan(s) ? "-" : "%.3f", s);
    return text;
}

/* The file's name without its folder; the end of it when it is too long. */
static const char *short_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *own = slash ? slash + 1 : name;
    size_t len = strlen(own);

    return len > NAME_COLUMNS ? own + len - NAME_COLUMNS : own;
}

static void print_summary(FILE *out, const struct report *p)
{
    (void)fprintf(out, "\n%-*s  MEDIAN s     P95 s    Mbit/s   DOWN     UP     LOST  Mpicks/s\n",
                  NAME_COLUMNS, "POLICY");
    for (size_t i = 0; i < p->n_runs; i++) {
        const struct model_result *r = &p->runs[i].result;
        char median[16], p95[16];
        (void)fprintf(out, "%-*s %9s%s %8s%s %8.1f%s %5.1f%% %5.1f%% %7.0f%s %8.2f\n", NAME_COLUMNS,
                      short_name(p->runs[i].name), seconds(median, report_quantile(r, 0.5)),
                      best_mark(p, i, median_of), seconds(p95, report_quantile(r, 0.95)),
                      best_mark(p, i, p95_of), mbit(report_throughput(r, p->lines->n)),
                      best_mark(p, i, throughput_of), 100 * use_of_capacity(p, r, true),
                      100 * use_of_capacity(p, r, false), lost(r), best_mark(p, i, lost_of),
                      r->wall_s > 0 ? (double)r->picks / r->wall_s / 1e6 : 0);
        if (r->policy_errors > 0)
            (void)fprintf(out, "  %llu calls of the policy failed; the built-in default decided %llu times\n",
                          (unsigned long long)r->policy_errors, (unsigned long long)r->by_default);
    }
}

void report_print(FILE *out, const struct report *p, bool utf8)
{
    (void)fprintf(out, "%zu connections of %s, seed %u, over", p->trace->n, p->trace_name, p->seed);
    for (size_t i = 0; i < p->lines->n; i++)
        (void)fprintf(out, "%s %s %.4g/%.4g Mbit/s", i ? "," : "", p->lines->items[i].name,
                      mbit(p->lines->items[i].down), mbit(p->lines->items[i].up));
    (void)fputc('\n', out);
    print_summary(out, p);
    for (size_t i = 0; i < p->n_runs; i++)
        print_run(out, p, &p->runs[i], utf8);
}

/* --- JSON ----------------------------------------------------------------------------------------------- */

static json_t *seconds_json(double s)
{
    return isnan(s) ? json_null() : json_real(s);
}

static json_t *run_json(const struct report *p, const struct report_run *run)
{
    const struct model_result *r = &run->result;
    json_t *uplinks = json_array();

    for (size_t i = 0; i < p->lines->n; i++) {
        const struct model_uplink_result *u = &r->uplinks[i];
        (void)json_array_append_new(uplinks, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f}", "name",
                                                       p->lines->items[i].name, "connections",
                                                       (json_int_t)u->flows, "broken", (json_int_t)u->broken,
                                                       "timeouts", (json_int_t)u->timeouts, "rx",
                                                       u->carried_down, "tx", u->carried_up));
    }
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:f, s:f, s:f, s:f, s:I, s:I, s:I}", "policy",
                     run->name, "uplinks", uplinks, "done", (json_int_t)r->ends[MODEL_DONE], "broken",
                     (json_int_t)r->ends[MODEL_BROKEN], "refused", (json_int_t)r->ends[MODEL_REFUSED],
                     "failed", (json_int_t)r->ends[MODEL_FAILED], "median",
                     seconds_json(report_quantile(r, 0.5)), "p95", seconds_json(report_quantile(r, 0.95)),
                     "throughput", report_throughput(r, p->lines->n), "fill_down",
                     use_of_capacity(p, r, true), "fill_up", use_of_capacity(p, r, false), "busy", r->busy_s,
                     "picks", (json_int_t)r->picks, "policy_errors", (json_int_t)r->policy_errors,
                     "by_default", (json_int_t)r->by_default);
}

json_t *report_json(const struct report *p)
{
    json_t *runs = json_array();

    for (size_t i = 0; i < p->n_runs; i++)
        (void)json_array_append_new(runs, run_json(p, &p->runs[i]));
    return json_pack("{s:s, s:I, s:I, s:o}", "trace", p->trace_name, "connections", (json_int_t)p->trace->n,
                     "seed", (json_int_t)p->seed, "runs", runs);
}
