# Packed files. The builder is a second writer, which the reader's tests share.
pack_builder = tests/unit/pack_builder.c tests/unit/pack_builder.h
pack_cppflags = $(test_cppflags) $(ZSTD_CFLAGS) $(XXHASH_CFLAGS) -I$(top_srcdir)/tests/unit \
	-I$(top_srcdir)/tests/fuzz
pack_tests = tests/unit/test_pack_file tests/unit/test_pack_damage tests/unit/test_unpack
check_PROGRAMS += $(pack_tests)
TESTS += $(pack_tests)
tests_unit_test_pack_file_SOURCES = tests/unit/test_pack_file.c $(pack_builder) \
	tests/fuzz/fuzz_pack.c tests/fuzz/fuzz_pack.h tests/unit/test_folder.h tests/test.h
tests_unit_test_pack_file_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_file_LDADD = $(test_ldadd)
tests_unit_test_pack_damage_SOURCES = tests/unit/test_pack_damage.c $(pack_builder) tests/test.h
tests_unit_test_pack_damage_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_damage_LDADD = $(test_ldadd)
tests_unit_test_unpack_SOURCES = tests/unit/test_unpack.c $(pack_builder) \
	tests/unit/test_folder.h tests/test.h
tests_unit_test_unpack_CPPFLAGS = $(pack_cppflags)
tests_unit_test_unpack_LDADD = $(test_ldadd)
