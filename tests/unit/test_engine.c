/* vl2.h as a program sees it: streaming, stop strings and limits on the project's own checkpoint
 * with a real vocabulary; cancelling, turns, pictures and threads on a miniature, whose tiles
 * are small. */
#include "test_model_data.h"

#include "engine/session.h"

#include <pthread.h>
#include <string.h>

#define CHECKPOINT TEST_BUILD_DIR "/checkpoints/small"
#define MOST_TEXT  4096

static vl2_model *model, *mini;
static char mini_folder[FOLDER_SIZE];

static int set_up(void **state)
{
    (void)state;
    vl2_error error = {VL2_OK, ""};
    if (vl2_model_open(CHECKPOINT, NULL, &model, &error) != VL2_OK) {
        print_error("%s\n", error.message);
        return -1;
    }
    synth_shape shape;
    miniature(&shape);
    folder_make(mini_folder);
    miniature_write(&shape, 3, 0, mini_folder);
    mini = model_open_or_fail(mini_folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    vl2_model_close(model);
    vl2_model_close(mini);
    folder_remove(mini_folder);
    return 0;
}

static vl2_session *open_session(vl2_model *of)
{
    return session_open_or_fail(of, 1000, 512, 1);
}

/* ---------------------------------------------------------------------------- listening */

/* What the callback heard. */
typedef struct listener {
    char text[MOST_TEXT];
    size_t size;
    size_t ends[512]; /* size of the text after each call */
    int32_t tokens[512];
    size_t calls;
    size_t decline_at; /* call that returns false; 0: none */
} listener;

/* Whole characters only, by the definition of UTF-8 (U+FFFD stands for anything else). */
static bool is_utf8(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        unsigned char c = (unsigned char)text[i];
        size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;
        if ((c >= 0x80 && c < 0xc2) || c > 0xf4 || i + more >= size) {
            return false;
        }
        for (size_t j = 1; j <= more; j++) {
            if (((unsigned char)text[i + j] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += more + 1;
    }
    return true;
}

static bool hear(const char *text, size_t size, int32_t token, void *user)
{
    listener *l = user;
    assert_true(is_utf8(text, size));
    assert_int_equal(text[size], '\0');
    assert_true(l->size + size < MOST_TEXT && l->calls < 512);
    memcpy(l->text + l->size, text, size);
    l->size += size;
    l->ends[l->calls] = l->size;
    l->tokens[l->calls++] = token;
    return l->calls != l->decline_at;
}

static void expect_same_text(const listener *l, const vl2_answer *answer)
{
    assert_int_equal(l->size, answer->text_size);
    assert_memory_equal(l->text, answer->text, l->size);
    assert_int_equal(answer->text[answer->text_size], '\0');
}

static vl2_answer ask(vl2_session *session, const vl2_conversation *conversation,
                      const vl2_generate_options *options, listener *l)
{
    vl2_answer answer;
    vl2_error error = {VL2_OK, ""};
    if (l != NULL) {
        size_t decline_at = l->decline_at;
        memset(l, 0, sizeof(*l));
        l->decline_at = decline_at;
    }
    if (vl2_session_generate(session, conversation, options, l != NULL ? hear : NULL, l, &answer,
                             &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return answer;
}

static vl2_generate_options tokens(int count)
{
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    options.max_tokens = count;
    options.ignore_end = true;
    return options;
}

static void expect_equal_answers(const vl2_answer *a, const vl2_answer *b)
{
    assert_int_equal(a->token_count, b->token_count);
    assert_memory_equal(a->tokens, b->tokens, a->token_count * sizeof(int32_t));
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->prompt_tokens, b->prompt_tokens);
}

/* The session answers as a fresh one would. */
static void expect_as_fresh(vl2_session *session, const vl2_conversation *conversation)
{
    const vl2_generate_options options = tokens(12);
    vl2_session *fresh = open_session(session->model);
    vl2_answer a = ask(session, conversation, &options, NULL);
    vl2_answer b = ask(fresh, conversation, &options, NULL);
    expect_equal_answers(&a, &b);
    assert_int_equal(b.reused_tokens, 0);
    vl2_answer_clear(&a);
    vl2_answer_clear(&b);
    vl2_session_close(fresh);
}

/* ---------------------------------------------------------------------------- streaming */

static void test_streaming(void **state)
{
    (void)state;
    static listener l;
    vl2_session *session = open_session(model);
    vl2_conversation *conversation = conversation_of("Tell me a story.", NULL, 0);
    int decoded = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        vl2_generate_options options = tokens(60);
        options.sampling.temperature = seed == 0 ? 0 : 1 + 0.5 * (double)seed;
        options.sampling.top_k = 0;
        options.sampling.seed = seed;
        vl2_answer answer = ask(session, conversation, &options, &l);
        expect_same_text(&l, &answer);
        assert_int_equal(answer.finish, VL2_FINISH_LENGTH);
        assert_int_equal(answer.token_count, 60);
        assert_true(l.calls >= 60); /* each token; and at the end what was held back */
        assert_memory_equal(l.tokens, answer.tokens, 60 * sizeof(int32_t));
        assert_true(l.calls == 60 || l.tokens[60] == -1);
        char *text;
        size_t size;
        /* Refused where a random model took one of the rows that no token has. */
        if (vl2_tokenizer_decode(vl2_model_tokenizer(model), answer.tokens, 60, false, &text,
                                 &size, NULL) == VL2_OK) {
            assert_string_equal(text, answer.text);
            vl2_free(text);
            decoded++;
        }
        vl2_answer_clear(&answer);
    }
    assert_true(decoded > 2);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* The end token ends the answer and is not part of its text. */
static void test_end(void **state)
{
    (void)state;
    static listener l;
    vl2_session *session = open_session(model);
    vl2_conversation *conversation = conversation_of("Tell me a story.", NULL, 0);
    const int32_t end = vl2_tokenizer_id(vl2_model_tokenizer(model), "<｜end▁of▁sentence｜>");
    assert_true(end > 0);
    int ended = 0;
    for (uint64_t seed = 1; seed <= 8 || (ended == 0 && seed < 60); seed++) {
        vl2_generate_options options = tokens(150);
        options.ignore_end = false;
        options.sampling.temperature = 30; /* nearly uniform over some 2000 tokens */
        options.sampling.top_k = 0;
        options.sampling.seed = seed;
        vl2_answer answer = ask(session, conversation, &options, &l);
        expect_same_text(&l, &answer);
        bool came = answer.tokens[answer.token_count - 1] == end;
        assert_int_equal(answer.finish, came ? VL2_FINISH_END : VL2_FINISH_LENGTH);
        assert_null(strstr(answer.text, "end▁of"));
        ended += came;
        vl2_answer_clear(&answer);
    }
    assert_true(ended > 0);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ---------------------------------------------------------------------------- stop strings */

/* Where the text ends by the plain rule: after each token, the first place of any stop string. */
static size_t expected_cut(const listener *whole, const char *const *stop, size_t count)
{
    for (size_t call = 0; call < whole->calls; call++) {
        size_t cut = SIZE_MAX;
        for (size_t s = 0; s < count; s++) {
            const char *found =
                memmem(whole->text, whole->ends[call], stop[s], strlen(stop[s]));
            if (found != NULL && (size_t)(found - whole->text) < cut && stop[s][0] != '\0') {
                cut = (size_t)(found - whole->text);
            }
        }
        if (cut != SIZE_MAX) {
            return cut;
        }
    }
    return whole->size;
}

static void expect_stop(vl2_session *session, const vl2_conversation *conversation,
                        const listener *whole, const char *const *stop, size_t count)
{
    static listener l;
    vl2_generate_options options = tokens(40);
    options.stop = stop;
    options.stop_count = count;
    vl2_answer answer = ask(session, conversation, &options, &l);
    size_t cut = expected_cut(whole, stop, count);
    assert_int_equal(answer.text_size, cut);
    assert_memory_equal(answer.text, whole->text, cut);
    expect_same_text(&l, &answer);
    assert_int_equal(answer.finish, cut < whole->size ? VL2_FINISH_STOP : VL2_FINISH_LENGTH);
    assert_memory_equal(answer.tokens, whole->tokens, answer.token_count * sizeof(int32_t));
    vl2_answer_clear(&answer);
}

static bool boundary(const char *text, size_t at)
{
    return ((unsigned char)text[at] & 0xc0) != 0x80;
}

static void test_stop(void **state)
{
    (void)state;
    static listener whole;
    vl2_session *session = open_session(model);
    vl2_conversation *conversation = conversation_of("Tell me a story.", NULL, 0);
    const vl2_generate_options options = tokens(40);
    vl2_answer answer = ask(session, conversation, &options, &whole);
    vl2_answer_clear(&answer);
    assert_true(whole.size > 60);
    static const size_t lengths[] = {1, 2, 3, 5, 9, 20};
    for (size_t from = 0; from < 36; from += from == 0 ? 1 : 5) {
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            size_t to = from + lengths[i];
            if (!boundary(whole.text, from) || !boundary(whole.text, from + 2) ||
                !boundary(whole.text, to)) {
                continue;
            }
            char one[32], two[32], never[40];
            snprintf(one, sizeof(one), "%.*s", (int)lengths[i], whole.text + from);
            /* One that ends within the first, and one that begins like the text and goes on
             * otherwise. */
            snprintf(two, sizeof(two), "%.*s", 4, whole.text + from + 2);
            snprintf(never, sizeof(never), "%s\x01", one);
            expect_stop(session, conversation, &whole, (const char *const[]){one}, 1);
            expect_stop(session, conversation, &whole, (const char *const[]){one, two}, 2);
            expect_stop(session, conversation, &whole, (const char *const[]){never, two, ""}, 3);
            expect_stop(session, conversation, &whole, (const char *const[]){never, ""}, 2);
        }
    }
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ---------------------------------------------------------------------------- limits */

static void test_max_tokens(void **state)
{
    (void)state;
    static listener l;
    vl2_session *session = open_session(model);
    vl2_conversation *conversation = conversation_of("Hello", NULL, 0);
    vl2_generate_options options = tokens(0);
    vl2_answer answer = ask(session, conversation, &options, &l);
    assert_int_equal(answer.token_count, 0);
    assert_string_equal(answer.text, "");
    assert_int_equal(answer.finish, VL2_FINISH_LENGTH);
    assert_int_equal(l.calls, 0);
    assert_true(answer.prompt_tokens > 3);
    vl2_answer_clear(&answer);
    options = tokens(1);
    answer = ask(session, conversation, &options, &l);
    assert_int_equal(answer.token_count, 1);
    assert_int_equal(answer.reused_tokens, answer.prompt_tokens - 1);
    vl2_answer_clear(&answer);
    options.max_tokens = -1;
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(vl2_session_generate(session, conversation, &options, NULL, NULL, &answer,
                                          &error), VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "max_tokens"));
    vl2_answer_clear(&answer);
    expect_as_fresh(session, conversation);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

static void test_context(void **state)
{
    (void)state;
    vl2_image *image = picture_make(200, 200, 1);
    vl2_conversation *with_picture = conversation_of("<image>What is it?", &image, 1);
    vl2_conversation *text = conversation_of("Tell me a story.", NULL, 0);
    vl2_session *large = open_session(model);
    vl2_generate_options options = tokens(20);
    vl2_answer whole = ask(large, text, &options, NULL);
    int prompt = (int)whole.prompt_tokens;
    vl2_session *session = session_open_or_fail(model, prompt + 5, 512, 1);
    vl2_answer answer;
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(vl2_session_generate(session, with_picture, &options, NULL, NULL, &answer,
                                          &error), VL2_ERROR_CONTEXT);
    assert_non_null(strstr(error.message, "picture 1 takes 421"));
    assert_string_equal(answer.text != NULL ? answer.text : "", "");
    vl2_answer_clear(&answer);
    /* The last token needs no room of its own. */
    answer = ask(session, text, &options, NULL);
    assert_int_equal(answer.finish, VL2_FINISH_CONTEXT);
    assert_int_equal(answer.token_count, 6);
    assert_memory_equal(answer.tokens, whole.tokens, 6 * sizeof(int32_t));
    vl2_answer_clear(&answer);
    vl2_session_close(session);
    session = session_open_or_fail(model, prompt, 512, 1); /* no room for an answer */
    assert_int_equal(vl2_session_generate(session, text, &options, NULL, NULL, &answer, &error),
                     VL2_ERROR_CONTEXT);
    vl2_answer_clear(&answer);
    vl2_session_close(session);
    session = session_open_or_fail(model, prompt + 1, 512, 1);
    answer = ask(session, text, &options, NULL);
    assert_int_equal(answer.token_count, 2);
    vl2_answer_clear(&answer);
    vl2_session_close(session);
    vl2_session_close(large);
    vl2_answer_clear(&whole);
    vl2_conversation_close(text);
    vl2_conversation_close(with_picture);
    vl2_image_release(image);
}

static void test_options(void **state)
{
    (void)state;
    const struct {
        const char *name;
        int context, chunk, threads;
    } wrong[] = {{"context", -1, 1, 1}, {"context", 1 << 30, 1, 1}, {"chunk", 100, -1, 1},
                 {"chunk", 100, 1 << 24, 1}, {"threads", 100, 1, -1}, {"threads", 100, 1, 100000}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        vl2_session_options options;
        vl2_session *session = NULL;
        vl2_error error = {VL2_OK, ""};
        vl2_session_options_defaults(&options);
        options.context = wrong[i].context;
        options.chunk = wrong[i].chunk;
        options.threads = wrong[i].threads;
        assert_int_equal(vl2_session_open(model, &options, &session, &error), VL2_ERROR_ARGUMENT);
        assert_non_null(strstr(error.message, wrong[i].name));
        assert_null(session);
    }
    vl2_session *session = session_open_or_fail(model, 100, 0, 0);
    vl2_conversation *conversation = conversation_of("Hello", NULL, 0);
    vl2_generate_options options = tokens(5);
    vl2_answer answer;
    vl2_error error = {VL2_OK, ""};
    options.sampling.top_p = 2;
    assert_int_equal(vl2_session_generate(session, conversation, &options, NULL, NULL, &answer,
                                          &error), VL2_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "top_p"));
    vl2_answer_clear(&answer);
    assert_true(vl2_session_memory(session) > 100 * 4 * 64 * sizeof(float));
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ---------------------------------------------------------------------------- cancelling */

typedef struct canceller {
    vl2_session *session;
    vl2_stage stage; /* where to cancel */
    uint64_t done;   /* and when */
    int cancelled;
} canceller;

static void *cancel_from_elsewhere(void *user)
{
    vl2_session_cancel(user);
    return NULL;
}

/* In another thread, and at a known moment. */
static void cancel(canceller *c)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_from_elsewhere, c->session), 0);
    pthread_join(thread, NULL);
    c->cancelled++;
}

static void watch(const vl2_progress *progress, void *user)
{
    canceller *c = user;
    if (c->cancelled == 0 && progress->stage == c->stage && progress->done >= c->done) {
        cancel(c);
    }
}

static void test_cancel(void **state)
{
    (void)state;
    const struct {
        vl2_stage stage;
        uint64_t done;
    } moments[] = {{VL2_STAGE_VISION, 0}, {VL2_STAGE_VISION, 2}, {VL2_STAGE_PREFILL, 1},
                   {VL2_STAGE_PREFILL, 30}, {VL2_STAGE_GENERATE, 4}};
    vl2_image *image = picture_make(60, 58, 3);
    vl2_conversation *conversation = conversation_of("<image>\nWhat is it?", &image, 1);
    for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
        canceller c = {NULL, moments[i].stage, moments[i].done, 0};
        vl2_session_options options;
        vl2_error error = {VL2_OK, ""};
        vl2_session_options_defaults(&options);
        options.context = 1000;
        options.chunk = 10;
        options.threads = 1;
        options.progress = watch;
        options.progress_user = &c;
        assert_int_equal(vl2_session_open(mini, &options, &c.session, &error), VL2_OK);
        const vl2_generate_options generate = tokens(12);
        vl2_answer answer;
        vl2_status status = vl2_session_generate(c.session, conversation, &generate, NULL, NULL,
                                                 &answer, &error);
        assert_int_equal(c.cancelled, 1);
        assert_int_equal(answer.finish, VL2_FINISH_CANCELLED);
        if (moments[i].stage == VL2_STAGE_GENERATE) {
            assert_int_equal(status, VL2_OK);
            assert_in_range(answer.token_count, 4, 5);
        } else {
            assert_int_equal(status, VL2_ERROR_CANCELLED);
            assert_int_equal(error.status, VL2_ERROR_CANCELLED);
            assert_int_equal(answer.token_count, 0);
        }
        vl2_answer_clear(&answer);
        expect_as_fresh(c.session, conversation);
        vl2_session_close(c.session);
    }
    vl2_conversation_close(conversation);
    vl2_image_release(image);
}

/* A cancel that comes while nothing runs has no effect on what comes after. */
static void test_declined(void **state)
{
    (void)state;
    static listener l;
    vl2_session *session = open_session(mini);
    vl2_conversation *conversation = conversation_of("Tell me a story.", NULL, 0);
    const vl2_generate_options options = tokens(12);
    for (size_t at = 1; at < 5; at += 3) {
        l.decline_at = at;
        vl2_answer answer = ask(session, conversation, &options, &l);
        assert_int_equal(answer.finish, VL2_FINISH_CANCELLED);
        assert_int_equal(answer.token_count, at);
        vl2_answer_clear(&answer);
        vl2_session_cancel(session);
        expect_as_fresh(session, conversation);
    }
    l.decline_at = 0;
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ------------------------------------------------------------------------ turns and pictures */

static void test_turns(void **state)
{
    (void)state;
    vl2_session *session = open_session(mini);
    vl2_image *image = picture_make(22, 20, 4);
    vl2_conversation *conversation = conversation_of("<image>\nWhat is it?", &image, 1);
    const vl2_generate_options options = tokens(10);
    size_t before = 0;
    for (int turn = 0; turn < 3; turn++) {
        vl2_answer answer = ask(session, conversation, &options, NULL);
        assert_true(answer.reused_tokens >= before);
        assert_true(turn == 0 || answer.reused_tokens > 13);
        assert_int_equal(answer.image_tokens, 13);
        assert_int_equal(answer.tiles, 2);
        assert_int_equal(answer.tiles_encoded, turn == 0 ? 1 : 0);
        before = answer.prompt_tokens;
        expect_as_fresh(session, conversation);
        conversation_add(conversation, "assistant", answer.text, NULL, 0);
        conversation_add(conversation, "user", turn == 0 ? "And why?" : "And where?", NULL, 0);
        vl2_answer_clear(&answer);
    }
    /* Back to the first question: its prefix is still there, and nothing of the later turns
     * counts. */
    while (vl2_conversation_count(conversation) > 1) {
        vl2_conversation_remove_last(conversation);
    }
    expect_as_fresh(session, conversation);
    vl2_conversation_clear(conversation);
    assert_int_equal(vl2_conversation_image_count(conversation), 0);
    conversation_add(conversation, "user", "Something else", NULL, 0);
    expect_as_fresh(session, conversation);
    vl2_conversation_close(conversation);
    vl2_image_release(image);
    vl2_session_close(session);
}

static vl2_answer about(vl2_session *session, vl2_image *const *images, size_t count)
{
    const vl2_generate_options options = tokens(6);
    static const char *const questions[] = {"", "<image>?", "<image><image>?",
                                            "<image> <image> <image>?"};
    vl2_conversation *conversation = conversation_of(questions[count], images, count);
    vl2_answer answer = ask(session, conversation, &options, NULL);
    expect_as_fresh(session, conversation);
    vl2_conversation_close(conversation);
    return answer;
}

static void test_pictures(void **state)
{
    (void)state;
    vl2_image *images[3] = {picture_make(55, 28, 5), picture_make(20, 20, 6),
                            picture_make(28, 55, 7)};
    vl2_session *session = open_session(mini);
    vl2_answer answer = about(session, images, 2);
    assert_int_equal(answer.tiles, 3 + 2);
    /* The small square picture's global view is its only local tile. */
    assert_int_equal(answer.tiles_encoded, 3 + 1);
    assert_int_equal(answer.image_tokens, (6 + 1 + 2 * 5) + 13);
    vl2_answer_clear(&answer);
    answer = about(session, images, 3); /* a third picture: no tiling any more */
    assert_int_equal(answer.tiles, 6);
    assert_int_equal(answer.tiles_encoded, 1); /* two global views are there already */
    assert_int_equal(answer.image_tokens, 3 * 13);
    vl2_answer_clear(&answer);
    answer = about(session, images, 1); /* and back */
    assert_int_equal(answer.tiles, 3);
    vl2_answer_clear(&answer);
    vl2_image *equal[2] = {picture_make(55, 28, 8), picture_make(55, 28, 8)};
    answer = about(session, equal, 2);
    assert_int_equal(answer.tiles, 6);
    assert_int_equal(answer.tiles_encoded, 3); /* equal pixels, encoded once */
    vl2_answer_clear(&answer);
    for (int i = 0; i < 3; i++) {
        vl2_image_release(images[i]);
    }
    vl2_image_release(equal[0]);
    vl2_image_release(equal[1]);
    vl2_session_close(session);
}

/* Two pictures of the padding's grey, wide and tall: the same tiles in another arrangement. What
 * is in the cache of the one must not serve the other. */
static void test_equal_tiles(void **state)
{
    (void)state;
    vl2_image *wide = picture_plain(56, 28, 127), *tall = picture_plain(28, 56, 127);
    vl2_session *session = open_session(mini);
    vl2_answer answer = about(session, &wide, 1);
    assert_int_equal(answer.tiles, 3);
    assert_int_equal(answer.tiles_encoded, 1);
    vl2_answer_clear(&answer);
    answer = about(session, &tall, 1);
    assert_int_equal(answer.image_tokens, 6 + 1 + 4 * 3);
    assert_true(answer.reused_tokens < 12); /* what stands before the picture */
    vl2_answer_clear(&answer);
    vl2_image_release(wide);
    vl2_image_release(tall);
    vl2_session_close(session);
}

/* Conversations that cannot be answered leave the session as it was. */
static void test_bad_conversations(void **state)
{
    (void)state;
    vl2_session *session = open_session(mini);
    vl2_image *image = picture_make(50, 50, 9);
    vl2_conversation *good = conversation_of("Hello", NULL, 0);
    vl2_conversation *bad[] = {
        conversation_of("<image> and <image>", &image, 1), conversation_of("none", &image, 1),
        conversation_of("<image>", NULL, 0), conversation_of("", NULL, 0),
        conversation_of("Hello", NULL, 0), conversation_of("Hello", NULL, 0)};
    vl2_conversation_clear(bad[3]);
    conversation_add(bad[4], "assistant", "I see <image>", NULL, 0);
    conversation_add(bad[5], "system", "Be kind", NULL, 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vl2_answer answer;
        vl2_error error = {VL2_OK, ""};
        assert_int_equal(
            vl2_session_generate(session, bad[i], NULL, NULL, NULL, &answer, &error),
            VL2_ERROR_INPUT);
        assert_true(error.message[0] != '\0');
        vl2_answer_clear(&answer);
        expect_as_fresh(session, good);
        vl2_conversation_close(bad[i]);
    }
    vl2_error error = {VL2_OK, ""};
    assert_int_equal(vl2_conversation_add(good, "User", "x", 1, NULL, 0, &error), VL2_ERROR_INPUT);
    assert_non_null(strstr(error.message, "User"));
    assert_int_equal(vl2_conversation_count(good), 1);
    vl2_conversation_close(good);
    vl2_image_release(image);
    vl2_session_close(session);
}

/* Text in the last assistant turn is continued. */
static void test_prefix(void **state)
{
    (void)state;
    vl2_session *session = open_session(mini);
    vl2_conversation *conversation = conversation_of("Tell me a story.", NULL, 0);
    const vl2_generate_options options = tokens(4);
    vl2_answer empty = ask(session, conversation, &options, NULL);
    conversation_add(conversation, "assistant", "", NULL, 0);
    vl2_answer same = ask(session, conversation, &options, NULL);
    expect_equal_answers(&empty, &same);
    vl2_conversation_remove_last(conversation);
    conversation_add(conversation, "assistant", "Once upon", NULL, 0);
    vl2_answer longer = ask(session, conversation, &options, NULL);
    assert_true(longer.prompt_tokens > empty.prompt_tokens);
    assert_int_equal(longer.reused_tokens, empty.prompt_tokens);
    expect_as_fresh(session, conversation);
    vl2_answer_clear(&empty);
    vl2_answer_clear(&same);
    vl2_answer_clear(&longer);
    vl2_conversation_close(conversation);
    vl2_session_close(session);
}

/* ---------------------------------------------------------------------------- threads */

typedef struct worker {
    int number;
    vl2_answer answers[3];
} worker;

static void *work(void *user)
{
    worker *w = user;
    vl2_session *session = NULL;
    vl2_session_options session_options;
    vl2_session_options_defaults(&session_options);
    session_options.context = 1000;
    session_options.threads = 1 + w->number;
    if (vl2_session_open(mini, &session_options, &session, NULL) != VL2_OK) {
        return user;
    }
    void *failed = NULL;
    for (int i = 0; i < 3; i++) {
        vl2_image *image = NULL;
        vl2_conversation *conversation = NULL;
        uint8_t pixels[40 * 30 * 3];
        memset(pixels, 20 + 60 * w->number + i, sizeof(pixels));
        const vl2_generate_options options = tokens(15);
        if (vl2_image_from_rgb(pixels, 40, 30, 120, &image, NULL) != VL2_OK ||
            vl2_conversation_create(&conversation, NULL) != VL2_OK ||
            vl2_conversation_add(conversation, "user", "<image>Why?", 11, &image, 1, NULL) !=
                VL2_OK ||
            vl2_session_generate(session, conversation, &options, NULL, NULL, &w->answers[i],
                                 NULL) != VL2_OK) {
            failed = user;
        }
        vl2_conversation_close(conversation);
        vl2_image_release(image);
    }
    vl2_session_close(session);
    return failed;
}

static void test_two_sessions(void **state)
{
    (void)state;
    worker together[2] = {{.number = 0}, {.number = 1}}, alone[2] = {{.number = 0}, {.number = 1}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, work, &together[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    for (int i = 0; i < 2; i++) {
        assert_null(work(&alone[i]));
        for (int a = 0; a < 3; a++) {
            expect_equal_answers(&together[i].answers[a], &alone[i].answers[a]);
            vl2_answer_clear(&together[i].answers[a]);
            vl2_answer_clear(&alone[i].answers[a]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streaming),  cmocka_unit_test(test_end),
        cmocka_unit_test(test_stop),       cmocka_unit_test(test_max_tokens),
        cmocka_unit_test(test_context),    cmocka_unit_test(test_options),
        cmocka_unit_test(test_cancel),     cmocka_unit_test(test_declined),
        cmocka_unit_test(test_turns),      cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_equal_tiles), cmocka_unit_test(test_bad_conversations),
        cmocka_unit_test(test_prefix),     cmocka_unit_test(test_two_sessions),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
