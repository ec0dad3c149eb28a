/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves what the live screen shows of a status at each size of a terminal: all that counts at 80x24, never more rows or
 * columns than there are, the chosen path always, round trips as heights, and what changed. A quote of a document is written
 * as an apostrophe.
 */
#include "tools/command/watch.h"

#include <criterion/criterion.h>

static struct watch_frame frame;

static cJSON *document(const char *format, ...) PRINTF_LIKE(1, 2);

static cJSON *document(const char *format, ...)
{
    char text[65536];
    va_list arguments;
    cJSON *status;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    for (char *quote = text; (quote = strchr(quote, '\''));)
        *quote = '"';
    status = cJSON_Parse(text);
    cr_assert_not_null(status, "%s", text);
    return status;
}

/* A host that enters through node1 or node2; rtt_ms of node1 below 0: it is down. */
static cJSON *status_of(int in_use, double rtt_ms, const char *more)
{
    char first[160];

    snprintf(first, sizeof(first),
             rtt_ms < 0
                 ? "'up':false,'state':'down','rtt_ms':null,'loss_percent':null,'why':'no reply in 1 s'"
                 : "'up':true,'state':'up','rtt_ms':%.3f,'loss_percent':0,'why':''",
             rtt_ms);
    return document(
        "{'version':'1','host':'h','service':'192.0.2.1','next_hop':'10.0.0.%d','access':'node%d','tier':'"
        "data',"
        "'local':%s,'since':'T','reason':'path-down','mode':'auto','pin':null,'explanation':'so it is %d',%s"
        "'paths':[{'access':'node1','tier':'data','address':'10.0.0.1','current':%s,%s},"
        "{'access':'node2','tier':'data','address':'10.0.0.2','current':%s,'up':true,'state':'up',"
        "'rtt_ms':0.2,'loss_percent':0.5,'why':''}],"
        "'sessions':{'accesses':[{'access':'node1','drained':false},{'access':'node2','drained':true}]}}",
        in_use, in_use, in_use == 1 ? "true" : "false", in_use, more, in_use == 1 ? "true" : "false", first,
        in_use == 2 ? "true" : "false");
}

static void draw(const struct watch *watch, int columns, int rows)
{
    watch_draw(watch, columns, rows, true, "the prompt", &frame);
}

/* The row that begins with this; fails when there is none. */
static const struct watch_line *row(const char *text)
{
    for (int i = 0; i < frame.rows; i++)
        if (strncmp(frame.lines[i].text, text, strlen(text)) == 0)
            return &frame.lines[i];
    for (int i = 0; i < frame.rows; i++)
        fprintf(stderr, "%s\n", frame.lines[i].text);
    cr_assert_fail("no row '%s'", text);
    return NULL;
}

static int width_of(const char *text)
{
    int width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

Test(watch, at_80x24)
{
    struct watch *watch = watch_new();

    watch_take(watch, status_of(1, 0.1, ""), "12:00:00");
    watch_take(watch, status_of(2, -1, ""), "12:00:01");
    watch_take(watch,
               status_of(2, 0.1,
                         "'failback':{'access':'node1','in_s':135,'hold_s':180,'waits_for':'hold'},"
                         "'refresh':{'error':'timeout'},"),
               "12:00:02");
    draw(watch, 80, 24);
    cr_expect_eq(frame.rows, 24);
    row("reroute 1 on h");
    cr_expect_str_eq(frame.lines[0].text + 72, "12:00:02");
    row("192.0.2.1 -> 10.0.0.2 (node2, data)");
    row("now so it is 2");
    row("home node1 in 135 s [#######.......................]");
    cr_expect_eq(row("WARNING   the cluster has not been told")->style, WATCH_WARNING);
    cr_expect_eq(row("  node1        data       10.0.0.1        up      0.100   0.00 ")->style, WATCH_CHOSEN);
    row("> node2        data       10.0.0.2        up      0.200   0.50 ");
    row("12:00:00  so it is 1");
    row("12:00:01  node1 data 10.0.0.1: no reply in 1 s");
    row("12:00:01  the route leads to 10.0.0.2 (node2): path-down");
    row("12:00:02  node1 data 10.0.0.1: answers");
    cr_expect_str_eq(frame.lines[23].text, "the prompt");
    watch_free(watch);
}

Test(watch, a_long_warning_is_wrapped)
{
    static const char long_one[] =
        "'refresh':{'error':'10.0.0.2: the connection ended after 12 of 1042 bytes, and 10.0.0.3: timeout'},";
    struct watch *watch = watch_new();
    int first;

    watch_take(watch, status_of(1, 0.1, long_one), "12:00:00");
    draw(watch, 80, 24);
    first =
        (int)(row("WARNING   the cluster has not been told where this host enters: 10.0.0.2:") - frame.lines);
    cr_expect_eq(frame.lines[first + 1].style, WATCH_WARNING);
    cr_expect_str_eq(frame.lines[first + 1].text,
                     "          connection ended after 12 of 1042 bytes, and 10.0.0.3: timeout");
    row("> node1");
    draw(watch, 30, 24);
    row("          timeout");
    draw(watch, 200, 24);
    cr_expect_eq(row("WARNING   the cluster")[1].style, WATCH_PLAIN);
    watch_free(watch);
}

Test(watch, warnings_leave_room_for_the_chosen_path)
{
    struct watch *watch = watch_new();
    char file[400], more[600];

    memset(file, 'x', sizeof(file) - 1);
    file[sizeof(file) - 1] = '\0';
    snprintf(more, sizeof(more), "'not_kept':[{'file':'%s','reason':'r'},{'file':'journal','reason':'r'}],",
             file);
    watch_take(watch, status_of(1, 0.1, more), "12:00:00");
    draw(watch, 80, 24);
    row("> node1");
    row("  node2");
    for (int i = 0; i < frame.rows; i++)
        cr_expect_leq(width_of(frame.lines[i].text), 80);
    watch_free(watch);
}

Test(watch, why_a_path_cannot_be_used)
{
    struct watch *watch = watch_new();

    watch_take(watch, status_of(2, -1, ""), "12:00:00");
    draw(watch, 80, 24);
    row("  node1        data       10.0.0.1        down  no reply in 1 s");
    watch_free(watch);
}

Test(watch, round_trips_are_heights)
{
    static const double rtts[] = {1, 1, 2, 4, -1, 8};
    struct watch *watch = watch_new();
    const char *found;

    for (size_t i = 0; i < ARRAY_SIZE(rtts); i++)
        watch_take(watch, status_of(2, rtts[i], ""), "12:00:00");
    draw(watch, 80, 24);
    found = row("  node1 ")->text;
    cr_expect(strstr(found, "0.00 \u2581\u2581\u2582\u2584x\u2588"), "%s", found);
    cr_expect(strstr(row("> node2 ")->text, "\u2584\u2584\u2584\u2584\u2584\u2584"),
              "what is steady is in the middle");
    watch_draw(watch, 80, 24, false, "", &frame);
    cr_expect(strstr(row("  node1 ")->text, "0.00 ..:=x@"), "%s", row("  node1 ")->text);
    for (int i = 0; i < 200; i++)
        watch_take(watch, status_of(2, 1, ""), "12:00:00");
    draw(watch, 80, 24);
    cr_expect_leq(width_of(row("  node1 ")->text), 80);
    watch_free(watch);
}

Test(watch, never_more_than_there_is_room)
{
    struct watch *watch = watch_new();
    char *paths = NULL;
    size_t length;
    FILE *out = open_memstream(&paths, &length);

    for (int i = 0; i < 100; i++)
        fprintf(out,
                "%s{'access':'n%d','address':'2001:db8:1234:5678:9abc:def0:1234:%d','tier':'data','up':true,'"
                "why':''}",
                i ? "," : "", i, i);
    fclose(out);
    for (int columns = 1; columns <= 200; columns += 7)
        for (int rows = 1; rows <= 300; rows += 11) {
            draw(watch, columns, rows);
            cr_expect_leq(frame.rows, rows);
        }
    watch_take(watch,
               document("{'next_hop':'10.0.0.1','explanation':'a \u00e4 long one','paths':[%s]}", paths),
               "12:00:00");
    for (int columns = 1; columns <= 200; columns += 7)
        for (int rows = 1; rows <= 300; rows += 11) {
            draw(watch, columns, rows);
            cr_expect_leq(frame.rows, rows);
            for (int i = 0; i < frame.rows; i++)
                cr_expect_leq(width_of(frame.lines[i].text), columns);
        }
    for (int i = 0; i < 100; i++) {
        char name[16];

        draw(watch, 80, 24);
        snprintf(name, sizeof(name), "  n%d ", i);
        cr_expect_eq(row(name)->style, WATCH_CHOSEN);
        cr_expect_str_eq(frame.lines[23].text, "the prompt");
        watch_choose(watch, 1);
    }
    free(paths);
    watch_free(watch);
}

Test(watch, who_is_chosen)
{
    struct watch *watch = watch_new();
    bool drained = true;

    cr_expect_null(watch_chosen(watch, &drained));
    cr_expect_not(drained);
    watch_choose(watch, 1);
    watch_take(watch, status_of(1, 0.1, ""), "12:00:00");
    cr_expect_str_eq(watch_chosen(watch, &drained), "node1");
    cr_expect_not(drained);
    watch_choose(watch, 7);
    cr_expect_str_eq(watch_chosen(watch, &drained), "node2");
    cr_expect(drained);
    watch_choose(watch, -7);
    cr_expect_str_eq(watch_chosen(watch, &drained), "node1");
    watch_free(watch);
}

Test(watch, nobody_answers)
{
    struct watch *watch = watch_new();

    watch_miss(watch, "no agent answers", "12:00:00");
    draw(watch, 80, 24);
    cr_expect_eq(row("no agent answers")->style, WATCH_WARNING);
    watch_take(watch, status_of(1, 0.1, ""), "12:00:01");
    watch_miss(watch, "no agent answers", "12:00:02");
    watch_miss(watch, "no agent answers", "12:00:03");
    draw(watch, 80, 24);
    row("no agent answers");
    row("> node1");
    row("12:00:02  no agent answers");
    watch_take(watch, status_of(1, 0.1, ""), "12:00:04");
    draw(watch, 80, 24);
    row("12:00:04  the agent answers");
    watch_free(watch);
}
