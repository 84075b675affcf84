/* vl2_session_generate: from a conversation to its answer. */
#include "engine/answer.h"
#include "engine/paging.h"
#include "engine/session.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

void vl2_generate_options_defaults(vl2_generate_options *options)
{
    *options = (vl2_generate_options){
        .sampling = {.temperature = 0, .top_k = 50, .top_p = 1, .min_p = 0,
                     .repetition_penalty = 1, .penalize_prompt = false, .seed = 0},
        .max_tokens = 512};
}

void vl2_answer_clear(vl2_answer *answer)
{
    base_free(answer->text);
    base_free(answer->tokens);
    memset(answer, 0, sizeof(*answer));
}

uint64_t engine_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* One request while it runs. */
typedef struct request {
    vl2_session *session;
    const vl2_conversation *conversation;
    const vl2_generate_options *options;
    prepared_prompt prepared;
    sampler sampler;
    answer_stream stream;
    id_list tokens;
    token_times times;
    vl2_answer *answer;
    vl2_status status;
    vl2_error *error;
} request;

/* Cuts, encodes and reads the prompt. */
static vl2_status read_prompt(request *r)
{
    vl2_session *session = r->session;
    vl2_answer *answer = r->answer;
    double began = clock_seconds();
    vl2_status status = session_prepare(session, r->conversation, &r->prepared, r->error);
    if (status != VL2_OK) {
        return status;
    }
    answer->seconds_tiles = clock_seconds() - began;
    answer->prompt_tokens = r->prepared.prompt.ids.count;
    answer->image_tokens = r->prepared.image_tokens;
    answer->reused_tokens = session_reusable(session, &r->prepared);
    for (size_t i = 0; i < session->pictures.picture_count; i++) {
        answer->tiles += (size_t)session->pictures.pictures[i].set.count;
    }
    began = clock_seconds();
    status = session_encode(session, &r->prepared, answer->reused_tokens, &answer->tiles_encoded,
                            NULL, r->error);
    answer->seconds_vision = clock_seconds() - began;
    if (status != VL2_OK) {
        return status;
    }
    began = clock_seconds();
    status = session_prefill(session, &r->prepared, answer->reused_tokens, NULL, r->error);
    answer->seconds_prefill = clock_seconds() - began;
    return status;
}

static void note_prompt(request *r)
{
    const id_list *ids = &r->prepared.prompt.ids;
    for (size_t i = 0; r->options->sampling.penalize_prompt && i < ids->count; i++) {
        sampler_note(&r->sampler, ids->ids[i]);
    }
}

/* Takes one token into the answer. True if it ends it; *finish says why. */
static vl2_status take_token(request *r, int32_t token, bool *ended, vl2_finish *finish)
{
    bool end = token == r->session->model->tokens.eos && !r->options->ignore_end;
    sampler_note(&r->sampler, token);
    vl2_status status = id_list_append(&r->tokens, token, r->error);
    if (status == VL2_OK) {
        status = answer_stream_push(&r->stream, token, !end, r->error);
    }
    *ended = true;
    if (end) {
        *finish = VL2_FINISH_END;
    } else if (r->stream.stopped) {
        *finish = VL2_FINISH_STOP;
    } else if (r->stream.declined ||
               atomic_load_explicit(&r->session->cancelled, memory_order_relaxed)) {
        *finish = VL2_FINISH_CANCELLED;
    } else if (r->tokens.count >= (size_t)r->options->max_tokens) {
        *finish = VL2_FINISH_LENGTH;
    } else if (r->session->key_count >= r->session->decoder.positions) {
        *finish = VL2_FINISH_CONTEXT;
    } else {
        *ended = false;
    }
    return status;
}

static vl2_status write_answer(request *r)
{
    double began = session_begin_stage(r->session);
    bool ended = r->options->max_tokens == 0;
    vl2_status status = VL2_OK;
    r->answer->finish = VL2_FINISH_LENGTH;
    note_prompt(r);
    while (!ended) {
        int32_t token = sampler_next(&r->sampler, r->session->logits);
        status = take_token(r, token, &ended, &r->answer->finish);
        session_report(r->session, VL2_STAGE_GENERATE, r->tokens.count,
                       (uint64_t)r->options->max_tokens, began);
        if (status == VL2_OK && !ended) {
            double step = clock_seconds();
            status = session_step(r->session, token, NULL, r->error);
            token_times_add(&r->times, clock_seconds() - step);
        }
        if (status == VL2_ERROR_CANCELLED) { /* while experts were being read */
            r->answer->finish = VL2_FINISH_CANCELLED;
            ended = true;
        } else if (status != VL2_OK) {
            return status;
        }
    }
    status = answer_stream_finish(&r->stream, r->error);
    r->answer->seconds_decode = clock_seconds() - began;
    return status;
}

/* All that computes, as one phase of the session's team. Callbacks run on the calling thread, as
 * the phase does; while they take their time, the team's other threads sleep. */
static void run_request(void *context)
{
    request *r = context;
    r->status = read_prompt(r);
    if (r->status == VL2_ERROR_CANCELLED) {
        r->answer->finish = VL2_FINISH_CANCELLED;
    }
    if (r->status == VL2_OK) {
        r->status = write_answer(r);
    }
}

/* Moves what was generated into the answer, also after a failure. */
static vl2_status fill_answer(request *r)
{
    vl2_answer *answer = r->answer;
    answer->tokens = r->tokens.ids;
    answer->token_count = r->tokens.count;
    answer->text_size = r->stream.text.size;
    answer->text = r->stream.text.data;
    if (answer->text == NULL) {
        answer->text = base_copy_text("", 0);
    }
    answer->memory_peak = engine_peak_memory();
    answer->token_median = token_times_at(&r->times, 50);
    answer->token_p99 = token_times_at(&r->times, 99);
    token_times_free(&r->times);
    return answer->text != NULL ? VL2_OK : vl2_fail_memory(r->error, "the answer", 1);
}

vl2_status vl2_session_generate(vl2_session *session, const vl2_conversation *conversation,
                                const vl2_generate_options *options, vl2_token_callback callback,
                                void *user, vl2_answer *answer, vl2_error *error)
{
    vl2_generate_options defaults;
    vl2_generate_options_defaults(&defaults);
    memset(answer, 0, sizeof(*answer));
    atomic_store_explicit(&session->cancelled, 0, memory_order_relaxed);
    request r = {.session = session, .conversation = conversation,
                 .options = options != NULL ? options : &defaults, .answer = answer,
                 .error = error};
    if (r.options->max_tokens < 0) {
        return vl2_fail(error, VL2_ERROR_ARGUMENT, "max_tokens: found %d, expected 0 or more",
                        r.options->max_tokens);
    }
    vl2_status status =
        sampler_open(&r.options->sampling, (size_t)session->model->config.language.vocabulary,
                     &r.sampler, error);
    if (status != VL2_OK) {
        return status;
    }
    vl2_paging before = paging_now(session->model);
    answer_stream_init(&r.stream, session->model->tokenizer.tokenizer, r.options, callback, user);
    team_enter(&session->compute.team, run_request, &r);
    vl2_status filled = fill_answer(&r);
    answer->paging = paging_since(session->model, &before);
    prepared_prompt_free(&r.prepared);
    sampler_close(&r.sampler);
    return r.status != VL2_OK ? r.status : filled;
}
