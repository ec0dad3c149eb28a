/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: fib_replace() by commands ends where the table says so, whatever they do: they refuse, lie, hang,
 * say what nobody understands, or somebody else is quicker. Nothing is deleted without need, and what was deleted in
 * vain is put back.
 *
 * The command is a stand-in for ESXi's (tests/lib/esxcfg-route), which moves the kernel's route too.
 */
#include "route/fib/backend.h"
#include "route/fib/mtus.h"
#include "tests/fib/world.h"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#define SERVICE "192.168.33.2/32"

static char directory[64], command[96];

__attribute__((format(printf, 2, 3))) static void write_file(const char *name, const char *format, ...)
{
    char path[128];
    va_list values;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "we");
    cr_assert_not_null(file);
    va_start(values, format);
    vfprintf(file, format, values);
    va_end(values);
    fclose(file);
}

static const char *read_file(const char *name, char *buffer, size_t size_bytes)
{
    char path[128];
    FILE *file;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    file = fopen(path, "re");
    n = file ? fread(buffer, 1, size_bytes - 1, file) : 0;
    buffer[n] = '\0';
    if (file)
        fclose(file);
    return buffer;
}

/* The verbs of all calls since the log was emptied: "-l -d -a -l". */
static const char *calls(char *buffer, size_t size_bytes)
{
    char log[8192], *rest = log;
    size_t n = 0;

    buffer[0] = '\0';
    read_file("log", log, sizeof(log));
    for (char *line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char verb[16] = "";

        if (sscanf(line, "begin %*s %15s", verb) == 1)
            n += (size_t)snprintf(buffer + n, size_bytes - n, "%s%s", n ? " " : "", verb);
    }
    return buffer;
}

/* The world, with a route that somebody put there; "" for none. */
static void open_with(struct world *world, const char *routes, const char *trouble,
                      struct fib_settings settings)
{
    char path[128];

    snprintf(directory, sizeof(directory), "/tmp/reroute-command-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(command, sizeof(command), "%s/esxcfg-route", directory);
    cr_assert_eq(symlink(getenv("ESXCFG_ROUTE"), command), 0);
    snprintf(path, sizeof(path), "%s/esxcfg-vmknic", directory);
    cr_assert_eq(symlink(getenv("ESXCFG_ROUTE"), path), 0);
    settings.backend = "esxcfg";
    settings.command = command;
    settings.table = RT_TABLE_MAIN;
    settings.protocol = OUR_PROTOCOL;
    world_open(world, &settings);
    write_file("routes", "%s", routes);
    write_file("trouble", "%s", trouble);
    if (routes[0])
        netns_must(NETNS_HERE, "ip route add 192.168.33.2 via 10.1.0.2");
}

static void close_all(struct world *world)
{
    world_close(world);
    netns_run(NETNS_HERE, "rm -r %s", directory);
}

static int replace(struct world *world, const char *gateway)
{
    struct address service = service_of(AF_INET), to = address_of(gateway), source;
    struct fib_route standing;
    size_t count = 1;
    uint32_t ifindex;
    int r;

    cr_assert_eq(fib_egress(world->fib, &to, &ifindex, &source), 0);
    r = fib_get(world->fib, &service, &standing, &count);
    return r < 0 ? r : fib_replace(world->fib, &service, &to, ifindex, count ? &standing : NULL, NULL);
}

#define OLD "192.168.33.2/32 10.1.0.2\n"
#define NEW "192.168.33.2/32 10.1.0.3\n"

static const struct {
    const char *what, *before, *trouble;
    int result;
    const char *message; /* a part of it */
    const char *after, *calls;
} rows[] = {
    {"cold start", "", "", 0, "", NEW, "-l -a -l"},
    {"a switch", OLD, "", 0, "", NEW, "-l -d -a -l"},
    {"it agrees already", NEW, "", 0, "", NEW, "-l"},
    {"the add is refused", OLD, "-a@10.1.0.3 refuse Error: Invalid netmask", -EREMOTEIO,
     "esxcfg-route -a 192.168.33.2/32 10.1.0.3 was refused: Error: Invalid netmask; the old route is back",
     OLD, "-l -d -a -l -a -l"},
    {"the add is refused, and the old one too", OLD, "-a refuse Error: no", -EREMOTEIO,
     "was refused: Error: no; esxcfg-route -a 192.168.33.2/32 10.1.0.2 was refused: Error: no", "",
     "-l -d -a -l -a -l"},
    {"the first add is refused", "", "-a refuse Error: no", -EREMOTEIO, "10.1.0.3 was refused: Error: no", "",
     "-l -a -l"},
    {"the add lies", OLD, "-a@10.1.0.3 lie", -EREMOTEIO,
     "was accepted, but the table does not show it; the old route is back", OLD, "-l -d -a -l -a -l"},
    {"it vanishes after the add", OLD, "-a@10.1.0.3 vanish", -EREMOTEIO,
     "was accepted, but the table does not show it; the old route is back", OLD, "-l -d -a -l -a -l"},
    {"it vanishes before the delete", OLD, "-d vanish", 0, "", NEW, "-l -d -l -a -l"},
    {"the delete is refused", OLD, "-d refuse busy", -EREMOTEIO,
     "esxcfg-route -d 192.168.33.2/32 10.1.0.2 was refused: busy", OLD, "-l -d -l"},
    {"the delete lies", OLD, "-d lie", -ESTALE, "is shadowed by 192.168.33.2/32 via 10.1.0.2", OLD NEW,
     "-l -d -a -l -d -l"},
    {"the delete says something else", OLD, "-d garble Done.", 0, "", NEW, "-l -d -l -a -l"},
    {"the delete says something else, and the add is refused", OLD, "-d garble Done.\n-a@10.1.0.3 refuse no",
     -EREMOTEIO, "was refused: no; the old route is back", OLD, "-l -d -l -a -l -a -l"},
    {"the add says something else", OLD, "-a garble Done.", 0, "", NEW, "-l -d -a -l"},
    {"the table is nonsense", OLD, "-l garble Connect to localhost failed", -EBADMSG,
     "is not understood: line 2", OLD, "-l"},
    {"the table is broken off", OLD,
     "-l garble Network Netmask Gateway Interface\n-l refuse Network Netmask Gateway Interface", -EBADMSG,
     "is not understood: it failed, and said: Network", OLD, "-l"},
    {"nothing is said at all", OLD, "-l refuse", -EBADMSG, "it failed, and said: nothing", OLD, "-l"},
    {"the table is locked", OLD, "-l refuse Timeout while waiting for lock, x", -EBUSY,
     "Timeout while waiting", OLD, "-l"},
    {"the delete is locked", OLD, "-d refuse Timeout while waiting for lock, x", -EBUSY,
     "Timeout while waiting", OLD, "-l -d"},
    {"the add is locked", OLD, "-a refuse Timeout while waiting for lock, x", -EBUSY, "Timeout while waiting",
     "", "-l -d -a"},
    {"the table hangs", OLD, "-l hang", -ETIMEDOUT,
     "esxcfg-route -l has not answered for 2 s, and was killed", OLD, "-l"},
    {"the delete hangs", OLD, "-d hang", -ETIMEDOUT, "has not answered", OLD, "-l -d"},
    {"the add hangs", OLD, "-a hang", -ETIMEDOUT, "has not answered", "", "-l -d -a"},
};

Test(backend_command, a_switch)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct world world;
        char after[256], called[256];
        bool hangs = strstr(rows[i].trouble, "hang") != NULL;
        int r;

        open_with(&world, rows[i].before, rows[i].trouble,
                  (struct fib_settings){.command_timeout_ns = hangs ? 2 * NS_PER_S : 0});
        r = replace(&world, "10.1.0.3");
        cr_expect_eq(r, rows[i].result, "%s: %d %s", rows[i].what, r, fib_error(world.fib));
        cr_expect(r == 0 || strstr(fib_error(world.fib), rows[i].message), "%s: %s", rows[i].what,
                  fib_error(world.fib));
        cr_expect_str_eq(read_file("routes", after, sizeof(after)), rows[i].after, "%s: %s", rows[i].what,
                         after);
        cr_expect_str_eq(calls(called, sizeof(called)), rows[i].calls, "%s: %s", rows[i].what, called);
        cr_expect_eq(fib_silent_since_ns(world.fib) != 0, hangs, "%s", rows[i].what);
        /* Whatever it was, when it is over the next try does it. */
        write_file("trouble", "%s", "");
        fib_next_event(world.fib, &(struct fib_event){0});
        r = replace(&world, "10.1.0.4");
        cr_expect(r == 0 || r == -ESTALE, "%s, then: %s", rows[i].what, fib_error(world.fib));
        cr_expect_eq(fib_silent_since_ns(world.fib), 0);
        cr_expect(strstr(read_file("routes", after, sizeof(after)), "10.1.0.4"), "%s", after);
        cr_expect_eq(netns_run(NETNS_HERE, "ip route get 192.168.33.2 | grep -q 'via 10.1.0.4'"), 0);
        close_all(&world);
    }
}

Test(backend_command, a_table_that_was_just_read_is_not_read_again)
{
    struct world world;
    char called[256];

    open_with(&world, OLD, "", (struct fib_settings){0});
    cr_expect_eq(replace(&world, "10.1.0.3"), 0);
    write_file("log", "%s", "");
    cr_expect_eq(replace(&world, "10.1.0.4"), 0, "%s", fib_error(world.fib));
    cr_expect_str_eq(calls(called, sizeof(called)), "-d -a -l", "%s", called);
    /* Until all may have changed: then somebody else's change is seen. */
    write_file("log", "%s", "");
    cr_expect_not(fib_next_event(world.fib, &(struct fib_event){0}));
    cr_expect_eq(replace(&world, "10.1.0.4"), 0);
    cr_expect_str_eq(calls(called, sizeof(called)), "-l", "%s", called);
    close_all(&world);
}

/* The delete was done, the add was not: the next try must not go by the table of before. */
Test(backend_command, a_table_is_not_believed_after_a_change)
{
    struct world world;
    char called[256];

    open_with(&world, OLD, "", (struct fib_settings){0});
    cr_expect_eq(replace(&world, "10.1.0.3"), 0);
    write_file("trouble", "-a refuse Timeout while waiting for lock, x");
    cr_expect_eq(replace(&world, "10.1.0.4"), -EBUSY, "%s", fib_error(world.fib));
    write_file("trouble", "%s", "");
    write_file("log", "%s", "");
    cr_expect_eq(replace(&world, "10.1.0.4"), 0, "%s", fib_error(world.fib));
    cr_expect_str_eq(calls(called, sizeof(called)), "-l -a -l", "%s", called);
    close_all(&world);
}

Test(backend_command, another_route_that_came_meanwhile_is_not_deleted)
{
    struct world world;
    char after[256];
    int r;

    open_with(&world, OLD, "", (struct fib_settings){0});
    cr_expect_eq(replace(&world, "10.1.0.3"), 0);
    write_file("routes", "%s", "192.168.33.2/32 10.1.0.2\n");
    r = replace(&world, "10.1.0.4");
    cr_expect_eq(r, -EBUSY, "%d %s", r, fib_error(world.fib));
    cr_expect_str_eq(read_file("routes", after, sizeof(after)), OLD);
    close_all(&world);
}

Test(backend_command, whose_a_route_is_was_noted)
{
    struct address service = service_of(AF_INET), node2 = address_of("10.1.0.2");
    struct fib_route route;
    size_t count = 1;
    struct world world;

    open_with(&world, OLD, "", (struct fib_settings){0});
    cr_assert_eq(fib_get(world.fib, &service, &route, &count), 0);
    cr_expect_eq(count, 1);
    cr_expect_not(fib_is_ours(world.fib, &route));
    cr_expect_eq(fib_remove(world.fib, &service, NULL), -ESRCH);
    fib_own(world.fib, &node2);
    cr_assert_eq(fib_get(world.fib, &service, &route, &count), 0);
    cr_expect(fib_is_ours(world.fib, &route));
    cr_expect_eq(route.ifindex, world.data);
    cr_expect_eq(fib_remove(world.fib, &service, NULL), 0, "%s", fib_error(world.fib));
    cr_expect_not(address_is_set(fib_owned(world.fib)));
    cr_expect_eq(fib_remove(world.fib, &service, NULL), -ESRCH);
    cr_expect_eq(replace(&world, "10.1.0.3"), 0);
    cr_expect_str_eq(ADDRESS_TEXT(fib_owned(world.fib)), "10.1.0.3");
    close_all(&world);
}

/* Two at the same key: nobody knows which one packets take. */
Test(backend_command, a_second_one_is_told)
{
    struct address service = service_of(AF_INET), ours = address_of("10.1.0.3");
    char text[256];
    struct fib_way way;
    struct world world;

    open_with(&world, "", "", (struct fib_settings){0});
    write_file("routes", "%s", NEW OLD);
    fib_own(world.fib, &ours);
    cr_assert_eq(fib_way(world.fib, &service, &way), 0);
    cr_expect_str_eq(fib_way_text(&way, text, sizeof(text)),
                     "192.168.33.2/32 via 10.1.0.2 dev data proto 0 metric 0");
    close_all(&world);
}

static int replace_ours(struct world *world, const char *gateway, struct fib_route *shadow)
{
    struct address service = service_of(AF_INET), to = address_of(gateway);

    fib_next_event(world->fib, &(struct fib_event){0});
    return fib_replace(world->fib, &service, &to, world->data, NULL, shadow);
}

static void expect_table(const char *expected)
{
    char after[256];

    cr_expect_str_eq(read_file("routes", after, sizeof(after)), expected, "%s", after);
}

/* An ICMP redirect puts one there. It is left alone and told, but ours moves all the same. */
Test(backend_command, a_foreign_one_beside_ours_holds_up_no_switch)
{
    struct fib_route shadow;
    struct world world;

    open_with(&world, "", "", (struct fib_settings){0});
    cr_expect_eq(replace_ours(&world, "10.1.0.2", NULL), 0);
    write_file("routes", "%s", "192.168.33.2/32 10.1.0.4\n" OLD);
    cr_expect_eq(replace_ours(&world, "10.1.0.3", &shadow), -ESTALE, "%s", fib_error(world.fib));
    cr_expect_str_eq(ADDRESS_TEXT(&shadow.gateway), "10.1.0.4");
    expect_table("192.168.33.2/32 10.1.0.4\n" NEW);
    /* An add that is refused leaves ours where it was. */
    write_file("trouble", "%s", "-a@10.1.0.2 refuse no\n");
    cr_expect_eq(replace_ours(&world, "10.1.0.2", &shadow), -EREMOTEIO);
    expect_table("192.168.33.2/32 10.1.0.4\n" NEW);
    cr_expect_str_eq(ADDRESS_TEXT(fib_owned(world.fib)), "10.1.0.3");
    /* When its way is the one that is wanted, it is taken over. */
    cr_expect_eq(replace_ours(&world, "10.1.0.4", &shadow), 0, "%s", fib_error(world.fib));
    expect_table("192.168.33.2/32 10.1.0.4\n");
    cr_expect_str_eq(ADDRESS_TEXT(fib_owned(world.fib)), "10.1.0.4");
    close_all(&world);
}

/* Both are ours then, for as long as the table shows them. */
Test(backend_command, a_delete_that_lied_is_done_again)
{
    struct world world;

    open_with(&world, "", "", (struct fib_settings){0});
    cr_expect_eq(replace_ours(&world, "10.1.0.2", NULL), 0);
    write_file("trouble", "%s", "-d lie\n");
    cr_expect_eq(replace_ours(&world, "10.1.0.3", NULL), -ESTALE);
    expect_table(OLD NEW);
    cr_expect(fib_has_leftover(world.fib));
    write_file("trouble", "%s", "");
    cr_expect_eq(replace_ours(&world, "10.1.0.4", NULL), 0, "%s", fib_error(world.fib));
    expect_table("192.168.33.2/32 10.1.0.4\n");
    cr_expect_not(fib_has_leftover(world.fib));
    close_all(&world);
}

/* What was not put is nothing that is left, though another route leads through its next hop. */
Test(backend_command, the_way_of_another_route_is_not_ours)
{
    struct world world;

    open_with(&world, "", "", (struct fib_settings){0});
    cr_expect_eq(replace_ours(&world, "10.1.0.2", NULL), 0);
    write_file("routes", "%s", "10.77.0.0/24 10.1.0.3\n" OLD);
    write_file("trouble", "%s", "-a@10.1.0.3 lie\n");
    cr_expect_eq(replace_ours(&world, "10.1.0.3", NULL), -EREMOTEIO);
    expect_table("10.77.0.0/24 10.1.0.3\n" OLD);
    cr_expect_not(fib_has_leftover(world.fib));
    close_all(&world);
}

/* The add did it, and the table could not be read after it. */
Test(backend_command, what_was_put_unseen_is_ours)
{
    struct address service = service_of(AF_INET), to = address_of("10.1.0.3");
    struct world world;

    open_with(&world, "", "", (struct fib_settings){0});
    cr_expect_eq(replace_ours(&world, "10.1.0.2", NULL), 0);
    write_file("trouble", "%s", "-l garble nonsense\n");
    cr_expect_eq(fib_replace(world.fib, &service, &to, world.data, NULL, NULL), -EBADMSG);
    write_file("trouble", "%s", "");
    expect_table(NEW);
    cr_expect_eq(replace_ours(&world, "10.1.0.4", NULL), 0, "%s", fib_error(world.fib));
    expect_table("192.168.33.2/32 10.1.0.4\n");
    close_all(&world);
}

static const char *const forms[] = {"", "rule", "columns"};

Test(backend_command, forms_of_the_table)
{
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        struct address service = service_of(AF_INET), elsewhere = address_of("172.16.0.1");
        char text[256];
        struct fib_way way;
        struct world world;

        open_with(&world, OLD "0.0.0.0/0 10.2.0.2\n", "", (struct fib_settings){0});
        write_file("form", "%s", forms[i]);
        cr_assert_eq(fib_way(world.fib, &service, &way), 0, "%s: %s", forms[i], fib_error(world.fib));
        cr_expect_str_eq(fib_way_text(&way, text, sizeof(text)),
                         "192.168.33.2/32 via 10.1.0.2 dev data proto 0 metric 0", "%s: %s", forms[i], text);
        cr_assert_eq(fib_way(world.fib, &elsewhere, &way), 0);
        cr_expect_str_eq(fib_way_text(&way, text, sizeof(text)),
                         "0.0.0.0/0 via 10.2.0.2 dev management proto 0 metric 0", "%s: %s", forms[i], text);
        close_all(&world);
    }
}

Test(backend_command, a_netstack_is_named)
{
    struct world world;

    open_with(&world, OLD, "", (struct fib_settings){.netstack = "storage"});
    cr_expect_eq(replace(&world, "10.1.0.3"), -EBADMSG);
    write_file("netstack", "%s", "storage\n");
    cr_expect_eq(replace(&world, "10.1.0.3"), 0, "%s", fib_error(world.fib));
    close_all(&world);
}

struct hurried {
    struct fib *fib;
    int watch; /* inotify, of the directory of the command */
    bool begun;
};

/* Until the log says that a call has begun; false: not within ten seconds. */
static bool wait_for_begin(int watch)
{
    char log[256], events[4096];
    struct pollfd changed = {.fd = watch, .events = POLLIN};

    while (!strstr(read_file("log", log, sizeof(log)), "begin"))
        if (poll(&changed, 1, 10000) <= 0 || read(watch, events, sizeof(events)) < 0)
            return false;
    return true;
}

static void *hurry(void *context)
{
    struct hurried *hurried = context;

    hurried->begun = wait_for_begin(hurried->watch);
    fib_hurry(hurried->fib, true);
    return NULL;
}

/* A look that hangs does not hold up a switch: the table as it was known is good enough for that. */
Test(backend_command, a_look_is_given_up)
{
    struct address service = service_of(AF_INET);
    struct world world;
    struct fib_way way;
    struct hurried hurried;
    char called[256];
    pthread_t thread;

    open_with(&world, OLD, "", (struct fib_settings){0});
    cr_expect_eq(replace(&world, "10.1.0.3"), 0);
    write_file("log", "%s", "");
    write_file("trouble", "%s", "-l hang\n");
    fib_next_event(world.fib, &(struct fib_event){0});
    hurried = (struct hurried){.fib = world.fib, .watch = inotify_init1(IN_CLOEXEC)};
    cr_assert_geq(inotify_add_watch(hurried.watch, directory, IN_MODIFY | IN_CREATE), 0);
    pthread_create(&thread, NULL, hurry, &hurried);
    cr_expect_eq(fib_way(world.fib, &service, &way), -ECANCELED);
    pthread_join(thread, NULL);
    close(hurried.watch);
    cr_expect(hurried.begun, "the look had begun");
    cr_expect_eq(fib_silent_since_ns(world.fib), 0, "so early it is no hang");
    write_file("trouble", "%s", "");
    fib_hurry(world.fib, false);
    cr_expect_eq(replace(&world, "10.1.0.4"), 0, "%s", fib_error(world.fib));
    cr_expect_str_eq(calls(called, sizeof(called)), "-l -d -a -l", "%s", called);
    close_all(&world);
}

/* What a command of long ago removed is not put back, when a route has stood there since. */
Test(backend_command, what_was_removed_is_forgotten_with_the_next_route)
{
    struct world world;
    char called[256];

    open_with(&world, OLD, "-a hang", (struct fib_settings){.command_timeout_ns = 2 * NS_PER_S});
    cr_expect_eq(replace(&world, "10.1.0.3"), -ETIMEDOUT);
    write_file("trouble", "%s", "");
    write_file("routes", "%s", NEW);
    fib_next_event(world.fib, &(struct fib_event){0});
    cr_expect_eq(replace(&world, "10.1.0.3"), 0, "%s", fib_error(world.fib));
    write_file("routes", "%s", "");
    write_file("trouble", "%s", "-a refuse no\n");
    write_file("log", "%s", "");
    fib_next_event(world.fib, &(struct fib_event){0});
    cr_expect_eq(replace(&world, "10.1.0.4"), -EREMOTEIO);
    cr_expect_str_eq(calls(called, sizeof(called)), "-l -a -l", "%s", called);
    close_all(&world);
}

/* ip(8) swaps in one step, and tells whose a route is. */
static const uint8_t families[] = {AF_INET, AF_INET6};

Test(backend_command, by_ip)
{
    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        struct fib_settings settings = world_settings();
        struct address service = service_of(families[i]), source;
        struct address to = address_of(families[i] == AF_INET ? "10.1.0.3" : "fd01::3");
        char text[256], expected[256];
        struct world world;
        uint32_t ifindex;

        settings.backend = "ip";
        world_open(&world, &settings);
        cr_assert_eq(fib_egress(world.fib, &to, &ifindex, &source), 0);
        cr_expect_eq(ifindex, world.data);
        cr_expect_eq(fib_replace(world.fib, &service, &to, ifindex, NULL, NULL), 0, "%s",
                     fib_error(world.fib));
        snprintf(expected, sizeof(expected), "%s/%d via %s dev data proto 213 metric %d",
                 ADDRESS_TEXT(&service), families[i] == AF_INET ? 32 : 128, ADDRESS_TEXT(&to),
                 families[i] == AF_INET ? 0 : 1024);
        cr_expect_str_eq(routes_text(world.fib, &service, text, sizeof(text)), expected, "%s", text);
        /* What ip(8) refuses is refused in its own words; what stands goes on. */
        cr_expect_eq(fib_replace(world.fib, &service, &service, ifindex, NULL, NULL), -EREMOTEIO, "%s",
                     fib_error(world.fib));
        cr_expect(strstr(fib_error(world.fib), "was refused: "), "%s", fib_error(world.fib));
        cr_expect_str_eq(routes_text(world.fib, &service, text, sizeof(text)), expected, "%s", text);
        cr_expect_eq(fib_remove(world.fib, &service, NULL), 0, "%s", fib_error(world.fib));
        cr_expect_str_eq(routes_text(world.fib, &service, text, sizeof(text)), "");
        world_close(&world);
    }
}

/* The kernel makes a table of its own for us with the first route. */
Test(backend_command, by_ip_in_a_table_that_is_not_there_yet)
{
    struct fib_settings settings = world_settings();
    struct address service = service_of(AF_INET), to = address_of("10.1.0.3"), source;
    struct world world;
    uint32_t ifindex;
    char text[256];

    settings.backend = "ip";
    settings.table = 7777;
    world_open(&world, &settings);
    cr_assert_eq(fib_egress(world.fib, &to, &ifindex, &source), 0);
    cr_expect_str_eq(routes_text(world.fib, &service, text, sizeof(text)), "");
    cr_expect_eq(fib_replace(world.fib, &service, &to, ifindex, NULL, NULL), 0, "%s", fib_error(world.fib));
    cr_expect_eq(netns_run(NETNS_HERE, "ip route show table 7777 | grep -q '192.168.33.2 via 10.1.0.3'"), 0);
    cr_expect_eq(fib_remove(world.fib, &service, NULL), 0, "%s", fib_error(world.fib));
    world_close(&world);
}

/* What the system does not tell of a link its command does, to the FIB of another thread too. */
Test(backend_command, mtus)
{
    struct address service = service_of(AF_INET);
    struct fib_mtus mtus = FIB_MTUS_EMPTY;
    struct fib_host host = {0};
    struct world world;
    char called[256], text[256];

    open_with(&world, OLD, "", (struct fib_settings){.mtus = &mtus});
    netns_must(
        NETNS_HERE,
        "ip link set data mtu 8900; ip link set data down; ip link set data name vmk0; ip link set vmk0 up");
    fib_next_event(world.fib, &(struct fib_event){0});
    cr_assert_eq(fib_know_host(world.fib), 0);
    routes_text(world.fib, &service, text, sizeof(text));
    cr_expect_str_eq(calls(called, sizeof(called)), "-l", "only asked for when they are not known: %s",
                     called);
    for (size_t i = 0; i < world.fib->host.link_count; i++)
        world.fib->host.links[i].mtu_bytes = 0;
    fib_next_event(world.fib, &(struct fib_event){0});
    world.fib->host_is_known = true; /* as it would be read where SIOCGIFMTU is refused */
    routes_text(world.fib, &service, text, sizeof(text));
    fib_next_event(world.fib, &(struct fib_event){0});
    world.fib->host_is_known = true;
    routes_text(world.fib, &service, text, sizeof(text));
    cr_expect_str_eq(calls(called, sizeof(called)), "-l -l -l -l", "once a minute at most: %s", called);
    cr_assert_eq(fib_host_add_link(&host, &(struct fib_link){.ifindex = 1, .name = "vmk0"}), 0);
    cr_assert_eq(
        fib_host_add_link(&host, &(struct fib_link){.ifindex = 2, .name = "vmk0", .mtu_bytes = 1400}), 0);
    cr_assert_eq(fib_host_add_link(&host, &(struct fib_link){.ifindex = 3, .name = "vmk7"}), 0);
    fib_mtus_apply(&mtus, &host);
    cr_expect_eq(host.links[0].mtu_bytes, 8900, "%u", host.links[0].mtu_bytes);
    cr_expect_eq(host.links[1].mtu_bytes, 1400);
    cr_expect_eq(host.links[2].mtu_bytes, 0);
    fib_host_clear(&host);
    close_all(&world);
}

/* Both ways see what netlink sees. */
Test(backend_command, the_host_without_netlink)
{
    static int (*const reads[])(struct fib_host *) = {fib_host_read, fib_host_read_by_ioctl};
    struct fib_settings settings = world_settings();
    struct world world;

    world_open(&world, &settings);
    netns_must(NETNS_HERE,
               "ip link set data mtu 9000; ip address add 10.1.9.1/16 dev data; ip link set management down");
    for (size_t i = 0; i < ARRAY_SIZE(reads); i++) {
        struct address node = address_of("10.1.0.2"), far = address_of("10.1.200.1"), source;
        struct fib_host host = {0};
        uint32_t ifindex;

        cr_assert_eq(reads[i](&host), 0);
        cr_expect_eq(fib_host_link(&host, world.data)->mtu_bytes, 9000);
        cr_expect_str_eq(fib_host_link(&host, world.data)->name, "data");
        cr_expect(fib_host_link(&host, world.data)->usable);
        cr_expect_not(fib_host_link(&host, world.management)->usable);
        cr_expect_eq(fib_host_egress(&host, &node, &ifindex, &source), 0);
        cr_expect_str_eq(ADDRESS_TEXT(&source), "10.1.0.1");
        cr_expect_eq(fib_host_egress(&host, &far, &ifindex, &source), 0);
        cr_expect_str_eq(ADDRESS_TEXT(&source), "10.1.9.1");
        cr_expect_eq(ifindex, world.data);
        fib_host_clear(&host);
    }
    world_close(&world);
}

static const struct {
    const char *backend, *command, *message;
} wrong[] = {
    {"esxcfg", "/no/such/command",
     "cannot run the route command /no/such/command: No such file or directory"},
    {"ip", "/etc/passwd", "cannot run the route command /etc/passwd: Permission denied"},
    {"nowhere", "", "no FIB backend \"nowhere\", expected auto, netlink, esxcfg or ip"},
};

Test(backend_command, what_cannot_be_opened)
{
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        const struct fib_settings settings = {.backend = wrong[i].backend, .command = wrong[i].command};
        char message[256];
        struct fib *fib;

        cr_expect_lt(fib_open(&fib, &settings, message, sizeof(message)), 0);
        cr_expect_str_eq(message, wrong[i].message);
    }
}

struct heard {
    size_t count;
    char words[512]; /* of each: the command, how it ended, what it said */
};

static void on_command(void *context, const struct fib_heard *heard)
{
    struct heard *all = context;
    size_t n = strlen(all->words);

    all->count++;
    snprintf(all->words + n, sizeof(all->words) - n, "%s (%d, %d): %.14s; ", heard->command, heard->error,
             heard->status, heard->output ? heard->output : "-");
    cr_expect_gt(heard->took_ns, 0);
}

Test(backend_command, what_commands_say_is_heard)
{
    struct heard heard = {0};
    struct world world;

    open_with(&world, "", "-a stuck\n",
              (struct fib_settings){
                  .command_timeout_ns = 3 * NS_PER_S, .hear = on_command, .hear_context = &heard});
    cr_expect_eq(replace(&world, "10.1.0.3"), -ETIMEDOUT);
    cr_expect_str_eq(heard.words, "esxcfg-route -l (0, 0): VMkernel Route; "
                                  "esxcfg-route -a 192.168.33.2/32 10.1.0.3 (-110, 9): -; ");
    close_all(&world);
}
