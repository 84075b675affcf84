/* Every slot of every table against results in double, at every tail size.
 *   test_kernels [MASK...]      all tables of this processor if none is named */
#include "tests/kernels/harness.h"

#include <stdio.h>
#include <string.h>

static const struct part {
    const char *name;
    void (*run)(const test_table *table);
} parts[] = {
    {"widen", test_widen},   {"matmul", test_matmul},   {"many", test_many},
    {"norm", test_norm},     {"softmax", test_softmax}, {"activation", test_activation},
    {"vector", test_vector}, {"packed", test_packed},   {"attention", test_attention},
};

static bool named(const char *mask, char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, mask) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    test_cpu();
    test_table tables[TEST_TABLES_MAX];
    int count = test_tables(tables);
    int ran = 0;
    for (int i = 0; i < count; i++) {
        if (argc > 1 && !named(tables[i].mask, argv + 1))
            continue;
        ran++;
        for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
            size_t made = checks_made(), failed = checks_failed();
            parts[part].run(&tables[i]);
            printf("%-8s %-10s %8zu checks, %zu failed\n", tables[i].mask, parts[part].name,
                   checks_made() - made, checks_failed() - failed);
        }
    }
    check_true(argc == 1 || ran == argc - 1, "%d of %d named tables are this processor's", ran,
               argc - 1);
    printf("%zu checks, %zu failed\n", checks_made(), checks_failed());
    return checks_failed() == 0 ? 0 : 1;
}
