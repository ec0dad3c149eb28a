/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this proves: whatever is in a configuration, it is refused with one line of plain characters that
 * names the file, or is one that an agent can run with. What is found in a file that is refused is an absolute path.
 */
#include "probe/text.h"
#include "route/config/config.h"
#include "tests/fuzz/fuzz_memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(config_free) struct config *config = NULL;
    struct fuzz_file file = fuzz_file_make(data, size);
    char message[512] = "", found[CONFIG_TEXT_SIZE] = "";
    int r = config_load(&config, file.path, message, sizeof(message));

    fuzz_check(config_find_path(file.path, "control-socket", found) == (found[0] == '/'));
    close(file.fd);
    fuzz_check(r <= 0 && (r == 0) == (config != NULL));
    if (r < 0) {
        fuzz_check(strncmp(message, file.path, strlen(file.path)) == 0);
        fuzz_check(text_plain_bytes(message) == strlen(message));
        return 0;
    }
    fuzz_check(address_is_set(&config->service) && config->access_count + config->bootstrap_count > 0);
    fuzz_check(config->probe.select_timeout_ns >= NS_PER_MS && config->probe.select_count > 0);
    return 0;
}
