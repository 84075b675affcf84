/* processor_config.json: how pictures become tiles. Source: DeepseekVLV2Processor.__init__ in the
 * upstream file deepseek_vl2/models/processing_deepseek_vl_v2.py. */
#ifndef IMAGE_PROCESSOR_CONFIG_H
#define IMAGE_PROCESSOR_CONFIG_H

#include "base/error.h"

/* Defaults of DeepseekVLV2Processor: "<image>" and "<|_pad_|>" in its fullwidth spelling. */
#define IMAGE_TOKEN_DEFAULT "<image>"
#define PAD_TOKEN_DEFAULT                                                                          \
    "<\xEF\xBD\x9C"                                                                                \
    "\xE2\x96\x81pad\xE2\x96\x81\xEF\xBD\x9C>"

typedef struct image_processor {
    int (*resolutions)[2];  /* [resolution_count] of width, height in pixels, in the file's order */
    int resolution_count;   /* 1 to 1024 */
    int tile_side;          /* pixels: the width of the first resolution */
    int patch_size;         /* pixels per side of a patch */
    int downsample_ratio;   /* patches per side that the projector joins */
    double mean[3], std[3]; /* per channel, for samples from 0 to 1 */
    bool normalize;
    uint8_t fill[3]; /* of what the picture does not cover: int(mean * 255) */
    char image_token[64], pad_token[64], sft_format[32];
} image_processor;

/* Reads and checks the file; absent keys take the reference's defaults, unknown ones are ignored.
 * Every resolution is a multiple of the tile side. *processor is the caller's
 * (image_processor_close). Errors: VL2_ERROR_MODEL with file, field, found and expected;
 * VL2_ERROR_MEMORY. */
vl2_status image_processor_open(const char *path, image_processor **processor, vl2_error *error);
/* The same from memory; `name` stands in messages. */
vl2_status image_processor_parse(const char *text, size_t size, const char *name,
                                 image_processor **processor, vl2_error *error);
void image_processor_close(image_processor *processor); /* NULL is allowed */

/* The network's float32 input for each byte value of each channel: torchvision's ToTensor and
 * Normalize, ((byte / 255) - mean) / std with each step rounded to float32. */
void image_processor_normalize_table(const image_processor *processor, float table[3][256]);

#endif
