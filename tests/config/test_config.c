/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: the example of the documents loads, every default is what the documents say, each setting
 * ends up in its member, and durations and sizes are read exactly.
 */
#include <criterion/criterion.h>

#include "route/config/keys.h"
#include "tests/config/config_file.h"

static const char whole[] =
    "service = \"192.168.33.2\"\n"
    "zone    = \"a\"                                   # this host's; default: its local access'\n"
    "access \"scvm1\" { local = true  zone = \"a\"  data = \"10.10.85.15\"  management = \"192.168.85.15\" } "
    "  # local: true, false, auto (default)\n"
    "access \"scvm2\" {               zone = \"a\"  data = \"10.10.85.16\"  management = \"192.168.85.16\" "
    "}\n"
    "probe   { select-timeout = \"100ms\"  select-count = 10  rise = 3  payload = \"56B\"  "
    "candidate-interval = \"1s\"  transport = \"auto\" }\n"
    "session { provider = \"rest\"  port = 80  poll-interval = \"2s\"  timeout = \"1s\"  service-check = "
    "\"auto\"\n"
    "          client-addresses = {}  token-file = \"\"  heartbeat-path = \"\"  heartbeat-interval = \"10s\" "
    "}\n"
    "route   { hold = \"180s\"  backend = \"auto\"  table = 254  metric = 0  protocol = 213  "
    "reset-connections = \"all\" }\n"
    "control-socket  = \"/run/reroute/control.sock\"\n"
    "state-directory = \"/var/lib/reroute\"\n"
    "metrics-listen  = \"\"\n";

static void check_defaults(const struct config *c)
{
    cr_assert_eq(c->probe.select_timeout_ns, 100 * NS_PER_MS);
    cr_assert_eq(c->probe.select_count, 10);
    cr_assert_eq(c->probe.rise, 3);
    cr_assert_eq(c->probe.payload_bytes, 56);
    cr_assert_eq(c->probe.candidate_interval_ns, NS_PER_S);
    cr_assert_str_eq(c->probe.transport, "auto");
    cr_assert_eq(c->probe.degraded_percent, 30);
    cr_assert_eq(c->probe.degraded_over_ns, 10 * NS_PER_S);
    cr_assert_eq(c->probe.tos, 0);
    cr_assert_eq(c->probe.mark, 0);
    cr_assert_eq(c->route.stay_ns, 10 * NS_PER_S);
    cr_assert_str_eq(c->session.provider, "rest");
    cr_assert_str_eq(c->session.file, "");
    cr_assert_eq(c->session.port, 80);
    cr_assert_eq(c->session.poll_interval_ns, 2 * NS_PER_S);
    cr_assert_eq(c->session.timeout_ns, NS_PER_S);
    cr_assert_eq(c->session.hedge_ns, 150 * NS_PER_MS);
    cr_assert_str_eq(c->session.service_check, "auto");
    cr_assert_eq(c->session.service_check_window_ns, 3 * NS_PER_S);
    cr_assert_eq(c->session.client_address_count, 0);
    cr_assert_str_eq(c->session.token_file, "");
    cr_assert_str_eq(c->session.token_header, "x-smartx-token");
    cr_assert_str_eq(c->session.heartbeat_path, "");
    cr_assert_eq(c->session.heartbeat_interval_ns, 10 * NS_PER_S);
    cr_assert_not(c->session.tls);
    cr_assert_str_eq(c->session.ca_file, "");
    cr_assert_str_eq(c->session.tls_server_name, "");
    cr_assert_eq(c->session.body_limit_bytes, 4 << 20);
    cr_assert_str_eq(c->session.field_list, "");
    cr_assert_str_eq(c->session.field_alive_sec, "");
    cr_assert_eq(c->route.hold_ns, 180 * NS_PER_S);
    cr_assert_str_eq(c->route.backend, "auto");
    cr_assert_str_eq(c->route.command, "");
    cr_assert_str_eq(c->route.netstack, "");
    cr_assert_eq(c->route.command_timeout_ns, 45 * NS_PER_S);
    cr_assert_eq(c->route.table, 254);
    cr_assert_eq(c->route.metric, 0);
    cr_assert_eq(c->route.protocol, 213);
    cr_assert_str_eq(c->route.reset_connections, "all");
    cr_assert_str_eq(c->control_socket, "/run/reroute/control.sock");
    cr_assert_str_eq(c->state_directory, "/var/lib/reroute");
    cr_assert_str_eq(c->metrics_listen, "");
}

Test(config, example_of_the_documents)
{
    struct loaded l = load_text(whole);

    cr_assert_eq(l.rc, 0, "%s", l.error);
    check_defaults(l.config);
    cr_assert_str_eq(ADDRESS_TEXT(&l.config->service), "192.168.33.2");
    cr_assert_str_eq(l.config->zone, "a");
    cr_assert_eq(l.config->access_count, 2);
    cr_assert_str_eq(l.config->accesses[0].name, "scvm1");
    cr_assert_eq(l.config->accesses[0].local, CONFIG_LOCAL_TRUE);
    cr_assert_eq(l.config->accesses[1].local, CONFIG_LOCAL_AUTO);
    cr_assert_str_eq(ADDRESS_TEXT(&l.config->accesses[1].data), "10.10.85.16");
    cr_assert_str_eq(ADDRESS_TEXT(&l.config->accesses[1].management), "192.168.85.16");
    cr_assert_not(address_is_set(&l.config->accesses[1].secondary));
    config_free(l.config);
}

Test(config, defaults)
{
    struct loaded l = load_text("service = 10.9.9.9 access a { data = 10.0.0.1 }");
    char host[CONFIG_NAME_SIZE] = "";

    cr_assert_eq(l.rc, 0, "%s", l.error);
    check_defaults(l.config);
    gethostname(host, sizeof(host) - 1);
    cr_assert_str_eq(l.config->host, host);
    cr_assert_str_eq(l.config->zone, "");
    cr_assert_eq(l.config->bootstrap_count, 0);
    cr_assert_str_eq(l.config->accesses[0].zone, "");
    config_free(l.config);
}

Test(config, every_setting_reaches_its_member)
{
    struct loaded l = load_text(
        "/* everything away\n   from its default */ service = 'fd00::99'\n"
        "host = h1 // who we are\n"
        "bootstrap = { \"10.0.0.1\",  # another family: it is only asked\n \"fd00::2\", }\n"
        "access a-1 { local = false zone = z secondary = \"fd00::3\" service-check = none }\r\n"
        "access \"b\" { local = auto data = \"fd00::4\" service-check = \"tcp:2049\" }\n"
        "probe { select-timeout = 20ms select-count = 3 rise = 5 payload = 1KiB candidate-interval = 1.5s\n"
        "  transport = poll degraded-loss = 5% degraded-over = 1m tos = 184 mark = 4294967295 }\n"
        "session { provider = rest port = 8080 poll-interval = 500ms timeout = 400ms hedge-delay = 50ms\n"
        "  service-check = tcp:111 client-addresses = {fd00::a,fd00::b} token-file = /t token-header = "
        "Authorization\n"
        "  heartbeat-path = '/api/beat?x=1' heartbeat-interval = 2s tls = true ca-file = /ca tls-server-name "
        "= n.example\n"
        "  body-limit = 64KiB fields { list = /a/b uuid = /id data = /d secondary = /s zone = /z host-data = "
        "/h\n"
        "  alive-sec = /x~1y } }\n"
        "route { hold = 3s backend = netlink table = 100 metric = 7 protocol = 200 reset-connections = none "
        "}\n"
        "log { file = /var/log/r/a size = 32KiB keep = 9 link = /l }\n"
        "control-socket = /tmp/c state-directory = /tmp/s metrics-listen = \"[::1]:9100\"\n");
    const struct config *c = l.config;

    cr_assert_eq(l.rc, 0, "%s", l.error);
    cr_assert_str_eq(ADDRESS_TEXT(&c->service), "fd00::99");
    cr_assert_str_eq(c->host, "h1");
    cr_assert_eq(c->bootstrap_count, 2);
    cr_assert_str_eq(ADDRESS_TEXT(&c->bootstrap[0]), "10.0.0.1");
    cr_assert_str_eq(ADDRESS_TEXT(&c->bootstrap[1]), "fd00::2");
    cr_assert_eq(c->access_count, 2);
    cr_assert_str_eq(c->accesses[0].name, "a-1");
    cr_assert_eq(c->accesses[0].local, CONFIG_LOCAL_FALSE);
    cr_assert_str_eq(c->accesses[0].zone, "z");
    cr_assert_str_eq(ADDRESS_TEXT(&c->accesses[0].secondary), "fd00::3");
    cr_assert_str_eq(c->accesses[0].service_check, "none");
    cr_assert_str_eq(c->accesses[1].service_check, "tcp:2049");
    cr_assert_eq(c->probe.select_timeout_ns, 20 * NS_PER_MS);
    cr_assert_eq(c->probe.select_count, 3);
    cr_assert_eq(c->probe.rise, 5);
    cr_assert_eq(c->probe.payload_bytes, 1024);
    cr_assert_eq(c->probe.candidate_interval_ns, 1500 * NS_PER_MS);
    cr_assert_str_eq(c->probe.transport, "poll");
    cr_assert_eq(c->probe.degraded_percent, 5);
    cr_assert_eq(c->probe.degraded_over_ns, 60 * NS_PER_S);
    cr_assert_eq(c->probe.tos, 184);
    cr_assert_eq(c->probe.mark, UINT32_MAX);
    cr_assert_eq(c->session.port, 8080);
    cr_assert_eq(c->session.poll_interval_ns, 500 * NS_PER_MS);
    cr_assert_eq(c->session.timeout_ns, 400 * NS_PER_MS);
    cr_assert_eq(c->session.hedge_ns, 50 * NS_PER_MS);
    cr_assert_str_eq(c->session.service_check, "tcp:111");
    cr_assert_eq(c->session.client_address_count, 2);
    cr_assert_str_eq(ADDRESS_TEXT(&c->session.client_addresses[1]), "fd00::b");
    cr_assert_str_eq(c->session.token_file, "/t");
    cr_assert_str_eq(c->session.token_header, "Authorization");
    cr_assert_str_eq(c->session.heartbeat_path, "/api/beat?x=1");
    cr_assert_eq(c->session.heartbeat_interval_ns, 2 * NS_PER_S);
    cr_assert(c->session.tls);
    cr_assert_str_eq(c->session.ca_file, "/ca");
    cr_assert_str_eq(c->session.tls_server_name, "n.example");
    cr_assert_eq(c->session.body_limit_bytes, 65536);
    cr_assert_str_eq(c->session.field_list, "/a/b");
    cr_assert_str_eq(c->session.field_uuid, "/id");
    cr_assert_str_eq(c->session.field_data, "/d");
    cr_assert_str_eq(c->session.field_secondary, "/s");
    cr_assert_str_eq(c->session.field_zone, "/z");
    cr_assert_str_eq(c->session.field_host_data, "/h");
    cr_assert_str_eq(c->session.field_alive_sec, "/x~1y");
    cr_assert_eq(c->route.hold_ns, 3 * NS_PER_S);
    cr_assert_eq(c->route.table, 100);
    cr_assert_eq(c->route.metric, 7);
    cr_assert_eq(c->route.protocol, 200);
    cr_assert_str_eq(c->log.file, "/var/log/r/a");
    cr_assert_str_eq(c->log.link, "/l");
    cr_assert_eq(c->log.size_bytes, 32768);
    cr_assert_eq(c->log.keep, 9);
    cr_assert_str_eq(c->route.reset_connections, "none");
    cr_assert_str_eq(c->control_socket, "/tmp/c");
    cr_assert_str_eq(c->state_directory, "/tmp/s");
    cr_assert_str_eq(c->metrics_listen, "[::1]:9100");
    config_free(l.config);
}

/* Configurations that are fine although they look as if they might not be. */
Test(config, good)
{
    static const char *const texts[] = {
        "service = 10.9.9.9 bootstrap = {10.0.0.1}",
        "service = 10.9.9.9 bootstrap = 10.0.0.1",
        "service = 10.9.9.9 session { provider = file file = /x }",
        "service = 10.9.9.9 access a { management = 10.0.0.1 } session { provider = none }",
        "service = 10.9.9.9 access a { secondary = 10.0.0.1 management = 10.0.0.2 }",
        "service = 10.9.9.9 access a { data = 10.0.0.1 } bootstrap = {}",
        "service = 10.9.9.9 access a { data = 10.0.0.1 } route { hold = 0s }",
        "service = 10.9.9.9 access a { data = 10.0.0.1 } access 'A' { data = 10.0.0.2 }",
        "service=10.9.9.9 access a{data=10.0.0.1}/**/probe{rise=1}//",
        "# ${HOME} ; } in a comment is fine\nservice = 10.9.9.9 access a { data = 10.0.0.1 }",
        "service = 10.9.9.9 access a { data = 10.0.0.1 } probe { select-timeout = 1s select-count = 1 }",
        "service = fd00::1 access a { data = fd00::2 }",
        "service = fd00::1 access a { data = 'fe80::1%lo' }",
        "service = fd00::1 access a { data = 'fe80::1%none0' management = 'fe80::1%none1' }",
        "service = 'fe80::7%none0' bootstrap = {'fe80::1%none0'} session { client-addresses = "
        "{'fe80::2%none0'} }",
        "service = 10.9.9.9 access a { data = 10.0.0.1 } metrics-listen = '[fe80::1%none0]:9100'",
    };

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct loaded l = load_text(texts[i]);

        cr_expect_eq(l.rc, 0, "%s\n%s", texts[i], l.error);
        config_free(l.config);
    }
}

/* The least that a configuration needs, and this. */
static struct loaded load_with(const char *more)
{
    char text[256];
    struct loaded l;

    snprintf(text, sizeof(text), "service = 10.9.9.9 access a { data = 10.0.0.1 } %s", more);
    l = load_text(text);
    cr_assert_eq(l.rc, 0, "%s: %s", more, l.error);
    return l;
}

/* A file that gives one of two times that belong together: the other one's default gives way. */
Test(config, a_default_gives_way_to_what_is_given)
{
    static const struct {
        const char *text;
        unsigned select_ms, candidate_ms, degraded_ms, poll_ms, timeout_ms, hedge_ms;
    } rows[] = {
        {"", 100, 1000, 10000, 2000, 1000, 150},
        {"probe { select-timeout = 2s }", 2000, 2000, 10000, 2000, 1000, 150},
        {"probe { select-timeout = 20s }", 20000, 20000, 20000, 2000, 1000, 150},
        {"probe { candidate-interval = 50ms }", 100, 100, 10000, 2000, 1000, 150},
        {"probe { candidate-interval = 300ms }", 100, 300, 10000, 2000, 1000, 150},
        {"probe { select-timeout = 20ms candidate-interval = 50ms }", 20, 50, 10000, 2000, 1000, 150},
        {"probe { degraded-over = 1s }", 100, 1000, 1000, 2000, 1000, 150},
        {"session { poll-interval = 500ms }", 100, 1000, 10000, 500, 1000, 150},
        {"session { poll-interval = 500ms timeout = 3s }", 100, 1000, 10000, 500, 3000, 150},
        {"session { timeout = 3s }", 100, 1000, 10000, 2000, 3000, 150},
        {"session { timeout = 100ms }", 100, 1000, 10000, 2000, 100, 50},
        {"session { timeout = 100ms hedge-delay = 99ms }", 100, 1000, 10000, 2000, 100, 99},
        {"session { hedge-delay = 600ms }", 100, 1000, 10000, 2000, 1200, 600},
        {"session { hedge-delay = 2s }", 100, 1000, 10000, 2000, 4000, 2000},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct loaded l = load_with(rows[i].text);

        cr_expect_eq(l.config->probe.select_timeout_ns, rows[i].select_ms * NS_PER_MS, "%s", rows[i].text);
        cr_expect_eq(l.config->probe.candidate_interval_ns, rows[i].candidate_ms * NS_PER_MS, "%s",
                     rows[i].text);
        cr_expect_eq(l.config->probe.degraded_over_ns, rows[i].degraded_ms * NS_PER_MS, "%s", rows[i].text);
        cr_expect_eq(l.config->session.poll_interval_ns, rows[i].poll_ms * NS_PER_MS, "%s", rows[i].text);
        cr_expect_eq(l.config->session.timeout_ns, rows[i].timeout_ms * NS_PER_MS, "%s", rows[i].text);
        cr_expect_eq(l.config->session.hedge_ns, rows[i].hedge_ms * NS_PER_MS, "%s", rows[i].text);
        config_free(l.config);
    }
}

Test(config, stay_is_hold_at_most_unless_it_is_given)
{
    static const struct {
        const char *text;
        unsigned stay_s;
    } rows[] = {{"", 10},
                {"route { hold = 5s }", 5},
                {"route { hold = 5s stay = 20s }", 20},
                {"route { stay = 0s }", 0}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct loaded l = load_with(rows[i].text);

        cr_expect_eq(l.config->route.stay_ns, rows[i].stay_s * NS_PER_S, "%s", rows[i].text);
        config_free(l.config);
    }
}

Test(config, durations)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t ns;
    } rows[] = {
        {"100ms", 0, 100 * NS_PER_MS},
        {"1.5s", 0, 1500 * NS_PER_MS},
        {"2m", 0, 120 * NS_PER_S},
        {"50us", 0, 50 * NS_PER_US},
        {"1h", 0, 3600 * NS_PER_S},
        {"0s", 0, 0},
        {"0.001ms", 0, 1000},
        {"0.000000001s", 0, 1},
        {"0.5m", 0, 30 * NS_PER_S},
        {"1.000000000s", 0, NS_PER_S},
        {"", -EINVAL, 0},
        {"100", -EINVAL, 0},
        {"ms", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
        {"+1s", -EINVAL, 0},
        {" 1s", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {"1s ", -EINVAL, 0},
        {"1S", -EINVAL, 0},
        {"1sec", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {".5s", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"1.5.5s", -EINVAL, 0},
        {"1e3s", -EINVAL, 0},
        {"0x10s", -EINVAL, 0},
        {"010s", -EINVAL, 0},
        {"00s", -EINVAL, 0},
        {"0.0000000001s", -EINVAL, 0}, /* less than a nanosecond */
        {"0.0001us", -EINVAL, 0},
        {"18446744073709551615s", -EINVAL, 0},
        {"18446744073709551616us", -EINVAL, 0},
        {"5124096h", -EINVAL, 0},
        {"inf", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t ns = 0;

        cr_expect_eq(config_parse_duration(rows[i].text, &ns), rows[i].rc, "%s", rows[i].text);
        cr_expect_eq(ns, rows[i].ns, "%s: %" PRIu64, rows[i].text, ns);
    }
}

Test(config, sizes)
{
    static const struct {
        const char *text;
        int rc;
        size_t bytes;
    } rows[] = {
        {"56B", 0, 56},       {"4KiB", 0, 4096},    {"1MiB", 0, 1 << 20},
        {"1.5KiB", 0, 1536},  {"1GiB", 0, 1 << 30}, {"0B", 0, 0},
        {"56", -EINVAL, 0},   {"4KB", -EINVAL, 0},  {"4k", -EINVAL, 0},
        {"0.5B", -EINVAL, 0}, {"-1B", -EINVAL, 0},  {"99999999999999999999B", -EINVAL, 0},
        {"", -EINVAL, 0},     {"B", -EINVAL, 0},    {"18446744073709551615GiB", -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        size_t bytes = 0;

        cr_expect_eq(config_parse_size(rows[i].text, &bytes), rows[i].rc, "%s", rows[i].text);
        cr_expect_eq(bytes, rows[i].bytes, "%s: %zu", rows[i].text, bytes);
    }
}

Test(config, durations_are_written_in_the_largest_exact_unit_up_to_seconds)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } rows[] = {{0, "0s"},
                {NS_PER_US, "1us"},
                {900, "0.9us"},
                {1, "0.001us"},
                {NS_PER_MS + 250, "1000.25us"},
                {100 * NS_PER_MS, "100ms"},
                {1500 * NS_PER_MS, "1500ms"},
                {180 * NS_PER_S, "180s"}};
    char text[32];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        uint64_t back_ns = 0;

        config_format_duration(rows[i].ns, text, sizeof(text));
        cr_expect_str_eq(text, rows[i].text);
        cr_expect_eq(config_parse_duration(text, &back_ns), 0, "%s", text);
        cr_expect_eq(back_ns, rows[i].ns, "%s", text);
    }
}

/* NULL: none is found. */
static void expect_path(const char *text, size_t size_bytes, const char *expected)
{
    char path[64], found[CONFIG_TEXT_SIZE] = "as it was";
    int fd = memfd_create("config", MFD_CLOEXEC);

    cr_assert_eq(write(fd, text, size_bytes), (ssize_t)size_bytes);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    cr_expect_eq(config_find_path(path, "control-socket", found), expected != NULL, "%.60s", text);
    cr_expect_str_eq(found, expected ? expected : "as it was", "%.60s", text);
    close(fd);
}

Test(config, a_path_is_found_in_a_file_that_is_wrong)
{
    static const char after_zero[] = "\0control-socket = \"/a/b\"", late[] = "\ncontrol-socket = /a/b\n";
    static char longest[2 * 1024 * 1024];
    static const struct {
        const char *text, *path; /* NULL: none */
    } rows[] = {
        {"control-socket = \"/a/b\"\nnonsense = 1\n", "/a/b"},
        {"zone = \"b\ncontrol-socket=/a/b", "/a/b"},
        {"a { } control-socket = '/a/b' state-directory = \"/c\"", "/a/b"},
        {"# control-socket = \"/a/b\"\n// control-socket = \"/c\"\n", NULL},
        {"control-socket = \"/a/b\" # not control-socket = \"/c\"", "/a/b"},
        {"control-socket \"/a/b\"", NULL},
        {"control-socket = \"a/b\"", NULL},
        {"control-socket =", NULL},
        {"/* control-socket = \"/c\" */ nonsense = 1\ncontrol-socket = \"/a/b\"\n", "/a/b"},
        {"/* nonsense = 1\n control-socket = \"/c\"\n*/ x = 1\ncontrol-socket = \"/a/b\"\n", "/a/b"},
        {"/*\ncontrol-socket = \"/a/b\"\n", NULL},
        {"zone = \"/*\"\ncontrol-socket = \"/a/b\" }", "/a/b"},
        {"} control-socket = \"/c\"\ncontrol-socket = /* now */ \"/a/b\"", "/a/b"},
        {"zone = \"control-socket = /a/b\" nonsense", NULL},
        {"old-control-socket = \"/a/b\"", NULL},
        {"control-socket = \"/a/b", NULL},
        {"control-socket = /a/b#c", "/a/b"},
        {"control-socket = \"/a/b\"\ncontrol-socket = \"/c\"", NULL},
        {"control-socket = \"/a/b\"\ncontrol-socket = 7 8", NULL},
        {"state-directory = \"/a/b\"", NULL},
        {"", NULL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        expect_path(rows[i].text, strlen(rows[i].text), rows[i].path);
    expect_path(after_zero, sizeof(after_zero) - 1, NULL);
    memset(longest, 'x', sizeof(longest) - 1);
    memcpy(longest + 5000, late, sizeof(late) - 1);
    expect_path(longest, 5000 + sizeof(late) - 1, "/a/b"); /* a long line before it */
    expect_path(longest, sizeof(longest) - 1, NULL);
    cr_expect_not(config_find_path("/nonexistent/x", "control-socket", (char[CONFIG_TEXT_SIZE]){""}));
}
