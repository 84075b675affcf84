/* SHA-256 (FIPS 180-4), the identity of a tile. */
#ifndef BASE_SHA256_H
#define BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE      32
#define SHA256_HEX_SIZE  65 /* with the NUL */

void sha256(const void *bytes, size_t size, uint8_t digest[SHA256_SIZE]);
/* Lower-case hexadecimal, NUL-terminated. */
void sha256_hex(const uint8_t digest[SHA256_SIZE], char text[SHA256_HEX_SIZE]);

#endif
