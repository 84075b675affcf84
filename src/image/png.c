/* PNG through libpng: decoded as Pillow does, and written. Chunks that do not change what Pillow's
 * convert("RGB") gives (transparency, gamma, profiles, text) are skipped unread, which also bounds
 * memory. */
#include "image/codec.h"

#include "base/alloc.h"
#include "base/file.h"

#include <png.h>
#include <setjmp.h>
#include <string.h>

typedef struct png_job {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    const char *name;
    vl2_status status; /* of the failure that escaped */
    vl2_error *error;
    bool memory_short;
    /* reading */
    const image_source *source;
    size_t offset; /* bytes consumed */
    image_rgb image;
    png_bytepp rows;
    bool grey16; /* rows arrive as [width] big-endian 16-bit samples */
    /* writing */
    file_writer *writer;
} png_job;

static _Noreturn void escape(png_job *job, vl2_status status)
{
    job->status = status;
    longjmp(job->escape, 1);
}

static _Noreturn void on_error(png_structp png, png_const_charp message)
{
    png_job *job = png_get_error_ptr(png);
    if (job->memory_short) {
        escape(job, vl2_fail_memory(job->error, job->name, 0));
    }
    vl2_status status = job->writer != NULL ? VL2_ERROR_IO : VL2_ERROR_INPUT;
    escape(job, vl2_fail(job->error, status, "%s: %s: %s", job->name,
                         job->writer != NULL ? "PNG cannot be written" : "damaged PNG", message));
}

/* Warnings do not stop Pillow and must not reach stderr. */
static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    (void)message;
}

static png_voidp on_allocate(png_structp png, png_alloc_size_t size)
{
    void *block = base_malloc(size, 1);
    if (block == NULL) {
        png_job *job = png_get_mem_ptr(png);
        job->memory_short = true;
    }
    return block;
}

static void on_release(png_structp png, png_voidp block)
{
    (void)png;
    base_free(block);
}

static void on_read(png_structp png, png_bytep target, size_t size)
{
    png_job *job = png_get_io_ptr(png);
    if (size > job->source->size - job->offset) {
        escape(job,
               vl2_fail(job->error, VL2_ERROR_INPUT, "%s: the PNG file is truncated (%zu bytes)",
                        job->name, job->source->size));
    }
    memcpy(target, job->source->bytes + job->offset, size);
    job->offset += size;
}

/* All that libpng knows beyond IHDR, PLTE, IDAT and IEND. */
static void skip_ancillary_chunks(png_structp png)
{
    static const png_byte ignored[] = "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0"
                                      "pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0tEXt\0tIME\0tRNS\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, ignored, sizeof(ignored) / 5);
}

static void open_reader(png_job *job)
{
    job->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                        on_allocate, on_release);
    job->info = job->png == NULL ? NULL : png_create_info_struct(job->png);
    if (job->info == NULL) {
        escape(job, vl2_fail_memory(job->error, "the PNG decoder", 0));
    }
    png_set_user_limits(job->png, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE);
    skip_ancillary_chunks(job->png);
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    png_set_crc_action(job->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE); /* a fuzzer knows no CRC */
#endif
    png_set_read_fn(job->png, job, on_read);
}

/* The size as IHDR, always the first chunk, says it: known before libpng allocates anything.
 * Another first chunk is left for libpng to complain about. */
static vl2_status check_header(const image_source *source, vl2_error *error)
{
    if (source->size < 24 || memcmp(source->bytes + 12, "IHDR", 4) != 0) {
        return VL2_OK;
    }
    return image_check_size(source, png_get_uint_32(source->bytes + 16),
                            png_get_uint_32(source->bytes + 20), error);
}

static void read_header(png_job *job)
{
    png_read_info(job->png, job->info);
    png_byte colour = png_get_color_type(job->png, job->info);
    job->grey16 = colour == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(job->png, job->info) == 16;
    vl2_status status =
        image_create((int)png_get_image_width(job->png, job->info),
                     (int)png_get_image_height(job->png, job->info), &job->image, job->error);
    if (status == VL2_OK) {
        job->rows = base_malloc((size_t)job->image.height, sizeof(png_bytep));
        status = job->rows == NULL ? vl2_fail_memory(job->error, "the rows of a picture",
                                                     (size_t)job->image.height * sizeof(png_bytep))
                                   : VL2_OK;
    }
    if (status != VL2_OK) {
        escape(job, status);
    }
    for (int y = 0; y < job->image.height; y++) {
        job->rows[y] = job->image.pixels + (size_t)y * (size_t)job->image.width * 3;
    }
}

static void read_rows(png_job *job)
{
    png_structp png = job->png;
    if (!job->grey16) {
        png_set_strip_16(png); /* the high byte */
        png_set_palette_to_rgb(png);
        png_set_expand_gray_1_2_4_to_8(png);
        png_set_gray_to_rgb(png);
        png_set_strip_alpha(png);
    }
    png_set_interlace_handling(png);
    png_read_update_info(png, job->info);
    size_t expected = (size_t)job->image.width * (job->grey16 ? 2 : 3);
    if (png_get_rowbytes(png, job->info) != expected) {
        escape(job,
               vl2_fail(job->error, VL2_ERROR_INPUT, "%s: PNG rows: found %zu bytes, expected %zu",
                        job->name, png_get_rowbytes(png, job->info), expected));
    }
    png_read_image(png, job->rows);
}

/* Pillow clips 16-bit grey at 255 instead of scaling it (mode "I;16" to "L"). In place, from the
 * end, where three bytes per pixel never overtake two. */
static void spread_grey16(uint8_t *row, int width)
{
    for (int x = width - 1; x >= 0; x--) {
        uint8_t value = row[2 * x] != 0 ? 255 : row[2 * x + 1];
        memset(row + 3 * (size_t)x, value, 3);
    }
}

/* Kept apart from the caller, whose variables would not survive the longjmp. */
static vl2_status decode(png_job *job)
{
    if (setjmp(job->escape) != 0) {
        return job->status;
    }
    open_reader(job);
    read_header(job);
    read_rows(job);
    return VL2_OK;
}

vl2_status png_read(const image_source *source, image_rgb *image, vl2_error *error)
{
    vl2_status status = check_header(source, error);
    if (status != VL2_OK) {
        return status;
    }
    png_job *job = base_calloc(1, sizeof(*job));
    if (job == NULL) {
        return vl2_fail_memory(error, "the PNG decoder", sizeof(*job));
    }
    job->name = source->name;
    job->source = source;
    job->error = error;
    status = decode(job);
    for (int y = 0; status == VL2_OK && job->grey16 && y < job->image.height; y++) {
        spread_grey16(job->rows[y], job->image.width);
    }
    if (status == VL2_OK) {
        *image = job->image;
    } else {
        image_free(&job->image);
    }
    png_destroy_read_struct(&job->png, &job->info, NULL);
    base_free(job->rows);
    base_free(job);
    return status;
}

static void on_write(png_structp png, png_bytep bytes, size_t size)
{
    png_job *job = png_get_io_ptr(png);
    vl2_status status = file_writer_write(job->writer, bytes, size, job->error);
    if (status != VL2_OK) {
        escape(job, status);
    }
}

static void on_flush(png_structp png)
{
    (void)png;
}

static vl2_status encode(png_job *job, const image_rgb *image)
{
    if (setjmp(job->escape) != 0) {
        return job->status;
    }
    job->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, job, on_error, on_warning, job,
                                         on_allocate, on_release);
    job->info = job->png == NULL ? NULL : png_create_info_struct(job->png);
    if (job->info == NULL) {
        return vl2_fail_memory(job->error, "the PNG encoder", 0);
    }
    png_set_write_fn(job->png, job, on_write, on_flush);
    png_set_user_limits(job->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(job->png, job->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_write_info(job->png, job->info);
    for (int y = 0; y < image->height; y++) {
        png_write_row(job->png, image->pixels + (size_t)y * (size_t)image->width * 3);
    }
    png_write_end(job->png, job->info);
    return VL2_OK;
}

vl2_status image_write_png(const image_rgb *image, const char *path, vl2_error *error)
{
    file_writer writer;
    vl2_status status = file_writer_open(&writer, path, error);
    if (status != VL2_OK) {
        return status;
    }
    png_job *job = base_calloc(1, sizeof(*job));
    if (job == NULL) {
        file_writer_abandon(&writer);
        return vl2_fail_memory(error, "the PNG encoder", sizeof(*job));
    }
    job->name = path;
    job->error = error;
    job->writer = &writer;
    status = encode(job, image);
    png_destroy_write_struct(&job->png, &job->info);
    base_free(job);
    if (status != VL2_OK) {
        file_writer_abandon(&writer);
        return status;
    }
    return file_writer_commit(&writer, error);
}
