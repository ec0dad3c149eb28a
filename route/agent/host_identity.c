/* SPDX-License-Identifier: Apache-2.0 */
#include "route/agent/host_identity.h"

#include <dirent.h>
#include <ifaddrs.h>

#define NET_DIRECTORY "/sys/class/net"
#define HARDWARE_SIZE 18 /* "52:54:00:12:34:56" */

/* The first word of a small file; empty when there is none, or it is longer than there is room. */
static void read_word(const char *path, char *word, size_t size_bytes)
{
    char line[128] = "";
    FILE *file = fopen(path, "re");

    word[0] = '\0';
    if (!file)
        return;
    if (fgets(line, sizeof(line), file)) {
        line[strcspn(line, " \t\r\n")] = '\0';
        if (strlen(line) < size_bytes)
            memcpy(word, line, strlen(line) + 1);
    }
    fclose(file);
}

static void read_of_interface(const char *interface, const char *name, char *word, size_t size_bytes)
{
    char path[sizeof(NET_DIRECTORY) + 300];

    snprintf(path, sizeof(path), NET_DIRECTORY "/%s/%s", interface, name);
    read_word(path, word, size_bytes);
}

static void take_smaller(char *smallest, size_t size_bytes, const char *text)
{
    if (text[0] && strlen(text) < size_bytes && (!smallest[0] || strcmp(text, smallest) < 0))
        memcpy(smallest, text, strlen(text) + 1);
}

/* Of hardware that is there to stay: not of bridges and the like, nor what was drawn at random at boot. */
static void smallest_hardware(char *smallest, size_t size_bytes)
{
    DIR *directory = opendir(NET_DIRECTORY);
    const struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        char path[sizeof(NET_DIRECTORY) + 300], assigned[8], hardware[HARDWARE_SIZE];

        snprintf(path, sizeof(path), NET_DIRECTORY "/%s/device", entry->d_name);
        if (entry->d_name[0] == '.' || access(path, F_OK) != 0)
            continue;
        read_of_interface(entry->d_name, "addr_assign_type", assigned, sizeof(assigned));
        read_of_interface(entry->d_name, "address", hardware, sizeof(hardware));
        if (strcmp(assigned, "0") == 0 && strcmp(hardware, "00:00:00:00:00:00") != 0)
            take_smaller(smallest, size_bytes, hardware);
    }
    if (directory)
        closedir(directory);
}

static void smallest_address(char *smallest, size_t size_bytes)
{
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) < 0)
        return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct address a = {0};

        if (i->ifa_addr)
            a = address_from_sockaddr(i->ifa_addr);
        if (address_is_set(&a) && !address_is_link_local(&a) && strcmp(i->ifa_name, "lo") != 0)
            take_smaller(smallest, size_bytes, ADDRESS_TEXT(&a));
    }
    freeifaddrs(list);
}

void host_identity_read(struct host_identity *out)
{
    *out = (struct host_identity){0};
    read_word("/etc/machine-id", out->machine_id, sizeof(out->machine_id));
    if (strlen(out->machine_id) != sizeof(out->machine_id) - 1)
        out->machine_id[0] = '\0'; /* "uninitialized", of an image that has not booted yet */
    smallest_hardware(out->network, sizeof(out->network));
    if (!out->network[0])
        smallest_address(out->network, sizeof(out->network));
}

uint64_t host_identity_key(const struct host_identity *identity, const char *name)
{
    char text[512];
    int length = snprintf(text, sizeof(text), "%s\n%s\n%s", name, identity->machine_id, identity->network);

    return siphash24(text, min_u64((uint64_t)length, sizeof(text) - 1), (const uint64_t[2]){0, 0});
}

const char *host_identity_text(const struct host_identity *identity, char *buffer, size_t size_bytes)
{
    snprintf(buffer, size_bytes, "name%s%s%s", identity->machine_id[0] ? ", machine-id" : "",
             identity->network[0] ? ", " : "", identity->network);
    return buffer;
}
