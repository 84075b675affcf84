check_PROGRAMS += tests/unit/test_image tests/unit/test_image_bad tests/unit/test_image_draw
TESTS += tests/unit/test_image tests/unit/test_image_bad tests/unit/test_image_draw
tests_unit_test_image_SOURCES = tests/unit/test_image.c tests/unit/test_image.h tests/test.h
tests_unit_test_image_CPPFLAGS = $(test_cppflags) $(JPEG_CFLAGS)
tests_unit_test_image_LDADD = $(test_ldadd)
tests_unit_test_image_bad_SOURCES = tests/unit/test_image_bad.c tests/unit/test_image.h \
	tests/test.h
tests_unit_test_image_bad_CPPFLAGS = $(test_cppflags)
tests_unit_test_image_bad_LDADD = $(test_ldadd)
tests_unit_test_image_draw_SOURCES = tests/unit/test_image_draw.c tests/unit/test_image.h \
	tests/test.h
tests_unit_test_image_draw_CPPFLAGS = $(test_cppflags)
tests_unit_test_image_draw_LDADD = $(test_ldadd)
EXTRA_DIST += tests/data/image
