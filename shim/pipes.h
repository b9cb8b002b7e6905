/* Named pipes that a process reads: work that is written there is done by somebody else. */
#ifndef EXITPIN_PIPES_H
#define EXITPIN_PIPES_H

#include <stdint.h>

struct exitpin_pipe {
	int fd;
	uint32_t major, minor, links;
	uint64_t inode;
};

/* Those of its descriptors, in such a folder of proc(5), that are open for reading on a named pipe. How many, and no more
 * than max; or minus an errno. No file system is asked over a network, or of its daemon: what stands in memory does. */
int exitpin_named_pipes(const char *folder, struct exitpin_pipe *found, int max);

#endif
