/* What the files of the key commands share (cmd_key.c): options to KMIP values, and the way results are told. */
#ifndef SERVER_ADMIN_CMD_KEY_H
#define SERVER_ADMIN_CMD_KEY_H

#include "server/admin/kmip_call.h"

enum cli_exit key_out_of_memory(struct cli *cli);
/* The option's value as an enumeration, by its name in KMIP's JSON encoding ("AES", "SecretData"); *value stays
 * where it is not given. Tells the error. */
enum cli_exit key_enum_option(struct cli *cli, enum cli_option option, const char *word, uint32_t tag,
                              uint32_t *value);
/* --usage as a mask; *mask stays where it is not given. Tells the error. */
enum cli_exit key_usage_option(struct cli *cli, uint32_t *mask);
/* The attributes that several commands take: name, object group. */
rc_t key_add_common(struct kmip_call *call, struct kmip_attributes *list);
/* A text of KMIP as a JSON string. */
struct json_t *key_json_text(struct bytes text);

/* Register of a key of a pair or of a certificate, from PEM or DER (cmd_pair.c). Whether the input is one. */
enum cli_exit pair_register_kind(struct cli *cli, struct bytes input, bool *is_pair);
enum cli_exit pair_build_register(struct kmip_call *call, struct bytes input);
/* The answered object as PEM. Tells the error. */
enum cli_exit pair_print_pem(struct cli *cli, const struct kmip_get_response *got, struct buf *out);
/* --pem: asks what the object is, and so the format to get it in; 0: as it is. */
enum cli_exit pair_pem_format(struct cli *cli, uint32_t *format);

#endif
