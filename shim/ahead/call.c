#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../kind.h"
#include "table.h"

/* What waits for threads of the tool has been done by whoever calls this: the lock is held for nothing of it. */

bool exitpin_ahead_connect(struct exitpin_ahead *ahead, int64_t number, const struct exitpin_call *call, int pid,
			   int tool, const void *address, size_t size)
{
	struct exitpin_report report = {.pid = (uint32_t)pid, .tid = call->tid};
	struct exitpin_endpoint run = {0};
	struct exitpin_kind kind;
	int reason = EXITPIN_REASON_NONE;

	pthread_mutex_lock(&ahead->lock);
	struct standing *standing = ahead_standing(ahead, (uint64_t)number);
	bool may_go = standing != NULL && ahead_is_ours(ahead, tool);

	if (may_go) {
		run = standing->ticket.run;
		memcpy(report.nonce, standing->ticket.nonce, sizeof(report.nonce));
	}
	pthread_mutex_unlock(&ahead->lock);
	may_go = may_go && size >= sizeof(sa_family_t) && exitpin_kind_of(tool, &kind) == 0 &&
		 ((const struct sockaddr *)address)->sa_family == kind.domain &&
		 exitpin_report_connect(tool, address, size, &run, &report, &reason) == 0 &&
		 reason == EXITPIN_REASON_NONE;
	if (!may_go)
		return false;
	pthread_mutex_lock(&ahead->lock);
	standing = ahead_standing(ahead, (uint64_t)number);
	may_go = standing != NULL &&
		 ahead_try(ahead, standing, -1, pid, tool, call, (const uint8_t *)&report, sizeof(report));
	pthread_mutex_unlock(&ahead->lock);
	return may_go;
}

bool exitpin_ahead_adopt(struct exitpin_ahead *ahead, int64_t number, int connection, int pid)
{
	pthread_mutex_lock(&ahead->lock);
	struct standing *standing = ahead_standing(ahead, (uint64_t)number);

	if (standing != NULL)
		ahead_greet(ahead, standing, connection, pid);
	pthread_mutex_unlock(&ahead->lock);
	return standing != NULL;
}
