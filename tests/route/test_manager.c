/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told arrives, though its socket is full or gone for a while. */
#include "route/agent/manager.h"

#include <criterion/criterion.h>
#include <sys/un.h>

#define START_NS (100 * NS_PER_S)

static char directory[64], path[96];
static struct manager manager;

static void begin(void)
{
    snprintf(directory, sizeof(directory), "/tmp/reroute-manager-XXXXXX");
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/notify", directory);
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "20000000", 1);
    unsetenv("WATCHDOG_PID");
    manager_start(&manager, START_NS);
}

static void end(void)
{
    unlink(path);
    rmdir(directory);
}

static int listen_there(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    memcpy(at.sun_path, path, strlen(path));
    cr_assert_eq(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* All that has come, each in brackets. */
static const char *come(int fd)
{
    static char text[4096];
    char one[1024];
    size_t length = 0;
    ssize_t n;

    text[0] = '\0';
    while ((n = recv(fd, one, sizeof(one) - 1, 0)) > 0) {
        one[n] = '\0';
        length += (size_t)snprintf(text + length, sizeof(text) - length, "[%s]", one);
    }
    return text;
}

/* Steps at the deadlines until `until_ns`; returns how many. */
static unsigned run(enum manager_route route, uint64_t from_ns, uint64_t until_ns)
{
    unsigned steps = 0;

    for (uint64_t now_ns = from_ns; now_ns <= until_ns && steps < 1000; steps++) {
        manager_step(&manager, route, "works", now_ns);
        cr_assert_gt(manager_deadline_ns(&manager), now_ns, "a deadline that is over: a busy loop");
        now_ns = manager_deadline_ns(&manager);
    }
    return steps;
}

Test(manager, what_cannot_be_sent_makes_no_busy_loop_and_is_sent_later, .init = begin, .fini = end)
{
    int fd;

    cr_expect_leq(run(MANAGER_NO_ANSWER, START_NS, START_NS + 100 * NS_PER_S), 200);
    fd = listen_there();
    run(MANAGER_NO_ANSWER, START_NS + 102 * NS_PER_S, START_NS + 104 * NS_PER_S);
    cr_expect(strstr(come(fd), "READY=1\nSTATUS=works; waited 45 s in vain"), "%s", come(fd));
    cr_expect_eq(manager_deadline_ns(&manager), manager.watchdog_ns, "nothing else is left");
    close(fd);
}

/* What comes until `end_ns`, from `link_ns` on when a link comes then. Nothing ever answers. */
static const char *told_by(int fd, uint64_t link_ns, uint64_t end_ns)
{
    run(MANAGER_NO_LINK, START_NS, min_u64(link_ns, end_ns) - 1);
    if (link_ns >= end_ns)
        return come(fd);
    come(fd);
    run(MANAGER_NO_ANSWER, link_ns, end_ns);
    return come(fd);
}

Test(manager, a_link_is_waited_for_and_then_an_answer)
{
    static const struct {
        const char *what;
        unsigned link_s, end_s; /* after the start */
        const char *want, *never;
    } rows[] = {
        {"no link yet", 999, 74, "works; waits up to 75 s for an interface that leads to a node]", "READY=1"},
        {"no link", 999, 76, "[READY=1\nSTATUS=works; waited 75 s in vain for an interface", "answers"},
        {"a link from the start", 0, 44, "[STATUS=works; waits up to 45 s for a next hop that answers]",
         "READY=1"},
        {"and no answer", 0, 46, "[READY=1\nSTATUS=works; waited 45 s in vain for a next hop", "interface"},
        {"a link a minute later", 60, 104, "[STATUS=works; waits up to 45 s for a next hop", "READY=1"},
        {"and no answer", 60, 106, "[READY=1\nSTATUS=works; waited 45 s in vain for a next hop", "interface"},
        {"a link too late", 80, 130, "[WATCHDOG=1]", "STATUS"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *told;
        int fd;

        begin();
        fd = listen_there();
        told = told_by(fd, START_NS + rows[i].link_s * NS_PER_S, START_NS + rows[i].end_s * NS_PER_S);
        cr_expect(strstr(told, rows[i].want) && !strstr(told, rows[i].never), "%s (%u s): %s", rows[i].what,
                  rows[i].end_s, told);
        close(fd);
        end();
    }
}

Test(manager, a_lost_keep_alive_is_sent_again_in_time, .init = begin, .fini = end)
{
    const uint64_t interval_ns = 10 * NS_PER_S, lost_ns = START_NS + interval_ns;
    int fd = listen_there();

    manager_step(&manager, MANAGER_STANDS, "works", START_NS);
    cr_expect(strstr(come(fd), "[WATCHDOG=1]"));
    cr_expect_eq(manager_deadline_ns(&manager), lost_ns);
    unlink(path);
    manager_step(&manager, MANAGER_STANDS, "works", lost_ns);
    cr_expect_leq(manager_deadline_ns(&manager), lost_ns + interval_ns / 4);
    cr_expect_gt(manager_deadline_ns(&manager), lost_ns);
    close(fd);
    fd = listen_there();
    manager_step(&manager, MANAGER_STANDS, "works", manager_deadline_ns(&manager));
    cr_expect_str_eq(come(fd), "[WATCHDOG=1]");
    close(fd);
}

/* lost: 1 the begin, 2 the end, 3 both. */
static void reload(int lost)
{
    uint64_t now_ns = START_NS + NS_PER_S;
    const char *text;
    int fd = listen_there();

    manager_step(&manager, MANAGER_STANDS, "works", START_NS);
    come(fd);
    unlink(path);
    if (lost == 2) {
        close(fd);
        fd = listen_there();
    }
    manager_reload_begins(&manager);
    unlink(path);
    if (lost == 1) {
        close(fd);
        fd = listen_there();
    }
    manager_reload_ended(&manager);
    unlink(path);
    manager_step(&manager, MANAGER_STANDS, "works", now_ns);
    close(fd);
    fd = listen_there();
    cr_expect_gt(manager_deadline_ns(&manager), now_ns);
    cr_expect_leq(manager_deadline_ns(&manager), now_ns + 2 * NS_PER_S);
    manager_step(&manager, MANAGER_STANDS, "works", manager_deadline_ns(&manager));
    text = come(fd);
    cr_expect(strncmp(text, "[RELOADING=1\nMONOTONIC_USEC=", 28) == 0 && strstr(text, "][READY=1]"), "%d: %s",
              lost, text);
    manager_step(&manager, MANAGER_STANDS, "works", now_ns + 5 * NS_PER_S);
    cr_expect_str_eq(come(fd), "", "once");
    close(fd);
}

Test(manager, a_lost_begin_of_a_reload, .init = begin, .fini = end)
{
    reload(1);
}

Test(manager, a_lost_end_of_a_reload, .init = begin, .fini = end)
{
    reload(2);
}

Test(manager, a_reload_of_which_nothing_arrived, .init = begin, .fini = end)
{
    reload(3);
}

Test(manager, a_reload_that_is_told_is_told_once, .init = begin, .fini = end)
{
    int fd = listen_there();
    const char *text;

    manager_step(&manager, MANAGER_STANDS, "works", START_NS);
    come(fd);
    manager_reload_begins(&manager);
    manager_reload_ended(&manager);
    manager_step(&manager, MANAGER_STANDS, "works", START_NS + NS_PER_S);
    text = come(fd);
    cr_expect(strncmp(text, "[RELOADING=1\n", 13) == 0 && strstr(text, "][READY=1]"), "%s", text);
    cr_expect(!strstr(strstr(text, "][READY=1]") + 2, "]["), "%s", text);
    close(fd);
}
