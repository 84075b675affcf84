/* Reading, linear layers, and the way from pixels to embedding rows. The decoder is in
 * oracle_decoder.c. */
#include "oracle.h"

#include <math.h>
#include <string.h>

static void *take(size_t count, size_t size)
{
    void *block = calloc(count > 0 ? count : 1, size);
    assert_non_null(block);
    return block;
}

void oracle_open(const char *folder, oracle *o)
{
    char path[4200];
    vl2_error error;
    snprintf(path, sizeof(path), "%s/config.json", folder);
    o->root = json_load_file(path, 0, NULL);
    assert_non_null(o->root);
    o->vision = json_object_get(o->root, "vision_config");
    o->projector = json_object_get(o->root, "projector_config");
    o->language = json_object_get(o->root, "language_config");
    if (checkpoint_open(folder, &o->checkpoint, &error) != VL2_OK) {
        fail_msg("%s", error.message);
    }
}

void oracle_close(oracle *o)
{
    checkpoint_close(o->checkpoint);
    json_decref(o->root);
}

int oracle_integer(const json_t *object, const char *key, int fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (int)json_integer_value(value) : fallback;
}

double oracle_number(const json_t *object, const char *key, double fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

/* ---------------------------------------------------------------------------- tensors */

/* IEEE half precision, by its definition. */
static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

static double element(const tensor_view *tensor, size_t i)
{
    const uint8_t *bytes = (const uint8_t *)tensor->data + i * data_type_size(tensor->type);
    uint16_t narrow;
    float wide;
    if (tensor->type == DATA_F32) {
        memcpy(&wide, bytes, sizeof(wide));
        return (double)wide;
    }
    memcpy(&narrow, bytes, sizeof(narrow));
    if (tensor->type == DATA_F16) {
        return half_value(narrow);
    }
    uint32_t bits = (uint32_t)narrow << 16;
    memcpy(&wide, &bits, sizeof(wide));
    return (double)wide;
}

static double *widen(const tensor_view *tensor, size_t *count)
{
    *count = (size_t)tensor_elements(tensor);
    double *numbers = take(*count, sizeof(double));
    for (size_t i = 0; i < *count; i++) {
        numbers[i] = element(tensor, i);
    }
    return numbers;
}

double *oracle_tensor(const oracle *o, size_t *count, const char *format, ...)
{
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    const tensor_view *tensor = checkpoint_find(o->checkpoint, name);
    if (tensor == NULL) {
        fail_msg("%s is missing", name);
    }
    size_t elements;
    double *numbers = widen(tensor, &elements);
    if (count != NULL) {
        *count = elements;
    }
    return numbers;
}

double *oracle_linear(const oracle *o, const double *x, size_t count, size_t inputs,
                      size_t *outputs, const char *format, ...)
{
    char name[200], full[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    size_t elements;
    double *weights = oracle_tensor(o, &elements, "%s.weight", name);
    assert_int_equal(elements % inputs, 0);
    size_t rows = elements / inputs;
    snprintf(full, sizeof(full), "%s.bias", name);
    const tensor_view *stored = checkpoint_find(o->checkpoint, full);
    double *bias = stored != NULL ? widen(stored, &elements) : take(rows, sizeof(double));
    double *y = take(count * rows, sizeof(double));
    for (size_t t = 0; t < count; t++) {
        for (size_t r = 0; r < rows; r++) {
            double sum = 0;
            for (size_t i = 0; i < inputs; i++) {
                sum += x[t * inputs + i] * weights[r * inputs + i];
            }
            y[t * rows + r] = sum + bias[r];
        }
    }
    free(weights);
    free(bias);
    if (outputs != NULL) {
        *outputs = rows;
    }
    return y;
}

/* ---------------------------------------------------------------------------- vision */

/* nn.LayerNorm with eps 1e-6. */
static double *layer_norm(const oracle *o, const double *x, size_t count, size_t width,
                          const char *name)
{
    double *weight = oracle_tensor(o, NULL, "%s.weight", name);
    double *bias = oracle_tensor(o, NULL, "%s.bias", name);
    double *y = take(count * width, sizeof(double));
    for (size_t t = 0; t < count; t++) {
        double mean = 0, variance = 0;
        for (size_t i = 0; i < width; i++) {
            mean += x[t * width + i] / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            double difference = x[t * width + i] - mean;
            variance += difference * difference / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            y[t * width + i] =
                (x[t * width + i] - mean) / sqrt(variance + 1e-6) * weight[i] + bias[i];
        }
    }
    free(weight);
    free(bias);
    return y;
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double gelu_erf(double x)
{
    return 0.5 * x * (1 + erf(x / sqrt(2.0)));
}

/* Weighted mean of rows v[j * stride ..] with the weights softmax(scores). */
static void attend(double *scores, size_t count, const double *v, size_t stride, size_t width,
                   double *out)
{
    double largest = -INFINITY, sum = 0;
    for (size_t j = 0; j < count; j++) {
        largest = fmax(largest, scores[j]);
    }
    for (size_t j = 0; j < count; j++) {
        scores[j] = exp(scores[j] - largest);
        sum += scores[j];
    }
    for (size_t i = 0; i < width; i++) {
        out[i] = 0;
        for (size_t j = 0; j < count; j++) {
            out[i] += scores[j] / sum * v[j * stride + i];
        }
    }
}

/* Attention of one block: qkv reshaped to [N, 3, heads, head_dim]; every patch sees every patch. */
static double *vision_attention(const oracle *o, const double *x, size_t patches, size_t width,
                                int block)
{
    size_t heads = (size_t)oracle_integer(o->vision, "heads", 16), depth = width / heads;
    double *qkv = oracle_linear(o, x, patches, width, NULL, "vision.blocks.%d.attn.qkv", block);
    double *mixed = take(patches * width, sizeof(double));
    double *scores = take(patches, sizeof(double));
    for (size_t h = 0; h < heads; h++) {
        for (size_t t = 0; t < patches; t++) {
            const double *q = qkv + t * 3 * width + h * depth;
            for (size_t j = 0; j < patches; j++) {
                const double *k = qkv + j * 3 * width + width + h * depth;
                scores[j] = 0;
                for (size_t i = 0; i < depth; i++) {
                    scores[j] += q[i] * k[i];
                }
                scores[j] /= sqrt((double)depth);
            }
            attend(scores, patches, qkv + 2 * width + h * depth, 3 * width, depth,
                   mixed + t * width + h * depth);
        }
    }
    double *y = oracle_linear(o, mixed, patches, width, NULL, "vision.blocks.%d.attn.proj", block);
    free(scores);
    free(mixed);
    free(qkv);
    return y;
}

/* x += y; frees y. */
static void add(double *x, double *y, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        x[i] += y[i];
    }
    free(y);
}

static void vision_block(const oracle *o, double *x, size_t patches, size_t width, int block)
{
    char name[64];
    snprintf(name, sizeof(name), "vision.blocks.%d.norm1", block);
    double *normed = layer_norm(o, x, patches, width, name);
    add(x, vision_attention(o, normed, patches, width, block), patches * width);
    free(normed);
    snprintf(name, sizeof(name), "vision.blocks.%d.norm2", block);
    normed = layer_norm(o, x, patches, width, name);
    size_t inner;
    double *hidden =
        oracle_linear(o, normed, patches, width, &inner, "vision.blocks.%d.mlp.fc1", block);
    for (size_t i = 0; i < patches * inner; i++) {
        hidden[i] = gelu_tanh(hidden[i]);
    }
    add(x, oracle_linear(o, hidden, patches, inner, NULL, "vision.blocks.%d.mlp.fc2", block),
        patches * width);
    free(hidden);
    free(normed);
}

/* nn.Conv2d with kernel and stride of the patch size, flattened to rows. */
static double *patch_embedding(const oracle *o, const uint8_t *pixels, size_t side, size_t patch,
                               size_t width)
{
    size_t grid = side / patch;
    double *kernel = oracle_tensor(o, NULL, "vision.patch_embed.proj.weight");
    double *bias = oracle_tensor(o, NULL, "vision.patch_embed.proj.bias");
    double *y = take(grid * grid * width, sizeof(double));
    for (size_t cell = 0; cell < grid * grid; cell++) {
        for (size_t w = 0; w < width; w++) {
            double sum = bias[w];
            for (size_t c = 0; c < 3; c++) {
                for (size_t at = 0; at < patch * patch; at++) {
                    size_t row = cell / grid * patch + at / patch;
                    size_t column = cell % grid * patch + at % patch;
                    double value = pixels[(row * side + column) * 3 + c] / 255.0;
                    sum += (value - 0.5) / 0.5 * kernel[(w * 3 + c) * patch * patch + at];
                }
            }
            y[cell * width + w] = sum;
        }
    }
    free(kernel);
    free(bias);
    return y;
}

double *oracle_vision(const oracle *o, const uint8_t *pixels)
{
    size_t side = (size_t)oracle_integer(o->vision, "image_size", 384);
    size_t patch = (size_t)oracle_integer(o->vision, "patch_size", 16);
    size_t width = (size_t)oracle_integer(o->vision, "width", 1024);
    size_t patches = (side / patch) * (side / patch);
    double *x = patch_embedding(o, pixels, side, patch, width);
    add(x, oracle_tensor(o, NULL, "vision.pos_embed"), patches * width);
    for (int i = 0; i < oracle_integer(o->vision, "layers", 24); i++) {
        vision_block(o, x, patches, width, i);
    }
    double *features = layer_norm(o, x, patches, width, "vision.norm");
    free(x);
    return features;
}

/* ---------------------------------------------------------------------------- projector */

double *oracle_project(const oracle *o, const double *features, size_t *cells)
{
    size_t side = (size_t)oracle_integer(o->vision, "image_size", 384);
    size_t grid = side / (size_t)oracle_integer(o->vision, "patch_size", 16);
    size_t width = (size_t)oracle_integer(o->projector, "input_dim", 1152);
    size_t ratio = (size_t)oracle_integer(o->projector, "downsample_ratio", 2);
    int depth = oracle_integer(o->projector, "depth", 2);
    size_t padded = grid % ratio != 0 ? grid + ratio - grid % ratio : grid;
    size_t out = padded / ratio, inputs = width * ratio * ratio, count = out * out;
    double *x = take(count * inputs, sizeof(double));
    /* F.unfold: channel slowest, then the row and column within the block; padding is zero. */
    for (size_t at = 0; at < padded * padded; at++) {
        size_t row = at / padded, column = at % padded;
        if (row < grid && column < grid) {
            size_t cell = row / ratio * out + column / ratio;
            size_t within = row % ratio * ratio + column % ratio;
            for (size_t c = 0; c < width; c++) {
                x[cell * inputs + c * ratio * ratio + within] =
                    features[(row * grid + column) * width + c];
            }
        }
    }
    for (int i = 0; i < depth; i++) {
        size_t outputs;
        double *y = oracle_linear(o, x, count, inputs, &outputs, "projector.layers.%d", 2 * i);
        for (size_t j = 0; i + 1 < depth && j < count * outputs; j++) {
            y[j] = gelu_erf(y[j]);
        }
        free(x);
        x = y;
        inputs = outputs;
    }
    *cells = out;
    return x;
}

/* ---------------------------------------------------------------------------- joining */

static void append(double *rows, size_t *count, const double *row, size_t hidden)
{
    memcpy(rows + *count * hidden, row, hidden * sizeof(double));
    (*count)++;
}

/* "(th tw) (h w) d -> (th h) (tw w) d", with a newline behind every row. */
static void append_view(double *joined, size_t *count, double *const *tiles, size_t cells,
                        size_t columns, size_t rows, const double *newline, size_t hidden)
{
    for (size_t th = 0; th < rows; th++) {
        for (size_t h = 0; h < cells; h++) {
            for (size_t tw = 0; tw < columns; tw++) {
                for (size_t w = 0; w < cells; w++) {
                    append(joined, count,
                           tiles[th * columns + tw] + (h * cells + w) * hidden, hidden);
                }
            }
            append(joined, count, newline, hidden);
        }
    }
}

double *oracle_join(const oracle *o, double *const *tiles, size_t cells, size_t columns,
                    size_t rows, size_t *count)
{
    const char *place = json_string_value(json_object_get(o->root, "global_view_pos"));
    size_t hidden;
    double *newline = oracle_tensor(o, &hidden, "image_newline");
    double *separator = oracle_tensor(o, NULL, "view_seperator");
    size_t most = cells * (cells + 1) + 1 + cells * rows * (cells * columns + 1);
    double *joined = take(most * hidden, sizeof(double));
    *count = 0;
    if (place == NULL || strcmp(place, "head") == 0) {
        append_view(joined, count, tiles, cells, 1, 1, newline, hidden);
        append(joined, count, separator, hidden);
        append_view(joined, count, tiles + 1, cells, columns, rows, newline, hidden);
    } else {
        append_view(joined, count, tiles + 1, cells, columns, rows, newline, hidden);
        append(joined, count, separator, hidden);
        append_view(joined, count, tiles, cells, 1, 1, newline, hidden);
    }
    assert_int_equal(*count, most);
    free(newline);
    free(separator);
    return joined;
}

double *oracle_embed(const oracle *o, const int32_t *ids, size_t count, int32_t image_id,
                     const double *pictures)
{
    size_t elements, hidden = (size_t)oracle_integer(o->language, "hidden_size", 4096);
    double *table = oracle_tensor(o, &elements, "language.model.embed_tokens.weight");
    double *rows = take(count * hidden, sizeof(double));
    size_t used = 0;
    for (size_t t = 0; t < count; t++) {
        const double *row =
            ids[t] == image_id ? pictures + hidden * used++ : table + hidden * (size_t)ids[t];
        memcpy(rows + t * hidden, row, hidden * sizeof(double));
    }
    free(table);
    return rows;
}
