/* RTLD_DEEPBIND: the plug-in finds libc's own socket() before any that was preloaded. */
#include "load.h"

static void *load(const char *path)
{
    return dlopen(path, RTLD_NOW | RTLD_DEEPBIND);
}

int main(void)
{
    return run_plugin(load);
}
