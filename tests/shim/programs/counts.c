/* counts CHILDREN MAX: how the launcher counts what /proc says of its own children, a few bytes at a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { FIRST = 5000000 }; /* above all that the kernel gives out */

static char list[1 << 20];
static size_t list_size, list_read;

static ssize_t read_list(int fd, void *bytes, size_t size)
{
	size_t piece = list_size - list_read < 7 ? list_size - list_read : 7;

	(void)fd;
	piece = piece < size ? piece : size;
	memcpy(bytes, list + list_read, piece);
	list_read += piece;
	return (ssize_t)piece;
}

#define read read_list
#include "../../../shim/launch/tree.c"

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	for (int i = 0; i < atoi(argv[1]); i++)
		list_size += (size_t)sprintf(list + list_size, "%d ", FIRST + i);
	printf("%u\n", count_descendants((unsigned)atoi(argv[2])));
	return 0;
}
