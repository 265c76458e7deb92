/* Uses the socket that its library's constructor has made. */
#include "client.h"

extern int early_socket;

int main(void)
{
    return print_greeting(early_socket);
}
