/* dlmopen: a second libc in a namespace of its own, where nothing is preloaded. */
#include "load.h"

static void *load(const char *path)
{
    return dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
}

int main(void)
{
    return run_plugin(load);
}
