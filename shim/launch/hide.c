/* Namespaces of the run's own: a file system in which the Unix sockets of daemons are not there (a regular file lies over
 * each, and connect(2) refuses it), and a network without a device. */
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>

#include "../namespaces.h"
#include "../rules.h"
#include "launch.h"

static bool is_gone(int error)
{
	return error == ENOENT || error == ENOTDIR;
}

bool hide(const struct request *request)
{
	if ((request->hidden_count == 0 && !request->apart) || IS_LEFT_OUT("hide"))
		return true;
	if (!exitpin_own_namespaces(request->apart ? CLONE_NEWNET : 0))
		return false;
	for (unsigned i = 0; i < request->hidden_count; i++)
		if (mount("/dev/null", request->hidden[i], NULL, MS_BIND, NULL) != 0 && !is_gone(errno))
			return false;
	return true;
}
