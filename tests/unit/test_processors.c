/* How many threads are worth starting, on machines that are described in a folder. */
#include "test.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/processors.h"
#include "base/team.h"

#include <string.h>
#include <unistd.h>

/* A folder that looks like the machine's / to processors.h. */
typedef struct machine {
    char root[64];
} machine;

static machine new_machine(void)
{
    machine m = {"/tmp/vl2-test-XXXXXX"};
    assert_non_null(mkdtemp(m.root));
    return m;
}

static void put(const machine *m, const char *path, const char *text)
{
    char name[512];
    vl2_error error;
    file_writer writer;
    snprintf(name, sizeof(name), "%s%s", m->root, path);
    for (char *slash = name + strlen(m->root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        assert_int_equal(folder_create(name, &error), VL2_OK);
        *slash = '/';
    }
    assert_int_equal(file_writer_open(&writer, name, &error), VL2_OK);
    assert_int_equal(file_writer_write(&writer, text, strlen(text), &error), VL2_OK);
    assert_int_equal(file_writer_commit(&writer, &error), VL2_OK);
}

static void remove_machine(const machine *m)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", m->root);
    assert_int_equal(system(command), 0);
}

static processor_set set_of(const int *processors, size_t count)
{
    processor_set set;
    memset(&set, 0, sizeof(set));
    for (size_t i = 0; i < count; i++) {
        CPU_SET_S((size_t)processors[i], sizeof(set.words), set.words);
    }
    return set;
}

static int cores_of(const machine *m, const int *processors, size_t count)
{
    processor_set set = set_of(processors, count);
    return processors_cores(m->root, &set);
}

static void test_cores(void **state)
{
    (void)state;
    machine m = new_machine();
    /* 0 to 3 are the first threads of four cores, 4 to 7 the second. */
    for (int i = 0; i < 8; i++) {
        char path[128], list[32];
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/topology/%s", i,
                 i % 4 == 3 ? "thread_siblings_list" : "core_cpus_list");
        snprintf(list, sizeof(list), "%d,%d\n", i % 4, i % 4 + 4);
        put(&m, path, list);
    }
    put(&m, "/sys/devices/system/cpu/cpu8/topology/core_cpus_list", "8-11,20\n");
    put(&m, "/sys/devices/system/cpu/cpu9/topology/core_cpus_list", "8-11,20\n");
    put(&m, "/sys/devices/system/cpu/cpu20/topology/core_cpus_list", "8-11,20\n");
    assert_int_equal(cores_of(&m, (int[]){0, 1, 2, 3, 4, 5, 6, 7}, 8), 4);
    assert_int_equal(cores_of(&m, (int[]){0, 4}, 2), 1);
    assert_int_equal(cores_of(&m, (int[]){4, 5, 7}, 3), 3); /* the first threads are others' */
    assert_int_equal(cores_of(&m, (int[]){3, 7, 9, 20}, 4), 2);
    assert_int_equal(cores_of(&m, (int[]){0, 30, 31, 8000}, 4), 4); /* not described: cores */
    remove_machine(&m);
}

/* What /proc/self/cgroup says, a file of limits, and the processors that these are worth. */
static void test_quotas(void **state)
{
    (void)state;
    machine m = new_machine();
    assert_int_equal(processors_quota(m.root), 0);
    put(&m, "/proc/self/cgroup", "0::/a/b\n");
    assert_int_equal(processors_quota(m.root), 0);
    put(&m, "/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    assert_int_equal(processors_quota(m.root), 0);
    put(&m, "/sys/fs/cgroup/a/cpu.max", "250000 100000\n"); /* of the group above */
    assert_int_equal(processors_quota(m.root), 3);
    put(&m, "/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n");
    assert_int_equal(processors_quota(m.root), 1);
    put(&m, "/proc/self/cgroup", "0::/\n"); /* a container that sees its own group as the top */
    assert_int_equal(processors_quota(m.root), 0);
    put(&m, "/sys/fs/cgroup/cpu.max", "200000 100000\n");
    assert_int_equal(processors_quota(m.root), 2);
    processor_set allowed; /* none of them described here */
    assert_int_equal(sched_getaffinity(0, sizeof(allowed.words), allowed.words), 0);
    int cores = processors_cores(m.root, &allowed);
    assert_int_equal(processors_available(m.root), cores < 2 ? cores : 2);
    remove_machine(&m);
}

static void test_quotas_of_version_1(void **state)
{
    (void)state;
    machine m = new_machine();
    put(&m, "/proc/self/cgroup", "9:cpuset:/c\n4:cpuacct,cpu:/a/b\n1:name=systemd:/a\n0::/\n");
    put(&m, "/sys/fs/cgroup/cpu/c/cpu.cfs_quota_us", "1000\n"); /* another hierarchy's group */
    put(&m, "/sys/fs/cgroup/cpu/c/cpu.cfs_period_us", "1000\n");
    assert_int_equal(processors_quota(m.root), 0);
    put(&m, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    put(&m, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(processors_quota(m.root), 0);
    /* A container mounts its group here. */
    put(&m, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000\n");
    assert_int_equal(processors_quota(m.root), 4);
    put(&m, "/sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us", "150000\n");
    put(&m, "/sys/fs/cgroup/cpu/a/b/cpu.cfs_period_us", "100000\n");
    assert_int_equal(processors_quota(m.root), 2);
    remove_machine(&m);
}

static void test_memory(void **state)
{
    (void)state;
    machine m = new_machine();
    assert_int_equal(memory_total(m.root), 0);
    put(&m, "/proc/meminfo", "MemTotal:        8000 kB\nMemFree: 1 kB\nMemAvailable:    5000 kB\n");
    assert_int_equal(memory_total(m.root), 8000 * 1024);
    assert_int_equal(memory_available(m.root), 5000 * 1024);
    put(&m, "/proc/self/cgroup", "0::/a/b\n");
    put(&m, "/sys/fs/cgroup/a/b/memory.max", "max\n");
    put(&m, "/sys/fs/cgroup/a/memory.max", "4000000\n"); /* of the group above */
    put(&m, "/sys/fs/cgroup/a/memory.current", "3000000\n");
    put(&m, "/sys/fs/cgroup/a/memory.stat", "anon 1\nfile 1000000\nfile_mapped 5\n");
    assert_int_equal(memory_total(m.root), 4000000);
    assert_int_equal(memory_available(m.root), 2000000);
    put(&m, "/sys/fs/cgroup/a/memory.current", "9000000\n");
    assert_int_equal(memory_available(m.root), 0);
    put(&m, "/proc/self/cgroup", "4:memory:/c\n");
    put(&m, "/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "6000000\n");
    put(&m, "/sys/fs/cgroup/memory/c/memory.usage_in_bytes", "500000\n");
    put(&m, "/sys/fs/cgroup/memory/c/memory.stat", "cache 1\ntotal_cache 100000\n");
    assert_int_equal(memory_total(m.root), 6000000);
    assert_int_equal(memory_available(m.root), 5000 * 1024); /* there is no more in the machine */
    put(&m, "/sys/fs/cgroup/memory/c/memory.usage_in_bytes", "2500000\n");
    assert_int_equal(memory_available(m.root), 3600000);
    remove_machine(&m);
    assert_true(memory_resident() > 100000);
}

static void test_processors_of_this_machine(void **state)
{
    (void)state;
    int processors = team_processors();
    assert_true(processors >= 1 && processors <= sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cores),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_quotas_of_version_1),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_processors_of_this_machine),
    };
    return cmocka_run_group_tests_name("processors", tests, NULL, NULL);
}
