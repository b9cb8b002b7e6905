/* Who descends from whom, by proc(5). */
#ifndef EXITPIN_DESCENT_H
#define EXITPIN_DESCENT_H

#include <stdbool.h>

/* Whether pid certainly descends from root, which is no process's name for another since. False: it does not, it is
 * gone, or it takes a longer look to tell. */
bool exitpin_descends(int pid, int root);

/* The process of a thread, or minus an errno; ESRCH: it is gone. */
int exitpin_process_of(int tid);

#endif
