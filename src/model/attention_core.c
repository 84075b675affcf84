/* Queries against keys and values as they are in the cache. Few rows: a task for each head and span
 * of positions, then one for each head that folds the spans. Many rows: a task for each head and
 * block of rows, which walks through all spans. */
#include "model/attention.h"

#define TASK_QUERIES 128 /* of many rows: a block of keys is widened once for all of them */
#define TASKS_MIN    8   /* so many blocks of rows, if there are rows enough */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t state_floats(const kvcache *cache, size_t queries, size_t value_depth)
{
    return attention_state_floats(queries, cache->depth, value_depth);
}

static size_t largest_task(size_t group)
{
    size_t rows = TASK_QUERIES / group;
    return (rows > ATTENTION_SPREAD ? rows : ATTENTION_SPREAD) * group;
}

size_t attention_core_scratch(const kvcache *cache, size_t group, size_t value_depth)
{
    return 2 * state_floats(cache, largest_task(group), value_depth) + kvcache_scratch(cache);
}

static size_t spans_of(size_t positions)
{
    return (positions + ATTENTION_SPAN - 1) / ATTENTION_SPAN;
}

size_t attention_core_partial(const kvcache *cache, size_t group, size_t value_depth)
{
    return cache->heads * spans_of(cache->positions) *
           state_floats(cache, ATTENTION_SPREAD * group, value_depth);
}

/* `rows` rows from `row` on of one head. */
typedef struct core_part {
    const attention_core *core;
    size_t head, row, rows;
} core_part;

static attention_state open_state(const core_part *part, float *memory)
{
    const attention_core *core = part->core;
    /* values of latent attention are its keys once more: not dense */
    return (attention_state){part->rows * core->group, core->depth, core->value_depth,
                             core->cache->value_depth > 0, memory, core->rounded};
}

/* From the first block on, or for another span with the queries that the state has. */
static void begin(const core_part *part, const attention_state *state, bool again)
{
    const attention_core *core = part->core;
    size_t width = core->kv_heads * core->group * core->depth;
    attention_queries queries = {
        .q = core->query + part->row * width + part->head * core->group * core->depth,
        .rows = part->rows, .heads = core->group, .row_stride = width,
        .head_stride = core->depth, .scale = core->scale};
    core->compute->kernels->attention_begin(state, again ? NULL : &queries);
}

static void end(const core_part *part, const attention_state *state)
{
    const attention_core *core = part->core;
    size_t width = core->kv_heads * core->group * core->value_depth;
    core->compute->kernels->attention_end(
        state, core->group,
        core->out + part->row * width + part->head * core->group * core->value_depth, width,
        core->value_depth);
}

/* All blocks of one span that the part sees. */
static void run_span(const core_part *part, const attention_state *state, size_t span,
                     float *scratch)
{
    const attention_core *core = part->core;
    size_t seen = core->first + part->row + part->rows;
    size_t limit = smaller(seen, (span + 1) * ATTENTION_SPAN);
    for (size_t start = span * ATTENTION_SPAN; start < limit; start += ATTENTION_KEYS) {
        attention_tile keys, values;
        kvcache_read(core->cache, core->compute->kernels, core->layer, part->head,
                     start / ATTENTION_KEYS, scratch, &keys, &values);
        if (start + ATTENTION_KEYS < limit && core->cache->type == VL2_KV_F32) { /* not widened */
            keys.next = keys.data + core->cache->block_bytes / sizeof(float);
        }
        core->compute->kernels->attention_step(
            state, &keys, &values, smaller(seen - start, ATTENTION_KEYS),
            (ptrdiff_t)(core->first + part->row + 1) - (ptrdiff_t)start, core->group);
    }
}

/* ---------------------------------------------------------------------------------- many rows */

static size_t rows_of_task(const attention_core *core)
{
    size_t most = TASK_QUERIES / core->group, even = (core->count + TASKS_MIN - 1) / TASKS_MIN;
    size_t least = (ATTENTION_QUERIES + core->group - 1) / core->group;
    size_t rows = even < least ? least : even;
    return rows < most ? rows : most > 0 ? most : 1;
}

static void rows_task(void *context, size_t task, int worker)
{
    const attention_core *core = context;
    size_t step = rows_of_task(core), blocks = (core->count + step - 1) / step;
    /* the last rows see most: they begin first */
    size_t row = (blocks - 1 - task / core->kv_heads) * step;
    core_part part = {core, task % core->kv_heads, row, smaller(step, core->count - row)};
    float *scratch = compute_scratch(core->compute, worker);
    attention_state total = open_state(&part, scratch), next = total;
    size_t floats = attention_state_floats(total.queries, total.depth, total.value_depth);
    next.memory = scratch + floats;
    scratch = next.memory + floats;
    begin(&part, &total, false);
    run_span(&part, &total, 0, scratch);
    for (size_t span = 1; span < spans_of(core->first + row + part.rows); span++) {
        begin(&part, &next, span > 1);
        run_span(&part, &next, span, scratch);
        core->compute->kernels->attention_fold(&total, &next);
    }
    end(&part, &total);
}

/* ----------------------------------------------------------------------------------- few rows */

static attention_state span_state(const core_part *part, size_t span)
{
    const attention_core *core = part->core;
    attention_state state = open_state(part, core->partial);
    size_t floats = attention_state_floats(state.queries, state.depth, state.value_depth);
    size_t spans = spans_of(core->first + core->count);
    state.memory += (part->head * spans + span) * floats;
    return state;
}

static void span_task(void *context, size_t task, int worker)
{
    const attention_core *core = context;
    size_t spans = spans_of(core->first + core->count);
    core_part part = {core, task / spans, 0, core->count};
    attention_state state = span_state(&part, task % spans);
    begin(&part, &state, false);
    run_span(&part, &state, task % spans, compute_scratch(core->compute, worker));
}

static void fold_task(void *context, size_t head, int worker)
{
    (void)worker;
    const attention_core *core = context;
    core_part part = {core, head, 0, core->count};
    attention_state total = span_state(&part, 0);
    for (size_t span = 1; span < spans_of(core->first + core->count); span++) {
        attention_state next = span_state(&part, span);
        core->compute->kernels->attention_fold(&total, &next);
    }
    end(&part, &total);
}

void attention_core_run(const attention_core *core)
{
    const team *team = &core->compute->team;
    if (core->count == 0) {
        return;
    }
    if (core->count <= ATTENTION_SPREAD) {
        team_run(team, core->kv_heads * spans_of(core->first + core->count), span_task,
                 (void *)core);
        team_run(team, core->kv_heads, fold_task, (void *)core);
        return;
    }
    size_t step = rows_of_task(core);
    team_run(team, core->kv_heads * ((core->count + step - 1) / step), rows_task, (void *)core);
}
