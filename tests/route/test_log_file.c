/* SPDX-License-Identifier: Apache-2.0 */
/* The log in files: what was put there is there, in its order, whatever happens to the files; and nobody waits. */
#include "route/log_file.h"
#include "tests/route/no_threads.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#define PATIENCE_NS (20 * NS_PER_S)

static char place[64], directory[96], path[128], link_path[96];
static struct log_file *file;
static struct log_file_settings settings;

static void begin(void)
{
    strcpy(place, "/tmp/reroute-log-XXXXXX");
    cr_assert(mkdtemp(place));
    snprintf(directory, sizeof(directory), "%s/log", place);
    snprintf(path, sizeof(path), "%s/a.log", directory);
    snprintf(link_path, sizeof(link_path), "%s/link", place);
    settings = (struct log_file_settings){.path = path, .link = "", .size_bytes = 1 << 20, .keep = 1};
    file = log_file_new(&settings);
    cr_assert(file);
}

static int remove_one(const char *name, const struct stat *st, int kind, struct FTW *where)
{
    return remove(name);
}

static void remove_all(const char *name)
{
    nftw(name, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void end(void)
{
    file = log_file_free(file, PATIENCE_NS);
    remove_all(place);
}

static bool put(unsigned number)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "line %u of many that are to be found again\n", number);

    return log_file_put(file, line, (size_t)length);
}

/* Waits for room, as no agent does. */
static void put_all(unsigned from, unsigned to)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + PATIENCE_NS;

    for (unsigned i = from; i < to; i++)
        while (!put(i)) {
            cr_assert_lt(clock_now_ns(CLOCK_MONOTONIC), until_ns);
            sched_yield();
        }
}

/* The numbers in a file continue from `next`; returns the one after the last. No file: none. */
static unsigned read_from(const char *name, unsigned next)
{
    FILE *in = fopen(name, "re");
    char line[128];
    unsigned number;

    while (in && fgets(line, sizeof(line), in)) {
        cr_assert_eq(sscanf(line, "line %u of many that are to be found again\n", &number), 1, "%s: %s", name,
                     line);
        cr_assert_eq(number, next, "%s: %u, expected %u", name, number, next);
        next++;
    }
    if (in)
        fclose(in);
    return next;
}

/* All files, the oldest first. */
static unsigned read_all(unsigned keep)
{
    unsigned next = 0;
    char name[160];

    for (unsigned i = keep; i > 0; i--) {
        snprintf(name, sizeof(name), "%s.%u", path, i);
        next = read_from(name, next);
    }
    return read_from(path, next);
}

static struct log_file_state wait_for_error(int error)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
    struct log_file_state state;

    do {
        state = log_file_state(file);
        usleep(1000);
    } while (state.error != error && clock_now_ns(CLOCK_MONOTONIC) < until_ns);
    cr_assert_eq(state.error, error, "%s", strerror(-state.error));
    return state;
}

static void wait_for_lines_in(const char *name, unsigned count)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + PATIENCE_NS;

    while (read_from(name, 0) < count && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        usleep(1000);
    cr_assert_eq(read_from(name, 0), count);
}

static void wait_for_lines(unsigned count)
{
    wait_for_lines_in(path, count);
}

Test(log_file, loses_none_when_it_rotates, .init = begin, .fini = end)
{
    settings.size_bytes = 1000; /* a line has some 50 bytes */
    settings.keep = 99;
    log_file_configure(file, &settings);
    put_all(0, 1500);
    file = log_file_free(file, PATIENCE_NS);
    cr_expect_eq(read_all(99), 1500);
}

Test(log_file, is_bounded, .init = begin, .fini = end)
{
    struct dirent **names = NULL;
    int count;

    settings.size_bytes = 20000;
    settings.keep = 2;
    log_file_configure(file, &settings);
    put_all(0, 5000);
    file = log_file_free(file, PATIENCE_NS);
    count = scandir(directory, &names, NULL, alphasort);
    cr_expect_eq(count, 5, "., .., and three files: %d", count);
    while (count > 0) {
        char name[512];
        struct stat st;

        snprintf(name, sizeof(name), "%s/%s", directory, names[--count]->d_name);
        cr_expect_eq(lstat(name, &st), 0);
        cr_expect(S_ISDIR(st.st_mode) || (st.st_size <= 20000 && (st.st_mode & 0777) == 0600),
                  "%s: %ld bytes", name, (long)st.st_size);
        free(names[count]);
    }
    free(names);
}

static bool is_there(unsigned number)
{
    char name[160];

    snprintf(name, sizeof(name), "%s.%u", path, number);
    return access(name, F_OK) == 0;
}

static void lay(unsigned number)
{
    char name[160];

    snprintf(name, sizeof(name), "%s.%u", path, number);
    close(creat(name, 0600));
}

Test(log_file, keeps_fewer_when_it_is_told_so, .init = begin, .fini = end)
{
    settings.size_bytes = 1000;
    settings.keep = 9;
    log_file_configure(file, &settings);
    put_all(0, 500);
    file = log_file_free(file, PATIENCE_NS);
    cr_assert(is_there(1) && is_there(9));
    lay(10); /* somebody else's */
    settings.size_bytes = 1 << 20;
    file = log_file_new(&settings);
    settings.keep = 2;
    log_file_configure(file, &settings);
    put(500);
    file = log_file_free(file, PATIENCE_NS);
    for (unsigned i = 1; i <= 10; i++)
        cr_expect_eq(is_there(i), i <= 2 || i == 10, "%s.%u", path, i);
}

/* Whose they are is not known at the start, nor when another file comes or others rename it. */
Test(log_file, removes_none_of_others, .init = begin, .fini = end)
{
    char elsewhere[160];

    put(0);
    wait_for_lines(1);
    for (unsigned i = 1; i < 8; i++)
        lay(i);
    file = log_file_free(file, PATIENCE_NS);
    file = log_file_new(&settings);
    put(1);
    wait_for_lines(2);
    unlink(path); /* it is opened anew */
    put(0);
    wait_for_lines(1);
    settings.keep = 9;
    snprintf(elsewhere, sizeof(elsewhere), "%s/other.log", place);
    settings.path = elsewhere;
    log_file_configure(file, &settings);
    put(0);
    wait_for_lines_in(elsewhere, 1);
    settings.keep = 1;
    settings.path = path;
    log_file_configure(file, &settings);
    put(1);
    file = log_file_free(file, PATIENCE_NS);
    for (unsigned i = 1; i < 8; i++)
        cr_expect(is_there(i), "%s.%u", path, i);
}

Test(log_file, begins_anew_where_others_moved_it, .init = begin, .fini = end)
{
    char moved[160];

    put(0);
    wait_for_lines(1);
    snprintf(moved, sizeof(moved), "%s.1", path);
    cr_assert_eq(rename(path, moved), 0);
    put(1);
    file = log_file_free(file, PATIENCE_NS);
    cr_expect_eq(read_all(1), 2);
}

Test(log_file, makes_its_directory_again, .init = begin, .fini = end)
{
    put(0);
    wait_for_lines(1);
    remove_all(directory);
    put(0);
    wait_for_lines(1);
    cr_expect_eq(log_file_state(file).error, 0);
}

Test(log_file, loses_none_while_it_cannot_write, .init = begin, .fini = end)
{
    put(0);
    wait_for_lines(1);
    remove_all(directory);
    close(creat(directory, 0600)); /* a file where the directory must be */
    put_all(0, 100);
    wait_for_error(-ENOTDIR);
    cr_assert_eq(unlink(directory), 0);
    wait_for_lines(100);
    wait_for_error(0);
}

Test(log_file, refuses_what_finds_no_room, .init = begin, .fini = end)
{
    unsigned taken = 0;

    put(0);
    wait_for_lines(1);
    remove_all(directory);
    close(creat(directory, 0600));
    while (put(taken))
        taken++;
    cr_expect_gt(taken, LOG_FILE_QUEUE_BYTES / 60);
    wait_for_error(-ENOTDIR);
    cr_assert_eq(unlink(directory), 0);
    wait_for_lines(taken);
    put_all(taken, taken + 1);
    wait_for_lines(taken + 1);
}

/* A full disk takes a part of a line: it is whole, or not there. */
Test(log_file, survives_a_full_disk, .init = begin, .fini = end)
{
    char filler[128];
    FILE *fill;

    if (unshare(CLONE_NEWNS) < 0)
        cr_skip("no mount namespaces for us");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mkdir(directory, 0700), 0);
    cr_assert_eq(mount("none", directory, "tmpfs", 0, "size=64k"), 0);
    cr_assert_eq(chmod(directory, 0700), 0);
    /* The thread is in the old namespace. */
    log_file_free(file, 0);
    file = log_file_new(&settings);
    snprintf(filler, sizeof(filler), "%s/filler", directory);
    fill = fopen(filler, "we");
    while (fputc('x', fill) != EOF && fflush(fill) == 0)
        ;
    fclose(fill);
    cr_assert_eq(truncate(filler, 60 << 10), 0); /* one page is left */
    put_all(0, 500);
    wait_for_error(-ENOSPC);
    cr_expect_gt(read_from(path, 0), 50, "until then whole lines");
    cr_assert_eq(unlink(filler), 0);
    wait_for_lines(500);
    file = log_file_free(file, PATIENCE_NS);
    umount2(directory, MNT_DETACH);
}

static void expect_link(const char *to)
{
    char there[256] = "";

    cr_expect_gt(readlink(link_path, there, sizeof(there) - 1), 0, "%s", strerror(errno));
    cr_expect_str_eq(there, to);
}

Test(log_file, keeps_a_link, .init = begin, .fini = end)
{
    settings.link = link_path;
    cr_assert_eq(symlink("/somewhere/else", link_path), 0);
    log_file_configure(file, &settings);
    put(0);
    wait_for_lines(1);
    expect_link(path);
    unlink(link_path);
    log_file_configure(file, &settings);
    put(1);
    wait_for_lines(2);
    expect_link(path);
    cr_expect_eq(log_file_state(file).link_error, 0);
}

Test(log_file, leaves_what_is_no_link, .init = begin, .fini = end)
{
    struct stat st;

    settings.link = link_path;
    close(creat(link_path, 0600));
    log_file_configure(file, &settings);
    put(0);
    wait_for_lines(1);
    cr_expect_eq(log_file_state(file).link_error, -EEXIST);
    cr_expect(lstat(link_path, &st) == 0 && S_ISREG(st.st_mode));
}

Test(log_file, goes_elsewhere, .init = begin, .fini = end)
{
    char other[160];

    put(0);
    wait_for_lines(1);
    snprintf(other, sizeof(other), "%s/other.log", place);
    settings.path = other;
    log_file_configure(file, &settings);
    put(0);
    file = log_file_free(file, PATIENCE_NS);
    cr_expect_eq(read_from(path, 0), 1);
    cr_expect_eq(read_from(other, 0), 1);
}

Test(log_file, tries_again_where_it_got_no_thread, .init = begin, .fini = end)
{
    file = log_file_free(file, PATIENCE_NS);
    no_threads = true;
    file = log_file_new(&settings);
    cr_expect_not(put(0));
    cr_expect_eq(log_file_state(file).error, -EAGAIN);
    no_threads = false;
    cr_assert(put(0));
    wait_for_lines(1);
    cr_expect_eq(log_file_state(file).error, 0);
}

Test(log_file, ends_though_nothing_can_be_written, .init = begin, .fini = end)
{
    uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);

    close(creat(directory, 0600));
    put(0);
    file = log_file_free(file, 100 * NS_PER_S);
    cr_expect_lt(clock_now_ns(CLOCK_MONOTONIC) - began_ns, 50 * NS_PER_S);
}
