/* A static program: the dynamic loader, and so any preloaded object, never runs. */
#include "client.h"

int main(void)
{
    return print_greeting(socket(AF_INET, SOCK_STREAM, 0));
}
