/* Measures a model: prefill, decode, vision, and the time to the first token. */
#include "engine/bench.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/numbers.h"
#include "engine/paging.h"

#include <string.h>

/* What the KV cache of a context that nobody read is filled with: in every type of number that a
 * cache may have it is an ordinary one (0.0115 in f32 and bf16, 1.06 in f16, 60 in int8). */
#define CACHE_BYTE 0x3c

#define PICTURE_COLUMNS 3 /* local tiles of the large picture; a view of the whole comes on top */
#define PICTURE_ROWS    3
#define PICTURE_TILES   (PICTURE_COLUMNS * PICTURE_ROWS + 1)
#define WARM_TOKENS     512 /* most of a prompt that warms up */

static const char question[] = "<image>\nWhat is in the picture?";

/* One number of threads. */
typedef struct bench_session {
    bench *bench;
    vl2_bench_run *run;
    vl2_session *session;
    stage_clock clock;
    uint64_t random;
    vl2_paging paging; /* before the runs that count */
    /* the measurement that runs */
    prepared_prompt prompt;
    vl2_conversation *conversation;
    const vl2_bench_result *result;
    vl2_status status;
    vl2_error *error;
} bench_session;

/* ------------------------------------------------------------------------------- what to run */

static bool wants(const vl2_bench_options *options, vl2_bench_part part)
{
    return (options->parts & (unsigned)part) != 0;
}

size_t bench_result_count(const vl2_bench_options *options)
{
    return (wants(options, VL2_BENCH_PREFILL) ? options->prompt_count : 0) +
           (wants(options, VL2_BENCH_DECODE) ? options->context_count : 0) +
           (wants(options, VL2_BENCH_VISION) ? 2 : 0) +
           (wants(options, VL2_BENCH_FIRST_TOKEN) ? 1 : 0);
}

uint64_t bench_run_count(const vl2_bench_options *options)
{
    return bench_result_count(options) * (uint64_t)(options->repeat + 1);
}

/* Positions that the measurements need, `most` at least. */
static int context_of(const vl2_bench_options *options, int most)
{
    for (size_t i = 0; wants(options, VL2_BENCH_PREFILL) && i < options->prompt_count; i++) {
        most = options->prompts[i] + 1 > most ? options->prompts[i] + 1 : most;
    }
    for (size_t i = 0; wants(options, VL2_BENCH_DECODE) && i < options->context_count; i++) {
        int needed = options->contexts[i] + options->tokens;
        most = needed > most ? needed : most;
    }
    return most;
}

vl2_session_options bench_session_options(const vl2_bench_options *options)
{
    vl2_session_options session;
    vl2_session_options_defaults(&session);
    session.context = wants(options, VL2_BENCH_FIRST_TOKEN) || wants(options, VL2_BENCH_VISION)
                          ? 0
                          : context_of(options, 1);
    session.chunk = options->chunk;
    session.kv_type = options->kv_type;
    session.threads = options->threads[0];
    return session;
}

/* A generator for what needs no quality (xorshift64). */
static uint32_t draw(bench_session *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (uint32_t)(b->random >> 32);
}

/* A token of the vocabulary. */
static int32_t draw_token(bench_session *b)
{
    size_t count = tokenizer_size(b->bench->model->tokenizer.tokenizer);
    return (int32_t)(draw(b) % (uint32_t)count);
}

/* ------------------------------------------------------------------------------- one result */

/* Whoever cancels is asked at every stage. */
static void note_mark(void *user)
{
    bench_session *b = user;
    if (bench_check(b->bench, NULL) != VL2_OK) {
        vl2_session_cancel(b->session);
    }
}

static void add_time(bench_session *b, double seconds)
{
    b->bench->times[b->bench->time_count++] = seconds;
}

static void fill_stages(const bench_session *b, double runs, vl2_bench_result *result)
{
    for (int i = 0; i < STAGE_COUNT && result->stage_count < VL2_BENCH_STAGES; i++) {
        if (b->clock.seconds[i] > 0) {
            result->stages[result->stage_count++] =
                (vl2_bench_stage){stage_name(i), b->clock.seconds[i] / runs};
        }
    }
}

static void fill_times(bench_session *b, vl2_bench_result *result)
{
    bench *bench = b->bench;
    result->runs = bench->options->repeat;
    result->seconds = bench_median(bench->times, bench->time_count);
    result->least = bench->times[0];
    result->most = bench->times[bench->time_count - 1];
    result->p99 = numbers_percentile(bench->times, bench->time_count, 99);
    result->paging = paging_since(bench->model, &b->paging);
    fill_stages(b, (double)bench->time_count, result);
    bench_limit(b->run, result);
    if (result->paging.bandwidth > 0) { /* what is missing has to be read, too */
        double reading = (double)result->paging.bytes / (double)bench->time_count /
                         result->paging.bandwidth;
        result->limit = reading > result->limit ? reading : result->limit;
        result->fraction = result->limit / result->seconds;
    }
}

/* Runs `once` to warm up and then as often as it is asked for, each as a phase of the team. */
static vl2_status measure(bench_session *b, team_phase warm, team_phase once,
                          vl2_bench_result *result)
{
    bench *bench = b->bench;
    b->result = result;
    for (int run = -1; run < bench->options->repeat; run++) {
        if (run <= 0) {
            bench->time_count = 0;
            memset(b->clock.seconds, 0, sizeof(b->clock.seconds));
            b->paging = paging_now(bench->model);
        }
        vl2_status status = bench_check(bench, b->error);
        if (status != VL2_OK) {
            return status;
        }
        team_enter(&b->session->compute.team, run < 0 ? warm : once, b);
        if (b->status != VL2_OK) {
            return b->status;
        }
        bench_step(bench);
    }
    fill_times(b, result);
    return VL2_OK;
}

/* ------------------------------------------------------------------------------- prefill */

static vl2_status make_prompt(bench_session *b, size_t tokens)
{
    prepared_prompt *prompt = &b->prompt;
    memset(prompt, 0, sizeof(*prompt));
    prompt->keys = base_calloc(tokens, sizeof(*prompt->keys));
    prompt->picture = base_calloc(tokens, sizeof(*prompt->picture));
    prompt->row = base_calloc(tokens, sizeof(*prompt->row));
    if (prompt->keys == NULL || prompt->picture == NULL || prompt->row == NULL) {
        return vl2_fail_memory(b->error, "a prompt", tokens * 3 * sizeof(size_t));
    }
    vl2_status status = VL2_OK;
    for (size_t i = 0; status == VL2_OK && i < tokens; i++) {
        prompt->picture[i] = SIZE_MAX;
        status = id_list_append(&prompt->prompt.ids, draw_token(b), b->error);
    }
    return status;
}

static void run_prefill(void *context)
{
    bench_session *b = context;
    stage_clock_start(&b->clock);
    double began = clock_seconds();
    b->status = session_prefill(b->session, &b->prompt, 0, NULL, b->error);
    add_time(b, clock_seconds() - began);
    stage_clock_mark(&b->clock, STAGE_OTHER);
}

static void warm_prefill(void *context)
{
    bench_session *b = context;
    size_t count = b->prompt.prompt.ids.count;
    b->prompt.prompt.ids.count = count < WARM_TOKENS ? count : WARM_TOKENS;
    run_prefill(b);
    b->prompt.prompt.ids.count = count;
}

static vl2_status measure_prefill(bench_session *b, int tokens, vl2_bench_result *result)
{
    *result = (vl2_bench_result){.part = VL2_BENCH_PREFILL, .tokens = tokens};
    bench_prefill_work(b->bench->model, result);
    vl2_status status = make_prompt(b, (size_t)tokens);
    if (status == VL2_OK) {
        status = measure(b, warm_prefill, run_prefill, result);
    }
    prepared_prompt_free(&b->prompt);
    result->rate = result->seconds > 0 ? tokens / result->seconds : 0;
    return status;
}

/* ------------------------------------------------------------------------------- decode */

static void run_decode(void *context)
{
    bench_session *b = context;
    b->session->key_count = (size_t)b->result->context;
    for (int i = 0; i < b->result->tokens && b->status == VL2_OK; i++) {
        int32_t token = draw_token(b);
        stage_clock_start(&b->clock);
        double began = clock_seconds();
        b->status = session_step(b->session, token, NULL, b->error);
        add_time(b, clock_seconds() - began);
        stage_clock_mark(&b->clock, STAGE_OTHER);
        if (b->status == VL2_OK) {
            b->status = bench_check(b->bench, b->error);
        }
    }
    b->session->key_count = 0; /* the cache holds no prompt */
}

static vl2_status measure_decode(bench_session *b, int context, vl2_bench_result *result)
{
    const model_weights *weights = b->bench->model->weights;
    const kvcache *cache = &b->session->decoder.cache;
    *result = (vl2_bench_result){.part = VL2_BENCH_DECODE, .context = context,
                                 .tokens = b->bench->options->tokens};
    bench_decode_work(b->bench->model, b->bench->options->kv_type, result);
    if (context > 0) {
        memset(cache->memory, CACHE_BYTE, kvcache_memory(cache));
    }
    vl2_status status = model_weights_acquire(weights, &weights->language_records,
                                              &b->session->compute.team, b->error);
    if (status == VL2_OK) {
        status = measure(b, run_decode, run_decode, result);
    }
    result->rate = result->seconds > 0 ? 1 / result->seconds : 0;
    return status;
}

/* ------------------------------------------------------------------------------- pictures */

/* A conversation about a picture of noise that is cut into columns x rows tiles; with 1 x 1 the
 * view of the whole is the same tile. */
static vl2_status make_picture(bench_session *b, int columns, int rows)
{
    int side = b->bench->model->config.vision.image_size;
    size_t stride = 3 * (size_t)side * (size_t)columns, size = stride * (size_t)(side * rows);
    uint8_t *pixels = base_malloc(size, 1);
    if (pixels == NULL) {
        return vl2_fail_memory(b->error, "a picture", size);
    }
    for (size_t i = 0; i < size; i++) {
        pixels[i] = (uint8_t)draw(b);
    }
    vl2_image *image;
    vl2_status status =
        vl2_image_from_rgb(pixels, side * columns, side * rows, stride, &image, b->error);
    base_free(pixels);
    if (status != VL2_OK) {
        return status;
    }
    status = vl2_conversation_create(&b->conversation, b->error);
    if (status == VL2_OK) {
        status = vl2_conversation_add(b->conversation, "user", question, sizeof(question) - 1,
                                      &image, 1, b->error);
    }
    vl2_image_release(image);
    return status;
}

static void drop_picture(bench_session *b)
{
    prepared_prompt_free(&b->prompt);
    picture_store_free(&b->session->pictures);
    vl2_conversation_close(b->conversation);
    b->conversation = NULL;
}

static void forget_rows(vl2_session *session)
{
    for (size_t i = 0; i < session->pictures.tile_count; i++) {
        base_free(session->pictures.tiles[i].rows);
        session->pictures.tiles[i].rows = NULL;
    }
}

static void run_vision(void *context)
{
    bench_session *b = context;
    size_t encoded;
    forget_rows(b->session);
    stage_clock_start(&b->clock);
    double began = clock_seconds();
    b->status = session_encode(b->session, &b->prompt, 0, &encoded, NULL, b->error);
    add_time(b, clock_seconds() - began);
    stage_clock_mark(&b->clock, STAGE_TILES);
}

static vl2_status measure_vision(bench_session *b, int columns, int rows, vl2_bench_result *result)
{
    vl2_status status = make_picture(b, columns, rows);
    if (status == VL2_OK) {
        status = session_prepare(b->session, b->conversation, &b->prompt, b->error);
    }
    *result = (vl2_bench_result){.part = VL2_BENCH_VISION,
                                 .tiles = (int)b->session->pictures.tile_count};
    bench_vision_work(b->bench->model, result);
    if (status == VL2_OK) {
        status = measure(b, run_vision, run_vision, result);
    }
    drop_picture(b);
    result->rate = result->seconds > 0 ? result->tiles / result->seconds : 0;
    return status;
}

static void run_first_token(void *context)
{
    bench_session *b = context;
    vl2_generate_options options;
    vl2_answer answer;
    vl2_generate_options_defaults(&options);
    options.max_tokens = 1;
    picture_store_free(&b->session->pictures);
    b->session->key_count = 0;
    stage_clock_start(&b->clock);
    double began = clock_seconds();
    b->status = vl2_session_generate(b->session, b->conversation, &options, NULL, NULL, &answer,
                                     b->error);
    add_time(b, clock_seconds() - began);
    stage_clock_mark(&b->clock, STAGE_OTHER);
    vl2_answer_clear(&answer);
}

static vl2_status measure_first_token(bench_session *b, vl2_bench_result *result)
{
    vl2_status status = make_picture(b, PICTURE_COLUMNS, PICTURE_ROWS);
    if (status == VL2_OK) {
        status = session_prepare(b->session, b->conversation, &b->prompt, b->error);
    }
    *result = (vl2_bench_result){.part = VL2_BENCH_FIRST_TOKEN,
                                 .tokens = (int)b->prompt.prompt.ids.count,
                                 .tiles = (int)b->session->pictures.tile_count};
    bench_first_token_work(b->bench->model, result);
    if (status == VL2_OK) {
        status = measure(b, run_first_token, run_first_token, result);
    }
    drop_picture(b);
    return status;
}

/* ------------------------------------------------------------------------------- all of it */

static vl2_status measure_all(bench_session *b)
{
    const vl2_bench_options *options = b->bench->options;
    vl2_bench_run *run = b->run;
    vl2_status status = VL2_OK;
    for (size_t i = 0; wants(options, VL2_BENCH_PREFILL) && i < options->prompt_count; i++) {
        status = measure_prefill(b, options->prompts[i], &run->results[run->result_count++]);
        if (status != VL2_OK) {
            return status;
        }
    }
    for (size_t i = 0; wants(options, VL2_BENCH_DECODE) && i < options->context_count; i++) {
        status = measure_decode(b, options->contexts[i], &run->results[run->result_count++]);
        if (status != VL2_OK) {
            return status;
        }
    }
    if (wants(options, VL2_BENCH_VISION)) {
        status = measure_vision(b, 1, 1, &run->results[run->result_count++]);
        if (status == VL2_OK) {
            status = measure_vision(b, PICTURE_COLUMNS, PICTURE_ROWS,
                                    &run->results[run->result_count++]);
        }
    }
    if (status == VL2_OK && wants(options, VL2_BENCH_FIRST_TOKEN)) {
        status = measure_first_token(b, &run->results[run->result_count++]);
    }
    return status;
}

vl2_status bench_model(bench *bench, vl2_bench_run *run, vl2_error *error)
{
    const vl2_bench_options *options = bench->options;
    vl2_session_options settings = bench_session_options(options);
    if (settings.context == 0) {
        settings.context = context_of(options, bench->model->config.language.positions);
    }
    settings.threads = run->threads;
    bench_session b = {.bench = bench, .run = run, .error = error,
                       .random = options->seed * 2 + 0x9e3779b97f4a7c15u};
    vl2_status status = vl2_session_open(bench->model, &settings, &b.session, error);
    if (status != VL2_OK) {
        return status;
    }
    b.clock.marked = note_mark;
    b.clock.user = &b;
    b.session->compute.stages = &b.clock;
    status = measure_all(&b);
    vl2_session_close(b.session);
    run->memory_peak = engine_peak_memory();
    return status;
}
