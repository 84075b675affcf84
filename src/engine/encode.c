/* Pictures to embedding rows: the vision tower and the projector on the tiles that are needed. */
#include "engine/session.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "model/projector.h"
#include "model/vision.h"

#include <math.h>
#include <string.h>

/* Tiles that go through the tower together: each weight is widened once for them. */
#define TILES_AT_ONCE 2

typedef struct tile_job {
    const picture *picture;
    size_t tile;  /* of the picture */
    size_t store; /* index in the store */
} tile_job;

typedef struct encoder {
    vl2_session *session;
    vision_workspace vision;
    projector_workspace projector;
    float *pixels;   /* [TILES_AT_ONCE, 3, side, side] */
    float *features; /* [TILES_AT_ONCE, grid^2, width] */
    float *rows;     /* [TILES_AT_ONCE, cells^2, hidden] of the projector */
    double *stages;  /* [TILES_AT_ONCE, 2 + layers] */
} encoder;

static void encoder_close(encoder *encoder)
{
    vision_workspace_close(&encoder->vision);
    projector_workspace_close(&encoder->projector);
    base_free(encoder->pixels);
    base_free(encoder->features);
    base_free(encoder->rows);
    base_free(encoder->stages);
}

static vl2_status encoder_open(vl2_session *session, encoder *encoder, vl2_error *error)
{
    const vl2_model *model = session->model;
    const vision_config *vision = &model->config.vision;
    size_t side = (size_t)vision->image_size, patches = (size_t)vision->grid * (size_t)vision->grid;
    memset(encoder, 0, sizeof(*encoder));
    encoder->session = session;
    encoder->pixels = base_alloc_aligned(TILES_AT_ONCE * 3 * side * side, sizeof(float));
    encoder->features =
        base_alloc_aligned(TILES_AT_ONCE * patches * (size_t)vision->width, sizeof(float));
    encoder->rows = base_alloc_aligned(TILES_AT_ONCE * tile_row_floats(model), sizeof(float));
    encoder->stages = base_calloc(TILES_AT_ONCE * (2 + (size_t)vision->layers), sizeof(double));
    vl2_status status = VL2_OK;
    if (encoder->pixels == NULL || encoder->features == NULL || encoder->rows == NULL ||
        encoder->stages == NULL) {
        status = vl2_fail_memory(error, "tiles", TILES_AT_ONCE * 3 * side * side * sizeof(float));
    }
    if (status == VL2_OK) {
        status = vision_workspace_open(vision, &model->weights->vision, TILES_AT_ONCE,
                                       &session->compute, &encoder->vision, error);
    }
    if (status == VL2_OK) {
        status = projector_workspace_open(&model->config.projector, &model->weights->projector,
                                          vision->grid, TILES_AT_ONCE, &session->compute,
                                          &encoder->projector, error);
    }
    if (status != VL2_OK) {
        encoder_close(encoder);
    }
    return status;
}

static uint64_t encoder_memory(const encoder *encoder)
{
    const vl2_model *model = encoder->session->model;
    const vision_config *vision = &model->config.vision;
    size_t side = (size_t)vision->image_size, patches = (size_t)vision->grid * (size_t)vision->grid;
    size_t floats = TILES_AT_ONCE * (3 * side * side + patches * (size_t)vision->width +
                                     tile_row_floats(model));
    return floats * sizeof(float) + vision_workspace_memory(&encoder->vision) +
           projector_workspace_memory(&encoder->projector);
}

vl2_status session_measure_encoder(vl2_session *session, uint64_t *bytes, vl2_error *error)
{
    encoder encoder;
    vl2_status status = encoder_open(session, &encoder, error);
    if (status == VL2_OK) {
        *bytes = encoder_memory(&encoder);
        encoder_close(&encoder);
    }
    return status;
}

/* A tile's bytes [side, side, 3] to the tower's input [3, side, side]. */
static void normalize_tile(const vl2_model *model, const uint8_t *bytes, float *pixels)
{
    size_t area = (size_t)model->config.vision.image_size * (size_t)model->config.vision.image_size;
    for (size_t i = 0; i < area; i++) {
        for (size_t channel = 0; channel < 3; channel++) {
            pixels[channel * area + i] = model->normalize[channel][bytes[3 * i + channel]];
        }
    }
}

static double norm_of(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i] * x[i];
    }
    return sqrt(sum);
}

static void note_stage(void *user, int step, const float *rows, size_t count)
{
    encoder *encoder = user;
    const vision_config *vision = &encoder->session->model->config.vision;
    size_t patches = (size_t)vision->grid * (size_t)vision->grid;
    size_t floats = patches * (size_t)vision->width;
    for (size_t tile = 0; tile < count / patches; tile++) {
        encoder->stages[tile * (2 + (size_t)vision->layers) + (size_t)(step + 2)] =
            norm_of(rows + tile * floats, floats);
    }
}

/* Encodes count <= TILES_AT_ONCE tiles into the store. */
static vl2_status encode_batch(encoder *encoder, const tile_job *jobs, size_t count,
                               const tile_observer *observer, vl2_error *error)
{
    vl2_session *session = encoder->session;
    const vl2_model *model = session->model;
    const vision_config *vision = &model->config.vision;
    size_t side = (size_t)vision->image_size, area = 3 * side * side;
    size_t row_floats = tile_row_floats(model);
    for (size_t i = 0; i < count; i++) {
        normalize_tile(model, jobs[i].picture->set.pixels + jobs[i].tile * area,
                       encoder->pixels + i * area);
    }
    stage_mark(session->compute.stages, STAGE_TILES);
    vision_encode(&session->compute, &encoder->vision, encoder->pixels, (int)count,
                  encoder->features, observer != NULL ? note_stage : NULL, encoder);
    projector_run(&session->compute, &encoder->projector, encoder->features, (int)count,
                  encoder->rows);
    stage_mark(session->compute.stages, STAGE_PROJECTOR);
    size_t features = (size_t)vision->grid * (size_t)vision->grid * (size_t)vision->width;
    for (size_t i = 0; i < count; i++) {
        tile_rows *store = &session->pictures.tiles[jobs[i].store];
        if (observer != NULL) {
            observer->tile(observer->user, store->digest, encoder->features + i * features,
                           encoder->rows + i * row_floats,
                           encoder->stages + i * (2 + (size_t)vision->layers));
        }
        store->rows = base_malloc(row_floats, sizeof(float));
        if (store->rows == NULL) {
            return vl2_fail_memory(error, "a tile's rows", row_floats * sizeof(float));
        }
        memcpy(store->rows, encoder->rows + i * row_floats, row_floats * sizeof(float));
    }
    return VL2_OK;
}

/* Lists the tiles that have no rows yet, of pictures that positions first .. need. */
static size_t list_tiles(const vl2_session *session, const prepared_prompt *prepared, size_t first,
                         tile_job *jobs)
{
    size_t count = 0;
    for (size_t run = 0; run < prepared->prompt.run_count; run++) {
        const picture *picture = &session->pictures.pictures[run];
        if (prepared->prompt.runs[run][0] + prepared->prompt.runs[run][1] <= first) {
            continue;
        }
        for (size_t tile = 0; tile < (size_t)picture->set.count; tile++) {
            tile_rows *store = &session->pictures.tiles[picture->tiles[tile]];
            if (store->rows == NULL && !store->wanted) {
                store->wanted = true;
                jobs[count++] = (tile_job){picture, tile, picture->tiles[tile]};
            }
        }
    }
    for (size_t i = 0; i < session->pictures.tile_count; i++) {
        session->pictures.tiles[i].wanted = false;
    }
    return count;
}

static vl2_status encode_all(encoder *encoder, const tile_job *jobs, size_t count,
                             const tile_observer *observer, vl2_error *error)
{
    vl2_session *session = encoder->session;
    double began = clock_seconds();
    session_report(session, VL2_STAGE_VISION, 0, count, began);
    for (size_t at = 0; at < count;) {
        if (atomic_load_explicit(&session->cancelled, memory_order_relaxed)) {
            return vl2_fail(error, VL2_ERROR_CANCELLED, "cancelled while encoding pictures");
        }
        size_t now = count - at < TILES_AT_ONCE ? count - at : TILES_AT_ONCE;
        vl2_status status = encode_batch(encoder, jobs + at, now, observer, error);
        if (status != VL2_OK) {
            return status;
        }
        at += now;
        session_report(session, VL2_STAGE_VISION, at, count, began);
    }
    return VL2_OK;
}

/* With memory for it: that of the vision tower is given back afterwards where memory is short. */
static vl2_status encode_held(encoder *encoder, const tile_job *jobs, size_t count,
                              const tile_observer *observer, vl2_error *error)
{
    vl2_session *session = encoder->session;
    vl2_model *model = session->model;
    const model_weights *weights = model->weights;
    vl2_status status = budget_hold_vision(model, error);
    if (status != VL2_OK) {
        return status;
    }
    status = model_weights_acquire(weights, &weights->vision_records, &session->compute.team,
                                   error);
    if (status == VL2_OK) {
        status = encode_all(encoder, jobs, count, observer, error);
    }
    budget_drop_vision(model);
    return status;
}

static vl2_status encode_jobs(vl2_session *session, const tile_job *jobs, size_t count,
                              const tile_observer *observer, vl2_error *error)
{
    encoder encoder;
    vl2_status status = encoder_open(session, &encoder, error);
    if (status != VL2_OK) {
        return status;
    }
    uint64_t bytes = encoder_memory(&encoder);
    status = budget_hold(session->model, bytes, "encoding pictures", error);
    if (status == VL2_OK) {
        status = encode_held(&encoder, jobs, count, observer, error);
        encoder_close(&encoder);
        budget_drop(session->model, bytes);
        return status;
    }
    encoder_close(&encoder);
    return status;
}

vl2_status session_encode(vl2_session *session, const prepared_prompt *prepared, size_t first,
                          size_t *encoded, const tile_observer *observer, vl2_error *error)
{
    tile_job *jobs = base_calloc(session->pictures.tile_count, sizeof(*jobs));
    if (jobs == NULL) {
        return vl2_fail_memory(error, "tiles", session->pictures.tile_count * sizeof(*jobs));
    }
    size_t count = list_tiles(session, prepared, first, jobs);
    vl2_status status =
        count > 0 ? encode_jobs(session, jobs, count, observer, error) : VL2_OK;
    base_free(jobs);
    *encoded = count;
    return status;
}
