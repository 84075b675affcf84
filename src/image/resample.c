#include "image/resample.h"

#include "base/alloc.h"

#include <math.h>
#include <string.h>

/* Coefficients are fixed-point numbers with this many bits after the point: 8 bits for the sample,
 * 2 for sums that leave the range on both sides. */
#define PRECISION_BITS (32 - 8 - 2)

/* The weights of one output line: `count` input pixels from `first`. */
typedef struct window {
    int first, count;
    const int32_t *weights; /* [count] */
} window;

/* Windows of all output positions along one axis. */
typedef struct filter {
    window *windows; /* [outputs] */
    int32_t *weights;
    double *scratch; /* one window */
} filter;

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    }
    if (x < 2.0) {
        return (((x - 5) * x + 8) * x - 4) * a;
    }
    return 0.0;
}

static void filter_free(filter *filter)
{
    base_free(filter->windows);
    base_free(filter->weights);
    base_free(filter->scratch);
}

/* Weights of the window around `centre`, normalised in double precision, then fixed. */
static void fill_window(window *window, int32_t *weights, double *scratch, double centre,
                        double inverse_scale)
{
    double sum = 0;
    for (int i = 0; i < window->count; i++) {
        scratch[i] = bicubic((i + window->first - centre + 0.5) * inverse_scale);
        sum += scratch[i];
    }
    for (int i = 0; i < window->count; i++) {
        double weight = sum != 0.0 ? scratch[i] / sum : scratch[i];
        weights[i] = (int32_t)((weight < 0 ? -0.5 : 0.5) + weight * (1 << PRECISION_BITS));
    }
    window->weights = weights;
}

/* precompute_coeffs of Resample.c for the whole input: each step in the same order, since rounding
 * decides. */
static bool filter_create(filter *filter, int inputs, int outputs)
{
    double scale = (double)inputs / outputs;
    double filter_scale = scale < 1.0 ? 1.0 : scale;
    double support = 2.0 * filter_scale;
    double inverse_scale = 1.0 / filter_scale;
    size_t most = (size_t)ceil(support) * 2 + 1;
    size_t total;
    bool fits = base_multiply((size_t)outputs, most, &total);
    filter->windows = base_malloc((size_t)outputs, sizeof(window));
    filter->weights = fits ? base_malloc(total, sizeof(int32_t)) : NULL;
    filter->scratch = base_malloc(most, sizeof(double));
    if (filter->windows == NULL || filter->weights == NULL || filter->scratch == NULL) {
        filter_free(filter);
        return false;
    }
    for (int i = 0; i < outputs; i++) {
        double centre = (i + 0.5) * scale;
        int first = (int)(centre - support + 0.5);
        int end = (int)(centre + support + 0.5);
        window *window = &filter->windows[i];
        window->first = first < 0 ? 0 : first;
        window->count = (end > inputs ? inputs : end) - window->first;
        fill_window(window, filter->weights + (size_t)i * most, filter->scratch, centre,
                    inverse_scale);
    }
    return true;
}

static inline uint8_t clip8(int32_t sum)
{
    int32_t value = sum >> PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* One row of the horizontal pass: [inputs, 3] -> [outputs, 3]. */
static void resample_row(const uint8_t *restrict source, uint8_t *restrict target,
                         const filter *filter, int outputs)
{
    for (int x = 0; x < outputs; x++, target += 3) {
        const window *window = &filter->windows[x];
        const int32_t *weights = window->weights;
        const uint8_t *pixel = source + (size_t)window->first * 3;
        int32_t red = 1 << (PRECISION_BITS - 1), green = red, blue = red;
        for (int i = 0; i < window->count; i++, pixel += 3) {
            int32_t weight = weights[i];
            red += pixel[0] * weight;
            green += pixel[1] * weight;
            blue += pixel[2] * weight;
        }
        target[0] = clip8(red);
        target[1] = clip8(green);
        target[2] = clip8(blue);
    }
}

static void add_row(int32_t *restrict sums, const uint8_t *restrict row, int32_t weight,
                    size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        sums[i] += row[i] * weight;
    }
}

static vl2_status resample_horizontal(const image_rgb *source, int width, image_rgb *out,
                                      vl2_error *error)
{
    filter filter;
    if (!filter_create(&filter, source->width, width)) {
        return vl2_fail_memory(error, "resampling weights", (size_t)source->width * 16);
    }
    vl2_status status = image_create(width, source->height, out, error);
    for (int y = 0; status == VL2_OK && y < source->height; y++) {
        resample_row(source->pixels + (size_t)y * (size_t)source->width * 3,
                     out->pixels + (size_t)y * (size_t)width * 3, &filter, width);
    }
    filter_free(&filter);
    return status;
}

/* Row by row: whole input rows are added up, so that memory is read in its order. */
static vl2_status resample_vertical(const image_rgb *source, int height, image_rgb *out,
                                    vl2_error *error)
{
    filter filter;
    if (!filter_create(&filter, source->height, height)) {
        return vl2_fail_memory(error, "resampling weights", (size_t)source->height * 16);
    }
    size_t samples = (size_t)source->width * 3;
    int32_t *sums = base_malloc(samples, sizeof(int32_t));
    vl2_status status = sums == NULL ? vl2_fail_memory(error, "a row of sums", samples * 4)
                                     : image_create(source->width, height, out, error);
    for (int y = 0; status == VL2_OK && y < height; y++) {
        const window *window = &filter.windows[y];
        for (size_t i = 0; i < samples; i++) {
            sums[i] = 1 << (PRECISION_BITS - 1);
        }
        for (int i = 0; i < window->count; i++) {
            add_row(sums, source->pixels + (size_t)(window->first + i) * samples,
                    window->weights[i], samples);
        }
        uint8_t *target = out->pixels + (size_t)y * samples;
        for (size_t i = 0; i < samples; i++) {
            target[i] = clip8(sums[i]);
        }
    }
    base_free(sums);
    filter_free(&filter);
    return status;
}

/* Of the same size: Pillow skips a pass whose side does not change. */
static vl2_status copy(const image_rgb *source, image_rgb *out, vl2_error *error)
{
    vl2_status status = image_create(source->width, source->height, out, error);
    if (status == VL2_OK) {
        memcpy(out->pixels, source->pixels, (size_t)source->width * (size_t)source->height * 3);
    }
    return status;
}

/* Pillow resamples horizontally first, except where the height shrinks much more than the
 * width: 13.0 (pull request 9549, "if height is scaled down significantly more than width, resize
 * vertically first"). The order shows in the rounding. What "much" is was found from its results:
 * pictures that lose 1.5 times as many rows as columns go horizontally first, those that lose 4.4
 * times as many vertically. */
static bool vertical_first(const image_rgb *source, int width, int height)
{
    return source->height > height &&
           (int64_t)source->height - height > 2 * ((int64_t)source->width - width);
}

vl2_status image_resize(const image_rgb *source, int width, int height, image_rgb *out,
                        vl2_error *error)
{
    bool horizontal = source->width != width, vertical = source->height != height;
    if (!horizontal && !vertical) {
        return copy(source, out, error);
    }
    if (!vertical) {
        return resample_horizontal(source, width, out, error);
    }
    if (!horizontal) {
        return resample_vertical(source, height, out, error);
    }
    bool rows_first = vertical_first(source, width, height);
    image_rgb between;
    vl2_status status = rows_first ? resample_vertical(source, height, &between, error)
                                   : resample_horizontal(source, width, &between, error);
    if (status == VL2_OK) {
        status = rows_first ? resample_horizontal(&between, width, out, error)
                            : resample_vertical(&between, height, out, error);
        image_free(&between);
    }
    return status;
}

/* Python's round(): half to even. */
static int round_half_even(double value)
{
    double below = floor(value), rest = value - below;
    bool up = rest > 0.5 || (rest == 0.5 && fmod(below, 2) != 0);
    return (int)(below + (up ? 1 : 0));
}

image_placement image_place(int width, int height, int canvas_width, int canvas_height)
{
    image_placement place = {canvas_width, canvas_height, 0, 0};
    double ratio = (double)width / height;
    double canvas_ratio = (double)canvas_width / canvas_height;
    if (ratio > canvas_ratio) {
        place.height = round_half_even((double)height / width * canvas_width);
    } else if (ratio < canvas_ratio) {
        place.width = round_half_even((double)width / height * canvas_height);
    }
    if (place.width != canvas_width) {
        place.x = round_half_even((canvas_width - place.width) * 0.5);
    } else if (place.height != canvas_height) {
        place.y = round_half_even((canvas_height - place.height) * 0.5);
    }
    return place;
}

static void paste(image_rgb *canvas, const image_rgb *picture, int left, int top)
{
    for (int y = 0; y < picture->height; y++) {
        memcpy(canvas->pixels + ((size_t)(top + y) * (size_t)canvas->width + (size_t)left) * 3,
               picture->pixels + (size_t)y * (size_t)picture->width * 3,
               (size_t)picture->width * 3);
    }
}

vl2_status image_pad(const image_rgb *source, int width, int height, const uint8_t fill[3],
                     image_rgb *out, vl2_error *error)
{
    image_placement place = image_place(source->width, source->height, width, height);
    if (place.width == width && place.height == height) {
        return image_resize(source, width, height, out, error);
    }
    image_rgb canvas, picture = {0, 0, NULL};
    vl2_status status = image_create(width, height, &canvas, error);
    if (status != VL2_OK) {
        return status;
    }
    size_t pixels = (size_t)width * (size_t)height;
    for (size_t i = 0; i < pixels; i++) {
        memcpy(canvas.pixels + 3 * i, fill, 3);
    }
    if (place.width > 0 && place.height > 0) {
        status = image_resize(source, place.width, place.height, &picture, error);
    }
    if (status != VL2_OK) {
        image_free(&canvas);
        return status;
    }
    if (picture.pixels != NULL) {
        paste(&canvas, &picture, place.x, place.y);
    }
    image_free(&picture);
    *out = canvas;
    return VL2_OK;
}
