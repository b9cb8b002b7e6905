/* A name's addresses and an address's name, without a packet of our own. */
#include "../hosts.h"
#include "names.h"
#include "preload.h"

static int ask(struct exitpin_report *report, const char *name, struct exitpin_reply *reply)
{
	if (!exitpin_exchange(report, name, -1, reply))
		return EAI_AGAIN;
	if (reply->answer.eai != 0)
		return reply->answer.eai;
	return reply->answer.error != 0 ? EAI_AGAIN : 0;
}

/* A literal is one before hints are looked at: "2001:db8::1" must never be asked for as a name. */
static bool is_literal(const char *name, int family, struct exitpin_resolved *resolved)
{
	resolved->count = 1;
	if (!exitpin_parse_address(name, strlen(name), resolved->endpoints))
		return false;
	if (family != AF_UNSPEC && resolved->endpoints[0].family != family)
		resolved->count = 0;
	return true;
}

int exitpin_resolve(const char *name, int family, struct exitpin_resolved *resolved)
{
	struct exitpin_report report;
	struct exitpin_reply reply;
	const size_t size = strnlen(name, EXITPIN_NAME_MAX + 1);

	if (is_literal(name, family, resolved))
		return resolved->count > 0 ? 0 : EAI_ADDRFAMILY;
	if (!exitpin_name_is_valid(name, size))
		return EAI_NONAME;
	if (exitpin_resolve_locally(name, family, resolved))
		return resolved->count > 0 ? 0 : EAI_ADDRFAMILY;
	if (!exitpin_report_begin(&report, EXITPIN_RESOLVE))
		return EAI_AGAIN;
	resolved->count = 0;
	report.destination.family = (uint16_t)family;
	int error = ask(&report, name, &reply);

	if (error != 0)
		return error;
	for (unsigned i = 0; i < reply.answer.count; i++)
		if (family == AF_UNSPEC || reply.answer.endpoints[i].family == family)
			resolved->endpoints[resolved->count++] = reply.answer.endpoints[i];
	return resolved->count > 0 ? 0 : EAI_NONAME;
}

int exitpin_resolve_address(const struct exitpin_endpoint *endpoint, char name[EXITPIN_NAME_MAX + 1])
{
	struct exitpin_report report;
	struct exitpin_reply reply;

	if (exitpin_name_locally(endpoint, name))
		return 0;
	if (!exitpin_report_begin(&report, EXITPIN_RESOLVE_PTR))
		return EAI_AGAIN;
	report.destination = *endpoint;
	report.destination.port = 0;
	int error = ask(&report, NULL, &reply);

	if (error != 0)
		return error;
	memcpy(name, reply.name, (size_t)reply.answer.name_size + 1);
	return exitpin_name_is_valid(name, reply.answer.name_size) ? 0 : EAI_NONAME;
}

int exitpin_h_errno(int eai)
{
	if (eai == EAI_AGAIN)
		return TRY_AGAIN;
	if (eai == EAI_ADDRFAMILY || eai == EAI_NODATA)
		return NO_DATA;
	return eai == EAI_NONAME ? HOST_NOT_FOUND : NO_RECOVERY;
}
