/* What a vl2_image is made of. */
#ifndef ENGINE_IMAGE_H
#define ENGINE_IMAGE_H

#include "image/image.h"

#include <stdatomic.h>

struct vl2_image {
    atomic_int owners;
    image_rgb rgb;
    char *path; /* of the file it was read from; NULL if it came from memory */
};

/* Takes over the pixels (freed on failure); NULL without memory. One owner. */
vl2_image *engine_image_adopt(image_rgb *pixels);

#endif
