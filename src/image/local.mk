# src/image: picture files to tiles, and boxes drawn on pictures. Includes base, libjpeg and libpng.
noinst_LTLIBRARIES += libimage.la
room_libs += libimage.la
libimage_la_CPPFLAGS = $(AM_CPPFLAGS) $(JPEG_CFLAGS) $(PNG_CFLAGS) $(JANSSON_CFLAGS)
libimage_la_SOURCES = \
	src/image/codec.h \
	src/image/decode.c src/image/image.h \
	src/image/draw.c src/image/draw.h \
	src/image/font.c src/image/font.h \
	src/image/jpeg.c \
	src/image/lettering.c src/image/lettering.h \
	src/image/png.c \
	src/image/processor_config.c src/image/processor_config.h \
	src/image/resample.c src/image/resample.h \
	src/image/tiling.c src/image/tiling.h
