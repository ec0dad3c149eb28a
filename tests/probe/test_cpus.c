/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the quotas of cgroups, v1 and v2, are read right and the least of a whole line of
 * ancestors counts, also where a container sees only a part of them; what is not a quota bounds nothing; CPUs
 * are taken round a set.
 */
#include <criterion/criterion.h>
#include <ftw.h>
#include <sys/stat.h>

#include "probe/cpus.h"

#define NONE UINT32_MAX

Test(cpus, quotas)
{
    static const struct {
        const char *text;
        uint32_t cpus;
    } rows[] = {
        {"max 100000\n", NONE},
        {"100000 100000\n", 1},
        {"150000 100000\n", 2},
        {"200000 100000\n", 2},
        {"200001 100000\n", 3},
        {"1000 100000\n", 1},
        {"6400000 100000\n", 64},
        {"50000\n100000\n", 1},
        {"-1\n100000\n", NONE},
        {"-1\n", NONE},
        {"", NONE},
        {"\n", NONE},
        {"max", NONE},
        {"100000", NONE},
        {"100000 0\n", NONE},
        {"0 100000\n", NONE},
        {"100000 max\n", NONE},
        {"word 100000\n", NONE},
        {"99999999999999999999999 1\n", NONE},
        {"100000 99999999999999999999999\n", NONE},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(probe_cpus_of_quota(rows[i].text), rows[i].cpus, "'%s': %u", rows[i].text,
                     probe_cpus_of_quota(rows[i].text));
}

/* Writes ROOT/PATH, with all directories on the way. */
static void put(const char *root, const char *path, const char *text)
{
    char full[256];
    FILE *file;

    snprintf(full, sizeof(full), "%s/%s", root, path);
    for (char *slash = full + strlen(root); (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    file = fopen(full, "w");
    cr_assert(file, "%s", full);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *level)
{
    return remove(path);
}

Test(cpus, cgroups)
{
    static const struct {
        const char *list;
        uint32_t cpus;
    } rows[] = {
        {"0::/a/b\n", 2},
        {"0::/a\n", 3},
        {"0::/a/none\n", 3},
        {"0::/\n", 7},
        {"0::/elsewhere/in/the/host\n", 7}, /* a container's root is its own cgroup */
        {"0::/free\n", 7},
        {"12:cpuset:/a\n4:cpu,cpuacct:/x/y\n1:name=systemd:/\n", 4},
        {"4:cpuacct,cpu:/x\n", 5},
        {"4:cpu:/x/open\n", 5},
        {"4:cpu:/\n", NONE},
        {"4:cpuset:/x\n", NONE},
        {"4:cpu:/x\n0::/a/b\n", 2},
        {"0::/a/b", 2},
        {"", NONE},
        {"\n\n", NONE},
        {"nonsense\n0::/a\n", 3},
        {"0:\n::\n:::\n", 7}, /* as good as the root */
    };
    char root[] = "/tmp/test-cpus-XXXXXX";

    cr_assert(mkdtemp(root));
    put(root, "cpu.max", "700000 100000\n");
    put(root, "a/cpu.max", "300000 100000\n");
    put(root, "a/b/cpu.max", "150000 100000\n");
    put(root, "free/cpu.max", "max 100000\n");
    put(root, "cpu/x/cpu.cfs_quota_us", "500000\n");
    put(root, "cpu/x/cpu.cfs_period_us", "100000\n");
    put(root, "cpu/x/y/cpu.cfs_quota_us", "200000\n");
    put(root, "cpu/x/y/cpu.cfs_period_us", "50000\n");
    put(root, "cpu/x/open/cpu.cfs_quota_us", "-1\n");
    put(root, "cpu/x/open/cpu.cfs_period_us", "100000\n");
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(probe_cpus_of_cgroups(rows[i].list, root), rows[i].cpus, "'%s': %u", rows[i].list,
                     probe_cpus_of_cgroups(rows[i].list, root));
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

Test(cpus, at_least_one)
{
    cr_expect_geq(probe_cpus_usable(), 1);
}

Test(cpus, next_of_a_set)
{
    static const struct {
        int cpu;
        uint32_t steps;
        int next;
    } rows[] = {
        {2, 0, 2}, {2, 1, 3}, {2, 2, 9}, {2, 3, 2},  {2, 4, 3},    {9, 1, 2},
        {5, 0, 9}, {5, 1, 9}, {5, 2, 2}, {-1, 1, 2}, {1023, 1, 2}, {5000, 1, 2},
    };
    cpu_set_t set;

    CPU_ZERO(&set);
    cr_expect_eq(probe_cpus_next(&set, 0, 1), -1);
    CPU_SET(2, &set);
    CPU_SET(3, &set);
    CPU_SET(9, &set);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(probe_cpus_next(&set, rows[i].cpu, rows[i].steps), rows[i].next, "row %zu: %d", i,
                     probe_cpus_next(&set, rows[i].cpu, rows[i].steps));
}
