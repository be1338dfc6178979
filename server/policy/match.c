/* Patterns and stored attributes; see match.h. */
#include "server/policy/match.h"

/* Past the character at `at`: its first byte and the bytes that go on with it. */
static size_t next_character(struct bytes text, size_t at)
{
    at++;
    while (at < text.len && (text.data[at] & 0xC0) == 0x80)
        at++;
    return at;
}

/* Goes back to the last star only: what an earlier one took need never be tried again. */
bool match_pattern(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, again = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            again = t;
        } else if (p < pattern.len && pattern.data[p] == '?') {
            p++;
            t = next_character(text, t);
        } else if (p < pattern.len && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = again = next_character(text, again);
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*')
        p++;
    return p == pattern.len;
}

static bool is_text(const json_t *j, struct bytes value)
{
    return json_is_string(j) && bytes_equal(bytes_of(json_string_value(j), json_string_length(j)), value);
}

static bool is_value(const json_t *j, struct bytes value)
{
    if (!json_is_object(j))
        return is_text(j, value);
    return is_text(json_object_get(j, "type"), bytes_str("TextString")) && is_text(json_object_get(j, "value"), value);
}

bool match_attribute(const json_t *attributes, struct bytes name, struct bytes value)
{
    const json_t *member = json_object_getn(attributes, (const char *)name.data, name.len);
    if (!json_is_array(member))
        return is_value(member, value);
    for (size_t i = 0; i < json_array_size(member); i++)
        if (is_value(json_array_get(member, i), value))
            return true;
    return false;
}
