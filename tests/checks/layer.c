/*
 * Linked once for each library, see layers.mk: that it links is the test.
 */
#include <stdio.h>

int main(void)
{
    puts("1..1\nok 1 - the library links with nothing but those below it");
    return 0;
}
