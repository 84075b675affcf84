/* Running a model whose experts do not all fit: the same answers to the last bit, and what happens
 * when reading goes wrong. pread is this file's own, and the ring's reads come through it (--wrap):
 * both fail as they are told to. */
#include "unit/test_model_data.h"

#include "engine/session.h"
#include "weights/pager.h"
#include "weights/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEED   12
#define TOKENS 12

/* ------------------------------------------------------------------------------- faults */

typedef struct faults {
    atomic_long calls;                 /* of pread, and reads of the ring, so far */
    atomic_long fail_from, fail_count; /* calls that fail with EIO: from.. */
    atomic_long most;                  /* bytes of a call; 0: no limit */
    atomic_long ends;                  /* the file seems to end here; 0: where it does */
    atomic_long microseconds;          /* that a call takes longer */
    atomic_long flip_from, flip_count; /* calls that give one wrong bit */
    atomic_bool refuses_direct;        /* EINVAL where O_DIRECT was asked for */
} faults;

static faults now;

static void no_faults(void)
{
    memset(&now, 0, sizeof(now));
}

static void pause_for(long microseconds)
{
    nanosleep(&(struct timespec){microseconds / 1000000, microseconds % 1000000 * 1000}, NULL);
}

static bool is_in(long call, atomic_long *from, atomic_long *count)
{
    return call >= atomic_load(from) && call < atomic_load(from) + atomic_load(count);
}

ssize_t pread(int descriptor, void *to, size_t size, off_t offset)
{
    long call = atomic_fetch_add(&now.calls, 1), most = atomic_load(&now.most);
    long ends = atomic_load(&now.ends), pause = atomic_load(&now.microseconds);
    if (pause > 0) {
        pause_for(pause);
    }
    if (is_in(call, &now.fail_from, &now.fail_count)) {
        errno = EIO;
        return -1;
    }
    if (atomic_load(&now.refuses_direct) && (fcntl(descriptor, F_GETFL) & O_DIRECT)) {
        errno = EINVAL;
        return -1;
    }
    size = most > 0 && size > (size_t)most ? (size_t)most : size;
    ssize_t got = syscall(SYS_pread64, descriptor, to, size, offset);
    if (ends > 0 && got > 0 && offset + got > ends) {
        got = offset < ends ? ends - offset : 0;
    }
    if (got > 0 && is_in(call, &now.flip_from, &now.flip_count)) {
        ((uint8_t *)to)[got / 2] ^= 4;
    }
    return got;
}

ssize_t pread64(int descriptor, void *to, size_t size, off_t offset)
{
    return pread(descriptor, to, size, offset);
}

/* What the ring was last told to read for each index. */
static struct ring_order {
    uint64_t offset;
    uint8_t *to;
} orders[LOADER_DEPTH];
static pthread_mutex_t orders_mutex = PTHREAD_MUTEX_INITIALIZER;

void __real_ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size,
                      uint8_t *to);
void __wrap_ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size,
                      uint8_t *to);
size_t __real_ring_wait(ring *ring, int *result);
size_t __wrap_ring_wait(ring *ring, int *result);

void __wrap_ring_read(ring *ring, size_t index, int descriptor, uint64_t offset, size_t size,
                      uint8_t *to)
{
    pthread_mutex_lock(&orders_mutex);
    orders[index] = (struct ring_order){offset, to};
    pthread_mutex_unlock(&orders_mutex);
    __real_ring_read(ring, index, descriptor, offset, size, to);
}

size_t __wrap_ring_wait(ring *ring, int *result)
{
    size_t index = __real_ring_wait(ring, result);
    pthread_mutex_lock(&orders_mutex);
    const struct ring_order order = orders[index];
    pthread_mutex_unlock(&orders_mutex);
    long call = atomic_fetch_add(&now.calls, 1), most = atomic_load(&now.most);
    long ends = atomic_load(&now.ends), pause = atomic_load(&now.microseconds);
    long offset = (long)order.offset;
    if (pause > 0) {
        pause_for(pause);
    }
    if (is_in(call, &now.fail_from, &now.fail_count)) {
        *result = -EIO;
    } else if (atomic_load(&now.refuses_direct)) {
        *result = -EINVAL;
    } else if (*result > 0) {
        *result = most > 0 && *result > most ? (int)most : *result;
        if (ends > 0 && offset + *result > ends) {
            *result = offset < ends ? (int)(ends - offset) : 0;
        }
        if (*result > 0 && is_in(call, &now.flip_from, &now.flip_count)) {
            order.to[*result / 2] ^= 4;
        }
    }
    return index;
}

/* ------------------------------------------------------------------------------- the model */

typedef struct fixture {
    char folder[FOLDER_SIZE];
    char packed[FOLDER_SIZE + 32];
    float *logits; /* behind the answer of the whole model */
    int32_t tokens[TOKENS];
    size_t vocabulary;
} fixture;

static vl2_model *open_paged(const char *path, size_t slots)
{
    vl2_model_options options;
    vl2_model *model;
    vl2_error error;
    vl2_model_options_defaults(&options);
    options.slots = slots;
    if (vl2_model_open(path, &options, &model, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    return model;
}

/* A session of two threads on a model of its own, and both ended. */
static vl2_session *start(const fixture *f, size_t slots)
{
    return session_open_or_fail(open_paged(f->packed, slots), 500, 16, 2);
}

static void end(vl2_session *session)
{
    vl2_model *model = session->model;
    vl2_session_close(session);
    vl2_model_close(model);
}

static void check(const fixture *f, vl2_session *session, vl2_answer *got)
{
    vl2_error error;
    if (answer_two_pictures(session, TOKENS, got, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(got->token_count, TOKENS);
    assert_memory_equal(f->tokens, got->tokens, sizeof(f->tokens));
    assert_memory_equal(f->logits, session->logits, f->vocabulary * sizeof(float));
}

static void check_same(const fixture *f, vl2_session *session)
{
    vl2_answer got;
    check(f, session, &got);
    vl2_answer_clear(&got);
}

/* Packs the model and notes what it answers from the mapped file. */
static void expect_of(fixture *f, const char *quant)
{
    vl2_answer got;
    vl2_error error;
    pack_or_fail(f->folder, f->packed, quant, 0);
    vl2_model *model = model_open_or_fail(f->packed);
    vl2_session *session = session_open_or_fail(model, 500, 16, 1);
    if (answer_two_pictures(session, TOKENS, &got, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(got.token_count, TOKENS);
    assert_int_equal(got.paging.uses, 0);
    f->vocabulary = (size_t)model->config.language.vocabulary;
    free(f->logits);
    f->logits = malloc(f->vocabulary * sizeof(float));
    assert_non_null(f->logits);
    memcpy(f->logits, session->logits, f->vocabulary * sizeof(float));
    memcpy(f->tokens, got.tokens, sizeof(f->tokens));
    vl2_answer_clear(&got);
    vl2_session_close(session);
    vl2_model_close(model);
}

static int set_up(void **state)
{
    static fixture f;
    synth_shape shape;
    folder_make(f.folder);
    miniature(&shape);
    shape.language.n_routed_experts = 16;
    shape.language.num_hidden_layers = 5;
    shape.language.moe_intermediate_size = 120;
    shape.language.hidden_size = 48;
    miniature_write(&shape, SEED, 0, f.folder);
    snprintf(f.packed, sizeof(f.packed), "%s/packed.vl2", f.folder);
    expect_of(&f, "int4");
    *state = &f;
    return 0;
}

static int set_up_ring(void **state)
{
    assert_int_equal(setenv("VL2_URING", "", 1), 0);
    return set_up(state);
}

static int set_up_threads(void **state)
{
    assert_int_equal(setenv("VL2_URING", "0", 1), 0);
    return set_up(state);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    free(f->logits);
    f->logits = NULL;
    folder_remove(f->folder);
    return 0;
}

/* ------------------------------------------------------------------------------- tests */

/* Raw and compressed records; any number of slots and threads; twice in one session's life. */
static void test_same_answers(void **state)
{
    static const char *const presets[] = {"bf16", "int8", "mixed", "int4"};
    static const size_t slots[] = {6, 7, 20, 64};
    fixture *f = *state;
    no_faults();
    for (size_t p = 0; p < sizeof(presets) / sizeof(presets[0]); p++) {
        expect_of(f, presets[p]);
        for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
            vl2_model *model = open_paged(f->packed, slots[i]);
            vl2_answer got;
            for (int threads = 1; threads <= 3; threads += 2) {
                vl2_session *session = session_open_or_fail(model, 500, 16, threads);
                check(f, session, &got);
                assert_int_equal(got.paging.slots, slots[i]);
                assert_true(got.paging.uses > 4 * TOKENS);
                assert_true(got.paging.hits <= got.paging.uses);
                assert_true(got.paging.early_used <= got.paging.early + slots[i]);
                if (threads == 1) {
                    assert_true(got.paging.bytes > 0);
                }
                vl2_answer_clear(&got);
                vl2_session_close(session);
            }
            vl2_model_close(model);
        }
    }
}

/* Reads go the way that is meant to be tested. */
static void test_way(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_session *session = start(f, 8);
    vl2_answer got;
    check(f, session, &got);
    if (strcmp(getenv("VL2_URING"), "0") == 0) {
        assert_false(got.paging.uring);
    } else if (!got.paging.uring) {
        print_message("no io_uring, or no direct reading, here: threads read\n");
    }
    vl2_answer_clear(&got);
    end(session);
}

/* With room for all, everything is read once. */
static void test_reads_once(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_session *session = start(f, 64);
    vl2_answer got;
    check(f, session, &got);
    assert_true(got.paging.reads <= 64);
    vl2_answer_clear(&got);
    check(f, session, &got);
    assert_true(got.paging.reads <= 64);
    vl2_answer_clear(&got);
    assert_true(pager_get_stats(weight_store_pager(session->model->store)).reads <= 64);
    end(session);
}

static void test_budget_changes(void **state)
{
    const fixture *f = *state;
    vl2_error error;
    no_faults();
    vl2_session *session = start(f, 64);
    vl2_model *model = session->model;
    uint64_t fixed = model->budget.base + model->budget.held;
    size_t size = pager_slot_size(weight_store_pack(model->store));
    /* Room for encoding too: some experts more while there is no picture. */
    static const size_t slots[] = {40, 8, 64, 7};
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        assert_int_equal(vl2_model_set_ram(model, fixed + slots[i] * size, &error), VL2_OK);
        assert_int_equal(pager_slots(weight_store_pager(model->store)), slots[i]);
    }
    assert_int_equal(vl2_model_set_ram(model, fixed + 3 * size, &error), VL2_ERROR_MEMORY);
    assert_non_null(strstr(error.message, "would do"));
    assert_int_equal(pager_slots(weight_store_pager(model->store)), 7);
    vl2_answer got;
    /* No room for the vision tower. */
    assert_int_equal(answer_two_pictures(session, TOKENS, &got, &error), VL2_ERROR_MEMORY);
    vl2_answer_clear(&got);
    assert_int_equal(vl2_model_set_ram(model, fixed + ((uint64_t)64 << 20), &error), VL2_OK);
    check_same(f, session);
    end(session);

    model = model_open_or_fail(f->packed);
    assert_int_equal(vl2_model_set_ram(model, 1 << 30, &error), VL2_ERROR_UNSUPPORTED);
    vl2_model_close(model);
}

typedef struct worker {
    const fixture *f;
    vl2_model *model;
    int threads;
} worker;

static void *run_worker(void *context)
{
    const worker *w = context;
    vl2_session *session = session_open_or_fail(w->model, 500, 16, w->threads);
    for (int i = 0; i < 3; i++) {
        check_same(w->f, session);
    }
    vl2_session_close(session);
    return NULL;
}

static void test_sessions_at_once(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_model *model = open_paged(f->packed, 8);
    pthread_t threads[3];
    worker workers[3];
    for (int i = 0; i < 3; i++) {
        workers[i] = (worker){f, model, 1 + i % 2};
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    vl2_model_close(model);
}

static void test_short_reads(void **state)
{
    static const long most[] = {1, 1000, 4096, 5000};
    const fixture *f = *state;
    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
        no_faults();
        vl2_model *model = open_paged(f->packed, 8);
        atomic_store(&now.most, most[i]);
        vl2_session *session = session_open_or_fail(model, 500, 16, 2);
        check_same(f, session);
        vl2_session_close(session);
        vl2_model_close(model);
    }
}

static void test_no_direct_reading(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_session *session = start(f, 8);
    atomic_store(&now.refuses_direct, true);
    check_same(f, session);
    assert_false(loader_is_direct(weight_store_loader(session->model->store)));
    end(session);
}

/* One failure is forgiven, wherever it comes; more than that name the expert, and the session goes
 * on afterwards. */
static void test_read_errors(void **state)
{
    const fixture *f = *state;
    for (long n = 0; n < 60; n += 7) {
        no_faults();
        vl2_session *session = start(f, 8);
        atomic_store(&now.calls, 0);
        atomic_store(&now.fail_from, n);
        atomic_store(&now.fail_count, 1);
        check_same(f, session);
        end(session);
    }
    no_faults();
    vl2_session *session = start(f, 8);
    check_same(f, session); /* now only experts are read */
    vl2_conversation *conversation = conversation_of("what?", NULL, 0);
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    atomic_store(&now.fail_from, 0);
    atomic_store(&now.fail_count, 1L << 40);
    vl2_answer got;
    vl2_error error;
    assert_int_equal(
        vl2_session_generate(session, conversation, &options, NULL, NULL, &got, &error),
        VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "layer "));
    assert_non_null(strstr(error.message, "expert "));
    assert_non_null(strstr(error.message, "at offset "));
    assert_non_null(strstr(error.message, strerror(EIO)));
    vl2_answer_clear(&got);
    vl2_conversation_close(conversation);
    no_faults();
    check_same(f, session);
    end(session);
}

static void test_truncated(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_session *session = start(f, 8);
    check_same(f, session);
    atomic_store(&now.ends, 100000);
    vl2_answer got;
    vl2_error error;
    assert_int_equal(answer_two_pictures(session, TOKENS, &got, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "the file ends there"));
    vl2_answer_clear(&got);
    no_faults();
    check_same(f, session);
    end(session);
}

/* A wrong bit is noticed when a record is read first: read again, it may be right. */
static void test_wrong_bits(void **state)
{
    const fixture *f = *state;
    for (long n = 1; n < 100; n += 9) {
        no_faults();
        vl2_session *session = start(f, 64);
        atomic_store(&now.calls, 0);
        atomic_store(&now.flip_from, n);
        atomic_store(&now.flip_count, 1);
        check_same(f, session);
        end(session);
    }
    no_faults();
    vl2_session *session = start(f, 64);
    atomic_store(&now.flip_count, 1L << 40);
    vl2_answer got;
    vl2_error error;
    assert_int_equal(answer_two_pictures(session, TOKENS, &got, &error), VL2_ERROR_MODEL);
    assert_non_null(strstr(error.message, "found checksum"));
    vl2_answer_clear(&got);
    no_faults();
    check_same(f, session);
    end(session);
}

static void *cancel_soon(void *context)
{
    nanosleep(&(struct timespec){0, 150000000}, NULL);
    vl2_session_cancel(context);
    return NULL;
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* A disk that takes its time: the request can be cancelled while it waits, and the next one is
 * right. */
static void test_slow_disk(void **state)
{
    const fixture *f = *state;
    no_faults();
    vl2_session *session = start(f, 8);
    check_same(f, session);
    atomic_store(&now.microseconds, 700000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, session), 0);
    vl2_conversation *conversation = conversation_of("what?", NULL, 0);
    vl2_generate_options options;
    vl2_generate_options_defaults(&options);
    vl2_answer got;
    vl2_error error;
    double began = seconds();
    assert_int_equal(
        vl2_session_generate(session, conversation, &options, NULL, NULL, &got, &error),
        VL2_ERROR_CANCELLED);
    assert_true(seconds() - began < 5); /* not the half minute that all reads would take */
    vl2_answer_clear(&got);
    vl2_conversation_close(conversation);
    pthread_join(thread, NULL);
    no_faults();
    check_same(f, session);
    end(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_way),
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_reads_once),
        cmocka_unit_test(test_budget_changes),
        cmocka_unit_test(test_sessions_at_once),
        cmocka_unit_test(test_short_reads),
        cmocka_unit_test(test_no_direct_reading),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_wrong_bits),
        cmocka_unit_test(test_slow_disk),
    };
    int failed = cmocka_run_group_tests_name("io_uring", tests, set_up_ring, tear_down);
    return failed + cmocka_run_group_tests_name("threads", tests, set_up_threads, tear_down);
}
