/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: every published form of the table of `esxcfg-route -l` is read, what is not understood is an error
 * and never an empty table, success is told from refusals by the text, and an MTU is found by the head of its column.
 */
#include "route/fib/esxcfg_text.h"

#include <criterion/criterion.h>

#define HEAD  "VMkernel Routes:\nNetwork          Netmask          Gateway          Interface\n"
#define HEAD3 "VMkernel Routes:\nNetwork          Netmask          Gateway\n"

/* "NET/LEN via GATEWAY dev INTERFACE" of each route, one a line. */
static void describe(const struct text_table *table, char *buffer, size_t size_bytes)
{
    size_t n = 0;

    buffer[0] = '\0';
    for (size_t i = 0; i < table->count && n < size_bytes; i++) {
        const struct text_route *r = &table->routes[i];

        n += (size_t)snprintf(buffer + n, size_bytes - n, "%s/%u via %s dev %s\n",
                              ADDRESS_TEXT(&r->route.destination), r->route.prefix_length,
                              ADDRESS_TEXT(&r->route.gateway), r->interface[0] ? r->interface : "-");
    }
}

static const struct {
    const char *what, *text, *routes;
} good[] = {
    {"host routes, networks, default",
     HEAD "10.7.6.21        255.255.255.255  10.7.6.121       vmk1\n"
          "192.168.33.2     255.255.255.255  10.7.6.121       vmk1\n"
          "10.7.6.0         255.255.255.0    Local Subnet     vmk1\n"
          "172.28.16.0      255.255.240.0    Local Subnet     vmk0\n"
          "default          0.0.0.0          172.28.16.1      vmk0\n",
     "10.7.6.21/32 via 10.7.6.121 dev vmk1\n192.168.33.2/32 via 10.7.6.121 dev vmk1\n"
     "10.7.6.0/24 via - dev vmk1\n172.28.16.0/20 via - dev vmk0\n0.0.0.0/0 via 172.28.16.1 dev vmk0\n"},
    {"no host route",
     HEAD "172.28.64.0      255.255.255.192  Local Subnet     vmk0\n"
          "default          0.0.0.0          172.28.64.1      vmk0\n",
     "172.28.64.0/26 via - dev vmk0\n0.0.0.0/0 via 172.28.64.1 dev vmk0\n"},
    {"a rule under the head, single blanks",
     "VMkernel Routes:\nNetwork Netmask Gateway Interface\n"
     "------------- ---------------- ------------- -------------\n"
     "203.0.113.9 255.255.255.255 172.28.47.254 vmk0\n172.28.32.0 255.255.240.0 Local Subnet vmk0\n"
     "default 0.0.0.0 172.28.32.21 vmk0\n",
     "203.0.113.9/32 via 172.28.47.254 dev vmk0\n172.28.32.0/20 via - dev vmk0\n"
     "0.0.0.0/0 via 172.28.32.21 dev vmk0\n"},
    {"three columns",
     HEAD3 "192.168.33.0     255.255.255.0    Local Subnet\ndefault          0.0.0.0          172.28.0.254\n",
     "192.168.33.0/24 via - dev -\n0.0.0.0/0 via 172.28.0.254 dev -\n"},
    {"twice the same network",
     HEAD "192.168.33.2 255.255.255.255 10.7.6.21 vmk1\n192.168.33.2 255.255.255.255 10.7.6.22 vmk1\n",
     "192.168.33.2/32 via 10.7.6.21 dev vmk1\n192.168.33.2/32 via 10.7.6.22 dev vmk1\n"},
    {"blank lines, tabs, carriage returns, no newline at the end",
     "\r\n\r\nVMkernel Routes:\r\nNetwork\tNetmask\tGateway\tInterface\r\n\r\n"
     "10.7.6.0\t255.255.255.0\tLocal Subnet\tvmk12\r\n\r\ndefault 0.0.0.0 10.7.6.1 vmk12",
     "10.7.6.0/24 via - dev vmk12\n0.0.0.0/0 via 10.7.6.1 dev vmk12\n"},
    {"something is said before", "a warning of some kind\n" HEAD "10.7.6.0 255.255.255.0 Local Subnet vmk1\n",
     "10.7.6.0/24 via - dev vmk1\n"},
    {"a gateway of zeros is none", HEAD "10.7.6.0 255.255.255.0 0.0.0.0 vmk1\n",
     "10.7.6.0/24 via - dev vmk1\n"},
    {"no route at all", HEAD, ""},
};

Test(esxcfg_text, good_tables)
{
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        struct text_table table = {0};
        char why[128] = "", got[1024];

        cr_expect_eq(esxcfg_text_table(good[i].text, &table, why, sizeof(why)), 0, "%s: %s", good[i].what,
                     why);
        describe(&table, got, sizeof(got));
        cr_expect_str_eq(got, good[i].routes, "%s:\n%s", good[i].what, got);
        text_table_clear(&table);
    }
}

static const struct {
    const char *text, *why;
} bad[] = {
    {"", "line 1: the text ends without a table of routes"},
    {"VMkernel Routes:\n", "line 2: the text ends without a table of routes"},
    {"Connect to localhost failed: Connection failure\n", "line 2: the text ends without a table of routes"},
    {"VMkernel Routes:\nNetwork          Netm", "line 3: the text ends without a table of routes"},
    {HEAD "nonsense\n", "line 3: expected a network"},
    {HEAD "10.7.6.0 255.255.255.0 Local Subnet\n", "line 3: expected an interface"},
    {HEAD "192.168.33.2 255.255.255.255 10.7.6.1", "line 3: expected an interface"},
    {HEAD "10.7.6.0/24 255.255.255.0 Local Subnet vmk1\n10.7.6.300 255.255.255.255 10.7.6.1 vmk1\n",
     "line 4: expected a network"},
    {HEAD "10.7.6.0\n", "line 3: expected a netmask"},
    {HEAD "10.7.6.0 255.0.255.0 Local Subnet vmk1\n", "line 3: expected a netmask"},
    {HEAD "10.7.6.0 24 Local Subnet vmk1\n", "line 3: expected a netmask"},
    {HEAD "10.7.6.0 255.255.255.0\n", "line 3: expected a gateway or Local Subnet"},
    {HEAD "10.7.6.0 255.255.255.0 Local\n", "line 3: expected a gateway or Local Subnet"},
    {HEAD "10.7.6.0 255.255.255.0 vmk1\n", "line 3: expected a gateway or Local Subnet"},
    {HEAD "10.7.6.0 255.255.255.0 fd00::1 vmk1\n", "line 3: expected a gateway or Local Subnet"},
    {HEAD "10.7.6.0 255.255.255.0 10.7.6.1 vmk1 more\n",
     "line 3: expected no more than an interface after the gateway"},
    {HEAD "10.7.6.0 255.255.255.0 10.7.6.1 an-interface-of-many-letters\n", "line 3: expected an interface"},
    {HEAD "10.7.6.0 255.255.255.0 Local Subnet vmk1\n"
          "Error interacting with configuration file /etc/vmware/esx.conf\n",
     "line 4: expected a network"},
};

Test(esxcfg_text, bad_tables_say_nothing)
{
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct text_table table = {0};
        char why[128] = "";

        cr_expect_eq(esxcfg_text_table(bad[i].text, &table, why, sizeof(why)), -EBADMSG, "%s", bad[i].text);
        cr_expect_str_eq(why, bad[i].why, "%s: %s", bad[i].text, why);
        text_table_clear(&table);
    }
}

Test(esxcfg_text, lines_without_an_end_are_refused)
{
    CLEANUP(free) char *text = calloc(1, 5000);
    struct text_table table = {0};
    char why[128];

    strcpy(text, HEAD);
    memset(text + strlen(text), '1', 4000);
    cr_expect_eq(esxcfg_text_table(text, &table, why, sizeof(why)), -EBADMSG);
    cr_expect_str_eq(why, "line 3: it is too long");
    strcpy(text, HEAD);
    for (int i = 0; i < 200; i++)
        strcat(text, "1 ");
    cr_expect_eq(esxcfg_text_table(text, &table, why, sizeof(why)), -EBADMSG);
    text_table_clear(&table);
}

static const struct {
    const char *text;
    bool added, deleted;
} answers[] = {
    {"Adding static route 192.168.33.2/32 to VMkernel\n", true, false},
    {"Deleting static route 192.168.33.2/32 from VMkernel\n", false, true},
    {"\nsome warning\n  Adding static route 192.168.33.2/32 to VMkernel", true, false},
    {"Adding static route 192.168.33.2/32", true, false},
    {"Adding static route 192.168.33.2/320 to VMkernel\n", false, false},
    {"Adding static route 192.168.33.21/32 to VMkernel\n", false, false},
    {"Not Adding static route 192.168.33.2/32 to VMkernel\n", false, false},
    {"Error: Invalid netmask, must be 32 > x > 0\n", false, false},
    {"Unable to complete Sysinfo operation.  Please see the VMkernel log file for more details.: Sysinfo "
     "error: "
     "Bad parameterSee VMkernel log for details.\n",
     false, false},
    {"Error interacting with configuration file /etc/vmware/esx.conf: Timeout while waiting for lock, "
     "/etc/vmware/esx.conf.LOCK, to be released.\n",
     false, false},
    {"", false, false},
};

Test(esxcfg_text, a_lock_is_no_refusal)
{
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++)
        cr_expect_eq(esxcfg_text_locked(answers[i].text), strstr(answers[i].text, ".LOCK") != NULL, "%s",
                     answers[i].text);
}

Test(esxcfg_text, success_is_told_by_the_text)
{
    for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
        cr_expect_eq(esxcfg_text_added(answers[i].text, "192.168.33.2/32"), answers[i].added, "%s",
                     answers[i].text);
        cr_expect_eq(esxcfg_text_deleted(answers[i].text, "192.168.33.2/32"), answers[i].deleted, "%s",
                     answers[i].text);
    }
}

#define VMKNIC_HEAD                                                                                         \
    "Interface  Port Group/DVPort/Opaque Network        IP Family IP Address                              " \
    "Netmask         Broadcast       MAC Address       MTU     TSO MSS   Enabled Type                "      \
    "NetStack\n"
#define VMKNIC                                                                                              \
    VMKNIC_HEAD                                                                                             \
    "vmk0       Management Network                      IPv4      172.28.64.10                            " \
    "255.255.255.192 172.28.64.63    00:50:56:aa:bb:01 1500    65535     true    STATIC              "      \
    "defaultTcpipStack\n"                                                                                   \
    "vmk0       Management Network                      IPv6      fe80::250:56ff:feaa:bb01                " \
    "64                              00:50:56:aa:bb:01 1280    65535     true    STATIC, PREFERRED   "      \
    "defaultTcpipStack\n"                                                                                   \
    "vmk10      Storage 1500 MTU 2                      IPv4      10.7.6.11                               " \
    "255.255.255.0   10.7.6.255      00:50:56:aa:bb:02 9000    65535     true    STATIC              "      \
    "defaultTcpipStack\n"

static const struct {
    const char *text, *interface;
    uint32_t mtu_bytes;
} mtus[] = {
    {VMKNIC, "vmk0", 1500},
    {VMKNIC, "vmk10", 9000},
    {VMKNIC, "vmk1", 0},
    {VMKNIC, "", 0},
    {"", "vmk0", 0},
    {"vmk0 MTU 1500\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0      1500  65535\n", "vmk0", 1500},
    {"Interface MTU TSO MSS\nvmk0     91500  65535\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0      none  65535\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0      12x   65535\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0      99999999999999999999\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0      60\n", "vmk0", 0},
    {"Interface MTU TSO MSS\nvmk0\nvmk0      9000", "vmk0", 9000},
};

Test(esxcfg_text, an_mtu_stands_under_its_head)
{
    for (size_t i = 0; i < ARRAY_SIZE(mtus); i++)
        cr_expect_eq(esxcfg_text_mtu(mtus[i].text, mtus[i].interface), mtus[i].mtu_bytes, "row %zu: %s: %u",
                     i, mtus[i].interface, esxcfg_text_mtu(mtus[i].text, mtus[i].interface));
}

static const struct {
    const char *text, *line;
} lines[] = {
    {"", "nothing"},
    {" \r\n\n", "nothing"},
    {"one\n", "one"},
    {"\n one\r\n\n\t two\x1b\xff\n", "one?; two??"},
    {"a text that is longer than the room", "a text that is longer"},
};

Test(esxcfg_text, what_was_said_is_one_line)
{
    char buffer[24];

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        cr_expect_str_eq(text_one_line(lines[i].text, buffer, sizeof(buffer)), lines[i].line, "%s", buffer);
}
