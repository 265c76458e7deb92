/* Loads the plug-in that lies beside the program, in the way that the argument names, and calls it. */
#define _GNU_SOURCE
#include "client.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>

/* Beside the program: libinner.so. */
static const char *plugin(void)
{
    static char path[PATH_MAX + sizeof "/libinner.so"], self[PATH_MAX];

    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return "";
    snprintf(path, sizeof path, "%s/libinner.so", dirname(self));
    return path;
}

static int run(void *library)
{
    int (*inner)(void);

    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&inner = dlsym(library, "inner");
    return inner == NULL || inner();
}

/* RTLD_DEEPBIND: the plug-in finds libc's own socket() before any that was preloaded. */
static int deepbind(void)
{
    return run(dlopen(plugin(), RTLD_NOW | RTLD_DEEPBIND));
}

/* dlmopen: a second libc in a namespace of its own, where nothing is preloaded. */
static int second_libc(void)
{
    return run(dlmopen(LM_ID_NEWLM, plugin(), RTLD_NOW));
}

static const struct way WAYS[] = {
    {"deepbind", deepbind},
    {"dlmopen", second_libc},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_way(WAYS, argc, argv);
}
