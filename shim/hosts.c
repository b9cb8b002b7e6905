#include <string.h>

#include "address.h"
#include "hosts.h"
#include "text.h"

struct word {
	const char *text;
	size_t size;
};

static bool is_blank(char character)
{
	return character == ' ' || character == '\t' || character == '\r' || character == '\n';
}

/* The next word of a line, which a # ends. */
static bool next_word(const char **line, size_t *size, struct word *word)
{
	while (*size > 0 && is_blank(**line))
		(*line)++, (*size)--;
	word->text = *line;
	while (*size > 0 && !is_blank(**line) && **line != '#')
		(*line)++, (*size)--;
	word->size = (size_t)(*line - word->text);
	return word->size > 0;
}

static bool copy_name(const struct word *word, char *name)
{
	if (word->size > EXITPIN_NAME_MAX)
		return false;
	memcpy(name, word->text, word->size);
	name[word->size] = '\0';
	return true;
}

static bool is_name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool exitpin_name_is_valid(const char *name, size_t size)
{
	size_t label = 0;

	if (size > 0 && name[size - 1] == '.')
		size--;
	if (size == 0 || size > 253)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (name[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!is_name_character(name[i]) || ++label > 63) {
			return false;
		}
	}
	return label > 0;
}

static char lower(char character)
{
	return character >= 'A' && character <= 'Z' ? (char)(character + 32) : character;
}

bool exitpin_name_is_equal(const char *name, size_t size, const char *other, size_t other_size)
{
	if (size > 0 && name[size - 1] == '.')
		size--;
	if (other_size > 0 && other[other_size - 1] == '.')
		other_size--;
	if (size != other_size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (lower(name[i]) != lower(other[i]))
			return false;
	return true;
}

bool exitpin_hosts_find_name(const char *line, size_t size, const char *name, struct exitpin_endpoint *endpoint)
{
	struct word address, word;

	if (!next_word(&line, &size, &address))
		return false;
	while (next_word(&line, &size, &word))
		if (exitpin_name_is_equal(word.text, word.size, name, strlen(name)))
			return exitpin_parse_address(address.text, address.size, endpoint);
	return false;
}

bool exitpin_hosts_find_address(const char *line, size_t size, const struct exitpin_endpoint *endpoint, char *name)
{
	struct exitpin_endpoint found;
	struct word word;

	return next_word(&line, &size, &word) && exitpin_parse_address(word.text, word.size, &found) &&
	       exitpin_address_is_equal(&found, endpoint) && next_word(&line, &size, &word) && copy_name(&word, name);
}

/* `80/tcp`. */
static bool read_port(const struct word *word, const char *protocol, uint16_t *port)
{
	const char *slash = memchr(word->text, '/', word->size);
	uint32_t value;

	if (slash == NULL || !exitpin_parse_decimal(word->text, (size_t)(slash - word->text), 65535, &value))
		return false;
	size_t rest = word->size - (size_t)(slash + 1 - word->text);

	*port = (uint16_t)value;
	return protocol == NULL || (rest == strlen(protocol) && memcmp(slash + 1, protocol, rest) == 0);
}

bool exitpin_services_find_name(const char *line, size_t size, const char *name, const char *protocol, uint16_t *port)
{
	struct word service, number, alias;
	const size_t name_size = strlen(name);

	if (!next_word(&line, &size, &service) || !next_word(&line, &size, &number) ||
	    !read_port(&number, protocol, port))
		return false;
	for (alias = service; alias.size != name_size || memcmp(alias.text, name, name_size) != 0;)
		if (!next_word(&line, &size, &alias))
			return false;
	return true;
}

bool exitpin_services_find_port(const char *line, size_t size, uint16_t port, const char *protocol, char *name)
{
	struct word service, number;
	uint16_t found;

	return next_word(&line, &size, &service) && next_word(&line, &size, &number) &&
	       read_port(&number, protocol, &found) && found == port && copy_name(&service, name);
}
