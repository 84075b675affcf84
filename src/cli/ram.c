#include "cli/ram.h"
#include "cli/failure.h"
#include "vl2.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What a unit stands for, 0 if it is none: "G" and "GiB" are 2^30, "GB" is 10^9. */
static double unit_of(const char *text)
{
    static const char letters[] = "KMGT";
    const char *letter = text[0] != '\0' ? strchr(letters, text[0] & ~0x20) : NULL;
    if (text[0] == '\0' || strcasecmp(text, "b") == 0) {
        return 1;
    }
    if (letter == NULL) {
        return 0;
    }
    double power = (double)(letter - letters) + 1;
    if (text[1] == '\0' || strcasecmp(text + 1, "ib") == 0) {
        return pow(1024, power);
    }
    return strcasecmp(text + 1, "b") == 0 ? pow(1000, power) : 0;
}

bool ram_parse(const char *text, uint64_t total, uint64_t *bytes)
{
    if (strcmp(text, "auto") == 0) {
        *bytes = VL2_RAM_AUTO;
        return true;
    }
    if (strcmp(text, "off") == 0) {
        *bytes = 0;
        return true;
    }
    char *end;
    double number = strtod(text, &end), unit = unit_of(end);
    if (end == text || text[0] < '0' || text[0] > '9' || !isfinite(number) || number <= 0) {
        return false;
    }
    if (strcmp(end, "%") == 0) {
        *bytes = (uint64_t)(number / 100 * (double)total);
        return number <= 100;
    }
    if (unit == 0 || number * unit >= 0x1p62) {
        return false;
    }
    *bytes = (uint64_t)ceil(number * unit);
    return true;
}

int ram_option(const arguments *arguments, uint64_t *bytes)
{
    const char *text = argument(arguments, OPTION_RAM)->text;
    if (ram_parse(text, vl2_memory_total(), bytes)) {
        return EXIT_CODE_OK;
    }
    return fail_usage(arguments->command,
                      "--ram: found \"%s\", expected a size such as 6G or 500M, a share such as "
                      "50%%, auto or off", text);
}
