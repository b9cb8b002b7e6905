/* Namespaces of the run's own: a file system in which the Unix sockets and named pipes of daemons, and terminals of others,
 * are not there (a device lies over each: connect(2) refuses it, and so does open(2) where it lies over a pipe or a
 * terminal), nor what is in folders where somebody may listen later, and control groups can only be read; message queues
 * and shared memory of its own; devices that carry frames closed; and a network without a device. */
#include <sched.h>

#include "../namespaces.h"
#include "../rules.h"
#include "launch.h"

bool hide(const struct request *request)
{
	if ((request->hidden_count == 0 && !request->apart && !request->own_mounts) || IS_LEFT_OUT("hide"))
		return true;
	const bool shows_queues = IS_LEFT_OUT("queues");

	if (!exitpin_own_namespaces((request->apart ? CLONE_NEWNET : 0) | (shows_queues ? 0 : CLONE_NEWIPC)))
		return false;
	for (unsigned i = 0; i < request->hidden_count; i++)
		if (!cover(request->hidden[i]))
			return false;
	return (shows_queues || cover_queues()) && cover_taps();
}
