/* Asks libc for the addresses of a name. The answer does not matter. */
#include <netdb.h>

int main(int count, char **words)
{
    struct addrinfo *found = 0;
    if (count == 2)
        getaddrinfo(words[1], "80", 0, &found);
    return 0;
}
