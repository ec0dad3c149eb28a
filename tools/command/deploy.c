/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute deploy`: reads the options and becomes deploy.py, which leads ssh(1).
 *
 * What people meet in every command is here: the options, their help, what is said when they are wrong. The script
 * gets them as NAME=VALUE; what was not given it does not get.
 */
#include <stdio.h>
#include <string.h>

#include "probe/base.h"
#include "probe/text.h"
#include "tools/command/command.h"
#include "tools/command/script.h"
#include "tools/options.h"

static void add_number(struct script_words *words, const char *name, uint32_t number)
{
    char text[16];

    snprintf(text, sizeof(text), "%" PRIu32, number);
    script_add(words, name, text);
}

/* What belongs together; 0 or an exit code. */
static int check(const char *program, const char *action, const char *config, const char *vib, bool route,
                 uint32_t rolling)
{
    if (strcmp(action, "install") == 0 && !config)
        return options_complain(program, "install: expected --config TEMPLATE");
    if (vib && strcmp(action, "clear") == 0)
        return options_complain(program, "--vib: not expected with clear, which removes what is there");
    if (route && strcmp(action, "clear") != 0)
        return options_complain(program, "--route: expected with clear only");
    if (rolling && strcmp(action, "check") == 0)
        return options_complain(program, "--rolling: not expected with check, which changes nothing");
    return 0;
}

static int take_action(const struct option_row *row, const char *value, char *message, size_t size_bytes)
{
    static const char *const actions[] = {"install", "check", "upgrade", "clear"};
    const char **action = row->context;

    if (*action)
        return options_bad(message, size_bytes, "'%s' is one operand too many, expected one action", value);
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (strcmp(value, actions[i]) == 0)
            *action = actions[i];
    }
    return *action ? 0
                   : options_bad(message, size_bytes,
                                 "'%s' is no action, expected install, check, upgrade or clear", value);
}

int command_deploy(int argc, char **argv)
{
    const char *action = NULL, *list = NULL, *config = NULL, *binary = NULL, *vib = NULL, *ssh = NULL;
    bool route = false, dry_run = false, json = false;
    static struct script_words hosts, words;
    uint32_t rolling = 0, seconds = 60;
    const struct option_row operand = {.take = take_action, .context = &action};
    const struct option_row rows[] = {
        {0, "hosts", "FILE", "the list of hosts: a line is NAME [KEY=VALUE ...]", .value = &list},
        {0, "host", "NAME",
         "only this host of the list; without a list: a host,\n\"NAME [KEY=VALUE ...]\". May be given more "
         "than "
         "once",
         .take = script_take_host, .context = &hosts},
        {'c', "config", "TEMPLATE", "configuration, with marks for what differs from host to host",
         .value = &config},
        {0, "binary", "FILE", "the program for the hosts (default: this one; VMkernel: the static one)",
         .value = &binary},
        {0, "vib", "FILE", "the VIB for VMkernel, instead of a program (tools/build-vib makes it)",
         .value = &vib},
        {0, "ssh", "COMMAND", "how to call ssh, with options (default: ssh)", .value = &ssh},
        {0, "rolling", "N", "N hosts at a time, and go on only while all that are done are healthy",
         OPTION_NUMBER(rolling, 1, SCRIPT_HOSTS_MAX)},
        {0, "wait", "SECONDS", "for an agent that was started to answer (default: 60)",
         OPTION_NUMBER(seconds, 1, 3600)},
        {0, "route", .help = "clear: remove the route to the service too", .flag = &route},
        {0, "dry-run", .help = "look at the hosts, and print every step instead of taking it",
         .flag = &dry_run},
        OPTION_JSON(&json, "reroute.deploy/1"),
        {0},
    };
    const struct command_line line = {
        .about = "Puts reroute on hosts over ssh, and looks after it there.\n\n"
                 "  install  binary, configuration and service; starts it\n"
                 "  check    compares and reports, changes nothing\n"
                 "  upgrade  changes what differs on hosts that have it\n"
                 "  clear    stops it and removes all of it; the route stays\n",
        .operands = "install|check|upgrade|clear",
        .operand = &operand,
        .rows = rows,
        .after = "Exit code: 0 all is well, 1 a host differs or failed, 3 bad arguments, list or template, "
                 "4 system\nerror. See reroute-deploy(8).\n",
    };
    int at = options_parse(&line, argc, argv), code;

    if (at <= 0)
        return at ? EXIT_USAGE : 0;
    if (!action)
        return options_complain(argv[0], "expected an action: install, check, upgrade or clear");
    if (!list && hosts.count == 0)
        return options_complain(argv[0], "%s: expected --hosts FILE or --host NAME", action);
    code = check(argv[0], action, config, vib, route, rolling);
    if (code)
        return code;
    script_add(&words, "action", action);
    script_add(&words, "hosts", list);
    script_add(&words, "config", config);
    script_add(&words, "binary", binary);
    script_add(&words, "vib", vib);
    script_add(&words, "ssh", ssh);
    add_number(&words, "rolling", rolling);
    add_number(&words, "wait", seconds);
    script_add(&words, "route", route ? "yes" : NULL);
    script_add(&words, "dry-run", dry_run ? "yes" : NULL);
    script_add(&words, "json", json ? "yes" : NULL);
    for (size_t i = 0; i < hosts.count; i++)
        script_add(&words, "host", hosts.text[i] + strlen("host="));
    return script_become(argv[0], "deploy.py", &words);
}
