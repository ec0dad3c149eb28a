/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many CPUs this process may use: those it may be scheduled on, and what its cgroups let it consume.
 *
 * A quota is looked for in the process' own cgroup and in every one above it, as far as they are to be seen.
 * In a container the mount may begin at its own cgroup while /proc tells the path outside: that leads
 * nowhere, and what is left to ask is the root of the mount, which is the right one just then. What cannot be
 * read bounds nothing.
 */
#include "probe/cpus.h"

#include <fcntl.h>

#define LIST_BYTES 4096
#define PATH_BYTES (LIST_BYTES + 256)

uint32_t probe_cpus_of_quota(const char *text)
{
    char *end;
    uint64_t quota, period;

    if (text[0] < '0' || text[0] > '9') /* "max", "-1" */
        return UINT32_MAX;
    quota = strtoull(text, &end, 10);
    text = end;
    period = strtoull(text, &end, 10);
    if (end == text || quota == 0 || period == 0 || period > UINT32_MAX)
        return UINT32_MAX;
    return (uint32_t)min_u64(quota / period + (quota % period != 0), UINT32_MAX);
}

/* Puts a file's text into buffer. False: it cannot be read, or there is nothing in it. */
static bool read_file(const char *path, char *buffer, size_t size_bytes)
{
    CLEANUP(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, buffer, size_bytes - 1);

    buffer[got > 0 ? got : 0] = '\0';
    return got > 0;
}

static uint32_t quota_at(const char *directory, bool v2)
{
    char path[PATH_BYTES + 32], text[128];
    size_t length;

    snprintf(path, sizeof(path), "%s/%s", directory, v2 ? "cpu.max" : "cpu.cfs_quota_us");
    if (!read_file(path, text, sizeof(text)))
        return UINT32_MAX;
    length = strlen(text);
    snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", directory);
    if (!v2 && text[0] != '-' && !read_file(path, text + length, sizeof(text) - length))
        return UINT32_MAX;
    return probe_cpus_of_quota(text);
}

/* From the cgroup at `path` below `mount` up to the mount itself. */
static uint32_t quota_from(const char *mount, const char *path, bool v2)
{
    char directory[PATH_BYTES];
    size_t mount_length = strlen(mount);
    uint32_t least = UINT32_MAX;
    char *slash;

    snprintf(directory, sizeof(directory), "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    do {
        least = (uint32_t)min_u64(least, quota_at(directory, v2));
        slash = strlen(directory) > mount_length ? strrchr(directory + mount_length, '/') : NULL;
        if (slash)
            *slash = '\0';
    } while (slash);
    return least;
}

static bool has_cpu(const char *controllers, size_t length)
{
    for (const char *end = controllers + length; controllers < end;) {
        size_t name = strcspn(controllers, ",:");

        if (name == 3 && memcmp(controllers, "cpu", 3) == 0)
            return true;
        controllers += name + 1;
    }
    return false;
}

/* A line is "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1). */
uint32_t probe_cpus_of_cgroups(const char *list, const char *root)
{
    char mount[256], path[LIST_BYTES];
    uint32_t least = UINT32_MAX;

    for (const char *line = list, *next; *line; line = next) {
        const char *controllers = strchr(line, ':'), *at;
        bool v2;

        next = line + strcspn(line, "\n");
        at = controllers ? strchr(controllers + 1, ':') : NULL;
        if (at && at < next) {
            v2 = at == controllers + 1;
            if (v2 || has_cpu(controllers + 1, (size_t)(at - controllers - 1))) {
                snprintf(path, sizeof(path), "%.*s", (int)(next - at - 1), at + 1);
                snprintf(mount, sizeof(mount), "%s%s", root, v2 ? "" : "/cpu");
                least = (uint32_t)min_u64(least, quota_from(mount, path, v2));
            }
        }
        next += *next == '\n';
    }
    return least;
}

/* More CPUs than a cpu_set_t holds are an EINVAL. */
static uint32_t affinity(void)
{
    uint32_t count = 0;

    for (size_t cpus = CPU_SETSIZE; count == 0 && cpus <= 64 * CPU_SETSIZE; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);

        if (set && sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0)
            count = (uint32_t)CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
        CPU_FREE(set);
    }
    return count;
}

uint32_t probe_cpus_usable(void)
{
    uint32_t count = affinity();
    char list[LIST_BYTES];

    if (count > 1 && read_file("/proc/self/cgroup", list, sizeof(list)))
        count = (uint32_t)min_u64(count, probe_cpus_of_cgroups(list, "/sys/fs/cgroup"));
    return (uint32_t)max_u64(1, count);
}

int probe_cpus_next(const cpu_set_t *set, int cpu, uint32_t steps)
{
    uint32_t count = (uint32_t)CPU_COUNT(set);

    if (count == 0)
        return -1;
    cpu = cpu < 0 ? 0 : cpu;
    for (steps %= count; steps > 0 || !CPU_ISSET(cpu, set);) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        if (CPU_ISSET(cpu, set) && steps > 0)
            steps--;
    }
    return cpu;
}
