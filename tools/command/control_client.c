/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/command/control_client.h"

#include "probe/text.h"
#include "session/curl.h"

#define SOCKET_DEFAULT   "/run/reroute/control.sock"
#define ANSWER_MAX_BYTES (16 << 20)
#define TIMEOUT_MS       5000L

int control_client_socket(const char *socket_path, const char *config_path, char out[static CONFIG_TEXT_SIZE],
                          char *message, size_t size_bytes)
{
    CLEANUP(config_free) struct config *config = NULL;
    int error;

    if (socket_path) {
        snprintf(out, CONFIG_TEXT_SIZE, "%s", socket_path);
        return 0;
    }
    error = config_load(&config, config_path ? config_path : CONFIG_PATH_DEFAULT, message, size_bytes);
    if (error < 0 && (config_path || error != -ENOENT))
        return error;
    snprintf(out, CONFIG_TEXT_SIZE, "%s", config ? config->control_socket : SOCKET_DEFAULT);
    return 0;
}

struct answer {
    char *text;
    size_t size_bytes;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct answer *answer = context;
    size_t more = size * count;
    char *bigger;

    if (answer->size_bytes + more > ANSWER_MAX_BYTES)
        return 0;
    bigger = realloc(answer->text, answer->size_bytes + more + 1);
    if (!bigger)
        return 0;
    memcpy(bigger + answer->size_bytes, bytes, more);
    answer->text = bigger;
    answer->size_bytes += more;
    bigger[answer->size_bytes] = '\0';
    return more;
}

/* Does the exchange. The HTTP status, or a negative errno with one line in message. */
static int exchange(const char *socket_path, const char *path, const char *body, struct answer *answer,
                    char *message, size_t size_bytes)
{
    const struct curl_api *api;
    char url[128];
    long status = 0;
    CURLcode code;
    CURL *curl;
    int error = curl_api_load(&api, message, size_bytes);

    if (error < 0)
        return error;
    curl = api->easy_init();
    if (!curl)
        return -ENOMEM;
    snprintf(url, sizeof(url), "http://localhost%s", path);
    api->easy_setopt(curl, CURLOPT_URL, url);
    api->easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
    api->easy_setopt(curl, CURLOPT_NOPROXY, "*");
    api->easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    api->easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    api->easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (body)
        api->easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    code = api->easy_perform(curl);
    api->easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    api->easy_cleanup(curl);
    if (code == CURLE_COULDNT_CONNECT) {
        snprintf(message, size_bytes, "no agent answers on %s (is it running, and may this user talk to it?)",
                 socket_path);
        return -ECONNREFUSED;
    }
    if (code != CURLE_OK) {
        snprintf(message, size_bytes, "%s: %s%s", socket_path, api->easy_strerror(code),
                 body ? " (what was asked for may still be done)" : "");
        return -EIO;
    }
    return (int)status;
}

int control_client_ask(const char *socket_path, const char *path, const char *body, cJSON **answer,
                       char **text, char *message, size_t size_bytes)
{
    struct answer got = {0};
    int status = exchange(socket_path, path, body, &got, message, size_bytes);
    const cJSON *refusal;

    *answer = got.text ? cJSON_ParseWithLength(got.text, got.size_bytes + 1) : NULL;
    refusal = cJSON_GetObjectItemCaseSensitive(*answer, "message");
    if (status >= 0 && (status != 200 || !*answer)) {
        snprintf(message, size_bytes, "%s",
                 cJSON_IsString(refusal) ? refusal->valuestring : "the agent's answer is not understood");
        status = -EREMOTEIO;
    }
    if (status < 0) {
        cJSON_Delete(*answer);
        *answer = NULL;
        free(got.text);
        return status;
    }
    if (text)
        *text = text_json(got.text);
    else
        free(got.text);
    return text && !*text ? -ENOMEM : 0;
}
