#include "cli/progress.h"
#include "cli/format.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 200
#define BAR_CELLS 24

void progress_init(progress *progress, const arguments *arguments, bool streams)
{
    bool quiet =
        argument(arguments, OPTION_NO_PROGRESS)->on || argument(arguments, OPTION_QUIET)->on;
    memset(progress, 0, sizeof(*progress));
    progress->terminal = isatty(STDERR_FILENO);
    progress->active = !quiet && (progress->terminal || argument(arguments, OPTION_PROGRESS)->on);
    progress->streaming = streams && progress->terminal && isatty(STDOUT_FILENO);
    progress->stage = (vl2_stage)-1;
}

double progress_clock(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int percent(const vl2_progress *report)
{
    return report->total == 0 ? 0 : (int)(100.0 * (double)report->done / (double)report->total);
}

/* "[######------]  45%  3.02 GiB of 6.70 GiB  112 MiB/s  0:32 left" */
static void describe_bytes(const vl2_progress *report, char *line)
{
    char bar[BAR_CELLS + 1], done[FORMAT_SIZE], total[FORMAT_SIZE], rate[FORMAT_SIZE],
        left[FORMAT_SIZE];
    int filled = percent(report) * BAR_CELLS / 100;
    for (int i = 0; i < BAR_CELLS; i++) {
        bar[i] = i < filled ? '#' : '-';
    }
    bar[BAR_CELLS] = '\0';
    double speed = report->seconds > 0 ? (double)report->done / report->seconds : 0;
    double rest = speed > 0 && report->total > report->done
                      ? (double)(report->total - report->done) / speed
                      : 0;
    snprintf(line, LINE_SIZE, "[%s] %3d%%  %s of %s  %s/s  %s left", bar, percent(report),
             format_bytes(report->done, done), format_bytes(report->total, total),
             format_bytes((uint64_t)speed, rate), format_duration(rest, left));
}

/* ", 1.20 GiB of experts read" behind a line, if experts are being read. */
static void describe_reading(const vl2_paging *paging, char *line)
{
    char bytes[FORMAT_SIZE];
    if (paging != NULL) {
        size_t used = strlen(line);
        snprintf(line + used, LINE_SIZE - used, ", %s of experts read",
                 format_bytes(paging->bytes, bytes));
    }
}

/* ", 61 % of experts in memory" as well. A prompt reads each of them once whatever is there. */
static void describe_paging(const vl2_paging *paging, char *line)
{
    if (paging != NULL && paging->uses > 0) {
        size_t used = strlen(line);
        snprintf(line + used, LINE_SIZE - used, ", %.0f %% of experts in memory",
                 100 * (double)paging->hits / (double)paging->uses);
    }
    describe_reading(paging, line);
}

static void describe(const vl2_progress *report, char *line)
{
    unsigned long long done = report->done, total = report->total;
    double rate = report->seconds > 0 ? (double)done / report->seconds : 0;
    switch (report->stage) {
    case VL2_STAGE_OPEN:
        snprintf(line, LINE_SIZE, "opening the model: %llu of %llu tensors", done, total);
        break;
    case VL2_STAGE_VISION:
        snprintf(line, LINE_SIZE, "looking at the pictures: tile %llu/%llu", done, total);
        break;
    case VL2_STAGE_PREFILL:
        snprintf(line, LINE_SIZE, "reading the prompt: %d%% of %llu tokens, %.1f tokens/s",
                 percent(report), total, rate);
        describe_reading(report->paging, line);
        break;
    case VL2_STAGE_GENERATE:
        snprintf(line, LINE_SIZE, "answering: %llu tokens, %.1f tokens/s", done, rate);
        describe_paging(report->paging, line);
        break;
    case VL2_STAGE_WRITE:
    case VL2_STAGE_VERIFY:
    case VL2_STAGE_PACK:
    case VL2_STAGE_WEIGHTS:
        describe_bytes(report, line);
        break;
    case VL2_STAGE_BENCH:
        snprintf(line, LINE_SIZE, "measuring: run %llu of %llu", done, total);
        break;
    default: /* a stage of a newer library */
        snprintf(line, LINE_SIZE, "%llu of %llu", done, total);
        break;
    }
}

static int terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col : 80;
}

static void draw(progress *progress, const char *line)
{
    if (progress->terminal) {
        fprintf(stderr, "\r\033[K%.*s", terminal_columns() - 1, line);
        progress->drawn = true;
    } else {
        fprintf(stderr, "%s\n", line);
    }
    fflush(stderr);
}

void progress_report(const vl2_progress *report, void *user)
{
    progress *progress = user;
    if (!progress->active || (progress->streaming && report->stage == VL2_STAGE_GENERATE)) {
        return;
    }
    double time = progress_clock(), pause = progress->terminal ? 0.1 : 1;
    bool last = report->total != 0 && report->done == report->total;
    if (report->stage == progress->stage && !last && time - progress->drawn_at < pause) {
        return;
    }
    progress->stage = report->stage;
    progress->drawn_at = time;
    char line[LINE_SIZE];
    describe(report, line);
    draw(progress, line);
}

void progress_line(progress *progress, const char *line, bool last)
{
    double time = progress_clock(), pause = progress->terminal ? 0.1 : 1;
    if (progress->active && (last || time - progress->drawn_at >= pause)) {
        progress->drawn_at = time;
        draw(progress, line);
    }
}

void progress_clear(progress *progress)
{
    if (progress->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->drawn = false;
    progress->stage = (vl2_stage)-1;
}
