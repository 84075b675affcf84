# The source itself: layering, exported names, house rules.
source_tests = tests/source/test_exports.sh tests/source/test_layers.sh tests/source/test_style.sh
dist_check_SCRIPTS += $(source_tests)
TESTS += $(source_tests)
