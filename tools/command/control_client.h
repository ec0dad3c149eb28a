/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of the control socket: one request, one answer.
 */
#pragma once

#include <cjson/cJSON.h>

#include "route/config/config.h"

enum control_purpose {
    CONTROL_LOOK,  /* it changes nothing */
    CONTROL_ORDER, /* it does */
};

/*
 * Which socket to ask: `socket_path` when it is given, else the one that the configuration names
 * (`config_path`, or the usual place when that is NULL and the file is there), else the usual one. A file that is wrong
 * is a warning: it need not be what an agent has read that runs. An order must not reach the agent of another service:
 * where a wrong file does not tell the socket for certain it is refused. 0, or a negative errno with one line in message:
 * `config_path` cannot be read, or the order is refused.
 */
int control_client_socket(const char *socket_path, const char *config_path, enum control_purpose purpose,
                          char out[static CONFIG_TEXT_SIZE], char *message, size_t size_bytes);

/*
 * GET (body NULL) or POST. On success *answer is the parsed document (owned by the caller) and, when text is
 * not NULL, *text its bytes (malloc'ed). A refusal by the agent is -EREMOTEIO with the agent's own words;
 * -ECONNREFUSED: no agent listens there; both with one line in message.
 */
int control_client_ask(const char *socket_path, const char *path, const char *body, cJSON **answer,
                       char **text, char *message, size_t size_bytes);

/* GET of what is no JSON: *text, malloc'ed. Errors as above; -EREMOTEIO: the agent knows no such path. */
int control_client_text(const char *socket_path, const char *path, char **text, char *message,
                        size_t size_bytes);
