#include "cli/format.h"

#include <stdio.h>

/* Three digits and the largest unit that leaves at least 1. */
static const char *format_scaled(uint64_t value, double step, const char *const *units, int last,
                                 char *text)
{
    double scaled = (double)value;
    int unit = 0;
    while (scaled >= step && unit < last) {
        scaled /= step;
        unit++;
    }
    int decimals = unit == 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
    snprintf(text, FORMAT_SIZE, "%.*f%s%s", decimals, scaled, units[unit][0] != '\0' ? " " : "",
             units[unit]);
    return text;
}

const char *format_bytes(uint64_t bytes, char text[FORMAT_SIZE])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    return format_scaled(bytes, 1024, units, 4, text);
}

const char *format_count(uint64_t count, char text[FORMAT_SIZE])
{
    static const char *const units[] = {"", "k", "M", "B"};
    return format_scaled(count, 1000, units, 3, text);
}

const char *format_duration(double seconds, char text[FORMAT_SIZE])
{
    uint64_t whole = seconds < 0 ? 0 : seconds > 1e9 ? 1000000000 : (uint64_t)(seconds + 0.5);
    unsigned hours = (unsigned)(whole / 3600), minutes = (unsigned)(whole / 60 % 60);
    if (hours > 0) {
        snprintf(text, FORMAT_SIZE, "%u:%02u:%02u", hours, minutes, (unsigned)(whole % 60));
    } else {
        snprintf(text, FORMAT_SIZE, "%u:%02u", minutes, (unsigned)(whole % 60));
    }
    return text;
}
