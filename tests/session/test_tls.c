/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proves that with TLS the server's certificate is checked, against the given CA and for the address asked or
 * the configured name, and that a wrong one ends the request before anything secret is sent. The server is
 * openssl's, the certificates are made for each run; without the openssl command the tests are skipped.
 */
#include "tests/lib/netns.h"
#include "tests/session/client.h"

#include <criterion/criterion.h>
#include <fcntl.h>

struct fixture {
    struct client client;
    const char *directory;
    const char *ca_file;
    pid_t server;
};

static void fixture_open(struct fixture *fixture)
{
    *fixture = (struct fixture){.directory = "/tmp/tls", .ca_file = "/tmp/tls/ca.pem"};
    client_open(&fixture->client);
    if (netns_run(NETNS_HERE, "openssl version >/dev/null 2>&1") != 0)
        cr_skip_test("no openssl command");
    netns_must(NETNS_HERE,
               "mkdir %s && cd %s && exec 2>openssl.log && mkdir -p api/v3 && "
               "echo '[{\"uuid\":\"tls\",\"ip\":\"10.0.0.1\"}]' > api/v3/sessions && "
               "printf 'subjectAltName=IP:127.0.0.1,DNS:storage.example\n' > names && "
               "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca "
               "-keyout ca.key -out ca.pem -days 2 && "
               "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node "
               "-keyout node.key -out node.csr && "
               "openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names "
               "-out node.pem -days 2",
               fixture->directory, fixture->directory);
}

static int serve(void *context)
{
    struct fixture *fixture = context;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (chdir(fixture->directory) < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0)
        return 1;
    execlp("openssl", "openssl", "s_server", "-accept", "8080", "-WWW", "-cert", "node.pem", "-key",
           "node.key", (char *)NULL);
    return 127;
}

/* Waits until somebody listens there. */
static void server_start(struct fixture *fixture)
{
    fixture->server = netns_spawn(NETNS_HERE, serve, fixture);
    cr_assert_gt(fixture->server, 0);
    for (int i = 0; i < 500; i++) {
        if (netns_run(NETNS_HERE, "grep -q ':1F90 .* 0A ' /proc/self/net/tcp /proc/self/net/tcp6") == 0)
            return;
        client_idle(&fixture->client, 20 * NS_PER_MS);
    }
    cr_assert_fail("openssl s_server does not listen");
}

static void fixture_close(struct fixture *fixture)
{
    netns_stop(fixture->server);
    client_close(&fixture->client);
}

Test(tls, certificate_is_checked)
{
    struct fixture fixture;
    struct session_provider_settings settings = client_settings();
    static const struct {
        const char *title;
        bool our_ca;
        const char *name;
        const char *endpoint;
        int error;
    } rows[] = {
        {"the address is in it", true, NULL, "1=127.0.0.1", 0},
        {"the name is in it", true, "storage.example", "1=127.0.0.2", 0},
        {"another address", true, NULL, "1=127.0.0.2", -EPROTO},
        {"another name", true, "other.example", "1=127.0.0.1", -EPROTO},
        {"a CA that the system does not know", false, NULL, "1=127.0.0.1", -EPROTO},
    };

    fixture_open(&fixture);
    server_start(&fixture);
    settings.tls = true;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        settings.ca_file = rows[i].our_ca ? fixture.ca_file : NULL;
        settings.tls_server_name = rows[i].name;
        client_provider(&fixture.client, &settings);
        client_list(&fixture.client, rows[i].endpoint);
        cr_expect_eq(fixture.client.error, rows[i].error, "%s: %d, %s", rows[i].title, fixture.client.error,
                     fixture.client.message);
        cr_expect_str_eq(fixture.client.uuid, rows[i].error ? "" : "tls", "%s", rows[i].title);
    }
    fixture_close(&fixture);
}
