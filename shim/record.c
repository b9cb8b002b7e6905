#include <netinet/in.h>
#include <string.h>

#include "record.h"
#include "text.h"

static int nibble(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	return -1;
}

bool exitpin_config_parse(const char *text, size_t size, struct exitpin_config *config)
{
	const size_t nonce_end = 2 + 2 * EXITPIN_NONCE_SIZE;
	size_t end;

	memset(config, 0, sizeof(*config));
	if (size <= nonce_end || (text[0] != '1' && text[0] != '2') || text[1] != ':' || text[nonce_end] != ':')
		return false;
	for (size_t i = 0; i < EXITPIN_NONCE_SIZE; i++) {
		int high = nibble(text[2 + 2 * i]), low = nibble(text[3 + 2 * i]);

		if (high < 0 || low < 0)
			return false;
		config->nonce[i] = (uint8_t)(high << 4 | low);
	}
	for (end = nonce_end + 1; end < size && text[end] != ':'; end++)
		;
	config->is_supervised = text[0] == '2';
	config->source.family = AF_INET;
	if (end == size || !exitpin_parse_quad(text + nonce_end + 1, end - nonce_end - 1, config->source.address))
		return false;
	end++;
	if (end == size || text[end] != '/' || size - end >= EXITPIN_SOCKET_PATH_SIZE)
		return false;
	memcpy(config->socket_path, text + end, size - end);
	return memchr(config->socket_path, '\0', size - end) == NULL;
}

bool exitpin_answer_is_valid(const struct exitpin_answer *answer, size_t size, int op)
{
	bool is_resolve = op == EXITPIN_RESOLVE;

	if (size < sizeof(*answer) || answer->magic != EXITPIN_MAGIC || size != sizeof(*answer) + answer->name_size)
		return false;
	if (answer->name_size > EXITPIN_NAME_MAX || answer->count > EXITPIN_ANSWERS_MAX || answer->error < 0 ||
	    answer->error > 4095)
		return false;
	for (int i = 0; i < answer->count; i++)
		if (answer->endpoints[i].family != AF_INET && answer->endpoints[i].family != AF_INET6)
			return false;
	if (answer->error != 0 || answer->eai != 0)
		return true;
	if (op == EXITPIN_PEER || is_resolve)
		return answer->count > 0;
	return op != EXITPIN_RESOLVE_PTR || answer->name_size > 0;
}
