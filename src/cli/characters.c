#include "cli/characters.h"

size_t character_size(const unsigned char *text, size_t size)
{
    unsigned char lead = text[0], least = 0x80, most = 0xBF;
    size_t length = lead < 0x80   ? 1
                    : lead < 0xC2 ? 0
                    : lead < 0xE0 ? 2
                    : lead < 0xF0 ? 3
                    : lead < 0xF5 ? 4
                                  : 0;
    if (length > size) {
        return 0;
    }
    least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : least;
    most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : most;
    for (size_t i = 1; i < length; i++) {
        if (text[i] < least || text[i] > most) {
            return 0;
        }
        least = 0x80;
        most = 0xBF;
    }
    return length;
}
