/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: every kind of bad configuration is refused with exactly one line that names the file, the
 * line, what is wrong and what was expected. The first group is what a lenient parser would let through
 * or blame on the wrong place.
 */
#include <criterion/criterion.h>

#include "tests/config/config_file.h"

/* A configuration that is good by itself, on one line: the row's text starts on line 2. */
#define GOOD "service = 10.9.9.9 access a { data = 10.0.0.1 }\n"

static const struct {
    const char *text;
    const char *error;
} rows[] = {
    /* --- what a lenient parser lets through -------------------------------------------------------- */
    {GOOD "probe {\n rise = x\n}", ":3: rise = \"x\": expected a number from 1 to 1000"},
    {GOOD "probe {\n raise = 3\n}", ":3: unknown key 'raise' in section 'probe', expected perhaps 'rise'"},
    {GOOD "access a { data = 10.0.0.2 }", ":2: a second access is named 'a', expected different names"},
    {GOOD "zone = b\n\nzone = c", ":4: key 'zone' is given again, expected it once (first on line 2)"},
    {GOOD "probe { rise = 3\n rise = 4 }",
     ":3: key 'rise' is given again, expected it once (first on line 2)"},
    {GOOD "probe { rise = 3 }\nprobe { select-count = 4 }",
     ":3: section 'probe' is given again, expected it once (first on line 2)"},
    {GOOD "session { fields { uuid = /a }\n fields { uuid = /b } }",
     ":3: section 'fields' is given again, expected it once (first on line 2)"},
    {GOOD "bootstrap = {10.0.0.5}\nbootstrap = {}",
     ":3: key 'bootstrap' is given again, expected it once (first on line 2)"},
    {GOOD "access b { data = 10.0.0.2\n data = 10.0.0.3 }",
     ":3: key 'data' is given again, expected it once (first on line 2)"},
    {GOOD "probe {\n rise = 3\n", ":2: the file ends before this '{' is closed, expected '}'"},
    {GOOD "bootstrap = {\n 10.0.0.5", ":2: the file ends before this '{' is closed, expected '}'"},
    {GOOD "session { fields {\n }", ":2: the file ends before this '{' is closed, expected '}'"},
    {GOOD "probe { rise = 010 }",
     ":2: rise = \"010\": starts with a zero, expected a number from 1 to 1000, without leading zeros"},
    {GOOD "probe { rise = 0x10 }", ":2: rise = \"0x10\": expected a number from 1 to 1000"},
    {GOOD "hold = \"60s\"", ":2: unknown key 'hold' at the top level, expected it in section 'route'"},
    {GOOD "route { hold = \"010s\" }", ":2: hold = \"010s\": starts with a zero, expected a duration with a "
                                       "unit (us, ms, s, m, h) from 0s to 86400s, without leading zeros"},
    {GOOD "state-directory = \"${HOME}/x\"", ":2: '$' inside a text, expected the value itself without it"},
    {GOOD "state-directory = '${HOME}'", ":2: '$' inside a text, expected the value itself without it"},
    {GOOD "state-directory = ${HOME}", ":2: '$' is not expanded, expected the value itself"},
    {GOOD "zone = b;", ":2: ';' ends nothing here, expected the next key after a blank or a newline"},
    {GOOD "probe { rise = 3; }",
     ":2: ';' ends nothing here, expected the next key after a blank or a newline"},
    {GOOD "probe { rise = 3+4 }", ":2: unexpected '+', expected a name, a value, '=', ',', '{' or '}'"},
    {GOOD "bootstrap += {10.0.0.5}", ":2: unexpected '+', expected a name, a value, '=', ',', '{' or '}'"},
    {GOOD "probe|rise = 4", ":2: unexpected '|', expected a name, a value, '=', ',', '{' or '}'"},
    {GOOD "\"probe|rise\" = 4", ":2: '|' inside a text, expected the value itself without it"},
    {GOOD "zone = \"\\x41\"", ":2: '\\' inside a text, expected the value itself without it"},
    {GOOD "/* one */ /* two */\n/* three\n*/ zon = b",
     ":4: unknown key 'zon' at the top level, expected perhaps 'zone'"},
    {GOOD "include(\"/etc/passwd\")", ":2: unexpected '(', expected a name, a value, '=', ',', '{' or '}'"},
    {GOOD "zone = \"b\nhost = c", ":2: the text is not closed on its line, expected \""},
    {GOOD "zone = 'b", ":2: the text is not closed on its line, expected '"},
    {GOOD "\n/* no end\n\n", ":3: the comment is not closed, expected '*/'"},
    {GOOD "}", ":2: '}' closes nothing, expected a key or a section"},
    {GOOD "zone = \"caf\xc3\xa9\"", ":2: unexpected byte 0xc3, expected printable ASCII"},
    {GOOD "\x01", ":2: unexpected byte 0x01, expected printable ASCII"},
    {"\xef\xbb\xbf" GOOD, ":1: unexpected byte 0xef, expected printable ASCII"},
    {GOOD "a{b{c{d{e{f{g{h{i{", ":2: more than 8 braces deep, expected '}'"},

    /* --- grammar ----------------------------------------------------------------------------------- */
    {GOOD "zone b", ":2: no '=' after 'zone', expected KEY = VALUE"},
    {GOOD "zone = = b", ":2: unexpected '=', expected KEY = VALUE or a section"},
    {GOOD "zone = { b }", ":2: unexpected '{', expected KEY = VALUE or a section"},
    {GOOD "= b", ":2: unexpected '=', expected KEY = VALUE or a section"},
    {GOOD "{}", ":2: unexpected '{', expected KEY = VALUE or a section"},
    {GOOD "zone =", ":2: premature end of file, expected KEY = VALUE or a section"},
    {GOOD "probe rise = 3", ":2: no '{' after 'probe', expected '{' and its keys"},
    {GOOD "access { data = 10.0.0.2 }", ":2: 'access' without a name, expected access \"NAME\" { ... }"},
    {GOOD "access b = 10.0.0.2", ":2: no '{' after 'access', expected '{' and its keys"},
    {GOOD "bootstrap = {10.0.0.5 10.0.0.6}", ":2: unexpected '10.0.0.6', expected KEY = VALUE or a section"},
    {GOOD "access \"\" { data = 10.0.0.2 }",
     ":2: access \"\": expected a name of 1 to 63 letters, digits, '.', "
     "'_', ':' or '-'"},
    {GOOD "\naccess \"a b\" { data = 10.0.0.2 }",
     ":3: access \"a b\": expected a name of 1 to 63 letters, digits, "
     "'.', '_', ':' or '-'"},

    /* --- unknown keys ------------------------------------------------------------------------------ */
    {GOOD "select-timeout = 1s",
     ":2: unknown key 'select-timeout' at the top level, expected it in section 'probe'"},
    {GOOD "probe { service = 1 }",
     ":2: unknown key 'service' in section 'probe', expected it at the top level"},
    {GOOD "probe { select_timeout = 1s }",
     ":2: unknown key 'select_timeout' in section 'probe', expected perhaps 'select-timeout'"},
    {GOOD "acess b { data = 10.0.0.2 }",
     ":2: unknown key 'acess' at the top level, expected perhaps 'access'"},
    {GOOD "session { feilds { } }",
     ":2: unknown key 'feilds' in section 'session', expected perhaps 'fields'"},
    {GOOD "colour = blue",
     ":2: unknown key 'colour' at the top level, expected one that reroute.conf(5) lists"},

    /* --- addresses --------------------------------------------------------------------------------- */
    {"", ":1: no service, expected service = \"ADDRESS\""},
    {"\n\naccess a { data = 10.0.0.1 }", ":1: no service, expected service = \"ADDRESS\""},
    {"\nservice = storage.example",
     ":2: service = \"storage.example\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {"service = 10.9.9.9/32",
     ":1: service = \"10.9.9.9/32\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {"service = 10.9.9", ":1: service = \"10.9.9\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {"service = \"\"", ":1: service = \"\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {"service = 010.9.9.9",
     ":1: service = \"010.9.9.9\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {"service = 0.0.0.0",
     ":1: service = \"0.0.0.0\": is the address of nobody, expected a node's own one such as "
     "10.0.0.1, fd00::1 or fe80::1%eth0"},
    {"service = 127.0.0.1",
     ":1: service = \"127.0.0.1\": is a loopback address, expected a node's own one such as "
     "10.0.0.1, fd00::1 or fe80::1%eth0"},
    {"service = ::1",
     ":1: service = \"::1\": is a loopback address, expected a node's own one such as 10.0.0.1, "
     "fd00::1 or fe80::1%eth0"},
    {GOOD "access b {\n\n data = 224.0.0.1 }", ":4: data = \"224.0.0.1\": is a multicast address, expected a "
                                               "node's own one such as 10.0.0.1, fd00::1 or "
                                               "fe80::1%eth0"},
    {GOOD "access b { data = 255.255.255.255 }", ":2: data = \"255.255.255.255\": is not an address of a "
                                                 "node, expected a node's own one such as 10.0.0.1, "
                                                 "fd00::1 or fe80::1%eth0"},
    {GOOD "access b { data = ::ffff:10.0.0.2 }", ":2: data = \"::ffff:10.0.0.2\": is an IPv4 address in IPv6 "
                                                 "form, expected a node's own one such as 10.0.0.1, "
                                                 "fd00::1 or fe80::1%eth0"},
    {GOOD "access b { data = fe80::1 }", ":2: data = \"fe80::1\": is link-local without its interface, "
                                         "expected a node's own one such as 10.0.0.1, "
                                         "fd00::1 or fe80::1%eth0"},
    {GOOD "access b { data = fd00::1%nosuch0 }",
     ":2: data = \"fd00::1%nosuch0\": names an interface, which only a link-local address has, expected an "
     "address such as fd00::1 or fe80::1%eth0"},
    {GOOD "access b { data = 'fe80::1%a/b' }",
     ":2: data = \"fe80::1%a/b\": names what cannot be an interface, "
     "expected an address such as fd00::1 or fe80::1%eth0"},
    {GOOD "access b { data = fd00::1 }",
     ":2: data fd00::1 and service 10.9.9.9 are of different families, expected an IPv4 address"},
    {"service = fd00::9 access b {\n data = 10.0.0.1 }",
     ":2: data 10.0.0.1 and service fd00::9 are of different families, expected an IPv6 address"},
    {GOOD "access b { management = 10.9.9.9 }",
     ":2: management is the service address itself, expected an address of the node"},
    {GOOD "access b { management = 10.0.0.1 }",
     ":2: management 10.0.0.1 is already data of access 'a', expected each address once"},
    {GOOD "access b { data = 10.0.0.2\n secondary = 10.0.0.2 }",
     ":3: secondary 10.0.0.2 is already data of access 'b', expected each address once"},
    {GOOD "bootstrap = { 10.0.0.5,\n 10.0.0 }",
     ":3: bootstrap = \"10.0.0\": is no address, expected one such as 10.0.0.1 or fd00::1"},
    {GOOD "bootstrap = { 10.0.0.5,\n 10.0.0.6,\n 10.0.0.5 }",
     ":4: bootstrap holds 10.0.0.5 twice, expected each address once"},
    {GOOD "bootstrap = 10.9.9.9", ":2: bootstrap holds the service address, expected others"},
    {GOOD "session { client-addresses = { 10.0.0.7,\nfd00::7 } }",
     ":3: client-addresses holds fd00::7, expected addresses of the family of service 10.9.9.9"},

    {GOOD "session { client-addresses = { 10.0.0.7, 10.0.0.7 } }",
     ":2: client-addresses holds 10.0.0.7 twice, expected each address once"},
    {GOOD
     "session { client-addresses = { 10.1.0.1, 10.1.0.2, 10.1.0.3, 10.1.0.4, 10.1.0.5, 10.1.0.6, 10.1.0.7,\n"
     "10.1.0.8, 10.1.0.9, 10.1.0.10, 10.1.0.11, 10.1.0.12, 10.1.0.13, 10.1.0.14, 10.1.0.15, 10.1.0.16,\n"
     "10.1.0.17 } }",
     ":4: client-addresses holds more than 16 addresses, expected fewer"},

    /* --- accesses ---------------------------------------------------------------------------------- */
    {"service = 10.9.9.9",
     ":1: no path at all, expected access \"NAME\" { data = \"ADDRESS\" } or bootstrap = "
     "{\"ADDRESS\"}"},
    {"service = 10.9.9.9 session { provider = none }",
     ":1: no path at all, expected access \"NAME\" { data = \"ADDRESS\" }"},
    {GOOD "\naccess b {\n management = 10.0.0.2 }",
     ":4: access 'b' has no data address, expected data or secondary too: the session list of provider "
     "\"rest\" knows an access by these"},
    {GOOD "session { provider = file file = /x } access b { management = 10.0.0.2 }",
     ":2: access 'b' has no data address, expected data or secondary too: the session list of provider "
     "\"file\" knows an access by these"},
    {GOOD "\naccess b {\n zone = x }", ":3: access 'b' has no path, expected data, secondary or management"},
    {GOOD "access b { data = 10.0.0.2 local = true }\naccess c { data = 10.0.0.3\n local = true }",
     ":4: access 'b' and access 'c' are both local, expected at most one"},
    {GOOD "access b { local = maybe }", ":2: local = \"maybe\": expected true, false or auto"},
    {GOOD "access b { service-check = \"\" data = 10.0.0.2 zone = \"a b\" }",
     ":2: zone = \"a b\": expected letters, digits, '.', '_', ':' or '-'"},
    {GOOD "zone = 1234567890123456789012345678901234567890123456789012345678901234",
     ":2: zone = \"123456789012345678901234567890123456789012345678901234567890\": is too long, expected at "
     "most 63 "
     "characters"},

    /* --- providers --------------------------------------------------------------------------------- */
    {GOOD "session { provider = dns }", ":2: provider = \"dns\": expected one of: rest file none"},
    {GOOD "session {\n provider = file }", ":3: provider \"file\" without a file, expected file = \"/PATH\""},
    {GOOD "session {\n file = /x }",
     ":3: file is not read with provider \"rest\", expected provider = \"file\""},
    {GOOD "bootstrap = {10.0.0.5}\nsession { provider = none }",
     ":2: nothing is asked with provider \"none\", expected no bootstrap, or provider = \"rest\""},
    {GOOD "session { token-header = x-token }",
     ":2: token-header without a token, expected token-file = \"/PATH\" too"},
    {GOOD "session { token-file = x }", ":2: token-file = \"x\": expected an absolute path"},
    {GOOD "session { token-file = /x token-header = \"x y\" }",
     ":2: token-header = \"x y\": expected the name of an HTTP header such as \"x-smartx-token\""},
    {GOOD "session { ca-file = /x }", ":2: ca-file without TLS, expected tls = true too"},
    {GOOD "log { size = 1MiB }", ":2: size without a file, expected file = \"/PATH\" too"},
    {GOOD "log { keep = 2 }", ":2: keep without a file, expected file = \"/PATH\" too"},
    {GOOD "log { link = /x }", ":2: link without a file, expected file = \"/PATH\" too"},
    {GOOD "log { file = /x\n link = /x }", ":3: link is the file itself, expected another path"},
    {GOOD "log { file = x }", ":2: file = \"x\": expected an absolute path"},
    {GOOD "log { file = /x keep = 0 }", ":2: keep = \"0\": is out of range, expected a number from 1 to 99"},
    {GOOD "session { tls-server-name = x }", ":2: tls-server-name without TLS, expected tls = true too"},
    {GOOD "session { tls = yes }", ":2: tls = \"yes\": expected true or false"},
    {GOOD "session { heartbeat-path = beat }",
     ":2: heartbeat-path = \"beat\": expected the path of a URL such as \"/api/heartbeat\""},
    {GOOD "session { heartbeat-path = \"/a b\" }",
     ":2: heartbeat-path = \"/a b\": expected the path of a URL such as \"/api/heartbeat\""},
    {GOOD "session { port = 0 }", ":2: port = \"0\": is out of range, expected a number from 1 to 65535"},
    {GOOD "session { port = 65536 }",
     ":2: port = \"65536\": is out of range, expected a number from 1 to 65535"},
    {GOOD "session { service-check = 2049 }", ":2: service-check = \"2049\": expected \"tcp:PORT\", "
                                              "\"nfs3:PORT\", \"iscsi:PORT\" or \"http:PORT/PATH\" with a "
                                              "port from 1 to 65535, or one of: auto none"},
    {GOOD "session { service-check = tcp:99999 }",
     ":2: service-check = \"tcp:99999\": expected \"tcp:PORT\", \"nfs3:PORT\", \"iscsi:PORT\" or "
     "\"http:PORT/PATH\" with a port from 1 to 65535, or one of: auto none"},
    {GOOD "session { service-check = \"http:80\" }",
     ":2: service-check = \"http:80\": expected \"tcp:PORT\", \"nfs3:PORT\", \"iscsi:PORT\" or "
     "\"http:PORT/PATH\" with a port from 1 to 65535, or one of: auto none"},
    {GOOD "session { service-check = \"iscsi:0\" }",
     ":2: service-check = \"iscsi:0\": expected \"tcp:PORT\", \"nfs3:PORT\", \"iscsi:PORT\" or "
     "\"http:PORT/PATH\" with a port from 1 to 65535, or one of: auto none"},
    {GOOD "session { service-check-window = 10ms }",
     ":2: service-check-window = \"10ms\": is out of range, expected a duration with a unit (us, ms, s, m, "
     "h) from 100ms to 3600s"},
    {GOOD "access b { data = 10.0.0.2 service-check = udp:1 }",
     ":2: service-check = \"udp:1\": expected \"tcp:PORT\", \"nfs3:PORT\", \"iscsi:PORT\" or "
     "\"http:PORT/PATH\" with a port from 1 to 65535, or one of: none"},
    {GOOD "session { fields { uuid = id } }",
     ":2: uuid = \"id\": expected a JSON Pointer such as \"/data/uuid\""},
    {GOOD "session { fields {\n uuid = /a~2 } }",
     ":3: uuid = \"/a~2\": expected a JSON Pointer such as \"/data/uuid\""},
    {GOOD "session { body-limit = 4MB }",
     ":2: body-limit = \"4MB\": expected a size with a unit (B, KiB, MiB, GiB) from 1KiB to 1GiB"},

    /* --- numbers and times ------------------------------------------------------------------------- */
    {GOOD "probe { select-timeout = 100 }",
     ":2: select-timeout = \"100\": expected a duration with a unit (us, ms, "
     "s, m, h) from 1ms to 60s"},
    {GOOD "probe { select-timeout = 999us }",
     ":2: select-timeout = \"999us\": is out of range, expected a duration "
     "with a unit (us, ms, s, m, h) from 1ms to 60s"},
    {GOOD "probe {\n select-timeout = 2s\n candidate-interval = 1s }",
     ":4: candidate-interval 1s is shorter than select-timeout 2s, expected it to be longer or the same"},
    {GOOD "probe { select-timeout = 2s candidate-interval = 2s\n degraded-over = 1s }",
     ":3: degraded-over 1s is shorter than select-timeout 2s, expected it to be longer or the same"},
    {GOOD "probe { select-count = 0 }",
     ":2: select-count = \"0\": is out of range, expected a number from 1 to 1000"},
    {GOOD "probe { select-count = -1 }", ":2: select-count = \"-1\": expected a number from 1 to 1000"},
    {GOOD "probe { select-count = 99999999999999999999 }",
     ":2: select-count = \"99999999999999999999\": is out of range, expected a number from 1 to 1000"},
    {GOOD "probe { payload = 56 }",
     ":2: payload = \"56\": expected a size with a unit (B, KiB, MiB, GiB) from 24B to 65507B"},
    {GOOD "probe { payload = 23B }",
     ":2: payload = \"23B\": is out of range, expected a size with a unit (B, KiB, "
     "MiB, GiB) from 24B to 65507B"},
    {GOOD "probe { transport = uring }",
     ":2: transport = \"uring\": expected one of: auto epoll io_uring poll"},
    {GOOD "probe { degraded-loss = 30 }",
     ":2: degraded-loss = \"30\": expected a share such as \"30%\", from 1% to 100%"},
    {GOOD "probe { degraded-loss = 101% }",
     ":2: degraded-loss = \"101%\": is out of range, expected a share such as \"30%\", from 1% to 100%"},
    {GOOD "probe { tos = 256 }", ":2: tos = \"256\": is out of range, expected a number from 0 to 255"},
    {GOOD "probe { mark = 4294967296 }",
     ":2: mark = \"4294967296\": is out of range, expected a number from 0 to 4294967295"},
    {GOOD "session {\n timeout = 150ms\n hedge-delay = 150ms }",
     ":3: timeout 150ms is no longer than hedge-delay 150ms, expected it to be longer"},
    {GOOD "session { hedge-delay = 2s\n timeout = 1s }",
     ":3: timeout 1s is shorter than hedge-delay 2s, expected it to be longer"},

    /* --- the route --------------------------------------------------------------------------------- */
    {GOOD "route { protocol = 4 }", ":2: protocol = 4 is taken by the kernel or a well-known daemon, "
                                    "expected another number (0-18, 42, 84, 99, "
                                    "186-192 are taken)"},
    {GOOD "route { protocol = 256 }",
     ":2: protocol = \"256\": is out of range, expected a number from 0 to 255"},
    {GOOD "route { table = 255 }", ":2: table = 255 is the kernel's own, expected another such as 254"},
    {GOOD "route { table = main }", ":2: table = \"main\": expected a number from 1 to 4294967295"},
    {GOOD "session { service-check = \"\" }", ":2: service-check = \"\": expected \"tcp:PORT\", "
                                              "\"nfs3:PORT\", \"iscsi:PORT\" or \"http:PORT/PATH\" with a "
                                              "port from 1 to 65535, or one of: auto none"},
    {GOOD "route { backend = esxcfg\n netstack = -x }",
     ":3: netstack = \"-x\" looks like an option, expected the name of a netstack"},
    {GOOD "route { backend = vsish }", ":2: backend = \"vsish\": expected one of: auto netlink esxcfg ip"},
    {GOOD "route { backend = netlink\n route-command = /sbin/ip }",
     ":3: route-command means nothing to backend \"netlink\", expected it with another backend, or not at "
     "all"},
    {GOOD "route { backend = netlink\n netstack = a }",
     ":3: netstack means nothing to backend \"netlink\", expected it with another backend, or not at all"},
    {GOOD "route { backend = netlink\n command-timeout = 9s }",
     ":3: command-timeout means nothing to backend \"netlink\", expected it with another backend, or not at "
     "all"},
    {GOOD "route { backend = ip\n netstack = a }",
     ":3: netstack means nothing to backend \"ip\", expected it with another backend, or not at all"},
    {GOOD "route { backend = esxcfg\n metric = 0 }",
     ":3: metric means nothing to backend \"esxcfg\", expected it with another backend, or not at all"},
    {GOOD "route { backend = esxcfg\n table = 254 }",
     ":3: table means nothing to backend \"esxcfg\", expected it with another backend, or not at all"},
    {GOOD "route { backend = esxcfg\n protocol = 200 }",
     ":3: protocol means nothing to backend \"esxcfg\", expected it with another backend, or not at all"},
    {"service = fd00::9\naccess a { data = fd00::1 }\nroute { backend = esxcfg }",
     ":1: backend \"esxcfg\" sets no IPv6 routes, expected an IPv4 service"},
    {GOOD "route { route-command = esxcfg-route }",
     ":2: route-command = \"esxcfg-route\": expected an absolute path"},
    {GOOD "route { command-timeout = 50ms }", ":2: command-timeout = \"50ms\": is out of range, expected a "
                                              "duration with a unit (us, ms, s, m, h) from 100ms to 3600s"},
    {GOOD "route { reset-connections = 1 }",
     ":2: reset-connections = \"1\": expected one of: all established none"},
    {GOOD "route { hold = 25h }", ":2: hold = \"25h\": is out of range, expected a duration with a unit (us, "
                                  "ms, s, m, h) from 0s to 86400s"},

    /* --- files and sockets ------------------------------------------------------------------------- */
    {GOOD "control-socket = \"\"", ":2: control-socket = \"\": expected an absolute path"},
    {GOOD "control-socket = "
          "/1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
          "9012345678901234567",
     ":2: control-socket is too long, expected at most 107 characters"},
    {GOOD "state-directory = x", ":2: state-directory = \"x\": expected an absolute path"},
    {GOOD "metrics-listen = 9100", ":2: metrics-listen = \"9100\": expected \"ADDRESS:PORT\" such as "
                                   "\"127.0.0.1:9100\" or \"[::1]:9100\""},
    {GOOD "metrics-listen = ::1:9100", ":2: metrics-listen = \"::1:9100\": expected \"ADDRESS:PORT\" such as "
                                       "\"127.0.0.1:9100\" or \"[::1]:9100\""},
    {GOOD "metrics-listen = :80", ":2: metrics-listen = \":80\": expected \"ADDRESS:PORT\" such as "
                                  "\"127.0.0.1:9100\" or \"[::1]:9100\""},
};

Test(config_errors, one_line_each)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct loaded l = load_text(rows[i].text);

        cr_expect_eq(l.rc, -EINVAL, "row %zu: %d: %s", i, l.rc, rows[i].text);
        cr_expect_str_eq(l.error, rows[i].error, "row %zu: %s\n  got      %s\n  expected %s", i, rows[i].text,
                         l.error, rows[i].error);
        cr_expect_null(strchr(l.error, '\n'));
        cr_expect_null(l.config);
    }
    cr_assert_not(leaks());
}

/* All 256 protocol numbers: those the kernel and the well-known daemons use, and no others, are refused. */
Test(config_errors, protocol_numbers)
{
    for (unsigned protocol = 0; protocol < 256; protocol++) {
        bool taken = protocol <= 18 || protocol == 42 || protocol == 84 || protocol == 99 ||
                     (protocol >= 186 && protocol <= 192);
        char text[128];
        struct loaded l;

        snprintf(text, sizeof(text), GOOD "route { protocol = %u }", protocol);
        l = load_text(text);
        cr_expect_eq(l.rc, taken ? -EINVAL : 0, "%u: %s", protocol, l.error);
        config_free(l.config);
    }
}

Test(config_errors, a_zero_byte)
{
    static const char text[] = GOOD "\n\0zone = b\n";
    struct loaded l = load_bytes(text, sizeof(text) - 1);

    cr_assert_eq(l.rc, -EINVAL);
    cr_assert_str_eq(l.error, ":3: unexpected byte 0x00, expected printable ASCII");
}

Test(config_errors, files_that_cannot_be_read)
{
    static const struct {
        const char *path;
        int rc;
        const char *error;
    } files[] = {
        {"/nonexistent/reroute.conf", -ENOENT, "/nonexistent/reroute.conf: No such file or directory"},
        {"/nonexistent/with\nnewline", -ENOENT, "/nonexistent/with\\x0anewline: No such file or directory"},
        {"/", -EISDIR, "/: Is a directory"},
        {"/dev/zero", -EFBIG, "/dev/zero: File too large"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        struct config *config = NULL;
        char message[256] = "";

        cr_expect_eq(config_load(&config, files[i].path, message, sizeof(message)), files[i].rc);
        cr_expect_str_eq(message, files[i].error);
        cr_expect_null(config);
    }
}

/* And no long wait before it is said. */
Test(config_errors, far_too_many_accesses, .timeout = 10)
{
    const unsigned count = 30000;
    size_t room = 64 * count, length = 0;
    char *text = malloc(room);
    struct loaded l;

    length = (size_t)snprintf(text, room, "service = 10.9.9.9\n");
    for (unsigned i = 0; i < count; i++)
        length += (size_t)snprintf(text + length, room - length, "access n%u { data = 10.0.0.1 }\n", i);
    l = load_bytes(text, length);
    cr_expect_str_eq(l.error, ":1002: more than 1000 accesses, expected fewer");
    free(text);
}

Test(config_errors, a_small_message_buffer_is_kept_to)
{
    struct config *config = NULL;
    char message[16];

    memset(message, 'x', sizeof(message));
    cr_assert_eq(config_load(&config, "/nonexistent/reroute.conf", message, 8), -ENOENT);
    cr_assert_str_eq(message, "/nonexi");
    cr_assert_eq(message[8], 'x');
}

/* Comments, blank lines, long lists, CRLF: the line is still that of the key. */
Test(config_errors, the_line_is_right_anywhere)
{
    static const char *const fillers[] = {"\n",
                                          "# x\n",
                                          "// x\n",
                                          "/* x */\n",
                                          "/* x\n*/",
                                          "\r\n",
                                          "access n%u { data = 10.1.%u.%u }\n",
                                          "#\n",
                                          "/* a *//* b */ # c\n"};

    for (unsigned lines = 1; lines < 200; lines += 7) {
        for (size_t f = 0; f < ARRAY_SIZE(fillers); f++) {
            char text[16384] = GOOD, want[128];
            size_t length = strlen(text);
            struct loaded l;

            for (unsigned i = 1; i <= lines; i++) {
                if (strchr(fillers[f], '%'))
                    length += (size_t)snprintf(text + length, sizeof(text) - length,
                                               "access n%u { data = 10.1.1.%u }\n", i, i);
                else
                    length += (size_t)snprintf(text + length, sizeof(text) - length, "%s", fillers[f]);
            }
            snprintf(text + length, sizeof(text) - length, "probe {\n rise = 0 }");
            l = load_text(text);
            snprintf(want, sizeof(want),
                     ":%u: rise = \"0\": is out of range, expected a number from 1 to 1000", lines + 3);
            cr_assert_str_eq(l.error, want, "filler %zu, %u lines: %s", f, lines, l.error);
        }
    }
}
