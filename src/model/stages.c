#include "model/stages.h"

#include "base/clock.h"

void stage_clock_start(stage_clock *clock)
{
    clock->last = clock_seconds();
}

void stage_clock_mark(stage_clock *clock, stage stage)
{
    double time = clock_seconds();
    clock->seconds[stage] += time - clock->last;
    clock->last = time;
    if (clock->marked != NULL) {
        clock->marked(clock->user);
    }
}

const char *stage_name(int stage)
{
    static const char *const names[STAGE_COUNT] = {
#define STAGE_TEXT(constant, name) name,
        STAGES(STAGE_TEXT)
#undef STAGE_TEXT
    };
    return stage >= 0 && stage < STAGE_COUNT ? names[stage] : NULL;
}
