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
tests_unit_test_pack_damage_SOURCES = tests/unit/test_pack_damage.c $(pack_builder) \
	tests/unit/test_folder.h tests/test.h
tests_unit_test_pack_damage_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_damage_LDADD = $(test_ldadd)
tests_unit_test_unpack_SOURCES = tests/unit/test_unpack.c $(pack_builder) \
	tests/unit/test_folder.h tests/test.h
tests_unit_test_unpack_CPPFLAGS = $(pack_cppflags)
tests_unit_test_unpack_LDADD = $(test_ldadd)

# The writer.
pack_write_tests = tests/unit/test_pack_types tests/unit/test_pack_write \
	tests/unit/test_pack_resume tests/unit/test_pack_change tests/unit/test_pack_sizes
check_PROGRAMS += $(pack_write_tests)
TESTS += $(pack_write_tests)
pack_data = tests/unit/pack_data.c tests/unit/pack_data.h tests/unit/test_folder.h tests/test.h
tests_unit_test_pack_types_SOURCES = tests/unit/test_pack_types.c tests/test.h
tests_unit_test_pack_types_CPPFLAGS = $(test_cppflags)
tests_unit_test_pack_types_LDADD = $(test_ldadd)
tests_unit_test_pack_write_SOURCES = tests/unit/test_pack_write.c $(pack_data)
tests_unit_test_pack_write_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_write_LDADD = $(test_ldadd)
tests_unit_test_pack_resume_SOURCES = tests/unit/test_pack_resume.c $(pack_data)
tests_unit_test_pack_resume_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_resume_LDADD = $(test_ldadd)
tests_unit_test_pack_change_SOURCES = tests/unit/test_pack_change.c $(pack_data)
tests_unit_test_pack_change_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_change_LDADD = $(test_ldadd)
tests_unit_test_pack_sizes_SOURCES = tests/unit/test_pack_sizes.c $(pack_data)
tests_unit_test_pack_sizes_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_sizes_LDADD = $(test_ldadd)

# Both.
check_PROGRAMS += tests/unit/test_pack_round
TESTS += tests/unit/test_pack_round
tests_unit_test_pack_round_SOURCES = tests/unit/test_pack_round.c $(pack_data)
tests_unit_test_pack_round_CPPFLAGS = $(pack_cppflags)
tests_unit_test_pack_round_LDADD = $(test_ldadd)
