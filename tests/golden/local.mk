# Whole requests against the reference. The checkpoints lie in the source tree as archives.
golden_archives = \
	tests/data/golden/base.tar.xz \
	tests/data/golden/small.tar.xz \
	tests/data/golden/tiny.tar.xz
golden_stamps = tests/checkpoints/base.stamp tests/checkpoints/small.stamp tests/checkpoints/tiny.stamp
EXTRA_DIST += $(golden_archives) tests/golden/make_fixtures.py

tests/checkpoints/base.stamp: tests/data/golden/base.tar.xz
tests/checkpoints/small.stamp: tests/data/golden/small.tar.xz
tests/checkpoints/tiny.stamp: tests/data/golden/tiny.tar.xz
$(golden_stamps):
	$(AM_V_GEN)name=$$(basename $@ .stamp) && $(MKDIR_P) tests/checkpoints && \
	rm -rf tests/checkpoints/$$name && \
	xz -dc $(srcdir)/tests/data/golden/$$name.tar.xz | tar -C tests/checkpoints -xf - && touch $@

# What the tests need beside their programs.
check_DATA = $(golden_stamps)

clean-local: clean-checkpoints
clean-checkpoints:
	rm -rf tests/checkpoints
.PHONY: clean-checkpoints

golden_tests = tests/golden/test_golden tests/golden/test_kv tests/golden/test_packed
check_PROGRAMS += $(golden_tests)
TESTS += $(golden_tests)
dist_check_SCRIPTS += tests/golden/masks.sh
TESTS += tests/golden/masks.sh
golden_case = tests/golden/golden_case.c tests/golden/golden_case.h tests/test.h
tests_golden_test_golden_SOURCES = tests/golden/test_golden.c $(golden_case)
tests_golden_test_golden_CPPFLAGS = $(test_cppflags)
tests_golden_test_golden_LDADD = $(test_ldadd)
tests_golden_test_kv_SOURCES = tests/golden/test_kv.c $(golden_case)
tests_golden_test_kv_CPPFLAGS = $(test_cppflags)
tests_golden_test_kv_LDADD = $(test_ldadd)
tests_golden_test_packed_SOURCES = tests/golden/test_packed.c $(golden_case)
tests_golden_test_packed_CPPFLAGS = $(test_cppflags)
tests_golden_test_packed_LDADD = $(test_ldadd)
