/* Checks for C programs that test themselves: the first that fails ends the program and says where. */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int checked;

/* The call must return -1 with this errno. */
#define FAILS(error, call)                                                                                    \
    do {                                                                                                      \
        int result_;                                                                                          \
        errno = 0;                                                                                            \
        result_ = (call);                                                                                     \
        if (result_ != -1 || errno != (error)) {                                                              \
            printf("line %d: %s: %d, %s; not %s\n", __LINE__, #call, result_, strerror(errno), #error);       \
            exit(1);                                                                                          \
        }                                                                                                     \
        __atomic_fetch_add(&checked, 1, __ATOMIC_RELAXED);                                                    \
    } while (0)

/* The condition must hold. */
#define HOLDS(condition)                                                                                      \
    do {                                                                                                      \
        if (!(condition)) {                                                                                   \
            printf("line %d: %s; %s\n", __LINE__, #condition, strerror(errno));                               \
            exit(1);                                                                                          \
        }                                                                                                     \
        __atomic_fetch_add(&checked, 1, __ATOMIC_RELAXED);                                                    \
    } while (0)

#endif
