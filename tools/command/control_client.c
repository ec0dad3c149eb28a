/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/control_client.h"

#include <event2/buffer.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "probe/text.h"

#define SOCKET_DEFAULT   "/run/reroute/control.sock"
#define ANSWER_MAX_BYTES (16 << 20)
#define TIMEOUT_S        5

int control_client_socket(const char *socket_path, const char *config_path, enum control_purpose purpose,
                          char out[static CONFIG_TEXT_SIZE], char *message, size_t size_bytes)
{
    CLEANUP(config_free) struct config *config = NULL;
    const char *path = config_path ? config_path : CONFIG_PATH_DEFAULT;
    int error;

    if (socket_path) {
        snprintf(out, CONFIG_TEXT_SIZE, "%s", socket_path);
        return 0;
    }
    error = config_load(&config, path, message, size_bytes);
    if (error < 0 && error != -EINVAL && config_path)
        return error;
    snprintf(out, CONFIG_TEXT_SIZE, "%s", config ? config->control_socket : SOCKET_DEFAULT);
    if (error == 0 || error == -ENOENT)
        return 0;
    if (!config_find_path(path, "control-socket", out) && purpose == CONTROL_ORDER) {
        snprintf(message + strlen(message), size_bytes - strlen(message),
                 "; it does not tell which agent is meant: mend it, or give --socket");
        return error;
    }
    text_error("warning: %s", message);
    text_error("warning: an agent that runs goes on with what it read before: %s is asked", out);
    return 0;
}

DEFINE_CLEANUP(struct evbuffer *, evbuffer_free)

/* A connection on which no call waits for longer than TIMEOUT_S, or a negative errno. */
static int reach(const char *socket_path)
{
    static const struct timeval patience = {.tv_sec = TIMEOUT_S};
    struct sockaddr_un agent = {.sun_family = AF_UNIX};
    int fd, error;

    if (strlen(socket_path) >= sizeof(agent.sun_path))
        return -ENAMETOOLONG;
    memcpy(agent.sun_path, socket_path, strlen(socket_path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
        connect(fd, (const struct sockaddr *)&agent, sizeof(agent)) == 0)
        return fd;
    error = -errno;
    close_fd(fd);
    return error;
}

static int send_request(int fd, const char *path, const char *body)
{
    CLEANUP(evbuffer_free) struct evbuffer *request = evbuffer_new();
    ssize_t sent;
    int size_bytes =
        request ? evbuffer_add_printf(request,
                                      "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                                      "%zu\r\n\r\n%s",
                                      body ? "POST" : "GET", path, body ? strlen(body) : 0, body ? body : "")
                : -1;

    if (size_bytes < 0)
        return -ENOMEM;
    sent = send(fd, evbuffer_pullup(request, -1), (size_t)size_bytes, MSG_NOSIGNAL);
    return sent == size_bytes ? 0 : sent < 0 && errno != EAGAIN ? -errno : -ETIMEDOUT;
}

/* Reads until the agent closes; a zero byte ends what came. 0 or a negative errno. */
static int receive_answer(int fd, struct evbuffer *answer)
{
    uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + TIMEOUT_S * NS_PER_S;
    int n;

    do {
        n = evbuffer_read(answer, fd, -1);
        if (evbuffer_get_length(answer) > ANSWER_MAX_BYTES)
            return -EMSGSIZE;
        if ((n < 0 && errno == EAGAIN) || clock_now_ns(CLOCK_MONOTONIC) >= until_ns)
            return -ETIMEDOUT;
    } while (n > 0 || (n < 0 && errno == EINTR));
    return n < 0 ? -errno : evbuffer_add(answer, "", 1) < 0 ? -ENOMEM : 0;
}

/* The HTTP status of an answer as server.c writes it, and its body within text; -EBADMSG: it is not whole. */
static int take_apart(const char *text, const char **body)
{
    const char *end = strstr(text, "\r\n\r\n"), *length = strstr(text, "\r\nContent-Length: ");
    size_t body_bytes = 0;
    int status = 0;

    if (!end || !length || sscanf(text, "HTTP/1.1 %3d", &status) != 1 ||
        sscanf(length, " Content-Length: %zu", &body_bytes) != 1 || strlen(end + 4) != body_bytes)
        return -EBADMSG;
    *body = end + 4;
    return status;
}

/* Does the exchange. The HTTP status and the body within answer, or a negative errno with one line in message. */
static int exchange(const char *socket_path, const char *path, const char *request, struct evbuffer *answer,
                    const char **body, char *message, size_t size_bytes)
{
    CLEANUP(close_fd) int fd = reach(socket_path);
    int status;

    if (fd < 0) {
        snprintf(message, size_bytes, "no agent answers on %s (is it running, and may this user talk to it?)",
                 socket_path);
        return -ECONNREFUSED;
    }
    status = answer ? send_request(fd, path, request) : -ENOMEM;
    if (!status)
        status = receive_answer(fd, answer);
    if (!status)
        status = take_apart((const char *)evbuffer_pullup(answer, -1), body);
    if (status < 0)
        snprintf(message, size_bytes, "%s: %s%s", socket_path, strerror(-status),
                 request ? " (what was asked for may still be done)" : "");
    return status;
}

int control_client_ask(const char *socket_path, const char *path, const char *body, cJSON **answer,
                       char **text, char *message, size_t size_bytes)
{
    CLEANUP(evbuffer_free) struct evbuffer *buffer = evbuffer_new();
    const char *got = NULL;
    int status = exchange(socket_path, path, body, buffer, &got, message, size_bytes);
    const cJSON *refusal;

    *answer = got ? cJSON_Parse(got) : NULL;
    refusal = cJSON_GetObjectItemCaseSensitive(*answer, "message");
    if (status >= 0 && (status != 200 || !*answer)) {
        snprintf(message, size_bytes, "%s",
                 cJSON_IsString(refusal) ? refusal->valuestring : "the agent's answer is not understood");
        status = -EREMOTEIO;
    }
    if (status < 0) {
        cJSON_Delete(*answer);
        *answer = NULL;
        return status;
    }
    if (text)
        *text = text_json(strdup(got));
    return text && !*text ? -ENOMEM : 0;
}

int control_client_text(const char *socket_path, const char *path, char **text, char *message,
                        size_t size_bytes)
{
    CLEANUP(evbuffer_free) struct evbuffer *buffer = evbuffer_new();
    const char *got = NULL;
    int status = exchange(socket_path, path, NULL, buffer, &got, message, size_bytes);

    *text = NULL;
    if (status >= 0 && status != 200) {
        snprintf(message, size_bytes, "the agent has no %s: is it older than this command?", path);
        return -EREMOTEIO;
    }
    if (status < 0)
        return status;
    *text = strdup(got);
    return *text ? 0 : -ENOMEM;
}
