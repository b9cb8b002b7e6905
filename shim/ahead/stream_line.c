#include <string.h>
#include <sys/socket.h>

#include "../text.h"
#include "stream_line.h"

/* What is left to read. */
struct rest {
	const char *at, *end;
};

struct word {
	const char *text;
	size_t size;
};

static bool is(struct word word, const char *text)
{
	return word.size == strlen(text) && memcmp(word.text, text, word.size) == 0;
}

/* Up to the next blank, which is taken too. */
static struct word next_word(struct rest *rest)
{
	const char *blank = memchr(rest->at, ' ', (size_t)(rest->end - rest->at));
	struct word word = {rest->at, (size_t)((blank != NULL ? blank : rest->end) - rest->at)};

	rest->at = blank != NULL ? blank + 1 : rest->end;
	return word;
}

static bool number(struct word word, uint64_t limit, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < word.size; i++) {
		if (word.text[i] < '0' || word.text[i] > '9' || *value > limit / 10)
			return false;
		*value = *value * 10 + (uint64_t)(word.text[i] - '0');
	}
	return word.size > 0 && *value <= limit;
}

static enum stream_status status_of(struct word word)
{
	static const struct {
		const char *word;
		enum stream_status status;
	} known[] = {
		{"NEW", STREAM_NEW},		{"CONTROLLER_WAIT", STREAM_WAITS}, {"SENTCONNECT", STREAM_SENT},
		{"REMAP", STREAM_REMAPPED},	{"SUCCEEDED", STREAM_SUCCEEDED},   {"XOFF_SENT", STREAM_FLOWS},
		{"XOFF_RECV", STREAM_FLOWS},	{"XON_SENT", STREAM_FLOWS},	   {"XON_RECV", STREAM_FLOWS},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (is(word, known[i].word))
			return known[i].status;
	return STREAM_OTHER;
}

/* KEY=value or KEY="value", and the blank after it. */
static bool next_pair(struct rest *rest, struct word *key, struct word *value)
{
	const char *sign = memchr(rest->at, '=', (size_t)(rest->end - rest->at));

	if (sign == NULL || sign == rest->at || *rest->at < 'A' || *rest->at > 'Z')
		return false;
	*key = (struct word){rest->at, (size_t)(sign - rest->at)};
	for (size_t i = 0; i < key->size; i++)
		if (!(key->text[i] >= 'A' && key->text[i] <= 'Z') && !(key->text[i] >= '0' && key->text[i] <= '9') &&
		    key->text[i] != '_')
			return false;
	rest->at = sign + 1;
	if (rest->at == rest->end || *rest->at != '"') {
		*value = next_word(rest);
		return memchr(value->text, '"', value->size) == NULL;
	}
	rest->at++;
	const char *quote = memchr(rest->at, '"', (size_t)(rest->end - rest->at));

	if (quote == NULL || memchr(rest->at, '\\', (size_t)(quote - rest->at)) != NULL)
		return false;
	*value = (struct word){rest->at, (size_t)(quote - rest->at)};
	rest->at = quote + 1;
	if (rest->at == rest->end)
		return true;
	return *rest->at++ == ' ';
}

/* a.b.c.d:port; whatever else is no endpoint of ours. */
static void read_source(struct word value, struct exitpin_endpoint *source)
{
	const char *colon = memchr(value.text, ':', value.size);
	uint64_t port;

	if (colon == NULL || !exitpin_parse_quad(value.text, (size_t)(colon - value.text), source->address))
		return;
	const struct word digits = {colon + 1, value.size - (size_t)(colon + 1 - value.text)};

	if (digits.size > 5 || !number(digits, UINT16_MAX, &port))
		return;
	source->family = AF_INET;
	source->port = (uint16_t)port;
}

bool exitpin_stream_line_parse(const char *text, size_t size, struct stream_line *line)
{
	struct rest rest = {text, text + size};
	struct word key, value;
	uint64_t circuit;
	bool is_users = false;

	memset(line, 0, sizeof(*line));
	if (!is(next_word(&rest), "STREAM") || !number(next_word(&rest), UINT64_MAX / 2, &line->stream) || line->stream == 0)
		return false;
	line->status = status_of(next_word(&rest));
	if (!number(next_word(&rest), UINT32_MAX, &circuit) || next_word(&rest).size == 0)
		return false;
	line->circuit = (uint32_t)circuit;
	while (rest.at < rest.end) {
		if (!next_pair(&rest, &key, &value))
			return false;
		if (is(key, "SOURCE_ADDR")) {
			read_source(value, &line->source);
		} else if (is(key, "SOCKS_USERNAME") && line->user != NULL) {
			return false;
		} else if (is(key, "SOCKS_USERNAME")) {
			line->user = value.text;
			line->user_size = value.size;
		} else if (is(key, "PURPOSE")) {
			is_users = is(value, "USER");
		} else if (is(key, "SOURCE") && is(value, "CACHE") && line->status == STREAM_REMAPPED) {
			line->status = STREAM_OTHER; /* answered by Tor, not by the exit */
		}
	}
	if (line->status == STREAM_NEW && !is_users)
		line->status = STREAM_OTHER;
	return true;
}
