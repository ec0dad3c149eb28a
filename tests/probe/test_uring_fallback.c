/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: where io_uring is forbidden or missing, in whatever way, "auto" takes another transport
 * and works, and who asks for io_uring by name gets one error that says so. The ways are played by seccomp:
 * each system call of io_uring with each errno (kernel.io_uring_disabled answers EPERM as well). And what is
 * taken away from a running transport is an error, not silence.
 */
#include <criterion/criterion.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "probe/sweep.h"
#include "probe/transport.h"
#include "tests/lib/netns.h"

/* From now on this process gets `error` from that system call. */
static void forbid(long call, int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        _exit(77);
}

static int sweep_ourselves(const char *transport, char *text, size_t size_bytes, const char **runs)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
    struct probe_result result;
    struct address target;
    uint32_t index;
    int r;

    settings.transport = transport;
    address_parse(&target, "127.0.0.1");
    r = probe_sweep_new(&sweep, &settings, text, size_bytes);
    if (r == 0)
        r = probe_sweep_add(sweep, &target, &index);
    while (r == 0 && !probe_sweep_next(sweep, &result))
        r = front_end_step(probe_sweep_front(sweep), NEVER_NS);
    if (r < 0)
        return r;
    *runs = front_end_transport(probe_sweep_front(sweep));
    return result.outcome == PROBE_REPLY ? 0 : -ETIMEDOUT;
}

struct way {
    long call;
    int error;
};

/* Exit status 0: as it should be; otherwise the number of the check that failed. */
static int check_fallback(void *context)
{
    const struct way *way = context;
    const char *runs = "";
    char text[128] = "";
    bool is_there = sweep_ourselves("io_uring", text, sizeof(text), &runs) == 0; /* not before Linux 6.0 */

    forbid(way->call, way->error);
    if (sweep_ourselves("auto", text, sizeof(text), &runs) < 0)
        return 1;
    if (strcmp(runs, "io_uring") == 0)
        return 2;
    if (sweep_ourselves("io_uring", text, sizeof(text), &runs) != -way->error && is_there)
        return 3;
    if (!strstr(text, "io_uring") || strchr(text, '\n'))
        return 4;
    return 0;
}

/* A sweep over io_uring must end with an error when the kernel is entered no more. */
static int check_taken_away(void *context)
{
    const struct way *way = context;
    struct probe_settings settings = probe_settings_default();
    CLEANUP(probe_sweep_free) struct probe_sweep *sweep = NULL;
    struct address target;
    char text[128];
    uint32_t index;
    int r = 0;

    settings.transport = "io_uring";
    address_parse(&target, "127.0.0.1");
    if (probe_sweep_new(&sweep, &settings, text, sizeof(text)) < 0)
        return 77;
    if (probe_sweep_add(sweep, &target, &index) < 0)
        return 1;
    forbid(way->call, way->error);
    for (int i = 0; r == 0 && i < 10; i++)
        r = front_end_step(probe_sweep_front(sweep), clock_now_ns(CLOCK_MONOTONIC));
    return r == -way->error ? 0 : 2;
}

static int check_choice(uint32_t targets, bool is_uring)
{
    struct probe_settings settings = probe_settings_default();
    CLEANUP(transport_close) struct transport *transport = NULL;
    char text[128];

    if (transport_open(&transport, &settings, targets, text, sizeof(text)) < 0)
        return 1;
    return (strcmp(transport->operations->name, "io_uring") == 0) == is_uring ? 0 : 2;
}

/* It is what "auto" takes where nothing is in the way, for many targets; a few do not pay for it. */
static int check_preferred(void *context)
{
    const char *runs = "";
    char text[128] = "";

    if (sweep_ourselves("io_uring", text, sizeof(text), &runs) < 0)
        return 77;
    if (sweep_ourselves("auto", text, sizeof(text), &runs) < 0)
        return 1;
    if (strcmp(runs, "io_uring") != 0)
        return 2;
    return check_choice(TRANSPORT_MANY, true) || check_choice(TRANSPORT_MANY - 1, false) ||
                   check_choice(1, false)
               ? 3
               : 0;
}

static void run(int (*check)(void *context), struct way way)
{
    int status = netns_wait(netns_spawn(NETNS_HERE, check, &way));

    if (status == 77)
        cr_skip_test("no seccomp, or no io_uring here");
    cr_assert_eq(status, 0, "call %ld, errno %s: %d", way.call, strerror(way.error), status);
}

static void enter(void)
{
    int r = netns_enter();

    if (r < 0)
        cr_skip_test("no network namespaces here: %s", strerror(-r));
}

Test(uring_fallback, other_transports_serve_where_it_is_forbidden, .timeout = 60)
{
    static const int errors[] = {EPERM, ENOSYS, EACCES, ENOMEM, EINVAL};
    static const long calls[] = {SYS_io_uring_setup, SYS_io_uring_register, SYS_io_uring_enter};

    enter();
    for (size_t c = 0; c < ARRAY_SIZE(calls); c++)
        for (size_t e = 0; e < ARRAY_SIZE(errors); e++)
            run(check_fallback, (struct way){calls[c], errors[e]});
}

Test(uring_fallback, is_preferred_where_it_is_to_be_had, .timeout = 60)
{
    enter();
    run(check_preferred, (struct way){0});
}

Test(uring_fallback, a_running_one_does_not_fail_in_silence, .timeout = 60)
{
    enter();
    run(check_taken_away, (struct way){SYS_io_uring_enter, EPERM});
    run(check_taken_away, (struct way){SYS_io_uring_enter, ENOMEM});
}
