/* SPDX-License-Identifier: Apache-2.0 */
/* Prints every status and every constant that programs were compiled with, one per line. */
#include <stdio.h>

#include <meshsync/meshsync.h>

#define PRINT_STATUS(name, number, words) (void)printf("%s %d\n", #name, name);

int main(void)
{
    MESHSYNC_STATUS_MAP(PRINT_STATUS)
    return 0;
}
