/* Every slot of every table against results in double, at every tail size. */
#include "tests/kernels/harness.h"

#include <stdio.h>

static const struct part {
    const char *name;
    void (*run)(const test_table *table);
} parts[] = {
    {"widen", test_widen},     {"matmul", test_matmul},         {"norm", test_norm},
    {"softmax", test_softmax}, {"activation", test_activation}, {"vector", test_vector},
    {"packed", test_packed},   {"attention", test_attention},
};

int main(void)
{
    test_cpu();
    test_table tables[TEST_TABLES_MAX];
    int count = test_tables(tables);
    for (int i = 0; i < count; i++) {
        for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
            size_t made = checks_made(), failed = checks_failed();
            parts[part].run(&tables[i]);
            printf("%-8s %-10s %8zu checks, %zu failed\n", tables[i].mask, parts[part].name,
                   checks_made() - made, checks_failed() - failed);
        }
    }
    printf("%zu checks, %zu failed\n", checks_made(), checks_failed());
    return checks_failed() == 0 ? 0 : 1;
}
