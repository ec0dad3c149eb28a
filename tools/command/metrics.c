/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `reroute metrics`: what the agent counts and measures, as Prometheus text, for who reads files: the textfile
 * collector of node_exporter.
 */
#include "probe/text.h"
#include "tools/command/command.h"
#include "tools/command/control_client.h"
#include "tools/options.h"
#include "tools/output_file.h"

/* Without an agent the file must say so: an old one would go on saying that all is well. */
static const char no_agent[] = "# HELP reroute_agent_up The agent answers.\n"
                               "# TYPE reroute_agent_up gauge\n"
                               "reroute_agent_up 0\n";

static int write_file(const char *path, const char *text)
{
    struct output_file file;
    char message[256];
    int error = output_file_open(&file, path, message, sizeof(message));

    if (error < 0) {
        text_error("reroute metrics: %s: %s", path, message);
        return EXIT_USAGE;
    }
    error = output_file_begin(&file);
    if (!error && dprintf(file.fd, "%s", text) < 0)
        error = -errno;
    if (!error)
        error = output_file_commit(&file);
    else
        output_file_discard(&file);
    if (error < 0)
        text_error("reroute metrics: %s: %s", path, strerror(-error));
    return error < 0 ? EXIT_SYSTEM : 0;
}

int command_metrics(int argc, char **argv)
{
    const char *config_path = NULL, *socket_option = NULL, *output = NULL;
    char socket_path[CONFIG_TEXT_SIZE], message[512] = "out of memory";
    CLEANUP(free) char *text = NULL;
    const struct option_row rows[] = {
        {'o', "output", "FILE",
         .help = "write there, as a whole or not at all; without an agent: that it is down",
         .value = &output},
        OPTION_CONFIG(&config_path),
        OPTION_SOCKET(&socket_option),
        {0},
    };
    const struct command_line line = {
        .about = "What the running agent counts and measures, as Prometheus text.\n",
        .rows = rows,
        .after = "Exit code: 0, 3 bad arguments, 4 no agent answers, or the file cannot be written.\n",
    };
    int code = options_parse(&line, argc, argv);
    bool answers;

    if (code <= 0)
        return code ? EXIT_USAGE : 0;
    if (control_client_socket(socket_option, config_path, CONTROL_LOOK, socket_path, message,
                              sizeof(message)) < 0) {
        text_error("reroute metrics: %s", message);
        return EXIT_USAGE;
    }
    answers = control_client_text(socket_path, "/metrics", &text, message, sizeof(message)) == 0;
    if (!answers)
        text_error("reroute metrics: %s", message);
    code = 0;
    if (output)
        code = write_file(output, answers ? text : no_agent);
    else if (answers)
        fputs(text, stdout);
    return code ? code : answers ? 0 : EXIT_SYSTEM;
}
