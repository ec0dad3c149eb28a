/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many CPUs this process may use: what it may be scheduled on, and what its cgroups let it consume.
 *
 * A quota is looked for in the process' own cgroup and in every one above it, as far as they are visible: in
 * a container the mount may begin at its own cgroup, then the path that /proc tells leads nowhere and only
 * the root of the mount is left to ask, which is right just then. What cannot be read bounds nothing.
 */
#include "probe/cpus.h"

#include <sched.h>

#define PATH_BYTES 4352

uint32_t probe_cpus_of_quota(const char *text)
{
    char *end;
    long long quota, period;

    if (strncmp(text, "max", 3) == 0)
        return UINT32_MAX;
    quota = strtoll(text, &end, 10);
    if (end == text)
        return UINT32_MAX;
    text = end;
    period = strtoll(text, &end, 10);
    if (end == text || quota <= 0 || period <= 0 || quota > INT64_MAX - period)
        return UINT32_MAX;
    return (uint32_t)min_u64((uint64_t)(quota + period - 1) / (uint64_t)period, UINT32_MAX);
}

/* Appends a file to what is in buffer. False: it cannot be read. */
static bool read_file(const char *directory, const char *name, char *buffer, size_t size_bytes)
{
    char path[PATH_BYTES + 32];
    size_t used = strlen(buffer);
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "re");
    if (!file)
        return false;
    used += fread(buffer + used, 1, size_bytes - used - 1, file);
    buffer[used] = '\0';
    fclose(file);
    return true;
}

static uint32_t quota_at(const char *directory)
{
    char text[128] = "";

    if (read_file(directory, "cpu.max", text, sizeof(text)) ||
        (read_file(directory, "cpu.cfs_quota_us", text, sizeof(text)) &&
         read_file(directory, "cpu.cfs_period_us", text, sizeof(text))))
        return probe_cpus_of_quota(text);
    return UINT32_MAX;
}

/* The least quota from the cgroup at `path` below `root` up to the root. */
static uint32_t quota_from(const char *root, const char *path)
{
    char directory[PATH_BYTES];
    size_t root_length = strlen(root);
    uint32_t least = UINT32_MAX;

    snprintf(directory, sizeof(directory), "%s%s", root, path);
    for (;;) {
        char *slash;

        least = (uint32_t)min_u64(least, quota_at(directory));
        slash = strrchr(directory + root_length, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

/* A line of /proc/self/cgroup: "0::/path" (v2), "4:cpu,cpuacct:/path" (v1). */
static uint32_t quota_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;

    if (!path)
        return UINT32_MAX;
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (controllers[1] == '\0')
        return quota_from("/sys/fs/cgroup", path);
    for (char *name = strtok(controllers + 1, ","); name; name = strtok(NULL, ","))
        if (strcmp(name, "cpu") == 0)
            return quota_from("/sys/fs/cgroup/cpu", path);
    return UINT32_MAX;
}

static uint32_t quota(void)
{
    uint32_t least = UINT32_MAX;
    char line[PATH_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");

    if (!file)
        return least;
    while (fgets(line, sizeof(line), file))
        least = (uint32_t)min_u64(least, quota_of_line(line));
    fclose(file);
    return least;
}

/* More CPUs than a fixed cpu_set_t holds are an EINVAL. */
static uint32_t affinity(void)
{
    for (size_t cpus = CPU_SETSIZE; cpus <= 64 * CPU_SETSIZE; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        uint32_t count = 0;

        if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0)
            count = (uint32_t)CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
        CPU_FREE(set);
        if (count)
            return count;
    }
    return 1;
}

uint32_t probe_cpus_usable(void)
{
    return (uint32_t)max_u64(1, min_u64(affinity(), quota()));
}
