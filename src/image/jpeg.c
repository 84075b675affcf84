/* JPEG through libjpeg-turbo, decoded as Pillow does: accurate integer inverse DCT, triangle-filter
 * upsampling (both are libjpeg's defaults), and no more scanlines than the file really has. */
#include "image/codec.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

/* A progressive file may repeat scans without end over a picture of any size ("scan bomb"); real
 * files have about ten, and the format's useful maximum is a few hundred. */
#define MAX_SCANS 500

typedef struct jpeg_job {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr input;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    const image_source *source;
    vl2_status status; /* of the failure that escaped */
    vl2_error *error;
    image_rgb image;
    JSAMPLE *cmyk; /* one row [width, 4] */
} jpeg_job;

static jpeg_job *job_of(j_common_ptr common)
{
    return common->client_data;
}

static _Noreturn void escape(jpeg_job *job, vl2_status status)
{
    job->status = status;
    longjmp(job->escape, 1);
}

static void on_error(j_common_ptr common)
{
    jpeg_job *job = job_of(common);
    if (common->err->msg_code == JERR_OUT_OF_MEMORY) {
        escape(job, vl2_fail_memory(job->error, job->source->name, 0));
    }
    char message[JMSG_LENGTH_MAX];
    common->err->format_message(common, message);
    escape(job, vl2_fail(job->error, VL2_ERROR_INPUT, "%s: damaged JPEG: %s", job->source->name,
                         message));
}

/* Warnings do not stop Pillow and must not reach stderr. */
static void on_message(j_common_ptr common)
{
    (void)common;
}

static void on_source(j_decompress_ptr decoder)
{
    (void)decoder;
}

/* All bytes are there from the start: asking for more means that the file ends early. */
static boolean on_more(j_decompress_ptr decoder)
{
    jpeg_job *job = decoder->client_data;
    escape(job, vl2_fail(job->error, VL2_ERROR_INPUT, "%s: the JPEG file is truncated (%zu bytes)",
                         job->source->name, job->source->size));
}

static void on_skip(j_decompress_ptr decoder, long count)
{
    if (count <= 0) {
        return;
    }
    if ((unsigned long)count > decoder->src->bytes_in_buffer) {
        on_more(decoder);
    }
    decoder->src->next_input_byte += count;
    decoder->src->bytes_in_buffer -= (size_t)count;
}

static void on_progress(j_common_ptr common)
{
    jpeg_job *job = job_of(common);
    if (job->decoder.input_scan_number > MAX_SCANS) {
        escape(job, vl2_fail(job->error, VL2_ERROR_INPUT,
                             "%s: JPEG scans: found more than %d, expected at most %d",
                             job->source->name, MAX_SCANS, MAX_SCANS));
    }
}

static void open_source(jpeg_job *job)
{
    job->decoder.err = jpeg_std_error(&job->errors);
    job->errors.error_exit = on_error;
    job->errors.output_message = on_message;
    job->decoder.client_data = job;
    jpeg_create_decompress(&job->decoder);
    job->input.init_source = on_source;
    job->input.fill_input_buffer = on_more;
    job->input.skip_input_data = on_skip;
    job->input.resync_to_restart = jpeg_resync_to_restart;
    job->input.term_source = on_source;
    job->input.next_input_byte = job->source->bytes;
    job->input.bytes_in_buffer = job->source->size;
    job->decoder.src = &job->input;
    job->progress.progress_monitor = on_progress;
    job->decoder.progress = &job->progress;
}

/* Size, layers and depth; chooses the output and allocates it. */
static void read_header(jpeg_job *job)
{
    struct jpeg_decompress_struct *decoder = &job->decoder;
    jpeg_read_header(decoder, TRUE);
    int layers = decoder->num_components;
    if (layers != 1 && layers != 3 && layers != 4) {
        escape(job, vl2_fail(job->error, VL2_ERROR_INPUT,
                             "%s: JPEG colour layers: found %d, expected 1, 3 or 4",
                             job->source->name, layers));
    }
    vl2_status status =
        image_check_size(job->source, decoder->image_width, decoder->image_height, job->error);
    if (status == VL2_OK) {
        status = image_create((int)decoder->image_width, (int)decoder->image_height, &job->image,
                              job->error);
    }
    if (status == VL2_OK && layers == 4) {
        job->cmyk = base_malloc(decoder->image_width, 4);
        status = job->cmyk == NULL ? vl2_fail_memory(job->error, "a row of CMYK pixels",
                                                     (size_t)decoder->image_width * 4)
                                   : VL2_OK;
    }
    if (status != VL2_OK) {
        escape(job, status);
    }
    decoder->out_color_space = layers == 4 ? JCS_CMYK : JCS_RGB;
    decoder->dct_method = JDCT_ISLOW;
    decoder->do_fancy_upsampling = TRUE;
}

/* Pillow takes every four-layer JPEG as inverted (rawmode "CMYK;I") and converts without profiles
 * (Convert.c, cmyk2rgb): r = clip(nk - muldiv255(c, nk)) with nk = 255 - k. Here c and k are what
 * the file says: the inverses of them are Pillow's, so nk is the stored k. */
static void cmyk_to_rgb(const JSAMPLE *cmyk, uint8_t *rgb, int width)
{
    for (int x = 0; x < width; x++, cmyk += 4, rgb += 3) {
        int nk = cmyk[3];
        for (int i = 0; i < 3; i++) {
            int product = (255 - cmyk[i]) * nk + 128;
            int value = nk - (((product >> 8) + product) >> 8);
            rgb[i] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

/* Rows until the last one. The end marker is not waited for: Pillow accepts a file without it. */
static void read_rows(jpeg_job *job)
{
    struct jpeg_decompress_struct *decoder = &job->decoder;
    jpeg_start_decompress(decoder);
    while (decoder->output_scanline < decoder->output_height) {
        uint8_t *row =
            job->image.pixels + (size_t)decoder->output_scanline * (size_t)job->image.width * 3;
        JSAMPROW target = job->cmyk != NULL ? job->cmyk : row;
        jpeg_read_scanlines(decoder, &target, 1);
        if (job->cmyk != NULL) {
            cmyk_to_rgb(job->cmyk, row, job->image.width);
        }
    }
}

/* Kept apart from the caller, whose variables would not survive the longjmp. */
static vl2_status decode(jpeg_job *job)
{
    if (setjmp(job->escape) != 0) {
        return job->status;
    }
    open_source(job);
    read_header(job);
    read_rows(job);
    return VL2_OK;
}

vl2_status jpeg_read(const image_source *source, image_rgb *image, vl2_error *error)
{
    jpeg_job *job = base_calloc(1, sizeof(*job));
    if (job == NULL) {
        return vl2_fail_memory(error, "the JPEG decoder", sizeof(*job));
    }
    job->source = source;
    job->error = error;
    vl2_status status = decode(job);
    if (status == VL2_OK) {
        *image = job->image;
    } else {
        image_free(&job->image);
    }
    jpeg_destroy_decompress(&job->decoder);
    base_free(job->cmyk);
    base_free(job);
    return status;
}
