/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves the parts that studies share: what is read from options, what a table looks like in each format,
 * that a program that is run is told apart from one that is not there, that a picture is drawn as a whole or
 * not at all, that a stage is private and its other host answers; and the pure parts of `compare` and
 * `sweep`: how the tools' answers are read, which lists they get, how a list of profiles is cut.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bench/compare/compare.h"
#include "bench/study/child.h"
#include "bench/study/plot.h"
#include "bench/study/stage.h"
#include "bench/study/study.h"
#include "bench/study/table.h"
#include "bench/sweep/network.h"

#define MESSAGE_BYTES 512
#define DEADLINE_MS   20000

/* --- options ---------------------------------------------------------------------------------------------*/

Test(study, setting)
{
    static const struct {
        const char *text;
        int r;
        uint64_t select_timeout_ns;
        uint32_t select_count;
        const char *back;
    } rows[] = {
        {"1x1", 0, NS_PER_S, 1, "1x1"},
        {"0.1x10", 0, 100 * NS_PER_MS, 10, "0.1x10"},
        {".01x100", 0, 10 * NS_PER_MS, 100, "0.01x100"},
        {"0.001x1000000", 0, NS_PER_MS, 1000000, "0.001x1000000"},
        {"3600x1", 0, 3600 * NS_PER_S, 1, "3600x1"},
        {"100msx10", 0, 100 * NS_PER_MS, 10, "0.1x10"},
        {"2sx3", 0, 2 * NS_PER_S, 3, "2x3"},
        {"0.5msx3", -EINVAL},
        {"100usx3", -EINVAL},
        {"100m", -EINVAL},
        {"msx1", -EINVAL},
        {"1mx1", 0, 60 * NS_PER_S, 1, "60x1"},
        {"1hx1", 0, 3600 * NS_PER_S, 1, "3600x1"},
        {"2hx1", -EINVAL},
        {"1msex1", -EINVAL},
        {"1ms", -EINVAL},
        {"0.0009x1", -EINVAL},
        {"3601x1", -EINVAL},
        {"1x0", -EINVAL},
        {"1x1000001", -EINVAL},
        {"1", -EINVAL},
        {"x1", -EINVAL},
        {".x1", -EINVAL},
        {"1x", -EINVAL},
        {"1x1x", -EINVAL},
        {"1 x1", -EINVAL},
        {"-1x1", -EINVAL},
        {"nanx1", -EINVAL},
        {"infx1", -EINVAL},
        {"0x1p3x1", -EINVAL},
        {"1e-1x1", -EINVAL},
        {"", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct study_setting setting = {0};
        char text[STUDY_SETTING_SIZE];

        cr_expect_eq(study_setting(&setting, rows[i].text), rows[i].r, "'%s'", rows[i].text);
        if (rows[i].r)
            continue;
        cr_expect_eq(setting.select_timeout_ns, rows[i].select_timeout_ns, "'%s'", rows[i].text);
        cr_expect_eq(setting.select_count, rows[i].select_count, "'%s'", rows[i].text);
        cr_expect_str_eq(study_setting_text(&setting, text), rows[i].back);
    }
}

static int join(void *context, const char *item)
{
    strcat(context, item);
    strcat(context, ";");
    return strcmp(item, "bad") == 0 ? -ERANGE : 0;
}

Test(study, list)
{
    static const struct {
        const char *list;
        int r;
        const char *items;
    } rows[] = {
        {"1", 0, "1;"},
        {"1,2,3", 0, "1;2;3;"},
        {"", -EINVAL, ""},
        {"1,", -EINVAL, "1;"},
        {",1", -EINVAL, ""},
        {"a,,b", -EINVAL, "a;"},
        {"a,bad,b", -ERANGE, "a;bad;"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char items[64] = "";

        cr_expect_eq(study_list(rows[i].list, join, items), rows[i].r, "'%s'", rows[i].list);
        cr_expect_str_eq(items, rows[i].items, "'%s'", rows[i].list);
    }
}

Test(study, program)
{
    char path[4096];

    cr_expect_str_eq(study_program("..", "/installed", path, sizeof(path)), "/installed",
                     "a folder is no program");
    cr_expect_str_eq(study_program("no such file", "/installed", path, sizeof(path)), "/installed");
    cr_expect_eq(access(study_program("test-study", "/installed", path, sizeof(path)), X_OK), 0, "%s", path);
}

/* --- tables ----------------------------------------------------------------------------------------------*/

static struct table *example(void)
{
    static const struct table_column columns[] = {
        {"name", "what", -1},
        {"wall_ms", "wall ms", 2},
        {"secret", NULL, 0, .hidden = true},
        {"note", NULL, -1},
    };
    struct table *table;

    table_new(&table, columns, ARRAY_SIZE(columns));
    table_text(table, "a,\"b\"");
    table_number(table, 1.005001);
    table_number(table, 7);
    table_text(table, NULL);
    table_text(table, "fping");
    table_number(table, NAN);
    table_number(table, 12345.6);
    table_text(table, "");
    return table;
}

static const char *written(const struct table *table, enum table_format format)
{
    static char text[1024];
    FILE *out = fmemopen(text, sizeof(text), "w");

    table_write(table, format, out);
    fclose(out);
    return text;
}

Test(table, formats)
{
    CLEANUP(table_free) struct table *table = example();
    cJSON *json = table_json(table);
    char *printed = cJSON_PrintUnformatted(json);

    cr_expect_eq(table_rows(table), 2);
    cr_expect_str_eq(written(table, TABLE_TEXT), "what   wall ms  note\n"
                                                 "a,\"b\"     1.01  -\n"
                                                 "fping        -\n");
    cr_expect_str_eq(written(table, TABLE_CSV), "name,wall_ms,secret,note\n"
                                                "\"a,\"\"b\"\"\",1.01,7,\n"
                                                "fping,,12346,\n");
    cr_expect_str_eq(printed, "[{\"name\":\"a,\\\"b\\\"\",\"wall_ms\":1.01,\"secret\":7,\"note\":null},"
                              "{\"name\":\"fping\",\"wall_ms\":null,\"secret\":12346,\"note\":\"\"}]");
    free(printed);
    cJSON_Delete(json);
}

/* --- programs --------------------------------------------------------------------------------------------*/

Test(child, what_it_did)
{
    static const char *const argv[] = {
        "sh", "-c",
        "cat; echo; printf '\\n  oh\\nmore\\n' >&2; i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; exit 3",
        NULL};
    struct child child;
    char line[16];

    cr_assert_eq(child_run(&child, argv, "hello"), 0);
    cr_expect_eq(child.status, 3);
    cr_expect_str_eq(child.out, "hello\n");
    cr_expect_eq(child.out_bytes, 6);
    cr_expect_str_eq(child.error, "\n  oh\nmore\n");
    cr_expect_str_eq(child_error_line(&child, line, sizeof(line)), "oh");
    cr_expect_gt(child.cpu_ns, 0);
    cr_expect_gt(child.wall_ns, 0);
    child_clear(&child);
}

Test(child, how_it_ended)
{
    static const char *const killed[] = {"sh", "-c", "kill -9 $$", NULL}, *const missing[] = {
                                                                              "no such program", NULL};
    struct child child;
    char line[16];

    cr_assert_eq(child_run(&child, killed, NULL), 0);
    cr_expect_eq(child.status, 128 + 9);
    child_clear(&child);
    cr_expect_eq(child_run(&child, missing, NULL), -ENOENT);
    cr_expect_str_eq(child_error_line(&child, line, sizeof(line)), "");
    child_clear(&child);
    cr_expect(child_is_installed("sh"));
    cr_expect_not(child_is_installed("no such program"));
    setenv("PATH", "", 1);
    cr_expect_not(child_is_installed("sh"));
}

/* Who kills us must not leave it behind: it holds the writing end of this pipe. */
Test(child, ends_with_us)
{
    static const char *const argv[] = {"sleep", "1000", NULL};
    int ends[2];
    char byte;
    pid_t pid;

    cr_assert_eq(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct child child;

        close(ends[0]);
        if (write(ends[1], "x", 1) == 1)
            child_run(&child, argv, NULL);
        _exit(0);
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    cr_expect_eq(poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, DEADLINE_MS), 1,
                 "somebody still has the pipe");
    close(ends[0]);
}

/* --- pictures --------------------------------------------------------------------------------------------*/

static char folder[] = "/tmp/reroute-test-plot-XXXXXX";

static const char *in_folder(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void make_folder(void)
{
    cr_assert_not_null(mkdtemp(folder));
}

static void remove_folder(void)
{
    const char *const argv[] = {"/bin/rm", "-r", folder, NULL};
    struct child child;

    cr_expect_eq(child_run(&child, argv, NULL), 0);
    child_clear(&child);
}

/* What is in the folder, one name a line. */
static bool folder_holds(const char *names)
{
    const char *const argv[] = {"ls", folder, NULL};
    struct child child;
    bool same;

    cr_assert_eq(child_run(&child, argv, NULL), 0);
    same = strcmp(child.out, names) == 0;
    if (!same)
        cr_log_error("there is: %s", child.out);
    child_clear(&child);
    return same;
}

static int draw(const char *name, const char *what, char *message)
{
    struct plot plot;

    cr_assert_eq(plot_begin(&plot, in_folder(name), 400, 300), 0);
    fprintf(plot.script, "set title ");
    plot_quote(plot.script, "it's 'quoted'");
    fprintf(plot.script, "\nplot %s\n", what);
    return plot_end(&plot, message, MESSAGE_BYTES);
}

static size_t first_bytes(const char *name, char *bytes, size_t size_bytes)
{
    FILE *file = fopen(in_folder(name), "r");
    size_t got = file ? fread(bytes, 1, size_bytes, file) : 0;

    if (file)
        fclose(file);
    return got;
}

Test(plot, whole_or_not_at_all, .init = make_folder, .fini = remove_folder)
{
    char message[MESSAGE_BYTES] = "", bytes[65536] = "";
    struct stat status;

    if (!child_is_installed("gnuplot"))
        cr_skip_test("gnuplot is not installed");
    umask(027);
    cr_expect_eq(draw("a.svg", "x", message), 0, "%s", message);
    cr_expect_eq(draw("a.png", "x", message), 0, "%s", message);
    cr_expect(folder_holds("a.png\na.svg\n"));
    cr_assert_eq(stat(in_folder("a.svg"), &status), 0);
    cr_expect_eq(status.st_mode & 0777, 0640);
    cr_assert_gt(first_bytes("a.svg", bytes, sizeof(bytes) - 1), 1000);
    cr_expect_not_null(strstr(bytes, "</svg>"));
    cr_expect_not_null(strstr(bytes, "it's 'quoted'"));
    cr_assert_gt(first_bytes("a.png", bytes, 4), 3);
    cr_expect_arr_eq(bytes, "\x89PNG", 4);

    cr_expect_eq(draw("a.svg", "nonsense(x)", message), -EIO);
    cr_expect_not_null(strstr(message, "gnuplot ended with status 1"), "%s", message);
    cr_expect_not_null(strstr(message, "nonsense"), "%s", message);
    cr_expect_null(strchr(message, '\n'));
    cr_expect(folder_holds("a.png\na.svg\n"));
    cr_expect_gt(first_bytes("a.svg", bytes, sizeof(bytes) - 1), 1000, "the old picture is gone");
    cr_expect_eq(draw("no folder/a.svg", "x", message), -ENOENT);
    cr_expect(folder_holds("a.png\na.svg\n"));
}

Test(plot, can_it_be_drawn, .init = make_folder, .fini = remove_folder)
{
    char message[MESSAGE_BYTES] = "";

    cr_expect_eq(plot_check("a.pdf", message, sizeof(message)), -EINVAL);
    cr_expect_not_null(strstr(message, ".svg or .png"));
    cr_expect_eq(plot_check(".svg", message, sizeof(message)), -EINVAL);
    if (child_is_installed("gnuplot")) {
        cr_expect_eq(plot_check(in_folder("a.svg"), message, sizeof(message)), 0);
        cr_expect_eq(plot_check(in_folder("no folder/a.png"), message, sizeof(message)), -ENOENT);
    }
    setenv("PATH", folder, 1);
    cr_expect_eq(plot_check(in_folder("a.svg"), message, sizeof(message)), -ENOENT);
    cr_expect_not_null(strstr(message, "gnuplot is not installed"), "%s", message);
}

/* --- the stage -------------------------------------------------------------------------------------------*/

/* In a process of its own, as a study is. 0: good, 77: no namespaces here, else where it went wrong. */
static int on_stage(void)
{
    static const char *const routes[] = {"ip", "-o", "link", NULL};
    char message[MESSAGE_BYTES] = "";
    struct child child;
    int peer;

    if (stage_enter(message, sizeof(message)) < 0)
        return 77;
    if (child_run(&child, routes, NULL) < 0 || strchr(child.out, '\n') != strrchr(child.out, '\n'))
        return 1; /* more than the loopback */
    child_clear(&child);
    peer = stage_peer("10.0.0.0/9", "10.128.0.0/9", message, sizeof(message));
    if (peer < 0)
        return 2;
    for (int i = 0; i < 2; i++) {
        const char *const ping[] = {"ping", "-c1", "-W1", i ? "10.128.0.1" : "10.127.255.255", NULL};

        if (child_run(&child, ping, NULL) < 0 || child.status != i)
            return 3 + i;
        child_clear(&child);
    }
    return stage_peer("10.0.0.0/9", NULL, message, sizeof(message)) < 0 && strncmp(message, "ip: ", 4) == 0
               ? 0
               : 5;
}

Test(stage, is_private_and_has_a_peer)
{
    struct stat before, after;
    int status = 0;
    pid_t pid;

    cr_assert_eq(stat("/proc/self/ns/net", &before), 0);
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        _exit(on_stage());
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(stat("/proc/self/ns/net", &after), 0);
    cr_expect_eq(before.st_ino, after.st_ino);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        cr_skip_test("no network namespaces here");
    cr_expect_eq(status, 0, "step %d", WEXITSTATUS(status));
}

/* --- compare ---------------------------------------------------------------------------------------------*/

static const struct compare_way *way_of(const char *tool)
{
    for (size_t i = 0; i < compare_way_count; i++)
        if (strcmp(compare_ways[i].tool, tool) == 0)
            return &compare_ways[i];
    cr_assert_fail("no %s", tool);
    return NULL;
}

Test(compare, answers)
{
    static const struct {
        const char *tool, *out, *error;
        int64_t reachable;
    } rows[] = {
        {"reroute", "506 targets: 505 reachable, 1 unreachable; took 3.792 ms (io_uring)\n", "", 505},
        {"reroute", "", "reroute report: something is wrong\n", -EBADMSG},
        {"reroute --json",
         "{\"schema\":\"reroute.report/1\",\"targets\":3,\"reachable\":2,\"unreachable\":1,", "", 2},
        {"fping", "", "\n     506 targets\n     500 alive\n       6 unreachable\n", 500},
        {"fping", "", "\n       1 targets\n       0 alive\n", 0},
        {"fping", "", "fping: not enough sequence numbers available!\n", -EBADMSG},
        {"zmap", "10.0.0.1\n10.0.0.2\n", "[INFO]\n[INFO]\n[INFO]\n", 2},
        {"zmap", "", "", 0},
        {"masscan", "#masscan\nopen icmp 0 10.0.0.1 17\nopen icmp 0 10.0.0.2 17\n# end\n", "", 2},
        {"nmap", "# Nmap\nHost: 10.0.0.1 ()\tStatus: Up\nHost: 10.0.0.2 ()\tStatus: Down\n# Nmap\n", "", 1},
        {COMPARE_OLD_NAME, "10.0.0.1\n10.0.0.9\n", "", 2},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct child child = {.out = strdup(rows[i].out), .error = strdup(rows[i].error)};

        cr_expect_eq(compare_reachable(way_of(rows[i].tool), &child), rows[i].reachable, "row %zu", i);
        child_clear(&child);
    }
}

Test(compare, command_lines)
{
    const struct compare_places places = {"/x/reroute", "/x/old_scheme.py", "16"};

    for (size_t i = 0; i < compare_way_count; i++) {
        const char *argv[COMPARE_ARGV_MAX];
        size_t count = 0;

        compare_arguments(&compare_ways[i], &places, argv);
        for (; argv[count]; count++)
            cr_expect_null(strchr(argv[count], '{'), "%s", argv[count]);
        cr_expect_lt(count, COMPARE_ARGV_MAX);
        cr_expect_gt(count, 3);
    }
}

Test(compare, lists)
{
    static const struct {
        uint32_t addresses, dead;
    } rows[] = {{1, 0}, {2, 1}, {10, 3}, {300, 0}, {300, 299}, {70000, 7}};

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct compare_list list = {0};
        uint32_t lines = 0, dead = 0;
        struct address before = {0};

        cr_assert_eq(compare_list_make(&list, rows[i].addresses, rows[i].dead), 0);
        for (char *line = strtok(list.text, "\n"); line; line = strtok(NULL, "\n")) {
            struct address address;

            cr_assert_eq(address_parse(&address, line), 0, "%s", line);
            dead += address.bytes[1] >= 128;
            lines++;
            cr_assert_not(address_equal(&address, &before));
            before = address;
        }
        cr_expect_eq(lines, rows[i].addresses, "row %zu", i);
        cr_expect_eq(dead, rows[i].dead, "row %zu", i);
        free(list.text);
    }
}

/* --- sweep -----------------------------------------------------------------------------------------------*/

Test(sweep, profiles)
{
    static const struct {
        const char *list;
        int r;
        const char *profiles; /* with ';' behind each */
        size_t kernels;
    } rows[] = {
        {"lan", 0, "lan;"},
        {"lan,nested", 0, "lan;nested;"},
        {"lan,dead=5%,nested,loss=2%,dead", 0, "lan,dead=5%;nested,loss=2%,dead;"},
        {"loss=5%,dead=1%,kernel,wan", 0, "loss=5%,dead=1%;kernel;wan;", 1},
        {"kernel", 0, "kernel;", 1},
        {"lan,lan", 0, "lan;lan;"},
        {"kernel,loss=5%", -EINVAL},
        {"lan,nonsense=1", -EINVAL},
        {"lan,,wan", -EINVAL},
        {"lan,", -EINVAL},
        {"", -EINVAL},
        {"lan,lan,lan,lan,lan,lan,lan,lan,lan", -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct sweep_network network = {0};
        char message[2 * MESSAGE_BYTES] = "", profiles[256] = "";
        size_t kernels = 0;

        cr_expect_eq(sweep_network_parse(&network, rows[i].list, message, sizeof(message)), rows[i].r,
                     "'%s': %s", rows[i].list, message);
        cr_expect(rows[i].r == 0 || message[0], "'%s'", rows[i].list);
        for (size_t p = 0; p < network.count && rows[i].r == 0; p++) {
            strcat(strcat(profiles, network.profiles[p].text), ";");
            kernels += network.profiles[p].is_kernel;
        }
        if (rows[i].r == 0)
            cr_expect_str_eq(profiles, rows[i].profiles);
        cr_expect_eq(kernels, rows[i].kernels);
        sweep_network_close(&network);
    }
}
